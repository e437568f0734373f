"""What is still owed to evidence after it was saved: small pictures, a watermarked copy, the SM3 digest.

A chore is noted in the transaction that saves the evidence and struck off in the one that writes what came of it. So a
program that is killed in between leaves it to the next round, and doing it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple

from field_client.platform.database import Database

SCHEMA = """
CREATE TABLE chores(
    evidence TEXT NOT NULL, what TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (evidence, what)
) STRICT, WITHOUT ROWID;
"""

What = Literal["pictures", "mark", "sm3"]

MOST_TRIES = 3
"""A file that three decoders could not read is left alone; the evidence is whole without its pictures."""


class Chore(NamedTuple):
    evidence: str
    what: What
    tries: int


class Chores:
    """The chores in the tablet's database. Methods that write are called inside `Database.writing`."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def owe(self, evidence: str, chores: Collection[What]) -> None:
        rows = [(evidence, what) for what in chores]
        self.database.run_many("INSERT OR IGNORE INTO chores(evidence, what) VALUES (?, ?)", rows)

    def done(self, evidence: str, chores: Collection[What]) -> None:
        rows = [(evidence, what) for what in chores]
        self.database.run_many("DELETE FROM chores WHERE evidence = ? AND what = ?", rows)

    def failed(self, evidence: str, chores: Collection[What]) -> None:
        """Count a try; after `MOST_TRIES` the chore is given up."""
        rows = [(evidence, what) for what in chores]
        self.database.run_many("UPDATE chores SET tries = tries + 1 WHERE evidence = ? AND what = ?", rows)
        self.database.run("DELETE FROM chores WHERE tries >= ?", (MOST_TRIES,))

    def of(self, evidence: str) -> list[Chore]:
        sql = "SELECT evidence, what, tries FROM chores WHERE evidence = ? ORDER BY what"
        return [Chore(*row) for row in self.database.rows(sql, (evidence,))]

    def owing(self) -> list[str]:
        """The evidence records that something is owed to, oldest first."""
        return [id for (id,) in self.database.rows("SELECT DISTINCT evidence FROM chores ORDER BY evidence")]
