/*-------------------------------------------------------------------------
 *
 * decode_json.c
 *		The Avro core as a filter, for the differential test.
 *
 * Reads one case a line, its parts separated by tabs: the number of schema
 * texts, the texts, the reader's schema or "-", the datum in hexadecimal.
 * Answers with one line: "ok" and the value, or "schema" (it was refused
 * before the data was looked at) or "data", an SQLSTATE and a message.
 *
 * Values are JSON that loses nothing: long and int are numbers, {"f": bits}
 * and {"d": bits} floats, {"s": hex} strings, {"x": hex} bytes and fixed,
 * {"e": hex} enum symbols, {"o": [[hex, value], …]} records and maps.
 *
 *-------------------------------------------------------------------------
 */
#include "avro/core.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "avro/decode.h"

#define MAX_PARTS	16

typedef struct Output
{
	char	   *data;
	size_t		bytes;
	size_t		size;
	bool		separate;		/* a value or key follows another */
} Output;

static void
put(Output *output, const char *data, size_t bytes)
{
	if (output->bytes + bytes > output->size)
	{
		output->size = (output->bytes + bytes) * 2;
		output->data = realloc(output->data, output->size);
		if (output->data == NULL)
			abort();
	}
	memcpy(output->data + output->bytes, data, bytes);
	output->bytes += bytes;
}

static void
put_text(Output *output, const char *text)
{
	put(output, text, strlen(text));
}

static void
put_tagged(Output *output, char tag, const void *data, size_t bytes)
{
	char		head[] = {'{', '"', tag, '"', ':', '"'};
	size_t		i;

	put(output, head, sizeof(head));
	for (i = 0; i < bytes; i++)
	{
		unsigned char byte = ((const unsigned char *) data)[i];
		char		hex[] = {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};

		put(output, hex, sizeof(hex));
	}
	put_text(output, "\"}");
}

static void
put_separator(Output *output)
{
	if (output->separate)
		put_text(output, ",");
	output->separate = true;
}

static bool
print_scalar(void *state, const AvroSchema *reader, const AvroScalar *scalar, DecodeError *error)
{
	Output	   *output = state;
	float		real4 = (float) scalar->real;
	char		buffer[32];

	(void) reader;
	(void) error;
	put_separator(output);
	switch (scalar->type)
	{
		case AVRO_NULL:
			put_text(output, "null");
			break;
		case AVRO_BOOLEAN:
			put_text(output, scalar->integer != 0 ? "true" : "false");
			break;
		case AVRO_INT:
		case AVRO_LONG:
			snprintf(buffer, sizeof(buffer), "%" PRId64, scalar->integer);
			put_text(output, buffer);
			break;
		case AVRO_FLOAT:
			put_tagged(output, 'f', &real4, sizeof(real4));
			break;
		case AVRO_DOUBLE:
			put_tagged(output, 'd', &scalar->real, sizeof(scalar->real));
			break;
		default:
			put_tagged(output, scalar->type == AVRO_STRING ? 's' :
					   scalar->type == AVRO_ENUM ? 'e' : 'x', scalar->data, scalar->bytes);
			break;
	}
	return true;
}

static bool
print_key(void *state, const char *name, size_t bytes, DecodeError *error)
{
	Output	   *output = state;

	(void) error;
	put_separator(output);
	put_tagged(output, 's', name, bytes);
	return true;
}

static void
print_begin(void *state, bool is_array)
{
	Output	   *output = state;

	put_separator(output);
	put_text(output, is_array ? "[" : "{\"o\":[");
	output->separate = false;
}

static void
print_end(void *state, bool is_array)
{
	Output	   *output = state;

	put_text(output, is_array ? "]" : "]}");
	output->separate = true;
}

/* Hexadecimal to bytes in place; the number of bytes. */
static size_t
unhex(char *text)
{
	size_t		bytes = strlen(text) / 2;
	size_t		i;

	for (i = 0; i < bytes; i++)
	{
		unsigned	byte;

		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			abort();
		text[i] = (char) byte;
	}
	return bytes;
}

static const char *
run_case(char **texts, int ntexts, const char *reader_text, char *hex, Output *output,
		 AvroArena *arena, DecodeError *error)
{
	static const AvroSink sink = {print_scalar, print_key, print_begin, print_end};
	AvroNames	names = {0};
	AvroNames	references = {0};
	AvroSchema *writer = NULL;
	AvroSchema *reader;
	AvroPlan   *plan;
	AvroCursor	cursor;
	unsigned char *data;
	DecodeError skip_error;
	size_t		bytes;
	bool		ok;
	bool		skipped;
	int			i;

	for (i = 0; i < ntexts; i++)
	{
		references = names;
		writer = AvroSchemaParse(texts[i], &names, arena, error);
		if (writer == NULL)
			return "schema";
	}
	reader = strcmp(reader_text, "-") == 0 ? writer :
		AvroSchemaParse(reader_text, &references, arena, error);
	if (reader == NULL)
		return "schema";
	plan = AvroResolve(writer, reader, arena, error);
	if (plan == NULL)
		return "schema";

	/* exactly as large as the datum, for the address sanitizer */
	bytes = unhex(hex);
	data = malloc(bytes > 0 ? bytes : 1);
	if (data == NULL)
		abort();
	memcpy(data, hex, bytes);
	AvroCursorInit(&cursor, data, bytes, error);
	ok = AvroWalk(plan, &cursor, &sink, output) && AvroCursorEnd(&cursor);

	/* a value that can be read can be skipped, and one that cannot does no harm */
	AvroCursorInit(&cursor, data, bytes, &skip_error);
	skipped = AvroSkip(writer, &cursor) && AvroCursorEnd(&cursor);
	if (ok && !skipped)
		abort();
	free(data);
	return ok ? "ok" : "data";
}

int
main(void)
{
	char	   *line = NULL;
	size_t		size = 0;
	Output		output = {0};

	while (getline(&line, &size, stdin) > 0)
	{
		char	   *parts[MAX_PARTS];
		int			nparts = 0;
		char	   *rest = line;
		DecodeError error = {0};
		AvroArena	arena = {NULL};
		const char *verdict;

		line[strcspn(line, "\n")] = '\0';
		while (nparts < MAX_PARTS && rest != NULL)
		{
			parts[nparts++] = rest;
			rest = strchr(rest, '\t');
			if (rest != NULL)
				*rest++ = '\0';
		}
		if (nparts < 4 || atoi(parts[0]) != nparts - 3)
			abort();
		output.bytes = 0;
		output.separate = false;
		verdict = run_case(parts + 1, nparts - 3, parts[nparts - 2], parts[nparts - 1],
						   &output, &arena, &error);
		if (strcmp(verdict, "ok") == 0)
			printf("ok\t%.*s\n", (int) output.bytes, output.data);
		else
		{
			int			i;

			printf("%s\t", verdict);
			for (i = 0; i < 5; i++)
				putchar((int) (((error.sqlstate >> (6 * i)) & 0x3F) + '0'));
			printf("\t%s\n", error.message);
		}
		AvroArenaFree(&arena);
	}
	free(line);
	free(output.data);
	return 0;
}
