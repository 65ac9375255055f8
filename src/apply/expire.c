/*-------------------------------------------------------------------------
 *
 * expire.c
 *		Rows that expire: option ttl.
 *
 * A write leaves its time in the row, in "_meta", and what a push has brought has none, so
 * that it does not expire.  What is older than the ttl is taken away as a
 * delete of then would: with triggers, tombstones where there are such, a row of history
 * and one of the log.
 *
 * There is no index on the times: it would make of every write of a row one of all its
 * indexes.  Each version is looked through from end to end, when the oldest
 * write that it had the last time comes of age; often enough for writes that come late with
 * an early time, and never for more than a tenth of the time.  So a row goes
 * within a minute, or ten times what it takes to read the table, if that is longer; look-ups
 * find it until then.
 *
 * A number of rows is a transaction.  Who else is at a row is not waited for: it is looked
 * at again.  So nobody waits for us in a ring, although versions are gone through one
 * after the other.
 *
 * Locks: StoreExpiryLock, StoreWritersLock; rows as UPDATE and DELETE do, if they are free.
 * Must not know: how a row expires (merge/).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "apply/expire.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "apply/change.h"
#include "apply/log.h"
#include "apply/write.h"
#include "common/query.h"
#include "version/history.h"
#include "wire/to_json.h"

/* Rows that are taken away in a transaction. */
#define EXPIRE_ROWS		1000

/* Between two looks at a version: a share of the ttl, within a minute. */
#define LOOKS_PER_TTL	20
#define LONGEST_PAUSE_US	(60 * USECS_PER_SEC)

/* The part of the time that is spent looking. */
#define LOOK_SHARE		10

/* Longest time between two looks at one that has nothing to expire yet. */
#define SPARSE_LOOKS_PER_TTL	10

/* How often it is asked whether there is something to look at. */
#define ASK_EVERY_MS	1000

/* How far this process has come with a version. */
typedef struct Look
{
	NameData	store;			/* empty: none */
	int			version;
	int64		before;
	BlockNumber place;
	int64		earliest;		/* oldest write that stays */
	instr_time	spent;
} Look;

/* The end of the last transaction that was not at a version's end. */
static Look last_look;

int64
ExpiryTime(int64 ttl_us)
{
	return GetCurrentTimestamp() - ttl_us +
		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
}

/* Stores with versions of which it is not said, or has come, when they are to be looked at. */
List *
StoresWithExpiry(void)
{
	QuerySession session;
	List	   *stores;

	QueryBeginRegistry(&session);
	(void) QueryRunLatest("SELECT pg_catalog.array_agg(DISTINCT s.store_name::text) "
						  "FROM venice.store s JOIN venice.store_version v USING (store_name) "
						  "LEFT JOIN venice.expiry_look l USING (store_name, version) "
						  "WHERE s.options ? 'ttl' AND v.state IN ('ready', 'waiting_for_dump', 'current', "
						  "'backup', 'rolled_back') "
						  "AND COALESCE(l.next_time <= pg_catalog.clock_timestamp(), true) "
						  "AND EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = s.store_name) "
						  "AND " V_HAS_ITS_TABLE,
						  &(QueryArgs) {0});
	stores = QueryTexts(0, 1, session.result_context);
	QueryEnd(&session);
	return stores;
}

bool
ExpiryIsDue(void)
{
	static TimestampTz next_look = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (now < next_look)
		return false;
	next_look = TimestampTzPlusMilliseconds(now, ASK_EVERY_MS);
	return StoresWithExpiry() != NIL;
}

void
ExpireSoon(const char *store)
{
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	QueryArgText(&args, store);
	(void) QueryRun("DELETE FROM venice.expiry_look WHERE store_name = COALESCE($1::name, store_name)",
					&args);
	QueryEnd(&session);
}

/* Has a version's time come?  As the registry says now. */
static bool
is_due(const Version *version)
{
	QuerySession session;
	QueryArgs	args = {0};
	bool		due;

	QueryBeginRegistry(&session);
	QueryArgText(&args, version->store);
	QueryArgInt4(&args, version->number);
	due = QueryRunLatest("SELECT FROM venice.expiry_look WHERE store_name = $1::name AND version = $2 "
						 "AND next_time > pg_catalog.clock_timestamp()", &args) == 0;
	QueryEnd(&session);
	return due;
}

/* A version was looked through to its end. */
static void
write_next_time(const Store *store, const Version *version, const Look *look, bool knows_times)
{
	int64		ttl_us = store->options->ttl_us;
	int64		pause_us = Min(ttl_us / LOOKS_PER_TTL, LONGEST_PAUSE_US);
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next = DT_NOEND;
	QuerySession session;
	QueryArgs	args = {0};

	pause_us = Max(pause_us, LOOK_SHARE * (int64) INSTR_TIME_GET_MICROSEC(look->spent));
	if (knows_times)
	{
		/* Of what is left the oldest is as old as that now. */
		int64		age_us = look->earliest == PG_INT64_MAX ? 0 : ExpiryTime(0) - look->earliest;
		int64		wait_us = Min(ttl_us - Max(age_us, 0), ttl_us / SPARSE_LOOKS_PER_TTL);

		next = now + Max(wait_us, pause_us);
	}
	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	QueryArgInt4(&args, version->number);
	QueryArgDatum(&args, TIMESTAMPTZOID, TimestampTzGetDatum(next), false);
	(void) QueryRun("INSERT INTO venice.expiry_look VALUES ($1::name, $2, $3) "
					"ON CONFLICT (store_name, version) DO UPDATE SET next_time = EXCLUDED.next_time", &args);
	QueryEnd(&session);
}

static void
log_expiry(const Store *store, TupleDesc keys, const ExpiredRow *rows, int count, int64 before)
{
	LoggedWrite *logged = palloc0(count * sizeof(LoggedWrite));
	bool	   *isnull = palloc0(store->key_count * sizeof(bool));

	for (int i = 0; i < count; i++)
	{
		logged[i] = (LoggedWrite) {.kind = WRITE_EXPIRE,.time = before};
		logged[i].event_time = GetCurrentTimestamp();
		logged[i].key = ColumnsToJson(keys, 0, store->key_count, rows[i].key, isnull);
	}
	LogAppend(store, logged, count);
}

/* The past has rows that are gone, or those of which something is left. */
static void
remember_expiry(const Store *store, TupleDesc keys, const ExpiredRow *rows, int count, bool gone)
{
	HistoryWrite *past = palloc(count * sizeof(HistoryWrite));
	bool	   *isnull = palloc0(store->key_count * sizeof(bool));
	int			kept = 0;

	for (int i = 0; i < count; i++)
		if (rows[i].gone == gone)
			past[kept++] = (HistoryWrite) {rows[i].key, isnull, GetCurrentTimestamp()};
	if (kept > 0)
		HistoryAppendWrite(store, gone ? HISTORY_DELETE : HISTORY_UPDATE, keys, past, kept, true);
}

/* Take away what has expired of rows that were found. */
static void
expire(VersionWriter *writer, const ExpiredRow *rows, int count, int64 before, bool with_pushed)
{
	RowWrite	write = {.kind = WRITE_EXPIRE,.time = before,.with_pushed = with_pushed};
	KeyedWrite *writes = palloc(count * sizeof(KeyedWrite));

	for (int i = 0; i < count; i++)
		writes[i] = (KeyedWrite) {rows[i].key, &write, GetCurrentTimestamp()};
	VersionWriterApplyMany(writer, writes, count);
	pfree(writes);
}

static TupleDesc
key_columns(const Store *store, TupleDesc columns)
{
	TupleDesc	keys = CreateTemplateTupleDesc(store->key_count);

	for (int i = 0; i < store->key_count; i++)
		TupleDescCopyEntry(keys, i + 1, columns, i + 1);
	return keys;
}

/* Go on with a version; true at its end.  As the store's owner. */
static bool
look_through(const Store *store, const Version *version, VersionWriter *writer, TupleDesc columns,
			 Look *look)
{
	ExpiredRow *rows = palloc(EXPIRE_ROWS * sizeof(ExpiredRow));
	int			count;
	instr_time	start;
	instr_time	end;
	bool		done;

	INSTR_TIME_SET_CURRENT(start);
	done = VersionWriterFindExpired(writer, look->before, false, &look->place, &look->earliest,
									rows, EXPIRE_ROWS, &count);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_ACCUM_DIFF(look->spent, end, start);
	expire(writer, rows, count, look->before, false);
	if (count > 0 && version->state == VERSION_CURRENT)
	{
		TupleDesc	keys = key_columns(store, columns);

		if (OidIsValid(HistoryLog(store)))
			log_expiry(store, keys, rows, count, look->before);
		remember_expiry(store, keys, rows, count, true);
		remember_expiry(store, keys, rows, count, false);
	}
	return done;
}

/* Where this process has come to with the version, else its beginning. */
static Look
begin_look(const Store *store, const Version *version)
{
	Look		look = last_look;

	memset(&last_look, 0, sizeof(Look));
	if (strcmp(NameStr(look.store), store->name) == 0 && look.version == version->number)
		return look;
	memset(&look, 0, sizeof(Look));
	namestrcpy(&look.store, store->name);
	look.version = version->number;
	look.before = ExpiryTime(store->options->ttl_us);
	look.earliest = PG_INT64_MAX;
	return look;
}

/* True at the version's end. */
static bool
expire_in_version(const Store *store, const Version *version)
{
	Oid			records = VersionTable(version);
	Look		look = begin_look(store, version);
	QuerySession session;
	TupleDesc	columns;
	VersionWriter *writer;
	bool		knows_times;
	bool		done = true;

	if (!OidIsValid(records) || get_rel_name(records) == NULL)
		return true;
	QueryBegin(&session, store->owner);
	columns = WriteColumns(store, records);
	writer = VersionWriterOpen(store, version, columns);
	knows_times = writer != NULL && VersionWriterKnowsTimes(writer);
	if (knows_times)
		done = look_through(store, version, writer, columns, &look);
	if (writer != NULL)
		VersionWriterClose(writer);
	QueryEnd(&session);
	if (done)
		write_next_time(store, version, &look, knows_times);
	else
		last_look = look;
	return done;
}

bool
ExpireRows(const char *name)
{
	Store	   *store = StoreLookup(name, true);
	bool		done = true;
	ListCell   *cell;

	if (store == NULL || !OidIsValid(store->schema_oid) || store->options->ttl_us == 0)
		return false;
	/* Of two that do this the second finds done what the first has begun. */
	StoreExpiryLock(name);
	StoreWritersLock(name);
	PushActiveSnapshot(GetLatestSnapshot());
	foreach(cell, CompleteVersions(store))
		if (done && is_due(lfirst(cell)))
			done = expire_in_version(store, lfirst(cell));
	PopActiveSnapshot();
	return !done;
}

void
VersionExpire(const Store *store, const Version *version, int64 before, bool with_pushed)
{
	BlockNumber place = 0;
	int64		earliest = PG_INT64_MAX;
	ExpiredRow *rows = palloc(EXPIRE_ROWS * sizeof(ExpiredRow));
	int			count;
	bool		done = false;
	QuerySession session;
	VersionWriter *writer;

	CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
	QueryBegin(&session, store->owner);
	writer = VersionWriterOpen(store, version, WriteColumns(store, VersionTable(version)));
	while (writer != NULL && !done)
	{
		done = VersionWriterFindExpired(writer, before, with_pushed, &place, &earliest, rows,
										EXPIRE_ROWS, &count);
		expire(writer, rows, count, before, with_pushed);
	}
	if (writer != NULL)
		VersionWriterClose(writer);
	QueryEnd(&session);
	PopActiveSnapshot();
}
