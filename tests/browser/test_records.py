"""The desk for records as its user goes through it: list, filter, record, photos, correction, search, map, export."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from server.keys import ServerKeys
from tests.browser.conftest import DESK, TABLET, WIDE, Opener, Size, faults, overflow, shot
from tests.support.console import PASSWORD, account
from tests.support.desk import COUNTY, Filled, fill
from tests.support.pictures import encoded
from tests.support.server import TestServer, running_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.fixture(scope="module")
def filled(server: TestServer) -> Filled:
    account(server, "lead", COUNTY, name="周敏", login="zhoumin")
    return fill(server)


@pytest.fixture
def desk(server: TestServer, filled: Filled, open_page: Opener) -> Iterator[Page]:
    yield signed_in(server, open_page, DESK)


def signed_in(server: TestServer, open_page: Opener, size: Size) -> Page:
    page = open_page(size)
    page.goto(f"{server.url}/console/sign-in")
    page.fill("input[name=login]", "zhoumin")
    page.fill("input[name=password]", PASSWORD)
    page.click("main button.primary")
    page.wait_for_url("**/console/")
    return page


def shown(page: Page, picture: str) -> None:
    """Wait until a picture has been loaded."""
    one = page.locator(picture)
    one.scroll_into_view_if_needed()
    for _ in range(150):
        if one.evaluate("one => one.complete && one.naturalWidth > 0"):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{picture} was not loaded")


def looked_at(page: Page, name: str) -> None:
    shot(page, f"records-{name}")
    assert overflow(page) == 0
    assert faults(page) == []


def test_a_list_is_filtered_ordered_turned_and_kept(server: TestServer, desk: Page) -> None:
    desk.goto(f"{server.url}/console/records/institution")
    looked_at(desk, "list")
    assert desk.locator("tbody tr").count() == 50
    desk.get_by_role("link", name="下一页").click()
    assert desk.locator("tbody tr").count() == 10
    desk.get_by_role("link", name="上一页").click()
    desk.get_by_text("更多条件").click()
    desk.locator("details.pick", has_text="机构类别").locator("summary").click()
    desk.get_by_label("艺术类").check()
    shot(desk, "records-list-filters", whole=False)
    desk.get_by_role("button", name="筛选").click()
    assert desk.locator("tbody tr").count() == 15
    desk.get_by_role("link", name="学员人数").count()
    desk.get_by_role("button", name="选列").click()
    desk.locator("#columns").get_by_text("学员人数").click()
    desk.locator("#columns").get_by_role("button", name="确定").click()
    desk.get_by_role("link", name="学员人数").click()
    numbers = [int(one.split()[0]) for one in desk.locator("td.number").all_inner_texts()]
    assert numbers == sorted(numbers, reverse=True) and len(numbers) == 15
    desk.get_by_role("button", name="视图").click()
    desk.fill("#view-name", "艺术类按人数")
    desk.locator("#view").get_by_role("button", name="保存").click()
    assert desk.get_by_role("link", name="艺术类按人数").get_attribute("aria-current") == "page"
    looked_at(desk, "list-view")


def test_overdue_stands_out_and_a_conflict_says_so(server: TestServer, desk: Page) -> None:
    desk.goto(f"{server.url}/console/records/hazard")
    looked_at(desk, "hazards")
    assert desk.locator("tr.overdue").count() == 6
    desk.get_by_label("已逾期").check()
    desk.get_by_role("button", name="筛选").click()
    assert desk.locator("tbody tr").count() == 6
    desk.goto(f"{server.url}/console/records/institution?conflict=1")
    assert desk.locator("tbody tr").count() == 1
    desk.locator("tbody th a").first.click()
    looked_at(desk, "record-conflict")
    assert "正常办学" in desk.locator("ul.live").inner_text() and "暂停招生" in desk.locator("ul.live").inner_text()
    assert desk.get_by_role("link", name="去裁决").count() >= 1


def test_a_record_shows_its_photos_large_turned_and_next_by_keyboard(server: TestServer, filled: Filled, desk: Page) -> None:
    desk.goto(f"{server.url}/console/record/{filled.inspection}")
    for number in range(3):
        shown(desk, f".photo img >> nth={number}")
    looked_at(desk, "record-photos")
    assert desk.locator(".photo").count() == 4 and desk.locator(".photo .badge.wait").count() == 1
    desk.locator(".photo").first.click()
    expect(desk.locator(".viewer-wait")).to_be_hidden()
    first = desk.locator(".viewer-stage img").get_attribute("src") or ""
    shot(desk, "records-viewer", whole=False)
    desk.keyboard.press("ArrowRight")
    expect(desk.locator(".viewer-stage img")).not_to_have_attribute("src", first)
    desk.keyboard.press("+")
    desk.keyboard.press("r")
    assert "rotate(90deg)" in (desk.locator(".viewer-stage img").get_attribute("style") or "")
    desk.keyboard.press("Escape")
    assert not desk.locator("#viewer").is_visible()


def fingers(page: Page, *moves: list[tuple[int, int]]) -> None:
    """What fingers on a screen do: where they go down, where they move to, then up."""
    screen = page.context.new_cdp_session(page)
    kinds = ["touchStart", *["touchMove"] * (len(moves) - 1)]
    for kind, points in zip(kinds, moves, strict=True):
        screen.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]})
    screen.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def moved(picture: Locator) -> tuple[float, float]:
    found = re.search(r"translate\((-?[0-9.]+)px, (-?[0-9.]+)px\)", picture.get_attribute("style") or "")
    assert found is not None
    return float(found.group(1)), float(found.group(2))


def test_a_photo_is_zoomed_turned_and_changed_by_fingers(server: TestServer, filled: Filled, open_page: Opener) -> None:
    page = signed_in(server, open_page, TABLET)
    page.goto(f"{server.url}/console/record/{filled.inspection}")
    page.locator("a.photo[data-large]").first.tap()
    expect(page.locator(".viewer-wait")).to_be_hidden()
    picture = page.locator(".viewer-stage img")
    fingers(page, [(900, 400), (500, 400)], [(700, 400), (300, 400)])
    assert "scale(1)" in (picture.get_attribute("style") or ""), "two fingers that keep their distance zoom nothing"
    fingers(page, [(600, 400), (700, 400)], [(500, 400), (800, 400)])
    scale = re.search(r"scale\(([0-9.]+)\)", picture.get_attribute("style") or "")
    assert scale is not None and float(scale.group(1)) > 2
    before = moved(picture)
    fingers(page, [(640, 400)], [(600, 380)])
    assert moved(picture) == (before[0] - 40, before[1] - 20)
    page.get_by_role("button", name="旋转（R）").click()
    expect(picture).to_have_attribute("style", re.compile("rotate\\(90deg\\)"))
    first = picture.get_attribute("src") or ""
    page.get_by_role("button", name="下一张（→）").click()
    expect(picture).not_to_have_attribute("src", first)
    expect(page.locator(".viewer-title")).to_contain_text("2 / ")
    fingers(page, [(400, 400)], [(900, 400)])
    expect(page.locator(".viewer-title")).to_contain_text("1 / ")
    page.get_by_role("button", name="关闭（Esc）").click()
    expect(page.locator("#viewer")).to_be_hidden()


def test_a_correction_shows_who_was_quicker_and_loses_nothing(server: TestServer, filled: Filled, desk: Page) -> None:
    record = filled.institutions[5]
    desk.goto(f"{server.url}/console/record/{record}/edit")
    looked_at(desk, "form")
    desk.fill("textarea[name=remark]", "楼上还有一间教室")
    desk.fill("input[name=address]", "人民中路38号6栋三楼")
    tablet = filled.tablet
    change = tablet.change("institution", record, {"address": "人民中路38号7栋"}, {"address": _ids(server, record, "address")})
    tablet.push(change)
    desk.get_by_role("button", name="保存").click()
    looked_at(desk, "form-newcomer")
    assert "人民中路38号7栋" in desk.locator(".newcomer").inner_text()
    assert desk.input_value("input[name=address]") == "人民中路38号6栋三楼"
    assert desk.input_value("textarea[name=remark]") == "楼上还有一间教室"
    desk.get_by_role("button", name="保存").click()
    desk.wait_for_url(f"**/record/{record}")
    assert "楼上还有一间教室" in desk.locator("main").inner_text()
    history = desk.locator(".timeline").inner_text()
    assert "人民中路38号7栋" in history and "人民中路38号6栋三楼" in history and "周敏" in history
    looked_at(desk, "record-history")


def _ids(server: TestServer, record: str, path: str) -> list[str]:
    from server.storage import states
    from sync.core.fold import State

    with server.instance.database.read() as conn:
        return State.read(bytes(states.load(conn, [record])[record].bytes)).ids(path)


def test_search_finds_any_piece_and_the_map_gathers_and_opens(server: TestServer, filled: Filled, desk: Page) -> None:
    desk.goto(f"{server.url}/console/")
    desk.keyboard.press("/")
    desk.keyboard.type("应急照明")
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/search?q=*")
    looked_at(desk, "search")
    assert desk.locator("ul.lines > li").count() == 12


def test_the_map_shows_layers_by_shape_gathers_and_opens(server: TestServer, filled: Filled, desk: Page) -> None:
    desk.goto(f"{server.url}/console/map")
    expect(desk.locator("[data-map-said]")).to_contain_text("72")
    layer = {name: desk.locator(".map-layer", has=desk.locator(f"input[value='{name}']")) for name in ("institution", "hazard:late", "hazard:due")}
    expect(layer["institution"].locator("output")).to_have_text("60")
    expect(layer["hazard:late"].locator("output")).to_have_text("6")
    looked_at(desk, "map")
    layer["institution"].click()
    layer["hazard:due"].click()
    expect(desk.locator("[data-map-said]")).to_contain_text("本图范围内 6 条")
    desk.reload()
    expect(desk.locator("[data-map-said]")).to_contain_text("本图范围内 6 条")
    layer["institution"].click()
    for _ in range(3):
        desk.locator("[data-map-do=in]").click()
    expect(desk.locator("[data-map-list][aria-busy=false] a").first).to_be_visible()
    shot(desk, "records-map-near")
    name = desk.locator("[data-map-list] a").first.inner_text()
    desk.locator("[data-map-list] a").first.click()
    assert name in desk.locator("h1").inner_text()


def test_a_map_of_ones_own_lies_under_the_marks(server: TestServer, filled: Filled, desk: Page) -> None:
    file = server.instance.settings.tiles
    file.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(file)) as tiles:
        tiles.execute("CREATE TABLE tiles (zoom_level, tile_column, tile_row, tile_data)")
        picture = encoded(Image.new("RGB", (256, 256), (250, 240, 10)), "PNG")
        # zoom 12, around 28.2 N 113.0 E: x 3333, y 1714 from the north, and their neighbours
        rows = [(12, x, (1 << 12) - 1 - y, picture) for x in range(3328, 3340) for y in range(1708, 1720)]
        tiles.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", rows)
        tiles.commit()
    try:
        with desk.expect_response(lambda one: "/map/tiles/12/" in one.url and one.status == 200):
            desk.goto(f"{server.url}/console/map?lat=28.2&lon=113.2&zoom=12")
        middle = "() => [...document.querySelector('.map canvas').getContext('2d').getImageData(600, 60, 1, 1).data].slice(0, 3).join()"
        desk.wait_for_function(f"({middle})() === '250,240,10'")
        shot(desk, "records-map-tiles", whole=False)
    finally:
        file.unlink()


def test_what_stands_at_one_place_is_listed_where_no_closer_look_parts_it(server: TestServer, filled: Filled, desk: Page) -> None:
    tablet, ids = filled.tablet, [ServerKeys.new_id(server.clock()) for _ in range(3)]
    said = {"institution": filled.institutions[30], "area": f"{COUNTY}001001", "grade": "general", "deadline": "2045-01-01"}
    tablet.push(*(tablet.change("hazard", id, said | {"description": f"配电箱敞开 {id[-2:]}"}) for id in ids))
    desk.goto(f"{server.url}/console/map?kind=hazard&q=配电箱&lat=28.19&lon=113.0049&zoom=15")
    expect(desk.locator("[data-map-said]")).to_contain_text("3")
    desk.locator("[data-map]").focus()
    desk.keyboard.press("Enter")
    expect(desk.locator("[data-map-heading]")).to_have_text("同一处 3 条")
    assert desk.locator("[data-map-list] a").count() == 3
    looked_at(desk, "map-one-place")


def test_a_list_is_downloaded(server: TestServer, desk: Page) -> None:
    desk.goto(f"{server.url}/console/records/institution?f-category=art")
    desk.get_by_role("button", name="导出").click()
    shot(desk, "records-export", whole=False)
    with desk.expect_download() as waiting:
        desk.locator("#export").get_by_role("button", name="下载").click()
    assert waiting.value.suggested_filename.startswith("机构-") and waiting.value.suggested_filename.endswith(".xlsx")


@pytest.mark.parametrize("size", [TABLET, WIDE], ids=["small", "wide"])
def test_every_page_fits_other_windows(server: TestServer, filled: Filled, open_page: Opener, size: Size) -> None:
    page = signed_in(server, open_page, size)
    for name, path in (("list", "records/hazard"), ("graded", "records/evidence?f-grade=D"), ("record", f"record/{filled.inspection}"), ("map", "map?zoom=15&lat=28.215&lon=112.99"), ("overview", "records")):
        page.goto(f"{server.url}/console/{path}")
        if name == "map":
            expect(page.locator("[data-map-list][aria-busy=false] a").first).to_be_visible()
        shot(page, f"records-{name}")
        assert overflow(page) == 0
