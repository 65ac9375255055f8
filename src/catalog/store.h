/*-------------------------------------------------------------------------
 *
 * store.h
 *		Stores and versions as the registry knows them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_STORE_H
#define VENICE_STORE_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "common/store_options.h"

/* Longest name of a store: its versions' schemas and "_history" must fit in a name. */
#define STORE_NAME_MAX_BYTES	48

/*
 * A bookkeeping column that a store may have as the last of its columns: when the
 * row's values became true.  A push or a record fills it like any other;
 * venice_internal.get returns it to whoever asks, no generated function does.
 */
#define EVENT_TIME_COLUMN "_event_time"

/* Another one: when, and where from, a row's parts were written, where that decides who wins. */
#define METADATA_COLUMN "_meta"

typedef struct StoreColumn
{
	char	   *name;
	char	   *type_name;		/* SQL text with modifiers, qualified where needed */
	bool		is_key;
	bool		not_null;
	char	   *default_expression; /* SQL text or NULL */
	char	   *source_type;	/* the Avro type it was made from, or NULL */
} StoreColumn;

typedef struct Store
{
	char	   *name;
	Oid			schema_oid;		/* InvalidOid: dropped by hand, the store is "missing" */
	Oid			owner;			/* of that schema; when it is missing, of another version's */
	char	   *server;			/* foreign server, or NULL */
	char	   *key_schema;		/* Avro, or NULL */
	char	   *value_schema;
	Jsonb	   *set_options;	/* defaults not filled in */
	StoreOptions *options;
	bool		paused;
	int			last_version;
	List	   *columns;		/* of StoreColumn, keys first */
	int			key_count;
} Store;

/* SURFACE's states of a version; their order is that of a push's life. */
typedef enum VersionState
{
	VERSION_STARTED,
	VERSION_BUILDING,
	VERSION_READY,
	VERSION_WAITING_FOR_DUMP,
	VERSION_CURRENT,
	VERSION_BACKUP,
	VERSION_FAILED,
	VERSION_ABORTED,
	VERSION_ROLLED_BACK,
	VERSION_LOST
} VersionState;

typedef struct Version
{
	char	   *store;
	int			number;
	VersionState state;
	char	   *origin;			/* "sql", "kafka", … */
	char	   *push_id;
	bool		swap;			/* false: deferred */
	StoreOptions *options;		/* effective when the push started */
	char	   *key_schema;
	char	   *value_schema;
	char	   *topic;			/* NULL unless Kafka fills it */
	bool		end_requested;
	int64		rows;			/* when it was built, 0 before */
	Jsonb	   *attachments;	/* what it has because the current one had it, or NULL */
	TimestampTz started_time;
	TimestampTz end_requested_time; /* 0: not requested */
	TimestampTz swapped_time;	/* 0: never was current */
	char	   *error;
} Version;

extern const char *VersionStateName(VersionState state);
extern VersionState VersionStateParse(const char *name);

/* Not started, not current and not past: a push that may still become current. */
extern bool VersionStateIsFuture(VersionState state);

/* It has rows that are read, or may be again: writes go to it. */
extern bool VersionStateIsComplete(VersionState state);

/* The version has no schema any more. */
extern bool VersionStateIsGone(VersionState state);

/*
 * Look a store up; palloc'd in CurrentMemoryContext.  42704 when there is none,
 * or NULL with missing_ok.
 */
extern Store *StoreLookup(const char *name, bool missing_ok);

/* The same as it is now, whatever the isolation level; 42704 when there is none. */
extern Store *StoreLookupLatest(const char *name);

/* Who owns a schema; InvalidOid when there is no such schema. */
extern Oid	SchemaOwner(Oid schema);

/* Has a role the rights of the store's owner, in the active snapshot? */
extern bool StoreHasMember(const char *name, Oid role);

/* May it see the store's statistics: a member, or who may see everybody's? */
extern bool StoreShowsStatistics(const char *name, Oid role);

/* Raise 42501 unless the current user has the rights of the store's owner. */
extern void StoreCheckOwner(const Store *store);

/* Raise 55000 when the store's schema was dropped by hand. */
extern void StoreCheckSchema(const Store *store);

/*
 * Lock the store's row, under StoreLock.  In REPEATABLE READ that fails with 40001
 * when somebody has changed the store since the transaction's snapshot: what this
 * transaction believes of its versions is no longer so.
 */
extern void StoreLockRow(const char *name);

/* One version, or NULL with missing_ok; otherwise 42704. */
extern Version *VersionLookup(const char *store, int number, bool missing_ok);

/* All versions that the registry has of a store, newest first. */
extern List *VersionList(const char *store);

/* The same as they are now, whatever the isolation level. */
extern List *VersionListLatest(const char *store);

/* The store's one version that may still become current, or NULL. */
extern Version *VersionFuture(const char *store);

/*
 * Where a version's tables are now: the store's name while it is current, or was
 * lost while it was; "<store>_v<number>" otherwise.
 */
extern char *VersionSchemaName(const char *store, int number, VersionState state);

/*
 * The version's schema; InvalidOid when it is gone, also where somebody else has
 * taken its name since.
 */
extern Oid	VersionSchema(const Store *store, const Version *version);

/* What the comment on a version's schema begins with. */
extern char *VersionDescription(const char *store, int number);

/*
 * The version's table; InvalidOid when it is gone, also where another one has its
 * name now.
 */
extern Oid	VersionRecords(const Version *version);

/*
 * The same for who does not keep swaps out: the table has another name after one, and so
 * none by which it would be found.  It may be gone.
 */
extern Oid	VersionTable(const Version *version);

/* Note which table was made for a version. */
extern void VersionTableWrite(const char *store, int number, Oid records);

/*
 * In SQL, for a row v of venice.store_version: what stands where its table should
 * be, and whether that is it.
 */
#define RECORDS_OF_V \
	"pg_catalog.to_regclass(pg_catalog.quote_ident(CASE WHEN v.state = 'current' " \
	"THEN v.store_name ELSE (v.store_name || '_v' || v.version)::pg_catalog.name END) " \
	"|| '.records')"
#define V_HAS_ITS_TABLE \
	"(" RECORDS_OF_V " = COALESCE((SELECT t.records FROM venice.version_table t " \
	"WHERE t.store_name = v.store_name AND t.version = v.version), " RECORDS_OF_V "))"

/* The topic that a version is filled from: {store} and {version} filled in. */
extern char *VersionTopic(const char *pattern, const char *store, int number);

/* The name of one of the store's real-time topics: {store} filled in. */
extern char *RealTimeTopicName(const RealTimeTopic *topic, const char *store);

/*
 * Raise 22023 for a name of a topic that Kafka would never have, and a worker would wait
 * for.  option is what to set.
 */
extern void TopicCheckName(const char *topic, const char *option, const char *store);

/*
 * The heavyweight lock that serialises what changes a store: ExclusiveLock for
 * pushes, swaps and alterations, ShareLock for whoever must not see one
 * half done.  Held to the end of the transaction.
 */
extern void StoreLock(const char *name, int lock_mode);

/* Exclusively, unless somebody has it: then false. */
extern bool StoreLockIfFree(const char *name);

/*
 * More of its kind.  Writers of rows share the first, and who makes another version
 * complete has it alone: StoreWritersLockAlone gives up after a time, false.  Who makes
 * the log of writes has the second, and who takes away what has expired the third, before the
 * first.
 */
extern void StoreWritersLock(const char *name);
extern bool StoreWritersLockAlone(const char *name, int timeout_ms);
extern void StoreLogLock(const char *name);
extern void StoreExpiryLock(const char *name);

#endif							/* VENICE_STORE_H */
