"""From the code on a watermarked copy to its original, for whoever may see it.

A code is a field that a tablet wrote; it counts only where it follows from the digest and the id of its record, so nobody
can put another's code on evidence of his own. What lies outside the asker's scope does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from custody import codes
from schemas.kinds.evidence import Evidence
from schemas.labels import Label
from server.access.rights import Scope
from server.instance import Instance
from server.storage import blobs, states
from server.storage.database import Connection
from sync.core.errors import NotFound

KIND = "evidence"


class Original(NamedTuple):
    """values  path → value of the evidence record as merged, without what is in conflict
    held    whether the bytes are at the server
    copies  the records of what was made from it, as in `values`
    """

    id: str
    values: dict[str, Any]
    held: bool
    copies: list[dict[str, Any]]


def by_code(house: Instance, code: str, scope: Scope) -> Original:
    """The original of a code without dashes (`codes.read`). Raises NotFound, out of scope too."""
    with house.database.read() as conn:
        for row in _in_scope(conn, scope, house.projections.find(conn, KIND, "code", code)):
            if not _genuine(row):
                continue
            copies = _in_scope(conn, scope, house.projections.find(conn, KIND, "original", row["record"]))
            held = not blobs.missing(conn, [row["sha256"]])
            return Original(row["record"], _said(row), held, [_said(one) for one in copies])
    printed = codes.printed(code)
    raise NotFound(what=Label(f"核验码 {printed} 的原件", f"the original of {printed}"))


def _in_scope(conn: Connection, scope: Scope, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = list(rows)
    places = states.placed(conn, [row["record"] for row in rows])
    return [row for row in rows if (place := places.get(row["record"], (0, None))[1]) is not None and scope.covers(place.bucket)]


def _genuine(row: dict[str, Any]) -> bool:
    return row["sha256"] is not None and row["code"] == codes.code_of(row["sha256"], row["record"])


def _said(row: dict[str, Any]) -> dict[str, Any]:
    fields = Evidence.fields_by_name()
    return {"id": row["record"]} | {str(name): value for name, value in row.items() if value is not None and name in fields}
