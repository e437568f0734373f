"""Which conflict is to be decided first. The order of work and nothing else: it decides no conflict."""

from __future__ import annotations

from schemas.base import RecordSchema
from schemas.labels import Label
from sync.core.fold import Conflict

URGENT, WEIGHTY, ORDINARY = 1, 2, 3
RANKS = {
    URGENT: Label("先办", "First"),
    WEIGHTY: Label("次办", "Second"),
    ORDINARY: Label("一般", "Ordinary"),
}
"""Rank → what it is called."""


def rank(conflict: Conflict, schema: type[RecordSchema] | None) -> int:
    """1 for what law or a step hangs on, 2 for what somebody signed or that keeps a record from being right, else 3."""
    if conflict.kind in ("delete_edit", "bad-signature", "revoked"):
        return URGENT
    if conflict.kind != "values":
        return WEIGHTY
    field = schema.field_of(conflict.path) if schema is not None else None
    if field is None:
        return ORDINARY
    if field.second_person or field.merge == "workflow":
        return URGENT
    return WEIGHTY if field.frozen or field.required else ORDINARY
