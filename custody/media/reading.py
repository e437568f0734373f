"""Reading headers from a stream that nobody trusts: bounded pieces, a bounded number of them, and one error."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

MOST_READS = 20_000
MOST_BYTES = 8 << 20
"""Of one file together. The headers of a real photo are below 200 kB; a long film's index is not read."""


class Damaged(Exception):
    """The headers end too early, contradict themselves or go on for ever. Never leaves `custody.media`."""


class Pieces:
    """Pieces of a stream by offset, counted."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._reads = MOST_READS
        self._bytes = MOST_BYTES
        self.size = stream.seek(0, 2)

    def at(self, offset: int, length: int) -> bytes:
        """Exactly this piece.

        :raises Damaged: it is not all there, or too much was read already
        """
        self._reads -= 1
        self._bytes -= length
        if offset < 0 or length < 0 or offset + length > self.size or self._reads < 0 or self._bytes < 0:
            raise Damaged
        self._stream.seek(offset)
        piece = self._stream.read(length)
        if len(piece) != length:
            raise Damaged
        return piece

    def unpack(self, form: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack(form, self.at(offset, struct.calcsize(form)))


def unpack(form: str, block: bytes, at: int = 0) -> tuple[Any, ...]:
    """`struct.unpack_from` that raises Damaged."""
    try:
        return struct.unpack_from(form, block, at)
    except struct.error:
        raise Damaged from None


def text(value: Any) -> str:
    """What can be printed of bytes or text."""
    read = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return "".join(sign for sign in read if sign.isprintable()).strip() if isinstance(read, str) else ""
