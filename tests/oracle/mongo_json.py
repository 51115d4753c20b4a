"""Extended JSON of BSON values, relaxed and canonical, as a tree to compare a decoded `jsonb` with; written from the rules.

Beside MongoDB's own rules: text that `jsonb` cannot hold is wrapped as its bytes, names that it cannot hold are spelled in Base64, a
document with a member named like a type of Extended JSON is wrapped, and minus zero is told. The last of equal names counts.
"""

import base64
import math
from datetime import datetime, timezone
from decimal import Decimal

from bson.decimal128 import Decimal128

TYPE_NAMES = {
    b"$oid", b"$symbol", b"$numberInt", b"$numberLong", b"$numberDouble", b"$numberDecimal", b"$binary", b"$uuid", b"$code",
    b"$scope", b"$timestamp", b"$regularExpression", b"$dbPointer", b"$date", b"$undefined", b"$minKey", b"$maxKey",
}  # fmt: skip
OURS = b"$landfall"
RELAXED, CANONICAL = "relaxed", "canonical"
LAST_ISO = 253_402_300_799_999  # the end of the year 9999
PAST_INTEGERS = 2.0**64  # from here on nothing takes a double for an integer


class Double:
    """A double written as a number: any spelling of the same value, told from an integer."""

    def __init__(self, value):
        self.value = value

    def is_in(self, found):
        if not (isinstance(found, tuple) and found[0] == "num"):
            return False
        told = "." in found[1] or abs(self.value) >= PAST_INTEGERS
        return told and float(found[1]) == self.value

    def __repr__(self):
        return f"double {self.value!r}"


class Told:
    """A double in quotes."""

    def __init__(self, value):
        self.value = value

    def is_in(self, found):
        if not isinstance(found, str):
            return False
        if math.isnan(self.value):
            return found == "NaN"
        same_sign = found.startswith("-") == (math.copysign(1, self.value) < 0)
        return same_sign and float(found) == self.value

    def __repr__(self):
        return f"told double {self.value!r}"


class Moment:
    """A date in ISO form, to the millisecond."""

    def __init__(self, milliseconds):
        self.milliseconds = milliseconds

    def is_in(self, found):
        if not isinstance(found, str) or not found.endswith("Z"):
            return False
        moment = datetime.fromisoformat(found.replace("Z", "+00:00")) - datetime(1970, 1, 1, tzinfo=timezone.utc)
        whole = moment.days * 86_400_000 + moment.seconds * 1_000
        return moment.microseconds % 1_000 == 0 and whole + moment.microseconds // 1_000 == self.milliseconds

    def __repr__(self):
        return f"moment {self.milliseconds}"


def of_document(elements, form):
    """What the elements of a document look like."""
    members = {_name(name): of_value(value, form) for name, value in elements}
    return {"$landfall": {"document": members}} if any(name in TYPE_NAMES for name, _ in elements) else members


def of_value(value, form):
    """What a value looks like."""
    kind, payload = value
    if kind == "document":
        return of_document(payload, form)
    if kind == "array":
        return [of_value(inner, form) for _, inner in payload]
    if kind == "double":
        told = form == CANONICAL or not math.isfinite(payload) or (payload == 0 and math.copysign(1, payload) < 0)
        return {"$numberDouble": Told(payload)} if told else Double(payload)
    if kind in ("int32", "int64"):
        name = "$numberInt" if kind == "int32" else "$numberLong"
        return ("num", str(payload)) if form == RELAXED else {name: str(payload)}
    if kind == "date":
        iso = form == RELAXED and 0 <= payload <= LAST_ISO
        return {"$date": Moment(payload) if iso else {"$numberLong": str(payload)}}
    return _told(kind, payload, form)


def _told(kind, payload, form):
    return {
        "string": lambda: _text(payload),
        "bool": lambda: payload,
        "null": lambda: None,
        "object_id": lambda: {"$oid": payload.hex()},
        "decimal": lambda: {"$numberDecimal": str(Decimal128.from_bid(payload))},
        "timestamp": lambda: {"$timestamp": {"t": ("num", str(payload[0])), "i": ("num", str(payload[1]))}},
        "binary": lambda: {
            "$binary": {"base64": base64.b64encode(payload[1]).decode(), "subType": f"{payload[0]:02x}"}
        },
        "undefined": lambda: {"$undefined": True},
        "min_key": lambda: {"$minKey": ("num", "1")},
        "max_key": lambda: {"$maxKey": ("num", "1")},
        "regex": lambda: {"$regularExpression": {"pattern": _text(payload[0]), "options": _text(payload[1])}},
        "db_pointer": lambda: {"$dbPointer": {"$ref": _text(payload[0]), "$id": {"$oid": payload[1].hex()}}},
        "code": lambda: {"$code": _text(payload)},
        "symbol": lambda: {"$symbol": _text(payload)},
        "code_with_scope": lambda: {"$code": _text(payload[0]), "$scope": of_document(payload[1], form)},
    }[kind]()


def _is_utf8(raw):
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _text(raw):
    if _is_utf8(raw) and b"\0" not in raw:
        return raw.decode("utf-8")
    return {"$landfall": {"bytes": base64.b64encode(raw).decode()}}


def _name(raw):
    if _is_utf8(raw) and not raw.startswith(OURS):
        return raw.decode("utf-8")
    return "$landfall:" + base64.b64encode(raw).decode()


def fault(elements):
    """Why a document has no exact place in `jsonb` without its raw bytes, or None."""
    stack = [("document", elements)]
    while stack:
        kind, payload = stack.pop()
        if kind in ("document", "array"):
            names = [name for name, _ in payload]
            if kind == "document" and not all(_is_utf8(name) for name in names):
                return "invalid_utf8"
            if kind == "document" and len(set(names)) < len(names):
                return "duplicate_member"
            stack.extend(inner for _, inner in payload)
        elif kind == "code_with_scope":
            stack.extend([("code", payload[0]), ("document", payload[1])])
        elif kind in ("string", "code", "symbol"):
            if not _is_utf8(payload):
                return "invalid_utf8"
            if b"\0" in payload:
                return "nul_character"
    return None


def same(wanted, found):
    """Whether a decoded `jsonb` is what was wanted."""
    if isinstance(wanted, (Double, Told, Moment)):
        return wanted.is_in(found)
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict)
            and wanted.keys() == found.keys()
            and all(same(value, found[name]) for name, value in wanted.items())
        )
    if isinstance(wanted, list):
        return isinstance(found, list) and len(wanted) == len(found) and all(map(same, wanted, found))
    return type(wanted) is type(found) and wanted == found


def exact(value):
    """The exact Decimal of a number's payload, for numeric columns; None for what is none."""
    kind, payload = value
    if kind == "decimal":
        return Decimal128.from_bid(payload).to_decimal()
    return Decimal(payload) if kind in ("double", "int32", "int64") else None
