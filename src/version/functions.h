/*-------------------------------------------------------------------------
 *
 * functions.h
 *		The functions that are generated for a store, in its current schema.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_FUNCTIONS_H
#define VENICE_FUNCTIONS_H

#include "catalog/store.h"

/* Make get and batch_get for the columns that the store's current records has. */
extern void GeneratedFunctionsCreate(const Store *store);

/* Do the existing functions return exactly what records has? */
extern bool GeneratedFunctionsFit(const Store *store, Oid records);

/*
 * Drop and make them again, with the same privileges.  Where somebody's object
 * depends on one, all stay as they are and a WARNING says so.
 */
extern void GeneratedFunctionsRenew(const Store *store);

#endif							/* VENICE_FUNCTIONS_H */
