/*-------------------------------------------------------------------------
 *
 * columns.h
 *		Columns that versions get which there are already.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_VERSION_COLUMNS_H
#define VENICE_VERSION_COLUMNS_H

#include "catalog/store.h"

/*
 * Give the versions that are complete, and one that is loaded from a topic, the columns
 * of the store that they lack, where no row is touched by that: those that are NULL or
 * have a constant default.  Their functions have them, too.
 *
 * also: OIDs of tables that the caller is about to alter, and that are locked together
 * with the versions'.  55P03, and nothing is changed, when there is no moment in which
 * all of them are free for so long as lock_timeout allows, or ten seconds.  StoreLock
 * is held.
 */
extern void VersionsAddColumns(const Store *store, List *also);

/* The same for one that is being built, and which nobody else uses. */
extern void VersionAddColumns(const Store *store, const Version *version);

#endif							/* VENICE_VERSION_COLUMNS_H */
