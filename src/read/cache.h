/*-------------------------------------------------------------------------
 *
 * cache.h
 *		Rows in shared memory, whose answers are exactly the table's.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_CACHE_H
#define VENICE_CACHE_H

#include "access/attnum.h"
#include "access/htup.h"
#include "lib/stringinfo.h"
#include "pg_config_manual.h"
#include "utils/snapshot.h"

/* Longer keys are not cached, and neither are longer rows. */
#define CACHE_KEY_BYTES		256
#define CACHE_ROW_BYTES		(32 * 1024)

/* What a row is kept as. */
typedef enum CacheForm
{
	CACHE_TUPLE = 1,			/* a tuple of the table, nothing in it compressed or out of line */
	CACHE_PACKED				/* as encode.h writes it, in the server's encoding */
} CacheForm;

/* A table whose rows may be kept, as its catalog entries are now; a change makes it another one. */
typedef struct CacheTable
{
	Oid			records;
	Oid			file;			/* relfilenode */
	Oid			key_index;		/* of the primary key */
	uint64		trigger;		/* who last changed the trigger that reports writes, and when */
	uint32		shape;			/* of its columns */
	int			ttl_s;			/* how long an entry lives; 0: for ever */
	int			statistics;		/* the store's place in read statistics, -1: none */
	int			key_count;
	AttrNumber	key_attributes[INDEX_MAX_KEYS];
	int16		key_lengths[INDEX_MAX_KEYS];	/* of their types */
	bool		key_by_value[INDEX_MAX_KEYS];
} CacheTable;

/* The bytes of a key.  Equal bytes are equal keys; the reverse need not be so. */
typedef struct CacheKey
{
	uint32		hash;
	int			length;
	const void *entry;			/* most likely, of CachePrefetchEntries */
	char		bytes[CACHE_KEY_BYTES];
} CacheKey;

/* Ask for the memory, while shared_preload_libraries is being processed. */
extern void CacheRequest(void);

/* Has this server one, and of how many bytes? */
extern bool CacheIsConfigured(void);
extern int64 CacheBytes(void);

/* May this snapshot, in this transaction, be answered from the cache? */
extern bool CacheMayAnswer(Snapshot snapshot);

/* False when the key is too long. */
extern bool CacheKeyMake(const CacheTable *table, const Datum *values, CacheKey *key);

/*
 * Fetch into the processor's caches what CacheVisit will touch: the bucket long before
 * the key's turn, then the entry, and shortly before it the rest of a long one.
 */
extern void CachePrefetchBuckets(const CacheKey *keys, int count, CacheForm form);
extern void CachePrefetchEntries(CacheKey *keys, int count, CacheForm form);
extern void CachePrefetchRest(const CacheKey *key);

/* Find an entry that this snapshot may see, and append its bytes. */
extern bool CacheCopy(const CacheTable *table, const CacheKey *key, CacheForm form,
					  Snapshot snapshot, StringInfo bytes);

/*
 * The same for who needs no copy.  The visitor is short and does not fail but for want of
 * memory.  Unless "locked" the bytes may be changing while it reads them: it looks at
 * no others, whatever these say, or returns false to be called with the lock.  Its last
 * call, and only if CacheVisit returns true, is the one that counts.
 */
typedef bool (*CacheVisitor) (void *argument, const char *bytes, int length, bool locked);

extern bool CacheVisit(const CacheTable *table, const CacheKey *key, CacheForm form,
					   Snapshot snapshot, CacheVisitor visitor, void *argument);

/*
 * Keep what was read from the table under a snapshot, if that is the row's newest
 * version and nobody is about to replace it.
 */
extern bool CacheFill(const CacheTable *table, const CacheKey *key, CacheForm form,
					  Snapshot snapshot, HeapTuple tuple, const char *bytes, int length);

/*
 * This transaction is about to replace or delete the row of a key: to be called
 * before it does.  Assigns a transaction id.  A new row need not be reported.
 */
extern void CacheForget(const CacheTable *table, const CacheKey *key);

#endif							/* VENICE_CACHE_H */
