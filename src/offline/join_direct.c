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

#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "offline/join_leaf.h"
#include "offline/join_probe.h"

bool
JoinDirectBegin(JoinViewRun *run)
{
	List	   *leaves = JoinLeavesOpen(run);
	const ListCell *cell;

	if (leaves == NIL)
		return false;
	foreach(cell, leaves)
	{
		if (((JoinLeaf *) lfirst(cell))->index == NULL)
		{
			JoinLeavesClose(leaves);
			return false;
		}
	}
	foreach(cell, leaves)
	{
		JoinLeaf   *leaf = lfirst(cell);

		leaf->step = JoinViewStep(run, RelationGetRelid(leaf->relation), "probe");
		leaf->step->index = MemoryContextStrdup(run->report_context,
												RelationGetRelationName(leaf->index));
	}
	run->state = leaves;
	return true;
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

		if (leaf->from <= run->to && leaf->to >= run->from)
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
