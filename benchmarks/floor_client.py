"""The floor's client: the least that a tablet can do with records to send, and with records that come.

It reads lines from a table and marks them sent; it decodes and hashes (SHA-256) what comes and inserts it, one
transaction for each batch or page. Its database has the tablet's pragmas and is encrypted as the tablet's is, or plain
for comparison. Runs as a process that loads nothing of ours, so that its memory is its own:

    python -m benchmarks.floor_client '{"do": "push", "database": …, "server": <process group>}'
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import requests
import zstandard

from benchmarks.meter import Cost, Meter, expect, run_task

LEVEL = 3
PIECE = 1 << 20
NEXT = "Floor-Next"
KEY = bytes(range(32))
PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "temp_store = MEMORY", "cache_size = -16000")

_OUTBOX = "CREATE TABLE outbox(seq INTEGER PRIMARY KEY, body BLOB NOT NULL, sent INTEGER NOT NULL DEFAULT 0)"
_COPY = """CREATE TABLE copy(id TEXT PRIMARY KEY, kind TEXT NOT NULL, rev INTEGER NOT NULL, hash BLOB NOT NULL,
                             body BLOB NOT NULL)"""
_CURSOR = "CREATE TABLE cursor(position INTEGER NOT NULL)"


@contextlib.contextmanager
def opened(path: Path, encrypted: bool) -> Iterator[Any]:
    """The client's connection; each variant loads one SQLite library only."""
    if encrypted:
        from sqlcipher3 import dbapi2 as sqlcipher

        conn = sqlcipher.connect(str(path), isolation_level=None)
        conn.execute(f"PRAGMA key = \"x'{KEY.hex()}'\"")
    else:
        import pysqlite3.dbapi2 as sqlite

        conn = sqlite.connect(str(path), isolation_level=None)
    with contextlib.closing(conn):
        for pragma in PRAGMAS:
            conn.execute(f"PRAGMA {pragma}")
        yield conn


def fill_outbox(conn: Any, contents: Iterable[bytes]) -> None:
    """A new outbox with these lines."""
    conn.execute(_OUTBOX)
    conn.execute("BEGIN")
    conn.executemany("INSERT INTO outbox(body) VALUES (?)", ((content,) for content in contents))
    conn.execute("COMMIT")


def prepare_copy(conn: Any) -> None:
    """Empty tables for what is pulled."""
    conn.execute(_COPY)
    conn.execute(_CURSOR)
    conn.execute("INSERT INTO cursor VALUES (0)")


class Client:
    """The client over an open database. `sent` and `received` count the bytes of bodies on the line."""

    def __init__(self, url: str, conn: Any = None) -> None:
        self.url, self.conn = url, conn
        self.session = requests.Session()
        self.session.trust_env = False
        self.sent = self.received = 0

    def warm_push(self) -> None:
        """Let the worker do once what it did long ago: open its database and take a batch."""
        self._exchange("POST", "/push", zstandard.ZstdCompressor(level=LEVEL).compress(b'{"id":"warm-up"}'))
        self.sent = self.received = 0

    def warm_pull(self) -> None:
        """The same for answering a page."""
        self._exchange("POST", "/pull", orjson.dumps({"after": 0, "limit_bytes": 1}))
        self.sent = self.received = 0

    def push(self, sizes: Sequence[int]) -> int:
        """Push the outbox in batches of these many lines; returns how many went."""
        total = 0
        for size in sizes:
            rows = self.conn.execute(
                "SELECT seq, body FROM outbox WHERE sent = 0 ORDER BY seq LIMIT ?", (size,)
            ).fetchall()
            body = zstandard.ZstdCompressor(level=LEVEL).compress(b"\n".join(row[1] for row in rows))
            taken = orjson.loads(self._exchange("POST", "/push", body).content)["taken"]
            self.conn.execute("BEGIN IMMEDIATE")
            self.conn.execute("UPDATE outbox SET sent = 1 WHERE seq BETWEEN ? AND ?", (rows[0][0], rows[-1][0]))
            self.conn.execute("COMMIT")
            total += taken
        return total

    def pull(self, pages: Sequence[int]) -> int:
        """Pull everything in pages of these many bytes, the last size for all that follow; returns how many came."""
        total, sizes = 0, list(pages)
        while True:
            (position,) = self.conn.execute("SELECT position FROM cursor").fetchone()
            response = self._exchange("POST", "/pull", orjson.dumps({"after": position, "limit_bytes": sizes[0]}))
            page = zstandard.ZstdDecompressor().decompress(response.content)
            if not page:
                return total
            rows = [_row(line) for line in page.split(b"\n")]
            self.conn.execute("BEGIN IMMEDIATE")
            self.conn.executemany("INSERT OR REPLACE INTO copy VALUES (?, ?, ?, ?, ?)", rows)
            self.conn.execute("UPDATE cursor SET position = ?", (int(response.headers[NEXT]),))
            self.conn.execute("COMMIT")
            total, sizes = total + len(rows), sizes[1:] or sizes

    def fill(self, scratch: Path, target: Path) -> int:
        """Download the file into `scratch` and copy it to `target`; returns its size."""
        with self.session.get(f"{self.url}/file", stream=True, timeout=60) as response, open(scratch, "wb") as into:
            response.raise_for_status()
            inflater = zstandard.ZstdDecompressor().decompressobj()
            while piece := response.raw.read(PIECE, decode_content=False):
                self.received += len(piece)
                into.write(inflater.decompress(piece))
        shutil.copyfile(scratch, target)
        with open(target, "rb") as copied:
            os.fsync(copied.fileno())
        return target.stat().st_size

    def _exchange(self, method: str, path: str, body: bytes = b"") -> requests.Response:
        response = self.session.request(method, self.url + path, data=body, timeout=60)
        response.raise_for_status()
        self.sent += len(body)
        self.received += len(response.content)
        return response


def push(task: Mapping[str, Any]) -> Cost:
    with opened(Path(task["database"]), task["encrypted"]) as conn:
        client = Client(task["url"], conn)
        client.warm_push()
        meter = Meter(task["server"])
        taken = client.push(task["sizes"])
        cost = meter.read(client.sent, client.received)
        expect(taken, task["records"], "records taken")
        return cost


def pull(task: Mapping[str, Any]) -> Cost:
    with opened(Path(task["database"]), task["encrypted"]) as conn:
        prepare_copy(conn)
        client = Client(task["url"], conn)
        client.warm_pull()
        meter = Meter(task["server"])
        pulled = client.pull(task["pages"])
        cost = meter.read(client.sent, client.received)
        expect(pulled, task["records"], "records pulled")
        return cost


def fill(task: Mapping[str, Any]) -> Cost:
    client = Client(task["url"])
    client.warm_pull()
    meter = Meter(task["server"])
    client.fill(Path(task["scratch"]), Path(task["target"]))
    return meter.read(client.sent, client.received)


def _row(line: bytes) -> tuple[str, str, int, bytes, bytes]:
    record = orjson.loads(line)
    return record["id"], record["kind"], record["rev"], sha256(line).digest(), line


if __name__ == "__main__":
    run_task({"push": push, "pull": pull, "fill": fill})
