"""The icons, drawn here: strokes on a grid of 24, in the colour of the text beside them."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup, escape

_PATHS: Mapping[str, str] = {
    "add": "M12 5v14M5 12h14",
    "alert": "M12 3 2.5 20h19zM12 10v4M12 17v.5",
    "archive": "M3 5h18v4H3zM5 9v10h14V9M10 13h4",
    "back": "M15 5l-7 7 7 7",
    "bell": "M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 20a2 2 0 0 0 4 0",
    "building": "M5 21V4h10v17M15 9h4v12M3 21h18M8 8h1M11 8h1M8 12h1M11 12h1M8 16h1M11 16h1",
    "calendar": "M4 6h16v14H4zM4 10h16M8 3v4M16 3v4",
    "camera": "M3 8h4l2-3h6l2 3h4v11H3zM12 17a4 4 0 1 0 0-8 4 4 0 0 0 0 8z",
    "chart": "M4 20V4M4 20h16M8 16v-4M12 16V8M16 16v-6",
    "check": "M5 12.5l4.5 4.5L19 7.5",
    "checklist": "M4 6l1.5 1.5L8 5M4 13l1.5 1.5L8 12M4 19.5h4M11 6.5h9M11 13.5h9M11 19.5h9",
    "clock": "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3.5 2",
    "close": "M6 6l12 12M18 6L6 18",
    "conflict": "M7 4v6a5 5 0 0 0 5 5 5 5 0 0 0 5-5V4M12 15v6M4 6.5L7 4l3 2.5M14 6.5L17 4l3 2.5",
    "copy": "M8 8h12v12H8zM4 16V4h12",
    "courier": "M9 3h6v6H9zM7 9h10v12H7zM11 5.5h.5M13 5.5h.5",
    "document": "M6 3h8l4 4v14H6zM14 3v4h4M9 12h6M9 16h6",
    "down": "M5 9l7 7 7-7",
    "download": "M12 4v11M7 11l5 5 5-5M4 20h16",
    "edit": "M4 20l1-5L16 4l4 4L9 19zM14 6l4 4",
    "eye": "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
    "filter": "M3 5h18l-7 8v6l-4 2v-8z",
    "flag": "M5 21V4h13l-3 4.5L18 13H5",
    "globe": "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM3 12h18M12 3c3 3 3 15 0 18M12 3c-3 3-3 15 0 18",
    "hazard": "M12 2.5l9.5 9.5-9.5 9.5L2.5 12zM12 8v5M12 15.5v.5",
    "history": "M4 12a8 8 0 1 0 2.5-5.8L4 8.5M4 4v4.5h4.5M12 8v4.5l3 1.5",
    "home": "M4 11l8-7 8 7M6 9.5V20h12V9.5M10 20v-6h4v6",
    "image": "M3 5h18v14H3zM3 16l5-5 4 4 3-3 6 5M16 9.5v.5",
    "info": "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 11v6M12 7.5v.5",
    "key": "M8 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 12h9M17 12v4M20.5 12v3",
    "law": "M12 3v18M6 21h12M5 7h14M5 7l-3 7h6zM19 7l-3 7h6z",
    "link": "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
    "list": "M8 6h12M8 12h12M8 18h12M4 6h.5M4 12h.5M4 18h.5",
    "lock": "M5 11h14v10H5zM8 11V7.5a4 4 0 0 1 8 0V11M12 15v2",
    "map": "M3 6l6-2 6 2 6-2v14l-6 2-6-2-6 2zM9 4v14M15 6v14",
    "menu": "M4 6h16M4 12h16M4 18h16",
    "merge": "M6 4v5c0 4 6 4 6 8v3M18 4v5c0 4-6 4-6 8M9 17l3 3 3-3",
    "minus": "M5 12h14",
    "moon": "M20 14A8.5 8.5 0 0 1 10 4a8.5 8.5 0 1 0 10 10z",
    "more": "M5 12h.5M12 12h.5M19 12h.5",
    "next": "M9 5l7 7-7 7",
    "pause": "M8 5v14M16 5v14",
    "people": "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20a6.5 6.5 0 0 1 13 0M16 4.5a3.5 3.5 0 0 1 0 6.5M18 14a6.5 6.5 0 0 1 3.5 6",
    "person": "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21a8 8 0 0 1 16 0",
    "pin": "M12 21s7-6.5 7-11.5a7 7 0 0 0-14 0C5 14.5 12 21 12 21zM12 12a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
    "play": "M7 4.5l12 7.5-12 7.5z",
    "print": "M7 9V3h10v6M7 17H4V9h16v8h-3M7 14h10v7H7z",
    "qr": "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h2v2h-2zM18 14h2M14 18h2v2M18 18h2v2h-2z",
    "record": "M12 19a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM12 14a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
    "return": "M9 5L4 10l5 5M4 10h10a6 6 0 0 1 0 12h-3",
    "rotate": "M20 12a8 8 0 1 1-2.5-5.800L20 8.5M20 4v4.5h-4.5",
    "search": "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5",
    "seal": "M12 3l8 3v6c0 4.5-3.5 7.5-8 9-4.5-1.5-8-4.5-8-9V6zM9 12l2 2 4-4",
    "send": "M4 12l17-8-6 17-3.5-7z",
    "settings": "M4 7h9M17 7h3M15 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM4 17h3M11 17h9M9 19.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
    "shield": "M12 3l8 3v6c0 4.5-3.5 7.5-8 9-4.5-1.5-8-4.5-8-9V6z",
    "signature": "M3 17c3-8 6-12 7-9s-3 8-1 8 3-4 4-4 0 3 2 3 3-2 6-2M3 21h18",
    "split": "M12 20v-4c0-4-6-4-6-8V4M12 16c0-4 6-4 6-8V4M3 7l3-3 3 3M15 7l3-3 3 3",
    "sun": "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2v2.5M12 19.5V22M2 12h2.5M19.5 12H22M5 5l1.7 1.7M17.300 17.300L19 19M5 19l1.7-1.7M17.300 6.700L19 5",
    "sync": "M4 10a8 8 0 0 1 14-3.5L20 8.5M20 4v4.5h-4.5M20 14a8 8 0 0 1-14 3.5L4 15.5M4 20v-4.5h4.5",
    "tablet": "M5 3h14v18H5zM11 18h2",
    "text-size": "M3 19l6-14 6 14M5.5 14h7M15 19l3-8 3 8M16.5 16h3.5",
    "trash": "M4 7h16M9 7V4h6v3M6 7l1 14h10l1-14M10 11v6M14 11v6",
    "undo": "M9 6L4 11l5 5M4 11h9a6 6 0 0 1 6 6v2",
    "up": "M5 15l7-7 7 7",
    "upload": "M12 16V5M7 9.5l5-5 5 5M4 20h16",
    "video": "M3 6h12v12H3zM15 10.5l6-3.5v10l-6-3.5z",
    "wait": "M6 3h12M6 21h12M7 3v4l5 5 5-5V3M7 21v-4l5-5 5 5v4",
    "zoom-in": "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5M11 8v6M8 11h6",
    "zoom-out": "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5M8 11h6",
}


def names() -> list[str]:
    """Every icon that there is."""
    return sorted(_PATHS)


def drawn(name: str, title: str = "") -> Markup:
    """An icon as inline SVG. It only decorates unless it has a title. Raises KeyError for an unknown name."""
    said = f' role="img"><title>{escape(title)}</title' if title else ' aria-hidden="true"'
    return Markup(f'<svg class="icon" viewBox="0 0 24 24"{said}><path d="{_PATHS[name]}"/></svg>')
