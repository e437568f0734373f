"""Problems as pages, in the language of the reader, with the next step. Programs get the document that the API gives.

A post that meets no session is not lost: what was typed goes with the sign-in page and is offered again afterwards.
"""

from __future__ import annotations

import orjson
from flask import Response, request, url_for

from schemas import words
from schemas.base import RecordSchema
from schemas.fields import Choice, Flag, Workflowed
from schemas.labels import Label
from server.console import frame, naming
from server.errors import MEDIA_TYPE, render
from server.storage import states
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
    if not path or path.startswith(_NOT_KEPT):
        return {}
    schema = _schema_of(path)
    lines = [
        (label, _worded(schema, name, text))
        for name, values in fields if (label := _called(schema, name)) is not None for text in values if text
    ]  # fmt: skip
    return {"path": path, "fields": fields, "files": files, "lines": lines}


_NAMES = {
    "name": Label("姓名或名称", "Name"), "role": Label("角色", "Role"), "area": Label("区划", "Area"), "department": Label("部门", "Department"),
    "until": Label("截止", "Until"), "login": Label("登录名", "Sign-in name"), "phone": Label("电话", "Telephone"), "post": Label("职务", "Post"),
    "level": Label("级别", "Level"), "reason": Label("理由", "Reason"), "note": Label("说明", "Note"), "purpose": Label("目的", "Purpose"),
    "person": Label("人员", "Person"), "hours": Label("小时数", "Hours"), "address": Label("地址", "Address"), "combined": Label("合并后的内容", "Combined text"),
    "typed": Label("另填的值", "Another value"), "text": Label("内容", "Text"), "zh": Label("中文", "Chinese"), "en": Label("英文", "English"),
}  # fmt: skip
"""What the fields of our forms are called, besides those of records. What is not here was not typed by anybody."""


def _called(schema: type[RecordSchema] | None, name: str) -> Label | None:
    """What a field that was posted is called; None for what the page itself put there."""
    if name.startswith("remark:"):
        return Label("标注", "Remark")
    if schema is not None and schema.field_of(name.partition(".")[0]) is not None:
        return None if name.endswith((".shown", ".was", ".acc", ".src")) else naming.caption(words.label_of(schema, name.partition(".")[0]))
    return _NAMES.get(name)


def _worded(schema: type[RecordSchema] | None, name: str, text: str) -> Label | str:
    """What was typed or chosen in a field, in words."""
    field = schema.field_of(name) if schema is not None else None
    if "/" in name and field is not None:
        return words.YES
    if isinstance(field, Flag):
        return words.YES if text == "true" else words.NO
    return (words.value_of(schema, name, text) if schema is not None and isinstance(field, (Choice, Workflowed)) else None) or text


def _schema_of(path: str) -> type[RecordSchema] | None:
    """The kind whose form is posted to a path."""
    house = frame.instance()
    match path.partition("?")[0].removeprefix(f"{frame.PREFIX}/").split("/"):
        case ["records", kind, *_]:
            return house.registry.get(kind)
        case ["record", record, *_]:
            with house.database.read() as conn:
                stored = states.load(conn, [record]).get(record)
            return house.registry.get(stored.kind) if stored is not None else None
    return None
