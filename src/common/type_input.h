/*-------------------------------------------------------------------------
 *
 * type_input.h
 *		Text to a value of any type, through the type's input function, looked
 *		up once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_TYPE_INPUT_H
#define VENICE_TYPE_INPUT_H

#include "postgres.h"

#include "fmgr.h"

typedef struct TypeInput
{
	FmgrInfo	function;
	Oid			type;			/* what lies under a domain */
	int32		typmod;
	Oid			io_param;
	Oid			domain;			/* InvalidOid when the type is none */
	void	   *domain_cache;
	struct TypeInput *element;	/* of an array, where a modifier could round them */
	MemoryContext context;
} TypeInput;

/* Look the function up.  What calls cache lives in context. */
extern void TypeInputInit(TypeInput *input, Oid type, int32 typmod, MemoryContext context);

/*
 * The value of a NUL-terminated string in the server's encoding, in the
 * current memory context.  Raises what the input function raises, and 22003
 * or 22008 where the type modifier would have rounded the value silently.
 */
extern Datum TypeInputCall(TypeInput *input, char *string);

/*
 * The same two rules for a value of type that did not come from a string: the
 * value under typmod, or an error where that is another value.
 */
extern Datum TypeInputApplyTypmod(Datum value, Oid type, int32 typmod);

#endif							/* VENICE_TYPE_INPUT_H */
