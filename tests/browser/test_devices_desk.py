"""The desk for tablets in a real browser: a code that is scanned, two who agree, what has not synced, a copy, and one that was lost."""

from __future__ import annotations

import io
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image
from playwright.sync_api import Page, expect

from custody.pictures import qr
from server.keys import ServerKeys
from sync.core.change import START
from tests.browser.conftest import LAPTOP, Opener, looked_at, sign_in
from tests.support.console import account
from tests.support.server import BASE, TestDevice, TestServer, running_server

COUNTY = "430102"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("devices")) as running:
        running.person("inspector", COUNTY, name="李敏")
        for role, name in (("staff", "孙丽"), ("lead", "罗勇"), ("admin", "王芳")):
            account(running, role, "" if role == "admin" else COUNTY, name=name, login=role)
        yield running


def at_tablets(server: TestServer, open_page: Opener, login: str) -> Page:
    page = open_page(LAPTOP)
    sign_in(page, server.url, login)
    page.get_by_role("link", name="平板", exact=True).click()
    expect(page.get_by_role("heading", name="平板", exact=True)).to_be_visible()
    return page


def ask_for(page: Page, person: str, button: str) -> None:
    page.get_by_role("link", name="登记平板").first.click()
    named = page.locator("select[name=person] option", has_text=person).get_attribute("value")
    page.get_by_label("给谁用").select_option(named)
    page.get_by_role("button", name=button).click()


def scanned(page: Page) -> dict[str, str]:
    """What a tablet reads from the code on the screen."""
    picture = Image.open(io.BytesIO(page.get_by_role("img", name="登记二维码").screenshot()))
    (text,) = qr.texts(picture)
    assert text.startswith("patrolbook:enrol?")
    return {name: values[0] for name, values in parse_qs(urlsplit(text).query).items()}


def enrolled(server: TestServer, told: dict[str, str]) -> TestDevice:
    key = Ed25519PrivateKey.generate()
    answer = server.session.post(f"{told['url']}{BASE}/enrol", json=server.claim(told["code"], key), timeout=60)
    answer.raise_for_status()
    return TestDevice(server.session, told["url"], answer.json()["device"], key, server.clock, answer.json())


def hazard(tablet: TestDevice, *photos: str) -> None:
    values = {"description": "疏散通道堆放杂物", "area": COUNTY + "001001", "status": "open", "grade": "general"}
    named = {f"evidence/{uuid4()}": {"sha256": one * 64, "size": 9, "mime": "image/jpeg"} for one in photos}
    tablet.push(tablet.change("hazard", ServerKeys.new_id(tablet.now()), values | named))


def test_a_tablet_from_its_code_to_the_day_it_was_lost(server: TestServer, open_page: Opener) -> None:
    page = at_tablets(server, open_page, "lead")
    looked_at(page, "devices-none")
    ask_for(page, "李敏", "生成登记码")
    expect(page.get_by_role("heading", name="李敏 的登记码：只显示这一次")).to_be_visible()
    looked_at(page, "devices-code")
    told = scanned(page)
    said = page.locator("main").inner_text()
    assert told["url"] == server.url and told["code"] in said and told["log"] in said.replace(" ", "")
    tablet = enrolled(server, told)
    tablet.post("/pull", {"epoch": tablet.answer["epoch"], "cursors": {}})
    hazard(tablet, "a", "b", "c")
    page.get_by_role("link", name="完成").click()
    line = page.locator("tbody tr", has_text="T-14")
    expect(line).to_contain_text("有文件没有传到")
    assert line.locator("td").nth(5).inner_text() == "3" and "李敏" in line.inner_text()
    assert "还有 3 件照片或文件没有传到 （在用 1 台）" in page.locator("main").inner_text()
    server.clock.ahead += 25 * 3_600_000
    page = at_tablets(server, open_page, "lead")
    page.get_by_role("link", name="未同步或有文件未传").click()
    expect(page.locator("tbody tr", has_text="T-14")).to_contain_text("超过一天没有同步")
    looked_at(page, "devices-owing")
    _copied(server, page, tablet)
    _lost(server, page, tablet)


def _copied(server: TestServer, page: Page, tablet: TestDevice) -> None:
    """Its database goes on as another replica: it was restored, or somebody copied it."""
    tablet.replica, tablet.n, tablet.prev = str(uuid4()), 0, START
    hazard(tablet)
    page.goto(f"{server.url}/console/devices?show=copied")
    expect(page.locator("tbody tr")).to_contain_text("曾被恢复或复制")
    page.get_by_role("link", name="T-14").click()
    expect(page.locator("main")).to_contain_text("平板曾被恢复或复制（此前为副本")
    assert page.locator("section", has_text="还有文件没有传到的记录").get_by_role("link").count() == 1
    looked_at(page, "devices-one-copied")


def _lost(server: TestServer, page: Page, tablet: TestDevice) -> None:
    page.get_by_role("link", name="丢失或停用").click()
    expect(page.locator("main")).to_contain_text("3 件文件没有传到")
    looked_at(page, "devices-lost")
    page.get_by_label("理由，永久留存").fill("11 月 25 日下午在公交车上遗失")
    page.get_by_role("button", name="停用这台平板").click()
    expect(page.locator(".notice.done")).to_contain_text("它从现在起读不到任何内容")
    looked_at(page, "devices-revoked")
    page.get_by_role("link", name="查看这台平板上的会签密钥").click()
    expect(page.get_by_role("heading", name="执法人员密钥")).to_be_visible()
    page.goto(f"{server.url}/console/devices?show=revoked")
    expect(page.locator("tbody tr")).to_contain_text("已停用")
    assert tablet.post("/pull", {"epoch": tablet.answer["epoch"], "cursors": {}}).status_code in (401, 403)


def test_where_it_takes_two_the_code_is_shown_to_the_second_only(server: TestServer, open_page: Opener) -> None:
    admin = at_tablets(server, open_page, "admin")
    admin.get_by_text("登记要不要第二人复核").click()
    admin.get_by_role("button", name="须两人").click()
    expect(admin.locator(".notice.done")).to_contain_text("今后登记平板须两人")
    asking = at_tablets(server, open_page, "staff")
    ask_for(asking, "李敏", "提交复核")
    expect(asking.locator("main")).to_contain_text("等待另一人")
    assert asking.get_by_role("button", name="同意，生成登记码").count() == 0 and asking.get_by_role("img", name="登记二维码").count() == 0
    looked_at(asking, "devices-waiting")
    second = at_tablets(server, open_page, "lead")
    looked_at(second, "devices-to-approve")
    second.get_by_role("button", name="同意，生成登记码").click()
    assert enrolled(server, scanned(second)).id
    asking.reload()
    assert "等待第二人复核" not in asking.locator("main").inner_text()


def test_what_a_second_person_refuses_makes_no_code(server: TestServer, open_page: Opener) -> None:
    asking = at_tablets(server, open_page, "staff")
    ask_for(asking, "李敏", "提交复核")
    second = at_tablets(server, open_page, "lead")
    second.get_by_role("button", name="拒绝").click()
    expect(second.locator(".notice")).to_contain_text("已拒绝，没有生成登记码")
    assert "等待第二人复核" not in second.locator("main").inner_text()
