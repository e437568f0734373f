"""Scanning on the screens, over real HTTP: officers by their cards, and two tablets that note each other's chain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from field_client.tablet import Tablet
from field_client.work import anchoring, inspecting
from schemas.cards import card_text
from tests.support.codes import picture
from tests.support.pictures import jpeg
from tests.support.screens import Screen, field, shown
from tests.support.tablets import institution, tablet_in

JSON = {"Accept": "application/json"}


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    with shown(tmp_path_factory.mktemp("home")) as screen:
        yield screen.open().practise()


@pytest.fixture
def tablet(ui: Screen) -> Iterator[Tablet]:
    assert ui.seats is not None
    opened = ui.seats.current.tablet()
    yield opened
    opened.close()


@pytest.fixture
def visit(ui: Screen, tablet: Tablet) -> str:
    return inspecting.start(tablet, tablet.records("institution")[0], "enforcement")


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Tablet]:
    """A colleague's tablet that has written something."""
    opened = tablet_in(tmp_path)
    institution(opened)
    yield opened
    opened.close()


def photo(ui: Screen, path: str, text: str, headers: dict[str, str] | None = None, **form: str) -> requests.Response:
    ours = {"Origin": ui.origin, "Sec-Fetch-Site": "same-origin"}
    return ui.post(path, files={"picture": ("still.png", picture(text), "image/png")}, headers=ours | (headers or {}), **form)


def test_a_card_in_a_photo_is_taken_without_a_script(ui: Screen, tablet: Tablet, visit: str) -> None:
    answer = photo(ui, f"/inspections/{visit}/people/picture", card_text("练-0001"))
    assert "已加入 练习甲" in answer.text
    again = photo(ui, f"/inspections/{visit}/people/picture", card_text("练-0001"))
    assert again.status_code == 409 and "同一个人只算一名" in again.text
    assert len(inspecting.officers_of(tablet.values(visit))) == 1


def test_a_still_of_the_camera_is_answered_with_what_the_form_then_posts(ui: Screen, tablet: Tablet, visit: str) -> None:
    told = photo(ui, f"/inspections/{visit}/people/picture", card_text("练-0002"), JSON).json()
    assert told == {"card": card_text("练-0002")} and not inspecting.officers_of(tablet.values(visit))
    assert "已加入 练习乙" in ui.post(f"/inspections/{visit}/people", **told).text


def test_a_card_that_the_ledger_does_not_know_is_refused_in_words(ui: Screen, visit: str) -> None:
    answer = ui.post(f"/inspections/{visit}/people", card=card_text("430199999"))
    assert answer.status_code == 409 and "不在本机的执法人员名册" in answer.text


def test_a_code_that_is_no_card_is_said_while_the_camera_goes_on(ui: Screen, visit: str) -> None:
    told = photo(ui, f"/inspections/{visit}/people/picture", "https://example.com/", JSON)
    assert told.status_code == 409 and "不是执法人员的证件卡" in told.json()["message"]


def test_two_tablets_note_each_other_from_the_page_of_an_inspection(
    ui: Screen, tablet: Tablet, visit: str, other: Tablet
) -> None:
    page = ui.get(f"/inspections/{visit}/anchor")
    assert f"/inspections/{visit}/anchor" in ui.get(f"/inspections/{visit}").text and "<svg" in page.text
    id = field(page.text, "anchor")
    for _ in range(2):  # a second tap notes nothing more
        answer = photo(ui, f"/inspections/{visit}/anchor/picture", anchoring.show(other), anchor=id, stage="start")
        assert "已记下对方平板的链首" in answer.text
    assert [(one["key"], one["stage"]) for one in anchoring.noted(tablet, visit)] == [(other.public_key.hex(), "start")]
    assert 'value="end" form="anchor" checked' in answer.text, "the next one is at the end"


def test_a_colleague_without_the_inspection_scans_from_the_page_of_the_tablet(ui: Screen, tablet: Tablet, other: Tablet) -> None:
    assert 'href="/anchor"' in ui.get("/tablet").text
    page = ui.get("/anchor")
    answer = photo(ui, "/anchor/picture", anchoring.show(other), anchor=field(page.text, "anchor"))
    assert "已记下对方平板的链首" in answer.text
    assert other.public_key.hex() in {one["key"] for one in anchoring.noted(tablet, None)}


def test_the_script_is_told_the_anchor_and_only_that(ui: Screen, visit: str, other: Tablet) -> None:
    text = anchoring.show(other)
    assert photo(ui, f"/inspections/{visit}/anchor/picture", text, JSON).json() == {"text": text}
    assert photo(ui, f"/inspections/{visit}/anchor/picture", card_text("练-0001"), JSON).status_code == 409


def test_one_s_own_code_and_an_altered_one_are_refused(ui: Screen, tablet: Tablet, visit: str, other: Tablet) -> None:
    new = tablet.store.clock.new_id
    own = ui.post(f"/inspections/{visit}/anchor", anchor=new(), text=anchoring.show(tablet))
    assert own.status_code == 409 and "本机自己的锚定码" in own.text
    replica = anchoring.show(other).split("|")
    altered = "|".join([*replica[:2], "7", *replica[3:]])
    assert ui.post(f"/inspections/{visit}/anchor", anchor=new(), text=altered).status_code == 409
    assert not anchoring.noted(tablet, visit)


def test_a_photo_without_any_code_says_what_to_do(ui: Screen, visit: str) -> None:
    headers = {"Origin": ui.origin, "Sec-Fetch-Site": "same-origin"}
    for page in ("people", "anchor"):
        answer = ui.post(f"/inspections/{visit}/{page}/picture", files={"picture": ("x.jpg", jpeg(320, 240))}, headers=headers,
                         anchor=visit)  # fmt: skip
        assert answer.status_code == 409 and "靠近、对正再拍" in answer.text
