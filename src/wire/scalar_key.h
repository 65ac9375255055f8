/*-------------------------------------------------------------------------
 *
 * scalar_key.h
 *		Keys of one value in a plain format: text, int4, int8, uuid.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_WIRE_SCALAR_KEY_H
#define VENICE_WIRE_SCALAR_KEY_H

#include "postgres.h"

#include "common/decode_error.h"
#include "wire/format.h"

typedef struct ScalarKey ScalarKey;

/*
 * Keys in format for column, which must live as long.  Lives in context.
 * Raises 42804 for a column whose type such keys do not have.
 */
extern ScalarKey *ScalarKeyCreate(WireFormat format, const RecordColumn *column,
								  MemoryContext context);

/*
 * Decode one key.  False and *error for the wrong number of bytes (22P03), bytes
 * that are no text (22021) and an integer that the column cannot hold (22003);
 * raises what the type's input function raises.
 */
extern bool ScalarKeyDecode(ScalarKey *key, const char *data, int data_bytes,
							Datum *value, DecodeError *error);

#endif							/* VENICE_WIRE_SCALAR_KEY_H */
