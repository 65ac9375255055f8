/*-------------------------------------------------------------------------
 *
 * pointer.c
 *		Which version of a store is current, as a snapshot sees it.
 *
 * One narrow row per store.  Readers see it through MVCC like any other row:
 * that is what makes a swap atomic and exact at every isolation level, which
 * names, looked up in the newest catalogue, cannot be.  The row goes straight
 * through the table access method.
 *
 * Reading it costs more than a look-up in RAM, so that a backend remembers the
 * newest pointer of a store, and the one before if it knows that there was none
 * between, and takes the one whose swap its snapshot sees.  They hold as long as
 * SwapGenerationRead says so.
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
#include "access/parallel.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "catalog/registry_row.h"
#include "common/compat.h"
#include "common/query.h"
#include "common/swap_generation.h"

#define Natts_pointer				4
#define Anum_pointer_store_name		1
#define Anum_pointer_version		2
#define Anum_pointer_records		3
#define Anum_pointer_swap_xid		4

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
	return found && OidIsValid(pointer->records);
}

/* The row itself, and by which transaction it was made. */
static bool
read_row(const char *store, Snapshot snapshot, VersionPointer *pointer, FullTransactionId *swap)
{
	Relation	relation = RegistryOpen("version_pointer", AccessShareLock);
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
		*swap = DatumGetFullTransactionId(heap_getattr(tuple, Anum_pointer_swap_xid,
													   RelationGetDescr(relation), &is_null));
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return found;
}

/* What is remembered of one store. */
typedef struct Remembered
{
	NameData	store;			/* hash key */
	uint64		generation;		/* at which it is true */
	VersionPointer newest;
	VersionPointer previous;
	TransactionId newest_swap;	/* who made it so; frozen when long ago */
	TransactionId previous_swap;	/* invalid: not known */
	TransactionId next_xid;		/* when it was filled */
} Remembered;

static HTAB *remembered = NULL;

static Remembered *
recall(const char *store, bool make)
{
	NameData	name;
	Remembered *entry;
	bool		found;

	if (remembered == NULL)
	{
		HASHCTL		control = {
			.keysize = sizeof(NameData),
			.entrysize = sizeof(Remembered),
			.hcxt = CacheMemoryContext
		};

		remembered = hash_create("venice version pointers", 16, &control,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	namestrcpy(&name, store);
	entry = hash_search(remembered, &name, make ? HASH_ENTER : HASH_FIND, &found);
	if (make && !found)
	{
		entry->newest_swap = InvalidTransactionId;
		entry->previous_swap = InvalidTransactionId;
	}
	return entry;
}

/* Compared as 32 bits, so that what is long ago must be marked as such in time. */
static bool
swap_is_visible(TransactionId swap, Snapshot snapshot)
{
	return TransactionIdIsValid(swap) && !XidInMVCCSnapshot(swap, snapshot);
}

/*
 * Remember the newest pointer, read under a snapshot of now.  If no swap comes
 * between the generation and the end of the reading, it is that generation's.
 */
static Remembered *
remember(const char *store, uint64 generation)
{
	Remembered *entry;
	VersionPointer newest;
	FullTransactionId swap;
	FullTransactionId next = ReadNextFullTransactionId();
	Snapshot	snapshot;
	uint64		generation_after;
	TransactionId swap_xid;
	bool		found;

	/* A parallel worker cannot take a snapshot. */
	if (IsInParallelMode())
		return NULL;
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	found = read_row(store, snapshot, &newest, &swap);
	UnregisterSnapshot(snapshot);
	if (!found || !SwapGenerationRead(&generation_after) || generation_after != generation)
		return NULL;

	swap_xid = U64FromFullTransactionId(next) - U64FromFullTransactionId(swap) > 1 << 30 ?
		FrozenTransactionId : XidFromFullTransactionId(swap);
	entry = recall(store, true);
	if (entry->newest_swap != swap_xid || entry->newest.records != newest.records)
	{
		/* The one before this, if that swap was the only one since. */
		entry->previous = entry->newest;
		entry->previous_swap = entry->generation + 1 == generation ? entry->newest_swap :
			InvalidTransactionId;
	}
	entry->newest = newest;
	entry->newest_swap = swap_xid;
	entry->generation = generation;
	entry->next_xid = XidFromFullTransactionId(next);
	return entry;
}

bool
VersionPointerRead(const char *store, Snapshot snapshot, VersionPointer *pointer)
{
	FullTransactionId swap;
	uint64		generation;

	if (snapshot->snapshot_type == SNAPSHOT_MVCC && SwapGenerationRead(&generation))
	{
		Remembered *entry = recall(store, false);

		if (entry == NULL || entry->generation != generation ||
			abs((int32) (snapshot->xmax - entry->next_xid)) > 1 << 29)
			entry = remember(store, generation);
		if (entry != NULL && swap_is_visible(entry->newest_swap, snapshot))
		{
			*pointer = entry->newest;
			return true;
		}
		if (entry != NULL && swap_is_visible(entry->previous_swap, snapshot))
		{
			*pointer = entry->previous;
			return true;
		}
	}
	return read_row(store, snapshot, pointer, &swap) || read_registry(store, snapshot, pointer);
}

void
VersionPointerWrite(const char *store, int version, Oid records)
{
	Relation	relation = RegistryOpen("version_pointer", RowExclusiveLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	NameData	name;
	Datum		values[Natts_pointer];
	bool		nulls[Natts_pointer] = {false};
	SysScanDesc scan;
	HeapTuple	old;
	HeapTuple	new;

	SwapGenerationMark();
	namestrcpy(&name, store);
	values[Anum_pointer_store_name - 1] = NameGetDatum(&name);
	values[Anum_pointer_version - 1] = Int32GetDatum(version);
	values[Anum_pointer_records - 1] = ObjectIdGetDatum(records);
	values[Anum_pointer_swap_xid - 1] = FullTransactionIdGetDatum(GetTopFullTransactionId());
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
VersionPointerSettle(const char *store)
{
	FullTransactionId next = ReadNextFullTransactionId();
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	VersionPointer pointer;
	FullTransactionId swap;
	bool		found = read_row(store, snapshot, &pointer, &swap);

	UnregisterSnapshot(snapshot);
	/* A transaction's lock on itself goes after its invalidations. */
	if (found && !RecoveryInProgress() && FullTransactionIdIsNormal(swap) &&
		U64FromFullTransactionId(next) - U64FromFullTransactionId(swap) <= 1 << 30)
		XactLockTableWait(XidFromFullTransactionId(swap), NULL, NULL, XLTW_None);
}

void
VersionPointerRemove(const char *store)
{
	Relation	relation = RegistryOpen("version_pointer", RowExclusiveLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	NameData	name;
	SysScanDesc scan;
	HeapTuple	old;

	SwapGenerationMark();
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
