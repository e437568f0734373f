"""A real Chromium for tests of pages: the sizes that people have, screenshots kept under `.screens/`, and axe."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.support import homes
from tests.support.console import PASSWORD
from tests.support.homes import Home
from tests.support.processes import Children

CHROMIUM = os.environ.get("PATROLBOOK_CHROMIUM", "/usr/bin/chromium")
SHOTS = Path(__file__).parents[2] / ".screens"
SERIOUS = ("serious", "critical")


class Size(NamedTuple):
    width: int
    height: int
    touch: bool = False


TABLET, UPRIGHT = Size(1280, 800, touch=True), Size(800, 1280, touch=True)
DESK, WIDE = Size(1440, 900), Size(2560, 1440)
LAPTOP = Size(1280, 800)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser, started once for all tests of a process."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            env={**os.environ, "LANGUAGE": "zh_CN"},  # dates and files are chosen in the browser's own words
            args=["--no-sandbox", "--lang=zh-CN", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def used_homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Home]:
    """Homes of tablets that were used for a while, by whose they are; to be copied, never opened."""
    folder = tmp_path_factory.mktemp("homes")
    made = {"inspector": homes.inspector(folder / "inspector"), "team": homes.team(folder / "team")}
    made["revoked"] = homes.revoked(made["inspector"], folder / "revoked")
    (folder / "nobody").mkdir()
    return {**made, "nobody": Home(folder / "nobody", made["team"].secrets)}


Opener = Callable[..., Page]


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Opener]:
    """Opens a page of a size in a context of its own. A script that fails or is refused,
    and an answer that a server failed to give, fail the test."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def opened(size: Size = DESK, **settings: Any) -> Page:
        context = chromium.new_context(
            viewport={"width": size.width, "height": size.height},
            has_touch=size.touch,
            locale="zh-CN",
            timezone_id="Asia/Shanghai",
            **settings,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("response", lambda one: wrong.append(f"{one.status} {one.url}") if one.status >= 500 and one.status != 507 else None)
        page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not wrong, f"the page failed: {wrong}"


@pytest.fixture
def children() -> Iterator[Children]:
    """Programs of a test, ended with it."""
    with Children() as made:
        yield made


def shot(page: Page, name: str, *, whole: bool = True) -> Path:
    """Keep a picture of the page under `.screens/`, to be looked at."""
    SHOTS.mkdir(exist_ok=True)
    size = page.viewport_size or {"width": 0, "height": 0}
    file = SHOTS / f"{re.sub(r'[^A-Za-z0-9-]+', '-', name)}-{size['width']}x{size['height']}.png"
    page.screenshot(path=file, full_page=whole)
    return file


def faults(page: Page, only: str | None = None) -> list[str]:
    """What axe finds serious on the page: contrast, names, roles, structure; `only` one rule of axe's."""
    options = {"runOnly": [only]} if only else None
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{one['id']}: {one['help']} ({', '.join(str(node['target']) for node in one['nodes'][:3])})"
        for one in found
        if one["impact"] in SERIOUS
    ]


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than its window: 0 where nothing is cut off or has to be scrolled sideways."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def cut_off(page: Page) -> list[str]:
    """Words that leave the box that they stand in, or are cut by it; what can be scrolled to is not cut off, nor is a heading
    of which the page has the whole somewhere else. Whatever can be unfolded is unfolded first."""
    return list(
        page.evaluate(
            """() => {
                const found = new Set(), range = document.createRange();
                for (const one of document.querySelectorAll("details")) one.open = true;
                const all = document.querySelector("main").innerText + [...document.querySelectorAll("main :is(input, textarea)")].map((one) => one.value).join();
                const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
                for (let node; (node = words.nextNode());) {
                    const own = node.parentElement;
                    if (!node.data.trim() || own.closest(".sr, .skip, script, style, noscript, canvas, svg, [hidden]") || !own.checkVisibility({ visibilityProperty: true })) continue;
                    range.selectNodeContents(node);
                    for (const at of range.getClientRects()) for (let box = own; box && box !== document.body; box = box.parentElement) {
                        const style = getComputedStyle(box), edge = box.getBoundingClientRect();
                        if (/inline$|contents/.test(style.display)) continue;
                        if (/auto|scroll/.test(style.overflowX) || (style.webkitLineClamp !== "none" && all.includes(node.data.trim()))) break;
                        const down = style.overflowY === "hidden" && at.bottom > edge.bottom + 3;
                        if (at.width && (at.right > edge.right + 1.5 || at.left < edge.left - 1.5 || down)) found.add(`${box.tagName}.${box.className} ${node.data.trim().slice(0, 24)} ${Math.round(at.right - edge.right)}`);
                        if (style.position === "fixed") break;
                    }
                }
                return [...found];
            }"""
        )
    )


def small_targets(page: Page, least: int = 44) -> list[str]:
    """Controls on a touch screen whose place to tap is smaller than `least` pixels either way."""
    return list(
        page.evaluate(
            """least => [...document.querySelectorAll("a[href], button, select, input:not([type=hidden]), label.choice, summary")]
                .filter(one => one.offsetParent !== null && !one.closest(".skip, .sr") && !one.matches(".choice input, p a, dd a"))
                .map(one => [one, (one.closest("label") || one).getBoundingClientRect()])
                .filter(([_, box]) => box.width > 1 && (box.width < least - .5 || box.height < least - .5))
                .map(([one, box]) => `${one.tagName} ${(one.textContent || one.name || "").trim().slice(0, 30)} ${box.width | 0}x${box.height | 0}`)""",
            least,
        )
    )


def looked_at(page: Page, name: str, *sizes: Size) -> None:
    """Keep pictures of the page at these sizes of a desk, and hold it against axe and its own width at each."""
    for size in sizes or (LAPTOP, WIDE):
        page.set_viewport_size({"width": size.width, "height": size.height})
        shot(page, name)
        assert overflow(page) == 0, f"{name} is {overflow(page)} px too wide at {size.width}"
    assert faults(page) == []


def sign_in(page: Page, url: str, login: str, password: str = PASSWORD) -> None:
    """Through the door, as anybody with an account does."""
    page.goto(f"{url}/console/sign-in")
    page.get_by_label("姓名、登录名或手机号").fill(login)
    page.get_by_label("密码").fill(password)
    page.get_by_role("button", name="登录", exact=True).click()
