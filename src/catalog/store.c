/*-------------------------------------------------------------------------
 *
 * store.c
 *		Stores and versions as the registry knows them.
 *
 * Reads venice.store, venice.store_column and venice.store_version into C
 * structs.  A store's owner is whoever owns its schema, so that ALTER SCHEMA …
 * OWNER TO, REASSIGN OWNED and restores need nobody's help to stay right.
 *
 * Locks: StoreLock is a lock on an object of class venice.store, named by a
 * hash of the store's name; two stores with one hash only wait for each other.
 * Must not know: how states change (version/), what columns mean (wire/).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/store.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog/pointer.h"
#include "common/compat.h"
#include "common/query.h"

PG_FUNCTION_INFO_V1(venice_is_store_member);

static const char *const state_names[] = {
	[VERSION_STARTED] = "started",
	[VERSION_BUILDING] = "building",
	[VERSION_READY] = "ready",
	[VERSION_WAITING_FOR_DUMP] = "waiting_for_dump",
	[VERSION_CURRENT] = "current",
	[VERSION_BACKUP] = "backup",
	[VERSION_FAILED] = "failed",
	[VERSION_ABORTED] = "aborted",
	[VERSION_ROLLED_BACK] = "rolled_back",
	[VERSION_LOST] = "lost",
};

const char *
VersionStateName(VersionState state)
{
	return state_names[state];
}

VersionState
VersionStateParse(const char *name)
{
	for (int i = 0; i < lengthof(state_names); i++)
		if (strcmp(state_names[i], name) == 0)
			return (VersionState) i;
	elog(ERROR, "unexpected version state \"%s\"", name);
}

bool
VersionStateIsFuture(VersionState state)
{
	return state <= VERSION_WAITING_FOR_DUMP;
}

bool
VersionStateIsGone(VersionState state)
{
	return state == VERSION_FAILED || state == VERSION_ABORTED;
}

Oid
SchemaOwner(Oid schema)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * The schema of a store and its owner.  It is the one that has the pointer's table,
 * unless the pointer is still to be made after a restore; both are read under one
 * snapshot, since a swap gives the name to another schema.
 */
static void
find_schema(const char *store, Snapshot snapshot, Oid *schema, Oid *owner)
{
	Relation	relation = table_open(NamespaceRelationId, AccessShareLock);
	VersionPointer pointer;
	NameData	name;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	*schema = InvalidOid;
	*owner = InvalidOid;
	namestrcpy(&name, store);
	ScanKeyInit(&key, Anum_pg_namespace_nspname, BTEqualStrategyNumber, F_NAMEEQ,
				NameGetDatum(&name));
	scan = systable_beginscan(relation, NamespaceNameIndexId, true, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		*schema = ((Form_pg_namespace) GETSTRUCT(tuple))->oid;
		*owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);

	if (OidIsValid(*schema) && VersionPointerRead(store, snapshot, &pointer) &&
		get_rel_namespace(pointer.records) != *schema)
	{
		*schema = InvalidOid;
		*owner = InvalidOid;
	}
}

static List *
read_columns(const char *store, MemoryContext context, int *key_count)
{
	QueryArgs	args = {0};
	List	   *columns = NIL;
	uint64		rows;

	QueryArgText(&args, store);
	rows = QueryRun("SELECT column_name::text, column_type, is_key, not_null, default_expression, "
					"source_type FROM venice.store_column WHERE store_name = $1::name "
					"ORDER BY position", &args);
	*key_count = 0;
	for (uint64 i = 0; i < rows; i++)
	{
		StoreColumn *column = MemoryContextAllocZero(context, sizeof(StoreColumn));
		MemoryContext old;

		column->name = QueryText(i, 1, context);
		column->type_name = QueryText(i, 2, context);
		column->is_key = QueryBool(i, 3);
		column->not_null = QueryBool(i, 4);
		column->default_expression = QueryText(i, 5, context);
		column->source_type = QueryText(i, 6, context);
		if (column->is_key)
			(*key_count)++;
		old = MemoryContextSwitchTo(context);
		columns = lappend(columns, column);
		MemoryContextSwitchTo(old);
	}
	return columns;
}

Store *
StoreLookup(const char *name, bool missing_ok)
{
	QuerySession session;
	QueryArgs	args = {0};
	Store	   *store = NULL;

	QueryBeginRegistry(&session);
	QueryArgText(&args, name);
	if (QueryRun("SELECT server_name::text, key_schema, value_schema, options, paused, last_version "
				 "FROM venice.store WHERE store_name = $1::name", &args) == 1)
	{
		MemoryContext context = session.result_context;
		MemoryContext old;
		Snapshot	snapshot;

		store = MemoryContextAllocZero(context, sizeof(Store));
		store->name = MemoryContextStrdup(context, name);
		store->server = QueryText(0, 1, context);
		store->key_schema = QueryText(0, 2, context);
		store->value_schema = QueryText(0, 3, context);
		store->set_options = QueryJsonb(0, 4, context);
		store->paused = QueryBool(0, 5);
		store->last_version = QueryInt4(0, 6, 0);
		store->columns = read_columns(name, context, &store->key_count);
		old = MemoryContextSwitchTo(context);
		store->options = StoreOptionsParse(store->set_options);
		MemoryContextSwitchTo(old);
		snapshot = RegisterSnapshot(GetLatestSnapshot());
		find_schema(name, snapshot, &store->schema_oid, &store->owner);
		UnregisterSnapshot(snapshot);
	}
	QueryEnd(&session);

	if (store == NULL && !missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("store \"%s\" does not exist", name),
				 errhint("SELECT store FROM venice.stores lists the stores that you may see.")));
	return store;
}

/* Without its schema nobody owns a store for sure: the database's owner may clean up. */
static bool
has_rights_of_owner(Oid role, Oid schema, Oid owner)
{
	if (OidIsValid(schema))
		return has_privs_of_role(role, owner);
	return object_ownercheck(DatabaseRelationId, MyDatabaseId, role);
}

void
StoreCheckOwner(const Store *store)
{
	if (!has_rights_of_owner(GetUserId(), store->schema_oid, store->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of store \"%s\"", store->name),
				 OidIsValid(store->schema_oid) ? 0 :
				 errdetail("Its schema is missing, so that what is left is the database owner's to drop.")));
}

bool
StoreHasMember(const char *name, Oid role)
{
	Oid			schema;
	Oid			owner;

	find_schema(name, GetActiveSnapshot(), &schema, &owner);
	return has_rights_of_owner(role, schema, owner);
}

bool
StoreShowsStatistics(const char *name, Oid role)
{
	return has_privs_of_role(role, ROLE_PG_READ_ALL_STATS) || StoreHasMember(name, role);
}

/*
 * venice_is_store_member
 *		is_store_member(store): for the views.
 */
Datum
venice_is_store_member(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(StoreHasMember(NameStr(*PG_GETARG_NAME(0)), GetUserId()));
}

void
StoreCheckSchema(const Store *store)
{
	if (!OidIsValid(store->schema_oid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schema of store \"%s\" is missing", store->name),
				 errhint("Rename it back, or have the database's owner remove what is left with venice.drop_store(%s, force => true).",
						 quote_literal_cstr(store->name))));
}

#define VERSION_COLUMNS \
	"version, state, origin, push_id, swap, options, key_schema, value_schema, topic, " \
	"end_requested, swapped_time, error, attachments"

static Version *
read_version(uint64 row, const char *store, MemoryContext context)
{
	Version    *version = MemoryContextAllocZero(context, sizeof(Version));
	MemoryContext old;
	char	   *state = QueryText(row, 2, CurrentMemoryContext);
	bool		is_null;
	Datum		swapped;

	version->store = MemoryContextStrdup(context, store);
	version->number = QueryInt4(row, 1, 0);
	version->state = VersionStateParse(state);
	version->origin = QueryText(row, 3, context);
	version->push_id = QueryText(row, 4, context);
	version->swap = QueryBool(row, 5);
	version->key_schema = QueryText(row, 7, context);
	version->value_schema = QueryText(row, 8, context);
	version->topic = QueryText(row, 9, context);
	version->end_requested = QueryBool(row, 10);
	swapped = QueryDatum(row, 11, &is_null);
	version->swapped_time = is_null ? 0 : DatumGetTimestampTz(swapped);
	version->error = QueryText(row, 12, context);
	version->attachments = QueryJsonb(row, 13, context);
	old = MemoryContextSwitchTo(context);
	version->options = StoreOptionsParse(QueryJsonb(row, 6, context));
	MemoryContextSwitchTo(old);
	return version;
}

Version *
VersionLookup(const char *store, int number, bool missing_ok)
{
	QuerySession session;
	QueryArgs	args = {0};
	Version    *version = NULL;

	QueryBeginRegistry(&session);
	QueryArgText(&args, store);
	QueryArgInt4(&args, number);
	if (QueryRun("SELECT " VERSION_COLUMNS " FROM venice.store_version "
				 "WHERE store_name = $1::name AND version = $2", &args) == 1)
		version = read_version(0, store, session.result_context);
	QueryEnd(&session);

	if (version == NULL && !missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("store \"%s\" has no version %d", store, number),
				 errhint("SELECT version, state FROM venice.versions WHERE store = %s lists them.",
						 quote_literal_cstr(store))));
	return version;
}

List *
VersionList(const char *store)
{
	QuerySession session;
	QueryArgs	args = {0};
	List	   *versions = NIL;
	uint64		rows;

	QueryBeginRegistry(&session);
	QueryArgText(&args, store);
	rows = QueryRun("SELECT " VERSION_COLUMNS " FROM venice.store_version "
					"WHERE store_name = $1::name ORDER BY version DESC", &args);
	for (uint64 i = 0; i < rows; i++)
	{
		Version    *version = read_version(i, store, session.result_context);
		MemoryContext old = MemoryContextSwitchTo(session.result_context);

		versions = lappend(versions, version);
		MemoryContextSwitchTo(old);
	}
	QueryEnd(&session);
	return versions;
}

Version *
VersionFuture(const char *store)
{
	ListCell   *cell;

	foreach(cell, VersionList(store))
	{
		Version    *version = lfirst(cell);

		if (VersionStateIsFuture(version->state))
			return version;
	}
	return NULL;
}

char *
VersionSchemaName(const char *store, int number, VersionState state)
{
	VersionPointer pointer;

	if (state == VERSION_CURRENT ||
		(state == VERSION_LOST && VersionPointerRead(store, GetLatestSnapshot(), &pointer) &&
		 pointer.version == number))
		return pstrdup(store);
	return psprintf("%s_v%d", store, number);
}

/* The table that was made for a version; false where that is not known, soon after a restore. */
static bool
find_table(const Version *version, Oid *records)
{
	QuerySession session;
	QueryArgs	args = {0};
	bool		found;
	bool		is_null;

	QueryBeginRegistry(&session);
	QueryArgText(&args, version->store);
	QueryArgInt4(&args, version->number);
	found = QueryRun("SELECT records FROM venice.version_table "
					 "WHERE store_name = $1::name AND version = $2", &args) == 1;
	if (found)
		*records = DatumGetObjectId(QueryDatum(0, 1, &is_null));
	QueryEnd(&session);
	return found;
}

void
VersionTableWrite(const char *store, int number, Oid records)
{
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	QueryArgText(&args, store);
	QueryArgInt4(&args, number);
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(records), false);
	(void) QueryRun("INSERT INTO venice.version_table VALUES ($1::name, $2, $3) "
					"ON CONFLICT (store_name, version) DO UPDATE SET records = EXCLUDED.records",
					&args);
	QueryEnd(&session);
}

Oid
VersionSchema(const Store *store, const Version *version)
{
	Oid			schema = get_namespace_oid(VersionSchemaName(store->name, version->number,
															 version->state), true);
	Oid			records;
	char	   *comment;
	char	   *description;

	if (version->state == VERSION_CURRENT)
		return store->schema_oid;
	if (find_table(version, &records))
	{
		Oid			its_schema = get_rel_namespace(records);

		if (OidIsValid(its_schema))
			return its_schema == schema ? schema : InvalidOid;
		/* Only the table was dropped by hand, or somebody has put a schema there since. */
		return OidIsValid(schema) && SchemaOwner(schema) == store->owner ? schema : InvalidOid;
	}
	if (!OidIsValid(schema) || schema == store->schema_oid || SchemaOwner(schema) == store->owner)
		return schema;
	/*
	 * Only soon after a restore.  After ALTER SCHEMA ... OWNER the versions are still
	 * the old owner's, and after DROP SCHEMA nobody knows whose they were; but they
	 * are sealed, or described.
	 */
	records = get_relname_relid("records", schema);
	if (OidIsValid(records) && OidIsValid(get_trigger_oid(records, "venice_seal", true)))
		return schema;
	comment = GetComment(schema, NamespaceRelationId, 0);
	description = VersionDescription(store->name, version->number);
	return comment != NULL && strncmp(comment, description, strlen(description)) == 0 ?
		schema : InvalidOid;
}

char *
VersionDescription(const char *store, int number)
{
	return psprintf("venice store %s, version %d, ", store, number);
}

Oid
VersionRecords(const Version *version)
{
	char	   *schema = VersionSchemaName(version->store, version->number, version->state);
	Oid			schema_oid = get_namespace_oid(schema, true);
	Oid			records;
	Oid			made;

	if (!OidIsValid(schema_oid))
		return InvalidOid;
	records = get_relname_relid("records", schema_oid);
	return !find_table(version, &made) || made == records ? records : InvalidOid;
}

char *
VersionTopic(const char *pattern, const char *store, int number)
{
	StringInfoData topic;

	initStringInfo(&topic);
	for (const char *p = pattern; *p != '\0';)
	{
		if (strncmp(p, "{store}", 7) == 0)
		{
			appendStringInfoString(&topic, store);
			p += 7;
		}
		else if (strncmp(p, "{version}", 9) == 0)
		{
			appendStringInfo(&topic, "%d", number);
			p += 9;
		}
		else
			appendStringInfoChar(&topic, *p++);
	}
	return topic.data;
}

void
StoreLock(const char *name, int lock_mode)
{
	Oid			class_oid = get_relname_relid("store", get_namespace_oid("venice", false));

	LockDatabaseObject(class_oid, hash_bytes((const unsigned char *) name, strlen(name)), 0,
					   lock_mode);
}

void
StoreLockRow(const char *name)
{
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	QueryArgText(&args, name);
	(void) QueryRun("SELECT FROM venice.store WHERE store_name = $1::name FOR NO KEY UPDATE", &args);
	QueryEnd(&session);
}
