/*-------------------------------------------------------------------------
 *
 * join_leaf.h
 *		The tables that a history consists of.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_JOIN_LEAF_H
#define VENICE_JOIN_LEAF_H

#include "access/sdir.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "storage/buf.h"
#include "utils/relcache.h"

#include "offline/join_view.h"

typedef struct JoinZones JoinZones;

typedef struct JoinLeafFeature
{
	AttrNumber	column;			/* of the table, when the feature is nothing else; or 0 */
	AttrNumber	index_column;	/* of the index, when it has that; or 0 */
	ExprState  *expression;		/* else */
	Oid			type;
	bool		by_value;
	int16		length;
} JoinLeafFeature;

/* What has been found for a batch, by the tables that were looked through. */
typedef struct JoinSearch
{
	const JoinBatch *batch;
	JoinFound  *found;			/* values and event times of the best candidate so far */
	bool	   *open;			/* is there something to be looked for? */
	TimestampTz *latest;		/* event time that a candidate may have */
	TimestampTz *earliest;		/* event time that makes a difference */
	bool	   *has;			/* a candidate */
	bool	   *deleted;		/* it says that the key is gone */
	TimestampTz *created;		/* DT_NOBEGIN: NULL */
	int64	   *arrival;
} JoinSearch;

/* One table, of which rows may be read without asking anybody. */
typedef struct JoinLeaf
{
	Relation	relation;
	TimestampTz from;			/* event times in it: from <= time < to */
	TimestampTz to;				/* DT_NOEND: no limit */
	AttrNumber *keys;
	AttrNumber	event_time;
	AttrNumber	created_time;	/* or 0 */
	AttrNumber	arrival;		/* or 0 */
	int			arrival_bytes;
	AttrNumber	deleted;		/* or 0 */
	JoinLeafFeature *features;
	TupleTableSlot *slot;
	struct IndexScanDescData *scan; /* of the index, once it was needed: for one key */
	struct IndexScanDescData *sweep;	/* likewise, from one key on */
	Buffer		visibility;		/* of the map of rows that all see */
	ExprContext *expressions;
	JoinStep   *step;
	bool		is_empty;		/* as far as anybody sees */
	double		alone_cost;		/* of the index, without workers */
	bool		sweeps;			/* the index is followed from key to key */
	bool		merges;			/* is read as a whole, rather than by the index */
	JoinZones  *zones;			/* of join_merge.c */

	/* The index that has each key's rows by event time, or NULL. */
	Relation	index;
	ScanDirection newest_first;
	bool		ties_ordered;	/* rows of one event time come in the order of preference */
	bool		keys_ordered;	/* keys rise as the view has them, along with newest_first */
	bool		covering;		/* the table is not needed where all see the row */
	AttrNumber *index_keys;		/* columns of the index, from 1, or 0; all below likewise */
	AttrNumber	index_event_time;
	int			index_time_offset;	/* of it within an entry's data, or -1: it varies */
	AttrNumber	index_created_time;
	AttrNumber	index_arrival;
	AttrNumber	index_deleted;
} JoinLeaf;

/*
 * The leaves of a view's history, the newest first; NIL where rows must not or cannot be
 * read but by a query: views, foreign tables, row security, other ways of storing
 * rows, other types of times.  42501 when the current user may not read what is asked for.
 */
extern List *JoinLeavesOpen(JoinViewRun *run);
extern void JoinLeavesClose(List *leaves);

/* May the leaf have something better for a row of the batch? */
static inline bool
JoinLeafWanted(const JoinLeaf *leaf, const JoinSearch *search, int row)
{
	if (!search->open[row] || search->latest[row] < leaf->from)
		return false;
	return TIMESTAMP_IS_NOEND(leaf->to) ||
		(search->earliest[row] < leaf->to &&
		 !(search->has[row] && search->found->event_times[row] >= leaf->to));
}

/* Is a candidate newer than what was found?  created is DT_NOBEGIN for NULL. */
static inline bool
JoinSearchImproves(const JoinSearch *search, int row, TimestampTz event_time,
				   TimestampTz created, int64 arrival)
{
	if (!search->has[row])
		return true;
	if (event_time != search->found->event_times[row])
		return event_time > search->found->event_times[row];
	if (created != search->created[row])
		return created > search->created[row];
	return arrival > search->arrival[row];
}

/* Of the row in the slot; created is DT_NOBEGIN for NULL. */
extern void JoinLeafReadSlot(JoinLeaf *leaf, TimestampTz *created, int64 *arrival, bool *deleted);

/* Values of its features, what they point to copied into context. */
extern void JoinLeafReadFeatures(const JoinViewRun *run, JoinLeaf *leaf, MemoryContext context,
								 Datum *values, bool *nulls);

/* An integer of so many bytes. */
extern int64 JoinLeafInteger(Datum value, int bytes);

#endif							/* VENICE_JOIN_LEAF_H */
