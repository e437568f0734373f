"""Opening a file: who may, and what the log says of it before the first byte leaves.

Restricted is what a record behind a wall or a handover names, as far as the reader can see these; with
`facts.ORIGINALS` every original is. Of a restricted file each viewing is an act in the log of the reader's compartment:

    opened   by whom, on which device, which file and record, for what purpose, which bytes were asked for first
    viewed   that viewing is over: how many requests, which bytes in all. Requests of one viewing have one opening
    denied   somebody was told that there is no such file, because no record in sight opens it

If the act cannot be written, nothing is given out. Denied attempts are kept behind the wall, whether there is such a
file or not, so that neither the answer nor its time nor any number tells the asker which of both it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from schemas.base import AT_DESK, COMPARTMENTS
from schemas.kinds.handover import Handover, past
from schemas.labels import Label
from server import acts
from server.access.rights import Scope, compartment_of
from server.acts import Act
from server.instance import Instance
from server.moments import day
from server.storage import blobs, facts, journal, people, states, viewings
from server.storage.blobs import Blob, Sight
from server.storage.database import Connection
from server.storage.people import Device, Person
from server.storage.viewings import Viewing
from sync.core.errors import InvalidField, NotFound, NotLogged, NotReceived, PastDue, Problem
from sync.core.fold import State, contested, deleted, values_of
from sync.core.rules import Rights

logger = logging.getLogger("patrolbook.server")

REST_MS = 15 * 60_000
"""A viewing that nobody went on with for this long is over."""
LONGEST_MS = 12 * 3_600_000
LONGEST_PURPOSE = 200
HANDED_OVER = frozenset({Handover.kind})
"""Kinds in front of the wall that name what came from behind it."""
OPENED_IN = frozenset({"received", "reported", "returned", "closed"})
"""Statuses of a hand-over in which somebody has signed for it."""
ORIGINAL, REFUSED = "original", "denied"
MOST_DENIED = 50
"""Different files that a device may be denied in one viewing's time before further ones are only counted."""
MOST_SPANS = 100
CLOSED_AT_ONCE = 100

BEHIND = COMPARTMENTS[0]
Span = tuple[int, int]
"""First and last byte."""

T = TypeVar("T")


class Found(NamedTuple):
    """A file that the reader may open, and the record through which. `restricted`: only with an act in the log."""

    blob: Blob
    record: str
    restricted: bool


def find(house: Instance, device: Device, scope: Scope, sha256: str) -> Found:
    """The file, where a record in scope opens it.

    :raises NotFound: there is none in scope, or its bytes have not arrived
    :raises NotReceived, PastDue: it was handed over, but nobody has signed for it yet, or it was due before today
    :raises NotLogged: so it should be said, but the attempt could not be logged
    """
    with house.database.read() as conn:
        seen = blobs.sights(conn, sha256, *scope)
        handed = {one.record: values for one in seen if (values := _handed(house, conn, one, sha256)) is not None}
        blob = blobs.get(conn, sha256)
        every = facts.get(conn, facts.ORIGINALS) == facts.LOGGED
    barred = {record: problem for record, values in handed.items() if (problem := bar(values, house.now()))}
    opens = [one for one in seen if one.vouched or one.record in handed.keys() - barred.keys()]
    if blob is not None and not opens and barred:
        problem = next(iter(barred.values()))
        deny(house, device, sha256, problem.code)
        raise problem
    if not opens or blob is None:
        deny(house, device, sha256)
        raise NotFound(what=sha256)
    guarded = [one for one in opens if _guarded(one.kind, one.bucket)]
    named = (guarded or opens)[0]
    return Found(blob, named.record, bool(guarded) or (every and blob.role == ORIGINAL))


def _handed(house: Instance, conn: Connection, sight: Sight, sha256: str) -> dict[str, Any] | None:
    """The values of a handover by which the server itself handed this file over; None for any other record.

    The word of the server's own replica opens what it names there, and nowhere else: only a release that two people
    approved writes it, of files that are held (docs/decisions/0015).
    """
    if sight.kind not in HANDED_OVER:
        return None
    stored = states.load(conn, [sight.record])[sight.record]
    state, merge_of = State.read(stored.bytes), house.registry[sight.kind].merge_of
    naming = [
        change
        for path, live in state.live.items()
        if path.startswith("objects/")
        for change, value in live.items()
        if value is not None and value["sha256"] == sha256
    ]
    own = {voice.replica for voice in house.keys.voices.values()}
    if deleted(state) or not any(device in own for device, _ in journal.devices(conn, naming).values()):
        return None
    unclear = set(contested(state, merge_of))
    return {path: value for path, value in values_of(state, merge_of).items() if path not in unclear}


def bar(values: Mapping[str, Any], now: int) -> Problem | None:
    """Why nothing of a hand-over with these values is opened now; None where it may be."""
    number = values.get("number", "")
    if past(values, day(now)) or values.get("due") is None:
        return PastDue(what=number, due=values.get("due", ""))
    if values.get("status") not in OPENED_IN:
        return NotReceived(what=number)
    return None


def at_desk(house: Instance, person: Person) -> Device:
    """The server itself as the device on which somebody at a desk opens something."""
    voice = house.keys.open
    return Device(voice.replica, person.id, voice.replica_public, "", "", 0, None, "")


def _guarded(kind: str, bucket: str) -> bool:
    return kind in HANDED_OVER or bucket.partition(":")[0] in COMPARTMENTS


def enter(
    house: Instance, device: Device, found: Found, *, part: str = ORIGINAL, span: Span | None = None, purpose: str = "",
    alone: bool = False, wall: str | None = None,
) -> int | None:
    """Log that a device opens a file, before it is given a byte of it; the leaf of the opening, None where none is needed.

    part: `ORIGINAL` or the width of a smaller picture; span: the bytes asked for, None for the whole;
    alone: never part of a viewing that is under way (at a desk, which several people use)
    wall: the compartment in whose log it is said, where it is not the device's own

    :raises InvalidField: an original is opened without saying what for
    :raises NotLogged: the act could not be written; nothing may be given out
    """
    if not found.restricted:
        return None
    purpose = purpose.strip()
    if part == ORIGINAL and not purpose:
        raise InvalidField(field="purpose", detail=Label("请写明查阅目的", "say what it is opened for"))
    if len(purpose) > LONGEST_PURPOSE:
        detail = Label(f"至多 {LONGEST_PURPOSE} 字", f"has at most {LONGEST_PURPOSE} characters")
        raise InvalidField(field="purpose", detail=detail)
    now = house.now()
    spans = (span or (0, found.blob.size - 1),) if part == ORIGINAL else ()
    said = {
        "blob": found.blob.sha256,
        "by": device.person,
        "device": device.id,
        "part": part,
        "purpose": purpose,
        "range": list(span) if span is not None and part == ORIGINAL else None,
        "record": found.record,
    }

    def note(conn: Connection) -> int:
        where = compartment_of(conn, device) if wall is None else wall
        return _entered(
            conn, where, acts.OPENED, device, found.blob.sha256, part, purpose, spans, now, said, joining=not alone
        )

    return _logged(house, now, note)


def deny(house: Instance, device: Device, sha256: str, reason: str | None = None) -> None:
    """Log, behind the wall, that a device was told that there is no such file.

    :raises NotLogged: that could not be written
    """
    now = house.now()

    def note(conn: Connection) -> int:
        asked = sha256 if viewings.count(conn, device.id, REFUSED) < MOST_DENIED else ""
        said = {"blob": asked, "by": device.person, "device": device.id, "reason": reason}
        return _entered(conn, BEHIND, acts.DENIED, device, asked, REFUSED, "", (), now, said)

    _logged(house, now, note)


def _entered(
    conn: Connection,
    log: str,
    what: str,
    device: Device,
    sha256: str,
    part: str,
    purpose: str,
    spans: tuple[Span, ...],
    now: int,
    said: dict[str, Any],
    *,
    joining: bool = True,
) -> int:
    going = viewings.current(conn, device.id, sha256, part, purpose) if joining else None
    if going is not None and going.newest >= now - REST_MS and going.began >= now - LONGEST_MS and going.log == log:
        more = going._replace(newest=now, requests=going.requests + 1, spans=joined(going.spans, spans))
        viewings.go_on(conn, more)
        return going.leaf
    leaf = acts.append(conn, log, what, now, **said).leaf
    viewings.begin(conn, Viewing(log, leaf, device.id, sha256, part, purpose, now, now, 1, spans))
    return leaf


def _logged(house: Instance, now: int, note: Callable[[Connection], T]) -> T:
    try:
        with house.database.write() as conn:
            close(conn, now)
            return note(conn)
    except Exception as error:  # whatever kept it from the log: nothing is given out that the log does not tell of
        logger.error("an access could not be logged", exc_info=error)
        raise NotLogged() from error


def close(conn: Connection, now: int, limit: int = CLOSED_AT_ONCE) -> int:
    """Write the closing acts of viewings that are over; returns how many there were. Inside a write transaction."""
    ended = viewings.over(conn, now - REST_MS, now - LONGEST_MS, limit)
    for one in ended:
        if one.part != REFUSED or one.requests > 1:
            spans = [list(span) for span in one.spans] or None
            acts.append(
                conn, one.log, acts.VIEWED, now, opening=one.leaf, blob=one.sha256, requests=one.requests, ranges=spans,
                **{"from": one.began, "until": one.newest},
            )  # fmt: skip
        viewings.end(conn, one)
    return len(ended)


def joined(known: tuple[Span, ...], new: tuple[Span, ...]) -> tuple[Span, ...]:
    """All bytes of both, in order; spans that touch become one. Of very many, the nearest ones are told as one."""
    found: list[Span] = []
    for first, last in sorted((*known, *new)):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    while len(found) > MOST_SPANS:
        near = min(range(1, len(found)), key=lambda at: found[at][0] - found[at - 1][1])
        found[near - 1 : near + 1] = [(found[near - 1][0], found[near][1])]
    return tuple(found)


def log_originals(house: Instance, which: str, by: str) -> None:
    """From now on openings of all originals are logged (`all`), or of restricted ones only; the act says who wanted so."""
    with house.database.write() as conn:
        acts.append(conn, "", acts.SETTING, house.now(), by=by, originals=which)
        facts.put(conn, facts.ORIGINALS, facts.LOGGED if which == "all" else "")


# --- Reading the access log -------------------------------------------------------------------------------------


DONE = {
    acts.OPENED: Label("查阅", "opened"),
    acts.DENIED: Label("被拒", "denied"),
    acts.EXPORTED: Label("导出", "exported"),
    acts.TRACED: Label("责任倒查", "traced"),
}
"""Acts of access in words."""


class Access(NamedTuple):
    """An opening, a denied attempt or an export, with what its closing act says; `closed` None while it is under way."""

    act: Act
    closed: dict[str, Any] | None


EVERYTHING_OPEN = Rights("", ("",))
"""What somebody at the server itself reads of the access log: all that is behind no wall."""


def listed(
    house: Instance,
    rights: Rights,
    *,
    record: str | None = None,
    blob: str | None = None,
    person: str | None = None,
    since: int = 0,
) -> Iterator[Access]:
    """What the log says of accesses, as far as the reader's grants lead, in the order of each log.

    An access belongs to where its record lies; one that names none, or none that has a place, to where its person works.
    """
    with house.database.read() as conn:
        works = _works(conn)
        for compartment in house.keys.voices:
            if compartment and not rights.within.get(compartment):
                continue
            closed = {act.body["opening"]: act.body for act in acts.every(conn, compartment, acts.VIEWED)}
            found = [
                act
                for what in DONE
                for act in acts.every(conn, compartment, what)
                if act.body["at"] >= since
                and record in (None, act.body.get("record"))
                and blob in (None, act.body.get("blob"))
                and person in (None, act.body.get("by"))
            ]
            placed = states.placed(conn, {act.body["record"] for act in found if act.body.get("record")})
            for act in sorted(found, key=lambda one: one.leaf):
                _, place = placed.get(str(act.body.get("record")), (0, None))
                sort, _, area = place.bucket.partition(":") if place is not None else ("", "", "")
                where = {area} if sort in ("area", AT_DESK, *COMPARTMENTS) else works.get(str(act.body.get("by")), {""})
                if any(rights.covers(one, compartment) for one in where):
                    yield Access(act, closed.get(act.leaf))


def _works(conn: Connection) -> dict[str, set[str]]:
    """person → the areas of all grants that they ever had."""
    found: dict[str, set[str]] = {}
    for grant, _ in people.every_grant(conn):
        found.setdefault(grant.person, set()).add(grant.area)
    return found
