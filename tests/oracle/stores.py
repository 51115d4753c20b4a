"""What a stream should be, read from its store: records by key, and what must have been parked."""

import glob
import os
import re

from decode import Object, Unreadable, at_pointer, decode, fault, field
from keys import of_value

MAX_LINE = 16 * 1024 * 1024


class Expected:
    """Records by key, dead letters as (code, place, at), and a reason when the store cannot be read just now."""

    def __init__(self):
        self.records = {}
        self.parked = []
        self.blocked = set()
        self.unreadable = None

    def put(self, key, value):
        if key in self.blocked:
            self.parked.append(("behind", None, None))
        else:
            self.records[key] = value

    def park(self, code, place=None, at=None, key=None):
        self.parked.append((code, place, at))
        if key is not None:
            self.blocked.add(key)


def expected(config, stream, folder, ledger):
    """What the table of `stream` should hold."""
    source = config["sources"][stream["source"]]
    kind = source["kind"]
    if kind == "json_document":
        return _document(os.path.join(folder, source["path"]), stream)
    if kind == "json_directory":
        return _directory(os.path.join(folder, source["path"]), source.get("glob", "**/*.json"), stream)
    files = [ledger] if ledger else _glob(folder, source["path"])
    return _lines(files, stream)


def _key_path(stream):
    key = stream.get("key")
    if isinstance(key, dict):
        key = key.get("from")
    return key


def _document(path, stream):
    result = Expected()
    try:
        with open(path, "rb") as file:
            document = decode(file.read())
        part = at_pointer(document, stream.get("select", ""))
    except (OSError, Unreadable, KeyError, IndexError, TypeError) as error:
        result.unreadable = f"{path}: {error!r}"
        return result
    key_path = _key_path(stream)
    if isinstance(part, Object):
        entries = [(name, value) for name, value in part.pairs]
    else:
        entries = [(None, value) for value in part]
    seen = set()
    for name, value in entries:
        found, by = (True, name) if key_path is None else field(value, key_path)
        key = of_value(by) if found else None
        if key is None:
            result.park("key_missing")
        elif key in seen:
            result.park("duplicate_key")
        else:
            seen.add(key)
            code = fault(value)
            if code:
                result.park(code, key=key)
            else:
                result.put(key, value)
    return result


def _translate(pattern):
    """A glob with ** as a regular expression over `/`-separated paths."""
    out = ""
    for part in re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]*\]|\{[^}]*\})", pattern):
        if part == "**/":
            out += "(?:.*/)?"
        elif part == "**":
            out += ".*"
        elif part == "*":
            out += "[^/]*"
        elif part == "?":
            out += "[^/]"
        elif part.startswith("["):
            out += part
        elif part.startswith("{"):
            out += "(?:" + "|".join(re.escape(word) for word in part[1:-1].split(",")) + ")"
        else:
            out += re.escape(part)
    return re.compile(out + r"\Z")


def _directory(root, pattern, stream):
    result = Expected()
    wanted = _translate(pattern)
    if not os.path.isdir(root):
        result.unreadable = f"{root}: not a directory"
        return result
    found = [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]
    seen = set()
    # Where two files hold one key, the first path stands, in the order of its bytes.
    for below in sorted((os.path.relpath(path, root) for path in found), key=os.fsencode):
        path = os.path.join(root, below)
        if wanted.match(below) and os.path.isfile(path) and not os.path.islink(path):
            _file(result, path, below, (stream, seen))
    return result


def _file(result, path, below, context):
    stream, seen = context
    key_path = _key_path(stream)
    try:
        with open(path, "rb") as file:
            value = decode(file.read())
    except (OSError, Unreadable) as error:
        result.unreadable = f"{below}: {error!r}"
        return
    found, by = (True, os.path.splitext(below)[0]) if key_path is None else field(value, key_path)
    key = of_value(by) if found else None
    code = fault(value)
    if key is None:
        result.park("key_missing", below, 0)
    elif key in seen:
        result.park("duplicate_key", below, 0)
    elif code:
        result.park(code, below, 0, key)
    else:
        result.put(key, value)
    seen.add(key)


def _glob(folder, pattern):
    return sorted(glob.glob(os.path.join(glob.escape(folder), pattern), recursive=True))


def _whole_lines(file):
    """(start, line) of every terminated line; of an overlong one, its head."""
    start = 0
    while head := file.readline(MAX_LINE + 2):
        until = start + len(head)
        piece = head
        while piece and not piece.endswith(b"\n"):
            piece = file.readline(MAX_LINE)
            until += len(piece)
        # A last line without its newline is not a line yet.
        if piece.endswith(b"\n"):
            yield start, head.removesuffix(b"\n")
        start = until


def _lines(files, stream):
    result = Expected()
    key_path = _key_path(stream)
    for path in files:
        with open(path, "rb") as file:
            for start, line in _whole_lines(file):
                if line.strip(b" \t\r"):
                    _line(result, line, key_path, (path, start))
    return result


def _line(result, line, key_path, place):
    if len(line) > MAX_LINE:
        result.park("too_large", *place)
        return
    try:
        value = decode(line)
    except Unreadable as error:
        result.park(error.code, *place)
        return
    if not isinstance(value, Object):
        result.park("not_an_object", *place)
        return
    if key_path == "position":
        result.records[("line", len(result.records))] = value
        return
    found, by = field(value, key_path)
    key = of_value(by) if found else None
    if key is None:
        result.park("key_missing", *place)
        return
    code = fault(value)
    if code:
        result.park(code, *place, key=key)
    else:
        result.put(key, value)
