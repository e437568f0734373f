"""Photos that look alike: copies of real photographs are found, different ones are not."""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Collection, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from custody.likeness import NotAPrint, Print, Seen, compare, find, look
from custody.likeness.marks import TURNS, turned
from custody.likeness.prints import GIST_NEAR, gist_distance, gist_keys_near
from tests.support.photographs import COPIES, NAMES, compressed, cropped, marked, photograph


class Shelf:
    """A shelf in memory."""

    def __init__(self, photos: Mapping[str, Print]) -> None:
        self.photos = dict(photos)
        self.keys: dict[int, list[str]] = defaultdict(list)
        for name, held in photos.items():
            for key in held.keys().tolist():
                self.keys[key].append(name)

    def under(self, keys: Collection[int]) -> tuple[list[int], list[str]]:
        found = [(key, name) for key in keys for name in self.keys.get(key, ())]
        return [key for key, _ in found], [name for _, name in found]

    def prints(self, photos: Collection[str]) -> dict[str, Print]:
        return {name: self.photos[name] for name in photos}


SEEN = {name: look(photograph(name)) for name in NAMES}
SHELF = Shelf({name: seen.print for name, seen in SEEN.items()})


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_of_a_photograph_is_found_and_nothing_else(name: str, copy: str) -> None:
    picture = opened(compressed(COPIES[copy](photograph(name))))
    assert [photo for photo, _ in find(look(picture), SHELF)] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_told_how_a_copy_was_made(name: str) -> None:
    def how(picture: Image.Image) -> tuple[str, str]:
        ((_, alike),) = find(look(picture), SHELF)
        return alike.sort, alike.turn

    picture = photograph(name)
    assert how(marked(picture)) == ("same", "")
    assert how(cropped(picture)) == ("part", "")
    assert how(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == ("same", "mirrored")
    assert how(picture.transpose(Image.Transpose.ROTATE_90)) == ("same", "left")
    assert how(picture.transpose(Image.Transpose.ROTATE_270)) == ("same", "right")


def test_the_whole_of_a_held_crop_is_found_too() -> None:
    picture = photograph(NAMES[0])
    alike = compare(look(picture), look(cropped(picture)).print)
    assert alike is not None and alike.sort == "whole"


def test_different_photographs_have_nothing_to_do_with_each_other() -> None:
    for one in NAMES:
        for other in NAMES:
            if one != other:
                assert compare(SEEN[one], SEEN[other].print) is None


def test_empty_pictures_are_not_alike() -> None:
    white, grey = Image.new("RGB", (640, 480), "white"), Image.new("RGB", (640, 480), (90, 90, 90))
    assert compare(look(white), look(grey).print) is None


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3), (16, 16)])
def test_a_picture_of_any_shape_has_a_print(size: tuple[int, int]) -> None:
    seen = look(Image.effect_noise(size, 50))
    assert Seen.load(seen.dump()).print.dump() == seen.print.dump()


@pytest.mark.parametrize("turn", [turn for turn in TURNS if turn])
def test_turning_marks_is_looking_at_the_turned_picture(turn: str) -> None:
    ways = {
        "mirrored": Image.Transpose.FLIP_LEFT_RIGHT,
        "upside-down": Image.Transpose.FLIP_TOP_BOTTOM,
        "half": Image.Transpose.ROTATE_180,
        "left": Image.Transpose.ROTATE_90,
        "right": Image.Transpose.ROTATE_270,
        "transposed": Image.Transpose.TRANSPOSE,
        "transversed": Image.Transpose.TRANSVERSE,
    }
    picture = photograph(NAMES[0])
    seen, there = look(picture), look(picture.transpose(ways[turn]))
    marks, shape = turned(seen.marks, turn, seen.shape)
    assert shape == there.shape
    assert len(set(marks.signs.tolist()) & set(there.marks.signs.tolist())) > len(marks.x) / 5


def test_a_print_has_one_form_and_others_are_refused() -> None:
    content = SEEN[NAMES[0]].print.dump()
    assert len(content) <= 931 and Print.load(content).dump() == content
    no_scale = content[:39] + b"\0\0" + content[41:]
    for broken in (b"", no_scale, content[:-1], content + b"\0", b"2" + content[1:], content + content):
        with pytest.raises(NotAPrint):
            Print.load(broken)


@given(st.binary(max_size=3000))
def test_any_bytes_are_a_print_or_refused(content: bytes) -> None:
    for form in (Print, Seen):
        with contextlib.suppress(NotAPrint):
            assert form.load(content).dump() == content


@settings(deadline=None)
@given(st.binary(min_size=30, max_size=30), st.sets(st.integers(0, 239), max_size=GIST_NEAR))
def test_the_keys_of_a_gist_miss_no_near_one(gist: bytes, flipped: set[int]) -> None:
    other = bytearray(gist)
    for bit in flipped:
        other[bit // 8] ^= 128 >> bit % 8
    near = Print((1, 1), bytes(other), look(Image.new("L", (8, 8))).marks)
    assert gist_distance(gist, bytes(other)) == len(flipped)
    assert set(near.keys().tolist()) & set(gist_keys_near(gist).tolist())


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(NAMES), st.sampled_from(sorted(COPIES)), st.integers(40, 95))
def test_the_index_answers_what_a_scan_of_all_would(name: str, copy: str, quality: int) -> None:
    seen = look(opened(compressed(COPIES[copy](photograph(name)), quality)))
    scanned = {photo for photo, held in SHELF.photos.items() if compare(seen, held) is not None}
    assert {photo for photo, _ in find(seen, SHELF)} == scanned


def test_a_key_is_a_number_that_a_database_holds() -> None:
    for held in SHELF.photos.values():
        assert held.keys().dtype == np.int64 and held.keys().min() >= 0
