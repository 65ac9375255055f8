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
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog/registry_row.h"
#include "common/query.h"
#include "common/retry.h"
#include "common/shmem.h"
#include "common/subtransaction.h"
#include "version/redirect.h"

/* Not to be waited for; a lock_timeout of 0 would be for ever. */
#define INSTANT_MS	1

typedef struct Replacement
{
	Oid			view;
	Oid			from;			/* tables */
	Oid			to;
	int			lock_timeout_ms;
} Replacement;

/* The view's query as a parse tree, reading the other table. */
static Node *
redirected_query(const Replacement *replacement, Oid owner, char **sql)
{
	RawStmt    *raw;

	/* pg_get_viewdef looks by the active snapshot, which may be older than the view is. */
	PushActiveSnapshot(GetLatestSnapshot());
	*sql = TextDatumGetCString(DirectFunctionCall1(pg_get_viewdef,
												   ObjectIdGetDatum(replacement->view)));
	PopActiveSnapshot();
	raw = linitial_node(RawStmt, raw_parser(*sql, RAW_PARSE_DEFAULT));
	RecordsRedirect(raw->stmt, replacement->from, replacement->to, owner);
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
