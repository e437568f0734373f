"""Every page of the tablet by the one table of them (`tests/support/tablet_pages.py`): how it looks both ways up, and what becomes
of it when somebody goes back, taps twice, reloads in the middle of a word, or the battery falls out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import template_rendered
from playwright.sync_api import Page, expect

from field_client.config import Settings
from tests.browser.conftest import TABLET, UPRIGHT, Opener, Size, cut_off, faults, overflow, shot, small_targets
from tests.support.homes import Home, census
from tests.support.processes import Children
from tests.support.screens import PIN, Program, Screen, shown
from tests.support.tablet_pages import ROWS, Hand, Row, named, unlock

Homes = dict[str, Home]
PICTURES = {"permissions": ["camera", "microphone"]}


def enter(page: Page, screen: Screen) -> None:
    """Be the browser that was started with the screens."""
    from field_client.ui.guard import start_url

    page.goto(start_url(screen.port, screen.secret))


def come_to(page: Page, origin: str, row: Row, home: Home) -> None:
    """To the page, as a person comes to it."""
    page.goto(origin + home.fill(row.path))
    if row.reach is not None:
        page.evaluate("window.left = true")
        row.reach(page, Hand())
        page.wait_for_function("!window.left && document.readyState === 'complete'")


# ---- looked at -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def screens(used_homes: Homes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Screen]]:
    """The screens over a copy of each home, and the inspector's once more while it is locked."""
    with ExitStack() as stack:
        made = {}
        for name, home in [*used_homes.items(), ("locked", used_homes["inspector"]), ("team-locked", used_homes["team"])]:
            made[name] = stack.enter_context(shown(home.copy(tmp_path_factory.mktemp(name) / "home")))
        for name in ("inspector", "team"):
            made[name].open().post("/unlock", pin=PIN)
        yield made


def over(screens: dict[str, Screen], row: Row) -> Screen:
    return screens["team-locked" if row.whose == "team" and row.locked else "locked" if row.locked else row.whose]


def looked_at(page: Page, name: str, *, closely: bool) -> list[str]:
    """What is wrong with how a page looks in each of its looks; `closely`: with axe, which takes its time."""
    wrong = []
    for look in ("", "large", "dark"):
        page.evaluate("look => { document.documentElement.className = look; }", look)
        found = [*cut_off(page), *small_targets(page), *([f"{overflow(page)} px too wide"] if overflow(page) else [])]
        if closely and look != "large":
            found += faults(page, "color-contrast" if look else None)
        wrong += [f"{look or 'light'}: {one}" for one in found]
        shot(page, f"page-{name}-{look or 'light'}", whole=not look)
    return wrong


@pytest.mark.parametrize("size", [TABLET, UPRIGHT], ids=["lying", "upright"])
@pytest.mark.parametrize("row", ROWS, ids=named(ROWS))
def test_a_page_can_be_read_reached_and_is_not_cut_off(
    open_page: Opener, used_homes: Homes, screens: dict[str, Screen], row: Row, size: Size
) -> None:
    screen, drawn = over(screens, row), list[str]()
    page = open_page(size, **PICTURES)
    enter(page, screen)
    if page.locator("[data-pad]").count() and not row.locked:
        unlock(page, Hand())  # a team's tablet locks itself after two minutes
    assert screen.app is not None

    def note(_: Any, template: Any, **__: Any) -> None:
        drawn.append(template.name)

    with template_rendered.connected_to(note, screen.app):
        come_to(page, screen.origin, row, used_homes[row.whose])
    assert f"ui/{row.template}" in drawn
    assert looked_at(page, row.name, closely=size is TABLET) == []


@pytest.mark.parametrize("size", [TABLET, UPRIGHT], ids=["lying", "upright"])
def test_no_page_is_cut_off_in_english(open_page: Opener, used_homes: Homes, screens: dict[str, Screen], size: Size) -> None:
    wrong, page, before = list[str](), open_page(size, **PICTURES), None
    for row in sorted(ROWS, key=lambda one: over(screens, one).port):
        screen = over(screens, row)
        assert screen.seats is not None
        if screen is not before:
            Settings(screen.seats.current.home).choose("en")
            enter(page, screen)
            if page.locator("[data-pad]").count() and not row.locked:
                unlock(page, Hand())
        before = screen
        come_to(page, screen.origin, row, used_homes[row.whose])
        found = [*cut_off(page), *small_targets(page), *([f"{overflow(page)} px too wide"] if overflow(page) else [])]
        wrong += [f"{row.name}: {one}" for one in found]
    for screen in screens.values():
        assert screen.seats is not None
        Settings(screen.seats.current.home).choose("zh")
    assert wrong == []


# ---- going back, a hand that slips, a reload, a battery that falls out -----------------------------------------------


class Case:
    """One page in front of somebody, over a home of its own: `made` is what the home holds more than at the beginning."""

    def __init__(self, page: Page, origin: str, row: Row, home: Home) -> None:
        self.page, self.origin, self.row, self.home = page, origin, row, home
        self.before: Counter[str] | None = None

    def _census(self) -> Counter[str]:
        return Counter() if self.row.whose == "nobody" else census(self.home.folder, self.home.secrets)

    @property
    def made(self) -> dict[str, int]:
        now = self._census()
        now.subtract(self.before or {})
        return {name: count for name, count in now.items() if count}

    def come(self) -> None:
        if self.page.locator("[data-pad]").count() and not self.row.locked:
            unlock(self.page, Hand())
            self.page.wait_for_url(lambda url: not url.endswith(("/lock", "/unlock")))
        come_to(self.page, self.origin, self.row, self.home)
        if self.before is None:  # what unlocking takes in is no doing of the page
            self.before = self._census()

    def type(self) -> None:
        for field, text in self.row.typed.items():
            self.page.fill(field, text)

    def act(self, *, twice: bool = False) -> None:
        self.row.act(self.page, Hand(twice, self.home.ids))

    def done(self) -> None:
        """The action was done, once, and the page that follows is whole."""
        expect(self.page.locator(self.row.shows).first).to_be_visible(timeout=20_000)
        assert self.made == self.row.makes

    def typed_is_there(self) -> None:
        for field, text in self.row.typed.items():
            expect(self.page.locator(field)).to_have_value(text if self.row.keeps else "")


def kept(home: Home, tmp_path: Path) -> Home:
    """A copy of a home, and a folder for what is carried away."""
    (tmp_path / "stick").mkdir()
    return replace(home, folder=home.copy(tmp_path / "home"), ids={**home.ids, "folder": str(tmp_path / "stick")})


@pytest.mark.parametrize("row", ROWS, ids=named(ROWS))
def test_reload_back_and_a_second_tap_lose_nothing_and_make_nothing_twice(
    open_page: Opener, used_homes: Homes, tmp_path: Path, row: Row
) -> None:
    home = kept(used_homes[row.whose], tmp_path)
    with shown(home.folder) as screen:
        page = open_page(TABLET, **PICTURES)
        enter(page, screen)
        case = Case(page, screen.origin, row, home)
        case.come()
        case.type()
        page.reload()
        case.typed_is_there()
        page.goto(f"{screen.origin}/practice")
        page.go_back()
        case.typed_is_there()
        case.come()
        case.act(twice=True)
        case.done()
        page.go_back()
        page.go_forward()
        assert case.made == row.makes
        assert page.locator("main").count() and "ERR_" not in page.content()
@pytest.mark.parametrize("row", ROWS, ids=named(ROWS))
def test_what_is_tapped_while_the_program_is_dead_is_done_once_it_is_back(
    open_page: Opener, used_homes: Homes, tmp_path: Path, row: Row
) -> None:
    home = kept(used_homes[row.whose], tmp_path)
    with Children() as children:
        program = Program(children, home.folder)
        page = open_page(TABLET, **PICTURES)
        page.goto(program.start())
        case = Case(page, program.origin, row, home)
        case.come()
        case.type()
        asks = page.locator("[data-unlock]").count()
        program.kill()
        case.act(twice=True)
        if asks:
            expect(page.locator("[data-away], .saved[data-kind=bad], .sending .badge").filter(visible=True).first).to_be_visible()
        program.start()
        if asks:
            page.fill("#unlock-pin", PIN, timeout=20_000)
            page.locator("[data-unlock] button").click()
        case.done()
