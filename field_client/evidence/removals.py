"""What was removed from this tablet, and the leaf of the server's log that answers for it: see `tidying.py`."""

from __future__ import annotations

from typing import Literal, NamedTuple

from field_client.platform.database import Database

What = Literal["sealed", "derived", "original", "thumbnail"]

_SCHEMA = """
CREATE TABLE removals(
    sha256 TEXT PRIMARY KEY, what TEXT NOT NULL, size INTEGER NOT NULL, at INTEGER NOT NULL, leaf INTEGER NOT NULL
) STRICT, WITHOUT ROWID
"""


class Removal(NamedTuple):
    """A file that was removed, when by the server's time, and the leaf that says that the server holds it."""

    sha256: str
    what: What
    size: int
    at: int
    leaf: int


class Removals:
    """What was removed, in the tablet's database; the table is made where there is none."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.make("removals", _SCHEMA)

    def note(self, removal: Removal) -> None:
        """Inside `Database.writing`, before the file goes."""
        self._database.run("INSERT OR REPLACE INTO removals VALUES (?, ?, ?, ?, ?)", tuple(removal))

    def forget(self, sha256: str) -> None:
        """The file is here again. Inside `Database.writing`."""
        self._database.run("DELETE FROM removals WHERE sha256 = ?", (sha256,))

    def all(self) -> dict[str, Removal]:
        """By digest, the oldest first."""
        rows = self._database.rows("SELECT sha256, what, size, at, leaf FROM removals ORDER BY at, sha256")
        return {row[0]: Removal(*row) for row in rows}
