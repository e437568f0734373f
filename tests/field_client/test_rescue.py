"""Everything that can be read leaves the tablet, whatever is damaged; and another tablet can carry it on."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from field_client.evidence.capture import capture
from field_client.exchange.rescue import pack, unpack
from field_client.platform.keys import Secrets
from field_client.tablet import Tablet
from sync import courier
from sync.core.errors import BadCourier
from sync.courier import Courier, Manifest
from tests.support.pictures import jpeg
from tests.support.tablets import SECRETS, hazard, tablet_in

HAZARDS = 400
OTHER = Secrets(bytes(range(100, 132)), bytes(range(132, 164)))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A closed tablet with many hazards and a photo, all of it in the database file itself."""
    tablet = tablet_in(tmp_path / "home")
    with tablet.store.writing():
        for number in range(HAZARDS):
            record = hazard(tablet, f"隐患 {number}：" + "走访记录" * 50)
    capture(tablet, record, io.BytesIO(jpeg(800, 600)), name="IMG_1.jpg")
    tablet.store.database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    tablet.close()
    return tmp_path / "home"


def packed(home: Path) -> tuple[list[bytes], list[Manifest]]:
    """The couriers that the tablet fills."""
    volumes: list[io.BytesIO] = []

    @contextlib.contextmanager
    def volume(number: int) -> Iterator[BinaryIO]:
        volumes.append(io.BytesIO())
        yield volumes[-1]

    manifests = pack(home, SECRETS, 1_795_000_000_000, volume)
    return [one.getvalue() for one in volumes], manifests


def ids(content: bytes) -> set[str]:
    return {one.change.id for one in Courier.read(io.BytesIO(content)).changes()}


def written(home: Path) -> set[str]:
    tablet = tablet_in(home)
    try:
        return {row[0] for row in tablet.store.database.rows("SELECT id FROM changes")}
    finally:
        tablet.close()


# ---- out ---------------------------------------------------------------------------------------------------


def test_a_sound_tablet_leaves_nothing_behind(home: Path) -> None:
    (content,), (manifest,) = packed(home)
    assert ids(content) == written(home) and manifest.lost == ()
    assert {one.role for one in manifest.parcels} == {"thumbnail", "preview", "original"}
    assert all(one.records and one.name == "IMG_1.jpg" for one in manifest.parcels)


def test_damaged_pages_cost_their_rows_and_nothing_else(home: Path) -> None:
    everything = written(home)
    database = home / "patrolbook.db"
    content = bytearray(database.read_bytes())
    pages = len(content) // 4096
    for page in range(pages // 3, pages // 3 + 8):
        content[page * 4096 + 200] ^= 1
    database.write_bytes(content)
    (packed_content,), (manifest,) = packed(home)
    saved = ids(packed_content)
    assert saved < everything and len(saved) > 0.7 * len(everything)
    assert len(manifest.lost) >= len(everything) - len(saved) > 0
    assert database.read_bytes() == bytes(content)  # an expert still finds it as it was


def test_a_database_that_lost_its_end_gives_what_it_has(home: Path) -> None:
    everything = written(home)
    database = home / "patrolbook.db"
    whole = database.read_bytes()
    database.write_bytes(whole[: len(whole) * 2 // 3 // 4096 * 4096])
    (content,), (manifest,) = packed(home)
    assert 0 < len(ids(content)) < len(everything)
    assert manifest.lost and len(manifest.parcels) == 3


@pytest.mark.parametrize("rubbish", [b"", b"\0" * 9000, b"not a database" * 1000])
def test_without_a_database_the_photos_are_saved(home: Path, rubbish: bytes) -> None:
    for left in home.glob("patrolbook.db*"):
        left.write_bytes(rubbish)
    _, (manifest,) = packed(home)
    assert manifest.changes == 0 and len(manifest.parcels) == 3
    assert {one.mime for one in manifest.parcels} == {"image/jpeg"}
    assert any(one.what == "patrolbook.db" for one in manifest.lost)


def test_a_damaged_photo_is_listed_and_the_others_travel(home: Path) -> None:
    victim = max((one for one in (home / "blobs").rglob("*") if one.is_file()), key=lambda one: one.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[-5] ^= 1
    victim.write_bytes(content)
    _, (manifest,) = packed(home)
    assert [one.what for one in manifest.lost] == [f"blob {victim.name}"]
    assert len(manifest.parcels) == 2


def test_files_that_nothing_names_travel_too(home: Path) -> None:
    tablet = tablet_in(home)
    stray = tablet.files.add(io.BytesIO(b"%PDF-1.7 stray"))  # type: ignore[attr-defined]
    tablet.close()
    _, (manifest,) = packed(home)
    (found,) = [one for one in manifest.parcels if one.sha256 == stray.sha256]
    assert (found.mime, found.records) == ("application/pdf", ())


def test_more_files_than_a_courier_holds_fill_several(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "MOST_BLOBS", 2)
    contents, manifests = packed(home)
    assert [len(one.parcels) for one in manifests] == [2, 1]
    assert [one.changes > 0 for one in manifests] == [True, False]
    assert all(Courier.read(io.BytesIO(one)) for one in contents)


# ---- in ----------------------------------------------------------------------------------------------------


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Tablet]:
    tablet = tablet_in(tmp_path / "other", OTHER)
    yield tablet
    tablet.close()


def taken(tablet: Tablet, content: bytes) -> courier.Taken:
    return unpack(tablet, io.BytesIO(content), "t.courier", lambda: "").taken


def test_another_tablet_shows_it_at_once_and_queues_it(home: Path, other: Tablet) -> None:
    (content,), _ = packed(home)
    everything = written(home)
    assert taken(other, content) == courier.Taken(len(everything), 0, 3, 0)
    assert len(other.records("hazard")) == HAZARDS
    assert other.store.queued() == len(everything)
    assert {blob.role for blob in other.ledger().blobs} == {"thumbnail", "preview", "original"}


def test_twice_is_once(home: Path, other: Tablet) -> None:
    (content,), _ = packed(home)
    taken(other, content)
    before = other.store.queued()
    assert taken(other, content) == courier.Taken(0, before, 0, 3)
    assert other.store.queued() == before


def test_what_was_carried_can_be_carried_on(home: Path, other: Tablet, tmp_path: Path) -> None:
    (content,), _ = packed(home)
    taken(other, content)
    out = io.BytesIO()
    pack(other.home, OTHER, 0, lambda number: contextlib.nullcontext(out))
    assert ids(out.getvalue()) == written(home)


def test_a_carried_change_does_not_set_the_clock_back(home: Path, other: Tablet) -> None:
    record = hazard(other)
    before, _ = other.store.time()
    (content,), _ = packed(home)
    taken(other, content)
    after, _ = other.store.time()
    assert before is not None and after is not None and after > before
    assert other.write("hazard", record, {"measures": "清理"}).hlc > after


def test_changes_that_the_server_has_already_are_not_shown_again(home: Path, other: Tablet) -> None:
    tablet = tablet_in(home)
    with tablet.store.writing():
        tablet.store.database.run("UPDATE changes SET status = 'held', leaf = seq")
    tablet.close()
    (content,), _ = packed(home)
    assert taken(other, content).changes == 0 and other.records("hazard") == []


def test_a_change_with_the_same_id_and_other_content_is_refused(home: Path, other: Tablet) -> None:
    (content,), _ = packed(home)
    taken(other, content)
    with other.store.writing():
        other.store.database.run("UPDATE changes SET hash = zeroblob(32) WHERE seq = 5")
    with pytest.raises(BadCourier):
        taken(other, content)


def test_what_is_decrypted_on_the_way_has_no_name(home: Path, other: Tablet) -> None:
    out = io.BytesIO()
    with courier.locking(out, "words") as stream:
        pack(home, SECRETS, 0, lambda number: contextlib.nullcontext(stream))
    before = set(other.home.rglob("*"))
    unpack(other, io.BytesIO(out.getvalue()), "t.courier", lambda: "words")
    new = {one.name for one in set(other.home.rglob("*")) - before if one.is_file()}
    assert all(len(name) == 64 for name in new)
