/*-------------------------------------------------------------------------
 *
 * request.h
 *		What is asked of the past: features by name, for the rows of a query.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_REQUEST_H
#define VENICE_REQUEST_H

#include "access/tupdesc.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "offline/join.h"
#include "registry/service_definition.h"

/* A feature that is joined: column view->first_column + position of the joined row. */
typedef struct RequestInput
{
	JoinView   *view;
	int			position;
} RequestInput;

/* A feature that is answered, for the columns behind those of the spine. */
typedef struct RequestFeature
{
	const ServiceFeature *feature;
	List	   *inputs;			/* of RequestInput: itself, or those of its view, in order */
	List	   *input_types;	/* of char *: of an on-demand view's, as the registry has them */
	List	   *request;		/* of int: column of the spine, from 1, for each request column */
} RequestFeature;

/* A column that says when what stands for a view under one name became true. */
typedef struct RequestTime
{
	char	   *alias;
	List	   *inputs;			/* of RequestInput */
} RequestTime;

typedef struct HistoricalRequest
{
	JoinRequest join;
	TupleDesc	joined;			/* as JoinColumns has said */
	List	   *features;		/* of RequestFeature */
	List	   *times;			/* of RequestTime; NIL unless asked for */
	bool		with_status;
	TupleDesc	columns;		/* of the answer: spine, features, times, status */
} HistoricalRequest;

/*
 * Take a request apart, as the current user: what he may not see is not there.  features
 * (of char *) are services, views, "view:feature" and "view:*"; options are those of
 * get_historical_features.  Everything that is wrong with it is raised here, but what
 * values alone can show.  Palloc'd in CurrentMemoryContext.
 */
extern HistoricalRequest *HistoricalRequestMake(const char *spine, List *features,
												const char *event_time, const Jsonb *options);

/* The columns of the answer as a column definition list, without parentheses. */
extern char *HistoricalRequestColumns(const HistoricalRequest *request);

#endif							/* VENICE_REQUEST_H */
