/*-------------------------------------------------------------------------
 *
 * lookup.h
 *		Finding the rows of keys in a version.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_LOOKUP_H
#define VENICE_LOOKUP_H

#include "fmgr.h"

#include "read/handle.h"

typedef struct LookupKeys
{
	int64		count;
	Datum	   *values[INDEX_MAX_KEYS]; /* values[k][n]: column k of key n */
	bool	   *nulls[INDEX_MAX_KEYS];
} LookupKeys;

/*
 * Called for each key that is found, in their order: the table's columns by
 * number less one, valid until the visitor returns.  Only those that were asked for
 * need be there.
 */
typedef void (*RowVisitor) (void *argument, int64 position, const Datum *values, const bool *nulls);

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
					  const AttrNumber *wanted, int wanted_count, RowVisitor visitor,
					  void *argument);

#endif							/* VENICE_LOOKUP_H */
