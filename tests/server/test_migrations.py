"""The migrations and the table definitions say the same."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from server.storage import (  # noqa: F401  they add their tables
    migrations,
    tables_accounts,
    tables_desk,
    tables_photos,
    tables_views,
)
from server.storage.database import Database
from server.storage.tables import metadata


def test_the_migrations_make_exactly_the_tables_that_are_defined(tmp_path: Path) -> None:
    database = Database(tmp_path / "patrolbook.db")
    assert migrations.pending(database)
    migrations.upgrade(database)
    with database.read() as conn:
        differences = compare_metadata(MigrationContext.configure(conn), metadata)
    assert differences == [] and not migrations.pending(database)


def test_upgrading_twice_changes_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "patrolbook.db")
    migrations.upgrade(database)
    migrations.upgrade(database)
    assert not migrations.pending(database)
