"""How long to wait before trying again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.core.retry import wait_s


def test_the_window_doubles_from_two_seconds_to_ten_minutes() -> None:
    longest = [wait_s(failures, jitter=1.0) for failures in range(1, 12)]
    assert longest == [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]


@given(st.integers(1, 10**9), st.floats(0, 1))
def test_a_wait_is_any_moment_of_its_window(failures: int, jitter: float) -> None:
    assert wait_s(failures, jitter) == pytest.approx(jitter * wait_s(failures, 1.0))
    assert 0 <= wait_s(failures, jitter) <= 600


@given(st.integers(1, 100), st.floats(0, 1), st.floats(0, 3600))
def test_nobody_comes_back_before_the_server_wants(failures: int, jitter: float, wish: float) -> None:
    assert wish <= wait_s(failures, jitter, retry_after_s=wish) <= wish + 600


def test_tablets_that_were_told_the_same_do_not_come_back_together() -> None:
    assert wait_s(1, 0.0, retry_after_s=120) == 120
    assert wait_s(1, 0.5, retry_after_s=120) == 121


def test_a_senseless_wish_does_not_silence_a_tablet_for_a_day() -> None:
    assert wait_s(1, 0.0, retry_after_s=1e9) == 3600
    assert wait_s(1, 0.0, retry_after_s=-5) == 0


@pytest.mark.parametrize(("failures", "jitter"), [(0, 0.5), (1, -0.1), (1, 1.1), (1, float("nan"))])
def test_senseless_arguments_are_an_error(failures: int, jitter: float) -> None:
    with pytest.raises(ValueError):
        wait_s(failures, jitter)
