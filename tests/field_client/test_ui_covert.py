"""Undercover capture through the screens: locked, in pieces, sealed as they come, and never more than counts afterwards."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from custody import sealing
from field_client.evidence.dropbox import DropBox, read_entry
from field_client.platform.clock import SystemClock
from server.proofs import trusts
from sync.core.trust import Seal
from tests.support.screens import PIN, Screen, shown
from tests.support.server import TestServer, running_server

FILM = [b"\x1a\x45\xdf\xa3" + os.urandom(300_000), os.urandom(400_000), os.urandom(100_000)]


class Team(NamedTuple):
    server: TestServer
    province: sealing.Identity
    ui: Screen
    home: Path

    def piece(self, recording: str, number: int, content: bytes, last: bool = False, **headers: str) -> requests.Response:
        said = {"Origin": self.ui.origin, "Sec-Fetch-Site": "same-origin", "Content-Type": "video/webm", **headers}
        url = f"{self.ui.origin}/notes/piece/{recording}/{number}?last={int(last)}"
        return self.ui.session.post(url, data=content, headers=said, timeout=60)

    def film(self) -> str:
        recording = str(uuid.uuid4())
        for number, content in enumerate(FILM, start=1):
            assert self.piece(recording, number, content, number == len(FILM)).status_code == 201
        return recording

    def box(self) -> DropBox:
        return DropBox(self.home, SystemClock())


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with running_server(tmp_path / "server") as server, shown(tmp_path / "home") as ui:
        house, province = server.instance, sealing.new_identity()
        trusts.create_root(tmp_path / "root.age", "p")
        trust = trusts.next_edition(house.keys, "湖南省教育厅", house.now(), None)
        trust = replace(trust, seal=Seal(7, (province.recipient,)))
        trusts.publish(house.settings, trust, trusts.open_root(tmp_path / "root.age", "p"))
        ui.open().enrol(server.url, server.code(server.person("team", "430104")))
        end = time.monotonic() + 20
        while not ui.get("/sync/state.json").json()["complete"]:
            assert time.monotonic() < end
            time.sleep(0.05)
        yield Team(server, province, ui, tmp_path / "home")


def plain(team: Team) -> bytes:
    """What the province gets out of the drop box, in order."""
    whole = b""
    for entry in sorted(team.box().waiting(), key=lambda one: one.capture.number):
        secret, out = sealing.open_key(entry.key_file, team.province.secret), team.home.parent / "out"
        with open(entry.content, "rb") as stream:
            sealing.open_sealed(stream, secret, out, sealed=(entry.capture.sha256, entry.capture.size), plain=None)
        whole += out.read_bytes()
    return whole


def test_nobody_else_has_this_page(tmp_path: Path) -> None:
    with shown(tmp_path) as ui:
        ui.open().practise()
        for path in ("/notes", "/notes/count.json", "/notes/counts"):
            assert ui.get(path).status_code == 404
        assert "备忘" not in ui.post("/lock").text


def test_a_locked_tablet_seals_piece_by_piece_and_only_the_province_reads_it(team: Team) -> None:
    team.ui.post("/lock")
    assert "data-film" in team.ui.get("/notes").text
    team.film()
    assert team.ui.get("/notes/count.json").json()["pieces"] == 3
    assert plain(team) == b"".join(FILM)
    assert [entry.capture.last for entry in team.box().waiting()] == [False, False, True]


def test_nothing_of_a_piece_is_on_any_disk_in_the_clear(team: Team) -> None:
    team.ui.post("/lock")
    team.film()
    found = [file for file in team.home.rglob("*") if file.is_file() and FILM[1][1000:1032] in file.read_bytes()]
    assert found == []


def test_a_piece_that_is_sent_again_is_sealed_once_even_after_the_program_was_started_anew(team: Team) -> None:
    from field_client.ui import covert

    recording = str(uuid.uuid4())
    for _ in range(3):
        assert team.piece(recording, 1, FILM[0]).status_code == 201
        covert._sealed.clear()
    assert len(team.box().waiting()) == 1


def test_what_is_told_of_it_is_sealed_too(team: Team) -> None:
    note = "二楼教室，周六上午"
    team.piece(str(uuid.uuid4()), 1, FILM[0], True, **{"Note-Text": requests.utils.quote(note), "Note-Name": "IMG%5F1.webm"})
    (entry,) = team.box().waiting()
    told, facts = (sealing.open_meta(one, team.province.secret).meta for one in (entry.team, entry.facts))
    assert (told["note"], told["name"], facts["mime"]) == (note, "IMG_1.webm", "video/webm")
    assert note.encode() not in (entry.folder / "capture.json").read_bytes()


def test_after_unlocking_it_goes_to_the_server_and_the_page_shows_counts_and_no_content(team: Team) -> None:
    team.ui.post("/lock")
    recording = team.film()
    assert team.ui.post("/unlock", pin=PIN).url.endswith("/notes/counts")
    end = time.monotonic() + 30
    while "3 / 3" not in (page := team.ui.get("/notes/counts").text):
        assert time.monotonic() < end, page
        time.sleep(0.1)
    assert recording[-8:] in page and team.box().is_empty()
    assert "<img" not in page and "/photo/" not in page


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("/notes/piece/not-an-id/1", b"x", 400),
        ("/notes/piece/{id}/1", b"", 400),
        ("/notes/piece/{id}/1", bytes((16 << 20) + 1), 413),
        ("/notes/piece/{id}/-1", b"x", 404),
    ],
)
def test_what_is_no_piece_is_refused_and_leaves_nothing(team: Team, path: str, content: bytes, status: int) -> None:
    said = {"Origin": team.ui.origin, "Accept": "application/json"}
    answer = team.ui.session.post(team.ui.origin + path.format(id=uuid.uuid4()), data=content, headers=said, timeout=60)
    assert answer.status_code == status and team.box().is_empty()


def test_a_file_without_scripts_is_sealed_too(team: Team) -> None:
    team.ui.post("/notes/file", files={"file": ("MOV_1.mp4", b"".join(FILM), "video/mp4")}, note="n")
    assert plain(team) == b"".join(FILM)


def test_a_long_recording_stays_quick(team: Team) -> None:
    recording = str(uuid.uuid4())
    for number in range(1, 61):
        assert team.piece(recording, number, b"x" * 1000, number == 60).status_code == 201
    numbers = [read_entry(folder).capture.number for folder in team.box()._published()]
    assert sorted(numbers) == list(range(1, 61))


def test_a_team_sees_neither_institutions_nor_names_on_the_lock_screen(team: Team) -> None:
    assert "/institutions" not in team.ui.get("/notes/counts").text
    assert team.ui.seats is not None and team.ui.seats.current.preferences.name == ""
