"""What a person may do, and what a device may see.

A person has one role at a time. Rights are those at the time of an act, not of its arrival: a change that was made
offline while a grant ran is judged by it. A revoked device is different: whoever has it can write any time into its
changes, so all that it sends is parked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from schemas.base import COMPARTMENTS, DESK_ROLES, FIELD_ROLES, READ_ROLES
from schemas.kinds.institution import DEPARTMENTS
from schemas.labels import Label
from server.storage import people
from server.storage.database import Connection
from server.storage.people import Device, Grant, Person
from sync.core.errors import InvalidField, Refused
from sync.core.rules import Rights

ROLES: Mapping[str, Label] = {
    "inspector": Label("巡查员", "inspector"),
    "officer": Label("执法人员", "officer"),
    "supervisor": Label("社会监督员", "supervisor"),
    "team": Label("暗访组", "undercover team"),
    "staff": Label("县级工作人员", "county staff"),
    "lead": Label("县级负责人", "county lead"),
    "city": Label("市级", "city"),
    "province": Label("省级", "province"),
    "admin": Label("管理员", "administrator"),
    "oversight": Label("监督（人大、纪委监委）", "oversight"),
    "department": Label("其他部门", "other department"),
}
if ROLES.keys() != FIELD_ROLES | DESK_ROLES | READ_ROLES:
    raise RuntimeError("every role of the schemas needs a label")


BEHIND: Mapping[str, str] = {"team": "sealed"}
"""Roles that work behind a wall only: all that their devices send is written there, and in the log that is kept there."""


def compartment_of(conn: Connection, device: Device) -> str:
    """The compartment that a device belongs to: that of its person's role."""
    owner = people.person(conn, device.person)
    return BEHIND.get(owner.role, "") if owner is not None else ""


class Scope(NamedTuple):
    """The buckets that a device reads: those that begin with one of `prefixes`, and `exact` ones."""

    prefixes: list[str]
    exact: list[str]

    def covers(self, bucket: str) -> bool:
        return bucket in self.exact or any(bucket.startswith(prefix) for prefix in self.prefixes)


def rights_at(conn: Connection, device: Device) -> Callable[[int], Rights]:
    """What the person of a device could do, as a function of the time in milliseconds."""
    owner = people.person(conn, device.person)
    held = people.grants_of(conn, device.person)
    revoked = device.revoked is not None
    compartment = BEHIND.get(owner.role, "") if owner is not None else ""

    def at(time: int) -> Rights:
        running = active(held, time)
        role = running[0].role if running else owner.role if owner else ""
        # A device writes on its own side of the wall, whatever its person may read on the other; that of somebody who only
        # reads, at a desk, writes and is told nothing.
        mine = tuple(one.area for one in running if one.compartment == compartment and one.role not in READ_ROLES)
        return Rights(role, () if compartment else mine, revoked, within={compartment: mine} if compartment else {})

    return at


def rights_of(grants: Iterable[Grant], role: str, time: int) -> Rights:
    """What a person with these grants may do at a desk."""
    running = active(grants, time)
    within: dict[str, tuple[str, ...]] = {}
    for one in running:
        if one.compartment:
            within[one.compartment] = (*within.get(one.compartment, ()), one.area)
    areas = tuple(one.area for one in running if not one.compartment)
    return Rights(running[0].role if running else role, areas, within=within)


def scope_of(conn: Connection, device: Device, now: int) -> Scope:
    """The buckets that a device reads now: its areas, reference data, and its own records without an area."""
    walls = compartment_of(conn, device)
    running = active(people.grants_of(conn, device.person), now)
    # A device of the open compartment never looks behind a wall, even where its person may do so at a desk.
    seen = sorted({
        (one.compartment or "area", one.area)
        for one in running
        if one.compartment in ("", walls) and one.role not in READ_ROLES
    })  # fmt: skip
    return Scope(["ref:", *(f"{sort}:{area}" for sort, area in seen)], [f"home:{device.id}"])


def active(grants: Iterable[Grant], time: int) -> list[Grant]:
    """The grants that run at a time."""
    return [one for one in grants if one.since <= time and (one.until is None or time < one.until)]


def grant(conn: Connection, new: Grant) -> None:
    """Give a grant. Raises InvalidField for an unknown role or area, Refused where the person would have two roles."""
    if new.role not in ROLES:
        raise InvalidField(field="role", detail=Label(f"应为 {'、'.join(ROLES)}", f"is one of {', '.join(ROLES)}"))
    behind = BEHIND.get(new.role, "")
    if new.compartment and new.compartment not in COMPARTMENTS:
        detail = Label(f"应为 {'、'.join(COMPARTMENTS)}", f"is one of {', '.join(COMPARTMENTS)}")
        raise InvalidField(field="compartment", detail=detail)
    if new.compartment and not behind and new.role not in DESK_ROLES | {"oversight"}:
        detail = Label("该角色不能进入密封范围", "this role does not work behind a wall")
        raise InvalidField(field="compartment", detail=detail)
    if (new.role == "department") != bool(new.department) or new.department not in {"", *DEPARTMENTS}:
        detail = Label(
            f"只有“其他部门”须写明部门：{'、'.join(DEPARTMENTS)}",
            f"is for other departments, and there one of {', '.join(DEPARTMENTS)}",
        )
        raise InvalidField(field="department", detail=detail)
    if new.area and not (new.area.isdecimal() and new.area.isascii() and len(new.area) <= 12):
        detail = Label("区划代码应为至多 12 位数字", "a division code has up to 12 digits")
        raise InvalidField(field="area", detail=detail)
    if new.until is not None and new.until <= new.since:
        raise InvalidField(field="until", detail=Label("应晚于开始时间", "is after the beginning"))
    for held in people.grants_of(conn, new.person):
        if held.role != new.role and _overlap(held, new):
            raise Refused(detail=Label(
                f"此人在该时段已有角色“{ROLES[held.role].zh}”；请先结束授权 {held.id}，或另建人员",
                f"this person is {ROLES[held.role].en} at that time; end grant {held.id} first or add another person",
            ))  # fmt: skip
    people.add_grant(conn, new)


def the_person(conn: Connection, text: str) -> Person:
    """The person of this name or (beginning of an) id. Raises Refused where several fit, InvalidField for none."""
    found = people.like(conn, text)
    exact = [one for one in found if one.id == text]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if not found:
        raise InvalidField(field="person", detail=Label(f"没有人员“{text}”", f"there is nobody called {text}"))
    ids = "、".join(one.id for one in found)
    detail = Label(f"有多人叫“{text}”，请用编号：{ids}", f"several people are called {text}; use an id: {ids}")
    raise Refused(detail=detail)


def _overlap(one: Grant, other: Grant) -> bool:
    return (other.until is None or one.since < other.until) and (one.until is None or other.since < one.until)
