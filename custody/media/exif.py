"""EXIF (CIPA DC-008), a TIFF directory that cameras write: time, place, camera, orientation.

Every entry may be missing, of another type or nonsense; such an entry is as if it were not there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any, NamedTuple

from custody.media.claims import Position
from custody.media.reading import Damaged, text, unpack

PREFIX = b"Exif\0\0"
MOST_ENTRIES = 512
MOST_VALUES = 64
MOST_TEXT = 1024

ORIENTATION, MAKE, MODEL, CHANGED = 0x112, 0x10F, 0x110, 0x132
DETAILS, PLACE = 0x8769, 0x8825
TAKEN, OFFSET, OFFSET_TAKEN = 0x9003, 0x9010, 0x9011
LAT_SIDE, LAT, LON_SIDE, LON, ERROR = 1, 2, 3, 4, 31

_TIME = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)\Z", re.ASCII)
_ZONE = re.compile(r"[+-](0\d|1[0-4]):[0-5]\d\Z", re.ASCII)
_BYTE, _TEXT, _SHORT, _LONG, _RATIONAL, _OPAQUE, _SIGNED_LONG, _SIGNED_RATIONAL = 1, 2, 3, 4, 5, 7, 9, 10
_WHOLE = {_BYTE: ("B", 1), _SHORT: ("H", 2), _LONG: ("I", 4), _SIGNED_LONG: ("i", 4)}
_RATIOS = {_RATIONAL: "II", _SIGNED_RATIONAL: "ii"}

Directory = Mapping[int, Any]


class Exif(NamedTuple):
    """What one block says; `digest` is its SHA-256."""

    digest: str
    taken: str | None = None
    position: Position | None = None
    camera: str | None = None
    orientation: int | None = None


def read(block: bytes) -> Exif:
    """Read a block, with or without the prefix that JPEG puts before it."""
    block = block.removeprefix(PREFIX)
    digest = hashlib.sha256(block).hexdigest()
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return Exif(digest)
    try:
        (start,) = unpack(f"{order}I", block, 4)
        main = _directory(block, order, start)
    except Damaged:
        return Exif(digest)
    details, place = (_below(block, order, main.get(tag)) for tag in (DETAILS, PLACE))
    turned = _one(main.get(ORIENTATION))
    return Exif(
        digest,
        _taken(main, details),
        _position(place),
        camera(main.get(MAKE), main.get(MODEL)),
        turned if turned in range(1, 9) else None,
    )


def camera(make: Any, model: Any) -> str | None:
    """Maker and model as one name, without saying the maker twice."""
    maker, name = text(make), text(model)
    return (name if name.startswith(maker) else f"{maker} {name}").strip()[:80] or None


def _below(block: bytes, order: str, pointer: Any) -> Directory:
    start = _one(pointer)
    try:
        return _directory(block, order, start) if start else {}
    except Damaged:
        return {}


def _directory(block: bytes, order: str, start: int) -> Directory:
    (count,) = unpack(f"{order}H", block, start)
    found: dict[int, Any] = {}
    for number in range(min(count, MOST_ENTRIES)):
        tag, form, length, _ = unpack(f"{order}HHII", block, start + 2 + 12 * number)
        try:
            value = _value(block, order, form, length, start + 2 + 12 * number + 8)
        except Damaged:
            continue
        if value is not None:
            found.setdefault(tag, value)
    return found


def _value(block: bytes, order: str, form: int, count: int, at: int) -> Any:
    """The value of an entry, None for a type or length that none of ours has."""
    size = {_TEXT: 1, _OPAQUE: 1, _RATIONAL: 8, _SIGNED_RATIONAL: 8}.get(form) or _WHOLE.get(form, ("", 0))[1]
    if not size or not 0 < count <= (MOST_TEXT if size == 1 else MOST_VALUES):
        return None
    if size * count > 4:
        (at,) = unpack(f"{order}I", block, at)
    if form in (_TEXT, _OPAQUE):
        (value,) = unpack(f"{count}s", block, at)
        return bytes(value).split(b"\0")[0]
    if form in _RATIOS:
        numbers = unpack(f"{order}{_RATIOS[form] * count}", block, at)
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        return tuple(Fraction(top, bottom) if bottom else None for top, bottom in pairs)
    return unpack(f"{order}{count}{_WHOLE[form][0]}", block, at)


def _one(value: Any) -> int:
    """A single whole number, 0 where it is none."""
    return value[0] if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], int) else 0


def _taken(main: Directory, details: Directory) -> str | None:
    match = _TIME.match(text(details.get(TAKEN) or main.get(CHANGED)))
    if not match:
        return None
    try:
        taken = datetime(*map(int, match.groups()))  # type: ignore[arg-type]
    except ValueError:
        return None
    zone = text(details.get(OFFSET_TAKEN) or details.get(OFFSET))
    return taken.isoformat(timespec="seconds") + (zone if _ZONE.match(zone) else "")


def _position(place: Directory) -> Position | None:
    lat = _degrees(place.get(LAT), place.get(LAT_SIDE), b"S", 90)
    lon = _degrees(place.get(LON), place.get(LON_SIDE), b"W", 180)
    if lat is None or lon is None or lat == lon == 0:  # 0, 0 is how cameras write "not known"
        return None
    told = place.get(ERROR)
    error = told[0] if isinstance(told, tuple) and len(told) == 1 else None
    if not isinstance(error, Fraction) or not 0 < error < 10**6:
        return Position(lat, lon)
    return Position(lat, lon, max(1, round(error * 100)))


def _degrees(parts: Any, side: Any, negative: bytes, most: int) -> int | None:
    if not isinstance(parts, tuple) or len(parts) != 3 or any(part is None for part in parts):
        return None
    degrees = Fraction(parts[0]) + Fraction(parts[1]) / 60 + Fraction(parts[2]) / 3600
    if not 0 <= degrees <= most:
        return None
    return round((-degrees if side == negative else degrees) * 10**7)
