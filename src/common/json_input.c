/*-------------------------------------------------------------------------
 *
 * json_input.c
 *		A member of a JSON object to a value of any type, as the server's
 *		jsonb_to_record converts it.
 *
 * That function needs a query around it, which an error would show as its context,
 * and reads all members at once, so that an error could not say which.  Its sibling
 * jsonb_populate_record takes the columns from a row that it is given: ours has one.
 *
 * Locks: none.
 * Must not know: what the values are for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/json_input.h"

#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "nodes/makefuncs.h"
#include "utils/fmgroids.h"

void
JsonInputInit(JsonInput *input, const char *name, Oid type, int32 typmod)
{
	TupleDesc	descriptor = CreateTemplateTupleDesc(1);
	Datum		value = (Datum) 0;
	bool		is_null = true;
	List	   *arguments = list_make2(makeNullConst(RECORDOID, -1, InvalidOid),
									   makeNullConst(JSONBOID, -1, InvalidOid));

	TupleDescInitEntry(descriptor, 1, name, type, typmod, 0);
	input->empty = heap_form_tuple(BlessTupleDesc(descriptor), &value, &is_null)->t_data;
	fmgr_info(F_JSONB_POPULATE_RECORD, &input->function);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_JSONB_POPULATE_RECORD, RECORDOID, arguments,
											 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL),
					   &input->function);
}

Datum
JsonInputCall(JsonInput *input, const Jsonb *object, bool *is_null)
{
	Datum		row = FunctionCall2(&input->function, HeapTupleHeaderGetDatum(input->empty),
									JsonbPGetDatum(object));

	return GetAttributeByNum(DatumGetHeapTupleHeader(row), 1, is_null);
}

void
JsonbPushString(JsonbParseState **state, JsonbIteratorToken token, const char *string)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = unconstify(char *, string);
	value.val.string.len = strlen(string);
	(void) pushJsonbValue(state, token, &value);
}
