"""Redaction at the desk: a new file in which something is destroyed, beside an original that stays as it is.

    the log says that the original is opened (where it is restricted)
    → the copy is drawn by a worker that lives for this one file (`custody.pictures.redact`)
    → one transaction: the act `derived`, and an evidence record that names its original, what was done, and with what

No program finds faces here. One that misses every tenth would be trusted for the other nine; a person looks, says where,
and looks again at what came out.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from custody.digests import digests_of
from custody.media import examine, identify
from custody.pictures.orders import MARGIN_PX, REDACTED, Order, Redaction
from custody.pictures.workshop import Workshop
from schemas.kinds.evidence import Evidence
from schemas.labels import Label
from server import acts
from server.access.rights import Scope
from server.evidence import minors, openings
from server.exchange import uploads
from server.instance import Instance
from server.merging import decisions
from server.moments import moment
from server.reading import finding
from server.reading.finding import Seen
from server.storage.files import replacing, write_all
from server.storage.people import Person
from sync.core.errors import InvalidField, MinorsVisible, NotFound, NotLogged, Refused
from sync.core.rules import Rights

KIND = Evidence.kind
LEAST_HEX = 8
PIECE = 1 << 20
WAIT_S = 120.0
"""A person waits for it, and a busy machine is slow; the worker's processor time is bound all the same."""
_SAME = ("subject", "subject_kind", "item", "area", "equipment", "taken_at", "place")

Boxes = Sequence[tuple[int, int, int, int]]


class Redacted(NamedTuple):
    """The new evidence record, its file, and the leaf of the act."""

    evidence: str
    sha256: str
    size: int
    mime: str
    leaf: int


def named(house: Instance, rights: Rights, text: str) -> Seen:
    """Evidence in sight by its id, the end of that, or the beginning of its SHA-256. Raises NotFound."""
    if len(text) >= LEAST_HEX and all(sign in "0123456789abcdef" for sign in text):
        with house.database.read() as conn:
            found = [
                row["record"]
                for row in house.projections.rows(conn, KIND)
                if (row["sha256"] or "").startswith(text) and rights.covers(row["area"] or "")
            ]
            if len(found) == 1:
                return finding.read(house, conn, found[0])
    return finding.one(house, rights, KIND, text)


def redact(
    house: Instance, by: Person, rights: Rights, text: str, wish: Redaction, *, reason: str, hides_minors: bool = False
) -> Redacted:
    """Make a copy of evidence in which these boxes are destroyed.

    :raises NotFound: no such evidence in sight, or its bytes have not arrived
    :raises InvalidField: no box
    :raises BrokenFile: it cannot be decoded, or a box lies outside
    :raises NotLogged: the opening could not be logged; nothing was read
    """
    if not wish.boxes:
        raise InvalidField(field="box", detail=Label("至少要有一个方框", "there has to be one at least"))
    seen = named(house, rights, text)
    digest = str(seen.values["sha256"])
    openings.enter(house, openings.at_desk(house, by), _found(house, by, rights, seen), purpose=f"遮挡：{reason}", alone=True)
    content, tool, size = drawn(house.files.path(digest), wish, digest[:12])
    sha256, mime = hashlib.sha256(content).hexdigest(), identify(content)
    record, now = house.keys.new_id(house.now()), house.now()
    house.files.put(sha256, io.BytesIO(content))
    values = {name: seen.values[name] for name in _SAME if name in seen.values}
    values |= {
        "sha256": sha256,
        "size": len(content),
        "tree": digests_of(io.BytesIO(content)).tree,
        "mime": mime,
        "width": size[0],
        "height": size[1],
        "role": "derived",
        "original": seen.record,
        "operation": "redact",
        "parameters": parameters(wish, digest) | {"reason": reason},
        "tool": tool,
        "captured_at": moment(now),
        **({"minors": "hidden"} if hides_minors else {}),
    }
    with house.database.write() as conn:
        uploads.take_made(house.depot(""), conn, record, sha256, len(content), mime, now)
        act = acts.append(
            conn, "", acts.DERIVED, now, blob=digest, by=by.id, derived=sha256, operation="redact", original=seen.record,
            record=record,
        )  # fmt: skip
        decisions.write_within(conn, house.desk, KIND, [(record, values)], by=[by.id], rights=rights)
    return Redacted(record, sha256, len(content), mime, act.leaf)


def drawn(source: Path, wish: Redaction, name: str) -> tuple[bytes, str, tuple[int, int]]:
    """(the copy, with what it was made, its width and height). Raises BrokenFile."""
    workshop = Workshop(jobs_each=1, wait_s=WAIT_S)
    try:
        with open(source, "rb") as file:
            mime, _ = examine(file)
            made = workshop.make(file, Order(mime, {}, redaction=wish), name)
    finally:
        workshop.close()
    return made.files[REDACTED], made.tool, (made.width or 1, made.height or 1)


def parameters(wish: Redaction, digest: str) -> dict[str, Any]:
    """What was done, as a record keeps it."""
    told: dict[str, Any] = {"original_sha256": digest, "boxes": [list(box) for box in wish.boxes], "margin_px": MARGIN_PX}
    return told | ({"at_ms": wish.at_ms} if wish.at_ms is not None else {}) | ({"page": wish.page} if wish.page > 1 else {})


def flag(house: Instance, by: Person, rights: Rights, text: str, word: str) -> str:
    """Say whether minors are visible; returns the record. Raises NotFound, InvalidField."""
    seen = named(house, rights, text)
    if word == "hidden" and seen.values.get("role") != "derived":
        detail = Label("原件没有遮挡过，只能是 visible 或 none", "is visible or none of an original, in which nothing is covered")
        raise InvalidField(field="minors", detail=detail)
    return decisions.write(house.desk, KIND, seen.record, {"minors": word}, by=[by.id], rights=rights).record


def export(house: Instance, by: Person, rights: Rights, text: str, target: Path, *, purpose: str) -> int:
    """Write a file of evidence outside, after the log says so; the leaf of the act.

    :raises NotFound: no such evidence in sight, or its bytes have not arrived
    :raises MinorsVisible: minors are visible in it; a covered copy may go
    :raises Refused: the file to write to is there already
    :raises NotLogged: the export could not be logged; no byte was written
    """
    if target.exists():
        raise Refused(detail=Label(f"{target} 已存在，不会覆盖", f"{target} is there already and is not written over"))
    seen = named(house, rights, text)
    digest = str(seen.values["sha256"])
    if seen.record in minors.exposing(_family(house, seen)):
        raise MinorsVisible(what=digest[:12])
    _found(house, by, rights, seen)
    try:
        with house.database.write() as conn:
            act = acts.append(conn, "", acts.EXPORTED, house.now(), blob=digest, by=by.id, purpose=purpose, record=seen.record)
    except Exception as error:  # whatever kept it from the log: nothing leaves that the log does not tell of
        raise NotLogged() from error
    with open(house.files.path(digest), "rb") as source, replacing(target, 0o600) as out:
        for piece in iter(lambda: source.read(PIECE), b""):
            write_all(out.write, piece)
    return act.leaf


def _family(house: Instance, seen: Seen) -> Mapping[str, Mapping[str, Any]]:
    """A piece of evidence and what it was made from, back to the original."""
    family: dict[str, Mapping[str, Any]] = {seen.record: seen.values}
    with house.database.read() as conn:
        while (before := str(seen.values.get("original") or "")) and before not in family:
            try:
                seen = finding.read(house, conn, before)
            except (KeyError, NotFound):
                break
            family[before] = seen.values
    return family


def _found(house: Instance, by: Person, rights: Rights, seen: Seen) -> openings.Found:
    scope = Scope([f"area:{area}" for area in rights.areas], [])
    found = openings.find(house, openings.at_desk(house, by), scope, str(seen.values["sha256"]))
    return found._replace(record=seen.record)
