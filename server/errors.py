"""The one table from problems to HTTP statuses, and how a problem is written on the wire (RFC 9457).

    {"type": "urn:patrolbook:digest-mismatch", "title": "…", "status": 400, "code": "digest-mismatch",
     "detail": "…", "hint": "…", …facts}

`title` names the sort of problem, `detail` this case, `hint` the next step; all three in the language asked for.
A status is looked up by class and then by its bases, so a new problem has one from its place in the tree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from schemas.labels import Label, Language
from sync.core import errors
from sync.core.errors import Problem

STATUS: Mapping[type[Problem], int] = {
    Problem: 500,
    errors.Malformed: 400,
    errors.TooLarge: 413,
    errors.UnsupportedEncoding: 415,
    errors.Refused: 409,
    errors.NotFound: 404,
    errors.NotAllowed: 403,
    errors.NotAuthenticated: 401,
    errors.DeviceRevoked: 403,
    errors.SignInFailed: 401,
    errors.TooManyGuesses: 429,
    errors.SessionEnded: 401,
    errors.CrossSite: 403,
    errors.CodeNotValid: 410,
    errors.DiskFull: 507,
    errors.BrokenStore: 500,
    errors.NotReady: 503,
    errors.Diverged: 409,
    errors.CursorExpired: 410,
    errors.Unavailable: 503,
}

MEDIA_TYPE = "application/problem+json"
RESERVED = frozenset({"type", "title", "status", "code", "detail", "hint"})
_CLAUSE = re.compile(r"\s*[:：]\s*\{[^}]*\}|\s*\{[^}]*\}\s*")


def status_of(problem: Problem | type[Problem]) -> int:
    """The HTTP status of a problem."""
    kind = problem if isinstance(problem, type) else type(problem)
    return next(STATUS[base] for base in kind.__mro__ if base in STATUS)


def document(problem: Problem, language: Language, status: int | None = None) -> dict[str, Any]:
    """The members of the problem document. Facts that JSON cannot hold, or that clash with its members, stay out."""
    facts = {
        name: fact.text(language) if isinstance(fact, Label) else fact
        for name, fact in problem.facts.items()
        if name not in RESERVED and isinstance(fact, (str, int, list, tuple, dict, Label))
    }
    return {
        **facts,
        "type": f"urn:patrolbook:{problem.code}",
        "title": _CLAUSE.sub("", problem.message.text(language)).strip(),
        "status": status or status_of(problem),
        "code": problem.code,
        "detail": problem.text(language),
        "hint": problem.next_step(language),
    }


def render(problem: Problem, language: Language, status: int | None = None) -> bytes:
    """The problem document as JSON bytes."""
    return orjson.dumps(document(problem, language, status), option=orjson.OPT_NON_STR_KEYS, default=str)


def language_of(accept: str | None) -> Language:
    """The language to answer in: Chinese, unless the header ranks English above it."""
    best: dict[Language, float] = {}
    for place, item in enumerate((accept or "").split(",")):
        tag, _, quality = item.strip().partition(";q=")
        name = tag.strip().lower().partition("-")[0]
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            weight = 0.0
        if name == "zh":
            best.setdefault("zh", weight - place * 1e-6)
        elif name == "en":
            best.setdefault("en", weight - place * 1e-6)
    return "en" if best.get("en", 0.0) > max(best.get("zh", 0.0), 0.0) else "zh"
