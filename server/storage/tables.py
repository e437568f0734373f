"""The core tables, once for every database. Projections are made from the kinds (`projections.py`), people, devices and
blobs are in `tables_access.py`; all share one `metadata`.

    changes     the log: every change that was ever kept, with what the server did with it
    edges       parent → child, so that a change that arrives after its child knows that it is replaced
    states      one row per record as merged; `bytes` is what tablets are sent, untouched
    aliases     member → root of merged records;  links: every merge that was ever decided
    buckets     one dense counter per scope; `head` is raised as the last write of a transaction
    feed        the latest position of each record in its bucket; `gone` says why one left
    conflicts   work for people; a projection that can be rebuilt. sides: of those that wait, the candidates and their tablets
    tiles, acts the Merkle logs, one for each compartment: 256 hashes a tile, and the server's own leaves
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

WAITING = "status <> 'resolved'"
"""A conflict that waits for somebody: as the indexes of what waits have it, and as a query has to say it to use them."""

# An INTEGER primary key is SQLite's row id; BIGINT is what PostgreSQL needs for the same range.
Big = BigInteger().with_variant(Integer(), "sqlite")

meta = Table("meta", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))

changes = Table(
    "changes",
    metadata,
    Column("log", Text, nullable=False),  # the compartment whose log it is a leaf of; empty: the open one
    Column("leaf", Big, nullable=False),  # position in that log
    Column("id", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("replica", Text, nullable=False),
    Column("n", Big, nullable=False),
    Column("chain", Text, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("device", Text, nullable=False),
    Column("record", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("stamp", Text, nullable=False),  # effective clock stamp where the change's own runs ahead, else empty
    Column("received", Big, nullable=False),  # server milliseconds
    PrimaryKeyConstraint("log", "leaf"),
    UniqueConstraint("id"),
    Index("changes_by_replica", "replica", "n"),
    Index("changes_by_record", "record"),
    Index("changes_not_accepted", "received", "log", sqlite_where=text("status <> 'accepted'")),
)

edges = Table(
    "edges",
    metadata,
    Column("parent", Text, nullable=False),
    Column("child", Text, nullable=False),
    PrimaryKeyConstraint("parent", "child"),
    sqlite_with_rowid=False,
)

links = Table(
    "links",
    metadata,
    Column("record", Text, nullable=False),
    Column("other", Text, nullable=False),
    PrimaryKeyConstraint("record", "other"),
    Index("links_by_other", "other"),
    sqlite_with_rowid=False,
)

aliases = Table("aliases", metadata, Column("member", Text, primary_key=True), Column("root", Text, nullable=False))
Index("aliases_by_root", aliases.c.root)

buckets = Table(
    "buckets",
    metadata,
    Column("key", Big, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("head", Big, nullable=False),
    Column("floor", Big, nullable=False),  # removals at or below it have been forgotten
    Column("count", Big, nullable=False),
    Column("sum", Big, nullable=False),  # sum of the checksums of the records in it
)

states = Table(
    "states",
    metadata,
    Column("key", Big, primary_key=True),
    Column("record", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("rev", Big, nullable=False),
    Column("bucket", Big, ForeignKey("buckets.key")),  # NULL: merged into another record
    Column("sum", Big, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
)

feed = Table(
    "feed",
    metadata,
    Column("bucket", Big, nullable=False),
    Column("at", Big, nullable=False),
    Column("state", Big, nullable=False),
    Column("gone", Text),  # NULL: the record is here; moved, merged: it left
    Column("since", Big, nullable=False),  # server milliseconds, for forgetting old removals
    PrimaryKeyConstraint("bucket", "at"),
    UniqueConstraint("bucket", "state"),
    sqlite_with_rowid=False,
)

conflicts = Table(
    "conflicts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("record", Text, nullable=False),
    Column("record_kind", Text, nullable=False),
    Column("bucket", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("candidates", Text, nullable=False),  # JSON list of change ids
    Column("status", Text, nullable=False),  # open, reopened, resolved
    Column("opened", Big, nullable=False),
    Column("closed", Big),
    Column("decision", Text),  # the change that closed it, where a decision did
    Column("rank", Integer, nullable=False, server_default="3"),  # 1 is to be decided first (`server.merging.weights`)
    Index("conflicts_by_record", "record"),
    Index("conflicts_by_status", "status", "opened"),
    Index("conflicts_by_closed", "closed", "id", "bucket"),
    # Each tells scope and sort without a look at the rows.
    Index("conflicts_by_rank", "rank", "opened", "id", "bucket", "kind", sqlite_where=text(WAITING)),
    Index("conflicts_by_age", "opened", "id", "bucket", "kind", sqlite_where=text(WAITING)),
    Index("conflicts_by_bucket", "bucket", "kind", "rank", "opened", "id", sqlite_where=text(WAITING)),
)

sides = Table(
    "sides",
    metadata,
    Column("conflict", Text, nullable=False),
    Column("change", Text, nullable=False),
    Column("device", Text, nullable=False),
    PrimaryKeyConstraint("conflict", "change"),
    Index("sides_by_device", "device", "conflict"),
    sqlite_with_rowid=False,
)

tiles = Table(
    "tiles",
    metadata,
    Column("log", Text, nullable=False),
    Column("level", Integer, nullable=False),
    Column("position", Big, nullable=False),
    Column("hashes", LargeBinary, nullable=False),
    PrimaryKeyConstraint("log", "level", "position"),
)

acts = Table(
    "acts",
    metadata,
    Column("log", Text, nullable=False),
    Column("leaf", Big, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    PrimaryKeyConstraint("log", "leaf"),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("log", Text, nullable=False),
    Column("size", Big, nullable=False),
    Column("note", Text, nullable=False),
    Column("made", Big, nullable=False),
    PrimaryKeyConstraint("log", "size"),
)

cosignatures = Table(
    "cosignatures",
    metadata,
    Column("log", Text, nullable=False),
    Column("size", Big, nullable=False),  # of the checkpoint that it stands below
    Column("witness", Text, nullable=False),
    Column("line", Text, nullable=False),  # as the witness wrote it, with its newline
    Column("at", Big, nullable=False),  # when, by the witness's clock
    PrimaryKeyConstraint("log", "size", "witness"),
)

stamps = Table(
    "stamps",
    metadata,
    Column("log", Text, nullable=False),
    Column("size", Big, nullable=False),  # of the checkpoint whose note is stamped
    Column("authority", Text, nullable=False),  # where it was asked
    Column("response", LargeBinary, nullable=False),  # the bytes as they came
    Column("at", Big, nullable=False),  # the time that is in it
    PrimaryKeyConstraint("log", "size", "authority"),
)
