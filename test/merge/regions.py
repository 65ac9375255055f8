#!/usr/bin/env python3
"""regions.py CONNINFO BOOTSTRAP PREFIX SEED KEYS: topics bring the same writes to several stores, in whatever order: the same bytes.

For each way to resolve conflicts by time there are stores that are written to from three regions. Each gets the same writes,
each in its region, and each in an order, in partitions, in batches and in turns of its own; one by patches alone, one while
it is pushed anew, one with its times in headers and one as the records' times. Rows, tombstones and what is known of when
they were written must be the same bytes in all, and the very bytes that the models say.

By field the model is that of converge.py; by row a row is what was written last, a deletion before what came with it, and of
two rows of one time the one with the larger hash.
"""

import json
import random
import struct
import sys
import time

import psycopg
from psycopg import sql
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from converge import Row, argument, random_write

REGIONS = 3
COLUMNS = "name text, tags text[], attrs jsonb"
BASE = {"name": "base", "tags": ["a", "b", "a"], "attrs": {"a": 1, "b": 2}}

# Partitions, records to a batch, turns that the regions take, patches alone, times in headers, pushed anew meanwhile.
STORES = ((1, 1000, 1, False, True, False), (4, 7, 1, False, False, False), (3, 1, 6, False, True, False),
          (2, 100, 3, True, False, False), (3, 30, 4, False, True, True))


def integers(form, *values):
    return struct.pack(">" + form, *values)


def members(merged, is_map):
    """Each with its time; who it is only where the value does not tell."""
    out = integers("i", len(merged))
    for at, identity in merged:
        out += integers("q", at) + (b"" if not is_map else integers("bi", 0, len(identity)) + identity.encode())
    return out


def field_metadata(row):
    """What column _meta says of a row, or of a deleted one."""
    out = integers("bi", 2, 3) + integers("qb", row.name.time, row.name.deleted)
    for field in (row.tags, row.attrs):
        merged = sorted((at, identity) for identity, (at, _) in field.added.items())
        removed = sorted((at, identity) for identity, at in field.removed.items())
        out += integers("qi", field.put_time, field.region) + members(merged, field.is_map) + members(removed, True)
    return out


def base_row():
    row = Row()
    row.exists = True
    row.name.value = BASE["name"]
    row.tags.whole = [(member, None) for member in BASE["tags"]]
    row.attrs.whole = list(BASE["attrs"].items())
    return row


def by_field(writes, has_base):
    row = base_row() if has_base else Row()
    for write in writes:
        row.apply(write)
    untouched = all(time == 0 for time in (row.name.time, row.tags.put_time, row.attrs.put_time)) and \
        not any((row.tags.added, row.tags.removed, row.attrs.added, row.attrs.removed))
    return row.value(), None if untouched else field_metadata(row)


class Whole:
    """Values are compared by the hash of the bytes that they came in, as Java's ByteBuffer has it."""

    @staticmethod
    def hash(text):
        total = 1
        for byte in reversed(text.encode()):
            total = (31 * total + (byte - 256 if byte > 127 else byte)) & 0xFFFFFFFF
        return total - (1 << 32) if total >> 31 else total

    def __call__(self, writes, has_base):
        if not writes:
            return (tuple(BASE.values()) if has_base else None), None
        last = max(writes, key=lambda w: (w["time"], w["kind"] == "delete", w["kind"] == "put" and self.hash(value(w))))
        if last["kind"] == "delete":
            return None, integers("bqi", 1, last["time"], 0)
        row = json.loads(value(last))
        return (row["name"], row["tags"], row["attrs"]), integers("bqi", 1, last["time"], self.hash(value(last)))


def value(write):
    return json.dumps({name: argument(name, what) for name, what in write["fields"].items()})


def make_writes(rng, keys, policy):
    """Of each key some; all in the last hour, a millisecond apart or at one time."""
    start = int(time.time() - 3600) * 1000
    writes = []
    for key in range(keys):
        times = {"whole": set()}
        for _ in range(rng.randrange(10)):
            write = random_write(rng, times, REGIONS)
            while policy == "row" and write["kind"] == "update":
                write = random_write(rng, times, REGIONS)
            writes.append({**write, "key": key, "time": (start + write["time"]) * 1000})
    return writes


class Server:
    """And a broker, with topics of a prefix."""

    def __init__(self, cursor, bootstrap, prefix):
        self.cursor, self.prefix = cursor, prefix
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        self.producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5})

    def ask(self, query, arguments=None):
        self.cursor.execute(query, arguments)
        return self.cursor.fetchall()

    def wait(self, query, arguments, expected):
        deadline = time.monotonic() + 60
        while (found := self.ask(query, arguments)) != expected:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{query} {arguments}: {found}, not {expected}")
            time.sleep(0.05)

    def create(self, store, policy, partitions, by_patches):
        topics = [f"{self.prefix}_{store}_{region}" for region in range(REGIONS)]
        for created in self.admin.create_topics([NewTopic(topic, partitions, 1) for topic in topics]).values():
            created.result()
        options = {"key_format": "text", "value_format": "json", "conflict_resolution": policy, "rewind": "1 day",
                   "write_mode": "partial" if by_patches else "full",
                   "real_time_topics": [{"server": "k", "topic": topic} for topic in topics]}
        self.ask("SELECT venice.create_store(%s, 'id int', %s, NULL, %s)", (store, COLUMNS, json.dumps(options)))

    def push(self, store, keys):
        self.ask("SELECT venice.push(%s, %s)",
                 (store, f"SELECT g, 'base', '{{a,b,a}}'::text[], '{json.dumps(BASE['attrs'])}'::jsonb FROM generate_series(0, {keys - 1}, 3) g"))

    def produce(self, store, partitions, region, writes, by_patches, with_headers):
        for write in writes:
            arguments = {"key": str(write["key"]), "partition": write["key"] % partitions, "headers": {}}
            if write["kind"] != "delete":
                arguments["value"] = value(write)
            if write["kind"] == "update" and not by_patches:
                arguments["headers"]["venice_operation"] = "update"
            if with_headers:
                arguments["headers"]["venice_logical_time"] = str(write["time"])
            else:
                arguments["timestamp"] = write["time"] // 1000
            self.producer.produce(f"{self.prefix}_{store}_{region}", **arguments)
        if self.producer.flush(60):
            raise RuntimeError("records were not sent")

    def wait_until_read(self, store, count):
        self.wait("SELECT DISTINCT sum(kafka_offset)::int, bool_and(last_error IS NULL)::int FROM venice.stat_ingestion "
                  "WHERE store = %s GROUP BY version", (store,), [(count, 1)])

    def rows(self, store, schema):
        rejected = self.ask("SELECT version, error FROM venice.rejected_records WHERE store = %s LIMIT 3", (store,))
        if rejected:
            raise RuntimeError(f"rejected: {rejected}")
        return {row[0]: row[1:] for row in self.ask(
            f"SELECT id, true, records::text, name, tags, attrs, _meta FROM {schema}.records "
            f"UNION ALL SELECT id, false, NULL, NULL, NULL, NULL, _meta FROM {schema}.tombstones")}


def fill(server, rng, policy, number, writes, keys):
    """One store, and the schemas of its versions."""
    partitions, batch_rows, turns, by_patches, with_headers, anew = STORES[number]
    by_patches = by_patches and policy == "field"
    store = f"{policy}_{number}"
    server.create(store, policy, partitions, by_patches)
    server.push(store, keys)
    server.wait("SELECT state FROM venice.versions WHERE store = %s AND version = 1", (store,), [("current",)])
    server.cursor.execute(f"ALTER SYSTEM SET venice.batch_rows = {batch_rows}")
    server.ask("SELECT pg_reload_conf()")
    order = writes[:]
    rng.shuffle(order)
    done = 0
    for turn in range(turns):
        of_turn = order[turn * len(order) // turns:(turn + 1) * len(order) // turns]
        server.ask("SELECT venice.pause_ingestion(%s)", (store,))
        for region in rng.sample(range(REGIONS), REGIONS):
            of_region = [write for write in of_turn if write["region"] == region]
            server.produce(store, partitions, region, of_region, by_patches, with_headers)
        if anew and turn == turns // 2:
            server.push(store, keys)
        server.ask("SELECT venice.resume_ingestion(%s)", (store,))
        done += len(of_turn)
        # What comes meanwhile lies in larger batches, and more of it is at hand at once.
        if turn == turns - 1 or rng.random() < 0.5:
            server.wait_until_read(store, done)
    if anew:
        server.wait("SELECT state FROM venice.versions WHERE store = %s AND version = 2", (store,), [("current",)])
    server.wait_until_read(store, done)
    return [store, f"{store}_v1"] if anew else [store]


def main():
    (conninfo, bootstrap, prefix), seed, keys = sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
    rng = random.Random(seed)
    compared = wrong = 0
    with psycopg.connect(conninfo, autocommit=True) as connection, connection.cursor() as cursor:
        server = Server(cursor, bootstrap, prefix)
        cursor.execute(sql.SQL("CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers {})").format(bootstrap))
        for policy, model in (("field", by_field), ("row", Whole())):
            writes = make_writes(rng, keys, policy)
            expected = {}
            for key in range(keys):
                its = [write for write in writes if write["key"] == key]
                expected[key] = model(its, key % 3 == 0)
            for number in range(len(STORES)):
                for schema in fill(server, rng, policy, number, writes, keys):
                    found = server.rows(f"{policy}_{number}", schema)
                    if schema == f"{policy}_0":
                        first = found
                    for key, (row, metadata) in expected.items():
                        got = found.get(key)
                        fits = got is None if row is None and metadata is None else got is not None and \
                            got[0] == (row is not None) and (row is None or got[2:5] == row) and got[5] == metadata
                        compared += 1
                        if fits and got == first.get(key):
                            continue
                        wrong += 1
                        if wrong <= 3:
                            its = [write for write in writes if write["key"] == key]
                            print(f"# {schema}, seed {seed}, key {key}: {its}\n# expected {row} {metadata and metadata.hex()}\n"
                                  f"# found    {got and got[2:5]} {got and got[5] and got[5].hex()}\n# first    {first.get(key)}")
    print(f"{compared - wrong} of {compared} rows as they must be")
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
