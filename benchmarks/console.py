"""What pages of the console take while the server's collection grows: lists, search, desks, a record, the map.

Two servers, a small one and a large one, with the same province in them (`benchmarks.province`): a hundred communities of twenty
counties. A person of the province sees all of it, one of a county a twentieth. The pages are asked for over HTTP by one browser,
signed in, the two servers in turns, each page many times with another word, another record, another place in the list; the
first requests are not counted. The time is from the request to the whole answer; beside it stands the processor time that the server
took for a request, which other work on the machine disturbs less.

Filling takes long, so a folder that was filled is kept and used again where one is named (`--at`).
"""

from __future__ import annotations

import json
import random
import re
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import requests

from benchmarks import data, house, province, servers
from benchmarks.processes import Server, free_port, usage
from benchmarks.province import AREAS, middle_of
from benchmarks.table import Aim, Verdict
from server.access import accounts, rights
from server.access.accounts import Visit
from server.config import Settings
from server.instance import Instance, create_instance, open_instance
from server.reading.searching import Searcher
from server.storage import migrations, people
from server.storage.lists import Mark
from server.storage.people import Grant, Person

COUNTY = AREAS[0][:6]
PASSWORD = "竹林 晨跑 青石 茶壶 南风"
AIM_MS = 200.0
TURNS, WARM_UP = 200, 5
WORDS = ("消防", "灭火器", "走廊", "启航", "少儿编程", "人民中路", "应急", "课表", "食堂", "门锁")
PROVINCE_WIDE = "box=25,108,31,115"


class Met(NamedTuple):
    """What a reader came across: ids of inspections and institutions, conflicts, pairs (`one/other`), what waits for a review."""

    inspections: list[str]
    institutions: list[str]
    conflicts: list[str]
    pairs: list[str]
    reviews: list[str]


class Page(NamedTuple):
    """A page that is measured: its address from a random source and what was met."""

    name: str
    county: bool
    address: Callable[[random.Random, Met], str]


def _both(name: str, address: Callable[[random.Random, Met], str]) -> list[Page]:
    return [Page(f"{name}, province", False, address), Page(f"{name}, county", True, address)]


def _one(rng: random.Random, some: Sequence[str]) -> str:
    if not some:
        raise RuntimeError("nothing was met to measure a page with; the figures would mean nothing")
    return rng.choice(some)


def _month(rng: random.Random) -> str:
    day = f"2026-{rng.randint(1, 9):02}-{rng.randint(1, 28):02}"
    return f"from-started_at={day}&to-started_at={day}"


def _middle(rng: random.Random) -> str:
    """Where a page begins that lies anywhere in a list in order of creation."""
    id = data.id_of(data.START_MS + rng.randrange(province.SPAN_MS), rng)
    return f"after={Mark(id, id).token()}"


def _status_middle(rng: random.Random) -> str:
    id = data.id_of(data.START_MS + rng.randrange(province.SPAN_MS), rng)
    return f"order=status&after={Mark('draft', id).token()}"


def _look(rng: random.Random, place: int, zoom: int, wide: float) -> str:
    """A part of the map around a community, so many degrees wide."""
    lat, lon = (one / 1e7 + rng.uniform(-0.02, 0.02) for one in middle_of(place))
    return f"map/clusters?kind=inspection&zoom={zoom}&box={lat - wide / 3:.4f},{lon - wide / 2:.4f},{lat + wide / 3:.4f},{lon + wide / 2:.4f}"


PAGES = (
    *_both("home", lambda rng, met: ""),
    *_both("list, newest first", lambda rng, met: "records/inspection"),
    *_both("list, a page in the middle", lambda rng, met: f"records/inspection?{_middle(rng)}"),
    *_both("list by another column", lambda rng, met: f"records/inspection?order={rng.choice(('started_at', 'status', 'newest'))}&dir={rng.choice(('up', 'down'))}"),
    Page("list by another column, in the middle, province", False, lambda rng, met: f"records/inspection?{_status_middle(rng)}"),
    Page("list, a day and a community", False, lambda rng, met: f"records/inspection?{_month(rng)}&f-area={rng.choice(AREAS)}"),
    *_both("list, one status", lambda rng, met: f"records/inspection?f-status={rng.choice(('draft', 'submitted', 'city'))}"),
    *_both("list, text within", lambda rng, met: f"records/inspection?q={quote(rng.choice(WORDS))}"),
    Page("list of institutions, by name", False, lambda rng, met: "records/institution?order=name&dir=up"),
    *_both("search, a common word", lambda rng, met: f"search?q={quote(rng.choice(WORDS))}"),
    Page("search, a rare text", False, lambda rng, met: f"search?q={quote(f'第{rng.randrange(9000)}号')}"),
    *_both("search, nothing there", lambda rng, met: f"search?q={quote(rng.choice(WORDS) + '龘')}"),
    Page("one inspection", False, lambda rng, met: f"record/{_one(rng, met.inspections)}"),
    Page("one institution", False, lambda rng, met: f"record/{_one(rng, met.institutions)}"),
    *_both("merge queue", lambda rng, met: f"merge?order={rng.choice(('rank', 'age'))}"),
    Page("merge queue, late edits", False, lambda rng, met: "merge?place=late"),
    *_both("one conflict", lambda rng, met: f"merge/{_one(rng, met.conflicts)}"),
    *_both("likely duplicates", lambda rng, met: "duplicates"),
    Page("two likely duplicates", False, lambda rng, met: f"duplicates/{_one(rng, met.pairs)}"),
    *_both("review queue", lambda rng, met: "review"),
    Page("review queue, all levels, province", False, lambda rng, met: "review?which=all"),
    Page("one review", False, lambda rng, met: f"review/{_one(rng, met.reviews)}"),
    *_both("map, the page", lambda rng, met: "map"),
    *_both("map, overdue hazards", lambda rng, met: f"map/clusters?kind=hazard&part=late&zoom=7&{PROVINCE_WIDE}"),
    *_both("map, everything", lambda rng, met: f"map/clusters?kind=inspection&zoom=7&{PROVINCE_WIDE}"),
    Page("map, a city", False, lambda rng, met: _look(rng, rng.randrange(len(AREAS)), 11, 0.9)),
    Page("map, a street", True, lambda rng, met: _look(rng, rng.randrange(5), 16, 0.02)),
    Page("map of one status, everything", False, lambda rng, met: f"map/clusters?kind=inspection&f-status={rng.choice(('submitted', 'draft'))}&zoom=7&{PROVINCE_WIDE}"),
)  # fmt: skip


def console(folder: Path, small: int, large: int, turns: int = TURNS, only: str = "") -> list[Verdict]:
    """Time the pages of servers that hold `small` and `large` records; `only`: those with this in their names."""
    sizes = (small, large)
    for count in sizes:
        filled(folder / str(count), count)
    taken: dict[str, list[_Taken]] = {}
    pages = [page for page in PAGES if only in page.name]
    ports = [free_port() for _ in sizes]
    with servers.ours(folder / str(small), ports[0]) as one, servers.ours(folder / str(large), ports[1]) as other:
        sides = [_Side(one), _Side(other)]
        for page in pages:
            taken[page.name] = _timed(sides, page, turns)
    width = max(len(page.name) for page in pages)
    print(f"pages of the console with {small:,} and {large:,} records; ms, {turns} requests each, in turns; CPU: the server's, for a request")
    print(f"{'':<{width}}" + "".join(f"{word:>8}" for word in ("p50", "p99", "CPU", "p50", "p99", "CPU", "ratio", "CPU x")) + f"  under {AIM_MS:g}")
    verdicts = []
    for page in pages:
        few, many = taken[page.name]
        figures = "".join(f"{one:>8.1f}" for side in (few, many) for one in side)
        met = "yes" if many.p99 <= AIM_MS else "p50 only" if many.p50 <= AIM_MS else "no"
        print(f"{page.name:<{width}}{figures}{many.p50 / few.p50:>8.2f}{many.cpu / max(few.cpu, 0.1):>8.2f}  {met}")
        verdicts.append(Verdict(Aim(f"{page.name}, p99 against {AIM_MS:g} ms", 1.0), many.p99 / AIM_MS))
    print()
    return verdicts


class _Taken(NamedTuple):
    """Milliseconds of one page at one server."""

    p50: float
    p99: float
    cpu: float


def _timed(sides: Sequence[_Side], page: Page, turns: int) -> list[_Taken]:
    walls: list[list[float]] = [[] for _ in sides]
    for turn in range(WARM_UP):
        for side in sides:
            side.read(page, random.Random(f"warm {turn}"))
    before = [usage(side.group).cpu_s for side in sides]
    for turn in range(turns):
        for number in (0, 1) if turn % 2 else (1, 0):
            walls[number].append(1000 * sides[number].read(page, random.Random(turn)))
    spent = [1000 * (usage(side.group).cpu_s - then) / turns for side, then in zip(sides, before, strict=True)]
    return [_Taken(statistics.median(wall), _p99(wall), cpu) for wall, cpu in zip(walls, spent, strict=True)]


def _p99(taken: list[float]) -> float:
    return sorted(taken)[max(0, round(0.99 * len(taken)) - 1)]


class _Side:
    """A server, with a browser for each of the two people."""

    def __init__(self, server: Server) -> None:
        self.group = server.group
        self._url = server.url
        self._sessions = {county: self._signed_in("county" if county else "province") for county in (False, True)}
        self._met = {county: self._look_round(session) for county, session in self._sessions.items()}

    def read(self, page: Page, rng: random.Random) -> float:
        """Seconds until the whole page was there."""
        address = page.address(rng, self._met[page.county])
        started = time.perf_counter()
        self._get(self._sessions[page.county], address)
        return time.perf_counter() - started

    def _look_round(self, session: requests.Session) -> Met:
        """Records from all over the lists, so that no page is measured with what was just read."""

        def found(pattern: str, *addresses: str) -> list[str]:
            there = (one for address in addresses for one in re.findall(f'href="/console/{pattern}"', self._get(session, address).text))
            return list(dict.fromkeys(there))

        rng = random.Random(1)
        middles = [_middle(rng) for _ in range(8)]
        return Met(
            found(r"record/([0-9a-f-]+)", *(f"records/inspection?{one}" for one in middles)),
            found(r"record/([0-9a-f-]+)", *(f"records/institution?{one}" for one in middles)),
            found("merge/([0-9a-f]{12})", "merge", "merge?order=age", "merge?place=late", "merge?place=rights"),
            found(r"duplicates/([0-9a-f-]{36}/[0-9a-f-]{36})", "duplicates"),
            found(r"review/([0-9a-f-]{36})", "review", "review?which=all"),
        )

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


# --- Filling -----------------------------------------------------------------------------------------------------------


def filled(folder: Path, count: int) -> None:
    """A server with so many records, people, and its index in a folder; what lies there complete is used again."""
    done = folder / "filled.json"
    if done.exists():
        print(f"{count:,} records: as filled before; {done.read_text()}", flush=True)
        _renewed(folder)
        return
    shutil.rmtree(folder, ignore_errors=True)
    made = create_instance(Settings(folder), house.ORIGIN)
    _people(made)
    took: dict[str, float] = {}
    started = time.process_time()
    took |= province.fill(made, count, _progress(count))
    took["seconds of processor to fill"] = round(time.process_time() - started)
    started = time.process_time()
    Searcher(made).catch_up()
    took["to index"] = round(time.process_time() - started)
    made.close()
    took["MB"] = round(sum(one.stat().st_size for one in folder.iterdir() if one.is_file()) / 1e6)
    done.write_text(json.dumps(took))
    print(f"{count:,} records: {done.read_text()}", flush=True)


def _renewed(folder: Path) -> None:
    """Bring what an older program filled up to this one: starting a server would not wait so long."""
    made = open_instance(Settings(folder))
    migrations.upgrade(made.database)
    with made.database.write() as conn:
        made.projections.renew(conn)
    Searcher(made).catch_up()
    made.close()


def _progress(count: int) -> Callable[[int], None]:
    """Says each tenth of a long fill."""
    tenth = max(count // 10, 100_000)
    said = [tenth]

    def told(done: int) -> None:
        if done >= said[0]:
            print(f"  {done:,} of {count:,} records", flush=True)
            said[0] += tenth

    return told


def _people(made: Instance) -> None:
    now = made.now()
    for login, role, area in (("province", "province", "43"), ("county", "lead", COUNTY)):
        one = Person(made.keys.new_id(now), login, role, now)
        with made.database.write() as conn:
            people.add_person(conn, one)
            rights.grant(conn, Grant(made.keys.new_id(now), one.id, area, role, 0, None))
        code = accounts.open_account(made, one, login, None, one.id)
        accounts.first(made, login, code, PASSWORD, Visit("bench", "bench"))
