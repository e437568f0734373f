"""What a custody report says, before anybody lays it out: the evidence of one case, who handled it, and what is missing.

The facts are gathered by whoever has them (the server, from its log and records) and written down once, as the
`report.json` of a bundle. `custody.report_pdf` only lays them out: from equal facts it makes equal bytes, so a reader
who has the bundle can print the report again and compare.

All times are milliseconds since 1970 UTC; None is what nobody knows. Texts are Chinese, as the report is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import orjson

from sync.core.change import canonical
from sync.core.errors import InvalidField, Malformed

Outcome = Literal["pass", "fail", "not-checked"]
VERSION = 1

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of evidence.

    number      its place in this report, from 1;  evidence: the record's id
    not_before  no earlier than: time of the newest checkpoint that its maker had seen
    not_after   no later than: the first witness, time stamp or receipt that covers it
    claimed     what the tablet's own clock said; `unsure_ms` how far it may have been off
    """

    number: int
    evidence: str
    title: str
    statutory_kind: str
    mime: str
    size: int
    sha256: str
    sm3: str | None = None
    not_before: int | None = None
    not_before_by: str = ""
    not_after: int | None = None
    not_after_by: str = ""
    claimed: int | None = None
    unsure_ms: int | None = None
    place: str = ""
    makers: tuple[str, ...] = ()
    equipment: str = ""
    source: str = ""
    grade: str = ""
    held: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """One link of the chain of custody of the item `item`: what happened to it, when, by whom, where it then was."""

    item: int
    at: int | None
    what: str
    who: str
    device: str
    where: str
    checked: str


@dataclass(frozen=True, slots=True)
class Amendment:
    """A value that was written again after it had been signed, or corrected: what it was, what it became, and why."""

    at: int | None
    where: str
    old: str
    new: str
    reason: str
    who: str


@dataclass(frozen=True, slots=True)
class Derivation:
    """A file made from an original: `operation` with its parameters and the tool that did it."""

    item: int
    at: int | None
    operation: str
    parameters: str
    tool: str
    sha256: str
    who: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """One opening: by whom, for what purpose, of the original or of a derivative, and its place in the log."""

    at: int
    who: str
    what: str
    purpose: str
    leaf: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of the bundle: its code (V01 …), what it asked, and its outcome in words."""

    code: str
    title: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that the report tells.

    number   of the evidence bundle;  content: SHA-256 over the bundle's evidence, as the bundle's manifest gives it
    root     the fingerprint of the authority's root key; log: origin, size and root of the newest checkpoint used
    gaps     what is missing or odd, in words; an empty list is printed as 「无」
    """

    number: str
    case: str
    title: str
    authority: str
    party: str
    purpose: str
    made: int
    content: str
    root: str
    log_origin: str
    log_size: int
    log_root: str
    grade: str = ""
    grade_reasons: tuple[str, ...] = ()
    items: tuple[Item, ...] = ()
    steps: tuple[Step, ...] = ()
    amendments: tuple[Amendment, ...] = ()
    derivations: tuple[Derivation, ...] = ()
    accesses: tuple[Access, ...] = ()
    findings: tuple[Finding, ...] = ()
    gaps: tuple[str, ...] = ()

    def dump(self) -> bytes:
        """The one written form (canonical JSON)."""
        return canonical({"v": VERSION, **asdict(self)})


def read_report(content: bytes) -> Report:
    """The report that `Report.dump` wrote.

    :raises Malformed, InvalidField: it is in another form
    """
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Malformed(detail=str(error)) from error
    if type(body) is not dict or body.pop("v", None) != VERSION:
        raise Malformed(detail="not a custody report of this version")
    report = _row(Report, body, "report")
    if report.dump() != content:
        raise Malformed(detail="not the one written form of a custody report")
    return report


def _row(kind: type[Row], body: Any, where: str) -> Row:
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(body, Mapping) or not body.keys() <= known.keys():
        raise InvalidField(field=where, detail="holds other members than a custody report has")
    hints = get_type_hints(kind)
    for name, one in known.items():
        if name not in body and one.default is MISSING:
            raise InvalidField(field=f"{where}.{name}", detail="is missing")
    return kind(**{name: _value(hints[name], value, f"{where}.{name}") for name, value in body.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    """A JSON value as the declared type of its field: a tuple of rows, a text or a number, or None where allowed."""
    if get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        if type(value) is not list:
            raise InvalidField(field=where, detail="is a list")
        read = _value if inner is str else _row
        return tuple(read(inner, one, f"{where}[{at}]") for at, one in enumerate(value))
    if get_origin(hint) is Literal:
        allowed: tuple[Any, ...] = get_args(hint)
        fits = value in allowed
    else:
        allowed = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        fits = type(value) in allowed
    if not fits:
        raise InvalidField(field=where, detail="is of another type")
    return value
