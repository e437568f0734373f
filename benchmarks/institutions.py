"""Duplicate institutions: how many planted duplicates are found, how many pairs are wrong, and how long it takes.

The register of `demo.roster` (7,481 institutions) with 600 duplicates as people enter them (a slip of the keyboard, a character of the
same sound, an abbreviation, another form of the address, no code, a telephone only), and 200 traps that are no duplicates:
branches elsewhere in the county, and another institution at the same door. The roster's own names are generated, so the figures
say how the rules work on such slips, not how often real registers have them. The rules were written with this generator in sight.

    recall      of the planted duplicates, those whose pair is found
    precision   of the pairs found, those that were planted
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping

from demo import roster
from server.merging import twins
from server.merging.twins import Institution

SEED = 20261126
EACH = 100
_SOUNDS = {"启": "起", "博": "搏", "新": "心", "优": "悠", "佳": "嘉", "明": "鸣", "星": "兴", "天": "添", "智": "致", "慧": "惠", "乐": "勒", "阳": "洋",
           "晨": "辰", "雅": "亚", "文": "闻", "远": "院", "思": "斯", "德": "得", "弘": "宏", "毅": "艺", "卓": "桌", "童": "同", "育": "玉"}  # fmt: skip
_ORDINARY = "大中小东西南北上下前后左右高低长"


def institutions() -> list[Institution]:
    """The register as `twins` compares it."""
    return [
        Institution(
            f"r{number:05d}", row["name"], row["area"], row["credit_code"], row["permit_number"], row["address"],
            row["lat_e7"], row["lon_e7"], row["phone"], row["legal_representative"],
        )
        for number, row in enumerate(roster.roster())
    ]  # fmt: skip


def _bare(one: Institution) -> Institution:
    """As somebody enters it who did not look it up: no codes."""
    return one._replace(credit_code="", permit="")


def _sound(one: Institution, rng: random.Random) -> Institution:
    """A character of the same sound; no codes, the position taken again, no telephone."""
    there = [number for number, character in enumerate(one.name) if character in _SOUNDS]
    name = one.name
    if there:
        at = there[-1]
        name = name[:at] + _SOUNDS[name[at]] + name[at + 1 :]
    return _moved(_bare(one)._replace(name=name, phone=""), rng)


def _slip(one: Institution, rng: random.Random) -> Institution:
    """Another character somewhere behind the name of the place."""
    at = rng.randrange(max(0, len(one.name) - 8), len(one.name))
    name = one.name[:at] + rng.choice(_ORDINARY) + one.name[at + 1 :]
    return _moved(_bare(one)._replace(name=name, phone=""), rng)


def _short(one: Institution, rng: random.Random) -> Institution:
    """Without the place and the words that everybody has."""
    return _moved(_bare(one)._replace(name=twins.tell(one).core, phone=""), rng)


def _address(one: Institution, rng: random.Random) -> Institution:
    """The address without province, city and house, the name without its last words."""
    address = one.address.partition("省")[2].partition("市")[2]
    address = address.partition("号")[0] + "号"
    return _moved(_bare(one)._replace(address=address, name=one.name.removesuffix("有限公司"), phone=""), rng)


def _coded(one: Institution, rng: random.Random) -> Institution:
    """A new name and a new address, the same credit code."""
    return one._replace(name=one.name.replace("培训", "教育"), address="", lat=None, lon=None, phone="", permit="")


def _called(one: Institution, rng: random.Random) -> Institution:
    """Known by name and telephone only."""
    return _bare(one)._replace(address="", lat=None, lon=None, person="")


def _moved(one: Institution, rng: random.Random) -> Institution:
    assert one.lat is not None and one.lon is not None
    return one._replace(lat=one.lat + rng.randint(-4000, 4000), lon=one.lon + rng.randint(-4000, 4000))


MADE: Mapping[str, Callable[[Institution, random.Random], Institution]] = {
    "same sound": _sound,
    "slip": _slip,
    "abbreviation": _short,
    "address": _address,
    "code only": _coded,
    "name and telephone": _called,
}


def planted() -> tuple[list[Institution], dict[tuple[str, str], str], set[str]]:
    """The register with duplicates: all institutions, (original, duplicate) → how it was made, and the ids of the traps."""
    rng = random.Random(SEED)
    known = institutions()
    chosen = rng.sample(known, EACH * len(MADE) + 2 * EACH)
    pairs: dict[tuple[str, str], str] = {}
    added: list[Institution] = []
    for number, (sort, one) in enumerate(zip([sort for sort in MADE for _ in range(EACH)], chosen, strict=False)):
        twin = MADE[sort](one, rng)._replace(record=f"s{number:05d}")
        pairs[(one.record, twin.record)] = sort
        added.append(twin)
    traps: set[str] = set()
    for number, one in enumerate(chosen[EACH * len(MADE) :]):
        assert one.lat is not None and one.lon is not None
        id = f"t{number:05d}"
        if number < EACH:  # a branch elsewhere in the county, with the same owner
            trap = one._replace(
                record=id, name=f"{one.name}（{rng.choice(('城南', '河西', '高铁站'))}校区）", credit_code="", permit="",
                address=one.address.partition("区")[0] + f"区新民路{rng.randint(600, 900)}号", lat=one.lat + 400_000, phone="",
            )  # fmt: skip
        else:  # another institution behind the same door
            other = rng.choice(known)
            trap = other._replace(record=id, area=one.area, address=one.address, lat=one.lat, lon=one.lon, phone="", permit="")
            trap = trap._replace(credit_code="", name=trap.name.replace("培训", "学堂"))
        traps.add(id)
        added.append(trap)
    return [*known, *added], pairs, traps


def measure() -> dict[str, float]:
    """Recall for each sort and overall, precision, the share of traps that were reported, and seconds of one core."""
    everything, pairs, traps = planted()
    began = time.process_time()
    told = [twins.tell(one) for one in everything]
    prepared = time.process_time()
    found = {(pair.one.record, pair.other.record): pair for pair in twins.alike(told)}
    compared = time.process_time()
    new = {everything[-1].record}
    list(twins.alike(told, new))
    one_more = time.process_time()
    answer = {
        f"recall, {sort}": sum(pair in found for pair, made in pairs.items() if made == sort) / EACH for sort in MADE
    }
    trapped = sum(any(id in traps for id in pair) for pair in found)
    right = sum(pair in found for pair in pairs)
    return answer | {
        "recall": right / len(pairs),
        "precision": right / max(1, len(found)),
        "pairs": len(found),
        "traps reported": trapped,
        "institutions": len(everything),
        "seconds to prepare": prepared - began,
        "seconds to compare": compared - prepared,
        "seconds for one more": one_more - compared,
    }


def main() -> None:
    """Print the figures."""
    for name, value in measure().items():
        print(f"{name:24} {value:10.3f}" if isinstance(value, float) else f"{name:24} {value:10d}")


if __name__ == "__main__":
    main()
