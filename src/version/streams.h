/*-------------------------------------------------------------------------
 *
 * streams.h
 *		How far versions are with the real-time topics of their store.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_STREAMS_H
#define VENICE_STREAMS_H

#include "utils/snapshot.h"

#include "catalog/store.h"

/* The version number that the store's history has in venice.partition_state. */
#define HISTORY_VERSION (-1)

/*
 * In SQL, for a row v of venice.store_version: has it caught up with all partitions of
 * all its real-time topics?  True where there are none.
 */
#define V_HAS_CAUGHT_UP \
	"(NOT EXISTS (SELECT FROM pg_catalog.generate_series(0, " \
	"pg_catalog.jsonb_array_length(v.options -> 'real_time_topics') - 1) region " \
	"WHERE (SELECT pg_catalog.bool_and(p.joined) FROM (" \
	"SELECT a.joined FROM venice.partition_state a WHERE a.store_name = v.store_name " \
	"AND a.version = v.version AND a.region = region.region " \
	"UNION ALL SELECT b.joined FROM venice.unlogged_partition_state b " \
	"WHERE b.store_name = v.store_name AND b.version = v.version " \
	"AND b.region = region.region) p) IS NOT TRUE))"

/* The same of one version. */
extern bool VersionHasCaughtUp(const Version *version);

/* Raise 55000 unless it has. */
extern void VersionCheckCaughtUp(const Version *version);

/*
 * A version was copied from another, under a snapshot: it goes on reading where that one
 * was.
 */
extern void VersionStreamsCopy(const Version *from, const Version *to, Snapshot snapshot);

/*
 * The store's history has the rows of a version as they are: what is read from its
 * real-time topics from there on is appended to it.  Does nothing for partitions that
 * are appended already.  The version is not written to until the end of the transaction.
 */
extern void HistoryStreamsBegin(const Store *store, const Version *version);

/* The history is gone. */
extern void HistoryStreamsEnd(const char *store);

#endif							/* VENICE_STREAMS_H */
