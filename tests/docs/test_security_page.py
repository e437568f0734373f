"""The figures and commands of the security page are those of the program."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from field_client.cli import cli as tablet
from field_client.platform.keys import COVERT_IDLE_S, IDLE_S
from field_client.platform.sessions import LONGEST_S
from field_client.platform.wrapping import FREE_FAILURES, SHORTEST_PIN, USUAL, WAITS_S
from server.cli import main as server
from server.exchange import leases

PAGE = " ".join((Path(__file__).parents[2] / "docs" / "security.md").read_text().split())
COMMAND = re.compile(r"`(patrolbook(?:-server)?) ([a-z -]+)`")
GUESSES = re.compile(r"\*\*([\d.]+) guesses per second and core\*\*")
CORES = 64
ROWS = {  # how many PINs there are, and what the page says that all of them take, in seconds
    "6 digits | 72 minutes": (10**6, 72 * 60),
    "8 digits | 5 days": (10**8, 5 * 86_400),
    "6 small letters and digits | 110 days": (36**6, 110 * 86_400),
    "12 digits | 140 years": (10**12, 140 * 31_557_600),
    "8 small letters and digits | 390 years": (36**8, 390 * 31_557_600),
}


def test_the_cost_of_a_guess_is_the_one_that_is_used() -> None:
    assert f"{USUAL.memory_kib // 1024} MiB, {USUAL.passes} passes, {USUAL.lanes} lanes" in PAGE


def test_the_delays_and_the_end_of_a_session_are_those_of_the_program() -> None:
    assert (FREE_FAILURES, WAITS_S) == (5, (30, 120, 600, 3600)) == (leases.FREE_FAILURES, leases.WAITS_S)
    assert (IDLE_S, COVERT_IDLE_S, LONGEST_S) == (15 * 60, 2 * 60, 12 * 3600)
    assert (leases.USUAL_HOURS, leases.BEHIND_HOURS) == (72, 24) and "72 hours (a team 24)" in PAGE
    assert "five free, then 30 seconds, 2 minutes, 10 minutes, one hour each" in PAGE
    assert "fifteen minutes after their last use (two minutes for an undercover team), twelve hours after the PIN" in PAGE
    assert SHORTEST_PIN == 6  # the first row of the table


@pytest.mark.parametrize("row", ROWS)
def test_how_long_guessing_takes_follows_from_the_measured_rate(row: str) -> None:
    measured = GUESSES.search(PAGE)
    assert measured is not None and row in PAGE
    pins, told_s = ROWS[row]
    assert pins / (float(measured[1]) * CORES) == pytest.approx(told_s, rel=0.05)


@pytest.mark.parametrize(("program", "words"), sorted(set(COMMAND.findall(PAGE))))
def test_every_command_that_the_page_names_exists(program: str, words: str) -> None:
    here: click.Command = server if program == "patrolbook-server" else tablet
    for word in words.split():
        if isinstance(here, click.Group):
            assert word in here.commands, f"{program} {words}"
            here = here.commands[word]
