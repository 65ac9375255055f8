/*-------------------------------------------------------------------------
 *
 * join_sort.c
 *		Sorting the tuples of a join that are under way.
 *
 * It is the server's sort, which spills.  But most spines have one integer key and
 * fit into work_mem, and then what takes longest is waiting for memory: for each tuple
 * when it is compared, and again when it is read.  So these are sorted by a small array
 * of keys, a digit after the other, and fetched into the processor's cache a few tuples
 * ahead.  Tuples lie one behind the other, as nothing is freed before all is.
 *
 * Locks: none.
 * Must not know: what is joined.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/join_sort.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplesort.h"

/* Blocks that tuples are put into, each twice as large as the one before. */
#define FIRST_BLOCK_BYTES (8 * 1024)
#define LAST_BLOCK_BYTES (1024 * 1024)

#define DIGIT_BITS 8
#define DIGIT_VALUES (1 << DIGIT_BITS)

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
	char	   *free;			/* what is left of the last block */
	Size		free_bytes;
	Size		block_bytes;
	SortRow    *rows;
	int64		row_count;
	int64		row_space;
	int64		next_row;
};

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
	sort->context = AllocSetContextCreate(CurrentMemoryContext, "venice join sort",
										  ALLOCSET_DEFAULT_SIZES);
	sort->block_bytes = FIRST_BLOCK_BYTES;
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
	sort->free_bytes = 0;
	pfree(sort->rows);
	sort->rows = NULL;
	MemoryContextSwitchTo(old);
}

static void *
take_space(JoinSort *sort, Size bytes)
{
	void	   *taken;

	bytes = MAXALIGN(bytes);
	if (bytes > sort->free_bytes)
	{
		sort->free_bytes = Max(sort->block_bytes, bytes);
		sort->free = MemoryContextAlloc(sort->context, sort->free_bytes);
		sort->block_bytes = Min(sort->block_bytes * 2, LAST_BLOCK_BYTES);
	}
	taken = sort->free;
	sort->free += bytes;
	sort->free_bytes -= bytes;
	return taken;
}

/* As heap_form_minimal_tuple has it, which allocates each. */
static MinimalTuple
keep_tuple(JoinSort *sort, TupleTableSlot *slot)
{
	TupleDesc	columns = sort->tuple;
	Size		header_bytes = SizeofMinimalTupleHeader;
	Size		data_bytes;
	bool		has_nulls = memchr(slot->tts_isnull, true, columns->natts) != NULL;
	MinimalTuple tuple;

	if (has_nulls)
		header_bytes += BITMAPLEN(columns->natts);
	header_bytes = MAXALIGN(header_bytes);
	data_bytes = heap_compute_data_size(columns, slot->tts_values, slot->tts_isnull);
	tuple = take_space(sort, header_bytes + data_bytes);
	memset(tuple, 0, header_bytes + data_bytes);
	tuple->t_len = header_bytes + data_bytes;
	HeapTupleHeaderSetNatts(tuple, columns->natts);
	tuple->t_hoff = header_bytes + MINIMAL_TUPLE_OFFSET;
	heap_fill_tuple(columns, slot->tts_values, slot->tts_isnull, (char *) tuple + header_bytes,
					data_bytes, &tuple->t_infomask, has_nulls ? tuple->t_bits : NULL);
	return tuple;
}

static void
keep(JoinSort *sort, TupleTableSlot *slot)
{
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
	row->tuple = keep_tuple(sort, slot);
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
		MemoryContextMemAllocated(sort->context, false) + 2 * sizeof(SortRow) * sort->row_space >
		work_mem * (Size) 1024)
		spill(sort);
}

/* Move rows into the order of one byte of their times, or keys, which are counted from first. */
static void
sort_by_digit(const SortRow *from, SortRow *to, int64 count, bool by_time, int64 first, int shift)
{
	int64		places[DIGIT_VALUES] = {0};
	int64		place = 0;

#define DIGIT(row) \
	((by_time ? (uint64) first - (uint64) (row)->time : (uint64) (row)->key - (uint64) first) \
	 >> shift & (DIGIT_VALUES - 1))
	for (int64 i = 0; i < count; i++)
		places[DIGIT(&from[i])]++;
	for (int i = 0; i < DIGIT_VALUES; i++)
	{
		int64		rows = places[i];

		places[i] = place;
		place += rows;
	}
	for (int64 i = 0; i < count; i++)
		to[places[DIGIT(&from[i])]++] = from[i];
#undef DIGIT
}

/*
 * By each digit in turn, the last first.  Keys and times are counted from their first, so
 * that most of them have few digits.
 */
static void
sort_rows(JoinSort *sort)
{
	int64		count = sort->row_count;
	SortRow    *to = palloc_extended(sizeof(SortRow) * Max(count, 1), MCXT_ALLOC_HUGE);
	SortRow     least = {PG_INT64_MAX, PG_INT64_MAX};
	SortRow     greatest = {PG_INT64_MIN, PG_INT64_MIN};

	for (int64 i = 0; i < count; i++)
	{
		least.key = Min(least.key, sort->rows[i].key);
		least.time = Min(least.time, sort->rows[i].time);
		greatest.key = Max(greatest.key, sort->rows[i].key);
		greatest.time = Max(greatest.time, sort->rows[i].time);
	}
	for (int by_time = 1; by_time >= 0; by_time--)
	{
		uint64		range = by_time ? (uint64) greatest.time - (uint64) least.time :
			(uint64) greatest.key - (uint64) least.key;

		for (int shift = 0; count > 1 && shift < 64 && range >> shift != 0; shift += DIGIT_BITS)
		{
			SortRow    *from = sort->rows;

			CHECK_FOR_INTERRUPTS();
			sort_by_digit(from, to, count, by_time, by_time ? greatest.time : least.key, shift);
			sort->rows = to;
			to = from;
		}
	}
	pfree(to);
}

void
JoinSortPerform(JoinSort *sort)
{
	if (sort->spilling != NULL)
		tuplesort_performsort(sort->spilling);
	else
		sort_rows(sort);
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
	if (sort->next_row + JOIN_FETCH_AHEAD < sort->row_count)
		JoinTupleFetch(sort->rows[sort->next_row + JOIN_FETCH_AHEAD].tuple);
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
