"""锚定: the written forms in which the head of a tablet's chain leaves the tablet, and what became of it.

Shown by one tablet and read by another (a QR code, one line of ASCII):

    PBA1|<replica>|<n>|<head>|<device key>|<signature>

    head, device key, signature  base64url without padding, of 32, 32 and 64 bytes
    signature  Ed25519(device key, "patrolbook/anchor/v1\\0" ‖ replica ‖ "\\n" ‖ n ‖ "\\n" ‖ head in hexadecimal)

Printed on the copy that is left with the party:

    PB1|<head>|<n>|<document hash>          head and hash in hexadecimal; `signing.document_hash`
    K7M2-P9XD-…                             the same to read aloud: 8 groups of 4 characters

    characters  Crockford's base 32 (no I, L, O, U); the first 7 groups are the first 140 bits of
                SHA-256("patrolbook/paper/v1\\0" ‖ the text above), the 8th checks them: the first 20 bits of
                SHA-256("patrolbook/check/v1\\0" ‖ the 28 characters)

Each text has one form only; anything else is refused.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Literal, NamedTuple

from schemas.labels import Label
from sync.core.cosigning import signed_by
from sync.core.errors import BadSignature, Malformed

PEER, PAPER = "PBA1", "PB1"
ANCHOR_TAG = b"patrolbook/anchor/v1\0"
PAPER_TAG = b"patrolbook/paper/v1\0"
CHECK_TAG = b"patrolbook/check/v1\0"

GROUPS, GROUP = 8, 4
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD = str.maketrans("OIL", "011")

_REPLICA = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
_NUMBER = re.compile(r"[1-9][0-9]{0,15}\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class Peer(NamedTuple):
    """Where a tablet's chain stood, in its own words. `head` and `key` in hexadecimal."""

    replica: str
    n: int
    head: str
    key: str
    signature: bytes


class Paper(NamedTuple):
    """What a printed copy says: the head of the chain, its number, the hash of the document."""

    head: str
    n: int
    document: str


# --- From tablet to tablet -------------------------------------------------------------------------------------------


def peer_input(replica: str, n: int, head: str) -> bytes:
    """What the tablet's key signs."""
    return ANCHOR_TAG + f"{replica}\n{n}\n{head}".encode()


def show(replica: str, n: int, head: str, key: bytes, sign: Callable[[bytes], bytes]) -> str:
    """The text that a tablet shows."""
    signature = sign(peer_input(replica, n, head))
    return "|".join((PEER, replica, str(n), _text(bytes.fromhex(head)), _text(key), _text(signature)))


def scan(text: str) -> Peer:
    """What another tablet showed.

    :raises Malformed: not in this form; BadSignature: not signed by the key in it
    """
    parts = text.strip().split("|")
    if len(parts) != 6 or parts[0] != PEER or not _REPLICA.match(parts[1]) or not _NUMBER.match(parts[2]):
        raise Malformed(detail=Label("不是平板的锚定码", "not the anchor of a tablet"))
    head, key, signature = (_raw(part, size) for part, size in zip(parts[3:], (32, 32, 64), strict=True))
    peer = Peer(parts[1], int(parts[2]), head.hex(), key.hex(), signature)
    if not vouched(peer):
        raise BadSignature()
    return peer


def vouched(peer: Peer) -> bool:
    """Whether the key in it signed it. Whose key that is, the server knows."""
    return signed_by(bytes.fromhex(peer.key), peer.signature, peer_input(peer.replica, peer.n, peer.head))


# --- On paper --------------------------------------------------------------------------------------------------------


def paper_text(paper: Paper) -> str:
    """The text of the printed QR code."""
    return f"{PAPER}|{paper.head}|{paper.n}|{paper.document}"


def read_paper(text: str) -> Paper:
    """What a printed QR code says. Raises Malformed."""
    parts = text.strip().split("|")
    fits = len(parts) == 4 and parts[0] == PAPER and _DIGEST.match(parts[1]) and _NUMBER.match(parts[2])
    if not fits or not _DIGEST.match(parts[3]):
        raise Malformed(detail=Label("不是文书上的锚定码", "not the anchor on a document"))
    return Paper(parts[1], int(parts[2]), parts[3])


def spoken(paper: Paper) -> str:
    """The code to read aloud: eight groups of four, the last one of which checks the others."""
    data = _characters(PAPER_TAG + paper_text(paper).encode(), (GROUPS - 1) * GROUP)
    whole = data + _check(data)
    return "-".join(whole[at : at + GROUP] for at in range(0, len(whole), GROUP))


def heard(text: str) -> str:
    """A code as a person typed it, in its one form: spaces, dashes and small letters do not matter, nor O for 0.

    :raises Malformed: another length, a character that no code has, or a wrong check group: something was misheard
    """
    whole = re.sub(r"[\s\-—－]", "", text).upper().translate(_MISREAD)
    if len(whole) != GROUPS * GROUP or not set(whole) <= set(_ALPHABET):
        raise Malformed(detail=Label("朗读码是 8 组、每组 4 个字符", "a code has 8 groups of 4 characters"))
    data, check = whole[:-GROUP], whole[-GROUP:]
    if check != _check(data):
        detail = Label("最后一组校验码不符，请再核对", "the last group does not fit the others: listen again")
        raise Malformed(detail=detail)
    return "-".join(whole[at : at + GROUP] for at in range(0, len(whole), GROUP))


def _check(data: str) -> str:
    return _characters(CHECK_TAG + data.encode(), GROUP)


def _characters(content: bytes, count: int) -> str:
    bits = int.from_bytes(hashlib.sha256(content).digest(), "big") >> (256 - 5 * count)
    return "".join(_ALPHABET[bits >> 5 * (count - 1 - at) & 31] for at in range(count))


# --- What became of it -----------------------------------------------------------------------------------------------

Verdict = Literal["held", "carried", "waiting", "lost", "contradicted", "foreign"]

VERDICTS: dict[Verdict, Label] = {
    "held": Label("与服务器所存一致", "agrees with what the server holds"),
    "carried": Label("内容一致，平板已换新副本", "the same changes, under a new replica of the tablet"),
    "waiting": Label("这些变更还没有上传", "these changes have not arrived yet"),
    "lost": Label("平板已换新副本，被锚定的变更没有上传", "the tablet went on as a new replica without these changes"),
    "contradicted": Label("与所存变更不符：该平板曾被回退", "other changes are held: the tablet was rolled back"),
    "foreign": Label("签名或公钥不是该副本的设备", "not signed by the device of this replica"),
}
ODD: frozenset[Verdict] = frozenset({"lost", "contradicted", "foreign"})


class Kept(NamedTuple):
    """What the server holds of the replica that an anchor names.

    chain     the chain hash of its change number n; None where that has not arrived
    moved_on  the device has begun a newer replica
    carried   the head that this replica would have at n, had the newer replica's first changes been its own
    """

    chain: str | None
    moved_on: bool = False
    carried: str | None = None


def judge(head: str, kept: Kept) -> Verdict:
    """What the server's log says of an anchor."""
    if kept.chain is not None:
        return "held" if kept.chain == head else "contradicted"
    if not kept.moved_on:
        return "waiting"
    return "carried" if kept.carried == head else "lost"


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def _raw(text: str, size: int) -> bytes:
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raw = b""
    if len(raw) != size or _text(raw) != text:
        raise Malformed(detail=Label("锚定码不完整或有误", "the anchor is cut or damaged"))
    return raw
