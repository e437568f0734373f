"""The tablet as people and programs use it, with a real server on the other side of a line that may be bad."""

from __future__ import annotations

import hashlib
import io
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from field_client.tablet import Tablet
from server.instance import new_epoch
from server.storage import people
from sync.core import clock as stamps
from sync.core import engine, receipts
from sync.core.errors import (
    CursorExpired,
    DeviceRevoked,
    InvalidField,
    LogInconsistent,
    Malformed,
    NotEnrolled,
    NotFound,
    Overloaded,
    Unavailable,
    UnknownKind,
    UntrustedNote,
    WrongKey,
)
from sync.core.note import Checkpoint
from sync.core.parts import PartPlan
from sync.peer import Batch, BlobOffer, PushAnswer
from sync.replicator import Progress
from tests.support.lines import AREA, Faulty, TabletClock, alone, in_process, joined, over_http, with_faults
from tests.support.local_peer import LocalPeer
from tests.support.patrols import held, shown
from tests.support.server import TestServer, running_server, wsgi_server

SMALL = {"area": AREA, "name": "启航"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    made = wsgi_server(tmp_path / "server")
    yield made
    made.instance.close()


@pytest.fixture
def tablet(server: TestServer, tmp_path: Path) -> Iterator[Tablet]:
    made = joined(server, tmp_path / "a")
    yield made
    made.close()


@pytest.fixture
def other(server: TestServer, tmp_path: Path) -> Iterator[Tablet]:
    made = joined(server, tmp_path / "b")
    yield made
    made.close()


def written(tablet: Tablet, name: str = "启航") -> str:
    return tablet.write("institution", None, {**SMALL, "name": name}).record


def photo(tablet: Tablet, record: str, size: int = 3000, role: Any = "original", mime: str = "image/jpeg") -> str:
    stored = tablet.files.add(io.BytesIO(secrets.token_bytes(size)))  # type: ignore[attr-defined]
    tablet.attach(record, stored.sha256, stored.size, mime, role)
    return str(stored.sha256)


# ---- writing -----------------------------------------------------------------------------------------------


def test_what_is_written_is_shown_at_once_without_a_network(tmp_path: Path) -> None:
    tablet = alone(tmp_path / "t")
    record = written(tablet)
    assert tablet.values(record) == SMALL and tablet.records("institution") == [record]
    with pytest.raises(NotEnrolled):
        tablet.sync()


def test_a_write_replaces_exactly_what_the_tablet_shows(tablet: Tablet) -> None:
    first = tablet.write("institution", None, SMALL)
    second = tablet.write("institution", first.record, {"name": "远航"})
    assert second.parents("name") == [first.id]
    assert tablet.view(first.record).live["name"] == {second.id: "远航"}


def test_a_write_on_a_conflict_names_every_value_that_was_shown(tablet: Tablet, other: Tablet) -> None:
    record = written(tablet)
    for one in (tablet, other):
        one.sync()
    a = tablet.write("institution", record, {"name": "甲"})
    b = other.write("institution", record, {"name": "乙"})
    for one in (tablet, other, tablet):
        one.sync()
    (conflict,) = tablet.conflicts()
    assert conflict.candidates == tuple(sorted([a.id, b.id]))
    assert tablet.write("institution", record, {"name": "丙"}).parents("name") == sorted([a.id, b.id])
    assert tablet.conflicts() == []


def test_a_value_that_its_field_refuses_is_not_written(tablet: Tablet) -> None:
    with pytest.raises(InvalidField) as caught:
        tablet.write("institution", None, {**SMALL, "area": "43x"})
    assert caught.value.facts["field"] == "area"
    with pytest.raises(InvalidField):
        tablet.write("institution", None, {**SMALL, "no_such_field": 1})
    with pytest.raises(UnknownKind):
        tablet.write("spaceship", None, SMALL)
    assert tablet.records("institution") == [] and tablet.store.queued() == 0


def test_a_record_keeps_its_kind(tablet: Tablet) -> None:
    with pytest.raises(InvalidField):
        tablet.write("patrol_note", written(tablet), {"spot": "三楼"})


def test_a_change_says_when_as_far_as_all_clocks_know(tablet: Tablet) -> None:
    change = tablet.write("institution", None, SMALL)
    assert set(change.body["clock"]) == {"wall", "mono", "boot", "off"}
    assert change.by == [tablet.identity.person.id]  # type: ignore[union-attr]
    assert abs(stamps.wall_ms(change.hlc) - tablet.store.clock.wall_ms()) < 5_000


def test_an_answer_sorts_after_its_question_though_the_tablet_s_clock_is_slow(
    server: TestServer, tmp_path: Path, tablet: Tablet
) -> None:
    slow = joined(server, tmp_path / "slow", clock=TabletClock(-3 * 86_400_000))
    question = tablet.write("institution", None, SMALL)
    tablet.sync()
    slow.sync()
    answer = slow.write("institution", question.record, {"name": "远航"})
    assert answer.hlc > question.hlc
    assert answer.body["clock"]["off"] > 2 * 86_400_000
    slow.close()


def test_a_change_names_the_newest_checkpoint_that_the_tablet_saw(tablet: Tablet) -> None:
    first = tablet.write("institution", None, SMALL)
    assert "seen" not in first.body
    tablet.sync()
    second = tablet.write("institution", first.record, {"name": "远航"})
    known = tablet.store.checkpoint()
    assert second.body["seen"] == {"size": known.size, "root": known.root.hex()} and known.size >= 1


def test_a_deleted_record_is_gone_until_somebody_s_unseen_edit_brings_it_back(tablet: Tablet, other: Tablet) -> None:
    record = written(tablet)
    for one in (tablet, other):
        one.sync()
    tablet.delete(record, "重复录入")
    assert tablet.records("institution") == [] and list(tablet.browse("institution")) == []
    other.write("institution", record, {"phone": "0731"})
    for one in (tablet, other, tablet):
        one.sync()
    assert tablet.records("institution") == [record]
    assert [conflict.kind for conflict in tablet.conflicts()] == ["delete_edit"]
    with pytest.raises(NotFound):
        tablet.delete("no-such-record", "x")


def test_a_conflict_is_found_wherever_it_is_whether_its_record_was_pulled_or_begun_here(tablet: Tablet, other: Tablet) -> None:
    pulled, contested = written(tablet), written(tablet)
    for one in (tablet, other):
        one.sync()
    for one, name in ((tablet, "甲"), (other, "乙")):
        one.write("institution", contested, {"name": name})
    for one in (tablet, other, tablet):
        one.sync()
    tablet.write("institution", pulled, {"phone": "0731"})
    begun, brought_back = written(tablet), written(tablet)
    tablet.write("institution", begun, {"name": "远航"})
    tablet.delete(brought_back, "重复录入")
    tablet.write("institution", brought_back, {"phone": "0731"})
    told = {(one.record, one.kind) for one in tablet.conflicts()}
    assert told == {(record, one.kind) for record in tablet.store.special() for one in tablet.conflicts_in(record)}
    assert told == {(contested, "values"), (brought_back, "delete_edit")}
    assert {begun, pulled} <= {*tablet.store.special()} and begun not in tablet.store.disputable()


def test_several_acts_stand_or_fall_together(tablet: Tablet) -> None:
    with pytest.raises(InvalidField), tablet.store.writing():
        record = written(tablet)
        tablet.attach(record, "ab" * 32, 10, "image/jpeg")
        tablet.write("institution", record, {"area": "x"})
    assert tablet.store.queued() == 0 and not tablet.ledger().blobs


def test_a_listener_hears_of_own_writes_and_of_what_is_pulled(tablet: Tablet, other: Tablet) -> None:
    heard: list[str] = []
    tablet.store.listeners.append(heard.extend)
    mine = written(tablet)
    theirs = written(other)
    other.sync()
    tablet.sync()
    assert heard[0] == mine and set(heard) == {mine, theirs}


def test_a_tablet_opens_again_with_its_key_only(tablet: Tablet) -> None:
    record = written(tablet)
    again = tablet.another()
    assert again.values(record) == SMALL and again.identity == tablet.identity
    again.close()
    with pytest.raises(WrongKey):
        Tablet.open(tablet.home, secrets.token_bytes(32), tablet._seed, tablet.files, platform=tablet.platform)


# ---- rounds ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["socket", "wsgi", "call"])
def test_two_tablets_and_the_server_end_with_the_same(tmp_path: Path, way: str) -> None:
    def day(server: TestServer, connect: Any) -> None:
        a, b = (joined(server, tmp_path / name, connect=connect) for name in "ab")
        record = written(a)
        sha256 = photo(a, record, 20_000)
        assert a.sync().complete and b.sync().complete
        b.write("institution", record, {"name": "远航"})
        assert b.sync().complete and a.sync().complete
        assert shown(a) == shown(b) == held(server) and a.values(record)["name"] == "远航"
        assert a.ledger().safe_to_hand_in and b.ledger().safe_to_hand_in
        assert server.instance.files.path(sha256).stat().st_size == 20_000
        a.close()
        b.close()

    if way == "socket":
        with running_server(tmp_path / "server") as server:
            day(server, over_http(server.session))
    else:
        server = wsgi_server(tmp_path / "server")
        day(server, over_http(server.session) if way == "wsgi" else in_process(server))
        server.instance.close()


def test_what_was_written_before_enrolling_goes_up_afterwards(server: TestServer, tmp_path: Path) -> None:
    tablet = alone(tmp_path / "t", in_process(server))
    record = written(tablet)
    tablet.enrol(server.url, server.code(server.person("inspector", AREA[:6])), "T-1")
    assert tablet.sync().complete
    assert held(server)[record]["name"] and tablet.ledger().safe_to_hand_in
    tablet.close()


def test_an_answer_that_was_lost_after_the_server_committed_costs_nothing(server: TestServer, tablet: Tablet) -> None:
    record = written(tablet)
    with_faults(tablet, "", "", "", "after")  # hello, register, pull, push
    report = tablet.sync()
    assert report.complete and report.duplicates == 1
    assert list(held(server)) == [record] and tablet.ledger().safe_to_hand_in


def test_a_cut_at_any_call_is_made_good_within_the_round(tablet: Tablet) -> None:
    photo(tablet, written(tablet))
    calls = len(with_faults(tablet).calls)
    tablet.sync()
    calls = len(with_faults(tablet).calls) or 12
    for at in range(calls):
        for fault in ("before", "after"):
            photo(tablet, written(tablet, f"{at} {fault}"))
            with_faults(tablet, *[""] * at, fault)
            assert tablet.sync().complete, (at, fault)
            assert tablet.ledger().safe_to_hand_in, (at, fault)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("ab"), st.lists(st.sampled_from(["", "", "before", "after"]), max_size=14)),
                min_size=1, max_size=6))  # fmt: skip
def test_after_any_faults_everybody_shows_what_the_server_holds(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[tuple[str, list[str]]]
) -> None:
    folder = tmp_path_factory.mktemp("faults")
    server = wsgi_server(folder / "server")
    tablets = {name: joined(server, folder / name) for name in "ab"}
    shared = written(tablets["a"])
    written_names = set()
    for number, (name, faults) in enumerate(rounds):
        tablets[name].write("institution", shared, {**SMALL, "name": f"{name}{number}"})
        written_names.add(f"{name}{number}")
        with_faults(tablets[name], *faults)
        tablets[name].sync(until="records")
    for name in "aba":
        with_faults(tablets[name])
        assert tablets[name].sync().complete
    assert shown(tablets["a"]) == shown(tablets["b"]) == held(server)
    assert all(one.ledger().safe_to_hand_in for one in tablets.values())
    for one in tablets.values():
        one.close()
    server.instance.close()


def test_a_round_without_a_network_says_so_and_the_next_one_goes_on(tablet: Tablet) -> None:
    written(tablet)
    with_faults(tablet, *["before"] * 9)
    assert isinstance(tablet.sync().problem, Unavailable)
    with_faults(tablet)
    assert tablet.sync().complete


def test_a_round_for_records_leaves_files_for_later(tablet: Tablet) -> None:
    record = written(tablet)
    photo(tablet, record, role="thumbnail")
    photo(tablet, record, role="original")
    assert tablet.sync(until="records").blobs == 0
    assert tablet.sync(until="previews").blobs == 1
    assert [blob.role for blob in tablet.ledger().blobs if not blob.held] == ["original"]
    assert tablet.sync().blobs == 1


def test_progress_is_told_with_totals_and_bytes(server: TestServer, tmp_path: Path) -> None:
    tablet = joined(server, tmp_path / "p", connect=over_http(server.session))
    for number in range(3):
        photo(tablet, written(tablet, str(number)))
    told: list[Progress] = []
    report = tablet.sync(progress=told.append)
    assert [p.phase for p in told if p.done == p.total and p.total == 3][:1] == ["pushing"]
    assert {"greeting", "pulling", "pushing", "files", "proving"} == {p.phase for p in told}
    assert report.sent > 9_000 and told[-1].sent <= report.sent
    tablet.close()


def test_a_round_can_be_stopped_between_steps(tablet: Tablet) -> None:
    for number in range(3):
        photo(tablet, written(tablet, str(number)))
    asked = iter(range(100))
    report = tablet.sync(stop=lambda: next(asked) > 6)
    assert report.stopped and not report.complete
    assert tablet.sync().complete


# ---- fill --------------------------------------------------------------------------------------------------


def test_a_large_bucket_comes_as_a_snapshot_and_what_followed_it_by_pull(
    server: TestServer, tmp_path: Path, tablet: Tablet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "SNAPSHOT_FROM", 20)
    records = {written(tablet, f"n{number}") for number in range(40)}
    tablet.sync()
    fresh = joined(server, tmp_path / "fresh", connect=over_http(server.session))
    report = fresh.sync()
    assert report.filled == [f"area:{AREA}"] and report.complete
    assert set(fresh.records("institution")) == records and shown(fresh) == held(server)
    assert not list(fresh.home.glob("*.snapshot"))
    fresh.close()


def test_a_snapshot_that_is_cut_continues_where_it_was(
    server: TestServer, tmp_path: Path, tablet: Tablet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "SNAPSHOT_FROM", 20)
    for number in range(40):
        written(tablet, f"n{number}")
    tablet.sync()
    fresh = joined(server, tmp_path / "fresh", connect=over_http(server.session))
    peer = fresh.peer()
    starts: list[int] = []
    whole = peer.snapshot

    def cut_once(bucket: str, into: Any) -> None:
        starts.append(into.tell())
        whole(bucket, into)
        if len(starts) == 1:
            into.truncate(5000)
            raise Unavailable(detail="cut")

    monkeypatch.setattr(peer, "snapshot", cut_once)
    assert fresh.sync().complete and starts == [0, 5000]
    assert shown(fresh) == held(server)
    fresh.close()


def test_a_bucket_whose_cursor_expired_is_read_again(server: TestServer, tablet: Tablet, other: Tablet) -> None:
    gone, kept = written(other), written(other)
    for one in (other, tablet):
        one.sync()
    other.write("institution", gone, {"area": "510104001"})
    other.sync()
    with server.instance.database.write() as conn:  # what compaction does
        conn.exec_driver_sql("DELETE FROM feed WHERE gone IS NOT NULL")
        conn.exec_driver_sql("UPDATE buckets SET floor = head")
    with_faults(tablet, "", CursorExpired(bucket=f"area:{AREA}"))
    assert tablet.sync().complete
    assert kept in tablet.records("institution")


def test_a_checksum_that_differs_is_mended_by_reading_the_bucket_again(server: TestServer, tablet: Tablet) -> None:
    record = written(tablet)
    tablet.sync()
    with tablet.store.writing():
        tablet.store.database.run("DELETE FROM states")
        tablet.store.database.run("DELETE FROM sources")
        tablet.store.database.run("UPDATE cursors SET count = 0, sum = 0")
    report = tablet.sync()
    assert report.complete and report.filled == [f"area:{AREA}"]
    assert tablet.values(record) == SMALL and shown(tablet) == held(server)


# ---- histories that part -----------------------------------------------------------------------------------


def test_a_server_that_lost_changes_gets_them_again(server: TestServer, tablet: Tablet) -> None:
    record = written(tablet)
    tablet.sync()
    new_epoch(server.instance.settings.epoch_file)
    report = tablet.sync()
    assert report.complete and report.epoch_changed and report.pushed.total() == 1
    assert tablet.ledger().safe_to_hand_in and tablet.values(record) == SMALL
    assert tablet.retention.changes == 1 and tablet.retention.bytes > 200


def test_a_replica_number_that_is_known_with_other_content_makes_a_new_replica(
    server: TestServer, tablet: Tablet
) -> None:
    written(tablet, "one")
    tablet.store.database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    older = (tablet.home / "patrolbook.db").read_bytes()
    written(tablet, "two")
    tablet.sync()
    tablet.close()
    (tablet.home / "patrolbook.db").write_bytes(older)  # restored from a copy
    restored = tablet.another()
    written(restored, "three")
    before = restored.store.replica
    report = restored.sync()
    assert report.complete and report.forked and restored.store.replica != before
    names = {value for live in held(server).values() for value in live["name"].values()}
    assert names == {"one", "two", "three"} and shown(restored) == held(server)
    assert restored.ledger().safe_to_hand_in
    restored.close()


def test_an_audit_finds_what_the_server_no_longer_has(server: TestServer, tablet: Tablet) -> None:
    change = tablet.write("institution", None, SMALL)
    tablet.sync()
    with tablet.store.writing():
        tablet.store.note("audited_ms", 0)
    faulty = with_faults(tablet)
    faulty.have = lambda ids: [change.id]  # type: ignore[attr-defined]
    report = tablet.sync()
    assert report.complete and report.duplicates == 1
    assert "have" not in with_faults(tablet).calls and tablet.sync().pushed.total() == 0


def test_a_revoked_tablet_hands_in_its_files_too(server: TestServer, tablet: Tablet) -> None:
    with server.instance.database.write() as conn:
        people.revoke(conn, tablet.identity.device, server.clock(), "lost")  # type: ignore[union-attr]
    photo(tablet, written(tablet))
    report = tablet.sync()
    assert isinstance(report.problem, DeviceRevoked)
    assert report.pushed["parked"] == 1 and report.blobs == 1 and tablet.ledger().safe_to_hand_in


# ---- receipts ----------------------------------------------------------------------------------------------


def test_a_log_that_does_not_extend_what_the_tablet_saw_stops_everything(tablet: Tablet) -> None:
    written(tablet)
    tablet.sync()
    known = tablet.store.checkpoint()
    tablet.store.remember(Checkpoint(known.origin, known.size + 5, secrets.token_bytes(32)), "forged elsewhere")
    written(tablet, "later")
    report = tablet.sync()
    assert isinstance(report.problem, LogInconsistent)
    assert tablet.store.queued() == 1 and not tablet.ledger().safe_to_hand_in


def test_a_server_with_another_log_key_is_not_spoken_to(server: TestServer, tmp_path: Path, tablet: Tablet) -> None:
    written(tablet)
    tablet.sync()
    imposter = wsgi_server(tmp_path / "imposter")
    tablet._peer = LocalPeer(imposter.instance, "x")
    written(tablet, "later")
    report = tablet.sync()
    assert isinstance(report.problem, UntrustedNote) and tablet.store.queued() == 1
    imposter.instance.close()


def test_an_acknowledgement_that_is_not_in_the_log_is_not_believed(tablet: Tablet) -> None:
    written(tablet)

    class Liar(Faulty):
        def push(self, batch: Batch) -> PushAnswer:
            answer = self.peer.push(batch)
            assert answer.receipt is not None
            return answer._replace(receipt=answer.receipt._replace(before=7, frontier=(bytes(32),) * 3))

    tablet._peer = Liar(tablet.peer())  # type: ignore[assignment]
    report = tablet.sync()
    assert isinstance(report.problem, LogInconsistent) and tablet.store.queued() == 1


def test_a_receipt_for_another_blob_is_not_believed(tablet: Tablet) -> None:
    photo(tablet, written(tablet))

    class Liar(Faulty):
        def offer(self, blob: BlobOffer) -> Any:
            content = b"something else"
            other = BlobOffer(hashlib.sha256(content).hexdigest(), len(content), "image/jpeg", 5 << 20)
            upload = self.peer.offer(other)
            self.peer.put_part(upload.upload, 1, content)  # type: ignore[union-attr]
            return self.peer.complete(upload.upload)  # type: ignore[union-attr]

    tablet._peer = Liar(tablet.peer())  # type: ignore[assignment]
    assert isinstance(tablet.sync().problem, LogInconsistent)
    assert not tablet.ledger().blobs[0].held


def test_every_receipt_that_is_kept_verifies_against_the_remembered_log(tablet: Tablet, other: Tablet) -> None:
    for one in (tablet, other):
        photo(one, written(one))
        one.sync()
    written(tablet, "after somebody else's")
    tablet.sync()
    ledger = tablet.ledger()
    assert ledger.safe_to_hand_in and all(line.proven for line in ledger.records)
    receipt = tablet.store.uploads.receipt(ledger.blobs[0].sha256)
    assert receipt is not None
    receipts.check_blob(receipt.act, ledger.blobs[0].sha256, ledger.blobs[0].size)


# ---- what cannot go ----------------------------------------------------------------------------------------


def test_one_change_that_the_server_cannot_read_becomes_a_dead_letter_and_the_rest_goes(tablet: Tablet) -> None:
    records = [written(tablet, f"n{number}") for number in range(9)]
    (bad,) = tablet.history(records[4])

    class Choking(Faulty):
        def push(self, batch: Batch) -> PushAnswer:
            if bad.change.id in batch.ids:
                raise Malformed(detail="chokes")
            return self.peer.push(batch)

    tablet._peer = Choking(tablet.peer())  # type: ignore[assignment]
    report = tablet.sync()
    assert report.dead == [bad.change.id] and report.pushed["accepted"] == 8
    assert tablet.values(records[4])["name"] == "n4"
    assert [reason.en for reason in tablet.ledger().reasons()] == ["1 changes could not be read by the server"]
    with_faults(tablet)
    assert tablet.revive() == 1
    tablet._peer = None
    assert tablet.sync().complete and tablet.ledger().safe_to_hand_in


def test_a_change_that_was_parked_or_quarantined_is_safe_and_visible(tablet: Tablet) -> None:
    change = tablet.write("institution", None, {**SMALL, "area": "510104001"})
    report = tablet.sync()
    assert report.pushed["parked"] == 1
    (own,) = tablet.history(change.record)
    assert (own.disposition, own.reason) == ("parked", "scope") and own.proven
    (line,) = tablet.ledger().records
    assert line.waiting == 1 and line.safe


def test_a_file_that_is_missing_is_set_aside_and_the_others_go(tablet: Tablet) -> None:
    record = written(tablet)
    lost, good = photo(tablet, record), photo(tablet, record)
    tablet.files.delete(lost)  # type: ignore[attr-defined]
    report = tablet.sync()
    assert list(report.set_aside) == [lost] and not report.complete
    blobs = {blob.sha256: blob for blob in tablet.ledger().blobs}
    assert blobs[good].proven and blobs[lost].problem == "broken-file"
    assert not tablet.ledger().safe_to_hand_in


# ---- files -------------------------------------------------------------------------------------------------


def small_parts(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    import sync.replicator

    monkeypatch.setattr(sync.replicator, "part_size_for", lambda total: size)


@pytest.mark.parametrize("threads", [False, True])
def test_a_file_goes_in_parts_and_a_cut_costs_one_part(
    server: TestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: bool
) -> None:
    small_parts(monkeypatch, 1000)
    tablet = joined(server, tmp_path / "t", pool=ThreadPoolExecutor if threads else None)
    sha256 = photo(tablet, written(tablet), 9500)
    tablet.sync(until="records")
    line = with_faults(tablet, *[""] * 5, "before", "", "after")
    assert tablet.sync().complete
    assert line.calls.count("put_part") <= PartPlan(9500, 1000).count + 2
    assert server.instance.files.path(sha256).stat().st_size == 9500
    tablet.close()


def test_a_file_that_was_cut_by_the_end_of_the_day_goes_on_the_next_morning(
    tablet: Tablet, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_parts(monkeypatch, 1000)
    photo(tablet, written(tablet), 9500)
    asked = iter(range(1000))
    tablet.sync(stop=lambda: next(asked) > 11)
    (blob,) = tablet.ledger().blobs
    assert 0 < blob.parts < blob.all_parts == 10
    line = with_faults(tablet)
    assert tablet.sync().complete
    assert line.calls.count("put_part") == 10 - blob.parts


def test_a_change_written_meanwhile_goes_before_the_next_part(tablet: Tablet, monkeypatch: pytest.MonkeyPatch) -> None:
    small_parts(monkeypatch, 1000)
    photo(tablet, written(tablet), 9500)
    tablet.sync(until="records")
    line = with_faults(tablet)
    write_once = iter([lambda: written(tablet, "urgent")])

    def progress(told: Progress) -> None:
        if told.phase == "files" and told.done == 2:
            next(write_once, lambda: None)()

    assert tablet.sync(progress=progress).complete
    first_push, last_part = line.calls.index("push"), len(line.calls) - 1 - line.calls[::-1].index("put_part")
    assert first_push < last_part and line.calls[:first_push].count("put_part") <= 3


def test_the_same_file_of_two_tablets_is_stored_once(server: TestServer, tablet: Tablet, other: Tablet) -> None:
    content = secrets.token_bytes(5000)
    for one in (tablet, other):
        stored = one.files.add(io.BytesIO(content))  # type: ignore[attr-defined]
        one.attach(written(one), stored.sha256, stored.size, "image/jpeg")
        assert one.sync().complete
        assert one.ledger().safe_to_hand_in


# ---- the line ----------------------------------------------------------------------------------------------


def test_the_login_page_of_a_strange_network_is_no_answer(server: TestServer, tmp_path: Path) -> None:
    from flask import Flask

    from tests.support.server import WsgiAdapter

    portal = Flask("portal")
    portal.add_url_rule("/<path:any>", view_func=lambda any: "<html>log in</html>", methods=["GET", "POST", "PUT"])
    tablet = joined(server, tmp_path / "t", connect=over_http(server.session))
    written(tablet)
    server.session.mount("http://", WsgiAdapter(portal))
    report = tablet.sync()
    assert isinstance(report.problem, Unavailable) and tablet.store.queued() == 1
    tablet.close()


def test_nobody_at_the_address_is_told_as_no_network(tmp_path: Path) -> None:
    from field_client.platform.desktop import desktop

    tablet = alone(tmp_path / "t", desktop().connect)
    with pytest.raises(Unavailable) as caught:
        tablet.enrol("http://127.0.0.1:9", "AAAA-BBBB-CCCC", "T-1")
    assert "网络" in caught.value.text("zh")
    with pytest.raises(InvalidField):
        tablet.enrol("not a url", "AAAA-BBBB-CCCC", "T-1")
    tablet.close()


@pytest.mark.parametrize("days", [-3, 3])
def test_a_clock_that_is_days_off_is_corrected_by_the_first_refusal(
    server: TestServer, tmp_path: Path, days: int
) -> None:
    clock = TabletClock()
    tablet = joined(server, tmp_path / "t", connect=over_http(server.session), clock=clock)
    clock.ahead = days * 86_400_000
    tablet._peer = None
    assert tablet.peer().have([]) == []  # without a greeting before it
    written(tablet)
    assert tablet.sync().complete
    tablet.close()


def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(tablet: Tablet) -> None:
    written(tablet)
    busy = Overloaded(retry_after=600)
    with_faults(tablet, busy)
    report = tablet.sync()
    assert report.problem is busy and report.problem.retry_after == 600


def test_rounds_in_two_threads_at_once_do_no_harm(server: TestServer, tablet: Tablet) -> None:
    for number in range(20):
        written(tablet, f"n{number}")
    reports: list[Any] = []

    def go() -> None:
        mine = tablet.another()
        reports.append(mine.sync())
        mine.close()

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [report.problem for report in reports] == [None, None]
    assert len(held(server)) == 20 and tablet.sync().complete and tablet.ledger().safe_to_hand_in


def test_a_creation_that_was_cut_short_leaves_nothing_to_repair(tmp_path: Path) -> None:
    home = tmp_path / "t"
    home.mkdir()
    (home / "patrolbook.db.new").write_bytes(b"half a page")
    made = alone(home)
    record = made.write("institution", None, SMALL).record
    made.close()
    assert not (home / "patrolbook.db.new").exists()
    again = made.another()
    assert again.values(record)["name"] == "启航"
    again.close()
