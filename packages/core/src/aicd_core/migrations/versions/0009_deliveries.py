"""Deliveries are handled from the store, in order for each subject; installations know how old what they say is."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

RECEIVED = sa.text("state = 'received'")


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("installation", sa.BigInteger(), nullable=True))
    op.add_column("deliveries", sa.Column("subject", sa.String(), nullable=True))
    op.add_column("deliveries", sa.Column("code", sa.String(), nullable=True))
    op.add_column(
        "deliveries", sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)
    )
    op.alter_column("deliveries", "error", new_column_name="reason")
    op.create_index("ix_deliveries_subject", "deliveries", ["source", "subject", "id"], postgresql_where=RECEIVED)
    op.add_column("installations", sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_installations_external", "installations", ["host", "external_id"])
    op.create_index(
        "ix_repositories_installation",
        "repositories",
        ["org_id", "installation_id"],
        postgresql_where=sa.text("installation_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_repositories_installation", table_name="repositories")
    op.drop_index("ix_installations_external", table_name="installations")
    op.drop_column("installations", "reported_at")
    op.drop_index("ix_deliveries_subject", table_name="deliveries")
    op.alter_column("deliveries", "reason", new_column_name="error")
    for column in ("due_at", "code", "subject", "installation"):
        op.drop_column("deliveries", column)
