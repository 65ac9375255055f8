/*-------------------------------------------------------------------------
 *
 * served.c
 *		The log of what services have answered.
 *
 * A reader copies a sampled answer into a piece of shared memory and is done;
 * maintenance moves what is there into venice.served_feature, in a transaction of
 * its own.  What finds no room is not logged, and counted: a log must not slow
 * down, or fail, what it watches.  What is there when the server stops is lost.
 *
 * An answer is kept with the OID of the service's schema: whoever makes another
 * service of the same name later shall not read it.
 *
 * Locks: one LWLock, for copying an answer in, or a database's out.
 * Must not know: how a service is answered.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "registry/served.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/acl.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "catalog/store.h"
#include "common/compat.h"
#include "common/guc.h"
#include "common/query.h"
#include "common/shared_area.h"
#include "common/shmem.h"

PG_FUNCTION_INFO_V1(venice_served_statistics);

#define QUEUE_BYTES		(4 * 1024 * 1024)
#define COUNTERS		256

/* An answer in the queue; two or three jsonb values follow, each aligned. */
typedef struct Answer
{
	int			bytes;			/* of all of it */
	Oid			database;
	Oid			schema;
	int			argument_bytes;
	int			feature_bytes;
	int			status_bytes;	/* 0: NULL */
	TimestampTz request_time;
} Answer;

typedef struct Counter
{
	Oid			database;		/* invalid: free */
	Oid			schema;
	uint64		logged;
	uint64		dropped;
} Counter;

typedef struct Queue
{
	LWLock	   *lock;			/* guards all of it */
	Counter		counters[COUNTERS];
	int			used;
	char		bytes[QUEUE_BYTES];
} Queue;

static Queue *queue = NULL;

static void
fill_memory(LWLockPadded *locks)
{
	memset(queue, 0, offsetof(Queue, bytes));
	queue->lock = &locks->lock;
}

void
ServedLogRequest(void)
{
	SharedAreaRequest("venice_served_log", (void **) &queue, sizeof(Queue), 1, fill_memory);
}

/* The service's counter; one that cannot be had counts for nobody. */
static Counter *
find_counter(Oid schema)
{
	static Counter nobody;

	for (int i = 0; i < COUNTERS; i++)
	{
		Counter    *counter = &queue->counters[i];

		if (!OidIsValid(counter->database))
		{
			counter->database = MyDatabaseId;
			counter->schema = schema;
		}
		if (counter->database == MyDatabaseId && counter->schema == schema)
			return counter;
	}
	return &nobody;
}

static char *
put(char *place, const Jsonb *value)
{
	if (value == NULL)
		return place;
	memcpy(place, value, VARSIZE(value));
	return place + MAXALIGN(VARSIZE(value));
}

void
ServedLogAdd(Oid schema, const Jsonb *arguments, const Jsonb *features, const Jsonb *status)
{
	Size		bytes = MAXALIGN(sizeof(Answer)) + MAXALIGN(VARSIZE(arguments)) +
		MAXALIGN(VARSIZE(features)) + (status != NULL ? MAXALIGN(VARSIZE(status)) : 0);
	bool		wake;

	/* Nobody would come for it. */
	if (queue == NULL || RecoveryInProgress())
		return;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	wake = queue->used < QUEUE_BYTES / 2 && queue->used + bytes >= QUEUE_BYTES / 2;
	if (queue->used + bytes <= QUEUE_BYTES)
	{
		Answer	   *answer = (Answer *) (queue->bytes + queue->used);
		char	   *place = (char *) answer + MAXALIGN(sizeof(Answer));

		answer->bytes = bytes;
		answer->database = MyDatabaseId;
		answer->schema = schema;
		answer->request_time = GetCurrentStatementStartTimestamp();
		answer->argument_bytes = VARSIZE(arguments);
		answer->feature_bytes = VARSIZE(features);
		answer->status_bytes = status != NULL ? VARSIZE(status) : 0;
		place = put(place, arguments);
		place = put(place, features);
		(void) put(place, status);
		queue->used += bytes;
		find_counter(schema)->logged++;
	}
	else
		find_counter(schema)->dropped++;
	LWLockRelease(queue->lock);
	if (wake)
		SupervisorWake();
}

/* Take this database's answers out of the queue: their bytes, one after the other. */
static char *
take_answers(int *bytes)
{
	char	   *mine;
	int			kept = 0;

	*bytes = 0;
	if (queue == NULL)
		return NULL;
	/* Memory first: nothing may fail in between. */
	mine = palloc(QUEUE_BYTES);
	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	for (int at = 0; at < queue->used;)
	{
		const Answer *answer = (const Answer *) (queue->bytes + at);
		int			length = answer->bytes;

		if (answer->database == MyDatabaseId)
		{
			memcpy(mine + *bytes, answer, length);
			*bytes += length;
		}
		else
		{
			memmove(queue->bytes + kept, answer, length);
			kept += length;
		}
		at += length;
	}
	queue->used = kept;
	LWLockRelease(queue->lock);
	return mine;
}

static bool
has_answers(void)
{
	bool		found = false;

	if (queue == NULL)
		return false;
	LWLockAcquire(queue->lock, LW_SHARED);
	for (int at = 0; at < queue->used && !found;)
	{
		const Answer *answer = (const Answer *) (queue->bytes + at);

		found = answer->database == MyDatabaseId;
		at += answer->bytes;
	}
	LWLockRelease(queue->lock);
	return found;
}

/* What the table must not keep: rows that are too old, and all but the last so many. */
#define SURPLUS_QUERY \
	"SELECT served_id FROM venice.served_feature " \
	"WHERE request_time < pg_catalog.now() - pg_catalog.make_interval(secs => $1) " \
	"UNION ALL SELECT served_id FROM venice.served_feature " \
	"WHERE served_id <= (SELECT pg_catalog.max(served_id) FROM venice.served_feature) - $2"

static void
arg_bounds(QueryArgs *args)
{
	QueryArgDatum(args, FLOAT8OID, Float8GetDatum(Settings.served_log_retention_s), false);
	QueryArgInt8(args, Settings.served_log_rows);
}

bool
ServedLogHasWork(void)
{
	static SPIPlanPtr plan = NULL;
	QuerySession session;
	QueryArgs	args = {0};
	bool		found;

	if (has_answers())
		return true;
	QueryBeginRegistry(&session);
	arg_bounds(&args);
	found = QueryRunKept(&plan, SURPLUS_QUERY " LIMIT 1", &args) > 0;
	QueryEnd(&session);
	return found;
}

void
ServedLogWrite(void *unused)
{
	static SPIPlanPtr plan = NULL;
	QuerySession session;
	QueryArgs	args = {0};
	int			bytes;
	char	   *answers;

	QueryBeginRegistry(&session);
	/* What is taken and cannot be written is lost. */
	QueryRunf("LOCK TABLE venice.served_feature IN ROW EXCLUSIVE MODE");
	answers = take_answers(&bytes);
	for (int at = 0; at < bytes;)
	{
		const Answer *answer = (const Answer *) (answers + at);
		const char *place = (const char *) answer + MAXALIGN(sizeof(Answer));
		const Jsonb *arguments = (const Jsonb *) place;
		const Jsonb *features = (const Jsonb *) (place + MAXALIGN(answer->argument_bytes));
		const Jsonb *status = (const Jsonb *) ((const char *) features +
											   MAXALIGN(answer->feature_bytes));

		args.count = 0;
		QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(answer->schema), false);
		QueryArgDatum(&args, TIMESTAMPTZOID, TimestampTzGetDatum(answer->request_time), false);
		QueryArgJsonb(&args, arguments);
		QueryArgJsonb(&args, features);
		QueryArgJsonb(&args, answer->status_bytes > 0 ? status : NULL);
		(void) QueryRunKept(&plan, "INSERT INTO venice.served_feature "
							"(schema_oid, request_time, arguments, features, status) "
							"VALUES ($1, $2, $3, $4, $5)", &args);
		at += answer->bytes;
	}
	args.count = 0;
	arg_bounds(&args);
	(void) QueryRun("DELETE FROM venice.served_feature WHERE served_id IN (" SURPLUS_QUERY ")", &args);
	QueryEnd(&session);
}

/*
 * venice_served_statistics
 *		served_statistics(): schema, answers noted and not noted for want of room, of
 *		each service that was logged since the server started and whose statistics the
 *		caller may see.
 */
Datum
venice_served_statistics(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; queue != NULL && i < COUNTERS; i++)
	{
		Counter		counter;
		Datum		values[3];
		bool		nulls[3] = {false};
		Oid			owner;

		LWLockAcquire(queue->lock, LW_SHARED);
		counter = queue->counters[i];
		LWLockRelease(queue->lock);
		owner = counter.database == MyDatabaseId ? SchemaOwner(counter.schema) : InvalidOid;
		if (!OidIsValid(owner) ||
			!(has_privs_of_role(GetUserId(), owner) ||
			  has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS)))
			continue;
		values[0] = ObjectIdGetDatum(counter.schema);
		values[1] = Int64GetDatum((int64) counter.logged);
		values[2] = Int64GetDatum((int64) counter.dropped);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
