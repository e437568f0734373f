"""What a redacted copy holds of what was covered: nothing, in any format that is taken."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from custody.pictures.orders import MARGIN_PX, REDACTED, Order, Redaction
from custody.pictures.redact import covered
from custody.pictures.workshop import Workshop
from sync.core.errors import BrokenFile
from tests.support.pictures import camera_exif, encoded, film, heic, noise, pdf, scene, sound

BOX = (160, 120, 200, 100)


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    made = Workshop()
    yield made
    made.close()


def redacted(workshop: Workshop, content: bytes, mime: str, *boxes: tuple[int, int, int, int], **more: Any) -> bytes:
    wish = Redaction(boxes or (BOX,), **more)
    return workshop.make(io.BytesIO(content), Order(mime, {}, redaction=wish), "x").files[REDACTED]


def with_inside(outside: Image.Image, inside: Image.Image) -> Image.Image:
    """A picture whose box holds something else."""
    made = outside.copy()
    made.paste(inside, BOX[:2])
    return made


def black(picture: Image.Image, box: tuple[int, int, int, int] = BOX) -> int:
    """The brightest value of any colour inside a box."""
    x, y, width, height = box
    extremes = picture.convert("RGB").crop((x, y, x + width, y + height)).getextrema()
    return max(high for _, high in extremes)  # type: ignore[misc]


@pytest.mark.parametrize(("form", "mime"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")])
def test_the_copy_is_the_same_whatever_was_covered(workshop: Workshop, form: str, mime: str) -> None:
    """The strongest thing to say: nobody can tell from the bytes what was there."""
    around, options = noise(640, 480), {"lossless": True} if form == "WEBP" else {}
    copies = {
        redacted(workshop, encoded(with_inside(around, inside), form, **options), mime)
        for inside in (noise(*BOX[2:]), scene(*BOX[2:]), Image.new("RGB", BOX[2:], "white"))
    }
    assert len(copies) == 1
    with Image.open(io.BytesIO(copies.pop())) as copy:
        assert copy.size == (640, 480) and black(copy) <= (8 if copy.format == "JPEG" else 0)


def test_what_is_outside_stays_as_it_was(workshop: Workshop) -> None:
    whole = scene(640, 480)
    copy = Image.open(io.BytesIO(redacted(workshop, encoded(whole, "PNG"), "image/png")))
    left = (0, 0, BOX[0] - MARGIN_PX, 480)
    assert copy.crop(left).tobytes() == whole.convert("RGB").crop(left).tobytes()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 119), st.integers(0, 89), st.integers(1, 200), st.integers(1, 200)), min_size=1, max_size=4))
def test_every_pixel_of_every_box_is_destroyed(boxes: list[tuple[int, int, int, int]]) -> None:
    copy = covered(Image.new("RGB", (120, 90), "white"), tuple(boxes))
    for x, y, width, height in boxes:
        assert copy.crop((x, y, min(120, x + width), min(90, y + height))).getextrema() == ((0, 0),) * 3


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_box_is_where_a_person_sees_it_however_the_camera_was_held(workshop: Workshop, orientation: int) -> None:
    plain = Image.new("RGB", (640, 480), "white")
    content = encoded(plain, "JPEG", exif=camera_exif(orientation))
    copy = Image.open(io.BytesIO(redacted(workshop, content, "image/jpeg", (10, 20, 30, 40))))
    assert copy.size == ((480, 640) if orientation in (6, 8) else (640, 480))
    assert black(copy, (10, 20, 30, 40)) <= 8
    assert copy.getpixel((400, 400)) == (255, 255, 255)


def test_exif_comments_profiles_and_small_pictures_do_not_come_along(workshop: Workshop) -> None:
    exif = camera_exif(6)
    thumbnail = encoded(scene(160, 120), "JPEG")
    exif_bytes = exif.tobytes() + b"THUMB" + thumbnail
    content = encoded(scene(640, 480), "JPEG", exif=exif_bytes, comment=b"SECRET-COMMENT", icc_profile=b"SECRET-PROFILE" * 20)
    assert b"SECRET-COMMENT" in content and thumbnail[-400:-200] in content
    copy = redacted(workshop, content, "image/jpeg")
    assert not any(part in copy for part in (b"SECRET", b"Exif", thumbnail[-400:-200], b"ICC_PROFILE", exif_bytes[8:60]))
    with Image.open(io.BytesIO(copy)) as opened:
        assert not opened.getexif() and "comment" not in opened.info and "icc_profile" not in opened.info
    text = io.BytesIO()
    from PIL.PngImagePlugin import PngInfo

    notes = PngInfo()
    notes.add_text("Comment", "SECRET-COMMENT")
    scene(640, 480).save(text, "PNG", pnginfo=notes)
    assert b"SECRET-COMMENT" in text.getvalue()
    assert b"SECRET" not in redacted(workshop, text.getvalue(), "image/png")


def test_a_transparent_picture_and_a_second_frame_leave_nothing_under_the_black(workshop: Workshop) -> None:
    layered = scene(640, 480).convert("RGBA")
    layered.putalpha(40)
    assert black(Image.open(io.BytesIO(redacted(workshop, encoded(layered, "PNG"), "image/png")))) == 0
    moving = encoded(scene(640, 480), "WEBP", save_all=True, append_images=[noise(640, 480)], lossless=True)
    with Image.open(io.BytesIO(redacted(workshop, moving, "image/webp"))) as copy:
        assert black(copy) <= 8 and getattr(copy, "n_frames", 1) == 1


def test_of_a_heic_and_a_page_of_a_pdf_too(workshop: Workshop) -> None:
    assert black(Image.open(io.BytesIO(redacted(workshop, heic(), "image/heic")))) <= 8
    page = Image.open(io.BytesIO(redacted(workshop, pdf(2), "application/pdf", page=2)))
    assert page.format == "PNG" and black(page) == 0
    with pytest.raises(BrokenFile):
        redacted(workshop, pdf(2), "application/pdf", page=3)


def test_every_frame_of_a_film_is_covered_and_its_sound_and_tags_are_gone(workshop: Workshop) -> None:
    content = talking()
    copy = redacted(workshop, content, "video/mp4")
    with av.open(io.BytesIO(content)) as before, av.open(io.BytesIO(copy)) as after:
        assert {one.type for one in before.streams} == {"video", "audio"}
        assert [one.type for one in after.streams] == ["video"]
        frames = [frame.to_image() for frame in after.decode(video=0)]
        assert len(frames) == sum(1 for _ in before.decode(video=0))
        assert after.metadata.keys() <= {"major_brand", "minor_version", "compatible_brands", "encoder"}
    assert b"SECRET" in content and b"SECRET" not in copy
    assert all(black(frame) <= 24 for frame in frames)


def talking() -> bytes:
    """A film with a sound track and a tag."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as made:
        made.metadata["comment"] = "SECRET-COMMENT"
        shown = made.add_stream("mpeg4", rate=10)
        shown.width, shown.height, shown.pix_fmt = 640, 480, "yuv420p"
        heard = made.add_stream("aac", rate=8000, layout="mono")
        for number in range(10):
            picture = av.VideoFrame.from_image(scene(640, 480))
            picture.pts = number
            made.mux(shown.encode(picture))
            tone = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            tone.planes[0].update(bytes(4096))
            tone.sample_rate, tone.pts = 8000, 1024 * number
            made.mux(heard.encode(tone))
        made.mux(shown.encode(None))
        made.mux(heard.encode(None))
    return out.getvalue()


def test_of_a_film_one_frame_may_be_taken(workshop: Workshop) -> None:
    still = redacted(workshop, film(size=(640, 480)), "video/mp4", at_ms=200)
    assert black(Image.open(io.BytesIO(still))) <= 8
    with pytest.raises(BrokenFile):
        redacted(workshop, film(size=(640, 480)), "video/mp4", at_ms=3_600_000)


@pytest.mark.parametrize("box", [(640, 0, 10, 10), (0, 480, 10, 10), (-1, 0, 10, 10), (5, 5, 0, 10), (5, 5, 10, -3)])
def test_a_box_outside_of_the_picture_is_refused_and_the_size_is_told(
    workshop: Workshop, box: tuple[int, int, int, int]
) -> None:
    with pytest.raises(BrokenFile, match="640×480"):
        redacted(workshop, encoded(scene(640, 480), "PNG"), "image/png", box)


def test_what_cannot_be_covered_is_refused(workshop: Workshop) -> None:
    for content, mime in ((sound(), "audio/mp4"), (os.urandom(5000), "image/jpeg"), (encoded(scene(64, 48), "PNG")[:500], "image/png")):
        with pytest.raises(BrokenFile):
            redacted(workshop, content, mime)
