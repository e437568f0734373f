"""督学、社会监督员 on the tablet: they read what an enforcement organ writes, write patrol notes, and do a task with one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import expect

from server.merging import decisions
from server.register.editions import Writing
from server.work import tasks
from sync.core.rules import Rights
from tests.browser.conftest import TABLET, UPRIGHT, Opener, Size
from tests.browser.test_tablet import check, enter
from tests.support.patrols import held
from tests.support.screens import Screen, shown
from tests.support.server import TestServer, running_server

AREA = "430102001001"
SCHOOL = "长沙市芙蓉区学雅口才培训学校有限公司"
STAFF = Writing(["s-1"], Rights("staff", ("43",), deciding=True))
FORMAL = ("开始检查", "登记隐患", "现场核实无误", "疑似点位", "核对并签字", "复查拍照")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    with running_server(tmp_path / "server") as running:
        yield running


@pytest.fixture
def records(server: TestServer) -> dict[str, str]:
    """An institution with an inspection that is under way, a hazard, and a visit that the supervisor is to make."""
    house = server.instance
    said = {"name": SCHOOL, "area": AREA, "address": "人民中路3号1楼", "status": "operating"}
    school = decisions.write(house.desk, "institution", None, said, by=["s-1"]).record
    at = {"institution": school, "area": AREA}
    visit = {**at, "name": SCHOOL, "mode": "patrol", "status": "draft", "started_at": "2026-11-25T02:00:00.000Z", "findings": "两间教室正在上课"}
    hazard = {**at, "description": "疏散通道堆放桌椅", "grade": "general", "status": "open", "deadline": "2099-12-03"}
    made = {kind: decisions.write(house.desk, kind, None, values, by=["s-1"]).record for kind, values in (("inspection", visit), ("hazard", hazard))}
    (task,) = tasks.plan(house, STAFF, [{"record": school, "name": SCHOOL, "area": AREA, "address": "人民中路3号1楼"}], tasks.Order("visit", {"to": "area"}, "2099-12-05"))
    return {"institution": school, "task": task, **made}


@pytest.fixture
def screen(server: TestServer, records: dict[str, str], tmp_path: Path) -> Iterator[Screen]:
    person = server.person("supervisor", "430102", name="郑督学")
    with shown(tmp_path / "home") as ui:
        yield ui.open().enrol(server.url, server.code(person))


@pytest.mark.parametrize("size", [TABLET, UPRIGHT], ids=["lying", "upright"])
def test_a_supervisor_reads_what_is_formal_and_does_a_visit_with_a_patrol_note(
    server: TestServer, screen: Screen, records: dict[str, str], open_page: Opener, size: Size
) -> None:
    page = open_page(size)
    enter(page, screen)
    page.goto(f"{screen.origin}/setup/filling")
    page.wait_for_url(f"{screen.origin}/", timeout=30_000)
    for name, address, told in (
        ("institution", f"/institutions/{records['institution']}", SCHOOL),
        ("institutions", "/institutions", SCHOOL),
        ("inspection", f"/inspections/{records['inspection']}", "两间教室正在上课"),
        ("hazard", f"/hazards/{records['hazard']}", "疏散通道堆放桌椅"),
    ):
        page.goto(screen.origin + address)
        expect(page.locator("main")).to_contain_text(told)
        assert "您的角色可以查看，不能填写" in page.locator("body").inner_text(), name
        assert not [one for one in FORMAL if one in page.locator("main").inner_text()], name
        check(page, f"supervisor-{name}")
    page.goto(f"{screen.origin}/")
    page.locator(".pair a.line", has_text=SCHOOL).tap()
    check(page, "supervisor-task")
    page.locator("a", has_text="写巡查记录").tap()
    assert SCHOOL in page.input_value("#spot")
    page.fill("#seen", "大门开着，一楼两间教室在上课，约三十名学生")
    page.locator("form[data-keep=patrol] button.primary").tap()
    expect(page.locator("main")).to_contain_text("约三十名学生")
    page.goto(f"{screen.origin}/tasks/{records['task']}")
    expect(page.locator("main")).to_contain_text("为此任务写的巡查记录")
    screen.post("/sync/now")
    page.wait_for_function("async () => (await (await fetch('/sync/state.json', {headers: {Accept: 'application/json'}})).json()).waiting === 0", timeout=30_000)
    ((note, said),) = ((record, one) for record, one in held(server).items() if "seen" in one)
    assert list(said["institution"].values()) == [records["institution"]]
    task = held(server)[records["task"]]
    assert "done" in task["status"].values() and f"patrol_notes/{note}" in task


def test_what_a_supervisor_may_not_write_is_refused_before_it_is_written(screen: Screen, records: dict[str, str]) -> None:
    assert screen.seats is not None
    with closing(screen.seats.current.tablet()) as tablet:
        assert tablet.sync().complete
        queued, new = tablet.store.outbox.queued(), tablet.store.clock.new_id()
        for address, form in (
            ("/inspections", {"institution": records["institution"], "record": new}),
            ("/hazards", {"institution": records["institution"], "record": new, "description": "灭火器过期"}),
            ("/institutions", {"name": "楼上的舞蹈班", "area": AREA, "record": new}),
            (f"/institutions/{records['institution']}/verified", {}),
            (f"/inspections/{records['inspection']}/fields/findings", {"value": "改写", "base": ""}),
        ):
            answer = screen.post(address, **form)
            assert (answer.status_code, "请写巡查记录" in answer.text) == (409, True), address
        assert not tablet.store.knows(new) and tablet.store.outbox.queued() == queued
