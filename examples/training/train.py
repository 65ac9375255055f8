"""The training job: predicts how late a flight will arrive, at the time when it was to depart.

    train.py DIR

It trains two models on the flights of the year's first eight months, one day of four left out, which only differ in how
the carrier's delays of the last hours and days come to a flight.  "Naive" joins by hour and by date, as one would
with GROUP BY: among the flights of its hour and day are those that had not yet landed, and the flight itself.
"Point-in-time" is venice's.  Each model is then scored on the days left out, as they were joined, and on the last four
months, as it would be used: with what was known when the flight was to depart.

Writes DIR/training.parquet and DIR/scores.json.  Connects as psql does (PGHOST, ...).
"""

import datetime
import json
import pathlib
import sys
import time

import adbc_driver_postgresql.dbapi
import numpy
import pyarrow.compute
import pyarrow.parquet
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_absolute_error, r2_score

SPINE = "SELECT *, venice.hash_fraction(flight_date) AS fraction FROM departures"
NAIVE = """
    SELECT flight_id,
           avg(arr_delay) OVER (PARTITION BY carrier, date_trunc('hour', event_time)) AS delay_hours,
           avg(arr_delay) OVER (PARTITION BY carrier, flight_date) AS delay_day,
           avg(arr_delay) OVER (PARTITION BY carrier ORDER BY flight_date
                                RANGE BETWEEN '2 days' PRECEDING AND CURRENT ROW) AS delay_days
      FROM departures
"""
DELAYS = ["delay_hours", "delay_day", "delay_days"]
INPUTS = ["distance", "hour", "temp", "humid", "wind_speed", "precip", "pressure", "visib", *DELAYS]
LABEL = "arr_delay"
LAST_DAY_OF_TRAINING = datetime.date(2013, 8, 31)


def read(cursor, query):
    cursor.execute(query)
    return cursor.fetch_arrow_table().sort_by("flight_id")


def matrix(table):
    return numpy.column_stack([table[name].to_numpy() for name in INPUTS])


def main():
    directory = pathlib.Path(sys.argv[1])
    with adbc_driver_postgresql.dbapi.connect("postgresql:///") as connection, connection.cursor() as cursor:
        started = time.monotonic()
        cursor.execute("SELECT venice.historical_features_query($1, '{arrival_model}')", (SPINE,))
        correct = read(cursor, cursor.fetchone()[0])
        print(f"{correct.num_rows:,} flights with their features, in {time.monotonic() - started:.1f} s:")
        print(", ".join(f"{field.name} {field.type}" for field in correct.schema))
        naive = correct
        averages = read(cursor, NAIVE)
        for name in DELAYS:
            naive = naive.set_column(naive.schema.get_field_index(name), name, averages[name])

    is_past = pyarrow.compute.less_equal(correct["flight_date"], LAST_DAY_OF_TRAINING).to_numpy()
    is_seen = is_past & (correct["fraction"].to_numpy() < 0.75)
    label = correct[LABEL].to_numpy()
    served = matrix(correct)
    scores = {}
    print(f"\n{'':22}{'R² in training':>16}{'R² after':>12}{'mean error after':>20}")
    for name, table in (("naive", naive), ("point-in-time", correct)):
        inputs = matrix(table)
        model = HistGradientBoostingRegressor(
            learning_rate=0.05, max_leaf_nodes=15, min_samples_leaf=200, random_state=0
        )
        model.fit(inputs[is_seen], label[is_seen])
        left_out = is_past & ~is_seen
        training = r2_score(label[left_out], model.predict(inputs[left_out]))
        predicted = model.predict(served[~is_past])
        after = r2_score(label[~is_past], predicted)
        error = mean_absolute_error(label[~is_past], predicted)
        scores[name] = {"training": training, "after": after, "minutes": error}
        print(f"{name + ' join':22}{training:16.3f}{after:12.3f}{error:16.1f} min")

    leaked, kept = scores["naive"], scores["point-in-time"]
    print(
        f"\nThe naive join promised {leaked['training']:.2f} and gave {leaked['after']:.2f}: it had seen delays of flights"
        f" that were still in the air.\nThe point-in-time join promised {kept['training']:.2f} and gave {kept['after']:.2f}."
    )
    pyarrow.parquet.write_table(correct, directory / "training.parquet", compression="zstd")
    (directory / "scores.json").write_text(json.dumps(scores))
    print(f"\n{directory}/training.parquet: {correct.num_rows:,} rows, {correct.num_columns} columns")


main()
