/*-------------------------------------------------------------------------
 *
 * build.h
 *		From a filled table to one that may become current.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_BUILD_H
#define VENICE_BUILD_H

#include "catalog/store.h"

/* What a build is doing, for venice.stat_progress_push. */
typedef enum BuildPhase
{
	BUILD_REPAIRING,
	BUILD_INDEXING,
	BUILD_ANALYZING,
	BUILD_CHECKING
} BuildPhase;

typedef void (*BuildProgress) (const Version *version, BuildPhase phase, void *argument);

/*
 * Give a version what users have attached to the current one's records, and take
 * from it what they have taken from that since it was last given; as the store's owner.
 */
extern void VersionFollow(const Store *store, Version *version, Oid current);

/*
 * Repair, primary key, indexes, constraints and triggers as the current version
 * has them, ANALYZE; then state ready.  Runs in the caller's transaction, as the
 * store's owner in a restricted context.  Raises 23505 naming duplicate keys, or
 * whatever an index, a constraint or a type raises; the caller decides whether
 * that fails the push.  progress may be NULL.
 */
extern void VersionBuild(Store *store, Version *version, BuildProgress progress, void *argument);

#endif							/* VENICE_BUILD_H */
