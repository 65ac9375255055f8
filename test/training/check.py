"""Checks what examples/training/train.py has left, without venice.

    check.py DIR ARCHIVE

The features of some flights are computed again from the data set, one flight at a time.  Ends with a line "N passed, N
failed".
"""

import json
import pathlib
import random
import sys

import numpy
import pyarrow
import pyarrow.parquet

sys.path.insert(0, "examples/training")
import load

SAMPLE = 1000
HOUR_S = 3600
WINDOWS_S = {"delay_hours": 3 * HOUR_S, "delay_day": 24 * HOUR_S, "delay_days": 72 * HOUR_S}
WEATHER = ("temp", "humid", "wind_speed", "precip", "pressure", "visib")


def columns(table):
    """Numbers are floats, NULL is NaN; times are seconds."""
    result = {}
    for name in table.column_names:
        values, kind = table[name], table[name].type
        if pyarrow.types.is_string(kind):
            result[name] = numpy.array(values.fill_null("").to_pylist())
        elif pyarrow.types.is_timestamp(kind):
            result[name] = values.cast(pyarrow.timestamp("s", "UTC")).cast("int64").to_numpy()
        elif not pyarrow.types.is_date(kind):
            result[name] = values.to_numpy().astype(float)
    return result


def same(a, b):
    return numpy.isclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True)


class Past:
    """What had happened, read without haste."""

    def __init__(self, archive):
        flights, self.weather = (columns(table) for table in load.read_data(archive))
        known = ~numpy.isnan(flights["arr_delay"])
        taxiing = 25
        minutes = flights["minute"] + flights["dep_delay"] + flights["air_time"] + taxiing
        self.carrier = flights["carrier"][known]
        self.delay = flights["arr_delay"][known]
        self.landed = flights["time_hour"][known] + 60 * minutes[known]

    def mean_delay(self, carrier, at, window_s):
        delays = self.delay[(self.carrier == carrier) & (self.landed >= at - window_s) & (self.landed < at)]
        return delays.mean() if delays.size else numpy.nan

    def observations(self, airport, at):
        """The newest, of the last three hours: more than one when the clocks were set back."""
        hours = self.weather["time_hour"]
        found = (self.weather["origin"] == airport) & (hours <= at) & (hours >= at - 3 * HOUR_S)
        newest = numpy.flatnonzero(found & (hours == hours[found].max(initial=-1)))
        return [{name: self.weather[name][i] for name in WEATHER} for i in newest]


def main():
    directory, past = pathlib.Path(sys.argv[1]), Past(sys.argv[2])
    result = columns(pyarrow.parquet.read_table(directory / "training.parquet"))
    scores = json.loads((directory / "scores.json").read_text())
    naive, correct = scores["naive"], scores["point-in-time"]
    flights = [
        {name: values[i] for name, values in result.items()}
        for i in random.Random(1).sample(range(len(result["flight_id"])), SAMPLE)
    ]
    delays_agree = all(
        same(flight[name], past.mean_delay(flight["carrier"], flight["event_time"], window_s))
        for flight in flights
        for name, window_s in WINDOWS_S.items()
    )
    nothing = [dict.fromkeys(WEATHER, numpy.nan)]
    weather_agrees = all(
        any(
            all(same(flight[name], observed[name]) for name in WEATHER)
            for observed in past.observations(flight["origin"], flight["event_time"]) or nothing
        )
        for flight in flights
    )
    claims = {
        "every flight that landed is there once": numpy.array_equal(
            result["flight_id"], numpy.arange(1, past.delay.size + 1)
        ),
        "a flight's delays are those of the carrier's flights that had landed before it departed": delays_agree,
        "a flight's weather is the newest that had been observed": weather_agrees,
        "some flights have no delays before them, and most have": 0
        < numpy.isnan(result["delay_hours"]).mean()
        < 0.5,
        "the naive join scores better in training": naive["training"] > correct["training"] + 0.1,
        "the naive join scores worse afterwards": naive["after"] < correct["after"] - 0.1,
        "the point-in-time join scores afterwards as it did in training": abs(
            correct["training"] - correct["after"]
        )
        < 0.06,
    }
    for claim, is_true in claims.items():
        print("ok" if is_true else "not ok", "-", claim)
    passed = sum(map(bool, claims.values()))
    print(f"{passed} passed, {len(claims) - passed} failed")
    sys.exit(passed < len(claims))


main()
