/*-------------------------------------------------------------------------
 *
 * dependents.h
 *		What others have made of a version, and that does not follow a swap.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_DEPENDENTS_H
#define VENICE_DEPENDENTS_H

#include "catalog/store.h"

/*
 * Names, for people, of what keeps the table of a version from being dropped;
 * NULL if nothing does.
 */
extern char *DependentsThatBlock(Oid records);

/* WARNING that names what will stay with the current version at the next swap, if anything. */
extern void DependentsWarn(const Store *store);

#endif							/* VENICE_DEPENDENTS_H */
