/*-------------------------------------------------------------------------
 *
 * history_cursor.h
 *		The rows of a history in the order of keys and time.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_HISTORY_CURSOR_H
#define VENICE_HISTORY_CURSOR_H

#include "datatype/timestamp.h"
#include "executor/tuptable.h"

#include "offline/source.h"

typedef struct HistoryCursor HistoryCursor;

/*
 * Rows with from <= event_time <= to (DT_NOBEGIN, DT_NOEND: no limit) and no NULL key,
 * by keys, event time, created time (NULL first), arrival; newest_first turns all but
 * the keys around.  Columns: the keys, with the types and in the order of the key
 * columns; event time (timestamptz); created time (timestamptz), NULL where the source
 * has none; deleted (boolean, never NULL); then those of expressions (of char *).
 *
 * Read as the current user, whose rights and row security hold, under the active snapshot.
 * The keys' order is that of their types' default operator class, by the columns' collations.
 */
extern HistoryCursor *HistoryCursorOpen(const HistorySource *source, List *expressions,
										TimestampTz from, TimestampTz to, bool newest_first);

/* How a key that is asked for is compared with a key column. */
typedef struct HistoryKey
{
	Oid			column_type;
	Oid			equal;			/* operator: column, key */
	Oid			type;			/* of the key */
} HistoryKey;

/*
 * The same rows, of one key at a time, a HistoryKey for each of its columns: those of the
 * key that HistoryCursorSeek has asked for, up to a time, in any order of keys.
 */
extern HistoryCursor *HistoryCursorOpenKeyed(const HistorySource *source, List *expressions,
											 TimestampTz from, bool newest_first,
											 const HistoryKey *keys);

/* The keys must stay where they are until the next call, or the last row. */
extern void HistoryCursorSeek(HistoryCursor *cursor, const Datum *keys, TimestampTz to);

/* Of all rows, or of those of one key, in the planner's units. */
extern double HistoryCursorCost(const HistoryCursor *cursor);

/* Columns of the rows, for as long as the cursor is open. */
extern TupleDesc HistoryCursorColumns(HistoryCursor *cursor);

/* The next row, good until the next call; NULL at the end. */
extern TupleTableSlot *HistoryCursorNext(HistoryCursor *cursor);

extern void HistoryCursorClose(HistoryCursor *cursor);

/* The query for these rows, all and in no order. */
extern char *HistoryQuery(const HistorySource *source, const List *expressions);

#endif							/* VENICE_HISTORY_CURSOR_H */
