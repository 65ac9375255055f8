/*-------------------------------------------------------------------------
 *
 * stream.h
 *		A batch of real-time records becomes writes, to all versions that read them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_INGEST_STREAM_H
#define VENICE_INGEST_STREAM_H

#include "ingest/batch.h"

typedef struct Stream Stream;

/*
 * Get ready to write from a partition of a real-time topic, in a transaction: to all
 * versions that have joined, and to the history, or (version > 0) to one that has not.
 * NULL when there is nothing to write to.  Lives in context.
 */
extern Stream *StreamOpen(Store *store, int version, int region, const char *topic,
						  int32 partition, MemoryContext context);

/*
 * Of those that it writes to, who is furthest behind; next_offset is -1 where that has
 * not begun.
 */
extern const PartitionState *StreamSlowest(const Stream *stream);

/* Are all at one place? */
extern bool StreamIsLevel(const Stream *stream);

/* When the records were made that a version begins with, in milliseconds since 1970. */
extern int64 StreamRewindTime(const Stream *stream);

/* Is a version that has read up to a record of this time near enough to the end? */
extern bool StreamIsNear(const Stream *stream, int64 lag, TimestampTz last_record_time);

/*
 * Write what comes before next_offset, and that this is so, in the caller's transaction.
 * has_caught_up: what it writes to joins the others.  BATCH_TABLE_CHANGED: there is another
 * set of versions now; nothing was written.
 */
extern BatchResult StreamWrite(Stream *stream, const KafkaRecord *records, int count,
							   int64 next_offset, TimestampTz oldest_time, bool has_caught_up,
							   int32 *schema_id);

/* The transaction has been committed; false when some version does not go on with it. */
extern bool StreamCommitted(Stream *stream);

/* The one that lacks a schema, after BATCH_NEEDS_SCHEMA. */
extern RecordDecoder *StreamDecoder(const Stream *stream);

#endif							/* VENICE_INGEST_STREAM_H */
