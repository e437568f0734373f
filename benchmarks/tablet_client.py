"""The measured tablet: does one thing in a process of its own and prints what it cost as a line of JSON.

    python -m benchmarks.tablet_client '{"do": "push", "home": …, "server": <process group>}'

The clock runs from the moment at which a tablet that is already open begins, to the last commit of what is measured.
The server has been in use: what a worker does only once in its life, on its first pull or push, has been done before,
by the same tablet or by one of another county, over the same connection and so in the same worker.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests

from benchmarks import house
from benchmarks.meter import Cost, Meter, expect, run_task
from field_client.platform.desktop import desktop
from field_client.platform.remote import Remote
from field_client.tablet import Tablet
from schemas.kinds.inspection import Inspection
from sync.peer import PullRequest
from sync.replicator import Progress


def push(task: Mapping[str, Any]) -> Cost:
    """A round of the tablet until the last queued change is acknowledged with a verified receipt."""
    costs: list[Cost] = []
    session = _session()
    with _opened(Path(task["other"]), house.OTHER_SEED, session) as other:
        expect(other.sync(until="records").problem, None, "the problem of the round before")
    with _opened(Path(task["home"]), house.SEED, session) as tablet:
        tablet.peer().hello()
        begun = tablet.peer().traffic

        def told(progress: Progress) -> None:
            if progress.phase == "pushing" and progress.done == task["records"] and not costs:
                costs.append(meter.read(progress.sent - begun.sent, progress.received - begun.received))

        meter = Meter(task["server"])
        report = tablet.sync(told, "records", stop=lambda: bool(costs))
        if report.problem is not None:
            raise report.problem
        expect(dict(report.pushed), {"accepted": task["records"]}, "what became of the changes")
        expect(report.proven, task["records"], "changes with a verified receipt")
    return costs[0]


def pull(task: Mapping[str, Any]) -> Cost:
    """A whole round of a tablet that has nothing yet."""
    with _opened(Path(task["home"]), house.SEED, _session()) as tablet:
        peer = tablet.peer()
        peer.pull(PullRequest(peer.hello().epoch, {}, 1))
        begun = tablet.peer().traffic
        meter = Meter(task["server"])
        report = tablet.sync(until="records")
        after = tablet.peer().traffic
        cost = meter.read(after.sent - begun.sent, after.received - begun.received)
        if report.problem is not None:
            raise report.problem
        expect(tablet.kinds(), {Inspection.kind: task["records"]}, "records pulled")
        expect(len(report.filled), task["snapshots"], "buckets filled by snapshot")
    return cost


@contextlib.contextmanager
def _opened(home: Path, seed: bytes, session: requests.Session) -> Iterator[Tablet]:
    platform = desktop()._replace(connect=lambda line: Remote(line, session=session))
    tablet = house.open_tablet(home, seed=seed, platform=platform)
    try:
        yield tablet
    finally:
        tablet.close()


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # a proxy for the world is none for the loopback interface
    return session


if __name__ == "__main__":
    run_task({"push": push, "pull": pull})
