/*-------------------------------------------------------------------------
 *
 * join_sort.c
 *		Sorting the tuples of a join that are under way.
 *
 * It is the server's sort, which spills.  But most spines have one integer key and
 * fit into work_mem, and then what takes longest is waiting for memory: for each tuple
 * when it is compared, and again when it is read.  So these are sorted by a small array
 * of keys, and fetched into the processor's cache a few tuples ahead.
 *
 * Locks: none.
 * Must not know: what is joined.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/join_sort.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplesort.h"

/* How many tuples ahead, and how much of each: most are not longer than two lines. */
#define FETCH_AHEAD 16
#define CACHE_LINE_BYTES 64

typedef struct SortRow
{
	int64		key;
	TimestampTz time;
	MinimalTuple tuple;
} SortRow;

struct JoinSort
{
	TupleDesc	tuple;
	JoinSortColumn *columns;
	int			column_count;
	int			integer_bytes;
	Tuplesortstate *spilling;	/* the server's, or NULL: in memory */

	MemoryContext parent;
	MemoryContext context;		/* of the tuples */
	SortRow    *rows;
	int64		row_count;
	int64		row_space;
	int64		next_row;
};

static inline int
compare_rows(const SortRow *one, const SortRow *other)
{
	if (one->key != other->key)
		return one->key < other->key ? -1 : 1;
	return one->time > other->time ? -1 : one->time < other->time;
}

#define ST_SORT sort_rows
#define ST_ELEMENT_TYPE SortRow
#define ST_COMPARE(one, other) compare_rows(one, other)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DECLARE
#define ST_DEFINE
#include "lib/sort_template.h"

static void
begin_spilling(JoinSort *sort)
{
	int			count = sort->column_count;
	AttrNumber *columns = palloc(sizeof(AttrNumber) * count);
	Oid		   *operators = palloc(sizeof(Oid) * count);
	Oid		   *collations = palloc(sizeof(Oid) * count);
	bool	   *nulls_first = palloc0(sizeof(bool) * count);
	int			i;

	for (i = 0; i < count; i++)
	{
		columns[i] = sort->columns[i].column;
		operators[i] = sort->columns[i].operator;
		collations[i] = sort->columns[i].collation;
	}
	sort->spilling = tuplesort_begin_heap(sort->tuple, count, columns, operators, collations,
										  nulls_first, work_mem, NULL, TUPLESORT_NONE);
}

JoinSort *
JoinSortBegin(TupleDesc tuple, const JoinSortColumn *columns, int column_count, int integer_bytes)
{
	JoinSort   *sort = palloc0(sizeof(JoinSort));

	sort->parent = CurrentMemoryContext;
	sort->tuple = tuple;
	sort->columns = palloc(sizeof(JoinSortColumn) * column_count);
	memcpy(sort->columns, columns, sizeof(JoinSortColumn) * column_count);
	sort->column_count = column_count;
	sort->integer_bytes = integer_bytes;
	sort->context = GenerationContextCreate(CurrentMemoryContext, "venice join sort",
											ALLOCSET_DEFAULT_SIZES);
	if (integer_bytes == 0)
		begin_spilling(sort);
	else
	{
		sort->row_space = 1024;
		sort->rows = palloc(sizeof(SortRow) * sort->row_space);
	}
	return sort;
}

/* There is too much for the memory: leave it to the server. */
static void
spill(JoinSort *sort)
{
	MemoryContext old = MemoryContextSwitchTo(sort->parent);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(sort->tuple, &TTSOpsMinimalTuple);
	int64		i;

	begin_spilling(sort);
	for (i = 0; i < sort->row_count; i++)
		tuplesort_puttupleslot(sort->spilling,
							   ExecStoreMinimalTuple(sort->rows[i].tuple, slot, false));
	ExecDropSingleTupleTableSlot(slot);
	MemoryContextReset(sort->context);
	pfree(sort->rows);
	sort->rows = NULL;
	MemoryContextSwitchTo(old);
}

static void
keep(JoinSort *sort, TupleTableSlot *slot)
{
	MemoryContext old = MemoryContextSwitchTo(sort->context);
	SortRow    *row;
	bool		key_null;
	bool		time_null;
	Datum		key = slot_getattr(slot, sort->columns[0].column, &key_null);
	Datum		time = slot_getattr(slot, sort->columns[1].column, &time_null);

	if (sort->row_count == sort->row_space)
	{
		sort->row_space *= 2;
		sort->rows = repalloc_huge(sort->rows, sizeof(SortRow) * sort->row_space);
	}
	row = &sort->rows[sort->row_count++];
	row->key = key_null ? PG_INT64_MAX :
		sort->integer_bytes == sizeof(int64) ? DatumGetInt64(key) :
		sort->integer_bytes == sizeof(int32) ? DatumGetInt32(key) : DatumGetInt16(key);
	row->time = time_null ? DT_NOBEGIN : DatumGetTimestampTz(time);
	row->tuple = ExecCopySlotMinimalTuple(slot);
	MemoryContextSwitchTo(old);
}

void
JoinSortPut(JoinSort *sort, TupleTableSlot *slot)
{
	if (sort->spilling != NULL)
	{
		tuplesort_puttupleslot(sort->spilling, slot);
		return;
	}
	keep(sort, slot);
	if (sort->row_count % 64 == 0 &&
		MemoryContextMemAllocated(sort->context, false) + sizeof(SortRow) * sort->row_space >
		work_mem * (Size) 1024)
		spill(sort);
}

void
JoinSortPerform(JoinSort *sort)
{
	if (sort->spilling != NULL)
		tuplesort_performsort(sort->spilling);
	else
		sort_rows(sort->rows, sort->row_count);
}

static inline void
prefetch(const void *memory)
{
#ifdef __GNUC__
	__builtin_prefetch(memory);
#endif
}

bool
JoinSortGet(JoinSort *sort, TupleTableSlot *slot, MemoryContext kept)
{
	if (sort->spilling != NULL)
	{
		if (!tuplesort_gettupleslot(sort->spilling, true, false, slot, NULL))
			return false;
		if (kept != NULL)
		{
			MemoryContext old = MemoryContextSwitchTo(kept);

			ExecStoreMinimalTuple(ExecCopySlotMinimalTuple(slot), slot, false);
			MemoryContextSwitchTo(old);
		}
		return true;
	}
	if (sort->next_row == sort->row_count)
	{
		ExecClearTuple(slot);
		return false;
	}
	if (sort->next_row + FETCH_AHEAD < sort->row_count)
	{
		const char *ahead = (char *) sort->rows[sort->next_row + FETCH_AHEAD].tuple;

		prefetch(ahead);
		prefetch(ahead + CACHE_LINE_BYTES);
	}
	ExecStoreMinimalTuple(sort->rows[sort->next_row++].tuple, slot, false);
	return true;
}

int64
JoinSortEnd(JoinSort *sort)
{
	int64		spilled_kb = 0;

	if (sort->spilling != NULL)
	{
		TuplesortInstrumentation statistics;

		tuplesort_get_stats(sort->spilling, &statistics);
		if (statistics.spaceType == SORT_SPACE_TYPE_DISK)
			spilled_kb = statistics.spaceUsed;
		tuplesort_end(sort->spilling);
	}
	MemoryContextDelete(sort->context);
	if (sort->rows != NULL)
		pfree(sort->rows);
	pfree(sort);
	return spilled_kb;
}
