"""What makes the screens start with the session, and an icon to tap: the files that each system reads for that.

    linux     a unit of systemd for the user, which starts the program again after a crash; an entry of the desktop's own autostart that
              starts the unit (GNOME, KDE, Xfce, UKUI and DDE read it; not all of them reach graphical-session.target); a menu entry
    windows   the same command in the startup folder and in the Start menu
    termux    scripts for Termux:Boot and Termux:Widget

`files` says what lies where and is pure; nobody needs rights beyond their own account.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Literal, NamedTuple, get_args

import screens
from field_client.platform.files import make_folder, replace_file
from schemas.labels import Label
from sync.core.errors import Refused

System = Literal["linux", "windows", "termux"]
SYSTEMS: tuple[System, ...] = get_args(System)
UNIT = "patrolbook.service"
NAME = Label("巡查簿", "Patrolbook")
ICON = Path(screens.__file__).with_name("static") / "mark.svg"
_SHOWN = "DISPLAY WAYLAND_DISPLAY XAUTHORITY XDG_CURRENT_DESKTOP XDG_SESSION_TYPE"
"""What a unit needs to know of the session to open a window in it."""


class File(NamedTuple):
    """A file to be written, in UTF-8. `run`: it is a program."""

    path: PurePath
    text: str
    run: bool = False


def files(system: System, program: Sequence[str], user: str, environ: Mapping[str, str]) -> list[File]:
    """The files that start a program with the session. `user`: the home folder of the account."""
    if system == "windows":
        return _windows(program, user, environ)
    home = PurePosixPath(user)
    if system == "termux":
        script = f"#!/data/data/com.termux/files/usr/bin/sh\nexec {shlex.join(program)}\n"
        return [File(home / folder / "patrolbook", script, run=True) for folder in (".termux/boot", ".shortcuts")]
    config = PurePosixPath(environ.get("XDG_CONFIG_HOME") or home / ".config")
    data = PurePosixPath(environ.get("XDG_DATA_HOME") or home / ".local/share")
    start = f"systemctl --user import-environment {_SHOWN}; exec systemctl --user start {UNIT}"
    return [
        File(config / "systemd/user" / UNIT, _unit([*program, "--keep-window"])),
        File(config / "autostart/patrolbook.desktop", _entry(["/bin/sh", "-c", start])),
        File(data / "applications/patrolbook.desktop", _entry(program)),
    ]


def _unit(program: Sequence[str]) -> str:
    return f"""\
[Unit]
Description=Patrolbook, the screens of an inspector's tablet
After=graphical-session.target
PartOf=graphical-session.target

[Service]
ExecStart=/usr/bin/env {" ".join(map(_for_unit, program))}
Restart=on-failure
RestartSec=2
# The browser is a child of the program: after a crash its window stays and goes on by itself.
KillMode=process
"""


def _for_unit(word: str) -> str:
    """A word of `ExecStart`; the program is one of `env`'s words, for systemd wants no odd signs in the path of its own."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if escaped != word or not word or any(sign.isspace() or sign in "'\";" for sign in word) else word


def _entry(program: Sequence[str]) -> str:
    return f"""\
[Desktop Entry]
Type=Application
Name={NAME.en}
Name[zh_CN]={NAME.zh}
Exec={" ".join(map(_for_entry, program))}
Icon={ICON}
Terminal=false
Categories=Office;
"""


def _for_entry(word: str) -> str:
    """A word of `Exec` as the Desktop Entry Specification quotes it: for the command, then for the string of the file."""
    quoted = "".join(f"\\{sign}" if sign in '"`$\\' else sign for sign in word).replace("%", "%%")
    plain = word and not any(sign.isspace() or sign in "\"'\\><~|&;$*?#()`%" for sign in word)
    return word if plain else f'"{quoted}"'.replace("\\", "\\\\")


def _windows(program: Sequence[str], user: str, environ: Mapping[str, str]) -> list[File]:
    roaming = PureWindowsPath(environ.get("APPDATA") or PureWindowsPath(user, "AppData", "Roaming"))
    programs = roaming / "Microsoft/Windows/Start Menu/Programs"
    words = " ".join(f'"{word}"' if " " in word or "\\" in word or "&" in word else word for word in program)
    script = f'@chcp 65001 >nul\r\n@start "" /min {words.replace("%", "%%")}\r\n'
    return [File(folder / f"{NAME.en}.cmd", script) for folder in (programs / "Startup", programs)]


# --- On this device ----------------------------------------------------------------------------------------------


def this_system() -> System:
    """What this device is. Raises Refused where it is none of those that are prepared for."""
    if os.name == "nt":
        return "windows"
    if "TERMUX_VERSION" in os.environ:
        return "termux"
    if sys.platform.startswith("linux"):
        return "linux"
    raise Refused(detail=Label(f"没有为 {sys.platform} 准备", f"nothing is prepared for {sys.platform}"))


def this_program() -> list[str]:
    """How this program is called by somebody who has not set its environment up."""
    own = Path(sys.executable).with_name("patrolbook.exe" if os.name == "nt" else "patrolbook")
    return [str(own)] if own.exists() else [sys.executable, "-m", "field_client"]


def write(made: Sequence[File]) -> None:
    """Put them in their places; what lay there is replaced. Raises Refused where a place cannot be written to."""
    for file in made:
        path = Path(file.path)
        try:
            make_folder(path.parent)
            replace_file(path, file.text.encode())
            path.chmod(0o755 if file.run else 0o644)
        except OSError as error:
            raise Refused(detail=Label(f"不能写入 {path}", f"{path} cannot be written")) from error
    _told()


def remove(made: Sequence[File]) -> list[Path]:
    """Take away those that are there, and say which. What runs goes on until the session ends."""
    there = [Path(file.path) for file in made if Path(file.path).exists()]
    for path in there:
        path.unlink()
    _told()
    return there


def _told() -> None:
    """Let a running systemd read the unit anew; without one there is nothing to tell."""
    if (program := shutil.which("systemctl")) is not None:
        subprocess.run([program, "--user", "daemon-reload"], capture_output=True, timeout=20, check=False)
