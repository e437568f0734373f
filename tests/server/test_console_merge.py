"""The merge desk over real HTTP: what is shown, what is decided, what is never swallowed, and what takes two people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest
import requests

from server import acts, moments
from server.merging import decisions
from server.storage import facts, states
from server.storage.conflicts import Row
from sync.core.fold import State
from tests.support.conflicts import Scene
from tests.support.console import Browser, signed_in, text_of
from tests.support.pictures import jpeg
from tests.support.server import TestServer, running_server

COUNTY = "430102"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("merge")) as running:
        yield running


@pytest.fixture(scope="module")
def scene(server: TestServer) -> Scene:
    return Scene(server)


@pytest.fixture(scope="module")
def staff(server: TestServer) -> Browser:
    return signed_in(server, "staff", COUNTY, name="孙丽")


@pytest.fixture(scope="module")
def colleague(server: TestServer) -> Browser:
    return signed_in(server, "staff", COUNTY, name="何芳")


@pytest.fixture(scope="module")
def lead(server: TestServer) -> Browser:
    return signed_in(server, "lead", COUNTY, name="罗勇")


def form_of(response: requests.Response) -> dict[str, Any]:
    """What the page's decision form carries hidden."""
    hidden = re.findall(r'<input type="hidden" name="(ticket|seen)" value="([^"]*)"', response.text)
    return {"ticket": next(v for n, v in hidden if n == "ticket"), "seen": [v for n, v in hidden if n == "seen"]}


def live(server: TestServer, record: str, path: str) -> list[Any]:
    with server.instance.database.read() as conn:
        state = State.read(states.load(conn, [record])[record].bytes)
    return [state.live[path][id] for id in state.ids(path)]


def opened(browser: Browser, row: Row) -> dict[str, Any]:
    response = browser.get(f"merge/{row.id}")
    assert response.status_code == 200, response.text
    return form_of(response)


def candidate(server: TestServer, row: Row, value: Any) -> str:
    with server.instance.database.read() as conn:
        state = State.read(states.load(conn, [row.record])[row.record].bytes)
    return next(id for id, one in state.live[row.path].items() if one == value)


# --- Seeing -------------------------------------------------------------------------------------------------------


def test_a_conflict_is_in_the_queue_and_its_page_shows_both_sides_with_who_and_when(scene: Scene, staff: Browser) -> None:
    row = scene.conflict()
    assert row.record[-8:] in staff.get("merge").text or "疏散通道堆放杂物" in staff.get("merge").text
    said = text_of(staff.get(f"merge/{row.id}"))
    for told in ("整改措施", "已清理杂物", "加装常闭式防火门", "李敏", "T-14", "填写时间", "收到时间", "采用 A", "采用 B"):
        assert told in said


def test_the_texts_come_back_combined_in_a_box(scene: Scene, staff: Browser) -> None:
    row = scene.conflict(one="甲", other="乙")
    assert re.search(r"<textarea name=\"combined\"[^>]*>(甲\n乙|乙\n甲)</textarea>", staff.get(f"merge/{row.id}").text)


def test_what_is_out_of_sight_does_not_exist_in_the_queue_or_by_its_address(server: TestServer, scene: Scene) -> None:
    row = scene.conflict()
    neighbour = signed_in(server, "staff", "430103")
    assert neighbour.get(f"merge/{row.id}").status_code == 404
    assert row.id not in neighbour.get("merge").text
    assert neighbour.post(f"merge/{row.id}", {"choice": row.candidates[0], "quick": "seen"}).status_code == 404
    assert row.id in signed_in(server, "city", "4301").get("merge").text


def test_an_inspector_has_no_merge_desk(server: TestServer) -> None:
    assert signed_in(server, "inspector", COUNTY).get("merge").status_code == 403


def test_oversight_sees_a_conflict_and_decides_nothing(server: TestServer, scene: Scene) -> None:
    row, watcher = scene.conflict(), signed_in(server, "oversight", "4301")
    shown = watcher.get(f"merge/{row.id}")
    assert shown.status_code == 200 and "采用 A" not in shown.text
    assert watcher.post(f"merge/{row.id}", {**form_of(shown), "choice": row.candidates[0], "quick": "seen"}).status_code == 403


# --- Deciding -----------------------------------------------------------------------------------------------------


def test_one_value_is_chosen_with_a_reason_and_the_notice_takes_it_back(server: TestServer, scene: Scene, staff: Browser) -> None:
    row = scene.conflict()
    form = opened(staff, row)
    form |= {"choice": candidate(server, row, "已清理杂物"), "quick": "seen", "reason": "7月3日到场", "go": "list"}
    answer = staff.post(f"merge/{row.id}", form)
    assert answer.status_code == 303 and f"done={row.id}" in answer.headers["Location"]
    assert live(server, row.record, "measures") == ["已清理杂物"] and scene.row(row.id).status == "resolved"
    notice = staff.get(answer.headers["Location"])
    assert f"merge/{row.id}/undo" in notice.text
    assert "现场复核为准：7月3日到场" in text_of(staff.get(f"merge/{row.id}"))
    assert staff.post(f"merge/{row.id}/undo").status_code == 303
    assert sorted(live(server, row.record, "measures")) == sorted(["已清理杂物", "加装常闭式防火门"])
    assert scene.row(row.id).status == "reopened"


def test_without_a_reason_nothing_is_decided_and_what_was_typed_comes_back(server: TestServer, scene: Scene, staff: Browser) -> None:
    row = scene.conflict()
    answer = staff.post(f"merge/{row.id}", opened(staff, row) | {"choice": "combined", "combined": "清理并加装防火门"})
    assert answer.status_code == 400 and "清理并加装防火门" in answer.text and "请写明理由" in answer.text
    assert len(live(server, row.record, "measures")) == 2


def test_texts_are_combined_to_a_third_one(server: TestServer, scene: Scene, staff: Browser) -> None:
    row = scene.conflict()
    staff.post(f"merge/{row.id}", opened(staff, row) | {"choice": "combined", "combined": "清理并加装防火门", "quick": "combined"})
    assert live(server, row.record, "measures") == ["清理并加装防火门"]


def test_another_value_is_typed_in_the_field_s_own_way_and_checked(server: TestServer, scene: Scene, staff: Browser) -> None:
    row = scene.conflict("funds", 100_00, 120_00)
    wrong = staff.post(f"merge/{row.id}", opened(staff, row) | {"choice": "other", "funds": "很多", "quick": "typing"})
    assert wrong.status_code == 400 and "应为金额" in wrong.text
    staff.post(f"merge/{row.id}", opened(staff, row) | {"choice": "other", "funds": "１１０.50", "quick": "typing"})
    assert live(server, row.record, "funds") == [110_50]


def test_an_answer_of_a_checklist_is_edited_as_one_thing(server: TestServer, scene: Scene, staff: Browser) -> None:
    row = scene.conflict("answers/FIR-05", {"answer": "yes"}, {"answer": "no"}, kind="inspection")
    said = opened(staff, row) | {"choice": "other", "part.answer": "no", "part.remark": "两具过期", "quick": "seen"}
    assert staff.post(f"merge/{row.id}", said).status_code == 303
    assert live(server, row.record, "answers/FIR-05") == [{"answer": "no", "remark": "两具过期"}]


def test_a_person_responsible_is_typed_part_by_part_beginning_with_what_one_side_has(server: TestServer, scene: Scene, staff: Browser) -> None:
    path, one, other = "responsible/county", {"name": "王建国", "post": "副局长"}, {"name": "王建国", "phone": "0731-84000000"}
    row = scene.conflict(path, one, other, kind="institution", name="启文艺术培训中心")
    page = staff.get(f"merge/{row.id}").text
    assert re.search(r'<span>姓名</span><input name="part.name" value="王建国">', page) and "JSON" not in page
    said = opened(staff, row) | {"choice": "other", "quick": "combined"}
    said |= {"part.name": "王建国", "part.post": "副局长", "part.phone": "0731-84000000"}
    staff.post(f"merge/{row.id}", said)
    assert live(server, row.record, path) == [one | other]


@pytest.mark.parametrize(
    ("kind", "path", "one", "other"),
    [
        ("inspection", "answers/PER-01", {"rows": [{"name": "李老师"}]}, {"rows": [{"name": "周老师"}]}),
        ("hazard", "institution", "be74cf86-33c6-44a7-aa91-2018647b5fe0", "4a9b291f-08ae-498a-a3ed-ad75459c0a2e"),
    ],
)
def test_tables_and_what_names_a_record_are_taken_whole_from_one_side(
    server: TestServer, scene: Scene, staff: Browser, kind: str, path: str, one: Any, other: Any
) -> None:
    record, _ = scene.record(kind)
    sides = [scene.write(tablet, record, path, value, kind=kind) for tablet, value in ((scene.a, one), (scene.b, other))]
    row = next(row for row in scene.waiting(record) if row.path == path)
    page = staff.get(f"merge/{row.id}").text
    assert "整体采用一方" in page and 'value="other"' not in page and all(side in page for side in sides)
    refused = staff.post(f"merge/{row.id}", opened(staff, row) | {"choice": "other", "quick": "seen"})
    assert refused.status_code == 400
    assert one in live(server, record, path) and other in live(server, record, path)


def test_decide_and_next_leads_to_another_conflict_of_the_same_list(scene: Scene, staff: Browser) -> None:
    first, _ = scene.conflict(), scene.conflict()
    answer = staff.post(f"merge/{first.id}", opened(staff, first) | {"choice": first.candidates[0], "quick": "seen", "go": "next"})
    assert re.search(rf"/console/merge/[0-9a-f]{{12}}\?done={first.id}", answer.headers["Location"])


# --- Newcomers and colleagues ---------------------------------------------------------------------------------------


def test_a_newcomer_that_arrives_while_the_page_is_open_is_shown_and_nothing_is_decided(
    server: TestServer, scene: Scene, staff: Browser
) -> None:
    row = scene.conflict()
    form = opened(staff, row)
    late = server.enrol("officer", COUNTY)
    scene.write(late, row.record, "measures", "已停业整改")
    answer = staff.post(f"merge/{row.id}", form | {"choice": row.candidates[0], "reason": "想了很久的理由"})
    assert answer.status_code == 409
    assert "已停业整改" in answer.text and "新到" in answer.text and "想了很久的理由" in answer.text
    assert len(live(server, row.record, "measures")) == 3
    again = form_of(answer)
    assert len(again["seen"]) == 3
    assert staff.post(f"merge/{row.id}", again | {"choice": row.candidates[0], "quick": "seen"}).status_code == 303
    assert len(live(server, row.record, "measures")) == 1


def test_of_two_colleagues_the_second_sees_what_the_first_decided_and_nothing_of_theirs_is_lost(
    server: TestServer, scene: Scene, staff: Browser, colleague: Browser
) -> None:
    row = scene.conflict()
    mine, theirs = opened(staff, row), opened(colleague, row)
    one, other = candidate(server, row, "已清理杂物"), candidate(server, row, "加装常闭式防火门")
    staff.post(f"merge/{row.id}", mine | {"choice": one, "quick": "seen"})
    second = colleague.post(f"merge/{row.id}", theirs | {"choice": other, "reason": "电话核实过"})
    said = text_of(second)
    assert second.status_code == 409 and "同事已经裁决" in said and "孙丽" in said and "电话核实过" in said
    assert live(server, row.record, "measures") == ["已清理杂物"]


def test_what_a_tablet_writes_after_a_decision_opens_the_question_again(server: TestServer, scene: Scene, staff: Browser) -> None:
    row = scene.conflict()
    staff.post(f"merge/{row.id}", opened(staff, row) | {"choice": row.candidates[0], "quick": "seen"})
    scene.write(scene.b, row.record, "measures", "又改了")
    assert scene.row(row.id).status == "reopened" and "再次出现" in staff.get("merge?order=age").text


# --- Two people -----------------------------------------------------------------------------------------------------


def sensitive(scene: Scene) -> Row:
    return scene.conflict("findings", "无证教师两名", "未见教师资格证", kind="inspection")


def test_a_sensitive_field_is_proposed_by_one_and_confirmed_by_another(
    server: TestServer, scene: Scene, staff: Browser, lead: Browser
) -> None:
    row = sensitive(scene)
    staff.post(f"merge/{row.id}", opened(staff, row) | {"choice": candidate(server, row, "无证教师两名"), "quick": "seen"})
    assert len(live(server, row.record, "findings")) == 2, "one person decides nothing"
    assert row.id in lead.get("merge/second").text
    page = lead.get(f"merge/{row.id}").text
    proposal = re.search(r"/merge/proposals/([^/]+)/confirm", page)
    assert proposal is not None and "待复核的提议" in page
    assert staff.post(f"merge/proposals/{proposal[1]}/confirm").status_code == 403
    assert lead.post(f"merge/proposals/{proposal[1]}/confirm").status_code == 303
    assert live(server, row.record, "findings") == ["无证教师两名"]
    said = text_of(staff.get(f"merge/{row.id}"))
    assert "孙丽" in said and "罗勇" in said and "复核通过" in said


def test_nobody_confirms_their_own_proposal(server: TestServer, scene: Scene, lead: Browser) -> None:
    row = sensitive(scene)
    lead.post(f"merge/{row.id}", opened(lead, row) | {"choice": row.candidates[0], "quick": "seen"})
    page = lead.get(f"merge/{row.id}").text
    assert "/confirm" not in page
    proposal = re.search(r"/merge/proposals/([^/]+)/refuse", page)
    assert proposal is not None
    assert lead.post(f"merge/proposals/{proposal[1]}/confirm").status_code == 409
    assert len(live(server, row.record, "findings")) == 2


def test_what_joined_between_the_two_overtakes_the_proposal(server: TestServer, scene: Scene, staff: Browser, lead: Browser) -> None:
    row = sensitive(scene)
    staff.post(f"merge/{row.id}", opened(staff, row) | {"choice": row.candidates[0], "quick": "seen"})
    late = server.enrol("officer", COUNTY)
    scene.write(late, row.record, "findings", "补充：无消防验收", kind="inspection")
    proposal = re.search(r"/merge/proposals/([^/]+)/confirm", lead.get(f"merge/{row.id}").text)
    assert proposal is not None
    lead.post(f"merge/proposals/{proposal[1]}/confirm")
    assert len(live(server, row.record, "findings")) == 3
    assert "已不适用" in text_of(lead.get(f"merge/{row.id}"))


def test_a_proposal_is_turned_down_with_a_reason_and_the_conflict_waits_on(scene: Scene, staff: Browser, lead: Browser) -> None:
    row = sensitive(scene)
    staff.post(f"merge/{row.id}", opened(staff, row) | {"choice": row.candidates[0], "quick": "seen"})
    proposal = re.search(r"/merge/proposals/([^/]+)/refuse", lead.get(f"merge/{row.id}").text)
    assert proposal is not None
    lead.post(f"merge/proposals/{proposal[1]}/refuse", {"reason": "请先看照片"})
    said = text_of(staff.get(f"merge/{row.id}"))
    assert "退回" in said and "请先看照片" in said and scene.row(row.id).status == "open"


def test_no_command_and_no_function_gets_round_the_second_person(server: TestServer, scene: Scene) -> None:
    row = sensitive(scene)
    with pytest.raises(decisions.SecondPersonNeeded):
        decisions.resolve(
            server.instance.desk, decisions.ticket(row), take=row.candidates[0], reason="r", by=["system"]
        )


# --- Kept changes, deletions ----------------------------------------------------------------------------------------


def test_a_late_edit_is_let_in_or_closed_with_a_reason(server: TestServer, scene: Scene, staff: Browser) -> None:
    for do, told in (("admit", ["迟到的说明"]), ("close", [])):
        record, _ = scene.record("hazard", status="open")
        decisions.write(server.instance.desk, "hazard", record, {"status": "void"}, by=["system"])
        scene.write(scene.b, record, "contingency", "迟到的说明")
        (row,) = scene.waiting(record)
        assert row.kind == "late_edit" and row.id in staff.get("merge?place=late").text
        shown = staff.get(f"merge/{row.id}")
        assert "锁定后的修改" in shown.text and "迟到的说明" in shown.text
        assert staff.post(f"merge/{row.id}/kept", form_of(shown) | {"do": do}).status_code == 400
        assert staff.post(f"merge/{row.id}/kept", form_of(shown) | {"do": do, "quick": "true"}).status_code == 303
        assert scene.row(row.id).status == "resolved"
        with server.instance.database.read() as conn:
            state = State.read(states.load(conn, [record])[record].bytes)
        assert list(state.live.get("contingency", {}).values()) == told
        staff.post(f"merge/{row.id}/undo", {"reason": "看错了"})
        assert scene.row(row.id).status == "reopened"


def test_what_was_written_without_the_right_to_it_has_its_place(server: TestServer, scene: Scene, staff: Browser) -> None:
    stranger = server.enrol("officer", "430103")
    record, _ = scene.record()
    scene.write(stranger, record, "measures", "外县的整改")
    (row,) = scene.waiting(record)
    assert row.kind == "scope" and row.id in staff.get("merge?place=rights").text
    shown = staff.get(f"merge/{row.id}")
    staff.post(f"merge/{row.id}/kept", form_of(shown) | {"do": "close", "quick": "not-ours"})
    assert scene.row(row.id).status == "resolved"


def test_a_deletion_that_missed_an_edit_is_decided_either_way(server: TestServer, scene: Scene, staff: Browser) -> None:
    for choice, stays in (("deleted", True), ("restored", False)):
        record, first = scene.record()
        scene.write(scene.a, record, "_deleted", {"seen": [first], "reason": "重复"})
        scene.write(scene.b, record, "measures", "未被看到的修改")
        (row,) = scene.waiting(record)
        assert row.kind == "delete_edit" and row.id in staff.get("merge?place=deleted").text
        shown = staff.get(f"merge/{row.id}")
        assert "未被看到的修改" in shown.text and "删除：重复" in shown.text
        staff.post(f"merge/{row.id}", form_of(shown) | {"choice": choice, "quick": "agreed"})
        (value,) = live(server, record, "_deleted")
        assert bool(value) is stays and live(server, record, "measures") == ["未被看到的修改"]


def test_what_a_server_does_not_know_is_in_quarantine_for_the_county_of_the_tablet(scene: Scene, staff: Browser, server: TestServer) -> None:
    record, _ = scene.record()
    scene.write(scene.b, record, "no_such_field", "x")
    (row,) = scene.waiting(record)
    assert row.id in staff.get("merge?place=quarantine").text
    strange = scene.b.change("no_such_kind", "rec-1", {"name": "x"})
    scene.b.push(strange)
    assert "no_such_kind" in staff.get("merge?place=quarantine").text
    assert "no_such_kind" not in signed_in(server, "staff", "430103").get("merge?place=quarantine").text


# --- Many at once ---------------------------------------------------------------------------------------------------


def test_a_whole_record_is_previewed_decided_and_taken_back_at_once(server: TestServer, scene: Scene, staff: Browser) -> None:
    row = scene.conflict()
    scene.write(scene.a, row.record, "contingency", "甲")
    scene.write(scene.b, row.record, "contingency", "乙")
    shown = staff.get(f"merge/sweep?record={row.record}&rule=newest")
    tickets = re.findall(r'name="ticket" value="([^"]+)"', shown.text)
    assert len(tickets) == 2 and len(scene.waiting(row.record)) == 2, "a preview decides nothing"
    answer = staff.post("merge/sweep", {"record": row.record, "rule": "newest", "ticket": tickets, "quick": "later"})
    assert answer.status_code == 303 and scene.waiting(row.record) == []
    assert live(server, row.record, "measures") == ["加装常闭式防火门"] and live(server, row.record, "contingency") == ["乙"]
    result = staff.get(answer.headers["Location"])
    assert "整批撤销" in result.text
    staff.post(f"{answer.headers['Location']}/undo", {"reason": "规则选错"})
    assert len(scene.waiting(row.record)) == 2


def test_a_day_is_previewed_and_decided_at_once(server: TestServer, scene: Scene, staff: Browser) -> None:
    rows = [scene.conflict(), scene.conflict("funds", 100_00, 200_00)]
    today = moments.day(server.clock())
    preview = staff.get(f"merge/sweep?day={today}&rule=newest")
    tickets = re.findall(r'name="ticket" value="([^"]+)"', preview.text)
    assert all(any(row.id in ticket for ticket in tickets) for row in rows)
    mine = [ticket for ticket in tickets if any(row.id in ticket for row in rows)]
    done = staff.post("merge/sweep", {"day": today, "rule": "newest", "ticket": mine, "quick": "later"})
    assert done.status_code == 303 and {scene.row(row.id).status for row in rows} == {"resolved"}
    assert staff.get("merge/sweep?day=2020-01-01&rule=newest").text.count('name="ticket"') == 0


def test_a_tablet_at_once_leaves_alone_what_changed_after_the_preview_and_proposes_what_takes_two(server: TestServer, staff: Browser) -> None:
    scene = Scene(server)
    ordinary, changed, heavy = scene.conflict(), scene.conflict(), sensitive(scene)
    shown = staff.get(f"merge/sweep?device={scene.b.id}&rule=tablet")
    tickets = re.findall(r'name="ticket" value="([^"]+)"', shown.text)
    assert len(tickets) == 3 and "提交另一人复核" in shown.text
    scene.write(server.enrol("officer", COUNTY), changed.record, "measures", "第三个人")
    answer = staff.post("merge/sweep", {"device": scene.b.id, "rule": "tablet", "ticket": tickets, "quick": "seen"}, follow=True)
    assert "已裁决 1 项，提交复核 1 项；1 项在预览之后有变化" in text_of(answer)
    assert live(server, ordinary.record, "measures") == ["加装常闭式防火门"]
    assert len(live(server, changed.record, "measures")) == 3 and len(live(server, heavy.record, "findings")) == 2


# --- Order and pages ------------------------------------------------------------------------------------------------


def test_what_law_hangs_on_comes_first_and_pages_name_every_conflict_once(server: TestServer) -> None:
    area = "430111001001"
    scene = Scene(server, area)
    light = [scene.conflict().id for _ in range(3)]
    heavy = sensitive(scene).id
    browser = signed_in(server, "staff", "430111")
    ids = re.findall(r'<a class="strong" href="/console/merge/([0-9a-f]{12})"', browser.get("merge").text)
    assert ids[0] == heavy and sorted(ids[1:]) == sorted(light)
    from server.access.policy import Sight
    from server.merging import backlog

    sight, mark, found = Sight("staff", ("430111",)), None, []
    while True:
        page = backlog.page(server.instance, sight, backlog.Filter("values"), mark, size=2)
        found += [row.id for row in page.rows]
        if (mark := page.after) is None:
            break
    assert found == ids


# --- Photos --------------------------------------------------------------------------------------------------------


def test_photos_stand_beside_each_other_small_though_every_original_is_logged(server: TestServer, scene: Scene, staff: Browser) -> None:
    row = scene.conflict()
    content = jpeg(1200, 900)
    scene.b.send_blob(content)
    digest = sha256(content).hexdigest()
    scene.b.push(scene.b.change("hazard", row.record, {f"evidence/{uuid4()}": {"sha256": digest, "size": len(content), "mime": "image/jpeg"}}))
    with server.instance.database.write() as conn:
        facts.put(conn, facts.ORIGINALS, facts.LOGGED)
    try:
        page = staff.get(f"merge/{row.id}").text
        (small,) = re.findall(rf'src="/console/(record/{row.record}/file/{digest}\?width=320)"', page)
        given = staff.get(small)
        assert given.headers["Content-Type"] == "image/jpeg" and 0 < len(given.content) < len(content)
        assert "查阅目的" in staff.get(f"record/{row.record}/original/{digest}").text
        with server.instance.database.read() as conn:
            opened = [act.body for act in acts.every(conn, "", acts.OPENED) if act.body["blob"] == digest]
        assert [one["part"] for one in opened] == ["320"] and opened[0]["record"] == row.record
    finally:
        with server.instance.database.write() as conn:
            facts.put(conn, facts.ORIGINALS, "")


def test_there_is_one_route_for_files_of_records(server: TestServer) -> None:
    rules = [rule.rule for rule in server.app.url_map.iter_rules() if "<sha256>" in rule.rule and rule.rule.startswith("/console/")]
    assert sorted(set(rules)) == ["/console/record/<record>/file/<sha256>", "/console/record/<record>/original/<sha256>"]

