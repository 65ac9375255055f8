/*-------------------------------------------------------------------------
 *
 * write.h
 *		Writing to the rows of a complete version, in batches.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_APPLY_WRITE_H
#define VENICE_APPLY_WRITE_H

#include "access/tupdesc.h"
#include "storage/block.h"

#include "catalog/store.h"
#include "merge/merge.h"

typedef struct VersionWriter VersionWriter;

/* Who wins in a version. */
extern MergePolicy VersionMergePolicy(const Version *version);

/*
 * Open a complete version for writes within the current transaction, under its active
 * snapshot, as the current user, who is the store's owner.  columns describes the keys
 * and fields that writes will have.  NULL when the version's table is gone.  At an
 * error nothing needs to be called.
 */
extern VersionWriter *VersionWriterOpen(const Store *store, const Version *version,
										TupleDesc columns);

/*
 * Apply a write to the row of a key: values of the key columns, none of them NULL, and
 * in the write a field for each other column.  Waits for whoever else writes to the
 * key.  event_time goes where the version keeps one.  Raises what constraints, triggers
 * and the columns' types raise; but a backup whose types are older and cannot hold the
 * write goes without it, and says so.
 */
extern void VersionWriterApply(VersionWriter *writer, const Datum *key, const RowWrite *write,
							   TimestampTz event_time);

/* A write, as above, to the row of a key. */
typedef struct KeyedWrite
{
	const Datum *key;
	const RowWrite *write;
	TimestampTz event_time;
} KeyedWrite;

/*
 * Apply many, to any keys: the rows are those that VersionWriterApply leaves when it is
 * called for one after the other.  But rows are locked in the order of their keys, so
 * that of writers who do this once in a transaction none waits in a ring; and unless the
 * table has triggers for rows besides ours, writes to one key first meet each other, and
 * then, once, the row.
 * Open, apply and close in one subtransaction.
 */
extern void VersionWriterApplyMany(VersionWriter *writer, const KeyedWrite *writes, int count);

/*
 * The same order, for who calls VersionWriterApply for each: the places of the writes, those
 * of one key in theirs.
 */
extern void VersionWriterOrder(VersionWriter *writer, const KeyedWrite *writes, int count,
							   int *order);

/* Does the version know when its rows were written? */
extern bool VersionWriterKnowsTimes(const VersionWriter *writer);

/* A row of which something has expired, and whether nothing is left of it. */
typedef struct ExpiredRow
{
	Datum	   *key;
	bool		gone;
} ExpiredRow;

/*
 * Find rows that a WRITE_EXPIRE of that time would change, from block *place of the version's
 * table on, until there are limit of them, and lock them.  Rows that somebody else is at are
 * left out.  True at the end of the table; else *place is where to go on when these are
 * changed.  *earliest becomes the time of the oldest write that is left in a row, if it is less.
 */
extern bool VersionWriterFindExpired(VersionWriter *writer, int64 before, bool with_pushed,
									 BlockNumber *place, int64 *earliest, ExpiredRow *rows,
									 int limit, int *count);

/* Fire what triggers have put off, and close. */
extern void VersionWriterClose(VersionWriter *writer);

#endif							/* VENICE_APPLY_WRITE_H */
