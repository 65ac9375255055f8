/*-------------------------------------------------------------------------
 *
 * join_windows.h
 *		Matching a spine with aggregates over windows of a history.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_JOIN_WINDOWS_H
#define VENICE_JOIN_WINDOWS_H

#include "offline/join_view.h"

/* For views with aggregations.  Batches must come in the order of the keys. */
extern void JoinWindowsBegin(JoinViewRun *run);
extern void JoinWindowsMatch(JoinViewRun *run, const JoinBatch *batch, JoinFound *found);
extern void JoinWindowsEnd(JoinViewRun *run);

#endif							/* VENICE_JOIN_WINDOWS_H */
