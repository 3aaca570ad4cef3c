"""Tables of billing. They stand here since there is one chain of migrations; what they mean is the API server's."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    Numeric,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.db.columns import Created, Revision, TenantOwned, words
from aicd_core.ids import ExportId, JobId, OrgId, new_uuid


class BillingMode(StrEnum):
    """Which of the provider's two worlds: play money or real money."""

    TEST = "test"
    LIVE = "live"


class AccountStatus(StrEnum):
    """How an organization stands. `past_due`: a payment failed; work goes on until `grace_until`."""

    ACTIVE = "active"
    TRIALING = "trialing"
    PAST_DUE = "past_due"
    SUSPENDED = "suspended"
    CANCELLED = "cancelled"


class ChargeKind(StrEnum):
    """What a charge is for."""

    PULL_REQUEST = "pull_request"
    TOKENS = "tokens"


class ExportState(StrEnum):
    """How far a meter event has come. `dead`: it is not sent again by itself, and `reason` says why."""

    PENDING = "pending"
    SENT = "sent"
    DEAD = "dead"


class EventState(StrEnum):
    """How far the handling of an event of the provider's has come."""

    RECEIVED = "received"
    HANDLED = "handled"
    IGNORED = "ignored"
    FAILED = "failed"


class AdjustmentKind(StrEnum):
    """How a charge is corrected: its meter event is cancelled, or its price is given back as credit."""

    CANCEL = "cancel"
    CREDIT = "credit"


class AdjustmentState(StrEnum):
    """How far a correction has come."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


class BillingAccount(Base):
    """How an organization pays: its plan, its names at the payment provider, how it stands, its caps.

    One without a row is on the free plan. What was used before `billed_from` is never charged; what was used before
    `charged_until` has its charges. `credit_pico_usd` is left to be used up before anything is sent. Caps are of a
    month of UTC, in micro-USD; `warned_percent` of the hard one, and `soft_warned_percent` of the soft one, was warned
    of in the month that begins on `warned_month`. Payments disputed until `disputes_released_at` stop nothing any more.
    `provider_as_of` has no use, but older code reads it.
    """

    __tablename__ = "billing_accounts"

    org_id: Mapped[OrgId] = mapped_column(ForeignKey("organizations.id"), primary_key=True)
    provider: Mapped[str]
    mode: Mapped[BillingMode] = mapped_column(words(BillingMode, "mode"), server_default="test")
    customer: Mapped[str | None]
    subscription: Mapped[str | None]
    plan: Mapped[str]
    status: Mapped[AccountStatus] = mapped_column(words(AccountStatus, "status"), server_default="active")
    grace_until: Mapped[datetime | None]
    trial_end: Mapped[datetime | None]
    period_start: Mapped[datetime | None]
    period_end: Mapped[datetime | None]
    disputed_at: Mapped[datetime | None]
    credit_pico_usd: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    soft_cap: Mapped[int | None] = mapped_column(BigInteger)
    hard_cap: Mapped[int | None] = mapped_column(BigInteger)
    warned_percent: Mapped[int] = mapped_column(default=0, server_default="0")
    soft_warned_percent: Mapped[int] = mapped_column(default=0, server_default="0")
    warned_month: Mapped[date | None]
    billed_from: Mapped[datetime] = mapped_column(server_default=func.now())
    charged_until: Mapped[datetime | None]
    provider_as_of: Mapped[datetime | None]
    disputes_released_at: Mapped[datetime | None]
    revision: Mapped[Revision]
    created_at: Mapped[Created]

    __table_args__ = (
        UniqueConstraint("provider", "customer"),
        CheckConstraint("credit_pico_usd >= 0", name="credit"),
        CheckConstraint("soft_cap >= 0 AND hard_cap >= 0", name="caps"),
        CheckConstraint("warned_percent BETWEEN 0 AND 100", name="warned"),
        CheckConstraint("soft_warned_percent BETWEEN 0 AND 100", name="soft_warned"),
        CheckConstraint("status <> 'past_due' OR grace_until IS NOT NULL", name="past_due_until"),
    )


class BillingCharge(TenantOwned, Base):
    """What is to be paid for one thing, once: a pull request, or the tokens of one class of one ledger entry.

    `subject` names the thing, so a second charge for it is refused. Of `quantity` (pull requests, tokens) only
    `billable` are to be paid; the rest is part of the plan, of a trial, or was paid by credit. `unit_pico_usd` is the
    price of one, in 10^-12 US dollars: micro-USD for a million. `export_id` is the meter event that it is part of.
    """

    __tablename__ = "billing_charges"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    job_id: Mapped[JobId]
    kind: Mapped[ChargeKind] = mapped_column(words(ChargeKind, "kind"))
    subject: Mapped[str]
    meter: Mapped[str]
    plan: Mapped[str]
    quantity: Mapped[int] = mapped_column(BigInteger)
    billable: Mapped[int] = mapped_column(BigInteger)
    unit_pico_usd: Mapped[int] = mapped_column(BigInteger)
    credit_pico_usd: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    export_id: Mapped[ExportId | None]
    occurred_at: Mapped[datetime]
    created_at: Mapped[Created]

    __table_args__ = (
        ForeignKeyConstraint(["org_id", "job_id"], ["jobs.org_id", "jobs.id"]),
        ForeignKeyConstraint(["org_id", "export_id"], ["billing_exports.org_id", "billing_exports.id"]),
        UniqueConstraint("org_id", "kind", "subject"),
        Index("ix_billing_charges_job", "org_id", "job_id"),
        Index("ix_billing_charges_span", "org_id", "occurred_at"),
        Index("ix_billing_charges_page", "org_id", text("id DESC")),
        Index("ix_billing_charges_export", "org_id", "export_id"),
        Index(
            "ix_billing_charges_waiting",
            *("org_id", "meter", "id"),
            postgresql_where=text("export_id IS NULL AND billable > 0"),
        ),
        CheckConstraint("quantity > 0 AND billable BETWEEN 0 AND quantity", name="quantities"),
        CheckConstraint("unit_pico_usd >= 0 AND credit_pico_usd >= 0", name="not_negative"),
    )


class BillingExport(TenantOwned, Base):
    """One meter event: charges of one meter that are told to the provider together, under one identifier.

    Its content never changes once it is there, so that sending it again is harmless. It may be sent from `due_at` on;
    whoever sends it holds it until `claimed_until`. `first_attempt_at` says how old the provider's memory of the
    identifier may be.
    """

    __tablename__ = "billing_exports"

    id: Mapped[ExportId] = mapped_column(primary_key=True, default=new_uuid)
    mode: Mapped[BillingMode] = mapped_column(words(BillingMode, "mode"))
    customer: Mapped[str]
    meter: Mapped[str]
    identifier: Mapped[str]
    quantity: Mapped[int] = mapped_column(BigInteger)
    charges: Mapped[int]
    occurred_at: Mapped[datetime]
    state: Mapped[ExportState] = mapped_column(words(ExportState, "state"), server_default="pending")
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    code: Mapped[str | None]
    reason: Mapped[str | None]
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    claimed_by: Mapped[str | None]
    claimed_until: Mapped[datetime | None]
    first_attempt_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    created_at: Mapped[Created]

    __table_args__ = (
        ForeignKeyConstraint(["org_id"], ["organizations.id"]),
        UniqueConstraint("org_id", "id"),
        UniqueConstraint("org_id", "identifier"),
        Index("ix_billing_exports_pending", "org_id", "meter", "id", postgresql_where=text("state = 'pending'")),
        Index("ix_billing_exports_dead", "org_id", "id", postgresql_where=text("state = 'dead'")),
        Index("ix_billing_exports_span", "org_id", "occurred_at"),
        Index("ix_billing_exports_identifier", "identifier"),
        CheckConstraint("quantity > 0 AND charges > 0 AND attempts >= 0", name="counts"),
        CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="sent"),
    )


class BillingAdjustment(TenantOwned, Base):
    """A correction of what was charged, and who made it why. `export_id` is the meter event that it cancels."""

    __tablename__ = "billing_adjustments"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    kind: Mapped[AdjustmentKind] = mapped_column(words(AdjustmentKind, "kind"))
    export_id: Mapped[ExportId | None]
    credit_pico_usd: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    subject: Mapped[str]
    state: Mapped[AdjustmentState] = mapped_column(words(AdjustmentState, "state"), server_default="pending")
    reason: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    made_by: Mapped[str]
    created_at: Mapped[Created]
    done_at: Mapped[datetime | None]

    __table_args__ = (
        ForeignKeyConstraint(["org_id"], ["organizations.id"]),
        ForeignKeyConstraint(["org_id", "export_id"], ["billing_exports.org_id", "billing_exports.id"]),
        UniqueConstraint("org_id", "kind", "subject"),
        CheckConstraint("(kind = 'cancel') = (export_id IS NOT NULL)", name="cancels"),
        CheckConstraint("credit_pico_usd >= 0", name="not_negative"),
    )


class BillingReconciliation(TenantOwned, Base):
    """One meter of one day of UTC in all books, in units. Compared once more, the row is overwritten.

    `ledger`: what the jobs and the ledger come to; `charged`: what has charges; `billable`: what of it is to be paid;
    `sent`: what the provider was told; `provider`: what it counted, null where it was not asked.
    """

    __tablename__ = "billing_reconciliations"

    org_id: Mapped[OrgId] = mapped_column(ForeignKey("organizations.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    meter: Mapped[str] = mapped_column(primary_key=True)
    ledger: Mapped[Decimal] = mapped_column(Numeric(30, 0))
    charged: Mapped[Decimal] = mapped_column(Numeric(30, 0))
    billable: Mapped[Decimal] = mapped_column(Numeric(30, 0))
    sent: Mapped[Decimal] = mapped_column(Numeric(30, 0))
    provider: Mapped[Decimal | None] = mapped_column(Numeric(30, 0))
    differs: Mapped[bool]
    compared_at: Mapped[Created]


class StripeEvent(Base):
    """One verified event of the provider's, stored once. `org_id` is unknown until it is routed.

    `customer` is whom it is about, `occurred_at` the provider's time of it. From `due_at` on it may be handled; taking
    it moves that time on.
    """

    __tablename__ = "stripe_events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    org_id: Mapped[OrgId | None] = mapped_column(ForeignKey("organizations.id"))
    mode: Mapped[BillingMode] = mapped_column(words(BillingMode, "mode"))
    external_id: Mapped[str]
    kind: Mapped[str]
    customer: Mapped[str | None]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[EventState] = mapped_column(words(EventState, "state"), server_default="received")
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    code: Mapped[str | None]
    reason: Mapped[str | None]
    occurred_at: Mapped[datetime]
    received_at: Mapped[Created]
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    handled_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("external_id"),
        Index("ix_stripe_events_waiting", "id", postgresql_where=text("state = 'received'")),
        Index("ix_stripe_events_done", "handled_at", postgresql_where=text("state IN ('handled', 'ignored')")),
        Index("ix_stripe_events_page", "org_id", text("id DESC")),
    )
