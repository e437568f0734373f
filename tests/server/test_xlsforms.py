"""An XLSForm becomes a draft checklist that a tablet can read, and whatever has no counterpart is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from openpyxl import Workbook

from schemas.forms import checklist_form
from schemas.registry import shipped
from schemas.shipped import contents, library
from server.cli import main
from server.register import xlsforms
from sync.core.errors import BadForm

SURVEY = ("type", "name", "label::中文 (zh)", "label::English (en)", "hint::中文 (zh)", "required", "relevant", "constraint")
CHOICES = (
    ("yn", "yes", "是", "Yes"),
    ("yn", "no", "否", "No"),
    ("dep", "edu", "教育", "Education"),
    ("dep", "fire", "消防", "Fire"),
)


def workbook(folder: Path, rows: Sequence[Sequence[str]], choices: Sequence[Sequence[str]] = CHOICES) -> Path:
    book = Workbook()
    survey = book.active
    survey.title = "survey"
    survey.append(SURVEY)
    for row in rows:
        survey.append((*row, *[""] * (len(SURVEY) - len(row))))
    listed = book.create_sheet("choices")
    listed.append(("list_name", "name", "label::中文 (zh)", "label::English (en)"))
    for choice in choices:
        listed.append(choice)
    settings = book.create_sheet("settings")
    settings.append(("form_title", "form_id", "version"))
    settings.append(("消防专项", "fire_check", "2026-1"))
    file = folder / "消防专项.xlsx"
    book.save(file)
    return file


def items(found: xlsforms.Imported) -> dict[str, Any]:
    return {path.removeprefix("items/"): value for path, value in found.values.items() if path.startswith("items/")}


def test_a_form_becomes_groups_and_items_in_its_order(tmp_path: Path) -> None:
    found = xlsforms.read(workbook(tmp_path, [
        ("begin_group", "fire", "消防安全", "Fire safety"),
        ("select_one yn", "exit", "安全出口畅通", "Exits are clear", "看门", "yes"),
        ("image", "exit_photo", "出口照片", "Photo", "", "", "${exit} = 'no'"),
        ("integer", "tins", "灭火器数量", "Extinguishers", "", "", "", ". >= 2 and . < 50"),
        ("image", "tins_photo", "灭火器照片", "Photo", "", "yes"),
        ("geopoint", "where", "位置", "Place"),
        ("end_group",),
        ("select_multiple dep", "deps", "共管部门", "Departments"),
        ("begin_repeat", "staff", "教师", "Teachers"),
        ("text", "who", "姓名", "Name"),
        ("end_repeat",),
    ]))  # fmt: skip
    made = items(found)
    assert found.remarks == []
    assert [found.values["name"], found.values["edition"], found.values["status"]] == ["消防专项", "2026-1", "draft"]
    assert [one["code"] for one in found.values["groups"]] == ["fire", "MAIN"]
    assert list(made) == ["fire-01", "fire-02", "MAIN-01", "MAIN-02"]
    assert made["fire-01"]["answer"] == {"type": "yes_no_na", "ok": "yes"} and made["fire-01"]["photo"] == "on_fail"
    assert made["fire-02"]["answer"] == {"type": "number", "min": 2, "max": 49}
    assert made["fire-02"]["photo"] == "required" and made["fire-02"]["gps"] is True
    assert made["MAIN-01"]["answer"]["options"] == [{"zh": "教育", "en": "Education"}, {"zh": "消防", "en": "Fire"}]
    assert made["MAIN-02"]["answer"] == {"type": "table", "columns": [{"zh": "姓名", "en": "Name"}]}


def test_what_was_imported_is_valid_and_a_tablet_draws_it(tmp_path: Path) -> None:
    found = xlsforms.read(workbook(tmp_path, [("select_one yn", "exit", "安全出口畅通", "Exits are clear")]))
    schema = shipped()["checklist"]
    assert all(schema.check_path(path, value) for path, value in found.values.items())
    (group,) = checklist_form(*contents(found.values), library())
    assert group.items[0].item.question.zh == "安全出口畅通"


def test_what_has_no_counterpart_is_said_and_not_dropped_in_silence(tmp_path: Path) -> None:
    found = xlsforms.read(workbook(tmp_path, [
        ("select_one yn", "exit", "安全出口畅通", "Exits are clear"),
        ("text", "why", "原因", "Why", "", "", "${exit} = 'no'"),
        ("barcode", "code", "条码", "Barcode"),
        ("integer", "year", "年份", "Year", "", "", "", "regex(., '^20')"),
    ]))  # fmt: skip
    assert [one.name for one in found.remarks] == ["why", "code", "year"]
    assert items(found)["MAIN-02"]["note_zh"] == "原条件：${exit} = 'no'"
    assert all(one.said.zh and one.said.en for one in found.remarks)


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([("integer", "n", "数", "N"), ("integer", "n", "数", "N")], "n"),
        ([("begin_group", "g", "组", "G")], "g"),
        ([("select_one none", "s", "选", "S")], "none"),
        ([("note", "only", "说明", "Note")], "survey"),
        ([], "survey"),
    ],
)
def test_a_form_with_a_mistake_names_it(tmp_path: Path, rows: list[tuple[str, ...]], named: str) -> None:
    with pytest.raises(BadForm) as caught:
        xlsforms.read(workbook(tmp_path, rows))
    assert named in caught.value.text("en") and "消防专项.xlsx" in caught.value.text("zh")


@pytest.mark.parametrize("content", [b"", b"\x00" * 40, b"PK\x03\x04broken", "随便一段文字".encode()])
@pytest.mark.parametrize("name", ["form.xlsx", "form.xls", "form.csv", "form.pdf", "form"])
def test_what_is_no_form_is_refused_in_words(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadForm):
        xlsforms.read(tmp_path / name)


def test_a_workbook_that_swells_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = workbook(tmp_path, [("integer", "n", "数", "N")])
    monkeypatch.setattr("server.register.sheets.LARGEST_INFLATED", 100)
    with pytest.raises(BadForm, match="too large"):
        xlsforms.read(file)


def test_a_draft_is_imported_published_and_retired_at_the_command_line(tmp_path: Path) -> None:
    file = workbook(tmp_path, [("select_one yn", "exit", "安全出口畅通", "Exits are clear")])
    data = {"PATROLBOOK_DATA": str(tmp_path / "data")}

    def run(*words: str) -> str:
        result = CliRunner().invoke(main, list(words), env=data)
        assert result.exit_code == 0, result.output
        return result.output

    run("init", "--name", "长沙市教育局", "--area", "4301", "--admin", "王芳")
    assert "1 组，1 项" in run("checklists", "import", str(file), "--dry-run")
    assert "消防专项" not in run("checklists", "list")
    run("checklists", "import", str(file), "--effective", "2026-12-01")
    line = next(line for line in run("checklists", "list").splitlines() if "消防专项" in line)
    record = line.split()[0]
    assert "2026-12-01" in line and "草案" in line
    run("checklists", "publish", record)
    assert "已发布" in run("checklists", "list")
    run("checklists", "retire", record[-8:])
    assert "已停用" in run("checklists", "list")
