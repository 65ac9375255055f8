/*-------------------------------------------------------------------------
 *
 * entity.h
 *		Entities: what features are about.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_ENTITY_H
#define VENICE_ENTITY_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

typedef struct Entity
{
	char	   *project;
	char	   *name;
	char	   *owner;			/* role name */
	List	   *key_names;		/* of char *, in order */
	List	   *key_types;		/* of char *: SQL text with modifiers, qualified where needed */
	Jsonb	   *options;
} Entity;

/*
 * The entity that "[project.]name" means, if the current user may see it; palloc'd in
 * CurrentMemoryContext.  42704 when there is none, or NULL with missing_ok.
 */
extern Entity *EntityLookup(const char *reference, bool missing_ok);

#endif							/* VENICE_ENTITY_H */
