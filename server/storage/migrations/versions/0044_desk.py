"""The merge desk: which conflict is to be decided first, by whom it was caused, and what needs a second person."""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0040"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WAITING = sa.text("status <> 'resolved'")


def upgrade() -> None:
    op.add_column("conflicts", sa.Column("rank", sa.Integer(), nullable=False, server_default="3"))
    op.create_index("conflicts_by_closed", "conflicts", ["closed", "id", "bucket"], unique=False)
    for name, columns in (
        ("rank", ["rank", "opened", "id", "bucket", "kind"]),
        ("age", ["opened", "id", "bucket", "kind"]),
        ("bucket", ["bucket", "kind", "rank", "opened", "id"]),
    ):
        op.create_index(f"conflicts_by_{name}", "conflicts", columns, unique=False, sqlite_where=WAITING)
    op.create_index(
        "changes_not_accepted",
        "changes",
        ["received", "log"],
        unique=False,
        sqlite_where=sa.text("status <> 'accepted'"),
    )
    op.create_table(
        "sides",
        sa.Column("conflict", sa.Text(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("conflict", "change"),
        sqlite_with_rowid=False,
    )
    op.create_index("sides_by_device", "sides", ["device", "conflict"], unique=False)
    op.execute(
        "INSERT OR IGNORE INTO sides SELECT conflicts.id, changes.id, changes.device FROM conflicts, "
        "json_each(conflicts.candidates) AS one JOIN changes ON changes.id = one.value WHERE conflicts.status <> 'resolved'"
        if op.get_bind().dialect.name == "sqlite"
        else "INSERT INTO sides SELECT conflicts.id, changes.id, changes.device FROM conflicts, "
        "json_array_elements_text(conflicts.candidates::json) AS one(value) JOIN changes ON changes.id = one.value "
        "WHERE conflicts.status <> 'resolved' ON CONFLICT DO NOTHING"
    )
    op.create_table(
        "proposals",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("conflict", sa.Text(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("record_kind", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("do", sa.Text(), nullable=False),
        sa.Column("seen", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("second", sa.Text(), nullable=True),
        sa.Column("second_at", BIG, nullable=True),
        sa.Column("second_reason", sa.Text(), nullable=True),
        sa.Column("change", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("proposals_by_status", "proposals", ["status", "at"], unique=False)
    op.create_index("proposals_by_conflict", "proposals", ["conflict"], unique=False)
    op.create_table(
        "sweeps",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("lines", sa.Text(), nullable=False),
        sa.Column("undone", BIG, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("sweeps_by_time", "sweeps", ["at"], unique=False)
