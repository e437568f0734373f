"""The desk for clues: entered or imported, linked, assigned, closed with an outcome, reopened once; and who reported them."""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from flask import Response, request, url_for

import screens
from schemas import words
from schemas.forms import FormField, form_of
from schemas.kinds.clue import OUTCOMES, SOURCES, Clue
from schemas.kinds.informer import Informer
from schemas.kinds.institution import Institution
from schemas.kinds.patrol_note import URGENCIES, PatrolNote
from schemas.labels import Label
from server.console import tabling
from server.console.frame import Answer, Desk, answered, instance, onward, page, say, seat
from server.console.naming import here, value_of
from server.console.records import read_form
from server.merging.twins import REASONS
from server.moments import day, moment
from server.reading import records
from server.reading.finding import Seen
from server.reading.records import text_sight
from server.reading.searching import Searcher
from server.register import sheets
from server.register.editions import Writing
from server.storage.database import Connection
from server.storage.lists import Lists, Mark, Wanted, Where
from server.work import clues, cluesheets, tasks
from server.work.clues import KIND
from sync.core.errors import BadRoster, InvalidField, NotFound, Problem

desk = Desk("clues", __name__)

PLACES: Mapping[str, tuple[Label, tuple[str, ...]]] = {
    "received": (Label("待分派", "To assign"), ("received", "reopened")),
    "assigned": (Label("待核实", "Being verified"), ("assigned",)),
    "verified": (Label("待办结", "To close"), ("verified",)),
    "late": (Label("已逾期", "Overdue"), ()),
    "closed": (Label("已办结", "Closed"), ("closed",)),
}
"""The tabs of the list: what is in each."""
ASKED = ("subject", "text", "type", "urgency", "institution", "address", "area", "source", "number", "received_at")
"""What the form of a new clue asks."""
TOLD = ("name", "phone", "contact", "relation", "wants_answer")
"""What is asked about who reported it."""
PREFIX = "informer-"
LARGEST_FORM = 440_000
"""Characters that a file may have that goes from the preview to the taking in: what a form field holds."""


class Line(NamedTuple):
    """A clue in the list. `days`: until it has to be verified, below nothing when that is past."""

    record: str
    row: Mapping[str, Any]
    days: int | None
    late: bool
    conflicted: bool


@desk.get("/clues", may="clues.read")
def listing() -> Answer:
    house, who = instance(), seat()
    which = request.args.get("which", "")
    text = request.args.get("q", "").strip()[:100]
    urgency = request.args.get("urgency", "")
    after = Mark.read(request.args.get("after", ""))
    today = day(house.now())
    more = [Where("is", "urgency", urgency)] if urgency in URGENCIES else []
    with house.database.read() as conn:
        lists = Lists(house.projections)
        counts = {name: lists.count(conn, _wanted(who.sight, name, today, more)) for name in PLACES}
        if which not in PLACES:
            which = next((name for name in ("received", "verified", "assigned") if counts[name].number), "received")
        wanted = _wanted(who.sight, which, today, more, Searcher(house).ids(text, text_sight(who.sight), KIND) if text else None)
        found = lists.page(conn, wanted, after=after)
        named = records.names(house, conn, who.sight, [row["institution"] for row in found.rows if row["institution"]])
    return page(
        "clues/list.html",
        places=PLACES, which=which, counts=counts, q=text, urgency=urgency, urgencies=URGENCIES, schema=Clue,
        lines=[_line(row, today) for row in found.rows], named=named,
        after=found.after.token() if found.after else "", can_write=who.may("clues.write"),
    )  # fmt: skip


def _wanted(sight: Any, which: str, today: str, more: Sequence[Where], among: Sequence[str] | None = None) -> Wanted:
    """The list of one tab: what is due first comes first; what is closed, the newest."""
    statuses = list(PLACES[which][1])
    tests = tabling.overdue(Clue, today) if which == "late" else [Where("among", "status", statuses)]
    order, falling = ("received_at", True) if which == "closed" else ("due", False)
    return Wanted(KIND, sight.prefixes(), sight.departments, [*tests, *more], among, order, falling)


def _line(row: Mapping[str, Any], today: str) -> Line:
    late = Clue.overdue(row, today)
    running = row["status"] in (Clue.runs_out.running if Clue.runs_out else ())
    days = (date.fromisoformat(row["due"]) - date.fromisoformat(today)).days if row["due"] and running else None
    return Line(row["record"], row, days, late, row["conflicted"] != "[]")


# --- receiving -----------------------------------------------------------------------------------------------------------


@desk.get("/clues/new", may="clues.write")
def new() -> Answer:
    return _new_form({}, {}, {}, None, 200)


@desk.post("/clues/new", may="clues.write")
def create() -> Answer:
    who = seat()
    said = read_form(Clue, who)
    told = screens.read(Informer, form_of(Informer, who.role), _about_informer())
    values = {path: value for path, value in said.values.items() if value is not None}
    problems = said.problems | {PREFIX + name: label for name, label in told.problems.items()}
    problems |= {
        name: Label("必填", "is required")
        for name, one in Clue.fields_by_name().items()
        if one.required and name in ASKED and name != "received_at" and name not in values and name not in problems
    }
    if not problems:
        try:
            record = clues.receive(instance(), _who(), values, told.values)
        except Problem as problem:
            return _new_form(values, told.values, problems, problem, 422)
        say(Label("已受理", "Received"))
        return onward(url_for(".one", record=record))
    return _new_form(values, told.values, problems, None, 422)


def _about_informer() -> dict[str, str]:
    return {name.removeprefix(PREFIX): text for name, text in request.form.items() if name.startswith(PREFIX)}


def _asked_of_informer() -> list[tuple[str, FormField]]:
    """The fields about who reported it, each by its name and under a name of its own in the form."""
    form = form_of(Informer, seat().role)
    return [(name, replace(form.field(name), name=PREFIX + name)) for name in TOLD]


def _new_form(values: Mapping[str, Any], told: Mapping[str, Any], problems: Mapping[str, Label], wrong: Problem | None, status: int) -> Answer:
    house, who = instance(), seat()
    form = form_of(Clue, who.role)
    area = next((one for one in who.sight.prefixes() if len(one) >= 6), "")
    with house.database.read() as conn:
        days = clues.days_now(conn)
    return answered(
        "clues/new.html", status,
        fields=[form.field(name) for name in ASKED if name not in ("institution", "received_at")], values={"area": area, "urgency": "ordinary", "received_at": moment(house.now()), **values},
        when=form.field("received_at"), told=_asked_of_informer(), told_values=told,
        problems=problems, wrong=wrong, days=days, urgencies=URGENCIES, may_informer=who.may("informers.open"),
    )  # fmt: skip


@desk.post("/clues/from-note/<record>", may="clues.write")
def from_note(record: str) -> Answer:
    """Pass a patrol note on as a clue."""
    house, who = instance(), seat()
    with house.database.read() as conn:
        seen = records.one(house, conn, who.sight, record, PatrolNote.kind)
    clue = clues.from_note(house, _who(), seen, {})
    say(Label("已转为线索", "Passed on as a clue"))
    return onward(url_for(".one", record=clue))


# --- importing ------------------------------------------------------------------------------------------------------------


@desk.get("/clues/import", may="clues.write")
def importing() -> Answer:
    return _import_page(None, None, "", {}, 200)


@desk.get("/clues/import/template.xlsx", may="clues.write")
def template() -> Answer:
    """A table to fill in."""
    return Response(
        b"".join(sheets.stream_xlsx(cluesheets.template(), "线索")),
        content_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        headers={"Content-Disposition": "attachment; filename*=UTF-8''%E7%BA%BF%E7%B4%A2.xlsx"},
    )


@desk.post("/clues/import", may="clues.write")
def take_in() -> Answer:
    """Show what a file would bring, or, once that was seen, take it in."""
    house = instance()
    defaults = {name: request.form.get(name, "").strip() for name in ("area", "source")}
    defaults["area"] = here().code(defaults["area"]) if defaults["area"] else ""
    name, content = _sent()
    with TemporaryDirectory() as folder:
        file = Path(folder) / (Path(name.replace("\\", "/")).name or "clues")
        file.write_bytes(content)
        reading = cluesheets.read(file, defaults)
    if request.form.get("do") == "take":
        new_ones, known = cluesheets.carry_out(house, _who(), reading)
        say(Label(f"已受理 {new_ones} 条线索，{known} 条早已受理。", f"{new_ones} clues received, {known} were known."))
        if reading.bad_lines:
            say(Label(f"{reading.bad_lines} 行有误，没有导入。", f"{reading.bad_lines} rows were left out."), "wrong")
        return onward(url_for(".listing", which="received"))
    carried = b64encode(zlib.compress(content, 9)).decode()
    if len(carried) > LARGEST_FORM:
        raise BadRoster(file=name, detail=Label("文件太大，请分成几个文件", "it is too large: make several files of it"))
    with house.database.read() as conn:
        made = cluesheets.plan(house, conn, reading)
    return _import_page(reading, made, f"{name}\n{carried}", defaults, 200)


def _sent() -> tuple[str, bytes]:
    """The file that was chosen, or that the preview carried on. Raises BadRoster."""
    name, newline, carried = request.form.get("carried", "").partition("\n")
    if newline:
        try:
            opener = zlib.decompressobj()
            content = opener.decompress(b64decode(carried.strip(), validate=True), sheets.LARGEST_FILE)
        except (ValueError, zlib.error) as error:
            raise BadRoster(file=name, detail=Label("请重新选择文件", "choose the file again")) from error
        return name.strip(), content
    upload = request.files.get("file")
    if upload is None or not upload.filename:
        raise BadRoster(file="—", detail=Label("没有选择文件", "no file was chosen"))
    return upload.filename, upload.read()


def _import_page(
    reading: cluesheets.Reading | None, made: cluesheets.Plan | None, carried: str, defaults: Mapping[str, str], status: int
) -> Answer:
    who = seat()
    area = next((one for one in who.sight.prefixes() if len(one) >= 6), "")
    return answered(
        "clues/import.html", status,
        reading=reading, plan=made, carried=carried, defaults={"area": area, "source": "", **defaults}, sources=SOURCES,
        columns=[cluesheets.label_of(name) for name in cluesheets.CLUE_COLUMNS], schema=Clue,
    )  # fmt: skip


# --- one clue ------------------------------------------------------------------------------------------------------------


@desk.get("/clues/<record>", may="clues.read")
def one(record: str) -> Answer:
    return _shown(record, 200)


def _shown(
    record: str, status: int, *, wrong: Problem | None = None, informer: Seen | None = None, typed: Mapping[str, str] | None = None
) -> Answer:
    house, who = instance(), seat()
    with house.database.read() as conn:
        seen = _clue(conn, record)
        now = seen.values.get("status")
        refs = [str(seen.values[name]) for name in ("institution", "patrol_note", "repeats") if seen.values.get(name)]
        history, _ = records.history(conn, seen.state, Clue, who.role)
        refs += records.named_in(Clue, history)
        jobs = house.projections.find(conn, tasks.KIND, "clue", seen.record)
        linking = who.may("clues.write") and not seen.values.get("institution") and now != "closed"
        return answered(
            "clues/one.html", status,
            seen=seen, schema=Clue, now=now, title=records.title_of(house, seen.state), today=day(house.now()),
            steps=_steps(seen) if who.may("clues.write") else set(), looked_at=seen.state.ids("status"),
            named=records.names(house, conn, who.sight, refs), jobs=[(row, _assigned(house, conn, row)) for row in jobs],
            doers=tasks.doers(house, conn, who.sight, str(seen.values.get("area") or "")) if who.may("tasks.write") else [],
            suggestions=clues.suggestions(house, conn, who.sight, seen.values) if linking else [], reasons=REASONS,
            others=clues.others_about(house, conn, who.sight, seen), outcomes=OUTCOMES,
            files=records.files(house, conn, seen), conflicted=any(len(live) > 1 for live in seen.state.live.values()),
            history=history, people=records.people_of(conn, {id for step in history for id in step.by}),
            has_informer=clues.informer_of(house, conn, seen.record) is not None,
            informer=informer, told=_asked_of_informer(),
            value_of=value_of, label_of=words.label_of, wrong=wrong, typed=typed or {},
            late=Clue.overdue(seen.values, day(house.now())), warnings=Clue.warnings(seen.values), task_schema=house.registry[tasks.KIND],
        )  # fmt: skip


def _clue(conn: Connection, record: str) -> Seen:
    return records.one(instance(), conn, seat().sight, record, KIND)


def _assigned(house: Any, conn: Connection, row: Mapping[str, Any]) -> Label:
    return tasks.whom(records.read_any(house, conn, row["record"]).values.get("assigned"))


def _steps(seen: Seen) -> set[str]:
    """The statuses that a clue may be given from here, by its workflow."""
    if Clue.workflow is None or len(seen.state.live.get("status", {})) > 1:
        return set()
    return {step.target for step in form_of(Clue, seat().role).steps if step.source == (seen.values.get("status") or "received")}


@desk.post("/clues/<record>/assign", may="clues.write")
def assign(record: str) -> Answer:
    house, who = instance(), seat()
    form = request.form
    try:
        with house.database.read() as conn:
            seen = _clue(conn, record)
            found = tasks.doers(house, conn, who.sight, str(seen.values.get("area") or ""))
        order = tasks.Order("verify", tasks.assigned(found, form.get("to", "")), form.get("due", ""), form.get("instructions", "").strip())
        clues.assign(house, _who(), seen, order, form.getlist("seen"))
    except Problem as problem:
        return _refused(record, problem)
    say(Label("已分派，任务会到他们的平板", "Assigned: the task goes to their tablets"))
    return onward(url_for(".one", record=record))


@desk.post("/clues/<record>/step", may="clues.write")
def step(record: str) -> Answer:
    """Verified at the desk, sent back, closed, reopened."""
    house = instance()
    form = request.form
    values: dict[str, Any] = {"status": form.get("to", "")}
    values |= {name: form[name].replace("\r\n", "\n").strip() or None for name in ("outcome", "result", "disposal", "reopenings") if name in form}
    try:
        with house.database.read() as conn:
            seen = _clue(conn, record)
        values = {path: value for path, value in values.items() if path == "status" or value != seen.values.get(path)}
        clues.step(house, _who(), seen, values, form.getlist("seen"))
    except Problem as problem:
        return _refused(record, problem)
    say(Label("已办理", "Done"))
    return onward(url_for(".one", record=record))


@desk.post("/clues/<record>/link", may="clues.write")
def link(record: str) -> Answer:
    """Say which institution it is about; an empty one takes that back."""
    house, who = instance(), seat()
    wanted = request.form.get("institution", "").strip()
    with house.database.read() as conn:
        seen = _clue(conn, record)
        institution = records.one(house, conn, who.sight, wanted, Institution.kind) if wanted else None
    clues.link(house, _who(), seen, institution)
    say(Label("已关联机构", "Linked") if institution else Label("已取消关联", "The link is taken back"))
    return onward(url_for(".one", record=record))


def _refused(record: str, problem: Problem) -> Answer:
    if not isinstance(problem, NotFound):
        return _shown(record, 409 if problem.code == "stale" else 422, wrong=problem, typed=request.form)
    raise problem


# --- who reported it -----------------------------------------------------------------------------------------------------


@desk.post("/clues/<record>/informer", may="informers.open")
def open_informer(record: str) -> Answer:
    """Show who reported it, once the log has who asks and what for."""
    house, who = instance(), seat()
    try:
        found = clues.open_informer(house, who.sight, record, who.person.id, request.form.get("purpose", ""))
    except InvalidField as problem:
        return _refused(record, problem)
    return _shown(record, 200, informer=found)


@desk.post("/clues/<record>/informer/note", may="informers.open")
def note_informer(record: str) -> Answer:
    house, who = instance(), seat()
    told = screens.read(Informer, form_of(Informer, who.role), _about_informer())
    try:
        with house.database.read() as conn:
            _clue(conn, record)
        clues.note_informer(house, _who(), who.sight, record, told.values, request.form.get("answer", ""))
    except InvalidField as problem:
        return _refused(record, problem)
    say(Label("已登记", "Noted"))
    return onward(url_for(".one", record=record))


def _who() -> Writing:
    return Writing([seat().person.id], seat().rights)


