/*-------------------------------------------------------------------------
 *
 * join_team.h
 *		Parallel workers that match batches of a spine.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_JOIN_TEAM_H
#define VENICE_JOIN_TEAM_H

#include "offline/join_view.h"

typedef struct JoinTeam JoinTeam;

/*
 * Workers for these views, which JoinDirectBegin has been called for and none of which
 * JoinDirectMerges.  NULL when there are none to be had, or one of the views must not
 * be left to them.  From here to JoinTeamEnd the transaction is in parallel mode.
 */
extern JoinTeam *JoinTeamBegin(List *runs, const Oid *key_types);
extern int	JoinTeamSize(const JoinTeam *team);

/* Would a worker take another batch? */
extern bool JoinTeamWants(JoinTeam *team);

/* Give it one; found, an array with an element for each view, is filled when it is taken back. */
extern void JoinTeamGive(JoinTeam *team, const JoinBatch *batch, JoinFound *found);

/* Which batch is done?  NULL: none; with wait, none is out. */
extern const JoinBatch *JoinTeamTake(JoinTeam *team, bool wait);

/*
 * Let the workers go.  Once all batches were taken back they add their counts to the views'
 * steps; else they leave what they are at.
 */
extern void JoinTeamEnd(JoinTeam *team, bool is_done);

#endif							/* VENICE_JOIN_TEAM_H */
