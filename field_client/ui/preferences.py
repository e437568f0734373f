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


@dataclass(frozen=True)
class Preferences:
    """name     what the lock screen calls this person's place
    theme    auto follows the device
    large    large text
    metered  bytes are dear: only records, thumbnails and previews go by themselves
    paused   nothing goes by itself
    """

    name: str = ""
    theme: Theme = "auto"
    large: bool = False
    metered: bool = False
    paused: bool = False

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
        theme = noted.get("theme")
        return replace(
            usual,
            name=str(noted.get("name") or "")[:40],
            theme=theme if theme in THEMES else usual.theme,
            **{one: bool(noted.get(one)) for one in ("large", "metered", "paused")},
        )
    except (OSError, ValueError, AttributeError):
        return Preferences()


def choose(home: Path, **chosen: Any) -> Preferences:
    """Change some of them."""
    made = replace(read(home), **chosen)
    replace_file(home / FILE, json.dumps(asdict(made), ensure_ascii=False).encode())
    return made
