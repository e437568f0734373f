"""A capture: what a locked tablet states about one sealed object, signed, numbered and chained.

A locked tablet cannot reach its store, so a sealed object waits in a drop box with this statement beside it. The key
that signs it is the tablet's capture key, which needs no PIN; the tablet's own chain names that key beforehand (kind
`capture_key`) and takes the statement in, as it is, at the next unlock.

    statement  canonical JSON, see `Capture`; nothing in it tells what was recorded, where, or of whom
    hash       SHA-256("patrolbook/capture/v1\\0" ‖ statement), the `prev` of the next one
    signature  Ed25519(capture key, "patrolbook/capture-sig/v1\\0" ‖ hash)

What it proves: this key sealed these objects in this order, none left out before the newest known one. What it does not:
that nobody else held the tablet; see docs/operations.md.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas.labels import Label
from sync.core.change import START, canonical
from sync.core.errors import BadSignature, InvalidField, Malformed

VERSION = 2
"""1 had one commitment over everything that was told, so that nothing could be handed over without what the team wrote."""
CAPTURE_TAG = b"patrolbook/capture/v1\0"
SIGNATURE_TAG = b"patrolbook/capture-sig/v1\0"

_HEX = re.compile(r"[0-9a-f]{64}\Z")
_ID = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
_SMALL = ("key_file", "facts", "team")
_CLOCK = {"wall": int, "mono": int, "boot": str}


class Capture(NamedTuple):
    """The statement.

    seq, prev   1, 2, 3, … per capture key, and the hash of the one before (64 zeros before the first)
    record      the id that the record of this object gets
    recording   the same for all segments of one recording; number: 1, 2, 3, …; last: it ended here
    sha256, size      of the sealed content
    key_file    SHA-256 of the key file
    facts, facts_commit   SHA-256 of the sealed facts, and what they have to fit (`custody.commitments`): what whoever is
                handed the object needs to check it
    team, team_commit     the same of what the team told the province, which is never handed over
    recipients  version of the set that it was sealed for;  trust: SHA-256 of the trust file that named it
    audit       the audit that it belongs to, by its id or a piece of it, or empty
    clock       wall, mono and boot of the tablet when it was whole
    """

    seq: int
    prev: str
    record: str
    recording: str
    number: int
    last: bool
    sha256: str
    size: int
    key_file: str
    facts: str
    facts_commit: str
    team: str
    team_commit: str
    recipients: int
    trust: str
    audit: str
    clock: dict[str, Any]

    def dump(self) -> bytes:
        """The one written form, whose hash is signed."""
        return canonical({"v": VERSION, **self._asdict()})

    @property
    def hash(self) -> str:
        return hashlib.sha256(CAPTURE_TAG + self.dump()).hexdigest()

    def states(self, record: str, values: Mapping[str, Any]) -> bool:
        """Whether a record of sealed evidence (field → value) says what this statement does. Raises KeyError, ValueError."""
        small = [hashlib.sha256(b64decode(values[name], validate=True)).hexdigest() for name in _SMALL]
        same = [values[name] == getattr(self, name) for name in ("sha256", "size", "facts_commit", "team_commit")]
        return record == self.record and all(same) and small == [getattr(self, name) for name in _SMALL]

    def sign(self, sign: Callable[[bytes], bytes]) -> bytes:
        """The signature (64 bytes), by the Ed25519 signature of some bytes with the capture key."""
        return sign(SIGNATURE_TAG + bytes.fromhex(self.hash))


def read_capture(statement: bytes) -> Capture:
    """A statement in its one written form. Raises Malformed, or InvalidField naming the field."""
    try:
        body = orjson.loads(statement)
    except orjson.JSONDecodeError as error:
        raise Malformed(detail=str(error)) from error
    if type(body) is not dict or type(version := body.pop("v", None)) is not int:
        raise Malformed(detail=Label("不是采集声明", "it is no statement of a capture"))
    if version != VERSION:
        detail = Label(
            f"采集声明是第 {version} 版格式，本程序只认第 {VERSION} 版；请用同一版本的程序重新采集",
            f"the statement of a capture is of version {version} and this program knows {VERSION} only; capture it again with "
            "programs of one version",
        )
        raise Malformed(detail=detail)
    if body.keys() != set(Capture._fields):
        raise Malformed(detail=Label("采集声明的栏目不对", "a statement of a capture has other fields"))
    read = Capture(**body)
    _check(read)
    if read.dump() != statement:
        raise Malformed(detail="not the one written form of a capture")
    return read


def open_capture(statement: bytes, signature: bytes, key: bytes) -> Capture:
    """A statement, once the capture key (raw public key) is seen to have signed it.

    :raises BadSignature: it has not
    :raises Malformed, InvalidField:
    """
    read = read_capture(statement)
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, SIGNATURE_TAG + bytes.fromhex(read.hash))
    except (InvalidSignature, ValueError):
        raise BadSignature() from None
    return read


def gaps(captures: Iterable[Capture]) -> list[range]:
    """The numbers that are missing or do not fit the one before, among all captures of one key, as stretches in order.

    Empty where all is well. A number that two different statements claim (a tablet that was cloned or set back) is named
    too. A statement may claim any number, so what is missing before it is one stretch however long, and costs as little.
    """
    wrong: set[int] = set()
    missing: list[range] = []
    known: dict[int, Capture] = {}
    for one in captures:
        if known.setdefault(one.seq, one).hash != one.hash:
            wrong.add(one.seq)
    last, before = 0, START
    for seq, here in sorted(known.items()):
        if seq > last + 1:
            missing.append(range(last + 1, seq))
        elif here.prev != before:
            wrong.add(seq)
        last, before = seq, here.hash
    return _joined([*missing, *(range(seq, seq + 1) for seq in wrong)])


def as_id(text: str) -> str:
    """What a person wrote as an audit, where it can be (a piece of) an id; else empty: the statement takes no other words."""
    return text if _ID.match(text) else ""


def _joined(stretches: Iterable[range]) -> list[range]:
    """In order, and one where the next begins at the end of the one before."""
    found: list[range] = []
    for one in sorted(stretches, key=lambda stretch: stretch.start):
        if found and found[-1].stop == one.start:
            found[-1] = range(found[-1].start, one.stop)
        else:
            found.append(one)
    return found


def _check(read: Capture) -> None:
    for name in ("prev", "sha256", "key_file", "facts", "facts_commit", "team", "team_commit", "trust"):
        if type(value := getattr(read, name)) is not str or not _HEX.match(value):
            raise InvalidField(field=name, detail="is a SHA-256 of 64 hexadecimal digits")
    for name in ("record", "recording"):
        if type(value := getattr(read, name)) is not str or not _ID.match(value):
            raise InvalidField(field=name, detail="is an id")
    for name, least in (("seq", 1), ("number", 1), ("size", 1), ("recipients", 0)):
        if type(value := getattr(read, name)) is not int or value < least:
            raise InvalidField(field=name, detail=f"is a whole number from {least}")
    if type(read.last) is not bool:
        raise InvalidField(field="last", detail="is true or false")
    if type(read.audit) is not str or (read.audit and not _ID.match(read.audit)):
        raise InvalidField(field="audit", detail="is an id or empty")
    clock = read.clock
    if type(clock) is not dict or clock.keys() != _CLOCK.keys():
        raise InvalidField(field="clock", detail="holds wall, mono and boot")
    if not all(type(clock[name]) is kind for name, kind in _CLOCK.items()):
        raise InvalidField(field="clock", detail="wall and mono are whole numbers and boot is text")
