"""Problems as pages, in the language of the reader, with the next step. Programs get the document that the API gives.

A post that meets no session is not lost: what was typed goes with the sign-in page and is offered again afterwards.
"""

from __future__ import annotations

import orjson
from flask import Response, request, url_for

from server.console import frame
from server.errors import MEDIA_TYPE, render
from sync.core.errors import CrossSite, Problem, SessionEnded

LARGEST_KEPT = 400_000
_NOT_KEPT = ("/console/account", "/console/sign-in")
"""What is typed there are passwords and codes."""


def page(problem: Problem, status: int) -> Response:
    """The answer to a problem on a page of the console."""
    language = frame.language()
    if request.accept_mimetypes.best_match(["text/html", "application/json", MEDIA_TYPE]) != "text/html":
        return Response(render(problem, language, status), status, content_type=MEDIA_TYPE)
    if isinstance(problem, SessionEnded):
        return _sign_in(status)
    if isinstance(problem, CrossSite) and frame.current_seat() is not None and request.headers.get("Origin"):
        kept = keepable() if frame.same_site() else None
        if kept is not None:  # our own page, from before a new session: nothing is done unless the person says so again
            return frame.answered("door/again.html", status, **offered(kept))
    return frame.answered(
        "problem.html",
        status,
        problem_text=problem.text(language),
        next_step=problem.next_step(language),
        code=problem.code,
        number=problem.facts.get("number", "") if type(problem) is Problem else "",
    )


def _sign_in(status: int) -> Response:
    if request.method in ("GET", "HEAD"):
        response = Response(status=303)
        response.headers["Location"] = url_for("console.door.sign_in", next=frame.here())
        return response
    kept = keepable() if frame.same_site() else None
    return frame.answered("door/sign_in.html", status, login="", wrong=None, next=f"{frame.PREFIX}/", kept=kept or "")


def keepable() -> str | None:
    """What was posted, as text that goes into another form; None where it is too much or not ours to keep."""
    path = request.full_path.removesuffix("?")
    if path.startswith(_NOT_KEPT) or frame.local(path, "") != path:
        return None
    body = {"path": path, "fields": list(frame.typed().items()), "files": bool(request.files)}
    content = orjson.dumps(body)
    return content.decode() if len(content) <= LARGEST_KEPT else None


def offered(kept: str) -> dict[str, object]:
    """The values of the page that offers a kept post again; empty for anything that is none."""
    try:
        body = orjson.loads(kept)
        path = frame.local(str(body["path"]), "")
        fields = [(str(name), [str(one) for one in values]) for name, values in body["fields"]]
        files = bool(body["files"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return {}
    return {"path": path, "fields": fields, "files": files} if path and not path.startswith(_NOT_KEPT) else {}
