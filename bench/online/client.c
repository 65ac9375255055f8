/*-------------------------------------------------------------------------
 *
 * client.c
 *		One client for PostgreSQL and Redis, so that look-ups by key can be
 *		compared.
 *
 *		client [-d dimensions] load
 *		client [-c connections] [-r rounds] [-s seconds] [-p core] [-b keys] [-d dimensions]
 *			ENTITIES SITE:REQUEST ...
 *
 * A site is where requests go: an environment variable with a connection string of
 * libpq, or, for the site "redis", with the path of a socket.  The requests are
 * those of the array `targets`.  All connections are made first; then each round
 * runs each request for so many seconds, one thread a connection, with random
 * keys.  A line of output is round, request, keys a second, p50 and p99 of a
 * request, and what a request takes of the processor in the client and in the
 * server, all in microseconds.  An answer that lacks a key ends the program, and so
 * does one that is wrong about a vector.
 *
 * With -p the client, the backends and Redis share one core: waking another one
 * up, on a virtual machine, takes longer than a look-up.
 *
 * Vectors have so many dimensions (-d), and a batch of them so many keys (-b).  What
 * Redis gives is computed here, by the kernels that the server uses.
 *
 * "load" copies the store to Redis: each row as the bytes of get_packed, as its
 * fields alone with their lengths, and as a hash of texts; a store of vectors, each
 * as its floats.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <endian.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "compute/kernels.h"

#define FEATURES 20
#define IN_FLIGHT 50			/* requests of a pipeline */
#define MAX_BATCH 1000			/* keys of a batch */
#define MAX_DIMENSIONS 1000
#define WARM_UP_NS 300000000
#define INT8OID 20
#define FLOAT4OID 700
#define INT8ARRAYOID 1016
#define FLOAT4ARRAYOID 1021

/* Of the binary COPY format: what precedes the first field of the first row, and what ends it. */
#define PACKED_HEAD 21
#define PACKED_TAIL 2

typedef enum Shape
{
	SINGLE,						/* one key, one request */
	PIPELINE,					/* one key each, so many in flight */
	BATCHED						/* one request for so many keys */
} Shape;

typedef enum Similarity
{
	NONE,
	DOT,
	COSINE
} Similarity;

typedef struct Target
{
	const char *name;
	Shape		shape;
	const char *sql;			/* with the dimensions for %d; NULL: a command of Redis */
	int			columns;		/* of its answer */
	bool		unprepared;
	char		prefix;			/* of Redis's keys: which form of the value */
	Similarity	similarity;		/* of a query to the vectors of the keys */
	bool		pgvector;
} Target;

#define SIMILARITY(title, kind, function, operator) \
	{title "-rows", BATCHED, \
		"SELECT id, result FROM bench_%d.compute('" function "', 'embedding', $2, $1)", 2, \
		.similarity = kind}, \
	{title "-packed", BATCHED, \
		"SELECT bench_%d.compute_packed('" function "', 'embedding', $2, $1)", 1, \
		.similarity = kind}, \
	{title "-pgvector", BATCHED, \
		"SELECT id, embedding " operator " $2 FROM pgvector_%d WHERE id = ANY($1)", 2, \
		.similarity = kind, .pgvector = true}, \
	{title "-pgvector-inline", BATCHED, \
		"SELECT id, embedding " operator " $2 FROM pgvector_inline_%d WHERE id = ANY($1)", 2, \
		.similarity = kind, .pgvector = true}, \
	{title "-mget", BATCHED, .prefix = 'v', .similarity = kind}

static const Target targets[] = {
	{"packed", SINGLE, "SELECT bench.get_packed($1)", 1},
	{"packed-unprepared", SINGLE, "SELECT bench.get_packed($1)", 1, true},
	{"rows", SINGLE, "SELECT * FROM bench.get($1)", FEATURES},
	{"select", SINGLE, "SELECT * FROM bench.records WHERE id = $1", 1 + FEATURES},
	{"packed-pipeline", PIPELINE, "SELECT bench.get_packed($1)", 1},
	{"packed-batch", BATCHED, "SELECT bench.batch_get_packed($1)", 1},
	{"rows-batch", BATCHED, "SELECT * FROM bench.batch_get($1)", 2 + FEATURES},
	{"any-batch", BATCHED, "SELECT * FROM bench.records WHERE id = ANY($1)", 1 + FEATURES},
	{"get", SINGLE, .prefix = 'p'},
	{"get-small", SINGLE, .prefix = 's'},
	{"hmget", SINGLE, .prefix = 'h'},
	{"get-pipeline", PIPELINE, .prefix = 'p'},
	{"mget", BATCHED, .prefix = 'p'},
	{"mget-small", BATCHED, .prefix = 's'},
	{"hmget-batch", BATCHED, .prefix = 'h'},
	SIMILARITY("dot", DOT, "dot_product", "<#>"),
	SIMILARITY("cosine", COSINE, "cosine_similarity", "<=>"),
	{NULL}
};

typedef struct Worker
{
	const Target *target;
	PGconn	   *postgres;
	redisContext *redis;
	pid_t		server;			/* who answers; 0: not known */
	uint64_t	random;
	uint64_t	keys[MAX_BATCH];	/* of the last request */
	uint64_t	begin_ns;		/* requests begun before are not counted */
	uint64_t	end_ns;
	uint32_t   *latencies_ns;
	size_t		count;
	size_t		room;
	size_t		all;			/* requests, with those that are not counted */
} Worker;

static uint64_t entities;
static cpu_set_t cores;
static char feature_names[FEATURES][8];
static int batch = 100;
static int dimensions = 0;
static float query[MAX_DIMENSIONS];
static double query_length;
static double *expected[COSINE + 1];	/* by key */

static void
die(const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	fputs("client: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	exit(1);
}

static uint64_t
clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

#define now_ns() clock_ns(CLOCK_MONOTONIC)

/* xorshift64* */
static uint32_t
next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (*state * UINT64_C(2685821657736338717)) >> 32;
}

/* One of 1 to `entities`. */
static uint64_t
random_key(Worker *worker)
{
	return next_random(&worker->random) % entities + 1;
}

static int
keys_of(const Target *target)
{
	return target->shape == SINGLE ? 1 : target->shape == PIPELINE ? IN_FLIGHT : batch;
}

static PGconn *
connect_postgres(const char *conninfo)
{
	PGconn	   *connection = PQconnectdb(conninfo);

	if (PQstatus(connection) != CONNECTION_OK)
		die("%s", PQerrorMessage(connection));
	return connection;
}

static redisContext *
connect_redis(const char *path)
{
	redisContext *context = redisConnectUnix(path);

	if (context == NULL || context->err)
		die("Redis: %s", context == NULL ? "out of memory" : context->errstr);
	return context;
}

/* The key's bytes as Redis has them. */
#define REDIS_KEY_BYTES 9

/* Vectors of other dimensions are other keys. */
static void
put_redis_key(char *place, char prefix, uint64_t key)
{
	place[0] = prefix;
	key = htobe64(key + ((uint64_t) dimensions << 48));
	memcpy(place + 1, &key, sizeof(key));
}

static void
put_32(char **place, uint32_t value)
{
	value = htobe32(value);
	memcpy(*place, &value, sizeof(value));
	*place += sizeof(value);
}

static void
put_float(char **place, float value)
{
	uint32_t	bits;

	memcpy(&bits, &value, sizeof(bits));
	put_32(place, bits);
}

static uint32_t
get_32(const char *place)
{
	uint32_t	value;

	memcpy(&value, place, sizeof(value));
	return be32toh(value);
}

static float
get_float(const char *place)
{
	uint32_t	bits = get_32(place);
	float		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* Neither sums of floats nor those of PostgreSQL are exactly what is expected. */
static void
check_similarity(const Worker *worker, uint64_t key, double similarity)
{
	double		wanted = expected[worker->target->similarity][key];
	double		tolerance = worker->target->similarity == DOT ? 1e-5 * dimensions : 1e-5;

	if (!(fabs(similarity - wanted) <= tolerance))
		die("%s: %g is not the similarity of key %" PRIu64 ", which is %g", worker->target->name,
			similarity, key, wanted);
}

/*
 * PostgreSQL
 */
#define ARRAY_HEAD 20
#define ARRAY_BYTES (ARRAY_HEAD + MAX_BATCH * 12)

static void
put_array_head(char **place, uint32_t type, int count)
{
	put_32(place, 1);
	put_32(place, 0);
	put_32(place, type);
	put_32(place, count);
	put_32(place, 1);
}

/* The query as a parameter; returns its length. */
static int
put_query(const Target *target, char *place)
{
	char	   *at = place;

	if (target->pgvector)
		put_32(&at, (uint32_t) dimensions << 16);
	else
		put_array_head(&at, FLOAT4OID, dimensions);
	for (int i = 0; i < dimensions; i++)
	{
		if (!target->pgvector)
			put_32(&at, sizeof(float));
		put_float(&at, query[i]);
	}
	return at - place;
}

/* The keys as a parameter; returns its length. */
static int
put_keys(Worker *worker, char *place)
{
	char	   *at = place;
	int			keys = worker->target->shape == BATCHED ? batch : 1;

	if (worker->target->shape == BATCHED)
		put_array_head(&at, INT8OID, batch);
	for (int i = 0; i < keys; i++)
	{
		uint64_t	key = htobe64(worker->keys[i] = random_key(worker));

		if (worker->target->shape == BATCHED)
			put_32(&at, 8);
		memcpy(at, &key, sizeof(key));
		at += sizeof(key);
	}
	return at - place;
}

/* A packed answer has a row for each key: a 2-byte count of 1, a length, and the result. */
static void
check_packed_similarities(Worker *worker, const char *bytes, int length)
{
	const int	row_bytes = 10;

	if (length != PACKED_HEAD - 2 + batch * row_bytes + PACKED_TAIL)
		die("%s: not the answer that was expected", worker->target->name);
	for (int i = 0; i < batch; i++)
		check_similarity(worker, worker->keys[i],
						 get_float(bytes + PACKED_HEAD + i * row_bytes + 4));
}

static void
check_similarities(Worker *worker, PGresult *result)
{
	int			rows = PQntuples(result);

	if (worker->target->columns == 1)
	{
		check_packed_similarities(worker, PQgetvalue(result, 0, 0), PQgetlength(result, 0, 0));
		return;
	}
	for (int i = 0; i < rows; i++)
	{
		uint64_t	key;
		double		similarity;

		memcpy(&key, PQgetvalue(result, i, 0), sizeof(key));
		if (worker->target->pgvector)
		{
			uint64_t	bits;

			/* Its operators are distances: the product with its sign changed, 1 less the cosine. */
			memcpy(&bits, PQgetvalue(result, i, 1), sizeof(bits));
			bits = be64toh(bits);
			memcpy(&similarity, &bits, sizeof(similarity));
			similarity = worker->target->similarity == DOT ? -similarity : 1 - similarity;
		}
		else
			similarity = get_float(PQgetvalue(result, i, 1));
		check_similarity(worker, be64toh(key), similarity);
	}
}

static void
check_result(Worker *worker, PGresult *result)
{
	int			keys = worker->target->shape == BATCHED ? batch : 1;
	bool		packed = worker->target->columns == 1;

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		die("%s: %s", worker->target->name, PQerrorMessage(worker->postgres));
	/* IN and ANY find a key once only, and random keys of a batch may be equal. */
	if (PQnfields(result) != worker->target->columns ||
		PQntuples(result) > (packed ? 1 : keys) || PQntuples(result) < (packed ? 1 : keys * 9 / 10) ||
		(packed && worker->target->similarity == NONE &&
		 PQgetlength(result, 0, 0) < PACKED_HEAD + keys * FEATURES * 4))
		die("%s: not the answer that was expected", worker->target->name);
	if (worker->target->similarity != NONE)
		check_similarities(worker, result);
	PQclear(result);
}

static void
request_postgres(Worker *worker)
{
	PGconn	   *connection = worker->postgres;
	char		keys[ARRAY_BYTES];
	char		vector[ARRAY_HEAD + MAX_DIMENSIONS * 8];
	const char *values[] = {keys, vector};
	const Oid	type = INT8OID;
	const int	binary[] = {1, 1};
	const int	parameters = worker->target->similarity == NONE ? 1 : 2;
	int			lengths[2];

	if (worker->target->shape == PIPELINE)
	{
		for (int i = 0; i < IN_FLIGHT; i++)
		{
			lengths[0] = put_keys(worker, keys);
			if (!PQsendQueryPrepared(connection, "q", 1, values, lengths, binary, 1))
				die("%s", PQerrorMessage(connection));
		}
		if (!PQpipelineSync(connection))
			die("%s", PQerrorMessage(connection));
		for (int i = 0; i < IN_FLIGHT; i++)
		{
			check_result(worker, PQgetResult(connection));
			(void) PQgetResult(connection);	/* NULL: the end of this one */
		}
		PQclear(PQgetResult(connection));	/* the synchronization point */
		return;
	}
	lengths[0] = put_keys(worker, keys);
	if (parameters == 2)
		lengths[1] = put_query(worker->target, vector);
	check_result(worker, worker->target->unprepared ?
				 PQexecParams(connection, worker->target->sql, 1, &type, values, lengths, binary, 1) :
				 PQexecPrepared(connection, "q", parameters, values, lengths, binary, 1));
}

static void
prepare_postgres(Worker *worker)
{
	/* pgvector's type has no number that is known here: it follows from the operator. */
	const Oid	types[] = {
		worker->target->shape == BATCHED ? INT8ARRAYOID : INT8OID,
		worker->target->pgvector ? 0 : FLOAT4ARRAYOID
	};
	char		sql[256];
	PGresult   *result;

	if (worker->target->unprepared)
		return;
	snprintf(sql, sizeof(sql), worker->target->sql, dimensions);
	result = PQprepare(worker->postgres, "q", sql, worker->target->similarity == NONE ? 1 : 2,
					   types);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		die("%s", PQerrorMessage(worker->postgres));
	PQclear(result);
	if (worker->target->shape == PIPELINE && !PQenterPipelineMode(worker->postgres))
		die("%s", PQerrorMessage(worker->postgres));
}

/*
 * Redis
 */
static redisReply *
redis_reply(redisContext *redis)
{
	redisReply *reply;

	if (redisGetReply(redis, (void **) &reply) != REDIS_OK)
		die("Redis: %s", redis->errstr);
	if (reply->type == REDIS_REPLY_ERROR)
		die("Redis: %s", reply->str);
	return reply;
}

/* By the server's kernels, which load what is not aligned as it is. */
static double
similarity_of(Similarity similarity, const float *vector)
{
	const Kernels *kernels = KernelsSelect();
	double		dot = kernels->dot_float(query, vector, dimensions);

	return similarity == DOT ? dot :
		dot / (query_length * sqrt(kernels->dot_float(vector, vector, dimensions)));
}

static void
check_reply(Worker *worker, size_t elements)
{
	redisReply *reply = redis_reply(worker->redis);

	if (elements == 0 && reply->type != REDIS_REPLY_STRING)
		die("%s: not the answer that was expected", worker->target->name);
	if (elements > 0 && (reply->type != REDIS_REPLY_ARRAY || reply->elements != elements))
		die("%s: not the answer that was expected", worker->target->name);
	for (size_t i = 0; i < elements; i++)
	{
		if (reply->element[i]->type != REDIS_REPLY_STRING ||
			(worker->target->similarity != NONE &&
			 reply->element[i]->len != dimensions * sizeof(float)))
			die("%s: a key or a field is missing", worker->target->name);
		if (worker->target->similarity != NONE)
			check_similarity(worker, worker->keys[i],
							 similarity_of(worker->target->similarity,
										   (const float *) reply->element[i]->str));
	}
	freeReplyObject(reply);
}

static void
request_redis(Worker *worker)
{
	char		keys[MAX_BATCH][REDIS_KEY_BYTES];
	const char *arguments[2 + MAX_BATCH];
	size_t		lengths[2 + MAX_BATCH];
	char		prefix = worker->target->prefix;
	bool		hash = prefix == 'h';
	int			count = keys_of(worker->target);

	for (int i = 0; i < count; i++)
	{
		worker->keys[i] = random_key(worker);
		put_redis_key(keys[i], prefix, worker->keys[i]);
	}
	if (worker->target->shape == BATCHED && !hash)
	{
		arguments[0] = "MGET";
		lengths[0] = 4;
		for (int i = 0; i < count; i++)
		{
			arguments[1 + i] = keys[i];
			lengths[1 + i] = REDIS_KEY_BYTES;
		}
		redisAppendCommandArgv(worker->redis, 1 + count, arguments, lengths);
		check_reply(worker, count);
		return;
	}
	arguments[0] = hash ? "HMGET" : "GET";
	lengths[0] = strlen(arguments[0]);
	lengths[1] = REDIS_KEY_BYTES;
	for (int i = 0; i < FEATURES; i++)
	{
		arguments[2 + i] = feature_names[i];
		lengths[2 + i] = strlen(feature_names[i]);
	}
	for (int i = 0; i < count; i++)
	{
		arguments[1] = keys[i];
		redisAppendCommandArgv(worker->redis, hash ? 2 + FEATURES : 2, arguments, lengths);
	}
	for (int i = 0; i < count; i++)
		check_reply(worker, hash ? FEATURES : 0);
}

/*
 * Measuring
 */
static void *
work(void *argument)
{
	Worker	   *worker = argument;

	worker->count = 0;
	worker->all = 0;
	for (;;)
	{
		uint64_t	before = now_ns();
		uint64_t	after;

		if (worker->postgres != NULL)
			request_postgres(worker);
		else
			request_redis(worker);
		after = now_ns();
		worker->all++;
		if (before >= worker->begin_ns)
		{
			if (worker->count == worker->room)
			{
				worker->room = worker->room == 0 ? 65536 : worker->room * 2;
				worker->latencies_ns = realloc(worker->latencies_ns,
											   worker->room * sizeof(uint32_t));
				if (worker->latencies_ns == NULL)
					die("out of memory");
			}
			worker->latencies_ns[worker->count++] = after - before;
		}
		if (after >= worker->end_ns)
			return NULL;
	}
}

static int
compare(const void *a, const void *b)
{
	uint32_t	x = *(const uint32_t *) a;
	uint32_t	y = *(const uint32_t *) b;

	return (x > y) - (x < y);
}

/* The processor time of those who answer; a server may answer several. */
static uint64_t
server_ns(Worker *workers, int connections)
{
	uint64_t	sum = 0;

	for (int i = 0; i < connections; i++)
	{
		char		name[64];
		FILE	   *file;
		uint64_t	ns = 0;

		if (workers[i].server == 0 || (i > 0 && workers[i].server == workers[i - 1].server))
			continue;
		sprintf(name, "/proc/%d/schedstat", (int) workers[i].server);
		file = fopen(name, "r");
		if (file == NULL || fscanf(file, "%" SCNu64, &ns) != 1)
			die("%s cannot be read", name);
		fclose(file);
		sum += ns;
	}
	return sum;
}

/* One round of one request; prints its line. */
static void
measure(int round, const char *name, Worker *workers, int connections, double seconds)
{
	pthread_t	threads[connections];
	uint64_t	begin_ns = now_ns() + WARM_UP_NS;
	uint64_t	client_before_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	uint64_t	server_before_ns = server_ns(workers, connections);
	double		client_us;
	double		server_us;
	size_t		requests = 0;
	size_t		count = 0;
	uint32_t   *all;
	int			keys = keys_of(workers->target);

	for (int i = 0; i < connections; i++)
	{
		workers[i].begin_ns = begin_ns;
		workers[i].end_ns = begin_ns + (uint64_t) (seconds * 1e9);
		if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0)
			die("could not create a thread");
	}
	for (int i = 0; i < connections; i++)
	{
		pthread_join(threads[i], NULL);
		count += workers[i].count;
		requests += workers[i].all;
	}
	client_us = (clock_ns(CLOCK_PROCESS_CPUTIME_ID) - client_before_ns) / 1e3 / requests;
	server_us = (server_ns(workers, connections) - server_before_ns) / 1e3 / requests;
	if (count == 0)
		die("%s: no request was done in time", name);
	all = malloc(count * sizeof(uint32_t));
	if (all == NULL)
		die("out of memory");
	count = 0;
	for (int i = 0; i < connections; i++)
	{
		memcpy(all + count, workers[i].latencies_ns, workers[i].count * sizeof(uint32_t));
		count += workers[i].count;
	}
	qsort(all, count, sizeof(uint32_t), compare);
	printf("%d %s %.0f %.1f %.1f %.2f %.2f\n", round, name, count * keys / seconds,
		   all[count / 2] / 1e3, all[count * 99 / 100] / 1e3, client_us, server_us);
	fflush(stdout);
	free(all);
}

static void
place(pid_t process)
{
	if (sched_setaffinity(process, sizeof(cores), &cores) != 0)
		die("could not set the cores of process %d", (int) process);
}

static pid_t
redis_process(redisContext *redis)
{
	redisReply *reply = redisCommand(redis, "INFO server");
	const char *found = reply == NULL ? NULL : strstr(reply->str, "process_id:");
	pid_t		process;

	if (found == NULL)
		die("Redis does not say its process_id");
	process = atoi(found + strlen("process_id:"));
	freeReplyObject(reply);
	return process;
}

/* So many connections for a request of a site. */
static Worker *
make_workers(const char *name, int connections)
{
	const char *colon = strchr(name, ':');
	char	   *site = colon == NULL ? NULL : strndup(name, colon - name);
	const char *address = site == NULL ? NULL : getenv(site);
	Worker	   *workers = calloc(connections, sizeof(Worker));
	const Target *target = targets;

	if (workers == NULL || address == NULL)
		die("%s: no such site", name);
	while (target->name != NULL && strcmp(target->name, colon + 1) != 0)
		target++;
	if (target->name == NULL || (target->sql == NULL) != (strcmp(site, "redis") == 0))
		die("%s: no such request", name);
	for (int i = 0; i < connections; i++)
	{
		workers[i].target = target;
		workers[i].random = UINT64_C(0x9E3779B97F4A7C15) * (i + 1);
		if (target->sql == NULL)
		{
			workers[i].redis = connect_redis(address);
			workers[i].server = redis_process(workers[i].redis);
			place(workers[i].server);
			continue;
		}
		workers[i].postgres = connect_postgres(address);
		/* The number that a pooler gives is nobody's. */
		if (!target->unprepared)
		{
			workers[i].server = PQbackendPID(workers[i].postgres);
			place(workers[i].server);
		}
		prepare_postgres(&workers[i]);
	}
	free(site);
	return workers;
}

/*
 * Loading
 */

/* Begin to read rows, which next_rows gives a thousand at a time, in binary. */
static PGconn *
begin_rows(const char *sql)
{
	PGconn	   *postgres = connect_postgres(getenv("ram"));
	char		declare[1024];
	PGresult   *result;

	snprintf(declare, sizeof(declare), "DECLARE rows CURSOR FOR %s", sql);
	PQclear(PQexec(postgres, "BEGIN"));
	result = PQexec(postgres, declare);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		die("%s", PQerrorMessage(postgres));
	PQclear(result);
	return postgres;
}

/* NULL behind the last. */
static PGresult *
next_rows(PGconn *postgres)
{
	PGresult   *result = PQexecParams(postgres, "FETCH 1000 FROM rows", 0, NULL, NULL, NULL, NULL, 1);

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		die("%s", PQerrorMessage(postgres));
	if (PQntuples(result) > 0)
		return result;
	PQclear(result);
	PQfinish(postgres);
	return NULL;
}

static uint64_t
row_id(PGresult *result, int row)
{
	uint64_t	id;

	memcpy(&id, PQgetvalue(result, row, 0), sizeof(id));
	return be64toh(id);
}

static PGconn *
begin_vectors(void)
{
	char		sql[64];

	snprintf(sql, sizeof(sql), "SELECT id, embedding FROM bench_%d.records", dimensions);
	return begin_rows(sql);
}

static void
get_vector(PGresult *result, int row, float *vector)
{
	const char *bytes = PQgetvalue(result, row, 1);

	if (PQgetlength(result, row, 1) != ARRAY_HEAD + dimensions * 8)
		die("a vector has not %d dimensions", dimensions);
	for (int i = 0; i < dimensions; i++)
		vector[i] = get_float(bytes + ARRAY_HEAD + 8 * i + 4);
}

static void
append_set(redisContext *redis, char prefix, uint64_t id, const char *value, size_t value_bytes)
{
	char		key[REDIS_KEY_BYTES];
	const char *arguments[] = {"SET", key, value};
	const size_t lengths[] = {3, sizeof(key), value_bytes};

	put_redis_key(key, prefix, id);
	redisAppendCommandArgv(redis, 3, arguments, lengths);
}

static void
load_vectors(void)
{
	redisContext *redis = connect_redis(getenv("redis"));
	PGconn	   *postgres = begin_vectors();
	size_t		rows = 0;

	for (PGresult *result; (result = next_rows(postgres)) != NULL; PQclear(result))
	{
		int			count = PQntuples(result);

		for (int row = 0; row < count; row++)
		{
			float		vector[MAX_DIMENSIONS];

			get_vector(result, row, vector);
			append_set(redis, 'v', row_id(result, row), (const char *) vector,
					   dimensions * sizeof(float));
		}
		for (int i = 0; i < count; i++)
			freeReplyObject(redis_reply(redis));
		rows += count;
	}
	printf("%zu vectors of %d dimensions\n", rows, dimensions);
	redisFree(redis);
}

/* A query, and how similar each vector is to it, by doubles, one after the other. */
static void
make_query(void)
{
	PGconn	   *postgres = begin_vectors();
	uint64_t	random = UINT64_C(0x9E3779B97F4A7C15);
	double		squares = 0;

	for (int i = 0; i < dimensions; i++)
	{
		query[i] = next_random(&random) / 2147483648.0 - 1;
		squares += (double) query[i] * query[i];
	}
	query_length = sqrt(squares);
	for (Similarity kind = DOT; kind <= COSINE; kind++)
	{
		expected[kind] = malloc((entities + 1) * sizeof(double));
		if (expected[kind] == NULL)
			die("out of memory");
	}
	for (PGresult *result; (result = next_rows(postgres)) != NULL; PQclear(result))
		for (int row = 0; row < PQntuples(result); row++)
		{
			uint64_t	id = row_id(result, row);
			float		vector[MAX_DIMENSIONS];
			double		dot = 0;

			if (id > entities)
				continue;
			get_vector(result, row, vector);
			squares = 0;
			for (int i = 0; i < dimensions; i++)
			{
				dot += (double) query[i] * vector[i];
				squares += (double) vector[i] * vector[i];
			}
			expected[DOT][id] = dot;
			expected[COSINE][id] = dot / (query_length * sqrt(squares));
		}
}

/* Each field of a packed row behind one byte that says its length; returns the number of bytes. */
static size_t
shorten(const char *packed, size_t packed_bytes, char *small)
{
	const char *end = packed + packed_bytes - PACKED_TAIL;
	char	   *at = small;

	for (packed += PACKED_HEAD; packed < end;)
	{
		uint32_t	length;

		memcpy(&length, packed, sizeof(length));
		length = be32toh(length);
		*at++ = (char) length;
		memcpy(at, packed + 4, length);
		at += length;
		packed += 4 + length;
	}
	return at - small;
}

static void
load(void)
{
	PGconn	   *postgres;
	redisContext *redis = connect_redis(getenv("redis"));
	char		sql[1000] = "SELECT id, bench.get_packed(id)";
	size_t		packed_bytes = 0;
	size_t		small_bytes = 0;
	size_t		rows = 0;

	for (int f = 0; f < FEATURES; f++)
		sprintf(sql + strlen(sql), ", %s::text", feature_names[f]);
	strcat(sql, " FROM bench.records");
	postgres = begin_rows(sql);
	for (PGresult *result; (result = next_rows(postgres)) != NULL; PQclear(result))
	{
		int			count = PQntuples(result);

		for (int row = 0; row < count; row++)
		{
			const char *arguments[2 + 2 * FEATURES] = {"HSET"};
			size_t		lengths[2 + 2 * FEATURES] = {4, REDIS_KEY_BYTES};
			char		key[REDIS_KEY_BYTES];
			char		small[1024];
			size_t		length = PQgetlength(result, row, 1);
			uint64_t	id = row_id(result, row);

			append_set(redis, 'p', id, PQgetvalue(result, row, 1), length);
			packed_bytes += length;
			length = shorten(PQgetvalue(result, row, 1), length, small);
			append_set(redis, 's', id, small, length);
			small_bytes += length;
			put_redis_key(key, 'h', id);
			arguments[1] = key;
			for (int f = 0; f < FEATURES; f++)
			{
				arguments[2 + 2 * f] = feature_names[f];
				lengths[2 + 2 * f] = strlen(feature_names[f]);
				arguments[3 + 2 * f] = PQgetvalue(result, row, 2 + f);
				lengths[3 + 2 * f] = PQgetlength(result, row, 2 + f);
			}
			redisAppendCommandArgv(redis, 2 + 2 * FEATURES, arguments, lengths);
		}
		for (int i = 0; i < 3 * count; i++)
			freeReplyObject(redis_reply(redis));
		rows += count;
	}
	printf("%zu entities; a packed row has %.0f bytes, its fields with their lengths %.0f\n", rows,
		   (double) packed_bytes / rows, (double) small_bytes / rows);
	redisFree(redis);
}

int
main(int argc, char **argv)
{
	int			connections = 1;
	int			rounds = 5;
	double		seconds = 2;
	int			core = -1;
	int			option;

	for (int f = 0; f < FEATURES; f++)
		sprintf(feature_names[f], "f%d", f + 1);
	while ((option = getopt(argc, argv, "c:r:s:p:b:d:")) != -1)
	{
		switch (option)
		{
			case 'c':
				connections = atoi(optarg);
				break;
			case 'r':
				rounds = atoi(optarg);
				break;
			case 's':
				seconds = atof(optarg);
				break;
			case 'p':
				core = atoi(optarg);
				break;
			case 'b':
				batch = atoi(optarg);
				break;
			case 'd':
				dimensions = atoi(optarg);
				break;
			default:
				return 2;
		}
	}
	if (batch < 1 || batch > MAX_BATCH || dimensions < 0 || dimensions > MAX_DIMENSIONS)
		die("no more than %d keys and %d dimensions", MAX_BATCH, MAX_DIMENSIONS);
	if (optind == argc - 1 && strcmp(argv[optind], "load") == 0)
	{
		if (dimensions > 0)
			load_vectors();
		else
			load();
		return 0;
	}
	if (optind < argc)
		entities = strtoull(argv[optind++], NULL, 10);
	if (optind == argc || entities == 0 || connections < 1 || rounds < 1 || seconds <= 0)
		die("usage: client [-c connections] [-r rounds] [-s seconds] [-p core] [-b keys] [-d dimensions] "
			"entities site:request ...");

	CPU_ZERO(&cores);
	for (int i = 0; i < (core < 0 ? sysconf(_SC_NPROCESSORS_ONLN) : 1); i++)
		CPU_SET(core < 0 ? i : core, &cores);
	place(0);
	if (dimensions > 0)
		make_query();

	argv += optind;
	argc -= optind;
	{
		Worker	   *workers[argc];

		for (int i = 0; i < argc; i++)
			workers[i] = make_workers(argv[i], connections);
		for (int round = 1; round <= rounds; round++)
			for (int i = 0; i < argc; i++)
				measure(round, argv[i], workers[i], connections, seconds);
	}
	return 0;
}
