"""The floor's handler: the least that a server can do with records that arrive, and that are asked for.

What it has: the same WSGI server as ours, zstd, each line decoded once and hashed (SHA-256), SQLite with the server's
pragmas (WAL, synchronous=FULL), one transaction for each batch, and a unique id, because a batch whose answer was lost
comes twice. What it lacks: signatures, chain, log, receipts, rights, checks of values, merging, revisions, buckets,
lists to read from. A batch is acknowledged by its length.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pysqlite3.dbapi2 as sqlite
import zstandard
from flask import Flask, Response, request

LEVEL = 3
ROWS = 2000
PIECE = 1 << 20
NEXT = "Floor-Next"

_TABLE = """CREATE TABLE records(seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, hash BLOB NOT NULL,
                                 body BLOB NOT NULL)"""


def create_app(database: str, pragmas: Sequence[str], file: str = "") -> Flask:
    """The handler over a database that `fill` made; `file` is what a download gives."""
    app = Flask(__name__, static_folder=None)
    held = threading.local()

    def connection() -> Any:
        if getattr(held, "owner", None) != os.getpid():
            held.connection, held.owner = _connect(Path(database), pragmas), os.getpid()
        return held.connection

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
        return Response(packed, mimetype="application/x-ndjson", headers={NEXT: str(position)})

    @app.get("/file")
    def download() -> Response:
        return Response(_packed(Path(file)), mimetype="application/vnd.sqlite3")

    return app


def fill(path: Path, pragmas: Sequence[str], records: Iterable[tuple[str, bytes]] = ()) -> None:
    """A new database of the handler with these (id, bytes)."""
    conn = _connect(path, pragmas)
    conn.execute(_TABLE)
    conn.execute("BEGIN")
    rows = ((id, sha256(body).digest(), body) for id, body in records)
    conn.executemany("INSERT INTO records(id, hash, body) VALUES (?, ?, ?)", rows)
    conn.execute("COMMIT")
    conn.close()


def _connect(path: Path, pragmas: Sequence[str]) -> Any:
    conn = sqlite.connect(str(path), isolation_level=None, timeout=10.0)
    for pragma in pragmas:
        conn.execute(f"PRAGMA {pragma}")
    return conn


def _after(conn: Any, position: int) -> list[tuple[int, bytes]]:
    wanted = "SELECT seq, body FROM records WHERE seq > ? ORDER BY seq LIMIT ?"
    return conn.execute(wanted, (position, ROWS)).fetchall()  # type: ignore[no-any-return]


def _packed(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        yield from zstandard.ZstdCompressor(level=LEVEL).read_to_iter(file, write_size=PIECE)
