"""Names of division codes: imported from a table, looked up wherever a code is shown, and found again by what somebody types."""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from pypinyin import Style, lazy_pinyin

from schemas.fields import Invalid
from schemas.kinds.division import Division, above, shortened
from schemas.labels import Label
from server.instance import Instance
from server.merging import decisions
from server.register.sheets import rows_of, text_of
from server.storage import states
from sync.core.errors import BadRoster, InvalidField
from sync.core.rules import Rights

KIND = Division.kind
NAMESPACE = uuid.UUID("6d3c1f5e-1b0a-5a1e-9a57-2f6e3c0d4b11")
AT_ONCE = 500
CODE, NAME, LON, LAT = (
    {"code", "区划代码", "代码", "行政区划代码"},
    {"name", "名称", "区划名称", "单位名称"},
    {"lon", "经度"},
    {"lat", "纬度"},
)
"""What the columns may be called."""
OFFERED = 12
"""Divisions that are offered to somebody who types a name."""
_CODE_LAST = re.compile(r"(?:^|[\s（(])([0-9]{2,12})[）)]?$")


class Row(NamedTuple):
    """One division of a table; `line` is where it stands."""

    line: int
    code: str
    values: dict[str, Any]


class Reading(NamedTuple):
    """rows: what can be imported. bad: (line, what is wrong), of which nothing is imported."""

    rows: list[Row]
    bad: list[tuple[int, Label]]


def division_id(code: str) -> str:
    """The id of the record of a code: every server that names this division makes the same record."""
    return str(uuid.uuid5(NAMESPACE, code))


def read(file: Path) -> Reading:
    """A table with the columns code and name, and perhaps lon and lat. Raises BadRoster where it is no such table."""
    lines = rows_of(file)
    columns: dict[str, int] | None = None
    found = Reading([], [])
    for line, cells in lines:
        texts = [text_of(cell) for cell in cells]
        if columns is None:
            columns = _columns(texts)
        elif any(texts):
            try:
                found.rows.append(_row(line, texts, columns))
            except Invalid as invalid:
                found.bad.append((line, Label(f"{invalid.path}：{invalid.problem.zh}", f"{invalid.path}: {invalid.problem.en}")))
    if columns is None:
        detail = Label("没有“代码”和“名称”两列", "it has no columns called code and name")
        raise BadRoster(file=file.name, detail=detail)
    return found


def carry_out(
    house: Instance,
    rows: Sequence[Row],
    *,
    by: Sequence[str],
    rights: Rights,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Write what is new or different; returns how many records that were."""
    known = {row["code"]: row for row in _stored(house)}
    todo = [row for row in rows if _differs(known.get(row.code), row)]
    for start in range(0, len(todo), AT_ONCE):
        slice_ = todo[start : start + AT_ONCE]
        acts = [(division_id(row.code), row.values) for row in slice_]
        decisions.write_many(house.desk, KIND, acts, by=by, rights=rights)
        progress(start + len(slice_))
    return len(todo)


class Names:
    """code → name, kept until reference data changes. Threads share it."""

    def __init__(self) -> None:
        self._lock, self._head, self._names = Lock(), -1, dict[str, str]()

    def of(self, house: Instance, code: str | None) -> str:
        """The name of a division with those that it lies in: `长沙市天心区`; the code itself where it has none."""
        return full(self._current(house), code)

    def all(self, house: Instance) -> dict[str, str]:
        """Every code that has a name."""
        return dict(self._current(house))

    def _current(self, house: Instance) -> dict[str, str]:
        with house.database.read() as conn:
            head = sum(bucket.head for bucket in states.heads(conn, ["ref:"]).values())
        with self._lock:
            if head != self._head:
                self._names = {shortened(row["code"]): row["name"] for row in _stored(house) if row["code"] and row["name"]}
                self._head = head
            return self._names


def full(names: Mapping[str, str], code: str | None) -> str:
    """A code in full, with the names of `Names.all`."""
    parts: list[str] = []
    at = shortened(code or "")
    while at:
        if at in names:
            parts.append(names[at])
        at = above(at)
    if len(parts) > 1:
        parts.pop()  # the province goes without saying
    return "".join(reversed(parts)) or (code or "")


def find(names: Mapping[str, str], text: str, within: Sequence[str], most: int = OFFERED) -> list[str]:
    """The codes of divisions whose code, name or pinyin somebody may be typing, below these prefixes, nearest first.

    `天心`, `长沙天心` (in this order, with gaps), `tianxin`, `txq` and `430103` all lead to 天心区 in 长沙市.
    """
    wanted = "".join(unicodedata.normalize("NFKC", text).lower().split())
    inside = [code for code in names if any(code.startswith(prefix) for prefix in within)]
    ranked = [(rank, len(code), code) for code in inside if (rank := _rank(names, code, wanted)) is not None]
    return [code for _, _, code in sorted(ranked)[:most]]


def _rank(names: Mapping[str, str], code: str, wanted: str) -> int | None:
    """How near a division is to what was typed: 0 is nearest, None is another."""
    name = names[code]
    if not wanted or code == wanted or name == wanted:
        return 0
    if code.startswith(wanted) or name.startswith(wanted):
        return 1
    if wanted.isascii() and wanted.isalpha():
        return 2 if any(one.startswith(wanted) for one in _spelled(name)) else None
    if wanted in name:
        return 3
    rest = iter(full(names, code))
    return 4 if all(one in rest for one in wanted) else None


@cache
def _spelled(name: str) -> tuple[str, str]:
    """A name in pinyin: its initials, and in full."""
    return "".join(lazy_pinyin(name, style=Style.FIRST_LETTER)), "".join(lazy_pinyin(name))


def code_of(names: Mapping[str, str], text: str) -> str:
    """The code that somebody typed or chose: a code, a code behind its name, or a name that is one division's; empty for nothing.

    :raises InvalidField: no division, or more than one, is called so; says which ones are
    """
    said = unicodedata.normalize("NFKC", text).strip()
    coded = _CODE_LAST.search(said)
    if coded is not None or not said:
        return coded[1] if coded is not None else ""
    called = [code for code, name in names.items() if said in (name, full(names, code))] or find(names, said, [""], len(names))
    for code in called[:1]:
        if all(other.startswith(code) for other in called):  # what lies in it is called by its name as well
            return code
    some = [f"{full(names, code)} {code}" for code in called[:5]]
    detail = (
        Label(f"“{said}”不止一处：{'；'.join(some)}。请从中选择", f"“{said}” is more than one: {'; '.join(some)}. Choose one of them")
        if called
        else Label(f"没有名为“{said}”的区划，请填名称或代码，例如 430103", f"no division is called “{said}”: type a name, or a code such as 430103")
    )
    raise InvalidField(field=Label("区划", "area"), detail=detail)


def _stored(house: Instance) -> Iterator[dict[str, Any]]:
    with house.database.read() as conn:
        yield from house.projections.rows(conn, KIND)


def _differs(known: dict[str, Any] | None, row: Row) -> bool:
    return known is None or known["name"] != row.values["name"]


def _columns(texts: Sequence[str]) -> dict[str, int] | None:
    plain = [text.strip().lower() for text in texts]
    named = {}
    for key, names in (("code", CODE), ("name", NAME), ("lon", LON), ("lat", LAT)):
        at = next((i for i, text in enumerate(plain) if text in names), None)
        if at is not None:
            named[key] = at
    return named if {"code", "name"} <= named.keys() else None


def _row(line: int, texts: Sequence[str], columns: dict[str, int]) -> Row:
    def cell(name: str) -> str:
        at = columns.get(name)
        return texts[at] if at is not None and at < len(texts) else ""

    code = shortened(cell("code"))
    values: dict[str, Any] = {"code": code, "name": cell("name") or None}
    if cell("lon") and cell("lat"):
        values["place"] = _point(cell("lon"), cell("lat"))
    for path, value in values.items():
        Division.check_path(path, value)
    return Row(line, code, values)


def _point(lon: str, lat: str) -> dict[str, Any]:
    try:
        return {"lat": int(Decimal(lat).scaleb(7)), "lon": int(Decimal(lon).scaleb(7)), "src": "manual"}
    except InvalidOperation as error:
        raise Invalid("place", Label("经纬度应为小数", "lon and lat are decimal degrees")) from error
