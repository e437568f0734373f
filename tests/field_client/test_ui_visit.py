"""A visit on the touch screen, over real HTTP: answers, officers, signatures, photos, hazards, and everything that goes wrong."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from field_client.evidence.capture import capture
from field_client.evidence.looking import picture_of
from field_client.tablet import Tablet
from field_client.ui.inspection import PHRASES
from field_client.ui.signing import REFUSALS
from field_client.work import rectification_order, rectifying
from field_client.work.rectification_order import order_text
from schemas.labels import Label
from schemas.shipped import library
from schemas.shipped.answers import REASONS
from tests.support.papers import codes, pictures, words
from tests.support.pictures import encoded, hollow_png, jpeg, mp4, scene
from tests.support.screens import Screen, field, shown

JSON = {"Accept": "application/json"}
PIXEL = "data:image/png;base64," + base64.b64encode(encoded(scene(40, 20), "PNG")).decode()


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    with shown(tmp_path_factory.mktemp("home")) as screen:
        yield screen.open().practise()


@pytest.fixture
def tablet(ui: Screen) -> Iterator[Tablet]:
    assert ui.seats is not None
    opened = ui.seats.current.tablet()
    yield opened
    opened.close()


def begin(ui: Screen, tablet: Tablet, number: int = 0) -> str:
    """An inspection as a person begins it."""
    record = tablet.store.clock.new_id()
    ui.post("/inspections", institution=tablet.records("institution")[number], record=record, anyway="1")
    return record


def tap(ui: Screen, record: str, code: str, **form: str) -> requests.Response:
    return ui.post(f"/inspections/{record}/items/{code}", headers=ours(ui) | JSON, **form)


def ours(ui: Screen) -> dict[str, str]:
    return {"Origin": ui.origin, "Sec-Fetch-Site": "same-origin"}


def send(ui: Screen, record: str, content: bytes, name: str = "IMG_1.jpg", mime: str = "image/jpeg", **form: str) -> requests.Response:
    return ui.post(f"/records/{record}/photos", files={"file": (name, io.BytesIO(content), mime)}, headers=ours(ui) | JSON, **form)


def answered(tablet: Tablet, record: str, code: str) -> Any:
    return tablet.values(record).get(f"answers/{code}")


# ---- beginning, answering ------------------------------------------------------------------------------------------


def test_an_inspection_begins_from_the_card_of_an_institution_once(ui: Screen, tablet: Tablet) -> None:
    institution = tablet.records("institution")[0]
    card = ui.get(f"/institutions/{institution}").text
    assert 'action="/inspections"' in card
    record = tablet.store.clock.new_id()
    first = ui.post("/inspections", institution=institution, record=record, anyway="1")
    assert "/people" in first.url
    ui.post("/inspections", institution=institution, record=record, anyway="1")
    assert len([one for one in tablet.records("inspection") if one == record]) == 1


def test_a_draft_that_is_open_at_the_place_is_offered_first(ui: Screen, tablet: Tablet) -> None:
    record = begin(ui, tablet, 1)
    again = ui.post("/inspections", institution=tablet.records("institution")[1], record=tablet.store.clock.new_id())
    assert f"/inspections/{record}" in again.text and "接着做" in again.text


def test_each_tap_is_written_before_the_screen_says_so(ui: Screen, tablet: Tablet) -> None:
    record = begin(ui, tablet)
    said = tap(ui, record, "LIC-01", base="", answer="no")
    assert said.status_code == 200 and said.json()["saved"] is True
    assert answered(tablet, record, "LIC-01") == {"answer": "no"}
    assert "情况说明" in said.json()["html"] and "登记隐患" in said.json()["html"]


def test_a_second_tap_writes_nothing_more(ui: Screen, tablet: Tablet) -> None:
    record = begin(ui, tablet)
    tap(ui, record, "LIC-01", base="", answer="yes")
    count = len(tablet.history(record))
    tap(ui, record, "LIC-01", base="", answer="yes")
    assert len(tablet.history(record)) == count


def test_it_works_without_a_script(ui: Screen, tablet: Tablet) -> None:
    record = begin(ui, tablet)
    page = ui.post(f"/inspections/{record}/items/FIR-05", base="", answer="yes")
    assert page.status_code == 200 and "/items/FIR" in page.url
    assert answered(tablet, record, "FIR-05") == {"answer": "yes"}


@pytest.mark.parametrize(
    ("code", "form", "value"),
    [
        ("FIR-04", {"measured": "１"}, {"measured": "1", "unit": "个"}),
        ("TIM-02", {"measured": "21:10"}, {"measured": "21:10"}),
        ("FIR-29", {"measured": "否", "answer": "yes"}, {"measured": "否", "answer": "yes"}),
        ("FIR-08", {"cell": ["6", "1", "", ""]}, {"rows": [["6", "1"]]}),
        ("FEE-16", {"row": ["欠薪", "欠租"]}, {"rows": ["欠薪", "欠租"]}),
        ("GOV-05", {"measured": "线索 12 号"}, {"measured": "线索 12 号"}),
        ("FIR-05", {"answer": "no", "reason": "被占用", "remark": "二楼"}, {"answer": "no", "reason": "被占用", "remark": "二楼"}),
        ("FIR-04", {"answer": "na", "measured": "3"}, {"answer": "na"}),
    ],
)
def test_every_sort_of_answer_is_taken(ui: Screen, tablet: Tablet, code: str, form: dict[str, Any], value: Any) -> None:
    record = begin(ui, tablet)
    said = ui.session.post(f"{ui.origin}/inspections/{record}/items/{code}", data={"base": "", **form}, headers=ours(ui) | JSON, timeout=60)
    assert said.status_code == 200, said.text
    assert answered(tablet, record, code) == value


@pytest.mark.parametrize(("code", "typed"), [("FIR-04", "两个"), ("TIM-02", "9 点"), ("FIR-19", "昨天")])
def test_what_is_no_answer_is_said_and_shown_and_not_written(ui: Screen, tablet: Tablet, code: str, typed: str) -> None:
    record = begin(ui, tablet)
    said = tap(ui, record, code, base="", measured=typed)
    assert said.status_code == 422 and typed in said.json()["html"]
    assert answered(tablet, record, code) is None


def test_a_half_filled_table_is_kept_and_counted_as_missing(ui: Screen, tablet: Tablet) -> None:
    record = begin(ui, tablet)
    said = ui.session.post(f"{ui.origin}/inspections/{record}/items/FIR-08", data={"base": "", "cell": ["6", ""]}, headers=ours(ui) | JSON, timeout=60)
    assert said.status_code == 200 and answered(tablet, record, "FIR-08") == {"rows": [["6", ""]]}
    assert "未答完" in said.json()["html"] and "未答完" in ui.get(f"/inspections/{record}/submit").text


def test_an_answer_is_cleared_only_on_purpose(ui: Screen, tablet: Tablet) -> None:
    record = begin(ui, tablet)
    base = tap(ui, record, "LIC-01", base="", answer="no").json()["base"]
    assert tap(ui, record, "LIC-01", base=base, clear="1").status_code == 200
    assert answered(tablet, record, "LIC-01") is None


def test_a_stale_answer_is_shown_and_never_written_over_or_swallowed(ui: Screen, tablet: Tablet) -> None:
    record = begin(ui, tablet)
    tap(ui, record, "LIC-01", base="", answer="yes")  # the first tab
    second = tap(ui, record, "LIC-01", base="", answer="no")  # the second, which still shows none
    assert second.status_code == 409 and answered(tablet, record, "LIC-01") == {"answer": "yes"}
    assert "您刚才作答" in second.json()["html"] and "不符合" in second.json()["html"]
    plain = ui.post(f"/inspections/{record}/items/LIC-01", base="", answer="no", reason="两边不同")
    assert plain.status_code == 409 and "两边不同" in plain.text
    assert tap(ui, record, "LIC-01", base=second.json()["base"], answer="no").status_code == 200
    assert answered(tablet, record, "LIC-01") == {"answer": "no"}


def test_the_second_tab_sees_what_the_first_answered(ui: Screen, tablet: Tablet) -> None:
    record = begin(ui, tablet)
    before = ui.get(f"/inspections/{record}/items/LIC").text
    base = tap(ui, record, "LIC-02", base="", answer="na", reason="没有此设施").json()["base"]
    after = ui.get(f"/inspections/{record}/items/LIC").text
    assert base not in before and base in after and "没有此设施" in after


def test_law_and_penalty_stand_one_tap_away_with_how_far_they_were_verified(ui: Screen, tablet: Tablet) -> None:
    record = begin(ui, tablet)
    page = ui.get(f"/inspections/{record}/items/LIC").text
    item = next(one for one in library().items if one.code == "LIC-01")
    assert library().cite(item.basis[0]) in page and library().cite(item.penalty[0]) in page
    assert library().marks[item.penalty[0].mark].zh in page


def test_only_what_applies_is_asked(ui: Screen, tablet: Tablet) -> None:
    art = next(n for n, one in enumerate(tablet.records("institution")) if tablet.values(one)["category"] == "sport")
    record = begin(ui, tablet, art)
    subject_only = [one.code for one in library().items if one.applies_to == ("subject",)]
    page = "".join(ui.get(f"/inspections/{record}/items/{group.code}").text for group in library().groups)
    assert subject_only and not [code for code in subject_only if f'id="{code}"' in page]


def test_a_field_is_saved_as_it_is_left_and_a_stale_one_is_said(ui: Screen, tablet: Tablet) -> None:
    record = begin(ui, tablet)
    path = f"/inspections/{record}/fields/findings"
    first = ui.post(path, headers=ours(ui) | JSON, base="", value="违规收费公示缺失")
    assert first.json()["saved"] and "违规" in first.json()["warned"]
    stale = ui.post(path, headers=ours(ui) | JSON, base="", value="另一个窗口写的")
    assert stale.status_code == 409 and "违规收费公示缺失" in stale.json()["words"]
    assert tablet.values(record)["findings"] == "违规收费公示缺失"


def test_a_quick_note_is_written_once(ui: Screen, tablet: Tablet) -> None:
    record, note = begin(ui, tablet), tablet.store.clock.new_id()
    for _ in range(2):
        ui.post(f"/inspections/{record}/notes", note=note, text="正在上课")
    assert sum(path.startswith("notes/") for path in tablet.values(record)) == 1


def test_a_new_edition_of_the_checklist_breaks_no_draft(ui: Screen, tablet: Tablet) -> None:
    record = begin(ui, tablet)
    tap(ui, record, "LIC-01", base="", answer="yes")
    item = {"group": "NEW", "zh": "新增的一项", "en": "New", "answer": {"type": "yes_no_na"}, "photo": "none", "severity": "minor",
            "applies_to": ["all"], "basis": [], "penalty": [], "violation": "PROC", "handler": "教育局"}  # fmt: skip
    made = tablet.write("checklist", None, {"name": "省清单", "edition": "2027.r1", "effective_from": "2026-01-01", "status": "published",
                                            "groups": [{"code": "NEW", "zh": "新组", "en": "New"}], "items/NEW-01": item}).record  # fmt: skip
    try:
        page = ui.get(f"/inspections/{record}/items/LIC")
        assert page.status_code == 200 and "LIC-01" in page.text and tablet.values(record)["edition"] == library().edition
        later = begin(ui, tablet)
        assert tablet.values(later)["edition"] == "2027.r1" and "新增的一项" in ui.get(f"/inspections/{later}/items/NEW").text
    finally:
        tablet.write("checklist", made, {"status": "retired"})
    assert "新增的一项" in ui.get(f"/inspections/{later}/items/NEW").text


# ---- officers ------------------------------------------------------------------------------------------------------


def officer(tablet: Tablet, name: str, number: str, until: str = "2099-01-01") -> str:
    return tablet.write("officer", None, {"name": name, "certificate_number": number, "valid_until": until, "area": "430102001", "status": "active"}).record


def test_an_enforcement_inspection_takes_two_different_people_whose_certificates_count(ui: Screen, tablet: Tablet) -> None:
    record = begin(ui, tablet)
    one, twin, late = officer(tablet, "李敏", "湘A1"), officer(tablet, "李敏甲", "湘Ａ１"), officer(tablet, "王过期", "湘A2", "2020-01-01")
    ui.post(f"/inspections/{record}/mode", mode="enforcement")
    assert ui.post(f"/inspections/{record}/people", officer=one).status_code == 200
    again = ui.post(f"/inspections/{record}/people", officer=twin)
    assert again.status_code == 409 and "同一个人" in again.text
    over = ui.post(f"/inspections/{record}/people", officer=late)
    assert over.status_code == 409 and "到期" in over.text
    assert {path for path in tablet.values(record) if path.startswith("officers/")} == {f"officers/{one}"}
    assert "两名" in ui.get(f"/inspections/{record}/submit").text
    assert ui.post(f"/inspections/{record}/people", officer=officer(tablet, "周宁", "湘A3")).status_code == 200
    assert "两名持证人员" not in ui.get(f"/inspections/{record}/submit").text


# ---- signing, submitting -------------------------------------------------------------------------------------------


def finished(ui: Screen, tablet: Tablet) -> str:
    """An inspection that may be signed."""
    record = begin(ui, tablet)
    ui.post(f"/inspections/{record}/fields/findings", base="", value="三间教室正在上课")
    ui.post(f"/inspections/{record}/end")
    return record


def test_what_is_signed_is_what_was_shown(ui: Screen, tablet: Tablet) -> None:
    record = finished(ui, tablet)
    page = ui.get(f"/inspections/{record}/sign").text
    assert "三间教室正在上课" in page
    content = field(page, "content")
    ui.post(f"/inspections/{record}/fields/party_opinion", base="", value="没有意见")  # in another window
    stale = ui.post(f"/inspections/{record}/sign", content=content, name="罗雨", drawn=PIXEL, **{"as": "party"})
    assert stale.status_code == 409 and "没有意见" in stale.text
    assert not any(path.startswith("signatures/") for path in tablet.values(record))
    signed = ui.post(f"/inspections/{record}/sign", content=field(stale.text, "content"), name="罗雨", drawn=PIXEL, **{"as": "party"})
    assert signed.status_code == 200 and "罗雨 已签字" in signed.text
    value = next(value for path, value in tablet.values(record).items() if path.startswith("signatures/"))
    assert value["name"] == "罗雨" and value["mime"] == "image/png" and value["as"] == "party"


@pytest.mark.parametrize(("form", "told"), [({"name": "罗雨"}, "请在框内签名"), ({"drawn": PIXEL}, "签字人姓名"),
                                             ({"name": "罗雨", "drawn": "data:image/png;base64,%%"}, "请重签")])  # fmt: skip
def test_an_empty_box_or_no_name_is_answered_in_words(ui: Screen, tablet: Tablet, form: dict[str, str], told: str) -> None:
    record = finished(ui, tablet)
    content = field(ui.get(f"/inspections/{record}/sign").text, "content")
    answer = ui.post(f"/inspections/{record}/sign", content=content, **{"as": "party"}, **form)
    assert answer.status_code == 409 and told in answer.text


def test_a_refusal_has_a_reason_and_is_part_of_what_officers_sign(ui: Screen, tablet: Tablet) -> None:
    record = finished(ui, tablet)
    assert "写明拒签原因" in ui.post(f"/inspections/{record}/refusal", reason="").text
    ui.post(f"/inspections/{record}/refusal", reason="对检查情况有异议", witness="社区 陈明")
    page = ui.get(f"/inspections/{record}/sign").text
    assert "对检查情况有异议" in page and "社区 陈明" in page


def test_an_officer_co_signs_with_an_own_key_and_own_pin(ui: Screen, tablet: Tablet) -> None:
    record, who = finished(ui, tablet), officer(tablet, "练习丙", "练-0003")
    ui.post(f"/inspections/{record}/people", officer=who)
    assert "两次输入不一样" in ui.post(f"/inspections/{record}/key", officer=who, pin="602914", again="602915").text
    assert "密钥已生成" in ui.post(f"/inspections/{record}/key", officer=who, pin="602914", again="602914").text
    content = field(ui.get(f"/inspections/{record}/sign").text, "content")
    wrong = ui.post(f"/inspections/{record}/sign", content=content, officer=who, pin="111112", **{"as": "officer"})
    assert wrong.status_code == 409 and "PIN" in wrong.text
    assert not any(path.startswith("signatures/") for path in tablet.values(record))


def test_everything_unmet_is_listed_with_the_way_to_it(ui: Screen, tablet: Tablet) -> None:
    record = begin(ui, tablet)
    page = ui.get(f"/inspections/{record}/submit").text
    assert "缺少“检查情况”" in page and f'href="/inspections/{record}#findings"' in page
    assert "没有签字" in page and f'href="/inspections/{record}/sign"' in page
    assert f'href="/inspections/{record}/items/LIC#LIC-01"' in page
    refused = ui.post(f"/inspections/{record}/submit")
    assert refused.status_code == 409 and tablet.values(record)["status"] == "draft"


def test_it_is_handed_in_once_and_amended_beside_the_first_version(ui: Screen, tablet: Tablet) -> None:
    record = finished(ui, tablet)
    content = field(ui.get(f"/inspections/{record}/sign").text, "content")
    ui.post(f"/inspections/{record}/sign", content=content, name="罗雨", drawn=PIXEL, **{"as": "party"})
    assert "已提交" in ui.post(f"/inspections/{record}/submit").text
    count = len(tablet.history(record))
    ui.post(f"/inspections/{record}/submit")
    assert len(tablet.history(record)) == count and tablet.values(record)["status"] == "submitted"
    tap(ui, record, "LIC-01", base="", answer="no")
    assert "签字后内容有改动" in ui.get(f"/inspections/{record}").text


def test_the_copy_for_the_party_carries_its_code_and_stays_the_same(ui: Screen, tablet: Tablet) -> None:
    record = finished(ui, tablet)
    assert "生成核对码" in ui.get(f"/inspections/{record}/copy").text
    first = ui.post(f"/inspections/{record}/copy").text
    assert "核对码" in first and "<svg" in first and "style=" not in first
    assert ui.post(f"/inspections/{record}/copy").text == first
    paper = ui.get(f"/inspections/{record}/copy.pdf")
    assert paper.headers["Content-Type"] == "application/pdf" and "attachment" in paper.headers["Content-Disposition"]
    assert ui.get(f"/inspections/{record}/copy.pdf").content == paper.content
    shown = " ".join(re.sub("<[^>]*>", " ", first[first.index("<article") : first.index('<div class="anchor">')]).split())
    missing = [one for one in html.unescape(shown).split() if one not in words(paper.content)]
    assert not missing, "what the screen shows is on the paper"


def test_no_paper_is_given_out_before_its_code_was_made(ui: Screen, tablet: Tablet) -> None:
    assert ui.get(f"/inspections/{finished(ui, tablet)}/copy.pdf").status_code == 404


def test_a_draft_is_made_void_with_a_reason(ui: Screen, tablet: Tablet) -> None:
    record = begin(ui, tablet)
    assert ui.post(f"/inspections/{record}/step", target="void", reason="").status_code >= 400
    ui.post(f"/inspections/{record}/step", target="void", reason="走错地方")
    assert tablet.values(record)["status"] == "void"
    assert tap(ui, record, "LIC-01", base="", answer="yes").status_code == 409


# ---- photos --------------------------------------------------------------------------------------------------------


def test_a_photo_is_safe_before_it_is_answered_for_and_gets_its_pictures_after(ui: Screen, tablet: Tablet) -> None:
    record = begin(ui, tablet, 3)
    said = send(ui, record, jpeg(810, 600), item="LIC-01", source="camera", lat="28.2", lon="112.9", acc="500")
    assert said.status_code == 201
    evidence = said.json()["evidence"]
    values = tablet.values(evidence)
    assert values["item"] == "LIC-01" and values["place"] == {"lat": 282_000_000, "lon": 1_129_000_000, "acc": 500, "src": "network"}
    assert "thumbnail" not in values
    assert ui.post(f"/evidence/{evidence}/pictures", headers=ours(ui) | JSON).status_code == 200
    assert "thumbnail" in tablet.values(evidence)
    assert ui.get(f"/photo/{evidence}/thumbnail").headers["Content-Type"] == "image/jpeg"


def test_the_same_photo_twice_is_kept_once(ui: Screen, tablet: Tablet) -> None:
    record, content = begin(ui, tablet, 3), jpeg(640, 484)
    first, second = send(ui, record, content), send(ui, record, content)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["again"] and "没有重复保存" in second.json()["words"][0]


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        (mp4(), "IMG_9.jpg", "已按视频保存"),
        (b"just words" * 9, "IMG_10.jpg", "认不出的文件类型"),
    ],
)
def test_what_is_not_what_its_name_says_is_kept_and_said(ui: Screen, tablet: Tablet, content: bytes, name: str, told: str) -> None:
    said = send(ui, begin(ui, tablet, 4), content, name)
    assert said.status_code == 201 and told in said.json()["words"][0]


def test_an_empty_file_is_refused_in_words(ui: Screen, tablet: Tablet) -> None:
    said = send(ui, begin(ui, tablet, 4), b"", "IMG_11.jpg")
    assert said.status_code == 400 and "IMG_11.jpg" in said.json()["message"]
    plain = ui.post(f"/records/{begin(ui, tablet, 4)}/photos", files={"file": ("IMG_12.jpg", io.BytesIO(b""), "image/jpeg")}, back="/inspections")
    assert plain.status_code == 200 and "IMG_12.jpg" in plain.text


def test_a_picture_of_two_hundred_megapixels_is_kept_without_a_preview(ui: Screen, tablet: Tablet) -> None:
    evidence = send(ui, begin(ui, tablet, 4), hollow_png(20_000, 10_000), "big.png", "image/png").json()["evidence"]
    said = ui.post(f"/evidence/{evidence}/pictures", headers=ours(ui) | JSON)
    assert said.status_code == 200 and "百万像素" in said.json()["words"][0] and "原件" in said.json()["words"][0]
    assert ui.get(f"/evidence/{evidence}").status_code == 200


def test_a_full_tablet_says_so_and_keeps_nothing_half(ui: Screen, tablet: Tablet, monkeypatch: pytest.MonkeyPatch) -> None:
    record = begin(ui, tablet, 4)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr("field_client.platform.files.shutil.disk_usage", lambda _: usage._replace(free=1000))
    said = send(ui, record, jpeg(320, 240))
    assert said.status_code == 507 and said.json()["hint"]
    assert not any(path.startswith("evidence/") for path in tablet.values(record))


def test_of_many_photos_of_an_item_the_newest_are_shown_and_the_others_one_tap_away(ui: Screen, tablet: Tablet) -> None:
    record = begin(ui, tablet, 6)
    for number in range(13):
        capture(tablet, record, io.BytesIO(encoded(scene(64 + number, 48), "JPEG")), item="FIR-05", name=f"{number}.jpg", watermark=False)
    strip = ui.get(f"/inspections/{record}/items/FIR").text.partition('<ul class="strip">')[2].partition("</ul>")[0]
    assert strip.count("<img") == 11 and "前面还有 2 张" in strip and f"/inspections/{record}#photos" in strip
    assert ui.get(f"/inspections/{record}").text.partition('id="photos"')[2].partition("</ul>")[0].count("<img") == 13


def test_a_repeated_photo_asks_for_the_reason_until_it_is_given(ui: Screen, tablet: Tablet) -> None:
    first, second = begin(ui, tablet, 5), begin(ui, tablet, 5)
    picture = scene(900, 700)
    for record, quality in ((first, 92), (second, 71)):
        evidence = send(ui, record, encoded(picture, "JPEG", quality=quality)).json()["evidence"]
        said = ui.post(f"/evidence/{evidence}/pictures", headers=ours(ui) | JSON).json()
    if not said["alike"]:
        pytest.fail("two encodings of one picture are not seen to be alike")
    assert "相似" in ui.get(f"/inspections/{second}").text  # after a reload too
    assert ui.post(f"/evidence/{evidence}/reason", reason="other", note="").status_code == 422
    ui.post(f"/evidence/{evidence}/reason", reason="unchanged")
    assert tablet.values(evidence)["repeat_reason"] == "unchanged"
    assert "照片与已有照片相似" not in ui.get(f"/inspections/{second}").text


def test_turning_and_drawing_make_a_copy_that_names_its_original(ui: Screen, tablet: Tablet) -> None:
    record, content = begin(ui, tablet, 6), jpeg(800, 604)
    evidence = send(ui, record, content).json()["evidence"]
    strokes = json.dumps([["arrow", "red", [[1000, 1000], [5000, 5000]]], ["box", "yellow", [[6000, 6000], [9000, 9000]]]])
    made = ui.post(f"/evidence/{evidence}/edit", turns="1", strokes=strokes).url.rsplit("/", 1)[1]
    values = tablet.values(made)
    assert values["original"] == evidence and values["operation"] == "annotate" and values["role"] == "derived"
    assert values["parameters"]["turns"] == 1 and len(values["parameters"]["strokes"]) == 2
    assert ui.get(f"/evidence/{evidence}/content").content == content
    copy = ui.get(f"/evidence/{made}/content").content
    assert copy.startswith(b"\xff\xd8\xff") and copy != content
    turned = ui.post(f"/evidence/{evidence}/edit", turns="2", strokes="[]").url.rsplit("/", 1)[1]
    assert tablet.values(turned)["operation"] == "rotate"


@pytest.mark.parametrize("strokes", ["", "nonsense", '[["star","red",[[0,0],[1,1]]]]', '[["line","red",[[0,0],[20000,1]]]]', '[["line","red",[[0,0]]]]'])
def test_a_drawing_that_cannot_be_read_is_refused(ui: Screen, tablet: Tablet, strokes: str) -> None:
    evidence = send(ui, begin(ui, tablet, 6), jpeg(200, 150)).json()["evidence"]
    assert ui.post(f"/evidence/{evidence}/edit", turns="0", strokes=strokes).status_code == 422


def test_a_film_is_played_in_ranges(ui: Screen, tablet: Tablet) -> None:
    content = mp4(size=5000)
    evidence = send(ui, begin(ui, tablet, 6), content, "film.mp4", "video/mp4").json()["evidence"]
    part = ui.get(f"/evidence/{evidence}/content", Range="bytes=100-199")
    assert part.status_code == 206 and part.content == content[100:200]
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(content)}"
    assert ui.get(f"/evidence/{evidence}/content", Range="bytes=-50").content == content[-50:]
    assert "<video" in ui.get(f"/evidence/{evidence}").text


def test_a_caption_stands_on_the_record_too(ui: Screen, tablet: Tablet) -> None:
    record = begin(ui, tablet, 6)
    evidence = send(ui, record, jpeg(201, 151)).json()["evidence"]
    ui.post(f"/evidence/{evidence}/caption", caption="二楼东侧通道")
    assert tablet.values(evidence)["caption"] == tablet.values(record)[f"captions/{evidence}"] == "二楼东侧通道"


# ---- hazards -------------------------------------------------------------------------------------------------------


def test_a_hazard_is_noted_from_an_answer_with_its_photos_and_a_deadline(ui: Screen, tablet: Tablet) -> None:
    record = begin(ui, tablet, 7)
    tap(ui, record, "FIR-05", base="", answer="no", reason="堆放桌椅")
    photo = send(ui, record, jpeg(640, 482), item="FIR-05").json()["evidence"]
    ui.post(f"/evidence/{photo}/pictures", headers=ours(ui) | JSON)
    form = ui.get(f"/hazards/new?inspection={record}&item=FIR-05").text
    assert "堆放桌椅" in form
    hazard = field(form, "record")
    said = {"record": hazard, "institution": field(form, "institution"), "inspection": record, "item": "FIR-05",
            "description": "通道堆放桌椅", "grade": "general", "term": "2026-12-03", "photos": "1"}  # fmt: skip
    for _ in range(2):
        ui.post("/hazards", headers=None, **said)
    values = tablet.values(hazard)
    assert values["deadline"] == "2026-12-03" and values["inspection"] == record
    before = [path.removeprefix("evidence/") for path in values if path.startswith("evidence/")]
    assert len(before) == 1 and tablet.values(before[0])["stage"] == "before" and tablet.values(before[0])["repeats"] == photo
    assert ui.get(f"/photo/{before[0]}/thumbnail").headers["Content-Type"] == "image/jpeg"
    assert "通道堆放桌椅" in ui.get(f"/inspections/{record}/items/FIR").text


def test_the_order_is_printed_with_a_code_that_any_telephone_reads(ui: Screen, tablet: Tablet) -> None:
    hazard = tablet.records("hazard")[0]
    page = ui.get(f"/hazards/{hazard}/order").text
    assert tablet.values(hazard)["description"] in page and "<svg" in page and "style=" not in page
    paper = ui.get(f"/hazards/{hazard}/order.pdf")
    assert codes(paper.content) == [order_text(tablet, hazard)]
    shown = html.unescape(re.sub("<[^>]*>", " ", page[page.index("<dl") : page.index("</dl>")])).split()
    assert shown and not [one for one in shown if one not in words(paper.content)]
    assert ui.get(f"/hazards/{hazard}/order.pdf").content == paper.content


def test_the_order_has_the_photos_from_before(ui: Screen, tablet: Tablet) -> None:
    hazard = rectifying.note(tablet, tablet.records("institution")[3], "通道堆放桌椅", deadline="2026-12-03")
    for content in (jpeg(640, 480), jpeg(480, 640)):
        capture(tablet, hazard, io.BytesIO(content), source="camera", name="a.jpg", stage="before")
    after = capture(tablet, hazard, io.BytesIO(jpeg(300, 300)), source="camera", name="b.jpg", stage="after")
    order = rectification_order.of(tablet, hazard)
    assert len(order.photos) == 2 and after.evidence not in order.photos
    assert pictures(ui.get(f"/hazards/{hazard}/order.pdf").content) == [picture_of(tablet, one, "preview") for one in order.photos]


def test_papers_go_onto_a_stick_and_nowhere_else(ui: Screen, tablet: Tablet, tmp_path: Path) -> None:
    hazard = tablet.records("hazard")[0]
    for _ in range(2):
        assert "已写入" in ui.post(f"/hazards/{hazard}/order/stick", folder=str(tmp_path)).text
    (file,) = tmp_path.iterdir()
    assert file.name == f"隐患整改告知单-{hazard[-8:]}.pdf" and file.read_bytes().startswith(b"%PDF-")
    for nowhere in ("", "relative", str(tmp_path / "none"), str(file)):
        assert ui.post(f"/hazards/{hazard}/order/stick", folder=nowhere).status_code == 409


def test_who_reports_it_as_put_right_does_not_strike_it_off(ui: Screen, tablet: Tablet) -> None:
    hazard = tablet.records("hazard")[1]
    assert "报告整改完成" in ui.get(f"/hazards/{hazard}").text
    ui.post(f"/hazards/{hazard}/step", target="rectified", words="已清理")
    assert tablet.values(hazard)["status"] == "rectified"
    page = ui.get(f"/hazards/{hazard}").text
    assert "另一人验收" in page and 'value="verified"' not in page
    assert ui.post(f"/hazards/{hazard}/step", target="verified").status_code == 409
    assert tablet.values(hazard)["status"] == "rectified"


def test_overdue_hazards_come_first(ui: Screen) -> None:
    days = [int(one) for one in re.findall(r"逾期 (\d+) 天", ui.get("/hazards").text)]
    assert days and days == sorted(days, reverse=True)


def test_the_re_check_has_the_earlier_photo_beside_the_camera(ui: Screen, tablet: Tablet) -> None:
    hazard = tablet.records("hazard")[0]
    before = send(ui, hazard, jpeg(500, 400), stage="before").json()["evidence"]
    page = ui.get(f"/hazards/{hazard}").text
    link = re.search(r'href="(/records/[^"]+/camera\?[^"]*beside=[^"]+)"', page)
    assert link is not None
    live = ui.get(link[1].replace("&amp;", "&")).text
    assert f"/photo/{before}/preview" in live and 'data-stage="after"' in live


# ---- patrol notes --------------------------------------------------------------------------------------------------


def test_a_patrol_note_takes_one_screen_and_its_words_are_watched(ui: Screen, tablet: Tablet) -> None:
    record = field(ui.get("/patrol").text, "record")
    form = {"record": record, "area": "430102001", "spot": "坡子街 66 号", "seen": "责令停止", "urgency": "smouldering", "lat": "28.1", "lon": "112.9"}
    for _ in range(2):
        page = ui.post("/patrol", files={"file": ("a.jpg", io.BytesIO(jpeg(300, 200)), "image/jpeg")}, **form)
    assert "责令" in page.text and "巡查记录不写执法用语" in page.text
    values = tablet.values(record)
    assert values["spot"] == "坡子街 66 号" and values["place"]["lat"] == 281_000_000
    assert sum(path.startswith("evidence/") for path in values) == 1


def test_a_patrol_note_without_a_spot_is_asked_for_again_with_what_was_typed(ui: Screen, tablet: Tablet) -> None:
    page = ui.post("/patrol", record=tablet.store.clock.new_id(), area="430102001", seen="门口有学生", spot="")
    assert page.status_code == 422 and "门口有学生" in page.text


# ---- clocks --------------------------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_loses_no_answer_and_is_said(ui: Screen, tablet: Tablet) -> None:
    record = begin(ui, tablet)
    base = tap(ui, record, "LIC-01", base="", answer="yes").json()["base"]
    tablet.write("inspection", record, {"started_at": "2031-01-01T00:00:00.000Z"})  # begun while the clock was wrong
    assert tap(ui, record, "LIC-01", base=base, answer="no").status_code == 200
    assert answered(tablet, record, "LIC-01") == {"answer": "no"}
    ui.post(f"/inspections/{record}/end")
    assert "结束时间早于开始时间" in ui.get(f"/inspections/{record}/submit").text


def test_a_page_that_is_not_there_is_said_in_words(ui: Screen) -> None:
    for path in ("/inspections/none", "/hazards/none", "/patrol/none", "/evidence/none", "/inspections/none/items/LIC"):
        answer = ui.get(path)
        assert answer.status_code == 404 and "没有做成" in answer.text


def test_words_to_choose_are_in_both_languages() -> None:
    words: list[Label] = [*PHRASES, *REFUSALS, *(one for many in REASONS.values() for one in many)]
    assert all(one.zh and one.en and one.zh != one.en for one in words)
