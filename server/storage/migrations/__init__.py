"""Migrations of the core tables (Alembic). Projections are not migrated: `rebuild` makes them again from the log."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from server.storage.database import Connection, Database

_HERE = Path(__file__).parent


def upgrade(database: Database) -> None:
    """Bring a database, new or old, to the newest shape in one transaction."""
    with database.write() as conn:
        command.upgrade(_config(conn), "head")


def pending(database: Database) -> bool:
    """True where the database is older than this program."""
    with database.read() as conn:
        now = MigrationContext.configure(conn).get_current_revision()
    return now != ScriptDirectory(str(_HERE)).get_current_head()


def _config(conn: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE))
    config.attributes["connection"] = conn
    return config
