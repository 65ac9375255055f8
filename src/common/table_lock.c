/*-------------------------------------------------------------------------
 *
 * table_lock.c
 *		Locking a table against everybody without making anybody wait.
 *
 * Who waits for AccessExclusiveLock has everybody who comes later wait behind
 * him, and has a parallel dump fail, whose processes ask for their locks with
 * NOWAIT.  So nobody waits here: the lock is taken in a moment when it is free.  Only
 * where there is no such moment is it waited for, and not for long.
 *
 * Locks: AccessExclusiveLock.
 * Must not know: what the table is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/table_lock.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "common/compat.h"
#include "common/query.h"
#include "common/subtransaction.h"

#define TRY_EVERY_MS	1

bool
TableLockUnqueued(Oid table, int timeout_ms)
{
	TimestampTz start = GetCurrentTimestamp();

	while (!ConditionalLockRelationOid(table, AccessExclusiveLock))
	{
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(), timeout_ms))
			return false;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, TRY_EVERY_MS,
						 WaitEventNamed("VeniceTableLock"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return true;
}

typedef struct TimedLock
{
	Oid			table;
	int			timeout_ms;
} TimedLock;

static void
lock_within(void *argument)
{
	TimedLock  *lock = argument;
	int			nest_level = NewGUCNestLevel();

	(void) set_config_option("lock_timeout", psprintf("%d", lock->timeout_ms), PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	LockRelationOid(lock->table, AccessExclusiveLock);
	AtEOXact_GUC(true, nest_level);
}

bool
TableLockQueued(Oid table, int timeout_ms)
{
	TimedLock	lock = {table, timeout_ms};

	return SubtransactionTry(lock_within, &lock, ERRCODE_LOCK_NOT_AVAILABLE) == NULL;
}

bool
TableIsUnlocked(Oid table)
{
	LOCKTAG		tag;
	int			count;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, table);
	(void) GetLockConflicts(&tag, AccessExclusiveLock, &count);
	return count == 0;
}

char *
TableLockHolders(Oid table)
{
	QuerySession session;
	QueryArgs	args = {0};
	char	   *holders;

	QueryBeginRegistry(&session);
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(table), false);
	(void) QueryRun("SELECT COALESCE(pg_catalog.string_agg(DISTINCT "
					"COALESCE('process ' || l.pid, 'a prepared transaction'), ', '), "
					"'a process that has just ended') FROM pg_catalog.pg_locks l "
					"WHERE l.locktype = 'relation' AND l.relation = $1 AND l.granted "
					"AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d "
					"WHERE d.datname = pg_catalog.current_database()) "
					"AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()", &args);
	holders = QueryText(0, 1, session.result_context);
	QueryEnd(&session);
	return holders;
}
