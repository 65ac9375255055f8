/*-------------------------------------------------------------------------
 *
 * request.c
 *		What is asked of the past: features by name, for the rows of a query.
 *
 * Names are resolved as a service's are, with columns of the spine in the place of
 * arguments; a service that is named brings what it consists of.  Each view is joined
 * once for each name and set of keys that it is asked for under; on-demand views are
 * joined through their inputs.
 *
 * Locks: those that parsing the spine takes.
 * Must not know: how rows are found, or what is computed from them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/request.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "parser/parse_coerce.h"
#include "parser/parse_type.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"

#include "common/compat.h"
#include "common/item_list.h"
#include "common/length_of_time.h"
#include "common/store_options.h"
#include "common/user_context.h"
#include "offline/source.h"
#include "registry/entry.h"
#include "registry/service_definition.h"
#include "store/definition.h"

#define STATUS_COLUMN	"_status"
#define IGNORE_NULLS_WANTED \
	"true, false, or an array of views and of features (\"view:feature\")"

static const char *const valid_options[] = {
	"availability_delay", "created_cutoff", "defaults", "full_names", "ignore_nulls", "joins",
	"null_time", "plan", "preserve_order", "strict", "time_zone", "with_event_time",
	"with_status", NULL
};

static bool
option_flag(const Jsonb *options, const char *key)
{
	char	   *text = OptionText(options, key);
	bool		flag = false;

	if (text != NULL && !parse_bool(text, &flag))
		OptionRefuse(options, key, "true or false");
	return flag;
}

/* Which of a list of words, NULL-terminated, an option says; the first where it is not given. */
static int
option_word(const Jsonb *options, const char *key, const char *const *words, const char *wanted)
{
	char	   *text = OptionString(options, key);

	if (text == NULL)
		return 0;
	for (int i = 0; words[i] != NULL; i++)
		if (strcmp(text, words[i]) == 0)
			return i;
	OptionRefuse(options, key, wanted);
	return 0;
}

static JsonbValue *
option_value(const Jsonb *options, const char *key, JsonbValue *buffer)
{
	JsonbValue *value = getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &options->root),
													 key, strlen(key), buffer);

	return value == NULL || value->type == jbvNull ? NULL : value;
}

/* How long after their event times the rows of a view are to be seen. */
static int64
delay_of(const Jsonb *options, const char *alias)
{
	JsonbValue	buffer;
	JsonbValue *value = option_value(options, "availability_delay", &buffer);
	const Jsonb *named = options;
	const char *key = "availability_delay";
	char	   *text;

	if (value != NULL && value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data))
	{
		named = JsonbValueToJsonb(value);
		key = alias;
	}
	text = OptionInterval(named, key);
	if (text == NULL)
		return 0;
	return IntervalLength(DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(text),
																ObjectIdGetDatum(InvalidOid),
																Int32GetDatum(-1))),
						  "availability_delay");
}

/* Is the newest value of a feature wanted that is not NULL?  Of all, of a view's, of one. */
static bool
ignores_nulls(const Jsonb *options, const char *alias, const char *feature)
{
	JsonbValue	buffer;
	JsonbValue *value = option_value(options, "ignore_nulls", &buffer);

	if (value == NULL || value->type != jbvBinary ||
		!JsonContainerIsArray(value->val.binary.data))
	{
		char	   *text = OptionText(options, "ignore_nulls");
		bool		flag = false;

		if (text != NULL && !parse_bool(text, &flag))
			OptionRefuse(options, "ignore_nulls", IGNORE_NULLS_WANTED);
		return flag;
	}
	for (int i = 0; i < JsonContainerSize(value->val.binary.data); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(value->val.binary.data, i);
		Reference	reference;

		if (element->type != jbvString)
			OptionRefuse(options, "ignore_nulls", IGNORE_NULLS_WANTED);
		ReferenceParse(pnstrdup(element->val.string.val, element->val.string.len), &reference);
		if (strcmp(reference.name, alias) == 0 &&
			(reference.feature == NULL || strcmp(reference.feature, "*") == 0 ||
			 strcmp(reference.feature, feature) == 0))
			return true;
	}
	return false;
}

static char *
column_names(TupleDesc columns)
{
	List	   *names = NIL;

	for (int i = 0; i < columns->natts; i++)
		names = lappend(names, NameStr(TupleDescAttr(columns, i)->attname));
	return QuotedNames(names);
}

/* The spine's column of that name, from 1; 0: there is none. */
static int
spine_column(TupleDesc spine, const char *name)
{
	for (int i = 0; i < spine->natts; i++)
		if (namestrcmp(&TupleDescAttr(spine, i)->attname, name) == 0)
			return i + 1;
	return 0;
}

/* The column that holds a key, or that an on-demand view is given. */
static int
needed_column(TupleDesc spine, const char *name, const char *what, const FeatureView *view,
			  const char *key, const char *hint)
{
	int			column = spine_column(spine, name);

	if (column == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("spine has no column \"%s\"", name),
				 errdetail("It is %s \"%s\" of %s \"%s\"; the spine's columns are %s.", what, key,
						   FeatureViewKind(view), FeatureViewShortName(view),
						   column_names(spine)),
				 errhint("%s", hint)));
	return column;
}

static void
check_event_time(HistoricalRequest *request, const char *name)
{
	TupleDesc	spine = request->join.spine_columns;
	int			column = spine_column(spine, name);
	Oid			type;

	if (column == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("spine has no column \"%s\"", name),
				 errdetail("It is to say when each row asks; the spine's columns are %s.",
						   column_names(spine)),
				 errhint("Call the column that does \"%s\", or name it in the argument event_time.",
						 name)));
	type = TupleDescAttr(spine, column - 1)->atttypid;
	if (request->join.time_zone != NULL && pg_tzset(request->join.time_zone) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" not recognized", request->join.time_zone)));
	if (type == TIMESTAMPOID && request->join.time_zone == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of the spine has no time zone", name),
				 errdetail("In another zone than the one that was meant, rows would see the future."),
				 errhint("Cast it with \"%s AT TIME ZONE 'UTC'\", or name its zone with the option {\"time_zone\": \"UTC\"}.",
						 quote_identifier(name))));
	if (type != TIMESTAMPTZOID && type != TIMESTAMPOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of the spine has type %s", name, format_type_be(type)),
				 errdetail("A point in time is a timestamptz."),
				 errhint("Cast it in the spine's query.")));
	request->join.event_time = column;
}

static void
parse_options(HistoricalRequest *request, const Jsonb *options)
{
	static const char *const null_times[] = {"keep", "raise", NULL};
	static const char *const plans[] = {"auto", "probe", "merge", "instant", NULL};
	JoinRequest *join = &request->join;

	OptionsCheckKeys(options, valid_options, NULL);
	join->time_zone = OptionString(options, "time_zone");
	join->raise_null_time = option_word(options, "null_time", null_times,
										"\"keep\" or \"raise\"") == 1;
	join->preserve_order = option_flag(options, "preserve_order");
	join->plan = option_word(options, "plan", plans,
							 "\"auto\", \"probe\", \"merge\" or \"instant\"");
	request->with_status = option_flag(options, "with_status");
}

static bool
is_same_view(const FeatureView *view, const FeatureView *other)
{
	return view->view_version == other->view_version && strcmp(view->name, other->name) == 0 &&
		strcmp(view->project, other->project) == 0;
}

/* What joins are made of while the request is taken apart. */
typedef struct RequestJoin
{
	JoinView   *join;
	const FeatureView *view;
} RequestJoin;

typedef struct Builder
{
	HistoricalRequest *request;
	const Jsonb *options;
	List	   *joins;			/* of RequestJoin */
} Builder;

static JoinView *
find_join(Builder *builder, const FeatureView *view, const char *alias, List *arguments)
{
	const Jsonb *options = builder->options;
	List	   *keys = NIL;
	JoinView   *join;
	RequestJoin *made;
	ListCell   *cell;
	ListCell   *key;

	forboth(cell, arguments, key, view->key_names)
	{
		const char *hint =
			psprintf("Select it under this name, or say which column it is with the option {\"joins\": [{\"view\": \"%s\", \"keys\": {\"%s\": \"...\"}}]}.",
					 FeatureViewShortName(view), (char *) lfirst(key));

		keys = lappend_int(keys, needed_column(builder->request->join.spine_columns, lfirst(cell),
											   "key", view, lfirst(key), hint));
	}
	foreach(cell, builder->joins)
	{
		made = lfirst(cell);
		if (is_same_view(made->view, view) && strcmp(made->join->label, alias) == 0 &&
			equal(made->join->spine_keys, keys))
			return made->join;
	}

	join = palloc0(sizeof(JoinView));
	join->label = pstrdup(alias);
	join->source = HistorySourceOf(view);
	join->spine_keys = keys;
	join->with_status = builder->request->with_status || option_flag(options, "with_event_time");
	if (view->ttl != NULL)
		join->ttl_us = IntervalLength(view->ttl, psprintf("ttl of feature view \"%s\"",
														  FeatureViewShortName(view)));
	if (view->window_length != NULL)
		join->window_us = IntervalLength(view->window_length,
										 psprintf("window_length of label view \"%s\"",
												  FeatureViewShortName(view)));
	else
	{
		join->delay_us = delay_of(options, alias);
		join->strict = option_flag(options, "strict");
		join->created_cutoff = option_flag(options, "created_cutoff");
	}
	if (join->created_cutoff && join->source->created_time == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s \"%s\" does not say when its rows were made", FeatureViewKind(view),
						FeatureViewShortName(view)),
				 errdetail("The option \"created_cutoff\" leaves out what was not known yet."),
				 errhint("Set created_time of source \"%s\" with venice.alter_source, or ask without the option.",
						 view->source)));
	made = palloc(sizeof(RequestJoin));
	made->join = join;
	made->view = view;
	builder->joins = lappend(builder->joins, made);
	builder->request->join.views = lappend(builder->request->join.views, join);
	return join;
}

static RequestInput *
make_input(Builder *builder, const FeatureView *view, const char *feature, const char *alias,
		   List *arguments)
{
	RequestInput *input = palloc(sizeof(RequestInput));
	int			number = 0;

	while (strcmp(((ViewFeature *) list_nth(view->features, number))->name, feature) != 0)
		number++;
	input->view = find_join(builder, view, alias, arguments);
	if (!list_member_int(input->view->features, number))
	{
		const ViewFeature *found = list_nth(view->features, number);

		input->view->features = lappend_int(input->view->features, number);
		if (found->aggregation != NULL)
			input->view->aggregations = lappend(input->view->aggregations, found->aggregation);
		if (input->view->window_us == 0 && ignores_nulls(builder->options, alias, feature))
			input->view->ignore_nulls = lappend_int(input->view->ignore_nulls, number);
	}
	for (input->position = 0; list_nth_int(input->view->features, input->position) != number;)
		input->position++;
	return input;
}

/* An on-demand view's feature is joined through all that the view computes from. */
static void
add_inputs(Builder *builder, RequestFeature *added)
{
	const FeatureView *view = added->feature->view;
	ListCell   *cell;
	ListCell   *key;
	ListCell   *name;
	ListCell   *argument;

	foreach(cell, view->inputs)
	{
		List	   *arguments = NIL;
		Reference	input;
		FeatureView *input_view;
		const ViewFeature *feature;

		ReferenceParse(lfirst(cell), &input);
		input_view = FeatureViewOfInput(&input);
		feature = FeatureViewFeature(input_view, input.feature, false);
		added->input_types = lappend(added->input_types, feature->type_name);
		foreach(key, input_view->key_names)
			forboth(name, view->key_names, argument, added->feature->arguments)
				if (strcmp(lfirst(key), lfirst(name)) == 0)
					arguments = lappend(arguments, lfirst(argument));
		added->inputs = lappend(added->inputs,
								make_input(builder, input_view, input.feature, input_view->name,
										   arguments));
	}
	forboth(name, view->request_names, cell, view->request_types)
	{
		TupleDesc	spine = builder->request->join.spine_columns;
		int			column = needed_column(spine, lfirst(name), "request column", view, lfirst(name),
										   "Select it under this name.");
		Oid			given = TupleDescAttr(spine, column - 1)->atttypid;
		Oid			wanted;
		int32		typmod;

		parseTypeString(lfirst(cell), &wanted, &typmod, false);
		wanted = getBaseTypeAndTypmod(wanted, &typmod);
		if (!can_coerce_type(1, &given, &wanted, COERCION_ASSIGNMENT))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of the spine has type %s, but request column \"%s\" of on-demand view \"%s\" has type %s",
							(char *) lfirst(name), format_type_be(given), (char *) lfirst(name),
							FeatureViewShortName(view), format_type_be(wanted)),
					 errhint("Cast it in the spine's query.")));
		added->request = lappend_int(added->request, column);
	}
}

static void
add_feature(Builder *builder, const ServiceFeature *feature)
{
	RequestFeature *added = palloc0(sizeof(RequestFeature));

	added->feature = feature;
	if (strcmp(feature->view->kind, "on_demand") == 0)
		add_inputs(builder, added);
	else
		added->inputs = list_make1(make_input(builder, feature->view, feature->feature->name,
											  feature->alias, feature->arguments));
	builder->request->features = lappend(builder->request->features, added);
}

/* The features that views are asked for: those between two services together. */
static void
add_views(List **features, List *texts, const Jsonb *options)
{
	Service    *service;

	if (texts == NIL)
		return;
	service = palloc0(sizeof(Service));
	service->name = "get_historical_features";
	service->offline = true;
	ServiceResolve(service, texts, options, NULL, NULL);
	*features = list_concat(*features, service->features);
}

static List *
resolve_features(List *texts, const Jsonb *options)
{
	List	   *features = NIL;
	List	   *of_views = NIL;
	ListCell   *cell;

	if (texts == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no features are asked for"),
				 errhint("Name services, views, or features as view:feature.")));
	foreach(cell, texts)
	{
		Service    *service = ServiceReadNamed(lfirst(cell));

		if (service == NULL)
		{
			of_views = lappend(of_views, lfirst(cell));
			continue;
		}
		add_views(&features, of_views, options);
		of_views = NIL;
		features = list_concat(features, service->features);
	}
	add_views(&features, of_views, options);
	return features;
}

static void
check_joined(const HistoricalRequest *request, const char *option, const char *alias)
{
	List	   *labels = NIL;
	ListCell   *cell;

	foreach(cell, request->join.views)
	{
		const JoinView *view = lfirst(cell);

		if (strcmp(view->label, alias) == 0)
			return;
		labels = lappend(labels, unconstify(char *, view->label));
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("option \"%s\" names view \"%s\", which is not asked for", option, alias),
			 errhint("Views that are read are %s.", QuotedNames(labels))));
}

/* Options that say something of single views: a wrong name would go unnoticed. */
static void
check_option_names(const HistoricalRequest *request, const Jsonb *options)
{
	JsonbValue	buffer;
	JsonbValue *value = option_value(options, "ignore_nulls", &buffer);
	JsonbIterator *iterator;
	JsonbIteratorToken kind;
	JsonbValue	token;

	if (value != NULL && value->type == jbvBinary &&
		JsonContainerIsArray(value->val.binary.data))
		for (int i = 0; i < JsonContainerSize(value->val.binary.data); i++)
		{
			JsonbValue *element = getIthJsonbValueFromContainer(value->val.binary.data, i);
			Reference	reference;

			if (element->type != jbvString)
				OptionRefuse(options, "ignore_nulls", IGNORE_NULLS_WANTED);
			ReferenceParse(pnstrdup(element->val.string.val, element->val.string.len), &reference);
			check_joined(request, "ignore_nulls", reference.name);
		}
	value = option_value(options, "availability_delay", &buffer);
	if (value == NULL || value->type != jbvBinary)
		return;
	iterator = JsonbIteratorInit(value->val.binary.data);
	while ((kind = JsonbIteratorNext(&iterator, &token, true)) != WJB_DONE)
		if (kind == WJB_KEY)
			check_joined(request, "availability_delay",
						 pnstrdup(token.val.string.val, token.val.string.len));
}

static void
collect_times(HistoricalRequest *request)
{
	ListCell   *cell;
	ListCell   *other;

	foreach(cell, request->features)
	{
		const RequestFeature *feature = lfirst(cell);
		RequestTime *time = NULL;

		foreach(other, request->times)
			if (strcmp(((RequestTime *) lfirst(other))->alias, feature->feature->alias) == 0)
				time = lfirst(other);
		if (time == NULL)
		{
			time = palloc0(sizeof(RequestTime));
			time->alias = feature->feature->alias;
			request->times = lappend(request->times, time);
		}
		time->inputs = list_concat(time->inputs, feature->inputs);
	}
}

/* What stands in a column, for messages. */
static char *
describe_column(const HistoricalRequest *request, int column)
{
	int			feature = column - request->join.spine_columns->natts;

	if (feature < 0)
		return psprintf("column %d of the spine", column + 1);
	if (feature < list_length(request->features))
	{
		const RequestFeature *found = list_nth(request->features, feature);

		return psprintf("feature %s:%s", found->feature->alias, found->feature->feature->name);
	}
	feature -= list_length(request->features);
	return feature < list_length(request->times) ?
		psprintf("the event time of %s", ((RequestTime *) list_nth(request->times, feature))->alias) :
		"the status";
}

static void
check_names(const HistoricalRequest *request)
{
	TupleDesc	columns = request->columns;

	for (int i = 0; i < columns->natts; i++)
		for (int j = 0; j < i; j++)
			if (namestrcmp(&TupleDescAttr(columns, i)->attname,
						   NameStr(TupleDescAttr(columns, j)->attname)) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_AMBIGUOUS_COLUMN),
						 errmsg("column name \"%s\" is ambiguous",
								NameStr(TupleDescAttr(columns, i)->attname)),
						 errdetail("It is %s and %s.", describe_column(request, j),
								   describe_column(request, i)),
						 i < request->join.spine_columns->natts ?
						 errhint("Call one of them otherwise in the spine's query.") :
						 errhint("Call the spine's column otherwise, or set the option \"full_names\" to true, which calls features of views alias__feature.")));
}

static char *
column_name(const char *alias, const char *suffix)
{
	char	   *name = psprintf("%s__%s", alias, suffix);

	if (strlen(name) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("name \"%s\" is too long", name),
				 errhint("Give the feature view a shorter alias in the option \"joins\".")));
	return name;
}

static void
make_columns(HistoricalRequest *request)
{
	TupleDesc	spine = request->join.spine_columns;
	TupleDesc	columns = CreateTemplateTupleDesc(spine->natts + list_length(request->features) +
												  list_length(request->times) +
												  (request->with_status ? 1 : 0));
	AttrNumber	number = 0;
	ListCell   *cell;

	if (columns->natts > MaxTupleAttributeNumber)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("the answer would have %d columns, more than %d", columns->natts,
						MaxTupleAttributeNumber)));
	for (int i = 0; i < spine->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(spine, i);

		if (get_typtype(attribute->atttypid) == TYPTYPE_PSEUDO)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("column \"%s\" of the spine has pseudo-type %s",
							NameStr(attribute->attname), format_type_be(attribute->atttypid))));
		TupleDescCopyEntry(columns, ++number, spine, i + 1);
	}
	foreach(cell, request->features)
	{
		const ServiceFeature *feature = ((RequestFeature *) lfirst(cell))->feature;
		Oid			type;
		int32		typmod;

		/* A domain's CHECK is somebody's code, and has been run when the value was stored. */
		parseTypeString(feature->type_name, &type, &typmod, false);
		type = getBaseTypeAndTypmod(type, &typmod);
		TupleDescInitEntry(columns, ++number, feature->output_name, type, typmod, 0);
	}
	foreach(cell, request->times)
		TupleDescInitEntry(columns, ++number,
						   column_name(((RequestTime *) lfirst(cell))->alias, "event_time"),
						   TIMESTAMPTZOID, -1, 0);
	if (request->with_status)
		TupleDescInitEntry(columns, ++number, STATUS_COLUMN, JSONBOID, -1, 0);
	request->columns = columns;
	check_names(request);
}

HistoricalRequest *
HistoricalRequestMake(const char *spine, List *features, const char *event_time,
					  const Jsonb *options)
{
	HistoricalRequest *request = palloc0(sizeof(HistoricalRequest));
	Builder		builder = {request, options, NIL};
	ListCell   *cell;

	parse_options(request, options);
	request->join.spine = spine;
	request->join.spine_columns = JoinSpineColumns(spine);
	check_event_time(request, event_time);
	foreach(cell, resolve_features(features, options))
		add_feature(&builder, lfirst(cell));
	check_option_names(request, options);
	if (option_flag(options, "with_event_time"))
		collect_times(request);
	make_columns(request);
	request->joined = JoinColumns(&request->join);
	return request;
}

char *
HistoricalRequestColumns(const HistoricalRequest *request)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < request->columns->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(request->columns, i);

		ItemListAppend(&list, "%s %s", quote_identifier(NameStr(column->attname)),
					   DefinitionTypeName(column->atttypid, column->atttypmod));
		if (column->attcollation != get_typcollation(column->atttypid))
			appendStringInfo(&list, " COLLATE %s", generate_collation_name(column->attcollation));
	}
	return list.data;
}
