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
#include "storage/lockdefs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "common/query.h"
#include "version/state.h"

static const char *
state_table(const Version *version)
{
	return version->options->unlogged ? "venice.unlogged_partition_state" :
		"venice.partition_state";
}

static void
arg_version(QueryArgs *args, const Version *version)
{
	QueryArgText(args, version->store);
	QueryArgInt4(args, version->number);
	QueryArgText(args, version->topic);
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

#define THIS_VERSION "store_name = $1::name AND version = $2 AND topic = $3"

bool
PartitionStateRead(const Version *version, int32 partition, PartitionState *state)
{
	QuerySession session;
	QueryArgs	args = {0};
	bool		found;

	QueryBeginRegistry(&session);
	arg_version(&args, version);
	QueryArgInt4(&args, partition);
	found = QueryRun(psprintf("SELECT next_offset, end_offset, done, loaded_through, messages, "
							  "bytes, rows, tombstones, rejected, batches, last_record_time, "
							  "last_message_time, last_commit_time FROM %s "
							  "WHERE " THIS_VERSION " AND partition = $4",
							  state_table(version)), &args) == 1;
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
	}
	QueryEnd(&session);
	return found;
}

bool
PartitionStateWrite(const Version *version, const PartitionState *state, int64 expected_offset)
{
	QuerySession session;
	static SPIPlanPtr plans[2] = {NULL, NULL};
	QueryArgs	args = {0};
	ItemPointerData tid = state->loaded_through;
	bool		written;

	QueryBeginRegistry(&session);
	arg_version(&args, version);
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
	written = QueryRunKept(&plans[version->options->unlogged],
						   psprintf("UPDATE %s SET next_offset = $6, end_offset = $7, done = $8, "
									"loaded_through = $9, messages = $10, bytes = $11, rows = $12, "
									"tombstones = $13, rejected = $14, batches = $15, "
									"last_record_time = $16, last_message_time = $17, "
									"last_commit_time = $18 "
									"WHERE " THIS_VERSION " AND partition = $4 "
									"AND next_offset IS NOT DISTINCT FROM $5",
									state_table(version)), &args) == 1;
	QueryEnd(&session);
	return written;
}

int
PartitionStateAdd(const Version *version, int count)
{
	QuerySession session;
	QueryArgs	args = {0};
	uint64		added;

	QueryBeginRegistry(&session);
	arg_version(&args, version);
	QueryArgInt4(&args, count - 1);
	added = QueryRun(psprintf("INSERT INTO %s (store_name, version, topic, partition) "
							  "SELECT $1::name, $2, $3, p "
							  "FROM pg_catalog.generate_series(0, $4) p ON CONFLICT DO NOTHING",
							  state_table(version)), &args);
	QueryEnd(&session);
	return (int) added;
}

static void
arg_bytes(QueryArgs *args, const char *data, int bytes)
{
	QueryArgDatum(args, BYTEAOID,
				  data ? PointerGetDatum(cstring_to_text_with_len(data, bytes)) : (Datum) 0,
				  data == NULL);
}

void
RejectedRecordAdd(const Version *version, int32 partition, int64 offset, TimestampTz record_time,
				  const char *key, int key_bytes, const char *value, int value_bytes,
				  const DecodeError *error)
{
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	arg_version(&args, version);
	QueryArgInt4(&args, partition);
	QueryArgInt8(&args, offset);
	arg_time(&args, record_time);
	arg_bytes(&args, key, key_bytes);
	arg_bytes(&args, value, value_bytes);
	QueryArgText(&args, unpack_sql_state(error->sqlstate));
	QueryArgText(&args, error->message);
	(void) QueryRun("INSERT INTO venice.rejected_record (store_name, version, topic, partition, "
					"kafka_offset, record_time, key, value, sqlstate, error) "
					"VALUES ($1::name, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
					&args);
	QueryEnd(&session);
}

/* How many were rejected in all; the first one's place and reason as a sentence, or NULL. */
static int64
count_rejected(const Version *version, char **first)
{
	QuerySession session;
	QueryArgs	args = {0};
	int64		rejected;

	QueryBeginRegistry(&session);
	arg_version(&args, version);
	(void) QueryRun(psprintf("SELECT pg_catalog.sum(rejected)::pg_catalog.int8 FROM %s "
							 "WHERE " THIS_VERSION, state_table(version)), &args);
	rejected = QueryInt8(0, 1, 0);
	*first = NULL;
	if (rejected > 0 &&
		QueryRun("SELECT pg_catalog.format('The first is at offset %s of partition %s: %s.', "
				 "kafka_offset, partition, error) FROM venice.rejected_record "
				 "WHERE " THIS_VERSION " ORDER BY rejected_time, partition, kafka_offset LIMIT 1",
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
