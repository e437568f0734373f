import csv
import json
import zipfile
from pathlib import Path

import pytest
from openpyxl import load_workbook

from demo.divisions import division
from demo.roster import (
    COLUMNS,
    SIZE,
    Institution,
    check_character,
    organization_check_character,
    roster,
    write_csv,
    write_xlsx,
)

HEADER = (
    "机构名称,统一社会信用代码,办学许可证号,机构类别,培训形式,行政区划代码,详细地址,经度,纬度,法定代表人,联系电话,"
    "学员人数,教师人数,预收费监管,状态,主管部门,备注"
)


@pytest.fixture(scope="module")
def rows() -> list[Institution]:
    return roster()


@pytest.mark.parametrize("code", ["91350100M000100Y43", "914403001922038216"])
def test_the_check_characters_of_published_codes_come_out_right(code: str) -> None:
    assert check_character(code[:17]) == code[17]
    assert organization_check_character(code[8:16]) == code[16]


def test_there_are_7481_institutions_and_about_1300_in_changsha(rows: list[Institution]) -> None:
    assert len(rows) == SIZE == 7481
    assert sum(row["area"].startswith("4301") for row in rows) == 1300
    assert len({row["area"][:6] for row in rows}) == 122


def test_two_calls_make_the_same_roster(rows: list[Institution]) -> None:
    assert roster() == rows


@pytest.mark.parametrize("field", ["name", "credit_code", "permit_number", "phone"])
def test_no_two_institutions_share_a_name_or_a_number(rows: list[Institution], field: str) -> None:
    assert len({row[field] for row in rows}) == SIZE  # type: ignore[literal-required]


def test_every_credit_code_is_valid_and_names_the_county(rows: list[Institution]) -> None:
    for row in rows:
        code = row["credit_code"]
        assert len(code) == 18
        assert code[2:8] == row["area"][:6]
        assert code[16:] == organization_check_character(code[8:16]) + check_character(code[:17])


def test_every_address_and_department_names_the_county_of_the_area(rows: list[Institution]) -> None:
    for row in rows:
        county = division(row["area"][:6])
        assert len(row["area"]) == 12
        assert f"湖南省{division(county.parent).name}{county.name}" in row["address"]
        assert row["department"].startswith(county.name)


def test_coordinates_lie_in_hunan_and_near_the_county_seat(rows: list[Institution]) -> None:
    for row in rows:
        seat = division(row["area"][:6])
        assert 108_8000000 <= row["lon_e7"] <= 114_3000000
        assert 24_6000000 <= row["lat_e7"] <= 30_1000000
        assert max(abs(row["lon_e7"] - seat.lon_e7), abs(row["lat_e7"] - seat.lat_e7)) < 1_000_000


def test_a_row_is_about_a_kilobyte_of_json(rows: list[Institution]) -> None:
    mean = sum(len(json.dumps(row, ensure_ascii=False).encode()) for row in rows) / SIZE
    assert 850 < mean < 1150


def test_the_csv_opens_in_excel_and_reads_back(rows: list[Institution], tmp_path: Path) -> None:
    write_csv(tmp_path / "roster.csv")
    assert (tmp_path / "roster.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with open(tmp_path / "roster.csv", encoding="utf-8-sig", newline="") as sheet:
        header, *lines = csv.reader(sheet)
    assert ",".join(header) == HEADER
    assert [line[1] for line in lines] == [row["credit_code"] for row in rows]
    assert [round(float(line[7]) * 10**7) for line in lines] == [row["lon_e7"] for row in rows]


def test_the_workbook_holds_every_institution(rows: list[Institution], tmp_path: Path) -> None:
    write_xlsx(tmp_path / "roster.xlsx")
    book = load_workbook(tmp_path / "roster.xlsx", read_only=True)
    header, *lines = book["机构名册"].iter_rows(max_row=20, values_only=True)
    book.close()
    assert list(header) == list(COLUMNS)
    assert lines == [tuple(cell(row) for cell in COLUMNS.values()) for row in rows[:19]]
    with zipfile.ZipFile(tmp_path / "roster.xlsx") as parts:
        assert parts.read("xl/worksheets/sheet1.xml").count(b"<row ") == SIZE + 1
