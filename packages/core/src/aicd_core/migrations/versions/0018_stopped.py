"""A job that is ended since no more work is done for its organization knows what it left, and can go on from there."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

EVENTS = (
    *("admitted", "plan_invalid", "plan_ready", "approval_asked", "approved", "sent_back", "coded", "rejected"),
    *("published", "feedback", "given_up", "merged", "closed", "failed", "cancelled", "limit_reached", "resumed"),
    *("retry_scheduled", "handed_over"),
)
NEW_EVENTS = ("stopped",)
LEFT = "CASE state WHEN 'paused' THEN paused_from IS NOT NULL WHEN 'cancelled' THEN true ELSE paused_from IS NULL END"


def upgrade() -> None:
    _require(LEFT)
    _allow(*EVENTS, *NEW_EVENTS)


def downgrade() -> None:
    # The older code knows no way back for what has ended; the history keeps the line, without its name.
    event, state, left = (sa.column(name, sa.String()) for name in ("event", "state", "paused_from"))
    op.execute(sa.table("job_events", event).update().where(event.in_(NEW_EVENTS)).values(event=None))
    op.execute(sa.table("jobs", state, left).update().where(state == "cancelled").values(paused_from=None))
    _allow(*EVENTS)
    _require("(state = 'paused') = (paused_from IS NOT NULL)")


def _require(condition: str) -> None:
    constraint = op.f("ck_jobs_paused_from_when_paused")
    op.drop_constraint(constraint, "jobs")
    op.create_check_constraint(constraint, "jobs", condition)


def _allow(*names: str) -> None:
    constraint = op.f("ck_job_events_event")
    op.drop_constraint(constraint, "job_events")
    op.create_check_constraint(constraint, "job_events", sa.column("event", sa.String()).in_(names))
