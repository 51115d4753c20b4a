"""Reads tables through psql's COPY, in text form, which has no types of its own to lose anything in."""

import subprocess

_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}


class NoAnswer(Exception):
    """PostgreSQL could not be asked."""


def identifier(name):
    return '"' + name.replace('"', '""') + '"'


def literal(text):
    return "'" + text.replace("'", "''") + "'"


def rows(query):
    """The rows of a query; None for NULL."""
    command = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", f"COPY ({query}) TO STDOUT (ENCODING 'UTF8')"]
    done = subprocess.run(command, capture_output=True, timeout=120)
    if done.returncode != 0:
        raise NoAnswer(done.stderr.decode(errors="replace"))
    text = done.stdout.decode("utf-8")
    return [[_unescape(value) for value in line.split("\t")] for line in text.split("\n")[:-1]]


def _unescape(value):
    if value == "\\N":
        return None
    if "\\" not in value:
        return value
    out = []
    at = 0
    while True:
        slash = value.find("\\", at)
        if slash < 0:
            out.append(value[at:])
            return "".join(out)
        out.append(value[at:slash])
        out.append(_ESCAPES[value[slash + 1]])
        at = slash + 2


def exists(relation):
    return rows(f"select to_regclass({literal(relation)}) is not null")[0][0] == "t"


def added(config, name):
    """Columns that the service says it added to a stream's table, and the fields that it says they hold."""
    if config["streams"][name].get("evolve") != "add_column":
        return []
    of_stream = f"pipeline = {literal(config['name'])} and stream = {literal(name)}"
    return rows(f"select target_column, field from landfall.added_columns where {of_stream} order by number")


def columns(schema, table):
    """Column names and types in order."""
    return rows(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = "
        f"to_regclass({literal(identifier(schema) + '.' + identifier(table))}) and attnum > 0 and not attisdropped order by attnum"
    )
