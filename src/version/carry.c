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
 * in pg_class and pg_attribute are written, unchanged, so that one which commits
 * meanwhile fails instead of being lost.  A row of pg_class is locked while it is
 * written, as VACUUM writes it in place.
 * Must not know: versions, states, names of stores.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "version/carry.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_default_acl.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "commands/policy.h"
#include "commands/schemacmds.h"
#include "commands/tablecmds.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parser.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog/store.h"
#include "common/query.h"
#include "version/catalog_row.h"
#include "version/clone.h"
#include "version/redirect.h"

static Oid
get_rel_owner(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid			owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;

	ReleaseSysCache(tuple);
	return owner;
}

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
	CatalogChange change = {0};
	Datum		old_acl;
	bool		old_null;
	Oid			owner = ((Form_pg_namespace) GETSTRUCT(source))->nspowner;

	if (SchemaOwner(to) != owner)
	{
		AlterSchemaOwner_oid(to, owner);
		CommandCounterIncrement();
	}
	target = SearchSysCacheCopy1(NAMESPACEOID, ObjectIdGetDatum(to));
	old_acl = SysCacheGetAttr(NAMESPACEOID, target, Anum_pg_namespace_nspacl, &old_null);
	CatalogChangeCopy(&change, catalog, source, Anum_pg_namespace_nspacl);
	update_acl_dependencies(NamespaceRelationId, to, 0, owner, old_acl, old_null,
							change.values[Anum_pg_namespace_nspacl - 1],
							change.nulls[Anum_pg_namespace_nspacl - 1]);
	(void) CatalogChangeApply(&change, catalog, target);
	ReleaseSysCache(source);
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
}

/*
 * ALTER DEFAULT PRIVILEGES IN SCHEMA names the store's schema, which is another one
 * after the swap; it moves there.
 */
static void
move_default_privileges(Oid from, Oid to)
{
	Relation	catalog = table_open(DefaultAclRelationId, RowExclusiveLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_default_acl_defaclnamespace, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(from));
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_default_acl form;
		ObjectAddress present;

		tuple = heap_copytuple(tuple);
		form = (Form_pg_default_acl) GETSTRUCT(tuple);
		ObjectAddressSet(present, DefaultAclRelationId,
						 GetSysCacheOid3(DEFACLROLENSPOBJ, Anum_pg_default_acl_oid,
										 ObjectIdGetDatum(form->defaclrole), ObjectIdGetDatum(to),
										 CharGetDatum(form->defaclobjtype)));
		if (OidIsValid(present.objectId))
			performDeletion(&present, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
		form->defaclnamespace = to;
		CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
		if (changeDependencyFor(DefaultAclRelationId, form->oid, NamespaceRelationId, from,
								to) != 1)
			elog(ERROR, "could not change schema dependency of default privileges %u", form->oid);
	}
	systable_endscan(scan);
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

		if (strcmp(option->defname, "fillfactor") != 0)
			kept = lappend(kept, option);
	}
	result = transformRelOptions((Datum) 0, kept, NULL, NULL, false, false);
	*is_null = result == (Datum) 0;
	return result;
}

/*
 * Have whatever changes the privileges or options of a table or of its columns, and
 * has not committed by now, fail.
 */
void
CarryBegin(Oid records)
{
	Relation	classes = table_open(RelationRelationId, RowExclusiveLock);
	Relation	attributes = table_open(AttributeRelationId, RowExclusiveLock);
	HeapTuple	class = SearchSysCacheLockedCopy1(RELOID, ObjectIdGetDatum(records));
	ItemPointerData place = class->t_self;
	int			columns = ((Form_pg_class) GETSTRUCT(class))->relnatts;

	CatalogTupleUpdate(classes, &class->t_self, class);
	UnlockTuple(classes, &place, InplaceUpdateTupleLock);
	for (AttrNumber i = 1; i <= columns; i++)
	{
		HeapTuple	attribute = SearchSysCacheCopy2(ATTNUM, ObjectIdGetDatum(records),
													Int16GetDatum(i));

		if (!((Form_pg_attribute) GETSTRUCT(attribute))->attisdropped)
			CatalogTupleUpdate(attributes, &attribute->t_self, attribute);
	}
	table_close(attributes, RowExclusiveLock);
	table_close(classes, RowExclusiveLock);
	CommandCounterIncrement();
}

static void
carry_toast_options(Relation catalog, Oid from, Oid to)
{
	HeapTuple	source;
	HeapTuple	target;
	CatalogChange change = {0};
	ItemPointerData place;

	if (!OidIsValid(from) || !OidIsValid(to))
		return;
	source = SearchSysCache1(RELOID, ObjectIdGetDatum(from));
	target = SearchSysCacheLockedCopy1(RELOID, ObjectIdGetDatum(to));
	place = target->t_self;
	CatalogChangeCopy(&change, catalog, source, Anum_pg_class_reloptions);
	(void) CatalogChangeApply(&change, catalog, target);
	UnlockTuple(catalog, &place, InplaceUpdateTupleLock);
	ReleaseSysCache(source);
}

static void
carry_class_row(Oid from, Oid to)
{
	Relation	catalog = table_open(RelationRelationId, RowExclusiveLock);
	HeapTuple	source = SearchSysCache1(RELOID, ObjectIdGetDatum(from));
	Form_pg_class source_form = (Form_pg_class) GETSTRUCT(source);
	HeapTuple	target;
	ItemPointerData place;
	CatalogChange change = {0};
	Datum		old_acl;
	Datum		from_options;
	Datum		to_options;
	bool		old_null;
	bool		from_null;
	bool		to_null;

	if (get_rel_owner(to) != source_form->relowner)
	{
		ATExecChangeOwner(to, source_form->relowner, true, AccessExclusiveLock);
		CommandCounterIncrement();
	}
	target = SearchSysCacheLockedCopy1(RELOID, ObjectIdGetDatum(to));
	place = target->t_self;

	old_acl = SysCacheGetAttr(RELOID, target, Anum_pg_class_relacl, &old_null);
	CatalogChangeCopy(&change, catalog, source, Anum_pg_class_relacl);
	update_acl_dependencies(RelationRelationId, to, 0, source_form->relowner, old_acl, old_null,
							change.values[Anum_pg_class_relacl - 1],
							change.nulls[Anum_pg_class_relacl - 1]);

	from_options = SysCacheGetAttr(RELOID, source, Anum_pg_class_reloptions, &from_null);
	to_options = SysCacheGetAttr(RELOID, target, Anum_pg_class_reloptions, &to_null);
	change.values[Anum_pg_class_reloptions - 1] =
		merge_reloptions(from_options, from_null, to_options, to_null,
						 &change.nulls[Anum_pg_class_reloptions - 1]);
	change.replaces[Anum_pg_class_reloptions - 1] = true;

	CatalogChangeCopy(&change, catalog, source, Anum_pg_class_relrowsecurity);
	CatalogChangeCopy(&change, catalog, source, Anum_pg_class_relforcerowsecurity);
	(void) CatalogChangeApply(&change, catalog, target);
	UnlockTuple(catalog, &place, InplaceUpdateTupleLock);

	carry_toast_options(catalog, source_form->reltoastrelid,
						((Form_pg_class) GETSTRUCT(target))->reltoastrelid);
	ReleaseSysCache(source);
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void
carry_comment(Oid class_id, Oid from, int32 from_number, Oid to, int32 to_number)
{
	char	   *wanted = GetComment(from, class_id, from_number);

	if (!same_text(wanted, GetComment(to, class_id, to_number)))
		CreateComments(to, class_id, to_number, wanted);
}

static void
carry_columns(Oid from, Oid to)
{
	Relation	catalog = table_open(AttributeRelationId, RowExclusiveLock);
	Relation	source = table_open(from, AccessShareLock);

	for (int i = 0; i < RelationGetNumberOfAttributes(source); i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(source), i);
		AttrNumber	to_number;
		HeapTuple	source_tuple;
		HeapTuple	target;
		Datum		old_acl;
		bool		old_null;
		bool		new_null;
		CatalogChange change = {0};

		if (attribute->attisdropped)
			continue;
		source_tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(from),
									   Int16GetDatum(attribute->attnum));
		CatalogChangeCopy(&change, catalog, source_tuple, Anum_pg_attribute_attacl);
		new_null = change.nulls[Anum_pg_attribute_attacl - 1];
		to_number = get_attnum(to, NameStr(attribute->attname));
		if (to_number == InvalidAttrNumber && !new_null)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" is gone from the new version, but has privileges",
							NameStr(attribute->attname)),
					 errhint("Revoke the column's privileges first.")));
		if (to_number != InvalidAttrNumber)
		{
			carry_comment(RelationRelationId, from, attribute->attnum, to, to_number);
			target = SearchSysCacheCopy2(ATTNUM, ObjectIdGetDatum(to), Int16GetDatum(to_number));
			old_acl = SysCacheGetAttr(ATTNUM, target, Anum_pg_attribute_attacl, &old_null);
			if (!old_null || !new_null)
				update_acl_dependencies(RelationRelationId, to, to_number,
										source->rd_rel->relowner, old_acl, old_null,
										change.values[Anum_pg_attribute_attacl - 1], new_null);
			(void) CatalogChangeApply(&change, catalog, target);
		}
		ReleaseSysCache(source_tuple);
	}
	table_close(source, AccessShareLock);
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
}

static void
place_statistics(Oid statistics, Oid schema, const char *name)
{
	Relation	catalog = table_open(StatisticExtRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopy1(STATEXTOID, ObjectIdGetDatum(statistics));
	Form_pg_statistic_ext form = (Form_pg_statistic_ext) GETSTRUCT(tuple);
	Oid			old_schema = form->stxnamespace;

	namestrcpy(&form->stxname, name);
	form->stxnamespace = schema;
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	if (changeDependencyFor(StatisticExtRelationId, statistics, NamespaceRelationId, old_schema,
							schema) != 1)
		elog(ERROR, "could not change schema dependency of statistics object %u", statistics);
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
}

/*
 * The clone of a statistics object takes its owner; and its name and schema, if that
 * is another one than the store's.
 */
static void
carry_statistics(Oid from_schema, Oid from, Oid to)
{
	Relation	catalog = table_open(StatisticExtRelationId, RowExclusiveLock);
	HeapTuple	source = SearchSysCacheCopy1(STATEXTOID, ObjectIdGetDatum(from));
	Form_pg_statistic_ext form = (Form_pg_statistic_ext) GETSTRUCT(source);
	HeapTuple	target = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(to));
	CatalogChange change = {0};

	CatalogChangeCopy(&change, catalog, source, Anum_pg_statistic_ext_stxowner);
	if (CatalogChangeApply(&change, catalog, target))
		changeDependencyOnOwner(StatisticExtRelationId, to, form->stxowner);
	ReleaseSysCache(target);
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();

	if (form->stxnamespace != from_schema)
	{
		place_statistics(from, from_schema, StatisticsNameInVersion(from, from_schema));
		place_statistics(to, form->stxnamespace, NameStr(form->stxname));
	}
}

typedef struct Policy
{
	char	   *name;
	CreatePolicyStmt *statement;	/* for the new table */
	char	   *comment;		/* or NULL */
} Policy;

/* The policies of two tables, in the order of their names. */
static void
read_policies(Oid from, Oid to, List **from_policies, List **to_policies)
{
	MemoryContext caller = CurrentMemoryContext;
	QueryArgs	args = {0};
	uint64		rows;

	SPI_connect();
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(from), false);
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(to), false);
	QueryArgText(&args, QualifiedName(to));
	rows = QueryRunLatest("SELECT p.polrelid = $1, p.polname, "
						  "pg_catalog.format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', "
						  "p.polname, $3, "
						  "CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, "
						  "CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' "
						  "WHEN 'd' THEN 'DELETE' ELSE 'ALL' END, "
						  "(SELECT pg_catalog.string_agg(CASE r.role WHEN 0 THEN 'PUBLIC' "
						  "ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(r.role)) END, ', ' ORDER BY r.role) "
						  "FROM pg_catalog.unnest(p.polroles) AS r(role)), "
						  "' USING (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')', "
						  "' WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')'), "
						  "pg_catalog.obj_description(p.oid, 'pg_policy') "
						  "FROM pg_catalog.pg_policy p WHERE p.polrelid IN ($1, $2) ORDER BY p.polname",
						  &args);
	for (uint64 i = 0; i < rows; i++)
	{
		List	  **policies = QueryBool(i, 1) ? from_policies : to_policies;
		MemoryContext spi = MemoryContextSwitchTo(caller);
		Policy	   *policy = palloc(sizeof(Policy));
		RawStmt    *raw;

		policy->name = QueryText(i, 2, caller);
		raw = linitial_node(RawStmt, raw_parser(QueryText(i, 3, caller), RAW_PARSE_DEFAULT));
		policy->statement = castNode(CreatePolicyStmt, raw->stmt);
		policy->comment = QueryText(i, 4, caller);
		*policies = lappend(*policies, policy);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
}

static Policy *
find_policy(List *policies, const char *name)
{
	ListCell   *cell;

	foreach(cell, policies)
		if (strcmp(((Policy *) lfirst(cell))->name, name) == 0)
			return lfirst(cell);
	return NULL;
}

static bool
same_policy(const Policy *a, const Policy *b)
{
	return a != NULL && b != NULL && equal(a->statement, b->statement) &&
		same_text(a->comment, b->comment);
}

static void
add_policy_context(void *argument)
{
	errcontext("policy \"%s\" of the current version", (char *) argument);
}

/* What a policy reads of its own table it shall read of the new one. */
static void
redirect_policy(const Policy *policy, Oid from, Oid to)
{
	ErrorContextCallback context = {error_context_stack, add_policy_context, policy->name};
	List	   *expressions = list_make2(policy->statement->qual, policy->statement->with_check);

	error_context_stack = &context;
	/* The constants are its owner's own, who is who makes it again. */
	RecordsRedirect((Node *) expressions, from, to, InvalidOid);
	error_context_stack = context.previous;
}

static void
create_policy(const Policy *policy)
{
	ErrorContextCallback context = {error_context_stack, add_policy_context, policy->name};
	ObjectAddress address;

	error_context_stack = &context;
	address = CreatePolicy(policy->statement);
	error_context_stack = context.previous;
	if (policy->comment != NULL)
		CreateComments(address.objectId, PolicyRelationId, 0, policy->comment);
}

/* Have the same numbers the same names, so that an expression means the same over both? */
static bool
same_numbers(Oid from, Oid to)
{
	Relation	left = table_open(from, AccessShareLock);
	Relation	right = table_open(to, AccessShareLock);
	int			count = RelationGetNumberOfAttributes(left);
	bool		same = count == RelationGetNumberOfAttributes(right);

	for (int i = 0; i < count && same; i++)
		same = strcmp(NameStr(TupleDescAttr(RelationGetDescr(left), i)->attname),
					  NameStr(TupleDescAttr(RelationGetDescr(right), i)->attname)) == 0;
	table_close(right, AccessShareLock);
	table_close(left, AccessShareLock);
	return same;
}

/* Does an expression mention a table, other than by columns of its own row? */
static bool
mentions_table(Node *node, void *context)
{
	Oid			table = *(Oid *) context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
		return ((RangeTblEntry *) node)->relid == table;
	if (IsA(node, Const) && ((Const *) node)->consttype == REGCLASSOID)
		return !((Const *) node)->constisnull &&
			DatumGetObjectId(((Const *) node)->constvalue) == table;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, mentions_table, context, QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, mentions_table, context);
}

/*
 * Compare two rows of pg_policy in a field, which may be an expression.  The same
 * words about the first one's table are not the same: the second would be about its own.
 */
static bool
same_field(TupleDesc descriptor, AttrNumber field, HeapTuple a, HeapTuple b, Oid a_table)
{
	Form_pg_attribute attribute = TupleDescAttr(descriptor, field - 1);
	bool		a_null;
	bool		b_null;
	Datum		a_value = heap_getattr(a, field, descriptor, &a_null);
	Datum		b_value = heap_getattr(b, field, descriptor, &b_null);

	if (a_null || b_null)
		return a_null && b_null;
	if (attribute->atttypid == PG_NODE_TREEOID)
	{
		Node	   *expression = stringToNode(TextDatumGetCString(a_value));

		return equal(expression, stringToNode(TextDatumGetCString(b_value))) &&
			!mentions_table(expression, &a_table);
	}
	return datumIsEqual(a_value, b_value, attribute->attbyval, attribute->attlen);
}

/*
 * Have two tables the same policies, as they have before most swaps?  Deparsing them
 * to find out would cost more than all that is carried.  One that mentions its
 * own table is not found to be the same, but may be.
 */
static bool
same_policies(Oid from, Oid to)
{
	static const AttrNumber fields[] = {
		Anum_pg_policy_polname, Anum_pg_policy_polcmd, Anum_pg_policy_polpermissive,
		Anum_pg_policy_polroles, Anum_pg_policy_polqual, Anum_pg_policy_polwithcheck
	};
	Oid			tables[2] = {from, to};
	Relation	catalog = table_open(PolicyRelationId, AccessShareLock);
	SysScanDesc scans[2];
	HeapTuple	rows[2];
	bool		same = same_numbers(from, to);

	for (int i = 0; i < 2; i++)
	{
		ScanKeyData key;

		ScanKeyInit(&key, Anum_pg_policy_polrelid, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(tables[i]));
		scans[i] = systable_beginscan(catalog, PolicyPolrelidPolnameIndexId, true, NULL, 1, &key);
	}
	while (same)
	{
		for (int i = 0; i < 2; i++)
			rows[i] = systable_getnext(scans[i]);
		same = HeapTupleIsValid(rows[0]) == HeapTupleIsValid(rows[1]);
		if (!same || !HeapTupleIsValid(rows[0]))
			break;
		for (int i = 0; i < lengthof(fields) && same; i++)
			same = same_field(RelationGetDescr(catalog), fields[i], rows[0], rows[1], from);
		same = same &&
			same_text(GetComment(((Form_pg_policy) GETSTRUCT(rows[0]))->oid, PolicyRelationId, 0),
					  GetComment(((Form_pg_policy) GETSTRUCT(rows[1]))->oid, PolicyRelationId, 0));
	}
	for (int i = 0; i < 2; i++)
		systable_endscan(scans[i]);
	table_close(catalog, AccessShareLock);
	return same;
}

static void
carry_policies(Oid from, Oid to)
{
	List	   *wanted = NIL;
	List	   *present = NIL;
	UserContext user;
	ListCell   *cell;

	if (same_policies(from, to))
		return;
	read_policies(from, to, &wanted, &present);
	foreach(cell, wanted)
		redirect_policy(lfirst(cell), from, to);
	foreach(cell, present)
	{
		Policy	   *policy = lfirst(cell);
		ObjectAddress address;

		if (same_policy(policy, find_policy(wanted, policy->name)))
			continue;
		ObjectAddressSet(address, PolicyRelationId,
						 get_relation_policy_oid(to, policy->name, false));
		performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
		CommandCounterIncrement();
	}
	UserContextEnter(&user, get_rel_owner(to));
	foreach(cell, wanted)
	{
		Policy	   *policy = lfirst(cell);

		if (same_policy(policy, find_policy(present, policy->name)))
			continue;
		create_policy(policy);
		CommandCounterIncrement();
	}
	UserContextLeave(&user);
}

void
CarryAttachments(Oid from_schema, Oid from_records, Oid to_schema, Oid to_records)
{
	ListCell   *cell;

	carry_schema(from_schema, to_schema);
	move_default_privileges(from_schema, to_schema);
	carry_class_row(from_records, to_records);
	carry_columns(from_records, to_records);

	/* Whoever was given the schema has been given the store. */
	if (SchemaOwner(from_schema) != get_rel_owner(to_records))
	{
		ATExecChangeOwner(to_records, SchemaOwner(from_schema), false, AccessExclusiveLock);
		CommandCounterIncrement();
	}
	carry_policies(from_records, to_records);
	carry_comment(RelationRelationId, from_records, 0, to_records, 0);
	foreach(cell, ObjectPairs(from_records, to_records))
	{
		ObjectPair *pair = lfirst(cell);

		carry_comment(pair->class_id, pair->from, 0, pair->to, 0);
		if (pair->class_id == StatisticExtRelationId)
			carry_statistics(from_schema, pair->from, pair->to);
	}
}
