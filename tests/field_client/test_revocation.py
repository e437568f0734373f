"""A revoked tablet hands in and destroys its keys, whoever holds it; and only the log's own word makes it do so."""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from field_client.evidence.capture import capture
from field_client.exchange.rescue import BLOBS
from field_client.holding import recovery, revocation
from field_client.platform import files, guard, locks
from field_client.platform.clock import SystemClock
from field_client.platform.files import EncryptedFiles
from field_client.platform.keys import KEYS, Vault
from field_client.platform.leases import Leases
from field_client.platform.sessions import Sessions
from field_client.tablet import Tablet
from server.storage import states
from sync.core.errors import DeviceRevoked, LogInconsistent, NotEnrolled, Problem
from sync.core.fold import State
from sync.peer import Lease, LogKey, PullRequest
from tests.support.clocks import HandClock
from tests.support.scene import HOUR_MS, NEW, PIN, Province, Scene, province_in, recover, scene_in

AREA = "430102001001"


@pytest.fixture(scope="module")
def province(tmp_path_factory: pytest.TempPathFactory) -> Province:
    return province_in(tmp_path_factory.mktemp("province"))


@pytest.fixture
def scene(tmp_path: Path, province: Province, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with scene_in(tmp_path, province, monkeypatch) as made:
        made.trust()
        made.enrol()
        yield made


def opened(scene: Scene, home: Path | None = None, pin: str = PIN) -> Tablet:
    """The tablet as another program opens it."""
    folder = home or scene.home
    keys = Vault(folder).open(pin)
    return Tablet.open(folder, keys.database_key, keys.seed, EncryptedFiles(folder / BLOBS, keys.derived(BLOBS)))


def write(scene: Scene) -> str:
    """Something that was not sent yet; its id."""
    tablet = opened(scene)
    made = tablet.write("hazard", None, {"description": "通道堆物", "area": AREA, "status": "open", "grade": "general"})
    tablet.close()
    return made.id


def parked(scene: Scene) -> set[str]:
    """The changes that wait for staff at the server."""
    with scene.server.instance.database.read() as conn:
        return {one.id for row in states.scan(conn) for one in State.read(row.bytes).parked}


def revoke(scene: Scene) -> None:
    done = scene.at_the_server("devices", "revoke", scene.device, "--reason", "丢失")
    assert done.exit_code == 0, done.output


def sync(scene: Scene, pin: str = PIN) -> str:
    done = scene.tablet("sync", pin=pin)
    assert done.exit_code == 1, done.output  # a revoked tablet's round never is complete
    return done.output


def keys_of(home: Path) -> list[str]:
    """The names of all files here from which somebody could unlock, sign or seal."""
    named = [home / name for name in (KEYS, "lease.json", "device.json", ".session", "covert/key", "recovery.asked")]
    return [str(one.relative_to(home)) for one in (*named, *home.glob("officers/*.key")) if one.exists()]


def test_on_contact_it_hands_in_and_destroys_its_keys_and_says_so(scene: Scene) -> None:
    change = write(scene)
    revoke(scene)
    told = sync(scene)
    assert "its keys are destroyed" in told and "Everything was handed in" in told and "丢失" in told
    assert keys_of(scene.home) == []
    assert change in parked(scene)
    for words in (["status"], ["unlock"], ["sync"], ["device"], ["enrol", "http://127.0.0.1:9", "AAAA-BBBB-CCCC"]):
        assert "keys are destroyed" in scene.refused(*words)
    with pytest.raises(NotEnrolled):
        Vault(scene.home).open(PIN)


def test_nothing_of_the_keys_is_left_in_any_file(scene: Scene) -> None:
    share = json.loads((scene.home / "lease.json").read_bytes())["share"]
    sealed = json.loads((scene.home / KEYS).read_bytes())["sealed"]
    revoke(scene)
    sync(scene)
    left = b"".join(one.read_bytes() for one in scene.home.rglob("*") if one.is_file())
    assert share.encode() not in left and sealed.encode() not in left


def test_what_the_server_holds_is_removed_and_the_rest_stays_encrypted(scene: Scene) -> None:
    tablet = opened(scene)
    write_in(tablet)
    capture(tablet, tablet.records("hazard")[0], io.BytesIO(bytes(range(256)) * 16), name="a.bin")
    tablet.close()
    scene.said("sync")
    revoke(scene)
    sync(scene)
    assert not [one for one in (scene.home / BLOBS).rglob("*") if one.is_file()]


def test_a_locked_tablet_whose_lease_ran_out_destroys_its_keys_at_the_next_unlocking(scene: Scene) -> None:
    write(scene)
    revoke(scene)
    scene.go(73)
    assert "keys are destroyed" in scene.refused("unlock")
    assert keys_of(scene.home) == []
    known = revocation.standing(scene.home)
    assert known is not None and known.changes is None and "only the province" in known.told().en


def test_the_province_can_bring_back_what_a_locked_tablet_had_not_handed_in(scene: Scene) -> None:
    change = write(scene)
    revoke(scene)
    scene.go(73)
    scene.refused("unlock")
    assert recover(scene).exit_code == 0
    scene.said("recover", "finish", str(scene.folder / "answer"), pin=NEW)
    assert "revoked" in scene.refused("status", pin=NEW)
    assert "Everything was handed in" in sync(scene, pin=NEW)
    assert change in parked(scene)
    assert keys_of(scene.home) == []


def test_while_it_hands_in_it_shows_nothing(scene: Scene) -> None:
    revoke(scene)
    problem, tablet = told_by(scene), opened(scene)
    write_in(tablet)
    known = revocation.hand_in(tablet, Vault(scene.home), problem)
    tablet.close()
    assert "is handing in" in known.told().en and keys_of(scene.home)
    for words in (["status"], ["unlock"], ["storage"], ["covert", "add", "x"]):
        assert "revoked" in scene.refused(*words)
    assert "Everything was handed in" in sync(scene)


def test_after_a_day_of_rounds_that_did_not_get_through_the_keys_go_all_the_same(scene: Scene) -> None:
    revoke(scene)
    problem = told_by(scene)
    tablet, vault = opened(scene), Vault(scene.home)
    write_in(tablet)
    assert revocation.hand_in(tablet, vault, problem).stage == "handing-in"
    scene.go(25)
    known = revocation.hand_in(tablet, vault, problem)
    tablet.close()
    assert (known.stage, known.changes) == ("cleared", 1) and "1 changes" in known.told().en


def test_where_nobody_could_recover_the_keys_they_stay_until_everything_is_handed_in(scene: Scene) -> None:
    revoke(scene)
    problem = told_by(scene)
    tablet, vault = opened(scene), Vault(scene.home)
    write_in(tablet)
    (scene.home / recovery.FILE).unlink()
    revocation.hand_in(tablet, vault, problem)
    scene.go(25)
    assert revocation.hand_in(tablet, vault, problem).stage == "handing-in"
    assert tablet.sync().problem is not None
    assert revocation.hand_in(tablet, vault, problem).stage == "cleared"
    tablet.close()


def write_in(tablet: Tablet) -> None:
    tablet.write("hazard", None, {"description": "通道堆物", "area": AREA, "status": "open", "grade": "general"})


def told_by(scene: Scene) -> DeviceRevoked:
    """What the server answers this tablet, taken off the wire."""
    tablet = opened(scene)
    with pytest.raises(DeviceRevoked) as caught:
        tablet.peer().pull(PullRequest(tablet.store.epoch or "", {}))
    tablet.close()
    return caught.value


# ---- nobody else's word ------------------------------------------------------------------------------------


def spoiled(problem: DeviceRevoked, name: str, value: object) -> DeviceRevoked:
    facts = dict(problem.facts)
    if value is None:
        del facts[name]
    else:
        facts[name] = value
    return DeviceRevoked(**facts)


@pytest.mark.parametrize("name", ["act", "leaf", "proof", "checkpoint"])
def test_a_revocation_without_a_good_proof_changes_nothing(scene: Scene, name: str) -> None:
    revoke(scene)
    problem = told_by(scene)
    log = opened_log(scene)
    act = json.loads(str(problem.facts["act"]))
    other = json.dumps({**act, "reason": "x"}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    wrong: dict[str, object] = {"act": other, "leaf": 0, "proof": [], "checkpoint": "log\n1\nAAAA\n\n— x AAAA\n"}
    for value in (None, wrong[name]):
        with pytest.raises(Problem):
            revocation.learn(scene.home, scene.device, log, spoiled(problem, name, value), 0)
    assert revocation.standing(scene.home) is None and keys_of(scene.home)


def test_the_revocation_of_another_tablet_is_none_of_this_one_s(scene: Scene) -> None:
    revoke(scene)
    problem = told_by(scene)
    with pytest.raises(LogInconsistent):
        revocation.learn(scene.home, "another", opened_log(scene), problem, 0)
    with pytest.raises(Problem):
        revocation.learn(scene.home, scene.device, LogKey(opened_log(scene).origin, bytes(32)), problem, 0)


def test_a_bare_refusal_destroys_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    revoke(scene)
    monkeypatch.setattr("server.exchange.revocations.told", lambda *_: DeviceRevoked())
    told = sync(scene)
    assert "destroyed" not in told and keys_of(scene.home)
    scene.said("status")


def opened_log(scene: Scene) -> LogKey:
    contact = Vault(scene.home).leases.contact()
    assert contact is not None
    return contact.log


# ---- cut off, cloned ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", range(5))
def test_a_program_that_is_killed_while_it_destroys_goes_on_at_the_next_start(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    revoke(scene)
    done, destroy = [0], files.destroy_file

    def killed(path: Path) -> None:
        if done[0] == step:
            raise KeyboardInterrupt
        done[0] += 1
        destroy(path)

    with monkeypatch.context() as patched:
        for module in ("keys", "leases", "sessions"):
            patched.setattr(f"field_client.platform.{module}.destroy_file", killed)
        patched.setattr(revocation, "destroy_file", killed)
        scene.tablet("sync")
    known = revocation.standing(scene.home)
    assert known is not None and known.stage == "clearing"
    assert "keys are destroyed" in scene.refused("status")
    assert keys_of(scene.home) == []


def test_a_clone_from_before_opens_until_its_lease_ends_and_destroys_its_keys_on_contact(
    scene: Scene, tmp_path: Path
) -> None:
    clones = [tmp_path / "online", tmp_path / "offline"]
    for clone in clones:
        shutil.copytree(scene.home, clone)
    revoke(scene)
    sync(scene)
    original, scene.home = scene.home, clones[0]
    scene.said("status")  # the page on security says so
    assert "keys are destroyed" in sync(scene)
    scene.home = clones[1]
    scene.said("status")
    scene.go(73)
    scene.unplug()
    assert "lease" in scene.refused("status")
    assert keys_of(clones[0]) == keys_of(original) == []


# ---- nobody at the tablet ----------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "alone"
    made.mkdir()
    return made


def test_a_session_that_has_ended_and_a_lease_that_ran_out_are_removed_although_no_command_comes(home: Path) -> None:
    clock = HandClock()
    sessions, leases = Sessions(home, None, clock), Leases(home, clock)
    sessions.begin({"key": bytes(32)}, idle_s=900)
    leases.keep(Lease(bytes(32), clock.wall_ms(), clock.wall_ms() + 2 * HOUR_MS))
    seen: list[tuple[bool, bool]] = []

    def pause(seconds: float) -> None:
        seen.append((sessions.file.exists(), (home / "lease.json").exists()))
        clock.go(600)

    guard.watch(home, None, clock, pause)
    assert not sessions.file.exists() and not (home / "lease.json").exists()
    assert (True, True) in seen and seen[-1] == (False, True)


def test_the_program_that_watches_is_one_for_each_tablet_and_ends_by_itself(home: Path) -> None:
    clock = SystemClock()
    sessions = Sessions(home, None, clock)
    sessions.begin({"key": bytes(32)}, idle_s=0.5)
    guard.start(home, None)
    end = time.monotonic() + 60
    while sessions.file.exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert not sessions.file.exists()
    while not locks.is_left(home / guard.MARK) and time.monotonic() < end:
        time.sleep(0.1)
    assert locks.is_left(home / guard.MARK)
