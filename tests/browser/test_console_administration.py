"""Administration in a real browser: checklists imported, changed and published, as somebody of the province would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from demo import divisions as hunan
from server import acts
from server.evidence import openings
from server.merging import decisions
from server.sequencer import EVERYWHERE
from tests.browser.conftest import DESK, WIDE, Opener, faults, overflow, shot
from tests.server.test_xlsforms import workbook
from tests.support.console import PASSWORD, account
from tests.support.server import TestServer, running_server

HUNAN = Path(hunan.__file__).with_name("hunan_divisions.csv")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("console")) as running:
        yield running


def enter(page: Page, server: TestServer, role: str, area: str) -> None:
    login = f"{role}-{area or 'all'}-{id(page)}"
    account(server, role, area, name="李科长", login=login)
    page.goto(f"{server.url}/console/sign-in")
    page.fill("[name=login]", login)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url("**/console/")


def right(page: Page, name: str) -> None:
    shot(page, f"console-{name}")
    assert faults(page) == [] and overflow(page) == 0


@pytest.mark.parametrize("size", [DESK, WIDE])
def test_an_edition_from_a_spreadsheet_to_the_tablets(open_page: Opener, server: TestServer, tmp_path: Path, size: object) -> None:
    file = workbook(tmp_path, [
        ("begin_group", "fire", "消防安全", "Fire safety"),
        ("select_one yn", "exit", "安全出口是否畅通", "Are exits clear?", "逐层查看", "yes"),
        ("image", "exit_photo", "出口照片", "Photo", "", "", "${exit} = 'no'"),
        ("integer", "tins", "灭火器数量", "Extinguishers", "", "", "", ". >= 2"),
        ("barcode", "code", "条码", "Barcode"),
        ("end_group",),
        ("select_multiple dep", "deps", "到场部门", "Departments"),
    ])  # fmt: skip
    page = open_page(size)
    enter(page, server, "province", "43")
    page.goto(f"{server.url}/console/checklists")
    right(page, "checklists")
    page.click("[data-open=import]")
    shot(page, "console-checklists-import", whole=False)
    page.set_input_files("#file", file)
    page.click("#import button.primary")
    page.wait_for_selector("text=没有对应的作答方式")
    right(page, "checklist-draft")
    page.click("a[aria-label='修改 fire-01']")
    page.fill("#zh", "安全出口、疏散通道是否畅通")
    right(page, "checklist-item")
    page.click("button:has-text('保存')")
    page.wait_for_selector("text=fire-01 已保存")
    page.click("[data-open=publish]")
    page.click("#publish button.primary")
    page.wait_for_selector("text=平板下次同步时收到")
    right(page, "checklist-published")
    assert page.query_selector("a[aria-label='修改 fire-01']") is None


def test_places_people_access_and_settings(open_page: Opener, server: TestServer) -> None:
    page = open_page(DESK)
    enter(page, server, "admin", "")
    page.goto(f"{server.url}/console/places")
    page.click("[data-open=import]")
    page.set_input_files("#file", HUNAN)
    page.click("#import button.primary")
    page.wait_for_selector("text=写入 137 个区划")
    right(page, "places")
    for number in range(6):
        values = {"name": f"第{number + 1}口才培训学校", "area": f"43010300100{number + 1}", "status": "operating"}
        values |= {"responsible/county": {"name": "周副局长", "post": "副局长"}} if number % 2 else {}
        decisions.write(server.instance.desk, "institution", None, values, by=["p"], rights=EVERYWHERE)
    page.goto(f"{server.url}/console/places/responsible?area=430103&all=1")
    right(page, "responsible")
    house = server.instance
    with house.database.write() as conn:
        acts.append(conn, "", acts.OPENED, house.now(), by="p-1", device="T-14", record="r-1", blob="ab" * 32, purpose="核对现场", part=openings.ORIGINAL)
    page.goto(f"{server.url}/console/access")
    right(page, "access")
    page.goto(f"{server.url}/console/settings")
    page.click("text=立即备份")
    page.wait_for_selector("text=已完成")
    right(page, "settings")
