"""What people write themselves: records of a topic into a table by COPY.

consumer.py BOOTSTRAP TOPIC ROWS PARTITIONS FORMAT SCHEMA PROCESSES DSN

Formats: json; avro, framed with the id of what is taken to be always SCHEMA.
PROCESSES processes share the partitions.  Prints the milliseconds from the
first process's first look for records until all are committed and the table
has its key and statistics, starting Python not counted, and their processor
time in milliseconds.
"""
import io
import json
import multiprocessing
import resource
import struct
import sys
import time

import fastavro
import orjson
import psycopg
from confluent_kafka import Consumer, TopicPartition

BATCH_ROWS = 10000
TYPES = ["int8"] + ["float8"] * 12 + ["int4"] * 5 + ["text"] * 3
FRAME_BYTES = 5


def decoder(kind, schema):
    if kind == "json":
        return orjson.loads
    parsed = fastavro.parse_schema(json.loads(schema))

    def decode(data):
        buffer = io.BytesIO(data)
        buffer.seek(FRAME_BYTES)
        return fastavro.schemaless_reader(buffer, parsed)

    return decode


def consume(bootstrap, topic, rows, partitions, decode, dsn, ready, go):
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "consumer",
            "enable.auto.commit": False,
            "queued.min.messages": 200000,
            "fetch.message.max.bytes": 8 * 1024 * 1024,
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    unpack = struct.Struct(">q").unpack
    with psycopg.connect(dsn, autocommit=True) as connection, connection.cursor() as cursor:
        ready.release()
        go.wait()
        while rows > 0:
            messages = consumer.consume(min(BATCH_ROWS, rows), 1)
            with cursor.copy("COPY consumed FROM STDIN (FORMAT binary)") as copy:
                copy.set_types(TYPES)
                for message in messages:
                    value = decode(message.value())
                    copy.write_row((*unpack(message.key()), *value.values()))
            rows -= len(messages)
    consumer.close()


def main():
    bootstrap, topic, rows, partitions, kind, schema, processes, dsn = sys.argv[1:]
    rows, partitions, processes = int(rows), int(partitions), int(processes)
    decode = decoder(kind, schema)
    ready = multiprocessing.Semaphore(0)
    go = multiprocessing.Event()
    children = []
    for number in range(processes):
        mine = range(number, partitions, processes)
        share = sum(len(range(partition, rows, partitions)) for partition in mine)
        children.append(
            multiprocessing.Process(
                target=consume, args=(bootstrap, topic, share, mine, decode, dsn, ready, go)
            )
        )
    for child in children:
        child.start()
    for child in children:
        ready.acquire()
    start = time.monotonic()
    go.set()
    for child in children:
        child.join()
        if child.exitcode != 0:
            sys.exit(1)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE consumed ADD PRIMARY KEY (id)")
        connection.execute("ANALYZE consumed")
    elapsed = time.monotonic() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(round(elapsed * 1000), round((used.ru_utime + used.ru_stime) * 1000))


main()
