/*-------------------------------------------------------------------------
 *
 * core.h
 *		All that the Avro core needs from where it runs: memory and SQLSTATEs.
 *
 * schema.c, resolve.c and decode.c are pure C, so that they can be fuzzed
 * without a server.  In the server they allocate from a memory context; built
 * with AVRO_STANDALONE, from an arena on malloc.  Either is freed as a whole,
 * and neither ever returns NULL.
 *
 * Must not know: anything of the server but what is named here.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_AVRO_CORE_H
#define VENICE_AVRO_CORE_H

#ifdef AVRO_STANDALONE

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define PGSIXBIT(ch)	(((ch) - '0') & 0x3F)
#define MAKE_SQLSTATE(ch1,ch2,ch3,ch4,ch5)	\
	(PGSIXBIT(ch1) + (PGSIXBIT(ch2) << 6) + (PGSIXBIT(ch3) << 12) + \
	 (PGSIXBIT(ch4) << 18) + (PGSIXBIT(ch5) << 24))
#include "utils/errcodes.h"

#define likely(x)		__builtin_expect((x) != 0, 1)
#define unlikely(x)		__builtin_expect((x) != 0, 0)

typedef struct AvroArena
{
	struct AvroArena *next;		/* the arena itself is the list's head */
} AvroArena;

static inline void *
AvroAlloc(AvroArena *arena, size_t size)
{
	AvroArena  *chunk = calloc(1, sizeof(AvroArena) + 8 + size);

	if (chunk == NULL)
		abort();
	chunk->next = arena->next;
	arena->next = chunk;
	return (char *) chunk + sizeof(AvroArena) + 8;
}

static inline void
AvroArenaFree(AvroArena *arena)
{
	AvroArena  *chunk;

	while ((chunk = arena->next) != NULL)
	{
		arena->next = chunk->next;
		free(chunk);
	}
}

#else							/* in the server */

#include "postgres.h"

#include "utils/memutils.h"
#include "utils/palloc.h"

typedef MemoryContextData AvroArena;

/* Zeroed memory. */
static inline void *
AvroAlloc(AvroArena *arena, size_t size)
{
	return MemoryContextAllocZero(arena, size);
}

#endif							/* AVRO_STANDALONE */

#include "common/decode_error.h"

/* Fills *error and returns false, so that a caller can return it. */
extern bool AvroFail(DecodeError *error, int sqlstate, const char *format,...)
			__attribute__((format(printf, 3, 4)));

/* Nesting of schemas, of values, and of defaults. */
#define AVRO_MAX_DEPTH			64

/* One schema text, and the nodes of a schema or a plan. */
#define AVRO_MAX_SCHEMA_BYTES	(1024 * 1024)
#define AVRO_MAX_NODES			16384

#endif							/* VENICE_AVRO_CORE_H */
