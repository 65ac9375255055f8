/*-------------------------------------------------------------------------
 *
 * warm.h
 *		Reading a version into the cache before anybody asks for it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_WARM_H
#define VENICE_WARM_H

#include "catalog/store.h"

/*
 * Put a version's rows into the cache, in the form in which the store has been
 * read; nothing where there is no cache or the store does not want it.  Returns
 * how many rows.
 */
extern int64 VersionWarm(const Store *store, const Version *version);

#endif							/* VENICE_WARM_H */
