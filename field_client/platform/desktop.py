"""A desktop or tablet operating system: threads, sockets, a file system."""

from __future__ import annotations

import hashlib
import os
import random
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from field_client.platform import Platform
from field_client.platform.clock import SystemClock
from field_client.platform.remote import Remote
from sync.replicator import Surroundings

_IN_MEMORY = Path("/dev/shm")


def desktop() -> Platform:
    """What the client takes from this device."""
    around = Surroundings(time.sleep, random.SystemRandom().random, time.monotonic)
    return Platform(SystemClock(), around, Remote, ThreadPoolExecutor, scratch_folder)


def scratch_folder(home: Path) -> Path:
    """A private folder for snapshots on their way: plain SQLite files, so in memory wherever the system allows."""
    if not (_IN_MEMORY.is_dir() and os.access(_IN_MEMORY, os.W_OK)):
        folder = home / "scratch"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder
    owner = hashlib.sha256(str(home.absolute()).encode()).hexdigest()[:16]
    folder = _IN_MEMORY / f"patrolbook-{os.getuid()}-{owner}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="patrolbook-"))
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        return Path(tempfile.mkdtemp(prefix="patrolbook-"))  # somebody else took the name
    return folder
