/*-------------------------------------------------------------------------
 *
 * view.c
 *		Feature views, on-demand views and label views as the registry knows them.
 *
 * The owner of a view with a store of its own is the owner of the store's schema;
 * the name in the view's row follows, and counts where there is no such schema.
 *
 * Locks: none.
 * Must not know: how views are made.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "registry/view.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "common/guc.h"
#include "common/query.h"
#include "common/store_options.h"
#include "common/user_context.h"
#include "registry/entry.h"
#include "store/create.h"
#include "store/definition.h"

List *
TextArrayList(ArrayType *array)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	List	   *list = NIL;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("array element must not be null")));
		list = lappend(list, TextDatumGetCString(elements[i]));
	}
	return list;
}

/* Columns of SPI_tuptable that are no text, copied into the current memory context. */
static List *
query_list(uint64 row, int column)
{
	bool		is_null;
	Datum		value = QueryDatum(row, column, &is_null);

	return is_null ? NIL : TextArrayList(DatumGetArrayTypeP(value));
}

static Interval *
query_interval(uint64 row, int column)
{
	bool		is_null;
	Datum		value = QueryDatum(row, column, &is_null);
	Interval   *copy;

	if (is_null)
		return NULL;
	copy = palloc(sizeof(Interval));
	*copy = *DatumGetIntervalP(value);
	return copy;
}

static Jsonb *
query_jsonb(uint64 row, int column)
{
	bool		is_null;
	Datum		value = QueryDatum(row, column, &is_null);

	Assert(!is_null);
	return DatumGetJsonbPCopy(value);
}

/* Arguments $1 … $3 of the statements that read what belongs to a view version. */
static void
bind_view(QueryArgs *args, const FeatureView *view)
{
	QueryArgText(args, view->project);
	QueryArgText(args, view->name);
	QueryArgInt4(args, view->view_version);
}

/* SPI leaves its own memory context behind: what is read goes into the caller's. */
static void
read_features(FeatureView *view)
{
	MemoryContext context = CurrentMemoryContext;
	QueryArgs	args = {0};
	uint64		count;

	bind_view(&args, view);
	count = QueryRun("SELECT feature::text, feature_type, expression, source_columns, options "
					  "FROM venice.feature WHERE project = $1::name AND view_name = $2::name "
					  "AND view_version = $3 ORDER BY position", &args);
	MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < count; row++)
	{
		ViewFeature *feature = palloc0(sizeof(ViewFeature));

		feature->name = QueryText(row, 1, context);
		feature->type_name = QueryText(row, 2, context);
		feature->expression = QueryText(row, 3, context);
		feature->source_columns = query_list(row, 4);
		feature->options = query_jsonb(row, 5);
		feature->aggregation = AggregationOfFeature(feature->options, view->options);
		if (view->store != NULL)
			feature->store_column = view->owns_store ? feature->name :
				linitial(feature->source_columns);
		view->features = lappend(view->features, feature);
	}
}

static void
read_keys(FeatureView *view)
{
	MemoryContext context = CurrentMemoryContext;
	QueryArgs	args = {0};
	uint64		count;

	bind_view(&args, view);
	count = QueryRun("SELECT k.name::text, k.type FROM venice.feature_view v, "
					  "LATERAL pg_catalog.unnest(v.entities) WITH ORDINALITY AS r (entity, position) "
					  "JOIN venice.entity e ON e.project = pg_catalog.split_part(r.entity, '.', 1)::name "
					  "AND e.entity = pg_catalog.split_part(r.entity, '.', 2)::name, "
					  "LATERAL ROWS FROM (pg_catalog.unnest(e.key_names), pg_catalog.unnest(e.key_types)) "
					  "WITH ORDINALITY AS k (name, type, position) "
					  "WHERE v.project = $1::name AND v.view_name = $2::name AND v.view_version = $3 "
					  "ORDER BY r.position, k.position", &args);
	MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < count; row++)
	{
		view->key_names = lappend(view->key_names, QueryText(row, 1, context));
		view->key_types = lappend(view->key_types, QueryText(row, 2, context));
	}
}

/* Row `row` of what FeatureViewLookup asks for. */
static FeatureView *
view_from_row(uint64 row)
{
	MemoryContext context = CurrentMemoryContext;
	FeatureView *view = palloc0(sizeof(FeatureView));
	bool		is_null;
	Datum		deprecated;

	view->project = QueryText(row, 1, context);
	view->name = QueryText(row, 2, context);
	view->view_version = QueryInt4(row, 3, 0);
	view->kind = QueryText(row, 4, context);
	view->owner = QueryText(row, 5, context);
	view->entities = query_list(row, 6);
	view->source = QueryText(row, 7, context);
	view->features_text = QueryText(row, 8, context);
	view->inputs = query_list(row, 9);
	view->request = QueryText(row, 10, context);
	view->ttl = query_interval(row, 11);
	view->window_length = query_interval(row, 12);
	view->online = QueryBool(row, 13);
	view->offline = QueryBool(row, 14);
	view->store = QueryText(row, 15, context);
	view->owns_store = QueryBool(row, 16);
	view->options = query_jsonb(row, 17);
	deprecated = QueryDatum(row, 18, &is_null);
	view->deprecated_until = is_null ? 0 : DatumGetTimestampTz(deprecated);
	view->event_time_column = QueryText(row, 19, context);
	return view;
}

/* The column list of the request, which was written down with every name qualified. */
static void
read_request(FeatureView *view)
{
	ListCell   *cell;

	if (view->request == NULL)
		return;
	foreach(cell, DefinitionParse(view->request, false, "request"))
	{
		StoreColumn *column = lfirst(cell);

		view->request_names = lappend(view->request_names, column->name);
		view->request_types = lappend(view->request_types, column->type_name);
	}
}

/* May the role see the view of row `row`?  Its owner, its project's, who may read its rows. */
static bool
row_is_visible(uint64 row, Oid role)
{
	bool		is_null;
	Datum		records = QueryDatum(row, 21, &is_null);

	return RegistryHasMember(QueryText(row, 5, CurrentMemoryContext), role) ||
		RegistryHasMember(QueryText(row, 20, CurrentMemoryContext), role) ||
		(!is_null && RegistryCanRead(DatumGetObjectId(records), role));
}

FeatureView *
FeatureViewLookup(const Reference *reference, bool missing_ok)
{
	Oid			user = GetUserId();
	FeatureView *view = NULL;
	QuerySession session;
	QueryArgs	args = {0};
	uint64		count;

	QueryBeginRegistry(&session);
	QueryArgText(&args, reference->name);
	QueryArgText(&args, reference->project != NULL ? reference->project : CurrentProject());
	QueryArgText(&args, reference->project != NULL ? reference->project : DEFAULT_PROJECT);
	QueryArgInt4(&args, reference->view_version);
	count = QueryRun("SELECT v.project::text, v.view_name::text, v.view_version, v.kind, "
					  "COALESCE(CASE WHEN v.owns_store THEN pg_catalog.pg_get_userbyid(n.nspowner) END, "
					  "v.owner_name)::text, "
					  "v.entities, v.source, v.features, v.inputs, v.request, v.ttl, v.window_length, "
					  "v.online, v.offline, v.store_name::text, v.owns_store, v.options, "
					  "v.deprecated_until, "
					  "CASE WHEN v.owns_store THEN (SELECT c.column_name::text FROM venice.store_column c "
					  "WHERE c.store_name = v.store_name AND c.column_name = '" EVENT_TIME_COLUMN "') "
					  "WHEN v.store_name IS NOT NULL THEN s.event_time END, "
					  "p.owner_name::text, r.records::oid "
					  "FROM venice.feature_view v "
					  "LEFT JOIN venice.project p ON p.project = v.project "
					  "LEFT JOIN venice.source s ON s.project = pg_catalog.split_part(v.source, '.', 1)::name "
					  "AND s.source = pg_catalog.split_part(v.source, '.', 2)::name "
					  "LEFT JOIN venice.version_pointer r ON r.store_name = v.store_name "
					  "LEFT JOIN pg_catalog.pg_class c ON c.oid = r.records "
					  "LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
					  "WHERE v.view_name = $1::name AND v.project IN ($2::name, $3::name) "
					  "AND ($4 = 0 OR v.view_version = $4) "
					  "ORDER BY v.project <> $2::name, v.deprecated_until IS NOT NULL, "
					  "v.view_version DESC", &args);
	for (uint64 row = 0; row < count && view == NULL; row++)
		if (row_is_visible(row, user))
		{
			MemoryContext spi = MemoryContextSwitchTo(session.result_context);

			view = view_from_row(row);
			read_keys(view);
			read_features(view);
			read_request(view);
			MemoryContextSwitchTo(spi);
		}
	QueryEnd(&session);

	if (view == NULL && !missing_ok)
	{
		Reference	wanted = *reference;

		wanted.feature = NULL;
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("feature view \"%s\" does not exist", ReferenceText(&wanted)),
				 errhint("SELECT name, view_version FROM venice.feature_views lists those that you may see.")));
	}
	return view;
}

FeatureView *
FeatureViewOfInput(const Reference *input)
{
	Reference	reference = *input;
	UserContext user;
	FeatureView *view;

	reference.feature = NULL;
	UserContextEnter(&user, ExtensionOwner());
	view = FeatureViewLookup(&reference, false);
	UserContextLeave(&user);
	return view;
}

const char *
FeatureViewKind(const FeatureView *view)
{
	return strcmp(view->kind, "on_demand") == 0 ? "on-demand view" :
		strcmp(view->kind, "label") == 0 ? "label view" : "feature view";
}

char *
FeatureViewReference(const FeatureView *view)
{
	Reference	reference = {view->project, view->name, view->view_version, NULL};

	return ReferenceText(&reference);
}

char *
FeatureViewShortName(const FeatureView *view)
{
	Reference	reference = {view->project, view->name, view->view_version, NULL};

	if (strcmp(view->project, DEFAULT_PROJECT) == 0 ||
		strcmp(view->project, CurrentProject()) == 0)
		reference.project = NULL;
	if (view->view_version == 1)
		reference.view_version = 0;
	return ReferenceText(&reference);
}

char *
FeatureViewKeyColumn(const FeatureView *view, const char *key)
{
	char	   *keys = OptionText(view->options, "keys");
	char	   *column = NULL;

	if (keys != NULL)
		column = OptionText(DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(keys))),
							key);
	return column != NULL ? column : pstrdup(key);
}

ViewFeature *
FeatureViewFeature(const FeatureView *view, const char *feature, bool missing_ok)
{
	StringInfoData names;
	ListCell   *cell;

	initStringInfo(&names);
	foreach(cell, view->features)
	{
		ViewFeature *candidate = lfirst(cell);

		if (strcmp(candidate->name, feature) == 0)
			return candidate;
		appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "", candidate->name);
	}
	if (!missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("%s \"%s\" has no feature \"%s\"", FeatureViewKind(view),
						FeatureViewShortName(view), feature),
				 errhint("Its features are %s.", names.data)));
	return NULL;
}

void
FeatureViewWarnDeprecated(const FeatureView *view, const char *user)
{
	if (view->deprecated_until == 0)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING_DEPRECATED_FEATURE),
			 errmsg("%s \"%s\" is deprecated", FeatureViewKind(view), FeatureViewReference(view)),
			 errdetail("It is used by %s, and may be dropped from %s on.", user,
					   timestamptz_to_str(view->deprecated_until)),
			 errhint("Use another view version: SELECT view_version FROM venice.feature_views WHERE name = %s AND deprecated_until IS NULL.",
					 quote_literal_cstr(view->name))));
}
