/*-------------------------------------------------------------------------
 *
 * upsert.c
 *		Upserts over libpq, as fast as it can be done.
 *
 *		upsert CONNINFO TABLE ROUTE SEED ROWS KEYS BATCH CONNECTIONS sorted|unsorted
 *
 * ROUTE is "unnest" (one INSERT … SELECT FROM unnest of binary arrays … ON CONFLICT
 * a batch), "pipeline" (prepared INSERT … ON CONFLICT row by row in pipeline mode) or
 * "spi" (a function in the server, upserts.c).  Each connection has a thread, keys of
 * its own, and a transaction a batch, which does not wait for the disk.  The rows of a
 * batch are made, freed of keys that come twice and sorted by key, or not, before the clock
 * starts; "spi" makes them itself, sorted.  Prints the milliseconds from the
 * first batch to the last, and those of processor time that the client has used meanwhile.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <endian.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "rows.h"

#define INT4OID 23
#define INT8OID 20
#define TEXTOID 25
#define FLOAT8OID 701
#define INT4ARRAYOID 1007
#define TEXTARRAYOID 1009
#define INT8ARRAYOID 1016
#define FLOAT8ARRAYOID 1022
#define PARAMETERS (1 + COLUMNS)

typedef struct Worker
{
	pthread_t	thread;
	PGconn	   *connection;
	int			number;
	int			batches;
	int		   *counts;			/* rows of each batch */
	Row		   *rows;			/* of all batches, each beginning at a multiple of its size */
} Worker;

static const char *table;
static const char *route;
static uint64_t seed;
static int64_t keys;
static int	batch_rows;
static int	connections;
static bool is_sorted;

static void
die(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static void
expect(PGconn *connection, PGresult *result, ExecStatusType status)
{
	if (PQresultStatus(result) != status)
		die("%s", PQerrorMessage(connection));
	PQclear(result);
}

static Oid
element_type(int column)
{
	return column == 0 ? INT8OID : column <= DOUBLES ? FLOAT8OID :
		column <= DOUBLES + INTS ? INT4OID : TEXTOID;
}

static Oid
array_type(int column)
{
	return column == 0 ? INT8ARRAYOID : column <= DOUBLES ? FLOAT8ARRAYOID :
		column <= DOUBLES + INTS ? INT4ARRAYOID : TEXTARRAYOID;
}

/* A value as the binary protocol has it; returns its length. */
static int
put_value(char *out, const Row *row, int column)
{
	if (column > DOUBLES + INTS)
	{
		const char *string = row->strings[column - 1 - DOUBLES - INTS];
		int			length = (int) strlen(string);

		memcpy(out, string, length);
		return length;
	}
	if (column > DOUBLES)
	{
		uint32_t	value = htobe32((uint32_t) row->ints[column - 1 - DOUBLES]);

		memcpy(out, &value, 4);
		return 4;
	}
	else
	{
		uint64_t	value;

		if (column == 0)
			value = (uint64_t) row->key;
		else
			memcpy(&value, &row->doubles[column - 1], 8);
		value = htobe64(value);
		memcpy(out, &value, 8);
		return 8;
	}
}

static char *
put_int(char *out, int32_t number)
{
	uint32_t	value = htobe32((uint32_t) number);

	memcpy(out, &value, 4);
	return out + 4;
}

static void
statement(char *sql, size_t size, bool from_arrays)
{
	FILE	   *out = fmemopen(sql, size, "w");

	fprintf(out, "INSERT INTO %s %s", table, from_arrays ? "SELECT * FROM unnest(" : "VALUES (");
	for (int i = 1; i <= PARAMETERS; i++)
		fprintf(out, "%s$%d", i > 1 ? ", " : "", i);
	fprintf(out, ") ON CONFLICT (id) DO UPDATE SET ");
	for (int i = 0; i < COLUMNS; i++)
	{
		char		kind = "dis"[(i >= DOUBLES) + (i >= DOUBLES + INTS)];
		int			number = i - (kind == 'i' ? DOUBLES : kind == 's' ? DOUBLES + INTS : 0);

		fprintf(out, "%s%c%d = excluded.%c%d", i > 0 ? ", " : "", kind, number, kind, number);
	}
	fclose(out);
}

static void
send_arrays(Worker *worker, const Row *rows, int count, char **buffers)
{
	const char *values[PARAMETERS];
	int			lengths[PARAMETERS];
	int			formats[PARAMETERS];

	for (int column = 0; column < PARAMETERS; column++)
	{
		char	   *out = buffers[column];

		out = put_int(out, 1);
		out = put_int(out, 0);
		out = put_int(out, (int32_t) element_type(column));
		out = put_int(out, count);
		out = put_int(out, 1);
		for (int i = 0; i < count; i++)
		{
			int			length = put_value(out + 4, &rows[i], column);

			out = put_int(out, length) + length;
		}
		values[column] = buffers[column];
		lengths[column] = (int) (out - buffers[column]);
		formats[column] = 1;
	}
	expect(worker->connection, PQexecPrepared(worker->connection, "upsert", PARAMETERS, values,
											  lengths, formats, 1), PGRES_COMMAND_OK);
}

/* Send what is waiting, while reading what comes. */
static void
flush(PGconn *connection)
{
	int			left;

	while ((left = PQflush(connection)) == 1)
	{
		struct pollfd wait = {PQsocket(connection), POLLIN | POLLOUT, 0};

		poll(&wait, 1, -1);
		if (wait.revents & POLLIN && !PQconsumeInput(connection))
			die("%s", PQerrorMessage(connection));
	}
	if (left < 0)
		die("%s", PQerrorMessage(connection));
}

/* Without a BEGIN the commands up to a synchronization are one transaction. */
static void
send_pipeline(Worker *worker, const Row *rows, int count)
{
	PGconn	   *connection = worker->connection;

	for (int i = 0; i < count; i++)
	{
		char		buffers[PARAMETERS][STRING_BYTES];
		const char *values[PARAMETERS];
		int			lengths[PARAMETERS];
		int			formats[PARAMETERS];

		for (int column = 0; column < PARAMETERS; column++)
		{
			values[column] = buffers[column];
			lengths[column] = put_value(buffers[column], &rows[i], column);
			formats[column] = 1;
		}
		if (!PQsendQueryPrepared(connection, "upsert", PARAMETERS, values, lengths, formats, 1))
			die("%s", PQerrorMessage(connection));
		if (i % 100 == 99)
			flush(connection);
	}
	if (!PQpipelineSync(connection))
		die("%s", PQerrorMessage(connection));
	flush(connection);
	for (int i = 0; i < count; i++)
	{
		expect(connection, PQgetResult(connection), PGRES_COMMAND_OK);
		if (PQgetResult(connection) != NULL)
			die("a result too many");
	}
	expect(connection, PQgetResult(connection), PGRES_PIPELINE_SYNC);
}

static void
call_spi(Worker *worker, int batch)
{
	char		sql[2000];
	char		numbers[6][24];
	const char *values[7] = {sql};

	statement(sql, sizeof(sql), false);
	snprintf(numbers[0], 24, "%" PRIu64, seed);
	snprintf(numbers[1], 24, "%" PRId64,
			 ((int64_t) batch * connections + worker->number) * batch_rows);
	snprintf(numbers[2], 24, "%d", batch_rows);
	snprintf(numbers[3], 24, "%" PRId64, keys);
	snprintf(numbers[4], 24, "%d", connections);
	snprintf(numbers[5], 24, "%d", worker->number);
	for (int i = 0; i < 6; i++)
		values[1 + i] = numbers[i];
	expect(worker->connection, PQexecPrepared(worker->connection, "upsert", 7, values, NULL, NULL,
											  1), PGRES_TUPLES_OK);
}

static void *
run(void *argument)
{
	Worker	   *worker = argument;
	char	   *buffers[PARAMETERS];

	for (int i = 0; i < PARAMETERS; i++)
		buffers[i] = malloc((size_t) batch_rows * (4 + STRING_BYTES) + 20);
	for (int batch = 0; batch < worker->batches; batch++)
	{
		const Row  *rows = worker->rows == NULL ? NULL : worker->rows + (size_t) batch * batch_rows;

		if (strcmp(route, "unnest") == 0)
			send_arrays(worker, rows, worker->counts[batch], buffers);
		else if (strcmp(route, "pipeline") == 0)
			send_pipeline(worker, rows, worker->counts[batch]);
		else
			call_spi(worker, batch);
	}
	return NULL;
}

static void
prepare(Worker *worker, const char *conninfo)
{
	char		sql[2000];
	Oid			types[PARAMETERS];
	bool		is_spi = strcmp(route, "spi") == 0;
	bool		is_unnest = strcmp(route, "unnest") == 0;
	uint64_t	order = seed;

	worker->connection = PQconnectdb(conninfo);
	if (PQstatus(worker->connection) != CONNECTION_OK)
		die("%s", PQerrorMessage(worker->connection));
	expect(worker->connection, PQexec(worker->connection, "SET synchronous_commit = off"),
		   PGRES_COMMAND_OK);
	for (int i = 0; i < PARAMETERS; i++)
		types[i] = is_unnest ? array_type(i) : element_type(i);
	statement(sql, sizeof(sql), is_unnest);
	expect(worker->connection,
		   is_spi ? PQprepare(worker->connection, "upsert",
							  "SELECT bench_upserts($1, $2, $3, $4, $5, $6, $7)", 0, NULL) :
		   PQprepare(worker->connection, "upsert", sql, PARAMETERS, types), PGRES_COMMAND_OK);
	if (strcmp(route, "pipeline") == 0 &&
		(!PQenterPipelineMode(worker->connection) || PQsetnonblocking(worker->connection, 1) != 0))
		die("no pipeline");
	if (is_spi)
		return;
	worker->rows = malloc((size_t) worker->batches * batch_rows * sizeof(Row));
	worker->counts = malloc(worker->batches * sizeof(int));
	for (int batch = 0; batch < worker->batches; batch++)
	{
		Row		   *rows = worker->rows + (size_t) batch * batch_rows;

		for (int i = 0; i < batch_rows; i++)
			make_row(&rows[i], seed,
					 ((uint64_t) batch * connections + worker->number) * batch_rows + i, keys,
					 connections, worker->number);
		worker->counts[batch] = sort_rows(rows, batch_rows);
		for (int i = worker->counts[batch] - 1; !is_sorted && i > 0; i--)
		{
			int			other = (int) (next_random(&order) % (uint64_t) (i + 1));
			Row			row = rows[i];

			rows[i] = rows[other];
			rows[other] = row;
		}
	}
}

static int64_t
milliseconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int
main(int count, char **arguments)
{
	Worker	   *workers;
	int64_t		start_ms;
	int64_t		start_used_ms;

	if (count != 10)
		die("usage: upsert CONNINFO TABLE unnest|pipeline|spi SEED ROWS KEYS BATCH CONNECTIONS "
			"sorted|unsorted");
	table = arguments[2];
	route = arguments[3];
	seed = strtoull(arguments[4], NULL, 10);
	keys = strtoll(arguments[6], NULL, 10);
	batch_rows = atoi(arguments[7]);
	connections = atoi(arguments[8]);
	is_sorted = strcmp(arguments[9], "sorted") == 0;
	workers = calloc(connections, sizeof(Worker));
	for (int i = 0; i < connections; i++)
	{
		workers[i].number = i;
		workers[i].batches = (int) (strtoll(arguments[5], NULL, 10) / batch_rows / connections);
		prepare(&workers[i], arguments[1]);
	}
	start_ms = milliseconds(CLOCK_MONOTONIC);
	start_used_ms = milliseconds(CLOCK_PROCESS_CPUTIME_ID);
	for (int i = 0; i < connections; i++)
		if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0)
			die("no thread");
	for (int i = 0; i < connections; i++)
		pthread_join(workers[i].thread, NULL);
	printf("%" PRId64 " %" PRId64 "\n", milliseconds(CLOCK_MONOTONIC) - start_ms,
		   milliseconds(CLOCK_PROCESS_CPUTIME_ID) - start_used_ms);
	for (int i = 0; i < connections; i++)
		PQfinish(workers[i].connection);
	return 0;
}
