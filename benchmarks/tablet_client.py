"""The measured tablet: does one thing in a process of its own and prints what it cost as a line of JSON.

    python -m benchmarks.tablet_client '{"do": "push", "home": …, "server": <process group>}'

The clock runs from the moment at which a tablet that is already open begins, to the last commit of what is measured.
Opening the database, the first connection and the server's own first request come before.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import house
from benchmarks.meter import Cost, Meter, expect, run_task
from field_client.platform.desktop import scratch_folder
from field_client.tablet import Tablet
from sync.replicator import Progress

_DONE = """SELECT count(*) FROM changes
           WHERE status IN ('held', 'settled') AND disposition = 'accepted' AND proven = 1"""


def push(task: Mapping[str, Any]) -> Cost:
    """A round of the tablet until the last queued change is acknowledged with a verified receipt."""
    costs: list[Cost] = []
    with _awake(task) as tablet:
        begun = tablet.peer().traffic

        def told(progress: Progress) -> None:
            if progress.phase == "pushing" and progress.done == task["records"] and not costs:
                costs.append(meter.read(progress.sent - begun.sent, progress.received - begun.received))

        meter = Meter(task["server"])
        tablet.sync(told, "records", stop=lambda: bool(costs))
        expect(tablet.store.database.value(_DONE), task["records"], "changes accepted, with receipts")
    return costs[0]


def pull(task: Mapping[str, Any]) -> Cost:
    """A whole round of a tablet that has nothing yet."""
    with _awake(task) as tablet:
        begun = tablet.peer().traffic
        meter = Meter(task["server"])
        report = tablet.sync(until="records")
        after = tablet.peer().traffic
        cost = meter.read(after.sent - begun.sent, after.received - begun.received)
        if report.problem is not None:
            raise report.problem
        expect(tablet.store.database.value("SELECT count(*) FROM states"), task["records"], "records pulled")
        expect(len(report.filled), task["snapshots"], "buckets filled by snapshot")
    return cost


@contextlib.contextmanager
def _awake(task: Mapping[str, Any]) -> Iterator[Tablet]:
    """The tablet with its database open and a connection to a server that has served it before."""
    home = Path(task["home"])
    tablet = house.open_tablet(home)
    try:
        tablet.peer().hello()
        tablet.peer().have([])
        yield tablet
    finally:
        tablet.close()
        shutil.rmtree(scratch_folder(home), ignore_errors=True)  # it lies outside the home


if __name__ == "__main__":
    run_task({"push": push, "pull": pull})
