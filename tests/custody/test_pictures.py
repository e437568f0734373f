"""Pictures of files, made by a worker that is bound; hostile and broken files included."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from custody.media import HEAD_BYTES, PICTURES, identify
from custody.pictures import limits
from custody.pictures.orders import Made, Order
from custody.pictures.workshop import Workshop
from sync.core.errors import BrokenFile
from tests.support.pictures import BLUE, RED, encoded, film, heic, hollow_png, jpeg, pdf, scene, sound

SHOP = Workshop()
SIZES = {"thumbnail": (320, 320), "preview": (1600, 1600)}


def mime_of(content: bytes) -> str:
    return identify(content[:HEAD_BYTES])


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def previews(content: bytes, mime: str = "", name: str = "") -> Made:
    return SHOP.make(io.BytesIO(content), Order(mime or mime_of(content), SIZES), name)


def thumbnail(content: bytes) -> Image.Image:
    return opened(previews(content).files["thumbnail"])


def preview(content: bytes) -> Image.Image:
    return opened(previews(content).files["preview"])


def near(pixel: object, colour: tuple[int, int, int]) -> bool:
    return isinstance(pixel, tuple) and all(abs(a - b) < 12 for a, b in zip(pixel, colour, strict=True))


# ---- small pictures ----------------------------------------------------------------------------------------


def test_both_small_pictures_keep_the_shape_and_the_limits() -> None:
    both = previews(jpeg(4000, 3000))
    assert opened(both.files["thumbnail"]).size == (320, 240)
    assert opened(both.files["preview"]).size == (1600, 1200)
    assert (both.width, both.height) == (4000, 3000)


def test_a_small_picture_is_never_enlarged() -> None:
    assert thumbnail(jpeg(200, 100)).size == preview(jpeg(200, 100)).size == (200, 100)


def test_a_panorama_keeps_at_least_one_pixel_of_height() -> None:
    assert thumbnail(jpeg(6000, 8)).size == (320, 1)


@pytest.mark.parametrize(
    ("orientation", "corners"),
    [
        (1, (RED, BLUE, RED, BLUE)),
        (2, (BLUE, RED, BLUE, RED)),
        (3, (BLUE, RED, BLUE, RED)),
        (4, (RED, BLUE, RED, BLUE)),
        (5, (RED, RED, BLUE, BLUE)),
        (6, (RED, RED, BLUE, BLUE)),
        (7, (BLUE, BLUE, RED, RED)),
        (8, (BLUE, BLUE, RED, RED)),
    ],
)
def test_a_turned_photo_is_shown_upright(orientation: int, corners: tuple[tuple[int, int, int], ...]) -> None:
    made = previews(jpeg(1600, 1200, orientation=orientation))
    shown = opened(made.files["thumbnail"])
    assert shown.size == ((240, 320) if orientation > 4 else (320, 240))
    assert (made.width, made.height) == ((1200, 1600) if orientation > 4 else (1600, 1200))
    right, bottom = shown.width - 9, shown.height - 9
    places = ((8, 8), (right, 8), (8, bottom), (right, bottom))
    assert all(near(shown.getpixel(at), colour) for at, colour in zip(places, corners, strict=True))


def test_a_derivative_carries_no_comment_no_exif_and_no_place() -> None:
    made = previews(jpeg(1600, 1200, comment=b"<script>alert(1)</script>", icc_profile=b"\0" * 200))
    for content in made.files.values():
        assert b"script" not in content and b"Exif" not in content and b"ICC_PROFILE" not in content
        assert opened(content).getexif() == {}


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_print_colours_become_rgb(mode: str) -> None:
    assert preview(encoded(scene(400, 300, mode), "JPEG")).mode == "RGB"


def test_a_transparent_stamp_lies_on_white() -> None:
    stamp = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    assert near(preview(encoded(stamp, "PNG")).getpixel((50, 50)), (255, 255, 255))


def test_a_grey_scan_of_16_bits_keeps_its_shades() -> None:
    scan = Image.new("I;16", (60, 60), 128 * 256)
    assert near(preview(encoded(scan, "PNG")).getpixel((30, 30)), (128, 128, 128))


@pytest.mark.parametrize(
    "content", [encoded(scene(1000, 500), "PNG"), encoded(scene(1000, 500), "WEBP"), heic(1000, 500)]
)
def test_other_formats_have_small_pictures_too(content: bytes) -> None:
    shown = thumbnail(content)
    assert shown.size == (320, 160) and near(shown.getpixel((8, 8)), RED)


@pytest.mark.parametrize("form", ["mp4", "mov"])
def test_the_poster_of_a_film_is_a_frame_that_shows_something(form: str) -> None:
    shown = thumbnail(film(form=form))
    assert shown.size == (128, 96)
    assert near(shown.getpixel((8, 8)), RED) and near(shown.getpixel((120, 8)), BLUE)


def test_a_film_that_was_held_upright_has_an_upright_poster() -> None:
    shown = thumbnail(film(rotate=90))
    assert shown.size == (96, 128)
    assert near(shown.getpixel((48, 8)), RED) and near(shown.getpixel((48, 120)), BLUE)


def test_a_document_shows_its_first_page_and_how_many_there_are() -> None:
    made = previews(pdf(pages=5))
    assert made.pages == 5
    shown = opened(made.files["thumbnail"])
    assert max(shown.size) == 320
    assert near(shown.getpixel((100, 20)), RED) and near(shown.getpixel((100, 300)), (255, 255, 255))


def test_the_same_file_makes_the_same_bytes() -> None:
    assert previews(jpeg(2000, 1500)) == previews(jpeg(2000, 1500))


# ---- broken and hostile files ------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [3, 20, 400, 0.5, 0.99])
def test_a_truncated_photo_is_broken(kept: float) -> None:
    whole = jpeg(1600, 1200)
    content = whole[: int(kept if kept > 1 else len(whole) * kept)]
    with pytest.raises(BrokenFile) as told:
        previews(content, "image/jpeg", "IMG_7.jpg")
    assert "IMG_7.jpg" in told.value.text()


@pytest.mark.parametrize("content", [encoded(scene(500, 500), "PNG"), heic(500, 500), film(), pdf()])
def test_what_is_cut_in_half_is_broken_or_shown_and_nothing_worse(content: bytes) -> None:
    with contextlib.suppress(BrokenFile):
        previews(content[: len(content) // 2])
    assert thumbnail(jpeg(64, 48)).size == (64, 48)  # the next one finds the workshop in order


@pytest.mark.parametrize("mime", [*PICTURES, "video/mp4", "application/pdf"])
def test_no_bytes_at_all_are_broken(mime: str) -> None:
    with pytest.raises(BrokenFile):
        previews(b"", mime)


def test_a_photo_of_forty_eight_megapixels_is_no_bomb() -> None:
    assert thumbnail(hollow_png(8000, 6000)).size == (320, 240)


@pytest.mark.parametrize("mime", ["application/postscript", "image/gif", "text/html", "application/octet-stream"])
def test_other_types_are_not_tried_at_all(mime: str) -> None:
    with pytest.raises(BrokenFile):
        previews(encoded(scene(8, 8), "PNG"), mime)


def test_a_film_that_calls_itself_a_photo_is_neither() -> None:
    with pytest.raises(BrokenFile):
        previews(film(), "image/jpeg")
    assert mime_of(film()) == "video/mp4"  # and by its first bytes, whatever its name


def test_a_list_of_files_that_calls_itself_a_film_opens_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret.mp4").write_bytes(film())
    lists = [
        f"ffconcat version 1.0\nfile '{tmp_path}/secret.mp4'\n".encode(),
        f"#EXTM3U\n#EXTINF:1,\nfile://{tmp_path}/secret.mp4\n".encode(),
    ]
    for content in lists:
        with pytest.raises(BrokenFile):
            previews(content, "video/mp4")


def test_sound_has_no_picture_even_where_it_calls_itself_a_film() -> None:
    with pytest.raises(BrokenFile):
        previews(sound(), "video/mp4")


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=400), st.sampled_from([*sorted(PICTURES), "video/mp4", "application/pdf"]))
def test_rubbish_is_broken_and_nothing_worse(rubbish: bytes, mime: str) -> None:
    heads = {
        "image/jpeg": b"\xff\xd8\xff\xe0",
        "image/png": b"\x89PNG\r\n\x1a\n",
        "image/webp": b"RIFF\0\0\0\0WEBP",
        "application/pdf": b"%PDF-1.7\n",
    }
    with pytest.raises(BrokenFile):
        previews(heads.get(mime, b"\0\0\0\x18ftypheic") + rubbish, mime)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([jpeg(64, 48), heic(64, 48), film(), pdf()]),
    st.integers(0, 10**6),
    st.binary(min_size=1, max_size=9),
)
def test_a_file_damaged_anywhere_is_shown_or_broken_and_nothing_worse(content: bytes, at: int, damage: bytes) -> None:
    at %= len(content)
    damaged = content[:at] + damage + content[at + len(damage) :]
    try:
        made = previews(damaged, mime_of(content))
    except BrokenFile:
        return
    assert made.files.keys() == SIZES.keys()


# ---- the worker is bound -----------------------------------------------------------------------------------


def worker_of(shop: Workshop) -> int:
    assert shop._worker is not None
    return shop._worker._process.pid


@pytest.mark.skipif(not limits.BOUNDED, reason="this system cannot bound a process")
def test_the_worker_has_little_memory_time_and_no_file_to_write() -> None:
    previews(jpeg())
    told = Path(f"/proc/{worker_of(SHOP)}/limits").read_text()
    bound = {line[:25].strip(): line[25:].split() for line in told.splitlines()[1:]}
    assert bound["Max address space"][:2] == [str(limits.MEMORY_BYTES)] * 2
    assert bound["Max file size"][:2] == ["0", "0"] and bound["Max core file size"][:2] == ["0", "0"]
    assert int(bound["Max cpu time"][0]) < 600


@pytest.mark.skipif(not limits.BOUNDED, reason="this system cannot bound a process")
def test_memory_is_refused_above_the_bound_and_processor_time_ends() -> None:
    greedy = "from custody.pictures import limits; limits.bind(); print(len(bytes(2 << 30)))"
    done = subprocess.run([sys.executable, "-c", greedy], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "MemoryError" in done.stderr
    endless = (
        "from custody.pictures import limits; limits.CPU_S = 0; limits.bind(); limits.allow_one_job()\nwhile True: pass"
    )
    done = subprocess.run([sys.executable, "-c", endless], capture_output=True, timeout=30, check=False)
    assert done.returncode == -signal.SIGXCPU


def test_the_worker_is_given_no_environment_and_no_file_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATROLBOOK_PIN", "135790")
    shop = Workshop()
    shop.make(io.BytesIO(jpeg()), Order("image/jpeg", SIZES))
    process = Path(f"/proc/{worker_of(shop)}")
    if process.exists():
        assert b"135790" not in (process / "environ").read_bytes()
        assert all("sock" not in os.readlink(one) for one in (process / "fd").iterdir())
    shop.close()


def test_one_worker_serves_many_files_and_a_new_one_comes_when_it_has_died() -> None:
    shop = Workshop()
    shop.make(io.BytesIO(jpeg()), Order("image/jpeg", SIZES))
    first = worker_of(shop)
    shop.make(io.BytesIO(jpeg()), Order("image/jpeg", SIZES))
    assert worker_of(shop) == first
    os.kill(first, 9)
    assert shop.make(io.BytesIO(jpeg()), Order("image/jpeg", SIZES)).files
    assert worker_of(shop) != first
    shop.close()


def test_a_worker_for_one_file_is_gone_after_it() -> None:
    shop = Workshop(jobs_each=1)
    shop.make(io.BytesIO(jpeg()), Order("image/jpeg", SIZES))
    assert shop._worker is None


class Dawdling(io.BytesIO):
    """A file whose bytes take their time, as a decoder would that never ends."""

    def read(self, size: int | None = -1) -> bytes:
        time.sleep(0.7)
        return super().read(size)


def test_what_takes_too_long_is_ended_and_told() -> None:
    shop = Workshop(wait_s=0.5)
    with pytest.raises(BrokenFile, match="too long"):
        shop.make(Dawdling(jpeg()), Order("image/jpeg", SIZES), "IMG_1.jpg")
    assert shop._worker is None
    shop.wait_s = 20.0
    assert shop.make(io.BytesIO(jpeg()), Order("image/jpeg", SIZES)).files
    shop.close()


class Unreadable(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise BrokenFile(file="x", detail="the copy is damaged")


def test_an_original_that_cannot_be_read_is_told_as_such_and_the_next_one_works() -> None:
    with pytest.raises(BrokenFile, match="the copy is damaged"):
        SHOP.make(Unreadable(jpeg()), Order("image/jpeg", SIZES))
    assert thumbnail(jpeg(64, 48)).size == (64, 48)
