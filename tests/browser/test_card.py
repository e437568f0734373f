"""The card of an officer at the desk, in a real browser, on the screen and as it is printed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server import decisions
from tests.browser.conftest import DESK, WIDE, Opener, Size, faults, overflow, shot
from tests.browser.test_console_administration import enter
from tests.support.server import TestServer, running_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.mark.parametrize("size", [DESK, WIDE])
def test_a_card_is_reached_from_the_officer_and_prints_alone(open_page: Opener, server: TestServer, size: Size) -> None:
    values = {"name": "李敏", "certificate_number": "43010012345", "unit": "天心区市场监督管理局综合行政执法大队", "area": "430103",
              "status": "active", "valid_until": "2031-12-31"}  # fmt: skip
    officer = decisions.write(server.instance.desk, "officer", None, values, by=["system"]).record
    page = open_page(size)
    enter(page, server, "staff", "430103")
    page.goto(f"{server.url}/console/record/{officer}")
    page.get_by_role("link", name="证件卡").click()
    shot(page, "console-card")
    assert faults(page) == [] and overflow(page) == 0
    assert page.evaluate("[...document.querySelectorAll('.id-card dd, .id-card .id-name')].every(one => one.scrollWidth <= one.clientWidth + 1)")
    page.emulate_media(media="print")
    shot(page, "console-card-print")
    assert page.locator(".id-card").is_visible() and not page.get_by_role("button", name="打印").is_visible()
