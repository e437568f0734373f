"""What a measured part cost on both sides. Loads nothing of ours, because the floor's client uses it too."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from benchmarks.processes import own_usage, usage


class Cost(NamedTuple):
    """What a measured part cost. Seconds and bytes; `up` and `down` are bodies as they went over the line."""

    wall_s: float
    client_cpu_s: float
    server_cpu_s: float
    client_peak: int
    server_peak: int
    up: int
    down: int


class Meter:
    """Started once, read once. `group` is the server's process group."""

    def __init__(self, group: int) -> None:
        self._group = group
        self._server, self._own = usage(group), own_usage()
        self._started = time.perf_counter()

    def read(self, up: int, down: int) -> Cost:
        wall = time.perf_counter() - self._started
        own, server = own_usage(), usage(self._group)
        return Cost(
            wall, own.cpu_s - self._own.cpu_s, server.cpu_s - self._server.cpu_s, own.peak, server.peak, up, down
        )


def expect(found: object, wanted: object, what: str) -> None:
    """Raise RuntimeError where a run did not do what it was measured for."""
    if found != wanted:
        raise RuntimeError(f"{what}: {found} instead of {wanted}; the figures would mean nothing")


def run_task(tasks: Mapping[str, Callable[[Mapping[str, Any]], Cost]]) -> None:
    """Do the task that the command line names as JSON, and print its cost as JSON."""
    task = json.loads(sys.argv[1])
    print(json.dumps(tasks[task["do"]](task)))
