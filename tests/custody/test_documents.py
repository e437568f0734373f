"""What is left with the party, as PDF: laid out whole, in Chinese, the same bytes for the same words."""

from __future__ import annotations

import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custody.documents import Document, Part, render
from tests.support.papers import codes, pictures, words
from tests.support.pictures import encoded, scene

SHORT = Document("整改告知单", "a5ccac5f", (Part("", (("机构", "学雅口才䶮"), ("期限", "2026-12-06"))),), "PB1|ab|1|cd")


def photo(width: int = 640, height: int = 480) -> bytes:
    return encoded(scene(width, height), "JPEG")


def test_equal_documents_give_equal_bytes_and_others_do_not() -> None:
    assert render(SHORT) == render(SHORT._replace())
    assert render(SHORT) != render(SHORT._replace(number="a5ccac60"))


def test_everything_that_it_says_is_on_the_paper() -> None:
    full = SHORT._replace(spoken="0GXF P71W", beside=("核对码：", "请保管"), blanks=("签收人：",), pictures=((photo(), "整改前照片 1"),))
    said = words(render(full))
    for text in ("整改告知单", "编号a5ccac5f", "学雅口才䶮", "2026-12-06", "0GXFP71W", "请保管", "签收人：", "整改前照片1", "第1页共1页"):
        assert text in said, text


def test_its_code_is_read_off_the_page_in_chinese_too() -> None:
    for text in ("PB1|ab|1|cd", "隐患整改告知\n机构：学雅口才\n" + "问题，" * 100):
        assert codes(render(SHORT._replace(code=text))) == [text]


def test_a_table_longer_than_a_page_goes_on_and_its_heading_stays_with_it() -> None:
    lines = tuple((f"FIR-{at:02d} 疏散通道、安全出口是否保持畅通，有无占用、堵塞", "符合") for at in range(80))
    document = pypdfium2.PdfDocument(render(SHORT._replace(parts=(Part("检查情况", lines),))))
    assert len(document) == 3
    first = document[0].get_textpage().get_text_bounded()
    assert "检查情况" in first and "FIR-00" in first


def test_a_text_longer_than_a_page_is_torn_and_not_lost() -> None:
    text = "负责人称下周补上。" * 600
    assert words(render(SHORT._replace(parts=(Part("现场情况", (("发现", text),)),)))).count("负责人称下周补上") >= 590


def test_line_breaks_stay_and_markup_is_text() -> None:
    made = render(SHORT._replace(parts=(Part("", (("问题", "<b>一</b> & 二\n三"),)),)))
    assert "<b>一</b>&二三" in words(made)
    lines = pypdfium2.PdfDocument(made)[0].get_textpage().get_text_bounded().splitlines()
    assert [line.strip() for line in lines if "三" in line] == ["三"]


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\x00\x10" + bytes(40)])
def test_a_photo_that_is_none_is_named_in_words(content: bytes) -> None:
    made = render(SHORT._replace(pictures=((content, "整改前照片 1"), (photo(), "整改前照片 2"))))
    assert "整改前照片1：未能印出" in words(made) and len(pictures(made)) == 1


def test_photos_of_every_shape_are_put_in_as_they_are() -> None:
    shapes = [photo(1600, 200), photo(200, 1600), photo(640, 480), photo(900, 900)]
    made = render(SHORT._replace(pictures=tuple((one, f"照片 {at}") for at, one in enumerate(shapes))))
    assert pictures(made) == shapes, "the very bytes: nothing decoded them"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=900)), min_size=1, max_size=6), st.text(max_size=20))
def test_whatever_was_typed_can_be_printed(lines: list[tuple[str, str]], heading: str) -> None:
    assert render(SHORT._replace(parts=(Part(heading, tuple(lines)),))).startswith(b"%PDF-")
