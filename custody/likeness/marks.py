"""Marks: spots of a picture that stand out at some scale, found again after cropping, recompressing or resizing.

As in Lowe's scale space (IJCV 60, 2004): the picture is blurred step by step, and a spot counts where the difference of
two steps is larger or smaller than everything around it in place and in scale. What is around a spot, in proportion to
its scale, is described by the signs of its lowest cosine coefficients: they do not change with brightness or contrast,
hardly with compression, and a mirrored or turned surrounding only changes or exchanges signs (`turned`). Surroundings
are not rotated upright: photos are upright already, and what leans by some degrees is still found.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.intp]

STEPS = 3
"""Blurs per octave; each octave halves the picture."""
OCTAVES = 4
BLUR, BLUR_BEFORE = 1.6, 0.8
REACH = 6.0
"""Half the width of a surrounding, in units of the spot's scale."""
GRID = 16
FAINTEST = 1.0
"""Of 255 grey levels: what differs less from its surroundings is noise or the work of compression."""
LONGEST_EDGE = 12.0
"""How much stronger a spot may be across than along: a point on a straight line is found anywhere on that line."""
CELLS = 5
PER_CELL = 3
BITS = 64
WEAK = 7

_RATIO = 2 ** (1 / STEPS)


def cosines(size: int, count: int) -> Floats:
    """The first basis vectors of the orthonormal DCT-II."""
    place = (np.arange(size) + 0.5) * np.pi / size
    basis = np.cos(np.arange(count)[:, None] * place) * np.sqrt(2 / size)
    basis[0] /= np.sqrt(2)
    made: Floats = basis.astype(np.float32)
    return made


def lowest(count: int, most: int) -> tuple[Ints, Ints]:
    """(down, across) of the `count` lowest frequencies but the mean, by the sum of both."""
    pairs = [(down, across) for down in range(most) for across in range(most) if 0 < down + across < most]
    pairs.sort(key=lambda pair: (sum(pair), pair[0]))
    down, across = zip(*pairs[:count], strict=True)
    return np.array(down), np.array(across)


DOWN, ACROSS = lowest(BITS, 11)
_BASIS = cosines(GRID, 11)
POWERS = np.uint64(1) << np.arange(BITS, dtype=np.uint64)
_SPOTS = (np.arange(GRID, dtype=np.float32) + 0.5) / GRID * 2 - 1


class Marks(NamedTuple):
    """Marks of a picture, the strongest of each part of it first. Places and scales are in pixels of `grey`.

    signs  which of the 64 lowest coefficients are positive, as one number each
    weak   for each mark its `WEAK` least certain bits among those of the key, the least certain first
    """

    x: Floats
    y: Floats
    scale: Floats
    signs: NDArray[np.uint64]
    weak: NDArray[np.uint8]

    def first(self, count: int) -> Marks:
        return Marks(*(column[:count] for column in self))  # type: ignore[arg-type]


def none() -> Marks:
    empty = np.zeros(0, np.float32)
    return Marks(empty, empty, empty, np.zeros(0, np.uint64), np.zeros((0, WEAK), np.uint8))


def marks(grey: Floats, most: int, key_bits: int) -> Marks:
    """At most `most` marks of a picture in grey levels of 0 to 255."""
    found = [one for octave in _octaves(grey) for one in _in_octave(*octave)]
    if not found:
        return none()
    x, y, scale, strength, waves = (np.concatenate(column) for column in zip(*found, strict=True))
    chosen = _spread(x, y, strength * np.sqrt(scale), grey.shape)[:most]
    waves = waves[chosen]
    signs = ((waves > 0) * POWERS).sum(1, dtype=np.uint64)
    weak = np.argsort(np.abs(waves[:, :key_bits]), axis=1, kind="stable")[:, :WEAK].astype(np.uint8)
    return Marks(x[chosen], y[chosen], scale[chosen], signs, weak)


# ---- scale space -------------------------------------------------------------------------------------------


def _octaves(grey: Floats) -> Any:
    """(steps of blur, differences of neighbours, how much smaller than the picture) of each octave."""
    base = _blurred(grey, float(np.sqrt(BLUR**2 - BLUR_BEFORE**2)))
    for octave in range(OCTAVES):
        if min(base.shape) < 1.5 * GRID:
            return
        steps = [base]
        for step in range(1, STEPS + 3):
            steps.append(_blurred(steps[-1], BLUR * _RATIO ** (step - 1) * float(np.sqrt(_RATIO**2 - 1))))
        yield steps, np.stack([b - a for a, b in zip(steps, steps[1:], strict=False)]), 2.0**octave
        base = np.ascontiguousarray(steps[STEPS][::2, ::2])


def _blurred(picture: Floats, sigma: float) -> Floats:
    reach = int(3 * sigma + 0.5)
    spots = np.arange(-reach, reach + 1)
    kernel = np.exp(-(spots**2) / (2 * sigma * sigma))
    weights = (kernel / kernel.sum()).astype(np.float32)
    for axis in (0, 1):
        length = picture.shape[axis]
        around = ((reach, reach), (0, 0)) if axis == 0 else ((0, 0), (reach, reach))
        padded = np.pad(picture, around, mode="edge")

        def part(start: int, padded: Floats = padded, axis: int = axis, length: int = length) -> Floats:
            return padded[start : start + length] if axis == 0 else padded[:, start : start + length]

        picture = part(reach) * weights[reach]
        for away in range(1, reach + 1):
            picture += weights[reach + away] * (part(reach - away) + part(reach + away))
    return picture


def _in_octave(steps: list[Floats], differences: Floats, factor: float) -> Any:
    """(x, y, scale, strength, coefficients) of the spots of each scale of an octave, in pixels of the whole picture."""
    highest = [_largest_around(one) for one in differences]
    deepest = [_largest_around(-one) for one in differences]
    height, width = steps[0].shape
    for step in range(1, STEPS + 1):
        middle = differences[step][1:-1, 1:-1]
        top = np.maximum(np.maximum(highest[step - 1], highest[step]), highest[step + 1])
        low = np.maximum(np.maximum(deepest[step - 1], deepest[step]), deepest[step + 1])
        down, across = np.nonzero(((middle >= top) | (-middle >= low)) & (np.abs(middle) > FAINTEST))
        if not len(down):
            continue
        x, y, scale, rounded = _refined(differences, step, down + 1, across + 1)
        reach = REACH * scale
        fits = rounded & (x - reach > -1) & (x + reach < width) & (y - reach > -1) & (y + reach < height)
        if fits.any():
            x, y, scale = x[fits], y[fits], scale[fits]
            strength = np.abs(middle[down[fits], across[fits]])
            yield x * factor, y * factor, scale * factor, strength, _waves(steps[step + 1], x, y, scale)


def _largest_around(plane: Floats) -> Floats:
    rows = np.maximum(np.maximum(plane[:-2], plane[1:-1]), plane[2:])
    largest: Floats = np.maximum(np.maximum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])
    return largest


def _refined(differences: Floats, step: int, y: Ints, x: Ints) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """(x, y, scale) between the pixels, by a parabola each way; and whether the spot is round rather than an edge."""
    here = differences[step]
    value = here[y, x]
    right, left, below, above = here[y, x + 1], here[y, x - 1], here[y + 1, x], here[y - 1, x]
    curve_x, curve_y = right + left - 2 * value, below + above - 2 * value
    twist = (here[y + 1, x + 1] - here[y + 1, x - 1] - here[y - 1, x + 1] + here[y - 1, x - 1]) / 4
    trace, area = curve_x + curve_y, curve_x * curve_y - twist**2
    rounded = (area > 0) & (trace**2 < LONGEST_EDGE * area)
    finer, coarser = differences[step - 1][y, x], differences[step + 1][y, x]
    scale = BLUR * _RATIO ** (step + _peak(finer, value, coarser))
    return x + _peak(left, value, right), y + _peak(above, value, below), scale.astype(np.float32), rounded


def _peak(before: Floats, here: Floats, after: Floats) -> Floats:
    curve = before - 2 * here + after
    flat = np.abs(curve) < 1e-6
    peak: Floats = np.where(flat, 0, 0.5 * (before - after) / np.where(flat, 1, curve)).clip(-0.5, 0.5)
    return peak.astype(np.float32)


def _waves(picture: Floats, x: Floats, y: Floats, scale: Floats) -> Floats:
    """The lowest cosine coefficients of the surroundings of each spot."""
    height, width = picture.shape
    across = x[:, None] + REACH * scale[:, None] * _SPOTS
    down = y[:, None] + REACH * scale[:, None] * _SPOTS
    left = np.clip(np.floor(across).astype(np.intp), 0, width - 2)
    top = np.clip(np.floor(down).astype(np.intp), 0, height - 2)
    right_part, lower_part = (across - left)[:, None, :], (down - top)[:, :, None]
    rows, columns = top[:, :, None], left[:, None, :]
    upper = picture[rows, columns] * (1 - right_part) + picture[rows, columns + 1] * right_part
    lower = picture[rows + 1, columns] * (1 - right_part) + picture[rows + 1, columns + 1] * right_part
    around: Floats = (upper * (1 - lower_part) + lower * lower_part).astype(np.float32)
    coefficients: Floats = (_BASIS @ around @ _BASIS.T)[:, DOWN, ACROSS].astype(np.float32)
    return coefficients


def _spread(x: Floats, y: Floats, score: Floats, shape: tuple[int, ...]) -> Ints:
    """The order in which marks are taken: the best of each part of the picture, then their seconds, so that a crop has its
    share whatever it cuts off."""
    cell = (x * CELLS / shape[1]).astype(np.intp).clip(0, CELLS - 1) * CELLS
    cell += (y * CELLS / shape[0]).astype(np.intp).clip(0, CELLS - 1)
    best = np.lexsort((y, x, -score))
    by_cell = best[np.argsort(cell[best], kind="stable")]
    _, starts, counts = np.unique(cell[by_cell], return_index=True, return_counts=True)
    rank = np.empty(len(x), np.intp)
    rank[by_cell] = np.arange(len(x)) - np.repeat(starts, counts)
    return np.lexsort((y, x, -score, rank // PER_CELL))


# ---- mirrored and turned -----------------------------------------------------------------------------------

_ODD_ACROSS = (POWERS * (ACROSS % 2 == 1)).sum(dtype=np.uint64)
_ODD_DOWN = (POWERS * (DOWN % 2 == 1)).sum(dtype=np.uint64)
_PLACE_OF = {(int(d), int(a)): place for place, (d, a) in enumerate(zip(DOWN, ACROSS, strict=True))}
_EXCHANGED = np.array(
    [_PLACE_OF.get((int(a), int(d)), place) for place, (d, a) in enumerate(zip(DOWN, ACROSS, strict=True))]
)

TURNS = ("", "mirrored", "upside-down", "half", "left", "right", "transposed", "transversed")
"""How a copy can lie: mirrored left-right or top-bottom, turned by a half or a quarter, and the two that do both."""


def turned(found: Marks, turn: str, shape: tuple[int, int]) -> tuple[Marks, tuple[int, int]]:
    """The marks that the picture would have if it lay otherwise, and its (height, width) then; nothing is computed anew."""
    x, y, scale, signs, weak = found
    height, width = shape
    if turn in ("left", "right", "transposed", "transversed"):  # rows become columns first
        (x, y), (height, width) = (y, x), (width, height)
        set_bits = (signs[:, None] & POWERS) != 0
        signs = (set_bits[:, _EXCHANGED] * POWERS).sum(1, dtype=np.uint64)
        weak = _EXCHANGED[weak].astype(np.uint8)
    if turn in ("mirrored", "half", "right", "transversed"):
        x, signs = (width - x).astype(np.float32), signs ^ _ODD_ACROSS
    if turn in ("upside-down", "half", "left", "transversed"):
        y, signs = (height - y).astype(np.float32), signs ^ _ODD_DOWN
    return Marks(x, y, scale, signs, weak), (height, width)
