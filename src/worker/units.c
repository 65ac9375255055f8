/*-------------------------------------------------------------------------
 *
 * units.c
 *		Which worker ingests which partition.
 *
 * A unit is a partition of the topic that a version is loaded from, or of a real-time
 * topic: one unit writes to all versions that have joined in it, and a version that is
 * behind has one of its own until it has caught up.
 *
 * A worker serves many units, and a unit has at most one worker: that is
 * decided here, by the supervisor alone, and undone by the worker, which lets
 * go of a unit when it is done, fails, or is asked to.  So every store proceeds
 * however few workers there are.
 *
 * Worker slots are shared by the databases of the cluster.  A database that
 * wants a worker and has none says since when it starves; a free slot goes to
 * who has starved longest, and while anyone does, workers elsewhere leave at
 * the end of their time slice.
 *
 * Locks: Shared->lock; never while a worker is being started.
 * Must not know: Kafka.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/units.h"

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "apply/outbox.h"
#include "catalog/store.h"
#include "common/guc.h"
#include "common/query.h"
#include "common/retry.h"
#include "common/shmem.h"
#include "common/write_rate.h"
#include "worker/launcher.h"

/* A worker that has not attached by then never will. */
#define ATTACH_TIMEOUT_MS	(10 * 1000)

/* Handles of the workers that this supervisor started, by slot. */
static BackgroundWorkerHandle *handles[SHARED_WORKERS];

/* In SQL, of a row v of venice.store_version: its rows are there. */
#define V_IS_THERE \
	V_HAS_ITS_TABLE " AND (NOT (v.options ->> 'unlogged')::pg_catalog.bool OR EXISTS (" \
	"SELECT FROM venice.unlogged_version u " \
	"WHERE u.store_name = v.store_name AND u.version = v.version))"

/* Of all versions: what is known of partitions of regions. */
#define ALL_STATES \
	"(SELECT a.store_name, a.version, a.region, a.topic, a.partition, a.done, a.joined " \
	"FROM venice.partition_state a " \
	"UNION ALL SELECT b.store_name, b.version, b.region, b.topic, b.partition, b.done, b.joined " \
	"FROM venice.unlogged_partition_state b)"

/* Of a row s of venice.store: it is not over its storage quota. */
#define S_IS_WITHIN_QUOTA \
	"NOT EXISTS (SELECT FROM venice_internal.over_quota o WHERE o.store_name = s.store_name)"

/* What versions are loaded from. */
#define LOADS_QUERY \
	"SELECT v.store_name::text, v.version, -1 AS region, s.server_name::text AS server, v.topic, " \
	"p.partition, v.end_requested, 0 AS members, v.started_time " \
	"FROM venice.store_version v JOIN venice.store s USING (store_name) " \
	"LEFT JOIN LATERAL (SELECT * FROM " ALL_STATES " a WHERE a.store_name = v.store_name " \
	"AND a.version = v.version AND a.region < 0) p ON true " \
	"WHERE v.state = 'started' AND v.topic IS NOT NULL AND NOT s.paused " \
	"AND " S_IS_WITHIN_QUOTA " " \
	"AND p.done IS NOT TRUE AND " V_IS_THERE

/*
 * What complete versions are written to from: one unit for those that have joined, with
 * the history, and one for each other.  They are looked at again when one of them has
 * other columns.
 */
#define STREAMS_QUERY \
	"SELECT t.store_name::text, CASE WHEN p.joined THEN 0 ELSE t.version END, t.region, t.server, " \
	"t.topic, p.partition, false, " \
	"pg_catalog.hashtext(pg_catalog.string_agg(t.version || ':' || t.columns, ' ' ORDER BY t.version) || " \
	"COALESCE((SELECT ' history' FROM venice.partition_state h WHERE h.store_name = t.store_name " \
	"AND h.version = -1 AND h.region = t.region AND h.topic = t.topic " \
	"AND h.partition = p.partition), '')), pg_catalog.min(t.started_time) " \
	"FROM (SELECT v.store_name, v.version, e.place::pg_catalog.int4 - 1 AS region, " \
	"e.value ->> 'server' AS server, " \
	"pg_catalog.replace(e.value ->> 'topic', '{store}', v.store_name::text) AS topic, " \
	"(SELECT c.relnatts FROM pg_catalog.pg_class c WHERE c.oid = " RECORDS_OF_V ") AS columns, " \
	"v.started_time " \
	"FROM venice.store_version v JOIN venice.store s USING (store_name) CROSS JOIN LATERAL " \
	"pg_catalog.jsonb_array_elements(v.options -> 'real_time_topics') " \
	"WITH ORDINALITY AS e (value, place) " \
	"WHERE v.version > 0 AND v.state IN ('ready', 'waiting_for_dump', 'current', 'backup', 'rolled_back') " \
	"AND NOT s.paused AND " S_IS_WITHIN_QUOTA " AND " V_IS_THERE ") t " \
	"LEFT JOIN LATERAL (SELECT a.partition, a.joined FROM " ALL_STATES " a " \
	"WHERE a.store_name = t.store_name AND a.version = t.version AND a.region = t.region " \
	"AND a.topic = t.topic) p ON true " \
	"GROUP BY t.store_name, CASE WHEN p.joined THEN 0 ELSE t.version END, t.region, t.server, t.topic, " \
	"p.partition"

/* Let workers know how fast stores may be written to. */
static void
set_write_rates(void)
{
	static SPIPlanPtr plan = NULL;
	QuerySession session;
	List	   *rates = NIL;
	uint64		rows;

	QueryBeginRegistry(&session);
	rows = QueryRunKept(&plan, "SELECT store_name::text, (options ->> 'write_quota')::pg_catalog.int4 "
						"FROM venice.store WHERE options ? 'write_quota'", NULL);
	for (uint64 i = 0; i < rows; i++)
	{
		StoreRate  *rate = palloc(sizeof(StoreRate));

		rate->store = QueryText(i, 1, CurrentMemoryContext);
		rate->rows_per_second = QueryInt4(i, 2, 0);
		rates = lappend(rates, rate);
	}
	WriteRateSetAll(rates);
	QueryEnd(&session);
}

/* Stores whose outbox a worker has. */
static List *
served_outboxes(void)
{
	List	   *served = NIL;

	LWLockAcquire(Shared->lock, LW_SHARED);
	for (int i = 0; i < SHARED_UNITS; i++)
	{
		const SharedUnit *unit = &Shared->units[i];

		if (unit->in_use && unit->database == MyDatabaseId && unit->region == OUTBOX_REGION &&
			unit->worker >= 0)
			served = lappend(served, pstrdup(NameStr(unit->store)));
	}
	LWLockRelease(Shared->lock);
	return served;
}

/* One for each store whose writes are to be produced; to be given out where there are some. */
static List *
wanted_outboxes(void)
{
	List	   *with_rows;
	List	   *stores = OutboxStores(served_outboxes(), &with_rows);
	List	   *wanted = NIL;
	ListCell   *cell;

	foreach(cell, stores)
	{
		WantedUnit *unit = palloc0(sizeof(WantedUnit));

		unit->store = lfirst(cell);
		unit->region = OUTBOX_REGION;
		unit->server = "";
		unit->topic = "";
		/* Known unless it has rows: nothing is made for it, and what is there goes on. */
		unit->known = !list_member_ptr(with_rows, lfirst(cell));
		unit->optional = unit->known;
		wanted = lappend(wanted, unit);
	}
	return wanted;
}

/*
 * A version whose table somebody has dropped, or whose rows a crash took, is not
 * wanted before maintenance has seen to it.
 */
List *
UnitsWanted(void)
{
	static SPIPlanPtr plan = NULL;
	QuerySession session;
	List	   *wanted = NIL;
	uint64		rows;

	set_write_rates();
	QueryBeginRegistry(&session);
	rows = QueryRunKept(&plan, LOADS_QUERY " UNION ALL " STREAMS_QUERY " ORDER BY 9, 1, 3, 6", NULL);
	for (uint64 i = 0; i < rows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(session.result_context);
		WantedUnit *unit = palloc0(sizeof(WantedUnit));

		unit->store = QueryText(i, 1, CurrentMemoryContext);
		unit->version = QueryInt4(i, 2, 0);
		unit->region = QueryInt4(i, 3, LOAD_REGION);
		unit->server = QueryText(i, 4, CurrentMemoryContext);
		unit->topic = QueryText(i, 5, CurrentMemoryContext);
		unit->partition = QueryInt4(i, 6, -1);
		unit->end_requested = QueryBool(i, 7);
		unit->members = (uint32) QueryInt4(i, 8, 0);
		unit->known = false;
		wanted = lappend(wanted, unit);
		MemoryContextSwitchTo(old);
	}
	QueryEnd(&session);
	return list_concat(wanted, wanted_outboxes());
}

static void
wake_worker(int slot)
{
	if (Shared->workers[slot].latch != NULL)
		SetLatch(Shared->workers[slot].latch);
}

/* Both are much in the same order: looked for from behind the one found last, *next. */
static WantedUnit *
find_wanted(const List *wanted, int *next, const SharedUnit *unit)
{
	int			count = list_length(wanted);

	for (int i = 0; i < count; i++)
	{
		int			place = (*next + i) % count;
		WantedUnit *candidate = list_nth(wanted, place);

		if (candidate->version == unit->version && candidate->region == unit->region &&
			candidate->partition == unit->partition &&
			strcmp(candidate->store, NameStr(unit->store)) == 0 &&
			(candidate->region < 0 ||
			 (strcmp(candidate->topic, unit->topic) == 0 &&
			  strcmp(candidate->server, NameStr(unit->server)) == 0)))
		{
			*next = place + 1;
			return candidate;
		}
	}
	return NULL;
}

bool
UnitsWriteToAll(const char *store)
{
	List	   *wanted;
	int			next_wanted = 0;
	bool		result = true;

	if (!WorkersPreloaded())
		return true;
	wanted = UnitsWanted();
	LWLockAcquire(Shared->lock, LW_SHARED);
	for (int i = 0; i < SHARED_UNITS; i++)
	{
		const SharedUnit *unit = &Shared->units[i];
		const WantedUnit *match;

		/* One without a worker reads who is there when it gets one. */
		if (!unit->in_use || unit->database != MyDatabaseId || unit->worker < 0 ||
			unit->region < 0 || unit->version != JOINED_VERSIONS ||
			strcmp(NameStr(unit->store), store) != 0)
			continue;
		match = find_wanted(wanted, &next_wanted, unit);
		result &= match != NULL && match->members == unit->members;
	}
	LWLockRelease(Shared->lock);
	return result;
}

static void
init_unit(SharedUnit *unit, const WantedUnit *wanted)
{
	uint32		generation = unit->generation;

	memset(unit, 0, sizeof(SharedUnit));
	unit->in_use = true;
	unit->generation = generation + 1;
	unit->database = MyDatabaseId;
	namestrcpy(&unit->store, wanted->store);
	unit->version = wanted->version;
	unit->region = wanted->region;
	namestrcpy(&unit->server, wanted->server);
	unit->members = wanted->members;
	strlcpy(unit->topic, wanted->topic, UNIT_TOPIC_BYTES);
	unit->partition = wanted->partition;
	unit->end_requested = wanted->end_requested;
	unit->state = UNIT_WAITING_FOR_WORKER;
	unit->worker = -1;
	unit->next_offset = -1;
	unit->end_offset = -1;
	unit->high_watermark = -1;
}

void
UnitsSync(const List *wanted)
{
	ListCell   *cell;
	int			next_wanted = 0;
	int			next_free = 0;

	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < SHARED_UNITS; i++)
	{
		SharedUnit *unit = &Shared->units[i];
		WantedUnit *match;

		if (!unit->in_use || unit->database != MyDatabaseId)
			continue;
		match = find_wanted(wanted, &next_wanted, unit);
		if (match != NULL && match->optional && unit->worker < 0)
			match = NULL;
		if (match != NULL)
		{
			match->known = true;
			if (match->end_requested && !unit->end_requested)
			{
				unit->end_requested = true;
				/* A topic that is still missing is now an error: do not wait for its next turn. */
				unit->next_retry_time = 0;
				if (unit->worker >= 0)
					wake_worker(unit->worker);
			}
			/* Whoever has joined, or left, is found when the unit begins anew. */
			if (unit->worker < 0)
				unit->members = match->members;
			else if (match->members != unit->members && !unit->stop_requested)
			{
				unit->stop_requested = true;
				wake_worker(unit->worker);
			}
		}
		else if (unit->worker < 0)
			unit->in_use = false;
		else if (!unit->stop_requested)
		{
			unit->stop_requested = true;
			wake_worker(unit->worker);
		}
	}

	/* What finds no room waits for what is ahead of it to be done. */
	foreach(cell, wanted)
	{
		if (((WantedUnit *) lfirst(cell))->known)
			continue;
		while (next_free < SHARED_UNITS && Shared->units[next_free].in_use)
			next_free++;
		if (next_free == SHARED_UNITS)
			break;
		init_unit(&Shared->units[next_free], lfirst(cell));
	}
	LWLockRelease(Shared->lock);
}

/* Free a slot whose worker has gone without a word, and tell why where it shows. */
static void
forget_worker(int slot)
{
	TimestampTz now = GetCurrentTimestamp();

	Shared->workers[slot].in_use = false;
	for (int i = 0; i < SHARED_UNITS; i++)
	{
		SharedUnit *unit = &Shared->units[i];

		if (!unit->in_use || unit->worker != slot)
			continue;
		unit->worker = -1;
		unit->stop_requested = false;
		unit->state = UNIT_RETRYING;
		unit->next_retry_time = TimestampTzPlusMilliseconds(now, RetryDelayMs(++unit->failures));
		unit->last_error_time = now;
		strlcpy(unit->last_error, "the ingest worker did not start; see the server log",
				UNIT_ERROR_BYTES);
	}
}

static void
collect_workers(void)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < Shared->worker_count; i++)
	{
		SharedWorker *worker = &Shared->workers[i];
		pid_t		pid;
		bool		stopped = false;

		if (handles[i] != NULL && GetBackgroundWorkerPid(handles[i], &pid) == BGWH_STOPPED)
		{
			pfree(handles[i]);
			handles[i] = NULL;
			stopped = true;
		}
		LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
		if (worker->in_use && worker->database == MyDatabaseId && worker->pid == 0 &&
			(stopped || TimestampDifferenceExceeds(worker->launch_time, now, ATTACH_TIMEOUT_MS)))
			forget_worker(i);
		LWLockRelease(Shared->lock);
	}
	ConditionVariableBroadcast(&Shared->released);
}

/* The worker of this database with the fewest units, -1: there is none.  Lock held. */
static int
least_loaded_worker(int *load)
{
	int			counts[SHARED_WORKERS] = {0};
	int			best = -1;

	for (int i = 0; i < SHARED_UNITS; i++)
		if (Shared->units[i].in_use && Shared->units[i].worker >= 0)
			counts[Shared->units[i].worker]++;
	for (int i = 0; i < Shared->worker_count; i++)
		if (Shared->workers[i].in_use && Shared->workers[i].database == MyDatabaseId &&
			(best < 0 || counts[i] < counts[best]))
			best = i;
	*load = best < 0 ? 0 : counts[best];
	return best;
}

/*
 * A slot for one more worker of this database, -1: none is to be had now.  A
 * database that has a worker leaves a slot to each that has none, and one that
 * has none to each that has waited longer.  Lock held.
 */
static int
free_slot(SharedDatabase *mine, bool have_worker)
{
	int			free_count = 0;
	int			first_free = -1;

	for (int i = 0; i < Shared->worker_count; i++)
		if (!Shared->workers[i].in_use)
		{
			if (first_free < 0)
				first_free = i;
			free_count++;
		}
	if (!have_worker && mine->starved_since == 0)
		mine->starved_since = GetCurrentTimestamp();
	for (int i = 0; i < SHARED_DATABASES; i++)
	{
		SharedDatabase *other = &Shared->databases[i];

		if (other != mine && other->in_use && other->pid != 0 && other->starved_since != 0 &&
			(have_worker || other->starved_since < mine->starved_since))
			free_count--;
	}
	return free_count > 0 ? first_free : -1;
}

static void
free_worker_slot(int slot)
{
	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	Shared->workers[slot].in_use = false;
	LWLockRelease(Shared->lock);
}

static bool
start_worker(int slot)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	BackgroundWorkerHandle *handle = NULL;
	bool		started;

	/* The slot of a worker that left in order may come round again before it is collected. */
	if (handles[slot] != NULL)
		pfree(handles[slot]);
	started = WorkerStart("venice_ingest", "venice_ingest_main", "ingest worker", MyDatabaseId,
						  slot, &handle);
	handles[slot] = started ? handle : NULL;
	MemoryContextSwitchTo(old);
	if (!started)
	{
		free_worker_slot(slot);
		WorkerWarnNoSlot("ingest worker");
	}
	return started;
}

/*
 * Reserve a worker for one more unit: an idle one, a new one, or the one that
 * has least to do.  -1: there is none.  Sets *is_new for a slot whose worker is
 * to be started.  Lock held exclusively.
 */
static int
choose_worker(bool may_start, bool *is_new)
{
	SharedDatabase *mine = SharedDatabaseFind(MyDatabaseId, false);
	int			load;
	int			slot = least_loaded_worker(&load);
	int			fresh = -1;

	*is_new = false;
	if (slot >= 0 && load == 0)
		return slot;
	if (mine != NULL && may_start)
		fresh = free_slot(mine, slot >= 0);
	if (fresh >= 0)
	{
		SharedWorker *worker = &Shared->workers[fresh];

		worker->in_use = true;
		worker->generation++;
		worker->database = MyDatabaseId;
		worker->pid = 0;
		worker->latch = NULL;
		worker->launch_time = GetCurrentTimestamp();
		mine->starved_since = 0;
		*is_new = true;
		return fresh;
	}
	return slot;
}

/* Its time has come; one that waits for its store's write quota looks at that alone. */
static bool
is_due(const SharedUnit *unit, TimestampTz now)
{
	if (unit->state == UNIT_PAUSED)
		return WriteRateWaitMs(NameStr(unit->store)) == 0;
	return unit->next_retry_time <= now;
}

void
UnitsAssign(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		may_start = true;
	bool		starving = false;
	bool		given[SHARED_WORKERS] = {false};

	collect_workers();
	for (int i = 0; i < SHARED_UNITS; i++)
	{
		SharedUnit *unit = &Shared->units[i];
		bool		is_new = false;
		int			slot = -1;

		LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
		if (unit->in_use && unit->database == MyDatabaseId && unit->worker < 0 &&
			is_due(unit, now) &&
			!SharedVersionIsHeld(NameStr(unit->store), unit->version))
		{
			slot = choose_worker(may_start, &is_new);
			if (slot >= 0 && !is_new)
			{
				unit->worker = slot;
				given[slot] = true;
			}
			else if (slot < 0)
			{
				unit->state = UNIT_WAITING_FOR_WORKER;
				starving = true;
			}
		}
		LWLockRelease(Shared->lock);

		if (!is_new)
			continue;
		if (start_worker(slot))
		{
			/* Nobody else gives units away, but somebody may have come to hold this one still. */
			LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
			if (unit->in_use && Shared->workers[slot].in_use &&
				!SharedVersionIsHeld(NameStr(unit->store), unit->version))
			{
				unit->worker = slot;
				given[slot] = true;
			}
			LWLockRelease(Shared->lock);
		}
		else
		{
			may_start = false;
			i--;				/* an existing worker may take it */
		}
	}

	/* Only now, so that a worker takes up together what it reads by one request. */
	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < Shared->worker_count; i++)
		if (given[i])
			wake_worker(i);
	if (!starving)
	{
		SharedDatabase *mine = SharedDatabaseFind(MyDatabaseId, false);

		if (mine != NULL)
			mine->starved_since = 0;
	}
	LWLockRelease(Shared->lock);
}

void
UnitsRelease(void)
{
	UnitsSync(NIL);
}
