"""Removes the keys of a session and the share of a lease when their time is over and no command comes.

    python -m field_client.platform.guard HOME [RUNTIME]

A small program of its own, started by `unlock`, one for each tablet. The keys of an unlocked tablet lie in a file; a time
that only the next command checks would leave them there all night. It ends when nothing is left to be watched.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from field_client.platform import Clock, locks
from field_client.platform.clock import SystemClock
from field_client.platform.leases import Leases
from field_client.platform.sessions import Sessions

LOOK_S = 5.0
"""How often it looks; never longer, for the device may have slept meanwhile."""
MARK = "guard.lock"


def start(home: Path, runtime: Path | None) -> None:
    """Start it beside this program, which need not wait for it. One that is there already goes on alone."""
    mark = home / MARK
    if mark.exists() and not locks.is_left(mark):
        return
    words = [sys.executable, "-m", "field_client.platform.guard", str(home), *([str(runtime)] if runtime else [])]
    with contextlib.suppress(OSError):  # then the next command ends the session
        subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def watch(home: Path, runtime: Path | None, clock: Clock, pause: Callable[[float], None]) -> None:
    """Return once there is neither a session nor a lease."""
    sessions, leases = Sessions(home, runtime, clock), Leases(home, clock)
    while any([sessions.look(), leases.left() is not None]):
        pause(LOOK_S)


def main() -> None:
    home, *runtime = map(Path, sys.argv[1:])
    with open(home / MARK, "wb") as mark:
        if locks.try_claim(mark):
            watch(home, runtime[0] if runtime else None, SystemClock(), time.sleep)


if __name__ == "__main__":
    main()
