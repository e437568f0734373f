"""The newest trust file as plain files in the tablet's home, so that evidence can be sealed while the tablet is locked.

    root.pub      the root's public key, in base64: pinned when the tablet was enrolled
    trust.signed  the root's signature in base64, a line break, and the trust file (`sync.core.trust`)

One file and not two, so that a power cut cannot part the content from its signature. None of it is secret.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from pathlib import Path
from typing import NamedTuple

from field_client.platform.files import replace_file
from schemas.labels import Label
from sync.core.errors import NoSealKeys, Problem, Refused
from sync.core.note import fingerprint
from sync.core.trust import Seal, Trust, open_trust

ROOT = "root.pub"
FILE = "trust.signed"


class Trusted(NamedTuple):
    """A trust file whose signature was checked, and its SHA-256 in hexadecimal."""

    trust: Trust
    sha256: str


def pin(home: Path, root: bytes) -> None:
    """Believe this root (raw public key) from now on.

    :raises Refused: another one is pinned
    """
    pinned = root_of(home)
    if pinned is not None and pinned != root:
        known = fingerprint(pinned)
        raise Refused(detail=Label(f"已固定另一个信任根 {known}", f"another root is pinned: {known}"))
    if pinned is None:
        replace_file(home / ROOT, b64encode(root) + b"\n")


def root_of(home: Path) -> bytes | None:
    """The pinned root; None where none is, or where the file is no key."""
    try:
        root = b64decode((home / ROOT).read_bytes().strip(), validate=True)
    except (FileNotFoundError, ValueError):
        return None
    return root if len(root) == 32 else None


def keep(home: Path, content: bytes, signature: bytes) -> bool:
    """Keep a trust file; False where the one that is here is as new.

    :raises Refused: no root is pinned
    :raises BadSignature, Malformed, InvalidField: it is not one of the pinned root
    """
    root = root_of(home)
    if root is None:
        raise Refused(detail=Label("还没有固定信任根", "no root is pinned yet"))
    trust = open_trust(content, signature, root)
    try:
        if held(home).trust.edition >= trust.edition:
            return False
    except Problem:  # there is none, or it is damaged
        pass
    replace_file(home / FILE, b64encode(signature) + b"\n" + content)
    return True


def held(home: Path) -> Trusted:
    """The trust file that is here, its signature checked again.

    :raises NoSealKeys: there is none, or it is not signed by the pinned root
    """
    root = root_of(home)
    if root is None:
        raise NoSealKeys(detail=Label("登记时没有固定信任根", "no root was pinned at enrolment"))
    try:
        signature, _, content = (home / FILE).read_bytes().partition(b"\n")
        trust = open_trust(content, b64decode(signature, validate=True), root)
    except FileNotFoundError:
        raise NoSealKeys(detail=Label("平板上没有信任文件", "there is no trust file on this tablet")) from None
    except (Problem, ValueError) as error:
        detail = Label(
            "信任文件损坏，或不是固定的信任根所签", "the trust file is damaged or not signed by the pinned root"
        )
        raise NoSealKeys(detail=detail) from error
    return Trusted(trust, hashlib.sha256(content).hexdigest())


def recipients(trusted: Trusted) -> Seal:
    """To whom to seal. Raises NoSealKeys where the trust file names nobody."""
    seal = trusted.trust.seal
    if seal is None or not seal.recipients:
        raise NoSealKeys(detail=Label("信任文件没有列出密封公钥", "the trust file names no recipients"))
    return seal
