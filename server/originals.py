"""From the code on a watermarked copy to its original, for whoever may see it.

A code is a field that a tablet wrote; it counts only where it follows from the digest and the id of its record, so nobody
can put another's code on evidence of his own. What lies outside the asker's scope does not exist.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from custody import codes
from schemas.kinds.evidence import Evidence
from schemas.labels import Label
from server.access.rights import Scope
from server.instance import Instance
from server.storage import blobs, states
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
        for row in house.projections.find(conn, KIND, "code", code):
            _, place = states.placed(conn, [row["record"]]).get(row["record"], (0, None))
            if place is None or not scope.covers(place.bucket) or not _genuine(row):
                continue
            copies = house.projections.find(conn, KIND, "original", row["record"])
            held = not blobs.missing(conn, [row["sha256"]])
            return Original(row["record"], _said(row), held, [_said(one) for one in copies])
    printed = codes.printed(code)
    raise NotFound(what=Label(f"核验码 {printed} 的原件", f"the original of {printed}"))


def _genuine(row: dict[str, Any]) -> bool:
    return row["sha256"] is not None and row["code"] == codes.code_of(row["sha256"], row["record"])


def _said(row: dict[str, Any]) -> dict[str, Any]:
    fields = Evidence.fields_by_name()
    return {"id": row["record"]} | {str(name): value for name, value in row.items() if value is not None and name in fields}
