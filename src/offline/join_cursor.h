/*-------------------------------------------------------------------------
 *
 * join_cursor.h
 *		The rows of a view's history beside the spine, read by a query.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_JOIN_CURSOR_H
#define VENICE_JOIN_CURSOR_H

#include "executor/tuptable.h"

#include "offline/join_view.h"

typedef struct JoinCursor
{
	TupleTableSlot *row;		/* with all columns at hand; NULL: there are no more */
	TupleDesc	columns;		/* as of a HistoryCursor */
	struct JoinCursorPrivate *private;
} JoinCursor;

/* Rows of the times that the view can want, newest first, with expressions of their own. */
extern JoinCursor *JoinCursorOpen(JoinViewRun *run, List *expressions);

/*
 * To the rows of a key, which is not before the last one, or behind where they would be;
 * those after latest are not wanted.  Did the key change?
 */
extern bool JoinCursorSeek(JoinCursor *cursor, const Datum *spine, TimestampTz latest);

/* To the next row, which can be another key's. */
extern void JoinCursorAdvance(JoinCursor *cursor);

extern void JoinCursorClose(JoinCursor *cursor);

#endif							/* VENICE_JOIN_CURSOR_H */
