"""What billing hands about: frozen, detached from the database. Prices are in 10^-12 US dollars (`pico_usd`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from aicd_core.contracts import Usage
from aicd_core.ids import ExportId, JobId, OrgId
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.usage.billing.models import AccountStatus, BillingMode, ChargeKind

BILLING = Actor(ActorKind.SYSTEM, "billing")
WELCOME = "welcome"
"""The subject of the credit that a plan begins with: an organization has it once, however often it subscribes."""


@dataclass(frozen=True)
class Account:
    """How an organization pays, as it was when it was read."""

    org_id: OrgId
    mode: BillingMode
    customer: str | None
    subscription: str | None
    plan: str
    status: AccountStatus
    grace_until: datetime | None
    trial_end: datetime | None
    period_start: datetime | None
    period_end: datetime | None
    disputed_at: datetime | None
    credit_pico_usd: int
    soft_cap: int | None
    hard_cap: int | None
    billed_from: datetime
    charged_until: datetime | None
    disputes_released_at: datetime | None
    revision: int


@dataclass(frozen=True)
class OpenedPullRequest:
    """A job's pull request was opened, for the first time."""

    job_id: JobId
    at: datetime


@dataclass(frozen=True)
class TokenUse:
    """An entry of the ledger and the model that it is of, None where no call explains it."""

    job_id: JobId
    entry_id: int
    model: str | None
    usage: Usage
    at: datetime


@dataclass(frozen=True)
class Terms:
    """What decides the price of the next thing: the plan, and what is left of what costs nothing.

    `opened` counts the pull requests of each month, by its first day, that have their charge already.
    """

    plan: str
    trial_end: datetime | None = None
    credit_pico_usd: int = 0
    opened: Mapping[date, int] = field(default_factory=dict)


@dataclass(frozen=True)
class NewCharge:
    """A charge to be made: of `quantity`, only `billable` are to be paid."""

    job_id: JobId
    kind: ChargeKind
    subject: str
    meter: str
    plan: str
    quantity: int
    billable: int
    unit_pico_usd: int
    credit_pico_usd: int
    occurred_at: datetime


@dataclass(frozen=True)
class Export:
    """A meter event that is to be sent."""

    id: ExportId
    org_id: OrgId
    mode: BillingMode
    customer: str
    meter: str
    identifier: str
    quantity: int
    occurred_at: datetime
    attempts: int
    first_attempt_at: datetime | None


@dataclass(frozen=True)
class Waiting:
    """A charge that is in no meter event yet: so many units are to be paid."""

    charge_id: int
    kind: ChargeKind
    subject: str
    meter: str
    billable: int
    occurred_at: datetime


@dataclass(frozen=True)
class NewExport:
    """A meter event that is to be made."""

    mode: BillingMode
    customer: str
    meter: str
    identifier: str
    quantity: int
    charges: int
    occurred_at: datetime


@dataclass(frozen=True)
class Setback:
    """Why a meter event was not sent: it is dead, or due again at `due_at`.

    `first_attempt_at`: since when it may have been taken without our knowing.
    """

    code: str
    reason: str
    due_at: datetime | None
    first_attempt_at: datetime | None


@dataclass(frozen=True)
class ExportView:
    """A meter event as people are shown it."""

    id: ExportId
    meter: str
    quantity: int
    occurred_at: datetime
    attempts: int
    code: str | None
    reason: str | None


@dataclass(frozen=True)
class Comparison:
    """One meter of one day of UTC in all books, in units; `provider` is None where it was not asked."""

    day: date
    meter: str
    ledger: int
    charged: int
    billable: int
    sent: int
    provider: int | None

    @property
    def differs(self) -> bool:
        """Whether two books say different things."""
        told = self.provider is not None and self.provider != self.sent
        return self.ledger != self.charged or self.billable != self.sent or told


@dataclass(frozen=True)
class Unsent:
    """Meter events that wait to be sent; the oldest was made `oldest` seconds ago."""

    events: int
    oldest: float
