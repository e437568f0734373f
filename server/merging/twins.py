"""Institutions that may be one: what is alike in name, address, place and numbers, with reasons and a score. Pure.

Nobody compares everything with everything: records meet in blocks (the same code, the same beginning of a name in a
county, the same sound of it, the same street number, the same hundred metres) and only those that meet are scored.

    name     without place, branch and the words that every institution has; compared as it is written and as it sounds,
             so that a slip between characters of one sound costs little
    branch   another branch of one institution is not a duplicate of it: what differs there is told and weighs against
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from pypinyin import lazy_pinyin
from rapidfuzz import fuzz

from schemas.labels import Label

LEAST = 50
"""Score from which a pair is shown."""
CROWD = 80
"""Records in one block beyond which meeting in it says nothing."""
COUNTY = 6
CELL = 15_000
"""Side of a block of places, in 1e-7 degree: about 165 m."""

REASONS: Mapping[str, tuple[int, Label]] = {
    "code": (60, Label("统一社会信用代码相同", "same credit code")),
    "permit": (45, Label("许可证号相同", "same permit number")),
    "name": (38, Label("名称基本相同", "nearly the same name")),
    "sound": (34, Label("名称读音相同", "the name sounds the same")),
    "short": (32, Label("一个名称是另一个的简称", "one name is short for the other")),
    "like": (18, Label("名称相近", "similar names")),
    "address": (28, Label("地址基本相同", "nearly the same address")),
    "street": (18, Label("街道门牌相同", "same street and number")),
    "near": (12, Label("相距不到 100 米", "less than 100 m apart")),
    "phone": (16, Label("电话相同", "same telephone")),
    "person": (10, Label("法定代表人相同", "same legal representative")),
    "codes-differ": (-30, Label("信用代码不同", "different credit codes")),
    "branches-differ": (-35, Label("分校或校区不同", "different branches")),
    "far": (-25, Label("相距 2 公里以上", "more than 2 km apart")),
}
"""Reason → weight and words. A weight below nothing speaks against."""

_PLACE = re.compile(r"^(?:[^省]{2,3}省)?(?:[^市州]{2,4}(?:市|自治州))?(?:[^县区市旗]{1,5}(?:自治县|县|区|市|旗))?")
_BRANCH = re.compile(r"[(]([^()]*)[)]|([^()]{2,4}?)(?:第?[一二三四五六七八九十\d]*(?:分校|校区|分部|分店|教学点|分公司|分中心))$")
_EVERYBODY = ("有限责任公司", "有限公司", "股份", "培训学校", "培训中心", "教育咨询", "文化传播", "服务中心", "服务部", "工作室", "俱乐部",
              "培训", "教育", "学校", "中心", "机构", "公司", "咨询", "民办")  # fmt: skip
_STREET = re.compile(r"([^\d省市县区镇乡道]{2,8}?(?:路|街|大道|巷|道|街道)?)(\d+)号")


class Institution(NamedTuple):
    """What is compared of an institution; empty or None where it is not known."""

    record: str
    name: str
    area: str = ""
    credit_code: str = ""
    permit: str = ""
    address: str = ""
    lat: int | None = None
    lon: int | None = None
    phone: str = ""
    person: str = ""


class Told(NamedTuple):
    """An institution made ready for comparing."""

    of: Institution
    core: str
    sound: str
    branch: str
    address: str
    street: str


class Alike(NamedTuple):
    """Two institutions that may be one, the smaller id first."""

    one: Institution
    other: Institution
    score: int
    reasons: tuple[str, ...]


@lru_cache(maxsize=200_000)
def tell(one: Institution) -> Told:
    """Make an institution ready for comparing."""
    name = _plain(one.name)
    found = _BRANCH.search(name)
    branch = next((part for part in found.groups() if part), found.group()) if found else ""
    whole = _BRANCH.sub("", name) if found else name
    placeless = _PLACE.sub("", whole, count=1) or whole
    core = placeless
    for word in _EVERYBODY:
        core = core.replace(word, "")
    core = core or placeless
    address = _plain(one.address)
    address = re.sub(r"^[^省]{2,3}省", "", address)
    street = _STREET.search(re.sub(r"^.*(?:市|县|区)(?=.{3})", "", address))
    return Told(one, core, "".join(lazy_pinyin(core)), branch, address, "".join(street.groups()) if street else "")


def alike(told: Sequence[Told], about: Collection[str] | None = None) -> Iterator[Alike]:
    """Pairs that may be one; of `about` (record ids) only pairs in which one of them is."""
    blocks: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, one in enumerate(told):
        for key in _keys(one):
            blocks[key].append(number)
    seen: set[tuple[int, int]] = set()
    for key, members in blocks.items():
        if len(members) < 2 or (len(members) > CROWD and key[0] not in ("code", "permit")):
            continue
        new = members if about is None else [one for one in members if told[one].of.record in about]
        for first in new:
            for second in members:
                pair = (first, second) if first < second else (second, first)
                if first == second or pair in seen:
                    continue
                seen.add(pair)
                found = compare(told[first], told[second])
                if found is not None:
                    yield found


def compare(first: Told, second: Told, least: int = LEAST) -> Alike | None:
    """How alike two institutions are; None where they are not (a score below `least`)."""
    if first.of.record > second.of.record:
        first, second = second, first
    a, b = first.of, second.of
    reasons = [*_numbers(a, b), *_names(first, second), *_places(first, second)]
    if a.phone and a.phone == b.phone:
        reasons.append("phone")
    if a.person and a.person == b.person:
        reasons.append("person")
    score = max(0, min(100, sum(REASONS[one][0] for one in reasons)))
    return Alike(a, b, score, tuple(reasons)) if score >= least else None


def metres(a: Institution, b: Institution) -> float | None:
    """How far apart two institutions are."""
    if a.lat is None or a.lon is None or b.lat is None or b.lon is None:
        return None
    north = (a.lat - b.lat) / 1e7 * 111_195
    east = (a.lon - b.lon) / 1e7 * 111_195 * math.cos(math.radians(a.lat / 1e7))
    return math.hypot(north, east)


def _numbers(a: Institution, b: Institution) -> Iterator[str]:
    if a.credit_code and b.credit_code:
        yield "code" if a.credit_code == b.credit_code else "codes-differ"
    if a.permit and a.permit == b.permit:
        yield "permit"


def _names(first: Told, second: Told) -> Iterator[str]:
    written, sounds = fuzz.ratio(first.core, second.core), fuzz.ratio(first.sound, second.sound)
    shorter, longer = sorted((first.core, second.core), key=len)
    if written >= 90:
        yield "name"
    elif sounds >= 96:
        yield "sound"
    elif len(shorter) >= 2 and (longer.startswith(shorter) or (len(shorter) >= 3 and _within(shorter, longer))):
        yield "short"
    elif max(written, sounds - 8) >= 74:
        yield "like"
    if first.branch != second.branch:
        yield "branches-differ"


def _places(first: Told, second: Told) -> Iterator[str]:
    if first.address and second.address and fuzz.partial_ratio(first.address, second.address) >= 92:
        yield "address"
    elif first.street and first.street == second.street:
        yield "street"
    apart = metres(first.of, second.of)
    if apart is not None and apart < 100:
        yield "near"
    elif apart is not None and apart > 2000:
        yield "far"


def _within(shorter: str, longer: str) -> bool:
    """Whether the characters of one come in the other, in order: 启艺 in 启文艺术."""
    rest = iter(longer)
    return longer[:1] == shorter[:1] and all(character in rest for character in shorter)


def _keys(one: Told) -> Iterator[tuple[str, ...]]:
    of, county = one.of, one.of.area[:COUNTY]
    if of.credit_code:
        yield ("code", of.credit_code)
    if of.permit:
        yield ("permit", of.permit)
    if of.phone:
        yield ("phone", of.phone)
    yield ("sound", county, "".join(lazy_pinyin(one.core[:2])))
    for start in range(min(2, len(one.core) - 1)):
        yield ("pair", county, one.core[start : start + 2])
    if len(one.core) > 2:
        yield ("skip", county, one.core[0] + one.core[2])
    if one.street:
        yield ("street", county, one.street)
    if of.lat is not None and of.lon is not None:
        for north in (0, CELL // 2):  # two grids, half a cell apart: what is near shares a cell of one of them
            yield ("cell", str(north), str((of.lat + north) // CELL), str((of.lon + north) // CELL))


def _plain(text: str) -> str:
    """Full-width forms made narrow, without spaces and signs, brackets kept."""
    return re.sub(r"[\s·•,，。.、\-—_]", "", unicodedata.normalize("NFKC", text))
