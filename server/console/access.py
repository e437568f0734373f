"""Who opened what: the access log, as oversight and leaders read it from the acts in the log."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from flask import Response, request

from schemas.certificates import CHINA
from schemas.labels import Label
from server import acts, openings
from server.console.frame import Answer, Desk, instance, language, page, seat
from server.moments import moment
from server.openings import DONE, Access
from server.sheets import csv_text
from server.storage import people
from sync.core.errors import InvalidField

desk = Desk("access", __name__)

SHOWN = 300
HEADER = (
    Label("时间", "Time"), Label("人员", "Person"), Label("设备", "Device"), Label("事项", "What"), Label("记录", "Record"),
    Label("文件", "File"), Label("目的", "Purpose"), Label("日志位置", "Leaf of the log"),
)  # fmt: skip


class Line(NamedTuple):
    """One opening, denied attempt or export."""

    at: str
    person: str
    device: str
    what: Label
    denied: bool
    record: str
    blob: str
    purpose: str
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
        rows.append([one.at, one.person, one.device, one.what.text(said), one.record, one.blob, one.purpose, one.leaf])
    return Response(
        csv_text(rows),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="access.csv"'},
    )


def _lines(asked: dict[str, str]) -> list[Line]:
    house = instance()
    with house.database.read() as conn:
        names = {one.id: one.name for one in people.everybody(conn)}
        devices = {one.id: one.name for one, _ in people.every_device(conn)}
    who = asked["person"]
    wanted = {id for id, name in names.items() if who in (id, name)} if who else None
    found = openings.listed(house, seat().sight.rights(), record=asked["record"] or None, since=_since(asked["since"]))
    lines = [_line(one, names, devices) for one in found if wanted is None or one.act.body.get("by") in wanted]
    return sorted(lines, key=lambda one: one.at, reverse=True)


def _line(one: Access, names: dict[str, str], devices: dict[str, str]) -> Line:
    body = one.act.body
    by, device = str(body.get("by", "")), str(body.get("device", ""))
    return Line(
        at=moment(body["at"]),
        person=names.get(by, by),
        device=devices.get(device, device),
        what=DONE[body["act"]],
        denied=body["act"] == acts.DENIED,
        record=str(body.get("record") or body.get("bundle") or ""),
        blob=str(body.get("blob", ""))[:16],
        purpose=str(body.get("purpose") or body.get("reason") or ""),
        leaf=f"{one.act.log} {one.act.leaf}".strip(),
    )


def _since(text: str) -> int:
    if not text:
        return 0
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=CHINA).timestamp() * 1000)
    except ValueError:
        raise InvalidField(field="since", detail=Label("应为日期，例如 2026-11-22", "is a day such as 2026-11-22")) from None
