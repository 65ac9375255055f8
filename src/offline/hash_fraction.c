/*-------------------------------------------------------------------------
 *
 * hash_fraction.c
 *		A number from 0 to 1 that keys always have, to split rows by.
 *
 * Who splits a training set wants the same rows on the same side next year, on
 * another machine, and in Python.  So nothing of the server's own hashing is used:
 * keys become bytes that depend on their values alone, and a hash is taken of them
 * that is a few lines in any language; doc/reference.md has it.  An integer is the
 * same whatever its width, a text whatever its type and the encoding.
 *
 * A NULL is a value like another: a row that had no fraction would be on neither
 * side of a split.
 *
 * Locks: none.
 * Must not know: training sets.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "common/compat.h"

PG_FUNCTION_INFO_V1(venice_hash_fraction);

#define FNV_OFFSET	UINT64CONST(0xcbf29ce484222325)
#define FNV_PRIME	UINT64CONST(0x100000001b3)

#define UNIX_EPOCH_DAYS	(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)

/* FNV-1a of 64 bits. */
static uint64
add_bytes(uint64 hash, const void *bytes, Size length)
{
	const uint8 *byte = bytes;

	for (Size i = 0; i < length; i++)
		hash = (hash ^ byte[i]) * FNV_PRIME;
	return hash;
}

static uint64
add_tag(uint64 hash, char tag)
{
	return add_bytes(hash, &tag, 1);
}

/* What has a fixed width: 8 bytes, the highest first. */
static uint64
add_number(uint64 hash, char tag, uint64 number)
{
	uint64		bytes = pg_hton64(number);

	return add_bytes(add_tag(hash, tag), &bytes, sizeof(bytes));
}

/* What has none: the number of bytes, then the bytes. */
static uint64
add_string(uint64 hash, char tag, const void *bytes, Size length)
{
	return add_bytes(add_number(hash, tag, length), bytes, length);
}

static uint64
add_text(uint64 hash, const char *text, int length)
{
	char	   *utf8 = pg_server_to_any(text, length, PG_UTF8);

	return add_string(hash, 't', utf8, utf8 == text ? length : strlen(utf8));
}

/* Microseconds since 1970; both infinities are what they are. */
static uint64
add_time(uint64 hash, char tag, Timestamp time)
{
	if (!TIMESTAMP_NOT_FINITE(time))
		time += UNIX_EPOCH_DAYS * USECS_PER_DAY;
	return add_number(hash, tag, time);
}

static uint64
add_float(uint64 hash, double number)
{
	uint64		bits;

	/* Zeros are equal, and so are NaNs. */
	if (number == 0)
		number = 0;
	if (isnan(number))
		number = get_float8_nan();
	memcpy(&bits, &number, sizeof(bits));
	return add_number(hash, 'f', bits);
}

/* One that is an integer of 8 bytes is that; else its digits without zeros at the end. */
static uint64
add_numeric(uint64 hash, Datum number)
{
	Datum		trimmed = DirectFunctionCall1(numeric_trim_scale, number);
	char	   *digits = DatumGetCString(DirectFunctionCall1(numeric_out, trimmed));
	char	   *end;
	int64		integer;

	errno = 0;
	integer = strtoi64(digits, &end, 10);
	if (errno == 0 && *end == '\0')
		return add_number(hash, 'i', integer);
	return add_string(hash, 'm', digits, strlen(digits));
}

static uint64
add_key(uint64 hash, Oid type, Datum key)
{
	switch (type)
	{
		case INT2OID:
			return add_number(hash, 'i', (int64) DatumGetInt16(key));
		case INT4OID:
			return add_number(hash, 'i', (int64) DatumGetInt32(key));
		case INT8OID:
			return add_number(hash, 'i', DatumGetInt64(key));
		case NUMERICOID:
			return add_numeric(hash, key);
		case FLOAT4OID:
			return add_float(hash, DatumGetFloat4(key));
		case FLOAT8OID:
			return add_float(hash, DatumGetFloat8(key));
		case BOOLOID:
			return add_number(hash, 'b', DatumGetBool(key));
		case UUIDOID:
			return add_bytes(add_tag(hash, 'u'), DatumGetUUIDP(key)->data, UUID_LEN);
		case DATEOID:
			{
				DateADT		date = DatumGetDateADT(key);

				return add_number(hash, 'd', DATE_NOT_FINITE(date) ? (int64) date :
								  (int64) date + UNIX_EPOCH_DAYS);
			}
		case TIMESTAMPOID:
			return add_time(hash, 's', DatumGetTimestamp(key));
		case TIMESTAMPTZOID:
			return add_time(hash, 'z', DatumGetTimestampTz(key));
		case TEXTOID:
		case VARCHAROID:
			{
				text	   *value = DatumGetTextPP(key);

				return add_text(hash, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
			}
		case BPCHAROID:
			{
				BpChar	   *value = DatumGetBpCharPP(key);
				int			length = VARSIZE_ANY_EXHDR(value);

				/* Blanks at the end count for nothing when these are compared. */
				length = bpchartruelen(VARDATA_ANY(value), length);
				return add_text(hash, VARDATA_ANY(value), length);
			}
		case NAMEOID:
			return add_text(hash, NameStr(*DatumGetName(key)), strlen(NameStr(*DatumGetName(key))));
		case BYTEAOID:
			{
				bytea	   *value = DatumGetByteaPP(key);

				return add_string(hash, 'y', VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
			}
		default:
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("a key of type %s has no hash that is the same everywhere",
							format_type_be(type)),
					 errhint("Cast it to text, or to another plain type.")));
	}
	return hash;
}

static uint64
add_nullable(uint64 hash, Oid type, Datum key, bool is_null)
{
	return is_null ? add_tag(hash, 'n') : add_key(hash, type, key);
}

/* hash_fraction(VARIADIC array): each element is a key. */
static uint64
add_elements(uint64 hash, FunctionCallInfo fcinfo)
{
	ArrayType  *array;
	Oid			type;
	int16		length;
	bool		by_value;
	char		align;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	if (PG_ARGISNULL(0))
		return add_tag(hash, 'n');
	array = PG_GETARG_ARRAYTYPE_P(0);
	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, align, &elements, &nulls,
					  &count);
	type = getBaseType(ARR_ELEMTYPE(array));
	for (int i = 0; i < count; i++)
		hash = add_nullable(hash, type, elements[i], nulls[i]);
	return hash;
}

/*
 * venice_hash_fraction
 *		hash_fraction(VARIADIC keys): from 0, inclusive, to 1, exclusive.  42804 for a
 *		type whose values have no form that is the same on every server.
 */
Datum
venice_hash_fraction(PG_FUNCTION_ARGS)
{
	uint64		hash = FNV_OFFSET;

	if (get_fn_expr_variadic(fcinfo->flinfo))
		hash = add_elements(hash, fcinfo);
	else
	{
		Oid		   *types = fcinfo->flinfo->fn_extra;

		if (types == NULL)
		{
			types = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, PG_NARGS() * sizeof(Oid));
			for (int i = 0; i < PG_NARGS(); i++)
			{
				types[i] = getBaseType(get_fn_expr_argtype(fcinfo->flinfo, i));
				/* A literal that is nothing else yet. */
				if (types[i] == UNKNOWNOID)
					types[i] = InvalidOid;
			}
			fcinfo->flinfo->fn_extra = types;
		}
		for (int i = 0; i < PG_NARGS(); i++)
			if (OidIsValid(types[i]) || PG_ARGISNULL(i))
				hash = add_nullable(hash, types[i], PG_GETARG_DATUM(i), PG_ARGISNULL(i));
			else
				hash = add_text(hash, PG_GETARG_CSTRING(i), strlen(PG_GETARG_CSTRING(i)));
	}

	/* MurmurHash3's finalizer: in FNV the low bits know little of the last bytes. */
	hash ^= hash >> 33;
	hash *= UINT64CONST(0xff51afd7ed558ccd);
	hash ^= hash >> 33;
	hash *= UINT64CONST(0xc4ceb9fe1a85ec53);
	hash ^= hash >> 33;
	PG_RETURN_FLOAT8((double) (hash >> 11) / (UINT64CONST(1) << 53));
}
