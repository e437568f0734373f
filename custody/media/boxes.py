"""The headers of ISO base media files (ISO/IEC 14496-12): HEIC pictures; MP4, M4A and QuickTime films and sound.

A file is boxes within boxes: `size(4) kind(4)`, or `1 kind size(8)` for large ones. Where a phone puts time and place:

    time   `moov/mvhd`, seconds since 1904; Apple's `com.apple.quicktime.creationdate` also knows the zone
    place  `moov/udta/©xyz` (Android), `com.apple.quicktime.location.ISO6709` (Apple): ISO 6709 text such as
           `+28.2281+112.9388+055.2/`
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

from custody.media import exif
from custody.media.claims import Metadata, Position
from custody.media.reading import Damaged, Pieces, text, unpack
from custody.media.stills import said

_PICTURE_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"})
_SOUND_BRANDS = frozenset({b"M4A ", b"M4B "})
_FILM_BRANDS = frozenset(
    [b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"dash", b"3gp4", b"3gp5"]
)
_QUICKTIME = b"qt  "

MOST_BOXES = 2000
MOST_ITEMS = 4096
MOST_TEXT = 4096
MOST_META = 1 << 20
_EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
_ISO6709 = re.compile(r"([+-]\d{1,9}(?:\.\d{1,12})?)([+-]\d{1,9}(?:\.\d{1,12})?)", re.ASCII)
_APPLE_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?\Z", re.ASCII)
_TURNS = {(0, 1, -1, 0): 6, (-1, 0, 0, -1): 3, (0, -1, 1, 0): 8}
"""The matrix of a track (a, b, c, d) → EXIF's orientation."""


class Box(NamedTuple):
    """`start` to `end` is what is in it."""

    kind: bytes
    start: int
    end: int


def type_of(head: bytes) -> str | None:
    """The media type by the brands after `ftyp`, the major one first."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))]
    for brand in brands:
        if brand in _PICTURE_BRANDS:
            return "image/heic"
        if brand in _SOUND_BRANDS:
            return "audio/mp4"
        if brand in _FILM_BRANDS:
            return "video/mp4"
        if brand == _QUICKTIME:
            return "video/quicktime"
    return None


def _boxes(pieces: Pieces, start: int, end: int) -> Iterator[Box]:
    """The boxes in a range; ends quietly where they no longer fit into it."""
    for _ in range(MOST_BOXES):
        if start + 8 > end:
            return
        size, kind = pieces.unpack(">I4s", start)
        head = 8
        if size == 1:
            (size,) = pieces.unpack(">Q", start + 8)
            head = 16
        elif size == 0:  # to the end of the file
            size = end - start
        if size < head or start + size > end:
            return
        yield Box(kind, start + head, start + size)
        start += size


def _first(pieces: Pieces, start: int, end: int, kind: bytes) -> Box | None:
    return next((box for box in _boxes(pieces, start, end) if box.kind == kind), None)


# ---- films and sound ---------------------------------------------------------------------------------------


class _Track(NamedTuple):
    handler: bytes
    width: int
    height: int
    orientation: int | None
    duration_ms: int


class _Notes(NamedTuple):
    """What is written in text: time, place, camera."""

    taken: str | None = None
    position: Position | None = None
    make: str = ""
    model: str = ""


def film(pieces: Pieces) -> Metadata:
    """Time, duration, size as shown, position and camera of a film or sound."""
    moov = _first(pieces, 0, pieces.size, b"moov")
    if moov is None:
        return Metadata()
    taken: str | None = None
    duration, notes = 0, _Notes()
    tracks: list[_Track] = []
    for box in _boxes(pieces, moov.start, moov.end):
        try:
            if box.kind == b"mvhd":
                taken, duration = _movie_header(pieces.at(box.start, min(box.end - box.start, 40)))
            elif box.kind == b"trak" and len(tracks) < 64:
                tracks.append(_track(pieces, box))
            elif box.kind in (b"udta", b"meta"):
                notes = _merged(notes, _notes(pieces, box))
        except Damaged:
            continue
    shown = next((track for track in tracks if track.handler == b"vide" and track.width and track.height), None)
    heard = any(track.handler == b"soun" for track in tracks)
    duration = duration or max((track.duration_ms for track in tracks), default=0)
    width, height = (shown.width, shown.height) if shown else (None, None)
    turn = shown.orientation if shown else None
    if turn in (6, 8):
        width, height = height, width
    return Metadata(
        width,
        height,
        notes.taken or taken,
        notes.position,
        exif.camera(notes.make, notes.model),
        turn,
        duration or None,
        sound_only=heard and not any(track.handler == b"vide" for track in tracks),
    )


def _movie_header(head: bytes) -> tuple[str | None, int]:
    """(creation time, duration in ms); the same layout serves `mdhd`."""
    if head[:1] == b"\1":
        created, _, scale, duration = unpack(">QQIQ", head, 4)
        unknown = 2**64 - 1
    else:
        created, _, scale, duration = unpack(">IIII", head, 4)
        unknown = 2**32 - 1
    length = duration * 1000 // scale if scale and duration != unknown else 0
    return _since_1904(created), length if length < 2**53 else 0


def _since_1904(seconds: int) -> str | None:
    if not 0 < seconds < 2**34:
        return None
    return (_EPOCH + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def _track(pieces: Pieces, trak: Box) -> _Track:
    handler, duration, width, height, turn = b"", 0, 0, 0, None
    for box in _boxes(pieces, trak.start, trak.end):
        if box.kind == b"tkhd":
            head = pieces.at(box.start, min(box.end - box.start, 96))
            at = 40 + (12 if head[:1] == b"\1" else 0)
            a, b, _, c, d, *_ = unpack(">9i", head, at)
            width, height = (side >> 16 for side in unpack(">II", head, at + 36))
            turn = _TURNS.get((a >> 16, b >> 16, c >> 16, d >> 16), 1)
        elif box.kind == b"mdia":
            for inner in _boxes(pieces, box.start, box.end):
                if inner.kind == b"hdlr":
                    (handler,) = unpack("4s", pieces.at(inner.start, 12), 8)
                elif inner.kind == b"mdhd":
                    _, duration = _movie_header(pieces.at(inner.start, min(inner.end - inner.start, 40)))
    return _Track(handler, width, height, turn, duration)


def _notes(pieces: Pieces, holder: Box) -> _Notes:
    """The texts of `udta` and `meta`, whichever of the two this is."""
    if holder.kind == b"meta":
        return _apple(pieces, holder)
    notes = _Notes()
    for box in _boxes(pieces, holder.start, holder.end):
        if box.kind == b"meta":
            notes = _merged(notes, _apple(pieces, box))
        elif box.kind in (b"\xa9xyz", b"\xa9mak", b"\xa9mod") and box.end - box.start <= MOST_TEXT:
            length, _ = unpack(">HH", pieces.at(box.start, 4))  # and a code for the language
            written = text(pieces.at(box.start + 4, min(length, box.end - box.start - 4)))
            match box.kind:
                case b"\xa9xyz":
                    notes = _merged(notes, _Notes(position=_iso6709(written)))
                case b"\xa9mak":
                    notes = _merged(notes, _Notes(make=written))
                case _:
                    notes = _merged(notes, _Notes(model=written))
    return notes


def _apple(pieces: Pieces, meta: Box) -> _Notes:
    """Apple's list of keys and, by their numbers, values."""
    start = meta.start
    if pieces.at(start + 4, 4) != b"hdlr":  # version and flags stand before the boxes, except in QuickTime
        start += 4
    keys, values = _first(pieces, start, meta.end, b"keys"), _first(pieces, start, meta.end, b"ilst")
    if keys is None or values is None or keys.end - keys.start > MOST_META:
        return _Notes()
    names: list[str] = []
    for key in _boxes(pieces, keys.start + 8, keys.end):
        names.append(text(pieces.at(key.start, min(key.end - key.start, 200))))
    told: dict[str, str] = {}
    for value in _boxes(pieces, values.start, values.end):
        number = int.from_bytes(value.kind, "big")
        data = _first(pieces, value.start, value.end, b"data")
        if data is not None and 0 < number <= len(names) and 8 <= data.end - data.start <= MOST_TEXT:
            name = names[number - 1].removeprefix("com.apple.quicktime.")
            told.setdefault(name, text(pieces.at(data.start + 8, data.end - data.start - 8)))
    place = _iso6709(told.get("location.ISO6709", ""))
    accuracy = told.get("location.accuracy.horizontal", "")
    if place is not None and re.fullmatch(r"\d{1,6}(\.\d{1,9})?", accuracy, re.ASCII):
        place = place._replace(acc=max(1, round(Fraction(accuracy) * 100)))
    return _Notes(_apple_time(told.get("creationdate", "")), place, told.get("make", ""), told.get("model", ""))


def _merged(one: _Notes, other: _Notes) -> _Notes:
    return _Notes(
        one.taken or other.taken, one.position or other.position, one.make or other.make, one.model or other.model
    )


def _iso6709(written: str) -> Position | None:
    """`±DD.D±DDD.D`; degrees with minutes are written without a point and by no phone, so they are left alone."""
    match = _ISO6709.match(written)
    if not match:
        return None
    lat, lon = (Fraction(side) for side in match.groups())
    if abs(lat) > 90 or abs(lon) > 180 or lat == lon == 0:
        return None
    return Position(round(lat * 10**7), round(lon * 10**7))


def _apple_time(written: str) -> str | None:
    match = _APPLE_TIME.match(written)
    if not match:
        return None
    zone = (match[2] or "").replace("Z", "+00:00")
    zone = zone if ":" in zone or not zone else f"{zone[:3]}:{zone[3:]}"
    try:
        datetime.fromisoformat(match[1] + zone)
    except ValueError:
        return None
    return match[1] + zone


# ---- HEIC (ISO/IEC 23008-12) -------------------------------------------------------------------------------


class _Item(NamedTuple):
    """Where the bytes of an item lie: in the file, or in the `idat` box."""

    within: int
    offset: int
    length: int


def heic(pieces: Pieces) -> Metadata:
    """Size as seen, and EXIF, of the primary picture. How it is turned is told by its properties, not by EXIF."""
    meta = _first(pieces, 0, pieces.size, b"meta")
    if meta is None:
        return Metadata()
    inside = {box.kind: box for box in _boxes(pieces, meta.start + 4, meta.end)}
    size, turn = _properties(pieces, inside)
    try:
        block = _exif_item(pieces, inside)
    except Damaged:
        block = None
    return said(size, exif.read(block) if block is not None else None, turn or 1)


def _whole(pieces: Pieces, box: Box | None) -> bytes:
    if box is None or box.end - box.start > MOST_META:
        raise Damaged
    return pieces.at(box.start, box.end - box.start)


def _properties(pieces: Pieces, inside: dict[bytes, Box]) -> tuple[tuple[int, int] | None, int | None]:
    """(size before turning, orientation) of the primary item."""
    try:
        primary = _primary(pieces, inside)
        iprp = inside.get(b"iprp")
        ipco = _first(pieces, iprp.start, iprp.end, b"ipco") if iprp else None
        ipma = _first(pieces, iprp.start, iprp.end, b"ipma") if iprp else None
        if ipco is None:
            return None, None
        known = list(_boxes(pieces, ipco.start, ipco.end))
        named = _associations(_whole(pieces, ipma), primary)
    except Damaged:
        return None, None
    size: tuple[int, int] | None = None
    turns, mirrored = 0, -1
    for number in named:
        if not 0 < number <= len(known):
            continue
        box = known[number - 1]
        if box.kind == b"ispe":
            width, height = pieces.unpack(">II", box.start + 4)
            size = width, height
        elif box.kind == b"clap":  # what is shown of it: encoders fill up to whole blocks
            size = _aperture(pieces, box) or size
        elif box.kind == b"irot":
            turns = pieces.at(box.start, 1)[0] & 3
        elif box.kind == b"imir":
            mirrored = pieces.at(box.start, 1)[0] & 1
    return size, _orientation(turns, mirrored)


def _aperture(pieces: Pieces, clap: Box) -> tuple[int, int] | None:
    width, parts_of_width, height, parts_of_height = pieces.unpack(">IIII", clap.start)
    if not parts_of_width or not parts_of_height:
        return None
    return width // parts_of_width, height // parts_of_height


def _orientation(turns: int, mirrored: int) -> int:
    """EXIF's number for quarter turns to the left, then a mirror (1 left-right, 0 upside down, -1 none)."""
    plain = (1, 8, 3, 6)
    if mirrored < 0:
        return plain[turns]
    flipped = (2, 7, 4, 5) if mirrored else (4, 5, 2, 7)
    return flipped[turns]


def _primary(pieces: Pieces, inside: dict[bytes, Box]) -> int:
    pitm = _whole(pieces, inside.get(b"pitm"))
    (number,) = unpack(">I" if pitm[:1] != b"\0" else ">H", pitm, 4)
    return int(number)


def _associations(ipma: bytes, wanted: int) -> list[int]:
    """The numbers of the properties of an item."""
    version, flags = ipma[0] if ipma else 0, ipma[3] if len(ipma) > 3 else 0
    (count,) = unpack(">I", ipma, 4)
    at = 8
    for _ in range(min(count, MOST_ITEMS)):
        (item,) = unpack(">I" if version else ">H", ipma, at)
        at += 4 if version else 2
        (length,) = unpack(">B", ipma, at)
        wide = flags & 1
        numbers = unpack(f">{length}{'H' if wide else 'B'}", ipma, at + 1)
        if item == wanted:
            return [number & (0x7FFF if wide else 0x7F) for number in numbers]
        at += 1 + length * (2 if wide else 1)
    return []


def _exif_item(pieces: Pieces, inside: dict[bytes, Box]) -> bytes | None:
    number = _item_of_type(pieces, inside, b"Exif")
    item = _location(_whole(pieces, inside.get(b"iloc")), number) if number is not None else None
    if item is None or not 4 < item.length <= MOST_META:
        return None
    if item.within == 1:
        idat = inside.get(b"idat")
        if idat is None:
            return None
        item = item._replace(offset=item.offset + idat.start)
    block = pieces.at(item.offset, item.length)
    (skip,) = unpack(">I", block)  # to the byte order mark, past whatever prefix
    return block[4 + skip :]


def _item_of_type(pieces: Pieces, inside: dict[bytes, Box], kind: bytes) -> int | None:
    iinf = inside.get(b"iinf")
    if iinf is None:
        return None
    wide = pieces.at(iinf.start, 1) != b"\0"
    for box in _boxes(pieces, iinf.start + (8 if wide else 6), iinf.end):
        if box.kind != b"infe":
            continue
        head = pieces.at(box.start, min(box.end - box.start, 16))
        if head[0] == 2:
            number, _, named = unpack(">HH4s", head, 4)
        elif head[0] == 3:
            number, _, named = unpack(">IH4s", head, 4)
        else:
            continue
        if named == kind:
            return int(number)
    return None


def _location(iloc: bytes, wanted: int) -> _Item | None:
    """Where an item lies that has one extent; None for any other."""
    version = iloc[0] if iloc else 0
    sizes, more = unpack(">BB", iloc, 4)
    wide = {0: "", 4: "I", 8: "Q"}
    try:
        offset_form, length_form, base_form = wide[sizes >> 4], wide[sizes & 15], wide[more >> 4]
        index_form = wide[more & 15] if version in (1, 2) else ""
    except KeyError:
        raise Damaged from None
    number_form = "I" if version == 2 else "H"
    (count,) = unpack(f">{number_form}", iloc, 6)
    at = 6 + (4 if version == 2 else 2)
    head = f">{number_form}{'H' if version in (1, 2) else ''}H{base_form}H"
    extent = f">{index_form}{offset_form}{length_form}"
    for _ in range(min(count, MOST_ITEMS)):
        number, *rest = unpack(head, iloc, at)
        at += _length(head)
        extents = rest[-1]
        base = rest[-2] if base_form else 0
        within = rest[0] & 15 if version in (1, 2) else 0
        if number == wanted and extents == 1 and offset_form and length_form:
            *_, offset, length = unpack(extent, iloc, at)
            return _Item(within, base + offset, length)
        at += _length(extent) * extents
    return None


def _length(form: str) -> int:
    return sum({"I": 4, "Q": 8, "H": 2, "B": 1}[sign] for sign in form[1:])
