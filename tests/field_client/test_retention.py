"""What may leave a tablet, when, and against what: never without a receipt that holds at that moment."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from field_client.evidence import derivatives, retention, tidying
from field_client.evidence.capture import capture
from field_client.evidence.removals import Removals
from field_client.evidence.retention import DAY_MS, HOUR_MS, Line, Terms
from field_client.exchange.rescue import BLOBS
from field_client.platform.clock import SystemClock
from field_client.platform.files import EncryptedFiles
from field_client.platform.keys import Vault
from field_client.tablet import Tablet
from field_client.work import inspecting
from sync.core.errors import InvalidField, NotFound, Unavailable
from sync.replicator import RoundReport
from tests.support.patrols import AREA, enrolled, round_of
from tests.support.pictures import jpeg
from tests.support.scene import PIN, Province, Scene, province_in, scene_in
from tests.support.server import TestServer, running_server
from tests.support.tablets import institution

PHOTO = jpeg(900, 700)
FILM = bytes(range(256)) * 16


class Days:
    """Moves the clocks of the tablet and of the server together."""

    def __init__(self, server: TestServer) -> None:
        self.server, self.ahead = server, 0

    def go(self, ms: int) -> None:
        self.ahead += ms
        self.server.clock.ahead += ms


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    with running_server(tmp_path / "server") as running:
        yield running


@pytest.fixture
def days(server: TestServer, monkeypatch: pytest.MonkeyPatch) -> Days:
    made, wall = Days(server), SystemClock.wall_ms
    monkeypatch.setattr(SystemClock, "wall_ms", lambda self: wall(self) + made.ahead)
    return made


@pytest.fixture
def tablet(server: TestServer, days: Days, tmp_path: Path) -> Iterator[Tablet]:
    made = enrolled(server, tmp_path / "home")
    yield made
    made.close()


def hazard(tablet: Tablet, area: str = AREA) -> str:
    values = {"description": "疏散通道堆放杂物", "area": area, "status": "open", "grade": "general"}
    return tablet.write("hazard", None, values).record


def photo(tablet: Tablet, record: str, content: bytes = PHOTO) -> str:
    return capture(tablet, record, io.BytesIO(content), name="IMG_1.jpg").sha256


def sent(tablet: Tablet) -> RoundReport:
    """A round, after everything that is owed to the files."""
    derivatives.catch_up(tablet)
    return round_of(tablet)  # type: ignore[no-any-return]


def line(tablet: Tablet, sha256: str) -> Line:
    return next(one for one in retention.lines(tablet) if one.blob.sha256 == sha256)


def has(tablet: Tablet, sha256: str) -> bool:
    return isinstance(tablet.files, EncryptedFiles) and tablet.files.has(sha256)


def test_a_file_stays_until_its_receipt_is_verified_and_its_term_is_over(tablet: Tablet, days: Days) -> None:
    taken = photo(tablet, hazard(tablet))
    days.go(30 * DAY_MS)
    assert "does not have it" in line(tablet, taken).why.en
    sent(tablet)
    assert not line(tablet, taken).may and line(tablet, taken).due_ms is not None
    days.go(7 * DAY_MS - HOUR_MS)
    assert tidying.tidy(tablet).files == 0 and has(tablet, taken)
    days.go(2 * HOUR_MS)
    assert line(tablet, taken).may


def test_copies_go_first_and_evidence_last_and_thumbnails_stay(tablet: Tablet, days: Days) -> None:
    photo(tablet, hazard(tablet))
    sent(tablet)
    days.go(8 * DAY_MS)
    assert [one.what for one in retention.lines(tablet)] == ["derived", "original", "thumbnail"]
    done = tidying.tidy(tablet)
    assert (done.files, done.refused) == (2, {})
    assert [one.what for one in retention.lines(tablet)] == ["thumbnail"]


def test_what_went_is_noted_with_the_leaf_that_answers_for_it(tablet: Tablet, days: Days) -> None:
    taken = photo(tablet, hazard(tablet))
    sent(tablet)
    days.go(8 * DAY_MS)
    receipt = tablet.store.uploads.receipt(taken)
    tidying.tidy(tablet)
    noted = Removals(tablet.store.database).all()[taken]
    assert receipt is not None and (noted.what, noted.size, noted.leaf) == ("original", len(PHOTO), receipt.leaf)
    assert abs(noted.at - days.server.clock()) < 60_000


def test_the_photos_of_an_inspection_that_is_not_handed_in_stay(tablet: Tablet, days: Days) -> None:
    visit = inspecting.start(tablet, institution(tablet, area=AREA), "patrol", [])
    taken = photo(tablet, visit)
    sent(tablet)
    days.go(8 * DAY_MS)
    assert "not handed in" in line(tablet, taken).why.en and not line(tablet, taken).may
    days.go(23 * DAY_MS)
    assert line(tablet, taken).may  # nobody touched the draft for thirty days


def test_a_day_passes_between_handing_in_and_tidying(tablet: Tablet, days: Days) -> None:
    visit = inspecting.start(tablet, institution(tablet, area=AREA), "patrol", [])
    taken = photo(tablet, visit)
    sent(tablet)
    days.go(9 * DAY_MS)
    tablet.write("inspection", visit, {"status": "submitted"})
    assert not line(tablet, taken).may
    days.go(25 * HOUR_MS)
    assert line(tablet, taken).may


def test_nothing_goes_while_a_picture_is_still_to_be_made_of_it(tablet: Tablet, days: Days) -> None:
    taken = photo(tablet, hazard(tablet))
    sent(tablet)
    days.go(8 * DAY_MS)
    evidence = tablet.records("evidence")[0]
    with tablet.store.writing():
        tablet.store.chores.owe(evidence, ["sm3"])
    assert not line(tablet, taken).may


def _other_size(act: str) -> str:
    return json.dumps({**json.loads(act), "size": 1}, sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize(
    ("column", "spoil"),
    [
        ("act", _other_size),
        ("leaf", lambda leaf: leaf + 1),
        ("proof", lambda proof: "[]" if proof != "[]" else '["' + "A" * 43 + '="]'),
        ("checkpoint", lambda note: note.replace("\n\n— ", "\n\n— x")),
    ],
)
def test_a_receipt_that_does_not_hold_keeps_its_file(tablet: Tablet, days: Days, column: str, spoil: Any) -> None:
    record = hazard(tablet)
    taken = photo(tablet, record, FILM)
    photo(tablet, record, FILM + b'2')
    sent(tablet)
    days.go(8 * DAY_MS)
    value = tablet.store.database.value(f"SELECT {column} FROM blobs WHERE sha256 = ?", (taken,))
    with tablet.store.writing():
        tablet.store.database.run(f"UPDATE blobs SET {column} = ? WHERE sha256 = ?", (spoil(value), taken))
    done = tidying.tidy(tablet)
    assert taken in done.refused and has(tablet, taken) and taken not in Removals(tablet.store.database).all()


@pytest.mark.parametrize("lose", ["row", "file"])
def test_a_file_that_the_server_has_no_more_stays_and_goes_up_again(tablet: Tablet, days: Days, lose: str) -> None:
    taken = photo(tablet, hazard(tablet), FILM)
    sent(tablet)
    days.go(8 * DAY_MS)
    house = days.server.instance
    if lose == "file":
        house.files.path(taken).unlink()
    else:
        with house.database.write() as conn:
            _lose(conn, taken)
    done = tidying.tidy(tablet)
    assert "goes up again" in done.refused[taken].en and has(tablet, taken)
    assert sent(tablet).blobs == 1 and house.files.has(taken, len(FILM))


def _lose(conn: Any, sha256: str) -> None:
    for table in ("holdings", "blob_mentions", "blobs"):
        conn.execute(text(f"DELETE FROM {table} WHERE sha256 = :one"), {"one": sha256})


def test_without_the_server_nothing_goes(tablet: Tablet, days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = photo(tablet, hazard(tablet), FILM)
    sent(tablet)
    days.go(8 * DAY_MS)

    class Gone:
        def hello(self) -> None:
            raise Unavailable()

    monkeypatch.setattr(tablet, "peer", Gone)
    with pytest.raises(Unavailable):
        tidying.tidy(tablet)
    assert has(tablet, taken)


def test_a_server_that_was_restored_is_synchronised_with_first(tablet: Tablet, days: Days) -> None:
    taken = photo(tablet, hazard(tablet), FILM)
    sent(tablet)
    days.go(8 * DAY_MS)
    with tablet.store.writing():
        tablet.store.note("epoch", "another")
    with pytest.raises(Unavailable):
        tidying.tidy(tablet)
    assert has(tablet, taken)


def test_what_was_removed_comes_back_whole(tablet: Tablet, days: Days) -> None:
    taken = photo(tablet, hazard(tablet), FILM)
    sent(tablet)
    days.go(8 * DAY_MS)
    tidying.tidy(tablet)
    assert not has(tablet, taken)
    tidying.bring_back(tablet, taken)
    with tablet.files.open(taken) as content:
        assert content.read() == FILM
    with pytest.raises(NotFound):
        tidying.bring_back(tablet, taken)


def test_terms_are_whole_numbers_and_others_are_refused(tablet: Tablet) -> None:
    assert retention.set_terms(tablet.home, {"original_days": 14}).original_days == 14
    assert retention.terms_of(tablet.home) == Terms(original_days=14)
    for wrong in ({"original_days": -1}, {"original_days": True}, {"years": 1}):
        with pytest.raises(InvalidField):
            retention.set_terms(tablet.home, wrong)
    (tablet.home / retention.FILE).write_text("[]")
    with pytest.raises(InvalidField):
        retention.lines(tablet)


# ---- cut off, cloned ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", ["noted", "removed"])
def test_a_tidying_that_is_killed_leaves_nothing_torn(
    tablet: Tablet, days: Days, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    taken = photo(tablet, hazard(tablet), FILM)
    sent(tablet)
    days.go(8 * DAY_MS)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if before == "noted":
            patched.setattr(Removals, "note", killed)
        else:
            patched.setattr(EncryptedFiles, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            tidying.tidy(tablet)
    assert has(tablet, taken) and (taken in Removals(tablet.store.database).all()) == (before == "removed")
    assert tidying.tidy(tablet).files == 1 and not has(tablet, taken)


def test_a_file_noted_as_removed_is_looked_at_anew_and_stays_if_the_server_lost_it(tablet: Tablet, days: Days) -> None:
    taken = photo(tablet, hazard(tablet), FILM)
    sent(tablet)
    days.go(8 * DAY_MS)
    tidying.tidy(tablet)
    with tablet.store.writing():
        tablet.store.uploads.reopen()  # the server was restored, and a person captures the very same file again
    photo(tablet, hazard(tablet), FILM)
    assert not line(tablet, taken).may
    assert tidying.tidy(tablet).files == 0 and has(tablet, taken)


def test_a_clone_from_before_the_tidying_removes_only_what_the_server_still_answers_for(
    tablet: Tablet, days: Days, tmp_path: Path
) -> None:
    taken = photo(tablet, hazard(tablet), FILM)
    sent(tablet)
    subprocess.run(["cp", "-a", str(tablet.home), str(tmp_path / "clone")], check=True)
    days.go(8 * DAY_MS)
    tidying.tidy(tablet)
    files = EncryptedFiles(tmp_path / "clone" / "blobs", tablet._key)
    clone = Tablet.open(tmp_path / "clone", tablet._key, tablet._seed, files)
    assert has(clone, taken) and tidying.tidy(clone).files == 1 and not has(clone, taken)
    clone.close()


# ---- as people meet it -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def province(tmp_path_factory: pytest.TempPathFactory) -> Province:
    return province_in(tmp_path_factory.mktemp("province"))


@pytest.fixture
def scene(tmp_path: Path, province: Province, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with scene_in(tmp_path, province, monkeypatch) as made:
        made.trust()
        yield made


def captured(scene: Scene) -> None:
    """A hazard with a document, written by another program with the same keys."""
    keys = Vault(scene.home).open(PIN)
    opened = Tablet.open(scene.home, keys.database_key, keys.seed, EncryptedFiles(scene.home / BLOBS, keys.derived(BLOBS)))
    photo(opened, hazard(opened, "430102001001"), FILM)
    opened.close()


def test_storage_says_what_may_go_and_removes_it_only_when_told(scene: Scene) -> None:
    scene.enrol()
    captured(scene)
    assert "does not have it yet" in scene.said("storage")
    scene.said("sync")
    scene.go(8 * 24)
    assert "storage tidy" in scene.said("storage")
    assert "nothing was removed" in scene.said("storage", "tidy")
    assert scene.said("storage", "removed") == ""
    assert "Removed 1 files" in scene.said("storage", "tidy", "--yes")
    gone = json.loads(scene.said("storage", "removed", "--json"))
    assert [one["size"] for one in gone] == [len(FILM)]
    assert "Nothing may go" in scene.said("storage", "tidy", "--yes")
    assert "here again" in scene.said("storage", "fetch", gone[0]["sha256"][:12])
    assert "14" in scene.said("storage", "terms", "--original-days", "14")


def test_a_team_s_sealed_files_go_with_the_round_that_verifies_their_receipts(scene: Scene, tmp_path: Path) -> None:
    scene.enrol("team")
    (tmp_path / "MOV_1.mp4").write_bytes(b"\x00\x00\x00\x18ftypisom" + bytes(5000))
    scene.said("covert", "add", str(tmp_path / "MOV_1.mp4"))
    assert list((scene.home / BLOBS / "sealed").iterdir())
    assert "Removed 1 sealed" in scene.said("sync")
    assert not list((scene.home / BLOBS / "sealed").iterdir())
    assert "held" in scene.said("covert", "list")


def test_a_rescue_after_a_tidying_calls_nothing_lost(scene: Scene, tmp_path: Path) -> None:
    scene.enrol()
    captured(scene)
    scene.said("sync")
    scene.go(8 * 24)
    scene.said("storage", "tidy", "--yes")
    assert "could not be read" not in scene.said("rescue", str(tmp_path / "t.courier"), "--plain")
