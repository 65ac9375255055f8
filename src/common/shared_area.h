/*-------------------------------------------------------------------------
 *
 * shared_area.h
 *		Shared memory of a room's own.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_SHARED_AREA_H
#define VENICE_SHARED_AREA_H

#include "storage/lwlock.h"

/* Fill an area in, which *memory points to, before anybody else can see it. */
typedef void (*SharedAreaFill) (LWLockPadded *locks);

/*
 * Ask for memory, and a number of locks in a tranche of the same name, while the
 * library is being preloaded.  *memory points to it from the server's start on, and
 * is NULL until then.  The name is a constant.
 */
extern void SharedAreaRequest(const char *name, void **memory, Size size, int locks,
							  SharedAreaFill fill);

#endif							/* VENICE_SHARED_AREA_H */
