"""Importing a register of institutions from CSV or XLSX.

Registers arrive as departments keep them: saved by Excel in GB18030 or UTF-8, with a title above the header, codes
turned into numbers, full-width digits, 是 and 否. Everything that can be read without guessing is; everything else is
listed by line and column with the reason and the next step, and nothing of a bad row is written.

A row is matched with what the server has by credit code, else permit number, else name and county. A row that changes
nothing writes nothing; an empty cell takes nothing away. What is written are ordinary changes by the server's replica,
so an import can be looked up, undone and synchronised like everything else.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

from schemas.base import RecordSchema
from schemas.fields import Area, CreditCode, Invalid
from schemas.labels import Label
from server.merging import decisions
from server.merging.decisions import Desk
from server.register import sheets
from server.register.sheetcells import Bad, BadCell, plain, value_of
from server.register.sheets import text_of as _text
from server.storage import states
from sync.core.errors import BadRoster
from sync.core.fold import State, contested, values_of
from sync.core.rules import Rights

KIND = "institution"
BATCH = 500
HEADER_WITHIN = 10
"""Rows above the header that may be a title, a date, a remark."""

LON, LAT = "lon", "lat"

ALIASES: Mapping[str, tuple[str, ...]] = {
    "name": ("名称", "单位名称", "培训机构名称", "机构全称", "institution"),
    "credit_code": ("信用代码", "社会信用代码", "uscc", "creditcode"),
    "permit_number": ("许可证号", "许可证编号", "办学许可证编号", "办学许可证", "permit"),
    "permit_until": ("有效期至", "有效期", "许可证有效期", "permituntil"),
    "status": ("办学状态", "机构状态"),
    "category": ("类别", "培训类别", "类型", "机构类型"),
    "mode": ("形式", "办学形式", "线上线下", "form"),
    "area": ("区划代码", "行政区划", "区划", "divisioncode", "areacode"),
    "address": ("地址", "办学地址", "办学地点", "机构地址"),
    LON: ("lon", "经度", "longitude", "lng", "东经"),
    LAT: ("lat", "纬度", "latitude", "北纬"),
    "legal_representative": ("法人", "法人代表", "法定代表人姓名", "负责人", "legalrepresentative"),
    "phone": ("电话", "手机", "手机号", "联系方式", "phone"),
    "learners": ("学生人数", "在读人数", "在校生数", "学员数", "students"),
    "teachers": ("教职工人数", "教师数", "从业人员数"),
    "prepaid_supervised": ("资金监管", "预收费资金监管", "是否预收费监管", "是否纳入监管"),
    "platform_code": ("平台编码", "全国平台编号"),
    "department": ("审批机关", "主管单位", "审批部门"),
    "remark": ("说明", "备注说明", "remarks", "note"),
}
"""Other headers by field, besides the field's own name and label."""

Progress = Callable[[int, int], None]


class Row(NamedTuple):
    """A row as the schema wants it: path → value, without its empty cells."""

    line: int
    values: dict[str, Any]


@dataclass
class Reading:
    """What a file holds. A line is either in `rows` or in `bad`."""

    rows: list[Row] = field(default_factory=list)
    bad: list[BadCell] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    @property
    def bad_lines(self) -> int:
        return len({one.line for one in self.bad})


@dataclass
class Plan:
    """What an import would do: (line, record or None for a new one, path → value)."""

    new: list[tuple[int, None, dict[str, Any]]] = field(default_factory=list)
    changed: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    unchanged: int = 0
    bad: list[BadCell] = field(default_factory=list)


# --- Reading the file -----------------------------------------------------------------------------------------


def read(file: Path, schema: type[RecordSchema]) -> Reading:
    """Read a register. Raises BadRoster where it is no table with a header that names the institution."""
    lines = sheets.rows_of(file)
    headers = _headers(schema)
    columns, header = _find_header(file, lines, headers)
    reading = Reading(ignored=[cell for i, cell in enumerate(header) if cell and i not in columns])
    for line, cells in lines:
        if any(_text(cell) for cell in cells):
            _take(reading, schema, line, {columns[i]: cell for i, cell in enumerate(cells) if i in columns},
                  {columns[i]: header[i] for i in columns})  # fmt: skip
    _refuse_doubles(reading, {columns[i]: header[i] for i in columns})
    return reading


def _headers(schema: type[RecordSchema]) -> dict[str, str]:
    """normalised header → field."""
    found: dict[str, str] = {}
    for name, one in schema.fields_by_name().items():
        if not one.keyed:
            for text in (name, one.label.zh, one.label.en):
                found.setdefault(plain(text), name)
    for name, texts in ALIASES.items():
        if name in (LON, LAT) or name in schema.fields_by_name():
            for text in texts:
                found.setdefault(plain(text), name)
    return found


def _find_header(
    file: Path, lines: Iterator[tuple[int, Sequence[Any]]], headers: Mapping[str, str]
) -> tuple[dict[int, str], list[str]]:
    """(column index → field, the header's cells): the first row that names the institution's name column."""
    for _, (_, cells) in zip(range(HEADER_WITHIN), lines, strict=False):
        texts = [_text(cell) for cell in cells]
        columns: dict[int, str] = {}
        for i, text in enumerate(texts):
            name = headers.get(plain(text))
            if name is not None and name not in columns.values():
                columns[i] = name
        if "name" in columns.values() and len(columns) > 1:
            return columns, texts
    detail = Label(
        f"前 {HEADER_WITHIN} 行中没有含“机构名称”的表头，或文字编码无法识别",
        f"none of the first {HEADER_WITHIN} rows is a header with the institution's name, or its encoding is unknown",
    )
    raise BadRoster(file=file.name, detail=detail)


# --- Reading a row --------------------------------------------------------------------------------------------


def _take(
    reading: Reading, schema: type[RecordSchema], line: int, cells: Mapping[str, Any], header: Mapping[str, str]
) -> None:
    values: dict[str, Any] = {}
    bad: list[BadCell] = []

    def refuse(name: str, problem: Label) -> None:
        value = _text(cells.get(name))[:80]
        bad.append(BadCell(line, header.get(name, name), value, problem, _next_step(schema, name)))

    for name, cell in cells.items():
        if name in (LON, LAT) or not _text(cell):
            continue
        try:
            value = value_of(schema.fields_by_name()[name], cell)
            schema.check_path(name, value)
            values[name] = value
        except (Bad, Invalid) as error:
            refuse(name, error.problem)
    try:
        place = _place(cells.get(LON), cells.get(LAT))
        if place is not None:
            values["place"] = place
    except Bad as error:
        refuse(LON, error.problem)
    for name, one in schema.fields_by_name().items():
        if one.required and name not in values and not any(b.column == header.get(name, name) for b in bad):
            refuse(name, Label("不能为空", "must not be empty"))
    if bad:
        reading.bad.extend(bad)
    else:
        reading.rows.append(Row(line, values))


def _place(lon: Any, lat: Any) -> dict[str, int] | None:
    """Decimal degrees as a Point. China lies between 73° and 136° E, 3° and 54° N, so a swap is noticed."""
    texts = [unicodedata.normalize("NFKC", _text(one)).rstrip("°") for one in (lon, lat)]
    if not any(texts):
        return None
    if not all(texts):
        raise Bad(Label("经度和纬度应同时填写", "longitude and latitude go together"))
    try:
        east, north = (Decimal(text) for text in texts)
    except InvalidOperation as error:
        raise Bad(Label("经纬度应为十进制度数，如 112.9389", "expected decimal degrees, like 112.9389")) from error
    if 73 <= north <= 136 and 3 <= east <= 54:
        raise Bad(Label("经度与纬度写反了", "longitude and latitude are swapped"))
    if not (73 <= east <= 136 and 3 <= north <= 54):
        raise Bad(Label("位置不在中国境内", "the position is not in China"))
    return {"lat": _e7(north), "lon": _e7(east)}


def _e7(degrees: Decimal) -> int:
    return int(degrees.scaleb(7).to_integral_value(ROUND_HALF_EVEN))


def _next_step(schema: type[RecordSchema], name: str) -> Label:
    one = schema.fields_by_name().get(name)
    if isinstance(one, CreditCode):
        return Label("请对照营业执照或登记证更正；该列请设为文本格式", "Compare the licence; format the column as text")
    if isinstance(one, Area):
        return Label("请填 12 位（至少 6 位）区划代码，列设为文本", "Use a code of 12 digits, at least 6, as text")
    if name in (LON, LAT):
        return Label("请更正，或两格都留空，现场再定位", "Correct it, or leave both empty and locate it on site")
    if one is not None and one.required:
        return Label("请补填后再导入", "Fill it in and import again")
    return Label("请更正，或留空后再导入", "Correct it, or leave it empty, and import again")


# --- Doubles inside the file ------------------------------------------------------------------------------------


def _refuse_doubles(reading: Reading, header: Mapping[str, str]) -> None:
    """Two rows that claim one code cannot both be right; both lines are named, neither is imported."""
    doubled: set[int] = set()
    for name in ("credit_code", "permit_number", "name"):
        lines: dict[Any, list[int]] = defaultdict(list)
        for row in reading.rows:
            if name in row.values:
                key = (row.values["name"], row.values["area"]) if name == "name" else row.values[name]
                lines[key].append(row.line)
        for row in reading.rows:
            key = (row.values["name"], row.values["area"]) if name == "name" else row.values.get(name)
            others = [line for line in lines.get(key, ()) if line != row.line]
            if others and row.line not in doubled:
                told = "、".join(map(str, others))
                reading.bad.append(BadCell(
                    row.line, header.get(name, name), str(row.values[name])[:80],
                    Label(f"与第 {told} 行重复", f"the same as on line {told}"),
                    Label("请保留一行，或更正其中一行", "Keep one of the lines, or correct one"),
                ))  # fmt: skip
                doubled.add(row.line)
    reading.rows = [row for row in reading.rows if row.line not in doubled]
    reading.bad.sort(key=lambda one: one.line)


# --- Comparing with what there is -------------------------------------------------------------------------------


class _Known:
    """The institutions that the server has, by what they can be recognised by."""

    def __init__(self, held: Iterable[State], schema: type[RecordSchema]) -> None:
        self.states = {state.record: state for state in held}
        self.schema = schema
        self.by: dict[tuple[str, Any], set[str]] = defaultdict(set)
        for state in self.states.values():
            for name in ("credit_code", "permit_number"):
                for value in state.live.get(name, {}).values():
                    self.by[name, value].add(state.record)
            for title in state.live.get("name", {}).values():
                for area in state.live.get("area", {}).values():
                    self.by["name", (title, str(area)[:6])].add(state.record)

    def match(self, values: Mapping[str, Any]) -> set[str]:
        """The records that a row may mean; more than one is for a person to sort out."""
        for name in ("credit_code", "permit_number"):
            if values.get(name) is not None and (found := self.by.get((name, values[name]))):
                return found
        named = self.by.get(("name", (values["name"], values["area"][:6])), set())
        return {record for record in named if not self._other_code(record, values)}

    def _other_code(self, record: str, values: Mapping[str, Any]) -> bool:
        """Two institutions of one name in one county are told apart by their codes."""
        for name in ("credit_code", "permit_number"):
            held = {value for value in self.states[record].live.get(name, {}).values() if value is not None}
            if held and name in values and values[name] not in held:
                return True
        return False

    def differences(self, record: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Of these values, those that the record does not show (or shows as a conflict)."""
        state = self.states[record]
        shown = values_of(state, self.schema.merge_of)
        unclear = set(contested(state, self.schema.merge_of))
        return {path: v for path, v in values.items() if path in unclear or shown.get(path) != v}

    def contradicts(self, record: str, values: Mapping[str, Any]) -> bool:
        """A row that was recognised by its permit but names another credit code."""
        codes = {v for v in self.states[record].live.get("credit_code", {}).values() if v is not None}
        return bool(codes) and values.get("credit_code") is not None and values["credit_code"] not in codes


def plan(desk: Desk, reading: Reading) -> Plan:
    """What importing these rows would do, and the rows that the server's own records make doubtful."""
    schema = desk.registry[KIND]
    with desk.database.read() as conn:
        known = _Known((State.read(one.bytes) for one in states.scan(conn, [KIND])), schema)
    made = Plan()
    for row in reading.rows:
        found = known.match(row.values)
        if len(found) > 1:
            ids = "、".join(sorted(found))
            made.bad.append(BadCell(
                row.line, "", row.values["name"], Label(f"对应多个机构：{ids}", f"fits several institutions: {ids}"),
                Label("请先在服务器上合并它们（merge）", "Merge them on the server first"),
            ))  # fmt: skip
            continue
        if not found:
            made.new.append((row.line, None, row.values))
            continue
        record = next(iter(found))
        if known.contradicts(record, row.values):
            made.bad.append(BadCell(
                row.line, "", row.values["name"],
                Label(f"许可证号属于 {record}，但信用代码不同", f"the permit of {record}, but another credit code"),
                Label("请核对两处代码", "Check the codes on both sides"),
            ))  # fmt: skip
            continue
        differences = known.differences(record, row.values)
        if differences:
            made.changed.append((row.line, record, differences))
        else:
            made.unchanged += 1
    return made


def carry_out(desk: Desk, made: Plan, *, by: Sequence[str], rights: Rights, progress: Progress | None = None) -> int:
    """Write what a plan says, in batches; returns the number of changes. A batch is written whole or not at all."""
    acts = [(record, values) for _, record, values in [*made.new, *made.changed]]
    for start in range(0, len(acts), BATCH):
        decisions.write_many(desk, KIND, acts[start : start + BATCH], by=by, rights=rights)
        if progress is not None:
            progress(min(start + BATCH, len(acts)), len(acts))
    return len(acts)
