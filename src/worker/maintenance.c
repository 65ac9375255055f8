/*-------------------------------------------------------------------------
 *
 * maintenance.c
 *		What has to be done to versions after somebody has said so and left.
 *
 * A round makes a list of what there is to do and does each task in a
 * transaction of its own, so that one that fails stops no other.  Every task
 * takes the store's lock and looks again before it acts: what the list said
 * may have changed.  A worker does rounds until one finds nothing it can do;
 * CALL venice.run_maintenance() does the same by hand, and needs no preload.
 *
 * Mixed plans: a statement that names two relations of a store can look one up
 * before a swap and the other after it, and a cached plan keeps the mixture.
 * So, after a swap and until nothing runs that began before it, the store's
 * schema is invalidated, which has every plan made again.
 *
 * Locks: StoreLock, exclusively, for each task.
 * Must not know: how a version is built, swapped or dropped.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/maintenance.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/lockdefs.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "apply/expire.h"
#include "apply/log.h"
#include "catalog/node.h"
#include "catalog/pointer.h"
#include "catalog/store.h"
#include "common/compat.h"
#include "common/guc.h"
#include "common/pin_settings.h"
#include "common/query.h"
#include "common/retry.h"
#include "common/shmem.h"
#include "common/subtransaction.h"
#include "common/table_lock.h"
#include "common/user_context.h"
#include "offline/history_care.h"
#include "read/warm.h"
#include "registry/served.h"
#include "store/arguments.h"
#include "store/push.h"
#include "version/build.h"
#include "version/functions.h"
#include "version/gate.h"
#include "version/layout.h"
#include "version/retire.h"
#include "version/state.h"
#include "version/streams.h"
#include "version/swap.h"
#include "version/views.h"
#include "worker/ledger.h"
#include "worker/units.h"

PGDLLEXPORT void venice_maintenance_main(Datum argument);
PG_FUNCTION_INFO_V1(venice_run_maintenance);

/* Longest time between two looks at what only waits for others. */
#define MAX_WAIT_MS		(10 * 1000)

typedef struct Task
{
	char	   *kind;			/* as in task_kinds */
	char	   *store;
	int			version;
} Task;

/* What a task came to. */
typedef enum Outcome
{
	TASK_NOTHING,				/* somebody else did it, or it is off */
	TASK_DONE,
	TASK_LATER					/* to be tried again */
} Outcome;

typedef Outcome (*TaskAction) (Task *task, Store *store, Version *version);

typedef struct TaskKind
{
	const char *name;
	TaskAction	action;
	const char *next;			/* kind of what is then to be done for the version, if anything */
} TaskKind;

static void
report_phase(const Version *version, BuildPhase phase, void *argument)
{
	ProgressReport(version->store, version->number, phase);
}

/* All partitions have arrived at their ends: nothing is ingested any more. */
static Outcome
finish_load(Task *task, Store *store, Version *version)
{
	if (version->state != VERSION_STARTED || !version->end_requested)
		return TASK_NOTHING;
	/* Workers count what they reject one by one; only here is the sum exact. */
	if (!RejectedRecordsCheck(store->name, version->number))
		VersionSetState(version, VERSION_BUILDING);
	return TASK_DONE;
}

static Outcome
build(Task *task, Store *store, Version *version)
{
	if (version->state != VERSION_BUILDING)
		return TASK_NOTHING;
	StoreCheckSchema(store);
	VersionBuild(store, version, report_phase, NULL);
	SupervisorWakeAtCommit();
	return TASK_DONE;
}

static Outcome
swap(Task *task, Store *store, Version *version)
{
	if (!(version->state == VERSION_READY && version->swap) &&
		version->state != VERSION_WAITING_FOR_DUMP)
		return TASK_NOTHING;
	if (version->options->real_time_topics != NIL && !UnitsWriteToAll(store->name))
		return TASK_LATER;
	/* Who reads the topics tells when it has. */
	if (!VersionHasCaughtUp(version))
		return TASK_NOTHING;
	ProgressReport(store->name, version->number, PROGRESS_WARMING);
	(void) VersionWarm(store, version);
	ProgressReport(store->name, version->number, PROGRESS_SWAPPING);
	/* One that meets a dump comes back when that is over, by add_awaited_swaps. */
	return VersionSwap(store, version, SWAP_PUSH) ? TASK_DONE : TASK_NOTHING;
}

static Outcome
clean_up(Task *task, Store *store, Version *version)
{
	if (!VersionStateIsGone(version->state))
		return TASK_NOTHING;
	/* A schema of its name is somebody else's. */
	if (!OidIsValid(VersionSchema(store, version)))
		return TASK_LATER;
	VersionDropSchema(store, version, Settings.drop_lock_timeout_ms);
	return TASK_DONE;
}

static Outcome
retire(Task *task, Store *store, Version *version)
{
	ListCell   *cell;

	foreach(cell, VersionsToRetire(store))
	{
		if (((Version *) lfirst(cell))->number != version->number)
			continue;
		VersionDropSchema(store, version, Settings.drop_lock_timeout_ms);
		VersionDeleteRow(version);
		return TASK_DONE;
	}
	return TASK_NOTHING;
}

/* Views that were in use when the store was swapped away from this version. */
static Outcome
follow(Task *task, Store *store, Version *version)
{
	return ViewsFollow(store, version, Settings.drop_lock_timeout_ms) ? TASK_DONE : TASK_LATER;
}

/* Begin the load of a version again, with the options that its push began with. */
static void
load_again(Store *store, Version *version)
{
	VersionDropSchema(store, version, Settings.drop_lock_timeout_ms);
	VersionSetState(version, VERSION_STARTED);
	VersionSetDetail(version, "It is loaded again from the beginning: a crash has emptied it.");
	store->options = version->options;
	(void) VersionCreate(store, version->number, VERSION_STARTED, version->origin);
	VersionDescribe(store, version);
}

/*
 * An unlogged version of which a crash has left nothing.  What came from a topic
 * is loaded again: a version that is being pushed in its place, and for the
 * current one, which readers and privileges are attached to, a new push.
 */
static Outcome
mark_lost(Task *task, Store *store, Version *version)
{
	bool		was_current = version->state == VERSION_CURRENT;

	if (VersionStateIsGone(version->state) || version->state == VERSION_LOST)
		return TASK_NOTHING;
	if (VersionStateIsFuture(version->state) && version->topic != NULL)
	{
		load_again(store, version);
		SupervisorWakeAtCommit();
		return TASK_DONE;
	}
	VersionSetState(version, VERSION_LOST);
	if (was_current && version->topic != NULL && WorkersPreloaded() && NodeIsKnown() &&
		VersionFuture(store->name) == NULL)
		PushAgain(store, version);
	return TASK_DONE;
}

/* A version whose table somebody has dropped by hand. */
static Outcome
forget_dropped(Task *task, Store *store, Version *version)
{
	if (OidIsValid(VersionRecords(version)))
		return TASK_NOTHING;
	if (VersionStateIsFuture(version->state))
		VersionFail(version, ERRCODE_UNDEFINED_TABLE, "the version's table was dropped", NULL);
	else if (version->state == VERSION_BACKUP || version->state == VERSION_ROLLED_BACK)
	{
		VersionDropSchema(store, version, Settings.drop_lock_timeout_ms);
		VersionDeleteRow(version);
	}
	else
		return TASK_NOTHING;
	return TASK_DONE;
}

/*
 * A restored registry has no pointers: they are not dumped.  Neither is which table
 * is whose, nor the marks of unlogged versions, whose rows may be; how far one that
 * was being loaded had come is not, so that it counts as lost.
 */
static Outcome
restore_pointer(Task *task, Store *store, Version *version)
{
	Oid			records = VersionRecords(version);
	QuerySession session;
	QueryArgs	args = {0};
	ListCell   *cell;

	if (version->state != VERSION_CURRENT || !OidIsValid(records))
		return TASK_NOTHING;
	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	(void) QueryRun("INSERT INTO venice.unlogged_version SELECT v.store_name, v.version "
					"FROM venice.store_version v WHERE v.store_name = $1::name "
					"AND (v.options ->> 'unlogged')::pg_catalog.bool "
					"AND NOT (v.state = 'started' AND v.topic IS NOT NULL) "
					"AND (COALESCE(v.rows, 0) = 0 "
					"OR pg_catalog.pg_relation_size(" RECORDS_OF_V ") > 0) "
					"ON CONFLICT DO NOTHING", &args);
	QueryEnd(&session);
	foreach(cell, VersionList(store->name))
	{
		Version    *other = lfirst(cell);
		Oid			schema = VersionSchema(store, other);
		Oid			table = OidIsValid(schema) ? get_relname_relid("records", schema) : InvalidOid;

		if (OidIsValid(table))
			VersionTableWrite(store->name, other->number, table);
	}
	VersionPointerWrite(store->name, version->number, records);
	return TASK_DONE;
}

/* Once more after the last transaction has ended that may have made a mixed plan. */
static Outcome
replan(Task *task, Store *store, Version *version)
{
	bool		again = VersionIsBeingLeft(version);
	Relation	relation = table_open(NamespaceRelationId, AccessShareLock);
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(store->schema_oid));

	/* The next swap shall not wait for the disk: after a crash it is done once more. */
	(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	if (HeapTupleIsValid(tuple))
	{
		CacheInvalidateHeapTuple(relation, tuple, NULL);
		ReleaseSysCache(tuple);

		/*
		 * With the schema, or a backend might find its new OID, if a swap commits
		 * just now, and look into it by a list of functions from before.
		 */
		GeneratedFunctionsInvalidate(store->schema_oid);
	}
	table_close(relation, AccessShareLock);
	return again ? TASK_LATER : TASK_DONE;
}

static const TaskKind task_kinds[] = {
	{"end", finish_load, "build"},
	{"build", build, "swap"},
	{"swap", swap},
	{"clean up", clean_up},
	{"views", follow},
	{"retire", retire},
	{"lost", mark_lost},
	{"dropped", forget_dropped},
	{"pointer", restore_pointer},
	{"replan", replan},
};

/*
 * What the registry says is to be done, but for retirement and swaps that wait for
 * a dump, for stores that have a schema.
 */
#define TASKS_QUERY \
	"SELECT kind, store_name, version FROM (" ALL_TASKS_QUERY ") t " \
	"WHERE EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = t.store_name)"

#define ALL_TASKS_QUERY \
	"SELECT 'end' AS kind, v.store_name, v.version FROM venice.store_version v " \
	"WHERE v.state = 'started' AND v.end_requested AND v.topic IS NOT NULL AND (" \
	"SELECT COALESCE(pg_catalog.bool_and(p.done), false) FROM (" \
	"SELECT a.done FROM venice.partition_state a " \
	"WHERE a.store_name = v.store_name AND a.version = v.version AND a.region < 0 " \
	"UNION ALL SELECT b.done FROM venice.unlogged_partition_state b " \
	"WHERE b.store_name = v.store_name AND b.version = v.version AND b.region < 0) p) " \
	"UNION ALL SELECT 'build', store_name, version FROM venice.store_version " \
	"WHERE state = 'building' " \
	"UNION ALL SELECT 'swap', v.store_name, v.version FROM venice.store_version v " \
	"WHERE v.state = 'ready' AND v.swap AND " V_HAS_CAUGHT_UP " " \
	"UNION ALL SELECT 'clean up', v.store_name, v.version FROM venice.store_version v " \
	"JOIN pg_catalog.pg_namespace n " \
	"ON n.nspname = (v.store_name || '_v' || v.version)::pg_catalog.name " \
	"JOIN pg_catalog.pg_namespace s ON s.nspname = v.store_name AND s.nspowner = n.nspowner " \
	"JOIN venice.version_table t ON t.store_name = v.store_name AND t.version = v.version " \
	"WHERE v.state IN ('failed', 'aborted') AND NOT EXISTS (" \
	"SELECT FROM pg_catalog.pg_class c, venice_internal.dependents(c.oid) d " \
	"WHERE c.relnamespace = n.oid AND c.relname = 'records' AND d.blocks) " \
	"UNION ALL SELECT DISTINCT 'views', store_name, version FROM venice.lagging_view " \
	"WHERE error IS NULL " \
	"UNION ALL SELECT 'lost', v.store_name, v.version FROM venice.store_version v " \
	"WHERE v.version > 0 AND (v.options ->> 'unlogged')::pg_catalog.bool " \
	"AND v.state NOT IN ('failed', 'aborted', 'lost') AND NOT EXISTS (" \
	"SELECT FROM venice.unlogged_version u " \
	"WHERE u.store_name = v.store_name AND u.version = v.version) " \
	"AND EXISTS (SELECT FROM venice.version_pointer p WHERE p.store_name = v.store_name) " \
	"UNION ALL SELECT 'dropped', v.store_name, v.version FROM venice.store_version v " \
	"WHERE v.state IN ('started', 'building', 'ready', 'waiting_for_dump', 'backup', " \
	"'rolled_back') AND " V_HAS_ITS_TABLE " IS NOT TRUE " \
	"UNION ALL SELECT 'pointer', v.store_name, v.version FROM venice.store_version v " \
	"WHERE v.state = 'current' AND NOT EXISTS (" \
	"SELECT FROM venice.version_pointer p WHERE p.store_name = v.store_name) " \
	"UNION ALL SELECT 'replan', store_name, version FROM venice.left_version " \
	"WHERE transactions IS DISTINCT FROM '{}'"

/* What is past its time; the same conditions as in delete_expired. */
#define EXPIRED_QUERY \
	"SELECT FROM venice.rejected_record " \
	"WHERE rejected_time < pg_catalog.now() - pg_catalog.make_interval(secs => $1) " \
	"UNION ALL SELECT FROM venice.push " \
	"WHERE ended_time < pg_catalog.now() - pg_catalog.make_interval(secs => $2) " \
	"UNION ALL SELECT FROM venice.audit_entry " \
	"WHERE changed_time < pg_catalog.now() - pg_catalog.make_interval(secs => $3) LIMIT 1"

static void
arg_seconds(QueryArgs *args, int seconds)
{
	QueryArgDatum(args, FLOAT8OID, Float8GetDatum(seconds), false);
}

/* Stores that have versions which are no longer current. */
static List *
stores_with_backups(void)
{
	static SPIPlanPtr plan = NULL;
	QuerySession session;
	List	   *stores;
	uint64		rows;

	QueryBeginRegistry(&session);
	rows = QueryRunKept(&plan, "SELECT DISTINCT store_name::text FROM venice.store_version "
						"WHERE state IN ('backup', 'rolled_back', 'lost')", NULL);
	stores = QueryTextColumn(rows, 1, session.result_context);
	QueryEnd(&session);
	return stores;
}

static Task *
make_task(const char *kind, const char *store, int version)
{
	Task	   *task = palloc0(sizeof(Task));

	task->kind = pstrdup(kind);
	task->store = pstrdup(store);
	task->version = version;
	return task;
}

/* Swaps that have waited for a dump which is over. */
static List *
add_awaited_swaps(List *tasks, bool *awaited)
{
	static SPIPlanPtr plan = NULL;
	QuerySession session;
	uint64		rows;

	QueryBeginRegistry(&session);
	rows = QueryRunKept(&plan, "SELECT w.store_name, w.version, n.oid, v.version "
						"FROM venice.store_version w "
						"JOIN venice.store_version v ON v.store_name = w.store_name AND v.state = 'current' "
						"JOIN pg_catalog.pg_namespace n ON n.nspname = v.store_name "
						"WHERE w.state = 'waiting_for_dump'", NULL);
	for (uint64 i = 0; i < rows; i++)
	{
		bool		is_null;
		Oid			gate = GateLookup(DatumGetObjectId(QueryDatum(i, 3, &is_null)),
									  QueryInt4(i, 4, -1));
		MemoryContext old = MemoryContextSwitchTo(session.result_context);

		if (OidIsValid(gate) && TableIsUnlocked(gate))
			tasks = lappend(tasks, make_task("swap", QueryText(i, 1, CurrentMemoryContext),
											 QueryInt4(i, 2, 0)));
		MemoryContextSwitchTo(old);
	}
	QueryEnd(&session);
	*awaited = rows > 0;
	return tasks;
}

/* Everything there is to do, in CurrentMemoryContext. */
static List *
list_tasks(void)
{
	static SPIPlanPtr plan = NULL;
	QuerySession session;
	List	   *tasks = NIL;
	ListCell   *cell;
	uint64		rows;
	bool		awaited;

	QueryBeginRegistry(&session);
	rows = QueryRunKept(&plan, TASKS_QUERY, NULL);
	for (uint64 i = 0; i < rows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(session.result_context);

		tasks = lappend(tasks, make_task(QueryText(i, 1, CurrentMemoryContext),
										 QueryText(i, 2, CurrentMemoryContext),
										 QueryInt4(i, 3, 0)));
		MemoryContextSwitchTo(old);
	}
	QueryEnd(&session);
	tasks = add_awaited_swaps(tasks, &awaited);

	foreach(cell, stores_with_backups())
	{
		Store	   *store = StoreLookup(lfirst(cell), true);
		ListCell   *version;

		if (store != NULL && OidIsValid(store->schema_oid))
			foreach(version, VersionsToRetire(store))
				tasks = lappend(tasks, make_task("retire", store->name,
												 ((Version *) lfirst(version))->number));
	}
	return tasks;
}

static bool
something_expired(void)
{
	static SPIPlanPtr plan = NULL;
	QuerySession session;
	QueryArgs	args = {0};
	bool		found;

	QueryBeginRegistry(&session);
	arg_seconds(&args, Settings.rejected_record_retention_s);
	arg_seconds(&args, Settings.run_retention_s);
	arg_seconds(&args, Settings.audit_retention_s);
	found = QueryRunKept(&plan, EXPIRED_QUERY, &args) > 0;
	QueryEnd(&session);
	return found;
}

bool
DumpIsOver(bool *awaited)
{
	return add_awaited_swaps(NIL, awaited) != NIL;
}

bool
MaintenanceIsNeeded(void)
{
	return list_tasks() != NIL || something_expired() || ServedLogHasWork() ||
		HistoryCareIsNeeded() || OldWritesAreThere() || ExpiryIsDue();
}

static void
delete_expired(void)
{
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	arg_seconds(&args, Settings.rejected_record_retention_s);
	(void) QueryRun("DELETE FROM venice.rejected_record "
					"WHERE rejected_time < pg_catalog.now() - pg_catalog.make_interval(secs => $1)",
					&args);
	args.count = 0;
	arg_seconds(&args, Settings.run_retention_s);
	(void) QueryRun("DELETE FROM venice.push "
					"WHERE ended_time < pg_catalog.now() - pg_catalog.make_interval(secs => $1)",
					&args);
	args.count = 0;
	arg_seconds(&args, Settings.audit_retention_s);
	(void) QueryRun("DELETE FROM venice.audit_entry "
					"WHERE changed_time < pg_catalog.now() - pg_catalog.make_interval(secs => $1)",
					&args);
	QueryEnd(&session);
}

static const TaskKind *
find_kind(const char *kind)
{
	for (int i = 0; i < lengthof(task_kinds); i++)
		if (strcmp(task_kinds[i].name, kind) == 0)
			return &task_kinds[i];
	elog(ERROR, "unexpected kind of maintenance \"%s\"", kind);
}

/* Run one task; the caller has a (sub)transaction and a snapshot for it. */
static Outcome
run_task(Task *task)
{
	Store	   *store;
	Version    *version;

	StoreLock(task->store, ExclusiveLock);
	store = StoreLookup(task->store, true);
	version = store ? VersionLookup(task->store, task->version, true) : NULL;
	if (version == NULL || !OidIsValid(store->schema_oid))
		return TASK_NOTHING;
	return find_kind(task->kind)->action(task, store, version);
}

static void
task_context(void *argument)
{
	Task	   *task = argument;

	errcontext("maintenance (%s) of store \"%s\", version %d", task->kind, task->store,
			   task->version);
}

/*
 * Run something in a subtransaction of its own.  On an error return it, reported
 * to nobody, as if nothing had been done.
 */
static ErrorData *
try_task(Task *task, Outcome *outcome)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorContextCallback callback;
	ErrorData  *error = NULL;

	callback.callback = task_context;
	callback.arg = task;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		*outcome = run_task(task);
		PopActiveSnapshot();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	error_context_stack = callback.previous;

	/* A request to stop is not the task's affair. */
	if (error != NULL && (error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
						  error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN))
		ReThrowError(error);
	return error;
}

/* An error of a build that will not pass by itself fails the push. */
static bool
fail_push(const Task *task, const ErrorData *error)
{
	Version    *version;

	if (strcmp(task->kind, "build") != 0 || ErrorIsTransient(error->sqlerrcode))
		return false;
	StoreLock(task->store, ExclusiveLock);
	version = VersionLookup(task->store, task->version, true);
	if (version != NULL && version->state == VERSION_BUILDING)
		VersionFail(version, error->sqlerrcode, error->message, error->detail);
	return true;
}

typedef struct FailedTask
{
	const Task *task;
	const ErrorData *error;
} FailedTask;

/* Tell in venice.versions why a push does not get on. */
static void
note_failure(void *argument)
{
	const FailedTask *failed = argument;
	const Task *task = failed->task;
	const ErrorData *error = failed->error;
	Version    *version;

	StoreLock(task->store, ExclusiveLock);
	version = VersionLookup(task->store, task->version, true);
	if (version == NULL || !VersionStateIsFuture(version->state))
		return;
	/* The dump is over: otherwise the swap would have waited on, without an error. */
	if (version->state == VERSION_WAITING_FOR_DUMP)
		VersionSetState(version, VERSION_READY);
	VersionSetDetail(version, psprintf("The %s has failed and is tried again: %s.%s%s", task->kind,
									   error->message, error->detail ? " " : "",
									   error->detail ? error->detail : ""));
}

/* That a lock was not to be had in time is nothing to be warned of, nor what a push is told. */
static void
report_error(const ErrorData *error, bool is_told)
{
	ereport(is_told || error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ? LOG : WARNING,
			(errcode(error->sqlerrcode), errmsg_internal("%s", error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 error->context ? errcontext("%s", error->context) : 0));
}

/* After everything else: who has the log's table locked shall not be in its way. */
static bool
write_served_log(void)
{
	ErrorData  *error = NULL;

	PushActiveSnapshot(GetTransactionSnapshot());
	if (ServedLogHasWork())
		error = SubtransactionTry(ServedLogWrite, NULL, SUBTRANSACTION_ANY_ERROR);
	PopActiveSnapshot();
	if (error != NULL)
		report_error(error, false);
	return error == NULL;
}

/* What is done for stores again and again. */
typedef struct Care
{
	const char *what;
	List	   *(*stores_in_need) (void);
	bool		(*act) (const char *store);
} Care;

static const Care cares[] = {
	{"history", HistoriesInNeed, HistoryCare},
	{"old writes", StoresWithOldWrites, OldWritesDelete},
	{"expired rows", StoresWithExpiry, ExpireRows},
};

typedef struct CareTask
{
	const Care *care;
	const char *store;
	bool		done;
} CareTask;

static void
take_care(void *argument)
{
	CareTask   *task = argument;

	PushActiveSnapshot(GetTransactionSnapshot());
	task->done = task->care->act(task->store);
	PopActiveSnapshot();
}

/* Between two tasks: a worker ends a transaction, a procedure ends its caller's. */
typedef void (*NextTransaction) (void);

typedef struct RoundResult
{
	int			done;
	int			waiting;
	int			failed;
} RoundResult;

/* Rewriting what is there takes long: after what somebody may be waiting for. */
static void
care_for_stores(const Care *care, NextTransaction next_transaction, MemoryContext context,
				RoundResult *result)
{
	List	   *stores = NIL;
	ListCell   *cell;

	if (ExtensionHold())
	{
		MemoryContextSwitchTo(context);
		PushActiveSnapshot(GetTransactionSnapshot());
		stores = care->stores_in_need();
		PopActiveSnapshot();
	}
	next_transaction();
	foreach(cell, stores)
	{
		CareTask	task = {care, lfirst(cell)};
		ErrorData  *error;

		CHECK_FOR_INTERRUPTS();
		if (!ExtensionHold())
			break;
		MemoryContextSwitchTo(context);
		pgstat_report_activity(STATE_RUNNING, psprintf("%s: store %s", care->what, task.store));
		error = SubtransactionTry(take_care, &task, SUBTRANSACTION_ANY_ERROR);
		if (error != NULL)
			report_error(error, false);
		result->done += error == NULL && task.done;
		result->failed += error != NULL;
		next_transaction();
	}
}

/* What a version that catches up may have that has expired is looked for at once. */
static bool
look_before_swap(const char *name)
{
	Store	   *store = StoreLookup(name, true);
	bool		needed = store != NULL && store->options->ttl_us > 0 &&
		store->options->real_time_topics != NIL;

	if (needed)
		ExpireSoon(name);
	return needed;
}

/* What was seen no more is not to come back with a swap until somebody looks. */
static void
expire_before_swap(const Task *swap, NextTransaction next_transaction, MemoryContext context,
				   RoundResult *result)
{
	static const Care before = {"expired rows", NULL, look_before_swap};
	static const Care care = {"expired rows", NULL, ExpireRows};
	CareTask	task = {&before, swap->store};
	ErrorData  *error = NULL;

	do
	{
		error = SubtransactionTry(take_care, &task, SUBTRANSACTION_ANY_ERROR);
		if (error != NULL)
			report_error(error, false);
		result->failed += error != NULL;
		if (task.done)
			next_transaction();
		MemoryContextSwitchTo(context);
		task.care = &care;
	} while (error == NULL && task.done && ExtensionHold());
}

/*
 * One round.  A transaction is open before and after, but not the same one.  context is the
 * caller's and outlives it.
 */
static RoundResult
run_round(NextTransaction next_transaction, MemoryContext context)
{
	RoundResult result = {0};
	List	   *tasks;
	ListCell   *cell;

	MemoryContextSwitchTo(context);
	PushActiveSnapshot(GetTransactionSnapshot());
	tasks = list_tasks();
	if (something_expired())
		delete_expired();
	PopActiveSnapshot();
	next_transaction();

	foreach(cell, tasks)
	{
		Task	   *task = lfirst(cell);
		Outcome		outcome = TASK_NOTHING;
		ErrorData  *error;

		CHECK_FOR_INTERRUPTS();
		if (!ExtensionHold())
			break;
		MemoryContextSwitchTo(context);
		pgstat_report_activity(STATE_RUNNING,
							   psprintf("%s: store %s, version %d", task->kind, task->store,
										task->version));
		if (strcmp(task->kind, "swap") == 0)
			expire_before_swap(task, next_transaction, context, &result);
		error = try_task(task, &outcome);
		if (error == NULL)
		{
			const char *next = find_kind(task->kind)->next;

			if (outcome == TASK_DONE && next != NULL)
				tasks = list_insert_nth(tasks, foreach_current_index(cell) + 1,
										make_task(next, task->store, task->version));
			result.done += outcome == TASK_DONE;
			result.waiting += outcome == TASK_LATER;
		}
		else
		{
			bool		failed;

			PushActiveSnapshot(GetTransactionSnapshot());
			failed = fail_push(task, error);
			if (!failed && (strcmp(task->kind, "swap") == 0 || strcmp(task->kind, "build") == 0))
			{
				FailedTask	failure = {task, error};

				/* Where the store is locked by somebody, the next failure is noted. */
				(void) SubtransactionTry(note_failure, &failure, SUBTRANSACTION_ANY_ERROR);
			}
			PopActiveSnapshot();
			result.done += failed;
			result.failed += !failed;

			report_error(error, failed);
		}
		next_transaction();
	}
	if (ExtensionHold() && !write_served_log())
		result.failed++;
	next_transaction();
	for (int i = 0; i < lengthof(cares); i++)
		care_for_stores(&cares[i], next_transaction, context, &result);
	return result;
}

static void
next_worker_transaction(void)
{
	CommitTransactionCommand();
	pgstat_report_stat(true);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
}

/* Let the supervisor wait longer after each round that left something. */
static void
note_result(RoundResult result)
{
	bool		left = result.waiting > 0 || result.failed > 0;
	SharedDatabase *entry;

	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	entry = SharedDatabaseFind(MyDatabaseId, false);
	if (entry != NULL)
	{
		int			delay_ms;
		TimestampTz next;

		entry->maintenance_failures = left ? Min(entry->maintenance_failures + 1, 60) : 0;
		delay_ms = RetryDelayMs(entry->maintenance_failures);
		if (result.failed == 0)
			delay_ms = Min(delay_ms, MAX_WAIT_MS);
		next = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), delay_ms);
		/* There may be a time already, from a swap that came during the round. */
		if (left && (entry->next_maintenance_time == 0 || entry->next_maintenance_time > next))
			entry->next_maintenance_time = next;
	}
	LWLockRelease(Shared->lock);
}

void
venice_maintenance_main(Datum argument)
{
	MemoryContext context;
	Oid			database;
	RoundResult result = {0};

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	memcpy(&database, MyBgworkerEntry->bgw_extra, sizeof(database));
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	PinWorkerSettings();

	/* Who keeps a store locked shall not keep the others waiting. */
	SetConfigOption("lock_timeout", "1s", PGC_SUSET, PGC_S_OVERRIDE);

	context = AllocSetContextCreate(TopMemoryContext, "venice maintenance",
									ALLOCSET_DEFAULT_SIZES);
	do
	{
		CHECK_FOR_INTERRUPTS();
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		if (ExtensionHold())
			result = run_round(next_worker_transaction, context);
		CommitTransactionCommand();
		pgstat_report_stat(true);
		MemoryContextReset(context);
	} while (result.done > 0);

	note_result(result);
	proc_exit(0);
}

/*
 * venice_run_maintenance
 *		CALL run_maintenance(): one round by hand.
 */
Datum
venice_run_maintenance(PG_FUNCTION_ARGS)
{
	CallContext *call = (CallContext *) fcinfo->context;
	MemoryContext context;

	FunctionRequireWritable(fcinfo);
	if (call == NULL || !IsA(call, CallContext) || call->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s cannot run inside a transaction block", "venice.run_maintenance"),
				 errhint("Use autocommit.")));
	if (!object_ownercheck(DatabaseRelationId, MyDatabaseId, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser or owner of the database")));

	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	context = AllocSetContextCreate(PortalContext, "venice maintenance", ALLOCSET_DEFAULT_SIZES);
	ExpireSoon(NULL);
	while (run_round(SPI_commit, context).done > 0)
	{
		MemoryContextReset(context);
		SPI_commit();
	}
	MemoryContextDelete(context);
	SPI_finish();
	PG_RETURN_VOID();
}
