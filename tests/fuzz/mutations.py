"""Bent inputs: what bit rot, cut transfers and people with a hex editor make of a real one."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

LARGEST = 1 << 18
WORDS = (
    b"\0", b"\xff", b"\x7f", b"\x80", b"\n", b"\n\n", b" ", b'"', b"\\", b"\\ud800", b"\xed\xa0\x80", b"[", b"{", b"]}", b",", b":",
    b"null", b"true", b"-1", b"0", b"1e999", b"18446744073709551616", b"NaN", b"\xe2\x80\xa8", b"=", b"==", b"|", b"../", b"PK\x01\x02",
    b"PK\x05\x06", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\x01", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"Exif\0\0",
    b"\xff\xe1", b"moov", b"meta", b"ftypheic",
)  # fmt: skip


def bent(content: bytes, chance: Random, others: Sequence[bytes]) -> bytes:
    """The content after one to four mutations."""
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        content = _once(content, chance, others)
    return content[:LARGEST]


def _once(content: bytes, chance: Random, others: Sequence[bytes]) -> bytes:
    at = chance.randint(0, len(content))
    until = min(len(content), at + chance.choice((1, 1, 2, 4, 8, 32, 256, 4096)))
    word = chance.choice(WORDS)
    match chance.randrange(12):
        case 0 | 1 | 2:
            return _flipped(content, at, chance)
        case 3:
            return content[:at]
        case 4:
            return content[at:]
        case 5:
            return content[:at] + content[until:]
        case 6:
            return content[:at] + word + content[at:]
        case 7:
            return content[:at] + word + content[at + len(word) :]
        case 8:
            return content[:at] + content[at:until] * chance.choice((2, 3, 100)) + content[until:]
        case 9:
            return content[:at] + chance.randbytes(until - at) + content[until:]
        case 10:
            other = chance.choice(others)
            return content[:at] + other[chance.randint(0, len(other)) :]
        case _:
            return content[:at] + word * chance.choice((10, 300, 2000)) + content[at:]


def _flipped(content: bytes, at: int, chance: Random) -> bytes:
    if at == len(content):
        return content
    return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]
