/*-------------------------------------------------------------------------
 *
 * put.c
 *		Writing to a store, row by row: put, update, delete.
 *
 * A write goes to every complete version, so that a roll-back does not lose it, and into
 * the log, so that the next push does not.  Whoever makes a version complete meanwhile
 * waits for this transaction.
 *
 * Of a store with real-time topics the order of writes is a topic's: a write goes to the
 * outbox, and touches no row until it comes back from there.
 *
 * A caller needs on records what INSERT, UPDATE and DELETE would need.  Rows are written
 * as the store's owner: policies do not apply to him, so that who is subject to them
 * does not write here.
 *
 * Locks: StoreWritersLock; rows as UPDATE does.
 * Must not know: how a write meets a row (merge/), and where rows are (apply/).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "store/put.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "apply/change.h"
#include "apply/log.h"
#include "apply/outbox.h"
#include "apply/write.h"
#include "catalog/pointer.h"
#include "common/compat.h"
#include "common/item_list.h"
#include "common/user_context.h"
#include "store/arguments.h"
#include "store/quota.h"
#include "version/history.h"
#include "wire/to_json.h"

PG_FUNCTION_INFO_V1(venice_put);
PG_FUNCTION_INFO_V1(venice_update);
PG_FUNCTION_INFO_V1(venice_delete);

/* The arguments in front of the columns. */
#define PUT_FIRST_COLUMN		3
#define UPDATE_FIRST_COLUMN		4

/* Rows of an incremental push that are read, and then written, at once. */
#define INCREMENTAL_ROWS		1000

/* A call. */
typedef struct Call
{
	Store	   *store;
	VersionPointer current;
	TupleDesc	columns;		/* that there are arguments for, keys first */
	Datum	   *values;
	bool	   *isnull;
	TimestampTz time;
	bool		has_time;		/* the caller has said it */
} Call;

/* Microseconds since 1970, which is as far back as Kafka's time goes. */
static int64
write_time(TimestampTz time)
{
	int64		since_1970 = time + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

	if (TIMESTAMP_NOT_FINITE(time) || since_1970 <= NEVER)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("logical time %s is out of range", timestamptz_to_str(time)),
				 errhint("It takes a finite time after 1970.")));
	return since_1970;
}

static void
check_writable(const Store *store)
{
	StoreCheckSchema(store);
	if (store->server != NULL && !StoreIsProduced(store))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("store \"%s\" is filled from server \"%s\"", store->name, store->server),
				 errdetail("Its rows are those of a topic."),
				 errhint("Produce to the topic, or give the store real_time_topics.")));
}

static void
check_rights(const Store *store, Oid records, AclMode mode)
{
	Oid			user = GetUserId();
	AclResult	result = object_aclcheck(NamespaceRelationId, store->schema_oid, user, ACL_USAGE);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_SCHEMA, store->name);
	if (pg_class_aclcheck(records, user, mode) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(records, user, mode, ACLMASK_ALL) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, psprintf("%s.records", store->name));
	if (check_enable_rls(records, InvalidOid, false) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row-level security applies to you on store \"%s\"", store->name),
				 errhint("Rows are written by roles that it does not apply to.")));
}

static VersionPointer
current_version(const Store *store)
{
	VersionPointer pointer;

	if (!VersionPointerRead(store->name, GetLatestSnapshot(), &pointer))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("store \"%s\" has no current version", store->name)));
	return pointer;
}

static void
check_key(const char *name, bool isnull)
{
	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("key column \"%s\" must not be null", name)));
}

/*
 * Whoever calls may say what he likes: keys are used as values of the key's types, and come
 * first; other columns are found by name and converted.
 */
static void
check_columns(const Call *call)
{
	TupleDesc	columns = WriteColumns(call->store, call->current.records);

	for (int i = 0; i < call->columns->natts; i++)
	{
		Form_pg_attribute given = TupleDescAttr(call->columns, i);
		bool		is_key = i < call->store->key_count;
		int			found = is_key ? i : call->store->key_count;

		while (!is_key && found < columns->natts &&
			   namestrcmp(&given->attname, NameStr(TupleDescAttr(columns, found)->attname)) != 0)
			found++;
		if (found == columns->natts ||
			namestrcmp(&given->attname, NameStr(TupleDescAttr(columns, found)->attname)) != 0 ||
			(is_key && given->atttypid != TupleDescAttr(columns, found)->atttypid))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("\"%s\" of type %s is no column of store \"%s\" in that place",
							NameStr(given->attname), format_type_be(given->atttypid),
							call->store->name),
					 errhint("Call the functions in the schema of the store.")));
	}
}

/* The store and the columns that a call is about, and whether the caller may do that. */
static void
begin_call(FunctionCallInfo fcinfo, int first_column, AclMode mode, Call *call)
{
	char	   *store = ArgumentText(fcinfo, 0, "store", true);
	Datum	   *names;
	int			count;

	FunctionRequireWritable(fcinfo);
	/* Who changes its columns keeps writers out: they are what they are after that. */
	StoreWritersLock(store);
	call->store = StoreLookupLatest(store);
	check_writable(call->store);
	call->current = current_version(call->store);
	check_rights(call->store, call->current.records, mode);
	if (mode != ACL_DELETE)
		QuotaCheckStorage(call->store);
	QuotaCheckWrites(call->store);

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("columns must not be null")));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &names, NULL,
					  &count);
	if (count != PG_NARGS() - first_column || count < call->store->key_count)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%d columns have %d values", count, PG_NARGS() - first_column),
				 errhint("Call the functions in the schema of the store.")));
	call->columns = CreateTemplateTupleDesc(count);
	call->values = palloc(count * sizeof(Datum));
	call->isnull = palloc(count * sizeof(bool));
	for (int i = 0; i < count; i++)
	{
		int			argument = first_column + i;
		char	   *name = TextDatumGetCString(names[i]);

		TupleDescInitEntry(call->columns, i + 1, name,
						   get_fn_expr_argtype(fcinfo->flinfo, argument), -1, 0);
		call->values[i] = PG_GETARG_DATUM(argument);
		call->isnull[i] = PG_ARGISNULL(argument);
		if (i < call->store->key_count)
			check_key(name, call->isnull[i]);
	}
	check_columns(call);
	call->has_time = !PG_ARGISNULL(2);
	call->time = call->has_time ? PG_GETARG_TIMESTAMPTZ(2) : GetCurrentTimestamp();
}

/* Writers of each complete version. */
static List *
open_writers(const Store *store, TupleDesc columns)
{
	List	   *writers = NIL;
	ListCell   *cell;

	LogMake(store);
	foreach(cell, CompleteVersions(store))
	{
		VersionWriter *writer = VersionWriterOpen(store, lfirst(cell), columns);

		if (writer != NULL)
			writers = lappend(writers, writer);
	}
	return writers;
}

static void
close_writers(List *writers)
{
	ListCell   *cell;

	foreach(cell, writers)
		VersionWriterClose(lfirst(cell));
}

/* What there is to write, and how it is written down. */
typedef struct Batch
{
	const Store *store;
	List	   *writers;		/* of each complete version */
	TupleDesc	columns;		/* of the values, keys first */
	KeyedWrite *writes;
	LoggedWrite *logged;
	HistoryWrite *past;
	int			count;
} Batch;

static void
begin_batch(Batch *batch, const Store *store, List *writers, TupleDesc columns, int rows)
{
	batch->store = store;
	batch->writers = writers;
	batch->columns = columns;
	batch->writes = palloc(rows * sizeof(KeyedWrite));
	batch->logged = palloc(rows * sizeof(LoggedWrite));
	batch->past = palloc(rows * sizeof(HistoryWrite));
	batch->count = 0;
}

/* The values, and what write points to, stay until the batch is written. */
static void
add_write(Batch *batch, const Datum *values, const bool *isnull, RowWrite *write,
		  const Jsonb *fields, TimestampTz time)
{
	LoggedWrite *logged = &batch->logged[batch->count];

	write->time = write_time(time);
	if (write->kind == WRITE_PUT)
		write->tie_hash = MergeTieHash(VARDATA(fields), VARSIZE(fields) - VARHDRSZ);
	*logged = (LoggedWrite) {
		.kind = write->kind,.fields = fields,.time = write->time,.event_time = time,
		.tie_hash = write->tie_hash
	};
	logged->key = ColumnsToJson(batch->columns, 0, batch->store->key_count, values, isnull);
	batch->writes[batch->count] = (KeyedWrite) {values, write, time};
	batch->past[batch->count++] = (HistoryWrite) {values, isnull, time};
}

/* A row put, of which there are values for all columns. */
static void
add_row(Batch *batch, const Datum *values, const bool *isnull, TimestampTz time)
{
	int			key_count = batch->store->key_count;
	int			field_count = batch->columns->natts - key_count;
	RowWrite   *write = palloc0(sizeof(RowWrite));

	write->kind = WRITE_PUT;
	write->fields = palloc0(field_count * sizeof(FieldWrite));
	for (int i = 0; i < field_count; i++)
	{
		write->fields[i].change = FIELD_SET;
		write->fields[i].value = values[key_count + i];
		write->fields[i].isnull = isnull[key_count + i];
	}
	add_write(batch, values, isnull, write,
			  ColumnsToJson(batch->columns, key_count, field_count, values + key_count,
						   isnull + key_count), time);
}

/*
 * Apply writes of one kind to each complete version, log them, and remember them where the
 * store has a history; as the store's owner.
 */
static void
write_batch(const Batch *batch)
{
	static const HistoryEvent events[] = {
		[WRITE_PUT] = HISTORY_PUT,[WRITE_UPDATE] = HISTORY_UPDATE,[WRITE_DELETE] = HISTORY_DELETE
	};
	const Store *store = batch->store;
	ListCell   *cell;

	foreach(cell, batch->writers)
		VersionWriterApplyMany(lfirst(cell), batch->writes, batch->count);
	QuotaCountWrites(store, batch->count);
	LogAppend(store, batch->logged, batch->count);
	HistoryAppendWrite(store, events[batch->writes[0].write->kind], batch->columns, batch->past,
					   batch->count, strcmp(store->options->conflict_resolution, "arrival") == 0);
}

/* Write to the outbox; write is NULL where the values are put. */
static void
produce_change(Call *call, TupleDesc columns, const RowWrite *write, const Jsonb *fields)
{
	const Version *version = VersionLookup(call->store->name, call->current.version, false);
	int64		time = call->has_time ? write_time(call->time) : 0;
	OutboxWriter *outbox;

	if (write != NULL && write->kind == WRITE_UPDATE)
		MergeCheckUpdate(VersionMergePolicy(version), columns, call->store->key_count,
						 write->fields);
	outbox = OutboxWriterOpen(call->store, version->number, columns);
	if (write == NULL)
		OutboxPut(outbox, call->values, call->isnull, time);
	else if (write->kind == WRITE_UPDATE)
		OutboxUpdate(outbox, call->values, fields, time);
	else
		OutboxDelete(outbox, call->values, time);
	OutboxWriterClose(outbox);
}

/*
 * Do what a call wants; columns describes the fields of the write, which is NULL where the
 * values are put.
 */
static void
finish_call(Call *call, TupleDesc columns, RowWrite *write, const Jsonb *fields)
{
	UserContext user;

	UserContextEnter(&user, call->store->owner);
	if (StoreIsProduced(call->store))
		produce_change(call, columns, write, fields);
	else
	{
		List	   *writers = open_writers(call->store, columns);
		Batch		batch;

		begin_batch(&batch, call->store, writers, call->columns, 1);
		if (write == NULL)
			add_row(&batch, call->values, call->isnull, call->time);
		else
			add_write(&batch, call->values, call->isnull, write, fields, call->time);
		write_batch(&batch);
		close_writers(writers);
	}
	UserContextLeave(&user);
}

/*
 * venice_put
 *		put(store, columns, logical_time, VARIADIC values).
 */
Datum
venice_put(PG_FUNCTION_ARGS)
{
	Call		call;

	begin_call(fcinfo, PUT_FIRST_COLUMN, ACL_INSERT, &call);
	finish_call(&call, call.columns, NULL, NULL);
	PG_RETURN_VOID();
}

/*
 * venice_update
 *		update(store, keys, logical_time, patch, VARIADIC key values).
 */
Datum
venice_update(PG_FUNCTION_ARGS)
{
	Call		call;
	RowWrite	write = {.kind = WRITE_UPDATE};
	TupleDesc	columns;
	ChangeReader *reader;

	begin_call(fcinfo, UPDATE_FIRST_COLUMN, ACL_UPDATE, &call);
	if (PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("patch must not be null")));
	columns = WriteColumns(call.store, call.current.records);
	reader = ChangeReaderCreate(columns, call.store->key_count, CurrentMemoryContext);
	write.fields = ChangeReadPatch(reader, PG_GETARG_JSONB_P(3));
	finish_call(&call, columns, &write,
				ChangeToLoggedPatch(reader, PG_GETARG_JSONB_P(3), write.fields));
	PG_RETURN_VOID();
}

/*
 * venice_delete
 *		delete(store, keys, logical_time, VARIADIC key values).
 */
Datum
venice_delete(PG_FUNCTION_ARGS)
{
	Call		call;
	RowWrite	write = {.kind = WRITE_DELETE};

	begin_call(fcinfo, PUT_FIRST_COLUMN, ACL_DELETE, &call);
	finish_call(&call, call.columns, &write, NULL);
	PG_RETURN_VOID();
}

/* The query's columns, by their places, as columns of the store: "q.a::integer AS a". */
static char *
columns_of_query(const Store *store, TupleDesc columns, const char *query)
{
	StringInfoData names;
	StringInfoData casts;
	SPIPlanPtr	plan = SPI_prepare(query, 0, NULL);
	TupleDesc	result;

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", query, SPI_result_code_string(SPI_result));
	result = ((CachedPlanSource *) linitial(SPI_plan_get_plan_sources(plan)))->resultDesc;
	if (result == NULL || result->natts != columns->natts)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the query has %d columns, and store \"%s\" has %d",
						result == NULL ? 0 : result->natts, store->name, columns->natts),
				 errhint("Select the keys and then the values, in the order of venice.columns.")));
	initStringInfo(&names);
	initStringInfo(&casts);
	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(columns, i);
		const char *name = quote_identifier(NameStr(attribute->attname));

		ItemListAppend(&names, "%s", name);
		ItemListAppend(&casts, "q.%s::%s AS %s", name,
					   format_type_extended(attribute->atttypid, attribute->atttypmod,
											FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY),
					   name);
	}
	return psprintf("SELECT %s FROM (%s) AS q (%s)", casts.data, query, names.data);
}

/* Rows that were fetched, into the outbox where there is one, else to each version. */
static void
put_fetched(const Store *store, OutboxWriter *outbox, SPITupleTable *rows, uint64 count,
			TimestampTz time)
{
	int			natts = rows->tupdesc->natts;
	UserContext user;
	List	   *writers = NIL;
	Batch		batch;

	QuotaCheckStorage(store);
	QuotaCheckWrites(store);
	UserContextEnter(&user, store->owner);
	if (outbox == NULL)
		writers = open_writers(store, rows->tupdesc);
	begin_batch(&batch, store, writers, rows->tupdesc, count);
	for (uint64 row = 0; row < count; row++)
	{
		Datum	   *values = palloc(natts * sizeof(Datum));
		bool	   *isnull = palloc(natts * sizeof(bool));

		CHECK_FOR_INTERRUPTS();
		heap_deform_tuple(rows->vals[row], rows->tupdesc, values, isnull);
		for (int i = 0; i < store->key_count; i++)
			check_key(NameStr(TupleDescAttr(rows->tupdesc, i)->attname), isnull[i]);
		if (outbox != NULL)
			OutboxPut(outbox, values, isnull, 0);
		else
			add_row(&batch, values, isnull, time);
	}
	if (outbox == NULL)
		write_batch(&batch);
	close_writers(writers);
	UserContextLeave(&user);
}

/* The outbox of a store that has one, with the push begun. */
static OutboxWriter *
open_outbox(const Store *store, int version, TupleDesc columns, const char *push_id)
{
	OutboxWriter *outbox;
	UserContext user;

	if (!StoreIsProduced(store))
		return NULL;
	UserContextEnter(&user, store->owner);
	outbox = OutboxWriterOpen(store, version, columns);
	OutboxMark(outbox, true, push_id);
	UserContextLeave(&user);
	return outbox;
}

static void
close_outbox(const Store *store, OutboxWriter *outbox, const char *push_id)
{
	UserContext user;

	if (outbox == NULL)
		return;
	UserContextEnter(&user, store->owner);
	OutboxMark(outbox, false, push_id);
	OutboxWriterClose(outbox);
	UserContextLeave(&user);
}

/* A number of rows at a time, so that no trigger of the query's fires amid those of the rows. */
int64
StorePutQuery(const Store *store, const char *query, const char *push_id)
{
	TimestampTz time = GetCurrentTimestamp();
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "venice incremental push",
												  ALLOCSET_DEFAULT_SIZES);
	VersionPointer current;
	TupleDesc	columns;
	OutboxWriter *outbox;
	Portal		portal;
	int64		count = 0;

	check_writable(store);
	StoreWritersLock(store->name);
	current = current_version(store);
	SPI_connect();
	columns = WriteColumns(store, current.records);
	query = columns_of_query(store, columns, query);
	outbox = open_outbox(store, current.version, columns, push_id);
	portal = SPI_cursor_open_with_args(NULL, query, 0, NULL, NULL, NULL, false,
									   CURSOR_OPT_NO_SCROLL);
	for (;;)
	{
		MemoryContext old;

		SPI_cursor_fetch(portal, true, INCREMENTAL_ROWS);
		if (SPI_processed == 0)
			break;
		count += SPI_processed;
		old = MemoryContextSwitchTo(context);
		put_fetched(store, outbox, SPI_tuptable, SPI_processed, time);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	close_outbox(store, outbox, push_id);
	SPI_finish();
	MemoryContextDelete(context);
	return count;
}
