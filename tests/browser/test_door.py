"""The door in a real browser: the first password, the second step on a phone, guesses that wait, a session that ends in mid-form."""

from __future__ import annotations

import io
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from custody.pictures import qr
from server.access import accounts
from tests.browser.conftest import LAPTOP, Opener, looked_at, sign_in
from tests.support.console import PASSWORD, account
from tests.support.server import TestServer, running_server

COUNTY = "430102"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("door")) as running:
        yield running


@pytest.fixture
def page(open_page: Opener) -> Page:
    return open_page(LAPTOP)


def totp(server: TestServer, seed: str) -> str:
    """What the phone shows when the server's clock is where it is."""
    return str(pyotp.TOTP(seed).at(server.clock() // 1000))


def test_the_first_password_is_set_with_a_code_and_leads_home(server: TestServer, page: Page) -> None:
    person = server.person("staff", COUNTY, name="谢芳")
    code = accounts.open_account(server.instance, person, "xiefang", None, person.id)
    page.goto(f"{server.url}/console/")
    looked_at(page, "door-sign-in")
    page.get_by_role("link", name="第一次登录").click()
    page.get_by_label("姓名、登录名或手机号").fill("xiefang")
    page.get_by_label("一次性代码").fill(code.lower())
    page.get_by_label("新密码").fill(PASSWORD)
    page.get_by_label("再输一遍").fill(PASSWORD + "x")
    page.get_by_role("button", name="设置并登录").click()
    expect(page.get_by_role("alert")).to_contain_text("两次输入不一样")
    assert page.get_by_label("一次性代码").input_value() == code.lower(), "only the passwords are typed again"
    looked_at(page, "door-first")
    page.get_by_label("新密码").fill(PASSWORD)
    page.get_by_label("再输一遍").fill(PASSWORD)
    page.get_by_role("button", name="设置并登录").click()
    expect(page.get_by_role("heading", name="首页")).to_be_visible()


def test_a_phone_is_scanned_in_and_asked_for_from_then_on(server: TestServer, page: Page) -> None:
    account(server, "lead", COUNTY, name="周敏", login="zhoumin")
    sign_in(page, server.url, "zhoumin")
    page.get_by_role("link", name="周敏").click()
    looked_at(page, "account")
    page.get_by_role("link", name="开启两步验证").click()
    looked_at(page, "account-second")
    (text,) = qr.texts(Image.open(io.BytesIO(page.get_by_role("img", name="验证器的二维码").screenshot())))
    told = urlsplit(text)
    (seed,) = parse_qs(told.query)["secret"]
    assert told.scheme == "otpauth" and "zhoumin" in told.path
    page.get_by_label("6 位数字").fill("000000")
    page.get_by_role("button", name="开启").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert seed[:4] in page.locator("main").inner_text(), "the same picture stands there after a slip"
    page.get_by_label("6 位数字").fill(totp(server, seed))
    page.get_by_role("button", name="开启").click()
    expect(page.get_by_role("heading", name="恢复码：只显示这一次")).to_be_visible()
    looked_at(page, "account-recovery-codes")
    spare = page.locator("ul.codes li").first.inner_text()
    page.get_by_role("button", name="退出").click()
    _past_the_second_step(server, page, seed, spare)


def _past_the_second_step(server: TestServer, page: Page, seed: str, spare: str) -> None:
    sign_in(page, server.url, "zhoumin")
    expect(page.get_by_role("heading", name="两步验证")).to_be_visible()
    page.get_by_label("验证码").fill("111111")
    page.get_by_role("button", name="继续").click()
    expect(page.get_by_role("alert")).to_be_visible()
    looked_at(page, "door-second-wrong")
    server.clock.ahead += 30_000  # a code is taken once: the phone shows the next one
    page.get_by_label("验证码").fill(totp(server, seed))
    page.get_by_role("button", name="继续").click()
    expect(page.get_by_role("heading", name="首页")).to_be_visible()
    page.get_by_role("button", name="退出").click()
    sign_in(page, server.url, "zhoumin")
    page.get_by_label("验证码").fill(spare)
    page.get_by_role("button", name="继续").click()
    expect(page.get_by_role("heading", name="首页")).to_be_visible()


def test_wrong_guesses_wait_longer_and_then_the_right_password_opens(server: TestServer, page: Page) -> None:
    account(server, "staff", COUNTY, name="何芳", login="hefang")
    for _ in range(5):
        sign_in(page, server.url, "hefang", "不是这个密码")
        expect(page.get_by_role("alert")).to_be_visible()
    assert page.get_by_label("姓名、登录名或手机号").input_value() == "hefang"
    sign_in(page, server.url, "hefang")
    expect(page.get_by_role("alert")).to_contain_text("秒")
    looked_at(page, "door-waits")
    server.clock.ahead += 20_000
    sign_in(page, server.url, "hefang")
    expect(page.get_by_role("heading", name="首页")).to_be_visible()


def test_a_session_that_ends_in_mid_form_keeps_what_was_typed_and_offers_it_in_words(server: TestServer, page: Page) -> None:
    account(server, "staff", COUNTY, name="孙丽", login="sunli")
    sign_in(page, server.url, "sunli")
    page.goto(f"{server.url}/console/records/institution/new")
    page.get_by_label("机构名称").fill("芙蓉区启航艺术培训学校")
    page.get_by_role("combobox", name="行政区划").fill("430102001001")
    page.get_by_label("状态").select_option(label="正常办学")
    page.get_by_label("备注").fill("第一行\n第二行：电话里说下周搬走")
    server.clock.ahead += 16 * 60_000
    page.get_by_role("button", name="保存").click()
    expect(page.get_by_text("已填写的内容保留着")).to_be_visible()
    looked_at(page, "door-session-ended")
    page.get_by_label("姓名、登录名或手机号").fill("sunli")
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_role("button", name="登录", exact=True).click()
    expect(page.get_by_role("heading", name="这份表单还没有提交")).to_be_visible()
    said = page.locator("main").inner_text()
    assert "机构名称" in said and "芙蓉区启航艺术培训学校" in said and "正常办学" in said and "第二行：电话里说下周搬走" in said
    assert "seen" not in said and "operating" not in said and "Label" not in said
    looked_at(page, "door-send-it-now")
    page.get_by_role("button", name="提交").click()
    expect(page.get_by_role("heading", name="芙蓉区启航艺术培训学校")).to_be_visible()
    assert "第二行：电话里说下周搬走" in page.locator("main").inner_text()


def test_the_door_speaks_english_on_demand(server: TestServer, page: Page) -> None:
    page.goto(f"{server.url}/console/sign-in")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    looked_at(page, "door-english", LAPTOP)
