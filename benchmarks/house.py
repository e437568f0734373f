"""Our side before a measurement: a server with people and records, tablets that are enrolled and have work to send."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from benchmarks import data
from benchmarks.data import Merged
from field_client.platform import Platform
from field_client.platform.files import EncryptedFiles
from field_client.tablet import Tablet
from field_client.work.search import Search
from server.access import enrolment, rights
from server.config import Settings
from server.instance import Instance, create_instance, open_instance
from server.storage import merkle, people, states
from server.storage.people import Grant, Person
from server.storage.states import Write
from sync.core.change import Change

ORIGIN = "patrolbook.example/bench"
KEY = bytes(range(32))
SEED = bytes(range(32, 64))
OTHER_SEED = bytes(range(64, 96))
AT_ONCE = 10_000


class Enrolled(NamedTuple):
    """A tablet's folder, and the id of the person whose it is."""

    home: Path
    person: str


def make_server(folder: Path, records: Iterable[Merged] = ()) -> None:
    """An empty server, or one that holds these records, put there through the storage functions of a push.

    Only what pulls and snapshots read is filled: states, feed, buckets and log. Pushing a million changes would take
    most of an hour of the benchmark and give the same rows.
    """
    house = create_instance(Settings(folder), ORIGIN)
    waiting = iter(records)
    while some := list(islice(waiting, AT_ONCE)):
        _fill(house, some)
    house.close()


def enrol(
    folder: Path,
    url: str,
    home: Path,
    *,
    seed: bytes = SEED,
    county: str = data.COUNTY,
    platform: Platform | None = None,
) -> Enrolled:
    """A new tablet of a new inspector of a county, enrolled with the server that runs over `folder` at `url`."""
    house = open_instance(Settings(folder))
    now = house.now()
    person = Person(house.keys.new_id(now), "李敏", data.ROLE, now)
    with house.database.write() as conn:
        people.add_person(conn, person)
        rights.grant(conn, Grant(house.keys.new_id(now), person.id, county, data.ROLE, 0, None))
    code = enrolment.invite(house.database, house.keys, person.id, now, house.settings.code_ms)
    house.close()
    tablet = Tablet.create(home, KEY, seed, EncryptedFiles(home / "files", KEY), platform=platform)
    Search(tablet.store)  # its triggers belong to every write of a real tablet
    tablet.enrol(url, code, "T-14")
    tablet.close()
    return Enrolled(home, person.id)


def open_tablet(home: Path, *, seed: bytes = SEED, platform: Platform | None = None) -> Tablet:
    """The tablet in a folder that `enrol` made, or a copy of it."""
    return Tablet.open(home, KEY, seed, EncryptedFiles(home / "files", KEY), platform=platform)


def write_changes(home: Path, changes: Iterable[Change], *, seed: bytes = SEED) -> None:
    """Put changes into the outbox as the tablet does, numbered, chained and signed."""
    tablet = open_tablet(home, seed=seed)
    with tablet.store.writing():
        for change in changes:
            tablet.store.outbox.append(change)
    tablet.close()


def copy_of(folder: Path, target: Path) -> Path:
    """A fresh copy of a prepared folder, replacing what lies there."""
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(folder, target))


def _fill(house: Instance, some: list[Merged]) -> None:
    writes = [Write(one.record, one.kind, 1, one.sum, one.content, f"area:{one.area}") for one in some]
    with house.database.write() as conn:
        merkle.append(conn, "", [data.leaf(one) for one in some])
        merkle.checkpoint(conn, house.keys.open, house.now())
        states.write(conn, writes, {}, house.now())
