"""Where the time goes: the server's and the tablet's part of a push and a pull under cProfile, without HTTP.

The profiler makes every call dearer, so small functions look worse than they are; read the order, not the seconds. The
line above each table has the plain time per record, measured without it.
"""

from __future__ import annotations

import cProfile
import io
import pstats
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from benchmarks import data, floor, house, servers
from benchmarks.processes import free_port
from field_client.tablet import Tablet
from server import intake, outflow
from server.access.rights import rights_at
from server.config import Settings
from server.instance import Instance, open_instance
from server.storage import people
from sync.core import receipts
from sync.core.note import Verifier
from sync.peer import Batch, Page, PushAnswer, TailReceipt

TOP = 15
_DEFAULTS = Settings(Path())
_HERE = Path(__file__).resolve().parent.parent

Work = Callable[[], None]


def profile(folder: Path, records: int) -> None:
    """Print the four profiles."""
    house_folder, home = folder / "server", folder / "tablet"
    house.make_server(house_folder)
    with servers.ours(house_folder, free_port()) as server:
        enrolled = house.enrol(house_folder, server.url, home)
        tablet = house.open_tablet(home)
        tablet.peer().register(tablet.store.replica)
        tablet.close()
    house.write_changes(home, data.changes(records, enrolled.person))
    for profiled in (False, True):
        run = folder / ("profiled" if profiled else "plain")
        instance = open_instance(Settings(house.copy_of(house_folder, run / "server")))
        tablet = house.open_tablet(house.copy_of(home, run / "tablet"))
        exchange = _Exchange(instance, tablet)
        for name, work in exchange.parts():
            if profiled:
                _print_profile(name, records, work, told[name])
            else:
                told = {} if name == _Exchange.FIRST else told
                told[name] = _timed(work) / records
        tablet.close()
        instance.close()


class _Exchange:
    """A push of the whole outbox and a pull of what it made, cut into the parts of each side."""

    FIRST = "tablet, push: read, pack into lines"

    def __init__(self, instance: Instance, tablet: Tablet) -> None:
        self.instance, self.tablet = instance, tablet
        self.batches: list[Batch] = []
        self.bodies: list[bytes] = []
        self.answers: list[Any] = []
        self.pages: list[bytes] = []

    def parts(self) -> Iterator[tuple[str, Work]]:
        """(name, what to do), to be done in this order."""
        yield self.FIRST, self.read_outbox
        yield "server, push: intake.push", self.take
        yield "tablet, push: verify receipts, mark acknowledged", self.acknowledge
        yield "server, pull: outflow.pull", self.give
        yield "tablet, pull: parse, apply", self.apply

    def read_outbox(self) -> None:
        store = self.tablet.store
        sizes = list(store.database.rows("SELECT length(content) FROM changes ORDER BY seq"))
        for count in floor.batch_sizes([size for (size,) in sizes], _DEFAULTS.push_changes, _DEFAULTS.push_bytes):
            batch = store.batch(count)
            self.batches.append(batch)
            self.bodies.append(batch.body())
            # as the acknowledgement will do, so that the next batch is another one
            store.database.run("UPDATE changes SET status = 'dead' WHERE seq IN"
                               " (SELECT seq FROM changes WHERE status = 'queued' ORDER BY seq LIMIT ?)", (count,))  # fmt: skip
        store.database.run("UPDATE changes SET status = 'queued'")

    def take(self) -> None:
        own, house_ = self.tablet.identity, self.instance
        assert own is not None
        with house_.database.read() as conn:
            device = people.device(conn, own.device)
            assert device is not None
            rights = rights_at(conn, device)
        for body in self.bodies:
            self.answers.append(intake.push(
                house_.database, house_.registry, house_.projections, house_.keys, epoch=house_.epoch,
                device=device.id, public_key=device.key, rights=rights, owner_of=people.owner_of, body=body,
                now=house_.now(),
            ))  # fmt: skip
