/*-------------------------------------------------------------------------
 *
 * load.h
 *		Appending one partition's records to a version that is being filled.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_LOAD_H
#define VENICE_LOAD_H

#include "access/htup.h"
#include "storage/itemptr.h"
#include "utils/relcache.h"

typedef struct Load Load;

/*
 * State of one unit's load, kept in context across transactions.  last_row is
 * the last row that this partition loaded before, from venice.partition_state, or invalid.
 */
extern Load *LoadCreate(Oid records, const ItemPointerData *last_row, MemoryContext context);

/*
 * Open for one batch, inside a transaction.  Returns false when the version's
 * table is gone, which ends the unit.  At an error nothing needs to be called:
 * abort of the (sub)transaction releases what is held, and LoadBegin starts over
 * from what was last committed.
 */
extern bool LoadBegin(Load *load);

/* Append a row of the table, which stays until LoadEnd returns. */
extern void LoadPut(Load *load, HeapTuple row);

/*
 * Remember that a key was deleted here: row has the key columns, arrival and event
 * time only where the table has such columns.  It stays, too.
 */
extern void LoadDelete(Load *load, HeapTuple row);

/* Write what is buffered and close. */
extern void LoadEnd(Load *load);

/* After the batch's transaction committed: its rows are now part of what was loaded. */
extern void LoadCommitted(Load *load);

/*
 * The last row of this partition including the open batch, after LoadEnd; invalid
 * if there is none.
 */
extern ItemPointerData LoadLastRow(Load *load);

#endif							/* VENICE_LOAD_H */
