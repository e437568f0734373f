"""The encrypted database of a tablet: SQLCipher through sqlite-utils.

    key      32 random bytes, given to SQLCipher as they are (no passphrase, no derivation); who guards them: `keys.py`
    file     WAL, synchronous=FULL: what was answered "saved" survives a power cut
    writers  `Database.writing()`: BEGIN IMMEDIATE, so a second writer waits and never fails half-way

A key that does not belong to the file and a file that is damaged look alike to SQLCipher ("file is not a database").
Beside the file lies `<name>.check`, an HMAC by which the key is known to be right before anything is called damaged; it
says nothing about the key, which is random.

sqlite-utils catches the `OperationalError` of another SQLite binding, so its features that rely on it (`alter=True`,
`create_index(find_unique_name=True)`) must not be used on these connections.
"""

from __future__ import annotations

import contextlib
import hmac
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlite_utils
from sqlcipher3 import dbapi2 as sqlcipher

from field_client.platform.files import sync_folder
from schemas.labels import Label
from sync.core.errors import BrokenStore, DiskFull, Malformed, NotFound, Problem, Unavailable, WrongKey

LEAST_SQLITE = (3, 51, 3)
"""Older WAL code can lose commits or corrupt the file when a checkpoint meets a writer (sqlite.org/wal.html)."""
KEY_BYTES = 32
BUSY_S = 30.0

_CHECK_TAG = b"patrolbook/database-key/v1\0"
_FULL, _READ_ONLY, _IO, _CORRUPT, _CANT_OPEN, _NOT_A_DATABASE, _BUSY, _LOCKED = 13, 8, 10, 11, 14, 26, 5, 6

if sqlcipher.sqlite_version_info < LEAST_SQLITE:
    raise ImportError(f"SQLite {sqlcipher.sqlite_version} in sqlcipher3 is too old: install sqlcipher3 0.6.4 or newer")


class Database:
    """An open database. Each thread opens its own; opening takes a fraction of a millisecond.

    `tables` is the same connection as sqlite-utils sees it.
    """

    def __init__(self, path: Path, connection: Any) -> None:
        self.path = path
        self.connection = connection
        self.tables = sqlite_utils.Database(connection)

    def close(self) -> None:
        self.connection.close()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction: all of it is kept or nothing. Inside another one it becomes part of that.

        :raises DiskFull, BrokenStore: see `translated`
        """
        if self.connection.in_transaction:
            yield
            return
        with self.translated():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
            try:
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Everything read inside belongs to one moment."""
        if self.connection.in_transaction:
            yield
            return
        with self.translated():
            self.connection.execute("BEGIN")
            try:
                yield
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query, as tuples."""
        with self.translated():
            return self.tables.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The first row of a query, or None."""
        with self.translated():
            return self.tables.execute(sql, parameters).fetchone()

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The first column of the first row, or None."""
        found = self.row(sql, parameters)
        return found[0] if found is not None else None

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Execute a statement inside `writing`; returns how many rows it changed."""
        return self.tables.execute(sql, parameters).rowcount

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute a statement for each row, inside `writing`."""
        self.connection.executemany(sql, rows)

    def run_script(self, script: str) -> None:
        """Execute statements that each end with a line, inside `writing`."""
        for statement in filter(None, script.strip("\n; ").split(";\n")):
            self.run(statement)

    def has(self, name: str) -> bool:
        """Whether there is a table or a trigger of this name."""
        return self.value("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)) is not None

    def make(self, name: str, script: str) -> None:
        """Run a script that makes the table `name` and what belongs to it, where it is not there yet.

        Another thread or program may be about to do the same: one makes it, the other waits and finds it.
        """
        if self.has(name):
            return
        with self.writing():
            if not self.has(name):
                self.run_script(script)

    @contextlib.contextmanager
    def attached(self, file: Path, name: str, functions: Mapping[str, Callable[[Any], Any]]) -> Iterator[None]:
        """A plain SQLite file as the schema `name`, trusted with nothing but its rows; with functions of one argument.

        :raises Malformed: it is no such file, or damaged
        """
        for function, compute in functions.items():
            self.connection.create_function(function, 1, compute, deterministic=True)
        self.connection.execute("PRAGMA trusted_schema = OFF")
        try:
            self.connection.execute(f"ATTACH ? AS {name} KEY ''", (str(file),))
            try:
                self.connection.execute(f"SELECT count(*) FROM {name}.sqlite_master").fetchone()
                yield
            finally:
                self.connection.execute(f"DETACH {name}")
        except (sqlcipher.DatabaseError, BrokenStore) as error:
            raise Malformed(detail=f"{file.name}: {error}") from error
        finally:
            self.connection.execute("PRAGMA trusted_schema = ON")

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Turns the engine's errors into problems: DiskFull, BrokenStore, Unavailable (another program writes)."""
        try:
            yield
        except sqlcipher.DatabaseError as error:
            problem = self._problem_of(error)
            if problem is None:
                raise
            raise problem from error

    def _problem_of(self, error: Exception) -> Problem | None:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == _FULL:
            return DiskFull(where=str(self.path.parent))
        if code in (_CORRUPT, _NOT_A_DATABASE, _IO, _CANT_OPEN, _READ_ONLY):
            return BrokenStore(file=self.path.name, detail=str(error))
        if code in (_BUSY, _LOCKED):
            return Unavailable(detail=Label("另一个程序正在写入", "another program is writing"))
        return None


def create(path: Path, key: bytes) -> Database:
    """A new, empty database file. Raises FileExistsError where there is one already."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    _write_check(path, key)
    sync_folder(path.parent)
    return _connect(path, key)


def discard(path: Path) -> None:
    """Remove an unfinished database, so that `create` can make it anew."""
    for one in (path, _check_path(path), *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))):
        one.unlink(missing_ok=True)


def publish(scratch: Path, path: Path) -> None:
    """Give a finished, closed database its name; a crash before that leaves no half-made one under it."""
    os.replace(_check_path(scratch), _check_path(path))
    os.replace(scratch, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def open_existing(path: Path, key: bytes) -> Database:
    """The database that `create` made.

    :raises NotFound: there is no such file
    :raises WrongKey: the key belongs to another file; nothing is wrong with this one
    :raises BrokenStore: damaged, cut short, or empty
    """
    if not path.exists():
        raise NotFound(what=str(path))
    if not key_fits(path, key):
        raise WrongKey(file=path.name)
    if path.stat().st_size == 0:
        raise BrokenStore(file=path.name, detail=Label("文件是空的", "the file is empty"))
    database = _connect(path, key)
    try:
        _refuse_cut_file(database)
    except BaseException:
        database.close()
        raise
    return database


def _connect(path: Path, key: bytes) -> Database:
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes")
    connection = sqlcipher.connect(str(path), timeout=BUSY_S, isolation_level=None)
    try:
        # Not a bound parameter: PRAGMA takes none. Hexadecimal digits cannot break out of the literal.
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        connection.execute("PRAGMA cipher_log_level = NONE")  # it would write page numbers to the terminal
        database = Database(path, connection)
        with database.translated():
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "temp_store = MEMORY", "cache_size = -16000"):
                connection.execute(f"PRAGMA {pragma}").fetchall()
        return database
    except BaseException:
        connection.close()
        raise


def _refuse_cut_file(database: Database) -> None:
    """A file that lost its end is told at once, not when somebody looks at the record that was there."""
    pages = int(database.value("PRAGMA page_count"))
    page_size = int(database.value("PRAGMA page_size"))  # SQLCipher answers it as text
    wal = database.path.with_name(database.path.name + "-wal")
    if wal.exists() and wal.stat().st_size:
        return  # the newest pages are in there, and the file may rightly be shorter
    if database.path.stat().st_size < pages * page_size:
        detail = Label("文件不完整", "the file was cut short")
        raise BrokenStore(file=database.path.name, detail=detail)


def _check_path(path: Path) -> Path:
    return path.with_name(path.name + ".check")


def _check_of(key: bytes) -> bytes:
    return hmac.digest(key, _CHECK_TAG, "sha256")


def _write_check(path: Path, key: bytes) -> None:
    with open(os.open(_check_path(path), os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
        file.write(_check_of(key))
        file.flush()
        os.fsync(file.fileno())


def key_fits(path: Path, key: bytes) -> bool:
    """Whether the key is the file's; where the check is gone, the file itself has to tell."""
    try:
        noted = _check_path(path).read_bytes()
    except FileNotFoundError:
        return True
    return hmac.compare_digest(noted, _check_of(key))
