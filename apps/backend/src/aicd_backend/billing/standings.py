"""Whether an organization may have work done, by how it pays: pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from aicd_backend.billing.plans import PICO_PER_MICRO, Plan
from aicd_backend.billing.values import Account
from aicd_core.tenancy.standings.values import Limit, Standing, Why
from aicd_core.usage.billing.models import AccountStatus

OVERDUE, DISPUTED, CAP, PLAN_LIMIT = "payment_overdue", "payment_disputed", "spending_cap", "plan_limit"
STOPS = frozenset({OVERDUE, DISPUTED, CAP})
"""The codes of jobs that were paused since their organization stands still."""
ENDS = frozenset({OVERDUE})
"""Those of them at which jobs that were begun end."""


@dataclass(frozen=True)
class Position:
    """How an organization's account stands in its month of UTC.

    `spent` in 10^-12 US dollars; `charged` are the pull requests since `counted_from` that have their charge, and
    `charged_in_month` those since the month began: what a plan includes is used up by those under any plan.
    """

    account: Account | None
    plan: Plan
    spent: int
    charged: int
    charged_in_month: int
    counted_from: datetime


def month_begin(now: datetime) -> datetime:
    """The beginning of a moment's month of UTC."""
    return now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(now: datetime) -> datetime:
    """The beginning of the month after."""
    day = month_begin(now).date()
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return datetime.combine(following, time(), UTC)


def counted_from(account: Account | None, plan: Plan, now: datetime) -> datetime:
    """Since when pull requests count: the month's beginning, or, where each has a price, when the plan began."""
    begin = month_begin(now)
    if account is None or plan.pull_requests is None or plan.pull_requests.price_micro_usd is None:
        return begin
    return max(begin, account.billed_from)


def standing_of(position: Position, now: datetime) -> Standing:
    """Whether work is done for the organization now, and how many pull requests."""
    return Standing(position.counted_from, _stopped(position, now), _limit(position, now))


def is_overdue(account: Account, now: datetime) -> bool:
    """Whether a payment failed so long ago that no more work is done."""
    if account.status is AccountStatus.PAST_DUE:
        return account.grace_until is None or account.grace_until <= now
    return account.status is AccountStatus.SUSPENDED


def _stopped(position: Position, now: datetime) -> Why | None:
    account = position.account
    if account is None:
        return None
    if is_overdue(account, now):
        return Why(
            OVERDUE,
            "A payment for this organization is overdue, so no work is done for it: jobs that were begun have ended, "
            "the others wait. Pay the open invoice or change the card in the billing portal. What waits then goes on "
            "by itself; what has ended goes on where it was when it is resumed (`/aicd retry` on GitHub), and nothing "
            "is paid twice.",
        )
    if account.disputed_at is not None:
        return Why(
            DISPUTED,
            "A payment of this organization was disputed, so no work is done for it until that is settled. Withdraw "
            "the dispute with your bank, or write to whoever runs this installation.",
        )
    if account.hard_cap is not None and position.spent >= account.hard_cap * PICO_PER_MICRO:
        return Why(
            CAP,
            f"The organization has spent its cap of {_usd(account.hard_cap)} for this month. Raise the cap in its "
            f"billing, or wait until {next_month(now):%Y-%m-%d}; jobs then go on by themselves.",
        )
    return None


def _limit(position: Position, now: datetime) -> Limit | None:
    terms, account = position.plan.pull_requests, position.account
    if terms is None:
        return None
    until = f"{next_month(now):%Y-%m-%d}"
    if terms.price_micro_usd is None:
        return Limit(
            terms.included,
            Why(
                PLAN_LIMIT,
                f"The plan {position.plan.title} has {terms.included} pull requests a month, and they are used up or "
                f"under way. Choose another plan in the organization's billing, or wait until {until}.",
            ),
        )
    if account is None or account.hard_cap is None:
        return None
    if account.trial_end is not None and now < account.trial_end:
        return None
    unit = terms.price_micro_usd * PICO_PER_MICRO
    room = max(0, account.hard_cap * PICO_PER_MICRO - position.spent) // unit + account.credit_pico_usd // unit
    free = max(0, terms.included - position.charged_in_month)
    return Limit(
        min(position.charged + free + room, 2**31 - 1),
        Why(
            CAP,
            f"One more pull request would pass the organization's cap of {_usd(account.hard_cap)} for this month, with "
            f"those under way. Raise the cap in its billing, or wait until {until}.",
        ),
    )


def _usd(micro: int) -> str:
    return f"{micro / 1_000_000:,.2f} USD"
