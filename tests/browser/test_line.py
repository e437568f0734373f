"""The ledger of an enrolled tablet on a line that is billed by volume, and what somebody chooses about it, by touch."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from field_client.platform.desktop import desktop
from field_client.ui import preferences
from tests.browser.conftest import Opener, Size
from tests.browser.test_tablet import AREA, SIZES, check, enter
from tests.support.screens import shown
from tests.support.server import running_server


@SIZES
def test_the_line_is_named_and_chosen_on_the_ledger(open_page: Opener, tmp_path: Path, size: Size) -> None:
    with running_server(tmp_path / "server") as server, shown(tmp_path / "home", desktop()._replace(metered=lambda: True)) as ui:
        ui.open().enrol(server.url, server.code(server.person("officer", AREA)))
        page = open_page(size)
        for look, large in (("light", False), ("dark", True)):
            preferences.choose(tmp_path / "home", theme=look, large=large)
            enter(page, ui)
            page.goto(f"{ui.origin}/sync")
            expect(page.locator("[data-line]")).to_have_text("按流量计费（自动识别）")
            check(page, f"ledger-billed-{look}")
        page.locator(".choice", has_text="不限流量").tap()
        expect(page.locator("[data-line]")).to_have_text("不限流量（您选的）")
        assert preferences.read(tmp_path / "home").line == "free"
