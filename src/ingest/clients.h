/*-------------------------------------------------------------------------
 *
 * clients.h
 *		The Kafka clients of one worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_INGEST_CLIENTS_H
#define VENICE_INGEST_CLIENTS_H

#include "kafka/client.h"
#include "nodes/pg_list.h"

#include "ingest/api.h"

/* Who uses a client, and what for. */
typedef struct ClientUse
{
	void	   *user;
	char	   *topic;
	int32		partition;
} ClientUse;

typedef struct IngestClient
{
	MemoryContext context;
	Oid			server_oid;
	Oid			mapping_role;
	bool		has_mapping;
	uint64		fingerprint;	/* of the options that it was opened with */
	KafkaClient *kafka;
	List	   *uses;			/* of ClientUse */
	bool		broken;			/* had a problem: nobody else is to use it */
	TimestampTz heard_time;		/* when a record or an end of a partition last came */
	TimestampTz idle_since;
} IngestClient;

/* All that are open. */
extern List *IngestClients;

/* Counts openings and closings: a wait set that is older does not fit any more. */
extern int	IngestClientsGeneration;

/* Somebody has asked for a client in vain since this was last reset. */
extern bool IngestClientsWanted;

/*
 * A client for one partition of a topic, opened if need be; raises if that
 * fails.  Two users that read one partition never share one: it can be
 * assigned only once.  NULL when there are as many as there may be.
 */
extern IngestClient *IngestClientAcquire(const ServerOptions *options, const char *topic,
										 int32 partition, void *user);

/* The user needs it no more.  Closed when it is broken, or has been idle for a while. */
extern void IngestClientRelease(IngestClient *client, void *user);
extern void IngestClientsCloseIdle(void);
extern void IngestClientsCloseAll(void);

#endif							/* VENICE_INGEST_CLIENTS_H */
