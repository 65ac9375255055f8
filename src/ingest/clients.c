/*-------------------------------------------------------------------------
 *
 * clients.c
 *		The Kafka clients of one worker.
 *
 * A client costs five threads and a connection per broker, so units that reach
 * the same server with the same user mapping share one.
 *
 * Locks: none.
 * Must not know: what is done with the records.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ingest/clients.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "ingest/unit.h"

/* A unit that retries comes back within this time; then the client is still warm. */
#define IDLE_CLOSE_MS (30 * 1000)

List	   *IngestClients = NIL;
int			IngestClientsGeneration = 0;

static bool
reads_same_partition(const IngestClient *client, const Unit *unit)
{
	ListCell   *cell;

	foreach(cell, client->units)
	{
		const Unit *other = lfirst(cell);

		if (other->partition == unit->partition &&
			strcmp(other->version->topic, unit->version->topic) == 0)
			return true;
	}
	return false;
}

static void
close_client(IngestClient *client)
{
	IngestClients = list_delete_ptr(IngestClients, client);
	IngestClientsGeneration++;
	KafkaClientClose(client->kafka);
	MemoryContextDelete(client->context);
}

static IngestClient *
open_client(const ServerOptions *options)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "venice Kafka client",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old;
	IngestClient *client = MemoryContextAllocZero(context, sizeof(IngestClient));
	KafkaProblem problem;

	client->context = context;
	client->server_oid = options->server_oid;
	client->mapping_role = options->mapping_role;
	client->has_mapping = options->has_mapping;
	client->kafka = KafkaClientOpen(options->kafka,
									psprintf("venice-%u-%d", MyDatabaseId, MyProcPid),
									(int64) api->Settings->worker_memory_kb * 1024 / 2, context,
									&problem);
	if (client->kafka == NULL)
	{
		MemoryContextDelete(context);
		ereport(ERROR,
				(errcode(problem.sqlstate), errmsg("%s", problem.message)));
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	IngestClients = lappend(IngestClients, client);
	MemoryContextSwitchTo(old);
	IngestClientsGeneration++;
	return client;
}

IngestClient *
IngestClientAcquire(const ServerOptions *options, Unit *unit)
{
	IngestClient *client = NULL;
	MemoryContext old;
	ListCell   *cell;

	foreach(cell, IngestClients)
	{
		IngestClient *candidate = lfirst(cell);

		if (candidate->server_oid == options->server_oid &&
			candidate->mapping_role == options->mapping_role &&
			candidate->has_mapping == options->has_mapping && !candidate->broken &&
			!reads_same_partition(candidate, unit))
		{
			client = candidate;
			break;
		}
	}
	if (client == NULL)
		client = open_client(options);
	old = MemoryContextSwitchTo(client->context);
	client->units = lappend(client->units, unit);
	MemoryContextSwitchTo(old);
	return client;
}

void
IngestClientRelease(IngestClient *client, Unit *unit)
{
	client->units = list_delete_ptr(client->units, unit);
	client->idle_since = GetCurrentTimestamp();
}

void
IngestClientsCloseIdle(void)
{
	TimestampTz now = GetCurrentTimestamp();
	ListCell   *cell;

	foreach(cell, IngestClients)
	{
		IngestClient *client = lfirst(cell);

		if (client->units == NIL &&
			(client->broken ||
			 TimestampDifferenceExceeds(client->idle_since, now, IDLE_CLOSE_MS)))
		{
			close_client(client);
			break;				/* the list has changed; the others have time */
		}
	}
}

void
IngestClientsCloseAll(void)
{
	while (IngestClients != NIL)
		close_client(linitial(IngestClients));
}
