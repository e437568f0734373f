"""The tables of what staff prepare and do together at a desk. What they decide is in the log; these tell how it came about.

    proposals   decisions on sensitive fields that wait for, or had, a second person
    twins       institutions that may be one, and what staff said of them
    sweeps      many conflicts that somebody decided at once, so that they can be taken back at once

All times are server milliseconds.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, PrimaryKeyConstraint, Table, Text

from server.storage.tables import Big, metadata

proposals = Table(
    "proposals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("conflict", Text, nullable=False),
    Column("record", Text, nullable=False),
    Column("record_kind", Text, nullable=False),
    Column("bucket", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("do", Text, nullable=False),  # resolve, admit
    Column("seen", Text, nullable=False),  # JSON list: the changes that its author looked at
    Column("value", Text, nullable=False),  # JSON: what is to stand; null for admit
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Big, nullable=False),
    Column("status", Text, nullable=False),  # waiting, confirmed, refused, overtaken
    Column("second", Text),
    Column("second_at", Big),
    Column("second_reason", Text),
    Column("change", Text),  # the decision, once confirmed
    Index("proposals_by_status", "status", "at"),
    Index("proposals_by_conflict", "conflict"),
)

sweeps = Table(
    "sweeps",
    metadata,
    Column("id", Text, primary_key=True),
    Column("by", Text, nullable=False),
    Column("at", Big, nullable=False),
    Column("scope", Text, nullable=False),  # JSON: record, device or day
    Column("rule", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("lines", Text, nullable=False),  # JSON: [conflict, record, bucket, change] of each decision
    Column("undone", Big),
    Index("sweeps_by_time", "at"),
)

twins = Table(
    "twins",
    metadata,
    Column("one", Text, nullable=False),
    Column("other", Text, nullable=False),
    Column("area", Text, nullable=False),
    Column("other_area", Text, nullable=False),
    Column("score", Integer, nullable=False),
    Column("reasons", Text, nullable=False),  # JSON list of codes
    Column("found", Big, nullable=False),
    Column("status", Text, nullable=False),  # open, apart
    Column("by", Text),
    Column("at", Big),
    Column("why", Text),
    PrimaryKeyConstraint("one", "other"),
    Index("twins_by_status", "status", "score"),
    Index("twins_by_other", "other"),
)

__all__ = ["metadata", "proposals", "sweeps", "twins"]
