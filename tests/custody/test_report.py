"""The custody report: one written form of its facts, and a page that a person can read."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace

import orjson
import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.report import Access, Amendment, Derivation, Finding, Item, Report, Step, read_report
from custody.report_pdf import render
from sync.core.errors import Problem

NOON = 1_795_345_423_700
PARTS = (
    "二、结论",
    "三、证据清单",
    "四、逐件保管链",
    "五、修改",
    "六、查阅",
    "七、异常",
    "八、如何",
    "九、名词",
    "十、签发",
)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def item(number: int) -> Item:
    return Item(
        number,
        f"01a202ed-1d1a-7d16-bfd3-73adbfce63{number:02d}",
        "安全出口被锁闭",
        "视听资料",
        "image/jpeg",
        4_512_331,
        digest(str(number)),
        digest("sm3"),
        NOON - 1000,
        "日志检查点",
        NOON + 1000,
        "可信时间戳",
        NOON,
        900,
        "芙蓉南路三段 27 号",
        ("李敏（43010400117）", "䶮晓（43010400221）"),
        "T-A",
        "本机拍摄",
        "A",
    )


REPORT = Report(
    "case-17-20261125",
    "c-2026-17",
    "某培训中心涉嫌无证办学案",
    "湖南省教育厅",
    "某培训中心",
    "随卷移送",
    NOON,
    digest("content"),
    "9f22 7e72 c7e9 d2ed 8d77 d0ef 547d d7ce",
    "fi.example/prov-log-1",
    42,
    digest("root"),
    "A",
    ("两名持证人员会签",),
    (item(1), item(2)),
    (Step(1, NOON, "采集", "李敏", "T-A", "平板", "SHA-256 一致"),),
    (Amendment(NOON, "findings", "三间教室", "三间教室，两个出口", "漏写", "李敏"),),
    (Derivation(1, NOON, "水印", "时间地点", "patrolbook", digest("mark"), "系统"),),
    (Access(NOON, "王芳", "第 1 件原件", "复核", 57),),
    (Finding("V01", "压缩包完整", "pass", "212 个成员"), Finding("V16", "锚", "fail", "不在链上")),
    ("10:03 至 10:41 离线",),
)


def words(pdf: bytes) -> str:
    """The text of a PDF without its white space, which only says where lines end."""
    pages = pypdfium2.PdfDocument(pdf)
    return "".join("".join(page.get_textpage().get_text_bounded().split()) for page in pages)


def ink(report: Report) -> int:
    """How many dark pixels the cover has."""
    page = pypdfium2.PdfDocument(render(report))[0]
    return sum(page.render(scale=1).to_pil().convert("L").histogram()[:128])


def test_facts_come_back_from_their_written_form() -> None:
    assert read_report(REPORT.dump()) == REPORT


def test_equal_facts_give_equal_bytes_and_other_facts_do_not() -> None:
    assert render(read_report(REPORT.dump())) == render(REPORT)
    assert render(replace(REPORT, purpose="复核")) != render(REPORT)


@pytest.mark.parametrize(
    "expected",
    [REPORT.title, digest("1"), digest("sm3"), "䶮晓", "不早于2026-11-22", "王芳", "10:03至10:41离线", "第1页共"],
)
def test_the_page_says_what_the_facts_say(expected: str) -> None:
    assert expected in words(render(REPORT))


def test_every_part_is_printed_even_when_there_is_nothing_to_say() -> None:
    bare = Report("b", "c", "案", "厅", "", "", NOON, digest("c"), "9f22", "fi.example/log", 0, digest("r"))
    said = words(render(bare))
    assert [part for part in PARTS if part not in said] == []
    assert said.count("无") >= 5
    assert "全部检查通过" not in said and "未检查" not in said[: said.index("八、")]  # nothing was checked, and nothing is claimed
    assert "不由出具方自述" in said


def test_a_failed_check_is_said_in_the_conclusion() -> None:
    said = words(render(REPORT))
    assert "有1项检查不通过" in said and "不能据此认定证据完整" in said


@pytest.mark.parametrize("title", ["䶮" * 8, "😀" * 8, "0123456789", "ABCxyz", "㎡①（）《》"])
def test_every_sort_of_sign_leaves_ink(title: str) -> None:
    """A font without a glyph prints nothing, and the text layer would not tell."""
    assert ink(replace(REPORT, title=title)) > ink(replace(REPORT, title=" ")) + 20


def test_a_title_with_markup_is_printed_and_not_obeyed() -> None:
    assert "<b>案</b>" in words(render(replace(REPORT, title="<b>案</b>")))


@pytest.mark.parametrize(
    ("name", "value"), [("items", [{}]), ("made", "now"), ("gaps", "无"), ("more", 1), ("findings", [{"code": 1}])]
)
def test_facts_in_another_form_are_refused(name: str, value: object) -> None:
    body = orjson.loads(REPORT.dump()) | {name: value}
    with pytest.raises(Problem):
        read_report(orjson.dumps(body, option=orjson.OPT_SORT_KEYS))


@given(st.binary(max_size=300))
def test_rubbish_is_refused_with_a_problem(content: bytes) -> None:
    with pytest.raises(Problem):
        read_report(content)


def test_sixty_items_take_a_bounded_number_of_pages() -> None:
    many = replace(REPORT, items=tuple(item(number) for number in range(1, 61)), steps=())
    assert len(pypdfium2.PdfDocument(io.BytesIO(render(many)))) < 45
