"""The highest priority of a key's jobs; 0 for existing keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column."""
    column = sa.Column("priority", sa.Integer, nullable=False, server_default="0")
    op.add_column("api_keys", column)
