/*-------------------------------------------------------------------------
 *
 * scalar.h
 *		The PostgreSQL value that an Avro scalar means.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_AVRO_SCALAR_H
#define VENICE_AVRO_SCALAR_H

#include "postgres.h"

#include "avro/decode.h"

/*
 * The type that a schema's values are, by logical type if it has one: an array
 * type for an array of scalars, jsonb for what has no better type, InvalidOid
 * for null.  A union of one type with null is that type.
 */
extern Oid	AvroNaturalType(const AvroSchema *schema);

/* The branch of a union of one type with null, or schema itself. */
extern const AvroSchema *AvroWithoutNull(const AvroSchema *schema, bool *nullable);

/* A value of AvroNaturalType, palloc'd where it is by reference. */
extern bool AvroScalarToDatum(const AvroSchema *schema, const AvroScalar *scalar,
							  Datum *value, DecodeError *error);

/*
 * The same as NUL-terminated text in the server's encoding, palloc'd: the
 * shortest exact number, ISO 8601, bytes in hexadecimal.  Settings do not
 * change it.
 */
extern bool AvroScalarToText(const AvroSchema *schema, const AvroScalar *scalar,
							 char **text, DecodeError *error);

/* UTF-8 without NULs to the server's encoding; length of the result in *bytes. */
extern bool AvroTextToServer(const char *data, size_t *bytes, char **text, DecodeError *error);

#endif							/* VENICE_AVRO_SCALAR_H */
