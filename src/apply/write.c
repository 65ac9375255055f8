/*-------------------------------------------------------------------------
 *
 * write.c
 *		Writing to the rows of a complete version, key by key.
 *
 * A row is found by the version's key, locked, merged with the write and put back,
 * with its indexes, constraints and row triggers, as logical replication does
 * it.  The triggers are also what tells the cache.  Where writes are resolved by time,
 * a deleted row's metadata stay in the table "tombstones" beside.
 *
 * Locks: RowExclusiveLock on the tables to the end of the transaction; rows as UPDATE
 * and INSERT do.
 * Must not know: which versions there are, and where writes come from.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "apply/write.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "common/compat.h"
#include "common/subtransaction.h"
#include "common/type_input.h"

#define DELETED_TIME_COLUMN	"_deleted_time"

/* A column of a version, and what a write has for it. */
typedef struct Target
{
	AttrNumber	attribute;
	int			source;			/* which of the write's fields; -1: it has none */
	Oid			source_type;
	bool		converts;		/* the write's type is another */
	FmgrInfo	output;
	TypeInput	input;
} Target;

/* A table with a key: the version's records, or its tombstones. */
typedef struct KeyedTable
{
	Relation	relation;
	Oid			index;
	ResultRelInfo *result;
	EState	   *estate;
	EPQState	epq;
	AttrNumber *key;			/* attributes of the store's key columns */
	AttrNumber	metadata;		/* or InvalidAttrNumber */
	TupleTableSlot *search;
	TupleTableSlot *found;
	TupleTableSlot *changed;
} KeyedTable;

struct VersionWriter
{
	int			key_count;
	int			number;			/* of the version */
	bool		may_not_fit;	/* it has older types, and nobody's answer depends on it */
	KeyedTable	records;
	KeyedTable	tombstones;		/* relation is NULL where there are none */
	AttrNumber	event_time;
	Merge	   *merge;
	MergeColumn *columns;		/* of the version */
	Target	   *targets;		/* for each of them */
	int			column_count;
	MemoryContext row_context;
};

static bool
open_keyed_table(KeyedTable *table, Oid oid, TupleDesc columns, int key_count)
{
	table->relation = try_table_open(oid, RowExclusiveLock);
	if (table->relation == NULL)
		return false;
	table->index = RelationGetPrimaryKeyIndex(table->relation, false);
	if (!OidIsValid(table->index))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s.%s\" has no primary key",
						get_namespace_name(RelationGetNamespace(table->relation)),
						RelationGetRelationName(table->relation)),
				 errhint("Push a new version, which gets one.")));
	table->key = palloc(key_count * sizeof(AttrNumber));
	for (int i = 0; i < key_count; i++)
		table->key[i] = get_attnum(oid, NameStr(TupleDescAttr(columns, i)->attname));
	table->metadata = get_attnum(oid, METADATA_COLUMN);

	table->estate = CreateExecutorState();
	ExecInitRelation(table->estate, oid, RowExclusiveLock);
	table->estate->es_snapshot = GetActiveSnapshot();
	table->result = makeNode(ResultRelInfo);
	InitResultRelInfo(table->result, table->relation, 1, NULL, 0);
	ExecOpenIndices(table->result, true);
	EvalPlanQualInit(&table->epq, table->estate, NULL, NIL, -1, NIL);
	table->search = table_slot_create(table->relation, &table->estate->es_tupleTable);
	table->found = table_slot_create(table->relation, &table->estate->es_tupleTable);
	table->changed = table_slot_create(table->relation, &table->estate->es_tupleTable);
	return true;
}

static void
close_keyed_table(KeyedTable *table)
{
	if (table->relation == NULL)
		return;
	EvalPlanQualEnd(&table->epq);
	ExecCloseResultRelations(table->estate);
	ExecCloseIndices(table->result);
	ExecResetTupleTable(table->estate->es_tupleTable, false);
	FreeExecutorState(table->estate);
	table_close(table->relation, NoLock);
}

/* What a write has for a column of the version, and how it becomes the column's type. */
static void
init_target(Target *target, TupleDesc columns, int key_count, Form_pg_attribute attribute)
{
	bool		is_varlena;
	Oid			function;

	target->attribute = attribute->attnum;
	target->source = -1;
	for (int i = key_count; i < columns->natts; i++)
	{
		Form_pg_attribute source = TupleDescAttr(columns, i);

		if (strcmp(NameStr(source->attname), NameStr(attribute->attname)) != 0)
			continue;
		target->source = i - key_count;
		target->source_type = source->atttypid;
		target->converts = source->atttypid != attribute->atttypid ||
			source->atttypmod != attribute->atttypmod;
	}
	if (target->converts)
	{
		getTypeOutputInfo(target->source_type, &function, &is_varlena);
		fmgr_info(function, &target->output);
		TypeInputInit(&target->input, attribute->atttypid, attribute->atttypmod,
					  CurrentMemoryContext);
	}
}

static void
init_default(MergeColumn *column, Relation relation, Form_pg_attribute attribute, EState *estate)
{
	Node	   *expression = build_column_default(relation, attribute->attnum);

	column->default_isnull = true;
	if (expression != NULL)
	{
		ExprState  *state = ExecPrepareExpr((Expr *) expression, estate);

		column->default_value = ExecEvalExprSwitchContext(state, GetPerTupleExprContext(estate),
														  &column->default_isnull);
	}
	if (!column->default_isnull)
		column->default_value = datumCopy(column->default_value, attribute->attbyval,
										  attribute->attlen);
}

static MergePolicy
policy_of(const Version *version)
{
	const char *policy = version->options->conflict_resolution;

	return strcmp(policy, "field") == 0 ? MERGE_BY_FIELD :
		strcmp(policy, "row") == 0 ? MERGE_BY_ROW : MERGE_BY_ARRIVAL;
}

VersionWriter *
VersionWriterOpen(const Store *store, const Version *version, TupleDesc columns)
{
	VersionWriter *writer = palloc0(sizeof(VersionWriter));
	Oid			records = VersionTable(version);
	TupleDesc	descriptor;

	writer->key_count = store->key_count;
	writer->number = version->number;
	if (!OidIsValid(records) ||
		!open_keyed_table(&writer->records, records, columns, store->key_count))
		return NULL;
	descriptor = RelationGetDescr(writer->records.relation);
	writer->event_time = get_attnum(records, EVENT_TIME_COLUMN);
	writer->targets = palloc0(descriptor->natts * sizeof(Target));
	writer->columns = palloc0(descriptor->natts * sizeof(MergeColumn));
	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		MergeColumn *column = &writer->columns[writer->column_count];
		bool		is_key = false;

		for (int key = 0; key < store->key_count; key++)
			is_key |= writer->records.key[key] == attribute->attnum;
		if (is_key || attribute->attisdropped || NameStr(attribute->attname)[0] == '_')
			continue;
		column->name = NameStr(attribute->attname);
		column->type = attribute->atttypid;
		init_default(column, writer->records.relation, attribute, writer->records.estate);
		init_target(&writer->targets[writer->column_count], columns, store->key_count, attribute);
		writer->may_not_fit |= writer->targets[writer->column_count++].converts;
	}
	writer->may_not_fit &= version->state == VERSION_BACKUP ||
		version->state == VERSION_ROLLED_BACK;
	writer->merge = MergeCreate(writer->columns, writer->column_count, policy_of(version),
								CurrentMemoryContext);
	if (writer->records.metadata != InvalidAttrNumber)
		(void) open_keyed_table(&writer->tombstones,
								get_relname_relid("tombstones",
												  RelationGetNamespace(writer->records.relation)),
								columns, store->key_count);
	writer->row_context = AllocSetContextCreate(CurrentMemoryContext, "venice write",
												ALLOCSET_DEFAULT_SIZES);
	AfterTriggerBeginQuery();
	return writer;
}

/* Find and lock a key's row, into table->found. */
static bool
find_row(KeyedTable *table, const Datum *key, int key_count)
{
	ExecClearTuple(table->search);
	memset(table->search->tts_isnull, true,
		   table->search->tts_tupleDescriptor->natts * sizeof(bool));
	for (int i = 0; i < key_count; i++)
	{
		table->search->tts_values[table->key[i] - 1] = key[i];
		table->search->tts_isnull[table->key[i] - 1] = false;
	}
	ExecStoreVirtualTuple(table->search);

	/* A row that we have just written is there for us to lock. */
	CommandCounterIncrement();
	return RelationFindReplTupleByIndex(table->relation, table->index, LockTupleExclusive,
										table->search, table->found);
}

static void
set_value(TupleTableSlot *slot, AttrNumber attribute, Datum value, bool isnull)
{
	if (attribute == InvalidAttrNumber)
		return;
	slot->tts_values[attribute - 1] = value;
	slot->tts_isnull[attribute - 1] = isnull;
}

/* An empty row of a key, in table->changed; ExecStoreVirtualTuple makes it one. */
static void
begin_changed(KeyedTable *table, const Datum *key, int key_count)
{
	ExecClearTuple(table->changed);
	memset(table->changed->tts_isnull, true,
		   table->changed->tts_tupleDescriptor->natts * sizeof(bool));
	for (int i = 0; i < key_count; i++)
		set_value(table->changed, table->key[i], key[i], false);
}

static Datum
converted(Target *target, Datum value)
{
	if (!target->converts)
		return value;
	return TypeInputCall(&target->input, OutputFunctionCall(&target->output, value));
}

/* A write as the version's columns have it: what it does not know is kept, or its default. */
static void
convert_write(VersionWriter *writer, const RowWrite *write, RowWrite *result)
{
	*result = *write;
	if (write->kind == WRITE_DELETE)
		return;
	result->fields = palloc0(writer->column_count * sizeof(FieldWrite));
	for (int i = 0; i < writer->column_count; i++)
	{
		Target	   *target = &writer->targets[i];
		FieldWrite *field = &result->fields[i];

		if (target->source < 0)
		{
			field->change = write->kind == WRITE_PUT ? FIELD_SET : FIELD_KEEP;
			field->value = writer->columns[i].default_value;
			field->isnull = writer->columns[i].default_isnull;
			continue;
		}
		*field = write->fields[target->source];
		if (field->change == FIELD_KEEP)
			continue;
		if (!field->isnull)
			field->value = converted(target, field->value);
		/* Keys of a map are text in every version. */
		if (field->change == FIELD_MEMBERS && !field->removed_isnull &&
			getBaseType(writer->columns[i].type) != JSONBOID)
			field->removed = converted(target, field->removed);
	}
}

/* Insert table->changed; false when there is a row of the key by now. */
static bool
insert_row(KeyedTable *table)
{
	ResultRelInfo *result = table->result;
	TupleTableSlot *slot = table->changed;
	List	   *key = list_make1_oid(table->index);
	TransactionId xid = GetCurrentTransactionId();
	bool		conflict = false;
	ItemPointerData other;
	uint32		token;
	List	   *recheck;

	if (result->ri_TrigDesc != NULL && result->ri_TrigDesc->trig_insert_before_row &&
		!ExecBRInsertTriggers(table->estate, result, slot))
		return true;
	if (table->relation->rd_att->constr != NULL)
		ExecConstraints(result, slot, table->estate);
	if (!ExecCheckIndexConstraints(result, slot, table->estate, &other, NULL, key))
		return false;

	/* As INSERT … ON CONFLICT does: whoever inserts the same key meanwhile makes no error. */
	token = SpeculativeInsertionLockAcquire(xid);
	table_tuple_insert_speculative(table->relation, slot, table->estate->es_output_cid, 0, NULL,
								   token);
	recheck = ExecInsertIndexTuples(result, slot, table->estate, false, true, &conflict, key,
									false);
	table_tuple_complete_speculative(table->relation, slot, token, !conflict);
	SpeculativeInsertionLockRelease(xid);
	if (!conflict)
		ExecARInsertTriggers(table->estate, result, slot, recheck, NULL);
	return !conflict;
}

static void
begin_command(KeyedTable *table)
{
	table->estate->es_output_cid = GetCurrentCommandId(true);
}

static void
delete_found(KeyedTable *table)
{
	begin_command(table);
	ExecSimpleRelationDelete(table->result, table->estate, &table->epq, table->found);
}

/*
 * Find what is stored under a key, and keep others from it: its row in records, else
 * its tombstone, which is made if there is none.  Whoever finds no row makes or locks
 * a tombstone before he looks again, so that of two that write to an absent key one
 * waits for the other, whatever they do.
 */
static bool
find_stored(VersionWriter *writer, const Datum *key, bool *tombstone_found)
{
	KeyedTable *tombstones = &writer->tombstones;
	bool		made = false;

	*tombstone_found = false;
	while (!find_row(&writer->records, key, writer->key_count))
	{
		if (tombstones->relation == NULL || *tombstone_found)
			return false;
		if (find_row(tombstones, key, writer->key_count))
			*tombstone_found = true;
		else
		{
			begin_command(tombstones);
			begin_changed(tombstones, key, writer->key_count);
			ExecStoreVirtualTuple(tombstones->changed);
			made = insert_row(tombstones);
		}
	}
	if (made && find_row(tombstones, key, writer->key_count))
		delete_found(tombstones);
	*tombstone_found = false;
	return true;
}

static bytea *
metadata_of(KeyedTable *table)
{
	Datum		value;
	bool		isnull;

	if (table->metadata == InvalidAttrNumber)
		return NULL;
	value = slot_getattr(table->found, table->metadata, &isnull);
	return isnull ? NULL : DatumGetByteaPP(value);
}

static void
read_row(VersionWriter *writer, MergeRow *row)
{
	row->exists = true;
	row->metadata = metadata_of(&writer->records);
	row->values = palloc(writer->column_count * sizeof(Datum));
	row->isnull = palloc(writer->column_count * sizeof(bool));
	for (int i = 0; i < writer->column_count; i++)
		row->values[i] = slot_getattr(writer->records.found, writer->targets[i].attribute,
									  &row->isnull[i]);
}

/* A row is never as of before what it replaces: the past says the same. */
static TimestampTz
later_time(VersionWriter *writer, TimestampTz event_time)
{
	bool		isnull = true;
	Datum		stored = 0;

	if (writer->event_time != InvalidAttrNumber)
		stored = slot_getattr(writer->records.found, writer->event_time, &isnull);
	return isnull ? event_time : Max(event_time, DatumGetTimestampTz(stored));
}

/* What is to be stored, into records.changed. */
static void
fill_changed(VersionWriter *writer, const Datum *key, const MergeRow *row, TimestampTz event_time)
{
	KeyedTable *records = &writer->records;

	begin_changed(records, key, writer->key_count);
	for (int i = 0; i < writer->column_count; i++)
		set_value(records->changed, writer->targets[i].attribute, row->values[i], row->isnull[i]);
	set_value(records->changed, records->metadata, PointerGetDatum(row->metadata),
			  row->metadata == NULL);
	set_value(records->changed, writer->event_time, TimestampTzGetDatum(event_time), false);
	ExecStoreVirtualTuple(records->changed);
}

/* Leave word of a deleted row. */
static void
write_tombstone(VersionWriter *writer, const Datum *key, bytea *metadata, bool exists)
{
	KeyedTable *tombstones = &writer->tombstones;

	begin_changed(tombstones, key, writer->key_count);
	set_value(tombstones->changed, tombstones->metadata, PointerGetDatum(metadata), false);
	set_value(tombstones->changed,
			  get_attnum(RelationGetRelid(tombstones->relation), DELETED_TIME_COLUMN),
			  TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()), false);
	ExecStoreVirtualTuple(tombstones->changed);
	begin_command(tombstones);
	if (exists)
		ExecSimpleRelationUpdate(tombstones->result, tombstones->estate, &tombstones->epq,
								 tombstones->found, tombstones->changed);
	else
		(void) insert_row(tombstones);
}

/* What meets a version's types. */
typedef struct Attempt
{
	VersionWriter *writer;
	const RowWrite *given;
	RowWrite	write;			/* as the version has it */
	MergeRow	row;
	bool		changed;
} Attempt;

static void
attempt_conversion(void *argument)
{
	Attempt    *attempt = argument;

	convert_write(attempt->writer, attempt->given, &attempt->write);
}

static void
attempt_merge(void *argument)
{
	Attempt    *attempt = argument;

	attempt->changed = MergeApply(attempt->writer->merge, &attempt->write, &attempt->row);
}

/* False, with a notice, where a version's older types cannot hold it. */
static bool
fits(Attempt *attempt, SubtransactionAction action)
{
	Relation	relation = attempt->writer->records.relation;
	ErrorData  *error = NULL;

	if (!attempt->writer->may_not_fit)
		action(attempt);
	else
		error = SubtransactionTry(action, attempt, SUBTRANSACTION_ANY_ERROR);
	if (error == NULL)
		return true;
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
		ReThrowError(error);
	ereport(NOTICE,
			(errcode(error->sqlerrcode),
			 errmsg("version %d, a backup, keeps the row that it has: %s", attempt->writer->number,
					error->message),
			 errtable(relation)));
	return false;
}

static void
apply_write(VersionWriter *writer, const Datum *key, const RowWrite *given, TimestampTz event_time)
{
	KeyedTable *records = &writer->records;
	Attempt		attempt = {.writer = writer,.given = given};
	bool		has_tombstone;

	if (!fits(&attempt, attempt_conversion))
		return;
	for (;;)
	{
		bool		found = find_stored(writer, key, &has_tombstone);
		MergeRow   *row = &attempt.row;

		*row = (MergeRow) {0};
		if (found)
			read_row(writer, row);
		else if (has_tombstone)
			row->metadata = metadata_of(&writer->tombstones);
		if (!fits(&attempt, attempt_merge) || !attempt.changed)
		{
			/* Made only to keep others away. */
			if (has_tombstone && row->metadata == NULL)
				delete_found(&writer->tombstones);
			return;
		}
		if (row->exists)
		{
			fill_changed(writer, key, row, found ? later_time(writer, event_time) : event_time);
			begin_command(records);
			if (found)
				ExecSimpleRelationUpdate(records->result, records->estate, &records->epq,
										 records->found, records->changed);
			else if (!insert_row(records))
				continue;
			if (has_tombstone)
				delete_found(&writer->tombstones);
		}
		else
		{
			if (found)
				delete_found(records);
			if (writer->tombstones.relation != NULL)
				write_tombstone(writer, key, row->metadata, has_tombstone);
		}
		return;
	}
}

void
VersionWriterApply(VersionWriter *writer, const Datum *key, const RowWrite *write,
				   TimestampTz event_time)
{
	MemoryContext old = MemoryContextSwitchTo(writer->row_context);

	apply_write(writer, key, write, event_time);
	MemoryContextSwitchTo(old);
	MemoryContextReset(writer->row_context);
	ResetPerTupleExprContext(writer->records.estate);
}

void
VersionWriterClose(VersionWriter *writer)
{
	CommandCounterIncrement();
	AfterTriggerEndQuery(writer->records.estate);
	close_keyed_table(&writer->records);
	close_keyed_table(&writer->tombstones);
	MemoryContextDelete(writer->row_context);
}
