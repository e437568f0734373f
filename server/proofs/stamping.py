"""Time stamps (RFC 3161) over checkpoints: an authority outside says when the log had this size.

What is stamped is the note of a checkpoint as the log alone signed it. The response is verified under the roots that the
trust file pins, kept as the bytes that came, and put into the log as an act with its digest. That act is what makes the
time work in both directions: a checkpoint below the stamp is not younger, one beyond the act is not older.

Like witnesses, authorities are asked in the background, or with `timestamp now`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import NamedTuple

import orjson

from custody import timestamps
from schemas.labels import Label
from server import acts
from server.instance import Instance
from server.keys import Voice
from server.proofs import posting, witnesses
from server.storage import attested, facts, merkle
from server.storage.attested import Stamp
from server.storage.database import Connection
from sync.core.errors import BadStamp, InvalidField, Problem, Unavailable

SLIP_MS = 60_000
"""How far an authority's clock may be from ours: beyond, one of them is wrong, and a person must look."""
USUAL_MINUTES, MINUTE_MS = 60, 60_000

_AUTHORITIES, _EVERY = "stamp_authorities", "stamp_minutes"


class Authority(NamedTuple):
    """Where to ask, and under which of its policies; empty: whichever it takes."""

    url: str
    policy: str = ""


class Stamped(NamedTuple):
    """What came of asking one authority about one log: its time in milliseconds, or what was wrong."""

    log: str
    authority: str
    size: int
    at: int | None = None
    problem: Problem | None = None


def authorities(conn: Connection) -> tuple[list[Authority], int]:
    """Who is asked, and every how many minutes while the log grows."""
    text = facts.get(conn, _AUTHORITIES)
    held = [Authority(*one) for one in orjson.loads(text)] if text else []
    return held, int(facts.get(conn, _EVERY) or USUAL_MINUTES)


def set_authorities(house: Instance, wanted: Sequence[Authority], minutes: int, by: str) -> None:
    """Who is asked from now on; none: nobody. Raises InvalidField."""
    for one in wanted:
        posting.check_url(one.url)
        try:
            timestamps.request(b"", 0, one.policy)
        except ValueError as error:
            detail = Label("应是对象标识符，如 1.2.3.4.1", "is an object identifier such as 1.2.3.4.1")
            raise InvalidField(field="policy", detail=detail) from error
    told = [list(one) for one in wanted]
    with house.database.write() as conn:
        acts.append(conn, "", acts.SETTING, house.now(), by=by, stampers=[one.url for one in wanted], minutes=minutes)
        facts.put(conn, _AUTHORITIES, orjson.dumps(told).decode())
        facts.put(conn, _EVERY, str(minutes))


def stamp(house: Instance, *, all: bool = True) -> list[Stamped]:
    """Have the newest checkpoint of every log stamped by every authority.

    Without `all` only where the log has grown since the last stamp by more than the act about it, and its time is due.
    """
    with house.database.read() as conn:
        wanted, minutes = authorities(conn)
    if not wanted:
        return []
    trust = witnesses.trusted(house)
    roots = trust.stampers if trust is not None else ()
    found = []
    for voice in house.keys.voices.values():
        with house.database.read() as conn:
            size = merkle.size(conn, voice.compartment)
            due = [one for one in wanted if size and (all or _is_due(house, conn, voice, one, size, minutes))]
        if due:
            with house.database.write() as conn:
                merkle.checkpoint(conn, voice, house.now())
                size = merkle.size(conn, voice.compartment)
            found += [_stamp(house, voice, one, size, roots) for one in due]
    return found


def _is_due(house: Instance, conn: Connection, voice: Voice, authority: Authority, size: int, minutes: int) -> bool:
    newest = attested.newest_stamp(conn, voice.compartment, authority.url)
    if newest is None:
        return True
    if house.now() - newest.at < minutes * MINUTE_MS:
        return False
    about_stamps = sum(act.leaf >= newest.size for act in acts.every(conn, voice.compartment, acts.STAMPED))
    return size - newest.size > about_stamps


def _stamp(house: Instance, voice: Voice, authority: Authority, size: int, roots: Sequence[str]) -> Stamped:
    try:
        made, response = _asked(house, voice, authority, size, roots)
    except Problem as problem:
        return Stamped(voice.origin, authority.url, size, problem=problem)
    one = Stamp(size, authority.url, response, made.at)
    digest = hashlib.sha256(response).hexdigest()
    with house.database.write() as conn:
        attested.stamp(conn, voice.compartment, one)
        acts.append(conn, voice.compartment, acts.STAMPED, house.now(), size=size, stamp=digest)
    return Stamped(voice.origin, authority.url, size, made.at)


def _asked(
    house: Instance, voice: Voice, authority: Authority, size: int, roots: Sequence[str]
) -> tuple[timestamps.Token, bytes]:
    with house.database.read() as conn:
        note = attested.signed(conn, voice.compartment, size)
        signed_at = merkle.made_at(conn, voice.compartment, size)
    assert note is not None and signed_at is not None  # it was kept just now, if not before
    nonce = secrets.randbits(63)
    answer = posting.post(authority.url, timestamps.request(note.encode(), nonce, authority.policy), timestamps.QUERY)
    if answer.status != 200 or answer.kind != timestamps.REPLY:
        raise Unavailable(detail=f"{authority.url}: {answer.status} {answer.kind}")
    try:
        token = timestamps.verify(answer.content, note.encode(), roots, nonce=nonce, policy=authority.policy)
    except timestamps.NoJudge as error:
        detail = Label("本机没有 rfc3161-client 或 openssl", "there is no rfc3161-client or openssl on this machine")
        raise BadStamp(detail=detail) from error
    if token.latest < signed_at - SLIP_MS or token.earliest > house.now() + SLIP_MS:
        detail = Label("其时间早于检查点，或在本机时间之后", "its time is before the checkpoint's, or after our own")
        raise BadStamp(detail=detail)
    return token, answer.content
