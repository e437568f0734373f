"""The trust file of a server: made at the authority, signed with its root key, published here.

The root key never lies in the data folder. It is a file of its own, encrypted with a passphrase (age, scrypt), to be
kept in a safe and brought out for a signature. What is published is three small files: `trust.json`, `trust.sig` and
`root.pub`; whoever reads them compares the root's fingerprint with one that they have from elsewhere.
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pyrage
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from custody.sealing import lock_identity, new_identity
from schemas.labels import Label
from server.config import Settings
from server.keys import ServerKeys
from server.storage.files import write_new
from sync.core.errors import BadSignature, BrokenStore, InvalidField, Refused
from sync.core.note import fingerprint
from sync.core.trust import Seal, Trust, Witness, check_seal, open_trust, sign_trust
from sync.passphrases import unlocked

_NO_ROOT = Label("应是一张自签名的根证书（PEM）", "is one self-signed root certificate in PEM")
FILES = ("trust.json", "trust.sig", "root.pub")


class Published(NamedTuple):
    """The trust file as it was published: its bytes, the root's signature (64 bytes) and public key (32 bytes)."""

    trust: Trust
    content: bytes
    signature: bytes
    root: bytes

    def files(self) -> dict[str, bytes]:
        """The three files by name, as they lie on the disk and travel in a bundle."""
        return {"trust.json": self.content, "trust.sig": _line(self.signature), "root.pub": _line(self.root)}


def create_root(file: Path, passphrase: str) -> bytes:
    """Make a root key, encrypted with a passphrase, in a new file; returns its public key.

    :raises Refused: the file is there already
    """
    if file.exists():
        raise Refused(detail=Label(f"{file} 已存在，不会覆盖", f"{file} is there already and is not written over"))
    seed = secrets.token_bytes(32)
    write_new(file, pyrage.passphrase.encrypt(seed, passphrase, armored=True), mode=0o600)
    return _public(seed)


def open_root(file: Path, passphrase: str) -> bytes:
    """The seed of a root key.

    :raises Refused: the passphrase is wrong, or the file is damaged
    :raises TooSlow: this machine cannot tell
    """
    try:
        seed = unlocked(file.read_bytes(), passphrase)
    except OSError:
        seed = None
    if seed is None:
        raise Refused(detail=Label(f"{file} 打不开，请核对口令", f"{file} cannot be opened; check the passphrase"))
    if len(seed) != 32:
        raise Refused(detail=Label(f"{file} 不是根密钥", f"{file} is no root key"))
    return bytes(seed)


def next_edition(
    keys: ServerKeys,
    authority: str,
    now: int,
    before: Trust | None,
    *,
    witnesses: tuple[Witness, ...] | None = None,
    quorum: int | None = None,
    stampers: tuple[str, ...] | None = None,
    seal: Seal | None = None,
) -> Trust:
    """The next edition: what the last one said, with this server's logs and replicas, and what is given anew."""
    logs = {one.origin: one.log_public for one in keys.voices.values()}
    replicas = {one.replica: one.replica_public for one in keys.voices.values()}
    if before is None:
        return Trust(1, authority, now, logs, replicas, witnesses or (), quorum or 0, stampers or (), seal)
    return replace(
        before,
        edition=before.edition + 1,
        authority=authority,
        made=now,
        logs={**before.logs, **logs},
        replicas={**before.replicas, **replicas},
        witnesses=before.witnesses if witnesses is None else witnesses,
        quorum=before.quorum if quorum is None else quorum,
        stampers=before.stampers if stampers is None else stampers,
        seal=seal or before.seal,
    )


def stamper(pem: bytes) -> str:
    """A root certificate of a time stamping authority in its one written form, as the trust file pins it.

    :raises InvalidField: not one certificate, or not one that vouches for itself
    """
    try:
        (root,) = x509.load_pem_x509_certificates(pem)
        root.verify_directly_issued_by(root)
        constraints = root.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as error:
        raise InvalidField(field="stamper", detail=_NO_ROOT) from error
    if not constraints.ca:
        raise InvalidField(field="stamper", detail=_NO_ROOT)
    return root.public_bytes(Encoding.PEM).decode()


def stamper_told(pem: str) -> tuple[str, str]:
    """The name in a root certificate, and its fingerprint."""
    root = x509.load_pem_x509_certificate(pem.encode())
    return root.subject.rfc4514_string(), fingerprint(root.public_bytes(Encoding.DER))


def next_seal(
    before: Trust | None, province: Sequence[str], escrow: Sequence[str], counties: Iterable[tuple[str, str]]
) -> Seal | None:
    """The next version of the recipients; None where nothing is given anew. Whatever is given replaces its like: all of
    the province's, all of the escrow's, all of one county's.

    :raises InvalidField: something is no age recipient, or nobody of the province is named
    """
    named = _by_area(counties)
    if not (province or escrow or named):
        return None
    held = before.seal if before is not None and before.seal is not None else Seal(0, ())
    new = Seal(
        held.version + 1,
        tuple(province) or held.province,
        tuple(escrow) or held.escrow,
        {**held.counties, **named},
    )
    return check_seal(new)


def create_seal_key(file: Path, passphrase: str) -> str:
    """Make an age identity, its secret encrypted with a passphrase in a new file; returns its recipient.

    :raises Refused: the file is there already
    """
    if file.exists():
        raise Refused(detail=Label(f"{file} 已存在，不会覆盖", f"{file} is there already and is not written over"))
    made = new_identity()
    write_new(file, lock_identity(made.secret, passphrase), mode=0o600)
    return made.recipient


def publish(
    settings: Settings, trust: Trust, seed: bytes, before: Callable[[Published], None] = lambda new: None
) -> Published:
    """Sign an edition with the root key and publish it; `before` is told once nothing stands against it.

    :raises Refused: another root signed the one that is published, or its edition is not older
    """
    held, root = published(settings), _public(seed)
    if held is not None and held.root != root:
        detail = Label("已公布的信任文件由另一把根密钥签名", "the published trust file was signed by another root key")
        raise Refused(detail=detail)
    if held is not None and held.trust.edition >= trust.edition:
        raise Refused(detail=Label("版次没有增加", "its edition is not newer"))
    content = trust.dump()
    new = Published(trust, content, sign_trust(content, seed), root)
    before(new)
    for name, text in new.files().items():
        write_new(settings.data / name, text)
    return new


def published(settings: Settings) -> Published | None:
    """What is published, None where nothing is.

    :raises BrokenStore: the files do not belong together
    """
    if not (settings.data / "trust.json").exists():
        return None
    try:
        content = (settings.data / "trust.json").read_bytes()
        signature, root = (b64decode((settings.data / name).read_bytes(), validate=False) for name in FILES[1:])
        return Published(open_trust(content, signature, root), content, signature, root)
    except (OSError, ValueError, BadSignature) as error:
        raise BrokenStore(file="trust.json", detail=str(error)) from error


def _public(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def _by_area(counties: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for area, key in counties:
        found[area] = (*found.get(area, ()), key)
    return found


def _line(raw: bytes) -> bytes:
    return b64encode(raw) + b"\n"
