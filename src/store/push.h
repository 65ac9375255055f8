/*-------------------------------------------------------------------------
 *
 * push.h
 *		Starting, ending, aborting and awaiting pushes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_PUSH_H
#define VENICE_PUSH_H

#include "catalog/store.h"

/*
 * Push once more, to its end, from the topic that a lost version came from.  Under
 * StoreLock; no push of the store is running.  Raises what start_push raises.
 */
extern void PushAgain(Store *store, const Version *lost);

#endif							/* VENICE_PUSH_H */
