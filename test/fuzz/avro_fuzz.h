/*-------------------------------------------------------------------------
 *
 * avro_fuzz.h
 *		What the Avro fuzz targets do with schemas and bytes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AVRO_FUZZ_H
#define AVRO_FUZZ_H

#include "avro/core.h"

#include <string.h>

#include "avro/decode.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Looks at every byte of a value, so that the sanitizers see them read. */
static bool
sum_scalar(void *state, const AvroSchema *reader, const AvroScalar *scalar, DecodeError *error)
{
	size_t		i;

	(void) reader;
	(void) error;
	*(volatile uint64_t *) state += (uint64_t) scalar->integer;
	for (i = 0; i < scalar->bytes; i++)
		*(volatile uint64_t *) state += (unsigned char) scalar->data[i];
	return true;
}

static bool
sum_key(void *state, const char *name, size_t bytes, DecodeError *error)
{
	(void) error;
	while (bytes > 0)
		*(volatile uint64_t *) state += (unsigned char) name[--bytes];
	return true;
}

static void
ignore(void *state, bool is_array)
{
	(void) state;
	(void) is_array;
}

/*
 * Walk and skip the same bytes.  What can be walked to its end can be skipped
 * to the same place, unless a block lies about its size, which only skipping
 * believes; so nothing is compared.
 */
static inline bool
FuzzDecode(const AvroSchema *writer, const AvroPlan *plan, const uint8_t *data, size_t bytes,
		   uint64_t *sum)
{
	static const AvroSink sink = {sum_scalar, sum_key, ignore, ignore};
	DecodeError error = {0};
	AvroCursor	cursor;
	bool		ok;

	*sum = 0;
	AvroCursorInit(&cursor, data, bytes, &error);
	ok = AvroWalk(plan, &cursor, &sink, sum) && AvroCursorEnd(&cursor);
	if (!ok && (error.sqlstate == 0 || error.message[0] == '\0'))
		abort();
	AvroCursorInit(&cursor, data, bytes, &error);
	(void) AvroSkip(writer, &cursor);
	return ok;
}

/*
 * The same datum as an update.  What has no other reader's schema says the same, operations
 * and all; with one, fields that the writer lacks are no error.
 */
static inline void
FuzzUpdate(const AvroSchema *writer, const AvroSchema *reader, const AvroPlan *plan,
		   const uint8_t *data, size_t bytes, AvroArena *arena)
{
	DecodeError error = {0};
	const AvroPlan *update = AvroResolveUpdate(writer, reader, arena, &error);
	uint64_t	sum;
	uint64_t	update_sum;

	if (update == NULL)
	{
		if (error.sqlstate == 0 || error.message[0] == '\0' ||
			(plan != NULL && error.sqlstate != ERRCODE_PROGRAM_LIMIT_EXCEEDED && writer == reader))
			abort();
		return;
	}
	if (FuzzDecode(writer, update, data, bytes, &update_sum) && writer == reader && plan != NULL &&
		!(FuzzDecode(writer, plan, data, bytes, &sum) && sum == update_sum))
		abort();
}

/* Parse two texts, resolve, and decode; reader NULL: as written. */
static inline void
FuzzPair(const char *writer_text, const char *reader_text, const uint8_t *data, size_t bytes)
{
	AvroArena	arena = {NULL};
	AvroNames	writer_names = {0};
	AvroNames	reader_names = {0};
	DecodeError error = {0};
	AvroSchema *writer = AvroSchemaParse(writer_text, &writer_names, &arena, &error);
	AvroSchema *reader = writer;
	AvroPlan   *plan = NULL;
	uint64_t	sum;
	char		buffer[64];

	if (reader_text != NULL && writer != NULL)
		reader = AvroSchemaParse(reader_text, &reader_names, &arena, &error);
	if (writer != NULL && reader != NULL)
	{
		if (strlen(AvroSchemaDescribe(writer, buffer, sizeof(buffer))) >= sizeof(buffer))
			abort();
		plan = AvroResolve(writer, reader, &arena, &error);
	}
	if (writer != NULL && reader != NULL)
		FuzzUpdate(writer, reader, plan, data, bytes, &arena);
	if (plan != NULL)
		(void) FuzzDecode(writer, plan, data, bytes, &sum);
	else if (error.sqlstate == 0 || error.message[0] == '\0')
		abort();
	AvroArenaFree(&arena);
}

#endif							/* AVRO_FUZZ_H */
