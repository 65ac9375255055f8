/*-------------------------------------------------------------------------
 *
 * clients.c
 *		The Kafka clients of one worker.
 *
 * A client costs five threads and a connection per broker, so those who
 * reach the same server with the same user mapping share one.
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

/* A unit that retries comes back within this time; then the client is still warm. */
#define IDLE_CLOSE_MS (30 * 1000)

/* Worn by so many partitions that it read once, a client is not used for another. */
#define MAX_PAST_ASSIGNMENTS 32

/* Each costs some twenty file descriptors, of which a process has about a thousand. */
#define MAX_CLIENTS 8

List	   *IngestClients = NIL;
int			IngestClientsGeneration = 0;
bool		IngestClientsWanted = false;

static bool
is_worn(const IngestClient *client)
{
	return KafkaClientPastAssignments(client->kafka) >= MAX_PAST_ASSIGNMENTS;
}

static bool
is_read(const IngestClient *client, const char *topic, int32 partition)
{
	ListCell   *cell;

	foreach(cell, client->uses)
	{
		const ClientUse *use = lfirst(cell);

		if (use->partition == partition && strcmp(use->topic, topic) == 0)
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
	client->fingerprint = options->fingerprint;
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

/* Is there room for one more, perhaps in place of one that nobody uses? */
static bool
make_room(void)
{
	ListCell   *cell;

	if (list_length(IngestClients) < MAX_CLIENTS)
		return true;
	foreach(cell, IngestClients)
	{
		IngestClient *client = lfirst(cell);

		if (client->uses == NIL)
		{
			close_client(client);
			return true;
		}
	}
	return false;
}

IngestClient *
IngestClientAcquire(const ServerOptions *options, const char *topic, int32 partition, void *user)
{
	IngestClient *client = NULL;
	ClientUse  *use;
	MemoryContext old;
	ListCell   *cell;

	foreach(cell, IngestClients)
	{
		IngestClient *candidate = lfirst(cell);

		if (candidate->server_oid == options->server_oid &&
			candidate->mapping_role == options->mapping_role &&
			candidate->has_mapping == options->has_mapping &&
			candidate->fingerprint == options->fingerprint && !candidate->broken &&
			!is_worn(candidate) &&
			!is_read(candidate, topic, partition))
		{
			client = candidate;
			break;
		}
	}
	if (client == NULL && !make_room())
	{
		IngestClientsWanted = true;
		return NULL;
	}
	if (client == NULL)
		client = open_client(options);

	old = MemoryContextSwitchTo(client->context);
	use = palloc(sizeof(ClientUse));
	use->user = user;
	use->topic = pstrdup(topic);
	use->partition = partition;
	client->uses = lappend(client->uses, use);
	MemoryContextSwitchTo(old);
	return client;
}

void
IngestClientRelease(IngestClient *client, void *user)
{
	ListCell   *cell;

	foreach(cell, client->uses)
	{
		ClientUse  *use = lfirst(cell);

		if (use->user != user)
			continue;
		client->uses = foreach_delete_current(client->uses, cell);
		pfree(use->topic);
		pfree(use);
	}
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

		if (client->uses == NIL &&
			(client->broken || is_worn(client) ||
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
