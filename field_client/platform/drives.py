"""Places where a file may be put to be carried away: USB sticks and cards as this system names them."""

from __future__ import annotations

import os
from pathlib import Path

from schemas.labels import Label
from sync.core.errors import Refused

_UNIX = ("/media", "/run/media", "/mnt", "/Volumes")
_TERMUX = ("storage/external-1", "storage/external-2", "storage/downloads")


def drives() -> list[Path]:
    """Folders that can be written to, likeliest first; empty where none is plugged in."""
    found: list[Path] = []
    if os.name == "nt":
        found += [Path(f"{letter}:\\") for letter in "DEFGHIJKLMNOPQRSTUVWXYZ"]
    for base in map(Path, _UNIX):
        found += [place for user in _folders(base) for place in [user, *_folders(user)] if os.path.ismount(place)]
    found += [Path.home() / name for name in _TERMUX]
    return [place for place in dict.fromkeys(found) if place.is_dir() and os.access(place, os.W_OK)]


def folder_of(text: str) -> Path:
    """A folder that somebody chose or typed, in full. Raises Refused where there is none."""
    folder = Path(text)
    if not text or not folder.is_absolute() or not folder.is_dir():
        raise Refused(detail=Label(f"没有这个文件夹：{text}", f"there is no such folder: {text}"))
    return folder


def _folders(base: Path) -> list[Path]:
    try:
        return sorted(one for one in base.iterdir() if one.is_dir())
    except OSError:
        return []
