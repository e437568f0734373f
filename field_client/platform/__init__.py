"""What differs from one device to another, each behind a small interface.

Nothing outside this folder imports what only a desktop has, so the same client can run where there are no threads, no
sockets of its own and another database.
"""

from __future__ import annotations

from typing import Protocol

from sync.replicator import BlobFiles

__all__ = ["BlobFiles", "Clock"]


class Clock(Protocol):
    """The device's clocks. None of them is trusted to be right; all are recorded with every change."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970 as the device believes."""

    def mono_ms(self) -> int:
        """Milliseconds since the device was started; never set back while it runs."""

    def boot(self) -> str:
        """A name for the time since the last start: two readings of `mono_ms` compare within one boot only."""

    def new_id(self) -> str:
        """A UUIDv7 in text (RFC 9562): new, and in the order of time as far as the wall clock tells."""
