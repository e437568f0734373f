"""Files that survive a power cut, and blobs that nobody reads without the vault.

A blob lies at `blobs/ab/<sha256 of the original bytes>`, encrypted:

    header  b"PBBLOB1\\n" ‖ size of the original (8 bytes, big-endian) ‖ nonce (12) ‖ file key, wrapped (48)
    chunk   AES-256-GCM over 1 MiB of the original; the nonce is its number from 0, the last chunk is marked

Every file has a random key of its own, wrapped by the store's key; the wrapping also covers the size and the SHA-256,
so a file that was cut, exchanged for another or renamed is refused, as is a flipped byte. Chunks are independent: a
part of an upload or a range of a video is read without what lies before it.

What an undercover team captured is sealed already, so that this tablet cannot read it: it lies on a shelf of its own,
`blobs/sealed/<sha256 of the sealed bytes>`, as it is, moved there by a rename.

Writing (Litestream, docs/PATTERNS.md, "Atomic File Operations"): temporary name in the same file system, fsync,
rename, fsync of the folder. The row that names a blob is written after it, never before.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from custody.digests import Hasher
from schemas.labels import Label
from sync.core.errors import BrokenFile, DiskFull, EmptyFile, NotFound

CHUNK = 1 << 20
TAG_BYTES = 16
NONCE_BYTES = 12
MAGIC = b"PBBLOB1\n"
HEADER_BYTES = len(MAGIC) + 8 + NONCE_BYTES + 32 + TAG_BYTES

ABANDONED_S = 24 * 3600
"""A temporary file older than this belongs to a program that was killed; a video takes minutes to write, not a day."""

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # full, over quota, above the largest file
_NEW = ".new-"
_SHELF = "sealed"


class Stored(NamedTuple):
    """A blob as named everywhere: SHA-256 in hexadecimal and size in bytes of the original; and its chunk tree."""

    sha256: str
    size: int
    tree: str


class EncryptedFiles:
    """The blobs of one tablet. `key` (32 bytes) wraps the key of each file; the folder is made when needed."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self.folder = folder
        self._wrap = AESGCM(key)

    def add(self, stream: BinaryIO, name: str = "") -> Stored:
        """Store what the stream holds, hashing while writing; on return the bytes are safe against a power cut.

        The same content again replaces the file: that costs nothing more and heals a damaged one.

        :raises EmptyFile: the stream holds no byte (`name` is for the message)
        :raises DiskFull: nothing was kept
        """
        with telling_disk_full(self.folder):
            make_folder(self.folder)
            temporary = self.folder / f"{_NEW}{secrets.token_hex(8)}"
            try:
                stored = self._write(stream, temporary)
                if not stored.size:
                    raise EmptyFile(file=name or Label("内容", "content"))
                target = self.path(stored.sha256)
                make_folder(target.parent)
                os.replace(temporary, target)
                sync_folder(target.parent)
                return stored
            finally:
                temporary.unlink(missing_ok=True)

    def open(self, sha256: str) -> BinaryIO:
        """The original bytes, seekable.

        :raises NotFound: there is no such blob here
        :raises BrokenFile: it is damaged; damage further inside is raised by the read that meets it
        """
        try:
            sealed = open(self.path(sha256), "rb")  # noqa: SIM115 (handed on to the reader, which closes it)
        except FileNotFoundError:
            return self._open_shelved(sha256)
        try:
            size, key = self._read_header(sealed, sha256)
        except BaseException:
            sealed.close()
            raise
        return io.BufferedReader(_Original(sealed, sha256, size, AESGCM(key)), buffer_size=CHUNK)

    def size(self, sha256: str) -> int:
        """The size of the original in bytes; raises as `open`."""
        with self.open(sha256) as original:
            return original.seek(0, io.SEEK_END)

    def has(self, sha256: str) -> bool:
        """Whether the file is there; says nothing about damage."""
        return self.path(sha256).exists() or self._shelved(sha256).exists()

    def delete(self, sha256: str) -> None:
        """Remove the file; it may be gone already."""
        for path in (self.path(sha256), self._shelved(sha256)):
            path.unlink(missing_ok=True)
            if path.parent.exists():
                sync_folder(path.parent)

    def shelve(self, sealed: Path, sha256: str) -> None:
        """Take a sealed file of this file system in by moving it; it may have been moved already.

        :raises NotFound: it is neither there nor here
        """
        target = self._shelved(sha256)
        make_folder(target.parent)
        try:
            os.replace(sealed, target)
        except FileNotFoundError:
            if not target.exists():
                raise _no_blob(sha256) from None
        sync_folder(target.parent)
        if sealed.parent.exists():
            sync_folder(sealed.parent)

    def list(self) -> Iterator[str]:
        """The SHA-256 of every blob here, in no particular order."""
        if not self.folder.exists():
            return
        for shelf in os.scandir(self.folder):  # that of sealed files too
            if shelf.is_dir():
                for file in os.scandir(shelf.path):
                    yield file.name

    def sweep(self, now_s: float) -> None:
        """Remove what programs that were killed while writing left behind; `now_s` is seconds since 1970."""
        before = now_s - ABANDONED_S
        for left in self.folder.glob(f"{_NEW}*"):
            with contextlib.suppress(FileNotFoundError):
                if left.stat().st_mtime < before:
                    left.unlink()

    def path(self, sha256: str) -> Path:
        """Where a blob lies, encrypted; raises NotFound for what is no SHA-256 (and so could be a path)."""
        if len(sha256) != 64 or not all(sign in "0123456789abcdef" for sign in sha256):
            raise _no_blob(sha256)
        return self.folder / sha256[:2] / sha256

    def _shelved(self, sha256: str) -> Path:
        return self.path(sha256).parents[1] / _SHELF / sha256

    def _open_shelved(self, sha256: str) -> BinaryIO:
        try:
            return open(self._shelved(sha256), "rb")
        except FileNotFoundError:
            raise _no_blob(sha256) from None

    def _write(self, stream: BinaryIO, path: Path) -> Stored:
        key = secrets.token_bytes(32)
        cipher, hasher, number = AESGCM(key), Hasher(), 0
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(bytes(HEADER_BYTES))
            chunk = _full_chunk(stream)
            while chunk:
                following = _full_chunk(stream)
                hasher.update(chunk)
                out.write(cipher.encrypt(_nonce(number, last=not following), chunk, None))
                chunk, number = following, number + 1
            nonce = secrets.token_bytes(NONCE_BYTES)
            made = Stored(*hasher.digests())
            head = MAGIC + made.size.to_bytes(8, "big")
            out.seek(0)
            out.write(head + nonce + self._wrap.encrypt(nonce, key, head + bytes.fromhex(made.sha256)))
            out.flush()
            os.fsync(out.fileno())
        return made

    def _read_header(self, sealed: BinaryIO, sha256: str) -> tuple[int, bytes]:
        header = sealed.read(HEADER_BYTES)
        head, nonce = header[: len(MAGIC) + 8], header[len(MAGIC) + 8 : -48]
        size = int.from_bytes(head[len(MAGIC) :], "big")
        whole = HEADER_BYTES + size + TAG_BYTES * -(-size // CHUNK)
        if len(header) != HEADER_BYTES or not head.startswith(MAGIC) or os.fstat(sealed.fileno()).st_size != whole:
            raise _damaged(sha256)
        try:
            return size, self._wrap.decrypt(nonce, header[-48:], head + bytes.fromhex(sha256))
        except InvalidTag:
            raise _damaged(sha256) from None


class _Original(io.RawIOBase):
    """The original bytes behind an encrypted file; holds one chunk in the clear."""

    def __init__(self, sealed: BinaryIO, sha256: str, size: int, cipher: AESGCM) -> None:
        self._sealed, self._sha256, self._size, self._cipher = sealed, sha256, size, cipher
        self._at = 0
        self._number, self._chunk = -1, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("a position before the beginning")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at >= self._size:
            return 0
        number, skip = divmod(self._at, CHUNK)
        part = self._clear(number)[skip : skip + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        self._sealed.close()
        self._chunk = b""
        super().close()

    def _clear(self, number: int) -> bytes:
        if number != self._number:
            self._sealed.seek(HEADER_BYTES + number * (CHUNK + TAG_BYTES))
            last = (number + 1) * CHUNK >= self._size
            try:
                sealed = self._sealed.read(CHUNK + TAG_BYTES)
                self._chunk = self._cipher.decrypt(_nonce(number, last), sealed, None)
            except (InvalidTag, OSError):
                raise _damaged(self._sha256) from None
            self._number = number
        return self._chunk


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter, with those above it, so that it survives a power cut."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
        sync_folder(one.parent)


def replace_file(path: Path, content: bytes) -> None:
    """Write a small private file (0600) whole or not at all, replacing what was there.

    :raises DiskFull: the old file is still there
    """
    temporary = path.with_name(f"{_NEW}{path.name}-{secrets.token_hex(4)}")
    with telling_disk_full(path.parent):
        make_folder(path.parent)
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def destroy_file(path: Path) -> None:
    """Write over a small file, make that last, and remove it; there may be none. On flash memory old bytes may survive."""
    if not path.exists() and not path.is_symlink():
        return
    with contextlib.suppress(OSError), open(os.open(path, os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)), "wb") as out:
        out.write(secrets.token_bytes(os.fstat(out.fileno()).st_size))
        out.flush()
        os.fsync(out.fileno())
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename or removal in the folder survive a power cut; does nothing where folders cannot be opened."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def require_space(folder: Path, needed: int) -> None:
    """Raise DiskFull where fewer than `needed` bytes are free, before work that would fail half-way begins."""
    if shutil.disk_usage(folder).free < needed:
        raise DiskFull(where=str(folder))


@contextlib.contextmanager
def telling_disk_full(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise DiskFull(where=str(folder)) from error
        raise


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(NONCE_BYTES - 1, "big") + bytes([last])


def _full_chunk(stream: BinaryIO) -> bytes:
    """The next chunk; shorter only at the end, however little at a time the stream gives (a pipe, a camera)."""
    chunk = stream.read(CHUNK)
    if not chunk or len(chunk) == CHUNK:
        return chunk
    pieces, length = [chunk], len(chunk)
    while length < CHUNK and (piece := stream.read(CHUNK - length)):
        pieces.append(piece)
        length += len(piece)
    return b"".join(pieces)


def _no_blob(sha256: str) -> NotFound:
    return NotFound(what=Label(f"文件 {sha256[:12]}", f"the file {sha256[:12]}"))


def _damaged(sha256: str) -> BrokenFile:
    detail = Label("平板上的副本已损坏或被改动", "the copy on this tablet is damaged or was changed")
    return BrokenFile(file=sha256[:12], detail=detail)
