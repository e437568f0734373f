"""The desk for records over real HTTP: what is in sight and nothing else, and what leaves as a file."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import openpyxl
import pytest

from server import acts
from server.console import records as console_records
from server.register import sheets
from server.storage import journal, states
from sync.core.fold import State
from tests.support.console import Browser, signed_in, text_of
from tests.support.desk import COUNTY, SIBLING, Filled, fill
from tests.support.server import TestServer, running_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.fixture(scope="module")
def filled(server: TestServer) -> Filled:
    return fill(server, 24)


@pytest.fixture(scope="module")
def lead(server: TestServer, filled: Filled) -> Browser:
    return signed_in(server, "lead", COUNTY, name="周敏")


@pytest.fixture(scope="module")
def stranger(server: TestServer, filled: Filled) -> Browser:
    return signed_in(server, "lead", SIBLING)


def live(server: TestServer, record: str) -> State:
    with server.instance.database.read() as conn:
        return State.read(bytes(states.load(conn, [record])[record].bytes))


def rows(response: Any) -> list[str]:
    """The ids of the records of a list, in its order."""
    return re.findall(r'<th scope="row"><a href="/console/record/([^"]+)"', response.text)


# --- What is in sight -----------------------------------------------------------------------------------------------


def test_every_kind_in_sight_has_a_list_and_its_pages_hold_every_record_once(lead: Browser, filled: Filled) -> None:
    assert "机构" in text_of(lead.get("records"))
    for kind in ("institution", "hazard", "inspection", "evidence", "patrol_note", "case", "officer", "handover", "checklist"):
        assert lead.get(f"records/{kind}").status_code == 200
    found: list[str] = []
    address = "/console/records/institution?order=name&dir=up"
    while address:
        response = lead.get(address)
        found += rows(response)
        following = re.search(r'href="([^"]*after=[^"]*)"', response.text)
        address = following.group(1).replace("&amp;", "&") if following else ""
    assert sorted(found) == sorted(filled.institutions)


def test_another_county_finds_none_of_it_anywhere(stranger: Browser, filled: Filled, server: TestServer) -> None:
    assert rows(stranger.get("records/institution")) == [filled.elsewhere]
    assert rows(stranger.get("records/hazard")) == [] and "芙蓉区" not in stranger.get("search?q=" + quote("培训学校")).text
    nowhere = "00000000-0000-7000-8000-000000000000"
    for path in ("record/{}", "record/{}/edit"):
        hidden, never = stranger.get(path.format(filled.inspection)), stranger.get(path.format(nowhere))
        assert hidden.status_code == never.status_code == 404
        assert hidden.text.replace(filled.inspection, "") == never.text.replace(nowhere, "")
    digest = live(server, filled.evidence[0]).live["sha256"]
    sha256 = next(iter(digest.values()))
    assert stranger.get(f"record/{filled.evidence[0]}/file/{sha256}").status_code == 404
    box = "map/clusters?kind=institution&zoom=8&box=20,100,35,120"
    assert stranger.get(box, headers={"Accept": "application/json"}).json() == {"clusters": []}
    assert stranger.post(f"record/{filled.hazards[0]}/edit", {"description": "x", "seen": "{}"}).status_code == 404


def test_what_lies_behind_the_wall_is_no_kind_for_a_county(lead: Browser, server: TestServer) -> None:
    assert lead.get("records/audit").status_code == lead.get("records/nothing").status_code == 404
    assert "暗访" not in text_of(lead.get("records")) and "audit" not in lead.get("search?q=a").text
    team = server.enrol("team", "43")
    team.push(team.change("audit", "a-1", {"name": "晨星", "area": f"{COUNTY}001001", "target": "启航培训"}))
    assert "晨星" not in lead.get("search?q=" + quote("晨星")).text.replace('value="晨星"', "").split("<main")[1].split("没有找到")[0]
    province = signed_in(server, "province", "43")
    assert province.get("records/audit").status_code == 404


def test_a_department_reads_what_names_it_and_writes_nothing(server: TestServer, filled: Filled) -> None:
    record = filled.institutions[3]
    filled.tablet.push(filled.tablet.change("institution", record, {"departments/fire": True}))
    fire = signed_in(server, "department", COUNTY, department="fire")
    assert rows(fire.get("records/institution")) == [record]
    assert fire.get(f"record/{record}").status_code == 200
    assert fire.get(f"record/{filled.institutions[4]}").status_code == 404
    assert rows(fire.get("records/hazard")) == [] and fire.get(f"record/{filled.hazards[0]}").status_code == 404
    assert fire.get(f"record/{record}/edit").status_code == 403
    assert fire.get(f"record/{filled.evidence[0]}/file/{'0' * 64}").status_code == 404


# --- Conditions -----------------------------------------------------------------------------------------------------


def test_conditions_of_an_address_are_applied_and_bad_ones_are_told(lead: Browser, filled: Filled) -> None:
    assert len(rows(lead.get("records/institution?f-category=art&f-category=sport"))) == 12
    assert len(rows(lead.get("records/institution?from-learners=30&to-learners=３９"))) == 4
    assert len(rows(lead.get(f"records/institution?f-area={COUNTY}002"))) == 5
    assert rows(lead.get("records/institution?f-area=99")) == []
    assert rows(lead.get("records/institution?conflict=1")) == [filled.disputed]
    assert len(rows(lead.get("records/hazard?overdue=1"))) == 6
    assert len(rows(lead.get("records/institution?q=" + quote("中路24")))) == 1
    assert "无法识别" in text_of(lead.get("records/institution?from-learners=viele"))
    for bad in ("order=sum(1)", "f-area=%27%20OR%201", "after=%22", "cols=x,y", "before=e30", "f-status=zzz", "dir=%00"):
        assert lead.get(f"records/institution?{bad}").status_code == 200


def test_tags_are_a_column_and_a_condition(lead: Browser, filled: Filled) -> None:
    tablet, (first, second) = filled.tablet, filled.institutions[11:13]
    tablet.push(tablet.change("institution", first, {"features/food": True, "features/dorm": True}), tablet.change("institution", second, {"features/food": True}))
    listed = lead.get("records/institution?f-features=food&cols=name,features&order=name&dir=up")
    assert set(rows(listed)) == {first, second} and "供餐、住宿" in text_of(listed) and "特征：供餐" in text_of(listed)
    assert rows(lead.get("records/institution?f-features=dorm")) == [first]
    assert set(rows(lead.get("records/institution?f-features=dorm&f-features=food"))) == {first, second}
    assert not {first, second} & set(rows(lead.get("records/institution?f-features=-")))
    tablet.push(tablet.change("institution", second, {"features/food": False}, {"features/food": []}))
    assert lead.get("records/institution?order=features").status_code == 200
    sheet = openpyxl.load_workbook(io.BytesIO(export(lead, "institution", "xlsx", "f-features=dorm&cols=name,features").content)).active
    assert [cell.value for cell in sheet[2]][2] == "供餐、住宿"


def test_a_view_is_kept_for_its_owner_alone(server: TestServer, lead: Browser, stranger: Browser) -> None:
    lead.get("records/institution")
    lead.post("records/institution/views", {"name": "艺术类", "query": "f-category=art"})
    assert "艺术类</a>" in lead.get("records/institution").text
    assert "艺术类</a>" not in stranger.get("records/institution").text
    number = re.search(r"/views/(\d+)/drop", lead.get("records/institution").text)
    assert number is not None
    assert stranger.post(f"records/institution/views/{number.group(1)}/drop").status_code == 404
    lead.get("records/institution")
    assert lead.post(f"records/institution/views/{number.group(1)}/drop").status_code == 303


# --- One record -----------------------------------------------------------------------------------------------------


def test_a_record_tells_its_history_its_files_and_what_names_it(lead: Browser, filled: Filled) -> None:
    page = text_of(lead.get(f"record/{filled.institutions[1]}"))
    assert "历史" in page and "李敏" in page and "2 楼消防通道" in page and "博文美术培训学校" in page
    conflict = lead.get(f"record/{filled.disputed}")
    assert "正常办学" in conflict.text and "暂停招生" in conflict.text and "/console/merge/" in conflict.text
    inspection = lead.get(f"record/{filled.inspection}")
    assert "1 个尚未上传" in text_of(inspection) and inspection.text.count('class="photo"') == 4


def test_a_photo_is_given_small_and_whole_and_the_original_of_a_restricted_one_for_a_purpose(
    lead: Browser, filled: Filled, server: TestServer
) -> None:
    evidence = filled.evidence[0]
    sha256 = next(iter(live(server, evidence).live["sha256"].values()))
    small = lead.get(f"record/{evidence}/file/{sha256}?width=320")
    assert small.headers["Content-Type"] == "image/jpeg" and small.content[:2] == b"\xff\xd8"
    assert lead.get(f"record/{evidence}/file/{sha256}?width=321").status_code == 400
    assert lead.get(f"record/{evidence}/file/{'0' * 64}").status_code == 404
    assert lead.get(f"record/{filled.evidence[1]}/file/{sha256}").status_code == 404
    from server.storage import facts

    with server.instance.database.write() as conn:
        facts.put(conn, facts.ORIGINALS, facts.LOGGED)
    asked = lead.get(f"record/{evidence}/original/{sha256}")
    assert "查阅目的" in asked.text
    assert lead.post(f"record/{evidence}/original/{sha256}", {"purpose": " "}).status_code == 422
    given = lead.post(f"record/{evidence}/original/{sha256}", {"purpose": "复核"})
    assert given.content[:2] == b"\xff\xd8" and int(given.headers["Patrolbook-Leaf"]) >= 0
    with server.instance.database.write() as conn:
        said = [act.body for act in acts.every(conn, "", acts.OPENED)]
        facts.put(conn, facts.ORIGINALS, "")
    assert said[-1]["purpose"] == "复核" and said[-1]["record"] in (evidence, filled.inspection)


def test_the_grade_is_a_column_and_a_condition_of_what_is_evidence(lead: Browser, filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    page = lead.get("records/inspection")
    assert re.search(r">等级</th>", page.text) and "线索或巡查" in page.text and 'order=grade' not in page.text
    assert rows(lead.get("records/inspection?f-grade=D&f-grade=C")) == [filled.inspection] == rows(lead.get("records/inspection?order=grade"))
    assert rows(lead.get("records/inspection?f-grade=A")) == [] and "等级：A" in text_of(lead.get("records/inspection?f-grade=A"))
    assert "等级" not in re.findall(r"<thead>.*?</thead>", lead.get("records/institution").text, re.S)[0]
    content = export(lead, "evidence", "csv").content.decode("utf-8-sig")
    header, *lines = csv.reader(io.StringIO(content))
    assert {line[header.index("等级")] for line in lines} == {"D"}
    monkeypatch.setattr(console_records, "MOST_GRADED", 2)
    many = lead.get("records/evidence?f-grade=A")
    assert len(rows(many)) == 3 and "超过 2 条" in text_of(many) and "等级：A" not in text_of(many)


def test_a_correction_replaces_what_was_seen_and_shows_a_newcomer_first(lead: Browser, filled: Filled, server: TestServer) -> None:
    record = filled.institutions[7]
    form = lead.get(f"record/{record}/edit")
    seen = re.search(r'name="seen" value="([^"]*)"', form.text)
    assert seen is not None
    looked_at = seen.group(1).replace("&#34;", '"')
    typed = {"seen": looked_at, "address": "五一大道1号", "remark": "补充"}
    filled.tablet.push(filled.tablet.change("institution", record, {"address": "芙蓉中路9号"}, {"address": live(server, record).ids("address")}))
    again = lead.post(f"record/{record}/edit", typed)
    assert again.status_code == 409 and "芙蓉中路9号" in again.text and "五一大道1号" in again.text and "补充" in again.text
    assert list(live(server, record).live["address"].values()) == ["芙蓉中路9号"] and "remark" not in live(server, record).live
    newer = re.search(r'name="seen" value="([^"]*)"', again.text)
    assert newer is not None
    saved = lead.post(f"record/{record}/edit", typed | {"seen": newer.group(1).replace("&#34;", '"')})
    assert saved.status_code == 303
    state = live(server, record)
    assert list(state.live["address"].values()) == ["五一大道1号"] and list(state.live["remark"].values()) == ["补充"]
    with server.instance.database.read() as conn:
        assert "芙蓉中路9号" in [c.value("address") for c, _, _ in journal.history(conn, {record}) if "address" in c.set]


def test_a_field_that_was_not_touched_is_not_written_though_another_changed_it(lead: Browser, filled: Filled, server: TestServer) -> None:
    record = filled.institutions[8]
    form = lead.get(f"record/{record}/edit")
    before = re.search(r'name="address"[^>]*value="([^"]*)"', form.text)
    seen = re.search(r'name="seen" value="([^"]*)"', form.text)
    assert seen is not None and before is not None
    filled.tablet.push(filled.tablet.change("institution", record, {"address": "新地址"}, {"address": live(server, record).ids("address")}))
    typed = {"seen": seen.group(1).replace("&#34;", '"'), "address": before.group(1), "remark": "只改备注"}
    assert lead.post(f"record/{record}/edit", typed).status_code == 303
    assert list(live(server, record).live["address"].values()) == ["新地址"]


def test_a_new_record_is_made_and_what_was_wrong_is_told_beside_its_field(lead: Browser, server: TestServer) -> None:
    lead.get("records/institution/new")
    wrong = lead.post("records/institution/new", {"name": "新学校", "area": "43010", "learners": "十"})
    assert wrong.status_code == 422 and "新学校" in wrong.text and "应为整数" in wrong.text
    made = lead.post("records/institution/new", {"name": "新学校", "area": f"{COUNTY}001001", "learners": "１２"})
    assert made.status_code == 303
    record = made.headers["Location"].rpartition("/")[2]
    assert live(server, record).live["learners"] and list(live(server, record).live["learners"].values()) == [12]
    outside = lead.post("records/institution/new", {"name": "外县", "area": f"{SIBLING}001001"})
    assert outside.status_code == 422


def test_a_step_is_taken_from_the_status_that_was_shown(lead: Browser, filled: Filled, server: TestServer) -> None:
    record = filled.hazards[1]
    lead.get(f"record/{record}")
    ids = json.dumps({"status": live(server, record).ids("status")})
    assert lead.post(f"record/{record}/step", {"to": "void", "seen": json.dumps({"status": ["old"]})}).status_code == 409
    assert lead.post(f"record/{record}/step", {"to": "void", "seen": ids}).status_code == 303
    assert list(live(server, record).live["status"].values()) == ["void"]


# --- Files ----------------------------------------------------------------------------------------------------------


def export(browser: Browser, kind: str, form: str, query: str = "", **more: str) -> Any:
    browser.get(f"records/{kind}")
    return browser.post(f"records/{kind}/export?{query}", {"form": form, **more})


def test_a_workbook_opens_holds_what_the_list_shows_and_computes_nothing(lead: Browser, filled: Filled, server: TestServer) -> None:
    answer = export(lead, "institution", "xlsx", "f-category=art&cols=name,learners,legal_representative,status")
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    sheet = book.active
    lines = list(sheet.iter_rows(values_only=True))
    assert lines[0] == ("编号", "机构名称", "学员人数", "法定代表人", "状态")
    assert len(lines) == 7 and {type(line[2]) for line in lines[1:]} == {int}
    assert any(line[4] == "冲突待决" for line in lines[1:])
    every = openpyxl.load_workbook(io.BytesIO(export(lead, "institution", "xlsx", all="1").content)).active
    cells = [cell for row in every.iter_rows() for cell in row]
    assert not [cell.value for cell in cells if cell.data_type == "f"]
    assert any(str(cell.value).startswith("'=HYPERLINK") for cell in cells)
    with server.instance.database.read() as conn:
        said = [act.body for act in acts.every(conn, "", acts.EXPORTED)]
    assert said[-1]["kind"] == "institution" and said[-1]["form"] == "xlsx" and said[-1]["by"]


def test_a_csv_has_the_mark_that_excel_needs_and_no_formula(lead: Browser) -> None:
    answer = export(lead, "institution", "csv", all="1")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    lines = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len(lines) > 24 and not [cell for line in lines for cell in line if cell.startswith(sheets.FORMULA)]
    areas = [line[lines[0].index("行政区划代码")] for line in lines[1:]]
    assert all(re.fullmatch(r"\d{12}\t", area) for area in areas), "Excel would make a number of twelve digits"


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "＝1+1", "＋1", "－1", "＠x"])
def test_nothing_that_begins_like_a_formula_is_one(cell: str) -> None:
    (line,) = csv.reader(io.StringIO(b"".join(sheets.stream_csv([[cell]])).decode("utf-8-sig"), newline=""))
    assert line == ["'" + cell]
    book = openpyxl.load_workbook(io.BytesIO(b"".join(sheets.stream_xlsx([["名称"], [cell]], "表"))))
    assert book.active["A2"].data_type == "s" and book.active["A2"].value.startswith("'") and book.active.freeze_panes == "A2"


def test_geojson_says_longitude_first_in_degrees_as_they_were_measured(lead: Browser, filled: Filled) -> None:
    found = export(lead, "institution", "geojson").json()
    assert found["type"] == "FeatureCollection" and len(found["features"]) == 24
    one = next(feature for feature in found["features"] if feature["id"] == filled.institutions[0])
    assert one["geometry"] == {"type": "Point", "coordinates": [112.98, 28.19]}
    assert one["properties"]["name"] == "长沙市芙蓉区启航艺术培训学校"
    assert export(lead, "checklist", "geojson").status_code == 400


def test_an_export_holds_no_more_than_its_reader_sees(stranger: Browser, filled: Filled) -> None:
    content = export(stranger, "institution", "csv").content.decode("utf-8-sig")
    assert len(content.strip().splitlines()) == 2 and filled.elsewhere in content


