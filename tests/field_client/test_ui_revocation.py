"""Revocation and the end of a session on the touch screen, over real HTTP, against a real server that revokes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from field_client.holding import revocation
from field_client.platform import guard
from field_client.platform.background import Task
from field_client.platform.desktop import desktop
from field_client.platform.keys import IDLE_S, KEYS, Vault
from field_client.ui import preferences
from field_client.ui.seats import Seat, Seats
from server.storage import states
from sync.core.errors import BrokenStore, DeviceRevoked, WrongPin
from sync.core.fold import State
from sync.peer import PullRequest
from tests.support.clocks import HandClock
from tests.support.scene import Province, Scene, province_in, scene_in
from tests.support.screens import CHEAP, PIN, Screen, shown

AREA = "430102001001"
PAGES = ("/", "/institutions", "/institutions/new", "/sync", "/tablet", "/couriers")


class Desk(NamedTuple):
    scene: Scene
    ui: Screen

    @property
    def seat(self) -> Seat:
        assert self.ui.seats is not None
        return self.ui.seats.current

    def write(self) -> str:
        """Something that was not sent yet; its change."""
        tablet = self.seat.tablet()
        made = tablet.write("hazard", None, {"description": "通道堆物", "area": AREA, "status": "open", "grade": "general"})
        tablet.close()
        return made.id

    def revoke(self) -> None:
        done = self.scene.at_the_server("devices", "revoke", self.scene.device, "--reason", "丢失")
        assert done.exit_code == 0, done.output

    def parked(self) -> set[str]:
        with self.scene.server.instance.database.read() as conn:
            return {one.id for row in states.scan(conn) for one in State.read(row.bytes).parked}

    def stage(self) -> str | None:
        known = revocation.standing(self.scene.home)
        return known.stage if known is not None else None

    def until(self, stage: str) -> None:
        end = time.monotonic() + 30
        while self.stage() != stage:
            assert time.monotonic() < end, (self.stage(), self.seat.rounds.last)
            time.sleep(0.05)


@pytest.fixture(scope="module")
def province(tmp_path_factory: pytest.TempPathFactory) -> Province:
    return province_in(tmp_path_factory.mktemp("province"))


@pytest.fixture
def desk(tmp_path: Path, province: Province, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with scene_in(tmp_path, province, monkeypatch) as scene, shown(scene.home) as ui:
        scene.trust()
        ui.open().enrol(scene.server.url, scene.server.code(scene.server.person("inspector", "430102", name="李敏")))
        end = time.monotonic() + 30
        while not ui.get("/sync/state.json").json()["complete"]:
            assert time.monotonic() < end
            time.sleep(0.05)
        made = Desk(scene, ui)
        ui.post("/sync/choose", paused="1")
        made.seat.rounds.join(10)
        yield made


def test_the_round_that_learns_of_it_hands_in_destroys_the_keys_and_every_page_says_so(desk: Desk) -> None:
    change = desk.write()
    desk.revoke()
    desk.ui.post("/sync/now")
    desk.until("cleared")
    assert change in desk.parked()
    assert not (desk.scene.home / KEYS).exists() and not (desk.scene.home / "lease.json").exists()
    assert desk.seat.peek() is None, "the keys in memory are gone as well"
    for path in PAGES:
        answer = desk.ui.get(path)
        assert answer.status_code == 403 and "内容已全部上交" in answer.text and "丢失" in answer.text, path
    assert "内容已全部上交" in desk.ui.post("/unlock", pin=PIN).text
    assert desk.ui.get("/sync/state.json", Accept="application/json").json()["code"] == "keys-destroyed"


def test_a_place_whose_lease_ran_out_is_refused_in_words_and_never_opens_again(desk: Desk) -> None:
    desk.write()
    desk.revoke()
    desk.ui.post("/lock")
    desk.scene.go(73)
    refused = desk.ui.post("/unlock", pin=PIN)
    assert refused.status_code == 403 and "已被停用（丢失），密钥已清除" in refused.text and "只有省级能恢复" in refused.text
    assert desk.seat.peek() is None and not (desk.scene.home / KEYS).exists()


def test_while_it_hands_in_it_opens_for_that_and_shows_nothing_else(desk: Desk) -> None:
    change = desk.write()
    desk.revoke()
    tablet = desk.seat.tablet()
    with pytest.raises(DeviceRevoked) as told:
        tablet.peer().pull(PullRequest(tablet.store.epoch or "", {}))
    identity = tablet.identity
    assert identity is not None
    revocation.learn(desk.scene.home, identity.device, identity.log, told.value, tablet.store.clock.wall_ms())
    tablet.close()
    desk.ui.post("/lock")
    assert "已被停用" in desk.ui.get("/").text and desk.seat.peek() is None
    desk.ui.post("/unlock", pin=PIN)
    assert desk.seat.peek() is not None
    for path in PAGES:
        if path == "/couriers":
            continue  # a stick is a way to hand in too
        answer = desk.ui.get(path)
        assert answer.status_code == 403 and "正在上交" in answer.text and "通道堆物" not in answer.text, path
    before = desk.ui.post("/institutions", record="x", name="不该写进去", address="", area=AREA)
    assert before.status_code == 403
    desk.ui.post("/sync/now")
    desk.until("cleared")
    assert change in desk.parked()


def test_a_server_s_word_without_proof_destroys_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.revoke()
    monkeypatch.setattr("server.exchange.revocations.told", lambda *_: DeviceRevoked())
    before = desk.seat.rounds.rounds
    desk.ui.post("/sync/now")
    end = time.monotonic() + 30
    while desk.seat.rounds.rounds == before:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert desk.stage() is None and (desk.scene.home / KEYS).exists()
    assert "停用" in desk.ui.get("/sync").text, "the page says what the server said"


def test_the_keys_go_though_nobody_asks_for_a_page(tmp_path: Path) -> None:
    clock = HandClock()
    with shown(tmp_path / "home", desktop()._replace(clock=clock)) as ui:
        ui.open()
        assert ui.seats is not None
        seat = ui.seats.current
        vault = seat.vault()
        preferences.choose(seat.home, paused=True)
        seat.hold(vault, vault.create(PIN), new=True)
        clock.go(IDLE_S + 1)
        end = time.monotonic() + 4 * guard.LOOK_S
        while seat._held is not None and time.monotonic() < end:
            time.sleep(0.1)
        assert seat._held is None


def test_the_program_that_watches_over_the_lease_begins_with_unlocking(tmp_path: Path) -> None:
    begun: list[tuple[Path, Path | None]] = []
    home = tmp_path / "home"
    Vault(home, cost=CHEAP).create(PIN)
    seats = Seats(home, None, desktop(), Task, cost=CHEAP, watch=lambda *places: begun.append(places))
    with pytest.raises(WrongPin):
        seats.current.unlock("999999")
    assert begun == []
    with pytest.raises(BrokenStore):  # no database yet: the keys were opened all the same
        seats.current.unlock(PIN)
    assert begun == [(home, None)]
