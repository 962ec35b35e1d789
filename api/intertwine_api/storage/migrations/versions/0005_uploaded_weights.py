"""The owners of uploaded weights, which were files of the data folder."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table. A service imports the files when it starts."""
    op.create_table(
        "uploaded_weights",
        sa.Column("owner_digest", sa.String(64), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
