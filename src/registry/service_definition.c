/*-------------------------------------------------------------------------
 *
 * service_definition.c
 *		What a service consists of.
 *
 * A service is written as a list of features, some of them through joins that
 * give a view another name or its keys other arguments.  Here that becomes
 * definite: which view version, which type, which argument for each key.  What
 * is definite is what is kept, so that nothing that happens to the views later
 * changes a service unasked.
 *
 * Locks: none; who changes a service holds RegistryLock.
 * Must not know: how a service is answered.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "registry/service_definition.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "common/json_input.h"
#include "common/query.h"
#include "common/store_options.h"
#include "registry/entry.h"

/* A view as the service calls it. */
typedef struct ViewJoin
{
	char	   *alias;
	FeatureView *view;
	Jsonb	   *keys;			/* key column to argument, or NULL */
	bool		declared;		/* in the option "joins" */
} ViewJoin;

typedef struct Resolver
{
	Service    *service;
	const Service *current;
	FeatureView *moved;
	List	   *joins;			/* of ViewJoin */
} Resolver;

char *
ServiceQualifiedName(const Service *service)
{
	return psprintf("%s.%s", service->project, service->name);
}

static FeatureView *
look_up_view(const Resolver *resolver, const Reference *reference)
{
	Reference	wanted = *reference;
	bool		may_be_service;
	FeatureView *view;
	ListCell   *cell;

	wanted.feature = NULL;
	if (wanted.view_version == 0 && resolver->current != NULL)
		foreach(cell, resolver->current->features)
		{
			const FeatureView *pinned = ((ServiceFeature *) lfirst(cell))->view;

			if (strcmp(pinned->name, wanted.name) == 0 &&
				(wanted.project == NULL || strcmp(pinned->project, wanted.project) == 0))
			{
				wanted.project = pinned->project;
				wanted.view_version = pinned->view_version;
				break;
			}
		}
	/* To get_online_features a name alone may be a service's. */
	may_be_service = resolver->service->project == NULL && reference->feature == NULL &&
		reference->view_version == 0;
	view = FeatureViewLookup(&wanted, may_be_service);
	if (view == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("service or feature view \"%s\" does not exist", ReferenceText(reference)),
				 errhint("The views venice.services and venice.feature_views list those that you may use, with their projects.")));
	if (resolver->moved != NULL && strcmp(view->name, resolver->moved->name) == 0 &&
		strcmp(view->project, resolver->moved->project) == 0)
		view = resolver->moved;

	if (resolver->service->offline)
		return view;
	if (strcmp(view->kind, "label") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a label view", view->name),
				 errhint("Labels are what a model is trained on, not what it is given: leave them out.")));
	if (strcmp(view->kind, "on_demand") != 0 && view->store == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("feature view \"%s\" is not online", view->name),
				 errhint("Make it, or a new version of it, with online => true.")));
	return view;
}

static ViewJoin *
add_join(Resolver *resolver, char *alias, FeatureView *view)
{
	ViewJoin	   *join = palloc0(sizeof(ViewJoin));
	ListCell   *cell;

	foreach(cell, resolver->joins)
		if (strcmp(((ViewJoin *) lfirst(cell))->alias, alias) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_ALIAS),
					 errmsg("\"%s\" stands for two feature views", alias),
					 errhint("Give one of them another alias in the option \"joins\".")));
	join->alias = alias;
	join->view = view;
	resolver->joins = lappend(resolver->joins, join);
	return join;
}

/* The value of a key of an object: what stands there, or NULL. */
static JsonbValue *
object_value(JsonbContainer *object, const char *key, JsonbValue *buffer)
{
	return getKeyJsonValueFromContainer(object, key, strlen(key), buffer);
}

/* The mapping of a join's keys names keys that the view has, and good names for arguments. */
static void
check_join_keys(const ViewJoin *join, bool offline)
{
	const char *argument = offline ? "column of the spine" : "argument of the service";
	JsonbIterator *iterator = JsonbIteratorInit(&join->keys->root);
	JsonbIteratorToken kind;
	JsonbValue	token;
	char	   *key = NULL;

	if (!JB_ROOT_IS_OBJECT(join->keys))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the keys of join \"%s\" are no object", join->alias),
				 errhint("Write {\"key of the view\": \"%s\"}.", argument)));
	while ((kind = JsonbIteratorNext(&iterator, &token, true)) != WJB_DONE)
	{
		bool		known = false;
		ListCell   *cell;

		if (kind == WJB_KEY)
		{
			key = pnstrdup(token.val.string.val, token.val.string.len);
			foreach(cell, join->view->key_names)
				known |= strcmp(lfirst(cell), key) == 0;
			if (!known)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("feature view \"%s\" has no key \"%s\"", join->view->name, key),
						 errhint("Its keys are %s.", QuotedNames(join->view->key_names))));
		}
		else if (kind == WJB_VALUE &&
				 (token.type != jbvString || token.val.string.len == 0 ||
				  token.val.string.len >= NAMEDATALEN ||
				  (token.val.string.val[0] == '_' && !offline)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_NAME),
					 errmsg("invalid %s for key \"%s\" of join \"%s\"", offline ? "column" : "argument",
							key, join->alias),
					 offline ? errdetail("The name of a column has 1 to %d bytes.", NAMEDATALEN - 1) :
					 errdetail("The name of an argument has 1 to %d bytes and does not begin with \"_\".",
							   NAMEDATALEN - 1)));
	}
}

static void
parse_joins(Resolver *resolver, const Jsonb *options)
{
	static const char *const valid[] = {"alias", "keys", "view", NULL};
	JsonbValue	buffer;
	JsonbValue *joins = object_value(unconstify(JsonbContainer *, &options->root), "joins", &buffer);

	if (joins == NULL || joins->type == jbvNull)
		return;
	if (joins->type != jbvBinary || !JsonContainerIsArray(joins->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"joins\" is no array"),
				 errhint("Write [{\"view\": ..., \"alias\": ..., \"keys\": {...}}].")));
	for (int i = 0; i < JsonContainerSize(joins->val.binary.data); i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(joins->val.binary.data, i);
		Jsonb	   *element = JsonbValueToJsonb(value);
		JsonbValue	keys_buffer;
		JsonbValue *keys;
		char	   *view;
		char	   *alias;
		Reference	reference;
		ViewJoin	   *join;

		OptionsCheckKeys(element, valid, NULL);
		view = OptionString(element, "view");
		if (view == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a join without \"view\"")));
		ReferenceParse(view, &reference);
		alias = OptionString(element, "alias");
		if (alias != NULL)
			RegistryCheckName("alias", alias);
		join = add_join(resolver, alias != NULL ? alias : reference.name,
						look_up_view(resolver, &reference));
		join->declared = true;
		keys = object_value(&element->root, "keys", &keys_buffer);
		if (keys != NULL && keys->type != jbvNull)
		{
			join->keys = JsonbValueToJsonb(keys);
			check_join_keys(join, resolver->service->offline);
		}
	}
}

/* The join that a feature is written with. */
static ViewJoin *
find_join(Resolver *resolver, const Reference *reference)
{
	FeatureView *view;
	ListCell   *cell;

	if (reference->project == NULL && reference->view_version == 0)
		foreach(cell, resolver->joins)
		{
			ViewJoin	   *join = lfirst(cell);

			if (strcmp(join->alias, reference->name) == 0)
				return join;
		}
	view = look_up_view(resolver, reference);
	foreach(cell, resolver->joins)
	{
		ViewJoin	   *join = lfirst(cell);

		if (strcmp(join->alias, view->name) == 0 && strcmp(join->view->name, view->name) == 0 &&
			strcmp(join->view->project, view->project) == 0 &&
			join->view->view_version == view->view_version)
			return join;
	}
	return add_join(resolver, view->name, view);
}

/*
 * The argument that is a key of a join.  An on-demand view takes it from the join of
 * the view that it computes from, unless the join itself says.
 */
static char *
argument_of_key(const Resolver *resolver, const ViewJoin *join, const char *key)
{
	char	   *found = join->keys != NULL ? OptionText(join->keys, key) : NULL;
	ListCell   *cell;
	ListCell   *other;

	if (found != NULL)
		return found;
	foreach(cell, join->view->inputs)
	{
		Reference	input;

		ReferenceParse(lfirst(cell), &input);
		foreach(other, resolver->joins)
		{
			const ViewJoin *candidate = lfirst(other);
			ListCell   *name;
			char	   *argument = NULL;

			if (strcmp(candidate->view->project, input.project) != 0 ||
				strcmp(candidate->view->name, input.name) != 0 ||
				candidate->view->view_version != input.view_version)
				continue;
			foreach(name, candidate->view->key_names)
				if (strcmp(lfirst(name), key) == 0)
					argument = argument_of_key(resolver, candidate, key);
			if (argument != NULL && found != NULL && strcmp(argument, found) != 0)
				ereport(ERROR,
						(errcode(ERRCODE_AMBIGUOUS_COLUMN),
						 errmsg("key \"%s\" of on-demand view \"%s\" may be argument \"%s\" or \"%s\"",
								key, join->view->name, found, argument),
						 errhint("Say which in the option \"joins\": {\"view\": \"%s\", \"keys\": {\"%s\": \"%s\"}}.",
								 join->view->name, key, found)));
			if (argument != NULL)
				found = argument;
		}
	}
	return found != NULL ? found : pstrdup(key);
}

static void
add_argument(Service *service, char *name, const char *type_name, bool is_request)
{
	ServiceArgument *argument;
	Oid			type;
	int32		typmod;
	ListCell   *cell;
	char	   *bare;

	parseTypeString(type_name, &type, &typmod, false);
	bare = format_type_extended(type, -1, FORMAT_TYPE_FORCE_QUALIFY);
	foreach(cell, service->arguments)
	{
		argument = lfirst(cell);
		if (strcmp(argument->name, name) != 0)
			continue;
		if (strcmp(argument->type_name, bare) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("argument \"%s\" of service \"%s\" would be of types %s and %s", name,
							service->name, argument->type_name, bare),
					 errhint("Call one of them otherwise in the option \"joins\": {\"view\": ..., \"keys\": {\"%s\": ...}}.",
							 name)));
		return;
	}
	argument = palloc(sizeof(ServiceArgument));
	argument->name = name;
	argument->type_name = bare;
	argument->is_request = is_request;
	service->arguments = lappend(service->arguments, argument);
}

static void
add_feature(const Resolver *resolver, const ViewJoin *join, ViewFeature *feature, bool full_names)
{
	Service    *service = resolver->service;
	ServiceFeature *added = palloc0(sizeof(ServiceFeature));
	ListCell   *cell;

	added->view = join->view;
	added->feature = feature;
	added->alias = join->alias;
	added->type_name = feature->type_name;
	added->output_name = full_names ? psprintf("%s__%s", join->alias, feature->name) : feature->name;
	if (strlen(added->output_name) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("name \"%s\" is too long", added->output_name),
				 errhint("Give the feature view a shorter alias in the option \"joins\".")));
	foreach(cell, service->features)
	{
		const ServiceFeature *other = lfirst(cell);

		if (strcmp(other->output_name, added->output_name) == 0)
			ereport(ERROR,
					(errcode(service->offline ? ERRCODE_AMBIGUOUS_COLUMN :
							 ERRCODE_DUPLICATE_COLUMN),
					 service->offline ?
					 errmsg("feature name \"%s\" is ambiguous", added->output_name) :
					 errmsg("service \"%s\" would have two features \"%s\"", service->name,
							added->output_name),
					 errdetail("They are %s:%s and %s:%s.", other->alias, other->feature->name,
							   added->alias, feature->name),
					 full_names || strcmp(other->alias, added->alias) == 0 ? errhint("List it once.") :
					 errhint("Set the option \"full_names\" to true, which calls them alias__feature.")));
	}
	foreach(cell, join->view->key_names)
		added->arguments = lappend(added->arguments, argument_of_key(resolver, join, lfirst(cell)));
	service->features = lappend(service->features, added);
}

/* The arguments that a join needs: its keys, and request columns. */
static void
add_arguments(Service *service, const ServiceFeature *feature, bool is_request)
{
	const FeatureView *view = feature->view;
	List	   *names = is_request ? view->request_names : feature->arguments;
	List	   *types = is_request ? view->request_types : view->key_types;
	ListCell   *name;
	ListCell   *type;

	forboth(name, names, type, types)
		add_argument(service, lfirst(name), lfirst(type), is_request);
}

static void
name_default(void *feature)
{
	errcontext("default of feature \"%s\"", (const char *) feature);
}

/*
 * What stands for values that are not present: converted by the server as a field of a
 * JSON object is, so that a wrong one is found here.
 */
static void
parse_defaults(Service *service, const Jsonb *options)
{
	JsonbValue	buffer;
	JsonbValue *defaults = object_value(unconstify(JsonbContainer *, &options->root), "defaults",
										&buffer);
	JsonbIterator *iterator;
	JsonbIteratorToken kind;
	JsonbValue	token;

	if (defaults == NULL || defaults->type == jbvNull)
		return;
	if (defaults->type != jbvBinary || !JsonContainerIsObject(defaults->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"defaults\" is no object"),
				 errhint("Write {\"feature\": value}.")));
	iterator = JsonbIteratorInit(defaults->val.binary.data);
	while ((kind = JsonbIteratorNext(&iterator, &token, true)) != WJB_DONE)
	{
		ServiceFeature *feature = NULL;
		ErrorContextCallback callback = {error_context_stack, name_default, NULL};
		QuerySession session;
		QueryArgs	args = {0};
		ListCell   *cell;
		JsonInput	input;
		Datum		value;
		bool		is_null;
		char	   *name;
		Oid			type;
		int32		typmod;

		if (kind != WJB_KEY)
			continue;
		name = pnstrdup(token.val.string.val, token.val.string.len);
		foreach(cell, service->features)
			if (strcmp(((ServiceFeature *) lfirst(cell))->output_name, name) == 0)
				feature = lfirst(cell);
		if (feature == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"defaults\" names feature \"%s\", which service \"%s\" does not have",
							name, service->name),
					 errhint("Set the option to what its features have for defaults, or to null.")));
		/* What lies under a domain: its CHECK would be somebody else's code. */
		parseTypeString(feature->type_name, &type, &typmod, false);
		type = getBaseTypeAndTypmod(type, &typmod);
		JsonInputInit(&input, name, type, typmod);
		QueryBegin(&session, GetUserId());
		callback.arg = name;
		error_context_stack = &callback;
		value = JsonInputCall(&input, JsonbValueToJsonb(defaults), &is_null);
		QueryArgDatum(&args, type, value, is_null);
		(void) QueryRun("SELECT $1::text", &args);
		error_context_stack = callback.previous;
		feature->default_value = QueryText(0, 1, session.result_context);
		QueryEnd(&session);
	}
}

/* What was resolved, in writing. */
static void
write_definite(Resolver *resolver, List *texts, const Jsonb *options)
{
	Service    *service = resolver->service;
	StringInfoData joins;
	Datum		definite;
	ListCell   *cell;

	service->features_text = NIL;
	foreach(cell, texts)
	{
		Reference	reference;
		const ViewJoin *join;

		ReferenceParse(lfirst(cell), &reference);
		join = find_join(resolver, &reference);
		if (reference.feature == NULL)
			reference.feature = "*";
		reference.project = join->declared ? NULL : join->view->project;
		reference.name = join->declared ? join->alias : join->view->name;
		reference.view_version = join->declared ? 0 : join->view->view_version;
		service->features_text = lappend(service->features_text, ReferenceText(&reference));
	}

	initStringInfo(&joins);
	foreach(cell, resolver->joins)
	{
		const ViewJoin *join = lfirst(cell);

		if (!join->declared)
			continue;
		appendStringInfo(&joins, "%s{\"view\": ", joins.len == 0 ? "{\"joins\": [" : ", ");
		escape_json(&joins, psprintf("%s.%s@%d", join->view->project, join->view->name,
									 join->view->view_version));
		appendStringInfoString(&joins, ", \"alias\": ");
		escape_json(&joins, join->alias);
		if (join->keys != NULL)
			appendStringInfo(&joins, ", \"keys\": %s",
							 JsonbToCString(NULL, &join->keys->root, VARSIZE(join->keys)));
		appendStringInfoChar(&joins, '}');
	}
	appendStringInfoString(&joins, joins.len == 0 ? "{}" : "]}");
	definite = DirectFunctionCall1(jsonb_in, CStringGetDatum(joins.data));
	service->options = StoreOptionsMerge(options, DatumGetJsonbP(definite));
}

void
ServiceResolve(Service *service, List *texts, const Jsonb *options, const Service *current,
			   FeatureView *moved)
{
	Resolver	resolver = {service, current, moved, NIL};
	char	   *full_names = OptionText(options, "full_names");
	ListCell   *cell;

	if (texts == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("service \"%s\" would have no features", service->name),
				 errhint("Write them as view:feature, or view:* for all of a view.")));
	parse_joins(&resolver, options);
	/* All joins first: an on-demand view may stand before the views that it computes from. */
	foreach(cell, texts)
	{
		Reference	reference;

		ReferenceParse(lfirst(cell), &reference);
		(void) find_join(&resolver, &reference);
	}
	service->features = NIL;
	service->arguments = NIL;
	foreach(cell, texts)
	{
		Reference	reference;
		const ViewJoin *join;
		bool		all;
		ListCell   *feature;

		ReferenceParse(lfirst(cell), &reference);
		join = find_join(&resolver, &reference);
		all = reference.feature == NULL || strcmp(reference.feature, "*") == 0;
		if (!all)
			(void) FeatureViewFeature(join->view, reference.feature, false);
		foreach(feature, join->view->features)
			if (all || strcmp(((ViewFeature *) lfirst(feature))->name, reference.feature) == 0)
				add_feature(&resolver, join, lfirst(feature),
							full_names != NULL && strcmp(full_names, "true") == 0);
	}
	if (!service->offline)
	{
		foreach(cell, service->features)
			add_arguments(service, lfirst(cell), false);
		foreach(cell, service->features)
			add_arguments(service, lfirst(cell), true);
	}
	parse_defaults(service, options);
	write_definite(&resolver, texts, options);
}

static List *
read_arguments(const Jsonb *keys)
{
	List	   *arguments = NIL;

	for (int i = 0; i < JB_ROOT_COUNT(keys); i++)
	{
		JsonbValue *element =
			getIthJsonbValueFromContainer(unconstify(JsonbContainer *, &keys->root), i);
		Jsonb	   *object = JsonbValueToJsonb(element);
		ServiceArgument *argument = palloc(sizeof(ServiceArgument));

		argument->name = OptionText(object, "name");
		argument->type_name = OptionText(object, "type");
		argument->is_request = strcmp(OptionText(object, "request"), "true") == 0;
		arguments = lappend(arguments, argument);
	}
	return arguments;
}

/* The view of a service's feature: one that was read for another feature already, or read now. */
static FeatureView *
pinned_view(const Service *service, char *project, char *name, int view_version)
{
	Reference	reference = {project, name, view_version, NULL};
	ListCell   *cell;

	foreach(cell, service->features)
	{
		FeatureView *view = ((ServiceFeature *) lfirst(cell))->view;

		if (view->view_version == view_version && strcmp(view->name, name) == 0 &&
			strcmp(view->project, project) == 0)
			return view;
	}
	return FeatureViewLookup(&reference, false);
}

static void
read_features(Service *service, uint64 rows)
{
	for (uint64 i = 0; i < rows; i++)
	{
		ServiceFeature *feature = palloc0(sizeof(ServiceFeature));
		Jsonb	   *keys;
		bool		is_null;
		ListCell   *cell;

		feature->output_name = QueryText(i, 1, CurrentMemoryContext);
		feature->type_name = QueryText(i, 2, CurrentMemoryContext);
		feature->view = pinned_view(service, QueryText(i, 3, CurrentMemoryContext),
									QueryText(i, 4, CurrentMemoryContext), QueryInt4(i, 5, 0));
		feature->feature = FeatureViewFeature(feature->view, QueryText(i, 6, CurrentMemoryContext),
											  false);
		feature->alias = QueryText(i, 7, CurrentMemoryContext);
		keys = DatumGetJsonbPCopy(QueryDatum(i, 8, &is_null));
		foreach(cell, feature->view->key_names)
		{
			char	   *argument = OptionText(keys, lfirst(cell));

			feature->arguments = lappend(feature->arguments,
										 argument != NULL ? argument : pstrdup(lfirst(cell)));
		}
		feature->default_value = QueryText(i, 9, CurrentMemoryContext);
		service->features = lappend(service->features, feature);
	}
}

Service *
ServiceRead(const char *project, const char *name)
{
	Service    *service = NULL;
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	QueryArgText(&args, project);
	QueryArgText(&args, name);
	if (QueryRun("SELECT s.schema_name::text, s.features, s.keys, s.options, n.schema_oid "
				  "FROM venice.service s LEFT JOIN venice_internal.service_schema n "
				  "USING (project, service) "
				  "WHERE s.project = $1::name AND s.service = $2::name", &args) > 0)
	{
		MemoryContext old = MemoryContextSwitchTo(session.result_context);
		bool		is_null;
		ArrayType  *features;
		Datum	   *elements;
		int			count;
		uint64		rows;

		service = palloc0(sizeof(Service));
		service->project = pstrdup(project);
		service->name = pstrdup(name);
		service->schema = QueryText(0, 1, CurrentMemoryContext);
		service->schema_oid = DatumGetObjectId(QueryDatum(0, 5, &is_null));
		features = DatumGetArrayTypePCopy(QueryDatum(0, 2, &is_null));
		deconstruct_array(features, TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &count);
		for (int i = 0; i < count; i++)
			service->features_text = lappend(service->features_text,
											 TextDatumGetCString(elements[i]));
		service->arguments = read_arguments(DatumGetJsonbPCopy(QueryDatum(0, 3, &is_null)));
		service->options = DatumGetJsonbPCopy(QueryDatum(0, 4, &is_null));

		rows = QueryRun("SELECT output_name::text, output_type, view_project::text, "
						 "view_name::text, view_version, feature::text, alias::text, keys, "
						 "default_value FROM venice.service_feature "
						 "WHERE project = $1::name AND service = $2::name ORDER BY position", &args);
		/* SPI leaves its own memory context behind. */
		MemoryContextSwitchTo(session.result_context);
		read_features(service, rows);
		MemoryContextSwitchTo(old);
	}
	QueryEnd(&session);
	return service;
}

/* Arguments of the service's functions, as venice.service has them. */
static Jsonb *
arguments_to_jsonb(const Service *service)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	appendStringInfoChar(&text, '[');
	foreach(cell, service->arguments)
	{
		const ServiceArgument *argument = lfirst(cell);

		appendStringInfo(&text, "%s{\"name\": ", text.len > 1 ? ", " : "");
		escape_json(&text, argument->name);
		appendStringInfoString(&text, ", \"type\": ");
		escape_json(&text, argument->type_name);
		appendStringInfo(&text, ", \"request\": %s}", argument->is_request ? "true" : "false");
	}
	appendStringInfoChar(&text, ']');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data)));
}

static Jsonb *
feature_keys_to_jsonb(const ServiceFeature *feature)
{
	StringInfoData text;
	ListCell   *key;
	ListCell   *argument;

	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	forboth(key, feature->view->key_names, argument, feature->arguments)
	{
		if (text.len > 1)
			appendStringInfoString(&text, ", ");
		escape_json(&text, lfirst(key));
		appendStringInfoString(&text, ": ");
		escape_json(&text, lfirst(argument));
	}
	appendStringInfoChar(&text, '}');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data)));
}

static Datum
text_array(List *texts)
{
	Datum	   *elements = palloc(list_length(texts) * sizeof(Datum));
	ListCell   *cell;

	foreach(cell, texts)
		elements[foreach_current_index(cell)] = CStringGetTextDatum(lfirst(cell));
	return PointerGetDatum(construct_array(elements, list_length(texts), TEXTOID, -1, false,
										   TYPALIGN_INT));
}

void
ServiceWrite(const Service *service)
{
	QuerySession session;
	QueryArgs	args = {0};
	ListCell   *cell;

	QueryBeginRegistry(&session);
	QueryArgText(&args, service->project);
	QueryArgText(&args, service->name);
	(void) QueryRun("DELETE FROM venice.service_feature "
					"WHERE project = $1::name AND service = $2::name", &args);
	QueryArgText(&args, service->schema);
	QueryArgDatum(&args, TEXTARRAYOID, text_array(service->features_text), false);
	QueryArgJsonb(&args, arguments_to_jsonb(service));
	QueryArgJsonb(&args, service->options);
	(void) QueryRun("INSERT INTO venice.service (project, service, schema_name, features, keys, options) "
					"VALUES ($1::name, $2::name, $3::name, $4, $5, $6) "
					"ON CONFLICT (project, service) DO UPDATE SET schema_name = EXCLUDED.schema_name, "
					"features = EXCLUDED.features, keys = EXCLUDED.keys, options = EXCLUDED.options",
					&args);
	args.count = 2;
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(service->schema_oid), false);
	if (OidIsValid(service->schema_oid))
		(void) QueryRun("INSERT INTO venice.service_schema VALUES ($1::name, $2::name, $3) "
						"ON CONFLICT (project, service) DO UPDATE SET schema_oid = EXCLUDED.schema_oid, "
						"system_identifier = EXCLUDED.system_identifier", &args);
	foreach(cell, service->features)
	{
		const ServiceFeature *feature = lfirst(cell);

		args.count = 2;
		QueryArgInt4(&args, foreach_current_index(cell) + 1);
		QueryArgText(&args, feature->output_name);
		QueryArgText(&args, feature->type_name);
		QueryArgText(&args, feature->view->project);
		QueryArgText(&args, feature->view->name);
		QueryArgInt4(&args, feature->view->view_version);
		QueryArgText(&args, feature->feature->name);
		QueryArgText(&args, feature->alias);
		QueryArgJsonb(&args, feature_keys_to_jsonb(feature));
		QueryArgText(&args, feature->default_value);
		(void) QueryRun("INSERT INTO venice.service_feature VALUES ($1::name, $2::name, $3, "
						"$4::name, $5, $6::name, $7::name, $8, $9::name, $10::name, $11, $12)", &args);
	}
	QueryEnd(&session);
}

static bool
find_service(const char *text, Reference *reference)
{
	ReferenceParse(text, reference);
	if (reference->feature != NULL || reference->view_version != 0)
		return false;
	reference->project = RegistryFindProject("services", reference);
	return reference->project != NULL;
}

char *
ServiceNamed(const char *text)
{
	Reference	reference;

	if (!find_service(text, &reference))
		return NULL;
	return psprintf("%s.%s", reference.project, reference.name);
}

Service *
ServiceReadNamed(const char *text)
{
	Reference	reference;

	return find_service(text, &reference) ? ServiceRead(reference.project, reference.name) : NULL;
}
