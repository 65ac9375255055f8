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

/*
 * Make get, batch_get and so on in a version's schema, for the columns that its records
 * has, and as_of and snapshot as the current version has them.
 */
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

/* Why they are made anew. */
typedef enum RenewReason
{
	RENEW_SWAPPED,				/* another version is current: what does not fit it */
	RENEW_ADDED,				/* the version has more columns than it had: likewise */
	RENEW_ALL					/* somebody wants it: also what seems to be right */
} RenewReason;

/*
 * Make those of a version's schema what they are to be for its records.  One whose rows
 * only have more columns stays the one that it is, but if it had a single one; others are
 * dropped and made again, with the same privileges.  Where somebody's object depends on
 * one of these, all of these stay as they are and a WARNING says so; 2BP01 if they could
 * not answer any more, a column of theirs being gone or of another type, or if look-ups
 * would not return what was added.
 */
extern void GeneratedFunctionsRenew(const Store *store, Oid schema, RenewReason reason);

/* The two functions about a store's past. */
typedef struct PastFunctions
{
	char	   *keys;			/* "user_id bigint", … */
	char	   *time;			/* what the argument after them is called */
	char	   *values;			/* "clicks bigint, event_time timestamptz": what is returned */
	char	   *as_of;			/* queries, of which $1, … are the arguments */
	char	   *snapshot;
} PastFunctions;

/* Says what they are, for the store's owner; NULL for a store without a past. */
extern PastFunctions *(*StorePastHook) (const Store *store);

/*
 * Make as_of and snapshot what they are to be now, or drop them; 2BP01 when somebody's
 * object depends on one that changes.  StoreLock is held.
 */
extern void PastFunctionsRenew(const Store *store);

#endif							/* VENICE_FUNCTIONS_H */
