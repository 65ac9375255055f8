"""The tests' Kafka client: one process, one request a line, one answer a line.

    kafka_client.py BOOTSTRAP [--once]

A request is a JSON object with "op" and that operation's arguments (the
methods of Client below); the answer is a JSON object, with "error" when the
request failed.  It ends with its standard input, and with --once after one
request, exiting non-zero when that failed.  One long-lived process keeps a
test from paying an interpreter, a JVM or a connection for each record.

A record is {"key", "value", "partition", "timestamp_ms", "headers"}, each may
be absent; a null value is a tombstone.  Formats of keys and values:

    text              UTF-8 of a string
    hex               the bytes themselves
    json              any JSON value
    int4, int8        big-endian, as Kafka's own serializers write them
    name              what "format" declared: Avro.  {"$bytes": "00ff"} in a
                      datum stands for bytes
"""

import io
import json
import struct
import sys
import time
import urllib.request

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic


def with_bytes(datum):
    """The datum with every {"$bytes": hex} in it replaced by bytes."""
    if isinstance(datum, dict):
        if set(datum) == {"$bytes"}:
            return bytes.fromhex(datum["$bytes"])
        return {name: with_bytes(value) for name, value in datum.items()}
    if isinstance(datum, list):
        return [with_bytes(item) for item in datum]
    return datum


class AvroFormat:
    def __init__(self, schema, prefix):
        self.schema = fastavro.parse_schema(schema)
        self.prefix = prefix

    def encode(self, datum):
        out = io.BytesIO()
        out.write(self.prefix)
        fastavro.schemaless_writer(out, self.schema, with_bytes(datum))
        return out.getvalue()


class Client:
    def __init__(self, bootstrap):
        self.configuration = {"bootstrap.servers": bootstrap, "log_level": 0}
        self.admin = AdminClient(self.configuration)
        self.producers = {}
        self.formats = {
            "text": str.encode,
            "hex": bytes.fromhex,
            "json": lambda value: json.dumps(value).encode(),
            "int4": lambda value: struct.pack(">i", value),
            "int8": lambda value: struct.pack(">q", value),
        }

    def wait(self, seconds):
        """Until the broker can create a topic and store a record: an open port says less."""
        deadline = time.monotonic() + seconds
        topic = "ready_%d" % time.time_ns()
        while True:
            try:
                if self.admin.list_topics(timeout=1).controller_id >= 0:
                    self.topic(topic, 1)
                    self.produce(topic, [{"value": ""}])
                    return self.delete_topic(topic)
            except KafkaException as error:
                if time.monotonic() > deadline:
                    raise
                if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                    topic += "_"
            time.sleep(0.05)

    def topic(self, topic, partitions=1, config=None):
        new = NewTopic(topic, partitions, 1, config=config or {})
        self.admin.create_topics([new], operation_timeout=30)[topic].result()

    def topics(self, topics, partitions=1):
        """Many at once."""
        new = [NewTopic(topic, partitions, 1) for topic in topics]
        for created in self.admin.create_topics(new, operation_timeout=60).values():
            created.result()

    def delete_topic(self, topic):
        self.admin.delete_topics([topic], operation_timeout=30)[topic].result()

    def add_partitions(self, topic, partitions):
        from confluent_kafka.admin import NewPartitions

        self.admin.create_partitions([NewPartitions(topic, partitions)])[topic].result()

    def delete_records(self, topic, partition, before):
        """What retention would do: offsets below "before" are gone."""
        at = TopicPartition(topic, partition, before)
        self.admin.delete_records([at])[at].result()

    def offsets(self, topic):
        """[low, high] of each partition."""
        consumer = Consumer({**self.configuration, "group.id": "tests"})
        try:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            return [
                consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)
                for p in sorted(partitions)
            ]
        finally:
            consumer.close()

    def consume(self, topic):
        """All that is committed in a topic: its records in the order of partitions
        and offsets, keys and values as hexadecimal text, headers as a list of pairs.
        """
        consumer = Consumer(
            {
                **self.configuration,
                "group.id": "tests",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "enable.auto.commit": False,
            }
        )
        try:
            partitions = sorted(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
            consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
            records, left = [], set(partitions)
            while left:
                message = consumer.poll(10)
                if message is None:
                    raise RuntimeError("nothing came for ten seconds")
                if not message.error():
                    records.append(message)
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    left.discard(message.partition())
                else:
                    raise KafkaException(message.error())
            return [
                {
                    "partition": m.partition(),
                    "key": None if m.key() is None else m.key().hex(),
                    "value": None if m.value() is None else m.value().hex(),
                    "headers": [[name, value.decode()] for name, value in m.headers() or []],
                }
                for m in sorted(records, key=lambda m: (m.partition(), m.offset()))
            ]
        finally:
            consumer.close()

    def format(self, name, schema, schema_id=None, registry=None, subject=None):
        """Declare an Avro format: bare, framed with schema_id, or framed with
        the id that the registry gives to the schema under the subject.
        """
        if registry:
            request = urllib.request.Request(
                f"{registry}/subjects/{subject}/versions",
                json.dumps({"schema": json.dumps(schema)}).encode(),
                {"Content-Type": "application/vnd.schemaregistry.v1+json"},
            )
            with urllib.request.urlopen(request, timeout=10) as answer:
                schema_id = json.load(answer)["id"]
        prefix = b"" if schema_id is None else struct.pack(">bI", 0, schema_id)
        self.formats[name] = AvroFormat(schema, prefix).encode
        return schema_id

    def producer(self, transactional):
        if transactional not in self.producers:
            # Each record once and in order, also through a broker that dies meanwhile.
            configuration = {**self.configuration, "linger.ms": 5, "enable.idempotence": True}
            if transactional:
                configuration["transactional.id"] = "tests-%d" % time.time_ns()
            producer = Producer(configuration)
            if transactional:
                producer.init_transactions(30)
            self.producers[transactional] = producer
        return self.producers[transactional]

    def produce(self, topic, records, key="text", value="text", transaction=None):
        """Write records and wait until the broker has them.  "transaction" is
        "commit" or "abort".  Answers how many.
        """
        failures = []

        def delivered(error, _):
            if error:
                failures.append(error)

        producer = self.producer(transaction is not None)
        encode_key, encode_value = self.formats[key], self.formats[value]
        if transaction:
            producer.begin_transaction()
        for record in records:
            arguments = {"on_delivery": delivered}
            if record.get("key") is not None:
                arguments["key"] = encode_key(record["key"])
            if record.get("value") is not None:
                arguments["value"] = encode_value(record["value"])
            if "partition" in record:
                arguments["partition"] = record["partition"]
            if "timestamp_ms" in record:
                arguments["timestamp"] = record["timestamp_ms"]
            if "headers" in record:
                arguments["headers"] = record["headers"]
            while True:
                try:
                    producer.produce(topic, **arguments)
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
        unsent = producer.flush(60)
        if transaction == "commit":
            producer.commit_transaction(30)
        elif transaction == "abort":
            producer.abort_transaction(30)
        if failures or unsent:
            raise RuntimeError(f"{unsent} not sent, {len(failures)} refused: {failures[:1]}")
        return len(records)


def main():
    client = Client(sys.argv[1])
    once = "--once" in sys.argv[2:]
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": getattr(client, request.pop("op"))(**request)}
        except Exception as error:  # whatever it is, the test wants to see it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
        if once:
            sys.exit("error" in answer)


main()
