"""How soon a page of the tablet is there: 10,000 institutions, 300 inspections with 2,000 photos, 400 hazards on the tablet.

    floor  a page of the same program with the same frame around it that reads nothing (`/practice`)
    ours   each page, and the answers to taps, over a real socket, in turns with the floor

What is measured ends with the last byte of the page at the client; the browser's own work comes on top and is the same for all.
Ratios are of processor time of client and server together, which a busy machine disturbs less; p50 and p95 are what a person
waits on this machine as it was.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.table import Aim, Verdict
from field_client.tablet import Tablet
from field_client.ui.practising import AREA
from field_client.work.search import Search
from sync.core.fold import Act, State, checksum
from tests.support.screens import Screen, shown

INSTITUTIONS, INSPECTIONS, PHOTOS, HAZARDS, ANSWERS = 10_000, 300, 2_000, 400, 30
AIM_PAGE, AIM_TAP, AIM_PIECE = 12.0, 6.0, 45.0
_ACT = {"c": Act("0196f0000000-0000", ("p-1",), "staff")}
_NAMES = ("启航", "博文", "新思路", "卓越", "育才", "优学", "明德", "星辰", "智慧树", "童心", "金阶", "雅乐", "春晖", "学雅")
_SUBJECTS = ("艺术", "美术", "舞蹈", "音乐", "书画", "围棋", "跆拳道", "机器人", "少儿编程", "国学", "口才", "课后托管")
_ROADS = ("人民中路", "解放东路", "五一大道", "芙蓉南路", "韶山北路", "迎宾路", "学府路", "朝阳路", "书院路", "桃花路")


class Taken(NamedTuple):
    """Processor time of each turn and of the floor in the same turn, and how long somebody waited; milliseconds."""

    ours: list[float]
    floor: list[float]
    waited: list[float]


def screens(folder: Path, turns: int) -> list[Verdict]:
    """Fill a tablet as a county's would be, and turn its pages."""
    with shown(folder / "home") as ui:
        ui.open().practise()
        assert ui.seats is not None
        tablet = ui.seats.current.tablet()
        try:
            fill(tablet)
        finally:
            tablet.close()
        card = f"/institutions/{id_of(0, 7)}"
        pages: dict[str, Callable[[], str]] = {
            "today": lambda: "/",
            "institutions": lambda: "/institutions",
            "card": lambda: card,
            "near me": lambda: "/institutions?lat=28.2&lon=112.9",
            "sync ledger": lambda: "/sync",
            "tablet": lambda: "/tablet",
        }
        pieces: dict[str, Callable[[], str]] = {"what takes room": lambda: "/tablet/space?piece=1"}
        typed = _typed()
        taps: dict[str, Callable[[], str]] = {
            "search while typing": lambda: f"/institutions?piece=1&q={next(typed)}",
            "looks like one that exists": lambda: "/institutions/alike?name=学雅口才艺术班",
            "how far the background is": lambda: "/sync/state.json",
        }
        verdicts = []
        for title, asked, aim in (("page", pages, AIM_PAGE), ("tap", taps, AIM_TAP), ("piece that comes later", pieces, AIM_PIECE)):
            print(f"{title:<28}{'CPU ms':>9}{'p50 ms':>9}{'p95 ms':>9}{'ratio':>9}  range of ratios")
            for name, path in asked.items():
                taken = _turns(ui, path, max(turns, 15))
                verdicts.append(Verdict(Aim(f"{title}: {name}", aim, aim / 2), _told(name, taken)))
            if title == "tap":
                written = _writing(ui, card, max(turns, 15))
                verdicts.append(Verdict(Aim("tap: a note written and shown", aim * 3, aim), _told("a note written and shown", written)))
            print()
    return verdicts


def _turns(ui: Screen, path: Callable[[], str], turns: int) -> Taken:
    taken = Taken([], [], [])
    for turn in range(turns + 3):
        (floor, _), (ours, waited) = _ms(lambda: ui.get("/practice")), _ms(lambda: ui.get(path()))
        if turn >= 3:  # templates are compiled and pages of the database read by then
            taken.floor.append(floor)
            taken.ours.append(ours)
            taken.waited.append(waited)
    return taken


def _writing(ui: Screen, card: str, turns: int) -> Taken:
    taken = Taken([], [], [])
    for _ in range(turns):
        note = ui.value(card, "note")
        floor, _ = _ms(lambda: ui.get("/practice"))
        ours, waited = _ms(lambda: ui.post(f"{card}/note", note=note, text="门口有新招牌"))  # noqa: B023  called at once
        taken.floor.append(floor)
        taken.ours.append(ours)
        taken.waited.append(waited)
    return taken


def _ms(act: Callable[[], Any]) -> tuple[float, float]:
    """Processor time and time on the wall."""
    cpu, begun = time.process_time(), time.perf_counter()
    answer = act()
    if answer.status_code != 200:
        raise RuntimeError(f"{answer.url}: {answer.status_code}")
    return (time.process_time() - cpu) * 1000, (time.perf_counter() - begun) * 1000


def _told(name: str, taken: Taken) -> float:
    ratios = [ours / floor for ours, floor in zip(taken.ours, taken.floor, strict=True)]
    middle, slow = statistics.median(taken.waited), sorted(taken.waited)[int(len(taken.waited) * 0.95) - 1]
    ratio = statistics.median(ratios)
    told = f"{name:<28}{statistics.median(taken.ours):>9.1f}{middle:>9.1f}{slow:>9.1f}{ratio:>9.2f}"
    print(f"{told}  {min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} turns")
    return ratio


# ---- the tablet --------------------------------------------------------------------------------------------


def fill(tablet: Tablet) -> None:
    """Records as a pull puts them there, and photos as capture attaches them."""
    chance = random.Random(7)
    with tablet.store.database.writing():
        for number in range(INSTITUTIONS):
            _put(tablet, "institution", id_of(0, number), {
                "name": f"{chance.choice(_NAMES)}{chance.choice(_SUBJECTS)}培训中心{number}",
                "area": f"{AREA}{number % 20 + 1:03d}", "status": "operating", "category": "art",
                "address": f"{chance.choice(_ROADS)} {number % 400} 号", "legal_representative": "罗雨",
                "place": {"lat": 282_000_000 + chance.randrange(-900_000, 900_000), "lon": 1_129_000_000 + chance.randrange(-900_000, 900_000)},
            })  # fmt: skip
        for number in range(HAZARDS):
            _put(tablet, "hazard", id_of(2, number), {
                "institution": id_of(0, number % 50), "area": f"{AREA}001", "description": f"疏散通道堆放杂物 {number}",
                "grade": "general", "status": "open" if number % 4 == 0 else "verified", "deadline": f"2026-1{number % 3}-1{number % 9}",
            })  # fmt: skip
        each = PHOTOS // INSPECTIONS
        for number in range(INSPECTIONS):
            status = "draft" if number < 12 else "returned" if number < 16 else "approved"
            values: dict[str, Any] = {"institution": id_of(0, number % 50), "name": "学雅口才", "area": f"{AREA}001", "mode": "patrol",
                                      "started_at": f"2026-11-{number % 27 + 1:02d}T02:00:00.000Z", "status": status}  # fmt: skip
            values |= {f"answers/FIR-{one:02d}": {"answer": "yes", "remark": "现场查看，符合要求"} for one in range(ANSWERS)}
            for one in range(each):
                evidence, digest = id_of(3, number * 100 + one), f"{number * 100 + one:064x}"
                values[f"evidence/{evidence}"] = {"sha256": digest, "size": 3_400_000, "mime": "image/jpeg"}
                _put(tablet, "evidence", evidence, {"subject": id_of(1, number), "sha256": digest, "mime": "image/jpeg", "size": 3_400_000})
                tablet.store.uploads.attach(evidence, digest, 3_400_000, "image/jpeg", "original", f"IMG_{one}.jpg")
            _put(tablet, "inspection", id_of(1, number), values)
    search = Search(tablet.store)
    while search.catch_up():
        pass


def _put(tablet: Tablet, kind: str, record: str, values: dict[str, Any]) -> None:
    state = State(record, kind)
    state.rev, state.acts = 1, dict(_ACT)
    state.live = {path: {"c": value} for path, value in values.items()}
    content = state.dump()
    tablet.store.database.run(
        "INSERT INTO states(id, kind, rev, bytes, sum, special) VALUES (?, ?, 1, ?, ?, 0)",
        (record, kind, content, checksum(content)),
    )


def id_of(sort: int, number: int) -> str:
    """0 institutions, 1 inspections, 2 hazards, 3 evidence."""
    return f"0196f000-{sort:04x}-7000-8000-{number:012x}"


def _typed() -> Iterator[str]:
    while True:
        yield from ("学", "学雅", "口才", "kc", "kcpx", "meishu", "芙蓉南路", "ren", "没有这家")
