/*-------------------------------------------------------------------------
 *
 * load.c
 *		Appending one partition's records to a version that is being filled.
 *
 * Rows of one partition lie in the table in the order of their offsets: that is
 * what lets the build decide by ctid alone which of two rows with one key is
 * the later.  Several partitions fill one table at once, so every unit writes
 * only to pages that it extended itself.  After an abort, a restart or a
 * hand-over it begins a new page, because a page with aborted rows on it may
 * give their line pointers away again, in front of committed ones.
 *
 * A tombstone is kept beside, with the last row of its partition that it can
 * reach back to, or NULL where its partition has loaded none: it may still be a
 * key's last word against another partition's.
 *
 * Locks: RowExclusiveLock on the table for the batch; the extension lock.
 * Must not know: Kafka, offsets, formats.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "apply/load.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* As many as COPY buffers: enough to fill pages in one go, few enough to stay in cache. */
#define LOAD_BUFFERED_ROWS	1000

struct Load
{
	Oid			records;
	MemoryContext context;
	ItemPointerData committed_last; /* last row that is committed, or invalid */
	BlockNumber committed_block;	/* where the next batch may go on, or invalid */

	/* Of the open batch. */
	Relation	relation;
	Relation	tombstones;
	MemoryContext batch_context;
	BulkInsertState bulk;
	CommandId	command;
	TupleTableSlot **slots;		/* LOAD_BUFFERED_ROWS of them, made as needed */
	int			row_count;
	TupleTableSlot **deleted;
	int		   *deleted_after;	/* how many of the buffered rows came before */
	int			deleted_count;
	AttrNumber *deleted_source; /* column of records for each column of tombstones */
	bool		page_begun;
	ItemPointerData last;
};

Load *
LoadCreate(Oid records, const ItemPointerData *last_row, MemoryContext context)
{
	Load	   *load = MemoryContextAllocZero(context, sizeof(Load));

	load->records = records;
	load->context = context;
	load->committed_block = InvalidBlockNumber;
	ItemPointerSetInvalid(&load->committed_last);
	if (last_row != NULL)
		load->committed_last = *last_row;
	return load;
}

/* Make the table's next row go to a page that nobody else writes to. */
static void
begin_own_page(Load *load)
{
	BlockNumber block = load->committed_block;

	if (!BlockNumberIsValid(block))
	{
		Buffer		buffer;

		LockRelationForExtension(load->relation, ExclusiveLock);
		buffer = ReadBufferExtended(load->relation, MAIN_FORKNUM, P_NEW, RBM_ZERO_AND_LOCK, NULL);
		PageInit(BufferGetPage(buffer), BufferGetPageSize(buffer), 0);
		MarkBufferDirty(buffer);
		block = BufferGetBlockNumber(buffer);
		UnlockReleaseBuffer(buffer);
		UnlockRelationForExtension(load->relation, ExclusiveLock);
	}
	RelationSetTargetBlock(load->relation, block);

	/* Until this batch has committed there is no page to go on with. */
	load->committed_block = InvalidBlockNumber;
	load->page_begun = true;
}

bool
LoadBegin(Load *load)
{
	Oid			tombstones;

	load->relation = try_table_open(load->records, RowExclusiveLock);
	if (load->relation == NULL)
		return false;
	tombstones = get_relname_relid("tombstones", RelationGetNamespace(load->relation));
	load->tombstones = OidIsValid(tombstones) ? table_open(tombstones, RowExclusiveLock) : NULL;

	load->batch_context = AllocSetContextCreate(CurTransactionContext, "venice load batch",
												ALLOCSET_DEFAULT_SIZES);
	load->slots = MemoryContextAllocZero(load->batch_context,
										 LOAD_BUFFERED_ROWS * sizeof(TupleTableSlot *));
	load->deleted = MemoryContextAllocZero(load->batch_context,
										   LOAD_BUFFERED_ROWS * sizeof(TupleTableSlot *));
	load->deleted_after = MemoryContextAlloc(load->batch_context, LOAD_BUFFERED_ROWS * sizeof(int));
	load->row_count = 0;
	load->deleted_count = 0;
	load->last = load->committed_last;
	load->bulk = GetBulkInsertState();
	load->command = GetCurrentCommandId(true);
	load->page_begun = false;
	if (load->tombstones != NULL)
	{
		TupleDesc	target = RelationGetDescr(load->tombstones);

		load->deleted_source = MemoryContextAlloc(load->batch_context,
												  target->natts * sizeof(AttrNumber));
		for (int i = 0; i < target->natts; i++)
			load->deleted_source[i] = get_attnum(load->records,
												 NameStr(TupleDescAttr(target, i)->attname));
	}
	return true;
}

TupleDesc
LoadDescriptor(Load *load)
{
	return RelationGetDescr(load->relation);
}

static void
flush(Load *load)
{
	MemoryContext old = MemoryContextSwitchTo(load->batch_context);
	ItemPointerData before = load->last;

	if (load->row_count > 0)
	{
		if (!load->page_begun)
			begin_own_page(load);
		table_multi_insert(load->relation, load->slots, load->row_count, load->command,
						   TABLE_INSERT_SKIP_FSM, load->bulk);
		load->last = load->slots[load->row_count - 1]->tts_tid;
	}
	for (int i = 0; i < load->deleted_count; i++)
	{
		TupleTableSlot *slot = load->deleted[i];
		int			after = load->deleted_after[i];
		ItemPointer reach = after > 0 ? &load->slots[after - 1]->tts_tid : &before;
		int			natts = slot->tts_tupleDescriptor->natts;

		slot->tts_values[natts - 1] = PointerGetDatum(reach);
		slot->tts_isnull[natts - 1] = !ItemPointerIsValid(reach);
		ExecStoreVirtualTuple(slot);
		table_tuple_insert(load->tombstones, slot, load->command, 0, NULL);
		ExecClearTuple(slot);
	}
	for (int i = 0; i < load->row_count; i++)
		ExecClearTuple(load->slots[i]);
	load->row_count = 0;
	load->deleted_count = 0;
	MemoryContextSwitchTo(old);
}

/* The n-th buffered slot of a table, made when first needed. */
static TupleTableSlot *
buffered_slot(Load *load, TupleTableSlot **slots, int n, Relation relation)
{
	if (slots[n] == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(load->batch_context);

		slots[n] = MakeSingleTupleTableSlot(RelationGetDescr(relation),
											table_slot_callbacks(relation));
		MemoryContextSwitchTo(old);
	}
	return slots[n];
}

void
LoadPut(Load *load, const Datum *values, const bool *isnull)
{
	TupleTableSlot *slot = buffered_slot(load, load->slots, load->row_count, load->relation);
	int			natts = RelationGetNumberOfAttributes(load->relation);

	memcpy(slot->tts_values, values, natts * sizeof(Datum));
	memcpy(slot->tts_isnull, isnull, natts * sizeof(bool));
	slot->tts_tableOid = load->records;
	ExecStoreVirtualTuple(slot);
	if (++load->row_count == LOAD_BUFFERED_ROWS)
		flush(load);
}

void
LoadDelete(Load *load, const Datum *values, const bool *isnull)
{
	TupleTableSlot *slot = buffered_slot(load, load->deleted, load->deleted_count,
										 load->tombstones);
	int			natts = RelationGetNumberOfAttributes(load->tombstones);

	/* All but _loaded_through, which is known when the rows before are written. */
	for (int i = 0; i < natts - 1; i++)
	{
		slot->tts_values[i] = values[load->deleted_source[i] - 1];
		slot->tts_isnull[i] = isnull[load->deleted_source[i] - 1];
	}
	load->deleted_after[load->deleted_count] = load->row_count;
	if (++load->deleted_count == LOAD_BUFFERED_ROWS)
		flush(load);
}

void
LoadEnd(Load *load)
{
	flush(load);
	for (int i = 0; i < LOAD_BUFFERED_ROWS; i++)
	{
		if (load->slots[i] != NULL)
			ExecDropSingleTupleTableSlot(load->slots[i]);
		if (load->deleted[i] != NULL)
			ExecDropSingleTupleTableSlot(load->deleted[i]);
	}
	FreeBulkInsertState(load->bulk);
	if (load->tombstones != NULL)
		table_close(load->tombstones, RowExclusiveLock);
	table_close(load->relation, RowExclusiveLock);
	MemoryContextDelete(load->batch_context);
	load->relation = NULL;
	load->tombstones = NULL;
	load->batch_context = NULL;
}

void
LoadCommitted(Load *load)
{
	load->committed_last = load->last;
	if (ItemPointerIsValid(&load->last))
		load->committed_block = ItemPointerGetBlockNumber(&load->last);
}

ItemPointerData
LoadLastRow(Load *load)
{
	return load->last;
}
