"""Decodes stores: JSON with exact numbers and every duplicate member seen. Python's own parser, none of the product's.

A number becomes ("num", digits) with the digits PostgreSQL would print: scale kept, exponent spelled out. Objects keep all
their pairs, so that duplicates are found at every depth. A record that cannot be stored has a fault: the code of its dead letter.
"""

import json
from decimal import Decimal

# What numeric, and with it jsonb, can hold: digits before and behind the point.
MAX_BEFORE = 131_072
MAX_BEHIND = 16_383


class Unreadable(Exception):
    """Not JSON as a whole. Carries the code and, where known, the byte offset."""

    def __init__(self, code, at=None):
        super().__init__(code)
        self.code = code
        self.at = at


class Object(dict):
    """An object with its pairs in order, duplicates included. The first of equal names stands in the dict."""

    def __init__(self, pairs):
        super().__init__()
        self.pairs = pairs
        for name, value in pairs:
            self.setdefault(name, value)

    def has_duplicates(self):
        return len(self) != len(self.pairs)


def number(text):
    exact = Decimal(text)
    exponent = exact.as_tuple().exponent
    if exact.adjusted() >= MAX_BEFORE or -exponent > MAX_BEHIND:
        return ("num", "out of range")
    return ("num", format(exact, "f"))


def _storable(digits):
    """Neither beyond numeric nor a zero whose sign it would lose."""
    return digits != "out of range" and (digits.strip("-0.") != "" or not digits.startswith("-"))


def _constant(name):
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=Object, parse_float=number, parse_int=number, parse_constant=_constant, strict=True
)


def decode(raw):
    """The value of UTF-8 bytes, or Unreadable."""
    if raw.startswith(b"\xef\xbb\xbf"):
        raw = raw[3:]
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable("invalid_utf8", error.start) from None
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise Unreadable("too_deep") from None
    except json.JSONDecodeError as error:
        raise Unreadable("malformed", len(text[: error.pos].encode("utf-8", "surrogatepass"))) from None
    except ValueError:
        raise Unreadable("malformed") from None


def fault(value):
    """Why a decoded record cannot be stored, or None."""
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, Object):
            if value.has_duplicates():
                return "duplicate_member"
            stack.extend(value.keys())
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, str):
            if "\0" in value:
                return "nul_character"
            if any("\ud800" <= c <= "\udfff" for c in value):
                return "lone_surrogate"
        elif isinstance(value, tuple) and not _storable(value[1]):
            return "number_range"
    return None


def at_pointer(document, pointer):
    """The value at a JSON pointer; KeyError when there is none."""
    value = document
    for token in pointer.split("/")[1:] if pointer else []:
        token = token.replace("~1", "/").replace("~0", "~")
        value = value[int(token)] if isinstance(value, list) else value[token]
    return value


def field(record, path):
    """(found, value) of `a.b` or `/a/b` in a record."""
    parts = (
        [token.replace("~1", "/").replace("~0", "~") for token in path.split("/")[1:]]
        if path.startswith("/")
        else path.split(".")
    )
    value = record
    for part in parts:
        if not isinstance(value, dict) or part not in value:
            return False, None
        value = value[part]
    return True, value
