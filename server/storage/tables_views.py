"""Views of lists that people keep: a name for a list with its filters, columns and order. Each person has their own."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Table, Text, UniqueConstraint

from server.storage.tables import Big
from server.storage.tables_accounts import metadata

views = Table(
    "views",
    metadata,
    Column("number", Big, primary_key=True),
    Column("person", Text, ForeignKey("people.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("made", Big, nullable=False),
    UniqueConstraint("person", "kind", "name"),
)

__all__ = ["metadata", "views"]
