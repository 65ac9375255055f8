/*-------------------------------------------------------------------------
 *
 * service_plan.c
 *		How a service is answered: look-ups in stores, and what is computed
 *		from them.
 *
 * A plan is a list of values, each of which needs only what stands before it:
 * the arguments; columns of stores, found by some of the arguments; and what
 * SQL computes from values by their numbers.  Look-ups go straight to read/, for
 * all rows of a batch at once.  The executor is not asked: an expression is
 * planned as a SELECT without a table, of which only the target list is used, as
 * PL/pgSQL does with its simple expressions.  A service that computes nothing and
 * whose stores have the types that it has evaluates no expression at all.
 *
 * Everything runs as one role, a service's owner as a rule.  Where that may run
 * somebody's code (expressions, policies) search_path is locked too; a look-up
 * without policies runs none, and is most of what a service does.
 *
 * A backend keeps the plans of services until a change of the registry, or of
 * the service's schema.  That a store's new version has a column of another type
 * is seen when it is read: then the plan is made again in the midst of the call.
 *
 * The tables are restored, and so written, by the database's owner; with whose rights a
 * service reads must not be his to say.  What he adds is believed only where the
 * schema's owner has the very functions that go with it.
 *
 * Locks: those of look-ups.
 * Must not know: in which form answers go out.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "registry/service_plan.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "parser/parse_coerce.h"
#include "parser/parse_type.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "catalog/store.h"
#include "common/compat.h"
#include "common/guc.h"
#include "common/json_input.h"
#include "common/length_of_time.h"
#include "common/store_options.h"
#include "common/type_input.h"
#include "common/user_context.h"
#include "read/handle.h"
#include "read/lookup.h"
#include "registry/derive.h"
#include "registry/entry.h"
#include "registry/expression.h"
#include "registry/service_functions.h"

/* Something that SQL computes, from values of the plan as parameters. */
typedef struct Computation
{
	char	   *feature;		/* whose it is, for messages */
	SPIPlanPtr	statement;
	List	   *inputs;			/* of int: values */
	Oid			from_type;		/* of a cast to a pinned type; else invalid */
} Computation;

typedef struct PlanValue
{
	Oid			type;
	int32		typmod;
	int			lookup;			/* of a column of a store; else -1 */
	char	   *column;
	AttrNumber	attribute;
	int16		length;
	bool		by_value;
	int			computation;	/* of what is computed; else -1 */
	bool		is_count;		/* of events, of which a key without a row has none */
} PlanValue;

typedef struct PlanLookup
{
	const FeatureView *view;
	List	   *keys;			/* of int: the values that are its keys */
	List	   *columns;		/* of int: the values that it finds */
	int			event_time;		/* which of them says when they became true; -1: none */
	uint64		build;			/* of the store's handle for which attributes were found */
} PlanLookup;

typedef struct PlanOutput
{
	int			value;
	int			cast;			/* the computation that makes it of its type; -1: it is */
	Datum		default_value;
	bool		has_default;
} PlanOutput;

struct ServicePlan
{
	MemoryContext context;
	char	   *name;			/* of the service, for messages */
	bool		is_service;		/* not made for one call */
	Oid			schema_oid;
	double		log_fraction;
	int			argument_count; /* the first values */
	ServiceColumn *arguments;
	int			feature_count;
	ServiceColumn *features;
	PlanOutput *outputs;
	int			value_count;
	int			value_space;
	PlanValue  *values;
	List	   *lookups;		/* of PlanLookup */
	List	   *computations;	/* of Computation */
	bool		is_let_go;		/* not in the backend's table of plans any more */
	bool		is_stale;		/* a store has another type now */
	int			running;
};

static const char *const status_names[] = {
	[FEATURE_NOT_FOUND] = "not_found",
	[FEATURE_OUTSIDE_MAX_AGE] = "outside_max_age",
	[FEATURE_NULL_VALUE] = "null_value",
	[FEATURE_PRESENT] = "present",
	[FEATURE_INCOMPLETE] = "incomplete",
};

const char *
FeatureStatusName(FeatureStatus status)
{
	return status_names[status];
}

Jsonb *
FeatureStatusObject(const ServiceColumn *columns, int count, const FeatureStatus *statuses)
{
	JsonbParseState *state = NULL;
	bool		all_present = true;

	for (int i = 0; i < count; i++)
		all_present &= statuses[i] == FEATURE_PRESENT;
	if (all_present)
		return NULL;
	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < count; i++)
		if (statuses[i] != FEATURE_PRESENT)
		{
			JsonbPushString(&state, WJB_KEY, columns[i].name);
			JsonbPushString(&state, WJB_VALUE, FeatureStatusName(statuses[i]));
		}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

int
ServicePlanArguments(const ServicePlan *plan, const ServiceColumn **columns)
{
	*columns = plan->arguments;
	return plan->argument_count;
}

int
ServicePlanFeatures(const ServicePlan *plan, const ServiceColumn **columns)
{
	*columns = plan->features;
	return plan->feature_count;
}

Oid
ServicePlanSchema(const ServicePlan *plan)
{
	return plan->schema_oid;
}

double
ServicePlanLogFraction(const ServicePlan *plan)
{
	return plan->log_fraction;
}

static int
add_value(ServicePlan *plan, Oid type, int32 typmod)
{
	PlanValue  *value;

	if (plan->value_count == plan->value_space)
	{
		plan->value_space = Max(plan->value_space * 2, 32);
		plan->values = plan->values == NULL ? palloc(plan->value_space * sizeof(PlanValue)) :
			repalloc(plan->values, plan->value_space * sizeof(PlanValue));
	}
	value = &plan->values[plan->value_count];
	memset(value, 0, sizeof(PlanValue));
	value->type = type;
	value->typmod = typmod;
	value->lookup = -1;
	value->computation = -1;
	get_typlenbyval(type, &value->length, &value->by_value);
	return plan->value_count++;
}

static int
argument_number(const ServicePlan *plan, const char *name)
{
	for (int a = 0; a < plan->argument_count; a++)
		if (strcmp(plan->arguments[a].name, name) == 0)
			return a;
	elog(ERROR, "service \"%s\" has no argument \"%s\"", plan->name, name);
}

static int
find_lookup(ServicePlan *plan, const FeatureView *view, List *keys)
{
	PlanLookup *lookup;
	ListCell   *cell;

	foreach(cell, plan->lookups)
	{
		lookup = lfirst(cell);
		if (lookup->view->view_version == view->view_version && equal(lookup->keys, keys) &&
			strcmp(lookup->view->name, view->name) == 0 &&
			strcmp(lookup->view->project, view->project) == 0)
			return foreach_current_index(cell);
	}
	lookup = palloc0(sizeof(PlanLookup));
	lookup->view = view;
	lookup->keys = keys;
	lookup->event_time = -1;
	plan->lookups = lappend(plan->lookups, lookup);
	return list_length(plan->lookups) - 1;
}

/* The value that is a column of what a look-up finds; its type is found by find_attributes. */
static int
find_column(ServicePlan *plan, int number, char *column)
{
	PlanLookup *lookup = list_nth(plan->lookups, number);
	ListCell   *cell;
	int			value;

	foreach(cell, lookup->columns)
		if (strcmp(plan->values[lfirst_int(cell)].column, column) == 0)
			return lfirst_int(cell);
	value = add_value(plan, INT4OID, -1);
	plan->values[value].lookup = number;
	plan->values[value].column = column;
	plan->values[value].type = InvalidOid;
	lookup->columns = lappend_int(lookup->columns, value);
	return value;
}

/*
 * Find a look-up's columns in the store's current version.  False when one is not of
 * the type that the plan was made with; those of a new plan have none yet.
 */
static bool
find_attributes(ServicePlan *plan, PlanLookup *lookup, const StoreHandle *handle)
{
	const char *store = lookup->view->store;
	Relation	records = table_open(handle->records, NoLock);
	TupleDesc	table = RelationGetDescr(records);
	bool		same = true;
	ListCell   *cell;

	foreach(cell, lookup->columns)
	{
		PlanValue  *value = &plan->values[lfirst_int(cell)];
		Form_pg_attribute found = NULL;

		for (int i = 0; i < table->natts && found == NULL; i++)
			if (!TupleDescAttr(table, i)->attisdropped &&
				namestrcmp(&TupleDescAttr(table, i)->attname, value->column) == 0)
				found = TupleDescAttr(table, i);
		if (found == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("version %d of store \"%s\" has no column \"%s\"", handle->version, store,
							value->column),
					 errdetail("Feature view \"%s\" has a feature there.", lookup->view->name),
					 errhint("Push a version that has it, or move the services to another version of the view.")));
		if (OidIsValid(value->type))
			same &= value->type == found->atttypid && value->typmod == found->atttypmod;
		value->type = found->atttypid;
		value->typmod = found->atttypmod;
		value->length = found->attlen;
		value->by_value = found->attbyval;
		value->attribute = found->attnum;
	}
	table_close(records, NoLock);

	if (lookup->event_time >= 0 && plan->values[lookup->event_time].type != TIMESTAMPTZOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("event time \"%s\" of feature view \"%s\" is of type %s, not timestamp with time zone",
						lookup->view->event_time_column, lookup->view->name,
						format_type_be(plan->values[lookup->event_time].type))));
	if (list_length(lookup->keys) != handle->key_count)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("store \"%s\" has %d key columns, feature view \"%s\" has %d", store,
						handle->key_count, lookup->view->name, list_length(lookup->keys))));
	foreach(cell, lookup->keys)
	{
		Oid			given = plan->values[lfirst_int(cell)].type;
		Oid			wanted = handle->key_types[foreach_current_index(cell)];

		if (given != wanted && !IsBinaryCoercible(given, wanted))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("key column %d of store \"%s\" is of type %s, not %s",
							foreach_current_index(cell) + 1, store, format_type_be(wanted),
							format_type_be(given))));
	}
	lookup->build = handle->build;
	return same;
}

/* Open a new look-up's store, as the current user, who must be allowed to read what it finds. */
static void
describe_lookup(ServicePlan *plan, PlanLookup *lookup)
{
	StoreHandle handle;

	StoreHandleOpen(lookup->view->store, &handle);
	(void) find_attributes(plan, lookup, &handle);
	lookup->build = 0;
}

/* Who may not read event times can do without them, where no ttl asks for them. */
static bool
reads_event_time(const FeatureView *view)
{
	StoreHandle handle;

	if (view->event_time_column == NULL || view->ttl != NULL)
		return view->event_time_column != NULL;
	StoreHandleOpen(view->store, &handle);
	return handle.selects_all ||
		pg_attribute_aclcheck(handle.records, get_attnum(handle.records, view->event_time_column),
							  GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/* Plan a statement with the plan's values as parameters.  SPI is connected. */
static Computation *
add_computation(ServicePlan *plan, const char *feature, List *inputs, const char *sql)
{
	Computation *computation = palloc0(sizeof(Computation));
	Oid		   *types = palloc(plan->value_count * sizeof(Oid));

	for (int i = 0; i < plan->value_count; i++)
		types[i] = plan->values[i].type;
	computation->feature = pstrdup(feature);
	computation->inputs = inputs;
	computation->statement = SPI_prepare(sql, plan->value_count, types);
	/* SPI leaves its own memory context behind. */
	MemoryContextSwitchTo(plan->context);
	if (computation->statement == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	plan->computations = lappend(plan->computations, computation);
	return computation;
}

static TupleDesc
computation_result(const Computation *computation)
{
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(computation->statement));

	return source->resultDesc;
}

static int	add_feature(ServicePlan *plan, FeatureView *view, const ViewFeature *feature,
						List *arguments);

/* The arguments of an input's view, whose keys are among those of the on-demand view. */
static List *
input_arguments(const FeatureView *input, const FeatureView *view, List *arguments)
{
	List	   *result = NIL;
	ListCell   *key;
	ListCell   *name;
	ListCell   *argument;

	foreach(key, input->key_names)
		forboth(name, view->key_names, argument, arguments)
			if (strcmp(lfirst(key), lfirst(name)) == 0)
				result = lappend(result, lfirst(argument));
	return result;
}

/*
 * A column that an expression reads, of the type that it was written for: a value of the
 * plan, and a NULL to analyse the expression with.  What lies under a domain will do: to
 * make a value of one is to run its owner's code.
 */
static void
append_column(StringInfo values, StringInfo nulls, int value, const char *type_name,
			  const char *name)
{
	Oid			type;
	int32		typmod;
	const char *separator = values->len > 0 ? ", " : "";
	const char *base;

	parseTypeString(type_name, &type, &typmod, false);
	type = getBaseTypeAndTypmod(type, &typmod);
	base = format_type_extended(type, typmod,
								FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
	appendStringInfo(values, "%s$%d::%s AS %s", separator, value + 1, base,
					 quote_identifier(name));
	appendStringInfo(nulls, "%sNULL::%s AS %s", separator, base, quote_identifier(name));
}

/* Such columns, under the name by which the expression knows them. */
static void
append_from_item(StringInfo from, const char *alias, const char *columns)
{
	appendStringInfo(from, "%s(SELECT %s) AS %s", from->len > 0 ? ", " : "", columns,
					 quote_identifier(alias));
}

/*
 * An expression of an on-demand view.  Its inputs are looked up in the registry by whoever
 * may see them all: that the service's owner may read them is what looking them up in
 * their stores shows.  What the registry has for an expression is taken apart once more
 * before it is run as the owner: who can write the table must not gain his rights.
 */
static int
add_expression(ServicePlan *plan, const FeatureView *view, const ViewFeature *feature,
			   List *arguments)
{
	StringInfoData from;
	StringInfoData null_from;
	StringInfoData columns;
	StringInfoData nulls;
	const Expression *expression;
	List	   *inputs = NIL;
	List	   *names = NIL;
	ListCell   *cell;
	ListCell   *type;
	TupleDesc	result;
	int			value;

	initStringInfo(&from);
	initStringInfo(&null_from);
	initStringInfo(&columns);
	initStringInfo(&nulls);
	foreach(cell, view->inputs)
	{
		Reference	input;

		ReferenceParse(lfirst(cell), &input);
		if (!list_member(names, makeString(input.name)))
			names = lappend(names, makeString(input.name));
	}
	foreach(cell, names)
	{
		const char *alias = strVal(lfirst(cell));
		ListCell   *other;

		resetStringInfo(&columns);
		resetStringInfo(&nulls);
		foreach(other, view->inputs)
		{
			Reference	input;
			FeatureView *input_view;
			ViewFeature *input_feature;

			ReferenceParse(lfirst(other), &input);
			if (strcmp(input.name, alias) != 0)
				continue;
			input_view = FeatureViewOfInput(&input);
			input_feature = FeatureViewFeature(input_view, input.feature, false);
			value = add_feature(plan, input_view, input_feature,
								input_arguments(input_view, view, arguments));
			inputs = lappend_int(inputs, value);
			append_column(&columns, &nulls, value, input_feature->type_name, input_feature->name);
		}
		append_from_item(&from, alias, columns.data);
		append_from_item(&null_from, alias, nulls.data);
	}
	resetStringInfo(&columns);
	resetStringInfo(&nulls);
	forboth(cell, view->request_names, type, view->request_types)
	{
		append_column(&columns, &nulls, argument_number(plan, lfirst(cell)), lfirst(type),
					  lfirst(cell));
	}
	if (columns.len > 0)
	{
		append_from_item(&from, "request", columns.data);
		append_from_item(&null_from, "request", nulls.data);
	}

	expression = linitial(ExpressionsParse(psprintf("%s AS %s", feature->expression,
													quote_identifier(feature->name)),
										   null_from.data, GetUserId()));
	result = computation_result(add_computation(plan, feature->name, inputs,
												psprintf("SELECT %s FROM %s", expression->text,
														 from.data)));
	value = add_value(plan, TupleDescAttr(result, 0)->atttypid,
					  TupleDescAttr(result, 0)->atttypmod);
	plan->values[value].computation = list_length(plan->computations) - 1;
	return value;
}

/* The value that is a feature. */
static int
add_feature(ServicePlan *plan, FeatureView *view, const ViewFeature *feature, List *arguments)
{
	List	   *keys = NIL;
	PlanLookup *lookup;
	int			number;
	int			value;
	bool		is_new;
	ListCell   *cell;

	if (strcmp(view->kind, "on_demand") == 0)
		return add_expression(plan, view, feature, arguments);
	foreach(cell, arguments)
		keys = lappend_int(keys, argument_number(plan, lfirst(cell)));
	number = find_lookup(plan, view, keys);
	lookup = list_nth(plan->lookups, number);
	is_new = lookup->columns == NIL;
	value = find_column(plan, number, feature->store_column);
	plan->values[value].is_count = feature->aggregation != NULL &&
		AggregationCounts(feature->aggregation);
	if (is_new && reads_event_time(view))
		lookup->event_time = find_column(plan, number, view->event_time_column);
	describe_lookup(plan, lookup);
	return value;
}

/*
 * What makes a value of a pinned type of one that is not, any more: a cast, and whether
 * that has changed the value.  To a float it may: that is what the types are like.
 */
static int
add_cast(ServicePlan *plan, const char *feature, int value, Oid type, int32 typmod)
{
	const PlanValue *from = &plan->values[value];
	bits16		flags = FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY;
	char	   *pinned = format_type_extended(type, typmod, flags);
	int32		actual_typmod = from->typmod;
	Oid			actual_type = getBaseTypeAndTypmod(from->type, &actual_typmod);
	char	   *actual = format_type_extended(actual_type, actual_typmod, flags);
	const char *same = type == FLOAT4OID || type == FLOAT8OID ? "true" :
		psprintf("$%d::%s::%s IS NOT DISTINCT FROM $%d", value + 1, pinned, actual, value + 1);
	Computation *cast = add_computation(plan, feature, list_make1_int(value),
										psprintf("SELECT $%d::%s, %s", value + 1, pinned, same));

	cast->from_type = from->type;
	return list_length(plan->computations) - 1;
}

static void
add_output(ServicePlan *plan, const ServiceFeature *feature)
{
	ServiceColumn *column = &plan->features[plan->feature_count];
	PlanOutput *output = &plan->outputs[plan->feature_count++];
	const PlanValue *value;
	Oid			pinned;
	Oid			actual;
	int32		pinned_typmod;
	int32		actual_typmod;

	column->name = pstrdup(feature->output_name);
	parseTypeString(feature->type_name, &column->type, &column->typmod, false);
	/* A domain's CHECK is somebody's code, and has been run when the value was stored. */
	pinned_typmod = column->typmod;
	pinned = getBaseTypeAndTypmod(column->type, &pinned_typmod);
	output->value = add_feature(plan, feature->view, feature->feature, feature->arguments);
	value = &plan->values[output->value];
	actual_typmod = value->typmod;
	actual = getBaseTypeAndTypmod(value->type, &actual_typmod);
	output->cast = actual == pinned && (pinned_typmod == -1 || pinned_typmod == actual_typmod) ?
		-1 : add_cast(plan, feature->output_name, output->value, pinned, pinned_typmod);
	if (feature->default_value != NULL)
	{
		TypeInput	input;

		TypeInputInit(&input, pinned, pinned_typmod, CurrentMemoryContext);
		output->default_value = TypeInputCall(&input, pstrdup(feature->default_value));
		output->has_default = true;
	}
}

/* Whose rights an error is about: not those of who has called. */
static void
name_service(void *argument)
{
	const ServicePlan *plan = argument;

	if (plan->is_service)
		errcontext("service \"%s\", with the rights of its owner", plan->name);
}

ServicePlan *
ServicePlanMake(const Service *service, Oid role)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "venice service",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	ServicePlan *plan = palloc0(sizeof(ServicePlan));
	char	   *log_fraction = OptionText(service->options, "log_fraction");
	ErrorContextCallback callback = {error_context_stack, name_service, NULL};
	UserContext user;
	ListCell   *cell;

	plan->context = context;
	plan->name = service->project == NULL || strcmp(service->project, DEFAULT_PROJECT) == 0 ?
		pstrdup(service->name) : ServiceQualifiedName(service);
	plan->is_service = service->project != NULL;
	plan->log_fraction = log_fraction != NULL ? atof(log_fraction) : 0;
	plan->arguments = palloc0(list_length(service->arguments) * sizeof(ServiceColumn));
	plan->features = palloc0(list_length(service->features) * sizeof(ServiceColumn));
	plan->outputs = palloc0(list_length(service->features) * sizeof(PlanOutput));

	callback.arg = plan;
	error_context_stack = &callback;
	UserContextEnter(&user, role);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	MemoryContextSwitchTo(context);
	foreach(cell, service->arguments)
	{
		const ServiceArgument *argument = lfirst(cell);
		ServiceColumn *column = &plan->arguments[plan->argument_count++];

		column->name = pstrdup(argument->name);
		parseTypeString(argument->type_name, &column->type, &column->typmod, false);
		column->is_request = argument->is_request;
		(void) add_value(plan, column->type, column->typmod);
	}
	foreach(cell, service->features)
		add_output(plan, lfirst(cell));
	foreach(cell, plan->lookups)
	{
		PlanLookup *lookup = lfirst(cell);
		StoreHandle handle;
		AttrNumber *attributes = palloc(list_length(lookup->columns) * sizeof(AttrNumber));
		ListCell   *column;

		StoreHandleOpen(lookup->view->store, &handle);
		foreach(column, lookup->columns)
			attributes[foreach_current_index(column)] = plan->values[lfirst_int(column)].attribute;
		StoreHandleCheckColumns(&handle, lookup->view->store, attributes,
								list_length(lookup->columns));
	}
	/* From here on nothing fails, or they would stay for ever. */
	foreach(cell, plan->computations)
		SPI_keepplan(((Computation *) lfirst(cell))->statement);
	SPI_finish();
	UserContextLeave(&user);
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(caller);
	return plan;
}

void
ServicePlanDrop(ServicePlan *plan)
{
	ListCell   *cell;

	foreach(cell, plan->computations)
		SPI_freeplan(((Computation *) lfirst(cell))->statement);
	MemoryContextDelete(plan->context);
}

/*
 * The plans that the backend keeps.
 */
#define NAME_BYTES	(2 * NAMEDATALEN)

typedef struct KeptPlan
{
	char		name[NAME_BYTES];	/* hash key */
	bool		valid;
	bool		of_snapshot;	/* made from what a transaction's snapshot shows */
	uint64		messages;		/* that came about it */
	uint32		schema_hash;
	ServicePlan *plan;
} KeptPlan;

static HTAB *kept_plans = NULL;
static bool have_plans_of_snapshot = false;

/* Every change of the registry sends a message about this table: see RegistryLock. */
static Oid	registry_table = InvalidOid;

static void
forget(KeptPlan *kept)
{
	kept->messages++;
	kept->valid = false;
}

static void
forget_registry(Datum argument, Oid relation)
{
	HASH_SEQ_STATUS scan;
	KeptPlan   *kept;

	if (OidIsValid(relation) && relation != registry_table)
		return;
	hash_seq_init(&scan, kept_plans);
	while ((kept = hash_seq_search(&scan)) != NULL)
		forget(kept);
}

static void
forget_schema(Datum argument, int cache, uint32 hash)
{
	HASH_SEQ_STATUS scan;
	KeptPlan   *kept;

	hash_seq_init(&scan, kept_plans);
	while ((kept = hash_seq_search(&scan)) != NULL)
		if (hash == 0 || hash == kept->schema_hash)
			forget(kept);
}

/* What an old snapshot has shown of the registry ends with its transaction. */
static void
forget_snapshot(XactEvent event, void *argument)
{
	HASH_SEQ_STATUS scan;
	KeptPlan   *kept;

	if (!have_plans_of_snapshot)
		return;
	have_plans_of_snapshot = false;
	hash_seq_init(&scan, kept_plans);
	while ((kept = hash_seq_search(&scan)) != NULL)
		if (kept->of_snapshot)
			forget(kept);
}

static void
make_table(void)
{
	HASHCTL		control = {
		.keysize = NAME_BYTES,
		.entrysize = sizeof(KeptPlan),
		.hcxt = CacheMemoryContext
	};

	kept_plans = hash_create("venice services", 16, &control,
							 HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(forget_registry, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, forget_schema, (Datum) 0);
	RegisterXactCallback(forget_snapshot, NULL);
}

pg_noreturn static void
raise_no_service(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("service \"%s\" does not exist", name),
			 errhint("SELECT project, name FROM venice.services lists the services that you may use.")));
	pg_unreachable();
}

/* What a plan is not used by any more; one that is being run is dropped by who runs it. */
static void
let_go(ServicePlan *plan)
{
	plan->is_let_go = true;
	if (plan->running == 0)
		ServicePlanDrop(plan);
}

/* Services come and go: what is not valid any more makes room. */
static void
sweep(void)
{
	HASH_SEQ_STATUS scan;
	KeptPlan   *kept;

	hash_seq_init(&scan, kept_plans);
	while ((kept = hash_seq_search(&scan)) != NULL)
	{
		if (kept->valid)
			continue;
		if (kept->plan != NULL)
			let_go(kept->plan);
		(void) hash_search(kept_plans, kept->name, HASH_REMOVE, NULL);
	}
}

static void
check_usage(Oid schema)
{
	AclResult	result = object_aclcheck(NamespaceRelationId, schema, GetUserId(), ACL_USAGE);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_SCHEMA, get_namespace_name(schema));
}

static void
make_kept_plan(KeptPlan *kept)
{
	Reference	reference;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "venice service definition",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller;
	Service    *service;
	ServicePlan *plan;

	if (kept->plan != NULL)
		let_go(kept->plan);
	kept->plan = NULL;

	caller = MemoryContextSwitchTo(context);
	ReferenceParse(kept->name, &reference);
	if (reference.project == NULL)
		raise_no_service(kept->name);
	service = ServiceRead(reference.project, reference.name);
	if (service == NULL ||
		(!OidIsValid(service->schema_oid) && RegistryFindProject("services", &reference) == NULL))
		raise_no_service(kept->name);
	if (!OidIsValid(service->schema_oid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schema \"%s\" of service \"%s\" is gone", service->schema, kept->name),
				 errhint("Drop the service with venice.drop_service(%s), and make it again.",
						 quote_literal_cstr(kept->name))));
	/* What is wrong with it is not everybody's business. */
	check_usage(service->schema_oid);
	if (!ServiceFunctionsFit(service))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the functions of service \"%s\" are not those that its owner was given",
						kept->name),
				 errhint("Make them anew with venice.alter_service(%s).",
						 quote_literal_cstr(kept->name))));
	plan = ServicePlanMake(service, SchemaOwner(service->schema_oid));
	plan->schema_oid = service->schema_oid;
	kept->schema_hash = GetSysCacheHashValue1(NAMESPACEOID, ObjectIdGetDatum(plan->schema_oid));
	MemoryContextSetParent(context, plan->context);
	MemoryContextSetParent(plan->context, CacheMemoryContext);
	MemoryContextSwitchTo(caller);
	kept->plan = plan;
}

ServicePlan *
ServicePlanGet(const char *qualified_name, Oid *owner)
{
	KeptPlan   *kept;
	char		key[NAME_BYTES] = {0};

	if (kept_plans == NULL)
		make_table();
	if (!OidIsValid(registry_table))
		registry_table = get_relname_relid("registry_change", get_namespace_oid("venice", false));
	AcceptInvalidationMessages();
	strlcpy(key, qualified_name, sizeof(key));
	kept = hash_search(kept_plans, key, HASH_FIND, NULL);
	if (kept == NULL)
	{
		sweep();
		kept = hash_search(kept_plans, key, HASH_ENTER, NULL);
		kept->valid = false;
		kept->of_snapshot = false;
		kept->messages = 0;
		kept->schema_hash = 0;
		kept->plan = NULL;
	}
	while (!kept->valid || kept->plan->is_stale)
	{
		uint64		messages = kept->messages;

		kept->valid = false;
		make_kept_plan(kept);
		kept->valid = kept->messages == messages;
		kept->of_snapshot = IsolationUsesXactSnapshot();
		have_plans_of_snapshot |= kept->of_snapshot;
	}
	*owner = SchemaOwner(kept->plan->schema_oid);
	check_usage(kept->plan->schema_oid);
	return kept->plan;
}

/*
 * Answering.
 */
typedef struct Run
{
	ServicePlan *plan;
	const ServiceInput *input;
	MemoryContext context;
	/* By value and row: columns of stores. */
	Datum	  **values;
	bool	  **nulls;
	FeatureStatus **found;		/* by look-up and row: of the row that it finds */
	PlanLookup *looking_up;
	FeatureStatus *found_now;
	/* By computation. */
	ExprState **expressions;
	ExprState **same;
	const Computation *at_hand;
	/* Of the row at hand, by value. */
	ParamListInfo parameters;
	FeatureStatus *statuses;
} Run;

static void
take_row(void *argument, int64 position, const Datum *values, const bool *nulls)
{
	Run		   *run = argument;
	MemoryContext old = MemoryContextSwitchTo(run->context);
	ListCell   *cell;

	run->found_now[position] = FEATURE_PRESENT;
	foreach(cell, run->looking_up->columns)
	{
		int			number = lfirst_int(cell);
		const PlanValue *value = &run->plan->values[number];
		int			i = value->attribute - 1;

		run->nulls[number][position] = nulls[i];
		if (!nulls[i])
			run->values[number][position] = datumCopy(values[i], value->by_value, value->length);
	}
	MemoryContextSwitchTo(old);
}

/* Rows that are older than the view lets them be. */
static void
apply_ttl(Run *run, const PlanLookup *lookup)
{
	TimestampTz oldest;

	if (lookup->view->ttl == NULL || lookup->event_time < 0)
		return;
	/* Not by the calendar of the session: the past is asked in another one. */
	if (pg_sub_s64_overflow(GetCurrentTransactionStartTimestamp(),
							IntervalLength(lookup->view->ttl, "ttl"), &oldest))
		oldest = DT_NOBEGIN;
	for (int64 n = 0; n < run->input->count; n++)
		if (run->found_now[n] == FEATURE_PRESENT && !run->nulls[lookup->event_time][n] &&
			DatumGetTimestampTz(run->values[lookup->event_time][n]) < oldest)
			run->found_now[n] = FEATURE_OUTSIDE_MAX_AGE;
}

static void
look_up(Run *run, int number, const StoreHandle *handle)
{
	PlanLookup *lookup = list_nth(run->plan->lookups, number);
	const char *store = lookup->view->store;
	RowSink		sink = {.row = take_row, .argument = run};
	LookupKeys	keys;
	AttrNumber *attributes = palloc(list_length(lookup->columns) * sizeof(AttrNumber));
	int64		count = run->input->count;
	ListCell   *cell;

	keys.count = count;
	foreach(cell, lookup->keys)
	{
		keys.values[foreach_current_index(cell)] = run->input->values[lfirst_int(cell)];
		keys.nulls[foreach_current_index(cell)] = run->input->nulls[lfirst_int(cell)];
	}
	foreach(cell, lookup->columns)
	{
		attributes[foreach_current_index(cell)] = run->plan->values[lfirst_int(cell)].attribute;
		run->values[lfirst_int(cell)] = palloc(count * sizeof(Datum));
		run->nulls[lfirst_int(cell)] = palloc(count * sizeof(bool));
		memset(run->nulls[lfirst_int(cell)], true, count * sizeof(bool));
	}
	run->looking_up = lookup;
	run->found_now = run->found[number] = palloc0(count * sizeof(FeatureStatus));
	LookupRun(handle, store, &keys, attributes, list_length(lookup->columns), &sink);
	apply_ttl(run, lookup);
}

static void
name_feature(void *argument)
{
	const Run  *run = argument;

	if (run->at_hand != NULL)
		errcontext("feature \"%s\"", run->at_hand->feature);
}

pg_noreturn static void
raise_does_not_fit(const Run *run, int number)
{
	const Computation *cast = list_nth(run->plan->computations, number);
	const ServiceColumn *column = run->plan->features;

	while (strcmp(column->name, cast->feature) != 0)
		column++;
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("value of feature \"%s\" of service \"%s\" does not fit its type %s", column->name,
					run->plan->name, format_type_with_typemod(column->type, column->typmod)),
			 errdetail("The feature is of type %s now; the service was made when it was narrower.",
					   format_type_be(cast->from_type)),
			 errhint("Give the service the types of today with venice.alter_service(%s).",
					 quote_literal_cstr(run->plan->name))));
	pg_unreachable();
}

static Datum
compute(Run *run, ExprContext *econtext, int number, bool *is_null)
{
	const Computation *computation = list_nth(run->plan->computations, number);
	MemoryContext context = CurrentMemoryContext;
	volatile Datum result = (Datum) 0;
	volatile bool same = true;
	bool		same_is_null;

	run->at_hand = computation;
	if (!OidIsValid(computation->from_type))
	{
		result = ExecEvalExprSwitchContext(run->expressions[number], econtext, is_null);
		run->at_hand = NULL;
		return result;
	}

	PG_TRY();
	{
		result = ExecEvalExprSwitchContext(run->expressions[number], econtext, is_null);
		same = DatumGetBool(ExecEvalExprSwitchContext(run->same[number], econtext, &same_is_null));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		if (geterrcode() != ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE)
			PG_RE_THROW();
		FlushErrorState();
		same = false;
	}
	PG_END_TRY();
	run->at_hand = NULL;
	if (!same)
		raise_does_not_fit(run, number);
	return result;
}

/* What becomes of a computed value: it is there, or it lacks what its inputs lack. */
static FeatureStatus
computed_status(const Run *run, const Computation *computation, bool is_null)
{
	FeatureStatus status = FEATURE_NULL_VALUE;
	ListCell   *cell;

	if (!is_null)
		return FEATURE_PRESENT;
	foreach(cell, computation->inputs)
		status = Min(status, run->statuses[lfirst_int(cell)]);
	return status;
}

/* All values of one row. */
static void
fill_row(Run *run, ExprContext *econtext, int64 position)
{
	const ServicePlan *plan = run->plan;

	for (int v = 0; v < plan->value_count; v++)
	{
		const PlanValue *value = &plan->values[v];
		ParamExternData *parameter = &run->parameters->params[v];

		if (v < plan->argument_count)
		{
			parameter->value = run->input->values[v][position];
			parameter->isnull = run->input->nulls[v][position];
			run->statuses[v] = FEATURE_PRESENT;
		}
		else if (value->lookup >= 0)
		{
			FeatureStatus found = run->found[value->lookup][position];

			run->statuses[v] = found;
			if (found == FEATURE_NOT_FOUND && value->is_count)
			{
				parameter->isnull = false;
				parameter->value = Int64GetDatum(0);
				continue;
			}
			parameter->isnull = found != FEATURE_PRESENT || run->nulls[v][position];
			parameter->value = parameter->isnull ? (Datum) 0 : run->values[v][position];
			if (found == FEATURE_PRESENT && parameter->isnull)
				run->statuses[v] = FEATURE_NULL_VALUE;
		}
		else
		{
			const Computation *computation = list_nth(plan->computations, value->computation);

			parameter->value = compute(run, econtext, value->computation, &parameter->isnull);
			run->statuses[v] = computed_status(run, computation, parameter->isnull);
		}
	}
}

/* When a value became true: of a computed one, the oldest of what it was computed from. */
static TimestampTz
event_time_of(const Run *run, int number, int64 position)
{
	const PlanValue *value = &run->plan->values[number];
	TimestampTz result = DT_NOBEGIN;
	const Computation *computation;
	ListCell   *cell;

	if (value->lookup >= 0)
	{
		const PlanLookup *lookup = list_nth(run->plan->lookups, value->lookup);

		if (lookup->event_time >= 0 && !run->nulls[lookup->event_time][position])
			result = DatumGetTimestampTz(run->values[lookup->event_time][position]);
		return result;
	}
	if (value->computation < 0)
		return result;
	computation = list_nth(run->plan->computations, value->computation);
	foreach(cell, computation->inputs)
	{
		TimestampTz input = event_time_of(run, lfirst_int(cell), position);

		if (input != DT_NOBEGIN && (result == DT_NOBEGIN || input < result))
			result = input;
	}
	return result;
}

/* Make a computation's expressions ready; its plan is held until it is released. */
static CachedPlan *
prepare_computation(Run *run, int number)
{
	const Computation *computation = list_nth(run->plan->computations, number);
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(computation->statement));
	CachedPlan *cached = GetCachedPlan(source, NULL, CurrentResourceOwner, NULL);
	PlannedStmt *statement = linitial_node(PlannedStmt, cached->stmt_list);
	Plan	   *top = statement->planTree;
	TargetEntry *target = linitial_node(TargetEntry, top->targetlist);

	/* Expressions have neither subqueries nor sets, so that there is only a target list. */
	if (!IsA(top, Result) || outerPlan(top) != NULL || ((Result *) top)->resconstantqual != NULL ||
		statement->subplans != NIL)
		elog(ERROR, "unexpected plan of feature \"%s\"", computation->feature);
	run->expressions[number] = ExecInitExprWithParams(target->expr, run->parameters);
	if (OidIsValid(computation->from_type))
	{
		target = lsecond_node(TargetEntry, top->targetlist);
		run->same[number] = ExecInitExprWithParams(target->expr, run->parameters);
	}
	return cached;
}

static void
emit_rows(Run *run, bool event_times, ServiceRowSink sink, void *argument)
{
	const ServicePlan *plan = run->plan;
	int			computations = list_length(plan->computations);
	CachedPlan **plans = palloc(computations * sizeof(CachedPlan *));
	EState	   *estate = NULL;
	ExprContext *econtext = NULL;
	ErrorContextCallback callback = {error_context_stack, name_feature, run};
	Datum	   *values = palloc(plan->feature_count * sizeof(Datum));
	bool	   *nulls = palloc(plan->feature_count * sizeof(bool));
	FeatureStatus *statuses = palloc(plan->feature_count * sizeof(FeatureStatus));
	TimestampTz *times = palloc(plan->feature_count * sizeof(TimestampTz));
	MemoryContext row_context = run->input->count > 1 ?
		AllocSetContextCreate(run->context, "venice service row", ALLOCSET_DEFAULT_SIZES) : NULL;

	run->statuses = palloc(plan->value_count * sizeof(FeatureStatus));
	run->parameters = makeParamList(plan->value_count);
	for (int v = 0; v < plan->value_count; v++)
		run->parameters->params[v].ptype = plan->values[v].type;
	if (computations > 0)
	{
		estate = CreateExecutorState();
		econtext = GetPerTupleExprContext(estate);
		econtext->ecxt_param_list_info = run->parameters;
		run->expressions = palloc0(computations * sizeof(ExprState *));
		run->same = palloc0(computations * sizeof(ExprState *));
		for (int c = 0; c < computations; c++)
			plans[c] = prepare_computation(run, c);
	}
	error_context_stack = &callback;
	for (int64 n = 0; n < run->input->count; n++)
	{
		ServiceRow	row = {n, values, nulls, statuses, event_times ? times : NULL};

		CHECK_FOR_INTERRUPTS();
		fill_row(run, econtext, n);
		for (int f = 0; f < plan->feature_count; f++)
		{
			const PlanOutput *output = &plan->outputs[f];

			values[f] = run->parameters->params[output->value].value;
			nulls[f] = run->parameters->params[output->value].isnull;
			statuses[f] = run->statuses[output->value];
			if (output->cast >= 0 && !nulls[f])
				values[f] = compute(run, econtext, output->cast, &nulls[f]);
			if (output->has_default && statuses[f] < FEATURE_NULL_VALUE)
			{
				values[f] = output->default_value;
				nulls[f] = false;
			}
			if (event_times)
				times[f] = event_time_of(run, output->value, n);
		}
		if (row_context != NULL)
			MemoryContextSwitchTo(row_context);
		sink(argument, &row);
		MemoryContextSwitchTo(run->context);
		if (row_context != NULL)
			MemoryContextReset(row_context);
		if (econtext != NULL)
			ResetExprContext(econtext);
	}
	error_context_stack = callback.previous;
	if (computations > 0)
	{
		for (int c = 0; c < computations; c++)
			ReleaseCachedPlan(plans[c], CurrentResourceOwner);
		FreeExecutorState(estate);
	}
}

/* Open every store; false when one is not as the plan knows it.  *policies: some apply. */
static bool
open_stores(ServicePlan *plan, StoreHandle *handles, bool *policies)
{
	ListCell   *cell;

	foreach(cell, plan->lookups)
	{
		PlanLookup *lookup = lfirst(cell);
		StoreHandle *handle = &handles[foreach_current_index(cell)];

		StoreHandleOpen(lookup->view->store, handle);
		if (lookup->build != handle->build)
			plan->is_stale |= !find_attributes(plan, lookup, handle);
		*policies |= handle->row_security;
	}
	return !plan->is_stale;
}

static bool
run_as_role(ServicePlan *plan, Oid role, const ServiceInput *input, bool event_times,
			ServiceRowSink sink, void *argument)
{
	int			lookups = list_length(plan->lookups);
	StoreHandle *handles = palloc(lookups * sizeof(StoreHandle));
	bool		runs_code = plan->computations != NIL;
	Run			run = {.plan = plan, .input = input, .context = CurrentMemoryContext};
	UserContext user;

	if (!open_stores(plan, handles, &runs_code))
		return false;
	if (runs_code)
		UserContextEnter(&user, role);
	run.values = palloc0(plan->value_count * sizeof(Datum *));
	run.nulls = palloc0(plan->value_count * sizeof(bool *));
	run.found = palloc0(lookups * sizeof(FeatureStatus *));
	for (int i = 0; i < lookups; i++)
		look_up(&run, i, &handles[i]);
	emit_rows(&run, event_times, sink, argument);
	if (runs_code)
		UserContextLeave(&user);
	return true;
}

bool
ServicePlanRun(ServicePlan *plan, Oid role, const ServiceInput *input, bool event_times,
			   ServiceRowSink sink, void *argument)
{
	ErrorContextCallback callback = {error_context_stack, name_service, plan};
	Oid			user;
	int			security;
	bool		result = false;

	plan->running++;
	PG_TRY();
	{
		error_context_stack = &callback;
		GetUserIdAndSecContext(&user, &security);
		SetUserIdAndSecContext(role, security | SECURITY_LOCAL_USERID_CHANGE |
							   SECURITY_RESTRICTED_OPERATION);
		result = run_as_role(plan, role, input, event_times, sink, argument);
		SetUserIdAndSecContext(user, security);
		error_context_stack = callback.previous;
	}
	PG_FINALLY();
	{
		plan->running--;
		/* It was let go of in the midst of this. */
		if (plan->running == 0 && plan->is_let_go)
			ServicePlanDrop(plan);
	}
	PG_END_TRY();
	return result;
}
