/*-------------------------------------------------------------------------
 *
 * lookup.c
 *		Finding the rows of keys in a version.
 *
 * Rows come from the cache, or from the primary key's index directly.  Only where
 * row security applies to the caller is the look-up left to the executor, which
 * knows how to add the policies.
 *
 * Locks: AccessShareLock on the index until the end of the transaction.
 * Must not know: what becomes of the rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "read/lookup.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_operator.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "parser/parse_coerce.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "common/compat.h"
#include "read/cache.h"
#include "read/statistics.h"

void
LookupRequireRows(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	if (result == NULL || !IsA(result, ReturnSetInfo) || result->expectedDesc == NULL ||
		!(result->allowedModes & SFRM_Materialize))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a look-up needs a column definition list"),
				 errhint("Call the functions in the store's schema.")));
}

Tuplestorestate *
LookupBeginRows(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext caller = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);

	/* A descriptor of our own would only be copied, and compared with the expected one. */
	result->returnMode = SFRM_Materialize;
	result->setDesc = NULL;
	result->setResult = tuplestore_begin_heap((result->allowedModes & SFRM_Materialize_Random) != 0,
											  false, work_mem);
	MemoryContextSwitchTo(caller);
	return result->setResult;
}

static void
check_key_count(const StoreHandle *handle, const char *store, int given)
{
	if (given != handle->key_count)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("wrong number of keys for store \"%s\": expected %d, got %d", store,
						handle->key_count, given)));
}

/* The type of a key argument must be its column's: the generated function saw to that. */
static void
check_key_type(const StoreHandle *handle, const char *store, int key, Oid given)
{
	Oid			wanted = handle->key_types[key];

	if (given != wanted && !IsBinaryCoercible(given, wanted))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("key column %d of store \"%s\" is of type %s, not %s", key + 1, store,
						format_type_be(wanted), format_type_be(given))));
}

void
LookupKeysScalar(FunctionCallInfo fcinfo, int first, const char *store, const StoreHandle *handle,
				 LookupKeys *keys)
{
	check_key_count(handle, store, PG_NARGS() - first);
	keys->count = 1;
	for (int k = 0; k < handle->key_count; k++)
	{
		check_key_type(handle, store, k, get_fn_expr_argtype(fcinfo->flinfo, first + k));
		keys->values[k] = &fcinfo->args[first + k].value;
		keys->nulls[k] = &fcinfo->args[first + k].isnull;
	}
}

void
LookupKeysArray(FunctionCallInfo fcinfo, int first, const char *store, const StoreHandle *handle,
				LookupKeys *keys)
{
	bool		null_array = false;

	check_key_count(handle, store, PG_NARGS() - first);
	keys->count = 0;
	for (int k = 0; k < handle->key_count; k++)
	{
		ArrayType  *array;
		Oid			type;
		int16		length;
		bool		by_value;
		char		alignment;
		int			elements;

		if (PG_ARGISNULL(first + k))
		{
			null_array = true;
			continue;
		}
		type = get_element_type(get_fn_expr_argtype(fcinfo->flinfo, first + k));
		if (!OidIsValid(type))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("key argument %d of store \"%s\" is not an array", k + 1, store)));
		check_key_type(handle, store, k, type);
		array = PG_GETARG_ARRAYTYPE_P(first + k);
		get_typlenbyvalalign(type, &length, &by_value, &alignment);
		deconstruct_array(array, type, length, by_value, alignment, &keys->values[k],
						  &keys->nulls[k], &elements);
		if (k > 0 && !null_array && elements != keys->count)
			ereport(ERROR,
					(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					 errmsg("key arrays of store \"%s\" differ in length", store),
					 errdetail("The first has " INT64_FORMAT " elements, number %d has %d.",
							   keys->count, k + 1, elements)));
		keys->count = elements;
	}
	if (null_array)
		keys->count = 0;
}

/* One key of the input; false if it has a NULL, so that nothing matches. */
static bool
pick_key(const StoreHandle *handle, const LookupKeys *keys, int64 position, Datum *key)
{
	bool		has_null = false;

	for (int k = 0; k < handle->key_count; k++)
	{
		has_null |= keys->nulls[k][position];
		key[k] = keys->values[k][position];
	}
	return !has_null;
}

/* Keys of a batch that are looked for in the index before the first one's row is fetched. */
#define INDEX_AHEAD			16

/* Of a row that is waited for: its header and the first columns. */
#define ROW_PREFETCH_BYTES	512

/* At most so much room for packed rows is made ahead. */
#define PACKED_ROOM_BYTES	(1024 * 1024)

/* The primary key's index, opened when the first key has to be looked for there. */
typedef struct IndexLookup
{
	Relation	records;
	Relation	index;
	IndexScanDesc scan;
	IndexFetchTableData *fetch; /* NULL: nothing was looked for ahead */
	TupleTableSlot *row;
	ScanKeyData *keys;
	ItemPointerData tids[INDEX_AHEAD];	/* invalid: none */
} IndexLookup;

static void
open_index(const StoreHandle *handle, IndexLookup *lookup)
{
	lookup->index = index_open(handle->index, AccessShareLock);
	lookup->scan = index_beginscan(lookup->records, lookup->index, GetActiveSnapshot(), NULL,
								   handle->key_count, 0);
	lookup->row = table_slot_create(lookup->records, NULL);
	lookup->keys = palloc(handle->key_count * sizeof(ScanKeyData));
	for (int k = 0; k < handle->key_count; k++)
		ScanKeyEntryInitialize(&lookup->keys[k], 0, k + 1, BTEqualStrategyNumber, InvalidOid,
							   lookup->index->rd_indcollation[k], handle->key_equality[k],
							   (Datum) 0);
}

static void
begin_key(const StoreHandle *handle, IndexLookup *lookup, const Datum *key)
{
	if (lookup->scan == NULL)
		open_index(handle, lookup);
	for (int k = 0; k < handle->key_count; k++)
		lookup->keys[k].sk_argument = key[k];
	index_rescan(lookup->scan, lookup->keys, handle->key_count, NULL, 0);
}

static bool
find_in_index(const StoreHandle *handle, IndexLookup *lookup, const Datum *key)
{
	begin_key(handle, lookup, key);
	return index_getnext_slot(lookup->scan, ForwardScanDirection, lookup->row);
}

/*
 * Find the first index entry of each of the next keys, and have the pages that they
 * point to on their way, from the disk or from memory.  A page is read here without
 * a pin: what it says only tells the processor what to fetch.
 */
static void
find_ahead(const StoreHandle *handle, IndexLookup *lookup, const LookupKeys *keys, int64 first)
{
	int			count = Min(INDEX_AHEAD, keys->count - first);
	Page		pages[INDEX_AHEAD] = {NULL};

	if (lookup->fetch == NULL)
		lookup->fetch = table_index_fetch_begin(lookup->records);
	for (int i = 0; i < count; i++)
	{
		ItemPointer tid = NULL;
		Datum		key[INDEX_MAX_KEYS];
		Buffer		buffer;

		if (pick_key(handle, keys, first + i, key))
		{
			begin_key(handle, lookup, key);
			tid = index_getnext_tid(lookup->scan, ForwardScanDirection);
		}
		if (tid == NULL)
		{
			ItemPointerSetInvalid(&lookup->tids[i]);
			continue;
		}
		lookup->tids[i] = *tid;
		buffer = PrefetchBuffer(lookup->records, MAIN_FORKNUM,
								ItemPointerGetBlockNumber(tid)).recent_buffer;
		if (!BufferIsValid(buffer))
			continue;
		pages[i] = BufferGetPage(buffer);
		__builtin_prefetch(pages[i]);
		__builtin_prefetch(PageGetItemId(pages[i], ItemPointerGetOffsetNumber(tid)));
	}
	for (int i = 0; i < count; i++)
	{
		ItemId		item;

		if (pages[i] == NULL)
			continue;
		item = PageGetItemId(pages[i], ItemPointerGetOffsetNumber(&lookup->tids[i]));
		for (int at = 0; at < Min(ItemIdGetLength(item), ROW_PREFETCH_BYTES);
			 at += PG_CACHE_LINE_SIZE / 2)
			__builtin_prefetch((char *) pages[i] + ItemIdGetOffset(item) + at);
	}
}

/* The row of a key that was looked for by find_ahead. */
static bool
fetch_found(const StoreHandle *handle, IndexLookup *lookup, int position, const Datum *key)
{
	ItemPointer tid = &lookup->tids[position];
	bool		call_again = false;

	if (!ItemPointerIsValid(tid))
		return false;
	pgstat_count_heap_fetch(lookup->index);
	if (table_index_fetch_tuple(lookup->fetch, tid, GetActiveSnapshot(), lookup->row, &call_again,
								NULL))
		return true;
	/* Not a version for this snapshot: another entry may be of the one that is. */
	return find_in_index(handle, lookup, key);
}

static void
close_index(IndexLookup *lookup)
{
	if (lookup->fetch != NULL)
		table_index_fetch_end(lookup->fetch);
	if (lookup->scan == NULL)
		return;
	ExecDropSingleTupleTableSlot(lookup->row);
	index_endscan(lookup->scan);
	index_close(lookup->index, NoLock);
}

/* Where a row of the cache that is not copied goes. */
typedef struct InPlace
{
	const RowSink *sink;
	TupleDesc	descriptor;
	int64		position;
} InPlace;

static bool
give_in_place(void *argument, const char *bytes, int length, bool locked)
{
	InPlace    *in_place = argument;
	HeapTupleData tuple = {.t_len = length, .t_data = (HeapTupleHeader) bytes};

	return in_place->sink->in_place(in_place->sink->argument, in_place->position, &tuple,
									in_place->descriptor, locked);
}

HeapTuple
RowFlatten(TupleTableSlot *row)
{
	TupleDesc	descriptor = row->tts_tupleDescriptor;
	Datum	   *values = palloc(descriptor->natts * sizeof(Datum));
	HeapTuple	flat;

	memcpy(values, row->tts_values, descriptor->natts * sizeof(Datum));
	for (int i = 0; i < descriptor->natts; i++)
		if (!row->tts_isnull[i] && TupleDescAttr(descriptor, i)->attlen == -1 &&
			(VARATT_IS_EXTERNAL(DatumGetPointer(values[i])) ||
			 VARATT_IS_COMPRESSED(DatumGetPointer(values[i]))))
			values[i] = PointerGetDatum(PG_DETOAST_DATUM(values[i]));
	flat = heap_form_tuple(descriptor, values, row->tts_isnull);
	for (int i = 0; i < descriptor->natts; i++)
		if (values[i] != row->tts_values[i])
			pfree(DatumGetPointer(values[i]));
	pfree(values);
	return flat;
}

/* A sink's packed form begins at "packed_at". */
static void
fill_cache(const StoreHandle *handle, const CacheKey *key, const RowSink *sink, TupleTableSlot *row,
		   int packed_at)
{
	HeapTuple	tuple;

	if (!TTS_IS_BUFFERTUPLE(row))
		return;
	tuple = ExecFetchSlotHeapTuple(row, false, NULL);
	if (sink->packed != NULL)
		(void) CacheFill(&handle->cache, key, CACHE_PACKED, GetActiveSnapshot(), tuple,
						 sink->packed->data + packed_at, sink->packed->len - packed_at);
	else
	{
		HeapTuple	flat = RowFlatten(row);

		(void) CacheFill(&handle->cache, key, CACHE_TUPLE, GetActiveSnapshot(), tuple,
						 (char *) flat->t_data, flat->t_len);
		heap_freetuple(flat);
	}
}

/*
 * Is the row's key, byte by byte, what was asked for?  Entries stand under the image
 * that the table holds, which is the one that writers report.
 */
static bool
has_image(const StoreHandle *handle, TupleTableSlot *row, const CacheKey *asked)
{
	Datum		values[INDEX_MAX_KEYS];
	CacheKey	stored;

	slot_getallattrs(row);
	for (int k = 0; k < handle->key_count; k++)
		values[k] = row->tts_values[handle->key_attributes[k] - 1];
	return CacheKeyMake(&handle->cache, values, &stored) && stored.length == asked->length &&
		memcmp(stored.bytes, asked->bytes, asked->length) == 0;
}

/* A row of the table. */
static void
give_row(const RowSink *sink, int64 position, TupleTableSlot *row)
{
	if (sink->stored != NULL && TTS_IS_BUFFERTUPLE(row) &&
		sink->stored(sink->argument, position, ExecFetchSlotHeapTuple(row, false, NULL)))
		return;
	slot_getallattrs(row);
	sink->row(sink->argument, position, row->tts_values, row->tts_isnull);
}

/* A row of the cache: a tuple that has been copied. */
static void
give_tuple(const RowSink *sink, int64 position, TupleDesc descriptor, StringInfo bytes,
		   Datum *values, bool *nulls)
{
	HeapTupleData tuple = {.t_len = bytes->len, .t_data = (HeapTupleHeader) bytes->data};

	if (sink->stored != NULL && sink->stored(sink->argument, position, &tuple))
		return;
	heap_deform_tuple(&tuple, descriptor, values, nulls);
	sink->row(sink->argument, position, values, nulls);
}

static void
give_absent(const RowSink *sink, int64 position)
{
	if (sink->absent != NULL)
		sink->absent(sink->argument, position);
}

/*
 * Most of what a row in the cache costs is waiting for memory: do so for many keys
 * at once, and for a single one as early as can be.  Buckets are fetched two groups of
 * keys before their turn, entries one, and the rest of long rows, which would drive each
 * other out, a few keys before.
 */
#define GROUP		8			/* a power of two */
#define REST_AHEAD	2

#define KEYS_AHEAD	(4 * GROUP)

typedef struct Ahead
{
	const StoreHandle *handle;
	const LookupKeys *keys;
	CacheForm	form;
	CacheKey	cache_keys[KEYS_AHEAD]; /* those of keys that cannot be cached have no length */
} Ahead;

static inline CacheKey *
key_ahead(Ahead *ahead, int64 n)
{
	return &ahead->cache_keys[n % KEYS_AHEAD];
}

static void
prefetch_buckets(Ahead *ahead, int64 first)
{
	int			count = Min(GROUP, ahead->keys->count - first);

	for (int i = 0; i < count; i++)
	{
		CacheKey   *cache_key = key_ahead(ahead, first + i);
		Datum		key[INDEX_MAX_KEYS];

		if (!pick_key(ahead->handle, ahead->keys, first + i, key) ||
			!CacheKeyMake(&ahead->handle->cache, key, cache_key))
			cache_key->length = cache_key->hash = 0;
	}
	CachePrefetchBuckets(key_ahead(ahead, first), count, ahead->form);
}

static void
prefetch_entries(Ahead *ahead, int64 first)
{
	CachePrefetchEntries(key_ahead(ahead, first), Min(GROUP, ahead->keys->count - first),
						 ahead->form);
}

/* Before the turn of the first key. */
static void
begin_prefetch(Ahead *ahead)
{
	prefetch_buckets(ahead, 0);
	prefetch_buckets(ahead, GROUP);
	prefetch_entries(ahead, 0);
}

/* Before the turn of key n. */
static inline void
prefetch(Ahead *ahead, int64 n)
{
	if (n % GROUP == 0)
	{
		prefetch_entries(ahead, n + GROUP);
		prefetch_buckets(ahead, n + 2 * GROUP);
	}
	if (n + REST_AHEAD < ahead->keys->count)
		CachePrefetchRest(key_ahead(ahead, n + REST_AHEAD));
}

/*
 * What the last look-up of one key found in the cache's way.  The next one is likely
 * to be of the same table; to begin before the table is known saves it a wait.
 */
static struct
{
	uint64		build;			/* of the handle; 0: none yet */
	CacheTable	table;
	CacheForm	form;
	Oid			key_types[INDEX_MAX_KEYS];
}			last = {0};

void
LookupExpect(FunctionCallInfo fcinfo, int first)
{
	Datum		values[INDEX_MAX_KEYS];
	CacheKey	key;

	if (last.build == 0 || PG_NARGS() - first != last.table.key_count)
		return;
	for (int k = 0; k < last.table.key_count; k++)
	{
		if (PG_ARGISNULL(first + k) ||
			get_fn_expr_argtype(fcinfo->flinfo, first + k) != last.key_types[k])
			return;
		values[k] = PG_GETARG_DATUM(first + k);
	}
	if (CacheKeyMake(&last.table, values, &key))
		CachePrefetchBuckets(&key, 1, last.form);
}

static void
remember_last(const StoreHandle *handle, CacheForm form)
{
	last.form = form;
	if (last.build == handle->build)
		return;
	last.build = handle->build;
	last.table = handle->cache;
	memcpy(last.key_types, handle->key_types, sizeof(last.key_types));
}

/* So that rows as long as the first one, which begins at packed_at, need no more room. */
static void
make_room(StringInfo packed, int packed_at, int64 rows)
{
	enlargeStringInfo(packed, (int) Min((packed->len - packed_at) * rows, PACKED_ROOM_BYTES));
}

/* Each key from the cache, if it has it, or else from the index. */
static void
look_up(const StoreHandle *handle, const LookupKeys *keys, const RowSink *sink)
{
	Snapshot	snapshot = GetActiveSnapshot();
	IndexLookup lookup = {0};
	TupleDesc	descriptor;
	bool		cached = handle->cached && CacheMayAnswer(snapshot);
	bool		ahead_in_index;
	InPlace		in_place = {.sink = sink};
	Ahead		ahead;
	StringInfoData tuple;
	Datum	   *values = NULL;
	bool	   *nulls = NULL;
	int64		hits = 0;
	int64		misses = 0;

	if (cached)
	{
		ahead.handle = handle;
		ahead.keys = keys;
		ahead.form = sink->packed != NULL ? CACHE_PACKED : CACHE_TUPLE;
		begin_prefetch(&ahead);
		ReadStatisticsForm(handle->cache.statistics, ahead.form);
		if (keys->count == 1)
			remember_last(handle, ahead.form);
	}
	lookup.records = table_open(handle->records, NoLock);
	descriptor = RelationGetDescr(lookup.records);
	in_place.descriptor = descriptor;
	ahead_in_index = !cached && keys->count > 1 &&
		lookup.records->rd_rel->relam == HEAP_TABLE_AM_OID;
	if (cached && ahead.form == CACHE_TUPLE && sink->in_place == NULL)
	{
		initStringInfo(&tuple);
		values = palloc(descriptor->natts * sizeof(Datum));
		nulls = palloc(descriptor->natts * sizeof(bool));
	}
	for (int64 n = 0; n < keys->count; n++)
	{
		Datum		key[INDEX_MAX_KEYS];
		CacheKey   *cache_key = key_ahead(&ahead, n);
		bool		may_fill;
		int			packed_at;

		CHECK_FOR_INTERRUPTS();
		if (cached)
			prefetch(&ahead, n);
		packed_at = sink->packed != NULL ? sink->packed->len : 0;
		may_fill = cached && cache_key->length > 0;
		if (may_fill)
		{
			bool		hit;

			if (sink->in_place != NULL)
			{
				in_place.position = n;
				hit = CacheVisit(&handle->cache, cache_key, CACHE_TUPLE, snapshot, give_in_place,
								 &in_place);
			}
			else if (ahead.form == CACHE_PACKED)
				hit = CacheCopy(&handle->cache, cache_key, CACHE_PACKED, snapshot, sink->packed);
			else
			{
				resetStringInfo(&tuple);
				hit = CacheCopy(&handle->cache, cache_key, CACHE_TUPLE, snapshot, &tuple);
				if (hit)
					give_tuple(sink, n, descriptor, &tuple, values, nulls);
			}
			hits += hit;
			misses += !hit;
			if (hit && n == 0 && sink->packed != NULL)
				make_room(sink->packed, packed_at, keys->count);
			if (hit)
				continue;
		}
		if (ahead_in_index && n % INDEX_AHEAD == 0)
			find_ahead(handle, &lookup, keys, n);
		if (!pick_key(handle, keys, n, key) ||
			!(ahead_in_index ? fetch_found(handle, &lookup, n % INDEX_AHEAD, key) :
			  find_in_index(handle, &lookup, key)))
		{
			give_absent(sink, n);
			continue;
		}
		give_row(sink, n, lookup.row);
		if (may_fill && has_image(handle, lookup.row, cache_key))
			fill_cache(handle, cache_key, sink, lookup.row, packed_at);
	}
	close_index(&lookup);
	table_close(lookup.records, NoLock);
	ReadStatisticsCount(handle->cache.statistics, keys->count, hits, misses);
}

static char *
operator_schema(Oid operator_oid)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator_oid));
	Oid			schema = ((Form_pg_operator) GETSTRUCT(tuple))->oprnamespace;

	ReleaseSysCache(tuple);
	return get_namespace_name(schema);
}

/*
 * SELECT of the wanted columns, by key or of all rows, planned by the executor with
 * its policies.
 * The table is named as it is called now; a swap that renames it between here and
 * the parser is seen by the plan's OID, and the name looked up again.
 */
static SPIPlanPtr
plan_with_policies(const StoreHandle *handle, Relation records, bool by_key,
				   const AttrNumber *wanted, int wanted_count)
{
	TupleDesc	table = RelationGetDescr(records);
	Relation	index = index_open(handle->index, AccessShareLock);
	Oid		   *types = palloc(handle->key_count * sizeof(Oid));
	StringInfoData query;
	StringInfoData condition;
	SPIPlanPtr	plan;
	CachedPlanSource *source;

	initStringInfo(&condition);
	for (int k = 0; by_key && k < handle->key_count; k++)
	{
		Oid			operator_oid = get_opfamily_member(index->rd_opfamily[k],
													   index->rd_opcintype[k],
													   index->rd_opcintype[k],
													   BTEqualStrategyNumber);
		const char *name = NameStr(TupleDescAttr(table, handle->key_attributes[k] - 1)->attname);

		types[k] = handle->key_types[k];
		appendStringInfo(&condition, "%s%s OPERATOR(%s.%s) $%d", k > 0 ? " AND " : " WHERE ",
						 quote_identifier(name), quote_identifier(operator_schema(operator_oid)),
						 get_opname(operator_oid), k + 1);
	}
	index_close(index, NoLock);

	for (;;)
	{
		char	   *schema = get_namespace_name(RelationGetNamespace(records));

		initStringInfo(&query);
		appendStringInfoString(&query, "SELECT ");
		for (int i = 0; i < wanted_count; i++)
			appendStringInfo(&query, "%s%s", i > 0 ? ", " : "",
							 quote_identifier(get_attname(handle->records, wanted[i], false)));
		appendStringInfo(&query, " FROM ONLY %s%s",
						 quote_qualified_identifier(schema, RelationGetRelationName(records)),
						 condition.data);
		plan = SPI_prepare(query.data, by_key ? handle->key_count : 0, types);
		if (plan == NULL)
			elog(ERROR, "could not prepare \"%s\": %s", query.data,
				 SPI_result_code_string(SPI_result));
		source = linitial(SPI_plan_get_plan_sources(plan));
		if (list_member_oid(source->relationOids, handle->records))
			return plan;
		SPI_freeplan(plan);
		CHECK_FOR_INTERRUPTS();
	}
}

/* The wanted columns of a row of SPI_tuptable, each in its place in the table. */
static void
pick_columns(uint64 row, const AttrNumber *wanted, int wanted_count, Datum *values, bool *nulls)
{
	for (int i = 0; i < wanted_count; i++)
		values[wanted[i] - 1] = heap_getattr(SPI_tuptable->vals[row], i + 1,
											 SPI_tuptable->tupdesc, &nulls[wanted[i] - 1]);
}

/* The same through the executor, for row security. */
static void
scan_with_policies(const StoreHandle *handle, const char *store, const LookupKeys *keys,
				   const AttrNumber *wanted, int wanted_count, const RowSink *sink)
{
	Relation	records = table_open(handle->records, NoLock);
	int			natts = RelationGetNumberOfAttributes(records);
	Datum	   *values = palloc0(natts * sizeof(Datum));
	bool	   *nulls = palloc0(natts * sizeof(bool));
	SPIPlanPtr	plan;

	SPI_connect();
	plan = plan_with_policies(handle, records, true, wanted, wanted_count);
	for (int64 n = 0; n < keys->count; n++)
	{
		Datum		key[INDEX_MAX_KEYS];

		if (!pick_key(handle, keys, n, key))
		{
			give_absent(sink, n);
			continue;
		}
		/* Read-only: under the caller's snapshot, as the index scan would be. */
		if (SPI_execute_plan(plan, key, NULL, true, 1) != SPI_OK_SELECT)
			elog(ERROR, "could not execute a look-up in store \"%s\"", store);
		if (SPI_processed == 1)
		{
			pick_columns(0, wanted, wanted_count, values, nulls);
			sink->row(sink->argument, n, values, nulls);
		}
		else
			give_absent(sink, n);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_finish();
	table_close(records, NoLock);
	ReadStatisticsCount(handle->cache.statistics, keys->count, 0, 0);
}

void
LookupRun(const StoreHandle *handle, const char *store, const LookupKeys *keys,
		  const AttrNumber *wanted, int wanted_count, const RowSink *sink)
{
	StoreHandleCheckColumns(handle, store, wanted, wanted_count);
	if (keys->count == 0)
		return;
	if (handle->row_security)
		scan_with_policies(handle, store, keys, wanted, wanted_count, sink);
	else
		look_up(handle, keys, sink);
}

/* Rows that the executor fetches at a time. */
#define FETCH_ROWS	1000

static void
scan_all_with_policies(const StoreHandle *handle, Relation records, const AttrNumber *wanted,
					   int wanted_count, const RowSink *sink)
{
	int			natts = RelationGetNumberOfAttributes(records);
	Datum	   *values = palloc0(natts * sizeof(Datum));
	bool	   *nulls = palloc0(natts * sizeof(bool));
	int64		position = 0;
	Portal		portal;

	SPI_connect();
	portal = SPI_cursor_open(NULL, plan_with_policies(handle, records, false, wanted,
													  wanted_count), NULL, NULL, true);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			pick_columns(i, wanted, wanted_count, values, nulls);
			sink->row(sink->argument, position++, values, nulls);
		}
		if (SPI_processed == 0)
			break;
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	SPI_finish();
}

void
LookupAll(const StoreHandle *handle, const char *store, const AttrNumber *wanted,
		  int wanted_count, const RowSink *sink)
{
	Relation	records = table_open(handle->records, NoLock);

	StoreHandleCheckColumns(handle, store, wanted, wanted_count);
	if (handle->row_security)
		scan_all_with_policies(handle, records, wanted, wanted_count, sink);
	else
	{
		TableScanDesc scan = table_beginscan(records, GetActiveSnapshot(), 0, NULL);
		TupleTableSlot *row = table_slot_create(records, NULL);
		int64		position = 0;

		while (table_scan_getnextslot(scan, ForwardScanDirection, row))
		{
			CHECK_FOR_INTERRUPTS();
			slot_getallattrs(row);
			sink->row(sink->argument, position++, row->tts_values, row->tts_isnull);
		}
		ExecDropSingleTupleTableSlot(row);
		table_endscan(scan);
	}
	table_close(records, NoLock);
}
