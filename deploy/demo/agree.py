"""Compares the demo's store with its tables, row by row, until they agree. Usage: agree.py SECONDS, in the site's folder.

Exit code 1 when they do not agree in time.
"""

import glob
import json
import os
import subprocess
import sys
import time
from decimal import Decimal


def parse(text):
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def stored():
    """What the store holds: table → key → record."""
    with open("data/harbour.json", encoding="utf-8") as file:
        document = parse(file.read())
    with open("data/log/arrivals.ndjson", encoding="utf-8") as file:
        lines = [parse(line) for line in file if line.endswith("\n")]
    crew = {}
    for path in glob.glob("data/crew/**/*.json", recursive=True):
        with open(path, encoding="utf-8") as file:
            crew["s:" + os.path.splitext(os.path.relpath(path, "data/crew"))[0]] = parse(file.read())
    return {
        "boats": {f"n:{boat['id']}": boat for boat in document["boats"]},
        "berths": {"s:" + name: berth for name, berth in document["berths"].items()},
        "arrivals": {"s:" + line["id"]: line for line in lines},
        "crew": crew,
    }


def rows(query):
    copy = f"copy (select row_to_json(t)::text from ({query}) t) to stdout with (format csv, quote E'\\x01', delimiter E'\\x02')"
    done = subprocess.run(["psql", "-XAtqc", copy], capture_output=True, text=True, check=True)
    return [parse(line) for line in done.stdout.splitlines()]


def landed():
    """What the tables hold, boats put together again from their columns and the rest."""
    tables = {name: {row["key"]: row["doc"] for row in rows(f"select key, doc from {name}")} for name in ("berths", "arrivals", "crew")}
    tables["boats"] = {}
    key = subprocess.run(
        ["psql", "-XAtqc", "select attname from pg_attribute where attrelid = 'boats'::regclass and attnum = 1"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()
    for row in rows(f'select "{key}" as key, name, length_m, owner, registered, extra from boats'):
        boat = dict(row["extra"] or {})
        boat.setdefault("id", Decimal(row["key"].removeprefix("n:")))
        boat["name"] = row["name"]
        if row["length_m"] is not None:
            boat["length"] = row["length_m"]
        if row["owner"] is not None:
            boat.setdefault("owner", {})["name"] = row["owner"]
        if row["registered"] is not None:
            boat["registered"] = row["registered"]
        tables["boats"][row["key"]] = boat
    return tables


def main():
    deadline = time.monotonic() + float(sys.argv[1])
    while True:
        store, target = stored(), landed()
        if store == target or time.monotonic() >= deadline:
            break
        time.sleep(0.2)
    for name in store:
        same = "agree" if store[name] == target[name] else "DIFFER"
        print(f"  {name:<10} store {len(store[name]):>5}   table {len(target[name]):>5}   {same}")
        if same == "DIFFER":
            keys = [key for key in store[name].keys() | target[name].keys() if store[name].get(key) != target[name].get(key)]
            print(f"    {len(keys)} differ, e.g. {sorted(keys)[0]}: {store[name].get(sorted(keys)[0])} / {target[name].get(sorted(keys)[0])}")
    return 0 if store == target else 1


if __name__ == "__main__":
    sys.exit(main())
