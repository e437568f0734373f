"""Grades at the server, which knows every change that was ever kept and so has the last word on them.

A grade is never stored: it is computed from the log whenever it is asked for. Of a record that others were merged into,
each is graded for itself, and the lowest counts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from server.instance import Instance
from server.storage import journal, states
from server.storage.database import Connection
from sync.core.errors import NotFound
from sync.core.fold import Entry, State, deleted, fold, values_of
from sync.core.grade import GRADED, Grade, Graded, Known, grade_of
from sync.core.weigh import known_of

GRADE = "grade"
"""A column that no schema has: it is computed."""


@dataclass
class Grader:
    """Grades records within one read; what it looked up once, it keeps."""

    house: Instance
    conn: Connection
    _states: dict[str, State | None] = field(default_factory=dict)
    _grades: dict[str, Graded | None] = field(default_factory=dict)
    _books: dict[str, dict[str, Entry]] = field(default_factory=dict)

    def grade(self, record: str) -> Graded | None:
        """The grade of a record; None for a kind that has none. Raises NotFound."""
        if record not in self._grades:
            state = self._state(record)
            if state is None:
                raise NotFound(what=record)
            self._grades[record] = None  # evidence that would belong to itself has no better grade than any
            if state.kind in GRADED and state.kind in self.house.registry.names():
                self._grades[record] = grade_of(state.kind, self._values(state), self.known(state))
        return self._grades[record]

    def of(self, records: Collection[str]) -> dict[str, Grade]:
        """record → its grade, of those of these records that are held; what they need is looked up for all at once."""
        stored = states.load(self.conn, [one for one in records if one not in self._states])
        for record, row in stored.items():
            self._states[record] = State.read(bytes(row.bytes)) if row.bucket is not None else None
        held = [one for one in records if (state := self._state(one)) is not None and state.kind in GRADED]
        for entry in journal.entries(self.conn, held):
            self._books.setdefault(entry.change.record, {})[entry.change.id] = entry
        return {one: graded.grade for one in held if (graded := self.grade(one)) is not None}

    def known(self, state: State) -> Known:
        """What the grade of a record is computed from."""
        book = dict(self._books.get(state.record, {}))
        if not book or state.members:
            book = {entry.change.id: entry for entry in journal.entries(self.conn, {state.record, *state.members})}
        return self._known(state, book, [*self._merged(state, book), *self._subject(state)])

    def _known(self, state: State, book: dict[str, Entry], sources: list[Graded]) -> Known:
        schema = self.house.registry[state.kind]
        return known_of(
            state,
            schema,
            book,
            officers=lambda ids: self._values_by_id(ids, "officer"),
            keys=lambda ids: self._values_by_id(ids, "officer_key"),
            sources=sources,
        )

    def _merged(self, state: State, book: dict[str, Entry]) -> list[Graded]:
        """The grades of what was merged into a record, each as if nothing had been."""
        found = []
        for member in (state.record, *state.members) if state.members else ():
            own = [entry for entry in book.values() if entry.change.record == member]
            alone = fold(entry for entry in own if (entry.change.decision or {}).get("do") != "merge").get(member)
            if alone is not None and alone.live:
                graded = grade_of(state.kind, self._values(alone), self._known(alone, book, []))
                found.extend([graded] if graded is not None else [])
        return found

    def _subject(self, state: State) -> list[Graded]:
        """The grade of what evidence belongs to. Evidence of a record that is not held here is a tip."""
        if state.kind != "evidence":
            return []
        try:
            subject = self.grade(str(self._values(state).get("subject") or ""))
        except NotFound:
            return [Graded("D")]
        return [subject] if subject is not None else []

    def _values_by_id(self, ids: Collection[str], kind: str) -> dict[str, dict[str, Any]]:
        found = {id: self._state(id) for id in ids}
        return {
            id: self._values(state)
            for id, state in found.items()
            if state is not None and state.kind == kind and not deleted(state)
        }

    def _values(self, state: State) -> dict[str, Any]:
        return values_of(state, self.house.registry[state.kind].merge_of)

    def _state(self, record: str) -> State | None:
        if record not in self._states:
            root = journal.roots(self.conn, [record]).get(record, record)
            stored = states.load(self.conn, [root]).get(root)
            here = stored is not None and stored.bucket is not None
            self._states[record] = State.read(bytes(stored.bytes)) if stored is not None and here else None
        return self._states[record]
