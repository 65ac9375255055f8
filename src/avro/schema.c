/*-------------------------------------------------------------------------
 *
 * schema.c
 *		Parses an Avro schema and encodes its defaults.
 *
 * A default is turned into Avro bytes here, once, so that everything behind
 * this file meets one kind of data only.  Defaults are encoded when the whole
 * text has been read, because they may be of types that the text completes
 * later.  One that does not suit its type is kept as such: it spoils nothing
 * until a reader needs it, and registries are full of old schemas.
 *
 * Where the specification is silent or stricter than the world: a name without
 * a dot that is not found in the enclosing namespace is looked up without one,
 * as Java does, whose own output needs it; and a text may define again what an
 * earlier text of its scope defines.
 *
 * Memory: the JSON tree is freed before returning.  In the server an
 * allocation that fails raises an error past it and leaks it; the limit on the
 * length of a text bounds that.
 *
 * Must not know: the server.
 *
 *-------------------------------------------------------------------------
 */
#include "avro/core.h"

#include "avro/schema.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

/* Values visited while encoding one default: defaults can nest in defaults. */
#define MAX_DEFAULT_VALUES	65536
#define MAX_DEFAULT_BYTES	AVRO_MAX_SCHEMA_BYTES

/* A default that waits until its text is complete. */
typedef struct PendingDefault
{
	struct PendingDefault *next;
	AvroField  *field;
	const json_t *json;
} PendingDefault;

typedef struct Parser
{
	AvroNames  *names;
	int			first_name;		/* of this text, in names */
	PendingDefault *pending;
	PendingDefault **pending_tail;
	AvroArena  *arena;
	DecodeError *error;
} Parser;

typedef struct Encoder
{
	unsigned char *data;
	size_t		bytes;
	size_t		size;
	int			values;
	AvroArena  *arena;
} Encoder;

static const char *const type_names[] = {
	"null", "boolean", "int", "long", "float", "double", "bytes", "string",
	"array", "map", "union", "record", "enum", "fixed"
};

static const char *const logical_names[] = {
	"", "decimal", "uuid", "date", "time-millis", "time-micros",
	"timestamp-millis", "timestamp-micros",
	"local-timestamp-millis", "local-timestamp-micros", "duration"
};

static AvroSchema *parse_schema(Parser *parser, const json_t *json, const char *space, int depth);
static bool encode_default(Encoder *encoder, const AvroSchema *schema, const json_t *json,
						   int depth);

/*
 * AvroFail
 *		Fill *error; always false.
 *
 * What is quoted in the message may come from anywhere: bytes beyond ASCII
 * are masked, so that it can be stored in any encoding.
 */
bool
AvroFail(DecodeError *error, int sqlstate, const char *format,...)
{
	va_list		args;
	char	   *c;

	error->sqlstate = sqlstate;
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	for (c = error->message; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return false;
}

/* A JSON string without NULs, or NULL. */
static const char *
json_text(const json_t *json)
{
	const char *text = json_string_value(json);

	return text != NULL && strlen(text) == json_string_length(json) ? text : NULL;
}

static char *
copy_text(AvroArena *arena, const char *text, size_t bytes)
{
	char	   *copy = AvroAlloc(arena, bytes + 1);

	memcpy(copy, text, bytes);
	return copy;
}

static bool
is_name(const char *text, size_t bytes)
{
	size_t		i;

	for (i = 0; i < bytes; i++)
	{
		char		c = text[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
			  (i > 0 && c >= '0' && c <= '9')))
			return false;
	}
	return bytes > 0;
}

static bool
is_full_name(const char *text)
{
	for (;;)
	{
		size_t		bytes = strcspn(text, ".");

		if (!is_name(text, bytes))
			return false;
		if (text[bytes] == '\0')
			return true;
		text += bytes + 1;
	}
}

/* A name as it is meant in a namespace; NULL is the null namespace. */
static char *
qualify(AvroArena *arena, const char *name, const char *space)
{
	size_t		space_bytes;
	char	   *full;

	if (space == NULL || strchr(name, '.') != NULL)
		return copy_text(arena, name, strlen(name));
	space_bytes = strlen(space);
	full = AvroAlloc(arena, space_bytes + strlen(name) + 2);
	memcpy(full, space, space_bytes);
	full[space_bytes] = '.';
	strcpy(full + space_bytes + 1, name);
	return full;
}

static bool
primitive_type(const char *name, AvroType *type)
{
	int			i;

	for (i = AVRO_NULL; i <= AVRO_STRING; i++)
	{
		if (strcmp(name, type_names[i]) == 0)
		{
			*type = (AvroType) i;
			return true;
		}
	}
	return false;
}

static bool
count_nodes(Parser *parser, size_t nodes)
{
	if (nodes > (size_t) (AVRO_MAX_NODES - parser->names->nodes))
		return AvroFail(parser->error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
						"Avro schema has more than %d parts", AVRO_MAX_NODES);
	parser->names->nodes += (int) nodes;
	return true;
}

static AvroSchema *
make_schema(Parser *parser, AvroType type)
{
	AvroSchema *schema;

	if (!count_nodes(parser, 1))
		return NULL;
	schema = AvroAlloc(parser->arena, sizeof(AvroSchema));
	schema->type = type;
	schema->default_symbol = -1;
	return schema;
}

static AvroSchema *
find_name(const Parser *parser, const char *name, int first)
{
	int			i;

	for (i = parser->names->count - 1; i >= first; i--)
		if (strcmp(parser->names->schemas[i]->name, name) == 0)
			return parser->names->schemas[i];
	return NULL;
}

static void
add_name(Parser *parser, AvroSchema *schema)
{
	AvroNames  *names = parser->names;

	if (names->count == names->size)
	{
		int			size = names->size == 0 ? 16 : names->size * 2;
		AvroSchema **schemas = AvroAlloc(parser->arena, size * sizeof(AvroSchema *));

		if (names->count > 0)
			memcpy(schemas, names->schemas, names->count * sizeof(AvroSchema *));
		names->schemas = schemas;
		names->size = size;
	}
	names->schemas[names->count++] = schema;
}

/* A primitive type or a name that was defined before. */
static AvroSchema *
parse_reference(Parser *parser, const char *name, const char *space)
{
	AvroSchema *schema;
	AvroType	type;

	if (primitive_type(name, &type))
		return make_schema(parser, type);
	schema = find_name(parser, qualify(parser->arena, name, space), 0);
	if (schema == NULL && space != NULL)
		schema = find_name(parser, name, 0);
	if (schema == NULL)
		AvroFail(parser->error, ERRCODE_INVALID_PARAMETER_VALUE,
				 "Avro type \"%s\" is not defined", name);
	return schema;
}

static AvroSchema *
parse_union(Parser *parser, const json_t *json, const char *space, int depth)
{
	AvroSchema *schema = make_schema(parser, AVRO_UNION);
	int			i;
	int			j;

	if (schema == NULL)
		return NULL;
	schema->count = (int) json_array_size(json);
	schema->branches = AvroAlloc(parser->arena, schema->count * sizeof(AvroSchema *));
	for (i = 0; i < schema->count; i++)
	{
		AvroSchema *branch = parse_schema(parser, json_array_get(json, i), space, depth + 1);

		if (branch == NULL)
			return NULL;
		if (branch->type == AVRO_UNION)
		{
			AvroFail(parser->error, ERRCODE_INVALID_PARAMETER_VALUE,
					 "Avro union has a union as a branch");
			return NULL;
		}
		for (j = 0; j < i; j++)
		{
			if (schema->branches[j]->type == branch->type &&
				(branch->name == NULL || strcmp(schema->branches[j]->name, branch->name) == 0))
			{
				AvroFail(parser->error, ERRCODE_INVALID_PARAMETER_VALUE,
						 "Avro union has more than one branch of type \"%s\"",
						 branch->name != NULL ? branch->name : type_names[branch->type]);
				return NULL;
			}
		}
		schema->branches[i] = branch;
	}
	return schema;
}

/*
 * parse_aliases
 *		The "aliases" of a field (space and full false) or of a named type.
 */
static bool
parse_aliases(Parser *parser, const json_t *object, const char *owner, const char *space,
			  bool full, const char ***aliases, int *naliases)
{
	const json_t *json = json_object_get(object, "aliases");
	size_t		count = json_array_size(json);
	size_t		i;

	if (json == NULL)
		return true;
	if (!count_nodes(parser, count))
		return false;
	*aliases = AvroAlloc(parser->arena, count * sizeof(char *));
	for (i = 0; i < count; i++)
	{
		const char *alias = json_text(json_array_get(json, i));

		if (alias == NULL || !(full ? is_full_name(alias) : is_name(alias, strlen(alias))))
			return AvroFail(parser->error, ERRCODE_INVALID_PARAMETER_VALUE,
							"an alias of \"%s\" is not an Avro name", owner);
		(*aliases)[i] = qualify(parser->arena, alias, space);
	}
	*naliases = (int) count;
	return true;
}

static bool
parse_field(Parser *parser, AvroField *field, const AvroSchema *record, const json_t *json,
			const char *space, int depth)
{
	const char *name = json_text(json_object_get(json, "name"));
	const json_t *type = json_object_get(json, "type");
	const json_t *default_json = json_object_get(json, "default");

	if (name == NULL || !is_name(name, strlen(name)))
		return AvroFail(parser->error, ERRCODE_INVALID_PARAMETER_VALUE,
						"a field of record \"%s\" has no valid name", record->name);
	field->name = copy_text(parser->arena, name, strlen(name));
	if (type == NULL)
		return AvroFail(parser->error, ERRCODE_INVALID_PARAMETER_VALUE,
						"field \"%s\" of record \"%s\" has no type", name, record->name);
	field->schema = parse_schema(parser, type, space, depth + 1);
	if (field->schema == NULL)
		return false;
	if (!parse_aliases(parser, json, name, NULL, false, &field->aliases, &field->naliases))
		return false;
	if (default_json != NULL)
	{
		PendingDefault *pending = AvroAlloc(parser->arena, sizeof(PendingDefault));

		field->has_default = true;
		pending->field = field;
		pending->json = default_json;
		*parser->pending_tail = pending;
		parser->pending_tail = &pending->next;
	}
	return true;
}

static bool
parse_record(Parser *parser, AvroSchema *schema, const json_t *json, const char *space, int depth)
{
	const json_t *fields = json_object_get(json, "fields");
	size_t		count = json_array_size(fields);
	size_t		i;
	size_t		j;

	if (!json_is_array(fields))
		return AvroFail(parser->error, ERRCODE_INVALID_PARAMETER_VALUE,
						"record \"%s\" has no list of fields", schema->name);
	if (!count_nodes(parser, count))
		return false;
	schema->fields = AvroAlloc(parser->arena, count * sizeof(AvroField));
	for (i = 0; i < count; i++)
	{
		AvroField  *field = &schema->fields[i];

		if (!parse_field(parser, field, schema, json_array_get(fields, i), space, depth))
			return false;
		for (j = 0; j < i; j++)
			if (strcmp(schema->fields[j].name, field->name) == 0)
				return AvroFail(parser->error, ERRCODE_INVALID_PARAMETER_VALUE,
								"record \"%s\" has more than one field \"%s\"",
								schema->name, field->name);
	}
	schema->count = (int) count;
	return true;
}

static bool
parse_enum(Parser *parser, AvroSchema *schema, const json_t *json)
{
	const json_t *symbols = json_object_get(json, "symbols");
	const json_t *default_json = json_object_get(json, "default");
	const char *default_symbol = json_text(default_json);
	size_t		count = json_array_size(symbols);
	size_t		i;
	size_t		j;

	if (!json_is_array(symbols))
		return AvroFail(parser->error, ERRCODE_INVALID_PARAMETER_VALUE,
						"enum \"%s\" has no list of symbols", schema->name);
	if (!count_nodes(parser, count))
		return false;
	schema->symbols = AvroAlloc(parser->arena, count * sizeof(char *));
	for (i = 0; i < count; i++)
	{
		const char *symbol = json_text(json_array_get(symbols, i));

		if (symbol == NULL || !is_name(symbol, strlen(symbol)))
			return AvroFail(parser->error, ERRCODE_INVALID_PARAMETER_VALUE,
							"a symbol of enum \"%s\" is not an Avro name", schema->name);
		for (j = 0; j < i; j++)
			if (strcmp(schema->symbols[j], symbol) == 0)
				return AvroFail(parser->error, ERRCODE_INVALID_PARAMETER_VALUE,
								"enum \"%s\" has more than one symbol \"%s\"",
								schema->name, symbol);
		schema->symbols[i] = copy_text(parser->arena, symbol, strlen(symbol));
		if (default_symbol != NULL && strcmp(default_symbol, symbol) == 0)
			schema->default_symbol = (int) i;
	}
	schema->count = (int) count;
	if (default_json != NULL && schema->default_symbol < 0)
		return AvroFail(parser->error, ERRCODE_INVALID_PARAMETER_VALUE,
						"the default of enum \"%s\" is not one of its symbols", schema->name);
	return true;
}

static bool
parse_fixed(Parser *parser, AvroSchema *schema, const json_t *json)
{
	const json_t *size = json_object_get(json, "size");

	if (!json_is_integer(size) || json_integer_value(size) < 0 ||
		json_integer_value(size) > INT32_MAX)
		return AvroFail(parser->error, ERRCODE_INVALID_PARAMETER_VALUE,
						"fixed \"%s\" has no valid size", schema->name);
	schema->size = (size_t) json_integer_value(size);
	return true;
}

/* Define a record, an enum or a fixed. */
static AvroSchema *
parse_named(Parser *parser, AvroType type, const json_t *json, const char *space, int depth)
{
	AvroSchema *schema = make_schema(parser, type);
	const char *name = json_text(json_object_get(json, "name"));
	const char *own_space = json_text(json_object_get(json, "namespace"));
	const char *dot;
	AvroType	primitive;
	bool		ok;

	if (schema == NULL)
		return NULL;
	if (name == NULL || !is_full_name(name) || primitive_type(name, &primitive))
	{
		AvroFail(parser->error, ERRCODE_INVALID_PARAMETER_VALUE,
				 "an Avro %s has no valid name", type_names[type]);
		return NULL;
	}
	if (own_space != NULL && strchr(name, '.') == NULL)
	{
		if (own_space[0] != '\0' && !is_full_name(own_space))
		{
			AvroFail(parser->error, ERRCODE_INVALID_PARAMETER_VALUE,
					 "the namespace of \"%s\" is not valid", name);
			return NULL;
		}
		space = own_space[0] != '\0' ? own_space : NULL;
	}
	schema->name = qualify(parser->arena, name, space);
	dot = strrchr(schema->name, '.');
	schema->short_name = dot != NULL ? dot + 1 : schema->name;
	space = dot != NULL ? copy_text(parser->arena, schema->name, dot - schema->name) : NULL;
	if (find_name(parser, schema->name, parser->first_name) != NULL)
	{
		AvroFail(parser->error, ERRCODE_INVALID_PARAMETER_VALUE,
				 "Avro type \"%s\" is defined more than once", schema->name);
		return NULL;
	}
	add_name(parser, schema);

	switch (type)
	{
		case AVRO_RECORD:
			ok = parse_record(parser, schema, json, space, depth);
			break;
		case AVRO_ENUM:
			ok = parse_enum(parser, schema, json);
			break;
		default:
			ok = parse_fixed(parser, schema, json);
			break;
	}
	if (!ok || !parse_aliases(parser, json, schema->name, space, true,
							  &schema->aliases, &schema->naliases))
		return NULL;
	return schema;
}

/* Precision and scale, if they make sense for the type. */
static AvroLogical
parse_decimal(AvroSchema *schema, const json_t *json)
{
	const json_t *precision = json_object_get(json, "precision");
	const json_t *scale = json_object_get(json, "scale");
	json_int_t	digits = json_integer_value(precision);
	json_int_t	places = json_integer_value(scale);

	if (!json_is_integer(precision) || (scale != NULL && !json_is_integer(scale)) ||
		digits < 1 || digits > INT32_MAX || places < 0 || places > digits)
		return AVRO_PLAIN;
	if (schema->type == AVRO_FIXED &&
		(schema->size == 0 || digits > floor(log10(2) * (8.0 * schema->size - 1))))
		return AVRO_PLAIN;
	schema->precision = (int) digits;
	schema->scale = (int) places;
	return AVRO_DECIMAL;
}

/* What "logicalType" says, as far as it suits the schema's type. */
static AvroLogical
parse_logical(AvroSchema *schema, const json_t *json)
{
	const char *name = json_text(json_object_get(json, "logicalType"));
	AvroLogical logical;
	bool		suits = false;

	if (name == NULL)
		return AVRO_PLAIN;
	for (logical = AVRO_DURATION; logical > AVRO_PLAIN; logical--)
		if (strcmp(logical_names[logical], name) == 0)
			break;
	switch (logical)
	{
		case AVRO_PLAIN:
			break;
		case AVRO_DECIMAL:
			if (schema->type == AVRO_BYTES || schema->type == AVRO_FIXED)
				return parse_decimal(schema, json);
			break;
		case AVRO_UUID:
			suits = schema->type == AVRO_STRING ||
				(schema->type == AVRO_FIXED && schema->size == 16);
			break;
		case AVRO_DATE:
		case AVRO_TIME_MILLIS:
			suits = schema->type == AVRO_INT;
			break;
		case AVRO_TIME_MICROS:
		case AVRO_TIMESTAMP_MILLIS:
		case AVRO_TIMESTAMP_MICROS:
		case AVRO_LOCAL_TIMESTAMP_MILLIS:
		case AVRO_LOCAL_TIMESTAMP_MICROS:
			suits = schema->type == AVRO_LONG;
			break;
		case AVRO_DURATION:
			suits = schema->type == AVRO_FIXED && schema->size == 12;
			break;
	}
	return suits ? logical : AVRO_PLAIN;
}

static AvroSchema *
parse_object(Parser *parser, const json_t *json, const char *space, int depth)
{
	const char *name = json_text(json_object_get(json, "type"));
	AvroSchema *schema;
	AvroType	type;

	if (name == NULL)
	{
		AvroFail(parser->error, ERRCODE_INVALID_PARAMETER_VALUE,
				 "Avro schema has an object without a type's name");
		return NULL;
	}
	if (strcmp(name, "record") == 0 || strcmp(name, "error") == 0)
		return parse_named(parser, AVRO_RECORD, json, space, depth);
	if (strcmp(name, "enum") == 0)
		return parse_named(parser, AVRO_ENUM, json, space, depth);
	if (strcmp(name, "fixed") == 0)
	{
		schema = parse_named(parser, AVRO_FIXED, json, space, depth);
		if (schema != NULL)
			schema->logical = parse_logical(schema, json);
		return schema;
	}
	if (strcmp(name, "array") == 0 || strcmp(name, "map") == 0)
	{
		const char *key = name[0] == 'a' ? "items" : "values";
		const json_t *items = json_object_get(json, key);

		schema = make_schema(parser, name[0] == 'a' ? AVRO_ARRAY : AVRO_MAP);
		if (schema == NULL)
			return NULL;
		if (items == NULL)
		{
			AvroFail(parser->error, ERRCODE_INVALID_PARAMETER_VALUE,
					 "an Avro %s has no \"%s\"", name, key);
			return NULL;
		}
		schema->items = parse_schema(parser, items, space, depth + 1);
		return schema->items != NULL ? schema : NULL;
	}
	schema = parse_reference(parser, name, space);
	if (schema != NULL && primitive_type(name, &type))
		schema->logical = parse_logical(schema, json);
	return schema;
}

static AvroSchema *
parse_schema(Parser *parser, const json_t *json, const char *space, int depth)
{
	const char *name = json_text(json);

	if (depth > AVRO_MAX_DEPTH)
	{
		AvroFail(parser->error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				 "Avro schema is nested more than %d levels deep", AVRO_MAX_DEPTH);
		return NULL;
	}
	if (name != NULL)
		return parse_reference(parser, name, space);
	if (json_is_array(json))
		return parse_union(parser, json, space, depth);
	if (json_is_object(json))
		return parse_object(parser, json, space, depth);
	AvroFail(parser->error, ERRCODE_INVALID_PARAMETER_VALUE,
			 "Avro schema has something that is no type in a type's place");
	return NULL;
}

/*
 * Encoding of defaults.  All of these return false when the JSON value does
 * not suit the schema, or for more than the limits above.
 */
static bool
put_bytes(Encoder *encoder, const void *data, size_t bytes)
{
	if (bytes > MAX_DEFAULT_BYTES - encoder->bytes)
		return false;
	if (encoder->bytes + bytes > encoder->size)
	{
		size_t		size = (encoder->bytes + bytes) * 2;
		unsigned char *grown = AvroAlloc(encoder->arena, size);

		if (encoder->bytes > 0)
			memcpy(grown, encoder->data, encoder->bytes);
		encoder->data = grown;
		encoder->size = size;
	}
	if (bytes > 0)
		memcpy(encoder->data + encoder->bytes, data, bytes);
	encoder->bytes += bytes;
	return true;
}

static bool
put_long(Encoder *encoder, int64_t value)
{
	uint64_t	rest = ((uint64_t) value << 1) ^ (value < 0 ? UINT64_MAX : 0);
	unsigned char buffer[10];
	size_t		bytes = 0;

	for (; rest >= 0x80; rest >>= 7)
		buffer[bytes++] = (unsigned char) (rest | 0x80);
	buffer[bytes++] = (unsigned char) rest;
	return put_bytes(encoder, buffer, bytes);
}

/* Little-endian, whatever the machine. */
static bool
put_bits(Encoder *encoder, uint64_t bits, int bytes)
{
	unsigned char buffer[8];
	int			i;

	for (i = 0; i < bytes; i++)
		buffer[i] = (unsigned char) (bits >> (8 * i));
	return put_bytes(encoder, buffer, bytes);
}

/* A JSON string whose characters U+0000..U+00FF are bytes. */
static bool
put_latin1(Encoder *encoder, const AvroSchema *schema, const json_t *json)
{
	const unsigned char *text = (const unsigned char *) json_string_value(json);
	size_t		bytes = json_string_length(json);
	size_t		count = 0;
	size_t		i;

	for (i = 0; i < bytes; i++)
		count += (text[i] & 0xC0) != 0x80;
	if (schema->type == AVRO_FIXED ? count != schema->size : !put_long(encoder, (int64_t) count))
		return false;
	for (i = 0; i < bytes; i++)
	{
		unsigned char byte = text[i];

		if (byte > 0xC3)
			return false;
		if (byte >= 0xC2)
			byte = (unsigned char) (byte << 6 | (text[++i] & 0x3F));
		if (!put_bytes(encoder, &byte, 1))
			return false;
	}
	return true;
}

static bool
encode_scalar(Encoder *encoder, const AvroSchema *schema, const json_t *json)
{
	json_int_t	integer = json_integer_value(json);
	const char *symbol;
	union
	{
		float		value;
		uint32_t	bits;
	}			real4;
	union
	{
		double		value;
		uint64_t	bits;
	}			real8;
	unsigned char flag;
	int			i;

	switch (schema->type)
	{
		case AVRO_NULL:
			return json_is_null(json);
		case AVRO_BOOLEAN:
			flag = json_is_true(json);
			return json_is_boolean(json) && put_bytes(encoder, &flag, 1);
		case AVRO_INT:
			return json_is_integer(json) && integer >= INT32_MIN && integer <= INT32_MAX &&
				put_long(encoder, integer);
		case AVRO_LONG:
			return json_is_integer(json) && put_long(encoder, integer);
		case AVRO_FLOAT:
			real8.value = json_number_value(json);
			if (!json_is_number(json) || fabs(real8.value) > FLT_MAX)
				return false;
			real4.value = (float) real8.value;
			return put_bits(encoder, real4.bits, 4);
		case AVRO_DOUBLE:
			real8.value = json_number_value(json);
			return json_is_number(json) && put_bits(encoder, real8.bits, 8);
		case AVRO_STRING:
			return json_is_string(json) &&
				put_long(encoder, (int64_t) json_string_length(json)) &&
				put_bytes(encoder, json_string_value(json), json_string_length(json));
		case AVRO_BYTES:
		case AVRO_FIXED:
			return json_is_string(json) && put_latin1(encoder, schema, json);
		case AVRO_ENUM:
			symbol = json_text(json);
			for (i = 0; symbol != NULL && i < schema->count; i++)
				if (strcmp(schema->symbols[i], symbol) == 0)
					return put_long(encoder, i);
			return false;
		default:
			return false;
	}
}

static bool
encode_default(Encoder *encoder, const AvroSchema *schema, const json_t *json, int depth)
{
	size_t		start = encoder->bytes;
	const char *key;
	json_t	   *value;
	size_t		n;
	int			i;

	if (depth > AVRO_MAX_DEPTH || ++encoder->values > MAX_DEFAULT_VALUES)
		return false;
	switch (schema->type)
	{
		case AVRO_ARRAY:
			if (!json_is_array(json))
				return false;
			if (json_array_size(json) > 0 &&
				!put_long(encoder, (int64_t) json_array_size(json)))
				return false;
			json_array_foreach((json_t *) json, n, value)
				if (!encode_default(encoder, schema->items, value, depth + 1))
					return false;
			return put_long(encoder, 0);
		case AVRO_MAP:
			if (!json_is_object(json))
				return false;
			if (json_object_size(json) > 0 &&
				!put_long(encoder, (int64_t) json_object_size(json)))
				return false;
			json_object_foreach((json_t *) json, key, value)
				if (!put_long(encoder, (int64_t) strlen(key)) ||
					!put_bytes(encoder, key, strlen(key)) ||
					!encode_default(encoder, schema->items, value, depth + 1))
					return false;
			return put_long(encoder, 0);
		case AVRO_RECORD:
			if (!json_is_object(json))
				return false;
			for (i = 0; i < schema->count; i++)
			{
				const AvroField *field = &schema->fields[i];

				value = json_object_get(json, field->name);
				if (value != NULL ? !encode_default(encoder, field->schema, value, depth + 1) :
					!field->default_data ||
					!put_bytes(encoder, field->default_data, field->default_bytes))
					return false;
			}
			return true;
		case AVRO_UNION:

			/*
			 * The first branch, says the specification up to 1.11; the first
			 * that the value suits, says 1.12, which includes it.
			 */
			for (i = 0; i < schema->count; i++)
			{
				if (put_long(encoder, i) &&
					encode_default(encoder, schema->branches[i], json, depth + 1))
					return true;
				encoder->bytes = start;
			}
			return false;
		default:
			return encode_scalar(encoder, schema, json);
	}
}

/*
 * encode_pending
 *		Encode the defaults of a complete text.
 *
 * A default may lean on the default of another field, also of a later one, so
 * go on while that helps.
 */
static void
encode_pending(Parser *parser)
{
	PendingDefault *pending;
	bool		progress = true;
	int			round;

	for (round = 0; progress && round < AVRO_MAX_DEPTH; round++)
	{
		progress = false;
		for (pending = parser->pending; pending != NULL; pending = pending->next)
		{
			AvroField  *field = pending->field;
			Encoder		encoder = {.arena = parser->arena};

			if (field->default_data == NULL &&
				encode_default(&encoder, field->schema, pending->json, 0))
			{
				/* a default of no bytes is one, too */
				field->default_data = encoder.bytes > 0 ? encoder.data :
					(const unsigned char *) "";
				field->default_bytes = encoder.bytes;
				progress = true;
			}
		}
	}
}

AvroSchema *
AvroSchemaParse(const char *text, AvroNames *names, AvroArena *arena, DecodeError *error)
{
	Parser		parser = {.names = names,.first_name = names->count,.arena = arena,.error = error};
	AvroSchema *schema;
	json_error_t json_error;
	json_t	   *json;

	parser.pending_tail = &parser.pending;
	if (strlen(text) > AVRO_MAX_SCHEMA_BYTES)
	{
		AvroFail(error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				 "Avro schema is longer than %d bytes", AVRO_MAX_SCHEMA_BYTES);
		return NULL;
	}
	json = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, &json_error);
	if (json == NULL)
	{
		AvroFail(error, ERRCODE_INVALID_PARAMETER_VALUE,
				 "Avro schema is not valid JSON: %s", json_error.text);
		return NULL;
	}
	schema = parse_schema(&parser, json, NULL, 0);
	if (schema != NULL)
		encode_pending(&parser);
	json_decref(json);
	return schema;
}

const char *
AvroTypeName(AvroType type)
{
	return type_names[type];
}

const char *
AvroLogicalName(AvroLogical logical)
{
	return logical_names[logical];
}

/* Appends to a buffer that may be full. */
static void
append(char *buffer, size_t buffer_bytes, const char *text)
{
	size_t		used = strlen(buffer);

	snprintf(buffer + used, buffer_bytes - used, "%s", text);
}

static void
describe(const AvroSchema *schema, char *buffer, size_t buffer_bytes)
{
	char		digits[40];
	int			i;

	append(buffer, buffer_bytes, type_names[schema->type]);
	switch (schema->type)
	{
		case AVRO_ARRAY:
		case AVRO_MAP:
			append(buffer, buffer_bytes, "{");
			describe(schema->items, buffer, buffer_bytes);
			append(buffer, buffer_bytes, "}");
			break;
		case AVRO_UNION:
			for (i = 0; i < schema->count; i++)
			{
				append(buffer, buffer_bytes, i == 0 ? "{" : ",");
				describe(schema->branches[i], buffer, buffer_bytes);
			}
			append(buffer, buffer_bytes, i == 0 ? "{}" : "}");
			break;
		case AVRO_RECORD:
		case AVRO_ENUM:
		case AVRO_FIXED:
			append(buffer, buffer_bytes, " ");
			append(buffer, buffer_bytes, schema->name);
			break;
		default:
			break;
	}
	if (schema->logical == AVRO_DECIMAL)
	{
		snprintf(digits, sizeof(digits), " (decimal(%d,%d))", schema->precision, schema->scale);
		append(buffer, buffer_bytes, digits);
	}
	else if (schema->logical != AVRO_PLAIN)
	{
		append(buffer, buffer_bytes, " (");
		append(buffer, buffer_bytes, logical_names[schema->logical]);
		append(buffer, buffer_bytes, ")");
	}
}

char *
AvroSchemaDescribe(const AvroSchema *schema, char *buffer, size_t buffer_bytes)
{
	buffer[0] = '\0';
	describe(schema, buffer, buffer_bytes);
	return buffer;
}
