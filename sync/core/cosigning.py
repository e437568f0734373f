"""Officers' own keys: how one is named, how it is shown to be the officer's, and what a co-signature is.

    key id        hex of SHA-256("patrolbook/key/v1\\0" ‖ public key), first 32 digits
    proof         Ed25519(officer key, "patrolbook/officer-key/v1\\0" ‖ officer id ‖ "\\n" ‖ device id)
    co-signature  Ed25519(officer key, "patrolbook/cosig/v1\\0" ‖ content hash)

The content hash is that of `signing.py`: exactly what was shown. It names the record, so a co-signature cannot be moved
to another one. Public keys are the raw 32 bytes of RFC 8032.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KEY_TAG = b"patrolbook/key/v1\0"
PROOF_TAG = b"patrolbook/officer-key/v1\0"
COSIGNATURE_TAG = b"patrolbook/cosig/v1\0"


def key_id(public_key: bytes) -> str:
    """The name of a key wherever one is mentioned."""
    return hashlib.sha256(KEY_TAG + public_key).hexdigest()[:32]


def proof_input(officer: str, device: str) -> bytes:
    """What a new key signs to show that whoever proposes it holds it."""
    return PROOF_TAG + f"{officer}\n{device}".encode()


def cosignature_input(content: str) -> bytes:
    """What an officer's key signs for a content hash in hexadecimal."""
    return COSIGNATURE_TAG + bytes.fromhex(content)


def signed_by(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a signature is the key's over the message. False, too, for what is no key at all."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def written(signature: bytes) -> str:
    """A signature as a value of a record."""
    return b64encode(signature).decode("ascii")


def read(text: object) -> bytes:
    """A signature from a value of a record; empty for what is none in its only form."""
    try:
        raw = b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        return b""
    return raw if written(raw) == text else b""
