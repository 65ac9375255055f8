/*-------------------------------------------------------------------------
 *
 * pointer.c
 *		Which version of a store is current, as a snapshot sees it.
 *
 * One narrow row per store.  Readers see it through MVCC like any other row:
 * that is what makes a swap atomic and exact at every isolation level, which
 * names, looked up in the newest catalogue, cannot be.  The row goes straight
 * through the table access method: it is read once per look-up statement.
 *
 * Locks: AccessShareLock for reading, RowExclusiveLock for writing; writers
 * hold StoreLock.
 * Must not know: how a swap is made.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pointer.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "common/compat.h"
#include "common/query.h"

#define Natts_pointer				5
#define Anum_pointer_store_name		1
#define Anum_pointer_version		2
#define Anum_pointer_records		3
#define Anum_pointer_swap_xid		4
#define Anum_pointer_schema			5

static Relation
open_pointer(int lock_mode)
{
	Oid			schema = get_namespace_oid("venice", false);
	Oid			table = get_relname_relid("version_pointer", schema);

	if (!OidIsValid(table))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"venice\" is not installed in this database"),
				 errhint("Install it with CREATE EXTENSION venice.")));
	return table_open(table, lock_mode);
}

static SysScanDesc
begin_scan(Relation relation, Name store, Snapshot snapshot)
{
	ScanKeyData key;

	ScanKeyInit(&key, Anum_pointer_store_name, BTEqualStrategyNumber, F_NAMEEQ,
				NameGetDatum(store));
	return systable_beginscan(relation, RelationGetPrimaryKeyIndex(relation, false), true, snapshot,
							  1, &key);
}

/*
 * After a restore there are no pointers until a worker has made them again; the
 * registry knows the same, only slower.
 */
static bool
read_registry(const char *store, Snapshot snapshot, VersionPointer *pointer)
{
	QuerySession session;
	QueryArgs	args = {0};
	Oid			schema = get_namespace_oid(store, true);
	bool		found;

	if (!OidIsValid(schema))
		return false;
	PushActiveSnapshot(snapshot);
	QueryBeginRegistry(&session);
	QueryArgText(&args, store);
	found = QueryRead("SELECT version FROM venice.store_version "
					  "WHERE store_name = $1::name AND state = 'current'", &args) == 1;
	if (found)
		pointer->version = QueryInt4(0, 1, 0);
	QueryEnd(&session);
	PopActiveSnapshot();
	pointer->records = get_relname_relid("records", schema);
	pointer->schema = schema;
	return found && OidIsValid(pointer->records);
}

bool
VersionPointerRead(const char *store, Snapshot snapshot, VersionPointer *pointer)
{
	Relation	relation = open_pointer(AccessShareLock);
	NameData	name;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	namestrcpy(&name, store);
	scan = begin_scan(relation, &name, snapshot);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		bool		is_null;

		pointer->version = DatumGetInt32(heap_getattr(tuple, Anum_pointer_version,
													  RelationGetDescr(relation), &is_null));
		pointer->records = DatumGetObjectId(heap_getattr(tuple, Anum_pointer_records,
														 RelationGetDescr(relation), &is_null));
		pointer->schema = DatumGetObjectId(heap_getattr(tuple, Anum_pointer_schema,
														RelationGetDescr(relation), &is_null));
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return found || read_registry(store, snapshot, pointer);
}

void
VersionPointerWrite(const char *store, int version, Oid records)
{
	Relation	relation = open_pointer(RowExclusiveLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	NameData	name;
	Datum		values[Natts_pointer];
	bool		nulls[Natts_pointer] = {false};
	SysScanDesc scan;
	HeapTuple	old;
	HeapTuple	new;

	namestrcpy(&name, store);
	values[Anum_pointer_store_name - 1] = NameGetDatum(&name);
	values[Anum_pointer_version - 1] = Int32GetDatum(version);
	values[Anum_pointer_records - 1] = ObjectIdGetDatum(records);
	values[Anum_pointer_swap_xid - 1] = FullTransactionIdGetDatum(GetTopFullTransactionId());
	values[Anum_pointer_schema - 1] = ObjectIdGetDatum(get_rel_namespace(records));
	new = heap_form_tuple(RelationGetDescr(relation), values, nulls);

	scan = begin_scan(relation, &name, snapshot);
	old = systable_getnext(scan);
	if (HeapTupleIsValid(old))
		CatalogTupleUpdate(relation, &old->t_self, new);
	else
		CatalogTupleInsert(relation, new);
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(relation, RowExclusiveLock);
	CommandCounterIncrement();
}

void
VersionPointerRemove(const char *store)
{
	Relation	relation = open_pointer(RowExclusiveLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	NameData	name;
	SysScanDesc scan;
	HeapTuple	old;

	namestrcpy(&name, store);
	scan = begin_scan(relation, &name, snapshot);
	old = systable_getnext(scan);
	if (HeapTupleIsValid(old))
		CatalogTupleDelete(relation, &old->t_self);
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(relation, RowExclusiveLock);
	CommandCounterIncrement();
}
