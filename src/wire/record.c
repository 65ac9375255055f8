/*-------------------------------------------------------------------------
 *
 * record.c
 *		One record of a topic becomes one change: the row to put, the key of
 *		the row to delete, or what to do to some of its columns.
 *
 * A record has two sides, key and value, each with a format of its own and the
 * columns that it fills.  The decoder makes a reader for each side once.  With
 * a schema registry the writer's schema differs from record to record: the
 * record only names it, so there is a reader for each schema and side, compiled
 * when a record first needs it.  Where a schema is not known yet the caller is
 * told its id, because asking the registry means waiting, and the caller knows
 * what else can be done meanwhile.
 *
 * Values that are updates have readers of another kind.  A record can also say of
 * itself that its value is a patch, which is JSON: that is a third side.
 *
 * What is wrong with one record is a value that the caller can count and store.
 * Only what the types' input functions raise comes as an ERROR.
 *
 * Locks: none.  A decoder belongs to one backend.
 * Must not know: a table, a Kafka handle, the registry.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "wire/record.h"

#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "avro/reader.h"
#include "avro/schema.h"
#include "wire/json.h"
#include "wire/scalar_key.h"
#include "wire/text.h"

/* A newer frame, whose schema is named by a 16-byte GUID. */
#define GUID_MAGIC		1

typedef enum RecordPart
{
	PART_KEY,
	PART_VALUE,
	PART_PATCH,					/* in the value's place; its format is always JSON */
	PART_COUNT
} RecordPart;

static const char *const part_names[] = {"key", "value", "patch"};

/* What the registry said about one schema id. */
typedef struct RegisteredSchema
{
	int32		schema_id;		/* hash key */
	char	  **texts;
	int			ntexts;
	bool		refused;
	DecodeError refusal;

	/* What became of it on either side, where a record needed it */
	struct
	{
		bool		compiled;
		AvroReader *reader;		/* NULL: it does not do, as error says */
		DecodeError error;
	}			sides[PART_COUNT];
} RegisteredSchema;

typedef struct RecordSide
{
	RecordPart	part;
	WireFormat	format;			/* WIRE_VALUE: cannot be decoded */
	const char *schema;
	RecordColumn *columns;		/* that this side fills */
	int		   *positions;		/* of these among all columns */
	int			ncolumns;
	Datum	   *values;			/* of the record being decoded */
	bool	   *isnull;
	FieldWrite *fields;			/* if the side is an update, in place of these two; else NULL */

	/* One of these, by format */
	AvroReader *avro;			/* with a registry, for the schema of the last record */
	RegisteredSchema *recent;	/* that schema; NULL without a registry */
	JsonReader *json;
	ScalarKey  *scalar;
} RecordSide;

struct RecordDecoder
{
	MemoryContext context;
	int			max_record_bytes;
	int			ncolumns;
	bool		key_in_value;
	RecordSide	sides[PART_COUNT];
	HTAB	   *schemas;		/* of RegisteredSchema */
};

static void side_init(RecordSide *side, RecordPart part, const RecordFormat *format,
					  MemoryContext context);
static void side_add_column(RecordSide *side, const RecordColumn *column, int position);
static void side_add_reader(RecordSide *side, MemoryContext context);
static AvroReader *avro_reader_create(const RecordSide *side, const char *const *texts, int ntexts,
									  const char *reader_schema, MemoryContext context,
									  DecodeError *error);
static bool avro_is_record(const char *const *texts, int ntexts, const char *reader_schema);
static RegisteredSchema *schema_enter(RecordDecoder *decoder, int32 schema_id);
static RecordVerdict decode(RecordDecoder *decoder, const RawRecord *record, RecordSide *value,
							Datum *values, bool *isnull, FieldWrite *fields,
							int32 *schema_id, DecodeError *error);
static RecordVerdict side_decode(RecordDecoder *decoder, RecordSide *side,
								 const char *data, int data_bytes,
								 int32 *schema_id, DecodeError *error);
static void side_context(void *arg);
static bool avro_decode(RecordSide *side, const char *data, int data_bytes, DecodeError *error);
static bool check_keys(const RecordSide *side, DecodeError *error);
static RecordVerdict frame_read(RecordDecoder *decoder, RecordSide *side,
								const char **data, int *data_bytes,
								int32 *schema_id, DecodeError *error);
static bool frame_parse(const char *data, int data_bytes, int32 *schema_id);
static bool frame_reject(const char *part, const char *data, int data_bytes, DecodeError *error);
static void schema_compile(RecordDecoder *decoder, RecordSide *side, RegisteredSchema *schema);
static void side_give(const RecordSide *side, Datum *values, bool *isnull);
static void side_give_fields(const RecordSide *side, Datum *values, bool *isnull,
							 FieldWrite *fields);
static void describe_part(JsonbParseState **state, const char *name,
						  const char *data, int data_bytes);
static void push_string(JsonbParseState **state, JsonbIteratorToken token, const char *string,
						int string_bytes);
static void push_hex(JsonbParseState **state, JsonbIteratorToken token, const char *data,
					 int data_bytes);

RecordDecoder *
RecordDecoderCreate(const RecordFormat *format, MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	RecordDecoder *decoder = palloc0(sizeof(RecordDecoder));
	RecordSide *key = &decoder->sides[PART_KEY];
	RecordSide *value = &decoder->sides[PART_VALUE];
	RecordSide *patch = &decoder->sides[PART_PATCH];
	HASHCTL		schemas;

	decoder->context = context;
	decoder->max_record_bytes = format->max_record_bytes;
	decoder->ncolumns = format->ncolumns;
	decoder->key_in_value = format->key_format == WIRE_VALUE;
	schemas.keysize = sizeof(int32);
	schemas.entrysize = sizeof(RegisteredSchema);
	schemas.hcxt = context;
	decoder->schemas = hash_create("venice schemas", 16, &schemas,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	if (format->value_format > WIRE_JSON)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("values cannot have format \"%s\"",
						WireFormatName(format->value_format))));

	side_init(key, PART_KEY, format, context);
	side_init(value, PART_VALUE, format, context);
	side_init(patch, PART_PATCH, format, context);
	for (int i = 0; i < format->ncolumns; i++)
	{
		if (format->columns[i].name == NULL)
			continue;
		if (format->columns[i].is_key)
			side_add_column(key, &format->columns[i], i);
		else
		{
			side_add_column(patch, &format->columns[i], i);
			patch->columns[patch->ncolumns - 1].field = NULL;
		}
		if (!format->columns[i].is_key || decoder->key_in_value)
			side_add_column(value, &format->columns[i], i);
	}
	side_add_reader(key, context);
	side_add_reader(value, context);

	MemoryContextSwitchTo(caller);
	return decoder;
}

static void
side_init(RecordSide *side, RecordPart part, const RecordFormat *format, MemoryContext context)
{
	const char *schema = part == PART_KEY ? format->key_schema : format->value_schema;

	side->part = part;
	side->format = part == PART_KEY ? format->key_format : format->value_format;
	side->schema = schema != NULL ? pstrdup(schema) : NULL;
	side->columns = palloc0(sizeof(RecordColumn) * format->ncolumns);
	side->positions = palloc0(sizeof(int) * format->ncolumns);
	side->values = palloc0(sizeof(Datum) * format->ncolumns);
	side->isnull = palloc0(sizeof(bool) * format->ncolumns);
	if (part == PART_PATCH)
		side->format = WIRE_JSON;
	if (part == PART_PATCH || (part == PART_VALUE && format->write_partial))
		side->fields = palloc0(sizeof(FieldWrite) * format->ncolumns);

	/*
	 * Where the key is read from the value, a tombstone's key is written as the
	 * value would be; without a registry that would take a second schema.
	 */
	if (side->format == WIRE_VALUE && format->value_format != WIRE_AVRO)
		side->format = format->value_format;
}

static void
side_add_column(RecordSide *side, const RecordColumn *column, int position)
{
	RecordColumn *copy = &side->columns[side->ncolumns];

	*copy = *column;
	copy->name = pstrdup(column->name);
	copy->field = column->field != NULL ? pstrdup(column->field) : NULL;
	copy->not_null = column->not_null || column->is_key;
	if (column->has_default && !column->default_isnull)
	{
		int16		type_bytes;
		bool		type_byval;

		get_typlenbyval(column->type, &type_bytes, &type_byval);
		copy->default_value = datumCopy(column->default_value, type_byval, type_bytes);
	}
	side->positions[side->ncolumns++] = position;
}

/* Make what the side's format needs; raise if the format cannot fill the columns. */
static void
side_add_reader(RecordSide *side, MemoryContext context)
{
	const char *part = part_names[side->part];
	DecodeError error;

	switch (side->format)
	{
		case WIRE_CONFLUENT_AVRO:
		case WIRE_AVRO:
			if (side->schema == NULL)
			{
				if (side->format == WIRE_CONFLUENT_AVRO)
					break;
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("format \"%s\" of the %s needs a schema",
								WireFormatName(side->format), part)));
			}

			/* With a registry this reader is but a check of the reader's schema */
			side->avro = avro_reader_create(side, &side->schema, 1, NULL, context, &error);
			if (side->avro == NULL)
				ereport(ERROR,
						(errcode(error.sqlstate),
						 errmsg("Avro schema of the %s cannot be used: %s",
								part, error.message)));
			break;
		case WIRE_JSON:
			side->json = JsonReaderCreate(side->columns, side->ncolumns, part, context);
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
			side->scalar = ScalarKeyCreate(side->format, &side->columns[0], context);
			break;
		case WIRE_VALUE:
			break;
	}
}

/*
 * A reader of the side's columns, in context; NULL and *error if there can be
 * none.  A schema that is no record fills the only column, whatever its name.
 */
static AvroReader *
avro_reader_create(const RecordSide *side, const char *const *texts, int ntexts,
				   const char *reader_schema, MemoryContext context, DecodeError *error)
{
	AvroColumn *columns = palloc0(sizeof(AvroColumn) * Max(side->ncolumns, 1));
	bool		whole = side->ncolumns == 1 && !avro_is_record(texts, ntexts, reader_schema);
	AvroReader *reader;

	for (int i = 0; i < side->ncolumns; i++)
	{
		const RecordColumn *column = &side->columns[i];

		columns[i].field = column->field != NULL ? column->field : column->name;
		if (whole)
			columns[i].field = NULL;
		columns[i].type = column->type;
		columns[i].typmod = column->typmod;
		columns[i].not_null = column->not_null;
		columns[i].has_default = column->has_default;
		columns[i].default_value = column->default_value;
		columns[i].default_isnull = column->default_isnull;
	}
	if (side->fields != NULL)
		reader = AvroUpdateReaderCreate(texts, ntexts, reader_schema, columns, side->ncolumns,
										context, error);
	else
		reader = AvroReaderCreate(texts, ntexts, reader_schema, columns, side->ncolumns, context,
								  error);
	pfree(columns);
	return reader;
}

/* Has a datum, as it is read, fields?  Says yes to an invalid schema. */
static bool
avro_is_record(const char *const *texts, int ntexts, const char *reader_schema)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "venice Avro schema",
												  ALLOCSET_DEFAULT_SIZES);
	AvroNames	names = {0};
	AvroSchema *schema = NULL;
	DecodeError error;
	bool		is_record;

	for (int i = 0; i < ntexts; i++)
	{
		schema = AvroSchemaParse(texts[i], &names, scratch, &error);
		if (schema == NULL)
			break;
	}
	if (schema != NULL && reader_schema != NULL)
	{
		AvroNames	reader_names = {0};

		schema = AvroSchemaParse(reader_schema, &reader_names, scratch, &error);
	}

	is_record = schema == NULL || schema->type == AVRO_RECORD;
	if (schema != NULL && schema->type == AVRO_UNION)
	{
		for (int i = 0; i < schema->count; i++)
			is_record |= schema->branches[i]->type == AVRO_RECORD;
	}
	MemoryContextDelete(scratch);
	return is_record;
}

void
RecordDecoderAddSchema(RecordDecoder *decoder, int32 schema_id,
					   const char *const *texts, int ntexts)
{
	RegisteredSchema *schema = schema_enter(decoder, schema_id);
	MemoryContext caller;

	/* What an id stands for never changes */
	if (schema->ntexts > 0)
		return;

	caller = MemoryContextSwitchTo(decoder->context);
	schema->texts = palloc(sizeof(char *) * ntexts);
	for (int i = 0; i < ntexts; i++)
		schema->texts[i] = pstrdup(texts[i]);
	schema->ntexts = ntexts;
	schema->refused = false;
	MemoryContextSwitchTo(caller);
}

void
RecordDecoderRefuseSchema(RecordDecoder *decoder, int32 schema_id, const DecodeError *error)
{
	RegisteredSchema *schema = schema_enter(decoder, schema_id);

	if (schema->ntexts > 0)
		return;
	schema->refused = true;
	schema->refusal = *error;
}

static RegisteredSchema *
schema_enter(RecordDecoder *decoder, int32 schema_id)
{
	RegisteredSchema *schema;
	bool		found;

	schema = hash_search(decoder->schemas, &schema_id, HASH_ENTER, &found);
	if (!found)
	{
		memset(schema, 0, sizeof(RegisteredSchema));
		schema->schema_id = schema_id;
	}
	return schema;
}

RecordVerdict
RecordDecode(RecordDecoder *decoder, const RawRecord *record, Datum *values, bool *isnull,
			 int32 *schema_id, DecodeError *error)
{
	Assert(decoder->sides[PART_VALUE].fields == NULL);
	return decode(decoder, record, &decoder->sides[PART_VALUE], values, isnull, NULL, schema_id,
				  error);
}

RecordVerdict
RecordDecodeWrite(RecordDecoder *decoder, const RawRecord *record, Datum *values, bool *isnull,
				  FieldWrite *fields, int32 *schema_id, DecodeError *error)
{
	RecordSide *value = &decoder->sides[record->is_patch ? PART_PATCH : PART_VALUE];
	RecordVerdict verdict;

	/* Most decoders never meet one. */
	if (record->is_patch && value->json == NULL)
		side_add_reader(value, decoder->context);
	verdict = decode(decoder, record, value, values, isnull, fields, schema_id, error);
	for (int i = 0; verdict == RECORD_PUT && i < decoder->ncolumns; i++)
	{
		memset(&fields[i], 0, sizeof(FieldWrite));
		fields[i].change = FIELD_SET;
		fields[i].value = values[i];
		fields[i].isnull = isnull[i];
	}
	return verdict;
}

/* The value side is the value's or the patch's. */
static RecordVerdict
decode(RecordDecoder *decoder, const RawRecord *record, RecordSide *value, Datum *values,
	   bool *isnull, FieldWrite *fields, int32 *schema_id, DecodeError *error)
{
	RecordSide *key = &decoder->sides[PART_KEY];
	bool		key_in_value = decoder->key_in_value && value->part == PART_VALUE;
	bool		tombstone = record->value_bytes < 0;
	int64		record_bytes = (int64) Max(record->key_bytes, 0) + Max(record->value_bytes, 0);
	RecordVerdict verdict;

	if (record_bytes > decoder->max_record_bytes)
	{
		WireReject(error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				   "record of " INT64_FORMAT " bytes is larger than max_record_bytes (%d)",
				   record_bytes, decoder->max_record_bytes);
		return RECORD_REJECTED;
	}

	if (tombstone || !key_in_value)
	{
		if (record->key_bytes < 0)
		{
			WireReject(error, ERRCODE_NOT_NULL_VIOLATION, "%s has no key",
					   tombstone ? "tombstone" : "record");
			return RECORD_REJECTED;
		}
		verdict = side_decode(decoder, key, record->key, record->key_bytes, schema_id, error);
		if (verdict != RECORD_PUT)
			return verdict;
	}

	if (tombstone)
	{
		memset(values, 0, sizeof(Datum) * decoder->ncolumns);
		memset(isnull, true, sizeof(bool) * decoder->ncolumns);
		side_give(key, values, isnull);
		return RECORD_DELETE;
	}

	verdict = side_decode(decoder, value, record->value, record->value_bytes, schema_id, error);
	if (verdict != RECORD_PUT)
		return verdict;
	if (!key_in_value)
		side_give(key, values, isnull);
	if (value->fields != NULL)
	{
		side_give_fields(value, values, isnull, fields);
		return RECORD_UPDATE;
	}
	side_give(value, values, isnull);
	return RECORD_PUT;
}

/* Fill the side's own values.  RECORD_PUT is success. */
static RecordVerdict
side_decode(RecordDecoder *decoder, RecordSide *side, const char *data, int data_bytes,
			int32 *schema_id, DecodeError *error)
{
	ErrorContextCallback context;
	RecordVerdict verdict = RECORD_PUT;
	bool		decoded = false;

	context.callback = side_context;
	context.arg = side;
	context.previous = error_context_stack;
	error_context_stack = &context;

	switch (side->format)
	{
		case WIRE_CONFLUENT_AVRO:
			verdict = frame_read(decoder, side, &data, &data_bytes, schema_id, error);
			if (verdict != RECORD_PUT)
				break;
			/* fall through */
		case WIRE_AVRO:
			decoded = avro_decode(side, data, data_bytes, error);
			break;
		case WIRE_JSON:
			if (side->fields != NULL)
				decoded = JsonReaderDecodeUpdate(side->json, data, data_bytes, side->fields, error);
			else
				decoded = JsonReaderDecode(side->json, data, data_bytes, side->values,
										   side->isnull, error);
			break;
		case WIRE_TEXT:
		case WIRE_INT4:
		case WIRE_INT8:
		case WIRE_UUID:
			decoded = ScalarKeyDecode(side->scalar, data, data_bytes, &side->values[0], error);
			break;
		case WIRE_VALUE:
			WireReject(error, ERRCODE_FEATURE_NOT_SUPPORTED,
					   "key of a tombstone or a patch cannot be decoded where keys are read from values of format \"avro\"");
			break;
	}

	error_context_stack = context.previous;
	if (verdict == RECORD_PUT && !decoded)
		verdict = RECORD_REJECTED;
	return verdict;
}

/* For what an input function raises. */
static void
side_context(void *arg)
{
	const RecordSide *side = arg;

	if (side->recent != NULL)
		errcontext("%s of the record, with schema %d", part_names[side->part],
				   side->recent->schema_id);
	else
		errcontext("%s of the record", part_names[side->part]);
}

static bool
avro_decode(RecordSide *side, const char *data, int data_bytes, DecodeError *error)
{
	DecodeError reason;

	if (side->fields != NULL)
	{
		if (AvroUpdateReaderDecode(side->avro, data, data_bytes, side->fields, &reason))
			return check_keys(side, error);
	}
	else if (AvroReaderDecode(side->avro, data, data_bytes, side->values, side->isnull, &reason))
		return true;
	if (side->recent != NULL)
		return WireReject(error, reason.sqlstate, "%s with schema %d: %s",
						  part_names[side->part], side->recent->schema_id, reason.message);
	return WireReject(error, reason.sqlstate, "%s: %s", part_names[side->part], reason.message);
}

/* Keys in a value that is an update are there, and are not updated. */
static bool
check_keys(const RecordSide *side, DecodeError *error)
{
	for (int i = 0; i < side->ncolumns; i++)
	{
		const RecordColumn *column = &side->columns[i];

		if (!column->is_key || side->fields[i].change == FIELD_SET)
			continue;
		if (side->fields[i].change == FIELD_KEEP)
			return WireReject(error, ERRCODE_NOT_NULL_VIOLATION,
							  "column \"%s\" is not null, but the %s has no value for it",
							  column->name, part_names[side->part]);
		return WireReject(error, ERRCODE_INVALID_PARAMETER_VALUE, "column \"%s\" is a key",
						  column->name);
	}
	return true;
}

/*
 * Take the frame off and make the side's reader the one for its schema.
 * RECORD_PUT is success.
 */
static RecordVerdict
frame_read(RecordDecoder *decoder, RecordSide *side, const char **data, int *data_bytes,
		   int32 *schema_id, DecodeError *error)
{
	RegisteredSchema *schema = side->recent;
	int32		id;

	if (!frame_parse(*data, *data_bytes, &id))
	{
		frame_reject(part_names[side->part], *data, *data_bytes, error);
		return RECORD_REJECTED;
	}

	if (schema == NULL || schema->schema_id != id)
		schema = hash_search(decoder->schemas, &id, HASH_FIND, NULL);
	if (schema == NULL)
	{
		*schema_id = id;
		return RECORD_NEEDS_SCHEMA;
	}
	side->recent = schema;
	if (schema->refused)
	{
		*error = schema->refusal;
		return RECORD_REJECTED;
	}
	if (!schema->sides[side->part].compiled)
		schema_compile(decoder, side, schema);

	side->avro = schema->sides[side->part].reader;
	if (side->avro == NULL)
	{
		*error = schema->sides[side->part].error;
		return RECORD_REJECTED;
	}
	*data += CONFLUENT_FRAME_BYTES;
	*data_bytes -= CONFLUENT_FRAME_BYTES;
	return RECORD_PUT;
}

static bool
frame_parse(const char *data, int data_bytes, int32 *schema_id)
{
	uint32		id;

	if (data_bytes < CONFLUENT_FRAME_BYTES || data[0] != CONFLUENT_FRAME_MAGIC)
		return false;
	memcpy(&id, data + 1, sizeof(id));
	*schema_id = (int32) pg_ntoh32(id);
	return true;
}

/* Say what was found instead of a frame, and what would make it readable. */
static bool
frame_reject(const char *part, const char *data, int data_bytes, DecodeError *error)
{
	unsigned char first;

	if (data_bytes == 0)
		return WireReject(error, ERRCODE_INVALID_BINARY_REPRESENTATION,
						  "%s is empty, which is neither a Confluent frame nor null", part);
	first = data[0];
	if (first == CONFLUENT_FRAME_MAGIC)
		return WireReject(error, ERRCODE_INVALID_BINARY_REPRESENTATION,
						  "%s of %d bytes is too short for a Confluent frame", part, data_bytes);
	if (first == GUID_MAGIC && data_bytes >= 1 + 16)
		return WireReject(error, ERRCODE_INVALID_BINARY_REPRESENTATION,
						  "%s begins with byte 1, not with a Confluent frame's byte 0: "
						  "schema GUIDs are not supported, have the producer write schema ids, "
						  "or use format \"avro\" if this is Avro without a frame", part);
	if (first == '{' || first == '[' || first == '"')
		return WireReject(error, ERRCODE_INVALID_BINARY_REPRESENTATION,
						  "%s begins with \"%c\", not with a Confluent frame's byte 0: "
						  "if it is JSON, use format \"json\"", part, first);
	return WireReject(error, ERRCODE_INVALID_BINARY_REPRESENTATION,
					  "%s begins with byte %d, not with a Confluent frame's byte 0: "
					  "if it is Avro without a frame, use format \"avro\"; if the schema's id is "
					  "in a header, have the producer write it into the %s", part, first, part);
}

/* In a context of its own, so that an attempt that fails leaves nothing behind. */
static void
schema_compile(RecordDecoder *decoder, RecordSide *side, RegisteredSchema *schema)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "venice schema",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	DecodeError error;
	AvroReader *reader;

	reader = avro_reader_create(side, (const char *const *) schema->texts, schema->ntexts,
								side->schema, context, &error);
	MemoryContextSwitchTo(caller);

	if (reader != NULL)
		MemoryContextSetParent(context, decoder->context);
	else
	{
		WireReject(&schema->sides[side->part].error, error.sqlstate,
				   "schema %d of the %s cannot be used: %s", schema->schema_id,
				   part_names[side->part], error.message);
		MemoryContextDelete(context);
	}
	schema->sides[side->part].reader = reader;
	schema->sides[side->part].compiled = true;
}

static void
side_give(const RecordSide *side, Datum *values, bool *isnull)
{
	for (int i = 0; i < side->ncolumns; i++)
	{
		values[side->positions[i]] = side->values[i];
		isnull[side->positions[i]] = side->isnull[i];
	}
}

/* The same of an update; its keys are values. */
static void
side_give_fields(const RecordSide *side, Datum *values, bool *isnull, FieldWrite *fields)
{
	for (int i = 0; i < side->ncolumns; i++)
	{
		int			position = side->positions[i];

		if (side->columns[i].is_key)
		{
			values[position] = side->fields[i].value;
			isnull[position] = side->fields[i].isnull;
		}
		else
			fields[position] = side->fields[i];
	}
}

Jsonb *
RecordDescribe(const RawRecord *record)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	describe_part(&state, "key", record->key, record->key_bytes);
	describe_part(&state, "value", record->value, record->value_bytes);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static void
describe_part(JsonbParseState **state, const char *name, const char *data, int data_bytes)
{
	JsonbValue	value;
	DecodeError ignored;
	int32		schema_id;
	Jsonb	   *json;

	push_string(state, WJB_KEY, name, strlen(name));
	if (data_bytes < 0)
	{
		value.type = jbvNull;
		pushJsonbValue(state, WJB_VALUE, &value);
	}
	else if (WireTextToServer(&data, &data_bytes, name, &ignored))
	{
		json = JsonTextToJsonb(data, data_bytes);
		if (json == NULL)
		{
			push_string(state, WJB_VALUE, data, data_bytes);
			return;
		}
		value.type = jbvBinary;
		value.val.binary.data = &json->root;
		value.val.binary.len = VARSIZE_ANY_EXHDR(json);
		pushJsonbValue(state, WJB_VALUE, &value);
	}
	else if (frame_parse(data, data_bytes, &schema_id) && schema_id > 0)
	{
		pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
		push_string(state, WJB_KEY, "schema_id", strlen("schema_id"));
		value.type = jbvNumeric;
		value.val.numeric = int64_to_numeric(schema_id);
		pushJsonbValue(state, WJB_VALUE, &value);
		push_string(state, WJB_KEY, "bytes", strlen("bytes"));
		push_hex(state, WJB_VALUE, data + CONFLUENT_FRAME_BYTES,
				 data_bytes - CONFLUENT_FRAME_BYTES);
		pushJsonbValue(state, WJB_END_OBJECT, NULL);
	}
	else
		push_hex(state, WJB_VALUE, data, data_bytes);
}

/* The string is not copied. */
static void
push_string(JsonbParseState **state, JsonbIteratorToken token, const char *string,
			int string_bytes)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, string);
	value.val.string.len = string_bytes;
	pushJsonbValue(state, token, &value);
}

/* Bytes as bytea is written. */
static void
push_hex(JsonbParseState **state, JsonbIteratorToken token, const char *data, int data_bytes)
{
	char	   *hex = palloc(2 + (Size) data_bytes * 2);

	memcpy(hex, "\\x", 2);
	push_string(state, token, hex, 2 + hex_encode(data, data_bytes, hex + 2));
}
