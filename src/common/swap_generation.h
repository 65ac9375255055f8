/*-------------------------------------------------------------------------
 *
 * swap_generation.h
 *		Whether the version pointers that a backend has cached can be trusted.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_SWAP_GENERATION_H
#define VENICE_SWAP_GENERATION_H

/* This transaction moves, makes or removes a version pointer. */
extern void SwapGenerationMark(void);

/*
 * To be called after the snapshot was taken that is to be answered under.  False
 * when nothing cached may be used; otherwise what was cached at this *generation*
 * is as true now as it was then.
 */
extern bool SwapGenerationRead(uint64 *generation);

#endif							/* VENICE_SWAP_GENERATION_H */
