"""Pages of a pull as bytes: either whole and exactly what was sent, or no answer at all."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.core.errors import Unavailable
from sync.core.fold import Act, State, checksum, conflicts_of
from sync.peer import Batch, Page, Run, is_special

HEAD = orjson.dumps({"head": {"epoch": "e", "time": 1, "buckets": {"b": 3}, "granted": ["b"], "revoked": []}})
END = orjson.dumps({"end": {"cursors": {"b": "3.0"}, "more": False, "sums": {"b": [1, 7]}}})

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
paths = st.sampled_from(["title", "parked", "put", "_deleted", "answers/FIR-05", "id"])


def put(state: State, at: int = 1) -> bytes:
    return b'{"b":"b","q":%d,"put":%s}' % (at, state.dump())


@st.composite
def states(draw: st.DrawFn) -> State:
    state = State(draw(st.text("abc-", min_size=1, max_size=6)), "visit")
    state.rev = draw(st.integers(1, 9))
    for path in draw(st.sets(paths, max_size=4)):
        for change in draw(st.sets(st.sampled_from("xyz"), min_size=1)):
            state.live.setdefault(path, {})[change] = draw(values)
            state.acts[change] = Act("000000000001-0000", (draw(st.text(max_size=4)),), "staff")
    return state


@given(st.lists(states(), max_size=4))
def test_a_page_holds_the_very_bytes_that_the_server_keeps(sent: list[State]) -> None:
    page = Page.read([HEAD, *map(put, sent), END])
    assert [row[:5] for row in page.puts.get("b", ())] == [
        (one.record, "visit", one.rev, one.dump(), checksum(one.dump())) for one in sent
    ]
    assert page.records == len(sent)


@given(states())
def test_a_state_with_anything_for_a_person_is_never_taken_for_a_plain_one(state: State) -> None:
    shapes: dict[str, Any] = {"_deleted": {"seen": [], "reason": "r"}}
    for change in state.live.get("_deleted", {}):
        state.live["_deleted"][change] = shapes["_deleted"]
    if conflicts_of(state, lambda path: "scalar") or "_deleted" in state.live:
        assert is_special(orjson.loads(state.dump()))


def test_a_plain_state_is_taken_for_one() -> None:
    state = State("r", "visit")
    state.live = {"title": {"x": "文字"}, "answers/FIR-05": {"y": {"answer": "no", "measured": "71"}}}
    state.acts = {id: Act("000000000001-0000", ("p", "q"), "staff") for id in "xy"}
    assert not is_special(orjson.loads(state.dump()))


@given(st.lists(st.binary(max_size=40) | st.sampled_from([HEAD, END, put(State("r", "visit"))]), max_size=5))
def test_whatever_arrives_is_a_page_or_no_answer(lines: list[bytes]) -> None:
    try:
        page = Page.read(lines)
    except Unavailable:
        return
    assert HEAD in lines and END in lines and page.epoch == "e"


@given(values, values, values)
def test_answers_of_another_shape_are_no_answer(head: Any, put: Any, end: Any) -> None:
    lines = [{"head": head}, {"b": "b", "q": 1, "put": put}, {"end": end}]
    with pytest.raises(Unavailable):
        Page.read(map(orjson.dumps, lines))


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_page_that_was_cut_is_no_answer(cut: int) -> None:
    body = b"\n".join([HEAD, put(State("r", "visit")), END])
    with pytest.raises(Unavailable):
        Page.read(body[:-cut].splitlines())


def test_a_line_with_something_behind_it_is_no_answer() -> None:
    with pytest.raises(Unavailable):
        Page.read([HEAD, put(State("r", "visit")) + b" ", END])


def test_a_batch_is_an_envelope_and_the_exact_lines() -> None:
    batch = Batch("e", (Run("r", 4, "0" * 64, (b"\1" * 64, b"\2" * 64)),), (b'{"a":1}', b'{"b":2}'), ("x", "y"))
    envelope, *lines = batch.body().splitlines()
    assert orjson.loads(envelope)["runs"][0]["n"] == 4 and lines == [b'{"a":1}', b'{"b":2}']
    assert batch.size == 14
