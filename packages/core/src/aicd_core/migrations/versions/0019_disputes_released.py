"""Until when disputed payments no longer stop work, since a person decided so. The column had another name, and no use."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.alter_column("billing_accounts", "provider_as_of", new_column_name="disputes_released_at")


def downgrade() -> None:
    op.execute("UPDATE billing_accounts SET disputes_released_at = NULL")
    op.alter_column("billing_accounts", "disputes_released_at", new_column_name="provider_as_of")
