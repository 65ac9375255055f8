/*-------------------------------------------------------------------------
 *
 * batch.h
 *		A batch of records becomes rows, in one transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_INGEST_BATCH_H
#define VENICE_INGEST_BATCH_H

#include "utils/rel.h"

#include "kafka/client.h"
#include "ingest/api.h"

/* How one version's table is filled; lives as long as the unit that made it. */
typedef struct BatchTarget
{
	Version    *version;
	Oid			records;
	Oid			owner;			/* as whom rows are written */
	int32		partition;
	RecordDecoder *decoder;
	Load	   *load;
	TupleDesc	descriptor;		/* of the table */
	int			record_time;		/* index of the attribute, -1: none */
	int			arrival;
	MemoryContext context;		/* of the batch being written, whosever it is */
	Datum	   *values;			/* of the record being decoded */
	bool	   *isnull;
	MemoryContext record_context;
} BatchTarget;

/*
 * Get ready to fill a version's table, in a transaction: false when the table is gone.
 * last_row is what the partition has loaded before.  Everything but that lives in context.
 */
extern bool BatchTargetInit(BatchTarget *target, const Store *store, Version *version,
							int32 partition, const ItemPointerData *last_row,
							MemoryContext context);

typedef enum BatchResult
{
	BATCH_WRITTEN,
	BATCH_NEEDS_SCHEMA,			/* *schema_id; nothing was written */
	BATCH_TABLE_CHANGED			/* it is gone, or has other columns; nothing was written */
} BatchResult;

/*
 * Decode and write records, in the caller's transaction, and add to *state what
 * became of them (all but the offsets).  An error that is not a record's fault is raised.
 */
extern BatchResult BatchWrite(BatchTarget *target, const KafkaRecord *records, int count,
							  PartitionState *state, int32 *schema_id);

/*
 * An attribute of a version's table as what a record fills, as the store's owner; and a
 * decoder of the version's records for some of them.  Both live in context.
 */
extern void BatchColumnInit(RecordColumn *column, const Store *store, const Version *version,
							Relation relation, int attribute_index, MemoryContext context);
extern RecordDecoder *BatchDecoderCreate(const Store *store, const Version *version,
										 const RecordColumn *columns, int count,
										 MemoryContext context);

/* What is needed while one batch is written, of which there is one at a time. */
extern MemoryContext BatchContext(void);

/*
 * Does a version's table still have so many columns?  It may get more, which whoever begins
 * anew knows of; from here on it gets none in this transaction.  False also if it is gone.
 */
extern bool BatchColumnsAreThere(Oid records, int count);

/* Kafka's milliseconds; 0 where there are none. */
extern TimestampTz RecordTimestamp(int64 timestamp_ms);

#endif							/* VENICE_INGEST_BATCH_H */
