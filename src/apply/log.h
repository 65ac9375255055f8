/*-------------------------------------------------------------------------
 *
 * log.h
 *		The log of writes to a store: <store>_history.log.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_APPLY_LOG_H
#define VENICE_APPLY_LOG_H

#include "access/tupdesc.h"
#include "utils/jsonb.h"
#include "utils/snapshot.h"

#include "catalog/store.h"
#include "merge/merge.h"

/* Versions that take writes, as they are now: under StoreWritersLock. */
extern List *CompleteVersions(const Store *store);

/*
 * The store's columns that a version has, in the store's order, keys first, as they are in
 * the version, without bookkeeping; palloc'd.
 */
extern TupleDesc WriteColumns(const Store *store, Oid records);

/*
 * Make the log for a store's first write.  Before a row is locked: who else writes to the
 * store for the first time waits for the end of this transaction.
 */
extern void LogMake(const Store *store);

/* A write as the log has it. */
typedef struct LoggedWrite
{
	WriteKind	kind;
	const Jsonb *key;
	const Jsonb *fields;		/* as in ChangeReadPatch or ChangeReadRow; NULL of other kinds */
	int64		time;
	TimestampTz event_time;
	int32		tie_hash;
} LoggedWrite;

/* Append writes, after they were applied and in their order, as the store's owner. */
extern void LogAppend(const Store *store, const LoggedWrite *writes, int count);

/*
 * Write to a version that is built what the log has of the store's last rewind, then
 * keep writers out, and what has come meanwhile; from the end of the transaction on it is
 * complete.  As the store's owner.  copied: the snapshot under which the current version
 * was copied to it, with all that had been written; then only the rest is written.
 */
extern void VersionCatchUp(const Store *store, const Version *version, Snapshot copied);

/*
 * Stores (char *) whose log has what no version to come can ask for, or whose versions
 * remember deletions that no late write is waited for any more.
 */
extern List *StoresWithOldWrites(void);

/* Is there one?  For who asks all the time: the answer may be a minute old. */
extern bool OldWritesAreThere(void);

/* Delete that; says whether there was anything. */
extern bool OldWritesDelete(const char *store);

/* Drop the log, so that its schema can go. */
extern void LogDrop(const Store *store);

#endif							/* VENICE_APPLY_LOG_H */
