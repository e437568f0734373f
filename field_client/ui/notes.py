"""巡查记录 in one screen: the spot, what was seen, a photo. Nothing that only an enforcement organ may do has a place here."""

from __future__ import annotations

from typing import Any, BinaryIO, cast

from flask import Response, request

from field_client.evidence.capture import capture
from field_client.moments import moment
from field_client.ui import here, places, typed
from field_client.ui.here import Nav, Screen
from field_client.ui.told import Told, told
from field_client.work import agenda, tasks
from schemas.kinds.patrol_note import URGENCIES, PatrolNote
from schemas.labels import Label
from schemas.words import value_of
from sync.core.errors import InvalidField, NotFound, Problem
from sync.core.fold import deleted, values_of

KIND = PatrolNote.kind

screen = Screen("notes", __name__, nav=Nav(Label("巡查", "Patrol"), "eye", 35, "notes.new"))


@screen.get("/patrol")
def new() -> str:
    """An empty form; `task`, `institution`: what it is for and where; `spot`: what was typed before."""
    tablet, asked = here.tablet(), {name: request.args.get(name, "") for name in ("task", "institution", "spot")}
    about = Told(tablet.values(asked["task"])) if asked["task"] else Told()
    at = str(about["institution"] or asked["institution"])
    place = Told(tablet.values(at)) if tablet.store.knows(at) else Told()
    spot = asked["spot"] or " ".join(str(one) for one in (place["name"] or about["name"], place["address"] or about["address"]) if one)
    return _form(Told({"task": asked["task"], "institution": at, "spot": spot, "area": about["area"] or place["area"]}))


def _form(said: Told, problem: Problem | None = None) -> str:
    tablet = here.tablet()
    identity = tablet.identity
    areas = sorted({grant.area for grant in identity.grants if grant.area}) if identity is not None else []
    return here.page(
        "notes/new.html",
        typed=said,
        area=said["area"] or (areas[0] if areas else ""),
        record=request.form.get("record") or tablet.store.clock.new_id(),
        urgencies=URGENCIES,
        hint=PatrolNote.fields_by_name()["seen"].hint,
        recent=agenda.sightings(tablet)[:12],
        problem=problem,
    )


@screen.post("/patrol")
def add() -> Response | tuple[str, int]:
    """Write it, then its photos; the form names the record, so it is written once."""
    tablet, record = here.tablet(), here.posted_id()
    said = Told({name: here.posted(name) for name in ("spot", "seen", "area", "urgency", "grid", "institution", "task")})
    files = [one for one in request.files.getlist("file") if one.filename]
    if tablet.store.knows(record):
        typed.again(tablet, KIND, record, {name: said[name] for name in ("spot", "seen", "urgency")})
    else:
        values: dict[str, Any] = {name: text for name, text in said.items() if text and name != "task"}
        values |= {"seen_at": moment(tablet), "status": "noted"}
        if (place := places.posted()) is not None:
            values["place"] = place
        try:
            for name, words in (("spot", Label("请写地点", "write the spot")), ("seen", Label("请写看到的情况", "write what was seen"))):
                if not said[name]:
                    raise InvalidField(field=name, detail=words)
            with tablet.store.writing():
                tablet.write(KIND, record, values)
                if said["task"]:
                    tasks.noted(tablet, said["task"], record)
        except InvalidField as problem:
            return _form(said, problem), 422
    for one in files:
        try:
            capture(tablet, record, cast(BinaryIO, one.stream), source="camera", name=one.filename or "", pictures=False)
        except Problem as problem:
            here.warn(Label(f"{one.filename}：{problem.text('zh')}", f"{one.filename}: {problem.text('en')}"))
    for words in PatrolNote.warnings(said).values():
        here.warn(words)
    return here.done(Label("已记录", "Noted"), ".show", record=record)


@screen.get("/patrol/<record>")
def show(record: str) -> str:
    tablet = here.tablet()
    state = tablet.view(record)
    if state.kind != KIND or deleted(state):
        raise NotFound(what=Label("这条巡查记录", "this patrol note"))
    values = Told(values_of(state, PatrolNote.merge_of))
    photos = sorted(path.removeprefix("evidence/") for path in values if path.startswith("evidence/"))
    notes = sorted((told(value) for path, value in values.items() if path.startswith("notes/")), key=lambda one: str(one["at"]), reverse=True)
    return here.page(
        "notes/show.html",
        record=state.record,
        values=values,
        photos=photos,
        notes=notes,
        urgency=value_of(PatrolNote, "urgency", values["urgency"]),
        status=value_of(PatrolNote, "status", values["status"] or "noted"),
        warning=PatrolNote.warnings(values).get("seen"),
        waiting=any(own.status == "queued" for own in tablet.history(record)),
    )


@screen.post("/patrol/<record>/notes")
def note(record: str) -> Response:
    """Something added later; the form names it."""
    typed.note(here.tablet(), KIND, record)
    return here.done(Label("已记下", "Noted"), ".show", record=record)
