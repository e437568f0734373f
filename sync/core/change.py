"""A change: one immutable act on one record. Its canonical bytes, its hash, and its place in a replica's chain.

Content and envelope are kept apart. The content is one line of canonical JSON (RFC 8785 without floats), hashed and
stored as the exact bytes received. The envelope (replica, n, prev, signature) says which database wrote it and when in
that database's order; a restored or cloned tablet renumbers what it had not sent, and id, hash and parents stay.

    content   {"by":[…],"clock":{…},"hlc":"…","id":"…","kind":"…","record":"…","schema":1,"seen":{…},
               "set":{path:{"parents":[…],"value":…}},"v":1,"decision"?:{…}}
    hash      SHA-256("patrolbook/change/v1\\0" ‖ content)
    chain     SHA-256("patrolbook/chain/v1\\0" ‖ canonical {"hash","n","prev","replica"})
    signature Ed25519("patrolbook/sig/v1\\0" ‖ chain)
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from sync.core.errors import InvalidField, Malformed, NotCanonical

VERSION = 1
START = "0" * 64  # `prev` of a replica's first change

CHANGE_TAG = b"patrolbook/change/v1\0"
CHAIN_TAG = b"patrolbook/chain/v1\0"
SIGNATURE_TAG = b"patrolbook/sig/v1\0"

DECISIONS = frozenset({"resolve", "merge", "withdraw", "admit", "close"})
LARGEST_CHANGE = 1 << 20  # bytes of content; a person's act is small, and bytes of evidence travel as blobs

_ID = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_STAMP = re.compile(r"[0-9a-f]{12}-[0-9a-f]{4}\Z")
_REQUIRED = {
    "v": int,
    "id": str,
    "kind": str,
    "record": str,
    "set": dict,
    "by": list,
    "schema": int,
    "hlc": str,
    "clock": dict,
}
_REQUIRED_TYPES = tuple(_REQUIRED.items())
_KNOWN = frozenset(_REQUIRED) | {"seen", "decision"}


def canonical(value: Any) -> bytes:
    """Canonical JSON bytes (RFC 8785 for ASCII keys and no floats). Raises NotCanonical for what cannot be rendered."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError) as error:
        raise NotCanonical(detail=str(error)) from error


class Change:
    """One change as content. Equal ids with equal hashes are the same change, however often it arrives."""

    __slots__ = ("body", "content", "hash")

    def __init__(self, body: dict[str, Any], content: bytes, digest: bytes) -> None:
        self.body = body
        self.content = content
        self.hash = digest

    @classmethod
    def make(cls, body: dict[str, Any]) -> Change:
        """A new change from its fields; raises the same errors as `read`."""
        return cls.read(canonical(body))

    @classmethod
    def read(cls, content: bytes) -> Change:
        """Parse and check the envelope-free content.

        Raises Malformed (not JSON, too large), NotCanonical (another byte form) or InvalidField (names the field).
        The values themselves are the schema's business: see `sync.core.rules.dispose`.
        """
        if len(content) > LARGEST_CHANGE:
            raise Malformed(detail=f"a change of {len(content)} bytes")
        try:
            body = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise Malformed(detail=str(error)) from error
        if type(body) is not dict:
            raise Malformed(detail="a change is a JSON object")
        if canonical(body) != content:
            raise NotCanonical(detail="keys unsorted, repeated, or spaced")
        _check_content(body)
        return cls(body, content, hashlib.sha256(CHANGE_TAG + content).digest())

    @classmethod
    def stored(cls, content: bytes) -> Change:
        """A change that was checked before it was stored; skips the checks."""
        return cls(orjson.loads(content), content, hashlib.sha256(CHANGE_TAG + content).digest())

    @property
    def id(self) -> str:
        return self.body["id"]  # type: ignore[no-any-return]

    @property
    def kind(self) -> str:
        return self.body["kind"]  # type: ignore[no-any-return]

    @property
    def record(self) -> str:
        return self.body["record"]  # type: ignore[no-any-return]

    @property
    def set(self) -> dict[str, dict[str, Any]]:
        """path → {"parents": [change ids], "value": value}"""
        return self.body["set"]  # type: ignore[no-any-return]

    @property
    def by(self) -> list[str]:
        return self.body["by"]  # type: ignore[no-any-return]

    @property
    def hlc(self) -> str:
        return self.body["hlc"]  # type: ignore[no-any-return]

    @property
    def schema(self) -> int:
        return self.body["schema"]  # type: ignore[no-any-return]

    @property
    def decision(self) -> dict[str, Any] | None:
        return self.body.get("decision")

    @property
    def replaces(self) -> bool:
        """Whether it may name parents. A look at the bytes: quotes inside JSON text are escaped, so this is never a
        false no, and reading every path of a change that begins a record costs more than the rest of merging it."""
        return b'"parents":["' in self.content

    @property
    def targets(self) -> list[str]:
        """The change ids that a withdraw, admit or close decision names."""
        return (self.decision or {}).get("changes", [])  # type: ignore[no-any-return]

    def value(self, path: str) -> Any:
        return self.set[path]["value"]

    def parents(self, path: str) -> list[str]:
        return self.set[path]["parents"]  # type: ignore[no-any-return]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Change) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def __repr__(self) -> str:
        return f"Change({self.id}, {self.kind} {self.record}, {sorted(self.set)})"


def _check_content(body: dict[str, Any]) -> None:
    for name, kind in _REQUIRED_TYPES:
        if type(body.get(name)) is not kind:
            raise InvalidField(field=name, detail="missing or of the wrong type")
    if not body.keys() <= _KNOWN:
        raise InvalidField(field=min(body.keys() - _KNOWN), detail="is not part of a change")
    if body["v"] != VERSION:
        raise InvalidField(field="v", detail=f"version {body['v']} is not known")
    if not _ID.match(body["id"]):
        raise InvalidField(field="id", detail="is not a change id")
    if not _ID.match(body["record"]):
        raise InvalidField(field="record", detail="is not a record id")
    if not _KIND.match(body["kind"]):
        raise InvalidField(field="kind", detail="is not the name of a kind")
    if not _STAMP.match(body["hlc"]):
        raise InvalidField(field="hlc", detail="is not a hybrid clock stamp")
    if not _ids(body["by"]):
        raise InvalidField(field="by", detail="holds ids of people")
    for path, written in body["set"].items():
        if type(written) is not dict or len(written) != 2 or "value" not in written or not path.isascii():
            raise InvalidField(field=path, detail="an ASCII path holds a value and the ids of its parents")
        parents = written.get("parents")
        if type(parents) is not list or (parents and not _proper(parents, body["id"])):
            raise InvalidField(field=path, detail="the parents of a value are ids of other changes, each once")
    if not _clock(body["clock"]):
        raise InvalidField(field="clock", detail="wall, mono and off are whole numbers and boot is text")
    if "seen" in body and not _seen(body["seen"]):
        raise InvalidField(field="seen", detail="holds the size and the root of a checkpoint")
    decision = body.get("decision")
    if decision is not None:
        _check_decision(decision)
    elif not body["set"]:
        raise InvalidField(field="set", detail="a change writes at least one field")


def _check_decision(decision: Any) -> None:
    if type(decision) is not dict or type(decision.get("do")) is not str or decision["do"] not in DECISIONS:
        raise InvalidField(field="decision", detail=f"is one of {', '.join(sorted(DECISIONS))}")
    if type(decision.get("reason")) is not str or not decision["reason"].strip():
        raise InvalidField(field="decision.reason", detail="a decision needs a reason")
    if decision["do"] == "merge":
        if type(decision.get("other")) is not str:
            raise InvalidField(field="decision.other", detail="names the other record")
    elif decision["do"] != "resolve" and not (_ids(decision.get("changes")) and decision["changes"]):
        raise InvalidField(field="decision.changes", detail="names the changes that it decides on")


_CLOCK = {"wall": int, "mono": int, "boot": str, "off": int}


def _clock(value: dict[str, Any]) -> bool:
    return value.keys() == _CLOCK.keys() and all(type(value[name]) is kind for name, kind in _CLOCK.items())


def _seen(value: Any) -> bool:
    return (
        type(value) is dict
        and value.keys() == {"size", "root"}
        and type(value["size"]) is int
        and type(value["root"]) is str
    )


def _proper(parents: list[Any], own: str) -> bool:
    return _ids(parents) and len(set(parents)) == len(parents) and own not in parents


def _ids(value: Any) -> bool:
    return type(value) is list and all(type(one) is str for one in value)


class Link(NamedTuple):
    """The envelope of one change: its place in a replica's chain and the device's signature over that place."""

    replica: str
    n: int
    prev: str
    signature: bytes

    def chain(self, digest: bytes) -> str:
        return chain_hash(self.replica, self.n, self.prev, digest)


def chain_hash(replica: str, n: int, prev: str, digest: bytes) -> str:
    """The hash that the next change of the replica names as `prev`, in hexadecimal."""
    # Written out rather than through canonical(): these four values need no escaping, and every push computes it.
    link = f'{{"hash":"{digest.hex()}","n":{n},"prev":"{prev}","replica":"{replica}"}}'
    return hashlib.sha256(CHAIN_TAG + link.encode()).hexdigest()


def signature_input(chain: str) -> bytes:
    """The bytes that the device signs for a chain hash in hexadecimal."""
    return SIGNATURE_TAG + bytes.fromhex(chain)


def compose(
    *,
    id: str,
    kind: str,
    record: str,
    set: Mapping[str, tuple[Any, list[str]]],
    by: list[str],
    schema: int,
    hlc: str,
    clock: Mapping[str, int | str],
    seen: Mapping[str, int | str] | None = None,
    decision: Mapping[str, Any] | None = None,
) -> Change:
    """A change from `path → (value, parents)`; the one place that knows the layout when writing."""
    body: dict[str, Any] = {
        "v": VERSION,
        "id": id,
        "kind": kind,
        "record": record,
        "by": by,
        "schema": schema,
        "hlc": hlc,
        "clock": dict(clock),
        "set": {path: {"parents": sorted(parents), "value": value} for path, (value, parents) in set.items()},
    }
    if seen:
        body["seen"] = dict(seen)
    if decision:
        body["decision"] = dict(decision)
    return Change.make(body)
