/*-------------------------------------------------------------------------
 *
 * functions.h
 *		The functions that are generated for a store.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_FUNCTIONS_H
#define VENICE_FUNCTIONS_H

#include "catalog/store.h"

/* Make get and batch_get in a version's schema, for the columns that its records has. */
extern void GeneratedFunctionsCreate(const Store *store, Oid schema);

/* Exchange the functions of two schemas. */
extern void GeneratedFunctionsExchange(Oid one, Oid other);

/* Have every backend look those of a schema up anew. */
extern void GeneratedFunctionsInvalidate(Oid schema);

/* Drop those of a schema; 2BP01 when somebody's object depends on one. */
extern void GeneratedFunctionsDrop(Oid schema);

/* Give those of a schema to another owner. */
extern void GeneratedFunctionsChangeOwner(Oid schema, Oid owner);

/* Do the existing functions return exactly what records has? */
extern bool GeneratedFunctionsFit(const Store *store, Oid records);

/*
 * Drop and make them again, with the same privileges.  Where somebody's object
 * depends on one, all stay as they are and a WARNING says so; 2BP01 if they could
 * not answer any more, a column of theirs being gone or of another type.
 */
extern void GeneratedFunctionsRenew(const Store *store);

#endif							/* VENICE_FUNCTIONS_H */
