"""Likely duplicates among institutions: found by the rules, shown in sight only, merged, told apart, and taken back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks import institutions as generated
from server.access.policy import Sight
from server.merging import decisions, duplicates, twins
from server.merging.twins import Institution
from server.storage import twins as rows_of
from server.storage.twins import Twins
from tests.support.console import signed_in, text_of
from tests.support.server import TestServer, running_server

COUNTY = Sight("staff", ("430102",))
NAME = "长沙市芙蓉区启文艺术培训中心"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("twins")) as running:
        yield running


def known(name: str, record: str = "b", **more: object) -> twins.Told:
    return twins.tell(Institution(record, name, "430102001001")._replace(**more))


def reasons(first: twins.Told, second: twins.Told) -> tuple[str, ...]:
    found = twins.compare(first, second)
    return found.reasons if found is not None else ()


def add(server: TestServer, name: str, area: str = "430102001001", **more: object) -> str:
    return decisions.write(
        server.instance.desk, "institution", None, {"name": name, "area": area, **more}, by=["system"]
    ).record


ADDRESS = "湖南省长沙市芙蓉区定王台街道人民中路88号嘉华大厦A栋3楼301室"


def test_characters_of_the_same_sound_an_abbreviation_and_a_short_address_are_seen_through() -> None:
    first = known(NAME, "a", address=ADDRESS)
    assert "sound" in reasons(first, known("长沙市芙蓉区起文艺术培训中心", address="人民中路88号")) or "name" in reasons(
        first, known("长沙市芙蓉区起文艺术培训中心", address="人民中路88号")
    )
    assert {"short"} <= set(reasons(first, known("启文", address="芙蓉区人民中路88号")))


def test_the_same_code_is_enough_and_different_codes_speak_against() -> None:
    one, other = "91430102MAY00001XX", "91430102MAY00002XX"
    assert reasons(known(NAME, "a", credit_code=one), known("另一个名称学堂", credit_code=one))
    assert not reasons(known(NAME, "a", credit_code=one, address=ADDRESS), known("启文", credit_code=other, address="五一大道1号"))


def test_another_branch_is_no_duplicate() -> None:
    assert not reasons(known(NAME, "a", address=ADDRESS, person="王芳"), known(f"{NAME}（河西校区）", person="王芳"))


def test_the_generated_register_keeps_its_figures() -> None:
    figures = generated.measure()
    assert figures["recall"] >= 0.97 and figures["precision"] >= 0.97


def test_what_comes_in_is_compared_with_what_is_there_and_nothing_else_is_read_again(server: TestServer) -> None:
    house = server.instance
    one = add(server, NAME, address=ADDRESS)
    duplicates.catch_up(house)
    other = add(server, "芙蓉区启文艺术培训", address="人民中路88号")
    assert duplicates.catch_up(house) == 1 and duplicates.catch_up(house) == 0
    (pair,) = [pair for pair in duplicates.waiting(house, COUNTY) if pair.other == other]
    assert pair.one == one and pair.score >= twins.LEAST
    assert duplicates.waiting(house, Sight("staff", ("430103",))) == []


def test_pairs_come_a_page_at_a_time_each_once_the_most_alike_first(server: TestServer) -> None:
    house, sight = server.instance, Sight("staff", ("430177",))
    made = [Twins(f"i-{n}", f"j-{n}", "430177001", "430177002", 60 + n % 3, ("name",), 0) for n in range(7)]
    with house.database.write() as conn:
        rows_of.keep(conn, {"i-none"}, made)
    found: list[Twins] = []
    after = None
    while found == [] or after is not None:
        pairs, after = duplicates.page(house, sight, after=after, size=3)
        found += pairs
    assert found == sorted(made, key=lambda one: (-one.score, one.one))
    browser = signed_in(server, "staff", "430177")
    assert browser.get("duplicates?after=61~i-4~j-4").text.count("/console/duplicates/i-") == 3
    assert browser.get("duplicates?after=x").text.count("/console/duplicates/i-") == 7


def pair(server: TestServer, name: str) -> tuple[str, str]:
    one, other = add(server, f"长沙市芙蓉区{name}培训中心", address=ADDRESS, learners=20), add(
        server, f"芙蓉区{name}培训", address="人民中路88号", learners=35
    )
    duplicates.catch_up(server.instance)
    return one, other


def test_staff_merge_two_see_what_differs_and_take_it_back(server: TestServer) -> None:
    one, other = pair(server, "卓远舞蹈")
    staff = signed_in(server, "staff", "430102")
    assert f"duplicates/{one}/{other}" in staff.get("duplicates").text
    shown = text_of(staff.get(f"duplicates/{one}/{other}"))
    assert "卓远舞蹈" in shown and "20 人" in shown and "35 人" in shown
    assert staff.post(f"duplicates/{one}/{other}", {"do": "merge", "survivor": one}).status_code == 400
    answer = staff.post(f"duplicates/{one}/{other}", {"do": "merge", "survivor": one, "reason": "电话核实"})
    assert answer.status_code == 303
    result = staff.get(answer.headers["Location"])
    assert "学员人数" in result.text and "/console/merge/" in result.text
    assert f"duplicates/{one}/{other}" not in staff.get("duplicates").text
    staff.post(f"duplicates/merged/{one}/{other}/undo", {"reason": "看错了"})
    assert staff.get(f"duplicates/{one}/{other}").status_code == 200
    duplicates.catch_up(server.instance)
    assert f"duplicates/{one}/{other}" in staff.get("duplicates").text


def test_not_the_same_is_remembered_even_when_everything_is_compared_again(server: TestServer) -> None:
    one, other = pair(server, "新雅书画")
    staff = signed_in(server, "staff", "430102", name="何芳")
    staff.post(f"duplicates/{one}/{other}", {"do": "apart", "reason": "两家相邻的店"})
    duplicates.catch_up(server.instance, everything=True)
    assert f"duplicates/{one}/{other}" not in staff.get("duplicates").text
    said = text_of(staff.get("duplicates?which=apart"))
    assert "两家相邻的店" in said and "何芳" in said


def test_a_neighbour_cannot_merge_what_they_do_not_see(server: TestServer) -> None:
    one, other = pair(server, "晨星围棋")
    neighbour = signed_in(server, "staff", "430103")
    assert neighbour.get(f"duplicates/{one}/{other}").status_code == 404
    answer = neighbour.post(f"duplicates/{one}/{other}", {"do": "merge", "survivor": one, "reason": "x"})
    assert answer.status_code == 404 and neighbour.get("duplicates").status_code == 200
