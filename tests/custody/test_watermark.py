"""The watermark: legible on any ground, in any size, and never over more than its share of the picture."""

import io

import pytest
from PIL import Image, ImageChops

from custody.pictures import watermark
from custody.pictures.orders import MARKED, Mark, Order
from custody.pictures.workshop import Workshop
from tests.support.pictures import jpeg

CODE = "7K3M-9XQ2-V4TD-P"
MARK = Mark(
    (
        ("采集时间", "2026-11-22 12:30:45"),
        ("地点", "麓山南路 932 号 28.22815°N 112.93880°E ±4.5 米（照片自带）"),
        ("机构", "岳麓区学雅口才培训中心有限公司（麓山南路校区）"),
        ("人员", "罗雨 43010200123、王䶮 43010200124"),
    ),
    CODE,
    "水印副本，原件另存",
)
LONG = MARK._replace(
    lines=(*MARK.lines[:2], ("机构", "学雅" * 200), ("人员", "、".join(["欧阳某某 43010200123"] * 20)))
)
GROUNDS = {"light": (252, 252, 250), "dark": (4, 4, 6), "grey": (128, 128, 128)}


def changed(before: Image.Image, after: Image.Image) -> tuple[int, int, int, int]:
    box = ImageChops.difference(before, after.crop((0, 0, *before.size))).getbbox()
    return box or (0, 0, 0, 0)


@pytest.mark.parametrize("mark", [MARK, LONG])
@pytest.mark.parametrize(
    "size",
    [(4000, 3000), (2000, 1500), (1500, 2000), (1000, 1000), (640, 480), (320, 240), (2000, 120), (120, 2000), (8, 8)],
)
def test_at_most_a_fixed_share_of_the_picture_is_covered(size: tuple[int, int], mark: Mark) -> None:
    picture = Image.new("RGB", size, "white")
    marked = watermark.put(picture, mark)
    left, top, right, bottom = changed(picture, marked)
    assert (right - left) * (bottom - top) <= watermark.MOST_SHARE * size[0] * size[1]
    assert marked.width >= size[0] and marked.height >= size[1]
    assert picture.getpixel((0, 0)) == (255, 255, 255)  # the picture that was given is as it was


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("size", [(2000, 1500), (640, 480), (200, 150)])
def test_letters_stand_out_from_any_ground(ground: str, size: tuple[int, int]) -> None:
    """WCAG asks 4.5:1 of text."""
    marked = watermark.put(Image.new("RGB", size, GROUNDS[ground]), MARK).convert("L")
    shades = marked.crop((0, marked.height - 60, 100, marked.height)).getcolors(10_000) or []
    brightest, veil = max(shade for _, shade in shades), max(shades)[1]
    assert brightest > 240

    def luminance(shade: int) -> float:
        return ((shade / 255 + 0.055) / 1.055) ** 2.4

    assert (luminance(brightest) + 0.05) / (luminance(veil) + 0.05) > 4.5


def test_letters_grow_with_the_picture() -> None:
    def height(size: tuple[int, int]) -> int:
        picture = Image.new("RGB", size, "white")
        _, top, _, bottom = changed(picture, watermark.put(picture, MARK))
        return bottom - top

    assert height((4000, 3000)) > 1.8 * height((2000, 1500)) > 3 * height((1000, 750))


def test_a_small_picture_gets_a_strip_below_and_is_not_covered_at_all() -> None:
    picture = Image.effect_noise((120, 90), 60).convert("RGB")
    marked = watermark.put(picture, MARK)
    assert marked.height > 90 and changed(picture, marked) == (0, 0, 0, 0)


def test_a_long_name_is_wrapped_and_cut_visibly_and_the_code_is_always_there() -> None:
    font = watermark._font(30)
    lines = list(watermark._wrapped("机构 " + "学雅" * 200, font, 600))
    assert len(lines) == watermark.MOST_LINES and lines[-1].endswith(watermark.CUT)
    assert all(font.getlength(line) <= 640 for line in lines)
    block = watermark._set(LONG, 30, 800)
    assert any(CODE in line for line in block.lines)


def test_lines_break_between_words_and_never_before_a_full_stop() -> None:
    font = watermark._font(20)
    for room in range(60, 400, 7):
        for line in watermark._wrapped("长沙市岳麓区（麓山南路）932 号。地下一层，28.22815°N 112.93880°E", font, room):
            assert line[0] not in "，。）°" and line[-1] not in "（"


def test_a_character_that_the_font_lacks_shows_as_lacking() -> None:
    assert list(watermark._wrapped("王𠮷", watermark._font(20), 500)) == ["王〓"]


def test_the_copy_is_drawn_in_the_worker_and_carries_nothing_of_its_source() -> None:
    shop = Workshop()
    order = Order("image/jpeg", {"thumbnail": (320, 320)}, MARK, (2000, 2000))
    made = shop.make(io.BytesIO(jpeg(2400, 1800, orientation=6, comment=b"<script>")), order)
    copy = made.files[MARKED]
    shown = Image.open(io.BytesIO(copy))
    assert shown.size == (1500, 2000) and not shown.getexif() and b"script" not in copy
    assert made.tool.startswith("Pillow ")
    shop.close()
