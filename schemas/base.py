"""RecordSchema: the one declaration from which storage, wire, merging, forms, lists and exports of a kind follow.

    class Sign(RecordSchema):
        kind = "sign"
        label = Label("标志", "Sign")
        area = Area(Label("区划", "Area"), required=True)
        name = Text(Label("名称", "Name"), required=True)

Full `load` and `dump` (marshmallow) serve forms, imports and tests. The hot path of a push touches only the written
paths, through `check_path`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

import marshmallow

from schemas.fields import (
    Area,
    Choice,
    Invalid,
    MergeType,
    Point,
    RecordField,
    Refusal,
    Tags,
    Text,
    check_opaque,
    check_value,
)
from schemas.labels import Label
from schemas.paths import DELETED
from schemas.workflow import Workflow

DEPARTMENTS = "departments"  # the tag field by which a kind tells which departments see a record

PATH = re.compile(r"[a-z][a-z0-9_]{0,39}(/[A-Za-z0-9._-]{1,100})?\Z")

FIELD_ROLES = frozenset({"inspector", "officer", "supervisor", "team"})
AT_DESK = "desk"
"""The sort of bucket that holds what is kept at the desk. No device's scope has one (server/access/rights.py)."""
COMPARTMENTS = ("sealed",)
"""The walls inside every area. What lies behind one leaves no trace on the other side (sync/core/rules.py: Rights)."""

DESK_ROLES = frozenset({"staff", "lead", "city", "province", "admin"})

READ_ROLES = frozenset({"oversight", "department"})
"""Roles that read and write nothing: whoever supervises the supervisors, and departments that work together."""


class Section(NamedTuple):
    """Fields that a form shows together. Fields that no section names follow in a last one."""

    label: Label
    names: tuple[str, ...]


class Due(NamedTuple):
    """The day by which something has to be done: the field that says it, and the statuses in which it still counts.

    Being overdue is never stored: it is a matter of today's date.
    """

    field: str
    running: frozenset[str]


class Plan:
    """The fields of a kind sorted for quick look-up: by name, single, keyed, the status, and those not for makers."""

    __slots__ = ("by_name", "chosen", "keyed", "reserved", "single", "status")

    def __init__(self, by_name: dict[str, RecordField]) -> None:
        self.by_name = by_name
        self.single = {name: field for name, field in by_name.items() if not field.keyed}
        self.keyed = {name: field for name, field in by_name.items() if field.keyed}
        self.status = next((name for name, field in self.single.items() if field.merge == "workflow"), None)
        self.reserved = frozenset(
            n for n, field in by_name.items() if field.writer != "maker" or field.roles is not None
        )
        self.chosen = [
            (name, field) for name, field in self.single.items() if isinstance(field, Choice) and field.reserved
        ]


class RecordSchema(marshmallow.Schema):
    """Base of all kinds. Unknown fields are kept, never dropped: a newer tablet may know more than this program."""

    class Meta:
        unknown = marshmallow.INCLUDE

    kind: ClassVar[str] = ""
    label: ClassVar[Label]
    version: ClassVar[int] = 1
    title: ClassVar[str] = "name"
    area_field: ClassVar[str | None] = "area"
    compartment: ClassVar[str] = ""
    """A wall inside every area: records of this kind are for those only whose grant names the same compartment."""
    at_desk: ClassVar[bool] = False
    """Kept at the desk: no device is ever sent a record of this kind, whatever its grants, and no list shows one."""
    makers: ClassVar[frozenset[str]] = FIELD_ROLES | DESK_ROLES
    workflow: ClassVar[Workflow | None] = None
    search: ClassVar[tuple[str, ...]] = ()
    indexed: ClassVar[tuple[str, ...]] = ()
    """Fields by whose value the server finds records without reading all of them."""
    sorts: ClassVar[tuple[str, ...]] = ()
    """Fields by which long lists are put in order and narrowed down: the server keeps an index for each."""
    runs_out: ClassVar[Due | None] = None
    sections: ClassVar[tuple[Section, ...]] = ()
    placed_by: ClassVar[str] = "institution"
    """The field that names the record in whose position one of this kind stands on a map while it has none of its own."""
    _plan: ClassVar[Plan]

    @classmethod
    def plan(cls) -> Plan:
        """What the hot path needs to know of the kind, worked out once."""
        known: Plan | None = cls.__dict__.get("_plan")
        if known is None:  # marshmallow fills _declared_fields only after the class body has run
            known = cls._plan = Plan({n: f for n, f in cls._declared_fields.items() if isinstance(f, RecordField)})
        return known

    @classmethod
    def fields_by_name(cls) -> Mapping[str, RecordField]:
        """Every declared field by name, in the order of declaration."""
        return cls.plan().by_name

    @classmethod
    def field_of(cls, path: str) -> RecordField | None:
        """The field that a path addresses, or None for a path that this version does not know."""
        plan = cls.plan()
        single = plan.single.get(path)
        return single if single is not None else plan.keyed.get(path.partition("/")[0]) if "/" in path else None

    @classmethod
    def merge_of(cls, path: str) -> MergeType:
        """How concurrent values of a path meet; an unknown path keeps all of them for a person, as a scalar does."""
        field = cls.field_of(path)
        return field.merge if field is not None else "scalar"

    @classmethod
    def status_path(cls) -> str | None:
        """The path that the kind's workflow moves; None where the kind has no workflow."""
        return cls.plan().status

    @classmethod
    def check_path(cls, path: str, value: Any) -> bool:
        """Check one written path. True where the field is known, False where it is kept as it is.

        Raises Invalid, naming the path, for a malformed path or a value that its field refuses.
        """
        plan = cls.plan()
        field = plan.single.get(path)
        if field is not None:
            check_value(field, path, "", value)
            return True
        if path == DELETED:
            _check_deleted(value)
            return True
        if not PATH.match(path):
            raise Invalid(path, Label("不是有效的字段地址", "is not a valid field address"))
        name, slash, key = path.partition("/")
        field = plan.keyed.get(name) if slash else None
        if field is None:
            check_opaque(path, value)
            return False
        check_value(field, path, key, value)
        return True

    @marshmallow.validates_schema
    def _check_unknown(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        """`load` holds what no field describes to the same rule as `check_path`: plain JSON, no floats."""
        for name in data.keys() - self.fields_by_name().keys():
            try:
                self.check_path(name, data[name])
            except Invalid as invalid:
                raise marshmallow.ValidationError(invalid.problem.en, name) from invalid

    @classmethod
    def check_written(cls, written: Mapping[str, Mapping[str, Any]]) -> str | None:
        """Check every path of a change (path → {"value": …}); returns the first one that is not known, if any.

        The same as `check_path` on each, for the hot path: raises Invalid naming the path.
        """
        single, unknown = cls.plan().single, None
        for path, one in written.items():
            field, value = single.get(path), one["value"]
            if field is None:
                if not cls.check_path(path, value) and unknown is None:
                    unknown = path
            elif value is None:
                check_value(field, path, "", value)
            else:
                try:
                    field.check(value)
                except Refusal as refusal:
                    raise Invalid(path, refusal.problem) from refusal
        return unknown

    @classmethod
    def area_of(cls, values: Mapping[str, Any]) -> str | None:
        """The division code that decides who may see the record; None where it has none yet."""
        area = values.get(cls.area_field) if cls.area_field else None
        return area if isinstance(area, str) else None

    @classmethod
    def warnings(cls, values: Mapping[str, Any]) -> dict[str, Label]:
        """Path → what is to be said of words in its text that had better not be there (`Text.avoid`)."""
        found = {}
        for path, value in values.items():
            field = cls.field_of(path)
            if isinstance(field, Text) and field.avoid and isinstance(value, str) and (said := field.avoid.warning(value)):
                found[path] = said
        return found

    @classmethod
    def bucket_sort(cls) -> str:
        """What the buckets of this kind begin with; with a division code after a colon it is the name of one."""
        return cls.compartment or (AT_DESK if cls.at_desk else "area")

    @classmethod
    def projected(cls) -> Iterator[tuple[str, RecordField]]:
        """The single fields that become typed columns of the kind's projection."""
        for name, field in cls.fields_by_name().items():
            if not field.keyed and field.column is not None:
                yield name, field

    @classmethod
    def points(cls) -> Iterator[str]:
        """The single fields that hold a position."""
        return (name for name, field in cls.fields_by_name().items() if isinstance(field, Point))

    @classmethod
    def tagged(cls) -> Iterator[str]:
        """The tag fields whose keys are a short list: the options of the field, or the departments that see a record."""
        for name, field in cls.fields_by_name().items():
            if isinstance(field, Tags) and (field.options or name == DEPARTMENTS):
                yield name

    @classmethod
    def names_departments(cls) -> bool:
        """Whether records of the kind name the departments that they concern, in the tag field `departments`."""
        field = cls.fields_by_name().get(DEPARTMENTS)
        return field is not None and field.keyed and field.merge == "tag"

    @classmethod
    def overdue(cls, values: Mapping[str, Any], today: str) -> bool:
        """Whether a record with these values (path → value) is past its day, on a day (`YYYY-MM-DD`)."""
        if cls.runs_out is None or cls.workflow is None:
            return False
        day, status = values.get(cls.runs_out.field), values.get(cls.status_path() or "") or cls.workflow.initial
        return status in cls.runs_out.running and isinstance(day, str) and day < today


def flatten(record: Mapping[str, Any], schema: type[RecordSchema]) -> dict[str, Any]:
    """A nested record (`{"answers": {"FIR-05": …}}`) as path → value (`{"answers/FIR-05": …}`)."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        field = schema.fields_by_name().get(name)
        if field is not None and field.keyed and isinstance(value, Mapping):
            flat.update({f"{name}/{key}": one for key, one in value.items()})
        else:
            flat[name] = value
    return flat


def nest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Path → value as a nested record: the inverse of `flatten`."""
    nested: dict[str, Any] = {}
    for path, value in values.items():
        name, slash, key = path.partition("/")
        if slash:
            nested.setdefault(name, {})[key] = value
        else:
            nested[name] = value
    return nested


def _check_deleted(value: Any) -> None:
    if value is False:
        return
    shape = isinstance(value, dict) and isinstance(value.get("seen"), list) and isinstance(value.get("reason"), str)
    if not shape or not all(isinstance(one, str) for one in value["seen"]):
        raise Invalid(DELETED, Label("删除应写明 seen 和 reason", "a deletion names what it saw (seen) and a reason"))


__all__ = [
    "AT_DESK",
    "Area",
    "COMPARTMENTS",
    "DELETED",
    "DEPARTMENTS",
    "DESK_ROLES",
    "Due",
    "FIELD_ROLES",
    "PATH",
    "READ_ROLES",
    "Invalid",
    "RecordSchema",
    "Section",
    "flatten",
    "nest",
]
