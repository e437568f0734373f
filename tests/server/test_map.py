"""The map: what is kept by cells is what is there, however it came, moved and went, and whoever looks at whichever part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from schemas.kinds.hazard import Hazard
from schemas.kinds.institution import Institution
from server.storage import cells, places
from server.storage.cells import Box
from server.storage.lists import Wanted, Where
from server.storage.places import Cluster, Clusters
from sync.core.change import compose
from sync.core.fold import Entry, State, absorb
from tests.support.county import County

PLACES = st.one_of(  # mostly close together, as in a town; some far away, some nowhere on earth
    st.builds(lambda lat, lon: (281_000_000 + lat * 700, 1_129_000_000 + lon * 700), st.integers(-9, 9), st.integers(-9, 9)),
    st.tuples(st.integers(-900_000_000, 900_000_000), st.integers(-1_800_000_000, 1_800_000_000)),
    st.sampled_from([None, (900_000_001, 0), (0, 1 << 60), (-900_000_000, 1_800_000_000)]),
)
AREAS = st.sampled_from(("430102001", "430102", "4301", "430103001002", "44"))
DEEDS = st.lists(st.tuples(st.integers(0, 11), st.sampled_from(("is", "is", "is", "deleted", "merged away")), AREAS, PLACES), max_size=40)
SIGHTS = st.lists(st.sampled_from(("", "43", "430102", "430103", "430102001", "99")), min_size=1, max_size=2, unique=True)
BOXES = st.one_of(
    st.just(Box(-900_000_000, -1_800_000_000, 900_000_000, 1_800_000_000)),
    st.builds(lambda s, w, h: Box(280_990_000 + s * 900, 1_128_990_000 + w * 900, 280_990_000 + (s + h) * 900, 1_128_990_000 + (w + h) * 900),
              st.integers(0, 20), st.integers(0, 20), st.integers(0, 20)),
)  # fmt: skip


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Iterator[County]:
    made = County(tmp_path_factory.mktemp("county"), Institution, Hazard)
    yield made
    made.database.close()


def state_of(number: int, turn: int, area: str, place: tuple[int, int] | None, gone: bool) -> State:
    said: dict[str, Any] = {"area": (area, []), "name": ("启航", [])}
    if place is not None:
        said["place"] = ({"lat": place[0], "lon": place[1], "src": "gnss"}, [])
    if gone:
        said["_deleted"] = ({"seen": [], "reason": "错录"}, [])
    state = State(f"i-{number:04}", Institution.kind)
    facts = {"by": ["p1"], "schema": 1, "hlc": f"{1_790_000_000_000 + turn:012x}-0000", "clock": {"wall": 0, "mono": 0, "boot": "b", "off": 0}}
    absorb(state, Entry(compose(id=f"c-{turn}", kind=Institution.kind, record=state.record, set=said, **facts)))
    return state


@contextmanager
def lived(county: County, deeds: list[Any]) -> Iterator[Connection]:
    """A connection on which institutions came, moved and went like that, for as long as the block lasts."""
    with county.database.engine.connect() as conn:
        transaction = conn.begin()
        for turn, (number, what, area, place) in enumerate(deeds):
            if what == "merged away":
                county.projections.forget(conn, [(Institution.kind, f"i-{number:04}")])
            else:
                county.projections.write(conn, [state_of(number, turn, area, place, what == "deleted")])
        yield conn
        transaction.rollback()


def there(county: County, conn: Connection, areas: list[str]) -> list[tuple[str, int, int]]:
    """(record, lat, lon) of what is in sight and on earth, told from the rows."""
    return [
        (row["record"], row["place_lat"], row["place_lon"])
        for row in county.projections.rows(conn, Institution.kind)
        if row["place_lat"] is not None and abs(row["place_lat"]) <= cells.NORTH and abs(row["place_lon"]) <= cells.EAST
        and any(row["scope"].startswith(area) for area in areas)
    ]  # fmt: skip


def expected(found: list[tuple[str, int, int]], box: Box, zoom: int) -> dict[tuple[int, int], list[tuple[str, int, int]]]:
    """What is in each cell that a box touches, said once more in Python."""
    high, wide = cells.size_of(zoom)

    def cell(lat: int, lon: int) -> tuple[int, int]:
        return (lat + cells.NORTH) // high, (lon + cells.EAST) // wide

    (top, left), (bottom, right) = cell(box.south, box.west), cell(box.north, box.east)
    by_cell: dict[tuple[int, int], list[tuple[str, int, int]]] = {}
    for one in found:
        row, col = cell(*one[1:])
        if top <= row <= bottom and left <= col <= right:
            by_cell.setdefault((row, col), []).append(one)
    return by_cell


def same(found: list[Cluster], by_cell: dict[tuple[int, int], list[tuple[str, int, int]]]) -> bool:
    """Whether an answer says what is in the cells: how many, the middle, the name of what is alone, and a box around it."""
    middles = {
        (len(some), (2 * sum(lat for _, lat, _ in some) + len(some)) // (2 * len(some)), (2 * sum(lon for *_, lon in some) + len(some)) // (2 * len(some))): some
        for some in by_cell.values()
    }
    for one in found:
        some = middles.pop((one.many, one.lat, one.lon))
        most = places.STACKED if len({one[1:] for one in some}) == 1 else places.TOLD
        assert one.records in (sorted(record for record, *_ in some) if len(some) <= most else [], [])
        assert all(one.box.south <= lat <= one.box.north and one.box.west <= lon <= one.box.east for _, lat, lon in some)
    return not middles


def look(county: County, conn: Connection, areas: list[str], box: Box, zoom: int, *tests: Where) -> Clusters:
    return places.clusters(conn, county.projections, Wanted(Institution.kind, areas, tests=tests), None, box, zoom)


@given(DEEDS)
@settings(max_examples=40, deadline=None)
def test_counts_that_were_kept_are_those_that_are_made_again(county: County, deeds: list[Any]) -> None:
    with lived(county, deeds) as conn:
        kept = county.projections.cells.counts(conn, Institution.kind)
        county.projections.cells.remake(conn, Institution.kind, county.projections.table(Institution.kind), "place_lat", "place_lon")
        assert county.projections.cells.counts(conn, Institution.kind) == kept
        assert all(row[4] > 0 for row in kept)


@given(DEEDS, SIGHTS, BOXES, st.integers(0, 19), st.booleans())
@settings(max_examples=80, deadline=None)
def test_the_map_says_what_is_in_each_cell_of_a_box(
    county: County, deeds: list[Any], areas: list[str], box: Box, zoom: int, crowded: bool
) -> None:
    with lived(county, deeds) as conn, pytest.MonkeyPatch.context() as patch:
        if crowded:  # the counts answer, and not the rows
            patch.setattr(places, "FEW", 0)
        answer, filtered = look(county, conn, areas, box, zoom), look(county, conn, areas, box, zoom, Where("filled", "name"))
        coarse = cells.frame_of(box, zoom, places.MOST).zoom if crowded and cells.known(areas) and zoom <= cells.LEVELS[0] else zoom
        assert answer.newest is None and same(answer.found, expected(there(county, conn, areas), box, coarse))
        assert filtered.newest is None and same(filtered.found, expected(there(county, conn, areas), box, zoom))


@given(DEEDS, SIGHTS)
@settings(max_examples=40, deadline=None)
def test_the_map_begins_with_a_box_around_all_that_is_in_sight(county: County, deeds: list[Any], areas: list[str]) -> None:
    with lived(county, deeds) as conn:
        found = places.bounds(conn, county.projections, Wanted(Institution.kind, areas), None)
        seen = there(county, conn, areas)
        assert (found is None) == (not seen)
        assert found is None or all(found.south <= lat <= found.north and found.west <= lon <= found.east for _, lat, lon in seen)


def test_a_condition_that_leaves_too_much_looks_at_the_newest_and_says_so(county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MOST_ROWS", 5)
    deeds = [(number, "is", "430102", (281_000_000 + number * 5_000, 1_129_000_000)) for number in range(12)]
    world = Box(-900_000_000, -1_800_000_000, 900_000_000, 1_800_000_000)
    with lived(county, deeds) as conn:
        answer = look(county, conn, [""], world, 19, Where("filled", "name"))
        assert answer.newest == 5 and sorted(record for one in answer.found for record in one.records) == [f"i-{number:04}" for number in range(7, 12)]
        assert sum(one.many for one in look(county, conn, [""], world, 19).found) == 12
        narrow = look(county, conn, [""], world, 19, Where("filled", "name"), Where("is", "status", "banned"))
        assert narrow == Clusters([], None)


def test_a_program_with_older_counts_makes_them_again_from_the_rows(county: County) -> None:
    with lived(county, [(1, "is", "430102", (281_000_000, 1_129_000_000))]) as conn:
        kept = county.projections.cells.counts(conn, Institution.kind)
        conn.exec_driver_sql("DELETE FROM meta WHERE key = 'cells'")
        conn.exec_driver_sql("DROP TABLE cells")
        assert not county.projections.current(conn)
        county.projections.renew(conn)
        assert county.projections.current(conn) and county.projections.cells.counts(conn, Institution.kind) == kept
