/*-------------------------------------------------------------------------
 *
 * outbox.h
 *		Writes to a store that are to be produced to a topic: <store>_history.outbox.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_APPLY_OUTBOX_H
#define VENICE_APPLY_OUTBOX_H

#include "access/tupdesc.h"
#include "datatype/timestamp.h"
#include "utils/jsonb.h"

#include "catalog/store.h"

/* Do writes to the store go through a topic? */
extern bool StoreIsProduced(const Store *store);

typedef struct OutboxWriter OutboxWriter;

/*
 * Get ready to append writes of columns, keys first, in the caller's transaction; as the
 * store's owner, like all that follows, up to Close.  55000 where no record could be
 * written: an Avro schema's id is neither known nor to be had from a registry.
 */
extern OutboxWriter *OutboxWriterOpen(const Store *store, int version, TupleDesc columns);
extern void OutboxWriterClose(OutboxWriter *writer);

/*
 * Append a row that is put, whose values pass the constraints that the current version has;
 * an update of the row with a key, by a patch that has been read; a deletion.  time:
 * microseconds since 1970, 0 where the caller has not said.
 */
extern void OutboxPut(OutboxWriter *writer, const Datum *values, const bool *isnull, int64 time);
extern void OutboxUpdate(OutboxWriter *writer, const Datum *key, const Jsonb *patch, int64 time);
extern void OutboxDelete(OutboxWriter *writer, const Datum *key, int64 time);

/* Append the begin or the end of an incremental push. */
extern void OutboxMark(OutboxWriter *writer, bool is_start, const char *push_id);

/* Drop it, so that its schema can go; says how many writes had not been produced. */
extern int64 OutboxDrop(const Store *store);

/*
 * For the worker, in a transaction; each as the store's owner by itself.
 */
typedef enum OutboxKind
{
	OUTBOX_PUT = 'p',
	OUTBOX_UPDATE = 'u',
	OUTBOX_DELETE = 'd',
	OUTBOX_START = 's',
	OUTBOX_END = 'e'
} OutboxKind;

typedef struct OutboxRecord
{
	int64		position;
	OutboxKind	kind;
	char	   *key;			/* NULL: null */
	int			key_bytes;
	char	   *value;
	int			value_bytes;
	char	   *key_schema;		/* whose id the frame lacks, or NULL */
	char	   *value_schema;
	int64		time;			/* 0: nothing was said */
	char	   *push_id;
} OutboxRecord;

typedef struct OutboxBatch
{
	int64		number;			/* 0: there is nothing */
	int			count;
	OutboxRecord *records;		/* in the order of positions; palloc'd */
} OutboxBatch;

/*
 * Batches up to a number have been delivered: delete their rows, and have later ones get
 * higher numbers.  Then the batch that has a number already, if there is one.
 */
extern void OutboxResume(const Store *store, int64 delivered, OutboxBatch *batch);

/*
 * Give the next number to rows that have none, in the order of their positions; as many as
 * are allowed.  The transaction must be on disk before they are produced.
 */
extern void OutboxTake(const Store *store, int max_rows, int64 max_bytes, OutboxBatch *batch);

/* A batch has been delivered: delete its rows, and count them. */
extern void OutboxDone(const Store *store, const OutboxBatch *batch);

/*
 * Stores (char *) whose writes are to be produced; *with_rows is the subset that has some.
 * Those that are served are not looked into: much may have been deleted there just now.
 */
extern List *OutboxStores(const List *served, List **with_rows);

/* What is in an outbox. */
typedef struct OutboxContent
{
	char	   *store;
	int64		pending;
	TimestampTz oldest_time;	/* 0: there is nothing */
} OutboxContent;

/* Of all stores that have one, as a list of OutboxContent, under the active snapshot. */
extern List *OutboxList(void);

#endif							/* VENICE_APPLY_OUTBOX_H */
