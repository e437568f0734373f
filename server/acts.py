"""Acts: what the server itself did and answers for, as leaves of the log of the compartment that it concerns.

An act is one line of canonical JSON with the time, the kind of the act and its facts. A nonce of 128 bits keeps its leaf
from telling what it says to somebody who guesses. `blob-held` has none, for its receipt is the tablet's already.

    {"act":"opened","at":1795345423700,"blob":"…","by":"…","nonce":"…","purpose":"复核","v":1}

An act comes before what it tells of: a file that is opened, a trust file that is published. If it cannot be written,
nothing happens.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from server.storage import merkle
from server.storage.database import Connection
from sync.core.change import canonical

ENROLLED = "device-enrolled"
REVOKED = "device-revoked"
OPENED = "opened"
VIEWED = "viewed"
DENIED = "denied"
EXPORTED = "exported"
TRACED = "traced"
DERIVED = "derived"
GRANTED = "granted"
GRANT_ENDED = "grant-ended"
TRUST_UPDATED = "trust-updated"
SETTING = "setting"
RELEASED = "released"
INVITED = "device-invited"
ACCOUNT_OPENED = "account-opened"
ACCOUNT_RESET = "account-reset"
ACCOUNT_CLOSED = "account-closed"
SESSIONS_ENDED = "sessions-ended"
SECOND_STEP = "second-step"
STAMPED = "stamped"


class Act(NamedTuple):
    """One act: its place in the log of its compartment, its bytes and what they say."""

    log: str
    leaf: int
    content: bytes
    body: dict[str, Any]


def append(conn: Connection, compartment: str, what: str, now: int, /, **facts: Any) -> Act:
    """Append an act inside a write transaction; it counts once that is committed. None among the facts is left out."""
    said = {name: value for name, value in facts.items() if value is not None}
    body = {"act": what, "at": now, "nonce": secrets.token_hex(16), "v": 1} | said
    content = canonical(body)
    return Act(compartment, merkle.append_act(conn, compartment, content), content, body)


def every(conn: Connection, compartment: str, what: str | None = None) -> Iterator[Act]:
    """The acts of a compartment in the order of its log, of one kind where one is named."""
    for leaf, content in merkle.acts_of(conn, compartment, beginning(what) if what is not None else b""):
        yield Act(compartment, leaf, content, orjson.loads(content))


def beginning(what: str) -> bytes:
    """How the bytes of every act of a kind begin: its name comes first in canonical order."""
    return canonical({"act": what})[:-1] + b","
