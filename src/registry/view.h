/*-------------------------------------------------------------------------
 *
 * view.h
 *		Feature views, on-demand views and label views as the registry knows them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_VIEW_H
#define VENICE_VIEW_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/jsonb.h"

#include "registry/aggregation.h"
#include "registry/reference.h"

typedef struct ViewFeature
{
	char	   *name;
	char	   *type_name;		/* SQL text with modifiers, qualified where needed */
	char	   *expression;		/* of an aggregated feature: of the values that are aggregated */
	Aggregation *aggregation;	/* or NULL */
	char	   *store_column;	/* where its online value is; NULL in an on-demand view */
	List	   *source_columns; /* of char * */
	Jsonb	   *options;
} ViewFeature;

/* One view version. */
typedef struct FeatureView
{
	char	   *project;
	char	   *name;
	int			view_version;
	char	   *kind;			/* "feature", "on_demand", "label" */
	char	   *owner;			/* role name */
	List	   *entities;		/* of char *, "<project>.<entity>" */
	List	   *key_names;		/* of char *: the entities' keys, in order, as in the store */
	List	   *key_types;		/* of char * */
	char	   *source;			/* "<project>.<source>", or NULL */
	char	   *features_text;	/* as written; NULL: the features are aggregations */
	List	   *features;		/* of ViewFeature */
	List	   *inputs;			/* of char *, "<project>.<view>@<n>:<feature>" */
	char	   *request;		/* column list, or NULL */
	List	   *request_names;	/* of char * */
	List	   *request_types;	/* of char * */
	Interval   *ttl;			/* or NULL */
	Interval   *window_length;	/* of a label view, or NULL */
	bool		online;
	bool		offline;
	char	   *store;			/* or NULL */
	bool		owns_store;
	char	   *event_time_column;	/* of the store; NULL: it has none */
	Jsonb	   *options;
	TimestampTz deprecated_until;	/* 0: not deprecated */
} FeatureView;

/*
 * Look a view version up that the current user may see: the newest that is not
 * deprecated where none is given; in the current project, then in "default", where
 * none is given.  42704 when there is none, or NULL with missing_ok.  Palloc'd in
 * CurrentMemoryContext.
 */
extern FeatureView *FeatureViewLookup(const Reference *reference, bool missing_ok);

/*
 * The view of an on-demand view's input, whoever may see it: who reads its rows needs rights
 * of his own.
 */
extern FeatureView *FeatureViewOfInput(const Reference *input);

/* "feature view", "on-demand view", "label view". */
extern const char *FeatureViewKind(const FeatureView *view);

/* "<project>.<name>@<n>", as it is stored. */
extern char *FeatureViewReference(const FeatureView *view);

/* For messages, and to be typed: without what goes without saying. */
extern char *FeatureViewShortName(const FeatureView *view);

/* Of an array of text; NULLs are 22004. */
extern List *TextArrayList(ArrayType *array);

/* The column of the view's source that holds a key; palloc'd. */
extern char *FeatureViewKeyColumn(const FeatureView *view, const char *key);

/* The feature of that name; 42703, with the names that there are, or NULL with missing_ok. */
extern ViewFeature *FeatureViewFeature(const FeatureView *view, const char *feature,
									   bool missing_ok);

/* Warn, naming who uses it ("service \"x\""), when the view version is deprecated. */
extern void FeatureViewWarnDeprecated(const FeatureView *view, const char *user);

#endif							/* VENICE_VIEW_H */
