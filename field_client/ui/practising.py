"""A made-up register for practice. Nobody in it exists, and its platform has no way to any server.

The records are written as everything else is, so practice behaves like the real thing: search, drafts, deadlines, a returned
inspection with its reason. The identity is a made-up one without a server.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, date, datetime, timedelta
from typing import Any

from field_client.moments import CHINA, as_moment
from field_client.tablet import Tablet

AREA = "430102001"
PERSON = ("practice-inspector", "练习用户", "officer")

_PLACES = (
    ("学雅口才培训中心", "culture", "芙蓉中路一段 88 号三楼", "operating", ()),
    ("小树苗美术工作室", "art", "五一大道 235 号 1204", "operating", ("preschool",)),
    ("晨曦数学思维馆", "subject", "建湘路 17 号二楼", "rectifying", ()),
    ("翔宇篮球俱乐部", "sport", "体育馆路 3 号", "operating", ()),
    ("码力少儿编程", "technology", "八一路 59 号 A 座 806", "operating", ()),
    ("乐知托管之家", "daycare", "黄兴北路 120 号一楼", "operating", ("food", "preschool")),
    ("长青舞蹈学校", "art", "韶山北路 202 号四楼", "suspended", ()),
    ("单老师书法班", "art", "蔡锷中路 41 号", "unlicensed", ("disguised",)),
    ("博闻英语", "subject", "解放东路 77 号 502", "cancelled", ()),
    ("星河机器人实验室", "technology", "浏城桥 9 号三楼", "operating", ()),
    ("清音古筝馆", "art", "白果园 12 号", "operating", ()),
    ("启航体能训练营", "sport", "人民中路 310 号负一楼", "operating", ("preschool",)),
    ("茶楼后的数学班", "other", "坡子街 66 号二楼后院", "unlicensed", ("disguised",)),
    ("童画创意美术", "art", "营盘路 150 号 303", "operating", ()),
    ("文博国学堂", "culture", "文庙坪 5 号", "operating", ("dorm", "food")),
    ("锐思围棋院", "culture", "东庆街 28 号", "operating", ()),
)
_OFFICERS = (("练习甲", "练-0001"), ("练习乙", "练-0002"))


def fill(tablet: Tablet) -> None:
    """Write the made-up register into an empty tablet."""
    now = datetime.fromtimestamp(tablet.store.clock.wall_ms() / 1000, UTC)
    today = now.astimezone(CHINA).date()
    tablet.practise()
    with tablet.store.writing():
        tablet.store.note(
            "identity",
            {
                "url": "",
                "device": "practice",
                "person": list(PERSON),
                "grants": [[AREA, PERSON[2]]],
                "log": ["practice", b64encode(bytes(32)).decode()],
            },
        )
        places = [_institution(tablet, number, *one) for number, one in enumerate(_PLACES)]
        for name, certificate in _OFFICERS:
            tablet.write("officer", None, {
                "name": name, "certificate_number": certificate, "valid_from": (today - timedelta(400)).isoformat(),
                "valid_until": (today + timedelta(400)).isoformat(), "unit": "练习执法大队", "area": AREA,
                "status": "active",
            })  # fmt: skip
        for where, words, days in (
            (places[0], "二楼东侧疏散通道堆放桌椅，净宽约 0.8 米", -3),
            (places[5], "厨房燃气报警器失效", 2),
            (places[11], "负一楼只有一个安全出口", 9),
        ):
            tablet.write("hazard", None, {
                "institution": where, "area": f"{AREA}001", "description": words, "grade": "general",
                "deadline": (today + timedelta(days)).isoformat(), "status": "open", "responsible": "负责人",
            })  # fmt: skip
        _returned(tablet, places[2], now)
        _given(tablet, places, today)
        tablet.write("patrol_note", None, {
            "seen_at": as_moment(now - timedelta(hours=20)), "spot": "坡子街 66 号二楼", "area": f"{AREA}001",
            "seen": "周六上午约二十名小学生带书包进入茶楼后院", "urgency": "smouldering", "status": "noted",
        })  # fmt: skip


def _institution(tablet: Tablet, number: int, name: str, category: str, address: str, status: str,
                 features: tuple[str, ...]) -> str:  # fmt: skip
    licensed = status != "unlicensed"
    values: dict[str, Any] = {
        "name": f"{name}（练习）",
        "category": category,
        "address": address,
        "area": f"{AREA}{number % 4 + 1:03d}",
        "status": status,
        "place": {"lat": 281_900_000 + 9_000 * number, "lon": 1_129_700_000 + 7_000 * (number % 5), "src": "manual"},
        "legal_representative": f"练习人{number + 1}",
        "permit_number": f"练习许可 {number + 1:04d}" if licensed else None,
        "permit_until": f"20{26 + number % 3}-12-31" if licensed else None,
        "learners": 40 + 7 * number,
        **{f"features/{one}": True for one in features},
    }
    return tablet.write("institution", None, {path: value for path, value in values.items() if value is not None}).record


def _given(tablet: Tablet, places: list[str], today: date) -> None:
    """A planned visit that is late, one that is not, and a clue to verify; given here by the same hand."""
    mine = {"to": "person", "id": PERSON[0], "name": PERSON[1]}
    for where, days, words in ((places[1], -1, "重点看教室面积和收费公示"), (places[9], 6, "")):
        about = tablet.values(where)
        values = {"name": about["name"], "sort": "visit", "institution": where, "area": about["area"], "address": about["address"],
                  "assigned": mine, "due": (today + timedelta(days)).isoformat(), "status": "planned", "instructions": words}  # fmt: skip
        tablet.write("task", None, {path: value for path, value in values.items() if value})
    about = tablet.values(places[6])
    clue = tablet.write("clue", None, {
        "subject": "长青舞蹈学校", "text": "停课两周，电话无人接听，家长担心跑路", "source": "hotline", "type": "closure", "urgency": "blow_up",
        "area": about["area"], "address": about["address"], "institution": places[6], "status": "received",
        "received_at": as_moment(datetime.fromtimestamp(tablet.store.clock.wall_ms() / 1000, UTC) - timedelta(hours=6)),
    }).record  # fmt: skip
    tablet.write("task", None, {
        "name": "长青舞蹈学校", "sort": "verify", "clue": clue, "institution": places[6], "area": about["area"], "address": about["address"],
        "assigned": mine, "due": (today + timedelta(1)).isoformat(), "status": "planned",
    })  # fmt: skip


def _returned(tablet: Tablet, institution: str, now: datetime) -> None:
    """An inspection that staff sent back; here the reason is written by the same hand."""
    about = tablet.values(institution)
    begun = now - timedelta(days=2)
    made = tablet.write("inspection", None, {
        "institution": institution, "name": about["name"], "area": about["area"], "address": about["address"],
        "mode": "patrol", "started_at": as_moment(begun), "ended_at": as_moment(begun + timedelta(hours=1)),
        "findings": "三间教室正在上课，公示栏无收费标准", "status": "returned",
    }).record  # fmt: skip
    tablet.write("inspection", made, {f"review/{tablet.store.clock.new_id()}": {
        "text": "请补充公示栏的照片，并写明收费标准张贴的位置", "at": as_moment(now - timedelta(hours=15)), "item": "findings",
    }})  # fmt: skip
