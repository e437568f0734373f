"""Who opened what: the access log, as oversight and leaders read it from the acts in the log."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from flask import Response, request

from schemas.certificates import CHINA
from schemas.labels import Label
from server import acts
from server.console.frame import Answer, Desk, instance, language, page, seat
from server.console.naming import here
from server.evidence import openings
from server.evidence.openings import DONE, Access
from server.moments import moment
from server.reading import records
from server.register.sheets import csv_text
from server.storage import people, states
from sync.core.errors import InvalidField

desk = Desk("access", __name__)

SHOWN = 300
CONSOLE = Label("控制台", "the console")
HEADER = (
    Label("时间", "Time"), Label("人员", "Person"), Label("设备", "Device"), Label("事项", "What"), Label("记录", "Record"),
    Label("区划", "Area"), Label("目的", "Purpose"), Label("文件", "File"), Label("日志位置", "Leaf of the log"),
)  # fmt: skip


class Line(NamedTuple):
    """One opening, denied attempt or export. `title`: what the record is called, where the reader sees it now."""

    at: str
    person: str
    device: str
    what: Label
    denied: bool
    record: str
    title: str
    area: str
    purpose: str
    blob: str
    leaf: str


@desk.get("/access", may="access.read")
def listing() -> Answer:
    asked = {name: request.args.get(name, "").strip() for name in ("person", "record", "since")}
    lines = _lines(asked)
    return page("access/list.html", lines=lines[:SHOWN], more=max(0, len(lines) - SHOWN), asked=asked, header=HEADER)


@desk.get("/access.csv", may="access.read")
def export() -> Answer:
    asked = {name: request.args.get(name, "").strip() for name in ("person", "record", "since")}
    said = language()
    rows: list[list[Any]] = [[label.text(said) for label in HEADER]]
    for one in _lines(asked):
        record = " ".join(part for part in (one.title, one.record) if part)
        area = here().typed(one.area)
        rows.append([one.at, one.person, one.device, one.what.text(said), record, area, one.purpose, one.blob, one.leaf])
    return Response(
        csv_text(rows),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="access.csv"'},
    )


class _Known(NamedTuple):
    """What ids are called: people, devices, records, and where these lie."""

    people: dict[str, str]
    devices: dict[str, str]
    records: dict[str, records.Name]
    places: dict[str, str]


def _lines(asked: dict[str, str]) -> list[Line]:
    house, sight = instance(), seat().sight
    found = list(openings.listed(house, sight.rights(), record=asked["record"] or None, since=_since(asked["since"])))
    ids = {str(one.act.body["record"]) for one in found if one.act.body.get("record")}
    with house.database.read() as conn:
        own = {voice.replica: CONSOLE.text(language()) for voice in house.keys.voices.values()}
        known = _Known(
            {one.id: one.name for one in people.everybody(conn)},
            {one.id: one.name for one, _ in people.every_device(conn)} | own,
            records.names(house, conn, sight, ids),
            {id: place.bucket.partition(":")[2] for id, (_, place) in states.placed(conn, ids).items() if place is not None},
        )
    who = asked["person"]
    wanted = {id for id, name in known.people.items() if who in (id, name)} if who else None
    lines = [_line(one, known) for one in found if wanted is None or one.act.body.get("by") in wanted]
    return sorted(lines, key=lambda one: one.at, reverse=True)


def _line(one: Access, known: _Known) -> Line:
    body = one.act.body
    by, device, record = (str(body.get(name) or "") for name in ("by", "device", "record"))
    named = known.records.get(record)
    return Line(
        at=moment(body["at"]),
        person=known.people.get(by, by),
        device=known.devices.get(device, device),
        what=DONE[body["act"]],
        denied=body["act"] == acts.DENIED,
        record=record or str(body.get("bundle") or ""),
        title=named.title if named is not None else "",
        area=known.places.get(record, ""),
        purpose=str(body.get("purpose") or body.get("reason") or "") or _what(body),
        blob=str(body.get("blob", ""))[:16],
        leaf=f"{one.act.log} {one.act.leaf}".strip(),
    )


def _what(body: dict[str, Any]) -> str:
    """What an export was of: the kind of record and the form."""
    schema = instance().registry.get(str(body.get("kind", "")))
    kind = schema.label.text(language()) if schema is not None else ""
    return " · ".join(part for part in (kind, str(body.get("form", "")).upper()) if part)


def _since(text: str) -> int:
    if not text:
        return 0
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=CHINA).timestamp() * 1000)
    except ValueError:
        raise InvalidField(field="since", detail=Label("应为日期，例如 2026-11-22", "is a day such as 2026-11-22")) from None
