/*-------------------------------------------------------------------------
 *
 * to_jsonb.c
 *		Any Avro value as jsonb.
 *
 * A value is what to_jsonb() makes of the PostgreSQL value that it means, so
 * that casting what ->> returns gives the value back: numbers are exact
 * numbers, bytes are '\x…' text (Avro's own JSON encoding of them has NULs,
 * which jsonb cannot hold), dates and times are ISO 8601, in UTC whatever the
 * session's time zone, NaN and the infinities are strings.  Records and maps
 * are objects, the branch of a union leaves no trace.
 *
 * Locks: none.  Must not know: columns.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "avro/to_jsonb.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "avro/scalar.h"

typedef struct JsonbBuild
{
	JsonbParseState *stack;		/* NULL outside of arrays and objects */
	JsonbValue	scalar;			/* the result, if it is one */
	JsonbValue *container;		/* the result, if it is one */
} JsonbBuild;

static bool
make_string(JsonbValue *json, const char *data, size_t bytes, DecodeError *error)
{
	json->type = jbvString;
	if (!AvroTextToServer(data, &bytes, &json->val.string.val, error))
		return false;
	json->val.string.len = (int) bytes;
	return true;
}

static bool
make_scalar(JsonbValue *json, const AvroSchema *schema, const AvroScalar *scalar,
			DecodeError *error)
{
	Datum		value;
	char	   *text;

	switch (AvroNaturalType(schema))
	{
		case InvalidOid:
			json->type = jbvNull;
			return true;
		case BOOLOID:
			json->type = jbvBool;
			json->val.boolean = scalar->integer != 0;
			return true;
		case INT4OID:
		case INT8OID:
			json->type = jbvNumeric;
			json->val.numeric = int64_to_numeric(scalar->integer);
			return true;
		case NUMERICOID:
			if (!AvroScalarToDatum(schema, scalar, &value, error))
				return false;
			json->type = jbvNumeric;
			json->val.numeric = DatumGetNumeric(value);
			return true;
		case TEXTOID:
			return make_string(json, scalar->data, scalar->bytes, error);
		default:
			break;
	}
	if (!AvroScalarToText(schema, scalar, &text, error))
		return false;
	if ((scalar->type == AVRO_FLOAT || scalar->type == AVRO_DOUBLE) && isfinite(scalar->real))
	{
		json->type = jbvNumeric;
		json->val.numeric = DatumGetNumeric(DirectFunctionCall3(numeric_in,
																CStringGetDatum(text),
																ObjectIdGetDatum(InvalidOid),
																Int32GetDatum(-1)));
		return true;
	}
	json->type = jbvString;
	json->val.string.val = text;
	json->val.string.len = (int) strlen(text);
	return true;
}

static bool
build_scalar(void *state, const AvroSchema *schema, const AvroScalar *scalar, DecodeError *error)
{
	JsonbBuild *build = state;

	if (!make_scalar(&build->scalar, schema, scalar, error))
		return false;
	if (build->stack != NULL)
		pushJsonbValue(&build->stack,
					   build->stack->contVal.type == jbvArray ? WJB_ELEM : WJB_VALUE,
					   &build->scalar);
	return true;
}

static bool
build_key(void *state, const char *name, size_t bytes, DecodeError *error)
{
	JsonbBuild *build = state;
	JsonbValue	key;

	if (!make_string(&key, name, bytes, error))
		return false;
	pushJsonbValue(&build->stack, WJB_KEY, &key);
	return true;
}

static void
build_begin(void *state, bool is_array)
{
	JsonbBuild *build = state;

	pushJsonbValue(&build->stack, is_array ? WJB_BEGIN_ARRAY : WJB_BEGIN_OBJECT, NULL);
}

static void
build_end(void *state, bool is_array)
{
	JsonbBuild *build = state;

	build->container = pushJsonbValue(&build->stack,
									  is_array ? WJB_END_ARRAY : WJB_END_OBJECT, NULL);
}

bool
AvroToJsonb(const AvroPlan *plan, AvroCursor *cursor, Jsonb **result)
{
	static const AvroSink sink = {build_scalar, build_key, build_begin, build_end};
	JsonbBuild	build = {0};

	if (!AvroWalk(plan, cursor, &sink, &build))
		return false;
	*result = JsonbValueToJsonb(build.container != NULL ? build.container : &build.scalar);
	return true;
}
