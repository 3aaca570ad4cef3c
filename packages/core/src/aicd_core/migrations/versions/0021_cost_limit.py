"""What an organization may cost in a month before its payments come to its cap."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("standings", sa.Column("cost_limit", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("standings", "cost_limit")
