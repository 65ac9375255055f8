/*-------------------------------------------------------------------------
 *
 * units.h
 *		Which worker ingests which partition.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_UNITS_H
#define VENICE_UNITS_H

#include "nodes/pg_list.h"

typedef struct WantedUnit
{
	char	   *store;
	int			version;
	int			region;
	char	   *server;
	char	   *topic;
	int32		partition;		/* -1: not known yet */
	bool		end_requested;
	uint32		members;		/* of versions that have joined */
	bool		optional;		/* only while it has a worker */
	bool		known;			/* has its shared unit; for UnitsSync */
} WantedUnit;

/* What the registry wants ingested now, as a list of WantedUnit; in a transaction. */
extern List *UnitsWanted(void);

/*
 * Do those that write to all versions of a store that have joined know of them all?  Then a
 * version that has come as far as the others stays with them.
 */
extern bool UnitsWriteToAll(const char *store);

/* Make the shared units of this database match. */
extern void UnitsSync(const List *wanted);

/* Give units without a worker to one, starting workers as slots allow. */
extern void UnitsAssign(void);

/* Ask all workers of this database to let go. */
extern void UnitsRelease(void);

#endif							/* VENICE_UNITS_H */
