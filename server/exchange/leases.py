"""Leases: the share of a tablet's keys that the server keeps and lends for some days.

A tablet asks with each round and has its share until the lease ends; then it has to ask again before it can be unlocked.
Whoever asks for a locked tablet proves two things: that it is this tablet (the contact key, which signs the request) and
that somebody knows its PIN (the lease key, which only the right PIN gives). Wrong PINs are counted here, where no copy of
the tablet resets the count; nobody without the tablet can make them count. A revoked tablet gets no share any more, for
it is destroyed with the revocation.

Shares lie in the database sealed by a key that is not in it, so a copy of the database lends nothing.
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.labels import Label
from server.access import rights
from server.instance import Instance
from server.keys import ServerKeys
from server.storage import facts, leases, people
from server.storage.database import Connection
from server.storage.leases import Row
from server.storage.people import Device
from sync.core.errors import DeviceRevoked, InvalidField, NotAuthenticated, WrongPin
from sync.peer import unlock_proof_input

HOUR_MS = 3_600_000
USUAL_HOURS = 72
"""A long weekend without a network, begun on Friday evening, ends before it."""
BEHIND_HOURS = 24
"""For those who work behind a wall."""
MOST_HOURS = 24 * 90

FREE_FAILURES = 5
WAITS_S = (30, 120, 600, 3600)
"""The pause after the fifth wrong PIN, the sixth, the seventh, and every one after that: some 8,800 tries a year."""

_TERM = "lease_hours:"
_SHARE_BYTES, _NONCE_BYTES = 32, 12


# ---- terms -------------------------------------------------------------------------------------------------


def hours_of_role(conn: Connection, role: str) -> int:
    """For how many hours tablets of a role are lent their share."""
    return int(facts.get(conn, _TERM + role) or (BEHIND_HOURS if role in rights.BEHIND else USUAL_HOURS))


def hours_of(conn: Connection, device: Device) -> int:
    """For how many hours this tablet is lent its share."""
    given = leases.get(conn, device.id).hours
    if given is not None:
        return given
    owner = people.person(conn, device.person)
    return hours_of_role(conn, owner.role if owner is not None else "")


def set_hours_of_role(conn: Connection, role: str, hours: int) -> None:
    """Raises InvalidField for an unknown role or too many hours."""
    if role not in rights.ROLES:
        raise InvalidField(field="role", detail=Label("没有这个角色", "there is no such role"))
    facts.put(conn, _TERM + role, str(_checked(hours)))


def set_hours(conn: Connection, device: str, hours: int | None) -> None:
    """For one tablet, from its next contact on; None: what its role is granted. Raises InvalidField for too many."""
    leases.put(conn, leases.get(conn, device)._replace(hours=None if hours is None else _checked(hours)))


# ---- lending -----------------------------------------------------------------------------------------------


def renew(house: Instance, device: Device, claim: Mapping[str, Any], now: int) -> dict[str, Any]:
    """Lend to an unlocked tablet; `claim` is a `schemas.wire.LeaseRequest`.

    :raises DeviceRevoked: it was revoked since the request came in
    """
    with house.database.write() as conn:
        _require_standing(conn, device)
        row = leases.get(conn, device.id)
        known = {"contact": b64decode(claim["contact"]), "key": b64decode(claim["key"]), "recovery": claim["recovery"]}
        share = _opened(house.keys, row) or secrets.token_bytes(_SHARE_BYTES)
        return _lend(house.keys, conn, device, row._replace(**known), share, now)


def unlock(house: Instance, device: Device, asked: Mapping[str, Any], now: int) -> dict[str, Any]:
    """Lend to a locked tablet; `asked` is a `schemas.wire.UnlockRequest`, signed by its contact key.

    :raises WrongPin: says how many seconds to wait; a proof is not even looked at before they have passed
    :raises NotAuthenticated: of another time, or there is no share here that could fit
    :raises DeviceRevoked: it was revoked since the request came in
    """
    with house.database.write() as conn:
        _require_standing(conn, device)
        row = leases.get(conn, device.id)
        share = _opened(house.keys, row)
        if row.key is None or share is None or abs(asked["at"] - now) > house.settings.clock_ms:
            raise NotAuthenticated(time=now)
        if wait := _wait_s(row, now):
            raise WrongPin(wait=wait)
        if _proved(row.key, device.id, asked):
            return _lend(house.keys, conn, device, row, share, now)
        failed = row._replace(failures=row.failures + 1, failed=now)
        leases.put(conn, failed)
    raise WrongPin(wait=_wait_s(failed, now))  # after the count was committed


def lent_to(conn: Connection, device: str) -> Row:
    """What is known of a device's lease."""
    return leases.get(conn, device)


def contact_of(conn: Connection, device: str) -> bytes | None:
    """The public key by which a locked tablet asks; None where it never told one."""
    return leases.get(conn, device).contact


def destroy(conn: Connection, device: str) -> None:
    """Destroy the share of a tablet that is being revoked: nothing brings it back."""
    row = leases.get(conn, device)
    leases.put(conn, row._replace(share=None, key=None))  # the contact key stays: by it the tablet is told


# ---- inside ------------------------------------------------------------------------------------------------


def _require_standing(conn: Connection, device: Device) -> None:
    known = people.device(conn, device.id)
    if known is None or known.revoked is not None:
        raise DeviceRevoked()


def _lend(keys: ServerKeys, conn: Connection, device: Device, row: Row, share: bytes, now: int) -> dict[str, Any]:
    expires = now + hours_of(conn, device) * HOUR_MS
    sealed = _sealed(keys, device.id, share)
    leases.put(conn, row._replace(share=sealed, granted=now, expires=expires, failures=0, failed=None))
    return {"share": b64encode(share).decode(), "granted": now, "expires": expires}


def _proved(key: bytes, device: str, asked: Mapping[str, Any]) -> bool:
    try:
        message = unlock_proof_input(device, asked["at"], asked["nonce"])
        Ed25519PublicKey.from_public_bytes(key).verify(b64decode(asked["proof"]), message)
    except InvalidSignature:
        return False
    return True


def _wait_s(row: Row, now: int) -> int:
    over = row.failures - FREE_FAILURES
    if over < 0 or row.failed is None:
        return 0
    left = row.failed + WAITS_S[min(over, len(WAITS_S) - 1)] * 1000 - now
    return max(0, -(-left // 1000))


def _sealed(keys: ServerKeys, device: str, share: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(keys.leases_key).encrypt(nonce, share, device.encode())


def _opened(keys: ServerKeys, row: Row) -> bytes | None:
    """The share; None where there is none, or where other keys of the server sealed it."""
    if row.share is None:
        return None
    nonce, sealed = row.share[:_NONCE_BYTES], row.share[_NONCE_BYTES:]
    try:
        return AESGCM(keys.leases_key).decrypt(nonce, sealed, row.device.encode())
    except InvalidTag:
        return None


def _checked(hours: int) -> int:
    if not 1 <= hours <= MOST_HOURS:
        detail = Label(f"应在 1 到 {MOST_HOURS} 小时之间", f"is between 1 and {MOST_HOURS}")
        raise InvalidField(field="hours", detail=detail)
    return hours
