/*-------------------------------------------------------------------------
 *
 * join_direct.c
 *		Matching a spine with the tables of a history, each in the way that costs least.
 *
 * Tables are looked through from the newest to the oldest.  What was found in one is final for
 * those older: only rows of the spine that have found nothing go on.
 *
 * Locks: none but the leaves'.
 * Must not know: how a table is looked through.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/join_direct.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/tableam.h"
#include "catalog/pg_statistic.h"
#include "optimizer/optimizer.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/spccache.h"
#include "utils/syscache.h"

#include "offline/join_leaf.h"
#include "offline/join_merge.h"
#include "offline/join_probe.h"

/* Correlation of its leading key from which on a table counts as being in the order of keys. */
#define ORDERED_CORRELATION 0.9

/* What entering an index costs beside comparing keys, as the planner has it: 50 for a page. */
#define DESCENT_OPERATORS	150

/* Pages fetched at random out of `pages` by so many fetches, as Mackert and Lohman have it. */
static double
pages_fetched(double fetches, double pages)
{
	if (pages < 1)
		return 0;
	return Min(2 * pages * fetches / (2 * pages + fetches), pages);
}

/* What reading them costs: the more of a table is read, the more it is read in order. */
static double
page_cost(Oid tablespace, double fetched, double pages)
{
	double		random_cost;
	double		sequential_cost;

	if (pages < 1)
		return 0;
	get_tablespace_page_costs(tablespace, &random_cost, &sequential_cost);
	return fetched * (random_cost - (random_cost - sequential_cost) * sqrt(fetched / pages));
}

/* How many keys has a table, by its statistics?  And is it in their order? */
static double
key_count(const JoinViewRun *run, const JoinLeaf *leaf, double rows, bool *is_ordered)
{
	HeapTuple	tuple;
	AttStatsSlot correlation;
	double		distinct = rows / 10;

	*is_ordered = false;
	if (run->key_count == 0)
		return 1;
	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(RelationGetRelid(leaf->relation)),
							Int16GetDatum(leaf->keys[0]), BoolGetDatum(false));
	if (!HeapTupleIsValid(tuple))
		return Max(distinct, 1);
	if (run->key_count == 1)
	{
		distinct = ((Form_pg_statistic) GETSTRUCT(tuple))->stadistinct;
		if (distinct < 0)
			distinct *= -rows;
	}
	if (get_attstatsslot(&correlation, tuple, STATISTIC_KIND_CORRELATION, InvalidOid,
						 ATTSTATSSLOT_NUMBERS))
	{
		*is_ordered = correlation.nnumbers == 1 && correlation.numbers[0] > ORDERED_CORRELATION;
		free_attstatsslot(&correlation);
	}
	ReleaseSysCache(tuple);
	return Max(distinct, 1);
}

static double
probe_cost(const JoinViewRun *run, const JoinLeaf *leaf, double rows, double keys)
{
	double		pages = RelationGetNumberOfBlocks(leaf->relation);
	double		index_pages = RelationGetNumberOfBlocks(leaf->index);
	double		entered = Min(keys, run->spine_rows);	/* keys of the spine */
	double		gap = rows / keys / (run->spine_rows / entered + 1);
	double		descents = gap > JOIN_PROBE_STEPS ? run->spine_rows : entered;
	double		entries = run->spine_rows * Min(gap, JOIN_PROBE_STEPS);
	double		fetches = run->spine_rows;
	double		cost;

	if (run->least_time == run->greatest_time)
	{
		descents = fetches = entered;
		entries = entered;
	}
	if (leaf->covering)
		fetches *= 1 - Min(leaf->relation->rd_rel->relallvisible / Max(pages, 1), 1);
	entries = Min(entries, rows);
	cost = descents * (ceil(log(Max(rows, 2)) / log(2.0)) * cpu_operator_cost +
					   DESCENT_OPERATORS * cpu_operator_cost);
	cost += entries * (cpu_index_tuple_cost + cpu_operator_cost);
	cost += page_cost(leaf->index->rd_rel->reltablespace,
					  pages_fetched(descents + entries * index_pages / Max(rows, 1), index_pages),
					  index_pages);
	cost += fetches * cpu_tuple_cost;
	cost += page_cost(leaf->relation->rd_rel->reltablespace, pages_fetched(fetches, pages), pages);
	return cost;
}

static double
merge_cost(const JoinViewRun *run, const JoinLeaf *leaf, double rows, bool is_ordered,
		   double batches)
{
	double		random_cost;
	double		sequential_cost;
	double		passes = is_ordered ? Min(batches, 2) : batches;

	get_tablespace_page_costs(leaf->relation->rd_rel->reltablespace, &random_cost,
							  &sequential_cost);
	return passes * (RelationGetNumberOfBlocks(leaf->relation) * sequential_cost +
					 rows * (cpu_tuple_cost +
							 cpu_operator_cost * (is_ordered ? 2 : log(run->spine_rows + 2))));
}

static void
choose(JoinViewRun *run, JoinLeaf *leaf, double merge_batches)
{
	JoinStep   *step;
	double		rows;
	double		keys;
	bool		is_ordered;
	BlockNumber pages;
	double		tuples;
	double		all_visible;

	/* The planner's way to know how large a table is now. */
	table_relation_estimate_size(leaf->relation, NULL, &pages, &tuples, &all_visible);
	rows = Max(tuples, 1);
	keys = Min(key_count(run, leaf, rows, &is_ordered), rows);
	leaf->merges = leaf->index == NULL || run->plan == JOIN_PLAN_MERGE;
	step = JoinViewStep(run, RelationGetRelid(leaf->relation), "probe");
	step->merge_cost = merge_cost(run, leaf, rows, is_ordered, merge_batches);
	if (leaf->index != NULL)
	{
		step->probe_cost = probe_cost(run, leaf, rows, keys);
		if (run->plan == JOIN_PLAN_AUTO || run->plan == JOIN_PLAN_INSTANT)
			leaf->merges = step->merge_cost < step->probe_cost;
	}
	if (leaf->from > run->to || leaf->to <= run->from)
		step->plan = "pruned";
	else if (run->least_time == run->greatest_time && run->plan != JOIN_PLAN_PROBE &&
			 run->plan != JOIN_PLAN_MERGE)
		step->plan = "instant";
	else if (leaf->merges)
		step->plan = "merge";
	if (!leaf->merges)
		step->index = MemoryContextStrdup(run->report_context,
										  RelationGetRelationName(leaf->index));
	leaf->step = step;
}

/* What a query costs that reads all of a table and sorts it. */
static double
sorted_cost(const JoinLeaf *leaf)
{
	double		random_cost;
	double		sequential_cost;
	BlockNumber pages;
	double		rows;
	double		all_visible;

	table_relation_estimate_size(leaf->relation, NULL, &pages, &rows, &all_visible);
	get_tablespace_page_costs(leaf->relation->rd_rel->reltablespace, &random_cost,
							  &sequential_cost);
	return 3 * pages * sequential_cost +
		rows * (cpu_tuple_cost + 2 * cpu_operator_cost * log(rows + 2) / log(2.0));
}

bool
JoinDirectBegin(JoinViewRun *run, double merge_batches)
{
	List	   *leaves = JoinLeavesOpen(run);
	double		excess = 0;
	bool		lacks_index = false;
	const ListCell *cell;

	if (leaves == NIL)
		return false;
	foreach(cell, leaves)
	{
		JoinLeaf   *leaf = lfirst(cell);

		choose(run, leaf, merge_batches);
		if (leaf->index == NULL)
		{
			excess += leaf->step->merge_cost - sorted_cost(leaf);
			lacks_index = true;
		}
	}
	if (lacks_index && excess > 0 && run->plan == JOIN_PLAN_AUTO)
	{
		JoinLeavesClose(leaves);
		run->steps = NIL;
		return false;
	}
	run->state = leaves;
	return true;
}

bool
JoinDirectMerges(const JoinViewRun *run)
{
	const ListCell *cell;

	foreach(cell, run->state)
	{
		const JoinLeaf *leaf = lfirst(cell);

		if (leaf->merges && leaf->from <= run->to && leaf->to > run->from)
			return true;
	}
	return false;
}

List *
JoinDirectFeatureTypes(const JoinViewRun *run)
{
	const JoinLeaf *leaf = linitial((List *) run->state);
	List	   *types = NIL;
	int			i;

	for (i = 0; i < run->feature_count; i++)
		types = lappend_oid(types, leaf->features[i].type);
	return types;
}

void
JoinDirectMatch(JoinViewRun *run, const JoinBatch *batch, JoinFound *found)
{
	JoinSearch	search = {batch, found};
	const ListCell *cell;
	int			rows = batch->row_count;
	int			row;

	search.open = MemoryContextAlloc(batch->context, sizeof(bool) * rows);
	search.latest = MemoryContextAlloc(batch->context, sizeof(TimestampTz) * rows);
	search.has = MemoryContextAllocZero(batch->context, sizeof(bool) * rows);
	search.deleted = MemoryContextAlloc(batch->context, sizeof(bool) * rows);
	search.created = MemoryContextAlloc(batch->context, sizeof(TimestampTz) * rows);
	search.arrival = MemoryContextAlloc(batch->context, sizeof(int64) * rows);
	for (row = 0; row < rows; row++)
		search.open[row] = !JoinViewSettled(run, batch, row, found) &&
			JoinViewLatest(run->view, batch->times[row], &search.latest[row]);
	foreach(cell, run->state)
	{
		JoinLeaf   *leaf = lfirst(cell);

		if (leaf->from > run->to || leaf->to <= run->from)
			continue;
		if (leaf->merges)
			JoinMerge(run, leaf, &search);
		else
			JoinProbe(run, leaf, &search);
	}
	for (row = 0; row < rows; row++)
		if (search.has[row])
			found->status[row] = JoinViewStatus(run, batch->times[row], found->event_times[row],
												search.deleted[row]);
}

void
JoinDirectEnd(JoinViewRun *run)
{
	JoinLeavesClose(run->state);
}
