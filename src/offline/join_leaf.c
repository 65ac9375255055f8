/*-------------------------------------------------------------------------
 *
 * join_leaf.c
 *		The tables that a history consists of.
 *
 * What a query would read is read here by index and scan.  That is right only where
 * nothing stands between the caller and the rows: the query is analysed and
 * rewritten as any other, so that names, types and row security are found out by
 * the server, and its rights are checked as the executor would.
 *
 * Locks: AccessShareLock on the tables and indexes, to the end of the transaction.
 * Must not know: spines.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/join_leaf.h"

#include "access/attmap.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/nbtree.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/tupmacs.h"
#include "catalog/pg_am.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "rewrite/rewriteManip.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "common/compat.h"
#include "offline/history_cursor.h"
#include "offline/select.h"

typedef struct Reading
{
	JoinViewRun *run;
	Query	   *query;
	TupleDesc	parent;			/* columns that the query's expressions mean */
	List	   *leaves;
	bool		possible;
} Reading;

static AttrNumber
column_number(Oid relation, const char *name)
{
	return name == NULL ? InvalidAttrNumber : get_attnum(relation, name);
}

static Oid
column_type(const HistorySource *source, const char *column)
{
	return get_atttype(source->relation, get_attnum(source->relation, column));
}

/* Times are stored as the microseconds that they are compared by. */
static bool
is_plain_time(const HistorySource *source, const char *column)
{
	Oid			type;

	if (column == NULL)
		return true;
	type = column_type(source, column);
	return type == TIMESTAMPTZOID ||
		(type == TIMESTAMPOID && source->time_zone != NULL &&
		 pg_strcasecmp(source->time_zone, "UTC") == 0);
}

static bool
is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

static bool
is_plain_source(const HistorySource *source)
{
	return is_plain_time(source, source->event_time) &&
		is_plain_time(source, source->created_time) &&
		(source->arrival == NULL || is_integer(column_type(source, source->arrival))) &&
		(source->deleted == NULL || column_type(source, source->deleted) == BOOLOID);
}

/* Of the query that would be run: does it read the table, and nothing else? */
static bool
is_plain_query(const Query *query, Oid relation)
{
	const RangeTblEntry *table;

	if (list_length(query->rtable) != 1)
		return false;
	table = linitial_node(RangeTblEntry, query->rtable);
	return table->rtekind == RTE_RELATION && table->relid == relation &&
		table->securityQuals == NIL && !query->hasSubLinks && !query->hasTargetSRFs &&
		!query->hasAggs && !query->hasWindowFuncs;
}

/* A feature of a leaf, from the query's expression over the parent's columns. */
static bool
prepare_feature(const Reading *reading, JoinLeaf *leaf, const AttrMap *map, Expr *expression,
				JoinLeafFeature *feature)
{
	Bitmapset  *columns = NULL;
	bool		whole_row;
	int			first;

	feature->type = exprType((Node *) expression);
	get_typlenbyval(feature->type, &feature->length, &feature->by_value);
	pull_varattnos((Node *) expression, 1, &columns);
	first = bms_next_member(columns, -1);
	if (first >= 0 && first + FirstLowInvalidHeapAttributeNumber <= 0)
		return false;			/* the whole row, or what only the table has */
	expression = (Expr *) map_variable_attnos((Node *) expression, 1, 0, map, InvalidOid,
											  &whole_row);
	if (IsA(expression, Var))
		feature->column = castNode(Var, expression)->varattno;
	else
		feature->expression = ExecInitExpr(expression_planner(expression), NULL);
	return true;
}

static AttrMap *
attribute_map(TupleDesc parent, Oid leaf)
{
	AttrMap    *map = make_attrmap(parent->natts);
	int			i;

	for (i = 0; i < parent->natts; i++)
		if (!TupleDescAttr(parent, i)->attisdropped)
			map->attnums[i] = get_attnum(leaf, NameStr(TupleDescAttr(parent, i)->attname));
	return map;
}

/* The column of an index that holds a column of the table, or 0. */
static AttrNumber
index_column(Relation index, AttrNumber column)
{
	int			i;

	for (i = 0; column != 0 && i < index->rd_index->indnatts; i++)
		if (index->rd_index->indkey.values[i] == column)
			return i + 1;
	return 0;
}

/* Does the index go by this column as its `position`-th, from 0, in an order of its own kind? */
static bool
goes_by_time(Relation index, int position, AttrNumber column)
{
	return position < index->rd_index->indnkeyatts &&
		index->rd_index->indkey.values[position] == column &&
		index->rd_opfamily[position] ==
		get_opclass_family(GetDefaultOpClass(index->rd_opcintype[position], BTREE_AM_OID));
}

static bool
fits(const JoinViewRun *run, const JoinLeaf *leaf, Relation index)
{
	int			i;

	if (index->rd_rel->relam != BTREE_AM_OID || !index->rd_index->indisvalid ||
		RelationGetIndexPredicate(index) != NIL ||
		(index->rd_index->indcheckxmin &&
		 !TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data),
								TransactionXmin)))
		return false;
	for (i = 0; i < run->key_count; i++)
	{
		AttrNumber	at = index_column(index, leaf->keys[i]);

		if (at == 0 || at > run->key_count || index->rd_opfamily[at - 1] != run->keys[i].opfamily ||
			index->rd_indcollation[at - 1] != run->keys[i].collation)
			return false;
	}
	return goes_by_time(index, run->key_count, leaf->event_time);
}

/* Where a time stands in each entry whose columns before it are not NULL; -1: not always there. */
static int
time_offset(Relation index, AttrNumber column)
{
	TupleDesc	columns = RelationGetDescr(index);
	int			offset = 0;
	int			i;

	for (i = 0; i < column - 1; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(columns, i);

		if (attribute->attlen <= 0)
			return -1;
		offset = att_align_nominal(offset, attribute->attalign) + attribute->attlen;
	}
	return att_align_nominal(offset, TupleDescAttr(columns, i)->attalign);
}

static void
take_index(const JoinViewRun *run, JoinLeaf *leaf, Relation index)
{
	int			at = run->key_count;
	int			direction = index->rd_indoption[at] & INDOPTION_DESC;
	int			nulls_first = direction ? 0 : INDOPTION_NULLS_FIRST;
	int			i;

	leaf->index = index;
	leaf->newest_first = direction ? ForwardScanDirection : BackwardScanDirection;
	leaf->index_event_time = ++at;
	leaf->index_time_offset = time_offset(index, at);
	leaf->ties_ordered = true;
	if (leaf->created_time != 0 && leaf->ties_ordered)
		leaf->ties_ordered = goes_by_time(index, at, leaf->created_time) &&
			index->rd_indoption[at] == (direction | nulls_first);
	if (leaf->created_time != 0)
		at++;
	if (leaf->arrival != 0 && leaf->ties_ordered)
		leaf->ties_ordered = goes_by_time(index, at, leaf->arrival) &&
			(index->rd_indoption[at] & INDOPTION_DESC) == direction;
	leaf->keys_ordered = run->key_count > 0 && leaf->newest_first == ForwardScanDirection;
	for (i = 0; i < run->key_count; i++)
	{
		leaf->index_keys[i] = index_column(index, leaf->keys[i]);
		if (leaf->index_keys[i] != i + 1 || (index->rd_indoption[i] & INDOPTION_DESC) != 0)
			leaf->keys_ordered = false;
	}
	leaf->index_created_time = index_column(index, leaf->created_time);
	leaf->index_arrival = index_column(index, leaf->arrival);
	leaf->index_deleted = index_column(index, leaf->deleted);
	leaf->covering = (leaf->created_time == 0 || leaf->index_created_time != 0) &&
		(leaf->arrival == 0 || leaf->index_arrival != 0) &&
		(leaf->deleted == 0 || leaf->index_deleted != 0);
	for (i = 0; i < run->feature_count; i++)
	{
		JoinLeafFeature *feature = &leaf->features[i];

		feature->index_column = index_column(index, feature->column);
		if (feature->index_column == 0)
			leaf->covering = false;
	}
}

/* The index that serves best: with the order of ties, then with all that is wanted. */
static void
choose_index(const JoinViewRun *run, JoinLeaf *leaf)
{
	List	   *indexes = RelationGetIndexList(leaf->relation);
	Relation	best = NULL;
	int			best_score = -1;
	const ListCell *cell;

	leaf->index_keys = palloc0(sizeof(AttrNumber) * Max(run->key_count, 1));
	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);
		int			score;

		if (!fits(run, leaf, index))
		{
			index_close(index, NoLock);
			continue;
		}
		take_index(run, leaf, index);
		score = (leaf->ties_ordered ? 2 : 0) + (leaf->covering ? 1 : 0);
		if (score > best_score)
		{
			if (best != NULL)
				index_close(best, NoLock);
			best = index;
			best_score = score;
		}
		else
			index_close(index, NoLock);
	}
	leaf->index = NULL;
	if (best != NULL)
		take_index(run, leaf, best);
}

static void
add_leaf(Reading *reading, Relation relation, TimestampTz from, TimestampTz to)
{
	JoinViewRun *run = reading->run;
	const HistorySource *source = run->view->source;
	Oid			oid = RelationGetRelid(relation);
	JoinLeaf   *leaf = palloc0(sizeof(JoinLeaf));
	AttrMap    *map = attribute_map(reading->parent, oid);
	const ListCell *cell;
	int			i = 0;

	leaf->relation = relation;
	leaf->from = from;
	leaf->to = to;
	leaf->keys = palloc(sizeof(AttrNumber) * Max(run->key_count, 1));
	foreach(cell, source->key_columns)
		leaf->keys[i++] = get_attnum(oid, lfirst(cell));
	leaf->event_time = column_number(oid, source->event_time);
	leaf->created_time = column_number(oid, source->created_time);
	leaf->arrival = column_number(oid, source->arrival);
	leaf->deleted = column_number(oid, source->deleted);
	if (leaf->arrival != 0)
		leaf->arrival_bytes = get_typlen(get_atttype(oid, leaf->arrival));
	leaf->features = palloc0(sizeof(JoinLeafFeature) * Max(run->feature_count, 1));
	for (i = 0; i < run->feature_count; i++)
	{
		TargetEntry *target = list_nth(reading->query->targetList, run->key_count + 3 + i);

		if (!prepare_feature(reading, leaf, map, target->expr, &leaf->features[i]))
		{
			reading->possible = false;
			return;
		}
	}
	leaf->slot = table_slot_create(relation, NULL);
	leaf->expressions = CreateStandaloneExprContext();
	leaf->expressions->ecxt_scantuple = leaf->slot;
	choose_index(run, leaf);
	reading->leaves = lappend(reading->leaves, leaf);
}

static void collect(Reading *reading, Oid oid, TimestampTz from, TimestampTz to);

static void
collect_partitions(Reading *reading, Relation relation, TimestampTz from, TimestampTz to)
{
	PartitionKey key = RelationGetPartitionKey(relation);
	PartitionDesc partitions = RelationGetPartitionDesc(relation, true);
	PartitionBoundInfo bounds = partitions->boundinfo;
	AttrNumber	event_time = get_attnum(RelationGetRelid(relation),
										reading->run->view->source->event_time);
	bool		by_time = key->strategy == PARTITION_STRATEGY_RANGE && key->partnatts == 1 &&
		key->partattrs[0] == event_time;
	int			i;

	for (i = 0; i < partitions->nparts && reading->possible; i++)
	{
		TimestampTz part_from = from;
		TimestampTz part_to = to;
		int			j;

		/* A partition between two bounds; the default one has what is between others. */
		for (j = 0; by_time && j <= bounds->ndatums; j++)
		{
			if (bounds->indexes[j] != i)
				continue;
			if (j > 0 && bounds->kind[j - 1][0] == PARTITION_RANGE_DATUM_VALUE)
				part_from = Max(from, DatumGetTimestampTz(bounds->datums[j - 1][0]));
			if (j < bounds->ndatums && bounds->kind[j][0] == PARTITION_RANGE_DATUM_VALUE)
				part_to = Min(to, DatumGetTimestampTz(bounds->datums[j][0]));
			break;
		}
		collect(reading, partitions->oids[i], part_from, part_to);
	}
}

static void
collect(Reading *reading, Oid oid, TimestampTz from, TimestampTz to)
{
	Relation	relation = table_open(oid, AccessShareLock);

	if (relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		collect_partitions(reading, relation, from, to);
		table_close(relation, NoLock);
	}
	else if ((relation->rd_rel->relkind == RELKIND_RELATION ||
			  relation->rd_rel->relkind == RELKIND_MATVIEW) &&
			 RelationIsScannable(relation) &&
			 relation->rd_tableam == GetHeapamTableAmRoutine() &&
			 (relation->rd_rel->relispartition || !has_subclass(oid)))
		add_leaf(reading, relation, from, to);
	else
	{
		reading->possible = false;
		table_close(relation, NoLock);
	}
}

static int
newest_first(const ListCell *one, const ListCell *other)
{
	const JoinLeaf *a = lfirst(one);
	const JoinLeaf *b = lfirst(other);

	return a->to > b->to ? -1 : a->to < b->to;
}

List *
JoinLeavesOpen(JoinViewRun *run)
{
	const HistorySource *source = run->view->source;
	Reading		reading = {run, NULL, NULL, NIL, true};
	Relation	relation;

	if (run->ignores_nulls != NULL || !is_plain_source(source))
		return NIL;
	reading.query = SelectAnalyze(HistoryQuery(source, run->expressions), "history", NULL, 0);
	if (!is_plain_query(reading.query, source->relation))
		return NIL;
	SelectCheckRights(reading.query);
	relation = table_open(source->relation, AccessShareLock);
	reading.parent = RelationGetDescr(relation);
	collect(&reading, source->relation, DT_NOBEGIN, DT_NOEND);
	table_close(relation, NoLock);
	if (!reading.possible)
	{
		JoinLeavesClose(reading.leaves);
		return NIL;
	}
	list_sort(reading.leaves, newest_first);
	return reading.leaves;
}

void
JoinLeavesClose(List *leaves)
{
	const ListCell *cell;

	foreach(cell, leaves)
	{
		JoinLeaf   *leaf = lfirst(cell);

		ExecDropSingleTupleTableSlot(leaf->slot);
		FreeExprContext(leaf->expressions, true);
		if (leaf->scan != NULL)
			index_endscan(leaf->scan);
		if (leaf->sweep != NULL)
			index_endscan(leaf->sweep);
		if (BufferIsValid(leaf->visibility))
			ReleaseBuffer(leaf->visibility);
		if (leaf->index != NULL)
			index_close(leaf->index, NoLock);
		table_close(leaf->relation, NoLock);
	}
}

int64
JoinLeafInteger(Datum value, int bytes)
{
	return bytes == sizeof(int64) ? DatumGetInt64(value) :
		bytes == sizeof(int32) ? DatumGetInt32(value) : DatumGetInt16(value);
}

void
JoinLeafReadSlot(JoinLeaf *leaf, TimestampTz *created, int64 *arrival, bool *deleted)
{
	bool		is_null = true;
	Datum		value;

	*created = DT_NOBEGIN;
	*arrival = 0;
	*deleted = false;
	if (leaf->created_time != 0)
	{
		value = slot_getattr(leaf->slot, leaf->created_time, &is_null);
		if (!is_null)
			*created = DatumGetTimestampTz(value);
	}
	if (leaf->arrival != 0)
	{
		value = slot_getattr(leaf->slot, leaf->arrival, &is_null);
		if (!is_null)
			*arrival = JoinLeafInteger(value, leaf->arrival_bytes);
	}
	if (leaf->deleted != 0)
	{
		value = slot_getattr(leaf->slot, leaf->deleted, &is_null);
		*deleted = !is_null && DatumGetBool(value);
	}
}

void
JoinLeafReadFeatures(const JoinViewRun *run, JoinLeaf *leaf, MemoryContext context,
					 Datum *values, bool *nulls)
{
	int			i;

	for (i = 0; i < run->feature_count; i++)
	{
		const JoinLeafFeature *feature = &leaf->features[i];

		if (feature->expression != NULL)
			values[i] = ExecEvalExprSwitchContext(feature->expression, leaf->expressions,
												  &nulls[i]);
		else
			values[i] = slot_getattr(leaf->slot, feature->column, &nulls[i]);
		if (!nulls[i] && !feature->by_value)
		{
			MemoryContext old = MemoryContextSwitchTo(context);

			values[i] = datumCopy(values[i], false, feature->length);
			MemoryContextSwitchTo(old);
		}
	}
	ResetExprContext(leaf->expressions);
}
