/*-------------------------------------------------------------------------
 *
 * definition.h
 *		A store's columns, from what a user wrote.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_DEFINITION_H
#define VENICE_DEFINITION_H

#include "nodes/pg_list.h"

/* Does the text look like an Avro schema, rather than a column list? */
extern bool DefinitionIsAvro(const char *definition);

/*
 * Columns of a list such as 'clicks bigint, ctr float8 NOT NULL DEFAULT 0' or of
 * an Avro schema, as a list of StoreColumn with normalized types.  what is "key"
 * or "value", for messages.  Types and functions are looked up by the caller's
 * search_path.
 */
extern List *DefinitionParse(const char *definition, bool is_key, const char *what);

/* Raise 42701 for a name that stands twice, 22023 where there is no value column. */
extern void DefinitionCheck(List *columns);

/* The type's name with modifiers, qualified unless it is in pg_catalog. */
extern char *DefinitionTypeName(Oid type, int32 typmod);

#endif							/* VENICE_DEFINITION_H */
