"""责任倒查 in a real browser, as somebody of the oversight sits there: found, said what for, read, printed, and seen by the county."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from server import acts
from server.evidence import openings
from server.merging import decisions
from server.moments import day
from server.register import divisions
from server.register.divisions import Row
from server.sequencer import EVERYWHERE
from tests.browser.conftest import LAPTOP, Opener, looked_at, shot, sign_in
from tests.support.console import account
from tests.support.server import TestServer, running_server

COUNTY, DAY = "430103", 86_400_000
NAMES = {"43": "湖南省", "4301": "长沙市", COUNTY: "天心区", "430103001": "坡子街街道"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("tracing")) as running:
        rows = [Row(n, code, {"code": code, "name": name}) for n, (code, name) in enumerate(NAMES.items(), 1)]
        divisions.carry_out(running.instance, rows, by=["p"], rights=EVERYWHERE)
        neglect(running)
        account(running, "oversight", COUNTY, name="谭明", login="tanming")
        account(running, "lead", COUNTY, name="孙丽", login="sunli")
        yield running


def neglect(server: TestServer) -> None:
    """An institution with a hazard that everybody knew of and nobody settled in time, and one that was."""
    desk, staff, lead = server.instance.desk, server.person("staff", COUNTY, name="周强"), server.person("lead", COUNTY, name="罗勇")
    tablet = server.enrol("officer", COUNTY)
    place = decisions.write(desk, "institution", None, {
        "name": "长沙市天心区启航艺术培训学校", "area": COUNTY + "001", "status": "operating",
        "responsible/county": {"name": "周副局长", "post": "副局长"}, "responsible/township": {"name": "邓主任", "post": "街道办主任"},
    }, by=[staff.id]).record  # fmt: skip
    for text, days in (("疏散通道堆放杂物，宽度不足一米", 10), ("灭火器压力不足，已过检验期", 30)):
        values = {"institution": place, "description": text, "area": COUNTY + "001", "grade": "major", "status": "open", "responsible": "张伟",
                  "deadline": day(tablet.now() + days * DAY)}  # fmt: skip
        change = tablet.change("hazard", str(uuid4()), values)
        tablet.push(change)
        server.clock.ahead += 2 * DAY
        decisions.write(desk, "hazard", change.record, {"measures": "已约谈负责人，要求限期清理"}, by=[staff.id])
        last = change.record
    with server.instance.database.write() as conn:
        acts.append(conn, "", acts.OPENED, server.clock(), by=lead.id, record=last, blob="ab" * 32, purpose="核对现场照片", part=openings.ORIGINAL)
    server.clock.ahead += 20 * DAY
    decisions.write(desk, "hazard", last, {"status": "rectified", "rectified_on": day(server.clock())}, by=[staff.id])
    decisions.write(desk, "hazard", last, {"status": "verified", "conclusion": "现场核验，已整改到位"}, by=[lead.id])


def at_home(server: TestServer, open_page: Opener, login: str) -> Page:
    page = open_page(LAPTOP)
    sign_in(page, server.url, login)
    expect(page.get_by_role("heading", name="首页")).to_be_visible()
    return page


def test_who_knew_when_and_which_deadline_passed_is_found_read_and_printed(server: TestServer, open_page: Opener) -> None:
    page = at_home(server, open_page, "tanming")
    page.get_by_role("link", name="责任倒查").click()
    expect(page.locator(".side [aria-current]")).to_be_in_viewport()
    assert page.evaluate("scrollY") == 0
    looked_at(page, "tracing-none")
    page.get_by_role("searchbox", name="机构、隐患").fill("启航艺术")
    page.get_by_role("button", name="查找").click()
    looked_at(page, "tracing-found")
    page.locator("main").get_by_role("link", name="长沙市天心区启航艺术培训学校").first.click()
    looked_at(page, "tracing-purpose")
    page.get_by_label("倒查事由").fill("人大专项督查第 3 号")
    page.get_by_role("button", name="查看").click()
    expect(page.get_by_role("heading", name="责任倒查：长沙市天心区启航艺术培训学校")).to_be_visible()
    passed = page.locator(".trace-passed tbody tr")
    expect(passed).to_have_count(1)
    said = passed.inner_text()
    assert "疏散通道堆放杂物" in said and "至今 13 天" in said and "李敏" in said and "周强" in said
    knew = page.locator("section", has_text="谁何时知悉").inner_text()
    assert "罗勇" in knew and "查阅：核对现场照片" in knew and "周副局长" in page.locator("main").inner_text()
    assert page.locator(".trace > li.overdue").count() == 1 and page.locator(".trace > li.step").count() == 2
    looked_at(page, "tracing")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 794, "height": 1123})
    shot(page, "tracing-print")
    assert page.locator(".trace-passed").is_visible() and not page.get_by_role("button", name="打印").is_visible()


def test_the_county_sees_who_looked_and_what_for(server: TestServer, open_page: Opener) -> None:
    page = at_home(server, open_page, "sunli")
    page.get_by_role("link", name="责任倒查").click()
    line = page.locator("tbody tr", has_text="人大专项督查第 3 号")
    expect(line).to_contain_text("谭明")
    looked_at(page, "tracing-who-looked")
    page.get_by_role("link", name="查阅记录").click()
    expect(page.locator("tbody tr", has_text="人大专项督查第 3 号")).to_contain_text("长沙市天心区启航艺术培训学校")
    looked_at(page, "access-named")
