/*-------------------------------------------------------------------------
 *
 * definition.c
 *		An entry of the registry as an object of a definition file.
 *
 * An export builds ten thousands of these: general functions of jsonb, which look
 * every type up and make the whole object again at each step, take four times as
 * long as this one, which knows the few types that the registry's tables have.
 *
 * Locks: none.
 * Must not know: which entries there are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

PG_FUNCTION_INFO_V1(venice_definition_object);

static JsonbValue *
string_value(JsonbValue *value, const char *string, size_t length)
{
	value->type = jbvString;
	value->val.string.val = unconstify(char *, string);
	value->val.string.len = length;
	return value;
}

static JsonbValue *
text_value(JsonbValue *value, const text *string)
{
	return string_value(value, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
}

static void
push_array(JsonbParseState **state, ArrayType *array)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	(void) pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < count; i++)
	{
		JsonbValue	value = {.type = jbvNull};

		if (!nulls[i])
			text_value(&value, DatumGetTextPP(elements[i]));
		(void) pushJsonbValue(state, WJB_ELEM, &value);
	}
	(void) pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

static void
push_value(JsonbParseState **state, Oid type, Datum datum)
{
	JsonbValue	value;

	switch (type)
	{
		case TEXTARRAYOID:
			push_array(state, DatumGetArrayTypeP(datum));
			return;
		case TEXTOID:
			text_value(&value, DatumGetTextPP(datum));
			break;
		case NAMEOID:
			string_value(&value, NameStr(*DatumGetName(datum)),
						 strlen(NameStr(*DatumGetName(datum))));
			break;
		case BOOLOID:
			value.type = jbvBool;
			value.val.boolean = DatumGetBool(datum);
			break;
		case INT4OID:
			value.type = jbvNumeric;
			value.val.numeric = int64_to_numeric(DatumGetInt32(datum));
			break;
		default:
			elog(ERROR, "no value of a definition is of type %u", type);
	}
	(void) pushJsonbValue(state, WJB_VALUE, &value);
}

/*
 * venice_definition_object
 *		definition_object(options, key, value, …): the values that are not NULL, and
 *		the options, which win.  Keys are literals.
 */
Datum
venice_definition_object(PG_FUNCTION_ARGS)
{
	JsonbParseState *state = NULL;
	JsonbIterator *options = JsonbIteratorInit(&PG_GETARG_JSONB_P(0)->root);
	JsonbIteratorToken token = JsonbIteratorNext(&options, &(JsonbValue) {0}, true);
	JsonbValue	value;

	Assert(token == WJB_BEGIN_OBJECT);
	(void) pushJsonbValue(&state, token, NULL);
	for (int i = 1; i + 1 < PG_NARGS(); i += 2)
	{
		const char *key = PG_GETARG_CSTRING(i);

		Assert(get_fn_expr_argtype(fcinfo->flinfo, i) == UNKNOWNOID);
		if (PG_ARGISNULL(i + 1))
			continue;
		(void) pushJsonbValue(&state, WJB_KEY, string_value(&value, key, strlen(key)));
		push_value(&state, get_fn_expr_argtype(fcinfo->flinfo, i + 1), PG_GETARG_DATUM(i + 1));
	}
	while ((token = JsonbIteratorNext(&options, &value, true)) != WJB_END_OBJECT)
		(void) pushJsonbValue(&state, token, &value);
	PG_RETURN_JSONB_P(JsonbValueToJsonb(pushJsonbValue(&state, token, NULL)));
}
