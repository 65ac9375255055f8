/*
 * mock_cluster.c
 *		A Kafka cluster that misbehaves on command: librdkafka's own mock brokers.
 *
 *	mock_cluster BROKERS
 *
 * Prints its bootstrap address, then answers each line of standard input with
 * "ok" or what is wrong with it, and ends with its standard input.  Brokers are
 * numbered from 1; -1 means all of them, or no leader.
 *
 *	topic NAME PARTITIONS
 *	leader TOPIC PARTITION BROKER		without waiting for clients to notice
 *	follower TOPIC PARTITION BROKER		where consumers are sent to
 *	follower_end TOPIC PARTITION OFFSET	it has no more than that; -1: all
 *	down BROKER | up BROKER
 *	rtt BROKER MILLISECONDS				every answer takes so long
 *	topic_error TOPIC ERROR				of every answer about metadata; 0: none
 *	errors REQUEST ERROR COUNT			the next COUNT requests of a kind fail
 *
 * REQUEST and ERROR are numbers of the Kafka protocol, ERROR -195 closes the
 * connection.  The mock keeps 5 MiB of a partition, and delivers what producers
 * have aborted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#define MAX_WORDS 4

/* One command, its words separated by spaces; returns an error, or NULL. */
static const char *
perform(rd_kafka_mock_cluster_t *cluster, char *line)
{
	char	   *words[MAX_WORDS];
	int			count = 0;
	int			last;
	rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;

	for (char *word = strtok(line, " \n"); word != NULL && count < MAX_WORDS;
		 word = strtok(NULL, " \n"))
		words[count++] = word;
	if (count < 2)
		return "a command and its arguments are needed";
	last = atoi(words[count - 1]);

	if (strcmp(words[0], "topic") == 0 && count == 3)
		error = rd_kafka_mock_topic_create(cluster, words[1], last, 1);
	else if (strcmp(words[0], "leader") == 0 && count == 4)
		error = rd_kafka_mock_partition_set_leader(cluster, words[1], atoi(words[2]), last);
	else if (strcmp(words[0], "follower") == 0 && count == 4)
		error = rd_kafka_mock_partition_set_follower(cluster, words[1], atoi(words[2]), last);
	else if (strcmp(words[0], "follower_end") == 0 && count == 4)
		error = rd_kafka_mock_partition_set_follower_wmarks(cluster, words[1], atoi(words[2]), -1,
															last);
	else if (strcmp(words[0], "down") == 0)
		error = rd_kafka_mock_broker_set_down(cluster, last);
	else if (strcmp(words[0], "up") == 0)
		error = rd_kafka_mock_broker_set_up(cluster, last);
	else if (strcmp(words[0], "rtt") == 0 && count == 3)
		error = rd_kafka_mock_broker_set_rtt(cluster, atoi(words[1]), last);
	else if (strcmp(words[0], "topic_error") == 0 && count == 3)
		rd_kafka_mock_topic_set_error(cluster, words[1], last);
	else if (strcmp(words[0], "errors") == 0 && count == 4)
		while (last-- > 0)
			rd_kafka_mock_push_request_errors(cluster, atoi(words[1]), 1, atoi(words[2]));
	else
		return "unknown command";
	return error != RD_KAFKA_RESP_ERR_NO_ERROR ? rd_kafka_err2str(error) : NULL;
}

int
main(int argc, char **argv)
{
	char		line[512];
	rd_kafka_t *handle;
	rd_kafka_mock_cluster_t *cluster;

	if (argc != 2)
	{
		fprintf(stderr, "usage: mock_cluster BROKERS\n");
		return 2;
	}
	/* It wants a handle, for its threads and its log; any will do. */
	handle = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), line, sizeof(line));
	if (handle == NULL)
	{
		fprintf(stderr, "mock_cluster: %s\n", line);
		return 1;
	}
	cluster = rd_kafka_mock_cluster_new(handle, atoi(argv[1]));
	if (cluster == NULL)
	{
		fprintf(stderr, "mock_cluster: no cluster of %s brokers\n", argv[1]);
		return 1;
	}
	printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
	fflush(stdout);

	while (fgets(line, sizeof(line), stdin) != NULL)
	{
		const char *error = perform(cluster, line);

		printf("%s\n", error != NULL ? error : "ok");
		fflush(stdout);
	}
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(handle);
	return 0;
}
