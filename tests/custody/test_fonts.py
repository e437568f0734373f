"""The shipped font: it has what Chinese names and laws are written with, and says what it lacks."""

import pytest
from PIL import ImageFont

from custody import fonts

GB2312 = [bytes([row, cell]).decode("gb2312", "ignore") for row in range(0xB0, 0xF8) for cell in range(0xA1, 0xFF)]


def test_every_character_of_the_national_standard_is_there() -> None:
    assert len(set("".join(GB2312))) == 6763
    assert set("".join(GB2312)) <= fonts.covered()


@pytest.mark.parametrize("text", ["䶮㛃㬎", "國體學醫龍龜靐龘", "0123456789 ABCD-EFGH", "“”—…·℃№①×±°《》【】✓□ⅠⅤⅩ"])
def test_rare_traditional_and_latin_characters_are_drawn_and_none_is_blank(text: str) -> None:
    assert fonts.drawable(text) == text
    drawn = ImageFont.truetype(str(fonts.PATH), 40)
    for sign in text.replace(" ", ""):
        assert drawn.getmask(sign).getbbox() is not None, sign


def test_extension_a_is_whole() -> None:
    assert {chr(code) for code in range(0x3400, 0x4DB6)} <= fonts.covered()


def test_what_the_font_lacks_is_shown_as_lacking() -> None:
    assert fonts.drawable("王𠮷") == "王〓"
    assert fonts.STAND_IN in fonts.covered()


def test_the_reader_of_the_table_agrees_with_the_renderer() -> None:
    drawn = ImageFont.truetype(str(fonts.PATH), 20, layout_engine=ImageFont.Layout.BASIC)  # no look-alikes put in
    lacking = drawn.getmask("\U0010ffff").getbbox(), bytes(drawn.getmask("\U0010ffff"))
    for code in range(0x2100, 0x2800, 3):
        mask = drawn.getmask(chr(code))
        assert (chr(code) in fonts.covered()) == ((mask.getbbox(), bytes(mask)) != lacking), hex(code)
