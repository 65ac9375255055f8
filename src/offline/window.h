/*-------------------------------------------------------------------------
 *
 * window.h
 *		Aggregates over windows that slide into the past.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_WINDOW_H
#define VENICE_WINDOW_H

#include "datatype/timestamp.h"

#include "registry/aggregation.h"

/* Values that are aggregated. */
typedef struct WindowColumn
{
	Oid			type;
	Oid			collation;
} WindowColumn;

typedef struct WindowAggregate
{
	const Aggregation *aggregation;
	int			column;			/* of whose values, from 0 */
} WindowAggregate;

typedef struct WindowSet WindowSet;

/*
 * Windows over the events of one key at a time, palloc'd in CurrentMemoryContext.  For
 * falling times: WindowSetMove; WindowSetAdd for each event from WindowSetStart on that
 * was not added, newest first; WindowSetResult.  With created_cutoff an event counts as
 * long as it had been created by the time that is asked for.
 */
extern WindowSet *WindowSetCreate(const WindowColumn *columns, int column_count,
								  const WindowAggregate *aggregates, int aggregate_count,
								  bool created_cutoff);

/* Begin with another key. */
extern void WindowSetReset(WindowSet *set);

/* To the windows at a time that is not later than before; events after latest count no more. */
extern void WindowSetMove(WindowSet *set, TimestampTz time, TimestampTz latest);

/* The event time from which on events count in any of the windows. */
extern TimestampTz WindowSetStart(const WindowSet *set);

/* Events after latest, or created after the time or at one unknown, need not be given. */
extern void WindowSetAdd(WindowSet *set, TimestampTz event_time, TimestampTz created_time,
						 const Datum *values, const bool *nulls);

/*
 * A value for each aggregate, palloc'd in CurrentMemoryContext, and the time of the newest
 * event in any window; false when there is none.  22003 where SQL's sum() overflows.
 */
extern bool WindowSetResult(WindowSet *set, Datum *values, bool *nulls, TimestampTz *newest);

/* Where the first of the windows begins at a time. */
extern TimestampTz WindowsStart(const List *aggregations, TimestampTz time);

#endif							/* VENICE_WINDOW_H */
