"""A province's register of off-campus training institutions: 7,481 of them, the same ones every time.

The divisions, streets and communities are real; the institutions, people and numbers are not. What can be
checked about them is right all the same: the check characters of the credit codes, the area that a code
names, coordinates near the county's seat. Telephone numbers are of the form 199-0000-xxxx and credit codes
have a body (`MAY…`) far ahead of the ones in use, so that neither is likely to be anybody's.
"""

import csv
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import TypedDict

from openpyxl import Workbook

from demo.divisions import Community, Division, cities, communities, counties, division

SIZE = 7481
SEED = 4300


class Institution(TypedDict):
    """One line of the register. `area` has 12 digits, coordinates are integers of 1e-7 degree."""

    name: str
    credit_code: str
    permit_number: str
    category: str
    mode: str
    area: str
    address: str
    lon_e7: int
    lat_e7: int
    legal_representative: str
    phone: str
    learners: int
    teachers: int
    prepaid_supervised: bool
    status: str
    department: str
    remark: str


Cell = str | int | float

COLUMNS: Mapping[str, Callable[[Institution], Cell]] = {
    "机构名称": lambda row: row["name"],
    "统一社会信用代码": lambda row: row["credit_code"],
    "办学许可证号": lambda row: row["permit_number"],
    "机构类别": lambda row: row["category"],
    "培训形式": lambda row: row["mode"],
    "行政区划代码": lambda row: row["area"],
    "详细地址": lambda row: row["address"],
    "经度": lambda row: row["lon_e7"] / 10**7,
    "纬度": lambda row: row["lat_e7"] / 10**7,
    "法定代表人": lambda row: row["legal_representative"],
    "联系电话": lambda row: row["phone"],
    "学员人数": lambda row: row["learners"],
    "教师人数": lambda row: row["teachers"],
    "预收费监管": lambda row: "是" if row["prepaid_supervised"] else "否",
    "状态": lambda row: row["status"],
    "主管部门": lambda row: row["department"],
    "备注": lambda row: row["remark"],
}
"""The header of a sheet in its order, and what stands below it. Coordinates are decimal degrees there."""

# Residents in thousands at the census of November 2020; Changsha weighs more, as the capital teaches more.
_CITY_WEIGHTS = {
    "430100": 11_860,
    "430200": 3_903,
    "430300": 2_726,
    "430400": 6_645,
    "430500": 6_564,
    "430600": 5_052,
    "430700": 5_279,
    "430800": 1_517,
    "430900": 3_852,
    "431000": 4_667,
    "431100": 5_290,
    "431200": 4_588,
    "431300": 3_827,
    "433100": 2_488,
}

# category: (how common, what the name says it teaches, department that approves and supervises)
_CATEGORIES: Mapping[str, tuple[int, Sequence[str], str]] = {
    "学科类": (6, ("文化课", "课外辅导", "学科", "外语"), "教育局"),
    "艺术类": (38, ("艺术", "美术", "舞蹈", "音乐", "书画", "声乐", "钢琴"), "文化旅游广电体育局"),
    "体育类": (19, ("体育", "跆拳道", "篮球", "游泳", "羽毛球", "武术", "围棋"), "文化旅游广电体育局"),
    "科技类": (14, ("科技", "机器人", "少儿编程", "创客", "航模"), "科学技术局"),
    "文化类": (13, ("文化", "国学", "口才", "书法", "演讲"), "文化旅游广电体育局"),
    "托管类": (10, ("午托", "课后托管", "托管"), "教育局"),
}
_MODES = {"线下": 94, "线上线下结合": 5, "线上": 1}
_STATUSES = {"正常办学": 938, "暂停招生": 22, "停业整顿": 14, "拟注销": 18, "已注销": 8}

_BRAND_HEADS = "启博新卓育优佳明星天智慧乐童金阳春晨雅文翰墨艺远学思立德弘毅凌云锦湘岳麓芙蓉"
_BRAND_TAILS = "航文思程才学雅彩飞翼源艺韵达蕾苗桥帆海阳林园童成音悦博知行远志凡轩"
_SURNAMES = "李王张刘陈杨黄周吴赵罗谢唐彭曾邓肖胡蒋欧谭贺龙易文向田石姚廖熊何朱徐郭彭邹"
_GIVEN = "建国志强秀英丽华军敏静伟芳娟涛明超艳勇杰慧霞平刚桂兰婷玉梅鹏飞宇轩子涵思雨佳怡文博晓燕海波"
_ROADS = (
    *("人民中路", "解放东路", "建设路", "五一大道", "芙蓉南路", "韶山北路", "迎宾路", "教育街", "文化路"),
    *("学府路", "中山路", "团结路", "朝阳路", "湘江路", "环城北路", "车站路", "新民路", "书院路", "和平路"),
    *("工农路", "桃花路", "沿河街", "胜利街", "向阳路", "银河路", "正街"),
)
_BUILDINGS = (
    *("嘉华大厦", "金源商业广场", "湘隆时代", "学府名城", "文化活动中心", "万和城", "新天地商业街"),
    *("阳光花园", "世纪金源", "锦绣家园", "步步高广场", "天虹购物中心", "御景湾", "书香苑", "财富中心"),
    *("老年活动中心", "供销大楼", "星城国际"),
)
_FIRE_SAFETY = ("已备案", "验收合格", "备案抽查合格", "待复查")
_LAST_CHECK = ("未见异常", "公示栏内容不全，已补", "灭火器压力不足，已更换", "从业人员信息已更新")
_BANKS = ("农商银行", "建设银行", "长沙银行", "邮储银行")

_CODE_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CODE_WEIGHTS = tuple(3**place % 31 for place in range(17))
_BODY_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)


def check_character(body: str) -> str:
    """The 18th character of a unified social credit code, from the first 17 (GB 32100-2015, modulo 31)."""
    values = (_CODE_ALPHABET.index(character) for character in body)
    total = sum(value * weight for value, weight in zip(values, _CODE_WEIGHTS, strict=True))
    return _CODE_ALPHABET[-total % 31]


def organization_check_character(body: str) -> str:
    """The ninth character of an organization code, from the first eight (GB 11714-1997, modulo 11)."""
    total = sum(int(character, 36) * weight for character, weight in zip(body, _BODY_WEIGHTS, strict=True))
    return "0123456789X"[-total % 11]


def roster() -> list[Institution]:
    """All 7,481 institutions, ordered by county; each call makes the same list anew."""
    rng = random.Random(SEED)
    phones = rng.sample(range(10_000), SIZE)
    rows: list[Institution] = []
    for county, count in _counts().items():
        rows.extend(_institutions(rng, county, count, phones[len(rows) : len(rows) + count], len(rows)))
    return rows


def write_csv(path: Path) -> None:
    """Write the register as CSV: UTF-8 with a byte order mark, without which Excel garbles Chinese."""
    with open(path, "w", encoding="utf-8-sig", newline="") as sheet:
        csv.writer(sheet).writerows(_lines())


def write_xlsx(path: Path) -> None:
    """Write the register as an Excel workbook with one sheet. Codes and telephone numbers are text."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("机构名册")
    for line in _lines():
        sheet.append(line)
    book.save(path)


def _lines() -> Iterator[list[Cell]]:
    yield list(COLUMNS)
    for row in roster():
        yield [cell(row) for cell in COLUMNS.values()]


def _apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Split `total` in proportion to `weights`; what rounding leaves goes to the largest remainders."""
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: -(total * weights[i] % whole))
    for i in by_remainder[: total - sum(shares)]:
        shares[i] += 1
    return shares


def _counts() -> dict[Division, int]:
    """How many institutions each county has: districts most, then county-level cities, then the rest."""
    counts: dict[Division, int] = {}
    city_counts = _apportion(SIZE, [_CITY_WEIGHTS[city.code] for city in cities()])
    for city, city_count in zip(cities(), city_counts, strict=True):
        inside = counties(city.code)
        weights = [{"区": 5, "市": 4}.get(county.name[-1], 3) for county in inside]
        counts.update(zip(inside, _apportion(city_count, weights), strict=True))
    return counts


def _institutions(
    rng: random.Random, county: Division, count: int, phones: Sequence[int], before: int
) -> Iterator[Institution]:
    brands = rng.sample([a + b for a, b in product(_BRAND_HEADS, _BRAND_TAILS) if a != b], count)
    places = communities(county.code)
    # Streets hold more institutions than towns, towns more than townships; the code's 7th digit tells which.
    weights = [{"0": 12, "1": 4}.get(place.code[6], 1) for place in places]
    shares = {name: share for name, (share, _, _) in _CATEGORIES.items()}
    for number, (brand, phone) in enumerate(zip(brands, phones, strict=True), start=1):
        category = _pick(rng, shares)
        _, subjects, department = _CATEGORIES[category]
        form, registry = _form(rng, category)
        place = rng.choices(places, weights)[0]
        lon_e7, lat_e7 = _position(rng, county, place)
        status = _pick(rng, _STATUSES)
        learners = 0 if status == "已注销" else min(1200, max(12, int(rng.lognormvariate(4.6, 0.7))))
        person = _person(rng)
        yield Institution(
            name=f"{_registered_at(county)}{brand}{rng.choice(subjects)}{form}",
            credit_code=_credit_code(registry, county.code, before + number),
            permit_number=f"教民1{county.code}7{number:06d}{rng.randrange(10)}号",
            category=category,
            mode=_pick(rng, _MODES),
            area=place.code,
            address=_address(rng, county, place),
            lon_e7=lon_e7,
            lat_e7=lat_e7,
            legal_representative=person,
            phone=f"199-0000-{phone:04d}",
            learners=learners,
            teachers=-(-learners // rng.randint(9, 18)),
            prepaid_supervised=category != "托管类" and rng.random() < 0.97,
            status=status,
            department=county.name + department,
            remark=_remark(rng, learners, place, person),
        )


def _pick(rng: random.Random, shares: Mapping[str, int]) -> str:
    return rng.choices(list(shares), list(shares.values()))[0]


def _form(rng: random.Random, category: str) -> tuple[str, str]:
    """The end of the name, and the first two characters of the credit code: who registered it, and as what.

    52 is a private non-enterprise unit registered by civil affairs, 91 a company and 92 a sole trader, both
    registered by market supervision. Whoever teaches school subjects has to be non-profit.
    """
    if category == "学科类":
        return rng.choice(("培训学校", "培训中心")), "52"
    if category == "托管类":
        return rng.choice((("服务中心", "92"), ("服务部", "92"), ("服务有限公司", "91")))
    return rng.choice((("培训学校有限公司", "91"), ("培训有限公司", "91"), ("培训中心", "52")))


def _registered_at(county: Division) -> str:
    """A district's institutions carry the city's name first; those of other counties do not."""
    return division(county.parent).name + county.name if county.name.endswith("区") else county.name


def _credit_code(registry: str, county: str, number: int) -> str:
    body = f"MAY{number:05d}"
    first = registry + county + body + organization_check_character(body)
    return first + check_character(first)


def _person(rng: random.Random) -> str:
    return rng.choice(_SURNAMES) + "".join(rng.sample(_GIVEN, rng.choice((1, 2, 2, 2))))


def _address(rng: random.Random, county: Division, place: Community) -> str:
    floor = rng.randint(1, 6)
    street = f"{rng.choice(_ROADS)}{rng.randint(1, 588)}号"
    room = f"{rng.choice(_BUILDINGS)}{rng.choice('ABC')}栋{floor}楼{floor}{rng.randint(1, 28):02d}室"
    return f"湖南省{division(county.parent).name}{county.name}{place.township}{street}{room}"


def _position(rng: random.Random, county: Division, place: Community) -> tuple[int, int]:
    """Longitude and latitude in 1e-7 degree, near a spot that is the same for all of a township."""
    east, north = _township_offset(place.code[:9])
    return (
        county.lon_e7 + east + rng.randint(-60_000, 60_000),
        county.lat_e7 + north + rng.randint(-60_000, 60_000),
    )


@cache
def _township_offset(township: str) -> tuple[int, int]:
    """How far east and north of the county's seat a township lies; streets (7th digit 0) lie nearest."""
    spot = random.Random(township)
    reach = 200_000 if township[6] == "0" else 900_000
    return spot.randint(-reach, reach), spot.randint(-reach, reach)


def _remark(rng: random.Random, learners: int, place: Community, person: str) -> str:
    rooms = max(2, learners // 25)
    return (
        f"所在社区：{place.name}；办学面积{rooms * rng.randint(40, 75)}平方米，教室{rooms}间；"
        f"培训时段：周一至周五16:30至20:30，周末9:00至18:00；"
        f"收费专户：{rng.choice(_BANKS)}尾号{rng.randrange(10_000):04d}；"
        f"消防：{rng.choice(_FIRE_SAFETY)}；安全责任人：{rng.choice((person, _person(rng)))}；"
        f"包保责任：省级、市级、县级、乡级各1人；"
        f"2025年{rng.randint(1, 12)}月{rng.randint(1, 28)}日核查：{rng.choice(_LAST_CHECK)}。"
    )
