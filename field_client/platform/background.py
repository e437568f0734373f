"""Work that goes on beside the screens, in a thread. One that is started after another waits for its end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol


class Stop(Protocol):
    """What the work looks at: whether it is to end, and a pause that ends early when it is, or when somebody rings."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> bool: ...


class _Bell:
    """One event for both, so that a sleeping thread is woken by nothing else."""

    def __init__(self) -> None:
        self._event, self._over = threading.Event(), False

    def is_set(self) -> bool:
        return self._over

    def wait(self, timeout: float | None = None) -> bool:
        self._event.wait(timeout)
        if not self._over:
            self._event.clear()
        return self._over

    def ring(self) -> None:
        self._event.set()

    def stop(self) -> None:
        self._over = True
        self._event.set()


class Task:
    """Work under way. A program that ends does not wait for it: whatever it does may be cut anywhere."""

    def __init__(self, work: Callable[[Stop], None], after: Task | None = None) -> None:
        self._stop = _Bell()
        self._thread = threading.Thread(target=self._run, args=(work, after), name="patrolbook-rounds", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Let it end at the next safe place; returns at once."""
        self._stop.stop()

    def ring(self) -> None:
        """End the pause that it is in, if it is in one."""
        self._stop.ring()

    def join(self, seconds: float | None = None) -> None:
        self._thread.join(seconds)

    def _run(self, work: Callable[[Stop], None], after: Task | None) -> None:
        if after is not None:
            after.join()
        if not self._stop.is_set():
            work(self._stop)
