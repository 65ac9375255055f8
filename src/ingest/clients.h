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

struct Unit;

typedef struct IngestClient
{
	MemoryContext context;
	Oid			server_oid;
	Oid			mapping_role;
	bool		has_mapping;
	KafkaClient *kafka;
	List	   *units;			/* of Unit; those that use it */
	bool		broken;			/* had a problem: nobody else is to use it */
	TimestampTz idle_since;
} IngestClient;

/* All that are open. */
extern List *IngestClients;

/* Counts openings and closings: a wait set that is older does not fit any more. */
extern int	IngestClientsGeneration;

/*
 * A client for the unit, opened if need be; raises if that fails.  Two units
 * that read one partition never share one: it can be assigned only once.
 */
extern IngestClient *IngestClientAcquire(const ServerOptions *options, struct Unit *unit);

/* The unit needs it no more.  Closed when it is broken, or has been idle for a while. */
extern void IngestClientRelease(IngestClient *client, struct Unit *unit);
extern void IngestClientsCloseIdle(void);
extern void IngestClientsCloseAll(void);

#endif							/* VENICE_INGEST_CLIENTS_H */
