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
 * all its real-time topics, and with the store's other versions?  True where there are none.
 * Versions that had come further in a topic that was replaced since do not count: what they
 * have read last is older.  Nor may the history be behind: it would get once more what a
 * swap appends to it.
 */
#define V_HAS_CAUGHT_UP \
	"(NOT EXISTS (SELECT FROM pg_catalog.generate_series(0, " \
	"pg_catalog.jsonb_array_length(v.options -> 'real_time_topics') - 1) region " \
	"WHERE (SELECT pg_catalog.bool_and(p.joined AND NOT EXISTS (" \
	"SELECT FROM (" STREAM_STATES ") o WHERE o.store_name = p.store_name AND o.region = p.region " \
	"AND o.topic = p.topic AND o.partition = p.partition AND o.joined " \
	"AND ((o.next_offset > p.next_offset AND o.last_record_time >= p.last_record_time) " \
	"OR (o.version < 0 AND o.next_offset < p.next_offset)))) " \
	"FROM (" STREAM_STATES ") p WHERE p.store_name = v.store_name AND p.version = v.version " \
	"AND p.region = region.region) IS NOT TRUE))"

#define STREAM_STATES \
	"SELECT a.store_name, a.version, a.region, a.topic, a.partition, a.joined, a.next_offset, " \
	"a.last_record_time FROM venice.partition_state a UNION ALL " \
	"SELECT b.store_name, b.version, b.region, b.topic, b.partition, b.joined, b.next_offset, " \
	"b.last_record_time FROM venice.unlogged_partition_state b"

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
 * real-time topics from there on is appended to it.  Where nothing was before, the version is
 * not written to until the end of the transaction.
 */
extern void HistoryStreamsBegin(const Store *store, const Version *version);

/* The history is gone. */
extern void HistoryStreamsEnd(const char *store);

#endif							/* VENICE_STREAMS_H */
