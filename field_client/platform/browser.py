"""Opening a page in a browser of this device, full screen where that is asked for and possible."""

from __future__ import annotations

import os
import shutil
import subprocess
import webbrowser
from collections.abc import Sequence
from pathlib import Path

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "msedge",
             "browser360-cn", "360browser", "qaxbrowser-safe", "uos-browser", "cefbrowser")  # fmt: skip
"""Browsers that know Chromium's options; the last five come with domestic distributions."""
_WINDOWS = (r"Microsoft\Edge\Application\msedge.exe", r"Google\Chrome\Application\chrome.exe")


def open_page(url: str, profile: Path, *, kiosk: bool) -> bool:
    """Show a page; whether a browser was found. In a kiosk it is the only one, without an address bar.

    `profile` is a folder for what this browser keeps: its own, so that no extension of another reads along.
    """
    found = _chromium()
    if found is not None:
        _start(command(found, url, profile, kiosk))
        return True
    if (android := shutil.which("termux-open-url")) is not None:
        _start([android, url])
        return True
    if (firefox := shutil.which("firefox")) is not None:
        _start([firefox, "--kiosk" if kiosk else "--new-window", url])
        return True
    return webbrowser.open(url)


def is_open(profile: Path) -> bool:
    """Whether a browser of Chromium's family has a window with this profile open: it marks it with its process."""
    if os.name == "nt":  # another mark there, and asking after a process would end it
        return False
    try:
        number = int(os.readlink(profile / "SingletonLock").rpartition("-")[2])
        os.kill(number, 0)
    except (OSError, ValueError, AttributeError):
        return False
    return True


def command(program: str, url: str, profile: Path, kiosk: bool) -> list[str]:
    """How a browser of Chromium's family is started."""
    shape = ["--kiosk", "--start-fullscreen"] if kiosk else ["--start-maximized"]
    quiet = ["--no-first-run", "--no-default-browser-check", "--disable-sync", "--disable-translate",
             "--disable-extensions", "--password-store=basic", "--overscroll-history-navigation=0"]  # fmt: skip
    return [program, f"--user-data-dir={profile}", f"--app={url}", *shape, *quiet]


def _chromium() -> str | None:
    for name in _CHROMIUM:
        if (path := shutil.which(name)) is not None:
            return path
    for base in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"):
        for name in _WINDOWS:
            program = Path(os.environ.get(base, "")) / name
            if os.environ.get(base) and program.exists():
                return str(program)
    return None


def _start(arguments: Sequence[str]) -> None:
    subprocess.Popen(
        list(arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
