/*-------------------------------------------------------------------------
 *
 * shmem.c
 *		What venice's processes tell each other.
 *
 * One block of shared memory: the databases that the launcher knows, the slots
 * of ingest workers, the units of ingestion, who holds a store still, and what
 * is being built.  All of it is a cache of, or a request about, what the
 * registry's tables say; a crash empties it and it is made again from them.
 *
 * Locks: Shared->lock guards everything.  It is held for a walk over a small
 * array and never while waiting.  Latches are set after it is released or under
 * it; a latch that has meanwhile got another owner only wakes him for nothing.
 * Must not know: tables, and what the processes do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/shmem.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "common/compat.h"
#include "common/guc.h"
#include "common/shared_area.h"

/* When the plans that a swap has mixed are made again, at the latest. */
#define MAINTENANCE_SOON_MS	1000

VeniceShared *Shared = NULL;

static bool transaction_callback_registered = false;
static bool exit_callback_registered = false;
static bool wake_supervisor = false;
static bool maintenance_soon = false;
static bool wake_launcher = false;
static bool state_changed = false;
static List *written_outboxes = NIL;	/* names of stores, in TopTransactionContext */
static bool holding = false;
static bool building = false;

static const char *const unit_state_names[] = {
	[UNIT_WAITING_FOR_WORKER] = "waiting_for_worker",
	[UNIT_WAITING_FOR_TOPIC] = "waiting_for_topic",
	[UNIT_RUNNING] = "running",
	[UNIT_CAUGHT_UP] = "caught_up",
	[UNIT_RETRYING] = "retrying",
	[UNIT_PAUSED] = "paused",
	[UNIT_FAILED] = "failed",
};

const char *
UnitStateName(UnitState state)
{
	return unit_state_names[state];
}

static void
fill_memory(LWLockPadded *locks)
{
	memset(Shared, 0, sizeof(VeniceShared));
	Shared->lock = &locks->lock;
	Shared->worker_count = Settings.max_ingest_workers;
	ConditionVariableInit(&Shared->released);
	ConditionVariableInit(&Shared->state_changed);
	for (int i = 0; i < SHARED_JOINS; i++)
	{
		pg_atomic_init_u64(&Shared->joins[i].rows_total, 0);
		pg_atomic_init_u64(&Shared->joins[i].rows_done, 0);
	}
	for (int i = 0; i < SHARED_SWAPS; i++)
	{
		pg_atomic_init_u32(&Shared->swaps[i].in_commit, 0);
		pg_atomic_init_u64(&Shared->swaps[i].generation, 0);
	}
}

void
SharedMemoryRequest(void)
{
	SharedAreaRequest("venice", (void **) &Shared, sizeof(VeniceShared), 1, fill_memory);
}

bool
WorkersPreloaded(void)
{
	return Shared != NULL;
}

void
WorkersRequire(const char *what)
{
	if (!WorkersPreloaded())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s needs background workers, and \"venice\" is not preloaded", what),
				 errhint("Add venice to \"shared_preload_libraries\" and restart the server.")));
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s needs background workers, which do not run during recovery", what),
				 errhint("Run it on the primary.")));
}

SharedDatabase *
SharedDatabaseFind(Oid database, bool make)
{
	SharedDatabase *free_entry = NULL;

	for (int i = 0; i < SHARED_DATABASES; i++)
	{
		SharedDatabase *entry = &Shared->databases[i];

		if (entry->in_use && entry->database == database)
			return entry;
		if (!entry->in_use && free_entry == NULL)
			free_entry = entry;
	}
	if (!make || free_entry == NULL)
		return NULL;
	memset(free_entry, 0, sizeof(SharedDatabase));
	free_entry->in_use = true;
	free_entry->database = database;
	return free_entry;
}

bool
SharedVersionIsHeld(const char *store, int version)
{
	for (int i = 0; i < SHARED_HOLDS; i++)
	{
		const SharedHold *hold = &Shared->holds[i];

		if (hold->pid != 0 && hold->database == MyDatabaseId &&
			(hold->version < 0 || hold->version == version || version == JOINED_VERSIONS) &&
			(NameStr(hold->store)[0] == '\0' || strcmp(NameStr(hold->store), store) == 0))
			return true;
	}
	return false;
}

void
SupervisorWake(void)
{
	SharedDatabase *entry;

	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	entry = SharedDatabaseFind(MyDatabaseId, false);
	if (entry != NULL)
	{
		entry->generation++;
		if (entry->latch != NULL)
			SetLatch(entry->latch);
	}
	LWLockRelease(Shared->lock);
}

static void
wake_processes(void)
{
	SharedDatabase *entry;

	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	entry = SharedDatabaseFind(MyDatabaseId, true);
	if (entry != NULL)
	{
		entry->generation++;
		/* A probe that found nothing saw the database before this commit. */
		if (entry->state == DATABASE_ABSENT)
			entry->state = DATABASE_UNKNOWN;
		if (wake_launcher)
			entry->next_start_time = 0;
		if (entry->latch != NULL)
			SetLatch(entry->latch);
	}
	if ((wake_launcher || entry == NULL || entry->latch == NULL) &&
		Shared->launcher_latch != NULL)
		SetLatch(Shared->launcher_latch);
	LWLockRelease(Shared->lock);
}

/* Have the supervisor look in a second, unless it does before that anyway. */
static void
schedule_maintenance(void)
{
	TimestampTz soon = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), MAINTENANCE_SOON_MS);
	SharedDatabase *entry;
	bool		supervised;

	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	entry = SharedDatabaseFind(MyDatabaseId, false);
	supervised = entry != NULL && entry->latch != NULL;
	if (supervised && (entry->next_maintenance_time == 0 || entry->next_maintenance_time > soon))
	{
		entry->next_maintenance_time = soon;
		SetLatch(entry->latch);
	}
	LWLockRelease(Shared->lock);
	if (!supervised)
		wake_processes();
}

/*
 * Have the worker that produces what is written to a store look; or the supervisor, where
 * there is none and it does not know of any.
 */
static void
wake_outbox(const char *store)
{
	bool		known = false;

	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < SHARED_UNITS; i++)
	{
		SharedUnit *unit = &Shared->units[i];

		if (!unit->in_use || unit->database != MyDatabaseId || unit->region != OUTBOX_REGION ||
			strcmp(NameStr(unit->store), store) != 0)
			continue;
		unit->outbox_written = true;
		known = unit->worker >= 0 || unit->next_retry_time != 0;
		if (unit->worker >= 0 && Shared->workers[unit->worker].latch != NULL)
			SetLatch(Shared->workers[unit->worker].latch);
	}
	LWLockRelease(Shared->lock);
	if (!known)
		wake_processes();
}

static void
release_holds(void)
{
	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < SHARED_HOLDS; i++)
		if (Shared->holds[i].pid == MyProcPid)
			Shared->holds[i].pid = 0;
	LWLockRelease(Shared->lock);
	holding = false;
}

static void
end_transaction(XactEvent event, void *argument)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;

	if (building)
		ProgressEnd();
	/* Whoever held a store still has to let the supervisor know that it may go on. */
	if (holding)
	{
		release_holds();
		wake_supervisor = true;
		wake_processes();
	}
	else if ((wake_supervisor || wake_launcher) && event == XACT_EVENT_COMMIT)
		wake_processes();
	else if (maintenance_soon && event == XACT_EVENT_COMMIT)
		schedule_maintenance();
	if (event == XACT_EVENT_COMMIT)
	{
		ListCell   *cell;

		foreach(cell, written_outboxes)
			wake_outbox(lfirst(cell));
	}
	written_outboxes = NIL;
	if (state_changed && event == XACT_EVENT_COMMIT)
		ConditionVariableBroadcast(&Shared->state_changed);
	wake_supervisor = false;
	maintenance_soon = false;
	wake_launcher = false;
	state_changed = false;
}

static void
register_transaction_callback(void)
{
	if (transaction_callback_registered)
		return;
	RegisterXactCallback(end_transaction, NULL);
	transaction_callback_registered = true;
}

void
SupervisorWakeAtCommit(void)
{
	if (!WorkersPreloaded())
		return;
	register_transaction_callback();
	wake_supervisor = true;
}

void
OutboxWakeAtCommit(const char *store)
{
	MemoryContext old;
	ListCell   *cell;

	if (!WorkersPreloaded())
		return;
	register_transaction_callback();
	foreach(cell, written_outboxes)
		if (strcmp(lfirst(cell), store) == 0)
			return;
	old = MemoryContextSwitchTo(TopTransactionContext);
	written_outboxes = lappend(written_outboxes, pstrdup(store));
	MemoryContextSwitchTo(old);
}

void
MaintenanceSoonAtCommit(void)
{
	if (!WorkersPreloaded())
		return;
	register_transaction_callback();
	maintenance_soon = true;
}

void
LauncherWakeAtCommit(void)
{
	if (!WorkersPreloaded())
		return;
	register_transaction_callback();
	wake_launcher = true;
}

void
StateChangeTellAtCommit(void)
{
	if (!WorkersPreloaded())
		return;
	register_transaction_callback();
	state_changed = true;
}

void
StateChangeAwait(long timeout_ms)
{
	static uint32 wait_event = 0;

	if (wait_event == 0)
		wait_event = WaitEventNamed("VenicePush");
	if (WorkersPreloaded())
	{
		(void) ConditionVariableTimedSleep(&Shared->state_changed, timeout_ms, wait_event);
		return;
	}
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout_ms,
					 wait_event);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

void
StateChangeAwaitEnd(void)
{
	ConditionVariableCancelSleep();
}

static bool
unit_matches(const SharedUnit *unit, const char *store, int version)
{
	return unit->in_use && unit->database == MyDatabaseId &&
		(version < 0 || unit->version == version || unit->version == JOINED_VERSIONS) &&
		(store == NULL || strcmp(NameStr(unit->store), store) == 0);
}

static void
take_hold(const char *store, int version)
{
	SharedHold *free_hold = NULL;

	for (int i = 0; i < SHARED_HOLDS && free_hold == NULL; i++)
		if (Shared->holds[i].pid == 0)
			free_hold = &Shared->holds[i];
	if (free_hold == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many sessions are stopping ingestion at one time"),
				 errhint("Try again.")));
	free_hold->pid = MyProcPid;
	free_hold->database = MyDatabaseId;
	namestrcpy(&free_hold->store, store ? store : "");
	free_hold->version = version;
	holding = true;
}

/* Ask for the units; true when some worker still has one. */
static bool
request_stop(const char *store, int version)
{
	bool		busy = false;

	for (int i = 0; i < SHARED_UNITS; i++)
	{
		SharedUnit *unit = &Shared->units[i];

		if (!unit_matches(unit, store, version) || unit->worker < 0)
			continue;
		if (Shared->workers[unit->worker].pid == 0)
		{
			/* The worker has not started yet and has seen nothing of the unit. */
			unit->worker = -1;
			continue;
		}
		unit->stop_requested = true;
		SetLatch(Shared->workers[unit->worker].latch);
		busy = true;
	}
	return busy;
}

void
IngestionStop(const char *store, int version)
{
	if (!WorkersPreloaded())
		return;
	register_transaction_callback();

	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	take_hold(store, version);
	LWLockRelease(Shared->lock);

	ConditionVariablePrepareToSleep(&Shared->released);
	for (;;)
	{
		bool		busy;

		LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
		busy = request_stop(store, version);
		LWLockRelease(Shared->lock);
		if (!busy)
			break;
		ConditionVariableSleep(&Shared->released, WaitEventNamed("VeniceIngestionStop"));
	}
	ConditionVariableCancelSleep();
}

static void
end_progress_at_exit(int code, Datum argument)
{
	ProgressEnd();
}

void
ProgressReport(const char *store, int version, int phase)
{
	SharedProgress *mine = NULL;

	if (!WorkersPreloaded())
		return;
	register_transaction_callback();
	if (!exit_callback_registered)
	{
		before_shmem_exit(end_progress_at_exit, (Datum) 0);
		exit_callback_registered = true;
	}

	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < SHARED_PROGRESS; i++)
	{
		SharedProgress *progress = &Shared->progress[i];

		if (progress->pid == MyProcPid)
		{
			mine = progress;
			break;
		}
		if (progress->pid == 0 && mine == NULL)
			mine = progress;
	}
	if (mine != NULL)
	{
		if (mine->pid == 0 || mine->version != version || strcmp(NameStr(mine->store), store) != 0)
			mine->started_time = GetCurrentTimestamp();
		mine->pid = MyProcPid;
		mine->database = MyDatabaseId;
		namestrcpy(&mine->store, store);
		mine->version = version;
		mine->phase = phase;
		building = true;
	}
	LWLockRelease(Shared->lock);
}

void
ProgressEnd(void)
{
	if (!building)
		return;
	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < SHARED_PROGRESS; i++)
		if (Shared->progress[i].pid == MyProcPid)
			Shared->progress[i].pid = 0;
	LWLockRelease(Shared->lock);
	building = false;
}
