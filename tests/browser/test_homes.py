"""The home page of each role in a real browser: the numbers of two counties, each as far as its reader sees, and where they lead."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from server.keys import ServerKeys
from server.merging import decisions
from server.moments import moment
from server.register import divisions
from server.register.divisions import Row
from server.sequencer import EVERYWHERE
from tests.browser.conftest import LAPTOP, Opener, looked_at, sign_in
from tests.server.test_console_review import submitted
from tests.support.conflicts import Scene
from tests.support.console import account
from tests.support.server import TestDevice, TestServer, running_server

COUNTY, SIBLING, CITY = "430102", "430103", "4301"
NAMES = {"43": "湖南省", CITY: "长沙市", COUNTY: "芙蓉区", SIBLING: "天心区", "430102001": "文艺路街道", "430103001": "坡子街街道"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("homes")) as running:
        rows = [Row(n, code, {"code": code, "name": name}) for n, (code, name) in enumerate(NAMES.items(), 1)]
        divisions.carry_out(running.instance, rows, by=["p"], rights=EVERYWHERE)
        fill(running)
        yield running


def fill(server: TestServer) -> None:
    """In 芙蓉区 three institutions, four hazards of which two are late and one is rectified, an inspection that was submitted, two
    tablets that disagree and two photos that have not arrived; in 天心区 one institution and one late hazard."""
    scene = Scene(server)
    a, b, away = scene.a, scene.b, server.enrol("officer", SIBLING)
    names = {"启航艺术": "operating", "博文书画": "operating", "育才托管": "suspended"}
    for name, status in names.items():
        values = {"name": name, "area": COUNTY + "001001", "status": status, "departments/fire": name == "博文书画"}
        decisions.write(server.instance.desk, "institution", None, values, by=["p"])
    decisions.write(server.instance.desk, "institution", None, {"name": "天心舞蹈", "area": SIBLING + "001001", "status": "operating"}, by=["p"])
    photos = {f"evidence/{ServerKeys.new_id(server.clock())}": {"sha256": f"{n:064x}", "size": 9, "mime": "image/jpeg"} for n in (1, 2)}
    first = hazard(a, COUNTY, "2020-01-01", **photos)
    hazard(a, COUNTY, "2020-01-01")
    hazard(a, COUNTY, "2099-01-01")
    done = hazard(a, COUNTY, "2099-01-01")
    decisions.write(server.instance.desk, "hazard", done, {"status": "rectified", "measures": "已清理", "rectified_on": "2026-11-01"}, by=["p"])
    hazard(away, SIBLING, "2020-01-01")
    for tablet, text in ((a, "已清理杂物"), (b, "加装常闭式防火门")):
        tablet.push(tablet.change("hazard", first, {"measures": text}, {"measures": []}))
    submitted(scene)
    for subject in ("启航艺术", "博文书画"):
        clue = {"subject": subject, "text": "预收一年学费后停课", "source": "hotline", "area": COUNTY + "001", "received_at": moment(server.clock())}
        decisions.write(server.instance.desk, "clue", None, clue, by=["p"])


def hazard(tablet: TestDevice, county: str, deadline: str, **more: object) -> str:
    id = ServerKeys.new_id(tablet.now())
    values = {"description": "疏散通道堆放杂物", "area": county + "001001", "status": "open", "grade": "general", "deadline": deadline,
              "institution": ServerKeys.new_id(tablet.now()), "responsible": "张伟"}  # fmt: skip
    tablet.push(tablet.change("hazard", id, {**values, **more}))
    return id


def home(server: TestServer, open_page: Opener, role: str, area: str, name: str, **grant: str) -> Page:
    page, login = open_page(LAPTOP), f"{role}-{uuid4().hex[:8]}"
    account(server, role, area, name=name, login=login, **grant)
    sign_in(page, server.url, login)
    expect(page.get_by_role("heading", name="首页")).to_be_visible()
    return page


def tiles(page: Page) -> dict[str, str]:
    """What the tiles say: label → number."""
    return {one.locator("span").inner_text().strip(): one.locator("b").inner_text() for one in page.locator(".tile").all()}


OWN = {"隐患逾期": "2", "冲突待决": "1", "检查待审核": "1", "隐患待验收": "1"}
BOTH = OWN | {"隐患逾期": "3"}


@pytest.mark.parametrize(("role", "area", "said", "expected", "institutions", "tablets"), [
    ("staff", COUNTY, "长沙市芙蓉区", OWN, 3, 2),
    ("lead", COUNTY, "长沙市芙蓉区", OWN, 3, 2),
    ("city", CITY, "长沙市", BOTH, 4, 3),
    ("province", "43", "湖南省", BOTH, 4, 3),
    ("oversight", COUNTY, "长沙市芙蓉区", OWN, 3, 2),
    ("admin", "", "全部区划", BOTH, 4, 3),
])  # fmt: skip
def test_a_home_page_counts_what_its_reader_sees(
    server: TestServer, open_page: Opener, role: str, area: str, said: str, expected: dict[str, str], institutions: int, tablets: int
) -> None:
    page = home(server, open_page, role, area, "孙丽")
    assert said in page.locator(".who .where").inner_text()
    found = tiles(page)
    assert {name: found[name] for name in expected} == expected
    assert f"共 {institutions}" in page.locator("figure", has_text="机构状态").inner_text()
    assert f"还有 2 件照片或文件没有传到 （在用 {tablets} 台）" in " ".join(page.locator("main").inner_text().split())
    looked_at(page, f"home-{role}")
    page.locator(".tile", has_text="隐患逾期").click()
    expect(page.locator("tbody tr")).to_have_count(int(expected["隐患逾期"]))
    assert page.get_by_role("link", name="新建").count() == (role in ("staff", "lead", "city", "province"))


def test_another_department_counts_what_names_it_and_is_told_of_no_tablet(server: TestServer, open_page: Opener) -> None:
    page = home(server, open_page, "department", COUNTY, "陈消", department="fire")
    said = page.locator("main").inner_text()
    assert "共 1" in said and "平板" not in said and "冲突" not in said
    assert page.get_by_role("link", name="合并台").count() == 0 and page.get_by_role("link", name="人员").count() == 0
    looked_at(page, "home-department")


def test_whoever_works_on_a_tablet_is_led_there(server: TestServer, open_page: Opener) -> None:
    page = open_page(LAPTOP)
    account(server, "inspector", COUNTY, name="李敏", login="inspector-home")
    sign_in(page, server.url, "inspector-home")
    expect(page.get_by_role("heading", name="您的工作在平板上")).to_be_visible()
    looked_at(page, "home-inspector")


def test_a_chart_s_numbers_are_there_as_a_table(server: TestServer, open_page: Opener) -> None:
    page = home(server, open_page, "staff", COUNTY, "周强")
    week = page.locator("figure", has_text="每周新发现和销号的隐患")
    week.locator("summary").click()
    assert [cell.inner_text() for cell in week.locator("tbody tr").last.locator("td").all()][1:] == ["4", "0"]
    states = page.locator("figure", has_text="机构状态")
    assert "正常办学 2" in (states.locator("svg").get_attribute("aria-label") or "")
    places = page.locator("figure", has_text="近 30 天的线索，按地方")
    assert "文艺路街道 2" in (places.locator("svg").get_attribute("aria-label") or "")
    places.locator("summary").click()
    assert places.locator("tbody tr").inner_text().split() == ["文艺路街道", "2"]
    looked_at(page, "home-charts")


def test_where_nothing_waits_the_page_says_so(server: TestServer, open_page: Opener) -> None:
    page = home(server, open_page, "lead", "430104", "刘洋")
    said = page.locator("main").inner_text()
    assert "没有逾期，也没有待办" in said and page.locator(".tile").count() == 0
    assert "还没有机构" in said and "近 12 周没有新发现或销号的隐患" in said and "还没有在用的平板" in said
    looked_at(page, "home-nothing")
