"""Nonces of signed requests, so that one that was overheard cannot be sent again.

A database of its own, because losing it costs nothing but a replay within minutes of a power cut: it does not wait for
the disk, and a request that only reads does not queue behind a push. All workers share the file.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pysqlite3.dbapi2 as sqlite

_FORGET_EVERY = 1000


class Nonces:
    """The nonces seen within the window of `keep_ms`."""

    def __init__(self, file: Path, keep_ms: int) -> None:
        self._file = file
        self._keep_ms = keep_ms
        self._lock = threading.Lock()
        self._owner = 0
        self._seen = 0

    def fresh(self, device: str, nonce: str, now: int) -> bool:
        """Remember a nonce; False where the device used it before."""
        with self._lock:
            conn = self._connection()
            self._seen += 1
            if self._seen % _FORGET_EVERY == 1:
                conn.execute("DELETE FROM nonces WHERE at < ?", (now - self._keep_ms,))
            row = (device, bytes.fromhex(nonce), now)
            return bool(conn.execute("INSERT OR IGNORE INTO nonces VALUES (?, ?, ?)", row).rowcount == 1)

    def _connection(self) -> sqlite.Connection:
        if self._owner != os.getpid():  # a connection must not be carried over a fork
            self._conn = self._open()
            self._owner = os.getpid()
        return self._conn

    def _open(self) -> sqlite.Connection:
        try:
            return _connect(self._file)
        except sqlite.DatabaseError as error:
            if "malformed" not in str(error) and "not a database" not in str(error):
                raise
            for end in ("", "-wal", "-shm"):
                self._file.with_name(self._file.name + end).unlink(missing_ok=True)
            return _connect(self._file)


def _connect(file: Path) -> sqlite.Connection:
    conn = sqlite.connect(file, isolation_level=None, check_same_thread=False, timeout=10.0)
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("PRAGMA synchronous=OFF")
    conn.execute(
        "CREATE TABLE IF NOT EXISTS nonces"
        " (device TEXT, nonce BLOB, at INTEGER, PRIMARY KEY (device, nonce)) WITHOUT ROWID"
    )
    return conn
