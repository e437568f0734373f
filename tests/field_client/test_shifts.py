"""Shifts on the tablet, and that the server finds nothing odd in honest ones and something in a tablet put back."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from field_client.cli import cli
from field_client.evidence.capture import capture
from field_client.platform.clock import SystemClock
from field_client.platform.keys import Secrets
from field_client.tablet import Tablet
from field_client.work import shifts
from server.exchange import shifts as at_server
from sync.core.errors import NotAllowed, NotEnrolled, Refused
from tests.support.pictures import jpeg
from tests.support.server import TestServer, running_server
from tests.support.tablets import institution, tablet_in

DAY_MS = 24 * 3600 * 1000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    with running_server(tmp_path / "server") as server:
        yield server


class SetClock(SystemClock):
    """The clock of a tablet whose wall clock somebody sets."""

    ahead = 0
    passed = 0
    """Milliseconds that went by besides the real ones."""

    def wall_ms(self) -> int:
        return super().wall_ms() + self.passed + self.ahead

    def mono_ms(self) -> int:
        return super().mono_ms() + self.passed


def enrolled(home: Path, server: TestServer, role: str = "inspector", area: str = "430102") -> tuple[Tablet, SetClock]:
    tablet = tablet_in(home, Secrets(secrets.token_bytes(32), secrets.token_bytes(32)))
    clock = SetClock()
    tablet.platform = tablet.platform._replace(clock=clock)
    tablet.store.clock = clock
    tablet.enrol(server.url, server.code(server.person(role, area)), "T-14")
    return tablet, clock


def odd(server: TestServer, now: int | None = None) -> list[list[str]]:
    house = server.instance
    with house.database.read() as conn:
        return [[reason.zh for reason in one.odd] for one in at_server.every(house, conn, now or house.now())]


def test_a_day_with_its_shift_has_nothing_odd_at_the_server(tmp_path: Path, server: TestServer) -> None:
    tablet, _ = enrolled(tmp_path / "home", server)
    tablet.sync(until="records")
    shift = shifts.begin(tablet, online=True)
    school = institution(tablet)
    photo = tmp_path / "a.jpg"
    photo.write_bytes(jpeg(400, 300))
    capture(tablet, school, photo, watermark=True)
    open_now = shifts.current(tablet)
    assert open_now is not None and open_now.open and open_now.files == 1
    closed = shifts.end(tablet, "充电")
    values = tablet.values(shift)
    assert (values["opened_n"], values["closed_n"]) == (0, tablet.store.outbox.head().n - 1)
    assert values["changes"] == closed.changes == values["closed_n"] and values["files"] == 1
    assert values["safe"] is False  # nothing of it had gone up yet
    tablet.sync()
    assert odd(server) == [[]]


def test_the_first_write_of_a_day_opens_a_shift_and_no_other_write_does(tmp_path: Path, server: TestServer) -> None:
    tablet, clock = enrolled(tmp_path / "home", server)
    tablet.before_write = shifts.first_of_day
    for number in range(3):
        institution(tablet, f"机构 {number}")
    (first,) = tablet.records("shift")
    assert tablet.values(first)["automatic"] is True and tablet.values(first)["opened_n"] == 0
    shifts.end(tablet)
    institution(tablet, "收工以后")  # noted at the desk as work outside a shift
    assert tablet.records("shift") == [first]
    clock.passed = DAY_MS
    institution(tablet, "第二天")
    assert len(tablet.records("shift")) == 2
    own = tablet.another()
    institution(own, "另一个线程")
    assert len(tablet.records("shift")) == 2


def test_a_shift_of_yesterday_is_closed_before_todays(tmp_path: Path, server: TestServer) -> None:
    tablet, clock = enrolled(tmp_path / "home", server)
    yesterday = shifts.begin(tablet, online=False)
    institution(tablet)
    with pytest.raises(Refused):
        shifts.begin(tablet, online=False)
    clock.ahead = DAY_MS
    today = shifts.begin(tablet, online=False)
    assert tablet.values(yesterday)["status"] == "closed" and tablet.values(today)["status"] == "open"
    shifts.end(tablet)
    with pytest.raises(Refused):
        shifts.end(tablet)


@pytest.mark.parametrize("days", [-400, -1, 1])
def test_a_clock_that_is_set_past_midnight_begins_no_day(tmp_path: Path, server: TestServer, days: int) -> None:
    tablet, clock = enrolled(tmp_path / "home", server)
    tablet.before_write = shifts.first_of_day
    institution(tablet)
    clock.ahead = days * DAY_MS
    made = tablet.write("institution", None, {"name": "钟被拨过", "area": "430102001001"})
    (shift,) = tablet.records("shift")
    standing = shifts.current(tablet)
    assert standing is not None and standing.open and [one.ms // DAY_MS for one in standing.jumps] in ([days], [days - 1])
    assert made.body["clock"]["wall"] // 1000 == clock.wall_ms() // 1000 and made.body["clock"]["boot"] == clock.boot()
    clock.ahead, clock.passed = 0, 2 * DAY_MS
    institution(tablet, "过了两天")
    assert len(tablet.records("shift")) == 2


def test_a_clock_that_was_set_is_said(tmp_path: Path, server: TestServer) -> None:
    tablet, clock = enrolled(tmp_path / "home", server)
    shifts.begin(tablet, online=False)
    clock.ahead = -3600 * 1000
    institution(tablet)
    found = shifts.current(tablet)
    assert found is not None and [round(one.ms / 60_000) for one in found.jumps] == [-60]
    shifts.end(tablet)
    tablet.sync(until="records")
    assert any("时钟被调" in reason for reason in odd(server)[0])


def test_a_tablet_put_back_during_a_shift_is_found(tmp_path: Path, server: TestServer) -> None:
    made = Secrets(secrets.token_bytes(32), secrets.token_bytes(32))
    tablet = tablet_in(tmp_path / "home", made)
    tablet.enrol(server.url, server.code(server.person("inspector", "430102")), "T-14")
    institution(tablet)
    tablet.close()
    shutil.copytree(tmp_path / "home", tmp_path / "earlier")
    tablet = tablet_in(tmp_path / "home", made)
    shifts.begin(tablet, online=False)
    institution(tablet, "见不得人的发现")
    shifts.end(tablet)
    tablet.sync(until="records")
    restored = tablet_in(tmp_path / "earlier", made)
    shifts.begin(restored, online=False)
    shifts.end(restored)
    restored.sync(until="records")
    house = server.instance
    with house.database.read() as conn:
        loose = [reason.zh for one in at_server.loose(house, conn) for reason in one.odd]
    assert any("恢复或复制" in reason for reason in loose)


def test_a_shift_that_cannot_be_opened_keeps_nobody_from_writing(tmp_path: Path, server: TestServer) -> None:
    alone = tablet_in(tmp_path / "alone", Secrets(secrets.token_bytes(32), secrets.token_bytes(32)))
    alone.before_write = shifts.first_of_day
    institution(alone)
    with pytest.raises(NotEnrolled):
        shifts.begin(alone, online=False)
    everywhere, _ = enrolled(tmp_path / "everywhere", server, area="")
    everywhere.before_write = shifts.first_of_day
    institution(everywhere)
    assert not everywhere.records("shift")
    team, _ = enrolled(tmp_path / "team", server, role="team")
    team.before_write = shifts.first_of_day
    institution(team)
    assert not team.records("shift") and not alone.records("shift")
    with pytest.raises(NotAllowed):
        shifts.begin(team, online=False)


def test_the_commands(tmp_path: Path, server: TestServer) -> None:
    env = {"PATROLBOOK_HOME": str(tmp_path / "cli"), "PATROLBOOK_PIN": "480215", "XDG_RUNTIME_DIR": "", "PATROLBOOK_GUARD": "no"}

    def run(*words: str) -> Result:
        return CliRunner().invoke(cli, list(words), env=env)

    assert run("enrol", server.url, server.code(server.person("inspector", "430102"))).exit_code == 0
    assert "还没有班次" in run("shift", "show").output
    opened = run("shift", "open")
    assert opened.exit_code == 0 and "联网" in opened.output
    assert run("shift", "open", "--offline").exit_code == 1
    assert run("institutions", "add", "--name", "学雅", "--area", "430102001001").exit_code == 0
    told: dict[str, Any] = json.loads(run("shift", "show", "--json").output)
    assert (told["changes"], told["automatic"], told["jumps"]) == (2, False, [])
    closed = run("shift", "close", "--note", "收工")
    assert closed.exit_code == 0 and "已结束" in closed.output
    assert run("shift", "close").exit_code == 1
