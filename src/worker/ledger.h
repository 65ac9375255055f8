/*-------------------------------------------------------------------------
 *
 * ledger.h
 *		What ingestion remembers in tables: how far each partition is, which
 *		records it could not use, and the schemas that it has fetched.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_LEDGER_H
#define VENICE_LEDGER_H

#include "datatype/timestamp.h"
#include "storage/itemptr.h"

#include "catalog/store.h"
#include "common/decode_error.h"
#include "common/shmem.h"

/* A topic, and what is filled from it. */
typedef struct StateKey
{
	const char *store;
	int			version;		/* or HISTORY_VERSION */
	int			region;			/* LOAD_REGION, or that of a real-time topic */
	const char *topic;
	bool		unlogged;		/* the version is */
} StateKey;

/* Of the topic that a version is loaded from. */
extern StateKey LoadStateKey(const Version *version);

/* A row of venice.partition_state, or of its unlogged twin. */
typedef struct PartitionState
{
	int32		partition;
	int64		next_offset;	/* -1: from the beginning */
	int64		end_offset;		/* -1: not fixed */
	bool		done;
	bool		joined;			/* it has caught up with the others */
	const char *error;			/* why it is not joined any more, or NULL */
	ItemPointerData loaded_through; /* invalid: nothing loaded */
	int64		messages;
	int64		bytes;
	int64		rows;
	int64		tombstones;
	int64		rejected;
	int64		batches;
	TimestampTz last_record_time;	/* of the record before next_offset, 0: it had none */
	TimestampTz last_message_time;	/* when the last batch's first record came; 0: none */
	TimestampTz last_commit_time;
} PartitionState;

/* Read a partition's row; false when there is none. */
extern bool PartitionStateRead(const StateKey *key, int32 partition, PartitionState *state);

/*
 * The version numbers that have joined in reading a partition of a real-time topic,
 * HISTORY_VERSION among them.
 */
extern List *PartitionJoined(const char *store, int region, const char *topic, int32 partition);

/*
 * Write it.  expected_offset is what next_offset was when it was last read or
 * written here: false, and nothing written, when somebody else has moved on or
 * the version is gone.
 */
extern bool PartitionStateWrite(const StateKey *key, const PartitionState *state,
								int64 expected_offset);

/* How many partitions there are rows for. */
extern int	PartitionCount(const StateKey *key);

/* Make rows for partitions 0 .. count - 1 where they are missing; how many were. */
extern int	PartitionStateAdd(const StateKey *key, int count);

/*
 * Partitions have come to a real-time topic: they are read by all that read the others,
 * from their beginning by who has joined.
 */
extern void PartitionStateExtend(const char *store, int region, const char *topic, int count);

/*
 * The begin, or the end in one of so many partitions, of an incremental push was read: its
 * row in venice.push, which is made where somebody else has produced it.  To read it again
 * changes nothing.
 */
extern void PushMarkerRead(const Store *store, const char *push_id, bool is_end, int32 partition,
						   int partition_count);

/* Keep a record that was rejected.  NULL key or value is a null of Kafka's. */
extern void RejectedRecordAdd(const StateKey *state_key, int32 partition, int64 offset,
							  TimestampTz record_time, const char *key, int key_bytes,
							  const char *value, int value_bytes, const DecodeError *error);

/*
 * Fail the push if more records were rejected than the store's max_rejected
 * allows; true if so.  Takes StoreLock.
 */
extern bool RejectedRecordsCheck(const char *store, int number);

/*
 * The texts of a schema, the schema itself last, palloc'd in
 * CurrentMemoryContext; 0 when it is not known.  What the store's owner has made
 * known himself comes before the registry's, whose url may be NULL.
 */
extern int	RegistrySchemaRead(const char *store, const char *registry_url, int32 schema_id,
							   char ***texts);
extern void RegistrySchemaWrite(const char *registry_url, int32 schema_id,
								const char *const *texts, int ntexts);

#endif							/* VENICE_LEDGER_H */
