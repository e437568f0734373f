"""The replica on the tablet: one encrypted database that every other part of the client reads and writes.

    outbox   the tablet's own changes (`outbox.py`)
    pulled   the records as the server has merged them (`pulled.py`)
    uploads  the blobs that were captured here (`uploads.py`)
    chores   what is still owed to evidence (`chores.py`)

What is shown is never stored: a record is its pulled state with the pending own changes laid over it
(`sync.core.fold.overlay`), so there is nothing that could fall behind. Whatever concerns several of the three parts is
one transaction here; that makes the class a `sync.replicator.Replica`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from field_client.evidence import chores
from field_client.evidence.chores import Chores
from field_client.exchange import outbox, pulled, uploads
from field_client.exchange.outbox import Outbox, Sign
from field_client.exchange.pulled import Pulled
from field_client.exchange.uploads import Uploads
from field_client.platform import Clock
from field_client.platform.database import Database
from schemas.labels import Label
from sync.core import clock as stamps
from sync.core import receipts
from sync.core.engine import Waiting
from sync.core.errors import BrokenStore, NotEnrolled, NotFound, Problem
from sync.core.fold import State, overlay
from sync.core.note import Checkpoint
from sync.peer import Batch, BlobOffer, BlobReceipt, Page, Result
from sync.replicator import Applied, Standing, Unproven

VERSION = 1
AT_ONCE = 200
"""Records read at once while browsing."""
SCHEMA = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoints(
    epoch TEXT PRIMARY KEY, origin TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL
) STRICT;
"""

Listener = Callable[[Collection[str]], None]
"""Told the ids of records that may look different now, inside the transaction that made them so."""


class Store:
    """The tablet's replica. `sign` is the device's Ed25519 signature."""

    def __init__(self, database: Database, clock: Clock, sign: Sign) -> None:
        self.database = database
        self.clock = clock
        self.outbox = Outbox(database, sign)
        self.pulled = Pulled(database)
        self.uploads = Uploads(database)
        self.chores = Chores(database)
        self.listeners: list[Listener] = []
        whole = database.has("meta") and self.meta("version") == VERSION
        if not whole:
            detail = Label("数据表缺失或版本不符", "the tables are missing or of another version")
            raise BrokenStore(file=database.path.name, detail=detail)

    @classmethod
    def create(cls, database: Database, clock: Clock, sign: Sign) -> Store:
        """The tables in a new database, and the first replica."""
        with database.writing():
            for statements in (SCHEMA, outbox.SCHEMA, pulled.SCHEMA, uploads.SCHEMA, chores.SCHEMA):
                database.run_script(statements)
            database.run("INSERT INTO meta(key, value) VALUES ('version', ?)", (str(VERSION),))
            Outbox(database, sign).begin_replica(clock.new_id())
        return cls(database, clock, sign)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction for several acts that stand or fall together."""
        with self.database.writing():
            yield

    def close(self) -> None:
        self.database.close()

    # ---- facts about this tablet ---------------------------------------------------------------------------

    def meta(self, key: str) -> Any:
        """A noted fact, None where there is none."""
        text = self.database.value("SELECT value FROM meta WHERE key = ?", (key,))
        return orjson.loads(text) if text is not None else None

    def note(self, key: str, value: Any) -> None:
        """Note a fact as JSON; to be called inside `writing`."""
        self.database.run("INSERT OR REPLACE INTO meta(key, value) VALUES (?, ?)", (key, orjson.dumps(value).decode()))

    @property
    def replica(self) -> str:
        return str(self.database.value("SELECT id FROM replica"))

    @property
    def epoch(self) -> str | None:
        epoch = self.meta("epoch")
        return str(epoch) if epoch is not None else None

    def time(self) -> tuple[str | None, int]:
        """The newest stamp of this replica, and the offset of the server's clock from ours in milliseconds."""
        newest, offset = self.database.row("SELECT hlc, offset_ms FROM replica")
        return newest, offset

    # ---- records -------------------------------------------------------------------------------------------

    def view(self, record: str) -> State:
        """A record as it is shown: pulled state and own pending changes. Raises NotFound."""
        with self.database.reading():
            root = self.pulled.root(record)
            state = self.pulled.state(root)
            pending = self.outbox.pending({record, root, *self.pulled.members(root)})
        if state is None and not pending:
            raise NotFound(what=record)
        return overlay(state, pending, root, pending[0].kind if pending else "")

    def views(self, records: Sequence[str]) -> Iterator[State]:
        """Several records as they are shown, those that are here, in the order given; quicker than one by one."""
        special = {*self.special()}
        for start in range(0, len(records), AT_ONCE):
            some = records[start : start + AT_ONCE]
            plain = self.pulled.states([id for id in some if id not in special])
            for id in some:
                with contextlib.suppress(NotFound):
                    yield plain[id] if id in plain else self.view(id)

    def browse(self, kind: str) -> Iterator[State]:
        """Every record of a kind as it is shown, deleted ones too, oldest id first."""
        ids = self.ids(kind)
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            plain = self.pulled.states([id for id, special in some if not special])
            for id, _ in some:
                with contextlib.suppress(NotFound):  # gone since the ids were listed
                    yield plain[id] if id in plain else self.view(id)

    def ids(self, kind: str) -> list[tuple[str, bool]]:
        """(id, whether its view has more than plain values) of every record of a kind, pending ones included."""
        with self.database.reading():
            found = dict(self.pulled.ids(kind))
            found.update(dict.fromkeys(map(self.pulled.root, self.outbox.pending_records(kind)), True))
        return sorted(found.items())

    def mentioning(self, kind: str, text: str) -> list[str]:
        """The records of a kind that hold a text as it was written, an id for example: no record is opened for it."""
        with self.database.reading():
            sql = "SELECT id FROM states WHERE kind = ? AND instr(bytes, ?)"
            found = {id for (id,) in self.database.rows(sql, (kind, text.encode()))}
            found.update(map(self.pulled.root, self.outbox.mentioning(kind, text)))
        return sorted(found)

    def knows(self, record: str) -> bool:
        """Whether there is such a record, deleted ones included."""
        try:
            self.view(record)
        except NotFound:
            return False
        return True

    def special(self) -> list[str]:
        """The records that may hold a conflict, a deletion or waiting changes, sorted."""
        with self.database.reading():
            pending = map(self.pulled.root, self.outbox.pending_records())
            return sorted({*self.pulled.special(), *pending})

    def disputable(self) -> list[str]:
        """The records that may hold a conflict, sorted: fewer than the special ones, after a day without a network."""
        with self.database.reading():
            return sorted({*self.pulled.special(), *map(self.pulled.root, self.outbox.disputable_records())})

    def touch(self, records: Collection[str]) -> None:
        """Tell the listeners; to be called inside `writing`."""
        if records:
            for listener in self.listeners:
                listener(records)

    # ---- a round: standing ---------------------------------------------------------------------------------

    def standing(self) -> Standing:
        replica, registered = self.database.row("SELECT id, registered FROM replica")
        fresh = self.database.value("SELECT 1 FROM cursors LIMIT 1") is None
        return Standing(self.epoch, replica, bool(registered), fresh)

    def anchor(self, server_ms: int) -> None:
        wall = self.clock.wall_ms()
        newest, _ = self.time()
        stamp = stamps.receive(newest, stamps.tick(None, server_ms), wall, server_ms)
        with self.database.writing():
            self.database.run("UPDATE replica SET offset_ms = ?, hlc = ?", (server_ms - wall, stamp))

    def note_registered(self) -> None:
        with self.database.writing():
            self.database.run("UPDATE replica SET registered = 1")

    def realign(self, epoch: str) -> None:
        with self.database.writing():
            touched = [id for (id,) in self.database.rows("SELECT id FROM states")] if self.listeners else []
            self.pulled.clear()
            self.outbox.reopen()
            self.uploads.reopen()
            if self.outbox.has_older_replicas():
                self.outbox.begin_replica(self.clock.new_id())  # the server may not know the ones before a fork
            self.database.run("UPDATE replica SET registered = 0")
            self.note("epoch", epoch)
            self.touch(touched)

    def fork(self) -> None:
        with self.database.writing():
            self.outbox.begin_replica(self.clock.new_id())

    # ---- a round: states -----------------------------------------------------------------------------------

    def cursors(self) -> Mapping[str, str]:
        return self.pulled.cursor_texts()

    def apply(self, page: Page, newest: Checkpoint | None, note: str) -> Applied:
        with self.database.writing():
            postponed = [b for b in page.revoked if self.outbox.is_queued(self.pulled.records_in(b))]
            applied = self.pulled.apply(page, postponed)
            self.outbox.settle(complete=not page.more)
            self._remember(newest, note)
            self.touch(applied.touched)
        return Applied(applied.moved, applied.mismatched, applied.behind)

    def fill(self, bucket: str, snapshot: Path) -> int:
        with self.database.attached(snapshot, "snapshot", pulled.SNAPSHOT_FUNCTIONS), self.database.writing():
            count, touched = self.pulled.fill(bucket, self.epoch or "")
            self.outbox.settle(complete=False)
            self.touch(touched)
        return count

    def refill(self, bucket: str) -> None:
        with self.database.writing():
            self.pulled.refill(bucket)

    # ---- a round: own changes ------------------------------------------------------------------------------

    def queued(self) -> int:
        return self.outbox.queued()

    def queued_sizes(self) -> list[int]:
        return self.outbox.queued_sizes()

    def batch(self, count: int) -> Batch:
        epoch = self.epoch
        if epoch is None:
            raise NotEnrolled()
        return self.outbox.batch(epoch, count)

    def digests(self, ids: Sequence[str]) -> list[bytes]:
        return self.outbox.digests(ids)

    def acknowledge(
        self, results: Sequence[Result], proven: Collection[str], newest: Checkpoint | None, note: str
    ) -> None:
        with self.database.writing():
            self.outbox.acknowledge(results, proven)
            self._remember(newest, note)

    def bury(self, change: str, problem: Problem) -> None:
        with self.database.writing():
            self.outbox.bury(change, problem)

    def kept_ids(self) -> list[str]:
        return self.outbox.acknowledged()

    def requeue(self, ids: Collection[str]) -> int:
        with self.database.writing():
            return self.outbox.requeue(ids)

    # ---- a round: the log ----------------------------------------------------------------------------------

    def checkpoint(self) -> Checkpoint:
        row = self.database.row("SELECT origin, size, root FROM checkpoints WHERE epoch = ?", (self.epoch or "",))
        return Checkpoint(*row) if row is not None else receipts.empty((self.meta("log") or {}).get("origin", "log"))

    def remember(self, newest: Checkpoint, note: str) -> None:
        with self.database.writing():
            self._remember(newest, note)

    def _remember(self, newest: Checkpoint | None, note: str) -> None:
        if newest is not None and newest.size > self.checkpoint().size:
            self.database.run(
                "INSERT OR REPLACE INTO checkpoints(epoch, origin, size, root, note) VALUES (?, ?, ?, ?, ?)",
                (self.epoch or "", newest.origin, newest.size, newest.root, note),
            )

    def unproven(self, limit: int) -> list[Unproven]:
        found = self.outbox.unproven(limit)
        return found + self.uploads.unproven(limit - len(found))

    def unproven_count(self) -> int:
        return self.outbox.unproven_count() + self.uploads.unproven_count()

    def prove(self, proven: Sequence[Unproven]) -> None:
        with self.database.writing():
            self.outbox.prove([one.key for one in proven if not one.is_blob])
            self.uploads.prove([one.key for one in proven if one.is_blob])

    # ---- a round: blobs ------------------------------------------------------------------------------------

    def waiting_blobs(self, goal: int) -> list[Waiting]:
        return self.uploads.waiting(goal)

    def blob_offer(self, sha256: str) -> BlobOffer:
        return self.uploads.offer(sha256)

    def uploading(self, sha256: str, upload: str, part_size: int, have: Collection[int]) -> None:
        with self.database.writing():
            self.uploads.uploading(sha256, upload, part_size, have)

    def part_sent(self, sha256: str, number: int) -> None:
        with self.database.writing():
            self.uploads.part_sent(sha256, number)

    def hold(self, sha256: str, receipt: BlobReceipt) -> None:
        with self.database.writing():
            self.uploads.hold(sha256, receipt)

    def set_aside(self, sha256: str, problem: Problem) -> None:
        with self.database.writing():
            self.uploads.set_aside(sha256, problem)
