"""Feedback on a pull request: rounds of it are counted, what it said is a sub-result, and looks at it are due."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

PULL_OPEN = "state = 'pr_open'"
EVENTS = (
    *("admitted", "plan_invalid", "plan_ready", "approval_asked", "approved", "sent_back", "coded", "rejected"),
    *("published", "feedback", "merged", "closed", "failed", "cancelled", "limit_reached", "resumed"),
    *("retry_scheduled", "handed_over"),
)
NEW_EVENTS = ("given_up",)
KINDS = (
    *("config", "plan", "change", "test_report", "policy_report", "review", "pull_request", "evidence", "test_logs"),
)
NEW_KINDS = ("feedback",)


def upgrade() -> None:
    op.add_column("jobs", sa.Column("feedback_rounds", sa.Integer(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("first_round", sa.Integer(), server_default="1", nullable=False))
    op.add_column("jobs", sa.Column("look_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(op.f("ck_jobs_feedback_counts"), "jobs", "feedback_rounds >= 0 AND first_round >= 1")
    _allow("job_events", "event", *EVENTS, *NEW_EVENTS)
    _allow("artifacts", "kind", *KINDS, *NEW_KINDS)
    op.create_index("ix_jobs_pull_open", "jobs", ["org_id", "repository_id"], postgresql_where=sa.text(PULL_OPEN))
    looked = sa.text(f"{PULL_OPEN} AND look_at IS NOT NULL")
    op.create_index("ix_jobs_look", "jobs", ["look_at"], postgresql_where=looked)


def downgrade() -> None:
    for name in ("ix_jobs_look", "ix_jobs_pull_open"):
        op.drop_index(name, table_name="jobs")
    # The older code knows neither; the history keeps the line, without its name.
    event, kind = sa.column("event", sa.String()), sa.column("kind", sa.String())
    op.execute(sa.table("job_events", event).update().where(event.in_(NEW_EVENTS)).values(event=None))
    op.execute(sa.table("artifacts", kind).delete().where(kind.in_(NEW_KINDS)))
    _allow("artifacts", "kind", *KINDS)
    _allow("job_events", "event", *EVENTS)
    op.drop_constraint(op.f("ck_jobs_feedback_counts"), "jobs")
    for name in ("look_at", "first_round", "feedback_rounds"):
        op.drop_column("jobs", name)


def _allow(table: str, column: str, *names: str) -> None:
    constraint = op.f(f"ck_{table}_{column}")
    op.drop_constraint(constraint, table)
    op.create_check_constraint(constraint, table, sa.column(column, sa.String()).in_(names))
