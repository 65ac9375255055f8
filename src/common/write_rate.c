/*-------------------------------------------------------------------------
 *
 * write_rate.c
 *		How many rows a second are written to a store.
 *
 * A store with a quota has an allowance, which grows with the time up to what a second
 * brings.  Whoever writes takes from it, also more than there is: batches are as large
 * as they come.  While it is overdrawn nobody writes.
 *
 * Locks: one of its own, for all stores, and for an instant.
 * Must not know: who writes, and what becomes of who may not.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/write_rate.h"

#include <math.h>

#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "common/shared_area.h"

#define SHARED_RATES	256

/* One that nobody has asked for in so long has all of its allowance, and may be made again. */
#define FORGOTTEN_AFTER_MS	(60 * 60 * 1000)

typedef struct Rate
{
	Oid			database;		/* InvalidOid: free */
	NameData	store;
	int			rows_per_second;
	double		allowance;		/* rows */
	TimestampTz counted_time;	/* when that was so */
} Rate;

typedef struct Rates
{
	LWLock	   *lock;
	Rate		rates[SHARED_RATES];
} Rates;

static Rates *shared = NULL;

static void
fill(LWLockPadded *locks)
{
	memset(shared, 0, sizeof(Rates));
	shared->lock = &locks[0].lock;
}

void
WriteRateRequestMemory(void)
{
	SharedAreaRequest("venice_write_rate", (void **) &shared, sizeof(Rates), 1, fill);
}

/* A store's entry; with make a free one if it has none.  Lock held. */
static Rate *
find(const char *store, bool make)
{
	Rate	   *free_rate = NULL;
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < SHARED_RATES; i++)
	{
		Rate	   *rate = &shared->rates[i];

		if (rate->database == MyDatabaseId && strcmp(NameStr(rate->store), store) == 0)
			return rate;
		if (free_rate == NULL &&
			(!OidIsValid(rate->database) ||
			 TimestampDifferenceExceeds(rate->counted_time, now, FORGOTTEN_AFTER_MS)))
			free_rate = rate;
	}
	if (!make || free_rate == NULL)
		return NULL;
	memset(free_rate, 0, sizeof(Rate));
	free_rate->database = MyDatabaseId;
	namestrcpy(&free_rate->store, store);
	return free_rate;
}

/* Lock held. */
static void
set_rate(const char *store, int rows_per_second)
{
	Rate	   *rate = find(store, rows_per_second > 0);

	if (rate == NULL || rate->rows_per_second == rows_per_second)
		return;
	rate->allowance = rate->counted_time == 0 ? rows_per_second :
		Min(rate->allowance, rows_per_second);
	if (rate->counted_time == 0)
		rate->counted_time = GetCurrentTimestamp();
	rate->rows_per_second = rows_per_second;
	if (rows_per_second == 0)
		rate->database = InvalidOid;
}

void
WriteRateSet(const char *store, int rows_per_second)
{
	if (shared == NULL)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	set_rate(store, rows_per_second);
	LWLockRelease(shared->lock);
}

void
WriteRateSetAll(const List *rates)
{
	if (shared == NULL)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < SHARED_RATES; i++)
	{
		Rate	   *rate = &shared->rates[i];
		bool		listed = false;
		ListCell   *cell;

		foreach(cell, rates)
			listed |= strcmp(((StoreRate *) lfirst(cell))->store, NameStr(rate->store)) == 0;
		if (rate->database == MyDatabaseId && !listed)
			rate->database = InvalidOid;
	}
	for (int i = 0; i < list_length(rates); i++)
	{
		const StoreRate *rate = list_nth(rates, i);

		set_rate(rate->store, rate->rows_per_second);
	}
	LWLockRelease(shared->lock);
}

/* As it is now.  Lock held. */
static void
bring_up_to_date(Rate *rate)
{
	TimestampTz now = GetCurrentTimestamp();
	double		passed_s = Max(now - rate->counted_time, 0) / (double) USECS_PER_SEC;

	rate->allowance = Min(rate->allowance + rate->rows_per_second * passed_s,
						  rate->rows_per_second);
	rate->counted_time = now;
}

int
WriteRateWaitMs(const char *store)
{
	Rate	   *rate;
	double		wait_ms = 0;

	if (shared == NULL)
		return 0;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	rate = find(store, false);
	if (rate != NULL)
	{
		bring_up_to_date(rate);
		if (rate->allowance < 1)
			wait_ms = (1 - rate->allowance) * 1000 / rate->rows_per_second;
	}
	LWLockRelease(shared->lock);
	return (int) Min(ceil(wait_ms), PG_INT32_MAX);
}

void
WriteRateCount(const char *store, int64 rows)
{
	Rate	   *rate;

	if (shared == NULL)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	rate = find(store, false);
	if (rate != NULL)
	{
		bring_up_to_date(rate);
		rate->allowance -= rows;
	}
	LWLockRelease(shared->lock);
}
