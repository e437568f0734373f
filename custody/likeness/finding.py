"""Finding a photo among very many: from its keys to a few candidates, from those to answers.

A shelf is any store that knows which photos were put under a key. The keys of a mark are tried together with those that
differ in its least certain signs, so a search asks for some thousand keys however many photos there are. Keys are long:
a photo that has nothing to do with the one searched for shares one of them now and then, two hardly ever. What is
compared in full are the few photos with the most keys in common.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

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

    def under(self, keys: Collection[int]) -> tuple[Sequence[int] | Keys, Sequence[Photo] | NDArray[Any]]:
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


class Asked(NamedTuple):
    """What a search asks for: a row for each key and mark, in the order of the keys.

    turns   which of the turns that are tried
    marks   number of the mark; -1 is the gist
    """

    keys: Keys
    turns: Keys
    marks: Keys


def asked_for(seen: Seen, turns: tuple[str, ...] = TURNS) -> Asked:
    """Every key that a search asks for."""
    gist = gist_keys_near(seen.gist)
    columns = [(gist, np.zeros(len(gist), np.int64), np.full(len(gist), -1))]
    for number, turn in enumerate(turns):
        if turn:
            marks, _ = turned(seen.marks.first(_TURNED_MARKS), turn, seen.shape)
            rows = mark_keys_near(marks, _FLIPS_TURNED)
        else:
            rows = mark_keys_near(seen.marks.first(LOOKED_AT), _FLIPS)
        count, width = rows.shape
        columns.append((rows.ravel(), np.full(rows.size, number), np.repeat(np.arange(count), width)))
    keys, which, own = (np.concatenate(column) for column in zip(*columns, strict=True))
    order = np.argsort(keys, kind="stable")
    return Asked(keys[order], which[order], own[order])


def _candidates(seen: Seen, shelf: Shelf[Photo], turns: tuple[str, ...]) -> dict[Photo, set[str]]:
    """The photos worth comparing → the ways in which they might lie."""
    asked = asked_for(seen, turns)
    keys, photos = (np.asarray(column) for column in shelf.under(np.unique(asked.keys).tolist()))
    found: dict[Photo, set[str]] = {}
    for photo, turn in _likeliest(asked, keys, photos, len(turns)):
        found.setdefault(photo, set()).add(turns[turn])
    by_gist: set[Photo] = set(photos[keys >= 1 << GIST_BIT].tolist()) if len(keys) else set()
    for photo, held in shelf.prints(sorted(by_gist - found.keys())).items():
        if gist_distance(seen.gist, held.gist) <= GIST_NEAR:
            found.setdefault(photo, set()).add("")
    return found


def _likeliest(asked: Asked, keys: Keys, photos: NDArray[Any], turns: int) -> Iterator[tuple[Any, int]]:
    """(photo, turn) of those with the most marks in common, the likeliest first.

    Among very many photos, tens of thousands have one key in common, by chance: none of them is looked at by itself.
    """
    ordered = np.sort(photos)
    known = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])  # that have two keys at least
    if not len(known):
        return
    place = np.minimum(np.searchsorted(known, photos), len(known) - 1)
    often = known[place] == photos
    keys, place = keys[often], place[often]
    first, end = np.searchsorted(asked.keys, keys), np.searchsorted(asked.keys, keys, "right")
    counts = end - first
    rows = np.arange(counts.sum()) + np.repeat(first - np.cumsum(counts) + counts, counts)
    whose, turn, mark = np.repeat(place, counts), asked.turns[rows], asked.marks[rows]
    by_mark = mark >= 0
    each = np.unique(((whose * turns + turn) * LOOKED_AT + mark)[by_mark]) // LOOKED_AT  # a mark counts once
    ways, common = np.unique(each, return_counts=True)
    best = np.argsort(-common, kind="stable")[:MOST_CANDIDATES]
    for way in ways[best[common[best] >= LEAST_KEYS]].tolist():
        yield known[way // turns].item(), way % turns
