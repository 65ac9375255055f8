/*-------------------------------------------------------------------------
 *
 * unit.c
 *		One partition of a topic, while a worker ingests it.
 *
 * It is loaded into one version, or, of a real-time topic, written to all that have
 * joined in it; or it is what one version catches up with, until it joins.
 *
 * Records are buffered where the Kafka client has them and written in one
 * transaction together with the partition's position.  No transaction is open
 * while anything is waited for.  Whatever goes wrong, the unit is let go: what
 * is pending is dropped, the supervisor gives the unit out again when its time
 * has come, and it begins at the committed position.  There is no other path.
 *
 * The end: when it is requested, the partition's high watermark becomes its
 * fixed end, written down before it is acted on.  It is reached when a record
 * at or behind it arrives, or an end-of-partition event does, or the record right
 * before it; never by counting, because transactions and compaction leave gaps.
 * A real-time topic has no end, and what goes wrong with it fails no version: it is tried
 * again, and shows.
 *
 * A topic that is deleted and made again has the old one's name, and in time its
 * offsets.  So a unit that takes a partition up reads the last record that was
 * written once more, and its timestamp must be the same.  What was compacted or
 * expired cannot be compared, and passes.
 *
 * Locks: Shared->lock; StoreLock where a push is failed.
 * Must not know: how records become rows, how clients are shared.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ingest/unit.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lockdefs.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "common/retry.h"
#include "kafka/registry.h"

/* How often the lag is measured. */
#define WATERMARKS_INTERVAL_MS	2000

/* How soon a topic that does not exist is looked for again. */
#define TOPIC_INTERVAL_MS		1000

/* How soon a unit that found no Kafka client, or gave one up, tries again. */
#define CLIENT_INTERVAL_MS		1000
#define YIELD_INTERVAL_MS		3000

/* How soon a unit that is done is tried again, if the registry says that it is not. */
#define FINISHED_INTERVAL_MS	1000

/* How long the first record of a batch waits for others at most: somebody waits for it. */
#define STREAM_DELAY_MS			10

/* A topic whose end is not met by then moves: to be near it is enough. */
#define MOVING_TOPIC_MS			1000

/* How often a real-time topic is looked at for new partitions. */
#define PARTITIONS_INTERVAL_MS	(60 * 1000)

/* How long a client may be silent while there is more to read; slow brokers take seconds. */
#define SILENCE_MS				(20 * 1000)

/* How often it must be missing in a row before a push whose end is requested fails. */
#define TOPIC_TRIES				5

#define shared_units ((*api->Shared)->units)
#define shared_lock ((*api->Shared)->lock)

static uintptr_t last_tag = 0;

static bool
is_stream(const Unit *unit)
{
	return unit->region != LOAD_REGION;
}

/* Has it a version of its own, which is behind the others? */
static bool
is_catching_up(const Unit *unit)
{
	return is_stream(unit) && unit->number != JOINED_VERSIONS;
}

static StateKey
state_key(const Unit *unit)
{
	StateKey	key = {unit->store, unit->number, unit->region, unit->topic,
	unit->version->options->unlogged};

	return key;
}

char *
UnitDescribe(const Unit *unit)
{
	if (is_stream(unit))
		return psprintf("store %s, topic %s, partition %d", unit->store, unit->topic,
						unit->partition);
	if (unit->partition < 0)
		return psprintf("store %s, version %d", unit->store, unit->number);
	return psprintf("store %s, version %d, partition %d", unit->store, unit->number,
					unit->partition);
}

Unit *
UnitCreate(int index)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "venice unit",
												  ALLOCSET_DEFAULT_SIZES);
	Unit	   *unit = MemoryContextAllocZero(context, sizeof(Unit));
	SharedUnit *shared = &shared_units[index];

	unit->context = context;
	unit->index = index;
	unit->tag = ++last_tag;
	LWLockAcquire(shared_lock, LW_SHARED);
	unit->store = MemoryContextStrdup(context, NameStr(shared->store));
	unit->number = shared->version;
	unit->region = shared->region;
	unit->server = MemoryContextStrdup(context, NameStr(shared->server));
	unit->topic = MemoryContextStrdup(context, shared->topic);
	unit->partition = shared->partition;
	unit->end_requested = shared->end_requested;
	LWLockRelease(shared_lock);
	unit->high_watermark = -1;
	unit->eof_offset = -1;
	unit->new_end_offset = -1;
	return unit;
}

static void
begin_transaction(const Unit *unit)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, UnitDescribe(unit));
}

static void
commit_transaction(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* Take a look at the shared entry; true when somebody wants us to stop. */
static bool
publish(const Unit *unit, UnitState state)
{
	SharedUnit *shared = &shared_units[unit->index];
	bool		stop;

	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	shared->state = state;
	shared->next_offset = unit->state.next_offset;
	shared->end_offset = unit->state.end_offset;
	shared->messages = unit->state.messages;
	shared->bytes = unit->state.bytes;
	shared->rows = unit->state.rows;
	shared->tombstones = unit->state.tombstones;
	shared->rejected = unit->state.rejected;
	stop = shared->stop_requested;
	LWLockRelease(shared_lock);
	return stop;
}

/* Everything works: forget failures, and what they were. */
static void
note_success(const Unit *unit)
{
	SharedUnit *shared = &shared_units[unit->index];

	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	shared->failures = 0;
	shared->next_retry_time = 0;
	shared->last_error[0] = '\0';
	shared->last_error_time = 0;
	LWLockRelease(shared_lock);
}

static void
drop_pending(Unit *unit)
{
	for (int i = 0; i < unit->count; i++)
		KafkaRecordRelease(&unit->records[i]);
	unit->count = 0;
	unit->pending_bytes = 0;
}

/* Give the client up and the entry back; state, error and retry time as they are to be seen. */
static void
let_go(Unit *unit, UnitState state, int delay_ms, const char *error)
{
	SharedUnit *shared = &shared_units[unit->index];
	TimestampTz now = GetCurrentTimestamp();

	if (unit->released)
		return;
	drop_pending(unit);
	if (unit->client != NULL)
	{
		if (unit->partition >= 0)
			KafkaClientUnassign(unit->client->kafka, unit->topic, unit->partition);
		IngestClientRelease(unit->client, unit);
		unit->client = NULL;
	}

	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	shared->worker = -1;
	shared->stop_requested = false;
	shared->state = state;
	shared->next_retry_time = delay_ms > 0 ? TimestampTzPlusMilliseconds(now, delay_ms) : 0;
	if (error != NULL)
	{
		strlcpy(shared->last_error, error, UNIT_ERROR_BYTES);
		shared->last_error_time = now;
	}
	LWLockRelease(shared_lock);
	ConditionVariableBroadcast(&(*api->Shared)->released);
	unit->released = true;
	api->SupervisorWake();
}

void
UnitRelease(Unit *unit)
{
	let_go(unit, UNIT_WAITING_FOR_WORKER, 0, NULL);
}

/* Done: not to be given away again by a supervisor that has read the registry just before. */
static void
finish(Unit *unit)
{
	let_go(unit, UNIT_WAITING_FOR_WORKER, FINISHED_INTERVAL_MS, NULL);
}

static void
start_reading(Unit *unit)
{
	KafkaClientAssign(unit->client->kafka, unit->topic, unit->partition,
					  unit->verifying ? unit->position - 1 : unit->position,
					  (void *) unit->tag);
	unit->reading = true;
	unit->received_since = 0;
}

/* What a version is loaded from.  False when it is not to be any more. */
static bool
begin_load(Unit *unit, Store *store)
{
	StateKey	key;

	unit->version = api->VersionLookup(unit->store, unit->number, true);
	if (unit->version == NULL || unit->version->state != VERSION_STARTED ||
		unit->topic == NULL || store->server == NULL)
		return false;
	key = state_key(unit);
	return unit->partition < 0 ||
		(api->PartitionStateRead(&key, unit->partition, &unit->state) &&
		 !unit->state.done &&
		 BatchTargetInit(&unit->target, store, unit->version, unit->partition,
						 &unit->state.loaded_through, unit->context));
}

/* A real-time topic.  False when no version is written to from it any more. */
static bool
begin_stream(Unit *unit, Store *store)
{
	if (unit->number != JOINED_VERSIONS)
	{
		unit->version = api->VersionLookup(unit->store, unit->number, true);
		if (unit->version == NULL || !api->VersionStateIsComplete(unit->version->state))
			return false;
	}
	if (unit->partition < 0)
		return unit->version != NULL;
	unit->stream = StreamOpen(store, unit->number, unit->region, unit->topic, unit->partition,
							  unit->context);
	if (unit->stream == NULL)
		return false;
	unit->state = *StreamSlowest(unit->stream);
	return true;
}

static void
begin_reading(Unit *unit)
{
	unit->position = Max(unit->state.next_offset, 0);
	unit->verifying = unit->state.last_record_time != 0;

	/* From when on is known, and from where is asked for. */
	if (is_stream(unit) && unit->state.next_offset < 0)
	{
		KafkaClientRequestOffset(unit->client->kafka, unit->topic, unit->partition,
								 StreamRewindTime(unit->stream), (void *) unit->tag);
		unit->verifying = false;
	}

	/*
	 * The end is better known before: a broker that has been asked for more than
	 * there is answers nothing for a while.
	 */
	else if (is_stream(unit) || !unit->end_requested || unit->state.end_offset >= 0 ||
			 unit->verifying)
		start_reading(unit);
}

void
UnitBegin(Unit *unit)
{
	Store	   *store;
	bool		present = false;

	begin_transaction(unit);
	MemoryContextSwitchTo(unit->context);
	store = api->StoreLookup(unit->store, true);
	if (store != NULL && !store->paused)
	{
		present = is_stream(unit) ? begin_stream(unit, store) : begin_load(unit, store);
		if (present)
			unit->options = api->ServerOptionsGet(unit->server, store->owner, unit->context);
	}
	commit_transaction();

	if (!present)
	{
		UnitRelease(unit);
		return;
	}
	unit->client = IngestClientAcquire(unit->options, unit->topic, unit->partition, unit);
	if (unit->client == NULL)
	{
		let_go(unit, UNIT_WAITING_FOR_WORKER, CLIENT_INTERVAL_MS, NULL);
		return;
	}
	if (unit->partition < 0)
		KafkaClientRequestMetadata(unit->client->kafka, unit->topic, (void *) unit->tag);
	else
		begin_reading(unit);
	(void) publish(unit, UNIT_RUNNING);
}

void
UnitYield(Unit *unit)
{
	if (unit->partition >= 0 && unit->eof_offset >= 0 && unit->count == 0 &&
		!unit->end_requested && list_length(unit->client->uses) == 1)
		let_go(unit, UNIT_CAUGHT_UP, YIELD_INTERVAL_MS, NULL);
}

/* One more failure in a row. */
static int
count_failure(const Unit *unit)
{
	SharedUnit *shared = &shared_units[unit->index];
	int			failures;

	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	failures = ++shared->failures;
	LWLockRelease(shared_lock);
	return failures;
}

void
UnitRetry(Unit *unit, const char *error)
{
	let_go(unit, UNIT_RETRYING, RetryDelayMs(count_failure(unit)), error);
}

void
UnitFail(Unit *unit, int sqlstate, const char *error, const char *detail)
{
	Version    *version;

	if (is_stream(unit))
	{
		UnitRetry(unit, error);
		return;
	}
	begin_transaction(unit);
	api->StoreLock(unit->store, ExclusiveLock);
	version = api->VersionLookup(unit->store, unit->number, true);
	if (version != NULL && version->state == VERSION_STARTED)
		api->VersionFail(version, sqlstate, error, detail);
	commit_transaction();
	ereport(LOG,
			(errcode(sqlstate),
			 errmsg("push of version %d of store \"%s\" failed: %s", unit->number, unit->store,
					error)));
	let_go(unit, UNIT_FAILED, 0, error);
}

/*
 * A cluster that is just starting may not know its topics yet: one answer is none.
 * What was there already is not waited for: if it comes back, it is something else.
 */
static void
topic_missing(Unit *unit)
{
	char	   *error = unit->partition < 0 ?
		psprintf("topic \"%s\" does not exist", unit->topic) :
		psprintf("partition %d of topic \"%s\" does not exist", unit->partition,
				 unit->topic);
	bool		last_try = count_failure(unit) >= TOPIC_TRIES;

	if (is_stream(unit))
		let_go(unit, UNIT_WAITING_FOR_TOPIC, TOPIC_INTERVAL_MS, error);
	else if (last_try && unit->state.next_offset > 0)
		UnitFail(unit, ERRCODE_UNDEFINED_OBJECT, error,
				 psprintf("It was there, and was loaded up to offset " INT64_FORMAT ".",
						  unit->state.next_offset));
	else if (last_try && unit->end_requested)
		UnitFail(unit, ERRCODE_UNDEFINED_OBJECT, error,
				 "The end of the push was requested, so that the topic is not waited for.");
	else
		let_go(unit, UNIT_WAITING_FOR_TOPIC, TOPIC_INTERVAL_MS, error);
}

/*
 * Where a refused offset is gone, is there nothing lost?  It was the last one that was
 * written, to be read once more, or the first one of a topic that begins later.
 */
static bool
can_begin_later(const Unit *unit, const KafkaEvent *event)
{
	if (event->kind != KAFKA_PARTITION_PROBLEM || event->problem.transient)
		return false;
	if (unit->verifying)
		return event->low_watermark == unit->position;
	return unit->state.next_offset < 0 && unit->count == 0 &&
		event->low_watermark > unit->position;
}

static void
begin_later(Unit *unit, int64 offset)
{
	unit->verifying = false;
	unit->position = offset;
	KafkaClientUnassign(unit->client->kafka, unit->topic, unit->partition);
	start_reading(unit);
}

/* Rights, credentials and connections can be mended; records that are gone cannot. */
static void
receive_problem(Unit *unit, const KafkaEvent *event)
{
	const KafkaProblem *problem = &event->problem;
	int			category = ERRCODE_TO_CATEGORY(problem->sqlstate);

	if (problem->sqlstate == ERRCODE_UNDEFINED_OBJECT)
		topic_missing(unit);
	else if (can_begin_later(unit, event))
		begin_later(unit, event->low_watermark);
	else if (problem->transient || category == ERRCODE_CONNECTION_EXCEPTION ||
			 category == ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION ||
			 problem->sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE)
		UnitRetry(unit, problem->message);
	else
		UnitFail(unit, problem->sqlstate, problem->message,
				 psprintf("Partition %d was to be read from offset " INT64_FORMAT ".",
						  unit->partition, unit->position));
}

/* Now it is known how many partitions there are: each gets a unit of its own. */
static void
add_partitions(Unit *unit, int count)
{
	StateKey	key = state_key(unit);

	begin_transaction(unit);
	(void) api->PartitionStateAdd(&key, count);
	commit_transaction();
	finish(unit);
}

/* A real-time topic may get more partitions at any time. */
static void
receive_partition_count(Unit *unit, int count)
{
	if (count != unit->partition_count)
	{
		begin_transaction(unit);
		api->PartitionStateExtend(unit->store, unit->region, unit->topic, count);
		commit_transaction();
	}
	unit->partition_count = count;
	api->SupervisorWake();
}

static void
receive_metadata(Unit *unit, const KafkaEvent *event)
{
	if (event->problem.sqlstate != 0)
		receive_problem(unit, event);
	else if (event->partition_count <= 0)
		topic_missing(unit);
	else if (unit->partition < 0)
		add_partitions(unit, event->partition_count);
	else if (is_stream(unit))
		receive_partition_count(unit, event->partition_count);
	else
	{
		unit->new_partition_count = event->partition_count;
		unit->partitions_checked = true;
	}
}

/* A new leader may end before what was written already for a moment, a new topic for ever. */
static void
ends_early(Unit *unit, int64 end)
{
	char	   *error = psprintf("partition %d of topic \"%s\" ends at offset " INT64_FORMAT,
								 unit->partition, unit->topic, end);
	int			failures = count_failure(unit);

	if (failures >= TOPIC_TRIES)
		UnitFail(unit, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, error,
				 psprintf("It was loaded up to offset " INT64_FORMAT ".",
						  unit->state.next_offset));
	else
		let_go(unit, UNIT_RETRYING, RetryDelayMs(failures), error);
}

static void
receive_watermarks(Unit *unit, const KafkaEvent *event)
{
	unit->waiting_for_reply = false;
	if (event->problem.sqlstate != 0)
	{
		/*
		 * For the lag it does not matter; for the end it is asked again.  That a
		 * partition does not exist the library may say nowhere else.
		 */
		if (unit->end_requested || event->problem.sqlstate == ERRCODE_UNDEFINED_OBJECT)
			receive_problem(unit, event);
		return;
	}
	if (event->high_watermark < unit->state.next_offset)
	{
		/* While that is being verified, more will be known soon. */
		if (!unit->verifying)
			ends_early(unit, event->high_watermark);
		return;
	}
	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	shared_units[unit->index].high_watermark = event->high_watermark;
	LWLockRelease(shared_lock);
	unit->high_watermark = event->high_watermark;

	/* An answer to a question from before the request does not count. */
	if (unit->partitions_checked && unit->state.end_offset < 0)
		unit->new_end_offset = event->high_watermark;
	if (!unit->reading && unit->new_end_offset > unit->position)
		start_reading(unit);
}

/* Where the rewind begins. */
static void
receive_offset(Unit *unit, const KafkaEvent *event)
{
	if (event->problem.sqlstate != 0)
	{
		receive_problem(unit, event);
		return;
	}
	unit->position = event->offset;
	start_reading(unit);
}

static void
buffer_record(Unit *unit, KafkaRecord *record)
{
	int64		end = unit->state.end_offset;

	if (unit->verifying && record->offset == unit->position - 1)
		unit->replaced = RecordTimestamp(record->timestamp_ms) != unit->state.last_record_time;
	unit->verifying = false;

	/* What is already written may be delivered again. */
	if (record->offset < unit->position)
	{
		KafkaRecordRelease(record);
		return;
	}
	if (end >= 0 && record->offset >= end)
	{
		unit->end_reached = true;
		KafkaRecordRelease(record);
		return;
	}
	if (unit->count == unit->capacity)
	{
		int			capacity = Max(unit->capacity * 2, 1024);

		unit->records = unit->records ?
			repalloc_huge(unit->records, capacity * sizeof(KafkaRecord)) :
			MemoryContextAllocHuge(unit->context, capacity * sizeof(KafkaRecord));
		unit->capacity = capacity;
	}
	if (unit->count == 0)
		unit->oldest_time = unit->client->heard_time = GetCurrentTimestamp();
	if (unit->received_since == 0)
		unit->received_since = unit->oldest_time;
	unit->records[unit->count++] = *record;
	unit->pending_bytes += Max(record->key_bytes, 0) + Max(record->value_bytes, 0);
	unit->position = record->offset + 1;
}

static void
receive_end(Unit *unit, int64 offset)
{
	unit->client->heard_time = GetCurrentTimestamp();
	if (offset < unit->state.next_offset)
	{
		ends_early(unit, offset);
		return;
	}
	unit->verifying = false;
	unit->eof_offset = offset;
	if (unit->count == 0)
		(void) publish(unit, UNIT_CAUGHT_UP);
	note_success(unit);
}

void
UnitReceive(Unit *unit, KafkaEvent *event)
{
	switch (event->kind)
	{
		case KAFKA_RECORD:
			buffer_record(unit, &event->record);
			break;
		case KAFKA_END_OF_PARTITION:
			receive_end(unit, event->offset);
			break;
		case KAFKA_METADATA:
			receive_metadata(unit, event);
			break;
		case KAFKA_WATERMARKS:
			receive_watermarks(unit, event);
			break;
		case KAFKA_OFFSET:
			receive_offset(unit, event);
			break;
		case KAFKA_PARTITION_PROBLEM:
			receive_problem(unit, event);
			break;
		case KAFKA_CLIENT_PROBLEM:
		case KAFKA_LOG:
			break;				/* not of one partition */
	}
}

/* Get a schema that a record names, from our table or from the registry. */
static void
obtain_schema(Unit *unit, int32 schema_id)
{
	const RegistryOptions *registry = &unit->options->registry;
	char	  **texts = NULL;
	int			ntexts;
	KafkaProblem problem = {0};
	DecodeError refusal;

	begin_transaction(unit);
	MemoryContextSwitchTo(unit->context);
	ntexts = api->RegistrySchemaRead(unit->store, registry->url, schema_id, &texts);
	commit_transaction();
	MemoryContextSwitchTo(unit->context);
	if (ntexts == 0 && registry->url == NULL)
	{
		refusal.sqlstate = ERRCODE_FDW_OPTION_NAME_NOT_FOUND;
		snprintf(refusal.message, sizeof(refusal.message),
				 "schema %d is not known, and server \"%s\" has no option \"schema_registry_url\"",
				 schema_id, unit->options->server);
		api->RecordDecoderRefuseSchema(unit->target.decoder, schema_id, &refusal);
		return;
	}
	if (ntexts == 0)
	{
		switch (RegistryFetchSchema(registry, schema_id, unit->context, &texts, &ntexts, &problem))
		{
			case REGISTRY_FOUND:
				begin_transaction(unit);
				api->RegistrySchemaWrite(registry->url, schema_id, (const char *const *) texts,
										 ntexts);
				commit_transaction();
				break;
			case REGISTRY_NOT_FOUND:
				refusal.sqlstate = problem.sqlstate;
				strlcpy(refusal.message, problem.message, sizeof(refusal.message));
				api->RecordDecoderRefuseSchema(unit->target.decoder, schema_id, &refusal);
				return;
			case REGISTRY_REFUSED:
			case REGISTRY_UNAVAILABLE:
				/* Retried: credentials and registries are mended by people. */
				ereport(ERROR,
						(errcode(ERRCODE_CONNECTION_FAILURE),
						 errmsg_internal("%s", problem.message)));
		}
	}
	api->RecordDecoderAddSchema(unit->target.decoder, schema_id, (const char *const *) texts,
								ntexts);
}

static bool
at_end(const Unit *unit, const PartitionState *state)
{
	int64		end = state->end_offset;

	return end >= 0 &&
		(unit->end_reached || unit->eof_offset >= end || Max(state->next_offset, 0) >= end);
}

/* The position behind what is pending, and when that was. */
static void
move_on(const Unit *unit, PartitionState *state)
{
	const KafkaRecord *last = &unit->records[unit->count - 1];

	state->next_offset = last->offset + 1;
	state->batches++;
	state->last_record_time = RecordTimestamp(last->timestamp_ms);
	state->last_message_time = unit->oldest_time;
	state->last_commit_time = GetCurrentTimestamp();
}

/* Where a fixed end cuts what was fetched before it was known. */
static void
cut_at_end(Unit *unit, int64 end)
{
	while (end >= 0 && unit->count > 0 && unit->records[unit->count - 1].offset >= end)
	{
		unit->end_reached = true;
		KafkaRecordRelease(&unit->records[--unit->count]);
	}
}

/* Write what is pending with its position into a version that is loaded. */
static BatchResult
load_batch(Unit *unit, PartitionState *new_state, int32 *schema_id)
{
	StateKey	key = state_key(unit);
	int64		expected_offset = unit->state.next_offset;
	BatchResult result;

	*new_state = unit->state;
	if (unit->new_end_offset >= 0)
		new_state->end_offset = unit->new_end_offset;
	cut_at_end(unit, new_state->end_offset);
	result = BatchWrite(&unit->target, unit->records, unit->count, new_state, schema_id);
	if (result != BATCH_WRITTEN)
		return result;
	if (unit->count > 0)
		move_on(unit, new_state);
	new_state->done = at_end(unit, new_state);
	if (unit->new_partition_count > 0)
		(void) api->PartitionStateAdd(&key, unit->new_partition_count);
	if (!api->PartitionStateWrite(&key, new_state, expected_offset))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("partition %d of topic \"%s\" was moved on by somebody else",
						unit->partition, unit->topic)));
	return result;
}

/* Is the version near enough to the end, with what is pending, to join the others? */
static bool
has_caught_up(const Unit *unit)
{
	if (!is_catching_up(unit) || !unit->reading || unit->verifying)
		return false;
	return unit->eof_offset >= unit->position ||
		(unit->high_watermark >= 0 && unit->received_since != 0 &&
		 TimestampDifferenceExceeds(unit->received_since, GetCurrentTimestamp(), MOVING_TOPIC_MS) &&
		 StreamIsNear(unit->stream, unit->high_watermark - unit->position,
					  unit->count == 0 ? 0 :
					  RecordTimestamp(unit->records[unit->count - 1].timestamp_ms)));
}

/* What follows a load's batch. */
static void
load_committed(Unit *unit, const PartitionState *new_state, int64 rejected_before)
{
	if (new_state->rejected > rejected_before)
	{
		bool		failed;

		begin_transaction(unit);
		failed = api->RejectedRecordsCheck(unit->store, unit->number);
		commit_transaction();
		if (failed)
		{
			let_go(unit, UNIT_FAILED, 0, "too many records were rejected");
			return;
		}
	}
	if (new_state->done)
		finish(unit);
}

/*
 * Write what is pending, with the position, a newly fixed end, and whether that
 * is reached, in one transaction.
 */
static void
write_batch(Unit *unit)
{
	PartitionState new_state;
	BatchResult result;
	int32		schema_id = 0;
	int64		rejected_before = unit->state.rejected;
	bool		joins = has_caught_up(unit);
	bool		goes_on = true;
	bool		was_level = !is_stream(unit) || StreamIsLevel(unit->stream);

	for (;;)
	{
		begin_transaction(unit);
		result = is_stream(unit) ?
			StreamWrite(unit->stream, unit->records, unit->count, unit->position,
						unit->oldest_time, joins, &schema_id) :
			load_batch(unit, &new_state, &schema_id);
		commit_transaction();
		if (result != BATCH_NEEDS_SCHEMA)
			break;
		if (is_stream(unit))
			unit->target.decoder = StreamDecoder(unit->stream);
		obtain_schema(unit, schema_id);
	}
	if (result == BATCH_TABLE_CHANGED)
	{
		UnitRelease(unit);
		return;
	}

	if (is_stream(unit))
	{
		goes_on = StreamCommitted(unit->stream);
		new_state = *StreamSlowest(unit->stream);
	}
	else
		api->LoadCommitted(unit->target.load);
	unit->state = new_state;
	unit->new_end_offset = -1;
	unit->new_partition_count = 0;
	if (unit->count > 0)
		KafkaClientCommit(unit->client->kafka, unit->topic, unit->partition,
						  new_state.next_offset);
	drop_pending(unit);
	note_success(unit);
	(void) publish(unit, unit->eof_offset >= new_state.next_offset ? UNIT_CAUGHT_UP : UNIT_RUNNING);
	if (!is_stream(unit))
		load_committed(unit, &new_state, rejected_before);
	else if (joins || !goes_on)
		UnitRelease(unit);
	else if (!was_level && StreamIsLevel(unit->stream))
		api->SupervisorWake();	/* one may wait for its swap */
}

/* It waits for an answer, or knows the end already. */
static bool
asks_nothing(const Unit *unit)
{
	return unit->waiting_for_reply || unit->state.end_offset >= 0 || unit->new_end_offset >= 0;
}

static int
batch_delay_ms(const Unit *unit)
{
	return is_stream(unit) ? Min(api->Settings->batch_delay_ms, STREAM_DELAY_MS) :
		api->Settings->batch_delay_ms;
}

TimestampTz
UnitDueTime(const Unit *unit)
{
	TimestampTz due;

	if (unit->partition < 0)
		return 0;
	due = asks_nothing(unit) ? 0 : unit->next_watermarks_time;
	if (unit->count > 0)
	{
		TimestampTz batch = TimestampTzPlusMilliseconds(unit->oldest_time, batch_delay_ms(unit));

		due = due == 0 ? batch : Min(due, batch);
	}
	return due;
}

/*
 * Ask for what is not known: the partitions there are, the end, or only the lag.
 * An end that is answered before the partitions are does not count: it is asked
 * for again.
 */
static void
ask(Unit *unit, TimestampTz now)
{
	if (is_stream(unit) && unit->number == JOINED_VERSIONS && unit->partition == 0 &&
		now >= unit->next_partitions_time)
	{
		KafkaClientRequestMetadata(unit->client->kafka, unit->topic, (void *) unit->tag);
		unit->next_partitions_time = TimestampTzPlusMilliseconds(now, PARTITIONS_INTERVAL_MS);
	}
	if (asks_nothing(unit))
		return;
	if (unit->end_requested && !unit->partitions_checked)
	{
		/* One looks for partitions that were added during the push, for all. */
		if (unit->partition == 0)
			KafkaClientRequestMetadata(unit->client->kafka, unit->topic, (void *) unit->tag);
		else
			unit->partitions_checked = true;
	}
	if (unit->end_requested || now >= unit->next_watermarks_time)
	{
		KafkaClientRequestWatermarks(unit->client->kafka, unit->topic, unit->partition,
									 (void *) unit->tag);
		unit->waiting_for_reply = true;
		unit->next_watermarks_time = TimestampTzPlusMilliseconds(now, WATERMARKS_INTERVAL_MS);
	}
}

/*
 * Has nothing come for long although there is more?  The library may wait for a
 * broker that does not have the partition any more.  Other partitions' records
 * are a reason to be patient: they may fill the queue.
 */
static bool
is_stuck(Unit *unit, TimestampTz now)
{
	int64		end = unit->state.end_offset >= 0 ? unit->state.end_offset : unit->high_watermark;

	if (!unit->verifying && (unit->count > 0 || Max(unit->position, unit->eof_offset) >= end))
	{
		unit->behind_since = 0;
		return false;
	}
	if (unit->behind_since == 0)
		unit->behind_since = now;
	return TimestampDifferenceExceeds(Max(unit->behind_since, unit->client->heard_time), now,
									  SILENCE_MS);
}

/*
 * While the store is over its write quota its partitions wait, and others have the worker.
 * First it is found out how much there is to wait for.
 */
static bool
waits_for_quota(Unit *unit)
{
	int			wait_ms = api->WriteRateWaitMs(unit->store);

	if (wait_ms > 0 && (unit->high_watermark >= 0 || unit->state.end_offset >= 0))
		let_go(unit, UNIT_PAUSED, wait_ms,
			   psprintf("store \"%s\" is over its write quota", unit->store));
	return wait_ms > 0;
}

void
UnitProceed(Unit *unit, bool write_now)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		end_requested;
	bool		due;

	LWLockAcquire(shared_lock, LW_SHARED);
	end_requested = shared_units[unit->index].end_requested;
	LWLockRelease(shared_lock);
	unit->end_requested |= end_requested;

	if (unit->partition < 0)
		return;
	if (is_stream(unit) && !unit->reading)
		return;
	if (unit->replaced)
	{
		UnitFail(unit, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				 psprintf("topic \"%s\" was replaced while it was read", unit->topic),
				 psprintf("Partition %d has another record at offset " INT64_FORMAT
						  " than the one that was loaded.", unit->partition,
						  unit->state.next_offset - 1));
		return;
	}
	if (is_stuck(unit, now))
	{
		unit->client->broken = true;
		UnitRetry(unit, psprintf("nothing came from partition %d of topic \"%s\" for %d seconds, "
								 "although it has more", unit->partition, unit->topic,
								 SILENCE_MS / 1000));
		return;
	}
	ask(unit, now);
	if (unit->verifying)
		return;
	due = unit->count > 0 &&
		(write_now || unit->count >= api->Settings->batch_rows ||
		 (unit->state.end_offset >= 0 && unit->position >= unit->state.end_offset) ||
		 now >= TimestampTzPlusMilliseconds(unit->oldest_time, batch_delay_ms(unit)));
	if (due || unit->new_end_offset >= 0 || (at_end(unit, &unit->state) && !unit->state.done) ||
		(unit->count == 0 && has_caught_up(unit)))
	{
		int			count = unit->count;

		if (count > 0 && waits_for_quota(unit))
			return;
		write_batch(unit);
		api->WriteRateCount(unit->store, count);
	}
}
