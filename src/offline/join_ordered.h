/*-------------------------------------------------------------------------
 *
 * join_ordered.h
 *		Matching a spine with the rows of a history as a query returns them in order.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_JOIN_ORDERED_H
#define VENICE_JOIN_ORDERED_H

#include "offline/join_view.h"

/* For any view.  Batches must come in the order of the keys. */
extern void JoinOrderedBegin(JoinViewRun *run);
extern void JoinOrderedMatch(JoinViewRun *run, const JoinBatch *batch, JoinFound *found);
extern void JoinOrderedEnd(JoinViewRun *run);

#endif							/* VENICE_JOIN_ORDERED_H */
