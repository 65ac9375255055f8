/*-------------------------------------------------------------------------
 *
 * join_probe.c
 *		Matching a spine with a table of a history by its index.
 *
 * The rows of the batch come by keys and falling time.  For a key the index is
 * entered at the last time that may be wanted, and then followed backwards in time with the
 * rows of the spine, since every row wants what is at the place reached or older.
 * Where the next one wanted is far it is entered again, which costs about as much as
 * passing by JOIN_PROBE_STEPS entries.  The scan holds a copy of all entries of a page, in
 * which the next one wanted is searched rather than gone to step by step.
 *
 * Where most keys of the table are asked for, entering is what costs most, and the index
 * is rather swept: followed from one key to the next.  A sweep is left for the key at
 * hand when it leads too far, and begun again with the next.
 *
 * Entries tell the event time, so that rows are only fetched which are candidates; and
 * not even those, where the index has all that is wanted and the map of visibility says
 * that everybody sees them.
 *
 * What takes longest about a row that is fetched is waiting for memory, or the disk.  Where the
 * first entry that will do is that of the row that is found, unless it is dead, a few rows are
 * announced before the first of them is fetched.
 *
 * Locks: none but the leaf's; a page of the index and some of the table are pinned
 * within a call.
 * Must not know: other tables of the history.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/join_probe.h"

#include "access/genam.h"
#include "access/nbtree.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "access/visibilitymap.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/predicate.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/spccache.h"
#include "utils/timestamp.h"

#include "common/compat.h"

/* Rows of the table that are announced before they are fetched, and how much of each. */
#define FETCHES_AHEAD 16
#define FETCH_BYTES 192
#define CACHE_LINE_BYTES 64

typedef struct Fetch
{
	int			row;			/* of the batch, that it is for */
	TimestampTz event_time;
	ItemPointerData place;
	Buffer		buffer;			/* that has had the page a moment ago, or none */
} Fetch;

typedef struct Probe
{
	const JoinViewRun *run;
	JoinLeaf   *leaf;
	JoinSearch *search;
	ScanKeyData scan_keys[INDEX_MAX_KEYS];
	int			scan_key_count;
	ScanKeyData sweep_key;
	IndexScanDesc scan;			/* the leaf's scan or sweep, or NULL: not begun */
	const Datum *key;			/* that it is at; NULL: none */
	int			group_start;	/* rows of the batch with the key of the last descent */
	int			group_end;
	TimestampTz group_earliest; /* of them */

	/* The entry of the index in hand, and the row that it is of. */
	bool		at_end;			/* of the scan */
	Datum		entry_keys[INDEX_MAX_KEYS];	/* in a sweep */
	bool		on_entry;		/* it is of the key */
	TimestampTz entry_time;
	ItemPointerData entry_place;
	bool		read;			/* the row is, and is there for us */
	bool		in_slot;		/* it had to be fetched; else, of the entry: */
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];
	TimestampTz created;
	int64		arrival;
	bool		deleted;

	/* Rows that are announced, a ring, if that is done. */
	bool		announces;
	Fetch		fetches[FETCHES_AHEAD];
	int			next_fetch;
	int			fetch_count;
	BlockNumber announced_page; /* the last, and where it is */
	Buffer		announced_buffer;
	ItemPointerData slot_place; /* of the row in the leaf's slot; invalid: not known */
} Probe;

static void
prepare_scan(Probe *probe)
{
	const JoinViewRun *run = probe->run;
	JoinLeaf   *leaf = probe->leaf;
	Oid			family = leaf->index->rd_opfamily[leaf->index_event_time - 1];
	Oid			time_type = leaf->index->rd_opcintype[leaf->index_event_time - 1];
	int			i;

	for (i = 0; i < run->key_count; i++)
	{
		const JoinKey *key = &run->keys[i];
		AttrNumber	at = leaf->index_keys[i];
		Oid			operator = get_opfamily_member(key->opfamily, key->history_type,
												   key->spine_type, BTEqualStrategyNumber);

		if (!OidIsValid(operator))
			elog(ERROR, "missing operator of operator family %u", key->opfamily);
		ScanKeyEntryInitialize(&probe->scan_keys[at - 1], 0, at, BTEqualStrategyNumber,
							   key->spine_type, key->collation, get_opcode(operator), (Datum) 0);
	}
	ScanKeyEntryInitialize(&probe->scan_keys[i], 0, leaf->index_event_time,
						   BTLessEqualStrategyNumber, time_type, InvalidOid,
						   get_opcode(get_opfamily_member(family, time_type, time_type,
														  BTLessEqualStrategyNumber)), (Datum) 0);
	probe->scan_key_count = i + 1;
	if (!TIMESTAMP_IS_NOBEGIN(run->from))
		ScanKeyEntryInitialize(&probe->scan_keys[probe->scan_key_count++], 0,
							   leaf->index_event_time, BTGreaterEqualStrategyNumber, time_type,
							   InvalidOid,
							   get_opcode(get_opfamily_member(family, time_type, time_type,
															  BTGreaterEqualStrategyNumber)),
							   (Datum) 0);
	if (leaf->scan == NULL)
	{
		leaf->scan = index_beginscan(leaf->relation, leaf->index, GetActiveSnapshot(), NULL,
									 probe->scan_key_count, 0);
		leaf->scan->xs_want_itup = true;
	}
	if (!leaf->sweeps)
		return;
	ScanKeyEntryInitialize(&probe->sweep_key, 0, 1, BTGreaterEqualStrategyNumber,
						   run->keys[0].spine_type, run->keys[0].collation,
						   get_opcode(get_opfamily_member(run->keys[0].opfamily,
														  run->keys[0].history_type,
														  run->keys[0].spine_type,
														  BTGreaterEqualStrategyNumber)),
						   (Datum) 0);
	if (leaf->sweep == NULL)
	{
		leaf->sweep = index_beginscan(leaf->relation, leaf->index, GetActiveSnapshot(), NULL,
									  1, 0);
		leaf->sweep->xs_want_itup = true;
	}
}

/* The keys of an entry of a sweep; the first is not NULL, and stands first. */
static void
read_keys(const Probe *probe, IndexTuple entry, Datum *keys)
{
	TupleDesc	columns = probe->scan->xs_itupdesc;
	bool		is_null;
	int			i;

	keys[0] = fetchatt(TupleDescAttr(columns, 0),
					   (char *) entry + IndexInfoFindDataOffset(entry->t_info));
	for (i = 1; i < probe->run->key_count; i++)
		keys[i] = index_getattr(entry, i + 1, columns, &is_null);
}

/* Of an entry that has one. */
static TimestampTz
read_time(const Probe *probe, IndexTuple entry)
{
	TimestampTz time;
	bool		is_null;

	if (probe->leaf->index_time_offset < 0)
		return DatumGetTimestampTz(index_getattr(entry, probe->leaf->index_event_time,
												 probe->scan->xs_itupdesc, &is_null));
	memcpy(&time, (char *) entry + IndexInfoFindDataOffset(entry->t_info) +
		   probe->leaf->index_time_offset, sizeof(TimestampTz));
	return time;
}

/* NULL is last, or first, among keys and times of the sweep; such an entry is nobody's. */
static bool
has_null(const Probe *probe, IndexTuple entry)
{
	int			i;

	for (i = 1; IndexTupleHasNulls(entry) && i < probe->leaf->index_event_time; i++)
		if (att_isnull(i, (bits8 *) entry + sizeof(IndexTupleData)))
			return true;
	return false;
}

static void
next_entry(Probe *probe)
{
	IndexScanDesc scan = probe->scan;
	bool		is_sweep = scan == probe->leaf->sweep;

	probe->read = false;
	do
	{
		probe->at_end = index_getnext_tid(scan, probe->leaf->newest_first) == NULL;
		probe->on_entry = !probe->at_end;
		if (probe->at_end)
			return;
		probe->leaf->step->entries_read++;
	} while (is_sweep && has_null(probe, scan->xs_itup));
	probe->entry_time = read_time(probe, scan->xs_itup);
	probe->entry_place = scan->xs_heaptid;
	if (is_sweep)
	{
		read_keys(probe, scan->xs_itup, probe->entry_keys);
		probe->on_entry = JoinKeysCompare(probe->run, probe->key, probe->entry_keys) == 0;
	}
}

/*
 * How far back may rows of the batch look that have this row's key?  The index reads all of
 * a page that is asked for at once, however little of it is wanted.
 */
static TimestampTz
group_earliest(Probe *probe, int row)
{
	const JoinSearch *search = probe->search;
	const JoinBatch *batch = search->batch;
	int			keys = batch->key_count;
	int			i;

	if (!probe->leaf->ties_ordered)
		return search->earliest[row];	/* the next row enters it again */
	if (row >= probe->group_start && row < probe->group_end)
		return probe->group_earliest;
	for (i = row; i < batch->row_count && batch->matchable[i] &&
		 JoinKeysEqual(probe->run, &batch->keys[row * keys], &batch->keys[i * keys]); i++)
		if (search->open[i])
			probe->group_earliest = search->earliest[i];
	probe->group_start = row;
	probe->group_end = i;
	return probe->group_earliest;
}

/* Enter the index at the newest that a row of the batch may have. */
static void
descend(Probe *probe, int row)
{
	const JoinViewRun *run = probe->run;
	int			i;

	for (i = 0; i < run->key_count; i++)
		probe->scan_keys[probe->leaf->index_keys[i] - 1].sk_argument =
			probe->search->batch->keys[row * run->key_count + i];
	probe->scan_keys[i].sk_argument = TimestampTzGetDatum(probe->search->latest[row]);
	if (probe->scan_key_count > i + 1)
		probe->scan_keys[i + 1].sk_argument = TimestampTzGetDatum(group_earliest(probe, row));
	probe->scan = probe->leaf->scan;
	index_rescan(probe->scan, probe->scan_keys, probe->scan_key_count, NULL, 0);
	probe->leaf->step->descents++;
	next_entry(probe);
}

/* Does an entry of the scan's page come before all that a row of the batch may want? */
static bool
precedes(const Probe *probe, int row, int item)
{
	BTScanOpaque position = probe->scan->opaque;
	IndexTuple	entry = (IndexTuple) (position->currTuples +
									  position->currPos.items[item].tupleOffset);
	Datum		keys[INDEX_MAX_KEYS];
	int			difference;

	if (probe->scan == probe->leaf->sweep)
	{
		if (has_null(probe, entry))
			return false;		/* it is stepped over */
		read_keys(probe, entry, keys);
		difference = JoinKeysCompare(probe->run, probe->key, keys);
		if (difference != 0)
			return difference > 0;
	}
	return read_time(probe, entry) > probe->search->latest[row];
}

/*
 * From an entry that comes before all that a row of the batch may want go on to the last of
 * the page that does, and then one further.  steps are those to the ends of pages that have
 * been made for the row; false: that is more than entering the index takes.
 */
static bool
step_on(Probe *probe, int row, int *steps)
{
	BTScanPos	position = &((BTScanOpaque) probe->scan->opaque)->currPos;
	int			from = position->itemIndex;
	int			low = from;
	int			high;
	int			step = 1;

	/* What is to be marked as dead is the entry that the scan is at. */
	if (probe->leaf->newest_first != ForwardScanDirection || probe->scan->kill_prior_tuple)
	{
		next_entry(probe);
		return (*steps)++ < JOIN_PROBE_STEPS;
	}
	while (low + step <= position->lastItem && precedes(probe, row, low + step))
	{
		low += step;
		step *= 2;
	}
	high = Min(low + step, position->lastItem + 1);
	while (low + 1 < high)
	{
		int			middle = low + (high - low) / 2;

		if (precedes(probe, row, middle))
			low = middle;
		else
			high = middle;
	}
	if (low == position->lastItem)
	{
		*steps += low - from + 1;
		if (*steps > JOIN_PROBE_STEPS)
			return false;
	}
	position->itemIndex = low;
	next_entry(probe);
	return true;
}

/* Follow the index to the first entry of the key of a row of the batch. */
static void
sweep(Probe *probe, int row)
{
	int			steps = 0;

	if (probe->scan != probe->leaf->sweep)
	{
		probe->scan = probe->leaf->sweep;
		probe->sweep_key.sk_argument = probe->key[0];
		index_rescan(probe->scan, &probe->sweep_key, 1, NULL, 0);
		probe->leaf->step->descents++;
		next_entry(probe);
	}
	else if (!probe->at_end)
		probe->on_entry = JoinKeysCompare(probe->run, probe->key, probe->entry_keys) == 0;
	while (!probe->at_end && !probe->on_entry &&
		   JoinKeysCompare(probe->run, probe->key, probe->entry_keys) > 0)
	{
		if (!step_on(probe, row, &steps))
		{
			descend(probe, row);
			return;
		}
	}
}

static bool
has_value(const Probe *probe, AttrNumber column)
{
	return column != 0 && !probe->nulls[column - 1];
}

/* Read the row of the entry in hand; false: it is not there for us. */
static bool
read_row(Probe *probe)
{
	JoinLeaf   *leaf = probe->leaf;
	IndexScanDesc scan = probe->scan;

	if (probe->read)
		return true;
	probe->in_slot = !leaf->covering ||
		!VM_ALL_VISIBLE(leaf->relation, ItemPointerGetBlockNumber(&scan->xs_heaptid),
						&leaf->visibility);
	if (probe->in_slot)
	{
		if (!index_fetch_heap(scan, leaf->slot))
			return false;
		leaf->step->rows_read++;
		JoinLeafReadSlot(leaf, &probe->created, &probe->arrival, &probe->deleted);
	}
	else
	{
		/* As an index-only scan has it, where nothing else tells who depends on the row. */
		PredicateLockPage(leaf->relation, ItemPointerGetBlockNumber(&scan->xs_heaptid),
						  scan->xs_snapshot);
		index_deform_tuple(scan->xs_itup, scan->xs_itupdesc, probe->values, probe->nulls);
		probe->created = has_value(probe, leaf->index_created_time) ?
			DatumGetTimestampTz(probe->values[leaf->index_created_time - 1]) : DT_NOBEGIN;
		probe->arrival = has_value(probe, leaf->index_arrival) ?
			JoinLeafInteger(probe->values[leaf->index_arrival - 1], leaf->arrival_bytes) : 0;
		probe->deleted = has_value(probe, leaf->index_deleted) &&
			DatumGetBool(probe->values[leaf->index_deleted - 1]);
	}
	probe->read = true;
	return true;
}

/* Take the row that was read as what was found, if it is better. */
static void
take_row(Probe *probe, int row, TimestampTz event_time)
{
	const JoinViewRun *run = probe->run;
	JoinLeaf   *leaf = probe->leaf;
	JoinSearch *search = probe->search;
	Datum	   *values = &search->found->values[(int64) row * run->feature_count];
	bool	   *nulls = &search->found->nulls[(int64) row * run->feature_count];
	int			i;

	if (!JoinSearchImproves(search, row, event_time, probe->created, probe->arrival))
		return;
	search->has[row] = true;
	search->found->event_times[row] = event_time;
	search->created[row] = probe->created;
	search->arrival[row] = probe->arrival;
	search->deleted[row] = probe->deleted;
	if (probe->deleted)
		return;
	if (probe->in_slot)
	{
		JoinLeafReadFeatures(run, leaf, search->batch->context, values, nulls);
		return;
	}
	for (i = 0; i < run->feature_count; i++)
	{
		const JoinLeafFeature *feature = &leaf->features[i];

		values[i] = probe->values[feature->index_column - 1];
		nulls[i] = probe->nulls[feature->index_column - 1];
		if (!nulls[i] && !feature->by_value)
		{
			MemoryContext old = MemoryContextSwitchTo(search->batch->context);

			values[i] = datumCopy(values[i], false, feature->length);
			MemoryContextSwitchTo(old);
		}
	}
}

/* Is the row in hand, whose event time will do, there for a row of the batch? */
static bool
is_candidate(const Probe *probe, int row)
{
	return !probe->run->view->created_cutoff ||
		(!TIMESTAMP_IS_NOBEGIN(probe->created) &&
		 probe->created <= probe->search->batch->times[row]);
}

static bool
is_late_enough(const Probe *probe, int row)
{
	return probe->on_entry && probe->entry_time >= probe->search->earliest[row];
}

/* From the entry in hand on, the candidate where the index goes by all that counts. */
static void
match_ordered(Probe *probe, int row)
{
	while (is_late_enough(probe, row) && !(read_row(probe) && is_candidate(probe, row)))
		next_entry(probe);
	if (is_late_enough(probe, row))
		take_row(probe, row, probe->entry_time);
}

/*
 * The same where rows of one event time come in any order: all of them are looked at, and
 * the entry in hand is then one of an older time.
 */
static void
match_unordered(Probe *probe, int row)
{
	bool		found = false;
	TimestampTz time = 0;

	for (; is_late_enough(probe, row) && !(found && probe->entry_time != time); next_entry(probe))
	{
		if (!read_row(probe) || !is_candidate(probe, row))
			continue;
		time = probe->entry_time;
		found = true;
		take_row(probe, row, probe->entry_time);
	}
}

/*
 * Have the page read, if it is not in memory, and the place in it in the processor's cache.  The
 * page is not pinned: a buffer that has another one by now is a hint that helps nobody.
 */
static void
announce(Probe *probe, int row)
{
	Fetch	   *fetch = &probe->fetches[(probe->next_fetch + probe->fetch_count) % FETCHES_AHEAD];
	BlockNumber page = ItemPointerGetBlockNumber(&probe->entry_place);

	if (page != probe->announced_page)
	{
		probe->announced_buffer = PrefetchBuffer(probe->leaf->relation, MAIN_FORKNUM,
												 page).recent_buffer;
		probe->announced_page = page;
	}
	fetch->row = row;
	fetch->event_time = probe->entry_time;
	fetch->place = probe->entry_place;
	fetch->buffer = probe->announced_buffer;
	if (BufferIsValid(fetch->buffer))
	{
		Page		at = BufferGetPage(fetch->buffer);

		__builtin_prefetch(at);
		__builtin_prefetch(PageGetItemId(at, ItemPointerGetOffsetNumber(&fetch->place)));
	}
	probe->fetch_count++;
}

/* The same for the row itself, once its place in the page is at hand. */
static void
approach(const Fetch *fetch)
{
	Page		page;
	ItemId		item;
	int			at;

	if (!BufferIsValid(fetch->buffer))
		return;
	page = BufferGetPage(fetch->buffer);
	item = PageGetItemId(page, ItemPointerGetOffsetNumber(&fetch->place));
	for (at = 0; at < FETCH_BYTES; at += CACHE_LINE_BYTES)
		__builtin_prefetch((char *) page + ItemIdGetOffset(item) % BLCKSZ + at);
}

/* The row that is found is dead: look for the next, with nothing put off. */
static void
match_again(Probe *probe, int row)
{
	probe->key = &probe->search->batch->keys[row * probe->run->key_count];
	descend(probe, row);
	match_ordered(probe, row);
	probe->key = NULL;			/* the index is elsewhere now */
}

/* Fetch the row that was announced first. */
static void
fetch_first(Probe *probe)
{
	JoinLeaf   *leaf = probe->leaf;
	const Fetch *fetch = &probe->fetches[probe->next_fetch];

	if (probe->fetch_count > FETCHES_AHEAD / 2)
		approach(&probe->fetches[(probe->next_fetch + FETCHES_AHEAD / 2) % FETCHES_AHEAD]);
	probe->next_fetch = (probe->next_fetch + 1) % FETCHES_AHEAD;
	probe->fetch_count--;
	if (!ItemPointerIsValid(&probe->slot_place) ||
		!ItemPointerEquals(&probe->slot_place, unconstify(ItemPointerData *, &fetch->place)))
	{
		bool		is_there;

		probe->scan->xs_heaptid = fetch->place;
		is_there = index_fetch_heap(probe->scan, leaf->slot);
		probe->scan->kill_prior_tuple = false;	/* that would be another entry */
		ItemPointerSetInvalid(&probe->slot_place);
		if (!is_there)
		{
			match_again(probe, fetch->row);
			return;
		}
		leaf->step->rows_read++;
		probe->slot_place = fetch->place;
		JoinLeafReadSlot(leaf, &probe->created, &probe->arrival, &probe->deleted);
	}
	probe->in_slot = true;
	take_row(probe, fetch->row, fetch->event_time);
}

void
JoinProbe(const JoinViewRun *run, JoinLeaf *leaf, JoinSearch *search)
{
	const JoinBatch *batch = search->batch;
	Probe		probe = {run, leaf, search};
	int			row;

	prepare_scan(&probe);
	probe.announces = leaf->ties_ordered && !leaf->covering && !run->view->created_cutoff &&
		get_tablespace_io_concurrency(leaf->relation->rd_rel->reltablespace) > 0;
	probe.announced_page = InvalidBlockNumber;
	ItemPointerSetInvalid(&probe.slot_place);
	for (row = 0; row < batch->row_count; row++)
	{
		const Datum *key = &batch->keys[row * run->key_count];
		TimestampTz latest = search->latest[row];
		bool		is_other;
		int			steps = 0;

		if (!JoinLeafWanted(leaf, search, row))
			continue;
		CHECK_FOR_INTERRUPTS();
		is_other = probe.key == NULL || !JoinKeysEqual(run, key, probe.key);
		probe.key = key;
		if (is_other && leaf->sweeps)
			sweep(&probe, row);
		else if (is_other || !leaf->ties_ordered)
			descend(&probe, row);
		while (probe.on_entry && probe.entry_time > latest)
			if (!step_on(&probe, row, &steps))
			{
				descend(&probe, row);
				break;
			}
		if (!leaf->ties_ordered)
			match_unordered(&probe, row);
		else if (!probe.announces)
			match_ordered(&probe, row);
		else if (is_late_enough(&probe, row))
		{
			announce(&probe, row);
			if (probe.fetch_count == FETCHES_AHEAD)
				fetch_first(&probe);
		}
	}
	while (probe.fetch_count > 0)
		fetch_first(&probe);

	/* Let the pages go: whoever takes the rows may take his time. */
	if (probe.scan != NULL)
		index_rescan(leaf->scan, probe.scan_keys, probe.scan_key_count, NULL, 0);
	if (leaf->sweep != NULL)
		index_rescan(leaf->sweep, &probe.sweep_key, 1, NULL, 0);
	ExecClearTuple(leaf->slot);
}
