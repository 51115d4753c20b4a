"""Drives one of the example stores. Usage, in the site's folder: store.py NAME create RECORDS | edit SEED | agree SECONDS

`agree` reads the store as rows, asks the tables (and views) with psql, and ends when both are equal; exit code 1 when they do not become so.
"""

import importlib.util
import os
import random
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def module(name):
    path = os.path.join(HERE, "..", "..", "schemas", "examples", name, "store.py")
    spec = importlib.util.spec_from_file_location(name, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def landed(query):
    """Rows as tuples of texts. psql escapes nothing that these separators are not part of."""
    copy = f"copy ({query}) to stdout with (format csv, delimiter E'\\x1f', quote E'\\x1e', null '\\N')"
    done = subprocess.run(["psql", "-XAtqc", copy], capture_output=True, check=True)
    lines = done.stdout.decode("utf-8").split("\n")
    rows = [tuple(None if cell == "\\N" else cell.strip("\x1e") for cell in line.split("\x1f")) for line in lines if line]
    return rows


def differing(store):
    wanted = store.expected(os.getcwd())
    for table, query in store.TABLES.items():
        theirs, ours = sorted(wanted[table], key=repr), sorted(landed(query), key=repr)
        if theirs != ours:
            missing, extra = list(set(theirs) - set(ours))[:2], list(set(ours) - set(theirs))[:2]
            return f"{table}: {len(ours)} rows, {len(theirs)} expected; missing {missing}, not expected {extra}"
    return None


def agree(store, seconds):
    until = time.monotonic() + seconds
    while True:
        found = differing(store)
        if found is None:
            sizes = ", ".join(f"{table} {len(rows)}" for table, rows in store.expected(os.getcwd()).items())
            print(f"store and tables agree: {sizes}")
            return 0
        if time.monotonic() > until:
            print(found, file=sys.stderr)
            return 1
        time.sleep(0.3)


def main():
    name, verb, argument = sys.argv[1:4]
    store = module(name)
    if verb == "create":
        store.create(os.getcwd(), int(argument), random.Random(1))
    elif verb == "edit":
        store.edit(os.getcwd(), random.Random(int(argument)))
    else:
        sys.exit(agree(store, float(argument)))


main()
