/*-------------------------------------------------------------------------
 *
 * to_json.c
 *		Column values to JSON.
 *
 * What json.c reads as the same values, whatever the settings of either session.
 *
 * Locks: none.
 * Must not know: what the JSON is for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "wire/to_json.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "common/exact_text.h"

/*
 * Values that JSON has no form for, or one that the type does not read, are text in it:
 * those of types that have been made, rows and ranges, and arrays of them.
 */
static bool
is_text_in_json(Oid type)
{
	Oid			element = get_base_element_type(type);

	if (OidIsValid(element))
		type = element;
	type = getBaseType(type);
	return type >= FirstNormalObjectId || type_is_rowtype(type) || type_is_range(type) ||
		type_is_multirange(type);
}

static Datum
text_of(Oid type, Datum value)
{
	bool		is_varlena;
	Oid			function;

	getTypeOutputInfo(type, &function, &is_varlena);
	return CStringGetTextDatum(OidOutputFunctionCall(function, value));
}

char *
ColumnsToJsonText(TupleDesc columns, int first, int count, const Datum *values,
				  const bool *isnull)
{
	TupleDesc	descriptor = CreateTemplateTupleDesc(count);
	Datum	   *texts = palloc(count * sizeof(Datum));
	int			nest_level = ExactTextBegin();
	Datum		json;

	for (int i = 0; i < count; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(columns, first + i);

		texts[i] = values[i];
		TupleDescCopyEntry(descriptor, i + 1, columns, first + i + 1);
		if (!is_text_in_json(attribute->atttypid))
			continue;
		TupleDescInitEntry(descriptor, i + 1, NameStr(attribute->attname), TEXTOID, -1, 0);
		if (!isnull[i])
			texts[i] = text_of(attribute->atttypid, values[i]);
	}
	json = DirectFunctionCall1(row_to_json,
							   HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), texts,
																 unconstify(bool *, isnull))));
	ExactTextEnd(nest_level);
	return TextDatumGetCString(json);
}

Jsonb *
ColumnsToJson(TupleDesc columns, int first, int count, const Datum *values, const bool *isnull)
{
	char	   *text = ColumnsToJsonText(columns, first, count, values, isnull);

	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
}
