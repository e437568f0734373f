"""Records as merged, and the feed that carries them to tablets.

One dense counter per bucket. Raising it (`UPDATE … RETURNING`) is the last thing a transaction does, and the row stays
locked until commit, so the order of positions is the order of commits: no reader can pass a position by that appears
later. The feed holds the latest position of each record only; its length is the number of records, not of edits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, select, update

from server.storage.database import Bulk
from server.storage.journal import _slices
from server.storage.tables import buckets, feed, states

_insert_states = Bulk(states, ("record", "kind", "rev", "bucket", "sum", "bytes"))
_update_states = (
    update(states)
    .where(states.c.key == bindparam("k"))
    .values(
        kind=bindparam("kind_"),
        rev=bindparam("rev_"),
        bucket=bindparam("bucket_"),
        sum=bindparam("sum_"),
        bytes=bindparam("bytes_"),
    )
)
_insert_feed = Bulk(feed, ("bucket", "at", "state", "gone", "since"))
_raise_head = (
    update(buckets)
    .where(buckets.c.key == bindparam("k"))
    .values(
        head=buckets.c.head + bindparam("n"),
        count=buckets.c.count + bindparam("count_"),
        sum=buckets.c.sum + bindparam("sum_"),
    )
    .returning(buckets.c.head)
)


class Stored(NamedTuple):
    """A row of `states`. `bucket` is None for a record that was merged into another."""

    key: int
    record: str
    kind: str
    rev: int
    bucket: int | None
    sum: int
    bytes: bytes


class Bucket(NamedTuple):
    key: int
    id: str
    head: int
    floor: int
    count: int  # type: ignore[assignment]  # tuple.count is of no use here
    sum: int


class Placed(NamedTuple):
    """Where a record now is: what an acknowledgement names."""

    bucket: str
    at: int


class Write(NamedTuple):
    """A record to write: its bytes and the bucket where it belongs (None: merged away, with the root's id)."""

    record: str
    kind: str
    rev: int
    sum: int
    bytes: bytes
    bucket: str | None


def load(conn: Connection, records: Collection[str]) -> dict[str, Stored]:
    """The stored rows of these records."""
    return {
        row.record: Stored(*row)
        for some in _slices(records)
        for row in conn.execute(select(states).where(states.c.record.in_(some)))
    }


def write(conn: Connection, writes: list[Write], before: dict[str, Stored], now: int) -> dict[str, Placed]:
    """Store merged records and move them to the head of their buckets. Must be the last write of the transaction.

    `before` holds the rows that existed. Returns record → Placed for every record that is in a bucket.
    """
    keys = _buckets(conn, {w.bucket for w in writes if w.bucket is not None})
    fresh = [w for w in writes if w.record not in before]
    _insert_states(conn, [(w.record, w.kind, w.rev, keys.get(w.bucket or ""), w.sum, w.bytes) for w in fresh])
    changed = [
        {
            "k": before[w.record].key,
            "kind_": w.kind,
            "rev_": w.rev,
            "bucket_": keys.get(w.bucket or ""),
            "sum_": w.sum,
            "bytes_": w.bytes,
        }
        for w in writes
        if w.record in before
    ]
    if changed:
        conn.execute(_update_states, changed)
    row_keys = {record: row.key for record, row in before.items()} | _keys_of(conn, [w.record for w in fresh])
    moves: dict[int, list[tuple[Write, str | None]]] = {}
    for w in writes:
        old = before[w.record].bucket if w.record in before else None
        here = keys.get(w.bucket) if w.bucket is not None else None
        if here is not None:
            moves.setdefault(here, []).append((w, None))
        if old is not None and old != here:
            moves.setdefault(old, []).append((w, "merged" if here is None else "moved"))
    return _advance(conn, moves, before, row_keys, now)


def _advance(
    conn: Connection,
    moves: dict[int, list[tuple[Write, str | None]]],
    before: dict[str, Stored],
    row_keys: dict[str, int],
    now: int,
) -> dict[str, Placed]:
    names = {
        row.key: row.id
        for row in conn.execute(select(buckets.c.key, buckets.c.id).where(buckets.c.key.in_(list(moves))))
    }
    placed: dict[str, Placed] = {}
    for key in sorted(moves):  # one order for everybody, so that two writers cannot wait for each other
        count = total = 0
        for w, gone in moves[key]:
            was_here = w.record in before and before[w.record].bucket == key
            count += (0 if was_here else 1) if gone is None else -1
            total += (w.sum if gone is None else 0) - (before[w.record].sum if was_here else 0)
        head = conn.execute(_raise_head, {"k": key, "n": len(moves[key]), "count_": count, "sum_": total}).scalar_one()
        at = head - len(moves[key])
        rows = []
        for w, gone in moves[key]:
            at += 1
            rows.append((key, at, row_keys[w.record], gone, now))
            if gone is None:
                placed[w.record] = Placed(names[key], at)
        here_before = [row_keys[w.record] for w, _ in moves[key] if w.record in before]
        if here_before:
            conn.execute(feed.delete().where(feed.c.bucket == key, feed.c.state.in_(here_before)))
        _insert_feed(conn, rows)
    return placed


def placed(conn: Connection, records: Collection[str]) -> dict[str, tuple[int, Placed | None]]:
    """record → (rev, where it is) as things stand; for acknowledging what was already held."""
    wanted = (
        select(states.c.record, states.c.rev, buckets.c.id, feed.c.at)
        .outerjoin(buckets, buckets.c.key == states.c.bucket)
        .outerjoin(feed, (feed.c.bucket == states.c.bucket) & (feed.c.state == states.c.key))
    )
    return {
        row.record: (row.rev, Placed(row.id, row.at) if row.id is not None else None)
        for some in _slices(records)
        for row in conn.execute(wanted.where(states.c.record.in_(some)))
    }


def heads(conn: Connection, prefixes: Iterable[str], exact: Iterable[str] = ()) -> dict[str, Bucket]:
    """The buckets whose id begins with one of the prefixes, or is one of the exact ids, by id."""
    found: dict[str, Bucket] = {}
    for prefix in set(prefixes):
        in_range = buckets.c.id.between(prefix, prefix + "\U0010ffff")
        found.update({row.id: Bucket(*row) for row in conn.execute(select(buckets).where(in_range))})
    for some in _slices(sorted(set(exact))):
        found.update({row.id: Bucket(*row) for row in conn.execute(select(buckets).where(buckets.c.id.in_(some)))})
    return dict(sorted(found.items()))


def bucket_id(conn: Connection, key: int) -> str:
    return str(conn.scalar(select(buckets.c.id).where(buckets.c.key == key)))


class Item(NamedTuple):
    """One entry of the feed: a record as it is, or that it left (`gone`)."""

    at: int
    gone: str | None
    record: str
    bytes: bytes


def after(conn: Connection, bucket: int, position: int, limit: int) -> list[Item]:
    """The next entries of a bucket after a position, oldest first. Costs what it returns."""
    wanted = (
        select(feed.c.at, feed.c.gone, states.c.record, states.c.bytes)
        .join(states, states.c.key == feed.c.state)
        .where(feed.c.bucket == bucket, feed.c.at > position)
        .order_by(feed.c.at)
        .limit(limit)
    )
    return [Item(*row) for row in conn.execute(wanted)]


def forget_removals(conn: Connection, before: int) -> int:
    """Drop removals older than a server time and raise the floors; returns how many. Readers below a floor refill."""
    old = feed.c.gone.is_not(None) & (feed.c.since < before)
    newest = conn.execute(select(feed.c.bucket, func.max(feed.c.at)).where(old).group_by(feed.c.bucket)).all()
    for key, at in newest:
        conn.execute(update(buckets).where(buckets.c.key == key, buckets.c.floor < at).values(floor=at))
    return conn.execute(feed.delete().where(old)).rowcount


def scan(conn: Connection, kinds: Collection[str] | None = None) -> Iterator[Stored]:
    """Every record that stands for itself, streamed in key order."""
    wanted = select(states).where(states.c.bucket.is_not(None))
    if kinds is not None:
        wanted = wanted.where(states.c.kind.in_(kinds))
    for row in conn.execution_options(yield_per=1000).execute(wanted.order_by(states.c.key)):
        yield Stored(*row)


def _buckets(conn: Connection, ids: set[str]) -> dict[str, int]:
    found = {
        row.id: row.key
        for some in _slices(sorted(ids))
        for row in conn.execute(select(buckets.c.id, buckets.c.key).where(buckets.c.id.in_(some)))
    }
    for id in sorted(ids - found.keys()):
        added = conn.execute(buckets.insert().values(id=id, head=0, floor=0, count=0, sum=0).returning(buckets.c.key))
        found[id] = added.scalar_one()
    return found


def _keys_of(conn: Connection, records: Collection[str]) -> dict[str, int]:
    return {
        row.record: row.key
        for some in _slices(records)
        for row in conn.execute(select(states.c.record, states.c.key).where(states.c.record.in_(some)))
    }
