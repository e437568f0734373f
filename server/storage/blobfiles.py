"""Blobs as files: parts on their way, and whole blobs that are written once.

    uploads/<upload>/<n>.part       a part whose digest was right, fsynced before it got this name
    blobs/ab/cd/<sha256>            a blob whose SHA-256 was computed from the bytes that were read back, read-only

Which parts have arrived is told by the file names alone: no row can disagree with the disk, and parts do not queue
behind the database's writers.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from schemas.labels import Label
from server.storage.files import TEMPORARY, replacing, sync_folder, write_all
from sync.core.errors import DigestMismatch, InvalidField, NotFound, PartConflict

PIECE = 1 << 20
READ_ONLY = 0o444

_PART = re.compile(r"([1-9]\d{0,4})\.part\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class Hashed(NamedTuple):
    """What a stream held."""

    size: int
    digest: bytes


class BlobFiles:
    """The files of one server. Their names are made of numbers and digests only, never of what a client calls them."""

    def __init__(self, blobs: Path, uploads: Path) -> None:
        self.blobs = blobs
        self.uploads = uploads

    # --- parts ------------------------------------------------------------------------------------------------

    def parts(self, upload: str) -> list[int]:
        """The numbers of the parts that have arrived, lowest first."""
        return sorted(self._part_sizes(upload))

    def put_part(self, upload: str, number: int, length: int, pieces: Iterable[bytes], claimed: bytes) -> None:
        """Store a part of `length` bytes whose SHA-256 is `claimed`. The same bytes again change nothing.

        Raises DigestMismatch (nothing is kept), PartConflict (other bytes have this number), DiskFull.
        """
        target = self._folder(upload) / f"{number}.part"
        if target.exists():
            self._compare(target, number, length, pieces, claimed)
            return
        with replacing(target) as file:
            _expect(_pour(pieces, file), length, claimed, f"part {number}")

    def drop_parts(self, upload: str) -> None:
        """Delete what has arrived of an upload."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self._folder(upload))

    @contextmanager
    def assembling(self, upload: str) -> Iterator[None]:
        """One at a time: a tablet that lost patience asks again while the first request still works."""
        folder = self._folder(upload)
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def assemble(self, upload: str, count: int, sha256: str, size: int) -> None:
        """Join the parts into the blob, which appears only if its bytes, read back, have this SHA-256 and size.

        Raises DigestMismatch and leaves the parts, DiskFull and leaves the parts.
        """
        folder = self._folder(upload)
        expected = bytes.fromhex(sha256)
        target = self.path(sha256)
        parts = [folder / f"{number}.part" for number in range(1, count + 1)]
        if target.exists() and target.stat().st_size == size:
            # From another tablet, or from this one before a crash. The bytes that were sent still have to be right.
            _expect(_pour((piece for part in parts for piece in _read(part)), None), size, expected, sha256)
            return
        self._make_folder(target.parent)
        with replacing(target, READ_ONLY) as file:
            _expect(_pour((piece for part in parts for piece in _read(part)), file), size, expected, sha256)

    # --- blobs ------------------------------------------------------------------------------------------------

    def path(self, sha256: str) -> Path:
        """Where a blob lies, whether it is there or not. Raises NotFound for what is no SHA-256."""
        if not _DIGEST.match(sha256):
            raise NotFound(what=sha256[:64])
        return self.blobs / sha256[:2] / sha256[2:4] / sha256

    def has(self, sha256: str, size: int) -> bool:
        """Whether a file of this size is there; its bytes are not read."""
        try:
            return self.path(sha256).stat().st_size == size
        except FileNotFoundError:
            return False

    def put(self, sha256: str, stream: IO[bytes]) -> int:
        """Store a blob from one stream; returns its size. Raises DigestMismatch (nothing is kept) or DiskFull."""
        target = self.path(sha256)
        self._make_folder(target.parent)
        with replacing(target, READ_ONLY) as file:
            found = _pour(iter(lambda: stream.read(PIECE), b""), file)
            _expect(found, found.size, bytes.fromhex(sha256), sha256)
        return found.size

    def digest_on_disk(self, sha256: str) -> Hashed | None:
        """What the file of a blob really holds, None where there is none."""
        path = self.path(sha256)
        return _pour(_read(path), None) if path.exists() else None

    def part_of_blob(self, sha256: str, offset: int, length: int) -> bytes:
        """The SHA-256 of a piece of a blob: for comparing a part that arrives after the upload was completed."""
        digest = hashlib.sha256()
        with open(self.path(sha256), "rb") as file:
            file.seek(offset)
            while length and (piece := file.read(min(PIECE, length))):
                digest.update(piece)
                length -= len(piece)
        return digest.digest()

    # --- housekeeping -----------------------------------------------------------------------------------------

    def last_touched(self, upload: str) -> int | None:
        """When the newest part arrived, in milliseconds; None where no part has."""
        folder = self._folder(upload)
        times = [(folder / f"{number}.part").stat().st_mtime_ns for number in self._part_sizes(upload)]
        return max(times) // 1_000_000 if times else None

    def folders(self) -> list[str]:
        """The ids of all uploads that have a folder."""
        return sorted(one.name for one in self.uploads.iterdir()) if self.uploads.exists() else []

    def sweep(self, before_ms: int) -> int:
        """Delete files that a crash left unfinished before a time; returns how many."""
        swept = 0
        for root in (self.blobs, self.uploads):
            for file in root.rglob(f"{TEMPORARY}*"):
                with suppress(FileNotFoundError):
                    if file.stat().st_mtime_ns < before_ms * 1_000_000:
                        file.unlink()
                        swept += 1
        return swept

    # --- how it is done ---------------------------------------------------------------------------------------

    def _folder(self, upload: str) -> Path:
        return self.uploads / upload

    def _part_sizes(self, upload: str) -> dict[int, int]:
        try:
            with os.scandir(self._folder(upload)) as found:
                return {int(m[1]): one.stat().st_size for one in found if (m := _PART.match(one.name))}
        except FileNotFoundError:
            return {}

    def _compare(self, target: Path, number: int, length: int, pieces: Iterable[bytes], claimed: bytes) -> None:
        _expect(_pour(pieces, None), length, claimed, f"part {number}")
        if _pour(_read(target), None).digest != claimed:
            raise PartConflict(part=number)

    def _make_folder(self, folder: Path) -> None:
        """Make the two levels below `blobs` durable before anything is put into them."""
        for level in (self.blobs, folder.parent, folder):
            if not level.exists():
                level.mkdir(parents=True, exist_ok=True)
                sync_folder(level.parent)


def _read(path: Path) -> Iterator[bytes]:
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(PIECE):
            yield piece


def _pour(pieces: Iterable[bytes], file: IO[bytes] | None) -> Hashed:
    """Hash the pieces and write them, where there is a file."""
    digest = hashlib.sha256()
    size = 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
        if file is not None:
            write_all(file.write, piece)
    return Hashed(size, digest.digest())


def _expect(found: Hashed, size: int, digest: bytes, what: str) -> None:
    if found.digest != digest:
        raise DigestMismatch(what=what, size=found.size)
    if found.size != size:
        raise InvalidField(
            field=what, detail=Label(f"应为 {size} 字节，收到 {found.size}", f"{size} bytes, not {found.size}")
        )
