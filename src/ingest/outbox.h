/*-------------------------------------------------------------------------
 *
 * outbox.h
 *		A worker's outboxes: what was written to stores, produced to their topics.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_INGEST_OUTBOX_H
#define VENICE_INGEST_OUTBOX_H

#include "datatype/timestamp.h"
#include "storage/latch.h"

/* Take an entry of Shared->units that is ours, or go on with it; let go of it if asked to. */
extern void OutboxAdopt(int index, bool stop);

/* Do what there is to do, and never block for it.  An error is the affair of its outbox. */
extern void OutboxesWork(void);

/* When there is something to do without an event; 0: nothing. */
extern TimestampTz OutboxesDueTime(void);

extern bool OutboxesArePresent(void);
extern void OutboxesReleaseAll(void);
extern void OutboxesCloseAll(void);

/* What to wait for; counts openings and closings: a set that is older does not fit any more. */
extern int	OutboxesGeneration;
extern int	OutboxesCount(void);
extern void OutboxesAddToWaitSet(WaitEventSet *set);

#endif							/* VENICE_INGEST_OUTBOX_H */
