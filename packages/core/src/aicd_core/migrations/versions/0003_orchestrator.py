"""Jobs are admitted, leased, retried and limited: the columns and indexes of many workers."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

AT_WORK = "state IN ('coding', 'planning', 'queued', 'reviewing')"
EVENTS = (
    *("admitted", "plan_invalid", "plan_ready", "approval_asked", "approved", "sent_back", "coded", "rejected"),
    *("published", "feedback", "merged", "closed", "failed", "cancelled", "limit_reached", "resumed"),
)
NEW_EVENTS = ("retry_scheduled", "handed_over")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("priority", sa.Integer(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("failures", sa.Integer(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("not_before", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("woken_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("cost_limit", sa.BigInteger(), nullable=True))
    op.drop_constraint(op.f("ck_jobs_counts"), "jobs")
    op.create_check_constraint(
        op.f("ck_jobs_counts"), "jobs", "version >= 0 AND round >= 0 AND plan_attempts >= 0 AND failures >= 0"
    )
    op.create_check_constraint(op.f("ck_jobs_cost_limit"), "jobs", "cost_limit >= 0")
    _allow_events(*EVENTS, *NEW_EVENTS)
    op.create_index(
        "ix_jobs_at_work",
        "jobs",
        ["org_id", sa.literal_column("(state = 'queued')"), sa.literal_column("priority DESC"), "id"],
        postgresql_where=sa.text(AT_WORK),
    )
    op.create_index("ix_jobs_leased", "jobs", ["org_id"], postgresql_where=sa.text("lease_owner IS NOT NULL"))
    op.create_index(
        "ix_deliveries_done", "deliveries", ["handled_at"], postgresql_where=sa.text("state IN ('handled', 'ignored')")
    )


def downgrade() -> None:
    op.drop_index("ix_deliveries_done", table_name="deliveries")
    op.drop_index("ix_jobs_leased", table_name="jobs")
    op.drop_index("ix_jobs_at_work", table_name="jobs")
    # The older code knows no such event; the history keeps the line, without its name.
    event = sa.column("event", sa.String())
    op.execute(sa.table("job_events", event).update().where(event.in_(NEW_EVENTS)).values(event=None))
    _allow_events(*EVENTS)
    op.drop_constraint(op.f("ck_jobs_cost_limit"), "jobs")
    op.drop_constraint(op.f("ck_jobs_counts"), "jobs")
    op.create_check_constraint(op.f("ck_jobs_counts"), "jobs", "version >= 0 AND round >= 0 AND plan_attempts >= 0")
    for name in ("cost_limit", "woken_at", "not_before", "failures", "priority"):
        op.drop_column("jobs", name)


def _allow_events(*names: str) -> None:
    op.drop_constraint(op.f("ck_job_events_event"), "job_events")
    column = sa.column("event", sa.String())
    op.create_check_constraint(op.f("ck_job_events_event"), "job_events", column.in_(names))
