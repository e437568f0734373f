"""Viewings under way as rows: what was opened, is being read on, and has no closing act in the log yet."""

from __future__ import annotations

from typing import NamedTuple

import orjson
from sqlalchemy import Connection, func, select, update

from server.storage.tables_access import viewings


class Viewing(NamedTuple):
    """One device that reads one file. Times are server milliseconds.

    leaf     of the act that opened it, in `log`
    part     original, the width of a smaller picture, or denied
    spans    the bytes that were asked for: (first, last) pairs in order, none of which touch
    """

    log: str
    leaf: int
    device: str
    sha256: str
    part: str
    purpose: str
    began: int
    newest: int
    requests: int
    spans: tuple[tuple[int, int], ...]


def begin(conn: Connection, viewing: Viewing) -> None:
    conn.execute(viewings.insert().values(viewing._asdict() | {"spans": _dumped(viewing.spans)}))


def current(conn: Connection, device: str, sha256: str, part: str, purpose: str) -> Viewing | None:
    """The newest one of this device, file, part and purpose."""
    wanted = select(viewings).where(
        viewings.c.device == device,
        viewings.c.sha256 == sha256,
        viewings.c.part == part,
        viewings.c.purpose == purpose,
    )
    row = conn.execute(wanted.order_by(viewings.c.newest.desc()).limit(1)).first()
    return _read(row) if row else None


def go_on(conn: Connection, viewing: Viewing) -> None:
    """Note how far one has come."""
    place = (viewings.c.log == viewing.log) & (viewings.c.leaf == viewing.leaf)
    changed = {"newest": viewing.newest, "requests": viewing.requests, "spans": _dumped(viewing.spans)}
    conn.execute(update(viewings).where(place).values(changed))


def over(conn: Connection, rested_since: int, began_before: int, limit: int) -> list[Viewing]:
    """Those that nobody went on with, or that have lasted too long, oldest first."""
    wanted = select(viewings).where((viewings.c.newest < rested_since) | (viewings.c.began < began_before))
    return [_read(row) for row in conn.execute(wanted.order_by(viewings.c.newest).limit(limit))]


def end(conn: Connection, viewing: Viewing) -> None:
    conn.execute(viewings.delete().where(viewings.c.log == viewing.log, viewings.c.leaf == viewing.leaf))


def count(conn: Connection, device: str, part: str) -> int:
    """How many of a device are under way."""
    wanted = select(func.count()).where(viewings.c.device == device, viewings.c.part == part)
    return int(conn.scalar(wanted) or 0)


def _dumped(spans: tuple[tuple[int, int], ...]) -> str:
    return orjson.dumps(spans).decode()


def _read(row: object) -> Viewing:
    viewing = Viewing(*row)  # type: ignore[misc]
    spans: list[list[int]] = orjson.loads(viewing.spans)  # type: ignore[arg-type]
    return viewing._replace(spans=tuple((first, last) for first, last in spans))
