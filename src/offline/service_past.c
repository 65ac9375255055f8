/*-------------------------------------------------------------------------
 *
 * service_past.c
 *		What a service would have answered, and whether it did.
 *
 * A service's past is asked as its present is: with its owner's rights, for
 * arguments, under the names and types that are pinned.  One call is a spine of
 * one row; the answers that were logged, or are asked for now, are a longer one,
 * with what was answered beside it.
 *
 * Locks: none of its own.
 * Must not know: how rows are found.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/tuplestore.h"

#include "catalog/store.h"
#include "common/compat.h"
#include "common/item_list.h"
#include "common/query.h"
#include "common/user_context.h"
#include "offline/answer.h"
#include "offline/request.h"
#include "registry/entry.h"
#include "registry/service_definition.h"
#include "registry/service_plan.h"
#include "store/arguments.h"

PG_FUNCTION_INFO_V1(venice_service_as_of);
PG_FUNCTION_INFO_V1(venice_check_consistency);

/* No argument and no feature of a service begins with an underscore. */
#define TIME_COLUMN	"_at"

static HistoricalRequest *
make_request(const char *spine, const char *service)
{
	Datum		options = DirectFunctionCall1(jsonb_in,
											  CStringGetDatum("{\"with_status\": true}"));

	return HistoricalRequestMake(spine, list_make1(pstrdup(service)), TIME_COLUMN,
								 DatumGetJsonbP(options));
}

/* A value as SQL reads it, on this server, in this session. */
static char *
literal(Datum value, bool is_null, Oid type)
{
	char	   *type_name = format_type_extended(type, -1, FORMAT_TYPE_FORCE_QUALIFY);
	Oid			output;
	bool		is_varlena;

	if (is_null)
		return psprintf("NULL::%s", type_name);
	getTypeOutputInfo(type, &output, &is_varlena);
	return psprintf("%s::%s", quote_literal_cstr(OidOutputFunctionCall(output, value)), type_name);
}

/* The spine of one call. */
static char *
call_spine(FunctionCallInfo fcinfo, const ServiceColumn *arguments, int count)
{
	StringInfoData columns;

	initStringInfo(&columns);
	for (int i = 0; i < count; i++)
		ItemListAppend(&columns, "%s AS %s",
					   literal(PG_GETARG_DATUM(i + 1), PG_ARGISNULL(i + 1), arguments[i].type),
					   quote_identifier(arguments[i].name));
	ItemListAppend(&columns, "%s AS " TIME_COLUMN,
				   literal(PG_GETARG_DATUM(count + 1), PG_ARGISNULL(count + 1), TIMESTAMPTZOID));
	return psprintf("SELECT %s", columns.data);
}

static bool
call_fits(FunctionCallInfo fcinfo, const ServiceColumn *arguments, int count)
{
	if (PG_NARGS() != count + 2)
		return false;
	for (int i = 0; i < count; i++)
		if (get_fn_expr_argtype(fcinfo->flinfo, i + 1) != arguments[i].type)
			return false;
	return get_fn_expr_argtype(fcinfo->flinfo, count + 1) == TIMESTAMPTZOID;
}

static bool
result_fits(TupleDesc result, TupleDesc columns, int first)
{
	if (result->natts != columns->natts - first)
		return false;
	for (int i = 0; i < result->natts; i++)
		if (getBaseType(TupleDescAttr(result, i)->atttypid) !=
			getBaseType(TupleDescAttr(columns, first + i)->atttypid))
			return false;
	return true;
}

pg_noreturn static void
refuse_call(const char *service)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("service \"%s\" was not called as it is defined", service),
			 errhint("Call the function as_of in its schema.")));
	pg_unreachable();
}

typedef struct Output
{
	ReturnSetInfo *result;
	int			first;			/* column of the answer */
} Output;

static void
put_row(void *state, const Datum *values, const bool *nulls)
{
	const Output *output = state;

	tuplestore_putvalues(output->result->setResult, output->result->setDesc,
						 unconstify(Datum *, values) + output->first,
						 unconstify(bool *, nulls) + output->first);
}

/* What a place in a statement asks: of one service, with the rights of who owned it. */
typedef struct AsOfSite
{
	char	   *service;
	Oid			owner;
	HistoricalRequest *request;
} AsOfSite;

/* Take the request apart, in memory of the statement's. */
static AsOfSite *
make_site(MemoryContext context, const char *spine, const char *service, Oid owner)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	AsOfSite   *site = palloc(sizeof(AsOfSite));

	site->service = pstrdup(service);
	site->owner = owner;
	site->request = make_request(spine, service);
	MemoryContextSwitchTo(old);
	return site;
}

/*
 * venice_service_as_of
 *		service_as_of(service text, VARIADIC arguments "any"), of which the last is the
 *		time: one row.
 *
 * What is asked of one service differs from call to call in its spine only, which has the
 * same columns: the calls of a statement take the request apart once.
 */
Datum
venice_service_as_of(PG_FUNCTION_ARGS)
{
	char	   *service = ArgumentText(fcinfo, 0, "service", true);
	Output		output = {.result = (ReturnSetInfo *) fcinfo->resultinfo};
	AsOfSite   *site = fcinfo->flinfo->fn_extra;
	const ServiceColumn *arguments;
	char	   *spine;
	UserContext user;
	Oid			owner;
	int			count = ServicePlanArguments(ServicePlanGet(service, &owner), &arguments);

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (!call_fits(fcinfo, arguments, count))
		refuse_call(service);
	UserContextEnter(&user, owner);
	/* Every bit of a float. */
	(void) set_config_option("extra_float_digits", "3", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	spine = call_spine(fcinfo, arguments, count);
	if (site == NULL || site->owner != owner || strcmp(site->service, service) != 0)
		site = make_site(fcinfo->flinfo->fn_mcxt, spine, service, owner);
	output.first = count + 1;
	if (!result_fits(output.result->setDesc, site->request->columns, output.first))
		refuse_call(service);
	fcinfo->flinfo->fn_extra = site;
	site->request->join.spine = spine;
	AnswerRun(site->request, put_row, &output, NULL);
	UserContextLeave(&user);
	return (Datum) 0;
}

/* "<project>.<service>" of an argument; it must be the caller's. */
static Service *
argument_service(FunctionCallInfo fcinfo, char **name, Oid *owner)
{
	char	   *text = ArgumentText(fcinfo, 0, "service", true);
	Reference	reference;
	char	   *project;
	Service    *service;

	ReferenceParse(text, &reference);
	project = RegistryFindProject("services", &reference);
	if (project == NULL || reference.feature != NULL || reference.view_version != 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("service \"%s\" does not exist", text),
				 errhint("SELECT name FROM venice.services lists those that you may see.")));
	*name = psprintf("%s.%s", project, reference.name);
	/* Only what its owner was given is run as him. */
	(void) ServicePlanGet(*name, owner);
	RegistryCheckOwner("service", text, GetUserNameFromId(*owner, false));
	service = ServiceRead(project, reference.name);
	if (service == NULL)
		elog(ERROR, "service \"%s\" is gone", *name);
	return service;
}

/* "carrier text, distance float8", as the service has it. */
static char *
argument_list(const Service *service)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, service->arguments)
	{
		const ServiceArgument *argument = lfirst(cell);

		ItemListAppend(&list, "%s %s", quote_identifier(argument->name), argument->type_name);
	}
	return list.data;
}

/* Of each call that was logged its arguments and time, and what was answered. */
static char *
logged_spine(const Service *service, int sample)
{
	return psprintf("SELECT a.*, l.request_time AS " TIME_COLUMN ", l.arguments AS _arguments, "
					"l.features AS _online, COALESCE(l.status, '{}') AS _online_status "
					"FROM (SELECT * FROM venice.served_features WHERE project = %s AND service = %s "
					"ORDER BY request_time DESC LIMIT %d) AS l "
					"CROSS JOIN LATERAL pg_catalog.jsonb_to_record(l.arguments) AS a (%s)",
					quote_literal_cstr(service->project), quote_literal_cstr(service->name), sample,
					argument_list(service));
}

/*
 * Some of the entities that a view has a past of, under the names of those arguments that
 * no view before has given; NULL when it has none of them.
 */
static char *
entity_sample(const Service *service, const JoinView *view, List **given, int sample)
{
	const HistorySource *source = view->source;
	const char *schema = get_namespace_name(get_rel_namespace(source->relation));
	StringInfoData columns;
	StringInfoData conditions;
	ListCell   *key;
	ListCell   *column;

	initStringInfo(&columns);
	initStringInfo(&conditions);
	forboth(key, source->key_columns, column, view->spine_keys)
	{
		const ServiceArgument *argument = list_nth(service->arguments, lfirst_int(column) - 1);
		char	   *value = psprintf("%s.%s", quote_identifier(source->alias),
									 quote_identifier(lfirst(key)));

		if (list_member_int(*given, lfirst_int(column)))
			continue;
		*given = lappend_int(*given, lfirst_int(column));
		ItemListAppend(&columns, "%s::%s AS %s", value, argument->type_name,
					   quote_identifier(argument->name));
		appendStringInfo(&conditions, "%s%s IS NOT NULL", conditions.len > 0 ? " AND " : "", value);
	}
	if (columns.len == 0)
		return NULL;
	return psprintf("(SELECT pg_catalog.row_number() OVER () AS _n, d.* "
					"FROM (SELECT DISTINCT %s FROM %s AS %s WHERE %s LIMIT %d) AS d)", columns.data,
					quote_qualified_identifier(schema, get_rel_name(source->relation)),
					quote_identifier(source->alias), conditions.data, sample);
}

/* What the service answers now for entities that its views know, and to requests of NULLs. */
static char *
asked_spine(const Service *service, const HistoricalRequest *request, int sample)
{
	StringInfoData samples;
	StringInfoData columns;
	StringInfoData arrays;
	StringInfoData arguments;
	List	   *given = NIL;
	int			count = 0;
	ListCell   *cell;

	initStringInfo(&samples);
	initStringInfo(&columns);
	initStringInfo(&arrays);
	initStringInfo(&arguments);
	foreach(cell, request->join.views)
	{
		char	   *entities = entity_sample(service, lfirst(cell), &given, sample);

		if (entities == NULL)
			continue;
		appendStringInfo(&samples, "%s%s AS s%d%s", count > 0 ? " FULL JOIN " : "", entities, count,
						 count > 0 ? " USING (_n)" : "");
		count++;
	}
	foreach(cell, service->arguments)
	{
		const ServiceArgument *argument = lfirst(cell);
		const char *name = quote_identifier(argument->name);
		bool		known = list_member_int(given, foreach_current_index(cell) + 1);

		ItemListAppend(&columns, "%s", known ? name :
					   psprintf("NULL::%s AS %s", argument->type_name, name));
		ItemListAppend(&arrays, "ARRAY(SELECT k.%s FROM k ORDER BY k._n)", name);
		ItemListAppend(&arguments, "%s, k.%s", quote_literal_cstr(argument->name), name);
	}
	return psprintf("WITH k AS MATERIALIZED (SELECT %s, _n FROM %s ORDER BY _n LIMIT %d) "
					"SELECT k.*, pg_catalog.now() AS " TIME_COLUMN ", "
					"pg_catalog.jsonb_build_object(%s) AS _arguments, "
					"pg_catalog.to_jsonb(g) AS _online, COALESCE(g._status, '{}') AS _online_status "
					"FROM k JOIN %s.batch_get(%s) AS g (_n) ON g._n OPERATOR(pg_catalog.=) k._n",
					columns.data, count > 0 ? samples.data : "(SELECT 1::bigint AS _n) AS s0", sample,
					arguments.data, quote_identifier(service->schema), arrays.data);
}

/* Each feature of each row of the spine, as it was answered, beside what its past says. */
static char *
comparison_query(const Service *service, const char *name, const char *spine,
				 const HistoricalRequest *request)
{
	StringInfoData features;
	StringInfoData values;
	ListCell   *cell;

	initStringInfo(&features);
	initStringInfo(&values);
	foreach(cell, service->features)
	{
		const char *feature = ((ServiceFeature *) lfirst(cell))->output_name;
		const char *text = quote_literal_cstr(feature);

		ItemListAppend(&features, "(%d, %s)", foreach_current_index(cell), text);
		ItemListAppend(&values, "(%d, q._online -> %s, COALESCE(pg_catalog.to_jsonb(q.%s), 'null'), q._online_status ->> %s, q._status ->> %s)",
					   foreach_current_index(cell), text, quote_identifier(feature), text, text);
	}
	return psprintf("SELECT f.feature, COALESCE(c.compared, 0), COALESCE(c.mismatched, 0), c.example "
					"FROM (VALUES %s) AS f (place, feature) LEFT JOIN "
					"(SELECT v.place, pg_catalog.count(*) AS compared, "
					"pg_catalog.count(*) FILTER (WHERE v.online IS DISTINCT FROM v.past) AS mismatched, "
					"(pg_catalog.array_agg(pg_catalog.jsonb_build_object('arguments', q._arguments, "
					"'time', q." TIME_COLUMN ", 'online', v.online, 'offline', v.past, "
					"'online_status', COALESCE(v.online_status, 'present'), "
					"'offline_status', COALESCE(v.past_status, 'present'))) "
					"FILTER (WHERE v.online IS DISTINCT FROM v.past))[1] AS example "
					"FROM venice.get_historical_features(%s, ARRAY[%s], '" TIME_COLUMN "', '{\"with_status\": true}') AS q (%s) "
					"CROSS JOIN LATERAL (VALUES %s) AS v (place, online, past, online_status, past_status) "
					"WHERE v.online IS NOT NULL GROUP BY v.place) AS c USING (place) ORDER BY f.place",
					features.data, quote_literal_cstr(spine), quote_literal_cstr(name),
					HistoricalRequestColumns(request), values.data);
}

/*
 * venice_check_consistency
 *		check_consistency(service, sample): for each feature how many answers, those that
 *		were logged or else some that are asked for now, are not what the past says.
 */
Datum
venice_check_consistency(PG_FUNCTION_ARGS)
{
	int			sample = ArgumentInt4(fcinfo, 1, "sample");
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *name;
	Oid			owner;
	Service    *service = argument_service(fcinfo, &name, &owner);
	char	   *spine = logged_spine(service, sample);
	HistoricalRequest *request;
	UserContext user;

	if (sample < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("sample must be at least 1")));
	InitMaterializedSRF(fcinfo, 0);
	UserContextEnter(&user, owner);
	request = make_request(spine, name);
	SPI_connect();
	if (QueryRun(psprintf("SELECT FROM venice.served_features WHERE project = %s AND service = %s LIMIT 1",
						  quote_literal_cstr(service->project),
						  quote_literal_cstr(service->name)), NULL) == 0)
	{
		spine = asked_spine(service, request, sample);
		request = make_request(spine, name);
	}
	(void) QueryRun(comparison_query(service, name, spine, request), NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[row]);
	SPI_finish();
	UserContextLeave(&user);
	return (Datum) 0;
}
