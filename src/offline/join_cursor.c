/*-------------------------------------------------------------------------
 *
 * join_cursor.c
 *		The rows of a view's history beside the spine, read by a query.
 *
 * There are two ways.  One query returns all rows, in the order in which the spine comes;
 * or, where the spine has few keys, one is run for each of them, and finds its rows by an
 * index, or in a view whose conditions it becomes a part of.
 *
 * Locks: none but the query's.
 * Must not know: what the rows are for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/join_cursor.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "offline/history_cursor.h"

/* To start an executor, in the planner's units. */
#define SEEK_COST 5

struct JoinCursorPrivate
{
	JoinViewRun *run;
	JoinStep   *step;
	HistoryCursor *history;
	bool		is_keyed;		/* it is to seek each key */
	MemoryContext key_context;
	Datum	   *key;			/* the last one; NULL: none yet */
};

/* The query for one key. */
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

JoinCursor *
JoinCursorOpen(JoinViewRun *run, List *expressions)
{
	JoinCursor *cursor = palloc0(sizeof(JoinCursor));
	struct JoinCursorPrivate *private = palloc0(sizeof(struct JoinCursorPrivate));
	HistoryCursor *all = HistoryCursorOpen(run->view->source, expressions, run->from, run->to,
										   true);
	HistoryCursor *keyed = open_keyed(run, expressions);
	JoinStep   *step = JoinViewStep(run, run->view->source->relation, "query");

	cursor->private = private;
	private->run = run;
	private->step = step;
	step->merge_cost = HistoryCursorCost(all);
	step->probe_cost = run->spine_rows * (HistoryCursorCost(keyed) + SEEK_COST);
	private->is_keyed = run->plan == JOIN_PLAN_PROBE ||
		(run->plan != JOIN_PLAN_MERGE && step->probe_cost < step->merge_cost);
	if (private->is_keyed)
		step->plan = "query by key";
	private->history = private->is_keyed ? keyed : all;
	HistoryCursorClose(private->is_keyed ? all : keyed);
	cursor->columns = HistoryCursorColumns(private->history);
	private->key_context = AllocSetContextCreate(CurrentMemoryContext, "venice key of a join",
												 ALLOCSET_SMALL_SIZES);
	if (!private->is_keyed)
		JoinCursorAdvance(cursor);
	return cursor;
}

void
JoinCursorAdvance(JoinCursor *cursor)
{
	cursor->row = HistoryCursorNext(cursor->private->history);
	if (cursor->row != NULL)
	{
		slot_getallattrs(cursor->row);
		cursor->private->step->rows_read++;
	}
}

bool
JoinCursorSeek(JoinCursor *cursor, const Datum *spine, TimestampTz latest)
{
	struct JoinCursorPrivate *private = cursor->private;
	JoinViewRun *run = private->run;
	MemoryContext old;

	if (private->key != NULL && JoinKeysEqual(run, spine, private->key))
		return false;
	MemoryContextReset(private->key_context);
	old = MemoryContextSwitchTo(private->key_context);
	private->key = palloc(sizeof(Datum) * Max(run->key_count, 1));
	for (int i = 0; i < run->key_count; i++)
	{
		int16		length;
		bool		by_value;

		get_typlenbyval(run->keys[i].spine_type, &length, &by_value);
		private->key[i] = datumCopy(spine[i], by_value, length);
	}
	MemoryContextSwitchTo(old);
	if (private->is_keyed)
	{
		HistoryCursorSeek(private->history, private->key, latest);
		private->step->descents++;
		JoinCursorAdvance(cursor);
	}
	while (cursor->row != NULL && JoinKeysCompare(run, spine, cursor->row->tts_values) > 0)
		JoinCursorAdvance(cursor);
	return true;
}

void
JoinCursorClose(JoinCursor *cursor)
{
	HistoryCursorClose(cursor->private->history);
	MemoryContextDelete(cursor->private->key_context);
}
