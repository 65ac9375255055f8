/*-------------------------------------------------------------------------
 *
 * join_progress.c
 *		How far a running point-in-time join is.
 *
 * The server's own progress reports know the server's own commands only.
 *
 * Locks: Shared->lock, to take and to give back an entry, and to read them; what changes
 * all the time is written without, by the one process that does.
 * Must not know: what is joined.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/join_progress.h"

#include "catalog/pg_authid.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "common/compat.h"
#include "common/shmem.h"

PG_FUNCTION_INFO_V1(venice_join_progress);

static const char *const phase_names[] = {
	[JOIN_PHASE_READING] = "reading",
	[JOIN_PHASE_JOINING] = "joining",
	[JOIN_PHASE_ORDERING] = "ordering"
};

JoinProgress *
JoinProgressBegin(int stage_count)
{
	JoinProgress *taken = NULL;

	if (!WorkersPreloaded())
		return NULL;
	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < SHARED_JOINS && taken == NULL; i++)
		if (Shared->joins[i].pid == 0)
			taken = &Shared->joins[i];
	if (taken != NULL)
	{
		taken->pid = MyProcPid;
		taken->database = MyDatabaseId;
		taken->role = GetUserId();
		taken->started_time = GetCurrentTimestamp();
		taken->phase = JOIN_PHASE_READING;
		taken->stage = 0;
		taken->stage_count = stage_count;
		taken->workers = 0;
		pg_atomic_write_u64(&taken->rows_total, 0);
		pg_atomic_write_u64(&taken->rows_done, 0);
	}
	LWLockRelease(Shared->lock);
	return taken;
}

void
JoinProgressPhase(JoinProgress *progress, JoinPhase phase, int stage, int64 rows_total, int workers)
{
	if (progress == NULL)
		return;
	pg_atomic_write_u64(&progress->rows_done, 0);
	pg_atomic_write_u64(&progress->rows_total, rows_total);
	progress->phase = phase;
	progress->stage = stage;
	progress->workers = workers;
}

void
JoinProgressRows(JoinProgress *progress, int64 rows_done)
{
	if (progress != NULL)
		pg_atomic_write_u64(&progress->rows_done, rows_done);
}

void
JoinProgressEnd(JoinProgress *progress)
{
	if (progress == NULL)
		return;
	LWLockAcquire(Shared->lock, LW_EXCLUSIVE);
	progress->pid = 0;
	LWLockRelease(Shared->lock);
}

/*
 * venice_join_progress
 *		What is being joined in this database by roles that the caller belongs to, or
 *		by anybody for those who may read all statistics.
 */
Datum
venice_join_progress(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			caller = GetUserId();
	bool		sees_all = has_privs_of_role(caller, ROLE_PG_READ_ALL_STATS);
	SharedJoin *joins = palloc(sizeof(SharedJoin) * SHARED_JOINS);

	InitMaterializedSRF(fcinfo, 0);
	if (!WorkersPreloaded())
		return (Datum) 0;
	LWLockAcquire(Shared->lock, LW_SHARED);
	memcpy(joins, Shared->joins, sizeof(SharedJoin) * SHARED_JOINS);
	LWLockRelease(Shared->lock);

	for (int i = 0; i < SHARED_JOINS; i++)
	{
		SharedJoin *join = &joins[i];
		uint64		rows_total = pg_atomic_read_u64(&join->rows_total);
		Datum		values[8];
		bool		nulls[8] = {false};

		if (join->pid == 0 || join->database != MyDatabaseId ||
			!(sees_all || has_privs_of_role(caller, join->role)))
			continue;
		values[0] = Int32GetDatum(join->pid);
		values[1] = CStringGetTextDatum(phase_names[join->phase]);
		values[2] = Int32GetDatum(join->stage);
		values[3] = Int32GetDatum(join->stage_count);
		values[4] = Int64GetDatum(pg_atomic_read_u64(&join->rows_done));
		values[5] = Int64GetDatum(rows_total);
		nulls[5] = rows_total == 0;
		values[6] = Int32GetDatum(join->workers);
		values[7] = TimestampTzGetDatum(join->started_time);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
