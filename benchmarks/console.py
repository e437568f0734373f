"""What pages of the console take while the server's collection grows: lists, filters, search, a record, the map.

Two servers, a small one and a large one, with the same hundred areas of twenty counties. A person of the province sees all of
them, one of a county a twentieth. The pages are asked for over HTTP by one browser, signed in, in turns (small, large, large,
small …), each page many times with another word, another record, another place in the list; the first turns are not counted.
The time is from the request to the whole answer.

The records are put there through the storage functions of a push, with their changes; the index of texts is made by the server's
own indexer. A million pushes would take most of an hour and give the same rows.
"""

from __future__ import annotations

import random
import re
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import requests

from benchmarks import data, house, servers
from benchmarks.processes import free_port
from benchmarks.table import Aim, Verdict
from schemas.kinds.inspection import Inspection
from server.access import accounts, rights
from server.access.accounts import Visit
from server.config import Settings
from server.instance import Instance, create_instance
from server.searching import Searcher
from server.storage import journal, merkle, people, states
from server.storage.lists import Mark
from server.storage.people import Grant, Person
from server.storage.states import Write
from sync.core.change import START, Change, compose
from sync.core.fold import Entry, State, absorb, checksum

AREAS = tuple(f"43{county // 5 + 1:02}{county % 5 + 2:02}{number + 1:03}001" for county in range(20) for number in range(5))
COUNTY = AREAS[0][:6]
PASSWORD = "竹林 晨跑 青石 茶壶 南风"
AIM_MS = 200.0
AT_ONCE = 5_000
TURNS, WARM_UP = 25, 3
WORDS = ("消防", "灭火器", "走廊", "启航", "少儿编程", "人民中路", "应急", "课表", "食堂", "门锁")
DAYS = tuple(f"2026-{month:02}-{day:02}" for month in range(1, 13) for day in (3, 11, 19, 27))


class Page(NamedTuple):
    """A page that is measured: its address from a random source and the records that were met."""

    name: str
    county: bool
    address: Callable[[random.Random, list[str]], str]


PAGES = (
    Page("list, newest first, province", False, lambda rng, met: "records/inspection"),
    Page("list, newest first, county", True, lambda rng, met: "records/inspection"),
    Page("list by another column, county", True, lambda rng, met: f"records/inspection?order={rng.choice(('started_at', 'status', 'newest'))}&dir=up"),
    Page("list, a day and a community", False, lambda rng, met: f"records/inspection?from-started_at={(day := rng.choice(DAYS))}&to-started_at={day}&f-area={rng.choice(AREAS)}"),
    Page("list, text within, county", True, lambda rng, met: f"records/inspection?q={quote(rng.choice(WORDS))}"),
    Page("a page in the middle, province", False, lambda rng, met: f"records/inspection?after={_mark(rng.choice(met))}"),
    Page("search, a common word, province", False, lambda rng, met: f"search?q={quote(rng.choice(WORDS))}"),
    Page("search, a common word, county", True, lambda rng, met: f"search?q={quote(rng.choice(WORDS))}"),
    Page("search, a rare text", False, lambda rng, met: f"search?q={quote(f'第{rng.randrange(9000)}号')}"),
    Page("search, nothing there", True, lambda rng, met: f"search?q={quote(rng.choice(WORDS) + '龘')}"),
    Page("one record", False, lambda rng, met: f"record/{rng.choice(met)}"),
    Page("map, the whole province", False, lambda rng, met: "map/clusters?kind=inspection&zoom=7&box=24,108,31,115"),
    Page("map, a street", True, lambda rng, met: f"map/clusters?kind=inspection&zoom=16&box={(south := 28 + rng.random() / 3):.4f},112.9,{south + 0.01:.4f},112.92"),
)  # fmt: skip


def console(folder: Path, small: int, large: int, turns: int = TURNS) -> list[Verdict]:
    """Time the pages of servers that hold `small` and `large` records."""
    sizes = {small: folder / "small", large: folder / "large"}
    for count, place in sizes.items():
        if not place.exists():
            print(f"{count:,} records: {_filled(place, count)}", flush=True)
    taken: dict[tuple[str, int], list[float]] = {}
    ports = {count: free_port() for count in sizes}
    with servers.ours(sizes[small], ports[small]) as one, servers.ours(sizes[large], ports[large]) as other:
        sides = [(small, _Reader(one.url)), (large, _Reader(other.url))]
        for page in PAGES:
            for turn in range(WARM_UP + turns):
                for count, reader in sides if turn % 2 else reversed(sides):
                    seconds = reader.read(page, random.Random(turn))
                    if turn >= WARM_UP:
                        taken.setdefault((page.name, count), []).append(1000 * seconds)
    width = max(len(page.name) for page in PAGES)
    print(f"pages of the console with {small:,} and {large:,} records; ms, {turns} requests each, in turns")
    print(f"{'':<{width}}{'p50':>9}{'p99':>9}{'p50':>9}{'p99':>9}{'ratio':>9}")
    verdicts = []
    for page in PAGES:
        few, many = taken[(page.name, small)], taken[(page.name, large)]
        ratio = statistics.median(many) / statistics.median(few)
        figures = "".join(f"{one:>9.1f}" for side in (few, many) for one in (statistics.median(side), _p99(side)))
        print(f"{page.name:<{width}}{figures}{ratio:>9.2f}")
        verdicts.append(Verdict(Aim(f"{page.name}, against {AIM_MS:g} ms", 1.0), statistics.median(many) / AIM_MS))
    print()
    return verdicts


def _p99(taken: list[float]) -> float:
    return sorted(taken)[max(0, round(0.99 * len(taken)) - 1)]


class _Reader:
    """A browser for each of the two people."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._sessions = {county: self._signed_in("county" if county else "province") for county in (False, True)}
        self._met = {
            county: re.findall(r'<a href="/console/record/([^"]+)"', self._get(session, "records/inspection").text)
            for county, session in self._sessions.items()
        }

    def read(self, page: Page, rng: random.Random) -> float:
        """Seconds until the whole page was there."""
        address = page.address(rng, self._met[page.county])
        started = time.perf_counter()
        response = self._get(self._sessions[page.county], address)
        seconds = time.perf_counter() - started
        self._met[page.county] += re.findall(r'<a href="/console/record/([^"]+)"', response.text)[:3]
        return seconds

    def _get(self, session: requests.Session, address: str) -> requests.Response:
        response = session.get(f"{self._url}/console/{address}", timeout=120)
        response.raise_for_status()
        return response

    def _signed_in(self, login: str) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        page = session.get(f"{self._url}/console/sign-in", timeout=60).text
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
        if token is None:
            raise RuntimeError("the sign-in page has no token")
        said = {"csrf": token.group(1), "login": login, "password": PASSWORD}
        answer = session.post(f"{self._url}/console/sign-in", said, timeout=60, allow_redirects=False)
        if answer.status_code != 303:
            raise RuntimeError(f"signing in was answered with {answer.status_code}")
        return session


def _mark(record: str) -> str:
    return Mark(record, record).token()


# --- Filling -----------------------------------------------------------------------------------------------------------


def _filled(folder: Path, count: int) -> str:
    """A server with so many records, two people, and its index; says how long each took."""
    made = create_instance(Settings(folder), house.ORIGIN)
    _people(made)
    started = time.perf_counter()
    waiting = _records(count)
    at = 0
    while some := list(islice(waiting, AT_ONCE)):
        _keep(made, some, at)
        at += len(some)
    filled = time.perf_counter()
    Searcher(made).catch_up()
    indexed = time.perf_counter()
    made.close()
    size = folder / "texts.db"
    return f"filled in {filled - started:.0f} s, indexed in {indexed - filled:.0f} s, index {size.stat().st_size / 1e6:,.0f} MB"


class _Made(NamedTuple):
    change: Change
    area: str
    state: State


def _records(count: int) -> Iterator[_Made]:
    """Inspections as `benchmarks.data` makes them, each with a position; texts come again beyond `data.PATTERNS`."""
    patterns = [data.values(number, AREAS) for number in range(min(count, data.PATTERNS))]
    rng = random.Random(7)
    for number in range(count):
        now = data.START_MS + number * data.SPACING_MS
        place = {"lat": 280_000_000 + rng.randrange(4_000_000), "lon": 1_127_000_000 + rng.randrange(4_000_000), "src": "gnss"}
        said = patterns[number % len(patterns)] | {"place": place}
        change = compose(
            id=data.id_of(now + 1, rng), kind=Inspection.kind, record=data.id_of(now, rng),
            set={path: (value, []) for path, value in said.items()}, by=["p-1"], schema=Inspection.version,
            hlc=f"{now:012x}-0000", clock={"wall": now, "mono": 0, "boot": "b", "off": 0},
        )  # fmt: skip
        state = State(change.record, Inspection.kind)
        absorb(state, Entry(change, "accepted", "", data.ROLE))
        state.rev = 1
        yield _Made(change, str(said["area"]), state)


def _keep(made: Instance, some: list[_Made], at: int) -> None:
    now = made.now()
    rows = []
    for number, one in enumerate(some, start=at):
        change = one.change
        rows.append((
            "", number, change.id, change.hash, "r-1", number + 1, START, b"", "d-1", change.record, Inspection.kind,
            change.content, "accepted", "", "", data.ROLE, "", now,
        ))  # fmt: skip
    dumped = [one.state.dump() for one in some]
    writes = [
        Write(one.change.record, Inspection.kind, 1, checksum(content), content, f"area:{one.area}")
        for one, content in zip(some, dumped, strict=True)
    ]
    with made.database.write() as conn:
        merkle.append(conn, "", [one.change.hash for one in some])
        merkle.checkpoint(conn, made.keys.open, now)
        journal.insert_changes(conn, rows)
        made.projections.write(conn, [one.state for one in some])
        states.write(conn, writes, {}, now)


def _people(made: Instance) -> None:
    now = made.now()
    for login, role, area in (("province", "province", "43"), ("county", "lead", COUNTY)):
        one = Person(made.keys.new_id(now), login, role, now)
        with made.database.write() as conn:
            people.add_person(conn, one)
            rights.grant(conn, Grant(made.keys.new_id(now), one.id, area, role, 0, None))
        code = accounts.open_account(made, one, login, None, one.id)
        accounts.first(made, login, code, PASSWORD, Visit("bench", "bench"))

