/*-------------------------------------------------------------------------
 *
 * gate.c
 *		The table that keeps a store from being swapped under a dump.
 *
 * pg_dump takes a snapshot, reads from it what tables there are, locks them by
 * name, and then copies them by name.  After a swap the store's name means a
 * table whose rows the snapshot does not see: an empty store in the backup,
 * without a word.  So there is an empty table in the current schema, of which a
 * dump holds a lock from its beginning and without which there is no swap.
 *
 * A swap that commits between the dump's snapshot and its locks is told by the
 * gate's name, which has the version in it: the dump asks for one that is not
 * there any more, and fails saying so.
 *
 * It is one table for the store's whole life, so that who was given rights on it
 * keeps them.
 *
 * Locks: AccessExclusiveLock on the gate, never waited for in the queue.
 * Must not know: how a swap is made.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "version/gate.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "commands/tablecmds.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "common/guc.h"
#include "common/query.h"
#include "common/table_lock.h"

char *
GateName(int version)
{
	return psprintf("swap_gate_v%d", version);
}

void
GateCreate(const char *schema)
{
	const char *gate = quote_qualified_identifier(schema, GateName(0));

	QueryRunf("CREATE TABLE %s ()", gate);
	QueryRunf("COMMENT ON TABLE %s IS "
			  "'Always empty. A dump that holds it keeps versions from being swapped under it.'", gate);
}

Oid
GateLookup(Oid schema, int version)
{
	return get_relname_relid(GateName(version), schema);
}

bool
GateClose(Oid gate, char **holders)
{
	if (TableLockUnqueued(gate, Settings.swap_lock_timeout_ms))
		return true;
	*holders = TableLockHolders(gate);
	return false;
}

void
GateMove(Oid gate, Oid from, Oid to, int version, Oid owner)
{
	Relation	relation = table_open(gate, NoLock);
	ObjectAddresses *moved = new_object_addresses();

	AlterTableNamespaceInternal(relation, from, to, moved);
	free_object_addresses(moved);
	table_close(relation, NoLock);
	CommandCounterIncrement();
	RenameRelationInternal(gate, GateName(version), true, false);
	CommandCounterIncrement();
	ATExecChangeOwner(gate, owner, false, AccessExclusiveLock);
}
