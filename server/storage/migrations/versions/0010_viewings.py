"""Who is looking at which original now."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0022"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "viewings",
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("leaf", BIG, nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("began", BIG, nullable=False),
        sa.Column("newest", BIG, nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("spans", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("log", "leaf"),
    )
    op.create_index("viewings_by_device", "viewings", ["device", "sha256"], unique=False)
    op.create_index("viewings_by_time", "viewings", ["newest"], unique=False)
