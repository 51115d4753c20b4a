"""Edits the demo's store the way its programs would. Usage: edit.py insert|change|delete|replace|half|complete, in the site's folder."""

import json
import os
import sys

DOCUMENT = "data/harbour.json"
WHOLE = "harbour.whole"  # the revision whose writing is interrupted, kept outside the store


def load():
    with open(DOCUMENT, encoding="utf-8") as file:
        return json.load(file)


def text(document):
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def rewrite(document):
    """In place, as most small programs do it."""
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(text(document))


def person(path, record):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(record, file, ensure_ascii=False)


def insert():
    document = load()
    document["boats"].append({"id": 27, "name": "Zeepaard", "length": 8.25, "owner": {"name": "Imke Janssen"}, "registered": "2025-05-01"})
    rewrite(document)
    person("data/crew/imke.json", {"name": "Imke Janssen", "since": 2025, "licences": []})
    with open("data/log/arrivals.ndjson", "a", encoding="utf-8") as file:
        for number in range(10):
            file.write(json.dumps({"id": f"demo/{number}", "boat": 27, "fee": number + 0.5}) + "\n")


def change():
    document = load()
    document["boats"][0]["name"] = "Albatros II"
    document["berths"]["A-1"]["boat"] = 27
    rewrite(document)
    person("data/crew/imke.json", {"name": "Imke Janssen", "since": 2025, "licences": ["radio"]})


def delete():
    document = load()
    del document["boats"][5]
    del document["berths"]["C-8"]
    rewrite(document)
    os.remove("data/crew/bo.json")


def replace():
    document = load()
    for boat in document["boats"][:5]:
        boat["inspected"] = True
    document["boats"].reverse()  # order is no change of meaning
    with open(DOCUMENT + ".tmp", "w", encoding="utf-8") as file:
        file.write(text(document))
        file.flush()
        os.fsync(file.fileno())
    os.rename(DOCUMENT + ".tmp", DOCUMENT)


def half():
    document = load()
    document["boats"][1]["name"] = "Brise, at last"
    whole = text(document)
    with open(WHOLE, "w", encoding="utf-8") as file:
        file.write(whole)
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(whole[: len(whole) // 2])


def complete():
    with open(WHOLE, encoding="utf-8") as file:
        whole = file.read()
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(whole)


if __name__ == "__main__":
    {"insert": insert, "change": change, "delete": delete, "replace": replace, "half": half, "complete": complete}[sys.argv[1]]()
