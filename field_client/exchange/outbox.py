"""The tablet's own changes: written, queued, acknowledged, settled, and kept.

    queued    not acknowledged by the server
    held      acknowledged; the pulled state does not contain it yet, so it is still laid over it
    settled   acknowledged, and the pulled state contains it (or its record left our scope)
    dead      refused alone by the server as unreadable: shown, laid over, sent again only when somebody asks

Nothing is ever deleted here. After the server was restored from a backup everything is offered again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from field_client.platform.database import Database
from schemas.paths import DELETED
from sync.core.batches import MAX_COUNT
from sync.core.change import START, Change, Link, chain_hash, signature_input
from sync.core.errors import NotFound, Problem
from sync.core.receipts import change_leaf
from sync.peer import Batch, Result, Run
from sync.replicator import Unproven

SCHEMA = """
CREATE TABLE replica(
    one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, n INTEGER NOT NULL, chain TEXT NOT NULL,
    registered INTEGER NOT NULL DEFAULT 0, hlc TEXT, offset_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE changes(
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    replica TEXT NOT NULL, n INTEGER NOT NULL, prev TEXT NOT NULL, chain TEXT NOT NULL, sig BLOB NOT NULL,
    hash BLOB NOT NULL, record TEXT NOT NULL, kind TEXT NOT NULL, content BLOB NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('queued', 'held', 'settled', 'dead')),
    disposition TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '', field TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT '',
    root TEXT, rev INTEGER, bucket TEXT, at INTEGER, leaf INTEGER, proven INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX changes_by_record ON changes(record, seq);
CREATE INDEX changes_by_status ON changes(status, seq);
CREATE INDEX changes_unproven ON changes(leaf) WHERE proven = 0 AND leaf >= 0;
"""

ENVELOPE_BYTES = 96
"""What a change takes in a batch besides its content: its signature in base64."""

Sign = Callable[[bytes], bytes]

_PENDING = "('queued', 'held', 'dead')"
_OPEN = (
    "UPDATE changes SET proven = 0, leaf = NULL, root = NULL, rev = NULL, bucket = NULL, at = NULL, status = 'queued'"
)
_ACKNOWLEDGE = """
UPDATE changes SET status = 'held', disposition = ?, reason = ?, field = ?, detail = ?, root = ?, rev = ?, bucket = ?,
                   at = ?, leaf = ?, proven = ?
WHERE id = ?
"""
_SETTLE = """
UPDATE changes SET status = 'settled' WHERE status = 'held' AND (
    rev <= (SELECT s.rev FROM states s
            WHERE s.id = coalesce((SELECT a.root FROM aliases a WHERE a.member = changes.record), changes.record))
    OR (? AND NOT EXISTS (SELECT 1 FROM cursors c WHERE c.bucket = changes.bucket AND c.position < changes.at))
)
"""


class Own(NamedTuple):
    """One of the tablet's own changes and how far it is. `disposition` is empty until it is acknowledged."""

    change: Change
    link: Link
    status: str
    disposition: str
    reason: str
    field: str
    detail: str
    leaf: int
    proven: bool


class Head(NamedTuple):
    """Where a chain stands: its replica, the number of its newest change, and the chain's hash there."""

    replica: str
    n: int
    chain: str


class Outbox:
    """Own changes in the tablet's database. Methods that write are called inside `Database.writing`."""

    def __init__(self, database: Database, sign: Sign) -> None:
        self.database = database
        self._sign = sign

    # ---- writing -------------------------------------------------------------------------------------------

    def append(self, change: Change) -> Link:
        """Give a new change its place in the chain, sign it and queue it."""
        replica, n, prev = self.database.row("SELECT id, n, chain FROM replica")
        link, chain = self._linked(replica, n + 1, prev, change.hash)
        self.database.run(
            "INSERT INTO changes(id, replica, n, prev, chain, sig, hash, record, kind, content, status)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued')",
            (change.id, replica, link.n, prev, chain, link.signature, change.hash, change.record, change.kind,
             change.content),
        )  # fmt: skip
        self.database.run("UPDATE replica SET n = ?, chain = ?, hlc = ?", (link.n, chain, change.hlc))
        return link

    def begin_replica(self, replica: str) -> None:
        """Continue as a new replica: number and sign again what is not acknowledged; ids and contents stay."""
        n, prev, relinked = 0, START, []
        for seq, digest in self.database.rows("SELECT seq, hash FROM changes WHERE status = 'queued' ORDER BY seq"):
            n += 1
            link, chain = self._linked(replica, n, prev, digest)
            relinked.append((replica, n, prev, chain, link.signature, seq))
            prev = chain
        self.database.run_many(
            "UPDATE changes SET replica = ?, n = ?, prev = ?, chain = ?, sig = ? WHERE seq = ?", relinked
        )
        self.database.run(
            "INSERT INTO replica(one, id, n, chain) VALUES (1, ?, ?, ?)"
            " ON CONFLICT(one) DO UPDATE SET id = excluded.id, n = excluded.n, chain = excluded.chain, registered = 0",
            (replica, n, prev),
        )

    def has_older_replicas(self) -> bool:
        """Whether something queued was numbered by an earlier incarnation of this database."""
        sql = "SELECT 1 FROM changes WHERE status = 'queued' AND replica <> (SELECT id FROM replica) LIMIT 1"
        return self.database.value(sql) is not None

    def _linked(self, replica: str, n: int, prev: str, digest: bytes) -> tuple[Link, str]:
        chain = chain_hash(replica, n, prev, digest)
        return Link(replica, n, prev, self._sign(signature_input(chain))), chain

    # ---- sending -------------------------------------------------------------------------------------------

    def queued(self) -> int:
        return int(self.database.value("SELECT count(*) FROM changes WHERE status = 'queued'"))

    def queued_sizes(self) -> list[int]:
        """Bytes, with the signature, of the changes at the head of the outbox: more of them than any batch takes."""
        sql = "SELECT length(content) + ? FROM changes WHERE status = 'queued' ORDER BY seq LIMIT ?"
        return [size for (size,) in self.database.rows(sql, (ENVELOPE_BYTES, MAX_COUNT + 1))]

    def batch(self, epoch: str, count: int) -> Batch:
        """The first `count` queued changes, in the order in which they were written."""
        rows = self.database.rows(
            "SELECT id, content, replica, n, prev, chain, sig FROM changes"
            " WHERE status = 'queued' ORDER BY seq LIMIT ?",
            (count,),
        )
        return Batch(epoch, tuple(_runs(rows)), tuple(row[1] for row in rows), tuple(row[0] for row in rows))

    def digests(self, ids: Sequence[str]) -> list[bytes]:
        """The content hashes of own changes; raises NotFound where one is not ours."""
        sql = "SELECT j.value, c.hash FROM json_each(?) j LEFT JOIN changes c ON c.id = j.value ORDER BY j.key"
        found = self.database.rows(sql, (orjson.dumps(list(ids)).decode(),))
        unknown = next((id for id, digest in found if digest is None), None)
        if unknown is not None:
            raise NotFound(what=unknown)
        return [digest for _, digest in found]

    def acknowledge(self, results: Sequence[Result], proven: Collection[str]) -> None:
        sure = frozenset(proven)
        self.database.run_many(
            _ACKNOWLEDGE,
            [(r.status, r.reason, r.field, r.detail, r.record, r.rev, r.bucket, r.at, r.leaf, r.id in sure, r.id)
             for r in results],
        )  # fmt: skip

    def settle(self, complete: bool) -> int:
        """Take from the overlay what pulled states contain; at a complete pull also what left our scope."""
        return self.database.run(_SETTLE, (complete,))

    def bury(self, change: str, problem: Problem) -> None:
        self.database.run(
            "UPDATE changes SET status = 'dead', reason = ?, detail = ? WHERE id = ? AND status = 'queued'",
            (problem.code, problem.text(), change),
        )

    def revive(self) -> int:
        """Send the dead letters again, after the program or the server was updated."""
        return self.database.run("UPDATE changes SET status = 'queued', reason = '', detail = '' WHERE status = 'dead'")

    def reopen(self) -> None:
        """Offer everything that was acknowledged again: the server that acknowledged it is no more."""
        self.database.run(f"{_OPEN} WHERE status IN ('held', 'settled')")

    def requeue(self, ids: Collection[str]) -> int:
        return sum(self.database.run(f"{_OPEN} WHERE id = ? AND status IN ('held', 'settled')", (id,)) for id in ids)

    def acknowledged(self) -> list[str]:
        sql = "SELECT id FROM changes WHERE status IN ('held', 'settled') ORDER BY seq"
        return [id for (id,) in self.database.rows(sql)]

    # ---- receipts ------------------------------------------------------------------------------------------

    def unproven(self, limit: int) -> list[Unproven]:
        sql = "SELECT id, hash, leaf FROM changes WHERE proven = 0 AND leaf >= 0 ORDER BY leaf LIMIT ?"
        return [
            Unproven(id, False, change_leaf(digest), leaf) for id, digest, leaf in self.database.rows(sql, (limit,))
        ]

    def unproven_count(self) -> int:
        return int(self.database.value("SELECT count(*) FROM changes WHERE proven = 0 AND leaf >= 0"))

    def prove(self, ids: Collection[str]) -> None:
        self.database.run_many("UPDATE changes SET proven = 1 WHERE id = ?", [(id,) for id in ids])

    # ---- reading -------------------------------------------------------------------------------------------

    def pending(self, records: Collection[str]) -> list[Change]:
        """The changes of these records that no pulled state contains yet, in the order in which they were written."""
        found = []
        for record in records:
            sql = f"SELECT seq, content FROM changes WHERE record = ? AND status IN {_PENDING}"
            found += self.database.rows(sql, (record,))
        return [Change.stored(content) for _, content in sorted(found)]

    def pending_records(self, kind: str | None = None) -> list[str]:
        """The records that have such changes, of one kind or of any."""
        sql = f"SELECT DISTINCT record FROM changes WHERE status IN {_PENDING} AND (?1 IS NULL OR kind = ?1)"
        return [record for (record,) in self.database.rows(sql, (kind,))]

    def disputable_records(self) -> list[str]:
        """The records whose own changes may leave something to decide: those over a pulled state, and those with a deletion.

        One that was begun here and never pulled has a single author, whose every write replaces what it showed.
        """
        sql = (
            f"SELECT record FROM changes AS c WHERE status IN {_PENDING} GROUP BY record"
            " HAVING EXISTS (SELECT 1 FROM states WHERE id = c.record) OR EXISTS (SELECT 1 FROM aliases WHERE member = c.record)"
            " OR max(instr(content, ?))"
        )
        return [record for (record,) in self.database.rows(sql, (DELETED.encode(),))]

    def mentioning(self, kind: str, text: str) -> list[str]:
        """The records of a kind with such changes that hold a text as it was written."""
        sql = f"SELECT DISTINCT record FROM changes WHERE status IN {_PENDING} AND kind = ? AND instr(content, ?)"
        return [record for (record,) in self.database.rows(sql, (kind, text.encode()))]

    def pending_kinds(self) -> list[str]:
        return [kind for (kind,) in self.database.rows(f"SELECT DISTINCT kind FROM changes WHERE status IN {_PENDING}")]

    def head(self) -> Head:
        """Where the chain stands now; its number is 0 where nothing was written."""
        return Head(*self.database.row("SELECT id, n, chain FROM replica"))

    def chain_at(self, replica: str, n: int) -> str | None:
        """The hash of an own chain at a number; None where this tablet has no such change."""
        chain = self.database.value("SELECT chain FROM changes WHERE replica = ? AND n = ?", (replica, n))
        return str(chain) if chain is not None else None

    def between(self, replica: str, first: int, last: int) -> list[tuple[int, Change]]:
        """(n, change) of an own replica with first <= n <= last, in order."""
        sql = "SELECT n, content FROM changes WHERE replica = ? AND n BETWEEN ? AND ? ORDER BY n"
        return [(n, Change.stored(content)) for n, content in self.database.rows(sql, (replica, first, last))]

    def is_queued(self, records: Collection[str]) -> bool:
        sql = "SELECT 1 FROM changes WHERE record = ? AND status = 'queued' LIMIT 1"
        return any(self.database.row(sql, (record,)) for record in records)

    def of(self, record: str) -> list[Own]:
        """Own changes of a record, oldest first."""
        rows = self.database.rows(
            "SELECT content, replica, n, prev, sig, status, disposition, reason, field, detail, leaf, proven"
            " FROM changes WHERE record = ? ORDER BY seq",
            (record,),
        )
        return [
            Own(Change.stored(content), Link(replica, n, prev, sig), status, disposition, reason, field, detail,
                -1 if leaf is None else leaf, bool(proven))
            for content, replica, n, prev, sig, status, disposition, reason, field, detail, leaf, proven in rows
        ]  # fmt: skip


def _runs(rows: Sequence[Any]) -> Iterator[Run]:
    """Rows in sending order, cut wherever the replica changes or a number is left out."""
    first: Any = None
    signatures: list[bytes] = []
    last_chain = ""
    for row in rows:
        _, _, replica, n, prev, chain, signature = row
        if first is not None and (replica, n, prev) != (first[2], first[3] + len(signatures), last_chain):
            yield Run(first[2], first[3], first[4], tuple(signatures))
            first = None
        if first is None:
            first, signatures = row, []
        signatures.append(signature)
        last_chain = chain
    if first is not None:
        yield Run(first[2], first[3], first[4], tuple(signatures))
