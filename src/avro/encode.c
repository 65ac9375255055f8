/*-------------------------------------------------------------------------
 *
 * encode.c
 *		PostgreSQL values to binary Avro.
 *
 * Written is what a reader with the same columns makes the same values of: that such a
 * reader can be made is what "fits" means, and a value that would come back as another
 * one is refused, never rounded or cut.
 *
 * A value of the type that the schema naturally means (AvroNaturalType) is written from
 * its memory; numbers go through numeric, where the target says whether it is the same
 * number; all else goes through its text and the natural type's input function.  jsonb
 * is walked beside the schema, as to_jsonb.c writes it; of a union it takes the first
 * branch that has a form for the value, whose JSON is the same whichever it was.
 *
 * Locks: none.  Must not know: what the datum is for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "avro/encode.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "avro/scalar.h"
#include "avro/schema.h"

/* Avro's epoch is Unix's. */
#define EPOCH_DAYS		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)

/* A part of the datum: a column's value, or a record that has some below it, or neither. */
typedef struct Part
{
	const AvroSchema *schema;
	int			column;			/* -1: none */
	struct Part **fields;		/* of a record; NULL: the default of the field */
	const AvroSchema *record;	/* schema, or that branch of it */
} Part;

struct AvroWriter
{
	Part	   *root;
	Oid		   *types;			/* of the columns, what lies under domains */
};

/* A column and what is left of its path. */
typedef struct Wanted
{
	int			column;
	const char *path;			/* NULL: the value itself */
} Wanted;

static bool encode_datum(const AvroSchema *schema, Oid type, Datum value, bool isnull,
						 StringInfo out, DecodeError *error);
static bool encode_json(const AvroSchema *schema, JsonbValue *value, StringInfo out,
						DecodeError *error);

static int
null_branch(const AvroSchema *schema)
{
	if (schema->type == AVRO_UNION)
		for (int i = 0; i < schema->count; i++)
			if (schema->branches[i]->type == AVRO_NULL)
				return i;
	return -1;
}

/* Of a union of one type with null, the branch that is not. */
static int
other_branch(const AvroSchema *schema)
{
	return schema->branches[0]->type == AVRO_NULL ? 1 : 0;
}

static bool
has_record(const AvroSchema *schema)
{
	bool		found = schema->type == AVRO_RECORD;

	if (schema->type == AVRO_UNION)
		for (int i = 0; i < schema->count; i++)
			found |= schema->branches[i]->type == AVRO_RECORD;
	return found;
}

/* Columns that are under a field, with what is left of their paths; *used counts them. */
static List *
wanted_under(const List *wanted, const char *field)
{
	List	   *under = NIL;
	size_t		bytes = strlen(field);
	ListCell   *cell;

	foreach(cell, wanted)
	{
		const Wanted *one = lfirst(cell);

		if (one->path != NULL && strncmp(one->path, field, bytes) == 0 &&
			(one->path[bytes] == '\0' || one->path[bytes] == '.'))
		{
			Wanted	   *rest = palloc(sizeof(Wanted));

			rest->column = one->column;
			rest->path = one->path[bytes] == '.' ? one->path + bytes + 1 : NULL;
			under = lappend(under, rest);
		}
	}
	return under;
}

/* found[] says of which columns there is a place. */
static Part *
compile(const AvroSchema *schema, List *wanted, bool *found, MemoryContext context,
		DecodeError *error)
{
	Part	   *part = MemoryContextAllocZero(context, sizeof(Part));
	const Wanted *first = linitial(wanted);
	bool		nullable;

	check_stack_depth();
	part->schema = schema;
	part->column = -1;
	if (first->path == NULL && list_length(wanted) == 1)
	{
		part->column = first->column;
		found[first->column] = true;
		return part;
	}
	part->record = AvroWithoutNull(schema, &nullable);
	if (part->record->type != AVRO_RECORD || first->path == NULL)
	{
		AvroFail(error, ERRCODE_DATATYPE_MISMATCH,
				 first->path == NULL ? "several columns are written to one field" :
				 "\"%s\" is not in a record", first->path);
		return NULL;
	}
	part->fields = MemoryContextAllocZero(context, part->record->count * sizeof(Part *));
	for (int i = 0; i < part->record->count; i++)
	{
		const AvroField *field = &part->record->fields[i];
		List	   *under = wanted_under(wanted, field->name);

		if (under != NIL)
		{
			part->fields[i] = compile(field->schema, under, found, context, error);
			if (part->fields[i] == NULL)
				return NULL;
		}
		else if (field->default_data == NULL && null_branch(field->schema) < 0 &&
				 field->schema->type != AVRO_NULL)
		{
			AvroFail(error, ERRCODE_DATATYPE_MISMATCH,
					 "field \"%s\" has no column and no default", field->name);
			return NULL;
		}
	}
	return part;
}

AvroWriter *
AvroWriterCreate(const char *schema_text, const AvroColumn *columns, int ncolumns, int optional,
				 MemoryContext context, DecodeError *error)
{
	AvroWriter *writer = MemoryContextAllocZero(context, sizeof(AvroWriter));
	AvroNames	names = {0};
	AvroSchema *schema = AvroSchemaParse(schema_text, &names, context, error);
	AvroColumn *read = palloc(Max(ncolumns, 1) * sizeof(AvroColumn));
	bool	   *found = palloc0(Max(ncolumns, 1) * sizeof(bool));
	List	   *wanted = NIL;
	bool		is_record;

	if (schema == NULL)
		return NULL;
	is_record = has_record(schema);
	memcpy(read, columns, ncolumns * sizeof(AvroColumn));
	if (!is_record && ncolumns - optional == 1)
		read[optional].field = NULL;

	/* Those that are optional cannot be read back where they have no place. */
	if (AvroReaderCreate(&schema_text, 1, NULL, read + optional, ncolumns - optional, context,
						 error) == NULL)
		return NULL;
	writer->types = MemoryContextAlloc(context, Max(ncolumns, 1) * sizeof(Oid));
	for (int i = 0; i < ncolumns; i++)
	{
		Wanted	   *one = palloc(sizeof(Wanted));

		writer->types[i] = getBaseType(columns[i].type);
		one->column = i;
		one->path = read[i].field;
		if (i >= optional || is_record)
			wanted = lappend(wanted, one);
	}
	if (wanted == NIL)
	{
		AvroFail(error, ERRCODE_DATATYPE_MISMATCH, "there is no column to write");
		return NULL;
	}
	writer->root = compile(schema, wanted, found, context, error);
	if (writer->root == NULL)
		return NULL;
	for (int i = optional; i < ncolumns; i++)
		if (!found[i])
		{
			AvroFail(error, ERRCODE_DATATYPE_MISMATCH, "there is no field \"%s\" for a column",
					 columns[i].field != NULL ? columns[i].field : "value");
			return NULL;
		}
	return writer;
}

static void
write_long(StringInfo out, int64 value)
{
	uint64		bits = ((uint64) value << 1) ^ (uint64) (value >> 63);

	for (; bits >= 0x80; bits >>= 7)
		appendStringInfoChar(out, (char) (bits | 0x80));
	appendStringInfoChar(out, (char) bits);
}

static void
write_bytes(StringInfo out, const char *data, size_t bytes)
{
	write_long(out, (int64) bytes);
	appendBinaryStringInfo(out, data, (int) bytes);
}

static void
write_string(StringInfo out, const char *text, int bytes)
{
	char	   *utf8 = pg_server_to_any(text, bytes, PG_UTF8);

	write_bytes(out, utf8, utf8 == text ? (size_t) bytes : strlen(utf8));
}

static void
write_bits(StringInfo out, uint64 bits, int count)
{
	for (int i = 0; i < count; i++)
		appendStringInfoChar(out, (char) (bits >> (8 * i)));
}

static bool
fail_schema(const AvroSchema *schema, int sqlstate, const char *problem, DecodeError *error)
{
	char		text[100];

	return AvroFail(error, sqlstate, "%s Avro type %s", problem,
					AvroSchemaDescribe(schema, text, sizeof(text)));
}

static bool
fail_null(const AvroSchema *schema, DecodeError *error)
{
	return fail_schema(schema, ERRCODE_NOT_NULL_VIOLATION, "there is no null in", error);
}

static char *
text_of(Oid type, Datum value)
{
	bool		is_varlena;
	Oid			function;

	getTypeOutputInfo(type, &function, &is_varlena);
	return OidOutputFunctionCall(function, value);
}

static Datum
read_text(Oid type, char *text)
{
	Oid			function;
	Oid			io_param;

	getTypeInputInfo(type, &function, &io_param);
	return OidInputFunctionCall(function, text, io_param, -1);
}

static Numeric
text_to_numeric(char *text)
{
	return DatumGetNumeric(read_text(NUMERICOID, text));
}

static bool
is_text(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID;
}

static bool
is_number(Oid type)
{
	return type == INT4OID || type == INT8OID || type == FLOAT4OID || type == FLOAT8OID ||
		type == NUMERICOID;
}

/* The decimal's digits, with as many places as the schema says; false when there are more. */
static bool
decimal_digits(const AvroSchema *schema, Numeric number, char **digits, bool *negative)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
	StringInfoData all;
	char	   *point;
	int			places = 0;

	*negative = text[0] == '-';
	text += *negative;
	point = strchr(text, '.');
	initStringInfo(&all);
	for (char *c = text; *c != '\0'; c++)
	{
		if (c == point)
			continue;
		if (point != NULL && c > point && ++places > schema->scale)
		{
			if (*c != '0')
				return false;
			continue;
		}
		appendStringInfoChar(&all, *c);
	}
	for (places = Min(places, schema->scale); places < schema->scale; places++)
		appendStringInfoChar(&all, '0');
	*digits = all.data + Min(strspn(all.data, "0"), (size_t) all.len - 1);
	return true;
}

/* Big-endian two's complement; as short as can be, or as long as the fixed is. */
static bool
encode_decimal(const AvroSchema *schema, Numeric number, StringInfo out, DecodeError *error)
{
	char	   *digits;
	bool		negative;
	unsigned char *bytes;		/* least first */
	int			count = 1;
	int			wanted;
	int			carry;

	if (numeric_is_nan(number) || numeric_is_inf(number) ||
		!decimal_digits(schema, number, &digits, &negative) ||
		(schema->precision > 0 && strlen(digits) > (size_t) schema->precision))
		return fail_schema(schema, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
						   "number has more digits than", error);
	if (strlen(digits) > NUMERIC_MAX_PRECISION)
		return AvroFail(error, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
						"Avro decimal has more than %d digits", NUMERIC_MAX_PRECISION);
	bytes = palloc0(strlen(digits) / 2 + 3);
	for (char *c = digits; *c != '\0'; c++)
	{
		carry = *c - '0';
		for (int i = 0; i < count; i++)
		{
			carry += bytes[i] * 10;
			bytes[i] = carry & 0xFF;
			carry >>= 8;
		}
		if (carry > 0)
			bytes[count++] = carry;
	}
	carry = 1;
	for (int i = 0; negative && i < count; i++)
	{
		carry += (unsigned char) ~bytes[i];
		bytes[i] = carry & 0xFF;
		carry >>= 8;
	}
	/* The first bit is the sign, of a zero none. */
	negative = negative && strcmp(digits, "0") != 0;
	if (negative != ((bytes[count - 1] & 0x80) != 0))
		bytes[count++] = negative ? 0xFF : 0;
	while (count > 1 && negative && bytes[count - 1] == 0xFF && (bytes[count - 2] & 0x80) != 0)
		count--;
	wanted = schema->type == AVRO_FIXED ? (int) schema->size : count;
	if (wanted < count)
		return fail_schema(schema, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "number is too large for",
						   error);
	if (schema->type != AVRO_FIXED)
		write_long(out, count);
	for (int i = wanted - 1; i >= 0; i--)
		appendStringInfoChar(out, i < count ? bytes[i] : negative ? 0xFF : 0);
	return true;
}

static void
write_float(StringInfo out, float4 value)
{
	uint32		bits;

	memcpy(&bits, &value, sizeof(bits));
	write_bits(out, bits, sizeof(bits));
}

static void
write_double(StringInfo out, float8 value)
{
	uint64		bits;

	memcpy(&bits, &value, sizeof(bits));
	write_bits(out, bits, sizeof(bits));
}

/* A number to a schema whose natural type is one, if it is the same number there. */
static bool
encode_number(const AvroSchema *schema, Numeric number, StringInfo out, DecodeError *error)
{
	Oid			type = AvroNaturalType(schema);
	Datum		there;
	PGFunction	to_number = numeric_int8;

	if (type == NUMERICOID)
		return encode_decimal(schema, number, out, error);
	if ((type == INT4OID || type == INT8OID) &&
		(numeric_is_nan(number) || numeric_is_inf(number)))
		return fail_schema(schema, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "number is none of", error);
	if (type == INT4OID)
		to_number = numeric_int4;
	else if (type == FLOAT4OID)
		to_number = numeric_float4;
	else if (type == FLOAT8OID)
		to_number = numeric_float8;
	there = DirectFunctionCall1(to_number, NumericGetDatum(number));
	if (!DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(number),
										  NumericGetDatum(text_to_numeric(text_of(type, there))))))
		return fail_schema(schema, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
						   "number would be rounded in", error);
	if (type == INT4OID)
		write_long(out, DatumGetInt32(there));
	else if (type == INT8OID)
		write_long(out, DatumGetInt64(there));
	else if (type == FLOAT4OID)
		write_float(out, DatumGetFloat4(there));
	else
		write_double(out, DatumGetFloat8(there));
	return true;
}

/* A number of milliseconds, if it is one. */
static bool
encode_time_unit(const AvroSchema *schema, int64 micros, bool is_millis, StringInfo out,
				 DecodeError *error)
{
	if (is_millis && micros % 1000 != 0)
		return fail_schema(schema, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE,
						   "time has microseconds, which are not in", error);
	write_long(out, is_millis ? micros / 1000 : micros);
	return true;
}

static bool
encode_interval(const AvroSchema *schema, const Interval *interval, StringInfo out,
				DecodeError *error)
{
	if (interval->month < 0 || interval->day < 0 || interval->time < 0 ||
		interval->time % 1000 != 0 || interval->time / 1000 > PG_UINT32_MAX)
		return fail_schema(schema, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE,
						   "interval is negative, or not of milliseconds, which is not in", error);
	write_bits(out, interval->month, 4);
	write_bits(out, interval->day, 4);
	write_bits(out, interval->time / 1000, 4);
	return true;
}

static bool
encode_text(const AvroSchema *schema, const char *text, int bytes, StringInfo out,
			DecodeError *error)
{
	if (schema->type == AVRO_STRING)
	{
		write_string(out, text, bytes);
		return true;
	}
	for (int i = 0; i < schema->count; i++)
		if (strlen(schema->symbols[i]) == (size_t) bytes &&
			memcmp(schema->symbols[i], text, bytes) == 0)
		{
			write_long(out, i);
			return true;
		}
	return fail_schema(schema, ERRCODE_INVALID_TEXT_REPRESENTATION, "text is no symbol of", error);
}

static bool
encode_bytes(const AvroSchema *schema, const char *data, size_t bytes, StringInfo out,
			 DecodeError *error)
{
	if (schema->type == AVRO_FIXED && bytes != schema->size)
		return fail_schema(schema, ERRCODE_STRING_DATA_LENGTH_MISMATCH,
						   "bytes are more or fewer than in", error);
	if (schema->type == AVRO_FIXED)
		appendBinaryStringInfo(out, data, (int) bytes);
	else
		write_bytes(out, data, bytes);
	return true;
}

static bool
encode_varlena(const AvroSchema *schema, Datum value, StringInfo out, DecodeError *error)
{
	struct varlena *data = PG_DETOAST_DATUM_PACKED(value);

	if (AvroNaturalType(schema) == TEXTOID)
		return encode_text(schema, VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data), out, error);
	return encode_bytes(schema, VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data), out, error);
}

/* A value of the schema's natural type. */
static bool
encode_natural(const AvroSchema *schema, Datum value, StringInfo out, DecodeError *error)
{
	bool		is_millis = schema->logical == AVRO_TIME_MILLIS ||
		schema->logical == AVRO_TIMESTAMP_MILLIS || schema->logical == AVRO_LOCAL_TIMESTAMP_MILLIS;

	switch (AvroNaturalType(schema))
	{
		case BOOLOID:
			appendStringInfoChar(out, DatumGetBool(value) ? 1 : 0);
			return true;
		case INT4OID:
			write_long(out, DatumGetInt32(value));
			return true;
		case INT8OID:
			write_long(out, DatumGetInt64(value));
			return true;
		case FLOAT4OID:
			write_float(out, DatumGetFloat4(value));
			return true;
		case FLOAT8OID:
			write_double(out, DatumGetFloat8(value));
			return true;
		case NUMERICOID:
			return encode_decimal(schema, DatumGetNumeric(value), out, error);
		case TEXTOID:
		case BYTEAOID:
			return encode_varlena(schema, value, out, error);
		case UUIDOID:
			if (schema->type == AVRO_FIXED)
				appendBinaryStringInfo(out, (char *) DatumGetUUIDP(value)->data, UUID_LEN);
			else
			{
				char	   *text = text_of(UUIDOID, value);

				write_bytes(out, text, strlen(text));
			}
			return true;
		case DATEOID:
			if (DATE_NOT_FINITE(DatumGetDateADT(value)))
				break;
			write_long(out, (int64) DatumGetDateADT(value) + EPOCH_DAYS);
			return true;
		case TIMEOID:
			return encode_time_unit(schema, DatumGetTimeADT(value), is_millis, out, error);
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			if (TIMESTAMP_NOT_FINITE(DatumGetTimestamp(value)))
				break;
			return encode_time_unit(schema,
									DatumGetTimestamp(value) + EPOCH_DAYS * USECS_PER_DAY,
									is_millis, out, error);
		case INTERVALOID:
			return encode_interval(schema, DatumGetIntervalP(value), out, error);
		default:
			elog(ERROR, "Avro %s has no natural value", AvroTypeName(schema->type));
	}
	return fail_schema(schema, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE,
					   "there is no infinity in", error);
}

/* One dimension, as arrays from Avro have. */
static bool
encode_array(const AvroSchema *schema, Oid element_type, Datum value, StringInfo out,
			 DecodeError *error)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int16		length;
	bool		byval;
	char		align;

	if (ARR_NDIM(array) > 1)
		return fail_schema(schema, ERRCODE_ARRAY_SUBSCRIPT_ERROR,
						   "array has more dimensions than", error);
	get_typlenbyvalalign(element_type, &length, &byval, &align);
	deconstruct_array(array, element_type, length, byval, align, &elements, &nulls, &count);
	if (count > 0)
		write_long(out, count);
	for (int i = 0; i < count; i++)
		if (!encode_datum(schema->items, getBaseType(element_type), elements[i], nulls[i], out,
						  error))
			return false;
	write_long(out, 0);
	return true;
}

static bool
encode_jsonb(const AvroSchema *schema, Jsonb *json, StringInfo out, DecodeError *error)
{
	JsonbValue	value;

	if (!JsonbExtractScalar(&json->root, &value))
	{
		value.type = jbvBinary;
		value.val.binary.data = &json->root;
		value.val.binary.len = VARSIZE(json) - VARHDRSZ;
	}
	return encode_json(schema, &value, out, error);
}

/* A union's branch that was chosen by its type: the natural one first, then text, then any. */
static bool
encode_branch(const AvroSchema *schema, Oid type, Datum value, StringInfo out, DecodeError *error)
{
	int			start = out->len;

	for (int pass = 0; pass < 3; pass++)
		for (int i = 0; i < schema->count; i++)
		{
			const AvroSchema *branch = schema->branches[i];

			if (branch->type == AVRO_NULL ||
				(pass == 0 && AvroNaturalType(branch) != type) ||
				(pass == 1 && branch->type != AVRO_STRING))
				continue;
			write_long(out, i);
			if (encode_datum(branch, type, value, false, out, error))
				return true;
			out->len = start;
		}
	return false;
}

static bool
encode_datum(const AvroSchema *schema, Oid type, Datum value, bool isnull, StringInfo out,
			 DecodeError *error)
{
	Oid			natural;
	int			branch = null_branch(schema);

	check_stack_depth();
	if (isnull)
	{
		if (branch >= 0)
			write_long(out, branch);
		return branch >= 0 || schema->type == AVRO_NULL || fail_null(schema, error);
	}
	if (type == JSONOID)
		return encode_jsonb(schema, DatumGetJsonbP(read_text(JSONBOID, text_of(type, value))),
							out, error);
	if (type == JSONBOID)
		return encode_jsonb(schema, DatumGetJsonbP(value), out, error);
	if (schema->type == AVRO_UNION)
	{
		AvroFail(error, ERRCODE_DATATYPE_MISMATCH, "there is nothing but null in an Avro union");
		return encode_branch(schema, type, value, out, error);
	}
	if (schema->type == AVRO_NULL)
		return fail_schema(schema, ERRCODE_DATATYPE_MISMATCH, "there are no values in", error);
	if (schema->type == AVRO_ARRAY && OidIsValid(get_element_type(type)))
		return encode_array(schema, get_element_type(type), value, out, error);
	if (schema->type == AVRO_ARRAY)
		return encode_jsonb(schema, DatumGetJsonbP(read_text(JSONBOID, text_of(type, value))),
							out, error);	/* pgvector's text is JSON */

	natural = AvroNaturalType(schema);
	if (natural == type)
		return encode_natural(schema, value, out, error);
	if ((natural == TIMESTAMPOID || natural == TIMESTAMPTZOID) && type == INT8OID)
	{
		write_long(out, DatumGetInt64(value));	/* the raw number */
		return true;
	}
	if ((natural == INTERVALOID && type == BYTEAOID) || (natural == BYTEAOID && is_text(type)))
	{
		struct varlena *data = PG_DETOAST_DATUM_PACKED(value);

		return encode_bytes(schema, VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data), out, error);
	}
	if (natural == FLOAT4OID && type == FLOAT8OID)
	{
		float8		real = DatumGetFloat8(value);

		if ((float8) (float4) real != real && !isnan(real))
			return fail_schema(schema, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
							   "number would be rounded in", error);
		write_float(out, (float4) real);
		return true;
	}
	if (is_number(natural))
		return encode_number(schema, text_to_numeric(text_of(type, value)), out, error);
	if (natural == TEXTOID)
	{
		char	   *text = text_of(type, value);

		return encode_text(schema, text, strlen(text), out, error);
	}
	return encode_natural(schema, read_text(natural, text_of(type, value)), out, error);
}

/* Has a schema, no union, a form for a JSON value?  Strings go to text first. */
static bool
has_form(const AvroSchema *schema, const JsonbValue *value, bool text_only)
{
	Oid			natural = AvroNaturalType(schema);

	switch (value->type)
	{
		case jbvNull:
			return schema->type == AVRO_NULL;
		case jbvBool:
			return natural == BOOLOID;
		case jbvNumeric:
			return is_number(natural);
		case jbvString:
			return text_only ? natural == TEXTOID :
				OidIsValid(natural) && natural != BOOLOID && schema->type < AVRO_ARRAY;
		case jbvBinary:
			if (JsonContainerIsArray(value->val.binary.data))
				return schema->type == AVRO_ARRAY;
			return schema->type == AVRO_RECORD || schema->type == AVRO_MAP;
		default:
			return false;
	}
}

static bool
encode_json_branch(const AvroSchema *schema, JsonbValue *value, StringInfo out, DecodeError *error)
{
	int			start = out->len;

	fail_schema(schema, ERRCODE_INVALID_TEXT_REPRESENTATION, "JSON fits no branch of", error);
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < schema->count; i++)
		{
			if (!has_form(schema->branches[i], value, pass == 0))
				continue;
			write_long(out, i);
			if (encode_json(schema->branches[i], value, out, error))
				return true;
			out->len = start;
		}
	return false;
}

static bool
encode_json_array(const AvroSchema *schema, JsonbContainer *array, StringInfo out,
				  DecodeError *error)
{
	JsonbIterator *iterator = JsonbIteratorInit(array);
	JsonbIteratorToken token;
	JsonbValue	item;

	if (JsonContainerSize(array) > 0)
		write_long(out, JsonContainerSize(array));
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
		if (token == WJB_ELEM && !encode_json(schema->items, &item, out, error))
			return false;
	write_long(out, 0);
	return true;
}

static bool
encode_json_map(const AvroSchema *schema, JsonbContainer *object, StringInfo out,
				DecodeError *error)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue	item;

	if (JsonContainerSize(object) > 0)
		write_long(out, JsonContainerSize(object));
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			write_string(out, item.val.string.val, item.val.string.len);
		else if (token == WJB_VALUE && !encode_json(schema->items, &item, out, error))
			return false;
	}
	write_long(out, 0);
	return true;
}

/* A field that nothing was said of. */
static void
write_default(StringInfo out, const AvroField *field)
{
	if (field->default_data != NULL)
		appendBinaryStringInfo(out, (const char *) field->default_data,
							   (int) field->default_bytes);
	else if (field->schema->type == AVRO_UNION)
		write_long(out, null_branch(field->schema));
}

static bool
encode_json_record(const AvroSchema *schema, JsonbContainer *object, StringInfo out,
				   DecodeError *error)
{
	uint32		met = 0;

	for (int i = 0; i < schema->count; i++)
	{
		const AvroField *field = &schema->fields[i];
		JsonbValue	buffer;
		JsonbValue *value = getKeyJsonValueFromContainer(object, field->name, strlen(field->name),
														 &buffer);

		if (value != NULL)
		{
			met++;
			if (!encode_json(field->schema, value, out, error))
				return false;
		}
		else if (field->default_data == NULL && null_branch(field->schema) < 0 &&
				 field->schema->type != AVRO_NULL)
			return AvroFail(error, ERRCODE_INVALID_TEXT_REPRESENTATION,
							"JSON object lacks field \"%s\" of an Avro record", field->name);
		else
			write_default(out, field);
	}
	if (met < JsonContainerSize(object))
		return fail_schema(schema, ERRCODE_INVALID_TEXT_REPRESENTATION,
						   "JSON object has members that are no fields of", error);
	return true;
}

static bool
encode_json_string(const AvroSchema *schema, const JsonbValue *value, StringInfo out,
				   DecodeError *error)
{
	Oid			natural = AvroNaturalType(schema);
	char	   *text;

	if (natural == TEXTOID)
		return encode_text(schema, value->val.string.val, value->val.string.len, out, error);
	text = pnstrdup(value->val.string.val, value->val.string.len);
	if (is_number(natural))
		return encode_number(schema, text_to_numeric(text), out, error);
	return encode_natural(schema, read_text(natural, text), out, error);
}

static bool
encode_json(const AvroSchema *schema, JsonbValue *value, StringInfo out, DecodeError *error)
{
	check_stack_depth();
	if (schema->type == AVRO_UNION)
		return encode_json_branch(schema, value, out, error);
	if (value->type == jbvNull)
		return schema->type == AVRO_NULL || fail_null(schema, error);
	if (!has_form(schema, value, false))
		return fail_schema(schema, ERRCODE_INVALID_TEXT_REPRESENTATION, "JSON is of another kind than",
						   error);
	switch (value->type)
	{
		case jbvBool:
			appendStringInfoChar(out, value->val.boolean ? 1 : 0);
			return true;
		case jbvNumeric:
			return encode_number(schema, value->val.numeric, out, error);
		case jbvString:
			return encode_json_string(schema, value, out, error);
		default:
			break;
	}
	if (schema->type == AVRO_ARRAY)
		return encode_json_array(schema, value->val.binary.data, out, error);
	if (schema->type == AVRO_MAP)
		return encode_json_map(schema, value->val.binary.data, out, error);
	return encode_json_record(schema, value->val.binary.data, out, error);
}

/* Is no column under it anything but NULL? */
static bool
is_all_null(const Part *part, const bool *isnull)
{
	if (part->column >= 0)
		return isnull[part->column];
	for (int i = 0; i < part->record->count; i++)
		if (part->fields[i] != NULL && !is_all_null(part->fields[i], isnull))
			return false;
	return true;
}

static bool
encode_part(const AvroWriter *writer, const Part *part, const Datum *values, const bool *isnull,
			StringInfo out, DecodeError *error)
{
	int			column = part->column;

	if (column >= 0)
		return encode_datum(part->schema, writer->types[column], values[column], isnull[column],
							out, error);
	if (part->schema->type == AVRO_UNION)
	{
		int			branch = null_branch(part->schema);

		if (branch >= 0 && is_all_null(part, isnull))
		{
			write_long(out, branch);
			return true;
		}
		write_long(out, other_branch(part->schema));
	}
	for (int i = 0; i < part->record->count; i++)
	{
		if (part->fields[i] == NULL)
			write_default(out, &part->record->fields[i]);
		else if (!encode_part(writer, part->fields[i], values, isnull, out, error))
		{
			char	   *reason = pstrdup(error->message);

			return AvroFail(error, error->sqlstate, "field \"%s\": %s",
							part->record->fields[i].name, reason);
		}
	}
	return true;
}

bool
AvroWriterEncode(AvroWriter *writer, const Datum *values, const bool *isnull, StringInfo out,
				 DecodeError *error)
{
	int			start = out->len;

	if (encode_part(writer, writer->root, values, isnull, out, error))
		return true;
	out->len = start;
	return false;
}
