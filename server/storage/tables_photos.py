"""Tables for finding photos that look alike.

    photo_todo     blobs that are new, or newly named by evidence: a queue, filled in the transaction that brought them
    photo_prints   the print of each picture, and why there is none; `number` is what the index names
    likenesses     what was found: a later piece of evidence, an earlier one, and how they are alike

The index is a file of its own with tables of its own (`index`): it can be made again from the prints at any time, and the
locks of its writers stand in nobody's way. Each compartment has its own file, so that what is in one can never be found,
counted or timed from another.

    buckets        key → the numbers of its photos, four bytes each, the least first
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from server.storage.tables import Big, metadata

photo_todo = Table("photo_todo", metadata, Column("sha256", Text, primary_key=True), sqlite_with_rowid=False)

photo_prints = Table(
    "photo_prints",
    metadata,
    Column("number", Big, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("print", LargeBinary),  # NULL: no picture could be made of it
    Column("made", Big, nullable=False),
    UniqueConstraint("sha256"),
)

likenesses = Table(
    "likenesses",
    metadata,
    Column("record", Text, nullable=False),
    Column("earlier", Text, nullable=False),
    Column("sort", Text, nullable=False),
    Column("turn", Text, nullable=False),
    Column("score", Integer, nullable=False),
    Column("share", Integer, nullable=False),
    Column("found", Big, nullable=False),
    PrimaryKeyConstraint("record", "earlier"),
    Index("likenesses_by_earlier", "earlier"),
    Index("likenesses_by_time", "found"),
)

index = MetaData()

buckets = Table(
    "buckets",
    index,
    Column("key", Big, primary_key=True, autoincrement=False),
    Column("photos", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

__all__ = ["buckets", "index", "likenesses", "metadata", "photo_prints", "photo_todo"]
