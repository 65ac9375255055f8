/*-------------------------------------------------------------------------
 *
 * packed.c
 *		The functions behind a store's get_packed and batch_get_packed: rows as
 *		one value.
 *
 * A row of a result costs a client more than a row of a store costs the server.
 * Here all rows are one bytea in the binary COPY format, in the order of the keys,
 * so that they need not be repeated; a key that is not there is a row of no
 * fields.  The fields are the version's value columns.
 *
 * Locks: see handle.c and lookup.c.
 * Must not know: how rows are found.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "read/packed.h"

#include "access/table.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "common/compat.h"
#include "read/call_site.h"
#include "read/handle.h"
#include "read/lookup.h"
#include "read/send.h"

PG_FUNCTION_INFO_V1(venice_get_packed);
PG_FUNCTION_INFO_V1(venice_batch_get_packed);

/* How rows are written. */
typedef struct PackedSite
{
	CallSite	site;
	int			encoding;		/* of the client, that it was made for */
	RowEncoder *encoder;
	AttrNumber *attributes;
	int			count;
} PackedSite;

typedef struct Output
{
	const RowEncoder *encoder;
	StringInfoData bytes;
} Output;

static void
encode(void *argument, int64 position, const Datum *values, const bool *nulls)
{
	Output	   *output = argument;

	RowEncode(output->encoder, values, nulls, &output->bytes);
}

static void
encode_absent(void *argument, int64 position)
{
	Output	   *output = argument;

	RowEncodeAbsent(&output->bytes);
}

RowEncoder *
PackedEncoderMake(MemoryContext context, TupleDesc table, const AttrNumber *keys, int key_count)
{
	AttrNumber *attributes = palloc(table->natts * sizeof(AttrNumber));
	int			count = 0;

	for (int i = 0; i < table->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(table, i);
		bool		is_key = false;

		for (int k = 0; k < key_count; k++)
			is_key |= keys[k] == attribute->attnum;
		if (!is_key && !attribute->attisdropped && NameStr(attribute->attname)[0] != '_')
			attributes[count++] = attribute->attnum;
	}
	return RowEncoderMake(context, table, attributes, count);
}

static PackedSite *
make_site(FunctionCallInfo fcinfo, const StoreHandle *handle)
{
	Relation	records = table_open(handle->records, NoLock);
	PackedSite *packed = (PackedSite *) CallSiteMake(fcinfo, sizeof(PackedSite));
	CallSite   *site = &packed->site;

	packed->encoding = pg_get_client_encoding();
	packed->encoder = PackedEncoderMake(site->context, RelationGetDescr(records),
										handle->key_attributes, handle->key_count);
	packed->attributes = RowEncoderAttributes(packed->encoder, site->context, &packed->count);
	/* The functions of users' types may be other ones in another statement. */
	site->reusable = RowEncoderIsStable(packed->encoder);
	site->build = handle->build;
	table_close(records, NoLock);
	return packed;
}

static Datum
look_up(FunctionCallInfo fcinfo, bool batch)
{
	PackedSite *site;
	StoreHandle handle;
	LookupKeys	keys;
	Output		output;
	RowSink		sink = {.row = encode, .argument = &output};
	int			head_bytes;
	char	   *store;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("store must not be null")));
	store = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (!batch)
		LookupExpect(fcinfo, 1);
	StoreHandleOpen(store, &handle);
	site = (PackedSite *) CallSiteFind(fcinfo, handle.build, NULL);
	if (site == NULL || site->encoding != pg_get_client_encoding())
		site = make_site(fcinfo, &handle);
	if (batch)
		LookupKeysArray(fcinfo, 1, store, &handle, &keys);
	else
		LookupKeysScalar(fcinfo, 1, store, &handle, &keys);

	output.encoder = site->encoder;
	initStringInfo(&output.bytes);
	output.bytes.len = VARHDRSZ;
	EncodeBegin(&output.bytes);
	head_bytes = output.bytes.len;
	if (batch)
		sink.absent = encode_absent;
	if (RowEncoderIsStable(site->encoder))
		sink.packed = &output.bytes;
	LookupRun(&handle, store, &keys, site->attributes, site->count, &sink);
	if (!batch && output.bytes.len == head_bytes)
		PG_RETURN_NULL();
	EncodeEnd(&output.bytes);
	SET_VARSIZE(output.bytes.data, output.bytes.len);
	SendWhole(output.bytes.len);
	PG_RETURN_BYTEA_P(output.bytes.data);
}

/*
 * venice_get_packed
 *		get_packed(store text, VARIADIC keys "any"): NULL when the key is not there.
 */
Datum
venice_get_packed(PG_FUNCTION_ARGS)
{
	return look_up(fcinfo, false);
}

/*
 * venice_batch_get_packed
 *		batch_get_packed(store text, VARIADIC keys "any"): one array per key column.
 */
Datum
venice_batch_get_packed(PG_FUNCTION_ARGS)
{
	return look_up(fcinfo, true);
}
