/*-------------------------------------------------------------------------
 *
 * supervisor.c
 *		One process per database: has work done.
 *
 * It reads the registry in one short transaction, brings the units of
 * ingestion in line with it, gives them to workers, and starts maintenance
 * when something waits for that.  It does none of the work itself, so that it
 * is always there to be told that something changed: by its latch, at the
 * commit of whatever changed it.  It wakes by itself only every ten seconds, or
 * every second while something is going on.
 *
 * Being a probe too, it leaves when it finds no extension, and then says that
 * the database has none, unless somebody committed meanwhile.
 *
 * Locks: Shared->lock, briefly; no transaction is open while waiting.
 * Must not know: Kafka, formats.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog/node.h"
#include "common/compat.h"
#include "common/guc.h"
#include "common/pin_settings.h"
#include "common/retry.h"
#include "common/shmem.h"
#include "common/user_context.h"
#include "worker/launcher.h"
#include "worker/maintenance.h"
#include "worker/units.h"

#define BUSY_INTERVAL_MS	1000
#define IDLE_INTERVAL_MS	(10 * 1000)

PGDLLEXPORT void venice_supervisor_main(Datum argument);

static BackgroundWorkerHandle *maintenance = NULL;

static void
detach(int code, Datum argument)
{
	SharedDatabase *entry;

	UnitsRelease();
	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	entry = SharedDatabaseFind(DatumGetObjectId(argument), false);
	if (entry != NULL && entry->pid == MyProcPid)
	{
		entry->pid = 0;
		entry->latch = NULL;
		entry->starved_since = 0;
	}
	LWLockRelease(Shared->lock);
}

/* Take the database's entry; false when another supervisor still has it. */
static bool
attach(Oid database)
{
	SharedDatabase *entry;
	bool		mine;

	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	entry = SharedDatabaseFind(database, true);
	mine = entry != NULL && entry->pid == 0;
	if (mine)
	{
		entry->pid = MyProcPid;
		entry->latch = MyLatch;
	}
	LWLockRelease(Shared->lock);
	return mine;
}

static uint32
current_generation(void)
{
	SharedDatabase *entry;
	uint32		generation = 0;

	LWLockAcquire(Shared->lock, LW_SHARED);
	entry = SharedDatabaseFind(MyDatabaseId, false);
	if (entry != NULL)
		generation = entry->generation;
	LWLockRelease(Shared->lock);
	return generation;
}

/*
 * Note whether the extension was found; false when it was not and this process
 * may go.
 */
static bool
note_extension(bool found, uint32 generation)
{
	SharedDatabase *entry;
	bool		stay = true;

	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	entry = SharedDatabaseFind(MyDatabaseId, false);
	if (entry != NULL && found)
	{
		/* A launcher that waits for the probe may go on to the next database. */
		if (entry->state != DATABASE_PRESENT && Shared->launcher_latch != NULL)
			SetLatch(Shared->launcher_latch);
		entry->state = DATABASE_PRESENT;
		entry->failures = 0;
	}
	else if (entry != NULL && entry->generation == generation)
	{
		entry->state = DATABASE_ABSENT;
		stay = false;
	}
	LWLockRelease(Shared->lock);
	return stay;
}

static bool
maintenance_is_running(void)
{
	pid_t		pid;

	if (maintenance == NULL)
		return false;
	if (GetBackgroundWorkerPid(maintenance, &pid) != BGWH_STOPPED)
		return true;
	pfree(maintenance);
	maintenance = NULL;
	return false;
}

/* Is it time, after rounds that left something undone?  Somebody's wake-up makes it so. */
static bool
maintenance_is_due(bool woken)
{
	SharedDatabase *entry;
	bool		due;

	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	entry = SharedDatabaseFind(MyDatabaseId, false);
	if (entry != NULL && woken)
	{
		entry->maintenance_failures = 0;
		entry->next_maintenance_time = 0;
	}
	due = entry != NULL && entry->next_maintenance_time <= GetCurrentTimestamp();
	if (due)
		entry->next_maintenance_time = 0;
	LWLockRelease(Shared->lock);
	return due;
}

/* How long to wait: not beyond the time when what maintenance has left is due again. */
static long
time_to_wait(bool busy)
{
	long		timeout_ms = busy ? BUSY_INTERVAL_MS : IDLE_INTERVAL_MS;
	SharedDatabase *entry;

	LWLockAcquire(Shared->lock, LW_SHARED);
	entry = SharedDatabaseFind(MyDatabaseId, false);
	if (entry != NULL && entry->next_maintenance_time != 0)
		timeout_ms = Min(timeout_ms,
						 TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
														 entry->next_maintenance_time));
	LWLockRelease(Shared->lock);

	/* What is overdue waits for something else: a slot, or the round that runs. */
	return timeout_ms > 0 ? timeout_ms : BUSY_INTERVAL_MS;
}

static void
start_maintenance(void)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	if (!WorkerStart("venice", "venice_maintenance_main", "maintenance", MyDatabaseId, 0,
					 &maintenance))
	{
		maintenance = NULL;
		WorkerWarnNoSlot("maintenance");
	}
	MemoryContextSwitchTo(old);
}

/*
 * One look at the registry and what follows from it.  False when the extension
 * is gone; *busy when something is going on.
 */
static bool
supervise(MemoryContext context, bool woken, bool *busy)
{
	uint32		generation = current_generation();
	List	   *wanted = NIL;
	bool		installed;
	bool		maintenance_needed = false;
	bool		dump_awaited = false;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	pgstat_report_activity(STATE_RUNNING, "reading the registry");
	installed = ExtensionHold();
	if (installed)
	{
		bool		look_for_work = !maintenance_is_running() && maintenance_is_due(woken);

		PushActiveSnapshot(GetTransactionSnapshot());
		MemoryContextSwitchTo(context);
		if (Settings.ingestion && NodeIsKnown())
			wanted = UnitsWanted();
		if (look_for_work)
			maintenance_needed = MaintenanceIsNeeded();

		/* A swap is not to wait longer than the dump, whatever else has failed meanwhile. */
		if (!maintenance_is_running() && DumpIsOver(&dump_awaited))
			maintenance_needed = true;
		PopActiveSnapshot();
	}
	CommitTransactionCommand();
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);

	UnitsSync(wanted);
	UnitsAssign();
	if (maintenance_needed)
		start_maintenance();
	*busy = wanted != NIL || maintenance != NULL || maintenance_needed || dump_awaited;
	return note_extension(installed, generation);
}

void
venice_supervisor_main(Datum argument)
{
	MemoryContext context;
	Oid			database;
	uint32		generation;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	memcpy(&database, MyBgworkerEntry->bgw_extra, sizeof(database));
	if (!attach(database))
		proc_exit(1);

	/* Before connecting: callbacks run in reverse, and a free entry means that locks are gone. */
	before_shmem_exit(detach, ObjectIdGetDatum(database));
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	PinWorkerSettings();
	generation = current_generation() - 1;

	context = AllocSetContextCreate(TopMemoryContext, "venice supervisor", ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		bool		busy = false;
		bool		woken = current_generation() != generation;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		generation = current_generation();
		MemoryContextSwitchTo(context);
		if (!supervise(context, woken, &busy))
			break;
		MemoryContextSwitchTo(context);
		MemoryContextReset(context);

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 time_to_wait(busy),
						 WaitEventNamed("VeniceSupervisorMain"));
		ResetLatch(MyLatch);
	}
	proc_exit(0);
}
