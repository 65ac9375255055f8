/*-------------------------------------------------------------------------
 *
 * catalog_row.h
 *		Writing a row of a catalog only where it would change.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_CATALOG_ROW_H
#define VENICE_CATALOG_ROW_H

#include "access/htup.h"
#include "utils/relcache.h"

/* No catalog has more columns. */
#define CATALOG_MAX_FIELDS 40

/* What is to be written into a row: value, null and whether, by attribute number less one. */
typedef struct CatalogChange
{
	Datum		values[CATALOG_MAX_FIELDS];
	bool		nulls[CATALOG_MAX_FIELDS];
	bool		replaces[CATALOG_MAX_FIELDS];
} CatalogChange;

/* Take a field as it is in another row of the same catalog. */
extern void CatalogChangeCopy(CatalogChange *change, Relation catalog, HeapTuple source,
							  AttrNumber field);

/* Update row, unless it has those values already; says whether it was.  Not visible yet. */
extern bool CatalogChangeApply(CatalogChange *change, Relation catalog, HeapTuple row);

#endif							/* VENICE_CATALOG_ROW_H */
