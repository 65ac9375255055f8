/*-------------------------------------------------------------------------
 *
 * statistics.h
 *		How often stores are read, and from where.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_STATISTICS_H
#define VENICE_STATISTICS_H

/* Ask for the memory, while shared_preload_libraries is being processed. */
extern void ReadStatisticsRequest(void);

/* A store's place in the statistics; -1 without preload, or when all are taken. */
extern int	ReadStatisticsPlace(const char *store);

/* One call that looked for so many keys; of which the cache had, or lacked, so many. */
extern void ReadStatisticsCount(int place, int64 keys, int64 hits, int64 misses);

/* In which forms of the cache a store has been read: bits by number. */
extern void ReadStatisticsForm(int place, int form);
extern uint32 ReadStatisticsForms(int place);

/* What a store has in the cache; under the cache's locks. */
extern void ReadStatisticsBytes(int place, int64 change);
extern void ReadStatisticsEviction(int place);

#endif							/* VENICE_STATISTICS_H */
