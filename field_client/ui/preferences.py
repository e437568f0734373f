"""What a person chose for the screens, in a plain file of the home: a locked tablet looks right too."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from field_client.platform.files import replace_file

FILE = "screen.json"
Theme = Literal["auto", "light", "dark"]
THEMES: tuple[Theme, ...] = get_args(Theme)
Line = Literal["auto", "dear", "free"]
LINES: tuple[Line, ...] = get_args(Line)


@dataclass(frozen=True)
class Preferences:
    """name     what the lock screen calls this person's place
    theme    auto follows the device
    large    large text
    line     whether bytes are dear: auto asks the device, the others are the person's word and win
    paused   nothing goes by itself
    """

    name: str = ""
    theme: Theme = "auto"
    large: bool = False
    line: Line = "auto"
    paused: bool = False

    def dear(self, detected: bool | None) -> bool:
        """Whether only records, thumbnails and previews go by themselves; `detected` is what the device says of its line."""
        return bool(detected) if self.line == "auto" else self.line == "dear"

    @property
    def classes(self) -> str:
        """What the page's root element carries for the style sheet."""
        shape = ["large"] if self.large else []
        return " ".join([*([] if self.theme == "auto" else [self.theme]), *shape])


def read(home: Path) -> Preferences:
    """The preferences of a home; what is missing or damaged is as usual."""
    try:
        noted = json.loads((home / FILE).read_text("utf-8"))
        usual = Preferences()
        theme, line = noted.get("theme"), noted.get("line")
        return replace(
            usual,
            name=str(noted.get("name") or "")[:40],
            theme=theme if theme in THEMES else usual.theme,
            line=line if line in LINES else usual.line,
            **{one: bool(noted.get(one)) for one in ("large", "paused")},
        )
    except (OSError, ValueError, AttributeError):
        return Preferences()


def choose(home: Path, **chosen: Any) -> Preferences:
    """Change some of them."""
    made = replace(read(home), **chosen)
    replace_file(home / FILE, json.dumps(asdict(made), ensure_ascii=False).encode())
    return made
