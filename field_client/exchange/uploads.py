"""The blobs that this tablet captured: which record names them, how much of them the server has, and its receipt.

A blob waits until the server holds it, most urgent first: thumbnails, previews, originals, video. It is safe when its
receipt is verified; its bytes are the business of `BlobFiles`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable
from typing import NamedTuple

import orjson

from field_client.platform.database import Database
from sync.core.engine import Waiting
from sync.core.errors import NotFound, Problem
from sync.core.receipts import act_leaf
from sync.peer import BlobOffer, BlobReceipt, Role
from sync.replicator import Unproven

SCHEMA = """
CREATE TABLE blobs(
    sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL, mime TEXT NOT NULL, role TEXT NOT NULL, name TEXT NOT NULL,
    priority INTEGER NOT NULL, held INTEGER NOT NULL DEFAULT 0, problem TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT '', upload TEXT NOT NULL DEFAULT '', part_size INTEGER NOT NULL DEFAULT 0,
    act TEXT, leaf INTEGER, proof TEXT, checkpoint TEXT, proven INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX blobs_waiting ON blobs(priority) WHERE held = 0;
CREATE TABLE uses(
    record TEXT NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (record, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX uses_by_blob ON uses(sha256);
CREATE TABLE parts(sha256 TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (sha256, number)) STRICT, WITHOUT ROWID;
"""

THUMBNAIL, PREVIEW, ORIGINAL, VIDEO = range(4)
"""Priorities, most urgent first."""
FIRST = -1
"""Before all others, and on a dear line too: a person asked for it."""


class Blob(NamedTuple):
    """A blob and how far it is: `parts` of it are at the server, of `all_parts` (0 where it was not offered yet)."""

    sha256: str
    size: int
    mime: str
    role: Role
    name: str
    records: tuple[str, ...]
    parts: int
    all_parts: int
    held: bool
    proven: bool
    problem: str
    detail: str


def priority_of(role: Role, mime: str) -> int:
    """How urgent a blob is; lower goes first."""
    if role == "original":
        return VIDEO if mime.startswith("video/") else ORIGINAL
    return THUMBNAIL if role == "thumbnail" else PREVIEW


class Uploads:
    """Blobs in the tablet's database. Methods that write are called inside `Database.writing`."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # ---- writing -------------------------------------------------------------------------------------------

    def attach(self, record: str, sha256: str, size: int, mime: str, role: Role, name: str) -> None:
        """A blob of a record; the same blob again, for this record or another, is sent once."""
        self.database.run(
            "INSERT OR IGNORE INTO blobs(sha256, size, mime, role, name, priority) VALUES (?, ?, ?, ?, ?, ?)",
            (sha256, size, mime, role, name, priority_of(role, mime)),
        )
        self.database.run("INSERT OR IGNORE INTO uses(record, sha256) VALUES (?, ?)", (record, sha256))

    def hurry(self, digests: Collection[str]) -> int:
        """Send these before all others; returns how many still wait."""
        sql = "UPDATE blobs SET priority = ? WHERE sha256 = ? AND held = 0"
        return sum(self.database.run(sql, (FIRST, one)) for one in digests)

    def uploading(self, sha256: str, upload: str, part_size: int, have: Collection[int]) -> None:
        self.database.run(
            "UPDATE blobs SET upload = ?, part_size = ?, problem = '', detail = '' WHERE sha256 = ?",
            (upload, part_size, sha256),
        )
        self.database.run("DELETE FROM parts WHERE sha256 = ?", (sha256,))
        self.database.run_many("INSERT INTO parts(sha256, number) VALUES (?, ?)", [(sha256, n) for n in have])

    def part_sent(self, sha256: str, number: int) -> None:
        self.database.run("INSERT OR IGNORE INTO parts(sha256, number) VALUES (?, ?)", (sha256, number))

    def hold(self, sha256: str, receipt: BlobReceipt) -> None:
        self.database.run(
            "UPDATE blobs SET held = 1, problem = '', detail = '', upload = '', act = ?, leaf = ?, proof = ?,"
            " checkpoint = ?, proven = 0 WHERE sha256 = ?",
            (receipt.act, receipt.leaf, _text(receipt.proof), receipt.checkpoint, sha256),
        )
        self.database.run("DELETE FROM parts WHERE sha256 = ?", (sha256,))

    def set_aside(self, sha256: str, problem: Problem) -> None:
        """Note why a blob could not go; it is tried again in the next round."""
        self.database.run(
            "UPDATE blobs SET problem = ?, detail = ?, upload = '' WHERE sha256 = ?",
            (problem.code, problem.text(), sha256),
        )

    def reopen(self) -> None:
        """Offer everything again: the server that gave the receipts is no more. They are kept until new ones come."""
        self.database.run("UPDATE blobs SET held = 0, proven = 0, upload = ''")
        self.database.run("DELETE FROM parts")

    def unhold(self, sha256: str) -> None:
        """Offer one again: the server said that it does not have it."""
        self.database.run("UPDATE blobs SET held = 0, proven = 0, upload = '' WHERE sha256 = ?", (sha256,))

    def prove(self, digests: Collection[str]) -> None:
        self.database.run_many("UPDATE blobs SET proven = 1 WHERE sha256 = ?", [(one,) for one in digests])

    # ---- reading -------------------------------------------------------------------------------------------

    def waiting(self, goal: int) -> list[Waiting]:
        sql = "SELECT sha256, size, priority FROM blobs WHERE held = 0 AND priority <= ? ORDER BY priority, rowid"
        return [Waiting(*row) for row in self.database.rows(sql, (goal,))]

    def waiting_count(self) -> int:
        """How many the server does not hold yet."""
        return int(self.database.value("SELECT count(*) FROM blobs WHERE held = 0"))

    def offer(self, sha256: str) -> BlobOffer:
        """What to tell the server about a blob; raises NotFound."""
        sql = "SELECT sha256, size, mime, part_size, role, name FROM blobs WHERE sha256 = ?"
        row = self.database.row(sql, (sha256,))
        if row is None:
            raise NotFound(what=sha256)
        return BlobOffer(*row)

    def receipt(self, sha256: str) -> BlobReceipt | None:
        """The newest receipt of a blob, verified or not; None where the server never held it."""
        row = self.database.row("SELECT act, leaf, proof, checkpoint FROM blobs WHERE sha256 = ?", (sha256,))
        if row is None or row[0] is None:
            return None
        act, leaf, proof, checkpoint = row
        return BlobReceipt(act, leaf, tuple(map(b64decode, orjson.loads(proof))), checkpoint)

    def name_of(self, sha256: str) -> str:
        """What the file was called; empty where it is not known."""
        return str(self.database.value("SELECT name FROM blobs WHERE sha256 = ?", (sha256,)) or "")

    def digests(self) -> set[str]:
        """The SHA-256 of every blob."""
        return {sha256 for (sha256,) in self.database.rows("SELECT sha256 FROM blobs")}

    def unproven(self, limit: int) -> list[Unproven]:
        sql = "SELECT sha256, act, leaf FROM blobs WHERE held = 1 AND proven = 0 LIMIT ?"
        return [Unproven(sha256, True, act_leaf(act), leaf) for sha256, act, leaf in self.database.rows(sql, (limit,))]

    def unproven_count(self) -> int:
        return int(self.database.value("SELECT count(*) FROM blobs WHERE held = 1 AND proven = 0"))

    def all(self, record: str | None = None) -> list[Blob]:
        """Every blob, or those of one record, in the order in which they came."""
        sql = (
            "SELECT b.sha256, b.size, b.mime, b.role, b.name,"
            " (SELECT group_concat(u.record) FROM uses u WHERE u.sha256 = b.sha256),"
            " (SELECT count(*) FROM parts p WHERE p.sha256 = b.sha256), b.part_size, b.held, b.proven, b.problem,"
            " b.detail FROM blobs b WHERE ?1 IS NULL"
            " OR EXISTS (SELECT 1 FROM uses u WHERE u.sha256 = b.sha256 AND u.record = ?1) ORDER BY b.rowid"
        )
        found = []
        for sha256, size, mime, role, name, records, parts, part_size, held, proven, problem, detail in (
            self.database.rows(sql, (record,))
        ):  # fmt: skip
            count = -(-size // part_size) if part_size else 0
            named = tuple((records or "").split(","))
            found.append(Blob(sha256, size, mime, role, name, named, count if held else parts, count, bool(held),
                              bool(proven), problem, detail))  # fmt: skip
        return found


def _text(proof: Iterable[bytes]) -> str:
    return orjson.dumps([b64encode(one).decode() for one in proof]).decode()
