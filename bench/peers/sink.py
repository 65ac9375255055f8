"""Debezium's JDBC sink, from a topic into table "sunk".

sink.py CONNECT_URL TOPIC ROWS LAST_KEYS TASKS FORMAT FORMAT_SOURCE DATABASE_PORT UNNEST REDUCTION [FIRST_KEYS]

FORMAT_SOURCE is json's schema, or the URL of the registry that has avro's.
UNNEST and REDUCTION (true or false) are the sink's own options: one INSERT for
a batch, and one row for a key in a batch.  Prints the milliseconds from the
first row in the table to the last, which are the LAST_KEYS (comma separated).  Where
there are rows from before, the first is one of FIRST_KEYS.  ROWS is how many there are in the end.
"""
import json
import sys
import time
import urllib.request

import psycopg


def request(url, method, body=None):
    request = urllib.request.Request(
        url,
        json.dumps(body).encode() if body else None,
        {"Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or "null")


def json_converter(schema):
    return {
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "true",
        "value.converter.schema.content": schema,
    }


def avro_converter(registry):
    return {
        "value.converter": "io.apicurio.registry.utils.converter.AvroConverter",
        "value.converter.apicurio.registry.url": registry,
        "value.converter.apicurio.registry.as-confluent": "true",
        "value.converter.apicurio.registry.use-id": "contentId",
    }


def check(url, name):
    status = request(f"{url}/connectors/{name}/status", "GET")
    for part in [status["connector"], *status["tasks"]]:
        if part["state"] == "FAILED":
            sys.exit(part["trace"])


def main():
    url, topic, rows, last_keys, tasks, kind, source, port, unnest, reduction, *first = sys.argv[1:]
    first_keys = [int(key) for key in first[0].split(",")] if first else None
    last_keys = [int(key) for key in last_keys.split(",")]
    name = "sink%d" % time.time_ns()
    options = "reWriteBatchedInserts=true&options=-c%20synchronous_commit=off"
    configuration = {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "topics": topic,
        "tasks.max": tasks,
        "connection.url": f"jdbc:postgresql://127.0.0.1:{port}/postgres?{options}",
        "connection.username": "postgres",
        "connection.password": "",
        "collection.name.format": "sunk",
        "schema.evolution": "none",
        "insert.mode": "upsert",
        "delete.enabled": "true",
        "primary.key.mode": "record_key",
        "primary.key.fields": "id",
        # The sink takes no key that is not a struct.
        "transforms": "key",
        "transforms.key.type": "org.apache.kafka.connect.transforms.HoistField$Key",
        "transforms.key.field": "id",
        "batch.size": "5000",
        "use.reduction.buffer": reduction,
        "dialect.postgres.unnest.insert.enabled": unnest,
        **(json_converter(source) if kind == "json" else avro_converter(source)),
        "consumer.override.auto.offset.reset": "earliest",
        "consumer.override.max.poll.records": "5000",
        "consumer.override.fetch.min.bytes": "1000000",
        "consumer.override.max.partition.fetch.bytes": "8000000",
    }
    dsn = f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
    with psycopg.connect(dsn, autocommit=True) as connection:
        request(f"{url}/connectors", "POST", {"name": name, "config": configuration})
        start = None
        checked = time.monotonic()
        while True:
            if start is None:
                if connection.execute(
                    "SELECT FROM sunk WHERE %s::bigint[] IS NULL OR id = ANY(%s) LIMIT 1",
                    (first_keys, first_keys),
                ).fetchone() is not None:
                    start = time.monotonic()
            elif connection.execute(
                "SELECT count(*) FROM sunk WHERE id = ANY(%s)", (last_keys,)
            ).fetchone()[0] == len(last_keys):
                break
            if time.monotonic() > checked + 5:
                check(url, name)
                checked = time.monotonic()
            time.sleep(0.02)
        end = time.monotonic()
        request(f"{url}/connectors/{name}", "DELETE")
        loaded = connection.execute("SELECT count(*) FROM sunk").fetchone()[0]
        if loaded != int(rows):
            sys.exit(f"{loaded} rows were loaded, not {rows}")
    print(round((end - start) * 1000))


main()
