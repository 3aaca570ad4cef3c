"""The journal: calls known by their request too, checkpoints that say where the calls go on."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

BY_NUMBER = "uq_model_calls_org_id_job_id_step_number"
BY_REQUEST = "uq_model_calls_org_id_job_id_step_number_request_hash"


def upgrade() -> None:
    op.drop_constraint(op.f(BY_NUMBER), "model_calls", type_="unique")
    op.create_unique_constraint(op.f(BY_REQUEST), "model_calls", ["org_id", "job_id", "step", "number", "request_hash"])
    op.add_column("checkpoints", sa.Column("calls", sa.Integer(), server_default="0", nullable=False))
    op.alter_column("checkpoints", "calls", server_default=None)
    op.alter_column("checkpoints", "patch", new_column_name="change_set")


def downgrade() -> None:
    op.alter_column("checkpoints", "change_set", new_column_name="patch")
    op.drop_column("checkpoints", "calls")
    op.drop_constraint(op.f(BY_REQUEST), "model_calls", type_="unique")
    op.create_unique_constraint(op.f(BY_NUMBER), "model_calls", ["org_id", "job_id", "step", "number"])
