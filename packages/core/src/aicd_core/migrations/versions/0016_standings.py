"""Whether an organization may have work done, and how many pull requests; what was warned of soft caps."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "standings",
        sa.Column("org_id", sa.Uuid(), sa.ForeignKey("organizations.id"), primary_key=True),
        sa.Column("code", sa.String()),
        sa.Column("reason", sa.String()),
        sa.Column("pull_requests", sa.Integer()),
        sa.Column("limit_code", sa.String()),
        sa.Column("limit_reason", sa.String()),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("(code IS NULL) = (reason IS NULL)", name="stopped_why"),
        sa.CheckConstraint(
            "(pull_requests IS NULL) = (limit_code IS NULL) AND (limit_code IS NULL) = (limit_reason IS NULL)",
            name="limited_why",
        ),
        sa.CheckConstraint("pull_requests >= 0", name="pull_requests"),
    )
    op.add_column(
        "billing_accounts", sa.Column("soft_warned_percent", sa.Integer(), server_default="0", nullable=False)
    )
    op.create_check_constraint(
        op.f("ck_billing_accounts_soft_warned"), "billing_accounts", "soft_warned_percent BETWEEN 0 AND 100"
    )
    op.create_index("ix_billing_charges_page", "billing_charges", ["org_id", sa.literal_column("id DESC")])
    op.create_index("ix_billing_exports_identifier", "billing_exports", ["identifier"])
    op.create_index(
        "ix_job_events_published",
        "job_events",
        ["org_id", "created_at"],
        postgresql_where=sa.text("event = 'published'"),
    )


def downgrade() -> None:
    op.drop_index("ix_billing_exports_identifier", table_name="billing_exports")
    op.drop_index("ix_billing_charges_page", table_name="billing_charges")
    op.drop_constraint(op.f("ck_billing_accounts_soft_warned"), "billing_accounts")
    op.drop_column("billing_accounts", "soft_warned_percent")
    op.drop_index("ix_job_events_published", table_name="job_events")
    op.drop_table("standings")
