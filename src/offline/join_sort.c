/*-------------------------------------------------------------------------
 *
 * join_sort.c
 *		Sorting the tuples of a join that are under way.
 *
 * It is the server's sort.  But most spines have one integer key, and then what takes
 * longest is waiting for memory: for each tuple when it is compared, and again when it is
 * read.  So these are sorted by a small array of keys, a digit after the other, and
 * fetched into the processor's cache a few tuples ahead.  Tuples lie one behind the other, as
 * nothing is freed before all is.
 *
 * What does not fit into work_mem is written as runs, each in order, which are merged when
 * they are read.  Only where there would be too many of them it is the server's sort after all.
 *
 * Locks: none; temporary files.
 * Must not know: what is joined.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/join_sort.h"

#include "access/htup_details.h"
#include "lib/binaryheap.h"
#include "miscadmin.h"
#include "storage/buffile.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplesort.h"

/* Blocks that tuples are put into, each twice as large as the one before. */
#define FIRST_BLOCK_BYTES (8 * 1024)
#define LAST_BLOCK_BYTES (1024 * 1024)

#define DIGIT_BITS 8
#define DIGIT_VALUES (1 << DIGIT_BITS)

/* Runs that are merged at once: each has a file's buffer. */
#define MAX_RUNS 128

typedef struct SortRow
{
	int64		key;
	TimestampTz time;
	MinimalTuple tuple;
} SortRow;

/* What stands in a run before the tuple. */
#define ROW_HEADER_BYTES offsetof(SortRow, tuple)

typedef struct Run
{
	BufFile    *file;
	SortRow		row;			/* to be read next, and space for it */
	Size		tuple_space;
} Run;

struct JoinSort
{
	TupleDesc	tuple;
	JoinSortColumn *columns;
	int			column_count;
	int			integer_bytes;
	Tuplesortstate *server;		/* its sort, or NULL: ours */

	MemoryContext parent;
	MemoryContext context;		/* of the tuples */
	char	   *free;			/* what is left of the last block */
	Size		free_bytes;
	Size		block_bytes;
	SortRow    *rows;
	int64		row_count;
	int64		row_space;
	int64		next_row;

	Run			runs[MAX_RUNS];
	int			run_count;		/* 0: all is in memory */
	binaryheap *merging;		/* of pointers to those that are not at their end */
	bool		was_given;		/* the first of them has given its row, and has the next to read */
	int64		written_bytes;
};

static void
begin_server_sort(JoinSort *sort)
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
	sort->server = tuplesort_begin_heap(sort->tuple, count, columns, operators, collations,
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
		begin_server_sort(sort);
	else
	{
		sort->row_space = 1024;
		sort->rows = palloc(sizeof(SortRow) * sort->row_space);
	}
	return sort;
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
	SortRow    *to = palloc_extended(sizeof(SortRow) * sort->row_space, MCXT_ALLOC_HUGE);
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

/* Write what is in memory as a run, and forget it. */
static void
write_run(JoinSort *sort)
{
	MemoryContext old = MemoryContextSwitchTo(sort->parent);
	Run		   *run = &sort->runs[sort->run_count++];

	sort_rows(sort);
	memset(run, 0, sizeof(Run));
	run->file = BufFileCreateTemp(false);
	for (int64 i = 0; i < sort->row_count; i++)
	{
		SortRow    *row = &sort->rows[i];

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (i + JOIN_FETCH_AHEAD < sort->row_count)
			JoinTupleFetch(sort->rows[i + JOIN_FETCH_AHEAD].tuple);
		BufFileWrite(run->file, row, ROW_HEADER_BYTES);
		BufFileWrite(run->file, row->tuple, row->tuple->t_len);
		sort->written_bytes += ROW_HEADER_BYTES + row->tuple->t_len;
	}
	if (BufFileSeek(run->file, 0, 0, SEEK_SET) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not rewind temporary file")));
	MemoryContextReset(sort->context);
	sort->free_bytes = 0;
	sort->block_bytes = FIRST_BLOCK_BYTES;
	sort->row_count = 0;
	MemoryContextSwitchTo(old);
}

/* All of so many bytes; false: at the end there are none. */
static bool
read_bytes(Run *run, void *to, Size bytes)
{
	Size		read = BufFileRead(run->file, to, bytes);

	if (read != 0 && read != bytes)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read from temporary file: read only %zu of %zu bytes", read,
						bytes)));
	return read != 0;
}

/* The next row of a run; false: it is at its end. */
static bool
read_run(JoinSort *sort, Run *run)
{
	uint32		length;

	if (!read_bytes(run, &run->row, ROW_HEADER_BYTES) ||
		!read_bytes(run, &length, sizeof(length)))
		return false;
	if (run->tuple_space < length)
	{
		if (run->row.tuple != NULL)
			pfree(run->row.tuple);
		run->tuple_space = length * (Size) 2;
		run->row.tuple = MemoryContextAllocHuge(sort->parent, run->tuple_space);
	}
	run->row.tuple->t_len = length;
	return read_bytes(run, (char *) run->row.tuple + sizeof(length), length - sizeof(length));
}

static void
end_run(Run *run)
{
	BufFileClose(run->file);
	if (run->row.tuple != NULL)
		pfree(run->row.tuple);
}

/* There would be too many runs: give all rows to the server's sort. */
static void
leave_to_server(JoinSort *sort)
{
	MemoryContext old = MemoryContextSwitchTo(sort->parent);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(sort->tuple, &TTSOpsMinimalTuple);

	begin_server_sort(sort);
	for (int i = 0; i < sort->run_count; i++)
	{
		while (read_run(sort, &sort->runs[i]))
		{
			CHECK_FOR_INTERRUPTS();
			tuplesort_puttupleslot(sort->server,
								   ExecStoreMinimalTuple(sort->runs[i].row.tuple, slot, false));
		}
		end_run(&sort->runs[i]);
	}
	sort->run_count = 0;
	ExecDropSingleTupleTableSlot(slot);
	pfree(sort->rows);
	sort->rows = NULL;
	MemoryContextSwitchTo(old);
}

void
JoinSortPut(JoinSort *sort, TupleTableSlot *slot)
{
	if (sort->server != NULL)
	{
		tuplesort_puttupleslot(sort->server, slot);
		return;
	}
	keep(sort, slot);
	if (sort->row_count % 64 == 0 &&
		MemoryContextMemAllocated(sort->context, false) + 2 * sizeof(SortRow) * sort->row_space >
		work_mem * (Size) 1024)
	{
		write_run(sort);
		if (sort->run_count == MAX_RUNS)
			leave_to_server(sort);
	}
}

/* For a heap whose first is its greatest: the run whose row comes first. */
static int
compare_runs(Datum one, Datum other, void *argument)
{
	const SortRow *a = &((Run *) DatumGetPointer(one))->row;
	const SortRow *b = &((Run *) DatumGetPointer(other))->row;

	if (a->key != b->key)
		return a->key < b->key ? 1 : -1;
	return a->time < b->time ? -1 : a->time > b->time;
}

static void
begin_merge(JoinSort *sort)
{
	MemoryContext old = MemoryContextSwitchTo(sort->parent);

	pfree(sort->rows);
	sort->rows = NULL;
	sort->merging = binaryheap_allocate(sort->run_count, compare_runs, NULL);
	for (int i = 0; i < sort->run_count; i++)
		if (read_run(sort, &sort->runs[i]))
			binaryheap_add_unordered(sort->merging, PointerGetDatum(&sort->runs[i]));
	binaryheap_build(sort->merging);
	MemoryContextSwitchTo(old);
}

/* The next row of all runs; false: there is none. */
static bool
merge_next(JoinSort *sort, TupleTableSlot *slot)
{
	Run		   *run;

	if (sort->was_given)
	{
		run = (Run *) DatumGetPointer(binaryheap_first(sort->merging));
		if (read_run(sort, run))
			binaryheap_replace_first(sort->merging, PointerGetDatum(run));
		else
			(void) binaryheap_remove_first(sort->merging);
	}
	sort->was_given = !binaryheap_empty(sort->merging);
	if (!sort->was_given)
	{
		ExecClearTuple(slot);
		return false;
	}
	run = (Run *) DatumGetPointer(binaryheap_first(sort->merging));
	ExecStoreMinimalTuple(run->row.tuple, slot, false);
	return true;
}

void
JoinSortPerform(JoinSort *sort)
{
	if (sort->server != NULL)
		tuplesort_performsort(sort->server);
	else if (sort->run_count == 0)
		sort_rows(sort);
	else
	{
		if (sort->row_count > 0)
			write_run(sort);
		begin_merge(sort);
	}
}

bool
JoinSortGet(JoinSort *sort, TupleTableSlot *slot, MemoryContext kept)
{
	if (sort->server != NULL || sort->merging != NULL)
	{
		if (sort->server != NULL ? !tuplesort_gettupleslot(sort->server, true, false, slot, NULL) :
			!merge_next(sort, slot))
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
	int64		spilled_kb = sort->written_bytes / 1024;

	if (sort->server != NULL)
	{
		TuplesortInstrumentation statistics;

		tuplesort_get_stats(sort->server, &statistics);
		if (statistics.spaceType == SORT_SPACE_TYPE_DISK)
			spilled_kb += statistics.spaceUsed;
		tuplesort_end(sort->server);
	}
	for (int i = 0; i < sort->run_count; i++)
		end_run(&sort->runs[i]);
	if (sort->merging != NULL)
		binaryheap_free(sort->merging);
	MemoryContextDelete(sort->context);
	if (sort->rows != NULL)
		pfree(sort->rows);
	pfree(sort);
	return spilled_kb;
}
