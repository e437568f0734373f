"""The desk for records: lists of every kind, a record with all that is known of it, entering and correcting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson
from flask import request, url_for

import screens
from schemas import words
from schemas.base import DELETED, RecordSchema
from schemas.fields import Ref
from schemas.forms import Form, FormField, form_of
from schemas.labels import Label
from schemas.workflow import LEVELS
from server.access.policy import Sight
from server.console import tabling
from server.console.background import outlines_at, tiles_at
from server.console.frame import Answer, Desk, Seat, answered, instance, onward, page, say, seat
from server.console.naming import here, placed, value_of
from server.console.tabling import Asked, Cell, Column
from server.evidence.grading import GRADE, Grader
from server.instance import Instance
from server.merging import decisions
from server.moments import day, moment
from server.proofs import digesting
from server.proofs.digesting import Claim
from server.reading import records
from server.reading.finding import Seen
from server.reading.records import File, Step
from server.reading.searching import MOST, Searcher, wanted_in
from server.register.editions import Writing
from server.storage import blobs, conflicts, merkle, places, views
from server.storage.conflicts import Row
from server.storage.database import Connection
from server.storage.lists import PAGE, Count, Lists, Mark, Wanted
from server.storage.places import Spot
from server.work import reviewing, tasks
from sync.core.errors import InvalidField, NotFound, Problem, Refused, Stale
from sync.core.fold import State, deleted

desk = Desk("records", __name__)

MOST_RELATED = 100
MOST_GRADED = 500
"""Records of which the grades are computed to pick those of some grades."""
NOT_IN_FORMS = frozenset({"status", "evidence", "answers", "signatures", "entries", "captions", "rows", "composite", "blob", "counter"})
"""Widgets of what is not typed into a form: files, signatures, steps of a workflow, what other pages are for."""
TAKEN_ELSEWHERE: Mapping[str, frozenset[str]] = {
    "clue": frozenset({"assigned", "verified", "closed", "reopened"}),
    "task": frozenset({"done", "planned", "cancelled"}),
    "patrol_note": frozenset({"referred"}),
}
"""kind → statuses that only its own desk gives, because more than the status belongs to the step."""
SEEN = "seen"
"""The field of a form that says which values its reader looked at: path → ids of their changes."""


# --- lists -----------------------------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """A kind on the overview, with how many there are in sight."""

    kind: str
    label: Label
    many: Count


@desk.get("/records", may="records.read")
def overview() -> Answer:
    house, sight = instance(), seat().sight
    found = []
    with house.database.read() as conn:
        for schema in records.kinds_in_sight(house, sight):
            wanted = wanted_in(schema, records.text_sight(sight))
            found.append(Kind(schema.kind, schema.label, Lists(house.projections).count(conn, wanted)))
    found.sort(key=lambda one: not one.many.number)  # what there is none of comes last
    return page("records/overview.html", kinds=found)


class Line(NamedTuple):
    """A row of a list as it is drawn."""

    record: str
    cells: list[Cell]
    conflicts: int
    overdue: bool


@desk.get("/records/<kind>", may="records.read")
def listing(kind: str) -> Answer:
    house, who = instance(), seat()
    schema = records.schema_of(house, who.sight, kind)
    today, say_place = day(house.now()), placed(house)
    asked = tabling.read(schema, who.role, request.args, today, say_place)
    wanted, most = wanted_of(house, who, schema, asked)
    after, before = Mark.read(request.args.get("after", "")), Mark.read(request.args.get("before", ""))
    with house.database.read() as conn:
        lists = Lists(house.projections)
        found = (
            lists.last(conn, wanted) if request.args.get("last") == "1" else lists.page(conn, wanted, after=after, before=before)
        )
        count = lists.count(conn, wanted)
        grades = grades_of(house, conn, asked.columns, found.rows)
        waiting = [one.record for one in conflicts.of_records(conn, [row["record"] for row in found.rows]) if one.status != "resolved"]
        lines = [
            Line(
                row["record"],
                [tabling.cell(schema, column, row | grades.get(row["record"], {}), today, say_place) for column in asked.columns],
                waiting.count(row["record"]),
                schema.overdue(row, today),
            )
            for row in found.rows
        ]
        named = records.names(house, conn, who.sight, (cell.ref for line in lines for cell in line.cells if cell.ref))
        kept = views.of(conn, who.person.id, kind)
    return page(
        "records/list.html",
        schema=schema, asked=asked, lines=lines, named=named, count=count, found=found, views=kept, size=PAGE,
        every=tabling.columns_of(schema, who.role), shown={one.name for one in asked.columns}, most=most,
        address=address, without=lambda names: address(**dict.fromkeys(names)), query=query(), can_write=who.may("records.write") and who.role in schema.makers,
        exported=who.may("records.export"), on_map=house.projections.standing(kind) is not None,
    )  # fmt: skip


def wanted_of(house: Instance, who: Seat, schema: type[RecordSchema], asked: Asked) -> tuple[Wanted, bool]:
    """The list that was asked for, within sight; and whether a search in it found more than is looked through."""
    among = None
    if asked.text:
        among = Searcher(house).ids(asked.text, records.text_sight(who.sight), schema.kind) or []
    wanted = wanted_in(
        schema, records.text_sight(who.sight), tests=asked.tests, among=among, order=asked.order, falling=asked.falling
    )
    if asked.grades:
        wanted = _of_grades(house, wanted, asked)
    for one in asked.tests:
        if one.does == "below" and one.field == schema.area_field:  # a smaller sight, for which there is an index
            narrowed = _narrowed(wanted.areas, one.value)
            wanted = replace(wanted, areas=narrowed, tests=[other for other in wanted.tests if other is not one])
    return wanted, among is not None and len(among) >= MOST


def _of_grades(house: Instance, wanted: Wanted, asked: Asked) -> Wanted:
    """Of a list the records that have one of the grades asked for; the list itself, and a word, where it is too long for that."""
    with house.database.read() as conn:
        found = Lists(house.projections).page(conn, wanted, MOST_GRADED)
        if found.after is not None:
            tabling.ungraded(asked, MOST_GRADED)
            return wanted
        grades = Grader(house, conn).of([row["record"] for row in found.rows])
    return replace(wanted, among=[record for record, grade in grades.items() if grade in asked.grades])


def grades_of(house: Instance, conn: Connection, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """record → its grade as a column of its row, where the grade is one of the columns."""
    if not any(one.name == GRADE and one.field is None for one in columns):
        return {}
    return {record: {GRADE: grade} for record, grade in Grader(house, conn).of([row["record"] for row in rows]).items()}


def lenders(house: Instance, sight: Sight, schema: type[RecordSchema]) -> Wanted | None:
    """The records in sight in whose positions those of a kind may stand; None where it has none."""
    standing = house.projections.standing(schema.kind)
    if standing is None or not standing.through:
        return None
    return wanted_in(house.registry[standing.other], records.text_sight(sight))


def _narrowed(areas: Sequence[str], code: str) -> list[str]:
    """The parts of these areas that lie in a division."""
    return [code] if any(code.startswith(area) for area in areas) else [area for area in areas if area.startswith(code)]


_PLACES = frozenset({"after", "before", "last"})


def address(**changed: str | None) -> str:
    """This list with some parameters changed (None: left out), from its first page unless a page is named."""
    said = [(name, value) for name, value in request.args.items(multi=True) if name not in changed and name not in _PLACES]
    said += [(name, value) for name, value in changed.items() if value is not None]
    return f"{request.path}?{urlencode(said)}" if said else request.path


def query() -> str:
    """The list of this page without its place, to be kept or exported."""
    return urlencode([(name, value) for name, value in request.args.items(multi=True) if name not in _PLACES and value])


@desk.post("/records/<kind>/views", may="views.keep")
def keep_view(kind: str) -> Answer:
    house, who = instance(), seat()
    records.schema_of(house, who.sight, kind)
    name, said = request.form.get("name", "").strip()[:60], request.form.get("query", "")[:4000]
    if not name:
        raise InvalidField(field=Label("视图名称", "name of the view"), detail=Label("请填写", "is missing"))
    with house.database.write() as conn:
        kept = views.keep(conn, who.person.id, kind, name, said, house.now())
    if not kept:
        raise Refused(detail=Label(f"每类至多 {views.MOST} 个视图，请先删除", f"at most {views.MOST} views of a kind; drop one"))
    say(Label(f"已保存视图“{name}”", f"Kept the view “{name}”"))
    return onward(f"{url_for('.listing', kind=kind)}?{said}")


@desk.post("/records/<kind>/views/<int:number>/drop", may="views.keep")
def drop_view(kind: str, number: int) -> Answer:
    house, who = instance(), seat()
    with house.database.write() as conn:
        if not views.drop(conn, who.person.id, number):
            raise NotFound(what=str(number))
    say(Label("已删除视图", "Dropped the view"))
    return onward(url_for(".listing", kind=kind))


# --- one record ---------------------------------------------------------------------------------------------------------


class Shown(NamedTuple):
    """A path of a record as it is drawn: its live values, who wrote them and when."""

    path: str
    label: Label
    values: list[Label]
    refs: list[str]
    by: list[str]
    at: int
    clash: Row | None
    late: bool


class Part(NamedTuple):
    label: Label
    shown: list[Shown]


class Related(NamedTuple):
    """Records of one kind that name this one."""

    schema: type[RecordSchema]
    rows: list[tuple[str, str, list[Cell]]]


@desk.get("/record/<record>", may="records.read")
def one(record: str) -> Answer:
    house, who = instance(), seat()
    found = Searcher(house).naming([record], records.text_sight(who.sight), most=MOST_RELATED)
    with house.database.read() as conn:
        seen = records.one(house, conn, who.sight, record)
        if seen.record != record:
            return onward(url_for(".one", record=seen.record))
        schema = house.registry.get(seen.state.kind)
        steps, changes = records.history(conn, seen.state, schema, who.role)
        open_now = [row for row in conflicts.of_records(conn, [seen.record]) if row.status != "resolved"]
        parts = _parts(house, conn, who, schema, seen, open_now) if schema else []
        refs = [one for part in parts for shown in part.shown for one in shown.refs]
        refs += [str(values) for step in steps for told in step.told if schema and isinstance(schema.field_of(told.path), Ref)
                 for values in (*told.before, told.after) if values]  # fmt: skip
        files = records.files(house, conn, seen)
        named = records.names(house, conn, who.sight, refs)
        voices = {voice.replica for voice in house.keys.voices.values()}
        return page(
            "records/record.html",
            seen=seen, schema=schema, title=records.title_of(house, seen.state), parts=parts, steps=steps, changes=changes,
            files=files, named=named, conflicts=open_now, ticket=decisions.ticket,
            people=records.people_of(conn, {person for step in steps for person in step.by} | {p for part in parts for s in part.shown for p in s.by}),
            devices=records.devices_of(conn, {step.device for step in steps}), voices=voices,
            graded=Grader(house, conn).grade(seen.record) if schema else None, custody=_custody(conn, steps, files),
            related=_related(house, [one for one in found if one.row["record"] not in {file.record for file in files}], who), deleted=deleted(seen.state), label_of=words.label_of,
            steps_open=_steps(schema, who, seen), can_write=_can_write(schema, who, seen), place=_place(house, conn, who, schema, seen.record),
            holder=reviewing.holder_of(house, conn, schema, seen.state) if schema and reviewing.under_review(schema, seen.values) else None,
            levels=LEVELS, now=house.now(), review_at=_review_at(who, seen),
            evidence_schema=house.registry.get("evidence"), map_tiles=tiles_at(house), map_outlines=outlines_at(house),
            raw=None if schema else seen.values, warnings=schema.warnings(seen.values) if schema else {}, overdue=schema.overdue(seen.values, day(house.now())) if schema else False,
        )  # fmt: skip


class Custody(NamedTuple):
    """What the log holds of a record: its newest leaf, how long that log is now, and how many of its files are there.

    computed  files whose chunk tree and SM3 were computed here and are as their records state
    waiting   files that are here and whose stated digests were not computed yet
    wrong     what a record states and its file does not have
    """

    log: str
    leaf: int
    size: int
    held: int
    missing: int
    receipts: dict[str, int]
    computed: int
    waiting: int
    wrong: list[tuple[File, Claim]]


def _custody(conn: Connection, steps: list[Step], files: list[File]) -> Custody:
    newest = max(steps, key=lambda step: step.received, default=None)
    log = newest.log if newest else ""
    receipts = {file.sha256: holding.leaf for file in files if file.held and (holding := blobs.holding(conn, file.sha256, log))}
    held = sum(file.held for file in files)
    told = [(file, one) for file in files if file.held and (one := digesting.compared(conn, file.values)) is not None]
    wrong = [(file, claim) for file, one in told for claim in one.wrong]
    agreeing = sum(one.known and not one.wrong for _, one in told)
    return Custody(
        log, newest.leaf if newest else -1, merkle.size(conn, log), held, len(files) - held, receipts,
        agreeing, sum(not one.known for _, one in told), wrong,
    )  # fmt: skip


def _parts(
    house: Instance, conn: Connection, who: Seat, schema: type[RecordSchema], seen: Seen, open_now: list[Row]
) -> list[Part]:
    wrote = records.writers(conn, seen.state)
    refs = records.references(schema, seen.state)
    clashes = {row.path: row for row in open_now}
    today = day(house.now())
    late = schema.overdue(seen.values, today)
    by_name: dict[str, list[str]] = {}
    for path in sorted(seen.state.live):
        by_name.setdefault(path.partition("/")[0], []).append(path)
    parts = []
    form = form_of(schema, who.role)
    known = {field.name for section in form.sections for field in section.fields}
    for section in form.sections:
        shown = [
            _shown(house, schema, seen, path, wrote, refs, clashes, late and schema.runs_out is not None and path == schema.runs_out.field)
            for field in section.fields
            if field.widget not in ("evidence", "captions")
            for path in by_name.get(field.name, [])
        ]
        parts.append(Part(section.label, [one for one in shown if one.values or one.clash]))
    hidden = {name for name, field in schema.fields_by_name().items() if who.role in field.hidden_from}
    unknown = [path for name, paths in by_name.items() if name not in known and name not in hidden and name != DELETED for path in paths]
    if unknown:
        told = [_shown(house, schema, seen, path, wrote, refs, clashes, False) for path in unknown]
        parts.append(Part(Label("本程序不认识的字段", "Fields that this program does not know"), told))
    return [part for part in parts if part.shown]


def _shown(
    house: Instance,
    schema: type[RecordSchema],
    seen: Seen,
    path: str,
    wrote: Mapping[str, tuple[list[str], int]],
    refs: Mapping[str, list[str]],
    clashes: Mapping[str, Row],
    late: bool,
) -> Shown:
    by, at = wrote.get(path, ([], 0))
    clash = clashes.get(path)
    live = list(seen.state.live[path].values())
    values = live if clash or path not in seen.values else [seen.values[path]]
    said = [label for value in values if (label := value_of(schema, path, value)) is not None]
    return Shown(path, words.label_of(schema, path), said, refs.get(path, []), by, at, clash, late)


def _related(house: Instance, found: list[Any], who: Seat) -> list[Related]:
    by_kind: dict[str, list[Any]] = {}
    for one in found:
        by_kind.setdefault(one.kind, []).append(one)
    today, say_place = day(house.now()), placed(house)
    related = []
    for kind, some in sorted(by_kind.items()):
        schema = house.registry[kind]
        columns = tabling.at_first(schema, tabling.columns_of(schema, who.role))[:4]
        rows = [(one.row["record"], kind, [tabling.cell(schema, column, one.row, today, say_place) for column in columns]) for one in some]
        related.append(Related(schema, rows))
    return related


def _steps(schema: type[RecordSchema] | None, who: Seat, seen: Seen) -> list[tuple[str, Label]]:
    """The steps of the workflow that somebody may take from here."""
    path = schema.status_path() if schema else None
    if schema is None or path is None or schema.workflow is None or not who.may("records.write") or len(seen.state.live.get(path, {})) > 1:
        return []
    now = seen.values.get(path) or schema.workflow.initial
    elsewhere = _elsewhere(schema, str(now))
    return [
        (step.target, step.label) for step in form_of(schema, who.role).steps if step.source == now and step.target not in elsewhere
    ]


def _elsewhere(schema: type[RecordSchema], status: str) -> Mapping[str, Label]:
    """Steps from a status that have a desk of their own: target → what to say to who takes them here."""
    of_desk = dict.fromkeys(TAKEN_ELSEWHERE.get(schema.kind, frozenset()), Label("请在它自己的页面上办理", "this step is taken at its own desk"))
    said = Label("审核和退回请到“逐级审核”办理", "approve and return it at the review desk")
    return of_desk | {one.target: said for one in reviewing.of_review(schema, status)}


def _review_at(who: Seat, seen: Seen) -> str:
    """The page of the review desk for a record, for those who see that desk."""
    return url_for("console.review.one", record=seen.record) if who.may("review.read") else ""


def _can_write(schema: type[RecordSchema] | None, who: Seat, seen: Seen) -> bool:
    return schema is not None and who.may("records.write") and who.role in schema.makers and not deleted(seen.state)


def _place(house: Instance, conn: Connection, who: Seat, schema: type[RecordSchema] | None, record: str) -> Spot | None:
    """Where a record stands on the map, where it stands somewhere."""
    if schema is None:
        return None
    rows = Lists(house.projections).rows(conn, schema.kind, [record])
    return places.spots(conn, house.projections, schema.kind, lenders(house, who.sight, schema), rows).get(record)


# --- entering and correcting ------------------------------------------------------------------------------------------------


@desk.get("/records/<kind>/new", may="records.write")
def new(kind: str) -> Answer:
    who = seat()
    schema = records.schema_of(instance(), who.sight, kind)
    return page("records/form.html", schema=schema, sections=_sections(schema, who, None), values={}, problems={}, wrong=None,
                record=None, seen_now="{}", newcomers={}, title="")  # fmt: skip


@desk.post("/records/<kind>/new", may="records.write")
def create(kind: str) -> Answer:
    house, who = instance(), seat()
    schema = records.schema_of(house, who.sight, kind)
    said = read_form(schema, who)
    values = {path: value for path, value in said.values.items() if value not in (None, False)}
    problem: Problem | None = None
    if not said.problems:
        try:
            written = decisions.write(
                house.desk, kind, None, values | _entries(house, said.added), by=[who.person.id], rights=who.rights
            )
            say(Label("已保存", "Saved"))
            return onward(url_for(".one", record=written.record))
        except Problem as error:
            problem = error
    return answered("records/form.html", 422, schema=schema, sections=_sections(schema, who, None), values=_nested(values),
                    problems=said.problems, wrong=problem, record=None, seen_now="{}", newcomers={}, title="")  # fmt: skip


@desk.get("/record/<record>/edit", may="records.write")
def edit(record: str) -> Answer:
    house, who = instance(), seat()
    with house.database.read() as conn:
        seen = records.one(house, conn, who.sight, record)
    schema = records.schema_of(house, who.sight, seen.state.kind)
    return page(
        "records/form.html", schema=schema, sections=_sections(schema, who, seen), values=_nested(seen.values), problems={},
        wrong=None, record=seen.record, seen_now=_looked_at(seen.state), newcomers={}, title=records.title_of(house, seen.state),
    )  # fmt: skip


@desk.post("/record/<record>/edit", may="records.write")
def save(record: str) -> Answer:
    house, who = instance(), seat()
    with house.database.read() as conn:
        seen = records.one(house, conn, who.sight, record)
    schema = records.schema_of(house, who.sight, seen.state.kind)
    said = read_form(schema, who)
    looked_at = _ids(request.form.get(SEEN, ""))
    with house.database.read() as conn:
        was = records.values_then(conn, seen.state, looked_at)
    changed = {path: value for path, value in said.values.items() if _differs(seen, path, value, was.get(path))}
    newcomers = {path: seen.values.get(path) for path in changed if set(seen.state.ids(path)) != set(looked_at.get(path, ()))}
    problem: Problem | None = None
    if not said.problems and newcomers:
        problem = Stale(what=Label("、".join(words.label_of(schema, path).zh for path in newcomers),
                                   ", ".join(words.label_of(schema, path).en for path in newcomers)))  # fmt: skip
    if not said.problems and problem is None:
        values = changed | _entries(house, said.added)
        if not values:
            say(Label("没有改动", "Nothing was changed"), "info")
            return onward(url_for(".one", record=seen.record))
        try:
            decisions.write_seen(
                house.desk, schema.kind, seen.record, values, looked_at, by=[who.person.id], rights=who.rights
            )
            say(Label("已保存", "Saved"))
            return onward(url_for(".one", record=seen.record))
        except Problem as error:
            problem = error
    with house.database.read() as conn:
        seen = records.one(house, conn, who.sight, record)
    shown = seen.values | {path: value for path, value in said.values.items() if path in changed}
    return answered(
        "records/form.html", 409 if newcomers else 422, schema=schema, sections=_sections(schema, who, seen), values=_nested(shown),
        problems=said.problems, wrong=problem, record=seen.record, seen_now=_looked_at(seen.state), newcomers=newcomers,
        title=records.title_of(house, seen.state),
    )  # fmt: skip


@desk.post("/record/<record>/step", may="records.write")
def step(record: str) -> Answer:
    """A step of the workflow, from the status that was shown."""
    house, who = instance(), seat()
    with house.database.read() as conn:
        seen = records.one(house, conn, who.sight, record)
    schema = records.schema_of(house, who.sight, seen.state.kind)
    path = schema.status_path()
    if path is None:
        raise NotFound(what=record)
    looked_at, target = _ids(request.form.get(SEEN, "")), request.form.get("to", "")
    values = {path: target}
    if refused := _elsewhere(schema, str(seen.values.get(path, ""))).get(target):
        raise Refused(detail=refused)
    tasks.write_step(house, Writing([who.person.id], who.rights), schema.kind, seen.record, values, looked_at)
    say(Label("已办理", "Done"))
    return onward(url_for(".one", record=seen.record))


def read_form(schema: type[RecordSchema], who: Seat) -> screens.Read:
    """The posted form; areas may have been typed or chosen by name."""
    form = form_of(schema, who.role)
    posted, wrong = request.form.to_dict(), dict[str, Label]()
    names = [field.name for section in form.sections for field in section.fields if field.widget == "area"]
    for name in posted.keys() & names:
        try:
            posted[name] = here().code(posted[name])
        except InvalidField as problem:
            wrong[name] = problem.facts["detail"]
    said = screens.read(schema, form, posted)
    return said._replace(problems=said.problems | wrong)


def _sections(schema: type[RecordSchema], who: Seat, seen: Seen | None) -> list[tuple[Label, list[tuple[FormField, bool]]]]:
    """The fields of a form that are typed in, each with whether it is in conflict, and so for the merge desk."""
    form: Form = form_of(schema, who.role)
    found = []
    for section in form.sections:
        fields = [
            (one, bool(seen) and one.name in seen.state.live and one.name not in seen.values)  # type: ignore[union-attr]
            for one in section.fields
            if one.editable and one.widget not in NOT_IN_FORMS and (not one.keyed or one.options or one.widget == "notes")
        ]
        if fields:
            found.append((section.label, fields))
    return found


def _looked_at(state: State) -> str:
    return orjson.dumps({path: sorted(live) for path, live in state.live.items()}).decode()


def _ids(text: str) -> dict[str, list[str]]:
    """What a form says that its reader looked at; nothing where it says no such thing."""
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(said, dict):
        return {}
    return {str(path): [str(one) for one in ids] for path, ids in said.items() if isinstance(ids, list)}


def _differs(seen: Seen, path: str, value: Any, before: Any) -> bool:
    """Whether a person typed something else than they were shown. What is in conflict is for the merge desk."""
    if path in seen.state.live and path not in seen.values:
        return False
    return bool(value != before) and not (before in (None, False) and value in (None, False))


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Path → value as macros want them: a keyed field as key → value."""
    found: dict[str, Any] = {}
    for path, value in values.items():
        name, slash, key = path.partition("/")
        if slash:
            found.setdefault(name, {})[key] = value
        else:
            found[name] = value
    return found


def _entries(house: Instance, added: Mapping[str, str]) -> dict[str, Any]:
    """New notes, each under a key of its own."""
    now = house.now()
    return {f"{name}/{house.keys.new_id(now)}": {"text": text, "at": moment(now)} for name, text in added.items()}
