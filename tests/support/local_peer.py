"""A server's functions as a `sync.peer.Peer`, called in this process without HTTP.

What lies between the two peers of the contract test is exactly HTTP: signatures, encodings, statuses, framing.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from hashlib import sha256 as digest_of
from typing import Any, BinaryIO

from custody import codes
from server.access import enrolment
from server.access.rights import Scope, compartment_of, rights_at, scope_of
from server.evidence import imaging, openings, originals
from server.exchange import intake, leases, outflow, uploads
from server.exchange.uploads import Depot
from server.instance import Instance
from server.keys import Voice
from server.proofs import trusts, witnesses
from server.storage import journal, merkle, people, snapshots
from server.storage.people import Device
from sync.core.errors import DeviceRevoked, NotAuthenticated, NotFound, ReplicaForked
from sync.peer import (
    Batch,
    BlobOffer,
    BlobReceipt,
    Enrolment,
    Grant,
    Held,
    Hello,
    Lease,
    LeaseClaim,
    Limits,
    LogKey,
    Original,
    Page,
    Person,
    PullRequest,
    PushAnswer,
    Result,
    TailReceipt,
    Traffic,
    TrustFile,
    Unlocking,
    Upload,
)


class LocalPeer:
    """The server `house` as the device `id` sees it; an empty id before it is enrolled."""

    def __init__(self, house: Instance, id: str = "") -> None:
        self.house = house
        self.id = id
        self.traffic = Traffic()

    def hello(self) -> Hello:
        house = self.house
        limits = {name: getattr(house.settings, name) for name in Limits._fields if hasattr(house.settings, name)}
        logs = tuple(LogKey(one.origin, one.log_public) for one in house.keys.voices.values())
        return Hello(
            house.epoch, house.now(), logs, Limits.of(limits), {one.kind: one.version for one in house.registry}
        )

    def enrol(self, code: str, public_key: bytes, name: str, model: str, proof: bytes) -> Enrolment:
        claim = {"code": code, "key": _text(public_key), "name": name, "model": model, "proof": _text(proof)}
        told = enrolment.enrol(self.house.database, self.house.keys, claim, self.house.now())
        hello = self.hello()
        person = Person(told.person.id, told.person.name, told.person.role)
        grants = tuple(Grant(one.area, one.role, one.until) for one in told.grants)
        voice = self.house.keys.voice(told.compartment)
        log = LogKey(voice.origin, voice.log_public)
        return Enrolment(told.device.id, person, grants, hello.epoch, log, hello.time_ms)

    def trust(self) -> TrustFile:
        held = trusts.published(self.house.settings)
        if held is None:
            raise NotFound(what="trust")
        return TrustFile(held.content, held.signature, held.root)

    def lease(self, claim: LeaseClaim) -> Lease:
        said = {"contact": _text(claim.contact), "key": _text(claim.key), "recovery": claim.recovery}
        return _lease(leases.renew(self.house, self._device(), said, self.house.now()))

    def unlock(self, unlocking: Unlocking) -> Lease:
        asked = {"at": unlocking.at_ms, "nonce": unlocking.nonce, "proof": _text(unlocking.proof)}
        return _lease(leases.unlock(self.house, self._device(), asked, self.house.now()))

    def register(self, replica: str) -> None:
        with self.house.database.write() as conn:
            if people.register_replica(conn, replica, self._device(True).id, self.house.now()) != self.id:
                raise ReplicaForked(replica=replica)

    def push(self, batch: Batch) -> PushAnswer:
        house, device = self.house, self._device(True)
        with house.database.read() as conn:
            rights = rights_at(conn, device)
        told = intake.push(
            house.database, house.registry, house.projections, self._voice(), epoch=house.epoch, device=device.id,
            public_key=device.key, rights=rights, owner_of=people.owner_of, body=batch.body(), now=house.now(),
        )  # fmt: skip
        log = told["log"]
        receipt = TailReceipt(log["before"], _proof(log["frontier"]), tuple(log["leaves"]), log["checkpoint"])
        return PushAnswer(told["epoch"], tuple(Result(**one) for one in told["results"]), receipt)

    def pull(self, request: PullRequest) -> Page:
        house, scope = self.house, self._scope()
        log = {"size": request.log_size} if request.log_size is not None else None
        wanted = {"epoch": request.epoch, "cursors": request.cursors, "limit_bytes": request.limit_bytes, "log": log}
        page = outflow.pull(
            house.database, self._voice(), epoch=house.epoch, prefixes=scope.prefixes, exact=scope.exact, request=wanted,
            now=house.now(),
        )  # fmt: skip
        return Page.read(page.splitlines())

    def snapshot(self, bucket: str, into: BinaryIO) -> None:
        house = self.house
        if not self._scope().covers(bucket):
            raise NotFound(what=bucket)
        built = snapshots.build(house.database, house.settings.snapshots, bucket, house.epoch)
        into.truncate(0)
        into.write(built.path.read_bytes())
        into.flush()

    def have(self, ids: Sequence[str]) -> list[str]:
        with self.house.database.read() as conn:
            return list(journal.lacking(conn, list(ids), self._voice().compartment))

    def offer(self, blob: BlobOffer) -> Upload | Held:
        self._device(True)
        told = uploads.announce(self._depot(), self.id, self._scope(True), blob._asdict(), self.house.now())
        return _held(told) if told.get("held") else Upload(told["upload"], told["part_size"], tuple(told["have"]))

    def put_part(self, upload: str, number: int, content: bytes) -> None:
        found = uploads.find(self._depot(), self.id, upload)
        uploads.put_part(self._depot(), found, number, [content], digest_of(content).digest())

    def upload(self, upload: str) -> Upload:
        told = uploads.progress(self._depot(), self.id, upload)
        return Upload(told["upload"], told["part_size"], tuple(told["have"]))

    def complete(self, upload: str) -> Held:
        return _held(uploads.complete(self._depot(), self.id, upload, self.house.now()))

    def blob(self, sha256: str, width: int | None = None, start: int = 0, purpose: str = "") -> bytes:
        path, device = self.house.files.path(sha256), self._device()
        found = openings.find(self.house, device, self._scope(), sha256)
        if width is not None:
            path = imaging.thumbnail(path, self.house.settings.derived, sha256, width)
        part, span = (str(width), None) if width else (openings.ORIGINAL, (start, found.blob.size - 1))
        openings.enter(self.house, device, found, part=part, span=span, purpose=purpose)
        return path.read_bytes()[start:]

    def original(self, code: str) -> Original:
        found = originals.by_code(self.house, codes.read(code), self._scope())
        return Original(found.id, found.values, found.held, tuple(found.copies))

    def checkpoint(self) -> str:
        voice = self._voice()
        with self.house.database.read() as conn:
            return merkle.checkpoint(conn, voice, self.house.now())

    def witnessed(self) -> str:
        voice, trust = self._voice(), witnesses.trusted(self.house)
        with self.house.database.read() as conn:
            note = witnesses.newest_witnessed(conn, voice, trust) if trust is not None else None
        if note is None:
            raise NotFound(what="witnessed")
        return note

    def inclusion(self, size: int, leaves: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
        log = self._voice().compartment
        with self.house.database.read() as conn:
            return {leaf: tuple(merkle.inclusion(conn, log, leaf, size)) for leaf in leaves}

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        log = self._voice().compartment
        with self.house.database.read() as conn:
            return tuple(merkle.consistency(conn, log, old, new))

    def _voice(self) -> Voice:
        with self.house.database.read() as conn:
            return self.house.keys.voice(compartment_of(conn, self._device(True)))

    def _depot(self) -> Depot:
        return self.house.depot(self._voice().compartment)

    def _device(self, revoked_may: bool = False) -> Device:
        with self.house.database.read() as conn:
            found = people.device(conn, self.id)
        if found is None:
            raise NotAuthenticated()
        if found.revoked is not None and not revoked_may:
            raise DeviceRevoked()
        return found

    def _scope(self, revoked_may: bool = False) -> Scope:
        device = self._device(revoked_may)
        with self.house.database.read() as conn:
            return scope_of(conn, device, self.house.now())


def _lease(told: dict[str, Any]) -> Lease:
    return Lease(b64decode(told["share"]), told["granted"], told["expires"])


def _held(told: dict[str, Any]) -> Held:
    receipt = told["receipt"]
    return Held(BlobReceipt(receipt["act"], receipt["leaf"], _proof(receipt["proof"]), receipt["checkpoint"]))


def _proof(told: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(map(b64decode, told))


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()
