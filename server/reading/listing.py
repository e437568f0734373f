"""The records of a kind as people read them: for lists and for spreadsheets. The columns follow from the schema; a kind
of evidence has its computed grade first.

A field in conflict says so; no list and no export ever shows a value that nobody decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from schemas.fields import Choice, Flag
from schemas.labels import Label, Language
from server.evidence.grading import GRADE, Grader
from server.instance import Instance
from server.register import sheets
from sync.core.errors import UnknownKind
from sync.core.grade import GRADE_LABEL, GRADED
from sync.core.rules import Rights

IN_CONFLICT = Label("冲突待决", "in conflict")
YES, NO = Label("是", "yes"), Label("否", "no")
ID = Label("编号", "id")
NOBODY = Rights("", ())


class Listing:
    """The records of one kind in one language.

    rights: of the person who reads; asked for what lies behind a wall, where a kind does not exist for those whose
    grants do not lead there. Raises UnknownKind.
    """

    def __init__(self, house: Instance, kind: str, language: Language = "zh", rights: Rights = NOBODY) -> None:
        schema = house.registry.get(kind)
        if schema is None or schema.at_desk or (schema.compartment and not rights.within.get(schema.compartment)):
            raise UnknownKind(kind=kind)
        self.house, self.schema, self.language, self.rights = house, schema, language, rights
        self.names = [*([GRADE] if kind in GRADED else []), *(name for name, _ in schema.projected())]

    def header(self, names: Sequence[str]) -> list[Label]:
        """The id, then the labels of these columns."""
        fields = self.schema.fields_by_name()
        return [ID, *(GRADE_LABEL if name == GRADE else fields[name].label for name in names)]

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of the projection as they are stored, with their grade, in the order in which records were made."""
        with self.house.database.read() as conn:
            rows = self.house.projections.rows(conn, self.schema.kind)
            wall, name = self.schema.compartment, self.schema.area_field
            if wall and name is not None:
                rows = (row for row in rows if self.rights.covers(row[name] or "", wall))
            if self.schema.kind not in GRADED:
                yield from rows
                return
            grader = Grader(self.house, conn)
            for row in rows:
                graded = grader.grade(row["record"])
                yield row | {GRADE: graded.grade if graded is not None else None}

    def lines(self, names: Sequence[str]) -> Iterator[list[Any]]:
        """The id and these fields of each record, as a person reads them."""
        for row in self.rows():
            yield [row["record"], *(self.cell(name, row) for name in names)]

    def cell(self, name: str, row: dict[str, Any]) -> Any:
        """A field as a person reads it, never the provisional value of a conflict."""
        if name == GRADE:
            return row[GRADE]
        if name in orjson.loads(row["conflicted"]):
            return IN_CONFLICT.text(self.language)
        value, field = row[name], self.schema.fields_by_name()[name]
        if isinstance(field, Choice) and value in field.options:
            return field.options[value].text(self.language)
        workflow = self.schema.workflow
        if workflow is not None and field.merge == "workflow" and value in workflow.statuses:
            return workflow.statuses[value].label.text(self.language)
        if isinstance(field, Flag) and value is not None:
            return (YES if value else NO).text(self.language)
        return value

    def write_csv(self, file: Path) -> int:
        """Every record and column as CSV that Excel opens; returns the number of records."""
        return sheets.write_csv(file, self._table()) - 1

    def write_xlsx(self, file: Path) -> int:
        """The same as XLSX."""
        return sheets.write_xlsx(file, self._table(), self.schema.label.text(self.language)) - 1

    def _table(self) -> Iterator[list[Any]]:
        yield [label.text(self.language) for label in self.header(self.names)]
        yield from self.lines(self.names)
