/*-------------------------------------------------------------------------
 *
 * registry_row.c
 *		Rows of the venice.* tables, without SQL.
 *
 * A swap renames schemas, and so invalidates every plan that a backend has kept:
 * SQL in it is parsed and planned each time, which would cost more than what
 * the swap is for.  What a swap reads and writes goes through here instead;
 * everything else remains SQL (common/query.c).
 *
 * What is written must need nothing of the executor: no CHECK, no trigger, no
 * column that is generated, and no index with an expression or a condition.
 *
 * Locks: AccessShareLock for reading, RowExclusiveLock and a row's lock for
 * writing, as SQL takes them.
 * Must not know: what the tables mean.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/registry_row.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "common/compat.h"

Relation
RegistryOpen(const char *table, LOCKMODE lock_mode)
{
	Oid			relation = get_relname_relid(table, get_namespace_oid("venice", true));

	if (!OidIsValid(relation))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"venice\" is not installed in this database"),
				 errhint("Install it with CREATE EXTENSION venice.")));
	return table_open(relation, lock_mode);
}

static void
begin_scan(RegistryScan *scan, Relation relation, const char *store, int version,
		   Snapshot snapshot)
{
	ScanKeyData keys[2];

	scan->relation = relation;
	scan->index = index_open(RelationGetPrimaryKeyIndex(relation, false), AccessShareLock);
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_NAMEEQ,
				DirectFunctionCall1(namein, CStringGetDatum(store)));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(version));
	scan->scan = systable_beginscan_ordered(relation, scan->index, snapshot,
											version == NO_VERSION ? 1 : 2, keys);
}

static void
end_scan(RegistryScan *scan)
{
	systable_endscan_ordered(scan->scan);
	index_close(scan->index, AccessShareLock);
}

void
RegistryScanBegin(RegistryScan *scan, const char *table, const char *store, int version,
				  Snapshot snapshot)
{
	begin_scan(scan, RegistryOpen(table, AccessShareLock), store, version, snapshot);
}

HeapTuple
RegistryScanNext(RegistryScan *scan)
{
	return systable_getnext_ordered(scan->scan, ForwardScanDirection);
}

void
RegistryScanEnd(RegistryScan *scan)
{
	end_scan(scan);
	table_close(scan->relation, AccessShareLock);
}

static int
column_number(Relation relation, const char *column)
{
	int			number = SPI_fnumber(RelationGetDescr(relation), column);

	if (number <= 0)
		elog(ERROR, "table \"%s\" has no column \"%s\"", RelationGetRelationName(relation),
			 column);
	return number;
}

Datum
RegistryField(Relation relation, HeapTuple tuple, const char *column, bool *is_null)
{
	return heap_getattr(tuple, column_number(relation, column), RelationGetDescr(relation),
						is_null);
}

char *
RegistryText(Relation relation, HeapTuple tuple, const char *column)
{
	bool		is_null;
	Datum		value = RegistryField(relation, tuple, column, &is_null);

	return is_null ? NULL : TextDatumGetCString(value);
}

int64
RegistryInt8(Relation relation, HeapTuple tuple, const char *column)
{
	bool		is_null;
	Datum		value = RegistryField(relation, tuple, column, &is_null);

	return is_null ? 0 : DatumGetInt64(value);
}

/* The row, copied; NULL if there is none. */
static HeapTuple
find_row(Relation relation, const char *store, int version, Snapshot snapshot)
{
	RegistryScan scan;
	HeapTuple	tuple;

	snapshot = RegisterSnapshot(snapshot);
	begin_scan(&scan, relation, store, version, snapshot);
	tuple = heap_copytuple(RegistryScanNext(&scan));
	end_scan(&scan);
	UnregisterSnapshot(snapshot);
	return tuple;
}

/* Wait for whoever is changing a row; false when he has. */
static bool
lock_tuple(Relation relation, ItemPointer place)
{
	HeapTupleData tuple = {.t_self = *place};
	Buffer		buffer;
	TM_FailureData failure;
	TM_Result	result = heap_lock_tuple(relation, &tuple, GetCurrentCommandId(false),
										 LockTupleNoKeyExclusive, LockWaitBlock, false, &buffer,
										 &failure);

	ReleaseBuffer(buffer);
	if (result != TM_Ok && result != TM_Updated && result != TM_Deleted)
		elog(ERROR, "could not lock a row of \"%s\": %u", RelationGetRelationName(relation),
			 result);
	return result == TM_Ok;
}

static void
open_row(RegistryRow *row, Relation relation, HeapTuple tuple)
{
	int			columns = RelationGetNumberOfAttributes(relation);

	row->relation = relation;
	row->tuple = tuple;
	row->values = palloc0_array(Datum, columns);
	row->nulls = palloc0_array(bool, columns);
	row->replaces = palloc0_array(bool, columns);
}

static bool
lock_row(RegistryRow *row, const char *table, const char *store, int version, bool latest)
{
	Relation	relation = RegistryOpen(table, RowExclusiveLock);

	for (;;)
	{
		HeapTuple	tuple = find_row(relation, store, version,
									 latest ? GetLatestSnapshot() : GetTransactionSnapshot());

		if (tuple == NULL)
			break;
		if (lock_tuple(relation, &tuple->t_self))
		{
			open_row(row, relation, tuple);
			return true;
		}
		if (!latest && IsolationUsesXactSnapshot())
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not serialize access due to concurrent update")));
		CHECK_FOR_INTERRUPTS();
	}
	table_close(relation, RowExclusiveLock);
	return false;
}

bool
RegistryRowLock(RegistryRow *row, const char *table, const char *store, int version)
{
	return lock_row(row, table, store, version, false);
}

bool
RegistryRowLockLatest(RegistryRow *row, const char *table, const char *store, int version)
{
	return lock_row(row, table, store, version, true);
}

void
RegistryRowMake(RegistryRow *row, const char *table)
{
	open_row(row, RegistryOpen(table, RowExclusiveLock), NULL);
	memset(row->nulls, true, RelationGetNumberOfAttributes(row->relation));
}

void
RegistryRowSet(RegistryRow *row, const char *column, Datum value)
{
	int			index = column_number(row->relation, column) - 1;

	row->values[index] = value;
	row->nulls[index] = false;
	row->replaces[index] = true;
}

void
RegistryRowSetNull(RegistryRow *row, const char *column)
{
	int			index = column_number(row->relation, column) - 1;

	row->nulls[index] = true;
	row->replaces[index] = true;
}

void
RegistryRowAdd(RegistryRow *row, const char *column, int64 addend)
{
	RegistryRowSet(row, column,
				   Int64GetDatum(RegistryInt8(row->relation, row->tuple, column) + addend));
}

static void
close_row(RegistryRow *row)
{
	table_close(row->relation, RowExclusiveLock);
	CommandCounterIncrement();
}

void
RegistryRowWrite(RegistryRow *row)
{
	TupleDesc	descriptor = RelationGetDescr(row->relation);

	if (row->tuple == NULL)
		CatalogTupleInsert(row->relation, heap_form_tuple(descriptor, row->values, row->nulls));
	else
		CatalogTupleUpdate(row->relation, &row->tuple->t_self,
						   heap_modify_tuple(row->tuple, descriptor, row->values, row->nulls,
											 row->replaces));
	close_row(row);
}

void
RegistryRowDelete(RegistryRow *row)
{
	CatalogTupleDelete(row->relation, &row->tuple->t_self);
	close_row(row);
}
