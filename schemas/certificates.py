"""Enforcement certificates: who may enforce on a day, and which of several officers are distinct holders.

行政处罚法第四十二条 asks for two people with a certificate. The rule is asked on the tablet before submitting, on the
server when an inspection arrives, and by whoever verifies the evidence years later; so it stands here alone, on plain
values and the standard library.
"""

from __future__ import annotations

import datetime
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from schemas.labels import Label

Values = Mapping[str, Any]
"""path → value of an officer's record."""

CHINA = datetime.timezone(datetime.timedelta(hours=8))
"""Beijing time is the legal time of the whole country: a certificate runs out with the day there."""


class Enforcing(NamedTuple):
    """Of the officers named, those whose certificate counts on the day (officer id → certificate), and why the others
    do not. Each certificate counts once, however many records carry it."""

    certificates: Mapping[str, str]
    refused: tuple[Label, ...]


def may_enforce(officer: Values, day: str) -> bool:
    """Whether an officer's values allow enforcement on a day (`YYYY-MM-DD`). See `why_not`."""
    return why_not(officer, day) is None


def why_not(officer: Values | None, day: str) -> Label | None:
    """Why somebody may not enforce on a day; None where they may. A certificate without an end does not run out.

    What ended later (`status_since`) does not touch the day: an officer who has left since was one then.
    """
    if officer is None:
        return Label("不在执法人员名册中", "is not in the list of officers")
    who = str(officer.get("name") or "")
    if not certificate_of(officer):
        return Label(f"{who} 没有执法证号", f"{who} has no certificate number")
    since = officer.get("valid_from")
    if isinstance(since, str) and day < since:
        return Label(f"{who} 的证件 {since} 起才有效", f"the certificate of {who} is valid from {since} only")
    until = officer.get("valid_until")
    if isinstance(until, str) and day > until:
        return Label(f"{who} 的证件已于 {until} 到期", f"the certificate of {who} ran out on {until}")
    changed = officer.get("status_since")
    if officer.get("status", "active") != "active" and not (isinstance(changed, str) and day < changed):
        return Label(f"{who} 已离岗或暂停执法", f"{who} is suspended or has left")
    return None


def certificate_of(officer: Values) -> str:
    """The certificate number in its one form: two spellings of it are one certificate."""
    written = unicodedata.normalize("NFKC", str(officer.get("certificate_number") or ""))
    return "".join(sign for sign in written if sign.isalnum()).upper()


def enforcing(named: Iterable[str], officers: Mapping[str, Values], day: str) -> Enforcing:
    """Which of the officers named may enforce on a day. `officers` are the records known, by id."""
    found: dict[str, str] = {}
    people: set[str] = set()
    refused: list[Label] = []
    for id in sorted(set(named)):
        officer = officers.get(id)
        reason = why_not(officer, day)
        if officer is None or reason is not None:
            refused.append(reason or why_not(None, day) or Label("", ""))
            continue
        certificate, person = certificate_of(officer), str(officer.get("person") or "")
        if certificate in found.values() or (person and person in people):
            name = str(officer.get("name") or "")
            refused.append(Label(f"{name} 是同一个人，只算一名", f"{name} is the same person and counts once"))
            continue
        found[id] = certificate
        people.add(person)
    return Enforcing(found, tuple(refused))


def day_of(moment: Any) -> str:
    """The calendar day in China of a moment in UTC (`2026-11-22T04:30:45.118Z`); empty for what is none."""
    try:
        return datetime.datetime.fromisoformat(str(moment)).astimezone(CHINA).date().isoformat()
    except (ValueError, OverflowError):
        return ""
