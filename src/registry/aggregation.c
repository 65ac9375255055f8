/*-------------------------------------------------------------------------
 *
 * aggregation.c
 *		Aggregates over a window of time, as views define them.
 *
 * The option "aggregations" of a view is an array, each element of which is a feature.
 * It is kept there as it was written, and with the feature what of it is not kept
 * elsewhere: so what a feature means can be told without its view's other features.
 *
 * Lengths of windows are absolute: a day is 24 hours, whatever the time zone, and a
 * month, which has no length, is refused.
 *
 * Locks: none.
 * Must not know: how an aggregate is computed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "registry/aggregation.h"

#include "catalog/pg_type.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "common/compat.h"
#include "common/item_list.h"
#include "common/length_of_time.h"
#include "common/store_options.h"
#include "store/definition.h"

#define MAX_K 1000

/* No time less a window and a hop overflows. */
#define MAX_LENGTH_US (END_TIMESTAMP / 4)

/* In the order of AggregateFunction, which is that of the alphabet. */
static const char *const functions[] = {
	"avg", "count", "distinct_count", "first", "last", "max", "min", "stddev", "sum", "top_k"
};

static const char *const keys[] = {"column", "function", "hop", "k", "name", "window", NULL};

static AggregateFunction
function_of(const char *name)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < lengthof(functions); i++)
	{
		if (name != NULL && strcmp(functions[i], name) == 0)
			return i;
		ItemListAppend(&names, "%s", functions[i]);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 name == NULL ? errmsg("aggregation has no function") :
			 errmsg("unrecognized function of an aggregation: \"%s\"", name),
			 errhint("Functions are %s.", names.data)));
	return AGGREGATE_AVG;
}

/* The length that a key gives, in microseconds; 0 when it is not there. */
static int64
length_us(const Jsonb *definition, const char *key)
{
	char	   *text = OptionInterval(definition, key);
	Interval   *length;
	int64		length_us;

	if (text == NULL)
		return 0;
	length = DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(text),
												   ObjectIdGetDatum(InvalidOid),
												   Int32GetDatum(-1)));
	length_us = IntervalLength(length, psprintf("\"%s\" of an aggregation", key));
	if (length_us > MAX_LENGTH_US)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("\"%s\" of an aggregation is too long", key)));
	return length_us;
}

static int
parse_k(const Jsonb *definition, AggregateFunction function)
{
	char	   *text = OptionText(definition, "k");
	int			k;

	if (function != AGGREGATE_TOP_K)
	{
		if (text != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("function \"%s\" of an aggregation takes no \"k\"",
							functions[function])));
		return 0;
	}
	k = text == NULL ? 0 : pg_strtoint32(text);
	if (k < 1 || k > MAX_K)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 text == NULL ? errmsg("aggregation \"top_k\" has no \"k\"") :
				 errmsg("invalid value for \"k\" of an aggregation: \"%s\"", text),
				 errhint("It takes a number from 1 to %d.", MAX_K)));
	return k;
}

/* The last event that counts is before the time that is asked for, or at it. */
static bool
upper_inclusive(const Jsonb *view_options)
{
	char	   *edge = OptionString(view_options, "upper_edge");

	if (edge != NULL && strcmp(edge, "exclusive") != 0 && strcmp(edge, "inclusive") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"upper_edge\": \"%s\"", edge),
				 errhint("It takes exclusive or inclusive.")));
	return edge != NULL && strcmp(edge, "inclusive") == 0;
}

static void
parse_aggregation(const Jsonb *definition, bool inclusive, Aggregation *aggregation)
{
	aggregation->function = function_of(OptionString(definition, "function"));
	aggregation->window_us = length_us(definition, "window");
	aggregation->hop_us = length_us(definition, "hop");
	aggregation->k = parse_k(definition, aggregation->function);
	aggregation->upper_inclusive = inclusive;
	aggregation->definition = DatumGetJsonbPCopy(JsonbPGetDatum(definition));
	if (aggregation->window_us == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("aggregation has no window"),
				 errhint("Say how far back it goes, such as \"window\": \"7 days\".")));
	if (aggregation->hop_us > aggregation->window_us)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("hop of an aggregation is longer than its window")));
}

static void
name_aggregation(void *definition)
{
	errcontext("aggregation %s", JsonbToCString(NULL, &((Jsonb *) definition)->root, 0));
}

static AggregationText *
parse_element(const Jsonb *definition, bool inclusive)
{
	AggregationText *text = palloc0(sizeof(AggregationText));
	ErrorContextCallback callback = {error_context_stack, name_aggregation,
	unconstify(Jsonb *, definition)};

	error_context_stack = &callback;
	OptionsCheckKeys(definition, keys, NULL);
	parse_aggregation(definition, inclusive, &text->aggregation);
	text->name = OptionString(definition, "name");
	if (text->name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("aggregation has no name"),
				 errhint("Name the feature, such as \"name\": \"avg_delay_7d\".")));
	text->column = OptionString(definition, "column");
	if (text->column == NULL && text->aggregation.function != AGGREGATE_COUNT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("aggregation has no column"),
				 errhint("Name a column, or an expression, of the source. A count without one counts rows.")));
	if (text->column == NULL)
		text->column = pstrdup("1");
	error_context_stack = callback.previous;
	return text;
}

List *
AggregationsParse(const Jsonb *options)
{
	JsonbValue	buffer;
	JsonbValue *value = getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &options->root),
													 "aggregations", strlen("aggregations"),
													 &buffer);
	bool		inclusive = upper_inclusive(options);
	List	   *texts = NIL;
	JsonbContainer *array;

	if (value == NULL || value->type == jbvNull)
	{
		if (OptionText(options, "upper_edge") != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"upper_edge\" is of views with the option \"aggregations\" only")));
		return NIL;
	}
	array = value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data) ?
		value->val.binary.data : NULL;
	for (uint32 i = 0; array != NULL && i < JsonContainerSize(array); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);

		if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
			break;
		texts = lappend(texts, parse_element(JsonbValueToJsonb(element), inclusive));
	}
	if (texts == NIL || list_length(texts) != JsonContainerSize(array))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"aggregations\": \"%s\"",
						OptionText(options, "aggregations")),
				 errhint("It takes an array of objects, such as {\"function\": \"avg\", \"column\": \"delay\", \"window\": \"7 days\", \"name\": \"avg_delay_7d\"}.")));
	return texts;
}

Aggregation *
AggregationOfFeature(const Jsonb *feature_options, const Jsonb *view_options)
{
	JsonbValue	buffer;
	JsonbValue *value = getKeyJsonValueFromContainer(unconstify(JsonbContainer *,
																&feature_options->root),
													 "aggregation", strlen("aggregation"), &buffer);
	Aggregation *aggregation;

	if (value == NULL)
		return NULL;
	aggregation = palloc0(sizeof(Aggregation));
	parse_aggregation(JsonbValueToJsonb(value), upper_inclusive(view_options), aggregation);
	return aggregation;
}

pg_noreturn static void
refuse_type(const AggregationText *text, const char *value_type, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("aggregation \"%s\" cannot be of values of type %s", text->name, value_type),
			 errdetail("Its function is %s.", functions[text->aggregation.function]),
			 errhint("%s", hint)));
	pg_unreachable();
}

static bool
is_number(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID || type == FLOAT4OID ||
		type == FLOAT8OID || type == NUMERICOID;
}

bool
AggregationCounts(const Aggregation *aggregation)
{
	return aggregation->function == AGGREGATE_COUNT ||
		aggregation->function == AGGREGATE_DISTINCT_COUNT;
}

Oid
AggregationResult(AggregateFunction function, Oid value_type)
{
	switch (function)
	{
		case AGGREGATE_COUNT:
		case AGGREGATE_DISTINCT_COUNT:
			return INT8OID;
		case AGGREGATE_AVG:
		case AGGREGATE_STDDEV:
			return FLOAT8OID;
		case AGGREGATE_SUM:
			/* As SQL's sum(). */
			return value_type == INT2OID || value_type == INT4OID ? INT8OID :
				value_type == INT8OID ? NUMERICOID : value_type;
		case AGGREGATE_TOP_K:
			return get_array_type(value_type);
		case AGGREGATE_FIRST:
		case AGGREGATE_LAST:
		case AGGREGATE_MAX:
		case AGGREGATE_MIN:
			return value_type;
	}
	pg_unreachable();
}

char *
AggregationType(const AggregationText *text, const char *value_type)
{
	AggregateFunction function = text->aggregation.function;
	Oid			type;
	int32		typmod;
	TypeCacheEntry *entry;
	Oid			result;

	parseTypeString(value_type, &type, &typmod, false);
	entry = lookup_type_cache(type, TYPECACHE_LT_OPR | TYPECACHE_EQ_OPR | TYPECACHE_HASH_PROC);
	if ((function == AGGREGATE_AVG || function == AGGREGATE_STDDEV || function == AGGREGATE_SUM) &&
		!is_number(type))
		refuse_type(text, value_type, "Cast the column to a type of numbers.");
	if ((function == AGGREGATE_MAX || function == AGGREGATE_MIN || function == AGGREGATE_TOP_K) &&
		!OidIsValid(entry->lt_opr))
		refuse_type(text, value_type, "Cast the column to a type with an order.");
	if (function == AGGREGATE_DISTINCT_COUNT &&
		(!OidIsValid(entry->eq_opr) || !OidIsValid(entry->hash_proc)))
		refuse_type(text, value_type, "Cast the column to a type with a hash operator class.");
	result = AggregationResult(function, type);
	if (!OidIsValid(result))
		refuse_type(text, value_type, "Cast the column to a type that arrays are made of.");
	return DefinitionTypeName(result, function == AGGREGATE_SUM ? -1 : typmod);
}

char *
AggregationMeaning(const Aggregation *aggregation, const char *expression)
{
	StringInfoData text;
	char	   *hop = OptionText(aggregation->definition, "hop");

	initStringInfo(&text);
	appendStringInfo(&text, "%s(%s", functions[aggregation->function], expression);
	if (aggregation->function == AGGREGATE_TOP_K)
		appendStringInfo(&text, ", %d", aggregation->k);
	appendStringInfo(&text, ") over %s", OptionText(aggregation->definition, "window"));
	if (hop != NULL)
		appendStringInfo(&text, " by %s", hop);
	if (aggregation->upper_inclusive)
		appendStringInfoString(&text, ", inclusive");
	return text.data;
}
