/*-------------------------------------------------------------------------
 *
 * order.h
 *		An order of values that is the same on every server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_MERGE_ORDER_H
#define VENICE_MERGE_ORDER_H

#include "fmgr.h"
#include "lib/stringinfo.h"

typedef struct ValueType
{
	Oid			type;
	int16		length;
	bool		by_value;
	char		align;
	FmgrInfo	compare;		/* fn_oid invalid: the type has no order, bytes decide */
	FmgrInfo	send;
	FmgrInfo	receive;
	Oid			io_param;
} ValueType;

/* Look a type up; what calls cache lives in context. */
extern void ValueTypeInit(ValueType *type, Oid oid, MemoryContext context);

/*
 * Which of two values is the larger: by the type's own order, text and what consists
 * of text by its bytes, whatever the database's collation.  NULL is less than any value.
 */
extern int	ValueCompare(ValueType *type, Datum a, bool a_isnull, Datum b, bool b_isnull);

/* A value that is not NULL, in the type's binary form; what is read is palloc'd. */
extern void ValueWrite(StringInfo buffer, ValueType *type, Datum value);
extern Datum ValueRead(StringInfo buffer, ValueType *type);

#endif							/* VENICE_MERGE_ORDER_H */
