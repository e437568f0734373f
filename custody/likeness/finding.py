"""Finding a photo among very many: from its keys to a few candidates, from those to answers.

A shelf is any store that knows which photos were put under a key. The keys of a mark are tried together with those that
differ in its least certain signs, so a search asks for some thousand keys however many photos there are. Keys are long:
a photo that has nothing to do with the one searched for shares one of them now and then, two hardly ever. What is
compared in full are the few photos with the most keys in common.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import Protocol, TypeVar

import numpy as np

from custody.likeness.compare import Likeness, compare
from custody.likeness.marks import TURNS, turned
from custody.likeness.prints import (
    GIST_BIT,
    GIST_NEAR,
    LOOKED_AT,
    Keys,
    Print,
    Seen,
    gist_distance,
    gist_keys_near,
    mark_keys_near,
)

Photo = TypeVar("Photo", int, str)

POPULAR = 64
"""A shelf keeps at most so many photos under one key: what more photos show (a tile, a printed sign) tells nothing."""
LEAST_KEYS = 2
MOST_CANDIDATES = 48
_FLIPS: list[tuple[int, ...]] = [*((one,) for one in range(7)), *combinations(range(6), 2)]
_FLIPS_TURNED: list[tuple[int, ...]] = [(one,) for one in range(4)]
_TURNED_MARKS = 64


class Shelf(Protocol[Photo]):
    """Where prints are kept."""

    def under(self, keys: Collection[int]) -> tuple[Sequence[int] | Keys, Sequence[Photo] | Keys]:
        """Two columns, key and photo: every photo that was put under one of these keys, at most `POPULAR` a key."""

    def prints(self, photos: Collection[Photo]) -> Mapping[Photo, Print]:
        """The prints of these photos; a photo that is gone is left out."""


def find(seen: Seen, shelf: Shelf[Photo], turns: tuple[str, ...] = TURNS) -> list[tuple[Photo, Likeness]]:
    """The photos on a shelf that are like the picture, the likest first."""
    candidates = _candidates(seen, shelf, turns)
    prints = shelf.prints(list(candidates))
    answers = []
    for photo, ways in candidates.items():
        held = prints.get(photo)
        alike = compare(seen, held, tuple(turn for turn in turns if turn in ways)) if held is not None else None
        if alike is not None:
            answers.append((photo, alike))
    return sorted(answers, key=lambda answer: (-answer[1].score, str(answer[0])))


def keys_asked(seen: Seen, turns: tuple[str, ...] = TURNS) -> dict[int, set[tuple[str, int]]]:
    """Every key that a search asks for → (turn, number of the mark) each; number -1 is the gist."""
    asked: dict[int, set[tuple[str, int]]] = {}
    for key in gist_keys_near(seen.gist).tolist():
        asked.setdefault(key, set()).add(("", -1))
    for turn in turns:
        if turn:
            marks, _ = turned(seen.marks.first(_TURNED_MARKS), turn, seen.shape)
            rows = mark_keys_near(marks, _FLIPS_TURNED)
        else:
            rows = mark_keys_near(seen.marks.first(LOOKED_AT), _FLIPS)
        for number, row in enumerate(rows.tolist()):
            for key in row:
                asked.setdefault(key, set()).add((turn, number))
    return asked


def _candidates(seen: Seen, shelf: Shelf[Photo], turns: tuple[str, ...]) -> dict[Photo, set[str]]:
    """The photos worth comparing → the ways in which they might lie."""
    asked = keys_asked(seen, turns)
    # Among very many photos, tens of thousands have one key in common, by chance: they are counted without looking at each.
    keys, photos = (np.asarray(column) for column in shelf.under(list(asked)))
    _, which, counts = np.unique(photos, return_inverse=True, return_counts=True)
    often = counts[which] >= LEAST_KEYS
    hits: dict[Photo, set[tuple[str, int]]] = {}
    for key, photo in zip(keys[often].tolist(), photos[often].tolist(), strict=True):
        hits.setdefault(photo, set()).update(one for one in asked[key] if one[1] >= 0)
    by_gist: set[Photo] = set(photos[keys >= 1 << GIST_BIT].tolist()) if len(keys) else set()
    best: Counter[tuple[Photo, str]] = Counter()
    for photo, ways in hits.items():
        best.update((photo, turn) for turn, _ in ways)
    likeliest = [(one, count) for one, count in best.most_common(MOST_CANDIDATES) if count >= LEAST_KEYS]
    found: dict[Photo, set[str]] = {}
    for (photo, turn), _ in likeliest:
        found.setdefault(photo, set()).add(turn)
    for photo, held in shelf.prints(sorted(by_gist - found.keys())).items():
        if gist_distance(seen.gist, held.gist) <= GIST_NEAR:
            found.setdefault(photo, set()).add("")
    return found
