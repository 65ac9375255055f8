/*-------------------------------------------------------------------------
 *
 * join.c
 *		The point-in-time join: for each row of a query the values of features as
 *		they were at its time.
 *
 * The spine goes through stages, one for each set of keys: sorted by keys and falling
 * time, and then a batch of rows at a time through all views with these keys.
 * A last sort, by where the rows stood, is made only for who asks for the order.  A row goes in and
 * a row comes out: nothing is joined by key and time, so that equal rows of the
 * spine stay what they are.
 *
 * What makes one pass exact: time falls within a key, and a row of history that was not
 * yet there at one time was not there at an earlier one either, by its event time as
 * well as by its created time.  A place in the history, newest first, therefore only
 * moves forward.
 *
 * Locks: AccessShareLock on what is read, to the end of the transaction.
 * Must not know: projects, services, names of features.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/join.h"

#include <math.h>

#include "access/nbtree.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/nodeHash.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#include "offline/history_cursor.h"
#include "offline/join_direct.h"
#include "offline/join_ordered.h"
#include "offline/join_progress.h"
#include "offline/join_sort.h"
#include "offline/join_team.h"
#include "offline/join_windows.h"
#include "offline/select.h"

/* Rows of a batch, unless memory says fewer. */
#define BATCH_ROWS 16384

/* The same where a table is read once for each batch. */
#define MAX_BATCH_ROWS (64 * 1024 * 1024)

/* What a row takes beside its values: times, places, what was found, and its tuple's header. */
#define ROW_BYTES 96

/* Where a column of a tuple under way comes from, and how it is sorted by. */
typedef struct Carried
{
	int			spine_column;	/* from 1; 0: none */
	Oid			type;
	ExprState  *coercion;		/* of the spine's column, or NULL */
} Carried;

/* Views with one set of keys. */
typedef struct Stage
{
	int			number;			/* from 0 */
	List	   *runs;			/* of JoinViewRun */
	int			key_count;
	AttrNumber *key_columns;	/* of the tuples under way */
} Stage;

typedef struct Running Running;
typedef struct StageBatch StageBatch;

struct JoinPipeline
{
	const JoinRequest *request;
	MemoryContext context;
	JoinReport *report;
	JoinReport	own_report;		/* where nobody asks for one */
	JoinProgress *progress;
	MemoryContext report_context;

	/* Tuples under way: time, order, keys, what else the spine has, then what stages have added. */
	int			carried_count;
	Carried    *carried;
	AttrNumber *spine_at;		/* column of the tuples, for each of the spine */
	AttrNumber	order_at;		/* 0: not needed */
	TupleDesc	columns;		/* of tuples that have been through all stages */
	List	   *stages;			/* of Stage */
	JoinSort   *sort;		/* what comes next is put in */
	TupleTableSlot *put_slot;
	int			put_width;		/* columns of tuples that are put in */

	ExprContext *expressions;
	Datum		zone;
	JoinPlan	plan;
	int64		spine_rows;
	TimestampTz least_time;
	TimestampTz greatest_time;
	int			output_width;
	Datum	   *output;
	bool	   *output_nulls;
	AttrNumber *output_at;		/* column of the tuples, for each of the output */

	/* Rows of the output that are given as they are found, or were put in order before. */
	Running    *last;			/* the last stage; or NULL */
	StageBatch *at_hand;		/* of it; NULL: none */
	int			next_row;
	TupleTableSlot *last_slot;	/* for the last tuples under way */
	int			copied_count;	/* columns of the output that these have */
	int		   *copied;
	Tuplestorestate *spine;		/* where nothing is joined */
};

/* A stage at work. */
struct Running
{
	JoinPipeline *join;
	const Stage *stage;
	JoinSort   *sort;
	int			width;			/* columns of its tuples */
	TupleTableSlot *slot;
	int			capacity;		/* rows of a batch */
	JoinTeam   *team;			/* or NULL */
	List	   *idle;			/* of StageBatch */
	bool		at_end;			/* of the sort */
	int64		rows_done;
};

struct StageBatch
{
	JoinBatch	batch;			/* first: what a team returns */
	MinimalTuple *tuples;		/* what its keys point into */
	JoinFound  *found;			/* for each view of the stage */
};

TupleDesc
JoinSpineColumns(const char *query)
{
	return ExecCleanTypeFromTL(SelectAnalyze(query, "spine", NULL, 0)->targetList);
}

static int
view_width(const JoinView *view)
{
	return list_length(view->features) + 2;
}

TupleDesc
JoinColumns(const JoinRequest *request)
{
	int			width = request->spine_columns->natts;
	TupleDesc	columns;
	const ListCell *cell;
	AttrNumber	at;

	foreach(cell, request->views)
		width += view_width(lfirst(cell));
	columns = CreateTemplateTupleDesc(width);
	for (at = 1; at <= request->spine_columns->natts; at++)
		TupleDescCopyEntry(columns, at, request->spine_columns, at);
	foreach(cell, request->views)
	{
		JoinView   *view = lfirst(cell);
		JoinViewRun *run = JoinViewPrepare(view, request->spine_columns);
		char	   *sql = HistoryQuery(view->source, run->expressions);
		TupleDesc	history =
			ExecCleanTypeFromTL(SelectAnalyze(sql, "history", NULL, 0)->targetList);
		int			i;

		view->first_column = at - 1;
		for (i = 0; i < run->feature_count; i++)
		{
			AttrNumber	value = run->key_count + 4 + i;
			Oid			type = view->aggregations == NIL ? InvalidOid :
				AggregationResult(((Aggregation *) list_nth(view->aggregations, i))->function,
								  TupleDescAttr(history, value - 1)->atttypid);

			if (OidIsValid(type) && type != TupleDescAttr(history, value - 1)->atttypid)
				TupleDescInitEntry(columns, at++, NULL, type, -1, 0);
			else
				TupleDescCopyEntry(columns, at++, history, value);
		}
		TupleDescInitEntry(columns, at++, "event_time", TIMESTAMPTZOID, -1, 0);
		TupleDescInitEntry(columns, at++, "status", INT4OID, -1, 0);
	}
	return columns;
}

/* The column of the tuples with a spine's column, coerced or as it is. */
static AttrNumber
carry(JoinPipeline *join, int spine_column, Oid type, ExprState *coercion)
{
	int			i;

	if (coercion == NULL && spine_column != 0)
	{
		for (i = 0; i < join->carried_count; i++)
			if (join->carried[i].spine_column == spine_column && join->carried[i].coercion == NULL)
				return i + 1;
	}
	join->carried[join->carried_count].spine_column = spine_column;
	join->carried[join->carried_count].type = type;
	join->carried[join->carried_count].coercion = coercion;
	return ++join->carried_count;
}

static ExprState *
coercion(const JoinRequest *request, int spine_column, Oid type)
{
	Form_pg_attribute attribute = TupleDescAttr(request->spine_columns, spine_column - 1);
	Node	   *value = (Node *) makeVar(1, spine_column, attribute->atttypid, attribute->atttypmod,
										 attribute->attcollation, 0);

	value = coerce_to_target_type(NULL, value, attribute->atttypid, type, -1, COERCION_IMPLICIT,
								  COERCE_IMPLICIT_CAST, -1);
	return ExecInitExpr(expression_planner((Expr *) value), NULL);
}

static bool
same_sort(const JoinViewRun *one, const JoinViewRun *other)
{
	int			i;

	if (!equal(one->view->spine_keys, other->view->spine_keys))
		return false;
	for (i = 0; i < one->key_count; i++)
		if (one->keys[i].opfamily != other->keys[i].opfamily ||
			one->keys[i].spine_type != other->keys[i].spine_type ||
			one->keys[i].collation != other->keys[i].collation ||
			one->keys[i].coerced != other->keys[i].coerced)
			return false;
	return true;
}

/* Put a view where its keys are sorted by. */
static void
add_view(JoinPipeline *join, JoinView *view)
{
	JoinViewRun *run = JoinViewPrepare(view, join->request->spine_columns);
	Stage	   *stage;
	const ListCell *cell;
	int			i;

	foreach(cell, join->stages)
	{
		stage = lfirst(cell);
		if (same_sort(linitial(stage->runs), run))
		{
			stage->runs = lappend(stage->runs, run);
			return;
		}
	}
	stage = palloc0(sizeof(Stage));
	stage->number = list_length(join->stages);
	stage->runs = list_make1(run);
	stage->key_count = run->key_count;
	stage->key_columns = palloc(sizeof(AttrNumber) * Max(run->key_count, 1));
	for (i = 0; i < run->key_count; i++)
	{
		int			column = list_nth_int(view->spine_keys, i);
		Oid			relation_type = getBaseType(get_atttype(view->source->relation,
														run->keys[i].history_column));

		if (run->keys[i].coerced)
			stage->key_columns[i] = carry(join, column, relation_type,
										  coercion(join->request, column, relation_type));
		else
			stage->key_columns[i] =
				carry(join, column,
					  TupleDescAttr(join->request->spine_columns, column - 1)->atttypid, NULL);
	}
	join->stages = lappend(join->stages, stage);
}

/* Lay out the tuples: what is sorted by stands first, where it is found soonest. */
static void
lay_out(JoinPipeline *join)
{
	const JoinRequest *request = join->request;
	TupleDesc	spine = request->spine_columns;
	TupleDesc	output = JoinColumns(request);
	const ListCell *cell;
	AttrNumber	at;
	int			keys = 0;
	int			i;

	foreach(cell, request->views)
		keys += list_length(((JoinView *) lfirst(cell))->spine_keys);
	join->carried = palloc0(sizeof(Carried) * (2 + keys + spine->natts));
	join->spine_at = palloc(sizeof(AttrNumber) * spine->natts);
	if (TupleDescAttr(spine, request->event_time - 1)->atttypid == TIMESTAMPTZOID)
		carry(join, request->event_time, TIMESTAMPTZOID, NULL);
	else
		carry(join, 0, TIMESTAMPTZOID, NULL);
	if (request->preserve_order)
		join->order_at = carry(join, 0, INT8OID, NULL);
	foreach(cell, request->views)
		add_view(join, lfirst(cell));
	for (i = 0; i < spine->natts; i++)
		join->spine_at[i] = carry(join, i + 1, TupleDescAttr(spine, i)->atttypid, NULL);

	join->columns = CreateTemplateTupleDesc(join->carried_count + output->natts - spine->natts);
	for (at = 1; at <= join->carried_count; at++)
		TupleDescInitEntry(join->columns, at, NULL, join->carried[at - 1].type, -1, 0);
	join->output_width = output->natts;
	join->output = palloc(sizeof(Datum) * output->natts);
	join->output_nulls = palloc(sizeof(bool) * output->natts);
	join->output_at = palloc(sizeof(AttrNumber) * output->natts);
	for (i = 0; i < spine->natts; i++)
		join->output_at[i] = join->spine_at[i];
	foreach(cell, join->stages)
	{
		const ListCell *run;

		foreach(run, ((Stage *) lfirst(cell))->runs)
		{
			const JoinView *view = ((JoinViewRun *) lfirst(run))->view;

			for (i = 0; i < view_width(view); i++)
			{
				join->output_at[view->first_column + i] = at;
				TupleDescCopyEntry(join->columns, at++, output, view->first_column + i + 1);
			}
		}
	}
}

/* Make ready to take tuples of the first `width` columns, by keys and falling time; or by order. */
static void
begin_sort(JoinPipeline *join, const Stage *stage, int width)
{
	int			count = stage == NULL ? 1 : stage->key_count + 1;
	JoinSortColumn *columns = palloc0(sizeof(JoinSortColumn) * count);
	int			integer_bytes = 0;
	TupleDesc	tuple = CreateTemplateTupleDesc(width);
	int			i;

	for (i = 1; i <= width; i++)
		TupleDescCopyEntry(tuple, i, join->columns, i);
	if (stage == NULL)
	{
		columns[0].column = join->order_at;
		columns[0].operator = Int8LessOperator;
	}
	else
	{
		const JoinViewRun *run = linitial(stage->runs);

		for (i = 0; i < stage->key_count; i++)
		{
			columns[i].column = stage->key_columns[i];
			columns[i].operator = get_opfamily_member(run->keys[i].opfamily,
													  run->keys[i].spine_type,
													  run->keys[i].spine_type,
													  BTLessStrategyNumber);
			columns[i].collation = run->keys[i].collation;
			if (!OidIsValid(columns[i].operator))
				elog(ERROR, "missing operator of operator family %u", run->keys[i].opfamily);
		}
		columns[i].column = 1;
		columns[i].operator = lookup_type_cache(TIMESTAMPTZOID, TYPECACHE_GT_OPR)->gt_opr;
		if (stage->key_count == 1)
			integer_bytes = run->keys[0].spine_bytes;
	}
	join->sort = JoinSortBegin(tuple, columns, count, integer_bytes);
	join->put_slot = MakeSingleTupleTableSlot(tuple, &TTSOpsVirtual);
	join->put_width = width;
	join->report->sorts++;
}

/* The time of a row of the spine, as timestamptz. */
static Datum
spine_time(JoinPipeline *join, TupleTableSlot *slot, bool *is_null)
{
	const JoinRequest *request = join->request;
	Datum		value = slot_getattr(slot, request->event_time, is_null);
	TimestampTz time;

	if (*is_null)
	{
		if (request->raise_null_time)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("spine has a row without a time"),
					 errdetail("Column \"%s\" is NULL.",
							   NameStr(TupleDescAttr(request->spine_columns,
													 request->event_time - 1)->attname))));
		return (Datum) 0;
	}
	if (join->carried[0].spine_column == 0)
		value = DirectFunctionCall2(timestamp_zone, join->zone, value);
	time = DatumGetTimestampTz(value);
	if (join->least_time > time)
		join->least_time = time;
	if (join->greatest_time < time)
		join->greatest_time = time;
	return value;
}

static void
take_spine_row(void *state, TupleTableSlot *slot)
{
	JoinPipeline *join = state;
	TupleTableSlot *put = join->put_slot;
	MemoryContext old = MemoryContextSwitchTo(join->expressions->ecxt_per_tuple_memory);
	int			i;

	slot_getallattrs(slot);
	ExecClearTuple(put);
	join->expressions->ecxt_scantuple = slot;
	put->tts_values[0] = spine_time(join, slot, &put->tts_isnull[0]);
	for (i = 1; i < join->carried_count; i++)
	{
		const Carried *carried = &join->carried[i];

		if (i + 1 == join->order_at)
		{
			put->tts_values[i] = Int64GetDatum(join->spine_rows);
			put->tts_isnull[i] = false;
		}
		else if (carried->coercion != NULL)
			put->tts_values[i] = ExecEvalExpr(carried->coercion, join->expressions,
											  &put->tts_isnull[i]);
		else
		{
			put->tts_values[i] = slot->tts_values[carried->spine_column - 1];
			put->tts_isnull[i] = slot->tts_isnull[carried->spine_column - 1];
		}
	}
	ExecStoreVirtualTuple(put);
	JoinProgressRows(join->progress, ++join->spine_rows);
	if (join->sort != NULL)
		JoinSortPut(join->sort, put);
	else
		tuplestore_puttupleslot(join->spine, put);
	MemoryContextSwitchTo(old);
	ResetExprContext(join->expressions);
}

/* The next rows of a sort; false: there are none. */
static bool
read_batch(const Running *running, StageBatch *read)
{
	JoinBatch  *batch = &read->batch;
	TupleTableSlot *slot = running->slot;
	int			capacity = running->capacity;
	Size		limit = get_hash_memory_limit();
	int			keys = running->stage->key_count;
	MemoryContext old;

	MemoryContextReset(batch->context);
	batch->row_count = 0;
	old = MemoryContextSwitchTo(batch->context);
	while (batch->row_count < capacity &&
		   (batch->row_count % 256 != 0 ||
			MemoryContextMemAllocated(batch->context, false) < limit || batch->row_count == 0) &&
		   JoinSortGet(running->sort, slot, batch->context))
	{
		int			row = batch->row_count++;
		bool		is_null;
		int			i;

		/* What keys point into. */
		read->tuples[row] = ExecFetchSlotMinimalTuple(slot, &is_null);
		batch->times[row] = DatumGetTimestampTz(slot_getattr(slot, 1, &is_null));
		batch->matchable[row] = !is_null;
		for (i = 0; i < keys; i++)
		{
			batch->keys[row * keys + i] = slot_getattr(slot, running->stage->key_columns[i],
													   &is_null);
			if (is_null)
				batch->matchable[row] = false;
		}
	}
	MemoryContextSwitchTo(old);
	running->join->report->batches += batch->row_count > 0;
	return batch->row_count > 0;
}

static void
match(JoinViewRun *run, const JoinBatch *batch, JoinFound *found)
{
	if (run->view->aggregations != NIL)
		JoinWindowsMatch(run, batch, found);
	else if (run->direct)
		JoinDirectMatch(run, batch, found);
	else
		JoinOrderedMatch(run, batch, found);
}

/* What was found for a row of the batch, as columns of a tuple. */
static void
append_found(const JoinViewRun *run, const JoinFound *found, int row, Datum *values, bool *nulls)
{
	int			features = run->feature_count;
	JoinStatus	status = found->status[row];

	if (status == JOIN_PRESENT || (status == JOIN_NOT_FOUND && run->view->aggregations != NIL))
	{
		memcpy(values, &found->values[(int64) row * features], sizeof(Datum) * features);
		memcpy(nulls, &found->nulls[(int64) row * features], sizeof(bool) * features);
	}
	else
		memset(nulls, true, sizeof(bool) * features);
	nulls[features] = status == JOIN_NOT_FOUND || status == JOIN_INCOMPLETE;
	if (!nulls[features])
		values[features] = TimestampTzGetDatum(found->event_times[row]);
	values[features + 1] = Int32GetDatum(status);
	nulls[features + 1] = false;
}

/* How many rows of a stage, with all that is found for them, fit into memory? */
static int
rows_in_memory(const JoinPipeline *join, const Stage *stage, int width)
{
	Size		bytes = ROW_BYTES + width * (sizeof(Datum) + sizeof(bool));
	const ListCell *cell;

	foreach(cell, stage->runs)
		bytes += ROW_BYTES +
			((JoinViewRun *) lfirst(cell))->feature_count * (sizeof(Datum) + sizeof(bool));
	return Max(Min(get_hash_memory_limit() / bytes, Min(join->spine_rows, MAX_BATCH_ROWS)), 1);
}

static void *
batch_array(int64 count, Size size)
{
	return palloc_extended(Max(count, 1) * size, MCXT_ALLOC_HUGE);
}

/* One that is not in use, or a new one. */
static StageBatch *
take_batch(Running *running)
{
	const Stage *stage = running->stage;
	StageBatch *taken;
	const ListCell *cell;

	if (running->idle != NIL)
	{
		taken = llast(running->idle);
		running->idle = list_delete_last(running->idle);
		return taken;
	}
	taken = palloc0(sizeof(StageBatch));
	taken->batch.context = AllocSetContextCreate(CurrentMemoryContext, "venice join batch",
												 ALLOCSET_DEFAULT_SIZES);
	taken->batch.key_count = stage->key_count;
	taken->batch.keys = batch_array((int64) running->capacity * stage->key_count, sizeof(Datum));
	taken->batch.times = batch_array(running->capacity, sizeof(TimestampTz));
	taken->batch.matchable = batch_array(running->capacity, sizeof(bool));
	taken->tuples = batch_array(running->capacity, sizeof(MinimalTuple));
	taken->found = palloc(sizeof(JoinFound) * list_length(stage->runs));
	foreach(cell, stage->runs)
		JoinFoundMake(lfirst(cell), running->capacity, &taken->found[foreach_current_index(cell)]);
	return taken;
}

/*
 * The next batch for which all is found, with the help of a team if there is one; NULL:
 * there are no more.  Whoever has it puts it among those that are idle.
 */
static StageBatch *
next_batch(Running *running)
{
	for (;;)
	{
		StageBatch *own;
		const ListCell *cell;

		while (running->team != NULL && !running->at_end && JoinTeamWants(running->team))
		{
			StageBatch *given = take_batch(running);

			running->at_end = !read_batch(running, given);
			if (running->at_end)
				running->idle = lappend(running->idle, given);
			else
				JoinTeamGive(running->team, &given->batch, given->found);
		}
		if (running->team != NULL)
		{
			StageBatch *done = (StageBatch *) JoinTeamTake(running->team, running->at_end);

			if (done != NULL)
				return done;
		}
		if (running->at_end)
			return NULL;
		own = take_batch(running);
		running->at_end = !read_batch(running, own);
		if (running->at_end)
		{
			running->idle = lappend(running->idle, own);
			continue;
		}
		foreach(cell, running->stage->runs)
			match(lfirst(cell), &own->batch, &own->found[foreach_current_index(cell)]);
		return own;
	}
}

static void
batch_done(Running *running, StageBatch *done)
{
	running->idle = lappend(running->idle, done);
	running->rows_done += done->batch.row_count;
	JoinProgressRows(running->join->progress, running->rows_done);
}

/* A batch and what was found for it: into the next sort. */
static void
pass_on(Running *running, const StageBatch *done)
{
	JoinPipeline *join = running->join;
	TupleTableSlot *slot = running->slot;
	TupleTableSlot *put = join->put_slot;
	int			row;

	for (row = 0; row < done->batch.row_count; row++)
	{
		const ListCell *cell;
		int			at = running->width;

		CHECK_FOR_INTERRUPTS();
		ExecStoreMinimalTuple(done->tuples[row], slot, false);
		slot_getallattrs(slot);
		ExecClearTuple(put);
		memcpy(put->tts_values, slot->tts_values, sizeof(Datum) * at);
		memcpy(put->tts_isnull, slot->tts_isnull, sizeof(bool) * at);
		foreach(cell, running->stage->runs)
		{
			const JoinViewRun *run = lfirst(cell);

			append_found(run, &done->found[foreach_current_index(cell)], row,
						 &put->tts_values[at], &put->tts_isnull[at]);
			at += view_width(run->view);
		}
		JoinSortPut(join->sort, ExecStoreVirtualTuple(put));
	}
}

static void
begin_run(JoinPipeline *join, JoinViewRun *run, int merge_rows)
{
	run->plan = join->plan;
	run->spine_rows = join->spine_rows;
	run->workers = JoinWorkers(join->spine_rows);
	run->report_context = join->report_context;
	JoinViewRange(run, join->least_time, join->greatest_time);
	if (run->view->aggregations != NIL)
		JoinWindowsBegin(run);
	else if (JoinDirectBegin(run, ceil(join->spine_rows / (double) merge_rows)))
		run->direct = true;
	else
		JoinOrderedBegin(run);
}

static void
end_run(JoinPipeline *join, JoinViewRun *run)
{
	MemoryContext old;

	if (run->view->aggregations != NIL)
		JoinWindowsEnd(run);
	else if (run->direct)
		JoinDirectEnd(run);
	else
		JoinOrderedEnd(run);
	old = MemoryContextSwitchTo(join->report_context);
	join->report->steps = list_concat(join->report->steps, run->steps);
	MemoryContextSwitchTo(old);
}

/* Workers for a stage whose views are all looked up in indexes, if it is worth the while. */
static JoinTeam *
begin_team(JoinPipeline *join, const Stage *stage)
{
	Oid		   *key_types = palloc(sizeof(Oid) * Max(stage->key_count, 1));
	JoinTeam   *team;
	const ListCell *cell;
	int			i;

	foreach(cell, stage->runs)
	{
		const JoinViewRun *run = lfirst(cell);

		if (!run->direct || JoinDirectMerges(run))
			return NULL;
	}
	for (i = 0; i < stage->key_count; i++)
		key_types[i] = join->carried[stage->key_columns[i] - 1].type;
	team = JoinTeamBegin(stage->runs, key_types);
	if (team != NULL)
		join->report->workers = Max(join->report->workers, JoinTeamSize(team));
	return team;
}

/* Make a stage ready to take what was put into the sort. */
static Running *
begin_stage(JoinPipeline *join, const Stage *stage)
{
	Running    *running = palloc0(sizeof(Running));
	int			merge_rows = rows_in_memory(join, stage, join->put_width);
	const ListCell *cell;

	running->join = join;
	running->stage = stage;
	running->sort = join->sort;
	running->width = join->put_width;
	running->slot = MakeSingleTupleTableSlot(join->put_slot->tts_tupleDescriptor,
											 &TTSOpsMinimalTuple);
	running->capacity = Min(BATCH_ROWS, merge_rows);
	join->sort = NULL;
	JoinSortPerform(running->sort);
	foreach(cell, stage->runs)
	{
		JoinViewRun *run = lfirst(cell);

		begin_run(join, run, merge_rows);
		if (run->direct && JoinDirectMerges(run))
			running->capacity = merge_rows;
	}
	running->team = begin_team(join, stage);
	if (running->team != NULL)
		running->capacity = Min(JOIN_WORKER_ROWS, merge_rows);
	JoinProgressPhase(join->progress, JOIN_PHASE_JOINING, stage->number, join->spine_rows,
					  running->team != NULL ? JoinTeamSize(running->team) : 0);
	return running;
}

static void
dismiss_team(Running *running, bool is_done)
{
	if (running->team != NULL)
		JoinTeamEnd(running->team, is_done);
	running->team = NULL;
}

static void
end_stage(Running *running)
{
	JoinPipeline *join = running->join;
	const ListCell *cell;

	dismiss_team(running, false);
	ExecDropSingleTupleTableSlot(running->slot);
	join->report->spilled_kb += JoinSortEnd(running->sort);
	foreach(cell, running->idle)
		MemoryContextDelete(((StageBatch *) lfirst(cell))->batch.context);
	foreach(cell, running->stage->runs)
		end_run(join, lfirst(cell));
}

/* Take all tuples through a stage, into the sort of the next one, or of the order. */
static void
run_stage(JoinPipeline *join, const Stage *stage, const Stage *next)
{
	int			next_width = join->put_width;
	Running    *running;
	StageBatch *done;
	const ListCell *cell;

	foreach(cell, stage->runs)
		next_width += view_width(((JoinViewRun *) lfirst(cell))->view);
	running = begin_stage(join, stage);
	begin_sort(join, next, next_width);
	while ((done = next_batch(running)) != NULL)
	{
		pass_on(running, done);
		batch_done(running, done);
	}
	dismiss_team(running, true);
	end_stage(running);
}

/* How the columns of the last tuples under way, of which there are width, become the output. */
static void
lay_out_output(JoinPipeline *join, int width, TupleTableSlot *slot)
{
	int			i;

	join->last_slot = slot;
	join->copied = palloc(sizeof(int) * join->output_width);
	for (i = 0; i < join->output_width; i++)
		if (join->output_at[i] <= width)
			join->copied[join->copied_count++] = i;
}

static void
begin_join(JoinPipeline *join, Query *spine)
{
	const JoinRequest *request = join->request;
	const ListCell *cell;

	if (join->stages == NIL)
	{
		join->put_width = join->carried_count;
		join->put_slot = MakeSingleTupleTableSlot(join->columns, &TTSOpsVirtual);
		join->spine = tuplestore_begin_heap(false, false, work_mem);
	}
	else
		begin_sort(join, linitial(join->stages), join->carried_count);
	SelectRun(spine, request->spine, take_spine_row, join);
	join->report->spine_rows = join->spine_rows;
	join->plan = request->plan != JOIN_PLAN_AUTO ? request->plan : Settings.pit_plan;
	if (join->plan == JOIN_PLAN_INSTANT && join->least_time < join->greatest_time)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("plan \"instant\" needs a spine whose rows have one time"),
				 errhint("Leave the plan to venice, with \"auto\".")));
	foreach(cell, join->stages)
	{
		bool		is_last = lnext(join->stages, cell) == NULL;

		if (!is_last || request->preserve_order)
			run_stage(join, lfirst(cell), is_last ? NULL : lfirst(lnext(join->stages, cell)));
		else
			join->last = begin_stage(join, lfirst(cell));
	}
	if (join->sort != NULL)
	{
		JoinProgressPhase(join->progress, JOIN_PHASE_ORDERING, list_length(join->stages),
						  join->spine_rows, 0);
		JoinSortPerform(join->sort);
	}
	if (join->last != NULL)
		lay_out_output(join, join->last->width, join->last->slot);
	else
		lay_out_output(join, join->put_width,
					   MakeSingleTupleTableSlot(join->put_slot->tts_tupleDescriptor,
												&TTSOpsMinimalTuple));
}

static void
end_progress(void *argument)
{
	JoinPipeline *join = argument;

	JoinProgressEnd(join->progress);
	join->progress = NULL;
}

JoinPipeline *
JoinBegin(const JoinRequest *request, JoinReport *report)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "venice join",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	JoinPipeline *join = palloc0(sizeof(JoinPipeline));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	Query	   *spine = SelectAnalyze(request->spine, "spine", NULL, 0);

	join->request = request;
	join->context = context;
	join->report_context = old;
	join->report = report != NULL ? report : &join->own_report;
	memset(join->report, 0, sizeof(JoinReport));
	join->least_time = DT_NOEND;
	join->greatest_time = DT_NOBEGIN;
	join->expressions = CreateStandaloneExprContext();
	if (request->time_zone != NULL)
		join->zone = CStringGetTextDatum(request->time_zone);
	if (!equalTupleDescs(ExecCleanTypeFromTL(spine->targetList), request->spine_columns))
		elog(ERROR, "columns of the spine have changed");
	lay_out(join);

	/* An error, and the end of the process, let go of the memory too. */
	callback->func = end_progress;
	callback->arg = join;
	MemoryContextRegisterResetCallback(context, callback);
	join->progress = JoinProgressBegin(list_length(join->stages));
	begin_join(join, spine);
	MemoryContextSwitchTo(old);
	return join;
}

/* The next of the last tuples under way, in their slot. */
static bool
next_tuple(JoinPipeline *join)
{
	if (join->last == NULL)
		return join->sort != NULL ? JoinSortGet(join->sort, join->last_slot, NULL) :
			tuplestore_gettupleslot(join->spine, true, false, join->last_slot);
	while (join->at_hand == NULL || join->next_row == join->at_hand->batch.row_count)
	{
		if (join->at_hand != NULL)
			batch_done(join->last, join->at_hand);
		join->at_hand = next_batch(join->last);
		join->next_row = 0;
		if (join->at_hand == NULL)
		{
			dismiss_team(join->last, true);
			return false;
		}
	}
	if (join->next_row + JOIN_FETCH_AHEAD < join->at_hand->batch.row_count)
		JoinTupleFetch(join->at_hand->tuples[join->next_row + JOIN_FETCH_AHEAD]);
	ExecStoreMinimalTuple(join->at_hand->tuples[join->next_row++], join->last_slot, false);
	return true;
}

bool
JoinNext(JoinPipeline *join, const Datum **values, const bool **nulls)
{
	MemoryContext old = MemoryContextSwitchTo(join->context);
	TupleTableSlot *slot = join->last_slot;
	const ListCell *cell;
	int			i;

	CHECK_FOR_INTERRUPTS();
	if (!next_tuple(join))
	{
		MemoryContextSwitchTo(old);
		return false;
	}
	slot_getallattrs(slot);
	for (i = 0; i < join->copied_count; i++)
	{
		int			to = join->copied[i];
		int			from = join->output_at[to] - 1;

		join->output[to] = slot->tts_values[from];
		join->output_nulls[to] = slot->tts_isnull[from];
	}
	if (join->last != NULL)
		foreach(cell, join->last->stage->runs)
		{
			const JoinViewRun *run = lfirst(cell);
			int			first = run->view->first_column;

			append_found(run, &join->at_hand->found[foreach_current_index(cell)],
						 join->next_row - 1, &join->output[first], &join->output_nulls[first]);
		}
	*values = join->output;
	*nulls = join->output_nulls;
	MemoryContextSwitchTo(old);
	return true;
}

void
JoinEnd(JoinPipeline *join)
{
	MemoryContext old = MemoryContextSwitchTo(join->context);

	if (join->last != NULL)
	{
		if (join->at_hand != NULL)
			batch_done(join->last, join->at_hand);
		end_stage(join->last);
	}
	else
		ExecDropSingleTupleTableSlot(join->last_slot);
	if (join->sort != NULL)
		join->report->spilled_kb += JoinSortEnd(join->sort);
	if (join->spine != NULL)
		tuplestore_end(join->spine);
	FreeExprContext(join->expressions, true);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(join->context);
}
