/*-------------------------------------------------------------------------
 *
 * pointer.h
 *		Which version of a store is current, as a snapshot sees it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_POINTER_H
#define VENICE_POINTER_H

#include "utils/snapshot.h"

typedef struct VersionPointer
{
	int			version;
	Oid			records;		/* the current version's table */
} VersionPointer;

/* Read the pointer under a snapshot; false when it sees no such store. */
extern bool VersionPointerRead(const char *store, Snapshot snapshot, VersionPointer *pointer);

/* Make or move the pointer, in the current transaction. */
extern void VersionPointerWrite(const char *store, int version, Oid records);

/*
 * Until whoever made the latest swap that can be seen has also told the others which names
 * have moved, which comes a moment after its commit.  Names that are looked up by the next
 * statement are those of the current version.  A standby does not wait.
 */
extern void VersionPointerSettle(const char *store);

extern void VersionPointerRemove(const char *store);

#endif							/* VENICE_POINTER_H */
