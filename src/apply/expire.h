/*-------------------------------------------------------------------------
 *
 * expire.h
 *		Rows that expire: option ttl.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_APPLY_EXPIRE_H
#define VENICE_APPLY_EXPIRE_H

#include "catalog/store.h"

/* Stores (char *) of which a version is to be looked through for rows that have expired. */
extern List *StoresWithExpiry(void);

/* Is there one?  For who asks all the time. */
extern bool ExpiryIsDue(void);

/*
 * Take a number of rows that have expired from a store's versions; true if there may be
 * more.  Transaction by transaction, in one process, it comes to the end.
 */
extern bool ExpireRows(const char *store);

/* Look through a store's versions at the next opportunity; NULL: through those of all stores. */
extern void ExpireSoon(const char *store);

/*
 * Take from a version, which nobody else sees, what was written to its rows before a time
 * (microseconds since 1970), by WRITE_EXPIRE.
 */
extern void VersionExpire(const Store *store, const Version *version, int64 before,
						  bool with_pushed);

/* Now less a length of time, in microseconds since 1970, which writes are counted from. */
extern int64 ExpiryTime(int64 ttl_us);

#endif							/* VENICE_APPLY_EXPIRE_H */
