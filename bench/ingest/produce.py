"""produce.py BOOTSTRAP TOPIC ROWS: records of 20 columns as plain Avro, keyed by a big-endian int8."""
import io
import random
import struct
import sys

import fastavro
from confluent_kafka import Producer

FIELDS = (
    [("d%d" % i, "double") for i in range(12)]
    + [("i%d" % i, "int") for i in range(5)]
    + [("s%d" % i, "string") for i in range(3)]
)
SCHEMA = {
    "type": "record",
    "name": "features",
    "fields": [{"name": name, "type": kind} for name, kind in FIELDS],
}


def main():
    if len(sys.argv) == 2 and sys.argv[1] == "schema":
        import json

        print(json.dumps(SCHEMA))
        return
    bootstrap, topic, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
    schema = fastavro.parse_schema(SCHEMA)
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 50,
            "batch.size": 1000000,
            "queue.buffering.max.messages": 1000000,
            "partitioner": "murmur2_random",
        }
    )
    rng = random.Random(7)
    keys = list(range(rows))
    rng.shuffle(keys)
    for key in keys:
        record = {}
        for name, kind in FIELDS:
            if kind == "double":
                record[name] = rng.random() * 1000
            elif kind == "int":
                record[name] = rng.randrange(-100000, 100000)
            else:
                record[name] = "value-%d" % rng.randrange(10000)
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, record)
        while True:
            try:
                producer.produce(topic, key=struct.pack(">q", key), value=out.getvalue())
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()


main()
