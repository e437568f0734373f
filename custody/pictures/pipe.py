"""Frames on the pipes between workshop and worker: one letter, a length, the body.

    to the worker    O an order (JSON)   B bytes that it asked for
    from the worker  R it asks for bytes (offset, length)   F a picture (name, JPEG)   D done (JSON)   X no picture (JSON)

The worker sees no path and opens no file: an encrypted original is never on a disk in the clear for it.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, NamedTuple

_HEAD = struct.Struct(">cI")
SPAN = struct.Struct(">QI")
MOST_ASKED = 4 << 20
"""Bytes that a worker may ask for at once."""
MOST_SENT = 64 << 20
"""The largest frame that is believed."""


class Frame(NamedTuple):
    letter: bytes
    body: bytes


class Broken(Exception):
    """The other side is gone, or speaks something else."""


def send(pipe: BinaryIO, letter: bytes, body: bytes = b"") -> None:
    """Raises Broken."""
    try:
        pipe.write(_HEAD.pack(letter, len(body)))
        pipe.write(body)
        pipe.flush()
    except (OSError, ValueError) as error:
        raise Broken from error


def receive(pipe: BinaryIO) -> Frame:
    """Raises Broken."""
    letter, length = _HEAD.unpack(_exactly(pipe, _HEAD.size))
    if length > MOST_SENT:
        raise Broken
    return Frame(letter, _exactly(pipe, length))


def _exactly(pipe: BinaryIO, length: int) -> bytes:
    try:
        piece = pipe.read(length) if length else b""
    except (OSError, ValueError) as error:
        raise Broken from error
    if piece is None or len(piece) != length:
        raise Broken
    return piece
