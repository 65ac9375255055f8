"""Time aggregates over sliding windows of several systems over the data of fill.sql.

    compare.py KEYS POSTMASTER_PID ROUNDS

Connects as psql does (PGHOST, ...).  Every route computes all aggregates, and then sums them up, so that it cannot
leave any out and so that answers are compared.
"""

import collections
import math
import os
import statistics
import sys
import time

import adbc_driver_postgresql.dbapi
import duckdb
import psycopg

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
FUNCTIONS = ("sum", "count", "avg", "min", "max")
DAYS = (1, 7, 30)
NAMES = [f"{function}_{days}" for days in DAYS for function in FUNCTIONS]

Run = collections.namedtuple("Run", "clock_s processor_s")


def add_up(query):
    return f"SELECT count(*), {', '.join(f'sum({name})' for name in NAMES)} FROM ({query}) AS q"


def range_join(interval):
    aggregates = ", ".join(
        f"{function}(e.x) FILTER (WHERE e.t >= q.event_time - {interval(days)}) AS {function}_{days}"
        for days in DAYS
        for function in FUNCTIONS
    )
    return (
        f"SELECT q.id, {aggregates} FROM queries AS q LEFT JOIN events AS e ON e.k = q.k AND e.t < q.event_time"
        f" AND e.t >= q.event_time - {interval(max(DAYS))} GROUP BY q.id"
    )


def window_functions():
    """A query stands a microsecond before its time, behind the events of then, and is a row without a value."""
    windows = ", ".join(
        f"w{days} AS (PARTITION BY k ORDER BY t RANGE BETWEEN INTERVAL {days} DAY - INTERVAL 1 MICROSECOND PRECEDING"
        " AND CURRENT ROW)"
        for days in DAYS
    )
    aggregates = ", ".join(
        f"{function}(x) OVER w{days} AS {function}_{days}" for days in DAYS for function in FUNCTIONS
    )
    return (
        f"SELECT * FROM (SELECT id, {aggregates} FROM (SELECT NULL AS id, k, t, x FROM events UNION ALL"
        f" SELECT id, k, event_time - INTERVAL 1 MICROSECOND, NULL FROM queries) AS u WINDOW {windows}) AS a"
        " WHERE id IS NOT NULL"
    )


class Server:
    def __init__(self, name, postmaster, query):
        self.name, self.postmaster, self.query = name, postmaster, query
        self.connection = psycopg.connect(autocommit=True)

    def processor_s(self):
        """Of all its processes, and of those that have ended."""
        ticks = 0
        with open(f"/proc/{self.postmaster}/task/{self.postmaster}/children") as file:
            pids = [self.postmaster, *file.read().split()]
        for pid in pids:
            try:
                with open(f"/proc/{pid}/stat") as file:
                    ticks += sum(int(n) for n in file.read().rpartition(")")[2].split()[11:15])
            except (FileNotFoundError, ProcessLookupError):
                pass
        return ticks * TICK_S

    def run(self):
        query = add_up(self.query(self.connection))
        processor, clock = self.processor_s(), time.monotonic()
        answer = self.connection.execute(query).fetchone()
        return Run(time.monotonic() - clock, self.processor_s() - processor), answer


class Duckdb:
    def __init__(self, name, database, threads, query):
        self.name, self.database, self.threads, self.query = name, database, threads, query

    def run(self):
        self.database.execute(f"SET threads = {self.threads}")
        before, clock = os.times(), time.monotonic()
        answer = self.database.execute(add_up(self.query)).fetchone()
        clock, after = time.monotonic() - clock, os.times()
        return Run(clock, after.user + after.system - before.user - before.system), answer


def venice(table):
    def query(connection):
        statement = "SELECT venice.historical_features_query('TABLE queries', %s)"
        return connection.execute(statement, ([f"{table}_view"],)).fetchone()[0]

    return query


def copy_to_duckdb():
    database = duckdb.connect()
    with adbc_driver_postgresql.dbapi.connect("postgresql:///") as server, server.cursor() as cursor:
        for table, column in (("events", "t"), ("queries", "event_time")):
            cursor.execute(f"SELECT * FROM {table}")
            batches = cursor.fetch_record_batch()  # noqa: F841: DuckDB finds it by name
            database.execute(
                f"CREATE TABLE {table} AS SELECT * REPLACE ({column} AT TIME ZONE 'UTC' AS {column}) FROM batches"
            )
    return database


def agree(one, other):
    return all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(one, other, strict=True))


def main():
    keys, postmaster, rounds = (int(argument) for argument in sys.argv[1:])
    database = copy_to_duckdb()
    in_duckdb = {
        "range join": range_join(lambda days: f"INTERVAL {days} DAY"),
        "window functions": window_functions(),
    }
    routes = [
        Server("venice, along an index", postmaster, venice("events")),
        Server("venice, without one", postmaster, venice("bare")),
        Server("SQL range join", postmaster, lambda _: range_join(lambda days: f"interval '{24 * days} hours'")),
        *(
            Duckdb(f"DuckDB {name}, {threads} thread{'s' * (threads > 1)}", database, threads, query)
            for name, query in in_duckdb.items()
            for threads in (1, 2)
        ),
    ]
    runs = collections.defaultdict(list)
    answers = {}
    for _ in range(rounds):
        for route in routes:
            run, answers[route.name] = route.run()
            runs[route.name].append(run)
    ours = answers[routes[0].name]
    for name, answer in answers.items():
        if not agree(ours, answer):
            sys.exit(f"{routes[0].name} and {name} do not agree:\n{ours}\n{answer}")

    print(f"\n{ours[0]:,} queries, {keys:,} keys: {ours[1 + NAMES.index('count_30')] / ours[0]:.0f} events in 30 days")
    print("| | clock, s | processor, s | venice along an index is ahead: clock, processor |")
    print("|---|---|---|---|")
    medians = {
        name: Run(*(statistics.median(numbers) for numbers in zip(*measured))) for name, measured in runs.items()
    }
    best = medians[routes[0].name]
    for name, run in medians.items():
        ahead = f"{run.clock_s / best.clock_s:.2f}, {run.processor_s / max(best.processor_s, TICK_S):.2f}"
        print(f"| {name} | {run.clock_s:.3f} | {run.processor_s:.2f} | {ahead} |", flush=True)


main()
