"""The hybrid clock: order that survives wrong clocks, and wrong clocks that do not spread."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sync.core.clock import TOLERANCE_MS, effective, receive, tick, wall_ms
from sync.core.errors import InvalidField

NOON = 1_795_000_000_000
YEAR = 365 * 24 * 3600 * 1000

TIMES = st.integers(NOON - YEAR, NOON + YEAR)
STAMPS = st.builds(lambda ms, counter: f"{ms:012x}-{counter:04x}", TIMES, st.integers(0, 0xFFFF))


def stamp(ms: int, counter: int = 0) -> str:
    return f"{ms:012x}-{counter:04x}"


# ---- writing -----------------------------------------------------------------------------------------------


def test_a_first_stamp_is_the_time_in_hexadecimal() -> None:
    assert tick(None, 1_795_226_584_120) == "01a1fbd7c438-0000"  # 2026-11-21 02:03:04.120 UTC
    assert tick(None, 0) == "000000000000-0000"


def test_acts_in_one_millisecond_are_counted() -> None:
    assert tick(stamp(NOON), NOON) == stamp(NOON, 1)
    assert tick(stamp(NOON, 1), NOON) == stamp(NOON, 2)
    assert tick(stamp(NOON, 2), NOON + 1) == stamp(NOON + 1)


def test_a_clock_set_back_does_not_set_back_the_order() -> None:
    assert tick(stamp(NOON, 7), NOON - YEAR) == stamp(NOON, 8)


def test_a_full_counter_moves_on_to_the_next_millisecond() -> None:
    assert tick(stamp(NOON, 0xFFFF), NOON) == stamp(NOON + 1)
    assert receive(stamp(NOON), stamp(NOON, 0xFFFF), NOON, NOON) == stamp(NOON + 1)


@given(STAMPS, TIMES)
def test_a_stamp_sorts_after_the_one_before_and_not_before_its_time(last: str, now_ms: int) -> None:
    made = tick(last, now_ms)
    assert made > last
    assert wall_ms(made) >= now_ms


@pytest.mark.parametrize("now_ms", [-1, 2**48])
def test_a_time_that_no_stamp_can_hold_is_an_error(now_ms: int) -> None:
    with pytest.raises(InvalidField, match="check the clock"):
        tick(None, now_ms)


# ---- meeting others ----------------------------------------------------------------------------------------


def test_an_answer_sorts_after_its_question_although_its_clock_is_slow() -> None:
    question = stamp(NOON + 60_000, 3)
    seen = receive(stamp(NOON), question, NOON, NOON + 60_000)
    assert seen == stamp(NOON + 60_000, 4)
    assert tick(seen, NOON) > question


def test_our_own_time_counts_when_it_is_the_latest() -> None:
    assert receive(stamp(NOON), stamp(NOON, 5), NOON + 9, NOON) == stamp(NOON + 9)


@given(STAMPS | st.none(), STAMPS, TIMES)
@example(None, stamp(NOON), NOON)
def test_what_is_believed_sorts_before_what_comes_next(last: str | None, remote: str, now_ms: int) -> None:
    server_now_ms = max(wall_ms(remote), wall_ms(last or remote), now_ms)
    made = receive(last, remote, now_ms, server_now_ms)
    assert made > remote
    assert last is None or made > last


@given(STAMPS | st.none(), STAMPS, TIMES, TIMES)
def test_no_stamp_pulls_us_further_than_five_minutes_ahead_of_the_server(
    last: str | None, remote: str, now_ms: int, server_now_ms: int
) -> None:
    assert wall_ms(receive(last, remote, now_ms, server_now_ms)) <= server_now_ms + TOLERANCE_MS + 1


def test_a_stamp_from_a_wrong_year_is_taken_for_five_minutes_ahead() -> None:
    assert receive(stamp(NOON), stamp(NOON + YEAR), NOON, NOON) == stamp(NOON + TOLERANCE_MS)
    assert receive(stamp(NOON), stamp(NOON + YEAR), NOON, None) == stamp(NOON + TOLERANCE_MS)


def test_a_tablet_that_was_a_year_ahead_comes_back_when_it_meets_the_server() -> None:
    spoilt = tick(None, NOON + YEAR)
    assert receive(spoilt, stamp(NOON), NOON, NOON) == stamp(NOON + TOLERANCE_MS)


@given(STAMPS, STAMPS, TIMES)
def test_without_the_server_our_own_order_is_kept(last: str, remote: str, now_ms: int) -> None:
    assert receive(last, remote, now_ms, None) > last


# ---- receipt -----------------------------------------------------------------------------------------------


def test_a_stamp_up_to_five_minutes_ahead_is_believed() -> None:
    believed = stamp(NOON + TOLERANCE_MS, 9)
    assert effective(believed, NOON) == (believed, False)


def test_a_stamp_further_ahead_is_flagged_and_sorts_at_its_receipt() -> None:
    assert effective(stamp(NOON + TOLERANCE_MS + 1), NOON) == (stamp(NOON), True)


def test_a_stamp_from_long_ago_is_believed_for_it_was_written_offline() -> None:
    assert effective(stamp(NOON - YEAR), NOON) == (stamp(NOON - YEAR), False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "01a1ee1eee00",
        "01a1ee1eee00-000",
        "01a1ee1eee00-00000",
        "1a1ee1eee00-0000",
        "01A1EE1EEE00-0000",
        "01a1ee1eee00-0000\n",
        " 01a1ee1eee00-0000",
        "01a1ee1eee00_0000",
        "01a1ee1eee0x-0000",
        "０1a1ee1eee00-0000",
        "2026-11-22T04:30:45Z",
    ],
)
def test_text_in_any_other_form_is_no_stamp(text: str) -> None:
    with pytest.raises(InvalidField) as refusal:
        wall_ms(text)
    assert refusal.value.facts["field"] == "hlc"
    with pytest.raises(InvalidField):
        receive(stamp(NOON), text, NOON, NOON)
