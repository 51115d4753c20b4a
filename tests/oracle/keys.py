"""Keys of records, in a form that can be compared: what stands in a store, and what stands in a key column.

The column's text is decoded rather than re-encoded wherever it can be, so that this side does not repeat the product's spelling.
"""

import hashlib
import re
from decimal import Decimal

from decode import Object, decode

MAX_BYTES = 1_024


def _normal(digits):
    text = format(Decimal(digits), "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if not text.strip("-0") else text


def _plain(value):
    """Structure with member order and normalised numbers."""
    if isinstance(value, Object):
        return ("object", tuple((name, _plain(member)) for name, member in value.pairs))
    if isinstance(value, list):
        return ("array", tuple(_plain(member) for member in value))
    if isinstance(value, tuple):
        return ("num", _normal(value[1]))
    return value


def of_value(value):
    """The key that a JSON value makes; None when it makes none."""
    if isinstance(value, str):
        if len(value.encode("utf-8", "surrogatepass")) + 2 > MAX_BYTES:
            return ("h", hashlib.sha256(b"s:" + value.encode()).hexdigest())
        return ("s", value)
    if value is True or value is False:
        return ("b", value)
    if isinstance(value, tuple):
        return ("n", _normal(value[1]))
    if isinstance(value, (Object, list)):
        return ("x", _plain(value))
    return None


def of_column(text):
    """The key that a tagged key column holds."""
    tag, _, rest = text.partition(":")
    if tag == "s":
        # A backslash is doubled, so that U+0000 has a spelling.
        return ("s", re.sub(r"\\[\\0]", lambda found: "\0" if found[0] == r"\0" else "\\", rest))
    if tag == "n":
        return ("n", _normal(rest))
    if tag in "TF":
        return ("b", tag == "T")
    if tag == "x":
        return ("x", _plain(decode(rest.encode())))
    if tag == "h":
        return ("h", rest)
    return ("other", text)
