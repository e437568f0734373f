"""What each side of the wall writes and reads. That nothing behind it leaves a trace in front: `test_no_trace.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from server.cli import main
from server.keys import ServerKeys
from server.merging import decisions
from server.storage import merkle, people
from server.storage.people import Grant
from server.verify import verify
from sync.core.change import Change
from sync.core.errors import InvalidField
from sync.core.rules import Rights
from tests.support.server import TestDevice, TestServer, wsgi_server

AREA = "430104001003"
@pytest.fixture
def begun(tmp_path: Path) -> Iterator[tuple[TestServer, TestDevice, TestDevice]]:
    """A server with a county's tablet and that of an undercover team."""
    server = wsgi_server(tmp_path / "begun")
    county, team = server.enrol("officer", "4301"), server.enrol("team", "4301")
    for tablet in (county, team):
        tablet.post("/replicas", {"replica": tablet.replica}).raise_for_status()
    yield server, county, team
    server.instance.close()


def audit(team: TestDevice, **more: Any) -> Change:
    return team.change(
        "audit", ServerKeys.new_id(team.now()), {"name": "代号青竹", "area": AREA, "status": "open"}, **more
    )


def hazard(county: TestDevice, record: str, **values: Any) -> Change:
    return county.change("hazard", record, {"description": "通道堆放杂物", "area": AREA, "status": "open", **values})


# --- Both sides of the wall ---------------------------------------------------------------------------------------


def test_each_compartment_has_a_log_and_a_chain_of_its_own(begun: tuple[TestServer, TestDevice, TestDevice]) -> None:
    server, county, team = begun
    county.push(hazard(county, ServerKeys.new_id(1)))
    team.push(audit(team), audit(team))
    house = server.instance
    with house.database.read() as conn:
        assert (merkle.size(conn, ""), merkle.size(conn, "sealed")) == (2, 3)  # and each tablet was enrolled
    assert house.keys.open.origin != house.keys.voice("sealed").origin
    assert county.answer["log"]["origin"] == house.keys.open.origin
    assert team.answer["log"]["origin"] == house.keys.voice("sealed").origin
    assert verify(house).findings == []


@pytest.mark.parametrize("who", ["county", "team"])
def test_a_tablet_that_writes_on_the_other_side_of_the_wall_is_parked(
    begun: tuple[TestServer, TestDevice, TestDevice], who: str
) -> None:
    server, county, team = begun
    change = audit(county) if who == "county" else hazard(team, ServerKeys.new_id(1))
    (result,) = (county if who == "county" else team).push(change)
    assert result["status"] == "parked" and result["reason"] in ("scope", "not-permitted")


def test_a_team_reads_its_own_sealed_records_and_the_open_register(
    begun: tuple[TestServer, TestDevice, TestDevice],
) -> None:
    server, county, team = begun
    county.push(hazard(county, ServerKeys.new_id(1)))
    team.push(audit(team))
    assert _buckets(team) >= {f"area:{AREA}", f"sealed:{AREA}"}
    assert f"sealed:{AREA}" not in _buckets(county)


def _buckets(tablet: TestDevice) -> set[str]:
    page = tablet.post("/pull", {"epoch": tablet.answer["epoch"], "cursors": {}}).content
    return set(orjson.loads(page.splitlines()[0])["head"]["buckets"])


@pytest.mark.parametrize(("wall", "allowed"), [("", False), ("sealed", True)])
def test_at_the_desk_the_wall_is_as_high(
    begun: tuple[TestServer, TestDevice, TestDevice], wall: str, allowed: bool
) -> None:
    server, _, _ = begun
    held = Rights("province", ("43",), within={wall: ("43",)} if wall else {})
    if allowed:
        decisions.write(server.instance.desk, "audit", None, {"name": "a", "area": AREA}, by=["p"], rights=held)
        return
    with pytest.raises(InvalidField):
        decisions.write(server.instance.desk, "audit", None, {"name": "a", "area": AREA}, by=["p"], rights=held)


def test_lists_of_sealed_kinds_are_for_those_whose_grant_says_so(
    begun: tuple[TestServer, TestDevice, TestDevice],
) -> None:
    server, _, team = begun
    team.push(audit(team))
    house = server.instance
    inside, outside = server.person("province", name="赵刚"), server.person("lead", "4301", name="孙丽")
    with house.database.write() as conn:
        people.add_grant(conn, Grant("g-in", inside.id, "43", "province", 0, None, "sealed"))

    def run(*words: str) -> tuple[int, str]:
        environment = {"PATROLBOOK_DATA": str(house.settings.data), "PATROLBOOK_LANG": "en"}
        shown = CliRunner().invoke(main, list(words), env=environment, catch_exceptions=False)
        return shown.exit_code, shown.output

    assert "代号青竹" in run("list", "audit", "--by", inside.id)[1]
    unknown = run("list", "nonsense", "--by", outside.id)
    assert run("list", "audit", "--by", outside.id) == (unknown[0], unknown[1].replace("nonsense", "audit"))
