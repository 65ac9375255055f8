/*-------------------------------------------------------------------------
 *
 * ingest_worker.c
 *		A process that ingests the partitions it is given.
 *
 * The loop waits for its latch and for all Kafka clients at once, hands each
 * event to its unit, and lets units write when they are due.  Units are given
 * and taken in shared memory.  An error is the affair of the unit that raised
 * it: the transaction is aborted, the unit let go with the reason, and the
 * others go on.
 *
 * Nothing here blocks for long: batches check for interrupts, and the Kafka
 * client never blocks.  Lock waits end after a second, since whoever holds
 * the lock may be waiting for us to let go of a unit.
 *
 * Locks: Shared->lock.
 * Must not know: formats, tables.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "common/compat.h"
#include "common/pin_settings.h"
#include "common/retry.h"
#include "ingest/api.h"
#include "ingest/clients.h"
#include "ingest/outbox.h"
#include "ingest/unit.h"

/* A worker without a unit leaves after this time. */
#define IDLE_EXIT_MS	(5 * 1000)

/* One that has had its slot for this long makes room for a database that has none. */
#define TIME_SLICE_MS	(10 * 1000)

#define MAX_WAIT_MS		1000

PGDLLEXPORT void venice_ingest_main(Datum argument);

#define shared (*api->Shared)

static int	my_slot = -1;
static List *my_units = NIL;
static TimestampTz started_time;
static TimestampTz busy_time;	/* when there was a unit last */

/* Registered before the connection is made: a free slot then means that locks are gone. */
static void
release_slot(int code, Datum argument)
{
	SharedWorker *worker = &shared->workers[my_slot];
	bool		mine;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);

	/* One that has left in order owns nothing any more; the slot may have a new worker. */
	mine = worker->pid == MyProcPid;
	for (int i = 0; i < SHARED_UNITS && mine; i++)
	{
		SharedUnit *unit = &shared->units[i];

		if (!unit->in_use || unit->worker != my_slot)
			continue;
		unit->worker = -1;
		unit->stop_requested = false;
		unit->state = UNIT_RETRYING;
		unit->next_retry_time = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
															RetryDelayMs(++unit->failures));
	}
	if (mine)
	{
		worker->in_use = false;
		worker->pid = 0;
		worker->latch = NULL;
	}
	for (int i = 0; i < SHARED_DATABASES; i++)
		if (shared->databases[i].in_use && shared->databases[i].starved_since != 0 &&
			shared->databases[i].latch != NULL)
			SetLatch(shared->databases[i].latch);
	LWLockRelease(shared->lock);
	ConditionVariableBroadcast(&shared->released);
	api->SupervisorWake();
}

static void
close_clients(int code, Datum argument)
{
	IngestClientsCloseAll();
	OutboxesCloseAll();
}

/* Take the slot that this worker was started for; false when it is not waiting for us. */
static bool
attach(int slot, Oid database)
{
	SharedWorker *worker = &shared->workers[slot];
	bool		mine;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	mine = worker->in_use && worker->pid == 0 && worker->database == database;
	if (mine)
	{
		worker->pid = MyProcPid;
		worker->latch = MyLatch;
		my_slot = slot;
	}
	LWLockRelease(shared->lock);
	return mine;
}

static Unit *
find_unit(uintptr_t tag)
{
	ListCell   *cell;

	foreach(cell, my_units)
	{
		Unit	   *unit = lfirst(cell);

		if (unit->tag == tag && !unit->released)
			return unit;
	}
	return NULL;
}

static void
unit_context(void *argument)
{
	const Unit *unit = argument;

	if (unit->number == JOINED_VERSIONS)
		errcontext("ingestion of store \"%s\", topic \"%s\", partition %d, offset " INT64_FORMAT,
				   unit->store, unit->topic, unit->partition, unit->state.next_offset);
	else
		errcontext("ingestion of store \"%s\", version %d, topic \"%s\", partition %d, offset "
				   INT64_FORMAT, unit->store, unit->number, unit->topic, unit->partition,
				   unit->state.next_offset);
}

typedef void (*UnitAction) (Unit *unit, void *argument);

/* Do something for a unit; an error of it is returned, with the transaction aborted. */
static ErrorData *
try_action(Unit *unit, UnitAction action, void *argument)
{
	ErrorContextCallback callback;
	ErrorData  *volatile error = NULL;

	callback.callback = unit_context;
	callback.arg = unit;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	MemoryContextSwitchTo(unit->context);
	PG_TRY();
	{
		action(unit, argument);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(unit->context);
		error = CopyErrorData();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		pgstat_report_activity(STATE_IDLE, NULL);
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(TopMemoryContext);
	return error;
}

static void
fail_with_error(Unit *unit, void *argument)
{
	const ErrorData *error = argument;

	UnitFail(unit, error->sqlerrcode, error->message, error->detail);
}

/* Do something for a unit, which is let go if that fails. */
static void
guard(Unit *unit, UnitAction action, void *argument)
{
	ErrorData  *error = try_action(unit, action, argument);

	if (error == NULL)
		return;
	ereport(LOG,
			(errcode(error->sqlerrcode), errmsg_internal("%s", error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 error->context ? errcontext("%s", error->context) : 0));
	if (!ErrorIsTransient(error->sqlerrcode) &&
		try_action(unit, fail_with_error, error) == NULL)
		return;
	UnitRetry(unit, error->message);
}

static void
begin(Unit *unit, void *argument)
{
	UnitBegin(unit);
}

static void
receive(Unit *unit, void *argument)
{
	UnitReceive(unit, argument);
}

static void
proceed(Unit *unit, void *argument)
{
	UnitProceed(unit, *(bool *) argument);
}

static Unit *
find_unit_by_index(int index)
{
	ListCell   *cell;

	foreach(cell, my_units)
		if (((Unit *) lfirst(cell))->index == index)
			return lfirst(cell);
	return NULL;
}

/* Take what we were given, let go of what we are asked for.  Nobody else takes it from us. */
static void
adopt_units(void)
{
	bool		mine[SHARED_UNITS];
	bool		stop[SHARED_UNITS];
	bool		is_outbox[SHARED_UNITS];

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < SHARED_UNITS; i++)
	{
		mine[i] = shared->units[i].in_use && shared->units[i].worker == my_slot;
		stop[i] = shared->units[i].stop_requested;
		is_outbox[i] = shared->units[i].region == OUTBOX_REGION;
	}
	LWLockRelease(shared->lock);

	for (int i = 0; i < SHARED_UNITS; i++)
	{
		Unit	   *unit;

		if (!mine[i])
			continue;
		if (is_outbox[i])
		{
			OutboxAdopt(i, stop[i]);
			continue;
		}
		unit = find_unit_by_index(i);
		if (unit == NULL)
		{
			unit = UnitCreate(i);
			my_units = lappend(my_units, unit);
			if (!stop[i])
				guard(unit, begin, NULL);
		}
		if (stop[i] && !unit->released)
			UnitRelease(unit);
	}
}

static void
forget_released_units(void)
{
	ListCell   *cell;

	foreach(cell, my_units)
	{
		Unit	   *unit = lfirst(cell);

		if (!unit->released)
			continue;
		my_units = foreach_delete_current(my_units, cell);
		MemoryContextDelete(unit->context);
	}
}

/* A client's problem is that of all its units.  The next attempt uses a fresh client. */
static void
client_failed(IngestClient *client, const KafkaProblem *problem)
{
	ListCell   *cell;

	client->broken = true;
	foreach(cell, my_units)
	{
		Unit	   *unit = lfirst(cell);

		if (unit->client == client)
			UnitRetry(unit, problem->message);
	}
}

/* Hand out what has come; true when there may be more. */
static bool
receive_events(IngestClient *client, int64 *pending_bytes)
{
	int64		limit_bytes = (int64) api->Settings->worker_memory_kb * 1024 / 4;
	KafkaEvent	event;

	for (int n = 0; n < api->Settings->batch_rows && *pending_bytes < limit_bytes; n++)
	{
		Unit	   *unit;

		if (!KafkaClientNext(client->kafka, &event))
			return false;
		unit = find_unit((uintptr_t) event.tag);
		if (event.kind == KAFKA_CLIENT_PROBLEM)
		{
			client_failed(client, &event.problem);
			return false;
		}
		if (event.kind == KAFKA_LOG)
			ereport(LOG, (errmsg_internal("%s", event.problem.message)));
		else if (unit != NULL)
		{
			if (event.kind == KAFKA_RECORD)
			{
				*pending_bytes += Max(event.record.key_bytes, 0) + Max(event.record.value_bytes, 0);
				UnitReceive(unit, &event);
				if (unit->count >= api->Settings->batch_rows)
					return true;
			}
			else
				guard(unit, receive, &event);
		}
		else if (event.kind == KAFKA_RECORD)
			KafkaRecordRelease(&event.record);
	}
	return true;
}

/* One round: receive, write what is due; true when there is more to receive. */
static bool
work(void)
{
	bool		more = false;
	bool		full;
	int64		pending_bytes = 0;
	ListCell   *cell;

	foreach(cell, my_units)
		pending_bytes += ((Unit *) lfirst(cell))->pending_bytes;
	foreach(cell, IngestClients)
		more |= receive_events(lfirst(cell), &pending_bytes);
	full = pending_bytes >= (int64) api->Settings->worker_memory_kb * 1024 / 4;
	foreach(cell, my_units)
	{
		CHECK_FOR_INTERRUPTS();
		if (!((Unit *) lfirst(cell))->released)
			guard(lfirst(cell), proceed, &full);
	}
	if (IngestClientsWanted)
	{
		foreach(cell, my_units)
			if (!((Unit *) lfirst(cell))->released)
				UnitYield(lfirst(cell));
		IngestClientsWanted = false;
	}
	forget_released_units();
	IngestClientsCloseIdle();
	OutboxesWork();
	return more;
}

/* Does a database wait for a worker while we have had ours for a time slice? */
static bool
is_to_make_room(void)
{
	bool		starving = false;

	if (!TimestampDifferenceExceeds(started_time, GetCurrentTimestamp(), TIME_SLICE_MS))
		return false;
	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < SHARED_DATABASES; i++)
		if (shared->databases[i].in_use && shared->databases[i].database != MyDatabaseId &&
			shared->databases[i].pid != 0 && shared->databases[i].starved_since != 0)
			starving = true;
	LWLockRelease(shared->lock);
	return starving;
}

/* Give the slot back if no unit has been put on us meanwhile. */
static bool
leave_if_unused(void)
{
	bool		unused = true;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < SHARED_UNITS; i++)
		if (shared->units[i].in_use && shared->units[i].worker == my_slot)
			unused = false;
	if (unused)
	{
		shared->workers[my_slot].in_use = false;
		shared->workers[my_slot].pid = 0;
		shared->workers[my_slot].latch = NULL;
	}
	LWLockRelease(shared->lock);
	return unused;
}

/* Write what there is and let everything go. */
static void
hand_over(void)
{
	bool		now = true;
	ListCell   *cell;

	foreach(cell, my_units)
	{
		Unit	   *unit = lfirst(cell);

		if (!unit->released)
			guard(unit, proceed, &now);
		if (!unit->released)
			UnitRelease(unit);
	}
	forget_released_units();
	OutboxesReleaseAll();
}

static long
time_to_wait(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long		timeout_ms = MAX_WAIT_MS;
	TimestampTz due;
	ListCell   *cell;

	foreach(cell, my_units)
	{
		due = UnitDueTime(lfirst(cell));
		if (due != 0)
			timeout_ms = Min(timeout_ms, TimestampDifferenceMilliseconds(now, due));
	}
	due = OutboxesDueTime();
	if (due != 0)
		timeout_ms = Min(timeout_ms, TimestampDifferenceMilliseconds(now, due));
	return timeout_ms;
}

/* Wait for the latch or a client.  The set is made anew when clients come or go. */
static void
wait_for_something(long timeout_ms)
{
	static WaitEventSet *set = NULL;
	static int	generation = -1;
	static int	outbox_generation = -1;
	WaitEvent	events[8];

	if (set == NULL || generation != IngestClientsGeneration ||
		outbox_generation != OutboxesGeneration)
	{
		ListCell   *cell;

		if (set != NULL)
			FreeWaitEventSet(set);
		set = CreateWaitEventSet(NULL, list_length(IngestClients) + OutboxesCount() + 2);
		AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
		AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
		foreach(cell, IngestClients)
		{
			IngestClient *client = lfirst(cell);

			AddWaitEventToSet(set, WL_SOCKET_READABLE, KafkaClientEventFd(client->kafka), NULL,
							  NULL);
		}
		OutboxesAddToWaitSet(set);
		generation = IngestClientsGeneration;
		outbox_generation = OutboxesGeneration;
	}
	if (WaitEventSetWait(set, timeout_ms, events, lengthof(events),
						 WaitEventNamed("VeniceIngestMain")) == 0)
		pgstat_report_stat(true);
	ResetLatch(MyLatch);
}

void
venice_ingest_main(Datum argument)
{
	Oid			database;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	IngestApiAttach();
	memcpy(&database, MyBgworkerEntry->bgw_extra, sizeof(database));
	if (!attach(DatumGetInt32(argument), database))
		proc_exit(0);
	before_shmem_exit(release_slot, (Datum) 0);
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	PinWorkerSettings();
	before_shmem_exit(close_clients, (Datum) 0);

	/* Offsets and rows are lost together or not at all, so that nobody has to wait for the disk. */
	SetConfigOption("synchronous_commit", "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", "1s", PGC_SUSET, PGC_S_OVERRIDE);

	started_time = busy_time = GetCurrentTimestamp();
	for (;;)
	{
		bool		more;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		MemoryContextSwitchTo(TopMemoryContext);
		adopt_units();
		more = work();
		if (is_to_make_room())
		{
			hand_over();
			if (leave_if_unused())
				break;
		}
		if (my_units != NIL || OutboxesArePresent())
			busy_time = GetCurrentTimestamp();
		else if (TimestampDifferenceExceeds(busy_time, GetCurrentTimestamp(), IDLE_EXIT_MS) &&
				 leave_if_unused())
			break;
		if (!more)
			wait_for_something(time_to_wait());
	}
	proc_exit(0);
}
