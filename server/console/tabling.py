"""A list as a page's address tells it: which columns, which conditions, which order; and its cells in words.

    /console/records/hazard?f-status=open&to-deadline=2026-11-30&q=消防&cols=description,deadline&order=deadline

Everything is in the address, so a list can be kept, sent and come back to. What a role must not see is no column, no condition
and no order for it. What the address says wrong is left out and told, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import orjson
from werkzeug.datastructures import MultiDict

from schemas import words
from schemas.base import RecordSchema
from schemas.certificates import CHINA
from schemas.fields import (
    Area,
    Choice,
    Date,
    Digest,
    Flag,
    Integer,
    Moment,
    Money,
    RecordField,
    Ref,
    Tags,
    Text,
    Workflowed,
)
from schemas.kinds.division import shortened
from schemas.labels import Label
from schemas.workflow import Workflow
from screens.forms import narrow
from server.console.naming import Places, caption
from server.evidence.grading import GRADE
from server.moments import moment
from server.storage.lists import Where
from sync.core.errors import InvalidField
from sync.core.grade import GRADE_LABEL, GRADED, GRADES

IN_CONFLICT = Label("冲突待决", "in conflict")
MADE, NEWEST = "record", "newest"
OWN = {MADE: Label("录入时间", "Entered"), NEWEST: Label("最近变更", "Last changed")}
"""Columns that every list has and no schema. The id of a record tells when it was made."""
SHOWN_AT_FIRST = 6
EMPTY = "-"
"""The choice that stands for no value."""
YES, NO = "yes", "no"


Args = MultiDict[str, str]


class Column(NamedTuple):
    """A column of a list; `field` is None for one of `OWN`, and for the grade, by which no list can be put in order."""

    name: str
    label: Label
    field: RecordField | None

    @property
    def ordered(self) -> bool:
        return self.field is not None and not self.field.keyed or self.name in OWN

    @property
    def number(self) -> bool:
        return isinstance(self.field, Integer)


class Control(NamedTuple):
    """A condition as a form offers it. `how`: choices, range, text or area; options: (value, label, chosen)."""

    name: str
    label: Label
    how: str
    kind: str = ""
    value: str = ""
    until: str = ""
    options: tuple[tuple[str, Label, bool], ...] = ()
    unit: str = ""

    @property
    def active(self) -> bool:
        return bool(self.value or self.until or any(chosen for _, _, chosen in self.options))


@dataclass
class Asked:
    """A list as it was asked for. `told`: what is set, for taking it back: (parameters, label); `grades`: those that were chosen."""

    columns: list[Column]
    order: str
    falling: bool
    text: str
    tests: list[Where] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    told: list[tuple[tuple[str, ...], Label]] = field(default_factory=list)
    problems: list[Label] = field(default_factory=list)
    grades: list[str] = field(default_factory=list)


def columns_of(schema: type[RecordSchema], role: str) -> list[Column]:
    """Every column that a role may see, the title first."""
    fields = schema.fields_by_name()
    names = [name for name, one in schema.projected() if role not in one.hidden_from]
    names += [name for name in schema.tagged() if role not in fields[name].hidden_from and _options(fields[name])]
    names.sort(key=lambda name: name != schema.title)
    own = [Column(name, label, None) for name, label in OWN.items()]
    graded = [Column(GRADE, GRADE_LABEL, None)] if schema.kind in GRADED else []
    return [*(Column(name, fields[name].label, fields[name]) for name in names), *graded, *own]


def at_first(schema: type[RecordSchema], columns: Sequence[Column]) -> list[Column]:
    """The columns of a list that nobody chose columns for: title, place, what it is ordered by, and when it was changed."""
    by_name = {one.name: one for one in columns}
    due = schema.runs_out.field if schema.runs_out else ""
    first = [schema.title, schema.status_path() or "", due, schema.area_field or "", *schema.sorts, *schema.search]
    names = [name for name in dict.fromkeys(first) if name in by_name]
    for one in columns:  # a kind that declares nothing has its first fields
        if len(names) < 3 and one.field is not None and one.name not in names:
            names.append(one.name)
    return [by_name[name] for name in [*names[:SHOWN_AT_FIRST], NEWEST]]


def read(schema: type[RecordSchema], role: str, args: Args, today: str, places: Places) -> Asked:
    """What an address asks for; `places` reads the names of divisions."""
    every = columns_of(schema, role)
    by_name = {one.name: one for one in every}
    chosen = [by_name[name] for name in args.get("cols", "").split(",") if name in by_name]
    order = args.get("order", MADE)
    sortable = order in by_name and by_name[order].ordered
    first = at_first(schema, every)
    if GRADE in by_name and by_name[GRADE].field is None:
        first.insert(1, by_name[GRADE])
    asked = Asked(
        chosen or first,
        order if sortable else MADE,
        args.get("dir", "") == "down" if sortable else True,
        args.get("q", "").strip()[:200],
    )
    for one in every:
        if one.field is not None and not isinstance(one.field, Digest):
            _condition(schema, one, args, asked, places)
    if schema.kind in GRADED:
        _graded(by_name[GRADE], args.getlist(f"f-{GRADE}"), asked)
    if args.get("conflict") == "1":
        asked.tests.append(Where("contested"))
        asked.told.append((("conflict",), Label("有冲突待决", "with an open conflict")))
    if args.get("overdue") == "1" and schema.runs_out is not None:
        asked.tests += overdue(schema, today)
        asked.told.append((("overdue",), Label("已逾期", "overdue")))
    return asked


def overdue(schema: type[RecordSchema], today: str) -> list[Where]:
    """The conditions of being past its day (`RecordSchema.overdue`, said for a list)."""
    due, status, workflow = schema.runs_out, schema.status_path(), schema.workflow
    if due is None or status is None or workflow is None:
        return []
    before = (date.fromisoformat(today) - timedelta(days=1)).isoformat()
    return [_among(status, workflow, due.running), Where("to", due.field, before)]


def within_time(schema: type[RecordSchema], today: str) -> list[Where]:
    """The conditions of having something to do and not being past its day; a record that names no day is one of them."""
    due, status, workflow = schema.runs_out, schema.status_path(), schema.workflow
    if due is None or status is None or workflow is None:
        return []
    return [_among(status, workflow, due.running), Where("not_before", due.field, today)]


def no_longer(schema: type[RecordSchema]) -> list[Where]:
    """The conditions of having nothing to do any more by a day."""
    due, status, workflow = schema.runs_out, schema.status_path(), schema.workflow
    if due is None or status is None or workflow is None:
        return []
    return [_among(status, workflow, workflow.statuses.keys() - due.running)]


def _among(status: str, workflow: Workflow, some: Collection[str]) -> Where:
    """Being in one of these statuses; what nobody wrote a status of is where its life begins."""
    return Where("among", status, [*sorted(some), *([None] if workflow.initial in some else [])])


def _condition(schema: type[RecordSchema], column: Column, args: Args, asked: Asked, places: Places) -> None:
    one, name = column.field, column.name
    said = args.get(f"f-{name}", "").strip()
    if isinstance(one, (Choice, Workflowed, Flag, Tags)):
        _chosen(schema, column, args.getlist(f"f-{name}"), asked)
    elif isinstance(one, (Date, Moment, Integer)):
        _range(column, args.get(f"from-{name}", "").strip(), args.get(f"to-{name}", "").strip(), asked)
    elif isinstance(one, Area):
        try:
            code = shortened(places.code(said))
        except InvalidField as problem:
            asked.problems.append(_problem(column, problem.facts["detail"].zh, problem.facts["detail"].en))
            code = ""
        asked.controls.append(Control(name, column.label, "area", value=code or said))
        if code:
            asked.tests.append(Where("below", name, code))
            asked.told.append(((f"f-{name}",), _said(column._replace(label=caption(column.label)), places(code))))
    elif isinstance(one, Ref):
        if said:
            asked.tests.append(Where("is", name, said))
            asked.told.append(((f"f-{name}",), _said(column, f"…{said[-8:]}")))
    elif isinstance(one, Text) or one is not None and one.column == "text":
        asked.controls.append(Control(name, column.label, "text", value=said))
        if said:
            asked.tests.append(Where("holds", name, said[:200]))
            asked.told.append(((f"f-{name}",), _said(column, said)))
    if args.get(f"empty-{name}") == "1":
        asked.tests.append(Where("empty", name))
        asked.told.append(((f"empty-{name}",), Label(f"{column.label.zh}：未填", f"{column.label.en}: empty")))


def _chosen(schema: type[RecordSchema], column: Column, said: Sequence[str], asked: Asked) -> None:
    options = options_of(schema, column.field)
    known = [code for code in said if code in options]
    shown = tuple((code, label, code in known) for code, label in options.items())
    asked.controls.append(Control(column.name, column.label, "choices", options=shown))
    if not known:
        return
    values: list[Any] = [None if code == EMPTY else code for code in known]
    if isinstance(column.field, Tags):
        asked.tests.append(Where("tagged", column.name, values))
        asked.told.append(((f"f-{column.name}",), _chosen_said(column, options, known)))
        return
    if isinstance(column.field, Flag):
        values = [None if code == EMPTY else code == YES for code in known]
    workflow = schema.workflow
    if workflow is not None and isinstance(column.field, Workflowed) and workflow.initial in values and None not in values:
        values.append(None)  # a record whose status nobody wrote is where its life begins
    asked.tests.append(Where("is", column.name, values[0]) if len(values) == 1 and values[0] is not None
                       else Where("among", column.name, values))  # fmt: skip
    asked.told.append(((f"f-{column.name}",), _chosen_said(column, options, known)))


def _chosen_said(column: Column, options: Mapping[str, Label], known: Sequence[str]) -> Label:
    zh, en = "、".join(options[code].zh for code in known), ", ".join(options[code].en for code in known)
    return Label(f"{column.label.zh}：{zh}", f"{column.label.en}: {en}")


def _options(one: RecordField) -> Mapping[str, Label]:
    """The tags that may be set, where the field names them."""
    return one.options or {} if isinstance(one, Tags) else {}


def options_of(schema: type[RecordSchema], one: RecordField | None) -> dict[str, Label]:
    """The values that may be chosen as a condition: code → label."""
    match one:
        case Choice():
            return {**one.options, EMPTY: Label("未填", "empty")}
        case Workflowed() if schema.workflow is not None:
            return {code: status.label for code, status in schema.workflow.statuses.items() if code in one.statuses}
        case Tags():
            return {**_options(one), EMPTY: Label("无", "none")}
        case Flag():
            return {YES: words.YES, NO: words.NO, EMPTY: Label("未填", "empty")}
    return {}


def _graded(column: Column, said: Sequence[str], asked: Asked) -> None:
    """The grades that were chosen: which records have them is computed (`records.wanted_of`), no database knows."""
    labels = {code: Label(f"{code} {label.zh}", f"{code} {label.en}") for code, label in GRADES.items()}
    asked.grades = [code for code in said if code in labels]
    options = tuple((code, label, code in asked.grades) for code, label in labels.items())
    asked.controls.append(Control(column.name, column.label, "choices", options=options))
    if asked.grades:
        asked.told.append(((f"f-{GRADE}",), _said(column, "、".join(asked.grades))))


def ungraded(asked: Asked, most: int) -> None:
    """Say that the grades that were chosen are not looked at, for more than `most` records fit everything else."""
    asked.told = [one for one in asked.told if one[0] != (f"f-{GRADE}",)]
    asked.grades = []
    asked.problems.append(Label(
        f"{GRADE_LABEL.zh}：等级须逐条计算，其他条件下的记录超过 {most} 条，请先缩小范围",
        f"{GRADE_LABEL.en}: it is computed record by record, and more than {most} fit the other conditions; narrow them first",
    ))  # fmt: skip


def _range(column: Column, since: str, until: str, asked: Asked) -> None:
    one = column.field
    sort = "date" if isinstance(one, (Date, Moment)) else "number"
    unit = "元" if isinstance(one, Money) else one.unit if isinstance(one, Integer) else ""
    asked.controls.append(Control(column.name, column.label, "range", sort, since, until, unit=unit))
    for does, said in (("from", since), ("to", until)):
        if not said:
            continue
        value = _bound(one, narrow(said), last=does == "to")
        if value is None:
            asked.problems.append(_problem(column, f"“{said}”无法识别", f"“{said}” cannot be read"))
            continue
        asked.tests.append(Where("from" if does == "from" else "to", column.name, value))
        sign = "≥" if does == "from" else "≤"
        asked.told.append(((f"{does}-{column.name}",), _said(column, f"{sign} {said}", colon=False)))


def _bound(one: RecordField | None, said: str, *, last: bool) -> Any:
    try:
        if isinstance(one, Money):
            return round(float(said) * 100)
        if isinstance(one, Integer):
            return int(said)
        day = date.fromisoformat(said)
    except (ValueError, OverflowError):
        return None
    if isinstance(one, Date):
        return day.isoformat()
    begins = int(datetime(day.year, day.month, day.day, tzinfo=CHINA).timestamp() * 1000)
    return moment(begins + 86_400_000 - 1) if last else moment(begins)


def _said(column: Column, value: str, colon: bool = True) -> Label:
    zh, en = ("：", ": ") if colon else (" ", " ")
    return Label(f"{column.label.zh}{zh}{value}", f"{column.label.en}{en}{value}")


def _problem(column: Column, zh: str, en: str) -> Label:
    return Label(f"{column.label.zh}：{zh}", f"{column.label.en}: {en}")


# --- cells ---------------------------------------------------------------------------------------------------------------


class Cell(NamedTuple):
    """What stands in a cell. `state`: how it is shown: clash, late, number, grade, or as it is. ref: the id of a record it names."""

    text: Label | None
    state: str = ""
    ref: str = ""


def cell(
    schema: type[RecordSchema], column: Column, row: Mapping[str, Any], today: str, placed: Callable[[str], str] = str
) -> Cell:
    """A field of a row in words, never the provisional value of a conflict. `placed` says a division code in words."""
    if column.name == MADE:
        return Cell(words.same(made(row["record"])))
    if column.name == NEWEST:
        return Cell(words.same(words.local(row[NEWEST])) if row[NEWEST] else None)
    if column.name == GRADE and column.field is None:
        graded = row.get(GRADE)
        return Cell(words.same(graded) if graded else None, "grade")
    if column.name in orjson.loads(row["conflicted"]):
        return Cell(IN_CONFLICT, "clash")
    value = row[column.name]
    if isinstance(column.field, Tags):
        options = _options(column.field)
        codes = sorted(filter(None, (value or "").split(",")), key=lambda code: list(options).index(code) if code in options else len(options))
        labels = [options.get(code) or words.same(code) for code in codes]
        return Cell(Label("、".join(one.zh for one in labels), ", ".join(one.en for one in labels)) if labels else None)
    if value is None and isinstance(column.field, Workflowed) and schema.workflow is not None:
        value = schema.workflow.initial
    if isinstance(column.field, Ref) and isinstance(value, str):
        return Cell(words.same(f"…{value[-8:]}"), ref=value)
    if isinstance(column.field, Area) and isinstance(value, str):
        return Cell(words.same(placed(value)))
    late = schema.runs_out is not None and column.name == schema.runs_out.field and schema.overdue(row, today)
    return Cell(words.value_of(schema, column.name, value), "late" if late else "number" if column.number else "")


def made(record: str) -> str:
    """When a record was made, by its id; empty for an id of another form."""
    digits = record.replace("-", "")[:12]
    try:
        return words.local(int(digits, 16)) if len(record) == 36 and record[14] == "7" else ""
    except (ValueError, OverflowError, OSError):
        return ""
