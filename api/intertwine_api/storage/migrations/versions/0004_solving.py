"""The leases of keys that hosts solve for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table. It has no row while nothing is solved."""
    op.create_table(
        "solving",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("holder", sa.String(32), nullable=False),
        sa.Column("places", sa.JSON, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
