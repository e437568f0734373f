"""The tablet's replica: pages, snapshots, settling, buckets that come and go, and files that are not what they were."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from field_client.evidence.likeness import Shelf
from field_client.evidence.removals import Removals
from field_client.exchange.outbox import Outbox
from field_client.platform import database
from field_client.store import Store
from field_client.work.search import Search
from sync.core.change import START, Change, chain_hash, compose, signature_input
from sync.core.engine import Waiting
from sync.core.errors import BrokenStore, EpochChanged, Malformed, NotFound, WrongKey
from sync.core.fold import Act, State, checksum
from sync.core.note import Checkpoint
from sync.peer import BlobReceipt, Gone, Page, Result
from tests.support.lines import TabletClock

A, B = "area:430102", "area:430103"
KEY = secrets.token_bytes(32)
SIGNER = Ed25519PrivateKey.generate()


@pytest.fixture
def store(tmp_path: Path) -> Any:
    made = new_store(tmp_path / "t.db")
    yield made
    made.close()


def new_store(path: Path) -> Store:
    store = Store.create(database.create(path, KEY), TabletClock(), SIGNER.sign)
    store.realign("e-1")
    return store


def state(record: str, rev: int, values: dict[str, Any] | None = None, *, members: tuple[str, ...] = ()) -> State:
    made = State(record, "visit")
    made.rev, made.members = rev, members
    for path, value in (values or {"title": f"{record} at {rev}"}).items():
        change = f"s-{record}-{rev}"
        made.live[path] = {change: value}
        made.acts[change] = Act("000000000001-0000", ("p",), "staff")
    return made


def page(
    puts: dict[str, list[State]] | None = None,
    gones: list[Gone] | None = None,
    *,
    more: bool = False,
    heads: dict[str, int] | None = None,
    sums: dict[str, tuple[int, int]] | None = None,
    revoked: tuple[str, ...] = (),
    cursors: dict[str, str] | None = None,
) -> Page:
    """A page through the wire's own form."""
    heads = heads or dict.fromkeys(puts or [A], 9)
    lines = [orjson.dumps({"head": {"epoch": "e-1", "time": 1, "buckets": heads, "granted": [], "revoked": revoked}})]
    for bucket, states in (puts or {}).items():
        for at, one in enumerate(states, start=1):
            lines.append(b'{"b":"%s","q":%d,"put":%s}' % (bucket.encode(), at, one.dump()))
    for gone in gones or []:
        told = {"b": gone.bucket, "q": 8, "gone": gone.id, "why": gone.why} | ({"into": gone.into} if gone.into else {})
        lines.append(orjson.dumps(told))
    end: dict[str, Any] = {"cursors": cursors or {bucket: f"{head}.0" for bucket, head in heads.items()}, "more": more}
    if sums is not None:
        end["sums"] = sums
    return Page.read([*lines, orjson.dumps({"end": end})])


def write(store: Store, record: str, path: str = "title", value: Any = "mine", parents: tuple[str, ...] = ()) -> Change:
    change = compose(
        id=store.clock.new_id(), kind="visit", record=record, set={path: (value, list(parents))}, by=["p-1"], schema=1,
        hlc="019aa9c4e1d8-0000", clock={"wall": 1, "mono": 1, "boot": "b", "off": 0},
    )  # fmt: skip
    with store.writing():
        store.outbox.append(change)
    return change


def acknowledge(store: Store, change: Change, rev: int, bucket: str = A, at: int = 1, root: str = "") -> None:
    result = Result(change.id, "accepted", root or change.record, rev, bucket, at, leaf=0)
    store.acknowledge([result], [], None, "")


def title(store: Store, record: str) -> list[Any]:
    return list(store.view(record).live["title"].values())


def total(*states: State) -> tuple[int, int]:
    return len(states), sum(checksum(one.dump()) for one in states)


# ---- pages -------------------------------------------------------------------------------------------------


def test_a_page_brings_records_and_its_cursors(store: Store) -> None:
    one, two = state("r1", 1), state("r2", 4)
    applied = store.apply(page({A: [one, two]}, sums={A: total(one, two)}), None, "")
    assert store.view("r1") == one and store.view("r2") == two
    assert store.cursors() == {A: "9.0"} and applied.moved and not applied.mismatched


def test_the_same_page_again_changes_nothing(store: Store) -> None:
    one = state("r1", 1)
    for _ in range(3):
        applied = store.apply(page({A: [one]}, sums={A: total(one)}), None, "")
    assert not applied.mismatched and not applied.moved


def test_a_page_whose_end_is_missing_is_never_applied() -> None:
    whole = page({A: [state("r1", 1)]})
    assert whole.records == 1
    line = b'{"b":"%s","q":1,"put":%s}' % (A.encode(), state("r1", 1).dump())
    with pytest.raises(Exception, match="without its end"):
        Page.read([b'{"head":{"epoch":"e","time":1,"buckets":{}}}', line])
    with pytest.raises(Exception, match="cannot be read"):
        Page.read([line[: len(line) // 2]])


def test_a_page_that_fails_half_way_leaves_neither_records_nor_cursors(store: Store) -> None:
    store.listeners.append(fail)
    with pytest.raises(ZeroDivisionError):
        store.apply(page({A: [state("r1", 1)]}), None, "")
    assert store.cursors() == {}
    with pytest.raises(NotFound):
        store.view("r1")


def fail(records: Any) -> None:
    raise ZeroDivisionError


def test_an_older_state_never_replaces_a_newer_one(store: Store) -> None:
    store.apply(page({A: [state("r1", 7)]}), None, "")
    store.apply(page({B: [state("r1", 3)]}), None, "")
    assert store.view("r1").rev == 7


def test_a_record_is_kept_while_another_bucket_holds_it(store: Store) -> None:
    store.apply(page({A: [state("r1", 1)], B: [state("r1", 2)]}), None, "")
    store.apply(page(gones=[Gone("r1", A)], heads={A: 10, B: 9}), None, "")
    assert store.view("r1").rev == 2
    store.apply(page(gones=[Gone("r1", B)], heads={A: 10, B: 10}), None, "")
    with pytest.raises(NotFound):
        store.view("r1")


def test_a_checksum_that_differs_is_told_per_bucket(store: Store) -> None:
    one, two = state("r1", 1), state("r2", 1)
    sums = {A: total(one), B: (2, total(two)[1])}
    assert store.apply(page({A: [one], B: [two]}, sums=sums), None, "").mismatched == (B,)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("pg"), st.sampled_from([A, B]), st.integers(1, 5), st.integers(1, 9)), max_size=25
    )
)
def test_the_kept_counts_and_sums_are_those_of_the_records_that_are_there(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int, int]]
) -> None:
    store = new_store(tmp_path_factory.mktemp("s") / "t.db")
    buckets: dict[str, dict[str, int]] = {A: {}, B: {}}
    for rev, (what, bucket, record, _) in enumerate(steps, start=1):
        one = state(f"r{record}", rev)
        if what == "p":
            buckets[bucket][one.record] = checksum(one.dump())
            store.apply(page({bucket: [one]}, more=True), None, "")
        else:
            buckets[bucket].pop(one.record, None)
            store.apply(page(gones=[Gone(one.record, bucket)], heads={A: 9, B: 9}, more=True), None, "")
    sums = {bucket: (len(records), sum(records.values())) for bucket, records in buckets.items()}
    assert not store.apply(page(heads={A: 9, B: 9}, sums=sums), None, "").mismatched
    assert dict(store.pulled.kinds()) == ({"visit": n} if (n := len({*buckets[A], *buckets[B]})) else {})
    store.close()


# ---- merged records ----------------------------------------------------------------------------------------


def test_a_merged_record_is_found_under_its_old_id_and_again_alone_when_that_is_undone(store: Store) -> None:
    store.apply(page({A: [state("r1", 1), state("r2", 1)]}), None, "")
    merged = page({A: [state("r1", 2, members=("r2",))]}, [Gone("r2", A, "merged", "r1")])
    store.apply(merged, None, "")
    assert store.view("r2") == store.view("r1")
    mine = write(store, "r2", "note")
    assert mine.id in store.view("r1").live["note"]
    store.apply(page({A: [state("r1", 3), state("r2", 3)]}), None, "")
    assert store.view("r2").record == "r2" and "note" not in store.view("r1").live


def test_a_merge_of_merges_leads_to_the_last_root(store: Store) -> None:
    store.apply(page({A: [state("r1", 2, members=("r2",))]}, [Gone("r2", A, "merged", "r1")]), None, "")
    store.apply(page({A: [state("r0", 5, members=("r1", "r2"))]}, [Gone("r1", A, "merged", "r0")]), None, "")
    assert store.pulled.root("r2") == "r0" == store.pulled.root("r1")


# ---- settling ----------------------------------------------------------------------------------------------


def test_an_own_change_stays_on_the_screen_until_a_pulled_state_contains_it(store: Store) -> None:
    store.apply(page({A: [state("r1", 1, {"title": "old"})]}), None, "")
    change = write(store, "r1", "title", "mine", tuple(store.view("r1").ids("title")))
    assert title(store, "r1") == ["mine"]
    acknowledge(store, change, rev=3, at=7)
    assert title(store, "r1") == ["mine"]
    store.apply(page({A: [state("r1", 2, {"title": "between"})]}, more=True), None, "")
    assert title(store, "r1") == ["between", "mine"]
    after = state("r1", 3, {"title": "merged"})
    store.apply(page({A: [after]}), None, "")
    assert title(store, "r1") == ["merged"]


def test_a_change_whose_record_left_our_scope_settles_at_a_complete_pull_only(store: Store) -> None:
    change = write(store, "r1")
    acknowledge(store, change, rev=1, bucket=B, at=4)
    store.apply(page({A: []}, heads={A: 1}, more=True), None, "")
    assert title(store, "r1") == ["mine"]
    store.apply(page({A: []}, heads={A: 1}), None, "")
    with pytest.raises(NotFound):
        store.view("r1")


def test_a_change_waits_while_its_bucket_is_behind_the_acknowledged_position(store: Store) -> None:
    change = write(store, "r1")
    acknowledge(store, change, rev=1, bucket=A, at=40)
    store.apply(page({A: []}, heads={A: 39}), None, "")
    assert title(store, "r1") == ["mine"]
    store.apply(page({A: []}, heads={A: 40}), None, "")
    with pytest.raises(NotFound):
        store.view("r1")


def test_a_change_to_a_record_merged_meanwhile_settles_with_the_root(store: Store) -> None:
    change = write(store, "r2")
    acknowledge(store, change, rev=4, bucket=A, at=90, root="r2")
    store.apply(page({A: [state("r1", 6, members=("r2",))]}), None, "")
    assert store.outbox.of("r2")[0].status == "settled"


# ---- scope -------------------------------------------------------------------------------------------------


def test_a_revoked_bucket_goes_with_its_records(store: Store) -> None:
    store.apply(page({A: [state("r1", 1)], B: [state("r2", 1)]}), None, "")
    store.apply(page(heads={A: 9}, revoked=(B,)), None, "")
    assert store.cursors().keys() == {A}
    with pytest.raises(NotFound):
        store.view("r2")


def test_a_revoked_bucket_waits_until_own_changes_to_it_are_taken(store: Store) -> None:
    store.apply(page({B: [state("r2", 1)]}), None, "")
    change = write(store, "r2")
    store.apply(page(heads={A: 9}, revoked=(B,)), None, "")
    assert store.view("r2").rev == 1 and B in store.cursors()
    acknowledge(store, change, rev=2, bucket=B, at=3)
    store.apply(page(heads={A: 9}, revoked=(B,)), None, "")
    with pytest.raises(NotFound):
        store.view("r2")


def test_a_bucket_that_is_read_again_keeps_showing_what_it_had_until_it_is_complete(store: Store) -> None:
    store.apply(page({A: [state("r1", 1), state("r2", 1)]}), None, "")
    store.refill(A)
    assert store.cursors() == {A: "0"} and store.view("r2").rev == 1
    store.apply(page({A: [state("r1", 2)]}, more=True), None, "")
    assert store.view("r2").rev == 1
    applied = store.apply(page({A: []}, heads={A: 9}, sums={A: total(state("r1", 2))}), None, "")
    assert not applied.mismatched
    with pytest.raises(NotFound):
        store.view("r2")


# ---- snapshots ---------------------------------------------------------------------------------------------


def snapshot(path: Path, states: list[State], *, epoch: str = "e-1", bucket: str = A, cursor: str = "7.0") -> Path:
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        made.execute("CREATE TABLE states(id TEXT PRIMARY KEY, kind TEXT, rev INTEGER, bytes BLOB, sum INTEGER)")
        facts = {"epoch": epoch, "bucket": bucket, "cursor": cursor, "count": len(states), "checksum": 0}
        made.executemany("INSERT INTO meta VALUES (?, ?)", [(k, str(v)) for k, v in facts.items()])
        rows = [(one.record, one.kind, one.rev, one.dump(), 0) for one in states]
        made.executemany("INSERT INTO states VALUES (?, ?, ?, ?, ?)", rows)
    made.close()
    return path


def test_a_snapshot_fills_a_bucket_in_one_transaction_and_computes_its_own_sums(store: Store, tmp_path: Path) -> None:
    states = [state(f"r{n}", n) for n in range(1, 20)]
    assert store.fill(A, snapshot(tmp_path / "s", states)) == 19
    assert store.cursors() == {A: "7.0"} and store.view("r5") == states[4]
    assert not store.apply(page(heads={A: 7}, sums={A: total(*states)}), None, "").mismatched


def test_a_snapshot_replaces_what_the_bucket_held_but_no_newer_state(store: Store, tmp_path: Path) -> None:
    store.apply(page({A: [state("gone", 1), state("newer", 9)]}), None, "")
    store.fill(A, snapshot(tmp_path / "s", [state("newer", 4), state("r1", 1, members=("r0",))]))
    assert store.view("newer").rev == 9 and store.view("r0").record == "r1"
    with pytest.raises(NotFound):
        store.view("gone")


def test_a_snapshot_of_another_epoch_or_bucket_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(EpochChanged):
        store.fill(A, snapshot(tmp_path / "s1", [state("r1", 1)], epoch="e-2"))
    with pytest.raises(Malformed):
        store.fill(A, snapshot(tmp_path / "s2", [state("r1", 1)], bucket=B))
    assert store.cursors() == {}


def test_a_file_that_is_no_snapshot_is_refused_and_can_be_read_past(store: Store, tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"<html>login</html>" * 500)
    with pytest.raises(Malformed):
        store.fill(A, tmp_path / "s")
    cut = snapshot(tmp_path / "cut", [state(f"r{n}", 1) for n in range(200)])
    cut.write_bytes(cut.read_bytes()[:8192])
    with pytest.raises(Malformed):
        store.fill(A, cut)
    store.fill(A, snapshot(tmp_path / "good", [state("r1", 1)]))
    assert store.view("r1").rev == 1


# ---- own changes -------------------------------------------------------------------------------------------


def chain_is_whole(store: Store, changes: list[Change]) -> bool:
    batch = store.batch(len(changes))
    prev = START
    for run in batch.runs:
        assert run.prev == prev
        for n, (signature, change) in enumerate(zip(run.signatures, changes, strict=True), start=run.n):
            prev = chain_hash(run.replica, n, prev, change.hash)
            SIGNER.public_key().verify(signature, signature_input(prev))
    return list(batch.contents) == [change.content for change in changes]


def test_changes_are_chained_and_signed_as_they_are_written(store: Store) -> None:
    assert chain_is_whole(store, [write(store, f"r{n}") for n in range(4)])


def test_a_fork_numbers_and_signs_again_what_is_queued_and_keeps_ids(store: Store) -> None:
    first = write(store, "r0")
    acknowledge(store, first, rev=1)
    later = [write(store, f"r{n}") for n in (1, 2)]
    before = store.replica
    store.fork()
    assert store.replica != before and not store.standing().registered
    assert chain_is_whole(store, later)
    assert store.outbox.of("r0")[0].link.replica == before


def test_a_number_that_is_left_out_begins_a_new_run(store: Store) -> None:
    changes = [write(store, f"r{n}") for n in range(5)]
    store.bury(changes[2].id, Malformed(detail="x"))
    runs = store.batch(10).runs
    assert [(run.n, len(run.signatures)) for run in runs] == [(1, 2), (4, 2)]


def test_a_dead_letter_stays_on_the_screen_and_can_be_sent_again(store: Store) -> None:
    change = write(store, "r1")
    store.bury(change.id, Malformed(detail="x"))
    assert store.queued() == 0 and title(store, "r1") == ["mine"]
    with store.writing():
        assert store.outbox.revive() == 1
    assert store.queued() == 1


def test_a_new_epoch_drops_what_was_pulled_and_offers_every_change_again(store: Store) -> None:
    store.apply(page({A: [state("r1", 1)]}), Checkpoint("log", 5, bytes(32)), "note")
    done, waiting = write(store, "r1"), write(store, "r2")
    acknowledge(store, done, rev=1)
    store.apply(page(heads={A: 9}), None, "")
    with store.writing():
        store.uploads.attach("r1", "ab" * 32, 10, "image/jpeg", "original", "")
    store.hold("ab" * 32, BlobReceipt("{}", 1, (), "note"))
    store.note_registered()
    store.realign("e-2")
    assert store.cursors() == {} and store.standing() == ("e-2", store.replica, False, True)
    assert store.batch(9).ids == (done.id, waiting.id)
    assert store.waiting_blobs(3) == [Waiting("ab" * 32, 10, 2)]
    assert store.checkpoint().size == 0
    assert title(store, "r1") == ["mine"]


def test_two_threads_write_without_getting_in_each_other_s_way(tmp_path: Path) -> None:
    new_store(tmp_path / "t.db").close()

    def work() -> None:
        mine = Store(database.open_existing(tmp_path / "t.db", KEY), TabletClock(), SIGNER.sign)
        for n in range(25):
            write(mine, f"r{n}")
        mine.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = Store(database.open_existing(tmp_path / "t.db", KEY), TabletClock(), SIGNER.sign)
    (run,) = store.batch(100).runs
    assert len(run.signatures) == 75
    store.close()


@pytest.mark.parametrize(
    "index",
    [Search, lambda store: Shelf(store.database), lambda store: Removals(store.database)],
    ids=["search", "likeness", "removals"],
)
def test_threads_that_meet_a_store_without_an_index_make_it_once(
    tmp_path: Path, index: Callable[[Store], object]
) -> None:
    new_store(tmp_path / "t.db").close()
    together, wrong = threading.Barrier(6), list[Exception]()

    def work() -> None:
        mine = Store(database.open_existing(tmp_path / "t.db", KEY), TabletClock(), SIGNER.sign)
        together.wait(30)
        try:
            index(mine)
        except Exception as error:
            wrong.append(error)
        mine.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# ---- blobs -------------------------------------------------------------------------------------------------


def test_blobs_wait_in_the_order_of_their_urgency(store: Store) -> None:
    for name, mime, role in (("v", "video/mp4", "original"), ("o", "image/jpeg", "original"),
                             ("p", "image/jpeg", "preview"), ("t", "image/jpeg", "thumbnail")):  # fmt: skip
        with store.writing():
            store.uploads.attach("r1", hashlib.sha256(name.encode()).hexdigest(), 10, mime, role, name)  # type: ignore[arg-type]
    assert [waiting.priority for waiting in store.waiting_blobs(3)] == [0, 1, 2, 3]
    assert [waiting.priority for waiting in store.waiting_blobs(1)] == [0, 1]


def test_the_same_blob_of_two_records_waits_once(store: Store) -> None:
    with store.writing():
        for record in ("r1", "r2", "r2"):
            store.uploads.attach(record, "ab" * 32, 10, "image/jpeg", "original", "")
    (blob,) = store.uploads.all()
    assert blob.records == ("r1", "r2") and store.uploads.all("r2") == [blob]


def test_parts_are_counted_and_forgotten_when_the_upload_is_another(store: Store) -> None:
    with store.writing():
        store.uploads.attach("r1", "ab" * 32, 25, "image/jpeg", "original", "")
    store.uploading("ab" * 32, "u-1", 10, [2])
    store.part_sent("ab" * 32, 1)
    store.part_sent("ab" * 32, 1)
    assert store.uploads.all()[0][6:8] == (2, 3)
    store.uploading("ab" * 32, "u-2", 10, [])
    assert store.uploads.all()[0][6:8] == (0, 3)


# ---- the file ----------------------------------------------------------------------------------------------


def reopened(path: Path, key: bytes = KEY) -> Store:
    opened = database.open_existing(path, key)
    try:
        return Store(opened, TabletClock(), SIGNER.sign)
    except BaseException:
        opened.close()
        raise


def filled(path: Path) -> Path:
    store = new_store(path)
    store.apply(page({A: [state(f"r{n}", 1, {"title": "文字" * 400}) for n in range(60)]}), None, "")
    store.close()
    return path


def test_nothing_of_what_was_written_can_be_read_in_the_file(tmp_path: Path) -> None:
    content = filled(tmp_path / "t.db").read_bytes()
    assert b"SQLite" not in content and "文字".encode() not in content and b"title" not in content


def test_what_was_written_is_there_after_opening_again(tmp_path: Path) -> None:
    store = reopened(filled(tmp_path / "t.db"))
    assert store.view("r7").live["title"]
    store.close()


def test_a_wrong_key_is_told_apart_from_damage(tmp_path: Path) -> None:
    path = filled(tmp_path / "t.db")
    with pytest.raises(WrongKey):
        reopened(path, secrets.token_bytes(32))
    reopened(path).close()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20_000])


def cut_in_a_page(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 4096 * 5 + 100])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def overwritten_at_its_head(path: Path) -> None:
    path.write_bytes(bytes(4096) + path.read_bytes()[4096:])


def another_file(path: Path) -> None:
    path.write_bytes(b"%PDF-1.7 " * 2000)


@pytest.mark.parametrize("damage", [cut, cut_in_a_page, emptied, overwritten_at_its_head, another_file])
def test_a_damaged_file_is_told_as_it_is_opened(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = filled(tmp_path / "t.db")
    damage(path)
    with pytest.raises(BrokenStore) as caught:
        reopened(path)
    assert caught.value.facts["file"] == "t.db"


def test_a_flipped_byte_is_told_by_the_read_that_meets_it(tmp_path: Path) -> None:
    path = filled(tmp_path / "t.db")
    content = bytearray(path.read_bytes())
    for page_start in range(4096 * 8, len(content), 4096):
        content[page_start + 99] ^= 1
    path.write_bytes(content)
    store = reopened(path)
    with pytest.raises(BrokenStore):
        store.special()
        for n in range(60):
            store.view(f"r{n}")
    store.close()


def test_a_missing_file_is_told_as_missing(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        reopened(tmp_path / "t.db")


def test_a_database_is_never_made_over_another(tmp_path: Path) -> None:
    filled(tmp_path / "t.db")
    with pytest.raises(FileExistsError):
        database.create(tmp_path / "t.db", KEY)


def test_a_transaction_inside_another_is_part_of_it(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.writing():
        write(store, "r1")
        raise ZeroDivisionError
    assert store.queued() == 0 and isinstance(store.outbox, Outbox)
