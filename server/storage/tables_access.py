"""The tables around the core: people and their grants, devices and their replicas, blobs and their uploads.

    people, grants      who may do what, where, from when to when
    devices, replicas   enrolled tablets, and the database incarnations that each has had
    contacts            when each tablet was last heard of
    leases              what the server lends to each tablet, so that its keys can be opened; destroyed when it is revoked
    invitations         enrolments that wait for a second person
    enrolment_codes     one-time codes, known only by a keyed hash
    blobs               bytes that the server holds and has hashed
    holdings            the act by which a compartment's log says that a blob is held
    blob_mentions       which records name a blob: who may fetch it, and whether an unfinished upload is still wanted
    awaited             blobs that records name and that have not arrived
    uploads             blobs on their way; which parts are there is told by the files alone
    viewings            who is looking at which original now: the opening is in the log, its end is not yet

All times are server milliseconds.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text

from server.storage.tables import Big, metadata

people = Table(
    "people",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("added", Big, nullable=False),
)

grants = Table(
    "grants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("person", Text, ForeignKey("people.id"), nullable=False),
    Column("area", Text, nullable=False),  # prefix of a division code; empty is everywhere
    Column("role", Text, nullable=False),
    Column("compartment", Text, nullable=False),  # the wall that it leads behind; empty: none
    Column("department", Text, nullable=False, server_default=""),  # which one, for the role of other departments
    Column("since", Big, nullable=False),
    Column("until", Big),  # NULL: until further notice
    Index("grants_by_person", "person"),
)

devices = Table(
    "devices",
    metadata,
    Column("id", Text, primary_key=True),
    Column("person", Text, ForeignKey("people.id"), nullable=False),
    Column("key", LargeBinary, nullable=False, unique=True),  # raw Ed25519 public key
    Column("name", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("enrolled", Big, nullable=False),
    Column("revoked", Big),
    Column("revoked_reason", Text, nullable=False),
    Index("devices_by_person", "person"),
)

replicas = Table(
    "replicas",
    metadata,
    Column("id", Text, primary_key=True),
    Column("device", Text, ForeignKey("devices.id"), nullable=False),
    Column("registered", Big, nullable=False),
    Index("replicas_by_device", "device"),
)

contacts = Table(
    "contacts",
    metadata,
    Column("device", Text, ForeignKey("devices.id"), primary_key=True),
    Column("seen", Big, nullable=False),
    sqlite_with_rowid=False,
)

leases = Table(
    "leases",
    metadata,
    Column("device", Text, ForeignKey("devices.id"), primary_key=True),
    Column("share", LargeBinary),  # sealed by a key that is not in the database; NULL once it was destroyed
    Column("contact", LargeBinary),  # raw Ed25519 public key by which the tablet asks when it is locked
    Column("key", LargeBinary),  # raw Ed25519 public key that only the right PIN gives
    Column("recovery", Integer),  # by which version of the recipients its keys can be recovered; NULL: by nobody
    Column("hours", Integer),  # granted to this tablet; NULL: what its role is granted
    Column("granted", Big),
    Column("expires", Big),
    Column("failures", Integer, nullable=False),  # wrong PINs in a row, as proved to the server
    Column("failed", Big),  # when the last one was
    sqlite_with_rowid=False,
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("person", Text, ForeignKey("people.id"), nullable=False),
    Column("hours", Integer, nullable=False),
    Column("asked", Big, nullable=False),
    Column("asked_by", Text, ForeignKey("people.id"), nullable=False),
    sqlite_with_rowid=False,
)

enrolment_codes = Table(
    "enrolment_codes",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # HMAC-SHA-256 under a key that is not in the database
    Column("person", Text, ForeignKey("people.id"), nullable=False),
    Column("made", Big, nullable=False),
    Column("expires", Big, nullable=False),
    Column("device", Text, ForeignKey("devices.id")),  # who used it
)

blobs = Table(
    "blobs",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("size", Big, nullable=False),
    Column("mime", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("held", Big, nullable=False),
)

holdings = Table(
    "holdings",
    metadata,
    Column("sha256", Text, ForeignKey("blobs.sha256"), nullable=False),
    Column("log", Text, nullable=False),
    Column("act", LargeBinary, nullable=False),
    Column("leaf", Big, nullable=False),
    PrimaryKeyConstraint("sha256", "log"),
)

digests_todo = Table("digests_todo", metadata, Column("sha256", Text, primary_key=True), sqlite_with_rowid=False)

blob_digests = Table(
    "blob_digests",
    metadata,
    Column("sha256", Text, ForeignKey("blobs.sha256"), primary_key=True),
    Column("tree", Text, nullable=False),  # what the server computed, whatever any record says
    Column("sm3", Text, nullable=False),
    Column("made", Big, nullable=False),
    sqlite_with_rowid=False,
)

made_here = Table(
    "made_here",
    metadata,
    Column("sha256", Text, ForeignKey("blobs.sha256"), nullable=False),
    Column("record", Text, nullable=False),  # the one for which the server made it: no other is opened by its word
    PrimaryKeyConstraint("sha256", "record"),
    sqlite_with_rowid=False,
)

blob_mentions = Table(
    "blob_mentions",
    metadata,
    Column("sha256", Text, nullable=False),
    Column("record", Text, nullable=False),
    Column("device", Text, nullable=False),  # who named it: naming a digest alone gives no right to the bytes
    PrimaryKeyConstraint("sha256", "record", "device"),
    sqlite_with_rowid=False,
)

awaited = Table(
    "awaited",
    metadata,
    Column("sha256", Text, nullable=False),
    Column("record", Text, nullable=False),
    Column("device", Text, nullable=False),
    PrimaryKeyConstraint("sha256", "record", "device"),
    Index("awaited_by_device", "device"),
    sqlite_with_rowid=False,
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("device", Text, ForeignKey("devices.id"), nullable=False),
    Column("sha256", Text, nullable=False),
    Column("size", Big, nullable=False),
    Column("mime", Text, nullable=False),
    Column("part_size", Integer, nullable=False),
    Column("role", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("begun", Big, nullable=False),
    Column("completed", Big),
    Index("uploads_by_device", "device", "sha256"),
)

viewings = Table(
    "viewings",
    metadata,
    Column("log", Text, nullable=False),
    Column("leaf", Big, nullable=False),  # of the act that opened it
    Column("device", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("part", Text, nullable=False),  # original, a width in pixels, or denied
    Column("purpose", Text, nullable=False),
    Column("began", Big, nullable=False),
    Column("newest", Big, nullable=False),
    Column("requests", Integer, nullable=False),
    Column("spans", Text, nullable=False),  # JSON list of [first, last] byte
    PrimaryKeyConstraint("log", "leaf"),
    Index("viewings_by_device", "device", "sha256"),
    Index("viewings_by_time", "newest"),
)

__all__ = [
    "awaited", "blob_mentions", "blobs", "contacts", "devices", "enrolment_codes", "grants", "holdings", "invitations", "leases", "metadata", "people",
    "replicas", "uploads", "viewings",
]  # fmt: skip
