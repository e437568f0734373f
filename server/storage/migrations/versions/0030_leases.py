"""What the server lends to tablets."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0010"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("share", sa.LargeBinary(), nullable=True),
        sa.Column("contact", sa.LargeBinary(), nullable=True),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.Column("recovery", sa.Integer(), nullable=True),
        sa.Column("hours", sa.Integer(), nullable=True),
        sa.Column("granted", BIG, nullable=True),
        sa.Column("expires", BIG, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed", BIG, nullable=True),
        sa.ForeignKeyConstraint(["device"], ["devices.id"]),
        sa.PrimaryKeyConstraint("device"),
        sqlite_with_rowid=False,
    )
