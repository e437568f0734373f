"""What a hostile page, a hostile name and a hostile header get from the console, over real HTTP: nothing."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import screens
from server.access import accounts
from server.console.frame import ANYBODY, PREFIX
from server.console.problems import LARGEST_KEPT
from tests.support.console import PASSWORD, Browser, account, signed_in, text_of
from tests.support.server import TestServer, running_server

AREA = "430103"
ROOT = Path(__file__).parents[2]
NASTY = "<script>alert(1)</script>\"><img src=x onerror=alert(1)>'{{7*7}}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.fixture(scope="module")
def admin(server: TestServer) -> Browser:
    return signed_in(server, "admin", "", name="王芳")


@pytest.fixture(autouse=True)
def _fresh(server: TestServer) -> None:
    server.clock.ahead = 0


def posts(server: TestServer) -> list[str]:
    """Every path of the console that takes a form, with made-up ids."""
    return [path for path, methods, _ in paths(server) if "POST" in methods]


def paths(server: TestServer) -> list[tuple[str, set[str], str]]:
    found = []
    for rule in server.app.url_map.iter_rules():
        may = getattr(server.app.view_functions[rule.endpoint], "policy", None)
        if rule.rule.startswith(f"{PREFIX}/") and may is not None:
            path = re.sub(r"<(int|float):[^>]*>", "1", rule.rule)
            found.append((re.sub(r"<[^>]*>", "hazard", path), set(rule.methods or ()), may))
    return found


# --- Forms from elsewhere ---------------------------------------------------------------------------------------------


def test_every_form_needs_the_token_of_this_browser(server: TestServer, admin: Browser) -> None:
    stranger = Browser(server)
    stranger.get("sign-in")
    for path in posts(server):
        for token in ("", "0" * 64, stranger.token):
            assert admin.post(path, token=token).status_code == 403, path
    assert admin.get("account").status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_form_from_another_site_is_refused_even_with_the_token(
    server: TestServer, admin: Browser, header: dict[str, str]
) -> None:
    admin.get("account")
    for path in posts(server):
        assert admin.post(path, headers=header).status_code == 403, path


def test_the_token_of_one_session_is_worth_nothing_in_another(server: TestServer, admin: Browser) -> None:
    other = signed_in(server, "admin", "")
    other.get("account")
    assert admin.post("account/sessions", token=other.token).status_code == 403


def test_signing_in_needs_a_token_too_so_nobody_is_signed_in_as_somebody_else(server: TestServer) -> None:
    person = account(server, "staff", AREA, login="forced")
    assert person.id
    assert Browser(server).post("sign-in", {"login": "forced", "password": PASSWORD}, token="0" * 64).status_code == 403


def test_getting_a_page_changes_nothing(server: TestServer, admin: Browser) -> None:
    def held() -> list[Any]:
        with server.instance.database.read() as conn:
            names = [
                row[0]
                for row in conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            ]
            return [
                (name, conn.exec_driver_sql(f'SELECT * FROM "{name}"').fetchall())
                for name in names
                if name != "sessions" and not name.startswith("sqlite_")
            ]

    for path, _, _ in paths(server):  # what is made once is made now
        admin.get(path)
    before = held()
    for path, methods, _ in paths(server):
        if "GET" in methods:
            admin.get(path)
    assert held() == before


@pytest.mark.parametrize("method", ["TRACE", "PUT", "DELETE", "PATCH", "NONSENSE"])
def test_other_methods_are_refused(server: TestServer, admin: Browser, method: str) -> None:
    answer = admin.session.request(method, f"{server.url}/console/devices", timeout=10)
    assert answer.status_code in (405, 501)


# --- Headers ----------------------------------------------------------------------------------------------------------


def test_every_page_says_what_it_may_load_and_that_nobody_keeps_it(server: TestServer, admin: Browser) -> None:
    pages = [path for path, methods, _ in paths(server) if "GET" in methods]
    for browser in (admin, Browser(server)):
        for path in [*pages, "/console/nothing-here"]:
            answer = browser.get(path)
            assert answer.headers["X-Content-Type-Options"] == "nosniff", path
            assert "no-store" in answer.headers["Cache-Control"], path
            if answer.headers["Content-Type"].startswith("text/html") and answer.status_code != 303:
                assert {name: answer.headers[name] for name in screens.HEADERS} == dict(screens.HEADERS), path
    policy = screens.HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy and "default-src 'none'" in policy and "frame-ancestors 'none'" in policy


def test_no_template_holds_a_script_a_style_or_a_handler() -> None:
    for file in [*(ROOT / "server/console/templates").rglob("*.html"), *(ROOT / "screens/templates").rglob("*.html")]:
        text = file.read_text()
        markup = re.sub(r"\{[{%#].*?[}%#]\}", "", text, flags=re.DOTALL)
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style\b|\sstyle=|\son[a-z]+=|javascript:", markup), file.name
        assert not re.search(r"\|\s*safe\b", text), file.name


def test_cookies_are_kept_from_scripts_and_from_other_sites(server: TestServer) -> None:
    person = account(server, "staff", AREA)
    with server.instance.database.read() as conn:
        from server.storage import accounts as rows

        held = rows.get(conn, person.id)
    assert held is not None
    browser = Browser(server)
    browser.get("sign-in")
    answer = browser.post("sign-in", {"login": held.login, "password": PASSWORD})
    said = answer.raw.headers.getlist("Set-Cookie")
    assert any(one.startswith("patrolbook=") for one in said)
    for one in said:
        assert "HttpOnly" in one and "SameSite=Strict" in one and "Path=/" in one and "Domain" not in one, one


def test_behind_tls_cookies_are_bound_to_this_host(server: TestServer) -> None:
    client = server.app.test_client()
    answer = client.get("/console/sign-in", base_url="https://patrol.example", headers={"Accept": "text/html"})
    (cookie,) = answer.headers.getlist("Set-Cookie")
    assert cookie.startswith("__Host-patrolbook-door=") and "Secure" in cookie


def test_a_false_host_name_gets_into_no_answer(server: TestServer, admin: Browser) -> None:
    for path in ("/", "/console/", "/console/sign-in", "/console/devices", "/console/nothing"):
        answer = admin.session.get(
            server.url + path, headers={"Host": "evil.example"}, allow_redirects=False, timeout=10
        )
        assert "evil.example" not in answer.text + str(answer.headers), path


def test_a_header_that_is_split_does_not_pass(server: TestServer) -> None:
    split = urlsplit(server.url)
    with socket.create_connection((split.hostname or "", split.port or 0), timeout=10) as line:
        line.sendall(
            b"GET /console/sign-in?next=/console/%0d%0aSet-Cookie:%20x=y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        answer = b""
        while piece := line.recv(65536):
            answer += piece
    assert b"\r\nSet-Cookie: x=y" not in answer


# --- Where it leads ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\evil.example", "/console/../../evil", "/console//evil.example/..", "javascript:alert(1)",
     "/console/\r\nLocation: //evil", "/api/v1/capabilities", "", "console/"],
)  # fmt: skip
def test_after_signing_in_nobody_is_led_elsewhere(server: TestServer, target: str) -> None:
    person = account(server, "staff", AREA, login=f"led-{abs(hash(target))}")
    assert person.id
    browser = Browser(server)
    browser.get("sign-in")
    answer = browser.post("sign-in", {"login": f"led-{abs(hash(target))}", "password": PASSWORD, "next": target})
    assert answer.status_code == 303
    led = urlsplit(answer.headers["Location"])
    assert not led.netloc and not led.scheme and led.path.startswith("/console/")
    assert "evil" not in answer.headers["Location"] or target == "/console/../../evil"


# --- What somebody else typed -----------------------------------------------------------------------------------------


def test_what_people_type_is_shown_and_never_run(server: TestServer) -> None:
    person = server.person("inspector", AREA, name=NASTY)
    device = server.enrol("inspector", AREA)
    with server.instance.database.write() as conn:
        conn.exec_driver_sql("UPDATE devices SET name = ?, model = ? WHERE id = ?", (NASTY, NASTY, device.id))
        conn.exec_driver_sql("UPDATE people SET name = ? WHERE id = ?", (NASTY, device.answer["person"]["id"]))
    device.push(
        device.change(
            "hazard", accounts.secrets.token_hex(16), {"description": NASTY, "area": AREA + "001001", "status": "open"}
        )
    )
    admin = signed_in(server, "admin", "", name=NASTY)
    own = [path for path, methods, may in paths(server) if "GET" in methods and may != ANYBODY]
    for path in [*own, f"/console/devices/{device.id}", f"/console/devices/{device.id}/lost", f"/console/account?second={NASTY}",
                 f"/console/devices?show={NASTY}", f"/console/devices/new?person={person.id}", f"/console/{NASTY}"]:  # fmt: skip
        answer = admin.get(path)
        assert (
            "<script>alert" not in answer.text and "<img src=x" not in answer.text and "49" not in _between(answer.text)
        ), path
    assert "alert(1)" in text_of(admin.get(f"devices/{device.id}"))  # it is there, as text


def _between(text: str) -> str:
    """What stands where the template expression was."""
    found = re.search(r"onerror=alert\(1\)(?:&gt;|>)(?:&#39;|')(.{0,7})", text)
    return found.group(1) if found else ""


# --- What was typed ---------------------------------------------------------------------------------------------------


def test_a_session_that_ends_in_a_form_keeps_what_was_typed_and_offers_it_again(server: TestServer) -> None:
    person = account(server, "admin", "", login="typing")
    assert person.id
    tablet = server.enrol("inspector", AREA)
    browser = Browser(server)
    browser.sign_in("typing")
    browser.get(f"devices/{tablet.id}/lost")
    server.clock.ahead += accounts.IDLE_MS + 1000
    reason = "丢在公交车上\n第二行 <b>&"
    shown = browser.post(f"devices/{tablet.id}/revoke", {"reason": reason})
    assert shown.status_code == 401 and "已填写的内容保留着" in text_of(shown)
    kept = _value(shown.text, "kept")
    offered = browser.post("sign-in", {"login": "typing", "password": PASSWORD, "kept": kept})
    assert offered.status_code == 200 and "这份表单还没有提交" in text_of(offered)
    assert browser.get(f"devices/{tablet.id}").text.count("丢在公交车上") == 0  # nothing is done unasked
    browser.get("account")
    done = browser.post(f"devices/{tablet.id}/revoke", {"reason": _area(offered.text, "reason")})
    assert done.status_code == 303
    assert "丢在公交车上 第二行 <b>&" in text_of(browser.get(f"devices/{tablet.id}"))


def test_what_is_kept_leads_to_no_other_site_and_holds_no_password(server: TestServer) -> None:
    person = account(server, "admin", "", login="kept")
    assert person.id
    for hostile in (
        '{"path":"https://evil.example/","fields":[["a",["b"]]],"files":false}',
        '{"path":"//evil.example","fields":[],"files":false}',
        '{"path":"/console/account/password","fields":[["old",["x"]]],"files":false}',
        '{"path":["/console/"],"fields":[],"files":false}', "[]", "null", "{", '"text"',
    ):  # fmt: skip
        browser = Browser(server)
        browser.get("sign-in")
        answer = browser.post("sign-in", {"login": "kept", "password": PASSWORD, "kept": hostile})
        assert (answer.status_code, answer.headers.get("Location")) == (303, "/console/"), hostile
    browser.get("account")
    server.clock.ahead += accounts.IDLE_MS + 1000
    shown = browser.post("account/password", {"old": PASSWORD, "new": PASSWORD, "again": PASSWORD})
    assert shown.status_code == 401 and PASSWORD not in shown.text


def test_a_very_long_form_is_not_carried_along(server: TestServer) -> None:
    tablet = server.enrol("inspector", AREA)
    browser = Browser(server)
    browser.get("sign-in")
    shown = browser.post(f"devices/{tablet.id}/revoke", {"reason": "x" * LARGEST_KEPT})
    assert shown.status_code == 401 and "xxxx" not in shown.text


def test_a_page_from_before_signing_in_anew_asks_again_instead_of_failing(server: TestServer) -> None:
    person = account(server, "admin", "", login="again")
    assert person.id
    tablet = server.enrol("inspector", AREA)
    browser = Browser(server)
    browser.sign_in("again")
    browser.get(f"devices/{tablet.id}/lost")
    old = browser.token
    browser.post("sign-out")
    browser.sign_in("again")
    answer = browser.post(f"devices/{tablet.id}/revoke", {"reason": "换新"}, token=old, headers={"Origin": server.url})
    assert answer.status_code == 403 and "这份表单还没有提交" in text_of(answer) and "换新" in answer.text


def _value(text: str, name: str) -> str:
    from html import unescape

    found = re.search(rf'name="{name}" value="([^"]*)"', text)
    assert found is not None
    return unescape(found.group(1))


def _area(text: str, name: str) -> str:
    from html import unescape

    found = re.search(rf'<textarea name="{name}" hidden>\n(.*?)</textarea>', text, re.S)
    assert found is not None
    return unescape(found.group(1))


# --- The same rules for the second person -----------------------------------------------------------------------------


def test_where_it_takes_two_the_one_who_asked_cannot_agree(server: TestServer) -> None:
    admin, lead = signed_in(server, "admin", "", name="一"), signed_in(server, "lead", AREA, name="二")
    other = signed_in(server, "lead", "430104", name="别县")
    person = server.person("inspector", AREA, name="新人")
    admin.get("devices")
    admin.post("devices/enrolment", {"two": "1"})
    lead.get("devices/new")
    said = {"person": person.id, "hours": "2", "address": "https://patrol.example.gov.cn"}
    assert lead.post("devices/new", said).status_code == 303
    shown = lead.get("devices").text
    assert "等待另一人" in shown and "/approve" not in shown
    path = re.search(r"/console/devices/invitations/[^/]+/approve", admin.get("devices").text)
    assert path is not None
    assert lead.post(path.group()).status_code == 403
    other.get("devices")
    assert other.post(path.group()).status_code == 404
    made = admin.post(path.group())
    assert made.status_code == 200 and re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}", made.text)
    assert admin.post(path.group()).status_code == 404  # once
    admin.post("devices/enrolment", {"two": "0"})


def test_a_code_from_the_page_enrols_a_tablet_and_the_page_then_shows_it(server: TestServer) -> None:
    lead = signed_in(server, "lead", AREA)
    person = server.person("inspector", AREA, name="二维码")
    lead.get("devices/new")
    made = lead.post("devices/new", {"person": person.id, "hours": "2", "address": "https://patrol.example.gov.cn"})
    code = re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}", made.text)
    assert code is not None
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    claim = server.claim(code.group(), Ed25519PrivateKey.generate())
    assert server.session.post(f"{server.url}/api/v1/enrol", json=claim, timeout=30).status_code == 200
    assert "二维码" in text_of(lead.get("devices"))
