/*-------------------------------------------------------------------------
 *
 * get.c
 *		The functions behind a store's get and batch_get: rows as rows.
 *
 * Which columns are wanted is what the generated wrapper's column definition list
 * says; they are found in the version's table by name.
 *
 * Locks: see handle.c and lookup.c.
 * Must not know: how rows are found.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/selfuncs.h"
#include "utils/tuplestore.h"

#include "common/compat.h"
#include "read/call_site.h"
#include "read/handle.h"
#include "read/lookup.h"

PG_FUNCTION_INFO_V1(venice_get);
PG_FUNCTION_INFO_V1(venice_batch_get);
PG_FUNCTION_INFO_V1(venice_batch_get_support);

/* Where result columns come from. */
typedef struct RowsSite
{
	CallSite	site;
	TupleDesc	descriptor;		/* of the result */
	bool		with_ordinality;	/* the first result column is the key's position */
	bool		as_stored;		/* then come all columns of the table, or its first ones */
	int			count;			/* of result columns, but for the ordinality */
	AttrNumber	attributes[FLEXIBLE_ARRAY_MEMBER];	/* of the table */
} RowsSite;

typedef struct Output
{
	const RowsSite *site;
	Tuplestorestate *rows;
	TupleDesc	descriptor;
	Datum	   *values;
	bool	   *nulls;
	StringInfoData tuple;		/* for as_stored */
} Output;

/* A result row, in the order of the column definition list. */
static void
emit(void *argument, int64 position, const Datum *values, const bool *nulls)
{
	Output	   *output = argument;
	const RowsSite *site = output->site;
	int			column = 0;

	if (site->with_ordinality)
	{
		output->values[column] = Int64GetDatum(position + 1);
		output->nulls[column++] = false;
	}
	for (int i = 0; i < site->count; i++, column++)
	{
		output->values[column] = values[site->attributes[i] - 1];
		output->nulls[column] = nulls[site->attributes[i] - 1];
	}
	tuplestore_putvalues(output->rows, output->descriptor, output->values, output->nulls);
}

/*
 * The same where the columns are the table's: a tuple of the table with the
 * ordinality in front of it is one of the result.  Alignment is kept, as eight bytes
 * are that of any type.
 */
static bool
emit_stored(void *argument, int64 position, HeapTuple stored)
{
	Output	   *output = argument;
	const RowsSite *site = output->site;
	HeapTupleHeader from = stored->t_data;
	HeapTupleHeader to;
	HeapTupleData tuple = {0};
	int			data_bytes = stored->t_len - from->t_hoff;
	int			bitmap_bytes = (from->t_infomask & HEAP_HASNULL) ? BITMAPLEN(1 + site->count) : 0;
	int			head_bytes = MAXALIGN(SizeofHeapTupleHeader + bitmap_bytes);
	int64		ordinality = position + 1;

	/* A row from before a column was added. */
	if (HeapTupleHeaderGetNatts(from) < site->count)
		return false;
	resetStringInfo(&output->tuple);
	enlargeStringInfo(&output->tuple, head_bytes + sizeof(ordinality) + data_bytes);
	to = (HeapTupleHeader) output->tuple.data;
	memset(to, 0, head_bytes);
	HeapTupleHeaderSetNatts(to, 1 + site->count);
	to->t_hoff = head_bytes;
	to->t_infomask = from->t_infomask & (HEAP_HASNULL | HEAP_HASVARWIDTH | HEAP_HASEXTERNAL);
	for (int i = 0; i < bitmap_bytes; i++)
	{
		/* Bits of columns that are there; in front of them that of the ordinality. */
		int			before = i == 0 ? 1 : from->t_bits[i - 1] >> 7;
		int			after = i < BITMAPLEN(site->count) ? from->t_bits[i] << 1 : 0;

		to->t_bits[i] = (bits8) (before | after);
	}
	memcpy((char *) to + head_bytes, &ordinality, sizeof(ordinality));
	memcpy((char *) to + head_bytes + sizeof(ordinality), (char *) from + from->t_hoff, data_bytes);
	tuple.t_data = to;
	tuple.t_len = head_bytes + sizeof(ordinality) + data_bytes;
	tuplestore_puttuple(output->rows, &tuple);
	return true;
}

/* Find each result column in the version's table, by name. */
static RowsSite *
make_site(FunctionCallInfo fcinfo, const char *store, const StoreHandle *handle,
		  bool with_ordinality)
{
	TupleDesc	descriptor = ((ReturnSetInfo *) fcinfo->resultinfo)->expectedDesc;
	Relation	records = table_open(handle->records, NoLock);
	TupleDesc	table = RelationGetDescr(records);
	RowsSite   *site = (RowsSite *) CallSiteMake(fcinfo, offsetof(RowsSite, attributes) +
												 descriptor->natts * sizeof(AttrNumber));
	MemoryContext caller = MemoryContextSwitchTo(site->site.context);

	site->descriptor = CreateTupleDescCopy(descriptor);
	MemoryContextSwitchTo(caller);
	site->with_ordinality = with_ordinality;
	site->as_stored = with_ordinality;
	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute wanted = TupleDescAttr(descriptor, i);
		AttrNumber	found = InvalidAttrNumber;

		if (i == 0 && with_ordinality)
		{
			if (wanted->atttypid != INT8OID)
				ereport(ERROR,
						(errcode(ERRCODE_DATATYPE_MISMATCH),
						 errmsg("the first column of batch_get is of type bigint, not %s",
								format_type_be(wanted->atttypid))));
			continue;
		}
		for (int a = 0; a < table->natts && found == InvalidAttrNumber; a++)
			if (!TupleDescAttr(table, a)->attisdropped &&
				namestrcmp(&TupleDescAttr(table, a)->attname, NameStr(wanted->attname)) == 0)
				found = a + 1;
		if (found == InvalidAttrNumber ||
			TupleDescAttr(table, found - 1)->atttypid != wanted->atttypid)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("version %d of store \"%s\" has no column \"%s\" of type %s",
							handle->version, store, NameStr(wanted->attname),
							format_type_be(wanted->atttypid)),
					 errhint("Make the functions anew with venice.rebuild_functions(%s).",
							 quote_literal_cstr(store))));
		site->attributes[site->count++] = found;
		site->as_stored &= found == site->count;
	}
	table_close(records, NoLock);
	site->site.reusable = true;
	site->site.build = handle->build;
	return site;
}

/* Does another statement's call want the same columns? */
static bool
fits(const CallSite *site, FunctionCallInfo fcinfo)
{
	TupleDesc	has = ((const RowsSite *) site)->descriptor;
	TupleDesc	wanted = ((ReturnSetInfo *) fcinfo->resultinfo)->expectedDesc;

	if (has->natts != wanted->natts)
		return false;
	for (int i = 0; i < has->natts; i++)
	{
		Form_pg_attribute a = TupleDescAttr(has, i);
		Form_pg_attribute b = TupleDescAttr(wanted, i);

		if (a->atttypid != b->atttypid || strcmp(NameStr(a->attname), NameStr(b->attname)) != 0)
			return false;
	}
	return true;
}

static Datum
look_up(FunctionCallInfo fcinfo, bool batch)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	RowsSite   *site;
	StoreHandle handle;
	LookupKeys	keys;
	Output		output;
	RowSink		sink = {.row = emit, .argument = &output};
	char	   *store;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("store must not be null")));
	LookupRequireRows(fcinfo);
	store = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (!batch)
		LookupExpect(fcinfo, 1);
	StoreHandleOpen(store, &handle);
	site = (RowsSite *) CallSiteFind(fcinfo, handle.build, fits);
	if (site == NULL)
		site = make_site(fcinfo, store, &handle, batch);
	if (batch)
		LookupKeysArray(fcinfo, 1, store, &handle, &keys);
	else
		LookupKeysScalar(fcinfo, 1, store, &handle, &keys);

	output.site = site;
	output.rows = LookupBeginRows(fcinfo);
	output.descriptor = result->expectedDesc;
	output.values = palloc(output.descriptor->natts * sizeof(Datum));
	output.nulls = palloc(output.descriptor->natts * sizeof(bool));
	if (site->as_stored)
	{
		initStringInfo(&output.tuple);
		sink.stored = emit_stored;
	}
	LookupRun(&handle, store, &keys, site->attributes, site->count, &sink);
	return (Datum) 0;
}

/*
 * venice_get
 *		get(store text, VARIADIC keys "any"): 0 or 1 row.
 */
Datum
venice_get(PG_FUNCTION_ARGS)
{
	return look_up(fcinfo, false);
}

/*
 * venice_batch_get
 *		batch_get(store text, VARIADIC keys "any"): one array per key column, all
 *		of one length.  A NULL array finds nothing, as does a NULL element.
 */
Datum
venice_batch_get(PG_FUNCTION_ARGS)
{
	return look_up(fcinfo, true);
}

/*
 * venice_batch_get_support
 *		Tells the planner that there are at most as many rows as keys.
 */
Datum
venice_batch_get_support(PG_FUNCTION_ARGS)
{
	SupportRequestRows *request = (SupportRequestRows *) PG_GETARG_POINTER(0);
	Node	   *keys;

	if (!IsA(request, SupportRequestRows) || !is_funcclause(request->node) ||
		list_length(((FuncExpr *) request->node)->args) < 2)
		PG_RETURN_POINTER(NULL);
	keys = lsecond(((FuncExpr *) request->node)->args);

	/* Whoever calls the function by hand may pass anything. */
	if (!OidIsValid(get_element_type(exprType(keys))))
		PG_RETURN_POINTER(NULL);
	request->rows = estimate_array_length(request->root, keys);
	PG_RETURN_POINTER(request);
}
