"""What watchers of a job are told is kept."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "job_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("outcome", sa.String()),
        sa.Column("seconds", sa.Float()),
        sa.ForeignKeyConstraint(
            ["org_id", "job_id"], ["jobs.org_id", "jobs.id"], name=op.f("fk_job_log_org_id_job_id_jobs")
        ),
        sa.CheckConstraint("kind IN ('message', 'command')", name=op.f("ck_job_log_kind")),
    )
    op.create_index("ix_job_log_job", "job_log", ["org_id", "job_id", "id"])


def downgrade() -> None:
    op.drop_table("job_log")
