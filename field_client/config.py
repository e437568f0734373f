"""Settings of the tablet. Only the edge (the command line, the touch screen's start-up) reads the environment.

PATROLBOOK_HOME         where the tablet's data lies
PATROLBOOK_LANG         zh or en, over what `patrolbook language` chose
PATROLBOOK_PIN          the PIN, for scripts; without it a person is asked
PATROLBOOK_OFFICER_PIN  an officer's own PIN, for scripts
PATROLBOOK_PASSPHRASE   the passphrase of a courier, for scripts
PATROLBOOK_GUARD        no: no program of its own ends a forgotten session; the next command does
PATROLBOOK_WATERMARK    no: photos of inspections get no watermarked copy
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from field_client.platform.files import replace_file
from schemas.labels import Language

HOME = "PATROLBOOK_HOME"
LANGUAGE = "PATROLBOOK_LANG"
PIN = "PATROLBOOK_PIN"
OFFICER_PIN = "PATROLBOOK_OFFICER_PIN"
PASSPHRASE = "PATROLBOOK_PASSPHRASE"
WATERMARK = "PATROLBOOK_WATERMARK"
GUARD = "PATROLBOOK_GUARD"
RUNTIME = "XDG_RUNTIME_DIR"

NO = ("no", "0", "false", "off")
LANGUAGES: tuple[Language, ...] = ("zh", "en")


@dataclass(frozen=True)
class Settings:
    """What the outside says. `runtime` is a folder that a restart of the device empties, where there is one."""

    home: Path
    language: Language | None = None
    pin: str | None = None
    officer_pin: str | None = None
    passphrase: str | None = None
    runtime: Path | None = None
    watermark: bool = True
    guard: bool = True

    @property
    def language_file(self) -> Path:
        """Beside the store and not in it: a locked tablet speaks the right language too."""
        return self.home / "language"

    def spoken(self) -> Language:
        """The language to speak: what the outside says, else what was chosen on this tablet, else Chinese."""
        if self.language is not None:
            return self.language
        try:
            return _language(self.language_file.read_text("ascii").strip()) or "zh"
        except (OSError, ValueError):
            return "zh"

    def choose(self, language: Language) -> None:
        """Speak this language from now on."""
        replace_file(self.language_file, f"{language}\n".encode())


def from_env(environ: Mapping[str, str]) -> Settings:
    """Settings from the environment; a language that does not exist is passed over."""
    home, runtime = environ.get(HOME), environ.get(RUNTIME)
    return Settings(
        home=Path(home).expanduser().absolute() if home else platformdirs.user_data_path("patrolbook", appauthor=False),
        language=_language(environ.get(LANGUAGE, "")),
        pin=environ.get(PIN),
        officer_pin=environ.get(OFFICER_PIN),
        passphrase=environ.get(PASSPHRASE),
        watermark=environ.get(WATERMARK, "").lower() not in NO,
        guard=environ.get(GUARD, "").lower() not in NO,
        runtime=Path(runtime) if runtime and Path(runtime).is_dir() else None,
    )


def _language(name: str) -> Language | None:
    """`zh` for zh_CN.UTF-8 too: people write what their system calls it."""
    short = name[:2].lower()
    return next((one for one in LANGUAGES if one == short), None)
