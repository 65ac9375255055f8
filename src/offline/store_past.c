/*-------------------------------------------------------------------------
 *
 * store_past.c
 *		The generated functions about a store's past.
 *
 * as_of and snapshot of a store that a view version has made for itself answer
 * what a point-in-time join of the view would; those of another store with a
 * history what its columns were, without a ttl.  They are plain queries, which the
 * planner puts into whoever calls them, and read as the caller: he needs SELECT on
 * what the join reads.
 *
 * Every name in them is qualified, operators too: they are run under others'
 * search_path.
 *
 * Locks: none.
 * Must not know: how functions are made.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/store_past.h"

#include "access/htup_details.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "catalog/store.h"
#include "common/compat.h"
#include "common/item_list.h"
#include "common/length_of_time.h"
#include "common/query.h"
#include "common/store_options.h"
#include "common/subtransaction.h"
#include "offline/source.h"
#include "registry/view.h"
#include "version/functions.h"
#include "version/history.h"

/* What the functions read, and return: names and types of columns are lists of char *. */
typedef struct Past
{
	HistorySource *source;
	List	   *key_names;
	List	   *key_types;
	List	   *value_names;
	List	   *value_types;
	int64		ttl_us;			/* 0: none */
} Past;

/* The view version that the store was made for; NULL: none. */
static FeatureView *
owning_view(const Store *store)
{
	FeatureView *view = NULL;
	MemoryContext context = CurrentMemoryContext;
	QuerySession session;
	QueryArgs	args = {0};
	Reference	reference = {0};

	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	if (QueryRun("SELECT project::text, view_name::text, view_version FROM venice.feature_view "
				 "WHERE store_name = $1::name AND owns_store", &args) > 0)
	{
		reference.project = QueryText(0, 1, context);
		reference.name = QueryText(0, 2, context);
		reference.view_version = QueryInt4(0, 3, 0);
		MemoryContextSwitchTo(context);
		view = FeatureViewLookup(&reference, false);
	}
	QueryEnd(&session);
	return view;
}

typedef struct SourceSearch
{
	const FeatureView *view;
	MemoryContext context;
	HistorySource *source;
} SourceSearch;

static void
find_source(void *argument)
{
	SourceSearch *search = argument;
	MemoryContext old = MemoryContextSwitchTo(search->context);

	search->source = HistorySourceOf(search->view);
	MemoryContextSwitchTo(old);
}

/* The past of a view whose store this is: false when there is none that a query could read. */
static bool
past_of_view(const FeatureView *view, Past *past)
{
	SourceSearch search = {view, CurrentMemoryContext, NULL};
	ListCell   *cell;

	if (!view->offline || OptionText(view->options, "aggregations") != NULL)
		return false;
	/* What is missing is said when somebody asks for the past. */
	if (SubtransactionTry(find_source, &search, SUBTRANSACTION_ANY_ERROR) != NULL)
		return false;
	past->source = search.source;
	past->key_names = view->key_names;
	past->key_types = view->key_types;
	foreach(cell, view->features)
	{
		const ViewFeature *feature = lfirst(cell);

		past->value_names = lappend(past->value_names, feature->name);
		past->value_types = lappend(past->value_types, feature->type_name);
	}
	if (view->ttl != NULL)
		past->ttl_us = IntervalLength(view->ttl, "ttl");
	return true;
}

static bool
past_of_store(const Store *store, Past *past)
{
	Oid			history = HistoryRelation(store);
	ListCell   *cell;

	if (!OidIsValid(history))
		return false;
	past->source = palloc0(sizeof(HistorySource));
	past->source->relation = history;
	past->source->alias = pstrdup("rows");
	past->source->event_time = HistoryColumn(history, "event_time");
	past->source->created_time = HistoryColumn(history, "created_time");
	past->source->arrival = HistoryColumn(history, "arrival");
	past->source->deleted = pstrdup("_deleted");
	foreach(cell, store->columns)
	{
		StoreColumn *column = lfirst(cell);

		if (column->is_key)
		{
			past->key_names = lappend(past->key_names, column->name);
			past->key_types = lappend(past->key_types, column->type_name);
		}
		else if (column->name[0] != '_')
		{
			past->value_names = lappend(past->value_names, column->name);
			past->value_types = lappend(past->value_types, column->type_name);
			past->source->expressions = lappend(past->source->expressions,
												psprintf("rows.%s", quote_identifier(column->name)));
		}
	}
	past->source->key_columns = past->key_names;
	return true;
}

static bool
has_name(const List *names, const char *name)
{
	const ListCell *cell;

	foreach(cell, names)
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	return false;
}

/* A name of ours, which gives way to one of the store's. */
static const char *
our_name(const Past *past, const char *name)
{
	return has_name(past->key_names, name) || has_name(past->value_names, name) ?
		psprintf("_%s", name) : name;
}

static char *
source_column(const Past *past, const char *column)
{
	return psprintf("%s.%s", quote_identifier(past->source->alias), quote_identifier(column));
}

/* When a row became true, as a timestamptz. */
static char *
event_time(const Past *past)
{
	const HistorySource *source = past->source;
	char	   *column = source_column(past, source->event_time);

	Oid			type = get_atttype(source->relation,
								   get_attnum(source->relation, source->event_time));

	if (type == TIMESTAMPOID && source->time_zone != NULL)
		return psprintf("(%s AT TIME ZONE %s)", column, quote_literal_cstr(source->time_zone));
	return column;
}

static bool
is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

/* The key's column is an argument: integers of any width compare, else by the column's type. */
static char *
key_condition(const Past *past, const char *column, const char *key_type, int argument)
{
	Oid			given = typenameTypeId(NULL, typeStringToTypeName(key_type, NULL));
	Oid			type = getBaseType(get_atttype(past->source->relation,
											   get_attnum(past->source->relation, column)));
	Oid			operator;
	HeapTuple	tuple;
	Form_pg_operator equal;
	char	   *schema;
	char	   *name;

	if (is_integer(type) && is_integer(getBaseType(given)))
		return psprintf("%s OPERATOR(pg_catalog.=) $%d", source_column(past, column), argument);
	operator = lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr;
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("key column \"%s\" is of type %s, which has no equality", column,
						format_type_be(type))));
	equal = (Form_pg_operator) GETSTRUCT(tuple);
	schema = get_namespace_name(equal->oprnamespace);
	name = pstrdup(NameStr(equal->oprname));
	ReleaseSysCache(tuple);
	return psprintf("%s OPERATOR(%s.%s) $%d::%s", source_column(past, column),
					quote_identifier(schema), name, argument,
					format_type_extended(type, -1, FORMAT_TYPE_FORCE_QUALIFY));
}

/* "newest first", as the join breaks ties. */
static char *
newest_first(const Past *past)
{
	const HistorySource *source = past->source;
	StringInfoData order;

	initStringInfo(&order);
	ItemListAppend(&order, "%s DESC", event_time(past));
	if (source->created_time != NULL)
		ItemListAppend(&order, "%s DESC NULLS LAST", source_column(past, source->created_time));
	if (source->arrival != NULL)
		ItemListAppend(&order, "%s DESC", source_column(past, source->arrival));
	return order.data;
}

/* Rows that the time at an argument sees. */
static char *
time_condition(const Past *past, int argument)
{
	char	   *time = event_time(past);
	char	   *condition = psprintf("%s OPERATOR(pg_catalog.<=) $%d", time, argument);

	if (past->ttl_us == 0)
		return condition;
	/* Days of an interval would be the session's; a row that is too old hides none that is not. */
	return psprintf("%s AND %s OPERATOR(pg_catalog.>=) ($%d OPERATOR(pg_catalog.-) '" INT64_FORMAT ".%06d seconds'::pg_catalog.interval)",
					condition, time, argument, past->ttl_us / USECS_PER_SEC,
					(int) (past->ttl_us % USECS_PER_SEC));
}

static void
append_typed(StringInfo list, const List *names, const List *types)
{
	const ListCell *name;
	const ListCell *type;

	forboth(name, names, type, types)
		ItemListAppend(list, "%s %s", quote_identifier(lfirst(name)), (char *) lfirst(type));
}

static PastFunctions *
make_functions(const Past *past)
{
	const HistorySource *source = past->source;
	PastFunctions *functions = palloc(sizeof(PastFunctions));
	int			keys = list_length(past->key_names);
	char	   *schema = get_namespace_name(get_rel_namespace(source->relation));
	char	   *from = psprintf("FROM %s AS %s",
								quote_qualified_identifier(schema, get_rel_name(source->relation)),
								quote_identifier(source->alias));
	char	   *visible = source->deleted != NULL ? " WHERE NOT r.deleted" : "";
	StringInfoData typed_keys;
	StringInfoData typed_values;
	StringInfoData key_columns;
	StringInfoData key_values;
	StringInfoData conditions;
	StringInfoData not_null;
	StringInfoData inner;
	StringInfoData key_outputs;
	StringInfoData outputs;
	ListCell   *cell;
	ListCell   *type;

	initStringInfo(&typed_keys);
	initStringInfo(&typed_values);
	initStringInfo(&key_columns);
	initStringInfo(&key_values);
	initStringInfo(&conditions);
	initStringInfo(&not_null);
	initStringInfo(&inner);
	initStringInfo(&key_outputs);
	initStringInfo(&outputs);
	append_typed(&typed_keys, past->key_names, past->key_types);
	append_typed(&typed_values, past->value_names, past->value_types);
	ItemListAppend(&typed_values, "%s pg_catalog.timestamptz", our_name(past, "event_time"));
	forboth(cell, source->key_columns, type, past->key_types)
	{
		int			number = foreach_current_index(cell) + 1;
		char	   *column = source_column(past, lfirst(cell));

		ItemListAppend(&key_columns, "%s", column);
		ItemListAppend(&key_values, "%s::%s AS k%d", column, (char *) lfirst(type), number);
		ItemListAppend(&key_outputs, "r.k%d", number);
		appendStringInfo(&conditions, "%s AND ",
						 key_condition(past, lfirst(cell), lfirst(type), number));
		appendStringInfo(&not_null, "%s IS NOT NULL AND ", column);
	}
	forboth(cell, source->expressions, type, past->value_types)
	{
		ItemListAppend(&inner, "(%s)::%s AS v%d", (char *) lfirst(cell), (char *) lfirst(type),
					   foreach_current_index(cell) + 1);
		ItemListAppend(&outputs, "r.v%d", foreach_current_index(cell) + 1);
	}
	ItemListAppend(&inner, "%s AS event_time", event_time(past));
	ItemListAppend(&outputs, "r.event_time");
	if (source->deleted != NULL)
		ItemListAppend(&inner, "%s AS deleted", source_column(past, source->deleted));
	functions->keys = typed_keys.data;
	functions->values = typed_values.data;
	functions->time = pstrdup(our_name(past, "at"));
	functions->as_of = psprintf("SELECT %s FROM (SELECT %s %s WHERE %s%s ORDER BY %s LIMIT 1) AS r%s",
								outputs.data, inner.data, from, conditions.data,
								time_condition(past, keys + 1), newest_first(past), visible);
	functions->snapshot = psprintf("SELECT %s, %s FROM (SELECT DISTINCT ON (%s) %s, %s %s WHERE %s%s ORDER BY %s, %s) AS r%s",
								   key_outputs.data, outputs.data, key_columns.data,
								   key_values.data, inner.data, from, not_null.data,
								   time_condition(past, 1), key_columns.data, newest_first(past),
								   visible);
	return functions;
}

static PastFunctions *
store_past(const Store *store)
{
	FeatureView *view = owning_view(store);
	Past		past = {0};

	if (view != NULL ? !past_of_view(view, &past) : !past_of_store(store, &past))
		return NULL;
	return make_functions(&past);
}

void
StorePastInstall(void)
{
	StorePastHook = store_past;
}
