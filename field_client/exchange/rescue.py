"""Everything of a tablet into a courier, and a courier of another tablet into this one.

`pack` takes whatever can be read: all own changes with their signatures and every blob, those that no record names
included. It needs the keys and nothing else: no network, no enrolment, not even a sound database. What cannot be read
is listed in the courier's manifest. A courier holds about 10,000 blobs; a tablet with more fills several.

`unpack` makes this tablet carry the other one's work: blobs are stored here, and changes that no server had
acknowledged join this tablet's outbox and are shown at once. Ids and contents stay, so when the first tablet comes back
to life the server knows them again. On the wire they are then signed by this tablet; the courier keeps the signatures
of the first.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody.media import HEAD_BYTES, UNKNOWN, identify
from field_client.evidence.derivatives import CaptureFiles
from field_client.platform import database
from field_client.platform.files import EncryptedFiles
from field_client.platform.keys import Secrets
from field_client.platform.salvage import Salvage, copy_of
from field_client.tablet import DATABASE, PRACTICE, Tablet
from schemas.labels import Label
from sync import courier
from sync.core import clock as stamps
from sync.core.change import Change, Link, signature_input
from sync.core.errors import BadCourier, Problem, Refused
from sync.courier import Carried, Courier, Lost, Maker, Manifest, Parcel
from sync.peer import Role

BLOBS = "blobs"
_CHANGE = ("content", "replica", "n", "prev", "sig", "leaf")
_BLOB = ("sha256", "mime", "role", "name")

Volume = Callable[[int], AbstractContextManager[BinaryIO]]
"""Opens the n-th courier file, from 1, for writing."""


def pack(home: Path, secrets: Secrets, made_ms: int, volume: Volume) -> list[Manifest]:
    """Write everything of the tablet in `home` into couriers, one for each volume that is needed.

    :raises Refused: it is practice, which is carried nowhere; DiskFull, OSError: of the volume
    """
    files = EncryptedFiles(home / BLOBS, secrets.derived(BLOBS))
    device = Ed25519PrivateKey.from_private_bytes(secrets.seed)
    with _salvage(home / DATABASE, secrets.database_key) as salvage:
        if any(json.loads(value) is True for (value,) in salvage.all("meta", "SELECT value FROM meta WHERE key = 'practice'")):
            raise Refused(detail=PRACTICE)
        maker = Maker(_device_id(salvage), device.public_key().public_bytes_raw(), device.sign)
        parcels = _parcels(salvage, files)
        lost: list[Lost] = []
        manifests = []
        for number, start in enumerate(range(0, max(1, len(parcels)), courier.MOST_BLOBS), start=1):
            changes = _changes(salvage, device, lost) if number == 1 else iter(())
            some = parcels[start : start + courier.MOST_BLOBS]
            told = _told(salvage, lost) if number == 1 else iter(())
            with volume(number) as out:
                manifests.append(courier.write(out, maker, made_ms, changes, some, files.open, told))
    return manifests


@contextmanager
def _salvage(path: Path, key: bytes) -> Iterator[Salvage]:
    """A copy of the database; made while nobody writes where the database is sound enough to be locked."""
    problem = None
    with tempfile.TemporaryDirectory(prefix="patrolbook-") as scratch:
        try:
            with closing(database.open_existing(path, key)) as opened, opened.writing():
                copy = copy_of(path, Path(scratch))
        except Problem as caught:
            problem = caught
            copy = copy_of(path, Path(scratch))
        with closing(Salvage(copy, key)) as salvage:
            if problem is not None:
                salvage.note(DATABASE, str(problem))
            yield salvage


def _device_id(salvage: Salvage) -> str:
    for (text,) in salvage.all("meta", "SELECT value FROM meta WHERE key = 'identity'"):
        return str(json.loads(text)["device"])
    return ""


def _parcels(salvage: Salvage, files: EncryptedFiles) -> list[Parcel]:
    """Every blob: those that the database knows, in their order, then the files that nothing names."""
    records: dict[str, list[str]] = {}
    for record, sha256 in salvage.all("uses", "SELECT record, sha256 FROM uses ORDER BY record"):
        records.setdefault(sha256, []).append(record)
    gone = {sha256 for (sha256,) in salvage.all("removals", "SELECT sha256 FROM removals")}  # the server holds them
    here = set(files.list())
    known = {row[0]: row for row in salvage.rows("blobs", _BLOB) if row[0] in here or row[0] not in gone}
    found = [Parcel._make([*row, tuple(records.get(sha256, ()))]) for sha256, row in known.items()]
    left = sorted(here - known.keys())
    return found + [Parcel(sha256, _mime(files, sha256), "original", "", ()) for sha256 in left]


def _mime(files: EncryptedFiles, sha256: str) -> str:
    try:
        with files.open(sha256) as original:
            return identify(original.read(HEAD_BYTES))
    except Problem:  # said again, as lost, when it is to be packed
        return UNKNOWN


def _changes(salvage: Salvage, device: Ed25519PrivateKey, lost: list[Lost]) -> Iterator[Carried]:
    key = device.public_key()
    for content, replica, n, prev, signature, leaf in salvage.rows("changes", _CHANGE):
        change, link = Change.stored(content), Link(replica, n, prev, signature)
        try:
            key.verify(signature, signature_input(link.chain(change.hash)))
        except InvalidSignature:  # one such change would make the whole courier untrustworthy
            lost.append(Lost(f"change {change.id}", "its signature does not match"))
            continue
        yield Carried(change, link, -1 if leaf is None else leaf)


def _told(salvage: Salvage, lost: list[Lost]) -> Iterator[Lost]:
    """Read last, when everything else has been."""
    yield from lost
    for table, number, detail in salvage.lost:
        yield Lost(f"{table} {number}" if number else table, detail)


# --- taking in -------------------------------------------------------------------------------------------------------


class Unpacked(NamedTuple):
    """What came of a courier: new things, and those that were here or at the server already."""

    manifest: Manifest
    taken: courier.Taken


def unpack(tablet: Tablet, file: BinaryIO, name: str, passphrase: Callable[[], str]) -> Unpacked:
    """Take the courier of another tablet in; `passphrase` is asked only where it is locked.

    :raises BadCourier: changed, cut, or no courier; what was taken before that is whole and stays
    :raises Refused: not its passphrase
    :raises DiskFull:
    """
    if not courier.is_locked(file):
        return _take(tablet, file, name)
    # Nameless, so that what is decrypted goes with this program, however it ends.
    with tempfile.TemporaryFile(dir=tablet.home) as scratch:
        courier.unlock(file, passphrase(), scratch, name)
        return _take(tablet, scratch, name)


def _take(tablet: Tablet, file: BinaryIO, name: str) -> Unpacked:
    opened = Courier.read(file, name)
    return Unpacked(opened.manifest, courier.take(opened, _Taker(tablet, name)))


class _Taker:
    """`sync.courier.Taker` for a tablet."""

    def __init__(self, tablet: Tablet, name: str) -> None:
        self._tablet = tablet
        self._files = cast(CaptureFiles, tablet.files)
        self._name = name

    def has_blob(self, sha256: str) -> bool:
        try:
            self._tablet.store.uploads.offer(sha256)
            return self._files.size(sha256) > 0
        except Problem:
            return False

    def take_blob(self, parcel: Parcel, stream: BinaryIO) -> None:
        stored = self._files.add(stream, parcel.sha256[:12])
        for record in parcel.records or ("",):
            self._tablet.attach(record, stored.sha256, stored.size, parcel.mime, cast(Role, parcel.role), parcel.name)

    def take_changes(self, carried: list[Carried]) -> int:
        store = self._tablet.store
        with store.writing():
            new = [one.change for one in carried if one.leaf < 0 and not self._known(one.change)]
            newest, _ = store.time()
            for change in new:
                store.outbox.append(change)
                newest = stamps.receive(newest, change.hlc, store.clock.wall_ms(), None)
            store.database.run("UPDATE replica SET hlc = ?", (newest,))
            store.touch({store.pulled.root(change.record) for change in new})
        return len(new)

    def _known(self, change: Change) -> bool:
        row = self._tablet.store.database.row("SELECT hash FROM changes WHERE id = ?", (change.id,))
        if row is not None and row[0] != change.hash:
            detail = Label("有变更与平板上的同号而内容不同", "a change here has the same id and other content")
            raise BadCourier(file=self._name, detail=detail)
        return row is not None
