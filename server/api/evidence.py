"""Blobs in numbered parts, and back out in ranges or as thumbnails."""

from __future__ import annotations

from flask import Response, request, send_file
from flask_smorest import Blueprint

from custody import codes
from schemas import wire
from server import acts, imaging, originals, uploads
from server.api import door
from server.api.description import BASE, BINARY, header, query, verb
from server.storage import blobs
from sync.core.errors import (
    BrokenFile,
    DeviceRevoked,
    DigestMismatch,
    DiskFull,
    InvalidField,
    NotFound,
    PartConflict,
    PartsMissing,
)
from sync.core.parts import PartPlan

blueprint = Blueprint("evidence", __name__, url_prefix=BASE, description="Photos, video, documents, signatures")

LEAF = "Patrolbook-Leaf"
"""Header of an opened original: where the log says that it was opened, and by whom."""

SHOWN = frozenset({"image/jpeg", "image/png", "image/webp", "video/mp4", "audio/mp4", "application/pdf"})
"""What is sent under its own type; everything else leaves as bytes, so that no browser takes it for a page."""

_DECLARATION = wire.BlobDeclaration()


@verb(
    blueprint,
    "POST",
    "/blobs",
    "Announce a blob: begins an upload, finds it again, or says that it is held",
    takes=wire.BlobDeclaration,
    gives=wire.BlobAnswer,
)
@door.signed(revoked=True)
def announce() -> Response:
    house = door.instance()
    claim = door.checked(_DECLARATION)
    return door.answer(uploads.announce(door.depot(), door.device().id, door.scope(), claim, house.now()))


@verb(
    blueprint,
    "PUT",
    "/blobs/<upload>/parts/<int:number>",
    "Send one part; the same bytes again change nothing",
    takes={"application/octet-stream": {"schema": BINARY}},
    status=204,
    parameters=[header("Content-Digest", "sha-256=:<base64>: of the body (RFC 9530)", required=True)],
    problems=[NotFound, DigestMismatch, PartConflict, DiskFull],
)
@door.signed_stream
def part(upload: str, number: int) -> Response:
    depot = door.depot()
    under_way = uploads.find(depot, door.device().id, upload)
    length = PartPlan(under_way.size, under_way.part_size).part(number).length
    pieces, digest = door.part_body(length)
    uploads.put_part(depot, under_way, number, pieces, digest)
    return Response(status=204)


@verb(
    blueprint,
    "POST",
    "/blobs/<upload>/complete",
    "Join the parts, recompute the SHA-256, get the receipt",
    gives=wire.BlobHeld,
    problems=[NotFound, PartsMissing, DigestMismatch, DiskFull],
)
@door.signed(revoked=True)
def complete(upload: str) -> Response:
    house = door.instance()
    return door.answer(uploads.complete(door.depot(), door.device().id, upload, house.now()))


@verb(
    blueprint,
    "GET",
    "/blobs/<name>",
    "By upload id: how far it is. By SHA-256: the bytes, where a record in scope names them",
    gives={"application/json": {"schema": wire.UploadState}, "application/octet-stream": {"schema": BINARY}},
    parameters=[
        query("width", "A thumbnail of this width instead", {"type": "integer", "enum": list(imaging.WIDTHS)}),
        header("Range", "Bytes wanted"),
    ],
    problems=[NotFound, DeviceRevoked, BrokenFile],
)
@door.signed(revoked=True)
def fetch(name: str) -> Response:
    house = door.instance()
    if name.startswith(uploads.PREFIX):
        return door.answer(uploads.progress(door.depot(), door.device().id, name))
    if door.device().revoked is not None:
        raise DeviceRevoked()
    path = house.files.path(name)
    scope = door.scope()
    with house.database.read() as conn:
        blob = blobs.get(conn, name) if blobs.visible(conn, name, *scope) else None
    if blob is None:
        raise NotFound(what=name)
    width = _width()
    if width is not None:
        path = imaging.thumbnail(path, house.settings.derived, name, width)
    media_type = "image/jpeg" if width else blob.mime if blob.mime in SHOWN else "application/octet-stream"
    tag = f"{name}-{width}" if width else name
    response = send_file(path.absolute(), mimetype=media_type, conditional=True, etag=tag)
    response.headers["Content-Disposition"] = "inline" if media_type in SHOWN else "attachment"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    if width is None:
        # In the log before the first byte leaves: what raises here answers 503, and nothing was sent. No cache may
        # keep it, or the next opening would go unseen.
        response.headers[LEAF] = str(_opened(name, request.headers.get("Range")))
        response.cache_control.no_store = True
        return response
    response.cache_control.private = True
    response.cache_control.immutable = True
    response.cache_control.max_age = 31_536_000
    return response


def _opened(sha256: str, wanted: str | None) -> int:
    """Write into the log that this device opens an original; returns the act's position."""
    house, device, voice = door.instance(), door.device(), door.voice()
    with house.database.write() as conn:
        act = acts.append(
            conn, voice.compartment, acts.OPENED, house.now(),
            blob=sha256, by=device.person, device=device.id, range=wanted,
        )  # fmt: skip
    return act.leaf


@verb(
    blueprint,
    "GET",
    "/evidence/<code>",
    "The original that the verification code on a watermarked copy leads to",
    gives=wire.EvidenceFound,
    problems=[NotFound, InvalidField],
)
@door.signed()
def original(code: str) -> Response:
    found = originals.by_code(door.instance(), codes.read(code), door.scope())
    return door.answer(found._asdict())


def _width() -> int | None:
    text = request.args.get("width")
    if text is None:
        return None
    if text not in {str(width) for width in imaging.WIDTHS}:
        raise InvalidField(field="width", detail=f"is one of {', '.join(map(str, imaging.WIDTHS))}")
    return int(text)
