"""Blobs and their uploads as rows: what the server holds, who may fetch it, what is on its way."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection, case, exists, func, or_, select, update

from server.storage.database import Bulk
from server.storage.tables import aliases, buckets, states
from server.storage.tables_access import awaited, blob_mentions, blobs, digests_todo, made_here, uploads
from server.storage.tables_access import holdings as holdings_
from server.storage.tables_photos import photo_todo
from sync.core.change import Change

MANY = 500  # values in one IN list

_await_look = Bulk(photo_todo, ("sha256",), ignore=True)
_await_digests = Bulk(digests_todo, ("sha256",), ignore=True)
_await = Bulk(awaited, ("sha256", "record", "device"), ignore=True)
_write_mentions = Bulk(blob_mentions, ("sha256", "record", "device"), ignore=True)


class Blob(NamedTuple):
    """Bytes that the server holds."""

    sha256: str
    size: int
    mime: str
    role: str
    held: int


class Holding(NamedTuple):
    """What a compartment's log says about a blob: the act, and its position in that log."""

    sha256: str
    log: str
    act: bytes
    leaf: int


class Upload(NamedTuple):
    """A blob on its way from one device."""

    id: str
    device: str
    sha256: str
    size: int
    mime: str
    part_size: int
    role: str
    name: str
    begun: int
    completed: int | None


# --- Blobs ----------------------------------------------------------------------------------------------------


def get(conn: Connection, sha256: str) -> Blob | None:
    row = conn.execute(select(blobs).where(blobs.c.sha256 == sha256)).first()
    return Blob(*row) if row else None


def hold(conn: Connection, blob: Blob) -> None:
    conn.execute(blobs.insert().values(blob._asdict()))
    conn.execute(awaited.delete().where(awaited.c.sha256 == blob.sha256))
    _await_look(conn, [(blob.sha256,)])


def holding(conn: Connection, sha256: str, log: str) -> Holding | None:
    """What this log says about a blob; None where it says nothing, whoever else may have sent it."""
    row = conn.execute(select(holdings_).where(holdings_.c.sha256 == sha256, holdings_.c.log == log)).first()
    return Holding(*row) if row else None


def holdings(conn: Connection, sha256: str) -> list[Holding]:
    """What all logs say about a blob."""
    wanted = select(holdings_).where(holdings_.c.sha256 == sha256).order_by(holdings_.c.log)
    return [Holding(*row) for row in conn.execute(wanted)]


def note_holding(conn: Connection, holding: Holding) -> None:
    conn.execute(holdings_.insert().values(holding._asdict()))
    if not holding.log:  # nothing is computed of what only a compartment knows: nobody outside could tell that it exists
        _await_digests(conn, [(holding.sha256,)])


def missing(conn: Connection, digests: Collection[str]) -> set[str]:
    """Of these SHA-256, those that the server does not hold."""
    asked = sorted(set(digests))
    held: set[str] = set()
    for start in range(0, len(asked), MANY):
        some = asked[start : start + MANY]
        held.update(conn.scalars(select(blobs.c.sha256).where(blobs.c.sha256.in_(some))))
    return set(asked) - held


def scan(conn: Connection) -> Iterator[Blob]:
    """Every blob, streamed."""
    for row in conn.execution_options(yield_per=1000).execute(select(blobs).order_by(blobs.c.sha256)):
        yield Blob(*row)


def totals(conn: Connection) -> tuple[int, int]:
    """(number, bytes) of the blobs held."""
    row = conn.execute(select(func.count(), func.coalesce(func.sum(blobs.c.size), 0)).select_from(blobs)).one()
    return int(row[0]), int(row[1])


# --- Who names a blob -------------------------------------------------------------------------------------------


_NAMING = ("sha256", "thumbnail", "preview")
"""Fields of an evidence record that name a blob: the original, and what the tablet made for the screen."""


def named_in(change: Change) -> set[str]:
    """The SHA-256 of every blob that a change names. Most changes name none, and a look at the bytes tells."""
    if b'"sha256"' not in change.content and b'"thumbnail"' not in change.content:
        return set()
    values = [written["value"] for written in change.set.values()]
    named = {value["sha256"] for value in values if type(value) is dict and type(value.get("sha256")) is str}
    own = (change.set.get(path, {}).get("value") for path in _NAMING)
    return named | {one for one in own if type(one) is str}


def mention(conn: Connection, changes: Iterable[tuple[Change, str]]) -> None:
    """Note which blobs kept changes name, whatever became of the changes: (change, device) each."""
    rows = [(digest, change.record, device) for change, device in changes for digest in sorted(named_in(change))]
    _write_mentions(conn, rows)
    named = {row[0] for row in rows}
    _await_look(conn, [(digest,) for digest in sorted(named)])
    lacking = missing(conn, named)
    _await(conn, [row for row in rows if row[0] in lacking])


def mentioned(conn: Connection, sha256: str) -> bool:
    """Whether any kept change names the blob."""
    return conn.scalar(select(blob_mentions.c.sha256).where(blob_mentions.c.sha256 == sha256).limit(1)) is not None


def note_made(conn: Connection, sha256: str, record: str) -> None:
    """The server itself made the bytes of a blob, for this record."""
    conn.execute(made_here.insert().values(sha256=sha256, record=record))


class Sight(NamedTuple):
    """A record that names a blob. `vouched`: by the word of a device that has had the bytes itself, or made for it here."""

    record: str
    kind: str
    bucket: str
    vouched: bool


def sights(conn: Connection, sha256: str, prefixes: Iterable[str], exact: Iterable[str]) -> list[Sight]:
    """The records in these buckets that name the blob, directly or through what was merged into them.

    Only where it is vouched for, the name opens anything: else naming a digest would open another's file.
    """
    holders = select(uploads.c.device).where(uploads.c.sha256 == sha256, uploads.c.completed.is_not(None))
    root = func.coalesce(aliases.c.root, blob_mentions.c.record)
    in_scope = or_(
        buckets.c.id.in_(list(exact)),
        *(buckets.c.id.between(prefix, prefix + "\U0010ffff") for prefix in prefixes),
    )
    made = exists().where(made_here.c.sha256 == sha256, made_here.c.record == blob_mentions.c.record)
    vouched = func.max(case((or_(blob_mentions.c.device.in_(holders), made), 1), else_=0))
    wanted = (
        select(states.c.record, states.c.kind, buckets.c.id, vouched)
        .select_from(blob_mentions)
        .outerjoin(aliases, aliases.c.member == blob_mentions.c.record)
        .join(states, states.c.record == root)
        .join(buckets, buckets.c.key == states.c.bucket)
        .where(blob_mentions.c.sha256 == sha256, in_scope)
        .group_by(states.c.record, states.c.kind, buckets.c.id)
        .order_by(states.c.record)
    )
    return [Sight(row[0], row[1], row[2], bool(row[3])) for row in conn.execute(wanted)]


def visible(conn: Connection, sha256: str, prefixes: Iterable[str], exact: Iterable[str]) -> bool:
    """Whether a record in one of these buckets opens the blob."""
    return any(one.vouched for one in sights(conn, sha256, prefixes, exact))


# --- Uploads ----------------------------------------------------------------------------------------------------


def upload(conn: Connection, id: str) -> Upload | None:
    row = conn.execute(select(uploads).where(uploads.c.id == id)).first()
    return Upload(*row) if row else None


def upload_of(conn: Connection, device: str, sha256: str) -> Upload | None:
    """A device's upload of a blob, whether under way or completed."""
    wanted = select(uploads).where(uploads.c.device == device, uploads.c.sha256 == sha256)
    row = conn.execute(wanted.order_by(uploads.c.completed.is_(None), uploads.c.begun.desc()).limit(1)).first()
    return Upload(*row) if row else None


def begin(conn: Connection, upload: Upload) -> None:
    conn.execute(uploads.insert().values(upload._asdict()))


def finish(conn: Connection, upload: str, at: int) -> None:
    conn.execute(update(uploads).where(uploads.c.id == upload).values(completed=at))


def drop(conn: Connection, upload: str) -> None:
    conn.execute(uploads.delete().where(uploads.c.id == upload))


def under_way(conn: Connection) -> list[Upload]:
    """Every unfinished upload, oldest first."""
    wanted = select(uploads).where(uploads.c.completed.is_(None)).order_by(uploads.c.begun)
    return [Upload(*row) for row in conn.execute(wanted)]
