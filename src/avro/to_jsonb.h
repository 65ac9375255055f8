/*-------------------------------------------------------------------------
 *
 * to_jsonb.h
 *		Any Avro value as jsonb.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_AVRO_TO_JSONB_H
#define VENICE_AVRO_TO_JSONB_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "avro/decode.h"

/* Read the value at the cursor by plan; *result is palloc'd. */
extern bool AvroToJsonb(const AvroPlan *plan, AvroCursor *cursor, Jsonb **result);

#endif							/* VENICE_AVRO_TO_JSONB_H */
