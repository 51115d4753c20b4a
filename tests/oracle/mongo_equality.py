"""Compares a collection with the rows of its table: key, exact bytes, `doc` or typed columns, `rest`; nothing missing, nothing extra.

Reads MongoDB through pymongo as raw bytes and decodes them itself (`bson_bytes`).
"""

import math
import os
import re
import struct
import uuid
from datetime import datetime, timezone
from decimal import Decimal

import pymongo
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

import bson_bytes
import mongo_json
import mongo_keys
from decode import decode, field
from stores import Expected
from tables import columns, identifier, rows

PATIENCE_MS = 10_000  # for the server to answer
INTEGERS = {"smallint": "h", "integer": "i", "bigint": "q"}


def expected(config, name):
    """What the table of a stream should hold: comparable key → (raw bytes, elements)."""
    stream = config["streams"][name]
    source = config["sources"][stream["source"]]
    result = Expected()
    for raw in _documents(_resolved(source["uri"]), source["database"], stream.get("select", name)):
        elements = bson_bytes.document(raw)
        key, code = _key(stream, elements)
        if code is None and not _keeps_raw(stream):
            code = mongo_json.fault(elements)
        if code is None and stream.get("columns"):
            code = _misfit(stream, elements)
        if code:
            result.park(code, key=key)
        else:
            result.put(key, (raw, elements))
    return result


def _documents(uri, database, collection):
    client = pymongo.MongoClient(uri, serverSelectionTimeoutMS=PATIENCE_MS)
    try:
        options = CodecOptions(document_class=RawBSONDocument)
        for document in client[database].get_collection(collection, codec_options=options).find({}):
            yield bytes(document.raw)
    finally:
        client.close()


def _resolved(text):
    return re.sub(r"\$\{(\w+)\}", lambda found: os.environ[found[1]], text)


def _keeps_raw(stream):
    return stream.get("raw", not stream.get("columns"))


def _key(stream, elements):
    """(comparable key, None), or (key, code) when it must be parked."""
    key = stream.get("key")
    path = (key.get("from", "_id") if isinstance(key, dict) else key or "_id").split(".")
    found, value = bson_bytes.member(elements, path)
    if not found:
        return None, "key_missing"
    if isinstance(key, dict) and "type" in key:
        text = _column_text(key["type"], value)
        return (("typed", text), None) if text is not None else (("misfit", repr(value)), "key_type")
    return mongo_keys.comparable(mongo_keys.of_id(value)), None


def actual(config, name):
    """The rows: (comparable key → row, keys that stand twice). A row maps columns to (type, text)."""
    stream = config["streams"][name]
    schema, table = config["target"].get("schema", "public"), stream.get("table", name)
    shape = [(column, kind) for column, kind in columns(schema, table) if column != "_lf_version"]
    if not shape:
        return {}, []
    key = stream.get("key")
    typed = isinstance(key, dict) and "type" in key
    select = ", ".join(
        f"encode({identifier(column)}, 'hex')" if kind == "bytea" else f"{identifier(column)}::text" for column, kind in shape
    )
    found, doubled = {}, []
    for row in rows(f"select {select} from {identifier(schema)}.{identifier(table)}"):
        at = ("typed", row[0]) if typed else mongo_keys.comparable(row[0])
        if at in found:
            doubled.append(at)
        found[at] = {column: (kind, text) for (column, kind), text in zip(shape, row)}
    return found, doubled


def difference(grown, record, row):
    """Why a row is not its document, or None."""
    stream, more = grown
    raw, elements = record
    if _keeps_raw(stream):
        stands = row.get("_lf_raw", (None, None))[1]
        if stands != raw.hex():
            return f"_lf_raw is {(stands or 'missing')[:200]}, the document is {raw.hex()[:200]}"
    if stream.get("columns"):
        return _mapped(stream, more, elements, row)
    wanted = mongo_json.of_document(elements, mongo_json.RELAXED)
    if not mongo_json.same(wanted, _plain(decode(row["doc"][1].encode()))):
        return f"doc is {row['doc'][1][:300]}, wanted {wanted!r}"[:700]
    return None


def _plain(value):
    """Decoded JSON with ordinary dicts, which jsonb's are: no name stands twice."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _mapped(stream, more, elements, row):
    rest_name = stream.get("rest")
    rest = _plain(decode(row[rest_name][1].encode())) if rest_name and row[rest_name][1] is not None else {}
    whole = mongo_json.of_document(elements, mongo_json.CANONICAL)
    rebuilt = rest
    for name, column in stream["columns"].items():
        kind, text = row[name]
        path = column.get("from", name).split(".")
        found, value = bson_bytes.member(elements, path)
        if not found and "default" in column:
            continue
        if not found or value[0] == "null":
            if text is not None:
                return f"{name} should be NULL"
            continue
        if text is None or not _same(kind, value, text):
            return f"{name} is {text!r}, the document has {value!r}"
        if field(rest, ".".join(path))[1] is not None:
            return f"{name} stands in {rest_name} as well"
        _set(rebuilt, path, field(whole, ".".join(path))[1])
    for name, path in more:
        kind, text = row.get(name, (None, None))
        if text is None:
            continue  # what it did not take stands in the rest, or the document is not made again
        found, value = bson_bytes.member(elements, [path])
        if not found or not _same(kind, value, text):
            return f"added column {name} is {text!r}, the document has {value!r}"
        rebuilt.setdefault(path, whole[path])
    if "_id" not in rebuilt:
        rebuilt["_id"] = whole["_id"]
    if rest_name and not _rebuilt(whole, rebuilt):
        return f"columns and {rest_name} do not make the document again: {rebuilt!r}"[:400]
    return None


def _set(record, path, value):
    for part in path[:-1]:
        record = record.setdefault(part, {})
    record[path[-1]] = value


def _rebuilt(wanted, found):
    """As `mongo_json.same`, where what a column took stands for itself."""
    if wanted is found:
        return True
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict)
            and wanted.keys() == found.keys()
            and all(_rebuilt(value, found[name]) for name, value in wanted.items())
        )
    return mongo_json.same(wanted, found)


def _misfit(stream, elements):
    """The code with which a document is parked because a value does not fit its column."""
    for name, column in stream["columns"].items():
        found, value = bson_bytes.member(elements, column.get("from", name).split("."))
        present = found and value[0] != "null"
        if not present and column.get("required"):
            return "required_missing"
        if present and column.get("type", "text") != "jsonb" and _column_text(column.get("type", "text"), value) is None:
            return "column_type"
    return None


def _column_text(kind, value):
    """What a value looks like in a column of this type, as text; None when it does not fit."""
    tag, payload = value
    if kind == "text":
        if tag in ("string", "symbol"):
            return None if mongo_json.fault([(b"v", value)]) else payload.decode()
        return payload.hex() if tag == "object_id" else None
    if kind in INTEGERS:
        return _integer(kind, value)
    if kind in ("double precision", "float8") and tag in ("double", "int32"):
        return repr(float(payload))
    if kind.startswith("numeric"):
        exact = mongo_json.exact(value)
        return None if exact is None else str(exact)
    if kind == "boolean" and tag == "bool":
        return "true" if payload else "false"
    if kind in ("timestamptz", "timestamp with time zone") and tag == "date":
        return str(payload)
    if kind == "uuid" and tag == "binary" and payload[0] == 4 and len(payload[1]) == 16:
        return str(uuid.UUID(bytes=payload[1]))
    if kind == "bytea":
        return payload[1].hex() if tag == "binary" else payload.hex() if tag == "object_id" else None
    return None


def _integer(kind, value):
    exact = mongo_json.exact(value)
    if exact is None or not exact.is_finite() or exact != int(exact):
        return None
    try:
        struct.pack(INTEGERS[kind], int(exact))
    except struct.error:
        return None
    return str(int(exact))


def _same(kind, value, text):
    """Whether the text of a column of type `kind` says the value."""
    if kind == "jsonb":
        wanted = mongo_json.of_value(value, mongo_json.RELAXED)
        canonical = mongo_json.of_value(value, mongo_json.CANONICAL)
        found = _plain(decode(text.encode()))
        return mongo_json.same(wanted, found) or mongo_json.same(canonical, found)
    wanted = _column_text(kind, value)
    if wanted is None:
        return False
    if kind.startswith("numeric"):
        return Decimal(wanted) == Decimal(text) or (math.isnan(float(wanted)) and text == "NaN")
    if kind == "double precision":
        return float(wanted) == float(text) or (math.isnan(float(wanted)) and text == "NaN")
    if kind == "timestamp with time zone":
        return _milliseconds(text) == int(wanted)
    return wanted == text


def _milliseconds(text):
    """Of a timestamp as PostgreSQL prints it in UTC, within the years that Python knows."""
    moment = datetime.fromisoformat(text)
    since = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000
