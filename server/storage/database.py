"""The database of the server: connections, transactions, and the traps of SQLite under several processes.

* SQLite >= 3.51.3 only: earlier WAL code can corrupt under several processes (sqlite.org, "WAL-reset bug").
* Writers queue on a file lock, then take BEGIN IMMEDIATE: a deferred transaction that reads before it writes fails with
  "database is locked" however long it waits, and SQLite's own waiting is unfair.
* An engine belongs to one process; `Database` opens a new one after a fork.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pysqlite3.dbapi2 as sqlite
from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from sync.core.errors import BrokenStore, DiskFull, Overloaded

OLDEST_SQLITE = (3, 51, 3)
PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",  # NORMAL may lose the last commits on power loss, and those were acknowledged
    "busy_timeout=10000",
    "foreign_keys=ON",
    "trusted_schema=OFF",
    "cache_size=-65536",
    "temp_store=MEMORY",
    "journal_size_limit=67108864",
    "wal_autocheckpoint=8000",  # pages: a checkpoint per batch would sync twice as often as the commits need
)


class Database:
    """Connections to one database file. `read` sees one snapshot; `write` is one transaction, queued fairly."""

    def __init__(self, path: Path) -> None:
        if sqlite.sqlite_version_info < OLDEST_SQLITE:
            raise RuntimeError(f"SQLite {sqlite.sqlite_version} is too old: {OLDEST_SQLITE} or newer is needed")
        self.path = path
        self._engine: Engine | None = None
        self._owner = 0

    @property
    def engine(self) -> Engine:
        if self._engine is None or self._owner != os.getpid():
            self._engine = _open(self.path)
            self._owner = os.getpid()
        return self._engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent snapshot; whatever is written meanwhile is not seen."""
        with _translated(self.path), self.engine.connect() as conn, conn.begin():
            yield conn

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, committed at the end and rolled back on any exception."""
        with (
            _translated(self.path),
            _queue(self.path.with_suffix(".lock")),
            self.engine.connect().execution_options(writing=True) as conn,
            conn.begin(),
        ):
            yield conn

    def close(self) -> None:
        if self._engine is not None and self._owner == os.getpid():
            self._engine.dispose()
        self._engine = None


class Bulk:
    """One prepared INSERT for many rows of tuples, in the order of the named columns.

    SQLAlchemy compiles the statement once for the dialect in use; the rows go to the driver as they are, because its
    per-row parameter processing would cost more than SQLite itself. Where a row with the same `conflict` columns is there, its
    other columns are replaced, or become what `joined` makes of the new row.
    """

    def __init__(
        self,
        table: Table,
        columns: Sequence[str],
        *,
        conflict: Sequence[str] = (),
        ignore: bool = False,
        joined: Callable[[Any], dict[str, Any]] | None = None,
    ) -> None:
        self.table, self.columns, self.conflict, self.ignore = table, tuple(columns), tuple(conflict), ignore
        self._joined = joined or self._replaced
        self._compiled: dict[str, str] = {}

    def __call__(self, conn: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            conn.exec_driver_sql(self._sql(conn), rows if len(rows) > 1 else rows[0])

    def _sql(self, conn: Connection) -> str:
        name = conn.dialect.name
        if name not in self._compiled:
            insert = (postgresql if name == "postgresql" else sqlite_dialect).insert(self.table)
            statement: Any = insert.values(dict.fromkeys(self.columns))
            if self.ignore:
                statement = statement.on_conflict_do_nothing()
            elif self.conflict:
                updated = self._joined(insert.excluded)
                statement = statement.on_conflict_do_update(index_elements=list(self.conflict), set_=updated)
            self._compiled[name] = str(statement.compile(dialect=conn.dialect, column_keys=list(self.columns)))
        return self._compiled[name]

    def _replaced(self, new: Any) -> dict[str, Any]:
        return {c: new[c] for c in self.columns if c not in self.conflict}


def _open(path: Path) -> Engine:
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        f"sqlite+pysqlite:///{path}",
        module=sqlite,
        poolclass=QueuePool,
        pool_size=16,
        max_overflow=48,
        connect_args={"check_same_thread": False, "timeout": 10.0},
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, record: object) -> None:
        connection.isolation_level = None  # transactions are begun by us, not guessed by the driver
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(conn: Connection) -> None:
        conn.exec_driver_sql("BEGIN IMMEDIATE" if conn.get_execution_options().get("writing") else "BEGIN")

    return engine


@contextmanager
def _queue(lock: Path) -> Iterator[None]:
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        text = str(error.orig)
        if "full" in text or "disk I/O error" in text:
            raise DiskFull(where=path.parent.name) from error
        if "database is locked" in text or "database table is locked" in text:
            raise Overloaded(retry_after=2) from error
        if "malformed" in text or "not a database" in text:
            raise BrokenStore(file=path.name, detail=text) from error
        raise


Clock = Callable[[], int]  # milliseconds since 1970-01-01 UTC

__all__ = ["Bulk", "Clock", "Connection", "Database"]
