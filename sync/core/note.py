"""Signed notes and checkpoints: the form in which a log says "I have this many leaves, with this root".

Formats: c2sp.org/signed-note, c2sp.org/tlog-checkpoint and, for witnesses, the Ed25519 form of
c2sp.org/tlog-cosignature. A signed checkpoint:

    fi.example/prov-log-1
    42
    YQpsGYhX0pJRdH5XkU0f1SubYu48mdieZqZIvav55wg=

    — fi.example/prov-log-1 gJUwj+pA…

The first three lines are the body, which the signatures cover; each signature line names its key. Keys are
the raw 32 bytes of RFC 8032: a private seed to sign, a public key to verify.

Every value has one written form only. A text that says the same in another way (base64 with stray bits, a
number with a leading zero, another line end) is refused, so two people who compare notes compare bytes.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync.core.errors import Malformed, UntrustedNote

MAX_NOTE_BYTES = 128 * 1024
MAX_SIGNATURES = 32
"""The format asks for at least 16, and a post-quantum one of 5 kB still fits `MAX_NOTE_BYTES` so often."""
MAX_ORIGIN_BYTES = 255
MAX_NUMBER = 2**63 - 1

ROOT_BYTES = 32
KEY_ID_BYTES = 4
TIMESTAMP_BYTES = 8

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")  # all but newline
_DASH = "— "


# ---- checkpoints -------------------------------------------------------------------------------------------


def fingerprint(public_key: bytes) -> str:
    """A key for two people to compare: 16 bytes of its SHA-256 in groups of four hexadecimal digits."""
    digits = sha256(public_key).hexdigest()[:32]
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of the log `origin`: its number of leaves and its 32-byte root.

    :raises Malformed: a value that the written form has no place for
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        encoded = _encoded(self.origin)
        if not encoded or b"\n" in encoded or len(encoded) > MAX_ORIGIN_BYTES:
            raise Malformed(detail="the checkpoint's origin")
        if not 0 <= self.size <= MAX_NUMBER:
            raise Malformed(detail="the checkpoint's size")
        if len(self.root) != ROOT_BYTES:
            raise Malformed(detail="the checkpoint's root")


def checkpoint_body(checkpoint: Checkpoint) -> str:
    """The text that gets signed: three lines, each ended by a newline."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{_base64(checkpoint.root)}\n"


def parse_checkpoint(body: str) -> Checkpoint:
    """The checkpoint that `checkpoint_body` wrote as `body`.

    Extension lines, which the format allows and discourages, are refused: none of our logs writes any.

    :raises Malformed: any other text
    """
    lines = body.split("\n")
    if len(lines) != 4 or lines[3]:
        raise Malformed(detail="a checkpoint has three lines")
    return Checkpoint(origin=lines[0], size=_number(lines[1]), root=_bytes(lines[2]))


# ---- keys --------------------------------------------------------------------------------------------------


class SignatureType(IntEnum):
    """The byte by which a key id says how its key signs."""

    ED25519 = 0x01
    COSIGNATURE = 0x04
    """A witness's Ed25519 signature over the body and the time at which it saw no newer checkpoint."""


def key_id(name: str, public_key: bytes, signature_type: SignatureType = SignatureType.ED25519) -> bytes:
    """The four bytes that, with its name, say which key signed. Not a proof of anything: too short."""
    return sha256(f"{name}\n".encode() + bytes([signature_type]) + public_key).digest()[:KEY_ID_BYTES]


@dataclass(frozen=True, slots=True)
class Verifier:
    """A trusted key: its name, its 32 bytes, and how it signs.

    :raises ValueError: a name that no note can carry, or a key that is not 32 bytes long
    """

    name: str
    public_key: bytes
    type: SignatureType = SignatureType.ED25519

    def __post_init__(self) -> None:
        if not _is_key_name(self.name):
            raise ValueError(f"not a key name: {self.name!r}")
        Ed25519PublicKey.from_public_bytes(self.public_key)

    @property
    def id(self) -> bytes:
        return key_id(self.name, self.public_key, self.type)


def vkey(verifier: Verifier) -> str:
    """The written form of a trusted key, `name+key id+base64`, as other logs and witnesses take it."""
    return f"{verifier.name}+{verifier.id.hex()}+{_base64(bytes([verifier.type]) + verifier.public_key)}"


def read_vkey(text: str) -> Verifier:
    """The key that `vkey` wrote.

    :raises Malformed: anything else
    """
    _encoded(text)  # a key's name is valid Unicode, too
    name, _, rest = text.partition("+")
    id, _, blob = rest.partition("+")
    raw = _bytes(blob)
    try:
        verifier = Verifier(name, raw[1:], SignatureType(raw[0]))
    except (ValueError, IndexError):
        raise Malformed(detail="not a key in its written form") from None
    if verifier.id.hex() != id:
        raise Malformed(detail="the key and its id differ")
    return verifier


@dataclass(frozen=True, slots=True)
class Signature:
    """A verified signature: whose it is and, for a witness, when it was made (seconds since 1970, UTC)."""

    name: str
    type: SignatureType
    time: int | None = None


# ---- notes -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenedNote:
    """A checkpoint and who is known to have signed it, in the order of the note.

    One known signature is enough to open a note. Whether these signers are *enough* (the log itself, so many
    witnesses) and whether the origin is the expected log is the reader's to decide.
    """

    checkpoint: Checkpoint
    signatures: tuple[Signature, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(signature.name for signature in self.signatures)


def signature_line(body: str, name: str, seed: bytes) -> str:
    """The line that the key `name` adds below `body`; `seed` is its 32-byte private key.

    :raises Malformed: a body that no note can carry
    :raises ValueError: a name that no note can carry, or a seed that is not 32 bytes long
    """
    if not body.endswith("\n"):
        raise Malformed(detail="a note is text, an empty line and signatures")
    key = Ed25519PrivateKey.from_private_bytes(seed)
    verifier = Verifier(name, key.public_key().public_bytes_raw())
    return f"{_DASH}{name} {_base64(verifier.id + key.sign(_encoded(body)))}\n"


def cosignature_line(body: str, name: str, seed: bytes, time: int) -> str:
    """The line that the witness `name` adds below a checkpoint at `time`, in seconds since 1970.

    :raises Malformed: a body that is no checkpoint, or a time that the form has no place for
    """
    parse_checkpoint(body)
    if not 0 < time <= MAX_NUMBER:
        raise Malformed(detail="the time of a cosignature")
    key = Ed25519PrivateKey.from_private_bytes(seed)
    verifier = Verifier(name, key.public_key().public_bytes_raw(), SignatureType.COSIGNATURE)
    signature = time.to_bytes(TIMESTAMP_BYTES, "big") + key.sign(_cosigned(body, time))
    return f"{_DASH}{name} {_base64(verifier.id + signature)}\n"


def body_of(text: str) -> str:
    """The body of a note, whoever signed it. Raises Malformed where it is none."""
    return _split(text)[0]


def lines_of(text: str) -> list[str]:
    """The signature lines of a note, each with its newline. Raises Malformed where it is none."""
    return [line + "\n" for line in _split(text)[1]]


def sign_note(body: str, name: str, signer: bytes) -> str:
    """`body` as a note signed by the key `name`; `signer` is its 32-byte private key.

    A second signature (a new key beside the old one) is one more `signature_line` at the end.
    """
    return f"{body}\n{signature_line(body, name, signer)}"


def open_note(text: str, verifiers: Iterable[Verifier]) -> OpenedNote:
    """The checkpoint in `text`, once its signatures have been verified.

    :raises Malformed: not a note, or not one of a checkpoint
    :raises UntrustedNote: see `verify_note`
    """
    body, signatures = verify_note(text, verifiers)
    return OpenedNote(parse_checkpoint(body), signatures)


def verify_note(text: str, verifiers: Iterable[Verifier]) -> tuple[str, tuple[Signature, ...]]:
    """The body of any signed note, and the signatures of known keys. Those of other keys are passed over.

    :raises Malformed: not a note
    :raises UntrustedNote: no known key has signed, one has signed wrongly, or one has signed twice
    """
    known = {(verifier.name, verifier.id): verifier for verifier in verifiers}
    body, lines = _split(text)
    found: dict[tuple[str, bytes], Signature] = {}
    for line in lines:
        name, blob = _read_line(line)
        key = name, blob[:KEY_ID_BYTES]
        if verifier := known.get(key):
            if key in found:
                raise UntrustedNote(detail=f"{name} signed twice")
            found[key] = _verified(verifier, body, blob[KEY_ID_BYTES:])
    if not found:
        raise UntrustedNote(detail="none of the signers is known")
    return body, tuple(found.values())


def _verified(verifier: Verifier, body: str, signature: bytes) -> Signature:
    message, time = _encoded(body), None
    if verifier.type is SignatureType.COSIGNATURE:
        time = int.from_bytes(signature[:TIMESTAMP_BYTES], "big")
        signature = signature[TIMESTAMP_BYTES:]
        message = _cosigned(body, time)
    try:
        Ed25519PublicKey.from_public_bytes(verifier.public_key).verify(signature, message)
    except InvalidSignature:
        raise UntrustedNote(detail=f"the signature of {verifier.name} is wrong") from None
    if time is not None and time > MAX_NUMBER:
        raise UntrustedNote(detail=f"the time of {verifier.name} is out of range")
    return Signature(verifier.name, verifier.type, time)


def _cosigned(body: str, time: int) -> bytes:
    """What a witness signs."""
    return f"cosignature/v1\ntime {time}\n".encode() + _encoded(body)


# ---- the one written form ----------------------------------------------------------------------------------


def _split(text: str) -> tuple[str, list[str]]:
    """The body (with its last newline) and the signature lines (without theirs)."""
    if len(_encoded(text)) > MAX_NOTE_BYTES:
        raise Malformed(detail=f"a note of more than {MAX_NOTE_BYTES} bytes")
    body, blank, rest = text.rpartition("\n\n")
    if not blank or not rest.endswith("\n"):
        raise Malformed(detail="a note is text, an empty line and signatures")
    lines = rest[:-1].split("\n")  # splitlines() would cut at U+2028 and its like, too
    if len(lines) > MAX_SIGNATURES:
        raise Malformed(detail=f"a note with more than {MAX_SIGNATURES} signatures")
    return body + "\n", lines


def _read_line(line: str) -> tuple[str, bytes]:
    """A signature line's key name and its bytes: key id, then signature."""
    name, _, blob = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not _is_key_name(name):
        raise Malformed(detail="a note's signature line")
    raw = _bytes(blob)
    if len(raw) <= KEY_ID_BYTES:
        raise Malformed(detail="a note's signature line")
    return name, raw


def _is_key_name(name: str) -> bool:
    return bool(name) and not any(sign.isspace() or sign < " " or sign == "+" for sign in name)


def _encoded(text: str) -> bytes:
    """UTF-8 of `text`, which has no control characters but newline, and no lone surrogates."""
    if _CONTROL.search(text):
        raise Malformed(detail="a control character in a note")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Malformed(detail="a note is valid Unicode") from None


def _number(text: str) -> int:
    if not _DECIMAL.fullmatch(text):
        raise Malformed(detail="a number is decimal digits without leading zeros")
    return int(text)


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")


def _bytes(text: str) -> bytes:
    try:
        raw = b64decode(text, validate=True)
    except ValueError:
        raise Malformed(detail="not base64 in its only form") from None
    if _base64(raw) != text:
        raise Malformed(detail="not base64 in its only form")
    return raw
