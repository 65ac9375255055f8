/*-------------------------------------------------------------------------
 *
 * type_input.c
 *		Text to a value of any type, through the type's input function, looked
 *		up once.
 *
 * What is ingested is stored as it came or not at all.  Input functions keep to
 * that but for the type modifiers that round, numeric's scale and the precision
 * of times: with those the value is read without the modifier first, and is
 * refused if the modifier changes it.
 *
 * Locks: none.  Must not know: where the text comes from.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/type_input.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

void
TypeInputInit(TypeInput *input, Oid type, int32 typmod, MemoryContext context)
{
	Oid			function;

	memset(input, 0, sizeof(*input));
	input->typmod = typmod;
	input->type = getBaseTypeAndTypmod(type, &input->typmod);
	input->domain = input->type != type ? type : InvalidOid;
	input->context = context;
	getTypeInputInfo(input->type, &function, &input->io_param);
	fmgr_info_cxt(function, &input->function, context);
}

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

Datum
TypeInputCall(TypeInput *input, char *string)
{
	bool		rounds = input->typmod >= 0 && typmod_rounds(input->type);
	Datum		value = InputFunctionCall(&input->function, string, input->io_param,
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
