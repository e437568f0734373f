"""The door of the screens: one browser, this device, our own pages, and nobody else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from field_client.platform import serving
from field_client.ui.guard import Guard, start_url, token
from sync.core.errors import Refused
from tests.support.screens import Screen, shown


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    with shown(tmp_path_factory.mktemp("home")) as screen:
        yield screen.open()


def test_the_browser_that_was_started_is_let_in(ui: Screen) -> None:
    assert ui.get("/setup").status_code == 200


def test_a_second_browser_is_not(ui: Screen) -> None:
    with requests.Session() as other:
        other.trust_env = False
        answer = other.get(ui.origin + "/setup", timeout=60)
    assert answer.status_code == 403 and "巡查簿" not in answer.text


def test_a_start_address_opens_the_door_once(ui: Screen) -> None:
    url = start_url(ui.port, ui.secret)
    with requests.Session() as other:
        other.trust_env = False
        assert other.get(url, timeout=60).status_code == 200
        other.cookies.clear()
        assert other.get(url, timeout=60).status_code == 403
    ui.open()


def test_the_newest_start_counts_and_the_window_before_it_is_shut(ui: Screen) -> None:
    before = Screen(ui.port, ui.secret).open()
    ui.open()
    assert before.get("/setup").status_code == 403
    assert ui.get("/setup").status_code == 200


@pytest.mark.parametrize("told", ["", "00", "zz", "00" * 48])
def test_a_made_up_start_is_refused(ui: Screen, told: str) -> None:
    assert Screen(ui.port, ui.secret).get(f"/start/{told}").status_code in (403, 404)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:1", "127.0.0.1.evil.example:{port}", "0.0.0.0:{port}"])
def test_a_name_that_only_points_here_is_refused(ui: Screen, host: str) -> None:
    assert ui.get("/setup", Host=host.format(port=ui.port)).status_code == 403


def test_localhost_is_this_device_too(ui: Screen) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in ui.session.cookies.get_dict().items())
    assert ui.get("/setup", Host=f"localhost:{ui.port}", Cookie=cookie).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://localhost:{port}"},
        {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_no_other_page_sends_anything(ui: Screen, headers: dict[str, str]) -> None:
    told = {name: value.format(port=ui.port) for name, value in headers.items()}
    assert ui.post("/look", headers=told, language="en").status_code == 403
    assert 'lang="zh-CN"' in ui.get("/setup").text


@pytest.mark.parametrize("headers", [{"Origin": "http://127.0.0.1:{port}"}, {"Origin": "null", "Sec-Fetch-Site": "same-origin"}])
def test_our_own_page_does(ui: Screen, headers: dict[str, str]) -> None:
    told = {name: value.format(port=ui.port) for name, value in headers.items()}
    assert ui.post("/look", headers=told, language="zh", back="/setup").status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_no_other_page_loads_anything(ui: Screen, site: str) -> None:
    assert ui.get("/setup", Sec_Fetch_Site=site).status_code == 403
    assert ui.get("/look/patrolbook.css", Sec_Fetch_Site=site).status_code == 403


def test_a_form_cannot_be_led_to_another_site(ui: Screen) -> None:
    for there in ("https://evil.example/", "//evil.example/", "/\\evil.example"):
        answer = ui.session.post(
            ui.origin + "/look", data={"language": "zh", "back": there}, headers={"Origin": ui.origin}, allow_redirects=False, timeout=60
        )
        assert answer.headers["Location"] == "/"


def test_pages_load_nothing_from_elsewhere_and_are_kept_nowhere(ui: Screen) -> None:
    headers = ui.get("/setup").headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'") and "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"


def test_the_same_window_goes_on_after_the_program_was_killed(tmp_path: Path) -> None:
    with shown(tmp_path) as first:
        cookies = first.open().session.cookies.get_dict()
    port, secret = first.port, first.secret
    again = Guard(port, secret, tmp_path / "ui.browser")
    assert again.knows(cookies[again.cookie]) and not again.knows("")
    assert not Guard(port, secret, tmp_path / "none").knows("")


def test_the_cookie_is_for_this_browser_and_no_script(ui: Screen) -> None:
    answer = requests.get(start_url(ui.port, ui.secret), allow_redirects=False, timeout=60)
    said = answer.headers["Set-Cookie"]
    assert "HttpOnly" in said and "SameSite=Strict" in said and "Domain" not in said
    ui.open()


def test_tokens_of_another_program_open_nothing(tmp_path: Path) -> None:
    guard = Guard(1, b"s" * 32, tmp_path / "b")
    assert not guard.accepts(token(b"t" * 32)) and guard.accepts(told := token(b"s" * 32)) and not guard.accepts(told)


# ---- one server for each home ----------------------------------------------------------------------------------


def test_a_second_start_finds_the_first(tmp_path: Path) -> None:
    assert serving.running(tmp_path) is None
    with serving.listening(tmp_path, 0) as (_, running):
        assert serving.running(tmp_path) == running
        with pytest.raises(Refused), serving.listening(tmp_path, 0):
            pass
    assert serving.running(tmp_path) is None


def test_what_a_killed_program_left_does_not_keep_the_next_from_starting(tmp_path: Path) -> None:
    with serving.listening(tmp_path, 0):
        left = (tmp_path / "ui.json").read_bytes()
    (tmp_path / "ui.json").write_bytes(left)
    assert serving.running(tmp_path) is None
    with serving.listening(tmp_path, 0) as (_, running):
        assert serving.running(tmp_path) == running


def test_a_taken_port_is_named_and_the_usual_one_gives_way(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Refused, match=str(port)), serving.listening(tmp_path, port):
            pass


def test_only_the_owner_reads_the_secret_of_starts(tmp_path: Path) -> None:
    with serving.listening(tmp_path, 0):
        assert (tmp_path / "ui.json").stat().st_mode & 0o077 == 0
