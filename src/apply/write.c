/*-------------------------------------------------------------------------
 *
 * write.c
 *		Writing to the rows of a complete version, in batches.
 *
 * A batch is sorted by key.  A row is looked up in the version's index, as it is now and
 * not as a snapshot has it, merged in memory with all writes to its key, and put back
 * once, with its indexes and constraints.  What a write would have left for the next
 * one is asked of the constraints, too: whether a write is refused does not depend on
 * what comes with it in a batch.
 *
 * Nobody is kept from a row between the look and the change: the change is refused when
 * somebody else was faster, who is waited for, and the key's turn begins anew.  A
 * new row is inserted speculatively, as INSERT … ON CONFLICT does, for the same
 * reason.  The rows of a batch are changed in the order of their keys, and version by version
 * in one order, so that who writes a batch in a transaction waits in no ring: who has a key
 * in the first version has it in all.
 *
 * Triggers are none of the executor's business here: the only one that rows have is
 * what tells the cache (read/forget.c), which is told directly.  Where somebody has made
 * others, rows are locked first and changed one write at a time, with all triggers, as
 * logical replication does it.
 *
 * Where writes are resolved by time, a deleted row's metadata stay in the table
 * "tombstones" beside.  A write that has lost changes nothing and locks nothing, which
 * is as well: such writes may come in any order.
 *
 * Locks: RowExclusiveLock on the tables to the end of the transaction; rows as UPDATE
 * and INSERT do.
 * Must not know: which versions there are, and where writes come from.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "apply/write.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am_d.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "rewrite/rewriteHandler.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/sortsupport.h"

#include "common/compat.h"
#include "common/subtransaction.h"
#include "common/type_input.h"
#include "read/forget.h"

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
	Relation	index;			/* of the key; result has it open */
	ResultRelInfo *result;
	EState	   *estate;
	EPQState	epq;
	AttrNumber *key;			/* attributes of the store's key columns */
	ScanKey		search;			/* for each column of the index */
	int		   *key_column;		/* of the store, that the index's column is */
	SortSupport order;			/* of each column of the index */
	SnapshotData newest;		/* which says who is changing the row */
	IndexScanDesc scan;			/* during a batch */
	AttrNumber	metadata;		/* or InvalidAttrNumber */
	bool		has_triggers;	/* for rows, and others than ours */
	bool		locks;			/* what is found */
	CacheTable	cached;			/* for ForgetRow */
	HeapTupleData tuple;		/* in found */
	Size		room;			/* that a page should have for rows to come */
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
	bool		takes_as_given; /* its columns are those of the writes */
	bool		puts_replace;	/* and a put leaves nothing of what was there */
	MemoryContext batch_context;
	MemoryContext row_context;	/* for what one key needs */
};

/* How rows are looked up in the key's index, whose columns may be in another order. */
static void
init_search(KeyedTable *table, int key_count)
{
	table->search = palloc(key_count * sizeof(ScanKeyData));
	table->key_column = palloc0(key_count * sizeof(int));
	table->order = palloc0(key_count * sizeof(SortSupportData));
	for (int i = 0; i < key_count; i++)
	{
		Oid			type = table->index->rd_opcintype[i];
		Oid			family = table->index->rd_opfamily[i];
		Oid			equal = get_opfamily_member(family, type, type, BTEqualStrategyNumber);
		Oid			less = get_opfamily_member(family, type, type, BTLessStrategyNumber);

		ScanKeyInit(&table->search[i], i + 1, BTEqualStrategyNumber, get_opcode(equal), 0);
		table->search[i].sk_collation = table->index->rd_indcollation[i];
		while (table->key[table->key_column[i]] != table->index->rd_index->indkey.values[i])
			table->key_column[i]++;
		table->order[i].ssup_cxt = CurrentMemoryContext;
		table->order[i].ssup_collation = table->index->rd_indcollation[i];
		PrepareSortSupportFromOrderingOp(less, &table->order[i]);
	}
	InitDirtySnapshot(table->newest);
}

static bool
open_keyed_table(KeyedTable *table, Oid oid, TupleDesc columns, int key_count)
{
	Oid			index;

	table->relation = try_table_open(oid, RowExclusiveLock);
	if (table->relation == NULL)
		return false;
	index = RelationGetPrimaryKeyIndex(table->relation, false);
	if (!OidIsValid(index))
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
	table->has_triggers = !ForgetIsOnlyTrigger(table->relation, &table->cached);
	table->locks = table->has_triggers;
	table->room = BLCKSZ / 10;

	table->estate = CreateExecutorState();
	ExecInitRelation(table->estate, oid, RowExclusiveLock);
	table->estate->es_snapshot = GetActiveSnapshot();
	table->result = makeNode(ResultRelInfo);
	InitResultRelInfo(table->result, table->relation, 1, NULL, 0);
	ExecOpenIndices(table->result, true);
	for (int i = 0; i < table->result->ri_NumIndices; i++)
		if (RelationGetRelid(table->result->ri_IndexRelationDescs[i]) == index)
			table->index = table->result->ri_IndexRelationDescs[i];
	init_search(table, key_count);
	EvalPlanQualInit(&table->epq, table->estate, NULL, NIL, -1, NIL);
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

MergePolicy
VersionMergePolicy(const Version *version)
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
	MergePolicy policy;

	writer->key_count = store->key_count;
	writer->number = version->number;
	if (!OidIsValid(records) ||
		!open_keyed_table(&writer->records, records, columns, store->key_count))
		return NULL;
	descriptor = RelationGetDescr(writer->records.relation);
	writer->event_time = get_attnum(records, EVENT_TIME_COLUMN);
	writer->targets = palloc0(descriptor->natts * sizeof(Target));
	writer->columns = palloc0(descriptor->natts * sizeof(MergeColumn));
	writer->takes_as_given = true;
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
		writer->may_not_fit |= writer->targets[writer->column_count].converts;
		writer->takes_as_given &= !writer->targets[writer->column_count].converts &&
			writer->targets[writer->column_count].source == writer->column_count;
		writer->column_count++;
	}
	writer->takes_as_given &= writer->column_count == columns->natts - store->key_count;
	writer->may_not_fit &= version->state == VERSION_BACKUP ||
		version->state == VERSION_ROLLED_BACK;
	policy = VersionMergePolicy(version);
	if (policy == MERGE_BY_ARRIVAL && writer->records.metadata != InvalidAttrNumber)
		policy = MERGE_BY_ARRIVAL_DATED;
	writer->puts_replace = writer->takes_as_given && policy == MERGE_BY_ARRIVAL;
	writer->merge = MergeCreate(writer->columns, writer->column_count, policy,
								CurrentMemoryContext);
	if (writer->records.metadata != InvalidAttrNumber && policy != MERGE_BY_ARRIVAL_DATED)
		(void) open_keyed_table(&writer->tombstones,
								get_relname_relid("tombstones",
												  RelationGetNamespace(writer->records.relation)),
								columns, store->key_count);
	writer->tombstones.locks = true;
	writer->batch_context = AllocSetContextCreate(CurrentMemoryContext, "venice writes",
												  ALLOCSET_DEFAULT_SIZES);
	writer->row_context = AllocSetContextCreate(CurrentMemoryContext, "venice write",
												ALLOCSET_DEFAULT_SIZES);
	AfterTriggerBeginQuery();
	return writer;
}

static void
begin_lookups(KeyedTable *table)
{
	MemoryContext old;

	if (table->relation == NULL)
		return;
	old = MemoryContextSwitchTo(table->estate->es_query_cxt);
	table->scan = index_beginscan(table->relation, table->index, &table->newest, NULL,
								  IndexRelationGetNumberOfKeyAttributes(table->index), 0);
	MemoryContextSwitchTo(old);
}

static void
end_lookups(KeyedTable *table)
{
	if (table->relation == NULL)
		return;
	index_endscan(table->scan);
	ExecClearTuple(table->found);
	ExecClearTuple(table->changed);
}

/* Did it happen, or was somebody else faster? */
static bool
is_done(KeyedTable *table, TM_Result result)
{
	if (result != TM_Ok && result != TM_Updated && result != TM_Deleted)
		elog(ERROR, "unexpected state of a row of table \"%s\": %d",
			 RelationGetRelationName(table->relation), result);
	return result == TM_Ok;
}

static bool
lock_found(KeyedTable *table)
{
	TM_FailureData failure;

	return is_done(table, table_tuple_lock(table->relation, &table->found->tts_tid,
										   table->estate->es_snapshot, table->found,
										   GetCurrentCommandId(false), LockTupleExclusive,
										   LockWaitBlock, 0, &failure));
}

/*
 * Fetch the row that an index entry points to, into table->found.  As index_fetch_heap
 * does it, which prunes a page as soon as it has less room than fillfactor says: here
 * that is each that has been written to.  Pages are pruned when their room runs out.
 */
static bool
fetch_row(KeyedTable *table, ItemPointer place)
{
	Buffer		buffer = ReadBuffer(table->relation, ItemPointerGetBlockNumber(place));
	Page		page = BufferGetPage(buffer);
	bool		found;
	bool		all_dead;

	if (PageIsFull(page) || PageGetHeapFreeSpace(page) < table->room)
		heap_page_prune_opt(table->relation, buffer);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	found = heap_hot_search_buffer(place, table->relation, buffer, &table->newest, &table->tuple,
								   &all_dead, true);
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	table->scan->kill_prior_tuple = all_dead;
	table->tuple.t_self = *place;
	if (found)
		ExecStorePinnedBufferHeapTuple(&table->tuple, table->found, buffer);
	else
		ReleaseBuffer(buffer);
	return found;
}

static bool
next_row(KeyedTable *table)
{
	ItemPointer place;

	if (table->relation->rd_rel->relam != HEAP_TABLE_AM_OID)
		return index_getnext_slot(table->scan, ForwardScanDirection, table->found);
	while ((place = index_getnext_tid(table->scan, ForwardScanDirection)) != NULL)
		if (fetch_row(table, place))
			return true;
	return false;
}

/* Find a key's row, into table->found, once nobody else is changing it. */
static bool
find_row(KeyedTable *table, const Datum *key)
{
	int			count = IndexRelationGetNumberOfKeyAttributes(table->index);

	for (int i = 0; i < count; i++)
		table->search[i].sk_argument = key[table->key_column[i]];
	for (;;)
	{
		/* The scan keeps what it allocates for as long as it lives. */
		MemoryContext old = MemoryContextSwitchTo(table->estate->es_query_cxt);
		TransactionId other;
		bool		found;

		index_rescan(table->scan, table->search, count, NULL, 0);
		found = next_row(table);
		MemoryContextSwitchTo(old);
		if (!found)
			return false;
		other = TransactionIdIsValid(table->newest.xmin) ? table->newest.xmin : table->newest.xmax;
		if (TransactionIdIsValid(other))
			XactLockTableWait(other, NULL, NULL, XLTW_None);
		else if (!table->locks || lock_found(table))
			return true;
	}
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
	if (write->fields == NULL || writer->takes_as_given)
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

static void
begin_command(KeyedTable *table)
{
	table->estate->es_output_cid = GetCurrentCommandId(true);
}

/* Insert table->changed, which find_row has not found; false when there is a row by now. */
static bool
insert_row(KeyedTable *table)
{
	ResultRelInfo *result = table->result;
	TupleTableSlot *slot = table->changed;
	TransactionId xid = GetCurrentTransactionId();
	bool		conflict = false;
	uint32		token;
	List	   *recheck;

	begin_command(table);
	if (result->ri_TrigDesc != NULL && result->ri_TrigDesc->trig_insert_before_row &&
		!ExecBRInsertTriggers(table->estate, result, slot))
		return true;
	if (table->relation->rd_att->constr != NULL)
		ExecConstraints(result, slot, table->estate);

	/* As INSERT … ON CONFLICT does: whoever inserts the same key meanwhile makes no error. */
	token = SpeculativeInsertionLockAcquire(xid);
	table_tuple_insert_speculative(table->relation, slot, table->estate->es_output_cid, 0, NULL,
								   token);
	recheck = ExecInsertIndexTuples(result, slot, table->estate, false, true, &conflict,
									list_make1_oid(RelationGetRelid(table->index)), false);
	table_tuple_complete_speculative(table->relation, slot, token, !conflict);
	SpeculativeInsertionLockRelease(xid);
	if (!conflict)
		ExecARInsertTriggers(table->estate, result, slot, recheck, NULL);
	return !conflict;
}

/* Replace table->found with table->changed; false when it is not the newest by now. */
static bool
update_found(KeyedTable *table)
{
	TM_FailureData failure;
	LockTupleMode mode;
	TU_UpdateIndexes indexes;

	begin_command(table);
	if (table->has_triggers)
	{
		ExecSimpleRelationUpdate(table->result, table->estate, &table->epq, table->found,
								 table->changed);
		return true;
	}
	CheckCmdReplicaIdentity(table->relation, CMD_UPDATE);
	ForgetRow(&table->cached, table->found);
	if (table->relation->rd_att->constr != NULL)
		ExecConstraints(table->result, table->changed, table->estate);
	if (!is_done(table, table_tuple_update(table->relation, &table->found->tts_tid, table->changed,
										   table->estate->es_output_cid,
										   table->estate->es_snapshot, InvalidSnapshot, true,
										   &failure, &mode, &indexes)))
		return false;
	table->room = 2 * MAXALIGN(((HeapTupleTableSlot *) table->changed)->tuple->t_len);
	if (indexes)
		(void) ExecInsertIndexTuples(table->result, table->changed, table->estate, true, false,
									 NULL, NIL, indexes == TU_Summarizing);
	return true;
}

static bool
delete_found(KeyedTable *table)
{
	TM_FailureData failure;

	begin_command(table);
	if (table->has_triggers)
	{
		ExecSimpleRelationDelete(table->result, table->estate, &table->epq, table->found);
		return true;
	}
	CheckCmdReplicaIdentity(table->relation, CMD_DELETE);
	ForgetRow(&table->cached, table->found);
	return is_done(table, table_tuple_delete(table->relation, &table->found->tts_tid,
											 table->estate->es_output_cid,
											 table->estate->es_snapshot, InvalidSnapshot, true,
											 &failure, false));
}

/*
 * Find what is stored under a key: its row in records, else its tombstone, which is made
 * if there is none.  Whoever finds no row makes or locks a tombstone before he looks
 * again, so that of two that write to an absent key one waits for the other, whatever
 * they do.
 */
static bool
find_stored(VersionWriter *writer, const Datum *key, bool *tombstone_found)
{
	KeyedTable *tombstones = &writer->tombstones;
	bool		made = false;

	*tombstone_found = false;
	while (!find_row(&writer->records, key))
	{
		if (tombstones->relation == NULL || *tombstone_found)
			return false;
		if (find_row(tombstones, key))
			*tombstone_found = true;
		else
		{
			begin_changed(tombstones, key, writer->key_count);
			ExecStoreVirtualTuple(tombstones->changed);
			made = insert_row(tombstones);
			/* It is there for us to lock. */
			CommandCounterIncrement();
		}
	}
	if (made && find_row(tombstones, key))
		(void) delete_found(tombstones);
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

/* What becomes of a key. */
typedef struct Outcome
{
	const Datum *key;			/* of the last write that has changed something */
	MergeRow	row;
	TimestampTz event_time;
	bool		has_event_time;
	bool		changed;
} Outcome;

/* Of what a put replaces as it is nothing is read but the event time. */
static void
read_stored(VersionWriter *writer, bool found, bool has_tombstone, bool is_replaced,
			Outcome *outcome)
{
	bool		isnull = true;

	if (has_tombstone)
		outcome->row.metadata = metadata_of(&writer->tombstones);
	if (!found)
		return;
	if (is_replaced)
		outcome->row.exists = true;
	else
		read_row(writer, &outcome->row);
	if (writer->event_time != InvalidAttrNumber)
		outcome->event_time = DatumGetTimestampTz(slot_getattr(writer->records.found,
															   writer->event_time, &isnull));
	outcome->has_event_time = !isnull;
}

/* What is to be stored, into records.changed. */
static void
fill_changed(VersionWriter *writer, const Outcome *outcome)
{
	KeyedTable *records = &writer->records;
	const MergeRow *row = &outcome->row;

	begin_changed(records, outcome->key, writer->key_count);
	for (int i = 0; i < writer->column_count; i++)
		set_value(records->changed, writer->targets[i].attribute, row->values[i], row->isnull[i]);
	set_value(records->changed, records->metadata, PointerGetDatum(row->metadata),
			  row->metadata == NULL);
	set_value(records->changed, writer->event_time, TimestampTzGetDatum(outcome->event_time),
			  false);
	ExecStoreVirtualTuple(records->changed);
}

/* Leave word of a deleted row; found: in its tombstone, which is locked. */
static void
write_tombstone(VersionWriter *writer, const Datum *key, bytea *metadata, bool found)
{
	KeyedTable *tombstones = &writer->tombstones;

	for (;;)
	{
		begin_changed(tombstones, key, writer->key_count);
		set_value(tombstones->changed, tombstones->metadata, PointerGetDatum(metadata), false);
		set_value(tombstones->changed,
				  get_attnum(RelationGetRelid(tombstones->relation), DELETED_TIME_COLUMN),
				  TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()), false);
		ExecStoreVirtualTuple(tombstones->changed);
		if (found ? update_found(tombstones) : insert_row(tombstones))
			return;
		found = find_row(tombstones, key);
	}
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

static void *
copied(const void *array, Size bytes)
{
	return array == NULL ? NULL : memcpy(palloc(bytes), array, bytes);
}

static void
change_outcome(const KeyedWrite *write, const MergeRow *row, Outcome *outcome)
{
	/* A row is never as of before what it replaces: the past says the same. */
	outcome->event_time = outcome->row.exists && outcome->has_event_time ?
		Max(outcome->event_time, write->event_time) : write->event_time;
	outcome->has_event_time = true;
	outcome->changed = true;
	outcome->key = write->key;
	outcome->row = *row;
}

/* Merge a write with what those before it have left. */
static void
merge_write(VersionWriter *writer, const KeyedWrite *write, Outcome *outcome)
{
	Attempt		attempt = {.writer = writer,.given = write->write,.row = outcome->row};

	if (!fits(&attempt, attempt_conversion))
		return;
	if (writer->may_not_fit)
	{
		attempt.row.values = copied(attempt.row.values, writer->column_count * sizeof(Datum));
		attempt.row.isnull = copied(attempt.row.isnull, writer->column_count * sizeof(bool));
	}
	if (!fits(&attempt, attempt_merge) || !attempt.changed)
		return;
	change_outcome(write, &attempt.row, outcome);
}

/* One that was logged before a column was added does not know of it. */
static bool
replaces_row(const VersionWriter *writer, const RowWrite *write)
{
	if (!writer->puts_replace || write->kind != WRITE_PUT)
		return false;
	for (int i = 0; i < writer->column_count; i++)
		if (write->fields[i].change != FIELD_SET)
			return false;
	return true;
}

/* The same with a put that replaces whatever is there. */
static void
replace_row(VersionWriter *writer, const KeyedWrite *write, Outcome *outcome)
{
	MergeRow	row = {.exists = true};

	row.values = palloc(writer->column_count * sizeof(Datum));
	row.isnull = palloc(writer->column_count * sizeof(bool));
	for (int i = 0; i < writer->column_count; i++)
	{
		row.values[i] = write->write->fields[i].value;
		row.isnull[i] = write->write->fields[i].isnull;
	}
	change_outcome(write, &row, outcome);
}

/* What the next write replaces would have had to be a row of the table, too. */
static void
check_replaced(VersionWriter *writer, const Outcome *outcome)
{
	if (!outcome->changed || !outcome->row.exists ||
		writer->records.relation->rd_att->constr == NULL)
		return;
	fill_changed(writer, outcome);
	ExecConstraints(writer->records.result, writer->records.changed, writer->records.estate);
}

/* Store what has become of a key; false when somebody else was faster. */
static bool
store_outcome(VersionWriter *writer, const Outcome *outcome, bool found, bool has_tombstone)
{
	KeyedTable *records = &writer->records;

	if (!outcome->changed)
	{
		/* Made only to keep others away. */
		if (has_tombstone && outcome->row.metadata == NULL)
			(void) delete_found(&writer->tombstones);
		return true;
	}
	if (outcome->row.exists)
	{
		fill_changed(writer, outcome);
		if (!(found ? update_found(records) : insert_row(records)))
			return false;
		if (has_tombstone)
			(void) delete_found(&writer->tombstones);
		return true;
	}
	if (found && !delete_found(records))
		return false;
	if (writer->tombstones.relation != NULL)
		write_tombstone(writer, outcome->key, outcome->row.metadata, has_tombstone);
	return true;
}

/* A write that is being sorted, with the first column of its key in the index. */
typedef struct SortedWrite
{
	Datum		first;
	const KeyedWrite *write;
} SortedWrite;

/* Apply writes to one key, in their order. */
static void
apply_to_key(VersionWriter *writer, const SortedWrite *writes, int count)
{
	bool		is_replaced = count == 1 && replaces_row(writer, writes[0].write->write);
	bool		stored;

	do
	{
		Outcome		outcome = {0};
		bool		has_tombstone;
		bool		found = find_stored(writer, writes[0].write->key, &has_tombstone);

		read_stored(writer, found, has_tombstone, is_replaced, &outcome);
		if (is_replaced)
			replace_row(writer, writes[0].write, &outcome);
		for (int i = 0; i < count && !is_replaced; i++)
		{
			if (i > 0)
				check_replaced(writer, &outcome);
			merge_write(writer, writes[i].write, &outcome);
		}
		stored = store_outcome(writer, &outcome, found, has_tombstone);
	} while (!stored);
}

static int
compare_keys(const KeyedTable *table, const SortedWrite *a, const SortedWrite *b)
{
	int			result = ApplySortComparator(a->first, false, b->first, false, &table->order[0]);

	for (int i = 1; result == 0 && i < IndexRelationGetNumberOfKeyAttributes(table->index); i++)
		result = ApplySortComparator(a->write->key[table->key_column[i]], false,
									 b->write->key[table->key_column[i]], false,
									 &table->order[i]);
	return result;
}

/* By key; writes to one key stay in their order. */
static int
compare_writes(const void *a, const void *b, void *table)
{
	const SortedWrite *left = a;
	const SortedWrite *right = b;
	int			result = compare_keys(table, left, right);

	return result != 0 ? result : left->write < right->write ? -1 : left->write > right->write;
}

static SortedWrite *
sort_writes(VersionWriter *writer, const KeyedWrite *writes, int count)
{
	SortedWrite *sorted = palloc(count * sizeof(SortedWrite));

	for (int i = 0; i < count; i++)
		sorted[i] = (SortedWrite) {writes[i].key[writer->records.key_column[0]], &writes[i]};
	qsort_arg(sorted, count, sizeof(SortedWrite), compare_writes, &writer->records);
	return sorted;
}

void
VersionWriterOrder(VersionWriter *writer, const KeyedWrite *writes, int count, int *order)
{
	SortedWrite *sorted = sort_writes(writer, writes, count);

	for (int i = 0; i < count; i++)
		order[i] = sorted[i].write - writes;
	pfree(sorted);
}

/* Writes lie in memory as they came, not by key: fetch those whose turn comes next. */
static void
prefetch_writes(VersionWriter *writer, const SortedWrite *next, int count)
{
	if (count > 2)
		__builtin_prefetch(next[2].write);
	if (count > 1)
		__builtin_prefetch(next[1].write->write);
	if (count > 0 && next->write->write->fields != NULL)
		for (Size i = 0; i < writer->column_count * sizeof(FieldWrite); i += PG_CACHE_LINE_SIZE / 2)
			__builtin_prefetch((const char *) next->write->write->fields + i);
}

void
VersionWriterApplyMany(VersionWriter *writer, const KeyedWrite *writes, int count)
{
	MemoryContext old = MemoryContextSwitchTo(writer->batch_context);
	KeyedTable *records = &writer->records;
	SortedWrite *sorted = sort_writes(writer, writes, count);
	int			end;

	/* Rows that we have written are there for us to change; in a batch each is, once. */
	CommandCounterIncrement();
	begin_lookups(records);
	begin_lookups(&writer->tombstones);
	MemoryContextSwitchTo(writer->row_context);
	for (int first = 0; first < count; first = end)
	{
		CHECK_FOR_INTERRUPTS();
		for (end = first + 1; end < count && !records->has_triggers; end++)
			if (compare_keys(records, &sorted[first], &sorted[end]) != 0)
				break;
		prefetch_writes(writer, &sorted[end], count - end);
		apply_to_key(writer, &sorted[first], end - first);
		if (records->has_triggers)
			CommandCounterIncrement();
		MemoryContextReset(writer->row_context);
		ResetPerTupleExprContext(records->estate);
	}
	end_lookups(&writer->tombstones);
	end_lookups(records);
	MemoryContextSwitchTo(old);
	MemoryContextReset(writer->batch_context);
}

void
VersionWriterApply(VersionWriter *writer, const Datum *key, const RowWrite *write,
				   TimestampTz event_time)
{
	KeyedWrite	keyed = {key, write, event_time};

	VersionWriterApplyMany(writer, &keyed, 1);
}

bool
VersionWriterKnowsTimes(const VersionWriter *writer)
{
	return writer->records.metadata != InvalidAttrNumber;
}

/* As a cheap look says, before the row is read. */
static bool
may_expire(VersionWriter *writer, int64 before, int64 *earliest)
{
	int64		time;

	if (!MetadataReadTime(metadata_of(&writer->records), &time))
		return true;
	if (time >= before)
		*earliest = Min(*earliest, time);
	return time < before && time != NEVER;
}

/* Is the row that was found ours?  Nobody is waited for. */
static bool
lock_if_free(KeyedTable *table)
{
	ItemPointerData place = table->found->tts_tid;
	TM_FailureData failure;

	return table_tuple_lock(table->relation, &place, GetActiveSnapshot(), table->changed,
							GetCurrentCommandId(false), LockTupleExclusive, LockWaitSkip, 0,
							&failure) == TM_Ok;
}

/* Has the row that was found expired?  Then it is locked. */
static bool
has_expired(VersionWriter *writer, int64 before, bool with_pushed, int64 *earliest, bool *gone)
{
	MergeRow	row = {0};

	if (!may_expire(writer, before, earliest))
		return false;
	read_row(writer, &row);
	if (!MergeExpire(writer->merge, before, with_pushed, &row, earliest))
		return false;
	*gone = !row.exists;
	if (lock_if_free(&writer->records))
		return true;
	/* To be looked at again soon. */
	*earliest = Min(*earliest, before);
	return false;
}

static Datum *
found_key(VersionWriter *writer)
{
	KeyedTable *records = &writer->records;
	Datum	   *key = palloc(writer->key_count * sizeof(Datum));

	for (int i = 0; i < writer->key_count; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(records->relation),
													records->key[i] - 1);
		bool		isnull;

		key[i] = datumCopy(slot_getattr(records->found, records->key[i], &isnull),
						   attribute->attbyval, attribute->attlen);
	}
	return key;
}

bool
VersionWriterFindExpired(VersionWriter *writer, int64 before, bool with_pushed, BlockNumber *place,
						 int64 *earliest, ExpiredRow *rows, int limit, int *count)
{
	KeyedTable *records = &writer->records;
	BlockNumber blocks = RelationGetNumberOfBlocks(records->relation);
	TableScanDesc scan;

	*count = 0;
	if (*place >= blocks)
		return true;
	scan = table_beginscan_strat(records->relation, GetActiveSnapshot(), 0, NULL, true, false);
	heap_setscanlimits(scan, *place, blocks - *place);
	while (*count < limit && table_scan_getnextslot(scan, ForwardScanDirection, records->found))
	{
		MemoryContext old = MemoryContextSwitchTo(writer->row_context);
		bool		expired;

		CHECK_FOR_INTERRUPTS();
		*place = ItemPointerGetBlockNumber(&records->found->tts_tid);
		expired = has_expired(writer, before, with_pushed, earliest, &rows[*count].gone);
		MemoryContextSwitchTo(old);
		MemoryContextReset(writer->row_context);
		if (expired)
			rows[(*count)++].key = found_key(writer);
	}
	table_endscan(scan);
	ExecClearTuple(records->found);
	ExecClearTuple(records->changed);
	return *count < limit;
}

void
VersionWriterClose(VersionWriter *writer)
{
	CommandCounterIncrement();
	AfterTriggerEndQuery(writer->records.estate);
	close_keyed_table(&writer->records);
	close_keyed_table(&writer->tombstones);
	MemoryContextDelete(writer->row_context);
	MemoryContextDelete(writer->batch_context);
}
