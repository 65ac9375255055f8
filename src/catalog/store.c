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
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog/pointer.h"
#include "catalog/registry_row.h"
#include "common/compat.h"
#include "common/query.h"
#include "common/subtransaction.h"

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
VersionStateIsComplete(VersionState state)
{
	return state == VERSION_READY || state == VERSION_WAITING_FOR_DUMP ||
		state == VERSION_CURRENT || state == VERSION_BACKUP || state == VERSION_ROLLED_BACK;
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

static bool
read_bool(Relation relation, HeapTuple tuple, const char *column)
{
	bool		is_null;

	return DatumGetBool(RegistryField(relation, tuple, column, &is_null));
}

static int
read_int4(Relation relation, HeapTuple tuple, const char *column)
{
	bool		is_null;

	return DatumGetInt32(RegistryField(relation, tuple, column, &is_null));
}

static char *
read_name(Relation relation, HeapTuple tuple, const char *column)
{
	bool		is_null;
	Datum		value = RegistryField(relation, tuple, column, &is_null);

	return is_null ? NULL : pstrdup(NameStr(*DatumGetName(value)));
}

static Jsonb *
read_jsonb(Relation relation, HeapTuple tuple, const char *column)
{
	bool		is_null;
	Datum		value = RegistryField(relation, tuple, column, &is_null);

	return is_null ? NULL : DatumGetJsonbPCopy(value);
}

static void
read_columns(Store *store, Snapshot snapshot)
{
	RegistryScan scan;
	HeapTuple	tuple;

	RegistryScanBegin(&scan, "store_column", store->name, NO_VERSION, snapshot);
	while ((tuple = RegistryScanNext(&scan)) != NULL)
	{
		StoreColumn *column = palloc0(sizeof(StoreColumn));

		column->name = read_name(scan.relation, tuple, "column_name");
		column->type_name = RegistryText(scan.relation, tuple, "column_type");
		column->is_key = read_bool(scan.relation, tuple, "is_key");
		column->not_null = read_bool(scan.relation, tuple, "not_null");
		column->default_expression = RegistryText(scan.relation, tuple, "default_expression");
		column->source_type = RegistryText(scan.relation, tuple, "source_type");
		store->columns = lappend(store->columns, column);
		if (column->is_key)
			store->key_count++;
	}
	RegistryScanEnd(&scan);
}

static Store *
read_store(Relation relation, HeapTuple tuple)
{
	Store	   *store = palloc0(sizeof(Store));

	store->name = read_name(relation, tuple, "store_name");
	store->server = read_name(relation, tuple, "server_name");
	store->key_schema = RegistryText(relation, tuple, "key_schema");
	store->value_schema = RegistryText(relation, tuple, "value_schema");
	store->set_options = read_jsonb(relation, tuple, "options");
	store->options = StoreOptionsParse(store->set_options);
	store->paused = read_bool(relation, tuple, "paused");
	store->last_version = read_int4(relation, tuple, "last_version");
	return store;
}

/* Whoever knows a feature view may take its name for that of its store. */
static char *
store_of_view(const char *view)
{
	QuerySession session;
	QueryArgs	args = {0};
	char	   *store = NULL;

	QueryArgText(&args, view);
	QueryArgText(&args, GetUserNameFromId(GetUserId(), false));
	QueryBeginRegistry(&session);
	if (QueryRead("SELECT v.store_name FROM venice.feature_view v "
				  "JOIN pg_catalog.pg_namespace n ON n.nspname = v.store_name "
				  "WHERE v.view_name = $1::name AND pg_catalog.pg_has_role($2::name, n.nspowner, 'USAGE') "
				  "ORDER BY v.deprecated_until IS NOT NULL, v.view_version DESC LIMIT 1", &args) > 0)
		store = QueryText(0, 1, session.result_context);
	QueryEnd(&session);
	return store;
}

pg_noreturn static void
raise_no_store(const char *name)
{
	const char *other = store_of_view(name);

	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("store \"%s\" does not exist", name),
			 other != NULL ?
			 errhint("The store of feature view \"%s\" is \"%s\".", name, other) :
			 errhint("SELECT store FROM venice.stores lists the stores that you may see.")));
	pg_unreachable();
}

static Store *
look_up(const char *name, Snapshot snapshot)
{
	RegistryScan scan;
	HeapTuple	tuple;
	Store	   *store = NULL;

	RegistryScanBegin(&scan, "store", name, NO_VERSION, snapshot);
	tuple = RegistryScanNext(&scan);
	if (tuple != NULL)
	{
		store = read_store(scan.relation, tuple);
		read_columns(store, snapshot);
	}
	RegistryScanEnd(&scan);
	UnregisterSnapshot(snapshot);

	if (store != NULL)
	{
		snapshot = RegisterSnapshot(GetLatestSnapshot());
		find_schema(name, snapshot, &store->schema_oid, &store->owner);
		UnregisterSnapshot(snapshot);
	}
	return store;
}

Store *
StoreLookup(const char *name, bool missing_ok)
{
	Store	   *store = look_up(name, RegisterSnapshot(GetTransactionSnapshot()));

	if (store == NULL && !missing_ok)
		raise_no_store(name);
	return store;
}

Store *
StoreLookupLatest(const char *name)
{
	Store	   *store = look_up(name, RegisterSnapshot(GetLatestSnapshot()));

	if (store == NULL)
		raise_no_store(name);
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

static Version *
read_version(Relation relation, HeapTuple tuple)
{
	Version    *version = palloc0(sizeof(Version));
	bool		is_null;
	bool		is_null_start;
	bool		is_null_end;
	Datum		swapped = RegistryField(relation, tuple, "swapped_time", &is_null);
	Datum		end = RegistryField(relation, tuple, "end_requested_time", &is_null_end);

	version->started_time = DatumGetTimestampTz(RegistryField(relation, tuple, "started_time",
															  &is_null_start));
	version->end_requested_time = is_null_end ? 0 : DatumGetTimestampTz(end);
	version->swapped_time = is_null ? 0 : DatumGetTimestampTz(swapped);
	version->store = read_name(relation, tuple, "store_name");
	version->number = read_int4(relation, tuple, "version");
	version->state = VersionStateParse(RegistryText(relation, tuple, "state"));
	version->origin = RegistryText(relation, tuple, "origin");
	version->push_id = RegistryText(relation, tuple, "push_id");
	version->swap = read_bool(relation, tuple, "swap");
	version->options = StoreOptionsParse(read_jsonb(relation, tuple, "options"));
	version->key_schema = RegistryText(relation, tuple, "key_schema");
	version->value_schema = RegistryText(relation, tuple, "value_schema");
	version->topic = RegistryText(relation, tuple, "topic");
	version->end_requested = read_bool(relation, tuple, "end_requested");
	version->rows = RegistryInt8(relation, tuple, "rows");
	version->attachments = read_jsonb(relation, tuple, "attachments");
	version->error = RegistryText(relation, tuple, "error");
	return version;
}

/* Of one number, or all; newest first. */
static List *
read_versions(const char *store, int number, Snapshot snapshot)
{
	RegistryScan scan;
	HeapTuple	tuple;
	List	   *versions = NIL;

	snapshot = RegisterSnapshot(snapshot);
	RegistryScanBegin(&scan, "store_version", store, number, snapshot);
	while ((tuple = RegistryScanNext(&scan)) != NULL)
		versions = lcons(read_version(scan.relation, tuple), versions);
	RegistryScanEnd(&scan);
	UnregisterSnapshot(snapshot);
	return versions;
}

Version *
VersionLookup(const char *store, int number, bool missing_ok)
{
	/* A negative number is nobody's. */
	List	   *versions = number < 0 ? NIL :
		read_versions(store, number, GetTransactionSnapshot());

	if (versions == NIL && !missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("store \"%s\" has no version %d", store, number),
				 errhint("SELECT version, state FROM venice.versions WHERE store = %s lists them.",
						 quote_literal_cstr(store))));
	return versions != NIL ? linitial(versions) : NULL;
}

List *
VersionList(const char *store)
{
	return read_versions(store, NO_VERSION, GetTransactionSnapshot());
}

List *
VersionListLatest(const char *store)
{
	return read_versions(store, NO_VERSION, GetLatestSnapshot());
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
find_table(const Version *version, Snapshot snapshot, Oid *records)
{
	RegistryScan scan;
	HeapTuple	tuple;
	bool		is_null;

	snapshot = RegisterSnapshot(snapshot);
	RegistryScanBegin(&scan, "version_table", version->store, version->number, snapshot);
	tuple = RegistryScanNext(&scan);
	if (tuple != NULL)
		*records = DatumGetObjectId(RegistryField(scan.relation, tuple, "records", &is_null));
	RegistryScanEnd(&scan);
	UnregisterSnapshot(snapshot);
	return tuple != NULL;
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
	if (find_table(version, GetTransactionSnapshot(), &records))
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
	return !find_table(version, GetTransactionSnapshot(), &made) || made == records ? records :
		InvalidOid;
}

Oid
VersionTable(const Version *version)
{
	Oid			made;

	return find_table(version, GetLatestSnapshot(), &made) ? made : VersionRecords(version);
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
		else if (number > 0 && strncmp(p, "{version}", 9) == 0)
		{
			appendStringInfo(&topic, "%d", number);
			p += 9;
		}
		else
			appendStringInfoChar(&topic, *p++);
	}
	return topic.data;
}

/* Kafka's. */
#define TOPIC_MAX_BYTES 249

char *
RealTimeTopicName(const RealTimeTopic *topic, const char *store)
{
	return VersionTopic(topic->topic, store, 0);
}

void
TopicCheckName(const char *topic, const char *option, const char *store)
{
	size_t		bytes = strlen(topic);

	if (bytes > TOPIC_MAX_BYTES || strcmp(topic, ".") == 0 || strcmp(topic, "..") == 0 ||
		strspn(topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != bytes)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid name of a topic: \"%s\"", topic),
				 errdetail("Topics have ASCII letters and digits, dots, underscores and hyphens, %d at most.",
						   TOPIC_MAX_BYTES),
				 errhint("Set the option %s of store \"%s\".", option, store)));
}

/* Which of a store's locks: the sub-object's number. */
#define LOCK_OF_STORE	0
#define LOCK_OF_WRITERS	1
#define LOCK_OF_LOG		2
#define LOCK_OF_EXPIRY	3

static Oid
lock_class(void)
{
	return get_relname_relid("store", get_namespace_oid("venice", false));
}

static Oid
lock_object(const char *name)
{
	return hash_bytes((const unsigned char *) name, strlen(name));
}

static void
lock_store(const char *name, int which, int lock_mode)
{
	LockDatabaseObject(lock_class(), lock_object(name), which, lock_mode);
}

void
StoreLock(const char *name, int lock_mode)
{
	lock_store(name, LOCK_OF_STORE, lock_mode);
}

bool
StoreLockIfFree(const char *name)
{
	return ConditionalLockDatabaseObject(lock_class(), lock_object(name), LOCK_OF_STORE,
										 ExclusiveLock);
}

void
StoreWritersLock(const char *name)
{
	lock_store(name, LOCK_OF_WRITERS, ShareLock);
}

void
StoreLogLock(const char *name)
{
	lock_store(name, LOCK_OF_LOG, ExclusiveLock);
}

void
StoreExpiryLock(const char *name)
{
	lock_store(name, LOCK_OF_EXPIRY, ExclusiveLock);
}

typedef struct TimedLock
{
	const char *name;
	int			timeout_ms;
} TimedLock;

static void
lock_within(void *argument)
{
	TimedLock  *lock = argument;
	int			nest_level = NewGUCNestLevel();

	(void) set_config_option("lock_timeout", psprintf("%d", lock->timeout_ms), PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	lock_store(lock->name, LOCK_OF_WRITERS, ExclusiveLock);
	AtEOXact_GUC(true, nest_level);
}

bool
StoreWritersLockAlone(const char *name, int timeout_ms)
{
	TimedLock	lock = {name, timeout_ms};

	return SubtransactionTry(lock_within, &lock, ERRCODE_LOCK_NOT_AVAILABLE) == NULL;
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
