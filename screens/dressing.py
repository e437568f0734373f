"""`dress`: the shared templates, files, words and headers for one Flask application."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, request, send_file, url_for
from jinja2 import ChoiceLoader, PackageLoader, StrictUndefined
from markupsafe import Markup

from schemas import words
from schemas.certificates import CHINA
from schemas.labels import Label, Language
from screens.icons import drawn

STATIC = Path(__file__).parent / "static"
LANGUAGES: Mapping[Language, str] = {"zh": "中文", "en": "English"}
YEAR_S = 365 * 86_400

CONTENT_SECURITY = "; ".join((
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "media-src 'self' blob:",
    "connect-src 'self'",
    "font-src 'self'",
    "manifest-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
))  # fmt: skip
"""Nothing from elsewhere and nothing inline: a name typed on a tablet cannot become a script on a desk."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=(self), payment=(), usb=()",
}
"""Set on every HTML answer. Camera, microphone and position are for the tablet's own page only."""


def dress(app: Flask, language: Callable[[], Language]) -> None:
    """Give an application what both interfaces share; `language` tells that of whoever asks now."""
    versions = {file.name: _version(file) for file in STATIC.iterdir() if file.is_file()}
    own = app.jinja_loader
    app.jinja_loader = ChoiceLoader([*([own] if own is not None else []), PackageLoader("screens")])
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    def t(zh: str, en: str, **facts: Any) -> str:
        text = Label(zh, en).text(language())
        return text.format(**facts) if facts else text

    def look(name: str) -> str:
        return url_for("look", name=name, v=versions[name])

    app.jinja_env.globals.update(t=t, look=look, icon=_icon, languages=LANGUAGES)
    app.jinja_env.filters.update(
        label=lambda one: _said(one, language()),
        words=lambda value, schema, path: _said(words.value_of(schema, path, value), language()),
        moment=_moment,
        day=lambda one: _moment(one)[:10],
        local_input=_local_input,
        yuan=lambda fen: f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}",
        size=words.size,
    )
    app.context_processor(lambda: {"language": language()})

    @app.get("/look/<name>", endpoint="look")
    def file(name: str) -> Response:
        if name not in versions:
            abort(404)
        response = send_file(STATIC / name, max_age=YEAR_S if request.args.get("v") == versions[name] else 0)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    app.after_request(_headers)


def _headers(response: Response) -> Response:
    if response.mimetype == "text/html":
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _version(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def _icon(name: str, title: str = "") -> Markup:
    return drawn(name, title)


def _said(one: Label | str | None, language: Language) -> str:
    return "" if one is None else one if isinstance(one, str) else one.text(language)


def _local_input(moment: str) -> str:
    """A `Moment` as `datetime-local` takes it, to the millisecond: what nobody touched is not changed."""
    try:
        return datetime.fromisoformat(moment).astimezone(CHINA).replace(tzinfo=None).isoformat(timespec="milliseconds")
    except ValueError:
        return ""


def _moment(one: int | str | None) -> str:
    """Milliseconds since 1970 or a `Moment`, as the time of day in China; empty for None."""
    if one is None or one == "":
        return ""
    if isinstance(one, int):
        one = datetime.fromtimestamp(one / 1000, UTC).isoformat()
    return words.moment_in_words(one)
