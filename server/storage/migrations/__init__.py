"""Migrations of the core tables (Alembic). Projections are not migrated: `rebuild` makes them again from the log.

Alembic is imported where it is used: it takes longer than most commands of the command line do.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from server.storage.database import Connection, Database

if TYPE_CHECKING:
    from alembic.config import Config

_HERE = Path(__file__).parent


def upgrade(database: Database) -> None:
    """Bring a database, new or old, to the newest shape in one transaction."""
    from alembic import command

    with database.write() as conn:
        command.upgrade(_config(conn), "head")


def pending(database: Database) -> bool:
    """True where the database is older than this program."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with database.read() as conn:
        now = MigrationContext.configure(conn).get_current_revision()
    return now != ScriptDirectory(str(_HERE)).get_current_head()


def _config(conn: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_HERE))
    config.attributes["connection"] = conn
    return config
