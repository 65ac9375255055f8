/*-------------------------------------------------------------------------
 *
 * record.h
 *		The bytes of one Kafka record become one change to a row.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_WIRE_RECORD_H
#define VENICE_WIRE_RECORD_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "common/decode_error.h"
#include "common/field_write.h"
#include "wire/format.h"

typedef struct RawRecord
{
	const char *key;
	int			key_bytes;		/* -1: null */
	const char *value;
	int			value_bytes;	/* -1: null, a tombstone */
	bool		is_patch;		/* a header says so: the value is JsonReaderDecodeUpdate's text of
								 * columns by name, whatever the format; RecordDecodeWrite only */
} RawRecord;

typedef enum RecordVerdict
{
	RECORD_PUT,					/* every column is filled */
	RECORD_UPDATE,				/* the key columns are filled, fields say what becomes of others */
	RECORD_DELETE,				/* the key columns are filled, the others are NULL */
	RECORD_NEEDS_SCHEMA,		/* add or refuse *schema_id, then decode the record again */
	RECORD_REJECTED				/* *error says why */
} RecordVerdict;

typedef struct RecordDecoder RecordDecoder;

/*
 * A decoder that lives in context and keeps its own copy of the format.  Raises
 * 22023 when the format makes no sense or a fixed schema is invalid, 42804 when
 * a fixed schema or a scalar key does not fit the columns.
 */
extern RecordDecoder *RecordDecoderCreate(const RecordFormat *format, MemoryContext context);

/*
 * What the registry has under a schema id: the texts that the schema refers to,
 * then the schema itself.  One that is invalid or does not fit the columns is no
 * error here; its records are rejected with the reason.
 */
extern void RecordDecoderAddSchema(RecordDecoder *decoder, int32 schema_id,
								   const char *const *texts, int ntexts);

/* The registry has no such schema: its records are rejected with this reason. */
extern void RecordDecoderRefuseSchema(RecordDecoder *decoder, int32 schema_id,
									  const DecodeError *error);

/*
 * Decode one record into values[] and isnull[], both of ncolumns.  By-reference
 * Datums are allocated in CurrentMemoryContext or belong to the decoder (defaults);
 * nothing points into the record.  A type's input function may raise an ERROR; the
 * decoder stays usable after it.  *schema_id is set with RECORD_NEEDS_SCHEMA and
 * *error with RECORD_REJECTED, else they are left alone.
 */
extern RecordVerdict RecordDecode(RecordDecoder *decoder, const RawRecord *record,
								  Datum *values, bool *isnull,
								  int32 *schema_id, DecodeError *error);

/*
 * The same for a record of a real-time topic, whose value may be an update of some columns:
 * by the format's write_partial, or because the record says so.  fields[], of ncolumns,
 * are filled for each column that is no key, with RECORD_PUT too.  A patch's key is the
 * record's, where others are read from values, too: written as a tombstone's.
 */
extern RecordVerdict RecordDecodeWrite(RecordDecoder *decoder, const RawRecord *record,
									   Datum *values, bool *isnull, FieldWrite *fields,
									   int32 *schema_id, DecodeError *error);

/*
 * For people: {"key": ..., "value": ...}, guessing no schema.  JSON stays JSON,
 * other valid text becomes a string, a Confluent frame {"schema_id": n, "bytes":
 * hex}, and anything else is hex.
 */
extern Jsonb *RecordDescribe(const RawRecord *record);

#endif							/* VENICE_WIRE_RECORD_H */
