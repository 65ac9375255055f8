/*-------------------------------------------------------------------------
 *
 * write_rate.h
 *		How many rows a second are written to a store.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_WRITE_RATE_H
#define VENICE_WRITE_RATE_H

#include "nodes/pg_list.h"

/* Ask for the memory, while the library is being preloaded. */
extern void WriteRateRequestMemory(void);

/*
 * A store of this database may have so many rows per second from now on; 0: as many as
 * come.  Without preload, and of more than 256 such stores at a time, nothing is counted.
 */
extern void WriteRateSet(const char *store, int rows_per_second);

/* The same of all stores of this database, by a list of StoreRate. */
typedef struct StoreRate
{
	char	   *store;
	int			rows_per_second;
} StoreRate;

extern void WriteRateSetAll(const List *rates);

/*
 * How long, in milliseconds, nothing more may be written to a store; 0: something may.  What
 * is unused of a second is kept for the next one.
 */
extern int	WriteRateWaitMs(const char *store);

/* Rows were written.  They may be more than the store had left: it waits for that after. */
extern void WriteRateCount(const char *store, int64 rows);

#endif							/* VENICE_WRITE_RATE_H */
