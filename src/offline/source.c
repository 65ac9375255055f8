/*-------------------------------------------------------------------------
 *
 * source.c
 *		Where the past of a view's features is read.
 *
 * A relation with event times is its own past, and is read in place unless the view
 * asked for a copy; whatever else a view is about has a past where its store keeps
 * one.  Which of them it is changes nothing for who reads it: the same columns, under
 * other names.
 *
 * What the registry says of a source is taken whoever may see the source: who may see
 * the view, and read the relation, knows as much.
 *
 * Locks: none, but AccessShareLock on the relation where expressions are read again.
 * Must not know: how rows are found, or joined.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/source.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

#include "catalog/store.h"
#include "common/item_list.h"
#include "common/store_options.h"
#include "common/user_context.h"
#include "registry/expression.h"
#include "registry/source.h"
#include "version/history.h"

/* A view's source, whoever may see it. */
static Source *
look_up_source(const FeatureView *view)
{
	UserContext user;
	Source	   *source;

	UserContextEnter(&user, ExtensionOwner());
	source = SourceLookup(view->source, false);
	UserContextLeave(&user);
	return source;
}

/*
 * The expressions as the view has them: whoever can write the registry's tables must not
 * have others call what he likes.
 */
static List *
read_expressions(const FeatureView *view, const char *from)
{
	StringInfoData list;
	List	   *expressions = NIL;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, view->features)
	{
		const ViewFeature *feature = lfirst(cell);

		ItemListAppend(&list, "%s AS %s", feature->expression, quote_identifier(feature->name));
	}
	foreach(cell, ExpressionsParse(list.data, from, GetUserId()))
		expressions = lappend(expressions, ((Expression *) lfirst(cell))->text);
	if (list_length(expressions) != list_length(view->features))
		elog(ERROR, "feature view \"%s\" has other expressions than features", view->name);
	return expressions;
}

/* Columns may have got other names since the source was made. */
static char *
check_column(const Source *source, char *column)
{
	if (column != NULL && get_attnum(source->relation, column) == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("relation of source \"%s\" has no column \"%s\"", source->name, column),
				 errhint("Name the columns that it has with venice.alter_source, and for keys the view's option \"keys\".")));
	return column;
}

static HistorySource *
read_in_place(const FeatureView *view, const Source *source)
{
	HistorySource *history = palloc0(sizeof(HistorySource));
	char	   *schema;
	ListCell   *cell;

	if (!OidIsValid(source->relation))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation of source \"%s\" does not exist", source->name),
				 errhint("Name another one with venice.alter_source.")));
	schema = get_namespace_name(get_rel_namespace(source->relation));
	history->relation = source->relation;
	history->alias = source->name;
	foreach(cell, view->key_names)
	{
		char	   *column = FeatureViewKeyColumn(view, lfirst(cell));

		history->key_columns = lappend(history->key_columns, check_column(source, column));
	}
	history->event_time = check_column(source, source->event_time);
	history->created_time = check_column(source, source->created_time);
	history->time_zone = OptionText(source->options, "time_zone");
	history->expressions =
		read_expressions(view, psprintf("%s AS %s",
										quote_qualified_identifier(schema,
																   get_rel_name(source->relation)),
										quote_identifier(source->name)));
	return history;
}

/* What the view could do to have one. */
static const char *
history_hint(const FeatureView *view, const Source *source)
{
	if (source->relation_text != NULL)
		return psprintf("Set event_time of source \"%s\" with venice.alter_source, or have the past of its store kept: venice.alter_feature_view(%s, '{\"history\": \"copy\"}').",
						source->name, quote_literal_cstr(FeatureViewShortName(view)));
	if (view->store != NULL)
		return psprintf("Have it kept from now on: venice.alter_store(%s, '{\"history\": true}').",
						quote_literal_cstr(view->store));
	return "Make the view with online => true: its store keeps the past.";
}

/* The store's own columns are those of the view's features, or what they stand for. */
static HistorySource *
read_history(const FeatureView *view, const Source *source)
{
	Store	   *store = view->store != NULL ? StoreLookup(view->store, true) : NULL;
	Oid			relation = store != NULL ? HistoryRelation(store) : InvalidOid;
	HistorySource *history = palloc0(sizeof(HistorySource));
	ListCell   *cell;

	if (!OidIsValid(relation))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the past of %s \"%s\" is not kept", FeatureViewKind(view),
						FeatureViewShortName(view)),
				 errhint("%s", history_hint(view, source))));
	history->relation = relation;
	history->alias = get_rel_name(relation);
	foreach(cell, view->key_names)
		history->key_columns = lappend(history->key_columns,
									   view->owns_store ? pstrdup(lfirst(cell)) :
									   FeatureViewKeyColumn(view, lfirst(cell)));
	history->event_time = HistoryColumn(relation, "event_time");
	history->created_time = HistoryColumn(relation, "created_time");
	history->arrival = HistoryColumn(relation, "arrival");
	history->deleted = pstrdup("_deleted");
	foreach(cell, view->features)
	{
		const ViewFeature *feature = lfirst(cell);

		history->expressions = lappend(history->expressions,
									   pstrdup(quote_identifier(feature->store_column)));
	}
	return history;
}

HistorySource *
HistorySourceOf(const FeatureView *view)
{
	Source	   *source;
	char	   *copy;

	if (view->source == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s \"%s\" has no past of its own", FeatureViewKind(view),
						FeatureViewShortName(view)),
				 errdetail("It is computed from other views.")));
	if (!view->offline)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s \"%s\" is not offline", FeatureViewKind(view), FeatureViewShortName(view)),
				 errhint("Make it, or a new version of it, with offline => true.")));
	source = look_up_source(view);
	copy = OptionText(view->options, "history");
	if (source->relation_text != NULL && source->event_time != NULL &&
		(copy == NULL || strcmp(copy, "copy") != 0))
		return read_in_place(view, source);
	return read_history(view, source);
}
