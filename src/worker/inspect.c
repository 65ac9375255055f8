/*-------------------------------------------------------------------------
 *
 * inspect.c
 *		check_server and peek: looking at Kafka from a backend that has no
 *		Kafka client.
 *
 * The client starts threads and maps OpenSSL, which no backend should; so a
 * worker is started for the question, and its answer comes back through a
 * queue in dynamic shared memory.  That works without preload, can be
 * cancelled, and ends in bounded time whatever the broker does.
 *
 * Locks: none.
 * Must not know: Kafka.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/inspect.h"

#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "common/compat.h"
#include "common/server_options.h"
#include "store/arguments.h"
#include "worker/launcher.h"

PG_FUNCTION_INFO_V1(venice_check_server);
PG_FUNCTION_INFO_V1(venice_peek);

/* What to do with one message of the answer. */
typedef void (*RowReader) (ReturnSetInfo *result, StringInfo message);

pg_noreturn static void
raise_error(StringInfo message)
{
	const char *sqlstate = pq_getmsgrawstring(message);
	const char *text = pq_getmsgrawstring(message);

	ereport(ERROR,
			(errcode(MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2], sqlstate[3],
								   sqlstate[4])),
			 errmsg("%s", text)));
}

/* Read the answer to its end; raises what the worker reports. */
static void
receive_answer(shm_mq_handle *queue, ReturnSetInfo *result, RowReader read_row)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), INSPECT_TIMEOUT_MS);

	for (;;)
	{
		Size		bytes;
		void	   *data;
		StringInfoData message;
		shm_mq_result status = shm_mq_receive(queue, &bytes, &data, true);
		long		timeout_ms;
		int			kind;

		if (status == SHM_MQ_WOULD_BLOCK)
		{
			timeout_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
			if (timeout_ms <= 0)
				ereport(ERROR,
						(errcode(ERRCODE_CONNECTION_FAILURE),
						 errmsg("the server did not answer in time")));
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout_ms,
							 WaitEventNamed("VeniceInspect"));
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
			continue;
		}
		if (status == SHM_MQ_DETACHED)
			ereport(ERROR,
					(errcode(ERRCODE_CONNECTION_FAILURE),
					 errmsg("the process that was to answer has ended"),
					 errhint("See the server log.")));

		initStringInfo(&message);
		appendBinaryStringInfo(&message, data, bytes);
		kind = pq_getmsgbyte(&message);
		if (kind == INSPECT_MSG_DONE)
			return;
		if (kind == INSPECT_MSG_ERROR)
			raise_error(&message);
		read_row(result, &message);
		pfree(message.data);
	}
}

static void
inspect(FunctionCallInfo fcinfo, InspectRequest *question, RowReader read_row)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	dsm_segment *segment;
	InspectRequest *request;
	shm_mq	   *queue;
	shm_mq_handle *handle;
	BackgroundWorkerHandle *worker;

	InitMaterializedSRF(fcinfo, 0);

	question->magic = INSPECT_MAGIC;
	question->database = MyDatabaseId;
	question->role = GetUserId();

	segment = dsm_create(BUFFERALIGN(sizeof(InspectRequest)) + INSPECT_QUEUE_BYTES, 0);
	request = dsm_segment_address(segment);
	*request = *question;
	queue = shm_mq_create(InspectQueue(request), INSPECT_QUEUE_BYTES);
	shm_mq_set_receiver(queue, MyProc);

	if (!WorkerStart("venice_ingest", "venice_inspect_main", "inspection", MyDatabaseId,
					 (int) dsm_segment_handle(segment), &worker))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("out of background worker slots"),
				 errhint("You might need to increase \"max_worker_processes\".")));
	handle = shm_mq_attach(queue, segment, worker);
	PG_TRY();
	{
		receive_answer(handle, result, read_row);
	}
	PG_FINALLY();
	{
		TerminateBackgroundWorker(worker);
	}
	PG_END_TRY();
	dsm_detach(segment);
}

static void
read_check(ReturnSetInfo *result, StringInfo message)
{
	Datum		values[3];
	bool		nulls[3] = {false};

	values[0] = CStringGetTextDatum(pq_getmsgrawstring(message));
	values[1] = BoolGetDatum(pq_getmsgbyte(message) != 0);
	values[2] = CStringGetTextDatum(pq_getmsgrawstring(message));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static Datum
read_bytes(StringInfo message, bool *is_null)
{
	int32		bytes = (int32) pq_getmsgint(message, 4);

	*is_null = bytes < 0;
	if (*is_null)
		return (Datum) 0;
	return PointerGetDatum(cstring_to_text_with_len(pq_getmsgbytes(message, bytes), bytes));
}

static void
read_record(ReturnSetInfo *result, StringInfo message)
{
	Datum		values[6];
	bool		nulls[6] = {false};
	int64		timestamp_ms;

	values[0] = Int32GetDatum((int32) pq_getmsgint(message, 4));
	values[1] = Int64GetDatum(pq_getmsgint64(message));
	timestamp_ms = pq_getmsgint64(message);
	nulls[2] = timestamp_ms < 0;
	values[2] = TimestampTzGetDatum((timestamp_ms -
									 (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) *
									 SECS_PER_DAY * 1000) * 1000);
	values[3] = read_bytes(message, &nulls[3]);
	values[4] = read_bytes(message, &nulls[4]);
	values[5] = read_bytes(message, &nulls[5]);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* A text argument that must be there and fit. */
static void
copy_argument(FunctionCallInfo fcinfo, int number, const char *name, char *target, Size bytes)
{
	char	   *value;

	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
	value = text_to_cstring(PG_GETARG_TEXT_PP(number));
	if (value[0] == '\0' || strlen(value) >= bytes)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for argument \"%s\": \"%s\"", name, value),
				 errdetail("It must have between 1 and %d bytes.", (int) bytes - 1)));
	strlcpy(target, value, bytes);
}

/* Before all else: the server, and whether the caller may use it. */
static void
copy_server(FunctionCallInfo fcinfo, InspectRequest *question)
{
	copy_argument(fcinfo, 0, "server", question->server, sizeof(question->server));
	ServerOptionsCheckUsage(question->server, GetUserId());
}

/*
 * venice_check_server
 *		check_server(server): one row for each part of the server.
 */
Datum
venice_check_server(PG_FUNCTION_ARGS)
{
	InspectRequest question = {.kind = INSPECT_CHECK_SERVER};

	FunctionPreventInRecovery(fcinfo);
	copy_server(fcinfo, &question);
	inspect(fcinfo, &question, read_check);
	return (Datum) 0;
}

/*
 * venice_peek
 *		peek(server, topic, partition, start_offset, max_records).
 */
Datum
venice_peek(PG_FUNCTION_ARGS)
{
	InspectRequest question = {.kind = INSPECT_PEEK};

	FunctionPreventInRecovery(fcinfo);
	copy_server(fcinfo, &question);
	copy_argument(fcinfo, 1, "topic", question.topic, sizeof(question.topic));
	question.partition = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	question.start_offset = PG_ARGISNULL(3) ? -1 : PG_GETARG_INT64(3);
	question.max_records = PG_ARGISNULL(4) ? 10 : PG_GETARG_INT32(4);
	if (question.partition < 0 || question.max_records < 0 ||
		(!PG_ARGISNULL(3) && question.start_offset < 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("partition, start_offset and max_records must not be negative")));
	inspect(fcinfo, &question, read_record);
	return (Datum) 0;
}
