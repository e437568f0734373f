"""`patrolbook ui` as people start it: one for each home, found by the second start, ended by SIGTERM, and up again after a kill."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from field_client.platform import browser
from tests.support.processes import Children
from tests.support.screens import Program


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    with Children() as children:
        yield Program(children, tmp_path / "home")


def test_one_program_for_each_home_which_ends_when_told(program: Program) -> None:
    first = program.start()
    child = program.child
    assert child is not None
    second = program.start()  # on the same home: opens the first one's screens and ends
    assert program.child is not None and program.child.finish() == 0
    assert second != first and second.startswith(f"{program.origin}/start/")
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(second, timeout=60).status_code == 200
        child.process.send_signal(signal.SIGTERM)
        assert child.finish() == 0 and "界面已结束" in child.lines[-1]
        assert not (program.home / "ui.json").exists()


def test_after_a_kill_it_starts_again_and_the_same_window_goes_on(program: Program) -> None:
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(program.start(), timeout=60).status_code == 200
        program.kill()
        program.start()
        assert session.get(f"{program.origin}/setup", timeout=60).status_code == 200


def test_a_kiosk_has_a_profile_of_its_own_and_no_address_bar(tmp_path: Path) -> None:
    said = browser.command("chromium", "http://127.0.0.1:1/start/x", tmp_path, True)
    assert f"--user-data-dir={tmp_path}" in said and "--app=http://127.0.0.1:1/start/x" in said and "--kiosk" in said
    assert "--kiosk" not in browser.command("chromium", "x", tmp_path, False)
