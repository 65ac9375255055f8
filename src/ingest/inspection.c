/*-------------------------------------------------------------------------
 *
 * inspection.c
 *		Answers check_server and peek.
 *
 * A short-lived process of its own for each question: it can be terminated by
 * whoever asked, and whatever a broker does to it, no ingestion suffers.
 *
 * Locks: none.
 * Must not know: stores.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/pg_bswap.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "common/compat.h"
#include "common/pin_settings.h"
#include "ingest/api.h"
#include "kafka/client.h"
#include "kafka/registry.h"
#include "worker/inspect.h"

/* A peek fetches little. */
#define INSPECT_MEMORY_BYTES (4 * 1024 * 1024)

/* Magic byte 0 and a schema's id. */
#define CONFLUENT_HEADER_BYTES 5

PGDLLEXPORT void venice_inspect_main(Datum argument);

static shm_mq_handle *queue;
static TimestampTz deadline;

static void
send_message(StringInfo message)
{
	if (shm_mq_send(queue, message->len, message->data, false, true) != SHM_MQ_SUCCESS)
		proc_exit(0);			/* whoever asked has left */
	pfree(message->data);
}

static void
send_error(int sqlstate, const char *text)
{
	StringInfoData message;

	initStringInfo(&message);
	pq_sendbyte(&message, INSPECT_MSG_ERROR);
	pq_sendstring(&message, unpack_sql_state(sqlstate));
	pq_sendstring(&message, text);
	send_message(&message);
}

static void
send_check(const char *part, bool ok, const char *detail)
{
	StringInfoData message;

	initStringInfo(&message);
	pq_sendbyte(&message, INSPECT_MSG_CHECK);
	pq_sendstring(&message, part);
	pq_sendbyte(&message, ok);
	pq_sendstring(&message, detail);
	send_message(&message);
}

static void
send_bytes(StringInfo message, const char *data, int bytes)
{
	pq_sendint32(message, bytes);
	if (bytes > 0)
		pq_sendbytes(message, data, bytes);
}

static void
send_record(int32 partition, const KafkaRecord *record, const Jsonb *description)
{
	StringInfoData message;

	initStringInfo(&message);
	pq_sendbyte(&message, INSPECT_MSG_RECORD);
	pq_sendint32(&message, partition);
	pq_sendint64(&message, record->offset);
	pq_sendint64(&message, record->timestamp_ms);
	send_bytes(&message, record->key, record->key_bytes);
	send_bytes(&message, record->value, record->value_bytes);
	send_bytes(&message, VARDATA_ANY(description), VARSIZE_ANY_EXHDR(description));
	send_message(&message);
}

/* The next event; false when the time is over. */
static bool
next_event(KafkaClient *client, KafkaEvent *event)
{
	while (!KafkaClientNext(client, event))
	{
		long		timeout_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

		if (timeout_ms <= 0)
			return false;
		(void) WaitLatchOrSocket(MyLatch,
								 WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT |
								 WL_EXIT_ON_PM_DEATH,
								 KafkaClientEventFd(client), timeout_ms,
								 WaitEventNamed("VeniceInspect"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return true;
}

static KafkaClient *
open_client(const ServerOptions *options)
{
	KafkaProblem problem;
	KafkaClient *client = KafkaClientOpen(options->kafka, psprintf("venice-inspect-%d", MyProcPid),
										  INSPECT_MEMORY_BYTES, TopMemoryContext, &problem);

	if (client == NULL)
		ereport(ERROR,
				(errcode(problem.sqlstate), errmsg_internal("%s", problem.message)));
	return client;
}

static bool
is_authentication(int sqlstate)
{
	return ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
}

/*
 * Ask for a topic that hardly exists: an answer, whatever it says, shows that a
 * broker speaks to us, and lets us in.
 */
static void
check_broker(const ServerOptions *options)
{
	KafkaClient *client = open_client(options);
	KafkaEvent	event;
	KafkaProblem problem = {0};
	bool		answered = false;

	KafkaClientRequestMetadata(client, "__consumer_offsets", NULL);
	while (!answered && next_event(client, &event))
	{
		if (event.kind == KAFKA_METADATA)
		{
			answered = event.problem.sqlstate == 0 ||
				event.problem.sqlstate == ERRCODE_UNDEFINED_OBJECT;
			if (answered)
				break;
		}
		else if (event.kind != KAFKA_CLIENT_PROBLEM)
			continue;

		/* What a broker said of us tells more than that none answered. */
		if (problem.sqlstate == 0 || is_authentication(event.problem.sqlstate))
			problem = event.problem;
		if (event.kind == KAFKA_METADATA || is_authentication(problem.sqlstate))
			break;
	}
	KafkaClientClose(client);

	if (answered)
	{
		send_check("broker", true, KafkaLibraryVersion());
		send_check("auth", true,
				   options->has_mapping ? "with a user mapping" : "without a user mapping");
	}
	else if (is_authentication(problem.sqlstate))
	{
		send_check("broker", true, KafkaLibraryVersion());
		send_check("auth", false, problem.message);
	}
	else
	{
		send_check("broker", false,
				   problem.sqlstate != 0 ? problem.message : "no broker answered in time");
		send_check("auth", false, "not tried, because no broker answered");
	}
}

static void
check_registry(const ServerOptions *options)
{
	KafkaProblem problem = {0};

	if (options->registry.url == NULL)
		send_check("registry", true, "none: the server has no option \"schema_registry_url\"");
	else if (RegistryCheck(&options->registry, &problem) == REGISTRY_FOUND)
		send_check("registry", true, options->registry.url);
	else
		send_check("registry", false, problem.message);
}

/* A schema that a peek has come across; reader is NULL where it is not to be had. */
typedef struct KnownSchema
{
	int32		id;
	AvroReader *reader;
} KnownSchema;

static AvroReader *
find_reader(const RegistryOptions *registry, int32 id)
{
	static List *known = NIL;
	static bool available = true;
	KnownSchema *schema;
	ListCell   *cell;
	char	  **texts;
	int			ntexts;
	KafkaProblem problem;
	DecodeError error;

	foreach(cell, known)
	{
		schema = lfirst(cell);
		if (schema->id == id)
			return schema->reader;
	}
	schema = palloc0(sizeof(KnownSchema));
	schema->id = id;
	known = lappend(known, schema);
	if (available)
	{
		RegistryAnswer answer = RegistryFetchSchema(registry, id, TopMemoryContext, &texts,
													&ntexts, &problem);

		if (answer == REGISTRY_FOUND)
			schema->reader = api->AvroReaderCreate((const char *const *) texts, ntexts, NULL, NULL,
												   0, TopMemoryContext, &error);
		available = answer != REGISTRY_UNAVAILABLE;
	}
	return schema->reader;
}

/* Put the datum of a Confluent frame into the description, if its schema is to be had. */
static Jsonb *
describe_datum(Jsonb *description, const char *member, const char *data, int bytes,
			   const RegistryOptions *registry)
{
	AvroReader *reader;
	Jsonb	   *datum;
	DecodeError error;
	Datum		path;
	uint32		id;

	if (registry->url == NULL || bytes < CONFLUENT_HEADER_BYTES || data[0] != 0)
		return description;
	memcpy(&id, data + 1, sizeof(id));
	reader = find_reader(registry, (int32) pg_ntoh32(id));
	if (reader == NULL ||
		!api->AvroDatumToJsonb(reader, data + CONFLUENT_HEADER_BYTES,
							   bytes - CONFLUENT_HEADER_BYTES, &datum, &error))
		return description;
	path = CStringGetTextDatum(member);
	path = PointerGetDatum(construct_array(&path, 1, TEXTOID, -1, false, TYPALIGN_INT));
	return DatumGetJsonbP(DirectFunctionCall4(jsonb_set, JsonbPGetDatum(description), path,
											  JsonbPGetDatum(datum), BoolGetDatum(true)));
}

/* The record as people read it: by its schemas where it names some that the registry has. */
static Jsonb *
describe_record(const KafkaRecord *record, const RegistryOptions *registry)
{
	Jsonb	   *description;
	RawRecord	raw;

	raw.key = record->key;
	raw.key_bytes = record->key_bytes;
	raw.value = record->value;
	raw.value_bytes = record->value_bytes;
	description = api->RecordDescribe(&raw);
	description = describe_datum(description, "key", raw.key, raw.key_bytes, registry);
	return describe_datum(description, "value", raw.value, raw.value_bytes, registry);
}

static void
peek(const ServerOptions *options, const InspectRequest *request)
{
	KafkaClient *client = open_client(options);
	KafkaEvent	event;
	int			count = 0;

	KafkaClientAssign(client, request->topic, request->partition, request->start_offset, NULL);
	while (count < request->max_records)
	{
		if (!next_event(client, &event))
			ereport(ERROR,
					(errcode(ERRCODE_CONNECTION_FAILURE),
					 errmsg("no answer from server \"%s\" in time", request->server)));
		if (event.kind == KAFKA_RECORD)
		{
			send_record(request->partition, &event.record,
						describe_record(&event.record, &options->registry));
			KafkaRecordRelease(&event.record);
			count++;
		}
		else if (event.kind == KAFKA_END_OF_PARTITION)
			break;
		else if (event.kind == KAFKA_PARTITION_PROBLEM || event.kind == KAFKA_CLIENT_PROBLEM)
			ereport(ERROR,
					(errcode(event.problem.sqlstate),
					 errmsg_internal("%s", event.problem.message)));
	}
	KafkaClientClose(client);
}

static void
answer(const InspectRequest *request)
{
	ServerOptions *options;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	options = api->ServerOptionsGet(request->server, request->role, TopMemoryContext);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(TopMemoryContext);

	if (request->kind == INSPECT_PEEK)
		peek(options, request);
	else
	{
		check_broker(options);
		check_registry(options);
	}
}

void
venice_inspect_main(Datum argument)
{
	dsm_segment *segment;
	InspectRequest *request;
	StringInfoData message;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	IngestApiAttach();
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "venice inspection");
	segment = dsm_attach((dsm_handle) DatumGetInt32(argument));
	if (segment == NULL)
		proc_exit(0);			/* whoever asked has left */
	dsm_pin_mapping(segment);
	request = dsm_segment_address(segment);
	if (request->magic != INSPECT_MAGIC)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("libraries \"venice\" and \"venice_ingest\" do not belong together"),
				 errhint("Restart the server if venice was updated.")));
	shm_mq_set_sender(InspectQueue(request), MyProc);
	queue = shm_mq_attach(InspectQueue(request), segment, NULL);
	deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), INSPECT_WORKER_TIMEOUT_MS);

	BackgroundWorkerInitializeConnectionByOid(request->database, InvalidOid, 0);
	PinWorkerSettings();
	pgstat_report_activity(STATE_RUNNING, psprintf("looking at server %s", request->server));
	PG_TRY();
	{
		answer(request);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(TopMemoryContext);
		error = CopyErrorData();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		send_error(error->sqlerrcode, error->message);
	}
	PG_END_TRY();

	initStringInfo(&message);
	pq_sendbyte(&message, INSPECT_MSG_DONE);
	send_message(&message);
	proc_exit(0);
}
