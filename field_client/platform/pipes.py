"""What a camera program writes into a pipe, read by a thread of its own.

A camera does not wait: while a segment is being brought to the disk, what comes next is kept in memory here, up to
`MOST_BYTES`. And whoever reads can stop waiting, so a segment ends in time though the camera is silent.
"""

from __future__ import annotations

import io
import os
import queue
import threading
from typing import BinaryIO

PIECE = 1 << 17
MOST_BYTES = 32 << 20


class Pipe:
    """The bytes of a stream as they come."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._pieces: queue.Queue[bytes | Exception] = queue.Queue(MOST_BYTES // PIECE)
        self._ended = False
        threading.Thread(target=self._read, name="patrolbook-pipe", daemon=True).start()

    def take(self, wait_s: float) -> bytes | None:
        """The next bytes; none at the end, and None where nothing came in time. Raises what reading raised."""
        if self._ended:
            return b""
        try:
            piece = self._pieces.get(timeout=wait_s) if wait_s > 0 else self._pieces.get_nowait()
        except queue.Empty:
            return None
        if isinstance(piece, Exception):
            self._ended = True
            raise piece
        self._ended = not piece
        return piece

    def _read(self) -> None:
        try:
            while piece := self._next():
                self._pieces.put(piece)
            self._pieces.put(b"")
        except Exception as error:
            self._pieces.put(error)

    def _next(self) -> bytes:
        """Not through the stream's own buffer where there is a file behind it: a thread that waits inside that one
        keeps the program from ending."""
        try:
            handle = self._stream.fileno()
        except (OSError, io.UnsupportedOperation):
            return self._stream.read(PIECE)
        return os.read(handle, PIECE)
