/*-------------------------------------------------------------------------
 *
 * join_view.c
 *		One view in a running join: its keys, its times, and the rows it is asked for.
 *
 * Keys are compared by the btree operator class of the history's columns, so that
 * indexes, sorts and this code agree on what is equal.  Times are whole microseconds:
 * "before t" is "up to t - 1", and every rule about which rows are candidates becomes
 * one last event time for each time of the spine.
 *
 * Locks: none.
 * Must not know: where rows of a history come from.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/join_view.h"

#include "access/nbtree.h"
#include "access/parallel.h"
#include "access/stratnum.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "common/int.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "common/query.h"
#include "offline/window.h"

static int
integer_bytes(Oid type)
{
	switch (type)
	{
		case INT2OID:
			return sizeof(int16);
		case INT4OID:
			return sizeof(int32);
		case INT8OID:
			return sizeof(int64);
		default:
			return 0;
	}
}

static void
prepare_key(JoinKey *key, const JoinView *view, const char *column, Form_pg_attribute spine)
{
	Oid			relation = view->source->relation;
	Oid			column_type;
	int32		typmod;
	Oid			spine_type = getBaseType(spine->atttypid);
	Oid			operator_class;
	Oid			compare;

	key->history_column = get_attnum(relation, column);
	if (key->history_column <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("history of \"%s\" has no column \"%s\"", view->label, column)));
	get_atttypetypmodcoll(relation, key->history_column, &column_type, &typmod, &key->collation);
	column_type = getBaseType(column_type);
	operator_class = GetDefaultOpClass(column_type, BTREE_AM_OID);
	if (!OidIsValid(operator_class))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("key \"%s\" of \"%s\" is of type %s, which has no order", column,
						view->label, format_type_be(column_type))));
	key->opfamily = get_opclass_family(operator_class);
	key->history_type = get_opclass_input_type(operator_class);

	/* Types of one family compare as they are; others become the history's first. */
	if (spine_type == column_type ||
		(IsBinaryCoercible(spine_type, key->history_type) && !IsPolymorphicType(key->history_type)))
		key->spine_type = key->history_type;
	else if (OidIsValid(get_opfamily_proc(key->opfamily, spine_type, key->history_type,
										  BTORDER_PROC)))
		key->spine_type = spine_type;
	else if (can_coerce_type(1, &spine_type, &column_type, COERCION_IMPLICIT))
	{
		key->spine_type = key->history_type;
		key->coerced = true;
	}
	else
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of the spine is of type %s, but key \"%s\" of \"%s\" of type %s",
						NameStr(spine->attname), format_type_be(spine->atttypid), column,
						view->label, format_type_be(column_type)),
				 errhint("Cast the column in the spine's query.")));
	key->spine_bytes = integer_bytes(key->spine_type);
	key->history_bytes = integer_bytes(key->history_type);
	compare = get_opfamily_proc(key->opfamily, key->spine_type, key->history_type, BTORDER_PROC);
	if (!OidIsValid(compare))
		elog(ERROR, "missing support function of operator family %u", key->opfamily);
	fmgr_info(compare, &key->compare);
	fmgr_info(get_opfamily_proc(key->opfamily, key->spine_type, key->spine_type, BTORDER_PROC),
			  &key->compare_spine);
}

JoinViewRun *
JoinViewPrepare(JoinView *view, TupleDesc spine)
{
	JoinViewRun *run = palloc0(sizeof(JoinViewRun));
	const ListCell *cell;
	const ListCell *column;
	int			i = 0;

	run->view = view;
	run->now = GetCurrentTransactionStartTimestamp();
	run->key_count = list_length(view->spine_keys);
	run->keys = palloc0(sizeof(JoinKey) * Max(run->key_count, 1));
	forboth(cell, view->spine_keys, column, view->source->key_columns)
		prepare_key(&run->keys[i++], view, lfirst(column),
					TupleDescAttr(spine, lfirst_int(cell) - 1));

	run->feature_count = list_length(view->features);
	if (view->ignore_nulls != NIL)
		run->ignores_nulls = palloc0(sizeof(bool) * Max(run->feature_count, 1));
	i = 0;
	foreach(cell, view->features)
	{
		run->expressions = lappend(run->expressions,
								   list_nth(view->source->expressions, lfirst_int(cell)));
		if (run->ignores_nulls != NULL)
			run->ignores_nulls[i++] = list_member_int(view->ignore_nulls, lfirst_int(cell));
	}
	return run;
}

/* time + us, which stays infinite and becomes so rather than overflow. */
static TimestampTz
add_us(TimestampTz time, int64 us)
{
	TimestampTz result;

	if (TIMESTAMP_NOT_FINITE(time))
		return time;
	if (pg_add_s64_overflow(time, us, &result))
		return us < 0 ? DT_NOBEGIN : DT_NOEND;
	return result;
}

bool
JoinViewLatest(const JoinView *view, TimestampTz time, TimestampTz *latest)
{
	int64		forward_us = view->window_us != 0 ? view->window_us : -view->delay_us;
	bool		before = view->window_us != 0 || view->strict;

	/* The upper edge of windows is the time itself, however soon events are known. */
	if (view->aggregations != NIL && view->delay_us == 0 &&
		!((Aggregation *) linitial(view->aggregations))->upper_inclusive)
		before = true;
	*latest = add_us(time, forward_us);
	if (before && TIMESTAMP_IS_NOBEGIN(*latest))
		return false;
	if (before)
		(*latest)--;
	return true;
}

TimestampTz
JoinViewEarliest(const JoinView *view, TimestampTz time)
{
	if (view->window_us != 0)
		return time;
	if (view->aggregations != NIL)
		return WindowsStart(view->aggregations, time);
	return view->ttl_us != 0 && !view->with_status ? add_us(time, -view->ttl_us) : DT_NOBEGIN;
}

void
JoinViewRange(JoinViewRun *run, TimestampTz least, TimestampTz greatest)
{
	const JoinView *view = run->view;

	run->least_time = least;
	run->greatest_time = greatest;
	if (!JoinViewLatest(view, greatest, &run->to))
		run->to = DT_NOBEGIN;
	run->from = JoinViewEarliest(view, least);
}

JoinStatus
JoinViewStatus(const JoinViewRun *run, TimestampTz time, TimestampTz event_time, bool deleted)
{
	const JoinView *view = run->view;

	if (deleted)
		return JOIN_NOT_FOUND;
	if (view->window_us != 0)
		return event_time < time ? JOIN_NOT_FOUND : JOIN_PRESENT;
	if (view->ttl_us != 0 && event_time < add_us(time, -view->ttl_us))
		return JOIN_OUTSIDE_MAX_AGE;
	return JOIN_PRESENT;
}

bool
JoinViewSettled(const JoinViewRun *run, const JoinBatch *batch, int row, JoinFound *found)
{
	found->status[row] = JOIN_NOT_FOUND;
	if (!batch->matchable[row])
		return true;
	if (run->view->window_us != 0 && add_us(batch->times[row], run->view->window_us) > run->now)
	{
		found->status[row] = JOIN_INCOMPLETE;
		return true;
	}
	return false;
}

static inline int64
integer_value(Datum value, int bytes)
{
	return bytes == sizeof(int64) ? DatumGetInt64(value) :
		bytes == sizeof(int32) ? DatumGetInt32(value) : DatumGetInt16(value);
}

int
JoinKeysCompare(const JoinViewRun *run, const Datum *spine, const Datum *history)
{
	int			i;

	for (i = 0; i < run->key_count; i++)
	{
		JoinKey    *key = &run->keys[i];
		int			difference;

		if (key->spine_bytes != 0 && key->history_bytes != 0)
		{
			int64		one = integer_value(spine[i], key->spine_bytes);
			int64		other = integer_value(history[i], key->history_bytes);

			difference = one < other ? -1 : one > other;
		}
		else
			difference = DatumGetInt32(FunctionCall2Coll(&key->compare, key->collation, spine[i],
														 history[i]));
		if (difference != 0)
			return difference;
	}
	return 0;
}

bool
JoinKeysEqual(const JoinViewRun *run, const Datum *one, const Datum *other)
{
	int			i;

	for (i = 0; i < run->key_count; i++)
	{
		JoinKey    *key = &run->keys[i];

		if (key->spine_bytes != 0)
		{
			if (integer_value(one[i], key->spine_bytes) !=
				integer_value(other[i], key->spine_bytes))
				return false;
		}
		else if (DatumGetInt32(FunctionCall2Coll(&key->compare_spine, key->collation, one[i],
												 other[i])) != 0)
			return false;
	}
	return true;
}

void
JoinFoundMake(const JoinViewRun *run, int row_count, JoinFound *found)
{
	int64		rows = Max(row_count, 1);
	int64		values = rows * Max(run->feature_count, 1);

	found->status = palloc_extended(rows * sizeof(JoinStatus), MCXT_ALLOC_HUGE);
	found->event_times = palloc_extended(rows * sizeof(TimestampTz), MCXT_ALLOC_HUGE);
	found->values = palloc_extended(values * sizeof(Datum), MCXT_ALLOC_HUGE);
	found->nulls = palloc_extended(values * sizeof(bool), MCXT_ALLOC_HUGE);
}

int
JoinWorkers(double spine_rows)
{
	if (IsParallelWorker() || !IsUnderPostmaster)
		return 0;
	return Min(max_parallel_workers_per_gather, spine_rows / JOIN_WORKER_ROWS / 2);
}

JoinStep *
JoinViewStep(JoinViewRun *run, Oid relation, const char *plan)
{
	MemoryContext old = MemoryContextSwitchTo(run->report_context);
	JoinStep   *step = palloc0(sizeof(JoinStep));

	step->view = pstrdup(run->view->label);
	step->relation = QualifiedName(relation);
	step->plan = plan;
	step->probe_cost = step->merge_cost = -1;
	run->steps = lappend(run->steps, step);
	MemoryContextSwitchTo(old);
	return step;
}
