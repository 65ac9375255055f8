/*-------------------------------------------------------------------------
 *
 * functions.c
 *		SQL functions around the workers: pause and resume, and what shared
 *		memory says under the status views.
 *
 * The set-returning functions are what a view calls as its reader, so that
 * they withhold what the reader may not see themselves.
 *
 * Locks: StoreLock for pause and resume; Shared->lock.
 * Must not know: how ingestion works.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_database.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lockdefs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "apply/outbox.h"
#include "catalog/node.h"
#include "catalog/store.h"
#include "common/compat.h"
#include "common/query.h"
#include "common/shmem.h"
#include "common/swap_generation.h"
#include "store/arguments.h"
#include "version/build.h"

PG_FUNCTION_INFO_V1(venice_extension_created);
PG_FUNCTION_INFO_V1(venice_pause_ingestion);
PG_FUNCTION_INFO_V1(venice_resume_ingestion);
PG_FUNCTION_INFO_V1(venice_ingestion_units);
PG_FUNCTION_INFO_V1(venice_build_progress);
PG_FUNCTION_INFO_V1(venice_unlogged_partition_states);
PG_FUNCTION_INFO_V1(venice_outboxes);

/*
 * venice_extension_created
 *		The install script's last word: have this database looked at.
 */
Datum
venice_extension_created(PG_FUNCTION_ARGS)
{
	LauncherWakeAtCommit();
	/* What sessions remember of stores is an earlier extension's. */
	SwapGenerationMark();
	PG_RETURN_VOID();
}

static void
check_database_owner(void)
{
	if (!object_ownercheck(DatabaseRelationId, MyDatabaseId, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser or owner of the database"),
				 errhint("Name a store to act on that alone.")));
}

static void
set_paused(const char *store, bool paused)
{
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	QueryArgBool(&args, paused);
	QueryArgText(&args, store);
	(void) QueryRun("UPDATE venice.store SET paused = $1 "
					"WHERE store_name = $2::name AND paused <> $1", &args);
	QueryEnd(&session);
}

/* Names of all stores that Kafka fills. */
static List *
kafka_stores(void)
{
	QuerySession session;
	List	   *names;
	uint64		rows;

	QueryBeginRegistry(&session);
	rows = QueryRun("SELECT store_name::text FROM venice.store WHERE server_name IS NOT NULL "
					"OR options ? 'real_time_topics' ORDER BY store_name", NULL);
	names = QueryTextColumn(rows, 1, session.result_context);
	QueryEnd(&session);
	return names;
}

static void
pause_store(const char *name)
{
	IngestionStop(name, -1);
	set_paused(name, true);
}

/*
 * venice_pause_ingestion
 *		pause_ingestion(store): returns when no worker ingests into it.
 */
Datum
venice_pause_ingestion(PG_FUNCTION_ARGS)
{
	FunctionRequireWritable(fcinfo);
	if (!PG_ARGISNULL(0))
		pause_store(ArgumentOwnedStore(fcinfo)->name);
	else
	{
		ListCell   *cell;

		check_database_owner();
		foreach(cell, kafka_stores())
		{
			StoreLock(lfirst(cell), ExclusiveLock);
			pause_store(lfirst(cell));
		}
	}
	SupervisorWakeAtCommit();
	PG_RETURN_VOID();
}

/*
 * venice_resume_ingestion
 *		resume_ingestion(store): of all stores, it also makes this the node
 *		that ingests.
 */
Datum
venice_resume_ingestion(PG_FUNCTION_ARGS)
{
	FunctionRequireWritable(fcinfo);
	if (!PG_ARGISNULL(0))
		set_paused(ArgumentOwnedStore(fcinfo)->name, false);
	else
	{
		ListCell   *cell;

		check_database_owner();
		NodeEnable();
		foreach(cell, kafka_stores())
		{
			StoreLock(lfirst(cell), ExclusiveLock);
			set_paused(lfirst(cell), false);
		}
	}
	SupervisorWakeAtCommit();
	PG_RETURN_VOID();
}

static void
set_int8(Datum *values, bool *nulls, int column, int64 value, int64 unknown)
{
	values[column] = Int64GetDatum(value);
	nulls[column] = value == unknown;
}

static void
set_time(Datum *values, bool *nulls, int column, TimestampTz value)
{
	values[column] = TimestampTzGetDatum(value);
	nulls[column] = value == 0;
}

#define UNIT_COLUMNS 18

static void
put_unit(ReturnSetInfo *result, const SharedUnit *unit, pid_t pid)
{
	Datum		values[UNIT_COLUMNS];
	bool		nulls[UNIT_COLUMNS] = {false};
	int			i = 0;

	values[i++] = NameGetDatum(&unit->store);
	values[i++] = Int32GetDatum(unit->version);
	values[i++] = Int32GetDatum(unit->region);
	values[i++] = CStringGetTextDatum(unit->topic);
	nulls[i] = unit->partition < 0;
	values[i++] = Int32GetDatum(unit->partition);
	values[i++] = CStringGetTextDatum(UnitStateName(unit->state));
	nulls[i] = pid == 0;
	values[i++] = Int32GetDatum(pid);
	set_int8(values, nulls, i++, unit->next_offset, -1);
	set_int8(values, nulls, i++, unit->end_offset, -1);
	set_int8(values, nulls, i++, unit->high_watermark, -1);
	values[i++] = Int64GetDatum(unit->messages);
	values[i++] = Int64GetDatum(unit->bytes);
	values[i++] = Int64GetDatum(unit->rows);
	values[i++] = Int64GetDatum(unit->tombstones);
	values[i++] = Int64GetDatum(unit->rejected);
	nulls[i] = unit->last_error[0] == '\0';
	values[i++] = CStringGetTextDatum(unit->last_error);
	set_time(values, nulls, i++, unit->last_error_time);
	set_time(values, nulls, i++, unit->next_retry_time);
	Assert(i == UNIT_COLUMNS);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * venice_ingestion_units
 *		The units of this database that the caller may see.
 */
Datum
venice_ingestion_units(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	SharedUnit *units;
	pid_t	   *pids;

	InitMaterializedSRF(fcinfo, 0);
	if (!WorkersPreloaded())
		return (Datum) 0;

	/* Copied first: what follows may fail, or look into catalogs. */
	units = palloc(sizeof(Shared->units));
	pids = palloc0(SHARED_UNITS * sizeof(pid_t));
	LWLockAcquire(Shared->lock, LW_SHARED);
	memcpy(units, Shared->units, sizeof(Shared->units));
	for (int i = 0; i < SHARED_UNITS; i++)
		if (units[i].in_use && units[i].worker >= 0)
			pids[i] = Shared->workers[units[i].worker].pid;
	LWLockRelease(Shared->lock);

	for (int i = 0; i < SHARED_UNITS; i++)
		if (units[i].in_use && units[i].database == MyDatabaseId &&
			StoreShowsStatistics(NameStr(units[i].store), GetUserId()))
			put_unit(result, &units[i], pids[i]);
	pfree(units);
	pfree(pids);
	return (Datum) 0;
}

static const char *
phase_name(int phase)
{
	switch (phase)
	{
		case BUILD_REPAIRING:
			return "repairing";
		case BUILD_INDEXING:
			return "indexing";
		case BUILD_ANALYZING:
			return "analyzing";
		case BUILD_CHECKING:
			return "checking";
		case PROGRESS_WARMING:
			return "warming";
		case PROGRESS_SWAPPING:
			return "swapping";
	}
	elog(ERROR, "unexpected phase of a push: %d", phase);
}

/*
 * venice_build_progress
 *		What is being built in this database, as far as the caller may see it.
 */
Datum
venice_build_progress(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	SharedProgress progress[SHARED_PROGRESS];

	InitMaterializedSRF(fcinfo, 0);
	if (!WorkersPreloaded())
		return (Datum) 0;
	LWLockAcquire(Shared->lock, LW_SHARED);
	memcpy(progress, Shared->progress, sizeof(progress));
	LWLockRelease(Shared->lock);

	for (int i = 0; i < SHARED_PROGRESS; i++)
	{
		Datum		values[5];
		bool		nulls[5] = {false};

		if (progress[i].pid == 0 || progress[i].database != MyDatabaseId ||
			!StoreShowsStatistics(NameStr(progress[i].store), GetUserId()))
			continue;
		values[0] = NameGetDatum(&progress[i].store);
		values[1] = Int32GetDatum(progress[i].version);
		values[2] = CStringGetTextDatum(phase_name(progress[i].phase));
		values[3] = TimestampTzGetDatum(progress[i].started_time);
		values[4] = Int32GetDatum(progress[i].pid);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * venice_unlogged_partition_states
 *		How far the partitions of unlogged versions are, as far as the caller may
 *		see it: nothing on a standby, where an unlogged table cannot be read.
 */
Datum
venice_unlogged_partition_states(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			caller = GetUserId();
	QuerySession session;
	uint64		rows;

	InitMaterializedSRF(fcinfo, 0);
	if (RecoveryInProgress())
		return (Datum) 0;

	QueryBeginRegistry(&session);
	rows = QueryRead("SELECT store_name, version, region, topic, partition, next_offset, end_offset, "
					 "done, joined, error, messages, bytes, rows, tombstones, rejected, batches, "
					 "last_record_time, last_message_time, last_commit_time "
					 "FROM venice.unlogged_partition_state", NULL);
	for (uint64 i = 0; i < rows; i++)
		if (StoreShowsStatistics(QueryText(i, 1, CurrentMemoryContext), caller))
			tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
	QueryEnd(&session);
	PG_RETURN_NULL();
}

/*
 * venice_outboxes
 *		What is in the outboxes of this database that the caller may see.
 */
Datum
venice_outboxes(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			caller = GetUserId();
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, OutboxList())
	{
		const OutboxContent *content = lfirst(cell);
		NameData	store;
		Datum		values[3];
		bool		nulls[3] = {false};

		if (!StoreShowsStatistics(content->store, caller))
			continue;
		namestrcpy(&store, content->store);
		values[0] = NameGetDatum(&store);
		values[1] = Int64GetDatum(content->pending);
		set_time(values, nulls, 2, content->oldest_time);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
