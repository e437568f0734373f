"""Review and duplicates in a real browser: an inspection returned with its places marked, two institutions merged and parted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server.merging import decisions, duplicates
from tests.browser.conftest import Opener, faults, overflow, shot
from tests.browser.test_merge_desk import add_photo, at_desk, picture
from tests.server.test_console_review import submitted
from tests.support.conflicts import Scene
from tests.support.server import TestServer, running_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("review-desk")) as running:
        yield running


def test_an_inspection_is_returned_with_the_field_and_the_photo_marked(server: TestServer, open_page: Opener) -> None:
    scene = Scene(server)
    answers = {"answers/FIR-05": {"answer": "no", "remark": "两具过期"}, "answers/FIR-06": {"answer": "yes"}}
    record = submitted(scene, address="人民中路88号", **answers)
    add_photo(scene.a, record, picture("A", (60, 96, 92)), "inspection")
    page = at_desk(open_page, server, "lead", "罗勇")
    page.goto(f"{server.url}/console/review")
    assert faults(page) == [] and overflow(page) == 0
    shot(page, "review-queue")
    page.goto(f"{server.url}/console/review/{record}")
    page.wait_for_load_state("networkidle")
    page.locator("tr", has_text="两间教室正在上课").locator("summary").click()
    page.locator("textarea[name='remark:findings']").fill("请写明人数和科目")
    page.locator(".review-photos summary").first.click()
    page.locator(".review-photos textarea").first.fill("看不清门牌，请补拍")
    assert faults(page) == [] and overflow(page) == 0
    shot(page, "review-marking")
    page.locator("button", has_text="退回").click()
    page.wait_for_url("**/console/review?**")
    page.goto(f"{server.url}/console/review/{record}")
    said = page.locator("main").inner_text()
    assert "请写明人数和科目" in said and "看不清门牌" in said and "检查人员" in said
    shot(page, "review-returned")


def test_two_institutions_are_compared_merged_and_parted_again(server: TestServer, open_page: Opener) -> None:
    first = {"name": "长沙市芙蓉区卓远舞蹈培训中心", "address": "湖南省长沙市芙蓉区定王台街道人民中路88号嘉华大厦A栋3楼", "learners": 20}
    second = {"name": "芙蓉区桌远舞蹈培训", "address": "人民中路88号", "learners": 35}
    one, other = (
        decisions.write(server.instance.desk, "institution", None, {"area": "430102001001", **values}, by=["system"]).record
        for values in (first, second)
    )
    duplicates.catch_up(server.instance)
    page = at_desk(open_page, server, "staff", "孙丽")
    page.goto(f"{server.url}/console/duplicates")
    assert faults(page) == [] and overflow(page) == 0
    shot(page, "duplicates-list")
    page.locator("a", has_text="比对").first.click()
    assert faults(page) == [] and overflow(page) == 0
    shot(page, "duplicates-pair")
    page.fill("input[name=reason]", "电话核实是同一家")
    page.locator("button", has_text="是同一机构，合并").click()
    page.wait_for_url("**/duplicates/merged/**")
    shot(page, "duplicates-merged")
    page.fill("input[name=reason]", "看错了")
    page.locator("button", has_text="撤销合并").click()
    page.wait_for_url(f"**/duplicates/{one}/{other}")
