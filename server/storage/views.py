"""Views of lists that people keep, as rows."""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from server.storage.database import Bulk
from server.storage.tables_views import views

MOST = 50
"""Views of one kind that somebody keeps."""


class View(NamedTuple):
    """See the table."""

    number: int
    name: str
    query: str


_write = Bulk(views, ("number", "person", "kind", "name", "query", "made"), conflict=("person", "kind", "name"))


def of(conn: Connection, person: str, kind: str) -> list[View]:
    """Somebody's views of a kind, by name."""
    wanted = select(views.c.number, views.c.name, views.c.query).where(views.c.person == person, views.c.kind == kind)
    return [View(*row) for row in conn.execute(wanted.order_by(views.c.name))]


def keep(conn: Connection, person: str, kind: str, name: str, query: str, now: int) -> bool:
    """Keep a view in place of one of the same name; False where there are too many."""
    wanted = select(func.count()).where(views.c.person == person, views.c.kind == kind, views.c.name != name)
    if (conn.scalar(wanted) or 0) >= MOST:
        return False
    _write(conn, [(_number(person, kind, name), person, kind, name, query, now)])
    return True


def _number(person: str, kind: str, name: str) -> int:
    """A number that does not count the views of others, some of which nobody should know of."""
    return int.from_bytes(sha256("\0".join((person, kind, name)).encode()).digest()[:6])


def drop(conn: Connection, person: str, number: int) -> bool:
    """Forget a view of this person; False where there is no such view of theirs."""
    return bool(conn.execute(views.delete().where(views.c.person == person, views.c.number == number)).rowcount)
