"""The desks for clues and tasks over real HTTP: received, imported, linked, assigned, closed; visits for many at once."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest

from server import acts
from server.merging import decisions
from server.register import sheets
from server.storage import states
from sync.core.fold import State, values_of
from tests.support.console import Browser, signed_in, text_of
from tests.support.server import TestServer, running_server

COUNTY, AREA = "430102", "430102001001"
SECRET = "周海棠"
HEADER = ["反映对象", "反映内容", "类型", "紧急程度", "来源", "工单号", "受理时间", "区划代码", "举报人", "联系电话"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    with running_server(tmp_path) as running:
        yield running


@pytest.fixture
def staff(server: TestServer) -> Browser:
    return signed_in(server, "staff", COUNTY)


@pytest.fixture
def school(server: TestServer) -> str:
    return write(server, "institution", {"name": "芙蓉区学雅口才培训学校", "area": AREA, "address": "人民中路12号3楼", "status": "operating"})


def write(server: TestServer, kind: str, values: dict[str, Any], record: str | None = None) -> str:
    return decisions.write(server.instance.desk, kind, record, values, by=["s-1"]).record


def shown(server: TestServer, record: str) -> dict[str, Any]:
    with server.instance.database.read() as conn:
        state = State.read(bytes(states.load(conn, [record])[record].bytes))
    return values_of(state, server.instance.registry[state.kind].merge_of)


def every(server: TestServer, kind: str) -> list[str]:
    with server.instance.database.read() as conn:
        return [row["record"] for row in server.instance.projections.rows(conn, kind)]


def received(staff: Browser, **more: str) -> str:
    """A clue entered at the desk; its id."""
    staff.get("clues/new")
    said = {"subject": "学雅口才", "text": "周末在三楼给初中生补数学", "area": AREA, "source": "hotline", "urgency": "blow_up", **more}
    answer = staff.post("clues/new", said)
    assert answer.status_code == 303, text_of(answer)
    return answer.headers["Location"].rsplit("/", 1)[1]


def seen_on(page: str, name: str = "seen") -> list[str]:
    return list(dict.fromkeys(re.findall(rf'name="{name}" value="([^"]+)"', page)))


def taken(staff: Browser, clue: str, do: str, **said: str) -> Any:
    page = staff.get(f"clues/{clue}").text
    return staff.post(f"clues/{clue}/{do}", {**said, "seen": seen_on(page)})


# --- One clue ----------------------------------------------------------------------------------------------------


def test_a_clue_goes_from_receipt_to_a_stated_outcome(server: TestServer, staff: Browser, school: str) -> None:
    clue = received(staff)
    assert "芙蓉区学雅口才培训学校" in text_of(staff.get(f"clues/{clue}")), "suggested by its name"
    staff.post(f"clues/{clue}/link", {"institution": school})
    assert taken(staff, clue, "assign", to="area", due="2026-12-01", instructions="先看课表").status_code == 303
    (task,) = every(server, "task")
    assert shown(server, task) | {"place": None} == shown(server, task) | {
        "name": "学雅口才", "sort": "verify", "clue": clue, "institution": school, "assigned": {"to": "area"}, "due": "2026-12-01",
        "instructions": "先看课表", "status": "planned", "place": None,
    }  # fmt: skip
    assert taken(staff, clue, "step", to="verified", outcome="confirmed", result="两间教室在上课").status_code == 303
    assert taken(staff, clue, "step", to="closed", disposal="已责令停课，已答复").status_code == 303
    assert shown(server, clue)["status"] == "closed"


def test_closing_a_clue_takes_what_is_still_to_do_for_it_off_the_tablets(server: TestServer, staff: Browser) -> None:
    clue = received(staff)
    taken(staff, clue, "assign", to="area", due="2026-12-01")
    taken(staff, clue, "step", to="verified", outcome="moved", result="转市场监管部门")
    taken(staff, clue, "step", to="closed", disposal="已移送")
    (task,) = every(server, "task")
    assert (shown(server, task)["status"], shown(server, task)["cancelled_why"]) == ("cancelled", "线索已办结")


def test_a_county_sets_its_own_time_limits_for_what_is_received_from_then_on(server: TestServer, staff: Browser) -> None:
    before = received(staff)
    admin = signed_in(server, "admin", COUNTY)
    admin.get("settings")
    assert admin.post("settings/clue-days", {"blow_up": "0"}).status_code == 400
    assert admin.post("settings/clue-days", {"blow_up": "2", "ordinary": ""}).status_code == 303
    after = received(staff)
    first, second = (date.fromisoformat(shown(server, one)["due"]) for one in (before, after))
    assert (second - first).days == 1


def test_what_two_people_did_at_once_is_told_and_not_written_over(server: TestServer, staff: Browser) -> None:
    clue = received(staff)
    old = seen_on(staff.get(f"clues/{clue}").text)
    taken(staff, clue, "step", to="verified", outcome="unfounded", result="未见上课")
    late = staff.post(f"clues/{clue}/assign", {"to": "area", "due": "2026-12-01", "seen": old})
    assert late.status_code == 409 and every(server, "task") == []


def test_who_is_chosen_works_in_the_area(server: TestServer, staff: Browser) -> None:
    near, far = server.person("officer", COUNTY, name="李敏"), server.person("officer", "430103", name="别处")
    clue = received(staff)
    page = staff.get(f"clues/{clue}").text
    assert f"person:{near.id}" in page and far.id not in page
    assert taken(staff, clue, "assign", to=f"person:{far.id}", due="2026-12-01").status_code == 422
    taken(staff, clue, "assign", to=f"person:{near.id}", due="2026-12-01")
    (task,) = every(server, "task")
    assert shown(server, task)["assigned"] == {"to": "person", "id": near.id, "name": "李敏"}


def test_a_form_without_what_it_needs_comes_back_with_what_was_typed(staff: Browser) -> None:
    staff.get("clues/new")
    answer = staff.post("clues/new", {"subject": "学雅口才", "text": "", "area": AREA, "source": ""})
    assert answer.status_code == 422 and "学雅口才" in answer.text and "必填" in text_of(answer)


def test_words_that_lead_to_whoever_reported_are_pointed_out_and_kept(server: TestServer, staff: Browser) -> None:
    clue = received(staff, text="举报人的孩子在三楼补数学")
    page = text_of(staff.get(f"clues/{clue}"))
    assert "可能指向举报人，而线索会下发到平板：举报人" in page
    assert shown(server, clue)["text"] == "举报人的孩子在三楼补数学"
    assert "可能指向举报人" in text_of(staff.get(f"record/{clue}"))
    assert "可能指向举报人" not in text_of(staff.get(f"clues/{received(staff)}"))


def test_the_informer_is_shown_once_the_log_says_what_for(server: TestServer, staff: Browser) -> None:
    clue = received(staff, **{"informer-name": SECRET, "informer-wants_answer": "true"})
    assert SECRET not in staff.get(f"clues/{clue}").text
    assert staff.post(f"clues/{clue}/informer", {"purpose": " "}).status_code == 422
    assert SECRET in text_of(staff.post(f"clues/{clue}/informer", {"purpose": "电话答复"}))
    with server.instance.database.read() as conn:
        told = [one.body for one in acts.every(conn, "", acts.OPENED)]
    assert [one["purpose"] for one in told] == ["电话答复"] and SECRET not in orjson.dumps(told).decode()
    staff.post(f"clues/{clue}/informer/note", {"answer": "已告知处理结果"})
    assert any(path.startswith("answers/") for path in shown(server, every(server, "informer")[0]))


def test_oversight_reads_clues_and_neither_writes_nor_learns_who_reported(server: TestServer, staff: Browser) -> None:
    clue = received(staff, **{"informer-name": SECRET})
    watcher = signed_in(server, "oversight", COUNTY)
    page = watcher.get(f"clues/{clue}")
    assert page.status_code == 200 and "举报人" not in text_of(page)
    assert watcher.post(f"clues/{clue}/informer", {"purpose": "看看"}).status_code == 403


def test_a_neighbouring_county_sees_nothing_of_it(server: TestServer, staff: Browser) -> None:
    clue = received(staff)
    taken(staff, clue, "assign", to="area", due="2026-12-01")
    (task,) = every(server, "task")
    other = signed_in(server, "lead", "430103")
    assert [other.get(path).status_code for path in (f"clues/{clue}", f"tasks/{task}")] == [404, 404]
    assert "学雅口才" not in other.get("clues").text + other.get("tasks").text


def test_a_patrol_note_becomes_a_clue_that_names_it_once(server: TestServer, staff: Browser) -> None:
    note = write(server, "patrol_note", {"spot": "茶馆后二楼", "seen": "有学生进出", "area": AREA, "status": "noted", "seen_at": "2026-11-25T02:00:00.000Z"})
    assert "转线索" in staff.get(f"record/{note}").text
    assert staff.post(f"clues/from-note/{note}").status_code == 303
    (clue,) = every(server, "clue")
    assert shown(server, clue)["patrol_note"] == note and shown(server, clue)["source"] == "patrol"
    assert shown(server, note)["status"] == "referred"
    assert staff.post(f"clues/from-note/{note}").status_code == 409


# --- Importing ----------------------------------------------------------------------------------------------------


def table(folder: Path, *rows: list[str]) -> dict[str, Any]:
    file = folder / "热线.xlsx"
    sheets.write_xlsx(file, [HEADER, *rows], "线索")
    return {"file": (file.name, file.read_bytes())}


GOOD = ["学雅口才", "周末补数学", "无证办学", "爆雷", "12345 热线", "T-1", "2026-11-20 09:30", AREA, SECRET, "0731-1"]
BAD = ["育才", "收费不退", "无证办学", "十万火急", "12345 热线", "T-2", "2026-13-40", AREA, "", ""]


def test_a_table_is_looked_at_first_and_bad_cells_are_named_by_row_and_column(
    server: TestServer, staff: Browser, tmp_path: Path
) -> None:
    staff.get("clues/import")
    preview = staff.post("clues/import", {"area": "", "source": ""}, files=table(tmp_path, GOOD, BAD))
    said = text_of(preview)
    assert "1 条新线索" in said and "1 行有误" in said and every(server, "clue") == []
    assert "3 紧急程度 十万火急 应为其中之一" in said and "3 受理时间 2026-13-40 不是日期" in said
    carried = re.search(r'name="carried" value="([^"]+)"', preview.text)
    assert carried is not None and SECRET not in preview.text
    assert staff.post("clues/import", {"do": "take", "carried": carried[1]}).status_code == 303
    (clue,) = every(server, "clue")
    assert shown(server, clue) == shown(server, clue) | {
        "subject": "学雅口才", "urgency": "blow_up", "received_at": "2026-11-20T01:30:00.000Z", "due": "2026-11-21", "number": "T-1",
    }  # fmt: skip
    assert shown(server, every(server, "informer")[0])["name"] == SECRET
    again = staff.post("clues/import", {"area": "", "source": ""}, files=table(tmp_path, GOOD))
    assert "1 条早已受理" in text_of(again)


def test_what_is_no_table_of_clues_is_refused_in_words(staff: Browser) -> None:
    staff.get("clues/import")
    answer = staff.post("clues/import", {}, files={"file": ("a.csv", "甲,乙\n1,2\n".encode())})
    assert answer.status_code >= 400 and "反映对象" in text_of(answer)


# --- Tasks --------------------------------------------------------------------------------------------------------


def test_visits_are_planned_for_many_and_none_twice(server: TestServer, staff: Browser, school: str) -> None:
    other = write(server, "institution", {"name": "育才美术", "area": AREA, "status": "operating"})
    away = write(server, "institution", {"name": "别县", "area": "430103001001"})
    page = staff.get(f"tasks/plan?f-area={COUNTY}").text
    assert school in page and other in page and away not in page
    chosen = {"institution": [school, other, away], "sort": "visit", "due": "2026-12-05", "to": "area"}
    assert staff.post("tasks/plan", chosen).status_code == 303
    assert {shown(server, one)["institution"] for one in every(server, "task")} == {school, other}
    staff.get("tasks/plan")
    staff.post("tasks/plan", chosen)
    assert len(every(server, "task")) == 2
    assert "请选择日期" in text_of(staff.post("tasks/plan", {**chosen, "due": ""}))


def test_a_hazard_is_looked_at_again_by_whoever_is_asked_once(server: TestServer, staff: Browser, school: str) -> None:
    hazard = write(server, "hazard", {"institution": school, "area": AREA, "description": "疏散通道堆放桌椅", "grade": "major", "status": "open"})
    assert f"tasks/recheck/{hazard}" in staff.get(f"record/{hazard}").text
    page = staff.get(f"tasks/recheck/{hazard}")
    assert "疏散通道堆放桌椅" in page.text and "芙蓉区学雅口才培训学校" in page.text
    said = {"to": "area", "due": "2026-12-05", "instructions": "看消防门", "seen": seen_on(page.text)}
    assert "请选择日期" in text_of(staff.post(f"tasks/recheck/{hazard}", {**said, "due": ""}))
    assert staff.post(f"tasks/recheck/{hazard}", {**said, "seen": ["another"]}).status_code == 409
    assert staff.post(f"tasks/recheck/{hazard}", said).status_code == 303
    (task,) = every(server, "task")
    assert {"hazard": hazard, "institution": school, "sort": "recheck", "name": "芙蓉区学雅口才培训学校"}.items() <= shown(server, task).items()
    assert "已经安排过复查" in text_of(staff.post(f"tasks/recheck/{hazard}", said))
    assert staff.get(f"tasks/recheck/{school}").status_code == 404
    seen = re.findall(r'name="seen" value="([^"]+)"', staff.get(f"record/{hazard}").text)[0]
    assert staff.post(f"record/{hazard}/step", {"to": "void", "seen": html.unescape(seen)}).status_code == 303
    assert shown(server, task) | {"status": "cancelled", "cancelled_why": "隐患已作废"} == shown(server, task)
    assert "不再复查" in text_of(staff.get(f"tasks/recheck/{hazard}"))


def test_a_task_is_cancelled_with_a_reason_and_given_to_somebody_else(server: TestServer, staff: Browser) -> None:
    task = write(server, "task", {"name": "育才美术", "sort": "visit", "area": AREA, "status": "planned", "due": "2026-12-05"})
    person = server.person("inspector", AREA, name="王强")
    page = staff.get(f"tasks/{task}").text
    seen = {f"seen-{path}": seen_on(page, f"seen-{path}") for path in ("due", "assigned", "instructions", "status")}
    assert staff.post(f"tasks/{task}/change", {"to": f"person:{person.id}", "due": "2026-12-06", **seen}).status_code == 303
    assert shown(server, task)["assigned"]["name"] == "王强" and shown(server, task)["due"] == "2026-12-06"
    assert staff.post(f"tasks/{task}/step", {"to": "cancelled", "why": " ", **seen}).status_code == 422
    assert staff.post(f"tasks/{task}/step", {"to": "cancelled", "why": "机构已注销", **seen}).status_code == 303
    assert shown(server, task)["status"] == "cancelled"


def test_the_home_page_counts_what_waits_and_what_is_late(server: TestServer, staff: Browser) -> None:
    write(server, "task", {"name": "甲", "sort": "visit", "area": AREA, "status": "planned", "due": "2020-01-01"})
    write(server, "clue", {"subject": "乙", "text": "丙", "area": AREA, "source": "letter", "status": "received", "due": "2020-01-01", "received_at": "2019-12-30T00:00:00.000Z"})
    said = text_of(staff.get(""))
    assert "1 任务逾期" in said and "1 线索逾期" in said and "1 线索待分派" in said
    assert "甲" in staff.get("tasks?which=late").text and "乙" in staff.get("clues?which=late").text
