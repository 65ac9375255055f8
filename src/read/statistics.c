/*-------------------------------------------------------------------------
 *
 * statistics.c
 *		How often stores are read, and from where.
 *
 * A backend counts for itself while it reads one store, and adds that to the
 * shared counters when it turns to another one or its transaction ends.  A place
 * that a store has got is its own until the server stops.
 *
 * Locks: one LWLock for giving out places; the counters are atomics.
 * Must not know: how rows are read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "read/statistics.h"

#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "catalog/store.h"
#include "common/compat.h"
#include "common/shared_area.h"

#define PLACES				1024

PG_FUNCTION_INFO_V1(venice_read_statistics);

typedef struct Place
{
	Oid			database;		/* invalid: free */
	NameData	store;
	pg_atomic_uint32 forms;		/* see ReadStatisticsForms */
	pg_atomic_uint64 gets;
	pg_atomic_uint64 keys;
	pg_atomic_uint64 hits;
	pg_atomic_uint64 misses;
	pg_atomic_uint64 evictions;
	pg_atomic_uint64 bytes;
} Place;

typedef struct Places
{
	LWLock	   *lock;			/* guards database and store of each place */
	Place		places[PLACES];
} Places;

static Places *shared = NULL;

/* What this backend has counted and not yet added. */
static struct
{
	int			place;
	uint64		gets;
	uint64		keys;
	uint64		hits;
	uint64		misses;
}			pending = {-1};

static bool callback_registered = false;

static void
fill_memory(LWLockPadded *locks)
{
	memset(shared, 0, sizeof(Places));
	shared->lock = &locks->lock;
	for (int i = 0; i < PLACES; i++)
	{
		Place	   *place = &shared->places[i];

		pg_atomic_init_u32(&place->forms, 0);
		pg_atomic_init_u64(&place->gets, 0);
		pg_atomic_init_u64(&place->keys, 0);
		pg_atomic_init_u64(&place->hits, 0);
		pg_atomic_init_u64(&place->misses, 0);
		pg_atomic_init_u64(&place->evictions, 0);
		pg_atomic_init_u64(&place->bytes, 0);
	}
}

void
ReadStatisticsRequest(void)
{
	SharedAreaRequest("venice_read_statistics", (void **) &shared, sizeof(Places), 1, fill_memory);
}

int
ReadStatisticsPlace(const char *store)
{
	int			found = -1;

	if (shared == NULL)
		return -1;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < PLACES && found < 0; i++)
	{
		Place	   *place = &shared->places[i];

		if (!OidIsValid(place->database))
		{
			place->database = MyDatabaseId;
			namestrcpy(&place->store, store);
		}
		if (place->database == MyDatabaseId && namestrcmp(&place->store, store) == 0)
			found = i;
	}
	LWLockRelease(shared->lock);
	return found;
}

static void
add_pending(void)
{
	Place	   *place;

	if (pending.place < 0)
		return;
	place = &shared->places[pending.place];
	pg_atomic_fetch_add_u64(&place->gets, pending.gets);
	pg_atomic_fetch_add_u64(&place->keys, pending.keys);
	if (pending.hits > 0)
		pg_atomic_fetch_add_u64(&place->hits, pending.hits);
	if (pending.misses > 0)
		pg_atomic_fetch_add_u64(&place->misses, pending.misses);
	memset(&pending, 0, sizeof(pending));
	pending.place = -1;
}

static void
end_transaction(XactEvent event, void *argument)
{
	add_pending();
}

void
ReadStatisticsCount(int place, int64 keys, int64 hits, int64 misses)
{
	if (place < 0)
		return;
	if (!callback_registered)
	{
		RegisterXactCallback(end_transaction, NULL);
		callback_registered = true;
	}
	if (pending.place != place)
	{
		add_pending();
		pending.place = place;
	}
	pending.gets++;
	pending.keys += keys;
	pending.hits += hits;
	pending.misses += misses;
}

void
ReadStatisticsForm(int place, int form)
{
	if (place >= 0 && !(pg_atomic_read_u32(&shared->places[place].forms) & (1 << form)))
		pg_atomic_fetch_or_u32(&shared->places[place].forms, 1 << form);
}

uint32
ReadStatisticsForms(int place)
{
	return place < 0 ? 0 : pg_atomic_read_u32(&shared->places[place].forms);
}

void
ReadStatisticsBytes(int place, int64 change)
{
	if (place >= 0)
		pg_atomic_fetch_add_u64(&shared->places[place].bytes, (uint64) change);
}

void
ReadStatisticsEviction(int place)
{
	if (place >= 0)
		pg_atomic_fetch_add_u64(&shared->places[place].evictions, 1);
}

/*
 * venice_read_statistics
 *		read_statistics(): store, gets, keys, hits, misses, evictions, bytes of each
 *		store of this database that was read since the server started and whose
 *		statistics the caller may see.
 */
Datum
venice_read_statistics(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; shared != NULL && i < PLACES; i++)
	{
		Place	   *place = &shared->places[i];
		NameData	store = place->store;
		Datum		values[7];
		bool		nulls[7] = {false};

		if (place->database != MyDatabaseId ||
			!StoreShowsStatistics(NameStr(store), GetUserId()))
			continue;
		values[0] = NameGetDatum(&store);
		values[1] = Int64GetDatum((int64) pg_atomic_read_u64(&place->gets));
		values[2] = Int64GetDatum((int64) pg_atomic_read_u64(&place->keys));
		values[3] = Int64GetDatum((int64) pg_atomic_read_u64(&place->hits));
		values[4] = Int64GetDatum((int64) pg_atomic_read_u64(&place->misses));
		values[5] = Int64GetDatum((int64) pg_atomic_read_u64(&place->evictions));
		values[6] = Int64GetDatum((int64) pg_atomic_read_u64(&place->bytes));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
