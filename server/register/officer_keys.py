"""Officers' keys at the desk: which there are, confirmed once staff know that one is the officer's, and withdrawn.

Confirming is the one step at which a person ties a key to a person. Whoever confirms hears the key id from the officer,
in person or by telephone, and compares it; nobody confirms a key of their own.
"""

from __future__ import annotations

from typing import Any

from schemas.kinds.officer import Officer
from schemas.kinds.officer_key import OfficerKey
from schemas.labels import Label
from server.instance import Instance
from server.merging import decisions
from server.storage.people import Person
from sync.core.errors import NotAllowed, NotFound, Refused
from sync.core.rules import Rights

KIND = OfficerKey.kind
LEAST = 4


def found(house: Instance, text: str) -> dict[str, Any]:
    """The key whose id begins with a text, in groups or not. Raises NotFound where it is not one alone."""
    wanted = text.replace(" ", "").lower()
    with house.database.read() as conn:
        rows = [row for row in house.projections.rows(conn, KIND) if row["record"].startswith(wanted)]
    if len(wanted) < LEAST or len(rows) != 1:
        raise NotFound(what=Label(f"唯一的密钥 {text}", f"a single key {text}"))
    return rows[0]


def officer_of(house: Instance, key: dict[str, Any]) -> dict[str, Any]:
    """The officer whose key it is said to be. Raises NotFound where the list of officers has none."""
    with house.database.read() as conn:
        for row in house.projections.rows(conn, Officer.kind):
            if row["record"] == key["officer"]:
                return row
    raise NotFound(what=Label(f"执法人员 {key['officer']}", f"the officer {key['officer']}"))


def confirm(house: Instance, key: dict[str, Any], by: Person, rights: Rights) -> None:
    """Say that it is the officer's key.

    :raises NotFound: there is no such officer
    :raises NotAllowed: it is the person's own key
    :raises Refused: it is not waiting to be confirmed
    :raises InvalidField: nothing shows that the officer holds it, or the person may not confirm it
    """
    if officer_of(house, key)["person"] == by.id:
        raise NotAllowed(detail=Label("不能确认自己的密钥", "nobody confirms a key of their own"))
    if key["status"] != "proposed":
        raise Refused(detail=Label("这把密钥不在待确认状态", "this key does not wait to be confirmed"))
    _write(house, key, {"status": "confirmed"}, by, rights)


def withdraw(house: Instance, key: dict[str, Any], since: str, reason: str, by: Person, rights: Rights) -> None:
    """End a key. Co-signatures that say a time before `since` still count.

    :raises Refused: it was withdrawn before
    :raises InvalidField: the person may not
    """
    if key["status"] == "withdrawn":
        raise Refused(detail=Label("这把密钥已经撤销", "this key was withdrawn before"))
    values = {"status": "withdrawn", "withdrawn_at": since, "withdrawn_reason": reason}
    _write(house, key, values, by, rights)


def _write(house: Instance, key: dict[str, Any], values: dict[str, Any], by: Person, rights: Rights) -> None:
    decisions.write(house.desk, KIND, key["record"], values, by=[by.id], rights=rights)
