/*-------------------------------------------------------------------------
 *
 * layout.c
 *		The schemas and tables that a version consists of.
 *
 * A version's schema is made by the extension's owner on behalf of the store's
 * owner, who needs CREATE on the database only for his first store; what is in
 * it is made as the store's owner.  Names come from the registry and are quoted.
 *
 * Locks: those of the DDL.  Callers hold StoreLock.
 * Must not know: states and swaps.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "version/layout.h"

#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "common/query.h"

bool
VersionHasArrival(const StoreOptions *options, const char *origin)
{
	/* Only then can one key arrive by several partitions, whose order must be told apart. */
	return strcmp(origin, "kafka") == 0 && strcmp(options->key_format, "value") == 0;
}

static void
append_columns(StringInfo sql, const Store *store, bool keys_only)
{
	bool		first = true;
	ListCell   *cell;

	foreach(cell, store->columns)
	{
		StoreColumn *column = lfirst(cell);

		if (keys_only && !column->is_key)
			continue;
		appendStringInfo(sql, "%s%s %s", first ? "" : ", ", quote_identifier(column->name),
						 column->type_name);
		if (column->default_expression != NULL && !keys_only)
			appendStringInfo(sql, " DEFAULT %s", column->default_expression);
		if (column->not_null)
			appendStringInfoString(sql, " NOT NULL");
		first = false;
	}
}

/* Take a new schema, or table in it, from everybody but its owner. */
static void
revoke_all(const char *kind, Oid schema, Oid table)
{
	const char *name = quote_identifier(get_namespace_name(schema));
	QueryArgs	args = {0};
	char	   *grantees;

	if (OidIsValid(table))
		name = psprintf("%s.%s", name, quote_identifier(get_rel_name(table)));
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(schema), false);
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(table), false);
	(void) QueryRunLatest("SELECT pg_catalog.string_agg(DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' "
						  "ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END, ', ') "
						  "FROM (SELECT nspowner AS owner, nspacl AS acl FROM pg_catalog.pg_namespace "
						  "WHERE oid = $1 AND $2 = 0 "
						  "UNION ALL SELECT relowner, relacl FROM pg_catalog.pg_class WHERE oid = $2) o, "
						  "LATERAL pg_catalog.aclexplode(o.acl) a WHERE a.grantee <> o.owner", &args);
	grantees = QueryText(0, 1, CurrentMemoryContext);
	if (grantees != NULL)
		QueryRunf("REVOKE ALL ON %s %s FROM %s", kind, name, grantees);
}

char *
VersionCreate(const Store *store, int number, VersionState state, const char *origin)
{
	char	   *schema = VersionSchemaName(store->name, number, state);
	bool		arrival = VersionHasArrival(store->options, origin);
	const char *persistence = store->options->unlogged && number > 0 ? "UNLOGGED " : "";
	QuerySession session;
	StringInfoData sql;

	QueryBeginRegistry(&session);
	QueryRunf("CREATE SCHEMA %s AUTHORIZATION %s", quote_identifier(schema),
			  quote_identifier(GetUserNameFromId(store->owner, false)));
	QueryEnd(&session);

	QueryBegin(&session, store->owner);
	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE %sTABLE %s.records (", persistence, quote_identifier(schema));
	append_columns(&sql, store, false);
	if (arrival)
		appendStringInfoString(&sql, ", _event_time pg_catalog.timestamptz, "
							   "_arrival pg_catalog.int8");
	/* Nothing but the push writes before the build, and ANALYZE is part of that. */
	appendStringInfo(&sql, ") WITH (fillfactor = %d%s)", store->options->fillfactor,
					 number > 0 ? ", autovacuum_enabled = false" : "");
	if (store->options->tablespace != NULL && number > 0)
		appendStringInfo(&sql, " TABLESPACE %s", quote_identifier(store->options->tablespace));
	QueryRunf("%s", sql.data);

	if (strcmp(origin, "kafka") == 0 && number > 0)
	{
		resetStringInfo(&sql);
		appendStringInfo(&sql, "CREATE %sTABLE %s.tombstones (", persistence,
						 quote_identifier(schema));
		append_columns(&sql, store, true);
		appendStringInfo(&sql, "%s, _loaded_through pg_catalog.tid) WITH (autovacuum_enabled = false)",
						 arrival ? ", _event_time pg_catalog.timestamptz, _arrival pg_catalog.int8" : "");
		QueryRunf("%s", sql.data);
	}
	/* What default privileges gave away is not to be read before the swap. */
	if (number > 0)
	{
		Oid			schema_oid = get_namespace_oid(schema, false);

		revoke_all("SCHEMA", schema_oid, InvalidOid);
		revoke_all("TABLE", schema_oid, get_relname_relid("records", schema_oid));
		if (OidIsValid(get_relname_relid("tombstones", schema_oid)))
			revoke_all("TABLE", schema_oid, get_relname_relid("tombstones", schema_oid));
	}
	QueryEnd(&session);

	if (store->options->unlogged && number > 0)
	{
		QueryArgs	args = {0};

		QueryBeginRegistry(&session);
		QueryArgText(&args, store->name);
		QueryArgInt4(&args, number);
		(void) QueryRun("INSERT INTO venice.unlogged_version VALUES ($1::name, $2)", &args);
		QueryEnd(&session);
	}
	return schema;
}

void
VersionSeal(const char *schema)
{
	const char *quoted = quote_identifier(schema);

	QueryRunf("CREATE TRIGGER venice_seal BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s.records "
			  "FOR EACH STATEMENT EXECUTE FUNCTION venice_internal.refuse_direct_dml()", quoted);
	QueryRunf("ALTER TABLE %s.records ENABLE ALWAYS TRIGGER venice_seal", quoted);
}

void
VersionDescribe(const Store *store, const Version *version)
{
	char	   *schema = VersionSchemaName(store->name, version->number, version->state);
	Oid			schema_oid = get_namespace_oid(schema, true);

	if (OidIsValid(schema_oid))
		CreateComments(schema_oid, NamespaceRelationId, 0,
					   psprintf("venice store %s, version %d, %s", store->name, version->number,
								VersionStateName(version->state)));
}

char *
KeyColumnList(const Store *store, const char *prefix)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, store->columns)
	{
		StoreColumn *column = lfirst(cell);

		if (column->is_key)
			appendStringInfo(&list, "%s%s%s", list.len > 0 ? ", " : "", prefix,
							 quote_identifier(column->name));
	}
	return list.data;
}

void
SchemaCheckForeignObjects(const Store *store, Oid schema_oid)
{
	QuerySession session;
	QueryArgs	args = {0};
	char	   *names = NULL;

	/*
	 * Whatever depends on the schema itself is in it.  Ours are the tables, and
	 * of the functions those whose body is a call of ours for this store.
	 */
	QueryBeginRegistry(&session);
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(schema_oid), false);
	QueryArgText(&args, quote_literal_cstr(store->name));
	(void) QueryRunLatest("SELECT pg_catalog.string_agg(pg_catalog.pg_describe_object(d.classid, d.objid, "
					"d.objsubid), ', ' ORDER BY d.classid, d.objid) "
					"FROM pg_catalog.pg_depend d "
					"LEFT JOIN pg_catalog.pg_class c ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid "
					"LEFT JOIN pg_catalog.pg_proc p ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.objid "
					"WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = $1 "
					"AND d.deptype = 'n' "
					"AND (c.relname IS NULL OR c.relname NOT IN ('records', 'tombstones', 'swap_gate')) "
					"AND (p.prosrc IS NULL OR pg_catalog.strpos(p.prosrc, 'venice_internal.') = 0 "
					"     OR pg_catalog.strpos(p.prosrc, '(' || $2) = 0)", &args);
	names = QueryText(0, 1, session.result_context);
	QueryEnd(&session);

	if (names != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schema of store \"%s\" contains objects that do not belong to it",
						store->name),
				 errdetail("They are: %s.", names),
				 errhint("Move them to another schema: a swap replaces this one.")));
}
