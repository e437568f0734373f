"""What others say about checkpoints: cosignatures of witnesses and time stamps, each below a checkpoint of some size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from server.storage.database import Bulk
from server.storage.tables import checkpoints, cosignatures, stamps


class Stamp(NamedTuple):
    """A time stamp over the note of the checkpoint of `size`; `at` in milliseconds, `response` as it came."""

    size: int
    authority: str
    response: bytes
    at: int


_write_cosignatures = Bulk(cosignatures, ("log", "size", "witness", "line", "at"), conflict=("log", "size", "witness"))
_write_stamps = Bulk(stamps, ("log", *Stamp._fields), conflict=("log", "size", "authority"))


def cosign(conn: Connection, log: str, size: int, witness: str, line: str, at: int) -> None:
    """Keep a cosignature that was verified. `at` in milliseconds, by the witness's clock."""
    _write_cosignatures(conn, [(log, size, witness, line, at)])


def newest_by(conn: Connection, log: str, witness: str) -> tuple[int, int] | None:
    """Size and time of the newest checkpoint that a witness has cosigned."""
    mine = (cosignatures.c.log == log) & (cosignatures.c.witness == witness)
    row = conn.execute(
        select(cosignatures.c.size, cosignatures.c.at).where(mine).order_by(cosignatures.c.size.desc()).limit(1)
    ).first()
    return (int(row[0]), int(row[1])) if row else None


def note(conn: Connection, log: str, size: int) -> str | None:
    """The note of the checkpoint of a size, with every cosignature below it; None where none was made."""
    text = signed(conn, log, size)
    if text is None:
        return None
    here = (cosignatures.c.log == log) & (cosignatures.c.size == size)
    lines = conn.scalars(select(cosignatures.c.line).where(here).order_by(cosignatures.c.witness))
    return text + "".join(map(str, lines))


def signed(conn: Connection, log: str, size: int) -> str | None:
    """The same as the log alone signed it: what is stamped."""
    found = conn.scalar(select(checkpoints.c.note).where(checkpoints.c.log == log, checkpoints.c.size == size))
    return str(found) if found is not None else None


def cosigned_sizes(
    conn: Connection, log: str, witnesses: int, *, above: int = -1, newest: bool = False
) -> Iterator[int]:
    """Sizes above `above` with cosignatures of at least so many witnesses, the smallest (or `newest`) first."""
    size = cosignatures.c.size
    wanted = (
        select(size)
        .where((cosignatures.c.log == log) & (size > above))
        .group_by(size)
        .having(func.count() >= max(witnesses, 1))
        .order_by(size.desc() if newest else size)
    )
    yield from (int(one) for one in conn.scalars(wanted.execution_options(yield_per=100)))


def stamp(conn: Connection, log: str, one: Stamp) -> None:
    """Keep a time stamp that was verified."""
    _write_stamps(conn, [(log, *one)])


def stamps_of(conn: Connection, log: str) -> list[Stamp]:
    """Every time stamp of a log, by the size of its checkpoint."""
    columns = [stamps.c[name] for name in Stamp._fields]
    rows = conn.execute(select(*columns).where(stamps.c.log == log).order_by(stamps.c.size, stamps.c.authority))
    return [Stamp(int(size), str(where), bytes(response), int(at)) for size, where, response, at in rows]


def newest_stamp(conn: Connection, log: str, authority: str) -> Stamp | None:
    """The newest time stamp that an authority gave."""
    columns = [stamps.c[name] for name in Stamp._fields]
    mine = (stamps.c.log == log) & (stamps.c.authority == authority)
    row = conn.execute(select(*columns).where(mine).order_by(stamps.c.size.desc()).limit(1)).first()
    return Stamp(int(row[0]), str(row[1]), bytes(row[2]), int(row[3])) if row else None
