"""Verification codes: what is printed on a watermarked copy so that anybody can ask the server for the original.

    7K3M-9XQ2-V4TD-P

Twelve characters (60 bits) of a digest over the original's SHA-256 and the id of its evidence record, and one that checks
them: every mistyped character and every two that changed places are found before anybody searches. The alphabet is
Crockford's (no I, L, O, U), read as people read: small letters, O for 0, I and L for 1, blanks and dashes anywhere.

A code proves nothing by itself. It leads to a record whose digests do.
"""

from __future__ import annotations

import hashlib
import unicodedata

from schemas.labels import Label
from sync.core.errors import InvalidField

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 12
_TAG = b"patrolbook/verification-code/v1\0"
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1"})


def code_of(sha256: str, evidence: str) -> str:
    """The code of an original, without dashes: twelve characters and the check character."""
    digest = hashlib.sha256(_TAG + bytes.fromhex(sha256) + evidence.encode("utf-8")).digest()
    number = int.from_bytes(digest[:8], "big") >> 4
    code = "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(LENGTH)))
    return code + check_character(code)


def printed(code: str) -> str:
    """In groups of four, as on a picture."""
    return "-".join(code[at : at + 4] for at in range(0, len(code), 4))


def read(typed: str) -> str:
    """The code that a person typed, without dashes.

    :raises InvalidField: it cannot be one, or a character was mistyped
    """
    folded = unicodedata.normalize("NFKC", typed).upper().translate(_READ_AS)
    code = "".join(sign for sign in folded if not sign.isspace() and unicodedata.category(sign) != "Pd")
    if wrong := sorted(set(code) - set(ALPHABET)):
        told = " ".join(wrong)[:40]
        raise _misread(f"核验码里没有 {told}", f"a code has no {told} in it")
    if len(code) != LENGTH + 1:
        raise _misread(
            f"应有 {LENGTH + 1} 位，只读到 {len(code)} 位", f"it has {LENGTH + 1} characters, not {len(code)}"
        )
    if code[-1] != check_character(code[:-1]):
        raise _misread("有一位或两位打错了，请对照照片再看一遍", "a character is mistyped: look at the picture again")
    return code


def _misread(zh: str, en: str) -> InvalidField:
    return InvalidField(field=Label("核验码", "code"), detail=Label(zh, en))


def check_character(code: str) -> str:
    """The sum of the characters in GF(32), each times a power of x of its own, which no slip of one or two keeps."""
    check = 0
    for sign in code:
        check = _times_x(check ^ ALPHABET.index(sign))
    return ALPHABET[check]


def _times_x(value: int) -> int:
    """In GF(2)[x] modulo x⁵ + x² + 1, where x has order 31."""
    value <<= 1
    return value ^ 0b100101 if value & 32 else value
