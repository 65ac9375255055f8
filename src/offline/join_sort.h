/*-------------------------------------------------------------------------
 *
 * join_sort.h
 *		Sorting the tuples of a join that are under way.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_JOIN_SORT_H
#define VENICE_JOIN_SORT_H

#include "executor/tuptable.h"

/* Tuples are read in an order that they do not lie in: so many ahead, one is fetched. */
#define JOIN_FETCH_AHEAD 16

typedef struct JoinSort JoinSort;

/* Have a tuple in the processor's cache soon: most are not longer than two lines. */
static inline void
JoinTupleFetch(const void *tuple)
{
	__builtin_prefetch(tuple);
	__builtin_prefetch((const char *) tuple + 64);
}

typedef struct JoinSortColumn
{
	AttrNumber	column;
	Oid			operator;		/* less or greater than */
	Oid			collation;
} JoinSortColumn;

/*
 * A sort by the columns; NULLs last.  integer_bytes is not 0 where the first of two columns
 * is an integer of that size to be sorted upwards, and the second a time, downwards, and a row
 * where one is NULL may stand anywhere.
 */
extern JoinSort *JoinSortBegin(TupleDesc tuple, const JoinSortColumn *columns, int column_count,
							   int integer_bytes);
extern void JoinSortPut(JoinSort *sort, TupleTableSlot *slot);

/* After the last was put. */
extern void JoinSortPerform(JoinSort *sort);

/*
 * Into a slot for minimal tuples, good until the next call; false: at the end.  With
 * kept the row is good until that context is reset, or JoinSortEnd.
 */
extern bool JoinSortGet(JoinSort *sort, TupleTableSlot *slot, MemoryContext kept);

/* How much has been written to disk? */
extern int64 JoinSortEnd(JoinSort *sort);

#endif							/* VENICE_JOIN_SORT_H */
