"""A training job's session through ADBC, as doc/offline.md has it.

    training_client.py URI REFERENCE

Prints what came of each step as "step: result", for 062_training_client.pl.  REFERENCE is doc/reference.md, whose
Python text of hash_fraction is compared with the server's.
"""

import datetime
import re
import sys

import adbc_driver_postgresql.dbapi
import pyarrow

URI, REFERENCE = sys.argv[1:]
DAY = datetime.datetime(2013, 6, 1, 12)


def say(step, result):
    print(f"{step}: {result}")


def query(cursor, sql, *parameters):
    cursor.execute(sql, parameters or None)
    return cursor.fetchall()


def documented_hash_fraction():
    text = open(REFERENCE, encoding="utf-8").read()
    (code,) = re.findall(r"```python\n(import struct.*?)```", text, flags=re.S)
    scope = {}
    exec(code, scope)
    return scope["hash_fraction"]


def main():
    spine = pyarrow.table({
        "id": pyarrow.array([1, 2, 3], pyarrow.int64()),
        "carrier": pyarrow.array(["UA", "AA", None]),
        "event_time": pyarrow.array([DAY, DAY, DAY], pyarrow.timestamp("us")),
        "arr_delay": pyarrow.array([1.5, None, 3.0]),
    })
    features = "'{client_model}'"
    with adbc_driver_postgresql.dbapi.connect(URI) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("spine", spine, mode="create", temporary=True)
        connection.commit()
        try:
            query(cursor, f"SELECT venice.historical_features_query('TABLE spine', {features})")
        except adbc_driver_postgresql.dbapi.Error as error:
            say("naive times", " ".join(str(error).split()))
        connection.rollback()
        ((text,),) = query(
            cursor,
            f"SELECT venice.historical_features_query('TABLE spine', {features},"
            """ options => '{"time_zone": "UTC", "preserve_order": true}')""",
        )
        cursor.execute(text)
        table = cursor.fetch_arrow_table()
        say("columns", ", ".join(f"{field.name} {field.type}" for field in table.schema))
        say("rows", table.to_pylist())

    with adbc_driver_postgresql.dbapi.connect(URI) as connection, connection.cursor() as cursor:
        aware = "SELECT id, carrier, at AS event_time, label FROM label WHERE id {} 3"
        say("made", query(cursor, "SELECT venice.create_training_set('job.train', $1, '{client_model}')", aware.format("<"))[0][0])
        say("extended", query(cursor, "SELECT venice.extend_training_set('job.train', $1)", aware.format(">="))[0][0])
        connection.commit()
        cursor.execute("SELECT id, delay, flights FROM job.train ORDER BY id")
        say("train", cursor.fetch_arrow_table().to_pydict())
        say(
            "noted",
            query(
                cursor,
                "SELECT view_versions::text, rows, jsonb_array_length(parts), statistics #>> '{delay,nulls}'"
                " FROM venice.training_sets WHERE relation = 'job.train'::regclass",
            )[0],
        )
        cursor.execute("SELECT * FROM client_stats.snapshot('2013-06-01 09:00+00') ORDER BY carrier")
        say("snapshot", cursor.fetch_arrow_table().select(["carrier", "delay"]).to_pydict())

        hash_fraction = documented_hash_fraction()
        keys = [(1,), (-1,), (2**63 - 1,), ("Zürich",), ("",), (None,), (1.5,), (-1e300,), (True,), (b"\x00\xff",), ("a", 1, None), (1, "a")]
        types = {int: "int8", str: "text", float: "float8", bool: "bool", bytes: "bytea", type(None): "int4"}
        differ = []
        for key in keys:
            literals = ", ".join(
                f"'\\x{part.hex()}'::bytea" if isinstance(part, bytes)
                else "NULL::int4" if part is None
                else f"'{part}'::{types[type(part)]}"
                for part in key
            )
            if query(cursor, f"SELECT venice.hash_fraction({literals})")[0][0] != hash_fraction(*key):
                differ.append(key)
        say("hashes", f"{len(keys)} keys, differ: {differ}")


main()
