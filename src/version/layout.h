/*-------------------------------------------------------------------------
 *
 * layout.h
 *		The schemas and tables that a version consists of.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_LAYOUT_H
#define VENICE_LAYOUT_H

#include "catalog/store.h"

/*
 * Make the schema of a version, owned by the store's owner, with an empty
 * records and, for a version that Kafka fills, tombstones.  Returns the schema's
 * name.  The current version is made so only once, as version 0.
 */
extern char *VersionCreate(const Store *store, int number, VersionState state,
						   const char *origin);

/*
 * Make a version ready for writes one by one: plain DML on its records is refused from now
 * on, by an ENABLE ALWAYS trigger, and deleted rows have their tombstones.  options are
 * the version's.  As the store's owner.
 */
extern void VersionSeal(const Store *store, const StoreOptions *options, const char *schema);

/* COMMENT ON SCHEMA, so that \dn+ explains itself. */
extern void VersionDescribe(const Store *store, const Version *version);

/* Columns that only some stores need, in table order after the user's. */
extern bool VersionHasArrival(const StoreOptions *options, const char *origin);

/* "key1, key2", quoted, each with a prefix such as "r." */
extern char *KeyColumnList(const Store *store, const char *prefix);

/*
 * Raise 55000 naming what a swap would lose: objects in a version's schema that are
 * not the store's, and rules, inheritance and foreign columns of its records.
 */
extern void VersionCheckSwappable(const Store *store, Oid schema_oid, Oid records_oid);

#endif							/* VENICE_LAYOUT_H */
