/*-------------------------------------------------------------------------
 *
 * aggregation.h
 *		Aggregates over a window of time, as views define them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_AGGREGATION_H
#define VENICE_AGGREGATION_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

typedef enum AggregateFunction
{
	AGGREGATE_AVG,
	AGGREGATE_COUNT,
	AGGREGATE_DISTINCT_COUNT,
	AGGREGATE_FIRST,
	AGGREGATE_LAST,
	AGGREGATE_MAX,
	AGGREGATE_MIN,
	AGGREGATE_STDDEV,
	AGGREGATE_SUM,
	AGGREGATE_TOP_K
} AggregateFunction;

/*
 * What a feature makes of the values of its expression in the events of one window: at
 * the time t those with lower <= event time < t, or <= t where the upper edge is
 * inclusive.  lower is t - window_us, or with a hop the multiple of it, counted from
 * 1970-01-01 UTC, that is not above that.
 */
typedef struct Aggregation
{
	AggregateFunction function;
	int64		window_us;
	int64		hop_us;			/* 0: none */
	int			k;				/* of top_k */
	bool		upper_inclusive;
	Jsonb	   *definition;		/* as it is kept with the feature */
} Aggregation;

/* One of an option "aggregations". */
typedef struct AggregationText
{
	char	   *name;			/* of the feature */
	char	   *column;			/* an expression over the source; of a count of rows "1" */
	Aggregation aggregation;
} AggregationText;

/* Those of a view's options, as a list of AggregationText; NIL when there are none.  22023. */
extern List *AggregationsParse(const Jsonb *options);

/* That of a feature, by its own options and its view's; NULL when it has none. */
extern Aggregation *AggregationOfFeature(const Jsonb *feature_options, const Jsonb *view_options);

/* Is the result a number even where there is nothing? */
extern bool AggregationCounts(const Aggregation *aggregation);

/* The type of the result for values of a type that the function takes. */
extern Oid	AggregationResult(AggregateFunction function, Oid value_type);

/* The same as SQL text, for values of a type; 42804 where there is none. */
extern char *AggregationType(const AggregationText *text, const char *value_type);

/* "avg(delay) over 7 days", for people. */
extern char *AggregationMeaning(const Aggregation *aggregation, const char *expression);

#endif							/* VENICE_AGGREGATION_H */
