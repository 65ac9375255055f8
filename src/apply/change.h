/*-------------------------------------------------------------------------
 *
 * change.h
 *		Writes as JSON: what a caller patches, and what the log keeps.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_APPLY_CHANGE_H
#define VENICE_APPLY_CHANGE_H

#include "access/tupdesc.h"
#include "utils/jsonb.h"

#include "merge/merge.h"

typedef struct ChangeReader ChangeReader;

/*
 * Reads writes to columns, the first key_count of which are keys.  Lives in context;
 * columns must live as long.
 */
extern ChangeReader *ChangeReaderCreate(TupleDesc columns, int key_count, MemoryContext context);

/*
 * The fields of an update: an object of columns, each with the value to set it to, or with
 * one of {"$add": n}, {"$union": [...], "$diff": [...]}, {"$merge": {...}, "$remove":
 * [...]}.  22023 for what is no patch, 42703 for a column that is none or a key, 42804
 * where the column's type does not go with it.  Palloc'd in CurrentMemoryContext, as below.
 */
extern FieldWrite *ChangeReadPatch(ChangeReader *reader, const Jsonb *patch);

/* The fields of a row put: a column that is missing takes its default of the version. */
extern FieldWrite *ChangeReadRow(ChangeReader *reader, const Jsonb *row);

/* The values of the key columns. */
extern Datum *ChangeReadKey(ChangeReader *reader, const Jsonb *key);

/*
 * A patch, whose fields have been read, as it is to be read again later: values that depend
 * on settings, or on the day, as they are now.
 */
extern Jsonb *ChangeToLoggedPatch(ChangeReader *reader, const Jsonb *patch,
								  const FieldWrite *fields);

#endif							/* VENICE_APPLY_CHANGE_H */
