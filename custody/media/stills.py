"""The headers of JPEG (ITU-T T.81), PNG and WebP: size and the EXIF block."""

from __future__ import annotations

from custody.media import exif
from custody.media.claims import Metadata
from custody.media.exif import Exif
from custody.media.reading import Damaged, Pieces

_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_ALONE = {0x01, *range(0xD0, 0xD9)}
_SCAN, _END, _APP1 = 0xDA, 0xD9, 0xE1
_TURNED = (5, 6, 7, 8)

Size = tuple[int, int] | None


def jpeg(pieces: Pieces) -> Metadata:
    size: Size = None
    block: bytes | None = None
    at = 2
    try:
        while size is None or block is None:
            mark, code = pieces.at(at, 2)
            if mark != 0xFF:
                raise Damaged
            if code == 0xFF:  # padding
                at += 1
                continue
            if code in _ALONE:
                at += 2
                continue
            if code in (_SCAN, _END):
                break
            (length,) = pieces.unpack(">H", at + 2)
            if code in _FRAMES:
                height, width = pieces.unpack(">HH", at + 5)
                size = width, height
            elif code == _APP1 and block is None and pieces.at(at + 4, min(6, max(0, length - 2))) == exif.PREFIX:
                block = pieces.at(at + 4, length - 2)
            at += 2 + max(2, length)
    except Damaged:  # what came before the damage still counts
        pass
    return said(size, exif.read(block) if block is not None else None)


def png(pieces: Pieces) -> Metadata:
    size: Size = None
    block: bytes | None = None
    at = 8
    try:
        while block is None:
            length, name = pieces.unpack(">I4s", at)
            if name == b"IHDR":
                size = pieces.unpack(">II", at + 8)
            elif name == b"eXIf":
                block = pieces.at(at + 8, length)
            elif name == b"IEND":
                break
            at += 12 + length
    except Damaged:
        pass
    return said(size, exif.read(block) if block is not None else None)


def webp(pieces: Pieces) -> Metadata:
    size: Size = None
    block: bytes | None = None
    at = 12
    try:
        while block is None:
            name, length = pieces.unpack("<4sI", at)
            if name == b"VP8X":
                wide, high = pieces.at(at + 12, 3), pieces.at(at + 15, 3)
                size = int.from_bytes(wide, "little") + 1, int.from_bytes(high, "little") + 1
            elif name == b"VP8 " and size is None:
                width, height = pieces.unpack("<HH", at + 14)
                size = width & 0x3FFF, height & 0x3FFF
            elif name == b"VP8L" and size is None:
                (bits,) = pieces.unpack("<I", at + 9)
                size = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
            elif name == b"EXIF":
                block = pieces.at(at + 8, length)
            at += 8 + length + length % 2
    except Damaged:
        pass
    return said(size, exif.read(block) if block is not None else None)


def said(size: Size, block: Exif | None, orientation: int | None = None) -> Metadata:
    """Both as one; `orientation` counts more than the block's, where the container has its own."""
    block = block or Exif("")
    turn = orientation or block.orientation
    width, height = size if size is not None and min(size) > 0 else (None, None)
    if turn in _TURNED:
        width, height = height, width
    return Metadata(width, height, block.taken, block.position, block.camera, turn, exif=block.digest or None)
