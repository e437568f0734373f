"""What is made of evidence after it was saved: once, later where need be, and never in the way of saving."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from PIL import Image

from custody import codes
from custody.digests import digests_of, sm3_of
from custody.pictures.orders import Made, Order
from field_client.evidence import derivatives
from field_client.evidence.capture import Captured, capture, strays
from field_client.tablet import Tablet
from field_client.work import inspecting
from sync.core.errors import BrokenFile, NotReady
from tests.support.pictures import jpeg, sound
from tests.support.tablets import AREA, hazard, institution, tablet_in

PHOTO = jpeg(2400, 1800, orientation=6)


@pytest.fixture
def tablet(tmp_path: Path) -> Iterator[Tablet]:
    made = tablet_in(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def inspection(tablet: Tablet) -> str:
    officers = [
        tablet.write("officer", None, {"name": name, "certificate_number": number, "area": AREA}).record
        for name, number in (("罗雨", "43010200123"), ("王䶮", "43010200124"))
    ]
    at = institution(tablet, address="麓山南路 932 号")
    return inspecting.start(tablet, at, "enforcement", officers)


def bytes_of(tablet: Tablet, sha256: str) -> bytes:
    with tablet.files.open(sha256) as original:
        return original.read()


class Broken:
    """Pictures on a device where the decoder breaks off."""

    def __init__(self) -> None:
        self.asked = 0

    def make(self, stream: BinaryIO, order: Order, name: str = "") -> Made:
        self.asked += 1
        raise BrokenFile(file=name, detail="the decoder broke off")

    def warm(self) -> None: ...


# ---- saved first -------------------------------------------------------------------------------------------


def test_saved_is_said_before_any_picture_is_made(tablet: Tablet, inspection: str) -> None:
    seen: list[dict[str, Any]] = []

    def saved(made: Captured) -> None:
        seen.append(tablet.values(made.evidence))
        assert bytes_of(tablet, made.sha256) == PHOTO
        assert f"evidence/{made.evidence}" in tablet.values(inspection)

    made = capture(tablet, inspection, io.BytesIO(PHOTO), saved=saved)
    assert len(seen) == 1 and "thumbnail" not in seen[0]
    assert "thumbnail" in tablet.values(made.evidence)


def test_the_record_holds_digests_that_others_compute_too(tablet: Tablet, inspection: str) -> None:
    made = capture(tablet, inspection, io.BytesIO(PHOTO))
    derivatives.catch_up(tablet)
    values = tablet.values(made.evidence)
    assert values["sha256"] == hashlib.sha256(PHOTO).hexdigest()
    assert values["tree"] == digests_of(io.BytesIO(PHOTO)).tree
    assert values["sm3"] == sm3_of(io.BytesIO(PHOTO))
    assert values["code"] == codes.code_of(values["sha256"], made.evidence)
    assert (values["orientation"], values["width"], values["height"]) == (6, 1800, 2400)


def test_a_decoder_that_breaks_off_costs_the_pictures_and_nothing_else(tablet: Tablet, inspection: str) -> None:
    broken = Broken()
    good = tablet.platform
    tablet.platform = good._replace(pictures=broken)
    made = capture(tablet, inspection, io.BytesIO(PHOTO), name="IMG_7.jpg")
    assert made.note is not None and bytes_of(tablet, made.sha256) == PHOTO
    assert "thumbnail" not in tablet.values(made.evidence)
    tablet.platform = good
    assert derivatives.catch_up(tablet) == 1
    assert "thumbnail" in tablet.values(made.evidence) and "sm3" in tablet.values(made.evidence)
    assert derivatives.watermark_of(tablet, made.evidence) is not None


def test_what_three_tries_could_not_draw_is_left_alone(tablet: Tablet, inspection: str) -> None:
    broken = Broken()
    tablet.platform = tablet.platform._replace(pictures=broken)
    capture(tablet, inspection, io.BytesIO(PHOTO))
    for _ in range(5):
        derivatives.catch_up(tablet)
    assert broken.asked == 3 and tablet.store.chores.owing() == []
    notes = [path for path in tablet.values(inspection) if path.startswith("notes/")]
    assert len(notes) == 1  # and it is said once


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a process that can be killed on the spot")
@pytest.mark.parametrize("moment", ["before the pictures", "before they are recorded"])
def test_a_program_killed_after_saving_leaves_the_rest_to_the_next(
    tablet: Tablet, inspection: str, tmp_path: Path, moment: str
) -> None:
    child = os.fork()
    if child == 0:
        mine = tablet_in(tmp_path / "home")
        if moment == "before the pictures":
            capture(mine, inspection, io.BytesIO(PHOTO), saved=lambda made: os._exit(9))
        derivatives._small = lambda *a: os._exit(9)  # type: ignore[assignment, return-value]
        capture(mine, inspection, io.BytesIO(PHOTO))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    (evidence,) = [path.partition("/")[2] for path in tablet.values(inspection) if path.startswith("evidence/")]
    assert "thumbnail" not in tablet.values(evidence)
    assert derivatives.catch_up(tablet) == 1
    values = tablet.values(evidence)
    assert {"thumbnail", "preview", "sm3"} <= values.keys()
    assert derivatives.watermark_of(tablet, evidence) is not None
    assert strays(tablet) == []  # what was already drawn is what is drawn again


def test_doing_it_again_changes_nothing(tablet: Tablet, inspection: str) -> None:
    capture(tablet, inspection, io.BytesIO(PHOTO))
    derivatives.catch_up(tablet)
    before = tablet.store.queued()
    assert derivatives.catch_up(tablet) == 0
    assert tablet.store.queued() == before


def test_two_programs_that_do_the_same_chore_make_one_copy(tablet: Tablet, inspection: str, tmp_path: Path) -> None:
    good = tablet.platform
    tablet.platform = good._replace(pictures=Broken())
    made = capture(tablet, inspection, io.BytesIO(PHOTO))
    other = tablet_in(tmp_path / "home")
    assert good.pictures is not None

    class Overtaken:
        """While this one draws, the other program does everything."""

        def make(self, stream: BinaryIO, order: Order, name: str = "") -> Made:
            assert good.pictures is not None
            drawn = good.pictures.make(stream, order, name)
            derivatives.catch_up(other)
            return drawn

        def warm(self) -> None: ...

    tablet.platform = good._replace(pictures=Overtaken())
    derivatives.catch_up(tablet)
    copies = [one for one in tablet.browse("evidence") if made.evidence in one.live.get("original", {}).values()]
    assert len(copies) == 1 and tablet.conflicts() == []
    other.close()


def test_a_chore_without_bytes_is_struck_off(tablet: Tablet, inspection: str) -> None:
    tablet.platform = tablet.platform._replace(pictures=Broken())
    made = capture(tablet, inspection, io.BytesIO(PHOTO))
    tablet.files.delete(made.sha256)  # type: ignore[attr-defined]
    derivatives.catch_up(tablet)
    assert tablet.store.chores.owing() == []


def test_a_device_without_a_decoder_captures_all_the_same(tablet: Tablet, inspection: str) -> None:
    tablet.platform = tablet.platform._replace(pictures=None)
    made = capture(tablet, inspection, io.BytesIO(PHOTO))
    assert made.note is None
    derivatives.catch_up(tablet)
    assert "sm3" in tablet.values(made.evidence) and tablet.store.chores.owing() == []


def test_an_inspection_is_handed_in_with_every_digest(tablet: Tablet, inspection: str) -> None:
    made = capture(tablet, inspection, io.BytesIO(PHOTO))
    assert "sm3" not in tablet.values(made.evidence)
    with pytest.raises(NotReady):
        inspecting.submit(tablet, inspection)
    inspecting._finish_evidence(tablet, inspection)
    assert "sm3" in tablet.values(made.evidence)


# ---- the watermarked copy ----------------------------------------------------------------------------------


def test_a_photo_of_an_inspection_gets_a_copy_that_is_evidence_of_its_own(tablet: Tablet, inspection: str) -> None:
    made = capture(tablet, inspection, io.BytesIO(PHOTO), item="FIR-05")
    assert made.watermark is not None
    copy, original = tablet.values(made.watermark), tablet.values(made.evidence)
    assert (copy["role"], copy["operation"], copy["original"]) == ("derived", "watermark", made.evidence)
    assert (copy["subject"], copy["item"], copy["area"]) == (inspection, "FIR-05", original["area"])
    content = bytes_of(tablet, copy["sha256"])
    assert (copy["size"], copy["tree"]) == (len(content), digests_of(io.BytesIO(content)).tree)
    assert Image.open(io.BytesIO(content)).size == (1500, 2000)
    assert copy["tool"].startswith("patrolbook ") and "Pillow" in copy["tool"]
    assert {blob.sha256 for blob in tablet.store.uploads.all(inspection)} >= {copy["sha256"]}
    assert bytes_of(tablet, made.sha256) == PHOTO


def test_the_copy_says_when_where_at_whom_by_whom_and_its_code(tablet: Tablet, inspection: str) -> None:
    made = capture(tablet, inspection, io.BytesIO(PHOTO))
    assert made.watermark is not None
    told = tablet.values(made.watermark)["parameters"]
    lines = dict(told["lines"])
    assert lines["拍摄时间"] == "2026-11-22 12:30:45"
    assert lines["地点"] == "麓山南路 932 号 28.22815°N 112.93880°E ±4.5 米（照片自带）"
    assert lines["机构"] == "学雅口才培训中心"
    assert lines["人员"] == "罗雨 43010200123、王䶮 43010200124"
    assert told["code"] == codes.printed(codes.code_of(made.sha256, made.evidence))
    assert told["original_sha256"] == made.sha256


def test_the_copy_is_not_one_more_photo_of_the_inspection(tablet: Tablet, inspection: str) -> None:
    capture(tablet, inspection, io.BytesIO(PHOTO))
    assert len([path for path in tablet.values(inspection) if path.startswith("evidence/")]) == 1


def test_no_copy_where_none_is_wanted_and_none_of_what_is_no_photo(tablet: Tablet, inspection: str) -> None:
    assert capture(tablet, inspection, io.BytesIO(PHOTO), watermark=False).watermark is None
    assert capture(tablet, inspection, io.BytesIO(sound())).watermark is None
    assert capture(tablet, hazard(tablet), io.BytesIO(jpeg())).watermark is None
    assert capture(tablet, hazard(tablet), io.BytesIO(jpeg(900, 700)), watermark=True).watermark is not None


def test_small_pictures_do_not_touch_what_is_signed(tablet: Tablet, inspection: str) -> None:
    tablet.platform, good = tablet.platform._replace(pictures=Broken()), tablet.platform
    capture(tablet, inspection, io.BytesIO(PHOTO))
    before = inspecting.content_of(tablet, inspection)
    tablet.platform = good
    derivatives.catch_up(tablet)
    assert inspecting.content_of(tablet, inspection) == before
