/*-------------------------------------------------------------------------
 *
 * join_windows.c
 *		Matching a spine with aggregates over windows of a history.
 *
 * Both sides come by keys and falling time, so that each event is read once for all
 * aggregates and windows of a view.  An event is read when the first window reaches it,
 * and given back when the last moment has passed it.
 *
 * Locks: none but the query's.
 * Must not know: how aggregates are made.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/join_windows.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "offline/join_cursor.h"
#include "offline/window.h"

typedef struct Windows
{
	JoinCursor *cursor;
	WindowSet  *set;
} Windows;

/* The values that are aggregated, each once, and of which of them each feature is made. */
static List *
distinct_expressions(const JoinViewRun *run, WindowAggregate *aggregates)
{
	List	   *expressions = NIL;
	ListCell   *cell;
	ListCell   *other;

	foreach(cell, run->expressions)
	{
		int			feature = foreach_current_index(cell);
		int			column = list_length(expressions);

		foreach(other, expressions)
			if (strcmp(lfirst(cell), lfirst(other)) == 0)
				column = foreach_current_index(other);
		if (column == list_length(expressions))
			expressions = lappend(expressions, lfirst(cell));
		aggregates[feature].aggregation = list_nth(run->view->aggregations, feature);
		aggregates[feature].column = column;
	}
	return expressions;
}

void
JoinWindowsBegin(JoinViewRun *run)
{
	Windows    *windows = palloc0(sizeof(Windows));
	WindowAggregate *aggregates = palloc(sizeof(WindowAggregate) * run->feature_count);
	List	   *expressions = distinct_expressions(run, aggregates);
	int			count = list_length(expressions);
	WindowColumn *columns = palloc(sizeof(WindowColumn) * count);

	run->state = windows;
	windows->cursor = JoinCursorOpen(run, expressions);
	for (int i = 0; i < count; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(windows->cursor->columns,
													run->key_count + 3 + i);

		columns[i].type = attribute->atttypid;
		columns[i].collation = attribute->attcollation;
	}
	windows->set = WindowSetCreate(columns, count, aggregates, run->feature_count,
								   run->view->created_cutoff);
}

void
JoinWindowsEnd(JoinViewRun *run)
{
	Windows    *windows = run->state;

	JoinCursorClose(windows->cursor);
}

/* Read the events of the key as far as the first window reaches. */
static void
read_events(JoinViewRun *run, const Datum *spine, TimestampTz time, TimestampTz latest)
{
	Windows    *windows = run->state;
	int			keys = run->key_count;
	TimestampTz start = WindowSetStart(windows->set);

	for (; windows->cursor->row != NULL; JoinCursorAdvance(windows->cursor))
	{
		const Datum *values = windows->cursor->row->tts_values;
		const bool *nulls = windows->cursor->row->tts_isnull;
		TimestampTz event_time = DatumGetTimestampTz(values[keys]);
		TimestampTz created = DatumGetTimestampTz(values[keys + 1]);

		if (event_time < start || JoinKeysCompare(run, spine, values) != 0)
			break;
		if (event_time > latest ||
			(run->view->created_cutoff && (nulls[keys + 1] || created > time)))
			continue;
		WindowSetAdd(windows->set, event_time, created, values + keys + 3, nulls + keys + 3);
	}
}

void
JoinWindowsMatch(JoinViewRun *run, const JoinBatch *batch, JoinFound *found)
{
	Windows    *windows = run->state;
	int			features = run->feature_count;
	MemoryContext old = MemoryContextSwitchTo(batch->context);

	for (int i = 0; i < batch->row_count; i++)
	{
		const Datum *spine = &batch->keys[i * run->key_count];
		Datum	   *values = &found->values[(int64) i * features];
		bool	   *nulls = &found->nulls[(int64) i * features];
		TimestampTz time = batch->times[i];
		TimestampTz latest;

		CHECK_FOR_INTERRUPTS();
		if (JoinViewSettled(run, batch, i, found) || !JoinViewLatest(run->view, time, &latest))
		{
			/* No window, and so nothing in it. */
			for (int j = 0; j < features; j++)
			{
				values[j] = Int64GetDatum(0);
				nulls[j] = !AggregationCounts(list_nth(run->view->aggregations, j));
			}
			continue;
		}
		if (JoinCursorSeek(windows->cursor, spine, latest))
			WindowSetReset(windows->set);
		WindowSetMove(windows->set, time, latest);
		read_events(run, spine, time, latest);
		if (WindowSetResult(windows->set, values, nulls, &found->event_times[i]))
			found->status[i] = JoinViewStatus(run, time, found->event_times[i], false);
	}
	MemoryContextSwitchTo(old);
}
