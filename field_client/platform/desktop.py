"""A desktop or tablet operating system: threads, processes, sockets, a file system."""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from custody.pictures.workshop import Workshop
from field_client.platform import Platform, metering
from field_client.platform.clock import SystemClock
from field_client.platform.remote import Remote
from sync.replicator import Surroundings

_IN_MEMORY = Path("/dev/shm")
_WORKSHOP = Workshop()
"""One for the whole program: its worker starts with the first picture and serves every tablet in it."""


def desktop() -> Platform:
    """What the client takes from this device."""
    around = Surroundings(time.sleep, random.SystemRandom().random, time.monotonic)
    return Platform(SystemClock(), around, Remote, ThreadPoolExecutor, scratch_folder, _WORKSHOP, metering.metered)


@contextlib.contextmanager
def scratch_folder(home: Path) -> Iterator[Path]:
    """A private folder for snapshots on their way: plain SQLite files, so in memory wherever the system allows."""
    in_memory = _IN_MEMORY.is_dir() and os.access(_IN_MEMORY, os.W_OK)
    with tempfile.TemporaryDirectory(prefix="patrolbook-", dir=_IN_MEMORY if in_memory else home) as folder:
        yield Path(folder)
