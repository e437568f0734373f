"""QR codes read out of photos, in the worker: turned, small, in a corner; and nothing where there is none."""

from __future__ import annotations

import io

import pytest
import segno
from PIL import Image

from custody.pictures.orders import MOST_CODES, Order
from custody.pictures.workshop import Workshop
from sync.core.errors import BrokenFile
from tests.support.pictures import jpeg, noise

SHOP = Workshop()
TEXT = "PBA1|01a202f7-0e2e-7a03-a06d-0afab0ed9a61|57|" + "q6ur" * 50


def code(text: str = TEXT, scale: int = 6) -> Image.Image:
    out = io.BytesIO()
    segno.make(text, error="m").save(out, kind="png", scale=scale, border=4)
    return Image.open(out).convert("RGB")


def photo(angle: int = 0, scale: int = 6, quality: int = 80, *texts: str) -> bytes:
    """A photo of a room with codes in it, as JPEG."""
    picture = noise(3000, 2000)
    for number, text in enumerate(texts or (TEXT,)):
        one = code(text, scale).rotate(angle, expand=True, fillcolor="white")
        picture.paste(one, (200 + 700 * number, 300))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def read(content: bytes, mime: str = "image/jpeg") -> tuple[str, ...]:
    return SHOP.make(io.BytesIO(content), Order(mime, {}, codes=True)).codes


@pytest.mark.parametrize("angle", [0, 17, 90, 180])
def test_a_code_in_a_photo_is_read_however_the_tablet_was_held(angle: int) -> None:
    assert read(photo(angle)) == (TEXT,)


@pytest.mark.parametrize(("scale", "quality"), [(4, 80), (8, 40)])
def test_a_small_or_a_squeezed_code_is_read(scale: int, quality: int) -> None:
    assert read(photo(0, scale, quality)) == (TEXT,)


def test_a_picture_of_the_code_itself_is_read() -> None:
    out = io.BytesIO()
    code().save(out, "PNG")
    assert read(out.getvalue(), "image/png") == (TEXT,)


def test_several_codes_are_all_read_and_no_more_than_a_few() -> None:
    assert set(read(photo(0, 4, 80, "first", "second"))) == {"first", "second"}
    assert len(read(photo(0, 3, 90, *[f"code number {n}" for n in range(4)]))) <= MOST_CODES


def test_a_photo_without_a_code_says_nothing_and_is_not_asked_unless_ordered() -> None:
    assert read(jpeg(800, 600)) == ()
    assert SHOP.make(io.BytesIO(photo()), Order("image/jpeg", {})).codes == ()


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(BrokenFile):
        read(photo()[:2000])
