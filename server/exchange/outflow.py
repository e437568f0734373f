"""Pull: the states that changed since a reader's cursors, as NDJSON; stored bytes are sent as they are.

Everything in one answer is read in one snapshot, so a complete pull is one consistent cut. A bucket that the reader may
not see does not exist for it: unknown, foreign and sealed ones answer alike.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import orjson

from server.keys import Voice
from server.storage import merkle, states
from server.storage.database import Database
from server.storage.states import Bucket
from sync.core.errors import CursorExpired, EpochChanged, Malformed

PAGE = 256 * 1024  # bytes of states in one answer unless the reader asks for another size
LARGEST_PAGE = 8 * 1024 * 1024
ROWS = 2000  # entries read at once


def pull(
    database: Database,
    voice: Voice,
    *,
    epoch: str,
    prefixes: list[str],
    exact: list[str],
    request: Mapping[str, Any],
    now: int,
) -> bytes:
    """One page: a head line, states and removals, an end line.

    prefixes, exact: the buckets that the reader may see. request: epoch, cursors {bucket: "position.floor"},
    limit_bytes, log {size}. Raises EpochChanged, CursorExpired (the bucket forgot removals that the reader has not
    seen) or Malformed.
    """
    if request.get("epoch") != epoch:
        raise EpochChanged(epoch=epoch)
    cursors = {bucket: _position(cursor) for bucket, cursor in request.get("cursors", {}).items()}
    budget = min(int(request.get("limit_bytes") or PAGE), LARGEST_PAGE)
    with database.read() as conn:
        mine = states.heads(conn, prefixes, exact)
        lines = [
            _line(
                {
                    "head": {
                        "epoch": epoch,
                        "time": now,
                        "buckets": {b.id: b.head for b in mine.values()},
                        "granted": sorted(mine.keys() - cursors.keys()),
                        "revoked": sorted(cursors.keys() - mine.keys()),
                    }
                }
            )
        ]
        ahead: dict[str, str] = {}
        more = False
        for bucket in sorted(mine.values(), key=_priority):
            position, boot = cursors.get(bucket.id, (0, bucket.floor))
            if position == 0:
                boot = bucket.floor
            if bucket.floor > max(position, boot):
                raise CursorExpired(bucket=bucket.id)
            while budget > 0 and position < bucket.head:
                items = states.after(conn, bucket.key, position, ROWS)
                for item in items:
                    line = _item(bucket.id, item)
                    lines.append(line)
                    position = item.at
                    budget -= len(line)
                    if budget <= 0:
                        break
                if not items:
                    position = bucket.head  # the newest positions were moves within the bucket
            more = more or position < bucket.head
            ahead[bucket.id] = f"{position}.{boot}"
        end: dict[str, Any] = {"cursors": ahead, "more": more}
        if not more:
            end["sums"] = {b.id: [b.count, b.sum] for b in mine.values()}
            end["log"] = _log(conn, voice, request.get("log"), now)
        lines.append(_line({"end": end}))
    return b"".join(lines)


def _priority(bucket: Bucket) -> tuple[bool, str]:
    """Reference data first: a checklist is needed before an inspection makes sense."""
    return (not bucket.id.startswith("ref:"), bucket.id)


def _item(bucket: str, item: states.Item) -> bytes:
    if item.gone is None:
        return b'{"b":"%s","q":%d,"put":%s}\n' % (bucket.encode(), item.at, item.bytes)
    gone: dict[str, Any] = {"b": bucket, "q": item.at, "gone": item.record, "why": item.gone}
    if item.gone == "merged":
        gone["into"] = item.bytes.decode()
    return _line(gone)


def _log(conn: Any, voice: Voice, known: Any, now: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"checkpoint": merkle.checkpoint(conn, voice, now)}
    size = known.get("size") if isinstance(known, dict) else None
    held = merkle.size(conn, voice.compartment)
    if isinstance(size, int) and 0 < size < held:
        proof = merkle.consistency(conn, voice.compartment, size, held)
        answer["consistency"] = [base64.b64encode(one).decode() for one in proof]
    return answer


def _position(cursor: object) -> tuple[int, int]:
    at, _, boot = str(cursor).partition(".")
    if not (at + boot).isascii() or not at.isdigit() or not (boot or "0").isdigit() or len(at + boot) > 36:
        raise Malformed(detail="a cursor is text that an earlier pull answered")
    return int(at), int(boot or "0")


def _line(value: Any) -> bytes:
    return orjson.dumps(value) + b"\n"
