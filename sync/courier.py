"""A courier: one signed file that carries changes and blobs where no network goes.

A courier is a ZIP file whose members are stored, not compressed:

    changes.ndjson   two lines a change: its envelope {"leaf"?,"n","prev","replica","sig"}, then its exact content
    blobs/<sha256>   the original bytes
    manifest.json    canonical JSON: who made it and when, every member with size and SHA-256, what the blobs are, and
                     what could not be read
    manifest.sig     Ed25519 of the device over "patrolbook/courier/v1\\0" ‖ manifest.json

A member that the manifest does not list is as wrong as one that is missing. Every change is signed by the device that
made the courier. Taking the same courier twice changes nothing: changes are known by id and hash, blobs by SHA-256.

With a passphrase the courier travels inside another ZIP of two age files (age-encryption.org/v1), which the `age`
program opens without this one: `key.age` is an X25519 identity locked by the passphrase, `courier.age` the courier for
that identity. So a courier of any size is encrypted as a stream and never lies anywhere in the clear.

The reader trusts nothing: no other member name than these (so no path, `..` or link), no compression (so no ratio), no
repeated or overlapping members, at most 10,000 of them, bounded lines.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import io
import os
import re
import stat
import struct
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, NamedTuple, Protocol

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas.labels import Label
from sync.core.change import LARGEST_CHANGE, Change, Link, canonical, signature_input
from sync.core.errors import BadCourier, DiskFull, Problem, Refused, TooLarge
from sync.passphrases import unlocked

VERSION = 1
TAG = b"patrolbook/courier/v1\0"
MOST_MEMBERS = 10_000
MOST_BLOBS = MOST_MEMBERS - 3
LARGEST_MANIFEST = 16 << 20
LARGEST_DIRECTORY = 4 << 20

CHANGES = "changes.ndjson"
MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
KEY_FILE = "key.age"
BODY_FILE = "courier.age"

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_BLOB = re.compile(r"blobs/([0-9a-f]{64})\Z")
_COPY = 1 << 20


class Carried(NamedTuple):
    """A change with its envelope: its place in its replica's chain and the device's signature.

    leaf   its index in the server's log where the server had acknowledged it; -1 where it had not
    """

    change: Change
    link: Link
    leaf: int = -1


class Parcel(NamedTuple):
    """A blob and what is known about it: as in `sync.peer.BlobOffer`, and the records that it belongs to."""

    sha256: str
    mime: str
    role: str
    name: str
    records: tuple[str, ...]


class Maker(NamedTuple):
    """The device that makes a courier: its id, its 32-byte public key, and how it signs."""

    device: str
    key: bytes
    sign: Callable[[bytes], bytes]


class Lost(NamedTuple):
    """Something that should have been carried and could not be read."""

    what: str
    detail: str


@dataclass(frozen=True)
class Manifest:
    """What a courier says about itself. `made` is milliseconds since 1970; `members` is name → (size, SHA-256)."""

    device: str
    key: bytes
    made: int
    changes: int
    members: dict[str, tuple[int, str]]
    parcels: tuple[Parcel, ...] = ()
    lost: tuple[Lost, ...] = ()

    def dump(self) -> bytes:
        return canonical(
            {
                "blobs": [[*one[:4], list(one.records)] for one in self.parcels],
                "changes": self.changes,
                "device": self.device,
                "key": base64.b64encode(self.key).decode("ascii"),
                "lost": [list(one) for one in self.lost],
                "made": self.made,
                "members": [[name, size, digest] for name, (size, digest) in sorted(self.members.items())],
                "v": VERSION,
            }
        )


class Taker(Protocol):
    """What takes a courier in. Everything may come twice."""

    def has_blob(self, sha256: str) -> bool:
        """Whether the blob is here, so that its bytes need not be read again."""

    def take_blob(self, parcel: Parcel, stream: BinaryIO) -> None:
        """Store a blob. Reading to its end raises BadCourier where the bytes are wrong: then keep nothing of it."""

    def take_changes(self, carried: list[Carried]) -> int:
        """Store changes with their envelopes, in one transaction; returns how many were not known before."""


class Taken(NamedTuple):
    """What came of taking a courier: new and already known."""

    changes: int
    known_changes: int
    blobs: int
    known_blobs: int


# --- making ----------------------------------------------------------------------------------------------------------


def write(
    out: BinaryIO,
    maker: Maker,
    made: int,
    changes: Iterable[Carried],
    parcels: Iterable[Parcel],
    open_blob: Callable[[str], BinaryIO],
    lost: Iterable[Lost] = (),
) -> Manifest:
    """Write a courier to `out`, which need not be seekable, and return its manifest.

    A blob that cannot be read is listed as lost, and the rest goes on. `lost` is read last, so it may name what turned
    up while `changes` and `parcels` were read.

    :raises TooLarge: more than `MOST_BLOBS` blobs; use several couriers
    """
    members: dict[str, tuple[int, str]] = {}
    packed: dict[str, Parcel] = {}
    unread: list[Lost] = []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        count, members[CHANGES] = _write_changes(archive, changes)
        for parcel in parcels:
            name = f"blobs/{parcel.sha256}"
            if name in members:
                continue
            if len(packed) == MOST_BLOBS:
                raise TooLarge(limit=MOST_BLOBS)
            if problem := _unreadable(parcel.sha256, open_blob):
                unread.append(Lost(f"blob {parcel.sha256}", problem))
                continue
            with open_blob(parcel.sha256) as original:
                members[name] = _copy(original, archive, name)
            packed[parcel.sha256] = parcel
        manifest = Manifest(maker.device, maker.key, made, count, members, tuple(packed.values()), (*lost, *unread))
        content = manifest.dump()
        archive.writestr(_member(MANIFEST), content)
        archive.writestr(_member(SIGNATURE), maker.sign(TAG + content))
    return manifest


def _write_changes(archive: zipfile.ZipFile, changes: Iterable[Carried]) -> tuple[int, tuple[int, str]]:
    count, size, digest = 0, 0, hashlib.sha256()
    with archive.open(_member(CHANGES), "w", force_zip64=True) as out:
        for change, link, leaf in changes:
            envelope = {
                **({"leaf": leaf} if leaf >= 0 else {}),
                "n": link.n,
                "prev": link.prev,
                "replica": link.replica,
                "sig": base64.b64encode(link.signature).decode("ascii"),
            }
            lines = canonical(envelope) + b"\n" + change.content + b"\n"
            digest.update(lines)
            out.write(lines)
            count, size = count + 1, size + len(lines)
    return count, (size, digest.hexdigest())


def _unreadable(sha256: str, open_blob: Callable[[str], BinaryIO]) -> str:
    """Why a blob cannot be carried, empty where it can. A member once begun cannot be taken back, so look first."""
    try:
        with open_blob(sha256) as original:
            digest = hashlib.sha256()
            while piece := original.read(_COPY):
                digest.update(piece)
    except (Problem, OSError) as error:
        return str(error)
    return "" if digest.hexdigest() == sha256 else "its bytes are not those of its name"


def _copy(source: BinaryIO, archive: zipfile.ZipFile, name: str) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    with archive.open(_member(name), "w", force_zip64=True) as out:
        while piece := source.read(_COPY):
            digest.update(piece)
            out.write(piece)
            size += len(piece)
    return size, digest.hexdigest()


def _member(name: str) -> zipfile.ZipInfo:
    """A member without a date: the manifest says when the courier was made, once."""
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFREG | 0o600) << 16
    return info


# --- reading ---------------------------------------------------------------------------------------------------------


class Courier:
    """A courier that was opened and whose manifest, signature and list of changes hold. Blobs are checked when read."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest, name: str) -> None:
        self._archive = archive
        self.manifest = manifest
        self.name = name

    @classmethod
    def read(cls, file: BinaryIO, name: str = "", key: bytes | None = None) -> Courier:
        """Open a courier from a seekable file. `key` is the device's public key where the reader knows it; without
        it the signature proves only that nothing changed since somebody made the file.

        :raises BadCourier: anything is not as the module says; `name` is for the message
        """
        _check_directory(file, name)
        try:
            archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise BadCourier(file=name, detail=str(error)) from error
        sizes = _check_members(archive, name)
        manifest = _read_manifest(archive, sizes, name)
        if key is not None and key != manifest.key:
            raise _bad(name, "签名的设备不是所称的设备", "signed by another device than it names")
        courier = cls(archive, manifest, name)
        with courier._open(CHANGES) as lines:  # the digest first: what is not whole is not looked into
            while lines.read(_COPY):
                pass
        return courier

    def changes(self) -> Iterator[Carried]:
        """Every change with its envelope, in the order of the file, its signature verified.

        :raises BadCourier: a line that is no envelope, content that is no change, or a change that the device did not
            sign
        """
        key = Ed25519PublicKey.from_public_bytes(self.manifest.key)
        with self._open(CHANGES) as member:
            lines = io.BufferedReader(member, buffer_size=_COPY)
            for _ in range(self.manifest.changes):
                link, leaf = self._envelope(lines.readline(LARGEST_CHANGE + 1))
                content = lines.readline(LARGEST_CHANGE + 2)
                try:
                    change = Change.read(content.removesuffix(b"\n"))
                    key.verify(link.signature, signature_input(link.chain(change.hash)))
                except Problem as problem:
                    raise BadCourier(file=self.name, detail=str(problem)) from problem
                except InvalidSignature:
                    raise _bad(self.name, "有变更不是该设备签名的", "a change was not signed by the device") from None
                yield Carried(change, link, leaf)
            if lines.read(1):
                raise _bad(self.name, "变更多于清单所列", "it holds more changes than it lists")

    def open_blob(self, sha256: str) -> BinaryIO:
        """The bytes of a blob as a stream; the read that reaches the end raises BadCourier where they are wrong."""
        return io.BufferedReader(self._open(f"blobs/{sha256}"), buffer_size=_COPY)

    def _open(self, name: str) -> _Checked:
        size, digest = self.manifest.members[name]
        try:
            return _Checked(self._archive.open(name), size, digest, self.name)
        except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
            raise BadCourier(file=self.name, detail=str(error)) from error

    def _envelope(self, line: bytes) -> tuple[Link, int]:
        try:
            body = orjson.loads(line)
            leaf = body.get("leaf", -1)
            link = Link(body["replica"], body["n"], body["prev"], base64.b64decode(body["sig"], validate=True))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadCourier(file=self.name, detail=f"an envelope: {error}") from error
        numbers = type(link.n) is int and link.n > 0 and type(leaf) is int
        texts = type(link.replica) is str and type(link.prev) is str and _DIGEST.match(link.prev)
        if not numbers or not texts or len(link.signature) != 64:
            raise _bad(self.name, "变更的签名信息不完整", "an envelope is not whole")
        return link, leaf


def take(courier: Courier, taker: Taker, batch: int = 500) -> Taken:
    """Store what a courier carries: blobs first, so that no change names bytes that are not here yet.

    :raises BadCourier: damaged further inside; what was taken before is whole and stays
    """
    blobs = known_blobs = changes = known_changes = 0
    for parcel in courier.manifest.parcels:
        if taker.has_blob(parcel.sha256):
            known_blobs += 1
            continue
        with courier.open_blob(parcel.sha256) as stream:
            taker.take_blob(parcel, stream)
        blobs += 1
    for group in _batches(courier.changes(), batch):
        new = taker.take_changes(group)
        changes, known_changes = changes + new, known_changes + len(group) - new
    return Taken(changes, known_changes, blobs, known_blobs)


def _batches(carried: Iterable[Carried], size: int) -> Iterator[list[Carried]]:
    group: list[Carried] = []
    for one in carried:
        group.append(one)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


class _Checked(io.RawIOBase):
    """A member whose size and digest are compared when its end is read."""

    def __init__(self, member: IO[bytes], size: int, digest: str, name: str) -> None:
        self._member, self._left, self._expected, self._name = member, size, digest, name
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            piece = self._member.read(len(buffer))
        except (zipfile.BadZipFile, OSError, EOFError) as error:
            raise BadCourier(file=self._name, detail=str(error)) from error
        self._digest.update(piece)
        self._left -= len(piece)
        ended = not piece or not self._left
        if self._left < 0 or (ended and (self._left or self._digest.hexdigest() != self._expected)):
            raise _bad(self._name, "内容与清单的校验值不符", "a member does not match its digest")
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._member.close()
        super().close()


def _check_directory(file: BinaryIO, name: str) -> None:
    """Look at the end record (and its ZIP64 form) before `zipfile` loads the directory that it promises."""
    length = file.seek(0, io.SEEK_END)
    file.seek(max(0, length - 42))
    tail = file.read(42)
    if len(tail) < 22 or tail[-22:-18] != b"PK\x05\x06" or tail[-2:] != b"\0\0":
        raise _bad(name, "不是携行文件，或没有写完", "not a courier, or not written to its end")
    count, size = struct.unpack("<HL", tail[-12:-6])
    if tail[:4] == b"PK\x06\x07":
        file.seek(min(length, struct.unpack("<Q", tail[8:16])[0]))
        record = file.read(56)
        if len(record) < 56 or record[:4] != b"PK\x06\x06":
            raise _bad(name, "目录损坏", "its directory is damaged")
        count, size = struct.unpack("<QQ", record[32:48])
    if count > MOST_MEMBERS or size > LARGEST_DIRECTORY:
        raise _bad(name, f"超过 {MOST_MEMBERS} 个成员", f"more than {MOST_MEMBERS} members")
    file.seek(0)


def _check_members(archive: zipfile.ZipFile, name: str) -> dict[str, int]:
    """Name → size of the members; refuses every form that this program does not write."""
    sizes: dict[str, int] = {}
    end = 0
    for info in sorted(archive.infolist(), key=lambda one: one.header_offset):
        if info.filename not in (CHANGES, MANIFEST, SIGNATURE) and not _BLOB.match(info.filename):
            raise _bad(name, "含有不认识的成员", "it holds a member of another name")
        if info.filename in sizes:
            raise _bad(name, "成员重复", "a member appears twice")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG) or info.flag_bits & 0x1:
            raise _bad(name, "成员不是普通文件", "a member is a link, a folder or encrypted")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise _bad(name, "成员被压缩", "a member is compressed")
        if info.header_offset < end:
            raise _bad(name, "成员互相重叠", "members overlap")
        end = info.header_offset + info.compress_size
        sizes[info.filename] = info.file_size
    return sizes


def _read_manifest(archive: zipfile.ZipFile, sizes: dict[str, int], name: str) -> Manifest:
    if not 0 < sizes.get(MANIFEST, 0) <= LARGEST_MANIFEST or sizes.get(SIGNATURE) != 64:
        raise _bad(name, "没有清单或签名", "it has no manifest or no signature")
    try:
        content, signature = archive.read(MANIFEST), archive.read(SIGNATURE)
        body = orjson.loads(content)
        manifest = Manifest(
            body["device"],
            base64.b64decode(body["key"], validate=True),
            body["made"],
            body["changes"],
            {member: (size, digest) for member, size, digest in body["members"]},
            tuple(Parcel._make([*told[:4], tuple(told[4])]) for told in body["blobs"]),
            tuple(Lost(what, detail) for what, detail in body["lost"]),
        )
        Ed25519PublicKey.from_public_bytes(manifest.key).verify(signature, TAG + content)
    except InvalidSignature:
        raise _bad(name, "签名不符，内容被改动", "its signature does not match: it was changed") from None
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, OSError, EOFError) as error:
        raise BadCourier(file=name, detail=f"the manifest: {error}") from error
    texts = [manifest.device, *(text for one in manifest.parcels for text in (*one[:4], *one.records))]
    shaped = type(manifest.made) is type(manifest.changes) is int and all(type(one) is str for one in texts)
    if body.get("v") != VERSION or not shaped or manifest.dump() != content:
        raise _bad(name, "清单的版本或写法不认识", "a manifest of another version or form")
    listed = {member: size for member, (size, _) in manifest.members.items()}
    if listed != {member: size for member, size in sizes.items() if member not in (MANIFEST, SIGNATURE)}:
        raise _bad(name, "成员与清单不符", "its members are not those of its manifest")
    if CHANGES not in listed:
        raise _bad(name, "没有变更列表", "it has no list of changes")
    blobs = {match[1]: manifest.members[member][1] for member in listed if (match := _BLOB.match(member))}
    if any(named != digest for named, digest in blobs.items()):
        raise _bad(name, "文件名与校验值不符", "a blob is named otherwise than its digest")
    if sorted(blobs) != sorted(parcel.sha256 for parcel in manifest.parcels):
        raise _bad(name, "文件与清单不符", "its blobs are not those of its manifest")
    return manifest


def _bad(name: str, zh: str, en: str) -> BadCourier:
    return BadCourier(file=name, detail=Label(zh, en))


# --- with a passphrase -----------------------------------------------------------------------------------------------


def is_locked(file: BinaryIO) -> bool:
    """Whether a file is a courier behind a passphrase: its first member is `key.age`."""
    file.seek(0)
    head = file.read(30 + len(KEY_FILE))
    file.seek(0)
    return head.startswith(b"PK\x03\x04") and head[30:] == KEY_FILE.encode()


@contextlib.contextmanager
def locking(out: BinaryIO, passphrase: str) -> Iterator[BinaryIO]:
    """A stream to write a courier to, which reaches `out` encrypted; nothing is kept in the clear on the way.

    :raises Refused: the passphrase is empty
    """
    import pyrage

    if not passphrase:
        raise Refused(detail=Label("口令不能为空", "a passphrase is needed"))
    identity = pyrage.x25519.Identity.generate()
    failed: list[BaseException] = []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_member(KEY_FILE), pyrage.passphrase.encrypt(str(identity).encode(), passphrase))
        with archive.open(_member(BODY_FILE), "w", force_zip64=True) as sealed:
            outlet, inlet = os.pipe()

            def encrypt() -> None:
                with open(outlet, "rb") as source:
                    try:
                        pyrage.encrypt_io(source, sealed, [identity.to_public()])
                    except BaseException as error:  # told below; a closed outlet ends the writer
                        failed.append(error)

            worker = threading.Thread(target=encrypt, name="courier-encryption")
            worker.start()
            try:
                with open(inlet, "wb") as stream:
                    yield stream
            except BrokenPipeError:
                if not failed:
                    raise
            finally:
                worker.join()
            if failed:
                raise failed[0]


def unlock(file: BinaryIO, passphrase: str, scratch: BinaryIO, name: str = "") -> None:
    """Decrypt a locked courier into `scratch`, which holds nothing of use until this returns (age writes as it reads).

    :raises Refused: the passphrase is not the right one
    :raises TooSlow: this machine cannot tell
    :raises BadCourier: not whole, or changed
    """
    import pyrage

    _check_directory(file, name)
    try:
        with zipfile.ZipFile(file) as archive:
            if archive.namelist() != [KEY_FILE, BODY_FILE] or archive.getinfo(KEY_FILE).file_size > 64 * 1024:
                raise _bad(name, "含有不认识的成员", "it holds a member of another name")
            if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
                raise _bad(name, "成员被压缩", "a member is compressed")
            secret = unlocked(archive.read(KEY_FILE), passphrase)
            if secret is None:
                raise Refused(detail=Label("口令不对", "this is not the passphrase"))
            identity = pyrage.x25519.Identity.from_str(secret.decode("ascii"))
            with archive.open(BODY_FILE) as sealed:
                pyrage.decrypt_io(sealed, scratch, [identity])
    except (zipfile.BadZipFile, pyrage.DecryptError, pyrage.IdentityError, ValueError, OSError, EOFError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise DiskFull(where=Label("临时文件夹", "the folder for temporary files")) from error
        raise BadCourier(file=name, detail=str(error)) from error
    scratch.seek(0)

