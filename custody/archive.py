"""A ZIP in one written form: stored members in a given order, fixed dates, nothing before, between or after them.

Any program can unpack it (PKWARE APPNOTE 6.3). What reads it here is stricter than any of them: every byte that is not
a member's content is compared with what the writer would have written, so there is no room for a second directory, a
hidden member, a comment or a name with two meanings. Members of 4 GiB and more, or beyond it, get ZIP64 fields.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from sync.core.errors import BrokenFile

MOST_MEMBERS = 10_000
PIECE = 1 << 20

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*\Z")
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_DATE = 0x21  # 1 January 1980, the first day that a ZIP can name
_BIG = 0xFFFFFFFF
_DIRECTORY_AT_MOST = 8 << 20


class Member(NamedTuple):
    """name, CRC-32 and size of a member, and where its content begins in the file."""

    name: str
    crc: int
    size: int
    start: int


class Writer:
    """Writes members one after the other into a seekable stream; `close` ends the archive."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._at = 0
        self._members: list[Member] = []
        self._names: set[str] = set()

    def add(self, name: str, content: BinaryIO | bytes, size: int | None = None) -> None:
        """One member; `size` in bytes must be given for a stream.

        :raises ValueError: a name that is not allowed or was used before, a stream of another length, or too many
        """
        if len(self._members) == MOST_MEMBERS:
            raise ValueError(f"an archive has at most {MOST_MEMBERS} members")
        if not _NAME.match(name) or name in self._names or len(name) > 200:
            raise ValueError(f"not the name of a member: {name}")
        expected = len(content) if isinstance(content, bytes) else size
        if expected is None:
            raise ValueError("the size of a stream is not known")
        start = self._at + len(_local(Member(name, 0, expected, 0)))
        self._out.seek(start)
        crc, written = 0, 0
        for piece in _pieces(content):
            crc = zlib.crc32(piece, crc)
            written += len(piece)
            self._out.write(piece)
        if written != expected:
            raise ValueError(f"{name} has {written} bytes and not {expected}")
        member = Member(name, crc, written, start)
        self._out.seek(self._at)
        self._out.write(_local(member))
        self._at = start + written
        self._out.seek(self._at)
        self._members.append(member)
        self._names.add(name)

    def close(self) -> None:
        self._out.seek(self._at)
        self._out.write(_ending(self._members, self._at))


def read(stream: BinaryIO, name: str = "") -> list[Member]:
    """The members of an archive in their order; their contents are not looked at.

    :raises BrokenFile: anything but what `Writer` writes (`name` is for the message)
    """
    size = stream.seek(0, 2)
    members = list(_directory(stream, size, name))
    at = 0
    for member in members:
        header = _local(member)
        stream.seek(at)
        if stream.read(len(header)) != header or member.start != at + len(header):
            raise _broken(name, f"member {member.name}")
        at = member.start + member.size
    stream.seek(at)
    if stream.read(_DIRECTORY_AT_MOST + 1) != _ending(members, at):
        raise _broken(name, "its directory")
    names = [member.name for member in members]
    if len(set(names)) != len(names) or len(names) > MOST_MEMBERS or not all(map(_NAME.match, names)):
        raise _broken(name, "the names of its members")
    return members


class Content:
    """The content of one member as a readable stream that stops at its end, and its CRC-32 as far as it was read."""

    def __init__(self, stream: BinaryIO, member: Member) -> None:
        self._stream, self._left, self._at = stream, member.size, member.start
        self.crc = 0

    def read(self, size: int = -1) -> bytes:
        self._stream.seek(self._at)
        piece = self._stream.read(self._left if size < 0 else min(size, self._left))
        self._at += len(piece)
        self._left -= len(piece)
        self.crc = zlib.crc32(piece, self.crc)
        return piece


def _directory(stream: BinaryIO, size: int, name: str) -> Iterator[Member]:
    """The members that the directory at the end names; what else it says is compared by the caller."""
    if size < _END.size:
        raise _broken(name, "it is too short")
    stream.seek(size - _END.size)
    end = _END.unpack(stream.read(_END.size))
    count, length, start = end[4], end[5], end[6]
    if start == _BIG or count == 0xFFFF:
        back = _END.size + _LOCATOR.size + _END64.size
        if size < back:
            raise _broken(name, "its end")
        stream.seek(size - back)
        wide = _END64.unpack(stream.read(_END64.size))
        count, length, start = wide[7], wide[8], wide[9]
    if end[0] != b"PK\x05\x06" or count > MOST_MEMBERS or length > _DIRECTORY_AT_MOST or start + length > size:
        raise _broken(name, "its end")
    stream.seek(start)
    entries, at = stream.read(length), 0
    for _ in range(count):
        if len(entries) - at < _CENTRAL.size:
            raise _broken(name, "its directory")
        entry = _CENTRAL.unpack_from(entries, at)
        named, extra = entry[10], entry[11]
        text = entries[at + _CENTRAL.size : at + _CENTRAL.size + named]
        crc, stored, offset = entry[7], entry[9], entry[16]
        if extra == 28:  # the ZIP64 field with both sizes and the offset
            more = entries[at + _CENTRAL.size + named :][:28]
            if len(more) != 28:
                raise _broken(name, "its directory")
            stored, _, offset = struct.unpack("<3Q", more[4:])
        try:
            member = Member(text.decode("ascii"), crc, stored, 0)
        except UnicodeDecodeError:
            raise _broken(name, "a name in it") from None
        yield member._replace(start=offset + len(_local(member)))
        at += _CENTRAL.size + named + extra


def _local(member: Member) -> bytes:
    name, wide = member.name.encode("ascii"), member.size >= _BIG
    size = _BIG if wide else member.size
    extra = struct.pack("<2H2Q", 1, 16, member.size, member.size) if wide else b""
    fixed = _LOCAL.pack(
        b"PK\x03\x04", 45 if wide else 20, 0, 0, 0, _DATE, member.crc, size, size, len(name), len(extra)
    )
    return fixed + name + extra


def _ending(members: list[Member], at: int) -> bytes:
    """The directory and the end of the archive, which begin at `at`."""
    entries = b"".join(map(_entry, members))
    count = len(members)
    end = _END.pack(b"PK\x05\x06", 0, 0, count, count, len(entries), min(at, _BIG), 0)
    if at < _BIG:
        return entries + end
    wide = _END64.pack(b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(entries), at)
    return entries + wide + _LOCATOR.pack(b"PK\x06\x07", 0, at + len(entries), 1) + end


def _entry(member: Member) -> bytes:
    name = member.name.encode("ascii")
    offset = member.start - len(_local(member))
    wide = member.size >= _BIG or offset >= _BIG
    size = _BIG if wide else member.size
    extra = struct.pack("<2H3Q", 1, 24, member.size, member.size, offset) if wide else b""
    fixed = _CENTRAL.pack(
        b"PK\x01\x02", (3 << 8) | 45, 45 if wide else 20, 0, 0, 0, _DATE, member.crc, size, size,
        len(name), len(extra), 0, 0, 0, 0o100644 << 16, _BIG if wide else offset,
    )  # fmt: skip
    return fixed + name + extra


def _pieces(content: BinaryIO | bytes) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    while piece := content.read(PIECE):
        yield piece


def _broken(name: str, what: str) -> BrokenFile:
    return BrokenFile(file=name, detail=f"not an evidence bundle in its only form: {what}")
