"""The print of a photo: what is kept of it, as bytes, and the keys under which it is found again.

    print := "1" height(2) width(2) gist(30) { x(2) y(2) scale(2) signs(8) }       at most 64 marks, big-endian

Height and width are those of the picture reduced to 512 pixels on its long side. Places are in 1/64 pixel, scales in
1/256. A mark's key is its 35 lowest signs; the gist has ten keys, each of every tenth sign, so that two gists that differ
in fewer than twenty signs agree in one key but for one sign: the search by keys misses none of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from custody.likeness.marks import POWERS, WEAK, Floats, Marks, cosines, lowest, marks

LONG_SIDE = 512
KEPT = 64
"""Marks in a print."""
LOOKED_AT = 128
"""Marks of a picture that is searched for: a crop shows weaker ones that the whole picture's print has kept."""
KEY_BITS = 35
GIST_BITS = 240
BANDS = 10
BAND_BITS = GIST_BITS // BANDS
GIST_NEAR = 2 * BANDS - 1
GIST_BIT = 40
"""Set in the keys of gists, so that they never are those of marks."""

_VERSION = b"1"
_HEAD = np.dtype([("height", ">u2"), ("width", ">u2"), ("gist", "V30")])
_MARK = np.dtype([("x", ">u2"), ("y", ">u2"), ("scale", ">u2"), ("signs", ">u8")])
_KEY_MASK = np.uint64((1 << KEY_BITS) - 1)
_GIST_SIDE = 64
_GIST_DOWN, _GIST_ACROSS = lowest(GIST_BITS, 23)
_GIST_BASIS = cosines(_GIST_SIDE, 23)

Keys = NDArray[np.int64]


class NotAPrint(ValueError):
    """Bytes that are no print, or one of a version that this program does not know."""


class Print(NamedTuple):
    """What is kept of a photo. `shape` is (height, width) of the reduced picture."""

    shape: tuple[int, int]
    gist: bytes
    marks: Marks

    def dump(self) -> bytes:
        head = np.array([(*self.shape, self.gist)], _HEAD)
        body = np.empty(len(self.marks.x), _MARK)
        body["x"], body["y"] = np.rint(self.marks.x * 64), np.rint(self.marks.y * 64)
        body["scale"], body["signs"] = np.rint(self.marks.scale * 256), self.marks.signs
        return _VERSION + head.tobytes() + body.tobytes()

    @classmethod
    def load(cls, content: bytes) -> Print:
        """The inverse of `dump`. Raises NotAPrint."""
        return cls._load(content, KEPT)

    @classmethod
    def _load(cls, content: bytes, most: int) -> Print:
        count, rest = divmod(len(content) - 1 - _HEAD.itemsize, _MARK.itemsize)
        if content[:1] != _VERSION or rest or not 0 <= count <= most:
            raise NotAPrint
        head = np.frombuffer(content, _HEAD, 1, 1)[0]
        body = np.frombuffer(content, _MARK, count, 1 + _HEAD.itemsize)
        if (body["scale"] == 0).any() or not (head["height"] and head["width"]):
            raise NotAPrint
        x, y, scale = ((body[name] / unit).astype(np.float32) for name, unit in (("x", 64), ("y", 64), ("scale", 256)))
        found = Marks(x, y, scale, body["signs"].astype(np.uint64), np.zeros((count, WEAK), np.uint8))
        return cls((int(head["height"]), int(head["width"])), head["gist"].tobytes(), found)

    def keys(self) -> Keys:
        """Every key under which the photo is put on a shelf, each once."""
        return np.unique(np.concatenate([_band_keys(self.gist), (self.marks.signs & _KEY_MASK).astype(np.int64)]))


class Seen(NamedTuple):
    """A picture that is searched for: more marks than are kept, with what is least certain about each."""

    shape: tuple[int, int]
    gist: bytes
    marks: Marks

    @property
    def print(self) -> Print:
        return Print(self.shape, self.gist, self.marks.first(KEPT))

    def dump(self) -> bytes:
        """As bytes, to cross a pipe: a print with all marks, and behind it what is uncertain about each."""
        return Print(self.shape, self.gist, self.marks).dump() + self.marks.weak.tobytes()

    @classmethod
    def load(cls, content: bytes) -> Seen:
        """The inverse of `dump`. Raises NotAPrint."""
        count, rest = divmod(len(content) - 1 - _HEAD.itemsize, _MARK.itemsize + WEAK)
        if rest or not 0 <= count <= LOOKED_AT:
            raise NotAPrint
        weak = np.frombuffer(content, np.uint8, count * WEAK, len(content) - count * WEAK).reshape(count, WEAK)
        if (weak >= KEY_BITS).any():
            raise NotAPrint
        told = Print._load(content[: len(content) - count * WEAK], LOOKED_AT)
        return cls(told.shape, told.gist, told.marks._replace(weak=weak))


def look(picture: Image.Image) -> Seen:
    """Look at an upright picture of any size and mode."""
    grey = reduced(picture)
    height, width = grey.shape
    return Seen((height, width), _gist(picture), marks(grey, LOOKED_AT, KEY_BITS))


def reduced(picture: Image.Image) -> Floats:
    """The picture in grey levels, 512 pixels on its long side however large it was."""
    scale = LONG_SIDE / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    way = Image.Resampling.LANCZOS if scale > 0.5 else Image.Resampling.BOX
    return np.asarray(picture.convert("L").resize(size, way), np.float32)


def _gist(picture: Image.Image) -> bytes:
    small = picture.convert("L").resize((_GIST_SIDE, _GIST_SIDE), Image.Resampling.LANCZOS)
    waves = _GIST_BASIS @ np.asarray(small, np.float32) @ _GIST_BASIS.T
    return np.packbits(waves[_GIST_DOWN, _GIST_ACROSS] > 0).tobytes()


def gist_distance(one: bytes, other: bytes) -> int:
    """In how many of 240 signs two gists differ; two pictures that have nothing in common in about half of them."""
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


def gist_keys_near(gist: bytes) -> Keys:
    """The keys of every gist that differs from this one by at most one sign in each band."""
    own = _band_keys(gist)
    flips = np.concatenate([[0], 1 << np.arange(BAND_BITS)]).astype(np.int64)
    return (own[:, None] ^ flips).ravel()


def mark_keys_near(found: Marks, flips: list[tuple[int, ...]]) -> Keys:
    """For each mark (a row) its key, and its key with some of its least certain signs turned over."""
    bits = POWERS[found.weak]
    columns = [found.signs & _KEY_MASK]
    for flip in flips:
        key = columns[0]
        for place in flip:
            key = key ^ bits[:, place]
        columns.append(key)
    return np.stack(columns, axis=1).astype(np.int64)


def _band_keys(gist: bytes) -> Keys:
    signs = np.unpackbits(np.frombuffer(gist, np.uint8)).reshape(BAND_BITS, BANDS)  # every tenth sign is one band
    bands = (signs.astype(np.int64) << np.arange(BAND_BITS)[:, None]).sum(0)
    keys: Keys = bands | (np.arange(BANDS) << BAND_BITS) | (1 << GIST_BIT)
    return keys
