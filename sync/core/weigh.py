"""What the grade of a record is computed from: the record as merged, and what the log knows of those who wrote it.

Only what a signature covers counts, and the signatures: a reviewer's remark or a caption makes nothing better or worse.
A value that a decision chose has the authors of all that it chose between, so deciding never raises a grade. The tablet
knows its own changes and, of everybody else's, the role beside each live value; the server knows all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from schemas.base import RecordSchema
from sync.core.fold import Entry, State, contested, values_of
from sync.core.grade import Author, Graded, Known, named_officers
from sync.core.rules import SYSTEM
from sync.core.signing import content_hash

LookUp = Callable[[Collection[str]], Mapping[str, Mapping[str, Any]]]
"""Of these ids, the values (path → value) of those that are known."""


def known_of(
    state: State,
    schema: type[RecordSchema],
    book: Mapping[str, Entry],
    *,
    officers: LookUp,
    keys: LookUp,
    sources: Collection[Graded] = (),
) -> Known:
    """What the grade of a record is computed from.

    book      change id → what was kept of it; of as many changes of the record as are known
    officers  by the ids of their records; `keys` by key ids
    sources   grades of what the record is made of (`grade.Known`)
    """
    values = values_of(state, schema.merge_of)
    weighed = [path for path in state.live if _counts(schema, path)]
    return Known(
        content=content_hash(schema, state.record, values),
        authors=sorted({author for path in weighed for author in _authors(state, path, book)}),
        officers=officers(named_officers(values)),
        keys=keys(_named_keys(values)),
        contested=[path for path in contested(state, schema.merge_of) if path in weighed],
        sources=tuple(sources),
    )


def _counts(schema: type[RecordSchema], path: str) -> bool:
    field = schema.field_of(path)
    return field is not None and (field.frozen or path.startswith("signatures/"))


def _authors(state: State, path: str, book: Mapping[str, Entry]) -> Iterator[Author]:
    seen: set[str] = set()
    todo = list(state.live[path])
    while todo:
        id = todo.pop()
        if id in seen:
            continue
        seen.add(id)
        entry = book.get(id)
        if entry is None:
            if id in state.acts:
                yield Author(state.acts[id].role)
            continue
        yield Author(entry.role, entry.reason == "revoked")
        if (entry.change.decision is not None or entry.role == SYSTEM) and path in entry.change.set:
            todo.extend(entry.change.parents(path))


def _named_keys(values: Mapping[str, Any]) -> list[str]:
    signatures = (value for path, value in values.items() if path.startswith("signatures/"))
    return sorted({str(one["key"]) for one in signatures if isinstance(one, Mapping) and one.get("key")})
