/*-------------------------------------------------------------------------
 *
 * carry.c
 *		What is attached to the current version and follows at a swap.
 *
 * A table copied without its policies is an open table, and one copied without
 * its grants is an outage; so both are copied as they are at the moment of the
 * swap, in its transaction.  Catalog rows are changed directly and policies made
 * by the function behind CREATE POLICY, not by SQL: an event trigger would be
 * user code in a transaction that runs as the extension's owner.
 *
 * Locks: RowExclusiveLock on the catalogs; AccessExclusiveLock on the new table
 * only if its policies differ.  GRANT takes no lock on a table: the old one's rows
 * in pg_class and pg_attribute are written, so that one which commits meanwhile
 * fails instead of being lost.
 * Must not know: versions, states, names of stores.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "version/carry.h"

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "commands/policy.h"
#include "commands/schemacmds.h"
#include "commands/tablecmds.h"
#include "nodes/makefuncs.h"
#include "parser/parser.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog/store.h"
#include "common/query.h"

/* Record in pg_shdepend that the object's privileges name other roles than before. */
static void
update_acl_dependencies(Oid class_id, Oid object_id, int32 sub_id, Oid owner, Datum old_acl,
						bool old_null, Datum new_acl, bool new_null)
{
	Oid		   *old_members = NULL;
	Oid		   *new_members = NULL;
	int			old_count = 0;
	int			new_count = 0;

	if (!old_null)
		old_count = aclmembers(DatumGetAclP(old_acl), &old_members);
	if (!new_null)
		new_count = aclmembers(DatumGetAclP(new_acl), &new_members);
	updateAclDependencies(class_id, object_id, sub_id, owner, old_count, old_members, new_count,
						  new_members);
}

static void
carry_schema(Oid from, Oid to)
{
	Relation	catalog = table_open(NamespaceRelationId, RowExclusiveLock);
	HeapTuple	source = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(from));
	HeapTuple	target;
	Datum		values[Natts_pg_namespace];
	bool		nulls[Natts_pg_namespace] = {false};
	bool		replaces[Natts_pg_namespace] = {false};
	Datum		old_acl;
	bool		old_null;
	Oid			owner = ((Form_pg_namespace) GETSTRUCT(source))->nspowner;

	target = SearchSysCacheCopy1(NAMESPACEOID, ObjectIdGetDatum(to));
	if (((Form_pg_namespace) GETSTRUCT(target))->nspowner != owner)
	{
		AlterSchemaOwner_oid(to, owner);
		CommandCounterIncrement();
		target = SearchSysCacheCopy1(NAMESPACEOID, ObjectIdGetDatum(to));
	}
	old_acl = SysCacheGetAttr(NAMESPACEOID, target, Anum_pg_namespace_nspacl, &old_null);
	values[Anum_pg_namespace_nspacl - 1] = SysCacheGetAttr(NAMESPACEOID, source,
														   Anum_pg_namespace_nspacl,
														   &nulls[Anum_pg_namespace_nspacl - 1]);
	replaces[Anum_pg_namespace_nspacl - 1] = true;
	update_acl_dependencies(NamespaceRelationId, to, 0, owner, old_acl, old_null,
							values[Anum_pg_namespace_nspacl - 1],
							nulls[Anum_pg_namespace_nspacl - 1]);
	target = heap_modify_tuple(target, RelationGetDescr(catalog), values, nulls, replaces);
	CatalogTupleUpdate(catalog, &target->t_self, target);
	ReleaseSysCache(source);
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
}

/* Options of the old table, but the fill factor that the new one was filled with. */
static Datum
merge_reloptions(Datum from, bool from_null, Datum to, bool to_null, bool *is_null)
{
	List	   *kept = NIL;
	ListCell   *cell;
	Datum		result;

	foreach(cell, to_null ? NIL : untransformRelOptions(to))
	{
		DefElem    *option = lfirst(cell);

		if (strcmp(option->defname, "fillfactor") == 0)
			kept = lappend(kept, option);
	}
	foreach(cell, from_null ? NIL : untransformRelOptions(from))
	{
		DefElem    *option = lfirst(cell);

		if (strcmp(option->defname, "fillfactor") != 0 &&
			strcmp(option->defname, "autovacuum_enabled") != 0)
			kept = lappend(kept, option);
	}
	result = transformRelOptions((Datum) 0, kept, NULL, NULL, false, false);
	*is_null = result == (Datum) 0;
	return result;
}

static void
carry_class_row(Oid from, Oid to)
{
	Relation	catalog = table_open(RelationRelationId, RowExclusiveLock);
	HeapTuple	source = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(from));
	HeapTuple	target;
	Form_pg_class source_form = (Form_pg_class) GETSTRUCT(source);
	Datum		values[Natts_pg_class];
	bool		nulls[Natts_pg_class] = {false};
	bool		replaces[Natts_pg_class] = {false};
	Datum		old_acl;
	Datum		from_options;
	Datum		to_options;
	bool		old_null;
	bool		from_null;
	bool		to_null;

	target = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(to));
	if (((Form_pg_class) GETSTRUCT(target))->relowner != source_form->relowner)
	{
		ATExecChangeOwner(to, source_form->relowner, true, AccessExclusiveLock);
		CommandCounterIncrement();
		target = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(to));
	}

	old_acl = SysCacheGetAttr(RELOID, target, Anum_pg_class_relacl, &old_null);
	values[Anum_pg_class_relacl - 1] = SysCacheGetAttr(RELOID, source, Anum_pg_class_relacl,
													   &nulls[Anum_pg_class_relacl - 1]);
	replaces[Anum_pg_class_relacl - 1] = true;
	update_acl_dependencies(RelationRelationId, to, 0, source_form->relowner, old_acl, old_null,
							values[Anum_pg_class_relacl - 1], nulls[Anum_pg_class_relacl - 1]);

	from_options = SysCacheGetAttr(RELOID, source, Anum_pg_class_reloptions, &from_null);
	to_options = SysCacheGetAttr(RELOID, target, Anum_pg_class_reloptions, &to_null);
	values[Anum_pg_class_reloptions - 1] =
		merge_reloptions(from_options, from_null, to_options, to_null,
						 &nulls[Anum_pg_class_reloptions - 1]);
	replaces[Anum_pg_class_reloptions - 1] = true;

	values[Anum_pg_class_relrowsecurity - 1] = BoolGetDatum(source_form->relrowsecurity);
	replaces[Anum_pg_class_relrowsecurity - 1] = true;
	values[Anum_pg_class_relforcerowsecurity - 1] = BoolGetDatum(source_form->relforcerowsecurity);
	replaces[Anum_pg_class_relforcerowsecurity - 1] = true;

	target = heap_modify_tuple(target, RelationGetDescr(catalog), values, nulls, replaces);
	CatalogTupleUpdate(catalog, &target->t_self, target);

	/* Unchanged, but written: see the file's header. */
	CatalogTupleUpdate(catalog, &source->t_self, source);
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
}

static void
carry_columns(Oid from, Oid to)
{
	Relation	catalog = table_open(AttributeRelationId, RowExclusiveLock);
	Relation	source = table_open(from, AccessShareLock);
	Oid			owner = source->rd_rel->relowner;

	for (int i = 0; i < RelationGetNumberOfAttributes(source); i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(source), i);
		AttrNumber	to_number;
		HeapTuple	source_tuple;
		HeapTuple	target;
		Datum		old_acl;
		bool		old_null;
		Datum		values[Natts_pg_attribute];
		bool		nulls[Natts_pg_attribute] = {false};
		bool		replaces[Natts_pg_attribute] = {false};

		if (attribute->attisdropped)
			continue;
		source_tuple = SearchSysCacheCopy2(ATTNUM, ObjectIdGetDatum(from),
										   Int16GetDatum(attribute->attnum));
		/* Unchanged, but written: see the file's header. */
		CatalogTupleUpdate(catalog, &source_tuple->t_self, source_tuple);
		values[Anum_pg_attribute_attacl - 1] =
			SysCacheGetAttr(ATTNUM, source_tuple, Anum_pg_attribute_attacl,
							&nulls[Anum_pg_attribute_attacl - 1]);
		to_number = get_attnum(to, NameStr(attribute->attname));
		if (to_number == InvalidAttrNumber)
		{
			if (!nulls[Anum_pg_attribute_attacl - 1])
				ereport(ERROR,
						(errcode(ERRCODE_UNDEFINED_COLUMN),
						 errmsg("column \"%s\" is gone from the new version, but has privileges",
								NameStr(attribute->attname)),
						 errhint("Revoke the column's privileges first.")));
			continue;
		}
		CreateComments(to, RelationRelationId, to_number,
					   GetComment(from, RelationRelationId, attribute->attnum));

		target = SearchSysCacheCopy2(ATTNUM, ObjectIdGetDatum(to), Int16GetDatum(to_number));
		old_acl = SysCacheGetAttr(ATTNUM, target, Anum_pg_attribute_attacl, &old_null);
		if (old_null && nulls[Anum_pg_attribute_attacl - 1])
			continue;
		replaces[Anum_pg_attribute_attacl - 1] = true;
		update_acl_dependencies(RelationRelationId, to, to_number, owner, old_acl, old_null,
								values[Anum_pg_attribute_attacl - 1],
								nulls[Anum_pg_attribute_attacl - 1]);
		target = heap_modify_tuple(target, RelationGetDescr(catalog), values, nulls, replaces);
		CatalogTupleUpdate(catalog, &target->t_self, target);
	}
	table_close(source, AccessShareLock);
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
}

/* Statements that would make a table's policies, in the order of their names. */
static List *
policy_statements(Oid relation, const char *target)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *statements = NIL;
	QueryArgs	args = {0};
	uint64		rows;

	SPI_connect();
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(relation), false);
	QueryArgText(&args, target);
	rows = QueryRunLatest("SELECT pg_catalog.format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', "
					"p.polname, $2, "
					"CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, "
					"CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' "
					"WHEN 'd' THEN 'DELETE' ELSE 'ALL' END, "
					"(SELECT pg_catalog.string_agg(CASE r.role WHEN 0 THEN 'PUBLIC' "
					"ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(r.role)) END, ', ' ORDER BY r.role) "
					"FROM pg_catalog.unnest(p.polroles) AS r(role)), "
					"' USING (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')', "
					"' WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')'), "
					"p.polname::text "
					"FROM pg_catalog.pg_policy p WHERE p.polrelid = $1 ORDER BY p.polname", &args);
	for (uint64 i = 0; i < rows; i++)
	{
		char	   *sql = QueryText(i, 1, caller);
		char	   *name = QueryText(i, 2, caller);
		MemoryContext spi = MemoryContextSwitchTo(caller);

		statements = lappend(statements, list_make2(sql, name));
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	return statements;
}

static bool
same_policies(List *a, List *b)
{
	ListCell   *left;
	ListCell   *right;

	if (list_length(a) != list_length(b))
		return false;
	forboth(left, a, right, b)
		if (strcmp(linitial(lfirst(left)), linitial(lfirst(right))) != 0)
			return false;
	return true;
}

static void
carry_policies(Oid from, Oid to)
{
	char	   *target = quote_qualified_identifier(get_namespace_name(get_rel_namespace(to)),
													get_rel_name(to));
	List	   *wanted = policy_statements(from, target);
	List	   *present = policy_statements(to, target);
	ListCell   *cell;

	if (same_policies(wanted, present))
		return;

	foreach(cell, present)
	{
		ObjectAddress address;

		ObjectAddressSet(address, PolicyRelationId,
						 get_relation_policy_oid(to, lsecond(lfirst(cell)), false));
		performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	}
	foreach(cell, wanted)
	{
		RawStmt    *raw = linitial_node(RawStmt, raw_parser(linitial(lfirst(cell)),
															RAW_PARSE_DEFAULT));

		CommandCounterIncrement();
		CreatePolicy(castNode(CreatePolicyStmt, raw->stmt));
	}
	CommandCounterIncrement();
}

static Oid
get_rel_owner(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid			owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;

	ReleaseSysCache(tuple);
	return owner;
}

void
CarryAttachments(Oid from_schema, Oid from_records, Oid to_schema, Oid to_records)
{
	carry_schema(from_schema, to_schema);
	carry_class_row(from_records, to_records);
	carry_columns(from_records, to_records);
	carry_policies(from_records, to_records);
	CreateComments(to_records, RelationRelationId, 0,
				   GetComment(from_records, RelationRelationId, 0));

	/* Whoever was given the schema has been given the store. */
	if (SchemaOwner(from_schema) != get_rel_owner(to_records))
	{
		ATExecChangeOwner(to_records, SchemaOwner(from_schema), false, AccessExclusiveLock);
		CommandCounterIncrement();
	}
}
