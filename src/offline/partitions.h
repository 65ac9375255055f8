/*-------------------------------------------------------------------------
 *
 * partitions.h
 *		The partitions of a history: which there are, and which there are to be.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_PARTITIONS_H
#define VENICE_PARTITIONS_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "catalog/store.h"

typedef struct Partition
{
	Oid			relation;
	char	   *name;
	TimestampTz start;
	TimestampTz end;			/* exclusive */
	int64		pages;
	int64		compacted_pages;	/* as they were when it was compacted; -1: never */
} Partition;

/* All that are tables and have an end, in the order of time.  The history is locked. */
extern List *PartitionList(const Store *store, Oid history);

/* Has so much come to a partition since it was compacted that it is worth doing it again? */
extern bool PartitionIsScattered(const Partition *partition);

/* The columns by which the rows of a compacted partition are in order. */
extern char *HistoryOrder(const Store *store, Oid history);

extern void PartitionNoteCompaction(const Store *store, Oid partition);

/*
 * Each does what is due of one kind, in a session of the store's owner, and says whether
 * there was something.  The history is locked in ShareUpdateExclusiveLock mode.  55P03
 * when somebody reads what nobody may read meanwhile.
 */
extern bool PartitionsMakeAhead(const Store *store, Oid history);
extern bool PartitionsRetire(const Store *store, Oid history);

/* Rows without a partition get one; those that some snapshot may not see yet have to wait. */
extern bool PartitionsSplitDefault(const Store *store, Oid history);

/* Would one of these do something?  Runs no code of the owner's. */
extern bool PartitionsAreDue(const Store *store, Oid history);

#endif							/* VENICE_PARTITIONS_H */
