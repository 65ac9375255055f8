/*-------------------------------------------------------------------------
 *
 * swap.h
 *		Making another version current.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_SWAP_H
#define VENICE_SWAP_H

#include "catalog/store.h"

typedef enum SwapReason
{
	SWAP_PUSH,					/* a push is ready */
	SWAP_FORWARD,				/* venice.swap_version */
	SWAP_ROLLBACK				/* the version left behind is never a target again by itself */
} SwapReason;

/*
 * Swap, in the caller's transaction and under StoreLock, which the caller holds
 * exclusively.  The target is ready, waiting for a dump, a backup, or (forward
 * only) rolled back.  While a running dump holds the store's gate, a version that
 * is new is left in state waiting_for_dump and the result is false; going back to
 * an earlier one raises 55P03.
 */
extern bool VersionSwap(Store *store, Version *target, SwapReason reason);

#endif							/* VENICE_SWAP_H */
