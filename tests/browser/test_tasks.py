"""Tasks and clues on the tablet's screen with touch: Today in both sizes, a clue verified with a photo, a planned visit begun."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from server.merging import decisions
from server.reading.finding import read
from server.register.editions import Writing
from server.storage.people import Person
from server.work import clues, tasks
from sync.core.rules import Rights
from tests.browser.conftest import TABLET, UPRIGHT, Opener, Size
from tests.browser.test_tablet import check, enter
from tests.support.patrols import held
from tests.support.pictures import jpeg
from tests.support.screens import Screen, shown
from tests.support.server import TestServer, running_server

AREA = "430102001001"
STAFF = Writing(["s-1"], Rights("staff", ("43",), deciding=True))
NAMES = ("长沙市芙蓉区学雅口才培训学校有限公司", "芙蓉区卓远舞蹈培训中心", "芙蓉区育才美术工作室")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    with running_server(tmp_path / "server") as running:
        yield running


@pytest.fixture(params=[TABLET, UPRIGHT], ids=["lying", "upright"])
def size(request: pytest.FixtureRequest) -> Size:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def screen(server: TestServer, tmp_path: Path) -> Iterator[Screen]:
    """A tablet of 李敏 to whom a clue, two visits and something for a colleague were given."""
    person, colleague = server.person("officer", "430102", name="李敏"), server.person("officer", "430102", name="周凯")
    planned(server, person, colleague)
    with shown(tmp_path / "home") as ui:
        ui.open().enrol(server.url, server.code(person))
        yield ui


def planned(server: TestServer, person: Person, colleague: Person) -> None:
    house = server.instance
    schools = [
        decisions.write(house.desk, "institution", None, {"name": name, "area": AREA, "address": f"人民中路{n + 3}号{n + 1}楼", "status": "operating"}, by=["s-1"]).record
        for n, name in enumerate(NAMES)
    ]
    mine = {"to": "person", "id": person.id, "name": person.name}
    rows = [{"record": one, "name": name, "area": AREA, "address": "人民中路3号1楼"} for one, name in zip(schools, NAMES, strict=True)]
    tasks.plan(house, STAFF, rows[:1], tasks.Order("visit", mine, "2020-01-06", "先看消防通道，再看收费公示"))
    tasks.plan(house, STAFF, rows[1:2], tasks.Order("recheck", {"to": "area"}, "2099-01-06"))
    tasks.plan(house, STAFF, rows[2:], tasks.Order("guide", {"to": "person", "id": colleague.id, "name": colleague.name}, "2099-01-06"))
    said = {"subject": "卓远舞蹈", "text": "负责人失联，家长聚在门口要求退费，约二十人", "area": AREA, "urgency": "blow_up", "source": "hotline", "type": "closure",
            "institution": schools[1], "address": "人民中路4号2楼"}  # fmt: skip
    clue = clues.receive(house, STAFF, said, {"name": "周海棠"})
    with house.database.read() as conn:
        seen = read(house, conn, clue)
    clues.assign(house, STAFF, seen, tasks.Order("verify", mine, "2099-11-27", "核实人数和欠费"), seen.state.ids("status"))


def filled(page: Page, screen: Screen) -> None:
    """Today, once the first round brought everything."""
    enter(page, screen)
    page.goto(f"{screen.origin}/setup/filling")
    page.wait_for_url(f"{screen.origin}/", timeout=30_000)
    expect(page.locator(".pair").first).to_be_visible()


def test_today_shows_what_is_planned_a_clue_is_verified_and_a_visit_begun(
    server: TestServer, screen: Screen, open_page: Opener, size: Size, tmp_path: Path
) -> None:
    page = open_page(size)
    filled(page, screen)
    lines = page.locator(".pair b").all_inner_texts()
    assert lines[:3] == [NAMES[0], "卓远舞蹈", NAMES[1]], "overdue first, then what blows up"
    assert "同事的任务 1 项" in page.locator("main").inner_text()
    check(page, "today-tasks")
    page.locator(".pair a.icon-button").nth(1).tap()
    assert NAMES[1] in page.locator("h1").inner_text() and "任务与线索" in page.locator("main").inner_text()
    check(page, "card-tasks")
    page.locator(".pair a.line", has_text="卓远舞蹈").first.tap()
    assert "家长聚在门口" in page.locator("main").inner_text() and "周海棠" not in page.content()
    check(page, "task-clue")
    photo = tmp_path / "门口.jpg"
    photo.write_bytes(jpeg(640, 480))
    page.locator("input[type=file]").first.set_input_files(str(photo))
    expect(page.locator("#photos img")).to_have_count(1, timeout=20_000)
    page.locator(".outcomes label", has_text="部分属实").tap()
    page.fill("#result", "门口约二十名家长，前台称负责人出差，三间教室无课")
    page.locator("#verify button.primary").tap()
    page.wait_for_url(f"{screen.origin}/")
    assert "卓远舞蹈" not in page.locator(".pair b").all_inner_texts()
    page.locator(".pair a.line", has_text=NAMES[0]).tap()
    check(page, "task-visit")
    page.locator("button", has_text="开始检查").tap()
    page.wait_for_url("**/people?first=1")
    page.goto(f"{screen.origin}/")
    assert "进行中" in page.locator(".pair", has_text=NAMES[0]).inner_text()
    page.locator(".pair a.line", has_text=NAMES[1]).tap()
    page.locator("summary", has_text="直接完成").tap()
    page.fill("#result", "隐患已消除，现场看过")
    page.locator("details button", has_text="完成").tap()
    page.wait_for_url(f"{screen.origin}/")
    screen.post("/sync/now")
    expect(page.locator("body")).to_be_visible()
    page.wait_for_function("async () => (await (await fetch('/sync/state.json', {headers: {Accept: 'application/json'}})).json()).waiting === 0", timeout=30_000)
    said = [list(one["outcome"].values()) for one in held(server).values() if "outcome" in one]
    assert ["partly"] in said
