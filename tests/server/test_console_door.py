"""Signing in to the console, over real HTTP: passwords, the second step, sessions and their ends, wrong guesses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server import acts
from server.access import accounts, guesses, passwords, second
from server.access.accounts import Visit
from server.storage import accounts as rows
from sync.core.errors import InvalidField, SignInFailed, TooManyGuesses
from tests.support.console import PASSWORD, Browser, account, signed_in, text_of
from tests.support.server import TestServer, running_server

HERE = Visit("10.0.0.1", "test")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(server: TestServer) -> None:
    """Wrong guesses of one test hold no other up."""
    server.clock.ahead = 0
    with server.instance.database.write() as conn:
        rows.forget_guesses(conn, server.clock() + 10**12)


def login_of(server: TestServer, person: str) -> str:
    with server.instance.database.read() as conn:
        found = rows.get(conn, person)
    assert found is not None
    return found.login


# --- The first time -------------------------------------------------------------------------------------------------


def test_a_new_server_has_no_account_at_all(tmp_path: Path) -> None:
    with running_server(tmp_path) as fresh, fresh.instance.database.read() as conn:
        assert rows.every(conn) == []


def test_the_first_sign_in_sets_the_password_with_a_code_that_is_good_once(server: TestServer) -> None:
    person = server.person("staff", "430103")
    code = accounts.open_account(server.instance, person, "Erste", "13800138001", person.id)
    browser = Browser(server)
    browser.get("sign-in/first")
    said = {"login": " ERSTE ", "code": code.lower().replace("-", " "), "new": PASSWORD, "again": PASSWORD}
    assert browser.post("sign-in/first", said).headers["Location"] == "/console/"
    assert person.name in text_of(browser.get(""))
    other = Browser(server)
    other.get("sign-in/first")
    assert other.post("sign-in/first", said).status_code == 401
    assert Browser(server).sign_in("13800138001").status_code == 303


def test_a_code_that_is_a_day_old_sets_nothing(server: TestServer) -> None:
    person = server.person("staff", "430103")
    code = accounts.open_account(server.instance, person, "spaet", None, person.id)
    server.clock.ahead = accounts.CODE_MS + 1000
    with pytest.raises(SignInFailed):
        accounts.first(server.instance, "spaet", code, PASSWORD, HERE)


@pytest.mark.parametrize(
    "password",
    [
        "kurz",
        "123456789012",
        "password2026!",
        "qwertyuiop123",
        "王小明19990101",
        "aaaaaaaaaaaaaaaa",
        "长沙市天心区2026年12月",
    ],
)
def test_a_password_that_is_guessed_first_is_refused_and_the_code_stays_good(server: TestServer, password: str) -> None:
    with pytest.raises(InvalidField):
        passwords.check_strength(password, ("王小明", "长沙市天心区教育局", "长沙市天心区"))


@settings(max_examples=8, deadline=None)
@given(st.text(min_size=1, max_size=200), st.data())
def test_a_password_fits_and_one_other_character_does_not(password: str, data: st.DataObject) -> None:
    kept = passwords.hashed(password)
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    at = data.draw(st.integers(0, len(password) - 1))
    other = password[:at] + ("x" if password[at] != "x" else "y") + password[at + 1 :]
    assert passwords.fits(kept, password) and not passwords.fits(kept, other)


# --- Sessions -------------------------------------------------------------------------------------------------------


def test_a_token_from_before_signing_in_is_worth_nothing_afterwards(server: TestServer) -> None:
    person = account(server, "staff", "430103")
    browser = Browser(server)
    browser.session.cookies.set("patrolbook", "planted-by-somebody-else", domain="127.0.0.1", path="/")
    browser.sign_in(login_of(server, person.id))
    assert browser.cookie not in ("", "planted-by-somebody-else")
    other = Browser(server)
    other.session.cookies.set("patrolbook", "planted-by-somebody-else")
    assert other.get("").status_code == 303


def test_the_database_knows_no_token(server: TestServer) -> None:
    browser = signed_in(server, "staff", "430103")
    assert browser.cookie.encode() not in server.instance.settings.database_file.read_bytes()
    with server.instance.database.read() as conn:
        assert rows.session(conn, accounts.digest_of(browser.cookie)) is not None


def test_a_session_that_nobody_uses_for_a_quarter_of_an_hour_is_over(server: TestServer) -> None:
    browser = signed_in(server, "staff", "430103")
    server.clock.ahead = accounts.IDLE_MS + 1000
    gone = browser.get("account")
    assert (gone.status_code, gone.headers["Location"]) == (303, "/console/sign-in?next=/console/account")


def test_a_session_in_use_is_over_after_a_working_day(server: TestServer) -> None:
    browser = signed_in(server, "staff", "430103")
    said = []
    while server.clock.ahead < accounts.LONGEST_MS:
        server.clock.ahead += accounts.IDLE_MS - 60_000
        said.append(browser.get("account").status_code)
    assert said[-1] == 303 and set(said[:-1]) == {200}


def test_signing_out_ends_the_session_at_the_server(server: TestServer) -> None:
    browser = signed_in(server, "staff", "430103")
    token = browser.cookie
    assert browser.post("sign-out").status_code == 303
    thief = Browser(server)
    thief.session.cookies.set("patrolbook", token)
    assert thief.get("").status_code == 303


def test_a_new_password_ends_every_other_session(server: TestServer) -> None:
    person = account(server, "staff", "430103")
    here, there = Browser(server), Browser(server)
    for one in (here, there):
        one.sign_in(login_of(server, person.id))
    here.get("account")
    new = "夜航 石榴 铁皮 邮差 雨伞"
    assert here.post("account/password", {"old": PASSWORD, "new": new, "again": new}).status_code == 303
    assert (here.get("").status_code, there.get("").status_code) == (200, 303)
    assert Browser(server).sign_in(login_of(server, person.id)).status_code == 401


def test_one_of_my_sessions_can_be_ended_and_nobody_else_s(server: TestServer) -> None:
    mine, other = signed_in(server, "staff", "430103"), signed_in(server, "staff", "430103")
    named = accounts.digest_of(other.cookie).hex()
    assert mine.post("account/session", {"session": named}).status_code == 404
    assert other.get("").status_code == 200


def test_a_closed_account_is_out_at_once(server: TestServer) -> None:
    person = account(server, "staff", "430103")
    browser = Browser(server)
    browser.sign_in(login_of(server, person.id))
    accounts.close(server.instance, person.id, person.id)
    assert browser.get("").status_code == 303
    assert browser.sign_in(login_of(server, person.id)).status_code == 401


def test_a_reset_is_an_act_and_takes_password_and_sessions(server: TestServer) -> None:
    person = account(server, "staff", "430103")
    browser = Browser(server)
    browser.sign_in(login_of(server, person.id))
    accounts.reset(server.instance, person.id, person.id)
    assert browser.get("").status_code == 303
    with server.instance.database.read() as conn:
        told = [act.body["person"] for act in acts.every(conn, "", acts.ACCOUNT_RESET)]
    assert told[-1] == person.id


def test_what_happens_to_a_team_s_account_is_told_behind_the_wall_only(server: TestServer) -> None:
    person = account(server, "team", "430103")
    with server.instance.database.read() as conn:
        sides = [[act.body["person"] for act in acts.every(conn, side, acts.ACCOUNT_OPENED)] for side in ("", "sealed")]
    assert person.id not in sides[0] and person.id in sides[1]


# --- Wrong guesses --------------------------------------------------------------------------------------------------


def test_a_thousand_guesses_get_at_most_twenty_looked_at_in_an_hour(
    server: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = account(server, "staff", "430103")
    looked: list[int] = []
    monkeypatch.setattr(passwords, "fits", lambda kept, given: looked.append(1) is not None)
    began = server.clock.ahead
    for number in range(1000):
        server.clock.ahead = began + number * 3600
        with pytest.raises((SignInFailed, TooManyGuesses)):
            accounts.sign_in(server.instance, login_of(server, person.id), f"guess {number}", HERE)
    assert 5 < len(looked) <= 20


def test_after_the_wait_the_right_password_still_works(server: TestServer) -> None:
    person = account(server, "staff", "430103")
    login = login_of(server, person.id)
    browser = Browser(server)
    said = [browser.sign_in(login, "falsch falsch falsch").status_code for _ in range(guesses.FREE + 1)]
    assert said == [401] * guesses.FREE + [429]
    refused = browser.sign_in(login)
    assert refused.status_code == 429 and "秒后再试" in text_of(refused)
    server.clock.ahead += guesses.WAITS_S[-1] * 1000
    assert browser.sign_in(login).status_code == 303


def test_a_browser_of_one_s_own_is_not_held_up_by_the_guesses_of_others(server: TestServer) -> None:
    browser = signed_in(server, "staff", "430103")
    with server.instance.database.read() as conn:
        session = rows.session(conn, accounts.digest_of(browser.cookie))
        assert session is not None
        held = rows.get(conn, session.person)
        assert held is not None
    login = held.login
    browser.post("sign-out")
    for _ in range(guesses.FREE + 1):
        Browser(server).sign_in(login, "falsch falsch falsch")
    assert Browser(server).sign_in(login).status_code == 429
    assert browser.sign_in(login).status_code == 303


def test_a_name_that_nobody_has_is_answered_as_a_wrong_password_is(server: TestServer) -> None:
    person = account(server, "staff", "430103")
    known, unknown = Browser(server), Browser(server)
    pages = [
        known.sign_in(login_of(server, person.id), "falsch falsch falsch"),
        unknown.sign_in("nobody-here", "falsch falsch falsch"),
    ]
    plain = [page.text.replace(one.token, "").replace(name, "") for page, one, name in
             zip(pages, (known, unknown), (login_of(server, person.id), "nobody-here"), strict=True)]  # fmt: skip
    assert plain[0] == plain[1] and pages[0].status_code == pages[1].status_code == 401


def test_a_name_that_nobody_has_costs_the_same_work(server: TestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    verify = passwords.HASHER.verify
    monkeypatch.setattr(
        type(passwords.HASHER), "verify", lambda self, kept, given: compared.append(kept) or verify(kept, given)
    )
    with pytest.raises(SignInFailed):
        accounts.sign_in(server.instance, "nobody-at-all", PASSWORD, HERE)
    assert len(compared) == 1 and compared[0].startswith("$argon2id$v=19$m=65536,t=3,p=4$")


# --- The second step ------------------------------------------------------------------------------------------------


def with_second(server: TestServer) -> tuple[Browser, str, str, list[str]]:
    """A browser, its sign-in name, the seed, and recovery codes."""
    person = account(server, "lead", "430103")
    login = login_of(server, person.id)
    browser = Browser(server)
    browser.sign_in(login)
    seed = second.new_seed()
    browser.get("account?second=new")
    shown = browser.post("account/second", {"seed": seed, "code": now_code(server, seed)})
    assert shown.status_code == 200
    with server.instance.database.read() as conn:
        assert rows.spare_left(conn, person.id) == second.SPARE_CODES
    return browser, login, seed, re.findall(r"<li>([0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4})</li>", shown.text)


def now_code(server: TestServer, seed: str) -> str:
    return pyotp.TOTP(seed).at(server.clock() // 1000)


def test_the_second_step_is_asked_for_and_a_code_is_taken_once(server: TestServer) -> None:
    _, login, seed, _ = with_second(server)
    server.clock.ahead += 60_000
    code = now_code(server, seed)
    first, replay = Browser(server), Browser(server)
    assert first.sign_in(login).headers["Location"].startswith("/console/sign-in/second")
    assert first.get("").status_code == 303  # halfway is not in
    first.get("sign-in/second")
    halfway = first.cookie
    assert first.post("sign-in/second", {"code": code}).headers["Location"] == "/console/"
    assert first.cookie != halfway and first.get("").status_code == 200
    replay.sign_in(login, follow=True)
    assert replay.post("sign-in/second", {"code": code}).status_code == 401
    assert replay.get("").status_code == 303


def test_a_recovery_code_stands_in_for_the_phone_once(server: TestServer) -> None:
    _, login, _, spare = with_second(server)
    assert len(spare) == second.SPARE_CODES
    for expected in (303, 401):
        browser = Browser(server)
        browser.sign_in(login, follow=True)
        assert browser.post("sign-in/second", {"code": spare[0].lower()}).status_code == expected


def test_guesses_of_the_second_step_wait_as_well(server: TestServer) -> None:
    _, login, _, _ = with_second(server)
    browser = Browser(server)
    browser.sign_in(login, follow=True)
    said = [browser.post("sign-in/second", {"code": f"{n:06d}"}).status_code for n in range(guesses.FREE + 1)]
    assert said[-1] == 429 and set(said[:-1]) == {401}


def test_the_seed_lies_sealed_in_the_database(server: TestServer) -> None:
    _, login, seed, _ = with_second(server)
    with server.instance.database.read() as conn:
        kept = rows.named(conn, login)
    assert kept is not None and kept.totp is not None and seed.encode() not in kept.totp
    assert second.unseal(server.instance.keys, kept) == seed


# --- What was typed -------------------------------------------------------------------------------------------------


def test_the_language_can_be_chosen_and_stays(server: TestServer) -> None:
    browser = signed_in(server, "staff", "430103")
    assert (
        browser.post("language", {"language": "en", "next": "/console/account"}).headers["Location"]
        == "/console/account"
    )
    assert "My account" in text_of(browser.get("account"))
