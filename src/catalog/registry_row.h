/*-------------------------------------------------------------------------
 *
 * registry_row.h
 *		Rows of the venice.* tables, without SQL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_REGISTRY_ROW_H
#define VENICE_REGISTRY_ROW_H

#include "access/genam.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/* Of a table whose primary key is a store alone. */
#define NO_VERSION	(-1)

/* Open a table of schema venice; 55000 when the extension is not installed. */
extern Relation RegistryOpen(const char *table, LOCKMODE lock_mode);

/*
 * The rows of a store, or of one of its versions, in the order of the primary key,
 * which begins with these.
 */
typedef struct RegistryScan
{
	Relation	relation;
	Relation	index;
	SysScanDesc scan;
} RegistryScan;

extern void RegistryScanBegin(RegistryScan *scan, const char *table, const char *store,
							  int version, Snapshot snapshot);
extern HeapTuple RegistryScanNext(RegistryScan *scan);	/* NULL after the last one */
extern void RegistryScanEnd(RegistryScan *scan);

/* A column, by its name: it may be in another place after an upgrade. */
extern Datum RegistryField(Relation relation, HeapTuple tuple, const char *column, bool *is_null);

/* Likewise, palloc'd; NULL for a NULL.  Of type text. */
extern char *RegistryText(Relation relation, HeapTuple tuple, const char *column);

/* Likewise, of type bigint; a NULL is 0. */
extern int64 RegistryInt8(Relation relation, HeapTuple tuple, const char *column);

/* A row that is being changed or made. */
typedef struct RegistryRow
{
	Relation	relation;
	HeapTuple	tuple;			/* NULL: a new one */
	Datum	   *values;
	bool	   *nulls;
	bool	   *replaces;
} RegistryRow;

/*
 * Lock the row of a store, or of a version, as an UPDATE does: in REPEATABLE READ that
 * fails with 40001 when somebody has changed it since the transaction's
 * snapshot.  False when there is none; otherwise RegistryRowWrite or -Delete must follow.
 */
extern bool RegistryRowLock(RegistryRow *row, const char *table, const char *store, int version);

/* Likewise the newest row, whatever the isolation level: of what nothing depends on. */
extern bool RegistryRowLockLatest(RegistryRow *row, const char *table, const char *store,
								  int version);

/* A new row: RegistryRowWrite must follow.  What is not set is NULL. */
extern void RegistryRowMake(RegistryRow *row, const char *table);

extern void RegistryRowSet(RegistryRow *row, const char *column, Datum value);
extern void RegistryRowSetNull(RegistryRow *row, const char *column);
extern void RegistryRowAdd(RegistryRow *row, const char *column, int64 addend);	/* to a bigint */

/* Make the changes, and see them from now on. */
extern void RegistryRowWrite(RegistryRow *row);
extern void RegistryRowDelete(RegistryRow *row);

#endif							/* VENICE_REGISTRY_ROW_H */
