/*-------------------------------------------------------------------------
 *
 * share.c
 *		Letting others read a feature.
 *
 * A right to read a feature is a right to read a column: GRANT is the authority,
 * and these two functions only spell it, with what a look-up needs besides; for the
 * store's history too, where there is one.  Swaps carry it.
 *
 * Locks: those of GRANT and REVOKE.
 * Must not know: who may see a view, which follows from the same privileges.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog/audit.h"
#include "catalog/store.h"
#include "common/item_list.h"
#include "common/query.h"
#include "registry/entry.h"
#include "registry/view.h"
#include "store/arguments.h"
#include "version/history.h"

PG_FUNCTION_INFO_V1(venice_grant_feature);
PG_FUNCTION_INFO_V1(venice_revoke_feature);

/* Features of a view, and who is to read them. */
typedef struct Share
{
	FeatureView *view;
	Store	   *store;
	Oid			records;
	Oid			history;		/* or invalid */
	List	   *columns;		/* of char *: where the features' values are */
	char	   *feature;		/* as it was named: "*" for all */
	Oid			grantee;		/* ACL_ID_PUBLIC: everybody */
	const char *grantee_name;	/* quoted */
} Share;

static void
begin_share(FunctionCallInfo fcinfo, Share *share)
{
	char	   *text = ArgumentText(fcinfo, 0, "feature", true);
	const char *grantee;
	Reference	reference;
	List	   *features;
	ListCell   *cell;

	FunctionRequireWritable(fcinfo);
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("grantee must not be null")));
	grantee = NameStr(*PG_GETARG_NAME(1));
	share->grantee = strcmp(grantee, "public") == 0 ? ACL_ID_PUBLIC : get_role_oid(grantee, false);
	share->grantee_name = share->grantee == ACL_ID_PUBLIC ? "PUBLIC" : quote_identifier(grantee);

	ReferenceParse(text, &reference);
	share->feature = reference.feature != NULL ? reference.feature : pstrdup("*");
	share->view = FeatureViewLookup(&reference, false);
	if (share->view->store == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s \"%s\" has no rows to read", FeatureViewKind(share->view),
						FeatureViewShortName(share->view)),
				 errhint("Grant what it is computed from, or USAGE on the schema of a service that has it.")));
	share->store = StoreLookup(share->view->store, false);
	StoreCheckOwner(share->store);
	StoreCheckSchema(share->store);
	share->records = get_relname_relid("records", share->store->schema_oid);
	share->history = HistoryRelation(share->store);
	features = strcmp(share->feature, "*") == 0 ? share->view->features :
		list_make1(FeatureViewFeature(share->view, share->feature, false));
	foreach(cell, features)
		share->columns = lappend(share->columns, ((ViewFeature *) lfirst(cell))->store_column);
	foreach(cell, share->columns)
		if (get_attnum(share->records, lfirst(cell)) == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("current version of store \"%s\" has no column \"%s\" yet",
							share->store->name, (char *) lfirst(cell)),
					 errhint("Push to the store first.")));
}

/* Columns that a look-up needs, in the store or in its history, whatever feature it is for. */
static List *
common_columns(const Share *share, Oid table)
{
	List	   *columns = NIL;
	ListCell   *cell;

	foreach(cell, share->store->columns)
	{
		StoreColumn *column = lfirst(cell);

		if (column->is_key)
			columns = lappend(columns, column->name);
	}
	if (table == share->history)
		return list_concat(columns, list_make4(HistoryColumn(table, "event_time"),
											   HistoryColumn(table, "created_time"),
											   HistoryColumn(table, "arrival"), "_deleted"));
	if (share->view->event_time_column != NULL)
		columns = lappend(columns, share->view->event_time_column);
	return columns;
}

static char *
quoted_list(const List *names)
{
	StringInfoData list;
	const ListCell *cell;

	initStringInfo(&list);
	foreach(cell, names)
		ItemListAppend(&list, "%s", quote_identifier(lfirst(cell)));
	return list.data;
}

static void
end_share(const Share *share, const char *action)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"feature\": ");
	escape_json(&json, share->feature);
	appendStringInfoString(&json, ", \"grantee\": ");
	escape_json(&json, share->grantee_name);
	appendStringInfoChar(&json, '}');
	AuditWrite(action, psprintf("%s_view", share->view->kind), share->view->project,
			   psprintf("%s@%d", share->view->name, share->view->view_version), share->view->owner,
			   NULL, DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data))));
}

/* What row security keeps from somebody is not to be read in the past of it. */
static bool
has_row_security(Oid table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	bool		result = ((Form_pg_class) GETSTRUCT(tuple))->relrowsecurity;

	ReleaseSysCache(tuple);
	return result;
}

static const char *
schema_name(Oid table)
{
	return quote_identifier(get_namespace_name(get_rel_namespace(table)));
}

/* In a session of the store's owner, as revoke_on. */
static void
grant_on(const Share *share, Oid table)
{
	List	   *columns = list_concat(common_columns(share, table), share->columns);

	QueryRunf("GRANT USAGE ON SCHEMA %s TO %s", schema_name(table), share->grantee_name);
	QueryRunf("GRANT SELECT (%s) ON %s TO %s", quoted_list(columns), QualifiedName(table),
			  share->grantee_name);
}

/*
 * venice_grant_feature
 *		grant_feature(feature, grantee): "view:feature", or all of them with "view" or
 *		"view:*".
 */
Datum
venice_grant_feature(PG_FUNCTION_ARGS)
{
	Share		share = {0};
	QuerySession session;

	begin_share(fcinfo, &share);
	QueryBegin(&session, share.store->owner);
	grant_on(&share, share.records);
	if (OidIsValid(share.history) && !has_row_security(share.records))
		grant_on(&share, share.history);
	QueryEnd(&session);
	end_share(&share, "grant");
	PG_RETURN_VOID();
}

/* Does the grantee have a privilege of his own on another column than the common ones? */
static bool
reads_more(const Share *share, Oid table)
{
	QuerySession session;
	QueryArgs	args = {0};
	bool		found;

	QueryBegin(&session, share->store->owner);
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(table), false);
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(share->grantee), false);
	QueryArgText(&args, quoted_list(common_columns(share, table)));
	found = QueryRunLatest("SELECT FROM pg_catalog.pg_attribute a, "
						   "LATERAL pg_catalog.aclexplode(a.attacl) x "
						   "WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped "
						   "AND x.grantee = $2 AND x.privilege_type = 'SELECT' "
						   "AND pg_catalog.quote_ident(a.attname) <> ALL (pg_catalog.string_to_array($3, ', ')) "
						   "UNION ALL "
						   "SELECT FROM pg_catalog.pg_class c, LATERAL pg_catalog.aclexplode(c.relacl) x "
						   "WHERE c.oid = $1 AND x.grantee = $2 LIMIT 1", &args) > 0;
	QueryEnd(&session);
	return found;
}

static void
revoke_on(const Share *share, Oid table)
{
	QuerySession session;

	QueryBegin(&session, share->store->owner);
	QueryRunf("REVOKE SELECT (%s) ON %s FROM %s", quoted_list(share->columns), QualifiedName(table),
			  share->grantee_name);
	QueryEnd(&session);
	if (reads_more(share, table))
		return;
	QueryBegin(&session, share->store->owner);
	QueryRunf("REVOKE SELECT (%s) ON %s FROM %s", quoted_list(common_columns(share, table)),
			  QualifiedName(table), share->grantee_name);
	QueryRunf("REVOKE USAGE ON SCHEMA %s FROM %s", schema_name(table), share->grantee_name);
	QueryEnd(&session);
}

/* Can the grantee still read one of the features? */
static bool
can_read(const Share *share, Oid table)
{
	ListCell   *cell;

	if (pg_class_aclcheck(table, share->grantee, ACL_SELECT) == ACLCHECK_OK)
		return true;
	foreach(cell, share->columns)
		if (pg_attribute_aclcheck(table, get_attnum(table, lfirst(cell)), share->grantee,
								  ACL_SELECT) == ACLCHECK_OK)
			return true;
	return false;
}

/*
 * venice_revoke_feature
 *		revoke_feature(feature, grantee): with the last feature also what was granted
 *		with the first.
 */
Datum
venice_revoke_feature(PG_FUNCTION_ARGS)
{
	Share		share = {0};

	begin_share(fcinfo, &share);
	revoke_on(&share, share.records);
	if (OidIsValid(share.history))
		revoke_on(&share, share.history);
	end_share(&share, "revoke");

	if (share.grantee != ACL_ID_PUBLIC &&
		(can_read(&share, share.records) ||
		 (OidIsValid(share.history) && can_read(&share, share.history))))
		ereport(WARNING,
				(errcode(ERRCODE_WARNING_PRIVILEGE_NOT_REVOKED),
				 errmsg("role %s can still read feature \"%s\"", share.grantee_name,
						share.feature),
				 errdetail("It has the privilege by another role, by PUBLIC, on the whole table, or by another owner's grant.")));
	PG_RETURN_VOID();
}
