"""Importing clues from CSV or XLSX: a hotline's tickets, what the public sent in, a supervisor's list.

Read as registers are (`server.register.sheetcells`): what can be read without guessing is, everything else is listed by line and column with
the reason and the next step, and nothing of a bad row is written. A row whose source and number are known already is the
same clue again and writes nothing. Columns that tell who reported go into the informer and never into the clue.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from schemas.base import RecordSchema
from schemas.fields import Area, Invalid
from schemas.kinds.clue import Clue
from schemas.kinds.informer import Informer
from schemas.labels import Label
from server.instance import Instance
from server.register import sheets
from server.register.editions import Writing
from server.register.sheetcells import Bad, BadCell, plain, value_of
from server.register.sheets import text_of
from server.storage.database import Connection
from server.work import clues
from sync.core.errors import BadRoster

HEADER_WITHIN = 10
MOST = 2000
"""Rows of one file: they are looked through before they are taken in."""

CLUE_COLUMNS = ("subject", "text", "type", "urgency", "address", "area", "source", "number", "received_at", "due")
INFORMER_COLUMNS = ("name", "phone", "contact", "relation", "wants_answer")
ALIASES: Mapping[str, tuple[str, ...]] = {
    "subject": ("对象", "机构名称", "被反映对象", "被投诉对象", "被投诉机构", "投诉对象", "subject", "institution"),
    "text": ("内容", "投诉内容", "诉求内容", "问题描述", "线索内容", "content", "complaint"),
    "type": ("线索类型", "问题类型", "投诉类型", "category"),
    "urgency": ("紧急", "等级", "线索等级"),
    "address": ("地址", "投诉地址", "发生地点"),
    "area": ("区划代码", "区划", "行政区划", "divisioncode"),
    "source": ("线索来源", "渠道"),
    "number": ("编号", "工单号", "工单编号", "受理编号", "ticket"),
    "received_at": ("时间", "投诉时间", "来电时间", "受理日期", "receivedat"),
    "due": ("期限", "办理期限", "截止日期"),
    "name": ("举报人", "举报人姓名", "投诉人", "投诉人姓名", "来电人", "informer"),
    "phone": ("联系电话", "举报电话", "来电号码", "手机", "投诉人电话"),
    "contact": ("联系方式", "邮箱", "微信"),
    "relation": ("与机构关系", "身份"),
    "wants_answer": ("是否答复", "是否回复", "要求回复"),
}
"""Other headers by field, besides the field's own name and label."""


class Row(NamedTuple):
    """A row as the schemas want it, by line of the file: the clue, and who reported it."""

    line: int
    clue: dict[str, Any]
    informer: dict[str, Any]


@dataclass
class Reading:
    """What a file holds. A line is either in `rows` or in `bad`; `ignored`: headers that mean nothing here."""

    rows: list[Row] = field(default_factory=list)
    bad: list[BadCell] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    @property
    def bad_lines(self) -> int:
        return len({one.line for one in self.bad})


@dataclass
class Plan:
    """What taking the rows in would do: those that are new, with the day of each, and the lines of those that are known."""

    new: list[Row] = field(default_factory=list)
    known: list[int] = field(default_factory=list)


def read(file: Path, defaults: Mapping[str, str]) -> Reading:
    """Read a table of clues. defaults: `area` and `source` for rows that do not name them.

    Raises BadRoster where it is no table with a header that names what clues are about.
    """
    lines = sheets.rows_of(file)
    columns, header = _header(file, lines)
    reading = Reading(ignored=[cell for i, cell in enumerate(header) if cell and i not in columns])
    for line, cells in lines:
        named = {columns[i]: cell for i, cell in enumerate(cells) if i in columns}
        if any(text_of(cell) for cell in named.values()):
            if len(reading.rows) + reading.bad_lines >= MOST:
                detail = Label(f"超过 {MOST} 行，请分成几个文件", f"more than {MOST} rows: make several files of it")
                raise BadRoster(file=file.name, detail=detail)
            _take(reading, line, named, {columns[i]: header[i] for i in columns}, defaults)
    return reading


def plan(house: Instance, conn: Connection, reading: Reading) -> Plan:
    """What taking these rows in would do; with the day until which each is verified."""
    made, held = Plan(), clues.days_set(conn)
    seen: set[tuple[str, str]] = set()
    for row in reading.rows:
        number, source = str(row.clue.get("number") or ""), str(row.clue["source"])
        if number and ((source, number) in seen or _known(house, conn, source, number)):
            made.known.append(row.line)
            continue
        seen.add((source, number))
        made.new.append(row._replace(clue=clues.completed(row.clue, house.now(), held)))
    return made


def carry_out(house: Instance, who: Writing, reading: Reading) -> tuple[int, int]:
    """Take the rows in, all in one transaction; returns how many are new and how many were known."""
    with house.database.write() as conn:
        made = plan(house, conn, reading)
        if made.new:
            clues.receive_within(conn, house, who, [(row.clue, row.informer) for row in made.new])
    return len(made.new), len(made.known)


def _known(house: Instance, conn: Connection, source: str, number: str) -> bool:
    return any(row["source"] == source for row in house.projections.find(conn, Clue.kind, "number", number))


# --- Reading the file ---------------------------------------------------------------------------------------------------


def template() -> list[list[str]]:
    """The header of a table to fill in, and one row that shows how."""
    return [
        [label_of(name).zh for name in (*CLUE_COLUMNS, *INFORMER_COLUMNS)],
        ["某某艺术培训中心", "周末在三楼给初中生补数学", "隐形变异学科培训", "一般", "人民中路 12 号 3 楼", "430102001001", "12345 热线",
         "2026112600123", "2026-11-26 09:30", "", "", "", "", "", "否"],
    ]  # fmt: skip


def label_of(name: str) -> Label:
    """The label of a column."""
    schema = Clue if name in CLUE_COLUMNS else Informer
    return schema.fields_by_name()[name].label


def _header(file: Path, lines: Iterator[tuple[int, Sequence[Any]]]) -> tuple[dict[int, str], list[str]]:
    """(column index → field, the header's cells): the first row that names what clues are about and what was said."""
    headers: dict[str, str] = {}
    for name in (*CLUE_COLUMNS, *INFORMER_COLUMNS):
        label = label_of(name)
        for text in (name, label.zh, label.en, *ALIASES.get(name, ())):
            headers.setdefault(plain(text), name)
    for _, (_, cells) in zip(range(HEADER_WITHIN), lines, strict=False):
        texts = [text_of(cell) for cell in cells]
        columns: dict[int, str] = {}
        for i, text in enumerate(texts):
            found = headers.get(plain(text))
            if found is not None and found not in columns.values():
                columns[i] = found
        if {"subject", "text"} <= set(columns.values()):
            return columns, texts
    detail = Label(
        f"前 {HEADER_WITHIN} 行中没有含“反映对象”和“反映内容”的表头",
        f"none of the first {HEADER_WITHIN} rows is a header with what it is about and what was reported",
    )
    raise BadRoster(file=file.name, detail=detail)


def _take(
    reading: Reading, line: int, cells: Mapping[str, Any], header: Mapping[str, str], defaults: Mapping[str, str]
) -> None:
    found: dict[str, dict[str, Any]] = {"clue": {}, "informer": {}}
    bad: list[BadCell] = []

    def refuse(name: str, problem: Label) -> None:
        said = header.get(name, label_of(name).zh)
        bad.append(BadCell(line, said, text_of(cells.get(name))[:80], problem, _next_step(name)))

    for name, cell in cells.items():
        if not text_of(cell):
            continue
        schema: type[RecordSchema] = Clue if name in CLUE_COLUMNS else Informer
        try:
            value = value_of(schema.fields_by_name()[name], cell)
            schema.check_path(name, value)
            found["clue" if schema is Clue else "informer"][name] = value
        except (Bad, Invalid) as error:
            refuse(name, error.problem)
    clue = found["clue"]
    for name in ("area", "source"):
        if name not in clue and defaults.get(name) and not text_of(cells.get(name)):
            clue[name] = defaults[name]
    refused = {one.column for one in bad}
    for name in ("subject", "text", "area", "source"):
        if name not in clue and header.get(name, label_of(name).zh) not in refused:
            refuse(name, Label("不能为空", "must not be empty"))
    if bad:
        reading.bad.extend(bad)
    else:
        reading.rows.append(Row(line, clue, found["informer"]))


def _next_step(name: str) -> Label:
    if isinstance(Clue.fields_by_name().get(name), Area):
        return Label("请填 6 至 12 位区划代码（列设为文本），或在导入时选定", "Use a code of 6 to 12 digits as text, or choose one when importing")
    if name in ("subject", "text", "source"):
        return Label("请补填后再导入", "Fill it in and import again")
    return Label("请更正，或留空后再导入", "Correct it, or leave it empty, and import again")
