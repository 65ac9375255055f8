/*-------------------------------------------------------------------------
 *
 * join.h
 *		The point-in-time join: for each row of a query the values of features as
 *		they were at its time.
 *
 * A caller describes the spine (the query whose rows are completed), makes a
 * JoinRequest, and asks for one joined row after the other.  All is done as the current
 * user, under the active snapshot; both must be the same in all calls.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_JOIN_H
#define VENICE_JOIN_H

#include "access/tupdesc.h"
#include "nodes/pg_list.h"

#include "common/guc.h"
#include "offline/source.h"

typedef enum JoinPlan
{
	JOIN_PLAN_AUTO = PIT_PLAN_AUTO,
	JOIN_PLAN_PROBE = PIT_PLAN_PROBE,	/* look each key up in an index */
	JOIN_PLAN_MERGE = PIT_PLAN_MERGE,	/* read the history once */
	JOIN_PLAN_INSTANT = PIT_PLAN_INSTANT	/* all rows of the spine have one time */
} JoinPlan;

/* How the row of a history was found; what the values in it are, the caller sees. */
typedef enum JoinStatus
{
	JOIN_PRESENT,				/* a NULL among the values is a NULL that was there */
	JOIN_NOT_FOUND,				/* none, or the newest says that the key was deleted */
	JOIN_OUTSIDE_MAX_AGE,
	JOIN_INCOMPLETE				/* the window of a label ends in the future */
} JoinStatus;

/*
 * One view, as it is wanted once: under two aliases it is two of them.
 *
 * A row of the history is a candidate for a time t iff event_time + delay_us <= t
 * (< t with strict) and, with created_cutoff, created_time <= t.  The newest by event
 * time, then created time (NULL: oldest), then arrival is chosen, and is
 * JOIN_OUTSIDE_MAX_AGE when event_time < t - ttl_us.  With window_us the view holds
 * labels: t <= event_time < t + window_us; delay, strict and ttl do not apply.
 *
 * With aggregations a feature's value is that of the candidates in its window.  The event
 * time is that of the newest candidate in any of the view's windows; there is
 * JOIN_NOT_FOUND where there is none, and then counts are 0.
 */
typedef struct JoinView
{
	const char *label;			/* for messages and reports */
	const HistorySource *source;
	List	   *spine_keys;		/* of int: columns of the spine, from 1, for source->key_columns */
	List	   *features;		/* of int: of source->expressions, from 0, in order of output */
	List	   *aggregations;	/* of Aggregation, for each of features; NIL: the row itself */
	List	   *ignore_nulls;	/* of int, among features: the newest that is not NULL is wanted */
	int64		ttl_us;			/* 0: none */
	int64		delay_us;
	int64		window_us;		/* 0: holds no labels */
	bool		strict;
	bool		created_cutoff; /* source->created_time is there */
	bool		with_status;	/* else rows older than ttl_us need not be looked for, and
								 * JOIN_NOT_FOUND may be said for JOIN_OUTSIDE_MAX_AGE */

	/* Filled in by JoinColumns. */
	int			first_column;	/* of the features in the output, from 0 */
} JoinView;

typedef struct JoinRequest
{
	const char *spine;			/* a query */
	TupleDesc	spine_columns;	/* as JoinSpineColumns has said */
	int			event_time;		/* column of the spine, from 1: timestamptz, or timestamp */
	const char *time_zone;		/* of a timestamp */
	bool		raise_null_time;	/* 22004 for a row without a time, which is else kept */
	bool		preserve_order; /* rows come out as the spine's query has them */
	JoinPlan	plan;			/* JOIN_PLAN_AUTO: venice.pit_plan, and then by cost */
	List	   *views;			/* of JoinView */
} JoinRequest;

/* What was done with one relation (a partition, or the whole) of a view's history. */
typedef struct JoinStep
{
	const char *view;			/* label */
	const char *relation;		/* qualified name */
	const char *plan;			/* "probe", "merge", "instant", "query", "query by key", "pruned" */
	const char *index;			/* name, or NULL */
	double		probe_cost;		/* in the planner's units; -1: not possible */
	double		merge_cost;
	int64		descents;		/* of the index */
	int64		entries_read;	/* of the index */
	int64		rows_read;		/* of the table */
} JoinStep;

typedef struct JoinReport
{
	int64		spine_rows;
	int64		sorts;			/* of the spine: one for each set of keys, one for the order */
	int64		spilled_kb;		/* written by sorts */
	int64		batches;
	int			workers;		/* beside the backend itself */
	List	   *steps;			/* of JoinStep */
} JoinReport;

typedef struct JoinPipeline JoinPipeline;

/*
 * Columns of a spine, which must be one SELECT (42601, 0A000): parsed as the current
 * user, whose locks stay.  Palloc'd in CurrentMemoryContext.
 */
extern TupleDesc JoinSpineColumns(const char *query);

/*
 * Columns of what JoinNext gives: those of the spine, then for each view its features,
 * the event time of the row found (timestamptz; NULL for JOIN_NOT_FOUND and
 * JOIN_INCOMPLETE), and the JoinStatus (int4).  Sets first_column of the views.  Raises
 * what is wrong with a view: key types that do not compare (42804), no such column.
 */
extern TupleDesc JoinColumns(const JoinRequest *request);

/*
 * Run the spine's query, and make ready to give a row for each of its rows, in any order but
 * with preserve_order.  The transaction may be in parallel mode until JoinNext is at the
 * end, or JoinEnd is called, as workers may be about: meanwhile nobody must write to the database.
 * report may be NULL; it is complete after JoinEnd.  42501 when the current user may not
 * read what is asked for.
 */
extern JoinPipeline *JoinBegin(const JoinRequest *request, JoinReport *report);

/* A joined row, columns as in JoinColumns, good until the next call; false: none is left. */
extern bool JoinNext(JoinPipeline *join, const Datum **values, const bool **nulls);

/* At the end, or before it. */
extern void JoinEnd(JoinPipeline *join);

#endif							/* VENICE_JOIN_H */
