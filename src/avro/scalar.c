/*-------------------------------------------------------------------------
 *
 * scalar.c
 *		The PostgreSQL value that an Avro scalar means.
 *
 * Everything is exact: a value outside the range of its PostgreSQL type is
 * refused with the SQLSTATE that the type itself would use.
 *
 * Locks: none.  Must not know: columns, readers, JSON.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "avro/scalar.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/int.h"
#include "common/shortest_dec.h"
#include "datatype/timestamp.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "common/compat.h"

/* Decimals have at most as many digits as numeric's modifier can state. */
#define MAX_DECIMAL_BYTES	416

/* Avro's epoch is Unix's. */
#define EPOCH_DAYS			(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)

const AvroSchema *
AvroWithoutNull(const AvroSchema *schema, bool *nullable)
{
	const AvroSchema *other = NULL;
	int			i;

	*nullable = false;
	if (schema->type != AVRO_UNION)
		return schema;
	for (i = 0; i < schema->count; i++)
	{
		if (schema->branches[i]->type == AVRO_NULL)
			*nullable = true;
		else if (other == NULL)
			other = schema->branches[i];
		else
			other = schema;
	}
	return other != NULL ? other : schema;
}

Oid
AvroNaturalType(const AvroSchema *schema)
{
	bool		nullable;
	Oid			element;

	schema = AvroWithoutNull(schema, &nullable);
	switch (schema->logical)
	{
		case AVRO_PLAIN:
			break;
		case AVRO_DECIMAL:
			return NUMERICOID;
		case AVRO_UUID:
			return UUIDOID;
		case AVRO_DATE:
			return DATEOID;
		case AVRO_TIME_MILLIS:
		case AVRO_TIME_MICROS:
			return TIMEOID;
		case AVRO_TIMESTAMP_MILLIS:
		case AVRO_TIMESTAMP_MICROS:
			return TIMESTAMPTZOID;
		case AVRO_LOCAL_TIMESTAMP_MILLIS:
		case AVRO_LOCAL_TIMESTAMP_MICROS:
			return TIMESTAMPOID;
		case AVRO_DURATION:
			return INTERVALOID;
	}
	switch (schema->type)
	{
		case AVRO_NULL:
			return InvalidOid;
		case AVRO_BOOLEAN:
			return BOOLOID;
		case AVRO_INT:
			return INT4OID;
		case AVRO_LONG:
			return INT8OID;
		case AVRO_FLOAT:
			return FLOAT4OID;
		case AVRO_DOUBLE:
			return FLOAT8OID;
		case AVRO_STRING:
		case AVRO_ENUM:
			return TEXTOID;
		case AVRO_BYTES:
		case AVRO_FIXED:
			return BYTEAOID;
		case AVRO_ARRAY:
			element = AvroNaturalType(schema->items);
			if (OidIsValid(element) && element != JSONBOID &&
				!OidIsValid(get_element_type(element)))
				return get_array_type(element);
			return JSONBOID;
		case AVRO_UNION:
			return schema->count == 0 || (schema->count == 1 && nullable) ? InvalidOid : JSONBOID;
		case AVRO_MAP:
		case AVRO_RECORD:
			return JSONBOID;
	}
	return InvalidOid;
}

bool
AvroTextToServer(const char *data, size_t *bytes, char **text, DecodeError *error)
{
	char	   *copy;

	if (memchr(data, '\0', *bytes) != NULL)
		return AvroFail(error, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
						"Avro string has a NUL character, which text cannot hold");
	copy = palloc(*bytes + 1);
	memcpy(copy, data, *bytes);
	copy[*bytes] = '\0';
	if (GetDatabaseEncoding() != PG_UTF8)
	{
		copy = pg_any_to_server(copy, *bytes, PG_UTF8);
		*bytes = strlen(copy);
	}
	*text = copy;
	return true;
}

/*
 * decimal_digits
 *		Big-endian two's complement of more than 8 bytes as decimal text.
 *
 * Groups of nine digits are divided off the magnitude; what that costs is
 * quadratic, hence MAX_DECIMAL_BYTES.
 */
static char *
decimal_digits(const char *data, size_t bytes, int scale)
{
	uint32		words[MAX_DECIMAL_BYTES / 4 + 1] = {0};
	int			nwords = (int) ((bytes + 3) / 4);
	bool		negative = (data[0] & 0x80) != 0;
	int			max_digits = nwords * 10 + scale + 1;
	char	   *digits = palloc(max_digits + 3);
	char	   *first = digits + max_digits + 2;
	int			places = 0;
	uint64		carry = negative ? 1 : 0;
	size_t		i;
	int			w;

	for (i = 0; i < bytes; i++)
	{
		unsigned char byte = (unsigned char) data[bytes - 1 - i];

		words[i / 4] |= (uint32) (negative ? (unsigned char) ~byte : byte) << (8 * (i % 4));
	}
	for (w = 0; carry != 0 && w <= nwords; w++)
	{
		carry += words[w];
		words[w] = (uint32) carry;
		carry >>= 32;
	}
	nwords++;

	*first = '\0';
	while (nwords > 0 || places <= scale)
	{
		uint64		rest = 0;
		int			group;

		for (w = nwords - 1; w >= 0; w--)
		{
			rest = rest << 32 | words[w];
			words[w] = (uint32) (rest / 1000000000);
			rest %= 1000000000;
		}
		while (nwords > 0 && words[nwords - 1] == 0)
			nwords--;
		for (group = 0; group < 9 && (nwords > 0 || rest > 0 || places <= scale); group++)
		{
			if (places == scale && scale > 0)
				*--first = '.';
			*--first = (char) ('0' + rest % 10);
			rest /= 10;
			places++;
		}
	}
	if (negative)
		*--first = '-';
	return first;
}

static bool
numeric_datum(const AvroSchema *schema, const AvroScalar *scalar, Datum *value,
			  DecodeError *error)
{
	const char *data = scalar->data;
	size_t		bytes = scalar->bytes;
	int64		small;

	/* bytes that only repeat the sign say nothing */
	while (bytes > 1 && ((data[0] == 0 && (data[1] & 0x80) == 0) ||
						 ((unsigned char) data[0] == 0xFF && (data[1] & 0x80) != 0)))
	{
		data++;
		bytes--;
	}
	if (bytes > MAX_DECIMAL_BYTES || schema->scale > NUMERIC_MAX_DISPLAY_SCALE)
		return AvroFail(error, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
						"Avro decimal has more than %d digits", NUMERIC_MAX_PRECISION);
	if (bytes <= sizeof(small))
	{
		small = bytes > 0 && (data[0] & 0x80) != 0 ? -1 : 0;
		for (; bytes > 0; bytes--)
			small = (int64) ((uint64) small << 8 | (unsigned char) *data++);
		*value = NumericGetDatum(int64_div_fast_to_numeric(small, schema->scale));
		return true;
	}
	*value = DirectFunctionCall3(numeric_in,
								 CStringGetDatum(decimal_digits(data, bytes, schema->scale)),
								 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	return true;
}

static bool
out_of_range(const AvroSchema *schema, int64 number, DecodeError *error)
{
	return AvroFail(error, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE,
					"Avro %s %lld is out of range", AvroLogicalName(schema->logical),
					(long long) number);
}

/* Microseconds, from a number of 1 or of 1,000 each. */
static bool
timestamp_datum(const AvroSchema *schema, int64 number, int64 unit, Datum *value,
				DecodeError *error)
{
	int64		micros;

	if (pg_mul_s64_overflow(number, unit, &micros) ||
		pg_sub_s64_overflow(micros, EPOCH_DAYS * USECS_PER_DAY, &micros) ||
		!IS_VALID_TIMESTAMP(micros))
		return out_of_range(schema, number, error);
	*value = TimestampGetDatum(micros);
	return true;
}

static bool
time_datum(const AvroSchema *schema, int64 number, int64 unit, Datum *value, DecodeError *error)
{
	if (number < 0 || number > USECS_PER_DAY / unit)
		return out_of_range(schema, number, error);
	*value = TimeADTGetDatum(number * unit);
	return true;
}

static bool
date_datum(const AvroSchema *schema, int64 number, Datum *value, DecodeError *error)
{
	int64		days = number - EPOCH_DAYS;

	if (!IS_VALID_DATE(days))
		return out_of_range(schema, number, error);
	*value = DateADTGetDatum((DateADT) days);
	return true;
}

/* Three little-endian unsigned numbers: months, days, milliseconds. */
static bool
interval_datum(const AvroSchema *schema, const AvroScalar *scalar, Datum *value, DecodeError *error)
{
	const unsigned char *data = (const unsigned char *) scalar->data;
	int64		months = (int64) AvroBits4(data);
	int64		days = (int64) AvroBits4(data + 4);
	Interval   *interval;

	if (months > PG_INT32_MAX || days > PG_INT32_MAX)
		return out_of_range(schema, Max(months, days), error);
	interval = palloc(sizeof(Interval));
	interval->month = (int32) months;
	interval->day = (int32) days;
	interval->time = (TimeOffset) AvroBits4(data + 8) * 1000;
	*value = IntervalPGetDatum(interval);
	return true;
}

static bool
uuid_datum(const AvroScalar *scalar, Datum *value, DecodeError *error)
{
	size_t		bytes = scalar->bytes;
	pg_uuid_t  *uuid;
	char	   *text;

	if (scalar->type == AVRO_FIXED)
	{
		uuid = palloc(sizeof(pg_uuid_t));
		memcpy(uuid->data, scalar->data, UUID_LEN);
		*value = UUIDPGetDatum(uuid);
		return true;
	}
	if (!AvroTextToServer(scalar->data, &bytes, &text, error))
		return false;
	*value = DirectFunctionCall1(uuid_in, CStringGetDatum(text));
	return true;
}

static Datum
varlena_datum(const char *data, size_t bytes)
{
	char	   *result = palloc(VARHDRSZ + bytes);

	SET_VARSIZE(result, VARHDRSZ + bytes);
	memcpy(VARDATA(result), data, bytes);
	return PointerGetDatum(result);
}

bool
AvroScalarToDatum(const AvroSchema *schema, const AvroScalar *scalar, Datum *value,
				  DecodeError *error)
{
	size_t		bytes = scalar->bytes;
	char	   *text;

	switch (schema->logical)
	{
		case AVRO_PLAIN:
			break;
		case AVRO_DECIMAL:
			return numeric_datum(schema, scalar, value, error);
		case AVRO_UUID:
			return uuid_datum(scalar, value, error);
		case AVRO_DATE:
			return date_datum(schema, scalar->integer, value, error);
		case AVRO_TIME_MILLIS:
			return time_datum(schema, scalar->integer, 1000, value, error);
		case AVRO_TIME_MICROS:
			return time_datum(schema, scalar->integer, 1, value, error);
		case AVRO_TIMESTAMP_MILLIS:
		case AVRO_LOCAL_TIMESTAMP_MILLIS:
			return timestamp_datum(schema, scalar->integer, 1000, value, error);
		case AVRO_TIMESTAMP_MICROS:
		case AVRO_LOCAL_TIMESTAMP_MICROS:
			return timestamp_datum(schema, scalar->integer, 1, value, error);
		case AVRO_DURATION:
			return interval_datum(schema, scalar, value, error);
	}
	switch (scalar->type)
	{
		case AVRO_BOOLEAN:
			*value = BoolGetDatum(scalar->integer != 0);
			return true;
		case AVRO_INT:
			*value = Int32GetDatum((int32) scalar->integer);
			return true;
		case AVRO_LONG:
			*value = Int64GetDatum(scalar->integer);
			return true;
		case AVRO_FLOAT:
			*value = Float4GetDatum((float4) scalar->real);
			return true;
		case AVRO_DOUBLE:
			*value = Float8GetDatum(scalar->real);
			return true;
		case AVRO_STRING:
		case AVRO_ENUM:
			if (!AvroTextToServer(scalar->data, &bytes, &text, error))
				return false;
			*value = varlena_datum(text, bytes);
			return true;
		case AVRO_BYTES:
		case AVRO_FIXED:
			*value = varlena_datum(scalar->data, bytes);
			return true;
		default:
			elog(ERROR, "Avro %s is no scalar", AvroTypeName(scalar->type));
	}
	return false;
}

/* What a float prints as, exactly and whatever extra_float_digits says. */
static char *
real_to_text(const AvroScalar *scalar)
{
	char	   *text = palloc(DOUBLE_SHORTEST_DECIMAL_LEN);

	if (isnan(scalar->real))
		strcpy(text, "NaN");
	else if (isinf(scalar->real))
		strcpy(text, scalar->real > 0 ? "Infinity" : "-Infinity");
	else if (scalar->type == AVRO_FLOAT)
		float_to_shortest_decimal_buf((float) scalar->real, text);
	else
		double_to_shortest_decimal_buf(scalar->real, text);
	return text;
}

static char *
bytes_to_hex(const AvroScalar *scalar)
{
	char	   *text = palloc(scalar->bytes * 2 + 3);

	text[0] = '\\';
	text[1] = 'x';
	text[2 + hex_encode(scalar->data, scalar->bytes, text + 2)] = '\0';
	return text;
}

bool
AvroScalarToText(const AvroSchema *schema, const AvroScalar *scalar, char **text,
				 DecodeError *error)
{
	static const int utc = 0;
	size_t		bytes = scalar->bytes;
	Oid			type = AvroNaturalType(schema);
	Datum		value;

	switch (type)
	{
		case TEXTOID:
			return AvroTextToServer(scalar->data, &bytes, text, error);
		case BYTEAOID:
			*text = bytes_to_hex(scalar);
			return true;
		case FLOAT4OID:
		case FLOAT8OID:
			*text = real_to_text(scalar);
			return true;
		case INT4OID:
		case INT8OID:
			*text = psprintf(INT64_FORMAT, (int64) scalar->integer);
			return true;
		case BOOLOID:
			*text = pstrdup(scalar->integer != 0 ? "true" : "false");
			return true;
		default:
			break;
	}
	if (!AvroScalarToDatum(schema, scalar, &value, error))
		return false;
	switch (type)
	{
		case NUMERICOID:
			*text = DatumGetCString(DirectFunctionCall1(numeric_out, value));
			break;
		case UUIDOID:
			*text = DatumGetCString(DirectFunctionCall1(uuid_out, value));
			break;
		case INTERVALOID:
			{
				Interval   *interval = DatumGetIntervalP(value);

				*text = psprintf("P%dM%dDT%d.%03dS", interval->month, interval->day,
								 (int) (interval->time / USECS_PER_SEC),
								 (int) (interval->time % USECS_PER_SEC / 1000));
				break;
			}
		default:
			*text = JsonEncodeDateTime(NULL, value, type, type == TIMESTAMPTZOID ? &utc : NULL);
			break;
	}
	return true;
}
