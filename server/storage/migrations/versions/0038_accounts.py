"""Those who sign in at a desk; departments in grants; when tablets were last heard of, and which blobs are awaited."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0034"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("code", sa.LargeBinary(), nullable=True),
        sa.Column("code_until", BIG, nullable=True),
        sa.Column("totp", sa.LargeBinary(), nullable=True),
        sa.Column("totp_step", BIG, nullable=False),
        sa.Column("opened", BIG, nullable=False),
        sa.Column("changed", BIG, nullable=True),
        sa.Column("closed", BIG, nullable=True),
        sa.ForeignKeyConstraint(["person"], ["people.id"]),
        sa.PrimaryKeyConstraint("person"),
        sa.UniqueConstraint("login"),
        sa.UniqueConstraint("phone"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spare_codes",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["accounts.person"]),
        sa.PrimaryKeyConstraint("digest"),
        sqlite_with_rowid=False,
    )
    op.create_index("spare_codes_by_person", "spare_codes", ["person"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("began", BIG, nullable=False),
        sa.Column("seen", BIG, nullable=False),
        sa.Column("ends", BIG, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["accounts.person"]),
        sa.PrimaryKeyConstraint("digest"),
        sqlite_with_rowid=False,
    )
    op.create_index("sessions_by_person", "sessions", ["person"], unique=False)
    op.create_table(
        "guesses",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("newest", BIG, nullable=False),
        sa.Column("free", BIG, nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sqlite_with_rowid=False,
    )
    op.create_index("guesses_by_time", "guesses", ["newest"], unique=False)
    op.create_table(
        "sign_ins",
        sa.Column("number", BIG, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("person", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("sign_ins_by_person", "sign_ins", ["person", "at"], unique=False)
    op.create_index("sign_ins_by_time", "sign_ins", ["at"], unique=False)
    op.add_column("grants", sa.Column("department", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "contacts",
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("seen", BIG, nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.id"]),
        sa.PrimaryKeyConstraint("device"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "awaited",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "record", "device"),
        sqlite_with_rowid=False,
    )
    op.create_index("awaited_by_device", "awaited", ["device"], unique=False)
    op.execute(
        "INSERT INTO awaited SELECT sha256, record, device FROM blob_mentions "
        "WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE blobs.sha256 = blob_mentions.sha256)"
    )
