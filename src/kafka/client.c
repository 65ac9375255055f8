/*-------------------------------------------------------------------------
 *
 * client.c
 *		A connection to a Kafka cluster, for reading.
 *
 * One librdkafka handle.  Its threads never run a line of ours: all signals are
 * blocked while they are made, its log goes through the queue that we poll, and
 * what its callbacks tell us, from within that poll, is only copied, because an
 * ERROR raised there would jump over its locks.
 *
 * We are nobody's group member: partitions are assigned with explicit offsets,
 * which live in our tables.  A group's name is there only so that offsets can be
 * committed for people to look at.
 *
 * Metadata and watermarks can be asked for only by calls that block, and may
 * block longer than they promise.  They are made by one thread of our own,
 * which touches nothing of Postgres and talks to us by two lists under a mutex.
 *
 * Back-pressure: what is fetched ahead is bounded by queued.max.messages.kbytes.
 * When that much is waiting, librdkafka's broker thread goes to sleep, and looks
 * again only after a second, or when something arrives for it (before 2.2 there
 * is no setting for that).  A load would starve for most of that second; so when
 * the queue has drained to half of its peak, we ask that broker something.
 * Pausing would do as well, but throws away what was fetched.
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

#define REQUEST_SLICE_MS	500 /* longest that closing waits for the request thread */
#define REQUEST_SLICES		16
#define MAX_PENDING			1000	/* problems and log lines that wait to be read */
#define WAKE_MIN_PEAK		2000	/* a queue that was never longer was never full */
#define WAKE_EVERY_MS		20
#define RESERVED_FDS		16	/* librdkafka's sockets and pipes, roughly */

typedef struct Assignment
{
	char	   *topic;
	int32		partition;
	void	   *tag;
	bool		at_end;
} Assignment;

/* A message that is out with the caller; a free one is on a list. */
typedef struct Lent
{
	KafkaClient *client;
	rd_kafka_message_t *message;
	struct Lent *next_free;
} Lent;

typedef struct LentBlock
{
	struct LentBlock *next;
	Lent		entries[1024];
} LentBlock;

/* A problem or a log line, or a request and its answer.  malloc'd: made outside of Postgres. */
typedef struct Note
{
	struct Note *next;
	KafkaEventKind kind;
	char	   *topic;			/* of a request; NULL for one that only wakes a broker up */
	bool		wake_only;
	int32		partition;
	void	   *tag;
	int			rd_error;		/* rd_kafka_resp_err_t */
	int32		partition_count;
	int64		low;
	int64		high;
	char		text[448];
} Note;

typedef struct NoteList
{
	Note	   *first;
	Note	   *last;
	int			count;
} NoteList;

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

	NoteList	pending;		/* filled by callbacks, in our thread */
	char		last_reason[448];	/* why a broker could not be reached */

	int			peak;			/* longest the queue was since the brokers were last woken */
	instr_time	last_wake;

	pthread_t	thread;
	bool		thread_running;
	pthread_mutex_t mutex;
	pthread_cond_t wanted;
	bool		stop;			/* these three under mutex */
	NoteList	requests;
	NoteList	answers;
};

/* Put at the end; what exceeds a sane number is dropped, as a log would be. */
static void
note_push(NoteList *list, Note *note)
{
	note->next = NULL;
	if (list->last != NULL)
		list->last->next = note;
	else
		list->first = note;
	list->last = note;
	list->count++;
}

static Note *
note_pop(NoteList *list)
{
	Note	   *note = list->first;

	if (note != NULL)
	{
		list->first = note->next;
		if (list->first == NULL)
			list->last = NULL;
		list->count--;
	}
	return note;
}

static void
note_free(Note *note)
{
	free(note->topic);
	free(note);
}

static void
note_free_all(NoteList *list)
{
	Note	   *note;

	while ((note = note_pop(list)) != NULL)
		note_free(note);
}

/* From a callback: no ERROR, no palloc. */
static void
add_pending(KafkaClient *client, KafkaEventKind kind, int rd_error, const char *text)
{
	Note	   *note;

	if (client->pending.count >= MAX_PENDING)
		return;
	note = calloc(1, sizeof(Note));
	if (note == NULL)
		return;
	note->kind = kind;
	note->rd_error = rd_error;
	strlcpy(note->text, text, sizeof(note->text));
	note_push(&client->pending, note);
}

static void
on_error(rd_kafka_t *handle, int error, const char *reason, void *opaque)
{
	KafkaClient *client = opaque;

	if (error == RD_KAFKA_RESP_ERR__TRANSPORT || error == RD_KAFKA_RESP_ERR__RESOLVE ||
		error == RD_KAFKA_RESP_ERR__TIMED_OUT)
	{
		/* One broker of perhaps many: it matters when none is left. */
		strlcpy(client->last_reason, reason, sizeof(client->last_reason));
		return;
	}
	if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && client->last_reason[0] != '\0')
		reason = client->last_reason;
	add_pending(client, KAFKA_CLIENT_PROBLEM, error, reason);
}

static void
on_log(const rd_kafka_t *handle, int level, const char *facility, const char *text)
{
	/* What concerns the user comes as an error too: keep the rest for who asks. */
	if (level <= 4)
		add_pending(rd_kafka_opaque(handle), KAFKA_LOG, 0, text);
}

static void
fill_problem(KafkaProblem *problem, int rd_error, const char *text)
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

/* Runs in the request thread: answers by what the two blocking calls say. */
static void
perform(KafkaClient *client, Note *request)
{
	rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;

	for (int slice = 0; slice < REQUEST_SLICES && error == RD_KAFKA_RESP_ERR__TIMED_OUT; slice++)
	{
		bool		stop;

		if (request->kind == KAFKA_METADATA)
		{
			const struct rd_kafka_metadata *metadata;
			rd_kafka_topic_t *topic = rd_kafka_topic_new(client->handle, request->topic, NULL);

			error = rd_kafka_metadata(client->handle, 0, topic, &metadata, REQUEST_SLICE_MS);
			if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
			{
				if (metadata->topic_cnt == 1)
				{
					error = metadata->topics[0].err;
					request->partition_count = metadata->topics[0].partition_cnt;
				}
				rd_kafka_metadata_destroy(metadata);
			}
			rd_kafka_topic_destroy(topic);
		}
		else
			error = rd_kafka_query_watermark_offsets(client->handle, request->topic,
													 request->partition, &request->low,
													 &request->high, REQUEST_SLICE_MS);

		pthread_mutex_lock(&client->mutex);
		stop = client->stop;
		pthread_mutex_unlock(&client->mutex);
		if (stop || request->wake_only)
			break;
	}
	if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
		error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
	{
		if (request->kind == KAFKA_METADATA)
		{
			request->partition_count = 0;
			error = RD_KAFKA_RESP_ERR_NO_ERROR;
		}
	}
	request->rd_error = error;
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		strlcpy(request->text, rd_kafka_err2str(error), sizeof(request->text));
}

static void *
request_thread(void *argument)
{
	KafkaClient *client = argument;

	pthread_mutex_lock(&client->mutex);
	while (!client->stop)
	{
		Note	   *request = note_pop(&client->requests);
		uint64		one = 1;

		if (request == NULL)
		{
			pthread_cond_wait(&client->wanted, &client->mutex);
			continue;
		}
		pthread_mutex_unlock(&client->mutex);
		perform(client, request);
		pthread_mutex_lock(&client->mutex);
		if (request->wake_only)
			note_free(request);
		else
		{
			note_push(&client->answers, request);
			(void) !write(client->event_fd, &one, sizeof(one));
		}
	}
	pthread_mutex_unlock(&client->mutex);
	return NULL;
}

static void
send_request(KafkaClient *client, KafkaEventKind kind, const char *topic, int32 partition,
			 void *tag, bool wake_only)
{
	Note	   *request = calloc(1, sizeof(Note));

	if (request == NULL || (request->topic = strdup(topic)) == NULL)
	{
		free(request);
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
	request->kind = kind;
	request->partition = partition;
	request->tag = tag;
	request->wake_only = wake_only;
	pthread_mutex_lock(&client->mutex);
	note_push(&client->requests, request);
	pthread_cond_signal(&client->wanted);
	pthread_mutex_unlock(&client->mutex);
}

void
KafkaClientRequestMetadata(KafkaClient *client, const char *topic, void *tag)
{
	send_request(client, KAFKA_METADATA, topic, -1, tag, false);
}

void
KafkaClientRequestWatermarks(KafkaClient *client, const char *topic, int32 partition, void *tag)
{
	send_request(client, KAFKA_WATERMARKS, topic, partition, tag, false);
}

static bool
set_property(rd_kafka_conf_t *conf, const char *name, const char *value, KafkaProblem *problem)
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
		{"queued.min.messages", "10000000"},
		{"fetch.wait.max.ms", "100"},
		{"fetch.error.backoff.ms", "200"},
		{"reconnect.backoff.max.ms", "5000"},
		{"topic.metadata.refresh.interval.ms", "30000"},
		{"topic.metadata.propagation.max.ms", "1000"},
		{"api.version.request.timeout.ms", "5000"},
	};
	char		number[32];
	ListCell   *cell;

	for (int i = 0; i < lengthof(ours); i++)
		if (!set_property(conf, ours[i][0], ours[i][1], problem))
			return false;
	if (!set_property(conf, "client.id", client_id, problem) ||
		!set_property(conf, "socket.connection.setup.timeout.ms", "5000", problem) ||
		!set_property(conf, "socket.timeout.ms", "10000", problem))
		return false;

	/*
	 * The library counts payload only: about as much again goes into its own
	 * structures for small records, and the caller holds what it has taken.
	 */
	snprintf(number, sizeof(number), INT64_FORMAT, Max(memory_bytes / 4 / 1024, 1024));
	if (!set_property(conf, "queued.max.messages.kbytes", number, problem))
		return false;

	foreach(cell, options)
	{
		ServerOption *option = lfirst(cell);

		if (!set_property(conf, option->name, option->value, problem))
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
	char		error[256];

	if (!set_properties(conf, options, client_id, memory_bytes, problem))
	{
		rd_kafka_conf_destroy(conf);
		return NULL;
	}
	rd_kafka_conf_set_error_cb(conf, on_error);
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_opaque(conf, client);

	client->context = context;
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
	rd_kafka_set_log_queue(client->handle, NULL);
	rd_kafka_poll_set_consumer(client->handle);
	client->queue = rd_kafka_queue_get_consumer(client->handle);
	rd_kafka_queue_io_event_enable(client->queue, client->event_fd, &(uint64) {1}, sizeof(uint64));
	return client;
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
			if (block->entries[i].message != NULL)
				rd_kafka_message_destroy(block->entries[i].message);
		client->lent_blocks = block->next;
		free(block);
	}
	client->free_lent = NULL;
	if (client->queue != NULL)
	{
		rd_kafka_queue_io_event_enable(client->queue, -1, NULL, 0);
		rd_kafka_queue_destroy(client->queue);
		client->queue = NULL;
	}
	if (client->handle != NULL)
	{
		rd_kafka_destroy_flags(client->handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
		client->handle = NULL;
	}
	note_free_all(&client->pending);
	note_free_all(&client->requests);
	note_free_all(&client->answers);
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
find_assignment(KafkaClient *client, const char *topic, int32 partition)
{
	int			count = client->assignment_count;

	/* Messages come in runs of one partition. */
	for (int i = 0; i < count; i++)
	{
		int			candidate = (client->last_hit + i) % count;
		Assignment *assignment = &client->assignments[candidate];

		if (assignment->partition == partition && strcmp(assignment->topic, topic) == 0)
		{
			client->last_hit = candidate;
			return assignment;
		}
	}
	return NULL;
}

void
KafkaClientAssign(KafkaClient *client, const char *topic, int32 partition, int64 offset, void *tag)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	Assignment *assignment;
	rd_kafka_error_t *error;

	if (client->assignment_count == client->assignment_room)
	{
		client->assignment_room = Max(16, client->assignment_room * 2);
		client->assignments = client->assignments == NULL ?
			MemoryContextAlloc(client->context, client->assignment_room * sizeof(Assignment)) :
			repalloc(client->assignments, client->assignment_room * sizeof(Assignment));
	}
	assignment = &client->assignments[client->assignment_count++];
	assignment->topic = MemoryContextStrdup(client->context, topic);
	assignment->partition = partition;
	assignment->tag = tag;
	assignment->at_end = false;

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
}

void
KafkaClientUnassign(KafkaClient *client, const char *topic, int32 partition)
{
	Assignment *assignment = find_assignment(client, topic, partition);
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_error_t *error;

	if (assignment == NULL)
		return;
	pfree(assignment->topic);
	*assignment = client->assignments[--client->assignment_count];
	client->last_hit = 0;

	list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, topic, partition);
	error = rd_kafka_incremental_unassign(client->handle, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (error != NULL)
		rd_kafka_error_destroy(error);
}

/* Wake broker threads that sleep on a full queue, when it has drained to half: see the header. */
static void
wake_brokers(KafkaClient *client)
{
	int			length = (int) rd_kafka_queue_length(client->queue);
	instr_time	now;

	client->peak = Max(client->peak, length);
	if (client->peak < WAKE_MIN_PEAK || length > client->peak / 2)
		return;
	INSTR_TIME_SET_CURRENT(now);
	{
		instr_time	elapsed = now;

		INSTR_TIME_SUBTRACT(elapsed, client->last_wake);
		if (INSTR_TIME_GET_MILLISEC(elapsed) < WAKE_EVERY_MS)
			return;
	}
	client->last_wake = now;
	client->peak = length;
	for (int i = 0; i < client->assignment_count; i++)
		if (!client->assignments[i].at_end)
			send_request(client, KAFKA_WATERMARKS, client->assignments[i].topic,
						 client->assignments[i].partition, NULL, true);
}

static Lent *
lend(KafkaClient *client, rd_kafka_message_t *message)
{
	Lent	   *lent;

	if (client->free_lent == NULL)
	{
		LentBlock  *block = calloc(1, sizeof(LentBlock));

		if (block == NULL)
		{
			rd_kafka_message_destroy(message);
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
	lent->message = message;
	return lent;
}

void
KafkaRecordRelease(KafkaRecord *record)
{
	Lent	   *lent = record->owner;

	rd_kafka_message_destroy(lent->message);
	lent->message = NULL;
	lent->next_free = lent->client->free_lent;
	lent->client->free_lent = lent;
	record->owner = NULL;
}

/* What the request thread answered, or a callback noted. */
static bool
next_note(KafkaClient *client, KafkaEvent *event)
{
	Note	   *note = note_pop(&client->pending);

	if (note == NULL)
	{
		pthread_mutex_lock(&client->mutex);
		note = note_pop(&client->answers);
		pthread_mutex_unlock(&client->mutex);
	}
	if (note == NULL)
		return false;
	event->kind = note->kind;
	event->tag = note->tag;
	event->partition = note->partition;
	event->partition_count = note->partition_count;
	event->low_watermark = note->low;
	event->high_watermark = note->high;
	if (note->kind == KAFKA_LOG)
		strlcpy(event->problem.message, note->text, sizeof(event->problem.message));
	else if (note->rd_error != RD_KAFKA_RESP_ERR_NO_ERROR)
		fill_problem(&event->problem, note->rd_error, note->text);
	note_free(note);
	return true;
}

/* Turn one of the library's messages into an event; false for one that concerns nobody any more. */
static bool
take_message(KafkaClient *client, rd_kafka_message_t *message, KafkaEvent *event)
{
	Assignment *assignment = message->rkt == NULL ? NULL :
		find_assignment(client, rd_kafka_topic_name(message->rkt), message->partition);

	if (message->rkt != NULL && assignment == NULL)
	{
		rd_kafka_message_destroy(message);
		return false;
	}
	event->tag = assignment ? assignment->tag : NULL;
	event->partition = message->partition;
	event->offset = message->offset;

	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		rd_kafka_timestamp_type_t type;
		KafkaRecord *record = &event->record;

		event->kind = KAFKA_RECORD;
		assignment->at_end = false;
		record->offset = message->offset;
		record->timestamp_ms = rd_kafka_message_timestamp(message, &type);
		record->key = message->key;
		record->key_bytes = message->key == NULL ? -1 : (int) message->key_len;
		record->value = message->payload;
		record->value_bytes = message->payload == NULL ? -1 : (int) message->len;
		record->owner = lend(client, message);
		return true;
	}
	if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
	{
		event->kind = KAFKA_END_OF_PARTITION;
		assignment->at_end = true;
	}
	else
	{
		event->kind = assignment ? KAFKA_PARTITION_PROBLEM : KAFKA_CLIENT_PROBLEM;
		fill_problem(&event->problem, message->err, rd_kafka_message_errstr(message));
	}
	rd_kafka_message_destroy(message);
	return true;
}

bool
KafkaClientNext(KafkaClient *client, KafkaEvent *event)
{
	memset(event, 0, sizeof(KafkaEvent));
	for (;;)
	{
		rd_kafka_message_t *message;
		uint64		counter;

		if ((client->pending.first != NULL || client->answers.first != NULL) &&
			next_note(client, event))
			return true;

		/* Before looking, so that what comes after the look is signalled again. */
		message = rd_kafka_consumer_poll(client->handle, 0);
		if (message == NULL)
		{
			(void) !read(client->event_fd, &counter, sizeof(counter));
			message = rd_kafka_consumer_poll(client->handle, 0);
		}
		if (message == NULL)
		{
			wake_brokers(client);
			return next_note(client, event);
		}
		if (take_message(client, message, event))
		{
			/* Now and then: the length is behind a lock. */
			if ((event->offset & 255) == 0)
				wake_brokers(client);
			return true;
		}
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
