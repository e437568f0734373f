"""Review level by level over real HTTP: who has it, what keeps it from passing, and how a return reaches the tablet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from uuid import uuid4

import orjson
import pytest

from server.merging import decisions
from server.storage import states
from sync.core.fold import State
from tests.support.conflicts import Scene
from tests.support.console import Browser, signed_in, text_of
from tests.support.server import TestDevice, TestServer, running_server

TOWN = "430102001"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("review")) as running:
        yield running


@pytest.fixture(scope="module")
def scene(server: TestServer) -> Scene:
    return Scene(server)


@pytest.fixture(scope="module")
def county(server: TestServer) -> Browser:
    return signed_in(server, "staff", "430102", name="孙丽")


SIGNED = {"name": "李敏", "content": "0" * 64, "at": "2026-11-25T02:00:00.000Z"}


def submitted(scene: Scene, **more: Any) -> str:
    """An inspection that a tablet has submitted."""
    times = {"started_at": "2026-11-25T01:00:00.000Z", "ended_at": "2026-11-25T02:00:00.000Z"}
    record, begun = scene.record("inspection", **times, **{"findings": "两间教室正在上课", f"signatures/{uuid4()}": SIGNED, **more})
    sent = scene.a.change("inspection", record, {"status": "submitted"}, {"status": [begun]})
    assert scene.a.push(sent)[0]["status"] == "accepted"
    return record


def state_of(server: TestServer, record: str) -> State:
    with server.instance.database.read() as conn:
        return State.read(states.load(conn, [record])[record].bytes)


def status(server: TestServer, record: str) -> str:
    return str(next(iter(state_of(server, record).live["status"].values())))


def step(browser: Browser, record: str, to: str, **remarks: str) -> Any:
    seen = re.findall(r'name="seen" value="([^"]+)"', browser.get(f"review/{record}").text)
    return browser.post(f"review/{record}", {"to": to, "seen": seen, **{f"remark:{k}": v for k, v in remarks.items()}})


def test_it_goes_from_township_to_county_city_and_province_and_each_sees_what_lies_with_it(server: TestServer, scene: Scene) -> None:
    record = submitted(scene)
    levels = [("staff", TOWN, "township"), ("lead", "430102", "county"), ("city", "4301", "city"), ("province", "43", "approved")]
    browsers = {area: signed_in(server, role, area, name=f"审核{area}") for role, area, _ in levels}
    for role, area, to in levels:
        browser = browsers[area]
        assert record in browser.get("review").text, f"it lies with the {role}"
        assert f"审核{area}" in text_of(browser.get(f"review/{record}"))
        assert step(browser, record, to).status_code == 303
        assert status(server, record) == to
    assert record not in browsers["43"].get("review").text


def test_without_a_township_it_lies_with_the_county_and_a_neighbour_knows_nothing_of_it(server: TestServer) -> None:
    far = Scene(server, "430111002003")
    record = submitted(far)
    staff = signed_in(server, "staff", "430111", name="周敏")
    assert "周敏" in text_of(staff.get("review")) and record in staff.get("review").text
    neighbour = signed_in(server, "staff", "430103")
    assert record not in neighbour.get("review?which=all").text and neighbour.get(f"review/{record}").status_code == 404
    assert neighbour.post(f"review/{record}", {"to": "approved"}).status_code == 404


def test_words_that_draw_a_conclusion_are_pointed_out_to_whoever_reviews(scene: Scene, county: Browser) -> None:
    record = submitted(scene, findings="情节严重，属违法办学")
    assert "请避免结论性用语：情节严重、违法" in county.get(f"review/{record}").text
    assert "请避免结论性用语" not in county.get(f"review/{submitted(scene)}").text


def test_a_level_takes_its_own_steps_only(server: TestServer, scene: Scene, county: Browser) -> None:
    record = submitted(scene)
    assert step(signed_in(server, "province", "43"), record, "approved").status_code == 409
    assert step(signed_in(server, "staff", TOWN), record, "approved").status_code == 409, "what is final is for the county"
    assert step(county, record, "city").status_code == 409
    assert status(server, record) == "submitted"


def test_the_page_of_a_record_tells_who_holds_it_and_lets_nobody_past_the_desk(server: TestServer, scene: Scene, county: Browser) -> None:
    record = submitted(scene)
    shown = county.get(f"record/{record}")
    assert re.search("现由 (县级|乡镇（街道）)：.* 自 2026-11-2", text_of(shown)) and f"/console/review/{record}" in shown.text
    assert not re.search(r'name="to" value="(approved|county|township|returned)"', shown.text) and 'name="to" value="void"' in shown.text
    seen = re.search(r'name="seen" value="([^"]*)"', shown.text)
    assert seen is not None
    for target in ("approved", "township", "returned"):
        refused = county.post(f"record/{record}/step", {"to": target, "seen": seen.group(1).replace("&#34;", '"')})
        assert refused.status_code == 409 and "逐级审核" in refused.text
    assert status(server, record) == "submitted"
    step(county, record, "approved")
    assert "现由" not in text_of(county.get(f"record/{record}"))


def test_what_has_an_open_conflict_is_not_approved_and_the_page_leads_to_it(server: TestServer, scene: Scene, county: Browser) -> None:
    record = submitted(scene)
    scene.write(scene.a, record, "address", "芙蓉路1号", kind="inspection")
    scene.write(scene.b, record, "address", "芙蓉路2号", kind="inspection")
    (row,) = scene.waiting(record)
    shown = county.get(f"review/{record}")
    assert f"/console/merge/{row.id}" in shown.text and "冲突未裁决" in shown.text
    refused = step(county, record, "approved")
    assert refused.status_code == 409 and "未解决的冲突" in refused.text and status(server, record) == "submitted"
    assert "冲突 1" in text_of(county.get("review"))


def test_what_names_a_file_that_has_not_arrived_is_not_approved(server: TestServer, scene: Scene, county: Browser) -> None:
    content = b"\xff\xd8\xff\xe0 not here yet"
    file = {"sha256": sha256(content).hexdigest(), "size": len(content), "mime": "image/jpeg"}
    record = submitted(scene, **{f"evidence/{uuid4()}": file})
    refused = step(county, record, "approved")
    assert refused.status_code == 409 and "没有收到" in refused.text and status(server, record) == "submitted"


def pulled(device: TestDevice) -> list[dict[str, Any]]:
    body = orjson.dumps({"epoch": device.answer["epoch"], "cursors": {}, "limit_bytes": 1 << 20})
    answer = device.request("POST", "/pull", body, Content_Type="application/json")
    return [orjson.loads(line) for line in answer.content.splitlines()]


def test_a_return_reaches_the_tablet_with_the_field_and_the_photo_marked_and_comes_back_as_a_new_version(
    server: TestServer, scene: Scene, county: Browser
) -> None:
    photo = str(uuid4())
    record = submitted(scene)
    assert step(county, record, "returned").status_code == 409, "a return says why"
    answer = step(county, record, "returned", **{"findings": "写明人数", f"evidence/{photo}": "看不清门牌"})
    assert answer.status_code == 303 and status(server, record) == "returned"
    told = orjson.dumps(pulled(scene.a)).decode()
    assert record in told and "写明人数" in told and f"evidence/{photo}" in told and "看不清门牌" in told
    shown = county.get(f"review/{record}")
    assert "写明人数" in shown.text and "检查人员" in text_of(shown)
    state = state_of(server, record)
    fixed = scene.a.change(
        "inspection",
        record,
        {"findings": "两间教室正在上课，共31人", "status": "submitted"},
        {path: state.ids(path) for path in ("findings", "status")},
    )
    assert scene.a.push(fixed)[0]["status"] == "accepted"
    said = text_of(county.get(f"review/{record}"))
    assert "第 2 次提交" in said and "第 1 次提交" in said
    page = county.get(f"review/{record}").text
    assert "<del>两间教室正在上课</del>" in page and "<ins>两间教室正在上课，共31人</ins>" in page


def test_a_step_from_a_page_that_is_out_of_date_writes_nothing(server: TestServer, scene: Scene, county: Browser) -> None:
    record = submitted(scene)
    county.get(f"review/{record}")
    old = re.findall(r'name="seen" value="([^"]+)"', county.get(f"review/{record}").text)
    step(county, record, "returned", findings="写明人数")
    assert county.post(f"review/{record}", {"to": "approved", "seen": old}).status_code == 409
    assert status(server, record) == "returned"


def test_hazards_that_are_reported_as_rectified_wait_for_the_county(server: TestServer, scene: Scene, county: Browser) -> None:
    record, begun = scene.record()
    asked = {"name": "复查", "sort": "recheck", "hazard": record, "area": "430102001001", "status": "planned"}
    task = decisions.write(server.instance.desk, "task", None, asked, by=["s-1"]).record
    done = scene.a.change("hazard", record, {"status": "rectified"}, {"status": [begun]})
    assert scene.a.push(done)[0]["status"] == "accepted"
    assert record in county.get("review?kind=hazard").text
    assert step(county, record, "verified").status_code == 303 and status(server, record) == "verified"
    assert status(server, task) == "cancelled", "nobody goes there for what was struck off"
