/*-------------------------------------------------------------------------
 *
 * database_guard.c
 *		Gets our processes out of the way of DROP DATABASE and its like, and of
 *		DROP EXTENSION.
 *
 * DROP DATABASE, ALTER DATABASE … RENAME or SET TABLESPACE, and CREATE DATABASE …
 * TEMPLATE need a database that nobody is connected to.  Nobody would think of a
 * supervisor as somebody; so it and its workers are stopped first, and started
 * again when the statement is over, whether it succeeded or not.
 *
 * DROP EXTENSION would take the tables from under workers that write: they let
 * go of everything first, and take it again if the statement fails.  The
 * supervisor and maintenance see to that themselves (ExtensionHold).
 *
 * Locks: Shared->lock, never while waiting.
 * Must not know: what the processes do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/database_guard.h"

#include <signal.h>

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "postmaster/bgworker.h"
#include "storage/latch.h"
#include "tcop/utility.h"
#include "utils/acl.h"

#include "common/compat.h"
#include "common/shmem.h"
#include "common/user_context.h"

#define STOP_TIMEOUT_MS		30000
#define STOP_STEP_MS		10

static ProcessUtility_hook_type previous_hook = NULL;

static void
release_databases(XactEvent event, void *argument)
{
	bool		released = false;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;
	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < SHARED_DATABASES; i++)
		if (Shared->databases[i].held_by == MyProcPid)
		{
			Shared->databases[i].held_by = 0;
			Shared->databases[i].next_start_time = 0;
			released = true;
		}
	if (released && Shared->launcher_latch != NULL)
		SetLatch(Shared->launcher_latch);
	LWLockRelease(Shared->lock);
}

/* Signal our processes there, and keep them from being started; true when there are none. */
static bool
stop_processes(Oid database)
{
	SharedDatabase *entry;
	bool		stopped = true;

	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	entry = SharedDatabaseFind(database, false);
	if (entry != NULL)
		entry->held_by = MyProcPid;
	LWLockRelease(Shared->lock);

	pgstat_clear_backend_activity_snapshot();
	for (int i = 1; i <= pgstat_fetch_stat_numbackends(); i++)
	{
		const PgBackendStatus *status = BackendStatusByIndex(i);
		const char *type;

		if (status->st_databaseid != database || status->st_backendType != B_BG_WORKER)
			continue;
		type = GetBackgroundWorkerTypeByPid(status->st_procpid);
		if (type != NULL && strncmp(type, "venice ", 7) == 0)
		{
			(void) kill(status->st_procpid, SIGTERM);
			stopped = false;
		}
	}
	return stopped;
}

static void
quiesce(const char *name)
{
	static bool registered = false;
	Oid			database = name != NULL ? get_database_oid(name, true) : InvalidOid;

	/* What is missing, or not his to touch, is for the statement itself to complain about. */
	if (!OidIsValid(database) || !object_ownercheck(DatabaseRelationId, database, GetUserId()))
		return;
	if (!registered)
	{
		RegisterXactCallback(release_databases, NULL);
		registered = true;
	}
	for (int waited = 0; !stop_processes(database) && waited < STOP_TIMEOUT_MS;
		 waited += STOP_STEP_MS)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, STOP_STEP_MS,
						 WaitEventNamed("VeniceDatabaseGuard"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Is this DROP EXTENSION for ours, by somebody who may? */
static bool
drops_extension(const DropStmt *statement)
{
	ListCell   *cell;

	if (statement->removeType != OBJECT_EXTENSION ||
		!OidIsValid(get_extension_oid("venice", true)) ||
		!has_privs_of_role(GetUserId(), ExtensionOwner()))
		return false;
	foreach(cell, statement->objects)
		if (strcmp(strVal(lfirst(cell)), "venice") == 0)
			return true;
	return false;
}

/* The template that CREATE DATABASE copies, if it is named. */
static const char *
template_of(const CreatedbStmt *statement)
{
	ListCell   *cell;

	foreach(cell, statement->options)
	{
		DefElem    *option = lfirst(cell);

		if (strcmp(option->defname, "template") == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return NULL;
}

static void
guard_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
			  ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
			  DestReceiver *receiver, QueryCompletion *completion)
{
	Node	   *node = statement->utilityStmt;

	switch (nodeTag(node))
	{
		case T_DropdbStmt:
			quiesce(castNode(DropdbStmt, node)->dbname);
			break;
		case T_CreatedbStmt:
			quiesce(template_of(castNode(CreatedbStmt, node)));
			break;
		case T_RenameStmt:
			if (castNode(RenameStmt, node)->renameType == OBJECT_DATABASE)
				quiesce(castNode(RenameStmt, node)->subname);
			break;
		case T_AlterDatabaseStmt:
			quiesce(castNode(AlterDatabaseStmt, node)->dbname);
			break;
		case T_DropStmt:
			if (drops_extension(castNode(DropStmt, node)))
				IngestionStop(NULL, -1);
			break;
		default:
			break;
	}
	if (previous_hook)
		previous_hook(statement, query, read_only_tree, context, params, environment, receiver,
					  completion);
	else
		standard_ProcessUtility(statement, query, read_only_tree, context, params, environment,
								receiver, completion);
}

void
DatabaseGuardInstall(void)
{
	previous_hook = ProcessUtility_hook;
	ProcessUtility_hook = guard_utility;
}
