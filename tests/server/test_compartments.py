"""What lies behind a wall leaves no trace in front of it: not a byte, not a count, not a number of the log."""

from __future__ import annotations

import copy
import re
import shutil
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from click.testing import CliRunner

from server import decisions
from server.cli import main
from server.config import Settings
from server.keys import ServerKeys
from server.storage import merkle, people
from server.storage.people import Grant
from server.verify import verify
from sync.core.change import Change
from sync.core.errors import InvalidField
from sync.core.rules import Rights
from tests.support.console import PASSWORD, account
from tests.support.server import TestDevice, TestServer, opened_server, wsgi_server

AREA = "430104001003"
PHOTO = b"\xff\xd8\xff" + bytes(range(256)) * 300
SEALED = b"age-encryption.org/v1\n" + bytes(range(255, -1, -1)) * 300

DESKS = ("lead", "admin", "oversight", "department")
"""Those who sit in front of the wall; of each somebody looks at every page of the console."""

_TOKEN = re.compile(r'name="csrf" value="([0-9a-f]{64})"')

Told = list[tuple[str, int, dict[str, str], bytes]]


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


# --- Byte for byte ------------------------------------------------------------------------------------------------


def test_the_county_hears_the_same_with_and_without_sealed_activity(
    begun: tuple[TestServer, TestDevice, TestDevice], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, county, team = begun
    for role in DESKS:
        account(server, role, "4301", login=f"desk-{role}", **({"department": "fire"} if role == "department" else {}))
    first, second = ServerKeys.new_id(server.clock()), ServerKeys.new_id(server.clock())
    opening = [hazard(county, first), hazard(county, second)]
    later = [county.change("hazard", first, {"notes/n1": {"text": "已告知", "at": "2026-11-21T02:00:00.000Z"}})]
    sealed = [audit(team), audit(team), audit(team, hlc="ffffffffffff-0000")]
    rounds = {}
    for name in ("without", "with"):
        folder = tmp_path / name
        shutil.copytree(tmp_path / "begun", folder)
        monkeypatch.setattr(ServerKeys, "new_id", staticmethod(_ids()))
        rounds[name] = _play(folder, county, team, opening, later, sealed if name == "with" else None, sealed)
    assert rounds["with"] == rounds["without"]
    assert len(rounds["with"]) > 200


def _ids() -> Callable[[int], str]:
    """Ids that depend only on when they are made, so that two histories can be compared."""
    made: dict[int, int] = {}

    def new_id(now: int) -> str:
        made[now] = made.get(now, 0) + 1
        return str(UUID(int=(now << 64) | (7 << 76) | made[now]))

    return new_id


def _play(
    folder: Path,
    county: TestDevice,
    team: TestDevice,
    opening: list[Change],
    later: list[Change],
    sealed: list[Change] | None,
    hidden: list[Change],
) -> Told:
    """One history; returns every answer that the county's tablet and desk were given."""
    server = opened_server(Settings(folder / "data"))
    ours = _on(county, server)
    told: Told = []

    def secretly(*changes: Change) -> None:
        if sealed is not None:
            theirs = _on(team, server)
            theirs.n, theirs.prev = secretly.at  # type: ignore[attr-defined]
            assert {one["status"] for one in theirs.push(*changes)} == {"accepted"}
            secretly.at = theirs.n, theirs.prev  # type: ignore[attr-defined]
            assert "receipt" in theirs.send_blob(SEALED + bytes([theirs.n]))
            decisions.write(server.instance.desk, "audit", None, {"name": "桌面", "area": AREA}, by=["p"])

    secretly.at = (0, team.prev)  # type: ignore[attr-defined]

    def ask(method: str, path: str, body: bytes = b"", **headers: str) -> Any:
        response = ours.request(method, path, body, **headers)
        told.append((path, response.status_code, _told(response.headers), response.content))
        return response

    ids = [opening[0].record, hidden[0].record, county.id, team.id]

    def look() -> None:
        pulled = ask("POST", "/pull", orjson.dumps({"epoch": ours.answer["epoch"], "cursors": {}, "log": {"size": 1}}))
        assert pulled.status_code == 200
        ask("GET", f"/snapshots/area:{AREA}", Range="bytes=0-")
        ask("GET", f"/snapshots/sealed:{AREA}")
        ask("GET", "/capabilities")
        note = ask("GET", "/log/checkpoint").text
        size = int(note.split("\n")[1])
        ask("POST", "/log/inclusion", orjson.dumps({"size": size, "leaves": list(range(size))}))
        ask("POST", "/log/inclusion", orjson.dumps({"size": size + 1, "leaves": [size]}))
        ask("GET", f"/log/consistency?old=1&new={size}")
        ask("POST", "/have", orjson.dumps({"ids": [one.id for one in (*opening, *later, *(sealed or []))][:3]}))
        ask("GET", f"/blobs/{sha256(SEALED).hexdigest()}")
        told.append(("announce", 0, {}, _announce(ours, PHOTO + b"new")))
        for words in (
            ["list", "hazard", "--json"],
            ["conflicts", "list", "--json"],
            ["quarantine", "list", "--json"],
            ["status", "--json"],
        ):
            if words[0] in main.commands:
                environment = {"PATROLBOOK_DATA": str(folder / "data"), "PATROLBOOK_LANG": "en"}
                shown = CliRunner().invoke(main, words, env=environment, catch_exceptions=False)
                told.append((" ".join(words), shown.exit_code, {}, shown.output.encode()))

    with server.instance.database.write() as conn:  # one county grant of long ago, so that the time of day says nothing
        assert people.grants_of(conn, county.answer["person"]["id"])
    server.clock.ms = 1_795_100_000_000
    secretly(*(sealed or [])[:1])
    server.clock.ms = 1_795_200_000_000
    told.append(("push", 0, {}, orjson.dumps(ours.push(*opening))))
    told.append(("blob", 0, {}, orjson.dumps(ours.send_blob(PHOTO))))
    server.clock.ms = 1_795_250_000_000
    secretly(*(sealed or [])[1:])
    server.clock.ms = 1_795_300_000_000
    look()
    told.append(("push", 0, {}, orjson.dumps(ours.push(*later))))
    decisions.write(server.instance.desk, "hazard", None, {"description": "县里录入", "area": AREA}, by=["p"])
    look()
    for role in DESKS:
        told.extend(_pages(server, f"desk-{role}", ids))
    server.instance.close()
    return told


def _pages(server: TestServer, login: str, ids: list[str]) -> Told:
    """What somebody at a desk is shown on every page of the console, with each of these ids where a page takes one."""
    client = server.app.test_client()
    seen = client.get("/console/sign-in", headers={"Accept": "text/html"})
    said = {"csrf": _TOKEN.findall(seen.text)[0], "login": login, "password": PASSWORD}
    assert client.post("/console/sign-in", data=said).status_code == 303
    told: Told = []
    for rule in sorted(server.app.url_map.iter_rules(), key=str):
        if not rule.rule.startswith("/console/") or "GET" not in (rule.methods or ()) or "static" in rule.rule:
            continue
        for path in _filled(rule.rule, ids):
            answer = client.get(path, headers={"Accept": "text/html"})
            assert answer.status_code < 500, path
            headers = {name: value for name, value in answer.headers if name not in ("Date", "Last-Modified", "Set-Cookie")}
            body = _TOKEN.sub("", answer.get_data(as_text=True)).replace(str(server.instance.settings.data), "")
            headers.pop("Content-Length", None)  # of the folder's name
            told.append((f"{login} {path}", answer.status_code, headers, body.encode()))
    return told


def _filled(rule: str, ids: list[str]) -> list[str]:
    """A rule with values for what it asks: kinds of both sides, ids of both sides."""
    plain = re.sub(r"<int:[^>]*>", "1", rule)
    if "<kind>" in plain:
        return [plain.replace("<kind>", kind).replace("<", "").replace(">", "") for kind in ("hazard", "audit", "nonsense")]
    return [re.sub(r"<[^>]*>", id, plain) for id in ids] if "<" in plain else [plain]


def _on(tablet: TestDevice, server: TestServer) -> TestDevice:
    """The same tablet, talking to another copy of its server."""
    other = copy.copy(tablet)
    other.session, other.url, other.now = server.session, server.url, server.clock
    return other


def _announce(tablet: TestDevice, content: bytes) -> bytes:
    claim = {
        "sha256": sha256(content).hexdigest(),
        "size": len(content),
        "mime": "image/jpeg",
        "part_size": 1 << 20,
        "role": "original",
    }
    return tablet.post("/blobs", claim).content


def _told(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in ("Date", "Last-Modified")}


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
