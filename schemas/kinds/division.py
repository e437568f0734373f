"""行政区划: the names of division codes, from the province down to the community. Reference data that everybody reads.

The code is the address of everything else: records carry it, grants are prefixes of it, buckets are named by it. This kind
only gives it a name and a place on the map. Which level it is and what it lies in follow from the code (GB/T 2260 to the
county, the codes of the National Bureau of Statistics below).
"""

from __future__ import annotations

from schemas.base import RecordSchema
from schemas.fields import Area, Point, Text
from schemas.labels import Label

LEVELS = {
    2: Label("省", "province"),
    4: Label("市", "city"),
    6: Label("县（市、区）", "county"),
    9: Label("乡镇、街道", "township"),
    12: Label("社区、村", "community"),
}
"""How many digits a code has → its level."""


class Division(RecordSchema):
    """One division. Its id follows from its code (`division_id`), so importing twice makes nothing twice."""

    kind = "division"
    label = Label("行政区划", "Division")
    area_field = None
    makers = frozenset({"province", "admin"})
    search = ("name", "code")
    indexed = ("code",)

    code = Area(Label("区划代码", "Code"), required=True)
    name = Text(Label("名称", "Name"), most=60, merge="authority", required=True)
    place = Point(Label("位置", "Position"), merge="authority")


def shortened(code: str) -> str:
    """A code without the zeros that fill it up: 430100 is 4301, 430102000000 is 430102."""
    kept = code
    for length in (9, 6, 4, 2):
        if len(kept) > length and not kept[length:].strip("0"):
            kept = kept[:length]
    return kept


def above(code: str) -> str:
    """The code of the division that this one lies in; empty for a province."""
    return next((code[:length] for length in (9, 6, 4, 2) if len(code) > length), "")
