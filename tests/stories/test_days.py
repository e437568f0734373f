"""Whole days: two tablets and a county, over a real socket, with the things that go wrong."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from field_client.platform.files import EncryptedFiles
from field_client.tablet import Tablet
from server.access import enrolment  # noqa: F401  the server's own rooms are real here
from server.instance import new_epoch
from server.merging import decisions
from server.storage import backup, conflicts, journal, people
from sync.core.errors import DeviceRevoked, InvalidField
from tests.support.patrols import AREA, enrolled, held, round_of, shown
from tests.support.server import TestServer, running_server

NOTE: dict[str, Any] = {"area": AREA, "spot": "三楼", "seen": "两间教室在上课", "seen_at": "2026-11-22T04:30:45.118Z"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    with running_server(tmp_path / "server") as running:
        yield running


@pytest.fixture
def two(server: TestServer, tmp_path: Path) -> Iterator[tuple[Tablet, Tablet]]:
    a, b = enrolled(server, tmp_path / "a"), enrolled(server, tmp_path / "b")
    yield a, b
    a.close()
    b.close()


def open_conflicts(server: TestServer) -> list[Any]:
    with server.instance.database.read() as conn:
        return conflicts.waiting(conn)


def test_two_edits_meet_the_county_decides_and_everybody_ends_with_the_same(
    server: TestServer, two: tuple[Tablet, Tablet]
) -> None:
    a, b = two
    record = a.write("patrol_note", None, NOTE).record
    round_of(a)
    round_of(b)
    mine = a.write("patrol_note", record, {"seen": "三间教室"})
    theirs = b.write("patrol_note", record, {"seen": "四间教室", "urgency": "smouldering"})
    for tablet in (a, b, a):
        round_of(tablet)
    assert set(a.view(record).live["seen"]) == {mine.id, theirs.id} == set(b.view(record).live["seen"])
    assert [c.path for c in a.conflicts()] == ["seen"]
    (conflict,) = open_conflicts(server)
    decisions.resolve(server.instance.desk, decisions.ticket(conflict), take=theirs.id, reason="照片可见四间", by=["s-1"])
    round_of(a)
    round_of(b)
    assert a.values(record)["seen"] == b.values(record)["seen"] == "四间教室"
    assert shown(a) == shown(b) == held(server)
    assert a.ledger().safe_to_hand_in and b.ledger().safe_to_hand_in


def test_an_institution_entered_twice_is_merged_and_a_tablet_with_the_old_id_goes_on(
    server: TestServer, two: tuple[Tablet, Tablet]
) -> None:
    a, b = two
    first = a.write("institution", None, {"name": "启航艺术", "area": AREA}).record
    second = b.write("institution", None, {"name": "启航艺术培训", "area": AREA}).record
    round_of(a)
    round_of(b)
    decisions.merge(server.instance.desk, first, second, reason="同一家", by=["s-1"])
    b.write("institution", second, {"phone": "0731-1234"})  # b does not know of the merge yet
    round_of(b)
    round_of(a)
    assert a.values(first)["phone"] == b.values(second)["phone"] == "0731-1234"
    assert b.records("institution") == [first]
    decisions.unmerge(server.instance.desk, first, second, reason="分别在两层楼", by=["s-1"])
    round_of(a)
    round_of(b)
    assert sorted(a.records("institution")) == sorted([first, second]) == sorted(b.records("institution"))
    assert shown(a) == shown(b) == held(server)


def test_a_server_restored_from_yesterday_gets_back_what_it_had_acknowledged(
    server: TestServer, two: tuple[Tablet, Tablet], tmp_path: Path
) -> None:
    a, b = two
    record = a.write("patrol_note", None, NOTE).record
    round_of(a)
    round_of(b)
    data = server.instance.settings.data
    backup.back_up(data, tmp_path / "backup")
    b.write("patrol_note", record, {"seen": "后来的修改"})
    later = a.write("patrol_note", None, NOTE | {"seen": "备份之后"}).record
    round_of(b)
    round_of(a)
    server.instance.close()
    backup.restore(tmp_path / "backup", data)
    new_epoch(server.instance.settings.epoch_file)
    assert later not in held(server)
    for tablet in (a, b, a):
        round_of(tablet)
    assert later in held(server) and a.values(record)["seen"] == "后来的修改"
    assert shown(a) == shown(b) == held(server)


def test_a_cloned_tablet_database_becomes_a_new_replica_and_both_go_on(server: TestServer, tmp_path: Path) -> None:
    original = enrolled(server, tmp_path / "a")
    original.write("patrol_note", None, NOTE)
    round_of(original)
    original.store.database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copytree(tmp_path / "a", tmp_path / "clone")
    key, seed = original._key, original._seed
    clone = Tablet.open(tmp_path / "clone", key, seed, EncryptedFiles(tmp_path / "clone" / "blobs", key))
    theirs = original.write("patrol_note", None, NOTE | {"seen": "原机"})
    ours = clone.write("patrol_note", None, NOTE | {"seen": "克隆"})
    round_of(original)
    report = round_of(clone)
    round_of(original)
    assert report.forked
    assert {theirs.record, ours.record} <= held(server).keys()
    assert shown(original) == shown(clone) == held(server)
    original.close()
    clone.close()


def test_a_revoked_tablet_hands_in_what_it_has_and_is_shown_nothing_more(server: TestServer, tmp_path: Path) -> None:
    tablet = enrolled(server, tmp_path / "a")
    before = tablet.write("patrol_note", None, NOTE)
    round_of(tablet)
    house = server.instance
    with house.database.write() as conn:
        people.revoke(conn, tablet.identity.device, house.now(), "遗失")  # type: ignore[union-attr]
    after = tablet.write("patrol_note", before.record, {"seen": "停用后补记"})
    report = tablet.sync()
    assert isinstance(report.problem, DeviceRevoked) and report.pushed["parked"] == 1
    with house.database.read() as conn:
        kept = journal.known(conn, [after.id])[after.id]
    assert (kept.status, kept.reason) == ("parked", "revoked")
    decisions.admit(house.desk, [after.id], reason="核实无误", by=["s-1"])
    assert list(held(server)[before.record]["seen"].values()) == ["停用后补记"]
    tablet.close()


@pytest.mark.parametrize("days", [-3, 3])
def test_a_clock_three_days_off_costs_nothing(server: TestServer, tmp_path: Path, days: int) -> None:
    server.clock.ahead = -days * 86_400_000  # the tablet's clock is right and the server's is not: the same to both
    tablet = enrolled(server, tmp_path / "a")
    record = tablet.write("patrol_note", None, NOTE).record
    round_of(tablet)
    tablet.write("patrol_note", record, {"seen": "后来"})
    round_of(tablet)
    assert tablet.values(record)["seen"] == "后来" and tablet.ledger().safe_to_hand_in
    assert shown(tablet) == held(server)
    tablet.close()


def test_a_field_of_a_newer_program_survives_an_old_tablet(server: TestServer, two: tuple[Tablet, Tablet]) -> None:
    a, b = two
    record = a.write("patrol_note", None, NOTE).record
    round_of(a)
    with server.instance.database.write() as conn:
        from server.sequencer import Sequencer, ServerWriter

        house = server.instance
        newer = ServerWriter(conn, house.keys.open, house.now()).arrival(
            kind="patrol_note", record=record, values={"weather": ("阵雨", [])}, by=["p-9"], schema=99
        )
        Sequencer(conn, house.registry, house.projections, house.keys.open, house.now()).apply([newer])
    round_of(b)
    assert b.view(record).live["weather"] == {newer.change.id: "阵雨"}
    b.write("patrol_note", record, {"seen": "旧程序继续写"})
    round_of(b)
    round_of(a)
    assert a.values(record)["weather"] == "阵雨"


def test_a_photo_s_bytes_arrive_whole_and_are_sent_once(server: TestServer, two: tuple[Tablet, Tablet]) -> None:
    a, b = two
    content = Random(1).randbytes(3_000_000)
    for tablet in (a, b):
        photo = tablet.files.add(io.BytesIO(content))  # type: ignore[attr-defined]
        value = {"sha256": photo.sha256, "size": photo.size, "mime": "image/jpeg"}
        with tablet.store.writing():
            record = tablet.write("patrol_note", None, NOTE | {"evidence/e1": value}).record
            tablet.attach(record, photo.sha256, photo.size, "image/jpeg")
    first, second = round_of(a), round_of(b)
    assert first.sent > len(content) and second.sent < 100_000
    assert a.fetch(photo.sha256) == content
    assert a.ledger().safe_to_hand_in and b.ledger().safe_to_hand_in


def test_a_value_that_its_field_refuses_is_told_at_once_and_names_the_field(tmp_path: Path, server: TestServer) -> None:
    tablet = enrolled(server, tmp_path / "a")
    with pytest.raises(InvalidField) as caught:
        tablet.write("institution", None, {"name": "启航", "area": AREA, "credit_code": "123"})
    assert caught.value.facts["field"] == "credit_code" and "18" in caught.value.text("zh")
    assert tablet.records("institution") == []
    tablet.close()
