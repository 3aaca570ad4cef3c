"""Budgets of issues and repositories, held under jobs at once; calls say which prompts they were made from."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"

BUDGETS = {
    "organization_settings": ("issue_budget", "repository_budget"),
    "repositories": ("issue_budget", "monthly_budget"),
}
CHECKS = {"organization_settings": "shared_budgets", "repositories": "budgets"}


def upgrade() -> None:
    for table, columns in BUDGETS.items():
        for column in columns:
            op.add_column(table, sa.Column(column, sa.BigInteger()))
        not_negative = sa.text(" AND ".join(f"{column} >= 0" for column in columns))
        op.create_check_constraint(op.f(f"ck_{table}_{CHECKS[table]}"), table, not_negative)
    op.add_column("model_calls", sa.Column("prompts", JSONB(), server_default="[]", nullable=False))
    op.alter_column("model_calls", "prompts", server_default=None)
    _create_spending()
    _create_reservations()


def _create_spending() -> None:
    op.create_table(
        "spending",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("org_id", sa.Uuid(), sa.ForeignKey("organizations.id"), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("micro_usd", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("org_id", "subject"),
        sa.CheckConstraint("micro_usd >= 0", name="not_negative"),
    )
    op.execute(
        """
        INSERT INTO spending (org_id, subject, micro_usd)
        SELECT e.org_id, s.subject, sum(e.cost_micro_usd)
        FROM usage_entries e
        JOIN jobs j ON j.org_id = e.org_id AND j.id = e.job_id
        CROSS JOIN LATERAL (VALUES
            ('job/' || j.id),
            ('issue/' || j.repository_id || '/' || j.issue_key),
            ('repository/' || j.repository_id || '/' || to_char(timezone('UTC', e.created_at), 'YYYY-MM')),
            ('organization/' || to_char(timezone('UTC', e.created_at), 'YYYY-MM'))
        ) AS s (subject)
        WHERE e.cost_micro_usd > 0
        GROUP BY e.org_id, s.subject
        """
    )


def _create_reservations() -> None:
    op.create_table(
        "reservations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("entry_key", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("micro_usd", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(["org_id", "job_id"], ["jobs.org_id", "jobs.id"]),
        sa.UniqueConstraint("org_id", "job_id", "entry_key"),
        sa.CheckConstraint("micro_usd > 0", name="positive"),
    )


def downgrade() -> None:
    op.drop_table("reservations")
    op.drop_table("spending")
    op.drop_column("model_calls", "prompts")
    for table, columns in BUDGETS.items():
        op.drop_constraint(op.f(f"ck_{table}_{CHECKS[table]}"), table)
        for column in columns:
            op.drop_column(table, column)
