"""Reading what is left of a damaged database, row by row.

SQLCipher authenticates every page, so a page is right or it is refused: what can be read can be trusted. Rows are asked
for one at a time by their number, so a page that is gone costs the rows on it and nothing else. After a page that it
refused, a connection refuses everything; the next row is asked for on a new one.

Work is done on a copy, encrypted like the original: opening a database writes to it, and the original may be all that
is left.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlcipher3 import dbapi2 as sqlcipher

GIVE_UP_AFTER = 2_000
"""Numbers in a row without a row, where not even the highest number is known."""


class Unreadable(NamedTuple):
    """A row that could not be read, or a whole table where `number` is 0, and why."""

    table: str
    number: int
    detail: str


class Salvage:
    """Reads a copy of a database as far as it goes; `lost` grows on the way."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path, self._key = path, key
        self._connection = self._connect()
        self.lost: list[Unreadable] = []

    def close(self) -> None:
        self._connection.close()

    def note(self, table: str, detail: str, number: int = 0) -> None:
        self.lost.append(Unreadable(table, number, detail))

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """The readable rows of a table that has row numbers, in their order."""
        query = f"SELECT {', '.join(columns)} FROM {table} WHERE rowid = ?"
        highest = self._highest(table)
        number = missed = 0
        while missed < GIVE_UP_AFTER if highest is None else number < highest:
            number, missed = number + 1, missed + 1
            try:
                row = self._ask(lambda c, n=number: c.execute(query, (n,)).fetchone())  # type: ignore[misc]
            except sqlcipher.DatabaseError as error:
                if highest is not None:
                    self.note(table, str(error), number)
                continue
            if row is not None:
                missed = 0
                yield row

    def all(self, table: str, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query on a small table; none where any of it cannot be read."""
        try:
            return list(self._ask(lambda connection: connection.execute(query).fetchall()))
        except sqlcipher.DatabaseError as error:
            self.note(table, str(error))
            return []

    def _highest(self, table: str) -> int | None:
        try:
            query = f"SELECT coalesce(max(rowid), 0) FROM {table}"
            return int(self._ask(lambda connection: connection.execute(query).fetchone()[0]))
        except sqlcipher.DatabaseError as error:
            self.note(table, str(error))
            return None

    def _ask(self, read: Callable[[Any], Any]) -> Any:
        try:
            return read(self._connection)
        except sqlcipher.DatabaseError:
            spent, self._connection = self._connection, self._connect()
            spent.close()
            raise

    def _connect(self) -> Any:
        connection = sqlcipher.connect(str(self._path), isolation_level=None)
        # Hexadecimal digits cannot break out of the literal; PRAGMA takes no parameter.
        connection.execute(f"PRAGMA key = \"x'{self._key.hex()}'\"")
        connection.execute("PRAGMA cipher_log_level = NONE")
        connection.execute("PRAGMA writable_schema = ON")  # else a file that lost its end is refused as a whole
        return connection


def copy_of(path: Path, scratch: Path) -> Path:
    """The database and its write-ahead log in another folder. Nobody may write meanwhile; reading is no harm."""
    for part in (path, path.with_name(path.name + "-wal")):  # in this order: what moves from the second to the first
        if part.exists():
            shutil.copyfile(part, scratch / part.name)
    return scratch / path.name
