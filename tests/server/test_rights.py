"""Every route × every role × where what is asked for lies, against the tables that are written out here.

A server is filled alike in five places (`tests.support.neighbours`). Whoever asks has a grant on `own`. Of what they do not see
no word and no id may be in any answer; by its id it is answered as what does not exist, byte for byte; and nothing is
written. A route without a row fails.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson
import pysqlite3.dbapi2 as sqlite
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from custody import codes
from server.access.policy import ACTIONS
from server.access.rights import ROLES
from server.console.frame import ANYBODY, PREFIX
from tests.support.neighbours import AREAS, COMMON, DAY_MS, NOW, WORDS, Neighbours, Place, neighbours_in
from tests.support.server import BASE, TestDevice

# i inspector, o officer, v supervisor, t team, s staff, l lead, c city, p province, a admin, r oversight, d department
LETTERS = dict(zip("iovtslcpard", ROLES, strict=True))

WALK = """
GET  /                                                 iovtslcpard  page
GET  /account                                          iovtslcpard  mine
POST /account/password                                 iovtslcpard  mine
POST /account/second                                   iovtslcpard  mine
POST /account/second/off                               iovtslcpard  mine
POST /account/second/codes                             iovtslcpard  mine
POST /account/sessions                                 iovtslcpard  mine
POST /account/session                                  iovtslcpard  mine

GET  /records                                          slcpard      page
GET  /records/<kind>                                   slcpard      kind
GET  /search                                           slcpard      page
GET  /map                                              slcpard      page
GET  /map/clusters                                     slcpard      page
GET  /map/outlines                                     slcpard      common
GET  /map/tiles/<int:zoom>/<int:x>/<int:y>             slcpard      common
GET  /record/<record>                                  slcpard      record
GET  /record/<record>/file/<sha256>                    slcpard      file
GET  /record/<record>/original/<sha256>                slcpard      file
POST /record/<record>/original/<sha256>                slcpard      file
POST /records/<kind>/export                            slcpard      kind
POST /records/<kind>/views                             slcpard      kind
POST /records/<kind>/views/<int:number>/drop           slcpard      mine
GET  /records/<kind>/new                               slcp         kind
POST /records/<kind>/new                               slcp         kind
GET  /record/<record>/edit                             slcp         record
POST /record/<record>/edit                             slcp         record
POST /record/<record>/step                             slcp         moved
GET  /record/<record>/card                             slcpard      card
GET  /cards                                            slcp         page

GET  /clues                                            slcpar       page
GET  /clues/new                                        slcp         page
POST /clues/new                                        slcp         mine
POST /clues/from-note/<record>                         slcp         note
GET  /clues/import                                     slcp         page
GET  /clues/import/template.xlsx                       slcp         common
POST /clues/import                                     slcp         mine
GET  /clues/<record>                                   slcpar       clue
POST /clues/<record>/assign                            slcp         clue
POST /clues/<record>/step                              slcp         clue
POST /clues/<record>/link                              slcp         clue
POST /clues/<record>/informer                          slcp         clue
POST /clues/<record>/informer/note                     slcp         clue
GET  /tasks                                            slcpar       page
GET  /tasks/plan                                       slcp         page
POST /tasks/plan                                       slcp         mine
GET  /tasks/recheck/<record>                           slcp         hazard
POST /tasks/recheck/<record>                           slcp         hazard
GET  /tasks/<record>                                   slcpar       task
POST /tasks/<record>/change                            slcp         task
POST /tasks/<record>/step                              slcp         task

GET  /merge                                            slcpar       page
GET  /merge/decided                                    slcpar       page
GET  /merge/second                                     slcpar       page
GET  /merge/<conflict>                                 slcpar       conflict
GET  /merge/sweeps/<id>                                slcpar       sweep
GET  /merge/sweep                                      slcp         page
POST /merge/sweep                                      slcp         mine
POST /merge/sweeps/<id>/undo                           slcp         sweep
POST /merge/<conflict>                                 slcp         conflict
POST /merge/<conflict>/kept                            slcp         kept
POST /merge/<conflict>/undo                            slcp         swept
POST /merge/proposals/<proposal>/confirm               lcp          proposal
POST /merge/proposals/<proposal>/refuse                slcp         proposal

GET  /duplicates                                       slcpar       page
GET  /duplicates/<one>/<other>                         slcpar       pair
POST /duplicates/<one>/<other>                         slcp         pair
GET  /duplicates/merged/<survivor>/<other>             slcpar       merged
POST /duplicates/merged/<survivor>/<other>/undo        slcp         merged

GET  /review                                           slcpar       page
GET  /review/<record>                                  slcpar       visit
POST /review/<record>                                  slcp         visit

GET  /devices                                          slcpar       page
GET  /devices/new                                      slcpa        page
POST /devices/new                                      slcpa        invited
POST /devices/invitations/<invitation>/approve         lcpa         invitation
POST /devices/invitations/<invitation>/refuse          lcpa         invitation
GET  /devices/<device>                                 slcpar       device
GET  /devices/<device>/lost                            slcpar       device
POST /devices/<device>/revoke                          slcpa        device
POST /devices/enrolment                                a            common

GET  /people                                           lcpar        page
GET  /people/new                                       a            common
POST /people/new                                       a            common
GET  /people/<person>                                  lcpar        person
POST /people/<person>/grants                           a            person
POST /people/<person>/grants/<named>/end               a            grant
POST /people/<person>/account                          a            person
POST /people/<person>/account/reset                    a            person
POST /people/<person>/account/close                    a            person
POST /people/<person>/account/end                      a            person

GET  /checklists                                       slcpar       common
GET  /checklists/<checklist>                           slcpar       common
POST /checklists/import                                pa           common
POST /checklists/<checklist>/copy                      pa           common
POST /checklists/<checklist>/change                    pa           common
GET  /checklists/<checklist>/item                      pa           common
POST /checklists/<checklist>/items                     pa           common
POST /checklists/<checklist>/items/drop                pa           common
POST /checklists/<checklist>/groups                    pa           common
POST /checklists/<checklist>/publish                   pa           common
POST /checklists/<checklist>/retire                    pa           common
GET  /places                                           slcpar       common
POST /places/import                                    pa           common
GET  /places/find                                      slcpard      common
GET  /places/responsible                               slcpar       page
POST /places/responsible                               slcp         mine
GET  /access                                           lcpar        page
GET  /access.csv                                       lcpar        page
GET  /tracing                                          lcpr         page
GET  /tracing/<record>                                 lcpr         record
POST /tracing/<record>                                 lcpr         record
GET  /settings                                         ar           common
POST /settings/name                                    a            common
POST /settings/originals                               a            common
POST /settings/clue-days                               a            common
POST /settings/backup                                  a            common

GET  /sign-in                                          -            door
POST /sign-in                                          -            door
GET  /sign-in/first                                    -            door
POST /sign-in/first                                    -            door
GET  /sign-in/second                                   -            door
POST /sign-in/second                                   -            door
POST /sign-out                                         -            door
POST /language                                         -            door
"""
"""Method, route below /console, who may, and what is asked for:

page      what is gathered: only of what is in sight
kind      the same of one kind of record; of a kind behind the wall as of one that does not exist
record, conflict, device, …   one thing by its id: out of sight as if it did not exist
mine      what is one's own, or named by nothing but a form
common    the same for everybody who may: reference data, this server
door      for those who have not signed in
"""

SEEN = {
    #            own    child  sibling parent behind
    "in front": (True, True, False, False, False),
    "inside": (True, True, False, False, True),  # with a second grant behind the wall
    "over": (True, True, True, True, False),  # with the grant on the parent
    "under": (False, True, False, False, False),
    "beside": (False, False, True, False, False),
    "expired": (False,) * 5,
    "not begun": (False,) * 5,
    "other department": (False,) * 5,
}
"""Where the grant of who asks lies → of which places they see what is there."""

WITHOUT_A_GRANT = {"/", "/account"}
"""What somebody may open of whom no grant runs; and their own password."""

ABSENT = "01a1fa42-2000-7fff-bfff-ffffffffffff"
NOT_THERE = {"sha256": "e" * 64, "conflict": "eeeeeeeeeeee", "kind": "nonsense"}

WHAT: dict[str, dict[str, str]] = {
    "record": {"record": "record"},
    "visit": {"record": "inspection"},
    "moved": {"record": "disputed"},
    "file": {"record": "inspection", "sha256": "sha256"},
    "conflict": {"conflict": "conflict"},
    "kept": {"conflict": "kept"},
    "swept": {"conflict": "swept"},
    "clue": {"record": "a-clue"},
    "task": {"record": "a-task"},
    "hazard": {"record": "a-hazard"},
    "note": {"record": "a-patrol_note"},
    "card": {"record": "a-officer"},
    "sweep": {"id": "id"},
    "proposal": {"proposal": "proposal"},
    "pair": {"one": "one", "other": "other"},
    "merged": {"survivor": "survivor", "other": "merged"},
    "device": {"device": "device"},
    "invitation": {"invitation": "invitation"},
    "invited": {"form person": "person"},
    "person": {"person": "person"},
    "grant": {"person": "person", "named": "named"},
}
"""What is asked for by an id → the part of the address (or of the form) → which of a place's ids it is."""

SOME = {"institution", "hazard", "audit"}
"""Kinds with which forms and questions are tried; lists are of all kinds, and what lies behind the wall is tried everywhere."""

IN_FRONT = {"pair", "merged", "clue", "task", "hazard", "note", "card"}

FORMS: dict[str, dict[str, str]] = {
    "/records/<kind>/export": {"form": "csv", "all": "1"},
    "/devices/new": {"hours": "24", "address": "https://t.example"},
    "/record/<record>/edit": {"name": "改名"},
    "/tracing/<record>": {"purpose": "核实"},
    "/people/<person>/grants": {"until": "never"},
}
QUERIES: dict[str, tuple[str, ...]] = {
    "/search": (f"?q={COMMON}", "?q=13874800001", "?q=T-14"),
    "/records/<kind>": ("", f"?q={COMMON}", "?conflict=1"),
    "/map/clusters": ("?kind=institution&zoom=3&box=0,70,60,140", "?kind=institution&zoom=18&box=28,112,29,114"),
    "/merge": ("", "?place=steps", "?place=quarantine", "?order=age"),
    "/merge/sweep": ("?day=2026-11-20", "?day=2026-11-21"),
    "/review": ("", "?which=all", "?which=returned", "?kind=hazard&which=all"),
    "/devices": ("", "?show=owing", "?show=copied", "?show=revoked"),
    "/places/responsible": ("", "?area=4301&all=1", "?area=430104&all=1"),
    "/duplicates": ("", "?which=apart"),
    "/clues": ("", "?which=late", "?which=received", f"?q={COMMON}"),
    "/tasks": ("", "?which=done"),
    "/tasks/plan": ("", f"?q={COMMON}"),
}
PROBES: dict[str, tuple[str, ...]] = {
    "/search": ("q=word", "q=record", "q=sha256"),
    "/records/<kind>": ("q=word",),
    "/merge": ("device=device", "record=disputed", "done=swept"),
    "/merge/sweep": ("device=device", "record=disputed"),
    "/access": ("person=word", "person=person", "record=record"),
    "/access.csv": ("person=person", "record=record"),
    "/devices/new": ("person=person",),
}
"""Questions by something that somebody may have heard of: the answer is that to a word or an id that is nowhere."""


class Row(NamedTuple):
    method: str
    rule: str
    roles: str
    what: str


ROWS = [Row(*line.split()) for line in WALK.strip().splitlines() if line]
CASES = [
    *((role, where) for where in ("in front", "expired") for role in ROLES),
    *((role, "not begun") for role in ("inspector", "staff", "admin", "department")),
    *((role, "inside") for role in ("lead", "province", "oversight")),
    *((role, "over") for role in ("city", "department")),
    ("staff", "under"),
    ("staff", "beside"),
    ("department", "other department"),
]
"""Every role with a grant on `own` that runs or has ended; some with one that has not begun, or that lies elsewhere."""


def text_of(answer: TestResponse) -> str:
    return answer.get_data().decode("utf-8", "replace")


class Asking:
    """Somebody at a desk: a role, and a grant that lies somewhere."""

    def __init__(self, land: Neighbours, role: str, where: str) -> None:
        self.land, self.role, self.where = land, role, where
        area = {"over": AREAS["parent"], "under": AREAS["child"], "beside": AREAS["sibling"]}.get(where, AREAS["own"])
        more: dict[str, Any] = {"expired": {"until": NOW - DAY_MS}, "not begun": {"since": NOW + DAY_MS}}.get(where, {})
        if role == "department":
            more["department"] = "police" if where == "other department" else "fire"
        if where == "inside" or role == "team":
            more["walls"] = ("", "sealed")
        self.client: FlaskClient = land.server.app.test_client()
        self.client.set_cookie("patrolbook", land.session(land.person(role, "观者", area, **more)), domain="localhost")
        seen = list(zip(land.places.values(), SEEN[where], strict=True))
        self.sees = [place for place, sees in seen if sees]
        self.hidden = [place for place, sees in seen if not sees]
        page = self.client.get(f"{PREFIX}/account").get_data(as_text=True)
        self.token = re.findall(r'name="csrf" value="([0-9a-f]{64})"', page)[0]

    def may(self, row: Row) -> bool:
        held = self.where not in ("expired", "not begun") or row.rule in WITHOUT_A_GRANT or row.rule.startswith("/account/")
        return held and self.role in [LETTERS.get(letter) for letter in row.roles]

    def ask(self, row: Row, said: dict[str, str], query: str = "") -> TestResponse:
        """Ask with these values for the parts of the address, or of the form where they are named so."""
        path = re.sub(r"<(?:[^:>]*:)?([^>]*)>", lambda part: said.get(part[1], "1"), row.rule)
        form = FORMS.get(row.rule, {}) | {name[5:]: value for name, value in said.items() if name.startswith("form ")}
        data = {"csrf": self.token, **form} if row.method == "POST" else None
        self.client.delete_cookie("patrolbook-notices")  # else the notice of the request before stands on the next page
        return self.client.open(f"{PREFIX}{path}{query}", method=row.method, data=data, headers={"Accept": "text/html"})

    @property
    def traces(self) -> list[str]:
        """What must be in no answer."""
        found = [trace for place in self.hidden for trace in place.traces]
        if self.role == "department":  # of what is in sight, only what names the department
            found += [id for place in self.sees for id in [*place.unnamed, place.ids["disputed"], place.ids["device"]]]
        return found

    def found_in(self, answer: TestResponse) -> list[str]:
        """The words and ids of what is hidden that are in an answer all the same."""
        told = f"{answer.headers} {text_of(answer)}"
        return [trace for trace in self.traces if trace in told]


@pytest.fixture(scope="module")
def land(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbours]:
    with neighbours_in(tmp_path_factory.mktemp("neighbours")) as filled:
        yield filled


@pytest.fixture(scope="module")
def somebody(land: Neighbours) -> Callable[[str, str], Asking]:
    made: dict[tuple[str, str], Asking] = {}

    def sit(role: str, where: str) -> Asking:
        return made.setdefault((role, where), made.get((role, where)) or Asking(land, role, where))

    return sit


class Written:
    """Whether anything at all was committed to the database since this was asked last."""

    def __init__(self, land: Neighbours) -> None:
        self.connection = sqlite.connect(land.house.settings.database_file)
        self.last = 0

    def since(self) -> bool:
        (now,) = self.connection.execute("PRAGMA data_version").fetchone()
        changed, self.last = now != self.last, now
        return changed


@pytest.fixture(scope="module")
def written(land: Neighbours) -> Iterator[Written]:
    made = Written(land)
    yield made
    made.connection.close()


def test_every_route_of_the_console_has_a_row_and_every_row_says_what_the_policy_says(land: Neighbours) -> None:
    made = {}
    for rule in land.server.app.url_map.iter_rules():
        may = getattr(land.server.app.view_functions[rule.endpoint], "policy", None)
        if rule.rule.startswith(f"{PREFIX}/") and may is not None:
            who = "-" if may == ANYBODY else "".join(letter for letter, role in LETTERS.items() if role in ACTIONS[may].roles)
            (method,) = (rule.methods or set()) & {"GET", "POST"}
            made[method, rule.rule.removeprefix(PREFIX)] = who
    rows = {(row.method, row.rule): row.roles for row in ROWS}
    assert made.items() ^ rows.items() == set(), "each of these needs its row in WALK"


@pytest.mark.parametrize(("role", "where"), CASES)
def test_who_asks_is_answered_of_what_they_see_and_of_nothing_else(
    land: Neighbours, somebody: Callable[[str, str], Asking], written: Written, role: str, where: str
) -> None:
    who = somebody(role, where)
    faults = [fault for row in ROWS if row.what != "door" for fault in walked(who, row, written)]
    assert not faults, "\n".join(faults)


def walked(who: Asking, row: Row, written: Written) -> Iterator[str]:
    """What is wrong with the answers of a route."""
    if not who.may(row):
        answer = who.ask(row, nowhere(row.what) | {"kind": "hazard"})
        yield from wrong(row, "", answer, (403,), who)
    elif row.what in ("page", "common", "mine"):
        for query in QUERIES.get(row.rule, ("",)):
            answer = who.ask(row, {"kind": "hazard", "checklist": who.land.checklist}, query)
            yield from wrong(row, query, answer, (200, 204, 303, 400, 401, 404, 409, 422, 429), who)
    elif row.what == "kind":
        yield from of_every_kind(who, row)
    else:
        yield from of_one_thing(who, row, written)


def wrong(row: Row, about: str, answer: TestResponse, statuses: tuple[int, ...], who: Asking) -> Iterator[str]:
    """A status that it should not have, or traces of what is hidden."""
    if answer.status_code not in statuses:
        yield f"{row.method} {row.rule} {about}: {answer.status_code}"
    if found := who.found_in(answer):
        yield f"{row.method} {row.rule} {about} tells of {found}"


def named(place: Place, what: str) -> dict[str, str]:
    """The parts of an address that lead to something of a place."""
    return {part: place.ids.get(key, ABSENT) for part, key in WHAT.get(what, {}).items()}


def nowhere(what: str) -> dict[str, str]:
    """The same for something that does not exist."""
    return {part: NOT_THERE.get(part, ABSENT) for part in WHAT.get(what, {})}


def of_every_kind(who: Asking, row: Row) -> Iterator[str]:
    for query in QUERIES.get(row.rule, ("",)):
        unknown = told(who.ask(row, {"kind": "nonsense"}, query), {"kind": "nonsense"})
        for schema in who.land.house.registry:
            behind = schema.at_desk or (schema.compartment and who.where != "inside")
            if not (behind or schema.kind in SOME or (row.rule == "/records/<kind>" and not query)):
                continue
            said = {"kind": schema.kind}
            answer = who.ask(row, said, query)
            if behind:
                yield from wrong(row, f"{schema.kind} {query}", answer, (404,), who)
                if told(answer, said) != unknown:
                    yield f"{row.method} {row.rule} {schema.kind} is not answered as a kind that does not exist"
            else:
                yield from wrong(row, f"{schema.kind} {query}", answer, (200, 303, 400, 422), who)


def of_one_thing(who: Asking, row: Row, written: Written) -> Iterator[str]:
    said, at = nowhere(row.what), f"{row.method} {row.rule}"
    absent = told(who.ask(row, said), said)
    if absent[0] != 404:
        yield f"{at} of nothing: {absent[0]}"
    for place in who.hidden:
        said = named(place, row.what)
        written.since()
        if told(who.ask(row, said), said) != absent:
            yield f"{at} of {place.name} is not answered as what does not exist"
        if written.since() and row.what != "file":  # that a file was asked for is in the sealed log
            yield f"{at} of {place.name} wrote something"
        if len(said) == 2 and who.sees:  # the first part is in sight, the second is not
            last = list(said)[-1]
            mine = named(who.sees[0], row.what)
            here, away = mine | {last: said[last]}, mine | {last: nowhere(row.what)[last]}
            if told(who.ask(row, here), here) != told(who.ask(row, away), away):
                yield f"{at} with a part of {place.name} is not answered as what does not exist"
    for place in who.sees:
        if place.name == "behind" and (row.what in IN_FRONT or row.rule.startswith("/review/")):
            continue  # there is no such kind there, and nothing that is reviewed level by level
        if who.role == "department" and row.what == "card":
            continue  # officers name no department
        fresh(who.land, place, row.what)
        answer = who.ask(row, named(place, row.what))
        yield from wrong(row, place.name, answer, (200, 303, 400, 409, 422), who)
        if row.method == "GET" and row.what != "file" and place.word not in text_of(answer):
            yield f"{at} of {place.name} says nothing of it"


@pytest.mark.parametrize("role", [LETTERS[letter] for letter in "slcpard"])
def test_who_reported_a_clue_is_no_record_that_anybody_reads_by_its_id(
    land: Neighbours, somebody: Callable[[str, str], Asking], role: str
) -> None:
    who = somebody(role, "in front")
    for row in ROWS:
        if row.what in ("record", "moved", "visit", "clue", "task", "hazard", "note") and who.may(row):
            kept, absent = ({"record": id} for id in (land.places["own"].ids["a-informer"], ABSENT))
            assert told(who.ask(row, kept), kept) == told(who.ask(row, absent), absent), row


def fresh(land: Neighbours, place: Place, what: str) -> None:
    """What may be done once only is there again."""
    if what == "invitation":
        place.ids["invitation"] = land.invitation(place.ids["person"])
    elif what == "grant":
        place.ids["named"] = land.grant(place)
    elif what == "merged":
        land.merge(place)


def told(answer: TestResponse, said: dict[str, str]) -> tuple[int, list[tuple[str, str]], str]:
    """An answer without what was asked for in it, and without the time."""
    left_out = ("Patrolbook-Time", "Content-Length")
    headers = [(name, value) for name, value in answer.headers if name not in left_out]
    body = text_of(answer)
    for value in sorted(set(said.values()), key=len, reverse=True):
        body = body.replace(value, "∅").replace(quote(value), "∅")
        body = body.replace(value[-8:], "∅") if len(value) == len(ABSENT) else body  # lists show the end of an id
    return answer.status_code, headers, body


@pytest.mark.parametrize("role", [LETTERS[letter] for letter in "slcpard"])
def test_a_question_by_what_somebody_heard_of_is_answered_as_one_by_nothing(
    land: Neighbours, somebody: Callable[[str, str], Asking], role: str
) -> None:
    who, faults = somebody(role, "in front"), []
    for row in ROWS:
        if row.method == "GET" and who.may(row):
            for probe in PROBES.get(row.rule, ()):
                name, _, of = probe.partition("=")
                for place in who.hidden:
                    asked = place.word if of == "word" else place.ids.get(of, ABSENT)
                    other = "无此" if of == "word" else "e" * 64 if len(asked) == 64 else "e" * 12 if len(asked) == 12 else ABSENT
                    answers = [told(who.ask(row, {"kind": "hazard"}, f"?{name}={one}"), {"q": one}) for one in (asked, other)]
                    if answers[0] != answers[1]:
                        faults.append(f"{row.rule} {probe} {place.name}")
    assert not faults, "\n".join(faults)



# --- Tablets --------------------------------------------------------------------------------------------------------

VERBS = """
GET  /capabilities                      anybody  common
GET  /openapi.json                      anybody  common
POST /enrol                             anybody  common
POST /replicas                          tablet   mine
GET  /trust                             tablet   common
POST /push                              tablet   push
POST /pull                              tablet   pull
GET  /snapshots/<bucket>                tablet   bucket
POST /have                              tablet   have
POST /blobs                             tablet   announce
PUT  /blobs/<upload>/parts/<int:number> tablet   upload
POST /blobs/<upload>/complete           tablet   upload
GET  /blobs/<name>                      tablet   blob
GET  /evidence/<code>                   tablet   code
GET  /log/checkpoint                    tablet   common
GET  /log/witnessed                     tablet   common
POST /log/inclusion                     tablet   common
GET  /log/consistency                   tablet   common
POST /lease                             tablet   mine
POST /lease/unlock                      tablet   mine
"""
"""What is asked for. `common` is the server itself, and hashes of the log that say nothing of what was written. Of `have`:
whoever knows the id of a change, which nobody guesses, hears whether it is in the log of their own side of the wall."""

READS = {
    #               own    child  sibling parent behind
    "inspector": (True, True, False, False, False),
    "officer": (True, True, False, False, False),
    "supervisor": (True, True, False, False, False),
    "team": (True, True, False, False, True),
    "staff": (True, True, False, False, False),
    "lead": (True, True, False, False, False),
    "city": (True, True, False, False, False),
    "province": (True, True, False, False, False),
    "admin": (True, True, False, False, False),
    "oversight": (False,) * 5,  # roles that only read at a desk
    "department": (False,) * 5,
}
"""The tablet of whom → what it reads."""


class Carried:
    """Somebody's tablet, and what it may read."""

    def __init__(self, land: Neighbours, role: str, where: str) -> None:
        more: dict[str, Any] = {"expired": {"until": NOW - DAY_MS}, "not begun": {"since": NOW + DAY_MS}}.get(where, {})
        more |= {"department": "fire"} if role == "department" else {"walls": ("", "sealed")} if role == "team" else {}
        self.land, self.role = land, role
        self.device = land.tablet(land.person(role, "持者", AREAS["own"], **more), "T")
        seen = list(zip(land.places.values(), READS[role] if where == "in front" else (False,) * 5, strict=True))
        self.reads = [place for place, reads in seen if reads]
        self.hidden = [place for place, reads in seen if not reads]

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
        answer = self.device.request(method, path, body, **headers)
        return answer.status_code, answer.content.decode("utf-8", "replace")


def test_every_verb_for_tablets_is_in_the_table(land: Neighbours) -> None:
    found = set()
    for rule in land.server.app.url_map.iter_rules():
        if rule.rule.startswith(BASE):
            may = getattr(land.server.app.view_functions[rule.endpoint], "policy", "anybody")
            (method,) = (rule.methods or set()) & {"GET", "POST", "PUT"}
            found.add((method, rule.rule.removeprefix(BASE), "tablet" if "device" in may else may))
    assert found == {(method, rule, who) for method, rule, who, _ in map(str.split, VERBS.strip().splitlines())}


@pytest.mark.parametrize(
    ("role", "where"), [*((role, "in front") for role in ROLES), *(("inspector", where) for where in ("expired", "not begun"))]
)
def test_a_tablet_reads_what_its_person_may_read_and_nothing_else(land: Neighbours, role: str, where: str) -> None:
    carried = Carried(land, role, where)
    told = "".join(pages(carried.device))
    assert [trace for place in carried.hidden for trace in place.traces if trace in told] == []
    assert [place.name for place in carried.reads if place.word not in told] == []
    faults = [fault for place in carried.hidden for fault in asked_by(carried, place)]
    assert not faults, "\n".join(faults)
    for place in carried.reads:
        assert carried.ask("GET", f"/snapshots/{bucket_of(place)}", Range="bytes=0-")[0] == 206
        purpose = f"?purpose={quote('核对')}"
        assert carried.ask("GET", f"/blobs/{place.ids['sha256']}{purpose}")[0] == 200
        if "code" in place.ids:
            status, found = carried.ask("GET", f"/evidence/{place.ids['code']}")
            assert status == 200 and WORDS["parent"] not in found  # a copy that lies elsewhere is not told of


def bucket_of(place: Place) -> str:
    return f"{'sealed' if place.name == 'behind' else 'area'}:{place.area}"


def pages(device: TestDevice) -> Iterator[str]:
    """All that a tablet pulls."""
    cursors: dict[str, str] = {}
    more = True
    while more:
        page = device.post("/pull", {"epoch": device.answer["epoch"], "cursors": cursors}).text
        yield page
        end = orjson.loads(page.splitlines()[-1])["end"]
        cursors, more = cursors | end["cursors"], end["more"]


def asked_by(carried: Carried, place: Place) -> Iterator[str]:
    """What is wrong with the answers to a tablet that asks for something out of its sight."""
    ids, claim = place.ids, {"size": 9, "mime": "image/jpeg", "part_size": 1 << 16, "role": "original"}
    code = codes.code_of("e" * 64, ABSENT)
    digest = f"sha-256=:{b64encode(sha256(b'x').digest()).decode()}:"
    for verb, path, theirs, nobodys, more in (
        ("GET", "/snapshots/{}", bucket_of(place), "area:999999", {}),
        ("GET", "/blobs/{}", ids["sha256"], "e" * 64, {}),
        ("GET", "/blobs/{}?width=320", ids["sha256"], "e" * 64, {}),
        ("GET", "/blobs/{}", ids["upload"], f"u-{ABSENT}", {}),
        ("PUT", "/blobs/{}/parts/1", ids["upload"], f"u-{ABSENT}", {"body": b"x", "Content_Digest": digest}),
        ("POST", "/blobs/{}/complete", ids["upload"], f"u-{ABSENT}", {}),
        ("GET", "/evidence/{}", ids.get("code", code), code, {}),
    ):
        answers = [
            (status, text.replace(codes.printed(id) if "evidence" in path else id, "∅"))
            for id in (theirs, nobodys)
            for status, text in [carried.ask(verb, path.format(id), **more)]
        ]
        if answers[0] != answers[1] or answers[0][0] != 404:
            yield f"{verb} {path} of {place.name}: {answers}"
    begun = [carried.device.post("/blobs", {**claim, "sha256": one}).json() for one in (ids["sha256"], sha256(ids["sha256"].encode()).hexdigest())]
    if [sorted(one) for one in begun] != [["have", "part_size", "upload"]] * 2:
        yield f"the file of {place.name} is said to be held"
    lacking = carried.device.post("/have", {"ids": [ids["change"]]}).json()["lacking"]
    if (lacking == []) != ((place.name == "behind") == (carried.role == "team")):
        yield f"have of {place.name}: {lacking}"
    kind = "audit" if place.name == "behind" else "hazard"
    pushed = carried.device.push(carried.device.change(kind, ids["disputed"], {"notes/n1": {"text": "越界", "at": "2026-11-21T02:00:00.000Z"}}))
    if pushed[0]["status"] == "accepted" or "bucket" in pushed[0] or place.area in str(pushed):
        yield f"pushed to {place.name}: {pushed}"
