/*-------------------------------------------------------------------------
 *
 * join_direct.h
 *		Matching a spine with the tables of a history, each in the way that costs least.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_JOIN_DIRECT_H
#define VENICE_JOIN_DIRECT_H

#include "offline/join_view.h"

/*
 * Choose for each table, given run->plan and run->spine_rows, which come in so
 * many batches where tables are merged.  False where it takes a query.
 */
extern bool JoinDirectBegin(JoinViewRun *run, double merge_batches);

/* Are larger batches faster? */
extern bool JoinDirectMerges(const JoinViewRun *run);

/* As a list of Oid. */
extern List *JoinDirectFeatureTypes(const JoinViewRun *run);
extern void JoinDirectMatch(JoinViewRun *run, const JoinBatch *batch, JoinFound *found);
extern void JoinDirectEnd(JoinViewRun *run);

#endif							/* VENICE_JOIN_DIRECT_H */
