/*-------------------------------------------------------------------------
 *
 * join_ordered.c
 *		Matching a spine with the rows of a history as a query returns them in order.
 *
 * The general way, which needs nothing but SELECT: views, foreign tables, tables with
 * row security, and columns whose newest value that is not NULL is wanted.  For those
 * the rows of one key are kept, newest first, and looked through from the candidate on; a
 * deletion hides what is older.
 *
 * Locks: none but the query's.
 * Must not know: indexes, partitions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/join_ordered.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "offline/join_cursor.h"

typedef struct Ordered
{
	JoinCursor *cursor;

	/* Rows of one key, newest first. */
	MemoryContext kept_context;
	HeapTuple  *kept;
	int			kept_count;
	int			kept_space;
	int			first;			/* those before it are no candidates any more */
	int		   *next;			/* of each feature: older than what was passed by for good */
	bool		kept_all;
} Ordered;

void
JoinOrderedBegin(JoinViewRun *run)
{
	Ordered    *ordered = palloc0(sizeof(Ordered));

	run->state = ordered;
	ordered->next = palloc0(sizeof(int) * Max(run->feature_count, 1));
	ordered->cursor = JoinCursorOpen(run, run->expressions);
	ordered->kept_context = AllocSetContextCreate(CurrentMemoryContext, "venice rows of a key",
												  ALLOCSET_DEFAULT_SIZES);
}

void
JoinOrderedEnd(JoinViewRun *run)
{
	Ordered    *ordered = run->state;

	JoinCursorClose(ordered->cursor);
	MemoryContextDelete(ordered->kept_context);
}

/* Is a row of history a candidate for a time, for which latest is JoinViewLatest? */
static bool
is_candidate(const JoinView *view, TimestampTz time, TimestampTz latest, TimestampTz event_time,
			 TimestampTz created_time, bool created_null)
{
	return event_time <= latest &&
		(!view->created_cutoff || (!created_null && created_time <= time));
}

static void
set_value(const JoinViewRun *run, const JoinBatch *batch, JoinFound *found, TupleDesc columns,
		  int row, int feature, Datum value, bool is_null)
{
	int			at = row * run->feature_count + feature;
	Form_pg_attribute attribute = TupleDescAttr(columns, run->key_count + 3 + feature);

	found->nulls[at] = is_null;
	if (is_null)
		found->values[at] = (Datum) 0;
	else if (attribute->attbyval)
		found->values[at] = value;
	else
	{
		MemoryContext old = MemoryContextSwitchTo(batch->context);

		found->values[at] = datumCopy(value, false, attribute->attlen);
		MemoryContextSwitchTo(old);
	}
}

/* Whole rows: the cursor's row is the candidate, or there is none. */
static void
match_rows(JoinViewRun *run, const JoinBatch *batch, JoinFound *found)
{
	Ordered    *ordered = run->state;
	const JoinView *view = run->view;
	int			keys = run->key_count;
	int			i;

	for (i = 0; i < batch->row_count; i++)
	{
		const Datum *spine = &batch->keys[i * keys];
		TimestampTz latest;
		int			difference = 1;
		int			j;

		if (JoinViewSettled(run, batch, i, found) ||
			!JoinViewLatest(view, batch->times[i], &latest))
			continue;
		(void) JoinCursorSeek(ordered->cursor, spine, latest);
		for (; ordered->cursor->row != NULL; JoinCursorAdvance(ordered->cursor))
		{
			const Datum *values = ordered->cursor->row->tts_values;
			const bool *nulls = ordered->cursor->row->tts_isnull;

			difference = JoinKeysCompare(run, spine, values);
			if (difference < 0 ||
				(difference == 0 &&
				 is_candidate(view, batch->times[i], latest, DatumGetTimestampTz(values[keys]),
							  DatumGetTimestampTz(values[keys + 1]), nulls[keys + 1])))
				break;
		}
		if (ordered->cursor->row == NULL || difference != 0)
			continue;
		found->event_times[i] = DatumGetTimestampTz(ordered->cursor->row->tts_values[keys]);
		found->status[i] = JoinViewStatus(run, batch->times[i], found->event_times[i],
										  DatumGetBool(ordered->cursor->row->tts_values[keys + 2]));
		if (found->status[i] == JOIN_PRESENT)
			for (j = 0; j < run->feature_count; j++)
				set_value(run, batch, found, ordered->cursor->columns, i, j,
						  ordered->cursor->row->tts_values[keys + 3 + j],
						  ordered->cursor->row->tts_isnull[keys + 3 + j]);
	}
}

/* One more row of the key that is kept; false: there is none. */
static bool
keep_row(JoinViewRun *run, const Datum *spine)
{
	Ordered    *ordered = run->state;
	MemoryContext old;

	if (ordered->kept_all)
		return false;
	if (ordered->cursor->row == NULL ||
		JoinKeysCompare(run, spine, ordered->cursor->row->tts_values) != 0)
	{
		ordered->kept_all = true;
		return false;
	}
	CHECK_FOR_INTERRUPTS();
	old = MemoryContextSwitchTo(ordered->kept_context);
	if (ordered->kept_count == ordered->kept_space)
	{
		ordered->kept_space = Max(ordered->kept_space * 2, 64);
		ordered->kept = ordered->kept == NULL ?
			palloc(sizeof(HeapTuple) * ordered->kept_space) :
			repalloc(ordered->kept, sizeof(HeapTuple) * ordered->kept_space);
	}
	ordered->kept[ordered->kept_count++] = ExecCopySlotHeapTuple(ordered->cursor->row);
	MemoryContextSwitchTo(old);
	JoinCursorAdvance(ordered->cursor);
	return true;
}

/* Begin with the rows of another key. */
static void
keep_key(Ordered *ordered, int feature_count)
{
	memset(ordered->next, 0, sizeof(int) * feature_count);
	MemoryContextReset(ordered->kept_context);
	ordered->kept = NULL;
	ordered->kept_count = ordered->kept_space = ordered->first = 0;
	ordered->kept_all = false;
}

static Datum
kept_value(const Ordered *ordered, int row, int column, bool *is_null)
{
	return heap_getattr(ordered->kept[row], column + 1, ordered->cursor->columns, is_null);
}

/* Does row `row` of the key exist, and is it a candidate? */
static bool
kept_is_candidate(JoinViewRun *run, const Datum *spine, int row, TimestampTz time,
				  TimestampTz latest)
{
	const Ordered *ordered = run->state;
	bool		is_null;
	bool		created_null;
	TimestampTz event_time = DatumGetTimestampTz(kept_value(ordered, row, run->key_count,
														 &is_null));
	TimestampTz created = DatumGetTimestampTz(kept_value(ordered, row, run->key_count + 1,
														 &created_null));

	return is_candidate(run->view, time, latest, event_time, created, created_null);
}

/* The newest value that is not NULL, from the candidate on, where that is wanted. */
static void
match_values(JoinViewRun *run, const JoinBatch *batch, JoinFound *found)
{
	Ordered    *ordered = run->state;
	int			keys = run->key_count;
	int			i;

	for (i = 0; i < batch->row_count; i++)
	{
		const Datum *spine = &batch->keys[i * keys];
		TimestampTz time = batch->times[i];
		TimestampTz latest;
		int			j;

		if (JoinViewSettled(run, batch, i, found) || !JoinViewLatest(run->view, time, &latest))
			continue;
		if (JoinCursorSeek(ordered->cursor, spine, latest))
			keep_key(ordered, run->feature_count);
		while (ordered->first < ordered->kept_count || keep_row(run, spine))
		{
			bool		is_null;

			if (!kept_is_candidate(run, spine, ordered->first, time, latest))
			{
				ordered->first++;
				continue;
			}
			found->event_times[i] =
				DatumGetTimestampTz(kept_value(ordered, ordered->first, keys, &is_null));
			found->status[i] =
				JoinViewStatus(run, time, found->event_times[i],
							   DatumGetBool(kept_value(ordered, ordered->first, keys + 2,
													   &is_null)));
			break;
		}
		if (found->status[i] != JOIN_PRESENT)
			continue;
		for (j = 0; j < run->feature_count; j++)
		{
			Datum		value = (Datum) 0;
			bool		is_null = true;
			int			row;

			for (row = Max(ordered->first, ordered->next[j]);
				 row < ordered->kept_count || keep_row(run, spine); row++)
			{
				bool		ignored;

				CHECK_FOR_INTERRUPTS();

				/* An older row can have been created later. */
				if (!kept_is_candidate(run, spine, row, time, latest))
					continue;
				if (JoinViewStatus(run, time,
								   DatumGetTimestampTz(kept_value(ordered, row, keys, &ignored)),
								   DatumGetBool(kept_value(ordered, row, keys + 2, &ignored)))
					!= JOIN_PRESENT)
					break;
				value = kept_value(ordered, row, keys + 3 + j, &is_null);
				if (!is_null || !run->ignores_nulls[j])
					break;
			}
			ordered->next[j] = row;
			set_value(run, batch, found, ordered->cursor->columns, i, j, value, is_null);
		}
	}
}

void
JoinOrderedMatch(JoinViewRun *run, const JoinBatch *batch, JoinFound *found)
{
	if (run->ignores_nulls != NULL)
		match_values(run, batch, found);
	else
		match_rows(run, batch, found);
}
