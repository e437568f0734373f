"""The screens begin with the session: the files for that are right by those who read them, as far as they are here."""

from __future__ import annotations

import configparser
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from field_client.cli import cli
from field_client.platform import autostart, browser
from field_client.platform.autostart import SYSTEMS, File, files
from tests.support.processes import Children, free_port

PROGRAM = ["/opt/patrolbook/bin/patrolbook", "ui", "--kiosk"]
ANALYZE = shutil.which("systemd-analyze")


@pytest.fixture
def children() -> Iterator[Children]:
    with Children() as made:
        yield made


def entry(file: File) -> configparser.SectionProxy:
    reader = configparser.RawConfigParser(delimiters="=", strict=True)
    reader.optionxform = str  # type: ignore[assignment, method-assign]
    reader.read_string(file.text)
    return reader["Desktop Entry"]


def words_of(value: str) -> list[str]:
    """What a desktop makes of `Exec`: the string of the file, the quoting of a shell, the field codes."""
    shell = ["/bin/sh", "-c", "printf '%s\\0' " + value.replace("\\\\", "\\")]
    said = subprocess.run(shell, capture_output=True, check=True, env={}).stdout.decode()
    return [word.replace("%%", "%") for word in said.split("\0")[:-1]]


def run(home: Path, *words: str) -> Result:
    env = {"HOME": str(home), "PATROLBOOK_HOME": str(home / "data"), "XDG_CONFIG_HOME": "", "XDG_DATA_HOME": "", "XDG_RUNTIME_DIR": ""}
    return CliRunner().invoke(cli, ["autostart", *words], env=env, prog_name="patrolbook")


@pytest.mark.skipif(ANALYZE is None, reason="no systemd on this machine")
@pytest.mark.parametrize("folder", ["plain", "with space", "50% & $HOME 'x'", "巡查"])
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path, folder: str) -> None:
    assert ANALYZE is not None
    program = tmp_path / folder / "patrolbook"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = files("linux", [str(program), "ui", "--home", str(tmp_path / folder)], str(tmp_path), {})[0]
    file = tmp_path / autostart.UNIT
    file.write_text(unit.text)
    done = subprocess.run([ANALYZE, "--user", "verify", str(file)], capture_output=True, text=True,
                          env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}, check=False)  # fmt: skip
    assert done.returncode == 0 and autostart.UNIT not in done.stderr, done.stderr


def test_the_desktop_starts_the_unit_and_the_icon_the_program() -> None:
    unit, begins, icon = files("linux", PROGRAM, "/home/li", {})
    assert [str(one.path) for one in (unit, begins, icon)] == [
        "/home/li/.config/systemd/user/patrolbook.service",
        "/home/li/.config/autostart/patrolbook.desktop",
        "/home/li/.local/share/applications/patrolbook.desktop",
    ]
    shell = words_of(entry(begins)["Exec"])
    assert shell[:2] == ["/bin/sh", "-c"] and shell[2].endswith("systemctl --user start patrolbook.service")
    assert subprocess.run(["/bin/sh", "-n", "-c", shell[2]], check=False).returncode == 0
    assert words_of(entry(icon)["Exec"]) == PROGRAM and Path(entry(icon)["Icon"]).is_file()
    assert entry(icon)["Name[zh_CN]"] == "巡查簿" and entry(icon)["Type"] == "Application"


@given(st.lists(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=12), min_size=1, max_size=4))
def test_a_desktop_reads_the_very_words_whatever_is_in_them(program: list[str]) -> None:
    assert words_of(entry(files("linux", program, "/home/li", {})[2])["Exec"]) == program


def test_folders_that_the_session_names_are_heeded() -> None:
    made = files("linux", PROGRAM, "/home/li", {"XDG_CONFIG_HOME": "/etc/li", "XDG_DATA_HOME": "/srv/li"})
    assert [str(one.path).startswith(place) for one, place in zip(made, ["/etc/li", "/etc/li", "/srv/li"], strict=True)] == [True] * 3


def test_windows_gets_a_script_that_it_reads_with_chinese_and_spaces() -> None:
    program = ["C:\\巡查 簿\\Scripts\\patrolbook.exe", "ui", "--kiosk"]
    first, second = files("windows", program, "C:\\Users\\li", {"APPDATA": "C:\\Users\\li\\AppData\\Roaming"})
    assert str(first.path).endswith("Start Menu\\Programs\\Startup\\Patrolbook.cmd") and first.text == second.text
    assert first.text.splitlines() == ["@chcp 65001 >nul", f'@start "" /min "{program[0]}" ui --kiosk'] and "\r\n" in first.text


def test_termux_gets_scripts_that_a_shell_reads(tmp_path: Path) -> None:
    for file in files("termux", ["/data/a b/patrolbook", "ui"], "/data/home", {}):
        assert file.run and shlex.split(file.text.splitlines()[1]) == ["exec", "/data/a b/patrolbook", "ui"]
        assert subprocess.run(["/bin/sh", "-n"], input=file.text, text=True, check=False).returncode == 0


def test_the_command_writes_prints_and_takes_away(tmp_path: Path) -> None:
    printed = run(tmp_path, "--print")
    assert printed.exit_code == 0 and "ExecStart=" in printed.output and not (tmp_path / ".config").exists()
    for _ in range(2):
        assert run(tmp_path).exit_code == 0
    there = sorted(str(one.relative_to(tmp_path)) for one in tmp_path.rglob("patrolbook.*"))
    assert there == [".config/autostart/patrolbook.desktop", ".config/systemd/user/patrolbook.service", ".local/share/applications/patrolbook.desktop"]
    unit = (tmp_path / there[1]).read_text()
    assert f"--home {tmp_path / 'data'}" in unit and unit in printed.output
    assert run(tmp_path, "--remove").exit_code == 0 and not list(tmp_path.rglob("patrolbook.*"))


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_files_of_another_system_are_printed_for_whoever_sets_it_up(tmp_path: Path, system: str) -> None:
    assert "ui --kiosk" in run(tmp_path, "--print", "--for", system).output
    assert run(tmp_path, "--for", system).exit_code == 2


def test_what_the_unit_starts_is_the_program(tmp_path: Path, children: Children) -> None:
    assert run(tmp_path).exit_code == 0
    unit = (tmp_path / ".config/systemd/user/patrolbook.service").read_text()
    words = shlex.split(next(line for line in unit.splitlines() if line.startswith("ExecStart=")).removeprefix("ExecStart="))
    assert words[0] == "/usr/bin/env" and Path(words[1]).is_file() and words[-1] == "--keep-window"
    started = children.start(*words[1:], "--no-browser", "--port", str(free_port()))
    started.wait_for("/start/")


def test_a_window_that_is_open_is_known_by_its_mark(tmp_path: Path) -> None:
    assert not browser.is_open(tmp_path)
    mark = tmp_path / "SingletonLock"
    for target, known in ((f"tablet-{os.getpid()}", True), ("tablet-999999999", False), ("tablet", False)):
        mark.symlink_to(target)
        assert browser.is_open(tmp_path) is known
        mark.unlink()
