"""Tablets as staff look after them: which are in sight, when each was heard of, what it still has, who may enrol one.

A tablet is in sight of those who see an area of its person. What lies behind a wall has tablets of its own there, which
nobody in front of it can count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from schemas.base import FIELD_ROLES
from schemas.labels import Label
from server import acts
from server.access import enrolment, rights
from server.access.policy import Sight
from server.exchange import revocations
from server.instance import Instance
from server.reading import records
from server.storage import contacts, facts, leases, people
from server.storage.contacts import Invitation, Owing
from server.storage.database import Connection
from server.storage.people import Device, Grant, Person
from sync.core.errors import InvalidField, NotAllowed, NotFound

SILENT_MS = 24 * 3_600_000
"""A tablet that was not heard of for this long counts as not synced."""
MOST_HOURS = 24 * 30
NOTHING_OWED = Owing(0, 0, 0)


class Tablet(NamedTuple):
    """A tablet in sight. `seen` is None where it was never heard of since it was enrolled; areas: where its person works."""

    device: Device
    person: Person
    areas: tuple[str, ...]
    seen: int | None
    owing: Owing
    silent: bool

    @property
    def copied(self) -> bool:
        """Whether its database went on as another one: it was restored, or copied to a second tablet."""
        return self.owing.replicas > 1


class Holder(NamedTuple):
    """Somebody who works with a tablet, and where, as far as the reader sees it."""

    person: Person
    areas: tuple[str, ...]


class Summary(NamedTuple):
    """How many tablets are in use, how many have not synced, and the files that are still on tablets."""

    in_use: int
    silent: int
    files: int


class Invited(NamedTuple):
    """An enrolment code for a person, as it is typed and as it goes into a QR code; shown once."""

    person: Person
    code: str
    address: str
    fingerprint: str
    until: int


class Asked(NamedTuple):
    """An enrolment that waits for a second person."""

    invitation: Invitation
    person: Person
    asked_by: str


def in_sight(house: Instance, conn: Connection, sight: Sight) -> list[Tablet]:
    """The tablets that somebody sees, newest first."""
    now = house.now()
    everybody = {one.id: one for one in people.everybody(conn)}
    grants = _grants(conn)
    heard, owing = contacts.seen(conn), contacts.owing(conn)
    found = []
    for device, _ in people.every_device(conn):
        person = everybody[device.person]
        if sees(sight, person, grants[person.id], now):
            seen = heard.get(device.id)
            silent = device.revoked is None and now - (seen or device.enrolled) > SILENT_MS
            found.append(Tablet(device, person, _areas(sight, person, grants[person.id], now), seen, owing.get(device.id, NOTHING_OWED), silent))
    return found


def the_tablet(house: Instance, conn: Connection, sight: Sight, device: str) -> Tablet:
    """One tablet. Raises NotFound for one that is out of sight as for one that does not exist."""
    found = next((one for one in in_sight(house, conn, sight) if one.device.id == device), None)
    if found is None:
        raise NotFound(what=device)
    return found


def name_of(house: Instance, conn: Connection, sight: Sight, device: str) -> str:
    """What a tablet in sight is called; of any other, and of nothing, what was asked for."""
    found = people.device(conn, device)
    if found is None or (person := people.person(conn, found.person)) is None:
        return device
    return found.name if sees(sight, person, people.grants_of(conn, person.id), house.now()) else device


def shifts(house: Instance, conn: Connection, sight: Sight, device: str, most: int) -> list[dict[str, Any]]:
    """The newest shifts of a tablet, as far as they are in sight, as rows."""
    rows = [row for row in house.projections.rows(conn, "shift") if row["device"] == device]
    seen = records.in_sight(conn, sight, [row["record"] for row in rows], home=device)
    rows = [row for row in rows if row["record"] in seen]
    return sorted(rows, key=lambda row: str(row["opened_at"]), reverse=True)[:most]


def summary(tablets: list[Tablet]) -> Summary:
    """What the home page says of these tablets."""
    used = [one for one in tablets if one.device.revoked is None]
    return Summary(len(used), sum(one.silent for one in used), sum(one.owing.files for one in tablets))


def sees(sight: Sight, person: Person, grants: list[Grant], now: int) -> bool:
    """Whether somebody in the field works, or worked last, where one sees; behind a wall only who sees behind it."""
    behind = rights.BEHIND.get(person.role, "")
    if sight.departments is not None:
        return False
    return any(sight.covers(one.area, behind) for one in _held(grants, behind, now))


def holders(house: Instance, conn: Connection, sight: Sight) -> list[Holder]:
    """The people in sight who work with a tablet."""
    now, grants = house.now(), _grants(conn)
    found = [one for one in people.everybody(conn) if one.role in FIELD_ROLES and sees(sight, one, grants[one.id], now)]
    return [Holder(one, _areas(sight, one, grants[one.id], now)) for one in found]


# --- Enrolling ------------------------------------------------------------------------------------------------


def needs_second(conn: Connection) -> bool:
    """Whether a second person has to agree before a tablet is enrolled."""
    return facts.get(conn, facts.ENROLMENT) == facts.BY_TWO


def need_second(house: Instance, by: Person, two: bool) -> None:
    """Settle whether it takes two to enrol a tablet."""
    with house.database.write() as conn:
        acts.append(conn, "", acts.SETTING, house.now(), by=by.id, enrolment=facts.BY_TWO if two else "one")
        facts.put(conn, facts.ENROLMENT, facts.BY_TWO if two else "")


def invite(house: Instance, sight: Sight, by: Person, person: str, hours: int, address: str) -> Invited | Invitation:
    """A code for a person in sight; or, where it takes two, the question to a second person.

    Raises NotFound, InvalidField for a time or an address that will not do.
    """
    if not 1 <= hours <= MOST_HOURS:
        raise InvalidField(field="hours", detail=Label(f"应为 1 至 {MOST_HOURS}", f"is 1 to {MOST_HOURS}"))
    now = house.now()
    with house.database.read() as conn:
        who = next((one.person for one in holders(house, conn, sight) if one.person.id == person), None)
        two = needs_second(conn)
    if who is None:
        raise NotFound(what=Label("人员", "person"))
    _remember(house, address)
    if not two:
        return _invited(house, who, by, None, hours)
    asked = Invitation(house.keys.new_id(now), who.id, hours, now, by.id)
    with house.database.write() as conn:
        contacts.ask(conn, asked)
    return asked


def waiting(house: Instance, conn: Connection, sight: Sight) -> list[Asked]:
    """The enrolments in sight that wait for a second person."""
    now, grants = house.now(), _grants(conn)
    everybody = {one.id: one for one in people.everybody(conn)}
    return [
        Asked(one, everybody[one.person], everybody[one.asked_by].name)
        for one in contacts.asked(conn)
        if sees(sight, everybody[one.person], grants[one.person], now)
    ]


def approve(house: Instance, sight: Sight, by: Person, invitation: str) -> Invited:
    """Agree to an enrolment that somebody else asked for. Raises NotFound, NotAllowed for the one who asked."""
    one = _waiting(house, sight, invitation)
    if one.invitation.asked_by == by.id:
        raise NotAllowed(detail=Label("须由另一人复核", "it takes another person to agree"))
    with house.database.write() as conn:
        if not contacts.answer(conn, invitation):
            raise NotFound(what=invitation)
    return _invited(house, one.person, by, one.invitation.asked_by, one.invitation.hours)


def refuse(house: Instance, sight: Sight, invitation: str) -> None:
    """Do not enrol. Raises NotFound."""
    one = _waiting(house, sight, invitation)
    with house.database.write() as conn:
        contacts.answer(conn, one.invitation.id)


def revoke(house: Instance, sight: Sight, by: Person, device: str, reason: str) -> None:
    """From now on the tablet reads nothing. Raises NotFound, also for one that was revoked, InvalidField without a reason."""
    if not reason.strip():
        raise InvalidField(field="reason", detail=Label("请写明理由", "say why"))
    with house.database.read() as conn:
        the_tablet(house, conn, sight, device)
    revocations.revoke(house, device, f"{reason.strip()}（{by.name}）")


def enrolment_link(address: str, code: str, fingerprint: str) -> str:
    """What the QR code of an enrolment holds."""
    asked = {"url": address, "code": code, "log": fingerprint.replace(" ", "")}
    return f"patrolbook:enrol?{urlencode(asked)}"


def lease_until(conn: Connection, device: str) -> int | None:
    """Until when a tablet can be unlocked without another contact; None where it was never lent a share of its keys."""
    return leases.get(conn, device).expires


# --- How it is done -------------------------------------------------------------------------------------------


def _waiting(house: Instance, sight: Sight, invitation: str) -> Asked:
    with house.database.read() as conn:
        found = next((one for one in waiting(house, conn, sight) if one.invitation.id == invitation), None)
    if found is None:
        raise NotFound(what=invitation)
    return found


def _invited(house: Instance, person: Person, by: Person, asked_by: str | None, hours: int) -> Invited:
    now, lifetime = house.now(), hours * 3_600_000
    code = enrolment.invite(house.database, house.keys, person.id, now, lifetime)
    behind = rights.BEHIND.get(person.role, "")
    with house.database.write() as conn:
        acts.append(conn, behind, acts.INVITED, now, by=by.id, asked_by=asked_by, person=person.id)
        address = facts.get(conn, facts.ADDRESS)
    voice = house.keys.voice(behind)
    return Invited(person, code, enrolment_link(address, code, voice.fingerprint), voice.fingerprint, now + lifetime)


def _remember(house: Instance, address: str) -> None:
    """Keep the address under which tablets reach this server."""
    given = address.strip().rstrip("/")
    if not given.startswith(("https://", "http://")) or any(one.isspace() for one in given) or len(given) > 200:
        raise InvalidField(field="address", detail=Label("应以 https:// 开头", "begins with https://"))
    with house.database.read() as conn:
        if facts.get(conn, facts.ADDRESS) == given:
            return
    with house.database.write() as conn:
        facts.put(conn, facts.ADDRESS, given)


def _held(grants: list[Grant], behind: str, now: int) -> list[Grant]:
    """Where somebody works on their side of the wall, or worked last."""
    return [one for one in rights.active(grants, now) or grants[-1:] if one.compartment == behind]


def _areas(sight: Sight, person: Person, grants: list[Grant], now: int) -> tuple[str, ...]:
    behind = rights.BEHIND.get(person.role, "")
    return tuple(sorted({one.area for one in _held(grants, behind, now) if sight.covers(one.area, behind)}))


def _grants(conn: Connection) -> Mapping[str, list[Grant]]:
    found: dict[str, list[Grant]] = defaultdict(list)
    for grant, _ in people.every_grant(conn):
        found[grant.person].append(grant)
    return found

