"""The card of an officer at the desk, in a real browser, on the screen and as it is printed."""

from __future__ import annotations

from collections.abc import Iterator

import pypdfium2
import pytest

from custody.pictures import qr
from server.merging import decisions
from tests.browser.conftest import DESK, SHOTS, WIDE, Opener, Size, faults, overflow, shot
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


def test_many_cards_fill_a_sheet(open_page: Opener, server: TestServer) -> None:
    for number in range(12):
        values = {"name": f"陈露{number}", "certificate_number": f"4301001{number:04d}", "area": "430103", "status": "active", "unit": "市场监管局"}
        decisions.write(server.instance.desk, "officer", None, values, by=["system"])
    page = open_page(DESK)
    enter(page, server, "staff", "430103")
    page.goto(f"{server.url}/console/records/officer")
    page.get_by_role("link", name="打印证件卡").click()
    shot(page, "console-cards")
    assert faults(page) == [] and overflow(page) == 0
    (SHOTS / "cards.pdf").write_bytes(page.pdf(format="A4", margin=dict.fromkeys(("top", "bottom", "left", "right"), "10mm")))
    document = pypdfium2.PdfDocument(SHOTS / "cards.pdf")
    read = [text for sheet in document for text in qr.texts(sheet.render(scale=3).to_pil())]
    assert len(document) <= 2 and len(read) >= 4, "codes can be read off the sheet"
