"""Clues and tasks at the server: who reported a clue never leaves it, steps and their guards, whose word stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from server.merging import decisions
from server.storage import states
from sync.core.fold import State, values_of
from sync.core.rules import Rights
from tests.support.console import signed_in
from tests.support.server import TestDevice, TestServer, running_server

AREA = "430104001003"
STAFF = Rights("staff", ("4301",), deciding=True)
SECRET = "周海棠"
PHONE = "0731-5550199"
CLUE: dict[str, Any] = {
    "subject": "岳麓区学雅口才", "text": "周末在三楼给初中生补数学", "area": AREA, "source": "hotline",
    "received_at": "2026-11-26T01:00:00.000Z", "urgency": "smouldering", "due": "2026-11-29", "status": "received",
}  # fmt: skip
TASK: dict[str, Any] = {"name": "核实：学雅口才", "sort": "verify", "area": AREA, "status": "planned", "due": "2026-11-29"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    with running_server(tmp_path) as running:
        yield running


@pytest.fixture
def clue(server: TestServer) -> str:
    return write(server, "clue", None, CLUE)


@pytest.fixture
def informer(server: TestServer, clue: str) -> str:
    return write(server, "informer", None, {"clue": clue, "area": AREA, "name": SECRET, "phone": PHONE})


def write(server: TestServer, kind: str, record: str | None, values: dict[str, Any], rights: Rights = STAFF) -> str:
    return decisions.write(server.instance.desk, kind, record, values, by=["s-1"], rights=rights).record


def state_of(server: TestServer, record: str) -> State:
    with server.instance.database.read() as conn:
        return State.read(bytes(states.load(conn, [record])[record].bytes))


def shown(server: TestServer, record: str) -> dict[str, Any]:
    state = state_of(server, record)
    return values_of(state, server.instance.registry[state.kind].merge_of)


def parents(server: TestServer, record: str, *paths: str) -> dict[str, list[str]]:
    state = state_of(server, record)
    return {path: sorted(state.live.get(path, {})) for path in paths}


def everything(device: TestDevice) -> bytes:
    """All that a device is given: every page of a pull, every snapshot that it may ask for."""
    told, cursors = b"", {}
    while True:
        page = device.post("/pull", {"epoch": device.answer["epoch"], "cursors": cursors, "log": {"size": 1}}).content
        told += page
        lines = [orjson.loads(line) for line in page.splitlines()]
        for bucket in lines[0]["head"]["buckets"]:
            told += device.get(f"/snapshots/{bucket}").content
        cursors = lines[-1]["end"]["cursors"]
        if not lines[-1]["end"]["more"]:
            return told


# --- The informer ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["inspector", "officer", "supervisor", "staff", "lead", "province"])
def test_no_device_is_told_who_reported_whatever_its_owner_may_see(
    server: TestServer, clue: str, informer: str, role: str
) -> None:
    told = everything(server.enrol(role, "4301"))
    assert clue.encode() in told, "the clue itself goes out"
    for secret in (SECRET, PHONE, informer, "desk:"):
        assert secret.encode() not in told


def test_the_bucket_of_what_is_kept_at_the_desk_does_not_exist_for_a_device(
    server: TestServer, informer: str
) -> None:
    device = server.enrol("officer", "4301")
    there, nowhere = device.get(f"/snapshots/desk:{AREA}"), device.get("/snapshots/desk:999999")
    assert there.status_code == nowhere.status_code == 404
    named = device.post("/pull", {"epoch": device.answer["epoch"], "cursors": {f"desk:{AREA}": "0.0"}}).content
    assert SECRET.encode() not in named


def test_a_tablet_that_writes_into_an_informer_is_parked_and_told_nothing(server: TestServer, informer: str) -> None:
    device = server.enrol("officer", "4301")
    (result,) = device.push(device.change("informer", informer, {"phone": "1"}))
    assert (result["status"], result["reason"], result["rev"]) == ("parked", "not-permitted", 0)
    assert "bucket" not in result and SECRET.encode() not in everything(device)
    assert shown(server, informer)["phone"] == PHONE


@pytest.mark.parametrize("role", ["staff", "lead", "city", "province", "admin", "oversight", "department"])
def test_no_list_search_or_record_page_shows_an_informer(server: TestServer, clue: str, informer: str, role: str) -> None:
    more = {"department": "fire"} if role == "department" else {}
    browser = signed_in(server, role, "4301", **more)
    assert browser.get("records/informer").status_code == browser.get(f"record/{informer}").status_code == 404
    assert informer not in browser.get(f"search?q={SECRET}").text
    assert SECRET not in browser.get(f"search?q={informer[:13]}").text
    assert "records/informer" not in browser.get("records").text
    assert SECRET not in browser.get(f"record/{clue}").text


# --- Steps -------------------------------------------------------------------------------------------------------


def test_a_clue_is_not_verified_without_an_outcome(server: TestServer, clue: str) -> None:
    write(server, "clue", clue, {"status": "assigned"})
    device = server.enrol("inspector", "4301")
    before = parents(server, clue, "status")
    (bare,) = device.push(device.change("clue", clue, {"status": "verified"}, before))
    assert (bare["status"], bare["reason"]) == ("parked", "guard")
    said = {"status": "verified", "outcome": "confirmed", "result": "三楼两间教室在上课，约三十人"}
    (whole,) = device.push(device.change("clue", clue, said, before))
    assert whole["status"] == "accepted" and shown(server, clue)["status"] == "verified"


def test_a_clue_is_reopened_once_and_says_why(server: TestServer, clue: str) -> None:
    write(server, "clue", clue, {"status": "verified", "outcome": "unfounded", "result": "未见上课"})
    write(server, "clue", clue, {"status": "closed", "disposal": "已电话答复"})
    assert refused(server, clue, {"status": "reopened"})
    write(server, "clue", clue, {"status": "reopened", "reopenings/r1": {"text": "来电人不满意"}})
    write(server, "clue", clue, {"status": "verified", "result": "周六复核仍未见"})
    write(server, "clue", clue, {"status": "closed"})
    assert refused(server, clue, {"status": "reopened", "reopenings/r2": {"text": "又来电"}})
    assert shown(server, clue)["status"] == "closed"


def refused(server: TestServer, record: str, values: dict[str, Any]) -> bool:
    try:
        outcome = decisions.write(server.instance.desk, "clue", record, values, by=["s-1"], rights=STAFF)
    except Exception:
        return True
    return outcome.status != "accepted"


def test_two_tablets_that_did_one_task_both_stay_tied_to_it(server: TestServer) -> None:
    task = write(server, "task", None, TASK)
    before = parents(server, task, "status")
    for number, device in enumerate((server.enrol("inspector", "4301"), server.enrol("officer", "4301"))):
        did = {"status": "done", f"inspections/i-{number}": True}
        (result,) = device.push(device.change("task", task, did, before))
        assert result["status"] == "accepted"
    values = shown(server, task)
    assert values["status"] == "done" and values["inspections/i-0"] and values["inspections/i-1"]


def test_what_was_done_for_a_task_that_the_county_cancelled_meanwhile_waits_for_staff(server: TestServer) -> None:
    task = write(server, "task", None, TASK)
    device, before = server.enrol("inspector", "4301"), parents(server, task, "status")
    write(server, "task", task, {"status": "cancelled", "cancelled_why": "机构已注销"})
    (late,) = device.push(device.change("task", task, {"status": "done"}, before))
    (tied,) = device.push(device.change("task", task, {"inspections/i-1": True}))
    assert (late["status"], late["reason"], tied["status"]) == ("parked", "stale", "accepted")


def test_the_county_s_day_stands_against_a_tablet_s(server: TestServer) -> None:
    task = write(server, "task", None, TASK)
    device, before = server.enrol("officer", "4301"), parents(server, task, "due", "assigned")
    write(server, "task", task, {"due": "2026-11-27", "assigned": {"to": "person", "id": "p-1", "name": "李敏"}})
    device.push(device.change("task", task, {"due": "2026-12-30", "assigned": {"to": "area"}}, before))
    values, state = shown(server, task), state_of(server, task)
    assert values["due"] == "2026-11-27" and values["assigned"]["name"] == "李敏"
    assert state.plain, "settled by a change of the server"
