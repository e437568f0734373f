"""The desk for people in a real browser: somebody is added with an area by name, invited, granted more until a day, and ended; one's own account."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from server.register import divisions
from server.register.divisions import Row
from server.sequencer import EVERYWHERE
from tests.browser.conftest import LAPTOP, Opener, looked_at, sign_in
from tests.support.console import PASSWORD, account
from tests.support.server import TestServer, running_server

NAMES = {"43": "湖南省", "4301": "长沙市", "430102": "芙蓉区", "430103": "天心区", "430103001": "坡子街街道", "430103002": "城南路街道"}
NEW = "梧桐 夜航 铜铃 稻田 北风"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("people")) as running:
        rows = [Row(n, code, {"code": code, "name": name}) for n, (code, name) in enumerate(NAMES.items(), 1)]
        divisions.carry_out(running.instance, rows, by=["p"], rights=EVERYWHERE)
        account(running, "admin", "", name="王芳", login="admin")
        yield running


def at_people(server: TestServer, open_page: Opener, **context: bool) -> Page:
    page = open_page(LAPTOP, **context)
    sign_in(page, server.url, "admin")
    page.goto(f"{server.url}/console/people")
    return page


def test_somebody_is_added_invited_granted_more_until_a_day_and_ended(server: TestServer, open_page: Opener) -> None:
    page = at_people(server, open_page)
    looked_at(page, "people-list")
    page.get_by_role("link", name="登记人员").click()
    page.get_by_label("姓名").fill("谢芳")
    page.get_by_label("角色").select_option(label="县级工作人员")
    page.get_by_role("combobox", name="区划").press_sequentially("txq")
    expect(page.get_by_role("option", name="长沙市天心区 430103")).to_be_visible()
    looked_at(page, "people-new-choosing", LAPTOP)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.get_by_role("combobox", name="区划").input_value() == "长沙市天心区 430103"
    page.get_by_role("button", name="登记", exact=True).click()
    expect(page.get_by_role("heading", name="谢芳")).to_be_visible()
    page.get_by_label("登录名").fill("xiefang")
    page.get_by_role("button", name="开通账号").click()
    code = re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}", page.locator("main").inner_text())
    assert code is not None
    looked_at(page, "people-code")
    _comes_in(server, open_page(LAPTOP), code[0])
    _granted(server, page)


def _comes_in(server: TestServer, page: Page, code: str) -> None:
    page.goto(f"{server.url}/console/sign-in/first")
    for label, text in (("姓名、登录名或手机号", "xiefang"), ("一次性代码", code), ("新密码", PASSWORD), ("再输一遍", PASSWORD)):
        page.get_by_label(label).fill(text)
    page.get_by_role("button", name="设置并登录").click()
    expect(page.locator(".who .where")).to_have_text("长沙市天心区 430103")


def _granted(server: TestServer, page: Page) -> None:
    """A further area until the end of a day, and ended before."""
    page.get_by_role("combobox", name="再授一个区划").fill("芙蓉")
    page.get_by_role("option", name="长沙市芙蓉区 430102").click()
    page.get_by_label("到哪天为止（含）").fill("2099-12-31")
    page.get_by_role("button", name="授权").click()
    line = page.locator("tr", has_text="芙蓉区")
    expect(line).to_contain_text("2099-12-31")
    looked_at(page, "people-one")
    line.get_by_role("button", name="结束").click()
    expect(page.locator(".notice.done")).to_contain_text("从现在起不再有效")
    assert page.locator("tr", has_text="芙蓉区").count() == 0 and page.locator("tr", has_text="天心区").count() == 1
    page.goto(f"{server.url}/console/people")
    expect(page.locator("tr", has_text="谢芳")).to_contain_text("可登录")
    looked_at(page, "people-list-filled")


def test_an_area_that_is_not_known_comes_back_with_what_was_typed_and_what_to_type(server: TestServer, open_page: Opener) -> None:
    page = at_people(server, open_page, java_script_enabled=False)
    page.get_by_role("link", name="登记人员").click()
    page.get_by_label("姓名").fill("谭明")
    page.get_by_label("角色").select_option(label="监督（人大、纪委监委）")
    page.locator("#area").fill("长沙街道")
    page.get_by_role("button", name="登记", exact=True).click()
    told = page.get_by_role("alert").inner_text()
    assert "不止一处" in told and "坡子街街道 430103001" in told and page.locator("#area").input_value() == "长沙街道"
    shown = page.locator("#name").input_value(), page.locator("#role").input_value()
    assert shown == ("谭明", "oversight")
    page.locator("#area").fill("坡子街")
    page.get_by_role("button", name="登记", exact=True).click()
    expect(page.locator("main")).to_contain_text("长沙市天心区坡子街街道 430103001")


def test_one_s_own_account_changes_its_password_and_ends_other_sessions(server: TestServer, open_page: Opener) -> None:
    account(server, "lead", "430103", name="周敏", login="zhoumin")
    other, page = open_page(LAPTOP), open_page(LAPTOP)
    for one in (other, page):
        sign_in(one, server.url, "zhoumin")
        expect(one.get_by_role("heading", name="首页")).to_be_visible()
    page.get_by_role("link", name="周敏").click()
    expect(page.locator("table").first.get_by_role("row")).to_have_count(4)  # its head, these two, and where the password was set
    page.get_by_role("button", name="结束其他登录").click()
    expect(page.locator(".notice.done")).to_contain_text("已结束 2 个登录")
    other.goto(f"{server.url}/console/")
    expect(other.get_by_role("heading", name="登录")).to_be_visible()
    for old, told in (("不是现在的", "alert"), (PASSWORD, "status")):
        page.get_by_label("现在的密码").fill(old)
        page.get_by_label("新密码").fill(NEW)
        page.get_by_label("再输一遍").fill(NEW)
        page.get_by_role("button", name="更改密码").click()
        expect(page.get_by_role(told).first).to_be_visible()
        looked_at(page, f"account-password-{told}")
    page.get_by_role("button", name="退出").click()
    sign_in(page, server.url, "zhoumin", NEW)
    expect(page.get_by_role("heading", name="首页")).to_be_visible()
