"""Checks what equality cannot see: each change counted once, steps joined, rows and checkpoint in one transaction, no version going back."""

from collections import Counter

from equality import SHOWN
from tables import exists, literal, rows


def witness(config):
    """The problems found, by kind."""
    problems = {}
    pipeline = literal(config["name"])
    marks = rows(
        "select stream, partition, next_offset, applied + superseded + filtered + dead_lettered, dead_lettered "
        f"from landfall.checkpoints where pipeline = {pipeline}"
    )
    _note(problems, "counts do not add up to the checkpoint", [mark for mark in marks if mark[2] != mark[3]])
    _dead_letters(problems, pipeline, marks)
    if exists("audit.steps"):
        _steps(problems, pipeline, marks)
        _ranges(problems, pipeline)
        _transactions(problems)
        _versions(problems)
    return {"checkpoints": len(marks), "events": sum(int(mark[2]) for mark in marks), "problems": problems}


def _note(problems, kind, found):
    if found:
        problems[kind] = {"count": len(found), "first": [repr(item)[:300] for item in found[:SHOWN]]}


def _dead_letters(problems, pipeline, marks):
    counted = Counter()
    for stream, _, _, _, dead in marks:
        counted[stream] += int(dead)
    # Records that a copy parked were never events: its ranges count them.
    for stream, parked in rows(f"select stream, sum(parked) from landfall.ranges where pipeline = {pipeline} group by 1"):
        counted[stream] += int(parked)
    # A stream that was bound to another queue counts from then on.
    stored = dict(
        rows(
            f"select stream, count(*) from landfall.dead_letters d where pipeline = {pipeline} and created_at > coalesce("
            "(select max(at) from landfall.history h where h.pipeline = d.pipeline and h.stream = d.stream "
            "and event = 'rebound'), '-infinity') group by 1"
        )
    )
    wrong = [(name, count, stored.get(name, 0)) for name, count in counted.items() if count != int(stored.get(name, 0))]
    _note(problems, "dead letters counted are not the dead letters stored", wrong)


def _steps(problems, pipeline, marks):
    steps = rows(
        "select stream, partition, from_offset, until_offset from audit.steps "
        f"where pipeline = {pipeline} order by stream, partition, n"
    )
    rebound = dict(
        rows(f"select stream, count(*) from landfall.history where pipeline = {pipeline} and event = 'rebound' group by 1")
    )
    broken = []
    reached = {}
    anew = Counter()
    for stream, partition, start, until in steps:
        # Bound to another queue, a partition begins at 0 again: once for each such decision in the history, and no oftener.
        if int(until) == 0 and reached.get((stream, partition)) == int(start):
            anew[(stream, partition)] += 1
            if anew[(stream, partition)] <= int(rebound.get(stream, 0)):
                reached[(stream, partition)] = 0
                continue
        if reached.get((stream, partition), 0) != int(start) or int(until) <= int(start):
            broken.append((stream, partition, start, until))
        reached[(stream, partition)] = int(until)
    ends = [mark for mark in marks if reached.get((mark[0], mark[1]), 0) != int(mark[2])]
    _note(problems, "steps of a checkpoint do not join", broken)
    _note(problems, "steps do not end at the checkpoint", ends)


def _ranges(problems, pipeline):
    broken, reached = [], {}
    steps = rows(
        "select stream, copy, number, was, read from audit.range_steps "
        f"where pipeline = {pipeline} order by stream, copy, number, n"
    )
    for stream, copy, number, was, read in steps:
        if reached.get((stream, copy, number), 0) != int(was) or int(read) < int(was):
            broken.append((stream, copy, number, was, read))
        reached[(stream, copy, number)] = int(read)
    _note(problems, "steps of a range do not join", broken)


def _transactions(problems):
    loose = rows(
        "select w.stream, w.xid, count(*) from audit.writes w where not exists "
        "(select 1 from audit.steps s where s.xid = w.xid and s.stream = w.stream) and not exists "
        "(select 1 from audit.range_steps r where r.xid = w.xid and r.stream = w.stream) group by 1, 2"
    )
    _note(problems, "rows were written in a transaction without their checkpoint", loose)


def _versions(problems):
    back, again, foreign = [], [], []
    newest, current = {}, {}
    for stream, key, op, version, before in rows("select stream, key, op, version, before from audit.writes order by n"):
        row = (stream, key)
        if before is not None and current.get(row) != before:
            foreign.append((row, op, before, current.get(row)))
        if op == "delete":
            current.pop(row, None)
            continue
        if row in newest and int(version) == newest[row]:
            again.append((row, version))
        elif row in newest and int(version) < newest[row]:
            back.append((row, version, newest[row]))
        newest[row] = max(int(version), newest.get(row, -1))
        current[row] = version
    _note(problems, "a version was written twice", again)
    _note(problems, "a key went back in version", back)
    _note(problems, "a row changed outside the audit", foreign)
