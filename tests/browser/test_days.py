"""Whole days on the tablet with touch, both ways up: the network cut in the middle of a file, the program killed, and a server that
ends with everything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from custody import sealing
from server.merging import decisions
from server.proofs import trusts
from sync.core.trust import Seal
from tests.browser.conftest import TABLET, UPRIGHT, Opener, Size, cut_off, overflow, shot, small_targets
from tests.support.days import County, county_of, seen
from tests.support.pictures import encoded, noise
from tests.support.processes import Children
from tests.support.screens import PIN, Program
from tests.support.server import TestServer

AREA = "430102001"
SIZES = pytest.mark.parametrize("size", [TABLET, UPRIGHT], ids=["lying", "upright"])


@pytest.fixture
def county(tmp_path: Path) -> Iterator[County]:
    with county_of(tmp_path / "server") as made:
        yield made


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    with Children() as children:
        yield Program(children, tmp_path / "home")


def photo(folder: Path, name: str) -> tuple[Path, str]:
    """A photo as large in bytes as one of a camera, unlike any other, and its digest."""
    file = folder / name
    file.write_bytes(encoded(noise(1600, 1200), "JPEG", quality=90))
    return file, sha256(file.read_bytes()).hexdigest()


def look_at(page: Page, name: str) -> None:
    shot(page, f"day-{name}")
    assert overflow(page) == 0 and cut_off(page) == [] and small_targets(page) == [], name


def set_up(page: Page, code: str, url: str) -> None:
    """From the first page to a PIN, as a person does it."""
    page.fill("#url", url)
    page.fill("#code", code)
    page.locator("#typed button.primary").tap()
    page.fill("#pin", PIN)
    page.fill("#again", PIN)
    page.locator("form[data-slow] button.primary").tap()


def press_pin(page: Page) -> None:
    for digit in PIN:
        page.locator(f"[data-digit='{digit}']").tap()
    page.locator(".pad .primary").tap()


def unlock_here(page: Page) -> None:
    """On the page that was open when the program died."""
    page.fill("#unlock-pin", PIN, timeout=30_000)
    page.locator("[data-unlock] button").tap()


def hand_in(page: Page, program: Program, county: County, name: str) -> None:
    """The line is cut in the middle of a file and the program killed then: not safe. It is safe after the next round."""
    page.goto(f"{program.origin}/sync")
    expect(page.locator("#hand-in")).to_contain_text("还不能交回")
    county.network.heal()
    county.network.cut_upload_after(200_000)
    page.get_by_role("button", name="现在同步").tap()
    for _ in range(120):
        if county.network.fired:
            break
        page.wait_for_timeout(250)
    assert county.network.fired == ["cut_upload"]
    county.network.refuse()
    program.kill()
    county.network.heal()
    program.start()
    page.goto(f"{program.origin}/sync")
    press_pin(page)
    expect(page.locator("#hand-in")).to_be_visible()
    page.get_by_role("button", name="现在同步").tap()
    expect(page.locator("#hand-in")).to_contain_text("可以交回平板", timeout=120_000)
    expect(page.locator("main")).to_contain_text("有回执")
    look_at(page, f"{name}-safe")


@SIZES
def test_a_patrol_day(open_page: Opener, county: County, program: Program, tmp_path: Path, size: Size) -> None:
    code = county.made.code(county.made.person("officer", AREA, name="李敏"))
    county.up()
    page = open_page(size)
    page.goto(program.start())
    set_up(page, code, county.url)
    expect(page.locator("h1")).to_have_text("今日", timeout=60_000)

    def enter_site(name: str) -> None:
        page.goto(f"{program.origin}/institutions/new")
        page.fill("#name", name)
        page.locator("form[data-keep] button.primary").dblclick()  # a hand that slips
        expect(page.locator("h1")).to_have_text(name)

    enter_site("有网时的点位")
    county.network.refuse()  # a basement
    enter_site("断网后的点位")
    page.fill("#text", "楼道里有三块招牌")
    program.kill()
    page.locator("form[data-keep=note] button").tap()
    expect(page.locator("[data-away]")).to_be_visible()
    program.start()
    unlock_here(page)
    expect(page.locator("main")).to_contain_text("楼道里有三块招牌", timeout=20_000)
    page.goto(f"{program.origin}/patrol")
    picture, digest = photo(tmp_path, "door.jpg")
    page.fill("#spot", "坡子街 66 号")
    page.fill("#seen", "周六上午约二十名小学生进入后院")
    page.locator("input[type=file]").set_input_files(picture)
    page.locator("form[data-keep] button.primary").tap()
    expect(page.locator("h1")).to_have_text("坡子街 66 号", timeout=30_000)
    hand_in(page, program, county, "patrol")
    there = county.end()
    assert sorted(there.values("name")) == sorted(["有网时的点位", "断网后的点位"])
    assert [one["text"] for one in there.under("notes/")] == ["楼道里有三块招牌"]
    assert there.values("spot") == ["坡子街 66 号"]
    assert there.files[digest] == picture.read_bytes() and there.missing == set()


@SIZES
def test_an_undercover_day(open_page: Opener, county: County, program: Program, tmp_path: Path, size: Size) -> None:
    province = sealing.new_identity()
    house = county.made.instance
    trust = replace(trusts.next_edition(house.keys, "湖南省教育厅", house.now(), None), seal=Seal(7, (province.recipient,)))
    trusts.publish(house.settings, trust, bytes(range(32)))
    code = county.made.code(county.made.person("team", "430104"))
    county.up()
    page = open_page(size, permissions=["camera", "microphone"])
    page.goto(program.start())
    set_up(page, code, county.url)
    expect(page.locator("h1")).to_have_text("备忘", timeout=60_000)
    page.locator("header form button.icon-button").tap()
    expect(page.locator("[data-pad]")).to_be_visible()
    county.network.refuse()
    page.goto(f"{program.origin}/notes")
    page.fill("#note", "二楼教室")
    look_at(page, "covert-plain")
    film, told = page.locator("[data-film]"), page.locator("[data-told]")
    film.dblclick()  # a hand that slips begins one film, and does not end it
    expect(told).to_have_text(re.compile(r"^1 · 1 "), timeout=60_000)
    program.kill()
    page.wait_for_timeout(4_500)
    program.start()  # the window is still the same, and what it has is sent to the program that came back
    expect(told).to_have_text(re.compile(r"^1 · [2-9] "), timeout=60_000)
    film.tap()
    expect(film).not_to_have_class(re.compile(r"\bon\b"))
    page.wait_for_timeout(1_000)
    county.network.heal()
    page.goto(f"{program.origin}/lock")
    press_pin(page)
    expect(page.locator("h1")).to_have_text("备忘")
    for _ in range(60):
        page.reload()
        if page.locator(".tile.ok").count() and page.locator(".lines .badge.ok").count():
            break
        page.wait_for_timeout(1_000)
    look_at(page, "covert-counts")
    assert "没有收尾" not in page.content() and page.locator("main img").count() == 0
    there = county.end()
    numbers = sorted(there.values("number"))
    assert len(numbers) >= 2 and numbers == list(range(1, len(numbers) + 1)), "no second of it is missing"
    assert there.values("last").count(True) == 1 and there.missing == set()
    plain = opened(there.records, there.files, province.secret, tmp_path)
    assert plain.startswith(b"\x1a\x45\xdf\xa3")
    left = [file for file in program.home.rglob("*") if file.is_file() and plain[2000:2064] in file.read_bytes()]
    assert left == [], "this tablet holds nothing of it that it could open"


def opened(records: dict[str, dict[str, dict[str, object]]], files: dict[str, bytes], secret: str, folder: Path) -> bytes:
    """The first piece of a film as the province opens it."""
    import base64

    live = next(one for one in records.values() if 1 in one.get("number", {}).values())
    said = {path: next(iter(values.values())) for path, values in live.items()}
    sealed = folder / "sealed"
    sealed.write_bytes(files[str(said["sha256"])])
    key = sealing.open_key(base64.b64decode(str(said["key_file"])), secret)
    with open(sealed, "rb") as stream:
        sealing.open_sealed(stream, key, folder / "plain", sealed=(str(said["sha256"]), int(str(said["size"]))), plain=None)
    return (folder / "plain").read_bytes()


@SIZES
def test_a_rectification_day(open_page: Opener, county: County, program: Program, tmp_path: Path, size: Size) -> None:
    first, second = (county.made.code(county.made.person(role, "430102", name=name)) for role, name in (("officer", "李敏"), ("lead", "王刚")))
    county.up()
    page = open_page(size)
    page.goto(program.start())
    set_up(page, first, county.url)
    expect(page.locator("h1")).to_have_text("今日", timeout=60_000)
    visit = handed_in(page, program)
    page.goto(f"{program.origin}/sync")
    page.get_by_role("button", name="现在同步").tap()
    expect(page.locator("#hand-in")).to_contain_text("可以交回平板", timeout=90_000)
    county.at_the_desk(lambda server: send_back(server, visit))
    page.get_by_role("button", name="现在同步").tap()
    expect(page.locator("#sync-chip")).to_contain_text("已送达", timeout=60_000)
    page.goto(program.origin)
    page.locator("section.urgent a.line").first.tap()  # sent back: why, and where
    expect(page.locator(".urgent-card")).to_contain_text("请写明收费标准张贴的位置")
    look_at(page, "returned")
    page.fill("#f-findings", "收费标准张贴在前台左侧，已拍照")
    page.locator("h2").first.tap()
    expect(page.locator("#findings [data-saved]")).to_contain_text("已保存")

    county.network.refuse()
    hazard = noted(page, program, visit, *photo(tmp_path, "before.jpg")[:1])
    page.goto(f"{program.origin}/hazards/{hazard}/order")
    expect(page.locator(".anchor svg")).to_be_visible()
    look_at(page, "order")
    page.goto(f"{program.origin}/hazards/{hazard}")
    page.get_by_role("link", name="复查拍照").tap()
    expect(page.locator("figure.before img")).to_be_visible()
    after, digest = photo(tmp_path, "after.jpg")
    program.kill()
    page.locator("[data-pick=gallery]").set_input_files(after)
    program.start()
    unlock_here(page)
    expect(page.locator("[data-taken] .badge.ok")).to_be_visible(timeout=30_000)
    look_at(page, "re-check")
    page.goto(f"{program.origin}/hazards/{hazard}")
    page.get_by_role("link", name="前后对比").tap()
    expect(page.locator("figure img")).to_have_count(2)
    page.goto(f"{program.origin}/hazards/{hazard}")
    page.fill("form[data-keep=step-rectified] [name=words]", "通道已清空")
    page.locator("form[data-keep=step-rectified] button").dblclick()
    expect(page.locator("main")).to_contain_text("另一人验收")
    sign_and_submit(page, f"{program.origin}/inspections/{visit}")
    hand_in(page, program, county, "rectification")

    page.locator("header form button.icon-button").tap()  # somebody else strikes it off, at the same tablet
    page.locator("summary").tap()
    page.get_by_role("button", name="再加一位检查人员").tap()
    set_up(page, second, county.url)
    expect(page.locator("h1")).to_have_text("今日", timeout=60_000)
    page.goto(f"{program.origin}/hazards/{hazard}")
    page.fill("form[data-keep=step-verified] [name=words]", "现场复查，通道畅通")
    page.locator("form[data-keep=step-verified] button").dblclick()
    expect(page.locator("main")).to_contain_text("现场复查，通道畅通")
    look_at(page, "struck-off")
    page.goto(f"{program.origin}/sync")
    page.get_by_role("button", name="现在同步").tap()
    expect(page.locator("#hand-in")).to_contain_text("可以交回平板", timeout=90_000)
    there = county.end()
    live = there.records[hazard]
    assert list(live["status"].values()) == ["verified"] and list(live["conclusion"].values()) == ["现场复查，通道畅通"]
    assert set(there.records[visit]["status"].values()) == {"submitted"}
    assert there.records[visit]["findings"].values() == {"收费标准张贴在前台左侧，已拍照"} or "收费标准张贴在前台左侧，已拍照" in there.records[visit]["findings"].values()
    assert there.files[digest] == after.read_bytes() and there.missing == set()


def handed_in(page: Page, program: Program) -> str:
    """An inspection that was signed and handed in; its id."""
    page.goto(f"{program.origin}/institutions/new")
    page.fill("#name", "学雅口才")
    page.locator("form[data-keep] button.primary").tap()
    page.get_by_role("button", name="开始检查").tap()
    expect(page.locator("h1")).to_have_text("方式与人员")
    found = re.search(r"/inspections/([^/]+)/", page.url)
    assert found is not None
    here = f"{program.origin}/inspections/{found[1]}"
    page.goto(here)
    page.fill("#f-findings", "三间教室正在上课")
    page.locator("h2").first.tap()
    expect(page.locator("#findings [data-saved]")).to_contain_text("已保存")
    sign_and_submit(page, here)
    return found[1]


def sign_and_submit(page: Page, here: str) -> None:
    from tests.support.tablet_pages import draw

    page.goto(f"{here}/sign")
    if page.locator("form[action$=end]").count():
        page.locator("form[action$=end] button").tap()
    page.fill("#party", "罗雨")
    draw(page, "[data-pad-for=party] canvas")
    page.locator("form[data-keep=party] button.primary").tap()
    expect(page.locator(".notice.done")).to_be_visible()
    page.goto(f"{here}/submit")
    page.locator("form.sticky-foot button").dblclick()
    expect(page.locator("main")).to_contain_text("已提交")


def send_back(server: TestServer, visit: str) -> None:
    """Staff send an inspection back with the reason, at its findings."""
    house = server.instance
    review = f"review/{house.keys.new_id(house.now())}"
    values = {"status": "returned", review: {"text": "请写明收费标准张贴的位置", "at": "2026-11-26T01:00:00.000Z", "item": "findings"}}
    decisions.write_seen(house.desk, "inspection", visit, values, seen(server, visit, list(values)), by=["s-1"])


def noted(page: Page, program: Program, visit: str, picture: Path) -> str:
    """A hazard with a deadline and a photo from before; its id."""
    page.goto(f"{program.origin}/hazards/new?inspection={visit}")
    page.fill("#description", "二楼东侧疏散通道堆放桌椅")
    page.fill("#deadline", (date.today() + timedelta(7)).isoformat())
    page.locator("form[data-keep] button.primary").dblclick()
    expect(page.locator(".notice.done")).to_be_visible()
    hazard = page.url.rsplit("/", 1)[1]
    page.get_by_role("link", name="拍整改前").tap()
    page.locator("[data-pick=gallery]").set_input_files(picture)
    expect(page.locator("[data-taken] .badge.ok")).to_be_visible(timeout=30_000)
    return hazard
