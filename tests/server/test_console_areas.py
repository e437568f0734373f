"""Areas by name in the console, over real HTTP: said by name with the code beside it, offered in sight, read back as codes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server.console.browsers import called
from server.register import divisions
from server.register.divisions import Row
from server.sequencer import EVERYWHERE
from server.storage import people
from tests.support.console import signed_in, text_of
from tests.support.server import TestServer, running_server

COUNTY = "430103"
NAMES = {"43": "湖南省", "4301": "长沙市", COUNTY: "天心区", "430102": "芙蓉区", "430103001": "坡子街街道", "430103002": "城南路街道"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("console")) as running:
        rows = [Row(n, code, {"code": code, "name": name}) for n, (code, name) in enumerate(NAMES.items(), 1)]
        divisions.carry_out(running.instance, rows, by=["p"], rights=EVERYWHERE)
        yield running


def test_only_areas_in_sight_are_offered(server: TestServer) -> None:
    lead = signed_in(server, "lead", COUNTY)
    assert lead.get("places/find?q=街道").json() == [["长沙市天心区城南路街道", "430103002"], ["长沙市天心区坡子街街道", "430103001"]][::-1]
    assert lead.get("places/find?q=frq").json() == []
    assert signed_in(server, "city", "4301").get("places/find?q=frq").json() == [["长沙市芙蓉区", "430102"]]


def test_the_bar_says_where_somebody_works_by_name(server: TestServer) -> None:
    assert "长沙市天心区 430103" in text_of(signed_in(server, "staff", COUNTY).get(""))
    assert "全部区划" in text_of(signed_in(server, "admin", "").get(""))
    assert "湖南省 43" in text_of(signed_in(server, "province", "43").get(""))


def test_a_grant_is_given_by_name(server: TestServer) -> None:
    admin = signed_in(server, "admin", "")
    admin.get("people/new")
    made = admin.post("people/new", {"name": "新同事", "role": "staff", "area": "坡子街"})
    assert made.status_code == 303, text_of(made)
    path = made.headers["Location"]
    with server.instance.database.read() as conn:
        (held,) = people.grants_of(conn, path.rpartition("/")[2])
    assert held.area == "430103001"
    assert "长沙市天心区坡子街街道 430103001" in text_of(admin.get(path))
    assert admin.post(f"{path}/grants", {"area": "长沙市天心区 430103000000", "until": ""}).status_code == 303
    assert "长沙市天心区 430103" in text_of(admin.get(path))


def test_a_name_that_fits_several_comes_back_with_them_and_with_what_was_typed(server: TestServer) -> None:
    admin = signed_in(server, "admin", "")
    admin.get("people/new")
    answer = admin.post("people/new", {"name": "新同事", "role": "staff", "area": "长沙街道"})
    said = text_of(answer)
    assert answer.status_code == 400 and "坡子街街道 430103001" in said and "城南路街道 430103002" in said
    assert 'value="长沙街道"' in answer.text and 'value="新同事"' in answer.text


def test_a_list_is_filtered_and_a_record_entered_by_name(server: TestServer) -> None:
    staff = signed_in(server, "staff", COUNTY)
    for name, area in (("甲", "坡子街"), ("乙", "城南路")):
        staff.get("records/institution/new")
        made = staff.post("records/institution/new", {"name": f"{name}培训学校", "area": area})
        assert made.status_code == 303, text_of(made)
    shown = text_of(staff.get("records/institution?f-area=坡子街"))
    assert "甲培训学校" in shown and "乙培训学校" not in shown and "行政区划：长沙市天心区坡子街街道" in shown
    wrong = text_of(staff.get("records/institution?f-area=街道"))
    assert "不止一处" in wrong and "此条件未使用" in wrong
    staff.get("records/institution/new")
    assert "没有名为“火星”的区划" in text_of(staff.post("records/institution/new", {"name": "丙", "area": "火星"}))


@pytest.mark.parametrize(("agent", "said"), [
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0", "Edge 131 · Windows"),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox 128 · Linux"),
    ("curl/8.5", "curl/8.5"), ("", "未知"),
])  # fmt: skip
def test_a_browser_is_called_as_people_call_it(agent: str, said: str) -> None:
    assert called(agent).zh == said
