/*-------------------------------------------------------------------------
 *
 * resolve.h
 *		How data that was written with one schema is read with another.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_AVRO_RESOLVE_H
#define VENICE_AVRO_RESOLVE_H

#include "avro/schema.h"

typedef struct AvroPlan AvroPlan;

/* What a value says of a field. */
typedef enum AvroUpdate
{
	AVRO_UPDATE_SET,			/* that it is this value */
	AVRO_UPDATE_KEEP,
	AVRO_UPDATE_LIST,			/* "setUnion" is added to it, then "setDiff" taken out */
	AVRO_UPDATE_MAP				/* "mapUnion", "mapDiff" */
} AvroUpdate;

/* One field of the writer's record, in the order of the bytes. */
typedef struct AvroStep
{
	const AvroSchema *writer;
	AvroPlan   *plan;			/* NULL: the reader has no such field, skip it */
	int			field;			/* of the reader's record */
} AvroStep;

/* A field of the reader's record that the writer's lacks. */
typedef struct AvroMissing
{
	AvroPlan   *plan;			/* of the default's bytes */
	int			field;
	const unsigned char *data;
	size_t		bytes;
} AvroMissing;

/*
 * What to do with one value.  If the writer's schema is a union, branches has
 * a plan for each of its branches and the rest is of no meaning; else reader
 * is the schema that the value has after resolution, never a union: the chosen
 * branch, where the reader has one.
 */
struct AvroPlan
{
	const char *refusal;		/* not NULL: every such value is refused with this message */
	const AvroSchema *writer;
	const AvroSchema *reader;
	AvroPlan  **branches;		/* of the writer's union */
	AvroPlan   *items;			/* of an array or a map */
	AvroStep   *steps;			/* writer->count of them, of a record */
	AvroMissing *missing;
	int			nmissing;
	AvroUpdate	update;			/* of a branch of the writer's union, in an update */
	int		   *symbols;		/* of an enum: the writer's ordinal to the reader's, or -1 */
};

/*
 * Resolve by the specification's rules; as written when reader is the same
 * graph as writer.  The plan points into both schemas.  NULL and *error
 * (42804, 54000) when no value could be read; what concerns some values only,
 * such as one branch of the writer's union, becomes a refusal in the plan.
 */
extern AvroPlan *AvroResolve(const AvroSchema *writer, const AvroSchema *reader,
							 AvroArena *arena, DecodeError *error);

/*
 * The same for a writer's record, in a union with null or not, that says something of
 * some of the reader's fields: of whatever name the two are, fields that the writer has
 * not are not in the plan.  A field's union that begins with Venice's NoOp, an empty
 * record, may have Venice's operations among its branches: records whose names end in
 * ListOps or MapOps, which are read as written, but what is added as the reader's field.
 */
extern AvroPlan *AvroResolveUpdate(const AvroSchema *writer, const AvroSchema *reader,
								   AvroArena *arena, DecodeError *error);

#endif							/* VENICE_AVRO_RESOLVE_H */
