/*-------------------------------------------------------------------------
 *
 * past.c
 *		That there is a past of a view's features to ask for.
 *
 * A relation with event times is its own past, and is not copied unless the view asks
 * for it.  What a topic or a store has now will be gone with the next push: of such a
 * view that is offline the store keeps a history.
 *
 * Locks: StoreLock of the view's store; AccessShareLock on the relation.
 * Must not know: what a history looks like, how it is read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "registry/past.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/store.h"
#include "common/store_options.h"
#include "registry/source.h"
#include "store/create.h"
#include "version/history.h"

#define COPY "copy"

static bool
wants_copy(const FeatureView *view)
{
	return OptionText(view->options, "history") != NULL;
}

void
FeatureViewCheckPast(const FeatureView *view)
{
	char	   *history = OptionString(view->options, "history");

	if (history == NULL)
		return;
	if (strcmp(history, COPY) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", "history", history),
				 errhint("It takes \"" COPY "\", or null to read a relation with event times in place.")));
	if (view->store == NULL || !view->offline)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s \"%s\" has no store that could keep its past", FeatureViewKind(view),
						view->name),
				 errhint("The option history is for views that are online and offline.")));
	if (OptionText(view->options, "aggregations") != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("feature view \"%s\" aggregates, and reads its source in place", view->name),
				 errdetail("Its store has what came of the events, not the events.")));
}

/* Does an index find the newest row of a key before a time? */
static bool
index_fits(Relation index, const List *keys, AttrNumber event_time)
{
	const Form_pg_index form = index->rd_index;
	int			count = list_length(keys);

	if (index->rd_rel->relam != BTREE_AM_OID || !form->indisvalid ||
		form->indnkeyatts <= count || form->indkey.values[count] != event_time ||
		!heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
		return false;
	for (int i = 0; i < count; i++)
		if (!list_member_int(keys, form->indkey.values[i]))
			return false;
	return true;
}

/* A table without the index that look-ups into its past want. */
static void
wish_for_index(const FeatureView *view, const Source *source)
{
	Relation	relation = relation_open(source->relation, AccessShareLock);
	const char *schema = get_namespace_name(RelationGetNamespace(relation));
	List	   *keys = NIL;
	StringInfoData columns;
	bool		found = false;
	ListCell   *cell;

	initStringInfo(&columns);
	foreach(cell, view->key_names)
	{
		const char *column = FeatureViewKeyColumn(view, lfirst(cell));

		keys = lappend_int(keys, get_attnum(source->relation, column));
		appendStringInfo(&columns, "%s, ", quote_identifier(column));
	}
	appendStringInfo(&columns, "%s DESC", quote_identifier(source->event_time));
	if (source->created_time != NULL)
		appendStringInfo(&columns, ", %s DESC NULLS LAST", quote_identifier(source->created_time));

	foreach(cell, RelationGetIndexList(relation))
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		found |= index_fits(index, keys, get_attnum(source->relation, source->event_time));
		index_close(index, NoLock);
	}
	if (!found && (relation->rd_rel->relkind == RELKIND_RELATION ||
				   relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ||
				   relation->rd_rel->relkind == RELKIND_MATVIEW))
		ereport(NOTICE,
				(errmsg("table \"%s\" has no index for the past of %s \"%s\"",
						RelationGetRelationName(relation), FeatureViewKind(view),
						FeatureViewShortName(view)),
				 errhint("Make one with CREATE INDEX ON %s (%s).",
						 quote_qualified_identifier(schema, RelationGetRelationName(relation)),
						 columns.data)));
	relation_close(relation, NoLock);
}

static void
keep_in_store(const FeatureView *view)
{
	Store	   *store;

	StoreLock(view->store, ExclusiveLock);
	store = StoreLookup(view->store, false);
	if (OidIsValid(HistoryRelation(store)))
		return;
	if (!has_privs_of_role(GetUserId(), store->owner))
	{
		ereport(NOTICE,
				(errmsg("the past of %s \"%s\" is not kept", FeatureViewKind(view),
						FeatureViewShortName(view)),
				 errdetail("Its store \"%s\" belongs to another role, which has not asked for it.",
						   store->name),
				 errhint("Its owner can, with venice.alter_store(%s, '{\"history\": true}').",
						 quote_literal_cstr(store->name))));
		return;
	}
	StoreLockRow(view->store);
	StoreKeepHistory(store);
}

void
FeatureViewKeepPast(const FeatureView *view, bool is_new)
{
	const Source *source;

	if (view->source == NULL || !view->offline)
		return;
	source = SourceLookup(view->source, false);
	if (!OidIsValid(source->relation) || wants_copy(view))
	{
		if (view->store != NULL)
			keep_in_store(view);
	}
	else if (is_new && source->event_time != NULL)
		wish_for_index(view, source);
}
