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

typedef struct JoinSort JoinSort;

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
