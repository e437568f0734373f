"""What others say about checkpoints: cosignatures of witnesses, time stamps."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0030"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "cosignatures",
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("witness", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("log", "size", "witness"),
    )
    op.create_table(
        "stamps",
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("log", "size", "authority"),
    )
