/*-------------------------------------------------------------------------
 *
 * json.h
 *		JSON text to column values.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_WIRE_JSON_H
#define VENICE_WIRE_JSON_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "common/decode_error.h"
#include "common/field_write.h"
#include "wire/format.h"

typedef struct JsonReader JsonReader;

/*
 * A reader of objects whose members are the columns.  Lives in context; the
 * columns must live as long.  part ("key", "value") is what messages call the
 * text.  Raises 22023 for a field path with an empty name.
 */
extern JsonReader *JsonReaderCreate(const RecordColumn *columns, int ncolumns,
									const char *part, MemoryContext context);

/*
 * Decode one text into values and isnull.  If there is just one column, JSON
 * that is no object is its value.  False and *error for what is not JSON or not
 * text (22P02, 22021, 22P05), is nested too deeply (54001), has the wrong shape
 * (22P02) or lacks a value that is not null (23502); raises what a type's input
 * function raises.  The reader is usable after either.
 */
extern bool JsonReaderDecode(JsonReader *reader, const char *data, int data_bytes,
							 Datum *values, bool *isnull, DecodeError *error);

/*
 * The same for a text that changes some of the columns: fields, one for each column, say
 * how.  A member sets its column, to NULL if it is JSON null, or does something to it if it
 * is an object of operations, whose names begin with "$": {"$add": n}, {"$union": [...],
 * "$diff": [...]} of an array, {"$merge": {...}, "$remove": [...]} of a jsonb object.
 * A column without a member is kept.  Of other operations, and of any on a key, 22023;
 * 23502 for a key that is not there.  Raises 42804 for one that the column's type lacks.
 */
extern bool JsonReaderDecodeUpdate(JsonReader *reader, const char *data, int data_bytes,
								   FieldWrite *fields, DecodeError *error);

/* The text as jsonb, in the server's encoding already; NULL if it is none. */
extern Jsonb *JsonTextToJsonb(const char *text, int text_bytes);

#endif							/* VENICE_WIRE_JSON_H */
