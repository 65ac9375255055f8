/*-------------------------------------------------------------------------
 *
 * convert.c
 *		One Avro value as a value of a column's type.
 *
 * Which conversion applies is decided when the reader is made; what has no
 * conversion without loss is a mismatch there and then.  Of the promotions that
 * a declared column may ask for, those into floating point can round: here,
 * unlike in a reader's schema, a value that would be rounded is refused.  And
 * producers may come to write long what was int before a store has a version
 * with wider columns: a value that is out of range is refused.
 *
 * Locks: none.  Must not know: records, fields, defaults.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "avro/convert.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/syscache.h"

#include "avro/scalar.h"
#include "avro/to_jsonb.h"
#include "common/type_input.h"

typedef enum ConvertAction
{
	CONVERT_NONE,				/* there is no conversion */
	CONVERT_NULL,
	CONVERT_NATURAL,			/* the schema's own type */
	CONVERT_INT4,				/* from a long */
	CONVERT_INT8,				/* from an integer, or a timestamp's raw number */
	CONVERT_FLOAT4,				/* from an integer */
	CONVERT_FLOAT8,				/* from an integer or a float */
	CONVERT_INTEGER_NUMERIC,
	CONVERT_INPUT,				/* through text and the type's input function */
	CONVERT_RAW_BYTEA,			/* the bytes of a fixed */
	CONVERT_BYTES_INPUT,		/* bytes that are text in the server's encoding */
	CONVERT_JSONB,
	CONVERT_JSON,
	CONVERT_ARRAY,
	CONVERT_VECTOR,				/* through "[1,2]" and pgvector's input function */
	CONVERT_UNION
} ConvertAction;

struct AvroConvert
{
	ConvertAction action;
	const AvroPlan *plan;
	Oid			type;			/* what lies under a domain */
	int32		typmod;
	Oid			domain;			/* InvalidOid when the type is none */
	void	   *domain_cache;
	MemoryContext context;
	TypeInput	input;			/* of the three that go through text */
	AvroConvert **branches;		/* of the writer's union */
	AvroConvert *element;		/* of an array */
	int16		element_length;
	bool		element_byval;
	char		element_align;
	bool		is_floats;		/* Avro's items are PostgreSQL's elements, bit for bit */
};

static bool
is_text(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID;
}

static bool
is_vector(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	bool		found;

	if (!HeapTupleIsValid(tuple))
		return false;
	found = strcmp(NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname), "vector") == 0;
	ReleaseSysCache(tuple);
	return found;
}

static ConvertAction
number_action(const AvroSchema *schema, Oid type)
{
	bool		integer = schema->type == AVRO_INT || schema->type == AVRO_LONG;

	switch (type)
	{
		case INT4OID:
			return schema->type == AVRO_LONG ? CONVERT_INT4 : CONVERT_NONE;
		case INT8OID:
			return schema->type == AVRO_INT ? CONVERT_INT8 : CONVERT_NONE;
		case FLOAT4OID:
			return integer ? CONVERT_FLOAT4 : CONVERT_NONE;
		case FLOAT8OID:
			return integer || schema->type == AVRO_FLOAT ? CONVERT_FLOAT8 : CONVERT_NONE;
		case NUMERICOID:
			return integer ? CONVERT_INTEGER_NUMERIC : CONVERT_INPUT;
		default:
			return is_text(type) ? CONVERT_INPUT : CONVERT_NONE;
	}
}

/* The conversion of a value that is no array and no union to any type. */
static ConvertAction
choose_action(const AvroSchema *schema, Oid type)
{
	if (schema->type == AVRO_NULL)
		return CONVERT_NULL;
	if (type == JSONBOID)
		return CONVERT_JSONB;
	if (type == JSONOID)
		return CONVERT_JSON;
	if (AvroNaturalType(schema) == type)
		return CONVERT_NATURAL;
	switch (schema->logical)
	{
		case AVRO_UUID:
			if (schema->type == AVRO_STRING)
				return CONVERT_INPUT;
			/* FALLTHROUGH */
		case AVRO_DECIMAL:
		case AVRO_DATE:
		case AVRO_TIME_MILLIS:
		case AVRO_TIME_MICROS:
			return is_text(type) ? CONVERT_INPUT : CONVERT_NONE;
		case AVRO_TIMESTAMP_MILLIS:
		case AVRO_TIMESTAMP_MICROS:
		case AVRO_LOCAL_TIMESTAMP_MILLIS:
		case AVRO_LOCAL_TIMESTAMP_MICROS:
			return type == INT8OID ? CONVERT_INT8 : CONVERT_NONE;
		case AVRO_DURATION:
			return type == BYTEAOID ? CONVERT_RAW_BYTEA : CONVERT_NONE;
		case AVRO_PLAIN:
			break;
	}
	switch (schema->type)
	{
		case AVRO_BOOLEAN:
			return is_text(type) ? CONVERT_INPUT : CONVERT_NONE;
		case AVRO_INT:
		case AVRO_LONG:
		case AVRO_FLOAT:
		case AVRO_DOUBLE:
			return number_action(schema, type);
		case AVRO_STRING:
		case AVRO_ENUM:
			return CONVERT_INPUT;
		case AVRO_BYTES:
		case AVRO_FIXED:
			return is_text(type) ? CONVERT_BYTES_INPUT : CONVERT_NONE;
		default:
			return CONVERT_NONE;
	}
}

/* Are the items, nulls aside, plain numbers? */
static bool
has_number_items(const AvroPlan *plan)
{
	bool		nullable;
	const AvroSchema *items = AvroWithoutNull(plan->reader->items, &nullable);

	return items->type >= AVRO_INT && items->type <= AVRO_DOUBLE && items->logical == AVRO_PLAIN;
}

/* Is a value in Avro's little-endian bytes the value in memory? */
static bool
is_bitwise_float(const AvroConvert *convert)
{
#ifdef WORDS_BIGENDIAN
	return false;
#else
	return AvroConvertIsNatural(convert) &&
		(convert->type == FLOAT4OID || convert->type == FLOAT8OID);
#endif
}

/* Plan an array's conversion; CONVERT_NONE and *error, or without it. */
static ConvertAction
choose_array_action(AvroConvert *convert, DecodeError *error)
{
	Oid			element = get_element_type(convert->type);

	error->message[0] = '\0';
	if (convert->type == JSONBOID)
		return CONVERT_JSONB;
	if (convert->type == JSONOID)
		return CONVERT_JSON;
	if (OidIsValid(element))
	{
		convert->element = AvroConvertCreate(convert->plan->items, element, convert->typmod,
											 convert->context, error);
		if (convert->element == NULL)
			return CONVERT_NONE;
		get_typlenbyvalalign(element, &convert->element_length, &convert->element_byval,
							 &convert->element_align);
		convert->is_floats = is_bitwise_float(convert->element);
		return CONVERT_ARRAY;
	}
	if (has_number_items(convert->plan) && is_vector(convert->type))
	{
		convert->element = AvroConvertCreate(convert->plan->items, TEXTOID, -1,
											 convert->context, error);
		return convert->element != NULL ? CONVERT_VECTOR : CONVERT_NONE;
	}
	return CONVERT_NONE;
}

static bool
create_branches(AvroConvert *convert, Oid type, int32 typmod, DecodeError *error)
{
	const AvroPlan *plan = convert->plan;
	int			i;

	convert->branches = MemoryContextAllocZero(convert->context,
											   plan->writer->count * sizeof(AvroConvert *));
	for (i = 0; i < plan->writer->count; i++)
	{
		convert->branches[i] = AvroConvertCreate(plan->branches[i], type, typmod,
												 convert->context, error);
		if (convert->branches[i] == NULL)
			return false;
	}
	return true;
}

AvroConvert *
AvroConvertCreate(const AvroPlan *plan, Oid type, int32 typmod, MemoryContext context,
				  DecodeError *error)
{
	AvroConvert *convert = MemoryContextAllocZero(context, sizeof(AvroConvert));
	char		source[100];

	convert->plan = plan;
	convert->typmod = typmod;
	convert->type = getBaseTypeAndTypmod(type, &convert->typmod);
	convert->context = context;
	error->message[0] = '\0';
	if (plan->branches != NULL)
	{
		convert->action = CONVERT_UNION;
		return create_branches(convert, type, typmod, error) ? convert : NULL;
	}
	convert->domain = convert->type != type ? type : InvalidOid;
	if (plan->refusal != NULL)
		convert->action = CONVERT_NULL; /* never reached: reading it is an error */
	else if (plan->reader->type == AVRO_ARRAY)
		convert->action = choose_array_action(convert, error);
	else
		convert->action = choose_action(plan->reader, convert->type);
	switch (convert->action)
	{
		case CONVERT_NONE:
			if (error->message[0] == '\0')
				AvroFail(error, ERRCODE_DATATYPE_MISMATCH,
						 "Avro type %s does not fit type %s",
						 AvroSchemaDescribe(plan->reader, source, sizeof(source)),
						 format_type_be(type));
			return NULL;
		case CONVERT_INPUT:
		case CONVERT_BYTES_INPUT:
		case CONVERT_VECTOR:
			TypeInputInit(&convert->input, convert->type, convert->typmod, context);
			break;
		default:
			break;
	}
	return convert;
}

bool
AvroConvertIsNatural(const AvroConvert *convert)
{
	return convert->action == CONVERT_NATURAL && convert->plan->branches == NULL &&
		convert->plan->writer->type == convert->plan->reader->type &&
		!OidIsValid(convert->domain) && convert->typmod < 0;
}

static bool
check_rounding(bool exact, const AvroScalar *scalar, Oid type, DecodeError *error)
{
	if (!exact)
		return AvroFail(error, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
						"value %lld does not fit type %s without rounding",
						(long long) scalar->integer, format_type_be(type));
	return true;
}

/*
 * is_exact
 *		Is the number one that real is?
 *
 * The comparison is made in integers: in floating point it would be true of
 * what has just been rounded.  2^63 is the one value that cannot come back.
 */
static bool
is_exact(int64 number, double real)
{
	return real < 9223372036854775808.0 && (int64) real == number;
}

/* Bytes to the text that they are in the server's encoding. */
static bool
bytes_to_text(const AvroScalar *scalar, char **text, DecodeError *error)
{
	if (pg_encoding_verifymbstr(GetDatabaseEncoding(), scalar->data, (int) scalar->bytes) !=
		(int) scalar->bytes)
		return AvroFail(error, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
						"Avro bytes are not text in encoding \"%s\"", GetDatabaseEncodingName());
	*text = pnstrdup(scalar->data, scalar->bytes);
	return true;
}

static bool
convert_scalar(AvroConvert *convert, AvroCursor *cursor, Datum *value)
{
	const AvroSchema *reader = convert->plan->reader;
	DecodeError *error = cursor->error;
	AvroScalar	scalar = {0};
	char	   *text;

	if (!AvroReadScalar(convert->plan, cursor, &scalar))
		return false;
	switch (convert->action)
	{
		case CONVERT_NATURAL:
			if (!AvroScalarToDatum(reader, &scalar, value, error))
				return false;
			*value = TypeInputApplyTypmod(*value, convert->type, convert->typmod);
			return true;
		case CONVERT_INT4:
			*value = Int32GetDatum((int32) scalar.integer);
			if (scalar.integer != (int32) scalar.integer)
				return AvroFail(error, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
								"value %lld is out of range for type %s",
								(long long) scalar.integer, format_type_be(convert->type));
			return true;
		case CONVERT_INT8:
			*value = Int64GetDatum(scalar.integer);
			return true;
		case CONVERT_FLOAT4:
			*value = Float4GetDatum((float4) scalar.integer);
			return check_rounding(is_exact(scalar.integer, (float4) scalar.integer),
								  &scalar, convert->type, error);
		case CONVERT_FLOAT8:
			*value = Float8GetDatum(scalar.real);
			return check_rounding(reader->type == AVRO_FLOAT ||
								  is_exact(scalar.integer, scalar.real),
								  &scalar, convert->type, error);
		case CONVERT_INTEGER_NUMERIC:
			*value = NumericGetDatum(int64_to_numeric(scalar.integer));
			*value = TypeInputApplyTypmod(*value, convert->type, convert->typmod);
			return true;
		case CONVERT_INPUT:
			if (!AvroScalarToText(reader, &scalar, &text, error))
				return false;
			*value = TypeInputCall(&convert->input, text);
			return true;
		case CONVERT_BYTES_INPUT:
			if (!bytes_to_text(&scalar, &text, error))
				return false;
			*value = TypeInputCall(&convert->input, text);
			return true;
		case CONVERT_RAW_BYTEA:
			*value = PointerGetDatum(cstring_to_text_with_len(scalar.data, (int) scalar.bytes));
			return true;
		default:
			elog(ERROR, "Avro conversion %d is not one of a scalar", convert->action);
	}
	return false;
}

/* Items of an array as Datums; *values and *nulls are palloc'd. */
static bool
read_items(AvroConvert *convert, AvroCursor *cursor, Datum **values, bool **nulls, int *count)
{
	AvroBlocks	blocks = {0};
	int			size = 64;
	int			n = 0;

	*values = palloc(size * sizeof(Datum));
	*nulls = palloc(size * sizeof(bool));
	for (;;)
	{
		bool		more;

		if (!AvroNextItem(&blocks, cursor, &more))
			return false;
		if (!more)
			break;
		if (n == size)
		{
			if (size >= MaxArraySize / 2)
				return AvroFail(cursor->error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
								"Avro array has more than %d items", size);
			size *= 2;
			*values = repalloc(*values, size * sizeof(Datum));
			*nulls = repalloc(*nulls, size * sizeof(bool));
		}
		if (!AvroConvertRead(convert->element, cursor, &(*values)[n], &(*nulls)[n]))
			return false;
		n++;
	}
	*count = n;
	return true;
}

/*
 * convert_floats
 *		An array whose items are the bytes of its elements: an embedding.
 */
static bool
convert_floats(AvroConvert *convert, AvroCursor *cursor, Datum *value)
{
	size_t		used = ARR_OVERHEAD_NONULLS(1);
	size_t		size = used;
	ArrayType  *array = palloc(size);
	AvroBlocks	blocks = {0};

	for (;;)
	{
		const char *data;
		size_t		bytes;
		bool		more;

		if (!AvroNextItem(&blocks, cursor, &more))
			return false;
		if (!more)
			break;
		if (!AvroReadItems(&blocks, cursor, convert->element_length, &data, &bytes))
			return false;
		if (used + bytes > size)
		{
			size = used + bytes + size / 2;
			array = repalloc(array, size);
		}
		memcpy((char *) array + used, data, bytes);
		used += bytes;
	}
	if (used == ARR_OVERHEAD_NONULLS(1))
		array = construct_empty_array(convert->element->type);
	else
	{
		SET_VARSIZE(array, used);
		array->ndim = 1;
		array->dataoffset = 0;
		array->elemtype = convert->element->type;
		ARR_DIMS(array)[0] = (int) ((used - ARR_OVERHEAD_NONULLS(1)) / convert->element_length);
		ARR_LBOUND(array)[0] = 1;
	}
	*value = PointerGetDatum(array);
	return true;
}

static bool
convert_array(AvroConvert *convert, AvroCursor *cursor, Datum *value)
{
	Datum	   *values;
	bool	   *nulls;
	int			count;
	int			lower = 1;

	if (convert->is_floats)
		return convert_floats(convert, cursor, value);
	if (!read_items(convert, cursor, &values, &nulls, &count))
		return false;
	if (count == 0)
		*value = PointerGetDatum(construct_empty_array(get_element_type(convert->type)));
	else
		*value = PointerGetDatum(construct_md_array(values, nulls, 1, &count, &lower,
													get_element_type(convert->type),
													convert->element_length,
													convert->element_byval,
													convert->element_align));
	return true;
}

static bool
convert_vector(AvroConvert *convert, AvroCursor *cursor, Datum *value)
{
	StringInfoData list;
	Datum	   *values;
	bool	   *nulls;
	int			count;
	int			i;

	if (!read_items(convert, cursor, &values, &nulls, &count))
		return false;
	initStringInfo(&list);
	appendStringInfoChar(&list, '[');
	for (i = 0; i < count; i++)
	{
		if (nulls[i])
			return AvroFail(cursor->error, ERRCODE_NULL_VALUE_NOT_ALLOWED,
							"Avro array has a null, which a vector cannot hold");
		if (i > 0)
			appendStringInfoChar(&list, ',');
		appendStringInfoString(&list, TextDatumGetCString(values[i]));
	}
	appendStringInfoChar(&list, ']');
	*value = TypeInputCall(&convert->input, list.data);
	return true;
}

static bool
convert_json(AvroConvert *convert, AvroCursor *cursor, Datum *value)
{
	Jsonb	   *json;

	if (!AvroToJsonb(convert->plan, cursor, &json))
		return false;
	if (convert->action == CONVERT_JSONB)
		*value = JsonbPGetDatum(json);
	else
		*value = CStringGetTextDatum(JsonbToCString(NULL, &json->root, VARSIZE(json)));
	return true;
}

bool
AvroConvertRead(AvroConvert *convert, AvroCursor *cursor, Datum *value, bool *isnull)
{
	const AvroPlan *plan = convert->plan;
	int			branch;
	bool		ok;

	if (convert->action == CONVERT_UNION)
		return AvroReadUnion(plan->writer, cursor, &branch) &&
			AvroConvertRead(convert->branches[branch], cursor, value, isnull);
	if (plan->refusal != NULL)
		return AvroReadBranch(&plan, cursor);
	*isnull = convert->action == CONVERT_NULL;
	switch (convert->action)
	{
		case CONVERT_NULL:
			*value = (Datum) 0;
			ok = true;
			break;
		case CONVERT_ARRAY:
			ok = convert_array(convert, cursor, value);
			break;
		case CONVERT_VECTOR:
			ok = convert_vector(convert, cursor, value);
			break;
		case CONVERT_JSONB:
		case CONVERT_JSON:
			ok = convert_json(convert, cursor, value);
			break;
		default:
			ok = convert_scalar(convert, cursor, value);
			break;
	}
	if (ok && OidIsValid(convert->domain))
		domain_check(*value, *isnull, convert->domain, &convert->domain_cache, convert->context);
	return ok;
}
