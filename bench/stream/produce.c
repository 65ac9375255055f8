/*-------------------------------------------------------------------------
 *
 * produce.c
 *		The rows of rows.h as Avro records of a topic, keyed by a big-endian int8.
 *
 *		produce BOOTSTRAP TOPIC PARTITIONS SEED ROWS KEYS RATE [FRAME]
 *
 * A key's records go to one partition.  SEED 0 is each key once, in order; others
 * are upserts of random keys, and each partition begins and ends with a record of a
 * negative key, so that one sees what has come of them: -1000 * SEED - PARTITION, and that
 * less 500.  RATE is records a second, 0: as fast as can be.  d0 is
 * the time of production, in seconds since 1970, where there is a rate.  FRAME is what
 * precedes each value, in hexadecimal digits.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <endian.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "rows.h"

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
set(rd_kafka_conf_t *settings, const char *name, const char *value)
{
	char		error[500];

	if (rd_kafka_conf_set(settings, name, value, error, sizeof(error)) != RD_KAFKA_CONF_OK)
		die("%s", error);
}

static void
on_delivery(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
	if (message->err)
		die("%s", rd_kafka_err2str(message->err));
}

static char *
put_varint(char *out, int64_t number)
{
	uint64_t	bits = (uint64_t) number << 1 ^ (uint64_t) (number >> 63);

	for (; bits >= 128; bits >>= 7)
		*out++ = (char) (bits | 128);
	*out++ = (char) bits;
	return out;
}

static char *
put_record(char *out, const Row *row)
{
	memcpy(out, row->doubles, sizeof(row->doubles));
	out += sizeof(row->doubles);
	for (int i = 0; i < INTS; i++)
		out = put_varint(out, row->ints[i]);
	for (int i = 0; i < STRINGS; i++)
	{
		int			length = (int) strlen(row->strings[i]);

		out = put_varint(out, length);
		memcpy(out, row->strings[i], length);
		out += length;
	}
	return out;
}

static double
now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double) time.tv_sec + (double) time.tv_nsec / 1e9;
}

static void
produce(rd_kafka_t *handle, rd_kafka_topic_t *topic, int partition, char *value, int frame_bytes,
		const Row *row)
{
	uint64_t	key = htobe64((uint64_t) row->key);
	char	   *end = put_record(value + frame_bytes, row);

	while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, value, end - value, &key, 8,
							NULL) != 0)
		rd_kafka_poll(handle, 100);
}

int
main(int count, char **arguments)
{
	rd_kafka_conf_t *settings = rd_kafka_conf_new();
	rd_kafka_t *handle;
	rd_kafka_topic_t *topic;
	char		error[500];
	char		value[1000];
	int			frame_bytes = 0;
	int			partitions;
	uint64_t	seed;
	int64_t		rows;
	int64_t		keys;
	double		rate;
	double		start;

	if (count < 8)
		die("usage: produce BOOTSTRAP TOPIC PARTITIONS SEED ROWS KEYS RATE [FRAME]");
	partitions = atoi(arguments[3]);
	seed = strtoull(arguments[4], NULL, 10);
	rows = strtoll(arguments[5], NULL, 10);
	keys = strtoll(arguments[6], NULL, 10);
	rate = atof(arguments[7]);
	for (const char *digits = count > 8 ? arguments[8] : ""; *digits != '\0'; digits += 2)
		sscanf(digits, "%2hhx", (unsigned char *) &value[frame_bytes++]);

	set(settings, "bootstrap.servers", arguments[1]);
	set(settings, "linger.ms", rate > 0 ? "1" : "20");
	set(settings, "batch.size", "1000000");
	set(settings, "queue.buffering.max.messages", "1000000");
	rd_kafka_conf_set_dr_msg_cb(settings, on_delivery);
	handle = rd_kafka_new(RD_KAFKA_PRODUCER, settings, error, sizeof(error));
	if (handle == NULL)
		die("%s", error);
	topic = rd_kafka_topic_new(handle, arguments[2], NULL);
	start = now(CLOCK_MONOTONIC);
	for (int64_t i = 0; i < rows; i++)
	{
		int			partition = (int) (i % partitions);
		Row			row;

		make_row(&row, seed, (uint64_t) i, keys, partitions, partition);
		if (seed == 0)
			row.key = i;
		while (rate > 0 && now(CLOCK_MONOTONIC) < start + (double) i / rate)
			rd_kafka_poll(handle, 1);
		if (rate > 0)
			row.doubles[0] = now(CLOCK_REALTIME);
		if (seed > 0 && (i < partitions || i >= rows - partitions))
			row.key = -1000 * (int64_t) seed - partition - (i < partitions ? 0 : 500);
		produce(handle, topic, partition, value, frame_bytes, &row);
		if (i % 1000 == 0)
			rd_kafka_poll(handle, 0);
	}
	if (rd_kafka_flush(handle, 600000) != RD_KAFKA_RESP_ERR_NO_ERROR)
		die("not all records were delivered");
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(handle);
	return 0;
}
