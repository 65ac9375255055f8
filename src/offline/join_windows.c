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

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "offline/history_cursor.h"
#include "offline/window.h"

/* To start an executor, in the planner's units. */
#define SEEK_COST 5

typedef struct Windows
{
	HistoryCursor *cursor;
	bool		is_keyed;		/* it is to seek each key */
	TupleTableSlot *row;		/* the cursor's; NULL: at the end */
	JoinStep   *step;
	WindowSet  *set;
	MemoryContext key_context;
	Datum	   *key;			/* whose events are in the set; NULL: nobody's */
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

static void
advance(Windows *windows)
{
	windows->row = HistoryCursorNext(windows->cursor);
	if (windows->row != NULL)
	{
		slot_getallattrs(windows->row);
		windows->step->rows_read++;
	}
}

/* The cursor that seeks each key. */
static HistoryCursor *
open_keyed(const JoinViewRun *run, List *expressions)
{
	HistoryKey *keys = palloc(sizeof(HistoryKey) * Max(run->key_count, 1));

	for (int i = 0; i < run->key_count; i++)
	{
		const JoinKey *key = &run->keys[i];
		Oid			column_type = getBaseType(get_atttype(run->view->source->relation,
													   key->history_column));

		keys[i].column_type = column_type;
		keys[i].type = IsPolymorphicType(key->spine_type) ? column_type : key->spine_type;
		keys[i].equal = get_opfamily_member(key->opfamily, key->history_type, key->spine_type,
											BTEqualStrategyNumber);
		if (!OidIsValid(keys[i].equal))
			elog(ERROR, "missing operator of operator family %u", key->opfamily);
	}
	return HistoryCursorOpenKeyed(run->view->source, expressions, run->from, true, keys);
}

/* All events in one go, or those of each key by itself: whatever costs less. */
static void
open_cursor(JoinViewRun *run, List *expressions)
{
	Windows    *windows = run->state;
	JoinStep   *step = JoinViewStep(run, run->view->source->relation, "merge");
	HistoryCursor *all = HistoryCursorOpen(run->view->source, expressions, run->from, run->to,
										   true);
	HistoryCursor *keyed = open_keyed(run, expressions);

	step->merge_cost = HistoryCursorCost(all);
	step->probe_cost = run->spine_rows * (HistoryCursorCost(keyed) + SEEK_COST);
	windows->is_keyed = run->plan == JOIN_PLAN_PROBE ||
		(run->plan != JOIN_PLAN_MERGE && step->probe_cost < step->merge_cost);
	if (windows->is_keyed)
		step->plan = "probe";
	windows->step = step;
	windows->cursor = windows->is_keyed ? keyed : all;
	HistoryCursorClose(windows->is_keyed ? all : keyed);
}

void
JoinWindowsBegin(JoinViewRun *run)
{
	Windows    *windows = palloc0(sizeof(Windows));
	WindowAggregate *aggregates = palloc(sizeof(WindowAggregate) * run->feature_count);
	List	   *expressions = distinct_expressions(run, aggregates);
	int			count = list_length(expressions);
	WindowColumn *columns = palloc(sizeof(WindowColumn) * count);
	TupleDesc	row;

	run->state = windows;
	open_cursor(run, expressions);
	row = HistoryCursorColumns(windows->cursor);
	for (int i = 0; i < count; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(row, run->key_count + 3 + i);

		columns[i].type = attribute->atttypid;
		columns[i].collation = attribute->attcollation;
	}
	windows->set = WindowSetCreate(columns, count, aggregates, run->feature_count,
								   run->view->created_cutoff);
	windows->key_context = AllocSetContextCreate(CurrentMemoryContext, "venice key of windows",
												 ALLOCSET_SMALL_SIZES);
	if (!windows->is_keyed)
		advance(windows);
}

void
JoinWindowsEnd(JoinViewRun *run)
{
	Windows    *windows = run->state;

	HistoryCursorClose(windows->cursor);
}

/* Begin with the events of another key, of which those after latest are not wanted. */
static void
begin_key(JoinViewRun *run, const Datum *spine, TimestampTz latest)
{
	Windows    *windows = run->state;
	MemoryContext old;

	WindowSetReset(windows->set);
	MemoryContextReset(windows->key_context);
	old = MemoryContextSwitchTo(windows->key_context);
	windows->key = palloc(sizeof(Datum) * Max(run->key_count, 1));
	for (int i = 0; i < run->key_count; i++)
	{
		int16		length;
		bool		by_value;

		get_typlenbyval(run->keys[i].spine_type, &length, &by_value);
		windows->key[i] = datumCopy(spine[i], by_value, length);
	}
	MemoryContextSwitchTo(old);
	if (windows->is_keyed)
	{
		HistoryCursorSeek(windows->cursor, windows->key, latest);
		windows->step->descents++;
		advance(windows);
	}
	while (windows->row != NULL && JoinKeysCompare(run, spine, windows->row->tts_values) > 0)
		advance(windows);
}

/* Read the events of the key as far as the first window reaches. */
static void
read_events(JoinViewRun *run, const Datum *spine, TimestampTz time, TimestampTz latest)
{
	Windows    *windows = run->state;
	int			keys = run->key_count;
	TimestampTz start = WindowSetStart(windows->set);

	for (; windows->row != NULL; advance(windows))
	{
		const Datum *values = windows->row->tts_values;
		const bool *nulls = windows->row->tts_isnull;
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
		if (windows->key == NULL || !JoinKeysEqual(run, spine, windows->key))
			begin_key(run, spine, latest);
		WindowSetMove(windows->set, time, latest);
		read_events(run, spine, time, latest);
		if (WindowSetResult(windows->set, values, nulls, &found->event_times[i]))
			found->status[i] = JoinViewStatus(run, time, found->event_times[i], false);
	}
	MemoryContextSwitchTo(old);
}
