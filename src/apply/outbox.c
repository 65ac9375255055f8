/*-------------------------------------------------------------------------
 *
 * outbox.c
 *		Writes to a store that are to be produced to a topic: <store>_history.outbox.
 *
 * A store with real-time topics has one order of writes, that of the topic.  What SQL
 * writes to it is a row here, in the transaction of whoever writes, with the bytes of the
 * record: what does not fit the format is his error, and not found out by a worker that
 * could only stop.  A worker produces the rows (ingest/outbox.c, which argues why
 * each once), and deletes them; from the topic they come back by the stream.
 *
 * One thing may be missing from the bytes: the id of an Avro schema that only a schema
 * registry knows, which backends do not ask.  Then the row has the schema, too, and the
 * worker fills the id in.  It keeps what it learns in venice.registry_schema, where the
 * next writer finds it.
 *
 * Numbers of batches come from the positions' sequence, so that they only ever rise, also
 * in an outbox that is empty.
 *
 * Locks: StoreLogLock where the table is made.
 * Must not know: Kafka, workers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "apply/outbox.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "apply/log.h"
#include "common/exact_text.h"
#include "common/query.h"
#include "common/server_options.h"
#include "common/shmem.h"
#include "common/subtransaction.h"
#include "common/type_input.h"
#include "version/history.h"
#include "wire/encode.h"

/* A schema that records are written with. */
typedef struct RecordSchema
{
	const char *text;			/* NULL: the format has none */
	int32		id;				/* or SCHEMA_ID_UNKNOWN */
} RecordSchema;

struct OutboxWriter
{
	const Store *store;
	const Version *version;		/* the current one: whoever reads the topic reads its formats */
	char	   *table;			/* quoted */
	Relation	records;
	TupleDesc	columns;		/* of records, without bookkeeping, keys first */
	int		   *sources;		/* of each the place in what is written, -1: none */
	bool	   *converts;		/* it comes in another type */
	Oid		   *source_types;
	TypeInput  *conversions;
	RecordColumn *fields;		/* for each column */
	RecordFormat format;
	RecordSchema key_schema;
	RecordSchema value_schema;
	RecordEncoder *encoder;
	EState	   *estate;
	ResultRelInfo *result;
	TupleTableSlot *slot;		/* a row of records */
	Datum	   *values;			/* of columns */
	bool	   *isnull;
	MemoryContext row_context;
};

bool
StoreIsProduced(const Store *store)
{
	return store->options->real_time_topics != NIL;
}

static char *
outbox_name(const Store *store)
{
	Oid			outbox = HistoryOutbox(store);

	return OidIsValid(outbox) ? QualifiedName(outbox) : NULL;
}

/* As the log is made: who else writes for the first time waits for this transaction. */
static char *
make_outbox(const Store *store)
{
	QuerySession session;
	char	   *name = outbox_name(store);

	if (name != NULL)
		return name;
	StoreLogLock(store->name);
	name = outbox_name(store);
	if (name != NULL)
		return name;
	HistorySchemaMake(store);
	name = quote_qualified_identifier(get_namespace_name(HistorySchema(store)), "outbox");
	QueryBegin(&session, store->owner);
	QueryRunf("CREATE TABLE %s (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
			  "batch bigint, written_time timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), "
			  "kind \"char\" NOT NULL, key bytea, value bytea, key_schema text, value_schema text, "
			  "logical_time bigint, push_id text) "
			  "WITH (fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0)",
			  name);
	QueryRunf("COMMENT ON TABLE %s IS 'What was put, updated and deleted and is to be produced to the store''s topic: see venice.stat_outbox.'",
			  name);
	QueryEnd(&session);
	return name;
}

static WireFormat
parse_format(const char *name)
{
	WireFormat	format;

	if (!WireFormatParse(name, &format))
		elog(ERROR, "unexpected format \"%s\"", name);
	return format;
}

/* A column's place in the table. */
static AttrNumber
attribute_of(const OutboxWriter *writer, int column)
{
	return get_attnum(RelationGetRelid(writer->records),
					  NameStr(TupleDescAttr(writer->columns, column)->attname));
}

/* The columns of records, and where what is written has a value for each. */
static void
match_columns(OutboxWriter *writer, TupleDesc given)
{
	int			count = writer->columns->natts;

	writer->sources = palloc(count * sizeof(int));
	writer->converts = palloc0(count * sizeof(bool));
	writer->source_types = palloc0(count * sizeof(Oid));
	writer->conversions = palloc0(count * sizeof(TypeInput));
	writer->fields = palloc0(count * sizeof(RecordColumn));
	for (int i = 0; i < count; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(writer->columns, i);
		RecordColumn *field = &writer->fields[i];
		const Jsonb *paths = writer->version->options->fields;
		Form_pg_attribute source;

		field->name = NameStr(attribute->attname);
		field->field = paths != NULL ? OptionText(paths, field->name) : NULL;
		field->type = attribute->atttypid;
		field->typmod = attribute->atttypmod;
		field->is_key = i < writer->store->key_count;
		field->not_null = TupleDescAttr(RelationGetDescr(writer->records),
										attribute_of(writer, i) - 1)->attnotnull;
		writer->sources[i] = -1;
		for (int j = 0; j < given->natts; j++)
			if (namestrcmp(&attribute->attname, NameStr(TupleDescAttr(given, j)->attname)) == 0)
				writer->sources[i] = j;
		if (writer->sources[i] < 0)
			continue;
		source = TupleDescAttr(given, writer->sources[i]);
		writer->source_types[i] = source->atttypid;
		writer->converts[i] = source->atttypid != attribute->atttypid ||
			(attribute->atttypmod >= 0 && source->atttypmod != attribute->atttypmod);
		if (writer->converts[i])
			TypeInputInit(&writer->conversions[i], attribute->atttypid, attribute->atttypmod,
						  CurrentMemoryContext);
	}
}

/* The id under which a schema is known to us, by the store's owner or from a registry. */
static int32
find_schema_id(const OutboxWriter *writer, const char *registry_url, const char *text)
{
	QuerySession session;
	QueryArgs	args = {0};
	int32		id = SCHEMA_ID_UNKNOWN;

	QueryBeginRegistry(&session);
	QueryArgText(&args, writer->store->name);
	QueryArgText(&args, registry_url);
	QueryArgText(&args, text);
	if (QueryRun("SELECT schema_id FROM (SELECT 1 AS place, schema_id FROM venice.store_schema "
				 "WHERE store_name = $1::name AND schema = $3 "
				 "UNION ALL SELECT 2, schema_id FROM venice.registry_schema "
				 "WHERE registry_url = $2 AND texts = ARRAY[$3]) s "
				 "ORDER BY place, schema_id DESC LIMIT 1", &args) > 0)
		id = QueryInt4(0, 1, SCHEMA_ID_UNKNOWN);
	QueryEnd(&session);
	return id;
}

/* The latest schema that the store's owner has made known and that values can be written with. */
static bool
find_known_schema(const OutboxWriter *writer, RecordSchema *schema)
{
	QuerySession session;
	QueryArgs	args = {0};
	List	   *texts = NIL;
	List	   *ids = NIL;
	uint64		rows;
	ListCell   *text;
	ListCell   *id;

	QueryBeginRegistry(&session);
	QueryArgText(&args, writer->store->name);
	rows = QueryRun("SELECT schema_id, schema FROM venice.store_schema "
					"WHERE store_name = $1::name ORDER BY schema_id DESC", &args);
	for (uint64 row = 0; row < rows; row++)
	{
		MemoryContext old = MemoryContextSwitchTo(session.result_context);

		ids = lappend_int(ids, QueryInt4(row, 1, 0));
		texts = lappend(texts, QueryText(row, 2, CurrentMemoryContext));
		MemoryContextSwitchTo(old);
	}
	QueryEnd(&session);
	forboth(text, texts, id, ids)
	{
		if (!RecordSchemaFits(&writer->format, false, lfirst(text)))
			continue;
		schema->text = lfirst(text);
		schema->id = lfirst_int(id);
		return true;
	}
	return false;
}

static const RealTimeTopic *
first_topic(const OutboxWriter *writer)
{
	return linitial(writer->store->options->real_time_topics);
}

/* The schema that keys, or values, are written with. */
static RecordSchema
choose_schema(const OutboxWriter *writer, bool is_key)
{
	const RecordFormat *format = &writer->format;
	WireFormat	wire = is_key && format->key_format != WIRE_VALUE ? format->key_format :
		format->value_format;
	RecordSchema schema = {is_key ? writer->version->key_schema : writer->version->value_schema,
	SCHEMA_ID_UNKNOWN};
	const char *server = first_topic(writer)->server;
	const char *url;

	if (wire != WIRE_CONFLUENT_AVRO)
		return schema;
	url = ServerOptionsGet(server, writer->store->owner, CurrentMemoryContext)->registry.url;
	if (schema.text != NULL)
		schema.id = find_schema_id(writer, url, schema.text);
	if (schema.id == SCHEMA_ID_UNKNOWN && !is_key && find_known_schema(writer, &schema))
		return schema;
	if (schema.text == NULL)
	{
		schema.text = RecordSchemaMake(format, is_key, writer->store->name);
		schema.id = find_schema_id(writer, url, schema.text);
	}
	if (schema.id == SCHEMA_ID_UNKNOWN && url == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the id of the Avro schema of store \"%s\" for %s is not known",
						writer->store->name, is_key ? "keys" : "values"),
				 errdetail("The schema is %s.", schema.text),
				 errhint("Make it known with venice.register_value_schema(), or set the option \"schema_registry_url\" of server \"%s\".",
						 server)));
	return schema;
}

OutboxWriter *
OutboxWriterOpen(const Store *store, int version, TupleDesc columns)
{
	OutboxWriter *writer = palloc0(sizeof(OutboxWriter));
	RecordFormat *format = &writer->format;
	Oid			records;

	writer->store = store;
	writer->version = VersionLookup(store->name, version, false);
	writer->table = make_outbox(store);
	records = VersionRecords(writer->version);
	writer->records = table_open(records, AccessShareLock);
	writer->columns = WriteColumns(store, records);
	match_columns(writer, columns);
	format->key_format = parse_format(writer->version->options->key_format);
	format->value_format = parse_format(writer->version->options->value_format);
	format->columns = writer->fields;
	format->ncolumns = writer->columns->natts;
	writer->key_schema = choose_schema(writer, true);
	writer->value_schema = choose_schema(writer, false);
	format->key_schema = writer->key_schema.text;
	format->value_schema = writer->value_schema.text;
	writer->encoder = RecordEncoderCreate(format, writer->key_schema.id, writer->value_schema.id,
										  CurrentMemoryContext);
	writer->values = palloc(format->ncolumns * sizeof(Datum));
	writer->isnull = palloc(format->ncolumns * sizeof(bool));

	writer->estate = CreateExecutorState();
	writer->result = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->result, writer->records, 0, NULL, 0);
	writer->slot = table_slot_create(writer->records, &writer->estate->es_tupleTable);
	writer->row_context = AllocSetContextCreate(CurrentMemoryContext, "venice outbox",
												ALLOCSET_DEFAULT_SIZES);
	OutboxWakeAtCommit(store->name);
	return writer;
}

void
OutboxWriterClose(OutboxWriter *writer)
{
	ExecResetTupleTable(writer->estate->es_tupleTable, false);
	FreeExecutorState(writer->estate);
	table_close(writer->records, NoLock);
	MemoryContextDelete(writer->row_context);
}

static void
append(OutboxWriter *writer, OutboxKind kind, const StringInfoData *key,
	   const StringInfoData *value, int64 time, const char *push_id)
{
	int64		limit_bytes = writer->store->options->max_record_bytes;
	bool		has_value = kind == OUTBOX_PUT;
	QuerySession session;
	QueryArgs	args = {0};

	if ((key ? key->len : 0) + (int64) (value ? value->len : 0) > limit_bytes)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("record of %d bytes is larger than max_record_bytes (" INT64_FORMAT ")",
						(key ? key->len : 0) + (value ? value->len : 0), limit_bytes)));
	QueryBegin(&session, writer->store->owner);
	QueryArgDatum(&args, CHAROID, CharGetDatum((char) kind), false);
	QueryArgDatum(&args, BYTEAOID,
				  key ? PointerGetDatum(cstring_to_text_with_len(key->data, key->len)) : (Datum) 0,
				  key == NULL);
	QueryArgDatum(&args, BYTEAOID,
				  value ? PointerGetDatum(cstring_to_text_with_len(value->data, value->len)) :
				  (Datum) 0, value == NULL);
	QueryArgText(&args, key != NULL && writer->key_schema.id == SCHEMA_ID_UNKNOWN &&
				 RecordKeyIsFramed(writer->encoder) ? writer->key_schema.text : NULL);
	QueryArgText(&args, has_value && writer->value_schema.id == SCHEMA_ID_UNKNOWN &&
				 writer->format.value_format == WIRE_CONFLUENT_AVRO ?
				 writer->value_schema.text : NULL);
	QueryArgDatum(&args, INT8OID, Int64GetDatum(time), time == 0);
	QueryArgText(&args, push_id);
	(void) QueryRun(psprintf("INSERT INTO %s (kind, key, value, key_schema, value_schema, "
							 "logical_time, push_id) VALUES ($1, $2, $3, $4, $5, $6, $7)",
							 writer->table), &args);
	QueryEnd(&session);
}

static Datum
convert(OutboxWriter *writer, int column, Datum value)
{
	bool		is_varlena;
	Oid			function;

	if (!writer->converts[column])
		return value;
	getTypeOutputInfo(writer->source_types[column], &function, &is_varlena);
	return TypeInputCall(&writer->conversions[column], OidOutputFunctionCall(function, value));
}

/* What the version would have in a column that nothing was said of. */
static Datum
default_value(OutboxWriter *writer, int column, bool *isnull)
{
	Node	   *expression = build_column_default(writer->records, attribute_of(writer, column));

	*isnull = expression == NULL;
	if (expression == NULL)
		return (Datum) 0;
	return ExecEvalExprSwitchContext(ExecPrepareExpr((Expr *) expression, writer->estate),
									 GetPerTupleExprContext(writer->estate), isnull);
}

/* The row as the current version would have it, if it lets it in. */
static void
check_row(OutboxWriter *writer)
{
	TupleTableSlot *slot = writer->slot;

	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
	for (int i = 0; i < writer->columns->natts; i++)
	{
		AttrNumber	attribute = attribute_of(writer, i);

		slot->tts_values[attribute - 1] = writer->values[i];
		slot->tts_isnull[attribute - 1] = writer->isnull[i];
	}
	ExecStoreVirtualTuple(slot);
	if (writer->records->rd_att->constr != NULL)
		ExecConstraints(writer->result, slot, writer->estate);
	ResetPerTupleExprContext(writer->estate);
}

void
OutboxPut(OutboxWriter *writer, const Datum *values, const bool *isnull, int64 time)
{
	MemoryContext old = MemoryContextSwitchTo(writer->row_context);
	int			nest_level = ExactTextBegin();
	StringInfoData key;
	StringInfoData value;

	for (int i = 0; i < writer->columns->natts; i++)
	{
		int			source = writer->sources[i];

		if (source < 0)
			writer->values[i] = default_value(writer, i, &writer->isnull[i]);
		else
		{
			writer->isnull[i] = isnull[source];
			writer->values[i] = isnull[source] ? (Datum) 0 : convert(writer, i, values[source]);
		}
	}
	ExactTextEnd(nest_level);
	initStringInfo(&key);
	initStringInfo(&value);
	RecordEncodeKey(writer->encoder, writer->values, writer->isnull, true, &key);
	RecordEncodeValue(writer->encoder, writer->values, writer->isnull, &value);
	check_row(writer);
	append(writer, OUTBOX_PUT, &key, &value, time, NULL);
	MemoryContextSwitchTo(old);
	MemoryContextReset(writer->row_context);
}

/* The key alone: keys come first, and are of the store's types. */
static void
encode_key(OutboxWriter *writer, const Datum *key, StringInfo out)
{
	memset(writer->isnull, true, writer->columns->natts * sizeof(bool));
	for (int i = 0; i < writer->store->key_count; i++)
	{
		writer->values[i] = key[i];
		writer->isnull[i] = false;
	}
	initStringInfo(out);
	RecordEncodeKey(writer->encoder, writer->values, writer->isnull, false, out);
}

void
OutboxUpdate(OutboxWriter *writer, const Datum *key, const Jsonb *patch, int64 time)
{
	MemoryContext old = MemoryContextSwitchTo(writer->row_context);
	StringInfoData key_bytes;
	StringInfoData value;

	encode_key(writer, key, &key_bytes);
	initStringInfo(&value);
	RecordEncodePatch(patch, &value);
	append(writer, OUTBOX_UPDATE, &key_bytes, &value, time, NULL);
	MemoryContextSwitchTo(old);
	MemoryContextReset(writer->row_context);
}

void
OutboxDelete(OutboxWriter *writer, const Datum *key, int64 time)
{
	MemoryContext old = MemoryContextSwitchTo(writer->row_context);
	StringInfoData key_bytes;

	encode_key(writer, key, &key_bytes);
	append(writer, OUTBOX_DELETE, &key_bytes, NULL, time, NULL);
	MemoryContextSwitchTo(old);
	MemoryContextReset(writer->row_context);
}

void
OutboxMark(OutboxWriter *writer, bool is_start, const char *push_id)
{
	append(writer, is_start ? OUTBOX_START : OUTBOX_END, NULL, NULL, 0, push_id);
}

int64
OutboxDrop(const Store *store)
{
	char	   *name = outbox_name(store);
	QuerySession session;
	QueryArgs	args = {0};
	int64		left;

	if (name == NULL)
		return 0;
	QueryBegin(&session, store->owner);
	(void) QueryRunLatest(psprintf("SELECT pg_catalog.count(*) FROM %s", name), &args);
	left = QueryInt8(0, 1, 0);
	QueryRunf("DROP TABLE %s", name);
	QueryEnd(&session);
	return left;
}

/* What the worker is told of a row. */
#define OUTBOX_COLUMNS "position, kind, key, value, key_schema, value_schema, logical_time, push_id, batch"

static void
read_bytes(uint64 row, int column, char **data, int *bytes)
{
	bool		isnull;
	Datum		value = QueryDatum(row, column, &isnull);
	struct varlena *detoasted;

	*data = NULL;
	*bytes = 0;
	if (isnull)
		return;
	detoasted = PG_DETOAST_DATUM_PACKED(value);
	*bytes = VARSIZE_ANY_EXHDR(detoasted);
	*data = palloc(*bytes + 1);
	memcpy(*data, VARDATA_ANY(detoasted), *bytes);
	if ((Pointer) detoasted != DatumGetPointer(value))
		pfree(detoasted);
}

/* The rows of SPI's result, in the context. */
static void
read_batch(OutboxBatch *batch, uint64 rows, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);

	batch->number = 0;
	batch->count = (int) rows;
	batch->records = rows > 0 ? palloc0(rows * sizeof(OutboxRecord)) : NULL;
	for (uint64 row = 0; row < rows; row++)
	{
		OutboxRecord *record = &batch->records[row];
		bool		isnull;

		record->position = QueryInt8(row, 1, 0);
		record->kind = (OutboxKind) DatumGetChar(QueryDatum(row, 2, &isnull));
		read_bytes(row, 3, &record->key, &record->key_bytes);
		read_bytes(row, 4, &record->value, &record->value_bytes);
		record->key_schema = QueryText(row, 5, context);
		record->value_schema = QueryText(row, 6, context);
		record->time = QueryInt8(row, 7, 0);
		record->push_id = QueryText(row, 8, context);
		batch->number = QueryInt8(row, 9, 0);
	}
	MemoryContextSwitchTo(old);
}

void
OutboxResume(const Store *store, int64 delivered, OutboxBatch *batch)
{
	char	   *name = outbox_name(store);
	QuerySession session;
	QueryArgs	args = {0};

	memset(batch, 0, sizeof(OutboxBatch));
	if (name == NULL)
		return;
	QueryBegin(&session, store->owner);
	QueryArgInt8(&args, delivered);
	(void) QueryRun(psprintf("DELETE FROM %s WHERE batch <= $1", name), &args);

	/* Higher it is unless this is an older copy of the database. */
	QueryArgText(&args, name);
	(void) QueryRun("SELECT pg_catalog.setval(s, $1) FROM "
					"(SELECT pg_catalog.pg_get_serial_sequence($2, 'position')::pg_catalog.regclass) q (s) "
					"WHERE COALESCE(pg_catalog.pg_sequence_last_value(s), 0) < $1", &args);
	read_batch(batch,
			   QueryRun(psprintf("SELECT " OUTBOX_COLUMNS " FROM %s WHERE batch = "
								 "(SELECT pg_catalog.min(batch) FROM %s) ORDER BY position", name,
								 name), NULL),
			   session.result_context);
	QueryEnd(&session);
}

void
OutboxTake(const Store *store, int max_rows, int64 max_bytes, OutboxBatch *batch)
{
	char	   *name = outbox_name(store);
	QuerySession session;
	QueryArgs	args = {0};

	memset(batch, 0, sizeof(OutboxBatch));
	if (name == NULL)
		return;
	QueryBegin(&session, store->owner);
	QueryArgInt4(&args, max_rows);
	QueryArgInt8(&args, max_bytes);
	QueryArgText(&args, name);
	read_batch(batch,
			   QueryRun(psprintf("WITH few AS (SELECT position, "
								 "pg_catalog.sum(COALESCE(pg_catalog.octet_length(key), 0) + COALESCE(pg_catalog.octet_length(value), 0)) "
								 "OVER (ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before "
								 "FROM (SELECT position, key, value FROM %s WHERE batch IS NULL ORDER BY position LIMIT $1) o), "
								 "number AS (SELECT pg_catalog.nextval(pg_catalog.pg_get_serial_sequence($3, 'position')) AS batch "
								 "FROM (SELECT FROM few LIMIT 1) f), "
								 "taken AS (UPDATE %s AS t SET batch = n.batch FROM number n WHERE t.position IN "
								 "(SELECT position FROM few WHERE COALESCE(before, 0) < $2) "
								 "RETURNING t.position, t.kind, t.key, t.value, t.key_schema, t.value_schema, t.logical_time, t.push_id, t.batch) "
								 "SELECT " OUTBOX_COLUMNS " FROM taken ORDER BY position", name, name),
						&args),
			   session.result_context);
	QueryEnd(&session);
}

void
OutboxDone(const Store *store, const OutboxBatch *batch)
{
	char	   *name = outbox_name(store);
	QuerySession session;
	QueryArgs	args = {0};

	if (name == NULL)
		return;
	QueryBegin(&session, store->owner);
	QueryArgInt8(&args, batch->number);
	QueryArgInt8(&args, batch->records[0].position);
	QueryArgInt8(&args, batch->records[batch->count - 1].position);
	(void) QueryRun(psprintf("DELETE FROM %s WHERE batch = $1 AND position BETWEEN $2 AND $3", name),
					&args);
	QueryEnd(&session);

	memset(&args, 0, sizeof(args));
	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	QueryArgInt8(&args, batch->count);
	(void) QueryRun("UPDATE venice.store_stat SET produced = produced + $2 "
					"WHERE store_name = $1::name", &args);
	QueryEnd(&session);
}

/* Has somebody written to it?  A drop in that moment makes it fail. */
static void
look_for_rows(void *argument)
{
	const Store *store = *(const Store **) argument;
	Oid			outbox = HistoryOutbox(store);
	QuerySession session;
	uint64		rows;

	/* Who looks at many stores in one transaction does not wait for who drops them. */
	if (!ConditionalLockRelationOid(outbox, AccessShareLock) || get_rel_name(outbox) == NULL)
		return;
	QueryBegin(&session, store->owner);
	rows = QueryRun(psprintf("SELECT FROM %s LIMIT 1", QualifiedName(outbox)), NULL);
	QueryEnd(&session);
	if (rows == 0)
		*(const Store **) argument = NULL;
}

/* Names of stores that there is a table for, perhaps. */
static List *
candidates(void)
{
	QuerySession session;
	List	   *names = NIL;
	uint64		rows;

	QueryBeginRegistry(&session);
	rows = QueryRead("SELECT s.store_name::text FROM venice.store s WHERE EXISTS "
					 "(SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
					 "WHERE c.relname = 'outbox' AND n.nspname = (s.store_name || '_history')::pg_catalog.name)",
					 NULL);
	for (uint64 row = 0; row < rows; row++)
	{
		MemoryContext old = MemoryContextSwitchTo(session.result_context);

		names = lappend(names, QueryText(row, 1, CurrentMemoryContext));
		MemoryContextSwitchTo(old);
	}
	QueryEnd(&session);
	return names;
}

static bool
is_named(const List *names, const char *name)
{
	ListCell   *cell;

	foreach(cell, names)
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	return false;
}

List *
OutboxStores(const List *served, List **with_rows)
{
	List	   *stores = NIL;
	ListCell   *cell;

	*with_rows = NIL;
	foreach(cell, candidates())
	{
		Store	   *store = StoreLookup(lfirst(cell), true);
		const Store *found = store;

		if (store == NULL || store->paused || !StoreIsProduced(store) ||
			!OidIsValid(HistoryOutbox(store)))
			continue;
		if (is_named(served, store->name))
			found = NULL;
		else if (SubtransactionTry(look_for_rows, &found, SUBTRANSACTION_ANY_ERROR) != NULL)
			continue;
		stores = lappend(stores, store->name);
		if (found != NULL)
			*with_rows = lappend(*with_rows, store->name);
	}
	return stores;
}

List *
OutboxList(void)
{
	List	   *contents = NIL;
	ListCell   *cell;

	foreach(cell, candidates())
	{
		Store	   *store = StoreLookup(lfirst(cell), true);
		char	   *name = store != NULL ? outbox_name(store) : NULL;
		OutboxContent *content = palloc(sizeof(OutboxContent));
		QuerySession session;
		bool		isnull;
		Datum		oldest;

		if (name == NULL)
			continue;
		QueryBegin(&session, store->owner);
		(void) QueryRead(psprintf("SELECT pg_catalog.count(*), pg_catalog.min(written_time) FROM %s",
								  name), NULL);
		content->store = store->name;
		content->pending = QueryInt8(0, 1, 0);
		oldest = QueryDatum(0, 2, &isnull);
		content->oldest_time = isnull ? 0 : DatumGetTimestampTz(oldest);
		QueryEnd(&session);
		contents = lappend(contents, content);
	}
	return contents;
}
