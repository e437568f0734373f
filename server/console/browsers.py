"""What a browser calls itself, in words that people know again: `Edge · Windows` for a line of a hundred signs."""

from __future__ import annotations

import re

from schemas.labels import Label

_PROGRAMS = (
    ("Edg", "Edge"), ("QQBrowser", "QQ 浏览器"), ("360SE", "360 浏览器"), ("UOS Browser", "统信浏览器"), ("MicroMessenger", "微信"),
    ("Firefox", "Firefox"), ("HeadlessChrome", "Chrome"), ("Chrome", "Chrome"), ("Safari", "Safari"),
)  # fmt: skip
"""(how it names itself, what people call it), the more particular first: nearly every browser also says Chrome and Safari."""
_SYSTEMS = (
    ("Windows", "Windows"), ("Android", "Android"), ("HarmonyOS", "HarmonyOS"), ("iPhone", "iPhone"), ("iPad", "iPad"),
    ("Mac OS X", "macOS"), ("Kylin", "麒麟"), ("UOS", "统信"), ("Linux", "Linux"),
)  # fmt: skip


def called(agent: str) -> Label:
    """The browser and the system that a User-Agent names; as it is where it names neither."""
    found = [_first(agent, _PROGRAMS), _first(agent, _SYSTEMS)]
    text = " · ".join(one for one in found if one) or agent[:60]
    return Label(text, text) if text else Label("未知", "unknown")


def _first(agent: str, names: tuple[tuple[str, str], ...]) -> str:
    for sign, name in names:
        match = re.search(rf"{re.escape(sign)}(?:[A-Za-z]*/(\d+))?", agent)
        if match is not None:
            return f"{name} {match[1]}" if match[1] and names is _PROGRAMS else name
    return ""
