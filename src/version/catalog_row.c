/*-------------------------------------------------------------------------
 *
 * catalog_row.c
 *		Writing a row of a catalog only where it would change.
 *
 * Most of what is carried at a swap is there already.  An update that changes
 * nothing would still bloat the catalog and have every backend forget what it
 * knows of the table.
 *
 * Locks: those of the caller, who has the catalog open for writing.
 * Must not know: which catalog.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "version/catalog_row.h"

#include "access/htup_details.h"
#include "catalog/indexing.h"
#include "utils/datum.h"
#include "utils/rel.h"

void
CatalogChangeCopy(CatalogChange *change, Relation catalog, HeapTuple source, AttrNumber field)
{
	change->values[field - 1] = heap_getattr(source, field, RelationGetDescr(catalog),
											 &change->nulls[field - 1]);
	change->replaces[field - 1] = true;
}

bool
CatalogChangeApply(CatalogChange *change, Relation catalog, HeapTuple row)
{
	TupleDesc	descriptor = RelationGetDescr(catalog);
	bool		differs = false;

	Assert(descriptor->natts <= CATALOG_MAX_FIELDS);
	for (int i = 0; i < descriptor->natts && !differs; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		bool		is_null;
		Datum		value;

		if (!change->replaces[i])
			continue;
		value = heap_getattr(row, i + 1, descriptor, &is_null);
		differs = is_null != change->nulls[i] ||
			(!is_null && !datum_image_eq(value, change->values[i], attribute->attbyval,
										 attribute->attlen));
	}
	if (differs)
	{
		row = heap_modify_tuple(row, descriptor, change->values, change->nulls,
								change->replaces);
		CatalogTupleUpdate(catalog, &row->t_self, row);
	}
	return differs;
}
