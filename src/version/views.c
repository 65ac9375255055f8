/*-------------------------------------------------------------------------
 *
 * views.c
 *		Views over a store's table follow the store.
 *
 * A view knows its tables by OID.  After a swap one that read the version which
 * was left is deparsed, parsed again, pointed at the current version's table, and
 * replaced in place, so that its OID, privileges, comments, triggers, and the
 * views over it stay as they are.  Only views that name records themselves need
 * this.
 *
 * A view may be of anybody's.  It is replaced with its owner's rights, in a
 * restricted context, and without event triggers; none of its functions is
 * called, and a constant that somebody else's domain would have to check is not
 * read.  It fails alone: in a subtransaction.
 *
 * Which views were over a version while that was current is written down in the
 * swap, in venice.lagging_view, until they have followed: who makes a view over
 * a backup by the backup's name wants that one, and keeps it.
 *
 * Locks: AccessExclusiveLock on each view, to the end of the transaction.  Only
 * while none is held yet is one waited for longer than an instant: readers of a
 * view shall not wait for those of another.  Callers hold StoreLock.
 * Must not know: why and when there is a swap.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "version/views.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parse_type.h"
#include "parser/parser.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "catalog/registry_row.h"
#include "common/query.h"
#include "common/retry.h"
#include "common/shmem.h"
#include "common/subtransaction.h"

/* Not to be waited for; a lock_timeout of 0 would be for ever. */
#define INSTANT_MS	1

/* Where a view is to read from instead. */
typedef struct Redirection
{
	const char *from_schema;
	const char *to_schema;
	bool		same_columns;	/* by name, number and order */
	Oid			owner;			/* of the view */
} Redirection;

typedef struct Replacement
{
	Oid			view;
	Oid			from;			/* tables */
	Oid			to;
	int			lock_timeout_ms;
} Replacement;

static bool
same_columns(Oid one, Oid other)
{
	Relation	left = table_open(one, AccessShareLock);
	Relation	right = table_open(other, AccessShareLock);
	TupleDesc	a = RelationGetDescr(left);
	TupleDesc	b = RelationGetDescr(right);
	int			i = 0;
	int			j = 0;
	bool		same = true;

	while (same && (i < a->natts || j < b->natts))
	{
		if (i < a->natts && TupleDescAttr(a, i)->attisdropped)
			i++;
		else if (j < b->natts && TupleDescAttr(b, j)->attisdropped)
			j++;
		else if (i == a->natts || j == b->natts)
			same = false;
		else
			same = strcmp(NameStr(TupleDescAttr(a, i++)->attname),
						  NameStr(TupleDescAttr(b, j++)->attname)) == 0;
	}
	table_close(right, AccessShareLock);
	table_close(left, AccessShareLock);
	return same;
}

/*
 * Column aliases go by position, also those of a join above the table: over other
 * columns they would name the wrong ones, without an error.
 */
static void
check_aliases(const Alias *alias, const Redirection *redirection)
{
	if (alias != NULL && alias->colnames != NIL && !redirection->same_columns)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("column aliases of \"%s\" do not fit the columns of the new version",
						alias->aliasname)));
}

static Oid
type_owner(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Oid			owner = ((Form_pg_type) GETSTRUCT(tuple))->typowner;

	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Raise 42501 if reading a value of the type runs code of somebody who is neither the
 * view's owner nor a superuser.
 */
static void
check_constant(Oid type, Oid view_owner)
{
	TupleDesc	descriptor;

	check_stack_depth();
	if (OidIsValid(get_element_type(type)))
		check_constant(get_element_type(type), view_owner);
	switch (get_typtype(type))
	{
		case TYPTYPE_DOMAIN:
			if (DomainHasConstraints(type) && type_owner(type) != view_owner &&
				!superuser_arg(type_owner(type)))
				ereport(ERROR,
						(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						 errmsg("a constant in it would be checked by domain %s, which is somebody else's",
								format_type_be(type))));
			check_constant(getBaseType(type), view_owner);
			break;
		case TYPTYPE_COMPOSITE:
			descriptor = lookup_rowtype_tupdesc(type, -1);
			for (int i = 0; i < descriptor->natts; i++)
				if (!TupleDescAttr(descriptor, i)->attisdropped)
					check_constant(TupleDescAttr(descriptor, i)->atttypid, view_owner);
			ReleaseTupleDesc(descriptor);
			break;
		case TYPTYPE_RANGE:
			check_constant(get_range_subtype(type), view_owner);
			break;
		case TYPTYPE_MULTIRANGE:
			check_constant(get_multirange_range(type), view_owner);
			break;
		default:
			break;
	}
}

/* Change the schema of records wherever the parse tree names it: as table, as type, as regclass. */
static bool
redirect(Node *node, void *context)
{
	Redirection *redirection = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeVar))
	{
		RangeVar   *relation = (RangeVar *) node;

		if (relation->schemaname != NULL &&
			strcmp(relation->schemaname, redirection->from_schema) == 0 &&
			strcmp(relation->relname, "records") == 0)
		{
			relation->schemaname = pstrdup(redirection->to_schema);
			check_aliases(relation->alias, redirection);
		}
	}
	else if (IsA(node, JoinExpr))
		check_aliases(((JoinExpr *) node)->alias, redirection);
	else if (IsA(node, TypeName))
	{
		TypeName   *type = (TypeName *) node;

		if (list_length(type->names) == 2 &&
			strcmp(strVal(linitial(type->names)), redirection->from_schema) == 0 &&
			strcmp(strVal(lsecond(type->names)), "records") == 0)
			type->names = list_make2(makeString(pstrdup(redirection->to_schema)),
									 lsecond(type->names));
	}
	else if (IsA(node, TypeCast) && IsA(((TypeCast *) node)->arg, A_Const))
	{
		TypeCast   *cast = (TypeCast *) node;
		A_Const    *constant = (A_Const *) cast->arg;

		check_constant(typenameTypeId(NULL, cast->typeName), redirection->owner);
		if (!constant->isnull && IsA(&constant->val, String) &&
			strcmp(strVal(llast(cast->typeName->names)), "regclass") == 0 &&
			strcmp(strVal(&constant->val),
				   quote_qualified_identifier(redirection->from_schema, "records")) == 0)
			constant->val.sval.sval =
				quote_qualified_identifier(redirection->to_schema, "records");
	}
	return raw_expression_tree_walker(node, redirect, context);
}

/* The view's query as a parse tree, reading the other table. */
static Node *
redirected_query(const Replacement *replacement, Oid owner, char **sql)
{
	Redirection redirection;
	RawStmt    *raw;

	redirection.from_schema = get_namespace_name(get_rel_namespace(replacement->from));
	redirection.to_schema = get_namespace_name(get_rel_namespace(replacement->to));
	redirection.owner = owner;
	redirection.same_columns = same_columns(replacement->from, replacement->to);

	/* pg_get_viewdef looks by the active snapshot, which may be older than the view is. */
	PushActiveSnapshot(GetLatestSnapshot());
	*sql = TextDatumGetCString(DirectFunctionCall1(pg_get_viewdef,
												   ObjectIdGetDatum(replacement->view)));
	PopActiveSnapshot();
	raw = linitial_node(RawStmt, raw_parser(*sql, RAW_PARSE_DEFAULT));
	(void) redirect(raw->stmt, &redirection);
	return raw->stmt;
}

/* As pg_dump: constants that are written with these are read again as they were. */
static void
pin_text_formats(void)
{
	static const char *const settings[][2] = {
		{"array_nulls", "on"},
		{"datestyle", "ISO, YMD"},
		{"extra_float_digits", "3"},
		{"intervalstyle", "postgres"},
		{"standard_conforming_strings", "on"},
		{"transform_null_equals", "off"},
	};

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}

static void
replace_view(void *argument)
{
	Replacement *replacement = argument;
	int			nest_level = NewGUCNestLevel();
	UserContext user;
	HeapTuple	tuple;
	Form_pg_class form;
	ViewStmt   *view = makeNode(ViewStmt);
	PlannedStmt *statement = makeNode(PlannedStmt);
	char	   *sql;
	Datum		options;
	bool		is_null;

	(void) set_config_option("lock_timeout", psprintf("%d", replacement->lock_timeout_ms),
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	if (replacement->lock_timeout_ms > INSTANT_MS)
		LockRelationOid(replacement->view, AccessExclusiveLock);
	else if (!ConditionalLockRelationOid(replacement->view, AccessExclusiveLock))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("could not obtain lock on relation with OID %u", replacement->view)));
	tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(replacement->view));
	if (!HeapTupleIsValid(tuple))
	{
		AtEOXact_GUC(false, nest_level);
		return;					/* dropped by now */
	}
	form = (Form_pg_class) GETSTRUCT(tuple);

	UserContextEnter(&user, form->relowner);
	pin_text_formats();
	view->view = makeRangeVar(get_namespace_name(form->relnamespace),
							  pstrdup(NameStr(form->relname)), -1);
	view->query = redirected_query(replacement, form->relowner, &sql);
	view->replace = true;
	options = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_reloptions, &is_null);
	view->options = is_null ? NIL : untransformRelOptions(options);
	view->withCheckOption = NO_CHECK_OPTION;	/* is one of the options */

	statement->commandType = CMD_UTILITY;
	statement->utilityStmt = (Node *) view;
	ProcessUtility(statement, sql, false, PROCESS_UTILITY_SUBCOMMAND, NULL, NULL, None_Receiver,
				   NULL);
	UserContextLeave(&user);
	AtEOXact_GUC(false, nest_level);
}

/* The views that are still to follow from a version, by OID. */
static List *
lagging_views(const Version *left)
{
	QuerySession session;
	QueryArgs	args = {0};
	List	   *views = NIL;
	uint64		rows;

	QueryBeginRegistry(&session);
	QueryArgText(&args, left->store);
	QueryArgInt4(&args, left->number);
	rows = QueryRunLatest("SELECT view FROM venice.lagging_view "
						  "WHERE store_name = $1::name AND version = $2 AND error IS NULL "
						  "ORDER BY view", &args);
	for (uint64 i = 0; i < rows; i++)
	{
		bool		is_null;
		Oid			view = DatumGetObjectId(QueryDatum(i, 1, &is_null));
		MemoryContext old = MemoryContextSwitchTo(session.result_context);

		views = lappend_oid(views, view);
		MemoryContextSwitchTo(old);
	}
	QueryEnd(&session);
	return views;
}

/* A view has followed, or, with an error, never will. */
static void
note_view(const Version *left, Oid view, const char *error)
{
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	QueryArgText(&args, left->store);
	QueryArgInt4(&args, left->number);
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(view), false);
	QueryArgText(&args, error);
	if (error != NULL)
		(void) QueryRun("UPDATE venice.lagging_view SET error = $4 "
						"WHERE store_name = $1::name AND version = $2 AND view = $3", &args);
	else
	{
		args.count = 3;
		(void) QueryRun("DELETE FROM venice.lagging_view "
						"WHERE store_name = $1::name AND version = $2 AND view = $3", &args);
	}
	QueryEnd(&session);
}

bool
ViewsFollow(const Store *store, const Version *left, int lock_timeout_ms)
{
	Replacement replacement;
	bool		changed = false;
	bool		waiting = false;
	ListCell   *cell;

	replacement.from = VersionRecords(left);
	replacement.to = get_relname_relid("records", get_namespace_oid(store->name, false));
	replacement.lock_timeout_ms = lock_timeout_ms;
	foreach(cell, lagging_views(left))
	{
		ErrorData  *error;

		replacement.view = lfirst_oid(cell);
		error = SubtransactionTry(replace_view, &replacement, SUBTRANSACTION_ANY_ERROR);
		if (error != NULL && ErrorIsTransient(error->sqlerrcode))
		{
			waiting = true;
			continue;
		}
		if (error == NULL)
			replacement.lock_timeout_ms = Min(lock_timeout_ms, INSTANT_MS);
		else
			ereport(WARNING,
					(errcode(error->sqlerrcode),
					 errmsg("view \"%s\" goes on reading version %d of store \"%s\"",
							get_rel_name(replacement.view), left->number, store->name),
					 errdetail("It could not be made again: %s.", error->message),
					 errhint("Replace it by one that fits the current version.")));
		note_view(left, replacement.view, error ? error->message : NULL);
		changed = true;
	}
	return changed || !waiting;
}

/* Is there a view over a table, or another rule that reads or writes it? */
static bool
has_rules_over(Oid records)
{
	Relation	catalog = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(records));
	scan = systable_beginscan(catalog, DependReferenceIndexId, true, NULL, 2, keys);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = ((Form_pg_depend) GETSTRUCT(tuple))->classid == RewriteRelationId;
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

static bool
has_lagging_views(const Store *store)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	RegistryScan scan;
	bool		found;

	RegistryScanBegin(&scan, "lagging_view", store->name, NO_VERSION, snapshot);
	found = RegistryScanNext(&scan) != NULL;
	RegistryScanEnd(&scan);
	UnregisterSnapshot(snapshot);
	return found;
}

void
ViewsSwap(const Store *store, const Version *left, const Version *current)
{
	Oid			left_records = VersionRecords(left);
	QuerySession session;
	QueryArgs	args = {0};
	uint64		views;

	/* Most stores have none. */
	if (!has_rules_over(left_records) && !has_lagging_views(store))
		return;
	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	QueryArgInt4(&args, left->number);
	QueryArgInt4(&args, current->number);
	(void) QueryRun("DELETE FROM venice.lagging_view "
					"WHERE store_name = $1::name AND version IN ($2, $3)", &args);

	args.count = 2;
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(left_records), false);
	views = QueryRunLatest("INSERT INTO venice.lagging_view (store_name, version, view) "
						   "SELECT DISTINCT $1::name, $2, v.oid FROM pg_catalog.pg_depend d "
						   "JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND r.rulename = '_RETURN' "
						   "JOIN pg_catalog.pg_class v ON v.oid = r.ev_class "
						   "AND v.relkind = 'v' AND v.relpersistence <> 't' "
						   "WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass "
						   "AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass "
						   "AND d.refobjid = $3", &args);
	QueryEnd(&session);
	if (views == 0)
		return;
	(void) ViewsFollow(store, left, INSTANT_MS);
	/* Whoever reads one that could not follow reads the version that was left. */
	SupervisorWakeAtCommit();
}
