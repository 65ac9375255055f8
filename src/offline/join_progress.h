/*-------------------------------------------------------------------------
 *
 * join_progress.h
 *		How far a running point-in-time join is.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_JOIN_PROGRESS_H
#define VENICE_JOIN_PROGRESS_H

typedef enum JoinPhase
{
	JOIN_PHASE_READING,			/* the spine */
	JOIN_PHASE_JOINING,
	JOIN_PHASE_ORDERING
} JoinPhase;

typedef struct SharedJoin JoinProgress;

/* NULL where there is no room, or no shared memory; the others take NULL for nothing to do. */
extern JoinProgress *JoinProgressBegin(int stage_count);
extern void JoinProgressPhase(JoinProgress *progress, JoinPhase phase, int stage, int64 rows_total,
							  int workers);
extern void JoinProgressRows(JoinProgress *progress, int64 rows_done);
extern void JoinProgressEnd(JoinProgress *progress);

#endif							/* VENICE_JOIN_PROGRESS_H */
