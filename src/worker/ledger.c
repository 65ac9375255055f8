/*-------------------------------------------------------------------------
 *
 * ledger.c
 *		What ingestion remembers in tables.
 *
 * A partition's row is written in the transaction that writes its records, so
 * that a crash loses or keeps both: that alone is what makes ingestion exactly
 * once.  The row of an unlogged version lives in an unlogged table, and is
 * emptied with the version's rows.
 *
 * Locks: StoreLock where a push is failed; row locks of the UPDATEs.
 * Must not know: Kafka, threads, shared memory.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/ledger.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lockdefs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "common/query.h"
#include "common/shmem.h"
#include "version/state.h"

StateKey
LoadStateKey(const Version *version)
{
	StateKey	key = {version->store, version->number, LOAD_REGION, version->topic,
	version->options->unlogged};

	return key;
}

static const char *
state_table(const StateKey *key)
{
	return key->unlogged ? "venice.unlogged_partition_state" : "venice.partition_state";
}

static void
arg_key(QueryArgs *args, const StateKey *key)
{
	QueryArgText(args, key->store);
	QueryArgInt4(args, key->version);
	QueryArgText(args, key->topic);
	QueryArgInt4(args, key->region);
}

static void
arg_offset(QueryArgs *args, int64 offset)
{
	QueryArgDatum(args, INT8OID, Int64GetDatum(offset), offset < 0);
}

static void
arg_time(QueryArgs *args, TimestampTz time)
{
	QueryArgDatum(args, TIMESTAMPTZOID, TimestampTzGetDatum(time), time == 0);
}

/* A time that was found, 0: NULL. */
static TimestampTz
read_time(uint64 row, int column)
{
	bool		is_null;
	Datum		time = QueryDatum(row, column, &is_null);

	return is_null ? 0 : DatumGetTimestampTz(time);
}

#define THIS_KEY "store_name = $1::name AND version = $2 AND topic = $3 AND region = $4"

bool
PartitionStateRead(const StateKey *key, int32 partition, PartitionState *state)
{
	QuerySession session;
	QueryArgs	args = {0};
	bool		found;

	QueryBeginRegistry(&session);
	arg_key(&args, key);
	QueryArgInt4(&args, partition);
	found = QueryRun(psprintf("SELECT next_offset, end_offset, done, loaded_through, messages, "
							  "bytes, rows, tombstones, rejected, batches, last_record_time, "
							  "last_message_time, last_commit_time, joined FROM %s "
							  "WHERE " THIS_KEY " AND partition = $5",
							  state_table(key)), &args) == 1;
	if (found)
	{
		bool		is_null;
		Datum		tid;

		state->partition = partition;
		state->next_offset = QueryInt8(0, 1, -1);
		state->end_offset = QueryInt8(0, 2, -1);
		state->done = QueryBool(0, 3);
		tid = QueryDatum(0, 4, &is_null);
		if (is_null)
			ItemPointerSetInvalid(&state->loaded_through);
		else
			state->loaded_through = *(ItemPointer) DatumGetPointer(tid);
		state->messages = QueryInt8(0, 5, 0);
		state->bytes = QueryInt8(0, 6, 0);
		state->rows = QueryInt8(0, 7, 0);
		state->tombstones = QueryInt8(0, 8, 0);
		state->rejected = QueryInt8(0, 9, 0);
		state->batches = QueryInt8(0, 10, 0);
		state->last_record_time = read_time(0, 11);
		state->last_message_time = read_time(0, 12);
		state->last_commit_time = read_time(0, 13);
		state->joined = QueryBool(0, 14);
		state->error = NULL;
	}
	QueryEnd(&session);
	return found;
}

bool
PartitionStateWrite(const StateKey *key, const PartitionState *state, int64 expected_offset)
{
	QuerySession session;
	static SPIPlanPtr plans[2] = {NULL, NULL};
	QueryArgs	args = {0};
	ItemPointerData tid = state->loaded_through;
	bool		written;

	QueryBeginRegistry(&session);
	arg_key(&args, key);
	QueryArgInt4(&args, state->partition);
	arg_offset(&args, expected_offset);
	arg_offset(&args, state->next_offset);
	arg_offset(&args, state->end_offset);
	QueryArgBool(&args, state->done);
	QueryArgDatum(&args, TIDOID, PointerGetDatum(&tid), !ItemPointerIsValid(&tid));
	QueryArgInt8(&args, state->messages);
	QueryArgInt8(&args, state->bytes);
	QueryArgInt8(&args, state->rows);
	QueryArgInt8(&args, state->tombstones);
	QueryArgInt8(&args, state->rejected);
	QueryArgInt8(&args, state->batches);
	arg_time(&args, state->last_record_time);
	arg_time(&args, state->last_message_time);
	arg_time(&args, state->last_commit_time);
	QueryArgBool(&args, state->joined);
	QueryArgText(&args, state->error);
	written = QueryRunKept(&plans[key->unlogged],
						   psprintf("UPDATE %s SET next_offset = $7, end_offset = $8, done = $9, "
									"loaded_through = $10, messages = $11, bytes = $12, rows = $13, "
									"tombstones = $14, rejected = $15, batches = $16, "
									"last_record_time = $17, last_message_time = $18, "
									"last_commit_time = $19, joined = $20, error = $21 "
									"WHERE " THIS_KEY " AND partition = $5 "
									"AND next_offset IS NOT DISTINCT FROM $6",
									state_table(key)), &args) == 1;
	QueryEnd(&session);
	return written;
}

int
PartitionCount(const StateKey *key)
{
	QuerySession session;
	QueryArgs	args = {0};
	int64		count;

	QueryBeginRegistry(&session);
	arg_key(&args, key);
	(void) QueryRun(psprintf("SELECT pg_catalog.count(*) FROM %s WHERE " THIS_KEY,
							 state_table(key)), &args);
	count = QueryInt8(0, 1, 0);
	QueryEnd(&session);
	return (int) count;
}

int
PartitionStateAdd(const StateKey *key, int count)
{
	QuerySession session;
	QueryArgs	args = {0};
	uint64		added;

	QueryBeginRegistry(&session);
	arg_key(&args, key);
	QueryArgInt4(&args, count - 1);
	added = QueryRun(psprintf("INSERT INTO %s (store_name, version, topic, region, partition) "
							  "SELECT $1::name, $2, $3, $4, p "
							  "FROM pg_catalog.generate_series(0, $5) p ON CONFLICT DO NOTHING",
							  state_table(key)), &args);
	QueryEnd(&session);
	return (int) added;
}

/* In SQL: the rows of a real-time topic, $1 to $3, in both tables. */
#define ROWS_OF_TOPIC(columns) \
	"SELECT " columns " FROM venice.partition_state WHERE store_name = $1::name " \
	"AND topic = $2 AND region = $3 UNION ALL " \
	"SELECT " columns " FROM venice.unlogged_partition_state WHERE store_name = $1::name " \
	"AND topic = $2 AND region = $3"

List *
PartitionJoined(const char *store, int region, const char *topic, int32 partition)
{
	QuerySession session;
	QueryArgs	args = {0};
	List	   *versions = NIL;
	uint64		rows;

	QueryBeginRegistry(&session);
	QueryArgText(&args, store);
	QueryArgText(&args, topic);
	QueryArgInt4(&args, region);
	QueryArgInt4(&args, partition);
	rows = QueryRun("SELECT version FROM (" ROWS_OF_TOPIC("version, partition, joined") ") p "
					"WHERE partition = $4 AND joined ORDER BY version", &args);
	for (uint64 row = 0; row < rows; row++)
	{
		MemoryContext old = MemoryContextSwitchTo(session.result_context);

		versions = lappend_int(versions, QueryInt4(row, 1, 0));
		MemoryContextSwitchTo(old);
	}
	QueryEnd(&session);
	return versions;
}

void
PartitionStateExtend(const char *store, int region, const char *topic, int count)
{
	static const char *const tables[] = {"venice.partition_state", "venice.unlogged_partition_state"};
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	QueryArgText(&args, store);
	QueryArgText(&args, topic);
	QueryArgInt4(&args, region);
	QueryArgInt4(&args, count - 1);
	for (int i = 0; i < lengthof(tables); i++)
		(void) QueryRun(psprintf("INSERT INTO %s (store_name, version, topic, region, partition, "
								 "next_offset, joined) "
								 "SELECT p.store_name, p.version, p.topic, p.region, n, "
								 "CASE WHEN p.joined THEN 0 END, p.joined FROM %s p, "
								 "pg_catalog.generate_series(0, $4) n WHERE p.store_name = $1::name "
								 "AND p.topic = $2 AND p.region = $3 AND p.partition = 0 "
								 "ON CONFLICT DO NOTHING", tables[i], tables[i]), &args);
	QueryEnd(&session);
}

void
PushMarkerRead(const Store *store, const char *push_id, bool is_end, int32 partition,
			   int partition_count)
{
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	QueryArgText(&args, push_id);
	QueryArgText(&args, GetUserNameFromId(store->owner, true));
	(void) QueryRun("INSERT INTO venice.push (store_name, push_id, version, origin, state, started_by) "
					"SELECT $1::name, $2, p.version, 'incremental', 'started', $3::name "
					"FROM venice.version_pointer p WHERE p.store_name = $1::name "
					"ON CONFLICT DO NOTHING", &args);
	if (is_end)
	{
		args.count = 2;
		QueryArgInt4(&args, partition_count);
		QueryArgInt4(&args, partition);
		/* A version that catches up reads it again. */
		(void) QueryRun("UPDATE venice.push SET ended_partitions = ended_partitions || $4, "
						"state = CASE WHEN pg_catalog.cardinality(ended_partitions) + 1 >= $3 "
						"THEN 'completed' ELSE state END, "
						"ended_time = CASE WHEN pg_catalog.cardinality(ended_partitions) + 1 >= $3 "
						"THEN pg_catalog.clock_timestamp() ELSE ended_time END "
						"WHERE store_name = $1::name AND push_id = $2 AND origin = 'incremental' "
						"AND $4 <> ALL (ended_partitions)",
						&args);
		StateChangeTellAtCommit();
	}
	QueryEnd(&session);
}

static void
arg_bytes(QueryArgs *args, const char *data, int bytes)
{
	QueryArgDatum(args, BYTEAOID,
				  data ? PointerGetDatum(cstring_to_text_with_len(data, bytes)) : (Datum) 0,
				  data == NULL);
}

void
RejectedRecordAdd(const StateKey *state_key, int32 partition, int64 offset,
				  TimestampTz record_time, const char *key, int key_bytes, const char *value,
				  int value_bytes, const DecodeError *error)
{
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	arg_key(&args, state_key);
	QueryArgInt4(&args, partition);
	QueryArgInt8(&args, offset);
	arg_time(&args, record_time);
	arg_bytes(&args, key, key_bytes);
	arg_bytes(&args, value, value_bytes);
	QueryArgText(&args, unpack_sql_state(error->sqlstate));
	QueryArgText(&args, error->message);
	(void) QueryRun("INSERT INTO venice.rejected_record (store_name, version, topic, region, partition, "
					"kafka_offset, record_time, key, value, sqlstate, error) "
					"VALUES ($1::name, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
					&args);
	QueryEnd(&session);
}

/* How many were rejected in all; the first one's place and reason as a sentence, or NULL. */
static int64
count_rejected(const Version *version, char **first)
{
	QuerySession session;
	QueryArgs	args = {0};
	StateKey	key = LoadStateKey(version);
	int64		rejected;

	QueryBeginRegistry(&session);
	arg_key(&args, &key);
	(void) QueryRun(psprintf("SELECT pg_catalog.sum(rejected)::pg_catalog.int8 FROM %s "
							 "WHERE " THIS_KEY, state_table(&key)), &args);
	rejected = QueryInt8(0, 1, 0);
	*first = NULL;
	if (rejected > 0 &&
		QueryRun("SELECT pg_catalog.format('The first is at offset %s of partition %s: %s.', "
				 "kafka_offset, partition, error) FROM venice.rejected_record "
				 "WHERE " THIS_KEY " ORDER BY rejected_time, partition, kafka_offset LIMIT 1",
				 &args) == 1)
		*first = QueryText(0, 1, session.result_context);
	QueryEnd(&session);
	return rejected;
}

bool
RejectedRecordsCheck(const char *store_name, int number)
{
	Store	   *store;
	Version    *version;
	int64		rejected;
	char	   *first;

	StoreLock(store_name, ExclusiveLock);
	store = StoreLookup(store_name, true);
	version = store ? VersionLookup(store_name, number, true) : NULL;
	if (version == NULL || version->state != VERSION_STARTED)
		return false;
	rejected = count_rejected(version, &first);
	if (rejected <= store->options->max_rejected)
		return false;
	VersionFail(version, ERRCODE_DATA_EXCEPTION,
				psprintf(rejected == 1 ?
						 "%lld record was rejected, and max_rejected of store \"%s\" is %lld" :
						 "%lld records were rejected, and max_rejected of store \"%s\" is %lld",
						 (long long) rejected, store_name,
						 (long long) store->options->max_rejected),
				psprintf("%s%sThey are in venice.rejected_records.", first ? first : "",
						 first ? " " : ""));
	return true;
}

int
RegistrySchemaRead(const char *store, const char *registry_url, int32 schema_id, char ***texts)
{
	QuerySession session;
	QueryArgs	args = {0};
	int			count = 0;

	QueryBeginRegistry(&session);
	QueryArgText(&args, store);
	QueryArgInt4(&args, schema_id);
	QueryArgText(&args, registry_url);
	if (QueryRun("SELECT texts FROM (SELECT 1 AS place, ARRAY[schema] AS texts "
				 "FROM venice.store_schema WHERE store_name = $1::name AND schema_id = $2 "
				 "UNION ALL SELECT 2, texts FROM venice.registry_schema "
				 "WHERE registry_url = $3 AND schema_id = $2) s ORDER BY place LIMIT 1", &args) == 1)
	{
		MemoryContext old = MemoryContextSwitchTo(session.result_context);
		bool		is_null;
		Datum	   *elements;

		deconstruct_array(DatumGetArrayTypeP(QueryDatum(0, 1, &is_null)), TEXTOID, -1, false,
						  TYPALIGN_INT, &elements, NULL, &count);
		*texts = palloc(count * sizeof(char *));
		for (int i = 0; i < count; i++)
			(*texts)[i] = TextDatumGetCString(elements[i]);
		MemoryContextSwitchTo(old);
	}
	QueryEnd(&session);
	return count;
}

void
RegistrySchemaWrite(const char *registry_url, int32 schema_id, const char *const *texts,
					int ntexts)
{
	QuerySession session;
	QueryArgs	args = {0};
	Datum	   *elements = palloc(ntexts * sizeof(Datum));

	for (int i = 0; i < ntexts; i++)
		elements[i] = CStringGetTextDatum(texts[i]);
	QueryBeginRegistry(&session);
	QueryArgText(&args, registry_url);
	QueryArgInt4(&args, schema_id);
	QueryArgDatum(&args, TEXTARRAYOID,
				  PointerGetDatum(construct_array(elements, ntexts, TEXTOID, -1, false,
												  TYPALIGN_INT)), false);
	(void) QueryRun("INSERT INTO venice.registry_schema (registry_url, schema_id, texts) "
					"VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", &args);
	QueryEnd(&session);
}
