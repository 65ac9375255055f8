/*-------------------------------------------------------------------------
 *
 * handle.c
 *		What a backend remembers of a version's table to look keys up in it.
 *
 * The version is the one that the statement's own snapshot calls current, and
 * its table is reached by OID, so that a swap between two statements or in the
 * midst of one is never half seen.  What the catalogs say of the table, and of
 * the user's rights to it, is looked up once and kept until an invalidation
 * message says that it may have changed.
 *
 * Locks: AccessShareLock on the table until the end of the transaction, as a
 * SELECT takes.
 * Must not know: how versions come and go, and how rows are found.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "read/handle.h"

#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog/pointer.h"
#include "common/compat.h"
#include "common/query.h"
#include "read/forget.h"
#include "read/statistics.h"

typedef struct Entry
{
	Oid			records;		/* hash key */
	bool		valid;
	uint64		messages;		/* that came about it */
	StoreHandle handle;
	Oid			schema;
	/* Whose rights the handle has, and under which circumstances. */
	Oid			user;
	bool		row_security_setting;
	uint64		rights_generation;
} Entry;

static HTAB *entries = NULL;
static uint64 last_build = 0;

/* Counts changes of roles, memberships and schemas. */
static uint64 rights_generation = 1;

static void
forget_relation(Datum argument, Oid relation)
{
	HASH_SEQ_STATUS scan;
	Entry	   *entry;

	if (OidIsValid(relation))
	{
		entry = hash_search(entries, &relation, HASH_FIND, NULL);
		if (entry != NULL)
		{
			entry->messages++;
			entry->valid = false;
		}
		return;
	}
	hash_seq_init(&scan, entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		entry->messages++;
		entry->valid = false;
	}
}

static void
forget_rights(Datum argument, int cache, uint32 hash)
{
	rights_generation++;
}

static void
make_table(void)
{
	HASHCTL		control = {
		.keysize = sizeof(Oid),
		.entrysize = sizeof(Entry),
		.hcxt = CacheMemoryContext
	};

	entries = hash_create("venice store handles", 16, &control,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(forget_relation, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, forget_rights, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, forget_rights, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, forget_rights, (Datum) 0);
}

/* Versions come and go: what is not valid any more makes room. */
static void
sweep(void)
{
	HASH_SEQ_STATUS scan;
	Entry	   *entry;

	hash_seq_init(&scan, entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (!entry->valid)
			(void) hash_search(entries, &entry->records, HASH_REMOVE, NULL);
}

pg_noreturn static void
raise_no_store(const char *store)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("store \"%s\" does not exist", store)));
	pg_unreachable();
}

/*
 * What the snapshot calls current has been dropped: with the store; by hand, which
 * the latest snapshot does not know of either; or it was a standby's snapshot, of
 * which the primary does not know without feedback.
 */
pg_noreturn static void
raise_no_version(const char *store, const VersionPointer *seen)
{
	VersionPointer pointer;

	/* A parallel worker cannot take a snapshot, and does not know. */
	if (!IsInParallelMode())
	{
		if (!VersionPointerRead(store, GetLatestSnapshot(), &pointer))
			raise_no_store(store);
		if (pointer.records == seen->records)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("the current version of store \"%s\" does not exist", store),
					 errdetail("Its table was dropped by hand.")));
	}
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("version %d of store \"%s\" has been dropped since the snapshot was taken",
					seen->version, store),
			 errhint("Try the transaction again.")));
	pg_unreachable();
}

/* An unlogged table that a crash has emptied must not answer as if it were empty. */
static void
check_not_lost(const char *store, const VersionPointer *pointer)
{
	QuerySession session;
	QueryArgs	args = {0};
	bool		present;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d of store \"%s\" is not on this server", pointer->version, store),
				 errdetail("The version is unlogged, and the server is a standby."),
				 errhint("Read it on the primary server.")));

	QueryBeginRegistry(&session);
	QueryArgText(&args, store);
	QueryArgInt4(&args, pointer->version);
	/* Without a pointer the store was restored, not crashed: the rows came with the dump. */
	present = QueryRead("SELECT FROM venice.unlogged_version "
						"WHERE store_name = $1::name AND version = $2 "
						"UNION ALL SELECT WHERE NOT EXISTS ("
						"SELECT FROM venice.version_pointer WHERE store_name = $1::name)",
						&args) > 0;
	QueryEnd(&session);
	if (!present)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d of store \"%s\" was lost in a crash", pointer->version, store),
				 errdetail("The version is unlogged."),
				 errhint("What came from a topic is loaded again by itself; anything else is to be pushed again.")));
}

/* Does the store want its rows in RAM, and for how long? */
static bool
wants_cache(const char *store, CacheTable *table)
{
	static const char *const query =
		"SELECT (options ->> 'cache')::pg_catalog.bool, "
		"pg_catalog.date_part('epoch', (options ->> 'cache_ttl')::pg_catalog.interval)::int "
		"FROM venice.store WHERE store_name = $1::name";
	QuerySession session;
	QueryArgs	args = {0};
	bool		wanted;

	QueryBeginRegistry(&session);
	QueryArgText(&args, store);
	/* As it is now: the answer outlives the snapshot.  A parallel worker lives no longer. */
	wanted = (IsInParallelMode() ? QueryRead(query, &args) : QueryRunLatest(query, &args)) > 0 &&
		QueryBool(0, 1);
	if (wanted)
		table->ttl_s = QueryInt4(0, 2, 0);
	QueryEnd(&session);
	return wanted;
}

bool
StoreCacheTable(const char *store, Relation records, CacheTable *table)
{
	table->statistics = ReadStatisticsPlace(store);
	return CacheIsConfigured() && wants_cache(store, table) && CacheTableDescribe(records, table);
}

static void
build(const char *store, const VersionPointer *pointer, Entry *entry)
{
	StoreHandle *handle = &entry->handle;
	Relation	records = try_table_open(pointer->records, NoLock);
	Relation	index;

	if (records == NULL)
		raise_no_version(store, pointer);
	if (records->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED)
		check_not_lost(store, pointer);
	handle->index = RelationGetPrimaryKeyIndex(records, false);
	if (!OidIsValid(handle->index))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d of store \"%s\" has no primary key", pointer->version, store)));
	index = index_open(handle->index, AccessShareLock);
	handle->key_count = IndexRelationGetNumberOfKeyAttributes(index);
	for (int k = 0; k < handle->key_count; k++)
	{
		AttrNumber	attribute = index->rd_index->indkey.values[k];

		handle->key_attributes[k] = attribute;
		handle->key_types[k] = TupleDescAttr(RelationGetDescr(records), attribute - 1)->atttypid;
		handle->key_equality[k] =
			get_opcode(get_opfamily_member(index->rd_opfamily[k], index->rd_opcintype[k],
										   index->rd_opcintype[k], BTEqualStrategyNumber));
	}
	index_close(index, NoLock);
	handle->records = pointer->records;
	handle->version = pointer->version;
	entry->schema = RelationGetNamespace(records);
	entry->user = InvalidOid;
	handle->cached = StoreCacheTable(store, records, &handle->cache);
	table_close(records, NoLock);
}

/* What the current user may do with it. */
static void
find_rights(const char *store, Entry *entry)
{
	StoreHandle *handle = &entry->handle;
	uint64		generation = rights_generation;
	AclResult	result = object_aclcheck(NamespaceRelationId, entry->schema, GetUserId(),
										 ACL_USAGE);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_SCHEMA, store);
	handle->selects_all = pg_class_aclcheck(handle->records, GetUserId(),
											ACL_SELECT) == ACLCHECK_OK;
	handle->row_security = check_enable_rls(handle->records, InvalidOid, false) == RLS_ENABLED;
	entry->user = GetUserId();
	entry->row_security_setting = row_security;
	entry->rights_generation = generation;
}

void
StoreHandleOpen(const char *store, StoreHandle *handle)
{
	VersionPointer pointer;
	Entry	   *entry;

	if (entries == NULL)
		make_table();
	if (!VersionPointerRead(store, GetActiveSnapshot(), &pointer))
		raise_no_store(store);

	/*
	 * A lock that is held already brings no messages; but what is remembered must
	 * not be older than the snapshot.
	 */
	LockRelationOid(pointer.records, AccessShareLock);
	AcceptInvalidationMessages();

	entry = hash_search(entries, &pointer.records, HASH_FIND, NULL);
	if (entry == NULL || !entry->valid)
	{
		sweep();
		entry = hash_search(entries, &pointer.records, HASH_ENTER, NULL);
		entry->valid = false;
		entry->messages = 0;
	}
	while (!entry->valid)
	{
		uint64		messages = entry->messages;

		build(store, &pointer, entry);
		entry->handle.build = ++last_build;
		entry->valid = entry->messages == messages;
	}
	if (entry->user != GetUserId() || entry->row_security_setting != row_security ||
		entry->rights_generation != rights_generation)
		find_rights(store, entry);
	*handle = entry->handle;
}

void
StoreHandleCheckColumns(const StoreHandle *handle, const char *store,
						const AttrNumber *attributes, int count)
{
	if (handle->selects_all)
		return;

	/* As ExecCheckRTEPerms does for a SELECT of these columns. */
	for (int i = 0; i < handle->key_count + count; i++)
	{
		AttrNumber	attribute = i < handle->key_count ? handle->key_attributes[i] :
			attributes[i - handle->key_count];

		if (pg_attribute_aclcheck(handle->records, attribute, GetUserId(),
								  ACL_SELECT) != ACLCHECK_OK)
			aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, psprintf("%s.records", store));
	}
}
