/*-------------------------------------------------------------------------
 *
 * encode.h
 *		PostgreSQL values to binary Avro.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_AVRO_ENCODE_H
#define VENICE_AVRO_ENCODE_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "avro/reader.h"
#include "common/decode_error.h"

typedef struct AvroWriter AvroWriter;

/*
 * Compile: what AvroReaderCreate makes of a datum's fields for columns, the other way
 * round; a schema without fields is the value of the only column.  Of columns the first
 * `optional` may have no field; every other has one, and a field without a column has a
 * default or may be null.  The writer lives in context.  NULL and *error when the schema is
 * invalid (22023, 54000), or does not fit the columns (42804).
 */
extern AvroWriter *AvroWriterCreate(const char *schema_text, const AvroColumn *columns,
									int ncolumns, int optional, MemoryContext context,
									DecodeError *error);

/*
 * Append one datum of these values.  False and *error for what the schema cannot say:
 * 22003, 22008 where it would be rounded, 23502 for a NULL, 22P02; raises what a type's
 * input and output functions raise.  *out is then as long as it was.
 */
extern bool AvroWriterEncode(AvroWriter *writer, const Datum *values, const bool *isnull,
							 StringInfo out, DecodeError *error);

#endif							/* VENICE_AVRO_ENCODE_H */
