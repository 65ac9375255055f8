/*-------------------------------------------------------------------------
 *
 * join_merge.c
 *		Matching a spine with a table of a history by reading the table once.
 *
 * The table is read as it lies, and for each of its rows the place in the batch is found
 * at which it begins to count: the row of the spine with this key and the least time
 * that it is a candidate for.  There it stays if it is better than what is there.
 * In the end every row of the spine takes what is best of its own place and of those of lesser
 * times.  That is right whatever the order of the table.  Where the table goes by keys,
 * finding the place is one comparison; a compacted partition does.
 *
 * Rows of a key mostly lie by rising time, so that one after the other is better than the
 * one before at the same place.  The last of them is held, and its features are read
 * when the next row belongs elsewhere.
 *
 * Locks: none but the leaf's.
 * Must not know: other tables of the history.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/join_merge.h"

#include "access/heapam.h"
#include "access/tableam.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Pages of the table of which the least and greatest key are remembered. */
#define ZONE_PAGES 128

struct JoinZones
{
	BlockNumber page_count;
	struct
	{
		int64		least;		/* of the first key */
		int64		greatest;
	}			zones[FLEXIBLE_ARRAY_MEMBER];
};

typedef struct Merge
{
	const JoinViewRun *run;
	JoinLeaf   *leaf;
	JoinSearch *search;
	TableScanDesc scan;

	/* Rows of the batch that something is looked for, in its order. */
	int		   *rows;
	int		   *group_end;		/* of each of them: where rows with its key end */
	int			row_count;
	int			group;			/* of the key of the last row of the table; row_count: none */
	Datum	   *key;			/* of the row of the table in hand */

	/* The row of the table that is the best for a row of the batch, its features not yet read. */
	int			held_for;		/* -1: none */
	bool	   *has_read;		/* of each row of the batch: its values are of this table */
	TupleTableSlot *held;
} Merge;

static const Datum *
batch_key(const Merge *merge, int at)
{
	return &merge->search->batch->keys[merge->rows[at] * merge->run->key_count];
}

static void
list_rows(Merge *merge)
{
	const JoinBatch *batch = merge->search->batch;
	int			i;

	merge->rows = MemoryContextAllocHuge(batch->context, sizeof(int) * Max(batch->row_count, 1));
	merge->group_end = MemoryContextAllocHuge(batch->context,
											  sizeof(int) * Max(batch->row_count, 1));
	for (i = 0; i < batch->row_count; i++)
		if (JoinLeafWanted(merge->leaf, merge->search, i))
			merge->rows[merge->row_count++] = i;
	for (i = merge->row_count - 1; i >= 0; i--)
		merge->group_end[i] = i + 1 < merge->row_count &&
			JoinKeysEqual(merge->run, batch_key(merge, i), batch_key(merge, i + 1)) ?
			merge->group_end[i + 1] : i + 1;
	merge->group = merge->row_count;
}

/* The first row of the batch, in [low, high), whose key is not less than the one in hand. */
static int
search_keys(const Merge *merge, int low, int high)
{
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (JoinKeysCompare(merge->run, batch_key(merge, middle), merge->key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Find the rows with the key in hand, which most likely is that of the last row, or the next. */
static bool
find_group(Merge *merge)
{
	int			at = merge->group;
	int			difference = -1;
	int			step = 1;

	if (at < merge->row_count)
		difference = JoinKeysCompare(merge->run, batch_key(merge, at), merge->key);
	if (difference == 0)
		return true;
	if (difference > 0 || at == merge->row_count)
		at = search_keys(merge, 0, at);
	else
	{
		int			low = merge->group_end[at];

		/* In growing steps, since it is near. */
		while (low + step < merge->row_count &&
			   JoinKeysCompare(merge->run, batch_key(merge, low + step), merge->key) < 0)
		{
			low += step;
			step *= 2;
		}
		at = search_keys(merge, low, Min(low + step + 1, merge->row_count));
	}
	if (at == merge->row_count)
		return false;
	merge->group = at;
	return JoinKeysCompare(merge->run, batch_key(merge, at), merge->key) == 0;
}

/* The last row of the group that a row of the table is a candidate for; -1: none is. */
static int
find_place(const Merge *merge, TimestampTz event_time, TimestampTz created)
{
	const JoinSearch *search = merge->search;
	bool		cutoff = merge->run->view->created_cutoff;
	int			low = merge->group;
	int			high = merge->group_end[low];

	if (cutoff && TIMESTAMP_IS_NOBEGIN(created))
		return -1;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int			row = merge->rows[middle];

		if (search->latest[row] >= event_time && !(cutoff && search->batch->times[row] < created))
			low = middle + 1;
		else
			high = middle;
	}
	return low > merge->group ? merge->rows[low - 1] : -1;
}

static void
read_held(Merge *merge)
{
	JoinSearch *search = merge->search;
	int			row = merge->held_for;
	int			count = merge->run->feature_count;
	TupleTableSlot *slot = merge->leaf->slot;

	if (row >= 0 && !search->deleted[row])
	{
		Datum	   *values = &search->found->values[(int64) row * count];
		const bool *nulls = &search->found->nulls[(int64) row * count];

		/* What was better before: there may be as many of these as the table has rows. */
		for (int i = 0; merge->has_read[row] && i < count; i++)
			if (!nulls[i] && !merge->leaf->features[i].by_value)
				pfree(DatumGetPointer(values[i]));
		merge->has_read[row] = true;
		merge->leaf->slot = merge->leaf->expressions->ecxt_scantuple = merge->held;
		JoinLeafReadFeatures(merge->run, merge->leaf, search->batch->context,
							 &search->found->values[(int64) row * count],
							 &search->found->nulls[(int64) row * count]);
		merge->leaf->slot = merge->leaf->expressions->ecxt_scantuple = slot;
	}
	merge->held_for = -1;
}

/* A scan has one header for all its tuples: that of a slot which is held must be its own. */
static void
hold_slot(TupleTableSlot *slot)
{
	BufferHeapTupleTableSlot *held = (BufferHeapTupleTableSlot *) slot;

	if (!TTS_IS_BUFFERTUPLE(slot))
	{
		ExecMaterializeSlot(slot);
		return;
	}
	held->base.tupdata = *held->base.tuple;
	held->base.tuple = &held->base.tupdata;
}

/* The row of the table in the leaf's slot. */
static void
take_row(Merge *merge, JoinZones  *zones, BlockNumber page)
{
	const JoinViewRun *run = merge->run;
	JoinLeaf   *leaf = merge->leaf;
	JoinSearch *search = merge->search;
	TimestampTz event_time;
	TimestampTz created;
	int64		arrival;
	bool		deleted;
	bool		is_null;
	TupleTableSlot *free_slot;
	int			row;
	int			i;

	for (i = 0; i < run->key_count; i++)
	{
		merge->key[i] = slot_getattr(leaf->slot, leaf->keys[i], &is_null);
		if (is_null)
			return;
	}
	if (zones != NULL)
	{
		int64		key = JoinLeafInteger(merge->key[0], run->keys[0].history_bytes);

		if (zones->zones[page / ZONE_PAGES].least > key)
			zones->zones[page / ZONE_PAGES].least = key;
		if (zones->zones[page / ZONE_PAGES].greatest < key)
			zones->zones[page / ZONE_PAGES].greatest = key;
	}
	if (!find_group(merge))
		return;
	event_time = DatumGetTimestampTz(slot_getattr(leaf->slot, leaf->event_time, &is_null));
	if (is_null)
		return;
	JoinLeafReadSlot(leaf, &created, &arrival, &deleted);
	row = find_place(merge, event_time, created);
	if (row < 0 || !JoinSearchImproves(search, row, event_time, created, arrival))
		return;
	if (merge->held_for != row)
		read_held(merge);
	search->has[row] = true;
	search->found->event_times[row] = event_time;
	search->created[row] = created;
	search->arrival[row] = arrival;
	search->deleted[row] = deleted;

	/* This row is held from now on, and its slot with it. */
	hold_slot(leaf->slot);
	free_slot = merge->held;
	merge->held_for = row;
	merge->held = leaf->slot;
	leaf->slot = leaf->expressions->ecxt_scantuple = free_slot;
}

static void
read_pages(Merge *merge, BlockNumber first, BlockNumber count, JoinZones  *zones)
{
	table_rescan(merge->scan, NULL);
	heap_setscanlimits(merge->scan, first, count);
	while (table_scan_getnextslot(merge->scan, ForwardScanDirection, merge->leaf->slot))
	{
		CHECK_FOR_INTERRUPTS();
		merge->leaf->step->rows_read++;
		take_row(merge, zones, ItemPointerGetBlockNumber(&merge->leaf->slot->tts_tid));
	}
}

/* Every page, and remember which keys are where, if they are integers. */
static void
read_all(Merge *merge)
{
	const JoinViewRun *run = merge->run;
	JoinLeaf   *leaf = merge->leaf;
	BlockNumber pages = RelationGetNumberOfBlocks(leaf->relation);
	int			zone_count = pages / ZONE_PAGES + 1;
	JoinZones  *zones = NULL;
	int			i;

	if (run->key_count > 0 && run->keys[0].spine_bytes != 0 && run->keys[0].history_bytes != 0)
	{
		zones = MemoryContextAllocHuge(GetMemoryChunkContext(leaf),
									   offsetof(struct JoinZones, zones) +
									   sizeof(zones->zones[0]) * zone_count);
		zones->page_count = pages;
		for (i = 0; i < zone_count; i++)
		{
			zones->zones[i].least = PG_INT64_MAX;
			zones->zones[i].greatest = PG_INT64_MIN;
		}
	}
	read_pages(merge, 0, pages, zones);
	leaf->zones = zones;
}

/* Pages where there are keys of the batch; what was added to the table since is not for us. */
static void
read_zones(Merge *merge)
{
	const JoinZones *zones = merge->leaf->zones;
	int			bytes = merge->run->keys[0].spine_bytes;
	int64		least = JoinLeafInteger(batch_key(merge, 0)[0], bytes);
	int64		greatest = JoinLeafInteger(batch_key(merge, merge->row_count - 1)[0], bytes);
	BlockNumber page;

	for (page = 0; page < zones->page_count; page += ZONE_PAGES)
		if (zones->zones[page / ZONE_PAGES].least <= greatest &&
			zones->zones[page / ZONE_PAGES].greatest >= least)
			read_pages(merge, page, Min(ZONE_PAGES, zones->page_count - page), NULL);
}

/* Each row of the spine takes the best of what is there for it and for lesser times. */
static void
fill(Merge *merge)
{
	JoinSearch *search = merge->search;
	int			count = merge->run->feature_count;
	int			best = -1;
	int			i;

	for (i = merge->row_count - 1; i >= 0; i--)
	{
		int			row = merge->rows[i];

		if (merge->group_end[i] == i + 1)
			best = -1;			/* another key */
		if (best >= 0 &&
			JoinSearchImproves(search, row, search->found->event_times[best],
							   search->created[best], search->arrival[best]))
		{
			search->has[row] = true;
			search->found->event_times[row] = search->found->event_times[best];
			search->created[row] = search->created[best];
			search->arrival[row] = search->arrival[best];
			search->deleted[row] = search->deleted[best];
			memcpy(&search->found->values[(int64) row * count],
				   &search->found->values[(int64) best * count], sizeof(Datum) * count);
			memcpy(&search->found->nulls[(int64) row * count],
				   &search->found->nulls[(int64) best * count], sizeof(bool) * count);
		}
		if (search->has[row])
			best = row;
	}
}

void
JoinMerge(const JoinViewRun *run, JoinLeaf *leaf, JoinSearch *search)
{
	Merge		merge = {run, leaf, search};
	TupleTableSlot *slot = leaf->slot;
	TupleTableSlot *other;

	list_rows(&merge);
	if (merge.row_count == 0)
		return;
	merge.key = MemoryContextAlloc(search->batch->context, sizeof(Datum) * Max(run->key_count, 1));
	merge.held_for = -1;
	merge.has_read = MemoryContextAllocZero(search->batch->context, search->batch->row_count);
	merge.held = other = table_slot_create(leaf->relation, NULL);
	merge.scan = table_beginscan_strat(leaf->relation, GetActiveSnapshot(), 0, NULL, true, false);
	if (leaf->zones == NULL)
		read_all(&merge);
	else
		read_zones(&merge);
	read_held(&merge);
	table_endscan(merge.scan);
	leaf->slot = leaf->expressions->ecxt_scantuple = slot;
	ExecClearTuple(slot);
	ExecDropSingleTupleTableSlot(other);
	fill(&merge);
}
