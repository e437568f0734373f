"""What a witness keeps: its key, the logs that it was told of, and the newest checkpoint that it cosigned of each.

    witness.key   name and private seed, readable by the owner only; made once
    witness.db    SQLite: logs, newest checkpoints, and submissions that contradict them

A checkpoint is on the disk, and its transaction committed and synced, before the signature exists: a witness that loses
its power never cosigns two trees of one log. For the same reason `witness.db` must never be put back from a backup; a
witness that lost it begins anew with another key.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.labels import Label
from sync.core.errors import DiskFull, Malformed, NotFound, NotReady, Refused
from sync.core.note import (
    Checkpoint,
    SignatureType,
    Verifier,
    checkpoint_body,
    cosignature_line,
)
from sync.core.witnessing import Answer, Judgement, judge, origin_of, read_submission

KEY, STATE = "witness.key", "witness.db"
MOST_KEPT = 200
"""Contradicting submissions kept of one log: the first prove as much as all."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS logs(origin TEXT NOT NULL, key BLOB NOT NULL, PRIMARY KEY (origin, key)) STRICT;
CREATE TABLE IF NOT EXISTS newest(
    origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL, at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS doubts(
    id INTEGER PRIMARY KEY, origin TEXT NOT NULL, at INTEGER NOT NULL, forked INTEGER NOT NULL, submission BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS restarts(
    id INTEGER PRIMARY KEY, origin TEXT NOT NULL, at INTEGER NOT NULL, note TEXT NOT NULL, reason TEXT NOT NULL
) STRICT;
"""


class Reply(NamedTuple):
    """What goes back: the status, the cosignature of `COSIGNED`, the size that is known in a `CONFLICT`."""

    answer: Answer
    line: str = ""
    known: int = 0


class Watched(NamedTuple):
    """A log that is watched: its keys, what was cosigned last and when (seconds), and how many doubts there are.

    forks  submissions that its key signed and that contradict what was cosigned: each proves a fork
    """

    origin: str
    keys: tuple[Verifier, ...]
    newest: Checkpoint | None
    at: int | None
    doubts: int
    forks: int


class Restart(NamedTuple):
    """A log that began anew with the knowledge of this witness: the last note of what was given up, and why."""

    origin: str
    at: int
    note: str
    reason: str


class Doubt(NamedTuple):
    """A submission that the log's key signed and that was not cosigned, as it came. `at` in seconds."""

    origin: str
    at: int
    forked: bool
    submission: bytes


class Book:
    """A witness's state in its folder; may be used by several threads and processes at once.

    :raises NotReady: there is none in that folder, or others can read its key
    """

    def __init__(self, home: Path, now: Callable[[], int]) -> None:
        self.home = home
        self._now = now
        self.name, self._seed = _read_key(home / KEY)

    @classmethod
    def create(cls, home: Path, name: str, now: Callable[[], int]) -> Book:
        """A new witness with a new key.

        :raises Refused: there is one already, or no note can carry the name
        """
        seed = secrets.token_bytes(32)
        try:
            Verifier(name, _public(seed), SignatureType.COSIGNATURE)
        except ValueError as error:
            detail = Label("名称不能含空白或加号", "a name has no spaces and no plus sign")
            raise Refused(detail=detail) from error
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (home / KEY).exists() or (home / STATE).exists():
            raise Refused(
                detail=Label(f"{home} 中已有见证，不会覆盖", f"{home} holds a witness, which is not replaced")
            )
        with _opened(home / STATE) as state:
            state.executescript(_SCHEMA)
        _write_key(home / KEY, name, seed)
        return cls(home, now)

    @property
    def verifier(self) -> Verifier:
        """By which others know its cosignatures."""
        return Verifier(self.name, _public(self._seed), SignatureType.COSIGNATURE)

    def add_log(self, key: Verifier) -> None:
        """Watch a log from now on; a second key of one log is for the time in which it changes keys.

        :raises Refused: a key that signs no checkpoints
        """
        if key.type is not SignatureType.ED25519:
            raise Refused(detail=Label("这是见证的公钥，不是日志的", "it is the key of a witness and not of a log"))
        with self._writing() as state:
            state.execute("INSERT OR IGNORE INTO logs VALUES (?, ?)", (key.name, key.public_key))

    def watched(self) -> list[Watched]:
        """Every log, by name."""
        with self._opened() as state:
            found: dict[str, list[Verifier]] = {}
            for origin, key in state.execute("SELECT origin, key FROM logs ORDER BY origin, key"):
                found.setdefault(origin, []).append(Verifier(origin, key))
            return [self._watched(state, origin, tuple(keys)) for origin, keys in found.items()]

    def doubts(self) -> list[Doubt]:
        """Everything that was kept as a contradiction, the oldest first."""
        with self._opened() as state:
            rows = state.execute("SELECT origin, at, forked, submission FROM doubts ORDER BY id")
            return [Doubt(origin, at, bool(forked), submission) for origin, at, forked, submission in rows]

    def restart(self, origin: str, reason: str) -> Restart:
        """Forget the newest checkpoint of a log that had to be put back from a backup, and keep that for good.

        :raises NotFound: nothing was cosigned of such a log
        """
        with self._writing() as state:
            row = state.execute("SELECT note FROM newest WHERE origin = ?", (origin,)).fetchone()
            if row is None:
                raise NotFound(what=origin)
            made = Restart(origin, self._now(), row[0], reason)
            state.execute("INSERT INTO restarts(origin, at, note, reason) VALUES (?, ?, ?, ?)", made)
            state.execute("DELETE FROM newest WHERE origin = ?", (origin,))
        return made

    def restarts(self) -> list[Restart]:
        """Every restart, the oldest first."""
        with self._opened() as state:
            return [Restart(*row) for row in state.execute("SELECT origin, at, note, reason FROM restarts ORDER BY id")]

    def add_checkpoint(self, body: bytes) -> Reply:
        """Judge a submission and cosign it, or not.

        :raises DiskFull: it cannot be stored, so nothing was signed
        """
        try:
            submission = read_submission(body)
        except Malformed:
            return Reply(Answer.MALFORMED)
        origin = origin_of(submission.note)
        with self._writing() as state:
            keys = [
                Verifier(origin, key) for (key,) in state.execute("SELECT key FROM logs WHERE origin = ?", (origin,))
            ]
            known = _newest(state, origin)
            found = judge(submission, known, keys)
            if found.answer is Answer.COSIGNED and found.checkpoint is not None:
                seen, at = found.checkpoint, self._now()
                state.execute(
                    "INSERT OR REPLACE INTO newest VALUES (?, ?, ?, ?, ?)",
                    (origin, seen.size, seen.root, submission.note, at),
                )
            elif found.forked or found.answer is Answer.NOT_PROVEN:
                self._doubt(state, origin, found, body)
        # Stored and synced by now, or an exception went past.
        if found.answer is not Answer.COSIGNED:
            return Reply(found.answer, known=known.size if known is not None else 0)
        return Reply(found.answer, cosignature_line(checkpoint_body(seen), self.name, self._seed, at))

    def _doubt(self, state: sqlite3.Connection, origin: str, found: Judgement, body: bytes) -> None:
        (count,) = state.execute(
            "SELECT count(*) FROM doubts WHERE origin = ? AND forked = ?", (origin, found.forked)
        ).fetchone()
        if count < MOST_KEPT:
            state.execute(
                "INSERT INTO doubts(origin, at, forked, submission) VALUES (?, ?, ?, ?)",
                (origin, self._now(), found.forked, body),
            )

    def _watched(self, state: sqlite3.Connection, origin: str, keys: tuple[Verifier, ...]) -> Watched:
        row = state.execute("SELECT at FROM newest WHERE origin = ?", (origin,)).fetchone()
        counts = state.execute(
            "SELECT count(*), coalesce(sum(forked), 0) FROM doubts WHERE origin = ?", (origin,)
        ).fetchone()
        return Watched(origin, keys, _newest(state, origin), row[0] if row else None, *counts)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with _opened(self.home / STATE) as state:
            yield state

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that no other thread or process can come between; on the disk when the block is left."""
        try:
            with self._opened() as state:
                state.execute("BEGIN IMMEDIATE")
                try:
                    yield state
                    state.execute("COMMIT")
                except BaseException:
                    if state.in_transaction:
                        state.execute("ROLLBACK")
                    raise
        except sqlite3.Error as error:
            raise DiskFull(where=STATE) from error


def _newest(state: sqlite3.Connection, origin: str) -> Checkpoint | None:
    row = state.execute("SELECT origin, size, root FROM newest WHERE origin = ?", (origin,)).fetchone()
    return Checkpoint(*row) if row else None


@contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file, timeout=10, isolation_level=None)) as state:
        state.execute("PRAGMA journal_mode = DELETE")
        state.execute("PRAGMA synchronous = EXTRA")  # a committed checkpoint survives the power going out
        yield state


def _read_key(file: Path) -> tuple[str, bytes]:
    start = Label("启动见证", "start the witness")
    try:
        if stat.S_IMODE(file.stat().st_mode) & 0o077 and os.name == "posix":
            detail = Label(f"{file} 可被他人读取，请执行 chmod 600", f"{file} is readable by others: chmod 600")
            raise NotReady(action=start, detail=detail)
        body = orjson.loads(file.read_bytes())
        return str(body["name"]), b64decode(body["seed"], validate=True)
    except FileNotFoundError as error:
        detail = Label(f"{file.parent} 中还没有见证，请先 init", f"{file.parent} holds no witness yet: run init")
        raise NotReady(action=start, detail=detail) from error
    except (ValueError, KeyError, TypeError) as error:
        raise NotReady(action=start, detail=Label(f"{file} 已损坏", f"{file} is damaged")) from error


def _write_key(file: Path, name: str, seed: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as out:
        out.write(orjson.dumps({"name": name, "seed": b64encode(seed).decode()}))
        out.flush()
        os.fsync(out.fileno())


def _public(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
