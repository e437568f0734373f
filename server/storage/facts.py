"""Small facts about this server itself, such as its name: text by key, beside the log's size in `meta`."""

from __future__ import annotations

from sqlalchemy import Connection, select

from server.storage.database import Bulk
from server.storage.tables import meta

NAME = "server_name"
AREA = "server_area"
ORIGINALS, LOGGED = "originals", "logged"
"""Whether every opening of an original is in the log, and not only of restricted ones."""

ADDRESS = "server_address"
"""The address under which tablets reach this server; it goes into the QR code of an enrolment."""
ENROLMENT, BY_TWO = "enrolment", "two"
"""Whether a second person has to agree before a tablet is enrolled."""

_write = Bulk(meta, ("key", "value"), conflict=("key",))


def get(conn: Connection, key: str) -> str:
    """The fact, empty where it was never told."""
    return str(conn.scalar(select(meta.c.value).where(meta.c.key == key)) or "")


def put(conn: Connection, key: str, value: str) -> None:
    _write(conn, [(key, value)])
