import hashlib
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from demo.photos import BYTES, SIZE, make_photos

START = datetime(2026, 5, 1, 7, 30, tzinfo=timezone(timedelta(hours=8)))
AROUND = (28_2345678, 112_9388123)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("photos")


@pytest.fixture(scope="module")
def photos(folder: Path) -> list[Path]:
    return make_photos(folder, 2, 7, AROUND, START)


def degrees(parts: tuple[float, float, float]) -> float:
    return float(parts[0]) + float(parts[1]) / 60 + float(parts[2]) / 3600


def test_photos_are_whole_12_megapixel_jpegs_of_2_to_5_mb(photos: list[Path]) -> None:
    for path in photos:
        assert BYTES[0] <= path.stat().st_size <= BYTES[1]
        with Image.open(path) as image:
            assert (image.format, image.size) == ("JPEG", SIZE)
            image.load()


def test_no_two_photos_have_the_same_bytes(photos: list[Path]) -> None:
    assert len({hashlib.sha256(path.read_bytes()).digest() for path in photos}) == len(photos) == 2


def test_exif_says_when_and_with_what_a_photo_was_taken(photos: list[Path]) -> None:
    with Image.open(photos[0]) as image:
        exif = image.getexif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    assert details[ExifTags.Base.DateTimeOriginal] == "2026:05:01 07:30:00"
    assert details[ExifTags.Base.OffsetTimeOriginal] == "+08:00"
    assert exif[ExifTags.Base.Make]
    assert exif[ExifTags.Base.Model]
    assert exif[ExifTags.Base.Orientation] in (1, 6)


def test_exif_says_where_and_in_utc_when_the_position_was_fixed(photos: list[Path]) -> None:
    with Image.open(photos[0]) as image:
        gps = image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
    assert degrees(gps[ExifTags.GPS.GPSLatitude]) == pytest.approx(AROUND[0] / 1e7, abs=0.0003)
    assert degrees(gps[ExifTags.GPS.GPSLongitude]) == pytest.approx(AROUND[1] / 1e7, abs=0.0003)
    assert gps[ExifTags.GPS.GPSDateStamp] == "2026:04:30"
    assert [int(part) for part in gps[ExifTags.GPS.GPSTimeStamp]] == [23, 30, 0]


def test_a_photo_that_is_there_is_not_made_again(folder: Path, photos: list[Path]) -> None:
    before = [path.stat().st_mtime_ns for path in photos]
    assert make_photos(folder, 2, 7, AROUND, START) == photos
    assert [path.stat().st_mtime_ns for path in photos] == before
    assert sorted(folder.iterdir()) == sorted(photos)


def test_a_start_without_a_time_zone_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="time zone"):
        make_photos(folder, 1, 7, AROUND, START.astimezone(UTC).replace(tzinfo=None))
