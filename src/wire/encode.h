/*-------------------------------------------------------------------------
 *
 * encode.h
 *		One change of a row becomes the bytes of a Kafka record.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_WIRE_ENCODE_H
#define VENICE_WIRE_ENCODE_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#include "common/decode_error.h"
#include "wire/format.h"

typedef struct RecordEncoder RecordEncoder;

/* A frame's schema id that is not known yet: the frame has 0 in its place. */
#define SCHEMA_ID_UNKNOWN	(-1)

/*
 * An encoder of records that a RecordDecoder of the same format makes the same values of.
 * The schemas of the format are what is written, also by WIRE_CONFLUENT_AVRO, with these
 * ids in the frames.  Lives in context; the format's columns must live as long.  Raises
 * 22023 or 42804 where the format cannot be written.
 */
extern RecordEncoder *RecordEncoderCreate(const RecordFormat *format, int32 key_schema_id,
										  int32 value_schema_id, MemoryContext context);

/*
 * Append the key of a row, or its value, in values of all columns.  Raises what does not
 * fit: 22003, 22008, 23502, 22P02.  0A000 for a key that nobody could read: of a tombstone
 * or an update, where keys are read from values of plain Avro.
 */
extern void RecordEncodeKey(RecordEncoder *encoder, const Datum *values, const bool *isnull,
							bool is_put, StringInfo out);
extern void RecordEncodeValue(RecordEncoder *encoder, const Datum *values, const bool *isnull,
							  StringInfo out);

/* Do keys carry a schema's id? */
extern bool RecordKeyIsFramed(const RecordEncoder *encoder);

/* Append a patch. */
extern void RecordEncodePatch(const Jsonb *patch, StringInfo out);

/* Put a schema's id into a frame that has none. */
extern void RecordFrameFill(char *frame, int32 schema_id);

/* Can the format's keys, or values, be written with this schema? */
extern bool RecordSchemaFits(const RecordFormat *format, bool is_key, const char *schema);

/*
 * A schema for the format's keys, or values, where nobody has given one; palloc'd.  55000
 * where no Avro type would do for a column.
 */
extern char *RecordSchemaMake(const RecordFormat *format, bool is_key, const char *store);

#endif							/* VENICE_WIRE_ENCODE_H */
