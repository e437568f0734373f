"""Every page of the console × every role × where the record lies, against tables that are written out here.

Two questions: may this role do it at all (403 where not), and is this record in sight (404 where not, the same as for
one that does not exist). Both are asked over real HTTP, of every route that the application has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from schemas.base import READ_ROLES
from server.access import policy, rights
from server.access.policy import ACTIONS, Sight
from server.access.rights import ROLES
from server.console.frame import ANYBODY, PREFIX
from server.keys import ServerKeys
from server.merging import decisions
from server.storage import people
from server.storage.people import Grant
from tests.support.console import Browser, signed_in, text_of
from tests.support.server import TestServer, running_server

OWN, SIBLING, PARENT, CHILD = "430103", "430104", "4301", "430103001"

EXPECTED = {  # i inspector, o officer, v supervisor, t team, s staff, l lead, c city, p province, a admin, r oversight, d department
    "home": "iovtslcpard",
    "account": "iovtslcpard",
    "records.read": "slcpard",
    "records.write": "slcp",
    "records.export": "slcpard",
    "records.open": "slcpard",
    "views.keep": "slcpard",
    "handovers.read": "slcpar",
    "handovers.write": "slcp",
    "bundles.make": "slcp",
    "clues.read": "slcpar",
    "clues.write": "slcp",
    "informers.open": "slcp",
    "tasks.read": "slcpar",
    "tasks.write": "slcp",
    "merge.read": "slcpar",
    "merge.decide": "slcp",
    "merge.confirm": "lcp",
    "duplicates.read": "slcpar",
    "duplicates.decide": "slcp",
    "review.read": "slcpar",
    "review.decide": "slcp",
    "tracing.read": "lcpr",
    "devices.read": "slcpar",
    "devices.enrol": "slcpa",
    "devices.approve": "lcpa",
    "devices.revoke": "slcpa",
    "people.read": "lcpar",
    "people.manage": "a",
    "templates.read": "slcpar",
    "templates.write": "pa",
    "areas.read": "slcpar",
    "areas.write": "pa",
    "responsible.write": "slcp",
    "access.read": "lcpar",
    "settings.read": "ar",
    "settings.write": "a",
    "backup.make": "a",
}
LETTERS = {
    "inspector": "i", "officer": "o", "supervisor": "v", "team": "t", "staff": "s", "lead": "l", "city": "c",
    "province": "p", "admin": "a", "oversight": "r", "department": "d",
}  # fmt: skip
ONE_S_OWN = {"account"}
"""What readers may post as well: it concerns nobody but themselves."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.fixture(scope="module")
def browsers(server: TestServer) -> dict[str, Browser]:
    """Somebody of each role whose grant is on the county."""
    more = {"department": {"department": "fire"}}
    return {role: signed_in(server, role, OWN, **more.get(role, {})) for role in ROLES}


def routes(server: TestServer) -> list[tuple[str, str, str]]:
    """(method, path with made-up ids, action) of every route of the console."""
    found = []
    for rule in server.app.url_map.iter_rules():
        may = getattr(server.app.view_functions[rule.endpoint], "policy", None)
        if rule.rule.startswith(f"{PREFIX}/") and may is not None:
            path = re.sub(r"<(int|float):[^>]*>", "1", rule.rule)
            path = re.sub(
                r"<(?:[^:>]*:)?([^>]*)>",
                lambda m: "hazard" if m[1] == "kind" else "01a20000-0000-7000-8000-000000000000",
                path,
            )
            found += [(method, path, may) for method in sorted((rule.methods or set()) & {"GET", "POST"})]
    return found


def test_the_table_of_the_program_is_the_one_that_is_written_out_here() -> None:
    made = {name: "".join(LETTERS[role] for role in ROLES if role in action.roles) for name, action in ACTIONS.items()}
    assert {name: "".join(sorted(letters)) for name, letters in made.items()} == {
        name: "".join(sorted(letters)) for name, letters in EXPECTED.items()
    }
    assert LETTERS.keys() == ROLES.keys()


def test_what_the_table_does_not_name_nobody_may() -> None:
    assert not any(policy.may(role, "records.burn") for role in ROLES)
    assert not any(policy.may("stranger", action) for action in ACTIONS)


def test_roles_that_only_read_post_nothing_but_their_own_account(server: TestServer) -> None:
    for method, path, may in routes(server):
        if method == "POST" and may != ANYBODY and may not in ONE_S_OWN and ACTIONS[may].roles & READ_ROLES:
            assert may in {"views.keep", "records.export", "records.open", "tracing.read"}, path


@pytest.mark.parametrize("role", ROLES)
def test_every_page_answers_a_role_as_the_table_says(
    server: TestServer, browsers: dict[str, Browser], role: str
) -> None:
    browser = browsers[role]
    for method, path, may in routes(server):
        if may == ANYBODY or path.startswith(f"{PREFIX}/account/"):
            continue
        browser.get("account")
        response = browser.get(path) if method == "GET" else browser.post(path)
        allowed = LETTERS[role] in EXPECTED[may]
        if allowed:
            assert response.status_code not in (401, 403, 500), (method, path, role, response.status_code)
        else:
            assert response.status_code == 403, (method, path, role, response.status_code)


def test_no_page_but_the_door_is_shown_to_strangers(server: TestServer) -> None:
    for method, path, may in routes(server):
        if may == ANYBODY:
            continue
        stranger = Browser(server)
        stranger.get("sign-in")
        response = stranger.get(path) if method == "GET" else stranger.post(path)
        assert response.status_code == (303 if method == "GET" else 401), (method, path)


def test_a_role_that_ends_ends_with_the_next_request(server: TestServer) -> None:
    browser = signed_in(server, "staff", OWN, name="将离任")
    assert browser.get("devices").status_code == 200
    with server.instance.database.write() as conn:
        for grant, name in people.every_grant(conn):
            if name == "将离任":
                people.end_grant(conn, grant.id, server.clock() - 1)
    assert "没有现行授权" in text_of(browser.get("account"))
    refused = browser.get("devices")
    assert refused.status_code == 403 and "没有现行授权" in text_of(refused)


# --- Where ----------------------------------------------------------------------------------------------------------

SEES = {  # whose grant is on …, a tablet whose person's grant is on …
    OWN: {OWN: True, SIBLING: False, PARENT: False, CHILD: True},
    PARENT: {OWN: True, SIBLING: True, PARENT: True, CHILD: True},
    CHILD: {OWN: False, SIBLING: False, PARENT: False, CHILD: True},
}


@pytest.mark.parametrize("role", ["staff", "lead", "city", "province", "admin", "oversight"])
@pytest.mark.parametrize("area", SEES)
def test_a_tablet_out_of_sight_is_as_one_that_does_not_exist(server: TestServer, role: str, area: str) -> None:
    browser = signed_in(server, role, area)
    shown = browser.get("devices").text
    for where, seen in SEES[area].items():
        tablet = _tablet(server, where)
        unknown = browser.get(f"devices/{'0' * len(tablet)}")
        answer = browser.get(f"devices/{tablet}")
        assert answer.status_code == (200 if seen else 404), (role, area, where)
        assert (tablet in browser.get("devices").text) == seen
        if not seen:
            assert answer.text.replace(tablet, "0" * len(tablet)) == unknown.text
    assert shown


_TABLETS: dict[tuple[int, str], str] = {}


def _tablet(server: TestServer, area: str) -> str:
    key = (id(server), area)
    if key not in _TABLETS:
        _TABLETS[key] = server.enrol("inspector", area).id
    return _TABLETS[key]


@pytest.mark.parametrize("role", ["staff", "lead", "province", "admin", "oversight"])
def test_a_team_s_tablet_is_seen_by_those_only_whose_grant_leads_behind_the_wall(server: TestServer, role: str) -> None:
    team = server.enrol("team", OWN).id
    outside = signed_in(server, role, PARENT)
    assert outside.get(f"devices/{team}").status_code == 404
    assert team not in outside.get("devices").text
    if role in ("province", "oversight"):
        inside = signed_in(server, role, PARENT, name="墙内")
        _grant_behind(server, "墙内", role)
        assert inside.get(f"devices/{team}").status_code == 200


def _grant_behind(server: TestServer, name: str, role: str) -> None:
    with server.instance.database.write() as conn:
        for person in people.everybody(conn):
            if person.name == name and person.role == role:
                new = ServerKeys.new_id(server.clock())
                rights.grant(conn, Grant(new, person.id, PARENT, role, 0, None, "sealed"))


def test_sight_is_what_the_running_grants_say() -> None:
    grants = [
        Grant("a", "p", "430103", "staff", 0, None),
        Grant("b", "p", "430103001", "staff", 0, None),
        Grant("c", "p", "430105", "staff", 0, 100),
        Grant("d", "p", "43", "staff", 0, None, "sealed"),
    ]
    now = policy.sight_of(grants, "staff", 100)
    assert now.prefixes() == ("430103",) and now.prefixes("sealed") == ("43",)
    assert now.covers("430103002001") and not now.covers("430105001001") and not now.covers("")
    assert now.buckets() == ["area:430103", "sealed:43"]
    assert policy.sight_of(grants, "staff", 99).covers("430105001001")
    assert Sight().prefixes() == () and not Sight().covers("43") and not Sight().covers_bucket("area:43")


def test_roles_that_only_read_have_no_right_to_write() -> None:
    for role in READ_ROLES:
        grant = Grant("a", "p", "4301", role, 0, None, "", "fire" if role == "department" else "")
        assert policy.rights_at_desk([grant], role, 1).areas == ()


# --- Other departments, and what the home page counts ---------------------------------------------------------------


def test_another_department_sees_what_names_it_and_is_counted_nothing_else(server: TestServer) -> None:
    for name, more in (("名列消防", {"departments/fire": True}), ("未列消防", {}), ("别县消防", {"departments/fire": True})):
        area = (SIBLING if name == "别县消防" else OWN) + "001001"
        values = {"name": name, "area": area, "status": "operating", **more}
        decisions.write(server.instance.desk, "institution", None, values, by=["p"])
    browser = signed_in(server, "department", OWN, department="fire")
    shown = text_of(browser.get("records/institution"))
    assert "名列消防" in shown and "未列消防" not in shown and "别县消防" not in shown
    assert "共 1" in text_of(browser.get("")) and "平板" not in text_of(browser.get(""))


def test_the_home_page_counts_all_that_waits_at_the_merge_desk(server: TestServer) -> None:
    ours, theirs = server.enrol("officer", "430182"), server.enrol("officer", "430183")
    record = ServerKeys.new_id(server.clock())
    ours.push(ours.change("institution", record, {"name": "晨光", "area": "430182001001"}))
    browser = signed_in(server, "staff", "430182")
    assert "没有逾期，也没有待办" in text_of(browser.get("")) and "权限已变" not in text_of(browser.get(""))
    theirs.push(theirs.change("institution", record, {"remark": "已搬走"}))
    shown = browser.get("")
    assert "没有逾期" not in text_of(shown) and "1 权限已变" in text_of(shown) and "place=rights" in shown.text


def test_the_home_page_counts_what_is_late_and_what_tablets_still_have(server: TestServer) -> None:
    area = "430181"
    tablet = server.enrol("officer", area)
    photo = {"sha256": "ab" * 32, "size": 9, "mime": "image/jpeg"}
    hazard = {"description": "通道", "area": area + "001001", "status": "open", "grade": "general", "deadline": "2020-01-01"}
    tablet.push(tablet.change("hazard", ServerKeys.new_id(server.clock()), {**hazard, "evidence/01a2": photo}))
    browser = signed_in(server, "staff", area)
    shown = text_of(browser.get(""))
    assert "1 隐患逾期" in shown and "还有 1 件照片或文件没有传到" in shown and "0 台" not in shown
    server.clock.ahead = 25 * 3_600_000
    try:
        later = signed_in(server, "staff", area)
        assert "1 台平板超过一天没有同步，还有 1 件" in text_of(later.get(""))
    finally:
        server.clock.ahead = 0
