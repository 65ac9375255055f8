/*-------------------------------------------------------------------------
 *
 * history.h
 *		The past of a store: <store>_history.rows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_HISTORY_H
#define VENICE_HISTORY_H

#include "access/tupdesc.h"
#include "datatype/timestamp.h"

#include "catalog/store.h"

/*
 * Where the store's history and its log of writes are; InvalidOid when there is no such
 * schema, also where somebody else has made one of its name.
 */
extern Oid	HistorySchema(const Store *store);

/* Make it unless it is there. */
extern void HistorySchemaMake(const Store *store);

/* The log of writes, and of those that go through Kafka the outbox; or InvalidOid. */
extern Oid	HistoryLog(const Store *store);
extern Oid	HistoryOutbox(const Store *store);

/*
 * The store's history, a table partitioned by event time; InvalidOid when there is none,
 * also where somebody else has made one of its name.
 */
extern Oid	HistoryRelation(const Store *store);

/*
 * What our column "event_time", "created_time" or "arrival" is called in a history: with
 * an underscore before it where the store has one of that name.  The fourth is always
 * "_deleted".  Palloc'd.
 */
extern char *HistoryColumn(Oid history, const char *name);

/* Raise 22023 for options that say nothing of which partitions could be made. */
extern void HistoryCheckOptions(const StoreOptions *options);

/*
 * Make the history of a store, for its owner, with what the current version has.
 * StoreLock is held.
 */
extern void HistoryCreate(const Store *store);

/*
 * Append how one version differs from another, which it is about to take the place of.
 * By a push, what has an event time goes there; going to another version that is
 * complete is something that happens now.  As the store's owner.
 */
extern void HistoryAppend(const Store *store, const Version *old, const Version *target,
						  bool is_push);

/*
 * Append rows that were written, in columns of which the keys come first; or that keys are
 * gone; or, of updates, the rows as they are now, of which columns has the keys only.
 * in_order: writes replace each other as they come, so that each is not before the
 * last.  As the store's owner.
 */
typedef struct HistoryWrite
{
	const Datum *values;
	const bool *isnull;
	TimestampTz event_time;
} HistoryWrite;

typedef enum HistoryEvent
{
	HISTORY_PUT,
	HISTORY_UPDATE,
	HISTORY_DELETE
} HistoryEvent;

extern void HistoryAppendWrite(const Store *store, HistoryEvent event, TupleDesc columns,
							   const HistoryWrite *writes, int count, bool in_order);

extern bool HistoryHasRows(const Store *store);

/*
 * The columns of the store have become others: OIDs of the history and its partitions if
 * that is to have them, too.  From here on no partition comes or goes.
 */
extern List *HistoryTablesToChange(const Store *store);

/* Let it have them. */
extern void HistoryFollowColumns(const Store *store);

/* Give it to another owner, once rights have been checked. */
extern void HistoryChangeOwner(const Store *store, Oid owner);

/* Drop it, with force together with what depends on it. */
extern void HistoryDrop(const Store *store, bool force);

/* Begin, and end, of the period of a width that a time belongs to. */
extern TimestampTz HistoryPeriodStart(const Interval *width, TimestampTz time);
extern TimestampTz HistoryPeriodEnd(const Interval *width, TimestampTz start);

/* How many periods there is to be a partition for, after that of now. */
#define HISTORY_PERIODS_AHEAD 2

/*
 * Make an empty table that can become the partition from start to end.  In a session of
 * the store's owner, as the next.
 */
extern Oid	HistoryPartitionMake(Oid history, TimestampTz start, TimestampTz end);

/* Let it become one. */
extern void HistoryPartitionAttach(Oid history, Oid table, TimestampTz start, TimestampTz end);

#endif							/* VENICE_HISTORY_H */
