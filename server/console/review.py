"""The review desk: what lies with my level, approving, passing on, and returning with the place marked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import request, url_for

from schemas.fields import Ref
from schemas.labels import Label
from schemas.words import label_of, same
from schemas.workflow import LEVELS
from server.console.frame import Answer, Desk, answered, instance, onward, page, say, seat
from server.console.naming import value_of
from server.merging import backlog
from server.reading import records
from server.reading.finding import Seen
from server.storage.lists import Mark
from server.work import reviewing
from sync.core.errors import InvalidField, NotFound, Problem, Refused, Stale

desk = Desk("review", __name__)

MOST_REMARK = 1000
HIDDEN = ("status", "review", "signatures", "captions", "evidence", "notes")


class Said(NamedTuple):
    """A value on the page, and what was said of it: (text, when) of each remark."""

    path: str
    label: Label
    value: Label | None
    remarks: list[tuple[str, str]]


@desk.get("/review", may="review.read")
def queue() -> Answer:
    house, who = instance(), seat()
    kinds = reviewing.reviewed(house)
    names = [one.kind for one in kinds]
    asked = request.args.get("kind", "")
    asked = asked if asked in names else "inspection" if "inspection" in names else names[0]
    schema = next(one for one in kinds if one.kind == asked)
    level = reviewing.level_of(who.role, who.sight.areas)
    which = request.args.get("which", "mine" if level else "all")
    mine = reviewing.statuses_with(schema, level)
    if which == "returned":
        statuses = [name for name in schema.workflow.statuses if name == "returned"] if schema.workflow else []
    else:
        statuses = mine if which == "mine" else reviewing.statuses_with(schema, "")
    found = reviewing.queue(house, who.sight, schema, statuses, Mark.read(request.args.get("after", "")))
    return page(
        "review/queue.html",
        schema=schema,
        kinds=kinds,
        level=level,
        levels=LEVELS,
        which=which,
        lines=found.lines,
        after=found.after.token() if found.after else "",
        now=house.now(),
    )


@desk.get("/review/<record>", may="review.read")
def one(record: str) -> Answer:
    return _shown(record, {}, None, 200)


@desk.post("/review/<record>", may="review.decide")
def take(record: str) -> Answer:
    """Approve, pass on or return, from the status that was shown."""
    house, who = instance(), seat()
    remarks = {name[7:]: text for name, text in request.form.items() if name.startswith("remark:")}
    if any(len(text) > MOST_REMARK for text in remarks.values()):
        return _shown(record, remarks, Refused(detail=Label("说明太长", "a remark is too long")), 409)
    with house.database.read() as conn:
        seen = records.one(house, conn, who.sight, record)
    level = reviewing.level_of(who.role, who.sight.areas)
    try:
        reviewing.take(
            house, seen, request.form.get("to", ""), request.form.getlist("seen"), remarks,
            person=who.person.id, rights=who.rights, level=level,
        )  # fmt: skip
    except (Refused, InvalidField, Stale) as problem:
        return _shown(record, remarks, problem, 409)
    say(Label("已办理", "Done"))
    return onward(url_for("console.review.queue", kind=seen.state.kind))


def _shown(record: str, remarks: dict[str, str], problem: Problem | None, status: int) -> Answer:
    house, who = instance(), seat()
    with house.database.read() as conn:
        seen = records.one(house, conn, who.sight, record)
        schema = house.registry.get(seen.state.kind)
        if schema is None or schema not in reviewing.reviewed(house):
            raise NotFound(what=record)
        history, _ = records.history(conn, seen.state)
        holder = reviewing.holder_of(house, conn, schema, seen.state)
        blocking = reviewing.blocking(conn, seen.state)
        files = records.files(house, conn, seen)
        refs = [path for path in seen.values if isinstance(schema.field_of(path), Ref)]
        named = records.names(house, conn, who.sight, [str(seen.values[path]) for path in refs])
        writers = records.people_of(conn, {id for step in history for id in step.by})
    level = reviewing.level_of(who.role, who.sight.areas)
    told = _remarks(seen)
    path = schema.status_path() or ""
    fields = [
        Said(one, backlog.path_said(schema, one), _said(named, one, value) or value_of(schema, one, value), told.get(one, []))
        for one, value in sorted(seen.values.items())
        if one.partition("/")[0] not in HIDDEN and value is not None
    ]
    order = {name: number for number, name in enumerate(schema.fields_by_name())}
    fields.sort(key=lambda one: (order.get(one.path.partition("/")[0], 999), one.path))
    return answered(
        "review/one.html",
        status,
        seen=seen,
        schema=schema,
        title=records.title_of(house, seen.state),
        state_label=value_of(schema, path, seen.values.get(path)),
        looked_at=seen.state.ids(path),
        holder=holder,
        levels=LEVELS,
        blocking=blocking,
        about=lambda row: backlog.said(house.registry, row),
        fields=fields,
        warnings=schema.warnings(seen.values),
        photos=[(one, told.get(f"evidence/{one.id}", [])) for one in files],
        overall=told.get("", []),
        versions=reviewing.versions(history, schema),
        names=writers,
        path_said=lambda one: label_of(schema, one),
        value_said=lambda one, value: value_of(schema, one, value),
        steps=reviewing.steps(schema, seen.state, who.role, level) if who.may("review.decide") else [],
        is_return=reviewing.is_return,
        remarks=remarks,
        wrong=problem,
        now=house.now(),
    )


def _said(named: Mapping[str, records.Name], path: str, value: Any) -> Label | None:
    """What a reference leads to, by its name."""
    known = named.get(value) if isinstance(value, str) else None
    return same(known.title) if known is not None and known.title else None


def _remarks(seen: Seen) -> dict[str, list[tuple[str, str]]]:
    """path → (text, when) of what reviewers said of it, oldest first; "" for what is about the whole."""
    found: dict[str, list[tuple[str, str]]] = {}
    notes: list[dict[str, Any]] = [
        value for path, value in seen.values.items() if path.startswith("review/") and isinstance(value, dict)
    ]
    for value in sorted(notes, key=lambda one: str(one.get("at", ""))):
        found.setdefault(str(value.get("item", "")), []).append((str(value.get("text", "")), str(value.get("at", ""))))
    return found
