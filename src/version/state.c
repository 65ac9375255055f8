/*-------------------------------------------------------------------------
 *
 * state.c
 *		What a version's state may become, and the rows that say so.
 *
 * The only writer of venice.store_version and venice.push.  A push's row
 * follows its version's and stays when the version goes.
 *
 * Locks: callers hold StoreLock; the row locks of the UPDATEs.
 * Must not know: why a state changes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "version/state.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "catalog/registry_row.h"
#include "common/query.h"
#include "common/shmem.h"

/* Bit s of allowed[f] says that a version may go from state f to state s. */
#define TO(state) (1 << (state))

static const int allowed[] = {
	[VERSION_STARTED] = TO(VERSION_STARTED) | TO(VERSION_BUILDING) | TO(VERSION_FAILED) |
	TO(VERSION_ABORTED) | TO(VERSION_LOST),
	[VERSION_BUILDING] = TO(VERSION_STARTED) | TO(VERSION_READY) | TO(VERSION_FAILED) |
	TO(VERSION_ABORTED) | TO(VERSION_LOST),
	[VERSION_READY] = TO(VERSION_STARTED) | TO(VERSION_CURRENT) | TO(VERSION_WAITING_FOR_DUMP) |
	TO(VERSION_BUILDING) | TO(VERSION_FAILED) | TO(VERSION_ABORTED) | TO(VERSION_LOST),
	[VERSION_WAITING_FOR_DUMP] = TO(VERSION_STARTED) | TO(VERSION_CURRENT) |
	TO(VERSION_WAITING_FOR_DUMP) | TO(VERSION_READY) | TO(VERSION_BUILDING) |
	TO(VERSION_FAILED) | TO(VERSION_ABORTED) | TO(VERSION_LOST),
	[VERSION_CURRENT] = TO(VERSION_BACKUP) | TO(VERSION_ROLLED_BACK) | TO(VERSION_LOST),
	[VERSION_BACKUP] = TO(VERSION_CURRENT) | TO(VERSION_LOST),
	[VERSION_ROLLED_BACK] = TO(VERSION_CURRENT) | TO(VERSION_LOST),
	[VERSION_FAILED] = 0,
	[VERSION_ABORTED] = 0,
	[VERSION_LOST] = 0,
};

/* Any change of a store's versions, for StoreLockRow to notice. */
static void
bump_generation(const char *store)
{
	RegistryRow row;

	if (!RegistryRowLock(&row, "store", store, NO_VERSION))
		return;
	RegistryRowAdd(&row, "generation", 1);
	RegistryRowWrite(&row);
}

static void
lock_version(RegistryRow *row, const Version *version)
{
	if (!RegistryRowLock(row, "store_version", version->store, version->number))
		elog(ERROR, "store \"%s\" has no row for version %d", version->store, version->number);
}

static void
run_on_version(const Version *version, QueryArgs *args, const char *sql)
{
	QuerySession session;

	QueryBeginRegistry(&session);
	if (QueryRun(sql, args) != 1)
		elog(ERROR, "store \"%s\" has no row for version %d", version->store, version->number);
	QueryEnd(&session);
}

/* Of a row that may not be there: version 0 is made by create_store, without a push. */
static void
run_quietly(QueryArgs *args, const char *sql)
{
	QuerySession session;

	QueryBeginRegistry(&session);
	(void) QueryRun(sql, args);
	QueryEnd(&session);
}

void
VersionInsert(const Store *store, int number, const char *origin, const char *push_id, bool swap,
			  const char *topic)
{
	QuerySession session;
	QueryArgs	args = {0};
	QueryArgs	push = {0};
	QueryArgs	last = {0};
	const char *started_by = GetUserNameFromId(GetOuterUserId(), false);

	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	QueryArgInt4(&args, number);
	QueryArgText(&args, origin);
	QueryArgText(&args, push_id);
	QueryArgBool(&args, swap);
	QueryArgJsonb(&args, StoreOptionsEffective(store->set_options));
	QueryArgText(&args, store->key_schema);
	QueryArgText(&args, store->value_schema);
	QueryArgText(&args, topic);
	(void) QueryRun("INSERT INTO venice.store_version (store_name, version, state, origin, push_id, "
					"swap, options, key_schema, value_schema, topic) "
					"VALUES ($1::name, $2, 'started', $3, $4, $5, $6, $7, $8, $9)", &args);

	QueryArgText(&push, store->name);
	QueryArgText(&push, push_id);
	QueryArgInt4(&push, number);
	QueryArgText(&push, origin);
	QueryArgText(&push, started_by);
	(void) QueryRun("INSERT INTO venice.push (store_name, push_id, version, origin, state, started_by) "
					"VALUES ($1::name, $2, $3, $4, 'started', $5::name)", &push);

	QueryArgText(&last, store->name);
	QueryArgInt4(&last, number);
	(void) QueryRun("UPDATE venice.store SET last_version = $2, generation = generation + 1 "
					"WHERE store_name = $1::name", &last);
	QueryEnd(&session);
}

void
VersionSetState(Version *version, VersionState state)
{
	RegistryRow row;
	QueryArgs	args = {0};
	bool		not_ended;

	if ((allowed[version->state] & TO(state)) == 0)
		elog(ERROR, "version %d of store \"%s\" cannot go from state %s to %s", version->number,
			 version->store, VersionStateName(version->state), VersionStateName(state));

	lock_version(&row, version);
	RegistryRowSet(&row, "state", CStringGetTextDatum(VersionStateName(state)));
	(void) RegistryField(row.relation, row.tuple, "ended_time", &not_ended);
	if (state == VERSION_STARTED)
		RegistryRowSetNull(&row, "ended_time");
	else if (not_ended && (state == VERSION_READY || VersionStateIsGone(state)))
		RegistryRowSet(&row, "ended_time", TimestampTzGetDatum(GetCurrentTimestamp()));
	if (state == VERSION_CURRENT)
		RegistryRowSet(&row, "swapped_time", TimestampTzGetDatum(GetCurrentTimestamp()));
	if (state == VERSION_CURRENT || state == VERSION_READY)
		RegistryRowSetNull(&row, "detail");
	RegistryRowWrite(&row);
	bump_generation(version->store);

	/* A push that is over is not changed by where its version goes from there. */
	QueryArgText(&args, version->store);
	QueryArgInt4(&args, version->number);
	QueryArgText(&args, VersionStateName(state));
	if (VersionStateIsFuture(version->state) || state == VERSION_LOST)
		run_quietly(&args,
					"UPDATE venice.push SET "
					"state = CASE WHEN $3 IN ('current', 'backup', 'rolled_back') THEN 'completed' "
					"ELSE $3 END, "
					"ended_time = CASE WHEN $3 IN ('current', 'failed', 'aborted') "
					"THEN COALESCE(ended_time, pg_catalog.clock_timestamp()) ELSE ended_time END, "
					/* Kept here, because the counts by partition go with the version. */
					"rejected = GREATEST(rejected, (SELECT pg_catalog.sum(p.rejected)::bigint FROM "
					"(TABLE venice.partition_state UNION ALL TABLE venice.unlogged_partition_state) p "
					"WHERE p.store_name = $1::name AND p.version = $2)) "
					"WHERE store_name = $1::name AND version = $2");
	version->state = state;
	StateChangeTellAtCommit();
}

void
VersionRequestEnd(Version *version, bool swap)
{
	QueryArgs	args = {0};

	QueryArgText(&args, version->store);
	QueryArgInt4(&args, version->number);
	QueryArgBool(&args, swap);
	run_on_version(version, &args,
				   "UPDATE venice.store_version SET end_requested = true, swap = $3, "
				   "end_requested_time = COALESCE(end_requested_time, pg_catalog.clock_timestamp()) "
				   "WHERE store_name = $1::name AND version = $2");
	version->end_requested = true;
	version->swap = swap;
	StateChangeTellAtCommit();
}

void
VersionSetRows(Version *version, int64 rows)
{
	QueryArgs	args = {0};

	QueryArgText(&args, version->store);
	QueryArgInt4(&args, version->number);
	QueryArgInt8(&args, rows);
	run_on_version(version, &args, "UPDATE venice.store_version SET rows = $3 "
				   "WHERE store_name = $1::name AND version = $2");
	run_quietly(&args, "UPDATE venice.push SET rows = $3 "
				"WHERE store_name = $1::name AND version = $2");
	version->rows = rows;
}

void
VersionSetAttachments(Version *version, Jsonb *attachments)
{
	RegistryRow row;

	lock_version(&row, version);
	RegistryRowSet(&row, "attachments", PointerGetDatum(attachments));
	RegistryRowWrite(&row);
	version->attachments = attachments;
}

void
VersionSetReader(const Version *version, const char *value_schema, const List *columns)
{
	QueryArgs	args = {0};

	QueryArgText(&args, version->store);
	QueryArgInt4(&args, version->number);
	QueryArgText(&args, value_schema);
	QueryArgTexts(&args, columns);
	run_on_version(version, &args,
				   "UPDATE venice.store_version v SET value_schema = COALESCE($3, v.value_schema), "
				   "options = CASE WHEN f.fields IS NULL THEN v.options ELSE v.options || "
				   "pg_catalog.jsonb_build_object('fields', "
				   "COALESCE(NULLIF(v.options -> 'fields', 'null'), '{}') || f.fields) END "
				   "FROM (SELECT pg_catalog.jsonb_object_agg(e.key, e.value) AS fields "
				   "FROM venice.store s, pg_catalog.jsonb_each(s.options -> 'fields') e "
				   "WHERE s.store_name = $1::name AND e.key = ANY ($4)) f "
				   "WHERE v.store_name = $1::name AND v.version = $2");
}

void
VersionFail(Version *version, int sqlstate, const char *error, const char *detail)
{
	QueryArgs	args = {0};

	QueryArgText(&args, version->store);
	QueryArgInt4(&args, version->number);
	QueryArgText(&args, unpack_sql_state(sqlstate));
	QueryArgText(&args, error);
	QueryArgText(&args, detail);
	run_on_version(version, &args,
				   "UPDATE venice.store_version SET sqlstate = $3, error = $4, detail = $5 "
				   "WHERE store_name = $1::name AND version = $2");
	args.count = 4;
	run_quietly(&args, "UPDATE venice.push SET error = $4 "
				"WHERE store_name = $1::name AND version = $2");
	VersionSetState(version, VERSION_FAILED);
}

void
VersionSetDetail(const Version *version, const char *detail)
{
	QueryArgs	args = {0};

	QueryArgText(&args, version->store);
	QueryArgInt4(&args, version->number);
	QueryArgText(&args, detail);
	run_on_version(version, &args, "UPDATE venice.store_version SET detail = $3 "
				   "WHERE store_name = $1::name AND version = $2");
}

void
VersionDeleteRow(const Version *version)
{
	QueryArgs	args = {0};

	QueryArgText(&args, version->store);
	QueryArgInt4(&args, version->number);
	run_on_version(version, &args, "DELETE FROM venice.store_version "
				   "WHERE store_name = $1::name AND version = $2");
	run_quietly(&args, "DELETE FROM venice.partition_state "
				"WHERE store_name = $1::name AND version = $2");
	bump_generation(version->store);
}
