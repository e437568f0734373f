"""Signed requests: how a device shows with each request that it is itself.

    Authorization: Patrolbook device="…", time="1763800000123", nonce="<32 hex>", sig="<base64>"

    sig = Ed25519("patrolbook/request/v1\\0" ‖ METHOD \\n path?query \\n SHA-256 of the body as sent \\n time \\n nonce)

There is no bearer token to steal and no algorithm to choose. Every failure gets the same answer, which carries the
server's time: a tablet whose clock is days off learns by how much and signs again.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from server.storage import people
from server.storage.database import Connection
from server.storage.nonces import Nonces
from server.storage.people import Device
from sync.core.errors import NotAuthenticated

REQUEST_TAG = b"patrolbook/request/v1\0"
SCHEME = "Patrolbook"

_CREDENTIALS = re.compile(
    r'Patrolbook\s+device="(?P<device>[A-Za-z0-9-]{1,64})",\s*time="(?P<time>\d{1,15})",'
    r'\s*nonce="(?P<nonce>[0-9a-f]{32})",\s*sig="(?P<sig>[A-Za-z0-9+/]{86}==)"\s*\Z'
)


class Credentials(NamedTuple):
    """What the Authorization header says; nothing of it is believed before `check`."""

    device: str
    time: int
    nonce: str
    signature: bytes


def signed_bytes(method: str, target: str, body_digest: str, time: int, nonce: str) -> bytes:
    """What a device signs. `target` is path?query as sent, `body_digest` hexadecimal, `time` milliseconds."""
    return REQUEST_TAG + "\n".join([method, target, body_digest, str(time), nonce]).encode()


def read(header: str | None, now: int) -> Credentials:
    """The credentials in an Authorization header; raises NotAuthenticated with the server's time."""
    found = _CREDENTIALS.match(header or "")
    if not found:
        raise NotAuthenticated(time=now)
    try:
        signature = b64decode(found["sig"], validate=True)
    except binascii.Error as error:
        raise NotAuthenticated(time=now) from error
    return Credentials(found["device"], int(found["time"]), found["nonce"], signature)


KeyOf = Callable[[Connection, Device], bytes | None]
"""The raw public key by which a device signs a request; None where it has none."""


def device_key(conn: Connection, device: Device) -> bytes | None:
    return device.key


def check(
    conn: Connection,
    nonces: Nonces,
    credentials: Credentials,
    message: bytes,
    now: int,
    clock_ms: int,
    key_of: KeyOf = device_key,
) -> Device:
    """The device that signed `message` (see `signed_bytes`), revoked or not.

    Raises NotAuthenticated for an unknown device, a wrong signature, a time more than `clock_ms` away or a nonce that
    was used before. The nonce is looked at last, so that only the device itself can use it up.
    """
    device = people.device(conn, credentials.device)
    key = key_of(conn, device) if device is not None else None
    if device is None or key is None or abs(credentials.time - now) > clock_ms:
        raise NotAuthenticated(time=now)
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(credentials.signature, message)
    except InvalidSignature as error:
        raise NotAuthenticated(time=now) from error
    if not nonces.fresh(device.id, credentials.nonce, now):
        raise NotAuthenticated(time=now)
    return device
