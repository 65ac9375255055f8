/*
 * Look-ups with libpq.
 *
 *		libpq_client CONNECTION [pooled]
 *
 * For each line of standard input prints what the store user_features answers: "look" does
 * every kind of look-up, "star" a statement that names no columns.  With "pooled" nothing is
 * prepared by name, as pgbouncer before 1.21 wants it.
 */
#include <arpa/inet.h>
#include <libpq-fe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char get_sql[] = "SELECT clicks, country, embedding FROM user_features.get($1)";
static const char batch_get_sql[] =
	"SELECT ordinality, user_id, clicks, country, embedding FROM user_features.batch_get($1)";
static const char batch_get_packed_sql[] = "SELECT user_features.batch_get_packed($1)";
static const char star_sql[] = "SELECT * FROM user_features.get($1)";

static PGconn *connection;
static int	pooled;

/* One statement with one parameter, as text; an answer in binary where wanted. */
static PGresult *
run(const char *name, const char *sql, const char *parameter, int binary)
{
	static const char *prepared[8];
	int			i;

	if (pooled)
		return PQexecParams(connection, sql, 1, NULL, &parameter, NULL, NULL, binary);
	for (i = 0; prepared[i] && strcmp(prepared[i], name) != 0; i++)
		;
	if (!prepared[i])
	{
		PGresult   *result = PQprepare(connection, name, sql, 1, NULL);

		if (PQresultStatus(result) != PGRES_COMMAND_OK)
			return result;
		PQclear(result);
		prepared[i] = name;
	}
	return PQexecPrepared(connection, name, 1, &parameter, NULL, NULL, binary);
}

/* Was it refused?  Then says how. */
static int
failed(PGresult *result)
{
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		return 0;
	if (!PQresultErrorField(result, PG_DIAG_SQLSTATE))
	{
		fputs(PQerrorMessage(connection), stderr);
		exit(1);
	}
	printf("error: %s\n", PQresultErrorField(result, PG_DIAG_SQLSTATE));
	return 1;
}

static void
print_row(PGresult *result, int row, int column)
{
	const char *embedding = PQgetvalue(result, row, column + 2);

	printf("%s %s ", PQgetvalue(result, row, column), PQgetvalue(result, row, column + 1));
	if (PQgetisnull(result, row, column + 2))
		printf("null");
	else
		printf("%.*s", (int) strlen(embedding) - 2, embedding + 1);
}

static void
print_get(PGresult *result)
{
	if (PQntuples(result) == 0)
		printf("absent");
	else
		print_row(result, 0, 0);
}

static int
get(const char *key)
{
	PGresult   *result = run("get", get_sql, key, 0);
	int			ok = !failed(result);

	if (ok)
		print_get(result);
	PQclear(result);
	return ok;
}

static int
batch_get(const char *keys)
{
	PGresult   *result = run("batch_get", batch_get_sql, keys, 0);
	int			ok = !failed(result);

	for (int i = 0; ok && i < PQntuples(result); i++)
	{
		printf("%s%s %s ", i > 0 ? "; " : "", PQgetvalue(result, i, 0), PQgetvalue(result, i, 1));
		print_row(result, i, 2);
	}
	PQclear(result);
	return ok;
}

/* Big-endian numbers of an answer. */
static int16_t
read_int16(const char **p)
{
	uint16_t	n;

	memcpy(&n, *p, sizeof n);
	*p += sizeof n;
	return (int16_t) ntohs(n);
}

static int32_t
read_int32(const char **p)
{
	uint32_t	n;

	memcpy(&n, *p, sizeof n);
	*p += sizeof n;
	return (int32_t) ntohl(n);
}

static int64_t
read_int64(const char **p)
{
	uint64_t	high = (uint32_t) read_int32(p);

	return (int64_t) (high << 32 | (uint32_t) read_int32(p));
}

static float
read_float(const char **p)
{
	int32_t		bits = read_int32(p);
	float		value;

	memcpy(&value, &bits, sizeof value);
	return value;
}

/* One-dimensional: dimensions, has nulls, type, length, lower bound, elements. */
static void
print_floats(const char *p)
{
	if (read_int32(&p) > 0)
	{
		int			length;

		p += 8;
		length = read_int32(&p);
		p += 4;
		for (int i = 0; i < length; i++)
		{
			p += 4;
			printf("%s%g", i > 0 ? "," : "", read_float(&p));
		}
	}
}

static int
batch_get_packed(const char *keys)
{
	PGresult   *result = run("batch_get_packed", batch_get_packed_sql, keys, 1);
	int			ok = !failed(result);

	if (ok)
	{
		const char *p = PQgetvalue(result, 0, 0) + 19;	/* behind signature, flags, extension */
		const char *separator = "";
		int			fields;

		for (; (fields = read_int16(&p)) != -1; separator = "; ")
		{
			printf("%s%s", separator, fields == 0 ? "absent" : "");
			for (int i = 0; i < fields; i++)
			{
				int			length = read_int32(&p);
				const char *value = p;

				p += length > 0 ? length : 0;
				if (i == 0)
					printf("%lld ", (long long) read_int64(&value));
				else if (i == 1)
					printf("%.*s ", length, value);
				else if (i == 2 && length < 0)
					printf("null");
				else if (i == 2)
					print_floats(value);	/* what is behind, a later version has added */
			}
		}
	}
	PQclear(result);
	return ok;
}

/* Gets that wait for one another's answers only at the end. */
static int
get_many(const char *const *keys, int count)
{
	int			ok = 1;
	PGresult   *result;

	PQenterPipelineMode(connection);
	for (int i = 0; i < count; i++)
	{
		if (pooled)
			PQsendQueryParams(connection, get_sql, 1, NULL, &keys[i], NULL, NULL, 0);
		else
			PQsendQueryPrepared(connection, "get", 1, &keys[i], NULL, NULL, 0);
	}
	PQpipelineSync(connection);
	for (int i = 0; i < count; i++)
	{
		result = PQgetResult(connection);
		if (ok && (ok = !failed(result)))
		{
			printf("%s", i > 0 ? "; " : "");
			print_get(result);
		}
		PQclear(result);
		PQgetResult(connection);	/* NULL ends each statement's results */
	}
	PQclear(PQgetResult(connection));	/* PGRES_PIPELINE_SYNC */
	PQexitPipelineMode(connection);
	return ok;
}

static int
look(void)
{
	static const char *const keys[] = {"4", "99", "1"};
	static const char array[] = "{4,99,1}";

	printf("get: ");
	for (int i = 0; i < 3; i++)
	{
		if (!get(keys[i]))
			return 0;
		printf(i < 2 ? "; " : "\nbatch: ");
	}
	if (!batch_get(array))
		return 0;
	printf("\npacked: ");
	if (!batch_get_packed(array))
		return 0;
	printf("\npipeline: ");
	if (!get_many(keys, 3))
		return 0;
	printf("\n");
	return 1;
}

/* What a driver does for you: prepared anew where the columns have changed. */
static int
star(void)
{
	PGresult   *result = run("star", star_sql, "4", 0);
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	int			ok;

	if (sqlstate && strcmp(sqlstate, "0A000") == 0)
	{
		PQclear(result);
		PQclear(PQexec(connection, "DEALLOCATE star"));
		PQclear(PQprepare(connection, "star", star_sql, 1, NULL));
		result = run("star", star_sql, "4", 0);
	}
	ok = !failed(result);
	if (ok)
		printf("%d columns\n", PQnfields(result));
	PQclear(result);
	return ok;
}

int
main(int argc, char **argv)
{
	char		line[16];

	connection = PQconnectdb(argc > 1 ? argv[1] : "");
	pooled = argc > 2;
	if (PQstatus(connection) != CONNECTION_OK)
	{
		fputs(PQerrorMessage(connection), stderr);
		return 1;
	}
	while (fgets(line, sizeof line, stdin))
	{
		if (strcmp(line, "look\n") == 0)
			look();
		else
			star();
		printf("end\n");
		fflush(stdout);
	}
	PQfinish(connection);
	return 0;
}
