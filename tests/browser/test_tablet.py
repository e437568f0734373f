"""The tablet's screens in a real browser: looked at in both sizes, and whole days with the network cut and the program killed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from custody import sealing
from server import trusts
from server.config import Settings
from sync.core.trust import Seal
from tests.browser.conftest import TABLET, UPRIGHT, Opener, Size, faults, overflow, shot, small_targets
from tests.support.patrols import held
from tests.support.processes import Children, free_port
from tests.support.screens import PIN, Program, Screen, shown
from tests.support.server import TestServer, opened_server, wsgi_server

AREA = "430102001"
SIZES = pytest.mark.parametrize("size", [TABLET, UPRIGHT], ids=["lying", "upright"])


def enter(page: Page, screen: Screen) -> None:
    """Be the browser that was started with the screens."""
    from field_client.ui.guard import start_url

    page.goto(start_url(screen.port, screen.secret))


def check(page: Page, name: str) -> None:
    """Keep a picture of the page; nothing serious, nothing cut off, nothing too small for a thumb."""
    shot(page, f"tablet-{name}")
    assert faults(page) == [], name
    assert overflow(page) == 0, name
    assert small_targets(page) == [], name


def press_pin(page: Page, pin: str = PIN) -> None:
    for digit in pin:
        page.locator(f"[data-digit='{digit}']").click()
    page.locator(".pad .primary").click()


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    with shown(tmp_path_factory.mktemp("home")) as screen:
        yield screen


# ---- looked at ---------------------------------------------------------------------------------------------


def test_results_come_while_somebody_types(open_page: Opener, practice: Screen) -> None:
    page = open_page(TABLET, geolocation={"latitude": 28.19, "longitude": 112.97}, permissions=["geolocation"])
    enter(page, practice)
    page.goto(f"{practice.origin}/practice")
    page.locator("button[name=afresh]").click()
    page.goto(f"{practice.origin}/institutions")
    page.locator("#q").press_sequentially("koucai")
    expect(page.locator("#found .line")).to_have_count(1)
    assert page.url.endswith("q=koucai")
    page.locator("[data-near]").click()
    expect(page.locator("#found .line").first).to_contain_text("0 m")
    page.goto(f"{practice.origin}/institutions/new")
    page.fill("#name", "学雅口才班")
    expect(page.locator("#alike")).to_contain_text("学雅口才培训中心")


def test_what_was_typed_survives_the_lock_and_a_reload(open_page: Opener, practice: Screen) -> None:
    page = open_page(TABLET)
    enter(page, practice)
    page.goto(f"{practice.origin}/practice")
    page.locator("button[name=afresh]").click()
    page.goto(f"{practice.origin}/institutions/new")
    page.fill("#name", "写到一半的点位")
    assert practice.seats is not None
    practice.seats.current.lock()
    page.locator("form[data-keep] button.primary").click()
    press_pin(page, "246813")
    page.goto(f"{practice.origin}/institutions/new")
    assert page.input_value("#name") == "写到一半的点位"
    page.go_back()
    page.go_forward()
    page.reload()
    assert page.input_value("#name") == "写到一半的点位"


# ---- whole days --------------------------------------------------------------------------------------------


class County:
    """A server as a process of its own that can be cut off and come back with everything that it had."""

    def __init__(self, children: Children, folder: Path) -> None:
        self.children, self.port = children, free_port()
        self.settings = Settings(folder / "data")
        self._child = None
        self.url = f"http://127.0.0.1:{self.port}"
        self.made: TestServer = wsgi_server(folder)

    def up(self) -> None:
        self.made.instance.close()
        self._child = self.children.serve(self.settings.data, self.port)  # type: ignore[assignment]

    def down(self) -> None:
        assert self._child is not None
        self._child.kill()

    def records(self, path: str) -> list[Any]:
        """Every value on a path that the server holds, once it is down."""
        server = opened_server(self.settings)
        try:
            return [value for live in held(server).values() for value in live.get(path, {}).values()]
        finally:
            server.instance.close()

    def notes(self) -> list[str]:
        server = opened_server(self.settings)
        try:
            return [value["text"] for live in held(server).values() for path, values in live.items() if path.startswith("notes/") for value in values.values()]
        finally:
            server.instance.close()


def set_up(page: Page, program: Program, county: County, code: str, first: str = "今日", look: str = "") -> None:
    """Enrol a tablet with a code in a browser, choose a PIN, and wait for its first page. `look`: a name to look at it under."""
    page.goto(program.start())
    page.fill("#url", county.url)
    page.fill("#code", code)
    page.locator("form[data-keep] button.primary").click()
    page.fill("#pin", PIN)
    page.fill("#again", PIN)
    if look:
        check(page, look)
    page.locator("form[data-slow] button.primary").click()
    expect(page.locator("h1")).to_have_text(first, timeout=60_000)


@SIZES
def test_a_patrol_with_the_network_cut_and_the_program_killed_ends_with_everything_at_the_server(
    open_page: Opener, children: Children, tmp_path: Path, size: Size
) -> None:
    county, program = County(children, tmp_path / "server"), Program(children, tmp_path / "home")
    code = county.made.code(county.made.person("officer", AREA, name="李敏"))
    county.up()
    page = open_page(size)
    set_up(page, program, county, code, look="setup-pin")

    def enter_site(name: str) -> None:
        page.goto(f"{program.origin}/institutions/new")
        page.fill("#name", name)
        page.locator("form[data-keep] button.primary").dblclick()  # a hand that slips
        expect(page.locator("h1")).to_have_text(name)

    enter_site("有网时的点位")
    county.down()
    enter_site("断网后的点位")
    page.fill("#text", "楼道里有三块招牌")
    page.locator("form[data-keep=note] button").click()
    expect(page.locator(".notice.done")).to_be_visible()
    page.goto(f"{program.origin}/sync")
    expect(page.locator("#hand-in")).to_contain_text("还不能交回")
    check(page, "sync-cut")
    program.kill()
    page.goto(program.start().split("/start/")[0] + "/") if size == TABLET else page.goto(program.start())
    press_pin(page)
    expect(page.locator("h1")).to_have_text("今日")
    page.goto(f"{program.origin}/institutions?q=断网后")
    expect(page.locator("#found")).to_contain_text("断网后的点位")
    county.up()
    page.goto(f"{program.origin}/sync")
    page.get_by_role("button", name="现在同步").click()
    expect(page.locator("#hand-in")).to_contain_text("可以交回平板", timeout=90_000)
    check(page, "sync-safe")
    county.down()
    assert sorted(county.records("name")) == sorted(["有网时的点位", "断网后的点位"])
    assert county.notes() == ["楼道里有三块招牌"]


def test_a_film_under_cover_outlives_a_killed_program_and_only_counts_are_shown(
    open_page: Opener, children: Children, tmp_path: Path
) -> None:
    county, program = County(children, tmp_path / "server"), Program(children, tmp_path / "home")
    province = sealing.new_identity()
    house = county.made.instance
    trusts.create_root(tmp_path / "root.age", "p")
    trust = replace(trusts.next_edition(house.keys, "湖南省教育厅", house.now(), None), seal=Seal(7, (province.recipient,)))
    trusts.publish(house.settings, trust, trusts.open_root(tmp_path / "root.age", "p"))
    code = county.made.code(county.made.person("team", "430104"))
    county.up()
    page = open_page(UPRIGHT, permissions=["camera", "microphone"])
    set_up(page, program, county, code, first="备忘")
    check(page, "covert-counts-empty")
    page.locator("header form button.icon-button").click()
    county.down()
    page.goto(f"{program.origin}/notes")
    page.fill("#note", "二楼教室")
    check(page, "covert-plain")
    film = page.locator("[data-film]")
    film.click()
    told = page.locator("[data-told]")
    expect(told).to_have_text(re.compile(r"^1 · 1 "), timeout=20_000)
    program.kill()
    page.wait_for_timeout(5_000)
    program.start()  # the window is still the same, and what it has is sent to the program that came back
    expect(told).to_have_text(re.compile(r"^1 · [3-9] "), timeout=40_000)
    film.click()
    page.wait_for_timeout(2_000)
    county.up()
    page.goto(f"{program.origin}/lock")
    press_pin(page)
    expect(page.locator("h1")).to_have_text("备忘")
    for _ in range(60):
        page.reload()
        if page.locator(".tile.ok").count() and page.locator(".lines .badge.ok").count():
            break
        page.wait_for_timeout(1_000)
    check(page, "covert-counts")
    assert "没有收尾" not in page.content() and page.locator("main img").count() == 0
    county.down()
    numbers = sorted(county.records("number"))
    assert len(numbers) >= 4 and numbers == list(range(1, len(numbers) + 1)), "no second of it is missing"
    assert county.records("last").count(True) == 1
