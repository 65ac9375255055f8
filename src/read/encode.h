/*-------------------------------------------------------------------------
 *
 * encode.h
 *		Rows as bytes, in the server's binary COPY format.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_ENCODE_H
#define VENICE_ENCODE_H

#include "access/tupdesc.h"
#include "lib/stringinfo.h"

/* How the columns of a table are written. */
typedef struct RowEncoder RowEncoder;

/*
 * For these columns of a table, in memory of `context`.  42883 when a type has
 * no binary form.
 */
extern RowEncoder *RowEncoderMake(MemoryContext context, TupleDesc table,
								  const AttrNumber *attributes, int count);

/*
 * Is a row's form the same for every client and for as long as its values are?  Not
 * for text that is converted, nor for types of users', whose form may be altered.
 */
extern bool RowEncoderIsStable(const RowEncoder *encoder);

/* The columns that it writes, in memory of `context`. */
extern AttrNumber *RowEncoderAttributes(const RowEncoder *encoder, MemoryContext context,
										int *count);

/* Append one row: the table's columns by number less one. */
extern void RowEncode(const RowEncoder *encoder, const Datum *values, const bool *nulls,
					  StringInfo bytes);

/* Append a row without fields, which stands for a key that was not found. */
extern void RowEncodeAbsent(StringInfo bytes);

/* What stands before the first row, and after the last. */
extern void EncodeBegin(StringInfo bytes);
extern void EncodeEnd(StringInfo bytes);

#endif							/* VENICE_ENCODE_H */
