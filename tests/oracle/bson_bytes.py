"""Decodes BSON from its bytes, after the specification: every element in order, duplicates and invalid UTF-8 included.

A value is (kind, payload). Documents and arrays are lists of (name bytes, value); strings are bytes; Decimal128 is its 16 bytes.
"""

import struct

DOCUMENT, ARRAY = "document", "array"


class Malformed(Exception):
    """Not BSON."""


def document(raw):
    """The elements of a whole document."""
    elements, end = _elements(raw, 0)
    if end != len(raw):
        raise Malformed("bytes behind the document")
    return elements


def _elements(raw, at):
    (length,) = struct.unpack_from("<i", raw, at)
    end = at + length
    if end > len(raw) or raw[end - 1] != 0:
        raise Malformed("a document without its end")
    at += 4
    elements = []
    while at < end - 1:
        tag = raw[at]
        name, at = _cstring(raw, at + 1)
        value, at = _value(tag, raw, at)
        elements.append((name, value))
    return elements, end


def _cstring(raw, at):
    end = raw.index(0, at)
    return raw[at:end], end + 1


def _string(raw, at):
    (length,) = struct.unpack_from("<i", raw, at)
    end = at + 4 + length
    if length < 1 or raw[end - 1] != 0:
        raise Malformed("a string without its end")
    return raw[at + 4 : end - 1], end


def _binary(raw, at):
    (length,) = struct.unpack_from("<i", raw, at)
    subtype = raw[at + 4]
    data = raw[at + 5 : at + 5 + length]
    # The old binary has its length once more inside.
    return ("binary", (subtype, data[4:] if subtype == 2 else data)), at + 5 + length


def _scoped(raw, at):
    code, scope = _string(raw, at + 4)
    elements, end = _elements(raw, scope)
    return ("code_with_scope", (code, elements)), end


def _inside(kind, raw, at):
    elements, end = _elements(raw, at)
    return (kind, elements), end


def _regex(raw, at):
    pattern, at = _cstring(raw, at)
    options, at = _cstring(raw, at)
    return ("regex", (pattern, options)), at


def _pointer(raw, at):
    namespace, at = _string(raw, at)
    return ("db_pointer", (namespace, raw[at : at + 12])), at + 12


def _timestamp(raw, at):
    increment, seconds = struct.unpack_from("<II", raw, at)
    return ("timestamp", (seconds, increment)), at + 8


_TEXTS = {0x02: "string", 0x0D: "code", 0x0E: "symbol"}
_BARE = {0x06: "undefined", 0x0A: "null", 0x7F: "max_key", 0xFF: "min_key"}
_PACKED = {0x01: ("double", "<d", 8), 0x09: ("date", "<q", 8), 0x10: ("int32", "<i", 4), 0x12: ("int64", "<q", 8)}
_BYTES = {0x07: ("object_id", 12), 0x13: ("decimal", 16)}
_OTHERS = {0x05: _binary, 0x0B: _regex, 0x0C: _pointer, 0x0F: _scoped, 0x11: _timestamp}


def _value(tag, raw, at):
    if tag in _TEXTS:
        text, end = _string(raw, at)
        return (_TEXTS[tag], text), end
    if tag in _PACKED:
        kind, form, size = _PACKED[tag]
        return (kind, struct.unpack_from(form, raw, at)[0]), at + size
    if tag in _BARE:
        return (_BARE[tag], None), at
    if tag in _BYTES:
        kind, size = _BYTES[tag]
        return (kind, raw[at : at + size]), at + size
    if tag == 0x08:
        return ("bool", raw[at] == 1), at + 1
    if tag in (0x03, 0x04):
        return _inside(DOCUMENT if tag == 0x03 else ARRAY, raw, at)
    if tag in _OTHERS:
        return _OTHERS[tag](raw, at)
    raise Malformed(f"type {tag:#x}")


def member(elements, path):
    """(found, value) of a path of names; the last of equal names counts."""
    value = (DOCUMENT, elements)
    for part in path:
        if value[0] != DOCUMENT:
            return False, None
        found = [inner for name, inner in value[1] if name == part.encode()]
        if not found:
            return False, None
        value = found[-1]
    return True, value
