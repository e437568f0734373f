"""Importing a register: what is read, what is refused and why, and what a second import does."""

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from demo import roster as demo
from schemas.kinds.institution import Institution
from server.config import Settings
from server.instance import Instance, create_instance
from server.merging import decisions
from server.register import roster
from server.register.roster import Plan, Reading
from server.storage import journal, states
from server.storage.tables import changes
from sync.core.errors import BadRoster
from sync.core.fold import State
from sync.core.rules import Rights

HEADER = ["机构名称", "统一社会信用代码", "行政区划代码", "学员人数", "预收费监管", "经度", "纬度", "状态"]
CODE, OTHER_CODE = (row["credit_code"] for row in demo.roster()[:2])
GOOD = ["启航艺术培训中心", CODE, "430102003001", "120", "是", "112.9876543", "28.1234567", "正常办学"]
ADMIN = Rights("admin", ("",))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Instance]:
    made = create_instance(Settings(tmp_path / "data"), "test.example/log")
    yield made
    made.close()


def file_of(folder: Path, *rows: list[Any], header: list[str] | None = None, encoding: str = "utf-8-sig",
            delimiter: str = ",") -> Path:  # fmt: skip
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows([header or HEADER, *rows])
    file = folder / "roster.csv"
    file.write_bytes(out.getvalue().encode(encoding))
    return file


def read(folder: Path, *rows: list[Any], **how: Any) -> Reading:
    return roster.read(file_of(folder, *rows, **how), Institution)


def changed(row: list[Any], **cells: Any) -> list[Any]:
    names = {"name": 0, "code": 1, "area": 2, "learners": 3, "flag": 4, "lon": 5, "lat": 6, "status": 7}
    copy = list(row)
    for name, value in cells.items():
        copy[names[name]] = value
    return copy


def bring(house: Instance, reading: Reading) -> Plan:
    made = roster.plan(house.desk, reading)
    roster.carry_out(house.desk, made, by=["p-1"], rights=ADMIN)
    return made


def count_changes(house: Instance) -> int:
    with house.database.read() as conn:
        return len(conn.execute(changes.select()).all())


# --- Reading ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "delimiter"),
    [("utf-8", ","), ("utf-8-sig", ","), ("gb18030", ","), ("gbk", ";"), ("utf-16", "\t"), ("utf-8", "\t")],
)
def test_whatever_excel_saved_is_read(tmp_path: Path, encoding: str, delimiter: str) -> None:
    reading = read(tmp_path, GOOD, encoding=encoding, delimiter=delimiter)
    assert not reading.bad
    assert reading.rows[0].values == {
        "name": "启航艺术培训中心", "credit_code": CODE, "area": "430102003001", "learners": 120,
        "prepaid_supervised": True, "place": {"lat": 281234567, "lon": 1129876543}, "status": "operating",
    }  # fmt: skip


def test_a_workbook_with_a_title_and_numbers_for_codes_is_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["天心区校外培训机构名册（2026 年）"])
    sheet.append(HEADER)
    sheet.append(changed(GOOD, area=430102003001, learners=120.0, flag=True, lon=112.9876543, lat=28.1234567))
    book.save(tmp_path / "roster.xlsx")
    reading = roster.read(tmp_path / "roster.xlsx", Institution)
    assert not reading.bad
    assert reading.rows[0].line == 3
    assert reading.rows[0].values["area"] == "430102003001"
    assert reading.rows[0].values["place"] == {"lat": 281234567, "lon": 1129876543}


@pytest.mark.parametrize(
    "header",
    [["名称", "信用代码", "区划", "学生人数", "资金监管", "lng", "latitude", "办学状态"],
     ["* 机构名称（全称）", " 信用代码 ", "区划代码（12位）", "学员人数(人)", "是否预收费监管", "经度", "纬度", "状态"],
     ["Name", "credit_code", "Division code", "Learners", "prepaid_supervised", "Longitude", "LAT", "Status"]],
)  # fmt: skip
def test_headers_may_be_named_otherwise(tmp_path: Path, header: list[str]) -> None:
    reading = read(tmp_path, GOOD, header=header)
    assert len(reading.rows[0].values) == 7
    assert reading.ignored == []


def test_an_unknown_column_is_ignored_and_said(tmp_path: Path) -> None:
    assert read(tmp_path, [*GOOD, "x"], header=[*HEADER, "负责科室"]).ignored == ["负责科室"]


def test_empty_rows_are_no_rows(tmp_path: Path) -> None:
    reading = read(tmp_path, [], GOOD, ["", " "])
    assert (len(reading.rows), reading.rows[0].line, reading.bad) == (1, 3, [])


@pytest.mark.parametrize(
    ("cells", "column"),
    [({"code": CODE[:-1] + ("0" if CODE[-1] != "0" else "1")}, "统一社会信用代码"),
     ({"code": "9.14301E+17"}, "统一社会信用代码"),
     ({"area": "43010"}, "行政区划代码"), ({"area": ""}, "行政区划代码"), ({"name": ""}, "机构名称"),
     ({"learners": "很多"}, "学员人数"), ({"learners": "1.5"}, "学员人数"), ({"learners": "-3"}, "学员人数"),
     ({"flag": "也许"}, "预收费监管"), ({"status": "开着"}, "状态"), ({"lon": "28.1", "lat": "112.9"}, "经度"),
     ({"lat": ""}, "经度"), ({"lon": "0", "lat": "0"}, "经度"), ({"lon": "东"}, "经度")],
)  # fmt: skip
def test_a_bad_cell_is_named_by_line_and_column_with_the_next_step(
    tmp_path: Path, cells: dict[str, str], column: str
) -> None:
    reading = read(tmp_path, GOOD, changed(GOOD, **{"code": OTHER_CODE, "name": "另一家", **cells}))
    assert [row.line for row in reading.rows] == [2]
    assert [(one.line, one.column) for one in reading.bad] == [(3, column)]
    assert all(label.zh and label.en for label in (reading.bad[0].problem, reading.bad[0].next_step))


def test_every_bad_cell_of_a_row_is_listed(tmp_path: Path) -> None:
    reading = read(tmp_path, changed(GOOD, code="x", learners="x", flag="x"))
    assert [one.column for one in reading.bad] == ["统一社会信用代码", "学员人数", "预收费监管"]
    assert reading.bad_lines == 1


def test_two_rows_with_one_code_name_each_other(tmp_path: Path) -> None:
    reading = read(tmp_path, GOOD, changed(GOOD, name="另一家"))
    assert reading.rows == []
    assert [(one.line, one.problem.zh) for one in reading.bad] == [(2, "与第 3 行重复"), (3, "与第 2 行重复")]


def test_two_rows_without_codes_and_with_one_name_name_each_other(tmp_path: Path) -> None:
    twice = changed(GOOD, code="")
    assert [one.line for one in read(tmp_path, twice, twice).bad] == [2, 3]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"a,b\n1,2\n", b"\x80\x81\xff", b"PK\x03\x04 no zip", b'"'])
def test_what_is_no_register_is_refused_whole(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "roster.csv").write_bytes(content)
    with pytest.raises(BadRoster):
        roster.read(tmp_path / "roster.csv", Institution)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadRoster, match="no such file"):
        roster.read(tmp_path / "nothing.csv", Institution)


def test_a_damaged_workbook_is_refused_whole(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "roster.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<not/>")
    with pytest.raises(BadRoster):
        roster.read(tmp_path / "roster.xlsx", Institution)


# --- Importing ----------------------------------------------------------------------------------------------------


def test_an_import_writes_ordinary_changes_that_name_who_did_it(house: Instance, tmp_path: Path) -> None:
    bring(house, read(tmp_path, GOOD))
    with house.database.read() as conn:
        (stored,) = states.scan(conn, ["institution"])
        state = State.read(stored.bytes)
        ((change, kept, _),) = journal.history(conn, [state.record])
    assert change.by == ["p-1"]
    assert (kept.status, kept.replica) == ("accepted", house.keys.open.replica)
    assert next(iter(state.live["name"].values())) == "启航艺术培训中心"


def test_the_same_import_again_writes_nothing(house: Instance, tmp_path: Path) -> None:
    reading = read(tmp_path, GOOD)
    bring(house, reading)
    made = bring(house, reading)
    assert (made.unchanged, made.new, made.changed, count_changes(house)) == (1, [], [], 1)


def test_a_changed_row_writes_what_changed(house: Instance, tmp_path: Path) -> None:
    bring(house, read(tmp_path, GOOD))
    made = bring(house, read(tmp_path, changed(GOOD, learners="130", name="启航艺术学校")))
    assert [values for _, _, values in made.changed] == [{"learners": 130, "name": "启航艺术学校"}]
    assert made.new == []


def test_an_empty_cell_takes_nothing_away(house: Instance, tmp_path: Path) -> None:
    bring(house, read(tmp_path, GOOD))
    assert bring(house, read(tmp_path, changed(GOOD, learners="", status=""))).unchanged == 1


def test_a_row_is_recognised_by_permit_or_else_by_name_and_county(house: Instance, tmp_path: Path) -> None:
    header = ["机构名称", "办学许可证号", "统一社会信用代码", "行政区划代码"]
    bring(house, read(tmp_path, ["甲", "教民1号", "", "430102003001"], ["乙", "", "", "430102003001"], header=header))
    made = roster.plan(house.desk, read(tmp_path, ["甲校", "教民1号", CODE, "430102003001"],
                                        ["乙", "教民2号", OTHER_CODE, "430102003002"], header=header))  # fmt: skip
    assert (len(made.changed), made.new, made.bad) == (2, [], [])


def test_two_of_one_name_with_other_codes_are_two(house: Instance, tmp_path: Path) -> None:
    bring(house, read(tmp_path, GOOD))
    made = roster.plan(house.desk, read(tmp_path, changed(GOOD, code=OTHER_CODE)))
    assert len(made.new) == 1


def test_a_permit_with_another_credit_code_is_for_a_person(house: Instance, tmp_path: Path) -> None:
    header = ["机构名称", "办学许可证号", "统一社会信用代码", "行政区划代码"]
    bring(house, read(tmp_path, ["甲", "教民1号", CODE, "430102003001"], header=header))
    made = roster.plan(house.desk, read(tmp_path, ["甲", "教民1号", OTHER_CODE, "430102003001"], header=header))
    assert len(made.bad) == 1 and not made.new and not made.changed


def test_a_row_that_fits_two_institutions_asks_for_a_merge(house: Instance, tmp_path: Path) -> None:
    for name in ("甲", "乙"):
        bring(house, read(tmp_path, changed(GOOD, name=name, code="")))
    with house.database.read() as conn:
        records = [one.record for one in states.scan(conn, ["institution"])]
    for record in records:
        decisions.write(house.desk, "institution", record, {"credit_code": CODE}, by=["p-1"], rights=ADMIN)
    made = roster.plan(house.desk, read(tmp_path, GOOD))
    assert len(made.bad) == 1 and all(record in made.bad[0].problem.zh for record in records)


@pytest.mark.slow
def test_the_whole_province_goes_in_and_a_second_time_changes_nothing(house: Instance, tmp_path: Path) -> None:
    demo.write_csv(tmp_path / "roster.csv")
    reading = roster.read(tmp_path / "roster.csv", Institution)
    assert (len(reading.rows), reading.bad, reading.ignored) == (demo.SIZE, [], [])
    seen: list[tuple[int, int]] = []
    made = roster.plan(house.desk, reading)
    roster.carry_out(house.desk, made, by=["p-1"], rights=ADMIN, progress=lambda done, of: seen.append((done, of)))
    assert seen[-1] == (demo.SIZE, demo.SIZE) and len(seen) > 10
    again = roster.plan(house.desk, reading)
    assert (again.unchanged, again.new, again.changed, again.bad) == (demo.SIZE, [], [], [])
