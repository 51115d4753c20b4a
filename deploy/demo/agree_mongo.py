"""Compares the bakery's collections with its tables, document by document, until they agree. Usage: agree_mongo.py SECONDS.

Read with pymongo on one side and psql on the other, nothing of the product. Every document must be in its table with its exact bytes, and
the columns of `customers` must say what the documents say. Exit code 1 when they do not agree in time.
"""

import csv
import datetime
import io
import os
import subprocess
import sys
import time

from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient

COLLECTIONS = ["customers", "orders", "recipes", "counter"]


def rows(query):
    """Strings; NULL is an empty one."""
    done = subprocess.run(["psql", "-XAtqc", f"copy ({query}) to stdout with (format csv)"], capture_output=True, text=True, check=True)
    return list(csv.reader(io.StringIO(done.stdout)))


def columns(document):
    document = dict(document)
    since = document["since"].replace(tzinfo=None)
    return (document["name"], document["address"]["town"], since - datetime.datetime(1970, 1, 1))


def stored(database):
    """What the collections hold: the exact bytes, and for customers the columns."""
    raw = database.with_options(codec_options=database.codec_options.with_options(document_class=RawBSONDocument))
    held = {name: sorted(document.raw.hex() for document in raw[name].find()) for name in COLLECTIONS}
    held["columns"] = sorted(columns(document) for document in database.customers.find())
    return held


def landed():
    """What the tables hold."""
    held = {name: sorted(row[0] for row in rows(f"select encode(_lf_raw, 'hex') from {name}")) for name in COLLECTIONS}
    found = rows("select name, town, (extract(epoch from since) * 1000)::bigint from customers")
    held["columns"] = sorted((name, town, datetime.timedelta(milliseconds=int(since))) for name, town, since in found)
    return held


def main():
    database = MongoClient(os.environ["MONGODB_URI"]).bakery
    deadline = time.monotonic() + float(sys.argv[1])
    while True:
        source, target = stored(database), landed()
        if source == target or time.monotonic() >= deadline:
            break
        time.sleep(0.2)
    for name in source:
        same = "agree" if source[name] == target[name] else "DIFFER"
        print(f"  {name:<10} MongoDB {len(source[name]):>5}   PostgreSQL {len(target[name]):>5}   {same}")
    return 0 if source == target else 1


if __name__ == "__main__":
    sys.exit(main())
