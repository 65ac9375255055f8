/*-------------------------------------------------------------------------
 *
 * type_input.c
 *		Text to a value of any type, through the type's input function, looked
 *		up once.
 *
 * What is ingested is stored as it came or not at all.  Input functions keep to
 * that but for the type modifiers that round, numeric's scale and the precision
 * of times: with those the value is read without the modifier first, and is
 * refused if the modifier changes it.  Arrays of such types are read as texts,
 * and each element by itself.
 *
 * Locks: none.  Must not know: where the text comes from.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/type_input.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

static bool
typmod_rounds(Oid type)
{
	switch (type)
	{
		case NUMERICOID:
		case TIMEOID:
		case TIMETZOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case INTERVALOID:
			return true;
		default:
			return false;
	}
}

void
TypeInputInit(TypeInput *input, Oid type, int32 typmod, MemoryContext context)
{
	Oid			function;
	Oid			element;
	int32		element_typmod;

	memset(input, 0, sizeof(*input));
	input->typmod = typmod;
	input->type = getBaseTypeAndTypmod(type, &input->typmod);
	input->domain = input->type != type ? type : InvalidOid;
	input->context = context;
	getTypeInputInfo(input->type, &function, &input->io_param);
	fmgr_info_cxt(function, &input->function, context);

	element = get_element_type(input->type);
	element_typmod = input->typmod;
	if (OidIsValid(element) &&
		typmod_rounds(getBaseTypeAndTypmod(element, &element_typmod)) && element_typmod >= 0)
	{
		input->element = MemoryContextAlloc(context, sizeof(TypeInput));
		TypeInputInit(input->element, element, input->typmod, context);
	}
}

/* The elements of an array, each through its own input. */
static Datum
call_by_element(TypeInput *input, char *string)
{
	TypeInput  *element = input->element;
	ArrayType  *texts;
	Oid			type = get_element_type(input->type);
	Datum	   *values;
	bool	   *nulls;
	int			count;
	int16		length;
	bool		by_value;
	char		alignment;

	texts = DatumGetArrayTypeP(InputFunctionCall(&input->function, string, TEXTOID, -1));
	deconstruct_array(texts, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			values[i] = TypeInputCall(element, TextDatumGetCString(values[i]));
		else if (OidIsValid(element->domain))
			domain_check((Datum) 0, true, element->domain, &element->domain_cache,
						 element->context);
	}
	get_typlenbyvalalign(type, &length, &by_value, &alignment);
	return PointerGetDatum(construct_md_array(values, nulls, ARR_NDIM(texts), ARR_DIMS(texts),
											  ARR_LBOUND(texts), type, length, by_value,
											  alignment));
}

Datum
TypeInputCall(TypeInput *input, char *string)
{
	bool		rounds = input->typmod >= 0 && typmod_rounds(input->type);
	Datum		value;

	if (input->element != NULL)
		value = call_by_element(input, string);
	else
		value = InputFunctionCall(&input->function, string, input->io_param,
								  rounds ? -1 : input->typmod);
	if (rounds)
		value = TypeInputApplyTypmod(value, input->type, input->typmod);
	if (OidIsValid(input->domain))
		domain_check(value, false, input->domain, &input->domain_cache, input->context);
	return value;
}

Datum
TypeInputApplyTypmod(Datum value, Oid type, int32 typmod)
{
	Datum		modifier = Int32GetDatum(typmod);
	Datum		applied;
	bool		same;

	if (typmod < 0)
		return value;
	switch (type)
	{
		case NUMERICOID:
			applied = DirectFunctionCall2(numeric, value, modifier);
			if (!DatumGetBool(DirectFunctionCall2(numeric_eq, value, applied)))
				ereport(ERROR,
						(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						 errmsg("value %s does not fit type %s without rounding",
								DatumGetCString(DirectFunctionCall1(numeric_out, value)),
								format_type_with_typemod(type, typmod))));
			return applied;
		case TIMEOID:
			applied = DirectFunctionCall2(time_scale, value, modifier);
			same = DatumGetTimeADT(value) == DatumGetTimeADT(applied);
			break;
		case TIMETZOID:
			applied = DirectFunctionCall2(timetz_scale, value, modifier);
			same = DatumGetTimeTzADTP(value)->time == DatumGetTimeTzADTP(applied)->time;
			break;
		case TIMESTAMPOID:
			applied = DirectFunctionCall2(timestamp_scale, value, modifier);
			same = DatumGetTimestamp(value) == DatumGetTimestamp(applied);
			break;
		case TIMESTAMPTZOID:
			applied = DirectFunctionCall2(timestamptz_scale, value, modifier);
			same = DatumGetTimestampTz(value) == DatumGetTimestampTz(applied);
			break;
		case INTERVALOID:
			applied = DirectFunctionCall2(interval_scale, value, modifier);
			same = memcmp(DatumGetIntervalP(value), DatumGetIntervalP(applied),
						  sizeof(Interval)) == 0;
			break;
		default:
			return value;
	}
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("value does not fit type %s without rounding",
						format_type_with_typemod(type, typmod))));
	return applied;
}
