"""The key column of a document: the tagged encoding of its `_id`, written from the rules and not from the product.

Two `_id`s have one encoding exactly when MongoDB holds them for equal, so numbers go by exact value whatever their type.
"""

import hashlib
import math
import uuid
from decimal import Context, Decimal

from bson.decimal128 import Decimal128

MAX_BYTES = 1_024
PLAIN_PLACES = 40  # up to so many places a number is written out

_EXACT = Context(prec=2_000, Emin=-999_999, Emax=999_999)


def of_id(value):
    """The text of the key column."""
    text = _top(value)
    raw = text.encode()
    return text if len(raw) <= MAX_BYTES else "h:" + hashlib.sha256(raw).hexdigest()


def comparable(text):
    """A key column's text, so that one number has one form."""
    if text.startswith("n:") and text[2:] not in ("NaN", "Infinity", "-Infinity"):
        return ("n", _EXACT.create_decimal(text[2:]).normalize(_EXACT))
    return text


def number(kind, payload):
    """The exact value of any of the four kinds of numbers, as a Decimal; NaN and the infinities as floats."""
    if kind == "decimal":
        exact = Decimal128.from_bid(payload).to_decimal()
        return exact if exact.is_finite() else float(str(exact).replace("sNaN", "NaN"))
    if kind == "double" and not math.isfinite(payload):
        return payload
    return Decimal(payload)


NUMBERS = ("double", "int32", "int64", "decimal")


def _top(value):
    kind, payload = value
    if kind in ("string", "symbol"):
        return "s:" + _chunks(payload, lambda text: text.replace("\\", "\\\\").replace("\0", "\\0"))
    if kind in NUMBERS:
        return "n:" + _normal(number(kind, payload))
    if kind == "bool":
        return "T:" if payload else "F:"
    if kind == "null":
        return "z:"
    if kind in ("document", "array"):
        return "x:" + _inside(value)
    return _inside(value)


def _inside(value):
    kind, payload = value
    if kind in ("string", "symbol"):
        return _quoted(payload)
    if kind in NUMBERS:
        return _normal(number(kind, payload))
    if kind == "document":
        return "{" + ",".join(f"{_quoted(name)}:{_inside(inner)}" for name, inner in payload) + "}"
    if kind == "array":
        return "[" + ",".join(_inside(inner) for _, inner in payload) + "]"
    return {
        "bool": lambda: "true" if payload else "false",
        "null": lambda: "null",
        "object_id": lambda: "o:" + payload.hex(),
        "binary": lambda: _bytes(*payload),
        "date": lambda: f"d:{payload}",
        "timestamp": lambda: f"t:{payload[0]}.{payload[1]}",
        "min_key": lambda: "m:",
        "max_key": lambda: "M:",
        "undefined": lambda: "v:",
        "code": lambda: "c:" + _quoted(payload),
        "code_with_scope": lambda: f"w:{_quoted(payload[0])},{_inside(('document', payload[1]))}",
        "regex": lambda: f"r:{_quoted(payload[0])},{_quoted(payload[1])}",
        "db_pointer": lambda: f"D:{_quoted(payload[0])},{payload[1].hex()}",
    }[kind]()


def _bytes(subtype, data):
    if subtype == 4 and len(data) == 16:
        return f"u:{uuid.UUID(bytes=data)}"
    return f"b:{subtype:02x}{data.hex()}"


def _chunks(raw, escape):
    """Text with what is not UTF-8 as `\\x` and hex."""
    out = ""
    for char in raw.decode("utf-8", "surrogateescape"):
        code = ord(char)
        out += f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else escape(char)
    return out


def _quoted(raw):
    def escape(char):
        if char in '"\\':
            return "\\" + char
        return f"\\u{ord(char):04x}" if ord(char) < 0x20 else char

    return '"' + _chunks(raw, escape) + '"'


def _normal(value):
    """The one spelling of a number."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if not value:
        return "0"
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    short = text.rstrip("0")
    exponent += len(text) - len(short)
    minus = "-" if sign else ""
    places = len(short) + exponent
    if places > PLAIN_PLACES or exponent < -PLAIN_PLACES:
        return f"{minus}{short}e{exponent}"
    return format(Decimal((sign, tuple(map(int, short)), exponent)), "f")
