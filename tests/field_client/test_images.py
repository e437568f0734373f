"""What a file is, what it says about itself, and its small pictures; hostile and broken files included."""

import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from field_client.platform import images
from field_client.platform.images import HEAD_BYTES, Position, identify, metadata, previews
from sync.core.errors import BrokenFile
from tests.support.pictures import BLUE, RED, camera_exif, encoded, hollow_png, jpeg, mp4, scene

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")

HEIC = images.READS_HEIC


def mime_of(content: bytes) -> str:
    return identify(content[:HEAD_BYTES])


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def made(content: bytes) -> images.Previews:
    both = previews(io.BytesIO(content), mime_of(content))
    assert both is not None
    return both


def near(pixel: object, colour: tuple[int, int, int]) -> bool:
    return isinstance(pixel, tuple) and all(abs(a - b) < 12 for a, b in zip(pixel, colour, strict=True))


# ---- what a file is ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "mime"),
    [
        (jpeg(), "image/jpeg"),
        (encoded(scene(64, 48), "PNG"), "image/png"),
        (encoded(scene(64, 48), "WEBP"), "image/webp"),
        (mp4(b"isom"), "video/mp4"),
        (mp4(b"mp42"), "video/mp4"),
        (mp4(b"M4A "), "audio/mp4"),
        (mp4(b"heic"), "image/heic"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"RIFF\x10\0\0\0WAVEfmt ", images.UNKNOWN),
        (b"<html><script>", images.UNKNOWN),
        (b"%!PS-Adobe-3.0 EPSF-3.0", images.UNKNOWN),
        (b"GIF89a", images.UNKNOWN),
        (b"MZ\x90", images.UNKNOWN),
    ],
)
def test_a_file_is_what_its_first_bytes_say(content: bytes, mime: str) -> None:
    assert mime_of(content) == mime


@pytest.mark.skipif(not HEIC, reason="needs pillow-heif")
def test_a_real_heic_is_known() -> None:
    assert mime_of(encoded(scene(64, 48), "HEIF")) == "image/heic"


def test_a_minor_brand_decides_where_the_major_one_is_unknown() -> None:
    assert identify(b"\0\0\0\x18ftypabcd\0\0\0\0mp42abcd") == "video/mp4"


@settings(deadline=None)
@given(st.binary(max_size=HEAD_BYTES))
@example(b"\0\0\0\x08ftyp")
@example(b"\xff\xff\xff\xffftypheic")
def test_any_bytes_at_all_have_an_answer(head: bytes) -> None:
    assert identify(head) in {*images.PICTURES, "video/mp4", "audio/mp4", "application/pdf", images.UNKNOWN}


# ---- what it says about itself -----------------------------------------------------------------------------


def test_time_place_camera_and_size_are_read_from_a_photo() -> None:
    said = metadata(io.BytesIO(jpeg(800, 600)), "image/jpeg")
    assert said.taken == "2026-11-22T12:30:45+08:00"
    assert said.position == Position(282281500, 1129388000, 450)
    assert (said.width, said.height, said.camera) == (800, 600, "HUAWEI MatePad")


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_the_size_of_a_photo_taken_upright_is_the_size_as_seen(orientation: int) -> None:
    said = metadata(io.BytesIO(jpeg(800, 600, orientation=orientation)), "image/jpeg")
    assert (said.width, said.height) == (600, 800)


def test_south_and_west_are_negative() -> None:
    exif = camera_exif()
    gps = exif.get_ifd(0x8825)
    gps[1], gps[3] = "S", "W"
    said = metadata(io.BytesIO(encoded(scene(8, 8), "JPEG", exif=exif)), "image/jpeg")
    assert said.position == Position(-282281500, -1129388000, 450)


@pytest.mark.parametrize(
    ("tag", "value"),
    [(2, (95.0, 0.0, 0.0)), (2, (28.0, 13.0)), (4, (181.0, 0.0, 0.0)), (2, (float("inf"), 0.0, 0.0))],
)
def test_a_place_that_cannot_be_is_no_place(tag: int, value: object) -> None:
    exif = camera_exif()
    exif.get_ifd(0x8825)[tag] = value
    said = metadata(io.BytesIO(encoded(scene(8, 8), "JPEG", exif=exif)), "image/jpeg")
    assert said.position is None and said.taken is not None


@pytest.mark.parametrize("written", ["0000:00:00 00:00:00", "2026:13:40 25:00:00", "yesterday", "    :  :     :  :  "])
def test_a_time_that_cannot_be_is_no_time(written: str) -> None:
    exif = camera_exif()
    exif.get_ifd(0x8769)[0x9003] = written
    assert metadata(io.BytesIO(encoded(scene(8, 8), "JPEG", exif=exif)), "image/jpeg").taken is None


def test_a_camera_without_a_zone_gives_a_local_time() -> None:
    exif = camera_exif()
    del exif.get_ifd(0x8769)[0x9011]
    said = metadata(io.BytesIO(encoded(scene(8, 8), "JPEG", exif=exif)), "image/jpeg")
    assert said.taken == "2026-11-22T12:30:45"


def test_a_screenshot_says_its_size_and_nothing_else() -> None:
    said = metadata(io.BytesIO(encoded(scene(64, 48), "PNG")), "image/png")
    assert said == images.Metadata(64, 48)


def test_a_video_says_nothing_and_has_no_picture() -> None:
    assert metadata(io.BytesIO(mp4()), "video/mp4") == images.Metadata()
    assert previews(io.BytesIO(mp4()), "video/mp4") is None


def test_damaged_exif_does_not_cost_the_picture() -> None:
    content = jpeg()
    at = content.index(b"Exif\0\0")
    content = content[: at + 6] + b"\xee" * 40 + content[at + 46 :]
    assert metadata(io.BytesIO(content), "image/jpeg").width == 800
    assert opened(made(content).thumbnail).size == (320, 240)


@settings(deadline=None)
@given(st.integers(0, 600), st.binary(min_size=1, max_size=8))
def test_exif_damaged_anywhere_says_less_or_nothing(at: int, damage: bytes) -> None:
    content = jpeg(64, 48)
    start = content.index(b"Exif\0\0") + 6
    length = min(600, content.index(b"\xff\xdb") - start)
    at = start + at % length
    content = content[:at] + damage + content[at + len(damage) :]
    said = metadata(io.BytesIO(content), "image/jpeg")
    assert {said.width, said.height} == {64, 48}


# ---- small pictures ----------------------------------------------------------------------------------------


def test_both_small_pictures_keep_the_shape_and_the_limits() -> None:
    both = made(jpeg(4000, 3000))
    assert opened(both.thumbnail).size == (320, 240)
    assert opened(both.preview).size == (1600, 1200)


def test_a_small_picture_is_never_enlarged() -> None:
    both = made(jpeg(200, 100))
    assert opened(both.thumbnail).size == opened(both.preview).size == (200, 100)


def test_a_panorama_keeps_at_least_one_pixel_of_height() -> None:
    assert opened(made(jpeg(6000, 8)).thumbnail).size == (320, 1)


@pytest.mark.parametrize(
    ("orientation", "size", "first"),
    [(1, (320, 240), RED), (2, (320, 240), BLUE), (3, (320, 240), BLUE), (6, (240, 320), RED), (8, (240, 320), BLUE)],
)
def test_a_turned_photo_is_shown_upright(orientation: int, size: tuple[int, int], first: tuple[int, int, int]) -> None:
    thumbnail = opened(made(jpeg(1600, 1200, orientation=orientation)).thumbnail)
    assert thumbnail.size == size
    assert near(thumbnail.getpixel((8, 8)), first)


def test_a_preview_carries_no_comment_no_exif_and_no_place() -> None:
    both = made(jpeg(1600, 1200, comment=b"<script>alert(1)</script>", icc_profile=b"\0" * 200))
    for content in both:
        assert b"script" not in content and b"Exif" not in content and b"ICC_PROFILE" not in content
        assert opened(content).getexif() == {}


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_print_colours_become_rgb(mode: str) -> None:
    assert opened(made(encoded(scene(400, 300, mode), "JPEG")).preview).mode == "RGB"


def test_a_transparent_stamp_lies_on_white() -> None:
    stamp = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    assert near(opened(made(encoded(stamp, "PNG")).preview).getpixel((50, 50)), (255, 255, 255))


def test_a_grey_scan_of_16_bits_keeps_its_shades() -> None:
    scan = Image.new("I;16", (60, 60), 128 * 256)
    assert near(opened(made(encoded(scan, "PNG")).preview).getpixel((30, 30)), (128, 128, 128))


@pytest.mark.parametrize("form", ["PNG", "WEBP", pytest.param("HEIF", marks=pytest.mark.skipif(not HEIC, reason=""))])
def test_other_formats_have_small_pictures_too(form: str) -> None:
    thumbnail = opened(made(encoded(scene(1000, 500), form)).thumbnail)
    assert thumbnail.size == (320, 160) and near(thumbnail.getpixel((8, 8)), RED)


# ---- broken and hostile files ------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [3, 20, 400, 0.5, 0.99])
def test_a_truncated_photo_is_broken(kept: float) -> None:
    whole = jpeg(1600, 1200)
    content = whole[: int(kept if kept > 1 else len(whole) * kept)]
    with pytest.raises(BrokenFile) as told:
        previews(io.BytesIO(content), "image/jpeg", "IMG_7.jpg")
    assert "IMG_7.jpg" in told.value.text()


def test_a_truncated_png_is_broken() -> None:
    content = encoded(scene(500, 500), "PNG")
    with pytest.raises(BrokenFile):
        previews(io.BytesIO(content[: len(content) // 2]), "image/png")


def test_no_bytes_at_all_are_broken() -> None:
    with pytest.raises(BrokenFile):
        metadata(io.BytesIO(b""), "image/jpeg")


@pytest.mark.parametrize(("width", "height"), [(10_000, 6_000), (9_400, 9_400), (20_000, 20_000)])
def test_more_than_fifty_million_pixels_are_refused_before_decoding(width: int, height: int) -> None:
    bomb = hollow_png(width, height)
    assert len(bomb) < 100_000
    for read in (metadata, previews):
        with pytest.raises(BrokenFile, match="50 million"):
            read(io.BytesIO(bomb), "image/png")


def test_a_photo_of_forty_eight_megapixels_is_no_bomb() -> None:
    assert opened(made(hollow_png(8000, 6000)).thumbnail).size == (320, 240)


def test_a_file_that_claims_to_be_another_format_is_not_tried_as_that() -> None:
    with pytest.raises(BrokenFile):
        previews(io.BytesIO(encoded(scene(8, 8), "PNG")), "image/jpeg")


@settings(deadline=None)
@given(st.binary(max_size=400), st.sampled_from(sorted(images.PICTURES)))
def test_rubbish_is_broken_and_nothing_worse(rubbish: bytes, mime: str) -> None:
    heads = {"image/jpeg": b"\xff\xd8\xff\xe0", "image/png": b"\x89PNG\r\n\x1a\n", "image/webp": b"RIFF\0\0\0\0WEBP"}
    with pytest.raises(BrokenFile):
        previews(io.BytesIO(heads.get(mime, b"\0\0\0\x18ftypheic") + rubbish), mime)
