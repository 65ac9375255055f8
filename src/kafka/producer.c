/*-------------------------------------------------------------------------
 *
 * producer.c
 *		A connection to a Kafka cluster, for writing batches in transactions.
 *
 * One librdkafka handle and one thread of our own, in which all calls are made that
 * block: they touch nothing of Postgres, and are given and answer one thing at a time
 * under a mutex.  Each waits in slices, between which the thread looks whether it is to
 * stop; the library goes on with what was begun when it is called again.  All signals are
 * blocked while threads are made, and errors and the log come as events of a queue.
 *
 * A batch is one transaction of Kafka's: its records, and its number as the offset of a
 * group of the connection's name.  That offset is read after init_transactions, which
 * waits until the last transaction of this name is over, and with "require stable", so
 * that one that has been committed is not missed for being not yet visible.
 *
 * After an error nothing is tried to mend: whoever opens the next connection puts an
 * end to what this one has left, and learns what has become of it.
 *
 * Locks: the mutex of the job.
 * Must not know: tables, what a batch is made of.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/producer.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "portability/instr_time.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "common/server_options.h"

#define JOB_TIMEOUT_MS		30000
#define SLICE_MS			100 /* longest that closing waits for the thread, but for the next */
#define METADATA_MS			500 /* each is another question */
#define PAUSE_MS			100 /* between two attempts */
#define ABORT_MS			500
#define RESERVED_FDS		16	/* librdkafka's sockets and pipes, roughly */
#define LOG_WARNING_LEVEL	4	/* syslog's */

typedef enum JobState
{
	JOB_NONE,
	JOB_WANTED,
	JOB_RUNNING,
	JOB_DONE
} JobState;

struct KafkaProducer
{
	rd_kafka_t *handle;
	rd_kafka_queue_t *queue;	/* of errors and the log */
	int			event_fd;
	bool		fd_counted;
	MemoryContext context;
	MemoryContextCallback on_reset;
	char		last_reason[448];	/* why a broker could not be reached */

	/* Malloc'd: the thread must not touch Postgres's memory. */
	char	   *name;
	char	   *topic;
	int32		partition_count;	/* the thread's */

	pthread_t	thread;
	bool		thread_running;
	pthread_mutex_t mutex;
	pthread_cond_t wanted;

	/* The following under the mutex, but what a job has while it is the thread's. */
	bool		stop;
	JobState	state;
	bool		starting;		/* the job is to start, else to send */
	int64		batch;
	KafkaOutRecord *records;	/* one block with what they point to */
	int			count;
	instr_time	begun;
	int			rd_error;		/* rd_kafka_resp_err_t */
	char		text[448];
};

/* The following run in the thread. */

static double
elapsed_ms(const KafkaProducer *producer)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, producer->begun);
	return INSTR_TIME_GET_MILLISEC(now);
}

static bool
is_stopping(KafkaProducer *producer)
{
	bool		stop;

	pthread_mutex_lock(&producer->mutex);
	stop = producer->stop;
	pthread_mutex_unlock(&producer->mutex);
	return stop;
}

static bool
fail(KafkaProducer *producer, int rd_error, const char *text)
{
	producer->rd_error = rd_error;
	strlcpy(producer->text, text, sizeof(producer->text));
	return false;
}

/* Is there time to try again?  Otherwise the job has failed. */
static bool
may_try_again(KafkaProducer *producer, int rd_error, const char *text)
{
	if (elapsed_ms(producer) < JOB_TIMEOUT_MS && !is_stopping(producer))
		return true;
	return fail(producer, rd_error, text);
}

/* Is the error one that passes, while there is time?  Frees it. */
static bool
passes(KafkaProducer *producer, rd_kafka_error_t *error)
{
	bool		again;

	if (rd_kafka_error_is_retriable(error))
		again = may_try_again(producer, rd_kafka_error_code(error), rd_kafka_error_string(error));
	else
		again = fail(producer, rd_kafka_error_code(error), rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return again;
}

static bool
init_transactions(KafkaProducer *producer)
{
	rd_kafka_error_t *error;

	while ((error = rd_kafka_init_transactions(producer->handle, SLICE_MS)) != NULL)
		if (!passes(producer, error))
			return false;
	return true;
}

static bool
count_partitions(KafkaProducer *producer)
{
	rd_kafka_topic_t *topic = rd_kafka_topic_new(producer->handle, producer->topic, NULL);
	bool		done = false;
	bool		again = true;

	while (!done && again)
	{
		const struct rd_kafka_metadata *metadata;
		rd_kafka_resp_err_t error = rd_kafka_metadata(producer->handle, 0, topic, &metadata,
													  METADATA_MS);

		if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
		{
			error = metadata->topic_cnt == 1 ? metadata->topics[0].err :
				RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
			done = error == RD_KAFKA_RESP_ERR_NO_ERROR;
			if (done)
				producer->partition_count = metadata->topics[0].partition_cnt;
			rd_kafka_metadata_destroy(metadata);
		}
		if (done)
			break;
		if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
			error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
			again = fail(producer, error, rd_kafka_err2str(error));
		else
			again = may_try_again(producer, error, rd_kafka_err2str(error));
		if (again)
			usleep(PAUSE_MS * 1000);
	}
	rd_kafka_topic_destroy(topic);
	return done;
}

/* The group's offset in an answer; its error otherwise. */
static rd_kafka_resp_err_t
read_offset(rd_kafka_event_t *event, int64 *offset)
{
	const rd_kafka_ListConsumerGroupOffsets_result_t *result;
	const rd_kafka_group_result_t **groups;
	const rd_kafka_topic_partition_list_t *partitions;
	size_t		count;

	if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return rd_kafka_event_error(event);
	result = rd_kafka_event_ListConsumerGroupOffsets_result(event);
	groups = rd_kafka_ListConsumerGroupOffsets_result_groups(result, &count);
	if (count != 1)
		return RD_KAFKA_RESP_ERR__BAD_MSG;
	if (rd_kafka_group_result_error(groups[0]) != NULL)
		return rd_kafka_error_code(rd_kafka_group_result_error(groups[0]));
	partitions = rd_kafka_group_result_partitions(groups[0]);
	if (partitions == NULL || partitions->cnt != 1)
		return RD_KAFKA_RESP_ERR__BAD_MSG;
	*offset = Max(partitions->elems[0].offset, 0);
	return partitions->elems[0].err;
}

/* Ask once for the group's offset. */
static rd_kafka_resp_err_t
ask_offset(KafkaProducer *producer, rd_kafka_queue_t *queue, int64 *offset)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_AdminOptions_t *options;
	rd_kafka_ListConsumerGroupOffsets_t *request;
	rd_kafka_event_t *event = NULL;
	rd_kafka_error_t *error;
	rd_kafka_resp_err_t answer = RD_KAFKA_RESP_ERR__TIMED_OUT;
	char		text[256];

	rd_kafka_topic_partition_list_add(list, producer->topic, 0);
	request = rd_kafka_ListConsumerGroupOffsets_new(producer->name, list);
	rd_kafka_topic_partition_list_destroy(list);
	options = rd_kafka_AdminOptions_new(producer->handle,
										RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	error = rd_kafka_AdminOptions_set_require_stable_offsets(options, 1);
	if (error != NULL)
		rd_kafka_error_destroy(error);
	(void) rd_kafka_AdminOptions_set_request_timeout(options, JOB_TIMEOUT_MS / 3, text,
													 sizeof(text));
	rd_kafka_ListConsumerGroupOffsets(producer->handle, &request, 1, options, queue);
	while (event == NULL && !is_stopping(producer))
		event = rd_kafka_queue_poll(queue, SLICE_MS);
	if (event != NULL)
	{
		answer = read_offset(event, offset);
		rd_kafka_event_destroy(event);
	}
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_ListConsumerGroupOffsets_destroy(request);
	return answer;
}

static bool
read_delivered(KafkaProducer *producer)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(producer->handle);
	rd_kafka_resp_err_t error;
	bool		again = true;

	for (;;)
	{
		error = ask_offset(producer, queue, &producer->batch);
		if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
			break;
		again = error == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ?
			fail(producer, error, rd_kafka_err2str(error)) :
			may_try_again(producer, error, rd_kafka_err2str(error));
		if (!again)
			break;
		usleep(PAUSE_MS * 1000);
	}
	rd_kafka_queue_destroy(queue);
	return again;
}

static bool
produce_to(KafkaProducer *producer, const KafkaOutRecord *record, int32 partition)
{
	for (;;)
	{
		rd_kafka_headers_t *headers = NULL;
		rd_kafka_resp_err_t error;

		if (record->header_count > 0)
			headers = rd_kafka_headers_new(record->header_count);
		for (int i = 0; i < record->header_count; i++)
			(void) rd_kafka_header_add(headers, record->headers[i].name, -1,
									   record->headers[i].value,
									   strlen(record->headers[i].value));
		error = rd_kafka_producev(producer->handle, RD_KAFKA_V_TOPIC(producer->topic),
								  RD_KAFKA_V_PARTITION(partition),
								  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
								  RD_KAFKA_V_KEY(record->key, record->key_bytes),
								  RD_KAFKA_V_VALUE(unconstify(char *, record->value),
												   record->value_bytes),
								  RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
		if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
			return true;
		if (headers != NULL)
			rd_kafka_headers_destroy(headers);
		if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			return fail(producer, error, rd_kafka_err2str(error));
		if (!may_try_again(producer, error, rd_kafka_err2str(error)))
			return false;
		usleep(PAUSE_MS * 1000);
	}
}

static bool
produce_all(KafkaProducer *producer)
{
	for (int i = 0; i < producer->count; i++)
	{
		const KafkaOutRecord *record = &producer->records[i];
		bool		each = record->partition == KAFKA_EACH_PARTITION;

		for (int32 partition = 0; partition < (each ? producer->partition_count : 1); partition++)
			if (!produce_to(producer, record, each ? partition : RD_KAFKA_PARTITION_UA))
				return false;
	}
	return true;
}

/* The batch's number as the group's offset, in the transaction. */
static bool
send_number(KafkaProducer *producer)
{
	rd_kafka_consumer_group_metadata_t *group =
		rd_kafka_consumer_group_metadata_new(producer->name);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_error_t *error;
	bool		again = true;

	rd_kafka_topic_partition_list_add(list, producer->topic, 0)->offset = producer->batch;
	while (again &&
		   (error = rd_kafka_send_offsets_to_transaction(producer->handle, list, group,
														 SLICE_MS)) != NULL)
		again = passes(producer, error);
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_consumer_group_metadata_destroy(group);
	return again;
}

static bool
commit(KafkaProducer *producer)
{
	rd_kafka_error_t *error;

	while ((error = rd_kafka_commit_transaction(producer->handle, SLICE_MS)) != NULL)
		if (!passes(producer, error))
			return false;
	return true;
}

/* Partitions may have been added since. */
static bool
knows_partitions(KafkaProducer *producer)
{
	for (int i = 0; i < producer->count; i++)
		if (producer->records[i].partition == KAFKA_EACH_PARTITION)
			return count_partitions(producer);
	return true;
}

static void
send_batch(KafkaProducer *producer)
{
	rd_kafka_error_t *error;

	if (!knows_partitions(producer))
		return;
	error = rd_kafka_begin_transaction(producer->handle);
	if (error != NULL)
	{
		(void) fail(producer, rd_kafka_error_code(error), rd_kafka_error_string(error));
		rd_kafka_error_destroy(error);
		return;
	}
	if (produce_all(producer) && send_number(producer) && commit(producer))
		return;

	/* Readers of the topic wait for the end of the transaction: do not leave it to the next. */
	error = rd_kafka_abort_transaction(producer->handle, ABORT_MS);
	if (error != NULL)
		rd_kafka_error_destroy(error);
}

static void *
producer_thread(void *argument)
{
	KafkaProducer *producer = argument;
	uint64		one = 1;

	pthread_mutex_lock(&producer->mutex);
	while (!producer->stop)
	{
		if (producer->state != JOB_WANTED)
		{
			pthread_cond_wait(&producer->wanted, &producer->mutex);
			continue;
		}
		producer->state = JOB_RUNNING;
		producer->rd_error = RD_KAFKA_RESP_ERR_NO_ERROR;
		INSTR_TIME_SET_CURRENT(producer->begun);
		pthread_mutex_unlock(&producer->mutex);
		if (!producer->starting)
			send_batch(producer);
		else if (init_transactions(producer) && count_partitions(producer))
			(void) read_delivered(producer);
		pthread_mutex_lock(&producer->mutex);
		producer->state = JOB_DONE;
		(void) !write(producer->event_fd, &one, sizeof(one));
	}
	pthread_mutex_unlock(&producer->mutex);
	return NULL;
}

/* The following run in Postgres's. */

static bool
set_properties(rd_kafka_conf_t *conf, const List *options, const char *client_id,
			   const char *name, KafkaProblem *problem)
{
	/* What we need to be so, whatever the library's defaults become. */
	static const char *const ours[][2] = {
		{"acks", "all"},
		{"partitioner", "murmur2_random"},
		{"linger.ms", "1"},
		{"transaction.timeout.ms", "30000"},
		{"message.timeout.ms", "25000"},
		{"socket.timeout.ms", "10000"},
		{"socket.connection.setup.timeout.ms", "5000"},
		{"socket.keepalive.enable", "true"},
		{"reconnect.backoff.max.ms", "5000"},
		{"allow.auto.create.topics", "false"},
		{"topic.metadata.refresh.interval.ms", "30000"},
		{"topic.metadata.propagation.max.ms", "1000"},
		{"api.version.request.timeout.ms", "5000"},
		/* A broker says what is too large. */
		{"message.max.bytes", "1000000000"},
		{"queue.buffering.max.messages", "10000000"},
		{"queue.buffering.max.kbytes", "2147483647"},
		{"log.queue", "true"},
		{"log.connection.close", "false"},
	};
	ListCell   *cell;

	for (int i = 0; i < lengthof(ours); i++)
		if (!KafkaSetProperty(conf, ours[i][0], ours[i][1], problem))
			return false;
	if (!KafkaSetProperty(conf, "client.id", client_id, problem) ||
		!KafkaSetProperty(conf, "transactional.id", name, problem))
		return false;

	/* To refresh Kerberos tickets a command would be run, in libraries that can do that. */
	(void) rd_kafka_conf_set(conf, "sasl.kerberos.min.time.before.relogin", "0", NULL, 0);
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
	KafkaProducerClose(argument);
}

static void
give_job(KafkaProducer *producer, bool starting, int64 batch)
{
	pthread_mutex_lock(&producer->mutex);
	producer->starting = starting;
	producer->batch = batch;
	producer->state = JOB_WANTED;
	pthread_cond_signal(&producer->wanted);
	pthread_mutex_unlock(&producer->mutex);
}

KafkaProducer *
KafkaProducerOpen(const List *options, const char *client_id, const char *name,
				  const char *topic, MemoryContext context, KafkaProblem *problem)
{
	KafkaProducer *producer = MemoryContextAllocZero(context, sizeof(KafkaProducer));
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	sigset_t	all;
	sigset_t	before;
	char		error[256];

	if (!set_properties(conf, options, client_id, name, problem))
	{
		rd_kafka_conf_destroy(conf);
		return NULL;
	}
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
	producer->context = context;
	producer->name = strdup(name);
	producer->topic = strdup(topic);
	producer->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (producer->event_fd < 0 || producer->name == NULL || producer->topic == NULL)
	{
		rd_kafka_conf_destroy(conf);
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create an event file descriptor: %m")));
	}
	for (int i = 0; i < RESERVED_FDS; i++)
		ReserveExternalFD();
	producer->fd_counted = true;
	pthread_mutex_init(&producer->mutex, NULL);
	pthread_cond_init(&producer->wanted, NULL);
	producer->on_reset.func = close_on_reset;
	producer->on_reset.arg = producer;
	MemoryContextRegisterResetCallback(context, &producer->on_reset);

	/* Postgres's handlers must run in its own thread: others are born deaf. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	producer->handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
	if (producer->handle != NULL)
		producer->thread_running =
			pthread_create(&producer->thread, NULL, producer_thread, producer) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);

	if (producer->handle == NULL)
	{
		rd_kafka_conf_destroy(conf);
		problem->sqlstate = ERRCODE_INVALID_PARAMETER_VALUE;
		problem->transient = false;
		strlcpy(problem->message, error, sizeof(problem->message));
		KafkaProducerClose(producer);
		return NULL;
	}
	if (!producer->thread_running)
	{
		KafkaProducerClose(producer);
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not start a thread for writing to Kafka")));
	}
	producer->queue = rd_kafka_queue_get_main(producer->handle);
	rd_kafka_set_log_queue(producer->handle, producer->queue);
	rd_kafka_queue_io_event_enable(producer->queue, producer->event_fd, &(uint64) {1},
								   sizeof(uint64));
	give_job(producer, true, 0);
	return producer;
}

static void
free_records(KafkaProducer *producer)
{
	free(producer->records);
	producer->records = NULL;
	producer->count = 0;
}

/* Our thread first, because it uses the handle. */
void
KafkaProducerClose(KafkaProducer *producer)
{
	if (producer->thread_running)
	{
		pthread_mutex_lock(&producer->mutex);
		producer->stop = true;
		pthread_cond_signal(&producer->wanted);
		pthread_mutex_unlock(&producer->mutex);
		pthread_join(producer->thread, NULL);
		producer->thread_running = false;
	}
	if (producer->queue != NULL)
	{
		rd_kafka_queue_io_event_enable(producer->queue, -1, NULL, 0);
		rd_kafka_queue_destroy(producer->queue);
		producer->queue = NULL;
	}
	if (producer->handle != NULL)
	{
		(void) rd_kafka_purge(producer->handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
							  RD_KAFKA_PURGE_F_NON_BLOCKING);
		rd_kafka_destroy(producer->handle);
		producer->handle = NULL;
	}
	free_records(producer);
	free(producer->name);
	free(producer->topic);
	producer->name = producer->topic = NULL;
	if (producer->event_fd >= 0)
	{
		close(producer->event_fd);
		producer->event_fd = -1;
	}
	for (int i = 0; producer->fd_counted && i < RESERVED_FDS; i++)
		ReleaseExternalFD();
	producer->fd_counted = false;
}

int
KafkaProducerEventFd(const KafkaProducer *producer)
{
	return producer->event_fd;
}

/* Into one block behind *block, unless it is a null. */
static const char *
copy_into(char **block, const char *data, size_t bytes)
{
	char	   *copy = *block;

	if (data == NULL)
		return NULL;
	memcpy(copy, data, bytes);
	*block += bytes;
	return copy;
}

void
KafkaProducerSend(KafkaProducer *producer, int64 batch, const KafkaOutRecord *records, int count)
{
	size_t		bytes = count * sizeof(KafkaOutRecord);
	char	   *block;

	Assert(producer->state == JOB_NONE);
	for (int i = 0; i < count; i++)
	{
		bytes += records[i].key_bytes + records[i].value_bytes;
		for (int h = 0; h < records[i].header_count; h++)
			bytes += strlen(records[i].headers[h].name) + strlen(records[i].headers[h].value) + 2;
	}
	producer->records = malloc(Max(bytes, 1));
	if (producer->records == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	producer->count = count;
	block = (char *) (producer->records + count);
	for (int i = 0; i < count; i++)
	{
		KafkaOutRecord *copy = &producer->records[i];

		*copy = records[i];
		copy->key = copy_into(&block, copy->key, copy->key_bytes);
		copy->value = copy_into(&block, copy->value, copy->value_bytes);
		for (int h = 0; h < copy->header_count; h++)
		{
			KafkaHeader *header = &copy->headers[h];

			header->name = copy_into(&block, header->name, strlen(header->name) + 1);
			header->value = copy_into(&block, header->value, strlen(header->value) + 1);
		}
	}
	give_job(producer, false, batch);
}

/* What the thread has answered, if it has. */
static bool
take_answer(KafkaProducer *producer, KafkaProducerEvent *event)
{
	bool		done;

	pthread_mutex_lock(&producer->mutex);
	done = producer->state == JOB_DONE;
	if (done)
		producer->state = JOB_NONE;
	pthread_mutex_unlock(&producer->mutex);
	if (!done)
		return false;
	free_records(producer);
	event->batch = producer->batch;
	if (producer->rd_error == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		event->kind = producer->starting ? PRODUCER_STARTED : PRODUCER_DELIVERED;
		return true;
	}
	event->kind = PRODUCER_PROBLEM;
	KafkaProblemFill(&event->problem, producer->rd_error, producer->text);
	if (event->problem.sqlstate == ERRCODE_UNDEFINED_OBJECT)
		snprintf(event->problem.message, sizeof(event->problem.message),
				 "topic \"%.256s\" does not exist", producer->topic);
	else if (producer->rd_error == RD_KAFKA_RESP_ERR__TIMED_OUT ||
			 producer->rd_error == RD_KAFKA_RESP_ERR__TRANSPORT)
		snprintf(event->problem.message, sizeof(event->problem.message),
				 "Kafka did not answer within %d seconds%s%s", JOB_TIMEOUT_MS / 1000,
				 producer->last_reason[0] != '\0' ? ": " : "", producer->last_reason);
	return true;
}

/* One of the library's events; false when there is nothing to tell of it, or not yet. */
static bool
take_event(KafkaProducer *producer, rd_kafka_event_t *taken, KafkaProducerEvent *event)
{
	const char *facility;
	const char *text;
	int			level;

	switch (rd_kafka_event_type(taken))
	{
		case RD_KAFKA_EVENT_ERROR:
			strlcpy(producer->last_reason, rd_kafka_event_error_string(taken),
					sizeof(producer->last_reason));
			event->kind = PRODUCER_PROBLEM;
			KafkaProblemFill(&event->problem, rd_kafka_event_error(taken),
							 producer->last_reason);
			/* What else goes wrong the thread learns by waiting in vain. */
			return event->problem.sqlstate == ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
		case RD_KAFKA_EVENT_LOG:
			if (rd_kafka_event_log(taken, &facility, &text, &level) != 0 ||
				level > LOG_WARNING_LEVEL)
				return false;
			event->kind = PRODUCER_LOG;
			strlcpy(event->problem.message, text, sizeof(event->problem.message));
			return true;
		default:
			return false;
	}
}

bool
KafkaProducerNext(KafkaProducer *producer, KafkaProducerEvent *event)
{
	rd_kafka_event_t *taken;
	uint64		counter;

	memset(event, 0, sizeof(KafkaProducerEvent));
	/* Before looking: what comes after that sets it again. */
	(void) !read(producer->event_fd, &counter, sizeof(counter));
	while ((taken = rd_kafka_queue_poll(producer->queue, 0)) != NULL)
	{
		bool		told = take_event(producer, taken, event);

		rd_kafka_event_destroy(taken);
		if (told)
			return true;
	}
	return take_answer(producer, event);
}
