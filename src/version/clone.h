/*-------------------------------------------------------------------------
 *
 * clone.h
 *		Indexes, constraints, triggers and statistics that users put on the
 *		current version.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_CLONE_H
#define VENICE_CLONE_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/*
 * Make on the table `to` what users have made on the table `from`.  As the
 * current user, who is the store's owner.
 *
 * *cloned says what is on `to` because it was, with that definition, on the current
 * version when `to` was last made like it; NULL: nothing.  What is in it and has
 * gone from `from` is dropped, what is defined otherwise there is made anew; what
 * users have made on `to` themselves stays.  It is then brought up to date.
 * The result says whether something was made that ANALYZE is to fill.
 */
extern bool CloneUserObjects(Oid from, Oid to, Jsonb **cloned);

/*
 * The same for a table that has been followed: what was cloned from it on the given
 * one, with the definitions there.  It may come to be made like that one in turn.
 */
extern Jsonb *ClonedInReverse(Oid table, const Jsonb *cloned);

/*
 * Have `to` store its rows as `from` does (storage and compression of columns by
 * name, toast_tuple_target), estimate distinct values as it does, and set what ALTER
 * TABLE sets on what both have: which triggers are enabled, replica identity, the
 * index of CLUSTER.
 */
extern void CloneSettings(Oid from, Oid to);

/* Statistics targets of columns, of indexes' expressions and of statistics objects. */
extern void CloneStatisticsSettings(Oid from, Oid to);

/* The same thing on two tables: class, and its OID on each. */
typedef struct ObjectPair
{
	Oid			class_id;
	Oid			from;
	Oid			to;
} ObjectPair;

/* Indexes, constraints, triggers and statistics, ours too, that are on both tables. */
extern List *ObjectPairs(Oid from, Oid to);

/*
 * What a statistics object is called while it is in the schema of a version: by its
 * name, and with that of its schema if it belongs into another one.
 */
extern char *StatisticsNameInVersion(Oid statistics, Oid schema);

#endif							/* VENICE_CLONE_H */
