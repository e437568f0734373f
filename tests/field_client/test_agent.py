"""Background rounds: when the next one comes, and when there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from field_client.exchange.agent import IDLE_S, LOOK_S, ODDITY_S, Agent, plan
from sync.core import retry
from sync.core.errors import DeviceRevoked, LogInconsistent, Overloaded, Problem, Unavailable, UntrustedNote
from sync.replicator import RoundReport
from tests.support.lines import AREA, joined
from tests.support.server import wsgi_server


class Tablet:
    """Rounds that end as told, and an outbox that somebody writes into at a given second."""

    def __init__(self, *ends: Problem | None, writes_at: int = 10**9) -> None:
        self.ends = list(ends)
        self.asked: list[str] = []
        self.slept = 0.0
        self.writes_at = writes_at

    def sync(self, progress: Any = None, until: Any = "everything", stop: Any = None) -> RoundReport:
        self.asked.append(until)
        return RoundReport(problem=self.ends.pop(0))

    def queued(self) -> int:
        return int(self.slept >= self.writes_at)

    def sleep(self, seconds: float) -> None:
        assert seconds <= LOOK_S
        self.slept += seconds

    def run(self, metered: bool = False, stop: Callable[[], bool] | None = None) -> RoundReport | None:
        agent = Agent(self, sleep=self.sleep, now=lambda: self.slept, chance=lambda: 0.5, stop=stop or (lambda: not self.ends),
                      metered=lambda: metered)  # fmt: skip
        return agent.run()


def test_an_idle_tablet_looks_again_after_about_a_minute() -> None:
    assert IDLE_S / 2 <= plan(None, 0, 0.0).wait_s < plan(None, 0, 1.0).wait_s <= IDLE_S * 1.5
    tablet = Tablet(None, None)
    tablet.run(stop=lambda: len(tablet.asked) == 2)
    assert tablet.slept == pytest.approx(IDLE_S)


def test_a_change_ends_the_wait_at_once() -> None:
    tablet = Tablet(None, None, writes_at=5)
    tablet.run(stop=lambda: len(tablet.asked) == 2)
    assert tablet.slept == 5


def test_a_tablet_to_which_nothing_happens_asks_less_and_less_often() -> None:
    tablet = Tablet(*[None] * 8)
    tablet.run(stop=lambda: len(tablet.asked) == 8)
    assert tablet.slept == pytest.approx(IDLE_S * (1 + 2 + 3 + 4 + 5 + 5 + 5))


def test_what_comes_or_goes_brings_the_next_round_back_to_a_minute() -> None:
    reports = [RoundReport(), RoundReport(), RoundReport(pulled=1), RoundReport()]
    tablet = Tablet()
    tablet.sync = lambda *_: reports.pop(0)  # type: ignore[method-assign]
    Agent(tablet, sleep=tablet.sleep, now=lambda: tablet.slept, chance=lambda: 0.5, stop=lambda: not reports).run()
    assert tablet.slept == pytest.approx(IDLE_S * (1 + 2 + 1))


def test_a_waiting_tablet_wakes_no_more_often_than_it_was_told() -> None:
    wakes: list[float] = []

    def sleep(seconds: float) -> None:
        wakes.append(seconds)
        tablet.slept += seconds

    tablet = Tablet(None, None)
    Agent(tablet, sleep=sleep, now=lambda: tablet.slept, chance=lambda: 0.5, stop=lambda: len(tablet.asked) == 2, look_s=30).run()
    assert wakes == [30, 30]


def test_a_sleep_that_ends_early_without_anything_written_brings_no_round_forward() -> None:
    tablet = Tablet(None, None)

    def sleep(seconds: float) -> None:
        tablet.slept += 0.5

    Agent(tablet, sleep=sleep, now=lambda: tablet.slept, chance=lambda: 0.5, stop=lambda: len(tablet.asked) == 2).run()
    assert tablet.slept == pytest.approx(IDLE_S)


def test_failures_in_a_row_wait_longer_and_writing_does_not_shorten_that() -> None:
    waits = [plan(Unavailable(detail="x"), failures, 1.0) for failures in (1, 2, 3, 20)]
    assert [one.wait_s for one in waits] == [2.0, 4.0, 8.0, retry.CAP_S]
    assert not any(one.until_written for one in waits)


def test_a_busy_server_is_not_asked_before_the_time_that_it_named() -> None:
    assert plan(Overloaded(retry_after=120), 1, 0.0).wait_s == 120


def test_a_success_forgets_the_failures_before_it() -> None:
    cut = Unavailable(detail="x")
    tablet = Tablet(cut, None, cut, None)
    tablet.run(stop=lambda: len(tablet.asked) == 4)
    assert tablet.slept == pytest.approx(1 + IDLE_S + 1, abs=0.1)


def test_a_refusal_is_not_asked_about_every_minute() -> None:
    assert plan(DeviceRevoked(), 1, 0.0).wait_s >= ODDITY_S


@pytest.mark.parametrize("problem", [LogInconsistent(), UntrustedNote(detail="x")])
def test_a_contradicting_log_stops_the_agent(problem: Problem) -> None:
    tablet = Tablet(problem, None)
    report = tablet.run()
    assert report is not None and report.problem is problem and len(tablet.asked) == 1


def test_large_files_wait_for_a_line_that_is_not_metered() -> None:
    metered, free = Tablet(None), Tablet(None)
    metered.run(metered=True)
    free.run()
    assert metered.asked == ["previews"] and free.asked == ["everything"]


def test_an_agent_that_is_stopped_before_it_began_does_nothing() -> None:
    tablet = Tablet(None)
    assert tablet.run(stop=lambda: True) is None and not tablet.asked


def test_the_agent_brings_home_what_a_real_tablet_writes(tmp_path: Path) -> None:
    server = wsgi_server(tmp_path / "server")
    tablet = joined(server, tmp_path / "t")
    reports: list[RoundReport] = []

    def sleep(seconds: float) -> None:
        if len(reports) == 1 and not tablet.queued():
            tablet.write("institution", None, {"name": "启航", "area": AREA})

    Agent(tablet, sleep=sleep, now=lambda: 0.0, chance=lambda: 0.5, stop=lambda: len(reports) == 2, tell=reports.append).run()
    assert [report.pushed["accepted"] for report in reports] == [0, 1]
    tablet.close()
    server.instance.close()
