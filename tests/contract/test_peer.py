"""One contract for every peer: the server behind HTTP, and the same server's functions called in this process."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody import codes
from field_client.platform import Line
from field_client.platform.remote import Remote
from server.instance import new_epoch
from server.storage import people
from server.storage.database import Database
from sync.core import receipts
from sync.core.change import START, Change, chain_hash, compose, signature_input
from sync.core.errors import (
    BadSignature,
    CodeNotValid,
    CursorExpired,
    DeviceRevoked,
    DigestMismatch,
    EpochChanged,
    InvalidField,
    Malformed,
    NotAllowed,
    NotFound,
    PartConflict,
    PartsMissing,
    ReplicaForked,
)
from sync.core.fold import State
from sync.core.note import Verifier
from sync.core.parts import SLOW_PART
from sync.peer import Batch, BlobOffer, Held, Peer, PullRequest, Run, Upload, enrolment_proof_input
from tests.support.local_peer import LocalPeer
from tests.support.server import TestServer, running_server, wsgi_server

AREA = "430102001"
Connect = Callable[[TestServer, str, Ed25519PrivateKey], Peer]


def by_http(server: TestServer, device: str, key: Ed25519PrivateKey) -> Peer:
    return Remote(Line(server.url, device, key.sign, server.clock), session=server.session)


def by_call(server: TestServer, device: str, key: Ed25519PrivateKey) -> Peer:
    return LocalPeer(server.instance, device)


@pytest.fixture(params=["socket", "wsgi", "call"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[TestServer, Connect]]:
    if request.param == "socket":
        with running_server(tmp_path) as server:
            yield server, by_http
    else:
        server = wsgi_server(tmp_path)
        yield server, by_http if request.param == "wsgi" else by_call
        server.instance.close()


class Writer:
    """A device that writes by hand: its peer, and the chain of its replica."""

    def __init__(self, house: tuple[TestServer, Connect], role: str = "inspector", area: str = AREA[:6]) -> None:
        self.server, connect = house
        self.key = Ed25519PrivateKey.generate()
        self.person = self.server.person(role, area)
        stranger = connect(self.server, "", self.key)
        public = self.key.public_key().public_bytes_raw()
        code = self.server.code(self.person)
        self.enrolled = stranger.enrol(code, public, "T-1", "test", self.key.sign(enrolment_proof_input(code, public)))
        self.peer = connect(self.server, self.enrolled.device, self.key)
        self.epoch = self.peer.hello().epoch
        self.replica = self.server.instance.keys.new_id(self.server.clock())
        self.peer.register(self.replica)
        self.n, self.prev = 0, START

    def change(self, record: str = "", name: str = "启航", **values: Any) -> Change:
        id = self.server.instance.keys.new_id(self.server.clock())
        written = {"name": name, "area": AREA, **values}
        return compose(
            id=id, kind="institution", record=record or f"r-{id}", set={p: (v, []) for p, v in written.items()},
            by=[self.person.id], schema=1, hlc=f"{self.server.clock():012x}-0000",
            clock={"wall": self.server.clock(), "mono": 1, "boot": "b", "off": 0},
        )  # fmt: skip

    def batch(self, *changes: Change) -> Batch:
        n, first, signatures = self.n, self.prev, []
        for change in changes:
            self.n += 1
            self.prev = chain_hash(self.replica, self.n, self.prev, change.hash)
            signatures.append(self.key.sign(signature_input(self.prev)))
        run = Run(self.replica, n + 1, first, tuple(signatures))
        return Batch(self.epoch, (run,), tuple(c.content for c in changes), tuple(c.id for c in changes))

    def pull(self, cursors: dict[str, str] | None = None, **more: Any) -> Any:
        return self.peer.pull(PullRequest(self.epoch, cursors or {}, **more))

    def offer(self, content: bytes, part_size: int = SLOW_PART) -> BlobOffer:
        return BlobOffer(hashlib.sha256(content).hexdigest(), len(content), "image/jpeg", part_size)


@pytest.fixture
def writer(house: tuple[TestServer, Connect]) -> Writer:
    return Writer(house)


# ---- meeting -----------------------------------------------------------------------------------------------


def test_hello_names_the_epoch_the_time_and_the_log(writer: Writer) -> None:
    hello = writer.peer.hello()
    keys = writer.server.instance.keys
    assert hello.epoch == writer.server.instance.epoch
    assert abs(hello.time_ms - writer.server.clock()) < 60_000
    assert hello.logs[0] == (keys.open.origin, keys.open.log_public) == writer.enrolled.log
    assert hello.limits.push_changes > 1 and hello.schemas["institution"] >= 1


def test_enrolling_tells_who_one_is_and_what_one_may(writer: Writer) -> None:
    assert writer.enrolled.person == (writer.person.id, writer.person.name, "inspector")
    assert [grant[:2] for grant in writer.enrolled.grants] == [(AREA[:6], "inspector")]


def test_a_wrong_code_is_refused(house: tuple[TestServer, Connect]) -> None:
    server, connect = house
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    proof = key.sign(enrolment_proof_input("AAAA-BBBB-CCCC", public))
    with pytest.raises(CodeNotValid):
        connect(server, "", key).enrol("AAAA-BBBB-CCCC", public, "T", "", proof)
    with pytest.raises(BadSignature):
        connect(server, "", key).enrol(server.code(server.person()), public, "T", "", proof)


def test_a_replica_may_be_registered_again_and_belongs_to_one_device(house: tuple[TestServer, Connect]) -> None:
    one, other = Writer(house), Writer(house)
    one.peer.register(one.replica)
    with pytest.raises(ReplicaForked):
        other.peer.register(one.replica)


# ---- changes -----------------------------------------------------------------------------------------------


def test_a_pushed_change_is_acknowledged_with_its_place(writer: Writer) -> None:
    change = writer.change()
    answer = writer.peer.push(writer.batch(change))
    (result,) = answer.results
    assert (result.id, result.status, result.record, result.duplicate) == (change.id, "accepted", change.record, False)
    assert answer.receipt is not None
    assert (result.rev, result.bucket, result.at, result.leaf) == (1, f"area:{AREA}", 1, answer.receipt.before)


def test_the_receipt_of_a_push_proves_that_its_changes_end_the_log(writer: Writer) -> None:
    changes = [writer.change(name=f"n{i}") for i in range(5)]
    receipt = writer.peer.push(writer.batch(*changes)).receipt
    assert receipt is not None and list(receipt.leaves) == [change.id for change in changes]
    seen = receipts.opened(receipt.checkpoint, Verifier(*writer.enrolled.log))
    receipts.check_tail(receipt.frontier, receipt.before, [change.hash for change in changes], seen)


def test_the_same_push_again_is_acknowledged_again_as_duplicates(writer: Writer) -> None:
    batch = writer.batch(writer.change(), writer.change())
    first, second = writer.peer.push(batch), writer.peer.push(batch)
    assert [(r.id, r.rev, r.bucket, r.leaf) for r in first.results] == [
        (r.id, r.rev, r.bucket, r.leaf) for r in second.results
    ]
    assert all(result.duplicate for result in second.results)


def test_a_bad_change_does_not_stop_its_neighbours(writer: Writer) -> None:
    good, bad = writer.change(), writer.change(credit_code="123")
    results = writer.peer.push(writer.batch(bad, good)).results
    assert [(r.status, r.field) for r in results] == [("quarantined", "credit_code"), ("accepted", "")]
    assert results[0].reason == "invalid-field" and results[0].leaf >= 0


def test_a_change_outside_the_granted_area_is_parked(writer: Writer) -> None:
    (result,) = writer.peer.push(writer.batch(writer.change(area="510104001"))).results
    assert (result.status, result.reason) == ("parked", "scope")


def test_a_number_that_was_used_for_something_else_is_a_fork(writer: Writer) -> None:
    writer.peer.push(writer.batch(writer.change()))
    writer.n, writer.prev = 0, START
    with pytest.raises(ReplicaForked):
        writer.peer.push(writer.batch(writer.change()))


def test_a_push_by_a_replica_that_is_not_ours_is_refused(house: tuple[TestServer, Connect]) -> None:
    one, other = Writer(house), Writer(house)
    one.replica = other.replica
    with pytest.raises(NotAllowed):
        one.peer.push(one.batch(one.change()))


def test_a_push_that_cannot_be_read_is_refused_as_a_whole(writer: Writer) -> None:
    batch = writer.batch(writer.change())
    with pytest.raises(Malformed):
        writer.peer.push(batch._replace(contents=()))


def test_another_epoch_is_told_with_its_name(writer: Writer) -> None:
    epoch = new_epoch(writer.server.instance.settings.epoch_file)
    for ask in (lambda: writer.peer.push(writer.batch(writer.change())), writer.pull):
        with pytest.raises(EpochChanged) as caught:
            ask()
        assert caught.value.facts["epoch"] == epoch


def test_have_names_what_the_peer_lacks(writer: Writer) -> None:
    known, unknown = writer.change(), writer.change()
    writer.peer.push(writer.batch(known))
    assert writer.peer.have([known.id, unknown.id]) == [unknown.id]


# ---- states ------------------------------------------------------------------------------------------------


def test_a_pull_brings_what_was_pushed_in_the_very_bytes(writer: Writer) -> None:
    change = writer.change()
    writer.peer.push(writer.batch(change))
    page = writer.pull()
    ((id, kind, rev, content, counted, _),) = page.puts[f"area:{AREA}"]
    assert (id, kind, rev) == (change.record, "institution", 1)
    assert State.read(content).dump() == content and page.sums[f"area:{AREA}"] == (1, counted)
    assert page.granted == (f"area:{AREA}",) and not page.more


def test_a_pull_from_its_own_cursor_brings_nothing(writer: Writer) -> None:
    writer.peer.push(writer.batch(writer.change()))
    page = writer.pull(dict(writer.pull().cursors))
    assert not page.puts and not page.granted and page.sums


def test_a_small_page_says_that_there_is_more(writer: Writer) -> None:
    writer.peer.push(writer.batch(*(writer.change() for _ in range(4))))
    cursors, records, pages = {}, 0, 0
    more = True
    while more:
        page = writer.pull(cursors, limit_bytes=1)
        cursors, more = dict(page.cursors), page.more
        records, pages = records + page.records, pages + 1
    assert (records, pages) == (4, 4) and page.sums[f"area:{AREA}"][0] == 4


def test_a_record_that_moves_leaves_one_bucket_and_comes_to_another(writer: Writer) -> None:
    change = writer.change()
    writer.peer.push(writer.batch(change))
    cursors = dict(writer.pull().cursors)
    move = writer.change(change.record)
    move = Change.make({**move.body, "set": {"area": {"parents": [change.id], "value": "430102002"}}})
    writer.peer.push(writer.batch(move))
    page = writer.pull(cursors)
    assert [(gone.id, gone.bucket, gone.why) for gone in page.gones] == [(change.record, f"area:{AREA}", "moved")]
    assert page.puts["area:430102002"][0][0] == change.record


def test_a_pull_proves_that_the_log_still_extends_the_known_one(writer: Writer) -> None:
    trusted = Verifier(*writer.enrolled.log)
    first = writer.peer.push(writer.batch(writer.change(), writer.change(), writer.change())).receipt
    assert first is not None
    known = receipts.opened(first.checkpoint, trusted)
    writer.peer.push(writer.batch(writer.change(), writer.change()))
    log = writer.pull(log_size=known.size).log
    assert log is not None
    assert receipts.extended(known, receipts.opened(log.checkpoint, trusted), log.proof).size == known.size + 2


def test_a_cursor_from_before_the_floor_has_expired(writer: Writer) -> None:
    writer.peer.push(writer.batch(writer.change()))
    database: Database = writer.server.instance.database
    with database.write() as conn:
        conn.exec_driver_sql("UPDATE buckets SET floor = 5, head = 9")
    with pytest.raises(CursorExpired) as caught:
        writer.pull({f"area:{AREA}": "1.0"})
    assert caught.value.facts["bucket"] == f"area:{AREA}"


def test_a_bucket_that_is_no_longer_mine_is_named_revoked(writer: Writer) -> None:
    page = writer.pull({"area:510104001": "3.0"})
    assert page.revoked == ("area:510104001",) and "area:510104001" not in page.cursors


def test_a_snapshot_is_the_bucket_with_the_cursor_to_go_on_from(writer: Writer, tmp_path: Path) -> None:
    writer.peer.push(writer.batch(*(writer.change() for _ in range(30))))
    with open(tmp_path / "snapshot", "ab") as into:
        writer.peer.snapshot(f"area:{AREA}", into)
    with sqlite3.connect(tmp_path / "snapshot") as read:
        meta = dict(read.execute("SELECT key, value FROM meta"))
        assert read.execute("SELECT count(*), sum(sum) FROM states").fetchone() == (30, int(meta["checksum"]))
    read.close()
    assert not writer.pull({f"area:{AREA}": meta["cursor"]}).puts


def test_a_snapshot_goes_on_where_it_was_cut(writer: Writer, tmp_path: Path) -> None:
    writer.peer.push(writer.batch(*(writer.change() for _ in range(30))))
    with open(tmp_path / "whole", "ab") as into:
        writer.peer.snapshot(f"area:{AREA}", into)
    whole = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut").write_bytes(whole[:5000])
    with open(tmp_path / "cut", "ab") as into:
        writer.peer.snapshot(f"area:{AREA}", into)
    assert (tmp_path / "cut").read_bytes() == whole


def test_a_bucket_out_of_scope_has_no_snapshot(writer: Writer, tmp_path: Path) -> None:
    with open(tmp_path / "s", "ab") as into, pytest.raises(NotFound):
        writer.peer.snapshot("area:510104001", into)


def test_a_revoked_device_reads_nothing_and_may_still_push(writer: Writer) -> None:
    house = writer.server.instance
    with house.database.write() as conn:
        people.revoke(conn, writer.enrolled.device, house.now(), "lost")
    with pytest.raises(DeviceRevoked):
        writer.pull()
    (result,) = writer.peer.push(writer.batch(writer.change())).results
    assert (result.status, result.reason) == ("parked", "revoked")


# ---- blobs -------------------------------------------------------------------------------------------------


def test_a_blob_goes_in_parts_in_any_order_and_comes_back_with_a_receipt(writer: Writer) -> None:
    content = secrets.token_bytes(2500)
    offer = writer.offer(content, part_size=1000)
    upload = writer.peer.offer(offer)
    assert isinstance(upload, Upload) and (upload.part_size, upload.have) == (1000, ())
    for number in (3, 1, 2, 1):
        writer.peer.put_part(upload.upload, number, content[(number - 1) * 1000 : number * 1000])
    assert sorted(writer.peer.upload(upload.upload).have) == [1, 2, 3]
    receipt = writer.peer.complete(upload.upload).receipt
    receipts.check_blob(receipt.act, offer.sha256, offer.size)
    seen = receipts.opened(receipt.checkpoint, Verifier(*writer.enrolled.log))
    receipts.check_inclusion(receipts.act_leaf(receipt.act), receipt.leaf, receipt.proof, seen)


def test_an_offer_finds_the_upload_again_and_in_the_end_the_receipt(writer: Writer) -> None:
    content = secrets.token_bytes(1500)
    offer = writer.offer(content, part_size=1000)
    first = writer.peer.offer(offer)
    assert isinstance(first, Upload)
    writer.peer.put_part(first.upload, 2, content[1000:])
    again = writer.peer.offer(offer)
    assert isinstance(again, Upload) and (again.upload, again.have) == (first.upload, (2,))
    writer.peer.put_part(first.upload, 1, content[:1000])
    done = writer.peer.complete(first.upload)
    held = writer.peer.offer(offer)
    assert isinstance(held, Held) and held.receipt.act == done.receipt.act
    assert writer.peer.complete(first.upload).receipt.leaf == done.receipt.leaf


def test_what_is_wrong_with_a_part_is_told(writer: Writer) -> None:
    upload = writer.peer.offer(writer.offer(b"a" * 2000, part_size=1000))
    assert isinstance(upload, Upload)
    writer.peer.put_part(upload.upload, 1, b"a" * 1000)
    with pytest.raises(PartConflict):
        writer.peer.put_part(upload.upload, 1, b"b" * 1000)
    with pytest.raises(PartsMissing):
        writer.peer.complete(upload.upload)
    with pytest.raises(NotFound):
        writer.peer.put_part(upload.upload, 3, b"c")
    with pytest.raises(NotFound):
        writer.peer.put_part("u-unknown", 1, b"c")


def test_parts_that_make_another_blob_than_was_offered_end_the_upload(writer: Writer) -> None:
    upload = writer.peer.offer(writer.offer(b"a" * 1000, part_size=1000))
    assert isinstance(upload, Upload)
    writer.peer.put_part(upload.upload, 1, b"b" * 1000)
    with pytest.raises(DigestMismatch):
        writer.peer.complete(upload.upload)
    with pytest.raises(NotFound):
        writer.peer.upload(upload.upload)


def test_a_blob_is_shown_to_whoever_sees_a_record_that_names_it(house: tuple[TestServer, Connect]) -> None:
    writer, reader, stranger = Writer(house), Writer(house), Writer(house, area="510104")
    content = secrets.token_bytes(3000)
    offer = writer.offer(content)
    upload = writer.peer.offer(offer)
    assert isinstance(upload, Upload)
    writer.peer.put_part(upload.upload, 1, content)
    writer.peer.complete(upload.upload)
    with pytest.raises(NotFound):
        reader.peer.blob(offer.sha256)
    evidence = {"sha256": offer.sha256, "size": offer.size, "mime": "image/jpeg"}
    record = f"r-{offer.sha256[:20]}"
    note = Change.make({**writer.change(record).body, "kind": "patrol_note", "set": {
        path: {"parents": [], "value": value}
        for path, value in {"area": AREA, "spot": "三楼", "evidence/e1": evidence}.items()
    }})  # fmt: skip
    writer.peer.push(writer.batch(note))
    assert reader.peer.blob(offer.sha256) == content
    assert reader.peer.blob(offer.sha256, start=2900) == content[2900:]
    with pytest.raises(NotFound):
        stranger.peer.blob(offer.sha256)


def test_a_verification_code_leads_to_its_original_within_the_scope(house: tuple[TestServer, Connect]) -> None:
    writer, reader, stranger = Writer(house), Writer(house), Writer(house, area="510104")
    content = secrets.token_bytes(300)
    offer = writer.offer(content)
    record = f"e-{offer.sha256[:20]}"
    code = codes.code_of(offer.sha256, record)
    values = {"subject": "x", "area": AREA, "sha256": offer.sha256, "size": 300, "mime": "image/jpeg", "code": code}
    note = Change.make({**writer.change(record).body, "kind": "evidence", "set": {
        path: {"parents": [], "value": value} for path, value in {**values, "role": "original"}.items()
    }})  # fmt: skip
    writer.peer.push(writer.batch(note))
    found = reader.peer.original(codes.printed(code))
    assert (found.id, found.held, found.copies) == (record, False, ())
    assert found.values["sha256"] == offer.sha256
    with pytest.raises(NotFound):
        stranger.peer.original(codes.printed(code))
    with pytest.raises(InvalidField):
        reader.peer.original("7K3M")


# ---- the log -----------------------------------------------------------------------------------------------


def test_any_leaf_is_proved_at_any_later_size(writer: Writer) -> None:
    changes = [writer.change() for _ in range(7)]
    placed = {one.leaf: one.id for one in writer.peer.push(writer.batch(*changes)).results}
    hashes = {change.id: change.hash for change in changes}
    seen = receipts.opened(writer.peer.checkpoint(), Verifier(*writer.enrolled.log))
    for leaf, proof in writer.peer.inclusion(seen.size, sorted(placed)[::3]).items():
        receipts.check_inclusion(receipts.change_leaf(hashes[placed[leaf]]), leaf, proof, seen)


def test_consistency_is_proved_between_any_two_sizes(writer: Writer) -> None:
    trusted = Verifier(*writer.enrolled.log)
    notes = []
    for _ in range(4):
        writer.peer.push(writer.batch(writer.change()))
        notes.append(receipts.opened(writer.peer.checkpoint(), trusted))
    for old in notes:
        for new in notes:
            if old.size < new.size:
                receipts.extended(old, new, writer.peer.consistency(old.size, new.size))


def test_a_proof_beyond_the_log_is_refused(writer: Writer) -> None:
    with pytest.raises(NotFound):
        writer.peer.inclusion(99, [1])
    with pytest.raises(NotFound):
        writer.peer.consistency(1, 99)


def test_traffic_is_counted(writer: Writer) -> None:
    writer.peer.push(writer.batch(writer.change()))
    traffic = writer.peer.traffic
    assert traffic == (0, 0) if isinstance(writer.peer, LocalPeer) else traffic.sent > 300 and traffic.received > 300
