"""Sealed evidence on its way to a county: two people, the log first, the keys wrapped again, the bytes never touched."""

from __future__ import annotations

import hashlib
import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace as changed
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from custody import sealing
from custody.commitments import Part
from field_client.evidence import covert
from field_client.evidence.dropbox import About, DropBox
from field_client.platform.clock import SystemClock
from field_client.platform.files import EncryptedFiles
from field_client.tablet import Tablet
from schemas.certificates import CHINA
from server import acts
from server.access import rights
from server.cli import main
from server.evidence import releases
from server.merging import decisions
from server.proofs import trusts
from server.reading import finding
from server.storage import facts, merkle, people
from server.storage.people import Grant, Person
from server.verify import verify
from server.work import handovers
from sync.core.errors import (
    BrokenSeal,
    DiskFull,
    InvalidField,
    NoSealKeys,
    NotFound,
    NotLogged,
    NotReceived,
    PastDue,
    Problem,
    Refused,
    WrongSealKey,
)
from sync.core.rules import Rights
from sync.core.trust import Seal
from tests.support.server import TestDevice, TestServer, running_server

FILM = b"\x00\x00\x00\x18ftypisom" + os.urandom(300_000)
COUNTY, OTHER = "430104", "430105"
KEY, SEED = bytes(range(32)), bytes(range(1, 33))
DAY = 86_400_000
START = 1_795_147_200_000  # 2026-11-20, noon in China
DUE = "2026-12-10"
ROOT = bytes(range(2, 34))


@dataclass
class World:
    """A province and two counties with keys of their own, and one film that a team's tablet sealed and sent."""

    server: TestServer
    folder: Path
    keys: dict[str, sealing.Identity]
    staff: dict[str, Person]
    audit: str
    evidence: str
    sha256: str

    @property
    def house(self) -> Any:
        return self.server.instance

    def may(self, name: str) -> Rights:
        with self.house.database.read() as conn:
            person = self.staff[name]
            return rights.rights_of(people.grants_of(conn, person.id), person.role, self.house.now())

    def who(self, name: str) -> tuple[Any, Person, Rights]:
        return self.house, self.staff[name], self.may(name)

    def review(self, **answers: Any) -> None:
        said = {"venue": "semi-public", "inducement": False, "minors": False} | answers
        releases.review(*self.who("赵刚"), [self.evidence], said)

    def propose(self, to: str = COUNTY, **more: Any) -> str:
        said = {"unit": "天心区教育局", "summary": "三楼有无证班", "reason": "证据已固定", "due": DUE} | more
        return releases.propose(*self.who("赵刚"), audit=self.audit, evidence=[], to_area=to, said=said)

    def approved(self, to: str = COUNTY) -> str:
        self.review()
        proposal = self.propose(to)
        for name in ("赵刚", "钱敏"):
            releases.approve(*self.who(name), proposal)
        return proposal

    def released(self, to: str = COUNTY) -> str:
        return releases.release(*self.who("钱敏"), self.approved(to), self.keys["43"].secret).record

    def open(self, handover: str, name: str = "周强", key: str = COUNTY, out: str = "out.mp4") -> handovers.Opened:
        return handovers.open_object(
            *self.who(name), handover, "1", secret=self.keys[key].secret, target=self.folder / out, purpose="核实线索"
        )

    def acts(self, log: str, *kinds: str) -> list[dict[str, Any]]:
        with self.house.database.read() as conn:
            return [act.body for act in acts.every(conn, log) if act.body["act"] in kinds]

    def sizes(self) -> tuple[int, int]:
        with self.house.database.read() as conn:
            return merkle.size(conn, ""), merkle.size(conn, "sealed")

    def seen(self, kind: str, id: str) -> finding.Seen:
        return finding.one(self.house, Rights("", ("",), within={"sealed": ("",)}), kind, id)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_in(tmp_path) as made:
        yield made


@contextmanager
def world_in(tmp_path: Path) -> Iterator[World]:
    keys = {area: sealing.new_identity() for area in ("43", COUNTY, OTHER)}
    with running_server(tmp_path / "server") as server:
        house = server.instance
        server.clock.ms = START
        counties = {area: (keys[area].recipient,) for area in (COUNTY, OTHER)}
        trust = trusts.next_edition(house.keys, "湖南省教育厅", house.now(), None)
        trust = changed(trust, seal=Seal(3, (keys["43"].recipient,), (), counties))
        trusts.publish(house.settings, trust, ROOT)
        with house.database.write() as conn:
            facts.put(conn, facts.AREA, "43")
        staff = {name: server.person("province", "43", name=name) for name in ("赵刚", "钱敏")}
        with house.database.write() as conn:
            for one in staff.values():
                rights.grant(conn, Grant(house.keys.new_id(START), one.id, "43", "province", 0, None, "sealed"))
        staff |= {
            "周强": server.person("staff", COUNTY, name="周强"),
            "吴丽": server.person("lead", COUNTY, name="吴丽"),
            "孙浩": server.person("staff", OTHER, name="孙浩"),
        }
        server.clock.ms = None
        audit, evidence, sha256 = sealed_film(server, tmp_path)
        server.clock.ms = START
        yield World(server, tmp_path, keys, staff, audit, evidence, sha256)


def sealed_film(server: TestServer, folder: Path) -> tuple[str, str, str]:
    """What a team's tablet does: it seals a film while it is locked, takes it in, and sends it."""
    home = folder / "tablet"
    tablet = Tablet.create(home, KEY, SEED, EncryptedFiles(home / "blobs", KEY))
    try:
        tablet.enrol(server.url, server.code(server.person("team", COUNTY, name="暗访一组")), "T-1")
        assert tablet.sync().problem is None
        covert.settle(tablet)
        audit = tablet.write("audit", None, {"name": "青竹", "area": COUNTY, "status": "open"}).record
        film = folder / "MOV_0731.mp4"
        film.write_bytes(FILM)
        capture = DropBox(home, SystemClock()).sealer().file(film, About(audit, "二楼教室", "MOV_0731.mp4"))
        assert covert.settle(tablet) == 1 and tablet.sync().problem is None
        return audit, capture.record, capture.sha256
    finally:
        tablet.close()


# --- The whole way --------------------------------------------------------------------------------------------------


def test_a_film_that_a_tablet_sealed_is_opened_by_the_county_and_nothing_of_it_was_written_again(world: World) -> None:
    file = world.house.files.path(world.sha256)
    before = (file.stat().st_ino, file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest())
    handover = world.released()
    handovers.receive(*world.who("周强"), handover)
    opened = world.open(handover)
    assert (world.folder / "out.mp4").read_bytes() == FILM
    assert opened.facts["mime"] == "video/mp4" and opened.plain.sha256 == hashlib.sha256(FILM).hexdigest()
    assert before == (file.stat().st_ino, file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest())
    assert before[2] == world.sha256 == world.seen("handover", handover).names("objects")["1"]["sha256"]
    handovers.report(*world.who("周强"), handover, outcome="confirmed", result="已责令停止举办")
    handovers.give_back(*world.who("赵刚"), handover, "未附检查记录")
    handovers.report(*world.who("周强"), handover, outcome="confirmed", result="已责令停止举办，见检查记录")
    handovers.close(*world.who("赵刚"), handover, "同意")
    assert world.seen("handover", handover).values["status"] == "closed"
    assert verify(world.house).findings == []


def test_the_log_tells_of_the_release_behind_the_wall_and_of_the_opening_in_front_of_it(world: World) -> None:
    handover = world.released()
    (released,) = world.acts("sealed", acts.RELEASED)
    assert (released["handover"], released["to"], released["objects"]) == (handover, COUNTY, [world.sha256])
    assert sorted(released["approved_by"]) == sorted(world.staff[name].id for name in ("赵刚", "钱敏"))
    assert world.acts("", acts.RELEASED) == []
    handovers.receive(*world.who("周强"), handover)
    opened = world.open(handover)
    (said,) = world.acts("", acts.OPENED)
    assert (said["by"], said["record"], said["purpose"]) == (world.staff["周强"].id, handover, "核实线索")
    with world.house.database.read() as conn:
        assert opened.leaf is not None and merkle.act_bytes(conn, "", opened.leaf) is not None


def test_every_opening_at_the_desk_is_told_with_the_name_of_who_did_it(world: World) -> None:
    handover = world.released()
    handovers.receive(*world.who("周强"), handover)
    world.open(handover)
    world.open(handover, "吴丽", out="again.mp4")
    told = [one["by"] for one in world.acts("", acts.OPENED)]
    assert told == [world.staff["周强"].id, world.staff["吴丽"].id]


def test_what_the_county_gets_names_neither_the_team_nor_the_audit_nor_the_proposal(world: World) -> None:
    handover = world.released()
    with world.house.database.read() as conn:
        content = finding.read(world.house, conn, handover).state.dump()
        team = next(one for one in people.everybody(conn) if one.role == "team")
    for secret in (world.audit, world.evidence, team.id, "暗访一组", "青竹", "证据已固定", "MOV_0731", "二楼教室"):
        assert secret.encode() not in content


# --- Two people -----------------------------------------------------------------------------------------------------


def test_the_same_person_twice_is_one(world: World) -> None:
    world.review()
    proposal = world.propose()
    assert releases.approve(*world.who("赵刚"), proposal) == 1
    with pytest.raises(Refused, match="another person"):
        releases.approve(*world.who("赵刚"), proposal)
    with pytest.raises(Refused):
        releases.release(*world.who("赵刚"), proposal, world.keys["43"].secret)
    assert releases.approve(*world.who("钱敏"), proposal) == 2


def test_one_refusal_ends_it_whatever_was_approved(world: World) -> None:
    world.review()
    proposal = world.propose()
    releases.approve(*world.who("赵刚"), proposal)
    releases.refuse(*world.who("钱敏"), proposal, "证据不足")
    for name in ("赵刚", "钱敏"):
        with pytest.raises(Refused):
            releases.approve(*world.who(name), proposal)
    with pytest.raises(Refused):
        releases.release(*world.who("赵刚"), proposal, world.keys["43"].secret)
    assert world.seen("release", proposal).values["refusal"] == "证据不足"
    assert handovers.every(world.house, world.may("周强")) == []


def test_an_approval_can_be_taken_back_until_it_is_released(world: World) -> None:
    proposal = world.approved()
    releases.refuse(*world.who("钱敏"), proposal, "另有安排")
    with pytest.raises(Refused):
        releases.release(*world.who("赵刚"), proposal, world.keys["43"].secret)


def test_a_summary_that_was_changed_after_one_approval_needs_that_one_again(world: World) -> None:
    world.review()
    proposal = world.propose()
    releases.approve(*world.who("赵刚"), proposal)
    house, by, may = world.who("赵刚")
    decisions.write(house.desk, "release", proposal, {"summary": "别的内容"}, by=[by.id], rights=may)
    assert releases.approve(*world.who("钱敏"), proposal) == 1
    assert releases.approve(*world.who("赵刚"), proposal) == 2


def test_nothing_is_approved_that_nobody_reviewed_or_that_was_induced(world: World) -> None:
    proposal = world.propose()
    releases.approve(*world.who("赵刚"), proposal)
    with pytest.raises(InvalidField, match="not reviewed"):
        releases.approve(*world.who("钱敏"), proposal)
    world.review(inducement=True)
    with pytest.raises(InvalidField, match="induced"):
        releases.approve(*world.who("钱敏"), proposal)
    world.review()
    assert releases.approve(*world.who("钱敏"), proposal) == 2


@pytest.mark.parametrize("name", ["周强", "吴丽", "孙浩"])
def test_for_a_county_there_is_no_proposal_to_see_or_to_approve(world: World, name: str) -> None:
    proposal = world.approved()
    for step in (releases.approve, lambda *a: releases.refuse(*a, "x"), lambda *a: releases.release(*a, "x")):
        with pytest.raises(NotFound):
            step(*world.who(name), proposal)
    with pytest.raises(NotFound):
        releases.propose(*world.who(name), audit=world.audit, evidence=[], to_area=COUNTY, said={"due": DUE})


# --- Keys -----------------------------------------------------------------------------------------------------------


def test_a_wrong_identity_releases_nothing_and_leaves_no_trace(world: World) -> None:
    proposal = world.approved()
    before = world.sizes()
    for wrong in (world.keys[COUNTY].secret, sealing.new_identity().secret):
        with pytest.raises(WrongSealKey):
            releases.release(*world.who("赵刚"), proposal, wrong)
    assert world.sizes() == before and world.acts("sealed", acts.RELEASED) == []
    assert world.seen("release", proposal).values["status"] == "approved"


def test_another_county_s_key_opens_nothing_and_neither_does_the_county_s_the_old_key_file(world: World) -> None:
    handover = world.released()
    handovers.receive(*world.who("周强"), handover)
    with pytest.raises(WrongSealKey):
        world.open(handover, key=OTHER)
    assert not (world.folder / "out.mp4").exists() and world.acts("", acts.OPENED) == []
    with pytest.raises(WrongSealKey):
        sealing.open_key(
            b64decode(world.seen("sealed_evidence", world.evidence).values["key_file"]), world.keys[COUNTY].secret
        )
    with pytest.raises(WrongSealKey):  # and the province's own no longer opens what was wrapped for the county
        world.open(handover, key="43")


def test_a_county_without_a_key_in_the_trust_file_is_told_before_anybody_approves(world: World) -> None:
    with pytest.raises(NoSealKeys):
        world.propose("430181")


@pytest.mark.parametrize("with_statement", [True, False])
def test_facts_that_are_not_what_was_committed_to_are_not_handed_over(world: World, with_statement: bool) -> None:
    proposal = world.approved()
    other = sealing.seal_meta(Part.FACTS, {"content": world.sha256}, [world.keys["43"].recipient])
    read = finding.read

    def spoilt(*args: Any) -> finding.Seen:
        seen = read(*args)
        if seen.state.kind == "sealed_evidence":
            seen.values["facts"] = b64encode(other.sealed).decode()
            if not with_statement:
                del seen.values["capture"]
        return seen

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finding, "read", spoilt)
        with pytest.raises(BrokenSeal):
            releases.release(*world.who("赵刚"), proposal, world.keys["43"].secret)
    assert world.acts("sealed", acts.RELEASED) == []


# --- The log first --------------------------------------------------------------------------------------------------


def fail(*_: Any) -> int:
    raise DiskFull(where="server")


def test_where_the_log_cannot_be_written_nothing_is_released(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    proposal = world.approved()
    before = world.sizes()
    with monkeypatch.context() as broken:
        broken.setattr(merkle, "append_act", fail)
        with pytest.raises(NotLogged):
            releases.release(*world.who("赵刚"), proposal, world.keys["43"].secret)
    assert world.sizes() == before and handovers.every(world.house, world.may("周强")) == []
    assert world.seen("release", proposal).values["status"] == "approved"
    releases.release(*world.who("赵刚"), proposal, world.keys["43"].secret)  # and all is well again
    assert len(handovers.every(world.house, world.may("周强"))) == 1


def test_a_handover_that_cannot_be_written_takes_the_act_with_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    proposal = world.approved()
    before, write = world.sizes(), decisions.write_within

    def broken(conn: Any, desk: Any, kind: str, *args: Any, **more: Any) -> Any:
        if kind == "handover":
            raise DiskFull(where="server")
        return write(conn, desk, kind, *args, **more)

    with monkeypatch.context() as patch, pytest.raises(DiskFull):
        patch.setattr(decisions, "write_within", broken)
        releases.release(*world.who("赵刚"), proposal, world.keys["43"].secret)
    assert world.sizes() == before and world.acts("sealed", acts.RELEASED) == []
    assert verify(world.house).findings == []


def test_where_the_log_cannot_be_written_not_a_byte_is_opened(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    handover = world.released()
    handovers.receive(*world.who("周强"), handover)
    with monkeypatch.context() as broken:
        broken.setattr(merkle, "append_act", fail)
        with pytest.raises(NotLogged):
            world.open(handover)
    assert not (world.folder / "out.mp4").exists()


def test_of_a_sealed_file_that_was_changed_nothing_is_left_behind(world: World) -> None:
    handover = world.released()
    handovers.receive(*world.who("周强"), handover)
    file = world.house.files.path(world.sha256)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)
    with pytest.raises(BrokenSeal):
        world.open(handover)
    assert [one.name for one in world.folder.iterdir() if one.name.startswith((".opening", "out"))] == []
    with pytest.raises(NotFound):
        world.open(handover, out="nowhere/out.mp4")
    assert len(world.acts("", acts.OPENED)) == 1  # it was begun, and the log says so


# --- What the county sees -------------------------------------------------------------------------------------------


def pulled(device: TestDevice) -> str:
    return device.post("/pull", {"cursors": {}}).text


def test_before_the_release_neither_the_county_s_tablet_nor_its_desk_sees_anything(world: World) -> None:
    tablet = world.server.enrol("officer", COUNTY)
    before = pulled(tablet)
    open_log, _ = world.sizes()
    world.approved()
    assert world.sizes()[0] == open_log
    assert pulled(tablet) == before and world.sha256 not in before
    assert tablet.get(f"/blobs/{world.sha256}?purpose=x").status_code == 404
    assert handovers.every(world.house, world.may("周强")) == []


def test_after_the_release_its_county_sees_it_and_no_other(world: World) -> None:
    tablets = {area: world.server.enrol("officer", area) for area in (COUNTY, OTHER)}
    handover = world.released()
    place = f"/blobs/{world.sha256}?purpose=x"
    assert tablets[COUNTY].get(place).json()["code"] == "not-received"
    handovers.receive(*world.who("周强"), handover)
    answer = tablets[COUNTY].get(place)
    assert hashlib.sha256(answer.content).hexdigest() == world.sha256 and answer.headers["Patrolbook-Leaf"]
    assert tablets[OTHER].get(place).status_code == 404
    assert [one.seen.record for one in handovers.every(world.house, world.may("周强"))] == [handover]
    assert handovers.every(world.house, world.may("孙浩")) == []
    for step in (
        lambda: handovers.receive(*world.who("孙浩"), handover),
        lambda: world.open(handover, "孙浩", OTHER),
        lambda: handovers.extend(*world.who("孙浩"), handover, until="2027-01-01", reason="x"),
    ):
        with pytest.raises(NotFound):
            step()


def test_a_handover_that_a_tablet_writes_opens_nothing_whoever_holds_it(world: World) -> None:
    """Only the server's own word hands over: a person of the province without the wall learns no file by its digest."""
    tablet = world.server.enrol("province", "43")
    values = {"number": "x", "area": COUNTY, "unit": "u", "summary": "s", "due": DUE, "status": "released"}
    values |= {"objects/1": {"sha256": world.sha256, "size": 1, "mime": "application/age"}}
    (told,) = tablet.push(tablet.change("handover", world.house.keys.new_id(START), values))
    assert told["status"] == "accepted"
    assert tablet.get(f"/blobs/{world.sha256}?purpose=x").status_code == 404
    assert world.server.enrol("officer", COUNTY).get(f"/blobs/{world.sha256}?purpose=x").status_code == 404


def test_nothing_opens_before_somebody_signed_for_it_and_only_once_is_it_signed_for(world: World) -> None:
    handover = world.released()
    with pytest.raises(NotReceived):
        world.open(handover)
    with pytest.raises(InvalidField):
        handovers.receive(*world.who("赵刚"), handover)  # the province does not sign for the county
    handovers.receive(*world.who("周强"), handover)
    with pytest.raises(Refused):
        handovers.receive(*world.who("吴丽"), handover)
    with pytest.raises(Refused):
        handovers.close(*world.who("赵刚"), handover, "同意")


# --- Deadlines ------------------------------------------------------------------------------------------------------


def test_after_the_deadline_nothing_opens_at_the_desk_or_on_a_tablet_and_the_next_step_is_told(world: World) -> None:
    tablet = world.server.enrol("officer", COUNTY)
    handover = world.released()
    handovers.receive(*world.who("周强"), handover)
    world.server.clock.ms = START + 20 * DAY  # the day that it is due
    assert world.open(handover).leaf is not None
    world.server.clock.ms = START + 21 * DAY
    with pytest.raises(PastDue) as late:
        world.open(handover, out="late.mp4")
    assert "--again" in late.value.next_step("en") and not (world.folder / "late.mp4").exists()
    answer = tablet.get(f"/blobs/{world.sha256}?purpose=x")
    assert (answer.status_code, answer.json()["code"]) == (409, "past-due")
    assert {one["reason"] for one in world.acts("sealed", acts.DENIED)} == {"past-due"}
    (told,) = handovers.every(world.house, world.may("周强"))
    assert told.overdue and told.left == -1
    with pytest.raises(PastDue):
        handovers.extend(*world.who("赵刚"), handover, until="2027-01-01", reason="x")


def test_it_is_extended_once_by_the_province_and_a_county_only_asks(world: World) -> None:
    handover = world.released()
    handovers.receive(*world.who("周强"), handover)
    with pytest.raises(InvalidField):
        handovers.extend(*world.who("周强"), handover, until=DUE, reason="x")
    assert handovers.extend(*world.who("周强"), handover, until="2026-12-20", reason="当事人外出") is None
    assert world.seen("handover", handover).values["due"] == DUE
    assert handovers.extend(*world.who("赵刚"), handover) == "2026-12-20"
    world.server.clock.ms = START + 25 * DAY
    assert world.open(handover).plain.size == len(FILM)
    for name in ("周强", "赵刚"):
        with pytest.raises(Refused, match="once"):
            handovers.extend(*world.who(name), handover, until="2027-02-01", reason="再延")


def test_after_its_deadline_it_is_handed_over_anew_with_new_approvals_and_a_new_number(world: World) -> None:
    first = world.released()
    world.server.clock.ms = START + 30 * DAY
    said = {"unit": "天心区教育局", "summary": "三楼有无证班", "reason": "逾期未办", "due": "2027-01-20"}
    again = releases.propose(
        *world.who("赵刚"), audit=world.audit, evidence=[world.evidence], to_area=COUNTY, said=said, again=first
    )
    assert releases.approve(*world.who("赵刚"), again) == 1
    assert releases.approve(*world.who("钱敏"), again) == 2
    second = releases.release(*world.who("赵刚"), again, world.keys["43"].secret)
    assert [world.seen("handover", id).values["number"][-3:] for id in (first, second.record)] == ["001", "002"]
    handovers.receive(*world.who("周强"), second.record)
    assert world.open(second.record).plain.size == len(FILM)
    with pytest.raises(Problem):
        world.open(first, out="first.mp4")


# --- By hand --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_all_of_it_at_the_command_line_with_files_that_a_passphrase_protects(world: World) -> None:
    province, county = world.folder / "province.age", world.folder / "county.age"
    for file, area in ((province, "43"), (county, COUNTY)):
        file.write_bytes(sealing.lock_identity(world.keys[area].secret, "竹子"))

    def run(*words: str, by: str, status: int = 0) -> str:
        env = {
            "PATROLBOOK_DATA": str(world.house.settings.data), "PATROLBOOK_LANG": "en", "PATROLBOOK_PASSPHRASE": "竹子",
        }  # fmt: skip
        words = ("handover", *words, "--by", by)
        result = CliRunner().invoke(main, list(words), env=env, catch_exceptions=False)
        assert result.exit_code == status, result.output
        return result.output

    due = f"{datetime.now(CHINA) + timedelta(days=20):%Y-%m-%d}"
    run("review", world.evidence[-12:], "--venue", "public", by="赵刚")
    told = run("propose", world.audit[-12:], "--to", COUNTY, "--due", due, "--summary", "线人说三楼有班",
               "--reason", "证据已固定", by="赵刚")  # fmt: skip
    assert "线人" in told and "approve" in told
    proposal = world.seen("release", told.partition("Proposed: ")[2].split()[0]).record
    assert "1 approved" in run("approve", proposal, by="赵刚")
    assert "Two people approved" in run("approve", proposal, by="钱敏")
    assert "钱敏" in run("show", proposal, by="赵刚") and proposal in run("list", "--proposals", by="赵刚")
    assert "(none)" in run("list", "--proposals", by="周强")
    told = run("release", proposal, "--identity", str(province), by="赵刚")
    handover = told.partition("Id: ")[2].split()[0]
    listed = run("list", by="周强")
    assert handover in listed and " 20 " in listed and "(none)" in run("list", by="孙浩")
    run("receive", handover, by="周强")
    out = world.folder / "1.mp4"
    run("open", handover, "1", "--identity", str(province), "--out", str(out), "--purpose", "核实", by="周强", status=1)
    run("open", handover, "1", "--identity", str(county), "--out", str(out), "--purpose", "核实", by="周强")
    assert out.read_bytes() == FILM
    assert "Asked for" in run("extend", handover, "--until", "2099-01-01", "--reason", "外出", by="周强")
    run("report", handover, "--outcome", "confirmed", "--result", "已责令停止举办", by="周强")
    run("return", handover, "--review", "补检查记录", by="赵刚")
    run("report", handover, "--outcome", "confirmed", "--result", "已补", by="吴丽")
    run("close", handover, "--review", "同意", by="赵刚")
    assert "Closed" in run("show", handover, by="周强")
    run("show", handover, by="孙浩", status=1)
    run("refuse", proposal, "--reason", "x", by="钱敏", status=1)
