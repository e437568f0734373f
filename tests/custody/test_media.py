"""What a file is and what it says about itself, by its headers alone; hostile and broken files included."""

import hashlib
import io
import struct
import time
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from custody.media import HEAD_BYTES, UNKNOWN, Metadata, Position, examine, identify, metadata
from custody.media.exif import read as read_exif
from custody.media.reading import MOST_BYTES
from tests.support.pictures import camera_exif, encoded, film, heic, hollow_png, jpeg, mp4, pdf, scene, sound

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

ALL = {
    "image/jpeg": jpeg(64, 48),
    "image/png": encoded(scene(64, 48), "PNG", exif=camera_exif()),
    "image/webp": encoded(scene(64, 48), "WEBP", exif=camera_exif()),
    "image/heic": heic(64, 48),
    "video/mp4": film(),
    "video/quicktime": film(form="mov", notes={"location": "+28.2281+112.9388/"}),
    "audio/mp4": sound(),
    "application/pdf": pdf(),
}


def mime_of(content: bytes) -> str:
    return identify(content[:HEAD_BYTES])


def said_by(content: bytes) -> Metadata:
    return examine(io.BytesIO(content))[1]


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
        (b"RIFF\x10\0\0\0WAVEfmt ", UNKNOWN),
        (b"<html><script>", UNKNOWN),
        (b"%!PS-Adobe-3.0 EPSF-3.0", UNKNOWN),
        (b"GIF89a", UNKNOWN),
        (b"MZ\x90", UNKNOWN),
    ],
)
def test_a_file_is_what_its_first_bytes_say(content: bytes, mime: str) -> None:
    assert mime_of(content) == mime


@pytest.mark.parametrize("mime", ALL)
def test_a_real_file_of_every_type_is_known(mime: str) -> None:
    assert examine(io.BytesIO(ALL[mime]))[0] == mime


def test_a_name_counts_for_nothing(tmp_path: pytest.TempPathFactory) -> None:
    film_called_photo = io.BytesIO(film())
    film_called_photo.name = "IMG_0001.jpg"  # type: ignore[attr-defined]
    assert examine(film_called_photo)[0] == "video/mp4"


def test_a_minor_brand_decides_where_the_major_one_is_unknown() -> None:
    assert identify(b"\0\0\0\x18ftypabcd\0\0\0\0mp42abcd") == "video/mp4"


@settings(deadline=None)
@given(st.binary(max_size=HEAD_BYTES))
@example(b"\0\0\0\x08ftyp")
@example(b"\xff\xff\xff\xffftypheic")
def test_any_bytes_at_all_have_an_answer(head: bytes) -> None:
    assert identify(head) in {*ALL, UNKNOWN}


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
    assert said_by(encoded(scene(64, 48), "PNG")) == Metadata(64, 48)


@pytest.mark.parametrize("mime", ["image/jpeg", "image/png", "image/webp", "image/heic"])
def test_every_picture_format_tells_time_place_camera_and_the_digest_of_its_exif(mime: str) -> None:
    said = said_by(ALL[mime])
    assert (said.width, said.height) == (64, 48)
    assert (said.taken, said.camera) == ("2026-11-22T12:30:45+08:00", "HUAWEI MatePad")
    assert said.position == Position(282281500, 1129388000, 450)
    block = camera_exif().tobytes().removeprefix(b"Exif\0\0")
    assert said.exif == hashlib.sha256(block).hexdigest()


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": camera_exif(6)}])
def test_every_kind_of_webp_tells_its_size(options: dict[str, object]) -> None:
    said = said_by(encoded(scene(70, 50), "WEBP", **options))
    assert {said.width, said.height} == {70, 50}
    assert said.orientation == (6 if options.get("exif") else None)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_read(orientation: int) -> None:
    said = said_by(jpeg(80, 60, orientation=orientation))
    assert said.orientation == orientation
    assert (said.width, said.height) == ((60, 80) if orientation > 4 else (80, 60))


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_orientation_that_does_not_exist_is_none(orientation: int) -> None:
    assert said_by(jpeg(80, 60, orientation=orientation)).orientation is None


def test_a_heic_is_turned_by_its_properties_and_not_by_its_exif() -> None:
    said = said_by(heic(64, 48, orientation=6))
    assert (said.width, said.height, said.orientation) == (64, 48, 1)


# ---- films and sound ---------------------------------------------------------------------------------------


def test_a_film_tells_when_it_was_begun_how_long_it_is_and_its_size() -> None:
    assert said_by(film(seconds=2)) == Metadata(128, 96, "2026-11-22T04:30:45+00:00", None, None, 1, 2000, None, False)


@pytest.mark.parametrize(
    ("rotate", "orientation", "size"), [(90, 6, (96, 128)), (180, 3, (128, 96)), (270, 8, (96, 128))]
)
def test_a_film_that_was_held_upright_is_as_high_as_it_is_seen(
    rotate: int, orientation: int, size: tuple[int, int]
) -> None:
    said = said_by(film(rotate=rotate))
    assert (said.width, said.height, said.orientation) == (*size, orientation)


def test_the_place_that_a_phone_writes_into_a_film_is_read() -> None:
    assert said_by(film(form="mov", notes={"location": "+28.2281-112.9388+055.2/"})).position == Position(
        282281000, -1129388000
    )


def test_the_keys_of_apple_tell_time_with_zone_place_with_accuracy_and_camera() -> None:
    notes = {
        "com.apple.quicktime.location.ISO6709": "+28.2281+112.9388+055.2/",
        "com.apple.quicktime.location.accuracy.horizontal": "4.5",
        "com.apple.quicktime.creationdate": "2026-11-22T12:30:45+0800",
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.model": "iPhone 17",
    }
    said = said_by(film(form="mov", notes=notes))
    assert (said.taken, said.camera) == ("2026-11-22T12:30:45+08:00", "Apple iPhone 17")
    assert said.position == Position(282281000, 1129388000, 450)


@pytest.mark.parametrize("written", ["+95.0+112.0/", "+0.0+0.0/", "28.2281,112.9388", "+1e9+1e9/", "+²+²/", ""])
def test_a_place_of_a_film_that_cannot_be_is_no_place(written: str) -> None:
    assert said_by(film(form="mov", notes={"location": written})).position is None


def test_sound_tells_its_length_and_is_sound_in_a_film_s_container_too() -> None:
    for form in ("ipod", "mp4"):
        mime, said = examine(io.BytesIO(sound(seconds=2, form=form)))
        assert mime == "audio/mp4"
        assert abs((said.duration_ms or 0) - 2000) < 150 and said.taken == "2026-11-22T04:30:45+00:00"


def test_a_film_without_an_index_says_nothing() -> None:
    assert metadata(io.BytesIO(mp4()), "video/mp4") == Metadata()


# ---- damage ------------------------------------------------------------------------------------------------


def test_damaged_exif_does_not_cost_the_size() -> None:
    content = jpeg()
    at = content.index(b"Exif\0\0")
    content = content[: at + 6] + b"\xee" * 40 + content[at + 46 :]
    assert said_by(content)[:3] == (800, 600, None)


def test_a_picture_bomb_tells_its_size_and_costs_nothing() -> None:
    assert said_by(hollow_png(20_000, 20_000))[:2] == (20_000, 20_000)


def test_exif_that_points_at_itself_ends() -> None:
    entries = [struct.pack("<HHII", tag, 4, 1, 8) for tag in (0x8769, 0x8825)]
    block = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries)
    assert read_exif(block).taken is None


def test_exif_that_promises_thousands_of_entries_and_values_is_bounded() -> None:
    block = b"II*\0" + struct.pack("<IH", 8, 65535) + struct.pack("<HHII", 0x9003, 2, 2**32 - 1, 0) * 6000
    started = time.monotonic()
    assert read_exif(block).taken is None
    assert time.monotonic() - started < 1


def test_boxes_in_boxes_and_chunks_without_end_are_bounded() -> None:
    nothing = struct.pack(">I4s", 8, b"free") * 100_000
    chunks = b"\x89PNG\r\n\x1a\n" + (struct.pack(">I4s", 0, b"tEXt") + bytes(4)) * 100_000
    marks = b"\xff\xd8" + b"\xff" * 300_000
    for content, mime in (
        (nothing, "video/mp4"),
        (nothing, "image/heic"),
        (chunks, "image/png"),
        (marks, "image/jpeg"),
    ):
        started = time.monotonic()
        metadata(io.BytesIO(content), mime)
        assert time.monotonic() - started < 2


class Counted(io.BytesIO):
    """Counts what is read of it."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        self.taken += len(piece)
        return piece


def test_a_large_file_is_not_read_for_its_headers() -> None:
    content = film()
    at = content.index(b"mdat") - 4
    (size,) = struct.unpack_from(">I", content, at)
    padded = content[:at] + struct.pack(">I", size + 30_000_000) + content[at + 4 : at + size]
    large = Counted(padded + bytes(30_000_000) + content[at + size :])
    assert metadata(large, "video/mp4").duration_ms == 1000
    assert large.taken < 100_000 < MOST_BYTES


SAMPLES = st.sampled_from(sorted(ALL))


@settings(deadline=None, max_examples=300)
@given(SAMPLES, st.integers(0, 10**6), st.binary(min_size=1, max_size=12), st.integers(0, 10**6))
def test_headers_damaged_anywhere_say_less_or_nothing(mime: str, at: int, damage: bytes, cut: int) -> None:
    content = ALL[mime]
    at %= len(content)
    content = content[:at] + damage + content[at + len(damage) :]
    if cut % 3 == 0:
        content = content[: cut % len(content)]
    check(metadata(io.BytesIO(content), mime))


@settings(deadline=None, max_examples=300)
@given(SAMPLES, st.binary(max_size=2000))
def test_rubbish_behind_a_good_beginning_says_little_and_raises_nothing(mime: str, rubbish: bytes) -> None:
    check(metadata(io.BytesIO(ALL[mime][:40] + rubbish), mime))


@settings(deadline=None, max_examples=300)
@given(st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b""]), st.binary(max_size=600))
@example(b"II*\0\x08\0\0\0", b"\x01\0\x25\x88\x04\0\x01\0\0\0\x08\0\0\0")
def test_any_exif_block_at_all_is_read(head: bytes, rest: bytes) -> None:
    said = read_exif(head + rest)
    assert said.digest == hashlib.sha256(head + rest).hexdigest()


def check(said: Metadata) -> None:
    """What is said has the shape that a record takes."""
    for number in (said.width, said.height, said.duration_ms):
        assert number is None or (type(number) is int and 0 < number < 2**53)
    assert said.orientation in {None, *range(1, 9)}
    if said.position is not None:
        lat, lon, acc = said.position
        assert abs(lat) <= 900_000_000 and abs(lon) <= 1_800_000_000 and (acc is None or acc > 0)
        assert not any(isinstance(part, Fraction) for part in said.position)
    assert said.taken is None or said.taken[10] == "T"
