"""The index of texts: which records hold what was typed, and which name which. A file of its own beside the database.

It is made from the records at any time, and its writers stand in nobody's way: a push pays nothing for it. How far it has
got is a leaf of each log (`progress`): what was kept after that leaf is what it does not know yet.

Every piece of a text is a phrase of overlapping pairs of letters (`schemas.letters`). Whose a record is stands in the index
too: the kind, and every prefix of its division code behind the name of its wall (`open430102`), so that scope is a part of
each look-up and costs no time for what lies outside it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, text

from schemas.letters import START, letters_of, pairs_of
from server.storage.database import Database

FORM = "1"
"""Raised when what is indexed, or how, changes: an older file is made again."""
OPEN, REFERENCE = "open", "reference"
MANY = 500  # values in one IN list

_TABLES = (
    "CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE progress (log TEXT PRIMARY KEY, leaf INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE entries (n INTEGER PRIMARY KEY, record TEXT NOT NULL UNIQUE, kind TEXT NOT NULL)",
    "CREATE VIRTUAL TABLE texts USING fts5 (owner, title, other, names, content = '', contentless_delete = 1,"
    " tokenize = 'ascii')",
)


class Entry(NamedTuple):
    """What is known of a record.

    wall    the compartment that it lies in; `area`: its division code; None: reference data, which everybody sees
    title   what it is called; texts: what else somebody wrote in it; names: ids of the records that it names
    departments  codes of those that it concerns
    """

    record: str
    kind: str
    wall: str
    area: str | None
    title: str
    texts: Sequence[str]
    names: Collection[str]
    departments: Collection[str] = ()


class Sight(NamedTuple):
    """What a reader may see: wall → prefixes of division codes; the wall "" is none. With `departments`, of that only
    what names one of these."""

    areas: Mapping[str, Sequence[str]]
    departments: Collection[str] | None = None


class Hit(NamedTuple):
    """A record that fits, and its number in the index, which grows with time."""

    n: int
    record: str
    kind: str


class Texts:
    """The index in a file; made when it is not there, and made again when it is of another epoch or form."""

    def __init__(self, file: Path) -> None:
        self.database = Database(file)

    @contextmanager
    def writing(self, epoch: str) -> Iterator[Connection]:
        """A write transaction on an index of this epoch."""
        with self.database.write() as conn:
            if not self.fits(conn, epoch):
                self.begin(conn, epoch)
            yield conn

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.database.read() as conn:
            yield conn

    def close(self) -> None:
        self.database.close()

    @staticmethod
    def fits(conn: Connection, epoch: str) -> bool:
        """Whether the index is of this epoch and form."""
        if not conn.execute(text("SELECT 1 FROM sqlite_master WHERE name = 'about'")).first():
            return False
        about = {row.key: row.value for row in conn.execute(text("SELECT key, value FROM about"))}
        return about == {"epoch": epoch, "form": FORM}

    @staticmethod
    def begin(conn: Connection, epoch: str) -> None:
        """Empty tables, whatever was there before."""
        for name in ("about", "progress", "entries", "texts"):
            conn.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
        for statement in _TABLES:
            conn.exec_driver_sql(statement)
        conn.execute(text("INSERT INTO about VALUES ('epoch', :epoch), ('form', :form)"), {"epoch": epoch, "form": FORM})


def reached(conn: Connection, log: str) -> int:
    """The newest leaf of a log that the index knows; -1 before the first."""
    found = conn.execute(text("SELECT leaf FROM progress WHERE log = :log"), {"log": log}).scalar()
    return -1 if found is None else int(found)


def note(conn: Connection, log: str, leaf: int) -> None:
    conn.execute(text("INSERT OR REPLACE INTO progress VALUES (:log, :leaf)"), {"log": log, "leaf": leaf})


def put(conn: Connection, entries: Iterable[Entry]) -> None:
    """Index these records in place of what was known of them."""
    new = list(entries)
    known = _numbers(conn, [one.record for one in new])
    if known:
        conn.exec_driver_sql("DELETE FROM texts WHERE rowid = ?", [(n,) for n in known.values()])
        kinds = [(one.kind, known[one.record]) for one in new if one.record in known]
        conn.exec_driver_sql("UPDATE entries SET kind = ? WHERE n = ?", kinds)
    top = int(conn.exec_driver_sql("SELECT coalesce(max(n), 0) FROM entries").scalar_one())
    fresh = [one for one in new if one.record not in known]
    known |= {one.record: top + at for at, one in enumerate(fresh, start=1)}
    if fresh:
        rows = [(known[one.record], one.record, one.kind) for one in fresh]
        conn.exec_driver_sql("INSERT INTO entries (n, record, kind) VALUES (?, ?, ?)", rows)
    texts = [
        (known[one.record], " ".join(_owners(one)), _joined([one.title]), _joined(one.texts), " ".join(map(_name, one.names)))
        for one in new
    ]
    if texts:
        conn.exec_driver_sql("INSERT INTO texts (rowid, owner, title, other, names) VALUES (?, ?, ?, ?, ?)", texts)


def _numbers(conn: Connection, records: Sequence[str]) -> dict[str, int]:
    found = {}
    for start in range(0, len(records), MANY):
        some = records[start : start + MANY]
        marks = ",".join("?" * len(some))
        rows = conn.exec_driver_sql(f"SELECT record, n FROM entries WHERE record IN ({marks})", tuple(some))
        found.update({row.record: row.n for row in rows})
    return found


def number_of(conn: Connection, record: str) -> int | None:
    """Where a record stands in the index; None where it does not."""
    return conn.execute(text("SELECT n FROM entries WHERE record = :record"), {"record": record}).scalar()


def drop(conn: Connection, records: Iterable[str]) -> None:
    """Forget these records."""
    for record in records:
        gone = conn.exec_driver_sql("DELETE FROM entries WHERE record = ? RETURNING n", (record,)).scalar()
        if gone is not None:
            conn.exec_driver_sql("DELETE FROM texts WHERE rowid = ?", (gone,))


def matching(
    conn: Connection,
    sight: Sight,
    expression: str,
    kinds: Collection[str] = (),
    *,
    before: int | None = None,
    limit: int = 50,
) -> list[Hit]:
    """The newest records in sight that fit an expression of `phrases` or `naming`, below a number."""
    owner = _seen(sight, kinds)
    if not owner:
        return []
    wanted = (
        "SELECT e.n, e.record, e.kind FROM texts t CROSS JOIN entries e ON e.n = t.rowid WHERE texts MATCH ?"
        " AND t.rowid < ? ORDER BY t.rowid DESC LIMIT ?"
    )
    found = conn.exec_driver_sql(wanted, (f"{owner} AND ({expression})", before or 1 << 62, limit))
    return [Hit(*row) for row in found]


def phrases(terms: Sequence[Sequence[str]], column: str = "{title other}", start: bool = False) -> str:
    """What has every one of these terms (lists of letters); with `start`, the first one at the beginning."""
    said = [f"{column} : {_phrase(terms[0], START if start else '')}"]
    return " AND ".join([*said, *(f"{{title other}} : {_phrase(term)}" for term in terms[1:])])


def naming(records: Iterable[str], whole: bool = True) -> str:
    """What has or names one of these ids; not `whole`: one that begins so."""
    return f"names : ({' OR '.join(_name(record) + ('' if whole else '*') for record in records)})"


def _phrase(term: Sequence[str], start: str = "") -> str:
    pairs = pairs_of(term, typing=True)
    return f'"{start} {" ".join(pairs)}"{" *" if len(term) == 1 else ""}'


def _seen(sight: Sight, kinds: Collection[str]) -> str:
    """The owners that a reader sees. Reference data lies in the open and is for whoever sees anything there."""
    places = {f"{wall or OPEN}{area}" for wall, areas in sight.areas.items() for area in areas}
    if sight.areas.get("") and sight.departments is None:
        places.add(REFERENCE)
    if not places or sight.departments == frozenset():
        return ""
    found = f"owner : ({' OR '.join(sorted(places))})"
    if sight.departments is not None:
        found += f" AND owner : ({' OR '.join(sorted(map(_department, sight.departments)))})"
    return f"{found} AND owner : ({' OR '.join(sorted(map(_kind, kinds)))})" if kinds else found


def _owners(entry: Entry) -> list[str]:
    if entry.area is None:
        return [_kind(entry.kind), REFERENCE]
    wall = entry.wall or OPEN
    area = entry.area if entry.area.isascii() and entry.area.isalnum() else ""  # staff may have admitted anything
    places = [wall + area[:length] for length in range(len(area) + 1)]
    return [_kind(entry.kind), *places, *map(_department, entry.departments)]


def _kind(kind: str) -> str:
    return "kind" + kind.replace("_", "")


def _department(code: str) -> str:
    return "department" + code.replace("_", "")


def _name(record: str) -> str:
    """An id as one token."""
    return "id" + record.replace("-", "").lower()


def _joined(texts: Iterable[str]) -> str:
    return " ".join(f"{START} {' '.join(pairs_of(letters))}" for one in texts if (letters := letters_of(one)))
