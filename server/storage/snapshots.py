"""First fill: a bucket as a ready-made SQLite file, with the cursor read in the same transaction as the records.

A tablet attaches the file, copies it in one transaction and pulls from its cursor; there is no hand-over between
snapshot and feed in which a record could be missed or doubled. Files are named by bucket, epoch and head, so a bucket
that did not move is never built twice.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pysqlite3.dbapi2 as sqlite

from server.storage.database import Database
from sync.core.errors import NotFound

_SCHEMA = """
CREATE TABLE snap.meta(key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE snap.states(id TEXT NOT NULL, kind TEXT NOT NULL, rev INTEGER NOT NULL, bytes BLOB NOT NULL,
                         sum INTEGER NOT NULL);
"""
# No key: rows are written in the order of their ids and read once from end to end. WITHOUT ROWID would hold two of
# these rows in a page where three fit, and the file would be three times as large.
_COPY = """
INSERT INTO snap.states SELECT s.record, s.kind, s.rev, s.bytes, s.sum FROM main.feed f JOIN main.states s
ON s.key = f.state WHERE f.bucket = ? AND f.gone IS NULL ORDER BY s.record
"""


class Snapshot(NamedTuple):
    """A built file, its SHA-256 and the cursor from which a reader goes on pulling."""

    path: Path
    digest: bytes
    cursor: str

    @property
    def repr_digest(self) -> str:
        """RFC 9530 `Repr-Digest`."""
        return f"sha-256=:{base64.b64encode(self.digest).decode()}:"


def build(database: Database, folder: Path, bucket: str, epoch: str) -> Snapshot:
    """The snapshot of a bucket as it stands; built when the bucket moved since the last one. Raises NotFound."""
    folder.mkdir(parents=True, exist_ok=True)
    with closing(_connect(database.path)) as conn:
        head = conn.execute("SELECT head, floor FROM buckets WHERE id = ?", (bucket,)).fetchone()
    if head is None:
        raise NotFound(what=bucket)
    name = hashlib.sha256(f"{bucket}\0{epoch}".encode()).hexdigest()[:24]
    ready = folder / f"{name}-{head[0]}.sqlite"
    with _alone(folder / f"{name}.lock"):  # many tablets of one county fill at the same hour
        if not ready.exists():
            _copy(database.path, ready, bucket, epoch)
            for old in folder.glob(f"{name}-*"):
                if old.stem != ready.stem:
                    old.unlink(missing_ok=True)
        return _describe(ready)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _copy(source: Path, target: Path, bucket: str, epoch: str) -> None:
    scratch = target.with_suffix(f".{os.getpid()}.new")
    scratch.unlink(missing_ok=True)
    with closing(_connect(source)) as conn:
        conn.execute("ATTACH ? AS snap", (str(scratch),))
        conn.execute("PRAGMA snap.journal_mode=OFF")  # a scratch file: a crash leaves it to be built again
        conn.execute("PRAGMA snap.synchronous=OFF")
        conn.executescript(_SCHEMA)
        conn.execute("BEGIN")
        key, head, floor, count, total = conn.execute(
            "SELECT key, head, floor, count, sum FROM buckets WHERE id = ?", (bucket,)
        ).fetchone()
        conn.execute(_COPY, (key,))
        facts: dict[str, Any] = {
            "epoch": epoch,
            "bucket": bucket,
            "cursor": f"{head}.{floor}",
            "count": count,
            "checksum": total,
        }
        conn.executemany("INSERT INTO snap.meta VALUES (?, ?)", [(k, str(v)) for k, v in facts.items()])
        conn.execute("COMMIT")
        conn.execute("DETACH snap")
    digest = _digest(scratch)
    scratch.with_suffix(".sha256").write_bytes(digest)
    os.replace(scratch.with_suffix(".sha256"), target.with_suffix(".sha256"))
    os.replace(scratch, target)


def _describe(path: Path) -> Snapshot:
    noted = path.with_suffix(".sha256")
    digest = noted.read_bytes() if noted.exists() else _digest(path)
    with closing(sqlite.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as conn:
        cursor = conn.execute("SELECT value FROM meta WHERE key = 'cursor'").fetchone()[0]
    return Snapshot(path, digest, cursor)


def _digest(path: Path) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _connect(path: Path) -> Any:
    conn = sqlite.connect(str(path), isolation_level=None, timeout=10.0)
    return conn
