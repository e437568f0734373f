"""People, grants and accounts in the console, over real HTTP: within what the administrator sees, and in the log."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from server import acts
from server.storage import people
from tests.support.console import PASSWORD, Browser, account, signed_in, text_of
from tests.support.server import TestServer, running_server

COUNTY, ELSEWHERE = "430103", "430104"
CODE = re.compile(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.fixture(scope="module")
def admin(server: TestServer) -> Browser:
    """The administrator of one county."""
    return signed_in(server, "admin", COUNTY, name="王芳")


def added(admin: Browser, name: str, role: str = "staff", area: str = COUNTY, **more: str) -> str:
    """The path of a person who was added on the page."""
    admin.get("people/new")
    made = admin.post("people/new", {"name": name, "role": role, "area": area, **more})
    assert made.status_code == 303, text_of(made)
    return str(made.headers["Location"])


def test_a_person_is_added_is_given_an_account_and_signs_in(server: TestServer, admin: Browser) -> None:
    path = added(admin, "新同事")
    admin.get(path)
    shown = admin.post(f"{path}/account", {"login": "xintongshi", "phone": ""})
    code = CODE.search(shown.text)
    assert code is not None
    browser = Browser(server)
    browser.get("sign-in/first")
    said = {"login": "xintongshi", "code": code.group(), "new": PASSWORD, "again": PASSWORD}
    assert browser.post("sign-in/first", said).status_code == 303
    assert browser.get("").status_code == 200
    admin.get(path)
    admin.post(f"{path}/account/end")
    assert browser.get("").status_code == 303
    admin.get(path)
    assert CODE.search(admin.post(f"{path}/account/reset").text)
    assert browser.sign_in("xintongshi").status_code == 401
    with server.instance.database.read() as conn:
        granted = [act.body["area"] for act in acts.every(conn, "", acts.GRANTED)]
    assert COUNTY in granted


def test_a_grant_runs_to_the_end_of_its_day_and_can_be_ended(server: TestServer, admin: Browser) -> None:
    path = added(admin, "借调人员")
    admin.get(path)
    assert admin.post(f"{path}/grants", {"area": COUNTY + "001", "until": "2099-12-31"}).status_code == 303
    with server.instance.database.read() as conn:
        held = people.grants_of(conn, path.rpartition("/")[2])
    (further,) = [one for one in held if one.until is not None]
    assert further.until == 4_102_416_000_000  # 2100-01-01 in China
    admin.get(path)
    assert admin.post(f"{path}/grants/{further.id}/end").status_code == 303
    assert COUNTY + "001" not in text_of(admin.get(path))


def test_a_grant_may_begin_on_a_later_day_and_is_refused_where_it_ends_before(server: TestServer, admin: Browser) -> None:
    path = added(admin, "交叉执法人员")
    admin.get(path)
    week = {"area": COUNTY + "001", "since": "2099-12-25", "until": "2099-12-31"}
    assert admin.post(f"{path}/grants", {**week, "until": "2099-12-20"}).status_code == 400
    assert admin.post(f"{path}/grants", week).status_code == 303
    assert "2099-12-25" in text_of(admin.get(path))
    with server.instance.database.read() as conn:
        (further,) = [one for one in people.grants_of(conn, path.rpartition("/")[2]) if one.until is not None]
    assert (further.since, further.until) == (4_102_416_000_000 - 7 * 86_400_000, 4_102_416_000_000)
    assert admin.post(f"{path}/grants/{further.id}/end").status_code == 303
    assert "2099-12-25" not in text_of(admin.get(path))


@pytest.mark.parametrize("area", ["", ELSEWHERE, "43"])
def test_nobody_grants_what_they_do_not_see_themselves(admin: Browser, area: str) -> None:
    path = added(admin, f"某人{area}")
    admin.get("people/new")
    assert admin.post("people/new", {"name": "越权", "role": "staff", "area": area}).status_code == 403
    admin.get(path)
    assert admin.post(f"{path}/grants", {"area": area}).status_code == 403


def test_a_team_is_made_by_those_only_who_see_behind_the_wall(server: TestServer, admin: Browser) -> None:
    admin.get("people/new")
    assert admin.post("people/new", {"name": "青竹", "role": "team", "area": COUNTY}).status_code == 403
    with server.instance.database.read() as conn:
        assert "青竹" not in {one.name for one in people.everybody(conn)}


def test_people_elsewhere_and_behind_the_wall_are_not_there(server: TestServer, admin: Browser) -> None:
    team, elsewhere = server.person("team", COUNTY, name="暗访甲"), server.person("staff", ELSEWHERE, name="邻县乙")
    shown = text_of(admin.get("people"))
    assert "暗访甲" not in shown and "邻县乙" not in shown
    for person in (team.id, elsewhere.id):
        assert admin.get(f"people/{person}").status_code == 404
        admin.get("account")
        for what in ("account", "account/reset", "account/close", "account/end", "grants"):
            assert admin.post(f"people/{person}/{what}", {"area": COUNTY}).status_code == 404, what


def test_the_account_of_somebody_with_a_grant_elsewhere_is_kept_by_the_level_above(server: TestServer, admin: Browser) -> None:
    both = account(server, "staff", COUNTY, ELSEWHERE, name="两县共用")
    assert admin.get(f"people/{both.id}").status_code == 200
    for what in ("account", "account/reset", "account/close", "account/end"):
        refused = admin.post(f"people/{both.id}/{what}")
        assert refused.status_code == 403 and "上级管理员" in refused.text, what
    above = signed_in(server, "admin", "4301")
    above.get("account")
    assert above.post(f"people/{both.id}/account/reset").status_code == 200


@pytest.mark.parametrize(("more", "status"), [({"department": "fire"}, 303), ({}, 400), ({"department": "magic"}, 400)])
def test_another_department_is_named(admin: Browser, more: dict[str, str], status: int) -> None:
    admin.get("people/new")
    said = {"name": "陈消", "role": "department", "area": COUNTY, **more}
    assert admin.post("people/new", said).status_code == status
