"""The whole logs of test commands are a sub-result of a job."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

KINDS = ("config", "plan", "change", "test_report", "policy_report", "review", "pull_request", "evidence")
NEW_KINDS = ("test_logs",)


def upgrade() -> None:
    _allow_kinds(*KINDS, *NEW_KINDS)


def downgrade() -> None:
    # The older code knows no such artifact, and reads the results without it.
    kind = sa.column("kind", sa.String())
    op.execute(sa.table("artifacts", kind).delete().where(kind.in_(NEW_KINDS)))
    _allow_kinds(*KINDS)


def _allow_kinds(*names: str) -> None:
    op.drop_constraint(op.f("ck_artifacts_kind"), "artifacts")
    op.create_check_constraint(op.f("ck_artifacts_kind"), "artifacts", sa.column("kind", sa.String()).in_(names))
