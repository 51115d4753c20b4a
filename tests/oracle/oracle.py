#!/usr/bin/env python3
"""The oracle: do the tables hold what the stores hold, and did every change happen once?

    oracle.py equal   --config landfall.yaml [--ledger SOURCE=FILE]…
    oracle.py witness --config landfall.yaml

Reads the configuration (JSON, which is YAML), the stores beside it or the MongoDB that it names (`${VARIABLE}` from the environment;
needs pymongo), and PostgreSQL through psql (PGHOST, PGPORT, … from the environment). Shares no code with the product, and no language. Prints a report as JSON.
Exit codes: 0 everything holds · 3 differences · 1 the question could not be answered.
"""

import argparse
import json
import os
import sys
import traceback

from equality import compare
from tables import NoAnswer
from witness import witness

HARMLESS = {"expected", "actual", "parked"}


def equal(config, folder, ledgers):
    streams = {}
    for name, stream in config["streams"].items():
        streams[name] = compare(config, name, folder, ledgers.get(stream["source"]))
    holds = all(set(report) <= HARMLESS for report in streams.values())
    return holds, {"streams": streams}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("question", choices=["equal", "witness"])
    parser.add_argument("--config", required=True)
    parser.add_argument("--ledger", action="append", default=[])
    arguments = parser.parse_args()
    with open(arguments.config, encoding="utf-8") as file:
        config = json.load(file)
    folder = os.path.dirname(os.path.abspath(arguments.config))
    if arguments.question == "equal":
        holds, report = equal(config, folder, dict(pair.split("=", 1) for pair in arguments.ledger))
    else:
        report = witness(config)
        holds = not report["problems"]
    json.dump(report, sys.stdout, indent=1)
    return 0 if holds else 3


if __name__ == "__main__":
    sys.setrecursionlimit(3_000)  # documents nest up to 200 deep, several frames a level
    try:
        sys.exit(main())
    except NoAnswer as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except Exception:  # whatever else went wrong, it is not an answer
        traceback.print_exc()
        sys.exit(1)
