"""One trace from a delivery to the pull request: each row says which span it belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    for table in ("deliveries", "jobs"):
        op.add_column(table, sa.Column("traceparent", sa.String()))


def downgrade() -> None:
    for table in ("deliveries", "jobs"):
        op.drop_column(table, "traceparent")
