"""Reading what is left of a damaged database, row by row.

SQLCipher authenticates every page, so a page is right or it is refused: what can be read can be trusted. Rows are asked
for one at a time by their number, so a page that is gone costs the rows on it and nothing else.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlcipher3 import dbapi2 as sqlcipher

GIVE_UP_AFTER = 10_000
"""Numbers in a row without a row, where not even the highest number is known."""


class Unreadable(NamedTuple):
    """A row that could not be read, or a whole table where `number` is 0, and why."""

    table: str
    number: int
    detail: str


class Salvage:
    """Reads as far as a connection goes; `lost` grows on the way."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.lost: list[Unreadable] = []

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
                row = self._connection.execute(query, (number,)).fetchone()
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
            return list(self._connection.execute(query))
        except sqlcipher.DatabaseError as error:
            self.note(table, str(error))
            return []

    def _highest(self, table: str) -> int | None:
        try:
            return int(self._connection.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()[0])
        except sqlcipher.DatabaseError as error:
            self.note(table, str(error))
            return None


def open_copy(path: Path, key: bytes, scratch: Path) -> Any:
    """A connection to a copy, encrypted like the original: opening writes, and the original may be all that is left."""
    for part in (path, path.with_name(path.name + "-wal")):
        if part.exists():
            shutil.copyfile(part, scratch / part.name)
    connection = sqlcipher.connect(str(scratch / path.name), isolation_level=None)
    # Hexadecimal digits cannot break out of the literal; PRAGMA takes no parameter.
    connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
    connection.execute("PRAGMA cipher_log_level = NONE")
    return connection
