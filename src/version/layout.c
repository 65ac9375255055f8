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

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "rewrite/prs2lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "catalog/pointer.h"
#include "common/item_list.h"
#include "common/query.h"
#include "version/clone.h"

/* Columns of ours, where one key can come by several partitions. */
#define RECORD_TIME_COLUMN "_record_time"
#define ARRIVAL_COLUMN "_arrival"

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

/*
 * Descriptions of features that become columns with this version; those of columns that
 * the current one has are carried by the swap.
 */
static void
comment_new_columns(const Store *store, Oid current, Oid records)
{
	bool		has_new = false;
	ListCell   *cell;
	QuerySession session;
	QueryArgs	args = {0};
	uint64		count;

	foreach(cell, store->columns)
		has_new |= get_attnum(current, ((StoreColumn *) lfirst(cell))->name) == InvalidAttrNumber;
	if (!has_new)
		return;
	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	count = QueryRun("SELECT f.feature::text, f.options ->> 'description' "
					 "FROM venice.feature_view v JOIN venice.feature f USING (project, view_name, view_version) "
					 "WHERE v.store_name = $1::name AND v.owns_store AND f.options ? 'description'",
					 &args);
	for (uint64 row = 0; row < count; row++)
	{
		AttrNumber	attribute = get_attnum(records, QueryText(row, 1, CurrentMemoryContext));

		if (attribute != InvalidAttrNumber)
			CreateComments(records, RelationRelationId, attribute,
						   QueryText(row, 2, CurrentMemoryContext));
	}
	QueryEnd(&session);
}

char *
VersionCreate(const Store *store, int number, VersionState state, const char *origin)
{
	char	   *schema = VersionSchemaName(store->name, number, state);
	bool		arrival = VersionHasArrival(store->options, origin);
	const char *persistence = store->options->unlogged && number > 0 ? "UNLOGGED " : "";
	VersionPointer pointer;
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
		appendStringInfoString(&sql, ", " RECORD_TIME_COLUMN " pg_catalog.timestamptz, "
							   ARRIVAL_COLUMN " pg_catalog.int8");
	if (strcmp(store->options->conflict_resolution, "arrival") != 0 || store->options->ttl_us > 0)
		appendStringInfoString(&sql, ", " METADATA_COLUMN " pg_catalog.bytea");
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
						 arrival ? ", " RECORD_TIME_COLUMN " pg_catalog.timestamptz, " ARRIVAL_COLUMN " pg_catalog.int8" : "");
		QueryRunf("%s", sql.data);
	}
	/* How rows are stored is settled when they are. */
	if (number > 0 && VersionPointerRead(store->name, GetLatestSnapshot(), &pointer))
	{
		Oid			records = get_relname_relid("records", get_namespace_oid(schema, false));

		CloneSettings(pointer.records, records);
		comment_new_columns(store, pointer.records, records);
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
	VersionTableWrite(store->name, number,
					  get_relname_relid("records", get_namespace_oid(schema, false)));

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

/*
 * What is known of rows that were deleted, where late writes are to find it.  A load has
 * a table of that name for another purpose, until the version is built.
 */
static void
create_tombstones(const Store *store, const StoreOptions *options, const char *schema)
{
	Oid			records = get_relname_relid("records", get_namespace_oid(schema, false));
	char		persistence = get_rel_persistence(records);
	StringInfoData sql;

	if (strcmp(options->conflict_resolution, "arrival") == 0)
		return;
	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE %sTABLE %s.tombstones (",
					 persistence == RELPERSISTENCE_UNLOGGED ? "UNLOGGED " : "",
					 quote_identifier(schema));
	append_columns(&sql, store, true);
	appendStringInfo(&sql, ", " METADATA_COLUMN " pg_catalog.bytea, _deleted_time pg_catalog.timestamptz, "
					 "PRIMARY KEY (%s))", KeyColumnList(store, ""));
	QueryRunf("%s", sql.data);
	QueryRunf("CREATE INDEX ON %s.tombstones (_deleted_time)", quote_identifier(schema));
	revoke_all("TABLE", get_namespace_oid(schema, false),
			   get_relname_relid("tombstones", get_namespace_oid(schema, false)));
}

void
VersionSeal(const Store *store, const StoreOptions *options, const char *schema)
{
	const char *quoted = quote_identifier(schema);

	QueryRunf("CREATE TRIGGER venice_seal BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s.records "
			  "FOR EACH STATEMENT EXECUTE FUNCTION venice_internal.refuse_direct_dml()", quoted);
	QueryRunf("CREATE TRIGGER venice_forget BEFORE UPDATE OR DELETE ON %s.records "
			  "FOR EACH ROW EXECUTE FUNCTION venice_internal.forget_row()", quoted);
	QueryRunf("ALTER TABLE %s.records ENABLE ALWAYS TRIGGER venice_seal, "
			  "ENABLE ALWAYS TRIGGER venice_forget", quoted);
	create_tombstones(store, options, schema);
}

void
VersionDescribe(const Store *store, const Version *version)
{
	char	   *schema = VersionSchemaName(store->name, version->number, version->state);
	Oid			schema_oid = get_namespace_oid(schema, true);
	const char *state = VersionStateName(version->state);

	/* Nobody can go back to it once the first push has left it: it is no backup. */
	if (version->number == 0 && version->state != VERSION_CURRENT)
		state = "the empty version that a store begins with";
	if (OidIsValid(schema_oid))
		CreateComments(schema_oid, NamespaceRelationId, 0,
					   psprintf("%s%s", VersionDescription(store->name, version->number), state));
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

/* Is a function one that was generated for the store: is its body a call of ours for it? */
static bool
is_generated(const Store *store, Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool		is_null;
	char	   *body = TextDatumGetCString(SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc,
														   &is_null));

	ReleaseSysCache(tuple);
	return strstr(body, "venice_internal.") != NULL &&
		strstr(body, psprintf("(%s", quote_literal_cstr(store->name))) != NULL;
}

/* Is it the version's own, or on its records and therefore cloned? */
static bool
belongs_to_version(const Store *store, const ObjectAddress *object, Oid records)
{
	HeapTuple	tuple;
	bool		result;

	switch (object->classId)
	{
		case RelationRelationId:
			{
				char	   *name = get_rel_name(object->objectId);

				return strcmp(name, "records") == 0 || strcmp(name, "tombstones") == 0 ||
					strncmp(name, "swap_gate_v", strlen("swap_gate_v")) == 0;
			}
		case ProcedureRelationId:
			return is_generated(store, object->objectId);
		case ConstraintRelationId:
			/* It depends on a schema only if it mentions one. */
			return true;
		case StatisticExtRelationId:
			tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(object->objectId));
			result = ((Form_pg_statistic_ext) GETSTRUCT(tuple))->stxrelid == records;
			ReleaseSysCache(tuple);
			return result;
		default:
			return false;
	}
}

/* Whatever is in a schema depends on it; what only mentions it, too. */
static bool
is_in_schema(const ObjectAddress *object, Oid schema)
{
	if (object->classId == ExtensionRelationId)
		return true;
	return is_objectclass_supported(object->classId) && get_object_namespace(object) == schema;
}

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

static char *
join_names(List *names)
{
	list_sort(names, compare_names);
	return ItemListJoin(names);
}

static List *
foreign_objects(const Store *store, Oid schema, Oid records)
{
	Relation	catalog = table_open(DependRelationId, AccessShareLock);
	List	   *names = NIL;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(NamespaceRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(schema));
	scan = systable_beginscan(catalog, DependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		ObjectAddress object;

		ObjectAddressSet(object, form->classid, form->objid);
		if (form->deptype == DEPENDENCY_NORMAL && is_in_schema(&object, schema) &&
			!belongs_to_version(store, &object, records))
			names = lappend(names, getObjectDescription(&object, false));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return names;
}

static bool
is_store_column(const Store *store, const char *name)
{
	ListCell   *cell;

	foreach(cell, store->columns)
		if (strcmp(((StoreColumn *) lfirst(cell))->name, name) == 0)
			return true;
	return strcmp(name, RECORD_TIME_COLUMN) == 0 || strcmp(name, ARRIVAL_COLUMN) == 0 ||
		strcmp(name, METADATA_COLUMN) == 0;
}

/* What somebody has done to records that no other table can have, or that a store does not have. */
static List *
unmovable_parts(const Store *store, Relation records)
{
	TupleDesc	descriptor = RelationGetDescr(records);
	List	   *names = NIL;
	ListCell   *cell;

	for (int i = 0; records->rd_rules != NULL && i < records->rd_rules->numLocks; i++)
		names = lappend(names, getObjectDescriptionOids(RewriteRelationId,
														records->rd_rules->rules[i]->ruleId));
	if (has_superclass(RelationGetRelid(records)))
		names = lappend(names, "a table that it inherits from");
	foreach(cell, find_inheritance_children(RelationGetRelid(records), NoLock))
		names = lappend(names, psprintf("%s, which inherits from it",
										getObjectDescriptionOids(RelationRelationId,
																 lfirst_oid(cell))));
	if (OidIsValid(records->rd_rel->reloftype))
		names = lappend(names, getObjectDescriptionOids(TypeRelationId,
														records->rd_rel->reloftype));
	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);

		if (!attribute->attisdropped && !is_store_column(store, NameStr(attribute->attname)))
			names = lappend(names, psprintf("column %s",
											quote_identifier(NameStr(attribute->attname))));
	}
	return names;
}

void
VersionCheckSwappable(const Store *store, Oid schema_oid, Oid records_oid)
{
	List	   *names = foreign_objects(store, schema_oid, records_oid);
	Relation	records;

	if (names != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schema of store \"%s\" contains objects that do not belong to it",
						store->name),
				 errdetail("They are: %s.", join_names(names)),
				 errhint("Move them to another schema: a swap replaces this one.")));

	records = table_open(records_oid, AccessShareLock);
	names = unmovable_parts(store, records);
	table_close(records, AccessShareLock);
	if (names != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s.records\" has what does not follow a swap",
						get_namespace_name(schema_oid)),
				 errdetail("It is: %s.", join_names(names)),
				 errhint("Remove it. Columns are added with venice.alter_store.")));
}
