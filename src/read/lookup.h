/*-------------------------------------------------------------------------
 *
 * lookup.h
 *		Finding the rows of keys in a version.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_LOOKUP_H
#define VENICE_LOOKUP_H

#include "executor/tuptable.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/tuplestore.h"

#include "read/handle.h"

typedef struct LookupKeys
{
	int64		count;
	Datum	   *values[INDEX_MAX_KEYS]; /* values[k][n]: column k of key n */
	bool	   *nulls[INDEX_MAX_KEYS];
} LookupKeys;

/* Where rows go, in the order of their keys; what is given is valid until the call returns. */
typedef struct RowSink
{
	/* A row: the table's columns by number less one; those that were asked for at least. */
	void		(*row) (void *argument, int64 position, const Datum *values, const bool *nulls);

	/* A key that has no row; NULL for a sink that does not want to know. */
	void		(*absent) (void *argument, int64 position);

	/*
	 * For a sink whose own form of rows is worth keeping; else NULL.  That is where
	 * "row" appends a row in that form; those that have been kept are appended to it
	 * without a call.
	 */
	StringInfo	packed;

	/*
	 * For a sink that can do with a tuple as the table has it; else NULL.  False: it
	 * wants this row by its columns.
	 */
	bool		(*stored) (void *argument, int64 position, HeapTuple tuple);

	/*
	 * For a sink that needs no copy of a row; else NULL.  A tuple of the table that goes
	 * away when the call returns; see CacheVisitor for what may be done with it, and
	 * for the result.  A row that was given may be given once more; the last one counts.
	 */
	bool		(*in_place) (void *argument, int64 position, HeapTuple tuple,
							 TupleDesc descriptor, bool locked);
	void	   *argument;
} RowSink;

/* Raise 0A000 unless the function is called where it may return rows. */
extern void LookupRequireRows(FunctionCallInfo fcinfo);

/* Where such a function puts its rows, which are made by the expected descriptor. */
extern Tuplestorestate *LookupBeginRows(FunctionCallInfo fcinfo);

/*
 * What a look-up of one key begins with, before it has the handle: fetch what the
 * key most likely needs, by what this backend has looked up last.  Without effect
 * on the answer.
 */
extern void LookupExpect(FunctionCallInfo fcinfo, int first);

/*
 * The keys among a function's arguments, from number `first` on: one each, or an
 * array each, all of one length.  22023 when there are not as many as key columns,
 * 42804 when one is not of its column's type, 2202E when lengths differ.  A NULL
 * array is no keys.
 */
extern void LookupKeysScalar(FunctionCallInfo fcinfo, int first, const char *store,
							 const StoreHandle *handle, LookupKeys *keys);
extern void LookupKeysArray(FunctionCallInfo fcinfo, int first, const char *store,
							const StoreHandle *handle, LookupKeys *keys);

/* Look keys up under the active snapshot; a key with a NULL is not found. */
extern void LookupRun(const StoreHandle *handle, const char *store, const LookupKeys *keys,
					  const AttrNumber *wanted, int wanted_count, const RowSink *sink);

/* Every row that the caller may see, numbered from 0, in no order. */
extern void LookupAll(const StoreHandle *handle, const char *store, const AttrNumber *wanted,
					  int wanted_count, const RowSink *sink);

/* A row as a tuple in one piece, nothing in it compressed; palloc'd. */
extern HeapTuple RowFlatten(TupleTableSlot *row);

#endif							/* VENICE_LOOKUP_H */
