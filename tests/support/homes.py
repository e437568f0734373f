"""Homes of tablets that were used for a while, made once and copied for each test: an inspector's, an undercover team's.

    made = inspector(folder)            # with a real server, which is gone afterwards: as in a basement
    with shown(made.copy(tmp_path / "home")) as ui:
        ui.open().post("/unlock", pin=PIN)
        page.goto(ui.origin + made.fill("/institutions/{place}"))
"""

from __future__ import annotations

import base64
import io
import json
import secrets
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from custody import sealing
from field_client.holding import recovery
from field_client.platform.keys import Secrets
from field_client.tablet import Tablet
from field_client.ui import practising, preferences
from field_client.work.search import Search
from server.keys import ServerKeys
from server.proofs import trusts
from sync.core.trust import Seal
from tests.support.photographs import photograph
from tests.support.pictures import encoded, scene
from tests.support.screens import PIN, Screen, shown
from tests.support.screens import field as field_of
from tests.support.server import TestServer, running_server
from tests.support.tablets import tablet_in

AREA = "430102001"
LONG = "长沙市芙蓉区五一大道中段校外培训机构综合服务中心附属青少年科技艺术与体育素养全面发展促进培训学校有限责任公司（定王台分校）"
LATIN = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
DRAWN = "data:image/png;base64," + base64.b64encode(encoded(scene(40, 20), "PNG")).decode()
_JSON = {"Accept": "application/json"}


@dataclass(frozen=True)
class Home:
    """A home that was closed; `ids` are those of the records that pages name, `secrets` its keys."""

    folder: Path
    secrets: Secrets
    ids: dict[str, str] = field(default_factory=dict)

    def copy(self, to: Path) -> Path:
        shutil.copytree(self.folder, to)
        return to

    def fill(self, path: str) -> str:
        """A path with the ids that it names in braces."""
        return path.format(**self.ids)


def census(home: Path, keys: Secrets) -> Counter[str]:
    """How many records of each kind a home holds, copies of photos left out, and how many notes, answers, signatures, files and officers they name."""
    with closing(tablet_in(home, keys)) as tablet:
        found = Counter({kind: len(tablet.records(kind)) for kind in tablet.kinds()})
        found["evidence"] = sum(tablet.values(one).get("role") == "original" for one in tablet.records("evidence"))
        for kind in ("institution", "inspection", "hazard", "patrol_note", "task", "clue"):
            for record in tablet.records(kind):
                values = tablet.values(record)
                found[f"{kind}:{values.get('status')}"] += 1
                found.update(f"{path.partition('/')[0]}/" for path, value in values.items() if "/" in path and value)
    return found


def _closed(folder: Path, fill: Callable[[Screen, TestServer], dict[str, str]], role: str, area: str) -> Home:
    """Enrol with a server that seals and recovers, fill, and leave the home without what belongs to a running program."""
    with running_server(folder / "server") as server, shown(folder / "home") as ui:
        house, province = server.instance, sealing.new_identity()
        trust = replace(trusts.next_edition(house.keys, "湖南省教育厅", house.now(), None), seal=Seal(7, (province.recipient,)))
        trusts.publish(house.settings, trust, secrets.token_bytes(32))
        ui.open().enrol(server.url, server.code(server.person(role, area, name="欧阳慧敏")))
        assert ui.seats is not None
        seat = ui.seats.current
        waited(lambda: ui.get("/sync/state.json").json()["complete"] and recovery.held(seat.home) is not None)
        ids = fill(ui, server)
        keys = seat.held().secrets
    for left in ("ui.json", "ui.browser"):
        (folder / "home" / left).unlink(missing_ok=True)
    return Home(folder / "home", keys, ids)


def waited(done: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something holds. Raises AssertionError where it does not in time."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


# ---- an inspector's ------------------------------------------------------------------------------------------------


def inspector(folder: Path) -> Home:
    return _closed(folder, _worked, "officer", AREA)


def _worked(ui: Screen, server: TestServer) -> dict[str, str]:
    assert ui.seats is not None
    with closing(ui.seats.current.tablet()) as tablet:
        ids = _dispute(ui, tablet, server)
        ui.post("/sync/choose", paused="1")  # from here on nothing reaches the county
        waited(lambda: ui.get("/sync/state.json").json()["state"] == "paused")
        own = tablet.store.meta("identity")
        practising.fill(tablet)
        tablet.store.note("identity", own)
        tablet.store.note("practice", False)
        places = tablet.records("institution")
        ids |= {"place": next(one for one in places if "长青" in tablet.values(one)["name"]), "note": tablet.records("patrol_note")[0]}
        ids |= {"task": next(one for one in tablet.records("task") if "clue" not in tablet.values(one)), "clue": tablet.records("clue")[0]}
        ids |= _visits(ui, tablet)
        ids |= _hazard(ui, tablet, ids["long"])
        search = Search(tablet.store)
        while search.catch_up():
            pass
        preferences.choose(tablet.home, paused=False)
    return ids


def _visits(ui: Screen, tablet: Tablet) -> dict[str, str]:
    """One half done with photos, one that was signed and may be submitted, one that is to be signed, and long names."""
    places = tablet.records("institution")
    long = tablet.write("institution", None, {
        "name": LONG, "area": f"{AREA}001", "address": f"五一大道 235 号 {LATIN} 大厦 B 座 1204-1208", "legal_representative": LATIN[:60],
        "status": "operating", "category": "art", "remark": LATIN,
    }).record  # fmt: skip
    visit, ready, ended = (begun(ui, tablet, place) for place in (long, places[2], places[5]))
    for code, said in (("LIC-01", {"answer": "yes"}), ("LIC-02", {"answer": "no", "reason": f"许可证已过期；{LATIN}"})):
        ui.post(f"/inspections/{visit}/items/{code}", headers=_ours(ui) | _JSON, base="", **said)
    first = send(ui, visit, encoded(photograph("dust-bowl-home"), "JPEG"), item="LIC-01", caption=LATIN)
    second = send(ui, visit, encoded(photograph("nagasaki-boats"), "JPEG"), item="LIC-02")
    ui.post(f"/inspections/{visit}/notes", note=tablet.store.clock.new_id(), text=LATIN)
    for one in (ready, ended):
        ui.post(f"/inspections/{one}/fields/findings", base="", value="三间教室正在上课")
        ui.post(f"/inspections/{one}/end")
    content = field_of(ui.get(f"/inspections/{ready}/sign").text, "content")
    ui.post(f"/inspections/{ready}/sign", content=content, name="罗雨", drawn=DRAWN, **{"as": "party"})
    return {"long": long, "visit": visit, "ready": ready, "ended": ended, "photo": first, "other": second}


def _hazard(ui: Screen, tablet: Tablet, place: str) -> dict[str, str]:
    hazard = tablet.records("hazard")[0]
    for stage, name in (("before", "french-alpine-landscape"), ("after", "acanthus-mollis")):
        send(ui, hazard, encoded(photograph(name), "JPEG"), stage=stage)
    tablet.write("hazard", None, {"institution": place, "area": f"{AREA}001", "description": LATIN * 2,
                                  "grade": "major", "deadline": "2026-01-01", "status": "open"})  # fmt: skip
    return {"hazard": hazard}


def _dispute(ui: Screen, tablet: Tablet, server: TestServer) -> dict[str, str]:
    """An institution whose status another tablet writes differently, and which the county therefore has to decide on."""
    other = server.enrol("officer", AREA)
    record = ServerKeys.new_id(server.clock())
    first = other.change("institution", record, {"name": "意见不一的机构", "area": f"{AREA}001", "status": "operating"})
    other.push(first)
    ui.post("/sync/now")
    waited(lambda: tablet.store.knows(record))
    tablet.write("institution", record, {"status": "unlicensed"})
    other.push(other.change("institution", record, {"status": "suspended"}, {"status": [first.id]}))
    ui.post("/sync/now")
    waited(lambda: tablet.conflicts() and ui.get("/sync/state.json").json()["state"] != "running")
    return {"disputed": record}


def begun(ui: Screen, tablet: Tablet, place: str) -> str:
    """An inspection as a person begins it."""
    record = tablet.store.clock.new_id()
    ui.post("/inspections", institution=place, record=record, anyway="1")
    return record


def send(ui: Screen, record: str, content: bytes, name: str = "IMG_1.jpg", **form: str) -> str:
    """A photo into a record, with its small pictures; the evidence."""
    said = ui.post(f"/records/{record}/photos", files={"file": (name, io.BytesIO(content), "image/jpeg")}, headers=_ours(ui) | _JSON, **form)
    evidence = str(said.json()["evidence"])
    ui.post(f"/evidence/{evidence}/pictures", headers=_ours(ui) | _JSON)
    return evidence


def _ours(ui: Screen) -> dict[str, str]:
    return {"Origin": ui.origin, "Sec-Fetch-Site": "same-origin"}


# ---- an undercover team's ------------------------------------------------------------------------------------------


def team(folder: Path) -> Home:
    return _closed(folder, _recorded, "team", "430104")


def _recorded(ui: Screen, server: TestServer) -> dict[str, str]:
    ui.session.post(f"{ui.origin}/notes/piece/{uuid.uuid4()}/1?last=1", data=b"film" * 1000,
                    headers=_ours(ui) | {"Content-Type": "video/webm"}, timeout=60).raise_for_status()  # fmt: skip
    return {}


# ---- others --------------------------------------------------------------------------------------------------------


def revoked(home: Home, folder: Path) -> Home:
    """The same home after the server has revoked it, while it hands in what it has."""
    copy = home.copy(folder)
    told: dict[str, Any] = {"act": "a-1", "reason": "平板遗失", "since": 1_795_000_000_000, "stage": "handing-in", "changes": None, "files": None}
    (copy / "revoked.json").write_text(json.dumps(told), "utf-8")
    return replace(home, folder=copy)


__all__ = ["AREA", "DRAWN", "LATIN", "LONG", "PIN", "Home", "census", "inspector", "revoked", "send", "team", "waited"]
