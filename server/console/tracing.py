"""责任倒查: who knew what when about a record, and which deadline passed; every look at it is an act in the log first."""

from __future__ import annotations

from flask import request, url_for

from schemas.labels import Label
from server.acts import TRACED
from server.console.frame import Answer, Desk, answered, instance, page, seat
from server.errors import status_of
from server.evidence import openings
from server.evidence.openings import LONGEST_PURPOSE
from server.reading import records, tracing
from server.reading.searching import Searcher
from server.storage import people
from sync.core.errors import InvalidField

desk = Desk("tracing", __name__)

KINDS = ("institution", "hazard", "handover", "clue", "case", "inspection", "task")
"""Kinds of which a trace is looked for; the page of any other record leads to it as well."""
FOUND = 20
LATEST = 50


@desk.get("/tracing", may="tracing.read")
def listing() -> Answer:
    """Find a record by what it is called; below, whoever looked at which trace lately."""
    house, sight = instance(), seat().sight
    text = request.args.get("q", "").strip()[:200]
    kinds = [one.kind for one in records.kinds_in_sight(house, sight) if one.kind in KINDS]
    found = Searcher(house).find(text, records.text_sight(sight), kinds, size=FOUND).found if text and kinds else []
    looks = [one.act for one in openings.listed(house, sight.rights()) if one.act.body["act"] == TRACED]
    latest = sorted(looks, key=lambda act: -int(act.body["at"]))[:LATEST]
    with house.database.read() as conn:
        named = records.names(house, conn, sight, [*(one.row["record"] for one in found), *(str(act.body["record"]) for act in latest)])
        who = records.people_of(conn, {str(act.body["by"]) for act in latest})
    return page(
        "tracing/find.html", text=text, found=[(one, named[one.row["record"]]) for one in found if one.row["record"] in named],
        kinds=house.registry, latest=latest, named=named, who=who,
    )  # fmt: skip


@desk.get("/tracing/<record>", may="tracing.read")
def ask(record: str) -> Answer:
    """What for? Nothing of the trace is shown before that is in the log."""
    return page("tracing/purpose.html", **_asked(record))


@desk.post("/tracing/<record>", may="tracing.read")
def show(record: str) -> Answer:
    house, who = instance(), seat()
    purpose = request.form.get("purpose", "").strip()
    asked = _asked(record)
    if not purpose or len(purpose) > LONGEST_PURPOSE:
        detail = Label(f"应为 1 到 {LONGEST_PURPOSE} 字", f"has 1 to {LONGEST_PURPOSE} characters")
        wrong = InvalidField(field=Label("倒查事由", "what for"), detail=detail)
        return answered("tracing/purpose.html", status_of(wrong), **{**asked, "wrong": wrong, "purpose": purpose})
    act = tracing.note(house, who.sight, who.person, record, purpose)
    told = tracing.trace(house, who.sight, who.role, record)
    with house.database.read() as conn:
        devices = {one.id: one.name for one, _ in people.every_device(conn)}
    desks = {voice.replica for voice in house.keys.voices.values()}
    return page("tracing/show.html", told=told, act=act, purpose=purpose, devices=devices, desks=desks, now=house.now())


def _asked(record: str) -> dict[str, object]:
    house, sight = instance(), seat().sight
    with house.database.read() as conn:
        seen = records.one(house, conn, sight, record)
        schema = house.registry.get(seen.state.kind)
        title = records.title_of(house, seen.state)
    back = url_for("console.records.one", record=seen.record)
    return {"record": seen.record, "title": title, "schema": schema, "back": back, "wrong": None, "purpose": ""}
