/*-------------------------------------------------------------------------
 *
 * arrival.c
 *		In which order the rows of histories came.
 *
 * A row's arrival is the 64-bit id of the transaction that wrote it, shifted left, plus
 * a counter within the transaction: rows of two transactions that cannot see each other
 * are in some order, those of one in that in which they were written, and whoever reads
 * up to the oldest transaction that runs misses nothing that commits later.  A sequence
 * could not say that.
 *
 * A restored history has arrivals of another server, whose transactions may have had
 * greater ids.  So each server and database has a base, added to all, which is found when
 * the first row is written there: what is written next comes after all that is there.
 * Who writes first in two transactions at once waits for the other.
 *
 * Locks: those of reading histories and of one row.
 * Must not know: what is in a row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "common/query.h"

PG_FUNCTION_INFO_V1(venice_next_arrival);

/* Rows of one transaction that are told apart: a million. */
#define COUNTER_BITS	20
#define COUNTER_MAX		((INT64CONST(1) << COUNTER_BITS) - 1)

/* Farther than any server comes by itself. */
#define ARRIVAL_MAX		(PG_INT64_MAX / 2)

/* Of the current transaction. */
static struct
{
	FullTransactionId xid;
	int64		first;
	int64		count;
}			arrivals;

static void
identify(QueryArgs *args)
{
	QueryArgInt8(args, (int64) GetSystemIdentifier());
	QueryArgDatum(args, OIDOID, ObjectIdGetDatum(MyDatabaseId), false);
}

static bool
find_base(int64 *base)
{
	QuerySession session;
	QueryArgs	args = {0};
	bool		found;

	QueryBeginRegistry(&session);
	identify(&args);
	found = QueryRunLatest("SELECT base FROM venice.arrival_base "
						   "WHERE system_identifier = $1 AND database_oid = $2", &args) > 0;
	if (found)
		*base = QueryInt8(0, 1, 0);
	QueryEnd(&session);
	return found;
}

/* A history, to be read as its owner. */
typedef struct History
{
	Oid			owner;
	char	   *query;			/* its last arrival */
} History;

static List *
find_histories(void)
{
	QuerySession session;
	QueryArgs	args = {0};
	List	   *histories = NIL;
	MemoryContext spi;
	uint64		count;

	QueryBeginRegistry(&session);
	count = QueryRunLatest("SELECT c.relowner, "
						   "pg_catalog.format('SELECT pg_catalog.max(%I) FROM %I.rows', a.attname, n.nspname) "
						   "FROM venice.store s "
						   "JOIN pg_catalog.pg_namespace n ON n.nspname = (s.store_name || '_history')::pg_catalog.name "
						   "JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'rows' AND c.relkind = 'p' "
						   "AND c.relowner = n.nspowner "
						   /* Somebody else's of that name is none. */
						   "JOIN venice.version_pointer p ON p.store_name = s.store_name "
						   "JOIN pg_catalog.pg_class r ON r.oid = p.records AND r.relowner = c.relowner "
						   "JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped "
						   "AND a.attname IN ('arrival', '_arrival') "
						   "AND a.atttypid = 'pg_catalog.int8'::pg_catalog.regtype", &args);
	spi = MemoryContextSwitchTo(session.result_context);
	for (uint64 row = 0; row < count; row++)
	{
		History    *history = palloc(sizeof(History));
		bool		is_null;

		history->owner = DatumGetObjectId(QueryDatum(row, 1, &is_null));
		history->query = QueryText(row, 2, CurrentMemoryContext);
		histories = lappend(histories, history);
	}
	MemoryContextSwitchTo(spi);
	QueryEnd(&session);
	return histories;
}

/* A base by which this transaction's arrivals come after all that there are. */
static int64
compute_base(FullTransactionId xid)
{
	int64		last = 0;
	int64		transactions;
	ListCell   *cell;

	foreach(cell, find_histories())
	{
		const History *history = lfirst(cell);
		QuerySession session;
		QueryArgs	args = {0};

		QueryBegin(&session, history->owner);
		(void) QueryRunLatest(history->query, &args);
		/* One that was written by hand may leave no room for what comes. */
		last = Max(last, Min(QueryInt8(0, 1, 0), ARRIVAL_MAX));
		QueryEnd(&session);
	}
	transactions = (last >> COUNTER_BITS) + 1 - (int64) U64FromFullTransactionId(xid);
	return Max(transactions, 0) << COUNTER_BITS;
}

static int64
read_base(FullTransactionId xid)
{
	int64		base;

	while (!find_base(&base))
	{
		QuerySession session;
		QueryArgs	args = {0};

		base = compute_base(xid);
		QueryBeginRegistry(&session);
		identify(&args);
		QueryArgInt8(&args, base);
		(void) QueryRun("INSERT INTO venice.arrival_base VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
						&args);
		QueryEnd(&session);
	}
	return base;
}

/*
 * venice_next_arrival
 *		next_arrival(): the default of histories' column arrival.  A transaction's later
 *		rows than the millionth share one.
 */
Datum
venice_next_arrival(PG_FUNCTION_ARGS)
{
	FullTransactionId xid = GetTopFullTransactionId();

	if (!FullTransactionIdEquals(xid, arrivals.xid))
	{
		int64		base = read_base(xid);

		arrivals.first = base + (int64) (U64FromFullTransactionId(xid) << COUNTER_BITS);
		arrivals.count = 0;
		arrivals.xid = xid;
	}
	if (arrivals.count < COUNTER_MAX)
		arrivals.count++;
	PG_RETURN_INT64(arrivals.first + arrivals.count);
}
