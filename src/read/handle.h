/*-------------------------------------------------------------------------
 *
 * handle.h
 *		What a backend remembers of a version's table to look keys up in it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_HANDLE_H
#define VENICE_HANDLE_H

#include "access/attnum.h"
#include "pg_config_manual.h"
#include "utils/relcache.h"

#include "read/cache.h"

typedef struct StoreHandle
{
	Oid			records;		/* the table; locked until the end of the transaction */
	Oid			index;			/* of its primary key */
	int			version;
	uint64		build;			/* another number when anything here may be another */
	int			key_count;
	AttrNumber	key_attributes[INDEX_MAX_KEYS];
	Oid			key_types[INDEX_MAX_KEYS];
	RegProcedure key_equality[INDEX_MAX_KEYS];	/* in the index */
	bool		selects_all;	/* the user may read every column; otherwise look at each */
	bool		row_security;	/* policies apply to the user */
	bool		cached;			/* its rows may be in the cache */
	CacheTable	cache;			/* as which; and the store's place in read statistics */
} StoreHandle;

/*
 * The store's current version under the active snapshot, locked, for the current
 * user.  42704 when there is no such store, 42501 without USAGE on its schema,
 * 55000 for a version that cannot be read.
 */
extern void StoreHandleOpen(const char *store, StoreHandle *handle);

/* A version's table as the cache knows it; false when its rows are not to be cached. */
extern bool StoreCacheTable(const char *store, Relation records, CacheTable *table);

/* Raise 42501 unless the user may read these columns, and those of the key. */
extern void StoreHandleCheckColumns(const StoreHandle *handle, const char *store,
									const AttrNumber *attributes, int count);

#endif							/* VENICE_HANDLE_H */
