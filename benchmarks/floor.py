"""The least that moving records can cost: a handler and a client without anything that makes Patrolbook what it is.

What it has: HTTP through the same WSGI server, zstd, JSON decoded once on the side that receives, SHA-256 of each line,
SQLite with the pragmas of the server (WAL, synchronous=FULL) and of the tablet (the same, encrypted or, for comparison,
plain), one transaction for each batch or page, and a unique id, because a batch whose answer was lost comes twice.

What it lacks: signatures, chain, log, receipts, rights, checks of values, merging, revisions, buckets, lists. A batch
is acknowledged by its length.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pysqlite3.dbapi2 as sqlite
import requests
import zstandard
from flask import Flask, Response, request

from field_client.platform import database as tablet_database
from server.storage.database import PRAGMAS
from sync.core.batches import Batcher
from sync.core.engine import FIRST_PAGE_BYTES

LEVEL = 3
ROWS = 2000
PIECE = 1 << 20
KEY = bytes(range(32))

_RECORDS = "CREATE TABLE records(seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, hash BLOB NOT NULL, body BLOB NOT NULL)"
_OUTBOX = "CREATE TABLE outbox(seq INTEGER PRIMARY KEY, body BLOB NOT NULL, sent INTEGER NOT NULL DEFAULT 0)"
_COPY = """CREATE TABLE copy(id TEXT PRIMARY KEY, kind TEXT NOT NULL, rev INTEGER NOT NULL, hash BLOB NOT NULL,
                             body BLOB NOT NULL)"""
_CURSOR = "CREATE TABLE cursor(position INTEGER NOT NULL)"
_NEXT = "Floor-Next"


# ---- the server --------------------------------------------------------------------------------------------


def create_app(database: str, file: str = "") -> Flask:
    """The handler over a database that `fill_server` made; `file` is what a download gives."""
    app = Flask(__name__, static_folder=None)
    held = threading.local()

    def connection() -> Any:
        if getattr(held, "owner", None) != os.getpid():
            held.connection, held.owner = _connect_server(Path(database)), os.getpid()
        return held.connection

    @app.get("/ready")
    def ready() -> Response:
        connection().execute("SELECT 1 FROM records LIMIT 1").fetchone()
        return Response(b"")

    @app.post("/push")
    def push() -> Response:
        lines = zstandard.ZstdDecompressor().decompress(request.get_data()).split(b"\n")
        rows = [(orjson.loads(line)["id"], sha256(line).digest(), line) for line in lines]
        conn = connection()
        conn.execute("BEGIN IMMEDIATE")
        conn.executemany("INSERT OR IGNORE INTO records(id, hash, body) VALUES (?, ?, ?)", rows)
        conn.execute("COMMIT")
        return Response(orjson.dumps({"taken": len(rows)}), mimetype="application/json")

    @app.post("/pull")
    def pull() -> Response:
        wanted = orjson.loads(request.get_data())
        position, budget = wanted["after"], wanted["limit_bytes"]
        lines: list[bytes] = []
        while budget > 0:
            rows = _after(connection(), position)
            for seq, body in rows:
                lines.append(body)
                position = seq
                budget -= len(body)
                if budget <= 0:
                    break
            if len(rows) < ROWS:
                break
        packed = zstandard.ZstdCompressor(level=LEVEL).compress(b"\n".join(lines))
        return Response(packed, mimetype="application/x-ndjson", headers={_NEXT: str(position)})

    @app.get("/file")
    def download() -> Response:
        return Response(_packed(Path(file)), mimetype="application/vnd.sqlite3")

    return app


def fill_server(path: Path, records: Iterable[tuple[str, bytes]] = ()) -> None:
    """A new database of the handler with these (id, bytes)."""
    conn = _connect_server(path)
    conn.execute(_RECORDS)
    conn.execute("BEGIN")
    rows = ((id, sha256(body).digest(), body) for id, body in records)
    conn.executemany("INSERT INTO records(id, hash, body) VALUES (?, ?, ?)", rows)
    conn.execute("COMMIT")
    conn.close()


def _connect_server(path: Path) -> Any:
    conn = sqlite.connect(str(path), isolation_level=None, timeout=10.0)
    for pragma in PRAGMAS:
        conn.execute(f"PRAGMA {pragma}")
    return conn


def _after(conn: Any, position: int) -> list[tuple[int, bytes]]:
    wanted = "SELECT seq, body FROM records WHERE seq > ? ORDER BY seq LIMIT ?"
    return conn.execute(wanted, (position, ROWS)).fetchall()  # type: ignore[no-any-return]


def _packed(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        yield from zstandard.ZstdCompressor(level=LEVEL).read_to_iter(file, write_size=PIECE)


# ---- the client --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def client_database(path: Path, encrypted: bool) -> Iterator[Any]:
    """The client's connection: encrypted as the tablet's database is, or plain SQLite with the same pragmas."""
    if encrypted:
        opened = tablet_database.open_existing(path, KEY) if path.exists() else tablet_database.create(path, KEY)
        with contextlib.closing(opened):
            yield opened.connection
        return
    with contextlib.closing(sqlite.connect(str(path), isolation_level=None)) as conn:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "temp_store = MEMORY", "cache_size = -16000"):
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

    def ready(self) -> None:
        """Let the server open its database, as it would have long ago."""
        self._exchange("GET", "/ready")

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

    def pull(self, page_bytes: int) -> int:
        """Pull everything, the first page as small as ours; returns the number of records."""
        total, limit = 0, FIRST_PAGE_BYTES
        while True:
            (position,) = self.conn.execute("SELECT position FROM cursor").fetchone()
            response = self._exchange("POST", "/pull", orjson.dumps({"after": position, "limit_bytes": limit}))
            page = zstandard.ZstdDecompressor().decompress(response.content)
            if not page:
                return total
            rows = [_row(line) for line in page.split(b"\n")]
            self.conn.execute("BEGIN IMMEDIATE")
            self.conn.executemany("INSERT OR REPLACE INTO copy VALUES (?, ?, ?, ?, ?)", rows)
            self.conn.execute("UPDATE cursor SET position = ?", (int(response.headers[_NEXT]),))
            self.conn.execute("COMMIT")
            total, limit = total + len(rows), page_bytes

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


def batch_sizes(sizes: Sequence[int], max_count: int, max_bytes: int) -> list[int]:
    """How many lines of these sizes go at a time when every answer is fast: as the tablet's batcher says."""
    batcher, taken = Batcher(max_count=max_count, max_bytes=max_bytes), list[int]()
    while sum(taken) < len(sizes):
        taken.append(batcher.take(sizes[sum(taken) :]))
        batcher = batcher.answered(taken[-1], 0.0)
    return taken


def _row(line: bytes) -> tuple[str, str, int, bytes, bytes]:
    record = orjson.loads(line)
    return record["id"], record["kind"], record["rev"], sha256(line).digest(), line
