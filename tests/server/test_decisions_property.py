"""Whatever two people decide in which order, while tablets go on writing: no value disappears that its decider had not seen."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from server.merging import decisions
from server.merging.decisions import Choice
from server.storage import conflicts, journal, states
from sync.core.errors import Problem
from sync.core.fold import State
from tests.support.county import DESK, County, Replica

STEP = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 2)),
    st.tuples(st.just("look"), st.integers(0, 1)),
    st.tuples(st.just("decide"), st.integers(0, 1)),
    st.tuples(st.just("undo"), st.integers(0, 1)),
)


def _state(county: County, record: str) -> State:
    with county.database.read() as conn:
        return State.read(states.load(conn, [record])[record].bytes)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEP, max_size=14))
def test_no_candidate_disappears_undecided(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        county = County(Path(folder))
        tablets = [Replica(county, f"t{number}") for number in range(3)]
        record = "rec-1"
        tablets[0].push(tablets[0].change(record, {"area": "430102", "title": "0"}))
        written = set(_state(county, record).live["title"])
        seen: dict[int, tuple[str, frozenset[str]]] = {}  # decider → the ticket and the candidates on their open page
        decided: dict[str, frozenset[str]] = {}  # decision → what its decider had seen
        for number, (step, who) in enumerate(steps):
            if step == "write":  # a tablet that has seen nothing of the others
                before = set(_state(county, record).live["title"])
                tablets[who].push(tablets[who].change(record, {"title": str(number)}))
                written |= set(_state(county, record).live["title"]) - before
                continue
            with county.database.read() as conn:
                rows = conflicts.of_records(conn, [record])
            row = next((one for one in rows if one.path == "title"), None)
            if row is None:
                continue
            if step == "look":
                seen[who] = decisions.ticket(row), frozenset(row.candidates)
                continue
            try:
                if step == "decide" and who in seen:
                    ticket, candidates = seen[who]
                    with county.database.write() as conn:
                        choice = Choice(ticket, value=f"decided {number}")
                        outcome = decisions.settle_within(conn, county.desk, [choice], reason="r", by=[f"p{who}"], rights=DESK)
                    decided[outcome.id] = candidates
                    written.add(outcome.id)
                elif step == "undo":
                    decisions.undo(county.desk, row.id, reason="r", by=[f"p{who}"], rights=DESK)
            except Problem:
                pass  # a newcomer, a quicker colleague, nothing to take back: nothing was written
            live = set(_state(county, record).live["title"])
            with county.database.read() as conn:
                history = journal.history(conn, [record])
            withdrawn = {target for change, _, _ in history for target in change.targets}
            for id in written - live - withdrawn:
                replaced_by = [change.id for change, _, _ in history if "title" in change.set and id in change.parents("title")]
                assert replaced_by, f"{id} is gone and nobody decided on it"
                assert all(id in decided[one] for one in replaced_by if one in decided), "decided by who had not seen it"
