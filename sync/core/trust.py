"""Whom to believe: one small file, signed by the authority's root key, which is kept offline.

It names the keys of the logs and of the server's own replicas, the witnesses and how many of them are enough, the time
stamping authorities, and to whose keys evidence is sealed. A tablet pins the root's fingerprint when it enrols; from
then on a server, even one in wrong hands, cannot hand out keys of its own as those of the province.

    content    canonical JSON, one line (see `Trust`)
    signature  Ed25519(root key, "patrolbook/trust/v1\\0" ‖ content)

A later edition replaces an earlier one; `edition` only grows, so an old file cannot be played back.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync.core.change import canonical
from sync.core.errors import BadSignature, InvalidField, Malformed
from sync.core.note import SignatureType, Verifier

TRUST_TAG = b"patrolbook/trust/v1\0"
LARGEST = 256 * 1024

_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}\Z")
_AREA = re.compile(r"[0-9]{2,12}\Z")
_FIELDS = frozenset(
    {"v", "edition", "authority", "made", "logs", "replicas", "witnesses", "quorum", "stampers", "seal"}
)


@dataclass(frozen=True, slots=True)
class Witness:
    """Another organisation that cosigns checkpoints. `key` is its raw Ed25519 key; `url` where it is asked, or empty."""

    name: str
    key: bytes
    url: str = ""


@dataclass(frozen=True, slots=True)
class Seal:
    """The age recipients (`age1…`) that evidence is sealed to.

    version    of the set, recorded with every sealed object
    province   each of these can open what is sealed
    escrow     the same, kept elsewhere
    counties   division code → the recipients to whom a county's hand-overs are wrapped
    """

    version: int
    province: tuple[str, ...]
    escrow: tuple[str, ...] = ()
    counties: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def recipients(self) -> tuple[str, ...]:
        return self.province + self.escrow

    def county(self, area: str) -> tuple[str, ...]:
        """The recipients of the nearest division above or at `area` that has any; empty where none has."""
        fits = [code for code in self.counties if area.startswith(code)]
        return self.counties[max(fits, key=len)] if fits else ()


@dataclass(frozen=True, slots=True)
class Trust:
    """What the root vouches for.

    edition    grows with every file that is signed;  made: milliseconds since 1970 UTC
    logs       origin of a log → its raw Ed25519 key
    replicas   id of a server's own replica → its raw Ed25519 key
    quorum     how many witnesses must have cosigned a checkpoint before it counts as witnessed
    stampers   PEM certificates of the roots of RFC 3161 authorities
    """

    edition: int
    authority: str
    made: int
    logs: Mapping[str, bytes]
    replicas: Mapping[str, bytes] = field(default_factory=dict)
    witnesses: tuple[Witness, ...] = ()
    quorum: int = 0
    stampers: tuple[str, ...] = ()
    seal: Seal | None = None

    def dump(self) -> bytes:
        """The one written form, which the root signs."""
        seal = self.seal
        return canonical(
            {
                "v": 1,
                "edition": self.edition,
                "authority": self.authority,
                "made": self.made,
                "logs": {origin: _text(key) for origin, key in self.logs.items()},
                "replicas": {id: _text(key) for id, key in self.replicas.items()},
                "witnesses": [{"name": one.name, "key": _text(one.key), "url": one.url} for one in self.witnesses],
                "quorum": self.quorum,
                "stampers": list(self.stampers),
                "seal": None
                if seal is None
                else {
                    "version": seal.version,
                    "province": list(seal.province),
                    "escrow": list(seal.escrow),
                    "counties": {area: list(keys) for area, keys in seal.counties.items()},
                },
            }
        )

    def verifiers(self) -> list[Verifier]:
        """The keys whose signatures under a checkpoint mean something: logs first, then witnesses."""
        logs = [Verifier(origin, key) for origin, key in self.logs.items()]
        return logs + [Verifier(one.name, one.key, SignatureType.COSIGNATURE) for one in self.witnesses]


def sign_trust(content: bytes, root_seed: bytes) -> bytes:
    """The root's signature (64 bytes) under a trust file; `root_seed` is its 32-byte private key."""
    return Ed25519PrivateKey.from_private_bytes(root_seed).sign(TRUST_TAG + content)


def open_trust(content: bytes, signature: bytes, root: bytes) -> Trust:
    """The trust file, once the root (raw public key) is seen to have signed it.

    :raises BadSignature: it has not
    :raises Malformed, InvalidField: signed, but not in the one written form
    """
    try:
        Ed25519PublicKey.from_public_bytes(root).verify(signature, TRUST_TAG + content)
    except (InvalidSignature, ValueError):
        raise BadSignature() from None
    return read_trust(content)


def read_trust(content: bytes) -> Trust:
    """The trust file without asking who signed it: for showing, and for one whose signature was checked before.

    :raises Malformed, InvalidField: not in the one written form
    """
    if len(content) > LARGEST:
        raise Malformed(detail=f"a trust file of {len(content)} bytes")
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Malformed(detail=str(error)) from error
    if type(body) is not dict or body.keys() != _FIELDS or body["v"] != 1:
        raise Malformed(detail="not a trust file of this version")
    read = Trust(
        _whole(body, "edition"),
        _of(body, "authority", str),
        _whole(body, "made"),
        _keys(body, "logs"),
        _keys(body, "replicas"),
        tuple(_witness(one) for one in _of(body, "witnesses", list)),
        _whole(body, "quorum"),
        tuple(_texts("stampers", _of(body, "stampers", list))),
        None if body["seal"] is None else _seal(_of(body, "seal", dict)),
    )
    if read.quorum > len(read.witnesses):
        raise InvalidField(field="quorum", detail="more than there are witnesses")
    if read.dump() != content:
        raise Malformed(detail="not the one written form of a trust file")
    return read


def _witness(value: Any) -> Witness:
    if type(value) is not dict or value.keys() != {"name", "key", "url"}:
        raise InvalidField(field="witnesses", detail="each has a name, a key and a url")
    witness = Witness(_of(value, "name", str), _key("witnesses", value["key"]), _of(value, "url", str))
    try:
        Verifier(witness.name, witness.key, SignatureType.COSIGNATURE)
    except ValueError as error:
        raise InvalidField(field="witnesses", detail=str(error)) from error
    return witness


def _seal(value: dict[str, Any]) -> Seal:
    if value.keys() != {"version", "province", "escrow", "counties"}:
        raise InvalidField(field="seal", detail="has version, province, escrow and counties")
    counties = _of(value, "counties", dict)
    if not all(type(area) is str and _AREA.match(area) for area in counties):
        raise InvalidField(field="seal.counties", detail="is keyed by division codes")
    seal = Seal(
        _whole(value, "version"),
        _recipients("seal.province", value["province"]),
        _recipients("seal.escrow", value["escrow"]),
        {area: _recipients(f"seal.counties.{area}", keys) for area, keys in counties.items()},
    )
    if not seal.province:
        raise InvalidField(field="seal.province", detail="names at least one recipient")
    return seal


def check_seal(seal: Seal) -> Seal:
    """The same recipients; raises InvalidField where `read_trust` would refuse them."""
    return _seal(
        {
            "version": seal.version,
            "province": list(seal.province),
            "escrow": list(seal.escrow),
            "counties": {area: list(keys) for area, keys in seal.counties.items()},
        }
    )


def _recipients(field: str, value: Any) -> tuple[str, ...]:
    names = tuple(_texts(field, value))
    if not all(_RECIPIENT.match(name) for name in names):
        raise InvalidField(field=field, detail="holds age recipients (age1…)")
    return names


def _texts(field: str, value: Any) -> list[str]:
    if type(value) is not list or not all(type(one) is str for one in value):
        raise InvalidField(field=field, detail="is a list of texts")
    return value


def _keys(body: dict[str, Any], name: str) -> dict[str, bytes]:
    return {id: _key(f"{name}.{id}", text) for id, text in _of(body, name, dict).items()}


def _key(field: str, text: Any) -> bytes:
    try:
        raw = b64decode(text, validate=True)
    except (ValueError, TypeError):
        raw = b""
    if len(raw) != 32:
        raise InvalidField(field=field, detail="is a key of 32 bytes in base64")
    return raw


def _whole(body: Mapping[str, Any], name: str) -> int:
    value: int = _of(body, name, int)
    if value < 0:
        raise InvalidField(field=name, detail="is not below zero")
    return value


def _of(body: Mapping[str, Any], name: str, kind: type) -> Any:
    if type(body[name]) is not kind:
        raise InvalidField(field=name, detail=f"is of the type {kind.__name__}")
    return body[name]


def _text(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")
