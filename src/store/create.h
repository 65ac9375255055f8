/*-------------------------------------------------------------------------
 *
 * create.h
 *		Making, altering and dropping stores, for the SQL functions and for
 *		other rooms.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_CREATE_H
#define VENICE_CREATE_H

#include "catalog/store.h"

/* What a store is made of. */
typedef struct StoreSpec
{
	char	   *name;
	Oid			owner;			/* the caller has checked that the user may act for him */
	char	   *server;			/* or NULL */
	List	   *columns;		/* of StoreColumn: keys, values, _event_time */
	char	   *key_schema;		/* Avro, or NULL */
	char	   *value_schema;
	Jsonb	   *options;		/* StoreOptionsCheck has seen them; "owner" among them is not looked at */
} StoreSpec;

/* Does the name end like that of a version's or history's schema? */
extern bool StoreNameIsReserved(const char *name);

/*
 * Make a store with an empty current version, as create_store does: under StoreLock,
 * with the current user's CREATE on the database.
 */
extern Store *StoreCreate(const StoreSpec *spec);

/*
 * Give the store other value columns (without _event_time, which stays), which must be
 * compatible: 2BP01 with a list of what is not.  value_schema is Avro, or NULL.  New
 * ones are added to the versions that there are, or 55P03: see VersionsAddColumns.  What
 * only the next version has is returned: "a", "b"; or NULL.  StoreLock is held.
 */
extern char *StoreChangeColumns(Store *store, List *value_columns, const char *value_schema);

/* May a column be changed from one type to the other without losing a value? */
extern bool StoreTypeWidens(Oid from, int32 from_modifier, Oid to, int32 to_modifier);

/* Keep the store's past from now on, as its option history says.  StoreLock is held. */
extern void StoreKeepHistory(Store *store);

/* Change who owns a store, once rights have been checked.  StoreLock is held. */
extern void StoreChangeOwner(const Store *store, Oid owner);

/*
 * Drop a store, whoever uses it.  force: also while a push runs, and with what depends
 * on it.  StoreLock is held.
 */
extern void StoreDrop(const Store *store, bool force);

#endif							/* VENICE_CREATE_H */
