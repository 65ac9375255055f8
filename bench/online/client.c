/*-------------------------------------------------------------------------
 *
 * client.c
 *		One client for PostgreSQL and Redis, so that look-ups by key can be
 *		compared.
 *
 *		client load
 *		client [-c connections] [-r rounds] [-s seconds] [-p core] ENTITIES SITE:REQUEST ...
 *
 * A site is where requests go: an environment variable with a connection string of
 * libpq, or, for the site "redis", with the path of a socket.  The requests are
 * those of the array `targets`.  All connections are made first; then each round
 * runs each request for so many seconds, one thread a connection, with random
 * keys.  A line of output is round, request, keys a second, p50 and p99 of a
 * request, and what a request takes of the processor in the client and in the
 * server, all in microseconds.  An answer that lacks a key ends the program.
 *
 * With -p the client, the backends and Redis share one core: waking another one
 * up, on a virtual machine, takes longer than a look-up.
 *
 * "load" copies the store to Redis: each row as the bytes of get_packed, as its
 * fields alone with their lengths, and as a hash of texts.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <endian.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <libpq-fe.h>
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

#define FEATURES 20
#define IN_FLIGHT 50			/* requests of a pipeline */
#define BATCH 100				/* keys of a batch */
#define WARM_UP_NS 300000000
#define INT8OID 20
#define INT8ARRAYOID 1016

/* Of the binary COPY format: what precedes the first field of the first row, and what ends it. */
#define PACKED_HEAD 21
#define PACKED_TAIL 2

typedef enum Shape
{
	SINGLE,						/* one key, one request */
	PIPELINE,					/* one key each, so many in flight */
	BATCHED						/* one request for so many keys */
} Shape;

typedef struct Target
{
	const char *name;
	Shape		shape;
	const char *sql;			/* NULL: a command of Redis */
	int			columns;		/* of its answer */
	bool		unprepared;
	char		prefix;			/* of Redis's keys: which form of the value */
} Target;

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
	{NULL}
};

typedef struct Worker
{
	const Target *target;
	PGconn	   *postgres;
	redisContext *redis;
	pid_t		server;			/* who answers; 0: not known */
	uint64_t	random;
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

/* One of 1 to `entities`; xorshift64*. */
static uint64_t
random_key(Worker *worker)
{
	worker->random ^= worker->random >> 12;
	worker->random ^= worker->random << 25;
	worker->random ^= worker->random >> 27;
	return ((worker->random * UINT64_C(2685821657736338717)) >> 32) % entities + 1;
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

static void
put_redis_key(char *place, char prefix, uint64_t key)
{
	place[0] = prefix;
	key = htobe64(key);
	memcpy(place + 1, &key, sizeof(key));
}

static void
put_32(char **place, uint32_t value)
{
	value = htobe32(value);
	memcpy(*place, &value, sizeof(value));
	*place += sizeof(value);
}

/*
 * PostgreSQL
 */
#define ARRAY_BYTES (20 + BATCH * 12)

/* The parameter of a request; returns its length. */
static int
put_parameter(Worker *worker, char *place)
{
	char	   *at = place;
	int			keys = worker->target->shape == BATCHED ? BATCH : 1;

	if (worker->target->shape == BATCHED)
	{
		put_32(&at, 1);
		put_32(&at, 0);
		put_32(&at, INT8OID);
		put_32(&at, BATCH);
		put_32(&at, 1);
	}
	for (int i = 0; i < keys; i++)
	{
		uint64_t	key = htobe64(random_key(worker));

		if (worker->target->shape == BATCHED)
			put_32(&at, 8);
		memcpy(at, &key, sizeof(key));
		at += sizeof(key);
	}
	return at - place;
}

static void
check_result(Worker *worker, PGresult *result)
{
	int			keys = worker->target->shape == BATCHED ? BATCH : 1;
	bool		packed = worker->target->columns == 1;

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		die("%s: %s", worker->target->name, PQerrorMessage(worker->postgres));
	/* IN and ANY find a key once only, and random keys of a batch may be equal. */
	if (PQnfields(result) != worker->target->columns ||
		PQntuples(result) > (packed ? 1 : keys) || PQntuples(result) < (packed ? 1 : keys * 9 / 10) ||
		(packed && PQgetlength(result, 0, 0) < PACKED_HEAD + keys * FEATURES * 4))
		die("%s: not the answer that was expected", worker->target->name);
	PQclear(result);
}

static void
request_postgres(Worker *worker)
{
	PGconn	   *connection = worker->postgres;
	char		bytes[ARRAY_BYTES];
	const char *value = bytes;
	const Oid	type = INT8OID;
	const int	binary = 1;
	int			length;

	if (worker->target->shape == PIPELINE)
	{
		for (int i = 0; i < IN_FLIGHT; i++)
		{
			length = put_parameter(worker, bytes);
			if (!PQsendQueryPrepared(connection, "q", 1, &value, &length, &binary, 1))
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
	length = put_parameter(worker, bytes);
	check_result(worker, worker->target->unprepared ?
				 PQexecParams(connection, worker->target->sql, 1, &type, &value, &length, &binary, 1) :
				 PQexecPrepared(connection, "q", 1, &value, &length, &binary, 1));
}

static void
prepare_postgres(Worker *worker)
{
	const Oid	type = worker->target->shape == BATCHED ? INT8ARRAYOID : INT8OID;
	PGresult   *result;

	if (worker->target->unprepared)
		return;
	result = PQprepare(worker->postgres, "q", worker->target->sql, 1, &type);
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

static void
check_reply(Worker *worker, size_t elements)
{
	redisReply *reply = redis_reply(worker->redis);

	if (elements == 0 && reply->type != REDIS_REPLY_STRING)
		die("%s: not the answer that was expected", worker->target->name);
	if (elements > 0 && (reply->type != REDIS_REPLY_ARRAY || reply->elements != elements))
		die("%s: not the answer that was expected", worker->target->name);
	for (size_t i = 0; i < elements; i++)
		if (reply->element[i]->type != REDIS_REPLY_STRING)
			die("%s: a key or a field is missing", worker->target->name);
	freeReplyObject(reply);
}

static void
request_redis(Worker *worker)
{
	char		keys[BATCH][REDIS_KEY_BYTES];
	const char *arguments[2 + BATCH];
	size_t		lengths[2 + BATCH];
	char		prefix = worker->target->prefix;
	bool		hash = prefix == 'h';
	int			count = worker->target->shape == SINGLE ? 1 :
		worker->target->shape == PIPELINE ? IN_FLIGHT : BATCH;

	for (int i = 0; i < count; i++)
		put_redis_key(keys[i], prefix, random_key(worker));
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
	int			keys = workers->target->shape == SINGLE ? 1 :
		workers->target->shape == PIPELINE ? IN_FLIGHT : BATCH;

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
static void
append_set(redisContext *redis, char prefix, uint64_t id, const char *value, size_t value_bytes)
{
	char		key[REDIS_KEY_BYTES];
	const char *arguments[] = {"SET", key, value};
	const size_t lengths[] = {3, sizeof(key), value_bytes};

	put_redis_key(key, prefix, id);
	redisAppendCommandArgv(redis, 3, arguments, lengths);
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
	PGconn	   *postgres = connect_postgres(getenv("ram"));
	redisContext *redis = connect_redis(getenv("redis"));
	char		fetch[1024] = "DECLARE rows CURSOR FOR SELECT id, bench.get_packed(id)";
	size_t		packed_bytes = 0;
	size_t		small_bytes = 0;
	size_t		rows = 0;
	PGresult   *result;

	for (int f = 0; f < FEATURES; f++)
		sprintf(fetch + strlen(fetch), ", %s::text", feature_names[f]);
	strcat(fetch, " FROM bench.records");
	PQclear(PQexec(postgres, "BEGIN"));
	result = PQexec(postgres, fetch);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		die("%s", PQerrorMessage(postgres));
	for (;;)
	{
		int			count;

		PQclear(result);
		result = PQexecParams(postgres, "FETCH 1000 FROM rows", 0, NULL, NULL, NULL, NULL, 1);
		if (PQresultStatus(result) != PGRES_TUPLES_OK)
			die("%s", PQerrorMessage(postgres));
		count = PQntuples(result);
		if (count == 0)
			break;
		for (int row = 0; row < count; row++)
		{
			const char *arguments[2 + 2 * FEATURES] = {"HSET"};
			size_t		lengths[2 + 2 * FEATURES] = {4, REDIS_KEY_BYTES};
			char		key[REDIS_KEY_BYTES];
			char		small[1024];
			size_t		length = PQgetlength(result, row, 1);
			uint64_t	id;

			memcpy(&id, PQgetvalue(result, row, 0), sizeof(id));
			id = be64toh(id);
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
	PQfinish(postgres);
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
	if (argc == 2 && strcmp(argv[1], "load") == 0)
	{
		load();
		return 0;
	}
	while ((option = getopt(argc, argv, "c:r:s:p:")) != -1)
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
			default:
				return 2;
		}
	}
	if (optind < argc)
		entities = strtoull(argv[optind++], NULL, 10);
	if (optind == argc || entities == 0 || connections < 1 || rounds < 1 || seconds <= 0)
		die("usage: client [-c connections] [-r rounds] [-s seconds] [-p core] entities site:request ...");

	CPU_ZERO(&cores);
	for (int i = 0; i < (core < 0 ? sysconf(_SC_NPROCESSORS_ONLN) : 1); i++)
		CPU_SET(core < 0 ? i : core, &cores);
	place(0);

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
