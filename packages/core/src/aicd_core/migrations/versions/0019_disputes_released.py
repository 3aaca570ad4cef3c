"""Until when disputed payments no longer stop work, since a person decided so."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("billing_accounts", sa.Column("disputes_released_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("billing_accounts", "disputes_released_at")
