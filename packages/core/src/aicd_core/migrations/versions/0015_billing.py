"""Charges, meter events, corrections, comparisons of the books, and the payment provider's events."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015"
down_revision = "0014"


def _words(name: str, *words: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=32)


def _time(name: str, *, nullable: bool = True, now: bool = False) -> sa.Column[datetime]:
    default = sa.func.now() if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable and not now)


MODES = ("test", "live")
STATUSES = ("active", "trialing", "past_due", "suspended", "cancelled")
ACCOUNT_TIMES = (
    "grace_until",
    "trial_end",
    "period_start",
    "period_end",
    "disputed_at",
    "charged_until",
    "provider_as_of",
)
ACCOUNT_CHECKS = {
    "credit": "credit_pico_usd >= 0",
    "caps": "soft_cap >= 0 AND hard_cap >= 0",
    "warned": "warned_percent BETWEEN 0 AND 100",
    "past_due_until": "status <> 'past_due' OR grace_until IS NOT NULL",
}


def upgrade() -> None:
    _widen_accounts()
    _create_exports()
    _create_charges()
    _create_adjustments()
    _create_reconciliations()
    _create_events()


def _widen_accounts() -> None:
    table = "billing_accounts"
    op.alter_column(table, "customer", nullable=True)
    op.add_column(table, sa.Column("mode", sa.String(32), server_default="test", nullable=False))
    op.add_column(table, sa.Column("status", sa.String(32), server_default="active", nullable=False))
    op.create_check_constraint(op.f("ck_billing_accounts_mode"), table, _among("mode", MODES))
    op.create_check_constraint(op.f("ck_billing_accounts_status"), table, _among("status", STATUSES))
    op.add_column(table, sa.Column("subscription", sa.String()))
    for name in ACCOUNT_TIMES:
        op.add_column(table, _time(name))
    op.add_column(table, sa.Column("credit_pico_usd", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column(table, sa.Column("soft_cap", sa.BigInteger()))
    op.add_column(table, sa.Column("hard_cap", sa.BigInteger()))
    op.add_column(table, sa.Column("warned_percent", sa.Integer(), server_default="0", nullable=False))
    op.add_column(table, sa.Column("warned_month", sa.Date()))
    op.add_column(table, _time("billed_from", now=True))
    for name, condition in ACCOUNT_CHECKS.items():
        op.create_check_constraint(op.f(f"ck_billing_accounts_{name}"), table, condition)


def _among(column: str, words: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(word) for word in words)})"


def _create_exports() -> None:
    op.create_table(
        "billing_exports",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("org_id", sa.Uuid(), sa.ForeignKey("organizations.id"), nullable=False),
        sa.Column("mode", _words("mode", *MODES), nullable=False),
        sa.Column("customer", sa.String(), nullable=False),
        sa.Column("meter", sa.String(), nullable=False),
        sa.Column("identifier", sa.String(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("charges", sa.Integer(), nullable=False),
        _time("occurred_at", nullable=False),
        sa.Column("state", _words("state", "pending", "sent", "dead"), server_default="pending", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("code", sa.String()),
        sa.Column("reason", sa.String()),
        _time("due_at", now=True),
        sa.Column("claimed_by", sa.String()),
        _time("claimed_until"),
        _time("first_attempt_at"),
        _time("sent_at"),
        _time("created_at", now=True),
        sa.UniqueConstraint("org_id", "id"),
        sa.UniqueConstraint("org_id", "identifier"),
        sa.CheckConstraint("quantity > 0 AND charges > 0 AND attempts >= 0", name="counts"),
        sa.CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="sent"),
    )
    for name, columns, state in (("pending", ["org_id", "meter", "id"], "pending"), ("dead", ["org_id", "id"], "dead")):
        where = sa.text(f"state = '{state}'")
        op.create_index(f"ix_billing_exports_{name}", "billing_exports", columns, postgresql_where=where)
    op.create_index("ix_billing_exports_span", "billing_exports", ["org_id", "occurred_at"])


def _create_charges() -> None:
    op.create_table(
        "billing_charges",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("org_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("kind", _words("kind", "pull_request", "tokens"), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("meter", sa.String(), nullable=False),
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("billable", sa.BigInteger(), nullable=False),
        sa.Column("unit_pico_usd", sa.BigInteger(), nullable=False),
        sa.Column("credit_pico_usd", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("export_id", sa.Uuid()),
        _time("occurred_at", nullable=False),
        _time("created_at", now=True),
        sa.ForeignKeyConstraint(["org_id", "job_id"], ["jobs.org_id", "jobs.id"]),
        sa.ForeignKeyConstraint(["org_id", "export_id"], ["billing_exports.org_id", "billing_exports.id"]),
        sa.UniqueConstraint("org_id", "kind", "subject"),
        sa.CheckConstraint("quantity > 0 AND billable BETWEEN 0 AND quantity", name="quantities"),
        sa.CheckConstraint("unit_pico_usd >= 0 AND credit_pico_usd >= 0", name="not_negative"),
    )
    op.create_index("ix_billing_charges_job", "billing_charges", ["org_id", "job_id"])
    op.create_index("ix_billing_charges_span", "billing_charges", ["org_id", "occurred_at"])
    op.create_index("ix_billing_charges_export", "billing_charges", ["org_id", "export_id"])
    waiting = sa.text("export_id IS NULL AND billable > 0")
    op.create_index(
        "ix_billing_charges_waiting", "billing_charges", ["org_id", "meter", "id"], postgresql_where=waiting
    )


def _create_adjustments() -> None:
    op.create_table(
        "billing_adjustments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("org_id", sa.Uuid(), sa.ForeignKey("organizations.id"), nullable=False),
        sa.Column("kind", _words("kind", "cancel", "credit"), nullable=False),
        sa.Column("export_id", sa.Uuid()),
        sa.Column("credit_pico_usd", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("state", _words("state", "pending", "done", "failed"), server_default="pending", nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("detail", JSONB(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        _time("created_at", now=True),
        _time("done_at"),
        sa.ForeignKeyConstraint(["org_id", "export_id"], ["billing_exports.org_id", "billing_exports.id"]),
        sa.UniqueConstraint("org_id", "kind", "subject"),
        sa.CheckConstraint("(kind = 'cancel') = (export_id IS NOT NULL)", name="cancels"),
        sa.CheckConstraint("credit_pico_usd >= 0", name="not_negative"),
    )


def _create_reconciliations() -> None:
    op.create_table(
        "billing_reconciliations",
        sa.Column("org_id", sa.Uuid(), sa.ForeignKey("organizations.id"), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("meter", sa.String(), primary_key=True),
        *(sa.Column(name, sa.Numeric(30, 0), nullable=False) for name in ("ledger", "charged", "billable", "sent")),
        sa.Column("provider", sa.Numeric(30, 0)),
        sa.Column("differs", sa.Boolean(), nullable=False),
        _time("compared_at", now=True),
    )


def _create_events() -> None:
    op.create_table(
        "stripe_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("org_id", sa.Uuid(), sa.ForeignKey("organizations.id")),
        sa.Column("mode", _words("mode", *MODES), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("customer", sa.String()),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column(
            "state",
            _words("state", "received", "handled", "ignored", "failed"),
            server_default="received",
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("code", sa.String()),
        sa.Column("reason", sa.String()),
        _time("occurred_at", nullable=False),
        _time("received_at", now=True),
        _time("due_at", now=True),
        _time("handled_at"),
        sa.UniqueConstraint("external_id"),
    )
    op.create_index("ix_stripe_events_waiting", "stripe_events", ["id"], postgresql_where=sa.text("state = 'received'"))
    done = sa.text("state IN ('handled', 'ignored')")
    op.create_index("ix_stripe_events_done", "stripe_events", ["handled_at"], postgresql_where=done)
    op.create_index("ix_stripe_events_page", "stripe_events", ["org_id", sa.literal_column("id DESC")])


def downgrade() -> None:
    for table in ("stripe_events", "billing_reconciliations", "billing_adjustments", "billing_charges"):
        op.drop_table(table)
    op.drop_table("billing_exports")
    table = "billing_accounts"
    for name in (*ACCOUNT_CHECKS, "status", "mode"):
        op.drop_constraint(op.f(f"ck_billing_accounts_{name}"), table)
    extra = (
        "mode",
        "status",
        "subscription",
        "credit_pico_usd",
        "soft_cap",
        "hard_cap",
        "warned_percent",
        "warned_month",
    )
    for name in (*extra, "billed_from", *ACCOUNT_TIMES):
        op.drop_column(table, name)
    op.execute("DELETE FROM billing_accounts WHERE customer IS NULL")
    op.alter_column(table, "customer", nullable=False)
