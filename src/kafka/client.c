/*-------------------------------------------------------------------------
 *
 * client.c
 *		A connection to a Kafka cluster, for reading.
 *
 * One librdkafka handle.  Its threads never run a line of ours: all signals are
 * blocked while they are made, and messages, errors and its log come as events of
 * one queue that we poll, not by callbacks, from which an ERROR would jump over
 * its locks.
 *
 * We are nobody's group member: partitions are assigned with explicit offsets,
 * which live in our tables.  A group's name is there only so that offsets can be
 * committed for people to look at.
 *
 * Metadata and watermarks can be asked for only by calls that block.  They are
 * made by one thread of our own, which touches nothing of Postgres and talks to
 * us by two lists under a mutex, and asks at once for all that waits.
 * rd_kafka_query_watermark_offsets is not among them: it waits longer than it is
 * told to, and closing would wait with it.
 *
 * Back-pressure: what is fetched ahead is bounded in bytes and in messages, since
 * the library's own structures outweigh small messages.  When that much is
 * waiting, its broker threads go to sleep, before version 2.2 for up to a second,
 * and a load would starve for most of it.  So we wake them up when the queue has
 * drained to half of its peak.  Pausing and resuming would do that as well, but
 * throws away what was fetched.
 *
 * Locks: the mutex of the request thread's lists.
 * Must not know: units, stores, offsets' meaning.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/client.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "portability/instr_time.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "common/server_options.h"

#define REQUEST_TIMEOUT_MS	8000
#define REQUEST_SLICE_MS	700 /* longest that closing waits for the request thread */
#define REQUEST_PAUSE_MS	100 /* between two attempts */
#define SILENCE_MS			4000	/* less than the library waits for a connection */
#define PAST_QUEUES_INTERVAL_MS 5000
#define MESSAGE_OVERHEAD_BYTES	320 /* what the library allocates for one message, roughly */
#define MIN_FETCH_BYTES		(1024 * 1024)	/* the library wants room for one large message */
#define WAKE_MIN_PEAK		1000	/* a queue that was never longer was never full */
#define LOG_WARNING_LEVEL	4	/* syslog's */
#define RESERVED_FDS		16	/* librdkafka's sockets and pipes, roughly */

typedef struct Assignment
{
	char	   *topic;
	int32		partition;
	void	   *tag;
	bool		assigned;		/* or it was, once */
	rd_kafka_queue_t *queue;	/* of what was fetched: see empty_queues */
} Assignment;

/* The event of a message that is out with the caller; a free one is on a list. */
typedef struct Lent
{
	KafkaClient *client;
	rd_kafka_event_t *event;
	const rd_kafka_message_t *message;
	struct Lent *next_free;
} Lent;

typedef struct LentBlock
{
	struct LentBlock *next;
	Lent		entries[1024];
} LentBlock;

/* A request, then its answer.  malloc'd: our thread must not touch Postgres's memory. */
typedef struct Request
{
	struct Request *next;
	KafkaEventKind kind;
	char	   *topic;
	rd_kafka_topic_t *handle;	/* while its metadata is asked for */
	int32		partition;
	void	   *tag;
	int64		offset;			/* that is not there, of KAFKA_PARTITION_PROBLEM; or found */
	int64		time_ms;		/* of KAFKA_OFFSET */
	instr_time	sent;
	int			known_error;	/* of KAFKA_PARTITION_PROBLEM: what is told in the end */
	int			rd_error;		/* rd_kafka_resp_err_t */
	int32		partition_count;
	int64		low;
	int64		high;
	char		text[256];
} Request;

typedef struct RequestList
{
	Request    *first;
	Request    *last;
} RequestList;

struct KafkaClient
{
	rd_kafka_t *handle;
	rd_kafka_queue_t *queue;
	int			event_fd;
	bool		fd_counted;
	MemoryContext context;
	MemoryContextCallback on_reset;

	Assignment *assignments;
	int			assignment_count;
	int			assignment_room;
	int			last_hit;

	LentBlock  *lent_blocks;
	Lent	   *free_lent;

	char		last_reason[448];	/* why a broker could not be reached since then */
	instr_time	last_answer;	/* when anything came from any broker; at first, when opened */
	bool		heard;			/* messages since then */
	bool		ever_answered;

	const char *sasl_username;	/* for wake_brokers */
	const char *sasl_password;
	int			peak;			/* longest the queue was since the brokers were last woken */
	instr_time	emptied;		/* when empty_past_queues last did it */
	int			polled;			/* messages since we last looked around: see KafkaClientNext */

	pthread_t	thread;
	bool		thread_running;
	pthread_mutex_t mutex;
	pthread_cond_t wanted;
	bool		stop;			/* these three under mutex */
	RequestList requests;
	RequestList answers;
};

static void
push(RequestList *list, Request *request)
{
	request->next = NULL;
	if (list->last != NULL)
		list->last->next = request;
	else
		list->first = request;
	list->last = request;
}

static Request *
pop(RequestList *list)
{
	Request    *request = list->first;

	if (request != NULL)
	{
		list->first = request->next;
		if (list->first == NULL)
			list->last = NULL;
	}
	return request;
}

static void
free_request(Request *request)
{
	free(request->topic);
	free(request);
}

static void
free_requests(RequestList *list)
{
	Request    *request;

	while ((request = pop(list)) != NULL)
		free_request(request);
}

static double
elapsed_ms(instr_time since)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, since);
	return INSTR_TIME_GET_MILLISEC(now);
}

void
KafkaProblemFill(KafkaProblem *problem, int rd_error, const char *text)
{
	problem->transient = true;
	switch (rd_error)
	{
		case RD_KAFKA_RESP_ERR__AUTHENTICATION:
		case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
			problem->sqlstate = ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
			break;
		case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
			problem->sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE;
			break;
		case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
		case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
		case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
			problem->sqlstate = ERRCODE_UNDEFINED_OBJECT;
			break;
		case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
		case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
			problem->sqlstate = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
			problem->transient = false;
			break;
		case RD_KAFKA_RESP_ERR__FATAL:
			problem->sqlstate = ERRCODE_CONNECTION_FAILURE;
			problem->transient = false;
			break;
		default:
			problem->sqlstate = ERRCODE_CONNECTION_FAILURE;
	}
	strlcpy(problem->message, text, sizeof(problem->message));
}

/* The following run in the request thread. */

/* One request for one topic, or for all those that the library has handles of. */
static rd_kafka_resp_err_t
ask_metadata(KafkaClient *client, rd_kafka_topic_t *topic, RequestList *requests)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t error = rd_kafka_metadata(client->handle, 0, topic, &metadata,
												  REQUEST_SLICE_MS);

	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		return error;
	for (Request *request = requests->first; request != NULL; request = request->next)
		for (int i = 0; i < metadata->topic_cnt; i++)
		{
			const rd_kafka_metadata_topic_t *found = &metadata->topics[i];

			if (strcmp(found->topic, request->topic) != 0)
				continue;
			request->rd_error = found->err;
			request->partition_count = found->partition_cnt;
			if (found->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
			{
				request->partition_count = 0;
				request->rd_error = RD_KAFKA_RESP_ERR_NO_ERROR;
			}
		}
	rd_kafka_metadata_destroy(metadata);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void
ask_partition_counts(KafkaClient *client, RequestList *requests)
{
	rd_kafka_topic_t *topic = NULL;
	rd_kafka_resp_err_t error;
	Request    *request;

	for (request = requests->first; request != NULL; request = request->next)
	{
		request->handle = rd_kafka_topic_new(client->handle, request->topic, NULL);
		if (request->handle == NULL)
			request->rd_error = rd_kafka_last_error();
		else
			topic = request->handle;
	}
	if (topic == NULL)
		return;
	error = ask_metadata(client, requests->first == requests->last ? topic : NULL, requests);
	for (request = requests->first; request != NULL; request = request->next)
	{
		if (request->handle == NULL)
			continue;
		rd_kafka_topic_destroy(request->handle);
		request->handle = NULL;
		if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
			request->rd_error = error;
	}
}

/*
 * The offset of RD_KAFKA_OFFSET_BEGINNING or RD_KAFKA_OFFSET_END, which pass for times here,
 * or of each request's own time.
 */
#define OWN_TIME	INT64CONST(-9)

static void
ask_offsets(KafkaClient *client, RequestList *requests, int64 which)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t error;
	Request    *request;

	for (request = requests->first; request != NULL; request = request->next)
		if (rd_kafka_topic_partition_list_find(list, request->topic, request->partition) == NULL)
			rd_kafka_topic_partition_list_add(list, request->topic, request->partition)->offset =
				which == OWN_TIME ? request->time_ms : which;
	error = rd_kafka_offsets_for_times(client->handle, list, REQUEST_SLICE_MS);
	for (request = requests->first; request != NULL; request = request->next)
	{
		rd_kafka_topic_partition_t *found =
			rd_kafka_topic_partition_list_find(list, request->topic, request->partition);

		request->rd_error = error != RD_KAFKA_RESP_ERR_NO_ERROR ? error : found->err;
		if (which == OWN_TIME)
			request->offset = found->offset >= 0 ? found->offset : request->high;
		else if (which == RD_KAFKA_OFFSET_BEGINNING)
			request->low = found->offset;
		else
			request->high = found->offset;
	}
	rd_kafka_topic_partition_list_destroy(list);
}

/* Ask once; each request then has its error or its answer.  All are of one kind. */
static void
ask(KafkaClient *client, RequestList *requests)
{
	Request    *first = requests->first;

	if (first->kind == KAFKA_METADATA)
		ask_partition_counts(client, requests);
	else
	{
		ask_offsets(client, requests, RD_KAFKA_OFFSET_END);
		if (first->kind == KAFKA_PARTITION_PROBLEM &&
			first->rd_error == RD_KAFKA_RESP_ERR_NO_ERROR)
			ask_offsets(client, requests, RD_KAFKA_OFFSET_BEGINNING);

		/* The end was asked for first: whatever comes after that is younger. */
		if (first->kind == KAFKA_OFFSET && first->rd_error == RD_KAFKA_RESP_ERR_NO_ERROR)
			ask_offsets(client, requests, OWN_TIME);
	}
}

/* Not asked yet, or worth another attempt, while there is time? */
static bool
is_to_be_asked_again(const Request *request)
{
	switch (request->rd_error)
	{
		case RD_KAFKA_RESP_ERR__TIMED_OUT:
		case RD_KAFKA_RESP_ERR__TRANSPORT:
		case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
			return elapsed_ms(request->sent) < REQUEST_TIMEOUT_MS;
		default:
			return false;
	}
}

static bool
is_stopping(KafkaClient *client)
{
	bool		stop;

	pthread_mutex_lock(&client->mutex);
	stop = client->stop;
	pthread_mutex_unlock(&client->mutex);
	return stop;
}

static void
give_answer(KafkaClient *client, Request *request)
{
	uint64		one = 1;

	/* A partition's problem is known already; the offsets tell whether it lasts. */
	if (request->kind == KAFKA_PARTITION_PROBLEM)
	{
		if (request->rd_error != RD_KAFKA_RESP_ERR_NO_ERROR)
			request->high = -1;
		request->rd_error = request->known_error;
	}
	else if (request->rd_error != RD_KAFKA_RESP_ERR_NO_ERROR)
		strlcpy(request->text, rd_kafka_err2str(request->rd_error), sizeof(request->text));
	pthread_mutex_lock(&client->mutex);
	push(&client->answers, request);
	pthread_mutex_unlock(&client->mutex);
	(void) !write(client->event_fd, &one, sizeof(one));
}

/* Together first; those that have no answer then, each alone: one may be the others' trouble. */
static void
perform(KafkaClient *client, RequestList *requests)
{
	RequestList left = {NULL, NULL};
	Request    *request;

	if (requests->first != requests->last)
		ask(client, requests);
	while ((request = pop(requests)) != NULL)
	{
		if (is_to_be_asked_again(request))
			push(&left, request);
		else
			give_answer(client, request);
	}
	while ((request = pop(&left)) != NULL)
	{
		RequestList alone = {request, request};

		request->next = NULL;
		while (is_to_be_asked_again(request) && !is_stopping(client))
		{
			ask(client, &alone);
			if (is_to_be_asked_again(request))
				usleep(REQUEST_PAUSE_MS * 1000);
		}
		give_answer(client, request);
	}
}

/*
 * Take the first request and all others of its kind, which cost hardly more: what
 * takes the time is that a broker answers behind its answer to a fetch, for which
 * it waits until there is something.  Mutex held.
 */
static RequestList
take_requests(KafkaClient *client)
{
	RequestList taken = {NULL, NULL};
	RequestList others = {NULL, NULL};
	Request    *request;

	while ((request = pop(&client->requests)) != NULL)
	{
		if (taken.first == NULL || (request->kind == taken.first->kind &&
									request->kind != KAFKA_PARTITION_PROBLEM &&
									request->kind != KAFKA_OFFSET))
			push(&taken, request);
		else
			push(&others, request);
	}
	client->requests = others;
	return taken;
}

static void *
request_thread(void *argument)
{
	KafkaClient *client = argument;

	pthread_mutex_lock(&client->mutex);
	while (!client->stop)
	{
		RequestList taken = take_requests(client);

		if (taken.first == NULL)
		{
			pthread_cond_wait(&client->wanted, &client->mutex);
			continue;
		}
		pthread_mutex_unlock(&client->mutex);
		perform(client, &taken);
		pthread_mutex_lock(&client->mutex);
	}
	pthread_mutex_unlock(&client->mutex);
	return NULL;
}

static Request *
make_request(KafkaEventKind kind, const char *topic, int32 partition, void *tag)
{
	Request    *request = calloc(1, sizeof(Request));

	if (request == NULL || (request->topic = strdup(topic)) == NULL)
	{
		free(request);
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
	request->kind = kind;
	request->partition = partition;
	request->tag = tag;
	request->rd_error = RD_KAFKA_RESP_ERR__TIMED_OUT;
	INSTR_TIME_SET_CURRENT(request->sent);
	return request;
}

static void
send_request(KafkaClient *client, Request *request)
{
	pthread_mutex_lock(&client->mutex);
	push(&client->requests, request);
	pthread_cond_signal(&client->wanted);
	pthread_mutex_unlock(&client->mutex);
}

void
KafkaClientRequestMetadata(KafkaClient *client, const char *topic, void *tag)
{
	send_request(client, make_request(KAFKA_METADATA, topic, -1, tag));
}

void
KafkaClientRequestWatermarks(KafkaClient *client, const char *topic, int32 partition, void *tag)
{
	send_request(client, make_request(KAFKA_WATERMARKS, topic, partition, tag));
}

void
KafkaClientRequestOffset(KafkaClient *client, const char *topic, int32 partition, int64 time_ms,
						 void *tag)
{
	Request    *request = make_request(KAFKA_OFFSET, topic, partition, tag);

	request->time_ms = time_ms;
	send_request(client, request);
}

bool
KafkaSetProperty(void *conf, const char *name, const char *value, KafkaProblem *problem)
{
	char		error[256];

	if (rd_kafka_conf_set(conf, name, value, error, sizeof(error)) == RD_KAFKA_CONF_OK)
		return true;
	problem->sqlstate = ERRCODE_INVALID_PARAMETER_VALUE;
	problem->transient = false;
	/* The library's text repeats the value, which may be a secret. */
	snprintf(problem->message, sizeof(problem->message),
			 "%s does not accept the value of property \"%s\"", KafkaLibraryVersion(), name);
	return false;
}

static bool
set_number(rd_kafka_conf_t *conf, const char *name, int64 value, KafkaProblem *problem)
{
	char		text[32];

	snprintf(text, sizeof(text), INT64_FORMAT, value);
	return KafkaSetProperty(conf, name, text, problem);
}

static bool
set_properties(rd_kafka_conf_t *conf, const List *options, const char *client_id,
			   int64 memory_bytes, KafkaProblem *problem)
{
	/* What we need to be so, whatever the library's defaults become. */
	static const char *const ours[][2] = {
		{"enable.auto.commit", "false"},
		{"enable.auto.offset.store", "false"},
		{"enable.partition.eof", "true"},
		{"auto.offset.reset", "error"},
		{"isolation.level", "read_committed"},
		{"allow.auto.create.topics", "false"},
		{"log.queue", "true"},
		{"log.connection.close", "false"},
		{"group.id", "venice"},
		/* Destroying waits so long for a commit that has found no coordinator yet. */
		{"session.timeout.ms", "1000"},
		{"socket.keepalive.enable", "true"},
		{"fetch.wait.max.ms", "100"},
		{"fetch.error.backoff.ms", "200"},
		{"reconnect.backoff.max.ms", "5000"},
		{"topic.metadata.refresh.interval.ms", "30000"},
		{"topic.metadata.propagation.max.ms", "1000"},
		{"api.version.request.timeout.ms", "5000"},
#if RD_KAFKA_VERSION >= 0x020200ff
		{"fetch.queue.backoff.ms", "10"},
#endif
	};
	ListCell   *cell;

	for (int i = 0; i < lengthof(ours); i++)
		if (!KafkaSetProperty(conf, ours[i][0], ours[i][1], problem))
			return false;
	if (!KafkaSetProperty(conf, "client.id", client_id, problem) ||
		!KafkaSetProperty(conf, "socket.connection.setup.timeout.ms", "5000", problem) ||
		!KafkaSetProperty(conf, "socket.timeout.ms", "10000", problem))
		return false;

	/* To refresh Kerberos tickets a command would be run, in libraries that can do that. */
	(void) rd_kafka_conf_set(conf, "sasl.kerberos.min.time.before.relogin", "0", NULL, 0);

	/* A quarter for payload, half for the structures around it, the rest for what is on its way. */
	if (!set_number(conf, "queued.max.messages.kbytes",
					Max(memory_bytes / 4, MIN_FETCH_BYTES) / 1024, problem) ||
		!set_number(conf, "queued.min.messages",
					Max(memory_bytes / 2 / MESSAGE_OVERHEAD_BYTES, WAKE_MIN_PEAK), problem) ||
		!set_number(conf, "fetch.max.bytes", Max(memory_bytes / 8, MIN_FETCH_BYTES), problem))
		return false;

	foreach(cell, options)
	{
		ServerOption *option = lfirst(cell);

		if (!KafkaSetProperty(conf, option->name, option->value, problem))
			return false;
	}
	return true;
}

static void
close_on_reset(void *argument)
{
	KafkaClientClose(argument);
}

KafkaClient *
KafkaClientOpen(const List *options, const char *client_id, int64 memory_bytes,
				MemoryContext context, KafkaProblem *problem)
{
	KafkaClient *client = MemoryContextAllocZero(context, sizeof(KafkaClient));
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	sigset_t	all;
	sigset_t	before;
	ListCell   *cell;
	char		error[256];

	if (!set_properties(conf, options, client_id, memory_bytes, problem))
	{
		rd_kafka_conf_destroy(conf);
		return NULL;
	}
	client->sasl_username = "";
	client->sasl_password = "";
	foreach(cell, options)
	{
		ServerOption *option = lfirst(cell);

		if (strcmp(option->name, "sasl.username") == 0)
			client->sasl_username = MemoryContextStrdup(context, option->value);
		else if (strcmp(option->name, "sasl.password") == 0)
			client->sasl_password = MemoryContextStrdup(context, option->value);
	}
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_FETCH | RD_KAFKA_EVENT_ERROR |
							 RD_KAFKA_EVENT_LOG);

	client->context = context;
	INSTR_TIME_SET_CURRENT(client->last_answer);
	client->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (client->event_fd < 0)
	{
		rd_kafka_conf_destroy(conf);
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create an event file descriptor: %m")));
	}
	for (int i = 0; i < RESERVED_FDS; i++)
		ReserveExternalFD();
	client->fd_counted = true;
	pthread_mutex_init(&client->mutex, NULL);
	pthread_cond_init(&client->wanted, NULL);
	client->on_reset.func = close_on_reset;
	client->on_reset.arg = client;
	MemoryContextRegisterResetCallback(context, &client->on_reset);

	/* Postgres's handlers must run in its own thread: others are born deaf. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	client->handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof(error));
	if (client->handle != NULL)
		client->thread_running = pthread_create(&client->thread, NULL, request_thread, client) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);

	if (client->handle == NULL)
	{
		rd_kafka_conf_destroy(conf);
		problem->sqlstate = ERRCODE_INVALID_PARAMETER_VALUE;
		problem->transient = false;
		strlcpy(problem->message, error, sizeof(problem->message));
		KafkaClientClose(client);
		return NULL;
	}
	if (!client->thread_running)
	{
		KafkaClientClose(client);
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not start a thread for requests to Kafka")));
	}
	rd_kafka_poll_set_consumer(client->handle);
	client->queue = rd_kafka_queue_get_consumer(client->handle);
	rd_kafka_set_log_queue(client->handle, client->queue);
	rd_kafka_queue_io_event_enable(client->queue, client->event_fd, &(uint64) {1}, sizeof(uint64));
	return client;
}

#if RD_KAFKA_VERSION < 0x020100ff
static void
empty_queue(rd_kafka_queue_t *queue)
{
	rd_kafka_event_t *event;

	while (queue != NULL && (event = rd_kafka_queue_poll(queue, 0)) != NULL)
		rd_kafka_event_destroy(event);
}

/* The answer comes when all that was asked for before has been done. */
static void
ask_assignment(KafkaClient *client)
{
	rd_kafka_topic_partition_list_t *list;

	if (rd_kafka_assignment(client->handle, &list) == RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_topic_partition_list_destroy(list);
}
#endif

/*
 * As long as we hold its queue, the library tells a partition whose topic is gone of
 * that every second, although we do not read it any more, and nobody would take it.
 *
 * A queue that still leads to ours must not be emptied: the others' records would be
 * lost.  Unassigning puts an end to that in the library's own thread, which has done
 * it when it answers a later question.
 */
static void
empty_past_queues(KafkaClient *client)
{
#if RD_KAFKA_VERSION < 0x020100ff
	if (KafkaClientPastAssignments(client) == 0 ||
		elapsed_ms(client->emptied) < PAST_QUEUES_INTERVAL_MS)
		return;
	INSTR_TIME_SET_CURRENT(client->emptied);
	ask_assignment(client);
	for (int i = 0; i < client->assignment_count; i++)
		if (!client->assignments[i].assigned)
			empty_queue(client->assignments[i].queue);
#endif
}

/*
 * Before 2.1, what is left in a partition's queue keeps the partition, and this
 * the queue, for ever, once the topic is deleted; and something always is, when a
 * partition is unassigned.  Closing would then wait for ever.  So we keep a hand
 * on the queue of each partition that we ever read, and empty them at the end.
 */
static void
empty_queues(KafkaClient *client)
{
#if RD_KAFKA_VERSION < 0x020100ff
	/* What it leaves in the queues is there when the next call returns. */
	(void) rd_kafka_assign(client->handle, NULL);
	ask_assignment(client);
	for (int i = 0; i < client->assignment_count; i++)
	{
		empty_queue(client->assignments[i].queue);
		if (client->assignments[i].queue != NULL)
			rd_kafka_queue_destroy(client->assignments[i].queue);
	}
	client->assignment_count = 0;
#endif
}

/*
 * KafkaClientClose
 *		Close at once; called again, does nothing.
 *
 * Our thread first, because it uses the handle; then every message, without
 * which the library would wait for them for ever.
 */
void
KafkaClientClose(KafkaClient *client)
{
	if (client->thread_running)
	{
		pthread_mutex_lock(&client->mutex);
		client->stop = true;
		pthread_cond_signal(&client->wanted);
		pthread_mutex_unlock(&client->mutex);
		pthread_join(client->thread, NULL);
		client->thread_running = false;
	}
	while (client->lent_blocks != NULL)
	{
		LentBlock  *block = client->lent_blocks;

		for (int i = 0; i < lengthof(block->entries); i++)
			if (block->entries[i].event != NULL)
				rd_kafka_event_destroy(block->entries[i].event);
		client->lent_blocks = block->next;
		free(block);
	}
	client->free_lent = NULL;
	if (client->queue != NULL)
	{
		empty_queues(client);
		rd_kafka_queue_io_event_enable(client->queue, -1, NULL, 0);
		rd_kafka_queue_destroy(client->queue);
		client->queue = NULL;
	}
	if (client->handle != NULL)
	{
		rd_kafka_destroy_flags(client->handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
		client->handle = NULL;
	}
	free_requests(&client->requests);
	free_requests(&client->answers);
	if (client->event_fd > 0)
	{
		close(client->event_fd);
		client->event_fd = -1;
	}
	if (client->fd_counted)
	{
		for (int i = 0; i < RESERVED_FDS; i++)
			ReleaseExternalFD();
		client->fd_counted = false;
	}
}

int
KafkaClientEventFd(const KafkaClient *client)
{
	return client->event_fd;
}

static Assignment *
find_entry(KafkaClient *client, const char *topic, int32 partition)
{
	int			count = client->assignment_count;

	/* Messages come in runs of one partition. */
	for (int i = 0; i < count; i++)
	{
		int			candidate = (client->last_hit + i) % count;
		Assignment *entry = &client->assignments[candidate];

		if (entry->partition == partition && strcmp(entry->topic, topic) == 0)
		{
			client->last_hit = candidate;
			return entry;
		}
	}
	return NULL;
}

static Assignment *
find_assignment(KafkaClient *client, const char *topic, int32 partition)
{
	Assignment *entry = find_entry(client, topic, partition);

	return entry != NULL && entry->assigned ? entry : NULL;
}

static Assignment *
make_entry(KafkaClient *client, const char *topic, int32 partition)
{
	Assignment *entry;

	if (client->assignment_count == client->assignment_room)
	{
		int			room = Max(16, client->assignment_room * 2);

		client->assignments = client->assignments == NULL ?
			MemoryContextAlloc(client->context, room * sizeof(Assignment)) :
			repalloc(client->assignments, room * sizeof(Assignment));
		client->assignment_room = room;
	}
	entry = &client->assignments[client->assignment_count];
	entry->topic = MemoryContextStrdup(client->context, topic);
	entry->partition = partition;
	entry->assigned = false;
	entry->queue = NULL;
	client->assignment_count++;
	return entry;
}

void
KafkaClientAssign(KafkaClient *client, const char *topic, int32 partition, int64 offset, void *tag)
{
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_error_t *error;
	Assignment *entry = find_entry(client, topic, partition);

	if (entry == NULL)
		entry = make_entry(client, topic, partition);

	list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, topic, partition)->offset =
		offset < 0 ? RD_KAFKA_OFFSET_BEGINNING : offset;
	error = rd_kafka_incremental_assign(client->handle, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (error != NULL)
	{
		char	   *text = pstrdup(rd_kafka_error_string(error));

		rd_kafka_error_destroy(error);
		elog(ERROR, "could not assign partition %d of topic \"%s\": %s", partition, topic, text);
	}
	entry->tag = tag;
	entry->assigned = true;
#if RD_KAFKA_VERSION < 0x020100ff
	/* A topic that was deleted and made again has new ones. */
	if (entry->queue != NULL)
		rd_kafka_queue_destroy(entry->queue);
	entry->queue = rd_kafka_queue_get_partition(client->handle, topic, partition);
#endif
}

void
KafkaClientUnassign(KafkaClient *client, const char *topic, int32 partition)
{
	Assignment *entry = find_assignment(client, topic, partition);
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_error_t *error;

	if (entry == NULL)
		return;
	entry->assigned = false;

	list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, topic, partition);
	error = rd_kafka_incremental_unassign(client->handle, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (error != NULL)
		rd_kafka_error_destroy(error);
}

int
KafkaClientPastAssignments(const KafkaClient *client)
{
	int			count = 0;

	for (int i = 0; i < client->assignment_count; i++)
		count += !client->assignments[i].assigned;
	return count;
}

/*
 * Wake broker threads that sleep on a full queue, when it has drained to half: see
 * the header.  To be told of credentials is the only occasion on which the library
 * wakes them all, so they are told what they know.
 */
static void
wake_brokers(KafkaClient *client)
{
#if RD_KAFKA_VERSION < 0x020200ff
	int			length = (int) rd_kafka_queue_length(client->queue);

	client->peak = Max(client->peak, length);
	if (client->peak >= WAKE_MIN_PEAK && length <= client->peak / 2)
	{
		client->peak = length;
		rd_kafka_sasl_set_credentials(client->handle, client->sasl_username,
									  client->sasl_password);
	}
#endif
	client->polled = 0;
}

static Lent *
lend(KafkaClient *client, rd_kafka_event_t *event, const rd_kafka_message_t *message)
{
	Lent	   *lent;

	if (client->free_lent == NULL)
	{
		LentBlock  *block = calloc(1, sizeof(LentBlock));

		if (block == NULL)
		{
			rd_kafka_event_destroy(event);
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
		}
		block->next = client->lent_blocks;
		client->lent_blocks = block;
		for (int i = 0; i < lengthof(block->entries); i++)
		{
			block->entries[i].client = client;
			block->entries[i].next_free = client->free_lent;
			client->free_lent = &block->entries[i];
		}
	}
	lent = client->free_lent;
	client->free_lent = lent->next_free;
	lent->event = event;
	lent->message = message;
	return lent;
}

void
KafkaRecordRelease(KafkaRecord *record)
{
	Lent	   *lent = record->owner;

	rd_kafka_event_destroy(lent->event);
	lent->event = NULL;
	lent->next_free = lent->client->free_lent;
	lent->client->free_lent = lent;
	record->owner = NULL;
}

const char *
KafkaRecordHeader(const KafkaRecord *record, const char *name, size_t *bytes)
{
	const Lent *lent = record->owner;
	rd_kafka_headers_t *headers;
	const void *value;

	/* They are taken apart here, and only of records that have any. */
	if (rd_kafka_message_headers(lent->message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
		rd_kafka_header_get_last(headers, name, &value, bytes) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return NULL;
	return value != NULL ? value : "";
}

static void
has_answered(KafkaClient *client)
{
	INSTR_TIME_SET_CURRENT(client->last_answer);
	client->heard = false;
	client->ever_answered = true;
	client->last_reason[0] = '\0';
}

/*
 * A broker has refused an offset.  Only if the partition's leader confirms that it
 * is not there is it gone; one that has just become leader may not have known.
 */
static void
describe_refusal(const Request *answer, KafkaProblem *problem)
{
	bool		gone = answer->high >= 0 &&
		(answer->offset < answer->low || answer->offset > answer->high);

	problem->transient = !gone;
	if (gone)
		snprintf(problem->message, sizeof(problem->message),
				 "partition %d of topic \"%.256s\" has no offset " INT64_FORMAT
				 ": its records begin at " INT64_FORMAT " and end before " INT64_FORMAT,
				 answer->partition, answer->topic, answer->offset, answer->low, answer->high);
	else
		snprintf(problem->message, sizeof(problem->message),
				 "a broker refused offset " INT64_FORMAT " of partition %d of topic \"%.256s\"",
				 answer->offset, answer->partition, answer->topic);
}

/* What the request thread answered. */
static bool
next_answer(KafkaClient *client, KafkaEvent *event)
{
	Request    *answer;

	pthread_mutex_lock(&client->mutex);
	answer = pop(&client->answers);
	pthread_mutex_unlock(&client->mutex);
	if (answer == NULL)
		return false;

	memset(event, 0, sizeof(KafkaEvent));
	if (answer->kind == KAFKA_PARTITION_PROBLEM)
	{
		Assignment *assignment = find_assignment(client, answer->topic, answer->partition);

		if (assignment == NULL || assignment->tag != answer->tag)
		{
			free_request(answer);
			return next_answer(client, event);
		}
	}
	event->kind = answer->kind;
	event->tag = answer->tag;
	event->partition = answer->partition;
	event->offset = answer->offset;
	event->partition_count = answer->partition_count;
	event->low_watermark = answer->low;
	event->high_watermark = answer->high;
	if (answer->rd_error != RD_KAFKA_RESP_ERR_NO_ERROR)
		KafkaProblemFill(&event->problem, answer->rd_error, answer->text);

	if (answer->kind == KAFKA_PARTITION_PROBLEM)
		describe_refusal(answer, &event->problem);
	else if (answer->rd_error == RD_KAFKA_RESP_ERR__TIMED_OUT ||
			 answer->rd_error == RD_KAFKA_RESP_ERR__TRANSPORT)
		snprintf(event->problem.message, sizeof(event->problem.message),
				 "Kafka did not answer within %d seconds%s%s", REQUEST_TIMEOUT_MS / 1000,
				 client->last_reason[0] != '\0' ? ": " : "", client->last_reason);
	else
		has_answered(client);
	free_request(answer);
	return true;
}

static void
fill_record(KafkaClient *client, rd_kafka_event_t *fetched, const rd_kafka_message_t *message,
			KafkaEvent *event)
{
	rd_kafka_timestamp_type_t type;
	KafkaRecord *record = &event->record;

	/* The rest of the event, which is large, is of other kinds. */
	event->kind = KAFKA_RECORD;
	event->partition = message->partition;
	event->offset = message->offset;
	record->offset = message->offset;
	record->timestamp_ms = rd_kafka_message_timestamp(message, &type);
	record->key = message->key;
	record->key_bytes = message->key == NULL ? -1 : (int) message->key_len;
	record->value = message->payload;
	record->value_bytes = message->payload == NULL ? -1 : (int) message->len;
	record->owner = lend(client, fetched, message);
}

/* An error of one partition; false when there is nothing to say, or not yet. */
static bool
take_partition_error(KafkaClient *client, int error, const char *text,
					 const rd_kafka_topic_partition_t *where, KafkaEvent *event)
{
	Assignment *assignment = find_assignment(client, where->topic, where->partition);

	if (assignment == NULL)
		return false;
	has_answered(client);
	event->tag = assignment->tag;
	event->partition = where->partition;
	event->offset = where->offset;
	switch (error)
	{
		case RD_KAFKA_RESP_ERR__PARTITION_EOF:
			event->kind = KAFKA_END_OF_PARTITION;
			return true;
		case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
			{
				/* Said when it is known what is there. */
				Request    *request = make_request(KAFKA_PARTITION_PROBLEM, where->topic,
												   where->partition, assignment->tag);

				request->offset = where->offset;
				request->known_error = error;
				strlcpy(request->text, text, sizeof(request->text));
				send_request(client, request);
				return false;
			}
		default:
			event->kind = KAFKA_PARTITION_PROBLEM;
			KafkaProblemFill(&event->problem, error, text);
			return true;
	}
}

/*
 * One broker of perhaps many that cannot be reached matters when none is left,
 * which the library says, or when nobody has answered for some time: of a broker
 * that accepts connections and is silent it does not say that it is down.
 */
static bool
take_client_error(KafkaClient *client, int error, const char *text, KafkaEvent *event)
{
	if (client->heard)
		has_answered(client);
	event->kind = KAFKA_CLIENT_PROBLEM;
	switch (error)
	{
		case RD_KAFKA_RESP_ERR__TRANSPORT:
		case RD_KAFKA_RESP_ERR__RESOLVE:
		case RD_KAFKA_RESP_ERR__TIMED_OUT:
			strlcpy(client->last_reason, text, sizeof(client->last_reason));
			if (elapsed_ms(client->last_answer) < SILENCE_MS)
				return false;
			break;
		case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
			if (client->last_reason[0] != '\0')
				text = client->last_reason;
			else if (!client->ever_answered)
				text = "every broker closes the connection: does \"security_protocol\" suit them?";
			break;
		case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
			/* Commits are best effort. */
			event->kind = KAFKA_LOG;
			break;
		case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
		case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
			return false;
	}
	KafkaProblemFill(&event->problem, error, text);
	return true;
}

/* Turn one of the library's events into one of ours; false when it concerns nobody. */
static bool
take_event(KafkaClient *client, rd_kafka_event_t *taken, KafkaEvent *event)
{
	const rd_kafka_message_t *message;
	const char *facility;
	const char *text;
	int			level;
	bool		result = false;

	switch (rd_kafka_event_type(taken))
	{
		case RD_KAFKA_EVENT_FETCH:
			message = rd_kafka_event_message_next(taken);
			if (message != NULL)
			{
				Assignment *assignment = find_assignment(client, rd_kafka_topic_name(message->rkt),
														 message->partition);

				if (assignment != NULL)
				{
					client->heard = true;
					event->tag = assignment->tag;
					fill_record(client, taken, message, event);
					return true;	/* the event is the record's now */
				}
			}
			break;

		case RD_KAFKA_EVENT_ERROR:
			{
				rd_kafka_topic_partition_t *where = rd_kafka_event_topic_partition(taken);

				memset(event, 0, sizeof(KafkaEvent));
				if (where != NULL)
					result = take_partition_error(client, rd_kafka_event_error(taken),
												  rd_kafka_event_error_string(taken), where, event);
				else
					result = take_client_error(client, rd_kafka_event_error(taken),
											   rd_kafka_event_error_string(taken), event);
				if (where != NULL)
					rd_kafka_topic_partition_destroy(where);
			}
			break;

		case RD_KAFKA_EVENT_LOG:
			/* What concerns the user comes as an error too. */
			if (rd_kafka_event_log(taken, &facility, &text, &level) == 0 &&
				level <= LOG_WARNING_LEVEL)
			{
				memset(event, 0, sizeof(KafkaEvent));
				event->kind = KAFKA_LOG;
				strlcpy(event->problem.message, text, sizeof(event->problem.message));
				result = true;
			}
			break;
	}
	rd_kafka_event_destroy(taken);
	return result;
}

/*
 * Messages are many: what takes a mutex or the time is done before each few hundred
 * of them, and when there are none.
 */
bool
KafkaClientNext(KafkaClient *client, KafkaEvent *event)
{
	for (;;)
	{
		rd_kafka_event_t *taken;
		uint64		counter;

		if (++client->polled >= WAKE_MIN_PEAK / 4)
		{
			if (client->heard)
				has_answered(client);
			wake_brokers(client);
			if (next_answer(client, event))
				return true;
		}
		taken = rd_kafka_queue_poll(client->queue, 0);
		if (taken == NULL)
		{
			/* That the queue is not empty is signalled once: look again after reading that. */
			(void) !read(client->event_fd, &counter, sizeof(counter));
			taken = rd_kafka_queue_poll(client->queue, 0);
		}
		if (taken == NULL)
		{
			if (client->heard)
				has_answered(client);
			wake_brokers(client);
			empty_past_queues(client);
			return next_answer(client, event);
		}
		if (take_event(client, taken, event))
			return true;
	}
}

void
KafkaClientCommit(KafkaClient *client, const char *topic, int32 partition, int64 offset)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
	(void) rd_kafka_commit(client->handle, list, 1);
	rd_kafka_topic_partition_list_destroy(list);
}

const char *
KafkaLibraryVersion(void)
{
	static char version[64];

	if (version[0] == '\0')
		snprintf(version, sizeof(version), "librdkafka %s", rd_kafka_version_str());
	return version;
}
