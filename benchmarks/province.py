"""A province at work, for measuring the console: institutions, inspections, hazards, what is disputed, and what waits.

Every change goes through the server's own sequencer, with its rights, workflow guards, conflicts, projections and log; only the
door in front of it is left out (HTTP, the tablets' signatures). So every table is what a push of the same changes leaves.

Of a number of records a twentieth are institutions, a tenth hazards, the rest inspections. The counties lie beside each other as
on a map, each with its communities; what belongs to an institution lies where it is. All is made from its number, in the order
of time over `DAYS` days, so each run makes the same. Texts come again beyond `data.PATTERNS` inspections.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import accumulate, islice
from typing import Any, NamedTuple

from benchmarks import data
from schemas.fields import CreditCode
from schemas.kinds.hazard import Hazard
from schemas.kinds.inspection import Inspection
from schemas.kinds.institution import CATEGORIES, Institution
from schemas.registry import shipped
from server.access import rights
from server.instance import Instance
from server.merging import duplicates
from server.moments import moment
from server.sequencer import Arrival, Sequencer
from server.storage import people
from server.storage.people import Device, Grant, Person
from sync.core.change import START, Change, Link, compose
from sync.core.rules import Rights

COUNTIES = tuple(f"43{city + 1:02}{county + 2:02}" for city in range(4) for county in range(5))
AREAS = tuple(f"{county}{number + 1:03}001" for county in COUNTIES for number in range(5))
DAYS = 480
AT_ONCE = 5_000
"""Changes in one transaction."""
DAY_MS = 86_400_000
SPAN_MS = DAYS * DAY_MS

SHARES = {"disputed": 20, "late": 2, "strayed": 2, "submitted": 35, "county": 10, "city": 10}
"""Out of a thousand inspections: two tablets say different things; somebody edits after the county had passed it on; somebody
writes in a county that is not theirs; and what waits for a review, by how far it has come. The others are drafts."""
PLANTED = 50
"""Out of a thousand institutions, those entered a second time."""

_FATES = tuple(zip(SHARES, accumulate(SHARES.values()), strict=True))
_STEPS = {"submitted": ("submitted",), "county": ("submitted", "county"), "city": ("submitted", "county", "city"), "late": ("submitted", "county")}

_SURNAMES = "李王张刘陈杨黄周吴赵罗谢唐彭曾邓肖胡蒋欧谭贺"
_SIGNS = "启航博文新思卓越育才优学明德星辰智慧童心金阶雅乐春晖弘毅致远天添佳华立信恒通嘉禾晨曦若水静心朗诵墨香云帆海纳百川正源同泽聚贤汇英尚品艺林书山知行合一青禾白鹭红枫紫荆绿野蓝天橙果"
_SUBJECTS = ("艺术", "美术", "舞蹈", "音乐", "书画", "围棋", "跆拳道", "机器人", "少儿编程", "国学", "口才", "课后托管")
_ROADS = ("人民中路", "解放东路", "五一大道", "芙蓉南路", "韶山北路", "迎宾路", "学府路", "朝阳路", "书院路", "桃花路")
_FAULTS = ("疏散通道堆放纸箱", "灭火器压力不足", "应急照明不亮", "配电箱前堆物", "门锁从内打不开", "烟感被遮挡", "食堂留样不全", "护栏松动")
_STATUSES = ("operating",) * 14 + ("suspended", "rectifying", "closing", "cancelled", "unlicensed", "unlicensed")


class Site(NamedTuple):
    """An institution that others refer to."""

    record: str
    name: str
    area: str
    lat: int
    lon: int
    address: str


class Act(NamedTuple):
    """A change, the tablet that wrote it, and the rights of its author."""

    change: Change
    device: int
    rights: Rights


def fill(house: Instance, count: int, told: Any = lambda done: None) -> dict[str, int]:
    """Put so many records into an empty server; returns how many changes it took and how many pairs look alike."""
    devices = _tablets(house)
    chains = [(0, START)] * len(devices)
    acts = iter(_acts(count))
    many = done = now = 0
    with house.database.read() as conn:  # a larger cache: the indexes of a fill are written everywhere at once
        conn.exec_driver_sql("PRAGMA cache_size=-524288")
    while some := list(islice(acts, AT_ONCE)):
        now = max(now, *(_wall(act.change) + 3_600_000 for act in some))
        arrivals = []
        for act in some:
            n, prev = chains[act.device]
            link = Link(f"r-{act.device}", n + 1, prev, b"")
            chain = link.chain(act.change.hash)
            chains[act.device] = (n + 1, chain)
            arrivals.append(Arrival(act.change, link, chain, devices[act.device], lambda _, held=act.rights: held))
        with house.database.write() as conn:
            Sequencer(conn, house.registry, house.projections, house.keys.open, now).apply(arrivals)
        many += len(some)
        done = min(count, done + sum(_first(act.change) for act in some))
        told(done)
    return {"changes": many, "likely duplicates": duplicates.catch_up(house, everything=True)}


def _first(change: Change) -> bool:
    """Whether a change begins its record."""
    return "area" in change.set


def _wall(change: Change) -> int:
    return int(change.hlc[:12], 16)


def _tablets(house: Instance) -> list[str]:
    """A tablet for each community, with an inspector whose it is."""
    now = data.START_MS - DAY_MS
    found = []
    with house.database.write() as conn:
        for number, area in enumerate(AREAS):
            rng = random.Random(-1 - number)
            person = Person(data.id_of(now, rng), rng.choice(_SURNAMES) + rng.choice(_SIGNS), data.ROLE, now)
            people.add_person(conn, person)
            rights.grant(conn, Grant(data.id_of(now, rng), person.id, area[:9], data.ROLE, 0, None))
            device = Device(data.id_of(now, rng), person.id, rng.randbytes(32), f"T-{number + 1:03}", "", now, None, "")
            people.add_device(conn, device)
            people.register_replica(conn, f"r-{number}", device.id, now)
            found.append(device.id)
    return found


# --- What happens -------------------------------------------------------------------------------------------------


def _acts(count: int) -> Iterator[Act]:
    """The changes that make so many records, in the order of time but for what follows on a record."""
    maker = _Maker(count)
    for number in range(count):
        sort = number % 20
        if sort == 0:
            yield from maker.institution(number)
        elif sort in (7, 14):
            yield from maker.hazard(number)
        else:
            yield from maker.inspection(number)


class _Maker:
    def __init__(self, count: int) -> None:
        self._spacing = SPAN_MS // count
        self._sites: dict[int, list[Site]] = {}
        self._patterns: list[dict[str, Any]] = []
        self._field = [Rights(data.ROLE, (area[:9],)) for area in AREAS]
        self._county = [Rights("staff", (area[:6],)) for area in AREAS]
        self._city = [Rights("city", (area[:4],)) for area in AREAS]
        self._versions = {schema.kind: schema.version for schema in shipped()}

    def institution(self, number: int) -> Iterator[Act]:
        rng, at = random.Random(number), self._at(number)
        place = number // 20 % len(AREAS)
        known = self._sites.setdefault(place, [])
        if known and rng.randrange(1000) < PLANTED:
            twin = rng.choice(known[-200:])
            name = twin.name.removesuffix("有限公司")
            values = {
                "name": name, "area": twin.area, "status": "unlicensed", "address": twin.address,
                "place": self._point(twin.lat, twin.lon, 3000, rng),
            }  # fmt: skip
        else:
            sign = "".join(rng.sample(_SIGNS, 3))
            name = f"{_CITIES[place // 25]}市{sign}{rng.choice(_SUBJECTS)}培训学校有限公司"
            middle = middle_of(place)
            values = {
                "name": name, "area": AREAS[place], "status": rng.choice(_STATUSES), "category": rng.choice(tuple(CATEGORIES)),
                "credit_code": _code(rng, number), "permit_number": f"教民{AREAS[place][:6]}{number:08}号",
                "permit_until": f"202{rng.randint(6, 9)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
                "address": f"{rng.choice(_ROADS)}{rng.randint(1, 900)}号{rng.randint(1, 28)}栋{rng.randint(101, 2808)}室",
                "place": self._point(*middle, 300_000, rng), "phone": f"199{number % 10**8:08}",
                "legal_representative": rng.choice(_SURNAMES) + "".join(rng.sample(_SIGNS, 2)), "learners": rng.randint(5, 900),
            }  # fmt: skip
        record = data.id_of(at, rng)
        known.append(Site(record, name, AREAS[place], values["place"]["lat"], values["place"]["lon"], values["address"]))
        yield Act(self._change(Institution.kind, record, at + 1, values, rng), place, self._county[place])

    def inspection(self, number: int) -> Iterator[Act]:
        rng, at = random.Random(number), self._at(number)
        place = rng.randrange(len(AREAS))
        site = self._site(place, rng)
        values = self._pattern(number) | {
            "institution": site.record, "name": site.name, "area": site.area, "place": self._point(site.lat, site.lon, 2000, rng),
            "started_at": moment(at - 7_200_000), "ended_at": moment(at - 3_600_000), "status": "draft",
            "notice_number": f"开教检字〔2026〕第{number}号",
        }  # fmt: skip
        record = data.id_of(at, rng)
        roll = rng.randrange(1000)
        fate = next((name for name, end in _FATES if roll < end), "")
        steps = _STEPS.get(fate, ())
        if steps:
            values["signatures/party"] = {"name": values["person_in_charge"], "content": "0" * 64, "at": values["ended_at"]}
        newest = self._change(Inspection.kind, record, at + 1, values, rng)
        yield Act(newest, place, self._field[place])
        if fate == "disputed":
            other = f"{values['findings'][:40]}，复看时情况有变，{values['led_by']}在场。"
            path, said = ("findings", other) if roll % 3 else ("party_opinion", "对记录有异议")
            twin = self._change(Inspection.kind, record, at + 600_000, {path: said}, rng)
            yield Act(twin, place // 5 * 5 + (place + 1) % 5, self._county[place]._replace(role=data.ROLE))
        elif fate == "strayed":
            away = (place + 5) % len(AREAS)
            yield Act(self._change(Inspection.kind, record, at + 600_000, {"led_by": "外县人员"}, rng), away, self._field[away])
        for status in steps:
            at += DAY_MS
            newest = self._change(Inspection.kind, record, at, {"status": status}, rng, {"status": [newest.id]})
            yield Act(newest, place, {"submitted": self._field, "county": self._county, "city": self._city}[status][place])
        if fate == "late":
            yield Act(self._change(Inspection.kind, record, at + 1000, {"witness": "补记"}, rng), place, self._field[place])

    def hazard(self, number: int) -> Iterator[Act]:
        rng, at = random.Random(number), self._at(number)
        place = rng.randrange(len(AREAS))
        site, fault = self._site(place, rng), rng.choice(_FAULTS)
        record = data.id_of(at, rng)
        values = {
            "institution": site.record, "area": site.area, "description": f"{site.name[3:9]}{fault}，{rng.randint(1, 6)}楼第{number}处",
            "grade": "major" if rng.random() < 0.03 else "general", "responsible": site.name[3:5], "status": "open",
            "deadline": moment(at + rng.randint(3, 60) * DAY_MS)[:10],
        }  # fmt: skip
        made = self._change(Hazard.kind, record, at + 1, values, rng)
        yield Act(made, place, self._field[place])
        far = rng.random()  # half of them are struck off, a tenth waits for that
        if far < 0.6:
            at += rng.randint(1, 40) * DAY_MS
            done = self._change(Hazard.kind, record, at, {"status": "rectified", "measures": "已清理"}, rng, {"status": [made.id]})
            yield Act(done, place, self._field[place])
            if far < 0.5:
                last = self._change(Hazard.kind, record, at + DAY_MS, {"status": "verified"}, rng, {"status": [done.id]})
                yield Act(last, place, self._county[place])

    # --- how it is put together ---------------------------------------------------------------------------------------

    def _at(self, number: int) -> int:
        return data.START_MS + number * self._spacing

    def _site(self, place: int, rng: random.Random) -> Site:
        """An institution of a community; where there is none yet, its office."""
        known = self._sites.get(place)
        if not known:
            middle = middle_of(place)
            return Site(data.id_of(data.START_MS, random.Random(place)), "长沙市启航艺术培训学校有限公司", AREAS[place], *middle, "人民中路1号")
        return rng.choice(known)

    def _pattern(self, number: int) -> dict[str, Any]:
        at = number % data.PATTERNS
        while at >= len(self._patterns):
            self._patterns.append(data.values(len(self._patterns), AREAS))
        return self._patterns[at]

    @staticmethod
    def _point(lat: int, lon: int, spread: int, rng: random.Random) -> dict[str, Any]:
        return {"lat": round(rng.gauss(lat, spread)), "lon": round(rng.gauss(lon, spread)), "src": "gnss"}

    def _change(
        self, kind: str, record: str, at: int, values: dict[str, Any], rng: random.Random, parents: dict[str, list[str]] | None = None
    ) -> Change:
        named = parents or {}
        return compose(
            id=data.id_of(at, rng), kind=kind, record=record, set={path: (value, named.get(path, [])) for path, value in values.items()},
            by=["p-1"], schema=self._versions[kind], hlc=f"{at:012x}-0000", clock={"wall": at, "mono": 0, "boot": "b", "off": 0},
        )  # fmt: skip


_CITIES = ("长沙", "株洲", "湘潭", "衡阳")


def middle_of(place: int) -> tuple[int, int]:
    """The middle of a community: counties in five columns and four rows, their communities a few kilometres apart."""
    county, number = divmod(place, 5)
    lat = 260_000_000 + county // 5 * 10_000_000 + 3_000_000 + number * 900_000
    lon = 1_095_000_000 + county % 5 * 9_000_000 + 3_000_000 + number * 37 % 5 * 800_000
    return lat, lon


def _code(rng: random.Random, number: int) -> str:
    first = f"92{rng.randint(430000, 439999)}MA{number:07}"[:17]
    return first + CreditCode.check_character(first)

