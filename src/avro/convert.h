/*-------------------------------------------------------------------------
 *
 * convert.h
 *		One Avro value as a value of a column's type.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_AVRO_CONVERT_H
#define VENICE_AVRO_CONVERT_H

#include "postgres.h"

#include "avro/decode.h"

typedef struct AvroConvert AvroConvert;

/*
 * How values of plan become values of type.  Lives in context, as does what
 * calls cache.  NULL and *error (42804) if some branch of plan does not fit
 * the type.
 */
extern AvroConvert *AvroConvertCreate(const AvroPlan *plan, Oid type, int32 typmod,
									  MemoryContext context, DecodeError *error);

/* Is it AvroScalarToDatum of a writer's value that needed no promotion, and nothing else? */
extern bool AvroConvertIsNatural(const AvroConvert *convert);

/* Read the value at the cursor; palloc'd where it is by reference. */
extern bool AvroConvertRead(AvroConvert *convert, AvroCursor *cursor,
							Datum *value, bool *isnull);

#endif							/* VENICE_AVRO_CONVERT_H */
