"""People, their grants and their accounts as administrators keep them, within what the administrator sees.

Every grant, and its end, is an act in the log of the compartment that it concerns.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.labels import Label
from server import acts
from server.access import accounts, rights
from server.access.policy import Sight
from server.instance import Instance
from server.storage import accounts as rows
from server.storage import people
from server.storage.accounts import Account
from server.storage.database import Connection
from server.storage.people import Grant, Person
from sync.core.errors import InvalidField, NotAllowed, NotFound


class Member(NamedTuple):
    """A person with the grants that run now and those to come, as far as the reader sees where they lead, and the account, if any."""

    person: Person
    grants: list[Grant]
    coming: list[Grant]
    account: Account | None
    sessions: int


def in_sight(house: Instance, conn: Connection, sight: Sight) -> list[Member]:
    """The people whose grants, or the last one, lie where somebody sees; those without any are seen by who sees all."""
    now = house.now()
    held = {account.person: account for account, _ in rows.every(conn)}
    found = []
    for person in people.everybody(conn):
        grants = people.grants_of(conn, person.id)
        running = rights.active(grants, now)
        if _sees(sight, running or grants[-1:]):
            seen = [one for one in grants if sight.covers(one.area, one.compartment)]
            running = [one for one in seen if one in running]
            coming = [one for one in seen if now < one.since and (one.until is None or one.since < one.until)]
            sessions = len(rows.sessions_of(conn, person.id)) if person.id in held else 0
            found.append(Member(person, running, coming, held.get(person.id), sessions))
    return found


def member(house: Instance, conn: Connection, sight: Sight, person: str) -> Member:
    """One person. Raises NotFound for one who is out of sight as for one who does not exist."""
    found = next((one for one in in_sight(house, conn, sight) if one.person.id == person), None)
    if found is None:
        raise NotFound(what=Label("人员", "person"))
    return found


def kept(house: Instance, sight: Sight, person: str) -> Person:
    """Somebody whose account one may keep: whoever gives out its code could sign in as them, so all that they see in front of the
    wall has to be in sight. What they see behind it is told to nobody who does not see there.

    Raises NotFound, and NotAllowed for a person with a grant elsewhere.
    """
    now = house.now()
    with house.database.read() as conn:
        who = member(house, conn, sight, person).person
        held = [one for one in people.grants_of(conn, person) if one.until is None or now < one.until]
    if not all(one.compartment or sight.covers(one.area) for one in held):
        detail = Label(
            "此人在您看不到的区划还有授权，请由上级管理员办理",
            "this person has a grant where you do not see; an administrator of the level above does this",
        )
        raise NotAllowed(detail=detail)
    return who


def add(house: Instance, sight: Sight, name: str, role: str, area: str, department: str) -> Person:
    """Somebody new, with a grant from now on. Raises InvalidField, NotAllowed for an area that one does not see."""
    if not name.strip():
        raise InvalidField(field="name", detail=Label("不能为空", "must not be empty"))
    walls = sorted({"", rights.BEHIND.get(role, "")})
    if not all(sight.covers(area, wall) for wall in walls):
        raise NotAllowed(detail=Label("只能授予您自己看得到的区划", "only areas that you see yourself can be granted"))
    now = house.now()
    person = Person(house.keys.new_id(now), name.strip(), role, now)
    with house.database.write() as conn:
        people.add_person(conn, person)
        # Whoever works behind a wall also reads the register in front of it, and writes nothing there.
        for compartment in walls:
            give(conn, Grant(house.keys.new_id(now), person.id, area, role, now, None, compartment, department), now)
    return person


def grant(
    house: Instance, sight: Sight, person: str, area: str, department: str, since: int | None, until: int | None
) -> None:
    """A further area for a person in sight, in front of the wall, from a time (ms; None: now). Raises NotFound, NotAllowed, InvalidField."""
    if not sight.covers(area):
        raise NotAllowed(detail=Label("只能授予您自己看得到的区划", "only areas that you see yourself can be granted"))
    now = house.now()
    with house.database.write() as conn:
        who = member(house, conn, sight, person).person
        give(conn, Grant(house.keys.new_id(now), who.id, area, who.role, now if since is None else since, until, "", department), now)


def end(house: Instance, sight: Sight, person: str, named: str) -> None:
    """End a grant of a person in sight now; work that was done under it stays. Raises NotFound."""
    now = house.now()
    with house.database.write() as conn:
        who = member(house, conn, sight, person)
        held = next((one for one in who.grants + who.coming if one.id == named), None)
        if held is None or not sight.covers(held.area, held.compartment):
            raise NotFound(what=named)
        end_grant(conn, held, now)


def give(conn: Connection, new: Grant, now: int) -> None:
    """Grant, and say so in the log."""
    rights.grant(conn, new)
    said = {name: value for name, value in new._asdict().items() if name != "id" and (name != "department" or value)}
    acts.append(conn, _wall(conn, new), acts.GRANTED, now, grant=new.id, **said)


def end_grant(conn: Connection, held: Grant, now: int) -> None:
    """End a grant, and say so in the log. Raises NotFound where it had ended."""
    if not people.end_grant(conn, held.id, now):
        raise NotFound(what=held.id)
    acts.append(conn, _wall(conn, held), acts.GRANT_ENDED, now, grant=held.id, person=held.person)


def code_for(house: Instance, sight: Sight, by: Person, person: str, login: str, phone: str) -> str:
    """Open an account; the one-time code. Raises NotFound, InvalidField, Refused."""
    who = kept(house, sight, person)
    return accounts.open_account(house, who, login.strip() or who.name, phone.strip() or None, by.id)


def _sees(sight: Sight, grants: list[Grant]) -> bool:
    """Those who work behind a wall are seen only by who sees there, also by their grants in front of it."""
    if sight.departments is not None:
        return False
    if not grants:
        return sight.covers("")
    behind = rights.BEHIND.get(grants[0].role, "")
    return any(sight.covers(one.area, behind or one.compartment) for one in grants)


def _wall(conn: Connection, held: Grant) -> str:
    """The compartment whose log tells of a grant: also the open grants of those who work behind a wall."""
    who = people.person(conn, held.person)
    return held.compartment or rights.BEHIND.get(who.role if who is not None else "", "")
