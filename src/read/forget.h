/*-------------------------------------------------------------------------
 *
 * forget.h
 *		Which tables' rows may be cached, and the trigger that reports writes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_FORGET_H
#define VENICE_FORGET_H

#include "executor/tuptable.h"
#include "utils/relcache.h"

#include "read/cache.h"

/*
 * Describe a table for the cache, but for ttl and statistics; false when its rows
 * must not be cached: without the trigger, enabled in every mode, that reports
 * writes, or without a primary key.
 */
extern bool CacheTableDescribe(Relation records, CacheTable *table);

/*
 * For who writes past triggers, with a lock on the table that keeps them as they are:
 * false when rows fire others than ours.  Else table is for ForgetRow.
 */
extern bool ForgetIsOnlyTrigger(Relation records, CacheTable *table);

/* Report, in the trigger's place, that a row is about to be replaced or deleted. */
extern void ForgetRow(const CacheTable *table, TupleTableSlot *row);

/* Watch over these triggers, from shared_preload_libraries on. */
extern void ForgetTriggerWatch(void);

#endif							/* VENICE_FORGET_H */
