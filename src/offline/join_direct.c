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

typedef struct Direct
{
	List	   *leaves;			/* of JoinLeaf, the newest first */
	int			row_space;		/* rows that the search has room for */
	JoinSearch	search;
} Direct;

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

/*
 * What an index costs that so many rows of the spine are looked up in, with or without
 * workers; and how it is gone through.
 */
static double
probe_cost(const JoinViewRun *run, JoinLeaf *leaf, double rows, double keys, double wanted,
		   double processes)
{
	double		pages = RelationGetNumberOfBlocks(leaf->relation);
	double		index_pages = RelationGetNumberOfBlocks(leaf->index);
	double		entered = Max(Min(keys, wanted), 1);	/* keys of the spine */
	double		gap = rows / keys / (wanted / entered + 1);
	double		descents = gap > JOIN_PROBE_STEPS ? wanted : entered;
	double		entries = wanted * Min(gap, JOIN_PROBE_STEPS);
	double		fetches = wanted;
	double		descent_cost = (ceil(log(Max(rows, 2)) / log(2.0)) + DESCENT_OPERATORS) *
	cpu_operator_cost;
	double		entry_cost = cpu_index_tuple_cost + cpu_operator_cost;
	double		cost;

	if (run->least_time == run->greatest_time)
		descents = fetches = entries = entered;
	if (leaf->covering)
		fetches *= 1 - Min(leaf->relation->rd_rel->relallvisible / Max(pages, 1), 1);
	entries = Min(entries, rows);
	cost = descents * descent_cost + entries * entry_cost;
	leaf->sweeps = leaf->keys_ordered && leaf->ties_ordered && rows * entry_cost < cost;
	if (leaf->sweeps)
	{
		descents = 0;
		entries = rows;
		cost = entries * entry_cost;
	}
	cost += fetches * cpu_tuple_cost;
	cost /= processes;
	cost += page_cost(leaf->index->rd_rel->reltablespace,
					  pages_fetched(descents + entries * index_pages / Max(rows, 1), index_pages),
					  index_pages);
	cost += page_cost(leaf->relation->rd_rel->reltablespace, pages_fetched(fetches, pages), pages);
	return cost;
}

static double
merge_cost(const JoinLeaf *leaf, double rows, bool is_ordered, double wanted, double batches)
{
	double		random_cost;
	double		sequential_cost;
	double		passes = is_ordered ? Min(batches, 2) : batches;

	get_tablespace_page_costs(leaf->relation->rd_rel->reltablespace, &random_cost,
							  &sequential_cost);
	return passes * (RelationGetNumberOfBlocks(leaf->relation) * sequential_cost +
					 rows * (cpu_tuple_cost +
							 cpu_operator_cost * (is_ordered ? 2 : log(wanted + 2))));
}

/* Which part of the times that are wanted is in a table? */
static double
share_of_times(const JoinViewRun *run, const JoinLeaf *leaf)
{
	double		from = Max(leaf->from, run->least_time);
	double		to = Min(leaf->to, run->greatest_time);

	if (run->least_time == run->greatest_time)
		return leaf->from <= run->to && leaf->to > run->to ? 1 : 0;
	return Max(to - from, 0) / ((double) run->greatest_time - run->least_time);
}

static bool
is_wanted(const JoinViewRun *run, const JoinLeaf *leaf)
{
	return !leaf->is_empty && leaf->from <= run->to &&
		(leaf->to > run->from || TIMESTAMP_IS_NOEND(leaf->to));
}

/*
 * Find out what a leaf costs.  waiting is how many rows of the spine come from newer leaves
 * without having found anything, and how many go on.
 */
static void
estimate(JoinViewRun *run, JoinLeaf *leaf, double merge_batches, double processes, double *waiting)
{
	double		rows;
	double		keys;
	double		wanted = *waiting + run->spine_rows * share_of_times(run, leaf);
	bool		is_ordered;
	BlockNumber pages;
	double		all_visible;

	leaf->step = JoinViewStep(run, RelationGetRelid(leaf->relation), "pruned");
	leaf->is_empty = RelationGetNumberOfBlocks(leaf->relation) == 0;
	if (!is_wanted(run, leaf))
		return;

	/* The planner's way to know how large a table is now. */
	table_relation_estimate_size(leaf->relation, NULL, &pages, &rows, &all_visible);
	rows = Max(rows, 1);
	keys = Min(key_count(run, leaf, rows, &is_ordered), rows);
	wanted = Max(Min(wanted, run->spine_rows), 1);
	leaf->step->merge_cost = merge_cost(leaf, rows, is_ordered, wanted, merge_batches);
	if (leaf->index != NULL)
	{
		leaf->step->probe_cost = probe_cost(run, leaf, rows, keys, wanted, processes);
		leaf->alone_cost = probe_cost(run, leaf, rows, keys, wanted, 1);
	}
	*waiting = wanted * exp(-rows / keys);
}

/* How many processes will do the work of one, by the planner's reckoning? */
static double
process_count(const JoinViewRun *run)
{
	return run->workers + Max(1 - 0.3 * run->workers, 0);
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

/*
 * Choose for each leaf; where one of them is merged, there are no workers for the others.
 * False where a query costs less.
 */
static bool
choose(JoinViewRun *run, List *leaves, double merge_batches)
{
	bool		must_probe = run->plan == JOIN_PLAN_PROBE;
	bool		must_merge = run->plan == JOIN_PLAN_MERGE;
	double		processes = process_count(run);
	double		waiting = 0;
	double		probed = 0;		/* what all of them cost so */
	double		mixed = 0;		/* each as costs least, without workers */
	double		excess = 0;		/* of merging what has no index, over sorting it */
	bool		lacks_index = false;
	const ListCell *cell;

	foreach(cell, leaves)
	{
		JoinLeaf   *leaf = lfirst(cell);
		const JoinStep *step;

		estimate(run, leaf, merge_batches, processes, &waiting);
		if (!is_wanted(run, leaf))
			continue;
		step = leaf->step;
		if (leaf->index == NULL)
		{
			lacks_index = true;
			mixed += step->merge_cost;
			excess += step->merge_cost - sorted_cost(leaf);
			continue;
		}
		probed += step->probe_cost;
		mixed += Min(step->merge_cost, leaf->alone_cost);
	}
	if (lacks_index && excess > 0 && run->plan == JOIN_PLAN_AUTO)
		return false;

	must_probe = must_probe || (!lacks_index && probed <= mixed);
	foreach(cell, leaves)
	{
		JoinLeaf   *leaf = lfirst(cell);

		leaf->merges = leaf->index == NULL || must_merge ||
			(!must_probe && leaf->step->merge_cost < leaf->alone_cost);
		if (!is_wanted(run, leaf))
			continue;
		if (run->least_time == run->greatest_time &&
			(run->plan == JOIN_PLAN_AUTO || run->plan == JOIN_PLAN_INSTANT))
			leaf->step->plan = "instant";
		else
			leaf->step->plan = leaf->merges ? "merge" : "probe";
		if (!leaf->merges)
			leaf->step->index = MemoryContextStrdup(run->report_context,
													RelationGetRelationName(leaf->index));
	}
	return true;
}

bool
JoinDirectBegin(JoinViewRun *run, double merge_batches)
{
	List	   *leaves = JoinLeavesOpen(run);
	Direct	   *direct;

	if (leaves == NIL)
		return false;
	if (!choose(run, leaves, merge_batches))
	{
		JoinLeavesClose(leaves);
		run->steps = NIL;
		return false;
	}
	run->state = direct = palloc0(sizeof(Direct));
	direct->leaves = leaves;
	return true;
}

bool
JoinDirectMerges(const JoinViewRun *run)
{
	const Direct *direct = run->state;
	const ListCell *cell;

	foreach(cell, direct->leaves)
	{
		const JoinLeaf *leaf = lfirst(cell);

		if (leaf->merges && is_wanted(run, leaf))
			return true;
	}
	return false;
}

List *
JoinDirectFeatureTypes(const JoinViewRun *run)
{
	const JoinLeaf *leaf = linitial(((Direct *) run->state)->leaves);
	List	   *types = NIL;
	int			i;

	for (i = 0; i < run->feature_count; i++)
		types = lappend_oid(types, leaf->features[i].type);
	return types;
}

/* It is kept from batch to batch: to ask the system for memory each time takes longer. */
static void
make_room(Direct *direct, int rows)
{
	MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(direct));
	JoinSearch *search = &direct->search;

	if (search->open != NULL)
	{
		pfree(search->open);
		pfree(search->latest);
		pfree(search->earliest);
		pfree(search->has);
		pfree(search->deleted);
		pfree(search->created);
		pfree(search->arrival);
	}
	search->open = palloc_extended(sizeof(bool) * rows, MCXT_ALLOC_HUGE);
	search->latest = palloc_extended(sizeof(TimestampTz) * rows, MCXT_ALLOC_HUGE);
	search->earliest = palloc_extended(sizeof(TimestampTz) * rows, MCXT_ALLOC_HUGE);
	search->has = palloc_extended(sizeof(bool) * rows, MCXT_ALLOC_HUGE);
	search->deleted = palloc_extended(sizeof(bool) * rows, MCXT_ALLOC_HUGE);
	search->created = palloc_extended(sizeof(TimestampTz) * rows, MCXT_ALLOC_HUGE);
	search->arrival = palloc_extended(sizeof(int64) * rows, MCXT_ALLOC_HUGE);
	direct->row_space = rows;
	MemoryContextSwitchTo(old);
}

void
JoinDirectMatch(JoinViewRun *run, const JoinBatch *batch, JoinFound *found)
{
	Direct	   *direct = run->state;
	JoinSearch	search;
	const ListCell *cell;
	int			rows = batch->row_count;
	int			row;

	if (direct->row_space < rows)
		make_room(direct, rows);
	search = direct->search;
	search.batch = batch;
	search.found = found;
	memset(search.has, false, rows);
	for (row = 0; row < rows; row++)
	{
		search.open[row] = !JoinViewSettled(run, batch, row, found) &&
			JoinViewLatest(run->view, batch->times[row], &search.latest[row]);
		if (search.open[row])
			search.earliest[row] = JoinViewEarliest(run->view, batch->times[row]);
	}
	foreach(cell, direct->leaves)
	{
		JoinLeaf   *leaf = lfirst(cell);

		if (!is_wanted(run, leaf))
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
	JoinLeavesClose(((Direct *) run->state)->leaves);
}
