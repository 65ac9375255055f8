/*-------------------------------------------------------------------------
 *
 * build.c
 *		From a filled table to one that may become current.
 *
 * The primary key is built over what was appended.  Only where that meets a
 * duplicate, or where there are tombstones, does a repair pass sort the table
 * first: per key the row that came last stays.  "Last" is the greater ctid,
 * because a partition's rows are appended in offset order; where one key may
 * come by several partitions, _record_time and _arrival decide between them.
 *
 * Everything here may run code of the store's owner (defaults, index
 * expressions, CHECKs, triggers' definitions), so that it runs as him, in a
 * restricted context, and before the swap.
 *
 * Locks: those of the DDL on tables that nobody else uses; StoreLock by the caller.
 * Must not know: who filled the table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "version/build.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog/pointer.h"
#include "common/compat.h"
#include "common/query.h"
#include "common/subtransaction.h"
#include "version/clone.h"
#include "version/columns.h"
#include "version/functions.h"
#include "version/layout.h"
#include "version/state.h"

/* Most duplicate keys that an error names. */
#define DUPLICATES_NAMED 5

/*
 * Delete what later records of the same key replaced or deleted.  A tombstone is
 * a record like any other, standing right behind the last row of its partition
 * that came before it.  Keys are compared by PARTITION BY, that is by their
 * type's default operator class, and not by an operator's name.
 */
static void
repair(const Store *store, const Version *version, const char *records, const char *tombstones)
{
	const char *keys = KeyColumnList(store, "");
	bool		arrival = VersionHasArrival(version->options, version->origin);
	const char *extra = arrival ? ", _record_time, _arrival" : "";
	StringInfoData words;
	const char *order;

	initStringInfo(&words);
	appendStringInfo(&words, "SELECT %s%s, ctid AS place, true AS is_row FROM %s", keys, extra,
					 records);
	if (tombstones != NULL)
		appendStringInfo(&words, " UNION ALL SELECT %s%s, _loaded_through, false FROM %s", keys,
						 extra, tombstones);

	/*
	 * Where a key may come by several partitions: within each the later offset
	 * wins, whatever its timestamp; between their last words on the key the later
	 * timestamp, then the higher partition.
	 */
	if (arrival)
	{
		char	   *inner = words.data;

		initStringInfo(&words);
		appendStringInfo(&words, "SELECT *, pg_catalog.row_number() OVER (PARTITION BY %s, _arrival >> 48 "
						 "ORDER BY _arrival DESC) AS recency FROM (%s) AS word", keys, inner);
		order = "recency > 1, _record_time DESC NULLS LAST, _arrival DESC";
	}
	else
		order = "place DESC NULLS LAST, is_row";

	QueryRunf("DELETE FROM %s WHERE ctid = ANY (ARRAY(SELECT place FROM "
			  "(SELECT place, is_row, pg_catalog.row_number() OVER (PARTITION BY %s ORDER BY %s) AS rank "
			  "FROM (%s) AS word) AS ranked WHERE is_row AND rank > 1))",
			  records, keys, order, words.data);
}

/* Raise 23505 with some of the keys that stand more than once. */
pg_noreturn static void
report_duplicates(const Store *store, const char *records)
{
	const char *keys = KeyColumnList(store, "");
	StringInfoData sql;
	StringInfoData list;
	uint64		found;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT ROW(%s)::pg_catalog.text, pg_catalog.count(*) FROM %s GROUP BY %s "
					 "HAVING pg_catalog.count(*) > 1 ORDER BY 1 LIMIT %d", keys, records, keys,
					 DUPLICATES_NAMED + 1);
	found = QueryRun(sql.data, NULL);
	initStringInfo(&list);
	for (uint64 i = 0; i < Min(found, DUPLICATES_NAMED); i++)
		appendStringInfo(&list, "%s%s " INT64_FORMAT " times", i > 0 ? ", " : "",
						 QueryText(i, 1, CurrentMemoryContext), QueryInt8(i, 2, 0));
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("push to store \"%s\" has duplicate keys", store->name),
			 errdetail("(%s): %s%s.", keys, list.data,
					   found > DUPLICATES_NAMED ? ", and others" : ""),
			 errhint("Push each key once, or set the option on_duplicate to \"last\".")));
	pg_unreachable();
}

typedef struct PrimaryKey
{
	const Store *store;
	const char *records;
} PrimaryKey;

static void
add_primary_key(void *argument)
{
	const PrimaryKey *key = argument;

	QueryRunf("ALTER TABLE %s ADD CONSTRAINT records_pkey PRIMARY KEY (%s)", key->records,
			  KeyColumnList(key->store, ""));
}

/* Build the primary key; false when there are duplicates. */
static bool
try_primary_key(const Store *store, const char *records)
{
	PrimaryKey	key = {store, records};

	return SubtransactionTry(add_primary_key, &key, ERRCODE_UNIQUE_VIOLATION) == NULL;
}

static bool
has_rows(const char *table)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT FROM %s LIMIT 1", table);
	return QueryRun(sql.data, NULL) > 0;
}

/*
 * How many rows there are, from what the index build has just counted; that is a
 * float, which is exact up to 2^24.
 */
static int64
count_rows(Oid relation, const char *records)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	float4		counted = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
	StringInfoData sql;

	ReleaseSysCache(tuple);
	if (counted >= 0 && counted < (1 << 24))
		return (int64) counted;
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT pg_catalog.count(*) FROM %s", records);
	(void) QueryRun(sql.data, NULL);
	return QueryInt8(0, 1, 0);
}

static void
report_progress(BuildProgress progress, const Version *version, BuildPhase phase, void *argument)
{
	if (progress != NULL)
		progress(version, phase, argument);
}

void
VersionFollow(const Store *store, Version *version, Oid current)
{
	Oid			records = VersionRecords(version);
	Oid			owner = SchemaOwner(get_rel_namespace(records));
	Jsonb	   *attachments = version->attachments;
	UserContext user;
	QuerySession session;
	bool		to_analyze;

	UserContextEnter(&user, owner);
	to_analyze = CloneUserObjects(current, records, &attachments);
	CloneSettings(current, records);
	CloneStatisticsSettings(current, records);
	UserContextLeave(&user);

	/* Of a version that is complete the build has done it, and autovacuum has no reason to. */
	if (to_analyze && version->state != VERSION_BUILDING)
	{
		QueryBegin(&session, owner);
		QueryRunf("ANALYZE %s", QualifiedName(records));
		QueryEnd(&session);
	}
	if (version->attachments == NULL || VARSIZE(attachments) != VARSIZE(version->attachments) ||
		memcmp(attachments, version->attachments, VARSIZE(attachments)) != 0)
		VersionSetAttachments(version, attachments);
}

void
VersionBuild(Store *store, Version *version, BuildProgress progress, void *argument)
{
	char	   *schema = VersionSchemaName(store->name, version->number, version->state);
	Oid			schema_oid = get_namespace_oid(schema, false);
	char	   *records = quote_qualified_identifier(schema, "records");
	char	   *tombstones = NULL;
	bool		kafka = strcmp(version->origin, "kafka") == 0;
	bool		may_repair = kafka || version->options->on_duplicate_last;
	VersionPointer pointer;
	QuerySession session;
	int64		rows;

	if (!OidIsValid(VersionRecords(version)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("version %d of store \"%s\" has lost its table", version->number,
						store->name),
				 errhint("Abort the push with venice.abort_push(%s), and push again.",
						 quote_literal_cstr(store->name))));
	if (OidIsValid(get_relname_relid("tombstones", schema_oid)))
		tombstones = quote_qualified_identifier(schema, "tombstones");

	VersionAddColumns(store, version);
	QueryBegin(&session, SchemaOwner(schema_oid));
	if (tombstones != NULL && has_rows(tombstones))
	{
		report_progress(progress, version, BUILD_REPAIRING, argument);
		repair(store, version, records, tombstones);
	}
	report_progress(progress, version, BUILD_INDEXING, argument);
	if (!try_primary_key(store, records))
	{
		if (!may_repair)
			report_duplicates(store, records);
		report_progress(progress, version, BUILD_REPAIRING, argument);
		repair(store, version, records, tombstones);
		report_progress(progress, version, BUILD_INDEXING, argument);
		if (!try_primary_key(store, records))
			report_duplicates(store, records);
	}

	rows = count_rows(get_relname_relid("records", schema_oid), records);

	report_progress(progress, version, BUILD_CHECKING, argument);
	QueryEnd(&session);
	if (VersionPointerRead(store->name, GetLatestSnapshot(), &pointer))
		VersionFollow(store, version, pointer.records);

	QueryBegin(&session, SchemaOwner(schema_oid));
	report_progress(progress, version, BUILD_ANALYZING, argument);
	QueryRunf("ALTER TABLE %s RESET (autovacuum_enabled)", records);
	QueryRunf("ANALYZE %s", records);
	if (tombstones != NULL)
		QueryRunf("DROP TABLE %s", tombstones);
	VersionSeal(store, version->options, schema);

	QueryEnd(&session);
	GeneratedFunctionsCreate(store, schema_oid);

	VersionSetRows(version, rows);
	VersionSetState(version, VERSION_READY);
	VersionDescribe(store, version);
}
