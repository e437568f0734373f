"""Checklists at the desk: an XLSForm becomes a draft, a draft is changed, and what was published never changes again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.register import editions
from server.sequencer import EVERYWHERE
from tests.server.test_xlsforms import workbook
from tests.support.console import Browser, signed_in, text_of
from tests.support.server import TestServer, running_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.fixture(scope="module")
def province(server: TestServer) -> Browser:
    return signed_in(server, "province", "43", name="省厅李科")


def imported(browser: Browser, folder: Path) -> str:
    file = workbook(folder, [
        ("begin_group", "fire", "消防安全", "Fire safety"),
        ("integer", "floor", "楼层", "Floor"),
        ("select_one yn", "exit", "安全出口畅通", "Exits are clear", "", "", "${floor} < 0"),
        ("end_group",),
    ])  # fmt: skip
    browser.get("checklists")
    with open(file, "rb") as content:
        answer = browser.post("checklists/import", {"effective_from": "2026-12-01"}, files={"file": (file.name, content)})
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"].rpartition("/")[2]


def test_an_imported_form_is_a_draft_and_what_was_left_out_is_said(province: Browser, tmp_path: Path) -> None:
    draft = imported(province, tmp_path)
    shown = text_of(province.get(f"checklists/{draft}"))
    assert "消防专项" in shown and "安全出口畅通" in shown and "草案" in shown
    assert "显示条件" in shown and "原条件：${floor} < 0" in shown


def test_a_draft_is_changed_published_and_then_never_again(server: TestServer, province: Browser, tmp_path: Path) -> None:
    draft = imported(province, tmp_path)
    province.get(f"checklists/{draft}/item?group=fire")
    said = {"group": "fire", "code": "", "zh": "疏散指示灯完好", "en": "", "answer": "yes_no_na", "photo": "on_fail", "severity": "critical"}
    assert province.post(f"checklists/{draft}/items", said).status_code == 303
    changed = {"group": "fire", "code": "fire-02", "zh": "安全出口是否畅通", "en": "Are exits clear?", "photo": "required", "severity": "critical"}
    assert province.post(f"checklists/{draft}/items", changed).status_code == 303
    edition = editions.show(server.instance, EVERYWHERE, draft)
    assert [item.question.zh for item in edition.items] == ["楼层", "安全出口是否畅通", "疏散指示灯完好"]
    assert edition.items[1].note == "原条件：${floor} < 0", "what the page does not ask for stays"
    assert province.post(f"checklists/{draft}/publish", {"effective_from": "2026-12-05"}).status_code == 303
    assert "已发布" in text_of(province.get(f"checklists/{draft}"))
    late = province.post(f"checklists/{draft}/items", changed | {"zh": "另一个问题"})
    assert late.status_code >= 400 and "另立新版次" in late.text
    assert editions.show(server.instance, EVERYWHERE, draft).items[1].question.zh == "安全出口是否畅通"


def test_a_correction_is_a_new_edition_and_the_old_one_stays(server: TestServer, province: Browser, tmp_path: Path) -> None:
    first = imported(province, tmp_path)
    province.post(f"checklists/{first}/publish", {"effective_from": "2026-12-05"})
    answer = province.post(f"checklists/{first}/copy", {"edition": ""})
    second = answer.headers["Location"].rpartition("/")[2]
    new, old = (editions.show(server.instance, EVERYWHERE, one) for one in (second, first))
    assert (new.values["edition"], new.draft, old.values["status"]) == ("2026-2", True, "published")
    assert new.items == old.items
    province.get(f"checklists/{second}")
    assert province.post(f"checklists/{second}/items/drop", {"code": "fire-02"}).status_code == 303
    assert [len(editions.show(server.instance, EVERYWHERE, one).items) for one in (first, second)] == [2, 1]


def test_a_draft_without_what_it_needs_says_what(province: Browser, tmp_path: Path) -> None:
    draft = imported(province, tmp_path)
    province.get(f"checklists/{draft}")
    nothing = province.post(f"checklists/{draft}/items", {"group": "fire", "code": "", "zh": " ", "photo": "none", "severity": "major"})
    assert nothing.status_code == 400 and "请填写检查内容" in nothing.text
    nowhere = province.post(f"checklists/{draft}/items", {"group": "none", "code": "", "zh": "问题", "photo": "none", "severity": "major"})
    assert nowhere.status_code == 400 and "没有这个分组" in nowhere.text


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"<html>"])
def test_a_file_that_is_no_form_is_answered_in_words(province: Browser, content: bytes) -> None:
    province.get("checklists")
    answer = province.post("checklists/import", {"effective_from": "2026-12-01"}, files={"file": ("表.xlsx", content)})
    assert answer.status_code == 400 and "表.xlsx" in answer.text and "XLSForm" in answer.text


def test_a_name_with_markup_is_shown_as_text(province: Browser, tmp_path: Path) -> None:
    draft = imported(province, tmp_path)
    province.get(f"checklists/{draft}")
    evil = "<img src=x onerror=alert(1)>"
    province.post(f"checklists/{draft}/change", {"name": evil, "edition": "x", "effective_from": "2026-12-01"})
    shown = province.get(f"checklists/{draft}").text
    assert evil not in shown and "&lt;img" in shown


@pytest.mark.parametrize("role", ["staff", "lead", "city", "oversight"])
def test_others_read_and_do_not_write(server: TestServer, province: Browser, tmp_path: Path, role: str) -> None:
    draft = imported(province, tmp_path)
    reader = signed_in(server, role, "4301")
    page = reader.get(f"checklists/{draft}")
    assert "安全出口畅通" in page.text and not re.search(r"formaction|/publish", page.text)
    assert reader.post(f"checklists/{draft}/publish", {"effective_from": "2026-12-05"}).status_code == 403
