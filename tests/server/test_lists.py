"""Lists of the console: every record exactly once, in order, whatever is filtered; nothing out of sight, ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.kinds.hazard import GRADES, Hazard
from schemas.kinds.institution import Institution
from server.storage import lists
from server.storage.lists import Count, Lists, Mark, Wanted, Where
from sync.core.change import compose
from sync.core.fold import Entry, State, absorb
from tests.support.county import County

AREAS = ("430102", "430102001", "430102001003", "43010", "430103002001", "4301", "4302", "43010200")
STATUSES = ("open", "rectified", "verified", None)
DAYS = tuple(f"2026-11-{day:02}" for day in range(20, 26))

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "area": st.sampled_from(AREAS) | st.none(),
            "status": st.sampled_from(STATUSES),
            "deadline": st.sampled_from(DAYS) | st.none(),
            "grade": st.sampled_from([*GRADES, None]),
            "description": st.sampled_from(["消防通道堵塞", "无证办学", "预收费超期", ""]) | st.none(),
            "funds": st.integers(0, 5) | st.none(),
            "twice": st.booleans(),
            "gone": st.integers(0, 9).map(lambda number: number == 0),
        }
    ),
    max_size=40,
)
PREFIXES = st.lists(st.sampled_from(("", "43", "4301", "430102", "430102001", "430103", "99")), max_size=3, unique=True)
TESTS = st.lists(
    st.one_of(
        st.tuples(st.just("is"), st.just("status"), st.sampled_from(STATUSES[:3])),
        st.tuples(st.just("among"), st.just("grade"), st.lists(st.sampled_from([*GRADES, None]), max_size=2)),
        st.tuples(st.sampled_from(("from", "to")), st.just("deadline"), st.sampled_from(DAYS)),
        st.tuples(st.sampled_from(("empty", "filled")), st.sampled_from(("deadline", "funds", "status"))),
        st.tuples(st.just("holds"), st.just("description"), st.sampled_from(("消防", "证", "预"))),
        st.tuples(st.just("below"), st.just("area"), st.sampled_from(("4301", "430102"))),
        st.tuples(st.just("from"), st.just("funds"), st.integers(0, 5)),
        st.tuples(st.just("contested")),
    ).map(lambda said: Where(*said)),
    max_size=3,
)
ORDERS = st.sampled_from(("record", "status", "deadline", "grade", "newest", "description", "funds", "area"))


@contextmanager
def few(most: int) -> Iterator[None]:
    """As if this were the number of rows that may be gathered."""
    before, lists.FEW = lists.FEW, most
    try:
        yield
    finally:
        lists.FEW = before


def state_of(number: int, values: dict[str, Any]) -> State:
    """A hazard with these values, one of them disputed where `twice` says so."""
    said = {path: (value, []) for path, value in values.items() if path not in ("twice", "gone") and value is not None}
    said["item"] = ("FIR-05", [])
    record, state = f"h-{number:04}", State(f"h-{number:04}", Hazard.kind)
    stamp = f"{1_790_000_000_000 + number % 7:012x}-0000"
    facts = {"by": ["p1"], "schema": 1, "hlc": stamp, "clock": {"wall": 0, "mono": 0, "boot": "b", "off": 0}}
    first = compose(id=f"c-{number}", kind=Hazard.kind, record=record, set=said, **facts)
    absorb(state, Entry(first))
    if values["twice"] and values["grade"] is not None:
        other = {"grade": (next(one for one in GRADES if one != values["grade"]), [])}
        absorb(state, Entry(compose(id=f"d-{number}", kind=Hazard.kind, record=record, set=other, **facts)))
    if values["gone"]:
        deletion = {"_deleted": ({"seen": [f"c-{number}", f"d-{number}"], "reason": "错录"}, [])}
        absorb(state, Entry(compose(id=f"e-{number}", kind=Hazard.kind, record=record, set=deletion, **facts)))
    return state


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Iterator[County]:
    made = County(tmp_path_factory.mktemp("county"), Hazard, Institution)
    yield made
    made.database.close()


@contextmanager
def holding(county: County, rows: list[dict[str, Any]]) -> Iterator[Any]:
    """A connection on which these hazards are there, for as long as the block lasts."""
    from server.storage.conflicts import keep
    from sync.core.fold import conflicts_of

    merged = [state_of(number, values) for number, values in enumerate(rows)]
    with county.database.engine.connect() as conn:
        transaction = conn.begin()
        county.projections.write(conn, merged)
        found = [(one, Hazard.kind, "area:x", 0) for state in merged for one in conflicts_of(state, Hazard.merge_of)]
        keep(conn, found, [state.record for state in merged], {}, 0)
        yield conn
        transaction.rollback()


def fits(row: dict[str, Any], test: Where) -> bool:
    """What a condition means, said once more in Python."""
    value = row.get(test.field)
    match test.does:
        case "empty":
            return value is None
        case "filled":
            return value is not None
        case "contested":
            return row["conflicted"] != "[]"
    if value is None:
        return test.does == "among" and None in test.value
    return {
        "is": lambda: value == test.value,
        "among": lambda: value in test.value,
        "from": lambda: value >= test.value,
        "to": lambda: value <= test.value,
        "holds": lambda: test.value in value,
        "below": lambda: value.startswith(test.value),
    }[test.does]()


def expected(conn: Any, county: County, wanted: Wanted) -> list[str]:
    """The records of a list in order, by reading all of them."""
    rows = [
        row
        for row in county.projections.rows(conn, wanted.kind)
        if any(row["scope"].startswith(area) for area in wanted.areas)
        and (wanted.among is None or row["record"] in wanted.among)
        and all(fits(row, one) for one in wanted.tests)
    ]
    filled = [row for row in rows if row[wanted.order] is not None]
    filled.sort(key=lambda row: (row[wanted.order], row["record"]), reverse=wanted.falling)
    empty = [row for row in rows if row[wanted.order] is None]
    empty.sort(key=lambda row: str(row["record"]), reverse=wanted.falling)
    return [row["record"] for row in [*filled, *empty]]


@settings(max_examples=80, deadline=None)
@given(
    rows=ROWS, areas=PREFIXES, tests=TESTS, order=ORDERS, falling=st.booleans(), size=st.integers(1, 7),
    most=st.sampled_from((0, 3, 10_000)), among=st.none() | st.sets(st.integers(0, 40).map(lambda n: f"h-{n:04}")),
)  # fmt: skip
def test_pages_yield_each_record_once_in_order_and_nothing_out_of_sight(
    county: County, rows: list[dict[str, Any]], areas: list[str], tests: list[Where], order: str, falling: bool,
    size: int, most: int, among: set[str] | None,
) -> None:  # fmt: skip
    with holding(county, rows) as conn, few(most):
        wanted = Wanted(Hazard.kind, areas, tests=tests, among=among, order=order, falling=falling)
        reader = Lists(county.projections)
        should = expected(conn, county, wanted)
        forwards: list[str] = []
        page = reader.page(conn, wanted, size)
        assert page.before is None
        while True:
            assert len(page.rows) <= size
            forwards += [row["record"] for row in page.rows]
            if page.after is None:
                break
            page = reader.page(conn, wanted, size, after=Mark.read(page.after.token()))
        assert forwards == should
        backwards: list[str] = []
        page = reader.last(conn, wanted, size)
        assert page.after is None
        while True:
            backwards = [*(row["record"] for row in page.rows), *backwards]
            if page.before is None:
                break
            page = reader.page(conn, wanted, size, before=Mark.read(page.before.token()))
            assert page.after is not None
        assert backwards == should
        assert reader.count(conn, wanted, 10_000) == Count(len(should), False)
        assert [row["record"] for row in reader.every(conn, wanted, size)] == should


def test_a_count_stops_at_its_bound(county: County) -> None:
    row = {"area": "430102", "status": "open", "deadline": None, "grade": None, "description": "x", "funds": 1}
    with holding(county, [row | {"twice": False, "gone": False}] * 30) as conn:
        wanted = Wanted(Hazard.kind, ("4301",))
        assert Lists(county.projections).count(conn, wanted, 10) == Count(10, True)
        assert Lists(county.projections).count(conn, wanted, 30) == Count(30, False)


def test_departments_see_what_names_them_only_and_nothing_of_kinds_that_name_none(county: County) -> None:
    merged = []
    for number, codes in enumerate((["fire"], ["fire", "police"], ["police"], [])):
        state = State(f"i-{number}", Institution.kind)
        said: dict[str, tuple[Any, list[str]]] = {"name": (f"机构 {number}", []), "area": ("430102", [])}
        said |= {f"departments/{code}": (True, []) for code in codes}
        facts = {"by": ["p"], "schema": 1, "hlc": "0" * 12 + "-0000", "clock": {"wall": 0, "mono": 0, "boot": "b", "off": 0}}
        absorb(state, Entry(compose(id=f"i{number}", kind=Institution.kind, record=f"i-{number}", set=said, **facts)))
        merged.append(state)
    with holding(county, []) as conn:
        county.projections.write(conn, merged)
        reader = Lists(county.projections)

        def seen(departments: frozenset[str] | None, kind: str = Institution.kind) -> list[str]:
            wanted = Wanted(kind, ("",), departments=departments, falling=False)
            return [row["record"] for row in reader.page(conn, wanted).rows]

        assert seen(frozenset({"fire"})) == ["i-0", "i-1"]
        assert seen(frozenset({"fire", "police"})) == ["i-0", "i-1", "i-2"]
        assert seen(frozenset()) == [] == seen(frozenset({"fir"}))
        assert seen(None) == ["i-0", "i-1", "i-2", "i-3"]
        assert seen(frozenset({"fire"}), Hazard.kind) == []


@pytest.mark.parametrize("token", ["", "x", "bm90IGpzb24", "W10", "WzEsMl0", "eyJhIjoxfQ", "W1tdLCJhIl0", "会"])
def test_a_mark_that_is_none_is_not_followed(token: str) -> None:
    assert Mark.read(token) is None
