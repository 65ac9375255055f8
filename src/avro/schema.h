/*-------------------------------------------------------------------------
 *
 * schema.h
 *		An Avro schema as a graph.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_AVRO_SCHEMA_H
#define VENICE_AVRO_SCHEMA_H

#include "avro/core.h"

typedef enum AvroType
{
	AVRO_NULL,
	AVRO_BOOLEAN,
	AVRO_INT,
	AVRO_LONG,
	AVRO_FLOAT,
	AVRO_DOUBLE,
	AVRO_BYTES,
	AVRO_STRING,				/* the last primitive */
	AVRO_ARRAY,
	AVRO_MAP,
	AVRO_UNION,
	AVRO_RECORD,				/* an error type is one too */
	AVRO_ENUM,
	AVRO_FIXED
} AvroType;

/* A logical type that is unknown or does not suit its type is AVRO_PLAIN. */
typedef enum AvroLogical
{
	AVRO_PLAIN,
	AVRO_DECIMAL,
	AVRO_UUID,
	AVRO_DATE,
	AVRO_TIME_MILLIS,
	AVRO_TIME_MICROS,
	AVRO_TIMESTAMP_MILLIS,
	AVRO_TIMESTAMP_MICROS,
	AVRO_LOCAL_TIMESTAMP_MILLIS,
	AVRO_LOCAL_TIMESTAMP_MICROS,
	AVRO_DURATION
} AvroLogical;

typedef struct AvroSchema AvroSchema;

typedef struct AvroField
{
	const char *name;
	const char **aliases;
	int			naliases;
	AvroSchema *schema;
	bool		has_default;
	const unsigned char *default_data;	/* encoded; NULL when it does not suit the schema */
	size_t		default_bytes;
} AvroField;

struct AvroSchema
{
	AvroType	type;
	AvroLogical logical;
	int			precision;		/* of a decimal */
	int			scale;
	const char *name;			/* full name of a record, enum or fixed */
	const char *short_name;		/* the part after the last dot */
	const char **aliases;		/* full names */
	int			naliases;
	size_t		size;			/* bytes of a fixed */
	int			count;			/* of fields, symbols or branches */
	AvroField  *fields;
	const char **symbols;
	int			default_symbol; /* of an enum, or -1 */
	AvroSchema **branches;		/* of a union */
	AvroSchema *items;			/* of an array or a map */
};

/* The names that several texts share. */
typedef struct AvroNames
{
	AvroSchema **schemas;
	int			count;
	int			size;
	int			nodes;			/* made so far, named or not */
} AvroNames;

/*
 * Parse one text into the arena, adding the names it defines to *names (zeroed
 * before the first).  A recursive schema is a cyclic graph.  NULL and *error:
 * 22023 when it is not a schema, 54000 over a limit.
 */
extern AvroSchema *AvroSchemaParse(const char *text, AvroNames *names, AvroArena *arena,
								   DecodeError *error);

/* "long", "array", …; logical types' names; "" for AVRO_PLAIN. */
extern const char *AvroTypeName(AvroType type);
extern const char *AvroLogicalName(AvroLogical logical);

/*
 * The schema for people, cut to fit buffer: "union{null,long
 * (timestamp-millis)}".  Named types are named, not spelled out.  Returns
 * buffer.
 */
extern char *AvroSchemaDescribe(const AvroSchema *schema, char *buffer, size_t buffer_bytes);

#endif							/* VENICE_AVRO_SCHEMA_H */
