"""Taking blobs in: announce, send numbered parts in any order, complete, get a receipt.

Safe at every point of a crash: a part has its name only when it is whole and on the disk; a blob has its name only when
its bytes, read back, have its SHA-256; the row and the log's act follow in one transaction; parts go last. Whatever
was not reached is done again by the same request.

A tablet is told that a blob is held already only when it sent it itself or a record that it may read names it: to
anybody else that would say that somebody, somewhere, has this file. Stored it is once all the same.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from schemas.labels import Label
from server.access.rights import Scope
from server.config import Settings
from server.keys import ServerKeys, Voice
from server.storage import blobs, merkle
from server.storage.blobfiles import BlobFiles
from server.storage.blobs import Blob, Holding, Upload
from server.storage.database import Connection, Database
from sync.core.change import canonical
from sync.core.errors import DigestMismatch, InvalidField, NotFound, PartConflict, PartsMissing
from sync.core.parts import PartPlan

PREFIX = "u-"


class Depot(NamedTuple):
    """Where blobs are taken in; `voice` is that of the compartment that they come from."""

    database: Database
    files: BlobFiles
    voice: Voice
    settings: Settings

    @property
    def log(self) -> str:
        return self.voice.compartment


def announce(depot: Depot, device: str, scope: Scope, claim: Mapping[str, Any], now: int) -> dict[str, Any]:
    """Begin an upload, or find the one that the device has begun, or say that the blob is held.

    claim: a `schemas.wire.BlobDeclaration`. Raises InvalidField (too large, too many parts).
    """
    sha256, size = claim["sha256"], claim["size"]
    if size > depot.settings.blob_bytes:
        most = depot.settings.blob_bytes
        raise InvalidField(field="size", detail=Label(f"超过上限 {most} 字节", f"is larger than {most} bytes"))
    with depot.database.read() as conn:
        known = blobs.upload_of(conn, device, sha256)
        mine = known is not None and known.completed is not None
        if mine or blobs.visible(conn, sha256, *scope):
            held, holding = blobs.get(conn, sha256), blobs.holding(conn, sha256, depot.log)
            # A tablet may remove its copy on this word, so the disk is looked at; what is gone is sent again.
            if held is not None and holding is not None and depot.files.has(sha256, held.size):
                if not mine:
                    _vouch(depot, device, held, now)
                return {"held": True, "receipt": receipt(depot, conn, holding, now)}
    upload = known if known is not None and known.completed is None else _begin(depot, device, claim, now)
    return {"upload": upload.id, "part_size": upload.part_size, "have": depot.files.parts(upload.id)}


def find(depot: Depot, device: str, id: str) -> Upload:
    """A device's own upload. Raises NotFound, also for another device's."""
    with depot.database.read() as conn:
        upload = blobs.upload(conn, id)
    if upload is None or upload.device != device:
        raise NotFound(what=id)
    return upload


def progress(depot: Depot, device: str, id: str) -> dict[str, Any]:
    """How far an upload is."""
    upload = find(depot, device, id)
    plan = PartPlan(upload.size, upload.part_size)
    have = list(range(1, plan.count + 1)) if upload.completed is not None else depot.files.parts(id)
    return {"upload": id, "sha256": upload.sha256, "size": upload.size, "part_size": upload.part_size, "have": have}


def put_part(depot: Depot, upload: Upload, number: int, pieces: Iterable[bytes], claimed: bytes) -> None:
    """Take one part. Raises NotFound (no such part), DigestMismatch, PartConflict, DiskFull."""
    part = PartPlan(upload.size, upload.part_size).part(number)
    if upload.completed is None:
        depot.files.put_part(upload.id, number, part.length, pieces, claimed)
        return
    for _ in pieces:  # a late repetition; what it would bring is in the blob
        pass
    if depot.files.part_of_blob(upload.sha256, part.offset, part.length) != claimed:
        raise PartConflict(part=number)


def complete(depot: Depot, device: str, id: str, now: int) -> dict[str, Any]:
    """Join the parts, recompute the SHA-256, log that the blob is held, and answer with the receipt.

    Raises PartsMissing, DiskFull, or DigestMismatch: then the upload is dropped, for its parts make another file.
    """
    upload = find(depot, device, id)
    if upload.completed is None:
        with depot.files.assembling(id):
            upload = find(depot, device, id)  # it may have been completed while we waited
            if upload.completed is None:
                _assemble(depot, upload)
                with depot.database.write() as conn:
                    _hold(depot, conn, upload, now)
        depot.files.drop_parts(id)
    with depot.database.read() as conn:
        holding = blobs.holding(conn, upload.sha256, depot.log)
        if holding is None:
            raise NotFound(what=upload.sha256)
        return {"sha256": upload.sha256, "size": upload.size, "receipt": receipt(depot, conn, holding, now)}


def take_whole(depot: Depot, device: str, sha256: str, size: int, mime: str, role: str, now: int) -> None:
    """Log a blob whose file was put in place in one piece, as from a device's courier."""
    with depot.database.write() as conn:
        _note(depot, conn, sha256, size, mime, role, now)
    with depot.database.read() as conn:
        held = blobs.get(conn, sha256)
    if held is not None:
        _vouch(depot, device, held, now)


def take_made(depot: Depot, conn: Connection, record: str, sha256: str, size: int, mime: str, now: int) -> None:
    """Log a file that the server made itself for a record, and whose bytes are in place; inside a write transaction."""
    _note(depot, conn, sha256, size, mime, "preview", now)
    blobs.note_made(conn, sha256, record)


def receipt(depot: Depot, conn: Connection, holding: Holding, now: int) -> dict[str, Any]:
    """The log's act about a blob, with the proof that the newest checkpoint contains it."""
    proof = merkle.inclusion(conn, depot.log, holding.leaf, merkle.size(conn, depot.log))
    return {
        "act": holding.act.decode(),
        "leaf": holding.leaf,
        "proof": [b64encode(one).decode() for one in proof],
        "checkpoint": merkle.checkpoint(conn, depot.voice, now),
    }


def expire(depot: Depot, now: int) -> list[str]:
    """Drop uploads that nobody went on with, and what crashes left behind; returns the ids of the uploads dropped.

    An upload that any change names is kept: after the tablet was lost, its parts may be all that is left of a video.
    """
    limit = now - depot.settings.upload_ms
    dropped = []
    with depot.database.read() as conn:
        waiting = {one.id: one for one in blobs.under_way(conn)}
        wanted = {one.id for one in waiting.values() if blobs.mentioned(conn, one.sha256)}
    for id, upload in waiting.items():
        touched = depot.files.last_touched(id) or upload.begun
        if id not in wanted and max(touched, upload.begun) < limit:
            with depot.database.write() as conn:
                blobs.drop(conn, id)
            depot.files.drop_parts(id)
            dropped.append(id)
    for folder in depot.files.folders():
        if folder not in waiting and _finished(depot, folder):
            depot.files.drop_parts(folder)
    depot.files.sweep(now - 86_400_000)
    return dropped


def _begin(depot: Depot, device: str, claim: Mapping[str, Any], now: int) -> Upload:
    part_size = min(claim["part_size"], depot.settings.body_bytes)
    PartPlan(claim["size"], part_size)  # raises InvalidField
    new = Upload(
        PREFIX + ServerKeys.new_id(now), device, claim["sha256"], claim["size"], claim["mime"], part_size,
        claim["role"], claim["name"], now, None,
    )  # fmt: skip
    with depot.database.write() as conn:
        other = blobs.upload_of(conn, device, new.sha256)  # the same request may be under way twice
        if other is not None and other.completed is None:
            return other
        blobs.begin(conn, new)
    return new


def _vouch(depot: Depot, device: str, blob: Blob, now: int) -> None:
    """Note that a device has the bytes of a blob although it did not need to send them in parts."""
    upload = Upload(
        PREFIX + ServerKeys.new_id(now), device, blob.sha256, blob.size, blob.mime, blob.size, blob.role, "", now, now
    )
    with depot.database.write() as conn:
        blobs.begin(conn, upload)


def _assemble(depot: Depot, upload: Upload) -> None:
    plan = PartPlan(upload.size, upload.part_size)
    missing = plan.missing(depot.files.parts(upload.id))
    if missing:
        raise PartsMissing(missing=len(missing), numbers=missing[:100])
    try:
        depot.files.assemble(upload.id, plan.count, upload.sha256, upload.size)
    except DigestMismatch:
        with depot.database.write() as conn:
            blobs.drop(conn, upload.id)
        depot.files.drop_parts(upload.id)
        raise


def _hold(depot: Depot, conn: Connection, upload: Upload, now: int) -> None:
    _note(depot, conn, upload.sha256, upload.size, upload.mime, upload.role, now)
    blobs.finish(conn, upload.id, now)


def _note(depot: Depot, conn: Connection, sha256: str, size: int, mime: str, role: str, now: int) -> None:
    """The blob's row, and the log's act about it: once in each log, however many tablets send it."""
    if blobs.get(conn, sha256) is None:
        blobs.hold(conn, Blob(sha256, size, mime, role, now))
    if blobs.holding(conn, sha256, depot.log) is None:
        act = canonical({"act": "blob-held", "at": now, "sha256": sha256, "size": size, "v": 1})
        leaf = merkle.append_act(conn, depot.log, act)
        blobs.note_holding(conn, Holding(sha256, depot.log, act, leaf))


def _finished(depot: Depot, id: str) -> bool:
    with depot.database.read() as conn:
        upload = blobs.upload(conn, id)
    return upload is None or upload.completed is not None
