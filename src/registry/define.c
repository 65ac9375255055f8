/*-------------------------------------------------------------------------
 *
 * define.c
 *		Making, altering and dropping views.
 *
 * A view version is a row, its features, and, where it is online and does not read
 * somebody else's store, a store of its own, which lives and dies with it.
 *
 * Locks: RegistryLock, then StoreLock of the view's own store.
 * Must not know: how a service or a definition file is made.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "registry/define.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "catalog/audit.h"
#include "common/item_list.h"
#include "common/length_of_time.h"
#include "common/query.h"
#include "common/store_options.h"
#include "registry/change.h"
#include "registry/derive.h"
#include "registry/entry.h"
#include "registry/past.h"
#include "store/arguments.h"
#include "version/functions.h"

PG_FUNCTION_INFO_V1(venice_create_feature_view);
PG_FUNCTION_INFO_V1(venice_create_on_demand_view);
PG_FUNCTION_INFO_V1(venice_create_label_view);
PG_FUNCTION_INFO_V1(venice_alter_feature_view);
PG_FUNCTION_INFO_V1(venice_alter_on_demand_view);
PG_FUNCTION_INFO_V1(venice_alter_label_view);
PG_FUNCTION_INFO_V1(venice_drop_feature_view);
PG_FUNCTION_INFO_V1(venice_drop_on_demand_view);
PG_FUNCTION_INFO_V1(venice_drop_label_view);
PG_FUNCTION_INFO_V1(venice_deprecate);

/* Options that are kept by other means than as options. */
static const char *const kept_elsewhere[] = {
	"entities", "expressions", "features", "inputs", "offline", "online", "owner", "request",
	"source", "store", "ttl", "view_version", "window_length", NULL
};

/*
 * Options of a new view, and what of its arguments alter_ can change through options too;
 * and what can be given as an argument only.
 */
typedef struct KindOptions
{
	const char *kind;
	const char *const create[10];
	const char *const alter[14];
	const char *create_arguments;
	const char *alter_arguments;
} KindOptions;

static const KindOptions kinds[] = {
	{"feature",
		{"aggregations", "expectations", "feature_descriptions", "feature_tags", "history", "keys",
		"store", "upper_edge", "view_version", NULL},
		{"aggregations", "entities", "expectations", "feature_descriptions", "feature_tags", "history",
		"keys", "offline", "online", "source", "store", "ttl", "upper_edge", NULL},
	"entities, features, offline, online, source, ttl", "features"},
	{"on_demand",
		{"expectations", "feature_descriptions", "feature_tags", "view_version", NULL},
		{"expectations", "feature_descriptions", "feature_tags", "inputs", "request", NULL},
	"expressions, inputs, request", "expressions"},
	{"label",
		{"expectations", "feature_descriptions", "feature_tags", "keys", "view_version", NULL},
		{"entities", "expectations", "feature_descriptions", "feature_tags", "keys", "source",
		"window_length", NULL},
	"entities, features, source, window_length", "features"}
};

static const KindOptions *
options_of_kind(const char *kind)
{
	for (int i = 0; i < lengthof(kinds); i++)
		if (strcmp(kinds[i].kind, kind) == 0)
			return &kinds[i];
	elog(ERROR, "unexpected kind of view: \"%s\"", kind);
	return NULL;
}

static Datum
text_array(const List *texts)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(list_length(texts), 1));
	const ListCell *cell;

	foreach(cell, texts)
		elements[foreach_current_index(cell)] = CStringGetTextDatum(lfirst(cell));
	return PointerGetDatum(construct_array(elements, list_length(texts), TEXTOID, -1, false,
										   TYPALIGN_INT));
}

static void
arg_interval(QueryArgs *args, const Interval *interval)
{
	QueryArgDatum(args, INTERVALOID, interval ? IntervalPGetDatum(interval) : (Datum) 0,
				  interval == NULL);
}

static void
write_features(const FeatureView *view)
{
	QueryArgs	args = {0};
	int			position = 0;
	ListCell   *cell;

	QueryArgText(&args, view->project);
	QueryArgText(&args, view->name);
	QueryArgInt4(&args, view->view_version);
	(void) QueryRun("DELETE FROM venice.feature WHERE project = $1::name AND view_name = $2::name "
					"AND view_version = $3", &args);
	foreach(cell, view->features)
	{
		const ViewFeature *feature = lfirst(cell);

		args.count = 3;
		QueryArgInt4(&args, ++position);
		QueryArgText(&args, feature->name);
		QueryArgText(&args, feature->type_name);
		QueryArgText(&args, feature->expression);
		QueryArgDatum(&args, TEXTARRAYOID, text_array(feature->source_columns), false);
		QueryArgJsonb(&args, feature->options);
		(void) QueryRun("INSERT INTO venice.feature VALUES ($1::name, $2::name, $3, $4, $5::name, "
						"$6, $7, $8, $9)", &args);
	}
}

/* Write a view version down, over what was there of it. */
static void
write_view(const FeatureView *view)
{
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	QueryArgText(&args, view->project);
	QueryArgText(&args, view->name);
	QueryArgInt4(&args, view->view_version);
	QueryArgText(&args, view->kind);
	QueryArgText(&args, view->owner);
	QueryArgDatum(&args, TEXTARRAYOID, text_array(view->entities), false);
	QueryArgText(&args, view->source);
	QueryArgText(&args, view->features_text);
	QueryArgDatum(&args, TEXTARRAYOID, text_array(view->inputs), view->source != NULL);
	QueryArgText(&args, view->request);
	arg_interval(&args, view->ttl);
	arg_interval(&args, view->window_length);
	QueryArgBool(&args, view->online);
	QueryArgBool(&args, view->offline);
	QueryArgText(&args, view->store);
	QueryArgBool(&args, view->owns_store);
	QueryArgJsonb(&args, view->options);
	(void) QueryRun("INSERT INTO venice.feature_view (project, view_name, view_version, kind, owner_name, "
					"entities, source, features, inputs, request, ttl, window_length, online, offline, "
					"store_name, owns_store, options) "
					"VALUES ($1::name, $2::name, $3, $4, $5::name, $6, $7, $8, $9, $10, $11, $12, $13, $14, "
					"$15::name, $16, $17) "
					"ON CONFLICT (project, view_name, view_version) DO UPDATE SET "
					"owner_name = EXCLUDED.owner_name, entities = EXCLUDED.entities, "
					"source = EXCLUDED.source, features = EXCLUDED.features, inputs = EXCLUDED.inputs, "
					"request = EXCLUDED.request, ttl = EXCLUDED.ttl, "
					"window_length = EXCLUDED.window_length, online = EXCLUDED.online, "
					"offline = EXCLUDED.offline, store_name = EXCLUDED.store_name, "
					"owns_store = EXCLUDED.owns_store, options = EXCLUDED.options", &args);
	write_features(view);
	QueryEnd(&session);
}

/* The view's own store, locked to the end of the transaction. */
static Store *
lock_own_store(const FeatureView *view, bool missing_ok)
{
	StoreLock(view->store, ExclusiveLock);
	StoreLockRow(view->store);
	return StoreLookup(view->store, missing_ok);
}

/* Descriptions of features are comments on columns of the view's own store; swaps carry them. */
static void
comment_features(const FeatureView *view)
{
	Oid			records = InvalidOid;
	Store	   *store;
	QuerySession session;
	ListCell   *cell;

	if (view->owns_store)
	{
		store = StoreLookup(view->store, false);
		records = get_relname_relid("records", store->schema_oid);
	}
	if (!OidIsValid(records))
		return;
	QueryBegin(&session, store->owner);
	foreach(cell, view->features)
	{
		const ViewFeature *feature = lfirst(cell);
		char	   *description = OptionText(feature->options, "description");

		/* A new one is a column of the next version. */
		if (get_attnum(records, feature->name) != InvalidAttrNumber)
			QueryRunf("COMMENT ON COLUMN %s.records.%s IS %s", quote_identifier(store->name),
					  quote_identifier(feature->name),
					  description != NULL ? quote_literal_cstr(description) : "NULL");
	}
	QueryEnd(&session);
}

/* Views and services share one namespace in a project. */
static void
check_new_name(const FeatureView *view)
{
	QuerySession session;
	QueryArgs	args = {0};
	bool		view_exists;
	bool		service_exists;

	QueryBeginRegistry(&session);
	QueryArgText(&args, view->project);
	QueryArgText(&args, view->name);
	view_exists = QueryRun("SELECT FROM venice.feature_view "
						   "WHERE project = $1::name AND view_name = $2::name", &args) > 0;
	service_exists = QueryRun("SELECT FROM venice.service "
							  "WHERE project = $1::name AND service = $2::name", &args) > 0;
	QueryEnd(&session);
	if (view_exists || service_exists)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("%s \"%s\" already exists in project \"%s\"",
						view_exists ? "feature view" : "service", view->name, view->project),
				 view_exists ?
				 errhint("Change it with venice.alter_%s_view, or make a view version with new_version => true.",
						 view->kind) :
				 errhint("Views and services of a project have different names.")));
}

/* The functions of the view's own store about its past follow from the view. */
static void
renew_past_functions(const FeatureView *view)
{
	if (view->owns_store)
		PastFunctionsRenew(lock_own_store(view, false));
}

static void
make_view(const FeatureView *view, StoreSpec *store)
{
	AuditChange change;

	AuditBegin(&change, psprintf("%s_view", view->kind), view->project, view->name,
			   view->view_version);
	if (store->name != NULL)
		(void) StoreCreate(store);
	write_view(view);
	comment_features(view);
	FeatureViewKeepPast(view, true);
	renew_past_functions(view);
	AuditEnd(&change, "create");
}

/* Where the rows of a view version go that has none of somebody else's. */
static void
name_own_store(FeatureView *view, const Jsonb *options)
{
	view->store = NULL;
	view->owns_store = view->online && view->source != NULL;
	if (!view->owns_store)
		return;
	view->store = OptionString(options, "store");
	if (view->store == NULL)
		view->store = RegistrySchemaName(view->project, view->name, view->view_version);
}

static void
check_store_option(const FeatureView *view, const Jsonb *options)
{
	if (!view->owns_store && OptionText(options, "store") != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s \"%s\" has no store of its own", FeatureViewKind(view), view->name),
				 errdetail("Option \"store\" names the store that is made with an online view over a relation or a topic.")));
}

static const Interval *
argument_interval(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL : PG_GETARG_INTERVAL_P(number);
}

static Interval *
copy_interval(const Interval *interval)
{
	Interval   *copy;

	if (interval == NULL)
		return NULL;
	copy = palloc(sizeof(Interval));
	*copy = *interval;
	return copy;
}

static List *
argument_texts(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
	return TextArrayList(PG_GETARG_ARRAYTYPE_P(number));
}

/* A view that is made again from a definition goes on with the numbers that it had. */
static int
first_version(const Jsonb *options)
{
	char	   *text = OptionText(options, "view_version");
	int			version = text == NULL ? 1 : pg_strtoint32(text);

	if (version < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"view_version\": \"%s\"", text),
				 errhint("It takes a positive integer.")));
	return version;
}

/* What the three functions that make a view begin with. */
static FeatureView *
begin_view(FunctionCallInfo fcinfo, const char *kind, const Jsonb *options)
{
	FeatureView *view = palloc0(sizeof(FeatureView));
	char	   *name = ArgumentText(fcinfo, 0, "view", true);
	Reference	reference;

	RegistryLock(fcinfo);
	view->kind = pstrdup(kind);
	RegistryParseNew(FeatureViewKind(view), name, &reference);
	RegistryCheckOptions(options, options_of_kind(kind)->create,
						 options_of_kind(kind)->create_arguments);
	view->project = reference.project;
	view->name = reference.name;
	view->view_version = first_version(options);
	view->owner = RegistryOwner(options, NULL);
	view->online = view->offline = true;
	view->options = EntryOptionsMerge(NULL, options, kept_elsewhere);
	check_new_name(view);
	return view;
}

static Datum
end_view(FeatureView *view, const Jsonb *options)
{
	StoreSpec	store;

	name_own_store(view, options);
	FeatureViewDerive(view, NULL, &store);
	FeatureViewCheckOptions(view, options);
	check_store_option(view, options);
	make_view(view, &store);
	PG_RETURN_INT32(view->view_version);
}

static bool
argument_flag(FunctionCallInfo fcinfo, int number, bool if_null)
{
	return PG_ARGISNULL(number) ? if_null : PG_GETARG_BOOL(number);
}

/*
 * venice_create_feature_view
 *		create_feature_view(view, entities, source, features, ttl, online, offline,
 *		options) → view version.
 */
Datum
venice_create_feature_view(PG_FUNCTION_ARGS)
{
	Jsonb	   *options = ArgumentOptions(fcinfo, 7);
	FeatureView *view = begin_view(fcinfo, "feature", options);

	view->entities = argument_texts(fcinfo, 1, "entities");
	view->source = ArgumentText(fcinfo, 2, "source", true);
	view->features_text = ArgumentText(fcinfo, 3, "features", false);
	view->ttl = copy_interval(argument_interval(fcinfo, 4));
	view->online = argument_flag(fcinfo, 5, true);
	view->offline = argument_flag(fcinfo, 6, true);
	return end_view(view, options);
}

/*
 * venice_create_on_demand_view
 *		create_on_demand_view(view, inputs, expressions, request, options) → view version.
 */
Datum
venice_create_on_demand_view(PG_FUNCTION_ARGS)
{
	Jsonb	   *options = ArgumentOptions(fcinfo, 4);
	FeatureView *view = begin_view(fcinfo, "on_demand", options);

	view->inputs = argument_texts(fcinfo, 1, "inputs");
	view->features_text = ArgumentText(fcinfo, 2, "expressions", true);
	view->request = ArgumentText(fcinfo, 3, "request", false);
	return end_view(view, options);
}

/*
 * venice_create_label_view
 *		create_label_view(view, entities, source, features, window_length, options) →
 *		view version.
 */
Datum
venice_create_label_view(PG_FUNCTION_ARGS)
{
	Jsonb	   *options = ArgumentOptions(fcinfo, 5);
	FeatureView *view = begin_view(fcinfo, "label", options);

	view->entities = argument_texts(fcinfo, 1, "entities");
	view->source = ArgumentText(fcinfo, 2, "source", true);
	view->features_text = ArgumentText(fcinfo, 3, "features", true);
	if (PG_ARGISNULL(4))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("window_length must not be null"),
				 errhint("Say how long after the spine's time a label may come, such as interval '7 days'.")));
	view->window_length = copy_interval(argument_interval(fcinfo, 4));
	view->online = false;
	return end_view(view, options);
}

static bool
has_option(const Jsonb *options, const char *key)
{
	JsonbValue	buffer;

	return getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &options->root), key,
										strlen(key), &buffer) != NULL;
}

static Interval *
option_interval(const Jsonb *options, const char *key)
{
	char	   *text = OptionInterval(options, key);

	return text == NULL ? NULL :
		DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(text),
											  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

static bool
option_flag(const Jsonb *options, const char *key)
{
	char	   *text = OptionText(options, key);
	bool		flag;

	/* Reset: the default of both that there are. */
	if (text == NULL)
		return true;
	if (!parse_bool(text, &flag))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", key, text),
				 errhint("It takes true or false.")));
	return flag;
}

static List *
option_texts(const Jsonb *options, const char *key)
{
	JsonbValue	buffer;
	JsonbValue *value = getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &options->root),
													 key, strlen(key), &buffer);
	List	   *texts = NIL;

	if (value != NULL && value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data))
	{
		JsonbContainer *array = value->val.binary.data;

		for (uint32 i = 0; i < JsonContainerSize(array); i++)
		{
			JsonbValue *element = getIthJsonbValueFromContainer(array, i);

			if (element->type != jbvString)
				break;
			texts = lappend(texts, pnstrdup(element->val.string.val, element->val.string.len));
		}
		if (list_length(texts) == JsonContainerSize(array))
			return texts;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", key, OptionText(options, key)),
			 errhint("It takes an array of strings.")));
	return NIL;
}

/*
 * The select list that was kept, with every name qualified: what was written may mean
 * something else under this search_path.  Names are qualified by the source's name.
 */
static char *
kept_features(const FeatureView *view)
{
	List	   *texts = NIL;
	ListCell   *cell;

	foreach(cell, view->features)
	{
		const ViewFeature *feature = lfirst(cell);

		texts = lappend(texts, psprintf("%s AS %s", feature->expression,
										quote_identifier(feature->name)));
	}
	return ItemListJoin(texts);
}

static int
newest_version(const FeatureView *view)
{
	QuerySession session;
	QueryArgs	args = {0};
	int			newest;

	QueryBeginRegistry(&session);
	QueryArgText(&args, view->project);
	QueryArgText(&args, view->name);
	(void) QueryRun("SELECT pg_catalog.max(view_version) FROM venice.feature_view "
					"WHERE project = $1::name AND view_name = $2::name", &args);
	newest = QueryInt4(0, 1, 0);
	QueryEnd(&session);
	return newest;
}

/* There is no default to which these could be reset. */
static void
refuse_resets(const Jsonb *changes)
{
	static const char *const without_default[] = {"entities", "inputs", "source", "window_length"};

	for (int i = 0; i < lengthof(without_default); i++)
		if (has_option(changes, without_default[i]) &&
			OptionText(changes, without_default[i]) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("option \"%s\" must not be null", without_default[i]),
					 errhint("Leave it out to keep what there is.")));
}

FeatureView *
FeatureViewAltered(const FeatureView *old, const Jsonb *changes, const char *features,
				   const Interval *ttl, bool new_version, StoreSpec *store)
{
	FeatureView *view = palloc(sizeof(FeatureView));
	const char *written = NULL;
	const FeatureView *kept = NULL;

	RegistryCheckOptions(changes, options_of_kind(old->kind)->alter,
						 options_of_kind(old->kind)->alter_arguments);
	refuse_resets(changes);
	if (!new_version && OptionText(changes, "store") != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the store of %s \"%s\" cannot be exchanged", FeatureViewKind(old),
						FeatureViewShortName(old)),
				 errhint("Give option \"store\" together with new_version => true.")));
	*view = *old;
	view->options = EntryOptionsMerge(old->options, changes, kept_elsewhere);
	view->owner = RegistryOwner(changes, old->owner);
	if (has_option(changes, "entities"))
		view->entities = option_texts(changes, "entities");
	if (has_option(changes, "inputs"))
		view->inputs = option_texts(changes, "inputs");
	if (has_option(changes, "request"))
		view->request = OptionString(changes, "request");
	if (has_option(changes, "online"))
		view->online = option_flag(changes, "online");
	if (has_option(changes, "offline"))
		view->offline = option_flag(changes, "offline");
	if (has_option(changes, "ttl"))
		view->ttl = option_interval(changes, "ttl");
	if (has_option(changes, "window_length"))
		view->window_length = option_interval(changes, "window_length");
	if (ttl != NULL)
		view->ttl = copy_interval(ttl);
	if (features != NULL)
		view->features_text = pstrdup(features);
	else if (has_option(changes, "aggregations"))
		view->features_text = NULL;
	else if (!has_option(changes, "source") && !has_option(changes, "inputs"))
	{
		kept = old;
		written = old->features_text;
		if (written != NULL)
			view->features_text = kept_features(old);
	}
	if (has_option(changes, "source"))
		view->source = OptionString(changes, "source");
	view->request_names = view->request_types = NIL;
	if (new_version)
	{
		view->view_version = newest_version(old) + 1;
		view->deprecated_until = 0;
	}
	view->event_time_column = NULL;
	if (new_version || !old->owns_store)
		name_own_store(view, changes);
	FeatureViewDerive(view, kept, store);
	FeatureViewCheckOptions(view, changes);
	if (written != NULL)
		view->features_text = pstrdup(written);
	return view;
}

/* Does the store have other value columns than the ones that it is to have? */
static bool
columns_differ(const Store *store, const List *columns)
{
	ListCell   *cell;
	const ListCell *other;

	if (list_length(store->columns) != list_length(columns))
		return true;
	forboth(cell, store->columns, other, columns)
	{
		const StoreColumn *one = lfirst(cell);
		const StoreColumn *two = lfirst(other);

		if (strcmp(one->name, two->name) != 0 || strcmp(one->type_name, two->type_name) != 0)
			return true;
	}
	return false;
}

/* New columns, and other types from the next version on; and where a topic's records have them. */
static void
alter_own_store(const FeatureView *view, const StoreSpec *spec)
{
	Store	   *store = lock_own_store(view, false);
	List	   *values = NIL;
	char	   *later;
	ListCell   *cell;
	QuerySession session;
	QueryArgs	args = {0};

	StoreCheckSchema(store);
	if (store->server == NULL ? spec->server != NULL :
		spec->server == NULL || strcmp(store->server, spec->server) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("change to %s \"%s\" is breaking", FeatureViewKind(view),
						FeatureViewShortName(view)),
				 errdetail("The source changes to another server."),
				 errhint("Make a new view version with new_version => true, then move the services.")));
	if (spec->server != NULL)
	{
		QueryBeginRegistry(&session);
		QueryArgText(&args, store->name);
		QueryArgJsonb(&args, spec->options);
		(void) QueryRun("UPDATE venice.store SET options = options - 'fields' || $2 "
						"WHERE store_name = $1::name", &args);
		QueryEnd(&session);
	}
	if (columns_differ(store, spec->columns))
	{
		foreach(cell, spec->columns)
		{
			StoreColumn *column = lfirst(cell);

			if (!column->is_key && strcmp(column->name, EVENT_TIME_COLUMN) != 0)
				values = lappend(values, column);
		}
		later = StoreChangeColumns(store, values, spec->value_schema);
		if (later != NULL)
			ereport(NOTICE,
					(errmsg("change to %s \"%s\" applies from the next version of store \"%s\"",
							FeatureViewKind(view), FeatureViewShortName(view), store->name),
					 errdetail("Value columns: %s.", later)));
	}
	if (store->owner != spec->owner)
		StoreChangeOwner(store, spec->owner);
}

/* The view that argument 0 names, of a kind, which is the caller's. */
static FeatureView *
owned_view(FunctionCallInfo fcinfo, const char *kind)
{
	char	   *name = ArgumentText(fcinfo, 0, "view", true);
	Reference	reference;
	FeatureView *view;

	RegistryLock(fcinfo);
	ReferenceParse(name, &reference);
	if (reference.feature != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" names a feature, not a view", name)));
	view = FeatureViewLookup(&reference, false);
	if (kind != NULL && strcmp(view->kind, kind) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("view \"%s\" is of another kind", name),
				 errdetail("It is made, altered and dropped by venice.create_%s_view, alter_%s_view and drop_%s_view.",
						   view->kind, view->kind, view->kind)));
	RegistryCheckOwner(FeatureViewKind(view), FeatureViewShortName(view), view->owner);
	return view;
}

static Datum
alter_view(const FeatureView *old, const Jsonb *changes, const char *features,
		   const Interval *ttl, bool new_version)
{
	StoreSpec	store;
	FeatureView *view = FeatureViewAltered(old, changes, features, ttl, new_version, &store);
	AuditChange change;

	if (new_version)
	{
		check_store_option(view, changes);
		make_view(view, &store);
		PG_RETURN_INT32(view->view_version);
	}
	FeatureViewCheckChanges(old, FeatureViewCompare(old, view));
	AuditBegin(&change, psprintf("%s_view", view->kind), view->project, view->name,
			   view->view_version);
	if (view->owns_store)
		alter_own_store(view, &store);
	write_view(view);
	comment_features(view);
	FeatureViewKeepPast(view, false);
	renew_past_functions(view);
	AuditEnd(&change, "alter");
	PG_RETURN_INT32(view->view_version);
}

/*
 * venice_alter_feature_view
 *		alter_feature_view(view, options, features, ttl, new_version) → view version.
 */
Datum
venice_alter_feature_view(PG_FUNCTION_ARGS)
{
	FeatureView *view = owned_view(fcinfo, "feature");

	return alter_view(view, ArgumentOptions(fcinfo, 1), ArgumentText(fcinfo, 2, "features", false),
					  argument_interval(fcinfo, 3), argument_flag(fcinfo, 4, false));
}

/*
 * venice_alter_on_demand_view
 *		alter_on_demand_view(view, options, expressions, new_version) → view version.
 */
Datum
venice_alter_on_demand_view(PG_FUNCTION_ARGS)
{
	FeatureView *view = owned_view(fcinfo, "on_demand");

	return alter_view(view, ArgumentOptions(fcinfo, 1),
					  ArgumentText(fcinfo, 2, "expressions", false), NULL,
					  argument_flag(fcinfo, 3, false));
}

/*
 * venice_alter_label_view
 *		alter_label_view(view, options, features, new_version) → view version.
 */
Datum
venice_alter_label_view(PG_FUNCTION_ARGS)
{
	FeatureView *view = owned_view(fcinfo, "label");

	return alter_view(view, ArgumentOptions(fcinfo, 1), ArgumentText(fcinfo, 2, "features", false),
					  NULL, argument_flag(fcinfo, 3, false));
}

/* Whoever drops a view with those who use it leaves training sets alone: they are tables. */
static List *
without_training_sets(List *users)
{
	List	   *others = NIL;
	ListCell   *cell;

	foreach(cell, users)
		if (!OidIsValid(((ViewUser *) lfirst(cell))->relation))
			others = lappend(others, lfirst(cell));
	return others;
}

static bool
all_visible(const List *users)
{
	const ListCell *cell;

	foreach(cell, users)
		if (!((ViewUser *) lfirst(cell))->visible)
			return false;
	return true;
}

/*
 * 2BP01 naming who uses the view version; or drop them, of whom one may take others
 * along.  What the current user does not see he neither drops nor is told the name of.
 */
static void
drop_users(const FeatureView *view, bool force)
{
	List	   *users;

	for (;;)
	{
		const ViewUser *user;
		Reference	reference;
		bool		is_service;

		users = FeatureViewUsers(view);
		if (force)
			users = without_training_sets(users);
		if (users == NIL)
			break;
		if (!force || !all_visible(users))
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("cannot drop %s \"%s\" because others use it", FeatureViewKind(view),
							FeatureViewShortName(view)),
					 errdetail("Used by: %s.", ItemListJoin(FeatureViewUsedBy(view))),
					 force ? errhint("Their owners have to drop or move what is not yours.") :
					 list_length(without_training_sets(users)) < list_length(users) ?
					 errhint("Drop or move them first, or drop them too with force => true, which leaves training sets as they are.") :
					 errhint("Drop or move them first, or drop them too with force => true.")));
		user = linitial(users);
		is_service = strcmp(user->kind, "service") == 0;
		ereport(NOTICE,
				(errmsg("drop cascades to %s \"%s\"", ViewUserKind(user), user->short_name)));
		ReferenceParse(user->reference, &reference);
		if (is_service)
			reference.view_version = 0;
		RegistryDrop(user->kind, &reference);
	}
}

static void
drop_version(const FeatureView *view, bool force)
{
	AuditChange change;
	QuerySession session;
	QueryArgs	args = {0};

	drop_users(view, force);
	AuditBegin(&change, psprintf("%s_view", view->kind), view->project, view->name,
			   view->view_version);
	QueryBeginRegistry(&session);
	QueryArgText(&args, view->project);
	QueryArgText(&args, view->name);
	QueryArgInt4(&args, view->view_version);
	(void) QueryRun("DELETE FROM venice.feature WHERE project = $1::name AND view_name = $2::name "
					"AND view_version = $3", &args);
	(void) QueryRun("DELETE FROM venice.feature_view WHERE project = $1::name AND view_name = $2::name "
					"AND view_version = $3", &args);
	QueryEnd(&session);
	if (view->owns_store)
	{
		Store	   *store = lock_own_store(view, true);

		if (store != NULL)
			StoreDrop(store, force);
	}
	AuditEnd(&change, "drop");
}

/* One view version where the name says which, else all that there are. */
static Datum
drop_view(FunctionCallInfo fcinfo, const char *kind)
{
	FeatureView *view = owned_view(fcinfo, kind);
	bool		force = argument_flag(fcinfo, 1, false);
	Reference	reference;

	ReferenceParse(ArgumentText(fcinfo, 0, "view", true), &reference);
	if (reference.view_version != 0)
	{
		drop_version(view, force);
		PG_RETURN_VOID();
	}
	reference.project = view->project;
	while ((reference.view_version = newest_version(view)) > 0)
	{
		view = FeatureViewLookup(&reference, false);
		RegistryCheckOwner(FeatureViewKind(view), FeatureViewShortName(view), view->owner);
		drop_version(view, force);
	}
	PG_RETURN_VOID();
}

/*
 * venice_drop_feature_view
 *		drop_feature_view(view, force).
 */
Datum
venice_drop_feature_view(PG_FUNCTION_ARGS)
{
	return drop_view(fcinfo, "feature");
}

Datum
venice_drop_on_demand_view(PG_FUNCTION_ARGS)
{
	return drop_view(fcinfo, "on_demand");
}

Datum
venice_drop_label_view(PG_FUNCTION_ARGS)
{
	return drop_view(fcinfo, "label");
}

/* The notice period, as the audit keeps it. */
static Jsonb *
read_deprecation(const FeatureView *view)
{
	QuerySession session;
	QueryArgs	args = {0};
	MemoryContext spi;
	Jsonb	   *deprecation;
	bool		is_null;

	QueryBeginRegistry(&session);
	QueryArgText(&args, view->project);
	QueryArgText(&args, view->name);
	QueryArgInt4(&args, view->view_version);
	(void) QueryRun("SELECT pg_catalog.jsonb_build_object('deprecated_until', deprecated_until) "
					"FROM venice.feature_view "
					"WHERE project = $1::name AND view_name = $2::name AND view_version = $3", &args);
	spi = MemoryContextSwitchTo(session.result_context);
	deprecation = DatumGetJsonbPCopy(QueryDatum(0, 1, &is_null));
	MemoryContextSwitchTo(spi);
	QueryEnd(&session);
	return deprecation;
}

/*
 * venice_deprecate
 *		deprecate(view, notice) → when the notice period is over.  NULL: not deprecated
 *		after all.
 */
Datum
venice_deprecate(PG_FUNCTION_ARGS)
{
	FeatureView *view = owned_view(fcinfo, NULL);
	const Interval *notice = argument_interval(fcinfo, 1);
	QuerySession session;
	QueryArgs	args = {0};
	Jsonb	   *before;
	Jsonb	   *after;
	TimestampTz until = 0;
	bool		is_null;

	IntervalCheckPositive(notice, "notice");
	before = read_deprecation(view);
	QueryBeginRegistry(&session);
	QueryArgText(&args, view->project);
	QueryArgText(&args, view->name);
	QueryArgInt4(&args, view->view_version);
	arg_interval(&args, notice);
	(void) QueryRun("UPDATE venice.feature_view SET deprecated_until = pg_catalog.now() + $4 "
					"WHERE project = $1::name AND view_name = $2::name AND view_version = $3 "
					"RETURNING deprecated_until", &args);
	until = DatumGetTimestampTz(QueryDatum(0, 1, &is_null));
	QueryEnd(&session);
	after = read_deprecation(view);
	AuditWrite("deprecate", psprintf("%s_view", view->kind), view->project,
			   psprintf("%s@%d", view->name, view->view_version), view->owner, before, after);
	if (is_null)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(until);
}
