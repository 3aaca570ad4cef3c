"""A job that is ended since no more work is done for its organization knows what it left, and can go on from there."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
excused = {
    "ban-drop-constraint": "What takes its place allows all that it allowed.",
    "constraint-missing-not-valid": "Jobs are read through once, with nothing written and nothing looked up.",
}

LEFT = "CASE state WHEN 'paused' THEN paused_from IS NOT NULL WHEN 'cancelled' THEN true ELSE paused_from IS NULL END"


def upgrade() -> None:
    _require(LEFT)


def downgrade() -> None:
    # The older code knows no way back for what has ended.
    state, left = (sa.column(name, sa.String()) for name in ("state", "paused_from"))
    op.execute(sa.table("jobs", state, left).update().where(state == "cancelled").values(paused_from=None))
    _require("(state = 'paused') = (paused_from IS NOT NULL)")


def _require(condition: str) -> None:
    constraint = op.f("ck_jobs_paused_from_when_paused")
    op.drop_constraint(constraint, "jobs")
    op.create_check_constraint(constraint, "jobs", condition)
