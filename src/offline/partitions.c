/*-------------------------------------------------------------------------
 *
 * partitions.c
 *		The partitions of a history: which there are, and which there are to be.
 *
 * Partitions are attached and dropped with locks that are tried and never waited for in
 * the queue, so that no reader waits behind somebody who waits.
 *
 * Rows that came without a partition are moved out of the default one as if they had
 * always been where they go to: frozen, once every snapshot sees them.  Deleting them
 * here and inserting them there would take them from a snapshot of before, which asks
 * for a time and is not led to the default partition any more.  Nor does anybody who has
 * looked up which partitions there are read, or write, across the moment when they are
 * moved: the whole history is locked for it.
 *
 * Locks: ShareUpdateExclusiveLock on the history by the callers; ExclusiveLock on the
 * default partition while it is split; AccessExclusiveLock, for a moment, on the default
 * partition to attach another one, and on the history to split that one or drop one.
 * Must not know: what rows mean.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/partitions.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "common/compat.h"
#include "common/guc.h"
#include "common/query.h"
#include "common/table_lock.h"
#include "offline/rewrite.h"
#include "version/history.h"
#include "version/layout.h"

/* More partitions cost more at each query than they save. */
#define PARTITIONS_MAX 1000

/* Years that a partition can be named after. */
#define SPLIT_FIRST	((date2j(1, 1, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY)
#define SPLIT_LAST	((date2j(9999, 1, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY)

/* A finite bound, or else the given one. */
static TimestampTz
bound(List *datums, TimestampTz otherwise)
{
	const PartitionRangeDatum *datum = linitial_node(PartitionRangeDatum, datums);

	return datum->kind == PARTITION_RANGE_DATUM_VALUE ?
		DatumGetTimestampTz(castNode(Const, datum->value)->constvalue) : otherwise;
}

/* NULL for the default partition, and for what is no table. */
static Partition *
read_partition(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Form_pg_class form;
	const PartitionBoundSpec *bounds;
	Partition  *partition = NULL;
	bool		is_null;
	Datum		bound_text;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	form = (Form_pg_class) GETSTRUCT(tuple);
	bound_text = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relpartbound, &is_null);
	bounds = is_null ? NULL : stringToNode(TextDatumGetCString(bound_text));
	if (bounds != NULL && !bounds->is_default && form->relkind == RELKIND_RELATION &&
		form->relam == HEAP_TABLE_AM_OID)
	{
		partition = palloc0(sizeof(Partition));
		partition->relation = relation;
		partition->name = pstrdup(NameStr(form->relname));
		partition->start = bound(bounds->lowerdatums, DT_NOBEGIN);
		partition->end = bound(bounds->upperdatums, DT_NOEND);
		partition->compacted_pages = -1;
	}
	ReleaseSysCache(tuple);
	return partition;
}

static int
compare_partitions(const ListCell *a, const ListCell *b)
{
	const Partition *one = lfirst(a);
	const Partition *other = lfirst(b);

	return one->start < other->start ? -1 : one->start > other->start;
}

static void
read_compactions(const Store *store, List *partitions)
{
	QuerySession session;
	QueryArgs	args = {0};
	uint64		count;

	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	count = QueryRun("SELECT partition_name::text, pages FROM venice.compacted_partition "
					 "WHERE store_name = $1::name", &args);
	for (uint64 row = 0; row < count; row++)
	{
		char	   *name = QueryText(row, 1, CurrentMemoryContext);
		ListCell   *cell;

		foreach(cell, partitions)
		{
			Partition  *partition = lfirst(cell);

			if (strcmp(partition->name, name) == 0)
				partition->compacted_pages = QueryInt8(row, 2, -1);
		}
	}
	QueryEnd(&session);
}

List *
PartitionList(const Store *store, Oid history)
{
	List	   *partitions = NIL;
	ListCell   *cell;

	foreach(cell, find_inheritance_children(history, NoLock))
	{
		Partition  *partition = read_partition(lfirst_oid(cell));
		Relation	relation;

		if (partition == NULL)
			continue;
		partitions = lappend(partitions, partition);
		/* Who looks for what there is to do does not wait for who is doing it. */
		if (!ConditionalLockRelationOid(partition->relation, AccessShareLock))
			continue;
		relation = try_relation_open(partition->relation, NoLock);
		if (relation != NULL)
		{
			partition->pages = RelationGetNumberOfBlocks(relation);
			relation_close(relation, NoLock);
		}
		UnlockRelationOid(partition->relation, AccessShareLock);
	}
	list_sort(partitions, compare_partitions);
	read_compactions(store, partitions);
	return partitions;
}

bool
PartitionIsScattered(const Partition *partition)
{
	return partition->pages > 0 &&
		(partition->compacted_pages < 0 ||
		 partition->pages > partition->compacted_pages + partition->compacted_pages / 10);
}

char *
HistoryOrder(const Store *store, Oid history)
{
	return psprintf("%s, %s, %s NULLS FIRST, %s", KeyColumnList(store, ""),
					quote_identifier(HistoryColumn(history, "event_time")),
					quote_identifier(HistoryColumn(history, "created_time")),
					quote_identifier(HistoryColumn(history, "arrival")));
}

void
PartitionNoteCompaction(const Store *store, Oid partition)
{
	Relation	relation = table_open(partition, NoLock);
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	QueryArgText(&args, RelationGetRelationName(relation));
	QueryArgInt8(&args, RelationGetNumberOfBlocks(relation));
	(void) QueryRun("INSERT INTO venice.compacted_partition (store_name, partition_name, pages) "
					"VALUES ($1::name, $2::name, $3) ON CONFLICT (store_name, partition_name) "
					"DO UPDATE SET compacted_time = EXCLUDED.compacted_time, pages = EXCLUDED.pages",
					&args);
	QueryEnd(&session);
	table_close(relation, NoLock);
}

/* The period of a time, as far as no partition has it; false: one has the time. */
static bool
free_period(const Store *store, const List *partitions, TimestampTz time, TimestampTz *start,
			TimestampTz *end)
{
	const Interval *width = &store->options->history_partition;
	const ListCell *cell;

	*start = HistoryPeriodStart(width, time);
	*end = HistoryPeriodEnd(width, *start);
	foreach(cell, partitions)
	{
		const Partition *partition = lfirst(cell);

		if (partition->start <= time && partition->end > time)
			return false;
		if (partition->end <= time)
			*start = Max(*start, partition->end);
		else
			*end = Min(*end, partition->start);
	}
	return true;
}

static void
lock_unqueued(Oid table)
{
	if (OidIsValid(table) && !TableLockUnqueued(table, Settings.drop_lock_timeout_ms))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("table \"%s\" is being read", get_rel_name(table)),
				 errdetail("It is read by %s.", TableLockHolders(table))));
}

/* The next period, of now or ahead of it, that has no partition. */
static bool
next_ahead(const Store *store, const List *partitions, TimestampTz *start, TimestampTz *end)
{
	TimestampTz time = GetCurrentTimestamp();

	for (int ahead = 0; ahead <= HISTORY_PERIODS_AHEAD; ahead++)
	{
		const Interval *width = &store->options->history_partition;

		if (free_period(store, partitions, time, start, end))
			return true;
		time = HistoryPeriodEnd(width, HistoryPeriodStart(width, time));
	}
	return false;
}

bool
PartitionsMakeAhead(const Store *store, Oid history)
{
	TimestampTz start;
	TimestampTz end;
	Oid			table;

	if (!next_ahead(store, PartitionList(store, history), &start, &end))
		return false;
	table = HistoryPartitionMake(history, start, end);
	lock_unqueued(get_default_partition_oid(history));
	HistoryPartitionAttach(history, table, start, end);
	return true;
}

/* The oldest partition, if it is past its time; NULL if it is not. */
static const Partition *
expired_partition(const Store *store, const List *partitions)
{
	const Interval *retention = store->options->history_retention;
	const Partition *oldest = partitions != NIL ? linitial(partitions) : NULL;
	TimestampTz limit;

	if (oldest == NULL || retention == NULL)
		return NULL;
	limit = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval,
													TimestampTzGetDatum(GetCurrentTimestamp()),
													IntervalPGetDatum(retention)));
	return oldest->end <= limit ? oldest : NULL;
}

bool
PartitionsRetire(const Store *store, Oid history)
{
	const Partition *partition = expired_partition(store, PartitionList(store, history));
	QuerySession session;
	QueryArgs	args = {0};

	if (partition == NULL)
		return false;
	lock_unqueued(history);
	lock_unqueued(get_default_partition_oid(history));
	lock_unqueued(partition->relation);
	QueryRunf("DROP TABLE %s", QualifiedName(partition->relation));
	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	QueryArgText(&args, partition->name);
	(void) QueryRun("DELETE FROM venice.compacted_partition "
					"WHERE store_name = $1::name AND partition_name = $2::name", &args);
	QueryEnd(&session);
	return true;
}

/* Rows of the default partition that belong into one partition. */
typedef struct Target
{
	TimestampTz start;
	TimestampTz end;
	Oid			table;
	Relation	relation;
	TupleConversionMap *map;	/* NULL: it has the same columns at the same places */
	TupleTableSlot *slot;
	BulkInsertState insert;
} Target;

static Target *
find_target(const List *targets, TimestampTz time)
{
	const ListCell *cell;

	foreach(cell, targets)
	{
		Target	   *target = lfirst(cell);

		if (target->start <= time && time < target->end)
			return target;
	}
	return NULL;
}

/* What every snapshot sees, or none. */
typedef enum Visibility
{
	SEEN_BY_ALL,
	SEEN_BY_NONE,
	SEEN_BY_SOME
} Visibility;

static Visibility
row_visibility(TupleTableSlot *slot, TransactionId oldest_xmin)
{
	BufferHeapTupleTableSlot *row = (BufferHeapTupleTableSlot *) slot;
	HeapTuple	tuple = row->base.tuple;
	HTSV_Result result;

	LockBuffer(row->buffer, BUFFER_LOCK_SHARE);
	result = HeapTupleSatisfiesVacuum(tuple, oldest_xmin, row->buffer);
	LockBuffer(row->buffer, BUFFER_LOCK_UNLOCK);
	if (result == HEAPTUPLE_DEAD)
		return SEEN_BY_NONE;
	if (result != HEAPTUPLE_LIVE)
		return SEEN_BY_SOME;
	return HeapTupleHeaderXminFrozen(tuple->t_data) ||
		TransactionIdPrecedes(HeapTupleHeaderGetXmin(tuple->t_data), oldest_xmin) ?
		SEEN_BY_ALL : SEEN_BY_SOME;
}

static TimestampTz
row_time(TupleTableSlot *slot, AttrNumber event_time)
{
	bool		is_null;

	return DatumGetTimestampTz(slot_getattr(slot, event_time, &is_null));
}

static bool
can_be_moved(TimestampTz time)
{
	return time >= SPLIT_FIRST && time < SPLIT_LAST;
}

static bool
has_movable_row(Relation table, AttrNumber event_time)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(table, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(table, NULL);
	bool		found = false;

	while (!found && table_scan_getnextslot(scan, ForwardScanDirection, slot))
		found = can_be_moved(row_time(slot, event_time));
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	return found;
}

/*
 * Has the default partition rows that could be somewhere else?  It is asked all the time,
 * and so without a query, which could run what the owner has attached to the table.
 */
static bool
default_is_due(const Store *store, Oid history)
{
	Oid			table = get_default_partition_oid(history);
	Relation	relation;
	bool		due;

	if (!OidIsValid(table) || !ConditionalLockRelationOid(table, AccessShareLock))
		return false;
	relation = try_relation_open(table, NoLock);
	if (relation == NULL)
		return false;
	due = relation->rd_rel->relam == HEAP_TABLE_AM_OID &&
		RelationGetNumberOfBlocks(relation) > 0 &&
		list_length(PartitionList(store, history)) < PARTITIONS_MAX &&
		has_movable_row(relation, get_attnum(table, HistoryColumn(history, "event_time")));
	relation_close(relation, NoLock);
	return due;
}

/* The partitions that the rows of the default one need, without tables yet. */
static List *
find_targets(const Store *store, Oid history, Relation table, AttrNumber event_time)
{
	TransactionId oldest_xmin = GetOldestNonRemovableTransactionId(table);
	List	   *partitions = PartitionList(store, history);
	TupleTableSlot *slot = table_slot_create(table, NULL);
	TableScanDesc scan = table_beginscan(table, SnapshotAny, 0, NULL);
	List	   *targets = NIL;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		Visibility	visibility = row_visibility(slot, oldest_xmin);
		TimestampTz time = row_time(slot, event_time);
		TimestampTz start;
		TimestampTz end;

		CHECK_FOR_INTERRUPTS();
		if (visibility == SEEN_BY_SOME)
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("rows of \"%s\" are not yet seen by every transaction, or still by some",
							RelationGetRelationName(table)),
					 errhint("Try again when the transactions that run now are over.")));
		if (visibility == SEEN_BY_ALL && can_be_moved(time) &&
			list_length(partitions) + list_length(targets) < PARTITIONS_MAX &&
			find_target(targets, time) == NULL &&
			free_period(store, partitions, time, &start, &end))
		{
			Target	   *target = palloc0(sizeof(Target));

			target->start = start;
			target->end = end;
			targets = lcons(target, targets);
		}
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return targets;
}

static void
open_target(Target *target, Oid history, Relation source)
{
	target->table = HistoryPartitionMake(history, target->start, target->end);
	target->relation = table_open(target->table, AccessExclusiveLock);
	target->map = convert_tuples_by_name(RelationGetDescr(source),
										 RelationGetDescr(target->relation));
	target->slot = table_slot_create(target->relation, NULL);
	target->insert = GetBulkInsertState();
}

static void
move_row(Target *target, TupleTableSlot *row)
{
	if (target->map != NULL)
		(void) execute_attr_map_slot(target->map->attrMap, row, target->slot);
	else
		(void) ExecCopySlot(target->slot, row);
	table_tuple_insert(target->relation, target->slot, GetCurrentCommandId(true),
					   TABLE_INSERT_FROZEN | TABLE_INSERT_SKIP_FSM, target->insert);
}

/* Rows of a time that is over come to lie in order at once. */
static void
close_target(Target *target, const Store *store, Oid history)
{
	Relation	parent = table_open(history, NoLock);
	Relation	relation;

	FreeBulkInsertState(target->insert);
	table_finish_bulk_insert(target->relation, TABLE_INSERT_FROZEN | TABLE_INSERT_SKIP_FSM);
	ExecDropSingleTupleTableSlot(target->slot);
	table_close(target->relation, NoLock);
	CommandCounterIncrement();
	if (target->end <= GetCurrentTimestamp())
	{
		Rewrite    *rewrite = RewriteBegin(target->table);

		RewriteSort(rewrite, HistoryOrder(store, history));
		RewriteFinish(rewrite);
		RewriteSwap(rewrite, 0);
		PartitionNoteCompaction(store, target->table);
	}
	else
		QueryRunf("ANALYZE %s", QualifiedName(target->table));
	relation = table_open(target->table, NoLock);
	(void) IndexesClone(parent, relation);
	table_close(relation, NoLock);
	table_close(parent, NoLock);
}

/* Copy the rows of the default partition to where they belong; what belongs nowhere stays. */
static void
move_rows(const List *targets, Rewrite *rewrite, AttrNumber event_time)
{
	TupleTableSlot *slot = table_slot_create(rewrite->table, NULL);
	TableScanDesc scan = table_beginscan(rewrite->table, SnapshotAny, 0, NULL);
	Target		rest = {0};

	rest.relation = RewriteHeapOpen(rewrite);
	rest.slot = table_slot_create(rest.relation, NULL);
	rest.insert = GetBulkInsertState();
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		Target	   *target = find_target(targets, row_time(slot, event_time));

		CHECK_FOR_INTERRUPTS();
		if (row_visibility(slot, rewrite->oldest_xmin) == SEEN_BY_ALL)
			move_row(target != NULL ? target : &rest, slot);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	FreeBulkInsertState(rest.insert);
	table_finish_bulk_insert(rest.relation, TABLE_INSERT_FROZEN | TABLE_INSERT_SKIP_FSM);
	ExecDropSingleTupleTableSlot(rest.slot);
	RewriteHeapClose(rest.relation);
}

bool
PartitionsSplitDefault(const Store *store, Oid history)
{
	Oid			table = get_default_partition_oid(history);
	AttrNumber	event_time;
	Relation	relation;
	List	   *targets;
	Rewrite    *rewrite;
	ListCell   *cell;

	if (!default_is_due(store, history))
		return false;
	relation = table_open(table, ExclusiveLock);
	event_time = get_attnum(table, HistoryColumn(history, "event_time"));
	targets = find_targets(store, history, relation, event_time);
	table_close(relation, NoLock);
	if (targets == NIL)
		return false;

	rewrite = RewriteBegin(table);
	foreach(cell, targets)
		open_target(lfirst(cell), history, rewrite->table);
	move_rows(targets, rewrite, event_time);
	foreach(cell, targets)
		close_target(lfirst(cell), store, history);
	RewriteFinish(rewrite);

	/* Who has planned a query over the partitions as they were is not to wait for one here. */
	lock_unqueued(history);
	RewriteSwap(rewrite, Settings.drop_lock_timeout_ms);
	foreach(cell, targets)
	{
		const Target *target = lfirst(cell);

		HistoryPartitionAttach(history, target->table, target->start, target->end);
	}
	return true;
}

bool
PartitionsAreDue(const Store *store, Oid history)
{
	List	   *partitions = PartitionList(store, history);
	TimestampTz start;
	TimestampTz end;

	return next_ahead(store, partitions, &start, &end) ||
		expired_partition(store, partitions) != NULL || default_is_due(store, history);
}
