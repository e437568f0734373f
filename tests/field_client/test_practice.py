"""Practice data never reaches a server: not from the screens, not by a command on its folder, not in a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from field_client.exchange.rescue import pack
from field_client.platform.desktop import desktop
from field_client.tablet import Tablet
from field_client.ui.lock import PRACTICE_PIN
from field_client.work import rectification_order
from server.storage import merkle
from sync.core.errors import Refused
from tests.field_client.test_cli import Hand
from tests.support.papers import words
from tests.support.screens import Screen, shown
from tests.support.server import TestServer, running_server
from tests.support.tablets import tablet_in

AREA = "430102001"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    with shown(tmp_path_factory.mktemp("home")) as screen:
        yield screen.open().practise()


@pytest.fixture
def tablet(ui: Screen) -> Iterator[Tablet]:
    assert ui.seats is not None
    opened = ui.seats.current.tablet()
    yield opened
    opened.close()


def held(server: TestServer) -> int:
    """What the server has: leaves of its log."""
    with server.instance.database.read() as conn:
        return merkle.size(conn, "")


def test_with_a_real_peer_at_hand_the_tablet_still_refuses(server: TestServer, tablet: Tablet, tmp_path: Path) -> None:
    before, code = held(server), server.code(server.person("officer", AREA))
    loose = Tablet.open(tablet.home, tablet._key, tablet._seed, tablet.files, platform=desktop())
    try:
        assert loose.queued()
        for attempt in (lambda: loose.enrol(server.url, code, "T-1"), loose.sync, loose.peer, lambda: loose.fetch("ab" * 32)):
            with pytest.raises(Refused, match="practice"):
                attempt()
    finally:
        loose.close()
    assert held(server) == before
    fresh = tablet_in(tmp_path)
    fresh.enrol(server.url, code, "T-2")  # the code was not spent
    fresh.close()


def test_the_screens_enrol_no_practice(server: TestServer, ui: Screen) -> None:
    before, code = held(server), server.code(server.person("officer", AREA))
    ui.post("/setup", url=server.url, code=code)
    ui.post("/sync/now")
    assert ui.get("/sync/state.json").json()["state"] == "practice" and held(server) == before


@pytest.mark.parametrize("words", [("sync",), ("rescue", "{}/t.courier", "--plain")])
def test_no_command_on_the_folder_of_practice_sends_or_carries_it(ui: Screen, tablet: Tablet, tmp_path: Path, words: tuple[str, ...]) -> None:
    hand = Hand(tablet.home)
    hand.env["PATROLBOOK_PIN"] = PRACTICE_PIN
    hand.said("unlock")
    assert "练习" in hand.refused(*(one.format(tmp_path) for one in words))
    assert not list(tmp_path.iterdir())


def test_an_enrolment_by_command_spends_no_code(server: TestServer, tablet: Tablet) -> None:
    before, code = held(server), server.code(server.person("officer", AREA))
    hand = Hand(tablet.home)
    hand.env["PATROLBOOK_PIN"] = PRACTICE_PIN
    hand.said("unlock")
    assert "练习" in hand.refused("enrol", server.url, code)
    assert held(server) == before


def test_no_courier_is_packed_of_it(ui: Screen, tablet: Tablet) -> None:
    assert ui.seats is not None
    secrets = ui.seats.current.held().secrets
    with pytest.raises(Refused, match="practice"):
        pack(tablet.home, secrets, 0, lambda number: pytest.fail("a volume was opened"))


def test_a_paper_from_practice_says_that_it_counts_for_nothing(tablet: Tablet) -> None:
    hazard = tablet.records("hazard")[0]
    assert "练习，无效" in words(rectification_order.pdf(tablet, hazard))
