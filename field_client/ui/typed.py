"""A field that is saved as it is left: the form carries the digest of what it showed, so nothing is written over unseen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify, request

from field_client.moments import moment
from field_client.tablet import Tablet
from field_client.ui import here
from schemas.base import RecordSchema
from schemas.fields import Text
from schemas.labels import Label
from schemas.words import as_json
from screens.forms import narrow
from sync.core.errors import InvalidField

SAVED = Label("已保存", "Saved")


def digest(value: Any) -> str:
    """What a page says that it showed; empty for nothing."""
    return "" if value is None else hashlib.sha256(as_json(value).encode()).hexdigest()[:16]


def note(tablet: Tablet, kind: str, record: str, item: str = "") -> None:
    """Write the posted `text` as a note under the id that the form gives it: once, however often it is sent. Other words under
    an id that was written already, by a form that a killed program left, are another note."""
    text, id = here.posted("text"), here.posted_id("note")
    held = tablet.values(record).get(f"notes/{id}")
    if not text or (isinstance(held, dict) and held.get("text") == text):
        return
    path = f"notes/{id if held is None else tablet.store.clock.new_id()}"
    tablet.write(kind, record, {path: {"text": text, "at": moment(tablet), **({"item": item} if item else {})}})


def again(tablet: Tablet, kind: str, record: str, said: Mapping[str, Any]) -> None:
    """A form whose record was made already is sent again: after a second tap nothing differs; what a person changed after a
    killed program is written."""
    held = tablet.values(record)
    changed = {name: value for name, value in said.items() if value and value != held.get(name)}
    if changed:
        tablet.write(kind, record, changed)


def save(tablet: Tablet, schema: type[RecordSchema], record: str, name: str, endpoint: str) -> Response:
    """Write the posted `value` of one field, unless somebody wrote something else since the page was shown.

    :raises InvalidField: nothing was written
    """
    text = request.form.get("value", "").replace("\r\n", "\n").strip()
    value = (text if isinstance(schema.fields_by_name()[name], Text) else narrow(text)) or None
    current = tablet.values(record).get(name)
    if here.posted("base") != digest(current) and value != current:
        words = Label(f"别处已改为：{current or '（空）'}", f"changed elsewhere to: {current or '(empty)'}")
        return _told(tablet, schema, record, name, 409, words, endpoint)
    if value != current:
        try:
            tablet.write(schema.kind, record, {name: value})
        except InvalidField as problem:
            return _told(tablet, schema, record, name, 422, Label(problem.text("zh"), problem.text("en")), endpoint)
    return _told(tablet, schema, record, name, 200, SAVED, endpoint)


def _told(tablet: Tablet, schema: type[RecordSchema], record: str, name: str, status: int, words: Label, endpoint: str) -> Response:
    if not here.wants_json():
        if status != 200:
            here.warn(words)
        return here.go(endpoint, record=record, _anchor=name)
    value = tablet.values(record).get(name)
    warned = schema.warnings({name: value}).get(name, Label("", ""))
    response = jsonify(saved=status == 200, base=digest(value), value=value or "", words=here.say(words), warned=here.say(warned))
    response.status_code = status
    return response
