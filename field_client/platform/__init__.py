"""What differs from one device to another, each behind a small interface.

Nothing outside this folder imports what only a desktop has, so the same client can run where there are no threads, no
sockets of its own and another database. `desktop.py` puts together what a desktop or tablet operating system offers.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from custody.pictures.orders import Pictures
from sync.peer import Peer
from sync.replicator import BlobFiles, Surroundings

__all__ = ["BlobFiles", "Clock", "Connect", "Line", "Pictures", "Platform"]


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


class Line(NamedTuple):
    """How to reach a server and as whom.

    url        of the server, without the path of the interface
    device     this tablet's id, empty before it is enrolled
    sign       the device's Ed25519 signature of some bytes
    server_ms  the server's time as far as it is known, in milliseconds since 1970
    """

    url: str
    device: str
    sign: Callable[[bytes], bytes]
    server_ms: Callable[[], int]


Connect = Callable[[Line], Peer]


class Platform(NamedTuple):
    """What the client takes from the device.

    around   pause, chance and a steady clock for rounds
    connect  a peer behind a line; nothing is sent yet
    pool     threads for that many parts at once; None where there are none
    scratch  a private folder for plain copies on their way, gone afterwards; best one that is not on a disk. It is
             given the home of the tablet for where there is none
    pictures makes thumbnails and the like; None where there are no processes to do it in
    metered  whether the line is billed by volume now; None where the system does not tell
    """

    clock: Clock
    around: Surroundings
    connect: Connect
    pool: Callable[[int], Executor] | None
    scratch: Callable[[Path], AbstractContextManager[Path]]
    pictures: Pictures | None
    metered: Callable[[], bool | None] = lambda: None
