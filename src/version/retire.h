/*-------------------------------------------------------------------------
 *
 * retire.h
 *		Dropping versions that nobody can reach any more.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_RETIRE_H
#define VENICE_RETIRE_H

#include "catalog/store.h"

/*
 * Drop a version's schema and what it holds, by list and never CASCADE, in the
 * caller's transaction.  Waits for locks no longer than lock_timeout_ms (0: as
 * long as it takes).  Raises 2BP01 when somebody's object depends on it, 55P03
 * when a lock was not to be had.
 */
extern void VersionDropSchema(const Store *store, const Version *version, int lock_timeout_ms);

/*
 * Note which of the transactions that began before the swap away from this version
 * still run; false if none does.  In a transaction that has taken StoreLock since
 * the swap: what begins after it has been told of the swap.
 */
extern bool VersionIsBeingLeft(const Version *version);

/*
 * May a snapshot see the time when this version was current?  It may be one of a
 * transaction, a replication slot, or a standby that sends feedback.
 */
extern bool VersionIsSeen(const Version *version);

/*
 * Versions whose time has come, that no transaction can reach, and that nothing
 * depends on, as a list of Version.
 */
extern List *VersionsToRetire(const Store *store);

#endif							/* VENICE_RETIRE_H */
