"""Sealed activity leaves no trace in front of the wall: the same history with and without it gives the same answers, byte for byte.

Two copies of one server live through the same days, by the same clock and with the same ids. In one of them a team works behind
the wall meanwhile, and the province proposes to hand over what it found. Then everybody in front of the wall looks at every page
with every id that there is, in both, and the tablets ask what tablets ask.

What may differ is taken out before comparing: the `Date` of the connection, the time of a file (`Last-Modified`), the folder of
the copy, and cookies (notices are signed with the machine's own time). Nothing else.
"""

from __future__ import annotations

import copy
import re
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import orjson
import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from custody import codes, sealing
from server import acts
from server.access import accounts, policy, rights
from server.cli import main
from server.config import Settings
from server.console.frame import PREFIX
from server.evidence import releases
from server.keys import ServerKeys
from server.merging import decisions, proposals, sweeps
from server.merging.backlog import Filter
from server.proofs import trusts
from server.reading.searching import Searcher
from server.register import staffing
from server.storage import accounts as rows
from server.storage import conflicts, contacts, people, views
from server.storage.contacts import Invitation
from server.storage.people import Grant, Person
from sync.core.change import Change
from sync.core.rules import Rights
from sync.core.trust import Seal
from tests.support.server import TestDevice, TestServer, opened_server, wsgi_server

AREA, COUNTY = "430104001003", "430104"
PHOTO = b"\xff\xd8\xff" + bytes(range(256)) * 300
SEALED = b"age-encryption.org/v1\n" + bytes(range(255, -1, -1)) * 300
DIGEST = sha256(SEALED).hexdigest()
DAY_MS = 86_400_000
START = 1_795_100_000_000

IN_FRONT = {
    "inspector": "430104", "staff": "430104", "lead": "430104", "city": "4301", "province": "43", "admin": "43",
    "oversight": "43", "department": "430104",
}  # fmt: skip
"""Who looks, and where their grant lies: in front of the wall, however high."""

NOT_LOOKED_AT = ("/static/", "/sign-", "/language", "template.xlsx")
"""Files of the program, the door, and an empty table that holds the time of its making by the machine's own clock."""

Told = dict[str, tuple[int, list[tuple[str, str]], bytes]]


@dataclass
class Behind:
    """The ids of what there is behind the wall, by the part of an address that takes them; known from the history with it."""

    record: str = ""
    ids: dict[str, list[str]] = field(default_factory=dict)

    def note(self, **found: str) -> None:
        for part, id in found.items():
            self.ids.setdefault(part, []).append(id)


@dataclass
class Begun:
    """What both histories begin with."""

    folder: Path
    county: TestDevice
    team: TestDevice
    desks: dict[str, Person]
    inside: list[Person]
    tokens: dict[str, str]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Begun:
    """A server with a county's tablet and a team's, people at every desk, and two of the province who see behind the wall."""
    folder = tmp_path_factory.mktemp("begun")
    server = wsgi_server(folder / "data-of")
    server.clock.ms = START - DAY_MS
    house = server.instance
    seal, county_key = sealing.new_identity(), sealing.new_identity()
    trust = trusts.next_edition(house.keys, "湖南省教育厅", house.now(), None)
    trusts.publish(house.settings, replace(trust, seal=Seal(3, (seal.recipient,), (), {COUNTY: (county_key.recipient,)})), bytes(32))
    county, team = server.enrol("officer", "4301"), server.enrol("team", "4301")
    for tablet in (county, team):
        tablet.post("/replicas", {"replica": tablet.replica}).raise_for_status()
    more = {"department": {"department": "fire"}}
    desks = {role: server.person(role, area, name=f"看{role}", **more.get(role, {})) for role, area in IN_FRONT.items()}
    inside = [server.person("province", "43", name=name) for name in ("赵刚", "钱敏")]
    tokens = {}
    with house.database.write() as conn:
        for person in inside:
            rights.grant(conn, Grant(house.keys.new_id(house.now()), person.id, "43", "province", 0, None, "sealed"))
        for role, person in desks.items():
            tokens[role] = f"token-of-{role}"
            one = rows.Account(person.id, f"desk-{role}", None, None, None, None, None, 0, START, None, None)
            rows.add(conn, one)
            session = (accounts.digest_of(tokens[role]), person.id, accounts.SIGNED, START, START + DAY_MS, START + DAY_MS, "test", "test")
            rows.begin(conn, rows.Session(*session))
    server.instance.close()
    return Begun(folder / "data-of", county, team, desks, inside, tokens)


def test_everybody_in_front_of_the_wall_hears_the_same_with_and_without_sealed_activity(
    begun: Begun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = START - DAY_MS
    opening = [hazard(begun.county, ServerKeys.new_id(now), number) for number in range(35)]
    note = {"notes/n1": {"text": "已告知", "at": "2026-11-21T02:00:00.000Z"}}
    later = [begun.county.change("hazard", opening[0].record, note), begun.county.change("hazard", opening[1].record, {"measures": "甲"}),
             begun.county.change("hazard", opening[1].record, {"measures": "乙"})]  # fmt: skip
    behind = Behind()
    histories: dict[str, Told] = {}
    for name in ("with", "without"):  # in this order: what there is behind the wall is asked for in both
        monkeypatch.setattr(ServerKeys, "new_id", staticmethod(ids()))
        shutil.copytree(begun.folder, tmp_path / name)
        history = History(begun, opened_server(Settings(tmp_path / name / "data")), behind, secret=name == "with")
        history.live(opening, later)
        histories[name] = history.told
        history.server.instance.close()
    assert histories["with"].keys() == histories["without"].keys() and len(histories["with"]) > 2000
    told = [asked for asked, answer in histories["with"].items() if answer != histories["without"][asked]]
    assert not told, "\n".join(told[:50])


def ids() -> Callable[[int], str]:
    """Ids that depend only on when they are made, so that two histories can be compared."""
    made: dict[int, int] = {}

    def new_id(now: int) -> str:
        made[now] = made.get(now, 0) + 1
        return str(UUID(int=(now << 80) | (7 << 76) | (2 << 62) | made[now]))

    return new_id


def hazard(county: TestDevice, record: str, number: int) -> Change:
    values = {"description": f"通道堆放杂物{number}", "area": AREA, "status": "open", "grade": "general"}
    return county.change("hazard", record, values, by=[county.answer["person"]["id"]], hlc=f"{START:012x}-{number:04x}")


class History:
    """One of the two: days of the county, and between them what happens behind the wall, in the one where it does."""

    def __init__(self, begun: Begun, server: TestServer, behind: Behind, secret: bool) -> None:
        self.begun, self.server, self.behind, self.secret = begun, server, behind, secret
        self.house = server.instance
        self.county, self.team = (on(tablet, server) for tablet in (begun.county, begun.team))
        self.told: Told = {}
        self.browsers = {role: self.browser(token) for role, token in begun.tokens.items()}

    def browser(self, token: str) -> FlaskClient:
        client = self.server.app.test_client()
        client.set_cookie("patrolbook", token, domain="localhost")
        return client

    def live(self, opening: list[Change], later: list[Change]) -> None:
        clock = self.server.clock
        for day, (secretly, openly) in enumerate(
            (
                (self.an_audit, lambda: self.told_of("push", orjson.dumps(self.county.push(*opening)))),
                (self.a_quarrel, self.a_day_at_the_desk),
                (self.a_release, lambda: self.told_of("push again", orjson.dumps(self.county.push(*later)))),
                (self.a_new_team, lambda: None),
            )
        ):
            clock.ms = START + day * 3_600_000
            if self.secret:
                secretly()
            clock.ms = START + day * 3_600_000 + 60_000
            openly()
            self.tablet_asks(day)
        clock.ms = START + 5 * 3_600_000
        for role in IN_FRONT:
            self.desk_looks(role)
        self.at_the_server()

    # --- Behind the wall -----------------------------------------------------------------------------------------

    def an_audit(self) -> None:
        """A team begins an audit and sends what it sealed."""
        team, now = self.team, self.server.clock()
        self.audit, self.sealed = ServerKeys.new_id(now), ServerKeys.new_id(now)
        values = {"area": AREA, "audit": self.audit, "recording": "r-1", "number": 1, "sha256": DIGEST, "size": len(SEALED)}
        values |= {"key_file": "QUFBQQ==", "recipients_version": 3, "facts_commit": "0" * 64, "facts": "QUFBQQ==", "team_commit": "0" * 64, "team": "QUFBQQ=="}
        began = team.change("audit", self.audit, {"name": "代号青竹", "area": AREA, "status": "open"})
        assert {one["status"] for one in team.push(began, team.change("sealed_evidence", self.sealed, values))} == {"accepted"}
        assert "receipt" in team.send_blob(SEALED)
        self.upload = team.post("/blobs", {"sha256": "1" * 64, "size": 9, "mime": "video/mp4", "part_size": 1 << 16, "role": "original"}).json()["upload"]
        decisions.write(self.house.desk, "audit", None, {"name": "桌面", "area": AREA}, by=["p"])
        self.behind.note(record=self.audit, sha256=DIGEST, device=team.id, person=team.answer["person"]["id"])
        self.behind.note(record=self.sealed, upload=self.upload)

    def a_quarrel(self) -> None:
        """Conflicts, a kept change, a proposal, a sweep, a kept view, an opening, an export."""
        team, house, by = self.team, self.house, self.begun.inside[0]
        for path, value in (("target", "左"), ("target", "右"), ("seen", "甲"), ("seen", "乙"), ("status", "closed")):
            team.push(team.change("audit", self.audit, {path: value}, hlc="ffffffffffff-0000" if value == "右" else f"{self.server.clock():012x}-0000"))
        with house.database.read() as conn:
            waiting = {(row.kind, row.path): row for row in conflicts.of_records(conn, [self.audit])}
        sight, held = self.rights_of(by)
        target, seen = waiting["values", "target"], waiting["values", "seen"]
        proposed = proposals.propose(house, decisions.ticket(target), do="resolve", take=target.candidates[0], reason="核实", person=by)
        swept = sweeps.carry_out(house, sight, Filter(record=self.audit), "newest", [decisions.ticket(seen)], reason="核实", person=by, rights=held)
        with house.database.write() as conn:
            views.keep(conn, by.id, "audit", "我的", "q=青竹", self.server.clock())
            acts.append(conn, "sealed", acts.EXPORTED, self.server.clock(), by=by.id, kind="audit", form="csv")
        assert team.get(f"/blobs/{DIGEST}?purpose={quote('复核')}").status_code == 200
        self.behind.note(conflict=target.id, proposal=proposed.id, id=swept.sweep)
        for row in waiting.values():
            self.behind.note(conflict=row.id)

    def a_release(self) -> None:
        """The material is reviewed, and two of the province approve handing it over; it is not handed over yet."""
        house, (first, second) = self.house, self.begun.inside
        answers = {"venue": "semi-public", "inducement": False, "minors": False}
        releases.review(house, first, self.rights_of(first)[1], [self.sealed], answers)
        said = {"unit": "天心区教育局", "summary": "三楼有无证班", "reason": "证据已固定", "due": "2026-12-30"}
        draft = releases.propose(house, first, self.rights_of(first)[1], audit=self.audit, evidence=[], to_area=COUNTY, said=said)
        for one in (first, second):
            releases.approve(house, one, self.rights_of(one)[1], draft)
        self.behind.note(record=draft)

    def a_new_team(self) -> None:
        """Somebody joins the team, with an account, a tablet and one that is asked for; a grant of another ends."""
        house, now = self.house, self.server.clock()
        joined = staffing.add(house, policy.Sight("admin", ("",), {"sealed": ("",)}), "新组员", "team", COUNTY, "")
        accounts.open_account(house, joined, "组员账号", None, joined.id)
        asked = Invitation(house.keys.new_id(now), joined.id, 24, now, joined.id)
        with house.database.write() as conn:
            contacts.ask(conn, asked)
            grants = people.grants_of(conn, joined.id)
            staffing.end_grant(conn, next(one for one in grants if one.compartment), now)
        self.behind.note(person=joined.id, invitation=asked.id, named=grants[0].id)

    def rights_of(self, person: Person) -> tuple[policy.Sight, Rights]:
        with self.house.database.read() as conn:
            grants = people.grants_of(conn, person.id)
        now = self.server.clock()
        return policy.sight_of(grants, person.role, now), policy.rights_at_desk(grants, person.role, now)

    # --- In front of it ------------------------------------------------------------------------------------------

    def told_of(self, asked: str, body: bytes, status: int = 0, headers: list[tuple[str, str]] | None = None) -> None:
        assert asked not in self.told, asked
        self.told[asked] = (status, headers or [], body)

    def a_day_at_the_desk(self) -> None:
        """The county's own work: a photo, a record that is entered, a view that is kept, an export."""
        self.told_of("blob", orjson.dumps(self.county.send_blob(PHOTO)))
        decisions.write(self.house.desk, "hazard", None, {"description": "县里录入", "area": AREA}, by=["p"])
        with self.house.database.write() as conn:
            now, lead = self.server.clock(), self.begun.desks["lead"]
            views.keep(conn, lead.id, "hazard", "县里的视图", "q=通道", now)
            acts.append(conn, "", acts.EXPORTED, now, by=lead.id, kind="hazard", form="csv", nonce="0" * 32)

    def tablet_asks(self, day: int) -> None:
        """Everything that a tablet of the county asks, also for what it may have heard of."""
        county = self.county
        Searcher(self.house).catch_up()  # as the server does when it is quiet

        def ask(method: str, path: str, body: bytes = b"", **headers: str) -> Any:
            answer = county.request(method, path, body, **headers)
            kept = [(name, value) for name, value in answer.headers.items() if name not in ("Date", "Last-Modified")]
            what = f"{method} {path} {body[:200].decode('utf-8', 'replace')}"
            self.told_of(f"day {day}: {what}", answer.content, answer.status_code, kept)
            return answer

        pull = {"epoch": county.answer["epoch"], "cursors": {}, "log": {"size": 1}}
        assert ask("POST", "/pull", orjson.dumps(pull)).status_code == 200
        ask("POST", "/pull", orjson.dumps(pull | {"cursors": {f"sealed:{AREA}": "1.0", f"area:{AREA}": "1.0"}}))
        ask("GET", f"/snapshots/area:{AREA}", Range="bytes=0-")
        ask("GET", f"/snapshots/sealed:{AREA}")
        ask("GET", "/capabilities")
        ask("GET", "/trust")
        ask("GET", "/log/witnessed")
        size = int(ask("GET", "/log/checkpoint").text.split("\n")[1])
        ask("POST", "/log/inclusion", orjson.dumps({"size": size, "leaves": list(range(size))}))
        ask("POST", "/log/inclusion", orjson.dumps({"size": size + 1, "leaves": [size]}))
        ask("GET", f"/log/consistency?old=1&new={size}")
        ask("GET", f"/blobs/{DIGEST}")
        ask("GET", f"/blobs/{DIGEST}?width=320")
        ask("POST", "/blobs", orjson.dumps({"sha256": DIGEST, "size": len(SEALED), "mime": "video/mp4", "part_size": 1 << 20, "role": "original"}))
        ask("GET", f"/evidence/{codes.code_of(DIGEST, 'e-1')}")
        for upload in self.behind.ids.get("upload", ()):
            ask("GET", f"/blobs/{upload}")
            digest = f"sha-256=:{b64encode(sha256(b'x').digest()).decode()}:"
            ask("PUT", f"/blobs/{upload}/parts/1", b"x", Content_Digest=digest)
            ask("POST", f"/blobs/{upload}/complete")

    def desk_looks(self, role: str) -> None:
        """Every page, with every id of both sides, and every form that takes one."""
        client = self.browsers[role]
        page = client.get(f"{PREFIX}/account", headers={"Accept": "text/html"}).get_data(as_text=True)
        csrf = re.findall(r'name="csrf" value="([0-9a-f]{64})"', page)[0]
        for rule in sorted(self.server.app.url_map.iter_rules(), key=str):
            if not rule.rule.startswith(f"{PREFIX}/") or any(one in rule.rule for one in NOT_LOOKED_AT):
                continue
            method = "POST" if "POST" in (rule.methods or ()) else "GET"
            if method == "POST" and "<" not in rule.rule:
                continue
            for path in self.addresses(rule.rule, method):
                client.delete_cookie("patrolbook-notices")
                data = {"csrf": csrf, "hours": "24", "reason": "x"} if method == "POST" else None
                answer = client.open(path, method=method, data=data, headers={"Accept": "text/html"})
                assert answer.status_code < 500, path
                folder = str(self.house.settings.data)
                headers = [(name, value) for name, value in answer.headers if name not in ("Date", "Last-Modified", "Set-Cookie")]
                headers = [(name, value) for name, value in headers if name != "Content-Length" or folder.encode() not in answer.get_data()]
                body = answer.get_data().replace(folder.encode(), b"")
                self.told_of(f"{role} {method} {path}", body, answer.status_code, headers)

    def addresses(self, rule: str, method: str) -> Iterator[str]:
        """A route with ids of what lies behind the wall, and with kinds and questions of both sides."""
        parts = re.findall(r"<(?:[^:>]*:)?([^>]*)>", rule)
        plain = re.sub(r"<int:[^>]*>", "1", rule)
        if "<kind>" in plain:
            for kind in ("hazard", "audit", "sealed_evidence", "release", "export", "nonsense") if method == "GET" else ("audit", "nonsense"):
                for query in ("", "?q=青竹", "?order=newest", "?last=1") if method == "GET" else ("",):
                    yield plain.replace("<kind>", kind) + query
            return
        if not parts or "<" not in plain:
            yield from (plain + query for query in ("", *self.questions(rule)))
            return
        for id in dict.fromkeys(one for part in parts for one in [*self.behind.ids.get(part, ()), *self.behind.ids["record"]]):
            yield re.sub(r"<(?:[^:>]*:)?([^>]*)>", lambda part, id=id: DIGEST if part[1] == "sha256" else id, plain)  # type: ignore[misc]

    def questions(self, rule: str) -> Iterator[str]:
        ids = self.behind.ids
        yield from {
            "/console/search": ("?q=通道", "?q=青竹", f"?q={ids['record'][0]}", "?q=通道&kind=audit"),
            "/console/merge": (f"?device={ids['device'][0]}", f"?record={ids['record'][0]}", "?kind=audit", f"?done={ids['conflict'][0]}", "?order=age"),
            "/console/merge/sweep": (f"?device={ids['device'][0]}", f"?record={ids['record'][0]}", "?day=2026-11-20", "?day=2026-11-19"),
            "/console/access": (f"?person={ids['person'][0]}", f"?record={ids['record'][0]}"),
            "/console/access.csv": (f"?person={ids['person'][0]}",),
            "/console/map": ("?kind=audit", "?kind=hazard"),
            "/console/map/clusters": ("?kind=audit&zoom=3&box=0,70,60,140", "?kind=institution&zoom=3&box=0,70,60,140"),
            "/console/devices": ("?show=owing", "?show=copied", "?show=revoked"),
            "/console/devices/new": (f"?person={ids['person'][0]}",),
            "/console/places/responsible": (f"?area={COUNTY}&all=1",),
            "/console/review": ("?which=all", "?kind=audit"),
            "/console/clues": ("?q=青竹",),
            "/console/tasks": ("?which=done", "?q=青竹"),
        }.get(rule, ())

    def at_the_server(self) -> None:
        """What somebody reads on the command line without a grant behind the wall."""
        environment = {"PATROLBOOK_DATA": str(self.house.settings.data), "PATROLBOOK_LANG": "en"}
        for words in (["list", "hazard", "--json"], ["list", "audit"], ["conflicts", "list", "--json"], ["quarantine", "list", "--json"],
                      ["status", "--json"], ["access", "list", "--json"]):  # fmt: skip
            if words[0] in main.commands:
                shown = CliRunner().invoke(main, words, env=environment)
                self.told_of(" ".join(words), shown.output.replace(str(self.house.settings.data), "").encode(), shown.exit_code)


def on(tablet: TestDevice, server: TestServer) -> TestDevice:
    """The same tablet, talking to another copy of its server."""
    other = copy.copy(tablet)
    other.session, other.url, other.now = server.session, server.url, server.clock
    return other
