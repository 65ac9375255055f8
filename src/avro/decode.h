/*-------------------------------------------------------------------------
 *
 * decode.h
 *		Reads binary Avro within its bounds.
 *
 * A cursor walks over bytes that nobody vouches for.  Everything here checks
 * before it moves, and false with the cursor's error filled means that the
 * datum is to be given up: 22P03 malformed, 22021 text that is not UTF-8,
 * 54000 over a limit, 42804 a value that the plan refuses.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_AVRO_DECODE_H
#define VENICE_AVRO_DECODE_H

#include <string.h>

#include "avro/resolve.h"

/*
 * What a datum may become, whatever its bytes claim.  Items that take no bytes
 * (of an array of nulls, say) are counted, because a few bytes can announce
 * 2^62 of them; output counts names, symbols and defaults too, which a few
 * bytes can repeat, and is limited to so much and so much a byte of the datum.
 */
#ifndef AVRO_MAX_EMPTY_ITEMS	/* fuzzing is faster with fewer */
#define AVRO_MAX_EMPTY_ITEMS	65536
#endif
#define AVRO_MAX_OUTPUT_BYTES	(64 * 1024 * 1024)
#define AVRO_MAX_OUTPUT_RATIO	32

typedef struct AvroCursor
{
	const unsigned char *pos;
	const unsigned char *end;
	const unsigned char *start;
	int			depth;			/* of arrays, maps and records */
	int			empty_items;
	int64_t		output_left;	/* bytes */
	DecodeError *error;
} AvroCursor;

/* A value that is no array, map or record, after resolution. */
typedef struct AvroScalar
{
	AvroType	type;			/* the reader's */
	int64_t		integer;		/* boolean, int, long; ordinal of the reader's enum */
	double		real;			/* float, double */
	const char *data;			/* string, bytes, fixed: in the datum; enum: the symbol */
	size_t		bytes;
} AvroScalar;

/* The items of an array or the entries of a map, block by block. */
typedef struct AvroBlocks
{
	int64_t		left;			/* in the current block */
	const unsigned char *item;	/* where the current item began */
} AvroBlocks;

/*
 * Receives a value in depth-first order; each function returns false, *error
 * filled, to give up.  Arrays bring values, objects (of maps and records)
 * a key before each value.
 */
typedef struct AvroSink
{
	bool		(*scalar) (void *state, const AvroSchema *reader, const AvroScalar *scalar,
						   DecodeError *error);
	bool		(*key) (void *state, const char *name, size_t bytes, DecodeError *error);
	void		(*begin) (void *state, bool is_array);
	void		(*end) (void *state, bool is_array);
} AvroSink;

/*
 * A variable-length zig-zag number at pos; the position behind it, or NULL if
 * end comes first or it has more than 64 bits.
 */
static inline const unsigned char *
AvroVarint(const unsigned char *pos, const unsigned char *end, int64_t *value)
{
	uint64_t	bits;
	int			shift;

	if (unlikely(pos >= end))
		return NULL;
	bits = *pos++;
	if (unlikely(bits >= 0x80))
	{
		bits &= 0x7F;
		for (shift = 7;; shift += 7)
		{
			uint64_t	byte;

			if (pos >= end)
				return NULL;
			byte = *pos++;
			if (shift == 63 && byte > 1)
				return NULL;
			bits |= (byte & 0x7F) << shift;
			if (byte < 0x80)
				break;
		}
	}
	*value = (int64_t) (bits >> 1) ^ -(int64_t) (bits & 1);
	return pos;
}

/* Little-endian bits, whatever the machine; compilers make one load of it. */
static inline uint32_t
AvroBits4(const unsigned char *pos)
{
	return (uint32_t) pos[0] | (uint32_t) pos[1] << 8 |
		(uint32_t) pos[2] << 16 | (uint32_t) pos[3] << 24;
}

static inline float
AvroFloat(const unsigned char *pos)
{
	uint32_t	bits = AvroBits4(pos);
	float		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static inline double
AvroDouble(const unsigned char *pos)
{
	uint64_t	bits = (uint64_t) AvroBits4(pos) | (uint64_t) AvroBits4(pos + 4) << 32;
	double		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

extern void AvroCursorInit(AvroCursor *cursor, const void *data, size_t data_bytes,
						   DecodeError *error);

/* The datum must have been read to its last byte. */
extern bool AvroCursorEnd(const AvroCursor *cursor);

/* Which branch of the writer's union follows. */
extern bool AvroReadUnion(const AvroSchema *writer, AvroCursor *cursor, int *branch);

/* The plan of the branch that the datum chooses; plan itself if it is no union's. */
extern bool AvroReadBranch(const AvroPlan **plan, AvroCursor *cursor);

/* A value whose writer's type is no union, array, map or record. */
extern bool AvroReadScalar(const AvroPlan *plan, AvroCursor *cursor, AvroScalar *scalar);

/* A length and as many bytes, which stay where they are: a map's key. */
extern bool AvroReadBytes(AvroCursor *cursor, const char **data, size_t *bytes);

/*
 * Zero *blocks, then call until *more is false, reading one item after each
 * call that makes it true.  Entering and leaving counts one level of depth.
 */
extern bool AvroNextItem(AvroBlocks *blocks, AvroCursor *cursor, bool *more);

/*
 * In place of reading one item after AvroNextItem: that item and all that is
 * left of its block, for items of item_bytes each, which stay where they are.
 */
extern bool AvroReadItems(AvroBlocks *blocks, AvroCursor *cursor, size_t item_bytes,
						  const char **data, size_t *bytes);

extern bool AvroSkip(const AvroSchema *writer, AvroCursor *cursor);

/* Read any value into a sink. */
extern bool AvroWalk(const AvroPlan *plan, AvroCursor *cursor, const AvroSink *sink, void *state);

extern bool AvroIsUtf8(const char *data, size_t bytes);

#endif							/* VENICE_AVRO_DECODE_H */
