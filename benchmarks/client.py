"""The measured client: does one thing in a process of its own and prints what it cost as a line of JSON.

    python -m benchmarks.client '{"do": "push", "home": …, "server": <process group>}'

The clock runs from the moment at which a tablet that is already open begins, to the last commit of what is measured.
Opening the database, the first connection and the server's own first request come before.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import floor, house
from benchmarks.processes import own_usage, usage
from field_client.tablet import Tablet
from sync.replicator import Progress


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


def push(task: Mapping[str, Any]) -> Cost:
    """A round of the tablet until the last queued change is acknowledged with a verified receipt."""
    tablet, total = _awake(task), task["records"]
    begun = tablet.peer().traffic
    costs: list[Cost] = []

    def told(progress: Progress) -> None:
        if progress.phase == "pushing" and progress.done == total and not costs:
            costs.append(meter.read(progress.sent - begun.sent, progress.received - begun.received))

    meter = Meter(task["server"])
    tablet.sync(told, "records", lambda: bool(costs))
    done = "SELECT count(*) FROM changes WHERE status IN ('held', 'settled') AND disposition = 'accepted' AND proven = 1"
    _expect(tablet.store.database.value(done), total, "changes accepted, with receipts")
    tablet.close()
    return costs[0]


def pull(task: Mapping[str, Any]) -> Cost:
    """A whole round of a tablet that has nothing yet."""
    tablet = _awake(task)
    begun = tablet.peer().traffic
    meter = Meter(task["server"])
    report = tablet.sync(until="records")
    after = tablet.peer().traffic
    cost = meter.read(after.sent - begun.sent, after.received - begun.received)
    if report.problem is not None:
        raise report.problem
    _expect(tablet.store.database.value("SELECT count(*) FROM states"), task["records"], "records pulled")
    _expect(len(report.filled), task["snapshots"], "buckets filled by snapshot")
    tablet.close()
    return cost


def floor_push(task: Mapping[str, Any]) -> Cost:
    with floor.client_database(Path(task["database"]), task["encrypted"]) as conn:
        client = floor.Client(task["url"], conn)
        client.ready()
        meter = Meter(task["server"])
        taken = client.push(task["sizes"])
        cost = meter.read(client.sent, client.received)
        _expect(taken, task["records"], "records taken")
        return cost


def floor_pull(task: Mapping[str, Any]) -> Cost:
    with floor.client_database(Path(task["database"]), task["encrypted"]) as conn:
        floor.prepare_copy(conn)
        client = floor.Client(task["url"], conn)
        client.ready()
        meter = Meter(task["server"])
        pulled = client.pull(task["page_bytes"])
        cost = meter.read(client.sent, client.received)
        _expect(pulled, task["records"], "records pulled")
        return cost


def floor_fill(task: Mapping[str, Any]) -> Cost:
    client = floor.Client(task["url"])
    client.ready()
    meter = Meter(task["server"])
    client.fill(Path(task["scratch"]), Path(task["target"]))
    return meter.read(client.sent, client.received)


TASKS: Mapping[str, Callable[[Mapping[str, Any]], Cost]] = {
    "push": push,
    "pull": pull,
    "floor_push": floor_push,
    "floor_pull": floor_pull,
    "floor_fill": floor_fill,
}


def _awake(task: Mapping[str, Any]) -> Tablet:
    """The tablet with its database open and a connection to a server that has served it before."""
    tablet = house.open_tablet(Path(task["home"]))
    tablet.peer().hello()
    tablet.peer().have([])
    return tablet


def _expect(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise RuntimeError(f"{what}: {found} instead of {wanted}; the figures would mean nothing")


def main() -> None:
    task = json.loads(sys.argv[1])
    print(json.dumps(TASKS[task["do"]](task)))


if __name__ == "__main__":
    main()
