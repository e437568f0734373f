"""People, their grants, their devices and replicas, and the one-time codes by which a device is enrolled."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, and_, bindparam, or_, select, update

from server.storage.tables_access import devices, enrolment_codes, grants, people, replicas

_DEVICE = select(devices).where(devices.c.id == bindparam("id"))  # made once: every request asks for it


class Person(NamedTuple):
    """`role` is the one a grant gives unless it says otherwise."""

    id: str
    name: str
    role: str
    added: int


class Grant(NamedTuple):
    """A role in every division whose code begins with `area`, there behind the wall `compartment` where it names one.

    `until` None is until further notice; `department` is which of the other departments, for that role.
    """

    id: str
    person: str
    area: str
    role: str
    since: int
    until: int | None
    compartment: str = ""
    department: str = ""


class Device(NamedTuple):
    """An enrolled tablet; `key` is its raw Ed25519 public key."""

    id: str
    person: str
    key: bytes
    name: str
    model: str
    enrolled: int
    revoked: int | None
    revoked_reason: str


_GRANT = [grants.c[name] for name in Grant._fields]


class Code(NamedTuple):
    """An enrolment code by its keyed hash; `device` is the one that used it."""

    digest: bytes
    person: str
    made: int
    expires: int
    device: str | None


# --- People and grants ----------------------------------------------------------------------------------------


def add_person(conn: Connection, person: Person) -> None:
    conn.execute(people.insert().values(person._asdict()))


def person(conn: Connection, id: str) -> Person | None:
    row = conn.execute(select(people).where(people.c.id == id)).first()
    return Person(*row) if row else None


def everybody(conn: Connection) -> list[Person]:
    return [Person(*row) for row in conn.execute(select(people).order_by(people.c.added, people.c.id))]


def like(conn: Connection, text: str) -> list[Person]:
    """The people of exactly this id or name, or whose id begins so."""
    named = or_(people.c.name == text, people.c.id == text, people.c.id.startswith(text, autoescape=True))
    return [Person(*row) for row in conn.execute(select(people).where(named).order_by(people.c.id))]


def add_grant(conn: Connection, grant: Grant) -> None:
    conn.execute(grants.insert().values(grant._asdict()))


def grants_of(conn: Connection, person: str) -> list[Grant]:
    """Every grant that a person ever had, oldest first."""
    wanted = select(*_GRANT).where(grants.c.person == person).order_by(grants.c.since, grants.c.id)
    return [Grant(*row) for row in conn.execute(wanted)]


def every_grant(conn: Connection) -> list[tuple[Grant, str]]:
    """(grant, name of the person), by person."""
    wanted = select(*_GRANT, people.c.name).join(people, people.c.id == grants.c.person)
    rows = conn.execute(wanted.order_by(people.c.added, people.c.id, grants.c.since, grants.c.id))
    return [(Grant(*row[:-1]), row[-1]) for row in rows]


def end_grant(conn: Connection, id: str, at: int) -> bool:
    """End a grant; False where there is none, or it had ended before."""
    open_then = and_(grants.c.id == id, or_(grants.c.until.is_(None), grants.c.until > at))
    return conn.execute(update(grants).where(open_then).values(until=at)).rowcount == 1


# --- Devices and replicas -------------------------------------------------------------------------------------


def add_device(conn: Connection, device: Device) -> None:
    conn.execute(devices.insert().values(device._asdict()))


def device(conn: Connection, id: str) -> Device | None:
    row = conn.execute(_DEVICE, {"id": id}).first()
    return Device(*row) if row else None


def device_of_key(conn: Connection, key: bytes) -> Device | None:
    row = conn.execute(select(devices).where(devices.c.key == key)).first()
    return Device(*row) if row else None


def every_device(conn: Connection) -> list[tuple[Device, str]]:
    """(device, name of its person), newest first."""
    wanted = select(*devices.c, people.c.name).join(people, people.c.id == devices.c.person)
    rows = conn.execute(wanted.order_by(devices.c.enrolled.desc(), devices.c.id))
    return [(Device(*row[:-1]), row[-1]) for row in rows]


def homes(conn: Connection) -> list[tuple[str, str, list[str]]]:
    """(device, role of its owner, areas of all grants that the owner ever had) of every device."""
    wanted = select(devices.c.id, people.c.role, grants.c.area).join(people, people.c.id == devices.c.person)
    found: dict[str, tuple[str, str, list[str]]] = {}
    for id, role, area in conn.execute(wanted.outerjoin(grants, grants.c.person == people.c.id)):
        areas = found.setdefault(id, (id, role, []))[2]
        if area is not None:
            areas.append(area)
    return list(found.values())


def revoke(conn: Connection, device: str, at: int, reason: str) -> bool:
    """Revoke a device; False where there is none, or it was revoked before."""
    standing = and_(devices.c.id == device, devices.c.revoked.is_(None))
    return conn.execute(update(devices).where(standing).values(revoked=at, revoked_reason=reason)).rowcount == 1


def owner_of(conn: Connection, replica: str) -> str | None:
    """The device that a replica belongs to."""
    return conn.scalar(select(replicas.c.device).where(replicas.c.id == replica))


def register_replica(conn: Connection, replica: str, device: str, now: int) -> str:
    """Register a replica unless it is known; returns the device that it belongs to."""
    owner = owner_of(conn, replica)
    if owner is None:
        conn.execute(replicas.insert().values(id=replica, device=device, registered=now))
    return owner or device


# --- Enrolment codes ------------------------------------------------------------------------------------------


def keep_code(conn: Connection, code: Code) -> None:
    conn.execute(enrolment_codes.insert().values(code._asdict()))


def code(conn: Connection, digest: bytes) -> Code | None:
    row = conn.execute(select(enrolment_codes).where(enrolment_codes.c.digest == digest)).first()
    return Code(*row) if row else None


def use_code(conn: Connection, digest: bytes, device: str, now: int) -> bool:
    """Spend a code; False where it is unknown, spent or expired. Of two who try, exactly one is told True."""
    good = and_(enrolment_codes.c.digest == digest, enrolment_codes.c.device.is_(None), enrolment_codes.c.expires > now)
    return conn.execute(update(enrolment_codes).where(good).values(device=device)).rowcount == 1
