"""How a tablet becomes a device: staff hand out a one-time code, the tablet answers with its key.

A code has 60 random bits, is bound to one person, expires, and works once. The database holds only its HMAC under a
key that lies elsewhere, so a copy of the database gives no code away. A tablet whose answer was lost may ask again with
the same code and the same key and is told the same; the code with another key is spent.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas.labels import Label
from server import acts
from server.access import rights
from server.keys import ServerKeys
from server.storage import people
from server.storage.database import Connection, Database
from server.storage.people import Code, Device, Grant, Person
from sync.core.errors import BadSignature, CodeNotValid, Refused
from sync.peer import enrolment_proof_input

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U
GROUPS = 3

_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


class Enrolled(NamedTuple):
    """What a tablet is told about itself."""

    device: Device
    person: Person
    grants: list[Grant]
    compartment: str


def invite(database: Database, keys: ServerKeys, person: str, now: int, lifetime_ms: int) -> str:
    """A new code for a person, as it is to be typed: `XXXX-XXXX-XXXX`. It is shown once and cannot be read back."""
    code = new_code()
    with database.write() as conn:
        people.keep_code(conn, Code(digest_of(keys, code), person, now, now + lifetime_ms, None))
    return code


def enrol(database: Database, keys: ServerKeys, claim: Mapping[str, Any], now: int) -> Enrolled:
    """Enrol the tablet that sent `claim` (a `schemas.wire.EnrolRequest`).

    Raises CodeNotValid (unknown, spent or expired, told alike), BadSignature (it does not hold the key that it names)
    or Refused (the key is another device's).
    """
    key = b64decode(claim["key"])
    _prove(key, claim["code"], b64decode(claim["proof"]))
    digest = digest_of(keys, claim["code"])
    with database.write() as conn:
        code = people.code(conn, digest)
        if code is None:
            raise CodeNotValid()
        if code.device is not None:
            return _again(conn, code, key, now)
        if people.device_of_key(conn, key) is not None:
            detail = Label("这把密钥已登记过，请在平板上重新生成", "this key is enrolled already; make a new one")
            raise Refused(detail=detail)
        device = Device(keys.new_id(now), code.person, key, claim["name"], claim["model"], now, None, "")
        people.add_device(conn, device)
        if not people.use_code(conn, digest, device.id, now):
            raise CodeNotValid()  # and the device that was just added is rolled back
        where = rights.compartment_of(conn, device)
        owner = people.person(conn, code.person)
        role = owner.role if owner is not None else ""
        acts.append(conn, where, acts.ENROLLED, now, device=device.id, key=key.hex(), person=code.person, role=role)
        return _told(conn, device, now)


def new_code() -> str:
    """A code of 60 random bits as it is to be typed."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(GROUPS))


def digest_of(keys: ServerKeys, code: str) -> bytes:
    """The keyed hash under which a code is kept. Case, dashes, spaces and look-alike letters do not matter."""
    return hmac.digest(keys.codes_seed, code.upper().translate(_READ_AS).encode(), "sha256")


def _again(conn: Connection, code: Code, key: bytes, now: int) -> Enrolled:
    device = people.device(conn, code.device or "")
    if device is None or not hmac.compare_digest(device.key, key) or device.revoked is not None:
        raise CodeNotValid()
    return _told(conn, device, now)


def _told(conn: Connection, device: Device, now: int) -> Enrolled:
    person = people.person(conn, device.person)
    if person is None:
        raise CodeNotValid()
    held = rights.active(people.grants_of(conn, person.id), now)
    return Enrolled(device, person, held, rights.compartment_of(conn, device))


def _prove(key: bytes, code: str, proof: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(proof, enrolment_proof_input(code, key))
    except InvalidSignature as error:
        raise BadSignature() from error
