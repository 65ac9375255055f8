/*-------------------------------------------------------------------------
 *
 * push.c
 *		Starting, ending, aborting and awaiting pushes.
 *
 * A push through SQL is finished in the caller's transaction: build and swap are
 * ordinary DDL there.  A push through Kafka is finished by workers, whose
 * commits the caller could not see from within a function; end_push only asks
 * for it, and waiting is a procedure, which holds no snapshot meanwhile.
 *
 * Locks: StoreLock, exclusively, but while waiting.
 * Must not know: how records are ingested.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "store/push.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "apply/expire.h"
#include "apply/log.h"
#include "apply/outbox.h"
#include "catalog/node.h"
#include "catalog/pointer.h"
#include "catalog/store.h"
#include "common/compat.h"
#include "common/item_list.h"
#include "common/query.h"
#include "common/server_options.h"
#include "common/shmem.h"
#include "read/warm.h"
#include "store/arguments.h"
#include "store/put.h"
#include "store/quota.h"
#include "version/build.h"
#include "version/dependents.h"
#include "version/layout.h"
#include "version/retire.h"
#include "version/state.h"
#include "version/streams.h"
#include "version/swap.h"

PG_FUNCTION_INFO_V1(venice_start_push);
PG_FUNCTION_INFO_V1(venice_end_push);
PG_FUNCTION_INFO_V1(venice_abort_push);
PG_FUNCTION_INFO_V1(venice_push);
PG_FUNCTION_INFO_V1(venice_incremental_push);
PG_FUNCTION_INFO_V1(venice_repush);
PG_FUNCTION_INFO_V1(venice_row_time);
PG_FUNCTION_INFO_V1(venice_wait_for_push);

#define PUSH_ID_MAX_BYTES		1000	/* it is a key */

#define WAIT_STEP_MS	100		/* between two looks at the version, of which nobody tells */
#define NOTICE_EVERY_MS 2000	/* between two NOTICEs of the same phase */

static const char *const push_options[] = {"origin", "version_topic", NULL};

pg_noreturn static void
refuse_push_id(const Store *store, const char *push_id, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("store \"%s\" has had a push \"%s\" of another kind", store->name, push_id),
			 errdetail_internal("%s", detail),
			 errhint("Use another push id for another push.")));
	pg_unreachable();
}

/* The id that was given, or a new one. */
static char *
make_push_id(char *push_id)
{
	if (push_id != NULL && (push_id[0] == '\0' || strlen(push_id) > PUSH_ID_MAX_BYTES))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid push id: \"%s\"", push_id),
				 errdetail("A push id has 1 to %d bytes.", PUSH_ID_MAX_BYTES)));
	if (push_id != NULL)
		return push_id;
	return DatumGetCString(DirectFunctionCall1(uuid_out, DirectFunctionCall1(gen_random_uuid,
																			 (Datum) 0)));
}

/* The version of an earlier push with this id, or NULL. */
static Version *
find_push(const Store *store, const char *push_id)
{
	QuerySession session;
	QueryArgs	args = {0};
	int			number = -1;
	char	   *state = NULL;
	bool		incremental = false;
	Version    *version;

	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	QueryArgText(&args, push_id);
	if (QueryRun("SELECT version, state, origin = 'incremental' FROM venice.push "
				 "WHERE store_name = $1::name AND push_id = $2", &args) == 1)
	{
		number = QueryInt4(0, 1, -1);
		state = QueryText(0, 2, session.result_context);
		incremental = QueryBool(0, 3);
	}
	QueryEnd(&session);
	if (number < 0)
		return NULL;
	if (incremental)
		refuse_push_id(store, push_id, "It was incremental.");

	version = VersionLookup(store->name, number, true);
	if (version == NULL || VersionStateIsGone(version->state))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("push \"%s\" to store \"%s\" is over", push_id, store->name),
				 errdetail("It filled version %d and is %s.", number, state),
				 errhint("Use another push id for another push.")));
	return version;
}

/* Is a push of this store through Kafka, unless the options say otherwise? */
static bool
push_uses_kafka(const Store *store, const Jsonb *options)
{
	char	   *origin;
	bool		kafka;

	OptionsCheckKeys(options, push_options, NULL);
	origin = OptionString(options, "origin");
	kafka = origin != NULL ? strcmp(origin, "kafka") == 0 : store->server != NULL;
	if (!kafka && OptionString(options, "version_topic") != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"version_topic\" is for pushes through Kafka")));
	if (origin == NULL || strcmp(origin, "sql") == 0)
		return kafka;
	if (!kafka)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", "origin", origin),
				 errhint("It takes one of \"kafka\", \"sql\".")));
	if (store->server == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("store \"%s\" has no server to push from", store->name),
				 errhint("Make the store with a foreign server of venice_kafka.")));
	return true;
}

static void
check_node(void)
{
	if (!NodeIsKnown())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this database was restored or copied and does not ingest"),
				 errhint("If it is to take over, run SELECT venice.resume_ingestion().")));
}

/*
 * Begin a push, or find the one with this id.  topic_pattern: NULL for the store's.
 * StoreLock is held.
 */
static Version *
start_push(Store *store, char *push_id, const char *origin, const char *topic_pattern, bool *found)
{
	bool		kafka = strcmp(origin, "kafka") == 0;
	Version    *version = push_id != NULL ? find_push(store, push_id) : NULL;
	int			number = store->last_version + 1;
	char	   *topic = NULL;
	ListCell   *cell;

	*found = version != NULL;
	if (*found)
		return version;

	/* A schema that somebody has put in the way costs a number, not the push. */
	while (OidIsValid(get_namespace_oid(VersionSchemaName(store->name, number, VERSION_STARTED),
										true)))
		number++;

	StoreCheckSchema(store);
	version = VersionFuture(store->name);
	if (version != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("a push to store \"%s\" is running", store->name),
				 errdetail("Push \"%s\" fills version %d, which is %s.", version->push_id,
						   version->number, VersionStateName(version->state)),
				 errhint("Finish it first, or stop it with venice.abort_push(%s).",
						 quote_literal_cstr(store->name))));
	QuotaCheckStorage(store);
	push_id = make_push_id(push_id);
	if (kafka)
	{
		WorkersRequire("a push through Kafka");
		check_node();
		ServerOptionsCheckUsage(store->server, store->owner);
		topic = VersionTopic(topic_pattern ? topic_pattern : store->options->version_topic,
							 store->name, number);
		TopicCheckName(topic, "version_topic", store->name);
	}
	else if (store->options->real_time_topics != NIL)
	{
		WorkersRequire("a push to a hybrid store");
		check_node();
	}
	foreach(cell, store->options->real_time_topics)
		ServerOptionsCheckUsage(((RealTimeTopic *) lfirst(cell))->server, store->owner);
	if (!kafka && store->options->unlogged && !store->options->accept_loss)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a push without a topic to an unlogged version could not be loaded again"),
				 errhint("Accept its loss in a crash by the option accept_loss, or reset unlogged.")));

	VersionInsert(store, number, origin, push_id, true, topic);
	(void) VersionCreate(store, number, VERSION_STARTED, origin);
	store->last_version = number;
	version = VersionLookup(store->name, number, false);
	VersionDescribe(store, version);
	if (kafka)
		SupervisorWakeAtCommit();
	return version;
}

/*
 * venice_start_push
 *		start_push(store, push_id, options): one row (version, schema).
 */
Datum
venice_start_push(PG_FUNCTION_ARGS)
{
	Store	   *store = ArgumentOwnedStore(fcinfo);
	char	   *push_id = ArgumentText(fcinfo, 1, "push_id", false);
	Jsonb	   *options = ArgumentOptions(fcinfo, 2);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Version    *version;
	NameData	schema;
	Datum		values[2];
	bool		nulls[2] = {false};
	bool		found;

	version = start_push(store, push_id, push_uses_kafka(store, options) ? "kafka" : "sql",
						 OptionString(options, "version_topic"), &found);
	namestrcpy(&schema, VersionSchemaName(store->name, version->number, version->state));
	InitMaterializedSRF(fcinfo, 0);
	values[0] = Int32GetDatum(version->number);
	values[1] = NameGetDatum(&schema);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	return (Datum) 0;
}

void
PushAgain(Store *store, const Version *lost)
{
	bool		found;
	Version    *version = start_push(store, NULL, "kafka", lost->topic, &found);

	VersionRequestEnd(version, true);
	VersionSetDetail(version, psprintf("It replaces version %d, which a crash has emptied.",
									   lost->number));
}

/* The version meant by argument 1, or the store's one future version. */
static Version *
argument_push(FunctionCallInfo fcinfo, const Store *store)
{
	Version    *version;

	if (!PG_ARGISNULL(1))
		return VersionLookup(store->name, PG_GETARG_INT32(1), false);
	version = VersionFuture(store->name);
	if (version == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("store \"%s\" has no push in progress", store->name),
				 errhint("Start one with venice.start_push(%s).",
						 quote_literal_cstr(store->name))));
	return version;
}

/* Make a version complete that the transaction has filled. */
static void
build_here(Store *store, Version *version, bool swap, Snapshot copied)
{
	VersionRequestEnd(version, swap);
	VersionSetState(version, VERSION_BUILDING);
	VersionBuild(store, version, NULL, NULL);
	VersionCatchUp(store, version, copied);
	DependentsWarn(store);
}

/* What has to catch up first is swapped by a worker, once it has. */
static void
swap_here(Store *store, Version *version)
{
	if (!VersionHasCaughtUp(version))
		return;
	(void) VersionWarm(store, version);
	(void) VersionSwap(store, version, SWAP_PUSH);
}

static void
end_sql_push(Store *store, Version *version, bool swap)
{
	build_here(store, version, swap, NULL);
	if (swap)
		swap_here(store, version);
	/* Retirement of what this push displaces is a worker's. */
	SupervisorWakeAtCommit();
}

/* The push has been ended before: what counts is what was said last about the swap. */
static void
change_mind(Store *store, Version *version, bool swap)
{
	VersionRequestEnd(version, swap);
	if (swap && version->state != VERSION_BUILDING)
		swap_here(store, version);
	else if (!swap && version->state == VERSION_WAITING_FOR_DUMP)
		VersionSetState(version, VERSION_READY);
	SupervisorWakeAtCommit();
}

/*
 * venice_end_push
 *		end_push(store, version, swap): the version's state.
 */
Datum
venice_end_push(PG_FUNCTION_ARGS)
{
	Store	   *store = ArgumentOwnedStore(fcinfo);
	Version    *version = argument_push(fcinfo, store);
	bool		swap = PG_ARGISNULL(2) || PG_GETARG_BOOL(2);

	StoreCheckSchema(store);
	if (version->state == VERSION_STARTED && strcmp(version->origin, "sql") == 0)
		end_sql_push(store, version, swap);
	else if (version->state == VERSION_STARTED)
	{
		WorkersRequire("the end of a push through Kafka");
		DependentsWarn(store);
		VersionRequestEnd(version, swap);
		SupervisorWakeAtCommit();
	}
	else if (VersionStateIsFuture(version->state))
		change_mind(store, version, swap);
	else if (VersionStateIsGone(version->state) || version->state == VERSION_LOST)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("push of version %d of store \"%s\" is %s", version->number, store->name,
						VersionStateName(version->state)),
				 version->error ? errdetail_internal("%s", version->error) : 0));
	PG_RETURN_TEXT_P(cstring_to_text(VersionStateName(version->state)));
}

/*
 * venice_abort_push
 *		abort_push(store, version).
 */
Datum
venice_abort_push(PG_FUNCTION_ARGS)
{
	Store	   *store = ArgumentOwnedStore(fcinfo);
	Version    *version = argument_push(fcinfo, store);

	if (!VersionStateIsFuture(version->state))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d of store \"%s\" is %s, not being pushed", version->number,
						store->name, VersionStateName(version->state)),
				 version->state == VERSION_CURRENT ?
				 errhint("Go back with venice.rollback_version(%s).",
						 quote_literal_cstr(store->name)) : 0));
	if (version->topic != NULL)
		IngestionStop(store->name, version->number);
	VersionSetState(version, VERSION_ABORTED);
	VersionDropSchema(store, version, 0);
	PG_RETURN_VOID();
}

/* "k, v1, v2": what a push's query returns, in order. */
static char *
column_list(const Store *store)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, store->columns)
		ItemListAppend(&list, "%s", quote_identifier(((StoreColumn *) lfirst(cell))->name));
	return list.data;
}

static void
check_query(const char *query)
{
	List	   *statements = ParseUserText("", query, "", NULL);

	if (list_length(statements) != 1 ||
		!IsA(linitial_node(RawStmt, statements)->stmt, SelectStmt))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("the query of a push must be one SELECT, VALUES or TABLE")));
}

/*
 * venice_push
 *		push(store, query, push_id, options): the version.
 *
 * The query runs as the caller, with his rights and search_path: it is his.
 */
Datum
venice_push(PG_FUNCTION_ARGS)
{
	Store	   *store = ArgumentOwnedStore(fcinfo);
	char	   *query = ArgumentText(fcinfo, 1, "query", true);
	char	   *push_id = ArgumentText(fcinfo, 2, "push_id", false);
	Jsonb	   *options = ArgumentOptions(fcinfo, 3);
	static const char *const no_options[] = {NULL};
	Version    *version;
	bool		found;

	OptionsCheckKeys(options, no_options, NULL);
	check_query(query);
	version = start_push(store, push_id, "sql", NULL, &found);
	if (found && VersionStateIsFuture(version->state))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("push \"%s\" to store \"%s\" is running", push_id, store->name),
				 errdetail("It fills version %d, which is %s.", version->number,
						   VersionStateName(version->state)),
				 errhint("Finish it with venice.end_push(%s), or stop it with venice.abort_push(%s).",
						 quote_literal_cstr(store->name), quote_literal_cstr(store->name))));
	if (!found)
	{
		char	   *schema = VersionSchemaName(store->name, version->number, version->state);

		char	   *sql = psprintf("INSERT INTO %s (%s) %s",
								   quote_qualified_identifier(schema, "records"),
								   column_list(store), query);

		SPI_connect();
		if (SPI_execute(sql, false, 0) != SPI_OK_INSERT)
			elog(ERROR, "could not execute \"%s\"", sql);
		SPI_finish();
		end_sql_push(store, version, true);
	}
	PG_RETURN_INT32(version->number);
}

/* Has a push that makes no version this id?  It is done then. */
static bool
incremental_push_is_done(const Store *store, const char *push_id)
{
	QuerySession session;
	QueryArgs	args = {0};
	bool		incremental;
	bool		found;

	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	QueryArgText(&args, push_id);
	found = QueryRun("SELECT origin = 'incremental' FROM venice.push "
					 "WHERE store_name = $1::name AND push_id = $2", &args) > 0;
	incremental = found && QueryBool(0, 1);
	QueryEnd(&session);
	if (found && !incremental)
		refuse_push_id(store, push_id, "It made a version.");
	return found;
}

/* Through a topic it is completed by who reads its end there. */
static void
finish_incremental_push(const Store *store, const char *push_id, int64 rows)
{
	const char *started_by = GetUserNameFromId(GetOuterUserId(), false);
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	QueryArgText(&args, push_id);
	QueryArgText(&args, started_by);
	QueryArgInt8(&args, rows);
	QueryArgBool(&args, StoreIsProduced(store));
	(void) QueryRun("INSERT INTO venice.push (store_name, push_id, version, origin, state, started_by, "
					"ended_time, rows) SELECT store_name, $2, version, 'incremental', "
					"CASE WHEN $5 THEN 'started' ELSE 'completed' END, $3::name, "
					"CASE WHEN NOT $5 THEN pg_catalog.clock_timestamp() END, $4 "
					"FROM venice.version_pointer WHERE store_name = $1::name", &args);
	QueryEnd(&session);
}

/*
 * venice_incremental_push
 *		incremental_push(store, query, push_id): the push's id.
 *
 * The query runs as the caller, as that of a push does.
 */
Datum
venice_incremental_push(PG_FUNCTION_ARGS)
{
	Store	   *store = ArgumentOwnedStore(fcinfo);
	char	   *query = ArgumentText(fcinfo, 1, "query", true);
	char	   *push_id = make_push_id(ArgumentText(fcinfo, 2, "push_id", false));

	check_query(query);
	if (!incremental_push_is_done(store, push_id))
		finish_incremental_push(store, push_id, StorePutQuery(store, query, push_id));
	PG_RETURN_TEXT_P(cstring_to_text(push_id));
}

/*
 * venice_row_time
 *		row_time(metadata): a row's one time, NULL where its fields have their own.
 */
Datum
venice_row_time(PG_FUNCTION_ARGS)
{
	int64		time;

	if (!MetadataReadTime(PG_GETARG_BYTEA_PP(0), &time))
		PG_RETURN_NULL();
	PG_RETURN_INT64(time);
}

/* Do a version's first columns have the names of another one's, as metadata by field want it? */
static bool
columns_continue(const Store *store, Oid current, Oid future)
{
	TupleDesc	from = WriteColumns(store, current);
	TupleDesc	to = WriteColumns(store, future);

	for (int i = 0; i < from->natts; i++)
		if (i >= to->natts || strcmp(NameStr(TupleDescAttr(from, i)->attname),
									 NameStr(TupleDescAttr(to, i)->attname)) != 0)
			return false;
	return true;
}

/* What a repush does beside copying. */
typedef struct Repush
{
	Oid			current;		/* records of the versions */
	Oid			future;
	bool		with_times;		/* both know when rows were written */
	bool		times_by_field; /* those of fields, too: the next version has a place for them */
	int64		before;			/* what was written before has expired; 0: nothing has */
	bool		with_pushed;	/* so has what came with the push */
} Repush;

/* In SQL: metadata as the next version can have them. */
static const char *
metadata_that_fit(const Repush *repush, const char *metadata)
{
	if (repush->times_by_field)
		return metadata;
	return psprintf("CASE WHEN venice_internal.row_time(%s) IS NOT NULL THEN %s END", metadata,
					metadata);
}

/* What is known of deleted rows is known of the copy, too. */
static void
copy_tombstones(const Store *store, const Repush *repush)
{
	Oid			from = get_relname_relid("tombstones", get_rel_namespace(repush->current));
	Oid			to = get_relname_relid("tombstones", get_rel_namespace(repush->future));
	QuerySession session;

	if (!OidIsValid(from) || !OidIsValid(to))
		return;
	QueryBegin(&session, store->owner);
	QueryRunf("INSERT INTO %s SELECT t.* FROM %s t LEFT JOIN %s r USING (%s) "
			  "WHERE r IS NULL AND %s IS NOT NULL ON CONFLICT DO NOTHING", QualifiedName(to),
			  QualifiedName(from), QualifiedName(repush->future), KeyColumnList(store, ""),
			  metadata_that_fit(repush, "t._meta"));
	QueryEnd(&session);
}

/*
 * "k::bigint AS k, v::text AS v": the columns of records as the store's are by now.  One
 * that it does not have yet has its default.
 */
static char *
columns_as_now(const Store *store, Oid records)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, store->columns)
	{
		const StoreColumn *column = lfirst(cell);
		const char *name = quote_identifier(column->name);
		const char *value = column->default_expression;

		if (get_attnum(records, column->name) != InvalidAttrNumber)
			value = name;
		ItemListAppend(&list, "(%s)::%s AS %s", value != NULL ? value : "NULL", column->type_name,
					   name);
	}
	return list.data;
}

/* "q.k::bigint, q.v::text", or without casts. */
static char *
prefixed_columns(const Store *store, const char *prefix, bool casts)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, store->columns)
	{
		const StoreColumn *column = lfirst(cell);

		ItemListAppend(&list, "%s.%s%s%s", prefix, quote_identifier(column->name), casts ? "::" : "",
					   casts ? column->type_name : "");
	}
	return list.data;
}

/* In SQL, on the current version's rows: which of them have not expired as a whole. */
static const char *
not_expired(const Repush *repush)
{
	if (repush->before == 0)
		return "";
	return psprintf(" WHERE %sCOALESCE(venice_internal.row_time(_meta) >= " INT64_FORMAT ", true)",
					repush->with_pushed ? "_meta IS NOT NULL AND " : "", repush->before);
}

/*
 * Fill a version with the rows of a query over the current one, which it knows as "current".
 * A row that it leaves as it is keeps what is known of when it was written; one that it changes
 * does so only where that does not decide who wins, because it came with this push.
 */
static char *
repush_statement(const Store *store, const char *query, const Repush *repush)
{
	bool		by_arrival = strcmp(store->options->conflict_resolution, "arrival") == 0;
	const char *columns = column_list(store);
	const char *from = QualifiedName(repush->current);
	const char *to = QualifiedName(repush->future);
	const char *current = psprintf("WITH current AS (SELECT %s FROM %s%s)",
								   columns_as_now(store, repush->current), from,
								   not_expired(repush));
	const char *metadata = metadata_that_fit(repush, "c._meta");

	if (query == NULL)
		query = "TABLE current";
	if (!repush->with_times)
		return psprintf("INSERT INTO %s (%s) %s SELECT * FROM (%s) AS q", to, columns, current, query);
	if (!by_arrival)
		metadata = psprintf("CASE WHEN pg_catalog.record_image_eq(ROW(%s), ROW(%s)) THEN %s END",
							prefixed_columns(store, "q", true),
							prefixed_columns(store, "c", false), metadata);
	return psprintf("INSERT INTO %s (%s, _meta) %s SELECT %s, %s FROM (%s) AS q (%s) "
					"LEFT JOIN (SELECT %s, _meta FROM %s) AS c USING (%s)", to, columns, current,
					prefixed_columns(store, "q", true), metadata, query, columns,
					columns_as_now(store, repush->current), from, KeyColumnList(store, ""));
}

/* The current version, unless a crash has emptied it. */
static Version *
current_to_copy(const Store *store)
{
	ListCell   *cell;

	foreach(cell, VersionList(store->name))
	{
		Version    *version = lfirst(cell);

		if (version->state == VERSION_CURRENT)
			return version;
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("store \"%s\" has no current version to push again", store->name),
			 errdetail("It was unlogged, and lost in a crash."),
			 errhint("Push all of its rows.")));
	pg_unreachable();
}

static void
run_under(const char *sql, Snapshot snapshot)
{
	SPIPlanPtr	plan;

	SPI_connect();
	plan = SPI_prepare(sql, 0, NULL);
	if (plan == NULL || SPI_execute_snapshot(plan, NULL, NULL, snapshot, InvalidSnapshot, false,
											 true, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not execute \"%s\"", sql);
	SPI_finish();
}

/*
 * When what the current version did not get by writes was pushed: that goes back to the last
 * push that was no copy of the version before.
 */
static TimestampTz
pushed_time(const Store *store, const Version *current)
{
	QuerySession session;
	QueryArgs	args = {0};
	Datum		time;
	bool		isnull;

	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	QueryArgInt4(&args, current->number);
	(void) QueryRun("SELECT pg_catalog.max(started_time) FROM venice.push WHERE store_name = $1::name "
					"AND version <= $2 AND origin NOT IN ('repush', 'incremental') AND state = 'completed'",
					&args);
	time = QueryDatum(0, 1, &isnull);
	QueryEnd(&session);
	return isnull ? current->started_time : DatumGetTimestampTz(time);
}

/* The length of the option ttl: the store's, unless another one is given; 0: rows do not expire. */
static int64
repush_ttl(const Store *store, const Jsonb *options)
{
	char	   *given = OptionText(options, "ttl");
	Jsonb	   *checked;

	if (given == NULL)
		return store->options->ttl_us;
	if (strcmp(given, "true") == 0)
	{
		if (store->options->ttl_us == 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("store \"%s\" has no ttl", store->name),
					 errhint("Give an interval, or set the store's option ttl.")));
		return store->options->ttl_us;
	}
	if (strcmp(given, "false") == 0)
		OptionRefuse(options, "ttl", "an interval, or true for the store's");
	checked = DatumGetJsonbP(DirectFunctionCall2(jsonb_delete, PointerGetDatum(options),
												 CStringGetTextDatum("expire_batch_rows")));
	StoreOptionsCheck(checked);
	return StoreOptionsParse(checked)->ttl_us;
}

/* What has expired, by the options of a repush. */
static void
read_expiry(const Store *store, const Version *current, const Jsonb *options, Repush *repush)
{
	int64		ttl_us = repush_ttl(store, options);
	char	   *with_pushed = OptionText(options, "expire_batch_rows");
	bool		knows_times = get_attnum(repush->current, METADATA_COLUMN) != InvalidAttrNumber;
	TimestampTz end;

	if (with_pushed != NULL && strcmp(with_pushed, "true") != 0 && strcmp(with_pushed, "false") != 0)
		OptionRefuse(options, "expire_batch_rows", "true or false");
	repush->with_pushed = with_pushed != NULL && strcmp(with_pushed, "true") == 0;
	if (repush->with_pushed && ttl_us == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("rows of store \"%s\" do not expire", store->name),
				 errhint("Say when, with the option ttl.")));
	if (!knows_times && (repush->with_pushed || OptionText(options, "ttl") != NULL))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("rows of store \"%s\" do not say when they were written", store->name),
				 errdetail("Its current version was made without a ttl."),
				 errhint("Set the store's option ttl: the next version keeps the time of what is written to it.")));
	if (ttl_us == 0 || !knows_times)
		return;
	repush->before = Max(ExpiryTime(ttl_us), 1);
	end = GetCurrentTimestamp() - ttl_us;
	repush->with_pushed = repush->with_pushed && pushed_time(store, current) < end;
}

/*
 * venice_repush
 *		repush(store, query, options): the version.
 */
Datum
venice_repush(PG_FUNCTION_ARGS)
{
	Store	   *store = ArgumentOwnedStore(fcinfo);
	char	   *query = ArgumentText(fcinfo, 1, "query", false);
	Jsonb	   *options = ArgumentOptions(fcinfo, 2);
	static const char *const repush_options[] = {"expire_batch_rows", "ttl", NULL};
	Repush		repush = {InvalidOid};
	Version    *current;
	Version    *version;
	Snapshot	copied;
	bool		found;

	OptionsCheckKeys(options, repush_options, NULL);
	if (query != NULL)
		check_query(query);
	current = current_to_copy(store);
	repush.current = VersionRecords(current);
	read_expiry(store, current, options, &repush);
	version = start_push(store, NULL, "repush", NULL, &found);
	repush.future = VersionRecords(version);
	repush.with_times = get_attnum(repush.current, METADATA_COLUMN) != InvalidAttrNumber &&
		get_attnum(repush.future, METADATA_COLUMN) != InvalidAttrNumber;
	repush.times_by_field = strcmp(store->options->conflict_resolution, "arrival") != 0 &&
		columns_continue(store, repush.current, repush.future);
	copied = RegisterSnapshot(GetTransactionSnapshot());
	run_under(repush_statement(store, query, &repush), copied);
	VersionStreamsCopy(current, version, copied);
	build_here(store, version, true, copied);
	UnregisterSnapshot(copied);
	if (repush.with_times)
		copy_tombstones(store, &repush);
	if (repush.with_times && repush.before > 0)
		VersionExpire(store, version, repush.before, repush.with_pushed);
	swap_here(store, version);
	SupervisorWakeAtCommit();
	PG_RETURN_INT32(version->number);
}

/* Does a version that is built wait for its real-time topics? */
static bool
is_behind(const Version *version)
{
	/* A standby cannot read the positions of unlogged versions. */
	return version->state == VERSION_READY && !RecoveryInProgress() && !VersionHasCaughtUp(version);
}

/* How far it is with them, and what is in the way. */
static char *
describe_behind(const Version *version)
{
	QuerySession session;
	QueryArgs	args = {0};
	int64		lag;
	char	   *error;

	QueryBeginRegistry(&session);
	QueryArgText(&args, version->store);
	QueryArgInt4(&args, version->number);
	(void) QueryRun("SELECT pg_catalog.sum(lag)::bigint, pg_catalog.min(last_error) "
					"FROM venice.stat_ingestion WHERE store = $1::name AND version = $2 "
					"AND region IS NOT NULL", &args);
	lag = QueryInt8(0, 1, -1);
	error = QueryText(0, 2, session.result_context);
	QueryEnd(&session);
	if (error != NULL)
		return psprintf("store \"%s\", version %d: catching up with its real-time topics: %s",
						version->store, version->number, error);
	if (lag < 0)
		return psprintf("store \"%s\", version %d: catching up with its real-time topics",
						version->store, version->number);
	return psprintf("store \"%s\", version %d: catching up with its real-time topics, " INT64_FORMAT
					" records to go", version->store, version->number, lag);
}

/*
 * Progress of a push in words, for a NOTICE.
 */
static char *
describe_progress(const Version *version)
{
	QuerySession session;
	QueryArgs	args = {0};
	int64		messages;
	int64		remaining;
	int64		partitions;
	int64		done;

	if (is_behind(version))
		return describe_behind(version);
	if (version->state != VERSION_STARTED)
		return psprintf("store \"%s\", version %d: %s", version->store, version->number,
						VersionStateName(version->state));

	if (version->topic == NULL)
		return psprintf("store \"%s\", version %d: being filled through SQL, end_push not called",
						version->store, version->number);

	QueryBeginRegistry(&session);
	QueryArgText(&args, version->store);
	QueryArgInt4(&args, version->number);
	/* A standby cannot read an unlogged table. */
	(void) QueryRun(psprintf("SELECT pg_catalog.sum(messages)::bigint, "
							 "CASE WHEN pg_catalog.bool_and(done OR end_offset - next_offset IS NOT NULL) "
							 "THEN COALESCE(pg_catalog.sum(GREATEST(end_offset - next_offset, 0)) FILTER (WHERE NOT done), 0) END::bigint, "
							 "pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE done) "
							 "FROM (TABLE venice.partition_state%s) p "
							 "WHERE store_name = $1::name AND version = $2",
							 RecoveryInProgress() ? "" :
							 " UNION ALL TABLE venice.unlogged_partition_state"), &args);
	messages = QueryInt8(0, 1, 0);
	remaining = QueryInt8(0, 2, -1);
	partitions = QueryInt8(0, 3, 0);
	done = QueryInt8(0, 4, 0);
	QueryEnd(&session);

	if (partitions == 0)
		return psprintf("store \"%s\", version %d: topic \"%s\" is not being read yet, see venice.stat_ingestion",
						version->store, version->number, version->topic);
	if (!version->end_requested)
		return psprintf("store \"%s\", version %d: loaded " INT64_FORMAT " records, end not requested",
						version->store, version->number, messages);
	if (remaining < 0)
		return psprintf("store \"%s\", version %d: loaded " INT64_FORMAT " records, "
						INT64_FORMAT " of " INT64_FORMAT " partitions done",
						version->store, version->number, messages, done, partitions);
	return psprintf("store \"%s\", version %d: loaded " INT64_FORMAT " records, "
					INT64_FORMAT " to go, " INT64_FORMAT " of " INT64_FORMAT " partitions done",
					version->store, version->number, messages, remaining, done, partitions);
}

/* The version that a wait without a number means: the one being pushed, else the last one. */
static int
awaited_version(const char *store)
{
	Version    *version = VersionFuture(store);
	List	   *versions;

	if (version != NULL)
		return version->number;
	versions = VersionList(store);
	version = versions != NIL ? linitial(versions) : NULL;
	if (version == NULL || version->number == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("store \"%s\" has no push to wait for", store),
				 errhint("Start one with venice.start_push(%s).", quote_literal_cstr(store))));
	return version->number;
}

/* Is there nothing left to wait for?  Raises the push's own error if it failed. */
static bool
push_is_over(const Version *version)
{
	if (version->state == VERSION_FAILED || version->state == VERSION_LOST)
	{
		QuerySession session;
		QueryArgs	args = {0};
		char	   *sqlstate;
		char	   *detail;
		bool		rejected;

		QueryBeginRegistry(&session);
		QueryArgText(&args, version->store);
		QueryArgInt4(&args, version->number);
		(void) QueryRun("SELECT sqlstate, detail, EXISTS (SELECT FROM venice.rejected_record r "
						"WHERE r.store_name = v.store_name AND r.version = v.version) "
						"FROM venice.store_version v WHERE store_name = $1::name AND version = $2", &args);
		sqlstate = QueryText(0, 1, session.result_context);
		detail = QueryText(0, 2, session.result_context);
		rejected = QueryBool(0, 3);
		QueryEnd(&session);
		ereport(ERROR,
				(errcode(sqlstate && strlen(sqlstate) == 5 ?
						 MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2], sqlstate[3],
									   sqlstate[4]) :
						 ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("push of version %d of store \"%s\" %s: %s", version->number,
						version->store,
						version->state == VERSION_LOST ? "was lost" : "failed",
						version->error ? version->error : "unlogged, and the server crashed"),
				 detail ? errdetail_internal("%s", detail) : 0,
				 rejected ? errhint("Look at venice.rejected_records; the option max_rejected says how many are tolerated.") : 0));
	}
	if (version->state == VERSION_ABORTED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("push of version %d of store \"%s\" was aborted", version->number,
						version->store)));
	return !VersionStateIsFuture(version->state) ||
		(version->state == VERSION_READY && !version->swap && !is_behind(version));
}

/*
 * venice_wait_for_push
 *		CALL wait_for_push(store, version, timeout).
 *
 * Each look is a transaction of its own, so that between two of them no
 * snapshot is held.
 */
Datum
venice_wait_for_push(PG_FUNCTION_ARGS)
{
	CallContext *call = castNode(CallContext, fcinfo->context);
	MemoryContext context = CurrentMemoryContext;
	MemoryContext step;
	char	   *name;
	int			number;
	TimestampTz start = GetCurrentTimestamp();
	TimestampTz deadline = DT_NOEND;
	TimestampTz last_notice = 0;
	VersionState last_state = VERSION_STARTED;
	bool		over;

	name = ArgumentText(fcinfo, 0, "store", true);
	if (call->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s cannot run inside a transaction block", "venice.wait_for_push"),
				 errhint("Use autocommit.")));
	StoreCheckOwner(StoreLookup(name, false));
	number = PG_ARGISNULL(1) ? awaited_version(name) : PG_GETARG_INT32(1);
	(void) VersionLookup(name, number, false);
	if (!PG_ARGISNULL(2))
		deadline = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
														   TimestampTzGetDatum(start),
														   PG_GETARG_DATUM(2)));

	step = AllocSetContextCreate(context, "venice wait_for_push", ALLOCSET_SMALL_SIZES);
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	do
	{
		Version    *version;
		TimestampTz now = GetCurrentTimestamp();

		MemoryContextReset(step);
		MemoryContextSwitchTo(step);
		version = VersionLookup(name, number, false);
		over = push_is_over(version);
		if (over)
			VersionPointerSettle(name);
		if (over || version->state != last_state ||
			TimestampDifferenceExceeds(last_notice, now, NOTICE_EVERY_MS))
		{
			ereport(NOTICE, (errmsg_internal("%s", describe_progress(version))));
			last_notice = now;
			last_state = version->state;
		}
		if (!over && now >= deadline)
			ereport(ERROR,
					(errcode(ERRCODE_QUERY_CANCELED),
					 errmsg("timed out waiting for version %d of store \"%s\"", number, name),
					 errdetail("The push goes on; its version is %s%s.",
							   VersionStateName(version->state),
							   is_behind(version) ?
							   ", and has not caught up with its real-time topics" : ""),
					 (version->state == VERSION_STARTED && version->topic != NULL) ||
					 is_behind(version) ?
					 errhint("SELECT partition, state, last_error FROM venice.stat_ingestion WHERE store = %s AND version = %d says what it waits for.",
							 quote_literal_cstr(name), number) : 0));
		SPI_commit();
		if (!over)
			StateChangeAwait(WAIT_STEP_MS);
	} while (!over);
	StateChangeAwaitEnd();
	SPI_finish();
	MemoryContextSwitchTo(context);
	PG_RETURN_VOID();
}
