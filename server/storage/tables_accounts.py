"""The tables of those who sign in at a desk.

    accounts        who may sign in, by which name, and what is asked of them; the password only as Argon2id, the seed of the
                    one-time codes sealed by a key that is not in the database
    spare_codes     recovery codes, known only by a keyed hash; one that was used is gone
    sessions        who is signed in, by the hash of the token that only the browser has
    guesses         how often somebody was wrong lately, and until when the next guess has to wait
    sign_ins        every attempt and what came of it

All times are server milliseconds.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from server.storage.tables import Big
from server.storage.tables_access import metadata

accounts = Table(
    "accounts",
    metadata,
    Column("person", Text, ForeignKey("people.id"), primary_key=True),
    Column("login", Text, nullable=False, unique=True),  # as it is compared: folded
    Column("phone", Text, unique=True),
    Column("password", Text),  # NULL until the first sign-in
    Column("code", LargeBinary),  # keyed hash of the one-time code with which the password is set
    Column("code_until", Big),
    Column("totp", LargeBinary),  # sealed; NULL: no second step
    Column("totp_step", Big, nullable=False),  # newest step that was used: none is taken twice
    Column("opened", Big, nullable=False),
    Column("changed", Big),  # the password
    Column("closed", Big),
    sqlite_with_rowid=False,
)

spare_codes = Table(
    "spare_codes",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("person", Text, ForeignKey("accounts.person"), nullable=False),
    Index("spare_codes_by_person", "person"),
    sqlite_with_rowid=False,
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("person", Text, ForeignKey("accounts.person"), nullable=False),
    Column("stage", Text, nullable=False),  # signed: whole; second: the second step is still missing
    Column("began", Big, nullable=False),
    Column("seen", Big, nullable=False),
    Column("ends", Big, nullable=False),
    Column("address", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Index("sessions_by_person", "person"),
    sqlite_with_rowid=False,
)

guesses = Table(
    "guesses",
    metadata,
    Column("key", Text, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("newest", Big, nullable=False),
    Column("free", Big, nullable=False),  # when the next guess is looked at
    Index("guesses_by_time", "newest"),
    sqlite_with_rowid=False,
)

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("number", Big, primary_key=True),
    Column("at", Big, nullable=False),
    Column("person", Text),  # NULL: there is no such account; what was typed may be a password and is not kept
    Column("outcome", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Index("sign_ins_by_person", "person", "at"),
    Index("sign_ins_by_time", "at"),
)

__all__ = ["accounts", "guesses", "metadata", "sessions", "sign_ins", "spare_codes"]
