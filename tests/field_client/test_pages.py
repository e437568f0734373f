"""The table of all pages is complete: the tests of every page go by it."""

from __future__ import annotations

from pathlib import Path

from field_client.platform.background import Task
from field_client.platform.desktop import desktop
from field_client.ui.app import create_ui
from field_client.ui.guard import Guard
from field_client.ui.seats import Seats
from tests.support.tablet_pages import ROWS, named, unlisted


def test_every_page_of_the_screens_has_a_row_in_the_table(tmp_path: Path) -> None:
    app = create_ui(Seats(tmp_path, None, desktop(), Task), Guard(1, b"s" * 32, tmp_path / "b"))
    assert unlisted(app, Path(app.root_path) / "templates" / "ui") == []
    assert len(set(named(ROWS))) == len(ROWS)
