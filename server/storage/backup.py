"""Backup and restore of a server's data folder.

A backup is a folder: the database as one consistent copy (`VACUUM INTO`), blobs by hash (hard links where the file
system allows, else copies), a manifest with every SHA-256. Keys are left out unless asked for: whoever holds the log
key can sign in the server's name. A restore starts a new **epoch**: tablets notice, offer everything that they kept
again, so no change or blob of theirs that was acknowledged after the backup is lost. What staff did on the server
itself since then (decisions, imports, grants, revocations) is not on any tablet and must be done again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pysqlite3.dbapi2 as sqlite

from schemas.labels import Label
from sync.core.errors import BrokenStore, DigestMismatch, NotFound, Refused

MANIFEST = "manifest.json"

Progress = Callable[[int, int], None]  # done, total


class Backup(NamedTuple):
    """What a backup holds; sizes in bytes."""

    folder: Path
    database: str  # SHA-256
    blobs: int
    size: int


def back_up(data: Path, target: Path, *, with_keys: bool = False, progress: Progress | None = None) -> Backup:
    """Write a backup of a running or stopped server into an empty folder. Raises Refused when it is not empty."""
    if target.exists() and any(target.iterdir()):
        raise Refused(detail=Label(f"{target} 不是空目录", f"{target} is not empty"))
    target.mkdir(parents=True, exist_ok=True)
    copy = target / "patrolbook.db"
    with closing(sqlite.connect(str(data / "patrolbook.db"), isolation_level=None, timeout=60.0)) as conn:
        conn.execute("VACUUM INTO ?", (str(copy),))
    names = sorted((data / "blobs").glob("??/??/" + "[0-9a-f]" * 64))  # not what is still being written
    size = copy.stat().st_size
    for done, blob in enumerate(names, start=1):
        place = target / blob.relative_to(data)
        place.parent.mkdir(parents=True, exist_ok=True)
        _link_or_copy(blob, place)
        size += blob.stat().st_size
        if progress:
            progress(done, len(names))
    if with_keys:
        shutil.copytree(data / "keys", target / "keys")
    digest = _digest(copy)
    (target / MANIFEST).write_text(json.dumps({"v": 1, "database": digest, "blobs": [p.name for p in names]}, indent=1))
    _sync_all(target)
    return Backup(target, digest, len(names), size)


def restore(
    source: Path,
    data: Path,
    *,
    progress: Progress | None = None,
    before_replacing: Callable[[], object] = lambda: None,
) -> Backup:
    """Put a backup in the place of a stopped server's database; what was there is moved aside, never deleted.

    Blobs of the backup are added to those that exist. `before_replacing` is called when all is checked and copied: the
    place to begin a new epoch, since old data under an old epoch is what must never be. Raises NotFound,
    DigestMismatch (the backup was changed) or BrokenStore (its database is damaged).
    """
    manifest = source / MANIFEST
    if not manifest.exists():
        raise NotFound(what=str(manifest))
    body = json.loads(manifest.read_text())
    copy = source / "patrolbook.db"
    if not copy.exists() or _digest(copy) != body["database"]:
        raise DigestMismatch(what=str(copy))
    with closing(sqlite.connect(f"file:{copy}?mode=ro&immutable=1", uri=True)) as conn:
        verdict = conn.execute("PRAGMA quick_check").fetchone()[0]
    if verdict != "ok":
        raise BrokenStore(file=str(copy), detail=verdict)
    size = copy.stat().st_size
    for done, name in enumerate(body["blobs"], start=1):
        relative = Path("blobs") / name[:2] / name[2:4] / name
        if not (data / relative).exists():
            (data / relative).parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(source / relative, data / relative)
        if progress:
            progress(done, len(body["blobs"]))
    if (source / "keys").exists() and not (data / "keys").exists():
        shutil.copytree(source / "keys", data / "keys")
    scratch = data / "patrolbook.db.restored"
    data.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(copy, scratch)
    _sync(scratch)
    if (data / "blobs").exists():
        _sync_all(data / "blobs")
    before_replacing()
    _set_aside(data)
    os.replace(scratch, data / "patrolbook.db")  # the name never disappears: a crash leaves the one or the other
    _sync(data)
    return Backup(source, body["database"], len(body["blobs"]), size)


def _set_aside(data: Path) -> None:
    aside = 1
    while (data / f"replaced-{aside}").exists():
        aside += 1
    place, old = data / f"replaced-{aside}", data / "patrolbook.db"
    if not old.exists():
        return
    place.mkdir()
    with closing(sqlite.connect(str(old), isolation_level=None)) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # so that the file is whole without its log
    for suffix in ("-wal", "-shm"):
        if (data / f"patrolbook.db{suffix}").exists():
            os.replace(data / f"patrolbook.db{suffix}", place / f"patrolbook.db{suffix}")
    os.link(old, place / old.name)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)  # a blob is write-once, so one set of bytes can serve both
    except OSError:
        shutil.copyfile(source, target)


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_all(folder: Path) -> None:
    """Make a whole tree survive a power cut, the folders after what is in them."""
    for path in sorted(folder.rglob("*"), key=lambda one: len(one.parts), reverse=True):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
