"""Reads the example's store without a pause on four connections until SIGTERM,
then says what was seen: a service that must not notice a push.

    readers.py DAY_OF_THE_OLD_VERSION DAY_OF_THE_NEW_VERSION

Connects as psql does (PGHOST, ...).  Each statement is its own transaction.
Fails on any error, on a key that is missing, on an answer that mixes two
versions, and on an old answer after a new one.
"""

import datetime
import random
import signal
import sys
import threading
import time

import psycopg

GET = "SELECT as_of FROM flight_features.get(%s, %s, %s, %s)"
BATCH_GET = "SELECT as_of FROM flight_features.batch_get(%s, %s, %s, %s)"
BATCH = 50
READERS = 4


class Reader(threading.Thread):
    """Odd readers look up one key at a time, even ones fifty."""

    def __init__(self, number, keys, days, stopping):
        super().__init__()
        self.batch = number % 2 == 0
        self.keys, self.days, self.stopping = keys, days, stopping
        self.lookups = 0
        self.errors = []
        self.last_old = 0.0  # when the last statement to see the old version began
        self.first_new = None  # when the first one to see the new version ended
        self.answer_ms = []

    def run(self):
        random_keys = random.Random(self.name)
        old, new = self.days
        with psycopg.connect(autocommit=True) as connection:
            while not self.stopping.is_set():
                chosen = random_keys.sample(self.keys, BATCH if self.batch else 1)
                arguments = [list(c) for c in zip(*chosen)] if self.batch else chosen[0]
                began = time.time()
                try:
                    query = BATCH_GET if self.batch else GET
                    rows = connection.execute(query, arguments).fetchall()
                except psycopg.Error as error:
                    self.errors.append(str(error))
                    continue
                ended = time.time()
                self.answer_ms.append((ended - began) * 1000)
                self.lookups += len(chosen)
                seen = {day for (day,) in rows}
                if len(rows) != len(chosen):
                    self.errors.append(f"{len(chosen)} keys, {len(rows)} rows")
                elif seen == {new}:
                    self.first_new = self.first_new or ended
                elif seen != {old}:
                    self.errors.append(f"two versions in one answer: {seen}")
                elif self.first_new:
                    self.errors.append("an old answer after a new one")
                else:
                    self.last_old = began


def clock(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.time().isoformat("milliseconds")


def main():
    days = [datetime.date.fromisoformat(text) for text in sys.argv[1:]]
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with psycopg.connect(autocommit=True) as connection:
        keys = connection.execute(
            "SELECT carrier, flight, origin, flight_date FROM flight_features.records"
            " TABLESAMPLE bernoulli (5)"
        ).fetchall()
    readers = [Reader(number, keys, days, stopping) for number in range(READERS)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()

    errors = [error for reader in readers for error in reader.errors]
    answer_ms = sorted(ms for reader in readers for ms in reader.answer_ms)
    print(f"  statements        {len(answer_ms):,}")
    print(f"  keys looked up    {sum(r.lookups for r in readers):,}")
    print(f"  errors            {len(errors)}")
    print(
        f"  answered in       {answer_ms[len(answer_ms) // 2]:.2f} ms (median),"
        f" {answer_ms[len(answer_ms) * 99 // 100]:.1f} ms (99 %)"
    )
    seen_new = [r.first_new for r in readers if r.first_new]
    if not seen_new:
        errors.append("the new version was never seen")
    else:
        last_old = max(r.last_old for r in readers)
        print(f"  the last statement to see the old version began at {clock(last_old)}")
        print(f"  the first statement to see the new one ended at    {clock(min(seen_new))}")
    for error in sorted(set(errors))[:5]:
        print(f"  error: {error}")
    sys.exit(1 if errors else 0)


main()
