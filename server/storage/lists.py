"""Lists of one kind: filtered, in any order, a page at a time, as fast at a million records as at a thousand.

What decides the cost is which rows are looked at. Every condition that an index knows is counted up to `FEW`. Where one
leaves few rows, just those are read and sorted ("gather"); where all leave many, the index of the order is followed and
a page is full soon ("walk"). Pages are found by the last row of the one before (keyset), never by counting from the
beginning. Empty values come last in both directions.

Scope is a condition like any other: what lies outside it is not read, not counted and leaves no trace in a page's marks.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import orjson
from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    column,
    false,
    func,
    literal_column,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.exc import DBAPIError

from schemas.base import DEPARTMENTS
from server.storage.journal import _slices
from server.storage.projections import Projections, index_of
from server.storage.tables import conflicts

FEW = 10_000
"""Rows that may be gathered and sorted, and the number up to which a list is counted."""
PAGE = 50
PATIENCE_MS = 150
"""Counting stops after this long: a page does not wait for a number."""

Does = Literal["is", "among", "from", "not_before", "to", "empty", "filled", "holds", "tagged", "below", "contested"]
"""among: one of several, of which None is empty; not_before: from a value on, or empty; tagged: with one of several tags, of which None is none at all; below: a division code that begins so; holds: text that contains it; contested: something waits for a decision"""
LAST = "\U0010ffff"

_RANGES = frozenset({"is", "among", "from", "to", "below"})

_Conditions = list[ColumnElement[Any]]


class Where(NamedTuple):
    """A condition on one field; `contested` has none."""

    does: Does
    field: str = ""
    value: Any = None


class Mark(NamedTuple):
    """Where a page ends: the value by which the list is ordered, and the record."""

    value: Any
    record: str

    def token(self) -> str:
        return base64.urlsafe_b64encode(orjson.dumps(list(self))).decode().rstrip("=")

    @classmethod
    def read(cls, token: str) -> Mark | None:
        """The mark of a token; None for what is none."""
        try:
            value, record = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        except ValueError:
            return None
        plain = value is None or type(value) in (str, int, bool)
        return cls(value, record) if plain and type(record) is str else None


@dataclass(frozen=True)
class Wanted:
    """A list. `areas`: prefixes of division codes, those that the reader may see; none at all: nothing is in sight.

    departments  where it is not None: of those areas only what names one of these departments
    tests    every one of them holds
    among    only these records (found by a search)
    order    a column; falling: the largest first
    """

    kind: str
    areas: Sequence[str]
    departments: Collection[str] | None = None
    tests: Sequence[Where] = ()
    among: Collection[str] | None = None
    order: str = "record"
    falling: bool = True
    with_deleted: bool = False


class Page(NamedTuple):
    """Rows (column → value), and where the pages before and after begin; None where there are none."""

    rows: list[dict[str, Any]]
    before: Mark | None
    after: Mark | None


class Count(NamedTuple):
    """How many there are; `more` where that is only how many were counted."""

    number: int
    more: bool


class _Source(NamedTuple):
    """Which rows to look at: those of an index, or (None) as the database likes. `few`: so few that order costs nothing;
    `number`: how many, as far as they were counted."""

    by: str | None
    few: bool
    number: int


class Lists:
    """Reads lists from the projections."""

    def __init__(self, projections: Projections) -> None:
        self._projections = projections

    def page(
        self,
        conn: Connection,
        wanted: Wanted,
        size: int = PAGE,
        *,
        after: Mark | None = None,
        before: Mark | None = None,
    ) -> Page:
        """A page: the first, the one after a mark, or the one before. Raises KeyError for an unknown kind or column."""
        backwards, mark = before is not None, before or after
        one = replace(wanted, falling=wanted.falling != backwards)
        found = self._marks(conn, one, size + 1, mark, backwards)
        more = len(found) > size
        found = found[:size]
        if backwards:
            found.reverse()
        rows = self.rows(conn, wanted.kind, [one.record for one in found])
        has_before = more if backwards else after is not None
        has_after = before is not None if backwards else more
        return Page(rows, found[0] if found and has_before else None, found[-1] if found and has_after else None)

    def last(self, conn: Connection, wanted: Wanted, size: int = PAGE) -> Page:
        """The last page, read from the end."""
        one = replace(wanted, falling=not wanted.falling)
        found = self._marks(conn, one, size + 1, None, backwards=True)
        more = len(found) > size
        found = found[:size][::-1]
        rows = self.rows(conn, wanted.kind, [one.record for one in found])
        return Page(rows, found[0] if more else None, None)

    def rows(self, conn: Connection, kind: str, records: Sequence[str]) -> list[dict[str, Any]]:
        """The rows of these records in this order, without those that are not there."""
        table = self._projections.table(kind)
        found = {
            row.record: dict(row._mapping) for row in conn.execute(select(table).where(table.c.record.in_(records)))
        }
        return [found[record] for record in records if record in found]

    def values(self, conn: Connection, kind: str, field: str, records: Sequence[str]) -> dict[str, Any]:
        """record → its value of a field, of these records that have one."""
        c = self._projections.table(kind).c
        wanted = select(c.record, c[field]).where(c[field].is_not(None))
        return {row[0]: row[1] for some in _slices(records) for row in conn.execute(wanted.where(c.record.in_(some)))}

    def count(self, conn: Connection, wanted: Wanted, most: int = FEW) -> Count:
        """How many records a list has, up to a bound and for as long as patience lasts."""
        table = self._projections.table(wanted.kind)
        source = self._source(conn, table, wanted)
        if source is None:
            return Count(0, False)
        conditions = self._conditions(table, wanted)
        inner: Select[Any] = (
            select(literal_column("1"))
            .select_from(read_by(table, source.by))
            .where(and_(*conditions))
            .limit(most + 1)
        )
        try:
            with _patience(conn):
                number = int(conn.scalar(select(func.count()).select_from(inner.subquery())) or 0)
        except _OutOfPatience:
            return Count(0, True)
        return Count(min(number, most), number > most)

    def every(self, conn: Connection, wanted: Wanted, at_once: int = 1000) -> Iterator[dict[str, Any]]:
        """All rows of a list in its order, for an export; read in pages, so nothing is held for long."""
        mark: Mark | None = None
        while True:
            page = self.page(conn, wanted, at_once, after=mark)
            yield from page.rows
            if page.after is None:
                return
            mark = page.after

    def conditions(self, table: Table, wanted: Wanted) -> _Conditions | None:
        """What holds for the rows of a list; None where nothing is in sight."""
        return None if blind(table, wanted) else self._conditions(table, wanted)

    def narrow(self, conn: Connection, wanted: Wanted, most: int) -> tuple[int, str | None]:
        """How many rows of a list are looked at by the index that leaves the fewest, counted to one more than `most`, and that
        index (None: as the database likes)."""
        source = self._source(conn, self._projections.table(wanted.kind), wanted, most)
        return (0, None) if source is None else (source.number, source.by)

    # --- which rows are looked at ----------------------------------------------------------------------------------

    def _marks(self, conn: Connection, wanted: Wanted, size: int, mark: Mark | None, backwards: bool) -> list[Mark]:
        table = self._projections.table(wanted.kind)
        source = self._source(conn, table, wanted)
        if source is None:
            return []
        if not source.few:
            source = self._walk(table, wanted) or source
        conditions = self._conditions(table, wanted)
        found: list[Mark] = []
        for segment in _segments(table, wanted, mark, empty_first=backwards):
            if len(found) == size:
                break
            found += self._segment(conn, table, wanted, source, [*conditions, *segment], size - len(found))
        return found

    def _segment(
        self,
        conn: Connection,
        table: Table,
        wanted: Wanted,
        source: _Source,
        conditions: _Conditions,
        size: int,
    ) -> list[Mark]:
        ordered, record = bare(table)[wanted.order], bare(table)["record"]
        order = [ordered, record] if wanted.order != "record" else [record]
        statement = (
            select(ordered.label("value"), record.label("name"))
            .select_from(read_by(table, source.by))
            .where(and_(*conditions))
            .order_by(*(one.desc() if wanted.falling else one for one in order))
            .limit(size)
        )
        return [Mark(row.value, row.name) for row in conn.execute(statement)]

    def _source(self, conn: Connection, table: Table, wanted: Wanted, most: int | None = None) -> _Source | None:
        """The index of the condition that leaves the fewest rows; None where nothing is in sight."""
        most = FEW if most is None else most
        if blind(table, wanted):
            return None
        if wanted.among is not None and len(wanted.among) <= most:
            return _Source(None, True, len(wanted.among))
        best: tuple[int, str] | None = None
        for name, condition in self._indexed(table, wanted):
            inner: Select[Any] = select(literal_column("1")).select_from(read_by(table, name)).where(condition).limit(most + 1)
            number = int(conn.scalar(select(func.count()).select_from(inner.subquery())) or 0)
            if best is None or number <= best[0]:  # of several that leave too many, one of a field knows the scope as well
                best = (number, name)
        if any(one.does == "contested" for one in wanted.tests):
            return _Source(None, True, 0)
        if best is None:
            return _Source(None, False, most + 1)
        return _Source(best[1], best[0] <= most, best[0])

    def _walk(self, table: Table, wanted: Wanted) -> _Source | None:
        """The index that has the order of a list; None where there is none for it."""
        if wanted.order in self._ordered(table):
            return _Source(_order_index(table, wanted.order), False, FEW + 1)
        if wanted.order != "record":
            return None
        equal = [one.field for one in wanted.tests if one.does == "is" and one.field in self._ordered(table)]
        return _Source(_order_index(table, equal[0]) if equal else f"sqlite_autoindex_{table.name}_1", False, FEW + 1)

    def _indexed(self, table: Table, wanted: Wanted) -> Iterator[tuple[str, ColumnElement[Any]]]:
        if "" not in wanted.areas:
            yield _order_index(table, "scope"), _within(table, wanted.areas)
        ordered = self._ordered(table)
        by_field: dict[str, list[ColumnElement[Any]]] = {}
        for one in wanted.tests:  # both ends of a range are one condition
            if one.does in _RANGES and one.field in ordered and not _with_empty(one):
                by_field.setdefault(one.field, []).append(_condition(table, one))
        for name, conditions in by_field.items():
            yield _order_index(table, name), and_(*conditions)
        # what a kind finds records by has an index of its own, which knows no order
        for one in wanted.tests:
            plain = f"{table.name}_by_{one.field}"
            if one.does in ("is", "among") and any(index.name == plain for index in table.indexes) and not _with_empty(one):
                yield plain, _condition(table, one)

    @staticmethod
    def _ordered(table: Table) -> set[str]:
        kind = table.name.removeprefix("p_")
        names = {str(index.name) for index in table.indexes}
        return {one.name for one in table.columns if index_of(kind, one.name) in names}

    @staticmethod
    def _conditions(table: Table, wanted: Wanted) -> _Conditions:
        found = [_condition(table, one) for one in wanted.tests]
        if "" not in wanted.areas:
            found.append(_within(table, wanted.areas))
        if wanted.among is not None:
            ids = func.json_each(orjson.dumps(list(wanted.among)).decode()).table_valued("value")  # one value for thousands
            found.append(bare(table)["record"].in_(select(ids.c.value)))
        if wanted.departments is not None:
            named = (func.instr(bare(table)[DEPARTMENTS], f",{one},") > 0 for one in sorted(wanted.departments))
            found.append(or_(false(), *named))
        if not wanted.with_deleted:
            found.append(bare(table)["deleted"].is_(False))
        return found or [true()]


def blind(table: Table, wanted: Wanted) -> bool:
    """Whether nothing at all can be in a list."""
    unnamed = wanted.departments is not None and DEPARTMENTS not in table.c
    return not wanted.areas or unnamed or (wanted.among is not None and not wanted.among)


def _order_index(table: Table, column: str) -> str:
    return index_of(table.name.removeprefix("p_"), column)


def bare(table: Table) -> dict[str, ColumnClause[Any]]:
    """The columns by their bare names: how a table is read is said where it is named (`read_by`)."""
    return {one.name: column(one.name, one.type) for one in table.columns}


def read_by(table: Table, index: str | None) -> Any:
    """The table, read by way of this index: SQLite knows nothing of how many rows a condition leaves."""
    return text(f'"{table.name}" INDEXED BY "{index}"') if index is not None else text(f'"{table.name}"')


def _within(table: Table, areas: Sequence[str]) -> ColumnElement[Any]:
    scope = bare(table)["scope"]
    return or_(*(and_(scope >= area, scope < area + LAST) for area in areas)) if areas else false()


def _with_empty(test: Where) -> bool:
    """Whether an empty value fits too: no index is asked for two places at once."""
    return test.does == "among" and None in test.value


def _condition(table: Table, test: Where) -> ColumnElement[Any]:
    if test.does == "contested":
        waiting = select(conflicts.c.record).where(conflicts.c.status != "resolved")
        return bare(table)["record"].in_(waiting)
    field = bare(table)[test.field]
    found: ColumnElement[Any]
    match test.does:
        case "is":
            found = field == test.value
        case "among":
            found = field.in_([one for one in test.value if one is not None])
            if _with_empty(test):
                found = or_(found, field.is_(None))
        case "from":
            found = field >= test.value
        case "tagged":
            keys = (func.instr(field, f",{one},") > 0 if one is not None else field.is_(None) for one in test.value)
            found = or_(false(), *keys)
        case "not_before":
            found = or_(field >= test.value, field.is_(None))
        case "to":
            found = field <= test.value
        case "below":
            found = and_(field >= test.value, field < str(test.value) + LAST)
        case "holds":
            found = func.instr(field, test.value) > 0
        case "filled":
            found = field.is_not(None)
        case _:
            found = field.is_(None)
    return found


def _segments(table: Table, wanted: Wanted, mark: Mark | None, *, empty_first: bool) -> list[_Conditions]:
    """The rest of a list as ranges of its index, in order: what has the mark's value, what lies beyond, what is empty."""
    ordered, record = bare(table)[wanted.order], bare(table)["record"]
    beyond: _Conditions = []
    if mark is not None:
        beyond = [record < mark.record if wanted.falling else record > mark.record]
    if wanted.order == "record":
        return [beyond]
    filled: _Conditions = [ordered.is_not(None)]
    empty: _Conditions = [ordered.is_(None)]
    if mark is None:
        return [empty, filled] if empty_first else [filled, empty]
    if mark.value is None:
        return [[*empty, *beyond], *([filled] if empty_first else [])]
    further: _Conditions = [ordered < mark.value if wanted.falling else ordered > mark.value]
    return [[ordered == mark.value, *beyond], further, *([] if empty_first else [empty])]


class _OutOfPatience(Exception):
    pass


@contextmanager
def _patience(conn: Connection) -> Iterator[None]:
    """Ends what SQLite is doing once it takes too long."""
    driver: Any = conn.connection.driver_connection
    until = time.monotonic() + PATIENCE_MS / 1000
    driver.set_progress_handler(lambda: time.monotonic() > until, 20_000)
    try:
        yield
    except DBAPIError as error:
        if "interrupted" in str(error.orig):
            raise _OutOfPatience() from error
        raise
    finally:
        driver.set_progress_handler(None, 0)
