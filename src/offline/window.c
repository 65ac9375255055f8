/*-------------------------------------------------------------------------
 *
 * window.c
 *		Aggregates over windows that slide into the past.
 *
 * The values of one column that are not NULL are a series, newest first.  A frame is a
 * window over a series: it holds a stretch of it, from the head of the series, which all
 * its frames share since their windows end at one time, to an end of its own.  When the
 * time falls, the newest leave at the head, and older ones enter at the ends.  Whatever
 * can be said of the stretch by its ends needs nothing else: counts, the first, the last.
 *
 * The others keep something: sums are exact, so that what leaves is subtracted without a
 * trace, with NaN and infinities counted beside them.  Of minimum and maximum there is a
 * queue of those that can become it: who enters puts out all newer ones that are not
 * better, as they leave before it.  Distinct values are counted by whether the nearest
 * equal one on either side is in the frame, the greatest k are read off a tree.
 *
 * Locks: none.
 * Must not know: where events come from, keys.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/window.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "lib/rbtree.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/sortsupport.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "offline/exact_sum.h"

#define NOWHERE (-1)

typedef struct Series Series;

/* The place of a value that was seen, the oldest one yet. */
typedef struct SeenValue
{
	Datum		value;
	uint32		hash;
	char		status;
	int64		position;
} SeenValue;

static uint32 hash_value(const Series *series, Datum value);
static bool values_equal(const Series *series, Datum one, Datum other);

#define SH_PREFIX seen
#define SH_ELEMENT_TYPE SeenValue
#define SH_KEY_TYPE Datum
#define SH_KEY value
#define SH_HASH_KEY(table, key) hash_value((table)->private_data, key)
#define SH_EQUAL(table, one, other) values_equal((table)->private_data, one, other)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* Positions count from the first value of the key; those from base on are in the arrays. */
struct Series
{
	WindowSet  *set;
	Oid			type;
	int16		length;
	bool		by_value;
	char		align;
	bool		is_ordered;
	SortSupportData order;
	Oid			collation;
	FmgrInfo   *hash;			/* NULL: distinct values are not counted */
	FmgrInfo   *equal;
	seen_hash  *seen;			/* NULL: none yet */
	int64		base;
	int64		head;			/* the newest that counts */
	int64		end;			/* behind the oldest */
	int64		capacity;
	TimestampTz *times;
	TimestampTz *created;		/* NULL: not needed */
	Datum	   *values;
	int64	   *newer;			/* the next equal value, or NOWHERE; NULL: not needed */
	int64	   *older;
	List	   *frames;			/* of Frame */
};

/* Positions of those that can become the best, the best first, which is also the newest. */
typedef struct Queue
{
	int			better;			/* 1: the greatest is sought; -1: the least */
	int64	   *positions;
	int64		front;
	int64		back;
	int64		capacity;
} Queue;

typedef struct OrderedValue
{
	RBTNode		node;
	Datum		value;
	int64		position;
} OrderedValue;

typedef struct Frame
{
	Series	   *series;
	int64		window_us;
	int64		hop_us;
	TimestampTz start;
	int64		end;			/* behind the oldest in it */

	/* NULL or false: not needed. */
	ExactSum   *sum;
	ExactSum   *squares;
	bool		has_integers;
	int128		integers;
	bool		has_numerics;
	Datum		numerics;
	bool		has_distinct;
	int64		distinct;
	Queue	   *least;
	Queue	   *greatest;
	bool		has_order;
	RBTree	   *order;			/* NULL: empty */

	/* Of what no sum can hold. */
	int64		nans;
	int64		infinities[2];	/* negative, positive */
} Frame;

typedef struct Result
{
	const Aggregation *aggregation;
	Frame	   *frame;
} Result;

struct WindowSet
{
	MemoryContext key_context;	/* of one key */
	bool		created_cutoff;
	TimestampTz newest_created; /* of all events that count */
	int			series_count;	/* the last is of all events, whatever is in them */
	Series	   *series;
	int			frame_count;
	Frame	   *frames;
	int			result_count;
	Result	   *results;
	TimestampTz start;
};

static uint32
hash_value(const Series *series, Datum value)
{
	return DatumGetUInt32(FunctionCall1Coll(series->hash, series->collation, value));
}

static bool
values_equal(const Series *series, Datum one, Datum other)
{
	return DatumGetBool(FunctionCall2Coll(series->equal, series->collation, one, other));
}

static Datum
value_at(const Series *series, int64 position)
{
	return series->values[position - series->base];
}

/* Where a window begins. */
static TimestampTz
window_start(TimestampTz time, int64 window_us, int64 hop_us)
{
	TimestampTz start;

	/* Hops are counted from where Unix counts from. */
	const int64 epoch_us = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	int64		over;

	if (TIMESTAMP_NOT_FINITE(time))
		return time;
	start = time - window_us;
	if (hop_us == 0)
		return start;
	over = (start + epoch_us) % hop_us;
	return start - (over < 0 ? over + hop_us : over);
}

TimestampTz
WindowsStart(const List *aggregations, TimestampTz time)
{
	TimestampTz start = time;
	const ListCell *cell;

	foreach(cell, aggregations)
	{
		const Aggregation *aggregation = lfirst(cell);

		start = Min(start, window_start(time, aggregation->window_us, aggregation->hop_us));
	}
	return start;
}

/* Series */

static void
set_up_series(Series *series, WindowSet *set, const WindowColumn *column)
{
	series->set = set;
	series->type = column->type;
	series->collation = column->collation;
	get_typlenbyvalalign(column->type, &series->length, &series->by_value, &series->align);
	series->capacity = 64;
	series->times = palloc(sizeof(TimestampTz) * series->capacity);
	series->values = palloc(sizeof(Datum) * series->capacity);
	if (set->created_cutoff)
		series->created = palloc(sizeof(TimestampTz) * series->capacity);
}

static void
need_order(Series *series)
{
	if (series->is_ordered)
		return;
	series->is_ordered = true;
	series->order.ssup_cxt = CurrentMemoryContext;
	series->order.ssup_collation = series->collation;
	PrepareSortSupportFromOrderingOp(lookup_type_cache(series->type, TYPECACHE_LT_OPR)->lt_opr,
									 &series->order);
}

static void
need_distinct(Series *series)
{
	TypeCacheEntry *entry;

	if (series->hash != NULL)
		return;
	entry = lookup_type_cache(series->type, TYPECACHE_HASH_PROC_FINFO | TYPECACHE_EQ_OPR_FINFO);
	series->hash = palloc(sizeof(FmgrInfo));
	series->equal = palloc(sizeof(FmgrInfo));
	fmgr_info_copy(series->hash, &entry->hash_proc_finfo, CurrentMemoryContext);
	fmgr_info_copy(series->equal, &entry->eq_opr_finfo, CurrentMemoryContext);
	series->newer = palloc(sizeof(int64) * series->capacity);
	series->older = palloc(sizeof(int64) * series->capacity);
}

static int
compare_at(Series *series, int64 one, int64 other)
{
	return series->order.comparator(value_at(series, one), value_at(series, other),
									&series->order);
}

#define MOVE_DOWN(array) \
	if ((array) != NULL) \
		memmove(array, (array) + (series->head - series->base), \
				sizeof(*(array)) * (series->end - series->head))

#define ENLARGE(array) \
	if ((array) != NULL) \
		(array) = repalloc_huge(array, sizeof(*(array)) * series->capacity)

/* Space for one more, of those that have left or of new memory. */
static void
make_room(Series *series)
{
	if (series->end - series->base < series->capacity)
		return;
	if (series->head - series->base > series->capacity / 2)
	{
		MOVE_DOWN(series->times);
		MOVE_DOWN(series->created);
		MOVE_DOWN(series->values);
		MOVE_DOWN(series->newer);
		MOVE_DOWN(series->older);
		series->base = series->head;
		return;
	}
	series->capacity *= 2;
	ENLARGE(series->times);
	ENLARGE(series->created);
	ENLARGE(series->values);
	ENLARGE(series->newer);
	ENLARGE(series->older);
}

/* Tie the value to the equal one that is next newer. */
static void
link_equal(Series *series, int64 position, Datum value)
{
	SeenValue  *entry;
	bool		found;

	if (series->seen == NULL)
		series->seen = seen_create(series->set->key_context, 64, series);
	entry = seen_insert(series->seen, value, &found);
	series->older[position - series->base] = NOWHERE;
	series->newer[position - series->base] = found ? entry->position : NOWHERE;
	if (found)
		series->older[entry->position - series->base] = position;
	entry->value = value;
	entry->position = position;
}

/* A value of the key's memory, older than those that are there. */
static void
append(Series *series, TimestampTz time, TimestampTz created, Datum value)
{
	int64		at;

	make_room(series);
	at = series->end - series->base;
	series->times[at] = time;
	series->values[at] = value;
	if (series->created != NULL)
		series->created[at] = created;
	if (series->hash != NULL)
		link_equal(series, series->end, value);
	series->end++;
}

/* Frames */

static void
queue_enter(Queue *queue, Series *series, int64 position)
{
	while (queue->back > queue->front &&
		   queue->better * compare_at(series, position, queue->positions[queue->back - 1]) >= 0)
		queue->back--;
	if (queue->back == queue->capacity && queue->front > queue->capacity / 2)
	{
		memmove(queue->positions, queue->positions + queue->front,
				sizeof(int64) * (queue->back - queue->front));
		queue->back -= queue->front;
		queue->front = 0;
	}
	else if (queue->back == queue->capacity)
	{
		queue->capacity *= 2;
		queue->positions = repalloc_huge(queue->positions, sizeof(int64) * queue->capacity);
	}
	queue->positions[queue->back++] = position;
}

static void
queue_leave(Queue *queue, int64 position)
{
	if (queue->back > queue->front && queue->positions[queue->front] == position)
		queue->front++;
}

static int
compare_nodes(const RBTNode *a, const RBTNode *b, void *series)
{
	const OrderedValue *one = (const OrderedValue *) a;
	const OrderedValue *other = (const OrderedValue *) b;
	SortSupport order = &((Series *) series)->order;
	int			difference = order->comparator(one->value, other->value, order);

	if (difference != 0)
		return difference;
	return one->position < other->position ? -1 : one->position > other->position;
}

/* No two are equal. */
static void
combine_nodes(RBTNode *existing, const RBTNode *newdata, void *series)
{
	Assert(false);
}

static RBTNode *
allocate_node(void *series)
{
	return MemoryContextAlloc(((Series *) series)->set->key_context, sizeof(OrderedValue));
}

static void
free_node(RBTNode *node, void *series)
{
	pfree(node);
}

static void
order_enter(Frame *frame, OrderedValue *value)
{
	bool		is_new;

	if (frame->order == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(frame->series->set->key_context);

		frame->order = rbt_create(sizeof(OrderedValue), compare_nodes, combine_nodes,
								  allocate_node, free_node, frame->series);
		MemoryContextSwitchTo(old);
	}
	(void) rbt_insert(frame->order, &value->node, &is_new);
}

static int64
integer_of(Oid type, Datum value)
{
	return type == INT8OID ? DatumGetInt64(value) :
		type == INT4OID ? DatumGetInt32(value) : DatumGetInt16(value);
}

static double
number_of(Oid type, Datum value)
{
	return type == FLOAT8OID ? DatumGetFloat8(value) :
		type == FLOAT4OID ? DatumGetFloat4(value) :
		DatumGetFloat8(DirectFunctionCall1(numeric_float8, value));
}

/* Numerics are exact, so that these sums are. */
static void
add_numeric(Frame *frame, Datum value, bool leaves)
{
	MemoryContext old = MemoryContextSwitchTo(frame->series->set->key_context);
	Datum		before = frame->numerics;

	if (before == (Datum) 0)
		before = NumericGetDatum(int64_to_numeric(0));
	frame->numerics = DirectFunctionCall2(leaves ? numeric_sub : numeric_add, before, value);
	pfree(DatumGetPointer(before));
	MemoryContextSwitchTo(old);
}

/* Count a value that no sum can hold; false when it is none. */
static bool
add_special(Frame *frame, Datum value, int sign)
{
	double		number;

	/* A numeric may be beyond all doubles, and a number all the same. */
	if (frame->series->type == NUMERICOID && !numeric_is_nan(DatumGetNumeric(value)) &&
		!numeric_is_inf(DatumGetNumeric(value)))
		return false;
	number = number_of(frame->series->type, value);
	if (isnan(number))
		frame->nans += sign;
	else if (isinf(number))
		frame->infinities[number > 0] += sign;
	else
		return false;
	return true;
}

static void
add_to_sums(Frame *frame, Datum value, bool leaves)
{
	Oid			type = frame->series->type;
	bool		is_integer = type == INT2OID || type == INT4OID || type == INT8OID;

	if (!is_integer && add_special(frame, value, leaves ? -1 : 1))
		return;
	if (frame->has_integers)
		frame->integers += leaves ? -(int128) integer_of(type, value) : integer_of(type, value);
	if (frame->has_numerics)
		add_numeric(frame, value, leaves);
	if (frame->sum != NULL && is_integer)
		ExactSumAddInteger(frame->sum, integer_of(type, value), leaves);
	else if (frame->sum != NULL)
		ExactSumAdd(frame->sum, number_of(type, value), leaves);
	if (frame->squares != NULL && is_integer)
		ExactSumAddIntegerSquare(frame->squares, integer_of(type, value), leaves);
	else if (frame->squares != NULL)
		ExactSumAddSquare(frame->squares, number_of(type, value), leaves);
}

static void
enter(Frame *frame, int64 position)
{
	Series	   *series = frame->series;
	Datum		value = value_at(series, position);

	if (frame->sum != NULL || frame->has_integers || frame->has_numerics)
		add_to_sums(frame, value, false);
	if (frame->has_distinct && series->newer[position - series->base] < series->head)
		frame->distinct++;
	if (frame->least != NULL)
		queue_enter(frame->least, series, position);
	if (frame->greatest != NULL)
		queue_enter(frame->greatest, series, position);
	if (frame->has_order)
	{
		OrderedValue node = {{0}, value, position};

		order_enter(frame, &node);
	}
}

/* The head leaves. */
static void
leave(Frame *frame)
{
	Series	   *series = frame->series;
	int64		position = series->head;
	Datum		value = value_at(series, position);

	if (frame->sum != NULL || frame->has_integers || frame->has_numerics)
		add_to_sums(frame, value, true);
	if (frame->has_distinct)
	{
		int64		older = series->older[position - series->base];

		if (older == NOWHERE || older >= frame->end)
			frame->distinct--;
	}
	if (frame->least != NULL)
		queue_leave(frame->least, position);
	if (frame->greatest != NULL)
		queue_leave(frame->greatest, position);
	if (frame->has_order)
	{
		OrderedValue node = {{0}, value, position};

		rbt_delete(frame->order, rbt_find(frame->order, &node.node));
	}
}

static void
empty_frame(Frame *frame)
{
	frame->end = frame->series->head;
	if (frame->sum != NULL)
		ExactSumReset(frame->sum);
	if (frame->squares != NULL)
		ExactSumReset(frame->squares);
	frame->integers = 0;
	frame->numerics = (Datum) 0;
	frame->distinct = 0;
	frame->order = NULL;
	if (frame->least != NULL)
		frame->least->front = frame->least->back = 0;
	if (frame->greatest != NULL)
		frame->greatest->front = frame->greatest->back = 0;
	frame->nans = frame->infinities[0] = frame->infinities[1] = 0;
}

/* Sets */

static Queue *
make_queue(int better)
{
	Queue	   *queue = palloc0(sizeof(Queue));

	queue->better = better;
	queue->capacity = 64;
	queue->positions = palloc(sizeof(int64) * queue->capacity);
	return queue;
}

/* What an aggregate wants to be kept. */
static void
set_up_frame(Frame *frame, AggregateFunction function)
{
	Oid			type = frame->series->type;

	switch (function)
	{
		case AGGREGATE_SUM:
			if (type == NUMERICOID)
				frame->has_numerics = true;
			else if (type == INT2OID || type == INT4OID || type == INT8OID)
				frame->has_integers = true;
			else if (frame->sum == NULL)
				frame->sum = palloc0(sizeof(ExactSum));
			break;
		case AGGREGATE_STDDEV:
			if (frame->squares == NULL)
				frame->squares = palloc0(sizeof(ExactSum));
			/* FALLTHROUGH */
		case AGGREGATE_AVG:
			if (frame->sum == NULL)
				frame->sum = palloc0(sizeof(ExactSum));
			break;
		case AGGREGATE_DISTINCT_COUNT:
			need_distinct(frame->series);
			frame->has_distinct = true;
			break;
		case AGGREGATE_MIN:
			need_order(frame->series);
			if (frame->least == NULL)
				frame->least = make_queue(-1);
			break;
		case AGGREGATE_MAX:
			need_order(frame->series);
			if (frame->greatest == NULL)
				frame->greatest = make_queue(1);
			break;
		case AGGREGATE_TOP_K:
			need_order(frame->series);
			frame->has_order = true;
			break;
		case AGGREGATE_COUNT:
		case AGGREGATE_FIRST:
		case AGGREGATE_LAST:
			break;
	}
}

static Frame *
frame_of(WindowSet *set, Series *series, const Aggregation *aggregation)
{
	Frame	   *frame;
	ListCell   *cell;

	foreach(cell, series->frames)
	{
		frame = lfirst(cell);
		if (frame->window_us == aggregation->window_us && frame->hop_us == aggregation->hop_us)
			return frame;
	}
	frame = &set->frames[set->frame_count++];
	frame->series = series;
	frame->window_us = aggregation->window_us;
	frame->hop_us = aggregation->hop_us;
	series->frames = lappend(series->frames, frame);
	return frame;
}

WindowSet *
WindowSetCreate(const WindowColumn *columns, int column_count, const WindowAggregate *aggregates,
				int aggregate_count, bool created_cutoff)
{
	WindowSet  *set = palloc0(sizeof(WindowSet));
	const WindowColumn events = {BOOLOID, InvalidOid};

	set->key_context = AllocSetContextCreate(CurrentMemoryContext, "venice windows of a key",
											 ALLOCSET_DEFAULT_SIZES);
	set->created_cutoff = created_cutoff;
	set->series_count = column_count + 1;
	set->series = palloc0(sizeof(Series) * set->series_count);
	for (int i = 0; i < set->series_count; i++)
		set_up_series(&set->series[i], set, i < column_count ? &columns[i] : &events);
	set->frames = palloc0(sizeof(Frame) * aggregate_count);
	set->results = palloc0(sizeof(Result) * aggregate_count);
	set->result_count = aggregate_count;
	for (int i = 0; i < aggregate_count; i++)
	{
		const Aggregation *aggregation = aggregates[i].aggregation;

		set->results[i].aggregation = aggregation;
		set->results[i].frame = frame_of(set, &set->series[aggregates[i].column], aggregation);
		set_up_frame(set->results[i].frame, aggregation->function);
	}
	WindowSetReset(set);
	return set;
}

void
WindowSetReset(WindowSet *set)
{
	MemoryContextReset(set->key_context);
	set->newest_created = DT_NOBEGIN;
	for (int i = 0; i < set->series_count; i++)
	{
		Series	   *series = &set->series[i];

		series->base = series->head = series->end = 0;
		series->seen = NULL;
	}
	for (int i = 0; i < set->frame_count; i++)
		empty_frame(&set->frames[i]);
}

/* The newest value does not count any more, nor will it. */
static void
drop_head(Series *series)
{
	Datum		value = value_at(series, series->head);

	if (series->hash != NULL)
	{
		SeenValue  *entry = seen_lookup(series->seen, value);

		if (entry->position == series->head)
			seen_delete_item(series->seen, entry);
	}
	if (!series->by_value)
		pfree(DatumGetPointer(value));
	series->head++;
}

static void
advance_head(Series *series, TimestampTz latest)
{
	ListCell   *cell;

	while (series->head < series->end && series->times[series->head - series->base] > latest)
	{
		foreach(cell, series->frames)
		{
			Frame	   *frame = lfirst(cell);

			if (frame->end > series->head)
				leave(frame);
			else
				frame->end = series->head + 1;
		}
		drop_head(series);
	}
}

/*
 * Begin anew with the events that had been created by a time: those that had not will
 * never count again, and they are not among the newest only.
 */
static void
forget_later(WindowSet *set, TimestampTz time)
{
	set->newest_created = DT_NOBEGIN;
	for (int i = 0; i < set->series_count; i++)
	{
		Series	   *series = &set->series[i];
		int64		end = series->end;

		/* Each is written where it is read or before, over what was read. */
		series->end = series->head;
		if (series->seen != NULL)
			seen_reset(series->seen);
		for (int64 at = series->head - series->base; at < end - series->base; at++)
		{
			if (series->created[at] <= time)
			{
				set->newest_created = Max(set->newest_created, series->created[at]);
				append(series, series->times[at], series->created[at], series->values[at]);
			}
			else if (!series->by_value)
				pfree(DatumGetPointer(series->values[at]));
		}
	}
	for (int i = 0; i < set->frame_count; i++)
	{
		Frame	   *frame = &set->frames[i];
		RBTNode    *node;

		while (frame->order != NULL && (node = rbt_leftmost(frame->order)) != NULL)
			rbt_delete(frame->order, node);
		if (frame->numerics != (Datum) 0)
			pfree(DatumGetPointer(frame->numerics));
		empty_frame(frame);
	}
}

void
WindowSetMove(WindowSet *set, TimestampTz time, TimestampTz latest)
{
	set->start = time;
	for (int i = 0; i < set->frame_count; i++)
	{
		Frame	   *frame = &set->frames[i];

		frame->start = window_start(time, frame->window_us, frame->hop_us);
		set->start = Min(set->start, frame->start);
	}
	for (int i = 0; i < set->series_count; i++)
		advance_head(&set->series[i], latest);
	if (set->created_cutoff && set->newest_created > time)
		forget_later(set, time);
}

TimestampTz
WindowSetStart(const WindowSet *set)
{
	return set->start;
}

void
WindowSetAdd(WindowSet *set, TimestampTz event_time, TimestampTz created_time,
			 const Datum *values, const bool *nulls)
{
	int			last = set->series_count - 1;

	set->newest_created = Max(set->newest_created, created_time);
	append(&set->series[last], event_time, created_time, BoolGetDatum(true));
	for (int i = 0; i < last; i++)
	{
		Series	   *series = &set->series[i];
		Datum		value = values[i];

		if (nulls[i])
			continue;
		if (!series->by_value)
		{
			MemoryContext old = MemoryContextSwitchTo(set->key_context);

			value = series->length == -1 ? PointerGetDatum(PG_DETOAST_DATUM_COPY(value)) :
				datumCopy(value, false, series->length);
			MemoryContextSwitchTo(old);
		}
		append(series, event_time, created_time, value);
	}
}

/* As SQL's: a NaN wins, and so do infinities that contradict each other. */
static bool
special_sum(const Frame *frame, double *sum)
{
	if (frame->nans > 0 || (frame->infinities[0] > 0 && frame->infinities[1] > 0))
		*sum = get_float8_nan();
	else if (frame->infinities[0] > 0 || frame->infinities[1] > 0)
		*sum = frame->infinities[1] > 0 ? get_float8_infinity() : -get_float8_infinity();
	else
		return false;
	return true;
}

static Datum
special_numeric(double value)
{
	return DirectFunctionCall1(float8_numeric, Float8GetDatum(value));
}

static Datum
numeric_of_integer(int128 integer)
{
	const int64 part = INT64CONST(1000000000000000000);
	Numeric		high;

	if (integer >= PG_INT64_MIN && integer <= PG_INT64_MAX)
		return NumericGetDatum(int64_to_numeric((int64) integer));
	high = numeric_mul_opt_error(int64_to_numeric((int64) (integer / part)),
								 int64_to_numeric(part), NULL);
	return NumericGetDatum(numeric_add_opt_error(high, int64_to_numeric((int64) (integer % part)),
												 NULL));
}

static Datum
sum_of(Frame *frame)
{
	Oid			type = frame->series->type;
	double		sum;

	if (type == INT8OID)
		return numeric_of_integer(frame->integers);
	if (frame->has_integers)
	{
		if (frame->integers < PG_INT64_MIN || frame->integers > PG_INT64_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("bigint out of range")));
		return Int64GetDatum((int64) frame->integers);
	}
	if (special_sum(frame, &sum))
		return type == NUMERICOID ? special_numeric(sum) :
			type == FLOAT4OID ? Float4GetDatum((float4) sum) : Float8GetDatum(sum);
	if (type == NUMERICOID)
		return datumCopy(frame->numerics, false, -1);
	sum = ExactSumRound(frame->sum);
	if (isinf(sum) || (type == FLOAT4OID && isinf((float4) sum)))
		float_overflow_error();
	return type == FLOAT4OID ? Float4GetDatum((float4) sum) : Float8GetDatum(sum);
}

static Datum
average_of(Frame *frame, int64 count)
{
	double		average;

	if (!special_sum(frame, &average))
		average = ExactSumMean(frame->sum, count);
	return Float8GetDatum(average);
}

static Datum
deviation_of(Frame *frame, int64 count)
{
	double		deviation;

	if (special_sum(frame, &deviation))
		return Float8GetDatum(get_float8_nan());
	deviation = ExactSumDeviation(frame->sum, frame->squares, count);
	if (isinf(deviation))
		float_overflow_error();
	return Float8GetDatum(deviation);
}

static Datum
copy_at(const Series *series, int64 position)
{
	return datumCopy(value_at(series, position), series->by_value, series->length);
}

static Datum
greatest_of(const Frame *frame, int k)
{
	const Series *series = frame->series;
	Datum	   *values = palloc(sizeof(Datum) * k);
	RBTreeIterator iterator;
	const OrderedValue *node;
	int			count = 0;

	rbt_begin_iterate(frame->order, RightLeftWalk, &iterator);
	while (count < k && (node = (const OrderedValue *) rbt_iterate(&iterator)) != NULL)
		values[count++] = node->value;
	return PointerGetDatum(construct_array(values, count, series->type, series->length,
										   series->by_value, series->align));
}

static Datum
result_of(const Result *result, bool *is_null)
{
	Frame	   *frame = result->frame;
	const Series *series = frame->series;
	AggregateFunction function = result->aggregation->function;
	int64		count = frame->end - series->head;

	*is_null = false;
	if (function == AGGREGATE_COUNT)
		return Int64GetDatum(count);
	if (function == AGGREGATE_DISTINCT_COUNT)
		return Int64GetDatum(frame->distinct);
	if (count == 0 || (function == AGGREGATE_STDDEV && count == 1))
	{
		*is_null = true;
		return (Datum) 0;
	}
	switch (function)
	{
		case AGGREGATE_SUM:
			return sum_of(frame);
		case AGGREGATE_AVG:
			return average_of(frame, count);
		case AGGREGATE_STDDEV:
			return deviation_of(frame, count);
		case AGGREGATE_FIRST:
			return copy_at(series, frame->end - 1);
		case AGGREGATE_LAST:
			return copy_at(series, series->head);
		case AGGREGATE_MIN:
			return copy_at(series, frame->least->positions[frame->least->front]);
		case AGGREGATE_MAX:
			return copy_at(series, frame->greatest->positions[frame->greatest->front]);
		case AGGREGATE_TOP_K:
			return greatest_of(frame, result->aggregation->k);
		case AGGREGATE_COUNT:
		case AGGREGATE_DISTINCT_COUNT:
			break;
	}
	pg_unreachable();
}

bool
WindowSetResult(WindowSet *set, Datum *values, bool *nulls, TimestampTz *newest)
{
	const Series *events = &set->series[set->series_count - 1];

	for (int i = 0; i < set->frame_count; i++)
	{
		Frame	   *frame = &set->frames[i];
		const Series *series = frame->series;

		for (; frame->end < series->end &&
			 series->times[frame->end - series->base] >= frame->start; frame->end++)
			enter(frame, frame->end);
	}
	for (int i = 0; i < set->result_count; i++)
		values[i] = result_of(&set->results[i], &nulls[i]);
	if (events->head == events->end || events->times[events->head - events->base] < set->start)
		return false;
	*newest = events->times[events->head - events->base];
	return true;
}
