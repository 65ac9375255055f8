/*-------------------------------------------------------------------------
 *
 * change.c
 *		What a change of a view means for those who use it, and who they are.
 *
 * Compatible is what a statement that names its columns does not notice: a new
 * feature behind the others, a wider type (services cast back to the type that they
 * were made with), another expression, ttl, or option.  What a feature means may
 * change in place, since nobody can tell such a change from a correction.
 *
 * Locks: none.
 * Must not know: how changes are made.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "registry/change.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "common/compat.h"
#include "common/guc.h"
#include "common/item_list.h"
#include "common/query.h"
#include "registry/entry.h"
#include "store/create.h"

static List *
add_change(List *changes, bool breaking, char *text)
{
	ViewChange *change = palloc(sizeof(ViewChange));

	change->text = text;
	change->breaking = breaking;
	return lappend(changes, change);
}

/* Columns as they are declared. */
static char *
column_list(const List *names, const List *types)
{
	List	   *columns = NIL;
	const ListCell *name;
	const ListCell *type;

	forboth(name, names, type, types)
		columns = lappend(columns, psprintf("%s %s", quote_identifier(lfirst(name)),
											(char *) lfirst(type)));
	return ItemListJoin(columns);
}

static bool
is_widened(const char *from, const char *to)
{
	Oid			old_type;
	Oid			new_type;
	int32		old_modifier;
	int32		new_modifier;

	parseTypeString(from, &old_type, &old_modifier, false);
	parseTypeString(to, &new_type, &new_modifier, false);
	return StoreTypeWidens(old_type, old_modifier, new_type, new_modifier);
}

static int
feature_position(const FeatureView *view, const char *name)
{
	ListCell   *cell;

	foreach(cell, view->features)
		if (strcmp(((ViewFeature *) lfirst(cell))->name, name) == 0)
			return foreach_current_index(cell);
	return -1;
}

static const char *
meaning(const ViewFeature *feature)
{
	return feature->aggregation == NULL ? feature->expression :
		AggregationMeaning(feature->aggregation, feature->expression);
}

static List *
compare_feature(List *changes, const ViewFeature *old, const ViewFeature *new)
{
	if (strcmp(old->type_name, new->type_name) != 0)
	{
		bool		widened = is_widened(old->type_name, new->type_name);

		changes = add_change(changes, !widened,
							 psprintf("Feature \"%s\" %s from %s to %s.", old->name,
									  widened ? "is widened" : "changes type", old->type_name,
									  new->type_name));
	}
	if (strcmp(meaning(old), meaning(new)) != 0)
		changes = add_change(changes, false,
							 psprintf("Feature \"%s\" is %s instead of %s.", old->name,
									  meaning(new), meaning(old)));
	return changes;
}

static List *
compare_features(List *changes, const FeatureView *old, const FeatureView *new)
{
	int			kept = 0;
	ListCell   *cell;

	foreach(cell, old->features)
	{
		const ViewFeature *feature = lfirst(cell);
		int			position = feature_position(new, feature->name);

		if (position < 0)
		{
			changes = add_change(changes, true, psprintf("Feature \"%s\" is removed.", feature->name));
			continue;
		}
		/* Who fills a view does so by position. */
		if (position != kept)
			changes = add_change(changes, true,
								 psprintf("Feature \"%s\" is no longer at position %d.",
										  feature->name, foreach_current_index(cell) + 1));
		kept++;
		changes = compare_feature(changes, feature, list_nth(new->features, position));
	}
	foreach(cell, new->features)
	{
		const ViewFeature *feature = lfirst(cell);

		if (feature_position(old, feature->name) < 0)
			changes = add_change(changes, false,
								 psprintf("Feature \"%s\" of type %s is added.", feature->name,
										  feature->type_name));
	}
	return changes;
}

static bool
texts_differ(const char *one, const char *other)
{
	return one == NULL || other == NULL ? one != other : strcmp(one, other) != 0;
}

static List *
compare_text(List *changes, bool breaking, const char *what, const char *old, const char *new)
{
	if (!texts_differ(old, new))
		return changes;
	return add_change(changes, breaking, psprintf("%s from %s to %s.", what,
												  old != NULL && *old ? old : "none",
												  new != NULL && *new ? new : "none"));
}

static char *
interval_text(const Interval *interval)
{
	return interval == NULL ? NULL :
		DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(interval)));
}

List *
FeatureViewCompare(const FeatureView *old, const FeatureView *new)
{
	List	   *changes = NIL;

	changes = compare_text(changes, true, "The key changes",
						   column_list(old->key_names, old->key_types),
						   column_list(new->key_names, new->key_types));
	changes = compare_text(changes, false, "Entities change", ItemListJoin(old->entities),
						   ItemListJoin(new->entities));
	changes = compare_features(changes, old, new);
	changes = compare_text(changes, true, "Request columns change",
						   column_list(old->request_names, old->request_types),
						   column_list(new->request_names, new->request_types));
	changes = compare_text(changes, false, "Inputs change", ItemListJoin(old->inputs),
						   ItemListJoin(new->inputs));
	changes = compare_text(changes, false, "The source changes", old->source, new->source);
	if (old->online == new->online)
	{
		changes = compare_text(changes, true, "The store changes", old->store, new->store);
		changes = compare_text(changes, true, "The event time changes", old->event_time_column,
							   new->event_time_column);
	}
	changes = compare_text(changes, false, "The ttl changes", interval_text(old->ttl),
						   interval_text(new->ttl));
	changes = compare_text(changes, false, "The window length changes",
						   interval_text(old->window_length), interval_text(new->window_length));
	if (old->online != new->online)
		changes = add_change(changes, true, psprintf("The view is %s online.",
													 new->online ? "now" : "no longer"));
	if (old->offline != new->offline)
		changes = add_change(changes, !new->offline, psprintf("The view is %s offline.",
															  new->offline ? "now" : "no longer"));
	return changes;
}

/* Whose is the row, whose its project, who else may use it? */
static bool
user_is_visible(uint64 row, Oid role)
{
	return RegistryHasMember(QueryText(row, 5, CurrentMemoryContext), role) ||
		RegistryHasMember(QueryText(row, 6, CurrentMemoryContext), role) || QueryBool(row, 7);
}

/* A training set is called as the current user would. */
static char *
relation_name(Oid relation)
{
	char	   *name = get_rel_name(relation);

	if (name == NULL || RelationIsVisible(relation))
		return name;
	return psprintf("%s.%s", get_namespace_name(get_rel_namespace(relation)), name);
}

List *
FeatureViewUsers(const FeatureView *view)
{
	Oid			role = GetUserId();
	List	   *users = NIL;
	QuerySession session;
	QueryArgs	args = {0};
	uint64		count;
	MemoryContext spi;
	ListCell   *cell;

	QueryBeginRegistry(&session);
	QueryArgText(&args, view->project);
	QueryArgText(&args, view->name);
	QueryArgInt4(&args, view->view_version);
	QueryArgText(&args, CurrentProject());
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(role), false);
	count = QueryRun("SELECT u.kind, u.relation, u.project || '.' || u.name || '@' || u.version, "
					 "CASE WHEN u.project IN ('" DEFAULT_PROJECT "', $4::name) THEN '' "
					 "ELSE u.project || '.' END || u.name || "
					 "CASE WHEN u.version > 1 THEN '@' || u.version ELSE '' END, "
					 "u.owner::text, p.owner_name::text, COALESCE(u.usable, false) "
					 "FROM (SELECT DISTINCT 'service' AS kind, 0::oid AS relation, s.project, "
					 "s.service AS name, 1 AS version, pg_catalog.pg_get_userbyid(n.nspowner) AS owner, "
					 "pg_catalog.has_schema_privilege($5, n.schema_oid, 'USAGE') AS usable "
					 "FROM venice.service_feature f JOIN venice.service s USING (project, service) "
					 "LEFT JOIN venice_internal.service_schema n USING (project, service) "
					 "WHERE f.view_project = $1::name AND f.view_name = $2::name AND f.view_version = $3 "
					 "UNION ALL "
					 "SELECT 'on_demand_view', 0::oid, v.project, v.view_name, v.view_version, v.owner_name, "
					 "false FROM venice.feature_view v "
					 "WHERE v.inputs && ARRAY(SELECT $1 || '.' || $2 || '@' || $3 || ':' || f.feature "
					 "FROM venice.feature f WHERE f.project = $1::name AND f.view_name = $2::name "
					 "AND f.view_version = $3) "
					 "UNION ALL "
					 "SELECT 'training_set', c.oid, n.nspname, c.relname, 1, "
					 "pg_catalog.pg_get_userbyid(c.relowner), "
					 "pg_catalog.has_table_privilege($5, c.oid, 'SELECT') "
					 "FROM venice.training_set t "
					 "JOIN pg_catalog.pg_class c ON c.oid = t.relation "
					 "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
					 "WHERE t.used_features && ARRAY(SELECT $1 || '.' || $2 || '@' || $3 || ':' || f.feature "
					 "FROM venice.feature f WHERE f.project = $1::name AND f.view_name = $2::name "
					 "AND f.view_version = $3)) u "
					 "LEFT JOIN venice.project p ON p.project = u.project AND u.relation = 0 "
					 "ORDER BY u.kind, u.project, u.name, u.version", &args);
	spi = MemoryContextSwitchTo(session.result_context);
	for (uint64 row = 0; row < count; row++)
	{
		ViewUser   *user = palloc(sizeof(ViewUser));
		bool		is_null;

		user->kind = QueryText(row, 1, CurrentMemoryContext);
		user->relation = DatumGetObjectId(QueryDatum(row, 2, &is_null));
		user->reference = QueryText(row, 3, CurrentMemoryContext);
		user->short_name = QueryText(row, 4, CurrentMemoryContext);
		user->visible = user_is_visible(row, role);
		users = lappend(users, user);
	}
	MemoryContextSwitchTo(spi);
	QueryEnd(&session);
	foreach(cell, users)
	{
		ViewUser   *user = lfirst(cell);
		char	   *name = OidIsValid(user->relation) ? relation_name(user->relation) : NULL;

		if (name != NULL)
			user->short_name = name;
	}
	return users;
}

const char *
ViewUserKind(const ViewUser *user)
{
	return strcmp(user->kind, "service") == 0 ? "service" :
		strcmp(user->kind, "training_set") == 0 ? "training set" : "on-demand view";
}

List *
FeatureViewUsedBy(const FeatureView *view)
{
	List	   *texts = NIL;
	int			hidden = 0;
	ListCell   *cell;

	foreach(cell, FeatureViewUsers(view))
	{
		const ViewUser *user = lfirst(cell);

		if (user->visible)
			texts = lappend(texts, psprintf("%s \"%s\"", ViewUserKind(user), user->short_name));
		else
			hidden++;
	}
	if (hidden > 0)
		texts = lappend(texts, psprintf("%d of others", hidden));
	return texts;
}

void
FeatureViewCheckChanges(const FeatureView *old, const List *changes)
{
	StringInfoData detail;
	const ListCell *cell;
	List	   *users;

	initStringInfo(&detail);
	foreach(cell, changes)
	{
		const ViewChange *change = lfirst(cell);

		if (change->breaking)
			appendStringInfo(&detail, "%s%s", detail.len > 0 ? " " : "", change->text);
	}
	if (detail.len == 0)
		return;
	users = FeatureViewUsedBy(old);
	if (users != NIL)
		appendStringInfo(&detail, " Used by: %s.", ItemListJoin(users));
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("change to %s \"%s\" is breaking", FeatureViewKind(old),
					FeatureViewShortName(old)),
			 errdetail_internal("%s", detail.data),
			 errhint("Make a new view version with new_version => true, then move the services.")));
}
