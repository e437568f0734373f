"""Whatever grants somebody has, every way of asking gives what lies under their prefixes and runs now, and nothing else.

What they should see is worked out here by the beginnings of codes alone; what they do see is asked of every query that there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.base import DESK_ROLES, READ_ROLES
from server.access import policy
from server.access.policy import Sight
from server.evidence import openings
from server.exchange import tablets
from server.instance import Instance
from server.keys import ServerKeys
from server.merging import backlog, decisions
from server.reading import finding, overview, records
from server.reading.records import text_sight
from server.reading.searching import Searcher, wanted_in
from server.register import responsible, staffing
from server.storage import places
from server.storage.lists import Lists
from server.storage.people import Grant
from server.storage.places import Box
from tests.support.server import TestServer, wsgi_server

NOW = 1_795_200_000_000
CODES = ("43", "4301", "430103", "430103001", "430103001002", "430103002", "430104", "430104001", "4302", "430203001", "44", "440103")
CHINA = Box(180_000_000, 735_000_000, 536_000_000, 1_351_000_000)

TIMES = st.sampled_from([(0, None), (NOW, None), (0, NOW + 1), (0, NOW), (NOW + 1, None)])
GRANT = st.tuples(st.sampled_from([*CODES, "", "4", "4303", "430"]), TIMES, st.sampled_from(["", "", "sealed"]))


@dataclass
class Country:
    """A server with the same in every division: id → its division code, for each sort of thing."""

    server: TestServer
    made: dict[str, dict[str, str]] = field(default_factory=lambda: {sort: {} for sort in ("institution", "named", "hazard", "audit", "tablet", "person", "conflict")})

    @property
    def house(self) -> Instance:
        return self.server.instance


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Country]:
    server = wsgi_server(tmp_path_factory.mktemp("country"))
    server.clock.ms = NOW
    found = Country(server)
    writing = server.enrol("officer", "")
    for number, code in enumerate(CODES):
        tablet = server.enrol("inspector", code)
        found.made["tablet"][tablet.id] = found.made["person"][tablet.answer["person"]["id"]] = code
        values = {"name": f"培训{code}", "area": code, "status": "operating", "place": {"lat": 281_900_000, "lon": 1_129_800_000, "src": "gnss"}}
        named = {"departments/fire": True} if number % 2 else {}
        one = decisions.write(found.house.desk, "institution", None, values | named, by=["p"]).record
        found.made["institution"][one] = code
        if named:
            found.made["named"][one] = code
        hazard = ServerKeys.new_id(NOW)
        writing.push(writing.change("hazard", hazard, {"description": f"培训隐患{code}", "area": code, "status": "open"}))
        writing.push(*(writing.change("hazard", hazard, {"measures": text}) for text in ("甲", "乙")))
        found.made["hazard"][hazard] = code
        found.made["audit"][decisions.write(found.house.desk, "audit", None, {"name": f"培训{code}", "area": code}, by=["p"]).record] = code
    yield found
    server.instance.close()


@settings(max_examples=40, deadline=None)
@given(role=st.sampled_from(sorted(DESK_ROLES | READ_ROLES)), given=st.lists(GRANT, max_size=4))
def test_a_prefix_never_yields_what_lies_outside_and_always_what_lies_within(
    country: Country, role: str, given: list[tuple[str, tuple[int, int | None], str]]
) -> None:
    department = "fire" if role == "department" else ""
    held = [(code, since, until, wall) for code, (since, until), wall in given if not (wall and role == "department")]
    grants = [Grant(str(n), "p", code, role, since, until, wall, department) for n, (code, since, until, wall) in enumerate(held)]
    runs = [(code, wall) for code, since, until, wall in held if since <= NOW and (until is None or until > NOW)]

    def within(sort: str, wall: str = "") -> set[str]:
        return {id for id, at in country.made[sort].items() if any(one == wall and at.startswith(code) for code, one in runs)}

    sight = policy.sight_of(grants, role, NOW)
    institutions = within("named" if department else "institution")
    hazards = set() if department else within("hazard")
    audits = within("audit", "sealed")
    assert policy.allows(sight, "records.read") == bool(runs)
    assert listed(country.house, sight, "institution") == institutions
    assert listed(country.house, sight, "hazard") == hazards
    assert listed(country.house, sight, "audit") == audits
    assert searched(country.house, sight) == institutions | hazards | audits
    assert by_id(country, sight) == named(country, sight) == institutions | hazards | audits
    assert on_the_map(country.house, sight) == len(institutions)
    with country.house.database.read() as conn:
        assert sum(bar.number for bar in overview.institutions(country.house, conn, sight)) == len(institutions)
        if not department:  # who reads these desks at all
            assert {row.record for row in backlog.page(country.house, sight, backlog.EVERYTHING).rows} == hazards
            assert {one.device.id for one in tablets.in_sight(country.house, conn, sight)} & country.made["tablet"].keys() == within("tablet")
            assert {one.person.id for one in staffing.in_sight(country.house, conn, sight)} & country.made["person"].keys() == within("person")
            assert {one.record for one in finding.every(country.house, conn, sight.rights(), "institution")} == institutions
            assert {one.record for one in responsible.places(country.house, sight.rights(), "")} == institutions
    writes = policy.rights_at_desk(grants, role, NOW)
    for code in CODES:
        assert writes.covers(code) == (role not in READ_ROLES and any(not wall and code.startswith(one) for one, wall in runs))
    assert list(openings.listed(country.house, sight.rights())) == []


def listed(house: Instance, sight: Sight, kind: str) -> set[str]:
    wanted = wanted_in(house.registry[kind], text_sight(sight))
    with house.database.read() as conn:
        rows = {row["record"] for row in Lists(house.projections).page(conn, wanted, 100).rows}
        assert Lists(house.projections).count(conn, wanted).number == len(rows)
    return rows


def searched(house: Instance, sight: Sight) -> set[str]:
    found, after, more = set(), None, True
    while more:
        answer = Searcher(house).find("培训", text_sight(sight), after=after, size=7)
        found |= {one.row["record"] for one in answer.found}
        after, more = answer.after, answer.after is not None
    return found


def every(country: Country) -> list[str]:
    return [id for sort in ("institution", "hazard", "audit") for id in country.made[sort]]


def by_id(country: Country, sight: Sight) -> set[str]:
    found = set()
    with country.house.database.read() as conn:
        for id in every(country):
            try:
                found.add(records.one(country.house, conn, sight, id).record)
            except Exception as problem:
                assert getattr(problem, "code", "") == "not-found", problem
    return found


def named(country: Country, sight: Sight) -> set[str]:
    with country.house.database.read() as conn:
        return set(records.names(country.house, conn, sight, every(country)))


def on_the_map(house: Instance, sight: Sight) -> int:
    wanted = wanted_in(house.registry["institution"], text_sight(sight))
    with house.database.read() as conn:
        return sum(one.many for one in places.clusters(conn, house.projections, wanted, None, CHINA, 5).found)
