/*-------------------------------------------------------------------------
 *
 * join_probe.c
 *		Matching a spine with a table of a history by its index.
 *
 * The rows of the batch come by keys and falling time.  For a key the index is
 * entered at the last time that may be wanted, and then followed backwards in time with the
 * rows of the spine, since every row wants what is at the place reached or older.
 * Where the next one wanted is far it is entered again, which costs about as much as
 * passing by JOIN_PROBE_STEPS entries.
 *
 * Entries tell the event time, so that rows are only fetched which are candidates; and
 * not even those, where the index has all that is wanted and the map of visibility says
 * that everybody sees them.
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
#include "storage/predicate.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "common/compat.h"

typedef struct Probe
{
	const JoinViewRun *run;
	JoinLeaf   *leaf;
	JoinSearch *search;
	ScanKeyData scan_keys[INDEX_MAX_KEYS];
	int			scan_key_count;

	/* The entry of the index in hand, and the row that it is of. */
	bool		on_entry;
	TimestampTz entry_time;
	bool		read;			/* the row is, and is there for us */
	bool		in_slot;		/* it had to be fetched; else, of the entry: */
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];
	TimestampTz created;
	int64		arrival;
	bool		deleted;
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
	if (run->from > leaf->from)
		ScanKeyEntryInitialize(&probe->scan_keys[probe->scan_key_count++], 0,
							   leaf->index_event_time, BTGreaterEqualStrategyNumber, time_type,
							   InvalidOid,
							   get_opcode(get_opfamily_member(family, time_type, time_type,
															  BTGreaterEqualStrategyNumber)),
							   TimestampTzGetDatum(run->from));
	if (leaf->scan == NULL)
	{
		leaf->scan = index_beginscan(leaf->relation, leaf->index, GetActiveSnapshot(), NULL,
									 probe->scan_key_count, 0);
		leaf->scan->xs_want_itup = true;
	}
}

static void
next_entry(Probe *probe)
{
	IndexScanDesc scan = probe->leaf->scan;
	bool		is_null;

	probe->read = false;
	probe->on_entry = index_getnext_tid(scan, probe->leaf->newest_first) != NULL;
	if (!probe->on_entry)
		return;
	probe->leaf->step->entries_read++;
	if (probe->leaf->index_time_offset >= 0)
		memcpy(&probe->entry_time, (char *) scan->xs_itup +
			   IndexInfoFindDataOffset(scan->xs_itup->t_info) + probe->leaf->index_time_offset,
			   sizeof(TimestampTz));
	else
		probe->entry_time =
			DatumGetTimestampTz(index_getattr(scan->xs_itup, probe->leaf->index_event_time,
											  scan->xs_itupdesc, &is_null));
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
	index_rescan(probe->leaf->scan, probe->scan_keys, probe->scan_key_count, NULL, 0);
	probe->leaf->step->descents++;
	next_entry(probe);
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
	IndexScanDesc scan = leaf->scan;

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

/* Take the row in hand as what was found, if it is better. */
static void
take_row(Probe *probe, int row)
{
	const JoinViewRun *run = probe->run;
	JoinLeaf   *leaf = probe->leaf;
	JoinSearch *search = probe->search;
	Datum	   *values = &search->found->values[(int64) row * run->feature_count];
	bool	   *nulls = &search->found->nulls[(int64) row * run->feature_count];
	int			i;

	if (!JoinSearchImproves(search, row, probe->entry_time, probe->created, probe->arrival))
		return;
	search->has[row] = true;
	search->found->event_times[row] = probe->entry_time;
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

/* From the entry in hand on, the candidate where the index goes by all that counts. */
static void
match_ordered(Probe *probe, int row)
{
	while (probe->on_entry && !(read_row(probe) && is_candidate(probe, row)))
		next_entry(probe);
	if (probe->on_entry)
		take_row(probe, row);
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

	for (; probe->on_entry && !(found && probe->entry_time != time); next_entry(probe))
	{
		if (!read_row(probe) || !is_candidate(probe, row))
			continue;
		time = probe->entry_time;
		found = true;
		take_row(probe, row);
	}
}

void
JoinProbe(const JoinViewRun *run, JoinLeaf *leaf, JoinSearch *search)
{
	const JoinBatch *batch = search->batch;
	Probe		probe = {run, leaf, search};
	const Datum *entered = NULL;	/* the key that the index was entered for */
	int			row;

	prepare_scan(&probe);
	for (row = 0; row < batch->row_count; row++)
	{
		const Datum *key = &batch->keys[row * run->key_count];
		TimestampTz latest = search->latest[row];
		int			steps = 0;

		if (!JoinLeafWanted(leaf, search, row))
			continue;
		CHECK_FOR_INTERRUPTS();
		if (entered == NULL || !leaf->ties_ordered || !JoinKeysEqual(run, key, entered))
		{
			descend(&probe, row);
			entered = key;
		}
		for (; probe.on_entry && probe.entry_time > latest; next_entry(&probe))
			if (steps++ == JOIN_PROBE_STEPS)
			{
				descend(&probe, row);
				break;
			}
		if (leaf->ties_ordered)
			match_ordered(&probe, row);
		else
			match_unordered(&probe, row);
	}

	/* Let the pages go: whoever takes the rows may take his time. */
	if (entered != NULL)
		index_rescan(leaf->scan, probe.scan_keys, probe.scan_key_count, NULL, 0);
	ExecClearTuple(leaf->slot);
}
