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

/* A row of venice.partition_state, or of its unlogged twin. */
typedef struct PartitionState
{
	int32		partition;
	int64		next_offset;	/* -1: from the beginning */
	int64		end_offset;		/* -1: not fixed */
	bool		done;
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
extern bool PartitionStateRead(const Version *version, int32 partition, PartitionState *state);

/*
 * Write it.  expected_offset is what next_offset was when it was last read or
 * written here: false, and nothing written, when somebody else has moved on or
 * the version is gone.
 */
extern bool PartitionStateWrite(const Version *version, const PartitionState *state,
								int64 expected_offset);

/* Make rows for partitions 0 .. count - 1 where they are missing; how many were. */
extern int	PartitionStateAdd(const Version *version, int count);

/* Keep a record that was rejected.  NULL key or value is a null of Kafka's. */
extern void RejectedRecordAdd(const Version *version, int32 partition, int64 offset,
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
