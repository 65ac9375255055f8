/*-------------------------------------------------------------------------
 *
 * to_json.h
 *		Column values to JSON.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_WIRE_TO_JSON_H
#define VENICE_WIRE_TO_JSON_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "utils/jsonb.h"

/* Some columns, of which there are values, as an object; palloc'd.  jsonb has no -0. */
extern Jsonb *ColumnsToJson(TupleDesc columns, int first, int count, const Datum *values,
							const bool *isnull);
extern char *ColumnsToJsonText(TupleDesc columns, int first, int count, const Datum *values,
							   const bool *isnull);

#endif							/* VENICE_WIRE_TO_JSON_H */
