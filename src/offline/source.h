/*-------------------------------------------------------------------------
 *
 * source.h
 *		Where the past of a view's features is read.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_OFFLINE_SOURCE_H
#define VENICE_OFFLINE_SOURCE_H

#include "nodes/pg_list.h"

#include "registry/view.h"

/* A relation with a row for each time that something became true, or ceased to be. */
typedef struct HistorySource
{
	Oid			relation;
	char	   *alias;			/* the relation's name in the expressions */
	List	   *key_columns;	/* of char *: in the order of the view's key_names */
	char	   *event_time;
	char	   *time_zone;		/* of those times that are of type timestamp; or NULL */
	char	   *created_time;	/* or NULL */
	char	   *arrival;		/* or NULL: the order of rows that have the same times */
	char	   *deleted;		/* or NULL: boolean, the row says that the key is gone */
	List	   *expressions;	/* of char *: SQL over the relation, for each of view->features */
} HistorySource;

/*
 * Of a feature view or a label view, palloc'd in CurrentMemoryContext.  Nothing is
 * locked, and rights on the relation are not looked at.  42809 for an on-demand view;
 * 55000, with a hint, for a view that is not offline, or whose past nobody has kept;
 * 42P01 when the relation was dropped.  Expressions are checked as they were when the
 * view was made, since others than their author evaluate them.
 */
extern HistorySource *HistorySourceOf(const FeatureView *view);

#endif							/* VENICE_OFFLINE_SOURCE_H */
