"""Run by Alembic, which gives it the connection of `intertwine_api.storage.database`."""

from __future__ import annotations

from alembic import context
from intertwine_api.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a table by making it anew
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
