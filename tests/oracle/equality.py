"""Compares a stream's records with the rows of its table: every key, every value, nothing missing, nothing extra."""

import copy
import json
from collections import Counter
from datetime import datetime, timezone
from decimal import Decimal

import keys
from decode import decode, field
from stores import expected as expect
from tables import added, columns, exists, identifier, literal, rows

SHOWN = 5  # differences listed per kind; the counts are complete


def compare(config, name, folder, ledger):
    """The report of one stream."""
    stream = config["streams"][name]
    if config["sources"][stream["source"]]["kind"] == "mongodb":
        return _compare_mongo(config, name)
    should = expect(config, stream, folder, ledger)
    report = {"expected": len(should.records)}
    if should.unreadable:
        report["unreadable"] = should.unreadable
        return report
    actual, doubled = _rows(config, stream, name, stream.get("key") == "position")
    report["actual"] = len(actual)
    if stream.get("key") == "position":
        _compare_keyless(report, should, actual)
    else:
        _note(report, "doubled", doubled)
        _note(report, "missing", [key for key in should.records if key not in actual])
        _note(report, "extra", [key for key in actual if key not in should.records])
        _note(report, "different", _differences((stream, added(config, name)), should.records, actual))
    _compare_parked(report, config, name, should)
    return report


def _compare_mongo(config, name):
    # Needs pymongo, which the other kinds of sources do without.
    import mongo_equality

    stream = config["streams"][name]
    should = mongo_equality.expected(config, name)
    actual, doubled = mongo_equality.actual(config, name)
    report = {"expected": len(should.records), "actual": len(actual)}
    _note(report, "doubled", doubled)
    _note(report, "missing", [key for key in should.records if key not in actual])
    _note(report, "extra", [key for key in actual if key not in should.records])
    more = added(config, name)
    pairs = [(key, record, actual[key]) for key, record in should.records.items() if key in actual]
    differing = [(key, mongo_equality.difference((stream, more), record, row)) for key, record, row in pairs]
    _note(report, "different", [(key, why) for key, why in differing if why])
    _compare_parked(report, config, name, should)
    return report


def _note(report, kind, found):
    if found:
        report[kind] = {"count": len(found), "first": [repr(item)[:250] for item in found[:SHOWN]]}


def _rows(config, stream, name, keyless):
    schema = config["target"].get("schema", "public")
    table = stream.get("table", name)
    shape = [(column, kind) for column, kind in columns(schema, table) if column != "_lf_version"]
    if not shape:
        return {}, []
    select = ", ".join(f"{identifier(column)}::text" for column, _ in shape)
    key = stream.get("key")
    typed = isinstance(key, dict) and "type" in key
    numeric = shape[0][1] in ("smallint", "integer", "bigint", "numeric")
    actual, doubled = {}, []
    for number, row in enumerate(rows(f"select {select} from {identifier(schema)}.{identifier(table)}")):
        if keyless:
            at = ("line", number)
        elif typed:
            at = keys.of_column("n:" + row[0]) if numeric else ("s", row[0])
        else:
            at = keys.of_column(row[0])
        if at in actual:
            doubled.append(at)
        actual[at] = {column: (kind, value) for (column, kind), value in zip(shape, row)}
    return actual, doubled


def _differences(grown, records, actual):
    stream, more = grown
    found = []
    for key, record in records.items():
        row = actual.get(key)
        if row is None:
            continue
        why = _mapped(stream, more, record, row) if stream.get("columns") else _landed(record, row)
        if why:
            found.append((key, why))
    return found


def _landed(record, row):
    stored = decode(row["doc"][1].encode())
    return None if stored == record else f"doc is {row['doc'][1][:200]}"


def _mapped(stream, more, record, row):
    rest_name = stream.get("rest")
    rest = decode(row[rest_name][1].encode()) if rest_name and row[rest_name][1] is not None else {}
    rebuilt = copy.deepcopy(dict(rest))
    for name, column in stream["columns"].items():
        kind, text = row[name]
        path = column.get("from", name)
        found, value = field(record, path)
        if not found and "default" in column:
            continue
        if value is None:
            if text is not None:
                return f"{name} should be NULL"
            continue
        if text is None or not _same(kind, value, text):
            return f"{name} is {text!r}, the store has {value!r}"
        if field(rest, path)[1] is not None:
            return f"{name} stands in {rest_name} as well"
        _set(rebuilt, path, value)
    for name, path in more:
        kind, text = row.get(name, (None, None))
        if text is None:
            continue  # what it did not take stands in the rest, or the record is not made again
        if record.get(path) is None or not _same(kind, record[path], text):
            return f"added column {name} is {text!r}, the store has {record.get(path)!r}"
        if path in rest:
            return f"what added column {name} holds stands in {rest_name} as well"
        rebuilt[path] = record[path]
    key = stream.get("key")
    key_path = key.get("from") if isinstance(key, dict) else key
    if key_path and not field(rebuilt, key_path)[0]:
        _set(rebuilt, key_path, field(record, key_path)[1])
    if rest_name and rebuilt != record:
        return f"columns and {rest_name} do not make the record again: {rebuilt!r}"[:400]
    return None


def _set(record, path, value):
    parts = path.split("/")[1:] if path.startswith("/") else path.split(".")
    for part in parts[:-1]:
        record = record.setdefault(part, {})
    record[parts[-1]] = value


def _same(kind, value, text):
    """Whether a JSON value and the text of a column of type `kind` are one value."""
    if kind == "jsonb":
        return decode(text.encode()) == value
    if kind in ("smallint", "integer", "bigint", "numeric"):
        return isinstance(value, tuple) and value[1] == text
    if kind.startswith("numeric("):
        return isinstance(value, tuple) and Decimal(value[1]) == Decimal(text)
    if kind in ("real", "double precision"):
        return isinstance(value, tuple) and float(value[1]) == float(text)
    if kind == "boolean":
        return value is (text == "true")  # `::text` spells booleans out
    if kind == "timestamp with time zone":
        return _moment(value) == _moment(text)
    return value == text


def _moment(text):
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _compare_keyless(report, should, actual):
    """Rows whose key is a place: as many of each value on both sides."""
    left = Counter(_text(value) for value in should.records.values())
    right = Counter(_text(decode(row["doc"][1].encode())) for row in actual.values())
    if left != right:
        _note(report, "missing", list((left - right).elements()))
        _note(report, "extra", list((right - left).elements()))


def _text(value):
    """One text for equal values, whatever the order of their members."""
    return json.dumps(value, sort_keys=True)


def _compare_parked(report, config, name, should):
    if not exists("landfall.dead_letters"):
        return
    query = f"select to_jsonb(d) - 'payload' from landfall.dead_letters d where pipeline = {literal(config['name'])} and stream = {literal(name)}"
    letters = [decode(row[0].encode()) for row in rows(query)]
    letters = [letter for letter in letters if letter["state"] in ("parked", "behind")]
    standing = Counter(_class(letter["code"]) for letter in letters)
    wanted = Counter(_class(code) for code, _, _ in should.parked)
    report["parked"] = dict(standing)
    if standing != wanted:
        report["parked_differs"] = {"stands": dict(standing), "should_stand": dict(wanted)}
    offsets = {at for _, place, at in should.parked if place is not None}
    missing = offsets - {int(letter["place_at"][1]) for letter in letters}
    if missing:
        report["parked_offsets_missing"] = sorted(missing)


def _class(code):
    """Codes that readers of the design may give with equal right are one here."""
    return {"not_an_object": "no_key", "key_missing": "no_key"}.get(code, code)
