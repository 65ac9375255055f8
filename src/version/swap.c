/*-------------------------------------------------------------------------
 *
 * swap.c
 *		Making another version current.
 *
 * Two schemas change names, the generated functions and the gate move to the
 * one that is now called like the store, and one pointer row is updated: the
 * same work whatever the size of the data, and no lock that a reader would wait
 * for.  What is attached to the old records is carried over in the same
 * transaction.  No user code runs as anybody but the store's owner: what could run
 * any was built before, or is made good before the gate is taken.
 *
 * Locks: StoreLock by the caller; the gate (gate.c); the two schemas as names;
 * RowExclusiveLock on both tables.
 * Must not know: who wants the swap.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "version/swap.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/schemacmds.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "catalog/pointer.h"
#include "catalog/registry_row.h"
#include "common/query.h"
#include "common/subtransaction.h"
#include "version/build.h"
#include "version/carry.h"
#include "version/clone.h"
#include "version/functions.h"
#include "version/gate.h"
#include "version/history.h"
#include "version/layout.h"
#include "version/state.h"
#include "version/views.h"

/* How many records of a version were rejected while it was loaded. */
static int64
count_rejected(const Version *version)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	RegistryScan scan;
	HeapTuple	tuple;
	int64		rejected = 0;

	RegistryScanBegin(&scan, "partition_state", version->store, version->number, snapshot);
	while ((tuple = RegistryScanNext(&scan)) != NULL)
		rejected += RegistryInt8(scan.relation, tuple, "rejected");
	RegistryScanEnd(&scan);
	UnregisterSnapshot(snapshot);
	return rejected;
}

static void
count_swap(const Store *store, const Version *target, SwapReason reason)
{
	RegistryRow row;

	if (!RegistryRowLockLatest(&row, "store_stat", store->name, NO_VERSION))
		return;
	RegistryRowAdd(&row, "swaps", 1);
	if (reason == SWAP_ROLLBACK)
		RegistryRowAdd(&row, "rollbacks", 1);
	if (reason == SWAP_PUSH)
	{
		RegistryRowAdd(&row, "pushes", 1);
		RegistryRowAdd(&row, "rows_inserted", target->rows);
		RegistryRowAdd(&row, "rejected", count_rejected(target));
	}
	RegistryRowWrite(&row);
}

/* Count the swap, and note from when on no new snapshot can reach the version that was left. */
static void
record_swap(const Store *store, const Version *old, const Version *target, SwapReason reason)
{
	RegistryRow row;
	NameData	name;

	count_swap(store, target, reason);
	if (RegistryRowLockLatest(&row, "left_version", store->name, target->number))
		RegistryRowDelete(&row);

	namestrcpy(&name, store->name);
	RegistryRowMake(&row, "left_version");
	RegistryRowSet(&row, "store_name", NameGetDatum(&name));
	RegistryRowSet(&row, "version", Int32GetDatum(old->number));
	RegistryRowSet(&row, "left_xid", FullTransactionIdGetDatum(GetTopFullTransactionId()));
	RegistryRowWrite(&row);

	/* Pushes that failed before this one are overtaken: venice.pushes remembers them. */
	if (reason == SWAP_PUSH)
	{
		QueryArgs	args = {0};

		SPI_connect();
		QueryArgText(&args, store->name);
		QueryArgInt4(&args, target->number);
		(void) QueryRun("DELETE FROM venice.store_version v WHERE store_name = $1::name "
						"AND version < $2 AND state IN ('failed', 'aborted') "
						"AND NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n "
						"WHERE n.nspname = (v.store_name || '_v' || v.version)::name)", &args);
		SPI_finish();
	}
}

/* The name that the current version is to have may have been taken while it went by the store's. */
static void
check_name_is_free(const Store *store, const char *name)
{
	Oid			squatter = get_namespace_oid(name, true);

	if (OidIsValid(squatter))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_SCHEMA),
				 errmsg("schema \"%s\" is in the way of a swap of store \"%s\"", name, store->name),
				 errdetail("The version that is left needs the name. The schema belongs to role \"%s\".",
						   GetUserNameFromId(SchemaOwner(squatter), true)),
				 errhint("Rename the schema, or drop it.")));
}

/* What comes before the gate, which may turn out to be held. */
typedef struct Preparation
{
	Store	   *store;
	const Version *old;
	Version    *target;
	SwapReason	reason;
	Oid			old_records;
	Oid			new_records;
	Oid			gate;
	bool		is_refused;
	char	   *holders;		/* of the gate, if so */
} Preparation;

/*
 * The locks are against DDL, not against readers or writers: who attaches something to
 * records waits, and then finds the table that is called so after the swap.
 * What was attached since the target was built is made good first, as the store's
 * owner.
 */
static void
prepare(void *argument)
{
	Preparation *swap = argument;

	HistoryAppend(swap->store, swap->old, swap->target, swap->reason == SWAP_PUSH);
	LockRelationOid(swap->old_records, RowExclusiveLock);
	LockRelationOid(swap->new_records, RowExclusiveLock);
	CarryBegin(swap->old_records);
	VersionCheckSwappable(swap->store, swap->store->schema_oid, swap->old_records);
	VersionCheckSwappable(swap->store, get_rel_namespace(swap->new_records), swap->new_records);
	VersionFollow(swap->store, swap->target, swap->old_records);
	swap->is_refused = !GateClose(swap->gate, &swap->holders);
}

/* Where there is a history, what was appended to it goes again if the swap has to wait. */
static void
prepare_and_close_gate(Preparation *swap)
{
	ErrorData  *error;

	if (!OidIsValid(HistoryRelation(swap->store)))
	{
		prepare(swap);
		return;
	}
	error = SubtransactionTryUnless(prepare, swap, &swap->is_refused);
	if (error != NULL)
		ReThrowError(error);
}

bool
VersionSwap(Store *store, Version *target, SwapReason reason)
{
	VersionPointer pointer;
	Version    *old;
	Oid			old_schema = store->schema_oid;
	Oid			new_schema;
	Oid			old_records;
	Oid			new_records;
	Oid			gate;
	char	   *old_name;
	Preparation swap = {0};
	UserContext user;
	Jsonb	   *attachments;
	bool		functions_stale;

	if (!VersionPointerRead(store->name, GetLatestSnapshot(), &pointer))
		elog(ERROR, "store \"%s\" has no version pointer", store->name);
	old = VersionLookup(store->name, pointer.version, false);
	new_schema = get_namespace_oid(VersionSchemaName(store->name, target->number, target->state),
								   false);
	old_name = psprintf("%s_v%d", store->name, old->number);
	check_name_is_free(store, old_name);
	old_records = VersionRecords(old);
	new_records = VersionRecords(target);
	gate = GateLookup(old_schema, old->number);
	if (!OidIsValid(old_records) || !OidIsValid(new_records) || !OidIsValid(gate))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("store \"%s\" has lost a table", store->name),
				 errdetail("The swap needs records in both versions, and %s in the current one.",
						   GateName(old->number))));

	swap.store = store;
	swap.old = old;
	swap.target = target;
	swap.reason = reason;
	swap.old_records = old_records;
	swap.new_records = new_records;
	swap.gate = gate;
	prepare_and_close_gate(&swap);
	if (swap.is_refused)
	{
		if (!VersionStateIsFuture(target->state))
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("cannot swap store \"%s\" while a dump is running", store->name),
					 errdetail("The dump's lock is held by %s.", swap.holders),
					 errhint("Try again when the dump has finished, or stop it.")));
		ereport(NOTICE,
				(errmsg("swap of store \"%s\" to version %d waits for a dump", store->name,
						target->number),
				 errdetail("The dump's lock is held by %s.", swap.holders),
				 errhint("The swap follows by itself, or with venice.swap_version or CALL venice.run_maintenance().")));
		VersionSetState(target, VERSION_WAITING_FOR_DUMP);
		VersionSetDetail(target, psprintf("waits for %s, which holds %s.%s", swap.holders,
										  quote_identifier(store->name), GateName(old->number)));
		return false;
	}

	UserContextEnter(&user, ExtensionOwner());
	CarryAttachments(old_schema, old_records, new_schema, new_records);

	(void) RenameSchema(store->name, old_name);
	CommandCounterIncrement();
	(void) RenameSchema(psprintf("%s_v%d", store->name, target->number), store->name);
	CommandCounterIncrement();
	functions_stale = !GeneratedFunctionsFit(store, new_records);
	GeneratedFunctionsExchange(old_schema, new_schema);
	GeneratedFunctionsChangeOwner(new_schema, store->owner);
	GateMove(gate, old_schema, new_schema, target->number, store->owner);
	VersionPointerWrite(store->name, target->number, new_records);
	record_swap(store, old, target, reason);
	attachments = ClonedInReverse(new_records, target->attachments);
	UserContextLeave(&user);

	/* What was lost stays so: nobody is to go back to it. */
	if (old->state != VERSION_LOST)
		VersionSetState(old, reason == SWAP_ROLLBACK ? VERSION_ROLLED_BACK : VERSION_BACKUP);
	VersionSetState(target, VERSION_CURRENT);
	store->schema_oid = new_schema;
	VersionDescribe(store, old);
	VersionDescribe(store, target);
	VersionSetAttachments(old, attachments);
	if (functions_stale)
		GeneratedFunctionsRenew(store, new_schema, RENEW_SWAPPED);
	ViewsSwap(store, old, target);
	return true;
}
