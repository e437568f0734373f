"""Whether the line is billed by volume: asked of a program called nmcli, shown on the ledger, and the person's word wins.

There is no NetworkManager on the machines that run these tests, so a script stands in its place on PATH. It answers as the
real one does (`nmcli -g GENERAL.METERED device show wlan0`), for one device, in English only where English is asked for.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from field_client.evidence.capture import capture
from field_client.platform.desktop import desktop
from field_client.platform.metering import metered
from field_client.ui import preferences
from field_client.ui.preferences import Preferences
from tests.field_client.test_cli import Hand
from tests.support.pictures import jpeg
from tests.support.screens import Screen, shown
from tests.support.server import TestServer, running_server

AREA = "430102001"
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
wlan0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
wlan0\t0002A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
usb0\t00000000\t0103A8C0\t0002\t0\t0\t50\t00000000\t0\t0\t0
"""

NetworkManager = Callable[[str], None]


@pytest.fixture
def routes(tmp_path: Path) -> Path:
    """Two ways out that are up, the cheaper one through wlan0, and one that is down."""
    file = tmp_path / "route"
    file.write_text(ROUTES)
    return file


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NetworkManager:
    """Puts an nmcli on PATH that says this of wlan0."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LANGUAGE", "zh_CN")

    def put(answer: str) -> None:
        program = folder / "nmcli"
        program.write_text(
            "#!/bin/sh\n"
            'test "$*" = "-g GENERAL.METERED device show wlan0" || { echo "Error: unexpected $*" >&2; exit 2; }\n'
            'test "$LC_ALL" = C && test "$LANGUAGE" = C || { echo 是; exit 0; }\n'
            f"{answer}\n"
        )
        program.chmod(0o755)

    return put


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("echo 'yes (guessed)'", True),
        ("echo yes", True),
        ("echo 'no (guessed)'", False),
        ("echo no", False),
        ("echo unknown", None),
        ("echo", None),
        ("printf '\\377\\376'", None),
        ("echo 'Error: NetworkManager is not running.' >&2; exit 8", None),
    ],
)
def test_networkmanager_s_word_on_the_way_out_is_taken(says: NetworkManager, routes: Path, answer: str, found: bool | None) -> None:
    says(answer)
    assert metered(routes) is found


def test_a_networkmanager_that_does_not_answer_is_not_waited_for(
    says: NetworkManager, routes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("field_client.platform.metering.PATIENCE_S", 0.2)
    says("exec sleep 60")
    assert metered(routes) is None


@pytest.mark.parametrize("content", ["", "Iface\n", ROUTES.replace("\t0003\t", "\t0002\t"), "x y z\n1 2\n", ROUTES.replace("wlan0", "--help;")])
def test_without_a_way_out_nothing_is_known(says: NetworkManager, tmp_path: Path, content: str) -> None:
    says("echo yes")
    file = tmp_path / "route"
    file.write_text(content)
    assert metered(file) is None


def test_without_networkmanager_nothing_is_known(routes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert metered(routes) is None and metered(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("line", "detected", "dear"),
    [("auto", True, True), ("auto", False, False), ("auto", None, False), ("dear", False, True), ("free", True, False)],
)
def test_the_person_s_own_choice_wins(line: preferences.Line, detected: bool | None, dear: bool) -> None:
    assert Preferences(line=line).dear(detected) is dear


# ---- on the screens, with a real server ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def ui(tmp_path: Path, server: TestServer, routes: Path) -> Iterator[Screen]:
    """Enrolled screens whose device asks the nmcli on PATH."""
    platform = desktop()._replace(metered=partial(metered, routes))
    with shown(tmp_path / "home", platform) as screen:
        yield screen.open().enrol(server.url, server.code(server.person("officer", AREA)))


def after_a_round(ui: Screen, waiting: int) -> str:
    """The ledger once the background has nothing more to do and this many files wait."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        told = ui.get("/sync/state.json").json()
        if told["rounds"] and told["state"] == "waiting" and told["waiting"] == waiting:
            return ui.get("/sync").text
        time.sleep(0.05)
    raise AssertionError(told)


def photographed(ui: Screen) -> None:
    assert ui.seats is not None
    tablet = ui.seats.current.tablet()
    place = tablet.write("institution", None, {"name": "学雅", "area": AREA}).record
    capture(tablet, place, io.BytesIO(jpeg(640, 480)), name="IMG_1.jpg")
    tablet.close()


def test_a_line_that_is_billed_is_found_and_originals_wait(ui: Screen, says: NetworkManager) -> None:
    says("echo 'yes (guessed)'")
    ui.post("/sync/now")
    photographed(ui)
    ui.post("/sync/now")
    page = after_a_round(ui, 1)  # the original
    assert "按流量计费（自动识别）" in page and "原件和视频等不计流量" in page
    page = ui.post("/sync/choose", line="free").text  # the person knows better
    assert "不限流量（您选的）" in page
    after_a_round(ui, 0)


def test_a_free_line_and_one_that_nobody_knows_are_said_to_be_so(ui: Screen, says: NetworkManager) -> None:
    says("echo 'no (guessed)'")
    ui.post("/sync/now")
    assert "不按流量计费（自动识别）" in after_a_round(ui, 0)
    says("echo unknown")
    before = ui.get("/sync/state.json").json()["rounds"]
    ui.post("/sync/now")
    while ui.get("/sync/state.json").json()["rounds"] == before:
        time.sleep(0.05)
    assert "说不出线路是否按流量计费" in ui.get("/sync").text
    assert "省着用（您选的）" in ui.post("/sync/choose", line="dear").text


# ---- by command ----------------------------------------------------------------------------------------------


def test_the_command_heeds_the_line_too_unless_told_how_far(
    server: TestServer, tmp_path: Path, routes: Path, says: NetworkManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("field_client.platform.metering.metered", partial(metered, routes))
    says("echo yes")
    hand = Hand(tmp_path / "home")
    hand.said("enrol", server.url, server.code(server.person("officer", AREA)))
    assert "按流量计费" in hand.said("sync") and "按流量计费" not in hand.said("sync", "--until", "everything")
    preferences.choose(tmp_path / "home", line="free")
    assert "按流量计费" not in hand.said("sync")
