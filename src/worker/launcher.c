/*-------------------------------------------------------------------------
 *
 * launcher.c
 *		One process per cluster, which starts a supervisor in every database
 *		that has the extension.
 *
 * Whether a database has it can only be learned by connecting to it.  So a
 * database that is not known is probed, one at a time lest the probes eat
 * every worker slot: a probe is a supervisor that leaves when it finds no
 * extension.  CREATE EXTENSION makes its database unknown again when it
 * commits.  A supervisor that fails is started again here, later each time;
 * the postmaster restarts only the launcher.
 *
 *	CREATE EXTENSION, commit		the entry becomes unknown, a probe stays
 *	CREATE EXTENSION, abort			nothing was said
 *	... while a probe runs			its generation is old: it is probed again
 *	DROP EXTENSION					the supervisor leaves by itself
 *	DROP DATABASE, commit			the entry goes at the next scan
 *	DROP DATABASE, abort			see database_guard.c
 *	CREATE DATABASE with a template	the next scan finds it, within a minute
 *	crash, restart					all is unknown and found out again
 *	pg_upgrade						the launcher is not even registered
 *
 * Locks: Shared->lock, briefly.  Connected to no database, it reads shared
 * catalogs only.
 * Must not know: stores.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/launcher.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "common/compat.h"
#include "common/retry.h"
#include "common/shmem.h"

#define SCAN_INTERVAL_MS	(60 * 1000)
#define WARNING_INTERVAL_MS (60 * 1000)

/* How soon a supervisor is tried again for which there was no slot. */
#define NO_SLOT_INTERVAL_MS	(5 * 1000)

PGDLLEXPORT void venice_launcher_main(Datum argument);

/* Handles of the supervisors, by index of Shared->databases. */
static BackgroundWorkerHandle *handles[SHARED_DATABASES];

bool
WorkerStart(const char *library, const char *function, const char *role, Oid database,
			int argument, struct BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, library, BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, function, BGW_MAXLEN);
	snprintf(worker.bgw_type, BGW_MAXLEN, "venice %s", role);
	snprintf(worker.bgw_name, BGW_MAXLEN, "venice %s for database %u", role, database);
	worker.bgw_main_arg = Int32GetDatum(argument);
	memcpy(worker.bgw_extra, &database, sizeof(database));
	worker.bgw_notify_pid = MyProcPid;
	return RegisterDynamicBackgroundWorker(&worker, handle);
}

void
WorkerWarnNoSlot(const char *role)
{
	static TimestampTz last_warning = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (last_warning != 0 && !TimestampDifferenceExceeds(last_warning, now, WARNING_INTERVAL_MS))
		return;
	last_warning = now;
	ereport(WARNING,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("could not start a venice %s: out of background worker slots", role),
			 errhint("You might need to increase \"max_worker_processes\".")));
}

void
LauncherRegister(void)
{
	BackgroundWorker worker = {0};

	/* In a cluster that is being upgraded nothing may move: it was copied already. */
	if (IsBinaryUpgrade)
		return;

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 5;
	strlcpy(worker.bgw_library_name, "venice", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "venice_launcher_main", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "venice launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_name, "venice launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

/* Bring the entries in line with pg_database. */
static void
scan_databases(void)
{
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;
	bool		full = false;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);

	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < SHARED_DATABASES; i++)
		Shared->databases[i].seen = false;
	LWLockRelease(Shared->lock);

	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		SharedDatabase *entry;

		if (!database->datallowconn || database->datistemplate)
			continue;
		LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
		entry = SharedDatabaseFind(database->oid, true);
		if (entry != NULL)
			entry->seen = true;
		else
			full = true;
		LWLockRelease(Shared->lock);
	}

	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();

	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < SHARED_DATABASES; i++)
	{
		SharedDatabase *entry = &Shared->databases[i];

		/* A database that was made a template keeps nothing running either. */
		if (entry->in_use && !entry->seen && entry->pid == 0 && handles[i] == NULL)
			entry->in_use = false;
	}
	LWLockRelease(Shared->lock);

	if (full)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many databases for venice"),
				 errdetail("At most %d databases of a cluster are looked after.",
						   SHARED_DATABASES)));
}

/* Take note of supervisors that have gone; true when a probe is running. */
static bool
reap_supervisors(void)
{
	bool		probing = false;

	for (int i = 0; i < SHARED_DATABASES; i++)
	{
		SharedDatabase *entry = &Shared->databases[i];
		pid_t		pid;

		if (handles[i] == NULL)
			continue;
		if (GetBackgroundWorkerPid(handles[i], &pid) == BGWH_STOPPED)
		{
			pfree(handles[i]);
			handles[i] = NULL;
			LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
			entry->pid = 0;
			entry->latch = NULL;
			/* One that leaves in order says that there is no extension. */
			if (entry->state != DATABASE_ABSENT)
			{
				entry->next_start_time =
					TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												RetryDelayMs(++entry->failures));
				if (entry->failures > 60)
					entry->failures = 60;
			}
			LWLockRelease(Shared->lock);
		}
		else if (entry->state == DATABASE_UNKNOWN)
			probing = true;
	}
	return probing;
}

/* Start what is due; the number of milliseconds until the next is. */
static long
start_supervisors(bool probing)
{
	TimestampTz now = GetCurrentTimestamp();
	long		timeout_ms = SCAN_INTERVAL_MS;

	for (int i = 0; i < SHARED_DATABASES; i++)
	{
		SharedDatabase *entry = &Shared->databases[i];
		bool		due;
		Oid			database;
		bool		probe;

		LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
		probe = entry->state == DATABASE_UNKNOWN;
		database = entry->database;
		due = entry->in_use && entry->seen && handles[i] == NULL &&
			entry->state != DATABASE_ABSENT && !(probe && probing) && entry->held_by == 0;
		if (due && entry->next_start_time > now)
		{
			timeout_ms = Min(timeout_ms,
							 TimestampDifferenceMilliseconds(now, entry->next_start_time));
			due = false;
		}
		LWLockRelease(Shared->lock);

		if (!due)
			continue;
		if (!WorkerStart("venice", "venice_supervisor_main", "supervisor", database, i,
						 &handles[i]))
		{
			handles[i] = NULL;
			WorkerWarnNoSlot("supervisor");
			return NO_SLOT_INTERVAL_MS;
		}
		probing |= probe;
	}
	return timeout_ms;
}

static void
detach(int code, Datum argument)
{
	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	Shared->launcher_latch = NULL;
	LWLockRelease(Shared->lock);
}

void
venice_launcher_main(Datum argument)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	before_shmem_exit(detach, (Datum) 0);
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	/* Supervisors of an earlier launcher live on, and are not ours to reap: end them. */
	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	Shared->launcher_latch = MyLatch;
	for (int i = 0; i < SHARED_DATABASES; i++)
		if (Shared->databases[i].in_use && Shared->databases[i].pid != 0)
			(void) kill(Shared->databases[i].pid, SIGTERM);
	LWLockRelease(Shared->lock);

	for (;;)
	{
		bool		probing;
		long		timeout_ms;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		MemoryContextSwitchTo(TopMemoryContext);

		/* A wake-up may be about a database that is new. */
		scan_databases();
		MemoryContextSwitchTo(TopMemoryContext);
		probing = reap_supervisors();
		timeout_ms = start_supervisors(probing);

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout_ms,
						 WaitEventNamed("VeniceLauncherMain"));
		ResetLatch(MyLatch);
	}
}
