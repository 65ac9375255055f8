/*-------------------------------------------------------------------------
 *
 * encode.c
 *		One change of a row becomes the bytes of a Kafka record.
 *
 * The inverse of record.c: a record has a key and a value, each with a format and the
 * columns that it holds.  Where the key columns are read from the value, they are in both,
 * so that records of one key go to one partition.
 *
 * Locks: none.
 * Must not know: a table, a Kafka handle, where schemas' ids come from.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "wire/encode.h"

#include <ctype.h>

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

#include "avro/encode.h"
#include "common/compat.h"
#include "common/exact_text.h"
#include "common/json_input.h"
#include "wire/to_json.h"

typedef struct EncodeSide
{
	const char *part;			/* "key", "value" */
	WireFormat	format;
	const char *schema;
	int32		schema_id;
	int			ncolumns;
	int			optional;		/* the first so many need not be in a schema */
	int		   *positions;		/* of its columns among all */
	const RecordColumn **columns;
	TupleDesc	descriptor;
	bool		has_paths;
	AvroWriter *avro;
	Datum	   *values;			/* of the row being written */
	bool	   *isnull;
} EncodeSide;

struct RecordEncoder
{
	EncodeSide	key;
	EncodeSide	value;
	bool		key_is_lost;	/* nobody could read it where there is no value */
};

/* The side's columns; keys come first. */
static void
side_init(EncodeSide *side, const RecordFormat *format, bool is_key)
{
	bool		key_in_value = format->key_format == WIRE_VALUE;

	memset(side, 0, sizeof(EncodeSide));
	side->part = is_key ? "key" : "value";
	side->format = is_key ? format->key_format : format->value_format;
	side->schema = is_key ? format->key_schema : format->value_schema;
	/* Of plain Avro there is one schema, that of values: the key only says where a row belongs. */
	if (is_key && key_in_value)
		side->format = format->value_format == WIRE_AVRO ? WIRE_JSON : format->value_format;
	side->positions = palloc(format->ncolumns * sizeof(int));
	side->columns = palloc(format->ncolumns * sizeof(RecordColumn *));
	side->values = palloc(format->ncolumns * sizeof(Datum));
	side->isnull = palloc(format->ncolumns * sizeof(bool));
	for (int keys = 1; keys >= 0; keys--)
		for (int i = 0; i < format->ncolumns; i++)
		{
			const RecordColumn *column = &format->columns[i];

			if (column->is_key != (keys == 1) || (is_key && !column->is_key) ||
				(!is_key && column->is_key && !key_in_value && side->format == WIRE_JSON))
				continue;
			/* A schema of values may have the keys, too. */
			if (!is_key && column->is_key && !key_in_value)
				side->optional++;
			side->columns[side->ncolumns] = column;
			side->positions[side->ncolumns++] = i;
			side->has_paths |= column->field != NULL && strcmp(column->field, column->name) != 0;
		}
	side->descriptor = CreateTemplateTupleDesc(side->ncolumns);
	for (int i = 0; i < side->ncolumns; i++)
		TupleDescInitEntry(side->descriptor, i + 1, side->columns[i]->name,
						   side->columns[i]->type, side->columns[i]->typmod, 0);
}

static AvroWriter *
make_writer(const EncodeSide *side, const char *schema, MemoryContext context, DecodeError *error)
{
	AvroColumn *columns = palloc0(Max(side->ncolumns, 1) * sizeof(AvroColumn));

	for (int i = 0; i < side->ncolumns; i++)
	{
		const RecordColumn *column = side->columns[i];

		columns[i].field = column->field != NULL ? column->field : column->name;
		columns[i].type = column->type;
		columns[i].typmod = column->typmod;
	}
	return AvroWriterCreate(schema, columns, side->ncolumns, side->optional, context, error);
}

static void
side_add_writer(EncodeSide *side, MemoryContext context)
{
	DecodeError error;

	switch (side->format)
	{
		case WIRE_CONFLUENT_AVRO:
		case WIRE_AVRO:
			side->avro = make_writer(side, side->schema, context, &error);
			if (side->avro == NULL)
				ereport(ERROR,
						(errcode(error.sqlstate),
						 errmsg("Avro schema of the %s cannot be written: %s", side->part,
								error.message)));
			break;
		case WIRE_TEXT:
		case WIRE_INT4:
		case WIRE_INT8:
		case WIRE_UUID:
			if (side->ncolumns != 1)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("key format \"%s\" needs a key of exactly one column",
								WireFormatName(side->format))));
			break;
		case WIRE_JSON:
		case WIRE_VALUE:
			break;
	}
}

RecordEncoder *
RecordEncoderCreate(const RecordFormat *format, int32 key_schema_id, int32 value_schema_id,
					MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	RecordEncoder *encoder = palloc0(sizeof(RecordEncoder));

	side_init(&encoder->key, format, true);
	side_init(&encoder->value, format, false);
	encoder->key.schema_id = key_schema_id;
	encoder->value.schema_id = value_schema_id;
	side_add_writer(&encoder->key, context);
	side_add_writer(&encoder->value, context);
	encoder->key_is_lost = format->key_format == WIRE_VALUE && format->value_format == WIRE_AVRO;
	MemoryContextSwitchTo(old);
	return encoder;
}

static void
append_text(StringInfo out, const char *text)
{
	appendStringInfoString(out, pg_server_to_any(text, strlen(text), PG_UTF8));
}

static JsonbValue *push_object(JsonbParseState **state, const EncodeSide *side, const Jsonb *row,
							   const int *columns, const char *const *paths, int count);

/* What is under one name: a column's value, or an object of what has longer paths. */
static void
push_member(JsonbParseState **state, const EncodeSide *side, const Jsonb *row, const int *columns,
			const char *const *paths, int count)
{
	JsonbValue	buffer;

	if (paths[0][0] != '\0')
	{
		(void) push_object(state, side, row, columns, paths, count);
		return;
	}
	if (count > 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("several columns are written to field \"%s\"",
						side->columns[columns[0]]->field)));
	pushJsonbValue(state, WJB_VALUE,
				   getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &row->root),
												side->columns[columns[0]]->name,
												strlen(side->columns[columns[0]]->name), &buffer));
}

/* An object of some columns, by what is left of their paths. */
static JsonbValue *
push_object(JsonbParseState **state, const EncodeSide *side, const Jsonb *row, const int *columns,
			const char *const *paths, int count)
{
	bool	   *done = palloc0(count * sizeof(bool));
	int		   *under = palloc(count * sizeof(int));
	const char **rests = palloc(count * sizeof(char *));

	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < count; i++)
	{
		/* A column's own name is one name, dots and all. */
		bool		is_path = side->columns[columns[i]]->field != NULL;
		size_t		bytes = is_path ? strcspn(paths[i], ".") : strlen(paths[i]);
		int			found = 0;

		if (done[i])
			continue;
		for (int j = i; j < count; j++)
			if (strncmp(paths[j], paths[i], bytes) == 0 &&
				(paths[j][bytes] == '\0' || (paths[j][bytes] == '.' && is_path)))
			{
				done[j] = true;
				under[found] = columns[j];
				rests[found++] = paths[j] + bytes + (paths[j][bytes] == '.');
			}
		JsonbPushString(state, WJB_KEY, pnstrdup(paths[i], bytes));
		push_member(state, side, row, under, rests, found);
	}
	return pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

/* A row as columns to fields. */
static Jsonb *
arrange(const EncodeSide *side, const Jsonb *row)
{
	JsonbParseState *state = NULL;
	int		   *columns = palloc(side->ncolumns * sizeof(int));
	const char **paths = palloc(side->ncolumns * sizeof(char *));

	for (int i = 0; i < side->ncolumns; i++)
	{
		columns[i] = i;
		paths[i] = side->columns[i]->field != NULL ? side->columns[i]->field :
			side->columns[i]->name;
	}
	return JsonbValueToJsonb(push_object(&state, side, row, columns, paths, side->ncolumns));
}

static void
encode_json(const EncodeSide *side, StringInfo out)
{
	Jsonb	   *row;

	if (!side->has_paths)
	{
		append_text(out, ColumnsToJsonText(side->descriptor, 0, side->ncolumns, side->values,
										   side->isnull));
		return;
	}
	row = arrange(side, ColumnsToJson(side->descriptor, 0, side->ncolumns, side->values,
									  side->isnull));
	append_text(out, JsonbToCString(NULL, &row->root, VARSIZE(row)));
}

/* As Kafka's own serializers write a key. */
static void
encode_scalar(const EncodeSide *side, StringInfo out)
{
	bool		is_varlena;
	Oid			function;
	char	   *text;

	getTypeOutputInfo(side->columns[0]->type, &function, &is_varlena);
	text = OidOutputFunctionCall(function, side->values[0]);
	if (side->format == WIRE_INT4)
	{
		uint32		bits = pg_hton32(DatumGetInt32(DirectFunctionCall1(int4in,
																	   CStringGetDatum(text))));

		appendBinaryStringInfo(out, (char *) &bits, sizeof(bits));
	}
	else if (side->format == WIRE_INT8)
	{
		uint64		bits = pg_hton64(DatumGetInt64(DirectFunctionCall1(int8in,
																	   CStringGetDatum(text))));

		appendBinaryStringInfo(out, (char *) &bits, sizeof(bits));
	}
	else if (side->format == WIRE_UUID)
	{
		Datum		uuid = DirectFunctionCall1(uuid_in, CStringGetDatum(text));

		appendStringInfoString(out, DatumGetCString(DirectFunctionCall1(uuid_out, uuid)));
	}
	else
		append_text(out, text);
}

static void
encode_avro(const EncodeSide *side, StringInfo out)
{
	DecodeError error;

	if (!AvroWriterEncode(side->avro, side->values, side->isnull, out, &error))
		ereport(ERROR,
				(errcode(error.sqlstate),
				 errmsg("%s cannot be written to the topic: %s", side->part, error.message)));
}

static void
encode_side(EncodeSide *side, const Datum *values, const bool *isnull, StringInfo out)
{
	int			nest_level = ExactTextBegin();

	for (int i = 0; i < side->ncolumns; i++)
	{
		side->values[i] = values[side->positions[i]];
		side->isnull[i] = isnull[side->positions[i]];
	}
	switch (side->format)
	{
		case WIRE_CONFLUENT_AVRO:
			appendStringInfoSpaces(out, CONFLUENT_FRAME_BYTES);
			out->data[out->len - CONFLUENT_FRAME_BYTES] = CONFLUENT_FRAME_MAGIC;
			RecordFrameFill(out->data + out->len - CONFLUENT_FRAME_BYTES, Max(side->schema_id, 0));
			encode_avro(side, out);
			break;
		case WIRE_AVRO:
			encode_avro(side, out);
			break;
		case WIRE_JSON:
			encode_json(side, out);
			break;
		default:
			encode_scalar(side, out);
	}
	ExactTextEnd(nest_level);
}

void
RecordEncodeKey(RecordEncoder *encoder, const Datum *values, const bool *isnull, bool is_put,
				StringInfo out)
{
	if (encoder->key_is_lost && !is_put)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("rows whose keys are read from values of format \"avro\" can only be put"),
				 errdetail("A deletion or an update has no value, and its key has no schema.")));
	encode_side(&encoder->key, values, isnull, out);
}

void
RecordEncodeValue(RecordEncoder *encoder, const Datum *values, const bool *isnull, StringInfo out)
{
	encode_side(&encoder->value, values, isnull, out);
}

bool
RecordKeyIsFramed(const RecordEncoder *encoder)
{
	return encoder->key.format == WIRE_CONFLUENT_AVRO;
}

void
RecordEncodePatch(const Jsonb *patch, StringInfo out)
{
	append_text(out, JsonbToCString(NULL, unconstify(JsonbContainer *, &patch->root),
									VARSIZE(patch)));
}

void
RecordFrameFill(char *frame, int32 schema_id)
{
	uint32		bits = pg_hton32((uint32) schema_id);

	memcpy(frame + 1, &bits, sizeof(bits));
}

bool
RecordSchemaFits(const RecordFormat *format, bool is_key, const char *schema)
{
	EncodeSide	side;
	DecodeError error;

	side_init(&side, format, is_key);
	return make_writer(&side, schema, CurrentMemoryContext, &error) != NULL;
}

/* The Avro type that says most of a type, as JSON. */
static char *
avro_type(Oid type, int32 typmod)
{
	Oid			element;

	type = getBaseTypeAndTypmod(type, &typmod);
	element = get_element_type(type);
	if (OidIsValid(element))
	{
		char	   *items = avro_type(element, typmod);

		return items == NULL ? NULL :
			psprintf("{\"type\":\"array\",\"items\":[\"null\",%s]}", items);
	}
	switch (type)
	{
		case BOOLOID:
			return "\"boolean\"";
		case INT2OID:
		case INT4OID:
			return "\"int\"";
		case INT8OID:
			return "\"long\"";
		case FLOAT4OID:
			return "\"float\"";
		case FLOAT8OID:
			return "\"double\"";
		case BYTEAOID:
			return "\"bytes\"";
		case UUIDOID:
			return "{\"type\":\"string\",\"logicalType\":\"uuid\"}";
		case DATEOID:
			return "{\"type\":\"int\",\"logicalType\":\"date\"}";
		case TIMEOID:
			return "{\"type\":\"long\",\"logicalType\":\"time-micros\"}";
		case TIMESTAMPTZOID:
			return "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}";
		case TIMESTAMPOID:
			return "{\"type\":\"long\",\"logicalType\":\"local-timestamp-micros\"}";
		case JSONOID:
		case JSONBOID:
			return NULL;		/* a string would come back as one */
		default:
			return "\"string\"";
	}
}

static bool
is_avro_name(const char *name)
{
	if (!isalpha((unsigned char) *name) && *name != '_')
		return false;
	for (const char *c = name; *c != '\0'; c++)
		if ((!isalnum((unsigned char) *c) && *c != '_') || IS_HIGHBIT_SET(*c))
			return false;
	return true;
}

pg_noreturn static void
refuse_column(const RecordColumn *column, const char *reason)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("no Avro schema can be made for column \"%s\"", column->name),
			 errdetail("%s", reason),
			 errhint("Make the store from Avro schemas, make one known with venice.register_value_schema(), or use the format \"json\".")));
	pg_unreachable();
}

char *
RecordSchemaMake(const RecordFormat *format, bool is_key, const char *store)
{
	EncodeSide	side;
	StringInfoData schema;

	side_init(&side, format, is_key);
	initStringInfo(&schema);
	appendStringInfo(&schema, "{\"type\":\"record\",\"name\":\"%s_%s\",\"namespace\":\"venice\",\"fields\":[",
					 is_avro_name(store) ? store : "row", side.part);
	for (int i = side.optional; i < side.ncolumns; i++)
	{
		const RecordColumn *column = side.columns[i];
		const char *name = column->field != NULL ? column->field : column->name;
		char	   *type = avro_type(column->type, column->typmod);

		if (type == NULL)
			refuse_column(column, "JSON has no type in Avro.");
		if (is_key && side.ncolumns == 1 && format->key_format != WIRE_VALUE)
			return type;
		if (!is_avro_name(name))
			refuse_column(column, "Its field would have a name that Avro does not have.");
		appendStringInfo(&schema, "%s{\"name\":\"%s\",\"type\":", i > side.optional ? "," : "",
						 name);
		if (column->is_key || column->not_null)
			appendStringInfo(&schema, "%s}", type);
		else
			appendStringInfo(&schema, "[\"null\",%s],\"default\":null}", type);
	}
	appendStringInfoString(&schema, "]}");
	return schema.data;
}
