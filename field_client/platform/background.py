"""Work that goes on beside the screens, in a thread. One that is started after another waits for its end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol


class Stop(Protocol):
    """What the work looks at: whether it is to end, and a pause that ends early when it is."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> bool: ...


class Task:
    """Work under way. A program that ends does not wait for it: whatever it does may be cut anywhere."""

    def __init__(self, work: Callable[[Stop], None], after: Task | None = None) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(work, after), name="patrolbook-rounds", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Let it end at the next safe place; returns at once."""
        self._stop.set()

    def join(self, seconds: float | None = None) -> None:
        self._thread.join(seconds)

    def _run(self, work: Callable[[Stop], None], after: Task | None) -> None:
        if after is not None:
            after.join()
        if not self._stop.is_set():
            work(self._stop)
