"""The map over real HTTP: every layer counts what is in sight once, and nothing else lends its position."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from server.keys import ServerKeys
from server.merging import decisions
from server.reading import records
from server.storage import states
from sync.core.fold import State
from tests.support.console import Browser, signed_in
from tests.support.desk import COUNTY, SIBLING, Filled, fill
from tests.support.server import TestServer, running_server

JSON = {"Accept": "application/json"}
AROUND = "box=20,100,35,120"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with running_server(tmp_path_factory.mktemp("map")) as running:
        yield running


@pytest.fixture(scope="module")
def filled(server: TestServer) -> Filled:
    return fill(server, 24)


@pytest.fixture(scope="module")
def lead(server: TestServer, filled: Filled) -> Browser:
    return signed_in(server, "lead", COUNTY, name="周敏")


@pytest.fixture(scope="module")
def stranger(server: TestServer, filled: Filled) -> Browser:
    return signed_in(server, "lead", SIBLING)


def name_of(server: TestServer, record: str) -> str:
    with server.instance.database.read() as conn:
        return records.title_of(server.instance, State.read(bytes(states.load(conn, [record])[record].bytes)))


def clusters(browser: Browser, layer: str, zoom: int = 19) -> list[Any]:
    response = browser.get(f"map/clusters?kind={layer}&zoom={zoom}&{AROUND}", headers=JSON)
    assert response.status_code == 200, response.text
    return list(response.json()["clusters"])


def records_in(found: list[Any]) -> set[str]:
    return {record for cluster in found for record, _ in cluster[3]}


def test_clusters_count_every_record_once_at_every_zoom(lead: Browser, filled: Filled) -> None:
    for zoom in (2, 8, 12, 15, 19):
        found = clusters(lead, "institution", zoom)
        assert sum(one[0] for one in found) == 24
    assert len(found) == 24 and records_in(found) == set(filled.institutions) and all(title for one in found for _, title in one[3])
    assert lead.get("map/clusters?kind=institution&zoom=9&box=x").status_code == 400
    assert lead.get("map/clusters?kind=checklist&zoom=9&box=1,2,3,4").status_code == 404
    assert lead.get("map/clusters?kind=hazard&part=never&zoom=9&box=1,2,3,4").status_code == 404


def test_a_hazard_stands_where_its_institution_does_and_falls_into_one_layer(lead: Browser, filled: Filled) -> None:
    late, due = clusters(lead, "hazard&part=late"), clusters(lead, "hazard&part=due")
    assert records_in(late) == set(filled.hazards[0::2]) and records_in(due) == set(filled.hazards[1::2])
    assert clusters(lead, "hazard&part=over") == []
    where = {record: one[1:3] for one in clusters(lead, "institution") for record, _ in one[3]}
    assert {record: one[1:3] for one in [*late, *due] for record, _ in one[3]} == {
        hazard: where[filled.institutions[number]] for number, hazard in enumerate(filled.hazards)
    }
    for zoom in (2, 8, 12):
        assert sum(one[0] for one in clusters(lead, "hazard&part=late", zoom)) == 6
    assert records_in(clusters(lead, "hazard&f-grade=major&part=late")) == {filled.hazards[0], filled.hazards[6]}


def test_a_note_stands_by_itself_or_at_its_institution_under_any_id_that_this_ever_had(lead: Browser, filled: Filled, server: TestServer) -> None:
    tablet, now = filled.tablet, server.clock()
    own, lent, merged = (ServerKeys.new_id(now) for _ in range(3))
    twin = ServerKeys.new_id(now)
    tablet.push(tablet.change("institution", twin, {"name": name_of(server, filled.institutions[8])}))
    decisions.merge(server.instance.desk, filled.institutions[8], twin, reason="同一机构", by=["system"])
    said = {"seen_at": "2026-11-24T02:10:00.000Z", "spot": "二楼", "area": f"{COUNTY}001001", "seen": "有学生进出"}
    tablet.push(
        tablet.change("patrol_note", own, said | {"place": {"lat": 281_000_000, "lon": 1_130_000_000, "src": "gnss"}, "institution": twin}),
        tablet.change("patrol_note", lent, said | {"institution": filled.institutions[7]}),
        tablet.change("patrol_note", merged, said | {"institution": twin}),
    )
    where = {record: one[1:3] for layer in ("institution", "patrol_note") for one in clusters(lead, layer) for record, _ in one[3]}
    assert where[own] == [281_000_000, 1_130_000_000] and where[lent] == where[filled.institutions[7]]
    assert where[merged] == where[filled.institutions[8]]
    assert sum(one[0] for one in clusters(lead, "patrol_note", 2)) == 3


def test_who_does_not_see_an_institution_does_not_learn_where_it_is(stranger: Browser, filled: Filled, server: TestServer) -> None:
    away = server.enrol("inspector", SIBLING)
    hazard = ServerKeys.new_id(server.clock())
    away.push(away.change("hazard", hazard, {"institution": filled.institutions[3], "area": f"{SIBLING}001001", "grade": "major", "description": "堆放杂物"}))
    assert f"/console/record/{hazard}" in stranger.get("records/hazard").text and clusters(stranger, "hazard&part=due") == []
    assert "small-map" not in stranger.get(f"record/{hazard}").text


def test_every_layer_has_a_shape_of_its_own_and_a_list_comes_alone(lead: Browser) -> None:
    page = lead.get("map").text
    shown = re.findall(r'value="([a-z_:]+)" data-layer="[^"]*" checked', page)
    assert shown == ["institution", "hazard:due", "hazard:late", "clue:due", "clue:late", "patrol_note"]
    assert len(set(re.findall(r'<path d="(M[^"]+)"/></svg><span>', page)[:6])) == 6
    narrowed = lead.get("map?kind=hazard&f-grade=major").text
    assert re.findall(r'value="([a-z_:]+)" data-layer="[^"]*" checked', narrowed) == ["hazard:due", "hazard:late", "hazard:over"]
    assert 'f-grade=major&amp;kind=hazard&amp;part=late' in narrowed and "按条件" in narrowed
    assert lead.get("map?kind=checklist").status_code == 404


def test_geojson_of_hazards_says_whose_position_it_is(lead: Browser, filled: Filled) -> None:
    features = json.loads(lead.post("records/hazard/export", {"form": "geojson"}).content)["features"]
    assert len(features) == 12
    assert {one["id"]: one["properties"]["position_of"] for one in features} == dict(zip(filled.hazards, filled.institutions[:12], strict=True))
    page = lead.get(f"record/{filled.hazards[0]}")
    assert "small-map" in page.text and "所属机构的位置" in page.text


def test_a_map_of_ones_own_is_given_in_tiles(lead: Browser, server: TestServer) -> None:
    import pysqlite3.dbapi2 as sqlite

    file = server.instance.settings.tiles
    assert lead.get("map/tiles/3/6/2").status_code == 204
    file.parent.mkdir(exist_ok=True)
    conn = sqlite.connect(file)
    conn.execute("CREATE TABLE tiles (zoom_level, tile_column, tile_row, tile_data)")
    conn.execute("INSERT INTO tiles VALUES (3, 6, 5, ?)", (b"\x89PNG picture",))
    conn.execute("INSERT INTO tiles VALUES (3, 6, 4, ?)", (b"<script>",))
    conn.commit()
    conn.close()
    assert lead.get("map/tiles/3/6/2").content == b"\x89PNG picture"
    assert lead.get("map/tiles/3/6/3").status_code == 204 and lead.get("map/tiles/3/9/2").status_code == 404
    file.unlink()
