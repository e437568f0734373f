"""A full disk on either side: a clear error, everything confirmed intact, and work goes on when there is room again."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from server.storage import blobs
from sync.core.errors import DiskFull
from tests.support.patrols import AREA, enrolled, held, round_of, shown
from tests.support.server import TestServer, running_server

NOTE: dict[str, Any] = {"area": AREA, "spot": "三楼", "seen": "开始", "seen_at": "2026-11-22T04:30:45.118Z"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 24 MB in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path, leave: int) -> Path:
    """Take all the room but `leave` bytes."""
    filler = place / "filler"
    room = os.statvfs(place)
    filler.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - leave)))
    return filler


def test_a_tablet_without_room_says_so_and_keeps_everything_that_was_confirmed(
    small_disk: Path, tmp_path: Path
) -> None:
    with running_server(tmp_path / "server") as server:
        tablet = enrolled(server, small_disk / "tablet")
        first = tablet.write("patrol_note", None, NOTE)
        filler = fill(small_disk, 300_000)
        confirmed = []
        with pytest.raises(DiskFull) as told:
            for i in range(5000):
                confirmed.append(tablet.write("patrol_note", first.record, {"seen": f"第 {i} 次 " + "看" * 400}))
        assert told.value.next_step("zh") and confirmed
        with pytest.raises(DiskFull):
            tablet.files.add(io.BytesIO(Random(1).randbytes(2_000_000)))  # type: ignore[attr-defined]
        assert tablet.values(first.record)["seen"] == confirmed[-1].value("seen")
        filler.unlink()
        tablet.write("patrol_note", first.record, {"seen": "又有空间了"})
        round_of(tablet)
        assert shown(tablet) == held(server) and tablet.ledger().safe_to_hand_in
        tablet.close()


def test_a_server_without_room_refuses_nothing_for_good_and_half_keeps_nothing(
    small_disk: Path, tmp_path: Path
) -> None:
    with running_server(small_disk) as server:
        tablet = enrolled(server, tmp_path / "tablet")
        note = tablet.write("patrol_note", None, NOTE)
        round_of(tablet)
        filler = fill(small_disk, 200_000)
        for i in range(2000):
            tablet.write("patrol_note", None, NOTE | {"seen": f"{i} " + "看" * 100})
        photo = tablet.files.add(io.BytesIO(Random(2).randbytes(4_000_000)))  # type: ignore[attr-defined]
        tablet.attach(note.record, photo.sha256, photo.size, "image/jpeg")
        report = tablet.sync()
        assert isinstance(report.problem, DiskFull), report.problem
        assert not tablet.ledger().safe_to_hand_in
        filler.unlink()
        while tablet.sync().problem is not None:
            pass
        assert shown(tablet) == held(server) and tablet.ledger().safe_to_hand_in
        _whole(server, photo.sha256)
        tablet.close()


def _whole(server: TestServer, sha256: str) -> None:
    with server.instance.database.read() as conn:
        assert conn.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert blobs.missing(conn, [sha256]) == set()
