"""Whether an organization may have work done, and how many pull requests."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


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
    op.create_index(
        "ix_job_events_published",
        "job_events",
        ["org_id", "created_at"],
        postgresql_where=sa.text("event = 'published'"),
    )


def downgrade() -> None:
    op.drop_index("ix_job_events_published", table_name="job_events")
    op.drop_table("standings")
