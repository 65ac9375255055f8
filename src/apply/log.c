/*-------------------------------------------------------------------------
 *
 * log.c
 *		The log of writes to a store: <store>_history.log.
 *
 * A push replaces the rows of a store, and what was written to them lately is to be
 * in its version all the same: it is written to it again, from the log.
 *
 * Writers share a lock, to the end of their transactions.  The new version first
 * gets what was committed when it began to look, without any lock; then it takes
 * the lock for itself, and gets the rest.  What the rest is, the first look's snapshot
 * says: positions could not, because a transaction that took an early one may commit
 * late.  The transactions' ids only narrow the search, as those of a log that was dumped
 * and restored are another cluster's.  Within a key positions are in the order of the
 * writes, as they are taken while the key's row is locked.
 *
 * Locks: StoreWritersLock, to itself; StoreLogLock where the log is made.
 * Must not know: who writes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "apply/log.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "rewrite/rewriteHandler.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "apply/change.h"
#include "apply/write.h"
#include "common/compat.h"
#include "common/query.h"
#include "common/subtransaction.h"
#include "version/history.h"

/* Rows of the log that are read, and that are written, at once. */
#define READ_ROWS		1000
#define LOG_ROWS		64

/* How long writers are made to wait at once for a version that wants to keep them out. */
#define LOCK_TRY_MS		200
#define LOCK_PAUSE_MS	50

/* Every so many tries one is long enough to notice who waits for us in his turn. */
#define LOCK_LONG_TRY	20

/* Between two looks for what is old. */
#define LOOK_EVERY_MS	(60 * 1000)

/* Always in one order, also across a swap: of two writers to a key one waits for the other. */
List *
CompleteVersions(const Store *store)
{
	List	   *complete = NIL;
	ListCell   *cell;

	foreach(cell, VersionListLatest(store->name))
	{
		Version    *version = lfirst(cell);

		if (VersionStateIsComplete(version->state))
			complete = lappend(complete, version);
	}
	return complete;
}

TupleDesc
WriteColumns(const Store *store, Oid records)
{
	Relation	relation = table_open(records, AccessShareLock);
	TupleDesc	descriptor = RelationGetDescr(relation);
	TupleDesc	columns;
	List	   *numbers = NIL;
	int			count = 0;
	ListCell   *cell;

	/* A column that was added to the version comes last in it, wherever the store has it. */
	foreach(cell, store->columns)
	{
		const char *name = ((StoreColumn *) lfirst(cell))->name;
		AttrNumber	attribute = get_attnum(records, name);

		if (attribute != InvalidAttrNumber && name[0] != '_')
			numbers = lappend_int(numbers, attribute);
	}
	columns = CreateTemplateTupleDesc(list_length(numbers));
	foreach(cell, numbers)
		TupleDescCopyEntry(columns, ++count, descriptor, lfirst_int(cell));
	table_close(relation, AccessShareLock);
	return columns;
}

/* The log's name, quoted; NULL when there is none. */
static char *
log_name(const Store *store)
{
	Oid			log = HistoryLog(store);

	if (!OidIsValid(log))
		return NULL;
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(log)), "log");
}

void
LogMake(const Store *store)
{
	QuerySession session;
	char	   *name;

	if (log_name(store) != NULL)
		return;
	StoreLogLock(store->name);
	if (log_name(store) != NULL)
		return;
	HistorySchemaMake(store);
	name = quote_qualified_identifier(get_namespace_name(HistorySchema(store)), "log");
	QueryBegin(&session, store->owner);
	QueryRunf("CREATE TABLE %s (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
			  "transaction_id xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(), "
			  "written_time timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), "
			  "kind \"char\" NOT NULL, key jsonb NOT NULL, fields jsonb, "
			  "write_time bigint NOT NULL, event_time timestamptz NOT NULL, tie_hash integer NOT NULL)",
			  name);
	QueryRunf("CREATE INDEX ON %s (written_time)", name);
	QueryRunf("COMMENT ON TABLE %s IS 'What was put, updated and deleted: written again to the version of a push.'",
			  name);
	QueryEnd(&session);
}

static char
kind_letter(WriteKind kind)
{
	static const char letters[] = {
		[WRITE_PUT] = 'p',[WRITE_UPDATE] = 'u',[WRITE_DELETE] = 'd',[WRITE_EXPIRE] = 'x'
	};

	return letters[kind];
}

/* A column of the log: what a write has for it, or its default. */
static Datum
logged_value(const LoggedWrite *write, const char *column, bool *is_given, bool *isnull)
{
	*is_given = true;
	*isnull = false;
	if (strcmp(column, "kind") == 0)
		return CharGetDatum(kind_letter(write->kind));
	if (strcmp(column, "key") == 0)
		return JsonbPGetDatum(write->key);
	if (strcmp(column, "write_time") == 0)
		return Int64GetDatum(write->time);
	if (strcmp(column, "event_time") == 0)
		return TimestampTzGetDatum(write->event_time);
	if (strcmp(column, "tie_hash") == 0)
		return Int32GetDatum(write->tie_hash);
	*isnull = write->fields == NULL;
	*is_given = strcmp(column, "fields") == 0;
	return *isnull ? (Datum) 0 : JsonbPGetDatum(write->fields);
}

/* Where rows are appended to the log. */
typedef struct LogWriter
{
	Relation	relation;
	EState	   *estate;
	ResultRelInfo *result;
	ExprState **defaults;		/* of each column, or NULL */
	TupleTableSlot *slots[LOG_ROWS];
	int			count;			/* of those filled */
} LogWriter;

static void
open_log(const Store *store, LogWriter *log)
{
	Oid			oid = HistoryLog(store);
	TupleDesc	columns;

	log->relation = table_open(oid, RowExclusiveLock);
	if (log->relation->rd_rel->relkind != RELKIND_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s_history.log\" is no table", store->name),
				 errhint("Drop it: venice makes its own.")));
	columns = RelationGetDescr(log->relation);
	log->count = 0;
	log->estate = CreateExecutorState();
	ExecInitRelation(log->estate, oid, RowExclusiveLock);
	log->result = makeNode(ResultRelInfo);
	InitResultRelInfo(log->result, log->relation, 1, NULL, 0);
	ExecOpenIndices(log->result, false);
	log->defaults = palloc0(columns->natts * sizeof(ExprState *));
	for (int i = 0; i < columns->natts; i++)
	{
		Node	   *expression = TupleDescAttr(columns, i)->attisdropped ? NULL :
			build_column_default(log->relation, i + 1);

		if (expression != NULL)
			log->defaults[i] = ExecPrepareExpr((Expr *) expression, log->estate);
	}
	for (int i = 0; i < LOG_ROWS; i++)
		log->slots[i] = table_slot_create(log->relation, &log->estate->es_tupleTable);
}

static void
flush_log(LogWriter *log, BulkInsertState bulk)
{
	table_multi_insert(log->relation, log->slots, log->count, GetCurrentCommandId(true), 0, bulk);
	for (int i = 0; i < log->count; i++)
		(void) ExecInsertIndexTuples(log->result, log->slots[i], log->estate, false, false, NULL,
									 NIL, false);
	log->count = 0;
	ResetPerTupleExprContext(log->estate);
}

static void
fill_slot(LogWriter *log, TupleTableSlot *slot, const LoggedWrite *write)
{
	TupleDesc	columns = RelationGetDescr(log->relation);

	ExecClearTuple(slot);
	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, i);
		bool		is_given = false;
		bool	   *isnull = &slot->tts_isnull[i];

		*isnull = true;
		if (!column->attisdropped)
			slot->tts_values[i] = logged_value(write, NameStr(column->attname), &is_given, isnull);
		if (!is_given)
			*isnull = true;
		if (!is_given && log->defaults[i] != NULL)
			slot->tts_values[i] = ExecEvalExprSwitchContext(log->defaults[i],
															GetPerTupleExprContext(log->estate),
															isnull);
	}
	ExecStoreVirtualTuple(slot);
	if (columns->constr != NULL)
		ExecConstraints(log->result, slot, log->estate);
}

void
LogAppend(const Store *store, const LoggedWrite *writes, int count)
{
	LogWriter	log;
	BulkInsertState bulk = GetBulkInsertState();

	open_log(store, &log);
	for (int i = 0; i < count; i++)
	{
		fill_slot(&log, log.slots[log.count], &writes[i]);
		if (++log.count == LOG_ROWS)
			flush_log(&log, bulk);
	}
	if (log.count > 0)
		flush_log(&log, bulk);
	FreeBulkInsertState(bulk);
	ExecCloseResultRelations(log.estate);
	ExecCloseIndices(log.result);
	ExecResetTupleTable(log.estate->es_tupleTable, false);
	FreeExecutorState(log.estate);
	table_close(log.relation, NoLock);
}

/* A version that is written to from the log. */
typedef struct Replay
{
	const Store *store;
	const Version *version;
	VersionWriter *writer;
	ChangeReader *reader;
	const char *log;
	Datum		since;			/* the oldest that counts */
	Snapshot	first;			/* of the first look */
	Datum		first_ids;		/* the same as pg_snapshot */
	int64		first_position; /* of those that are being written */
	int64		position;		/* the last one */
	MemoryContext rows_context;
} Replay;

static void
replay_context(void *argument)
{
	const Replay *replay = argument;

	if (replay->first_position == replay->position)
		errcontext("write " INT64_FORMAT " of %s, written again", replay->position, replay->log);
	else
		errcontext("writes " INT64_FORMAT " to " INT64_FORMAT " of %s, written again",
				   replay->first_position, replay->position, replay->log);
}

/* A row of the log, as a write. */
static KeyedWrite
read_logged(Replay *replay, HeapTuple row, TupleDesc descriptor)
{
	RowWrite   *write = palloc0(sizeof(RowWrite));
	KeyedWrite	result = {.write = write};
	bool		isnull;
	char		letter = DatumGetChar(SPI_getbinval(row, descriptor, 1, &isnull));
	Jsonb	   *key = DatumGetJsonbP(SPI_getbinval(row, descriptor, 2, &isnull));
	Datum		fields = SPI_getbinval(row, descriptor, 3, &isnull);

	write->kind = letter == 'p' ? WRITE_PUT : letter == 'u' ? WRITE_UPDATE :
		letter == 'x' ? WRITE_EXPIRE : WRITE_DELETE;
	if (write->kind == WRITE_PUT)
		write->fields = ChangeReadRow(replay->reader, DatumGetJsonbP(fields));
	else if (write->kind == WRITE_UPDATE)
		write->fields = ChangeReadPatch(replay->reader, DatumGetJsonbP(fields));
	write->time = DatumGetInt64(SPI_getbinval(row, descriptor, 4, &isnull));
	write->tie_hash = DatumGetInt32(SPI_getbinval(row, descriptor, 6, &isnull));
	write->is_replayed = true;
	result.key = ChangeReadKey(replay->reader, key);
	result.event_time = DatumGetTimestampTz(SPI_getbinval(row, descriptor, 5, &isnull));
	return result;
}

/* What was read of the log, but for what the first look has seen. */
static void
replay_rows(Replay *replay, Relation log, bool rest, TupleTableSlot *slot)
{
	KeyedWrite *writes = palloc(SPI_processed * sizeof(KeyedWrite));
	int64		first_position = 0;
	int			count = 0;

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	descriptor = SPI_tuptable->tupdesc;
		bool		isnull;
		Datum		place = SPI_getbinval(row, descriptor, 7, &isnull);

		CHECK_FOR_INTERRUPTS();
		replay->position = DatumGetInt64(SPI_getbinval(row, descriptor, 8, &isnull));
		replay->first_position = replay->position;
		if (rest && table_tuple_fetch_row_version(log, (ItemPointer) DatumGetPointer(place),
												  replay->first, slot))
			continue;
		if (count == 0)
			first_position = replay->position;
		writes[count++] = read_logged(replay, row, descriptor);
	}
	ExecClearTuple(slot);
	replay->first_position = first_position;
	VersionWriterApplyMany(replay->writer, writes, count);
}

/* Write what the active snapshot sees in the log; of the rest, what the first one did not. */
static void
replay(Replay *replay, bool rest)
{
	Oid			types[] = {TIMESTAMPTZOID, PG_SNAPSHOTOID};
	Datum		values[] = {replay->since, replay->first_ids};
	Relation	log = table_open(HistoryLog(replay->store), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(log, NULL);
	ErrorContextCallback context = {error_context_stack, replay_context, replay};
	Portal		portal;

	portal = SPI_cursor_open_with_args(NULL,
									   psprintf("SELECT kind, key, fields, write_time, event_time, tie_hash, ctid, position "
												"FROM %s WHERE written_time >= $1 %s ORDER BY position",
												replay->log, !rest ? "" :
												"AND NOT pg_catalog.pg_visible_in_snapshot(transaction_id, $2)"),
									   rest ? 2 : 1, types, values, NULL, true,
									   CURSOR_OPT_NO_SCROLL);
	for (;;)
	{
		MemoryContext old;

		SPI_cursor_fetch(portal, true, READ_ROWS);
		if (SPI_processed == 0)
			break;
		old = MemoryContextSwitchTo(replay->rows_context);
		error_context_stack = &context;
		replay_rows(replay, log, rest, slot);
		error_context_stack = context.previous;
		MemoryContextSwitchTo(old);
		MemoryContextReset(replay->rows_context);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	ExecDropSingleTupleTableSlot(slot);
	table_close(log, AccessShareLock);
}

/*
 * Writers that come wait for us while we wait for those that are there, so that we
 * wait in short pieces.
 */
static void
keep_writers_out(const Store *store)
{
	int			timeout_ms = LOCK_TRY_MS;

	for (int tries = 1; !StoreWritersLockAlone(store->name, timeout_ms); tries++)
	{
		timeout_ms = LOCK_TRY_MS + (tries % LOCK_LONG_TRY == 0 ? DeadlockTimeout : 0);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOCK_PAUSE_MS,
						 WaitEventNamed("VeniceWriters"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

static Datum
time_before(TimestampTz time, const Interval *interval)
{
	return DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(time),
							   IntervalPGetDatum(interval));
}

/* The beginning of what is written again. */
static Datum
replay_start(const Version *version)
{
	return time_before(version->options->rewind_from_start ? version->started_time :
					   GetCurrentTimestamp(), &version->options->rewind);
}

void
VersionCatchUp(const Store *store, const Version *version, Snapshot copied)
{
	Replay		state = {.store = store,.version = version,.log = log_name(store)};
	QuerySession session;
	TupleDesc	columns;
	QueryArgs	args = {0};
	bool		isnull;

	if (state.log == NULL)
	{
		keep_writers_out(store);
		state.log = log_name(store);
		if (state.log == NULL)
			return;
	}
	QueryBegin(&session, store->owner);
	columns = WriteColumns(store, VersionRecords(version));
	state.since = copied != NULL ? TimestampTzGetDatum(DT_NOBEGIN) : replay_start(version);
	state.writer = VersionWriterOpen(store, version, columns);
	state.first = RegisterSnapshot(copied != NULL ? copied : GetLatestSnapshot());
	PushActiveSnapshot(state.first);
	(void) QueryRead("SELECT pg_catalog.pg_current_snapshot()", &args);
	state.first_ids = datumCopy(QueryDatum(0, 1, &isnull), false, -1);
	state.reader = ChangeReaderCreate(columns, store->key_count, CurrentMemoryContext);
	state.rows_context = AllocSetContextCreate(CurrentMemoryContext, "venice replay",
											   ALLOCSET_DEFAULT_SIZES);
	if (copied == NULL)
		replay(&state, false);
	PopActiveSnapshot();
	keep_writers_out(store);
	PushActiveSnapshot(GetLatestSnapshot());
	replay(&state, true);
	PopActiveSnapshot();
	UnregisterSnapshot(state.first);
	VersionWriterClose(state.writer);
	QueryEnd(&session);
}

/* Where deletions from a store's log, and from the tombstones of its versions, have come to. */
typedef struct Expiry
{
	Oid			relation;
	char	   *table;			/* its name, quoted */
	const char *column;
	Datum		before;
} Expiry;

/* What is kept of a store's writes, and until when: a version to come may ask for it. */
static List *
expiries(const Store *store)
{
	char	   *log = log_name(store);
	List	   *result = NIL;
	ListCell   *cell;

	if (log != NULL)
	{
		Version    *future = VersionFuture(store->name);
		Expiry	   *expiry = palloc(sizeof(Expiry));

		expiry->relation = HistoryLog(store);
		expiry->table = log;
		expiry->column = "written_time";
		expiry->before = future == NULL ?
			time_before(GetCurrentTimestamp(), &store->options->rewind) :
			time_before(future->started_time, &future->options->rewind);
		result = lappend(result, expiry);
	}
	foreach(cell, CompleteVersions(store))
	{
		Oid			records = VersionRecords(lfirst(cell));
		Oid			schema = OidIsValid(records) ? get_rel_namespace(records) : InvalidOid;
		Oid			tombstones = OidIsValid(schema) ? get_relname_relid("tombstones", schema) : InvalidOid;
		Expiry	   *expiry = palloc(sizeof(Expiry));

		if (!OidIsValid(tombstones))
			continue;
		expiry->relation = tombstones;
		expiry->table = quote_qualified_identifier(get_namespace_name(schema), "tombstones");
		expiry->column = "_deleted_time";
		expiry->before = time_before(GetCurrentTimestamp(), &store->options->tombstone_retention);
		result = lappend(result, expiry);
	}
	return result;
}

typedef struct Look
{
	const Store *store;
	bool		found;
} Look;

/* Has something of a store's expired?  A swap in that moment makes it fail. */
static void
look_for_expired(void *argument)
{
	Look	   *look = argument;
	List	   *list = expiries(look->store);
	ListCell   *cell;
	QuerySession session;

	QueryBegin(&session, look->store->owner);
	foreach(cell, list)
	{
		const Expiry *expiry = lfirst(cell);
		QueryArgs	args = {0};

		QueryArgDatum(&args, TIMESTAMPTZOID, expiry->before, false);
		/* Who looks at many stores in one transaction does not wait for who drops them. */
		if (!ConditionalLockRelationOid(expiry->relation, AccessShareLock) ||
			get_rel_name(expiry->relation) == NULL)
			continue;
		look->found = look->found ||
			QueryRun(psprintf("SELECT FROM %s WHERE %s < $1 LIMIT 1", expiry->table,
							  expiry->column), &args) > 0;
	}
	QueryEnd(&session);
}

List *
StoresWithOldWrites(void)
{
	QuerySession session;
	QueryArgs	args = {0};
	List	   *written;
	List	   *result = NIL;
	ListCell   *cell;
	uint64		rows;

	QueryBeginRegistry(&session);
	rows = QueryRunLatest("SELECT s.store_name::text FROM venice.store s WHERE EXISTS "
						  "(SELECT FROM pg_catalog.pg_class c WHERE c.relkind = 'r' AND "
						  "(c.relname = 'log' AND c.relnamespace = (SELECT n.oid FROM pg_catalog.pg_namespace n "
						  "WHERE n.nspname = (s.store_name || '_history')::pg_catalog.name) OR "
						  "c.relname = 'tombstones' AND c.relnamespace = (SELECT n.oid FROM pg_catalog.pg_namespace n "
						  "WHERE n.nspname = s.store_name)))", &args);
	written = QueryTextColumn(rows, 1, session.result_context);
	QueryEnd(&session);
	foreach(cell, written)
	{
		Store	   *store = StoreLookup(lfirst(cell), true);
		Look		look = {store};

		if (store != NULL && OidIsValid(store->schema_oid) &&
			SubtransactionTry(look_for_expired, &look, SUBTRANSACTION_ANY_ERROR) == NULL &&
			look.found)
			result = lappend(result, store->name);
	}
	return result;
}

bool
OldWritesAreThere(void)
{
	static TimestampTz next_look = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (now < next_look)
		return false;
	next_look = TimestampTzPlusMilliseconds(now, LOOK_EVERY_MS);
	return StoresWithOldWrites() != NIL;
}

bool
OldWritesDelete(const char *name)
{
	Store	   *store = StoreLookup(name, true);
	List	   *list;
	ListCell   *cell;
	QuerySession session;
	uint64		rows = 0;

	if (store == NULL || !OidIsValid(store->schema_oid))
		return false;
	/* Who makes a version may need what is older than his version will be. */
	if (!StoreLockIfFree(name))
		return false;
	list = expiries(store);
	QueryBegin(&session, store->owner);
	foreach(cell, list)
	{
		const Expiry *expiry = lfirst(cell);
		QueryArgs	args = {0};

		QueryArgDatum(&args, TIMESTAMPTZOID, expiry->before, false);
		rows += QueryRun(psprintf("DELETE FROM %s WHERE %s < $1", expiry->table, expiry->column), &args);
	}
	QueryEnd(&session);
	return rows > 0;
}

void
LogDrop(const Store *store)
{
	char	   *name = log_name(store);
	QuerySession session;

	if (name == NULL)
		return;
	QueryBegin(&session, store->owner);
	QueryRunf("DROP TABLE %s", name);
	QueryEnd(&session);
}
