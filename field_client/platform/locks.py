"""One program at a time, and knowing that a program is gone: advisory locks that end with the process that holds them.

Where the system has none (Windows), `alone` does not wait and `is_left` says no: age has to tell then.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait for everybody else who does the same with this file; it is made, and stays."""
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "rb") as held:
        claim(held)
        yield


def claim(file: IO[Any]) -> None:
    """Hold a lock on an open file until it is closed or this program ends, however it ends."""
    if os.name == "nt":
        return
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX)


def try_claim(file: IO[Any]) -> bool:
    """As `claim`, but does not wait; False where somebody else holds it."""
    if os.name == "nt":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_left(path: Path) -> bool:
    """Whether the program that claimed a file is gone."""
    if os.name == "nt":
        return False
    with open(path, "rb") as file:
        return try_claim(file)
