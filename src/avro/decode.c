/*-------------------------------------------------------------------------
 *
 * decode.c
 *		Reads binary Avro within its bounds.
 *
 * The bytes come from outside and may be made to hurt.  So a length is compared
 * with what is left before anything uses it, nesting is counted, a block's
 * claim of items allocates nothing, and items without bytes are rationed.  A
 * block that says its size is skipped by it, as the specification means it to
 * be; what is in it is then not looked at.
 *
 * Must not know: the server, or what a value becomes.
 *
 *-------------------------------------------------------------------------
 */
#include "avro/core.h"

#include "avro/decode.h"

/* What a value costs in the output beside its own bytes. */
#define VALUE_OVERHEAD_BYTES	16

void
AvroCursorInit(AvroCursor *cursor, const void *data, size_t data_bytes, DecodeError *error)
{
	memset(cursor, 0, sizeof(*cursor));
	cursor->start = cursor->pos = data != NULL ? data : (const void *) "";
	cursor->end = cursor->pos + data_bytes;
	cursor->output_left = AVRO_MAX_OUTPUT_BYTES + AVRO_MAX_OUTPUT_RATIO * (int64_t) data_bytes;
	cursor->error = error;
}

static bool
malformed(const AvroCursor *cursor, const char *what)
{
	return AvroFail(cursor->error, ERRCODE_INVALID_BINARY_REPRESENTATION,
					"Avro data is malformed at byte %zu: %s",
					(size_t) (cursor->pos - cursor->start), what);
}

bool
AvroCursorEnd(const AvroCursor *cursor)
{
	if (cursor->pos != cursor->end)
		return malformed(cursor, "the value ends before the data");
	return true;
}

static bool
enter(AvroCursor *cursor)
{
	if (++cursor->depth > AVRO_MAX_DEPTH)
		return AvroFail(cursor->error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
						"Avro data is nested more than %d levels deep", AVRO_MAX_DEPTH);
	return true;
}

static bool
count_output(AvroCursor *cursor, size_t bytes)
{
	cursor->output_left -= (int64_t) bytes + VALUE_OVERHEAD_BYTES;
	if (cursor->output_left < 0)
		return AvroFail(cursor->error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
						"Avro data repeats names, symbols or defaults to more than %d bytes",
						AVRO_MAX_OUTPUT_BYTES);
	return true;
}

static bool
read_long(AvroCursor *cursor, int64_t *value)
{
	const unsigned char *pos = AvroVarint(cursor->pos, cursor->end, value);

	if (pos == NULL)
		return malformed(cursor, "a number does not end or has more than 64 bits");
	cursor->pos = pos;
	return true;
}

static bool
read_raw(AvroCursor *cursor, size_t bytes, const unsigned char **data)
{
	if (bytes > (size_t) (cursor->end - cursor->pos))
		return malformed(cursor, "a value goes beyond the end of the data");
	*data = cursor->pos;
	cursor->pos += bytes;
	return true;
}

bool
AvroReadBytes(AvroCursor *cursor, const char **data, size_t *bytes)
{
	const unsigned char *raw = NULL;
	int64_t		length;

	if (!read_long(cursor, &length))
		return false;
	if (length < 0)
		return malformed(cursor, "a length is negative");
	if ((uint64_t) length > (uint64_t) (cursor->end - cursor->pos))
		return malformed(cursor, "a length goes beyond the end of the data");
	if (!read_raw(cursor, (size_t) length, &raw))
		return false;
	*data = (const char *) raw;
	*bytes = (size_t) length;
	return true;
}

/*
 * AvroIsUtf8
 *		Is it well-formed UTF-8: no overlong forms, surrogates, or code points
 *		over U+10FFFF?  NUL is a character like others in Avro.
 */
bool
AvroIsUtf8(const char *data, size_t bytes)
{
	const unsigned char *c = (const unsigned char *) data;
	const unsigned char *end = c + bytes;

	while (c < end)
	{
		unsigned	lead = *c++;
		unsigned	low = 0x80;
		unsigned	high = 0xBF;
		int			more;

		if (lead < 0x80)
			continue;
		if (lead < 0xC2 || lead > 0xF4)
			return false;
		more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
		if (lead == 0xE0)
			low = 0xA0;
		else if (lead == 0xED)
			high = 0x9F;
		else if (lead == 0xF0)
			low = 0x90;
		else if (lead == 0xF4)
			high = 0x8F;
		for (; more > 0; more--)
		{
			if (c == end || *c < low || *c > high)
				return false;
			c++;
			low = 0x80;
			high = 0xBF;
		}
	}
	return true;
}

static bool
check_text(const AvroCursor *cursor, const char *data, size_t bytes)
{
	if (!AvroIsUtf8(data, bytes))
		return AvroFail(cursor->error, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
						"Avro string before byte %zu is not valid UTF-8",
						(size_t) (cursor->pos - cursor->start));
	return true;
}

bool
AvroReadUnion(const AvroSchema *writer, AvroCursor *cursor, int *branch)
{
	int64_t		number = 0;

	if (!read_long(cursor, &number))
		return false;
	if (number < 0 || number >= writer->count)
		return malformed(cursor, "a union has no such branch");
	*branch = (int) number;
	return true;
}

bool
AvroReadBranch(const AvroPlan **plan, AvroCursor *cursor)
{
	int			branch = 0;

	if ((*plan)->branches != NULL)
	{
		if (!AvroReadUnion((*plan)->writer, cursor, &branch))
			return false;
		*plan = (*plan)->branches[branch];
	}
	if ((*plan)->refusal != NULL)
		return AvroFail(cursor->error, ERRCODE_DATATYPE_MISMATCH, "%s", (*plan)->refusal);
	return true;
}

bool
AvroReadScalar(const AvroPlan *plan, AvroCursor *cursor, AvroScalar *scalar)
{
	const AvroSchema *writer = plan->writer;
	const unsigned char *raw = NULL;

	scalar->type = plan->reader->type;
	switch (writer->type)
	{
		case AVRO_NULL:
			break;
		case AVRO_BOOLEAN:
			if (!read_raw(cursor, 1, &raw))
				return false;
			if (*raw > 1)
				return malformed(cursor, "a boolean is neither 0 nor 1");
			scalar->integer = *raw;
			break;
		case AVRO_INT:
		case AVRO_LONG:
			if (!read_long(cursor, &scalar->integer))
				return false;
			if (writer->type == AVRO_INT && scalar->integer != (int32_t) scalar->integer)
				return malformed(cursor, "an int has more than 32 bits");
			/* a long becomes the nearest float, not the one nearest to a double */
			scalar->real = scalar->type == AVRO_FLOAT ? (double) (float) scalar->integer :
				(double) scalar->integer;
			break;
		case AVRO_FLOAT:
			if (!read_raw(cursor, 4, &raw))
				return false;
			scalar->real = AvroFloat(raw);
			break;
		case AVRO_DOUBLE:
			if (!read_raw(cursor, 8, &raw))
				return false;
			scalar->real = AvroDouble(raw);
			break;
		case AVRO_BYTES:
		case AVRO_STRING:
			if (!AvroReadBytes(cursor, &scalar->data, &scalar->bytes))
				return false;
			if (scalar->type == AVRO_STRING &&
				!check_text(cursor, scalar->data, scalar->bytes))
				return false;
			break;
		case AVRO_FIXED:
			if (!read_raw(cursor, writer->size, &raw))
				return false;
			scalar->data = (const char *) raw;
			scalar->bytes = writer->size;
			break;
		case AVRO_ENUM:
			if (!read_long(cursor, &scalar->integer))
				return false;
			if (scalar->integer < 0 || scalar->integer >= writer->count)
				return malformed(cursor, "an enum has no such symbol");
			if (plan->symbols[scalar->integer] < 0)
				return AvroFail(cursor->error, ERRCODE_DATATYPE_MISMATCH,
								"symbol \"%s\" is not in enum \"%s\", which has no default",
								writer->symbols[scalar->integer], plan->reader->name);
			scalar->integer = plan->symbols[scalar->integer];
			scalar->data = plan->reader->symbols[scalar->integer];
			scalar->bytes = strlen(scalar->data);
			break;
		case AVRO_ARRAY:
		case AVRO_MAP:
		case AVRO_UNION:
		case AVRO_RECORD:
			return malformed(cursor, "not a scalar");
	}
	return true;
}

/*
 * next_block
 *		Enter the next block of an array or map; *count 0 at the end.
 *
 * With sized not NULL a block that says its size in bytes is passed over and
 * *sized set.
 */
static bool
next_block(AvroCursor *cursor, int64_t *count, bool *sized)
{
	int64_t		bytes;

	if (!read_long(cursor, count))
		return false;
	if (*count >= 0)
		return true;
	if (*count == INT64_MIN)
		return malformed(cursor, "a block has too many items");
	*count = -*count;
	if (!read_long(cursor, &bytes))
		return false;
	if (bytes < 0 || bytes > cursor->end - cursor->pos)
		return malformed(cursor, "a block goes beyond the end of the data");
	if (sized != NULL)
	{
		*sized = true;
		cursor->pos += bytes;
	}
	return true;
}

/* Ration the items that took no bytes. */
static bool
count_item(AvroCursor *cursor, const unsigned char *item)
{
	if (item == cursor->pos && ++cursor->empty_items > AVRO_MAX_EMPTY_ITEMS)
		return AvroFail(cursor->error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
						"Avro data has more than %d items without bytes", AVRO_MAX_EMPTY_ITEMS);
	return true;
}

bool
AvroNextItem(AvroBlocks *blocks, AvroCursor *cursor, bool *more)
{
	if (blocks->item == NULL)
	{
		if (!enter(cursor))
			return false;
	}
	else if (!count_item(cursor, blocks->item))
		return false;
	if (blocks->left == 0 && !next_block(cursor, &blocks->left, NULL))
		return false;
	*more = blocks->left > 0;
	if (*more)
		blocks->left--;
	else
		cursor->depth--;
	blocks->item = cursor->pos;
	return true;
}

bool
AvroReadItems(AvroBlocks *blocks, AvroCursor *cursor, size_t item_bytes,
			  const char **data, size_t *bytes)
{
	size_t		fitting = (size_t) (cursor->end - cursor->pos) / item_bytes;

	if ((uint64_t) blocks->left >= fitting)
		return malformed(cursor, "a block goes beyond the end of the data");
	*data = (const char *) cursor->pos;
	*bytes = (size_t) (blocks->left + 1) * item_bytes;
	cursor->pos += *bytes;
	blocks->left = 0;
	return true;
}

static bool
skip_blocks(const AvroSchema *writer, AvroCursor *cursor)
{
	const char *key;
	size_t		key_bytes;
	int64_t		count;

	if (!enter(cursor))
		return false;
	for (;;)
	{
		bool		sized = false;

		if (!next_block(cursor, &count, &sized))
			return false;
		if (count == 0)
			break;
		for (; !sized && count > 0; count--)
		{
			const unsigned char *item = cursor->pos;

			if (writer->type == AVRO_MAP && !AvroReadBytes(cursor, &key, &key_bytes))
				return false;
			if (!AvroSkip(writer->items, cursor) || !count_item(cursor, item))
				return false;
		}
	}
	cursor->depth--;
	return true;
}

bool
AvroSkip(const AvroSchema *writer, AvroCursor *cursor)
{
	const unsigned char *raw = NULL;
	const char *data;
	size_t		bytes;
	int64_t		number;
	int			i;

	switch (writer->type)
	{
		case AVRO_NULL:
			return true;
		case AVRO_BOOLEAN:
			if (!read_raw(cursor, 1, &raw))
				return false;
			return *raw <= 1 || malformed(cursor, "a boolean is neither 0 nor 1");
		case AVRO_INT:
		case AVRO_LONG:
			return read_long(cursor, &number);
		case AVRO_FLOAT:
			return read_raw(cursor, 4, &raw);
		case AVRO_DOUBLE:
			return read_raw(cursor, 8, &raw);
		case AVRO_BYTES:
		case AVRO_STRING:
			return AvroReadBytes(cursor, &data, &bytes);
		case AVRO_FIXED:
			return read_raw(cursor, writer->size, &raw);
		case AVRO_ENUM:
			if (!read_long(cursor, &number))
				return false;
			return (number >= 0 && number < writer->count) ||
				malformed(cursor, "an enum has no such symbol");
		case AVRO_UNION:
			return AvroReadUnion(writer, cursor, &i) && AvroSkip(writer->branches[i], cursor);
		case AVRO_ARRAY:
		case AVRO_MAP:
			return skip_blocks(writer, cursor);
		case AVRO_RECORD:
			if (!enter(cursor))
				return false;
			for (i = 0; i < writer->count; i++)
			{
				const unsigned char *field = cursor->pos;

				/* records of records without bytes grow exponentially */
				if (!AvroSkip(writer->fields[i].schema, cursor) ||
					(field == cursor->pos && !count_output(cursor, 0)))
					return false;
			}
			cursor->depth--;
			return true;
	}
	return malformed(cursor, "no such type");
}

static bool
walk_array(const AvroPlan *plan, AvroCursor *cursor, const AvroSink *sink, void *state)
{
	bool		is_array = plan->writer->type == AVRO_ARRAY;
	AvroBlocks	blocks = {0};
	bool		more;

	sink->begin(state, is_array);
	for (;;)
	{
		const char *key;
		size_t		key_bytes;

		if (!AvroNextItem(&blocks, cursor, &more))
			return false;
		if (!more)
			break;
		if (!is_array && !(AvroReadBytes(cursor, &key, &key_bytes) &&
						   check_text(cursor, key, key_bytes) &&
						   count_output(cursor, key_bytes) &&
						   sink->key(state, key, key_bytes, cursor->error)))
			return false;
		if (!AvroWalk(plan->items, cursor, sink, state))
			return false;
	}
	sink->end(state, is_array);
	return true;
}

static bool
walk_field(const AvroPlan *plan, const char *name, AvroCursor *cursor,
		   const AvroSink *sink, void *state)
{
	size_t		name_bytes = strlen(name);

	return count_output(cursor, name_bytes) &&
		sink->key(state, name, name_bytes, cursor->error) &&
		AvroWalk(plan, cursor, sink, state);
}

static bool
walk_record(const AvroPlan *plan, AvroCursor *cursor, const AvroSink *sink, void *state)
{
	const AvroField *fields = plan->reader->fields;
	int			i;

	if (!enter(cursor))
		return false;
	sink->begin(state, false);
	for (i = 0; i < plan->writer->count; i++)
	{
		const AvroStep *step = &plan->steps[i];

		if (step->plan == NULL ? !AvroSkip(step->writer, cursor) :
			!walk_field(step->plan, fields[step->field].name, cursor, sink, state))
			return false;
	}
	for (i = 0; i < plan->nmissing; i++)
	{
		const AvroMissing *missing = &plan->missing[i];
		AvroCursor	inner = *cursor;

		inner.start = inner.pos = missing->data;
		inner.end = missing->data + missing->bytes;
		if (!walk_field(missing->plan, fields[missing->field].name, &inner, sink, state))
			return false;
		cursor->output_left = inner.output_left;
		cursor->empty_items = inner.empty_items;
	}
	sink->end(state, false);
	cursor->depth--;
	return true;
}

bool
AvroWalk(const AvroPlan *plan, AvroCursor *cursor, const AvroSink *sink, void *state)
{
	AvroScalar	scalar = {0};

	if (!AvroReadBranch(&plan, cursor))
		return false;
	switch (plan->writer->type)
	{
		case AVRO_ARRAY:
		case AVRO_MAP:
			return walk_array(plan, cursor, sink, state);
		case AVRO_RECORD:
			return walk_record(plan, cursor, sink, state);
		default:
			return AvroReadScalar(plan, cursor, &scalar) &&
				count_output(cursor, scalar.bytes) &&
				sink->scalar(state, plan->reader, &scalar, cursor->error);
	}
}
