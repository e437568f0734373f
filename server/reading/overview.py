"""What waits, is overdue, or has not synced, for whoever asks; and the numbers behind the charts of the home page.

Everything is counted in what the reader sees. Nobody's work is counted by person.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from schemas.base import RecordSchema
from schemas.certificates import CHINA
from schemas.kinds.clue import Clue
from schemas.kinds.hazard import Hazard
from schemas.kinds.institution import STATUSES, Institution
from schemas.labels import Label
from server.access.policy import Sight
from server.exchange import tablets
from server.exchange.tablets import Summary
from server.instance import Instance
from server.merging import backlog
from server.moments import day
from server.storage import overviews
from server.storage.conflicts import Tally
from server.storage.database import Connection
from server.storage.lists import Lists, Wanted, Where
from server.storage.overviews import Scope

WEEKS = 12
WEEK_MS = 7 * 86_400_000
CLOSED = "verified"
CLUE_DAYS, MOST_PLACES = 30, 10
UNSAID = Label("未填或待决", "not said, or in conflict")


class Waiting(NamedTuple):
    """Records of a kind that wait for a step, or are past their day. `more`: at least so many."""

    kind: str
    label: Label
    status: str
    number: int
    more: bool
    late: bool


class Bar(NamedTuple):
    label: Label
    number: int


class Week(NamedTuple):
    """A week by its first day, `YYYY-MM-DD`: hazards found and struck off."""

    begins: str
    opened: int
    closed: int


STEPS: tuple[tuple[str, str, Label], ...] = (
    ("clue", "received", Label("线索待分派", "clues to assign")),
    ("clue", "verified", Label("线索待办结", "clues to close")),
    ("inspection", "submitted", Label("检查待审核", "inspections to review")),
    ("hazard", "rectified", Label("隐患待验收", "hazards to verify")),
    ("handover", "reported", Label("交办待审结", "hand-overs reported on")),
    ("officer_key", "proposed", Label("会签密钥待确认", "officers' keys to confirm")),
)
"""(kind, status, what it is called while it waits for a desk)"""


def steps(house: Instance, conn: Connection, sight: Sight) -> list[Waiting]:
    """What waits for a step that a desk takes; kinds of which nothing waits as well."""
    found = []
    for kind, status, label in STEPS:
        schema = house.registry[kind]
        number, more = _count(house, conn, sight, schema, Where("is", "status", status))
        found.append(Waiting(kind, label, status, number, more, False))
    return found


def overdue(house: Instance, conn: Connection, sight: Sight) -> list[Waiting]:
    """What is past its day, by kind."""
    today = day(house.now())
    before = (datetime.fromisoformat(today) - timedelta(days=1)).date().isoformat()
    found = []
    for schema in house.registry:
        due = schema.runs_out
        if due is not None and not schema.compartment and not schema.at_desk:
            tests = (Where("among", "status", sorted(due.running)), Where("to", due.field, before))
            number, more = _count(house, conn, sight, schema, *tests)
            label = Label(f"{schema.label.zh}逾期", f"{schema.label.en.lower()}s overdue")
            found.append(Waiting(schema.kind, label, "", number, more, True))
    return found


def undecided(house: Instance, conn: Connection, sight: Sight) -> dict[str, Tally]:
    """What waits for a decision at the merge desk, by the place where it is found; other departments decide nothing."""
    return backlog.tallies(house, conn, sight) if sight.departments is None else {}


def synced(house: Instance, conn: Connection, sight: Sight) -> Summary:
    """Which tablets have not synced, and what is still on them."""
    return tablets.summary(tablets.in_sight(house, conn, sight))


def institutions(house: Instance, conn: Connection, sight: Sight) -> list[Bar]:
    """The institutions in sight by their state, the most frequent first."""
    counted = overviews.by_value(conn, house.projections, Institution.kind, "status", _scope(sight))
    known = [Bar(label, counted.get(status, 0)) for status, label in STATUSES.items()]
    rest = sum(number for status, number in counted.items() if status not in STATUSES)
    bars = sorted((one for one in [*known, Bar(UNSAID, rest)] if one.number), key=lambda one: -one.number)
    return bars


def clues_by_place(house: Instance, conn: Connection, sight: Sight) -> list[tuple[str, int]]:
    """(division code, number) of the clues that came in during the last 30 days, by the division below what is seen, the
    most first."""
    prefixes = sight.prefixes()
    below = next((length for length in (4, 6, 9, 12) if length > max(map(len, prefixes), default=0)), 12)
    since = house.now() - CLUE_DAYS * 86_400_000
    counted = overviews.by_place(conn, house.projections, Clue.kind, below, since, _scope(sight))
    return sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:MOST_PLACES]


def hazards(house: Instance, conn: Connection, sight: Sight) -> list[Week]:
    """Hazards found and struck off in each of the last weeks, the present one last."""
    monday = _monday(house.now())
    first = monday - (WEEKS - 1) * WEEK_MS
    sees = _scope(sight)
    opened = overviews.made_since(conn, house.projections, Hazard.kind, first, WEEK_MS, WEEKS, sees)
    closed = overviews.stepped_since(conn, house.projections, Hazard.kind, CLOSED, first, WEEK_MS, sees)
    return [Week(day(first + n * WEEK_MS), opened.get(n, 0), closed.get(n, 0)) for n in range(WEEKS)]


def _count(
    house: Instance, conn: Connection, sight: Sight, schema: type[RecordSchema], *tests: Where
) -> tuple[int, bool]:
    wanted = Wanted(schema.kind, sight.prefixes(schema.compartment), sight.departments, tests)
    return tuple(Lists(house.projections).count(conn, wanted))  # type: ignore[return-value]


def _scope(sight: Sight) -> Scope:
    return Scope(sight.prefixes(), sight.departments)


def _monday(now: int) -> int:
    """The beginning of the week in China that a time is in."""
    local = datetime.fromtimestamp(now / 1000, CHINA)
    start = (local - timedelta(days=local.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    return int(start.timestamp() * 1000)
