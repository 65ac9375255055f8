"""Time point-in-time joins of several systems over the data of fill.sql.

    compare.py DIR FEAST_WHEEL POSTMASTER_PID ROUNDS [ROUTE]

Connects as psql does (PGHOST, ...); DIR is for DuckDB's files.  Every route joins, and then aggregates all columns,
so that it cannot leave any out and so that answers are compared.  Each statement has run once before it is timed;
DuckDB runs in a process of its own each time, which has read everything once and counts the faster of two runs.
"""

import ast
import collections
import json
import math
import os
import statistics
import subprocess
import sys
import threading
import time
import zipfile

import adbc_driver_postgresql.dbapi
import duckdb
import jinja2
import psycopg

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
MIB = 1024
LAYOUTS = ("open", "closed")
OWN = "history"  # of venice's: no rival reads that
SMALL, LARGE = 10_000, 1_000_000
GROWTH = (100_000, 1_000_000, 10_000_000)
FEATURES = [f"f{i}" for i in range(10)]
VIEWS = {"closed": "f", "closed_b": "b", "closed_c": "c"}

Run = collections.namedtuple("Run", "clock_s processor_s memory_mib answer")


def aggregate(query, features=FEATURES):
    """Rows, matches, and a sum for each feature: float8 in any order is the same but for the last digits."""
    sums = ", ".join(f"sum({f})" for f in features)
    return f"SELECT count(*), count({features[0]}), {sums} FROM ({query}) AS q"


# --- DuckDB, in its own process -----------------------------------------------------------------------------------


def duckdb_join(history, spine):
    features = ", ".join(
        f"CASE WHEN h.event_time >= s.event_time - INTERVAL 7 DAY THEN h.{f} END AS {f}" for f in FEATURES
    )
    return aggregate(
        f"SELECT s.id, s.entity_id, s.event_time, {features} FROM {spine} AS s ASOF LEFT JOIN {history} AS h"
        " ON s.entity_id = h.entity_id AND s.event_time >= h.event_time"
    )


def own_memory_mib(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name + ":")) / MIB


def duckdb_child(database, threads, history, spine):
    connection = duckdb.connect(database, read_only=True)
    connection.execute(f"SET threads = {threads}")
    connection.execute(aggregate(f"FROM {history}")).fetchone()
    connection.execute(f"SELECT sum(id), sum(entity_id), max(event_time) FROM {spine}").fetchone()
    loaded_mib = own_memory_mib("VmRSS")
    runs = []
    for _ in range(2):
        before, clock = os.times(), time.monotonic()
        answer = connection.execute(duckdb_join(history, spine)).fetchone()
        clock, after = time.monotonic() - clock, os.times()
        runs.append((clock, after.user + after.system - before.user - before.system, answer))
    clock, processor, answer = min(runs)
    most_mib = own_memory_mib("VmHWM")
    print(json.dumps([clock, processor, [most_mib, most_mib - loaded_mib], answer]))


class Duckdb:
    """Its own table, or Parquet files, with some threads."""

    def __init__(self, directory, threads, parquet):
        self.directory, self.threads, self.parquet = directory, threads, parquet
        self.name = f"DuckDB ASOF, {'Parquet' if parquet else 'its table'}, {threads} thread{'s' * (threads > 1)}"

    def run(self, layout, spine_rows, _):
        names = [layout, f"spine_{spine_rows}"]
        if self.parquet:
            names = [f"read_parquet('{self.directory}/{name}.parquet')" for name in names]
        child = [sys.executable, __file__, "duckdb", f"{self.directory}/duckdb", str(self.threads), *names]
        return Run(*json.loads(subprocess.run(child, check=True, capture_output=True, text=True).stdout))


def export_to_duckdb(directory):
    """The tables of the server, in the order that they have there."""
    database = duckdb.connect(f"{directory}/duckdb")
    with adbc_driver_postgresql.dbapi.connect("postgresql:///") as server, server.cursor() as cursor:
        for table in (*LAYOUTS, f"spine_{SMALL}", f"spine_{LARGE}"):
            cursor.execute(f"SELECT * FROM {table}")
            batches = cursor.fetch_record_batch()  # noqa: F841: DuckDB finds it by name
            database.execute(
                f"CREATE TABLE {table} AS SELECT * REPLACE (event_time AT TIME ZONE 'UTC' AS event_time) FROM batches"
            )
            database.execute(f"COPY {table} TO '{directory}/{table}.parquet' (FORMAT parquet)")
    database.close()


# --- PostgreSQL ---------------------------------------------------------------------------------------------------


class Server:
    """What its processes cost: those that are there, and those that have ended."""

    def __init__(self, postmaster):
        self.postmaster = postmaster

    def processes(self):
        with open(f"/proc/{self.postmaster}/task/{self.postmaster}/children") as file:
            return file.read().split()

    def processor_s(self):
        ticks = 0
        for pid in [self.postmaster, *self.processes()]:
            try:
                with open(f"/proc/{pid}/stat") as file:
                    ticks += sum(int(n) for n in file.read().rpartition(")")[2].split()[11:15])
            except (FileNotFoundError, ProcessLookupError):
                pass
        return ticks * TICK_S

    def private_kib(self, backend):
        """Of the backend and of parallel workers, without shared buffers."""
        sum_kib = 0
        for pid in self.processes():
            try:
                with open(f"/proc/{pid}/cmdline") as file:
                    if int(pid) != backend and f"for PID {backend}" not in file.read():
                        continue
                with open(f"/proc/{pid}/status") as file:
                    sum_kib += sum(int(line.split()[1]) for line in file if line.startswith("RssAnon:"))
            except (FileNotFoundError, ProcessLookupError):
                pass
        return sum_kib


class Statement:
    """A route of the server.  It prepares nothing and caches no plan, but its session is as old as the route."""

    def __init__(self, server, name, query):
        self.server, self.name, self.query = server, name, query
        self.connection = psycopg.connect(autocommit=True)
        self.cases = set()

    def run(self, layout, spine_rows, measures_memory):
        query = aggregate(*self.query(self.connection, layout, f"spine_{spine_rows}"))
        connection, peak_kib = self.connection, 0
        if spine_rows == SMALL or (layout, spine_rows) not in self.cases:
            connection.execute(query).fetchone()
        self.cases.add((layout, spine_rows))
        if measures_memory:
            connection.close()
            connection = self.connection = psycopg.connect(autocommit=True)
            done = threading.Event()
            backend, first_kib = connection.info.backend_pid, self.server.private_kib(connection.info.backend_pid)

            def watch():
                nonlocal peak_kib
                while not done.wait(0.01):
                    peak_kib = max(peak_kib, self.server.private_kib(backend) - first_kib)

            watcher = threading.Thread(target=watch)
            watcher.start()
        processor, clock = self.server.processor_s(), time.monotonic()
        answer = connection.execute(query).fetchone()
        clock, processor = time.monotonic() - clock, self.server.processor_s() - processor
        if measures_memory:
            done.set()
            watcher.join()
        return Run(clock, processor, [peak_kib / MIB], answer)


def lateral(_, layout, spine):
    """As everybody writes it."""
    features = ", ".join(FEATURES)
    return (
        f"SELECT s.id, s.entity_id, s.event_time, {features} FROM {spine} AS s LEFT JOIN LATERAL (SELECT {features}"
        f" FROM {layout} AS h WHERE h.entity_id = s.entity_id AND h.event_time <= s.event_time"
        " AND h.event_time >= s.event_time - interval '7 days' ORDER BY h.event_time DESC LIMIT 1) AS h ON true",
    )


def sorted_lateral(connection, layout, spine):
    """As one writes it who knows how caches work."""
    return lateral(connection, layout, f"(SELECT * FROM {spine} ORDER BY entity_id, event_time)")


class Feast:
    """Its Postgres template, with what its get_feature_view_query_context would give it."""

    TEMPLATE = "MULTIPLE_FEATURE_VIEW_POINT_IN_TIME_JOIN"

    def __init__(self, wheel):
        source = zipfile.ZipFile(wheel).read(
            "feast/infra/offline_stores/contrib/postgres_offline_store/postgres.py"
        )
        [template] = [
            node.value.value
            for node in ast.parse(source).body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == self.TEMPLATE
        ]
        self.template = jinja2.Environment().from_string(template)

    def __call__(self, _, layout, spine):
        view = {
            "name": layout,
            "ttl": 7 * 86400,
            "entities": ["entity_id"],
            "features": FEATURES,
            "field_mapping": {},
            "timestamp_field": "event_time",
            "created_timestamp_column": None,
            "table_subquery": f'"{layout}"',
            "entity_selections": ['"entity_id" AS "entity_id"'],
        }
        return (
            self.template.render(
                left_table_query_string=spine,
                entity_df_event_timestamp_col="event_time",
                unique_entity_keys={"entity_id"},
                featureviews=[view],
                full_feature_names=False,
                final_output_feature_names=["id", "entity_id", "event_time", *FEATURES],
                use_cte=False,
                start_date=None,
                end_date=None,
                filter_by_created_timestamp=False,
            ),
        )


def venice(connection, layout, spine):
    return historical_features(connection, spine, [f"{layout}_view"]), FEATURES


def three_views(connection, _, spine):
    features = [f"{letter}{i}" for letter in VIEWS.values() for i in range(10)]
    return historical_features(connection, spine, [f"{view}_view" for view in VIEWS]), features


def historical_features(connection, spine, views):
    return connection.execute(
        "SELECT venice.historical_features_query(%s, %s)", (f"TABLE {spine}", views)
    ).fetchone()[0]


# --- the tables ---------------------------------------------------------------------------------------------------


def compare_answers(results):
    """{who: answer}: counts are equal, and sums but for rounding."""
    (first_name, first), *others = results.items()
    for name, answer in others:
        if len(answer) != len(first) or not all(
            math.isclose(a, b, rel_tol=1e-9) for a, b in zip(answer, first)
        ):
            sys.exit(f"{first_name} and {name} do not agree:\n{first}\n{answer}")


def routes_of(case, routes):
    return routes[:1] if case[0] == OWN else routes


def take_turns(routes, cases, rounds):
    """{(route's name, case): the medians}, of routes that run each case in turn.  The first one is ours."""
    runs = collections.defaultdict(list)
    memory = {}
    for round_number in range(rounds + 1):
        measures_memory = round_number == rounds
        answers = collections.defaultdict(dict)
        for case in cases:
            for route in routes_of(case, routes):
                run = route.run(*case, measures_memory)
                answers[case[1]][route.name, case] = run.answer
                if measures_memory:
                    memory[route.name, case] = run.memory_mib
                else:
                    runs[route.name, case].append(run)
        for answers_of_spine in answers.values():
            compare_answers(answers_of_spine)
    return {
        key: Run(
            statistics.median(run.clock_s for run in measured),
            statistics.median(run.processor_s for run in measured),
            memory[key],
            measured[0].answer,
        )
        for key, measured in runs.items()
    }


def print_comparison(results, routes, layout, spine_rows):
    case = layout, spine_rows
    ours = results["venice", case]
    print(f"\n{layout}, {spine_rows:,} rows; {ours.answer[1] / ours.answer[0]:.1%} found something")
    print("| | clock, s | processor, s | memory, MiB | venice is ahead: clock, processor |")
    print("|---|---|---|---|---|")
    for route in routes_of(case, routes):
        run = results[route.name, case]
        memory = " of which ".join(f"{mib:.0f}" for mib in run.memory_mib)
        ahead = f"{run.clock_s / ours.clock_s:.2f}, {run.processor_s / max(ours.processor_s, TICK_S):.2f}"
        print(f"| {route.name} | {run.clock_s:.3f} | {run.processor_s:.2f} | {memory} | {ahead} |", flush=True)


def main():
    directory, wheel, postmaster, rounds, wanted = sys.argv[1:]
    server, rounds = Server(int(postmaster)), int(rounds)
    ours = Statement(server, "venice", venice)
    routes = [
        Statement(server, "LATERAL ... LIMIT 1", lateral),
        Statement(server, "LATERAL, its spine sorted", sorted_lateral),
        Statement(server, "Feast's SQL", Feast(wheel)),
        *(Duckdb(directory, threads, parquet) for parquet in (False, True) for threads in (1, 2)),
    ]
    routes = [ours, *(route for route in routes if wanted.lower() in route.name.lower())]
    if any(isinstance(route, Duckdb) for route in routes):
        print("copying it to DuckDB", duckdb.__version__, flush=True)
        export_to_duckdb(directory)

    cases = [(layout, rows) for layout in (*LAYOUTS, OWN) for rows in (SMALL, LARGE)]
    results = take_turns(routes, cases, rounds)
    for case in cases:
        print_comparison(results, routes, *case)

    all_views = Statement(server, "three views", three_views)
    results = take_turns([all_views], [("closed", LARGE)], rounds)
    three = results["three views", ("closed", LARGE)]
    growth = take_turns([ours], [("closed", rows) for rows in GROWTH], rounds)
    print("\n| closed | clock, s | processor, s | memory, MiB | times the line before: clock, processor |")
    print("|---|---|---|---|---|")
    before = None
    for rows in GROWTH:
        run = growth["venice", ("closed", rows)]
        grown = f"{run.clock_s / before.clock_s:.2f}, {run.processor_s / before.processor_s:.2f}" if before else ""
        print(f"| {rows:,} rows | {run.clock_s:.3f} | {run.processor_s:.2f} | {run.memory_mib[0]:.0f} | {grown} |")
        before = run
    one = growth["venice", ("closed", LARGE)]
    print(
        f"| three views, {LARGE:,} rows | {three.clock_s:.3f} | {three.processor_s:.2f} | {three.memory_mib[0]:.0f} |"
        f" {three.clock_s / one.clock_s:.2f}, {three.processor_s / one.processor_s:.2f} (of one view) |"
    )


if sys.argv[1] == "duckdb":
    duckdb_child(*sys.argv[2:])
else:
    main()
