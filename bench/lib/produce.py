"""Fill a topic with records that are keyed by a big-endian int8, each key once, in no order.

produce.py BOOTSTRAP TOPIC ROWS PARTITIONS FORMAT [REGISTRY]
                               prints the last key of each partition
produce.py schema FORMAT       prints the values' schema, Connect's for json
produce.py register REGISTRY TOPIC FORMAT
                               registers the schema; prints what precedes each value, in hexadecimal digits
produce.py columns             prints the columns of avro and json as SQL has them

Formats: avro and json, 20 columns; narrow, Avro of 4 columns, about 100 bytes a record.
With a schema registry's URL the schema is registered, and Avro framed with its id.
Records go to the partitions in turn.
"""
import io
import json
import random
import struct
import sys
import urllib.request

import fastavro
from confluent_kafka import Producer

WIDE = (
    [("d%d" % i, "double") for i in range(12)]
    + [("i%d" % i, "int") for i in range(5)]
    + [("s%d" % i, "string") for i in range(3)]
)
NARROW = [("a", "double"), ("b", "long"), ("c", "int"), ("s", "string")]

# Narrow records are many: so many different values are enough.
NARROW_VALUES = 10000

# The names that Kafka Connect and SQL have for the types.
CONNECT_TYPES = {"double": "double", "int": "int32", "string": "string"}
SQL_TYPES = {"double": "double precision", "int": "int", "string": "text"}


def schema(kind):
    if kind == "json":
        fields = [{"field": name, "type": CONNECT_TYPES[type_]} for name, type_ in WIDE]
        return {"type": "struct", "optional": False, "fields": fields}
    fields = NARROW if kind == "narrow" else WIDE
    return {
        "type": "record",
        "name": "features",
        "fields": [{"name": name, "type": type_} for name, type_ in fields],
    }


def datum(rng, fields):
    makers = {
        "double": lambda: rng.random() * 1000,
        "long": lambda: rng.randrange(-(10**15), 10**15),
        "int": lambda: rng.randrange(-100000, 100000),
        "string": lambda: "value-%d" % rng.randrange(10000),
    }
    return {name: makers[type_]() for name, type_ in fields}


def register(registry, topic, kind):
    """The frame of the schema: a zero byte and its id."""
    request = urllib.request.Request(
        f"{registry}/subjects/{topic}-value/versions",
        json.dumps({"schema": json.dumps(schema(kind))}).encode(),
        {"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return struct.pack(">bI", 0, json.load(answer)["id"])


def encoder(kind, rng, frame):
    if kind == "json":
        return lambda: json.dumps(datum(rng, WIDE), separators=(",", ":")).encode()
    parsed = fastavro.parse_schema(schema(kind))

    def encode(record):
        out = io.BytesIO()
        out.write(frame)
        fastavro.schemaless_writer(out, parsed, record)
        return out.getvalue()

    if kind == "avro":
        return lambda: encode(datum(rng, WIDE))
    values = [encode({**datum(rng, NARROW), "s": "x" * 70}) for _ in range(NARROW_VALUES)]
    return lambda: rng.choice(values)


def main():
    if sys.argv[1] == "schema":
        print(json.dumps(schema(sys.argv[2])))
        return
    if sys.argv[1] == "register":
        print(register(*sys.argv[2:]).hex())
        return
    if sys.argv[1] == "columns":
        print(", ".join("%s %s" % (name, SQL_TYPES[type_]) for name, type_ in WIDE))
        return
    bootstrap, topic, rows, partitions, kind, *registry = sys.argv[1:]
    rows, partitions = int(rows), int(partitions)
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 50,
            "batch.size": 1000000,
            "queue.buffering.max.messages": 1000000,
        }
    )
    rng = random.Random(7)
    encode = encoder(kind, rng, register(*registry, topic, kind) if registry else b"")
    keys = list(range(rows))
    rng.shuffle(keys)
    for number, key in enumerate(keys):
        while True:
            try:
                producer.produce(
                    topic,
                    key=struct.pack(">q", key),
                    value=encode(),
                    partition=number % partitions,
                )
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()
    print(*keys[-partitions:], sep=",")


main()
