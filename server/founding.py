"""Setting up a server: its keys and database, the authority that runs it, the first administrator, the shipped checklist."""

from __future__ import annotations

import secrets

from schemas.shipped import template
from server.access import rights
from server.config import Settings
from server.instance import Instance, create_instance, wall_ms
from server.merging import decisions
from server.storage import facts, people
from server.storage.database import Clock
from server.storage.people import Grant, Person
from sync.core.rules import Rights


def found(
    settings: Settings, name: str, area: str, admin: str, origin: str | None = None, now: Clock = wall_ms
) -> tuple[Instance, Person]:
    """A new server and its administrator. Raises Refused where there is one already."""
    house = create_instance(settings, origin or f"patrolbook/{area}/{secrets.token_hex(4)}", now=now)
    began = house.now()
    person = Person(house.keys.new_id(began), admin, "admin", began)
    with house.database.write() as conn:
        facts.put(conn, facts.NAME, name)
        facts.put(conn, facts.AREA, area)
        people.add_person(conn, person)
        rights.grant(conn, Grant(house.keys.new_id(began), person.id, "", "admin", began, None))
    record, values = template()
    decisions.write(house.desk, "checklist", record, values, by=[person.id], rights=Rights("admin", ("",)))
    return house, person
