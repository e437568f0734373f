"""When tablets were last heard of, what is still on them, and enrolments that wait for a second person."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select

from server.storage.database import Bulk
from server.storage.tables_access import awaited, contacts, invitations, replicas, uploads

OFTEN_MS = 60_000
"""Contacts closer together than this are not written down one by one."""

_heard = Bulk(contacts, ("device", "seen"), conflict=("device",))


class Owing(NamedTuple):
    """What the server knows that a tablet still has: files that its records name, and files under way."""

    files: int
    under_way: int
    replicas: int


class Invitation(NamedTuple):
    """Somebody asked for a tablet to be enrolled for a person; it takes a second one to agree."""

    id: str
    person: str
    hours: int
    asked: int
    asked_by: str


def fresh(conn: Connection, device: str, now: int) -> bool:
    """Whether it was written down a moment ago that a device was heard of."""
    seen = conn.scalar(select(contacts.c.seen).where(contacts.c.device == device))
    return seen is not None and now - seen < OFTEN_MS


def heard(conn: Connection, device: str, now: int) -> None:
    _heard(conn, [(device, now)])


def seen(conn: Connection) -> dict[str, int]:
    """device → when it was last heard of."""
    return {row.device: row.seen for row in conn.execute(select(contacts))}


def owing(conn: Connection) -> dict[str, Owing]:
    """device → what it still has, for devices that have something or went on as a further replica."""
    files = _counted(conn, select(awaited.c.device, func.count(awaited.c.sha256.distinct())).group_by(awaited.c.device))
    open_ = uploads.c.completed.is_(None)
    under_way = _counted(conn, select(uploads.c.device, func.count()).where(open_).group_by(uploads.c.device))
    copies = _counted(conn, select(replicas.c.device, func.count()).group_by(replicas.c.device))
    return {
        device: Owing(files.get(device, 0), under_way.get(device, 0), copies.get(device, 0))
        for device in files.keys() | under_way.keys() | copies.keys()
    }


def records_awaiting(conn: Connection, device: str, limit: int) -> list[str]:
    """The records of a device of which a file has not arrived."""
    wanted = select(awaited.c.record).where(awaited.c.device == device).distinct()
    return list(conn.scalars(wanted.order_by(awaited.c.record).limit(limit)))


# --- Invitations ----------------------------------------------------------------------------------------------


def ask(conn: Connection, one: Invitation) -> None:
    conn.execute(invitations.insert().values(one._asdict()))


def asked(conn: Connection, id: str | None = None) -> list[Invitation]:
    """What waits for a second person, oldest first; or the one of this id."""
    wanted = select(invitations).order_by(invitations.c.asked, invitations.c.id)
    wanted = wanted if id is None else wanted.where(invitations.c.id == id)
    return [Invitation(*row) for row in conn.execute(wanted)]


def answer(conn: Connection, id: str) -> bool:
    """Take one off the list; False where it is not there any more. Of two who try, exactly one is told True."""
    return conn.execute(delete(invitations).where(invitations.c.id == id)).rowcount == 1


def _counted(conn: Connection, wanted: object) -> dict[str, int]:
    return {row[0]: int(row[1]) for row in conn.execute(wanted)}  # type: ignore[call-overload]
