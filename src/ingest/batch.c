/*-------------------------------------------------------------------------
 *
 * batch.c
 *		A batch of records becomes rows, in one transaction.
 *
 * First all records are decoded, then all rows are written: decoding touches
 * no table, so that a record that a type's input function refuses costs a
 * subtransaction without an xid, and writing is one append.  Where the append
 * fails on a row, trial loads that are rolled back find out which rows are at
 * fault, and one load writes the others.
 *
 * Both run as the store's owner: types, domains and their checks are his.
 *
 * Locks: those of the load.
 * Must not know: the Kafka client, offsets, when to flush.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ingest/batch.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "rewrite/rewriteHandler.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "common/retry.h"

/* A partition's number and offset in one: partitions of a topic are few, offsets below 2^48. */
#define ARRIVAL_OFFSET_BITS 48

#define BATCH_FIRST_BLOCK_BYTES (4 * 1024 * 1024)

/* What became of one record. */
typedef struct Change
{
	RecordVerdict verdict;
	HeapTuple	row;			/* with RECORD_PUT and RECORD_DELETE */
	DecodeError *error;			/* with RECORD_REJECTED */
} Change;

TimestampTz
RecordTimestamp(int64 timestamp_ms)
{
	const int64 epoch_ms = (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * 1000;

	return timestamp_ms < 0 ? 0 : (timestamp_ms - epoch_ms) * 1000;
}

/* The default of a column as it is when the unit begins, in context. */
static void
evaluate_default(Relation relation, Form_pg_attribute attribute, RecordColumn *column,
				 MemoryContext context)
{
	Node	   *expression = build_column_default(relation, attribute->attnum);
	EState	   *estate;
	MemoryContext old;
	Datum		value;

	if (expression == NULL)
		return;
	estate = CreateExecutorState();
	value = ExecEvalExprSwitchContext(ExecPrepareExpr((Expr *) expression, estate),
									  GetPerTupleExprContext(estate), &column->default_isnull);
	column->has_default = true;
	if (!column->default_isnull)
	{
		old = MemoryContextSwitchTo(context);
		column->default_value = datumCopy(value, attribute->attbyval, attribute->attlen);
		MemoryContextSwitchTo(old);
	}
	FreeExecutorState(estate);
}

static bool
is_key(const Store *store, const char *name)
{
	ListCell   *cell;

	foreach(cell, store->columns)
	{
		const StoreColumn *column = lfirst(cell);

		if (column->is_key && strcmp(column->name, name) == 0)
			return true;
	}
	return false;
}

static WireFormat
parse_format(const char *name)
{
	WireFormat	format;

	if (!api->WireFormatParse(name, &format))
		elog(ERROR, "unexpected format \"%s\"", name);
	return format;
}

void
BatchColumnInit(RecordColumn *column, const Store *store, const Version *version,
				Relation relation, int attribute_index, MemoryContext context)
{
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), attribute_index);
	const Jsonb *fields = version->options->fields;
	MemoryContext old = MemoryContextSwitchTo(context);

	column->name = pstrdup(NameStr(attribute->attname));
	column->field = fields ? api->OptionText(fields, column->name) : NULL;
	MemoryContextSwitchTo(old);
	column->type = attribute->atttypid;
	column->typmod = attribute->atttypmod;
	column->is_key = is_key(store, column->name);
	column->not_null = attribute->attnotnull;
	evaluate_default(relation, attribute, column, context);
}

RecordDecoder *
BatchDecoderCreate(const Store *store, const Version *version, const RecordColumn *columns,
				   int count, MemoryContext context)
{
	RecordFormat format = {0};

	format.key_format = parse_format(version->options->key_format);
	format.value_format = parse_format(version->options->value_format);
	format.key_schema = version->key_schema;
	format.value_schema = version->value_schema;
	format.write_partial = version->options->write_partial;
	format.max_record_bytes = (int) Min(store->options->max_record_bytes, INT_MAX);
	format.columns = columns;
	format.ncolumns = count;
	return api->RecordDecoderCreate(&format, context);
}

static void
describe_columns(BatchTarget *target, const Store *store, Relation relation,
				 RecordColumn *columns, MemoryContext context)
{
	TupleDesc	desc = target->descriptor;

	target->record_time = -1;
	target->arrival = -1;
	for (int i = 0; i < desc->natts; i++)
	{
		char	   *name = NameStr(TupleDescAttr(desc, i)->attname);

		if (strcmp(name, "_record_time") == 0)
			target->record_time = i;
		else if (strcmp(name, "_arrival") == 0)
			target->arrival = i;
		else
		{
			/* Nothing is ever dropped from a version. */
			Assert(!TupleDescAttr(desc, i)->attisdropped);
			BatchColumnInit(&columns[i], store, target->version, relation, i, context);
		}
	}
}

/*
 * One for all units, because one batch is written at a time.  Its first block is
 * kept over resets, and holds what most batches need: given back and faulted in
 * again for each batch, it would double the time that decoding takes.
 */
MemoryContext
BatchContext(void)
{
	static MemoryContext context = NULL;

	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "venice batch", 0,
										BATCH_FIRST_BLOCK_BYTES, 2 * BATCH_FIRST_BLOCK_BYTES);
	return context;
}

bool
BatchTargetInit(BatchTarget *target, const Store *store, Version *version, int32 partition,
				const ItemPointerData *last_row, MemoryContext context)
{
	Oid			records = api->VersionRecords(version);
	Relation	relation = OidIsValid(records) ? try_table_open(records, AccessShareLock) : NULL;
	RecordColumn *columns;
	UserContext user;
	MemoryContext old;

	if (relation == NULL)
		return false;
	target->version = version;
	target->records = records;
	target->owner = relation->rd_rel->relowner;
	target->partition = partition;

	old = MemoryContextSwitchTo(context);
	target->descriptor = CreateTupleDescCopyConstr(RelationGetDescr(relation));
	target->values = palloc0(target->descriptor->natts * sizeof(Datum));
	target->isnull = palloc0(target->descriptor->natts * sizeof(bool));
	MemoryContextSwitchTo(old);

	api->UserContextEnter(&user, target->owner);
	columns = palloc0(target->descriptor->natts * sizeof(RecordColumn));
	describe_columns(target, store, relation, columns, context);
	target->decoder = BatchDecoderCreate(store, version, columns, target->descriptor->natts,
										 context);
	api->UserContextLeave(&user);

	target->load = api->LoadCreate(records, last_row, context);
	target->context = BatchContext();
	target->record_context = AllocSetContextCreate(context, "venice record", ALLOCSET_DEFAULT_SIZES);
	table_close(relation, AccessShareLock);
	return true;
}

static void
reject(Change *change, int sqlstate, const char *message)
{
	change->verdict = RECORD_REJECTED;
	change->error = palloc(sizeof(DecodeError));
	change->error->sqlstate = sqlstate;
	strlcpy(change->error->message, message, sizeof(change->error->message));
}

/* Put the error being handled on a record, if it is that one's fault; else raise it again. */
static void
reject_with_current_error(Change *change, MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	if (ErrorIsTransient(error->sqlerrcode))
		PG_RE_THROW();
	FlushErrorState();
	reject(change, error->sqlerrcode, error->message);
	FreeErrorData(error);
}

/*
 * The row is formed here, while its values are at hand: those of a whole batch would
 * have left the processor's caches by the time they are written.
 */
static RecordVerdict
decode_one(const BatchTarget *target, const KafkaRecord *record, Change *change, int32 *schema_id)
{
	RawRecord	raw;
	DecodeError error;

	raw.key = record->key;
	raw.key_bytes = record->key_bytes;
	raw.value = record->value;
	raw.value_bytes = record->value_bytes;
	MemoryContextReset(target->record_context);
	MemoryContextSwitchTo(target->record_context);
	change->verdict = api->RecordDecode(target->decoder, &raw, target->values, target->isnull,
										schema_id, &error);
	MemoryContextSwitchTo(target->context);
	if (change->verdict == RECORD_REJECTED)
		reject(change, error.sqlstate, error.message);
	else if (change->verdict != RECORD_NEEDS_SCHEMA)
	{
		if (target->record_time >= 0)
		{
			target->isnull[target->record_time] = record->timestamp_ms < 0;
			target->values[target->record_time] =
				TimestampTzGetDatum(RecordTimestamp(record->timestamp_ms));
		}
		if (target->arrival >= 0)
		{
			target->isnull[target->arrival] = false;
			target->values[target->arrival] =
				Int64GetDatum(((int64) target->partition << ARRIVAL_OFFSET_BITS) | record->offset);
		}
		change->row = heap_form_tuple(target->descriptor, target->values, target->isnull);
	}
	return change->verdict;
}

/*
 * Decode all records into changes.  A record that raises an error is rejected,
 * and a new subtransaction goes on behind it.  False when a schema is missing.
 */
static bool
decode_all(const BatchTarget *target, const KafkaRecord *records, int count, Change *changes,
		   int32 *schema_id)
{
	ResourceOwner owner = CurrentResourceOwner;
	volatile int i = 0;
	volatile bool complete = true;

	while (i < count && complete)
	{
		BeginInternalSubTransaction(NULL);
		MemoryContextSwitchTo(target->context);
		PG_TRY();
		{
			for (; i < count; i++)
			{
				if (i % 1024 == 0)
					CHECK_FOR_INTERRUPTS();
				if (decode_one(target, &records[i], &changes[i], schema_id) == RECORD_NEEDS_SCHEMA)
				{
					complete = false;
					break;
				}
			}
			ReleaseCurrentSubTransaction();
		}
		PG_CATCH();
		{
			reject_with_current_error(&changes[i], target->context);
			RollbackAndReleaseCurrentSubTransaction();
			i++;
		}
		PG_END_TRY();
		MemoryContextSwitchTo(target->context);
		CurrentResourceOwner = owner;
	}
	return complete;
}

/* Write changes [first, end); false when the table is gone. */
static bool
load_range(const BatchTarget *target, const Change *changes, int first, int end)
{
	if (!api->LoadBegin(target->load))
		return false;
	for (int i = first; i < end; i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (changes[i].verdict == RECORD_PUT)
			api->LoadPut(target->load, changes[i].row);
		else if (changes[i].verdict == RECORD_DELETE)
			api->LoadDelete(target->load, changes[i].row);
	}
	api->LoadEnd(target->load);
	return true;
}

/* Would these load?  Nothing of it stays.  An error leaves its reason on a range of one. */
static bool
try_range(const BatchTarget *target, Change *changes, int first, int end)
{
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool loads = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(target->context);
	PG_TRY();
	{
		(void) load_range(target, changes, first, end);
		loads = true;
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		Change		reason;

		reject_with_current_error(&reason, target->context);
		if (end - first == 1)
		{
			changes[first].verdict = RECORD_REJECTED;
			changes[first].error = reason.error;
		}
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(target->context);
	CurrentResourceOwner = owner;
	return loads;
}

/* Reject those of a range that do not load. */
static void
find_culprits(const BatchTarget *target, Change *changes, int first, int end)
{
	int			middle = first + (end - first) / 2;

	if (first >= end || try_range(target, changes, first, end) || end - first == 1)
		return;
	find_culprits(target, changes, first, middle);
	find_culprits(target, changes, middle, end);
}

/* Write all that were decoded, less those that do not load. */
static bool
load_all(const BatchTarget *target, Change *changes, int count)
{
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool failed = false;
	volatile bool found = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(target->context);
	PG_TRY();
	{
		found = load_range(target, changes, 0, count);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		Change		reason;

		reject_with_current_error(&reason, target->context);
		RollbackAndReleaseCurrentSubTransaction();
		failed = true;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(target->context);
	CurrentResourceOwner = owner;

	if (failed)
	{
		find_culprits(target, changes, 0, count);
		found = load_range(target, changes, 0, count);
	}
	return found;
}

static void
count_changes(const BatchTarget *target, const KafkaRecord *records, const Change *changes,
			  int count, PartitionState *state)
{
	StateKey	key = api->LoadStateKey(target->version);

	for (int i = 0; i < count; i++)
	{
		const KafkaRecord *record = &records[i];

		state->messages++;
		state->bytes += Max(record->key_bytes, 0) + Max(record->value_bytes, 0);
		switch (changes[i].verdict)
		{
			case RECORD_PUT:
				state->rows++;
				break;
			case RECORD_DELETE:
				state->tombstones++;
				break;
			default:
				state->rejected++;
				api->RejectedRecordAdd(&key, target->partition, record->offset,
									   RecordTimestamp(record->timestamp_ms),
									   record->key_bytes < 0 ? NULL : record->key,
									   record->key_bytes,
									   record->value_bytes < 0 ? NULL : record->value,
									   record->value_bytes, changes[i].error);
		}
	}
}

bool
BatchColumnsAreThere(Oid records, int count)
{
	Relation	relation = try_table_open(records, RowExclusiveLock);
	bool		same;

	if (relation == NULL)
		return false;
	same = RelationGetNumberOfAttributes(relation) == count;
	table_close(relation, NoLock);
	return same;
}

BatchResult
BatchWrite(BatchTarget *target, const KafkaRecord *records, int count, PartitionState *state,
		   int32 *schema_id)
{
	UserContext user;
	Change	   *changes;
	bool		complete;
	bool		found = true;

	if (count == 0)
		return BATCH_WRITTEN;
	if (!BatchColumnsAreThere(target->records, target->descriptor->natts))
		return BATCH_TABLE_CHANGED;
	MemoryContextReset(target->context);
	MemoryContextSwitchTo(target->context);
	changes = MemoryContextAllocHuge(target->context, count * sizeof(Change));

	api->UserContextEnter(&user, target->owner);
	complete = decode_all(target, records, count, changes, schema_id);
	if (complete)
		found = load_all(target, changes, count);
	api->UserContextLeave(&user);

	if (!complete)
		return BATCH_NEEDS_SCHEMA;
	if (!found)
		return BATCH_TABLE_CHANGED;
	state->loaded_through = api->LoadLastRow(target->load);
	count_changes(target, records, changes, count, state);
	return BATCH_WRITTEN;
}
