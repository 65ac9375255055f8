/*-------------------------------------------------------------------------
 *
 * unit.h
 *		One partition of a topic, while a worker ingests it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_INGEST_UNIT_H
#define VENICE_INGEST_UNIT_H

#include "ingest/batch.h"
#include "ingest/clients.h"
#include "ingest/stream.h"

typedef struct Unit
{
	int			index;			/* in Shared->units */
	uintptr_t	tag;			/* names it to the Kafka client, where it may outlive this struct */
	MemoryContext context;		/* holds everything below */
	char	   *store;
	int			number;			/* of the version; JOINED_VERSIONS */
	int			region;			/* LOAD_REGION, or that of a real-time topic */
	char	   *server;
	char	   *topic;
	int32		partition;		/* -1: find out how many there are */
	Version    *version;		/* NULL: all that have joined */
	ServerOptions *options;
	IngestClient *client;		/* NULL: not yet, or let go */
	BatchTarget target;			/* of a load */
	Stream	   *stream;			/* of a real-time topic */
	PartitionState state;		/* as committed; of a stream, of whom is furthest behind */
	bool		end_requested;

	/* Fetched and not yet written. */
	KafkaRecord *records;
	int			count;
	int			capacity;
	int64		pending_bytes;
	TimestampTz oldest_time;	/* when the first of them came */
	bool		reading;		/* the Kafka client has been told to */
	TimestampTz received_since; /* the first record since then, 0: none yet */
	int64		position;		/* next offset that is of use */
	bool		verifying;		/* the last record that was written is to come once more */
	bool		replaced;		/* and another came in its place */

	int64		high_watermark; /* of the latest answer, -1: none */
	TimestampTz behind_since;	/* there is more than what has come, 0: there is not */
	int64		eof_offset;		/* of the latest end-of-partition event, -1: none */
	bool		end_reached;
	int64		new_end_offset; /* to be written with the next batch, -1: none */
	int			new_partition_count;	/* likewise, 0: none */
	bool		waiting_for_reply;	/* about the end */
	bool		partitions_checked; /* since the end was requested */
	int			partition_count;	/* of a real-time topic, as last asked for; 0: not yet */
	TimestampTz next_partitions_time;
	TimestampTz next_watermarks_time;
	bool		released;		/* to be forgotten by the worker */
} Unit;

/* Begin to work on an entry of Shared->units that is ours. */
extern Unit *UnitCreate(int index);
extern void UnitBegin(Unit *unit);

/* Something has come from Kafka.  A record is the unit's to release. */
extern void UnitReceive(Unit *unit, KafkaEvent *event);

/* When there is something to do without an event; 0: nothing. */
extern TimestampTz UnitDueTime(const Unit *unit);

/* Do it: write what is pending, ask for what is not known, finish. */
extern void UnitProceed(Unit *unit, bool write_now);

/*
 * Let go of it, each for its own reason.  What is pending is dropped: it will
 * be fetched again.
 */
extern void UnitRelease(Unit *unit);	/* asked to, or done */
extern void UnitYield(Unit *unit);	/* if it has nothing to do and a client of its own */
extern void UnitRetry(Unit *unit, const char *error);	/* with a growing delay */
extern void UnitFail(Unit *unit, int sqlstate, const char *error, const char *detail);

/* For error contexts and pg_stat_activity. */
extern char *UnitDescribe(const Unit *unit);

#endif							/* VENICE_INGEST_UNIT_H */
