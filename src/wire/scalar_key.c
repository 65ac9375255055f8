/*-------------------------------------------------------------------------
 *
 * scalar_key.c
 *		Keys as Kafka's own serializers write them: no schema, one value.
 *
 * The column's type need not be the format's.  Text may become any type, and
 * the others become what holds them without loss, or are rejected.
 *
 * Locks: none.
 * Must not know: that a record has a value too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "wire/scalar_key.h"

#include "catalog/pg_type.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "common/type_input.h"
#include "wire/text.h"

#define UUID_TEXT_BYTES		36

struct ScalarKey
{
	WireFormat	format;
	const RecordColumn *column;
	TypeInput	input;
	Oid			direct_type;	/* the column's, if it is no domain */
};

static bool type_fits(WireFormat format, Oid type);
static bool decode_integer(ScalarKey *key, const char *data, int data_bytes,
						   Datum *value, DecodeError *error);
static bool decode_uuid(ScalarKey *key, const char *data, int data_bytes,
						Datum *value, DecodeError *error);
static void column_context(void *arg);

ScalarKey *
ScalarKeyCreate(WireFormat format, const RecordColumn *column, MemoryContext context)
{
	ScalarKey  *key = MemoryContextAllocZero(context, sizeof(ScalarKey));

	key->format = format;
	key->column = column;
	TypeInputInit(&key->input, column->type, column->typmod, context);
	key->direct_type = OidIsValid(key->input.domain) ? InvalidOid : key->input.type;

	if (!type_fits(format, key->input.type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("keys of format \"%s\" do not fit column \"%s\" of type %s",
						WireFormatName(format), column->name,
						format_type_be(column->type))));
	return key;
}

/* type is what lies under a domain. */
static bool
type_fits(WireFormat format, Oid type)
{
	if (format == WIRE_TEXT)
		return true;
	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
			return true;
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
			return format == WIRE_INT4 || format == WIRE_INT8;
		case UUIDOID:
			return format == WIRE_UUID;
		default:
			return false;
	}
}

bool
ScalarKeyDecode(ScalarKey *key, const char *data, int data_bytes,
				Datum *value, DecodeError *error)
{
	ErrorContextCallback context;
	bool		decoded;

	context.callback = column_context;
	context.arg = key;
	context.previous = error_context_stack;
	error_context_stack = &context;

	switch (key->format)
	{
		case WIRE_INT4:
		case WIRE_INT8:
			decoded = decode_integer(key, data, data_bytes, value, error);
			break;
		case WIRE_UUID:
			decoded = decode_uuid(key, data, data_bytes, value, error);
			break;
		default:
			Assert(key->format == WIRE_TEXT);
			decoded = WireTextToServer(&data, &data_bytes, "key", error);
			if (!decoded)
				break;
			if (key->direct_type == TEXTOID)
				*value = PointerGetDatum(cstring_to_text_with_len(data, data_bytes));
			else
				*value = TypeInputCall(&key->input, pnstrdup(data, data_bytes));
	}

	error_context_stack = context.previous;
	return decoded;
}

static bool
decode_integer(ScalarKey *key, const char *data, int data_bytes,
			   Datum *value, DecodeError *error)
{
	int			expected_bytes = key->format == WIRE_INT4 ? sizeof(uint32) : sizeof(uint64);
	int64		integer;
	bool		fits;

	if (data_bytes != expected_bytes)
		return WireReject(error, ERRCODE_INVALID_BINARY_REPRESENTATION,
						  "key of format \"%s\" has %d bytes, not %d",
						  WireFormatName(key->format), data_bytes, expected_bytes);
	if (key->format == WIRE_INT4)
	{
		uint32		bits;

		memcpy(&bits, data, sizeof(bits));
		integer = (int32) pg_ntoh32(bits);
	}
	else
	{
		uint64		bits;

		memcpy(&bits, data, sizeof(bits));
		integer = (int64) pg_ntoh64(bits);
	}

	switch (key->direct_type)
	{
		case INT2OID:
			fits = integer == (int16) integer;
			*value = Int16GetDatum((int16) integer);
			break;
		case INT4OID:
			fits = integer == (int32) integer;
			*value = Int32GetDatum((int32) integer);
			break;
		case INT8OID:
			fits = true;
			*value = Int64GetDatum(integer);
			break;
		default:
			fits = true;
			*value = TypeInputCall(&key->input, psprintf(INT64_FORMAT, integer));
	}
	if (!fits)
		return WireReject(error, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
						  "key " INT64_FORMAT " is out of range for column \"%s\" of type %s",
						  integer, key->column->name, format_type_be(key->column->type));
	return true;
}

static bool
decode_uuid(ScalarKey *key, const char *data, int data_bytes,
			Datum *value, DecodeError *error)
{
	Datum		uuid;

	if (data_bytes == UUID_LEN)
	{
		uuid = UUIDPGetDatum(palloc(UUID_LEN));
		memcpy(DatumGetUUIDP(uuid), data, UUID_LEN);
	}
	else if (data_bytes == UUID_TEXT_BYTES)
	{
		if (!WireTextToServer(&data, &data_bytes, "key", error))
			return false;
		uuid = DirectFunctionCall1(uuid_in, CStringGetDatum(pnstrdup(data, data_bytes)));
	}
	else
		return WireReject(error, ERRCODE_INVALID_BINARY_REPRESENTATION,
						  "key of format \"uuid\" has %d bytes, not %d of text or %d of binary",
						  data_bytes, UUID_TEXT_BYTES, UUID_LEN);

	if (key->direct_type == UUIDOID)
		*value = uuid;
	else
		*value = TypeInputCall(&key->input,
							   DatumGetCString(DirectFunctionCall1(uuid_out, uuid)));
	return true;
}

/* For what an input function raises. */
static void
column_context(void *arg)
{
	ScalarKey  *key = arg;

	errcontext("column \"%s\"", key->column->name);
}
