/*-------------------------------------------------------------------------
 *
 * join_view.h
 *		One view in a running join: its keys, its times, and the rows it is asked for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_JOIN_VIEW_H
#define VENICE_JOIN_VIEW_H

#include "fmgr.h"

#include "offline/join.h"

/* Most rows of a batch that a worker is given. */
#define JOIN_WORKER_ROWS 8192

/* How a column of the spine compares with a key column of a history. */
typedef struct JoinKey
{
	AttrNumber	history_column;
	Oid			opfamily;		/* of btree: the default one of the history's column */
	Oid			collation;
	Oid			spine_type;		/* what the operators take; the spine's value is coerced to */
	Oid			history_type;	/* it, or is binary-compatible */
	bool		coerced;		/* the spine's value must be */
	int			spine_bytes;	/* of an integer, else 0, both */
	int			history_bytes;
	FmgrInfo	compare;		/* spine's value, history's value */
	FmgrInfo	compare_spine;	/* two of the spine's */
} JoinKey;

/* Rows of the spine, by keys and falling time. */
typedef struct JoinBatch
{
	MemoryContext context;		/* of what keys and values point to; reset with the next batch */
	int			row_count;
	int			key_count;
	Datum	   *keys;			/* key_count for each row */
	TimestampTz *times;
	bool	   *matchable;		/* no key is NULL, nor the time */
} JoinBatch;

/* What was found for each row of a batch. */
typedef struct JoinFound
{
	JoinStatus *status;
	TimestampTz *event_times;	/* where status says that there is one */
	Datum	   *values;			/* feature_count for each row, pointing into the batch's context */
	bool	   *nulls;
} JoinFound;

typedef struct JoinViewRun
{
	JoinView   *view;
	int			key_count;
	JoinKey    *keys;
	int			feature_count;
	List	   *expressions;	/* of char *: of the features wanted */
	bool	   *ignores_nulls;	/* of each feature; NULL: none */
	TimestampTz least_time;		/* of the spine */
	TimestampTz greatest_time;
	TimestampTz from;			/* event times that can be wanted */
	TimestampTz to;
	TimestampTz now;			/* windows of labels must have ended by then */
	JoinPlan	plan;
	double		spine_rows;
	int			workers;		/* that may help */
	MemoryContext report_context;
	List	   *steps;			/* of JoinStep, in report_context */
	bool		direct;			/* join_direct.h, else join_ordered.h */
	void	   *state;			/* theirs */
} JoinViewRun;

extern JoinViewRun *JoinViewPrepare(JoinView *view, TupleDesc spine);

/* How many workers may help with so large a spine?  Each is to have a few batches. */
extern int	JoinWorkers(double spine_rows);

/* Which of the history can be wanted by times between these. */
extern void JoinViewRange(JoinViewRun *run, TimestampTz least, TimestampTz greatest);

/* The last event time that a row may have for a time of the spine; false: none may. */
extern bool JoinViewLatest(const JoinView *view, TimestampTz time, TimestampTz *latest);

/*
 * The first event time that makes a difference for a time of the spine: with none that is
 * as late there is JOIN_NOT_FOUND, as far as the view cares.
 */
extern TimestampTz JoinViewEarliest(const JoinView *view, TimestampTz time);

/* What the newest candidate is, given its event time. */
extern JoinStatus JoinViewStatus(const JoinViewRun *run, TimestampTz time,
								 TimestampTz event_time, bool deleted);

/* Is the answer known before the history is looked at?  Not: all that is so far is set. */
extern bool JoinViewSettled(const JoinViewRun *run, const JoinBatch *batch, int row,
							JoinFound *found);

/* As btree's comparison: spine's row against the keys of a row of history. */
extern int	JoinKeysCompare(const JoinViewRun *run, const Datum *spine, const Datum *history);

/* The same of two rows of the spine: equal? */
extern bool JoinKeysEqual(const JoinViewRun *run, const Datum *one, const Datum *other);

/* Room for what will be found for so many rows, in CurrentMemoryContext. */
extern void JoinFoundMake(const JoinViewRun *run, int row_count, JoinFound *found);

/* A step, which the caller adds counts to, with no costs. */
extern JoinStep *JoinViewStep(JoinViewRun *run, Oid relation, const char *plan);

#endif							/* VENICE_JOIN_VIEW_H */
