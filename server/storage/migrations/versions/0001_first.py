"""The first shape of the core tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "acts",
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("leaf", BIG, nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log", "leaf"),
    )
    op.create_table(
        "aliases",
        sa.Column("member", sa.Text(), nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("member"),
    )
    op.create_index("aliases_by_root", "aliases", ["root"], unique=False)
    op.create_table(
        "blob_mentions",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "record", "device"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "blobs",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("mime", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("held", BIG, nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_table(
        "holdings",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("act", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["sha256"],
            ["blobs.sha256"],
        ),
        sa.PrimaryKeyConstraint("sha256", "log"),
    )
    op.create_table(
        "buckets",
        sa.Column("key", BIG, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("head", BIG, nullable=False),
        sa.Column("floor", BIG, nullable=False),
        sa.Column("count", BIG, nullable=False),
        sa.Column("sum", BIG, nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "changes",
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("leaf", BIG, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("replica", sa.Text(), nullable=False),
        sa.Column("n", BIG, nullable=False),
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("stamp", sa.Text(), nullable=False),
        sa.Column("received", BIG, nullable=False),
        sa.PrimaryKeyConstraint("log", "leaf"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("changes_by_record", "changes", ["record"], unique=False)
    op.create_index("changes_by_replica", "changes", ["replica", "n"], unique=False)
    op.create_table(
        "checkpoints",
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("made", BIG, nullable=False),
        sa.PrimaryKeyConstraint("log", "size"),
    )
    op.create_table(
        "conflicts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("record_kind", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("candidates", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("opened", BIG, nullable=False),
        sa.Column("closed", BIG, nullable=True),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("conflicts_by_record", "conflicts", ["record"], unique=False)
    op.create_index("conflicts_by_status", "conflicts", ["status", "opened"], unique=False)
    op.create_table(
        "edges",
        sa.Column("parent", sa.Text(), nullable=False),
        sa.Column("child", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("parent", "child"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "feed",
        sa.Column("bucket", BIG, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("state", BIG, nullable=False),
        sa.Column("gone", sa.Text(), nullable=True),
        sa.Column("since", BIG, nullable=False),
        sa.PrimaryKeyConstraint("bucket", "at"),
        sa.UniqueConstraint("bucket", "state"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "links",
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("other", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("record", "other"),
        sqlite_with_rowid=False,
    )
    op.create_index("links_by_other", "links", ["other"], unique=False)
    op.create_table(
        "meta",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "people",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("added", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "tiles",
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("position", BIG, nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log", "level", "position"),
    )
    op.create_table(
        "devices",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("enrolled", BIG, nullable=False),
        sa.Column("revoked", BIG, nullable=True),
        sa.Column("revoked_reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person"],
            ["people.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    op.create_index("devices_by_person", "devices", ["person"], unique=False)
    op.create_table(
        "grants",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("area", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("compartment", sa.Text(), nullable=False),
        sa.Column("since", BIG, nullable=False),
        sa.Column("until", BIG, nullable=True),
        sa.ForeignKeyConstraint(
            ["person"],
            ["people.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("grants_by_person", "grants", ["person"], unique=False)
    op.create_table(
        "states",
        sa.Column("key", BIG, nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("rev", BIG, nullable=False),
        sa.Column("bucket", BIG, nullable=True),
        sa.Column("sum", BIG, nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["bucket"],
            ["buckets.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("record"),
    )
    op.create_table(
        "enrolment_codes",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("made", BIG, nullable=False),
        sa.Column("expires", BIG, nullable=False),
        sa.Column("device", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["device"],
            ["devices.id"],
        ),
        sa.ForeignKeyConstraint(
            ["person"],
            ["people.id"],
        ),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "replicas",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("registered", BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["device"],
            ["devices.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("replicas_by_device", "replicas", ["device"], unique=False)
    op.create_table(
        "uploads",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("mime", sa.Text(), nullable=False),
        sa.Column("part_size", sa.Integer(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("begun", BIG, nullable=False),
        sa.Column("completed", BIG, nullable=True),
        sa.ForeignKeyConstraint(
            ["device"],
            ["devices.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("uploads_by_device", "uploads", ["device", "sha256"], unique=False)
