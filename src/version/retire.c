/*-------------------------------------------------------------------------
 *
 * retire.c
 *		Dropping versions that nobody can reach any more.
 *
 * A version that has left stays while a snapshot from before its swap may still
 * look it up: one of a transaction, a slot, or a standby that sends feedback.  It
 * also stays while a transaction runs that began before the swap was over: even
 * without a snapshot it may know the schema by its old name, and look into it.
 * Dropping takes AccessExclusiveLock, behind which readers would
 * queue: a worker takes it when it is free, or tries again later.
 *
 * Locks: StoreLock by the caller; AccessExclusiveLock on the version's tables.
 * Must not know: when it is called.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "version/retire.h"

#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "catalog/pointer.h"
#include "common/query.h"
#include "common/table_lock.h"
#include "version/dependents.h"
#include "version/functions.h"

/* What was read from a version stays counted after it. */
static void
keep_read_counts(const Store *store, Oid records)
{
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(records), false);
	(void) QueryRunLatest("UPDATE venice.store_stat AS s SET "
						  "reads = s.reads + pg_catalog.pg_stat_get_numscans(i.indexrelid), "
						  "keys = s.keys + pg_catalog.pg_stat_get_tuples_fetched(i.indexrelid) "
						  "FROM pg_catalog.pg_index i "
						  "WHERE s.store_name = $1::name AND i.indrelid = $2 AND i.indisprimary",
						  &args);
	QueryEnd(&session);
}

static void
lock_unqueued(Oid schema, const char *name, int timeout_ms)
{
	Oid			table = get_relname_relid(name, schema);

	if (OidIsValid(table) && !TableLockUnqueued(table, timeout_ms))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("table \"%s.%s\" is in use", get_namespace_name(schema), name),
				 errdetail("It is locked by %s.", TableLockHolders(table))));
}

void
VersionDropSchema(const Store *store, const Version *version, int lock_timeout_ms)
{
	static const char *const tables[] = {"records", "tombstones"};
	Oid			schema_oid = VersionSchema(store, version);
	QuerySession session;
	QueryArgs	args = {0};

	if (OidIsValid(schema_oid))
	{
		char	   *schema = get_namespace_name(schema_oid);
		char	   *dependents = DependentsThatBlock(get_relname_relid("records", schema_oid));

		if (dependents != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("cannot drop version %d of store \"%s\" because other objects depend on it",
							version->number, store->name),
					 errdetail("They are: %s.", dependents),
					 errhint("Drop them, or make them read the store's current version, first.")));
		keep_read_counts(store, get_relname_relid("records", schema_oid));
		if (lock_timeout_ms > 0)
			for (int i = 0; i < lengthof(tables); i++)
				lock_unqueued(schema_oid, tables[i], lock_timeout_ms);
		QueryBegin(&session, SchemaOwner(schema_oid));
		/* What the tables refer to is locked as well, in the queue. */
		if (lock_timeout_ms > 0)
			(void) set_config_option("lock_timeout", psprintf("%d", lock_timeout_ms), PGC_USERSET,
									 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
		GeneratedFunctionsDrop(schema_oid);
		for (int i = 0; i < lengthof(tables); i++)
			if (OidIsValid(get_relname_relid(tables[i], schema_oid)))
				QueryRunf("DROP TABLE %s", quote_qualified_identifier(schema, tables[i]));
		/* Whoever had it dropped by hand meanwhile has done what is wanted. */
		QueryRunf("DROP SCHEMA IF EXISTS %s", quote_identifier(schema));
		QueryEnd(&session);
	}

	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	QueryArgInt4(&args, version->number);
	(void) QueryRun("DELETE FROM venice.version_table WHERE store_name = $1::name AND version = $2",
					&args);
	(void) QueryRun("DELETE FROM venice.left_version WHERE store_name = $1::name AND version = $2",
					&args);
	(void) QueryRun("DELETE FROM venice.lagging_view WHERE store_name = $1::name AND version = $2",
					&args);
	(void) QueryRun("DELETE FROM venice.expiry_look WHERE store_name = $1::name AND version = $2",
					&args);
	(void) QueryRun("DELETE FROM venice.unlogged_version WHERE store_name = $1::name AND version = $2",
					&args);
	(void) QueryRun("DELETE FROM venice.unlogged_partition_state "
					"WHERE store_name = $1::name AND version = $2", &args);
	QueryEnd(&session);
}

/* May a snapshot of this database, or of a standby, still see the time before that transaction? */
static bool
snapshot_reaches(FullTransactionId xid)
{
	Relation	pointer;
	TransactionId oldest;
	FullTransactionId next = ReadNextFullTransactionId();

	pointer = table_open(get_relname_relid("version_pointer", get_namespace_oid("venice", false)),
						 AccessShareLock);
	oldest = GetOldestNonRemovableTransactionId(pointer);
	table_close(pointer, AccessShareLock);

	/* So far behind that the 32-bit comparison would be wrong, and surely over. */
	if (U64FromFullTransactionId(next) - U64FromFullTransactionId(xid) > MaxTransactionId / 2)
		return false;
	return !TransactionIdPrecedes(XidFromFullTransactionId(xid), oldest);
}

/* Virtual ids of the other transactions that run in this database and look names up. */
#define RUNNING_TRANSACTIONS \
	"SELECT l.virtualxid FROM pg_catalog.pg_locks l " \
	"JOIN pg_catalog.pg_stat_get_activity(NULL) a ON a.pid = l.pid " \
	"JOIN pg_catalog.pg_database d ON d.oid = a.datid " \
	"WHERE l.locktype = 'virtualxid' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid() " \
	"AND d.datname = pg_catalog.current_database() " \
	"AND l.pid NOT IN (SELECT v.pid FROM pg_catalog.pg_stat_progress_vacuum v)"

bool
VersionIsBeingLeft(const Version *version)
{
	QuerySession session;
	QueryArgs	args = {0};
	bool		result;

	QueryBeginRegistry(&session);
	QueryArgText(&args, version->store);
	QueryArgInt4(&args, version->number);
	result = QueryRunLatest("UPDATE venice.left_version AS l SET transactions = ARRAY("
							"SELECT r.virtualxid FROM (" RUNNING_TRANSACTIONS ") r "
							"WHERE l.transactions IS NULL OR r.virtualxid = ANY (l.transactions)) "
							"WHERE store_name = $1::name AND version = $2 "
							"RETURNING transactions <> '{}'", &args) == 1 && QueryBool(0, 1);
	QueryEnd(&session);
	return result;
}

/* By which swap a version was left; false for one that never was current, or was long ago. */
static bool
find_left(const Version *version, FullTransactionId *xid, bool *by_all)
{
	QuerySession session;
	QueryArgs	args = {0};
	bool		found;
	bool		is_null;

	QueryBeginRegistry(&session);
	QueryArgText(&args, version->store);
	QueryArgInt4(&args, version->number);
	found = QueryRun("SELECT left_xid, transactions IS NOT DISTINCT FROM '{}' "
					 "FROM venice.left_version WHERE store_name = $1::name AND version = $2",
					 &args) == 1;
	if (found)
	{
		*xid = DatumGetFullTransactionId(QueryDatum(0, 1, &is_null));
		*by_all = QueryBool(0, 2);
	}
	QueryEnd(&session);
	return found;
}

bool
VersionIsSeen(const Version *version)
{
	FullTransactionId xid;
	bool		by_all;

	return find_left(version, &xid, &by_all) && snapshot_reaches(xid);
}

static bool
is_reachable(const Version *version)
{
	FullTransactionId xid;
	bool		by_all;

	return find_left(version, &xid, &by_all) && (!by_all || snapshot_reaches(xid));
}

/* Newest first: by when they became current, and by number where none did. */
static int
compare_recency(const ListCell *a, const ListCell *b)
{
	const Version *left = lfirst(a);
	const Version *right = lfirst(b);

	if (left->swapped_time != right->swapped_time)
		return left->swapped_time < right->swapped_time ? 1 : -1;
	return right->number - left->number;
}

List *
VersionsToRetire(const Store *store)
{
	List	   *backups = NIL;
	List	   *result = NIL;
	Version    *current = NULL;
	VersionPointer pointer;
	int			kept = 1;		/* the current version */
	bool		expired = false;
	ListCell   *cell;

	if (!VersionPointerRead(store->name, GetLatestSnapshot(), &pointer))
		return NIL;
	foreach(cell, VersionList(store->name))
	{
		Version    *version = lfirst(cell);

		if (version->number == pointer.version)
			current = version;
		else if (version->state == VERSION_BACKUP || version->state == VERSION_ROLLED_BACK ||
				 version->state == VERSION_LOST)
			backups = lappend(backups, version);
	}
	if (current == NULL)
		return NIL;
	if (current->swapped_time != 0)
	{
		Interval   *retention = &store->options->backup_retention;
		Datum		until = DirectFunctionCall2(timestamptz_pl_interval,
												TimestampTzGetDatum(current->swapped_time),
												IntervalPGetDatum(retention));

		expired = DatumGetTimestampTz(until) <= GetCurrentTimestamp();
	}

	list_sort(backups, compare_recency);
	foreach(cell, backups)
	{
		Version    *version = lfirst(cell);

		/* A lost version is nothing to go back to, but a push of which people want to know. */
		bool		lost = version->state == VERSION_LOST;

		/* Version 0 is empty and only there so that readers never meet a missing relation. */
		bool		keep = lost ? version->number > current->number :
			version->number > 0 && !expired && kept < store->options->versions_to_keep;

		if (keep && !lost)
			kept++;
		else if (keep)
			continue;
		else if (!is_reachable(version) && DependentsThatBlock(VersionRecords(version)) == NULL)
			result = lappend(result, version);
	}
	return result;
}
