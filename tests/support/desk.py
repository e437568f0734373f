"""A county with something to look at: institutions with positions, hazards, an inspection with photos, and a conflict."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from server.keys import ServerKeys
from tests.support.photographs import photograph
from tests.support.pictures import encoded
from tests.support.server import TestDevice, TestServer

COUNTY, SIBLING = "430102", "430103"
PLACES = ("启航", "博文", "新思路", "卓越", "育才", "优学", "明德", "星辰", "智慧树", "童心")
SUBJECTS = ("艺术", "美术", "舞蹈", "音乐", "书画", "围棋", "机器人", "口才")


@dataclass
class Filled:
    """Ids of what is there. `disputed`: the institution whose status two tablets wrote differently."""

    tablet: TestDevice
    institutions: list[str]
    hazards: list[str]
    inspection: str
    evidence: list[str]
    disputed: str
    elsewhere: str


def fill(server: TestServer, institutions: int = 60) -> Filled:
    """Everything through tablets and real HTTP, as it is in life."""
    tablet, other = server.enrol("inspector", COUNTY), server.enrol("officer", COUNTY)
    away = server.enrol("inspector", SIBLING)
    now = server.clock()
    ids = [ServerKeys.new_id(now) for _ in range(institutions)]
    made = []
    for number, id in enumerate(ids):
        name = f"长沙市芙蓉区{PLACES[number % 10]}{SUBJECTS[number % 8]}培训学校"
        place = {"lat": 281_900_000 + number % 10 * 71_000, "lon": 1_129_800_000 + number // 10 * 83_000, "src": "gnss"}
        values: dict[str, Any] = {
            "name": name, "area": f"{COUNTY}{number % 5 + 1:03}001", "address": f"人民中路{number * 7 + 3}号{number % 9 + 1}栋",
            "category": ("art", "sport", "technology", "subject")[number % 4], "place": place, "learners": number * 3,
            "legal_representative": ("张伟", "王芳", "=HYPERLINK(\"http://x\")")[number % 3], "permit_until": f"202{6 + number % 3}-0{number % 9 + 1}-15",
        }  # fmt: skip
        made.append(tablet.change("institution", id, values))
    tablet.push(*made)
    elsewhere = ServerKeys.new_id(now)
    away.push(away.change("institution", elsewhere, {"name": "长沙市天心区启航学校", "area": f"{SIBLING}001001"}))
    one = made[0].id
    tablet.push(tablet.change("institution", ids[0], {"status": "operating"}, {"status": []}))
    other.push(other.change("institution", ids[0], {"status": "suspended"}, {"status": []}))
    assert one
    hazards = [ServerKeys.new_id(now) for _ in range(12)]
    tablet.push(
        *(
            tablet.change("hazard", id, {
                "institution": ids[number], "area": f"{COUNTY}001001", "grade": "major" if number % 3 == 0 else "general",
                "description": f"{number + 1} 楼消防通道堆放杂物，应急照明不亮", "deadline": f"20{25 + number % 2 * 20}-11-{number + 10}",
                "responsible": "张伟", "status": "open",
            })
            for number, id in enumerate(hazards)
        )
    )  # fmt: skip
    inspection, evidence = _inspected(tablet, ids[1])
    return Filled(tablet, ids, hazards, inspection, evidence, ids[0], elsewhere)


def _inspected(tablet: TestDevice, institution: str) -> tuple[str, list[str]]:
    inspection = ServerKeys.new_id(tablet.now())
    values: dict[str, Any] = {
        "institution": institution, "name": "长沙市芙蓉区博文美术培训学校", "area": f"{COUNTY}002001", "address": "人民中路10号2栋",
        "mode": "patrol", "started_at": "2026-11-24T02:10:00.000Z", "findings": "二楼教室使用中，安全出口标识完好，灭火器压力正常。",
        "place": {"lat": 281_971_000, "lon": 1_129_800_000, "acc": 800, "src": "gnss"},
    }  # fmt: skip
    ids, changes = [], []
    for name in ("dust-bowl-home", "nagasaki-boats", "allium-oreophilum"):
        content = encoded(photograph(name), "JPEG")
        tablet.send_blob(content)
        id, digest = ServerKeys.new_id(tablet.now()), sha256(content).hexdigest()
        said = {"sha256": digest, "size": len(content), "mime": "image/jpeg"}
        values[f"evidence/{id}"] = said
        changes.append(tablet.change("evidence", id, {
            **said, "subject": inspection, "subject_kind": "inspection", "area": f"{COUNTY}002001", "role": "original",
            "caption": f"现场照片 {name[:5]}", "captured_at": "2026-11-24T02:12:00.000Z", "source": "camera",
        }))  # fmt: skip
        ids.append(id)
    missing = ServerKeys.new_id(tablet.now())
    values[f"evidence/{missing}"] = {"sha256": "5" * 64, "size": 2_400_000, "mime": "image/jpeg"}
    tablet.push(tablet.change("inspection", inspection, values), *changes)
    return inspection, ids
