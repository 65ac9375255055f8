"""Look-ups with psycopg 3.

    psycopg_client.py CONNECTION [pooled]

For each line of standard input prints what the store user_features answers:
"look" does every kind of look-up, "vectors" every kind of read compute, "star"
a statement that names no columns.
With "pooled" nothing is prepared by name, as pgbouncer before 1.21 wants it.
"""

import struct
import sys

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import Format

REPEAT = 8  # more than psycopg and pgJDBC wait until they prepare a statement

GET = "SELECT clicks, country, embedding FROM user_features.get(%s)"
BATCH_GET = (
    "SELECT ordinality, user_id, clicks, country, embedding"
    " FROM user_features.batch_get(%s::bigint[])"
)
BATCH_GET_PACKED = "SELECT user_features.batch_get_packed(%s::bigint[])"


def connect(conninfo, pooled):
    if pooled:
        return psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
    return psycopg.connect(conninfo, autocommit=True)


def get(connection, key):
    """The row of a key, or None."""
    return connection.execute(GET, (key,), binary=True).fetchone()


def batch_get(connection, keys):
    """(ordinality, key, values...) of the keys that are there."""
    return connection.execute(BATCH_GET, (keys,), binary=True).fetchall()


def value_types(connection):
    """Packed rows do not say what their fields are; a get that finds nothing does."""
    nothing = connection.execute(GET, (None,))
    return [column.type_code for column in nothing.description]


def unpack(connection, packed, types):
    """For each key its row as a list, or None if the key is absent."""
    transformer = Transformer(connection)
    loaders = [transformer.get_loader(type, Format.BINARY) for type in types]
    rows, position = [], 19  # behind the signature, flags and extension
    while (fields := struct.unpack_from("!h", packed, position)[0]) != -1:
        position += 2
        row = []
        for field in range(fields):
            length = struct.unpack_from("!i", packed, position)[0]
            position += 4
            if field < len(loaders):  # a later version may have more columns
                value = packed[position : position + length]
                row.append(loaders[field].load(value) if length >= 0 else None)
            position += max(length, 0)
        rows.append(row or None)
    return rows


def batch_get_packed(connection, keys, types):
    row = connection.execute(BATCH_GET_PACKED, (keys,), binary=True).fetchone()
    return unpack(connection, row[0], types)


COMPUTE = (
    "SELECT user_id, result"
    " FROM user_features.compute('dot_product', 'embedding', %s::real[], %s::bigint[])"
)
COMPUTE_PACKED = (
    "SELECT user_features.compute_packed('dot_product', 'embedding', %s::real[], %s::bigint[])"
)
TOP_K = "SELECT user_id, result FROM user_features.top_k('dot_product', 'embedding', %s::real[], 10)"


def compute(connection, query, keys):
    """(key, result) of the keys that are there."""
    return connection.execute(COMPUTE, (query, keys), binary=True).fetchall()


def compute_packed(connection, query, keys):
    """For each key its result, or None if there is no vector."""
    row = connection.execute(COMPUTE_PACKED, (query, keys), binary=True).fetchone()
    rows = unpack(connection, row[0], [psycopg.postgres.types["float4"].oid])
    return [fields and fields[0] for fields in rows]


def top_k(connection, query):
    """(key, result) of the best of all rows."""
    return connection.execute(TOP_K, (query,), binary=True).fetchall()


def get_many(connection, keys):
    """Gets that wait for one another's answers only at the end."""
    with connection.pipeline():
        cursors = [connection.execute(GET, (key,), binary=True) for key in keys]
        return [cursor.fetchone() for cursor in cursors]


def text(row):
    if row is None:
        return "absent"
    clicks, country, embedding = row
    return f"{clicks} {country} {'null' if embedding is None else ','.join(map(str, embedding))}"


def look(connection, keys=(4, 99, 1)):
    types = value_types(connection)
    for _ in range(REPEAT):
        gets = [get(connection, key) for key in keys]
        batch = batch_get(connection, list(keys))
        packed = batch_get_packed(connection, list(keys), types)
        pipeline = get_many(connection, keys)
    return "\n".join(
        [
            "get: " + "; ".join(map(text, gets)),
            "batch: " + "; ".join(f"{row[0]} {row[1]} {text(row[2:5])}" for row in batch),
            "packed: " + "; ".join(map(text, packed)),
            "pipeline: " + "; ".join(map(text, pipeline)),
        ]
    )


def vectors(connection, query=(2, 4), keys=(4, 99, 1)):
    for _ in range(REPEAT):
        computed = compute(connection, list(query), list(keys))
        packed = compute_packed(connection, list(query), list(keys))
        best = top_k(connection, list(query))
    return f"compute: {computed}\npacked: {packed}\ntop_k: {best}"


def star(connection):
    for _ in range(REPEAT):
        cursor = connection.execute("SELECT * FROM user_features.get(4)")
    return f"{len(cursor.description)} columns"


def main():
    with connect(sys.argv[1], sys.argv[2:] == ["pooled"]) as connection:
        for line in sys.stdin:
            try:
                print({"look": look, "vectors": vectors, "star": star}[line.strip()](connection))
            except psycopg.Error as error:
                print("error:", error.sqlstate)
            print("end", flush=True)


main()
