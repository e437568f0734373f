"""A page that nobody looks at asks for nothing, and one that rests asks seldom: what a battery is for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import TABLET, Opener
from tests.browser.test_tablet import enter
from tests.support.screens import Screen, shown

HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    with shown(tmp_path_factory.mktemp("home")) as screen:
        yield screen.open().practise()


def watched(open_page: Opener, practice: Screen, state: str) -> tuple[Page, list[str]]:
    """A page whose clock the test turns, whose background is in a state, and what it asked for."""
    asked: list[str] = []
    page = open_page(TABLET)
    told = {"state": state, "waiting": 0, "rounds": 1, "phase": "", "done": 0, "total": 0, "problem": "", "hint": "",
            "last": None, "complete": True, "words": "已送达", "retrying": False}  # fmt: skip

    def answer(route: object) -> None:
        asked.append("state")
        route.fulfill(json=told)  # type: ignore[attr-defined]

    page.route("**/sync/state.json", answer)
    enter(page, practice)
    page.clock.install()
    with page.expect_response("**/sync/state.json"):
        page.goto(f"{practice.origin}/")
    page.wait_for_function("document.querySelector('[data-chip]').textContent === '已送达'")
    asked.clear()
    return page, asked


def minutes(page: Page, count: int) -> None:
    """Let time pass, a second at a time, so that what is asked for is answered in between."""
    for _ in range(60 * count):
        page.clock.run_for(1_000)


@pytest.mark.parametrize(("state", "most"), [("waiting", 4), ("practice", 1), ("paused", 1), ("off", 1)])
def test_a_page_at_rest_asks_seldom(open_page: Opener, practice: Screen, state: str, most: int) -> None:
    page, asked = watched(open_page, practice, state)
    minutes(page, 1)
    assert len(asked) <= most


def test_a_page_that_nobody_sees_asks_for_nothing_and_looks_at_once_when_it_is_seen_again(
    open_page: Opener, practice: Screen
) -> None:
    page, asked = watched(open_page, practice, "running")
    page.evaluate(HIDE, True)
    page.clock.run_for(2_000)
    asked.clear()
    minutes(page, 1)
    assert asked == []
    for _ in range(3):  # hidden and seen again quickly: one chain of questions, not three
        page.evaluate(HIDE, True)
        with page.expect_response("**/sync/state.json"):
            page.evaluate(HIDE, False)
        page.wait_for_function("true")
    asked.clear()
    for _ in range(10):
        page.clock.run_for(1_000)
    assert len(asked) <= 11
