"""A photo that is like an earlier one: the person is told which, is asked why, and is never held up."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from custody.likeness import Print, look
from field_client.evidence import likeness
from field_client.evidence.capture import Captured, capture
from field_client.tablet import Tablet
from sync.core.errors import InvalidField
from tests.support.photographs import NAMES, compressed, cropped, photograph
from tests.support.tablets import AREA, hazard, institution, tablet_in

VISIT = {"name": "学雅口才培训中心", "area": AREA, "mode": "patrol", "started_at": "2026-11-22T02:00:00.000Z"}


@pytest.fixture
def tablet(tmp_path: Path) -> Iterator[Tablet]:
    opened = tablet_in(tmp_path)
    yield opened
    opened.close()


def visit(tablet: Tablet, place: str) -> str:
    return tablet.write("inspection", None, {**VISIT, "institution": place}).record


def taken(tablet: Tablet, record: str, content: bytes, **more: str) -> Captured:
    return capture(tablet, record, io.BytesIO(content), watermark=False, **more)  # type: ignore[arg-type]


def test_a_crop_of_an_earlier_photo_of_the_week_is_named_with_when_and_where(tablet: Tablet) -> None:
    first = visit(tablet, institution(tablet, "学雅口才培训中心"))
    second = visit(tablet, institution(tablet, "启航美术"))
    for name in NAMES:
        made = taken(tablet, first, compressed(photograph(name), 90))
        assert made.similar == ()
        if name == NAMES[2]:
            original = made.evidence
    (told,) = taken(tablet, second, compressed(cropped(photograph(NAMES[2])), 60)).similar
    assert (told.evidence, told.institution, told.subject, told.alike.sort) == (
        original,
        "学雅口才培训中心",
        first,
        "part",
    )
    assert told.captured_at


def test_a_photo_of_another_institution_is_named_for_a_week_and_of_the_same_one_for_good(
    tablet: Tablet, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = institution(tablet, "学雅口才培训中心"), institution(tablet, "启航美术")
    picture = photograph(NAMES[0])
    taken(tablet, visit(tablet, here), compressed(picture, 90))
    later = time.time() + 8 * 86_400
    monkeypatch.setattr(likeness, "moment", lambda _: time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(later)))
    assert taken(tablet, visit(tablet, there), compressed(picture, 70)).similar == ()
    assert len(taken(tablet, visit(tablet, here), compressed(picture, 50)).similar) == 1


def test_before_and_after_that_look_the_same_are_said_to_be_so(tablet: Tablet) -> None:
    record = hazard(tablet)
    taken(tablet, record, compressed(photograph(NAMES[1]), 90), stage="before")
    (told,) = taken(tablet, record, compressed(photograph(NAMES[1]), 60), stage="after").similar
    assert told.repeated


def test_the_fingerprint_is_on_the_record_and_the_watermarked_copy_is_no_photo_of_its_own(tablet: Tablet) -> None:
    record = visit(tablet, institution(tablet))
    made = capture(tablet, record, io.BytesIO(compressed(photograph(NAMES[0]), 90)))
    assert made.watermark is not None and made.similar == ()
    held = Print.load(bytes.fromhex(tablet.values(made.evidence)["fingerprint"]))
    assert held.shape == look(photograph(NAMES[0])).shape
    shelf = likeness.Shelf(tablet.store.database)
    shelf.catch_up(tablet)
    assert set(shelf.prints([made.evidence, made.watermark])) == {made.evidence}


def test_the_reason_is_kept_beside_what_is_repeated_and_other_needs_words(tablet: Tablet) -> None:
    record = visit(tablet, institution(tablet))
    first = taken(tablet, record, compressed(photograph(NAMES[0]), 90)).evidence
    second = taken(tablet, record, compressed(photograph(NAMES[0]), 50)).evidence
    with pytest.raises(InvalidField):
        likeness.explain(tablet, second, first, "other")
    likeness.explain(tablet, second, first, "same-scene", "第二名执法人员同时拍摄")
    values = tablet.values(second)
    assert (values["repeats"], values["repeat_reason"]) == (first, "same-scene")


def test_a_photo_that_was_deleted_is_not_named(tablet: Tablet) -> None:
    record = visit(tablet, institution(tablet))
    first = taken(tablet, record, compressed(photograph(NAMES[0]), 90)).evidence
    tablet.delete(first, "误拍")
    assert taken(tablet, record, compressed(photograph(NAMES[0]), 50)).similar == ()


def test_a_fingerprint_from_elsewhere_that_is_none_is_left_alone(tablet: Tablet) -> None:
    record = visit(tablet, institution(tablet))
    first = taken(tablet, record, compressed(photograph(NAMES[0]), 90)).evidence
    tablet.write("evidence", first, {"fingerprint": "31ff"})
    assert taken(tablet, record, compressed(photograph(NAMES[1]), 50)).similar == ()
