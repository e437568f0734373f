"""Files that are whole or absent: a temporary name in the same folder, fsync, rename, fsync of the folder.

A full disk is the usual way for this to fail, so it is told apart from other trouble and leaves nothing behind.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sync.core.errors import DiskFull

TEMPORARY = ".tmp-"
"""How the names of unfinished files begin; whatever carries it after a crash may be deleted."""


@contextmanager
def disk_full_told(where: Path) -> Iterator[None]:
    """Turn a full disk (or quota) into DiskFull, which names the folder."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(where=where.name) from error
        raise


@contextmanager
def replacing(target: Path, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """A file to write that becomes `target` at the end of the block, or vanishes when the block raises."""
    temporary = target.parent / f"{TEMPORARY}{secrets.token_hex(8)}"
    with disk_full_told(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with open(descriptor, "wb", buffering=0) as file:
                yield file
                os.fsync(descriptor)
            os.rename(temporary, target)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        sync_folder(target.parent)


def write_new(target: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a whole file, replacing what was there in one step."""
    with replacing(target, mode) as file:
        write_all(file.write, content)


def write_all(write: Callable[[bytes | memoryview], int | None], content: bytes) -> None:
    """Write every byte: an unbuffered file may take fewer than it was given."""
    rest = memoryview(content)
    while rest:
        rest = rest[write(rest) :]


def sync_folder(folder: Path) -> None:
    """Make renames and deletions in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
