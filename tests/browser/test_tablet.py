"""The tablet's screens in a real browser: what the tests of single screens share, and a search while somebody types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from server.config import Settings
from tests.browser.conftest import TABLET, UPRIGHT, Opener, faults, overflow, shot, small_targets
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
