"""A job knows the number of its issue on the code host."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("issue_number", sa.Integer(), nullable=True))
    op.create_check_constraint(op.f("ck_jobs_issue_number"), "jobs", sa.text("issue_number > 0"))


def downgrade() -> None:
    op.drop_column("jobs", "issue_number")
