/*-------------------------------------------------------------------------
 *
 * inspect.h
 *		What a backend asks of a process that may talk to Kafka, and the form of
 *		its answer.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_INSPECT_H
#define VENICE_INSPECT_H

#include "storage/shm_mq.h"

#define INSPECT_MAGIC		0x76656e69
#define INSPECT_QUEUE_BYTES (64 * 1024)

/* The worker gives up first, so that it can say why. */
#define INSPECT_WORKER_TIMEOUT_MS	5000
#define INSPECT_TIMEOUT_MS			9000

typedef enum InspectKind
{
	INSPECT_CHECK_SERVER,
	INSPECT_PEEK
} InspectKind;

/* The head of a dynamic shared memory segment; a queue from the worker follows. */
typedef struct InspectRequest
{
	uint32		magic;
	InspectKind kind;
	Oid			database;
	Oid			role;			/* whose user mapping is used */
	char		server[NAMEDATALEN];
	char		topic[250];
	int32		partition;
	int64		start_offset;	/* -1: the beginning */
	int32		max_records;
} InspectRequest;

/*
 * Messages, built with pqformat; the first byte tells which.
 *
 *	CHECK	string part, byte ok, string detail
 *	RECORD	int32 partition, int64 offset, int64 timestamp in ms (-1: none), then
 *			key, value and message (a jsonb): each int32 length (-1: NULL) and bytes
 *	ERROR	string SQLSTATE, string message
 *	DONE
 */
#define INSPECT_MSG_CHECK	'C'
#define INSPECT_MSG_RECORD	'R'
#define INSPECT_MSG_ERROR	'E'
#define INSPECT_MSG_DONE	'D'

/* Where the queue is in the segment. */
static inline shm_mq *
InspectQueue(InspectRequest *request)
{
	return (shm_mq *) ((char *) request + BUFFERALIGN(sizeof(InspectRequest)));
}

#endif							/* VENICE_INSPECT_H */
