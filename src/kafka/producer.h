/*-------------------------------------------------------------------------
 *
 * producer.h
 *		A connection to a Kafka cluster, for writing batches in transactions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_KAFKA_PRODUCER_H
#define VENICE_KAFKA_PRODUCER_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/palloc.h"

#include "kafka/client.h"

typedef struct KafkaProducer KafkaProducer;

#define KAFKA_MAX_HEADERS	2

typedef struct KafkaHeader
{
	const char *name;
	const char *value;			/* NUL-terminated text */
} KafkaHeader;

/* A record to be written; partition -1: the one that the key belongs to, -2: each. */
typedef struct KafkaOutRecord
{
	int32		partition;
	const char *key;			/* NULL: null */
	int			key_bytes;
	const char *value;
	int			value_bytes;
	int			header_count;
	KafkaHeader headers[KAFKA_MAX_HEADERS];
} KafkaOutRecord;

#define KAFKA_BY_KEY			(-1)
#define KAFKA_EACH_PARTITION	(-2)

typedef enum KafkaProducerEventKind
{
	PRODUCER_STARTED,			/* batch: the last one that was delivered, 0: none */
	PRODUCER_DELIVERED,			/* batch: which */
	PRODUCER_PROBLEM,			/* it is of no more use: close it */
	PRODUCER_LOG				/* problem.message is a line for the server log */
} KafkaProducerEventKind;

typedef struct KafkaProducerEvent
{
	KafkaProducerEventKind kind;
	int64		batch;
	KafkaProblem problem;
} KafkaProducerEvent;

/*
 * Open a connection for one topic; options is a list of ServerOption.  name is the
 * transactional id, and that of the group whose offset of the topic's partition 0 is the
 * number of the last batch: whoever opens it with the same name puts an end to the one
 * before.  It belongs to context and is closed with it.  NULL and *problem when the options
 * are not accepted.  The first event is PRODUCER_STARTED, or a problem within half a minute:
 * 42704 when there is no such topic.
 */
extern KafkaProducer *KafkaProducerOpen(const List *options, const char *client_id,
										const char *name, const char *topic,
										MemoryContext context, KafkaProblem *problem);

/* Close, within a second; what was not committed never was. */
extern void KafkaProducerClose(KafkaProducer *producer);

/* Becomes readable when KafkaProducerNext may have an event; KafkaProducerNext empties it. */
extern int	KafkaProducerEventFd(const KafkaProducer *producer);

/* The next event; false when there is none now.  Never blocks. */
extern bool KafkaProducerNext(KafkaProducer *producer, KafkaProducerEvent *event);

/*
 * Write a batch: all of its records and its number, or nothing.  One at a time, after
 * PRODUCER_STARTED or the last one's PRODUCER_DELIVERED, which is answered within half a
 * minute, or a problem is; then it may have been delivered all the same.  The records are
 * copied.
 */
extern void KafkaProducerSend(KafkaProducer *producer, int64 batch,
							  const KafkaOutRecord *records, int count);

#endif							/* VENICE_KAFKA_PRODUCER_H */
