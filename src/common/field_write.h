/*-------------------------------------------------------------------------
 *
 * field_write.h
 *		What a write does to one column.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_FIELD_WRITE_H
#define VENICE_FIELD_WRITE_H

#include "postgres.h"

typedef enum FieldChange
{
	FIELD_KEEP,
	FIELD_SET,
	FIELD_ADD,					/* a number to a number; by arrival only */
	FIELD_MEMBERS				/* of an array, or of a JSON object */
} FieldChange;

typedef struct FieldWrite
{
	FieldChange change;
	Datum		value;			/* what is set, or added; of members an array or an object */
	bool		isnull;
	Datum		removed;		/* members to take out: an array of the type, or text[] of keys */
	bool		removed_isnull;
} FieldWrite;

/* 42804 unless columns of that type can be written to in that way. */
extern void FieldWriteCheck(const char *column, Oid type, FieldChange change);

/* The function behind "+" of a number type; InvalidOid for others. */
extern Oid	FieldAddFunction(Oid type);

#endif							/* VENICE_FIELD_WRITE_H */
