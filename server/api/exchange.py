"""Push, pull, snapshots, have: changes in, states out. The bodies of push and pull never meet a schema library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

import zstandard
from flask import Response, request, send_file
from flask_smorest import Blueprint

from schemas import wire
from server.access.rights import rights_at
from server.api import door
from server.api.description import BASE, BINARY, NDJSON, header, lines, verb
from server.exchange import intake, outflow
from server.storage import journal, people, snapshots
from sync.core.errors import (
    CursorExpired,
    DeviceRevoked,
    EpochChanged,
    InvalidField,
    NotAllowed,
    NotFound,
    ReplicaForked,
)

blueprint = Blueprint("exchange", __name__, url_prefix=BASE, description="Changes in, states out")

MOST_IDS = 100_000
CHANGE = {"type": "object", "description": "The canonical content of a change, byte for byte as it was hashed"}
SQLITE = "application/vnd.sqlite3"
_STREAMED = 1 << 20


@verb(
    blueprint,
    "POST",
    "/push",
    "Send changes; each is accepted, parked or quarantined, and always kept",
    takes=lines("A header first, then the changes in the order of its runs", wire.PushHeader, CHANGE),
    gives=wire.PushAnswer,
    problems=[EpochChanged, ReplicaForked, NotAllowed],
)
@door.signed(revoked=True)
def push() -> Response:
    house = door.instance()
    device = door.device()
    with house.database.read() as conn:
        rights = rights_at(conn, device)
    return door.answer(
        intake.push(
            house.database,
            house.registry,
            house.projections,
            door.voice(),
            epoch=house.epoch,
            device=device.id,
            public_key=device.key,
            rights=rights,
            owner_of=people.owner_of,
            body=door.plain(),
            now=house.now(),
            language=door.language(),
        )
    )


@verb(
    blueprint,
    "POST",
    "/pull",
    "States that changed since the cursors, one page",
    takes=wire.PullRequest,
    gives=lines("A head, then records that changed or left, then an end", wire.PullLine),
    problems=[EpochChanged, CursorExpired, DeviceRevoked],
)
@door.signed()
def pull() -> Response:
    house = door.instance()
    wanted = _pull_request(door.sent_json(), house.settings.pull_bytes)
    scope = door.scope()
    # One bounded page in memory rather than a stream: a slow link must not hold a snapshot of the database open, and
    # a problem half-way still gets its own status.
    page = outflow.pull(
        house.database,
        door.voice(),
        epoch=house.epoch,
        prefixes=scope.prefixes,
        exact=scope.exact,
        request=wanted,
        now=house.now(),
    )
    return door.packed(page, NDJSON)


@verb(
    blueprint,
    "GET",
    "/snapshots/<bucket>",
    "First fill of a bucket: a SQLite file with its cursor",
    gives={SQLITE: {"schema": BINARY}},
    parameters=[header("Range", "Bytes to resume from; the file is then sent without encoding")],
    problems=[NotFound, DeviceRevoked],
)
@door.signed()
def snapshot(bucket: str) -> Response:
    house = door.instance()
    if not door.scope().covers(bucket):
        raise NotFound(what=bucket)
    built = snapshots.build(house.database, house.settings.snapshots, bucket, house.epoch)
    path, digest = built.path.absolute(), built.digest.hex()
    if "Range" not in request.headers and door.accepted_encoding() == "zstd":
        file = open(path, "rb")  # noqa: SIM115  now, for a newer snapshot may take its place; closed when it is sent
        response = Response(_packed(file), mimetype=SQLITE)
        response.call_on_close(file.close)
        response.content_encoding = "zstd"
        response.set_etag(f"{digest}-zstd")
        response.make_conditional(request)
    else:
        response = send_file(path, mimetype=SQLITE, conditional=True, etag=digest)
    response.headers["Repr-Digest"] = built.repr_digest
    response.vary.add("Accept-Encoding")
    return response


@verb(
    blueprint,
    "POST",
    "/have",
    "Which of these changes does the server lack",
    takes=wire.HaveRequest,
    gives=wire.HaveAnswer,
)
@door.signed(revoked=True)
def have() -> Response:
    asked = door.sent_json()
    ids = asked.get("ids") if isinstance(asked, dict) else None
    if not isinstance(ids, list) or len(ids) > MOST_IDS or not all(type(id) is str for id in ids):
        raise InvalidField(field="ids", detail=f"is a list of at most {MOST_IDS} change ids")
    log = door.voice().compartment
    with door.instance().database.read() as conn:
        return door.answer({"lacking": journal.lacking(conn, ids, log)})


def _pull_request(wanted: Any, most: int) -> dict[str, Any]:
    """A pull request by hand: a reader of a whole province names thousands of cursors."""
    if not isinstance(wanted, dict) or type(wanted.get("epoch")) is not str:
        raise InvalidField(field="epoch", detail="is text")
    cursors = wanted.get("cursors")
    if not isinstance(cursors, dict) or not all(type(cursor) is str for cursor in cursors.values()):
        raise InvalidField(field="cursors", detail="is an object of cursors by bucket")
    limit = wanted.get("limit_bytes", outflow.PAGE)
    if type(limit) is not int or limit < 1:
        raise InvalidField(field="limit_bytes", detail="is a whole number of at least 1")
    log = wanted.get("log")
    if log is not None and not (isinstance(log, dict) and type(log.get("size")) is int):
        raise InvalidField(field="log", detail="holds a size")
    return {**wanted, "limit_bytes": min(limit, most)}


def _packed(file: IO[bytes]) -> Iterator[bytes]:
    yield from zstandard.ZstdCompressor(level=door.LEVEL).read_to_iter(file, write_size=_STREAMED)
