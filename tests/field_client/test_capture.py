"""Evidence: hashed first, original bytes untouched, everything said in one transaction, nothing twice."""

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from field_client.evidence import capture as capturing
from field_client.evidence.capture import capture, strays
from field_client.exchange.uploads import ORIGINAL, PREVIEW, THUMBNAIL, VIDEO
from field_client.tablet import Tablet
from sync.core.errors import DiskFull, EmptyFile, InvalidField, NotFound, Refused
from tests.support.pictures import film, hollow_png, jpeg, pdf, sound
from tests.support.tablets import AREA, hazard, institution, tablet_in

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")


@pytest.fixture
def tablet(tmp_path: Path) -> Iterator[Tablet]:
    made = tablet_in(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "IMG_7.jpg"
    path.write_bytes(jpeg(2000, 1500, orientation=6))
    return path


def bytes_of(tablet: Tablet, sha256: str) -> bytes:
    with tablet.files.open(sha256) as original:
        return original.read()


def changes(tablet: Tablet) -> int:
    return tablet.store.queued()


def blobs(tablet: Tablet, record: str) -> dict[str, str]:
    """role → SHA-256 of what will be sent for a record."""
    return {blob.role: blob.sha256 for blob in tablet.store.uploads.all(record)}


# ---- a photo -----------------------------------------------------------------------------------------------


def test_the_original_is_kept_byte_for_byte_and_named_by_the_record(tablet: Tablet, photo: Path) -> None:
    record = hazard(tablet)
    made = capture(tablet, record, photo)
    assert bytes_of(tablet, made.sha256) == photo.read_bytes()
    named = tablet.values(record)[f"evidence/{made.evidence}"]
    assert (named["sha256"], named["size"], named["mime"]) == (made.sha256, photo.stat().st_size, "image/jpeg")
    assert made.sha256 == hashlib.sha256(photo.read_bytes()).hexdigest()


def test_the_evidence_record_holds_the_circumstances(tablet: Tablet, photo: Path) -> None:
    record = hazard(tablet)
    made = capture(tablet, record, photo, item="FIR-05", caption="二楼东侧", source="gallery")
    values = tablet.values(made.evidence)
    assert tablet.view(made.evidence).kind == "evidence"
    assert (values["subject"], values["subject_kind"], values["item"]) == (record, "hazard", "FIR-05")
    assert (values["source"], values["role"], values["area"]) == ("gallery", "original", AREA)
    assert values["taken_at"] == "2026-11-22T04:30:45.000Z"
    assert values["place"] == {"lat": 282281500, "lon": 1129388000, "acc": 450, "src": "exif"}
    assert (values["width"], values["height"]) == (1500, 2000)
    assert tablet.values(record)[f"captions/{made.evidence}"] == "二楼东侧"


def test_thumbnail_preview_and_original_are_blobs_that_wait_in_that_order(tablet: Tablet, photo: Path) -> None:
    record = hazard(tablet)
    made = capture(tablet, record, photo)
    waiting = tablet.store.waiting_blobs(VIDEO)
    assert [one.priority for one in waiting] == [THUMBNAIL, PREVIEW, ORIGINAL]
    roles = blobs(tablet, record)
    assert [one.sha256 for one in waiting] == [roles["thumbnail"], roles["preview"], roles["original"]]
    named = tablet.values(made.evidence)
    assert (named["thumbnail"], named["preview"]) == (roles["thumbnail"], roles["preview"])
    assert Image.open(io.BytesIO(bytes_of(tablet, roles["thumbnail"]))).size == (240, 320)
    assert Image.open(io.BytesIO(bytes_of(tablet, roles["preview"]))).size == (1200, 1600)


def test_a_video_waits_behind_everything_and_its_poster_goes_first(tablet: Tablet) -> None:
    record = hazard(tablet)
    made = capture(tablet, record, io.BytesIO(film(seconds=2, size=(640, 480))), name="MOV_1.mp4")
    assert made.mime == "video/mp4" and made.note is None
    assert [one.priority for one in tablet.store.waiting_blobs(VIDEO)] == [THUMBNAIL, PREVIEW, VIDEO]
    said = tablet.values(made.evidence)
    assert (said["duration_ms"], said["width"], said["height"]) == (2000, 640, 480)
    assert said["taken_at"] == "2026-11-22T04:30:45.000Z"


def test_sound_is_kept_with_its_length_and_has_no_picture(tablet: Tablet) -> None:
    made = capture(tablet, hazard(tablet), io.BytesIO(sound(seconds=3)), name="REC_1.m4a")
    assert made.mime == "audio/mp4" and made.note is None
    assert abs(tablet.values(made.evidence)["duration_ms"] - 3000) < 150


def test_a_document_has_its_first_page_as_a_picture_and_its_pages_counted(tablet: Tablet) -> None:
    record = hazard(tablet)
    made = capture(tablet, record, io.BytesIO(pdf(pages=3)), name="许可证.pdf")
    assert made.mime == "application/pdf" and made.note is None
    assert tablet.values(made.evidence)["pages"] == 3
    assert set(blobs(tablet, record)) == {"original", "thumbnail", "preview"}


def test_a_file_of_no_known_kind_is_kept_as_it_is(tablet: Tablet) -> None:
    record = hazard(tablet)
    made = capture(tablet, record, io.BytesIO(b"anything at all"))
    assert made.mime == "application/octet-stream"
    assert bytes_of(tablet, made.sha256) == b"anything at all"


def test_where_the_tablet_is_counts_more_than_what_the_picture_says(tablet: Tablet, photo: Path) -> None:
    place = {"lat": 281_000_000, "lon": 1_130_000_000, "src": "gnss"}
    made = capture(tablet, hazard(tablet), photo, place=place)
    assert tablet.values(made.evidence)["place"] == place


# ---- twice, and elsewhere ----------------------------------------------------------------------------------


def test_the_same_photo_again_in_a_record_is_told_and_writes_nothing(tablet: Tablet, photo: Path) -> None:
    record = hazard(tablet)
    first = capture(tablet, record, photo)
    before = changes(tablet)
    again = capture(tablet, record, photo, caption="again")
    assert (again.again, again.evidence) == (True, first.evidence)
    assert changes(tablet) == before and len(blobs(tablet, record)) == 3


def test_the_same_photo_in_another_record_is_evidence_there_and_stored_once(tablet: Tablet, photo: Path) -> None:
    first, second = hazard(tablet), hazard(tablet)
    capture(tablet, first, photo)
    made = capture(tablet, second, photo)
    assert not made.again and made.elsewhere == (first,)
    assert len(list(tablet.files.list())) == 3  # type: ignore[attr-defined]
    assert blobs(tablet, first) == blobs(tablet, second)


# ---- broken files ------------------------------------------------------------------------------------------


def test_a_broken_photo_is_evidence_all_the_same_with_a_note(tablet: Tablet) -> None:
    record = hazard(tablet)
    broken = jpeg(2000, 1500)[:20_000]
    made = capture(tablet, record, io.BytesIO(broken), item="FIR-05", name="IMG_9.jpg")
    assert bytes_of(tablet, made.sha256) == broken
    assert made.note is not None and "IMG_9.jpg" in made.note.zh
    (note,) = [value for path, value in tablet.values(record).items() if path.startswith("notes/")]
    assert "IMG_9.jpg" in note["text"] and note["item"] == "FIR-05"
    assert list(blobs(tablet, record)) == ["original"]


def test_a_picture_too_large_to_show_is_kept(tablet: Tablet) -> None:
    bomb = hollow_png(10_000, 6_000)
    made = capture(tablet, hazard(tablet), io.BytesIO(bomb), name="scan.png")
    assert made.note is not None and bytes_of(tablet, made.sha256) == bomb


def test_zero_bytes_are_refused_and_nothing_is_written(tablet: Tablet) -> None:
    record = hazard(tablet)
    before = changes(tablet)
    with pytest.raises(EmptyFile):
        capture(tablet, record, io.BytesIO(b""), name="IMG_0.jpg")
    assert changes(tablet) == before and strays(tablet) == []


# ---- what cannot be ----------------------------------------------------------------------------------------


def test_without_a_record_or_without_a_file_nothing_happens(tablet: Tablet, photo: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        capture(tablet, "nobody", photo)
    with pytest.raises(Refused):
        capture(tablet, hazard(tablet), tmp_path / "nothing.jpg")
    assert strays(tablet) == []


def test_a_kind_without_evidence_takes_none(tablet: Tablet, photo: Path) -> None:
    made = capture(tablet, institution(tablet), photo)
    with pytest.raises(Refused):
        capture(tablet, made.evidence, photo)


def test_a_disk_that_is_nearly_full_is_told_before_anything_is_written(
    tablet: Tablet, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = hazard(tablet)
    monkeypatch.setattr(capturing, "RESERVE_BYTES", 1 << 60)
    with pytest.raises(DiskFull):
        capture(tablet, record, photo)
    assert strays(tablet) == []


def test_what_is_refused_in_the_transaction_leaves_no_half_of_it(tablet: Tablet, photo: Path) -> None:
    record = hazard(tablet)
    before = changes(tablet)
    with pytest.raises(InvalidField):
        capture(tablet, record, photo, caption="长" * 500)
    assert changes(tablet) == before and blobs(tablet, record) == {}
    assert len(strays(tablet)) == 1  # the bytes are safe and can be found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a process that can be killed on the spot")
def test_a_program_killed_between_file_and_transaction_leaves_a_stray_that_is_found(
    tablet: Tablet, photo: Path, tmp_path: Path
) -> None:
    record = hazard(tablet)
    child = os.fork()
    if child == 0:  # the camera's program, killed at the worst moment
        mine = tablet_in(tmp_path / "home")
        mine.write = lambda *a, **k: os._exit(9)  # type: ignore[method-assign, assignment]
        capture(mine, record, photo)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert hashlib.sha256(photo.read_bytes()).hexdigest() in strays(tablet)
    capture(tablet, record, photo)
    assert strays(tablet) == []
