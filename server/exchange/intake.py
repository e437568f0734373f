"""Push: a body of changes in, a disposition for each out.

The HTTP status of a push says whether the batch was processed, never whether its content pleased us. One bad change
never stops the rest: what is no change at all is kept too, under a name of its own.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas.base import COMPARTMENTS
from schemas.labels import Language
from schemas.registry import Registry
from server.keys import Voice
from server.sequencer import Arrival, Outcome, RightsAt, Sequencer
from server.storage import journal
from server.storage.database import Connection, Database
from server.storage.projections import Projections
from sync.core.change import CHANGE_TAG, START, Change, Link, signature_input
from sync.core.errors import EpochChanged, Malformed, NotAllowed, Problem, ReplicaForked
from sync.core.rules import Disposition, Rights

LARGEST_BATCH = 5000
LARGEST_NUMBER = 2**53 - LARGEST_BATCH  # of a change in its replica

OwnerOf = Callable[[Connection, str], str | None]  # replica id → device id


def push(
    database: Database,
    registry: Registry,
    projections: Projections,
    voice: Voice,
    *,
    epoch: str,
    device: str,
    public_key: bytes,
    rights: RightsAt,
    owner_of: OwnerOf,
    body: bytes,
    now: int,
    language: Language = "zh",
) -> dict[str, Any]:
    """Take the changes of one request.

    body: NDJSON, a header line and one line of canonical content for each change (docs/protocol.md).
    Raises Malformed (the batch cannot be read), EpochChanged, ReplicaForked, NotAllowed (a replica of another device).
    """
    header, lines = _split(body)
    if header["epoch"] != epoch:
        raise EpochChanged(epoch=epoch)
    runs = [(run, _follow(run, some, device, public_key, rights)) for run, some in _runs(header, lines)]
    with database.write() as conn:
        for run, arrivals in runs:
            if owner_of(conn, run["replica"]) != device:
                raise NotAllowed(detail=f"replica {run['replica']}")
            _refuse_fork(conn, run, arrivals)
        _refuse_overlap(runs)
        everything = [arrival for _, arrivals in runs for arrival in arrivals]
        written = Sequencer(conn, registry, projections, voice, now).apply(everything)
    return {
        "epoch": epoch,
        "results": [_result(outcome, language, device, rights(now)) for outcome in written.outcomes],
        "log": {
            "before": written.before,
            "frontier": [base64.b64encode(one).decode() for one in written.frontier],
            "leaves": written.leaves,
            "checkpoint": written.checkpoint,
        },
    }


def read_line(line: bytes) -> tuple[Change, Disposition | None]:
    """The change on a line; one that cannot be read is kept as it is and named by its hash."""
    try:
        return Change.read(line), None
    except Problem as problem:
        digest = hashlib.sha256(CHANGE_TAG + line).digest()
        body = {
            "id": f"line:{digest.hex()}",
            "record": "",
            "kind": "",
            "set": {},
            "by": [],
            "schema": 0,
            "hlc": "000000000000-0000",
        }
        field = str(problem.facts.get("field", ""))
        return Change(body, line, digest), Disposition(
            "quarantined", "not-a-change", field, problem.message.fill(**{"detail": "", "field": field} | problem.facts)
        )


def _split(body: bytes) -> tuple[dict[str, Any], list[bytes]]:
    lines = body.rstrip(b"\n").split(b"\n")
    try:
        header = orjson.loads(lines[0])
        runs = header["runs"]
        shaped = isinstance(header["epoch"], str) and all(
            isinstance(r["replica"], str)
            and type(r["n"]) is int
            and 0 < r["n"] < LARGEST_NUMBER
            and isinstance(r["prev"], str)
            and isinstance(r["sigs"], list)
            for r in runs
        )
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise Malformed(detail="the first line of a push names epoch and runs") from error
    if not shaped:
        raise Malformed(detail="a run names replica, n, prev and sigs")
    count = sum(len(r["sigs"]) for r in runs)
    if count != len(lines) - 1:
        raise Malformed(detail=f"{count} changes were announced and {len(lines) - 1} arrived: the body was cut")
    if count > LARGEST_BATCH:
        raise Malformed(detail=f"more than {LARGEST_BATCH} changes in one push")
    return header, lines[1:]


def _runs(header: dict[str, Any], lines: list[bytes]) -> list[tuple[dict[str, Any], list[bytes]]]:
    found, start = [], 0
    for run in header["runs"]:
        found.append((run, lines[start : start + len(run["sigs"])]))
        start += len(run["sigs"])
    return found


def _follow(run: dict[str, Any], lines: list[bytes], device: str, public_key: bytes, rights: RightsAt) -> list[Arrival]:
    """The arrivals of one run, chained from its `prev`.

    Each change's chain hash covers all before it, so one valid signature at the end of the run vouches for the whole
    run. Only when that one fails is every signature looked at, to find the changes that the device did not sign.
    """
    replica, prev = run["replica"], run["prev"]
    arrivals = []
    for n, (line, signature) in enumerate(zip(lines, run["sigs"], strict=True), start=run["n"]):
        change, refused = read_line(line)
        link = Link(replica, n, prev, _signature(signature))
        prev = link.chain(change.hash)
        arrivals.append(Arrival(change, link, prev, device, rights, refused))
    key = Ed25519PublicKey.from_public_bytes(public_key)
    if arrivals and not _signed(key, arrivals[-1]):
        arrivals = [a if a.refused or _signed(key, a) else a._replace(refused=_BAD_SIGNATURE) for a in arrivals]
    return arrivals


_BAD_SIGNATURE = Disposition("quarantined", "bad-signature")


def _signature(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except ValueError:
        return b""


def _signed(key: Ed25519PublicKey, arrival: Arrival) -> bool:
    try:
        key.verify(arrival.link.signature, signature_input(arrival.chain))
    except InvalidSignature:
        return False
    return True


def _refuse_fork(conn: Connection, run: dict[str, Any], arrivals: Sequence[Arrival]) -> None:
    """The same number with other content means that the tablet's database was restored or cloned."""
    first, last = run["n"], run["n"] + len(arrivals) - 1
    held = journal.links_of(conn, run["replica"], first - 1, last)
    for arrival in arrivals:
        kept = held.get(arrival.link.n)
        if kept is not None and kept[0] != arrival.change.hash:
            raise ReplicaForked(replica=run["replica"], n=arrival.link.n)
    before = held.get(first - 1)
    if (before is not None and before[1] != run["prev"]) or (first == 1 and run["prev"] != START):
        raise ReplicaForked(replica=run["replica"], n=first)


def _shown(bucket: str, device: str, rights: Rights) -> bool:
    sort, _, name = bucket.partition(":")
    if sort == "area" or sort in COMPARTMENTS:
        return not rights.revoked and rights.covers(name, "" if sort == "area" else sort)
    return sort == "ref" or name == device


def _refuse_overlap(runs: Sequence[tuple[dict[str, Any], Sequence[Arrival]]]) -> None:
    """Two runs of one push may not give one number to two contents either."""
    seen: dict[tuple[str, int], bytes] = {}
    for _, arrivals in runs:
        for arrival in arrivals:
            place = (arrival.link.replica, arrival.link.n)
            if seen.setdefault(place, arrival.change.hash) != arrival.change.hash:
                raise ReplicaForked(replica=place[0], n=place[1])


def _result(outcome: Outcome, language: Language, device: str, rights: Rights) -> dict[str, Any]:
    if outcome.placed is not None and not _shown(outcome.placed.bucket, device, rights):
        outcome = outcome._replace(record=outcome.sent, rev=0, placed=None)  # where it is now is not theirs to know
    result: dict[str, Any] = {
        "id": outcome.id,
        "status": outcome.status,
        "record": outcome.record,
        "rev": outcome.rev,
        "leaf": outcome.leaf,
    }
    if outcome.placed is not None:
        result["bucket"], result["at"] = outcome.placed
    if outcome.duplicate:
        result["duplicate"] = True
    if outcome.status != "accepted":
        result["reason"], result["field"] = outcome.reason, outcome.field
        if outcome.detail is not None:
            result["detail"] = outcome.detail.text(language)  # type: ignore[attr-defined]
    return result
