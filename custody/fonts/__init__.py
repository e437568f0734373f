"""The one font for everything that Patrolbook draws in Chinese: watermarks on pictures, reports as PDF.

Shipped, because a tablet or server may have no Chinese font, and a report must look the same everywhere. What it is made
of and under which licence stands in this folder's README; `tools/make_font.py` makes it.
"""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

PATH = Path(__file__).with_name("PatrolbookSans.ttf")
"""A TrueType font: Latin, all of GBK, Big5 but for two symbols, CJK extension A."""

STAND_IN = "〓"
"""What Chinese printers set where they lack the type. It shows that there is a character, which a blank would not."""


@cache
def covered() -> frozenset[str]:
    """Every character that the font can draw."""
    font = PATH.read_bytes()
    start = _table(font, b"cmap")
    (count,) = struct.unpack_from(">H", font, start + 2)
    for number in range(count):
        platform, encoding, offset = struct.unpack_from(">HHI", font, start + 4 + 8 * number)
        if (platform, encoding) == (3, 1):
            return frozenset(map(chr, _segments(font, start + offset)))
    raise ValueError(f"{PATH.name} has no Unicode table")


def drawable(text: str) -> str:
    """The text with `STAND_IN` for every character that the font lacks, so that nothing vanishes unseen."""
    known = covered()
    return "".join(sign if sign in known else STAND_IN for sign in text)


def _table(font: bytes, tag: bytes) -> int:
    (count,) = struct.unpack_from(">H", font, 4)
    for number in range(count):
        name, _, offset, _ = struct.unpack_from(">4sIII", font, 12 + 16 * number)
        if name == tag:
            return int(offset)
    raise ValueError(f"{PATH.name} has no {tag.decode()} table")


def _segments(font: bytes, at: int) -> list[int]:
    """The codes of a cmap subtable of format 4 (OpenType, "cmap"): runs that each end, start and map somehow."""
    form, length, _, twice = struct.unpack_from(">HHHH", font, at)
    if form != 4:
        raise ValueError(f"{PATH.name} has a Unicode table of format {form}")
    runs, table = twice // 2, font[at : at + length]
    ends = struct.unpack_from(f">{runs}H", table, 14)
    starts, deltas, offsets = (struct.unpack_from(f">{runs}H", table, 16 + twice * column) for column in (1, 2, 3))
    found = []
    for run, (first, last, delta, offset) in enumerate(zip(starts, ends, deltas, offsets, strict=True)):
        for code in range(first, last + 1):
            glyph = code
            if offset:
                (glyph,) = struct.unpack_from(">H", table, 16 + twice * 3 + 2 * run + offset + 2 * (code - first))
            if (glyph + delta) & 0xFFFF if glyph or not offset else 0:
                found.append(code)
    return [code for code in found if code != 0xFFFF]
