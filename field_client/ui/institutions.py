"""机构: search that forgives, near me, the card of one, and a suspected site in three fields with a warning that never blocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from flask import Response, request

from field_client.moments import CHINA, moment
from field_client.tablet import Tablet
from field_client.ui import here, typed
from field_client.ui.here import Nav, Screen
from field_client.work import tasks
from field_client.work.search import Found, Search
from field_client.work.showing import dispute
from schemas.kinds.hazard import Hazard, overdue
from schemas.kinds.inspection import Inspection
from schemas.kinds.institution import LEVELS, Institution
from schemas.labels import Label
from schemas.words import value_of
from sync.core.errors import InvalidField, NotFound
from sync.core.fold import contested, deleted, values_of

screen = Screen("institutions", __name__, nav=Nav(Label("机构", "Institutions"), "building", 20, "institutions.listed"), writes=Institution.kind)

SHOWN = 40
VISITS, PHOTOS = 8, 12
REGISTER = ("credit_code", "permit_number", "permit_until", "category", "mode", "department", "learners", "teachers",
            "prepaid_supervised", "platform_code")  # fmt: skip
"""What the card says of the register, in this order."""


class Visit(NamedTuple):
    """An earlier inspection of an institution."""

    record: str
    status: str
    started_at: str
    state: Label
    photos: tuple[str, ...]


class Danger(NamedTuple):
    """An open hazard of an institution."""

    record: str
    description: str
    deadline: str
    late: bool
    state: Label


# ---- the list ----------------------------------------------------------------------------------------------


@screen.get("/institutions")
def listed() -> str:
    """What fits the search; without one, those near the given position, else those seen last."""
    text, lat, lon = request.args.get("q", "").strip(), request.args.get("lat", ""), request.args.get("lon", "")
    search = searching(here.tablet())
    near: list[tuple[Found, int]] = []
    if text:
        found = search.find(text, SHOWN)
    elif lat and lon:
        near = search.near(*_position(lat, lon), limit=SHOWN)
        found = [one for one, _ in near]
    else:
        found = search.some(SHOWN)
    template = "institutions/found.html" if "piece" in request.args else "institutions/list.html"
    return here.page(
        template,
        text=text,
        rows=_rows(found, dict(near)),
        near=bool(lat and lon),
        behind=search.behind(),
        total=search.count(),
    )


def searching(tablet: Tablet) -> Search:
    """The index of institutions; what little came in since is taken in now, more of it in the background."""
    search = Search(tablet.store)
    if search.behind():
        search.catch_up()
    return search


def _rows(found: list[Found], near: Mapping[Found, int]) -> list[dict[str, Any]]:
    """What a list shows of each; `near`: how many metres away it is."""
    states = {one.record: one for one in here.tablet().store.views([one.record for one in found])}
    rows = []
    for one in found:
        values = values_of(states[one.record], Institution.merge_of) if one.record in states else {}
        rows.append({"id": one.record, "name": one.name, "address": one.address, "area": one.area,
                     "status": values.get("status"), "metres": near.get(one)})  # fmt: skip
    return rows


def _position(lat: str, lon: str) -> tuple[int, int]:
    try:
        return round(float(lat) * 10**7), round(float(lon) * 10**7)
    except (ValueError, OverflowError):
        raise InvalidField(field="position", detail=Label("位置不对", "no position")) from None


# ---- the card ----------------------------------------------------------------------------------------------


@screen.get("/institutions/<record>")
def card(record: str) -> str:
    tablet = here.tablet()
    state = tablet.view(record)
    if state.kind != Institution.kind or deleted(state):
        raise NotFound(what=Label("这家机构", "this institution"))
    values = values_of(state, Institution.merge_of)
    own = {one.change.id for one in tablet.history(record)}
    disputes = {path: dispute(Institution, state, path, own) for path in contested(state, Institution.merge_of)}
    today = _today(tablet)
    return here.page(
        "institutions/card.html",
        record=state.record,
        values=defaultdict(lambda: None, values),
        facts=[(Institution.fields_by_name()[name].label, value_of(Institution, name, values.get(name)))
               for name in REGISTER if name not in disputes],
        disputes=[(Institution.fields_by_name().get(path.partition("/")[0]), said) for path, said in disputes.items()],
        permit_over=str(values.get("permit_until") or today) < today,
        people=_people(values),
        features=_named(values, "features/"),
        departments=_named(values, "departments/"),
        hazards=hazards_of(tablet, state.record, today),
        jobs=tasks.waiting(tablet, date.fromisoformat(today), state.record),
        clues=[(id, about, tasks.urgency_of(about)) for id, about in tasks.clues_at(tablet, state.record)],
        visits=visits_of(tablet, state.record),
        notes=sorted((v for p, v in values.items() if p.startswith("notes/") and isinstance(v, dict)),
                     key=lambda one: str(one.get("at")), reverse=True),
        waiting=any(one.status == "queued" for one in tablet.history(record)),
        new=request.args.get("new") == "1",
    )  # fmt: skip


@screen.post("/institutions/<record>/verified")
def verified(record: str) -> Response:
    """Note that the entry was verified on the spot, now and by whoever is unlocked here."""
    tablet = here.tablet()
    tablet.write(Institution.kind, record, {"verified_at": moment(tablet)})
    return here.done(Label("已标记现场核实", "Marked as verified on site"), ".card", record=record)


@screen.post("/institutions/<record>/note")
def note(record: str) -> Response:
    """A quick note; the form names it, so it is written once however often it is sent."""
    typed.note(here.tablet(), Institution.kind, record)
    return here.done(Label("已保存", "Saved"), ".card", record=record)


def hazards_of(tablet: Tablet, institution: str, today: str) -> list[Danger]:
    """The hazards of an institution that are not struck off, overdue first."""
    found = []
    for record in tablet.store.mentioning(Hazard.kind, institution):
        state = tablet.view(record)
        values = values_of(state, Hazard.merge_of)
        if values.get("institution") == institution and not deleted(state) and values.get("status") not in ("verified", "void"):
            label = value_of(Hazard, "status", values.get("status")) or Label("", "")
            found.append(Danger(record, str(values.get("description") or ""), str(values.get("deadline") or ""),
                                overdue(values, today), label))  # fmt: skip
    return sorted(found, key=lambda one: (not one.late, one.deadline or "9"))


def visits_of(tablet: Tablet, institution: str) -> list[Visit]:
    """The inspections of an institution, newest first, with their photos."""
    found = []
    for record in tablet.store.mentioning(Inspection.kind, institution):
        state = tablet.view(record)
        values = values_of(state, Inspection.merge_of)
        if values.get("institution") != institution or deleted(state):
            continue
        pictures = [path.removeprefix("evidence/") for path, value in values.items()
                    if path.startswith("evidence/") and isinstance(value, dict) and str(value.get("mime", "")).startswith("image/")]  # fmt: skip
        label = value_of(Inspection, "status", values.get("status")) or Label("", "")
        found.append(Visit(record, str(values.get("status") or ""), str(values.get("started_at") or ""), label,
                           tuple(sorted(pictures))[:PHOTOS]))  # fmt: skip
    return sorted(found, key=lambda one: one.started_at, reverse=True)[:VISITS]


def _people(values: Mapping[str, Any]) -> list[tuple[Label, Mapping[str, Any]]]:
    """Who is responsible at which of the four levels."""
    named = [(level, values.get(f"responsible/{level}")) for level in LEVELS]
    return [(LEVELS[level], one) for level, one in named if isinstance(one, dict)]


def _named(values: Mapping[str, Any], prefix: str) -> list[Label]:
    options = getattr(Institution.fields_by_name()[prefix.rstrip("/")], "options", None) or {}
    return [options[path.removeprefix(prefix)] for path, on in values.items()
            if path.startswith(prefix) and on and path.removeprefix(prefix) in options]  # fmt: skip


def _today(tablet: Tablet) -> str:
    return datetime.fromisoformat(moment(tablet)).astimezone(CHINA).date().isoformat()


# ---- a suspected site --------------------------------------------------------------------------------------


@screen.get("/institutions/new")
def new() -> str:
    return _form({"name": request.args.get("name", ""), "area": _own_area(here.tablet()), "address": ""})


@screen.get("/institutions/alike")
def alike() -> str:
    """What the register has that looks like it: asked while somebody types."""
    name, address = request.args.get("name", ""), request.args.get("address", "")
    return here.page("institutions/alike.html", alike=searching(here.tablet()).alike(name, address))


@screen.post("/institutions")
def add() -> Response | str:
    """Write it. One that looks like it is shown first, once; whoever sends it again means it."""
    tablet, record = here.tablet(), here.posted_id()
    said = {name: here.posted(name) for name in ("name", "area", "address")}
    if not said["name"]:
        return _form(said, InvalidField(field="name", detail=Label("请写名称或招牌上的字", "write the name, or what the sign says")))
    if tablet.store.knows(record):  # a second tap, or sent again after the answer was lost
        typed.again(tablet, Institution.kind, record, said)
        return here.done(Label("已登记疑似点位", "The suspected site is saved"), ".card", record=record)
    like = searching(tablet).alike(said["name"], said["address"])
    if like and here.posted("anyway") != "1":
        return _form(said, like=like)
    values: dict[str, Any] = {**said, "status": "unlicensed"}
    if here.posted("lat") and here.posted("lon"):
        lat, lon = _position(here.posted("lat"), here.posted("lon"))
        accuracy = here.posted("acc")
        values["place"] = {"lat": lat, "lon": lon, "src": "network", **({"acc": int(accuracy)} if accuracy.isdecimal() else {})}
    try:
        tablet.write(Institution.kind, record, {path: value for path, value in values.items() if value})
    except InvalidField as problem:
        return _form(said, problem)
    return here.done(Label("已登记疑似点位", "The suspected site is saved"), ".card", record=record)


def _form(said: Mapping[str, str], problem: InvalidField | None = None, like: list[Found] | None = None) -> str:
    return here.page("institutions/new.html", typed=said, problem=problem, alike=like or [],
                     record=request.form.get("record") or here.seat().platform.clock.new_id())  # fmt: skip


def _own_area(tablet: Tablet) -> str:
    """The area that the person is granted, where it is one."""
    identity = tablet.identity
    areas = sorted({grant.area for grant in identity.grants if grant.area}) if identity else []
    return areas[0] if len(areas) == 1 else ""


