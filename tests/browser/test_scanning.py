"""Codes before a real camera: Chromium is given a film of them, and the pages that scan take what fits."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserType, Page, expect

from field_client.tablet import Tablet
from field_client.work import anchoring, inspecting
from schemas.cards import card_text
from tests.browser.conftest import CHROMIUM, TABLET, Opener, Size
from tests.browser.test_tablet import SIZES, check, enter
from tests.support.codes import camera_film, picture
from tests.support.screens import Screen, shown
from tests.support.tablets import institution, tablet_in

Filmed = Callable[..., Page]


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    with shown(tmp_path_factory.mktemp("home")) as screen:
        yield screen.open().practise()


@pytest.fixture
def tablet(practice: Screen) -> Iterator[Tablet]:
    assert practice.seats is not None
    opened = practice.seats.current.tablet()
    yield opened
    opened.close()


@pytest.fixture
def visit(tablet: Tablet) -> str:
    return inspecting.start(tablet, tablet.records("institution")[0], "enforcement")


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Tablet]:
    opened = tablet_in(tmp_path / "other")
    institution(opened)
    yield opened
    opened.close()


@pytest.fixture
def filmed(chromium: Browser, tmp_path: Path) -> Iterator[Filmed]:
    """A page whose camera shows codes one after the other."""
    kind: BrowserType = chromium.browser_type
    with ExitStack() as stack:

        def opened(*texts: str) -> Page:
            film = camera_film(tmp_path / "camera.y4m", *texts)
            args = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
                    f"--use-file-for-fake-video-capture={film}"]  # fmt: skip
            browser = kind.launch(executable_path=CHROMIUM, env={**os.environ, "LANGUAGE": "zh_CN"}, args=args)
            stack.callback(browser.close)
            page = browser.new_page(viewport={"width": TABLET.width, "height": TABLET.height}, has_touch=True, locale="zh-CN")
            page.set_default_timeout(30_000)
            return page

        yield opened


def scan(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).tap()


def test_the_camera_takes_the_card_and_passes_over_what_is_none(
    filmed: Filmed, practice: Screen, tablet: Tablet, visit: str
) -> None:
    page = filmed("https://example.com/", card_text("练-0001"))
    enter(page, practice)
    page.goto(f"{practice.origin}/inspections/{visit}/people")
    scan(page, "扫证件卡")
    expect(page.locator(".pick.on")).to_have_count(1)
    assert len(inspecting.officers_of(tablet.values(visit))) == 1
    scan(page, "扫证件卡")  # the same card once more
    expect(page.locator(".notice.wrong")).to_contain_text("同一个人只算一名")


def test_the_camera_takes_the_anchor_from_a_colleague_s_screen(
    filmed: Filmed, practice: Screen, tablet: Tablet, visit: str, other: Tablet
) -> None:
    page = filmed(anchoring.show(other))
    enter(page, practice)
    page.goto(f"{practice.origin}/inspections/{visit}")
    page.get_by_role("link", name="与另一台平板互扫").tap()
    page.locator(".choice", has_text="检查结束").tap()
    scan(page, "对准对方的屏幕")
    expect(page.locator("body")).to_contain_text("已记下对方平板的链首")
    assert [(one["key"], one["stage"]) for one in anchoring.noted(tablet, visit)] == [(other.public_key.hex(), "end")]


def test_what_this_screen_shows_a_colleague_s_tablet_reads_off_a_photo_of_it(
    open_page: Opener, practice: Screen, tablet: Tablet, other: Tablet, tmp_path: Path
) -> None:
    page = open_page(TABLET)
    enter(page, practice)
    page.goto(f"{practice.origin}/anchor")
    photo = tmp_path / "screen.png"
    page.screenshot(path=photo)
    assert anchoring.read_photo(other, photo) == anchoring.show(tablet)


def test_a_chosen_photo_goes_the_same_way_and_a_wrong_one_is_said_on_the_spot(
    open_page: Opener, practice: Screen, visit: str
) -> None:
    page = open_page(TABLET, permissions=["camera"])
    enter(page, practice)
    page.goto(f"{practice.origin}/inspections/{visit}/people")
    page.set_input_files("[name=picture]", {"name": "a.png", "mimeType": "image/png", "buffer": picture("https://example.com/")})
    expect(page.locator("[data-scan-said]")).to_contain_text("不是执法人员的证件卡")
    page.set_input_files("[name=picture]", {"name": "b.png", "mimeType": "image/png", "buffer": picture(card_text("练-0002"))})
    expect(page.locator(".pick.on")).to_contain_text("练习乙")


def test_the_camera_can_be_stopped(open_page: Opener, practice: Screen, visit: str) -> None:
    page = open_page(TABLET, permissions=["camera"])
    enter(page, practice)
    page.goto(f"{practice.origin}/inspections/{visit}/people")
    scan(page, "扫证件卡")
    expect(page.locator("[data-scan-said]")).to_contain_text(re.compile("没有看到证件卡"))
    scan(page, "停止")
    expect(page.locator("[data-scan-view]")).to_be_hidden()
    assert page.evaluate("document.querySelector('[data-scan-view]').srcObject.active") is False


@SIZES
def test_pages_that_scan_can_be_read_and_are_not_cut_off(open_page: Opener, practice: Screen, visit: str, size: Size) -> None:
    page = open_page(size, permissions=["camera"])
    enter(page, practice)
    for theme, text_size in (("light", "0"), ("dark", "1")):
        practice.open()
        practice.post("/look", theme=theme, large=text_size)
        enter(page, practice)
        for name, path in (("people", f"/inspections/{visit}/people"), ("anchor", f"/inspections/{visit}/anchor"), ("anchor-alone", "/anchor")):
            page.goto(f"{practice.origin}{path}")
            check(page, f"scan-{name}-{theme}")
    practice.open()
    practice.post("/look", theme="light", large="0")
