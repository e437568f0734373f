"""What is to be done: sent back with the reason, overdue first, and what others changed since yesterday."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from field_client.tablet import Tablet
from field_client.work import agenda
from field_client.work.agenda import News
from server.merging import decisions
from tests.support.patrols import AREA, enrolled, new_tablet, round_of
from tests.support.server import TestServer, running_server


@pytest.fixture
def tablet(tmp_path: Path) -> Iterator[Tablet]:
    made = new_tablet(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    with running_server(tmp_path / "server") as running:
        yield running


def hazard(tablet: Tablet, description: str, days: int | None, **more: Any) -> str:
    deadline = (agenda.today_of(tablet) + timedelta(days)).isoformat() if days is not None else None
    values = {"institution": "i-1", "area": AREA, "description": description, "grade": "general", "status": "open", "deadline": deadline, **more}
    return tablet.write("hazard", None, {path: value for path, value in values.items() if value is not None}).record


def test_overdue_comes_first_and_what_has_no_deadline_last(tablet: Tablet) -> None:
    for description, days in (("later", 9), ("none", None), ("late", -3), ("today", 0)):
        hazard(tablet, description, days)
    hazard(tablet, "done", -9, status="rectified")
    found = agenda.dangers(tablet, agenda.today_of(tablet))
    assert [(one.description, one.late, one.days) for one in found] == [
        ("late", True, -3), ("today", False, 0), ("later", False, 9), ("none", False, None)]  # fmt: skip


def test_a_deleted_record_is_nothing_to_do(tablet: Tablet) -> None:
    tablet.delete(hazard(tablet, "gone", -1), "重复登记")
    assert agenda.dangers(tablet, agenda.today_of(tablet)) == []


def test_an_inspection_that_was_sent_back_says_why_and_about_which_field(server: TestServer, tmp_path: Path) -> None:
    tablet = enrolled(server, tmp_path / "a")
    record = tablet.write("inspection", None, {"name": "学雅口才", "area": AREA, "status": "draft", "institution": "i-1",
                                               "mode": "patrol", "answers/FIR-05": {"answer": "no"}, "findings": "通道堆放桌椅",
                                               "started_at": "2026-11-25T01:00:00.000Z", "ended_at": "2026-11-25T02:00:00.000Z",
                                               "signatures/s-1": {"name": "罗雨", "content": "0" * 64, "at": "2026-11-25T02:00:00.000Z", "as": "party"}}).record  # fmt: skip
    round_of(tablet)
    desk = server.instance.desk
    reason = {"text": "请补拍通道", "at": "2026-11-25T09:00:00.000Z", "item": "answers/FIR-05"}
    for written in ({"status": "submitted"}, {"review/r-1": reason, "status": "returned"}):
        decisions.write(desk, "inspection", record, written, by=["s-1"])
    round_of(tablet)
    (back,) = agenda.visits(tablet).returned
    assert back.name == "学雅口才" and [(one.text, one.path) for one in back.reasons] == [("请补拍通道", "answers/FIR-05")]
    assert agenda.visits(tablet).drafts == ()
    tablet.close()


def test_news_names_what_others_changed_and_not_what_was_written_here(server: TestServer, tmp_path: Path) -> None:
    a, b = enrolled(server, tmp_path / "a"), enrolled(server, tmp_path / "b")
    record = a.write("institution", None, {"name": "启航艺术", "area": AREA}).record
    round_of(a)
    round_of(b)
    News(a).listen()
    News(b).listen()
    a.write("institution", record, {"remark": "二楼换了招牌"})
    b.write("institution", record, {"phone": "0731-1234"})
    for one in (a, b, a):
        round_of(one)
    (item,) = News(a).since(0)
    assert (item.title, [label.en for label in item.fields]) == ("启航艺术", ["Telephone"])
    assert News(a).since(a.store.clock.wall_ms() + 60_000) == []
    a.close()
    b.close()


def test_a_first_fill_is_no_news(server: TestServer, tmp_path: Path) -> None:
    a, b = enrolled(server, tmp_path / "a"), enrolled(server, tmp_path / "b")
    a.write("institution", None, {"name": "启航艺术", "area": AREA})
    round_of(a)
    round_of(b)
    assert News(b).since(0) == []
    a.close()
    b.close()
