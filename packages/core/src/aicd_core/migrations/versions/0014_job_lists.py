"""Jobs are listed by when they last changed, too."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_index("ix_jobs_changed", "jobs", ["org_id", "updated_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_jobs_changed", table_name="jobs")
