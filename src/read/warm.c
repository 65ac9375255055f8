/*-------------------------------------------------------------------------
 *
 * warm.c
 *		Reading a version into the cache before anybody asks for it.
 *
 * One pass over the table, ended when the cache must be full.  Rows that were
 * written by this transaction cannot be kept: a push that is one transaction is
 * read into the cache by its readers.
 *
 * Locks: AccessShareLock on the table until the end of the transaction.
 * Must not know: when it is called.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "read/warm.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "common/compat.h"
#include "read/cache.h"
#include "read/encode.h"
#include "read/handle.h"
#include "read/lookup.h"
#include "read/packed.h"
#include "read/statistics.h"

typedef struct Warming
{
	CacheTable	table;
	bool		tuples;			/* forms to fill */
	bool		packed;
	RowEncoder *encoder;
	Snapshot	snapshot;
	int64		bytes;			/* put in so far */
} Warming;

/* Put one row in; false when it was not kept. */
static bool
warm_row(Warming *warming, TupleTableSlot *row)
{
	HeapTuple	tuple = ExecFetchSlotHeapTuple(row, false, NULL);
	Datum		key[INDEX_MAX_KEYS];
	CacheKey	cache_key;
	bool		kept = false;

	slot_getallattrs(row);
	for (int k = 0; k < warming->table.key_count; k++)
		key[k] = row->tts_values[warming->table.key_attributes[k] - 1];
	if (!CacheKeyMake(&warming->table, key, &cache_key))
		return false;
	if (warming->tuples)
	{
		HeapTuple	flat = RowFlatten(row);

		kept |= CacheFill(&warming->table, &cache_key, CACHE_TUPLE, warming->snapshot, tuple,
						  (char *) flat->t_data, flat->t_len);
		warming->bytes += flat->t_len;
	}
	if (warming->packed)
	{
		StringInfoData bytes;

		initStringInfo(&bytes);
		RowEncode(warming->encoder, row->tts_values, row->tts_isnull, &bytes);
		kept |= CacheFill(&warming->table, &cache_key, CACHE_PACKED, warming->snapshot, tuple,
						  bytes.data, bytes.len);
		warming->bytes += bytes.len;
	}
	return kept;
}

/* Was the row written by this transaction? */
static bool
is_own(TupleTableSlot *row)
{
	HeapTuple	tuple = ExecFetchSlotHeapTuple(row, false, NULL);

	return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
}

static int64
warm_table(Relation records, Warming *warming)
{
	TableScanDesc scan;
	TupleTableSlot *row;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext per_row = AllocSetContextCreate(caller, "venice warming",
												  ALLOCSET_DEFAULT_SIZES);
	int64		count = 0;

	scan = table_beginscan(records, warming->snapshot, 0, NULL);
	row = table_slot_create(records, NULL);
	while (warming->bytes < CacheBytes() &&
		   table_scan_getnextslot(scan, ForwardScanDirection, row))
	{
		CHECK_FOR_INTERRUPTS();
		if (!TTS_IS_BUFFERTUPLE(row) || is_own(row))
			break;
		MemoryContextSwitchTo(per_row);
		count += warm_row(warming, row);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(per_row);
	}
	ExecDropSingleTupleTableSlot(row);
	table_endscan(scan);
	MemoryContextDelete(per_row);
	return count;
}

int64
VersionWarm(const Store *store, const Version *version)
{
	Warming		warming = {{0}};
	Oid			records_oid = VersionRecords(version);
	Relation	records;
	uint32		forms;
	int64		count = 0;

	if (!CacheIsConfigured() || !OidIsValid(records_oid))
		return 0;
	records = try_table_open(records_oid, AccessShareLock);
	if (records == NULL)
		return 0;
	warming.snapshot = RegisterSnapshot(GetLatestSnapshot());
	if (CacheMayAnswer(warming.snapshot) && StoreCacheTable(store->name, records, &warming.table))
	{
		forms = ReadStatisticsForms(warming.table.statistics);
		warming.packed = (forms & (1 << CACHE_PACKED)) != 0;
		if (warming.packed)
		{
			warming.encoder = PackedEncoderMake(CurrentMemoryContext, RelationGetDescr(records),
												warming.table.key_attributes,
												warming.table.key_count);
			warming.packed = RowEncoderIsStable(warming.encoder);
		}
		warming.tuples = !warming.packed || (forms & (1 << CACHE_TUPLE)) != 0;
		count = warm_table(records, &warming);
	}
	UnregisterSnapshot(warming.snapshot);
	table_close(records, NoLock);
	return count;
}
