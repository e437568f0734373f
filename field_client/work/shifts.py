"""班次 on the tablet: opened by a person or by the first write of a day, closed by a person.

Opening notes where the chain stands and the newest checkpoint that was seen; closing notes where it stands then and how
much was made in between. The server compares the numbers with what arrives. Nothing waits for a shift: where none can be
opened, work goes on outside one.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from field_client.moments import as_moment, moment, moment_ms
from field_client.tablet import Identity, Tablet
from schemas.certificates import day_of
from schemas.fields import Refusal
from schemas.kinds.shift import Shift
from schemas.labels import Label
from sync.core.bracket import Jump, jumps, tick
from sync.core.errors import NotAllowed, NotEnrolled, NotFound, Refused

KIND = Shift.kind
_NOTED = "shift"


class Standing(NamedTuple):
    """A shift of this tablet as it stands.

    changes, files  made in it so far, or until its close; its own opening is one of the changes
    jumps           where the wall clock was set in it
    safe            at the close, whether everything had the server's receipt; None while it is open
    """

    record: str
    day: str
    opened_at: str
    closed_at: str
    opened_n: int
    last_n: int
    changes: int
    files: int
    safe: bool | None
    automatic: bool
    jumps: tuple[Jump, ...]

    @property
    def open(self) -> bool:
        return not self.closed_at


def first_of_day(tablet: Tablet, kind: str) -> None:
    """Open a shift before the first write of a day in China; for `Tablet.before_write`. Nothing else depends on it."""
    if kind == KIND:
        return
    noted, identity = tablet.store.meta(_NOTED), tablet.identity
    today = _today(tablet, noted)
    if (noted is not None and noted["day"] == today) or identity is None or not _may(identity):
        return
    area = _area(identity)
    if area:
        _begin(tablet, identity, area, today, online=False, automatic=True)


def begin(tablet: Tablet, online: bool) -> str:
    """Open a shift; one of an earlier day is closed first. Returns its id.

    online  whether the tablet has just spoken with the server, so that it holds the checkpoint of now

    :raises NotEnrolled: a shift belongs to a device
    :raises NotAllowed: this role has no shifts
    :raises Refused: one is open already, or the grants name no area
    """
    identity = _enrolled(tablet)
    area = _area(identity)
    if not area:
        raise Refused(detail=Label("授权没有写明区划，不能开始班次", "the grants name no area for a shift"))
    today, noted = day_of(moment(tablet)), tablet.store.meta(_NOTED)
    with tablet.store.writing():
        if _is_open(noted):
            if noted["day"] == today:
                raise Refused(
                    detail=Label("班次已经开始：patrolbook shift show", "a shift is open: patrolbook shift show")
                )
            end(tablet)
        return _begin(tablet, identity, area, today, online=online, automatic=False)


def end(tablet: Tablet, note: str = "") -> Standing:
    """Close the shift that is open.

    :raises NotEnrolled, NotAllowed: as `begin`
    :raises Refused: none is open
    """
    _enrolled(tablet)
    noted = tablet.store.meta(_NOTED)
    if not _is_open(noted):
        raise Refused(detail=Label("没有进行中的班次：patrolbook shift open", "no shift is open: patrolbook shift open"))
    so_far = current(tablet)
    assert so_far is not None  # it was noted
    values: dict[str, Any] = {
        "closed_at": moment(tablet),
        "closed_replica": tablet.store.replica,
        "closed_n": so_far.last_n,
        "changes": so_far.changes,
        "files": so_far.files,
        "safe": tablet.ledger().safe_to_hand_in,
        "status": "closed",
    }
    with tablet.store.writing():
        if note:
            values[f"notes/{tablet.store.clock.new_id()}"] = {"text": note, "at": values["closed_at"]}
        tablet.write(KIND, noted["record"], values)
        tablet.store.note(_NOTED, {**noted, "open": False})
    closed = current(tablet)
    assert closed is not None  # just written
    return closed


def current(tablet: Tablet) -> Standing | None:
    """The newest shift of this tablet, open or closed; None where it never had one."""
    noted = tablet.store.meta(_NOTED)
    if noted is None:
        return None
    with suppress(NotFound):
        return _standing(tablet, noted["record"], noted["day"], tablet.values(noted["record"]))
    return None


def _begin(tablet: Tablet, identity: Identity, area: str, day: str, *, online: bool, automatic: bool) -> str:
    head, seen = tablet.store.outbox.head(), tablet.store.checkpoint()
    values = {
        "person": identity.person.id,
        "device": identity.device,
        "area": area,
        "opened_at": moment(tablet),
        "online": online,
        "automatic": automatic,
        "replica": head.replica,
        "opened_n": head.n,
        "status": "open",
    }
    if seen.size:
        values |= {"checkpoint_size": seen.size, "checkpoint_root": seen.root.hex()}
    clock = tablet.store.clock
    since = {"boot": clock.boot(), "mono": clock.mono_ms(), "at_ms": moment_ms(tablet)}
    with tablet.store.writing():
        record = tablet.write(KIND, None, values).record
        tablet.store.note(_NOTED, {"record": record, "day": day, "open": True, **since})
    return record


def _today(tablet: Tablet, noted: dict[str, Any] | None) -> str:
    """The day in China. Since the last start of the tablet it is told by the time that passed since the newest shift was opened:
    whoever sets the clock begins no day with that, neither tomorrow's nor yesterday's."""
    clock = tablet.store.clock
    if noted is None or noted.get("boot") != clock.boot():
        return day_of(moment(tablet))
    return day_of(as_moment(datetime.fromtimestamp((noted["at_ms"] + clock.mono_ms() - noted["mono"]) / 1000, UTC)))


def _standing(tablet: Tablet, record: str, day: str, values: dict[str, Any]) -> Standing:
    head, opened_n = tablet.store.outbox.head(), int(values["opened_n"])
    closed = values.get("status") == "closed"
    last = int(values["closed_n"]) if closed else head.n
    replica = str(values.get("closed_replica") if closed else head.replica)
    # After a restore the tablet goes on as a new replica, whose numbers begin again.
    first = opened_n + 1 if replica == values["replica"] else 1
    made = tablet.store.outbox.between(replica, first, last)
    return Standing(
        record,
        day,
        str(values["opened_at"]),
        str(values.get("closed_at") or ""),
        opened_n,
        last,
        last - first + 1,
        len({change.record for _, change in made if change.kind == "evidence" and _is_original(change.set)}),
        bool(values.get("safe")) if closed else None,
        bool(values.get("automatic")),
        tuple(jumps([tick(n, change.body["clock"]) for n, change in made])),
    )


def _is_original(written: dict[str, Any]) -> bool:
    """Whether a change takes a captured file in, not something made of one."""
    return "sha256" in written and "original" not in written


def _is_open(noted: dict[str, Any] | None) -> bool:
    return noted is not None and bool(noted["open"])


def _enrolled(tablet: Tablet) -> Identity:
    identity = tablet.identity
    if identity is None:
        raise NotEnrolled()
    if not _may(identity):
        raise NotAllowed(detail=Label("该角色没有班次", "this role has no shifts"))
    return identity


def _may(identity: Identity) -> bool:
    """An undercover team's shift would show in the open that there was an audit."""
    return identity.person.role in Shift.makers


def _area(identity: Identity) -> str:
    """The first granted area that is a division code and not just the beginning of one."""
    field = Shift.fields_by_name()["area"]
    for grant in identity.grants:
        with suppress(Refusal):
            field.check(grant.area)
            return grant.area
    return ""
