"""Signed evidence is a sub-result of a job; an organization says who may start work."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0005"
down_revision = "0004"

KINDS = ("config", "plan", "change", "test_report", "policy_report", "review", "pull_request")
NEW_KINDS = ("evidence",)
PERMISSIONS = ("none", "read", "triage", "write", "maintain", "admin")
CHECKS = ("trusted_permission", "minimum_permission", "bots")


def upgrade() -> None:
    _allow_kinds(*KINDS, *NEW_KINDS)
    op.add_column(
        "organization_settings", sa.Column("allowed_bots", ARRAY(sa.Text()), server_default="{}", nullable=False)
    )
    op.add_column(
        "organization_settings", sa.Column("minimum_permission", sa.String(32), server_default="write", nullable=False)
    )
    _check("bots", sa.text("cardinality(allowed_bots) <= 100"))
    _check("minimum_permission", sa.column("minimum_permission", sa.String()).in_(PERMISSIONS))
    _check("trusted_permission", sa.text("minimum_permission NOT IN ('none', 'read')"))


def downgrade() -> None:
    for name in CHECKS:
        op.drop_constraint(op.f(f"ck_organization_settings_{name}"), "organization_settings")
    for column in ("minimum_permission", "allowed_bots"):
        op.drop_column("organization_settings", column)
    # The older code knows no such artifact, and what is signed has no older form.
    kind = sa.column("kind", sa.String())
    op.execute(sa.table("artifacts", kind).delete().where(kind.in_(NEW_KINDS)))
    _allow_kinds(*KINDS)


def _check(name: str, condition: sa.ColumnElement[bool] | sa.TextClause) -> None:
    op.create_check_constraint(op.f(f"ck_organization_settings_{name}"), "organization_settings", condition)


def _allow_kinds(*names: str) -> None:
    op.drop_constraint(op.f("ck_artifacts_kind"), "artifacts")
    op.create_check_constraint(op.f("ck_artifacts_kind"), "artifacts", sa.column("kind", sa.String()).in_(names))
