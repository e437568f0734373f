"""Leases and recovery as people meet them: the command line, a real server, and days that pass."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.exchange import leases
from tests.support.scene import HOUR_MS, NEW, Province, Scene, province_in, recover, scene_in


@pytest.fixture(scope="module")
def province(tmp_path_factory: pytest.TempPathFactory) -> Province:
    return province_in(tmp_path_factory.mktemp("province"))


@pytest.fixture
def scene(tmp_path: Path, province: Province, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with scene_in(tmp_path, province, monkeypatch) as made:
        yield made


@pytest.fixture
def leased(scene: Scene) -> Scene:
    scene.trust()
    scene.enrol()
    return scene


def test_the_first_round_binds_the_keys_to_a_lease(leased: Scene) -> None:
    assert leased.lease()["term_ms"] == 72 * HOUR_MS
    assert "lease" in json.loads((leased.home / "keys.json").read_bytes())
    assert "71 more hours (of 72)" in leased.said("device")


def test_where_nobody_could_recover_the_keys_they_stay_with_the_pin_alone(scene: Scene) -> None:
    scene.enrol()
    assert scene.lease() is None and "lease" not in json.loads((scene.home / "keys.json").read_bytes())
    assert "the PIN alone" in scene.said("device")


def test_each_round_renews_and_status_warns_when_a_third_is_left(leased: Scene) -> None:
    leased.go(50)
    assert "Find a network soon" in leased.said("status")
    leased.said("sync")
    assert "Find a network soon" not in leased.said("status")
    assert leased.lease()["left_ms"] > 71 * HOUR_MS


def test_after_its_end_the_server_lends_it_again_to_whoever_knows_the_pin(leased: Scene) -> None:
    leased.go(73)
    leased.said("unlock")
    assert leased.lease()["left_ms"] > 71 * HOUR_MS


def test_after_its_end_no_pin_opens_it_without_a_network(leased: Scene) -> None:
    leased.unplug()
    leased.said("status")
    leased.go(73)
    assert "lease" in leased.refused("status")
    assert not (leased.home / "lease.json").exists()


def test_a_wrong_pin_after_its_end_is_counted_by_the_server(leased: Scene) -> None:
    leased.go(73)
    assert "PIN" in leased.refused("unlock", pin="975310")
    with leased.server.instance.database.read() as conn:
        assert leases.lent_to(conn, leased.device).failures == 1
    leased.said("unlock")


def test_a_revoked_tablet_is_not_opened_any_more_once_its_lease_has_run_out(leased: Scene) -> None:
    done = leased.at_the_server("devices", "revoke", leased.device, "--reason", "lost")
    assert done.exit_code == 0, done.output
    leased.said("status")  # the page on security says so: until then the PIN still opens it
    leased.go(73)
    assert "revoked" in leased.refused("unlock")


def test_a_team_s_tablet_has_a_day_and_goes_on_capturing_after_it(scene: Scene, tmp_path: Path) -> None:
    scene.trust()
    scene.enrol("team")
    scene.said("status")
    assert scene.lease()["term_ms"] == 24 * HOUR_MS
    scene.unplug()
    scene.go(25)
    scene.refused("status")
    (tmp_path / "MOV_1.mp4").write_bytes(b"\x00\x00\x00\x18ftypisom" + bytes(5000))
    scene.said("covert", "add", str(tmp_path / "MOV_1.mp4"))


# ---- a forgotten PIN ---------------------------------------------------------------------------------------


def test_the_province_gives_a_tablet_back_to_somebody_who_forgot_the_pin(leased: Scene) -> None:
    before = leased.said("status")
    leased.go(100)
    assert recover(leased).exit_code == 0
    leased.said("recover", "finish", str(leased.folder / "answer"), pin=NEW)
    assert leased.said("status", pin=NEW) == before
    leased.refused("status")
    leased.said("sync", pin=NEW)
    assert "lease" in json.loads((leased.home / "keys.json").read_bytes())


def test_an_answer_is_only_given_to_the_code_of_the_request(leased: Scene) -> None:
    done = recover(leased, code="0000 " * 8)
    assert done.exit_code == 1 and not (leased.folder / "answer").exists()


def test_an_answer_to_an_earlier_request_opens_nothing(leased: Scene) -> None:
    assert recover(leased).exit_code == 0
    leased.said("recover", "ask", str(leased.folder / "later"))
    leased.refused("recover", "finish", str(leased.folder / "answer"), pin=NEW)
    leased.said("status")


def test_somebody_else_s_secret_answers_nothing(leased: Scene) -> None:
    leased.secret = leased.province.foreign
    assert recover(leased).exit_code == 1


@pytest.mark.parametrize("name", ["ask", "finish"])
def test_a_tablet_that_never_had_a_lease_says_that_there_is_no_way_back(scene: Scene, name: str) -> None:
    scene.enrol()
    scene.refused("recover", name, str(scene.folder / "file"))
