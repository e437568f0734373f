"""Names of division codes: imported once, looked up with what they lie in, and bad rows told by line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from demo import divisions as hunan
from schemas.kinds.division import LEVELS, above, shortened
from server.cli import main
from server.config import Settings
from server.instance import Instance, create_instance
from server.register import divisions
from server.sequencer import EVERYWHERE
from sync.core.errors import BadRoster, InvalidField

HUNAN = Path(hunan.__file__).with_name("hunan_divisions.csv")


@pytest.fixture
def house(tmp_path: Path) -> Instance:
    made = create_instance(Settings(tmp_path / "data"), "patrolbook/43/test")
    yield made
    made.close()


def put(house: Instance, file: Path) -> int:
    return divisions.carry_out(house, divisions.read(file).rows, by=["p"], rights=EVERYWHERE)


@given(st.text("0123456789", min_size=12, max_size=12))
def test_a_code_filled_up_with_zeros_is_the_same_place(code: str) -> None:
    short = shortened(code)
    assert code.startswith(short) and not code[len(short) :].strip("0") and shortened(short) == short
    assert len(short) in LEVELS


@given(st.sampled_from(["43", "4301", "430103", "430103001", "430103001004"]))
def test_every_place_lies_in_one_that_its_code_begins_with(code: str) -> None:
    levels = [code]
    while (code := above(code)):
        levels.append(code)
    assert all(inner.startswith(outer) and inner != outer for inner, outer in zip(levels, levels[1:], strict=False))
    assert levels[-1] == "43"


def test_a_province_is_imported_once_and_a_second_time_changes_nothing(house: Instance) -> None:
    assert put(house, HUNAN) == 137
    assert put(house, HUNAN) == 0


def test_a_name_is_said_with_what_it_lies_in(house: Instance) -> None:
    put(house, HUNAN)
    names = divisions.Names()
    assert names.of(house, "430103") == "长沙市天心区"
    assert names.of(house, "430103001004") == "长沙市天心区"
    assert names.of(house, "43") == "湖南省" and names.of(house, "430100") == "长沙市"
    assert names.of(house, "110101") == "110101" and names.of(house, None) == ""


def test_a_corrected_name_is_seen_at_once(house: Instance, tmp_path: Path) -> None:
    names = divisions.Names()
    table = tmp_path / "区划.csv"
    table.write_text("代码,名称\n430103,天心\n", "utf-8-sig")
    put(house, table)
    assert names.of(house, "430103") == "天心"
    table.write_text("代码,名称\n430103,天心区\n", "utf-8-sig")
    assert put(house, table) == 1 and names.of(house, "430103") == "天心区"


def test_bad_rows_are_told_by_line_and_the_others_imported(house: Instance, tmp_path: Path) -> None:
    table = tmp_path / "区划.csv"
    table.write_text("代码,名称,经度,纬度\n430103,天心区,112.99,28.11\n4301x3,错\n430104,\n430105,开福区,东,北\n", "utf-8-sig")
    reading = divisions.read(table)
    assert [row.code for row in reading.rows] == ["430103"] and [line for line, _ in reading.bad] == [3, 4, 5]
    with pytest.raises(BadRoster):
        table.write_text("甲,乙\n1,2\n", "utf-8-sig")
        divisions.read(table)


def test_the_command_line_imports_and_looks_up(tmp_path: Path) -> None:
    data = {"PATROLBOOK_DATA": str(tmp_path / "data")}

    def run(*words: str) -> str:
        result = CliRunner().invoke(main, list(words), env=data)
        assert result.exit_code == 0, result.output
        return result.output

    run("init", "--name", "湖南省教育厅", "--area", "43", "--admin", "王芳")
    assert "137" in run("divisions", "import", str(HUNAN))
    assert "长沙市天心区" in run("divisions", "show", "430103")


# --- Found by what somebody types ---------------------------------------------------------------------------------------

NAMES = {"43": "湖南省", "4301": "长沙市", "430102": "芙蓉区", "430103": "天心区", "430111": "雨花区", "4302": "株洲市", "430202": "荷塘区",
         "430103001": "坡子街街道", "430921": "南县", "4309": "益阳市", "430104": "岳麓区"}  # fmt: skip


@pytest.mark.parametrize("typed", ["天心", "长沙天心", "430103", "tianxin", "txq", "TXQ", "４３０１０３"])
def test_a_division_is_found_by_its_name_its_pinyin_or_its_code(typed: str) -> None:
    assert divisions.find(NAMES, typed, [""])[0] == "430103"


def test_what_lies_elsewhere_is_not_offered() -> None:
    assert divisions.find(NAMES, "区", ["4302"]) == ["430202"]
    assert divisions.find(NAMES, "天心", ["4302"]) == [] and divisions.find(NAMES, "天心", []) == []


def test_nothing_typed_offers_the_widest_first() -> None:
    assert divisions.find(NAMES, "", ["4301"])[:2] == ["4301", "430102"]


@given(st.sampled_from(sorted(NAMES)))
def test_what_a_field_shows_is_read_back_as_the_same_code(code: str) -> None:
    assert divisions.code_of(NAMES, f"{divisions.full(NAMES, code)} {code}") == code
    assert divisions.code_of(NAMES, divisions.full(NAMES, code)) == code
    assert divisions.code_of(NAMES, code) == code


@pytest.mark.parametrize("typed", ["天心", "天心区", "长沙市天心区", "长沙天心", "天心区（430103）"])
def test_a_name_that_is_one_division_s_is_taken(typed: str) -> None:
    assert divisions.code_of(NAMES, typed) == "430103"


def test_a_name_that_several_have_names_them_and_one_that_nobody_has_says_what_to_type() -> None:
    with pytest.raises(InvalidField, match="芙蓉|430102|more than one"):
        divisions.code_of(NAMES, "长沙市区")
    with pytest.raises(InvalidField, match="430103"):
        divisions.code_of(NAMES, "亚特兰蒂斯")
