"""The second step of signing in: one-time codes of an app (TOTP, RFC 6238), and recovery codes for when the phone is gone.

The server's time alone decides. A step is taken once, which pyotp itself does not see to.
"""

from __future__ import annotations

import hmac
import re
import secrets
from typing import NamedTuple

import pyotp
import segno
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.keys import ServerKeys
from server.storage import accounts
from server.storage.accounts import Account
from server.storage.database import Connection

STEP_S = 30
SLACK = 1
"""Steps before and after the present one that count: phones are some seconds off."""
SPARE_CODES = 10
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_NONCE = 12


class Offer(NamedTuple):
    """A seed for an app: as it is typed, and as a picture to scan (a data URI)."""

    seed: str
    picture: str


def offer(seed: str, name: str, issuer: str) -> Offer:
    """How a seed is shown to its owner."""
    address = pyotp.TOTP(seed).provisioning_uri(name=name, issuer_name=issuer)
    return Offer(" ".join(seed[i : i + 4] for i in range(0, len(seed), 4)), segno.make(address).svg_data_uri(scale=5))


def new_seed() -> str:
    return str(pyotp.random_base32())


def is_seed(text: str) -> bool:
    """Whether a text is a seed as `new_seed` makes it."""
    return re.fullmatch(r"[A-Z2-7]{32}", text) is not None


def step_of(seed: str, code: str, now: int) -> int | None:
    """The step that a code belongs to; None where it is wrong or of another time."""
    given = code.replace(" ", "")
    made = pyotp.TOTP(seed)
    present = now // 1000 // STEP_S
    fits = [one for one in range(present - SLACK, present + SLACK + 1) if _same(made.at(one * STEP_S), given)]
    return fits[-1] if fits else None


def seal(keys: ServerKeys, person: str, seed: str) -> bytes:
    """The seed as it lies in the database."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(keys.accounts_key).encrypt(nonce, seed.encode(), person.encode())


def unseal(keys: ServerKeys, account: Account) -> str:
    """The seed of an account that has one."""
    kept = account.totp or b""
    opened = AESGCM(keys.accounts_key).decrypt(kept[:_NONCE], kept[_NONCE:], account.person.encode())
    return opened.decode()


def passes(conn: Connection, keys: ServerKeys, account: Account, code: str, now: int) -> bool:
    """Whether a code of the app, or a recovery code, is right; uses it up where it is."""
    step = step_of(unseal(keys, account), code, now)
    if step is not None:
        return accounts.step_used(conn, account.person, step)
    return accounts.use_spare(conn, account.person, _digest(keys, code))


def new_spare(conn: Connection, keys: ServerKeys, person: str) -> list[str]:
    """Fresh recovery codes, which replace the old ones; they are shown once."""
    made = [
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(3)) for _ in range(SPARE_CODES)
    ]
    accounts.put_spare(conn, person, [_digest(keys, one) for one in made])
    return made


def _digest(keys: ServerKeys, code: str) -> bytes:
    plain = "".join(one for one in code.upper() if one.isalnum())
    return hmac.digest(keys.accounts_key, b"spare" + plain.encode(), "sha256")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
