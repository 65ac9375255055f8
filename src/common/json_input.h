/*-------------------------------------------------------------------------
 *
 * json_input.h
 *		A member of a JSON object to a value of any type, as the server's
 *		jsonb_to_record converts it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_JSON_INPUT_H
#define VENICE_JSON_INPUT_H

#include "access/htup.h"
#include "fmgr.h"
#include "utils/jsonb.h"

typedef struct JsonInput
{
	FmgrInfo	function;
	HeapTupleHeader empty;		/* a row of the one column, NULL */
} JsonInput;

/* For the member of that name.  What calls cache lives in the current memory context. */
extern void JsonInputInit(JsonInput *input, const char *name, Oid type, int32 typmod);

/*
 * The member's value, in the current memory context; NULL where it is JSON null or is
 * not there.  Raises what the type's input function raises, and runs the CHECKs of
 * domains within the type: the caller decides as whom.
 */
extern Datum JsonInputCall(JsonInput *input, const Jsonb *object, bool *is_null);

/* pushJsonbValue of a key, or of a string. */
extern void JsonbPushString(JsonbParseState **state, JsonbIteratorToken token,
							const char *string);

#endif							/* VENICE_JSON_INPUT_H */
