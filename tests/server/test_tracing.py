"""责任倒查: which deadline passed while who knew, read from the log; nothing from out of sight, and every look is an act first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.kinds.hazard import Hazard
from schemas.labels import Label
from server import acts
from server.access.policy import Sight
from server.merging import decisions
from server.moments import day, day_span
from server.reading import tracing
from server.reading.records import Step, Told
from server.reading.tracing import Subject, Trace
from server.storage.people import Person
from sync.core.errors import NotFound
from tests.support.console import Browser, signed_in, text_of
from tests.support.server import TestDevice, TestServer, running_server

COUNTY, SIBLING = "430103", "430104"
DAY = 86_400_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("tracing")) as running:
        yield running


@pytest.fixture(scope="module")
def officer(server: TestServer) -> TestDevice:
    return server.enrol("officer", COUNTY)


@pytest.fixture(scope="module")
def staff(server: TestServer) -> Person:
    return server.person("staff", COUNTY, name="周强")


def hazard(tablet: TestDevice, days: int, **more: Any) -> tuple[str, str]:
    """A hazard due in some days, and the change that began it."""
    values = {
        "description": "疏散通道堆放杂物", "area": COUNTY + "001001", "status": "open", "grade": "general", "institution": str(uuid4()),
        "responsible": "张伟", "deadline": day(tablet.now() + days * DAY), **more,
    }  # fmt: skip
    change = tablet.change("hazard", str(uuid4()), values)
    assert tablet.push(change)[0]["status"] == "accepted"
    return change.record, change.id


def traced(server: TestServer, record: str, area: str = COUNTY) -> Trace:
    return tracing.trace(server.instance, Sight("oversight", (area,)), "oversight", record)


def write(server: TestServer, record: str, by: Person, **values: Any) -> None:
    decisions.write(server.instance.desk, "hazard", record, values, by=[by.id])


def test_a_deadline_that_passed_says_who_knew_before_and_who_settled_it(server: TestServer, officer: TestDevice, staff: Person) -> None:
    record, _ = hazard(officer, 3)
    write(server, record, staff, measures="已约谈负责人")
    server.clock.ahead += 10 * DAY
    write(server, record, staff, status="rectified", measures="已清走", rectified_on=day(server.clock()))
    (passed,) = traced(server, record).passed
    assert passed.due == day(server.clock() - 7 * DAY) and passed.status == Hazard.workflow.statuses["open"].label
    assert [one.name for one in passed.known] == ["李敏", "周强"]
    assert passed.by == (staff.id,) and passed.until is not None and passed.until - passed.since > 5 * DAY


def test_one_that_still_goes_on_has_no_end_and_what_is_not_due_is_not_there(server: TestServer, officer: TestDevice) -> None:
    late, _ = hazard(officer, 3)
    early, _ = hazard(officer, 30)
    server.clock.ahead += 10 * DAY
    (passed,) = traced(server, late).passed
    assert passed.until is None and passed.by == ()
    assert traced(server, early).passed == []
    assert [one.sort for one in traced(server, late).lines] == ["made", "overdue"]


def test_a_deadline_that_was_moved_in_time_did_not_pass_and_one_moved_too_late_did(
    server: TestServer, officer: TestDevice, staff: Person
) -> None:
    in_time, _ = hazard(officer, 3)
    too_late, _ = hazard(officer, 3)
    write(server, in_time, staff, deadline=day(server.clock() + 20 * DAY))
    server.clock.ahead += 10 * DAY
    write(server, too_late, staff, deadline=day(server.clock() + 20 * DAY))
    assert traced(server, in_time).passed == []
    (passed,) = traced(server, too_late).passed
    assert passed.until is not None and passed.by == (staff.id,)


def test_steps_say_how_long_it_had_stood_and_late_arrivals_say_so(server: TestServer, officer: TestDevice, staff: Person) -> None:
    record, begun = hazard(officer, 30)
    written = officer.now()
    server.clock.ahead += 4 * DAY
    offline = {"wall": written + 60_000, "mono": 0, "boot": "b", "off": 0}
    change = officer.change("hazard", record, {"measures": "已贴封条"}, clock=offline)
    officer.push(change)
    write(server, record, staff, status="rectified", rectified_on=day(server.clock()))
    made, changed, step = traced(server, record).lines
    assert changed.received - changed.at > 3 * DAY and made.at < changed.at < step.at
    assert step.sort == "step" and step.stayed >= 4 * DAY and "待验收" in step.what.zh + Hazard.workflow.statuses["rectified"].label.zh


def test_the_trace_of_an_institution_tells_of_what_names_it_and_of_who_answers(server: TestServer, officer: TestDevice, staff: Person) -> None:
    values = {"name": "启航艺术", "area": COUNTY + "001001", "responsible/county": {"name": "周副局长", "post": "副局长"}}
    place = decisions.write(server.instance.desk, "institution", None, values, by=[staff.id]).record
    record, _ = hazard(officer, 3, institution=place)
    found = traced(server, place)
    assert [one.record for one in found.others] == [record]
    assert {one.subject.record for one in found.lines} == {place, record}
    assert [(one.level.zh, one.name) for one in found.answers] == [("县级", "周副局长")]
    assert [(one.level.zh, one.name) for one in traced(server, record).answers] == [("县级", "周副局长")]


def test_nothing_out_of_sight_is_in_a_trace(server: TestServer, officer: TestDevice, staff: Person) -> None:
    place = decisions.write(server.instance.desk, "institution", None, {"name": "启航", "area": COUNTY + "001001"}, by=[staff.id]).record
    away = server.enrol("officer", SIBLING)
    hidden, _ = hazard(away, 3, institution=place, area=SIBLING + "001001")
    assert [one.record for one in traced(server, place).others] == []
    assert [one.record for one in traced(server, place, "4301").others] == [hidden]
    with pytest.raises(NotFound):
        traced(server, hidden)


# --- At the desk --------------------------------------------------------------------------------------------------------


def look(browser: Browser, record: str, purpose: str) -> str:
    browser.get(f"tracing/{record}")
    answer = browser.post(f"tracing/{record}", {"purpose": purpose})
    return text_of(answer)


def test_a_look_is_logged_first_and_both_sides_see_it(server: TestServer, officer: TestDevice) -> None:
    record, _ = hazard(officer, 3)
    oversight = signed_in(server, "oversight", COUNTY, name="谭明")
    assert "应为 1 到" in look(oversight, record, "  ")
    server.clock.ahead += 10 * DAY
    oversight = signed_in(server, "oversight", COUNTY, name="谭明")
    shown = look(oversight, record, "人大督查第 3 号")
    assert "至今 6 天" in shown and "李敏" in shown and "谭明" in shown and "人大督查第 3 号" in shown
    with server.instance.database.read() as conn:
        (act,) = [one for one in acts.every(conn, "", acts.TRACED) if one.body["record"] == record]
    assert act.body["purpose"] == "人大督查第 3 号"
    lead = signed_in(server, "lead", COUNTY, name="孙丽")
    assert "人大督查第 3 号" in text_of(lead.get("tracing")) and "责任倒查" in text_of(lead.get("access"))


def test_who_may_look_where(server: TestServer, officer: TestDevice) -> None:
    record, _ = hazard(officer, 3)
    for role, area, status in (("oversight", COUNTY, 200), ("oversight", SIBLING, 404), ("city", "4301", 200), ("staff", COUNTY, 403), ("admin", "", 403)):
        browser = signed_in(server, role, area)
        assert browser.get(f"tracing/{record}").status_code == status, (role, area)
        assert browser.post(f"tracing/{record}", {"purpose": "x"}).status_code == status, (role, area)


def test_a_record_is_found_by_its_name(server: TestServer, staff: Person) -> None:
    decisions.write(server.instance.desk, "institution", None, {"name": "独角兽口才培训", "area": COUNTY + "001001"}, by=[staff.id])
    assert "独角兽口才培训" in text_of(signed_in(server, "oversight", COUNTY).get("tracing?q=独角兽"))
    assert "没有找到" in text_of(signed_in(server, "oversight", SIBLING).get("tracing?q=独角兽"))


# --- The law of deadlines ---------------------------------------------------------------------------------------------------

FIRST = day_span("2026-01-01")[0]  # type: ignore[index]
STATUSES = sorted(Hazard.workflow.statuses)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["", *STATUSES]), st.integers(-1, 40)), max_size=8), st.integers(41, 60)
)
def test_a_deadline_passed_exactly_on_the_days_on_which_the_record_was_overdue(history: list[tuple[int, str, int]], now: int) -> None:
    """The stretches are the days of `RecordSchema.overdue`, asked day by day of what the server had at their beginning."""
    history.sort(key=lambda one: one[0])
    steps = [
        Step(str(n), "r", 0, FIRST + at * DAY + n + 1, ["p"], "officer", "d", "accepted", "", "", n, None, [
            *([Told("status", [], status)] if status else []), *([Told("deadline", [], day(FIRST + due * DAY))] if due >= 0 else []),
        ])
        for n, (at, status, due) in enumerate(history)
    ]  # fmt: skip
    subject = Subject("r", Label("", ""), "", "")
    passed = list(tracing._deadlines(Hazard, subject, steps, FIRST + now * DAY))
    for today in range(now + 1):
        moment = FIRST + today * DAY
        values: dict[str, Any] = {}
        for step in steps:
            values |= {told.path: told.after for told in step.told} if step.received < moment else {}
        shown = any(one.since <= moment and (one.until is None or moment <= one.until) for one in passed)
        assert Hazard.overdue(values, day(moment)) == shown or not values, "before it was begun, only its own day tells"
