"""What Stripe says of a customer now, and what an account is by that. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from aicd_core.usage.billing.models import AccountStatus


@dataclass(frozen=True)
class SubscriptionAt:
    """A subscription at Stripe. `plan` is None where its product is none of ours."""

    id: str
    status: str
    plan: str | None
    created: datetime
    period_start: datetime | None
    period_end: datetime | None


@dataclass(frozen=True)
class CustomerAt:
    """A customer at Stripe, all of it read just now.

    `unpaid_since`: when the oldest invoice was made that is open although paying it was tried. `disputes`: when
    payments were disputed, of those that are not decided for us.
    """

    subscriptions: tuple[SubscriptionAt, ...] = ()
    unpaid_since: datetime | None = None
    disputes: tuple[datetime, ...] = ()


@dataclass(frozen=True)
class ProviderState:
    """What of an account follows from what Stripe says, whatever it was before."""

    subscription: str | None
    plan: str
    status: AccountStatus
    grace_until: datetime | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    disputed_at: datetime | None = None


STATUSES = {
    "trialing": AccountStatus.TRIALING,
    "active": AccountStatus.ACTIVE,
    "past_due": AccountStatus.PAST_DUE,
    "unpaid": AccountStatus.SUSPENDED,
    "paused": AccountStatus.SUSPENDED,
}
"""Statuses of subscriptions that are in force (https://docs.stripe.com/api/subscriptions/object); the first payment of
one that is incomplete is not made, and the others have ended."""


def newest(subscriptions: tuple[SubscriptionAt, ...]) -> SubscriptionAt | None:
    """The subscription that counts: of those in force the newest."""
    return max(
        (one for one in subscriptions if one.status in STATUSES), key=lambda one: (one.created, one.id), default=None
    )


def state_of(
    customer: CustomerAt, default_plan: str, grace: timedelta, released_at: datetime | None = None
) -> ProviderState:
    """What the account of a customer is. One who never subscribed and one who left are on the default plan.

    Whoever left and owes something still owes it. Disputes until `released_at` do not count.
    """
    found = newest(customer.subscriptions)
    disputed_at = min((at for at in customer.disputes if released_at is None or at > released_at), default=None)
    grace_until = None if customer.unpaid_since is None else customer.unpaid_since + grace
    if found is None:
        left = AccountStatus.CANCELLED if customer.subscriptions else AccountStatus.ACTIVE
        status = AccountStatus.PAST_DUE if grace_until else left
        return ProviderState(None, default_plan, status, grace_until, disputed_at=disputed_at)
    status, period = STATUSES[found.status], (found.period_start, found.period_end)
    if status is AccountStatus.PAST_DUE and grace_until is None:
        grace_until = (found.period_start or found.created) + grace
    if status in {AccountStatus.ACTIVE, AccountStatus.TRIALING} and grace_until is not None:
        status = AccountStatus.PAST_DUE
    late = grace_until if status is AccountStatus.PAST_DUE else None
    return ProviderState(found.id, found.plan or default_plan, status, late, *period, disputed_at)
