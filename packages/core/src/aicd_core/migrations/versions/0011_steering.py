"""Jobs that a code host starts and steers; repositories are known by the host's number and may name a base branch."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("asks_approval", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("jobs", sa.Column("note", sa.String(), nullable=True))
    op.create_index("ix_jobs_issue", "jobs", ["org_id", "repository_id", "issue_key", sa.text("id DESC")])
    op.add_column("repositories", sa.Column("external_id", sa.BigInteger(), nullable=True))
    op.add_column("repositories", sa.Column("base_branch", sa.String(), nullable=True))
    op.create_index(
        "uq_repositories_external",
        "repositories",
        ["org_id", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("uq_repositories_external", table_name="repositories")
    op.drop_column("repositories", "base_branch")
    op.drop_column("repositories", "external_id")
    op.drop_index("ix_jobs_issue", table_name="jobs")
    op.drop_column("jobs", "note")
    op.drop_column("jobs", "asks_approval")
