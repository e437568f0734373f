"""Push, pull and first fill: ours and the floor in turns, each run with data of its own and a client of its own."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import data, floor, floor_client, house, servers, table
from benchmarks.meter import Cost
from benchmarks.processes import Server, free_port, run_client
from benchmarks.table import Aim, Verdict
from server.config import Settings
from server.instance import open_instance
from server.storage import snapshots
from server.storage.database import PRAGMAS
from sync.core.batches import Batcher
from sync.core.engine import FIRST_PAGE_BYTES

PUSH = Aim("push", 2.2)
PULL = Aim("pull", 1.35)
SNAPSHOT = Aim("first fill by snapshot", 1.5)

ONE_AREA = data.AREAS[:1]
OTHER_AREA = (f"{data.OTHER_COUNTY}001001",)
WARM_UP = 50
"""Records that another tablet pushes first."""
_DEFAULTS = Settings(Path())


def push(folder: Path, records: int, turns: int) -> Verdict:
    """`records` changes from an outbox to an empty server."""
    port = free_port()
    template, home = folder / "server", folder / "tablet"
    house.make_server(template)
    with servers.ours(template, port) as server:
        enrolled = house.enrol(template, server.url, home)
        warming = house.enrol(template, server.url, folder / "other", seed=house.OTHER_SEED, county=data.OTHER_COUNTY)
    warm_up = data.changes(WARM_UP, warming.person, OTHER_AREA, first=-WARM_UP)
    house.write_changes(warming.home, warm_up, seed=house.OTHER_SEED)
    contents = [change.content for change in data.changes(records, enrolled.person)]
    house.write_changes(home, data.changes(records, enrolled.person))
    for name, encrypted in (("encrypted", True), ("plain", False)):
        with floor_client.opened(folder / name, encrypted) as conn:
            floor_client.fill_outbox(conn, contents)
    sizes = _batch_sizes([len(one) for one in contents])

    def run_floor(name: str) -> Cost:
        run = _emptied(folder / "run")
        floor.fill(run / "floor.db", PRAGMAS)
        for part in folder.glob(f"{name}*"):
            shutil.copyfile(part, run / part.name)
        with servers.floor(run / "floor.db", free_port()) as server:
            return _measured("floor_client", "push", server, database=str(run / name), encrypted=name == "encrypted",
                             sizes=sizes, records=records)  # fmt: skip

    def run_ours() -> Cost:
        run = _emptied(folder / "run")
        copied = house.copy_of(home, run / "tablet")
        other = house.copy_of(warming.home, run / "other")
        with servers.ours(house.copy_of(template, run / "server"), port) as server:
            return _measured("tablet_client", "push", server, home=str(copied), other=str(other), records=records)

    sides = _in_turns(turns, {"floor": lambda: run_floor("encrypted"), "ours": run_ours,
                              "floor, client not encrypted": lambda: run_floor("plain")})  # fmt: skip
    average = sum(map(len, contents)) / records
    title = f"push of {records:,} records, one change of {average:,.0f} bytes each, in batches of {_listed(sizes)}"
    print(table.costs(title, list(sides.items())))
    return _told(PUSH, sides)


def pull(folder: Path, records: int, turns: int) -> Verdict:
    """`records` records from a server to an empty tablet, page by page."""
    port, template = free_port(), folder / "server"
    house.make_server(template, data.merged(records))
    floor.fill(folder / "floor.db", PRAGMAS, ((one.record, one.content) for one in data.merged(records)))
    with servers.ours(template, port) as server, servers.floor(folder / "floor.db", free_port()) as least:
        home = house.enrol(template, server.url, folder / "tablet").home

        def run_floor(encrypted: bool) -> Cost:
            run = _emptied(folder / "run")
            return _measured("floor_client", "pull", least, database=str(run / "copy"), encrypted=encrypted,
                             pages=(FIRST_PAGE_BYTES, _DEFAULTS.pull_bytes), records=records)  # fmt: skip

        def run_ours() -> Cost:
            copied = house.copy_of(home, _emptied(folder / "run") / "tablet")
            return _measured("tablet_client", "pull", server, home=str(copied), records=records, snapshots=0)

        sides = _in_turns(turns, {"floor": lambda: run_floor(True), "ours": run_ours,
                                  "floor, client not encrypted": lambda: run_floor(False)})  # fmt: skip
    average = sum(len(one.content) for one in data.merged(records)) / records
    title = f"pull of {records:,} records of {average:,.0f} bytes, in pages of {_DEFAULTS.pull_bytes:,} bytes"
    print(table.costs(title, list(sides.items())))
    return _told(PULL, sides)


def snapshot(folder: Path, records: int, turns: int) -> Verdict:
    """`records` records of one bucket to an empty tablet, as a snapshot that the server has built before."""
    port, template = free_port(), folder / "server"
    house.make_server(template, data.merged(records, ONE_AREA))
    file, seconds = _built(template)
    floor.fill(folder / "floor.db", PRAGMAS)
    with servers.ours(template, port) as server, servers.floor(folder / "floor.db", free_port(), file) as least:
        home = house.enrol(template, server.url, folder / "tablet").home

        def run_floor() -> Cost:
            run = _emptied(folder / "run")
            return _measured("floor_client", "fill", least, scratch=str(run / "scratch"), target=str(run / "copy"))

        def run_ours() -> Cost:
            copied = house.copy_of(home, _emptied(folder / "run") / "tablet")
            return _measured("tablet_client", "pull", server, home=str(copied), records=records, snapshots=1)

        sides = _in_turns(turns, {"floor": run_floor, "ours": run_ours})
    title = (
        f"first fill with {records:,} records by a snapshot of {file.stat().st_size / table.MB:.1f} MB"
        f" (which took the server {seconds:.2f} s to build, once)"
    )
    print(table.costs(title, list(sides.items())))
    return _told(SNAPSHOT, sides)


def _built(server: Path) -> tuple[Path, float]:
    """The snapshot that ours will find ready, and how long it took."""
    instance = open_instance(Settings(server))
    started = time.perf_counter()
    ready = snapshots.build(instance.database, instance.settings.snapshots, f"area:{ONE_AREA[0]}", instance.epoch)
    taken = time.perf_counter() - started
    instance.close()
    return ready.path, taken


def _batch_sizes(sizes: Sequence[int]) -> list[int]:
    """How many of these changes the tablet sends at a time when every answer is fast."""
    batcher, taken = Batcher(max_count=_DEFAULTS.push_changes, max_bytes=_DEFAULTS.push_bytes), list[int]()
    while sum(taken) < len(sizes):
        taken.append(batcher.take(sizes[sum(taken) :]))
        batcher = batcher.answered(taken[-1], 0.0)
    return taken


def _in_turns(turns: int, runs: Mapping[str, Callable[[], Cost]]) -> dict[str, list[Cost]]:
    """A B A B …; a first turn of each is not counted, because files and modules are cold in it."""
    found: dict[str, list[Cost]] = {name: [] for name in runs}
    for turn in range(turns + 1):
        for name, run in runs.items():
            cost = run()
            if turn:
                found[name].append(cost)
    return found


def _measured(client: str, do: str, server: Server, **task: Any) -> Cost:
    said = run_client(f"benchmarks.{client}", json.dumps({"do": do, "url": server.url, "server": server.group, **task}))
    return Cost(*json.loads(said))


def _told(aim: Aim, sides: Mapping[str, list[Cost]]) -> Verdict:
    print(f"  ours / floor: {table.spread(sides['ours'], sides['floor'])}\n")
    return Verdict(aim, table.ratio(sides["ours"], sides["floor"]))


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _listed(sizes: list[int]) -> str:
    return ", ".join(map(str, sizes))
