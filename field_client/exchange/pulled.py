"""What the server has told: records as merged, in which buckets they are, and how far each bucket was read.

A page is applied in one transaction together with its cursors. For every bucket the number of its records and the sum
of their checksums are kept along, and compared with the server's after a complete pull.

A record may be known through more than one bucket and goes when the last of them lets go of it. A bucket that is read
again from its start gets a new generation; what has not come again when it is complete is dropped then, not before, so
nothing vanishes from the screen while the network is away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from field_client.platform.database import Database
from sync.core.errors import EpochChanged, Malformed
from sync.core.fold import State, checksum
from sync.peer import Gone, Page, is_special

SCHEMA = """
CREATE TABLE states(
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, rev INTEGER NOT NULL, bytes BLOB NOT NULL, sum INTEGER NOT NULL,
    special INTEGER NOT NULL
) STRICT;
CREATE INDEX states_by_kind ON states(kind);
CREATE INDEX states_special ON states(id) WHERE special = 1;
CREATE TABLE sources(
    bucket INTEGER NOT NULL, record TEXT NOT NULL, generation INTEGER NOT NULL, sum INTEGER NOT NULL,
    PRIMARY KEY (bucket, record)
) STRICT, WITHOUT ROWID;
CREATE TABLE cursors(
    id INTEGER PRIMARY KEY, bucket TEXT NOT NULL UNIQUE, cursor TEXT NOT NULL, position INTEGER NOT NULL,
    count INTEGER NOT NULL, sum INTEGER NOT NULL, generation INTEGER NOT NULL, filling INTEGER NOT NULL
) STRICT;
CREATE TABLE aliases(member TEXT PRIMARY KEY, root TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX aliases_by_root ON aliases(root);
"""

BEGINNING = "0"
SNAPSHOT_FUNCTIONS = {"sum_of": checksum, "special_of": lambda content: int(is_special(orjson.loads(content)))}
"""What `Pulled.fill` computes of each record itself, whatever the file says."""

_KEEP_STATE = """
ON CONFLICT(id) DO UPDATE SET kind = excluded.kind, rev = excluded.rev, bytes = excluded.bytes, sum = excluded.sum,
                              special = excluded.special
WHERE excluded.rev >= states.rev
"""
_PUT_STATE = f"INSERT INTO states(id, kind, rev, bytes, sum, special) VALUES (?, ?, ?, ?, ?, ?) {_KEEP_STATE}"
_PUT_SOURCE = """
INSERT INTO sources(bucket, record, generation, sum) VALUES (?, ?, ?, ?)
ON CONFLICT(bucket, record) DO UPDATE SET generation = excluded.generation, sum = excluded.sum
"""
_KNOWN_SOURCES = (
    "SELECT s.record, s.sum FROM json_each(?) j CROSS JOIN sources s ON s.bucket = ? AND s.record = j.value"
)
_LET_GO = """
DELETE FROM states WHERE id = ?
AND NOT EXISTS (SELECT 1 FROM cursors c JOIN sources s ON s.bucket = c.id AND s.record = states.id)
"""


@dataclass(slots=True)
class Cursor:
    """How far one bucket was read. `filling`: it is being read again from its start."""

    id: int
    bucket: str
    cursor: str
    position: int
    count: int
    sum: int
    generation: int
    filling: bool


class Applied(NamedTuple):
    """What a page did. `touched`: ids of the records that came, changed or went."""

    moved: bool
    mismatched: tuple[str, ...]
    behind: int
    touched: list[str]


class Pulled:
    """Pulled states in the tablet's database. Methods that write are called inside `Database.writing`."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # ---- a page --------------------------------------------------------------------------------------------

    def apply(self, page: Page, postponed: Collection[str] = ()) -> Applied:
        """Apply a page and its cursors. `postponed`: revoked buckets that are kept for now, and asked about again."""
        cursors = self._cursors()
        before = {bucket: cursor.cursor for bucket, cursor in cursors.items()}
        for bucket in page.cursors:
            if bucket not in cursors:
                cursors[bucket] = self._add_cursor(bucket)
        touched = self._apply_puts(page, cursors)
        touched += self._apply_gones(page.gones, cursors)
        for bucket in page.revoked:
            if bucket in cursors and bucket not in postponed:
                touched += self._drop_bucket(cursors.pop(bucket))
        for bucket, text in page.cursors.items():
            cursors[bucket].cursor = text
            cursors[bucket].position = page.positions.get(bucket, cursors[bucket].position)
            if not page.more:
                cursors[bucket].position = page.heads[bucket]
                if cursors[bucket].filling:
                    touched += self._finish_filling(cursors[bucket])
        self._write_cursors(cursors.values())
        now = {bucket: cursor.cursor for bucket, cursor in cursors.items()}
        behind = sum(max(0, head - cursors[b].position) for b, head in page.heads.items() if b in cursors)
        return Applied(now != before, () if page.more else _mismatched(page, cursors), behind, touched)

    def _apply_puts(self, page: Page, cursors: dict[str, Cursor]) -> list[str]:
        touched: list[str] = []
        for bucket, puts in page.puts.items():
            cursor = cursors[bucket]
            sums = {put[0]: put[4] for put in puts}
            known = self._known(cursor, sums)
            cursor.count += len(sums) - len(known)
            cursor.sum += sum(sums.values()) - sum(known.values())
            self.database.run_many(_PUT_STATE, puts)
            rows = [(cursor.id, record, cursor.generation, counted) for record, counted in sums.items()]
            self.database.run_many(_PUT_SOURCE, rows)
            touched += sums
        self._note_members((record, page.members.get(record, ())) for record in touched)
        return touched

    def _known(self, cursor: Cursor, ids: Collection[str]) -> dict[str, int]:
        """Of these records, those that the bucket holds already, with the sums that were counted for them."""
        if not cursor.count:
            return {}
        return dict(self.database.rows(_KNOWN_SOURCES, (orjson.dumps(list(ids)).decode(), cursor.id)))

    def _apply_gones(self, gones: Sequence[Gone], cursors: dict[str, Cursor]) -> list[str]:
        for gone in gones:
            self._remove_source(cursors[gone.bucket], gone.id)
            if gone.into:
                self.database.run("INSERT OR REPLACE INTO aliases(member, root) VALUES (?, ?)", (gone.id, gone.into))
        ids = [gone.id for gone in gones]
        self._let_go(ids)
        return ids

    def _remove_source(self, cursor: Cursor, record: str) -> None:
        parameters = (cursor.id, record)
        counted = self.database.value("SELECT sum FROM sources WHERE bucket = ? AND record = ?", parameters)
        if counted is not None:
            self.database.run("DELETE FROM sources WHERE bucket = ? AND record = ?", parameters)
            cursor.count -= 1
            cursor.sum -= counted

    def _let_go(self, records: Collection[str]) -> None:
        """Drop the states that no bucket holds any more."""
        self.database.run_many(_LET_GO, [(record,) for record in records])

    def _note_members(self, roots: Iterator[tuple[str, Sequence[str]]]) -> None:
        """Remember which records were merged into which, and forget it of those that stand alone again."""
        aliased = {id for row in self.database.rows("SELECT member, root FROM aliases") for id in row}
        for root, members in roots:
            if members or root in aliased:
                self.database.run("DELETE FROM aliases WHERE root = ? OR member = ?", (root, root))
                self.database.run_many(
                    "INSERT OR REPLACE INTO aliases(member, root) VALUES (?, ?)", [(m, root) for m in members]
                )

    # ---- whole buckets -------------------------------------------------------------------------------------

    def refill(self, bucket: str) -> None:
        """Read a bucket again from its start."""
        self.database.run(
            "UPDATE cursors SET cursor = ?, position = 0, generation = generation + 1, filling = 1 WHERE bucket = ?",
            (BEGINNING, bucket),
        )

    def fill(self, bucket: str, epoch: str) -> tuple[int, list[str]]:
        """Take a bucket from the file attached as `snapshot` (`SNAPSHOT_FUNCTIONS`), in place of what was known of it.

        Returns how many records it holds, and the ids of those that came, changed or went.

        :raises EpochChanged: it belongs to another epoch
        :raises Malformed: it is another bucket's
        """
        facts = dict(self.database.rows("SELECT key, value FROM snapshot.meta"))
        if facts["epoch"] != epoch:
            raise EpochChanged(epoch=facts["epoch"])
        if facts["bucket"] != bucket:
            raise Malformed(detail=f"a snapshot of {facts['bucket']}")
        cursor = self._cursors().get(bucket) or self._add_cursor(bucket)
        cursor.generation += 1
        cursor.cursor, cursor.position = facts["cursor"], 0
        self.database.run(
            "INSERT INTO states(id, kind, rev, bytes, sum, special)"
            " SELECT id, kind, rev, bytes, sum_of(bytes), special_of(bytes) FROM snapshot.states WHERE true"
            f" {_KEEP_STATE}"
        )
        self.database.run(
            "INSERT INTO sources(bucket, record, generation, sum)"
            " SELECT ?, t.id, ?, s.sum FROM snapshot.states t JOIN states s ON s.id = t.id WHERE true"
            " ON CONFLICT(bucket, record) DO UPDATE SET generation = excluded.generation, sum = excluded.sum",
            (cursor.id, cursor.generation),
        )
        members = """SELECT id, bytes FROM snapshot.states WHERE instr(bytes, CAST('"members":[' AS BLOB))"""
        self._note_members((id, orjson.loads(body).get("members", ())) for id, body in self.database.rows(members))
        touched = self._finish_filling(cursor)
        self._write_cursors([cursor])
        came = [id for (id,) in self.database.rows("SELECT id FROM snapshot.states")]
        return len(came), touched + came

    def clear(self) -> None:
        """Forget everything: it was another epoch's."""
        for table in ("states", "sources", "cursors", "aliases"):
            self.database.run(f"DELETE FROM {table}")

    def _drop_bucket(self, cursor: Cursor) -> list[str]:
        records = self.records_in(cursor.bucket)
        self.database.run("DELETE FROM sources WHERE bucket = ?", (cursor.id,))
        self.database.run("DELETE FROM cursors WHERE id = ?", (cursor.id,))
        self._let_go(records)
        return records

    def _finish_filling(self, cursor: Cursor) -> list[str]:
        """Drop what did not come again, and count what is there."""
        old = (cursor.id, cursor.generation)
        left = [
            record
            for (record,) in self.database.rows("SELECT record FROM sources WHERE bucket = ? AND generation < ?", old)
        ]
        self.database.run("DELETE FROM sources WHERE bucket = ? AND generation < ?", old)
        self._let_go(left)
        cursor.filling = False
        cursor.count, cursor.sum = self.database.row(
            "SELECT count(*), coalesce(sum(sum), 0) FROM sources WHERE bucket = ?", (cursor.id,)
        )
        return left

    # ---- cursors -------------------------------------------------------------------------------------------

    def cursor_texts(self) -> dict[str, str]:
        return dict(self.database.rows("SELECT bucket, cursor FROM cursors"))

    def _cursors(self) -> dict[str, Cursor]:
        sql = "SELECT id, bucket, cursor, position, count, sum, generation, filling FROM cursors"
        return {row[1]: Cursor(*row) for row in self.database.rows(sql)}

    def _add_cursor(self, bucket: str) -> Cursor:
        sql = (
            "INSERT INTO cursors(bucket, cursor, position, count, sum, generation, filling)"
            " VALUES (?, ?, 0, 0, 0, 0, 0) RETURNING id"
        )
        return Cursor(self.database.value(sql, (bucket, BEGINNING)), bucket, BEGINNING, 0, 0, 0, 0, False)

    def _write_cursors(self, cursors: Collection[Cursor]) -> None:
        self.database.run_many(
            "UPDATE cursors SET cursor = ?, position = ?, count = ?, sum = ?, generation = ?, filling = ? WHERE id = ?",
            [(c.cursor, c.position, c.count, c.sum, c.generation, c.filling, c.id) for c in cursors],
        )

    # ---- reading -------------------------------------------------------------------------------------------

    def root(self, record: str) -> str:
        """The record that this one was merged into, itself where it was not."""
        seen = {record}
        while (root := self.database.value("SELECT root FROM aliases WHERE member = ?", (record,))) not in (
            None,
            *seen,
        ):
            seen.add(record := root)
        return record

    def members(self, root: str) -> list[str]:
        return [m for (m,) in self.database.rows("SELECT member FROM aliases WHERE root = ?", (root,))]

    def state(self, record: str) -> State | None:
        content = self.database.value("SELECT bytes FROM states WHERE id = ?", (record,))
        return State.read(content) if content is not None else None

    def states(self, records: Sequence[str]) -> dict[str, State]:
        """Those of these records that are here."""
        sql = "SELECT s.id, s.bytes FROM json_each(?) j CROSS JOIN states s ON s.id = j.value"
        return {id: State.read(body) for id, body in self.database.rows(sql, (orjson.dumps(list(records)).decode(),))}

    def ids(self, kind: str) -> list[tuple[str, bool]]:
        """(id, whether it may be deleted or in conflict) of every record of a kind, oldest id first."""
        found = self.database.rows("SELECT id, special FROM states WHERE kind = ? ORDER BY id", (kind,))
        return [(id, bool(special)) for id, special in found]

    def special(self) -> list[str]:
        """The records that may hold a conflict, a deletion or waiting changes."""
        return [id for (id,) in self.database.rows("SELECT id FROM states WHERE special = 1 ORDER BY id")]

    def kinds(self) -> dict[str, int]:
        """kind → number of records."""
        return dict(self.database.rows("SELECT kind, count(*) FROM states GROUP BY kind"))

    def records_in(self, bucket: str) -> list[str]:
        sql = "SELECT s.record FROM cursors c JOIN sources s ON s.bucket = c.id WHERE c.bucket = ?"
        return [record for (record,) in self.database.rows(sql, (bucket,))]


def _mismatched(page: Page, cursors: dict[str, Cursor]) -> tuple[str, ...]:
    return tuple(
        bucket
        for bucket, told in page.sums.items()
        if bucket in cursors and (cursors[bucket].count, cursors[bucket].sum) != told
    )
