/*-------------------------------------------------------------------------
 *
 * outbox.c
 *		A worker's outboxes: what was written to stores, produced to their topics.
 *
 * One step after the other, and only one batch at a time:
 *
 *	1. In Postgres, rows that have no batch get the next number, and that is on disk.
 *	2. In one transaction of Kafka's the batch's records are written, and its number as the
 *	   offset of the outbox's own group.
 *	3. In Postgres the batch's rows are deleted.
 *
 * Whoever begins anew, after whatever happened, first opens the producer, whose name is the
 * outbox's: from then on no earlier one can write or commit, and its last transaction is
 * over, one way or the other.  Then it reads the number N that Kafka has.
 *
 * Each committed write is in the topic, and once:
 *	- A row belongs to one batch, for good: the number is given once, before the first
 *	  attempt, and rows that are seen later are in a later batch, also where their
 *	  positions are lower because their transaction was slower.  So an attempt that is
 *	  repeated has the same records.
 *	- Numbers rise, and are delivered in their order, because there is one at a time.  So
 *	  batches up to N have been delivered, as records and number were committed together:
 *	  their rows are deleted.  A batch above N has not been, as neither was: it is
 *	  produced again.
 *	- What was rolled back no snapshot has seen.
 *
 * Records of one key are in the order of their writes: a write that came after another
 * was committed has a higher position, and whatever snapshot sees it sees the other; in a
 * batch the order is that of positions, and the producer keeps it within a partition.
 *
 * Kafka forgets a group's offset that nobody has renewed for long (offsets.retention.minutes,
 * 7 days).  Only if the server is away for so long, and went away between steps 2 and 3,
 * that one batch is produced twice: its records repeat the last state of their keys' order,
 * and only a sum could tell.  Nothing is lost.  A copy of the database that is older than
 * the topic, from a backup with the same identity, has higher numbers given to what
 * it has, which is produced again.
 *
 * The name has the system's identifier, the database's OID and the store's name.  Nothing
 * is produced by a node that has not been told to, as with ingestion.
 *
 * Locks: Shared->lock.
 * Must not know: how rows are kept, formats.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ingest/outbox.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "pgstat.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "common/retry.h"
#include "ingest/api.h"
#include "kafka/producer.h"
#include "kafka/registry.h"
#include "wire/headers.h"

/* How soon what nobody has told of is found: prepared transactions are committed elsewhere. */
#define LOOK_INTERVAL_MS	1000

/* An outbox that has been empty for so long gives its connection up. */
#define IDLE_MS				(30 * 1000)

/* How soon a topic that does not exist is looked for again, or room for one more producer. */
#define TOPIC_INTERVAL_MS	1000
#define ROOM_INTERVAL_MS	1000

/* Each has its threads, and some twenty file descriptors. */
#define MAX_PRODUCERS		16

/* A part of the worker's memory, as the library has its own copy. */
#define BATCH_MEMORY_PART	16

#define shared_units ((*api->Shared)->units)
#define shared_lock ((*api->Shared)->lock)

/* A schema, and its id at the registry. */
typedef struct SchemaId
{
	char	   *subject;
	char	   *text;
	int32		id;
} SchemaId;

typedef struct Outbox
{
	int			index;			/* in Shared->units */
	MemoryContext context;
	char	   *store;
	char	   *topic;
	ServerOptions *options;
	KafkaProducer *producer;	/* NULL: not yet, or let go */
	MemoryContext batch_context;
	OutboxBatch batch;			/* being produced; number 0: none */
	bool		started;		/* the producer is */
	int64		produced;
	TimestampTz next_look_time;
	TimestampTz idle_since;
	List	   *schema_ids;		/* of SchemaId */
	bool		released;
} Outbox;

int			OutboxesGeneration = 0;

static List *outboxes = NIL;

static Outbox *
find_outbox(int index)
{
	ListCell   *cell;

	foreach(cell, outboxes)
	{
		Outbox	   *outbox = lfirst(cell);

		if (outbox->index == index && !outbox->released)
			return outbox;
	}
	return NULL;
}

static void
begin_transaction(const Outbox *outbox)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, psprintf("store %s, outbox", outbox->store));
}

static void
commit_transaction(bool on_disk)
{
	/* Of all that a worker does only this must not be lost once others have acted on it. */
	if (on_disk)
		(void) set_config_option("synchronous_commit", "on", PGC_SUSET, PGC_S_OVERRIDE,
								 GUC_ACTION_LOCAL, true, 0, false);
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
}

static void
publish(const Outbox *outbox, UnitState state)
{
	SharedUnit *shared = &shared_units[outbox->index];

	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	shared->state = state;
	shared->messages = outbox->produced;
	LWLockRelease(shared_lock);
}

static void
note_success(const Outbox *outbox)
{
	SharedUnit *shared = &shared_units[outbox->index];

	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	shared->failures = 0;
	shared->next_retry_time = 0;
	shared->last_error[0] = '\0';
	shared->last_error_time = 0;
	LWLockRelease(shared_lock);
}

/* Give the entry back; state, error and retry time as they are to be seen. */
static void
let_go(Outbox *outbox, UnitState state, int delay_ms, const char *error)
{
	SharedUnit *shared = &shared_units[outbox->index];
	TimestampTz now = GetCurrentTimestamp();

	if (outbox->released)
		return;
	if (outbox->producer != NULL)
	{
		KafkaProducerClose(outbox->producer);
		outbox->producer = NULL;
		OutboxesGeneration++;
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
	outbox->released = true;
	api->SupervisorWake();
}

static void
retry(Outbox *outbox, const char *error)
{
	SharedUnit *shared = &shared_units[outbox->index];
	int			failures;

	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	failures = ++shared->failures;
	LWLockRelease(shared_lock);
	let_go(outbox, UNIT_RETRYING, RetryDelayMs(failures), error);
}

static int
producer_count(void)
{
	ListCell   *cell;
	int			count = 0;

	foreach(cell, outboxes)
		count += ((Outbox *) lfirst(cell))->producer != NULL;
	return count;
}

static void
open_producer(Outbox *outbox)
{
	KafkaProblem problem;
	char	   *name = psprintf("venice-" UINT64_FORMAT "-%u-%s", GetSystemIdentifier(),
								MyDatabaseId, outbox->store);

	outbox->producer = KafkaProducerOpen(outbox->options->kafka,
										 psprintf("venice-%u-%d", MyDatabaseId, MyProcPid), name,
										 outbox->topic, outbox->context, &problem);
	if (outbox->producer == NULL)
		ereport(ERROR,
				(errcode(problem.sqlstate), errmsg("%s", problem.message)));
	OutboxesGeneration++;
	publish(outbox, UNIT_RUNNING);
}

static void
begin(Outbox *outbox)
{
	Store	   *store;
	bool		wanted;

	begin_transaction(outbox);
	MemoryContextSwitchTo(outbox->context);
	store = api->StoreLookup(outbox->store, true);
	wanted = store != NULL && !store->paused && store->options->real_time_topics != NIL &&
		api->NodeIsKnown();
	if (wanted)
	{
		const RealTimeTopic *topic = linitial(store->options->real_time_topics);

		outbox->topic = api->RealTimeTopicName(topic, store->name);
		outbox->options = api->ServerOptionsGet(topic->server, store->owner, outbox->context);
	}
	commit_transaction(false);
	MemoryContextSwitchTo(outbox->context);
	if (!wanted)
		let_go(outbox, UNIT_WAITING_FOR_WORKER, TOPIC_INTERVAL_MS, NULL);
	else if (producer_count() >= MAX_PRODUCERS)
		let_go(outbox, UNIT_WAITING_FOR_WORKER, ROOM_INTERVAL_MS, NULL);
	else
		open_producer(outbox);
}

/* The id of a schema for the topic's keys or values: the registry knows it, or is told. */
static int32
schema_id(Outbox *outbox, const char *part, const char *text)
{
	const char *url = outbox->options->registry.url;
	MemoryContext old = MemoryContextSwitchTo(outbox->context);
	char	   *subject = psprintf("%s-%s", outbox->topic, part);
	KafkaProblem problem = {0};
	SchemaId   *known;
	ListCell   *cell;
	int32		id;

	foreach(cell, outbox->schema_ids)
	{
		known = lfirst(cell);
		if (strcmp(known->subject, subject) == 0 && strcmp(known->text, text) == 0)
		{
			MemoryContextSwitchTo(old);
			return known->id;
		}
	}
	if (RegistryRegisterSchema(&outbox->options->registry, subject, text, &id,
							   &problem) != REGISTRY_FOUND)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg_internal("%s", problem.message)));
	begin_transaction(outbox);
	api->RegistrySchemaWrite(url, id, &text, 1);
	commit_transaction(false);

	MemoryContextSwitchTo(outbox->context);
	known = palloc(sizeof(SchemaId));
	known->subject = subject;
	known->text = pstrdup(text);
	known->id = id;
	outbox->schema_ids = lappend(outbox->schema_ids, known);
	MemoryContextSwitchTo(old);
	return id;
}

static void
add_header(KafkaOutRecord *record, const char *name, const char *value)
{
	KafkaHeader *header = &record->headers[record->header_count++];

	header->name = name;
	header->value = value;
}

static void
describe_record(const OutboxRecord *from, KafkaOutRecord *to)
{
	to->partition = KAFKA_BY_KEY;
	to->key = from->key;
	to->key_bytes = from->key_bytes;
	to->value = from->value;
	to->value_bytes = from->value_bytes;
	if (from->time != 0)
		add_header(to, HEADER_LOGICAL_TIME, psprintf(INT64_FORMAT, from->time));
	switch (from->kind)
	{
		case OUTBOX_PUT:
		case OUTBOX_DELETE:
			break;
		case OUTBOX_UPDATE:
			add_header(to, HEADER_OPERATION, HEADER_UPDATE);
			break;
		case OUTBOX_START:
		case OUTBOX_END:
			to->partition = KAFKA_EACH_PARTITION;
			add_header(to, from->kind == OUTBOX_START ? HEADER_PUSH_START : HEADER_PUSH_END,
					   from->push_id);
			break;
	}
}

/* Have the batch produced; outside of transactions. */
static void
produce_batch(Outbox *outbox)
{
	OutboxBatch *batch = &outbox->batch;
	KafkaOutRecord *records;

	MemoryContextSwitchTo(outbox->batch_context);
	records = palloc0(batch->count * sizeof(KafkaOutRecord));
	for (int i = 0; i < batch->count; i++)
	{
		OutboxRecord *record = &batch->records[i];

		if (record->key_schema != NULL)
			api->RecordFrameFill(record->key, schema_id(outbox, "key", record->key_schema));
		if (record->value_schema != NULL)
			api->RecordFrameFill(record->value, schema_id(outbox, "value", record->value_schema));
		describe_record(record, &records[i]);
	}
	KafkaProducerSend(outbox->producer, batch->number, records, batch->count);
	MemoryContextSwitchTo(outbox->context);
	publish(outbox, UNIT_RUNNING);
}

/* What there is to produce after this: at first, or after a batch was delivered. */
static void
proceed(Outbox *outbox, const KafkaProducerEvent *event)
{
	SharedUnit *shared = &shared_units[outbox->index];
	OutboxBatch next = {0};
	Store	   *store;
	TimestampTz now;

	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	shared->outbox_written = false;
	LWLockRelease(shared_lock);

	begin_transaction(outbox);
	store = api->StoreLookup(outbox->store, true);
	if (store == NULL)
	{
		commit_transaction(false);
		let_go(outbox, UNIT_WAITING_FOR_WORKER, 0, NULL);
		return;
	}
	if (event != NULL && event->kind == PRODUCER_DELIVERED)
	{
		api->OutboxDone(store, &outbox->batch);
		outbox->produced += outbox->batch.count;
		outbox->batch.number = 0;
		MemoryContextReset(outbox->batch_context);
	}
	MemoryContextSwitchTo(outbox->batch_context);
	if (event != NULL && event->kind == PRODUCER_STARTED)
		api->OutboxResume(store, event->batch, &next);
	if (next.number == 0)
		api->OutboxTake(store, api->Settings->batch_rows,
						(int64) api->Settings->worker_memory_kb * 1024 / BATCH_MEMORY_PART, &next);
	commit_transaction(next.number != 0);
	MemoryContextSwitchTo(outbox->context);

	outbox->batch = next;
	now = GetCurrentTimestamp();
	outbox->next_look_time = TimestampTzPlusMilliseconds(now, LOOK_INTERVAL_MS);
	if (next.number != 0)
	{
		outbox->idle_since = 0;
		produce_batch(outbox);
		return;
	}
	if (outbox->idle_since == 0)
		outbox->idle_since = now;
	publish(outbox, UNIT_CAUGHT_UP);
	if (TimestampDifferenceExceeds(outbox->idle_since, now, IDLE_MS))
		let_go(outbox, UNIT_WAITING_FOR_WORKER, 0, NULL);
}

static void
receive(Outbox *outbox, const KafkaProducerEvent *event)
{
	switch (event->kind)
	{
		case PRODUCER_STARTED:
			outbox->started = true;
			proceed(outbox, event);
			break;
		case PRODUCER_DELIVERED:
			note_success(outbox);
			proceed(outbox, event);
			break;
		case PRODUCER_PROBLEM:
			if (event->problem.sqlstate == ERRCODE_UNDEFINED_OBJECT)
				let_go(outbox, UNIT_WAITING_FOR_TOPIC, TOPIC_INTERVAL_MS, event->problem.message);
			else
				retry(outbox, event->problem.message);
			break;
		case PRODUCER_LOG:
			ereport(LOG, (errmsg_internal("%s", event->problem.message)));
			break;
	}
}

static bool
is_written(const Outbox *outbox)
{
	bool		written;

	LWLockAcquire(shared_lock, LW_SHARED);
	written = shared_units[outbox->index].outbox_written;
	LWLockRelease(shared_lock);
	return written;
}

static void
work(Outbox *outbox)
{
	KafkaProducerEvent event;

	if (outbox->options == NULL)
		begin(outbox);
	while (!outbox->released && KafkaProducerNext(outbox->producer, &event))
		receive(outbox, &event);
	if (!outbox->released && outbox->started && outbox->batch.number == 0 &&
		(is_written(outbox) || GetCurrentTimestamp() >= outbox->next_look_time))
		proceed(outbox, NULL);
}

static void
outbox_context(void *argument)
{
	errcontext("outbox of store \"%s\"", ((Outbox *) argument)->store);
}

/* What goes wrong is mended by circumstances, or by people: it is tried again. */
static void
guarded_work(Outbox *outbox)
{
	ErrorContextCallback callback = {error_context_stack, outbox_context, outbox};
	ErrorData  *error;

	error_context_stack = &callback;
	MemoryContextSwitchTo(outbox->context);
	PG_TRY();
	{
		work(outbox);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(outbox->context);
		error = CopyErrorData();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		pgstat_report_activity(STATE_IDLE, NULL);
		ereport(LOG,
				(errcode(error->sqlerrcode), errmsg_internal("%s", error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0,
				 error->context ? errcontext("%s", error->context) : 0));
		retry(outbox, error->message);
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(TopMemoryContext);
}

void
OutboxAdopt(int index, bool stop)
{
	Outbox	   *outbox = find_outbox(index);

	if (outbox == NULL)
	{
		MemoryContext context = AllocSetContextCreate(TopMemoryContext, "venice outbox",
													  ALLOCSET_DEFAULT_SIZES);
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		outbox = MemoryContextAllocZero(context, sizeof(Outbox));
		outbox->index = index;
		outbox->context = context;
		outbox->batch_context = AllocSetContextCreate(context, "venice outbox batch",
													  ALLOCSET_DEFAULT_SIZES);
		LWLockAcquire(shared_lock, LW_SHARED);
		outbox->store = MemoryContextStrdup(context, NameStr(shared_units[index].store));
		LWLockRelease(shared_lock);
		outboxes = lappend(outboxes, outbox);
		MemoryContextSwitchTo(old);
	}
	if (stop)
		let_go(outbox, UNIT_WAITING_FOR_WORKER, 0, NULL);
}

void
OutboxesWork(void)
{
	ListCell   *cell;

	foreach(cell, outboxes)
	{
		Outbox	   *outbox = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		if (!outbox->released)
			guarded_work(outbox);
		if (outbox->released)
		{
			outboxes = foreach_delete_current(outboxes, cell);
			MemoryContextDelete(outbox->context);
		}
	}
}

TimestampTz
OutboxesDueTime(void)
{
	TimestampTz due = 0;
	ListCell   *cell;

	foreach(cell, outboxes)
	{
		const Outbox *outbox = lfirst(cell);

		if (outbox->started && outbox->batch.number == 0 &&
			(due == 0 || outbox->next_look_time < due))
			due = outbox->next_look_time;
	}
	return due;
}

bool
OutboxesArePresent(void)
{
	return outboxes != NIL;
}

void
OutboxesReleaseAll(void)
{
	ListCell   *cell;

	foreach(cell, outboxes)
	{
		Outbox	   *outbox = lfirst(cell);

		let_go(outbox, UNIT_WAITING_FOR_WORKER, 0, NULL);
		outboxes = foreach_delete_current(outboxes, cell);
		MemoryContextDelete(outbox->context);
	}
}

void
OutboxesCloseAll(void)
{
	ListCell   *cell;

	foreach(cell, outboxes)
	{
		Outbox	   *outbox = lfirst(cell);

		if (outbox->producer != NULL)
			KafkaProducerClose(outbox->producer);
		outbox->producer = NULL;
	}
}

int
OutboxesCount(void)
{
	return producer_count();
}

void
OutboxesAddToWaitSet(WaitEventSet *set)
{
	ListCell   *cell;

	foreach(cell, outboxes)
	{
		const Outbox *outbox = lfirst(cell);

		if (outbox->producer != NULL)
			AddWaitEventToSet(set, WL_SOCKET_READABLE, KafkaProducerEventFd(outbox->producer),
							  NULL, NULL);
	}
}
