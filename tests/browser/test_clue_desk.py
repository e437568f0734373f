"""The desks for clues and tasks in a real browser, as staff use them: received, linked, assigned, closed; visits planned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.merging import decisions
from server.register import sheets
from tests.browser.conftest import WIDE, Opener, Size, faults, overflow, shot
from tests.browser.test_merge_desk import at_desk
from tests.support.server import TestServer, running_server

AREA = "430102001001"
NAMES = ("学雅口才培训学校", "卓远舞蹈培训中心", "育才美术工作室", "启航围棋", "明德书画", "童心机器人", "博文音乐", "优学体能")
SAID = (
    ("学雅口才", "周末在三楼给初中生补数学，约三十人", "smouldering", "snapshot", "2026-11-28"),
    ("卓远舞蹈", "负责人失联，家长在门口聚集", "blow_up", "hotline", "2020-01-02"),
    ("人民中路茶馆后面二楼", "早晚有学生进出，没有招牌", "ordinary", "supervisor", "2099-12-10"),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("clue-desk")) as running:
        desk = running.instance.desk
        for number, name in enumerate(NAMES):
            values = {"name": f"芙蓉区{name}", "area": AREA, "address": f"人民中路{number * 8 + 4}号{number % 4 + 1}楼", "status": "operating", "category": "art"}
            decisions.write(desk, "institution", None, values, by=["system"])
        for subject, text, urgency, source, due in SAID:
            values = {"subject": subject, "text": text, "urgency": urgency, "source": source, "due": due, "area": AREA,
                      "status": "received", "received_at": "2026-11-25T02:00:00.000Z", "type": "disguised"}  # fmt: skip
            decisions.write(desk, "clue", None, values, by=["system"])
        running.person("officer", "430102", name="李敏")
        running.person("inspector", AREA, name="王强")
        decisions.write(desk, "grid", None, {"name": "定王台 03 网格", "area": AREA, "keeper": "王强"}, by=["system"])
        yield running


def test_a_clue_is_received_linked_assigned_and_closed(server: TestServer, open_page: Opener) -> None:
    page = at_desk(open_page, server, "staff", "孙丽")
    page.goto(f"{server.url}/console/clues?which=received")
    assert page.locator("tbody tr").first.inner_text().startswith("卓远舞蹈"), "what is most overdue comes first"
    assert faults(page) == [] and overflow(page) == 0
    shot(page, "clues-list")
    page.locator("a", has_text="受理线索").click()
    assert faults(page) == [] and overflow(page) == 0
    shot(page, "clues-new")
    page.fill("[name=subject]", "明德书画")
    page.fill("[name=text]", "暑假一次收了一年的费用，现在不退，举报人已要求三次")
    page.select_option("[name=source]", "letter")
    page.fill("[name=area]", AREA)
    page.fill("[name=informer-name]", "周海棠")
    page.fill("[name=informer-phone]", "0731-5550199")
    page.locator("main button", has_text="受理").click()
    assert "可能指向举报人" in page.locator(".notice.warn").inner_text()
    page.locator(".lines button", has_text="关联").first.click()
    assert "芙蓉区明德书画" in page.locator("main").inner_text()
    assert "周海棠" not in page.content()
    assert faults(page) == [] and overflow(page) == 0
    shot(page, "clues-one")
    page.select_option("#to", label="李敏（执法人员）")
    page.locator("button", has_text="分派").click()
    assert "已分派待核实" in page.locator("main").inner_text() and "核实线索 · 李敏" in page.locator("main").inner_text()
    page.locator("summary", has_text="直接写明结论").click()
    page.select_option("#outcome", "confirmed")
    page.fill("#result", "收据显示一次收取十二个月")
    page.locator("button", has_text="写明结论").click()
    page.fill("#disposal", "已约谈，承诺十日内退费")
    shot(page, "clues-verified")
    page.locator("button", has_text="办结").click()
    page.fill("#purpose", "电话答复退费进度")
    page.locator("button", has_text="查看").click()
    assert "0731-5550199" in page.locator("main").inner_text()
    assert faults(page) == [] and overflow(page) == 0
    shot(page, "clues-closed")


def test_a_table_of_clues_is_previewed_and_taken_in(server: TestServer, open_page: Opener, tmp_path: Path) -> None:
    file = tmp_path / "热线工单.xlsx"
    head = ["反映对象", "反映内容", "紧急程度", "来源", "工单号", "受理时间", "举报人", "办结人"]
    rows = [[f"第 {n} 家", "收费不退", "一般", "12345 热线", f"T-{n}", "2026-11-20 09:30", "某某", "甲"] for n in range(1, 6)]
    sheets.write_xlsx(file, [head, *rows, ["第 6 家", "", "很急", "12345 热线", "T-6", "昨天", "", ""]], "线索")
    page = at_desk(open_page, server, "lead", "罗勇")
    page.goto(f"{server.url}/console/clues/import")
    assert faults(page) == [] and overflow(page) == 0
    shot(page, "clues-import")
    page.set_input_files("#file", str(file))
    page.fill("#area", AREA)
    page.locator("button", has_text="预览").click()
    assert faults(page) == [] and overflow(page) == 0
    shot(page, "clues-import-preview")
    page.locator("button", has_text="受理这 5 条").click()
    page.wait_for_url("**/clues?which=received")
    assert "5 条线索" in page.locator("main, .notice").first.inner_text() or "第 1 家" in page.content()


def test_a_hazard_is_given_to_somebody_to_look_at_again(server: TestServer, open_page: Opener) -> None:
    desk = server.instance.desk
    with server.instance.database.read() as conn:
        school = next(row["record"] for row in server.instance.projections.rows(conn, "institution") if row["name"].endswith(NAMES[-1]))
    values = {"institution": school, "area": AREA, "description": "二楼疏散通道堆放桌椅，安全出口锁闭", "grade": "major", "status": "open",
              "deadline": "2026-11-20", "responsible": "罗雨"}  # fmt: skip
    hazard = decisions.write(desk, "hazard", None, values, by=["system"]).record
    page = at_desk(open_page, server, "staff", "吴敏")
    page.goto(f"{server.url}/console/record/{hazard}")
    page.locator("a", has_text="安排复查").click()
    page.fill("#due", "2099-12-05")
    page.fill("#instructions", "看消防门能否从里面推开")
    assert faults(page) == [] and overflow(page) == 0
    shot(page, "tasks-recheck")
    page.locator("main button", has_text="安排复查").click()
    assert "看消防门能否从里面推开" in page.locator("main").inner_text()
    page.goto(f"{server.url}/console/tasks/recheck/{hazard}")
    assert "整改复查" in page.locator("main").inner_text()
    shot(page, "tasks-recheck-planned")


@pytest.mark.parametrize("size", [Size(1280, 800), WIDE])
def test_visits_are_planned_from_the_list_of_institutions(server: TestServer, open_page: Opener, size: Size) -> None:
    page = at_desk(open_page, server, "staff", f"周{size.width}", size=size)
    page.goto(f"{server.url}/console/records/institution?f-area=430102")
    page.locator("a", has_text="安排检查").click()
    assert page.locator("tbody input[type=checkbox]").count() == len(NAMES)
    assert faults(page) == [] and overflow(page) == 0
    shot(page, "tasks-plan")
    page.locator("tbody input[type=checkbox]").first.set_checked(True)
    page.fill("#due", "2099-12-05")
    page.select_option("#to", label="定王台 03 网格（王强）")
    page.locator("button", has_text="安排勾选的机构").click()
    page.wait_for_url("**/console/tasks")
    assert faults(page) == [] and overflow(page) == 0
    shot(page, "tasks-list")
    page.locator("tbody th a").first.click()
    assert faults(page) == [] and overflow(page) == 0
    shot(page, "tasks-one")
    page.goto(f"{server.url}/console/")
    shot(page, "home-with-tasks")
