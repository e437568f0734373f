"""Prints of photos, the index over them, and what was found: rows and keys, no pictures."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, func, inspect, or_, select

from custody.likeness.finding import POPULAR
from custody.likeness.prints import Keys, NotAPrint, Print
from server.storage.database import Bulk, Database
from server.storage.tables_access import blob_mentions, blobs
from server.storage.tables_photos import buckets, index, likenesses, photo_prints, photo_todo

_MAPPED = "PRAGMA mmap_size=8589934592"  # a look-up touches thousands of pages; they need not be copied
MANY = 900  # values in one IN list
AT_ONCE = 2000

_write_todo = Bulk(photo_todo, ("sha256",), ignore=True)
_write_likenesses = Bulk(
    likenesses,
    ("record", "earlier", "sort", "turn", "score", "share", "found"),
    conflict=("record", "earlier"),
)
_write_buckets = Bulk(buckets, ("key", "photos"), conflict=("key",))
_NUMBER = np.dtype("<u4")


class Found(NamedTuple):
    """A later piece of evidence that is like an earlier one; see `custody.likeness.Likeness`."""

    record: str
    earlier: str
    sort: str
    turn: str
    score: int
    share: int
    found: int


# --- The queue --------------------------------------------------------------------------------------------------


def await_look(conn: Connection, digests: Collection[str]) -> None:
    """Somebody should look at these blobs, once they are held."""
    _write_todo(conn, [(digest,) for digest in sorted(digests)])


def waiting(conn: Connection, after: str = "", limit: int = AT_ONCE) -> list[str]:
    """The next blobs of the queue that are held, by digest."""
    wanted = select(photo_todo.c.sha256).join(blobs, blobs.c.sha256 == photo_todo.c.sha256)
    return list(conn.scalars(wanted.where(photo_todo.c.sha256 > after).order_by(photo_todo.c.sha256).limit(limit)))


def waiting_count(conn: Connection, evidence: Table) -> int:
    """How many of them are named by this kind of record: what lies behind a wall is not even counted."""
    waits = photo_todo.join(blobs, blobs.c.sha256 == photo_todo.c.sha256).join(
        evidence, evidence.c.sha256 == photo_todo.c.sha256
    )
    return int(conn.scalar(select(func.count(photo_todo.c.sha256.distinct())).select_from(waits)) or 0)


def looked_at(conn: Connection, digest: str) -> None:
    conn.execute(photo_todo.delete().where(photo_todo.c.sha256 == digest))


def naming(conn: Connection, digest: str) -> list[str]:
    """The records that name a blob."""
    wanted = select(blob_mentions.c.record).where(blob_mentions.c.sha256 == digest).distinct()
    return list(conn.scalars(wanted.order_by(blob_mentions.c.record)))


# --- Prints -----------------------------------------------------------------------------------------------------


def keep_print(conn: Connection, digest: str, content: bytes | None, now: int) -> int:
    """Keep the print of a blob, or that it has none; returns its number, which it keeps for good."""
    known = number_of(conn, digest)
    if known is not None:
        return known
    added = conn.execute(photo_prints.insert().values(sha256=digest, print=content, made=now))
    return int(added.inserted_primary_key[0])  # type: ignore[index]


def number_of(conn: Connection, digest: str) -> int | None:
    return conn.scalar(select(photo_prints.c.number).where(photo_prints.c.sha256 == digest))


def print_of(conn: Connection, digest: str) -> Print | None:
    content = conn.scalar(select(photo_prints.c.print).where(photo_prints.c.sha256 == digest))
    return _read(content)


def digests_of(conn: Connection, numbers: Collection[int]) -> dict[int, str]:
    wanted = select(photo_prints.c.number, photo_prints.c.sha256).where(photo_prints.c.number.in_(list(numbers)))
    return {row.number: row.sha256 for row in conn.execute(wanted)}


def scan(conn: Connection) -> Iterator[tuple[int, str, Print]]:
    """(number, digest, print) of every photo, streamed."""
    wanted = select(photo_prints.c.number, photo_prints.c.sha256, photo_prints.c.print)
    for row in conn.execution_options(yield_per=1000).execute(wanted.order_by(photo_prints.c.number)):
        held = _read(row.print)
        if held is not None:
            yield row.number, row.sha256, held


def totals(conn: Connection) -> tuple[int, int, int]:
    """(photos with a print, pictures without one, likenesses)."""
    with_print, all_of_them = conn.execute(select(func.count(photo_prints.c.print), func.count())).one()
    return with_print, all_of_them - with_print, int(conn.scalar(select(func.count()).select_from(likenesses)) or 0)


def _read(content: bytes | None) -> Print | None:
    try:
        return Print.load(bytes(content)) if content else None
    except NotAPrint:
        return None


# --- The index --------------------------------------------------------------------------------------------------


class PhotoIndex:
    """The index of one compartment: a file beside the database, made again from the prints where it is gone."""

    def __init__(self, file: Path) -> None:
        self.database = Database(file)

    @property
    def exists(self) -> bool:
        """Whether there is one in the form of today; an older one is made again."""
        if not self.database.path.exists():
            return False
        with self.database.read() as conn:
            return bool(inspect(conn).has_table(buckets.name))

    def close(self) -> None:
        self.database.close()

    def create(self) -> None:
        with self.database.write() as conn:
            index.create_all(conn)

    def put(self, photos: Sequence[tuple[int, Print]]) -> None:
        """Put photos under their keys; once or many times is the same. A key that has `POPULAR` photos takes no more."""
        wanted: dict[int, set[int]] = {}
        for number, held in photos:
            for key in held.keys().tolist():
                wanted.setdefault(key, set()).add(number)
        with self.database.write() as conn:
            rows = []
            there = dict(_buckets(conn, sorted(wanted)))
            for key, numbers in wanted.items():
                known = set(np.frombuffer(there.get(key, b""), _NUMBER).tolist())
                if len(known) < POPULAR and numbers - known:
                    rows.append((key, np.array(sorted(known | numbers)[:POPULAR], _NUMBER).tobytes()))
            _write_buckets(conn, rows)

    def fill(self, photos: Iterator[tuple[int, Print]]) -> int:
        """Make an empty index from many photos at once, in the order of the keys; returns the number of photos."""
        keys, numbers, count = [], [], 0
        for number, held in photos:
            own = held.keys()
            keys.append(own)
            numbers.append(np.full(len(own), number, np.int64))
            count += 1
        if count:
            self.fill_from(np.concatenate(keys), np.concatenate(numbers))
        return count

    def fill_from(self, keys: np.ndarray, numbers: np.ndarray) -> None:
        """As `fill`, of (key, photo) in any order. Keys that come in order make an index many times as fast."""
        order = np.lexsort((numbers, keys))
        keys, numbers = keys[order], numbers[order]
        once = np.ones(len(keys), bool)
        once[1:] = (keys[1:] != keys[:-1]) | (numbers[1:] != numbers[:-1])
        keys, numbers = keys[once], numbers[once]
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.zeros(0, np.int64)
        ends = np.minimum(np.append(starts[1:], len(keys)), starts + POPULAR)
        packed = numbers.astype(_NUMBER).tobytes()
        with self.database.write() as conn:
            for first in range(0, len(starts), 100_000):
                some = slice(first, first + 100_000)
                own, low, high = keys[starts[some]].tolist(), (starts[some] * 4).tolist(), (ends[some] * 4).tolist()
                _write_buckets(conn, [(key, packed[a:b]) for key, a, b in zip(own, low, high, strict=True)])


class IndexShelf:
    """A `custody.likeness.Shelf`: keys from an index, prints from the database."""

    def __init__(self, conn: Connection, index: PhotoIndex) -> None:
        self._conn, self._index = conn, index

    def under(self, keys: Collection[int]) -> tuple[Keys, NDArray[np.uint32]]:
        with self._index.database.read() as conn:
            conn.exec_driver_sql(_MAPPED)
            found = _buckets(conn, sorted(keys))  # neighbours in the index lie on one page
        photos = np.frombuffer(b"".join([content for _, content in found]), _NUMBER)
        counts = [len(content) // _NUMBER.itemsize for _, content in found]
        return np.repeat(np.array([key for key, _ in found], np.int64), counts), photos

    def prints(self, photos: Collection[int]) -> Mapping[int, Print]:
        cursor, wanted = self._conn.connection.cursor(), sorted(photos)
        found: list[tuple[int, bytes | None]] = []
        for start in range(0, len(wanted), MANY):
            some = wanted[start : start + MANY]
            marks = ",".join("?" * len(some))
            found += cursor.execute(f"SELECT number, print FROM photo_prints WHERE number IN ({marks})", some).fetchall()
        read = ((number, _read(content)) for number, content in found)
        return {number: held for number, held in read if held is not None}


def _buckets(conn: Connection, keys: list[int]) -> list[tuple[int, bytes]]:
    """(key, its photos) of those keys that have any."""
    cursor = conn.connection.cursor()  # rows by the thousand: as the driver has them
    found: list[tuple[int, bytes]] = []
    for start in range(0, len(keys), MANY):
        some = keys[start : start + MANY]
        marks = ",".join("?" * len(some))
        found += cursor.execute(f"SELECT key, photos FROM buckets WHERE key IN ({marks})", some).fetchall()
    return found


# --- What was found ---------------------------------------------------------------------------------------------


def keep_found(conn: Connection, found: Sequence[Found]) -> None:
    _write_likenesses(conn, [tuple(one) for one in found])


def found_since(conn: Connection, since: int = 0) -> Iterator[Found]:
    """Everything found from a server time on, newest first."""
    wanted = select(likenesses).where(likenesses.c.found >= since)
    for row in conn.execute(wanted.order_by(likenesses.c.found.desc(), likenesses.c.record, likenesses.c.earlier)):
        yield Found(*row)


def found_of(conn: Connection, record: str) -> list[Found]:
    """Everything found about one piece of evidence, as the later or the earlier one."""
    wanted = select(likenesses).where(or_(likenesses.c.record == record, likenesses.c.earlier == record))
    return [Found(*row) for row in conn.execute(wanted.order_by(likenesses.c.score.desc()))]
