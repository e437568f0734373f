"""Run by Alembic. The connection and its transaction belong to the caller."""

from alembic import context

from server.storage import tables_accounts, tables_desk, tables_photos, tables_views  # noqa: F401  they add their tables
from server.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=False,  # the caller's transaction is the only one
)
context.run_migrations()
