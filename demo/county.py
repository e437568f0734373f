"""A county at work, for a console with something to show: three months of hazards, and this week's tablets.

The past is written at the desk by a clock that goes from week to week. The present comes from real tablets, which enrol,
inspect, photograph and sync over HTTP: two that disagree, and one that has not been heard of for two days.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from demo import divisions as hunan
from demo import roster
from demo.photos import make_photos
from demo.processes import Server
from field_client.evidence.capture import capture
from field_client.exchange.rescue import BLOBS
from field_client.platform.files import EncryptedFiles
from field_client.tablet import Tablet
from field_client.work import inspecting
from schemas.certificates import CHINA
from server.access import accounts, enrolment, rights
from server.access.accounts import Visit
from server.config import Settings
from server.founding import found
from server.instance import Instance, open_instance, wall_ms
from server.merging import decisions
from server.reading.finding import read
from server.register import divisions
from server.register import roster as registers
from server.register.editions import Writing
from server.storage import contacts, people
from server.storage.lists import Lists, Wanted
from server.storage.people import Grant, Person
from server.work import clues, tasks
from sync.core.rules import Rights

COUNTY, CITY, PROVINCE = "430103", "4301", "43"
ELSEWHERE = "430104"
PASSWORD = "teapot-by-the-south-window"
WEEKS = 12
WEEK_MS = 7 * 86_400_000
PHOTOS = 8
HERE = Visit("127.0.0.1", "make serve")
SEED = 20261125


class Role(NamedTuple):
    """Somebody of the demonstration. `login` is empty for those who work on a tablet only."""

    name: str
    role: str
    area: str
    login: str = ""
    department: str = ""
    sealed: bool = False


CAST = (
    Role("周强", "staff", COUNTY, "staff"),
    Role("唐静", "staff", COUNTY, "staff2"),
    Role("孙丽", "lead", COUNTY, "lead"),
    Role("何军", "city", CITY, "city"),
    Role("赵刚", "province", PROVINCE, "province", sealed=True),
    Role("谭明", "oversight", COUNTY, "oversight"),
    Role("陈消", "department", COUNTY, "fire", department="fire"),
    Role("李敏", "officer", COUNTY),
    Role("周凯", "officer", COUNTY),
    Role("王强", "inspector", COUNTY),
)

DANGERS = (
    ("疏散通道堆放杂物，宽度不足一米", "major"),
    ("灭火器压力不足，已过检验期", "general"),
    ("未公示收费项目和标准", "general"),
    ("一次性收取超过三个月的费用", "general"),
    ("教室窗户装有不能从内打开的防盗网", "major"),
    ("未与家长签订培训合同", "general"),
    ("厨房使用液化气瓶，未设报警器", "major"),
    ("培训时间晚于 20:30", "general"),
    ("教师信息与公示不符", "general"),
    ("电线私拉乱接，未穿管保护", "general"),
)


CLUES = (
    ("临街二楼舞蹈班", "负责人三天联系不上，家长聚在门口要求退费", "blow_up", "hotline"),
    ("茶楼后面的数学班", "周末上午有三十来个初中生进出，没有招牌", "smouldering", "snapshot"),
    ("学校对面托管点", "晚上九点以后还在上课", "ordinary", "supervisor"),
    ("口才培训中心", "一次收了一年的费用，合同不给", "ordinary", "hotline"),
    ("小区二栋围棋班", "楼道堆放桌椅，安全出口被锁", "ordinary", "letter"),
    ("美术工作室", "宣传“保过艺考”", "ordinary", "hotline"),
)
"""What people report: about whom, what, how urgent, from where."""


class Past:
    """A clock that stands where it was put and goes on by a little each time it is read."""

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def __call__(self) -> int:
        self.ms += 5
        return self.ms


class County:
    """Fills a new server in `folder`, which is to listen on `server.port`."""

    def __init__(self, folder: Path, server: Server, say: Callable[[str], None]) -> None:
        self.folder, self.server, self.say = folder, server, say
        self.rng = random.Random(SEED)
        self.people: dict[str, Person] = {}

    def fill(self) -> None:
        self.say(f"The register of a province and {WEEKS} weeks of a county …")
        self._past()
        self.say("Tablets enrol, inspect and photograph …")
        photos = self._photos()
        self.server.start()
        try:
            self._tablets(photos)
        finally:
            self.server.stop()

    # --- the past, at the desk -----------------------------------------------------------------------------------

    def _past(self) -> None:
        clock = Past(wall_ms() - WEEKS * WEEK_MS)
        house, admin = found(Settings(self.server.data), "长沙市天心区教育局", COUNTY, "王芳", now=clock)
        self._cast(house, admin)
        self._divisions(house, admin)
        sheet = self.folder / "机构名册.csv"
        roster.write_csv(sheet)
        desk = house.desk
        registers.carry_out(
            desk, registers.plan(desk, registers.read(sheet, desk.registry[registers.KIND])),
            by=[admin.id], rights=Rights("admin", ("",)),
        )  # fmt: skip
        known = self._institutions(house)
        named = [(record, {"departments/fire": True}) for record, _ in known[::4]]  # what another department may see
        decisions.write_many(desk, "institution", named, by=[self.people["周强"].id], rights=Rights("staff", (COUNTY,)))
        for week in range(WEEKS):
            clock.ms = max(clock.ms, wall_ms() - (WEEKS - week) * WEEK_MS + 2 * 86_400_000)
            self._week(house, clock, known, week)
        clock.ms = max(clock.ms, wall_ms() - 2 * 86_400_000)
        self._given(house, known)
        house.close()

    def _divisions(self, house: Instance, admin: Person) -> None:
        """The names of the province to the county, and of the streets and communities of the city."""
        tables = [Path(hunan.__file__).with_name(f"hunan_{name}.csv") for name in ("divisions", "communities")]
        rows = [row for table in tables for row in divisions.read(table).rows if len(row.code) <= 6 or row.code.startswith(CITY)]
        divisions.carry_out(house, rows, by=[admin.id], rights=Rights("admin", ("",)))

    def _cast(self, house: Instance, admin: Person) -> None:
        with house.database.write() as conn:
            for one in CAST:
                person = Person(house.keys.new_id(house.now()), one.name, one.role, house.now())
                people.add_person(conn, person)
                walls = {"", "sealed"} if one.sealed else {""}
                for wall in sorted(walls):
                    new = house.keys.new_id(house.now())
                    rights.grant(conn, Grant(new, person.id, one.area, one.role, 0, None, wall, one.department))
                self.people[one.name] = person
        self.people["王芳"] = admin
        for login, person in [("admin", admin), *((one.login, self.people[one.name]) for one in CAST if one.login)]:
            code = accounts.open_account(house, person, login, None, admin.id)
            begun = accounts.first(house, login, code, PASSWORD, HERE)
            accounts.sign_out(house, begun.token)

    def _institutions(self, house: Instance) -> list[tuple[str, str]]:
        """(id, area) of the county's institutions."""
        with house.database.read() as conn:
            page = Lists(house.projections).page(conn, Wanted("institution", (COUNTY,)), 60)
        return [(str(row["record"]), str(row["area"])) for row in page.rows]

    def _week(self, house: Instance, clock: Past, known: Sequence[tuple[str, str]], week: int) -> None:
        """Some hazards are found; of those from before some are rectified, some struck off, and the rest run late."""
        officer, staff = self.people["李敏"], self.people["周强"]
        field, desk = Rights("officer", (COUNTY,)), Rights("staff", (COUNTY,))
        new = []
        for _ in range(self.rng.randint(3, 9)):
            institution, area = self.rng.choice(known)
            description, grade = self.rng.choice(DANGERS)
            deadline = datetime.fromtimestamp(clock.ms / 1000, UTC) + timedelta(days=self.rng.choice((15, 30, 45)))
            new.append((None, {
                "institution": institution, "area": area, "description": description, "grade": grade, "status": "open",
                "deadline": deadline.date().isoformat(), "responsible": self.rng.choice(("龚建平", "肖红", "欧阳雪")),
            }))  # fmt: skip
        made = decisions.write_many(house.desk, "hazard", new, by=[staff.id], rights=desk)
        for one in made:
            if self.rng.random() < 0.68 and week < WEEKS - 1:
                clock.ms += self.rng.randint(1, 5) * 3_600_000
                day = datetime.fromtimestamp(clock.ms / 1000, UTC).date().isoformat()
                done = {"status": "rectified", "measures": "已清理并拍照", "rectified_on": day}
                decisions.write(house.desk, "hazard", one.record, done, by=[officer.id], rights=field)
                if self.rng.random() < 0.75:
                    closed = {"status": "verified", "conclusion": "现场核验，已整改到位"}
                    decisions.write(house.desk, "hazard", one.record, closed, by=[staff.id], rights=desk)

    def _given(self, house: Instance, known: Sequence[tuple[str, str]]) -> None:
        """Clues that came in and visits that were planned two days ago, some of them late by now."""
        who = Writing([self.people["周强"].id], Rights("staff", (COUNTY,)))
        with house.database.read() as conn:
            rows = [{"record": record, **read(house, conn, record).values} for record, _ in known[:14]]
        today = datetime.fromtimestamp(wall_ms() / 1000, CHINA).date()
        for number, (name, start, end) in enumerate((("李敏", 0, 5), ("周凯", 5, 9), ("", 9, 14))):
            to = {"to": "person", "id": self.people[name].id, "name": name} if name else {"to": "area"}
            due = (today + timedelta(days=(-1, 3, 12)[number])).isoformat()
            tasks.plan(house, who, rows[start:end], tasks.Order("visit", to, due, "先看消防通道，再看收费公示"))
        for number, (subject, text, urgency, source) in enumerate(CLUES):
            said = {"subject": subject, "text": text, "urgency": urgency, "source": source, "area": known[number * 2][1], "institution": known[number * 2][0]}
            clue = clues.receive(house, who, said, {"name": "（演示）", "wants_answer": True} if number == 0 else None)
            if number < 4:
                with house.database.read() as conn:
                    seen = read(house, conn, clue)
                to = {"to": "person", "id": self.people["李敏"].id, "name": "李敏"} if number % 2 == 0 else {"to": "area"}
                order = tasks.Order("verify", to, str(seen.values["due"]))
                clues.assign(house, who, seen, order, seen.state.ids("status"))

    # --- this week, on tablets -------------------------------------------------------------------------------------

    def _photos(self) -> list[Path]:
        began = datetime.now(UTC).replace(hour=2, minute=0, second=0, microsecond=0)
        return make_photos(self.folder / "photos", PHOTOS, SEED, (281150000, 1129900000), began)

    def _tablets(self, photos: list[Path]) -> None:
        first, second, late = (self._enrolled(name, n) for n, name in enumerate(("李敏", "周凯", "王强"), start=1))
        for one in (first, second, late):
            _round(one)
        places = sorted(first.records("institution"))
        shared = inspecting.start(first, places[0])
        hazard = first.write("hazard", None, {
            "institution": places[1], "area": first.values(places[1])["area"], "description": "二楼走廊堆放桌椅",
            "grade": "general", "status": "open", "deadline": "2099-01-31",
        }).record  # fmt: skip
        note = first.write("patrol_note", None, {
            "institution": places[2], "area": first.values(places[2])["area"], "seen": "门口有新招牌",
            "spot": "临街一楼", "seen_at": inspecting.moment(first), "status": "noted",
        }).record  # fmt: skip
        _round(first)
        _round(second)
        self._disagree(first, second, shared, hazard, note)
        self._inspect(first, places[3], photos[:4])
        self._inspect(second, places[4], [*photos[4:6], photos[0]])  # the last one was taken somewhere else
        self._twice(first, second, places[5])
        for one in (first, second):
            _round(one)
        _round(first)
        # One that wrote and photographed, reached the network for a moment, and was not heard of again.
        inspection = inspecting.start(late, places[6])
        for photo in photos[6:]:
            capture(late, inspection, photo, source="camera")
        late.write("hazard", None, {
            "area": f"{ELSEWHERE}001003", "description": "邻县交界处一处无证班", "grade": "general", "status": "open",
            "institution": places[6],
        })  # fmt: skip
        late.sync(until="records")
        self._silence("王强")
        for one in (first, second, late):
            one.close()

    def _enrolled(self, name: str, number: int) -> Tablet:
        house = open_instance(Settings(self.server.data))
        code = enrolment.invite(house.database, house.keys, self.people[name].id, house.now(), 3_600_000)
        house.close()
        key, home = secrets.token_bytes(32), self.folder / f"county-{number}"
        tablet = Tablet.create(home, key, secrets.token_bytes(32), EncryptedFiles(home / BLOBS, key))
        tablet.enrol(f"http://127.0.0.1:{self.server.port}", code, f"T-{number:02d}", "10 英寸平板")
        return tablet

    def _disagree(self, first: Tablet, second: Tablet, shared: str, hazard: str, note: str) -> None:
        """Both change the same fields of the same records, and neither knows of the other."""
        for tablet, said, why in ((first, "yes", ""), (second, "no", "通道堆放杂物")):
            items = {one.item.code: one for group in inspecting.all_groups(tablet, shared) for one in group.items}
            for code in ("FIR-05", "FIR-07"):
                inspecting.answer(tablet, shared, items[code], inspecting.answer_of(items[code], said, why))
        first.write("inspection", shared, {"findings": "两间教室，均有窗，通道畅通"})
        second.write("inspection", shared, {"findings": "三间教室，一间无窗；通道堆放桌椅"})
        first.write("hazard", hazard, {"description": "二楼走廊堆放桌椅约十套"})
        second.write("hazard", hazard, {"description": "二楼走廊堆放桌椅，疏散门打不开"})
        first.delete(note, "写错了机构")
        second.write("patrol_note", note, {"seen": "门口有新招牌，写着“周末冲刺班”"})

    def _inspect(self, tablet: Tablet, institution: str, photos: Sequence[Path]) -> None:
        inspection = inspecting.start(tablet, institution)
        done = 0
        for group in inspecting.groups_of(tablet, inspection):
            for item in group.items:
                if done < 24 and item.item.asked.type == "yes_no_na":
                    inspecting.answer(tablet, inspection, item, inspecting.answer_of(item, "yes"))
                    done += 1
        for photo in photos:
            capture(tablet, inspection, photo, source="camera")
        tablet.write("inspection", inspection, {"findings": "教室四间，出口两个，灭火器在有效期内；未见在岗人员名册。"})
        inspecting.sign(tablet, inspection, "罗雨")
        if not inspecting.unmet(tablet, inspection):
            inspecting.submit(tablet, inspection)

    def _twice(self, first: Tablet, second: Tablet, near: str) -> None:
        """Institutions that two people entered, each in their own words."""
        about = first.values(near)
        area, address = about["area"], "芙蓉南路三段 27 号二楼"
        first.write(
            "institution", None, {"name": "茶楼后的数学班", "area": area, "address": address, "status": "unlicensed"}
        )
        second.write(
            "institution",
            None,
            {"name": "茶楼后面数学补习班", "area": area, "address": "芙蓉南路三段27号2楼", "status": "unlicensed"},
        )
        short = str(about["name"]).replace("有限公司", "").replace("长沙市", "").replace("培训学校", "培训")
        second.write(
            "institution", None, {"name": short, "area": area, "address": about.get("address"), "phone": "13800138011"}
        )

    def _silence(self, name: str) -> None:
        """As it looks two days after a tablet was heard of last."""
        house = open_instance(Settings(self.server.data))
        with house.database.write() as conn:
            for device, owner in people.every_device(conn):
                if owner == name:
                    contacts.heard(conn, device.id, house.now() - 2 * 86_400_000)
        house.close()


def _round(tablet: Tablet) -> None:
    report = tablet.sync()
    if report.problem is not None:
        raise report.problem
