#!/usr/bin/env python3
"""batches.py CONNINFO SEED ROUNDS: a batch leaves what its writes leave one by one.

For each way to resolve conflicts there are two stores with the same past: puts, updates and deletes at random, of a few keys.
Then one store gets an incremental push, in which keys come several times, and the other each of its rows by put, in
their order and of the same time. Rows, tombstones, what is known of when they were written, and the logs must be the same
bytes. And a push, which writes all of a log once more in batches of everything, must leave what was there before.
"""

import json
import random
import sys

import psycopg

LETTERS = "abcde"
COLUMNS = "n int NOT NULL DEFAULT 7, name text, tags text[], attrs jsonb"
POLICIES = ("arrival", "row", "field")


def random_row(rng):
    return (rng.randrange(5), rng.choice((None, *LETTERS)),
            rng.choice((None, rng.choices(LETTERS, k=rng.randrange(4)))),
            rng.choice((None, json.dumps({letter: rng.randrange(3) for letter in rng.sample(LETTERS, rng.randrange(4))}))))


def random_patch(rng, policy):
    patch = {}
    if rng.random() < 0.5:
        patch["name"] = rng.choice((None, *LETTERS))
    if policy == "arrival" and rng.random() < 0.5:
        patch["n"] = {"$add": rng.randrange(9)}
    if rng.random() < 0.5:
        patch["tags"] = {"$union": rng.choices(LETTERS, k=2), "$diff": rng.choices(LETTERS, k=1)}
    if rng.random() < 0.5:
        patch["attrs"] = {"$merge": {rng.choice(LETTERS): rng.randrange(3)}, "$remove": [rng.choice(LETTERS)]}
    return json.dumps(patch)


def write_both(cursor, rng, policy, keys):
    """Some writes are of long after any push, so that those of a batch lose."""
    year = rng.choice((1990, 2000, 2090))
    time = f"{year}-01-01 00:00:{rng.randrange(20):02}+00"
    key = rng.choice(keys)
    kind = rng.choice(("put", "delete") if policy == "row" else ("put", "update", "update", "delete"))
    row, patch = random_row(rng), random_patch(rng, policy)
    for store in (f"batch_{policy}", f"single_{policy}"):
        if kind == "put":
            cursor.execute(f"SELECT {store}.put(%s, %s, %s, %s, %s, _logical_time => %s)", (key, *row, time))
        elif kind == "update":
            cursor.execute(f"SELECT {store}.update(%s, %s, %s)", (key, patch, time))
        else:
            cursor.execute(f"SELECT {store}.delete(%s, %s)", (key, time))


def write_batch(cursor, rng, policy, keys, number):
    rows = [(rng.choice(keys), *random_row(rng)) for _ in range(rng.choice((1, 5, 60)))]
    cursor.execute("TRUNCATE input RESTART IDENTITY")
    cursor.executemany("INSERT INTO input (id, n, name, tags, attrs) VALUES (%s, %s, %s, %s, %s)", rows)
    cursor.execute("SELECT venice.incremental_push(%s, 'SELECT id, n, name, tags, attrs FROM input ORDER BY place')",
                   (f"batch_{policy}",))
    cursor.execute(f"SELECT event_time FROM batch_{policy}_history.log ORDER BY position DESC LIMIT 1")
    time = cursor.fetchone()[0]
    for row in rows:
        cursor.execute(f"SELECT single_{policy}.put(%s, %s, %s, %s, %s, _logical_time => %s)", (*row, time))


def state(cursor, store, policy):
    meta, tombstones = ("NULL", "") if policy == "arrival" else \
        ("_meta", f" UNION ALL SELECT id, false, NULL, _meta FROM {store}.tombstones")
    cursor.execute(f"SELECT id, true, ROW(n, name, tags, attrs)::text, {meta} FROM {store}.records{tombstones} ORDER BY 1, 2")
    return cursor.fetchall()


def log(cursor, store):
    cursor.execute(f"SELECT kind, key, fields, write_time, event_time, tie_hash FROM {store}_history.log ORDER BY position")
    return cursor.fetchall()


def main():
    conninfo, seed, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    wrong = compared = 0
    with psycopg.connect(conninfo, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("SET timezone = 'UTC'")
        cursor.execute("CREATE TABLE input (place int GENERATED ALWAYS AS IDENTITY, id int, n int, name text, tags text[], attrs jsonb)")
        for policy in POLICIES:
            for kind in ("batch", "single"):
                cursor.execute("SELECT venice.create_store(%s, 'id int', %s, options => %s)",
                               (f"{kind}_{policy}", COLUMNS, json.dumps({"conflict_resolution": policy})))

        def check(when, policy, expected, found):
            nonlocal wrong, compared
            compared += 1
            if expected == found:
                return
            wrong += 1
            if wrong <= 3:
                differences = [pair for pair in zip(expected, found) if pair[0] != pair[1]][:3]
                print(f"# {when}, by {policy}, seed {seed}: {len(expected)} and {len(found)} rows, first {differences}")

        for number in range(rounds):
            keys = range(rng.choice((1, 3, 20)))
            for policy in POLICIES:
                batch, single = f"batch_{policy}", f"single_{policy}"
                for _ in range(rng.randrange(12)):
                    write_both(cursor, rng, policy, keys)
                write_batch(cursor, rng, policy, keys, number)
                check("after a batch", policy, state(cursor, single, policy), state(cursor, batch, policy))
                if number % 10 == 9:
                    check("in the log", policy, log(cursor, single), log(cursor, batch))
                    before = state(cursor, batch, policy)
                    for store in (batch, single):
                        cursor.execute("SELECT venice.push(%s, 'SELECT NULL::int, 1, NULL::text, NULL::text[], NULL::jsonb WHERE false')",
                                       (store,))
                    check("after a push", policy, before, state(cursor, batch, policy))
                    check("after a push of the other", policy, before, state(cursor, single, policy))
    print(f"{compared - wrong} of {compared} states as they must be")
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
