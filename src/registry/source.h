/*-------------------------------------------------------------------------
 *
 * source.h
 *		Sources: where feature values come from.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_SOURCE_H
#define VENICE_SOURCE_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* Exactly one of relation, store and topic is there. */
typedef struct Source
{
	char	   *project;
	char	   *name;
	char	   *owner;			/* role name */
	Oid			relation;		/* InvalidOid: none, or it was dropped */
	char	   *relation_text;	/* how it reads; NULL: the source is none */
	char	   *store;
	char	   *server;
	char	   *topic;
	char	   *columns;		/* of a topic's records: Avro, or a list with qualified names */
	char	   *event_time;		/* column or field, or NULL */
	char	   *created_time;
	Jsonb	   *options;
	Jsonb	   *store_options;	/* those of options that a topic's store is made with */
} Source;

/*
 * The source that "[project.]name" means, if the current user may see it; palloc'd in
 * CurrentMemoryContext.  42704 when there is none, or NULL with missing_ok.
 */
extern Source *SourceLookup(const char *reference, bool missing_ok);

/*
 * The columns of a topic's records, as a list of StoreColumn.  Their defaults may run
 * code of the source's owner, so that it is done as him.
 */
extern List *SourceColumns(const Source *source);

#endif							/* VENICE_SOURCE_H */
