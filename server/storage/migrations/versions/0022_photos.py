"""Tables for photos that look alike. Pictures that are held already are put into the queue."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "photo_todo",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "photo_prints",
        sa.Column("number", BIG, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("print", sa.LargeBinary(), nullable=True),
        sa.Column("made", BIG, nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("sha256"),
    )
    op.create_table(
        "likenesses",
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("earlier", sa.Text(), nullable=False),
        sa.Column("sort", sa.Text(), nullable=False),
        sa.Column("turn", sa.Text(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("share", sa.Integer(), nullable=False),
        sa.Column("found", BIG, nullable=False),
        sa.PrimaryKeyConstraint("record", "earlier"),
    )
    op.create_index("likenesses_by_earlier", "likenesses", ["earlier"], unique=False)
    op.create_index("likenesses_by_time", "likenesses", ["found"], unique=False)
    op.execute("INSERT INTO photo_todo SELECT sha256 FROM blobs WHERE mime LIKE 'image/%'")
