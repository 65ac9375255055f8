"""What people write themselves: records of a topic into a table by COPY.

consumer.py BOOTSTRAP TOPIC ROWS PARTITIONS PROCESSES DSN

PROCESSES processes share the partitions.  Prints the milliseconds from the
first process's first look for records until all are committed and the table
has its key and statistics; starting Python is not counted.
"""
import multiprocessing
import struct
import sys
import time

import orjson
import psycopg
from confluent_kafka import Consumer, TopicPartition

BATCH_ROWS = 10000
TYPES = ["int8"] + ["float8"] * 12 + ["int4"] * 5 + ["text"] * 3


def consume(bootstrap, topic, rows, partitions, dsn, ready, go):
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
                    value = orjson.loads(message.value())
                    copy.write_row((*unpack(message.key()), *value.values()))
            rows -= len(messages)
    consumer.close()


def main():
    bootstrap, topic, rows, partitions, processes, dsn = sys.argv[1:]
    rows, partitions, processes = int(rows), int(partitions), int(processes)
    ready = multiprocessing.Semaphore(0)
    go = multiprocessing.Event()
    children = []
    for number in range(processes):
        mine = range(number, partitions, processes)
        share = sum(len(range(partition, rows, partitions)) for partition in mine)
        children.append(
            multiprocessing.Process(
                target=consume, args=(bootstrap, topic, share, mine, dsn, ready, go)
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
    print(round((time.monotonic() - start) * 1000))


main()
