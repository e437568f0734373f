"""A visit in a real browser with touch: every page in both sizes, and a whole inspection with the program killed in its middle."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import TABLET, UPRIGHT, Opener, Size
from tests.browser.test_tablet import AREA, SIZES, County, enter, set_up
from tests.support.pictures import jpeg
from tests.support.processes import Children
from tests.support.screens import PIN, Program, Screen, shown


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    with shown(tmp_path_factory.mktemp("home")) as screen:
        yield screen.open().practise()


def photo(folder: Path, name: str, width: int = 640, height: int = 480) -> Path:
    file = folder / name
    file.write_bytes(jpeg(width, height))
    return file


def item(page: Page, code: str) -> Locator:
    return page.locator(f"[id='{code}']")


def answer(page: Page, code: str, choice: str) -> None:
    """Tap, and wait until the screen says that it is saved."""
    item(page, code).locator(f".choice.{choice}").tap()
    expect(item(page, code).locator("[data-saved]")).to_contain_text("已保存", timeout=20_000)


def draw(page: Page, pad: Locator) -> None:
    """A signature with a finger."""
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 40, box["y"] + 40)
    page.mouse.down()
    for step in range(8):
        page.mouse.move(box["x"] + 40 + 30 * step, box["y"] + 40 + 30 * (step % 2))
    page.mouse.up()


def test_the_camera_takes_several_in_a_row_one_again_and_a_film(open_page: Opener, practice: Screen) -> None:
    assert practice.seats is not None
    page = open_page(UPRIGHT, permissions=["camera", "microphone"])
    enter(page, practice)
    tablet = practice.seats.current.tablet()
    try:
        record = tablet.store.clock.new_id()
        practice.open()
        practice.post("/inspections", institution=tablet.records("institution")[2], record=record, anyway="1")
        enter(page, practice)
        page.goto(f"{practice.origin}/records/{record}/camera?item=LIC-01&back=/inspections/{record}")
        expect(page.locator("[data-shutters]")).to_be_visible(timeout=20_000)
        for _ in range(60):
            if page.evaluate("document.querySelector('[data-video]').videoWidth"):
                break
            page.wait_for_timeout(500)
        for count in (1, 2):
            page.locator("[data-shutter]").tap()
            expect(page.locator("[data-taken] .badge.ok")).to_have_count(count, timeout=30_000)
        page.locator(".burst").tap()
        page.locator("[data-shutter]").tap()
        page.locator("[data-retake]").tap()
        page.locator("[data-shutter]").tap()
        page.locator("[data-use]").tap()
        expect(page.locator("[data-taken] .badge.ok")).to_have_count(3, timeout=30_000)
        page.locator("[data-film]").tap()
        expect(page.locator("[data-rec]")).to_be_visible(timeout=20_000)
        page.wait_for_timeout(6_000)
        page.locator("[data-film]").tap()
        expect(page.locator("[data-taken] .badge.ok")).to_have_count(4, timeout=30_000)
        taken = [path.removeprefix("evidence/") for path in tablet.values(record) if path.startswith("evidence/")]
        assert sorted(str(tablet.values(one)["mime"]).partition("/")[0] for one in taken) == ["image", "image", "image", "video"]
    finally:
        tablet.close()


def test_two_tabs_on_one_draft_show_both_answers(open_page: Opener, practice: Screen) -> None:
    assert practice.seats is not None
    page = open_page(TABLET)
    enter(page, practice)
    tablet = practice.seats.current.tablet()
    try:
        record = tablet.store.clock.new_id()
        practice.open()
        practice.post("/inspections", institution=tablet.records("institution")[3], record=record, anyway="1")
        enter(page, practice)
        second = page.context.new_page()
        for tab in (page, second):
            tab.goto(f"{practice.origin}/inspections/{record}/items/LIC")
        answer(page, "LIC-01", "yes")
        item(second, "LIC-01").locator(".choice.no").tap()
        expect(item(second, "LIC-01").locator(".tried")).to_contain_text("不符合", timeout=20_000)
        assert tablet.values(record)["answers/LIC-01"] == {"answer": "yes"}
        item(second, "LIC-01").get_by_role("button", name="以我的为准").tap()
        expect(item(second, "LIC-01").locator(".tried")).to_have_count(0, timeout=20_000)
        assert tablet.values(record)["answers/LIC-01"] == {"answer": "no"}
        page.go_back()
        page.go_forward()
        expect(item(page, "LIC-01").locator(".choice.no input")).to_be_checked()
    finally:
        tablet.close()


@SIZES
def test_a_whole_visit_with_the_program_killed_in_the_middle_ends_with_everything_at_the_server(
    open_page: Opener, children: Children, tmp_path: Path, size: Size
) -> None:
    county, program = County(children, tmp_path / "server"), Program(children, tmp_path / "home")
    code = county.made.code(county.made.person("officer", AREA, name="李敏"))
    county.up()
    page = open_page(size)
    set_up(page, program, county, code)
    county.down()  # a basement
    page.goto(f"{program.origin}/institutions/new")
    page.fill("#name", "茶楼后的数学班")
    page.locator("form[data-keep] button.primary").click()
    page.get_by_role("button", name="开始检查").dblclick()
    page.locator(".sticky-foot a").tap()
    answer(page, "LIC-01", "yes")
    answer(page, "LIC-02", "no")
    item(page, "LIC-02").locator("[data-pick]").set_input_files(photo(tmp_path, "scene.jpg"))
    expect(item(page, "LIC-02").locator(".strip a[href]")).to_have_count(1, timeout=60_000)
    visit = re.search(r"/inspections/([^/]+)/", page.url)
    assert visit is not None
    here = f"{program.origin}/inspections/{visit[1]}"

    program.kill()
    item(page, "LIC-03").locator(".choice.no").tap()
    expect(item(page, "LIC-03").locator("[data-saved]")).to_contain_text("未保存")
    program.start()  # the same window goes on: it asks for the PIN on the page, then sends what was tapped
    page.fill("#unlock-pin", PIN, timeout=30_000)
    page.locator("[data-unlock] button").click()
    expect(item(page, "LIC-03").locator(".choice.no input")).to_be_checked(timeout=30_000)
    expect(item(page, "LIC-03").locator("[data-saved]")).to_contain_text("已保存", timeout=30_000)
    expect(item(page, "LIC-02").locator(".choice.no input")).to_be_checked()

    page.goto(here)
    page.fill("#f-findings", "后院二十余名小学生正在上数学课")
    page.locator("h2").first.tap()
    expect(page.locator("#findings [data-saved]")).to_contain_text("已保存")
    page.goto(f"{here}/submit")
    expect(page.locator(".urgent")).to_contain_text("没有签字")
    page.goto(f"{here}/sign")
    page.get_by_role("button", name=re.compile("检查结束")).tap()
    page.fill("#party", "罗雨")
    draw(page, page.locator("[data-pad-for=party] canvas"))
    page.get_by_role("button", name=re.compile("以上已核对")).tap()
    expect(page.locator(".notice.done")).to_contain_text("罗雨 已签字")
    page.goto(f"{here}/submit")
    page.locator("form.sticky-foot button").dblclick()
    expect(page.locator("main")).to_contain_text("已提交")

    county.up()
    page.goto(f"{program.origin}/sync")
    page.get_by_role("button", name="现在同步").click()
    expect(page.locator("#hand-in")).to_contain_text("可以交回平板", timeout=120_000)
    county.down()
    assert county.records("answers/LIC-01") == [{"answer": "yes"}]
    assert county.records("answers/LIC-03") == [{"answer": "no"}]
    assert county.records("findings") == ["后院二十余名小学生正在上数学课"]
    assert "submitted" in county.records("status") and "original" in county.records("role")
