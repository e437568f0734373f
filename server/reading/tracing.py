"""责任倒查: of a record and of what names it, who knew what when, and which deadline passed; read again from the log.

Nothing is kept for this. Every line is a change or an act of the log, or follows from two of them: a day that went by while
nobody had taken the step. It tells what is evidenced. That somebody has no line does not mean that they knew nothing.

Times of changes are those of the tablet that wrote them, as long as they lie before their arrival at the server, which is told
beside them; whether a deadline had passed is judged by the server's clock alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from schemas import words
from schemas.base import RecordSchema
from schemas.kinds.institution import LEVELS, Institution
from schemas.labels import Label
from server import acts
from server.access.policy import Sight
from server.access.rights import ROLES
from server.evidence import openings
from server.evidence.openings import DONE, Access
from server.instance import Instance
from server.moments import day_span
from server.reading import records
from server.reading.finding import Seen
from server.reading.records import Step
from server.reading.searching import Searcher
from server.storage import people
from server.storage.database import Connection
from server.storage.people import Person

MOST_RELATED = 200
LEFT_OUT = frozenset({"evidence", "anchor", "shift", "capture_key", "officer_key"})
"""Kinds that name a record and tell nothing of who knew of it, besides what the record itself tells."""
SERVER = "system"
FEW = 4
DECISIONS = {
    "resolve": Label("裁决冲突", "decided a conflict"), "merge": Label("合并", "merged"), "withdraw": Label("撤销决定", "took a decision back"),
    "admit": Label("采纳", "admitted"), "close": Label("关闭", "closed"),
}  # fmt: skip


class Subject(NamedTuple):
    """A record that the trace tells of."""

    record: str
    kind: Label
    title: str
    area: str


class Line(NamedTuple):
    """One thing that happened. Times are milliseconds.

    at        when, by whose clock the module says; received: when the server had it
    sort      made, step, changed, decided, kept (it waits or was not admitted), opened, denied, exported, traced or overdue
    stayed    of a step: for how long it had stood where it was
    """

    at: int
    received: int
    sort: str
    subject: Subject
    by: tuple[str, ...]
    device: str
    what: Label
    stayed: int
    log: str
    leaf: int | None


class Known(NamedTuple):
    """The first evidence that somebody knew."""

    person: str
    name: str
    role: Label
    line: Line


class Passed(NamedTuple):
    """A deadline that went by: its day, since when it is over, in which status the record was, until when and by whom.

    `until` is None while it still goes on. `known`: who is shown to have known of this record before.
    """

    subject: Subject
    field: Label
    due: str
    since: int
    status: Label
    until: int | None
    by: tuple[str, ...]
    known: tuple[Known, ...]


class Answers(NamedTuple):
    """Who answers for the institution at a level, and since when that is written there."""

    level: Label
    name: str
    post: str
    since: int


class Trace(NamedTuple):
    subject: Subject
    others: list[Subject]
    lines: list[Line]
    known: list[Known]
    passed: list[Passed]
    answers: list[Answers]
    names: dict[str, str]
    left_out: int


def trace(house: Instance, sight: Sight, role: str, record: str) -> Trace:
    """The trace of a record in sight. Raises NotFound. What is out of sight has no line in it."""
    kinds = [one.kind for one in records.kinds_in_sight(house, sight) if one.kind not in LEFT_OUT]
    named = Searcher(house).naming([record], records.text_sight(sight), kinds, MOST_RELATED)
    with house.database.read() as conn:
        seen = [records.one(house, conn, sight, id) for id in (record, *(one.row["record"] for one in named))]
        seen = list({one.record: one for one in seen}.values())
        subjects = {one.record: _subject(house, one) for one in seen}
        lines, passed, left_out = [], [], 0
        for one in seen:
            schema = house.registry.get(one.state.kind)
            if schema is not None:
                steps, many = records.history(conn, one.state, schema, role)
                left_out += many - len(steps)
                lines += list(_written(schema, subjects[one.record], steps[::-1]))
                passed += list(_deadlines(schema, subjects[one.record], steps[::-1], house.now()))
        answers = _answers(house, conn, sight, seen[0])
    lines += [_access(one, subjects) for one in openings.listed(house, sight.rights()) if str(one.act.body.get("record")) in subjects]
    lines += [_overdue(one) for one in passed]
    lines.sort(key=lambda one: (one.at, one.received))
    with house.database.read() as conn:
        persons = {id: who for id in {id for line in lines for id in line.by} if (who := people.person(conn, id)) is not None}
    return Trace(
        subjects[seen[0].record], [subjects[one.record] for one in seen[1:]], lines, _known(lines, persons),
        [_with_known(one, lines, persons) for one in sorted(passed, key=lambda one: one.since)], answers,
        {id: who.name for id, who in persons.items()}, left_out,
    )  # fmt: skip


def note(house: Instance, sight: Sight, by: Person, record: str, purpose: str) -> acts.Act:
    """Say in the log that somebody looks at a trace, before it is shown. Raises NotFound."""
    with house.database.write() as conn:
        seen = records.one(house, conn, sight, record)
        schema = house.registry.get(seen.state.kind)
        wall = schema.compartment if schema is not None else ""
        return acts.append(conn, wall, acts.TRACED, house.now(), by=by.id, record=seen.record, purpose=purpose)


# --- What was written ---------------------------------------------------------------------------------------------------


def _subject(house: Instance, seen: Seen) -> Subject:
    schema = house.registry.get(seen.state.kind)
    label = schema.label if schema is not None else Label(seen.state.kind, seen.state.kind)
    area = seen.values.get(schema.area_field) if schema is not None and schema.area_field else None
    return Subject(seen.record, label, records.title_of(house, seen.state), area if isinstance(area, str) else "")


def _written(schema: type[RecordSchema], subject: Subject, steps: Sequence[Step]) -> Iterator[Line]:
    """The changes of a record, oldest first, each as one line."""
    path = schema.status_path()
    status, since, made = schema.workflow.initial if schema.workflow else "", 0, False
    for step in steps:
        sort, what, stayed = "changed", _changed(schema, step), 0
        to = next((str(told.after) for told in step.told if told.path == path and told.after), None) if path else None
        if step.status != "accepted":
            sort, what = "kept", Label(f"已收到，留待处理：{what.zh}", f"received, and kept for a decision: {what.en}")
        elif step.decision is not None:
            sort = "decided"
            what = _decided(step, what)
        elif not made:
            sort, what = "made", Label(f"登记{schema.label.zh}", f"entered the {schema.label.en.lower()}")
        elif to is not None and to != status:
            sort, what, stayed = "step", _step(schema, status, to), max(step.received - since, 0) if since else 0
        if step.status == "accepted":
            made = True
            if to is not None and to != status or not since:
                status, since = to or status, step.received
        at = min(step.at, step.received) or step.received
        yield Line(at, step.received, sort, subject, tuple(step.by), step.device, what, stayed, step.log, step.leaf)


def _step(schema: type[RecordSchema], source: str, target: str) -> Label:
    """A step of the workflow, with where it leads: `退回（待整改）`."""
    workflow = schema.workflow
    assert workflow is not None
    to = workflow.statuses[target].label if target in workflow.statuses else Label(target, target)
    taken = next((one.label for one in workflow.transitions if (one.source, one.target) == (source, target)), None)
    return Label(f"{taken.zh} → {to.zh}", f"{taken.en} → {to.en}") if taken is not None and taken != to else Label(f"→ {to.zh}", f"→ {to.en}")


def _changed(schema: type[RecordSchema], step: Step) -> Label:
    fields = list(dict.fromkeys(words.label_of(schema, told.path) for told in step.told))
    zh, en = "、".join(one.zh for one in fields[:FEW]), ", ".join(one.en for one in fields[:FEW])
    if len(fields) > FEW:
        zh, en = f"{zh} 等 {len(fields)} 项", f"{en} and {len(fields) - FEW} more"
    return Label(f"填写 {zh}", f"wrote {en}")


def _decided(step: Step, what: Label) -> Label:
    decision = step.decision or {}
    done, reason = DECISIONS.get(str(decision.get("do")), what), str(decision.get("reason") or "")
    return Label(f"{done.zh}：{reason}", f"{done.en}: {reason}") if reason else done


# --- Deadlines ------------------------------------------------------------------------------------------------------------


def _deadlines(schema: type[RecordSchema], subject: Subject, steps: Sequence[Step], now: int) -> Iterator[Passed]:
    """The deadlines that went by, from the accepted changes as the server had them one after the other.

    One that was past its day when the record was begun was so from that day on: a tablet may have been without a network. One
    that a later change made so, a record reopened or a day set back, is so since that change.
    """
    rule, path, workflow = schema.runs_out, schema.status_path(), schema.workflow
    if rule is None or path is None or workflow is None:
        return
    label = words.label_of(schema, rule.field)
    status, due, going = workflow.initial, "", None
    for n, step in enumerate(one for one in steps if one.status == "accepted"):
        going = going or _gone(rule.running, status, due, step.received)
        for told in step.told:
            status = str(told.after) if told.path == path and told.after else status
            due = str(told.after or "") if told.path == rule.field else due
        over = _gone(rule.running, status, due, step.received)
        if going and over is None:
            yield Passed(subject, label, going[0], going[1], workflow.statuses[going[2]].label, step.received, tuple(step.by), ())
            going = None
        elif over and going is None:
            going = over if n == 0 else (over[0], step.received, over[2])
    going = going or _gone(rule.running, status, due, now)
    if going:
        yield Passed(subject, label, going[0], going[1], workflow.statuses[going[2]].label, None, (), ())


def _gone(running: Iterable[str], status: str, due: str, at: int) -> tuple[str, int, str] | None:
    """(its day, since when, status) of a deadline that is over at a time; None where it is not, or nothing is due."""
    span = day_span(due)
    return (due, span[1], status) if status in running and span is not None and span[1] <= at else None


def _overdue(one: Passed) -> Line:
    what = Label(f"{one.field.zh} {one.due} 已过，仍为“{one.status.zh}”", f"{one.field.en.lower()} {one.due} has passed, still “{one.status.en}”")
    return Line(one.since, one.since, "overdue", one.subject, (), "", what, 0, "", None)


# --- Who knew ---------------------------------------------------------------------------------------------------------------


def _access(one: Access, subjects: dict[str, Subject]) -> Line:
    body = one.act.body
    done, purpose = DONE[body["act"]], str(body.get("purpose") or "")
    what = Label(f"{done.zh}：{purpose}", f"{done.en}: {purpose}") if purpose else done
    by = (str(body["by"]),) if body.get("by") else ()
    at, device = int(body["at"]), str(body.get("device") or "")
    return Line(at, at, body["act"], subjects[str(body["record"])], by, device, what, 0, one.act.log, one.act.leaf)


def _known(lines: Iterable[Line], persons: dict[str, Person]) -> list[Known]:
    """The first evidence for each person, earliest first. A denied attempt shows no knowledge of what is in it."""
    found: dict[str, Known] = {}
    for line in lines:
        for id in line.by if line.sort != "denied" else ():
            if id in persons and id not in found:
                found[id] = Known(id, persons[id].name, ROLES[persons[id].role], line)
    return list(found.values())


def _with_known(one: Passed, lines: Iterable[Line], persons: dict[str, Person]) -> Passed:
    before = [line for line in lines if line.subject.record == one.subject.record and line.at < one.since]
    return one._replace(known=tuple(_known(before, persons)))


def _answers(house: Instance, conn: Connection, sight: Sight, seen: Seen) -> list[Answers]:
    """Who answers for the institution that a record is, or names, at the four levels."""
    if seen.state.kind != Institution.kind:
        place = seen.values.get("institution")
        if not isinstance(place, str) or place not in records.names(house, conn, sight, [place]):
            return []
        seen = records.one(house, conn, sight, place)
    wrote = records.writers(conn, seen.state)
    found = []
    for level, label in LEVELS.items():
        held = seen.values.get(f"responsible/{level}")
        if isinstance(held, dict) and held.get("name"):
            found.append(Answers(label, str(held["name"]), str(held.get("post") or ""), wrote.get(f"responsible/{level}", ([], 0))[1]))
    return found
