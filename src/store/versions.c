/*-------------------------------------------------------------------------
 *
 * versions.c
 *		Choosing among a store's versions by hand.
 *
 * Locks: StoreLock, exclusively.
 * Must not know: how a swap is made.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_database.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog/pointer.h"
#include "common/compat.h"
#include "common/guc.h"
#include "common/shmem.h"
#include "read/cache.h"
#include "read/warm.h"
#include "store/arguments.h"
#include "version/retire.h"
#include "version/state.h"
#include "version/streams.h"
#include "version/swap.h"

PG_FUNCTION_INFO_V1(venice_swap_version);
PG_FUNCTION_INFO_V1(venice_rollback_version);
PG_FUNCTION_INFO_V1(venice_drop_version);
PG_FUNCTION_INFO_V1(venice_warm);

pg_noreturn static void
refuse_state(const Version *version, const char *act)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot %s version %d of store \"%s\"", act, version->number, version->store),
			 errdetail("The version is %s.", version->number == 0 ? "the empty one before the first push" :
					   VersionStateName(version->state)),
			 errhint("SELECT version, state FROM venice.versions WHERE store = %s lists what there is.",
					 quote_literal_cstr(version->store))));
	pg_unreachable();
}

Datum
venice_swap_version(PG_FUNCTION_ARGS)
{
	Store	   *store = ArgumentOwnedStore(fcinfo);
	Version    *version = VersionLookup(store->name, ArgumentInt4(fcinfo, 1, "version"), false);

	StoreCheckSchema(store);
	switch (version->state)
	{
		case VERSION_READY:
		case VERSION_WAITING_FOR_DUMP:
			VersionCheckCaughtUp(version);
			VersionRequestEnd(version, true);
			(void) VersionWarm(store, version);
			(void) VersionSwap(store, version, SWAP_PUSH);
			break;
		case VERSION_BACKUP:
		case VERSION_ROLLED_BACK:
			if (version->number > 0)
			{
				(void) VersionWarm(store, version);
				(void) VersionSwap(store, version, SWAP_FORWARD);
				break;
			}
			/* FALLTHROUGH */
		default:
			refuse_state(version, "swap in");
	}
	MaintenanceSoonAtCommit();
	PG_RETURN_VOID();
}

/* The backup that was current last. */
static Version *
newest_backup(const Store *store)
{
	Version    *newest = NULL;
	ListCell   *cell;

	foreach(cell, VersionList(store->name))
	{
		Version    *version = lfirst(cell);

		if (version->state == VERSION_BACKUP && version->number > 0 &&
			(newest == NULL || version->swapped_time > newest->swapped_time))
			newest = version;
	}
	if (newest == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("store \"%s\" has no backup version", store->name),
				 errhint("The option versions_to_keep says how many versions there are at most, backup_retention for how long.")));
	return newest;
}

Datum
venice_rollback_version(PG_FUNCTION_ARGS)
{
	Store	   *store = ArgumentOwnedStore(fcinfo);
	Version    *version;

	StoreCheckSchema(store);
	version = PG_ARGISNULL(1) ? newest_backup(store) :
		VersionLookup(store->name, PG_GETARG_INT32(1), false);
	if (version->state != VERSION_BACKUP || version->number == 0)
		refuse_state(version, "roll back to");
	(void) VersionSwap(store, version, SWAP_ROLLBACK);
	MaintenanceSoonAtCommit();
	PG_RETURN_INT32(version->number);
}

/* Those who are about to finish are waited for. */
static bool
is_seen(const Version *version)
{
	TimestampTz start = GetCurrentTimestamp();

	while (VersionIsSeen(version))
	{
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(), Settings.drop_lock_timeout_ms))
			return true;
		CHECK_FOR_INTERRUPTS();
		pg_usleep(1000L);
	}
	return false;
}

Datum
venice_drop_version(PG_FUNCTION_ARGS)
{
	Store	   *store = ArgumentOwnedStore(fcinfo);
	Version    *version = VersionLookup(store->name, ArgumentInt4(fcinfo, 1, "version"), false);

	if (version->state == VERSION_CURRENT || version->number == 0)
		refuse_state(version, "drop");
	if (VersionStateIsFuture(version->state))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("version %d of store \"%s\" is being pushed", version->number, store->name),
				 errhint("Stop the push with venice.abort_push(%s).",
						 quote_literal_cstr(store->name))));
	if (is_seen(version))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("version %d of store \"%s\" may still be read", version->number, store->name),
				 errdetail("There is a transaction, a replication slot or a standby's feedback from before it was left."),
				 errhint("It is dropped by itself when its time has come and nothing can read it.")));
	VersionDropSchema(store, version, 0);
	VersionDeleteRow(version);
	PG_RETURN_VOID();
}

/*
 * venice_warm
 *		warm(store): put the current version's rows into the cache; how many are there
 *		then.  The database's owner may do so too.
 */
Datum
venice_warm(PG_FUNCTION_ARGS)
{
	Store	   *store = StoreLookup(ArgumentText(fcinfo, 0, "store", true), false);
	VersionPointer pointer;

	if (!object_ownercheck(DatabaseRelationId, MyDatabaseId, GetUserId()))
		StoreCheckOwner(store);
	StoreCheckSchema(store);
	FunctionPreventInRecovery(fcinfo);
	if (!CacheIsConfigured())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this server has no memory for rows"),
				 errhint("Set \"venice.cache_size\" and restart the server.")));
	if (!store->options->cache)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("store \"%s\" does not keep its rows in memory", store->name),
				 errhint("Let it with venice.alter_store(%s, '{\"cache\": true}').",
						 quote_literal_cstr(store->name))));
	if (!VersionPointerRead(store->name, GetActiveSnapshot(), &pointer))
		elog(ERROR, "store \"%s\" has no version pointer", store->name);
	PG_RETURN_INT64(VersionWarm(store, VersionLookup(store->name, pointer.version, false)));
}
