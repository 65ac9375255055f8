/*-------------------------------------------------------------------------
 *
 * online.c
 *		What serves features: the functions behind a service's get and
 *		batch_get, and the generic one.
 *
 * A service answers with its owner's rights, and asks of the caller USAGE on its
 * schema; features of a view are read with the caller's own.  In every case there is
 * an answer for each entity: what is not there has a status, not a missing row.
 *
 * Locks: those of look-ups.
 * Must not know: how a service is answered.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "common/compat.h"
#include "common/json_input.h"
#include "common/query.h"
#include "common/store_options.h"
#include "common/user_context.h"
#include "read/lookup.h"
#include "registry/entry.h"
#include "registry/served.h"
#include "registry/service_definition.h"
#include "registry/service_plan.h"
#include "store/arguments.h"

PG_FUNCTION_INFO_V1(venice_service_get);
PG_FUNCTION_INFO_V1(venice_service_batch_get);
PG_FUNCTION_INFO_V1(venice_get_online_features);

/* A value as SQL's to_jsonb makes it. */
static JsonbValue *
value_to_jsonb(Datum value, bool is_null, Oid type, JsonbValue *buffer)
{
	FmgrInfo	function;
	Jsonb	   *jsonb;

	buffer->type = jbvNull;
	if (is_null)
		return buffer;
	fmgr_info(F_TO_JSONB, &function);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID,
											 list_make1(makeNullConst(type, -1, InvalidOid)),
											 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL),
					   &function);
	jsonb = DatumGetJsonbP(FunctionCall1(&function, value));
	if (!JB_ROOT_IS_SCALAR(jsonb) ||
		!JsonbExtractScalar(&jsonb->root, buffer))
	{
		buffer->type = jbvBinary;
		buffer->val.binary.data = &jsonb->root;
		buffer->val.binary.len = VARSIZE(jsonb) - VARHDRSZ;
	}
	return buffer;
}

static Jsonb *
columns_to_jsonb(const ServiceColumn *columns, int count, const Datum *values, const bool *nulls)
{
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < count; i++)
	{
		JsonbValue	value;

		JsonbPushString(&state, WJB_KEY, columns[i].name);
		(void) pushJsonbValue(&state, WJB_VALUE,
							  value_to_jsonb(values[i], nulls[i], columns[i].type, &value));
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* Where the rows of a service's function go. */
typedef struct Output
{
	const ServicePlan *plan;
	const ServiceInput *input;
	bool		batch;
	double		log_fraction;
	Tuplestorestate *rows;
	TupleDesc	descriptor;
	Datum	   *values;
	bool	   *nulls;
} Output;

static void
log_row(const Output *output, const ServiceRow *row, const Jsonb *status)
{
	const ServiceColumn *arguments;
	const ServiceColumn *features;
	int			argument_count = ServicePlanArguments(output->plan, &arguments);
	int			feature_count = ServicePlanFeatures(output->plan, &features);
	Datum	   *values = palloc(argument_count * sizeof(Datum));
	bool	   *nulls = palloc(argument_count * sizeof(bool));

	for (int i = 0; i < argument_count; i++)
	{
		values[i] = output->input->values[i][row->position];
		nulls[i] = output->input->nulls[i][row->position];
	}
	ServedLogAdd(ServicePlanSchema(output->plan),
				 columns_to_jsonb(arguments, argument_count, values, nulls),
				 columns_to_jsonb(features, feature_count, row->values, row->nulls), status);
}

static void
emit(void *argument, const ServiceRow *row)
{
	Output	   *output = argument;
	const ServiceColumn *arguments;
	const ServiceColumn *features;
	int			argument_count = ServicePlanArguments(output->plan, &arguments);
	int			feature_count = ServicePlanFeatures(output->plan, &features);
	Jsonb	   *status = FeatureStatusObject(features, feature_count, row->statuses);
	int			column = 0;

	if (output->batch)
	{
		output->values[column] = Int64GetDatum(row->position + 1);
		output->nulls[column++] = false;
		for (int i = 0; i < argument_count; i++)
		{
			if (arguments[i].is_request)
				continue;
			output->values[column] = output->input->values[i][row->position];
			output->nulls[column++] = output->input->nulls[i][row->position];
		}
	}
	memcpy(output->values + column, row->values, feature_count * sizeof(Datum));
	memcpy(output->nulls + column, row->nulls, feature_count * sizeof(bool));
	column += feature_count;
	output->values[column] = PointerGetDatum(status);
	output->nulls[column] = status == NULL;
	tuplestore_putvalues(output->rows, output->descriptor, output->values, output->nulls);
	if (output->log_fraction > 0 && pg_prng_double(&pg_global_prng_state) < output->log_fraction)
		log_row(output, row, status);
}

pg_noreturn static void
raise_not_generated(const char *service)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("wrong arguments or columns for service \"%s\"", service),
			 errhint("Call the functions in the service's schema.")));
	pg_unreachable();
}

/* Is what is asked for what the service has?  Whoever calls by hand may ask for anything. */
static void
check_call(FunctionCallInfo fcinfo, const char *service, const ServicePlan *plan,
		   TupleDesc descriptor, bool batch)
{
	const ServiceColumn *arguments;
	const ServiceColumn *features;
	int			argument_count = ServicePlanArguments(plan, &arguments);
	int			feature_count = ServicePlanFeatures(plan, &features);
	int			column = 0;
	bool		same = PG_NARGS() == argument_count + 1;

	for (int i = 0; same && i < argument_count; i++)
	{
		Oid			wanted = arguments[i].type;

		/* Of an array there is no array type: what has more dimensions has the same. */
		if (batch && OidIsValid(get_array_type(wanted)))
			wanted = get_array_type(wanted);
		same = get_fn_expr_argtype(fcinfo->flinfo, i + 1) == wanted;
	}
	if (batch)
	{
		same = same && descriptor->natts > 0 &&
			TupleDescAttr(descriptor, column++)->atttypid == INT8OID;
		for (int i = 0; same && i < argument_count; i++)
			if (!arguments[i].is_request)
				same = column < descriptor->natts &&
					TupleDescAttr(descriptor, column++)->atttypid == arguments[i].type;
	}
	same = same && descriptor->natts == column + feature_count + 1;
	for (int i = 0; same && i < feature_count; i++)
		same = TupleDescAttr(descriptor, column++)->atttypid == features[i].type;
	if (!same || TupleDescAttr(descriptor, column)->atttypid != JSONBOID)
		raise_not_generated(service);
}

static void
scalar_input(FunctionCallInfo fcinfo, int count, ServiceInput *input)
{
	input->count = 1;
	for (int i = 0; i < count; i++)
	{
		input->values[i] = &fcinfo->args[i + 1].value;
		input->nulls[i] = &fcinfo->args[i + 1].isnull;
	}
}

/* The elements of an array, which are arrays themselves where it has more dimensions than one. */
static int
take_elements(ArrayType *array, Oid type, Datum **values, bool **nulls)
{
	Oid			element = ARR_ELEMTYPE(array);
	int			dimensions = ARR_NDIM(array);
	int16		length;
	bool		by_value;
	char		alignment;
	Datum	   *elements;
	bool	   *element_nulls;
	int			count;
	int			rows;

	get_typlenbyvalalign(element, &length, &by_value, &alignment);
	deconstruct_array(array, element, length, by_value, alignment, &elements, &element_nulls,
					  &count);
	if (element == type)
	{
		*values = elements;
		*nulls = element_nulls;
		return count;
	}
	rows = dimensions > 1 ? ARR_DIMS(array)[0] : 0;
	if (dimensions == 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("an argument of type %s needs an array of two dimensions", format_type_be(type)),
				 errhint("Write ARRAY[[...], [...]]: a row for each set of keys.")));
	*values = palloc(rows * sizeof(Datum));
	*nulls = palloc0(rows * sizeof(bool));
	for (int i = 0; i < rows; i++)
		(*values)[i] = PointerGetDatum(construct_md_array(elements + i * (count / rows),
														  element_nulls + i * (count / rows),
														  dimensions - 1, ARR_DIMS(array) + 1,
														  ARR_LBOUND(array) + 1, element, length,
														  by_value, alignment));
	return rows;
}

static void
array_input(FunctionCallInfo fcinfo, const char *service, const ServiceColumn *arguments, int count,
			ServiceInput *input)
{
	bool		null_array = false;

	input->count = -1;
	for (int i = 0; i < count; i++)
	{
		int			elements;

		if (PG_ARGISNULL(i + 1))
		{
			null_array = true;
			continue;
		}
		elements = take_elements(PG_GETARG_ARRAYTYPE_P(i + 1), arguments[i].type, &input->values[i],
								 &input->nulls[i]);
		if (input->count >= 0 && elements != input->count)
			ereport(ERROR,
					(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					 errmsg("argument arrays of service \"%s\" differ in length", service),
					 errdetail("\"%s\" has %d elements, those before it have " INT64_FORMAT ".",
							   arguments[i].name, elements, input->count)));
		input->count = elements;
	}
	if (null_array || input->count < 0)
		input->count = 0;
}

static Datum
serve(FunctionCallInfo fcinfo, bool batch)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Output		output = {.batch = batch};
	const ServiceColumn *arguments;
	ServiceInput input;
	ServicePlan *plan;
	char	   *service;
	int			count;
	Oid			owner;

	LookupRequireRows(fcinfo);
	service = ArgumentText(fcinfo, 0, "service", true);
	output.descriptor = result->expectedDesc;
	output.values = palloc(output.descriptor->natts * sizeof(Datum));
	output.nulls = palloc(output.descriptor->natts * sizeof(bool));
	output.rows = LookupBeginRows(fcinfo);
	output.input = &input;
	do
	{
		plan = ServicePlanGet(service, &owner);
		check_call(fcinfo, service, plan, output.descriptor, batch);
		count = ServicePlanArguments(plan, &arguments);
		input.values = palloc0(count * sizeof(Datum *));
		input.nulls = palloc0(count * sizeof(bool *));
		if (batch)
			array_input(fcinfo, service, arguments, count, &input);
		else
			scalar_input(fcinfo, count, &input);
		output.plan = plan;
		output.log_fraction = ServicePlanLogFraction(plan);
	} while (!ServicePlanRun(plan, owner, &input, false, emit, &output));
	return (Datum) 0;
}

/*
 * venice_service_get
 *		service_get(service text, VARIADIC arguments "any"): one row.
 */
Datum
venice_service_get(PG_FUNCTION_ARGS)
{
	return serve(fcinfo, false);
}

/*
 * venice_service_batch_get
 *		service_batch_get(service text, VARIADIC arguments "any"): a row for each
 *		element of the arrays.  A NULL array is no rows.
 */
Datum
venice_service_batch_get(PG_FUNCTION_ARGS)
{
	return serve(fcinfo, true);
}

/*
 * The generic function: answers of several plans, put together entity by entity.
 */
typedef struct Answer
{
	MemoryContext context;
	ServiceColumn *features;
	int			feature_count;
	/* By row and feature. */
	Jsonb	  **values;
	FeatureStatus *statuses;
	TimestampTz *event_times;
} Answer;

static void
keep_row(void *argument, const ServiceRow *row)
{
	Answer	   *answer = argument;
	int64		first = row->position * answer->feature_count;
	MemoryContext old = MemoryContextSwitchTo(answer->context);
	JsonbValue	buffer;

	for (int i = 0; i < answer->feature_count; i++)
		answer->values[first + i] = row->nulls[i] ? NULL :
			JsonbValueToJsonb(value_to_jsonb(row->values[i], false, answer->features[i].type,
											 &buffer));
	memcpy(answer->statuses + first, row->statuses, answer->feature_count * sizeof(FeatureStatus));
	memcpy(answer->event_times + first, row->event_times,
		   answer->feature_count * sizeof(TimestampTz));
	MemoryContextSwitchTo(old);
}

/* One object is one entity. */
static Jsonb *
entities_array(Jsonb *entities)
{
	JsonbParseState *state = NULL;
	JsonbValue	value;

	if (JB_ROOT_IS_ARRAY(entities) && !JB_ROOT_IS_SCALAR(entities))
		return entities;
	(void) pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	value.type = jbvBinary;
	value.val.binary.data = &entities->root;
	value.val.binary.len = VARSIZE(entities) - VARHDRSZ;
	if (JB_ROOT_IS_OBJECT(entities))
		(void) pushJsonbValue(&state, WJB_ELEM, &value);
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("entities must be a JSON array of objects"),
				 errhint("For example '[{\"user_id\": 1}, {\"user_id\": 2}]'.")));
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
}

static void
check_entities(Jsonb *entities, const char *what, const ServiceColumn *arguments, int count)
{
	for (int i = 0; i < JB_ROOT_COUNT(entities); i++)
	{
		JsonbValue *entity = getIthJsonbValueFromContainer(&entities->root, i);

		if (entity->type != jbvBinary || !JsonContainerIsObject(entity->val.binary.data))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("entity %d is not a JSON object", i + 1)));
		for (int a = 0; a < count; a++)
		{
			JsonbValue	buffer;

			if (getKeyJsonValueFromContainer(entity->val.binary.data, arguments[a].name,
											 strlen(arguments[a].name), &buffer) == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("entity %d has no %s \"%s\"", i + 1,
								arguments[a].is_request ? "request column" : "key", arguments[a].name),
						 errdetail("It is needed for %s.", what)));
		}
	}
}

/* Where in the entities a value is, for errors. */
typedef struct EntityValue
{
	const ServiceColumn *argument;
	int64		position;
} EntityValue;

static void
name_entity_value(void *argument)
{
	const EntityValue *value = argument;

	errcontext("%s \"%s\" of entity " INT64_FORMAT,
			   value->argument->is_request ? "request column" : "key", value->argument->name,
			   value->position + 1);
}

/*
 * Arguments from objects, each value converted as the server converts JSON to its type;
 * what lies within the type may be somebody's code, which is the caller's to run.
 */
static void
read_entities(Jsonb *entities, const ServiceColumn *arguments, int count, ServiceInput *input)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(context, "venice entity", ALLOCSET_DEFAULT_SIZES);
	JsonInput  *inputs = palloc(count * sizeof(JsonInput));
	int16	   *lengths = palloc(count * sizeof(int16));
	bool	   *by_value = palloc(count * sizeof(bool));
	EntityValue at_hand = {0};
	ErrorContextCallback callback = {error_context_stack, name_entity_value, &at_hand};
	UserContext user;

	input->count = JB_ROOT_COUNT(entities);
	input->values = palloc(count * sizeof(Datum *));
	input->nulls = palloc(count * sizeof(bool *));
	for (int i = 0; i < count; i++)
	{
		JsonInputInit(&inputs[i], arguments[i].name, getBaseType(arguments[i].type), -1);
		get_typlenbyval(arguments[i].type, &lengths[i], &by_value[i]);
		input->values[i] = palloc0(input->count * sizeof(Datum));
		input->nulls[i] = palloc(input->count * sizeof(bool));
	}
	UserContextEnter(&user, GetUserId());
	error_context_stack = &callback;
	for (at_hand.position = 0; at_hand.position < input->count; at_hand.position++)
	{
		int64		n = at_hand.position;
		Jsonb	   *entity;

		MemoryContextSwitchTo(scratch);
		entity = JsonbValueToJsonb(getIthJsonbValueFromContainer(&entities->root, n));
		for (int i = 0; i < count; i++)
		{
			Datum		value;

			at_hand.argument = &arguments[i];
			value = JsonInputCall(&inputs[i], entity, &input->nulls[i][n]);
			MemoryContextSwitchTo(context);
			if (!input->nulls[i][n])
				input->values[i][n] = datumCopy(value, by_value[i], lengths[i]);
			MemoryContextSwitchTo(scratch);
		}
		MemoryContextSwitchTo(context);
		MemoryContextReset(scratch);
	}
	error_context_stack = callback.previous;
	UserContextLeave(&user);
	MemoryContextDelete(scratch);
}

static void
answer_with(ServicePlan *plan, Oid role, Jsonb *entities, const char *what, Answer *answer)
{
	const ServiceColumn *arguments;
	const ServiceColumn *features;
	int			count = ServicePlanArguments(plan, &arguments);
	ServiceInput input;
	int64		cells;

	check_entities(entities, what, arguments, count);
	read_entities(entities, arguments, count, &input);
	/* The plan does not live as long as the answer. */
	answer->context = CurrentMemoryContext;
	answer->feature_count = ServicePlanFeatures(plan, &features);
	answer->features = palloc(answer->feature_count * sizeof(ServiceColumn));
	for (int i = 0; i < answer->feature_count; i++)
	{
		answer->features[i] = features[i];
		answer->features[i].name = pstrdup(features[i].name);
	}
	cells = input.count * answer->feature_count;
	answer->values = palloc(cells * sizeof(Jsonb *));
	answer->statuses = palloc(cells * sizeof(FeatureStatus));
	answer->event_times = palloc(cells * sizeof(TimestampTz));
	if (!ServicePlanRun(plan, role, &input, true, keep_row, answer))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("a store of %s has changed its types", what),
				 errhint("Try again.")));
}

/* Features of views, listed one after the other, with the caller's rights. */
static Answer *
answer_views(List *texts, const Jsonb *options, Jsonb *entities)
{
	Service    *service = palloc0(sizeof(Service));
	Answer	   *answer = palloc0(sizeof(Answer));
	ServicePlan *plan;

	service->name = "get_online_features";
	ServiceResolve(service, texts, options, NULL, NULL);
	plan = ServicePlanMake(service, GetUserId());
	PG_TRY();
	{
		answer_with(plan, GetUserId(), entities, "the features", answer);
	}
	PG_FINALLY();
	{
		ServicePlanDrop(plan);
	}
	PG_END_TRY();
	return answer;
}

static Answer *
answer_service(const char *name, Jsonb *entities)
{
	Answer	   *answer = palloc0(sizeof(Answer));
	Oid			owner;
	ServicePlan *plan = ServicePlanGet(name, &owner);

	answer_with(plan, owner, entities, psprintf("service \"%s\"", name), answer);
	return answer;
}

/*
 * venice_get_online_features
 *		get_online_features(features, entities, options): in the order of the
 *		entities, and for each in that of the features.
 */
Datum
venice_get_online_features(PG_FUNCTION_ARGS)
{
	static const char *const valid[] = {"defaults", "full_names", "joins", NULL};
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Jsonb	   *options = ArgumentOptions(fcinfo, 2);
	List	   *answers = NIL;
	List	   *views = NIL;
	Jsonb	   *entities;
	ListCell   *cell;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", PG_ARGISNULL(0) ? "features" : "entities")));
	OptionsCheckKeys(options, valid, NULL);
	entities = entities_array(PG_GETARG_JSONB_P(1));
	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, TextArrayList(PG_GETARG_ARRAYTYPE_P(0)))
	{
		char	   *service = ServiceNamed(lfirst(cell));

		if (service == NULL)
		{
			views = lappend(views, lfirst(cell));
			continue;
		}
		if (views != NIL)
			answers = lappend(answers, answer_views(views, options, entities));
		views = NIL;
		answers = lappend(answers, answer_service(service, entities));
	}
	if (views != NIL || answers == NIL)
		answers = lappend(answers, answer_views(views, options, entities));

	for (int64 n = 0; n < JB_ROOT_COUNT(entities); n++)
		foreach(cell, answers)
		{
			const Answer *answer = lfirst(cell);

			for (int i = 0; i < answer->feature_count; i++)
			{
				int64		place = n * answer->feature_count + i;
				Datum		values[5];
				bool		nulls[5] = {false};

				values[0] = Int64GetDatum(n + 1);
				values[1] = CStringGetTextDatum(answer->features[i].name);
				values[2] = PointerGetDatum(answer->values[place]);
				nulls[2] = answer->values[place] == NULL;
				values[3] = TimestampTzGetDatum(answer->event_times[place]);
				nulls[3] = answer->event_times[place] == DT_NOBEGIN;
				values[4] = CStringGetTextDatum(FeatureStatusName(answer->statuses[place]));
				tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
			}
		}
	return (Datum) 0;
}
