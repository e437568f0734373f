"""What one pull costs while the server's collection grows: nothing new, and 100 changed records.

Two servers run side by side, a small one and a large one, with the same 25 buckets, all of them in the tablet's scope.
The same requests go to both in turns (A B B A …), from one process with one connection to each. "100 changed" asks
with cursors that lie 100 positions behind the newest, four in each bucket, and with the log as it was 100 leaves ago,
so the answer holds a consistency proof too. The time is that of `Peer.pull`: signing, sending, waiting, inflating,
parsing.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks import data, house, servers
from benchmarks.processes import free_port
from benchmarks.table import Aim, Verdict
from sync.peer import Peer, PullRequest

NOISE = 0.1
"""Two runs of the same thing differ by so much: a ratio of 1.0 is met up to 1.1."""
NOTHING_NEW = Aim("one pull, nothing new", 1.0, NOISE)
CHANGED = Aim("one pull, 100 changed", 1.0, NOISE)
BEHIND = 4
"""Positions that a cursor lies behind in each bucket."""
REQUESTS = 150
WARM_UP = 15


def growth(folder: Path, small: int, large: int) -> list[Verdict]:
    """Time pulls from servers that hold `small` and `large` records."""
    sizes = {small: folder / "small", large: folder / "large"}
    building = []
    for count, place in sizes.items():
        started = time.perf_counter()
        house.make_server(place, data.merged(count))
        building.append(f"{count:,} records in {time.perf_counter() - started:.0f} s")
    ports = {count: free_port() for count in sizes}
    with servers.ours(sizes[small], ports[small]) as one, servers.ours(sizes[large], ports[large]) as other:
        homes = [house.enrol(sizes[small], one.url, folder / "tablet-1").home,
                 house.enrol(sizes[large], other.url, folder / "tablet-2").home]  # fmt: skip
        tablets = [house.open_tablet(home) for home in homes]
        peers = [tablet.peer() for tablet in tablets]
        nothing, changed = [], []
        for peer in peers:
            cursors, log = _newest(peer)
            epoch = peer.hello().epoch
            nothing.append(PullRequest(epoch, _behind(cursors, 0), None, log))
            changed.append(PullRequest(epoch, _behind(cursors, BEHIND), None, log - BEHIND * len(cursors)))
        quiet = _in_turns(peers, nothing, 0)
        busy = _in_turns(peers, changed, BEHIND * len(data.AREAS))
        for tablet in tablets:
            tablet.close()
    print(f"one pull from a server with {small:,} and with {large:,} records (filled: {', '.join(building)})")
    print(f"{'':<14}{small:>14,}{large:>14,}{'ratio':>14}   ms, medians of {REQUESTS} requests each, in turns")
    verdicts = []
    for name, aim, times in (("nothing new", NOTHING_NEW, quiet), ("100 changed", CHANGED, busy)):
        ratio = statistics.median(b / a for a, b in zip(*times, strict=True))
        medians = "".join(f"{1000 * statistics.median(taken):>14.2f}" for taken in times)
        print(f"{name:<14}{medians}{ratio:>14.2f}")
        verdicts.append(Verdict(aim, ratio))
    print()
    return verdicts


def _newest(peer: Peer) -> tuple[dict[str, int], int]:
    """bucket → newest position, and the size of the log, without reading the records."""
    page = peer.pull(PullRequest(peer.hello().epoch, {}, 1))
    return dict(page.heads), int(peer.checkpoint().split("\n")[1])


def _behind(heads: Mapping[str, int], positions: int) -> dict[str, str]:
    """Cursors so many positions behind the newest. Their text is the server's business; here it has to be known."""
    return {bucket: f"{head - positions}.0" for bucket, head in heads.items()}


def _in_turns(peers: list[Peer], requests: list[PullRequest], records: int) -> tuple[list[float], list[float]]:
    times: tuple[list[float], list[float]] = ([], [])
    sides = list(zip(peers, requests, times, strict=True))
    for turn in range(WARM_UP + REQUESTS):
        for peer, request, taken in sides if turn % 2 else reversed(sides):
            started = time.perf_counter()
            page = peer.pull(request)
            seconds = time.perf_counter() - started
            if page.records != records or page.more:
                raise RuntimeError(f"{page.records} records instead of {records}; the figures would mean nothing")
            if turn >= WARM_UP:
                taken.append(seconds)
    return times
