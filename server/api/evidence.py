"""Blobs in numbered parts, and back out in ranges or as thumbnails."""

from __future__ import annotations

from pathlib import Path

from flask import Response, request, send_file
from flask_smorest import Blueprint

from custody import codes
from schemas import wire
from server.api import door
from server.api.description import BASE, BINARY, header, query, verb
from server.evidence import imaging, openings, originals
from server.exchange import uploads
from sync.core.errors import (
    BrokenFile,
    DeviceRevoked,
    DigestMismatch,
    DiskFull,
    InvalidField,
    NotFound,
    NotLogged,
    NotReceived,
    PartConflict,
    PartsMissing,
    PastDue,
)
from sync.core.parts import PartPlan

blueprint = Blueprint("evidence", __name__, url_prefix=BASE, description="Photos, video, documents, signatures")

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
        query("purpose", "What a restricted original is opened for; kept in the log", {"type": "string"}),
        header("Range", "Bytes wanted"),
    ],
    problems=[NotFound, NotReceived, PastDue, DeviceRevoked, BrokenFile, InvalidField, NotLogged],
)
@door.signed(revoked=True)
def fetch(name: str) -> Response:
    house, device = door.instance(), door.device()
    if name.startswith(uploads.PREFIX):
        return door.answer(uploads.progress(door.depot(), device.id, name))
    path = house.files.path(name)
    if device.revoked is not None:
        openings.deny(house, device, name, "revoked")
        raise DeviceRevoked()
    found = openings.find(house, device, door.scope(), name)
    width = _width()
    if width is not None:
        path = imaging.thumbnail(path, house.settings.derived, name, width)
    part = str(width) if width else openings.ORIGINAL
    span = None if width else span_of(found.blob.size)
    leaf = openings.enter(house, device, found, part=part, span=span, purpose=request.args.get("purpose", ""))
    return sent(path, "image/jpeg" if width else found.blob.mime, f"{name}-{width}" if width else name, leaf)


def sent(path: Path, mime: str, tag: str, leaf: int | None) -> Response:
    """The bytes; `leaf` is that of the opening in the log, and what has one is never taken from a cache."""
    media_type = mime if mime in SHOWN else "application/octet-stream"
    response = send_file(path.absolute(), mimetype=media_type, conditional=True, etag=tag)
    response.headers["Content-Disposition"] = "inline" if media_type in SHOWN else "attachment"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    if leaf is not None:
        response.headers["Patrolbook-Leaf"] = str(leaf)
        response.headers["Cache-Control"] = "no-store"
        return response
    response.cache_control.private = True
    response.cache_control.immutable = True
    response.cache_control.max_age = 31_536_000
    return response


def span_of(size: int) -> openings.Span | None:
    """The bytes that the request asks for; None where it asks for all of them."""
    wanted = request.range.range_for_length(size) if request.range is not None else None
    return (wanted[0], wanted[1] - 1) if wanted is not None else None


@verb(
    blueprint,
    "GET",
    "/evidence/<code>",
    "The original that the verification code on a watermarked copy leads to",
    gives=wire.EvidenceFound,
    problems=[NotFound, InvalidField, DeviceRevoked],
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
