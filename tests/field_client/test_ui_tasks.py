"""Tasks and clues on the touch screen, over real HTTP: what is missing is said, second taps change nothing, cancelled is cancelled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from field_client.tablet import Tablet
from field_client.work import rectifying
from tests.support.screens import Screen, shown


@pytest.fixture
def ui(tmp_path: Path) -> Iterator[Screen]:
    with shown(tmp_path / "home") as screen:
        yield screen.open().practise()


@pytest.fixture
def tablet(ui: Screen) -> Iterator[Tablet]:
    assert ui.seats is not None
    opened = ui.seats.current.tablet()
    yield opened
    opened.close()


def given(tablet: Tablet) -> tuple[str, str, str]:
    """A planned visit, a clue, and the task to verify it."""
    visit = next(one for one in tablet.records("task") if "clue" not in tablet.values(one))
    verify = next(one for one in tablet.records("task") if "clue" in tablet.values(one))
    return visit, str(tablet.values(verify)["clue"]), verify


def test_a_clue_needs_an_outcome_and_words_and_keeps_what_was_typed(ui: Screen, tablet: Tablet) -> None:
    _, clue, task = given(tablet)
    answer = ui.post(f"/clues/{clue}/verified", task=task, result="门口贴了停课公告")
    assert answer.status_code == 422 and "请选择核实结论" in answer.text and "门口贴了停课公告" in answer.text
    assert tablet.values(clue)["status"] == "received"
    for _ in range(2):
        ui.post(f"/clues/{clue}/verified", task=task, outcome="confirmed", result="门口贴了停课公告")
    assert (tablet.values(clue)["outcome"], tablet.values(task)["status"]) == ("confirmed", "done")
    assert sum("outcome" in own.change.set for own in tablet.history(clue)) == 1, "a second tap writes nothing"


def test_a_task_is_done_in_words_or_by_the_inspection_that_was_open_already(ui: Screen, tablet: Tablet) -> None:
    visit, _, _ = given(tablet)
    place = str(tablet.values(visit)["institution"])
    assert "请写明结果" in ui.post(f"/tasks/{visit}/done", result="").text
    record, again = tablet.store.clock.new_id(), tablet.store.clock.new_id()
    ui.post("/inspections", institution=place, record=record)
    offered = ui.post("/inspections", institution=place, record=again, task=visit)
    assert "算作这个任务的检查" in offered.text and not tablet.store.knows(again)
    ui.post(f"/tasks/{visit}/tie", **{"with": record})
    assert tablet.values(visit)[f"inspections/{record}"] is True and "进行中" in ui.get("/").text


def test_who_was_asked_to_look_again_at_a_hazard_is_done_when_they_report_it_as_put_right(ui: Screen, tablet: Tablet) -> None:
    place = tablet.records("institution")[0]
    hazard, other = (rectifying.note(tablet, place, words, deadline="2099-12-03") for words in ("通道堆放桌椅", "灭火器过期"))
    area = tablet.values(place)["area"]
    asked = [tablet.write("task", None, {"name": "复查", "sort": "recheck", "area": area, "institution": place, "hazard": one, "status": "planned"}).record
             for one in (hazard, other)]  # fmt: skip
    assert f"/hazards/{hazard}" in ui.get(f"/tasks/{asked[0]}").text
    ui.post(f"/hazards/{hazard}/step", target="rectified", words="已清理")
    assert [tablet.values(one)["status"] for one in asked] == ["done", "planned"]


def test_a_task_that_was_cancelled_begins_nothing(ui: Screen, tablet: Tablet) -> None:
    visit, _, _ = given(tablet)
    tablet.write("task", visit, {"status": "cancelled", "cancelled_why": "机构已注销"})
    record = tablet.store.clock.new_id()
    answer = ui.post("/inspections", institution=str(tablet.values(visit)["institution"]), record=record, task=visit, anyway="1")
    assert answer.status_code == 409 and "任务已取消" in answer.text and not tablet.store.knows(record)
    assert "机构已注销" in ui.get(f"/tasks/{visit}").text
