"""Taking in a courier: the changes and blobs of a tablet that no network reached, or that had to be rescued.

The courier must be signed by a device that is enrolled here, with its own key. Its changes then go the way of every
push: same checks, same dispositions, same log. Taking it twice changes nothing.
"""

from __future__ import annotations

import tempfile
from base64 import b64encode
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from schemas.labels import Label
from server.access.rights import compartment_of, rights_at
from server.exchange import intake, uploads
from server.instance import Instance
from server.storage import blobs, people
from server.storage.people import Device
from sync import courier
from sync.core.change import canonical
from sync.core.errors import BadCourier, ReplicaForked
from sync.courier import Carried, Courier, Parcel


class Taken(NamedTuple):
    """What came of it. `waiting`: changes that are parked or quarantined; `lost`: what the tablet could not read."""

    changes: int
    known_changes: int
    blobs: int
    known_blobs: int
    waiting: int
    lost: list[str]


def take(house: Instance, file: Path, passphrase: Callable[[], str]) -> Taken:
    """Take a courier file in. Raises BadCourier, Refused (wrong passphrase), DiskFull; what was taken before stays."""
    if not file.is_file():
        raise BadCourier(file=file.name, detail=Label("没有这个文件", "there is no such file"))
    with open(file, "rb") as opened:
        if not courier.is_locked(opened):
            return _take(house, opened, file.name)
        with tempfile.TemporaryFile(prefix="patrolbook-") as scratch:
            courier.unlock(opened, passphrase(), cast(BinaryIO, scratch), file.name)
            return _take(house, cast(BinaryIO, scratch), file.name)


def _take(house: Instance, file: BinaryIO, name: str) -> Taken:
    found = Courier.read(file, name)
    with house.database.read() as conn:
        device = people.device(conn, found.manifest.device)
    if device is None or device.key != found.manifest.key:
        raise BadCourier(
            file=name, detail=Label("制作它的平板没有在此登记", "the tablet that made it is not enrolled here")
        )
    taker = _Taker(house, device)
    taken = courier.take(found, taker)
    lost = [f"{one.what}: {one.detail}" for one in found.manifest.lost]
    return Taken(taken.changes, taken.known_changes, taken.blobs, taken.known_blobs, taker.waiting, lost)


class _Taker:
    """What `sync.courier.take` hands blobs and changes to."""

    def __init__(self, house: Instance, device: Device) -> None:
        self.house, self.device, self.waiting = house, device, 0
        with house.database.read() as conn:
            self.voice = house.keys.voice(compartment_of(conn, device))

    def has_blob(self, sha256: str) -> bool:
        with self.house.database.read() as conn:
            return not blobs.missing(conn, [sha256])

    def take_blob(self, parcel: Parcel, stream: BinaryIO) -> None:
        house = self.house
        size = house.files.put(parcel.sha256, stream)
        depot = house.depot(self.voice.compartment)
        uploads.take_whole(depot, self.device.id, parcel.sha256, size, parcel.mime, parcel.role, house.now())

    def take_changes(self, carried: list[Carried]) -> int:
        """Push them as runs of the device; returns how many were new."""
        house, device = self.house, self.device
        runs = _runs(carried)
        with house.database.write() as conn:
            for replica in {run[0].link.replica for run in runs}:
                if people.register_replica(conn, replica, device.id, house.now()) != device.id:
                    raise ReplicaForked(replica=replica)
            rights = rights_at(conn, device)
        answer = intake.push(
            house.database,
            house.registry,
            house.projections,
            self.voice,
            epoch=house.epoch,
            device=device.id,
            public_key=device.key,
            rights=rights,
            owner_of=people.owner_of,
            body=_body(house.epoch, runs),
            now=house.now(),
        )
        fresh = [one for one in answer["results"] if not one.get("duplicate")]
        self.waiting += sum(one["status"] != "accepted" for one in fresh)
        return len(fresh)


def _runs(carried: list[Carried]) -> list[list[Carried]]:
    """Consecutive changes of one replica, as a push wants them."""
    runs = [[carried[0]]]
    for before, after in pairwise(carried):
        if (after.link.replica, after.link.n) == (before.link.replica, before.link.n + 1):
            runs[-1].append(after)
        else:
            runs.append([after])
    return runs


def _body(epoch: str, runs: list[list[Carried]]) -> bytes:
    header = {
        "epoch": epoch,
        "runs": [
            {
                "replica": run[0].link.replica,
                "n": run[0].link.n,
                "prev": run[0].link.prev,
                "sigs": [b64encode(one.link.signature).decode() for one in run],
            }
            for run in runs
        ],
    }
    return b"\n".join([canonical(header), *(one.change.content for run in runs for one in run), b""])
