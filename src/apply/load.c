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
 * The server extends a table page by page, each time under a lock for which units
 * that fill one table would mostly sleep.  So we count the pages that the buffered
 * rows need, extend by them all at once, and lead the insertion from page to page.
 * Of rows that may be toasted nobody knows the size before: those are left to the
 * server, and we go on behind them.
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
#include "access/heaptoast.h"
#include "access/hio.h"
#include "access/htup_details.h"
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

/* At most so many pages at once: others wait for the lock, and not for long. */
#define LOAD_EXTEND_PAGES	32

/* A page to write to, or none. */
typedef struct LoadPage
{
	BlockNumber block;
	Size		room;			/* for rows with their line pointers */
} LoadPage;

static const LoadPage no_page = {InvalidBlockNumber, 0};

struct Load
{
	Oid			records;
	MemoryContext context;
	ItemPointerData committed_last; /* last row that is committed, or invalid */
	LoadPage	committed_page; /* where the next batch may go on */

	/* Of the open batch. */
	Relation	relation;
	Relation	tombstones;
	MemoryContext batch_context;
	TupleDesc	descriptor;
	BulkInsertState bulk;
	CommandId	command;
	TupleTableSlot **slots;		/* LOAD_BUFFERED_ROWS of them, made as needed */
	int			row_count;
	bool		may_toast;		/* one of the buffered rows */
	HeapTuple  *deleted;
	int		   *deleted_after;	/* how many of the buffered rows came before */
	int			deleted_count;
	AttrNumber *deleted_source; /* column of records for each column of tombstones */
	LoadPage	page;
	BlockNumber next_block;		/* pages [next_block, end_block) are ours and empty */
	BlockNumber end_block;
	ItemPointerData last;
};

Load *
LoadCreate(Oid records, const ItemPointerData *last_row, MemoryContext context)
{
	Load	   *load = MemoryContextAllocZero(context, sizeof(Load));

	load->records = records;
	load->context = context;
	load->committed_page = load->page = no_page;
	ItemPointerSetInvalid(&load->committed_last);
	if (last_row != NULL)
		load->committed_last = *last_row;
	load->last = load->committed_last;
	return load;
}

bool
LoadBegin(Load *load)
{
	Oid			tombstones;
	MemoryContext old;

	load->relation = try_table_open(load->records, RowExclusiveLock);
	if (load->relation == NULL)
		return false;
	tombstones = get_relname_relid("tombstones", RelationGetNamespace(load->relation));
	load->tombstones = OidIsValid(tombstones) ? table_open(tombstones, RowExclusiveLock) : NULL;

	load->batch_context = AllocSetContextCreate(CurTransactionContext, "venice load batch",
												ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(load->batch_context);
	/* A copy, since each slot would be noted as a user of the relation's, all in one place. */
	load->descriptor = CreateTupleDescCopy(RelationGetDescr(load->relation));
	MemoryContextSwitchTo(old);
	load->slots = MemoryContextAllocZero(load->batch_context,
										 LOAD_BUFFERED_ROWS * sizeof(TupleTableSlot *));
	load->deleted = MemoryContextAlloc(load->batch_context,
									   LOAD_BUFFERED_ROWS * sizeof(HeapTuple));
	load->deleted_after = MemoryContextAlloc(load->batch_context, LOAD_BUFFERED_ROWS * sizeof(int));
	load->row_count = 0;
	load->may_toast = false;
	load->deleted_count = 0;
	load->last = load->committed_last;
	load->page = load->committed_page;
	load->next_block = load->end_block = InvalidBlockNumber;
	load->bulk = GetBulkInsertState();
	load->command = GetCurrentCommandId(true);
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

/* What a buffered row takes of a page. */
static Size
row_bytes(const Load *load, int row)
{
	HeapTuple	tuple = ExecFetchSlotHeapTuple(load->slots[row], false, NULL);

	return MAXALIGN(tuple->t_len) + sizeof(ItemIdData);
}

static Size
empty_page_room(const Load *load)
{
	return BLCKSZ - SizeOfPageHeaderData -
		RelationGetTargetPageFreeSpace(load->relation, HEAP_DEFAULT_FILLFACTOR);
}

/* How many pages the buffered rows need from this one on. */
static int
count_pages(const Load *load, int row)
{
	int			pages = 0;
	Size		room = 0;

	for (; row < load->row_count; row++)
	{
		Size		bytes = row_bytes(load, row);

		if (bytes > room)
		{
			pages++;
			room = Max(empty_page_room(load), bytes);
		}
		room -= bytes;
	}
	return pages;
}

/* Extend the table by pages that nobody else writes to. */
static void
extend(Load *load, int pages)
{
	LockRelationForExtension(load->relation, ExclusiveLock);
	for (int i = 0; i < pages; i++)
	{
		Buffer		buffer = ReadBufferExtended(load->relation, MAIN_FORKNUM, P_NEW,
												RBM_ZERO_AND_LOCK, load->bulk->strategy);

		PageInit(BufferGetPage(buffer), BufferGetPageSize(buffer), 0);
		MarkBufferDirty(buffer);
		if (i == 0)
			load->next_block = BufferGetBlockNumber(buffer);
		load->end_block = BufferGetBlockNumber(buffer) + 1;
		UnlockReleaseBuffer(buffer);
	}
	UnlockRelationForExtension(load->relation, ExclusiveLock);
}

/* Go on to an empty page of ours, of which the buffered rows from this one on need so many. */
static void
begin_page(Load *load, int pages)
{
	if (load->next_block == load->end_block)
		extend(load, Min(pages, LOAD_EXTEND_PAGES));
	load->page.block = load->next_block++;
	load->page.room = empty_page_room(load);
}

static void
insert_rows(Load *load, int first, int count)
{
	RelationSetTargetBlock(load->relation, load->page.block);
	table_multi_insert(load->relation, load->slots + first, count, load->command,
					   TABLE_INSERT_SKIP_FSM, load->bulk);

	/* It holds on to its page, and would go on there. */
	ReleaseBulkInsertStatePin(load->bulk);
	load->last = load->slots[first + count - 1]->tts_tid;

	/* Where it has taken other pages, nothing is known of them, and ours come before. */
	if (ItemPointerGetBlockNumber(&load->last) != load->page.block)
	{
		load->page.block = ItemPointerGetBlockNumber(&load->last);
		load->page.room = 0;
		load->next_block = load->end_block;
	}
}

static void
insert_page_by_page(Load *load)
{
	int			first = 0;

	while (first < load->row_count)
	{
		int			row = first;

		while (row < load->row_count && row_bytes(load, row) <= load->page.room)
			load->page.room -= row_bytes(load, row++);
		if (row == first)
		{
			begin_page(load, count_pages(load, row));
			if (row_bytes(load, row) <= load->page.room)
				continue;
			/* Fill factors do not count for a row that needs more. */
			load->page.room = 0;
			row++;
		}
		insert_rows(load, first, row - first);
		first = row;
	}
}

static void
insert_buffered(Load *load)
{
	/* Until this batch has committed there is no page to go on with. */
	load->committed_page = no_page;
	if (!load->may_toast)
		insert_page_by_page(load);
	else
	{
		if (!BlockNumberIsValid(load->page.block))
			begin_page(load, 1);
		insert_rows(load, 0, load->row_count);
		load->page.room = 0;
	}
}

/* The tombstones that are buffered, each with the last row before it. */
static void
write_tombstones(Load *load, const ItemPointerData *before)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(load->tombstones),
													table_slot_callbacks(load->tombstones));
	int			natts = slot->tts_tupleDescriptor->natts;

	for (int i = 0; i < load->deleted_count; i++)
	{
		int			after = load->deleted_after[i];
		ItemPointerData reach = after > 0 ? load->slots[after - 1]->tts_tid : *before;

		for (int column = 0; column < natts - 1; column++)
			slot->tts_values[column] = heap_getattr(load->deleted[i], load->deleted_source[column],
													load->descriptor, &slot->tts_isnull[column]);
		slot->tts_values[natts - 1] = PointerGetDatum(&reach);
		slot->tts_isnull[natts - 1] = !ItemPointerIsValid(&reach);
		ExecStoreVirtualTuple(slot);
		table_tuple_insert(load->tombstones, slot, load->command, 0, NULL);
		ExecClearTuple(slot);
	}
	ExecDropSingleTupleTableSlot(slot);
}

static void
flush(Load *load)
{
	MemoryContext old = MemoryContextSwitchTo(load->batch_context);
	ItemPointerData before = load->last;

	if (load->row_count > 0)
		insert_buffered(load);
	if (load->deleted_count > 0)
		write_tombstones(load, &before);
	for (int i = 0; i < load->row_count; i++)
	{
		/* The tuple is the caller's. */
		load->slots[i]->tts_flags &= ~TTS_FLAG_SHOULDFREE;
		ExecClearTuple(load->slots[i]);
	}
	load->row_count = 0;
	load->may_toast = false;
	load->deleted_count = 0;
	MemoryContextSwitchTo(old);
}

void
LoadPut(Load *load, HeapTuple row)
{
	TupleTableSlot **slot = &load->slots[load->row_count];

	if (*slot == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(load->batch_context);

		*slot = MakeSingleTupleTableSlot(load->descriptor, &TTSOpsHeapTuple);
		MemoryContextSwitchTo(old);
	}
	row->t_tableOid = load->records;

	/* As if the slot could free it, since it would copy what it does not own. */
	ExecStoreHeapTuple(row, *slot, true);
	load->may_toast |= row->t_len > TOAST_TUPLE_THRESHOLD;
	if (++load->row_count == LOAD_BUFFERED_ROWS)
		flush(load);
}

void
LoadDelete(Load *load, HeapTuple row)
{
	load->deleted[load->deleted_count] = row;
	load->deleted_after[load->deleted_count] = load->row_count;
	if (++load->deleted_count == LOAD_BUFFERED_ROWS)
		flush(load);
}

void
LoadEnd(Load *load)
{
	flush(load);
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
	load->committed_page = load->page;
}

ItemPointerData
LoadLastRow(Load *load)
{
	return load->last;
}
