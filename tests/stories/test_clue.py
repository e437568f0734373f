"""A clue from the telephone to its end: received at the desk, verified without a network, closed; and who rang stays there."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from field_client.evidence.capture import capture
from field_client.tablet import Tablet
from field_client.work import inspecting, tasks
from server.merging import decisions
from server.reading.finding import Seen, read
from server.register.editions import Writing
from server.storage import conflicts
from server.work import clues
from server.work import tasks as desk_tasks
from sync.core.errors import InvalidField, Refused
from sync.core.rules import Rights
from tests.support.patrols import AREA, enrolled, round_of
from tests.support.pictures import jpeg
from tests.support.server import TestServer, running_server

STAFF = Writing(["s-1"], Rights("staff", ("4301",), deciding=True))
SECRET, PHONE = "周海棠", "0731-5550199"
SAID: dict[str, Any] = {"subject": "学雅口才", "text": "周末在三楼补数学", "area": AREA, "source": "hotline", "urgency": "smouldering"}
DAY = date(2099, 1, 1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    with running_server(tmp_path / "server") as running:
        yield running


@pytest.fixture
def two(server: TestServer, tmp_path: Path) -> Iterator[tuple[Tablet, Tablet]]:
    a, b = enrolled(server, tmp_path / "a"), enrolled(server, tmp_path / "b", "inspector")
    yield a, b
    a.close()
    b.close()


@pytest.fixture
def clue(server: TestServer) -> str:
    school = decisions.write(server.instance.desk, "institution", None, {"name": "学雅口才培训学校", "area": AREA}, by=["s-1"]).record
    return clues.receive(server.instance, STAFF, SAID | {"institution": school}, {"name": SECRET, "phone": PHONE})


def seen(server: TestServer, record: str) -> Seen:
    with server.instance.database.read() as conn:
        return read(server.instance, conn, record)


def given(server: TestServer, clue: str, person: str = "") -> str:
    """Assigned to somebody, or to whoever works there; the task."""
    to = {"to": "person", "id": person, "name": "李敏"} if person else {"to": "area"}
    now = seen(server, clue)
    return clues.assign(server.instance, STAFF, now, desk_tasks.Order("verify", to, "2026-12-01"), now.state.ids("status"))


def everything_in(home: Path, tablet: Tablet) -> bytes:
    """All that a tablet keeps: every row of its database, decrypted, and every file as it lies on the disk."""
    names = [name for (name,) in tablet.store.database.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = [row for name in names for row in tablet.store.database.rows(f'SELECT * FROM "{name}"')]
    cells = (cell if isinstance(cell, bytes) else str(cell).encode() for row in rows for cell in row)
    return b"".join(cells) + b"".join(file.read_bytes() for file in home.rglob("*") if file.is_file())


def test_a_clue_is_verified_without_a_network_and_closed_at_the_desk(
    server: TestServer, two: tuple[Tablet, Tablet], clue: str, tmp_path: Path
) -> None:
    tablet, _ = two
    task = given(server, clue, tablet.identity.person.id)  # type: ignore[union-attr]
    round_of(tablet)
    (job,) = tasks.waiting(tablet, DAY)
    assert (job.record, job.clue, job.mine, job.late, job.urgency) == (task, clue, True, True, "smouldering")
    capture(tablet, clue, io.BytesIO(jpeg(320, 240)), source="camera", name="三楼.jpg")  # from here on without a network
    with pytest.raises(InvalidField):
        tasks.verify(tablet, clue, "confirmed", "", task)
    tasks.verify(tablet, clue, "confirmed", "三楼两间教室在上课，约三十人", task)
    assert tasks.waiting(tablet, DAY) == []
    round_of(tablet)
    assert seen(server, task).values["status"] == "done"
    now = seen(server, clue)
    assert (now.values["status"], now.values["outcome"]) == ("verified", "confirmed") and now.names("evidence")
    clues.step(server.instance, STAFF, now, {"status": "closed", "disposal": "已停课"}, now.state.ids("status"))
    round_of(tablet)
    assert tablet.values(clue)["status"] == "closed"
    with pytest.raises(Refused):
        tasks.verify(tablet, clue, "unfounded", "后来又去了")


def test_nothing_of_who_reported_it_is_in_a_tablet_s_files(
    server: TestServer, two: tuple[Tablet, Tablet], clue: str, tmp_path: Path
) -> None:
    given(server, clue)
    for name, tablet in zip("ab", two, strict=True):
        round_of(tablet)
        kept = everything_in(tmp_path / name, tablet)
        assert SAID["text"].encode() in kept, "the clue itself is there"
        for secret in (SECRET.encode(), PHONE.encode(), b"informer\"", b"desk:"):
            assert secret not in kept


def test_two_tablets_that_found_different_things_leave_it_to_the_county(
    server: TestServer, two: tuple[Tablet, Tablet], clue: str
) -> None:
    task = given(server, clue)
    for tablet in two:
        round_of(tablet)
    tasks.verify(two[0], clue, "confirmed", "两间教室在上课", task)
    tasks.verify(two[1], clue, "unfounded", "去时无人", task)
    for tablet in two:
        round_of(tablet)
    with server.instance.database.read() as conn:
        open_now = conflicts.waiting(conn)
    assert sorted(one.path for one in open_now if one.record == clue) == ["outcome", "result"]
    assert seen(server, clue).values["status"] == "verified" and seen(server, task).values["status"] == "done"
    now = seen(server, clue)
    with pytest.raises(InvalidField, match="outcome"):
        clues.step(server.instance, STAFF, now, {"status": "closed"}, now.state.ids("status"))
    round_of(two[0])
    assert two[0].conflicts(), "and the tablet tells its inspector so"


def test_the_inspection_that_a_task_asked_for_makes_it_done_on_both_tablets(
    server: TestServer, two: tuple[Tablet, Tablet], clue: str
) -> None:
    school = str(seen(server, clue).values["institution"])
    row = {"record": school, "name": "学雅口才培训学校", "area": AREA}
    (task,) = desk_tasks.plan(server.instance, STAFF, [row], desk_tasks.Order("visit", {"to": "area"}, "2026-12-05"))
    made = []
    for tablet in two:
        round_of(tablet)
        made.append(inspecting.start(tablet, school, task=task))
        assert [one.begun for one in tasks.waiting(tablet, DAY)] == [True]
        tablet.write("inspection", made[-1], {"findings": "出口畅通"})
        inspecting.sign(tablet, made[-1], "罗雨")
        inspecting.submit(tablet, made[-1])
        assert tasks.waiting(tablet, DAY) == []
    for tablet in two:
        round_of(tablet)
    assert set(seen(server, task).names("inspections")) == set(made)
    with server.instance.database.read() as conn:
        assert [one for one in conflicts.waiting(conn) if one.record == task and one.path == "status"] == []
