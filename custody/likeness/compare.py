"""What two photos have to do with each other: the same picture, a part of it, mirrored, turned, or nothing.

Marks of both that look alike are paired; each pair says how one picture would have to be shifted and scaled to lie on
the other. Where enough pairs say the same, and they are a good part of all marks that both pictures should show in common,
one was made from the other. The second condition tells a copy from two rooms with the same poster on the wall.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from custody.likeness.marks import REACH, TURNS, Floats, Ints, Marks, turned
from custody.likeness.prints import GIST_NEAR, Print, Seen, gist_distance

ALIKE_BITS = 16
"""Two surroundings are alike that differ in at most so many of 64 signs."""
LEAST_MARKS = 6
LEAST_SHARE = 0.35
_COARSE_PX, _FINE_PX = 20.0, 6.0
_SCALE = 0.25
_WHOLE = 0.97
"""A copy that shows at least this share of the other, and nothing else, is the whole picture."""
_OPPOSITE = {"left": "right", "right": "left"}
"""What has to be turned right to lie on the other lies turned left."""


class Likeness(NamedTuple):
    """How a photo is like an earlier one.

    sort   same: the whole picture again; part: a piece of it; whole: it is a piece of this one; overlap: they share a piece
    turn   how it lies compared with the earlier one, empty for upright (`marks.TURNS`)
    score  0 to 100: how much of what both should show agrees
    share  percent of the earlier photo that it shows
    own    percent of it that is the earlier photo
    """

    sort: str
    turn: str
    score: int
    share: int
    own: int

    def other_way(self) -> Likeness:
        """How the earlier photo is like this one."""
        sort = {"part": "whole", "whole": "part"}.get(self.sort, self.sort)
        return Likeness(sort, _OPPOSITE.get(self.turn, self.turn), self.score, self.own, self.share)


def compare(seen: Seen, held: Print, turns: tuple[str, ...] = TURNS) -> Likeness | None:
    """How a picture is like a held one; None where it is not."""
    found = None
    for turn in turns:
        marks, shape = turned(seen.marks, turn, seen.shape) if turn else (seen.marks, seen.shape)
        found = _by_marks(marks, shape, held, turn)
        if found is not None:
            break
    if found is None or found.sort != "same":
        distance = gist_distance(seen.gist, held.gist)
        if distance <= GIST_NEAR and not _flat(held.gist):
            return Likeness("same", "", round(100 * (1 - distance / 120)), 100, 100)
    return found


def _flat(gist: bytes) -> bool:
    """An empty picture, all of one grey: it has no signs at all and would be like every other empty one."""
    return int.from_bytes(gist, "big").bit_count() < 8


def _by_marks(seen: Marks, shape: tuple[int, int], held: Print, turn: str) -> Likeness | None:
    ours, theirs = np.nonzero(np.bitwise_count(seen.signs[:, None] ^ held.marks.signs) <= ALIKE_BITS)
    if len(ours) < LEAST_MARKS:
        return None
    fit = _fit(seen, held.marks, ours, theirs)
    if fit is None:
        return None
    (a, b, x0, y0), agreed = fit
    count = min(len(np.unique(ours[agreed])), len(np.unique(theirs[agreed])))
    if count < LEAST_MARKS:
        return None
    scale = math.hypot(a, b)
    x, y = a * held.marks.x - b * held.marks.y + x0, b * held.marks.x + a * held.marks.y + y0
    reach = REACH * scale * held.marks.scale
    common = (x - reach > 0) & (x + reach < shape[1]) & (y - reach > 0) & (y + reach < shape[0])
    agreement = min(1.0, count / max(1, int(common.sum())))
    if agreement < LEAST_SHARE:
        return None
    theirs_shown, ours_shown = _shares(shape, held.shape, (x0, y0), scale)
    lies = _OPPOSITE.get(turn, turn)
    sort, score = _sort(theirs_shown, ours_shown), round(100 * agreement)
    return Likeness(sort, lies, score, round(100 * theirs_shown), round(100 * ours_shown))


def _fit(seen: Marks, held: Marks, ours: Ints, theirs: Ints) -> tuple[tuple[float, float, float, float], Ints] | None:
    """How the held picture lies on the seen one (x' = ax - by + x0, y' = bx + ay + y0), and the pairs that agree."""
    from_x, from_y = held.x[theirs], held.y[theirs]
    to_x, to_y = seen.x[ours], seen.y[ours]
    size = np.log(seen.scale[ours] / held.scale[theirs])
    agreed = _most_agreed(from_x, from_y, to_x, to_y, size)
    moved = (0.0, 0.0, 0.0, 0.0)
    for _ in range(2):
        if len(agreed) < LEAST_MARKS:
            return None
        x, y, u, v = from_x[agreed], from_y[agreed], to_x[agreed], to_y[agreed]
        mx, my, mu, mv = (float(one.mean()) for one in (x, y, u, v))
        x, y, u, v = x - mx, y - my, u - mu, v - mv
        extent = float((x * x + y * y).sum())
        if extent < 1:
            return None
        a, b = float((x * u + y * v).sum()) / extent, float((x * v - y * u).sum()) / extent
        moved = (a, b, mu - a * mx + b * my, mv - b * mx - a * my)
        off = np.hypot(a * from_x - b * from_y + moved[2] - to_x, b * from_x + a * from_y + moved[3] - to_y)
        scale = math.hypot(a, b)
        if scale < 0.05:
            return None
        agreed = np.nonzero((off < _FINE_PX) & (np.abs(size - math.log(scale)) < _SCALE))[0]
    return (moved, agreed) if len(agreed) >= LEAST_MARKS else None


MOST_PAIRS = 600


def _most_agreed(from_x: Floats, from_y: Floats, to_x: Floats, to_y: Floats, size: Floats) -> Ints:
    """The largest set of pairs that agree with one of them about scale and shift. Repeated patterns pair with each other
    many times over; of those the first will do."""
    proposed = slice(None, None, max(1, len(size) // MOST_PAIRS))
    scale = np.exp(size[proposed])[:, None]
    x0, y0 = (
        to_x[proposed, None] - scale * from_x[proposed, None],
        to_y[proposed, None] - scale * from_y[proposed, None],
    )
    near = np.abs(scale * from_x + x0 - to_x) < _COARSE_PX
    near &= np.abs(scale * from_y + y0 - to_y) < _COARSE_PX
    near &= np.abs(size[proposed, None] - size) < _SCALE
    return np.nonzero(near[int(near.sum(1).argmax())])[0]


def _shares(
    ours: tuple[int, int], theirs: tuple[int, int], corner: tuple[float, float], scale: float
) -> tuple[float, float]:
    """How much of the held picture the seen one shows, and how much of the seen one is the held one."""
    width = max(0.0, min(ours[1], corner[0] + scale * theirs[1]) - max(0.0, corner[0]))
    height = max(0.0, min(ours[0], corner[1] + scale * theirs[0]) - max(0.0, corner[1]))
    common = width * height
    return min(1.0, common / (scale * scale * theirs[0] * theirs[1])), min(1.0, common / (ours[0] * ours[1]))


def _sort(theirs_shown: float, ours_shown: float) -> str:
    if theirs_shown >= _WHOLE and ours_shown >= _WHOLE:
        return "same"
    if ours_shown >= theirs_shown and ours_shown >= 0.9:
        return "part"
    if theirs_shown >= 0.9:
        return "whole"
    return "overlap"
