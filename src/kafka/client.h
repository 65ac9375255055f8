/*-------------------------------------------------------------------------
 *
 * client.h
 *		A connection to a Kafka cluster, for reading.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_KAFKA_CLIENT_H
#define VENICE_KAFKA_CLIENT_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/palloc.h"

typedef struct KafkaClient KafkaClient;

/* What went wrong with a connection, a topic or a partition. */
typedef struct KafkaProblem
{
	int			sqlstate;
	bool		transient;		/* may go away by itself */
	char		message[512];
} KafkaProblem;

/* Key and value point into the client's memory until the record is released. */
typedef struct KafkaRecord
{
	int64		offset;
	int64		timestamp_ms;	/* since 1970; -1: the record has none */
	const char *key;
	int			key_bytes;		/* -1: null */
	const char *value;
	int			value_bytes;	/* -1: null */
	void	   *owner;			/* the client's own */
} KafkaRecord;

typedef enum KafkaEventKind
{
	KAFKA_RECORD,
	KAFKA_END_OF_PARTITION,		/* offset: the next record will have this or a later one */
	KAFKA_PARTITION_PROBLEM,
	KAFKA_CLIENT_PROBLEM,		/* brokers, authentication, TLS: concerns all partitions */
	KAFKA_LOG,					/* problem.message is a line for the server log */
	KAFKA_METADATA,				/* the answer to KafkaClientRequestMetadata */
	KAFKA_WATERMARKS,			/* the answer to KafkaClientRequestWatermarks */
	KAFKA_OFFSET				/* the answer to KafkaClientRequestOffset */
} KafkaEventKind;

typedef struct KafkaEvent
{
	KafkaEventKind kind;
	void	   *tag;			/* of the partition's assignment; of the request */
	int32		partition;
	int64		offset;
	KafkaRecord record;
	KafkaProblem problem;		/* sqlstate 0: none */
	int32		partition_count;	/* KAFKA_METADATA; 0: no such topic */
	int64		low_watermark;	/* KAFKA_PARTITION_PROBLEM of an offset */
	int64		high_watermark;
} KafkaEvent;

/*
 * Open a connection; options is a list of ServerOption.  memory_bytes bounds what
 * is fetched ahead.  The client belongs to context and is closed with it.  NULL and
 * *problem when the options are not accepted; an unreachable broker is an event.
 */
extern KafkaClient *KafkaClientOpen(const List *options, const char *client_id,
									int64 memory_bytes, MemoryContext context,
									KafkaProblem *problem);

/* Close at once; records that were not released are released. */
extern void KafkaClientClose(KafkaClient *client);

/* Becomes readable when KafkaClientNext may have an event; KafkaClientNext empties it. */
extern int	KafkaClientEventFd(const KafkaClient *client);

/* The next event; false when there is none now.  Never blocks. */
extern bool KafkaClientNext(KafkaClient *client, KafkaEvent *event);

extern void KafkaRecordRelease(KafkaRecord *record);

/*
 * The value of a record's last header of a name, until the record is released; NULL when
 * there is none.  A null is an empty one.
 */
extern const char *KafkaRecordHeader(const KafkaRecord *record, const char *name, size_t *bytes);

/* Read a partition from an offset; -1: from its beginning.  Events carry the tag. */
extern void KafkaClientAssign(KafkaClient *client, const char *topic, int32 partition,
							  int64 offset, void *tag);

/*
 * How many partitions it has read and does not read any more: each leaves some
 * memory behind in the library, which only closing gives back.
 */
extern int	KafkaClientPastAssignments(const KafkaClient *client);

/* Read it no more.  No event of it follows, not even one that was already fetched. */
extern void KafkaClientUnassign(KafkaClient *client, const char *topic, int32 partition);

/* Ask; the answer is an event with this tag, within ten seconds. */
extern void KafkaClientRequestMetadata(KafkaClient *client, const char *topic, void *tag);
extern void KafkaClientRequestWatermarks(KafkaClient *client, const char *topic, int32 partition,
										 void *tag);

/* Likewise, for the first record of a time or later, in milliseconds since 1970; or the end. */
extern void KafkaClientRequestOffset(KafkaClient *client, const char *topic, int32 partition,
									 int64 time_ms, void *tag);

/* Let Kafka know how far we are, for people's lag tools.  Best effort: not waited for. */
extern void KafkaClientCommit(KafkaClient *client, const char *topic, int32 partition,
							  int64 offset);

/*
 * For producer.c: what one of the library's errors is to us; and a property of a
 * connection that is about to be opened, false and *problem where it is not accepted.
 */
extern void KafkaProblemFill(KafkaProblem *problem, int rd_error, const char *text);
extern bool KafkaSetProperty(void *conf, const char *name, const char *value,
							 KafkaProblem *problem);

/* What the library calls itself, for messages: "librdkafka 2.0.2". */
extern const char *KafkaLibraryVersion(void);

#endif							/* VENICE_KAFKA_CLIENT_H */
