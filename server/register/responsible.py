"""四级包保: who answers for an institution at each of four levels, and where nobody does.

The people stand on the institution itself (`responsible/<level>`), so a tablet shows them on the card. Here they are counted
for an area and put in for many institutions at once; each is an ordinary change, and what stands already is left alone
unless it is said to be replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from schemas.kinds.institution import LEVELS, Institution
from schemas.labels import Label
from server.instance import Instance
from server.merging import decisions
from server.reading import finding
from server.register.editions import Writing
from sync.core.errors import InvalidField
from sync.core.rules import Rights

KIND = Institution.kind
FIELD = "responsible"
AT_ONCE = 200
GONE = frozenset({"cancelled", "converted", "banned"})
"""Statuses of institutions that nobody needs to answer for any more."""


class Place(NamedTuple):
    """One institution and who answers for it: level → {name, post, phone}."""

    record: str
    name: str
    area: str
    held: Mapping[str, Mapping[str, str]]

    @property
    def missing(self) -> list[str]:
        return [level for level in LEVELS if not self.held.get(level, {}).get("name")]


def places(house: Instance, rights: Rights, area: str) -> list[Place]:
    """The institutions in sight of an area (a prefix) that are still there, in the order in which they were made."""
    found = []
    with house.database.read() as conn:
        for seen in finding.every(house, conn, rights, KIND, area):
            if seen.values.get("status") not in GONE:
                name, code = str(seen.values.get("name") or seen.record), str(seen.values.get("area") or "")
                found.append(Place(seen.record, name, code, seen.names(FIELD)))
    return found


def assign(
    house: Instance, who: Writing, area: str, level: str, person: Mapping[str, str], *, replace: bool = False
) -> int:
    """Put a person in at a level for every institution of an area where there is none; returns how many.

    `replace`: where there is another one, too. Raises InvalidField.
    """
    if level not in LEVELS:
        raise InvalidField(field="level", detail=Label("没有这一级", "there is no such level"))
    said = {part: text.strip() for part, text in person.items() if part in ("name", "post", "phone") and text.strip()}
    if "name" not in said:
        raise InvalidField(field="name", detail=Label("请填写姓名", "the name is missing"))
    if len(area) < 4:
        raise InvalidField(field="area", detail=Label("请至少选到市（4 位）", "choose a city at least (4 digits)"))
    todo = [
        place.record
        for place in places(house, who.rights, area)
        if (replace or level in place.missing) and dict(place.held.get(level, {})) != said
    ]
    for start in range(0, len(todo), AT_ONCE):
        acts = [(record, {f"{FIELD}/{level}": said}) for record in todo[start : start + AT_ONCE]]
        decisions.write_many(house.desk, KIND, acts, by=who.by, rights=who.rights)
    return len(todo)


def counted(found: Sequence[Place]) -> dict[str, int]:
    """level → for how many of these institutions somebody answers there."""
    return {level: sum(level not in place.missing for place in found) for level in LEVELS}
