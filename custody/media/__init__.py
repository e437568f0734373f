"""What a file is and what it says about itself: by its first bytes and its headers, never by its name.

    mime, said = examine(stream)

Nothing is decoded here and nothing but the standard library is used, so this runs at capture, before anything else could
go wrong, and on any device. What comes from outside is not trusted: readers take a bounded number of bounded pieces, and a
header that is damaged, missing or nonsense says less, or nothing, and raises nothing. All of it is claims: a camera's
clock may be wrong and a position invented.

    stills.py  JPEG, PNG, WebP     boxes.py  HEIC, MP4, M4A, QuickTime     exif.py  the block that cameras write
"""

from __future__ import annotations

from typing import BinaryIO

from custody.media import boxes, stills
from custody.media.claims import Metadata, Position
from custody.media.reading import Damaged, Pieces, text

HEAD_BYTES = 64
"""How many of its first bytes tell what a file is."""

UNKNOWN = "application/octet-stream"
PICTURES = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP", "image/heic": "HEIF"}
"""Media type → the one format that a decoder may try."""
FILMS = frozenset({"video/mp4", "video/quicktime"})
PDF = "application/pdf"

_READERS = {
    "image/jpeg": stills.jpeg,
    "image/png": stills.png,
    "image/webp": stills.webp,
    "image/heic": boxes.heic,
    "video/mp4": boxes.film,
    "video/quicktime": boxes.film,
    "audio/mp4": boxes.film,
}


def identify(head: bytes) -> str:
    """The media type for the first `HEAD_BYTES` of a file; `UNKNOWN` for what is none of ours."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"%PDF-"):
        return PDF
    if head.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in head[:HEAD_BYTES]:
        return "video/webm"
    if head[4:8] == b"ftyp":
        return boxes.type_of(head) or UNKNOWN
    return UNKNOWN


def examine(stream: BinaryIO) -> tuple[str, Metadata]:
    """The media type of a seekable stream and what its headers say.

    A container that calls itself a film and holds only sound is sound: recorders write such files.
    """
    stream.seek(0)
    mime = identify(stream.read(HEAD_BYTES))
    said = metadata(stream, mime)
    if mime in FILMS and said.sound_only:
        mime = "audio/mp4"
    return mime, said


def metadata(stream: BinaryIO, mime: str) -> Metadata:
    """What the headers of a file of this type say; empty where they say nothing or cannot be read."""
    reader = _READERS.get(mime)
    if reader is None:
        return Metadata()
    try:
        return reader(Pieces(stream))
    except Damaged:
        return Metadata()


def called(name: str) -> str:
    """A file's name as it can be written down: on a disk it may hold any bytes, which Python shows as lone surrogates."""
    return text(name)


__all__ = [
    "FILMS", "HEAD_BYTES", "Metadata", "PDF", "PICTURES", "Position", "UNKNOWN", "called", "examine", "identify",
    "metadata",
]  # fmt: skip
