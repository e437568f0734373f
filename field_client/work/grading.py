"""The grade of a record as this tablet knows it: the rule of the server and the verifier, on what is here. What has not
arrived, such as a colleague's change or the county's word on a key, can still change it."""

from __future__ import annotations

from field_client.tablet import Tablet
from field_client.work.inspecting import values_known
from sync.core.fold import Entry
from sync.core.grade import Graded, grade_of
from sync.core.weigh import known_of


def grade(tablet: Tablet, record: str) -> Graded | None:
    """The grade of a record and what keeps it from a better one; None for a kind without. Raises NotFound."""
    state = tablet.view(record)
    schema = tablet.registry.get(state.kind)
    if schema is None:
        return None
    identity = tablet.identity
    role = identity.person.role if identity is not None else ""
    # What is laid over the pulled state was written here; its role is not in it before it comes back.
    book = {
        own.change.id: Entry(own.change, role=role) for own in tablet.history(record) if own.status != "settled"
    }
    known = known_of(
        state,
        schema,
        book,
        officers=lambda ids: values_known(tablet, ids),
        keys=lambda ids: values_known(tablet, ids),
    )
    return grade_of(state.kind, tablet.values(record), known)

